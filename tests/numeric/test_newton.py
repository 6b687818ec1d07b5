"""Newton's method over whole sequences against the reference in float64: values, states, gradients, resets, windows, and what happens
where it does not converge. Every test says from the report what ran."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch

import seqc
from numeric.native_compare import BATCH, STEPS, differences, pieces, run, twin
from numeric.native_units import compiler, renamed, unoptimised
from numeric.oracles.loops import paragru
from numeric.random_cells import random_cell, spec_of
from numeric.tolerances import ratio
from numeric.triton_units import needs_interpreter
from seqc.compiler.driver import sample
from seqc.compiler.driver.load import _begun
from seqc.compiler.driver.pipeline import advance
from seqc.runtime import newton
from seqc.runtime.native.calls import NoKernel, newton_of
from seqc.runtime.native.errors import NoCompiler
from seqc.runtime.native.kernel import Unit

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

F64 = torch.float64
LIMIT = 1e-9
CELLS = {"indrnn": "IndRNN", "paragru": "ParaGRU", "paralstm": "ParaLSTM", "sru": "SRU"}


def pair(name: str, scan: str = "newton", seed: int = 0, **more: Any) -> tuple[Any, Any]:
    """A layer solved by Newton's method, and the reference with the same parameters."""
    torch.manual_seed(seed)
    layer = getattr(seqc.load(name), CELLS[name])(D=8, dtype=F64, scan=scan, **more)
    return layer, twin(layer, "reference")


def loud(layer: Any, by: float) -> None:
    """Makes recurrent weights large."""
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if name in ("az", "ar", "an"):
                p.mul_(by)


def drawn(steps: int, batch: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, steps, 8, generator=torch.Generator().manual_seed(seed), dtype=F64)


# ---- convergence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_paragru_as_it_is_made(dtype: torch.dtype) -> None:
    """Against the equations of the paper as a loop in numpy, in float64."""
    torch.manual_seed(0)
    layer = seqc.load("paragru").ParaGRU(D=8, dtype=dtype, scan="newton")
    x = drawn(4096)
    with torch.no_grad():
        (y, _), report = layer(x.to(dtype)), layer.newton_report()
    given = {k: v.double().numpy() for k, v in layer.state_dict().items()}
    want = torch.from_numpy(paragru(given, {"x": x.to(dtype).double().numpy()})["y"])
    assert report.solved == 1 and report.iterations <= 10 and report.fallbacks == 0
    assert ratio(want, y) <= 1e-6


@pytest.mark.parametrize("how", ["plain", "both"])
@pytest.mark.parametrize("name", CELLS)
def test_values_states_and_gradients(name: str, how: str) -> None:
    """From a state that is not the start; `both`: resets and lengths."""
    layer, reference = pair(name)
    found = differences(run(reference, {"x": drawn(STEPS, BATCH)}, (), how), run(layer, {"x": drawn(STEPS, BATCH)}, (), how))
    assert {"value 0", "gradient of x", "gradient of state 0"} <= set(found)
    assert max(found.values()) <= LIMIT, found
    assert layer.newton_report().solved == 1 and layer.newton_report().fallbacks == 0


def test_windows_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "WINDOW", 7)
    for name in ("paralstm", "sru"):
        layer, reference = pair(name)
        for how in ("plain", "both"):
            found = differences(run(reference, {"x": drawn(23)}, (), how), run(layer, {"x": drawn(23)}, (), how))
            assert max(found.values()) <= LIMIT, found
        assert layer.newton_report().solved == 2 and layer.newton_report().fallbacks == 0


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_short_sequences(steps: int) -> None:
    layer, reference = pair("paralstm")
    x = drawn(steps)
    got, want = layer(x), reference(x)
    assert got[0].shape == want[0].shape and ratio(want[0], got[0]) <= 1e-12
    assert all(ratio(a, b) <= 1e-12 for a, b in zip(want[1], got[1], strict=True))
    assert layer.newton_report().solved == (steps > 1)
    assert layer(drawn(3, batch=0))[0].shape[:2] == (0, 3)


def test_pieces_and_checkpoints() -> None:
    """In two pieces; and long enough for several checkpoints of the adjoint."""
    layer, reference = pair("paragru")
    x = drawn(300)
    whole = run(reference, {"x": x}, (), backward=False).values
    assert all(ratio(a, b) <= LIMIT for a, b in zip(whole, pieces(layer, {"x": x}, (), 131), strict=True))
    found = differences(run(reference, {"x": x}, ()), run(layer, {"x": x}, ()))
    assert max(found.values()) <= LIMIT and layer.newton_report().fallbacks == 0


def test_less_than_the_whole_jacobian_converges_slower() -> None:
    counts = {}
    for scan in ("newton", "newton(jacobian = diagonal)", "newton(jacobian = none)", "newton(trust = 0.5)"):
        layer, reference = pair("paralstm", scan)
        x = drawn(60)
        assert ratio(reference(x)[0], layer(x)[0]) <= LIMIT
        report = layer.newton_report()
        assert report.solved == 1 and report.fallbacks == 0
        counts[scan] = report.iterations
    full, diagonal, none, damped = counts.values()
    assert full < diagonal < none and full < damped


def test_tolerance_says_when_to_stop() -> None:
    counts = []
    for tolerance in ("1e-1", "1e-6", "1e-14"):
        layer, reference = pair("paralstm", f"newton(tolerance = {tolerance})")
        x = drawn(200)
        # the error after the last correction is about the square of what was corrected, which is below the root of the tolerance
        assert ratio(reference(x)[0], layer(x)[0]) <= float(tolerance)
        counts.append(layer.newton_report().iterations)
    assert counts[0] < counts[1] < counts[2]


# ---- no convergence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "words"), [(80.0, "not finite"), (10.0, "100 iterations")])
def test_what_does_not_converge_is_said_and_right(by: float, words: str) -> None:
    layer, reference = pair("paragru", H=2)
    for one in (layer, reference):
        loud(one, by)
    x = drawn(512)
    with pytest.warns(UserWarning, match=words):
        got = run(layer, {"x": x}, ())
    report = layer.newton_report()
    assert report.solved == 0 and report.fallbacks == 1 and words in report.reasons[0]
    # the loop is chaotic: the native loop, not another way to round, is the measure of what ran
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(x)
        sequential = copy.deepcopy(layer)
        sequential.newton, sequential.backend = None, "native"
        want = run(sequential, {"x": x}, ())
    assert layer.newton_report().fallbacks == 2, "counted again, said once"
    assert all(torch.equal(a, b) for a, b in zip(want.values, got.values, strict=True))
    assert all(torch.equal(a, got.gradients[k]) for k, a in want.gradients.items() if a is not None)
    short = x[:, :40]
    assert ratio(reference(short)[0], layer(short)[0]) <= 1e-6


def test_one_iteration_is_not_enough() -> None:
    layer, reference = pair("indrnn", "newton(iterations = 1)")
    x = drawn(30)
    with pytest.warns(UserWarning, match="1 iterations left a relative residual"):
        y = layer(x)[0]
    assert ratio(reference(x)[0], y) <= 1e-12 and layer.newton_report().fallbacks == 1


def test_inputs_that_are_not_finite() -> None:
    layer, reference = pair("indrnn")
    x = drawn(30)
    x[0, 11, 3] = torch.nan
    with pytest.warns(UserWarning, match="not finite"):
        y = layer(x)[0]
    want = reference(x)[0]
    assert torch.equal(y.isnan(), want.isnan()) and want.isnan().any()
    assert ratio(want[1], y[1]) <= 1e-12


def test_measures() -> None:
    """What is not a number is never small; an entry that is nought is measured by its neighbours."""
    r, d, v = torch.tensor([[1e-3, 0.0]]), torch.tensor([[1e-2, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert newton.measured([r, d, v], 1) == pytest.approx((1e-3, 1e-2, True))
    assert newton.measured([torch.tensor([[0.0, 1e-3]]), d, v], 1) == pytest.approx((1e-1, 1e-2, True))
    for bad in (torch.nan, torch.inf):
        for i in range(3):
            parts = [x.clone() for x in (r, d, v)]
            parts[i][0, 1] = bad
            assert not newton.measured(parts, 1)[2]
    assert newton.measured([torch.zeros(1, 2)] * 3, 1) == (0.0, 0.0, True)


# ---- who runs ---------------------------------------------------------------------------------------------------------


def test_a_schedule_is_followed() -> None:
    text = "seq 1\ncell A over t:\n    dim N\n    in x : [N]\n    param w : [N] init 0.5\n    state h : [N] init 0\n"
    text += "    h = tanh(w * h[t-1] + x)\n    out y : [N] = h\n    schedule:\n        scan = newton(tolerance = 1e-9, iterations = 50)\n"
    module = seqc.load(text)
    layer = module.A(N=3, dtype=F64, backend="native")
    assert layer.newton == newton.Settings(tolerance=1e-9, iterations=50)
    x = drawn(40)[..., :3]
    y = layer(x)[0]
    assert layer.newton_report().solved == 1
    assert ratio(twin(layer, "reference")(x)[0], y) <= 1e-9
    other = module.A(N=3, dtype=F64, scan="sequential")
    other(x)
    assert other.newton is None and other.newton_report().solved == 0
    assert module.A(N=3, dtype=F64, scan="newton").newton == newton.Settings()


def test_called_bodies_are_solved_too() -> None:
    text = "seq 1\ncell A over t:\n    dim N\n    in x : [N]\n    param w : [N] init 0.5\n    state h : [N] init 0\n"
    text += "    h = tanh(w * h[t-1] + x)\n    out y : [N] = h\nblock B:\n    dim N\n    in x : [t, N]\n    out y : [t, N] = A(A(x))\n"
    text += "block C:\n    dim N\n    in x : [t, N]\n    out y : [t, N] = tanh(linear(x))\n"
    module = seqc.load(text)
    layer = module.B(N=3, dtype=F64, scan="newton")
    x = drawn(40)[..., :3]
    y = layer(x)[0]
    assert layer.newton_report().solved == 2
    assert ratio(twin(layer, "reference")(x)[0], y) <= LIMIT
    with pytest.raises(NoKernel, match="no loop"):
        module.C(N=3, scan="newton")


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoKernel, match="its Jacobian is dense"):
        seqc.load("gru").GRU(D=4, scan="newton")
    with pytest.raises(NoKernel, match="not differentiable"):
        seqc.load("lif").LIF(N=4, scan="newton")
    cell = seqc.load("indrnn").IndRNN
    with pytest.raises(ValueError, match="has no scan"):
        cell(D=4, scan="newton", backend="reference")
    with pytest.raises(ValueError, match="has no scan"):
        cell(D=4, scan="chunked")
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(NoCompiler):
        cell(D=4, scan="newton")


@pytest.mark.parametrize(
    ("scan", "want"),
    [
        ("newton", newton.Settings()),
        ("newton()", newton.Settings()),
        ("newton(diagonal, 0.5)", newton.Settings("diagonal", 0.5)),
        ("newton(tolerance=1e-3, iterations = 7)", newton.Settings(tolerance=1e-3, iterations=7)),
        ("sequential", None),
    ],
)
def test_settings(scan: str, want: newton.Settings | None) -> None:
    assert newton.settings(scan) == want


@pytest.mark.parametrize(
    "options",
    "jacobian=half; trust=0; trust=2; tolerance=0; tolerance=x; iterations=0; iterations=1.5; steps=3; trust=1, trust=1".split("; "),
)
def test_settings_that_make_no_sense(options: str) -> None:
    with pytest.raises(ValueError, match="scan="):
        newton.settings(f"newton({options})")


def test_layers_are_copied_pickled_and_traced() -> None:
    layer, reference = pair("indrnn")
    x = drawn(20)
    want = layer(x)[0]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], want)
        assert other.newton_report().solved == 2 and layer.newton_report().solved == 1
    traced = torch.compile(layer, backend="aot_eager")
    assert torch.equal(traced(x)[0], want)
    y = seqc.load("indrnn").IndRNN(D=8, scan="newton", dtype=torch.bfloat16)
    assert y(x.to(torch.bfloat16))[0].dtype == torch.bfloat16 and y.newton_report().solved == 1


@needs_interpreter
@pytest.mark.parametrize(("name", "how"), [("paragru", "plain"), ("paralstm", "both")])
def test_triton_kernels_in_the_interpreter(name: str, how: str) -> None:
    """The same driver, the iteration as an associative scan."""
    layer, reference = pair(name, backend="triton")
    assert all(part[4] for about in layer.TRITON_NEWTON for part in about[2]), "many steps at a time"
    found = differences(run(reference, {"x": drawn(9)}, (), how), run(layer, {"x": drawn(9)}, (), how))
    assert max(found.values()) <= LIMIT, found
    assert layer.newton_report().solved == 1 and layer.newton_report().fallbacks == 0


# ---- random cells -----------------------------------------------------------------------------------------------------

SEEDS, MANY = range(5000, 5150), range(6000, 7500)
LEAST = 10
"""So many of the random cells must have been solved."""


def in_one_unit(cells: list[Any]) -> None:
    """Puts the functions of all iterations into one translation unit."""
    functions: list[tuple[str, int, str]] = []
    waiting: list[Any] = []
    for layer in cells:
        for number, about in enumerate(layer.NEWTON):
            solver = newton_of(layer, number, False, layer.newton)
            if about is None or solver is None:
                continue
            texts = [about[1][0], *(p[3] for p in about[2])]
            for kernel, text in zip((solver.read, *(p.kernel for p in solver.parts)), texts, strict=True):
                name = f"n{len(functions)}"
                functions.append((name, kernel.forward.slots, renamed(text, kernel.forward.name, name)))
                kernel.forward.name = name
                waiting.append(kernel)
    unit = Unit(functions)
    for kernel in waiting:
        kernel.units[kernel.forward.name] = unit


def check_cells(seeds: range) -> int:
    """Compares the cells among these that are nonlinear; how many runs were solved."""
    cells = [c for c in (random_cell(seed, jumps=False) for seed in seeds) if "nonlinear" in c.words]
    text = spec_of(cells)
    module = seqc.load(text)
    program = advance(_begun(text), "spec").program
    bodies = {b.name: b for b in (program.bodies[k] for k in program.exports)}
    cells = [c for c in cells if any(getattr(module, c.name).NEWTON)]
    layers = []
    for cell in cells:
        torch.manual_seed(0)
        layers.append(getattr(module, cell.name)(dtype=F64, backend="native", scan="newton", **cell.sizes))
    said = []
    solved = 0
    with unoptimised(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        in_one_unit(layers)
        for i, (cell, layer) in enumerate(zip(cells, layers, strict=True)):
            body, how = bodies[cell.name], ("plain", "both")[i % 2]
            values = sample.draw(body, cell.sizes, BATCH, STEPS).values
            once = tuple(k for k in values if body.table[k].once)
            found = differences(run(twin(layer, "reference"), values, once, how), run(layer, values, once, how))
            wrong = {k: v for k, v in found.items() if not v <= LIMIT}
            report = layer.newton_report()
            solved += report.solved
            if wrong or report.solved + report.fallbacks == 0:
                said.append(f"{cell.name} {how}: {wrong} {report}\n{cell.text}")
    assert not said, "\n".join(said)
    return solved


def test_random_cells() -> None:
    assert check_cells(SEEDS) >= LEAST


@pytest.mark.slow
def test_many_random_cells() -> None:
    assert sum(check_cells(range(first, first + 150)) for first in MANY[::150]) >= 10 * LEAST

"""Matrix products inside Triton kernels, interpreted: weights held in a program, by sums of products and by `tl.dot`, and stages.

Random kernels against the float64 interpreter of kernels, in guarded memory and any order of programs; bundled specs and random
cells against the reference in float64; the choice between forms; steps that are recorded and played again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import seqc
from numeric.native_compare import differences, twin
from numeric.native_compare import run as outcome_of
from numeric.random_cells import random_cell, spec_of
from numeric.random_kernels import draw, random_dense_kernel
from numeric.test_native_random import layer_and_inputs
from numeric.test_triton_kernels import apart, expected, outcome
from numeric.test_triton_specs import HOW, compared, small  # noqa: F401
from numeric.triton_units import build, guarded, needs_interpreter, shuffled
from seqc.compiler.driver.load import _begun
from seqc.compiler.driver.pipeline import advance
from seqc.compiler.ir.kernel import Product
from seqc.compiler.lower.kernels.stages import staged
from seqc.compiler.lower.triton.emit_dense import forms
from seqc.runtime.native import calls
from seqc.runtime.native.ops import run, run_step
from seqc.runtime.triton import loop as loops
from seqc.runtime.triton.dense import DenseKernel
from seqc.runtime.triton.hold import choose_form
from seqc.runtime.triton.limits import LIMITS, Manner, manner
from seqc.runtime.triton.steps import StepPlan

pytestmark = needs_interpreter
DENSE = ("elman", "jordan", "lstm", "lstm_peephole", "gru", "leaky_rnn", "slstm", "lssl")
WAYS: dict[str, tuple[Any, bool]] = {"sums": ("fused", False), "dots": ("fused", True), "stages": ("steps", False)}
SIZES = tuple({"H": h, "M": n, "N": n, "V": v} for h, n, v in ((3, 5, 2), (1, 1, 3), (2, 17, 1), (4, 2, 4)))
SHAPES = ((2, 3), (1, 1), (3, 2), (2, 0), (17, 2))


# ---- random kernels ---------------------------------------------------------------------------------------------------


def agrees(seed: int, way: str, dtype: torch.dtype, limit: float) -> str:
    """One random kernel at one shape, one way."""
    raw = random_dense_kernel(seed, f"d{seed}")
    kernel = build(raw, f"d{seed}")
    sizes, (batch, length) = SIZES[seed % len(SIZES)], SHAPES[seed % len(SHAPES)]
    operands = draw(raw, sizes, batch, length, seed, dtype)
    if isinstance(kernel, DenseKernel):
        form, dot = WAYS[way]
        kernel.form, kernel.manner = form, Manner(dot, dtype)
    with guarded():
        values, gradients = outcome(kernel, operands, dtype, seed)
    wanted, slopes = expected(raw, operands, sizes, batch, length, seed)
    return apart(values, wanted, limit) or apart(gradients, slopes, 2 * limit)


def check(seeds: range, dtype: torch.dtype, limit: float, ways: tuple[str, ...] = ()) -> None:
    every = tuple(WAYS)
    wrong = []
    for seed in seeds:
        for way in ways or (every[seed % len(every)],):
            found = agrees(seed, way, dtype, limit)
            if found:
                wrong.append(f"seed {seed}, {way}: {found}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("first", range(0, 24, 6))
def test_random_kernels_with_products(first: int) -> None:
    check(range(first, first + 6), *((torch.float32, 3e-4) if first % 4 else (torch.float64, 1e-9)))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 420, 20))
def test_many_random_kernels_with_products(first: int) -> None:
    check(range(first, first + 20), torch.float64, 1e-9, tuple(WAYS))


@pytest.mark.parametrize("way", WAYS)
def test_any_order_of_programs_gives_the_same_bits(way: str) -> None:
    raw = random_dense_kernel(2, "order")
    kernel = build(raw, "order")
    assert isinstance(kernel, DenseKernel)
    form, dot = WAYS[way]
    kernel.form, kernel.manner = form, Manner(dot, torch.float32)
    operands = draw(raw, SIZES[0], 3, 3, 2, torch.float32)
    first = outcome(kernel, operands, torch.float32, 2)
    with shuffled(2):
        second = outcome(kernel, operands, torch.float32, 2)
    assert all(torch.equal(a, b) for a, b in zip((*first[0], *first[1]), (*second[0], *second[1]), strict=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_storage(dtype: torch.dtype, way: str) -> None:
    """What lies in 16 bits is float32 on the way, products included: the interpreter rounds results only."""
    raw = random_dense_kernel(5, "narrow")
    kernel = build(raw, "narrow")
    assert isinstance(kernel, DenseKernel)
    operands = draw(raw, SIZES[0], 2, 3, 5, dtype)
    weights = [operands[w[0]].dtype for w in kernel.forward.held]
    assert manner(torch.float32, weights) == Manner(True, torch.float32)
    form, dot = WAYS[way]
    kernel.form, kernel.manner = form, Manner(dot, torch.float32)
    values, gradients = outcome(kernel, operands, dtype, 5)
    wanted, slopes = expected(raw, operands, SIZES[0], 2, 3, 5)
    assert not apart(values, wanted, 2**-6) and not apart(gradients, slopes, 2**-4)


def test_nothing_to_do() -> None:
    """No sequences, no steps, an axis of size 0, in stages as in one launch."""
    raw = random_dense_kernel(2, "nothing")
    kernel = build(raw, "nothing")
    assert isinstance(kernel, DenseKernel)
    for batch, length, sizes in ((0, 2, SIZES[0]), (2, 0, SIZES[0]), (2, 2, SIZES[0] | {"M": 0, "N": 0})):
        found = []
        for form in ("fused", "steps"):
            kernel._plans.clear()
            kernel.form = form  # type: ignore[assignment]
            found.append(outcome(kernel, draw(raw, sizes, batch, length, 2, torch.float64), torch.float64, 2))
        for a, b in zip((*found[0][0], *found[0][1]), (*found[1][0], *found[1][1]), strict=True):
            assert a.shape == b.shape and torch.equal(a, b)


# ---- cells ------------------------------------------------------------------------------------------------------------


@contextmanager
def taken(way: str) -> Iterator[list[str]]:
    """All kernels with products go this way in float64; the forms that were taken."""
    before, launch = DenseKernel.__init__, DenseKernel._launch
    gone: list[str] = []

    def init(self: Any, *given: Any) -> None:
        before(self, *given)
        form, dot = WAYS[way]
        self.form, self.manner = form, Manner(dot, torch.float64)

    def launched(self: Any, *given: Any) -> Any:
        made = launch(self, *given)
        gone.append("steps" if isinstance(made, StepPlan) else "fused")
        return made

    held = dict(calls._made)
    calls._made.clear()
    DenseKernel.__init__, DenseKernel._launch = init, launched  # type: ignore[method-assign]
    try:
        yield gone
    finally:
        DenseKernel.__init__, DenseKernel._launch = before, launch  # type: ignore[method-assign]
        calls._made.clear()
        calls._made.update(held)


@pytest.mark.parametrize(("spec", "how", "way"), [("gru", "ragged", "stages"), ("lstm", "reset", "dots"), ("slstm", "plain", "stages")])
def test_a_way_is_the_reference(spec: str, how: str, way: str) -> None:
    with taken(way) as gone:
        compared(spec, (how,))
    assert set(gone) == {WAYS[way][0]}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spec", DENSE)
def test_each_way_is_the_reference(spec: str, way: str) -> None:
    with taken(way) as gone:
        compared(spec, HOW)
    assert set(gone) == {WAYS[way][0]}


def cells_agree(seeds: range, way: str) -> int:
    """Random cells with layers that read the state, against the reference; how many launches or loops had products."""
    cells = [random_cell(seed, dense=True) for seed in seeds]
    text = spec_of(cells)
    module = seqc.load(text)
    program = advance(_begun(text), "spec").program
    bodies = {b.name: b for b in (program.bodies[k] for k in program.exports)}
    wrong = []
    with taken(way) as gone:
        for i, cell in enumerate(cells):
            layer, values, once = layer_and_inputs(module, bodies[cell.name], cell)
            how = ("plain", "both")[i % 2]
            found = differences(outcome_of(layer, values, once, how), outcome_of(twin(layer, "triton"), values, once, how))
            said = {k: v for k, v in found.items() if not v <= 1e-9}
            if said:
                wrong.append(f"{cell.name} {how}: {said}\n{cell.text}")
    assert not wrong, "\n".join(wrong)
    return len(gone)


@pytest.mark.parametrize("way", WAYS)
def test_random_cells(way: str) -> None:
    first = 3 * list(WAYS).index(way)
    assert cells_agree(range(first, first + 3), way)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", range(100, 180, 20))
def test_many_random_cells(first: int, way: str) -> None:
    assert cells_agree(range(first, first + 20), way)


def test_steps_and_single_precision() -> None:
    """`step` against `forward`, in stages and in one launch."""
    torch.manual_seed(0)
    for form in ("fused", "steps"):
        layer = seqc.load("lstm").LSTM(D=3, N=5, backend="triton")
        for number in (0, 1):
            kernel: Any = calls.chosen(layer, number, True)
            kernel.form = form
            kernel._plans.clear()
        x = torch.randn(2, 3, 3)
        y, _ = layer(x)
        assert y.dtype == torch.float32
        held = layer.init_state(2)
        for t in range(3):
            y_t, held = layer.step(x[:, t], held)
            assert torch.allclose(y_t, y[:, t], atol=1e-6)
    for number in (0, 1):
        kernel = calls.chosen(layer, number, True)
        kernel.form = None
        kernel._plans.clear()


# ---- stages -----------------------------------------------------------------------------------------------------------


def test_stages_stand_between_products() -> None:
    """No stage has a product; what an LSTM needs between products is little."""
    for seed in range(40):
        raw = random_dense_kernel(seed)
        f = forms(raw)
        for cut in (staged(f.flat, f.derivative.extra), staged(f.derivative.kernel, (), f.flat)):
            for stage in cut.stages:
                assert stage is None or not any(isinstance(s, Product) for s in stage.kernel.step)
            assert sorted(p for g in cut.groups for p in g.products) == list(range(len(cut.products)))
            for g in cut.groups:
                assert len({cut.products[p].arg for p in g.products}) == 1
    kernel: Any = calls.chosen(seqc.load("lstm").LSTM(D=3, N=5, backend="triton"), 0, True)
    forwards = kernel.steps[0]
    assert forwards.order == (("group", 0), ("stage", 0)) and len(forwards.groups[0].members) == 4 and not forwards.values


class Player:
    """What a graph does: the same steps again, then the clock goes on."""

    def __init__(self, loop: loops.Loop) -> None:
        self.loop = loop
        self.played = 0

    def replay(self) -> None:
        self.played += 1
        self.loop.steps(0, loops.GRAPH)
        self.loop.clock.add_(loops.GRAPH)


@pytest.mark.parametrize("length", [7, 8, 10, 13])
def test_recorded_steps_are_played_again(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording starts from the clock: chunks, and single steps before and after them, are all steps in order."""
    raw = random_dense_kernel(5, "graph")
    kernel = build(raw, "graph")
    assert isinstance(kernel, DenseKernel)
    kernel.form, kernel.manner = "steps", Manner(False, torch.float64)
    operands = draw(raw, SIZES[3], 2, length, 1, torch.float64)
    want, slopes = outcome(kernel, operands, torch.float64, 1)
    monkeypatch.setattr(loops, "GRAPH", 4)
    monkeypatch.setattr(loops, "WORTH", 2)
    players: list[Player] = []

    def recorder(loop: loops.Loop) -> Player:
        players.append(Player(loop))
        return players[-1]

    played = loops.played
    monkeypatch.setattr(loops, "played", lambda loop, record: played(loop, recorder))
    values, gradients = outcome(kernel, operands, torch.float64, 1)
    assert [p.played for p in players] == ([] if length < 8 else [(length - 2) // 4] * 2)
    assert all(torch.equal(a, b) for a, b in zip((*want, *slopes), (*values, *gradients), strict=True))


# ---- the choice -------------------------------------------------------------------------------------------------------


def choice(cell: Any, sizes: dict[str, int], dtype: torch.dtype, target: str, batch: int = 64) -> Any:
    """What is chosen for the forward pass of a cell."""
    layer = cell(backend="reference", device="meta", **sizes)
    kernel: Any = calls.kernels_of(cell.TRITON, cell.TRITON_STEPS)[0]
    f = kernel.forward
    real = torch.float64 if dtype == torch.float64 else torch.float32
    way = Manner(True, dtype) if dtype.itemsize == 2 else Manner(False, real)
    lengths = {a: layer.sizes[a] for a in f.axes}
    return choose_form(f.axes, f.split, f.held, f.arrays, lengths, batch, way, LIMITS[target], real)


def test_the_choice_follows_from_sizes_and_machine() -> None:
    lstm, slstm = seqc.load("lstm").LSTM, seqc.load("slstm").SLSTM
    held = choice(lstm, {"D": 64, "N": 64}, torch.float32, "sm_90")
    assert held.form == "fused" and held.hold.weights == 4 * 64 * 64 * 4 and not held.why
    wide = choice(lstm, {"D": 128, "N": 128}, torch.float32, "sm_90")
    assert wide.form == "steps" and "262144 bytes" in wide.why or "bytes of registers" in wide.why
    narrow = choice(lstm, {"D": 128, "N": 128}, torch.bfloat16, "sm_90")
    assert narrow.form == "fused" and narrow.how.dot and narrow.hold.blocks.batch == 16 and narrow.hold.weights == 4 * 128 * 128 * 2
    assert choice(lstm, {"D": 256, "N": 256}, torch.bfloat16, "sm_90").form == "steps"
    assert choice(lstm, {"D": 128, "N": 128}, torch.bfloat16, "sm_80").form == "steps"
    # heads do not count: a program has one
    many = choice(slstm, {"D": 1024, "H": 16}, torch.float32, "sm_90")
    assert many.form == "fused" and many.hold.weights == 4 * 64 * 64 * 4 and many.hold.blocks.axes[0] == 1
    # few or many sequences, not how many
    assert choice(lstm, {"D": 8, "N": 8}, torch.float32, "sm_90", 33) == choice(lstm, {"D": 8, "N": 8}, torch.float32, "sm_90", 1000)


def test_precision_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 is exact unless torch's own products need not be; 16 bits stay 16 bits only on a GPU."""
    assert manner(torch.float32, [torch.float32]) == Manner(False, torch.float32)
    assert manner(torch.float64, [torch.float64]) == Manner(False, torch.float64)
    monkeypatch.setattr("seqc.runtime.triton.limits.loose", lambda: True)
    assert manner(torch.float32, [torch.float32]) == Manner(True, torch.float32, "tf32")
    monkeypatch.setattr("seqc.runtime.triton.limits.interpreting", lambda: False)
    assert manner(torch.float32, [torch.bfloat16, torch.bfloat16]) == Manner(True, torch.bfloat16)
    assert manner(torch.float32, [torch.bfloat16, torch.float32]) == Manner(True, torch.float32, "tf32")


def test_one_step_alone() -> None:
    raw = random_dense_kernel(2, "one")
    kernel = build(raw, "one")
    operands = draw(raw, SIZES[0], 2, 1, 2, torch.float64)
    whole = run(kernel, operands, torch.float64)
    single = [x[:, 0] if o.kind == "step" else x for x, o in zip(operands, raw.operands, strict=True)]
    rows = kernel.rows
    for a, b in zip(whole, run_step(kernel, single, torch.float64), strict=True):
        assert torch.equal(a[:, 0] if rows > 0 else a, b)
        rows -= 1

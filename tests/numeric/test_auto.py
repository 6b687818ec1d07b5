"""`scan="auto"` on a GPU: the mode of each call by the cost model, tried in Triton's interpreter on machines made up for it; and that a
module decides as `seqc explain` does."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import seqc
from numeric.native_compare import differences, run, twin
from numeric.native_units import compiler
from numeric.tolerances import ratio
from numeric.triton_units import needs_interpreter
from seqc.compiler.driver.explain.choices import report
from seqc.compiler.driver.options import Options
from seqc.compiler.driver.pipeline import advance, compiled
from seqc.compiler.driver.target import target_of
from seqc.runtime.cost.devices import DEVICES, Device
from seqc.runtime.native import calls, choice
from seqc.runtime.newton import Newton
from seqc.runtime.triton import auto
from seqc.runtime.triton import kernel as launcher

H200 = DEVICES["h200"]
SLOW = replace(H200, memory=1e-3, launch=0.0, operation=0.0, wait=0.0)
"""A machine on which every load takes a millisecond: steps beside each other are worth everything."""
QUICK = replace(H200, memory=1e-9, launch=1e-3)
"""One on which launches cost more than steps."""
CELLS = {"mingru": ("MinGRU", "associative"), "indrnn": ("IndRNN", "newton")}


def made(name: str, **more: Any) -> Any:
    torch.manual_seed(0)
    return getattr(seqc.load(name), CELLS[name][0])(D=4, dtype=torch.float64, **more)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modes of the kernels that ran."""
    found: list[str] = []
    real = calls.run_kernel

    def seen(kernel: Any, operands: Any, dtype: Any) -> Any:
        found.append("newton" if isinstance(kernel, Newton) else "associative" if kernel.forward.tiles else "sequential")
        return real(kernel, operands, dtype)

    monkeypatch.setattr(calls, "run_kernel", seen)
    return found


def on(monkeypatch: pytest.MonkeyPatch, device: Device | None) -> None:
    monkeypatch.setattr(auto, "machine", lambda _: device)


@needs_interpreter
@pytest.mark.parametrize("name", CELLS)
def test_the_mode_follows_the_machine(name: str, taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    layer = made(name, backend="triton")
    reference = twin(layer, "reference")
    x = torch.randn(2, 40, 4, dtype=torch.float64)
    want = reference(x)[0]
    for device, mode in ((None, "sequential"), (QUICK, "sequential"), (SLOW, CELLS[name][1])):
        on(monkeypatch, device)
        with torch.no_grad():
            got = layer(x)[0]
        assert taken.pop() == mode and not taken, device
        assert ratio(want, got) <= 1e-9
    # what is asked for is what runs
    serial = made(name, backend="triton", scan="sequential")
    with torch.no_grad():
        serial(x)
    assert taken == ["sequential"]


@needs_interpreter
def test_gradients_are_those_of_the_mode_that_ran(taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, SLOW)
    layer = made("mingru", backend="triton")
    x = torch.randn(2, 21, 4, dtype=torch.float64)
    found = differences(run(twin(layer, "reference"), {"x": x}, (), "both"), run(layer, {"x": x}, (), "both"))
    assert {"value 0", "gradient of x"} <= set(found) and max(found.values()) <= 1e-9, found
    assert set(taken) == {"associative"}


@needs_interpreter
def test_newton_is_left_where_it_cannot_be_had(taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, SLOW)
    layer = made("indrnn", backend="triton")
    x = torch.randn(1, 40, 4, dtype=torch.float64)
    with torch.no_grad():
        layer(x)
        with monkeypatch.context() as recorded:
            recorded.setattr(auto, "recording", lambda _: True)
            layer(x)
        layer.report.fallbacks = 1
        layer(x)
    assert taken == ["newton", "sequential", "sequential"]
    assert layer.newton_report().solved == 1


@needs_interpreter
def test_newton_backwards_is_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows have all that the adjoint reads; with resets they do not, and it walks."""
    monkeypatch.setattr(launcher, "STEPS", 4)
    layer = made("indrnn", backend="triton", scan="newton")
    plain, masked = (calls.newton_of(layer, number, True, layer.newton) for number in (0, 1))
    assert plain is not None and masked is not None
    assert plain.back is not plain.base and plain.back.adjoint.tiles and masked.back is masked.base  # type: ignore[attr-defined]
    ran: list[bool] = []
    monkeypatch.setattr(plain.back, "run_adjoint", lambda *given, real=plain.back.run_adjoint: (ran.append(True), real(*given))[1])
    x = torch.randn(1, 33, 4, dtype=torch.float64)
    found = differences(run(twin(layer, "reference"), {"x": x}, ()), run(layer, {"x": x}, ()))
    assert ran and {"gradient of x"} <= set(found) and max(found.values()) <= 1e-9, found
    assert not seqc.load("paralstm").ParaLSTM.NEWTON_ADJOINT, "its second state is in no row"


def test_a_slow_iteration_is_remembered() -> None:
    """What this module needed the last time is what the next decision counts with."""
    key = auto.known(seqc.load("paragru").ParaGRU)
    sizes = (("H", 1), ("Q", 256))
    modes = [auto.decision(key, 0, 1, 65536, sizes, 4, False, count, ("reference",), H200).mode for count in (0, 4, 500)]
    assert modes == ["newton", "newton", "sequential"]


@pytest.mark.parametrize("device", ["h200", "a100", "mi300x"])
@pytest.mark.parametrize("name", ["indrnn", "mingru", "paralstm", "rwkv4"])
def test_modules_decide_as_explain_says(name: str, device: str) -> None:
    for batch, length, training in ((1, 65536, False), (64, 1024, True)):
        run_ = advance(compiled(target_of(name), Options.make({}, device=device, batch=batch, time=length), until="plan"), "kernel")
        for told in report(run_).loops:
            said = told.training if training else told.forward
            cls = getattr(seqc.load(name), told.body)
            number = next(i for i, one in enumerate(auto.loops(cls)) if one.names == told.states)
            sizes = tuple(told.sizes.items())
            found = auto.decision(auto.known(cls), number, batch, length, sizes, 4, training, 0, (), DEVICES[device])
            assert said is not None and (found.mode, found.best.seconds, found.why) == (said.mode, said.seconds, said.why)


@pytest.mark.parametrize("name", ["lstm", "indrnn", "mingru", "gated_deltanet", "aaren"])
def test_facts_name_the_kernels_that_there_are(name: str) -> None:
    module = seqc.load(name)
    made_ = [m for word in module.__all__ for m in getattr(module, word)(D=8, backend="reference").modules()]
    for cls in {type(m) for m in made_ if hasattr(m, "FACTS")}:
        assert len(cls.FACTS) == len(cls.TRITON)
        for number, (one, told) in enumerate(zip(cls.TRITON, auto.loops(cls), strict=True)):
            assert told.built and set(told.built) <= {"sequential", "associative", "newton", "fused", "steps"}
            assert ("newton" in told.built) == (bool(cls.TRITON_NEWTON) and cls.TRITON_NEWTON[number] is not None)
            assert ("associative" in told.built) == (len(one) > 4)


def test_explain_choice() -> None:
    layer = seqc.load("indrnn").IndRNN(D=256, backend="reference")
    long, many = layer.explain_choice(1, 65536, device="h200"), layer.explain_choice(64, 1024, training=True, device="a100")
    assert "NVIDIA H200 SXM, 1 x 65536\n" in long and "IndRNN {h}: newton" in long and "runner-up sequential" in long
    assert "NVIDIA A100 80 GB SXM, 64 x 1024, with gradients" in many and "IndRNN {h}: sequential" in many
    assert "because" in long and long.count("IndRNN") == 1, "the form with resets says nothing new"
    mixed = seqc.load("gated_mixer").GatedMixer(D=8, backend="reference").explain_choice(8, 64)
    assert "MinGRU {h" in mixed, "bodies that are called"
    assert "no loop over time" in seqc.load("attention").Attention(D=8, backend="reference").explain_choice(8, 64)
    with pytest.raises(ValueError, match="h900.*h200"):
        layer.explain_choice(1, 2, device="h900")


def test_auto_on_a_gpu_is_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPU here: runs and tensors that say they are on one."""
    monkeypatch.setattr(calls.gpu, "installed", lambda: True)
    monkeypatch.setattr(choice, "auto", True)
    layer = seqc.load("mingru").MinGRU(D=4)
    here = SimpleNamespace(device=torch.device("cuda"), watch=None, dtype=torch.float32, length=8)
    assert calls.steps(layer, here) and calls.ready(layer, here)
    assert not calls.steps(layer, SimpleNamespace(**{**vars(here), "dtype": torch.complex64}))
    assert not calls.steps(seqc.load("attention").Attention(D=8), here), "a body without kernels"

    class There(torch.Tensor):
        is_cuda = True

    there = torch.zeros(1).as_subclass(There)
    assert calls.on_triton(layer, [1.0, there]) and not calls.on_triton(layer, [torch.zeros(1)])
    assert not calls.on_triton(seqc.load("mingru").MinGRU(D=4, backend="reference"), [there])
    monkeypatch.setattr(choice, "reference", True)
    assert not calls.steps(layer, here)
    monkeypatch.setattr(choice, "reference", False)
    monkeypatch.setattr(calls.gpu, "installed", lambda: False)
    assert not calls.steps(layer, here), "without Triton the reference runs"


@pytest.mark.skipif(not compiler(), reason="there is no C compiler")
def test_the_cpu_is_as_it_was(taken: list[str]) -> None:
    layer = made("indrnn")
    with torch.no_grad():
        layer(torch.randn(1, 300, 4, dtype=torch.float64))
    assert layer.newton_report().solved == 0 and auto.machine(torch.device("cpu")) is None

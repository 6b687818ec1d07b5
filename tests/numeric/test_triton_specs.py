"""Every bundled spec with `backend="triton"`, interpreted, against the reference in float64: outs, states, gradients.

Plain, reset and ragged by turns; the slow tests take all three for each body, and the self-checks of `seqc verify`.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import seqc
from numeric import test_native_specs as native
from numeric.test_native_specs import IN_SCOPE, bodies, outcome, same
from numeric.triton_units import chunks, cut, needs_interpreter, tiles
from seqc.compiler.driver import sample
from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton.blocks import Blocks

pytestmark = needs_interpreter
HOW = ("plain", "reset", "ragged")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Few steps, chunks of two, all sequences in one program: the interpreter takes a millisecond for each operation."""
    monkeypatch.setattr(native, "BATCH", 2)
    monkeypatch.setattr(native, "STEPS", 5)
    choose = launcher.choose

    def chosen(*given: Any) -> Blocks:
        found = choose(*given)
        return Blocks(found.axes, 2, 1, 1)

    monkeypatch.setattr(launcher, "choose", chosen)
    with chunks(2):
        yield


def compared(spec: str, hows: tuple[str, ...], scan: str = "auto") -> None:
    module, cells = bodies(spec)
    assert cells, "no kernel was found"
    for body in cells:
        cls = getattr(module, body.name)
        assert cls.TRITON and len(cls.TRITON) == len(cls.KERNELS)
        sizes, reference, interpreted = layers(module, body, scan)
        values = {k: v.double() if v.is_floating_point() else v for k, v in sample.draw(body, sizes, 2, 5).values.items()}
        for how in hows:
            for a, b in zip(outcome(reference, values, how), outcome(interpreted, values, how), strict=True):
                for i, (x, y) in enumerate(zip(a, b, strict=True)):
                    zero = torch.zeros(())
                    x, y = zero if x is None else x, zero if y is None else y
                    x, y = torch.broadcast_tensors(x, y)
                    assert same(x, y), f"{body.name}, {how}: number {i}"


def layers(module: Any, body: Any, scan: str) -> tuple[dict[str, int], Any, Any]:
    sizes, reference, _ = native.layers(module, body)
    other = copy.deepcopy(reference)
    for part in other.modules():
        part.backend, part._scan = "triton", scan
    return sizes, reference, other


@pytest.mark.parametrize("spec", IN_SCOPE)
def test_triton_is_the_reference(spec: str) -> None:
    compared(spec, (HOW[IN_SCOPE.index(spec) % 3],))


@pytest.mark.slow
@pytest.mark.parametrize("spec", IN_SCOPE)
def test_triton_is_the_reference_in_every_way(spec: str) -> None:
    compared(spec, HOW)


MANY = (("mingru", "ragged"), ("lru", "reset"), ("aaren", "plain"), ("rwkv4", "plain"), ("mamba1", "plain"))


@pytest.mark.parametrize(("spec", "how"), MANY)
def test_many_steps_at_a_time(spec: str, how: str) -> None:
    """The associative mode: diagonal, pairs, a maximum with what hangs on it, an inner axis."""
    module, cells = bodies(spec)
    assert all(len(one) >= 12 for body in cells for one in getattr(module, body.name).TRITON)
    with tiles(4):
        compared(spec, (how,), "associative")


@pytest.mark.parametrize(("spec", "how"), (("mingru", "reset"), ("lru", "plain"), ("aaren", "ragged")))
def test_in_segments(spec: str, how: str) -> None:
    """The same with each sequence cut into segments of one tile: resets and ends inside, a cascade, totals."""
    with tiles(2), cut(1):
        compared(spec, (how,), "associative")


@pytest.mark.slow
@pytest.mark.parametrize("spec", [s for s, _ in MANY])
def test_in_segments_in_every_way(spec: str) -> None:
    with tiles(2), cut(1):
        compared(spec, HOW, "associative")


def test_the_associative_mode_is_a_promise() -> None:
    with pytest.raises(RuntimeError, match="SEQ0604.*relu"):
        seqc.load("indrnn").IndRNN(D=4, backend="triton", scan="associative")
    with pytest.raises(ValueError, match="associative"):
        seqc.load("mingru").MinGRU(D=4, backend="reference", scan="associative")


def test_single_precision_and_steps() -> None:
    """float32 modules, and `step` against `forward`."""
    torch.manual_seed(0)
    layer = seqc.load("minlstm").MinLSTM(D=5, backend="triton")
    x = torch.randn(2, 4, 5)
    y, state = layer(x)
    want, last = copy.deepcopy(layer).double()(x.double())
    assert torch.allclose(y.double(), want, atol=1e-5) and y.dtype == torch.float32
    held = layer.init_state(2)
    for t in range(4):
        y_t, held = layer.step(x[:, t], held)
        assert torch.allclose(y_t, y[:, t], atol=1e-6)
    for a, b, c in zip(held, state, last, strict=True):
        assert torch.allclose(a, b, atol=1e-6) and torch.allclose(b.double(), c, atol=1e-5)


def test_what_has_no_kernel_is_said() -> None:
    with pytest.raises(RuntimeError, match="SEQ0604.*derivative"):
        seqc.load("online_memory").OnlineMemory(D=4, backend="triton")

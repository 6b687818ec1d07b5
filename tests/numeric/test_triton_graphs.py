"""Nothing on the way of a call waits for the device: what a CUDA graph needs. Here by refusing every operation that would, with kernels in
Triton's interpreter; on a GPU by capturing forward, backward and step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import seqc
from numeric.triton_units import needs_interpreter
from seqc.runtime import packing
from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton import launching

WAITING = frozenset(
    "item tolist cpu numpy __bool__ __int__ __float__ __index__ __complex__ __contains__ nonzero argwhere masked_select unique equal "
    "allclose is_nonzero".split()
)
"""Functions of torch that bring a value to the host, or whose result's shape depends on one."""


class Waits(AssertionError):
    """Something would have waited for the device."""


class NoWaiting(TorchFunctionMode):
    """Refuses what would wait for the device, were the tensors there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        places: Any = args[1] if name in ("__getitem__", "__setitem__") else ()
        masks = [i for i in (places if isinstance(places, tuple) else (places,)) if isinstance(i, Tensor) and i.dtype == torch.bool]
        away = name == "to" and any(str(a) == "cpu" for a in (*args[1:], *(kwargs or {}).values()))
        lone = name == "where" and len(args) == 1 or name == "repeat_interleave" and "output_size" not in (kwargs or {})
        if name in WAITING or masks or away or lone:
            raise Waits(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter looks at values itself: launches are left out."""

    def start(*given: Any) -> None:
        with torch._C.DisableTorchFunction():
            launching.start(*given)

    call = launcher.Launch.call
    monkeypatch.setattr(launcher.Launch, "call", lambda self, operands, launch=start: call(self, operands, launch))


def refused(run: Callable[[], object]) -> bool:
    try:
        with NoWaiting():
            run()
    except Waits:
        return True
    return False


def test_what_waits_is_refused() -> None:
    x = torch.arange(4.0)
    for run in (
        lambda: x.sum().item(), lambda: bool(x[0]), lambda: x.tolist(), lambda: x.cpu(), lambda: x[x > 1], lambda: torch.nonzero(x),
        lambda: x.to("cpu"), lambda: float(x[0]), lambda: torch.where(x > 1), lambda: x.numpy(), lambda: x.repeat_interleave(x.long()),
    ):  # fmt: skip
        assert refused(run)
    assert not refused(lambda: torch.where(x > 1, x, 0.0).cumsum(0)[1:].to(torch.float64).sum())


CELLS = (("mingru", "MinGRU", "D"), ("mamba1", "Mamba1", "D"), ("lru", "LRU", "D"), ("indrnn", "IndRNN", "D"), ("gla", "GLA", "D"))


@needs_interpreter
@pytest.mark.parametrize(("spec", "name", "dim"), CELLS, ids=[c[0] for c in CELLS])
def test_a_call_never_waits(unseen: None, spec: str, name: str, dim: str) -> None:
    """Forward, backward, a state that goes on, resets, and a step. (`lengths` and `cu_seqlens` are looked at: see the next test.)"""
    layer = getattr(seqc.load(spec), name)(**{dim: 8}, backend="triton")
    x = torch.randn(2, 3, 8)
    reset = torch.tensor([[False, True, False], [False, False, True]])
    state = layer.init_state(2)
    with NoWaiting():
        layer(x.clone().requires_grad_())[0].sum().backward()
        with torch.no_grad():
            layer.step(x[:, 0], layer(x, state)[1])
            layer(x, reset=reset)


@needs_interpreter
def test_lengths_do_not_wait_in_a_graph(unseen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of one they are checked, which waits; inside they are taken as they are. cu_seqlens are refused there."""
    layer = seqc.load("mingru").MinGRU(D=4, backend="triton")
    x, lengths = torch.randn(2, 3, 4), torch.tensor([2, 3])
    want = layer(x, lengths=lengths)[0]
    assert refused(lambda: layer(x, lengths=lengths))
    monkeypatch.setattr(packing, "captured", lambda device: True)
    with NoWaiting():
        found = layer(x, lengths=lengths)[0]
    assert torch.equal(found, want)
    with pytest.raises(packing.PackingError, match="cu_seqlens cannot be used while a CUDA graph is captured"):
        layer(x[:1], cu_seqlens=torch.tensor([0, 3]))


@needs_interpreter
def test_resets_in_a_row_are_what_packing_gives(unseen: None) -> None:
    """What the message about cu_seqlens says to do instead."""
    layer = seqc.load("mingru").MinGRU(D=4, backend="triton")
    x = torch.randn(1, 7, 4)
    packed = layer(x, cu_seqlens=torch.tensor([0, 2, 2, 7]))[0]
    reset = torch.zeros(1, 7, dtype=torch.bool)
    reset[0, 2] = True
    torch.testing.assert_close(layer(x, reset=reset)[0], packed)


@needs_interpreter
def test_newton_leaves_a_graph_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often to iterate is for the host to say: while a graph is captured, the loop itself runs."""
    layer = seqc.load("indrnn").IndRNN(D=3, backend="triton", scan="newton")
    x = torch.randn(1, 4, 3)
    want = layer(x)[0]
    assert layer.newton_report().solved == 1
    monkeypatch.setattr(launching.MACHINE, "capturing", lambda: True)
    found = layer(x)[0]
    assert layer.newton_report().solved == 1
    torch.testing.assert_close(found, want)


# ---- on a GPU ---------------------------------------------------------------------------------------------------------

on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")]


def warmed(run: Callable[[], object]) -> None:
    """A few calls on a side stream, as a capture needs them."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)


@pytest.mark.parametrize("scan", ["sequential", "associative"])
@pytest.mark.parametrize("mark", [pytest.param(None, marks=on_gpu)])
def test_forward_and_backward_in_a_graph(mark: None, scan: str) -> None:
    layer = seqc.load("mingru").MinGRU(D=64, device="cuda", backend="triton", scan=scan)
    x = torch.randn(3, 70, 64, device="cuda", requires_grad=True)
    weights = [x, *layer.parameters()]

    def run() -> tuple[Tensor, ...]:
        y = layer(x)[0]
        return (y, *torch.autograd.grad(y.square().sum(), weights))

    warmed(run)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = run()
    with torch.no_grad():
        x.copy_(torch.randn_like(x))
    graph.replay()
    for a, b in zip(found, run(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("how", ["reset", "lengths"])
@pytest.mark.parametrize("mark", [pytest.param(None, marks=on_gpu)])
def test_resets_and_lengths_in_a_graph(mark: None, how: str) -> None:
    layer = seqc.load("mamba1").Mamba1(D=32, device="cuda", backend="triton")
    x = torch.randn(2, 40, 32, device="cuda")
    held = torch.rand(2, 40, device="cuda") < 0.1 if how == "reset" else torch.tensor([13, 40], device="cuda")
    with torch.no_grad():
        warmed(lambda: layer(x, **{how: held}))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = layer(x, **{how: held})[0]
        held.copy_(torch.rand(2, 40, device="cuda") < 0.3 if how == "reset" else torch.tensor([40, 7], device="cuda"))
        graph.replay()
        assert torch.equal(found, layer(x, **{how: held})[0])


@pytest.mark.parametrize("spec", [pytest.param(c, marks=on_gpu, id=c[0]) for c in CELLS])
def test_steps_in_a_graph(spec: tuple[str, str, str]) -> None:
    """The state is copied into place inside the graph: each replay is one step."""
    layer = getattr(seqc.load(spec[0]), spec[1])(**{spec[2]: 64}, device="cuda", backend="triton")
    xs = torch.randn(5, 2, 64, device="cuda")
    x = xs[0].clone()
    with torch.no_grad():
        state = layer.init_state(2)
        held = [s.clone() if isinstance(s, Tensor) else s for s in state]

        def run() -> Tensor:
            y, after = layer.step(x, type(state)(*held))
            for old, new in zip(held, after, strict=True):
                if isinstance(old, Tensor):
                    old.copy_(new)
            return y

        first = copy.deepcopy(held)
        warmed(run)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = run()
        for old, new in zip(held, first, strict=True):
            if isinstance(old, Tensor):
                old.copy_(new)
        now: Any = type(state)(*copy.deepcopy(first))
        for row in xs:
            x.copy_(row)
            graph.replay()
            want, now = layer.step(row, now)
            assert torch.equal(y, want)

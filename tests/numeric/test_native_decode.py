"""`layer.step` as one compiled call: equal to the reference, and never the wrong numbers after something has changed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

import seqc
from numeric.native_units import compiler
from seqc.runtime.native import decode
from seqc.runtime.running import Running

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

CELLS = {
    "elman": "RNN", "gru": "GRU", "lstm": "LSTM", "lstm_peephole": "LSTMPeephole", "indrnn": "IndRNN", "mingru": "MinGRU",
    "minlstm": "MinLSTM", "sru": "SRU", "lif": "LIF", "simple_gla": "SimpleGLA", "gla": "GLA",
    "linear_attention": "LinearAttention",
}  # fmt: skip
BATCH, STEPS = 2, 6


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many steps went the short way."""
    taken: list[int] = []

    def call(self: Any, *given: Any) -> Any:
        found = decode.step(self, *given)
        if found is not None:
            taken.append(1)
        return found

    monkeypatch.setattr(Running, "_at_once", call)
    yield taken


def pair(spec: str, **more: Any) -> tuple[Any, Any, torch.Tensor]:
    """A layer in C, the same on the reference, and inputs [batch, time, axes]."""
    cls = getattr(seqc.load(spec), CELLS[spec])
    torch.manual_seed(0)
    dims = {k: v for k, v in {"D": 8, "N": 8}.items() if k in cls.TABLE.dims}
    ours, theirs = cls(backend="native", **dims, **more), cls(backend="reference", **dims, **more)
    theirs.load_state_dict(ours.state_dict())
    (given,) = cls.TABLE.inputs
    width = [ours.sizes[a] for a in given.axes]
    return ours, theirs, torch.randn(BATCH, STEPS, *width, dtype=ours.dtype)


def walked(layer: Any, x: torch.Tensor, state: Any = None) -> tuple[list[torch.Tensor], Any]:
    """Step by step, without gradients."""
    outs = []
    with torch.no_grad():
        state = layer.init_state(x.shape[0]) if state is None else state
        for t in range(x.shape[1]):
            y, state = layer.step(x[:, t].contiguous(), state)
            outs += tree_leaves(y)
    return outs, state


def same(a: tuple[list[torch.Tensor], Any], b: tuple[list[torch.Tensor], Any], limit: float = 1e-5) -> bool:
    left, right = [*a[0], *tree_leaves(a[1])], [*b[0], *tree_leaves(b[1])]
    assert len(left) == len(right) and all(p.shape == q.shape for p, q in zip(left, right, strict=True))
    return all(torch.allclose(p, q, atol=limit, rtol=limit) for p, q in zip(left, right, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("spec", list(CELLS))
def test_equals_the_reference(spec: str, dtype: torch.dtype, short: list[int]) -> None:
    ours, theirs, x = pair(spec, dtype=dtype)
    assert same(walked(ours, x), walked(theirs, x), 1e-5 if dtype == torch.float32 else 1e-12)
    assert len(short) == STEPS - 1, "the first step looks, the others know"


def test_parameters_that_change(short: list[int]) -> None:
    ours, theirs, x = pair("gru")
    walked(ours, x)
    with torch.no_grad():
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.mul_(1.5)
            q.mul_(1.5)
    assert same(walked(ours, x), walked(theirs, x))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.data = p.data + 0.1
        q.data = q.data + 0.1
    assert same(walked(ours, x), walked(theirs, x))
    ours.r.linear.x = torch.nn.Parameter(ours.r.linear.x.detach() * 2)
    theirs.r.linear.x = torch.nn.Parameter(theirs.r.linear.x.detach() * 2)
    assert same(walked(ours, x), walked(theirs, x))
    changed = {k: v * 0.5 for k, v in ours.state_dict().items()}
    with torch.no_grad():
        state = ours.init_state(BATCH)
        made = torch.func.functional_call(ours, changed, (x[:, :1],))[0][:, 0]
        theirs.load_state_dict(changed)
        assert torch.allclose(made, theirs.step(x[:, 0], state)[0], atol=1e-5)
    assert len(short) == 4 * (STEPS - 1) + 3, "the first step alone takes the long way"


def test_layouts_and_types_that_change(short: list[int]) -> None:
    ours, theirs, x = pair("lstm")
    walked(ours, x)
    assert same(walked(ours, x[:1]), walked(theirs, x[:1])), "another batch"
    with torch.no_grad():
        state = ours.init_state(BATCH)
        spread = torch.randn(BATCH, 16)[:, ::2]
        assert torch.allclose(ours.step(spread, state)[0], theirs.step(spread, state)[0], atol=1e-5)
        with pytest.raises(ValueError, match="expected"):
            ours.step(torch.randn(BATCH, 9), state)
        with pytest.raises((ValueError, TypeError)):
            ours.step(torch.randn(3, 8), state)
    assert same(walked(ours.double(), x.double()), walked(theirs.double(), x.double()), 1e-12)
    assert ours(x.double())[0].dtype == torch.float64


def test_what_goes_the_long_way(short: list[int]) -> None:
    ours, theirs, x = pair("lstm")
    walked(ours, x)
    before = len(short)
    state = ours.init_state(BATCH)
    y, _ = ours.step(x[:, 0], state)
    assert y.requires_grad, "gradients are wanted"
    with torch.no_grad():
        reset = torch.tensor([True, False])
        assert torch.allclose(ours.step(x[:, 0], state, reset=reset)[0], theirs.step(x[:, 0], state, reset=reset)[0], atol=1e-5)
        assert set(ours.step(x[:, 0], state, watch=("i",))[2]) == {"i"}
        assert torch.allclose(ours.step(x[:, 0])[0], theirs.step(x[:, 0])[0], atol=1e-5)
    assert len(short) == before


def test_a_layer_that_has_stepped_is_copied_and_pickled(short: list[int]) -> None:
    ours, theirs, x = pair("lstm")
    want = walked(ours, x)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert same(walked(other, x), want)
        with torch.no_grad():
            for p in other.parameters():
                p.zero_()
        assert not same(walked(other, x), want), "its own numbers"
    assert same(walked(ours, x), want) and same(walked(theirs, x), want)


def test_a_parameter_laid_out_otherwise(short: list[int]) -> None:
    ours, theirs, x = pair("elman")
    walked(ours, x)
    for layer in (ours, theirs):
        layer.h.linear.h.data = layer.h.linear.h.data.t()
    assert same(walked(ours, x), walked(theirs, x))
    ours.h.linear.h.data = torch.zeros(3, 3)
    with torch.no_grad(), pytest.raises((RuntimeError, ValueError)):
        ours.step(x[:, 0], ours.init_state(BATCH))


def test_results_are_new_memory() -> None:
    ours, _, x = pair("mingru")
    with torch.no_grad():
        state = ours.init_state(BATCH)
        first = [ours.step(x[:, 0].contiguous(), state) for _ in range(3)]
    places = {t.data_ptr() for y, s in first for t in (y, *tree_leaves(s))}
    assert len(places) == 2 * len(first)

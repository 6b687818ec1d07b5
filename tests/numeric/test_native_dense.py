"""Products inside the time loop: the bundled cells in C against torch.nn, at sizes that meet every edge of the tiles."""

from __future__ import annotations

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

import seqc
from numeric.native_units import compiler

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

PEERS = {"LSTM": ("lstm", torch.nn.LSTM), "GRU": ("gru", torch.nn.GRU), "RNN": ("elman", torch.nn.RNN)}
GATES = {"LSTM": ("i", "f", "g", "o"), "GRU": ("r", "z", "n"), "RNN": ("h",)}
SIZES = [
    (1, 1, 1, 1),
    (1, 2, 3, 3),
    (2, 3, 17, 17),
    (3, 1, 33, 31),
    (4, 2, 64, 65),
    (7, 3, 16, 32),
    (9, 4, 5, 48),
    (65, 2, 8, 33),
    (130, 2, 3, 7),
]


def pair(name: str, inputs: int, width: int, dtype: torch.dtype) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A cell in C, and torch's with the same numbers."""
    spec, peer = PEERS[name]
    torch.manual_seed(0)
    ours = getattr(seqc.load(spec), name)(D=inputs, N=width, dtype=dtype, backend="native")
    theirs = peer(inputs, width, batch_first=True, dtype=dtype)
    have = dict(ours.named_parameters())

    def joined(what: str) -> torch.Tensor:
        return torch.cat([have[n] for n in names(what)])

    def names(what: str) -> list[str]:
        found = []
        for g in GATES[name]:
            word = "back" if name == "GRU" and g == "n" and what == "h" else g
            found.append(f"{word}.linear.{what}")
        return found

    with torch.no_grad():
        theirs.weight_ih_l0.copy_(joined("x"))
        theirs.weight_hh_l0.copy_(joined("h"))
        theirs.bias_ih_l0.copy_(joined("bias"))
        theirs.bias_hh_l0.zero_()
        if name == "GRU":
            theirs.bias_hh_l0[2 * width :].copy_(have["back.linear.bias"])
    return ours, theirs


def close(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> bool:
    size = max(1.0, float(b.detach().abs().max()) if b.numel() else 0.0)
    return a.shape == b.shape and bool(((a - b).abs() <= (1e-12 if dtype == torch.float64 else 3e-5) * size).all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", list(PEERS))
def test_equals_torch(name: str, size: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    batch, steps, inputs, width = size
    ours, theirs = pair(name, inputs, width, dtype)
    x = torch.randn(batch, steps, inputs, dtype=dtype)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    made, want = ours(a)[0], theirs(b)[0]
    assert close(made, want, dtype)
    noise = torch.randn_like(want)
    made.backward(noise)
    want.backward(noise)
    assert close(a.grad, b.grad, dtype)
    grads = dict(ours.named_parameters())
    for what, held in (("x", theirs.weight_ih_l0.grad), ("h", theirs.weight_hh_l0.grad)):
        for i, g in enumerate(GATES[name]):
            word = "back" if name == "GRU" and g == "n" and what == "h" else g
            assert close(grads[f"{word}.linear.{what}"].grad, held[i * width : (i + 1) * width], dtype), (g, what)


@pytest.mark.parametrize("name", list(PEERS))
@pytest.mark.parametrize("batch", [1, 5, 9, 64, 65])
def test_threads_change_no_bit_of_what_the_loop_computes(name: str, batch: int) -> None:
    """One input channel: torch's own products around the loop are then no sums, which its threads would cut differently."""
    ours, _ = pair(name, 1, 40, torch.float32)
    x = torch.randn(batch, 9, 1)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            start = tree_map(lambda s: (s + 0.1).requires_grad_(), ours.init_state(batch))
            out, last = ours(x, state=start)
            grads = torch.autograd.grad(out.square().sum(), tree_leaves(start))
            found.append((out, *tree_leaves(last), *grads))
    finally:
        torch.set_num_threads(before)
    for these in found[1:]:
        assert all(torch.equal(p, q) for p, q in zip(these, found[0], strict=True))


@pytest.mark.parametrize("name", list(PEERS))
def test_a_step_is_the_sequence(name: str) -> None:
    """A call with few steps reads weights where they lie, a long one packs them."""
    ours, _ = pair(name, 6, 35, torch.float64)
    x = torch.randn(2, 7, 6, dtype=torch.float64)
    whole, _ = ours(x)
    state = ours.init_state(2)
    for t in range(7):
        y, state = ours.step(x[:, t], state)
        assert close(y, whole[:, t], torch.float64)


@pytest.mark.parametrize("size", [(2, 3, 33), (9, 4, 64), (65, 2, 48)], ids=str)
@pytest.mark.parametrize("name", list(PEERS))
def test_bf16_is_near_torch(name: str, size: tuple[int, int, int]) -> None:
    """Operands of products in bf16, sums in float32: as far off as rounding the numbers to 8 bits is."""
    batch, steps, width = size
    ours, theirs = pair(name, width, width, torch.float32)
    with torch.no_grad():
        for p in (*ours.parameters(), *theirs.parameters()):
            p.copy_(p.bfloat16())
    ours = ours.to(torch.bfloat16)
    x = torch.randn(batch, steps, width).bfloat16()
    want = theirs(x.float())[0]
    made = ours(x)[0]
    assert made.dtype == torch.bfloat16
    assert (made.float() - want).abs().max() <= 2**-6
    noise = torch.randn_like(want).bfloat16()
    made.backward(noise)
    want.backward(noise.float())
    mine = torch.cat([dict(ours.named_parameters())[f"{g}.linear.x"].grad.float() for g in GATES[name]])
    assert (mine - theirs.weight_ih_l0.grad).norm() <= 2**-5 * theirs.weight_ih_l0.grad.norm()

"""Triton kernels on a GPU at real sizes against the reference in float64 there: values, states, gradients, in both modes."""

from __future__ import annotations

import copy

import pytest
import torch

import seqc

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here; the interpreter's tests run the same kernels"),
]
CELLS = (
    ("mingru", "MinGRU", {"D": 1000}), ("minlstm", "MinLSTM", {"D": 256}), ("mamba1", "Mamba1", {"D": 96}), ("lru", "LRU", {"D": 64}),
    ("indrnn", "IndRNN", {"D": 300}), ("aaren", "Aaren", {"D": 128}), ("rwkv4", "RWKV4", {"D": 128}), ("gla", "GLA", {"D": 64}),
)  # fmt: skip


def outcome(layer: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y, state = layer(x)
    g = torch.Generator(x.device).manual_seed(1)
    y.backward(torch.randn(y.shape, generator=g, device=x.device, dtype=torch.float64).to(y.dtype))
    return [y.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("scan", ["sequential", "associative"])
@pytest.mark.parametrize(("spec", "name", "sizes"), CELLS, ids=[c[0] for c in CELLS])
@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (3, 67), (70, 129)])
def test_real_sizes(spec: str, name: str, sizes: dict[str, int], scan: str, batch: int, steps: int) -> None:
    cls = getattr(seqc.load(spec), name)
    if scan == "associative" and all(len(one) == 4 for one in cls.TRITON):
        pytest.skip(f"{name} has no associative form: {cls.TRITON_SERIAL}")
    torch.manual_seed(0)
    layer = cls(**sizes, device="cuda", backend="triton", scan=scan)
    wide = copy.deepcopy(layer).double()
    for part in wide.modules():
        part.backend = "reference"
    x = torch.randn(batch, steps, sizes["D"], device="cuda")
    for i, (a, b) in enumerate(zip(outcome(layer, x), outcome(wide, x.double()), strict=True)):
        scale = float(b.square().mean().sqrt()) + 1e-6
        error = float((a.double() - b).square().mean().sqrt()) / scale
        assert error <= (2e-5 if i == 0 else 2e-4), f"number {i}: {error:.3g}"


def test_the_same_bits_every_time() -> None:
    layer = seqc.load("mamba1").Mamba1(D=64, device="cuda", backend="triton")
    x = torch.randn(4, 200, 64, device="cuda")
    first = outcome(layer, x)
    for _ in range(5):
        layer.zero_grad()
        assert all(torch.equal(a, b) for a, b in zip(first, outcome(layer, x), strict=True))


def test_more_programs_than_a_grid_axis_has() -> None:
    layer = seqc.load("indrnn").IndRNN(D=2, device="cuda", backend="triton")
    x = torch.randn(65_537 * 16, 2, 2, device="cuda")
    y, _ = layer(x)
    want, _ = layer(x[-3:].contiguous())
    assert torch.allclose(y[-3:], want, atol=1e-6)

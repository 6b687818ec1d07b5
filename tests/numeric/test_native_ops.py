"""Kernels as torch sees them: registered ops, tracing, layouts, storage types, threads, memory that nobody else may touch."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

import seqc
from numeric.native_units import compiler
from seqc.runtime.native.calls import kernels_of
from seqc.runtime.native.kernel import Kernel
from seqc.runtime.native.ops import run

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

SPEC = """seq 1
cell Gated over t:
    dim N
    in z : [N]
    in g : [N]
    param w : [N] init uniform(-1, 1)
    state h : [N] init 0
    gate f : [N] = sigmoid(z + w)
    h = f * h[t-1] + (1 - f) * g
    out h

cell Memory over t:
    dim K, V
    in q : [K]
    in k : [K]
    in v : [V]
    in a : []
    state S : [K, V] init 0
    S = sigmoid(a) * S[t-1] + outer(k, v)
    out y : [V] = dot(q, S, over = K)
"""


@functools.cache
def module() -> Any:
    return seqc.load(SPEC)


def gated() -> Kernel:
    return kernels_of(module().Gated.KERNELS)[0]


def operands(batch: int, length: int, n: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    g = torch.Generator().manual_seed(batch + length + n)
    shapes = {"step": (batch, length, n), "run": (batch, n), "once": (n,)}
    return [torch.randn(shapes[kind], generator=g).to(dtype) for kind, _ in gated().forward.operands]


def reference(x: list[Tensor]) -> Tensor:
    """z, w, g and the start, in the kernel's order of operands (as the equations read them)."""
    z, w, g, h = x
    f = torch.sigmoid(z + w)
    out = []
    for t in range(z.shape[1]):
        h = f[:, t] * h + (1 - f[:, t]) * g[:, t]
        out.append(h)
    return torch.stack(out, 1) if out else z[:, :0]


def test_the_order_of_operands_is_known() -> None:
    assert [kind for kind, _ in gated().forward.operands] == ["step", "once", "step", "run"]


def test_opcheck() -> None:
    x = [v.requires_grad_() for v in operands(2, 5, 9)]
    opcheck(torch.ops.seqc.kernel.default, (gated().key, x, [], [0]))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 8), (3, 2, 17), (1, 7, 65), (0, 3, 4), (2, 0, 4), (65, 2, 3)], ids=str)
def test_sizes(shape: tuple[int, int, int]) -> None:
    x = operands(*shape, torch.float64)
    y, last = run(gated(), x, torch.float64)
    want = reference(x)
    assert torch.allclose(y, want, rtol=0, atol=1e-12)
    assert torch.allclose(last, want[:, -1] if shape[1] else x[3], rtol=0, atol=1e-12)


def test_many_sequences() -> None:
    x = operands(65_537, 1, 3)
    y, _ = run(gated(), x, torch.float32)
    assert torch.allclose(y, reference(x), atol=1e-6)


def test_gradcheck() -> None:
    x = [v.requires_grad_() for v in operands(2, 3, 5, torch.float64)]
    assert torch.autograd.gradcheck(lambda *a: run(gated(), a, torch.float64), x)


LAYOUTS = {
    "contiguous": lambda x: x.contiguous(),
    "batch and time exchanged": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "lanes apart": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "sliced": lambda x: torch.stack((x, x), -1).flatten(2)[..., : 2 * x.shape[2] : 1][..., ::2],
    "the same for all sequences": lambda x: x[:1].expand_as(x),
    "the same for all steps": lambda x: x[:, :1].expand_as(x),
    "one number": lambda x: x[:1, :1, :1].expand_as(x),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_operands_and_of_gradients(name: str) -> None:
    x = operands(3, 5, 19, torch.float64)
    for i in (0, 2):
        x[i] = LAYOUTS[name](x[i])
    ours = [v.detach().requires_grad_() for v in x]
    theirs = [v.detach().clone().requires_grad_() for v in x]
    y, want = run(gated(), ours, torch.float64)[0], reference(theirs)
    assert torch.allclose(y, want, atol=1e-12)
    up = LAYOUTS[name](torch.randn(y.shape, dtype=torch.float64))
    y.backward(up)
    want.backward(up)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_storage(dtype: torch.dtype) -> None:
    x = [v.requires_grad_() for v in operands(2, 40, 33, dtype)]
    wide = [v.detach().double().requires_grad_() for v in x]
    y, want = run(gated(), x, dtype)[0], reference(wide)
    assert y.dtype == dtype
    assert float((y.double() - want).abs().max()) <= torch.finfo(dtype).eps * 4
    up = torch.randn(y.shape).to(dtype)
    y.backward(up)
    want.backward(up.double())
    for a, b in zip(x, wide, strict=True):
        assert a.grad is not None and b.grad is not None and a.grad.dtype == dtype
        assert float((a.grad.double() - b.grad).norm()) <= 4 * torch.finfo(dtype).eps * float(b.grad.norm())


def test_the_same_bits_for_any_number_of_threads() -> None:
    before = torch.get_num_threads()
    kernel = kernels_of(module().Memory.KERNELS)[0]
    g = torch.Generator().manual_seed(0)
    sizes = {"K": 33, "V": 65}
    lead = {"step": (5, 31), "run": (5,), "once": ()}
    x = [torch.randn(*lead[kind], *(sizes[a] for a in axes), generator=g) for kind, axes in kernel.forward.operands]
    found: list[list[Tensor]] = []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            kernel._plans.clear()
            ours = [v.clone().requires_grad_() for v in x]
            results = run(kernel, ours, torch.float32)
            torch.autograd.backward(list(results), [torch.ones_like(r) for r in results])
            found.append([*(r.detach() for r in results), *(v.grad for v in ours)])  # type: ignore[misc]
    finally:
        torch.set_num_threads(before)
        kernel._plans.clear()
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_nothing_outside_is_read_or_written() -> None:
    """Operands lie in fields of NaN: what lies beside them reaches nothing."""
    for n in (1, 3, 16, 19):
        x = operands(2, 4, n)
        fenced = []
        for v in x:
            field = torch.full([s + 6 for s in v.shape], torch.nan)
            inner = field[tuple(slice(3, 3 + s) for s in v.shape)]
            inner.copy_(v)
            fenced.append(inner)
        y, last = run(gated(), fenced, torch.float32)
        assert torch.equal(y, run(gated(), x, torch.float32)[0]) and torch.isfinite(last).all()


def test_nan_reaches_what_depends_on_it_and_nothing_else() -> None:
    x = operands(2, 6, 21)
    x[0][1, 3, 5] = torch.nan
    y, _ = run(gated(), x, torch.float32)
    bad = torch.zeros(2, 6, 21, dtype=torch.bool)
    bad[1, 3:, 5] = True
    assert torch.equal(torch.isnan(y), bad)


def test_saturated_gates() -> None:
    x = operands(1, 50, 8, torch.float32)
    x[0] = torch.where(torch.rand(x[0].shape) < 0.5, 1e4, -1e4)
    x = [v.requires_grad_() for v in x]
    y, _ = run(gated(), x, torch.float32)
    y.sum().backward()
    assert torch.isfinite(y).all() and all(torch.isfinite(v.grad).all() for v in x)  # type: ignore[union-attr]


def test_compile_meta_autocast_and_checkpointing() -> None:
    torch.manual_seed(0)
    layer = seqc.load("mingru").MinGRU(D=8, backend="native")
    x = torch.randn(2, 6, 8, requires_grad=True)
    y, _ = layer(x)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    again, _ = compiled(x)
    assert torch.equal(y, again)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(again.sum(), x)[0])
    on_meta = seqc.load("mingru").MinGRU(D=8, backend="native", device="meta")
    assert on_meta(torch.empty(3, 4, 8, device="meta"))[0].shape == (3, 4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low, _ = layer(x)
    assert torch.allclose(low.float(), y, atol=0.05)
    found = torch.autograd.grad(layer(x)[0].sum(), x)[0]
    kept = torch.utils.checkpoint.checkpoint(lambda v: layer(v)[0], x, use_reentrant=False)
    assert torch.allclose(torch.autograd.grad(kept.sum(), x)[0], found)


def test_long_sequences_need_memory_for_rows_only() -> None:
    """The state of a memory is never kept for each step: what backward needs beside its inputs is a few states."""
    kernel = kernels_of(module().Memory.KERNELS)[0]
    lead = {"step": (1, 4096), "run": (1,), "once": ()}
    sizes = {"K": 32, "V": 32}
    x = [torch.randn(*lead[kind], *(sizes[a] for a in axes)) for kind, axes in kernel.forward.operands]
    results = kernel.run_forward(x, [torch.float32], True)
    kept = sum(r.numel() for r in results[kernel.rows + kernel.lasts :])
    assert 0 < kept <= 4096 * 32 * 32 / 16

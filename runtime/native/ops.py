"""Kernels of the native backend in torch: autograd, registered ops for tracing, and the short way round both.

`run(kernel, operands, dtype)` is what generated modules call. Without gradients and outside of any tracing it calls the
library directly; with gradients through an autograd function; while a graph is traced (torch.compile, fake or meta tensors,
functorch) through the registered ops `seqc::kernel` and `seqc::kernel_adjoint`, which name the kernel by its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqc.runtime.native.kernel import Kernel


def run(kernel: Kernel, operands: Sequence[Any], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Rows, then carries after the last step. `operands` in the kernel's order, numbers among them; `dtype` of the rows."""
    tensors = [operands[i] for i in kernel.tensors]
    if (
        torch.compiler.is_compiling()
        or any(type(x) is not Tensor and not isinstance(x, torch.nn.Parameter) for x in tensors)
        or _transformed()
    ):
        numbers = [float(x) for x in operands if not isinstance(x, Tensor)]
        count = len(kernel.forward.of("row")) + len(kernel.forward.of("last"))
        return tuple(torch.ops.seqc.kernel(kernel.key, tensors, numbers, dtype)[:count])
    if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
        numbers = [x for x in operands if not isinstance(x, Tensor)]
        out: tuple[Tensor, ...] = _Differentiable.apply(kernel, dtype, numbers, *tensors)
        return out
    return tuple(kernel.run_forward(operands, dtype, False))


def _transformed() -> bool:
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return bool(active()) if active is not None else False


def _joined(kernel: Kernel, tensors: Sequence[Tensor], numbers: Sequence[float]) -> list[Any]:
    """Tensors and numbers in the kernel's order."""
    t, c = iter(tensors), iter(numbers)
    return [next(c) if kind == "number" else next(t) for kind, _ in kernel.forward.operands]


class _Differentiable(torch.autograd.Function):
    """The kernel as one node of the autograd graph."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, dtype: torch.dtype, numbers: Sequence[float], *tensors: Tensor) -> tuple[Tensor, ...]:
        operands = _joined(kernel, tensors, numbers)
        results = kernel.run_forward(operands, dtype, True)
        rows, lasts = len(kernel.forward.of("row")), len(kernel.forward.of("last"))
        needed = sorted({i for i in kernel.stored if i >= 0})
        ctx.kernel, ctx.dtype, ctx.numbers, ctx.count, ctx.needed = kernel, dtype, numbers, len(tensors), needed
        ctx.rows, ctx.lasts = rows, lasts
        ctx.save_for_backward(*tensors, *(results[i] for i in needed), *results[rows + lasts :])
        return tuple(results[: rows + lasts])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        kernel = ctx.kernel
        saved = ctx.saved_tensors
        tensors, rest = saved[: ctx.count], saved[ctx.count :]
        rows: list[Any] = [None] * ctx.rows
        for i, x in zip(ctx.needed, rest, strict=False):
            rows[i] = x
        kept = rest[len(ctx.needed) :]
        operands = _joined(kernel, tensors, ctx.numbers)
        flags = iter(ctx.needs_input_grad[3:])
        wanted = [False if kind == "number" else next(flags) for kind, _ in kernel.forward.operands]
        found = kernel.run_adjoint(operands, rows, kept, given[: ctx.rows], given[ctx.rows :], ctx.dtype, wanted)
        return (None, None, None, *(g for g, (kind, _) in zip(found, kernel.forward.operands, strict=True) if kind != "number"))


@torch.library.custom_op("seqc::kernel", mutates_args=())
def _kernel(key: str, tensors: Sequence[Tensor], numbers: Sequence[float], dtype: torch.dtype) -> list[Tensor]:
    kernel = Kernel.registry[key]
    return kernel.run_forward(_joined(kernel, tensors, numbers), dtype, True)


@_kernel.register_fake
def _(key: str, tensors: Sequence[Tensor], numbers: Sequence[float], dtype: torch.dtype) -> list[Tensor]:
    kernel = Kernel.registry[key]
    operands = _joined(kernel, tensors, numbers)
    batch, length, sizes = kernel.shape(operands)
    real = kernel.real(operands, dtype)
    shapes = kernel.result_shapes(batch, length, sizes, dtype, real, True, operands)
    return [tensors[0].new_empty(shape, dtype=kind) for shape, kind in shapes]


@torch.library.custom_op("seqc::kernel_adjoint", mutates_args=())
def _kernel_adjoint(
    key: str,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    results: Sequence[Tensor],
    given: Sequence[Tensor],
    dtype: torch.dtype,
) -> list[Tensor]:
    kernel = Kernel.registry[key]
    operands = _joined(kernel, tensors, numbers)
    rows, lasts = len(kernel.forward.of("row")), len(kernel.forward.of("last"))
    wanted = [kind != "number" for kind, _ in kernel.forward.operands]
    to_lasts = given[rows : rows + lasts]
    found = kernel.run_adjoint(operands, results[:rows], results[rows + lasts :], given[:rows], to_lasts, dtype, wanted)
    return [torch.zeros_like(operands[i]) if g is None else g.contiguous() for i, g in enumerate(found) if wanted[i]]


@_kernel_adjoint.register_fake
def _(
    key: str,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    results: Sequence[Tensor],
    given: Sequence[Tensor],
    dtype: torch.dtype,
) -> list[Tensor]:
    return [x.new_empty(x.shape) for x in tensors]


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    key, tensors, numbers, dtype = inputs
    ctx.key, ctx.numbers, ctx.dtype, ctx.count = key, numbers, dtype, len(tensors)
    ctx.save_for_backward(*tensors, *output)


def _backward(ctx: Any, given: Sequence[Tensor]) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    tensors, results = saved[: ctx.count], saved[ctx.count :]
    found = torch.ops.seqc.kernel_adjoint(ctx.key, list(tensors), ctx.numbers, list(results), list(given), ctx.dtype)
    return None, list(found), None, None


_kernel.register_autograd(_backward, setup_context=_setup)

"""Kernels of the native backend in torch: autograd, registered ops for tracing, and the short way round both.

`run(kernel, operands, dtype)` is what generated modules call. Without gradients and outside of any tracing it calls the
library directly; with gradients through an autograd function; while a graph is traced (torch.compile, fake or
meta tensors) through the registered ops `seqc::kernel` and `seqc::kernel_adjoint`, which name the kernel by its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd.function import once_differentiable

from seqc.runtime.native.kernel import Kernel

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""Types of rows, as the registered ops number them."""


def run(kernel: Kernel, operands: Sequence[Any], dtypes: torch.dtype | Sequence[torch.dtype]) -> tuple[Tensor, ...]:
    """Rows, then carries after the last step. `operands` in the kernel's order, numbers among them; `dtypes` of the rows."""
    if isinstance(dtypes, torch.dtype):
        dtypes = (dtypes,) * kernel.rows
    tensors = [operands[i] for i in kernel.tensors]
    if torch.compiler.is_compiling() or any(_elsewhere(x) for x in tensors):
        numbers = [float(x) for x in operands if not isinstance(x, Tensor)]
        results = torch.ops.seqc.kernel(kernel.key, tensors, numbers, [DTYPES.index(d) for d in dtypes])
        return tuple(results[: kernel.rows + kernel.lasts])
    if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
        numbers = [x for x in operands if not isinstance(x, Tensor)]
        out: tuple[Tensor, ...] = _Differentiable.apply(kernel, dtypes, numbers, *tensors)
        return out[: kernel.rows + kernel.lasts]
    return tuple(kernel.run_forward(operands, dtypes, False))


def run_step(kernel: Kernel, operands: Sequence[Any], dtypes: torch.dtype | Sequence[torch.dtype]) -> tuple[Tensor, ...]:
    """One step: `step` operands [batch, axes], rows [batch, axes]."""
    if isinstance(dtypes, torch.dtype):
        dtypes = (dtypes,) * kernel.rows
    tensors = [operands[i] for i in kernel.tensors]
    grads = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    if not grads and not torch.compiler.is_compiling() and not any(_elsewhere(x) for x in tensors):
        return tuple(kernel.run_forward(operands, dtypes, False, True))
    timed = [x.unsqueeze(1) if kind == "step" else x for x, (kind, _) in zip(operands, kernel.forward.operands, strict=True)]
    found = run(kernel, timed, dtypes)
    return (*(x.squeeze(1) for x in found[: kernel.rows]), *found[kernel.rows :])


def _elsewhere(x: Tensor) -> bool:
    """Whether a tensor has no numbers in memory: a fake, or one on meta."""
    return x.is_meta or type(x) is not Tensor and isinstance(x, FakeTensor)


def _joined(kernel: Kernel, tensors: Sequence[Tensor], numbers: Sequence[float]) -> list[Any]:
    """Tensors and numbers in the kernel's order."""
    t, c = iter(tensors), iter(numbers)
    return [next(c) if kind == "number" else next(t) for kind, _ in kernel.forward.operands]


class _Differentiable(torch.autograd.Function):
    """The kernel as one node of the autograd graph."""

    @staticmethod
    def forward(kernel: Kernel, dtypes: Sequence[torch.dtype], numbers: Sequence[float], *tensors: Tensor) -> tuple[Tensor, ...]:
        """Rows, carries after the last step, and what the adjoint needs beside."""
        return tuple(kernel.run_forward(_joined(kernel, tensors, numbers), dtypes, True))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps operands, and of the results what the adjoint reads."""
        kernel, dtypes, numbers, *tensors = inputs
        known = kernel.rows + kernel.lasts
        needed = kernel.needed_rows
        ctx.kernel, ctx.dtypes, ctx.numbers, ctx.count, ctx.needed = kernel, dtypes, numbers, len(tensors), needed
        ctx.mark_non_differentiable(*output[known:])
        ctx.save_for_backward(*tensors, *(output[i] for i in needed), *output[known:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        kernel: Kernel = ctx.kernel
        saved = ctx.saved_tensors
        tensors, rest = saved[: ctx.count], saved[ctx.count :]
        rows: list[Tensor | None] = [None] * kernel.rows
        for i, x in zip(ctx.needed, rest, strict=False):
            rows[i] = x
        kept = rest[len(ctx.needed) :]
        operands = _joined(kernel, tensors, ctx.numbers)
        flags = iter(ctx.needs_input_grad[3:])
        wanted = [False if kind == "number" else next(flags) for kind, _ in kernel.forward.operands]
        to_lasts = given[kernel.rows : kernel.rows + kernel.lasts]
        found = kernel.run_adjoint(operands, rows, kept, given[: kernel.rows], to_lasts, ctx.dtypes, wanted)
        return (None, None, None, *(g for g, (kind, _) in zip(found, kernel.forward.operands, strict=True) if kind != "number"))


@torch.library.custom_op("seqc::kernel", mutates_args=())
def _kernel(key: str, tensors: Sequence[Tensor], numbers: Sequence[float], dtypes: Sequence[int]) -> list[Tensor]:
    kernel = Kernel.registry[key]
    return kernel.run_forward(_joined(kernel, tensors, numbers), [DTYPES[d] for d in dtypes], True)


@_kernel.register_fake
def _(key: str, tensors: Sequence[Tensor], numbers: Sequence[float], dtypes: Sequence[int]) -> list[Tensor]:
    kernel = Kernel.registry[key]
    shapes = kernel.result_shapes(_joined(kernel, tensors, numbers), [DTYPES[d] for d in dtypes], True)
    return [tensors[0].new_empty(r[0], dtype=r[1]) for r in shapes if r is not None]


@torch.library.custom_op("seqc::kernel_adjoint", mutates_args=())
def _kernel_adjoint(
    key: str,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    results: Sequence[Tensor],
    given: Sequence[Tensor],
    dtypes: Sequence[int],
) -> list[Tensor]:
    kernel = Kernel.registry[key]
    operands = _joined(kernel, tensors, numbers)
    known = kernel.rows + kernel.lasts
    wanted = [kind != "number" for kind, _ in kernel.forward.operands]
    kinds = [DTYPES[d] for d in dtypes]
    found = kernel.run_adjoint(
        operands, results[: kernel.rows], results[known:], given[: kernel.rows], given[kernel.rows : known], kinds, wanted
    )
    return [torch.zeros_like(operands[i]) if g is None else g.contiguous() for i, g in enumerate(found) if wanted[i]]


@_kernel_adjoint.register_fake
def _(
    key: str,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    results: Sequence[Tensor],
    given: Sequence[Tensor],
    dtypes: Sequence[int],
) -> list[Tensor]:
    return [x.new_empty(x.shape) for x in tensors]


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    key, tensors, numbers, dtypes = inputs
    ctx.key, ctx.numbers, ctx.dtypes, ctx.count = key, numbers, dtypes, len(tensors)
    ctx.save_for_backward(*tensors, *output)


def _backward(ctx: Any, given: Sequence[Tensor]) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    tensors, results = saved[: ctx.count], saved[ctx.count :]
    found = torch.ops.seqc.kernel_adjoint(ctx.key, list(tensors), ctx.numbers, list(results), list(given), ctx.dtypes)
    # an empty list counts as a structure of its own
    return None, list(found), None if ctx.numbers else [], None if ctx.dtypes else []


_kernel.register_autograd(_backward, setup_context=_setup)

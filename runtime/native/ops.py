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
from torch.autograd import forward_ad
from torch.nn import Parameter

from seqc.runtime.native.errors import Untransformed
from seqc.runtime.native.kernel import Kernel

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""Types of rows, as the registered ops number them."""


def run(kernel: Kernel, operands: Sequence[Any], dtypes: torch.dtype | Sequence[torch.dtype]) -> tuple[Tensor, ...]:
    """Rows, then carries after the last step. `operands` in the kernel's order, numbers among them; `dtypes` of the rows."""
    if isinstance(dtypes, torch.dtype):
        dtypes = (dtypes,) * kernel.rows
    tensors = [operands[i] for i in kernel.tensors]
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or any(_elsewhere(x) for x in tensors):
        numbers = [float(x) for x in operands if not isinstance(x, Tensor)]
        results = torch.ops.seqc.kernel(kernel.key, tensors, numbers, [DTYPES.index(d) for d in dtypes])
        return tuple(results[: kernel.rows + kernel.lasts])
    refuse_transforms()
    if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
        numbers = [x for x in operands if not isinstance(x, Tensor)]
        return _recorded(kernel, dtypes, numbers, tensors)[: kernel.rows + kernel.lasts]
    return tuple(kernel.run_forward(operands, dtypes, False))


def run_step(kernel: Kernel, operands: Sequence[Any], dtypes: torch.dtype | Sequence[torch.dtype]) -> tuple[Tensor, ...]:
    """One step: `step` operands [batch, axes], rows [batch, axes]."""
    if isinstance(dtypes, torch.dtype):
        dtypes = (dtypes,) * kernel.rows
    tensors = [operands[i] for i in kernel.tensors]
    grads = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    if not grads and not torch.compiler.is_compiling() and not torch._C._len_torch_dispatch_stack() and not any(map(_elsewhere, tensors)):
        refuse_transforms()
        return tuple(kernel.run_forward(operands, dtypes, False, True))
    timed = [x.unsqueeze(1) if kind == "step" else x for x, (kind, _) in zip(operands, kernel.forward.operands, strict=True)]
    found = run(kernel, timed, dtypes)
    return (*(x.squeeze(1) for x in found[: kernel.rows]), *found[kernel.rows :])


def transformed() -> bool:
    """Whether a transform of `torch.func` or forward mode is going on: operations are meant to be seen one by one."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def refuse_transforms(given: Sequence[Any] = ()) -> None:
    """Raises Untransformed where addresses of tensors would say nothing, or a tangent would be lost; `given` may be batched."""
    if transformed() or any(isinstance(x, Tensor) and torch._C._functorch.is_legacy_batchedtensor(x) for x in given):
        raise Untransformed(
            "native kernels know neither the transforms of torch.func, batched gradients nor forward mode", 'use backend="reference"'
        )


def _recorded(kernel: Kernel, dtypes: Sequence[torch.dtype], numbers: Sequence[float], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Results with their place in the autograd graph.

    `Function.apply` looks at the signature of `forward` on every call, which takes longer than a small kernel; what it is there
    for are default arguments, of which there are none.
    """
    apply: Any = _Differentiable.apply
    if not torch._C._are_functorch_transforms_active():
        apply = super(torch.autograd.Function, _Differentiable).apply
    out: tuple[Tensor, ...] = apply(kernel, dtypes, numbers, *tensors)
    return out


def _elsewhere(x: Tensor) -> bool:
    """Whether a tensor has no numbers in memory: a fake, one of a tracer, or one on meta."""
    return x.is_meta or type(x) is not Tensor and type(x) is not Parameter


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
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        kernel: Kernel = ctx.kernel
        refuse_transforms(given)
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
        with torch.no_grad():
            found = kernel.run_adjoint(operands, rows, kept, given[: kernel.rows], to_lasts, ctx.dtypes, wanted)
        if torch.is_grad_enabled():
            found = _once(found, (*tensors, *given))
        return (None, None, None, *(g for g, (kind, _) in zip(found, kernel.forward.operands, strict=True) if kind != "number"))


def _once(gradients: Sequence[Tensor | None], sources: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients that depend on their sources and say so when they are differentiated again."""
    there = [g for g in gradients if g is not None]
    marked = iter(_Once.apply(len(there), *there, *sources))
    return [None if g is None else next(marked) for g in gradients]


class _Once(torch.autograd.Function):
    """The first tensors as they are, made of all others in a way that has no derivative."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The first `count` tensors."""
        return tuple(x.view_as(x) for x in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> None:
        """Raises Untransformed."""
        raise Untransformed("native kernels have no second derivative", 'use backend="reference"')


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

"""Complex tensors as pairs of real ones and back: what kernels read and write.

The parts of a complex tensor are views, which kernels read where they lie. Backwards their gradients are joined in one go; torch's own
derivative of `.real` and `.imag` fills, copies and adds whole arrays for each of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqc.runtime import functions
from seqc.runtime.native.memory import empty

_WHOLE = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part."""
    if torch.is_grad_enabled() and x.requires_grad and _plain(x):
        found: tuple[Tensor, Tensor] = _Parts.apply(x)
        return found
    x = x.resolve_conj()
    return x.real, x.imag


def joined(re: Tensor | float, im: Tensor | float) -> Tensor:
    """re + i im."""
    simple = isinstance(re, Tensor) and isinstance(im, Tensor) and re.shape == im.shape and re.dtype == im.dtype
    if not simple or not isinstance(re, Tensor) or re.dtype not in _WHOLE or not _plain(re) or not _plain(im):
        return functions.make_complex(re, im)
    if torch.is_grad_enabled() and (re.requires_grad or im.requires_grad):  # type: ignore[union-attr]
        made: Tensor = _Joined.apply(re, im)
        return made
    return _join(re, im)  # type: ignore[arg-type]


def _plain(x: Any) -> bool:
    """Whether a tensor has its numbers in this machine's memory, and nothing traces what is done with it."""
    return type(x) in (Tensor, torch.nn.Parameter) and x.device.type == "cpu" and not _traced()


def _traced() -> bool:
    return bool(torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or torch._C._are_functorch_transforms_active())


def _join(re: Tensor, im: Tensor) -> Tensor:
    made = empty(tuple(re.shape), _WHOLE[re.dtype])
    return torch.complex(re, im, out=made)


class _Parts(torch.autograd.Function):
    """Both parts, and one gradient for both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.resolve_conj()
        return x.real, x.imag

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, re: Tensor, im: Tensor) -> Tensor:
        return _join(re, im)


class _Joined(torch.autograd.Function):
    """One tensor of both; the gradients of the parts are views of its own."""

    @staticmethod
    def forward(ctx: Any, re: Tensor, im: Tensor) -> Tensor:
        return _join(re, im)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        grad = grad.resolve_conj()
        return grad.real, grad.imag

"""The functions of the language on tensors, saturating-safe in value and gradient.

Formulas where there is a choice: `expdiff(a, b) = exp(a - b)`, 0 with gradient 0 where a is `-inf`; `logaddexp` has value `-inf` and
gradient 0 where both are `-inf`; `l2norm(x) = x / max(sqrt(sum |x|^2), 1e-12)`; `sign(0) = 0`;
`relu'(0) = 0`; `gelu` is the exact one (erf); `softmax` over nothing is 0, `max` over nothing `-inf`, `mean` over nothing 0.
Functions of one number take Python numbers too (sizes, literals).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqc.runtime.numbers import number as number

L2_EPS = 1e-12


# ---- elementwise ------------------------------------------------------------------------------------------------------


def expdiff(a: Tensor | float, b: Tensor | float) -> Tensor:
    """exp(a - b); 0 (and no gradient) where a is -inf."""
    a, b = _tensors(a, b)
    gone = a == -torch.inf
    return torch.where(
        gone,
        torch.zeros((), dtype=a.dtype, device=a.device),
        torch.exp(torch.where(gone, _like(a, 0.0), a) - torch.where(gone, _like(b, 0.0), b)),
    )


def _like(x: Tensor, value: float) -> Tensor:
    return torch.full((), value, dtype=x.dtype, device=x.device)


def _tensors(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(a, Tensor):
        a = torch.as_tensor(a, dtype=b.dtype, device=b.device)
    if not isinstance(b, Tensor):
        b = torch.as_tensor(b, dtype=a.dtype, device=a.device)
    return a, b


def logaddexp(a: Tensor | float, b: Tensor | float) -> Tensor:
    """log(exp(a) + exp(b)); -inf with gradient 0 where both are -inf."""
    a, b = _tensors(a, b)
    nothing = (a == -torch.inf) & (b == -torch.inf)
    top = torch.logaddexp(torch.where(nothing, _like(a, 0.0), a), torch.where(nothing, _like(b, 0.0), b))
    return torch.where(nothing, _like(top, -math.inf), top)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), exact to rounding in double precision too."""
    return F.softplus(x, 1.0, 40.0)


def both(*masks: Tensor | None) -> Tensor | None:
    """Several masks at once; None stands for "all"."""
    out: Tensor | None = None
    for m in masks:
        out = m if out is None else out if m is None else out & m
    return out


# ---- derivatives inside a step ----------------------------------------------------------------------------------------


def tracked(x: Tensor, grads: bool) -> Tensor:
    """`x` as a fresh node of the graph, so that a derivative by it follows this read alone."""
    return x.view_as(x) if x.requires_grad else x.detach().requires_grad_()


def gradient(loss: Tensor, x: Tensor, grads: bool) -> Tensor:
    """The derivative of each entry of `loss` by the entry of `x` it belongs to; differentiable again where `grads`."""
    if not loss.requires_grad:
        return torch.zeros_like(x)
    (g,) = torch.autograd.grad(loss.sum(), x, create_graph=grads, retain_graph=True, allow_unused=True)
    found: Tensor | None = g
    return torch.zeros_like(x) if found is None else found


def cut(tree: Any, grads: bool) -> Any:
    """What leaves a step: free of the graph where the caller wants no gradients."""
    if grads:
        return tree
    if isinstance(tree, Tensor):
        return tree.detach()
    if isinstance(tree, dict):
        return {k: cut(v, grads) for k, v in tree.items()}
    if isinstance(tree, tuple):
        parts = [cut(v, grads) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree


def through(a: Any, b: Any) -> Any:
    """The value of `a` with the derivative of `b`; either may be a number."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return a
    if not isinstance(a, Tensor):
        a = torch.full((), a, dtype=b.dtype, device=b.device)
    elif not isinstance(b, Tensor):
        b = torch.full((), b, dtype=a.dtype, device=a.device)
    made: Tensor = _Through.apply(*torch.broadcast_tensors(a, b))
    return made


class _Through(torch.autograd.Function):
    """Value of the first, gradient to the second: no difference is formed, so infinities stay what they are."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return a.clone() if a.dtype == b.dtype else a.to(torch.promote_types(a.dtype, b.dtype))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.dtype = inputs[1].dtype

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor]:
        return None, g.to(ctx.dtype)

    @staticmethod
    def jvp(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        return b.clone()


def maximum(*args: Tensor | float) -> Tensor:
    """The largest of several operands, elementwise."""
    return _fold(torch.maximum, args)


def minimum(*args: Tensor | float) -> Tensor:
    """The smallest of several operands, elementwise."""
    return _fold(torch.minimum, args)


def _fold(f: Any, args: Sequence[Any]) -> Tensor:
    out = args[0]
    for x in args[1:]:
        a, b = _tensors(out, x)
        if a.dtype != b.dtype:
            dtype = torch.promote_types(a.dtype, b.dtype)
            a, b = a.to(dtype), b.to(dtype)
        out = f(a, b)
    return out


def mod(a: Tensor | float, b: Tensor | float) -> Tensor:
    """The remainder with the sign of the divisor: in [0, b)."""
    x, by = _tensors(a, b)
    if not by.is_floating_point():
        by = torch.where(by == 0, torch.ones_like(by), by)
    return torch.remainder(x, by)


def bitlen(x: Tensor) -> Tensor:
    """The number of bits of a whole number; 0 for 0."""
    out = torch.zeros_like(x)
    for k in range(63):
        out = out + (x >= (1 << k)).to(out.dtype)
    return out


def power(a: Tensor | float, b: Tensor | float) -> Tensor:
    """a ^ b on tensors or a number and a tensor."""
    return torch.pow(*_tensors(a, b)) if isinstance(a, Tensor) and isinstance(b, Tensor) else torch.pow(a, b)  # type: ignore[arg-type]


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), complex too."""
    return x * torch.sigmoid(x) if x.is_complex() else F.silu(x)


def cis(x: Tensor) -> Tensor:
    """exp(i x)."""
    return torch.complex(torch.cos(x), torch.sin(x))


def make_complex(a: Tensor | float, b: Tensor | float) -> Tensor:
    """a + i b."""
    re, im = _tensors(a, b)
    dtype = torch.promote_types(re.dtype, im.dtype)
    if dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    re, im = torch.broadcast_tensors(re.to(dtype), im.to(dtype))
    return torch.complex(re, im)


def real(x: Tensor) -> Tensor:
    """The real part of anything."""
    return x.real if x.is_complex() else x


def imag(x: Tensor) -> Tensor:
    """The imaginary part of anything."""
    return x.imag if x.is_complex() else torch.zeros_like(x)


# ---- sums of products -------------------------------------------------------------------------------------------------


def contract(equation: str, *operands: Tensor) -> Tensor:
    """`torch.einsum` on operands brought to one type."""
    dtype = operands[0].dtype
    for x in operands[1:]:
        if x.dtype != dtype:
            dtype = torch.promote_types(dtype, x.dtype)
    if dtype == torch.bool:
        dtype = torch.int64
    return torch.einsum(equation, *(x if x.dtype == dtype else x.to(dtype) for x in operands))


def linear(x: Tensor, weight: Tensor, mixed: int, bias: Tensor | None = None) -> Tensor:
    """A learned map over the last `mixed` axes of x: weight [*out, *mixed], result [..., *out]."""
    dtype = x.dtype
    if weight.dtype != dtype:
        dtype = torch.promote_types(dtype, weight.dtype)
        x, weight = x.to(dtype), weight.to(dtype)
    if bias is not None and bias.dtype != dtype:
        bias = bias.to(dtype)
    out = weight.shape[: weight.dim() - mixed]
    if mixed == 1 and len(out) == 1:
        return F.linear(x, weight, bias)
    rows = x.shape[: x.dim() - mixed]
    inner = weight.shape[weight.dim() - mixed :].numel()
    y = F.linear(x.reshape(*rows, inner), weight.reshape(out.numel(), inner), None if bias is None else bias.reshape(-1))
    return y.reshape(*rows, *out)


# ---- reductions -------------------------------------------------------------------------------------------------------
# `mask` broadcasts against x and says which entries count.


def total(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The sum over `dims`."""
    if mask is not None:
        x = torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))
    return x.sum(dims)


def mean(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The mean over `dims`; 0 over nothing."""
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.get_default_dtype())
    if mask is None:
        return x.mean(dims) if all(x.shape[d] for d in dims) else x.sum(dims)
    count = mask.expand(x.shape).sum(dims)
    return total(x, dims, mask) / count.clamp(min=1)


def largest(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None, sign: int = 1) -> Tensor:
    """The maximum (`sign = -1`: the minimum) over `dims`; -inf (inf) over nothing."""
    floating = x.is_floating_point()
    if x.dtype == torch.bool:
        x = x.to(torch.int64)
    worst = -sign * math.inf if floating else (torch.iinfo(x.dtype).min if sign > 0 else torch.iinfo(x.dtype).max)
    if mask is not None:
        x = torch.where(mask, x, torch.full((), worst, dtype=x.dtype, device=x.device))
    if not all(x.shape[d] for d in dims):
        keep = [n for d, n in enumerate(x.shape) if d not in {d % x.dim() for d in dims}]
        return x.new_full(keep, worst)
    return x.amax(dims) if sign > 0 else x.amin(dims)


def smallest(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The minimum over `dims`; inf over nothing."""
    return largest(x, dims, mask, -1)


def product(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The product over `dims`; 1 over nothing."""
    if mask is not None:
        x = torch.where(mask, x, torch.ones((), dtype=x.dtype, device=x.device))
    for d in sorted((d % x.dim() for d in dims), reverse=True):
        x = x.prod(d)
    return x


def logsumexp(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """log(sum(exp(x))); -inf, with gradient 0, over nothing or over -inf alone."""
    low = torch.full((), -math.inf, dtype=x.dtype, device=x.device)
    if mask is not None:
        x = torch.where(mask, x, low)
    elif all(x.shape[d] for d in dims):
        return _logsumexp(x, dims)
    if not all(x.shape[d] for d in dims):
        return largest(x, dims)
    return _logsumexp(x, dims)


def _logsumexp(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    with torch.no_grad():
        top = x.amax(dims, keepdim=True)
        top = torch.where(torch.isfinite(top), top, torch.zeros((), dtype=x.dtype, device=x.device))
    weights = torch.exp(x - top).sum(dims)
    nothing = weights == 0
    low = torch.full((), -math.inf, dtype=x.dtype, device=x.device)
    one = torch.ones((), dtype=x.dtype, device=x.device)
    return torch.where(nothing, low, torch.log(torch.where(nothing, one, weights)) + top.reshape(weights.shape))


def argmax(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The place of the maximum over one axis; the first of equals."""
    if mask is not None:
        x = torch.where(mask, x, _end(x, -1))
    (dim,) = dims
    if x.dtype == torch.bool:
        x = x.to(torch.int64)
    top = x.amax(dim, keepdim=True)
    return (x == top).to(torch.int64).argmax(dim)


# ---- shape-keeping ----------------------------------------------------------------------------------------------------


def softmax(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None, sparse: bool = False) -> Tensor:
    """exp(x) / sum(exp(x)) over `dims`; 0 where nothing can be chosen (`sparse`: entries may be -inf). Complex by exp and sum."""
    if x.is_complex():
        if not x.numel():
            return x
        shift = x.real.amax(dims, keepdim=True).detach()
        e = torch.exp(x - shift)
        if mask is not None:
            e = torch.where(mask, e, torch.zeros((), dtype=e.dtype, device=e.device))
        return e / e.sum(dims, keepdim=True)
    if mask is None and not sparse and len(dims) == 1 and x.is_floating_point():
        return torch.softmax(x, dims[0])
    if not x.is_floating_point():
        x = x.to(torch.get_default_dtype())
    low = torch.full((), -math.inf, dtype=x.dtype, device=x.device)
    if mask is not None:
        x = torch.where(mask, x, low)
    if not all(x.shape[d] for d in dims):
        return x
    with torch.no_grad():
        top = x.amax(dims, keepdim=True)
        top = torch.where(torch.isfinite(top), top, torch.zeros((), dtype=x.dtype, device=x.device))
    e = torch.exp(x - top)
    s = e.sum(dims, keepdim=True)
    return e / torch.where(s == 0, torch.ones((), dtype=s.dtype, device=s.device), s)


def l2norm(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """x / max(|x|, 1e-12): of length 1 wherever x is not all but zero; the gradient at zero is finite."""
    squares = x.real.square() + x.imag.square() if x.is_complex() else x.square()
    return x * torch.rsqrt(total_kept(squares, dims, mask).clamp_min(max(L2_EPS**2, torch.finfo(squares.dtype).tiny)))


def total_kept(x: Tensor, dims: tuple[int, ...], mask: Tensor | None) -> Tensor:
    """The sum over `dims`, which stay with size 1."""
    if mask is not None:
        x = torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))
    return x.sum(dims, keepdim=True)


def cumsum(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The running sum along each of `dims`."""
    if mask is not None:
        x = torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))
    for d in dims:
        x = torch.cumsum(x, d)
    return x


def _end(x: Tensor, sign: int) -> Tensor:
    """The greatest (least) number of a type."""
    if x.dtype == torch.bool:
        return torch.full((), sign > 0, device=x.device)
    info = torch.iinfo(x.dtype) if not x.is_floating_point() else None
    value = sign * math.inf if info is None else info.max if sign > 0 else info.min
    return torch.full((), value, dtype=x.dtype, device=x.device)


def rank(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """Each entry's place in ascending order, from 0; ties in order."""
    if mask is not None:
        x = torch.where(mask, x, _end(x, 1))
    (d,) = dims
    return torch.argsort(torch.argsort(x, dim=d, stable=True), dim=d, stable=True)


def topk(x: Tensor, dims: tuple[int, ...], count: int | Tensor, mask: Tensor | None = None) -> Tensor:
    """A bool mask of the `count` largest entries; of equals the first."""
    if mask is not None:
        x = torch.where(mask, x, _end(x, -1))
    (d,) = dims
    place = torch.argsort(torch.argsort(x, dim=d, descending=True, stable=True), dim=d, stable=True)
    chosen = place < count
    return chosen if mask is None else chosen & mask


def fft(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The discrete Fourier transform, orthonormal, not centred."""
    return torch.fft.fftn(x, dim=dims, norm="ortho") if x.numel() else x.to(torch.promote_types(x.dtype, torch.complex64))


def ifft(x: Tensor, dims: tuple[int, ...], mask: Tensor | None = None) -> Tensor:
    """The inverse of `fft`."""
    return torch.fft.ifftn(x, dim=dims, norm="ortho") if x.numel() else x.to(torch.promote_types(x.dtype, torch.complex64))

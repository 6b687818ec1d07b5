"""Norms, dropout, square matrices and scans with an operator.

`dims` are the axes that are normalised or contracted, `mask` says which entries count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqc.runtime import functions as fn


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.float32) if x.dtype in (torch.float16, torch.bfloat16) else x


def rmsnorm(x: Tensor, dims: tuple[int, ...], eps: float, mask: Tensor | None = None) -> Tensor:
    """x / sqrt(mean x^2 + eps), statistics in fp32 at least."""
    z = _wide(x)
    if mask is None and not z.is_complex() and [d % z.dim() for d in dims] == list(range(z.dim() - len(dims), z.dim())):
        return F.rms_norm(z, z.shape[z.dim() - len(dims) :], eps=eps).to(x.dtype)
    squares = z.real.square() + z.imag.square() if z.is_complex() else z.square()
    size = _count(z, dims, mask)
    return (z * torch.rsqrt(fn.total_kept(squares, dims, mask) / size + eps)).to(x.dtype)


def _count(x: Tensor, dims: tuple[int, ...], mask: Tensor | None) -> Any:
    if mask is not None:
        return mask.expand(x.shape).sum(dims, keepdim=True).clamp(min=1)
    n = 1
    for d in dims:
        n *= x.shape[d]
    return max(n, 1)


def layernorm(x: Tensor, dims: tuple[int, ...], eps: float, mask: Tensor | None = None) -> Tensor:
    """(x - mean) / sqrt(variance + eps), statistics in fp32 at least."""
    z = _wide(x)
    if mask is None and not z.is_complex() and [d % z.dim() for d in dims] == list(range(z.dim() - len(dims), z.dim())):
        return F.layer_norm(z, z.shape[z.dim() - len(dims) :], eps=eps).to(x.dtype)
    size = _count(z, dims, mask)
    z = z - fn.total_kept(z, dims, mask) / size
    squares = z.real.square() + z.imag.square() if z.is_complex() else z.square()
    return (z * torch.rsqrt(fn.total_kept(squares, dims, mask) / size + eps)).to(x.dtype)


def groupnorm(x: Tensor, dim: int, groups: int, eps: float) -> Tensor:
    """`layernorm` over each of `groups` equal parts of one axis."""
    n = x.shape[dim]
    if groups <= 0 or n % groups:
        raise ValueError(f"groupnorm: {n} channels do not make {groups} groups")
    dim %= x.dim()
    return layernorm(x.unflatten(dim, (groups, n // groups)), (dim + 1,), eps).flatten(dim, dim + 1)


def batchnorm(
    x: Tensor,
    keep: tuple[int, ...],
    mean: Tensor,
    var: Tensor,
    eps: float,
    training: bool,
    mask: Tensor | None = None,
    momentum: float = 0.1,
) -> Tensor:
    """Normalises each entry of the axes `keep` over all others; in training by the batch, whose statistics the buffers follow.

    `mean`, `var` have the axes `keep` in that order; running variance is unbiased, as torch.nn.BatchNorm has it.
    """
    dims = tuple(d for d in range(x.dim()) if d not in keep)
    z = _wide(x)
    shape = [z.shape[d] if d in keep else 1 for d in range(z.dim())]
    if training and z.numel():
        size = _count(z, dims, mask)
        mu = fn.total_kept(z, dims, mask) / size
        spread = fn.total_kept((z - mu).square(), dims, mask) / size
        with torch.no_grad():
            unbiased = (
                spread * (size / (size - 1 if not isinstance(size, Tensor) and size > 1 else size))
                if not isinstance(size, Tensor)
                else spread * size / (size - 1).clamp(min=1)
            )
            mean.lerp_(mu.detach().reshape(mean.shape).to(mean.dtype), momentum)
            var.lerp_(unbiased.detach().reshape(var.shape).to(var.dtype), momentum)
    else:
        mu, spread = mean.reshape(shape).to(z.dtype), var.reshape(shape).to(z.dtype)
    return ((z - mu) * torch.rsqrt(spread + eps)).to(x.dtype)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Zeroes entries with probability `rate` in training and scales the others by 1 / (1 - rate)."""
    return F.dropout(x, float(rate), training) if training and rate else x


# ---- square matrices --------------------------------------------------------------------------------------------------
# The generated code brings rows and columns to the last two places.


def solve(matrix: Tensor, rhs: Tensor) -> Tensor:
    """x with matrix @ x = rhs: matrix [..., n, n], rhs [..., n]; leading axes broadcast."""
    dtype = torch.promote_types(matrix.dtype, rhs.dtype)
    matrix, rhs = matrix.to(dtype), rhs.to(dtype)
    lead = torch.broadcast_shapes(matrix.shape[:-2], rhs.shape[:-1])
    if matrix.shape[:-2].numel() == 1 and rhs.dim() > 1:
        flat = rhs.reshape(-1, rhs.shape[-1]).mT
        return torch.linalg.solve(matrix.reshape(matrix.shape[-2:]), flat).mT.reshape(rhs.shape)
    return torch.linalg.solve(matrix.expand(*lead, *matrix.shape[-2:]), rhs.expand(*lead, rhs.shape[-1])[..., None])[..., 0]


def inverse(matrix: Tensor) -> Tensor:
    """The inverse of [..., n, n]."""
    return torch.linalg.inv(matrix)


def matrix_exp(matrix: Tensor) -> Tensor:
    """exp of [..., n, n]."""
    return torch.linalg.matrix_exp(matrix)


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order [..., n] and vectors in columns [..., n, n] of a Hermitian matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors


# ---- operators --------------------------------------------------------------------------------------------------------


def scan(
    combine: Callable[..., tuple[Tensor, ...]],
    start: tuple[Tensor, ...],
    steps: tuple[Tensor, ...],
    resets: Tensor | None,
    identity: tuple[Tensor, ...],
    valid: Tensor | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inclusive scan with an associative operator, one step after the other.

    `start` [batch, …] is what came before, `steps` [batch, time, …]; gives all prefixes [batch, time, …] and the last one. `resets`
    [batch, time]: those steps start from `identity` again. `valid` [batch, time]: the last one stays where a sequence has ended.
    """
    now = start
    rows: list[tuple[Tensor, ...]] = []
    columns = list(zip(*(s.unbind(1) for s in steps), strict=True))
    for n, step in enumerate(columns):
        before = now
        if resets is not None:
            before = tuple(torch.where(_over(resets[:, n], b), i.to(b.dtype), b) for b, i in zip(before, identity, strict=True))
        new = combine(*before, *step)
        rows.append(new)
        now = (
            new if valid is None else tuple(torch.where(_over(valid[:, n], b), b, a.to(b.dtype)) for a, b in zip(before, new, strict=True))
        )
    if not rows:
        return tuple(s.new_zeros(s.shape) for s in steps), now
    return tuple(torch.stack(c, 1) for c in zip(*rows, strict=True)), now


def _over(mask: Tensor, like: Tensor) -> Tensor:
    return mask.reshape(mask.shape + (1,) * (like.dim() - 1))

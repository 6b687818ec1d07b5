"""Draws: starting values of parameters and states, and random inputs.

All use torch's generator. `normal`, `uniform`, `gumbel` and `bernoulli` fill a shape; their arguments are numbers or tensors that
broadcast against it. `orthogonal`, `xavier` and `kaiming` see a shape as [*out, *in] with the last axis as `in`.
Layers that say nothing start as torch.nn.Linear does: weights and bias uniform in ±fan_in^-0.5, `fan_in` counted over all inputs of the
layer; tables of embeddings normal(0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, ...]
_still: ContextVar[float | None] = ContextVar("seqc_still", default=None)


@contextmanager
def still(quantile: float = 0.6) -> Iterator[None]:
    """Within it every draw is the value at one quantile of its distribution: for comparing runs that draw inside."""
    token = _still.set(quantile)
    try:
        yield
    finally:
        _still.reset(token)


def _units(shape: Shape, dtype: torch.dtype, device: Any) -> Tensor:
    """Uniform in [0, 1)."""
    fixed = _still.get()
    return torch.rand(shape, dtype=dtype, device=device) if fixed is None else torch.full(shape, fixed, dtype=dtype, device=device)


def _normals(shape: Shape, dtype: torch.dtype, device: Any) -> Tensor:
    """Normal with deviation 1."""
    fixed = _still.get()
    if fixed is None:
        return torch.randn(shape, dtype=dtype, device=device)
    return torch.full(shape, math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * fixed - 1))), dtype=dtype, device=device)


def _made(shape: Shape, dtype: torch.dtype, device: Any) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


def normal(shape: Shape, dtype: torch.dtype, device: Any, mean: Any = 0.0, deviation: Any = 1.0) -> Tensor:
    """Normal numbers; complex ones have the deviation spread over both parts, as torch.randn has it."""
    x = _normals(shape, dtype, device)
    return x * _like(deviation, dtype) + _like(mean, dtype)


def _like(v: Any, dtype: torch.dtype) -> Any:
    return (
        v.to(dtype)
        if isinstance(v, Tensor) and v.dtype != dtype and not v.is_complex()
        else v
        if isinstance(v, Tensor | complex)
        else float(v)
    )


def uniform(shape: Shape, dtype: torch.dtype, device: Any, low: Any = 0.0, high: Any = 1.0) -> Tensor:
    """Uniform numbers in [low, high)."""
    x = _units(shape, dtype, device)
    if not x.numel():
        return x
    low, high = _like(low, dtype), _like(high, dtype)
    return x * (high - low) + low


def gumbel(shape: Shape, dtype: torch.dtype, device: Any) -> Tensor:
    """-log(-log(u))."""
    u = _units(shape, dtype, device).clamp(min=torch.finfo(dtype).tiny)
    return -torch.log(-torch.log(u).clamp(max=-torch.finfo(dtype).tiny))


def bernoulli(shape: Shape, dtype: torch.dtype, device: Any, p: Any = 0.5) -> Tensor:
    """1 with probability p, else 0."""
    return (_units(shape, dtype, device) < p).to(dtype)


def orthogonal(shape: Shape, dtype: torch.dtype, device: Any, gain: Any = 1.0) -> Tensor:
    """Each [rows, columns] of the last two axes with orthonormal rows or columns, times `gain`."""
    if len(shape) < 2:
        x = torch.randn(shape, dtype=dtype, device=device)
        return x / x.norm().clamp(min=1e-12) * float(gain)
    *lead, rows, columns = shape
    flat = torch.randn(*lead, max(rows, columns), min(rows, columns), dtype=dtype, device=device)
    if flat.numel() == 0:
        return torch.empty(shape, dtype=dtype, device=device)
    q, r = torch.linalg.qr(flat)
    d = r.diagonal(dim1=-2, dim2=-1)
    q = q * torch.sgn(d)[..., None, :]
    return (q if rows >= columns else q.mT).reshape(shape) * float(gain)


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        return (shape[0] if shape else 1,) * 2
    return shape[-1], math.prod(shape[:-1])


def xavier(shape: Shape, dtype: torch.dtype, device: Any, gain: Any = 1.0) -> Tensor:
    """Uniform in ±gain * sqrt(6 / (fan_in + fan_out))."""
    fan_in, fan_out = _fans(shape)
    bound = float(gain) * math.sqrt(6 / max(fan_in + fan_out, 1))
    return uniform(shape, dtype, device, -bound, bound)


def kaiming(shape: Shape, dtype: torch.dtype, device: Any, gain: Any = 2**0.5) -> Tensor:
    """Normal with deviation gain / sqrt(fan_in)."""
    return normal(shape, dtype, device, 0.0, float(gain) / math.sqrt(max(_fans(shape)[0], 1)))


def fan(fan_in: int, shape: Shape, dtype: torch.dtype, device: Any) -> Tensor:
    """The layers' own start: uniform in ±fan_in^-0.5."""
    bound = max(fan_in, 1) ** -0.5
    real = torch.empty(0, dtype=dtype).real.dtype
    if dtype.is_complex:
        return torch.complex(uniform(shape, real, device, -bound, bound), uniform(shape, real, device, -bound, bound)) * 0.5**0.5
    return uniform(shape, dtype, device, -bound, bound)


def fill(target: Tensor, value: Any) -> None:
    """Writes a starting value (number or tensor that broadcasts) into a parameter or buffer."""
    with torch.no_grad():
        if target.is_meta:
            return
        if isinstance(value, Tensor):
            if value.is_complex() and not target.is_complex():
                value = value.real
            target.copy_(value.expand(target.shape))
        else:
            target.fill_(value if isinstance(value, complex | bool | int) else float(value))

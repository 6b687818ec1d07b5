"""Moving entries of arrays: gathers and interpolation at computed positions, one-hot, split and merge, square matrices.

Every function works on tensors whose axes the generated code has already put in place; `dim` is the place of the axis in question.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from seqc.runtime.binding import PlaceError


def take(x: Tensor, index: Tensor, lead: int) -> Tensor:
    """Entries of an axis at computed places.

    `x` is [*lead, n, *rest], `index` int64 [*lead, *new] (leading axes may be 1 on either side): result [*lead, *new, *rest].
    A position outside 0 … n - 1 is an error (`PlaceError`), as a table has no such row.
    """
    index = index.to(torch.int64) if index.dtype != torch.int64 else index
    try:
        return _taken(x, index, lead)
    except (IndexError, RuntimeError) as error:
        n = x.shape[lead]
        if not index.numel() or index.is_meta or index.is_cuda or bool(((index >= 0) & (index < n)).all()):
            raise
        found = f"{int(index.min())} to {int(index.max())}"
        raise PlaceError(f"an axis of {n} entries is read at the positions {found}: there are 0 to {n - 1} only") from error


def _taken(x: Tensor, index: Tensor, lead: int) -> Tensor:
    shape = torch.broadcast_shapes(x.shape[:lead], index.shape[:lead])
    new, rest, n = index.shape[lead:], x.shape[lead + 1 :], x.shape[lead]
    if lead == 0:
        if x.dim() > 1 and x.is_floating_point():
            flat = F.embedding(index, x.reshape(n, rest.numel()))
        else:
            flat = x.index_select(0, index.reshape(-1))
        return flat.reshape(*new, *rest)
    if all(s == 1 for s in x.shape[:lead]):
        return _taken(x.reshape(n, *rest), index.expand(*shape, *new), 0)
    x = x.expand(*shape, n, *rest)
    index = index.expand(*shape, *new)
    flat = index.reshape(*shape, new.numel(), *(1,) * len(rest)).expand(*shape, new.numel(), *rest)
    return x.gather(lead, flat).reshape(*shape, *new, *rest)


def at(x: Tensor, index: Tensor, lead: int, border: str, ends: Tensor | None = None) -> Tensor:
    """`take` with a border: whole positions gather, real ones interpolate linearly between neighbours."""
    n: int | Tensor = x.shape[lead]
    if ends is not None:
        n = ends.reshape(-1, *(1,) * (index.dim() - 1))
    if not index.is_floating_point():
        return _bordered(x, index.to(torch.int64), lead, n, border)
    low = torch.floor(index)
    weight = index - low
    low_at = low.to(torch.int64).detach()
    a = _bordered(x, low_at, lead, n, border)
    high_at = low_at + 1 if border != "none" else torch.minimum(low_at + 1, torch.as_tensor(n - 1, device=low_at.device))
    b = _bordered(x, high_at, lead, n, border)
    w = weight.reshape(*weight.shape, *(1,) * (a.dim() - weight.dim())).to(
        torch.promote_types(weight.dtype, x.real.dtype if x.is_complex() else x.dtype)
    )
    return a * (1 - w) + b * w


def _bordered(x: Tensor, index: Tensor, lead: int, n: int | Tensor, border: str) -> Tensor:
    last = (n - 1).clamp(min=0) if isinstance(n, Tensor) else max(n - 1, 0)
    if border == "wrap":
        return take(x, torch.remainder(index, last + 1), lead)
    if border == "clamp":
        return take(x, _within(index, last), lead)
    if border == "zero":
        inside = (index >= 0) & (index < n)
        y = take(x, _within(index, last), lead)
        return torch.where(
            inside.reshape(*inside.shape, *(1,) * (y.dim() - inside.dim())), y, torch.zeros((), dtype=y.dtype, device=y.device)
        )
    return take(x, index, lead)


def _within(index: Tensor, last: int | Tensor) -> Tensor:
    return torch.minimum(index.clamp(min=0), torch.as_tensor(last, device=index.device))


def lookup(x: Tensor, index: Tensor, lead: int, start: Tensor | float | None, ends: Tensor | None = None) -> Tensor:
    """A read at a computed place of a sequence: `start` outside of it (0 where the name has none)."""
    n = x.shape[lead]
    inside = (index >= 0) & (index < (n if ends is None else ends.reshape(-1, *(1,) * (index.dim() - 1))))
    shape = torch.broadcast_shapes(x.shape[:lead], index.shape[:lead])
    if n == 0:
        y = x.new_zeros(*shape, *index.shape[lead:], *x.shape[lead + 1 :])
    else:
        y = take(x, index.clamp(0, n - 1), lead)
    if isinstance(start, Tensor):
        fill = start.to(y.dtype)
    else:
        fill = torch.full((), start or 0, dtype=y.dtype, device=y.device)
    return torch.where(inside.reshape(*inside.shape, *(1,) * (y.dim() - inside.dim())), y, fill)


def shifted(x: Tensor, dim: int, steps: int, start: Tensor | float) -> Tensor:
    """`x[u - steps]` along an axis that is no chain: `start` stands before the first entry."""
    n = x.shape[dim]
    head = x.narrow(dim, 0, min(steps, n))
    fill = torch.as_tensor(start, dtype=x.dtype, device=x.device).expand(head.shape)
    return torch.cat((fill, x.narrow(dim, 0, max(n - steps, 0))), dim)


def onehot(index: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """[..., size]: 1 at the number, 0 elsewhere, and nothing but 0 where the number is out of range."""
    return (index[..., None] == torch.arange(size, device=index.device)).to(dtype)


def split(x: Tensor, dim: int, inner: int, what: str) -> Tensor:
    """Axis `dim` as (outer, inner), position = outer * inner + place. Raises where the length is no multiple of `inner`."""
    n = x.shape[dim]
    if inner <= 0 or n % inner:
        raise ValueError(f"{what}: the length {n} is no multiple of {inner}")
    return x.unflatten(dim, (n // inner, inner))


def split_outer(x: Tensor, dim: int, outer: int, what: str) -> Tensor:
    """Axis `dim` as (outer, inner) where the outer size is given."""
    n = x.shape[dim]
    if outer <= 0 or n % outer:
        raise ValueError(f"{what}: the length {n} is no multiple of {outer}")
    return x.unflatten(dim, (outer, n // outer))


def merge(x: Tensor, dim: int, parts: int) -> Tensor:
    """Axes dim … dim + parts - 1 as one."""
    return x if parts == 1 else x.flatten(dim, dim + parts - 1)


def concat(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Joins along `dim`; other axes repeat where they are 1."""
    dtype = parts[0].dtype
    for p in parts[1:]:
        dtype = torch.promote_types(dtype, p.dtype)
    width = max(p.dim() for p in parts)
    parts = [p.reshape((1,) * (width - p.dim()) + p.shape) for p in parts]
    dim = dim % width
    shape = [
        max((p.shape[d] for p in parts), default=1) if not any(p.shape[d] == 0 for p in parts) else min(p.shape[d] for p in parts)
        for d in range(width)
    ]
    grown = [p.to(dtype).expand(*(p.shape[d] if d == dim else shape[d] for d in range(width))) for p in parts]
    return torch.cat(grown, dim)


def reach_pad(x: Tensor, dims: Sequence[int], margins: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """Pads axes on both sides: `zero`, `clamp` (repeat the edge) or `wrap`."""
    for d, (low, high) in zip(dims, margins, strict=True):
        n = x.shape[d]
        if mode == "zero":
            widths = [0] * (2 * x.dim())
            at = 2 * (x.dim() - 1 - d % x.dim())
            widths[at], widths[at + 1] = low, high
            x = F.pad(x, widths)
        else:
            place = torch.arange(-low, n + high, device=x.device)
            place = place.clamp(0, max(n - 1, 0)) if mode == "clamp" else torch.remainder(place, max(n, 1))
            x = x.index_select(d, place)
    return x


def conv_windows(x: Tensor, dims: Sequence[int], size: int, stride: int, dilation: int, pad: str, mode: str, margin: int) -> Tensor:
    """What each place of a kernel sees: `windows` after padding (`causal` before only; `zero clamp wrap` keep ceil(n / stride))."""
    margins: list[tuple[int, int]] = []
    for d in dims:
        reach = (size - 1) * dilation
        if pad == "causal":
            margins.append((reach, 0))
        elif pad == "explicit":
            margins.append((margin, margin))
        else:
            n = x.shape[d]
            whole = max((-(-n // stride) - 1) * stride + reach + 1 - n, 0)
            margins.append((whole // 2, whole - whole // 2))
    return windows(reach_pad(x, dims, margins, mode), dims, [size] * len(dims), stride, dilation)


def windows(x: Tensor, dims: Sequence[int], sizes: Sequence[int], stride: int, dilation: int) -> Tensor:
    """All kernel places along `dims`: those axes become the places, and one tap axis for each is appended."""
    for d, k in zip(dims, sizes, strict=True):
        span = (k - 1) * dilation + 1
        if x.shape[d] < span:
            x = x.narrow(d, 0, 0).unsqueeze(-1).expand(*(s if i != d % x.dim() else 0 for i, s in enumerate(x.shape)), k)
            continue
        x = x.unfold(d, span, stride)[..., ::dilation]
    return x

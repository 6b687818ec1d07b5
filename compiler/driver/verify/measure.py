"""How far apart two results are, and how far they may be.

The error is the root mean square of the difference over that of the reference (`rms ratio`); infinities and NaN must stand in
the same places. Limits follow the error of rounding along `steps` steps; they stand here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

ROUNDINGS = 30
"""How many roundings of its inputs an operation's own roundings may be worth."""

NOTHING = 1e-12
"""Below this part of the largest tensor beside it, a float64 tensor is rounding."""

Verdict = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table: `what` was compared for one backend, mode and dtype of one body."""

    body: str
    backend: str
    mode: str
    dtype: str
    what: str
    verdict: Verdict
    error: float | None = None
    limit: float | None = None
    note: str = ""


def limit_of(dtype: str, steps: int, *, gradient: bool = False) -> float:
    """The largest ratio that passes. float64 leaves room for sums in another order only."""
    length = math.sqrt(max(1, steps))
    if dtype == "float64":
        return (1e-10 if gradient else 1e-12) * length
    return min(1e-4, 1e-5 * length) if gradient else min(2e-5, 1e-6 * length)


def ratio(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest ratio over pairs of tensors; `inf` where shapes or the places of infinities and NaN differ."""
    return max(ratios(found, wanted), default=0.0)


def ratios(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> list[float]:
    """The ratio of each pair; `[inf]` where there are not as many of one as of the other.

    A tensor that is zero but for rounding beside the others (the gradient of a key's bias under a softmax, which no shift of
    the keys can change) is measured against the largest of them.
    """
    if len(found) != len(wanted):
        return [math.inf]
    scale = max((_size(b) for b in wanted), default=0.0)
    return [_one(a, b, scale) for a, b in zip(found, wanted, strict=True)]


def excess(errors: Sequence[float], limit: float, slack: Sequence[float]) -> float:
    """The largest error, those set aside that the conditioning explains: where inputs and weights that differ by one float32
    rounding already change a result by `slack`, up to `ROUNDINGS` times that is no mistake."""
    room = list(slack) if len(slack) == len(errors) else [0.0] * len(errors)
    judged = (
        e * limit / (ROUNDINGS * s) if math.isfinite(e) and ROUNDINGS * s > limit and math.isfinite(s) else e
        for e, s in zip(errors, room, strict=True)
    )
    return max(judged, default=0.0)


def largest(tensors: Sequence[Tensor]) -> float:
    """The largest magnitude among finite entries."""
    import torch

    parts = [t.detach().abs() for t in tensors if t.numel() and (t.is_floating_point() or t.is_complex())]
    return max((float(torch.where(torch.isfinite(p), p, 0.0).max()) for p in parts), default=0.0)


def _size(b: Tensor) -> float:
    """The root mean square of the finite entries."""
    import torch

    if not b.numel() or not (b.is_floating_point() or b.is_complex()):
        return 0.0
    flat = torch.view_as_real(b.detach().resolve_conj()) if b.is_complex() else b.detach()
    flat = flat.double()
    flat = flat[torch.isfinite(flat)]
    return float(flat.square().mean().sqrt()) if flat.numel() else 0.0


def _one(a: Tensor, b: Tensor, scale: float) -> float:
    import torch

    if a.shape != b.shape:
        return math.inf
    if not a.numel():
        return 0.0
    if not (b.is_floating_point() or b.is_complex()):
        return 0.0 if bool((a == b).all()) else math.inf
    if b.is_complex() or a.is_complex():
        a, b = torch.view_as_real(a.detach().resolve_conj()), torch.view_as_real(b.detach().resolve_conj())
    a, b = a.detach().double(), b.detach().double()
    finite = torch.isfinite(b)
    if not bool((torch.isfinite(a) == finite).all()) or not bool((a[~finite].nan_to_num() == b[~finite].nan_to_num()).all()):
        return math.inf
    a, b = a[finite], b[finite]
    if not a.numel():
        return 0.0
    size = float(b.square().mean().sqrt())
    far = float((a - b).square().mean().sqrt())
    if size < NOTHING * scale:
        size = scale
    return far / size if size > 1e-30 else far

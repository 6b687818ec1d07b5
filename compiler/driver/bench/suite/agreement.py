"""Whether two contenders computed the same: outputs, and the gradients that both have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOLERANCE = {"float32": 5e-4, "bfloat16": 4e-2}
"""How far an entry may be off, of the largest one; sums over a thousand steps in another order come to that in float32."""

ZERO, LOW_ZERO, COARSE = 1e-3, 0.25, 1e-2
"""The share of the largest gradient below which one counts as zero, in float32 and, with a tolerance beyond `COARSE`, in 16 bits."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`error`: the largest difference relative to the largest entry; `where`: of what; `right`: within the tolerance."""

    error: float
    where: str
    right: bool


def compared(ours: tuple[Any, Mapping[str, Any]], theirs: tuple[Any, Mapping[str, Any]], tolerance: float, flips: float = 0.0) -> Agreement:
    """Output and gradients (by name, those of the peer) of both. `flips`: share of entries that may differ.

    A gradient that seqc lacks is wrong; so is anything that is not finite. A gradient that is zero but for roundings (a shift of all
    logits of a softmax) is measured against a share of the largest gradient of all: that much is rounding.
    """
    floor = (LOW_ZERO if tolerance > COARSE else ZERO) * max((float(g.abs().max()) for g in theirs[1].values() if g.numel()), default=0.0)
    worst, where, right = 0.0, "output", True
    pairs = [("output", ours[0], theirs[0])]
    pairs += [(f"gradient of {name}", ours[1].get(name), g) for name, g in theirs[1].items()]
    for name, a, b in pairs:
        if a is None or tuple(a.shape) != tuple(b.shape):
            return Agreement(math.inf, name, False)
        error, fine = _apart(a, b, tolerance, flips, 0.0 if name == "output" else floor)
        right = right and fine
        if error > worst or not fine and error >= worst:
            worst, where = error, name
    return Agreement(worst, where, right)


def _apart(a: Any, b: Any, tolerance: float, flips: float, floor: float) -> tuple[float, bool]:
    import torch

    wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
    a, b = a.detach().to(wide), b.detach().to(wide)
    if not a.numel():
        return 0.0, True
    if not bool(torch.isfinite(a.abs()).all()) or not bool(torch.isfinite(b.abs()).all()):
        return math.inf, False
    apart = (a - b).abs() / b.abs().max().clamp(min=max(floor, 1e-30))
    if not flips:
        error = float(apart.max())
        return error, error <= tolerance
    share = float((apart > tolerance).double().mean())
    return float(apart.flatten().kthvalue(max(1, round((1 - flips) * apart.numel()))).values), share <= flips

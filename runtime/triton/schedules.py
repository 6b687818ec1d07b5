"""Which schedules of a function are tried, and which calls share a choice.

In:      a function's description, sizes of its axes, sequences, the schedule that `blocks` derives.
Out:     at most 12 schedules, the derived one first; the class of shapes for which one is chosen.
Keeps:   neither the number of steps nor that of sequences is part of a class: sizes of axes count as the power of two above them, sequences
         as few or many. Every schedule of a class fits every call of it, and keeps the limits that the derived one keeps: whole axes that
         cannot be cut, tiles no larger than twice the derived ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seqc.runtime.triton.blocks import FEW, NARROW, Blocks, power

if TYPE_CHECKING:
    from seqc.runtime.triton.kernel import Pass

MOST = 12
"""Schedules that are tried."""

WARPS = (1, 16)
"""The fewest and the most warps."""

STEPS = (2, 128)
"""The fewest and the most steps of a tile."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Blocks, and steps of a tile (0 where a function takes one step after the other)."""

    blocks: Blocks
    steps: int = 0

    def told(self) -> dict[str, Any]:
        """For JSON."""
        b = self.blocks
        return {"axes": list(b.axes), "batch": b.batch, "warps": b.warps, "stages": b.stages, "steps": self.steps}


def read(told: Any) -> Schedule | None:
    """A schedule from JSON; None where it is none."""
    try:
        numbers = [*told["axes"], told["batch"], told["warps"], told["stages"], told["steps"]]
        if not all(type(n) is int and 0 <= n <= 1 << 20 for n in numbers):
            return None
        return Schedule(Blocks(tuple(told["axes"]), told["batch"], told["warps"], told["stages"]), told["steps"])
    except (KeyError, TypeError):
        return None


def fits(s: Schedule, derived: Schedule, f: Pass) -> bool:
    """Whether a schedule that was read can be one of this function's for these sizes."""
    b, d = s.blocks, derived.blocks
    powers = all(n > 0 and n & (n - 1) == 0 for n in (*b.axes, b.batch, b.warps)) and 1 <= b.stages <= 4
    whole = len(b.axes) == len(d.axes) and all(a in f.split or n == m for a, n, m in zip(f.axes, b.axes, d.axes, strict=True))
    tiles = (s.steps > 0 and s.steps & (s.steps - 1) == 0) if derived.steps else s.steps == 0
    return powers and whole and tiles and WARPS[0] <= b.warps <= 2 * WARPS[1]


def shape_class(f: Pass, sizes: Mapping[str, int], batch: int) -> str:
    """What calls have in common that share a choice."""
    return ",".join([*(f"{a}<={power(sizes[a])}" for a in f.axes), "few" if batch <= FEW else "many"])


def schedules(f: Pass, derived: Schedule, sizes: Mapping[str, int], free: bool = True) -> tuple[Schedule, ...]:
    """The derived schedule and others near it. `free`: the steps of a tile may be others too."""
    d = derived.blocks
    volume = max(1, math.prod(d.axes))
    out = [derived]

    def add(blocks: Blocks, steps: int = derived.steps) -> None:
        warps = max(WARPS[0], min(WARPS[1], blocks.warps))
        inside = math.prod(blocks.axes) * max(1, steps) <= 2 * volume * max(1, derived.steps)
        one = Schedule(replace(blocks, warps=warps), steps)
        if inside and one not in out:
            out.append(one)

    cut = [i for i, a in enumerate(f.axes) if a in f.split]
    for i in reversed(cut):
        whole = power(sizes[f.axes[i]])
        if d.axes[i] < whole:
            wide = (*d.axes[:i], 2 * d.axes[i], *d.axes[i + 1 :])
            add(replace(d, axes=wide))
            add(replace(d, axes=wide, warps=2 * d.warps))
        if d.axes[i] > (NARROW if i == len(f.axes) - 1 else 1):
            narrow = (*d.axes[:i], d.axes[i] // 2, *d.axes[i + 1 :])
            add(replace(d, axes=narrow, warps=max(1, d.warps // 2)))
    add(replace(d, warps=2 * d.warps))
    add(replace(d, warps=max(1, d.warps // 2)))
    if derived.steps:
        for steps in (2 * derived.steps, derived.steps // 2) if free else ():
            if STEPS[0] <= steps <= STEPS[1]:
                add(d, steps)
                add(replace(d, warps=max(1, d.warps // 2)), steps)
    else:
        for stages in (1, 3):
            add(replace(d, stages=stages))
        add(replace(d, warps=max(1, d.warps // 2), stages=3))
    return tuple(out[:MOST])

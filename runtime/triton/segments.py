"""One sequence in segments that run at the same time: how many, and the launches that it takes.

A segment is a whole number of tiles of the associative mode. For each level of groups one launch sums up every segment and one walks
over the sums; then the kernel itself runs with a program for each segment (`compiler.lower.triton.segments`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.cost.segments import LEAST_TILES as LEAST_TILES
from seqc.runtime.cost.segments import segments as segments

MULTIPROCESSORS = 132
"""Of the machine that is meant where there is none (the interpreter)."""


def segment_steps(programs: int, length: int, steps: int, machine: int) -> int:
    """Steps of a segment: all tiles but the last are full."""
    tiles = -(-length // max(1, steps))
    count = segments(programs, length, steps, machine)
    return max(1, -(-tiles // count)) * steps


def multiprocessors(device: torch.device) -> int:
    """Of a device."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else MULTIPROCESSORS


@dataclass(frozen=True, slots=True)
class Segment:
    """How a launch is one of several segments: steps of each; of a sum or a join its function, and the pass that it belongs to."""

    steps: int
    function: Any = None
    of: Any = None


@dataclass(slots=True)
class Split:
    """One layout of operands in segments. It is called as a `Launch` is.

    make     makes a buffer: shape, type, device, whether nothing will be written
    shapes   of the buffers that the launches share: for each carry what a segment begins with, then sums
    before   launches, with the buffers that each takes
    whole    the launch of the kernel, which takes the first `carries` of them
    """

    make: Callable[[tuple[int, ...], torch.dtype, torch.device, bool], Tensor]
    shapes: tuple[tuple[int, ...], ...]
    before: tuple[tuple[Any, tuple[int, ...]], ...]
    whole: Any
    carries: int

    @property
    def launches(self) -> tuple[Any, ...]:
        """All launches of the plan."""
        return (*(launch for launch, _ in self.before), self.whole)

    def call(self, operands: Sequence[Any]) -> list[Tensor | None]:
        """Launches everything on operands of this layout."""
        device = next(x.device for x in operands if isinstance(x, Tensor))
        held = [self.make(s, self.whole.real, device, False) for s in self.shapes]
        for launch, which in self.before:
            launch.call(operands, bounds=[held[i] for i in which])
        found: list[Tensor | None] = self.whole.call(operands, bounds=held[: self.carries])
        return found

"""What recorded steps are made of: buffers, places in them, instructions (`steps.h` runs them).

A buffer is memory that one storage stood for while a step was recorded: an operand (an input, a part of the state, a parameter),
a result, something held (a number, or what follows from parameters alone), or memory between instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

KINDS = {
    torch.bool: "b", torch.int64: "i", torch.float32: "r", torch.float64: "r", torch.complex64: "c", torch.complex128: "c",
}  # fmt: skip
"""One letter for a type: truth, whole number, real, complex."""


class Unfit(Exception):
    """A step that is no list of instructions."""


@dataclass(slots=True, eq=False)
class Buffer:
    """Memory. `what`: operand, held or memory; `level`: 0 fixed, 1 follows from parameters alone, 2 from inputs too.

    base    the address that offsets count from, while recording
    size    bytes
    slot    number of its address, once assembled
    after   operands (their numbers) that what is held follows from
    """

    what: str
    level: int
    base: int
    size: int
    slot: int = -1
    after: frozenset[int] = frozenset()
    value: Any = None


@dataclass(frozen=True, slots=True)
class Place:
    """A strided part of a buffer: `offset` in bytes, `steps` in elements."""

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    kind: str
    width: int

    def wide(self, shape: Sequence[int]) -> Place:
        """Broadcast to a shape."""
        more = len(shape) - len(self.shape)
        steps = [0] * more + [0 if n == 1 and m != 1 else s for n, s, m in zip(self.shape, self.steps, shape[more:], strict=True)]
        return replace(self, shape=tuple(shape), steps=tuple(steps))

    def turned(self, order: Sequence[int]) -> Place:
        """With its dimensions in another order."""
        return replace(self, shape=tuple(self.shape[i] for i in order), steps=tuple(self.steps[i] for i in order))

    def part(self, dim: int, start: int, size: int) -> Place:
        """A slice along one dimension."""
        shape = (*self.shape[:dim], size, *self.shape[dim + 1 :])
        return replace(self, offset=self.offset + start * self.steps[dim] * self.width, shape=shape)

    def laid(self, shape: Sequence[int]) -> Place:
        """The same memory with another shape. For places that lie contiguously."""
        return replace(self, shape=tuple(shape), steps=contiguous(shape))

    def at_ones(self, dim: int) -> Place:
        """With a dimension of size 1 put in."""
        return replace(self, shape=(*self.shape[:dim], 1, *self.shape[dim:]), steps=(*self.steps[:dim], 0, *self.steps[dim:]))


@dataclass(slots=True)
class Instruction:
    """One instruction: what, numbers, and the places, the one that is written first."""

    what: str
    places: list[Place]
    numbers: tuple[Any, ...] = ()


@dataclass(slots=True)
class Tape:
    """Instructions, and what they stand on."""

    instructions: list[Instruction] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    numbers: dict[tuple[str, str], Place] = field(default_factory=dict)


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Steps of rows that lie one behind the other."""
    out: list[int] = []
    step = 1
    for n in reversed(shape):
        out.append(step)
        step *= max(1, n)
    return tuple(reversed(out))


def dense_steps(shape: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """These steps, where the entries lie side by side in some order; else those of rows one behind the other."""
    step = 1
    for n, s in sorted(zip(shape, steps, strict=True), key=lambda one: one[1]):
        if n != 1:
            if s != step:
                return contiguous(shape)
            step *= n
    return tuple(steps)


def apart(shape: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """These steps, where no two entries share a place; else those of rows one behind the other."""
    reach = 0
    for n, s in sorted(zip(shape, steps, strict=True), key=lambda one: one[1]):
        if n != 1:
            if s <= reach:
                return contiguous(shape)
            reach += (n - 1) * s
    return tuple(steps)


def span(x: Tensor) -> int:
    """Bytes from a tensor's first entry to behind its last."""
    if not x.numel():
        return 0
    return (1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))) * x.element_size()

"""What the cost model knows of a loop: numbers that the compiler counted in its kernels (`compiler.plan.count`), nothing of its name.

A count is a sum of products: `((axes, n), …)`, n for each entry along these axes. `told` turns facts into plain tuples, which a generated
module holds; `Loop.of` reads them back. Sizes of axes, sequences, steps and the width of memory are known only when it runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Axes = tuple[str, ...]
Count = tuple[tuple[Axes, float], ...]


def total(count: Count, sizes: Mapping[str, int]) -> float:
    """The value of a count."""
    return sum(n * math.prod(sizes[a] for a in axes) for axes, n in count)


@dataclass(frozen=True, slots=True)
class Scan:
    """One group of carries as an associative scan: `values` that go through it for each entry of `axes`; operations of one combination,
    and how many of them one after the other; `level`: how many groups it waits for."""

    axes: Axes
    values: int
    plain: float
    special: float
    plain_depth: float
    special_depth: float
    level: int = 0


@dataclass(frozen=True, slots=True)
class Pass:
    """One function: what a program walks through.

    axes, cuts, shares, largest   what `runtime.triton.blocks.choose` chooses blocks from
    read, written   values of a step that come from memory and go there, for each sequence
    once            values that come or go once for each sequence
    plain, special  operations of a step, for each sequence: those that arithmetic units do, and exponentials, reciprocals and the like
    carries         values handed to the next step
    chain           (plain, special, sums, products): the longest way from a value of the step before to the next one, one after the other
    depth           the same from anywhere in the step
    products        for each matrix product of a step the axes of its weight, of its result, and those along which each entry has its own
    tiled           whether it takes many steps at a time; then `scans` are its groups of carries, and `reads` are those of the values
                    read that the coefficients need, `levels` how many of the groups wait for each other
    """

    axes: Axes
    cuts: Axes
    shares: Axes
    largest: tuple[Axes, ...]
    read: Count
    written: Count
    once: Count
    plain: Count
    special: Count
    carries: Count
    chain: tuple[int, int, int, int]
    depth: tuple[int, int, int, int]
    products: tuple[tuple[Axes, Axes, Axes], ...] = ()
    tiled: bool = False
    scans: tuple[Scan, ...] = ()
    reads: Count = ()
    levels: int = 1

    @property
    def carried(self) -> int:
        """How many carries it has."""
        return round(sum(n for _, n in self.carries))

    def told(self) -> tuple[Any, ...]:
        """As plain tuples."""
        scans = tuple((s.axes, s.values, s.plain, s.special, s.plain_depth, s.special_depth, s.level) for s in self.scans)
        head = (self.axes, self.cuts, self.shares, self.largest, self.read, self.written, self.once, self.plain, self.special)
        return (*head, self.carries, self.chain, self.depth, self.products, self.tiled, scans, self.reads, self.levels)

    @classmethod
    def of(cls, told: Sequence[Any]) -> Pass:
        """From plain tuples."""
        names = cls.__dataclass_fields__
        return cls(**dict(zip(names, told, strict=True)) | {"scans": tuple(Scan(*s) for s in told[14])})


@dataclass(frozen=True, slots=True)
class Solver:
    """Newton's method for a loop.

    parts   each group's function, and whether it is iterated
    rows    what computes the rows in the end
    back    the adjoint as one scan, where it is one
    kinks   whether the Jacobian jumps with the state, as that of `relu` does: more iterations
    """

    parts: tuple[tuple[bool, Pass], ...]
    rows: Pass
    kinks: bool
    back: Pass | None = None

    def told(self) -> tuple[Any, ...]:
        """As plain tuples."""
        return tuple((iterated, p.told()) for iterated, p in self.parts), self.rows.told(), self.kinks, self.back and self.back.told()

    @classmethod
    def of(cls, told: Sequence[Any]) -> Solver:
        """From plain tuples."""
        return cls(tuple((iterated, Pass.of(p)) for iterated, p in told[0]), Pass.of(told[1]), told[2], told[3] and Pass.of(told[3]))


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop over time: its kernel forwards and backwards, one step after the other; the same many steps at a time, where its carries
    have an algebra; Newton's method, where it solves it. `operations`: how many torch operations a step is without a kernel.

    names   what it computes, in the spec's words
    built   the modes that there are kernels for, besides the reference
    lacks   why a mode is not there, for each that a loop of this kind might have
    """

    forward: Pass
    backward: Pass
    operations: int
    scan: tuple[Pass, Pass] | None = None
    newton: Solver | None = None
    built: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    lacks: tuple[tuple[str, str], ...] = ()

    def told(self) -> tuple[Any, ...]:
        """As plain tuples."""
        scan = None if self.scan is None else (self.scan[0].told(), self.scan[1].told())
        newton = None if self.newton is None else self.newton.told()
        return self.forward.told(), self.backward.told(), self.operations, scan, newton, self.built, self.names, self.lacks

    @classmethod
    def of(cls, told: Sequence[Any]) -> Loop:
        """From plain tuples."""
        forward, backward, operations, scan, newton, built, names, lacks = told
        both = None if scan is None else (Pass.of(scan[0]), Pass.of(scan[1]))
        solver = None if newton is None else Solver.of(newton)
        return cls(Pass.of(forward), Pass.of(backward), operations, both, solver, tuple(built), tuple(names), tuple(lacks))


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known when a loop runs.

    batch, length, sizes   sequences, steps, entries of each axis
    width                  bytes of a value in memory
    training               whether a gradient will be taken
    iterations             of Newton's method, where this module has run it before; 0 where it has not
    """

    batch: int
    length: int
    sizes: Mapping[str, int]
    width: int = 4
    training: bool = False
    iterations: int = 0

"""Along what a body runs: an index set, the predecessors of each position, and an order in which every position comes after them.

Generated loops walk a topology's order and take what a lag reads from the predecessors. There is one topology so far, the chain (`t`,
`reverse(t)`, a range); grids, trees and graphs are further ones with the same three questions, not other loops. A reversed chain is a
chain over the flipped sequence (`seqc.runtime.packing.flipped`), because where it starts depends on where each sequence ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Topology(Protocol):
    """What a loop needs to know."""

    @property
    def size(self) -> int:
        """How many positions there are."""

    def predecessors(self, position: int) -> tuple[int, ...]:
        """The positions whose values a position reads with a lag of 1."""

    def order(self) -> Iterator[Sequence[int]]:
        """Groups of positions; each position's predecessors stand in earlier groups, so a group could be computed at once."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps one after the other.

    >>> [g for g in Chain(3).order()], Chain(3).predecessors(2), Chain(3).predecessors(0)
    ([(0,), (1,), (2,)], (1,), ())
    """

    size: int

    def predecessors(self, position: int) -> tuple[int, ...]:
        """The step before; none before the first."""
        return (position - 1,) if position else ()

    def order(self) -> Iterator[Sequence[int]]:
        """One step at a time."""
        return ((n,) for n in range(self.size))

    def walk(self, *rows: Sequence[Any]) -> Iterable[tuple[int, tuple[Any, ...]]]:
        """Each position in order, with its row of each sequence (already cut into rows)."""
        if not rows:
            return ((n, ()) for n in range(self.size))
        return enumerate(zip(*rows, strict=True))

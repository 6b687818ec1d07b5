"""How much of the work one program takes: the block of each axis, sequences of a program, warps.

A choice follows from the sizes of the axes, from whether there are few sequences or many, and from nothing else: neither the
number of steps nor the exact number of sequences makes another kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TILE = 1024
"""Entries of the largest value of a program that are aimed at: four for each thread of eight warps."""

LARGE, NARROW = 4096, 8
"""Above so many entries also lanes become narrow, down to this: registers that spill are worse than broken lines."""

LEAST = 32
"""Entries along the lanes below which memory is read in broken lines."""

PROGRAMS = 264
"""Programs that fill a large machine: two for each of 132 multiprocessors."""

FEW = 16
"""Up to so many sequences count as few."""


WARPS = 8
"""Warps of the largest program."""

DEEP = 1024
"""Up to so many entries of the largest value the loads of the next step are in flight while one is computed."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Entries of each axis in a program (powers of two), sequences of a program, warps, stages of loads in flight."""

    axes: tuple[int, ...]
    batch: int
    warps: int
    stages: int


def power(n: int) -> int:
    """The smallest power of two that is at least n (1 for 0)."""
    return 1 << max(0, n - 1).bit_length()


def choose(
    axes: Sequence[str],
    cuts: Sequence[str],
    shares: Sequence[str],
    largest: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
    batch: int,
    room: int = TILE,
    large: int = LARGE,
) -> Blocks:
    """Blocks for a kernel over `axes`, cut along `cuts`; along `shares` cutting costs memory for shares of sums. `room`: entries of
    the largest value that are aimed at; above `large` lanes become narrow too."""
    block = {a: power(sizes[a]) for a in axes}
    lanes = axes[-1] if axes else ""

    def tile() -> int:
        return max((math.prod(block[a] for a in value) for value in largest), default=1)

    def programs() -> int:
        return max(1, batch if batch <= FEW else PROGRAMS) * math.prod(-(-sizes[a] // block[a]) for a in cuts)

    def halve(of: Sequence[str], least: int) -> bool:
        found = [a for a in of if block[a] > (least if a == lanes else 1)]
        if found:
            block[found[0]] //= 2
        return bool(found)

    free = [a for a in cuts if a not in shares]
    dear = [a for a in cuts if a in shares]
    while tile() > room and (halve(free, LEAST) or halve(dear, LEAST)):
        pass
    while tile() > large and (halve(free, NARROW) or halve(dear, NARROW)):
        pass
    while programs() < PROGRAMS and tile() > LEAST and halve(free, LEAST):
        pass
    small = tile()
    if room != TILE:
        return Blocks(tuple(block[a] for a in axes), 1, 8, 1)
    together = max(1, min(power(batch) if batch <= FEW else FEW, 64 // small)) if small < 64 and programs() >= PROGRAMS else 1
    # threads share the registers of a machine: more than 256 of them have too few each for the addresses that all of them hold
    warps = max(1, min(WARPS, small * together // 128))
    return Blocks(tuple(block[a] for a in axes), together, warps, 2 if small <= DEEP else 1)

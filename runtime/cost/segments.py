"""Into how many segments that run at the same time a sequence is cut in the associative mode."""

from __future__ import annotations

FULL = 4
"""Programs for each multiprocessor that are aimed at: a load takes about as long as what comes after it, and with 16 KB on the way for
each program 300 of them move as much as an H200's memory does; twice that for what is not even."""

LEAST_TILES = 4
"""Tiles of a segment, at least."""


def segments(programs: int, length: int, steps: int, machine: int) -> int:
    """Into how many segments `length` steps are cut, where one segment each makes `programs` programs. `steps`: of a tile; `machine`: its
    multiprocessors. 1 where the programs fill half of the machine: a cut reads everything twice."""
    tiles = -(-length // max(1, steps))
    if programs < 1 or 2 * programs > machine or tiles < 2 * LEAST_TILES:
        return 1
    wanted = min(-(-FULL * machine // programs), tiles // LEAST_TILES)
    each = -(-tiles // wanted)
    return -(-tiles // each)

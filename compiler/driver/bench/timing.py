"""Timing several contenders fairly: in one process, in turns, medians and quartiles.

Each round every contender has a turn, in an order that turns from round to round, so that drift of the machine meets all alike. A
turn is one run, or, with `turn`, as many as fit into that time; then the first of several is not counted, as it finds the
caches as the others left them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one contender: median and quartiles of `runs` runs."""

    who: str
    median: float
    low: float
    high: float
    runs: int


def race(
    contenders: Sequence[tuple[str, Callable[[], object]]],
    *,
    seconds: float,
    least: int = 5,
    most: int = 200,
    turn: float = 0.0,
    sync: Callable[[], None] = lambda: None,
    tick: Callable[[str], None] = lambda who: None,
) -> list[Timing]:
    """Times the contenders for about `seconds`, at least `least` rounds and at most `most` after one that warms up.

    Where a round takes long, two are enough: no race lasts much more than four times `seconds`.
    """
    found: dict[str, list[float]] = {who: [] for who, _ in contenders}
    for who, run in contenders:
        tick(who)
        run()
    sync()
    start = time.perf_counter()
    number = 0
    while number < most and (number < least or time.perf_counter() - start < seconds):
        turned = [*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]] if contenders else []
        for who, run in turned:
            tick(who)
            found[who] += _turn(run, turn, sync)
        number += 1
        if number >= 2 and time.perf_counter() - start > 4 * seconds:
            break
    return [summary(who, runs) for who, runs in found.items()]


def _turn(run: Callable[[], object], turn: float, sync: Callable[[], None]) -> list[float]:
    """Milliseconds of the runs of one turn."""
    runs: list[float] = []
    sync()
    start = before = time.perf_counter()
    while not runs or before - start < turn:
        run()
        sync()
        after = time.perf_counter()
        runs.append((after - before) * 1e3)
        before = after
    return runs[1:] if len(runs) > 1 else runs


def summary(who: str, runs: Sequence[float]) -> Timing:
    median = statistics.median(runs)
    low, _, high = statistics.quantiles(runs, n=4, method="inclusive") if len(runs) > 1 else (median, median, median)
    return Timing(who, median, low, high, len(runs))

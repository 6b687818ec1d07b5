"""The learning rate over a run: up in a straight line, then down along half a cosine.

The run's progress is a number from 0 to 1, by steps or by time, so that `--minutes 2` anneals in two minutes on any machine.
"""

from __future__ import annotations

import math


def progress(step: int, seconds: float, steps: int | None, minutes: float | None) -> float:
    """How much of the run is over, 0 to 1: the larger of the shares of steps and of time; 1 means stop.

    >>> progress(50, 30.0, 100, None), progress(50, 30.0, 100, 0.625), progress(0, 0.0, None, 2.0)
    (0.5, 0.8, 0.0)
    """
    shares = [step / steps] if steps is not None else []
    if minutes is not None:
        shares.append(seconds / (60.0 * minutes))
    return min(1.0, max(shares))


def factor(done: float, warmup: float, floor: float) -> float:
    """What the highest rate is multiplied by when `done` (0 to 1) of the run is over.

    >>> [round(factor(p, 0.1, 0.1), 3) for p in (0.0, 0.05, 0.1, 0.55, 1.0)]
    [0.01, 0.5, 1.0, 0.55, 0.1]
    """
    if done < warmup:
        return max(0.01, done / warmup)
    rest = (done - warmup) / (1.0 - warmup) if warmup < 1.0 else 1.0
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * rest))

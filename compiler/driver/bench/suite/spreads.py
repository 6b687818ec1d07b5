"""Timings as they stand in the report."""

from __future__ import annotations

from seqc.compiler.driver.bench.suite.report import Spread
from seqc.compiler.driver.bench.timing import Timing


def spread(t: Timing) -> Spread:
    """Median and quartiles."""
    return Spread(median=t.median, low=t.low, high=t.high, runs=t.runs)

"""Where a suite takes place: whose kernels, on which device, how a race is timed, and what the machine's own pace is.

`Place` is what `duel` needs of it; `Cpu` is the suite on processors, `gpu.Gpu` the one on graphics cards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from seqc.compiler.driver.bench.suite.contestants import Stand, stand
from seqc.compiler.driver.bench.suite.raw import recorded
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import BANDWIDTH, FLOOR, Bar, Case
from seqc.compiler.driver.bench.suite.spreads import spread
from seqc.compiler.driver.bench.timing import Timing, race

EXPONENTIALS = 2.8e9
"""Exponentials that one core makes in a second: the mark that was set for it."""

ADD, RAW = "torch.add(a, b, out=h)", "the kernel, its result in place"

Runs = list[tuple[str, Callable[[], object]]]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a measurement takes: about `seconds` for each of forward and forward+backward, a contender's turn `turn`."""

    seconds: float
    turn: float
    least: int


class Place(Protocol):
    """`special`: bars that are no contenders; `what` they are measured in."""

    special: tuple[str, ...]

    def stand(self, case: Case) -> Stand:
        """The case, ready. Raises NoKernel, NoCompiler."""

    def pace(self, s: Stand, what: str) -> Runs:
        """What races beside the contenders to say what the machine can do."""

    def figure(self, about: dict[str, Any], s: Stand, bar: Bar, what: str, found: dict[str, Timing]) -> Figure | None:
        """The figure of a special bar; None where it has none of this kind."""

    def race(self, runs: Runs, budget: Budget, tick: Callable[[str], None]) -> list[Timing]:
        """Times everyone in turns."""

    def note(self) -> str:
        """What there is to know about the last race; "" for nothing."""


class Cpu:
    """Native kernels, one process, wall clock."""

    special: tuple[str, ...] = (BANDWIDTH, FLOOR)

    def stand(self, case: Case) -> Stand:
        """As `contestants.stand`."""
        return stand(case)

    def pace(self, s: Stand, what: str) -> Runs:
        """An addition of two arrays as large as the result, and the kernel without what is around it."""
        import torch

        if what != "forward" or not any(b.peer in self.special for b in s.case.bars):
            return []
        entries = s.weights.numel() * (2 if s.weights.is_complex() else 1)
        a, b, h = torch.randn(entries), torch.randn(entries), torch.empty(entries)
        with torch.no_grad():
            calls = recorded(lambda: s.layer(**s.x))
        return [(ADD, lambda: torch.add(a, b, out=h)), (RAW, calls.again)]

    def figure(self, about: dict[str, Any], s: Stand, bar: Bar, what: str, found: dict[str, Timing]) -> Figure | None:
        """Fractions of what the machine can do, forward."""
        if what != "forward":
            return None
        add, ours = found[ADD], found[RAW] if bar.peer == BANDWIDTH else found[s.own.name]
        entries = s.weights.numel() * (2 if s.weights.is_complex() else 1)
        per_ms = 3 * 4 * entries / add.median
        moved = sum(v.numel() * v.element_size() for v in s.x.values()) + s.weights.numel() * s.weights.element_size()
        floor = moved / per_ms
        reason = f"torch.add(out=) moves {per_ms / 1e6:.1f} GB/s"
        if bar.peer == FLOOR:
            exps = s.case.exps * s.weights.numel() / EXPONENTIALS * 1e3
            reason += f"; floors: bytes {floor:.2f} ms, exponentials {exps:.2f} ms"
            floor = max(floor, exps)
        value = floor / ours.median
        return Figure(
            **about, against=bar.peer, what=what, value=value, asked=bar.forward, ours=spread(ours), theirs=spread(add), reason=reason
        )

    def race(self, runs: Runs, budget: Budget, tick: Callable[[str], None]) -> list[Timing]:
        """By the wall clock."""
        return race(runs, seconds=budget.seconds, least=budget.least, turn=budget.turn, tick=tick)

    def note(self) -> str:
        """Nothing."""
        return ""


__all__ = ["Budget", "Cpu", "Place", "Runs"]

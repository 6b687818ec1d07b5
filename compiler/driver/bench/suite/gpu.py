"""A suite on a graphics card: events instead of a clock, CUDA graphs for what is shorter than its launch, floors from measured copies.

`Gpu` is the place of `seqc bench --suite gpu`. `Dry` goes through the same rows on the CPU, kernels interpreted: its figures say that
everything runs, and nothing about speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from seqc.compiler.driver.bench.suite.contestants import Stand, stand
from seqc.compiler.driver.bench.suite.gpu_rows import BEST, NEWTON, SEQUENTIAL, STEP_TIME
from seqc.compiler.driver.bench.suite.place import Budget, Runs
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import FLOOR, Bar, Case
from seqc.compiler.driver.bench.suite.spreads import spread
from seqc.compiler.driver.bench.timing import Timing, race, summary

COPY = "dst.copy_(src)"
COPIED = 1 << 29
"""Bytes of the copy that says how fast memory is: far more than a cache holds."""
SHORT = 0.1
"""Milliseconds below which a launch counts: then everyone runs under a CUDA graph, and eager times are said beside."""
SPECIAL_FUNCTIONS = 16
"""Exponentials that a multiprocessor makes in a cycle."""


def graphed(run: Callable[[], object], times: int = 1) -> Callable[[], object]:
    """The same work as one CUDA graph, `times` over. Raises what torch raises where it cannot be captured."""
    import torch

    side: Any = cast(Any, torch.cuda).Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph: Any = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        held = [run() for _ in range(times)]

    def replay() -> object:
        graph.replay()
        return held

    return replay


class Gpu:
    """Triton kernels on the first GPU."""

    special: tuple[str, ...] = (FLOOR, BEST, STEP_TIME)
    device = "cuda"

    def __init__(self) -> None:
        self._said = ""

    def stand(self, case: Case) -> Stand:
        """The case with `backend="triton"`. Raises NoKernel, NoTriton."""
        return stand(case, backend="triton", device=self.device)

    def pace(self, s: Stand, what: str) -> Runs:
        """A copy of memory."""
        import torch

        if not any(b.peer == FLOOR for b in s.case.bars):
            return []
        src = torch.empty(self.copied // 4, device=self.device)
        dst = torch.empty_like(src)
        return [(COPY, lambda: dst.copy_(src))]

    @property
    def copied(self) -> int:
        """Bytes of that copy."""
        return COPIED

    def exponentials(self) -> float:
        """How many a second."""
        import torch

        about = torch.cuda.get_device_properties(0)
        hertz = 1e3 * getattr(about, "clock_rate", 0) or 1.75e9
        return about.multi_processor_count * SPECIAL_FUNCTIONS * hertz

    def figure(self, about: dict[str, Any], s: Stand, bar: Bar, what: str, found: dict[str, Timing]) -> Figure | None:
        """A fraction of the floor, a step's time, or how near `auto` comes to the best mode."""
        ours = found[s.own.name]
        asked = bar.forward if what == "forward" else bar.both
        told: dict[str, Any] = {**about, "against": bar.peer, "what": what, "asked": asked, "ours": spread(ours)}
        if bar.peer == STEP_TIME:
            return Figure(**told, value=1e3 * ours.median / max(1, s.case.time), unit="µs", sense="at most")
        if bar.peer == BEST:
            modes = [found[name] for name in (SEQUENTIAL, NEWTON) if name in found]
            if not modes:
                return None
            best = min(modes, key=lambda t: t.median)
            return Figure(**told, value=best.median / ours.median, theirs=spread(best), reason=f"the best is {best.who}")
        copy = found[COPY]
        per_ms = 2 * self.copied / copy.median
        moved, exps = floors(s, what)
        bytes_ms, exps_ms = moved / per_ms, exps / self.exponentials() * 1e3
        reason = f"a copy moves {per_ms / 1e6:.0f} GB/s; floors: bytes {bytes_ms:.3f} ms, exponentials {exps_ms:.3f} ms"
        return Figure(**told, value=max(bytes_ms, exps_ms) / ours.median, theirs=spread(copy), reason=reason)

    def race(self, runs: Runs, budget: Budget, tick: Callable[[str], None]) -> list[Timing]:
        """In turns, by events; under CUDA graphs where someone is short, if everybody can be captured."""
        import torch

        eager: dict[str, float] = {}
        for who, run in runs:
            tick(who)
            run()
            eager[who] = min(self._timed(run, 3))
        self._said, ready, times = "", dict(runs), dict.fromkeys(eager, 1)
        if runs and min(eager.values()) < SHORT:
            try:
                for who, run in runs:
                    times[who] = max(1, min(64, math.ceil(0.5 / eager[who])))
                    ready[who] = graphed(run, times[who])
                self._said = "CUDA graphs; eager, ms: " + ", ".join(f"{who} {ms:.3f}" for who, ms in eager.items())
            except Exception as why:  # who cannot be captured runs as it is, and so does everyone
                torch.cuda.synchronize()
                ready, times = dict(runs), dict.fromkeys(eager, 1)
                self._said = f"no CUDA graph ({str(why).splitlines()[0][:80] if str(why) else type(why).__name__})"
        found: dict[str, list[float]] = {who: [] for who, _ in runs}
        spent, number, order = 0.0, 0, list(ready)
        while number < 200 and (number < budget.least or spent < 1e3 * budget.seconds):
            shift = number % max(1, len(order))
            for who in (*order[shift:], *order[:shift]):
                tick(who)
                several = max(1, round(0.3 / max(eager[who], 1e-3))) if times[who] == 1 else 1
                one = self._timed(ready[who], several)
                spent += sum(one)
                found[who] += [ms / times[who] for ms in one]
            number += 1
            if number >= 2 and spent > 4e3 * budget.seconds:
                break
        return [summary(who, one) for who, one in found.items()]

    def _timed(self, run: Callable[[], object], times: int) -> list[float]:
        """Milliseconds of each of some runs, by events."""
        import torch

        event = cast(Any, torch.cuda).Event
        marks = [(event(enable_timing=True), event(enable_timing=True)) for _ in range(times)]
        torch.cuda.synchronize()
        for begin, end in marks:
            begin.record()
            run()
            end.record()
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in marks]

    def note(self) -> str:
        """Whether CUDA graphs were used, and the eager times."""
        return self._said

    def graph(self, run: Callable[[], object]) -> Callable[[], object]:
        """The work as a CUDA graph."""
        return graphed(run)

    @contextmanager
    def peak(self) -> Iterator[list[int]]:
        """Bytes at the highest, beyond what there was; in the list afterwards."""
        import torch

        found: list[int] = []
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        torch.cuda.synchronize()
        found.append(max(0, torch.cuda.max_memory_allocated() - before))


class Dry(Gpu):
    """The same rows without a GPU."""

    device = "cpu"

    @property
    def copied(self) -> int:
        return 1 << 20

    def exponentials(self) -> float:
        return 1e9

    def race(self, runs: Runs, budget: Budget, tick: Callable[[str], None]) -> list[Timing]:
        return race(runs, seconds=0.0, least=1, most=1, tick=tick)

    def graph(self, run: Callable[[], object]) -> Callable[[], object]:
        return run

    @contextmanager
    def peak(self) -> Iterator[list[int]]:
        from seqc.compiler.driver.bench.suite.child import highest

        found: list[int] = []
        before = highest(True)
        yield found
        found.append(max(0, highest(False) - before))


def floors(s: Stand, what: str) -> tuple[float, float]:
    """Bytes that have to be moved, and exponentials that have to be made.

    Forward reads the inputs and writes the out; backward reads both and the out's gradient, and writes the inputs' gradients, `spared`
    inputs aside. Exponentials are made once more in the backward pass, since nothing but the out is kept.
    """

    def size(v: Any) -> float:
        return float(v.numel() * v.element_size())

    inputs, out = [size(v) for v in s.x.values()], size(s.weights)
    moved, exps = sum(inputs) + out, float(s.case.exps * s.weights.numel())
    if what == "forward":
        return moved, exps
    spared = sum(sorted(inputs)[: s.case.spared])
    return moved + (sum(inputs) - spared) + 2 * out + sum(inputs), 2 * exps


__all__ = ["Dry", "Gpu", "floors", "graphed"]

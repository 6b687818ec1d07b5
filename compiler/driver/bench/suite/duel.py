"""Measures one case: compares every contender with seqc's layer, then lets those that are right race.

In:   a case and how its peers are built.       Out: figures, forward and forward+backward for each bar.
Refuses: nothing; a peer that is not there, fails, or is wrong becomes a figure without a value and with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from seqc.compiler.driver.bench.suite.agreement import TOLERANCE, Agreement, compared
from seqc.compiler.driver.bench.suite.contender import Contender
from seqc.compiler.driver.bench.suite.contestants import OWN, Peer, Stand, peer, stand
from seqc.compiler.driver.bench.suite.machine import instructions
from seqc.compiler.driver.bench.suite.raw import recorded
from seqc.compiler.driver.bench.suite.report import Figure, Spread, Status
from seqc.compiler.driver.bench.suite.rows import BANDWIDTH, FLOOR, LSTM_PER_FLOP, MINGRU, Bar, Case, Row
from seqc.compiler.driver.bench.timing import Timing, race

EXPONENTIALS = 2.8e9
"""Exponentials that one core makes in a second: the mark that was set for it."""

ADD, RAW = "torch.add(a, b, out=h)", "the kernel, its result in place"
SPECIAL = (BANDWIDTH, FLOOR)


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a measurement takes: about `seconds` for each of forward and forward+backward, a contender's turn `turn`."""

    seconds: float
    turn: float
    least: int


def measured(row: Row, case: Case, budget: Budget, tick: Callable[[str], None], find: Peer = peer) -> list[Figure]:
    """The figures of one case."""
    about: dict[str, Any] = {"row": row.name, "subject": _subject(case), "sizes": case.sizes}
    if case.needs and case.needs not in instructions():
        return list(_unmeasured(about, case, "skipped", f"this machine has no {case.needs}"))
    tick(f"{case.body} {case.sizes}: preparing")
    try:
        s = stand(case)
    except RuntimeError as why:
        if getattr(why, "code", "") not in ("SEQ0604", "SEQ0601"):
            raise
        return list(_unmeasured(about, case, "no kernel", _plain(why)))
    got = s.own.results()
    who: list[Contender] = []
    out: list[Figure] = []
    errors: dict[str, Agreement] = {}
    for bar in case.bars:
        if bar.peer in SPECIAL:
            continue
        tick(f"{case.body} {case.sizes}: {bar.peer}")
        status, reason = "measured", ""
        try:
            contender = find(bar.peer, s)
            if contender.compare:
                theirs = contender.results()
                found = compared((got[0], contender.regrouped(got[1])), theirs, TOLERANCE[case.dtype], case.flips)
                errors[bar.peer] = found
                if not found.right:
                    status, reason = "WRONG", f"{found.where} is off by {found.error:.1e} of the largest entry"
        except ImportError as why:
            status, reason = "skipped", _plain(why)
        except Exception as why:  # a library that fails is a finding, and no reason to stop
            status, reason = ("no kernel" if getattr(why, "code", "") == "SEQ0604" else "failed"), _plain(why)
        if status == "measured":
            who.append(contender)
        else:
            error = errors[bar.peer].error if status == "WRONG" else None
            out += [_empty(about, bar, what, asked, status, reason, error) for what, asked in _asked(bar)]
    out += _raced(about, s, who, errors, budget, tick)
    return out


def _raced(
    about: dict[str, Any], s: Stand, who: list[Contender], errors: dict[str, Agreement], budget: Budget, tick: Callable[[str], None]
) -> Iterator[Figure]:
    """The races of those that are right."""
    case = s.case

    def run(what: str, contenders: list[tuple[str, Callable[[], object]]]) -> dict[str, Timing]:
        timings = race(
            contenders,
            seconds=budget.seconds,
            least=budget.least,
            turn=budget.turn,
            tick=lambda name: tick(f"{case.body} {case.sizes}, {what}: {name}"),
        )
        return {t.who: t for t in timings}

    bars = {b.peer: b for b in case.bars}
    ones = [(c.name, c.forward) for c in (s.own, *who)]
    special = [b for b in case.bars if b.peer in SPECIAL]
    ones += _bare(s) if special else []
    found = run("forward", ones)
    for bar in special:
        yield _special(about, s, bar, found)
    for c in who:
        yield _figure(about, case, bars[c.name], "forward", found, errors)
    twos = [(c.name, c.both) for c in (s.own, *who) if c.both is not None]
    if any(asked for b in bars.values() for _, asked in _asked(b)[1:]) or who:
        found = run("forward+backward", twos)
        for c in who:
            if c.name in found:
                yield _figure(about, case, bars[c.name], "forward+backward", found, errors)


def _figure(about: dict[str, Any], case: Case, bar: Bar, what: str, found: dict[str, Timing], errors: dict[str, Agreement]) -> Figure:
    """A ratio of two medians."""
    ours, theirs = found[OWN], found[bar.peer]
    value, sense = theirs.median / ours.median, "at least"
    if bar.peer == MINGRU:
        value, sense = ours.median / theirs.median, "at most"
    elif bar.peer == LSTM_PER_FLOP:
        value, sense = ours.median / _flops(case) / (theirs.median / _lstm_flops(case)), "at most"
    return Figure(
        **about,
        against=bar.peer,
        what=what,
        value=value,
        asked=dict(_asked(bar))[what],
        sense=sense,  # type: ignore[arg-type]
        ours=spread(ours),
        theirs=spread(theirs),
        error=errors[bar.peer].error if bar.peer in errors else None,
    )


def _bare(s: Stand) -> list[tuple[str, Callable[[], object]]]:
    """The machine's own pace: an addition of two arrays as large as the result, and the kernel without what is around it."""
    import torch

    entries = s.weights.numel() * (2 if s.weights.is_complex() else 1)
    a, b, h = torch.randn(entries), torch.randn(entries), torch.empty(entries)
    with torch.no_grad():
        calls = recorded(lambda: s.layer(**s.x))
    return [(ADD, lambda: torch.add(a, b, out=h)), (RAW, calls.again)]


def _special(about: dict[str, Any], s: Stand, bar: Bar, found: dict[str, Timing]) -> Figure:
    """Fractions of what the machine can do."""
    add, ours = found[ADD], found[RAW] if bar.peer == BANDWIDTH else found[OWN]
    entries = s.weights.numel() * (2 if s.weights.is_complex() else 1)
    per_ms = 3 * 4 * entries / add.median
    moved = sum(v.numel() * v.element_size() for v in s.x.values()) + s.weights.numel() * s.weights.element_size()
    floor = moved / per_ms
    reason = f"torch.add(out=) moves {per_ms / 1e6:.1f} GB/s"
    if bar.peer == FLOOR:
        exps = s.case.exps * s.weights.numel() / EXPONENTIALS * 1e3
        reason += f"; floors: bytes {floor:.2f} ms, exponentials {exps:.2f} ms"
        floor = max(floor, exps)
    return Figure(
        **about,
        against=bar.peer,
        what="forward",
        value=floor / ours.median,
        asked=bar.forward,
        ours=spread(ours),
        theirs=spread(add),
        reason=reason,
    )


def _flops(case: Case) -> float:
    """Of the matrix products of one step of one sequence, times both."""
    dims = dict(case.dims)
    if "K" not in dims:
        dims["K"] = dims["D"] // 4
    return sum(2.0 * dims[a] * dims[b] for a, b in case.products)


def _lstm_flops(case: Case) -> float:
    wide = case.dims["D"]
    return 4 * 2 * 2.0 * wide * wide


def spread(t: Timing) -> Spread:
    """A timing as it stands in the report."""
    return Spread(median=t.median, low=t.low, high=t.high, runs=t.runs)


def _asked(bar: Bar) -> list[tuple[str, float | None]]:
    if bar.peer in SPECIAL:
        return [("forward", bar.forward)]
    return [("forward", bar.forward), ("forward+backward", bar.both)]


def _subject(case: Case) -> str:
    return case.body if case.dtype == "float32" else f"{case.body}, {case.dtype}"


def _unmeasured(about: dict[str, Any], case: Case, status: Status, reason: str) -> Iterator[Figure]:
    for bar in case.bars:
        for what, asked in _asked(bar):
            yield _empty(about, bar, what, asked, status, reason)


def _empty(about: dict[str, Any], bar: Bar, what: str, asked: float | None, status: str, reason: str, error: float | None = None) -> Figure:
    return Figure(
        **about,
        against=bar.peer,
        what=what,
        asked=asked,
        sense="at most" if bar.peer in (MINGRU, LSTM_PER_FLOP) else "at least",
        status=status,  # type: ignore[arg-type]
        error=None if error is None or error == float("inf") else error,
        reason=reason,
    )


def _plain(why: BaseException) -> str:
    """The first line of a message, short."""
    text = str(why).strip().split("\n")[0][:200]
    if isinstance(why, ModuleNotFoundError):
        return f"not installed: pip install 'seqc[bench]' ({text})"
    return text or type(why).__name__

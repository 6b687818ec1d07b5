"""Measures one case: compares every contender with seqc's layer, then lets those that are right race.

In:   a case and how its peers are built.       Out: figures, forward and forward+backward for each bar.
Refuses: nothing; a peer that is not there, fails, or is wrong becomes a figure without a value and with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from seqc.compiler.driver.bench.suite.agreement import TOLERANCE, Agreement, compared
from seqc.compiler.driver.bench.suite.contender import Contender
from seqc.compiler.driver.bench.suite.contestants import Peer, Stand, peer
from seqc.compiler.driver.bench.suite.machine import instructions
from seqc.compiler.driver.bench.suite.place import Budget, Cpu, Place
from seqc.compiler.driver.bench.suite.report import Figure, Status
from seqc.compiler.driver.bench.suite.rows import BANDWIDTH, FLOOR, LSTM_PER_FLOP, MINGRU, Bar, Case, Row
from seqc.compiler.driver.bench.suite.spreads import spread
from seqc.compiler.driver.bench.timing import Timing


def measured(
    row: Row, case: Case, budget: Budget, tick: Callable[[str], None], find: Peer = peer, place: Place | None = None
) -> list[Figure]:
    """The figures of one case."""
    place = Cpu() if place is None else place
    about: dict[str, Any] = {"row": row.name, "subject": _subject(case), "sizes": case.sizes}
    if case.needs and case.needs not in instructions():
        return list(_unmeasured(about, case, "skipped", f"this machine has no {case.needs}"))
    tick(f"{case.body} {case.sizes}: preparing")
    try:
        s = place.stand(case)
    except RuntimeError as why:
        if getattr(why, "code", "") not in ("SEQ0604", "SEQ0601"):
            raise
        return list(_unmeasured(about, case, "no kernel", _plain(why)))
    got = s.own.results()
    who: list[Contender] = []
    out: list[Figure] = []
    errors: dict[str, Agreement] = {}
    for bar in case.bars:
        if bar.peer in place.special:
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
    out += _raced(about, s, who, errors, budget, tick, place)
    return out


def _raced(
    about: dict[str, Any],
    s: Stand,
    who: list[Contender],
    errors: dict[str, Agreement],
    budget: Budget,
    tick: Callable[[str], None],
    place: Place,
) -> Iterator[Figure]:
    """The races of those that are right."""
    case = s.case
    bars = {b.peer: b for b in case.bars}
    special = [b for b in case.bars if b.peer in place.special]
    runs = {"forward": [(c.name, c.forward) for c in (s.own, *who)]}
    runs["forward+backward"] = [(c.name, c.both) for c in (s.own, *who) if c.both is not None]
    for what, contenders in runs.items():
        pace = place.pace(s, what)
        if what != "forward" and not who and not pace and not any(dict(_asked(b))[what] for b in bars.values()):
            continue

        def heard(name: str, what: str = what) -> None:
            tick(f"{case.body} {case.sizes}, {what}: {name}")

        found = {t.who: t for t in place.race([*contenders, *pace], budget, heard)}
        note = place.note()
        for bar in special:
            figure = place.figure(about, s, bar, what, found)
            if figure is not None:
                yield _noted(figure, note)
        for c in who:
            if c.name in found:
                yield _noted(_figure(about, s, bars[c.name], what, found, errors), note)
            else:
                yield _empty(about, bars[c.name], what, dict(_asked(bars[c.name]))[what], "failed", f"it has no backward: {c.why}")


def _noted(figure: Figure, note: str) -> Figure:
    """With what the race says of itself."""
    return figure.model_copy(update={"reason": "; ".join(t for t in (figure.reason, note) if t)}) if note else figure


def _figure(about: dict[str, Any], s: Stand, bar: Bar, what: str, found: dict[str, Timing], errors: dict[str, Agreement]) -> Figure:
    """A ratio of two medians."""
    case, ours, theirs = s.case, found[s.own.name], found[bar.peer]
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


def _flops(case: Case) -> float:
    """Of the matrix products of one step of one sequence, times both."""
    dims = dict(case.dims)
    if "K" not in dims:
        dims["K"] = dims["D"] // 4
    return sum(2.0 * dims[a] * dims[b] for a, b in case.products)


def _lstm_flops(case: Case) -> float:
    wide = case.dims["D"]
    return 4 * 2 * 2.0 * wide * wide


def _asked(bar: Bar) -> list[tuple[str, float | None]]:
    if bar.both is None and bar.peer in (BANDWIDTH, FLOOR):
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

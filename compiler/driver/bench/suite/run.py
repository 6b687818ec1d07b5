"""The suite from beginning to end: which rows, each measured in its way, one report.

In:   names of rows (none: all), whether to be quick, threads.      Out: a `Report`.
Refuses: (`Unusable`) a row that does not exist.
Quick: the first case of each row at sizes that take no time; its figures say that everything runs, and nothing about speed.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from seqc.compiler.diagnostics.suggest import did_you_mean
from seqc.compiler.driver import sizes
from seqc.compiler.driver.bench.suite import cold, decode, duel, machine, memory, training
from seqc.compiler.driver.bench.suite.contestants import Peer, layer_of, peer, target_of
from seqc.compiler.driver.bench.suite.report import Figure, Report
from seqc.compiler.driver.bench.suite.rows import NAMES, OUT_OF_SCOPE, ROWS, Case, Row
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import principal
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.ir.spec import Body

SUITES = ("cpu",)

FULL = duel.Budget(seconds=3.0, turn=0.01, least=5)
QUICK = duel.Budget(seconds=0.02, turn=0.0, least=2)

TINY, HEADS = 8, 2


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows named, in the table's order; all where none is named. Raises `Unusable`."""
    for name in names:
        if name not in NAMES:
            raise Unusable(f"the suite has no row `{name}`", did_you_mean(name, NAMES) or f"its rows: {', '.join(NAMES)}")
    return [r for r in ROWS if not names or r.name in names]


def run(
    suite: str,
    names: Sequence[str] = (),
    *,
    quick: bool = False,
    threads: int = 1,
    command: str = "",
    tick: Callable[[str], None] = lambda what: None,
    find: Peer = peer,
) -> Report:
    """Measures. `tick` hears what is going on, `find` builds peers."""
    rows = chosen(names)
    about = machine.describe(threads)
    began, figures = time.monotonic(), list[Figure]()
    with machine.only(threads):
        for row in rows:
            for case in row.cases if row.kind == "race" else (None,):
                if case is not None and quick and case is not row.cases[0]:
                    continue
                for figure in _measured(row, case, quick, threads, tick, find):
                    figures.append(figure if quick else figure.judged())
    return Report(
        suite=suite,
        command=command or f"seqc bench --suite {suite}",
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        quick=quick,
        seconds=time.monotonic() - began,
        machine=about,
        figures=tuple(figures),
    )


def _measured(row: Row, case: Case | None, quick: bool, threads: int, tick: Callable[[str], None], find: Peer) -> list[Figure]:
    budget = QUICK if quick else FULL
    match row.kind:
        case "race":
            assert case is not None
            return duel.measured(row, tiny(case) if quick else case, budget, tick, find)
        case "decode":
            specs = [("cells/gated", "MinGRU", {"D": 8})] if quick else in_scope()
            return decode.measured(row, specs, budget, tick)
        case "memory":
            one = replace(row, cases=tuple(tiny(c) for c in row.cases)) if quick else row
            return memory.measured(one, (512,) if quick else memory.LENGTHS, threads, tick)
        case "cold":
            loops = () if quick else tuple(row.cases)
            return cold.measured(row, [("mingru", "MinGRU", {"D": 8})] if quick else in_scope(), loops, tick)
        case _:
            return training.measured(row, quick, budget, tick)


def tiny(case: Case) -> Case:
    """The same at sizes that take no time."""
    return replace(case, batch=2, time=8, dims={k: min(v, HEADS if k == "H" else TINY) for k, v in case.dims.items()})


def in_scope() -> list[tuple[str, str, dict[str, int]]]:
    """Every bundled cell that the native backend is to run, as small as it gets: spec, body, dims."""
    out = []
    for entry in all_bundled():
        if not entry.name.startswith("cells.") or entry.stem in OUT_OF_SCOPE:
            continue
        body = principal(entry.stem, compiled(target_of(entry.name)).bodies)
        if body is not None:
            out.append((entry.name, body.name, _fitting(entry.name, body)))
    return out


def _fitting(spec: str, body: Body) -> dict[str, int]:
    """The smallest sizes that a layer takes, its calls included."""
    for found in sizes.small(body):
        try:
            layer_of(spec, body.name, found, "reference")
        except ValueError:
            continue
        return dict(found)
    raise LookupError(f"no small sizes fit {spec}:{body.name}")

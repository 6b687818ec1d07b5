"""The suite from beginning to end: which rows, each measured in its way, one report.

In:   names of rows (none: all), whether to be quick, threads.      Out: a `Report`.
Refuses: (`Unusable`) a row that does not exist.
Quick: the first case of each row at sizes that take no time; its figures say that everything runs, and nothing about speed.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from seqc.compiler.diagnostics.suggest import did_you_mean
from seqc.compiler.driver import sizes
from seqc.compiler.driver.bench.suite import cold, decode, duel, gpu_kinds, gpu_peers, gpu_rows, machine, memory, training
from seqc.compiler.driver.bench.suite.contestants import Peer, layer_of, peer, target_of
from seqc.compiler.driver.bench.suite.gpu import Dry, Gpu
from seqc.compiler.driver.bench.suite.place import Budget
from seqc.compiler.driver.bench.suite.report import Figure, Report
from seqc.compiler.driver.bench.suite.rows import OUT_OF_SCOPE, ROWS, Case, Row
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import principal
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.ir.spec import Body

FULL = Budget(seconds=3.0, turn=0.01, least=5)
QUICK = Budget(seconds=0.02, turn=0.0, least=2)

TINY, HEADS = 8, 2

TABLES: dict[str, tuple[Row, ...]] = {"cpu": ROWS, "gpu": gpu_rows.ROWS}
SUITES = tuple(TABLES)


def chosen(names: Sequence[str], suite: str = "cpu") -> list[Row]:
    """The rows named, in the table's order; all where none is named. Raises `Unusable`."""
    table = TABLES[suite]
    known = [r.name for r in table]
    for name in names:
        if name not in known:
            raise Unusable(f"the suite has no row `{name}`", did_you_mean(name, known) or f"its rows: {', '.join(known)}")
    return [r for r in table if not names or r.name in names]


def run(
    suite: str,
    names: Sequence[str] = (),
    *,
    quick: bool = False,
    dry: bool = False,
    threads: int = 1,
    command: str = "",
    tick: Callable[[str], None] = lambda what: None,
    find: Peer = peer,
) -> Report:
    """Measures. `tick` hears what is going on, `find` builds peers of the suite on processors. `dry`: the suite for a GPU without one,
    tiny. Raises `Unusable` where there is no GPU."""
    rows = chosen(names, suite)
    quick = quick or dry
    place = _place(dry) if suite == "gpu" else None
    about = machine.describe(threads, suite)
    began, figures = time.monotonic(), list[Figure]()
    with machine.only(threads) if place is None else hurry(place):
        for row in rows:
            for case in row.cases if row.kind == "race" or place is not None else (None,):
                if case is not None and quick and case is not next(c for c in row.cases if not dry or c.body == case.body):
                    continue
                found = (
                    _measured(row, case, quick, threads, tick, find)
                    if place is None
                    else _on_gpu(row, tiny(case) if quick and case else case, quick, place, tick)
                )
                for figure in found:
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


def _place(dry: bool) -> Gpu:
    """Where the suite for a GPU takes place. Raises `Unusable`."""
    import torch

    if dry:
        from seqc.runtime.triton.device import turn_interpreter_on

        if not turn_interpreter_on():
            raise Unusable("Triton's interpreter is off", "set TRITON_INTERPRET=1 before Python starts")
        return Dry()
    if not torch.cuda.is_available():
        raise Unusable("there is no GPU here that torch can use", "run it where there is one; `--suite cpu` measures this machine")
    return Gpu()


@contextmanager
def hurry(place: Gpu) -> Iterator[None]:
    """The interpreter in a hurry, where kernels are interpreted."""
    if not isinstance(place, Dry):
        yield
        return
    from seqc.runtime.triton.hurried import hurried

    with hurried():
        yield


def _on_gpu(row: Row, case: Case | None, quick: bool, place: Gpu, tick: Callable[[str], None]) -> list[Figure]:
    assert case is not None
    budget = QUICK if quick else FULL
    match row.kind:
        case "race":
            return duel.measured(row, case, budget, tick, gpu_peers.find(place), place)
        case "decode":
            return gpu_kinds.decode(row, case, place, budget, tick)
        case "cold":
            return gpu_kinds.cold(row, case, place, tick)
        case _:
            return gpu_kinds.memory(row, case, (8, 16) if quick else gpu_rows.LENGTHS, place, tick)


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
    return replace(case, batch=2, time=min(case.time, 8), dims={k: min(v, HEADS if k == "H" else TINY) for k, v in case.dims.items()})


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

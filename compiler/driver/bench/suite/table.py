"""A report as text: rows for a terminal, and `RESULTS.md`."""

from __future__ import annotations

from collections.abc import Iterable

from seqc.compiler.driver.bench.suite.gpu_rows import ROWS as GPU_ROWS
from seqc.compiler.driver.bench.suite.report import Figure, Report
from seqc.compiler.driver.bench.suite.rows import ROWS, Row

HEAD = ("row", "cell", "sizes", "beside", "what", "measured", "asked", "", "ms", "theirs")

COLUMNS = (*HEAD[1:9], "quartiles", "theirs, ms", "quartiles", "error")


def number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.3g}"


def measured(figure: Figure) -> str:
    """The value with its unit, or why there is none."""
    if figure.value is None:
        return figure.status
    return number(figure.value) + ("" if figure.unit == "x" else f" {figure.unit}")


def asked(figure: Figure) -> str:
    """What was asked for."""
    if figure.asked is None:
        return "-"
    return f"{'≥' if figure.sense == 'at least' else '≤'} {number(figure.asked)}" + ("" if figure.unit == "x" else f" {figure.unit}")


def verdict(figure: Figure) -> str:
    """`met`, `not met`, or nothing."""
    return "" if figure.met is None else "met" if figure.met else "not met"


def cells(figure: Figure) -> list[str]:
    """One line of the table."""
    ours = "-" if figure.ours is None else number(figure.ours.median)
    theirs = "-" if figure.theirs is None else number(figure.theirs.median)
    return [
        figure.row, figure.subject, figure.sizes, figure.against, figure.what, measured(figure), asked(figure), verdict(figure), ours,
        theirs,
    ]  # fmt: skip


def summary(figures: Iterable[Figure]) -> str:
    """How many are as asked."""
    listed = list(figures)
    met = [f.met for f in listed]
    missing = sum(f.value is None and f.asked is not None for f in listed)
    said = f"{len(met)} figures: {met.count(True)} as asked, {met.count(False)} not"
    return said + (f", {missing} without a number" if missing else "")


def notes(figures: Iterable[Figure]) -> list[str]:
    """Why figures have no value, each reason once, and with what is wrong first."""
    found: dict[str, None] = {}
    listed = sorted((f for f in figures if f.value is None), key=lambda f: f.status != "WRONG")
    for f in listed:
        found.setdefault(f"{f.status}: {f.row}, {f.subject}, {f.against if f.status != 'no kernel' else 'native'}: {f.reason}")
    return list(found)


def about(report: Report) -> list[str]:
    """Where and with what, in three lines; four on a GPU."""
    m = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in m.versions.items())
    return [
        *([m.gpu] if m.gpu else []),
        f"{report.date}, {report.seconds:.0f} s, `{report.command}`" + (", tiny sizes: no figures" if report.quick else ""),
        f"{m.processor}, {m.cores} cores ({' '.join(m.instructions)}), {m.system}, {m.compiler}; threads: {m.threads}, "
        f"load before: {m.load:.2f}",
        versions,
    ]


GPU = "# Figures on a GPU"
"""Where the part about a GPU begins."""


def markdown(report: Report, before: str = "") -> str:
    """The whole of `RESULTS.md`; `before`: what stands there. The suite on processors leaves the part about a GPU as it is, and a run on
    a GPU replaces the rows it measured there, so that a table can come of several runs."""
    head, mark, tail = before.partition(GPU)
    if report.suite == "gpu":
        return "\n\n".join(part for part in (head.rstrip(), _gpu(report, tail)) if part)
    lines = [
        "# Figures",
        "",
        "Written by `seqc bench --suite cpu --write FILE`, not by hand. Ratio: the peer's time over seqc's, medians of one run in "
        "one process,",
        "contenders in turns; outputs and gradients compared in the same run before a ratio counts.",
        "",
        *(f"- {line}" for line in about(report)),
        f"- {summary(report.figures)}",
    ]
    for row in ROWS:
        lines += _section(report, row)
    return "\n".join(lines) + "\n" + (f"\n{mark}{tail}" if mark else "")


def _section(report: Report, row: Row, told: Iterable[str] = ()) -> list[str]:
    """The table of a row; nothing where it was not measured."""
    mine = [f for f in report.figures if f.row == row.name]
    if not mine:
        return []
    lines = ["", f"## {row.title}", "", *(f"- {line}" for line in told), *([""] if told else [])]
    lines += [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(_columns(f)) + " |" for f in mine]
    lines += ["", *(f"- {note}" for note in notes(mine))] if notes(mine) else []
    said = dict.fromkeys(f"{f.subject}, {f.sizes}, {f.what}: {f.reason}" for f in mine if f.reason and f.value is not None)
    return lines + (["", *(f"- {line}" for line in said)] if said else [])


def _gpu(report: Report, before: str) -> str:
    """The part about a GPU: new rows in the place of old ones, the others as they were; each says when and with what it was measured."""
    old = {part.split("\n", 1)[0]: f"## {part.rstrip()}" for part in before.split("\n## ")[1:]}
    lines = [
        GPU, "",
        "Written by `seqc bench --suite gpu --rows … --write FILE`, not by hand. Ratio: the peer's time over seqc's, medians of one run in",
        "one process by the GPU's events, contenders in turns; outputs and gradients compared in the same run before a ratio counts.",
    ]  # fmt: skip
    for row in GPU_ROWS:
        new = _section(report, row, about(report))
        lines += new if new else ["", old[row.title]] if row.title in old else []
    return "\n".join(lines) + "\n"


def _columns(f: Figure) -> list[str]:
    spreads = [
        part
        for s in (f.ours, f.theirs)
        for part in (("-", "-") if s is None else (number(s.median), f"{number(s.low)} to {number(s.high)}"))
    ]
    error = "-" if f.error is None else f"{f.error:.0e}"
    return [f.subject, f.sizes, f.against, f.what, measured(f), asked(f), verdict(f), *spreads, error]

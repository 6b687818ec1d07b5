"""`seqc bench --suite`: the figures as they come, then the table; as JSON; as a Markdown file."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqc.compiler.cli.console import Console
    from seqc.compiler.driver.bench.suite.report import Report


def suite(args: argparse.Namespace) -> int:
    """Measures; 0 whatever the figures are."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.progress import Progress
    from seqc.compiler.cli.shared import write_text
    from seqc.compiler.driver.bench.suite.run import TABLES, chosen, run
    from seqc.compiler.driver.bench.suite.table import markdown
    from seqc.compiler.driver.usage import Unusable

    out = Console.out(args.color)
    if args.rows == ["help"]:
        out.table([[row.name, row.title] for row in TABLES[args.suite]])
        return 0
    if args.threads < 0:
        raise Unusable(f"{args.threads} threads are none")
    chosen(args.rows, args.suite)
    if args.dry and args.suite != "gpu":
        raise Unusable("--dry belongs to --suite gpu", "--quick goes through the suite on processors")
    with Progress(f"bench --suite {args.suite}", enabled=args.format == "text", every=60.0) as bar:
        report = run(
            args.suite,
            args.rows,
            quick=args.quick,
            dry=args.dry,
            threads=args.threads or 1,
            command=_command(args),
            tick=bar.note_now,
        )
    if args.write:
        file = Path(args.write)
        write_text(args.write, markdown(report, file.read_text(encoding="utf-8") if file.is_file() else ""))
    if args.format == "json":
        print(report.model_dump_json(indent=2))
    else:
        _show(report, out)
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command that makes such a report again."""
    words = ["seqc", "bench", "--suite", args.suite]
    words += ["--rows", *args.rows] if args.rows else []
    words += ["--quick"] if args.quick else []
    words += ["--dry"] if args.dry else []
    words += ["--threads", str(args.threads)] if args.threads else []
    return shlex.join(words)


def _show(report: Report, out: Console) -> None:
    from seqc.compiler.driver.bench.suite.table import HEAD, about, cells, notes, summary

    rows = []
    for figure in report.figures:
        line = cells(figure)
        if figure.met is not None:
            line[7] = out.style(line[7], "green" if figure.met else "yellow")
        if figure.status == "WRONG":
            line[5] = out.style(line[5], "red", "bold")
        rows.append(line)
    out.table(rows, HEAD, right=(5, 6, 8, 9))
    for note in notes(report.figures):
        out.print(out.style(note, "dim"))
    out.print(out.style(summary(report.figures), "bold"))
    for text in about(report):
        out.print(out.style(text, "dim"))

"""`seqc verify SPEC`: every legal mode of every available backend against the float64 reference, as a table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seqc.compiler.cli.shared import add_colour, add_lowering, add_sizes

if TYPE_CHECKING:
    from seqc.compiler.cli.console import Console
    from seqc.compiler.driver.verify.measure import Check

EPILOG = """Sizes are small and chosen from the spec's dims; --set overrules them. Figures are root mean square ratios to the
float64 reference (gradcheck: derivative in a random direction against central differences).
exit codes: 0 all passed, 1 something failed or the spec has errors, 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a path or a bundled spec; NAME:Cell picks one body")
    add_lowering(parser)
    add_sizes(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one record for each check")
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Verifies each spec; 1 where anything failed."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.progress import Progress
    from seqc.compiler.cli.shared import options_of
    from seqc.compiler.driver.layers import maker
    from seqc.compiler.driver.pipeline import compiled
    from seqc.compiler.driver.target import target_of
    from seqc.compiler.driver.verify.executors import prepare
    from seqc.compiler.driver.verify.run import verified

    options = options_of(args)
    out = Console.out(args.color)
    everything: list[tuple[str, Check]] = []
    backends = () if options.backend == "auto" else (options.backend,)
    prepare(backends)
    with Progress("verify", enabled=args.format == "text", every=None) as bar:
        for name in args.specs:
            result = compiled(target_of(name), options, until="code")
            make = maker(result)
            report = result.report
            found: list[Check] = []
            for body in result.bodies:
                cell = report["cells"].get(body.name, {})
                for check in verified(
                    body, make, cell, backends=backends, scan=options.scan, sizes=options.dims, tick=bar.note_now
                ):
                    found.append(check)
            everything += [(name, check) for check in found]
            if args.format == "text":
                bar.close()
                _table(name, found, out)
    failed = [c for _, c in everything if c.verdict == "failed"]
    if args.format == "json":
        print(json.dumps({"ok": not failed, "checks": [{"spec": n, **_record(c)} for n, c in everything]}, indent=2))
    elif failed:
        out.print(out.style(f"{len(failed)} of {len(everything)} checks failed", "red"))
    return 1 if failed else 0


def _record(c: Check) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(c)


def _table(name: str, found: Sequence[Check], out: Console) -> None:
    """One row for each body, backend, mode and dtype; one column for each check; notes below."""
    rows = list(dict.fromkeys((c.body, c.backend, c.mode, c.dtype) for c in found))
    columns = list(dict.fromkeys(c.what for c in found if c.what != "all"))
    lines = []
    notes: dict[str, list[str]] = {}
    for row in rows:
        cells = {c.what: c for c in found if (c.body, c.backend, c.mode, c.dtype) == row}
        lines.append([*row, *(_cell(cells.get(what) or cells.get("all"), out) for what in columns)])
        for c in cells.values():
            if c.note and (c.verdict == "failed" or c.what == "all"):
                notes.setdefault(f"{c.verdict}: {c.note}", []).append(f"{' '.join(row)} {c.what}")
    out.print(out.style(name, "bold"))
    out.table(lines, ("body", "backend", "scan", "dtype", *columns), indent=2)
    for note, places in notes.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        out.print(f"  {places[0]}{more}: {note}")
    skipped = dict.fromkeys(f"{c.what}: {c.note}" for c in found if c.verdict == "skipped" and c.what != "all")
    if skipped:
        out.print(out.style(f"  - not checked: {'; '.join(skipped)}", "dim"))


def _cell(c: Check | None, out: Console) -> str:
    if c is None:
        return ""
    if c.verdict == "skipped":
        return out.style("-", "dim")
    figure = "" if c.error is None else f"{c.error:.0e}"
    return out.style(f"ok {figure}".rstrip(), "green") if c.verdict == "ok" else out.style(f"FAILED {figure}".rstrip(), "red")

"""`seqc list`: the bundled specs, a line each: name, class, modes, source."""

from __future__ import annotations

import argparse
import json

from seqc.compiler.cli.shared import add_colour

EPILOG = """\
The class is that of the recurrent components of the spec's main body: `*` time-invariant, `c` complex. The modes are those
that are legal for one of them besides `sequential`.
exit codes: 0 done, 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("words", nargs="*", metavar="WORD", help="only specs whose name, class or source has all these words")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: every body with its components")
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the table."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.progress import Progress
    from seqc.compiler.driver.explain.catalogue import catalogue

    with Progress("list", enabled=args.format == "text", every=None) as bar:
        found = catalogue(bar.note_now)
    words = [w.lower() for w in args.words]
    found = [e for e in found if all(w in " ".join(map(str, e.values())).lower() for w in words)]
    if args.format == "json":
        print(json.dumps({"specs": found}, indent=2))
        return 0
    out = Console.out(args.color)
    folder = ""
    rows: list[list[str]] = []
    for e in found:
        if e["folder"] != folder:
            folder = e["folder"]
            rows.append([out.style(folder, "dim")])
        rows.append([f"  {out.style(e['name'], 'bold')}", e["class"], _modes(e["modes"]), _short(e["source"])])
    out.table(rows)
    return 0


def _modes(modes: list[str]) -> str:
    return ", ".join(m for m in modes if m != "sequential") or ("sequential" if modes else "-")


def _short(text: str, most: int = 64) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

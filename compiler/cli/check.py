"""`seqc check SPEC…`: parses and checks specs, shows what is wrong. Writes nothing, imports no torch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from seqc.compiler.cli.shared import add_colour

EPILOG = """exit codes: 0 all good (warnings do not count), 1 errors in a spec, 2 a file is not there or an option is wrong

A folder stands for all `.seq` files in it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a path, a folder, or the name of a bundled spec")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one object with every diagnostic")
    parser.add_argument("--quiet", "-q", action="store_true", help="say nothing of specs that are in order")
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Checks each spec; the worst exit code."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.messages import nothing_read, show
    from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected, Sink
    from seqc.compiler.diagnostics.render import to_json
    from seqc.compiler.driver.pipeline import advance, compiled
    from seqc.compiler.driver.schedule import has_schedule
    from seqc.compiler.driver.target import target_of

    out = Console.out(args.color)
    records = []
    worst = 0
    for name in expanded(args.specs):
        sink = Sink()
        found: tuple[Diagnostic, ...]
        try:
            result = compiled(target_of(name), sink=sink)
            if has_schedule(result.bodies):
                advance(result, "plan")
            sources = result.project.sources
            found = tuple(sink.sorted())
            code = 0
        except Rejected as rejected:
            found, sources = rejected.diagnostics, {}
            code = 2 if nothing_read(found) else 1
        worst = max(worst, code)
        records += [{"spec": name, **to_json(d)} for d in found]
        if args.format == "text":
            show(found, sources, args.color)
            errors = sum(d.severity == "error" for d in found)
            if errors:
                out.print(f"{name}: {out.style(_count(errors, 'error'), 'red')}{_warnings(len(found) - errors)}")
            elif not args.quiet:
                out.print(f"{name}: {out.style('ok', 'green')}{_warnings(len(found))}")
            out.stream.flush()
    if args.format == "json":
        print(json.dumps({"ok": worst == 0, "diagnostics": records}, indent=2))
    return worst


def expanded(names: list[str]) -> list[str]:
    """Folders replaced by the specs in them."""
    from seqc.compiler.driver.target import is_bundled
    from seqc.compiler.driver.usage import Unusable

    out: list[str] = []
    for name in names:
        try:
            folder = not is_bundled(name) and Path(name).is_dir()
        except (OSError, ValueError):
            folder = False
        if folder:
            inside = sorted(str(p) for p in Path(name).rglob("*.seq"))
            if not inside:
                raise Unusable(f"there is no `.seq` file in `{name}`")
            out += inside
        else:
            out.append(name)
    return out


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _warnings(number: int) -> str:
    return f", {_count(number, 'warning')}" if number else ""

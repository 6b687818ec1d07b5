"""`seqc fmt SPEC…`: formats files in place, comments kept. Formatting twice changes nothing more."""

from __future__ import annotations

import argparse
import sys

from seqc.compiler.cli.shared import add_colour

EPILOG = """`-` reads standard input and writes standard output. Folders stand for all `.seq` files in them.
exit codes: 0 formatted (--check: nothing to do), 1 a spec does not parse (--check: a file would change), 2 no such file"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="files or folders; - for standard input")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not formatted")
    parser.add_argument("--diff", action="store_true", help="show what would change, change nothing")
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Formats each file; the worst exit code."""
    from seqc.compiler.cli.check import expanded
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.shared import write_text

    out = Console.out(args.color)
    worst = 0
    changed = 0
    names = ["-"] if args.specs == ["-"] else expanded(args.specs)
    for name in names:
        code, before, after = _formatted(name, args.color)
        worst = max(worst, code)
        if after is None or before is None:
            continue
        if name == "-" and not (args.check or args.diff):
            sys.stdout.write(after)
            continue
        if before == after:
            continue
        changed += 1
        if args.diff:
            _show_diff(name, before, after, out)
        elif args.check:
            out.print(f"would format {name}")
        else:
            write_text(_path(name), after)
            out.print(f"formatted {name}")
    if args.check and changed:
        worst = max(worst, 1)
    if not changed and not worst and names != ["-"]:
        out.print(f"{len(names)} file{'' if len(names) == 1 else 's'} already formatted")
    return worst


def _path(name: str) -> str:
    """The file behind a name; a bundled spec is a file too."""
    from seqc.compiler.frontend.bundled import bundled

    return str(bundled()[name].path) if name in bundled() else name


def _formatted(name: str, colour: str) -> tuple[int, str | None, str | None]:
    """(exit code, text before, text after); None where it does not parse."""
    from seqc.compiler.cli.messages import nothing_read, show
    from seqc.compiler.diagnostics.diagnostic import Sink
    from seqc.compiler.frontend.format import format_file
    from seqc.compiler.frontend.hygiene import decode
    from seqc.compiler.frontend.parse import parse
    from seqc.compiler.frontend.read import read_source

    sink = Sink()
    if name == "-":
        source = decode(sys.stdin.buffer.read(), "<stdin>", sink)
    else:
        source = read_source(_path(name), sink, shown=name)
    tree = parse(source, sink) if source is not None else None
    if source is None or tree is None or sink.failed:
        found = tuple(sink.sorted())
        show(found, {source.path: source} if source else {}, colour)  # type: ignore[arg-type]
        return (2 if nothing_read(found) else 1), None, None
    return 0, source.text, format_file(source, tree)


def _show_diff(name: str, before: str, after: str, out: object) -> None:
    import difflib

    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (formatted)", lineterm=""):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        out.print(out.style(line, style) if style else line)  # type: ignore[attr-defined]

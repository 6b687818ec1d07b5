"""Shows diagnostics: rendered on standard error, or as JSON records."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from seqc.compiler.cli.console import Choice, wants_colour
from seqc.compiler.diagnostics.diagnostic import Diagnostic
from seqc.compiler.diagnostics.source import Source


def show(diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source] | None = None, choice: Choice = "auto") -> None:
    """Prints each with its lines and carets; files that are not in `sources` are read again."""
    from seqc.compiler.diagnostics.render import render

    known = dict(sources or {})
    for diagnostic in diagnostics:
        for span in (diagnostic.span, *(n.span for n in diagnostic.notes)):
            if span.file and span.line and span.file not in known:
                known[span.file] = _read(span.file)
        print(render(diagnostic, known, colour=wants_colour(sys.stderr, choice)) + "\n", file=sys.stderr)


def _read(path: str) -> Source:
    """A file for its lines alone; empty where it cannot be read."""
    from seqc.compiler.diagnostics.diagnostic import Sink
    from seqc.compiler.frontend.bundled import all_bundled
    from seqc.compiler.frontend.read import read_source

    place = next((str(b.path) for b in all_bundled() if b.shown == path), path)
    return read_source(place, Sink(), shown=path) or Source(path, "")


def nothing_read(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether the only errors are that a file given on the command line is not there: a usage error."""
    errors = [d for d in diagnostics if d.severity == "error"]
    return bool(errors) and all(d.code in ("SEQ0280", "SEQ0281", "SEQ0287") and not d.span.line for d in errors)

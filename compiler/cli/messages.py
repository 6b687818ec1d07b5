"""Shows diagnostics: rendered on standard error, or as JSON records."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from seqc.compiler.cli.console import Choice, wants_colour
from seqc.compiler.diagnostics.diagnostic import Diagnostic
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span


def show(diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source] | None = None, choice: Choice = "auto") -> None:
    """Prints each with its lines and carets; files that are not in `sources` are read again."""
    from seqc.compiler.diagnostics.render import render

    known = dict(sources or {})
    for diagnostic in diagnostics:
        for span in (diagnostic.span, *(n.span for n in diagnostic.notes)):
            if span.file and span.line and span.file not in known:
                known[span.file] = _read(span.file)
        print(render(diagnostic, known, colour=wants_colour(sys.stderr, choice)), file=sys.stderr)


def _read(path: str) -> Source:
    """A file for its lines alone; empty where it cannot be read."""
    from seqc.compiler.diagnostics.diagnostic import Sink
    from seqc.compiler.frontend.bundled import all_bundled
    from seqc.compiler.frontend.read import read_source

    place = next((str(b.path) for b in all_bundled() if b.shown == path), path)
    return read_source(place, Sink(), shown=path) or Source(path, "")


def record(d: Diagnostic) -> dict[str, Any]:
    """One diagnostic as JSON."""
    return {
        "code": d.code,
        "severity": d.severity,
        "message": d.message,
        **_place(d.span),
        "label": d.label,
        "notes": [{"text": n.text, **(_place(n.span) if n.span.line else {})} for n in d.notes],
        "help": d.help,
    }


def _place(s: Span) -> dict[str, Any]:
    return {"file": s.file, "line": s.line, "column": s.column, "end_line": s.end_line, "end_column": s.end_column}


def nothing_read(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether the only errors are that a file given on the command line is not there: a usage error."""
    errors = [d for d in diagnostics if d.severity == "error"]
    return bool(errors) and all(d.code in ("SEQ0280", "SEQ0281", "SEQ0287") and not d.span.line for d in errors)

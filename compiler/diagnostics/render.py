"""Findings as text for people, and as records for tools.

In:   diagnostics and the sources they point into.     Out:  text with the line, the line above and a caret, or plain dicts.
Tabs count as they are shown, wide letters as two columns; characters that would disturb a terminal are shown by number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from seqc.compiler.diagnostics.diagnostic import Diagnostic
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span

_TAB: Final = 4
_WIDTH: Final = 160
_COLOURS: Final = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "bold": "\x1b[1m", "frame": "\x1b[34m", "help": "\x1b[32m"}
_PLAIN: Final = "\x1b[0m"


def render(diagnostic: Diagnostic, sources: Mapping[str, Source], *, colour: bool = False) -> str:
    """One finding as lines of text (without a line end at the end). `sources` is keyed by the path in spans."""
    paint = _Paint(colour)
    severity = diagnostic.severity
    title = paint(severity, f"{severity}[{diagnostic.code}]") + paint("bold", f": {visible(diagnostic.message)}")
    lines = [title]
    placed = [n for n in diagnostic.notes if n.span.line]
    numbers = [s.line for s in (diagnostic.span, *(n.span for n in placed)) if s.line]
    margin = max((len(str(n)) for n in numbers), default=1)
    lines += _excerpt(diagnostic.span, diagnostic.label, sources, margin, paint, severity, above=True)
    plain = [n for n in diagnostic.notes if not n.span.line]
    if not diagnostic.span.line and diagnostic.label:
        lines.append(f"{' ' * margin} {paint('frame', '=')} {visible(diagnostic.label)}")
    elif diagnostic.span.line and diagnostic.span.file in sources and (plain or not diagnostic.help):
        lines.append(f"{' ' * margin} {paint('frame', '|')}")
    for note in plain:
        lines.append(f"{' ' * margin} {paint('frame', '=')} {visible(note.text)}")
    for note in placed:
        lines.append(paint("bold", f"note: {visible(note.text)}"))
        lines += _excerpt(note.span, "", sources, margin, paint, "frame", above=False)
    if diagnostic.help:
        first, *more = diagnostic.help.split("\n")
        lines.append(paint("help", "help") + f": {visible(first)}")
        lines += [f"      {visible(line)}" for line in more]
    lines.append(f"{' ' * margin} {paint('frame', '=')} more: seqc explain {diagnostic.code}")
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source], *, colour: bool = False) -> str:
    """All findings, an empty line between them, and a line that counts them; empty for none."""
    found = list(diagnostics)
    if not found:
        return ""
    errors = sum(d.severity == "error" for d in found)
    counts = [(errors, "error"), (len(found) - errors, "warning")]
    summary = ", ".join(f"{n} {what}{'s' * (n > 1)}" for n, what in counts if n)
    return "\n\n".join([*(render(d, sources, colour=colour) for d in found), summary]) + "\n"


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """A finding as a record of strings and numbers; columns count from 1, the end is the first column behind."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "label": diagnostic.label,
        "notes": [{"text": n.text, **(_place(n.span) if n.span.file else {})} for n in diagnostic.notes],
        "help": diagnostic.help,
    }


def _place(span: Span) -> dict[str, Any]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def visible(text: str) -> str:
    """The text with characters that act on a terminal, or cannot be seen, shown by number."""
    return "".join(ch if ch.isprintable() else f"<U+{ord(ch):04X}>" for ch in text)


class _Paint:
    """Colours, or none."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, name: str, text: str) -> str:
        return f"{_COLOURS[name]}{text}{_PLAIN}" if self.colour else text


def _excerpt(
    span: Span, label: str, sources: Mapping[str, Source], margin: int, paint: _Paint, kind: str, *, above: bool
) -> list[str]:
    """The place, and where the source is known its line with a caret (and the line above)."""
    if not span.file:
        return []
    bar, gap = paint("frame", "|"), " " * margin
    where = visible(span.file) + (f":{span.line}:{span.column}" if span.line else "")
    lines = [f"{gap}{paint('frame', '-->')} {where}"]
    source = sources.get(span.file)
    if source is None or not span.line:
        if label and span.line:
            lines.append(f"{gap} {paint('frame', '=')} {visible(label)}")
        return lines
    text = source.line(span.line)
    cells = _cells(text)
    start = sum(_columns(c) for c in cells[: span.column - 1])
    last = span.end_column - 1 if span.end_line == span.line else len(text)
    width = max(sum(_columns(c) for c in cells[span.column - 1 : last]), 1)
    shown, start, width = _window("".join(cells), start, width)
    lines.append(f"{gap} {bar}")
    before = source.line(span.line - 1) if above and span.line > 1 else ""
    if before.strip():
        lines.append(f"{paint('frame', str(span.line - 1).rjust(margin))} {bar} {_clip(''.join(_cells(before)))}")
    lines.append(f"{paint('frame', str(span.line).rjust(margin))} {bar} {shown}")
    caret = paint(kind, "^" * width + (f" {visible(label)}" if label else ""))
    lines.append(f"{gap} {bar} {' ' * start}{caret}")
    return lines


def _cells(text: str) -> list[str]:
    """What each character of a line is shown as."""
    cells: list[str] = []
    column = 0
    for ch in text:
        cell = " " * (_TAB - column % _TAB) if ch == "\t" else visible(ch)
        column += _columns(cell)
        cells.append(cell)
    return cells


def _columns(text: str) -> int:
    """How many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def _window(text: str, start: int, width: int) -> tuple[str, int, int]:
    """A part of a very long line around the caret."""
    if len(text) <= _WIDTH:
        return text, start, width
    first = max(0, min(start - _WIDTH // 3, len(text) - _WIDTH))
    shown = ("…" if first else "") + text[first : first + _WIDTH].rstrip()
    shown += "…" if first + _WIDTH < len(text) else ""
    return shown, start - first + bool(first), max(min(width, _WIDTH - (start - first)), 1)


def _clip(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"

"""The text of the spec, for help that can be pasted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.frontend.bundled import bundled


@dataclass(slots=True)
class Written:
    """The sources of a project, by the path that spans carry."""

    sources: Mapping[str, Source]
    lines: dict[str, list[str]] = field(default_factory=dict)

    def line(self, file: str, number: int) -> str:
        """One line of a file; empty where there is none."""
        if file not in self.lines:
            source = self.sources.get(file)
            self.lines[file] = source.text.split("\n") if source is not None else []
        lines = self.lines[file]
        return lines[number - 1] if 1 <= number <= len(lines) else ""

    def text(self, span: Span) -> str:
        """What stands there, without comments, on one line."""
        parts = []
        for n in range(span.line, span.end_line + 1):
            text = self.line(span.file, n)
            end = span.end_column - 1 if n == span.end_line else len(text)
            parts.append(_uncommented(text[:end][span.column - 1 if n == span.line else 0 :]).strip())
        return " ".join(p for p in parts if p)

    def paste(self, span: Span, new: str) -> str:
        """The line that holds `span`, without comment and indentation, with `new` in place of the span."""
        line = self.line(span.file, span.line)
        if not line or span.line != span.end_line:
            return new
        return _uncommented(line[: span.column - 1] + new + line[span.end_column - 1 :]).strip()


def import_of(name: str) -> str:
    """An import that may bring a name: of the bundled spec that is called so, where there is one."""
    entry = bundled().get(name.lower())
    return f"from {entry.name if entry is not None else '…'} import {name}"


def _uncommented(text: str) -> str:
    """The text before a `#` that stands outside of quotes."""
    quoted = False
    for i, ch in enumerate(text):
        if ch == '"':
            quoted = not quoted
        elif ch == "#" and not quoted:
            return text[:i]
    return text

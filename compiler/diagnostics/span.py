"""Where in a source text something stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of one source file. Lines and columns count from 1, as editors show them.

    `file` is the path as the user gave it (or `seqc.specs/...` for bundled files); it is for messages only and never
    reaches generated code. An empty file marks something the compiler made itself.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0

    def to(self, other: Span) -> Span:
        """The stretch from the start of this one to the end of `other`."""
        if not other.line:
            return self
        return Span(self.file, self.line, self.column, other.end_line, other.end_column)


NOWHERE = Span()

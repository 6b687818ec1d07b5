"""A source text and its lines, for carets under the right word."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """One `.seq` file in memory.

    `path` is what messages show; `text` uses `\\n` line ends only (hygiene checks run before this is made).
    """

    path: str
    text: str

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line end; empty past the end of the file."""
        lines = self.text.split("\n")
        return lines[number - 1] if 1 <= number <= len(lines) else ""

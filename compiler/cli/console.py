"""What commands print with: colours where a terminal wants them, tables, and text that any terminal can show.

Colours appear only where the stream is a terminal, `TERM` is not `dumb` and `NO_COLOR` is unset or empty; `--colour always`
and `--colour never` overrule that. Characters that the stream's encoding lacks are written in ASCII.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

Choice = Literal["auto", "always", "never"]
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_ASCII = str.maketrans(
    {
        "─": "-", "│": "|", "✓": "y", "✗": "x", "·": ".", "…": "~", "→": ">", "←": "<", "—": "-", "–": "-", "−": "-", "×": "x",
        "≤": "<", "≥": ">", "⊙": "*", "α": "a", "∞": "inf",
    }
)  # fmt: skip


def wants_colour(stream: TextIO, choice: Choice = "auto") -> bool:
    """Whether to write colours to `stream`."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(getattr(stream, "isatty", lambda: False)()) and os.environ.get("TERM") != "dumb"


def width(text: str) -> int:
    """Columns `text` takes, colours not counted."""
    return len(_ESCAPE.sub("", text))


@dataclass(frozen=True, slots=True)
class Console:
    """Writes to one stream."""

    stream: TextIO
    colour: bool

    @classmethod
    def out(cls, choice: Choice = "auto") -> Console:
        """Standard output."""
        return cls(sys.stdout, wants_colour(sys.stdout, choice))

    @classmethod
    def err(cls, choice: Choice = "auto") -> Console:
        """Standard error."""
        return cls(sys.stderr, wants_colour(sys.stderr, choice))

    def style(self, text: str, *styles: str) -> str:
        """`text` in the styles named, or as it is."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_STYLES[s] for s in styles)}m{text}\x1b[0m"

    def print(self, text: str = "") -> None:
        """One or more lines."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            text = text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
        self.stream.write(text + "\n")

    def table(
        self, rows: Sequence[Sequence[str]], head: Sequence[str] = (), *, indent: int = 0, right: Sequence[int] = ()
    ) -> None:
        """Columns under each other; those numbered in `right` are right-aligned."""
        everything = [list(head), *map(list, rows)] if head else [list(r) for r in rows]
        if not everything:
            return
        columns = max(map(len, everything))
        widths = [max((width(r[i]) for r in everything if i < len(r)), default=0) for i in range(columns)]
        for number, row in enumerate(everything):
            cells = []
            for i, cell in enumerate(row):
                gap = " " * (widths[i] - width(cell))
                if head and number == 0:
                    cell = self.style(cell, "dim")
                cells.append(gap + cell if i in right else cell + gap)
            self.print((" " * indent + "  ".join(cells)).rstrip())

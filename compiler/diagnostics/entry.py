"""What is known of one diagnostic code beyond a single finding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """The long explanation of a code, which `seqc explain CODE` prints.

    `bad` is a text that gives the code and `good` the same put right: a whole file, a definition, or lines of a body.
    Both are empty where no text can show it (a missing file, a limit).
    """

    code: str
    title: str
    explanation: str
    bad: str = ""
    good: str = ""

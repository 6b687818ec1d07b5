"""All diagnostic codes, with the explanations that `seqc explain CODE` prints.

Each area lists its own in a file beside this one: 01xx syntax and 028x files in `codes_syntax.py`, 02xx in `codes_names.py`,
03xx in `codes_recurrence.py`, 04xx in `codes_shapes.py`, 05xx and 09xx in `codes_lowering.py`, 06xx in `codes_device.py`,
SEQ-W in `codes_warnings.py`.
"""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics import (
    codes_device,
    codes_lowering,
    codes_names,
    codes_recurrence,
    codes_shapes,
    codes_syntax,
    codes_warnings,
)
from seqc.compiler.diagnostics.entry import CodeEntry

__all__ = ["CODES", "CodeEntry", "explain_code"]

_AREAS: Final = (codes_syntax, codes_names, codes_recurrence, codes_shapes, codes_lowering, codes_device, codes_warnings)

CODES: Final[dict[str, CodeEntry]] = {
    entry.code: entry for entry in sorted((e for area in _AREAS for e in area.ENTRIES), key=lambda e: e.code)
}
"""Every code by its name, sorted."""


def explain_code(code: str) -> str | None:
    """The text of `seqc explain CODE`; None for a code that does not exist."""
    entry = CODES.get(code.upper())
    if entry is None:
        return None
    parts = [f"{entry.code}: {entry.title}", "", entry.explanation]
    if entry.bad:
        parts += ["", "wrong:", "", *_indented(entry.bad)]
    if entry.good:
        parts += ["", "right:", "", *_indented(entry.good)]
    return "\n".join(parts) + "\n"


def _indented(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.rstrip("\n").split("\n")]

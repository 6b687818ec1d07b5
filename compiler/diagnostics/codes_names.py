"""Codes of `names`, for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = ()

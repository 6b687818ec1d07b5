"""How large a spec may be (rules S4, S5 and S7 of the security notes).

A spec is untrusted input: every quantity that could make the compiler slow or deep has a bound with a numbered diagnostic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file and on one project.

    `nesting` bounds brackets inside brackets and blocks inside blocks; `operators` bounds the depth of one expression: the
    operators and brackets that enclose or precede each other. Both keep every later walk over a tree far from Python's
    recursion limit.
    """

    file_bytes: int = 1 << 20
    line_length: int = 10_000
    tokens: int = 200_000
    nesting: int = 64
    operators: int = 128
    identifier: int = 64
    digits: int = 40
    files: int = 64
    import_depth: int = 8
    errors: int = 20


DEFAULT_LIMITS = Limits()

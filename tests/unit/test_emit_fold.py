"""Folding long lines keeps every statement."""

from __future__ import annotations

import ast

import pytest

from seqc.compiler.emit.fold import WIDTH, folded

NAMES = ", ".join(f"value_number_{n}" for n in range(14))
LINES = [
    f"y = f({NAMES})",
    f"y = f(a, g({NAMES}), '(, not a bracket', h[{NAMES}].t())",
    f"y, z = f(({NAMES},), 1) + g(x)[:, None, {NAMES}]",
    f"y = f({NAMES}, k={{'a': ({NAMES}), 'b\\'(': 2}})",
    "y = " + " + ".join(f"value_number_{n}" for n in range(14)),
    f"y = '{NAMES}'",
    "y = f(x,)",
]


@pytest.mark.parametrize("line", LINES)
def test_the_same_statement(line: str) -> None:
    made = list(folded([f"    {line}"]))
    assert ast.dump(ast.parse("if x:\n" + "\n".join(made))) == ast.dump(ast.parse(f"if x:\n    {line}"))


def test_long_calls_become_short_lines() -> None:
    assert all(len(part) <= WIDTH for line in (LINES[0], LINES[1], LINES[3]) for part in folded([line]))


def test_comments_stay() -> None:
    line = f"    # f({NAMES})"
    assert list(folded([line])) == [line]

"""Newton's iteration in Triton: one associative scan for each group of carries that is iterated.

In:   for each kernel of a class its iteration (`lower.kernels.newton`), or why there is none.
Out:  functions, and the lines of `NAME.TRITON_NEWTON`, as long as `NAME.TRITON`: (starts, (function, description) of what reads the rows,
      parts) each, or None. What cannot be scanned (a block too large, a group that is not iterated) walks one step after the other.
Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.compiler.ir.kernel import Kernel
from seqc.compiler.lower.kernels.newton import Newton
from seqc.compiler.lower.kernels.split import splits
from seqc.compiler.lower.kernels.verify import verify
from seqc.compiler.lower.triton.associative import Associative, unscannable
from seqc.compiler.lower.triton.emit import Function, cut_along, function
from seqc.compiler.lower.triton.emit_module import written
from seqc.compiler.lower.triton.sequential import Sequential


def newton_lines(name: str, found: Sequence[Newton | str]) -> tuple[list[str], list[str]]:
    """Functions, and the constant of the class `name`."""
    functions: list[str] = []
    entries: list[str] = []
    for number, n in enumerate(found):
        if isinstance(n, str):
            entries.append("    None,")
            continue
        read, tiles = forward(n.read, f"{name}_newton{number}_rows")
        functions += ["", "", *read.lines]
        entries += ["    (", f"        {n.starts!r},", f"        ({read.name}, {tiles},", *written(read.about, 3)]
        entries += ["        ),", "        ("]
        for i, p in enumerate(n.parts):
            one, tiles = forward(p.kernel, f"{name}_newton{number}_part{i}")
            functions += ["", "", *one.lines]
            head = f"            ({p.carries!r}, {p.known!r}, {p.iterated!r}, {one.name}, {tiles},"
            entries += [head, *written(one.about, 4), "            ),"]
        entries += ["        ),", "    ),"]
    return functions, [f"{name}.TRITON_NEWTON = (", *entries, ")"] if functions else []


def forward(k: Kernel, name: str) -> tuple[Function, bool]:
    """The function of a kernel that is never differentiated, and whether it takes many steps at a time. Raises `RuleBroken`."""
    k = verify(replace(k, split=splits(k)))
    if unscannable(k):
        return function(Sequential(name, k, cut_along(k), ()), (), None), False
    return function(Associative(name, k, cut_along(k), ()), (), None), True


__all__ = ["forward", "newton_lines"]

"""Newton's iteration in Triton: one associative scan for each group of carries that is iterated.

In:   for each kernel of a class its iteration (`lower.kernels.newton`), or why there is none.
Out:  functions, and the lines of `NAME.TRITON_NEWTON`, as long as `NAME.TRITON`: (starts, what reads the rows, parts) each, or None;
      of a function itself, whether it takes many steps at a time, its description, then those for segments. What
      cannot be scanned (a block too large, a group that is not iterated) walks one step after the other; the rows are computed for
      many steps at a time, whatever they are.
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
from seqc.compiler.lower.triton.emit import Function, cut_along, function, segments
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
        made = forward(n.read, f"{name}_newton{number}_rows")
        functions += [line for f in made for line in ("", "", *f.lines)]
        entries += ["    (", f"        {n.starts!r},", *_named("        (", made, tiled(n.read), 3)]
        entries += ["        ),", "        ("]
        for i, p in enumerate(n.parts):
            made = forward(p.kernel, f"{name}_newton{number}_part{i}")
            functions += [line for f in made for line in ("", "", *f.lines)]
            head = f"            ({p.carries!r}, {p.known!r}, {p.iterated!r}, "
            entries += [*_named(head, made, tiled(p.kernel), 4), "            ),"]
        entries += ["        ),", "    ),"]
    return functions, [f"{name}.TRITON_NEWTON = (", *entries, ")"] if functions else []


def _named(head: str, made: Sequence[Function], tiles: bool, depth: int) -> list[str]:
    """Functions and their descriptions as entries of a tuple that `head` begins."""
    out = [f"{head}{made[0].name}, {tiles},", *written(made[0].about, depth)]
    return out + [line for f in made[1:] for line in (f"{'    ' * depth}{f.name},", *written(f.about, depth))]


def tiled(k: Kernel) -> bool:
    """Whether the function of a kernel that is never differentiated takes many steps at a time: no step waits for another one, or
    there is a scan."""
    return not k.carries or not unscannable(k)


def forward(k: Kernel, name: str) -> list[Function]:
    """The function of a kernel that is never differentiated, and behind it those that let segments of the sequence run at the same time.
    Raises `RuleBroken`."""
    k = verify(replace(k, split=splits(k)))
    if not tiled(k):
        return [function(Sequential(name, k, cut_along(k), ()), (), None)]
    return [function(Associative(name, k, cut_along(k), ()), (), None), *segments(name, k)]


__all__ = ["forward", "newton_lines", "tiled"]

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

from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel
from seqc.compiler.lower.kernels.newton import Newton
from seqc.compiler.lower.kernels.split import splits
from seqc.compiler.lower.kernels.verify import verify
from seqc.compiler.lower.native.emit import forms
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


def adjoint_lines(name: str, kernels: Sequence[Kernel], found: Sequence[Newton | str]) -> tuple[list[str], list[str]]:
    """Functions, and the lines of `NAME.NEWTON_ADJOINT`, as long as `NAME.TRITON`: for a loop that Newton's method solves its adjoint as
    one scan (function, description, then those for segments), where it has one; else None."""
    functions: list[str] = []
    entries: list[str] = []
    for number, (k, n) in enumerate(zip(kernels, found, strict=True)):
        made = backward(k, f"{name}_newton{number}_backward") if isinstance(n, Newton) else []
        functions += [line for f in made for line in ("", "", *f.lines)]
        told = [line for f in made for line in (f"        {f.name},", *written(f.about, 2))]
        entries += ["    (", *told, "    ),"] if made else ["    None,"]
    return functions, [f"{name}.NEWTON_ADJOINT = (", *entries, ")"] if functions else []


def scanned(d: Derivative) -> bool:
    """Whether an adjoint can be one scan though the loop itself is none: its own carries are linear, and what it reads of the loop's stands
    in rows."""
    return REPLAYED not in d.stored and not d.extra and not unscannable(d.kernel)


def backward(raw: Kernel, name: str) -> list[Function]:
    """The adjoint of a kernel in the associative mode, and the functions for segments; none where it has no such form."""
    k, d = forms(raw)
    if not scanned(d) or not unscannable(k):
        return []
    shared = frozenset(j for i, parts in enumerate(d.gradients) for what, j in parts if what == "total" and k.operands[i].kind == "once")
    home = Associative(name, d.kernel, cut_along(d.kernel), (), d, k, shared)
    return [function(home, (), d), *segments(name, d.kernel, d, k)]


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


__all__ = ["adjoint_lines", "forward", "newton_lines", "scanned", "tiled"]

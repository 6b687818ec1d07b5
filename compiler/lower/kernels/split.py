"""Along which axes the work of a kernel may be cut into pieces that know nothing of each other.

In:   a kernel and an axis.
Out:  for each value one of three words: `own`, it has the axis and a piece holds its entries; `whole`, it lacks the axis and
      every piece computes the same; `part`, it is a sum over the axis of which a piece holds its own share. None where no cut
      is possible: a share entered something that is not linear, or a carry.
A row or total that is `part` has to be added up over the pieces; one that is `whole` is written by one of them.
"""

from __future__ import annotations

from typing import Literal

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Apply, Arg, Kernel, Product, Reduce, Rename, Statement, Var

Word = Literal["own", "whole", "part"]


def words(k: Kernel, axis: str) -> dict[int, Word] | None:
    """The word of each value for a cut along `axis`; None where it cannot be cut."""
    said: dict[int, Word] = {o.var.id: "own" if axis in o.var.axes else "whole" for o in k.operands}
    for c in k.carries:
        said[c.previous.id] = "own" if axis in c.previous.axes else "whole"
    for part in (k.prologue, k.step):
        for s in part:
            if not _statement(s, axis, said):
                return None
    for c in k.carries:
        if said[c.next.id] == "part":
            return None
    for total in k.sums:
        said[total.total.id] = said[total.value.id]
    for s in k.epilogue:
        if not _statement(s, axis, said):
            return None
    return said


def splits(k: Kernel) -> Axes:
    """All axes along which the kernel can be cut."""
    return tuple(a for a in k.axes if words(k, a) is not None)


def _statement(s: Statement, axis: str, said: dict[int, Word]) -> bool:
    """Notes the word of a statement's result; False where no cut is possible."""
    if isinstance(s, Reduce):
        word = said[s.arg.id]
        if axis in s.over:
            if s.fn != "sum":
                return False
            word = "part"
        said[s.out.id] = word
        return True
    if isinstance(s, Product):
        word = said[s.arg.id]
        if axis in s.shared and word == "own" and (axis, axis) in s.to:
            said[s.out.id] = "own"
            return True
        if word != "whole" or axis in s.out.axes or axis in s.weight.axes:
            return False
        said[s.out.id] = "whole"
        return True
    if isinstance(s, Rename):
        if any(axis in pair for pair in s.pairs):
            return False
        said[s.out.id] = said[s.arg.id]
        return True
    found = [said[a.id] for a in s.args if isinstance(a, Var)]
    if "part" in found:
        if not _linear(s, said) or axis in s.out.axes:
            return False
        said[s.out.id] = "part"
    else:
        said[s.out.id] = "own" if axis in s.out.axes else "whole"
    return True


def _linear(s: Apply, said: dict[int, Word]) -> bool:
    """Whether the result is a share because its operands are."""

    def share(a: Arg) -> bool:
        return said[a.id] == "part" if isinstance(a, Var) else a == 0.0

    match s.fn:
        case "add" | "sub":
            return all(share(a) for a in s.args)
        case "neg" | "copy":
            return True
        case "mul":
            return sum(isinstance(a, Var) and said[a.id] == "part" for a in s.args) == 1
        case "div":
            return not (isinstance(s.args[1], Var) and said[s.args[1].id] == "part")
        case "where":
            c = s.args[0]
            return not (isinstance(c, Var) and said[c.id] == "part") and all(share(a) for a in s.args[1:])
    return False

"""Other names for the axes of one node.

In:  a node whose children are already done, a mapping of axis names.   Out: the node with every axis name it holds mapped.
Primed twins (`N'`) and taps (`t~k`) follow the name they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from seqc.compiler.ir.expr import (
    Along,
    Axes,
    Concat,
    Contract,
    Conv,
    Eigh,
    Expr,
    GatherAt,
    Invoke,
    Length,
    Merge,
    Norm,
    Number,
    OneHot,
    Read,
    Reduce,
    Rename,
    Solve,
    Split,
)


class AxisMap:
    """Old axis name → new one; names it does not hold stay."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.pairs = dict(pairs)

    def __call__(self, axis: str) -> str:
        found = self.pairs.get(axis)
        if found is not None:
            return found
        base = axis.split("~", 1)[0].rstrip("'")
        if base != axis and base in self.pairs:
            return self.pairs[base] + axis[len(base) :]
        return axis

    def all(self, axes: Axes) -> Axes:
        """The mapped names, in order."""
        return tuple(self(a) for a in axes)


def relabel(e: Expr, m: AxisMap) -> Expr:
    """`e` with its own axis names mapped (its children's are the caller's affair)."""
    if not m.pairs:
        return e
    axes = m.all(e.axes)
    match e:
        case Number() | Length():
            return replace(e, axes=axes, of=m(e.of))
        case Read():
            return replace(e, axes=axes, moves=tuple(replace(x, axis=m(x.axis)) for x in e.moves))
        case Rename():
            return replace(e, axes=axes, pairs=tuple((m(a), m(b)) for a, b in e.pairs))
        case Contract() | Reduce():
            return cast(Expr, replace(e, axes=axes, over=m.all(e.over)))
        case Along():
            return replace(e, axes=axes, over=m.all(e.over), other=m(e.other) if e.other else "")
        case Norm():
            return replace(e, axes=axes, over=m.all(e.over))
        case Conv():
            return replace(
                e,
                axes=axes,
                over=m.all(e.over),
                mixed=tuple(tuple((m(a), m(b)) for a, b in pairs) for pairs in e.mixed),
                result=m.all(e.result),
                per=m.all(e.per),
                taps=m.all(e.taps),
            )
        case GatherAt():
            return replace(e, axes=axes, places=tuple((m(a), p) for a, p in e.places))
        case Split():
            return replace(e, axes=axes, axis=m(e.axis), outer=m(e.outer), inner=m(e.inner))
        case Merge():
            return replace(e, axes=axes, axis=m(e.axis), parts=m.all(e.parts))
        case Concat():
            return replace(e, axes=axes, over=m.all(e.over), axis=m(e.axis))
        case OneHot():
            return replace(e, axes=axes, axis=m(e.axis))
        case Solve():
            return replace(e, axes=axes, over=m(e.over), row=m(e.row), result=m(e.result))
        case Eigh():
            return replace(e, axes=axes, over=m(e.over), row=m(e.row))
        case Invoke():
            return replace(
                e,
                axes=axes,
                arguments=tuple(replace(a, renames=tuple((m(x), y) for x, y in a.renames)) for a in e.arguments),
                along=tuple((x, m(y), r) for x, y, r in e.along),
                own=m(e.own) if e.own else "",
                mapped=m.all(e.mapped),
                outs=tuple((n, m.all(a), ty) for n, a, ty in e.outs),
            )
    return e if axes == e.axes else replace(e, axes=axes)

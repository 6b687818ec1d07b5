"""Dims whose size follows from a join: `concat`, `merge` and `split` make one axis of several, or several of one.

In:   a checked body.      Out: for each such place the dim, the expression its size must equal, and where that is written.
What a decision at build time may leave out (`where` on dims, consts and levels) says nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir.expr import Apply, Concat, DimSize, Expr, Literal_, Merge, Number, Read, Split, children, walk
from seqc.compiler.ir.spec import Body


@dataclass(frozen=True, slots=True)
class Join:
    """`dim` must be as large as `size`, or the equation of `name` fits nothing."""

    dim: str
    size: Expr
    name: str
    span: Span


def joins(body: Body) -> tuple[Join, ...]:
    """All joins of dims in a body, in textual order."""
    dims = {d.name for d in body.dims}
    known = dims | {n for n, _ in body.sizes}
    found: dict[tuple[str, Expr], Join] = {}
    for v in body.values:
        for root in (v.value, v.start):
            for e in _always(body, root) if root is not None else ():
                for axis, parts, fn in _parts(e):
                    if axis in dims and all(p in known or not p for p in parts):
                        one = Literal_(1, type="int", span=e.span)
                        sizes = tuple(DimSize(p, type="int", span=e.span) if p else one for p in parts)
                        size = sizes[0] if len(sizes) == 1 else Apply(fn, sizes, type="int", span=e.span)
                        if not (isinstance(size, DimSize) and size.dim == axis):
                            found.setdefault((axis, size), Join(axis, size, v.name, e.span if e.span.line else v.span))
    return tuple(found.values())


def _parts(e: Expr) -> Iterator[tuple[str, tuple[str, ...], str]]:
    match e:
        case Concat():
            yield e.axis, e.over, "add"
        case Merge():
            yield e.axis, e.parts, "mul"
        case Split():
            yield e.axis, (e.outer, e.inner), "mul"


def _always(body: Body, root: Expr) -> Iterator[Expr]:
    """The nodes that exist whatever is decided when the module is built."""
    stack, seen = [root], set[int]()
    while stack:
        e = stack.pop()
        if id(e) in seen:
            continue
        seen.add(id(e))
        yield e
        if isinstance(e, Apply) and e.fn == "where" and _decided(body, e.args[0]):
            stack.append(e.args[0])
        else:
            stack.extend(children(e))


def _decided(body: Body, test: Expr) -> bool:
    """Whether a condition is known when the module is built."""
    levels = {lv.id for lv in body.levels}
    table = body.table
    for n in walk(test):
        if isinstance(n, Number) and n.of not in levels and not n.of[:1].isupper():
            return False
        if isinstance(n, Read) and (n.name not in table or table[n.name].kind != "const"):
            return False
    return True

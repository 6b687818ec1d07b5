"""Reading a value: the rule that sends each move to what handles it."""

from __future__ import annotations

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference.emitter import Emitter, refuse, rule
from seqc.compiler.lower.reference.fields import field_of, point_of, present, signature
from seqc.compiler.lower.reference.lags import along_chain
from seqc.compiler.lower.reference.layout import (
    Code,
)
from seqc.compiler.lower.reference.levels import at_level
from seqc.compiler.lower.reference.places import at_place, other_axes
from seqc.compiler.lower.reference.scope import Scope


@rule(x.Read)
def read(m: Emitter, e: x.Read, s: Scope) -> Code:
    """A name with its moves, in order."""
    tracked = m.tracked.get(signature(e))
    if tracked is not None and (point := point_of(m, tracked, s)) is not None:
        return point
    along = [mv for mv in e.moves if mv.axis == m.chain and m.chain and mv.kind in ("lag", "window", "rename", "gather")]
    levels = [mv for mv in e.moves if mv.kind in ("level", "family")]
    rest = [mv for mv in e.moves if mv not in along and mv not in levels]
    for mv in rest:
        if mv.kind in ("pred", "succ", "call"):
            raise refuse("SEQ0510", f"reads at `{mv.kind}` run with the issues that bring graphs and values over calls", e.span)
    code = base(m, e, levels, s) if not along else along_chain(m, e, along[0], levels, s)
    code = other_axes(m, e, code, [mv for mv in rest if mv.kind == "rename"], s)
    for mv in rest:
        if mv.kind != "rename":
            code = at_place(m, e, code, mv, s)
    return code


def base(m: Emitter, e: x.Read, levels: list[x.Move], s: Scope) -> Code:
    """The value at this step: at this level, an earlier one, or as a family."""
    for mv in levels:
        return at_level(m, e, mv, s)
    if e.field_:
        return field_of(m, e, s)
    return m.lookup(e.name, s, e.span)


__all__ = ["base", "point_of", "present", "read", "signature"]

"""Reads at other levels: `x[l-1]` inside its stack, `W[l]` anywhere, several levels at once."""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference.emitter import Emitter, minus, refuse
from seqc.compiler.lower.reference.fields import field_of
from seqc.compiler.lower.reference.layout import (
    ADD,
    ATOM,
    Code,
    Layout,
)
from seqc.compiler.lower.reference.places import gathered
from seqc.compiler.lower.reference.scope import Scope


def at_level(m: Emitter, e: x.Read, mv: x.Move, s: Scope) -> Code:
    """`x[l-1]` inside its stack, `W[l]` anywhere."""
    key = e.name if not e.field_ else f"{e.name}.{e.field_}"
    if mv.kind == "level":
        steps = m.emit(mv.index, s)
        for a in s.above():
            held = a.known.get(f"{key}@{mv.axis} was")
            if held is not None:
                text = held.text if steps.text == "1" and not held.text.endswith("_past") else f"{held.text}[-{steps.at_least(ATOM)}]"
                code = replace(held, text=text)
                timed = s.timed
                if timed is not None and a in outside(timed) and code.layout.chain:
                    return m.row(code, timed, f"{key}_was")
                return code
        index = Code(f"{level_number(m, mv.axis, s)} - {steps.at_least(ADD + 1)}", Layout(), "int", ADD, number=True)
        return family(m, e, key, mv, index, s)
    index = m.emit(mv.index, s)
    return family(m, e, key, mv, index, s)


def outside(timed: Scope) -> list[Scope]:
    """The scopes around a loop over time."""
    return timed.parent.above() if timed.parent is not None else []


def level_number(m: Emitter, level: str, s: Scope) -> str:
    """The variable that counts a level."""
    loop = s.level_loop(level)
    assert loop is not None
    return loop.number


def family(m: Emitter, e: x.Read, key: str, mv: x.Move, index: Code, s: Scope) -> Code:
    """The entry of a level by number, of a name that a loop over levels has computed."""
    from seqc.compiler.lower.reference.level_loops import collect

    same = mv.axis in s.levels and isinstance(mv.index, x.Number) and mv.index.of == mv.axis
    if same:
        return m.lookup(e.name, s, e.span) if not e.field_ else field_of(m, e, s)
    if mv.axis in s.levels and not index.number:
        return levels_so_far(m, e, key, mv, index, s)
    held, place = collect(m, key, mv.axis, s, e.span)
    low = m.emit(m.levels[mv.axis].low, s.root)
    timed = s.timed
    if index.number:
        if index.text.isdigit() and low.text.isdigit():
            at = str(int(index.text) - int(low.text))
        else:
            at = index.text if low.text == "0" else minus(index.at_least(ADD), low.text)
        v = m.table.get(e.name)
        before = v is not None and v.over_levels == mv.axis and v.start is not None
        text = f"{held.text}[{at}]"
        if before and not at.isdigit():
            started = start_of_level(m, e.name, mv.axis, s)
            text = f"({held.text}[{at}] if {at} >= 0 else {started.text})"
        code = replace(held, text=text, level=ATOM)
        if timed is not None and place in outside(timed) and code.layout.chain:
            return m.row(m.assign(code, f"{key}_at", timed.parent or s), timed, f"{key}_at")
        return code
    # a position with axes: the family as an axis of its own
    axis = "level family"
    rank = held.layout.rank
    whole = m.assign(Code(f"torch.stack({held.text}, {rank})", Layout(), held.type), f"{key}_family", place)
    stacked = replace(held, text=whole.text, layout=Layout(held.layout.batch, held.layout.chain, (*held.layout.axes, axis)))
    if timed is not None and place in outside(timed):
        stacked = m.row(stacked, timed, f"{key}_family")
    shift = index if low.text == "0" else replace(index, text=f"{index.at_least(ADD)} - {low.text}", level=ADD)
    return gathered(m, stacked, axis, shift, e.axes, s, "take", "")


def levels_so_far(m: Emitter, e: x.Read, key: str, mv: x.Move, index: Code, s: Scope) -> Code:
    """Earlier levels of a name at several places, inside its own loop: those still to come hold 0 and are masked by the relation."""
    scope = next(a for a in s.above() if a.level is not None and a.level.level == mv.axis)
    assert scope.level is not None
    was = scope.known.get(f"{key}@{mv.axis} was")
    if was is None or s.timed is not None and scope in outside(s.timed):
        raise refuse("SEQ0506", f"`{key}` is read at other levels in a place where this order of loops does not have them", e.span)
    rows = scope.level.so_far.get(key)
    if rows is None:
        rows = m.namer.fresh(f"{key}_so_far")
        scope.level.head.add(f"{rows} = []")
        scope.level.so_far[key] = rows
    axis = "level family"
    lv = m.levels[mv.axis]
    low, high = m.ends(lv)
    count = high.text if low.text == "1" else f"{high.at_least(ADD)} - {low.at_least(ADD + 1)} + 1"
    text = f"history.levels_padded({rows}, {count}, {was.text})"
    held = replace(was, text=text, level=ATOM, layout=Layout(was.layout.batch, was.layout.chain, (*was.layout.axes, axis)))
    shift = index if low.text == "0" else replace(index, text=f"{index.at_least(ADD)} - {low.text}", level=ADD)
    return gathered(m, m.assign(held, f"{key}_family", s), axis, shift, e.axes, s, "take", "")


def start_of_level(m: Emitter, name: str, level: str, s: Scope) -> Code:
    """What stands before the first level."""
    for a in s.above():
        held = a.known.get(f"{name}@{level} start")
        if held is not None:
            return held
    return m.start_value(name, s)

"""Numbers of steps, and second names for them: which positions a relation sees.

Out:  `t` as a number for every step; for `index s of t where …` the numbers of the positions kept and new, and the mask of those seen.
In step mode the state's count of steps takes the place of the run's numbering.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference.emitter import Emitter, refuse
from seqc.compiler.lower.reference.layout import BATCH, CHAIN, LOGIC, Code, Layout, aligned, union
from seqc.compiler.lower.reference.scope import Scope


def counter(m: Emitter) -> str:
    """How many steps each sequence had before this run: the state's count, or None."""
    held = next((f.field for f in m.fields.values() if f.kind == "count"), "")
    return f"state.{held}" if held and m.mode in ("sequence", "step") else "None"


def step_number(m: Emitter, s: Scope) -> Code:
    """The number of this step (of every step, where the chain is there)."""
    root = s.root
    if m.mode in ("build", "start"):
        return Code("0", Layout(), "int", number=True)
    held = root.known.get("number")
    if held is None:
        local = m.namer.fresh(m.chain)
        m.head.add(f"{local} = run.numbers({counter(m)})")
        held = Code(local, Layout(True, root.chain), "int")
        root.known["raw number"] = held
        factor = m.body.topology[0] if m.body.topology else None
        if factor is not None and factor.kind == "range" and factor.low is not None:
            start = m.emit(factor.low, root)
            if start.text != "0":
                counted = m.namer.fresh(m.chain)
                m.head.add(f"{counted} = {local} + {start.at_least(6)}")
                held = replace(held, text=counted)
        root.known["number"] = held
    timed = s.timed
    return m.row(held, timed, m.chain) if timed is not None else held


def kept(m: Emitter, axis: str, s: Scope) -> str:
    """How many earlier positions a relation keeps, as Python text."""
    i = m.indices[axis]
    if i.whole or i.ahead or m.mode == "losses":
        return "0"
    key = f"kept {axis}"
    known = s.root.known.get(key)
    if known is not None:
        return known.text
    if i.bound is not None:
        text = m.emit(i.bound, s.root).text
    else:
        name = next((n for n, h in m.histories.items() if h.grows), None)
        if name is None:
            held = next((f for f in m.fields.values() if f.kind == "last" and axis in f.axes and not f.level), None)
            text = "0" if held is None else f"state.{held.field}.shape[{1 + held.axes.index(axis)}]"
        else:
            field = m.field_of(name)
            levels = m.fields[field].level
            text = f"state.{field}{'[0]' * len(levels)}.shape[1]"
    if not text.isdigit():
        local = m.namer.fresh(f"{axis}_kept")
        m.head.add(f"{local} = {text}")
        text = local
    s.root.known[key] = Code(text, number=True)
    return text


def numbers(m: Emitter, axis: str, s: Scope) -> Code:
    """The numbers of a relation's positions: [batch, positions]."""
    root = s.root
    key = f"numbers {axis}"
    held = root.known.get(key)
    if held is None:
        before = kept(m, axis, s)
        local = m.namer.fresh(axis)
        m.head.add(f"{local} = relation.counted(run, {before}, {counter(m)})")
        held = Code(local, Layout(True, False, (axis,)), "int")
        root.known[key] = held
    return held


def seen(m: Emitter, axis: str, s: Scope) -> Code:
    """The positions of the same stretch of the same sequence."""
    root = s.root
    before = kept(m, axis, s)
    key = f"seen {before}"
    held = root.known.get(key)
    if held is None:
        local = m.namer.fresh(f"{m.chain}_seen")
        m.head.add(f"{local} = relation.seen(run, {before}, {counter(m)})")
        held = Code(local, Layout(True, root.chain, ("seen",)), "bool")
        root.known[key] = held
    return replace(held, layout=Layout(True, root.chain, (axis,)))


def over_chain(m: Emitter, axis: str) -> bool:
    """Whether an axis is a second name of the chain."""
    i = m.indices.get(axis)
    return i is not None and bool(m.chain) and i.of == m.chain


def mask_code(m: Emitter, axis: str, codes: list[Code], s: Scope) -> Code | None:
    """The mask of an axis: `run.mask(…)` for padding (None at run time where there is none), or a tensor for a relation."""
    if axis == CHAIN or axis not in m.indices:
        return Code("run.mask(", Layout(True))
    i = m.indices[axis]
    if not over_chain(m, axis):
        if i.where is None:
            return Code("run.mask(", Layout(True)) if not i.of or m.indices.get(i.of) is not None else None
        return condition(m, axis, s)
    return relation_mask(m, axis, s)


def condition(m: Emitter, axis: str, s: Scope) -> Code:
    """A relation's own condition."""
    i = m.indices[axis]
    assert i.where is not None
    held = s.found(i.where)
    if held is not None:
        return held
    m.count(i.where)
    code = m.emit(i.where, s)
    if code.number:
        code = Code(f"torch.full((), {code.text}, dtype=torch.bool, device=run.device)", Layout(), "bool")
    if not code.text.isidentifier():
        place = s
        code = m.assign(code, f"{axis}_holds", place)
        s.cache[id(i.where)] = (i.where, code)
    return code


def relation_mask(m: Emitter, axis: str, s: Scope) -> Code:
    """What a second name of the chain sees from each step."""
    key = f"mask {axis}"
    timed = s.timed
    for a in s.above():
        if key in a.known:
            held = a.known[key]
            return m.row(held, timed, axis) if timed is not None and held.layout.chain and a.time is None and a.chain else held
    i = m.indices[axis]
    here = s
    if timed is not None and (i.where is None or m.liftable(i.where, s, timed)):
        assert timed.parent is not None
        here = timed.parent
    base = seen(m, axis, here)
    if here.timed is not None:
        base = m.row(base, here.timed, axis)
    code = base
    if i.where is not None:
        own = condition(m, axis, here)
        target = union([base.layout, own.layout], (axis, *own.layout.axes))
        code = Code(f"{aligned(base, target, 9)} & {aligned(own, target, 9)}", target, "bool", LOGIC)
    code = m.assign(code, f"{axis}_seen", here)
    here.known[key] = code
    return m.row(code, timed, axis) if timed is not None and here is not s and code.layout.chain else code


def check_axis(m: Emitter, axis: str, e: x.Expr) -> None:
    """Relations over anything but the chain or an axis of the value come later."""
    if axis == BATCH:
        raise refuse("SEQ0503", "a position along the batch cannot be read", e.span)

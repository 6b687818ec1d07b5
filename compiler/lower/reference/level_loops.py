"""Loops over the levels of a `stack` or `rounds`, and what is collected of them for use elsewhere."""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import Emitter, refuse
from seqc.compiler.lower.reference.layout import (
    ATOM,
    Code,
    Layout,
    plus_one,
)
from seqc.compiler.lower.reference.schedule import Item
from seqc.compiler.lower.reference.scope import LevelLoop, Scope


def level_loop(m: Emitter, item: Item, s: Scope) -> None:
    """A `stack` or `rounds`."""
    lv = m.levels[item.kind]
    names = item.names()
    low, high = m.ends(lv)
    number = m.namer.fresh(lv.name)
    at = m.namer.fresh(f"at_{lv.name}") if lv.kind == "stack" else ""
    stop = plus_one(high)
    span = f"range({low.text}, {stop})"
    holder = "self"
    for outer in lv.outer:
        loop = s.level_loop(outer)
        if loop is not None and loop.at:
            holder = loop.at
    outside = s.block
    lift, head = outside.nest(), outside.nest()
    header = f"for {number}, {at} in zip({span}, {holder}.levels({lv.name!r}), strict=True):" if at else f"for {number} in {span}:"
    body = s.block.nest(header)
    main, tail = body.nest(), body.nest()
    inner = Scope(main, chain=s.chain, parent=s, level=LevelLoop(lv.id, number, at, low.text, head, tail))
    carried: list[tuple[spec.Value, str, int]] = []
    s.block = lift
    for n in names:
        v = m.table[n]
        deepest = level_lag(m, names, n, lv.id, s)
        if v.over_levels != lv.id and not deepest:
            continue
        start = level_start(m, v, s)
        if deepest > 1:
            was = m.namer.fresh(f"{n}_past")
            head.add(f"{was} = [{', '.join([start.text] * deepest)}]")
        else:
            was = m.namer.fresh(f"{n}_was")
            head.add(f"{was} = {start.text}")
        inner.known[f"{n}@{lv.id} was"] = replace(start, text=was, level=ATOM)
        s.known[f"{n}@{lv.id} start"] = start
        carried.append((v, was, deepest))
    m.level_loops.append((lv.id, frozenset(names), inner, s))
    from seqc.compiler.lower.reference.statements import items

    items(m, item.inner, inner)
    for key, rows in inner.level.so_far.items() if inner.level is not None else ():
        v = m.table[key]
        tail.add(f"{rows}.append({m.expanded(m.lookup(key, inner, v.span), m.declared(v, inner), inner, v.type).text})")
    for v, was, deepest in carried:
        now = m.expanded(m.lookup(v.name, inner, v.span), m.declared(v, inner), inner, v.type)
        tail.add(f"{was}.append({now.text})" if deepest > 1 else f"{was} = {now.text}")
    s.block = outside
    for key, code in inner.names.items():
        if not code.number:
            s.names[key] = code
    for v, was, deepest in carried:
        text = f"{was}[-1]" if deepest > 1 else was
        s.names[v.name] = replace(inner.known[f"{v.name}@{lv.id} was"], text=text)


def level_lag(m: Emitter, names: list[str], name: str, level: str, s: Scope) -> int:
    """How many levels back a name is read inside its own loop (dims in a count are not known here: 1)."""
    deepest = 0
    for n in names:
        v = m.table[n]
        for part in (v.value, v.start):
            if part is None:
                continue
            for r in x.reads(part):
                if r.name == name:
                    for mv in r.moves:
                        if mv.kind == "level" and mv.axis == level:
                            if not isinstance(mv.index, x.Literal_) or not isinstance(mv.index.value, int):
                                raise refuse("SEQ0506", f"`{name}` is read a number of levels back that is no literal", r.span)
                            deepest = max(deepest, mv.index.value)
    return deepest


def level_start(m: Emitter, v: spec.Value, s: Scope) -> Code:
    """What stands before the first level, with all axes."""
    m.equation = v.name
    layout = m.declared(v, s)
    if v.start is None:
        return m.expanded(Code("0", number=True), layout, s, v.type)
    m.count(v.start)
    code = m.emit(v.start, s)
    code = m.cast(code, v) if not code.number else code
    made = m.expanded(code, layout, s, v.type)
    return made if made.text.isidentifier() else m.assign(made, f"{v.name}_start", s)


def computed_in(m: Emitter, key: str, level: str) -> tuple[Scope, Scope] | None:
    """The loop over a level that has computed a name, and the scope it stands in."""
    name = key if key in m.table else key.split(".")[0]
    for lv, names, inner, parent in reversed(m.level_loops):
        if lv == level and name in names and key in inner.names:
            return inner, parent
    return None


def collect(m: Emitter, key: str, level: str, s: Scope, span: Span) -> tuple[Code, Scope]:
    """The list over levels of a name's values, and the scope in which it lives."""
    found = computed_in(m, key, level)
    if found is None:
        raise refuse("SEQ0502", f"`{key}` is read at another level before its loop has run; this order cannot be run yet", span)
    inner, parent = found
    if parent not in s.above():
        return family_out(m, key, level, inner, parent, s, span)
    memo = f"{key}@{level} list"
    held = parent.known.get(memo)
    if held is None:
        code = inner.names[key]
        assert inner.level is not None
        rows = m.namer.fresh(f"{key}_levels")
        inner.level.head.add(f"{rows} = []")
        inner.level.tail.items.insert(0, f"{rows}.append({code.text})")
        held = replace(code, text=rows, level=ATOM)
        parent.known[memo] = held
    return held, parent


def family_out(m: Emitter, key: str, level: str, inner: Scope, timed: Scope, s: Scope, span: Span) -> tuple[Code, Scope]:
    """The levels of a name that a loop over time computes, read after it: a list of sequences."""
    if timed.time is None or timed.parent is None or timed.parent not in s.above():
        raise refuse("SEQ0506", f"the levels of `{key}` are read in a place where this order of loops does not have them", span)
    memo = f"{key}@{level} list"
    held = timed.parent.known.get(memo)
    if held is None:
        code = inner.names[key]
        assert inner.level is not None
        v = m.table.get(key)
        full = m.expanded(code, Layout(True, False, code.layout.axes), inner, v.type if v else "real")
        rows = m.namer.fresh(f"{key}_levels")
        inner.level.head.add(f"{rows} = []")
        inner.level.tail.items.insert(0, f"{rows}.append({full.text})")
        every = m.namer.fresh(f"{key}_all")
        timed.time.head.add(f"{every} = []")
        timed.time.tail.items.insert(0, f"{every}.append({rows})")
        name = m.namer.fresh(f"{key}_levels")
        lv = m.levels[level]
        low, high = m.emit(lv.low, s.root), m.emit(lv.high, s.root)
        shape = "".join(f", {m.size(a, s)}" for a in code.layout.axes)
        count = f"{high.at_least(5)} - {low.at_least(6)} + 1"
        timed.time.after.add(f"{name} = history.levels_stacked(run, {every}, {count}, {m.dtype(code.type)}{shape})")
        held = replace(code, text=name, layout=Layout(True, True, code.layout.axes), level=ATOM)
        timed.parent.known[memo] = held
    return held, timed.parent

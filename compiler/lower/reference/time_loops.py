"""Loops over time: a cycle through lags, one step after the other.

A loop carries the last values of the names it computes (`h_was`), takes the rows of sequences computed before it, and stacks only what
is read outside of it.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import Emitter, refuse
from seqc.compiler.lower.reference.fields import narrowed, present, widened, wrapped_start
from seqc.compiler.lower.reference.invokes import Place, field_name
from seqc.compiler.lower.reference.layout import (
    ATOM,
    Code,
    Layout,
)
from seqc.compiler.lower.reference.level_loops import collect
from seqc.compiler.lower.reference.schedule import Item
from seqc.compiler.lower.reference.scope import Scope, TimeLoop
from seqc.compiler.lower.reference.statements import items, note
from seqc.compiler.lower.reference.text import Block


def time_loop(m: Emitter, item: Item, s: Scope) -> None:
    """A cycle through lags: one step after the other, over just its names."""
    names = frozenset(item.names())
    outside = s.block
    lift = outside.nest()
    outside.add(f"# one step after the other: {', '.join(sorted(names, key=list(m.table).index))}")
    head = s.block.nest()
    loop = s.block.nest("for n_step, _ in run.each():")
    top, main, tail = loop.nest(), loop.nest(), loop.nest()
    after = s.block.nest()
    s.block = lift
    scope = Scope(main, chain=False, parent=s, time=TimeLoop(names, head, top, tail, after))
    carried: list[tuple[str, str, spec.Value]] = []
    for key in m.histories:
        v = m.table[key if key in m.table else key.split(".")[0]]
        if v.name not in names:
            continue
        if not m.field_of(key):
            raise refuse("SEQ0502", f"`{v.name}` is a recurrence that only losses read; give it back as an out", v.span)
        var = m.namer.fresh(f"{key}_was" if m.histories[key].kind == "last" else f"{key}_past")
        outer = tuple(lv for lv in v.level if lv in s.levels)
        inner = len(v.level) - len(outer)
        text = m.state(m.field_of(key), s, outer)
        if m.histories[key].kind != "last":
            text = f"{text}.unbind(1)" if not inner else f"tuple(p.unbind(1) for p in {text})"
        elif not inner:
            text = widened(m, key, text, s)
        head.add(f"{var} = {text}")
        scope.known[f"{key} was"] = Code(var)
        carried.append((key, var, v))
    places = [p for p in m.sites.values() if p.owner.name in names and field_name(m, p.path)]
    for p in places:
        var = m.namer.fresh(f"{p.path}_was")
        outer = tuple(lv for lv in p.owner.level if lv in s.levels)
        head.add(f"{var} = {m.state(field_name(m, p.path), s, outer)}")
        scope.known[f"{p.path} was"] = Code(var)
    restart(m, carried, top, s)
    items(m, item.inner, scope)
    carry(m, carried, places, scope, tail, s)
    watched = {n: c.text for n, c in scope.names.items() if not c.number and c.text.isidentifier() and "." not in n}
    if watched:
        tail.nest("if run.watch:").add("run.note({" + ", ".join(f"{n!r}: {t}" for n, t in watched.items()) + "})")
    for key in scope.names:
        s.loops[key] = scope
    scope.time = replace_rows(scope.time, loop)
    s.block = outside
    for key, var, v in carried:
        inner = len(v.level) - len([lv for lv in v.level if lv in s.levels])
        if m.histories[key].kind != "last":
            text = f"history.restacked({var}, {m.state(m.field_of(key), s, tuple(lv for lv in v.level if lv in s.levels))})"
        else:
            text = narrowed(m, key, var, s) if not inner else f"tuple({var})"
        note(m, m.field_of(key), text, s)
    for p in places:
        note(m, field_name(m, p.path), scope.known[f"{p.path} was"].text, s)


def replace_rows(loop: TimeLoop | None, block: Block) -> TimeLoop:
    """Writes the loop's header, once it is known which sequences it takes rows of."""
    assert loop is not None
    rows = list(loop.sources.items())
    if rows:
        names = ", ".join(r for r, _ in rows) + ("," if len(rows) == 1 else "")
        block.header = f"for n_step, ({names}) in run.each({', '.join(t for _, t in rows)}):"
    return loop


def restart(m: Emitter, carried: list[tuple[str, str, spec.Value]], top: Block, s: Scope) -> None:
    """At a reset the carried values are their starts again."""
    if not carried:
        return
    inner = top.nest("if run.reset is not None:")
    left, right, start = [], [], []
    for key, var, v in carried:
        outer = tuple(lv for lv in v.level if lv in s.levels)
        first = m.state(m.field_of(key), s, outer, "first")
        h = m.histories[key]
        if h.kind == "grow" and len(outer) == len(v.level):
            begin = m.expanded(wrapped_start(m, key, s), Layout(True, False, m.fields[m.field_of(key)].axes), s, v.type)
            first = f"({begin.text},) * len({var})"
        elif h.kind == "grow":
            continue
        elif h.kind == "last" and len(outer) == len(v.level):
            first = widened(m, key, first, s)
        elif h.kind != "last":
            first = f"{first}.unbind(1)" if len(outer) == len(v.level) else f"tuple(p.unbind(1) for p in {first})"
        elif len(outer) != len(v.level):
            first = f"tuple({first})"
        left.append(var)
        right.append(var if len(outer) == len(v.level) else f"tuple({var})")
        start.append(first)
    if not left:
        top.items.remove(inner)
        return
    if len(left) == 1:
        inner.add(f"{left[0]} = run.restart(n_step, {right[0]}, {start[0]})")
    else:
        inner.add(f"{', '.join(left)} = run.restart(n_step, ({', '.join(right)}), ({', '.join(start)}))")


def carry(m: Emitter, carried: list[tuple[str, str, spec.Value]], places: list[Place], scope: Scope, tail: Block, s: Scope) -> None:
    """At the end of a step: the new values become the old ones."""
    left: list[str] = []
    new: list[str] = []
    old: list[str] = []
    for key, var, v in carried:
        inner = [lv for lv in v.level if lv not in s.levels]
        h = m.histories[key]
        if not inner:
            now = m.expanded(present(m, key, scope), Layout(True, False, m.fields[m.field_of(key)].axes), scope, v.type).text
            made = now if h.kind == "last" else f"(*{var}, {now})" if h.grows else f"(*{var}[1:], {now})"
            was = var
            if h.grows:
                start = m.expanded(m.start_value(key, s), Layout(True, False, m.fields[m.field_of(key)].axes), s, v.type)
                was = f"({start.text}, *{var})"
        else:
            held, _ = collect(m, key, inner[0], scope, v.span)
            now = f"tuple({held.text})"
            made = now if h.kind == "last" else f"tuple((*p[1:], v) for p, v in zip({var}, {held.text}, strict=True))"
            was = f"tuple({var})"
        left.append(var)
        new.append(made)
        old.append(was)
    for p in places:
        var = scope.known[f"{p.path} was"].text
        done = scope.known.get(f"{p.path} after") or scope.known.get(f"after {field_name(m, p.path)}")
        if done is None:
            continue
        left.append(var)
        new.append(done.text)
        old.append(var)
    if m.grads:
        new = [f"fn.cut({t}, grads)" for t in new]
    if len(left) == 1:
        tail.add(f"{left[0]} = run.carry(n_step, {new[0]}, {old[0]}) if run.ragged else {new[0]}")
    elif left:
        pair = f"({', '.join(new)})"
        tail.add(f"{', '.join(left)} = run.carry(n_step, {pair}, ({', '.join(old)})) if run.ragged else {pair}")


def stack_out(m: Emitter, key: str, loop: Scope, s: Scope) -> Code:
    """A value that a loop over time computed, for all steps: collected in the loop, stacked after it."""
    assert loop.time is not None
    code = loop.names[key]
    if code.number:
        s.names[key] = code
        return code
    rows = m.namer.fresh(f"{key}_all")
    loop.time.head.add(f"{rows} = []")
    v = m.table.get(key)
    full = code if code.layout.batch else m.expanded(code, Layout(True, False, code.layout.axes), loop, v.type if v else "real")
    loop.time.tail.items.insert(0, f"{rows}.append({full.text})")
    name = m.namer.fresh(key) if not code.text.isidentifier() else code.text
    dtype = m.dtype(code.type)
    shape = "".join(f", {m.size(a, s)}" for a in code.layout.axes)
    loop.time.after.add(f"{name} = history.stacked(run, {rows}, {dtype}{shape})")
    made = replace(code, text=name, layout=Layout(True, True, code.layout.axes), level=ATOM)
    s.names[key] = made
    return made

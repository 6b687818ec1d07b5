"""Equations in their loops: statements, loops over time and over levels, and what is handed from one to the next.

In:   the items of `schedule.arrange`.
Out:  lines; each equation under a comment with its text and line. A loop over time carries the last values of the names it computes
      (`h_was`), takes the rows of sequences computed before it, and stacks only what is read outside of it.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import Emitter, refuse
from seqc.compiler.lower.reference.invokes import Place, called, field_name
from seqc.compiler.lower.reference.layout import ATOM, Code, Layout, moved
from seqc.compiler.lower.reference.reads import point_of, signature
from seqc.compiler.lower.reference.relations import step_number
from seqc.compiler.lower.reference.reshaping import eigh_parts, scan_parts
from seqc.compiler.lower.reference.schedule import Item
from seqc.compiler.lower.reference.scope import LevelLoop, Scope, TimeLoop
from seqc.compiler.lower.reference.text import Block


def items(m: Emitter, these: list[Item], s: Scope) -> None:
    """Writes items in order."""
    for i in these:
        if i.kind == "statement":
            statement(m, m.table[i.name], s)
        elif i.kind == "time":
            time_loop(m, i, s)
        else:
            level_loop(m, i, s)


# ---- one equation -----------------------------------------------------------------------------------------------------


def comment(m: Emitter, v: spec.Value) -> str:
    """The equation and where it stands."""
    text = v.text or v.name
    text = " ".join(text.split())
    if len(text) > 100:
        text = text[:97] + "..."
    printable = "".join(c if c.isprintable() and ord(c) < 0x3000 else "?" for c in text)
    line = v.value.span.line if v.value is not None and v.value.span.line else v.span.line
    return f"# {printable}  ({m.source}:{line})"


def statement(m: Emitter, v: spec.Value, s: Scope) -> None:
    """One equation."""
    if v.name in s.names or v.kind in ("param", "const"):
        return
    m.equation = v.name
    if v.kind == "input":
        default(m, v, s)
        remember(m, v.name, v, s)
        return
    if v.value is None:
        return
    if m.mode != "build" or v.kind != "hidden":
        s.block.add(comment(m, v))
    m.count(v.value)
    track(m, v, s)
    match v.value:
        case x.Invoke() if v.axes is None or not v.value.out and v.value.outs:
            fields = fields_read(m, v.name)
            for n, code in called(m, v.value, s, fields=fields).items():
                s.names[f"{v.name}.{n}"] = code
                remember(m, f"{v.name}.{n}", v, s)
            return
        case x.Eigh():
            eigh_parts(m, v.value, v.name, s)
            return
        case x.Scan():
            scan_parts(m, v.value, v.name, s)
            return
    extra = fields_read(m, v.name) if isinstance(v.value, x.Invoke) else frozenset()
    if isinstance(v.value, x.Invoke) and extra and v.value.out:
        made = called(m, v.value, s, fields=extra | {v.value.out})
        for n, code in made.items():
            s.names[f"{v.name}.{n}"] = code
            remember(m, f"{v.name}.{n}", v, s)
        value = made[v.value.out]
    else:
        value = m.emit(v.value, s)
    bind(m, v, settled(m, v, value, s), s)


def settled(m: Emitter, v: spec.Value, code: Code, s: Scope) -> Code:
    """A value in its declared type, axes in declared order; with batch and chain where it is read behind this step or carried."""
    axes = tuple(a for a in v.axes or () if a != m.chain)
    if code.number:
        if (
            not axes
            and v.name not in m.histories
            and v.kind not in ("state", "out", "input")
            and v.name not in m.body.outs
            and not v.over_levels
        ):
            return code
        full = m.declared(v, s)
        return m.expanded(
            code, full if v.name in m.histories or v.over_levels or v.kind in ("state", "input") else Layout(False, False, axes), s, v.type
        )
    code = m.cast(code, v)
    have = code.layout
    lost = [a for a in axes if a not in have.axes]
    target = Layout(have.batch, have.chain, axes)
    if set(axes) >= set(have.axes):
        code = m.expanded(code, target, s, v.type) if lost else moved(code, target)
    if v.name in m.histories or v.over_levels or v.kind in ("state", "input"):
        code = m.expanded(code, m.declared(v, s), s, v.type)
    return code


def bind(m: Emitter, v: spec.Value, code: Code, s: Scope, wish: str = "") -> None:
    """Gives the value its name."""
    if code.number:
        s.names[v.name] = m.assign(code, v.name, s) if not code.atom else code
        return
    made = m.assign(code, wish or v.name, s)
    key = m.tracked.get((v.name, "", ()))
    if key is not None:
        s.known[key] = m.assign(replace(made, text=f"fn.tracked({made.text}, grads)"), f"{v.name}_point", s)
    s.names[v.name] = made
    remember(m, v.name, v, s)


def default(m: Emitter, v: spec.Value, s: Scope) -> None:
    """An optional input: the caller's value where given, else the equation."""
    layout = m.declared(v, m.root)
    here = m.declared(v, s)
    local = m.states.get(f"in {v.name}", v.name)
    if v.name in m.given or v.value is None or isinstance(v.value, x.NotGiven):
        if s.timed is not None:
            return
        s.names[v.name] = Code(local, layout, v.type)
        return
    s.block.add(comment(m, v))
    m.count(v.value)
    name = m.namer.fresh(v.name)
    timed = s.timed
    if timed is not None:
        rows = m.namer.fresh(f"{v.name}_given")
        assert timed.time is not None
        timed.time.head.add(f"{rows} = None if {local} is None else {local}.unbind({1 if layout.batch else 0})")
        present = f"{rows}[n_step]"
        missing = f"{rows} is None"
    else:
        present, missing = local, f"{local} is None"
    outer = s.block
    lift, choice = outer.nest(), outer.nest()
    s.block = lift
    yes = Scope(choice.nest(f"if {missing}:"), s.chain, parent=s, branch=True)
    code = settled(m, v, m.emit(v.value, yes), yes)
    yes.block.add(f"{name} = {code.text}")
    s.block = outer
    choice.nest("else:").add(f"{name} = {present}")
    s.names[v.name] = Code(name, here, v.type)


def fields_read(m: Emitter, name: str) -> frozenset[str]:
    """Which outs and states of a called body are read in this body."""
    held = m.field_reads.get(name)
    if held is None:
        found: set[str] = set()
        roots = [p for v in m.body.values for p in (v.value, v.start) if p is not None]
        roots += [i.where for i in m.body.indices if i.where is not None]
        for root in roots:
            for r in x.reads(root):
                if r.name == name and r.field_:
                    found.add(r.field_)
        value = m.table[name].value
        known = {o for o, _, _ in value.outs} if isinstance(value, x.Invoke) else found
        held = frozenset(found & known)
        if isinstance(value, x.Invoke) and not held and not value.out:
            held = frozenset({value.outs[0][0]}) if value.outs else frozenset()
        m.field_reads[name] = held
    return held


# ---- states -----------------------------------------------------------------------------------------------------------


def remember(m: Emitter, key: str, v: spec.Value, s: Scope) -> None:
    """After a name's equation, outside loops over time: what the state keeps of it."""
    if key not in m.histories or s.timed is not None or m.mode not in ("sequence", "step"):
        return
    field = m.field_of(key)
    if not field:
        return
    note(m, field, kept_text(m, key, v, s), s)


def kept_text(m: Emitter, key: str, v: spec.Value, s: Scope) -> str:
    """The buffer after this run."""
    h = m.histories[key]
    before = m.state(m.field_of(key), s, v.level)
    if h.kind == "last":
        from seqc.compiler.lower.reference.reads import present

        now = present(m, key, s)
        axes = m.fields[m.field_of(key)].axes
        now = m.expanded(now, Layout(True, s.chain, axes), s, v.type)
        return f"history.last(run, {now.text}, {before})" if s.chain else now.text
    full = m.full(key, s)
    if s.chain:
        start = m.start_value(key, s) if key in m.table else Code("0", number=True)
        return f"history.keep(run, {full.text}, {'None' if h.grows else m.reach(key, s)}, {start.text})"
    return full.text if h.grows else f"{full.text}[:, 1:]"


def note(m: Emitter, field: str, text: str, s: Scope) -> None:
    """A field's new value; inside a loop over levels it is collected."""
    at = s
    while at.branch:
        assert at.parent is not None
        at = at.parent
    if at.level is None:
        if at.time is not None:
            at.known[f"after {field}"] = Code(text)
        else:
            m.states[field] = text
        return
    rows = m.namer.fresh(f"{field}_levels")
    at.level.head.add(f"{rows} = []")
    at.level.tail.add(f"{rows}.append({text})")
    assert at.parent is not None
    note(m, field, f"tuple({rows})", at.parent)


# ---- loops over time --------------------------------------------------------------------------------------------------


def time_loop(m: Emitter, item: Item, s: Scope) -> None:
    """A cycle through lags: one step after the other, over just its names."""
    names = frozenset(item.names())
    outside = s.block
    lift = outside.nest()
    outside.add(f"# one step after the other: {', '.join(sorted(names, key=list(m.table).index))}")
    head = s.block.nest()
    loop = s.block.nest("for n_step in range(run.length):")
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
            text = var if not inner else f"tuple({var})"
        note(m, m.field_of(key), text, s)
    for p in places:
        note(m, field_name(m, p.path), scope.known[f"{p.path} was"].text, s)


def replace_rows(loop: TimeLoop | None, block: Block) -> TimeLoop:
    """Writes the loop's header, once it is known which sequences it takes rows of."""
    assert loop is not None
    rows = list(loop.sources.items())
    if len(rows) == 1:
        block.header = f"for n_step, {rows[0][0]} in enumerate({rows[0][1]}):"
    elif rows:
        block.header = f"for n_step, ({', '.join(r for r, _ in rows)}) in enumerate(zip({', '.join(t for _, t in rows)}, strict=True)):"
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
        if h.kind == "grow":
            continue
        if h.kind != "last":
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
            from seqc.compiler.lower.reference.reads import present

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


# ---- loops over levels ------------------------------------------------------------------------------------------------


def level_loop(m: Emitter, item: Item, s: Scope) -> None:
    """A `stack` or `rounds`."""
    lv = m.levels[item.kind]
    names = item.names()
    low, high = m.ends(lv)
    number = m.namer.fresh(lv.name)
    at = m.namer.fresh(f"at_{lv.name}") if lv.kind == "stack" else ""
    stop = str(int(high.text) + 1) if high.text.isdigit() else f"{high.text} + 1"
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


# ---- gradients --------------------------------------------------------------------------------------------------------


def track(m: Emitter, v: spec.Value, s: Scope) -> None:
    """Makes the reads that something is differentiated by fresh nodes, before anything of this step reads them."""
    if not m.tracked or m.mode in ("build", "start"):
        return
    assert v.value is not None
    for r in x.reads(v.value):
        key = m.tracked.get(signature(r))
        if key is None or point_of(m, key, s) is not None:
            continue
        timed = s.timed
        bound_here = (
            any(r.name in a.names for a in s.above() if a.time is None and a.timed is timed) or timed is not None and r.name in timed.names
        )
        if not r.moves and bound_here:
            continue
        m.tracked.pop(signature(r))
        code = m.emit(r, s)
        m.tracked[signature(r)] = key
        s.cache.pop(id(r), None)
        place = s
        while place.branch and place.parent is not None:
            place = place.parent
        place.known[key] = m.assign(replace(code, text=f"fn.tracked({code.text}, grads)", level=ATOM), f"{r.name}_point", place)


__all__ = ["items", "note", "statement", "step_number"]

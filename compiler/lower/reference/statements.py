"""Equations in their loops: each one's lines, what its name is bound to, and what the state keeps of it.

In:   the items of `schedule.arrange`; loops are written by `time_loops` and `level_loops`.
Out:  lines; each equation under a comment with its text and line.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import Emitter
from seqc.compiler.lower.reference.fields import narrowed, point_of, signature, widened
from seqc.compiler.lower.reference.invokes import called
from seqc.compiler.lower.reference.layout import ATOM, Code, Layout, moved
from seqc.compiler.lower.reference.relations import step_number
from seqc.compiler.lower.reference.reshaping import eigh_parts, scan_parts
from seqc.compiler.lower.reference.schedule import Item
from seqc.compiler.lower.reference.scope import Scope


def items(m: Emitter, these: list[Item], s: Scope) -> None:
    """Writes items in order."""
    from seqc.compiler.lower.reference.level_loops import level_loop
    from seqc.compiler.lower.reference.time_loops import time_loop

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
        from seqc.compiler.lower.reference.fields import present

        now = present(m, key, s)
        axes = m.fields[m.field_of(key)].axes
        now = m.expanded(now, Layout(True, s.chain, axes), s, v.type)
        text = f"history.last(run, {now.text}, {widened(m, key, before, s)})" if s.chain else now.text
        return narrowed(m, key, text, s)
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

"""What a name or a field of a call is at this step, where the past of a name starts, and fresh nodes of derivatives."""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference import relations
from seqc.compiler.lower.reference.emitter import Emitter, minus, refuse
from seqc.compiler.lower.reference.layout import (
    Code,
    Layout,
)
from seqc.compiler.lower.reference.scope import Scope


def present(m: Emitter, name: str, s: Scope) -> Code:
    """A name, or a field of a call (`m.M`), at this step."""
    head, _, field = name.partition(".")
    if name in m.table:
        v = m.table[name]
        return m.lookup(name, s, v.span)
    return field_of(m, x.Read(head, field), s)


def field_of(m: Emitter, e: x.Read, s: Scope) -> Code:
    """An out or state of a called body, or a result with several parts."""
    key = f"{e.name}.{e.field_}"
    timed: Scope | None = None
    for a in s.above():
        hit = a.names.get(key)
        if hit is not None and m.same_level(key, a, s):
            return m.row(hit, timed, key) if timed is not None else hit
        if a.time is not None and timed is None:
            timed = a
    done = m.escaped(key, s) or m.family_here(key, s)
    if done is not None:
        return done
    if m.mode == "losses" and key in m.imported:
        brought = m.bring(key, s)
        return m.row(brought, timed, key) if timed is not None else brought
    holder = m.table.get(e.name)
    if m.mode in ("build", "start") and holder is not None and f"made {e.name}" not in m.root.known:
        from seqc.compiler.lower.reference.statements import statement

        m.root.known[f"made {e.name}"] = Code("")
        was, m.equation = m.equation, e.name
        statement(m, holder, s if holder.level else m.root)
        m.equation = was
        return field_of(m, e, s)
    if e.name in m.table and m.table[e.name].kind == "input":
        raise refuse("SEQ0504", f"`{e.name}` has no field `{e.field_}` here", e.span)
    from seqc.compiler.lower.reference.invokes import parameter_of

    parameter = parameter_of(m, e, s)
    if parameter is not None:
        return parameter
    raise refuse("SEQ0502", f"`{key}` is read before anything computes it; this order of equations cannot be run yet", e.span)


def point_of(m: Emitter, key: str, s: Scope) -> Code | None:
    """The fresh node of a read that something is differentiated by, where this step (and level) has one."""
    for a in s.above():
        if key in a.known:
            return a.known[key]
        if a.time is not None:
            break
    for level, _, inner, parent in reversed(m.level_loops):
        loop = s.level_loop(level)
        if key in inner.known and loop is not None and inner.level is not None and parent in s.above():
            memo = f"{key} list"
            held = parent.known.get(memo)
            if held is None:
                rows = m.namer.fresh("points")
                inner.level.head.add(f"{rows} = []")
                inner.level.tail.add(f"{rows}.append({inner.known[key].text})")
                held = replace(inner.known[key], text=rows)
                parent.known[memo] = held
            return replace(held, text=f"{held.text}[{minus(loop.number, loop.low)}]")
    return None


def signature(e: x.Read) -> tuple[object, ...]:
    """What two reads of the same thing share."""
    return (e.name, e.field_, e.moves)


def wrapped_start(m: Emitter, key: str, s: Scope) -> Code:
    """The start of a name; 0 for fields of calls."""
    return m.start_value(key, s) if key in m.table else Code("0", Layout(), number=True)


def width(m: Emitter, e: x.Read) -> str:
    """The precision that a value's declaration asks for; "" for none."""
    v = m.table.get(e.name)
    return v.width if v is not None and v.width in ("f32", "f64") and not e.field_ else ""


def state_axes(m: Emitter, e: x.Read, key: str) -> tuple[str, ...]:
    """The axes of a name as its buffer holds it."""
    if e.field_:
        return m.fields[m.field_of(key)].axes
    return tuple(a for a in m.table[e.name].axes or () if a != m.chain)


def positions_of(m: Emitter, key: str) -> str:
    """The second name of the chain that a state has as an axis (it has an entry for each position then); "" for others."""
    v = m.table.get(key)
    if v is None or not m.chain:
        return ""
    return next((a for a in v.axes or () if relations.over_chain(m, a)), "")


def widened(m: Emitter, key: str, text: str, s: Scope) -> str:
    """A kept state that has an entry for each position, with room for the new positions."""
    axis = positions_of(m, key)
    if not axis:
        return text
    v = m.table[key]
    start = wrapped_start(m, key, s)
    if not start.number:
        raise refuse("SEQ0502", f"`{key}` has an entry for each `{axis}` and starts from no number; that cannot be run yet", v.span)
    axes = tuple(a for a in v.axes or () if a != m.chain)
    new = "run.length" if m.mode in ("sequence", "losses") else "1"
    return f"history.widened({text}, {1 + axes.index(axis)}, {new}, {start.text})"


def narrowed(m: Emitter, key: str, text: str, s: Scope) -> str:
    """What is kept of a state that has an entry for each position."""
    axis = positions_of(m, key)
    if not axis:
        return text
    axes = tuple(a for a in m.table[key].axes or () if a != m.chain)
    bound = m.indices[axis].bound
    kept = "None" if bound is None else m.emit(bound, s.root).text
    return f"history.narrowed(run, {text}, {1 + axes.index(axis)}, {kept})"

"""Reading a value: here and now, at a lag, over a window, through a relation, at a computed place, at another level.

Out:  in sequence mode shifted or gathered sequences (`seqc.runtime.history`), in a loop the values carried from earlier steps, in step
      mode the buffers of the state. Reads outside the lattice give the name's start.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference import relations
from seqc.compiler.lower.reference.emitter import Emitter, minus, refuse, rule
from seqc.compiler.lower.reference.layout import ADD, ATOM, BATCH, CHAIN, Code, Layout, aligned, moved, permuted, union
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


def present(m: Emitter, name: str, s: Scope) -> Code:
    """A name, or a field of a call (`m.M`), at this step."""
    head, _, field = name.partition(".")
    if name in m.table:
        v = m.table[name]
        return m.lookup(name, s, v.span)
    return field_of(m, x.Read(head, field), s)


def base(m: Emitter, e: x.Read, levels: list[x.Move], s: Scope) -> Code:
    """The value at this step: at this level, an earlier one, or as a family."""
    for mv in levels:
        return at_level(m, e, mv, s)
    if e.field_:
        return field_of(m, e, s)
    return m.lookup(e.name, s, e.span)


def field_of(m: Emitter, e: x.Read, s: Scope) -> Code:
    """An out or state of a called body, or a result with several parts."""
    key = f"{e.name}.{e.field_}"
    timed: Scope | None = None
    for a in s.above():
        hit = a.names.get(key)
        if hit is not None:
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


# ---- levels -----------------------------------------------------------------------------------------------------------


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
    loop = s.level_loop(level)
    assert loop is not None
    return loop.number


def family(m: Emitter, e: x.Read, key: str, mv: x.Move, index: Code, s: Scope) -> Code:
    """The entry of a level by number, of a name that a loop over levels has computed."""
    from seqc.compiler.lower.reference.statements import collect

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


# ---- along the chain --------------------------------------------------------------------------------------------------


def along_chain(m: Emitter, e: x.Read, mv: x.Move, levels: list[x.Move], s: Scope) -> Code:
    """A read elsewhere on the chain."""
    key = e.name if not e.field_ else f"{e.name}.{e.field_}"
    timed = s.timed
    if timed is not None and timed.time is not None and e.name in timed.time.names:
        return in_loop(m, e, key, mv, levels, s, timed)
    v = m.table[e.name]
    if mv.kind == "lag":
        return lagged(m, e, key, mv, s)
    if mv.kind == "window":
        return windowed(m, e, key, mv, s)
    if mv.kind == "rename":
        return renamed(m, e, key, mv, s)
    del v
    return placed(m, e, key, mv, levels, s)


def wrapped_start(m: Emitter, key: str, s: Scope) -> Code:
    """The start of a name; 0 for fields of calls."""
    return m.start_value(key, s) if key in m.table else Code("0", Layout(), number=True)


def lagged(m: Emitter, e: x.Read, key: str, mv: x.Move, s: Scope) -> Code:
    """`x[t-k]` of a value known for all steps, or in step mode."""
    if key in m.histories and m.histories[key].kind == "last" and not s.chain and m.mode == "step":
        v = m.table[e.name]
        axes = state_axes(m, e, key)
        return Code(m.state(m.field_of(key), s, v.level), Layout(True, False, axes), e.type, wide=width(m, e))
    steps = m.emit(mv.index, s.root)
    memo = f"lag {key} {steps.text} {'.'.join(s.levels)}"
    here = s
    for a in s.above():
        if memo in a.known:
            return a.known[memo]
    if m.mode == "step" and not s.chain and m.field_of(key):
        v = m.table[e.name]
        code = Code(m.state(m.field_of(key), s, v.level), Layout(True, False, state_axes(m, e, key)), e.type, wide=width(m, e))
        return replace(code, text=f"{code.text}[:, -{steps.at_least(ATOM)}]")
    full = m.full(key, s)
    reach = m.reach(key, s)
    if s.chain:
        start = wrapped_start(m, key, s)
        text = f"history.lag(run, {full.text}, {reach}, {steps.text}, {start.text})"
        code = replace(full, text=text, layout=Layout(True, True, full.layout.axes))
    else:
        code = replace(full, text=f"{full.text}[:, -1 - {steps.at_least(ADD + 1)}]", layout=Layout(True, False, full.layout.axes))
    code = m.assign(code, f"{key}_{steps.text if steps.text.isalnum() else 'lag'}", here)
    here.known[memo] = code
    return code


def width(m: Emitter, e: x.Read) -> str:
    v = m.table.get(e.name)
    return v.width if v is not None and v.width in ("f32", "f64") and not e.field_ else ""


def state_axes(m: Emitter, e: x.Read, key: str) -> tuple[str, ...]:
    """The axes of a name as its buffer holds it."""
    if e.field_:
        return m.fields[m.field_of(key)].axes
    return tuple(a for a in m.table[e.name].axes or () if a != m.chain)


def windowed(m: Emitter, e: x.Read, key: str, mv: x.Move, s: Scope) -> Code:
    """`u[t - pos(M)]`: several distances at once."""
    steps = m.emit(mv.index, s)
    if steps.number:
        steps = Code(f"torch.as_tensor({steps.text}, device=run.device)", Layout(), "int")
    past_only = m.mode == "step" and not s.chain and mv.past and bool(m.field_of(key))
    if past_only:
        v = m.table[e.name]
        full = Code(m.state(m.field_of(key), s, v.level), Layout(True, False, state_axes(m, e, key)), e.type, wide=width(m, e))
        steps = replace(steps, text=f"{steps.at_least(ADD)} - 1", level=ADD)
    else:
        full = m.full(key, s)
    start = wrapped_start(m, key, s)
    stepwise = steps.layout.batch or steps.layout.chain
    new = steps.layout.axes
    if s.chain:
        if stepwise:
            steps = m.expanded(steps, Layout(True, True, new), s, "int")
        text = f"history.window(run, {full.text}, {m.reach(key, s)}, {steps.text}, {start.text}, {stepwise})"
    else:
        text = f"history.window_now({full.text}, {steps.text}, {start.text}, {stepwise})"
    return replace(full, text=text, layout=Layout(True, s.chain, (*new, *full.layout.axes)), level=ATOM)


def renamed(m: Emitter, e: x.Read, key: str, mv: x.Move, s: Scope) -> Code:
    """`k[s]`: all positions of a second name of the chain, as an axis."""
    assert isinstance(mv.index, x.Number)
    axis = mv.index.of
    i = m.indices[axis]
    here = s.root if not s.levels else s
    here = next((a for a in s.above() if a.chain or a is s.root or a is s), s)
    memo = f"keys {key} {axis} {'.'.join(s.levels)}"
    for a in s.above():
        if memo in a.known:
            return a.known[memo]
    if i.ahead or i.whole or m.mode == "losses":
        if not here.chain:
            raise refuse("SEQ0505", f"`{e.name}[{axis}]` looks ahead, so there is no step", e.span)
        now = present(m, key, here)
        if not now.layout.chain:
            now = m.expanded(now, Layout(now.layout.batch, True, now.layout.axes), here, e.type)
        code = replace(now, layout=Layout(now.layout.batch, False, (axis, *now.layout.axes)))
    else:
        if m.mode == "step" and not here.chain and mv.past and m.field_of(key):
            v = m.table[e.name]
            axes = state_axes(m, e, key)
            start = m.expanded(wrapped_start(m, key, here), Layout(True, False, axes), here, e.type)
            held = f"history.joined({m.state(m.field_of(key), here, v.level)}, {start.at_least(ATOM)}[:, None])"
            full = m.assign(Code(held, Layout(True, False, axes), e.type, wide=width(m, e)), f"{key}_row", here)
        else:
            full = m.full(key, here)
        before = relations.kept(m, axis, here)
        reach = m.reach(key, here)
        text = (
            full.text
            if before == reach or m.histories[key].grows and i.bound is None
            else f"relation.trimmed({full.text}, {reach}, {before})"
        )
        code = replace(full, text=text, layout=Layout(True, False, (axis, *full.layout.axes)))
        if not code.text.isidentifier():
            code = m.assign(code, f"{key}_{axis}", here)
    here.known[memo] = code
    return code


def placed(m: Emitter, e: x.Read, key: str, mv: x.Move, levels: list[x.Move], s: Scope) -> Code:
    """A read at a computed place of the chain: the place is a step's number, counted as `t` counts."""
    index = m.emit(mv.index, s)
    cell = bool(m.body.topology)
    if not s.chain and not (m.mode == "step" and cell and key in m.histories):
        raise refuse("SEQ0505", f"`{e.name}` is read at a computed place of `{m.chain}`, so there is no step", e.span)
    start = wrapped_start(m, key, s)
    has_start = key in m.table and m.table[key].start is not None
    if cell and key in m.histories:
        full = m.full(key, s)
        reach = m.reach(key, s)
    else:
        now = base(m, x.Read(e.name, e.field_, axes=e.axes, type=e.type, span=e.span), levels, s)
        full = now if now.layout.chain else m.expanded(now, Layout(now.layout.batch, True, now.layout.axes), s, e.type)
        reach = "0"
    stacked = replace(full, layout=Layout(full.layout.batch, False, ("chain place", *full.layout.axes)))
    if not index.number:
        index = row_of(m, index, mv.index, reach, s)
    how = start.text if has_start else "None"
    ends = "" if not s.chain else f"run.ends({m.chain!r}{'' if reach == '0' else ', ' + reach})"
    return gathered(m, stacked, "chain place", index, tuple(a for a in e.axes if a != m.chain), s, "lookup", how, ends)


def row_of(m: Emitter, index: Code, e: x.Expr, reach: str, s: Scope) -> Code:
    """A step's number as a place in the row of past and present: counted from the step or position whose number it is made of."""
    named = [n for n in x.walk(e) if isinstance(n, x.Number)]
    second = next((n for n in named if relations.over_chain(m, n.of)), None)
    index = m.short(index, f"{m.equation}_place", s, 0)
    if second is not None:
        own = m.emit(second, s)
        ahead = m.indices[second.of].ahead or m.indices[second.of].whole
        kept = "0" if ahead else relations.kept(m, second.of, s)
        rows = Code(f"torch.arange({m.size(second.of, s)}, device=run.device)", Layout(False, False, (second.of,)), "int")
        shift = "" if kept == reach else f" + {reach} - {kept}"
    elif any(n.of == m.chain for n in named):
        own = relations.step_number(m, s)
        if s.chain:
            rows, shift = (
                Code("torch.arange(run.length, device=run.device)", Layout(False, True), "int"),
                "" if reach == "0" else f" + {reach}",
            )
        else:
            rows, shift = Code(reach, Layout(), "int", number=True), ""
    else:
        first = relations.counter(m)
        if first == "None" or reach == "0" and not m.body.topology:
            return index
        own = Code(first, Layout(True), "int")
        rows, shift = Code(reach, Layout(), "int", number=True), ""
    target = union([c.layout for c in (index, own, rows) if not c.number], index.layout.axes)
    row = f"{aligned(rows, target, ADD)}{shift} + {aligned(index, target, ADD + 1)} - {aligned(own, target, ADD + 1)}"
    return Code(f"torch.where({aligned(index, target, 0)} >= 0, {row}, -1)", target, "int")


def in_loop(m: Emitter, e: x.Read, key: str, mv: x.Move, levels: list[x.Move], s: Scope, timed: Scope) -> Code:
    """A read of something this loop over time computes."""
    h = m.histories.get(key)
    v = m.table[e.name]
    level = "".join(
        f"[{minus(lp.number, lp.low)}]"
        for lv in v.level
        if (lp := s.level_loop(lv)) is not None and lv not in (timed.parent.levels if timed.parent else ())
    )
    axes = state_axes(m, e, key)
    wide = width(m, e)
    assert timed.time is not None
    carried = f"{key} was"
    held = timed.known.get(carried)
    if h is None or held is None:
        raise refuse("SEQ0502", f"`{key}` is read behind this step in an order of equations that cannot be run yet", e.span)
    inner = [lv for lv in v.level if lv not in (timed.parent.levels if timed.parent else ())]
    if inner and not level:
        # from outside the levels: the last one
        level = "[-1]" * len(inner)
    text = f"{held.text}{level}"
    if mv.kind == "lag":
        steps = m.emit(mv.index, s)
        if h.kind != "last":
            text = f"{text}[-{steps.at_least(ATOM)}]"
        code = Code(text, Layout(True, False, axes), e.type, wide=wide)
        return code
    current = [] if mv.past else [m.expanded(present(m, key, s), Layout(True, False, axes), s, e.type).text]
    rows = f"(*{text}, {', '.join(current)})" if current else text
    start = wrapped_start(m, key, s)
    if mv.kind == "window":
        steps = m.emit(mv.index, s)
        now = rows if current else f"(*{text}, {text}[-1])"
        stacked = m.assign(Code(f"torch.stack({now}, 1)", Layout(True, False, axes), e.type, wide=wide), f"{key}_rows", s)
        if steps.number:
            steps = Code(f"torch.as_tensor({steps.text}, device=run.device)", Layout(), "int")
        batched = steps.layout.batch
        made = f"history.window_now({stacked.text}, {steps.text}, {start.text}, {batched})"
        return Code(made, Layout(True, False, (*steps.layout.axes, *axes)), e.type, wide=wide)
    if mv.kind == "rename":
        assert isinstance(mv.index, x.Number)
        axis = mv.index.of
        width_ = m.size(axis, s)
        fill = m.expanded(start, Layout(True, False, axes), s, e.type)
        made = f"history.rows(run, {rows}, {width_}, {relations.kept(m, axis, s)}, {fill.text})"
        return Code(made, Layout(True, False, (axis, *axes)), e.type, wide=wide)
    raise refuse("SEQ0505", f"`{key}` is read at a computed place of `{m.chain}` inside its own recurrence", e.span)


# ---- other axes -------------------------------------------------------------------------------------------------------


def other_axes(m: Emitter, e: x.Read, code: Code, moves: list[x.Move], s: Scope) -> Code:
    """`k[j]`, `W[j, i]`: the same values under other names of axes, all at once."""
    to = {mv.axis: mv.index.of for mv in moves if isinstance(mv.index, x.Number)}
    if not to or code.number:
        return code
    for old, new in to.items():
        if old not in m.indices or old in m.axis_sizes:
            if old in m.axis_sizes:
                m.axis_sizes.setdefault(new, m.axis_sizes[old])
    if m.chain in to.values() and s.chain:
        names = tuple(CHAIN if to.get(a) == m.chain else to.get(a, a) for a in code.layout.names)
        want = Layout(code.layout.batch, True, tuple(a for a in names if a not in (BATCH, CHAIN)))
        return replace(code, text=permuted(code.at_least(ATOM), names, want.names), layout=want, level=ATOM)
    return replace(code, layout=Layout(code.layout.batch, code.layout.chain, tuple(to.get(a, a) for a in code.layout.axes)))


def at_place(m: Emitter, e: x.Read, code: Code, mv: x.Move, s: Scope) -> Code:
    """A read at a computed place of an axis that is no chain; a lag or window along such an axis."""
    if code.number:
        return code
    axis = mv.axis
    if axis not in code.layout.axes:
        raise refuse("SEQ0503", f"`{e.name}` has no axis `{axis}` to read at", e.span)
    if mv.kind == "lag":
        steps = m.emit(mv.index, s)
        start = wrapped_start(m, e.name, s)
        if not start.number:
            rest = Layout(code.layout.batch, code.layout.chain, tuple(a for a in code.layout.axes if a != axis))
            start = replace(m.expanded(start, rest, s, e.type), layout=rest)
            start = replace(start, text=f"{start.at_least(ATOM)}.unsqueeze({code.layout.dim(axis)})")
        return replace(code, text=f"arrays.shifted({code.text}, {code.layout.dim(axis)}, {steps.text}, {start.text})", level=ATOM)
    index = m.emit(mv.index, s)
    if mv.kind == "window":
        place = Code(f"torch.arange({m.size(axis, s)}, device=run.device)", Layout(False, False, (axis,)), "int")
        target = union([place.layout, index.layout], (axis, *index.layout.axes))
        index = Code(f"{aligned(place, target, ADD)} - {aligned(index, target, ADD + 1)}", target, "int", ADD)
        start = wrapped_start(m, e.name, s)
        return gathered(m, rename_axis(code, axis, axis + "·"), axis + "·", index, e.axes, s, "lookup", start.text, ends_of(m, axis))
    i = m.indices.get(axis)
    if i is not None and i.static and i.low is not None and not (isinstance(i.low, x.Literal_) and i.low.value == 0):
        low = m.emit(i.low, s)
        index = replace(index, text=f"{index.at_least(ADD)} - {low.at_least(ADD + 1)}", level=ADD)
    v = m.table.get(e.name)
    outside_known = v is not None and v.start is not None and axis[:1].islower() and v.kind not in ("param", "const")
    if outside_known:
        start = wrapped_start(m, e.name, s)
        return gathered(m, code, axis, index, e.axes, s, "lookup", start.text, ends_of(m, axis))
    return gathered(m, code, axis, index, e.axes, s, "take" if axis[:1].isupper() else "lookup", "None", ends_of(m, axis))


def ends_of(m: Emitter, axis: str) -> str:
    """Where an axis ends in each sequence, for reads at computed places; "" for axes without padding."""
    from seqc.compiler.lower.reference.contractions import maskable

    return f"run.ends({axis!r})" if maskable(m, axis) and axis not in m.axis_sizes else ""


def rename_axis(code: Code, old: str, new: str) -> Code:
    """The same tensor with an axis under another name."""
    return replace(code, layout=Layout(code.layout.batch, code.layout.chain, tuple(new if a == old else a for a in code.layout.axes)))


def gathered(m: Emitter, code: Code, axis: str, index: Code, axes: tuple[str, ...], s: Scope, how: str, start: str, ends: str = "") -> Code:
    """Entries of an axis at computed places; the index's axes come in its stead.

    `how` is `take` (places must exist), `lookup` (`start` outside) or `at:BORDER`; `ends` says where each sequence ends.
    """
    if index.number:
        known = how == "lookup" and start == "None" and axis in m.indices and m.indices[axis].static
        if how == "take" or index.text.isdigit() and known:
            rest = Layout(code.layout.batch, code.layout.chain, tuple(a for a in code.layout.axes if a != axis))
            return replace(code, text=f"{code.at_least(ATOM)}.select({code.layout.dim(axis)}, {index.text})", layout=rest, level=ATOM)
        index = Code(f"torch.as_tensor({index.text}, device=run.device)", Layout(), index.type)
    have, want = code.layout.names, index.layout.names
    if ends and index.layout.names and code.layout.batch and not index.layout.batch:
        index = m.expanded(index, Layout(True, index.layout.chain, index.layout.axes), s, index.type)
        want = index.layout.names
    elif ends and not (index.layout.batch and code.layout.batch):
        ends = ""
    last = f", {ends}" if ends else ""
    if axis in want:
        code = rename_axis(code, axis, axis + "·")
        have, axis = code.layout.names, axis + "·"
    shared = tuple(a for a in have if a in want)
    new = tuple(a for a in want if a not in shared)
    rest_ = tuple(a for a in have if a not in shared and a != axis)
    x_text = permuted(code.at_least(ATOM), have, (*shared, axis, *rest_))
    i_text = permuted(index.at_least(ATOM) if want != (*shared, *new) else index.text, want, (*shared, *new))
    if how == "take":
        text = f"arrays.take({x_text}, {i_text}, {len(shared)})"
    elif how == "lookup":
        text = f"arrays.lookup({x_text}, {i_text}, {len(shared)}, {start}{last})"
    else:
        text = f"arrays.at({x_text}, {i_text}, {len(shared)}, {how.partition(':')[2]!r}{last})"
    made = (*shared, *new, *rest_)
    named = tuple(a for a in made if a not in (BATCH, CHAIN))
    order = tuple(a for a in axes if a in named) + tuple(a for a in named if a not in axes)
    target = Layout(BATCH in made, CHAIN in made, order)
    return replace(code, text=permuted(text, made, target.names), layout=target, level=ATOM)


@rule(x.GatherAt)
def gather_at(m: Emitter, e: x.GatherAt, s: Scope) -> Code:
    """`at(z, y = e, x = f, border = …)`, one axis after the other (bilinear where places are real)."""
    code = m.emit(e.arg, s)
    mapped = code
    for axis, place in e.places:
        index = m.emit(place, s)
        name = CHAIN if axis == m.chain else axis
        if name == CHAIN:
            mapped = replace(mapped, layout=Layout(mapped.layout.batch, False, ("chain place", *mapped.layout.axes)))
            name = "chain place"
        ends = f"run.ends({axis!r})" if name == "chain place" and s.chain else ends_of(m, axis) if name == axis else ""
        placed_at = m.short(index, f"{m.equation}_place", s)
        kept = tuple(a for a in e.axes if a != m.chain)
        mapped = gathered(m, mapped, name, placed_at, kept, s, f"at:{e.border}", "", ends)
        mapped = m.short(mapped, f"{m.equation}_at", s)
    order = tuple(a for a in e.axes if a in mapped.layout.axes) + tuple(a for a in mapped.layout.axes if a not in e.axes)
    return moved(mapped, Layout(mapped.layout.batch, mapped.layout.chain, order))

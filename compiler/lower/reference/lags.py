"""Reads elsewhere on the chain: lags, windows, second names, computed places.

Out:  in sequence mode shifted or gathered sequences (`seqc.runtime.history`), in a loop the values carried from earlier steps, in step
      mode the buffers of the state. Reads outside the lattice give the name's start.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference import relations
from seqc.compiler.lower.reference.emitter import Emitter, minus, refuse
from seqc.compiler.lower.reference.fields import present, state_axes, widened, width, wrapped_start
from seqc.compiler.lower.reference.layout import (
    ADD,
    ATOM,
    Code,
    Layout,
    aligned,
    union,
)
from seqc.compiler.lower.reference.places import gathered
from seqc.compiler.lower.reference.scope import Scope


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


def lagged(m: Emitter, e: x.Read, key: str, mv: x.Move, s: Scope) -> Code:
    """`x[t-k]` of a value known for all steps, or in step mode."""
    if key in m.histories and m.histories[key].kind == "last" and not s.chain and m.mode == "step":
        v = m.table[e.name]
        axes = state_axes(m, e, key)
        text = widened(m, key, m.state(m.field_of(key), s, v.level), s)
        return Code(text, Layout(True, False, axes), e.type, wide=width(m, e))
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
        from seqc.compiler.lower.reference.reads import base

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

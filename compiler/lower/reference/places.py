"""Reads at computed places of axes that are no chain, gathers with a border, and axes under other names."""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference import relations
from seqc.compiler.lower.reference.emitter import Emitter, refuse, rule
from seqc.compiler.lower.reference.fields import wrapped_start
from seqc.compiler.lower.reference.layout import (
    ADD,
    ATOM,
    BATCH,
    CHAIN,
    Code,
    Layout,
    aligned,
    moved,
    permuted,
    union,
)
from seqc.compiler.lower.reference.scope import Scope


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
    if mv.kind == "gather" and relations.over_chain(m, axis) and not index.number:
        from seqc.compiler.lower.reference.lags import row_of

        index = row_of(m, index, mv.index, relations.kept(m, axis, s), s)
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

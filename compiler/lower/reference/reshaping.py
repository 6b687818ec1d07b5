"""Split, merge, concat, square systems, operators and gradients as Python text."""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference.emitter import Emitter, refuse, rule
from seqc.compiler.lower.reference.fields import point_of, signature
from seqc.compiler.lower.reference.layout import (
    ATOM,
    BATCH,
    CHAIN,
    Code,
    Layout,
    aligned,
    moved,
    of_names,
    permuted,
    union,
)
from seqc.compiler.lower.reference.scope import Scope


def as_names(m: Emitter, axes: tuple[str, ...]) -> tuple[str, ...]:
    """Axes as layouts name them."""
    return tuple(CHAIN if a == m.chain and m.chain else a for a in axes)


def settle(code: Code, made: tuple[str, ...], axes: tuple[str, ...]) -> Code:
    """A tensor whose axes lie as `made`, in canonical order."""
    named = tuple(a for a in made if a not in (BATCH, CHAIN))
    order = tuple(a for a in axes if a in named) + tuple(a for a in named if a not in axes)
    want = Layout(BATCH in made, CHAIN in made, order)
    return replace(code, text=permuted(code.at_least(ATOM), made, want.names), layout=want, level=ATOM)


def stepless(m: Emitter, s: Scope, e: x.Expr, axes: tuple[str, ...], what: str) -> None:
    """Refuses what needs the whole of the chain in a place that has one step."""
    if m.chain and m.chain in axes and not s.chain:
        raise refuse("SEQ0505", f"{what} takes `{m.chain}` as a whole, so there is no step", e.span)


@rule(x.Split)
def split(m: Emitter, e: x.Split, s: Scope) -> Code:
    """`split(x, t = [m, J])`."""
    stepless(m, s, e, (e.axis,), "`split`")
    code = m.emit(e.arg, s)
    (axis,) = as_names(m, (e.axis,))
    if axis not in code.layout.names:
        return code
    from seqc.compiler.lower.reference.contractions import maskable

    dim = code.layout.dim(axis)
    inner_known = known_size(m, e.inner)
    what = f"split of {e.axis} ({m.source}:{e.span.line})"
    if e.axis == m.chain or maskable(m, e.axis):
        here = "run.length" if axis == CHAIN else m.size(e.axis, s)
        frame = m.size(e.inner, s) if inner_known else None
        s.block.add(f"run.framed({e.axis!r}, {e.outer!r}, {here}, {frame}, {what!r})")
    if inner_known:
        text = f"arrays.split({code.text}, {dim}, {m.size(e.inner, s)}, {what!r})"
    else:
        text = f"arrays.split_outer({code.text}, {dim}, {m.size(e.outer, s)}, {what!r})"
    made = tuple(b for a in code.layout.names for b in ((e.outer, e.inner) if a == axis else (a,)))
    out = settle(replace(code, text=text, level=ATOM), as_names(m, made), tuple(a for a in e.axes if a != m.chain))
    var = m.assign(out, f"{m.equation}_parts", s)
    new, known = (e.outer, e.inner) if inner_known else (e.inner, e.outer)
    if new != m.chain and not known_size(m, new):
        m.axis_sizes.setdefault(new, f"({m.size(e.axis, s)} // {m.size(known, s)})")
    return var


def known_size(m: Emitter, axis: str) -> bool:
    """Whether the size of an axis follows from dims."""
    i = m.indices.get(axis)
    return axis[:1].isupper() or axis in m.internal or axis in m.axis_sizes or (i is not None and i.static)


@rule(x.Merge)
def merge(m: Emitter, e: x.Merge, s: Scope) -> Code:
    """`merge(z, t = [m, J])`."""
    code = m.emit(e.arg, s)
    if code.number:
        return code
    parts = as_names(m, e.parts)
    lost = [a for a in parts if a not in code.layout.names]
    if lost:
        code = m.expanded(code, union([code.layout, of_names(tuple(lost))], tuple(a for a in e.arg.axes if a != m.chain)), s)
    rest = tuple(a for a in code.layout.names if a not in parts)
    at = min(code.layout.dim(a) for a in parts)
    lead = tuple(a for a in rest if code.layout.dim(a) < at)
    tail = tuple(a for a in rest if a not in lead)
    text = permuted(code.at_least(ATOM), code.layout.names, (*lead, *parts, *tail))
    if len(parts) > 1:
        text = f"arrays.merge({text}, {len(lead)}, {len(parts)})"
    (axis,) = as_names(m, (e.axis,))
    if axis == CHAIN and not s.chain:
        raise refuse("SEQ0505", f"`merge` makes `{m.chain}` as a whole, so there is no step", e.span)
    out = settle(replace(code, text=text, level=ATOM), (*lead, axis, *tail), tuple(a for a in e.axes if a != m.chain))
    if axis != CHAIN and not known_size(m, axis):
        m.axis_sizes.setdefault(axis, "(" + " * ".join(m.size(p, s) for p in e.parts) + ")")
    return out


@rule(x.Concat)
def concat(m: Emitter, e: x.Concat, s: Scope) -> Code:
    """`concat(a, b, over = N)`."""
    (new,) = as_names(m, (e.axis,))
    from seqc.compiler.lower.reference.contractions import maskable
    from seqc.compiler.lower.reference.leaves import even

    stepless(m, s, e, (e.axis, *e.over), "`concat`")
    for n, (over, place) in enumerate(zip(e.over, as_names(m, e.over), strict=True)):
        if not over or not maskable(m, place) or m.mode == "step":
            continue
        if n < len(e.over) - 1 or over in e.over[:-1]:
            even(m, over, f"concat over {over}", e.span.line)
        elif e.axis != m.chain:
            before = " + ".join(m.size(o, s) if o else "1" for o in e.over[:-1]) or "0"
            s.block.add(f"run.behind({over!r}, {e.axis!r}, {before})")
    parts: list[Code] = []
    codes = [m.emit(a, s) for a in e.args]
    renamed: list[Code] = []
    for c, over in zip(codes, e.over, strict=True):
        if c.number:
            c = m.expanded(c, Layout(), s, e.type)
        old = CHAIN if over == m.chain and over else over
        if over and old in c.layout.names:
            names = tuple(new if a == old else a for a in c.layout.names)
            c = settle(c, names, tuple(a for a in names if a not in (BATCH, CHAIN)))
        else:
            names = (*c.layout.names, new)
            c = settle(
                replace(c, text=f"{c.at_least(ATOM)}[..., None]", level=ATOM), names, tuple(a for a in names if a not in (BATCH, CHAIN))
            )
        renamed.append(c)
    target = union([c.layout for c in renamed], tuple(a for a in e.axes if a != m.chain))
    for c in renamed:
        parts.append(replace(c, text=aligned(c, target, 0), layout=target))
    kind = e.type
    parts = [m.real(p) if kind == "real" else p for p in parts]
    text = f"arrays.concat(({', '.join(p.text for p in parts)}), {target.dim(new) - target.rank})"
    out = Code(text, target, kind, wide=next((c.wide for c in parts if c.wide), ""))
    if new != CHAIN and not known_size(m, new):
        sizes = [m.size(o, s) if o else "1" for o in e.over]
        m.axis_sizes.setdefault(new, "(" + " + ".join(sizes) + ")")
    return out


# ---- square systems ---------------------------------------------------------------------------------------------------


@rule(x.Solve)
def solve(m: Emitter, e: x.Solve, s: Scope) -> Code:
    """`solve(A, b, over = K)`."""
    matrix, rhs = m.real(m.emit(e.matrix, s)), m.real(m.emit(e.rhs, s))
    right = e.row if e.row in rhs.layout.axes or e.over not in rhs.layout.axes else e.over
    if rhs.number or right not in rhs.layout.axes:
        rhs = m.expanded(rhs, Layout(rhs.layout.batch, rhs.layout.chain, (*rhs.layout.axes, e.row)), s)
        right = e.row
    a_rest = tuple(a for a in matrix.layout.axes if a not in (e.row, e.over))
    b_rest = tuple(a for a in rhs.layout.axes if a != right)
    lead = union(
        [Layout(matrix.layout.batch, matrix.layout.chain, a_rest), Layout(rhs.layout.batch, rhs.layout.chain, b_rest)],
        tuple(a for a in e.axes if a not in (m.chain, e.result)),
    )
    whole = Layout(lead.batch, lead.chain, (*lead.axes, e.row, e.over))
    a = aligned(moved(matrix, Layout(matrix.layout.batch, matrix.layout.chain, (*a_rest, e.row, e.over))), whole, 0)
    b_in = replace(rhs, layout=Layout(rhs.layout.batch, rhs.layout.chain, tuple(e.row if i == right else i for i in rhs.layout.axes)))
    target = Layout(lead.batch, lead.chain, (*lead.axes, e.row))
    b = aligned(moved(b_in, Layout(rhs.layout.batch, rhs.layout.chain, (*b_rest, e.row))), target, 0)
    made = Layout(lead.batch, lead.chain, (*lead.axes, e.result))
    kind: x.Type = "complex" if "complex" in (matrix.type, rhs.type) else "real"
    return Code(f"layers.solve({a}, {b})", made, kind, wide=matrix.wide or rhs.wide)


@rule(x.Eigh)
def eigh(m: Emitter, e: x.Eigh, s: Scope) -> Code:
    """Held by a name; its parts are read as fields (see `statements`)."""
    raise refuse("SEQ0504", "`eigh` gives two results: give it a name and read `.values` and `.vectors`", e.span)


def eigh_parts(m: Emitter, e: x.Eigh, name: str, s: Scope) -> None:
    """`e = eigh(A, over = j)`: binds `e.values` and `e.vectors`."""
    matrix = m.real(m.emit(e.matrix, s))
    rest = tuple(a for a in matrix.layout.axes if a not in (e.row, e.over))
    matrix = moved(matrix, Layout(matrix.layout.batch, matrix.layout.chain, (*rest, e.row, e.over)))
    values, vectors = m.namer.fresh(f"{name}_values"), m.namer.fresh(f"{name}_vectors")
    s.block.add(f"{values}, {vectors} = layers.eigh({matrix.text})")
    la = matrix.layout
    s.names[f"{name}.values"] = Code(values, Layout(la.batch, la.chain, (*rest, e.over)), "real")
    s.names[f"{name}.vectors"] = Code(vectors, la, matrix.type)


# ---- operators --------------------------------------------------------------------------------------------------------


@rule(x.Scan)
def scan(m: Emitter, e: x.Scan, s: Scope) -> Code:
    """Held by a name; its fields are read (see `scan_parts`)."""
    raise refuse("SEQ0504", "`scan` gives several results: give it a name and read its fields", e.span)


def scan_parts(m: Emitter, e: x.Scan, name: str, s: Scope) -> None:
    """`p = scan(Op, …)`: binds `p.field` for each field; the carry is part of the state."""
    op = m.program.operators[e.operator]
    combine = f"self.{m.classes['operator ' + e.operator]}"
    lead = scan_axes(op, e, m.chain)
    steps: list[Code] = []
    layouts: list[Layout] = []
    for (field, axes, kind), (_, value) in zip(op.fields, ordered(op, e), strict=True):
        code = m.emit(value, s)
        own = tuple(a for a in value.axes if a != m.chain)
        named = (*lead, *(a for a in own if a not in lead)) if len(own) >= len(axes) else (*lead, *axes)
        layout = Layout(True, s.chain, named)
        steps.append(m.assign(m.expanded(m.real(code), layout, s, kind), f"{name}_{field}", s))
        layouts.append(layout)
    held = [f for f in m.fields.values() if f.kind == "scan" and f.name.startswith(f"{name}.")]
    before = ", ".join(m.state(f.field, s, f.level) for f in held)
    start = ", ".join(m.state(f.field, s, f.level, "first") for f in held)
    comma = "," if len(steps) == 1 else ""
    names = [m.namer.fresh(f"{name}_{f}_so_far") for f, _, _ in op.fields]
    after = [m.namer.fresh(f"{name}_{f}_last") for f, _, _ in op.fields]
    inputs = ", ".join(c.text for c in steps)
    if s.chain:
        s.block.add(
            f"({', '.join(names)}{comma}), ({', '.join(after)}{comma}) = "
            f"layers.scan({combine}, ({before}{comma}), ({inputs}{comma}), run.reset, ({start}{comma}), run.valid({m.chain!r}))"
        )
    else:
        s.block.add(f"{', '.join(names)}{comma} = {combine}({before}, {inputs})")
        after = names
    for (field, _, kind), var, last, layout, f in zip(op.fields, names, after, layouts, held, strict=True):
        s.names[f"{name}.{field}"] = Code(var, layout, kind)
        m.states[f.field] = last


def ordered(op: object, e: x.Scan) -> list[tuple[str, x.Expr]]:
    """The fields' values in the operator's order."""
    given = dict(e.fields)
    return [(f, given[f]) for f, _, _ in op.fields]  # type: ignore[attr-defined]


def scan_axes(op: object, e: x.Scan, chain: str) -> tuple[str, ...]:
    """Axes that the scan is mapped over: those a value has beyond its field's own number of axes, `chain` left out."""
    lead: list[str] = []
    given = dict(e.fields)
    for f, axes, _ in op.fields:  # type: ignore[attr-defined]
        own = [a for a in given[f].axes if a != chain]
        extra = own[: max(len(own) - len(axes), 0)]
        lead += [a for a in extra if a not in lead]
    return tuple(lead)


# ---- gradients --------------------------------------------------------------------------------------------------------


@rule(x.Grad)
def grad(m: Emitter, e: x.Grad, s: Scope) -> Code:
    """`grad(loss, M[t-1])` by torch's own graph: the read that is differentiated by is a fresh node (see `statements.track`)."""
    key = m.tracked[signature(e.wrt)]
    held = point_of(m, key, s)
    if held is None:
        held = m.emit(e.wrt, s)
    loss = m.emit(e.loss, s)
    return replace(held, text=f"fn.gradient({loss.text}, {held.text}, grads)", level=ATOM)


__all__ = ["eigh_parts", "scan_parts"]

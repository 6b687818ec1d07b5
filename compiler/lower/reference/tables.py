"""The class-level literals: what a body declares, as `seqc.runtime.tables` records.

Everything of the spec that enters here is an identifier (checked), a number (re-rendered) or a string by `repr`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seqc.compiler.graph.joins import joins
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.layout import CHAIN

if TYPE_CHECKING:
    from seqc.compiler.lower.reference.common import Common


def size_tree(e: x.Expr) -> Any:
    """A size expression as the runtime evaluates it: numbers, dims' names, tuples. None where it is known only in a run."""
    match e:
        case x.Literal_(value=v):
            return v
        case x.DimSize(dim=d):
            return d
        case x.Length(of=of):
            return of if of[:1].isupper() or "." in of else None
        case x.Apply(fn=fn, args=args):
            parts = [size_tree(a) for a in args]
            return None if any(p is None for p in parts) else (fn, *parts)
    return None


def names(tree: Any) -> set[str]:
    """The dims that a size expression reads."""
    if isinstance(tree, str):
        return {tree}
    return set().union(*(names(t) for t in tree[1:])) if isinstance(tree, tuple) else set()


def literal(v: Any) -> str:
    """A nested tuple of numbers and strings as Python text."""
    if isinstance(v, tuple):
        inner = ", ".join(literal(i) for i in v)
        return f"({inner},)" if len(v) == 1 else f"({inner})"
    if isinstance(v, float) and v in (float("inf"), float("-inf")):
        return "math.inf" if v > 0 else "-math.inf"
    return repr(v)


def table_text(low: Common) -> list[str]:
    """`TABLE = Table(…)` and the classes beside it."""
    b = low.body
    factor = b.topology[0] if b.topology else None
    rows: list[tuple[str, str]] = [("name", repr(b.name)), ("kind", repr(b.kind)), ("source", repr(low.source))]
    if low.chain:
        rows.append(("chain", repr(low.chain)))
    if factor is not None and factor.reverse:
        rows.append(("reverse", "True"))
    if factor is not None and factor.kind == "range" and factor.low is not None and factor.high is not None:
        rows.append(("range", literal((size_tree(factor.low), size_tree(factor.high)))))
    rows.append(("dims", dict_text([(d.name, literal(size_tree(d.value) if d.value is not None else None)) for d in b.dims])))
    sizes = [(n, size_tree(e)) for n, e in b.sizes]
    for i in b.indices:
        if i.static and i.low is not None and i.high is not None:
            ends = size_tree(i.low), size_tree(i.high)
            if None not in ends:
                sizes.append((i.name, ("add", ("sub", ends[1], ends[0]), 1)))
        elif i.of[:1].isupper():
            sizes.append((i.name, i.of))
        elif (lv := next((lv for lv in b.levels if lv.name == i.of), None)) is not None:
            ends = size_tree(lv.low), size_tree(lv.high)
            if None not in ends:
                sizes.append((i.name, ("add", ("sub", ends[1], ends[0]), 1)))
    sizes = [(n, t) for n, t in sizes if t is not None]
    if sizes:
        rows.append(("sizes", dict_text([(n, literal(t)) for n, t in sizes])))
    rows.append(("inputs", tuple_text([input_text(low, v) for v in low.inputs()])))
    rows.append(("outs", tuple_text([out_text(low, low.table[n]) for n in b.outs])))
    if low.losses:
        rows.append(("losses", literal(tuple(low.losses))))
    consts = [v for v in b.values if v.kind == "const"]
    if consts:
        rows.append(("consts", dict_text([(v.name, literal((v.axes or (), v.type))) for v in consts])))
    if b.holes:
        rows.append(
            (
                "holes",
                dict_text([(h.name, repr(h.default.key.partition(":")[2] or h.default.function if h.default else "")) for h in b.holes]),
            )
        )
    if low.fields:
        rows.append(("fields", dict_text([(f.field, literal((f.axes, f.kind))) for f in low.fields.values()])))
    states = [v for v in b.values if v.kind == "state" and not v.level]
    if states:
        rows.append(("states", dict_text([(v.name, literal(v.axes or ())) for v in states])))
    ranges = [r for v in b.values if v.kind == "param" and (r := range_of(low, v)) is not None]
    if ranges:
        rows.append(("ranges", dict_text(ranges)))
    lines = [(d.name, str(d.span.line)) for d in b.dims] + [(v.name, str(v.span.line)) for v in consts]
    if lines:
        rows.append(("lines", dict_text(lines)))
    if low.looks:
        rows.append(("looks", repr(low.looks)))
    required = next((r for r in b.requirements if r.word == "causal"), None)
    if required is not None:
        rows.append(("causal", str(required.span.line or 1)))
    known = {d.name for d in b.dims}
    joined = [(j.dim, size_tree(j.size), j.name, j.span.line) for j in joins(b)]
    joined = [j for j in joined if j[1] is not None and known.issuperset(names(j[1]))]
    if joined:
        rows.append(("joins", literal(tuple(joined))))
    out = ["TABLE = Table("]
    for k, v in rows:
        out.append(f"    {k}={v},")
    out.append(")")
    if low.fields:
        out.append(f"STATE = {low.name}State")
    if len(b.outs) > 1:
        out.append(f"OUTS = {low.name}Outs")
    if low.losses:
        out.append(f"LOSSES = {low.name}Losses")
    return out


def dict_text(pairs: list[tuple[str, str]]) -> str:
    """A dict literal."""
    return "{" + ", ".join(f"{k!r}: {v}" for k, v in pairs) + "}"


def tuple_text(parts: list[str]) -> str:
    """A tuple literal, a line for each part where there are several."""
    if not parts:
        return "()"
    if len(parts) == 1:
        return f"({parts[0]},)"
    return "(\n" + "".join(f"        {p},\n" for p in parts) + "    )"


def input_text(low: Common, v: spec.Value) -> str:
    """One `Input(…)`."""
    shape = "[" + ", ".join(v.axes or ()) + "]"
    if v.type != "real":
        shape += f" of {v.type}"
    parts = [repr(v.name), literal(v.axes or ()), repr(low.per(v))]
    if v.type != "real":
        parts.append(f"type={v.type!r}")
    if v.value is not None:
        parts.append("default=True")
    else:
        needed = low.needed_by(v)
        if needed != ("",):
            parts.append(f"needed={literal(needed)}")
    parts += [f"line={v.span.line}", f"text={shape!r}"]
    return f"Input({', '.join(parts)})"


def out_text(low: Common, v: spec.Value) -> str:
    """One `Out(…)`."""
    steps = bool(low.body.topology) or low.chain in (v.axes or ())
    parts = [repr(v.name), literal(v.axes or ()), repr(steps)]
    if v.type != "real":
        parts.append(f"type={v.type!r}")
    parts.append(f"line={v.span.line}")
    return f"Out({', '.join(parts)})"


def range_of(low: Common, v: spec.Value) -> tuple[str, str] | None:
    """The declared range of a parameter, for projection."""
    if v.bounds is None:
        return None
    ends = []
    for e in (v.bounds.low, v.bounds.high):
        value = number_of(e)
        if value is None:
            return None
        ends.append(None if value in (float("inf"), float("-inf")) else value)
    if ends == [None, None] or v.type == "complex":
        return None
    path = "".join(f"{lv.name}.*." for i in v.level for lv in low.body.levels if lv.id == i and lv.kind == "stack") + v.name
    return path, literal(tuple(ends))


def number_of(e: x.Expr) -> float | None:
    """A literal, or the negative of one."""
    match e:
        case x.Literal_(value=int() | float() as v):
            return v
        case x.Apply(fn="neg", args=(x.Literal_(value=int() | float() as v),)):
            return -v
    return None


def sites_text(low: Common) -> list[str]:
    """`SITES = {…}`."""
    if not low.places:
        return []
    out = ["SITES = {"]
    for p in low.places:
        e = p.call
        args = []
        for n, a in enumerate(e.arguments):
            axes = a.value.axes
            args.append((a.name, axes, a.renames))
            del n
        parts = [repr(p.path), repr(e.callee.key.partition(":")[2])]
        if e.callee.hole:
            parts.append(f"hole={e.callee.hole!r}")
        if args:
            parts.append(f"arguments={literal(tuple(args))}")
        if e.along:
            parts.append(f"along={literal(e.along)}")
        if e.own:
            parts.append(f"own={e.own!r}")
        outs = e.outs or (("out", e.axes, e.type),)
        parts.append(f"outs={literal(tuple((n, ax) for n, ax, _ in outs))}")
        parts.append(f"out={(e.out or ('out' if not e.outs else ''))!r}")
        if e.starts:
            parts.append(f"starts={literal(tuple(n for n, _ in e.starts))}")
        if e.params:
            parts.append(f"params={literal(tuple(n for n, _ in e.params))}")
        if e.consts:
            parts.append(f"consts={literal(tuple(n for n, _ in e.consts))}")
        if e.droppable:
            parts.append("droppable=True")
        if e.inline:
            parts.append("inline=True")
        parts.append(f"line={e.span.line}")
        out.append(f"    {p.path!r}: Site({', '.join(parts)}),")
    out.append("}")
    return out


def inputs_text(low: Common) -> str:
    """One line on what goes in and comes out."""

    def shape(v: spec.Value, steps: bool) -> str:
        axes = v.axes or ()
        if low.body.topology:
            axes = (*((low.chain,) if steps else ()), *axes)
        return f"{v.name} [{', '.join(('batch', *axes))}]"

    ins = ", ".join(
        shape(v, low.per(v) == "step") if low.per(v) != "call" else f"{v.name} [{', '.join(v.axes or ())}]" for v in low.inputs()
    )
    outs = ", ".join(shape(low.table[n], True) for n in low.body.outs)
    return f"{ins or 'nothing'} -> {outs or 'nothing'}, and the state after the last step."


__all__ = ["CHAIN", "table_text"]

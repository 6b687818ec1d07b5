"""Scans with an operator of the user's as the recurrences that they are: `p.m` is `combine` of `p.m` a step ago and this step's value.

In:   a checked body, the operators of its program.
Out:  the same body; for each `p = scan(Op, m = …)` of a cell hidden values `p.m.in` (what the step brings, where it is more than a name)
      and `p.m` (all so far, which starts as the identity), and in `Value.scan` what was written, for those who put steps together in
      another order. A read of `p.m` is a read of that value.
Refuses: nothing: a scan in a block or a stack, or with a `combine` that is more than elementwise functions, sums and contractions,
      stays what it is (`why_not`) and runs one step after the other by `runtime.layers.scan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Axes, Expr
from seqc.compiler.lower.reference.reshaping import ordered, scan_axes


def unfolded(body: spec.Body, operators: Mapping[str, spec.Operator]) -> spec.Body:
    """The body with recurrences in place of scans."""
    scans = {v.name: v for v in body.values if isinstance(v.value, x.Scan) and not why_not(body, v, operators)}
    if not scans:
        return body
    made: dict[str, list[spec.Value]] = {n: values_of(body, v, operators) for n, v in scans.items()}
    axes = {v.name: v.axes for values in made.values() for v in values}
    seen: dict[int, tuple[Expr, Expr]] = {}

    def reading(e: Expr) -> Expr:
        held = seen.get(id(e))
        if held is not None:
            return held[1]
        out = x.rebuild(e, reading)
        if isinstance(out, x.Read) and out.name in scans and out.field_:
            name = f"{out.name}.{out.field_}"
            out = replace(out, name=name, field_="", axes=out.axes if out.moves else axes[name] or ())
        seen[id(e)] = (e, out)
        return out

    values: list[spec.Value] = []
    for v in body.values:
        values += [_each(one, reading) for one in made.get(v.name, [v])]
    rest = {f.name: _inside(getattr(body, f.name), reading) for f in fields(body) if f.name != "values"}
    return replace(body, values=tuple(values), **rest)


def why_not(body: spec.Body, v: spec.Value, operators: Mapping[str, spec.Operator]) -> str:
    """Why a scan is left as it is; "" where it is a recurrence."""
    assert isinstance(v.value, x.Scan)
    op = operators[v.value.operator]
    if not body.topology or len(body.topology) > 1:
        return "it is the scan of a block"
    if v.level:
        return "a level is around it"
    for e in (*(e for _, e in op.combine), *op.identity):
        for n in x.walk(e):
            if not isinstance(n, x.Read | x.Literal_ | x.Apply | x.Expand | x.Contract | x.Reduce):
                return f"{op.name} is made of {type(n).__name__.lower()}"
    if any(e.axes for e in op.identity):
        return f"the identity of {op.name} has axes"
    return "" if names_of(body, v.value, op) is not None else f"an axis of {op.name} stands for two"


def names_of(body: spec.Body, e: x.Scan, op: spec.Operator) -> dict[str, str] | None:
    """What the operator's axes are called here; None where one has two names."""
    lead = scan_axes(op, e, body.chain)
    found: dict[str, str] = {}
    for (_, axes, _), (_, value) in zip(op.fields, ordered(op, e), strict=True):
        own = [a for a in value.axes if a != body.chain and a not in lead]
        if len(own) != len(axes):
            continue
        for old, new in zip(axes, own, strict=True):
            if found.setdefault(old, new) != new:
                return None
    return found


def values_of(body: spec.Body, v: spec.Value, operators: Mapping[str, spec.Operator]) -> list[spec.Value]:
    """The values that a scan is."""
    e = v.value
    assert isinstance(e, x.Scan)
    op = operators[e.operator]
    lead, names = scan_axes(op, e, body.chain), names_of(body, e, op) or {}
    axes = {f: (*lead, *(names.get(a, a) for a in own)) for f, own, _ in op.fields}
    kinds = {f: kind for f, _, kind in op.fields}
    out: list[spec.Value] = []
    elements: dict[str, Expr] = {}
    for f, value in ordered(op, e):
        plain = isinstance(value, x.Literal_) or isinstance(value, x.Read) and not value.moves
        if not plain:
            name = f"{v.name}.{f}.in"
            out.append(replace(v, name=name, kind="hidden", axes=value.axes, type=value.type, value=value, owner=v.name, doc="", text=""))
            value = x.Read(name, axes=value.axes, type=value.type, span=value.span)
        elements[f] = value
    here = [f for f, _ in op.combine]
    lag = x.Move("lag", body.chain, x.Literal_(1, type="int"), True)
    before = {f: x.Read(f"{v.name}.{f}", moves=(lag,), axes=axes[f], type=kinds[f], span=e.span) for f in here}
    now = [(made, x.Read(f"{v.name}.{f}", axes=axes[f], type=kinds[f], span=e.span)) for f, made in op.combine]
    told = spec.Scanned(
        v.name,
        op.name,
        tuple(f"{v.name}.{f}" for f in here),
        tuple(elements[f] for f in here),
        tuple(op.identity[[n for n, _, _ in op.fields].index(f)] for f in here),
        tuple(f"{op.sides[0]}.{f}" for f in here),
        tuple(f"{op.sides[1]}.{f}" for f in here),
        tuple(axes[f] for f in here),
        tuple(_spelled(made, lead, names, {}, []) for _, made in op.combine),
    )
    for f, made in op.combine:
        given: dict[str, Expr] = {f"{op.sides[0]}.{n}": before[n] for n in here} | {f"{op.sides[1]}.{n}": elements[n] for n in here}
        value = _spelled(made, lead, names, given, [(n, r) for n, r in now if n != made and not isinstance(n, x.Read | x.Literal_)])
        if value is made or not isinstance(value, x.Apply | x.Contract | x.Reduce | x.Expand):
            value = x.Expand(value, axes=axes[f], type=kinds[f], span=e.span)
        start = told.identity[here.index(f)]
        one = replace(v, name=f"{v.name}.{f}", kind="hidden", axes=axes[f], type=kinds[f], start=start, value=value)
        out.append(replace(one, owner=v.name, scan=told, doc=""))
    return out


def _spelled(e: Expr, lead: Axes, names: Mapping[str, str], given: Mapping[str, Expr], now: Sequence[tuple[Expr, Expr]]) -> Expr:
    """An expression of `combine` with the scan's axes, reads in place of its operands and of what is `now` computed already; a part
    that stands in several places stays one."""
    seen: dict[int, Expr] = {}

    def axes(of: Axes) -> Axes:
        return (*lead, *(names.get(a, a) for a in of))

    def spelled(n: Expr) -> Expr:
        if id(n) in seen:
            return seen[id(n)]
        for other, read in now:
            if type(other) is type(n) and other == n:
                seen[id(n)] = read
                return read
        out: Expr
        if isinstance(n, x.Read):
            out = given.get(n.name) or replace(n, axes=axes(n.axes))
        elif isinstance(n, x.Literal_):
            out = n
        else:
            out = x.rebuild(n, spelled)
            have = {a for c in _children(out) for a in c.axes}
            if isinstance(out, x.Contract | x.Reduce):
                out = replace(out, over=tuple(names.get(a, a) for a in out.over))
                have -= set(out.over)
            every = dict.fromkeys((*lead, *axes(n.axes), *have))
            out = replace(out, axes=tuple(a for a in every if a in have or isinstance(out, x.Expand)))
        seen[id(n)] = out
        return out

    return spelled(e)


def _children(e: Expr) -> list[Expr]:
    """What an expression is made of."""
    found: list[Expr] = []

    def note(c: Expr) -> Expr:
        found.append(c)
        return c

    x.rebuild(e, note)
    return found


def _each(node: Any, f: Any) -> Any:
    """A dataclass with a function applied to every expression in it."""
    changes = {fl.name: new for fl in fields(node) if (new := _inside(old := getattr(node, fl.name), f)) is not old}
    return replace(node, **changes) if changes else node


def _inside(v: Any, f: Any) -> Any:
    if isinstance(v, Expr):
        return f(v)
    if isinstance(v, tuple):
        new = tuple(_inside(i, f) for i in v)
        return v if all(a is b for a, b in zip(new, v, strict=True)) else new
    if is_dataclass(v) and not isinstance(v, type) and type(v).__module__ == spec.__name__:
        return _each(v, f)
    return v


__all__ = ["unfolded", "why_not"]

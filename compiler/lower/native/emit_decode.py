"""One step as one compiled call: the whole body, its layers among it, in one kernel that runs a single step.

In:   a body whose every equation can be traced, and what its state is made of.
Out:  the C function and where its operands come from, as plain data for `runtime.native.decode`; None where the body is not like
      that: it calls others, keeps more than the values of the step before, or needs something that is made outside of kernels.
Keeps: the meaning of `one_step`. It has no derivative: where gradients are wanted the step goes the other way.

    operands   ("input", name), ("state", field), ("param", path), ("size", axis), ("number", tree), each with the order in
               which the kernel has the axes
    rows       for each out the order of its axes, in which the caller gets them
    carries    for each field of the state the result it is
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.kernels.region import Chooser
from seqc.compiler.lower.kernels.trace import Source, Unfit
from seqc.compiler.lower.native.emit import Function, made


@dataclass(frozen=True, slots=True)
class Decode:
    """The step of one body."""

    function: Function
    operands: tuple[tuple[str, Any, tuple[int, ...]], ...]
    rows: tuple[tuple[int, ...], ...]
    carries: tuple[tuple[str, tuple[int, ...]], ...]

    def lines(self, name: str) -> list[str]:
        """The constant in the generated module."""
        out = [f"{name}.DECODE = ("]
        out += [f"    {line + chr(10)!r}" for line in self.function.text.rstrip().split("\n")]
        out += ["    '',", f"    {self.function.about!r},", "    (", *(f"        {o!r}," for o in self.operands), "    ),"]
        return [*out, f"    {self.rows!r},", f"    {self.carries!r},", ")"]


def decode(
    body: spec.Body, chain: str, names: Iterable[str], fields: Mapping[str, tuple[str, tuple[str, ...]]], number: int
) -> Decode | None:
    """The step of a body; `names` are its equations, `fields` gives each carried name its field and the field's axes."""
    inside = frozenset(names)
    outs = tuple(body.outs)
    table = body.table
    if not chain or not outs or not inside or any(table[n].width not in ("", "f32") or table[n].type != "real" for n in (*outs, *fields)):
        return None
    chooser = Chooser(body, chain, [], outs, first=number)
    chooser.loops, chooser.whole = inside, True
    try:
        form, rows, pasts = chooser.form(inside, tuple(v.name for v in body.values if v.name in inside), (), set(outs), False)
    except Unfit:
        return None
    if [r.name for r in rows] != sorted(outs, key=[v.name for v in body.values].index) or any(p.lag > 1 for p in pasts):
        return None
    if {p.name for p in pasts} != set(fields):
        return None
    operands = [_operand(table, chain, o.kind, o.var.axes, s, fields) for o, s in zip(form.kernel.operands, form.sources, strict=True)]
    if any(o is None for o in operands):
        return None
    by_name = {r.name: r for r in rows}
    places = {r.name: i for i, r in enumerate(rows)}
    ordered = tuple((places[n], *_order(by_name[n].axes, _axes(table[n], chain))) for n in outs)
    carries = tuple((fields[p.name][0], _order(p.axes, fields[p.name][1])) for p in pasts)
    return Decode(made(form.kernel, adjoint=False).forward, tuple(o for o in operands if o is not None), ordered, carries)


def _axes(v: spec.Value, chain: str) -> tuple[str, ...]:
    """A value's axes without time."""
    return tuple(a for a in v.axes or () if a != chain)


def _order(have: tuple[str, ...], want: tuple[str, ...]) -> tuple[int, ...]:
    """Where each axis of `want` lies in `have`."""
    return tuple(have.index(a) for a in want)


def _operand(
    table: Mapping[str, spec.Value],
    chain: str,
    kind: str,
    axes: tuple[str, ...],
    source: Source,
    fields: Mapping[str, tuple[str, tuple[str, ...]]],
) -> tuple[str, Any, tuple[int, ...]] | None:
    """Where one operand comes from; None where it has to be computed."""
    if source.part:
        return None
    if source.what == "size":
        return ("size", source.name, ())
    if source.what == "state":
        field, have = fields[source.name]
        return ("state", field, _order(have, axes))
    e = source.expr
    if kind == "number":
        tree = _number(table, e) if e is not None else None
        return None if tree is None else ("number", tree, ())
    if not isinstance(e, x.Read) or e.moves or e.field_ or e.name not in table or e.type != "real":
        return None
    v = table[e.name]
    have = _axes(v, chain)
    if set(have) != set(axes):
        return None
    if v.kind == "input" and v.value is None and kind in ("step", "run"):
        return ("input", e.name, _order(have, axes))
    if v.kind == "param" and kind == "once" and not v.level:
        return ("param", e.name, _order(have, axes))
    return None


def _number(table: Mapping[str, spec.Value], e: x.Expr) -> Any:
    """A number known when the module is built, as (what, …): a number, ("size", dim), ("const", name), (function, …)."""
    match e:
        case x.Literal_(value=value) if isinstance(value, int | float):
            return float(value)
        case x.DimSize(dim=dim):
            return ("size", dim)
        case x.Read(name=name, moves=(), field_="") if name in table and table[name].kind == "const" and not table[name].axes:
            return ("const", name)
        case x.Apply(fn=fn, args=args) if fn in ARITHMETIC:
            parts = [_number(table, a) for a in args]
            return None if any(p is None for p in parts) else (fn, *parts)
    return None


ARITHMETIC = frozenset("add sub mul div pow neg sqrt min max".split())

__all__ = ["Decode", "decode"]

"""Puts a checked body in the form that this lowering works on.

In:   a checked body.   Out:  the same body, with scans unfolded (`unfold`), with the level that each state of a stack steps along, and
with the statistics of `batchnorm` as buffers among its values.   Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.unfold import unfolded


def prepared(body: spec.Body, operators: Mapping[str, spec.Operator]) -> spec.Body:
    """The body as the lowering reads it. `operators`: those of its program."""
    body = unfolded(body, operators)
    values = [replace(v, over_levels=stepped(body, v)) if v.level and v.kind == "state" else v for v in body.values]
    table = {v.name: v for v in values}
    outside = {
        r.name
        for v in values
        if v.over_levels and v.start is not None
        for r in x.reads(v.start)
        if r.name in table and table[r.name].owner == v.name and table[r.name].level == v.level
    }
    values = [replace(v, level=v.level[:-1]) if v.name in outside else v for v in values]
    have = {v.name for v in values}
    out: list[spec.Value] = []
    for v in values:
        out.append(v)
        out += [b for b in statistics(v) if b.name not in have]
    return replace(body, values=tuple(out))


def stepped(body: spec.Body, v: spec.Value) -> str:
    """The level that a state steps along: where it is read at an earlier level; "" where it steps along the chain."""
    if v.over_levels:
        return v.over_levels
    lagged = False
    for other in body.values:
        for e in (other.value, other.start):
            for r in x.reads(e) if e is not None else ():
                if r.name != v.name:
                    continue
                for m in r.moves:
                    if m.axis in v.level and (m.kind == "level" or m.kind == "family" and m.past):
                        return m.axis
                    lagged = lagged or m.kind in ("lag", "window", "rename") and m.axis not in v.level
    if lagged or v.start is None or v.learned:
        return ""
    early = {b.name for b in body.values if b.kind in ("param", "const") or b.once}
    return v.level[-1] if any(r.name not in early for r in x.reads(v.start)) else ""


def statistics(v: spec.Value) -> Iterator[spec.Value]:
    """The buffers of the batch norms in an equation."""
    if v.value is None:
        return
    for e in x.walk(v.value):
        if isinstance(e, x.Norm) and e.fn == "batchnorm":
            for part, start in (("mean", 0), ("var", 1)):
                one = x.Literal_(start, type="int", span=e.span)
                axes = tuple(a for a in e.arg.axes if a[:1].isupper())
                yield spec.Value(f"{e.state}.{part}", "param", axes, start=one, fixed=True, level=v.level, owner=v.name, span=e.span)

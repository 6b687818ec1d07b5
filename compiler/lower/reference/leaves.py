"""Expressions without elementwise arithmetic: literals, sizes, numbers of positions, copies under other axes, draws and dropout.

Literals are re-rendered from the parsed value, never copied.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference import relations
from seqc.compiler.lower.reference.emitter import Emitter, rule
from seqc.compiler.lower.reference.layout import (
    ADD,
    ATOM,
    CHAIN,
    MUL,
    UNARY,
    Code,
    Layout,
    aligned,
    permuted,
    union,
)
from seqc.compiler.lower.reference.scope import Scope


def literal(v: int | float | bool | str) -> str:
    """A literal of the spec in Python: re-rendered from the parsed value, never copied."""
    if isinstance(v, bool | int):
        return repr(v)
    if isinstance(v, float):
        return "math.inf" if v == float("inf") else "-math.inf" if v == float("-inf") else "math.nan" if v != v else repr(v)
    return repr(v)


@rule(x.Literal_)
def _literal(m: Emitter, e: x.Literal_, s: Scope) -> Code:
    text = literal(e.value)
    return Code(text, Layout(), e.type, UNARY if text.startswith("-") else ATOM, number=True)


@rule(x.NotGiven)
def _not_given(m: Emitter, e: x.NotGiven, s: Scope) -> Code:
    return Code("None", Layout(), e.type, number=True)


@rule(x.DimSize)
def _dim(m: Emitter, e: x.DimSize, s: Scope) -> Code:
    return Code(m.dim(e.dim), Layout(), "int", number=True)


@rule(x.Number)
def _number(m: Emitter, e: x.Number, s: Scope) -> Code:
    loop = s.level_loop(e.of)
    if loop is not None and not e.axes:
        return Code(loop.number, Layout(), "int", number=True)
    if e.of == m.chain:
        return relations.step_number(m, s)
    i = m.indices.get(e.of)
    if i is not None and i.of == m.chain and m.chain:
        return relations.numbers(m, e.of, s)
    if e.of == "batch":
        return Code("torch.arange(run.batch, device=run.device)", Layout(True, False, ()), "int")
    lv = next((lv for lv in m.body.levels if lv.name == e.of or i is not None and i.low is None and lv.name == i.of), None)
    ends = i.low if i is not None and i.low is not None else lv.low if lv is not None else None
    low = m.emit(ends, s) if ends is not None else Code("0", number=True)
    if low.number and low.text == "0":
        text = f"torch.arange({m.size(e.of, s)}, device=run.device)"
    else:
        text = f"torch.arange({m.size(e.of, s)}, device=run.device) + {low.at_least(MUL)}"
        return Code(text, Layout(False, False, (e.of,)), "int", ADD)
    return Code(text, Layout(False, False, (e.of,)), "int")


def even(m: Emitter, axis: str, what: str, line: int) -> None:
    """A line that refuses sequences of several lengths along an axis, for what has no meaning over padding."""
    if m.mode in ("build", "start") or f"even {axis}" in m.root.known:
        return
    m.root.known[f"even {axis}"] = Code("")
    m.root.block.add(f"run.even({axis!r}, {f'{what} ({m.source}:{line})'!r})")


@rule(x.Length)
def _length(m: Emitter, e: x.Length, s: Scope) -> Code:
    if e.of[:1].isupper() or "." in e.of or e.of in m.internal:
        return Code(m.size(e.of, s), Layout(), "int", number=True)
    i = m.indices.get(e.of)
    if m.extents == "whole" and not (i is not None and (i.static or i.of[:1].isupper())) and e.of not in m.axis_sizes:
        return Code(f"run.whole({e.of!r})", Layout(), "int", number=True)
    if m.extents or i is not None and (i.static or i.of[:1].isupper()):
        if not (i is not None and (i.static or i.of[:1].isupper())):
            even(m, e.of, f"an axis made of len({e.of})", e.span.line)
        return Code(m.size(e.of, s), Layout(), "int", number=True)
    if e.of in m.axis_sizes:
        even(m, e.of, f"len({e.of})", e.span.line)
        return Code(m.axis_sizes[e.of], Layout(), "int", number=True)
    return Code(f"run.count({e.of!r})", Layout(True), "int")


@rule(x.Expand)
def _expand(m: Emitter, e: x.Expand, s: Scope) -> Code:
    code = m.emit(e.arg, s)
    axes = tuple(a for a in e.axes if a != m.chain)
    if code.number:
        return code
    target = Layout(code.layout.batch, code.layout.chain or (m.chain in e.axes and s.chain), axes)
    return m.expanded(code, target, s, e.type)


@rule(x.Rename)
def _rename(m: Emitter, e: x.Rename, s: Scope) -> Code:
    code = m.emit(e.arg, s)
    if code.number:
        return code
    to = dict(e.pairs)
    for old, new in e.pairs:
        if new not in m.internal and old in m.axis_sizes:
            m.axis_sizes.setdefault(new, m.axis_sizes[old])
    layout = code.layout
    if m.chain in to and layout.chain:
        # the chain under another name: an ordinary axis now
        return replace(code, layout=Layout(layout.batch, False, (to[m.chain], *(to.get(a, a) for a in layout.axes))))
    new_axes = tuple(to.get(a, a) for a in layout.axes)
    if m.chain and m.chain in new_axes and s.chain:
        have = (*(("*",) if layout.batch else ()), *(CHAIN if a == m.chain else a for a in new_axes))
        want = Layout(layout.batch, True, tuple(a for a in new_axes if a != m.chain))
        return replace(code, text=permuted(code.at_least(ATOM), have, want.names), layout=want, level=ATOM)
    return replace(code, layout=Layout(layout.batch, layout.chain, new_axes))


@rule(x.OneHot)
def _onehot(m: Emitter, e: x.OneHot, s: Scope) -> Code:
    code = m.emit(e.arg, s)
    if code.number:
        code = Code(f"torch.as_tensor({code.text}, device=run.device)", Layout(), "int")
    size = m.size(e.axis, s)
    layout = Layout(code.layout.batch, code.layout.chain, (*code.layout.axes, e.axis))
    return Code(f"arrays.onehot({code.text}, {size}, run.dtype)", layout, "real")


@rule(x.Draw)
def _draw(m: Emitter, e: x.Draw, s: Scope) -> Code:
    axes = tuple(a for a in e.axes if a != m.chain)
    stepwise = s.chain and (bool(m.body.topology) or m.chain in e.axes)
    owner = m.table.get(m.equation)
    outside = m.mode in ("build", "start") or owner is not None and (owner.once or owner.home == "call")
    shared = owner is not None and owner.home == "call"
    layout = Layout(m.mode != "build" and not shared, stepwise and not outside, axes)
    args = [m.emit(a, s) for a in e.args]
    texts = [aligned(a, union([a.layout, layout], layout.axes), 0) for a in args]
    shape = m.sizes(layout, s)
    comma = "," if len(layout.names) == 1 else ""
    dtype = m.dtype("complex") if e.type == "complex" else "run.dtype"
    text = f"initialise.{e.fn}(({shape}{comma}), {dtype}, run.device{''.join(', ' + t for t in texts)})"
    return Code(text, layout, e.type)


@rule(x.Dropout)
def _dropout(m: Emitter, e: x.Dropout, s: Scope) -> Code:
    code = m.short(m.emit(e.arg, s), f"{m.equation}_kept", s)
    rate = m.emit(e.rate, s)
    return replace(code, text=f"layers.dropout({code.text}, {rate.text}, self.training)", level=ATOM)

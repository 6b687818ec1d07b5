"""Which bodies read later steps, and `require causal` is proved.

A relation that may hold later steps is allowed (bidirectional attention in a cell is a map over the run) and makes the cell not
stream; `require causal` refuses it (SEQ0309), and whatever else along the chain is not shown to be at or before this step: a
reduction over the run, a reversed call, a call of a body that looks ahead itself.
"""

from __future__ import annotations

from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec


def check(body: spec.Body, sink: Sink, ahead: set[str]) -> None:
    """Proves `require causal`; adds the body to those that look ahead where it is one. Callees come before their callers."""
    found = _place(body, ahead)
    if found is None:
        return
    ahead.add(body.key)
    wanted = next((r for r in body.requirements if r.word == "causal"), None)
    if wanted is None:
        return
    name, span, index, why = found
    notes = [Note("required here", wanted.span)]
    if index is not None:
        notes.append(Note("this relation may hold later steps", index.span))
    sink.report(
        "SEQ0309",
        f"{body.name} is required to be causal, and `{name}` looks ahead",
        span,
        label=why,
        notes=tuple(notes),
        help=f"index {index.name} of {index.of} where {index.name} <= {index.of}" if index is not None else "",
    )


def where(body: spec.Body, ahead: set[str]) -> tuple[int, str] | None:
    """The line at which a body looks ahead along its chain, and why; `ahead` are the bodies it may call that do."""
    found = _place(body, ahead)
    return None if found is None else (found[1].line, f"`{found[0]}` looks ahead, {found[3]}")


def _place(body: spec.Body, ahead: set[str]) -> tuple[str, Span, spec.Index | None, str] | None:
    """The first place that is not shown to be at or before this step: the value, the place, the relation, and why."""
    chain = body.chain or "t"
    indices = {i.name: i for i in body.indices}
    later = {n for n, i in indices.items() if (i.ahead or i.whole) and _root(indices, n) == chain}
    for v in body.values:
        for part in (v.value, v.start):
            for n in x.walk(part) if part is not None else ():
                if isinstance(n, x.Number) and n.of in later:
                    return v.name, n.span, indices[n.of], f"`{n.of}` may be a later step"
                why = _looks_ahead(body, n, chain, ahead)
                if why:
                    return v.name, n.span, None, why
    return None


def _root(indices: dict[str, spec.Index], name: str) -> str:
    for _ in range(64):
        if name not in indices or not indices[name].of:
            break
        name = indices[name].of
    return name


def _looks_ahead(body: spec.Body, n: x.Expr, chain: str, ahead: set[str]) -> str:
    """Why a node looks ahead along the chain; empty where it does not."""
    match n:
        case x.Invoke():
            return _call(n, chain, ahead)
        case x.Read() if not body.topology and any(m.kind == "gather" and m.axis == chain and not m.past for m in n.moves):
            return "nothing shows that this position is at or before this step"
        case x.Along(fn="cumsum"):
            return ""
        case x.Reduce(over=over) | x.Along(over=over) | x.Norm(over=over) | x.Contract(over=over) if chain in over:
            return f"it works on the whole of `{chain}`"
        case x.Conv(over=over, pad=pad) if chain in over and pad != "causal":
            return f"it is padded on both sides of `{chain}`; without `pad` it is causal"
        case x.GatherAt(places=places) if any(axis == chain for axis, _ in places):
            return "nothing shows that this position is at or before this step"
        case x.Solve(over=over) | x.Eigh(over=over) if over == chain:
            return f"it works on the whole of `{chain}`"
    return ""


def _call(n: x.Invoke, chain: str, ahead: set[str]) -> str:
    if n.expansion is not None:
        return ""
    if any(there == chain and turned for _, there, turned in n.along):
        return f"it runs along `{chain}` backwards"
    whole = any(chain in a.value.axes for a in n.arguments) and chain not in n.mapped
    if n.callee.key in ahead and (whole or n.inline):
        return "what is called looks ahead"
    if n.callee.extern and any(chain in a.value.axes for a in n.arguments) and chain not in n.mapped:
        return "nothing is known of what is called"
    return ""

"""What a program costs, as exact polynomials of dims: parameters, state, arithmetic and bytes for each token.

In:  a step graph, its components' names and buffers, a way to ask for the cost of a called body.   Out: a `Cost`.
A multiply-add counts as two operations, an elementwise function as one, a norm as four for each entry, a softmax as three; the
backward pass as twice the forward one. An axis along which a block streams counts as 1 (costs are per token).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from seqc.compiler.analysis.extent import BYTES, count, repeats, size, width
from seqc.compiler.analysis.streaming import reached, time_axis
from seqc.compiler.graph.sizes import polynomial
from seqc.compiler.graph.table import number_of, postorder
from seqc.compiler.ir.expr import (
    Along,
    Apply,
    Contract,
    Conv,
    DimSize,
    Dropout,
    Eigh,
    Expr,
    GatherAt,
    Invoke,
    Length,
    Norm,
    Reduce,
    Scan,
    Solve,
)
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.poly import Poly
from seqc.compiler.ir.verdict import Buffer, Cost

Ask = Callable[[Invoke], Cost | None]


def cost_of(graph: StepGraph, carried: Iterable[str], buffers: tuple[Buffer, ...], ask: Ask) -> Cost:
    """The cost of one body; of called bodies what `ask` says, with the call's sizes put in."""
    ones = frozenset([time_axis(graph)] if not graph.topology else [])
    parameters, state, flops, moved = Poly(), Poly(), Poly(), Poly()
    for entry in graph.entries.values():
        if entry.kind == "param" or entry.learned:
            parameters = parameters + count(graph, entry.axes) * repeats(graph, entry, weights=True)
        if entry.kind in ("input", "draw") and not entry.once:
            moved = moved + count(graph, entry.axes, ones) * width(entry)
    inputs = moved
    outs = sum((count(graph, graph.entries[o].axes, ones) * width(graph.entries[o]) for o in graph.outs), Poly())
    for name in dict.fromkeys(carried):
        entry = graph.entries[name]
        if isinstance(entry.node, Scan):
            for _, v in entry.node.fields:
                state = state + count(graph, v.axes, ones) * repeats(graph, entry) * BYTES.get(v.type, 4)
            continue
        state = state + count(graph, entry.axes, ones) * repeats(graph, entry) * width(entry)
    for b in buffers:
        entry = graph.entries[b.name]
        steps = b.steps if b.steps is not None else Poly.of(f"len({graph.chain or time_axis(graph)})")
        state = state + count(graph, b.axes, ones) * steps * repeats(graph, entry) * width(entry)
    seen: set[int] = set()
    needed = set(reached(graph)) | {n for n, e in graph.entries.items() if e.kind == "state"}
    for name, entry in graph.entries.items():
        if entry.node is None:
            continue
        times = repeats(graph, entry)
        for e in postorder([entry.node], seen):
            seen.add(id(e))
            if isinstance(e, Invoke):
                inner = ask(e)
                if inner is not None:
                    more = _called(graph, e, inner, ones)
                    parameters = parameters + more.parameters * repeats(graph, entry, weights=True)
                    if name in needed:
                        state = state + more.state_bytes * times
                        flops = flops + more.step_flops * times
            elif name in needed:
                flops = flops + _flops(graph, e, ones) * times
    step_bytes = parameters * 4 + state * 2 + inputs + outs
    return Cost(parameters, state, flops, step_bytes, flops * 3, inputs * 3 + outs * 2)


def _called(graph: StepGraph, e: Invoke, inner: Cost, ones: frozenset[str]) -> Cost:
    """A callee's cost in the caller's dims, times the positions it is mapped over or runs along beside the time axis."""
    sizes = {d: polynomial(v, graph.dims) or Poly.of(f"{e.label}.{d}") for d, v in e.dims}
    times = Poly.of(1)
    for a in e.mapped:
        times = times * size(graph, a, ones)
    steps = Poly.of(1)
    for _, a, _ in e.along:
        steps = steps * size(graph, a, ones)
    own = size(graph, e.own) if e.own else Poly.of(1)

    def put(p: Poly) -> Poly:
        try:
            return p.compose(sizes)
        except (ValueError, ZeroDivisionError):
            return Poly.of(f"cost of {e.label}")

    work = put(inner.step_flops) * times * steps
    return Cost(put(inner.parameters) * own, put(inner.state_bytes) * times, work, Poly(), work * 3, Poly())


def _flops(graph: StepGraph, e: Expr, ones: frozenset[str]) -> Poly:
    def n(axes: Iterable[str]) -> Poly:
        return count(graph, axes, ones)

    match e:
        case Apply():
            if any(isinstance(a, (DimSize, Length)) or number_of(a) is not None for a in e.args) and not e.axes:
                return Poly()
            return n(e.axes) * max(len(e.args) - 1, 1)
        case Contract():
            return n((*e.axes, *e.over)) * 2
        case Reduce():
            return n(a for a in e.arg.axes if a != "batch")
        case Along():
            return n(e.axes) * 3
        case Norm():
            return n(e.axes) * 4
        case Conv():
            out = Poly()
            for kernel, pairs in zip(e.kernels, e.mixed, strict=True):
                inner = tuple(a for _, a in pairs)
                out = out + n(e.axes) * n(inner) * _taps(graph, e, kernel) * 2
            return out
        case Solve():
            k = size(graph, e.over, ones)
            return n(e.matrix.axes) * k
        case Eigh():
            return n(e.matrix.axes) * size(graph, e.over, ones) * 9
        case GatherAt() | Dropout():
            return n(e.axes)
        case Scan():
            return n(e.axes) * 2
    return Poly()


def _taps(graph: StepGraph, e: Conv, kernel: Expr) -> Poly:
    out = Poly.of(1)
    for _ in e.over:
        out = out * (polynomial(e.size, graph.dims) or Poly.of(1))
    return out

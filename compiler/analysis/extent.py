"""How many positions an axis has, as a polynomial of base dims; and how many steps back a read reaches.

In:  a step graph.   Out: `Poly`s. The chain a body runs along counts as 1 (everything is per step); an index whose length only
the run knows is a symbol of its own name; a bounded relation has its bound plus this step.
"""

from __future__ import annotations

from collections.abc import Iterable

from seqc.compiler.graph.sizes import polynomial
from seqc.compiler.graph.table import postorder
from seqc.compiler.ir.expr import Apply, Conv, DimSize, Expr, Literal_, Number
from seqc.compiler.ir.graph import Entry, StepGraph
from seqc.compiler.ir.poly import Poly

BYTES = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "bool": 1, "int": 8, "complex": 8}


def size(graph: StepGraph, axis: str, ones: frozenset[str] = frozenset()) -> Poly:
    """The number of positions of `axis`; 1 for the axes in `ones` and for those the body runs along."""
    if axis in ones or any(axis in f.axes for f in graph.topology) or axis == "batch":
        return Poly.of(1)
    if axis in graph.dims:
        return polynomial(DimSize(axis), graph.dims) or Poly.of(axis)
    index = graph.indices.get(axis)
    if index is None:
        base = axis.split("~", 1)[0].rstrip("'")
        return size(graph, base, ones) if base != axis and base in graph.dims else Poly.of(axis)
    if index.low is not None and index.high is not None:
        low, high = polynomial(index.low, graph.dims), polynomial(index.high, graph.dims)
        return high - low + 1 if low is not None and high is not None else Poly.of(axis)
    if index.of and index.where is None and index.of in graph.dims:
        return size(graph, index.of, ones)
    if index.bound is not None:
        bound = polynomial(index.bound, graph.dims)
        return bound + 1 if bound is not None else Poly.of(axis)
    return Poly.of(axis)


def count(graph: StepGraph, axes: Iterable[str], ones: frozenset[str] = frozenset()) -> Poly:
    """The number of entries of a value with these axes."""
    out = Poly.of(1)
    for a in axes:
        out = out * size(graph, a, ones)
    return out


def repeats(graph: StepGraph, entry: Entry, *, weights: bool = False) -> Poly:
    """How often a value inside stacks and rounds exists; own weights only for each level of a stack."""
    out = Poly.of(1)
    for level in entry.level:
        lv = graph.levels.get(level)
        if lv is None or weights and lv.kind == "rounds":
            continue
        low, high = polynomial(lv.low, graph.dims), polynomial(lv.high, graph.dims)
        out = out * (high - low + 1 if low is not None and high is not None else Poly.of(f"levels of {lv.name}"))
    return out


def width(entry: Entry) -> int:
    """Bytes of one number of a value: as declared, else 4 for a real, 8 for a complex one or an int."""
    if entry.width in BYTES:
        return BYTES[entry.width]
    return BYTES.get(entry.type, 4)


def steps_back(graph: StepGraph, e: Expr) -> Poly | None:
    """The largest value of a step count made of numbers, dims and positions; None where no bound is seen."""
    memo: dict[int, tuple[Poly, Poly] | None] = {}
    for n in postorder([e]):
        memo[id(n)] = _bounds(graph, n, memo)
    found = memo[id(e)]
    return found[1] if found is not None else None


def _bounds(graph: StepGraph, n: Expr, memo: dict[int, tuple[Poly, Poly] | None]) -> tuple[Poly, Poly] | None:
    if isinstance(n, (Literal_, DimSize)):
        p = polynomial(n, graph.dims)
        return (p, p) if p is not None else None
    if isinstance(n, Number):
        index = graph.indices.get(n.of)
        if index is not None and index.low is not None and index.high is not None:
            low, high = polynomial(index.low, graph.dims), polynomial(index.high, graph.dims)
            return (low, high) if low is not None and high is not None else None
        if n.of in graph.dims:
            return Poly(), size(graph, n.of) - 1
        return None
    if isinstance(n, Apply) and n.fn in ("add", "sub", "neg", "mul"):
        parts = [memo[id(a)] for a in n.args]
        if any(p is None for p in parts):
            return None
        v = [p for p in parts if p is not None]
        if n.fn == "add":
            return sum((a for a, _ in v), Poly()), sum((b for _, b in v), Poly())
        if n.fn == "neg":
            return -v[0][1], -v[0][0]
        if n.fn == "sub":
            return v[0][0] - v[1][1], v[0][1] - v[1][0]
        if len(v) == 2 and all(a == b or a == Poly() for a, b in v):  # nothing negative: dims and counts
            return v[0][0] * v[1][0], v[0][1] * v[1][1]
    return None


def window(graph: StepGraph, e: Conv) -> Poly | None:
    """How many earlier steps a causal convolution reads."""
    taps, gap = polynomial(e.size, graph.dims), polynomial(e.dilation, graph.dims)
    return (taps - 1) * gap if taps is not None and gap is not None else None

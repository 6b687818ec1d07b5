"""How a read reaches its value: at this step, at earlier ones, at another level, ahead.

In:  a step graph and a `Read` of it.   Out: an `Access`.
A lag is what cuts the graph (language.md, section 2): an index provably before this step on the body's topology, a read at
`pred` on a tree or dag, a level count, `call-1`.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.compiler.graph.printer import show
from seqc.compiler.ir.expr import Apply, Conv, Expr, Length, Move, Number, Read
from seqc.compiler.ir.graph import StepGraph


@dataclass(frozen=True, slots=True)
class Access:
    """`same`: this step's value is (also) read. `past`: earlier steps are. `level`: an earlier level of the same step.
    `call`: the value of the call before. `ahead`: later steps may be. `key` tells lags of one name apart."""

    same: bool
    past: bool
    level: bool
    call: bool
    ahead: bool
    key: str


def access(graph: StepGraph, e: Read) -> Access:
    """What `e` reads of its value."""
    same, past, level, call, ahead = True, False, False, False, False
    keys: list[str] = []
    for m in e.moves:
        if m.kind == "lag":
            same, past = False, True
            keys.append(f"{m.axis}-{show(m.index)}")
        elif m.kind == "window":
            same, past = same and not m.past, True
            keys.append(f"{m.axis}-…")
        elif m.kind in ("pred", "succ"):
            if graph.acyclic:
                same, past = False, True
            keys.append(show(m.index))
        elif m.kind == "level":
            level = True
            keys.append(f"{m.axis}-{show(m.index)}")
        elif m.kind == "call":
            same, call = False, True
            keys.append("call-1")
        elif m.axis == graph.chain and graph.chain and m.kind in ("rename", "gather"):
            same, past = same and not m.past, True
            ahead = ahead or not m.past and _ahead(graph, m)
            keys.append(show(m.index))
    if past:
        level = False  # a state of a stack read at an earlier step and level is the past either way
    return Access(same and not level, past, level, call, ahead, ", ".join(keys))


def _ahead(graph: StepGraph, m: Move) -> bool:
    if m.kind == "rename" and isinstance(m.index, Number):
        index = graph.indices.get(m.index.of)
        return index is not None and (index.ahead or index.whole or index.where is None)
    return True


def constant_position(e: Expr) -> bool:
    """Whether a position is made of numbers and lengths only (the last one, the first one)."""
    return isinstance(e, Length) or isinstance(e, Apply) and all(constant_position(a) for a in e.args)


def history(graph: StepGraph, e: Expr) -> bool:
    """Whether a node reads earlier steps of its operands by itself: a causal convolution along the body's chain."""
    return isinstance(e, Conv) and e.pad == "causal"

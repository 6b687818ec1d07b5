"""What a step graph may hold; run after each pass.

In:  a step graph.   Out: nothing, or `IllFormed` with the first thing that is wrong (a bug in seqc, SEQ0901, never the user's).
"""

from __future__ import annotations

from seqc.compiler.graph.table import postorder
from seqc.compiler.ir.expr import Apply, Contract, Expr, Invoke, NotGiven, Read, Reduce, Rename
from seqc.compiler.ir.graph import StepGraph


class IllFormed(Exception):
    """A pass broke an invariant of the step graph."""


def verify(graph: StepGraph) -> None:
    """Checks: names exist, children are canonical and come first, no inlinable call is left, axes are distinct and contracted
    axes are there. Raises `IllFormed`."""
    number: dict[int, int] = {id(n.expr): n.number for n in graph.nodes}
    for entry in graph.entries.values():
        for root in (entry.node, entry.start):
            if root is None:
                continue
            for e in postorder([root]):
                if id(e) not in number:
                    raise IllFormed(f"{entry.name}: a node is not in the table: {type(e).__name__}")
                _node(graph, entry.name, e)
        if entry.node is not None and not isinstance(entry.node, (Invoke, NotGiven)):
            lacking = set(entry.axes) - set(entry.node.axes)
            if lacking:
                raise IllFormed(f"{entry.name}: the equation lacks the axes {sorted(lacking)}")


def _node(graph: StepGraph, name: str, e: Expr) -> None:
    if len(set(e.axes)) != len(e.axes):
        raise IllFormed(f"{name}: two axes with one name: {e.axes}")
    match e:
        case Read() if e.name not in graph.entries:
            raise IllFormed(f"{name}: reads the unknown name {e.name}")
        case Contract():
            for a in e.over:
                if a not in e.left.axes or a not in e.right.axes:
                    raise IllFormed(f"{name}: contracts over {a}, which {e.left.axes} and {e.right.axes} do not both have")
        case Reduce():
            for a in e.over:
                if a != "batch" and a not in e.arg.axes:
                    raise IllFormed(f"{name}: reduces over {a}, which is not there")
        case Rename():
            for a, _ in e.pairs:
                if a not in e.arg.axes:
                    raise IllFormed(f"{name}: renames {a}, which is not there")
        case Apply() if not e.args:
            raise IllFormed(f"{name}: {e.fn} of nothing")

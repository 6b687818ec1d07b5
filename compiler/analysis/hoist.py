"""What a component reads that does not depend on its own states: known for all steps before the scan begins.

In:  a step graph, the names of a component.   Out: names of same-step values at the border, in the order of the text.
"""

from __future__ import annotations

from seqc.compiler.analysis.components import depending, uses_of
from seqc.compiler.ir.graph import StepGraph


def hoisted(graph: StepGraph, names: tuple[str, ...]) -> tuple[str, ...]:
    """Values (not parameters, consts or inputs) that the component's equations read and that hold no state of it."""
    uses = uses_of(graph)
    inside = depending(graph, names) | set(names)
    below: set[str] = set()
    stack = list(names)
    while stack:
        n = stack.pop()
        for r in (*uses[n].same, *uses[n].level) if n in uses else ():
            if r in inside and r not in below:
                below.add(r)
                stack.append(r)
    core = below | set(names)
    border = {r for n in core for r in uses[n].same if r not in core}
    return tuple(n for n, e in graph.entries.items() if n in border and e.node is not None)

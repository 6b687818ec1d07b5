"""No value needs itself within one step.

In:   a checked body. Out: nothing. Refuses: SEQ0301, with the loop and the line to paste.
The graph has an edge a → b where b's equation reads a at this step; a read at a lag (or a level before, or through a relation
that holds earlier steps only) cuts it. A read through a relation also reads what the relation's condition reads.
"""

from __future__ import annotations

import networkx as nx

from seqc.compiler.check.context import too_many
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec


def check(body: spec.Body, sink: Sink, written: Written) -> None:
    """Reports every loop once."""
    graph = same_step_graph(body)
    table = body.table
    for component in nx.strongly_connected_components(graph):
        if too_many(sink):
            return
        first = next(iter(component))
        if len(component) == 1 and not graph.has_edge(first, first):
            continue
        inner = graph.subgraph(component)
        states = [n for n in component if table[n].kind == "state"]
        start = min(states or component, key=lambda n: table[n].span)
        loop = [start, *(v for _, v in nx.find_cycle(inner, start))] if not graph.has_edge(start, start) else [start, start]
        reader = table[loop[1]] if len(loop) > 1 else table[start]
        at = next(
            (r.span for e in (reader.value,) if e is not None for r in x.reads(e) if r.name == start and not lagged(r)),
            reader.span,
        )
        chain = body.chain or "t"
        fixed = _fix(reader, start, chain)
        notes = [Note(f"the loop: {' -> '.join(loop)}")]
        if states:
            notes.append(Note(f"`state {start}` is declared here; its value of the step before is `{start}[{chain}-1]`", table[start].span))
        sink.report(
            "SEQ0301",
            f"`{start}` needs its own value of the same step",
            at,
            label=f"this is `{start}` of the step being computed",
            notes=tuple(notes),
            help=fixed,
        )


def _fix(reader: spec.Value, name: str, chain: str) -> str:
    """The reader's line with a lag put in."""
    import re

    head, eq, tail = reader.text.partition("=")
    if not eq:
        return f"{name}[{chain}-1]"
    return head + eq + re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w\[(])", f"{name}[{chain}-1]", tail, count=1)


def lagged(r: x.Read) -> bool:
    """Whether the read is provably of an earlier step or level (or call)."""
    return any(m.past for m in r.moves)


def same_step_graph(body: spec.Body) -> nx.DiGraph:
    """Names of the body, an edge where one needs the other within a step."""
    graph = nx.DiGraph()
    relations = {i.name: i.where for i in body.indices if i.where is not None}
    graph.add_nodes_from(v.name for v in body.values)
    known = set(graph.nodes)
    for v in body.values:
        parts = [v.value] if v.value is not None else []
        if v.kind == "state" and v.over_levels and v.start is not None:
            parts.append(v.start)
        seen: set[str] = set()
        while parts:
            for n in x.walk(parts.pop()):
                if isinstance(n, x.Read) and n.name in known and not lagged(n):
                    graph.add_edge(n.name, v.name)
                if isinstance(n, x.Number) and n.of in relations and n.of not in seen:
                    seen.add(n.of)
                    parts.append(relations[n.of])
    return graph

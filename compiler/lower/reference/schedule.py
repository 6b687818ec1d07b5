"""In which loops the equations of a body are computed (loop distribution after Allen & Kennedy 1987).

In:   the equations needed, as nodes with their reads; which inputs are given.
Out:  a tree of items: a statement, a loop over the chain, a loop over a level. Names on no cycle through a lag are computed for all
      steps at once; a cycle becomes a loop over just its names. A level loop goes outside the loop over time wherever nothing above the
      stack is read inside it, so that the levels' own recurrences are loops of their own.
Refuses: SEQ0501 (a cycle of same-step reads that no loop resolves; the checker has normally said so with SEQ0301).

An edge says how far back a read goes: `lag` on the chain, and for each level shared by both ends 0 (this level), 1 (earlier levels) or
ALL (the whole family, or the last one, from elsewhere).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec

ALL = 2


@dataclass(frozen=True, slots=True)
class Edge:
    """`reader` needs `source`."""

    source: str
    reader: str
    lag: bool
    levels: tuple[tuple[str, int], ...]

    def distance(self, level: str) -> int:
        """0, 1 or ALL."""
        return dict(self.levels).get(level, 0)


@dataclass(slots=True)
class Item:
    """A statement (`name`), or a loop: `kind` is `time` or the id of a level."""

    kind: str
    name: str = ""
    inner: list[Item] = field(default_factory=list)

    def names(self) -> list[str]:
        """All statements in it."""
        return [self.name] if self.kind == "statement" else [n for i in self.inner for n in i.names()]


def chain_of(body: spec.Body) -> str:
    """The axis a body streams along: a cell's chain, a block's `t` where any value has it."""
    if body.topology:
        return body.chain
    return "t" if any("t" in (v.axes or ()) for v in body.values) or any(i.of == "t" or i.name == "t" for i in body.indices) else ""


def read_edge(body: spec.Body, chain: str, reader: spec.Value, r: x.Read, table: Mapping[str, spec.Value]) -> Edge | None:
    """The edge of one read; None for what is no equation of this body."""
    source = table.get(r.name)
    if source is None:
        return None
    lag = False
    distances = dict.fromkeys([lv for lv in source.level if lv in reader.level], 0)
    for lv in source.level:
        if lv not in reader.level:
            distances[lv] = ALL
    for m in r.moves:
        if m.kind in ("lag", "window", "gather", "rename") and m.axis == chain:
            lag = lag or m.past and bool(body.topology)
        elif m.kind == "level":
            distances[m.axis] = 1
        elif m.kind == "family":
            if m.axis in reader.level and m.past:
                distances[m.axis] = max(distances.get(m.axis, 0), 1)
            elif isinstance(m.index, x.Number) and m.index.of in reader.level and m.axis == m.index.of:
                distances[m.axis] = 0
            else:
                distances[m.axis] = ALL
    return Edge(r.name, reader.name, lag, tuple(sorted(distances.items())))


def parts_of(body: spec.Body, v: spec.Value) -> Iterable[x.Expr]:
    """The expressions that a name's equation is made of: its value, its start along a level, conditions of relations it reads through."""
    if v.value is not None:
        yield v.value
    if v.over_levels and v.start is not None:
        yield v.start
    seen: set[str] = set()
    indices = {i.name: i for i in body.indices}
    stack = [v.value] if v.value is not None else []
    while stack:
        for n in x.walk(stack.pop()):
            if isinstance(n, x.Number) and n.of in indices and n.of not in seen:
                seen.add(n.of)
                where = indices[n.of].where
                if where is not None:
                    yield where
                    stack.append(where)


def edges_of(body: spec.Body, chain: str, names: Iterable[str], given: frozenset[str]) -> list[Edge]:
    """All edges between `names`; the equation of a given input does not count."""
    table = body.table
    wanted = set(names)
    out: list[Edge] = []
    for n in names:
        v = table[n]
        if v.kind == "input" and n in given:
            continue
        for e in parts_of(body, v):
            for r in x.reads(e):
                if r.name in wanted and not (table[r.name].kind == "input" and r.name in given):
                    edge = read_edge(body, chain, v, r, table)
                    if edge is not None and edge not in out:
                        out.append(edge)
    return out


def closed(body: spec.Body, names: Sequence[str], edges: list[Edge]) -> list[Edge]:
    """Edges that keep a derivative in one loop with what lies between it and what it is taken by.

    `grad(loss, k)` is the derivative within a step. Where the way from k to the loss runs through a recurrence, the whole way is
    computed in that recurrence's loop, one step after the other.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((e.source, e.reader) for e in edges)
    home = {n: i for i, g in enumerate(nx.strongly_connected_components(graph)) for n in g}
    recurrent = {n for n in names if any(e.lag and home[e.source] == home[e.reader] == home[n] for e in edges)}
    step: nx.DiGraph[str] = nx.DiGraph()
    step.add_nodes_from(names)
    step.add_edges_from((e.source, e.reader) for e in edges if not e.lag)
    out = list(edges)
    inside = set(names)
    for n in names:
        value = body.table[n].value
        for g in x.walk(value) if value is not None else ():
            if not isinstance(g, x.Grad):
                continue
            goals = {r.name for r in x.reads(g.loss) if r.name in inside}
            before = goals | {a for t in goals for a in nx.ancestors(step, t)}
            reads_it = {r for r in before if any(same(q, g.wrt) for p in parts_of(body, body.table[r]) for q in x.reads(p))}
            way = {p for p in before if p in reads_it or any(nx.has_path(step, q, p) for q in reads_it)}
            if any(p in recurrent and home[p] != home[n] for p in way):
                out += [e for p in sorted(way) if (e := Edge(n, p, True, ())) not in out]
    return out


def same(a: x.Read, b: x.Read) -> bool:
    """Whether two reads are of the same thing at the same place."""
    return (a.name, a.field_, a.moves) == (b.name, b.field_, b.moves)


def arrange(body: spec.Body, names: Sequence[str], edges: Sequence[Edge], levels: tuple[str, ...] = (), timed: bool = False) -> list[Item]:
    """The loops for `names` inside the loops already fixed."""
    table = body.table
    order = {n: i for i, n in enumerate(names)}
    inside = set(names)
    live = [
        e
        for e in edges
        if e.source in inside and e.reader in inside and not (timed and e.lag) and not any(e.distance(lv) == 1 for lv in levels)
    ]
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((e.source, e.reader) for e in live)
    groups = [sorted(g, key=order.__getitem__) for g in nx.strongly_connected_components(graph)]
    home = {n: i for i, g in enumerate(groups) for n in g}
    below: nx.DiGraph[int] = nx.DiGraph()
    below.add_nodes_from(range(len(groups)))
    below.add_edges_from((home[e.source], home[e.reader]) for e in live if home[e.source] != home[e.reader])

    def next_level(g: list[str]) -> str:
        heads = {table[n].level[len(levels)] if len(table[n].level) > len(levels) else "" for n in g}
        return heads.pop() if len(heads) == 1 else ""

    items: list[Item] = []
    waiting = {i: below.in_degree(i) for i in below}
    ready = sorted((i for i, d in waiting.items() if d == 0), key=lambda i: order[groups[i][0]])
    last = ""
    while ready:
        pick = next((i for i in ready if last and next_level(groups[i]) == last), ready[0])
        ready.remove(pick)
        made = _group(body, groups[pick], live, levels, timed, next_level(groups[pick]))
        last = made.kind if made.kind not in ("statement", "time") else ""
        if items and last and items[-1].kind == last and not _apart(items[-1], made, live, last):
            both = [n for n in names if n in {*items[-1].names(), *made.names()}]
            items[-1] = Item(last, inner=arrange(body, both, edges, (*levels, last), timed))
        else:
            items.append(made)
        for j in below.successors(pick):
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.append(j)
        ready.sort(key=lambda i: order[groups[i][0]])
    return items


def _apart(a: Item, b: Item, edges: Sequence[Edge], level: str) -> bool:
    """Whether the second loop needs the first one to have ended."""
    first, second = set(a.names()), set(b.names())
    return any(e.source in first and e.reader in second and e.distance(level) == ALL for e in edges)


def _group(body: spec.Body, names: list[str], edges: Sequence[Edge], levels: tuple[str, ...], timed: bool, level: str) -> Item:
    """One strongly connected group, or one name."""
    inside = set(names)
    own = [e for e in edges if e.source in inside and e.reader in inside]
    if len(names) == 1 and not own:
        if level:
            return Item(level, inner=arrange(body, names, edges, (*levels, level), timed))
        return Item("statement", names[0])
    if level and all(e.distance(level) != ALL for e in own):
        return Item(level, inner=arrange(body, names, edges, (*levels, level), timed))
    if not timed and any(e.lag for e in own):
        return Item("time", inner=arrange(body, names, edges, levels, True))
    at = body.table[names[0]].span
    raise Rejected(
        (
            Diagnostic(
                "SEQ0501",
                f"no order of loops computes {', '.join(f'`{n}`' for n in names)}: each needs the other's value of the same step",
                at,
            ),
        )
    )


def needed(body: spec.Body, goals: Iterable[str], given: frozenset[str]) -> list[str]:
    """Every name that `goals` need, goals included, in textual order; the equations of given inputs are not looked into."""
    table = body.table
    seen: set[str] = set()
    stack = [g for g in goals if g in table]
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        v = table[n]
        if v.kind == "input" and n in given:
            continue
        exprs = list(parts_of(body, v))
        if v.start is not None and v.kind != "param":
            exprs.append(v.start)
        for e in exprs:
            stack.extend(r.name for r in x.reads(e) if r.name in table and r.name not in seen)
    return [v.name for v in body.values if v.name in seen]

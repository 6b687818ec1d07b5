"""Which names feed back: the condensation of the state-dependency graph.

In:  a step graph.   Out: groups of lagged names in topological order, and the declared states on no cycle.
Nodes are the names read with a lag; an edge a → b stands where b's value depends on a lagged a through same-step values. A
group is a strongly connected component with an edge in it. Sets of names are bit masks and each value is visited once, so
this is linear in the graph times the number of lagged names (reliability.md, S8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from seqc.compiler.analysis.access import access, history
from seqc.compiler.graph.table import postorder
from seqc.compiler.ir.expr import Conv, Read, Scan
from seqc.compiler.ir.graph import StepGraph


@dataclass(frozen=True, slots=True)
class Uses:
    """What one entry's equation reads: same-step names, names read with a lag, names at an earlier level of this step."""

    same: tuple[str, ...]
    past: tuple[str, ...]
    level: tuple[str, ...]
    scans: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Lagged names that feed back into each other (`cyclic`), or one declared state that does not."""

    names: tuple[str, ...]
    cyclic: bool


def uses_of(graph: StepGraph) -> dict[str, Uses]:
    """The reads of every entry, sorted by how they reach; worked out once for a graph."""
    found: dict[str, Uses] | None = graph.memo.get("uses")
    if found is None:
        found = graph.memo["uses"] = _uses_of(graph)
    return found


def users_of(graph: StepGraph) -> dict[str, list[str]]:
    """For each name the entries that read it at this step, at any level."""
    found: dict[str, list[str]] | None = graph.memo.get("users")
    if found is None:
        found = graph.memo["users"] = {}
        for n, u in uses_of(graph).items():
            for r in (*u.same, *u.level):
                found.setdefault(r, []).append(n)
    return found


def depending(graph: StepGraph, names: Iterable[str]) -> set[str]:
    """Entries whose value at this step depends on a lagged one of `names`."""
    wanted = set(names)
    users = users_of(graph)
    stack = [n for n, u in uses_of(graph).items() if wanted.intersection(u.past)]
    seen: set[str] = set()
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack.extend(users.get(n, ()))
    return seen


def _uses_of(graph: StepGraph) -> dict[str, Uses]:
    out: dict[str, Uses] = {}
    stepping = _stepping(graph)
    for name, entry in graph.entries.items():
        same: dict[str, None] = {}
        past: dict[str, None] = {}
        level: dict[str, None] = {}
        scans = False
        roots = [entry.node] if entry.node is not None else []
        if entry.start is not None and name in stepping:
            roots.append(entry.start)  # the start along the level is read at this step
        for node in postorder(roots):
            if isinstance(node, Read):
                a = access(graph, node)
                for flag, into in ((a.same, same), (a.past, past), (a.level, level)):
                    if flag:
                        into[node.name] = None
            elif isinstance(node, Conv) and history(graph, node):
                past.update({r.name: None for r in node.args if isinstance(r, Read)})
            scans = scans or isinstance(node, Scan)
        out[name] = Uses(tuple(same), tuple(past), tuple(level), scans)
    return out


def dependency_graph(graph: StepGraph) -> nx.MultiDiGraph:
    """Names and reads as a graph: an edge a → b where b's equation reads a; `lag` is "", "past" or "level"."""
    out = nx.MultiDiGraph()
    out.add_nodes_from(graph.entries)
    for name, u in uses_of(graph).items():
        for lag, names in (("", u.same), ("past", u.past), ("level", u.level)):
            out.add_edges_from((n, name, {"lag": lag}) for n in names if n in graph.entries)
    return out


def groups(graph: StepGraph) -> tuple[Group, ...]:
    """The recurrent groups and the declared states on no cycle, in topological order, ties in the order of the text."""
    uses = uses_of(graph)
    place = {n: i for i, n in enumerate(graph.entries)}
    declared = [n for n, e in graph.entries.items() if graph.topology and e.kind == "state" and not _levels_only(n, uses)]
    scanning = [n for n, u in uses.items() if u.scans]
    lagged = {n for u in uses.values() for n in u.past if n in graph.entries and graph.entries[n].node is not None}
    nodes = sorted(lagged.union(declared, scanning), key=place.__getitem__)
    bit = {n: 1 << i for i, n in enumerate(nodes)}

    # which lagged names each value depends on through same-step values
    step = nx.DiGraph()
    step.add_nodes_from(graph.entries)
    for name, u in uses.items():
        step.add_edges_from((n, name) for n in (*u.same, *u.level) if n in graph.entries)
    mask = {n: 0 for n in graph.entries}
    for members in _in_order(step):
        total = 0
        for n in members:
            u = uses[n]
            for r in u.past:
                total |= bit.get(r, 0)
            for r in (*u.same, *u.level):
                if r in mask:
                    total |= mask[r] | (bit[r] if uses[r].scans else 0)
            if u.scans:
                total |= bit[n]
        for n in members:
            mask[n] = total

    depends = nx.DiGraph()
    depends.add_nodes_from(nodes)
    for b in nodes:
        m = mask[b]
        while m:
            low = m & -m
            depends.add_edge(nodes[low.bit_length() - 1], b)
            m ^= low
    found: list[Group] = []
    condensed = nx.condensation(depends)
    first = {c: min(place[n] for n in condensed.nodes[c]["members"]) for c in condensed}
    for c in nx.lexicographical_topological_sort(condensed, key=lambda c: first[c]):
        members = sorted(condensed.nodes[c]["members"], key=place.__getitem__)
        cyclic = len(members) > 1 or depends.has_edge(members[0], members[0])
        if cyclic or members[0] in declared:
            found.append(Group(tuple(members), cyclic))
    return tuple(found)


def step_order(graph: StepGraph) -> list[str]:
    """All names, each after those it reads at this step (inside a loop of levels in the order of the text)."""
    step = nx.DiGraph()
    step.add_nodes_from(graph.entries)
    for name, u in uses_of(graph).items():
        step.add_edges_from((n, name) for n in (*u.same, *u.level) if n in graph.entries)
    place = {n: i for i, n in enumerate(graph.entries)}
    return [n for members in _in_order(step) for n in sorted(members, key=place.__getitem__)]


def _in_order(step: nx.DiGraph) -> list[list[str]]:
    """Strongly connected sets of same-step values (levels, rounds and cyclic graphs close loops), dependencies first."""
    condensed = nx.condensation(step)
    return [list(condensed.nodes[c]["members"]) for c in nx.topological_sort(condensed)]


def _stepping(graph: StepGraph) -> set[str]:
    """Names that are read at the level before."""
    roots = [e.node for e in graph.entries.values() if e.node is not None and e.level]
    return {n.name for n in postorder(roots) if isinstance(n, Read) and any(m.kind == "level" for m in n.moves)}


def _levels_only(name: str, uses: dict[str, Uses]) -> bool:
    """A state that only steps along a stack or rounds: within one step of the topology it is an ordinary value."""
    return any(name in u.level for u in uses.values()) and not any(name in u.past for u in uses.values())

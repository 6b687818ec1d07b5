"""One level of a layered drawing: ranks, order within ranks, coordinates.

In:   items with sizes and edges between them, acyclic.      Out: a place for each item, and for each edge the points it passes.
Keeps: edges point downwards; items never overlap.           Refuses: nothing; edges that would close a cycle are dropped first.
How:  longest-path ranks pulled towards the readers; one chain of bend points for each source (edges of one source share it);
      barycentre sweeps; x by repeated least squares under separation constraints (pool adjacent violators), as in
      Sugiyama, Tagawa & Toda 1981 and Gansner et al. 1993.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx

GAP_X, GAP_Y, BEND_GAP = 22.0, 40.0, 14.0


@dataclass(slots=True)
class Item:
    """Something with a size; a `port` stands on the top (`rank` 0) or bottom border of a box. `inlets` and `outlets` say where,
    relative to the centre, edges from a key arrive and leave (boxes have many such places)."""

    key: str
    width: float
    height: float
    port: str = ""
    sink: bool = False
    late: bool = False
    """A source that is better drawn just above its readers (parameters)."""
    inlets: Mapping[str, float] = field(default_factory=dict)
    outlets: Mapping[str, float] = field(default_factory=dict)
    rank: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Arc:
    """An edge between items: it starts at the place `out` of `source` and ends at the place `into` of `target`."""

    source: str
    target: str
    out: str = ""
    into: str = ""


@dataclass(slots=True)
class Layers:
    """The result: items with places (bend points included), segments between them, rank borders."""

    items: dict[str, Item]
    segments: list[Arc]
    rows: list[list[str]]
    tops: list[float]
    bottoms: list[float]
    width: float
    height: float


def place(
    items: Sequence[Item], arcs: Sequence[Arc], hints: Mapping[str, float], gap_y: float = GAP_Y, near: float = 0.0
) -> Layers:
    """Ranks, orders and places everything. `hints` are x positions wanted for ports by key; `near` is how far ports
    stand from what is next to them."""
    table = {item.key: item for item in items}
    arcs = _acyclic(table, arcs)
    _rank(table, arcs)
    segments = _bend(table, arcs)
    depth = max((i.rank for i in table.values()), default=0)
    rows: list[list[str]] = [[] for _ in range(depth + 1)]
    for item in table.values():
        rows[item.rank].append(item.key)
    _order(rows, table, segments, hints)
    _columns(rows, table, segments)
    tops: list[float] = []
    bottoms: list[float] = []
    y = 0.0
    for number, row in enumerate(rows):
        height = max((table[k].height for k in row), default=0.0)
        if number:
            ports = any(table[k].port for k in (*row, *rows[number - 1]))
            y = bottoms[-1] + (near if ports else gap_y)
        for k in row:
            table[k].y = y + height / 2
        tops.append(y)
        bottoms.append(y + height)
    left = min((i.x - i.width / 2 for i in table.values()), default=0.0)
    for item in table.values():
        item.x -= left
    right = max((i.x + i.width / 2 for i in table.values()), default=0.0)
    return Layers(table, segments, rows, tops, bottoms, right, bottoms[-1] if bottoms else 0.0)


def _acyclic(table: Mapping[str, Item], arcs: Sequence[Arc]) -> list[Arc]:
    """Without repetitions, without loops, without the edges that close a cycle."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(table)
    kept: list[Arc] = []
    for arc in dict.fromkeys(arcs):
        if arc.source == arc.target or (graph.has_node(arc.target) and nx.has_path(graph, arc.target, arc.source)):
            continue
        graph.add_edge(arc.source, arc.target)
        kept.append(arc)
    return kept


def _rank(table: dict[str, Item], arcs: Sequence[Arc]) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(table)
    graph.add_edges_from((a.source, a.target) for a in arcs)
    written = {key: number for number, key in enumerate(table)}
    order = list(nx.lexicographical_topological_sort(graph, key=lambda k: written[k]))
    top = any(i.port and not i.sink for i in table.values())
    for key in order:
        item = table[key]
        above = [table[p].rank + 1 for p in graph.predecessors(key)]
        item.rank = max(above, default=0 if item.port and not item.sink else int(top))
    for _ in range(2):
        for key in reversed(order):
            item = table[key]
            below = [table[s].rank - 1 for s in graph.successors(key) if not table[s].sink]
            if item.port or not below:
                continue
            slack = min(below) - item.rank
            if slack > 0 and (item.late or (graph.in_degree(key) and graph.out_degree(key) > graph.in_degree(key))):
                item.rank += slack
    deepest = max((i.rank for i in table.values() if not i.sink), default=0)
    for item in table.values():
        if item.sink:
            item.rank = deepest + 1


def _bend(table: dict[str, Item], arcs: Sequence[Arc]) -> list[Arc]:
    """Splits edges over several ranks; edges that leave one place share their bend points."""
    segments: list[Arc] = []
    chains: dict[tuple[str, str], list[str]] = {}
    for arc in sorted(arcs, key=lambda a: (a.source, a.out, -table[a.target].rank, a.target)):
        source, target = table[arc.source], table[arc.target]
        chain = chains.setdefault((arc.source, arc.out), [arc.source])
        while len(chain) < target.rank - source.rank:
            key = f"\0{arc.source}\0{arc.out}\0{len(chain)}"
            table[key] = Item(key, 0.0, 0.0, rank=source.rank + len(chain))
            segments.append(Arc(chain[-1], key, arc.out if len(chain) == 1 else ""))
            chain.append(key)
        before = chain[target.rank - source.rank - 1]
        segments.append(Arc(before, arc.target, arc.out if before == arc.source else "", arc.into))
    return segments


def is_bend(key: str) -> bool:
    """Whether `key` is a bend point that `place` added."""
    return key.startswith("\0")


# ---- order ------------------------------------------------------------------------------------------------------------


def _order(rows: list[list[str]], table: Mapping[str, Item], segments: Sequence[Arc], hints: Mapping[str, float]) -> None:
    up: dict[str, list[str]] = {k: [] for k in table}
    down: dict[str, list[str]] = {k: [] for k in table}
    for s in segments:
        down[s.source].append(s.target)
        up[s.target].append(s.source)

    def fixed(row: list[str]) -> bool:
        return bool(hints) and bool(row) and all(table[k].port and k in hints for k in row)

    for row in rows:
        if fixed(row):
            row.sort(key=lambda k: (hints[k], k))
    best = [list(r) for r in rows]
    fewest = _crossings(rows, down)
    for sweep in range(24):
        downward = sweep % 2 == 0
        near = up if downward else down
        for row in rows if downward else rows[::-1]:
            if not fixed(row):
                place_of = {k: i / max(1, len(r) - 1) if len(r) > 1 else 0.5 for r in rows for i, k in enumerate(r)}
                here = {k: i for i, k in enumerate(row)}
                goal = {k: sum(place_of[n] for n in near[k]) / len(near[k]) if near[k] else place_of[k] for k in row}
                row.sort(key=lambda k: (round(goal[k], 6), here[k] if sweep % 4 < 2 else -here[k]))
        crossings = _crossings(rows, down)
        if crossings < fewest:
            best, fewest = [list(r) for r in rows], crossings
    for row, good in zip(rows, best, strict=True):
        row[:] = good


def _crossings(rows: Sequence[Sequence[str]], down: Mapping[str, Sequence[str]]) -> int:
    total = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        here = {k: i for i, k in enumerate(lower)}
        ends = [here[n] for k in upper for n in sorted(down[k], key=lambda n: here.get(n, 0)) if n in here]
        total += sum(1 for i, a in enumerate(ends) for b in ends[i + 1 :] if b < a)
    return total


# ---- columns ----------------------------------------------------------------------------------------------------------


def _columns(rows: Sequence[Sequence[str]], table: Mapping[str, Item], segments: Sequence[Arc]) -> None:
    near: dict[str, list[tuple[str, float, float]]] = {k: [] for k in table}
    for s in segments:
        a, b = table[s.source], table[s.target]
        shift = a.outlets.get(s.out, 0.0) - b.inlets.get(s.into, 0.0)
        weight = {0: 1.0, 1: 2.0, 2: 30.0}[is_bend(s.source) + is_bend(s.target)]
        near[s.target].append((s.source, shift, weight))
        near[s.source].append((s.target, -shift, weight))
    for row in rows:
        x = 0.0
        for i, k in enumerate(row):
            if i:
                x += _apart(table[row[i - 1]], table[k])
            table[k].x = x
        middle = x / 2
        for k in row:
            table[k].x -= middle
    for sweep in range(160):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            goals, weights = [], []
            for k in row:
                pulls = near[k] if sweep > 3 else [n for n in near[k] if (table[n[0]].rank < table[k].rank) == (sweep % 2 == 0)]
                weight = sum(w for _, _, w in pulls)
                goals.append(sum((table[n].x + d) * w for n, d, w in pulls) / weight if weight else table[k].x)
                weights.append(weight or 0.05)
            for k, x in zip(row, _separated(row, table, goals, weights), strict=True):
                table[k].x = x


def _apart(a: Item, b: Item) -> float:
    gap = BEND_GAP if (a.width == 0 or b.width == 0) else GAP_X
    return a.width / 2 + gap + b.width / 2


def _separated(row: Sequence[str], table: Mapping[str, Item], goals: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The places nearest to `goals` that keep the order and the distances (isotonic regression)."""
    offsets = [0.0] if row else []
    for a, b in zip(row, row[1:], strict=False):
        offsets.append(offsets[-1] + _apart(table[a], table[b]))
    blocks: list[tuple[float, float, int]] = []
    for goal, weight, offset in zip(goals, weights, offsets, strict=True):
        mean, mass, count = goal - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            m, w, c = blocks.pop()
            mean, mass, count = (mean * mass + m * w) / (mass + w), mass + w, count + c
        blocks.append((mean, mass, count))
    out: list[float] = []
    for mean, _, count in blocks:
        out += [mean + offset for offset in offsets[len(out) : len(out) + count]]
    return out

"""From a checked body to a picture.

In:   `spec.Body`, and what the analysis calls each component.      Out: `Picture`.
Keeps: every named value; a read of a value is an edge.             Refuses: nothing.
Left out: the weights of layers; hidden values (their reads count as reads of the value they belong to). A read of an earlier
step starts at a node of its own, `h[t−1]`, which is fed by a dashed line; inside a component that line goes back up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from seqc.compiler.driver.draw.metrics import broken, without_details
from seqc.compiler.driver.draw.picture import Box, Edge, Kind, Node, Picture
from seqc.compiler.driver.words import right_side, size_text, topology_text
from seqc.compiler.ir.expr import DimSize, Expr, Invoke, Literal_, Move, Number, Read, walk
from seqc.compiler.ir.spec import Body, Value

Reads = list[tuple[str, str]]
"""(name of the value read, how long ago: "" or `t−1`)."""


def picture_of(body: Body, verdicts: Sequence[tuple[Sequence[str], str]] = (), doc: str = "") -> Picture:
    """The picture of a body. `verdicts` gives for the states of a component its class in words (`nonlinear/dense`), `doc`
    what is said of a body that has no doc string."""
    return _Builder(body, verdicts, body.doc or doc).picture()


class _Builder:
    def __init__(self, body: Body, verdicts: Sequence[tuple[Sequence[str], str]], doc: str) -> None:
        self.body = body
        self.doc = doc
        self.verdicts = [(frozenset(states), text) for states, text in verdicts]
        self.table = body.table
        self.shown = [v for v in body.values if not v.owner and v.kind != "hidden"]
        self.names = {v.name for v in self.shown}
        self.relations = {i.name for i in body.indices if i.of and i.of in (body.chain, "t")}
        self.level_names = {level.id: level.name for level in body.levels}

    def picture(self) -> Picture:
        reads = {v.name: self._reads(v) for v in self.shown}
        components = self._components(reads)
        nodes = [self._node(v) for v in self.shown]
        edges: list[Edge] = []
        pills: dict[str, Node] = {}
        home: dict[str, str] = {}
        together = {name: number for number, group in enumerate(components) for name in group}
        for v in self.shown:
            for name, lag in reads[v.name]:
                if not lag:
                    edges.append(Edge(name, v.name))
                    continue
                key = f"{name}[{lag}]"
                if key not in pills:
                    pills[key] = Node(key, "lag", key, tip=f"{name}, read at {lag}")
                    back = name in together or self._level_lag(lag, self.table[name])
                    edges.append(Edge(name, key, lag, back))
                    home[key] = name
                edges.append(Edge(key, v.name))
        for out in self.body.outs:
            value = self.table.get(out)
            if value is not None and value.kind != "out":
                nodes.append(Node(f"out {out}", "out", f"out {out}", tip=f"{out} is given back"))
                edges.append(Edge(out, f"out {out}"))
        boxes = self._boxes(components, home)
        doc = self.doc.strip().split("\n")[0].strip()
        subtitle = " · ".join(p for p in (topology_text(self.body), doc[:110] + ("…" if len(doc) > 110 else "")) if p)
        return Picture(self.body.name, subtitle, (*nodes, *pills.values()), tuple(dict.fromkeys(edges)), boxes)

    # ---- reads --------------------------------------------------------------------------------------------------------

    def _reads(self, v: Value) -> Reads:
        """What the value reads, hidden values looked through."""
        out: dict[tuple[str, str], None] = {}
        seen: set[str] = set()
        todo: list[tuple[Expr, str]] = [(e, "") for e in (v.value, *self._started(v)) if e is not None]
        while todo:
            expr, before = todo.pop()
            for node in walk(expr):
                if not isinstance(node, Read):
                    continue
                lag = before or next((t for t in map(self._lag, node.moves) if t), "")
                if node.name in self.names:
                    out[(node.name, lag)] = None
                elif node.name in self.table and node.name not in seen:
                    seen.add(node.name)
                    hidden = self.table[node.name]
                    if hidden.value is not None and hidden.kind == "hidden":
                        todo.append((hidden.value, lag))
        order = {name: i for i, name in enumerate(self.table)}
        return sorted((r for r in out if r != (v.name, "")), key=lambda r: (order[r[0]], r[1]))

    def _started(self, v: Value) -> Iterable[Expr]:
        """Starts that read other values (`state x : [t, D] init e`)."""
        if v.start is not None and v.kind != "param":
            yield v.start

    def _lag(self, move: Move) -> str:
        axis = self.level_names.get(move.axis, move.axis)
        match move.kind:
            case "lag" | "level" | "call":
                return f"{axis}−{_count(move.index)}"
            case "window":
                return f"{axis}−…"
            case "pred" | "succ":
                return move.axis
            case "rename" if isinstance(move.index, Number) and move.index.of in self.relations:
                return move.index.of
            case _:
                return ""

    def _level_lag(self, lag: str, v: Value) -> bool:
        return any(lag.startswith(f"{self.level_names.get(i, i)}−") for i in v.level)

    def _components(self, reads: Mapping[str, Reads]) -> list[set[str]]:
        """Strongly connected values, lagged reads along the topology included."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(reads)
        for name, sources in reads.items():
            for source, lag in sources:
                if not (lag and self._level_lag(lag, self.table[source])):
                    graph.add_edge(source, name)
        place = {v.name: i for i, v in enumerate(self.shown)}
        whole = nx.condensation(graph)
        first = {n: min(place[m] for m in whole.nodes[n]["members"]) for n in whole}
        groups: list[set[str]] = [whole.nodes[n]["members"] for n in nx.lexicographical_topological_sort(whole, key=first.get)]
        return [c for c in groups if len(c) > 1 or any(graph.has_edge(n, n) for n in c)]

    # ---- nodes and boxes ----------------------------------------------------------------------------------------------

    def _node(self, v: Value) -> Node:
        kind: Kind = "value"
        if v.kind in ("param", "const", "state", "gate", "out", "loss"):
            kind = v.kind
        elif v.kind == "input":
            kind = "input"
        elif isinstance(v.value, Invoke):
            kind = "call"
        text = right_side(v.text) if v.value is not None else ""
        lines = broken(without_details(text), 32, 2) if text and kind not in ("const", "param") else ()
        shape = "" if v.axes is None or not v.axes else f"[{', '.join(v.axes)}]"
        tip = [f"line {v.span.line}: {v.name}" + (f" = {text}" if text else "")]
        if v.doc:
            tip.append(v.doc.strip())
        if v.level:
            tip.append("for each " + ", ".join(self.level_names.get(i, i) for i in v.level))
        return Node(v.name, kind, v.name, shape, lines, "\n".join(tip))

    def _boxes(self, components: Sequence[set[str]], home: Mapping[str, str]) -> tuple[Box, ...]:
        """Frames of components and levels; a level that would cut through a component is left out."""
        groups: list[tuple[str, Box, set[str]]] = []
        for number, members in enumerate(components, 1):
            states = frozenset(members)
            word = next((text for names, text in self.verdicts if names and names <= states), "")
            title = f"{number} · {word}" if word else str(number)
            groups.append((f"#{number}", Box(f"#{number}", "component", title, ()), set(members)))
        for level in self.body.levels:
            inside = {v.name for v in self.shown if level.id in v.level}
            if inside and all(inside <= c or c <= inside or not inside & c for c in components):
                title = f"{level.kind} {level.name}" + _between(level.low, level.high)
                groups.append((f"@{level.id}", Box(f"@{level.id}", "level", title, ()), inside))
        groups.sort(key=lambda g: -len(g[2]))
        for _, _, members in groups:
            members |= {pill for pill, name in home.items() if name in members}
        boxes = []
        for place, (key, box, members) in enumerate(groups):
            later = groups[place + 1 :]
            nested = [(k, m) for k, _, m in later if m <= members]
            direct = [k for k, m in nested if not any(m < other for _, other in nested)]
            taken = {name for _, m in nested for name in m}
            rest = [n for n in [*(v.name for v in self.shown), *home] if n in members and n not in taken]
            boxes.append(Box(key, box.kind, box.title, (*rest, *direct), box.tip))
        return tuple(boxes)


def _count(e: Expr) -> str:
    match e:
        case Literal_(value=value):
            return str(value)
        case DimSize(dim=dim):
            return dim
        case _:
            return "n"


def _between(low: Expr, high: Expr) -> str:
    ends = [size_text(low), size_text(high)]
    return f" in {ends[0]}..{ends[1]}" if all(ends) else ""

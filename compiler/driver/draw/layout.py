"""Places for everything in a picture, boxes within boxes.

In:   a `Picture`.      Out: a `Drawing`: rectangles and lines in px, nothing left to decide but looks.
How:  from the inside out, each box is a layered drawing of its own (`layers.place`) whose edges to the outside end in ports
      on its top and bottom border; for its surroundings it is one large item. A second round orders the ports by where their
      edges come from. Lags that go back up run through a lane at the right of the innermost box around both ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqc.compiler.driver.draw import layers
from seqc.compiler.driver.draw.metrics import LABEL, mono, node_size
from seqc.compiler.driver.draw.picture import Box, Edge, Node, Picture

PAD, HEAD, LANE = 16.0, 18.0, 15.0
"""Room inside a box's border, for its caption, and for one lane of back edges."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rect:
    """A placed node or box: centre and size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """A placed line. `smooth` lines are curves with vertical tangents between the points; others have rounded corners."""

    points: tuple[Point, ...]
    smooth: bool
    dashed: bool
    arrow: bool
    label: str = ""
    label_at: Point = (0.0, 0.0)


@dataclass(slots=True)
class Drawing:
    """Everything placed; `boxes` outermost first."""

    width: float
    height: float
    nodes: list[tuple[Node, Rect]] = field(default_factory=list)
    boxes: list[tuple[Box, Rect]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """A laid-out box (or the whole picture, key ""): `grid` in its own coordinates, the frame's size and the frame's offset."""

    grid: layers.Layers
    width: float
    height: float
    left: float
    top: float
    arcs: dict[layers.Arc, list[Edge]]
    lanes: list[Edge]


def arrange(picture: Picture) -> Drawing:
    """Places a picture."""
    return _Arranger(picture).draw()


class _Arranger:
    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.nodes = {n.key: n for n in picture.nodes}
        self.boxes = {b.key: b for b in picture.boxes}
        self.parent: dict[str, str] = {m: b.key for b in picture.boxes for m in b.members}
        self.groups: dict[str, _Group] = {}

    def draw(self) -> Drawing:
        hints: dict[str, dict[str, float]] = {}
        for _ in range(3):
            self.groups = {}
            self._group("", hints)
            hints = self._hints()
        whole = self.groups[""]
        drawing = Drawing(whole.width, whole.height)
        self._emit("", 0.0, 0.0, drawing)
        return drawing

    # ---- structure --------------------------------------------------------------------------------------------------

    def _chain(self, key: str) -> list[str]:
        """The boxes around a node or box, innermost first, ending with the whole picture."""
        out = []
        while key:
            key = self.parent.get(key, "")
            out.append(key)
        return out

    def _members(self, box: str) -> list[str]:
        if box:
            return list(self.boxes[box].members)
        return [k for k in [*self.nodes, *self.boxes] if k not in self.parent]

    def _group(self, box: str, hints: Mapping[str, Mapping[str, float]]) -> None:
        members = self._members(box)
        for m in members:
            if m in self.boxes:
                self._group(m, hints)
        inside = {m: m for m in members}
        for key in [*self.nodes, *self.boxes]:
            chain = [key, *self._chain(key)]
            if box in chain[1:]:
                inside[key] = chain[chain.index(box) - 1] if chain.index(box) else key
        items = {m: self._item(m) for m in members}
        arcs: dict[layers.Arc, list[Edge]] = {}
        lanes: list[Edge] = []
        for edge in self.picture.edges:
            a, b = inside.get(edge.source), inside.get(edge.target)
            if edge.back:
                if a and b and (a != b or a in self.nodes):
                    lanes.append(edge)
                continue
            if a is None and b is None or a == b:
                continue
            if a is None:
                a = f"in:{edge.source}"
                items.setdefault(a, layers.Item(a, 0.0, 0.0, port=edge.source))
            if b is None:
                b = f"out:{edge.source}"
                items.setdefault(b, layers.Item(b, 0.0, 0.0, port=edge.source, sink=True))
            arc = layers.Arc(a, b, edge.source if a in self.boxes else "", edge.source if b in self.boxes else "")
            arcs.setdefault(arc, []).append(edge)
        wanted = {f"in:{k}": x for k, x in hints.get(box, {}).items()}
        grid = layers.place(list(items.values()), list(arcs), wanted, layers.GAP_Y if box == "" else 34.0, 16.0)
        head = HEAD if box else 0.0
        pad = PAD if box else 0.0
        lane_count = len({e.source for e in lanes})
        labels = max((mono(e.lag, LABEL) for e in lanes), default=0.0)
        lane_room = (lane_count * LANE + labels) if lane_count else 0.0
        title = mono(self.boxes[box].title, LABEL) + 2 * PAD if box else 0.0
        inner = grid.width + lane_room
        width = max(inner + 2 * pad, title)
        left = pad + (width - inner - 2 * pad) / 2
        open_top = bool(box) and not any(i.port and not i.sink for i in items.values())
        open_bottom = bool(box) and not any(i.port and i.sink for i in items.values())
        top = head + (pad if open_top else pad / 2)
        height = top + grid.height + (pad if open_bottom else 0.0)
        self.groups[box] = _Group(grid, width, height, left, top, arcs, lanes)

    def _item(self, key: str) -> layers.Item:
        if key in self.nodes:
            node = self.nodes[key]
            width, height = node_size(node)
            return layers.Item(key, width, height, late=node.kind in ("param", "const"))
        group = self.groups[key]
        inlets: dict[str, float] = {}
        outlets: dict[str, float] = {}
        for item in group.grid.items.values():
            if item.port:
                (outlets if item.sink else inlets)[item.port] = item.x + group.left - group.width / 2
        return layers.Item(key, group.width, group.height, inlets=inlets, outlets=outlets)

    def _hints(self) -> dict[str, dict[str, float]]:
        """For each box, where the edges that enter it come from, as x in its own coordinates."""
        out: dict[str, dict[str, float]] = {}
        for group in self.groups.values():
            items = group.grid.items
            for segment in group.grid.segments:
                if segment.into and segment.target in self.boxes:
                    source, target = items[segment.source], items[segment.target]
                    x = source.x + source.outlets.get(segment.out, 0.0) - (target.x - target.width / 2)
                    out.setdefault(segment.target, {})[segment.into] = x
        return out

    # ---- geometry ---------------------------------------------------------------------------------------------------

    def _emit(self, box: str, x: float, y: float, drawing: Drawing) -> None:
        """Adds a box whose top left corner is at (x, y)."""
        group = self.groups[box]
        grid = group.grid
        dx, dy = x + group.left, y + group.top
        if box:
            rect = Rect(x + group.width / 2, y + group.height / 2, group.width, group.height)
            drawing.boxes.append((self.boxes[box], rect))
        for key, item in grid.items.items():
            if key in self.nodes:
                drawing.nodes.append((self.nodes[key], Rect(item.x + dx, item.y + dy, item.width, item.height)))
            elif key in self.boxes:
                self._emit(key, item.x + dx - item.width / 2, item.y + dy - item.height / 2, drawing)
        self._edges(group, dx, dy, y, y + group.height, drawing)
        self._back_edges(box, group, dx, dy, drawing)

    def _edges(self, group: _Group, dx: float, dy: float, top: float, bottom: float, drawing: Drawing) -> None:
        grid = group.grid
        arriving: dict[str, list[layers.Arc]] = {}
        for s in grid.segments:
            arriving.setdefault(s.target, []).append(s)
        dashes = self._dashed(group)
        landing: dict[layers.Arc, float] = {}
        for target, segments in arriving.items():
            item = grid.items[target]
            if target not in self.nodes:
                continue
            segments.sort(key=lambda s: grid.items[s.source].x + grid.items[s.source].outlets.get(s.out, 0.0))
            room = min(item.width * 0.6, 18.0 * (len(segments) - 1))
            for number, s in enumerate(segments):
                landing[s] = -room / 2 + room * number / max(1, len(segments) - 1)
        for s in grid.segments:
            a, b = grid.items[s.source], grid.items[s.target]
            ax = a.x + a.outlets.get(s.out, 0.0) + dx
            bx = b.x + (b.inlets.get(s.into, 0.0) if s.into else landing.get(s, 0.0)) + dx
            bend = layers.is_bend(s.source)
            start: list[Point] = [(ax, (grid.bottoms[a.rank] if bend else a.y + a.height / 2) + dy)]
            if a.port and not a.sink:
                start.insert(0, (ax, top))
            if a.height / 2 + a.y < grid.bottoms[a.rank] - 0.5 and not a.port and not bend:
                start.append((ax, grid.bottoms[a.rank] + dy))
            end: list[Point] = [(bx, b.y - b.height / 2 + dy)]
            if b.y - b.height / 2 > grid.tops[b.rank] + 0.5:
                end.insert(0, (bx, grid.tops[b.rank] + dy))
            if layers.is_bend(s.target):
                end.append((bx, grid.bottoms[b.rank] + dy))
            if b.port and b.sink:
                end.append((bx, bottom))
            final = s.target in self.nodes
            drawing.lines.append(Line((*start, *end), True, s in dashes, final))

    def _dashed(self, group: _Group) -> set[layers.Arc]:
        """Segments that carry nothing but lagged reads."""
        grid = group.grid
        kinds: dict[layers.Arc, set[bool]] = {}
        into: dict[tuple[str, str, str], list[layers.Arc]] = {}
        for s in grid.segments:
            into.setdefault((s.target, "", ""), []).append(s)
        for arc, edges in group.arcs.items():
            lagged = all(e.lag for e in edges)
            here = arc.target
            last = [
                s for s in into.get((here, "", ""), []) if self._origin(grid, s) == (arc.source, arc.out) and s.into == arc.into
            ]
            while last:
                s = last[0]
                kinds.setdefault(s, set()).add(lagged)
                if not layers.is_bend(s.source):
                    break
                last = into.get((s.source, "", ""), [])
        return {s for s, found in kinds.items() if found == {True}}

    @staticmethod
    def _origin(grid: layers.Layers, s: layers.Arc) -> tuple[str, str]:
        if layers.is_bend(s.source):
            _, source, out, _ = s.source.split("\0")
            return source, out
        return s.source, s.out

    def _back_edges(self, box: str, group: _Group, dx: float, dy: float, drawing: Drawing) -> None:
        grid = group.grid
        sources = sorted(dict.fromkeys(e.source for e in group.lanes), key=lambda k: self._rect(drawing, k).y)
        labels: dict[str, float] = {}
        for number, source in enumerate(sources):
            for edge in (e for e in group.lanes if e.source == source):
                a = self._rect(drawing, edge.source)
                b = self._rect(drawing, edge.target)
                lane = dx + grid.width + LANE * (number + 0.8)
                low = a.y + a.height / 2 + 9.0 + 3.0 * number
                high = b.y - b.height / 2 - 10.0 - 4.0 * number
                ax = a.x + min(a.width * 0.32, 26.0)
                points = (
                    (ax, a.y + a.height / 2),
                    (ax, low),
                    (lane, low),
                    (lane, high),
                    (b.x, high),
                    (b.x, b.y - b.height / 2),
                )
                label = "" if edge.lag in labels else edge.lag
                labels.setdefault(edge.lag, (low + high) / 2)
                label_at = (dx + grid.width + LANE * (len(sources) - 0.2) + 6.0, labels[edge.lag] + 15.0 * (len(labels) - 1))
                drawing.lines.append(Line(points, False, True, True, label, label_at))

    @staticmethod
    def _rect(drawing: Drawing, key: str) -> Rect:
        return next(rect for node, rect in drawing.nodes if node.key == key)

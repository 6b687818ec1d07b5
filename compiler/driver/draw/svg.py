"""Writes a placed picture as SVG: one file without scripts, links or fonts from elsewhere; all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from seqc.compiler.driver.draw.layout import Drawing, Line, Point, Rect
from seqc.compiler.driver.draw.metrics import EQUATION, LABEL, LINE, SHAPE, TITLE, mono
from seqc.compiler.driver.draw.picture import KINDS, Box, Kind, Node, Picture

COLOURS: dict[Kind, tuple[str, str, str]] = {
    "input": ("#e3edf8", "#7d9dc0", "#24405e"),
    "param": ("#efeaf7", "#a596c4", "#4a3b6b"),
    "const": ("#eeeeee", "#a3a3a3", "#444444"),
    "state": ("#dff0e1", "#6fa67c", "#1f4d2b"),
    "gate": ("#fdf1d8", "#cfa654", "#664a0c"),
    "value": ("#ffffff", "#b3bac2", "#2d343b"),
    "call": ("#e0f1f1", "#6fa9a9", "#1d4b4b"),
    "out": ("#fae3dd", "#cc8673", "#6e2c1b"),
    "loss": ("#f6dfe8", "#bf7d97", "#672a42"),
    "lag": ("#ffffff", "#6fa67c", "#1f4d2b"),
}
"""Fill, border and text of each kind."""

BOX_FILL = {"component": "#f4f9f4", "level": "#f5f6fa"}
BOX_EDGE = {"component": "#9cc3a4", "level": "#b9bfd6"}
BOX_TEXT = {"component": "#3d6b49", "level": "#525b80"}
MARGIN, TOP = 28.0, 74.0

STYLE = """
.mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; }
.sans { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; }
.edge { fill: none; stroke: #8b949e; stroke-width: 1.3; }
.lag { fill: none; stroke: #6fa67c; stroke-width: 1.4; stroke-dasharray: 5 4; }
"""


def write(picture: Picture, drawing: Drawing) -> str:
    """The SVG text; the same for the same picture."""
    kinds = list(dict.fromkeys(k for k in KINDS if any(n.kind == k for n in picture.nodes)))
    legend = _legend(kinds, any(line.dashed for line in drawing.lines), picture.boxes)
    head = max(len(picture.title) * 20 * 0.62, len(picture.subtitle) * 12.5 * 0.55)
    inner = max(drawing.width, _legend_width(legend) if drawing.width > 520 else 0.0, head)
    rows = _legend_rows(legend, inner)
    width = inner + 2 * MARGIN
    height = TOP + drawing.height + 34.0 + 24.0 * len(rows) + 10.0
    dx, dy = MARGIN + (inner - drawing.width) / 2, TOP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{escape(picture.title)}">',
        f"<title>{escape(picture.title)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0.5,0.8 L7.2,4 L0.5,7.2 z" fill="#8b949e"/></marker>'
        '<marker id="lagtip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0.5,0.8 L7.2,4 L0.5,7.2 z" fill="#6fa67c"/></marker></defs>',
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>',
        f'<text x="{_n(MARGIN)}" y="34" class="sans" font-size="20" font-weight="600" fill="#1f2328">'
        f"{escape(picture.title)}</text>",
        f'<text x="{_n(MARGIN)}" y="54" class="sans" font-size="12.5" fill="#656d76">{escape(picture.subtitle)}</text>',
        f'<g transform="translate({_n(dx)} {_n(dy)})">',
        *(_box(box, rect) for box, rect in drawing.boxes),
        *(_line(line) for line in sorted(drawing.lines, key=lambda line: line.dashed)),
        *(_node(node, rect) for node, rect in drawing.nodes),
        *(_caption(box, rect) for box, rect in drawing.boxes),
        *(_label(line) for line in drawing.lines if line.label),
        "</g>",
        *_legend_text(rows, TOP + drawing.height + 34.0),
        "</svg>",
    ]
    return "\n".join(out) + "\n"


def _n(value: float) -> str:
    """A number without needless digits."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


# ---- parts ------------------------------------------------------------------------------------------------------------


def _box(box: Box, rect: Rect) -> str:
    x, y = rect.x - rect.width / 2, rect.y - rect.height / 2
    return (
        f'<g><title>{escape(box.tip or box.title)}</title><rect x="{_n(x)}" y="{_n(y)}" width="{_n(rect.width)}" '
        f'height="{_n(rect.height)}" rx="12" fill="{BOX_FILL[box.kind]}" stroke="{BOX_EDGE[box.kind]}" stroke-width="1.2"/></g>'
    )


def _caption(box: Box, rect: Rect) -> str:
    """The box's title, with a halo, so that lines may pass behind it."""
    x, y = rect.x - rect.width / 2, rect.y - rect.height / 2
    return (
        f'<text x="{_n(x + 13)}" y="{_n(y + 18)}" class="mono" font-size="{LABEL}" font-weight="600" '
        f'fill="{BOX_TEXT[box.kind]}" stroke="{BOX_FILL[box.kind]}" stroke-width="4" paint-order="stroke">'
        f"{escape(box.title)}</text>"
    )


def _node(node: Node, rect: Rect) -> str:
    fill, border, ink = COLOURS[node.kind]
    x, y = rect.x - rect.width / 2, rect.y - rect.height / 2
    corner = rect.height / 2 if node.kind in ("input", "lag", "param", "const") and not node.lines else 7.0
    dash = ' stroke-dasharray="4 3"' if node.kind == "lag" else ""
    weight = "1.8" if node.kind == "state" else "1.2"
    head = mono(node.title, TITLE) + (mono(" " + node.shape, SHAPE) if node.shape else 0.0)
    start = rect.x - head / 2
    top = y + (20.5 if node.kind != "lag" else 18.0)
    out = [
        f"<g><title>{escape(node.tip or node.title)}</title>",
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(rect.width)}" height="{_n(rect.height)}" rx="{_n(corner)}" fill="{fill}" '
        f'stroke="{border}" stroke-width="{weight}"{dash}/>',
        f'<text x="{_n(start)}" y="{_n(top)}" class="mono" font-size="{TITLE}" font-weight="600" fill="{ink}">'
        f"{escape(node.title)}</text>",
    ]
    if node.shape:
        out.append(
            f'<text x="{_n(start + mono(node.title + " ", TITLE) - 1)}" y="{_n(top)}" class="mono" font-size="{SHAPE}" '
            f'fill="{ink}" opacity="0.62">{escape(node.shape)}</text>'
        )
    for number, line in enumerate(node.lines):
        out.append(
            f'<text x="{_n(rect.x)}" y="{_n(top + LINE * (number + 1))}" text-anchor="middle" class="mono" '
            f'font-size="{EQUATION}" fill="{ink}" opacity="0.8" xml:space="preserve">{escape(line)}</text>'
        )
    out.append("</g>")
    return "".join(out)


def _line(line: Line) -> str:
    path = _smooth(line.points) if line.smooth else _rounded(line.points)
    style = "lag" if line.dashed else "edge"
    tip = f' marker-end="url(#{"lagtip" if line.dashed else "tip"})"' if line.arrow else ""
    return f'<path d="{path}" class="{style}"{tip}/>'


def _label(line: Line) -> str:
    x, y = line.label_at
    return f'<text x="{_n(x)}" y="{_n(y + 3.5)}" class="mono" font-size="{LABEL}" fill="#3d6b49">{escape(line.label)}</text>'


def _smooth(points: Sequence[Point]) -> str:
    """Vertical tangents; straight where the points are in line."""
    out = [f"M{_n(points[0][0])},{_n(points[0][1])}"]
    for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
        if abs(ax - bx) < 0.3:
            out.append(f"L{_n(bx)},{_n(by)}")
        else:
            middle = (ay + by) / 2
            out.append(f"C{_n(ax)},{_n(middle)} {_n(bx)},{_n(middle)} {_n(bx)},{_n(by)}")
    return " ".join(out)


def _rounded(points: Sequence[Point], radius: float = 7.0) -> str:
    """Straight pieces with rounded corners."""
    out = [f"M{_n(points[0][0])},{_n(points[0][1])}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, _far(before, here) / 2, _far(here, after) / 2)
        a, b = _towards(here, before, r), _towards(here, after, r)
        out.append(f"L{_n(a[0])},{_n(a[1])} Q{_n(here[0])},{_n(here[1])} {_n(b[0])},{_n(b[1])}")
    out.append(f"L{_n(points[-1][0])},{_n(points[-1][1])}")
    return " ".join(out)


def _far(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: Point, b: Point, length: float) -> Point:
    far = _far(a, b) or 1.0
    return a[0] + (b[0] - a[0]) * length / far, a[1] + (b[1] - a[1]) * length / far


# ---- legend -----------------------------------------------------------------------------------------------------------


def _legend(kinds: Sequence[Kind], lags: bool, boxes: Sequence[Box]) -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = [(kind, KINDS[kind]) for kind in kinds if kind != "lag"]
    if any(b.kind == "component" for b in boxes):
        entries.append(("component", "recurrent component"))
    if any(b.kind == "level" for b in boxes):
        entries.append(("level", "repeated lines"))
    if lags:
        entries.append(("lag line", "from an earlier step"))
    return entries


def _entry_width(text: str) -> float:
    return 26.0 + len(text) * 12.0 * 0.56 + 20.0


def _legend_width(entries: Sequence[tuple[str, str]]) -> float:
    return min(760.0, sum(_entry_width(t) for _, t in entries))


def _legend_rows(entries: Sequence[tuple[str, str]], width: float) -> list[list[tuple[str, str]]]:
    rows: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for entry in entries:
        if rows[-1] and used + _entry_width(entry[1]) > width + 20.0:
            rows.append([])
            used = 0.0
        rows[-1].append(entry)
        used += _entry_width(entry[1])
    return rows


def _legend_text(rows: Sequence[Sequence[tuple[str, str]]], top: float) -> list[str]:
    out = []
    for number, row in enumerate(rows):
        x, y = MARGIN, top + 24.0 * number
        for kind, text in row:
            if kind == "lag line":
                out.append(f'<path d="M{_n(x)},{_n(y + 6)} h20" class="lag" marker-end="url(#lagtip)"/>')
            else:
                fill, border = (
                    (BOX_FILL[kind], BOX_EDGE[kind]) if kind in BOX_FILL else (COLOURS[kind][0], COLOURS[kind][1])  # type: ignore[index]
                )
                out.append(
                    f'<rect x="{_n(x)}" y="{_n(y)}" width="18" height="12" rx="3.5" fill="{fill}" stroke="{border}" '
                    f'stroke-width="1.2"/>'
                )
            out.append(
                f'<text x="{_n(x + 26)}" y="{_n(y + 10.3)}" class="sans" font-size="12" fill="#57606a">{escape(text)}</text>'
            )
            x += _entry_width(text)
    return out

"""How large text is, without asking a font: names and equations are set in a monospaced face, whose width is known.

All monospaced faces that the style sheet names are 0.60 em wide, give or take a hundredth; widths here are rounded up.
"""

from __future__ import annotations

from seqc.compiler.driver.draw.picture import Node

MONO = 0.605
"""Width of one monospaced character in em."""
TITLE, SHAPE, EQUATION, LABEL = 13.5, 11.5, 10.5, 11.0
"""Font sizes in px: a node's name, its shape, its equation, captions."""
LINE = 15.0
"""Height of an equation line."""
PAD_X, PAD_Y = 12.0, 8.0
"""Room inside a node's border."""


def mono(text: str, size: float) -> float:
    """Width in px of `text` in the monospaced face."""
    return len(text) * size * MONO


def node_size(node: Node) -> tuple[float, float]:
    """Width and height of a node."""
    head = mono(node.title, TITLE) + (mono(" " + node.shape, SHAPE) if node.shape else 0.0)
    body = max((mono(line, EQUATION) for line in node.lines), default=0.0)
    pad = 9.0 if node.kind == "lag" else PAD_X
    width = max(46.0, max(head, body) + 2 * pad)
    height = 2 * PAD_Y + 17.0 + LINE * len(node.lines) - (4.0 if node.kind == "lag" else 0.0)
    return float(round(width)), float(round(height))


def broken(text: str, width: int, most: int) -> tuple[str, ...]:
    """`text` in at most `most` lines of about `width` characters, broken at spaces; an ellipsis where it does not fit."""
    words = text.split(" ")
    lines: list[str] = []
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    if len(lines) > most:
        lines = lines[:most]
        lines[-1] = lines[-1][: max(1, width - 2)] + " …"
    return tuple(one if len(one) <= width + 12 else one[: width + 10] + " …" for one in lines)

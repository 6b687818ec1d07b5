"""How large text is, without asking a font: names and equations are set in a monospaced face, whose width is known.

All monospaced faces that the style sheet names are 0.60 em wide, give or take a hundredth; widths here are rounded up.
"""

from __future__ import annotations

import re

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
    """`text` in at most `most` lines of about `width` characters, broken at spaces; an ellipsis where it does not fit.

    Lines are made about equally long."""
    text = text.replace(" = ", "\u00a0=\u00a0")  # keywords stay in one piece
    lines = _filled(text, width)
    if len(lines) <= most:
        for narrower in range(max(1, width // 3), width):
            found = _filled(text, narrower)
            if len(found) == len(lines) and max(map(len, found)) <= width:
                lines = found
                break
    else:
        lines = lines[:most]
        lines[-1] = lines[-1][: max(1, width - 2)] + " …"
    cut = (one if len(one) <= width + 12 else one[: width + 10] + " …" for one in lines)
    return tuple(one.replace("\u00a0", " ") for one in cut)


def _filled(text: str, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


_DETAIL = re.compile(r"(init|bias|eps|to|name|affine|border)\s*=\s*")


def without_details(text: str) -> str:
    """An equation without the keywords that a drawing can do without: `linear(x, bias = none, init = 0)` is `linear(x)`."""
    out: list[str] = []
    i = 0
    while i < len(text):
        if text[i] == "," and (match := _DETAIL.match(text, i + 1 + (len(text[i + 1 :]) - len(text[i + 1 :].lstrip())))):
            depth = 0
            i = match.end()
            while i < len(text) and (depth or text[i] not in ",)"):
                depth += (text[i] in "([") - (text[i] in ")]")
                i += 1
            continue
        out.append(text[i])
        i += 1
    return "".join(out)

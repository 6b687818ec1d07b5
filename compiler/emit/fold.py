"""Long lines of generated Python, folded inside their brackets.

In:   lines of a class.      Out: the same statements; a line past `WIDTH` is broken after the commas of its outermost call.
Keeps: every token and its order, so the module means the same. Comments, strings and lines without a comma in brackets stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

WIDTH = 140
OPEN, CLOSE = "([{", ")]}"


def folded(lines: Iterable[str]) -> Iterator[str]:
    """The lines, none of them longer than it has to be."""
    for line in lines:
        yield from _folded(line) if len(line) > WIDTH and "\n" not in line else [line]


def _folded(line: str) -> list[str]:
    if len(line) <= WIDTH or line.lstrip().startswith("#") or '"""' in line:
        return [line]
    group = _widest(line)
    if group is None:
        return [line]
    start, commas, end = group
    indent = line[: len(line) - len(line.lstrip())] + "    "
    out = [line[: start + 1]]
    for a, b in zip([start, *commas], [*commas, end], strict=True):
        part = line[a + 1 : b].strip()
        if part:
            out += _folded(f"{indent}{part}{',' if b != end else ''}")
    tail = line[end:]
    return [*out, *_folded(indent[:-4] + tail)]


def _widest(line: str) -> tuple[int, list[int], int] | None:
    """The outermost bracket with commas of its own that takes up most of the line: where it opens, its commas, where it closes."""
    stack: list[tuple[int, list[int]]] = []
    found: list[tuple[int, int, list[int], int]] = []
    quote, at = "", 0
    while at < len(line):
        c = line[at]
        if quote:
            at += c == "\\"
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c == "#":
            return None
        elif c in OPEN:
            stack.append((at, []))
        elif c == "," and stack:
            stack[-1][1].append(at)
        elif c in CLOSE and stack:
            start, commas = stack.pop()
            if commas and at - start > 40:
                found.append((at - start, start, commas, at))
        at += 1
    if quote or stack or not found:
        return None
    _, start, commas, end = max(found)
    return start, commas, end

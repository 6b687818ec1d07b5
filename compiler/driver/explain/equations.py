"""Equations with their subscripts: `c = f * c[t-1] + i * g` becomes `c_t = f_t * c_{t-1} + i_t * g_t`.

Works on an equation's text and the names of its body: what changes from step to step carries the step, what is read elsewhere
carries where. Axes of dims are not written out; the shape stands beside the equation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from seqc.compiler.driver.words import range_text, right_side, size_text, start_text
from seqc.compiler.ir.spec import Body, Value

_TOKEN = re.compile(r"\"[^\"]*\"|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\s+|.")


@dataclass(frozen=True, slots=True)
class Equation:
    """One line of the mathematics. `left` is the name with its subscript, `right` the expression or ""."""

    name: str
    kind: str
    left: str
    right: str
    shape: str
    range: str
    start: str
    line: int
    doc: str


def equations(body: Body) -> Iterator[Equation]:
    """The equations of a body in the order they are written, inputs and parameters among them."""
    changing = {v.name: _steps(body, v) for v in body.values}
    for v in body.values:
        if v.owner or v.kind == "hidden":
            continue
        step = changing[v.name]
        right = subscripted(right_side(v.text), body, v, changing) if v.value is not None and v.text else ""
        shape = "" if v.axes is None else f"[{', '.join(v.axes)}]"
        yield Equation(
            v.name,
            v.kind,
            v.name + (f"_{step}" if step else ""),
            right,
            shape,
            range_text(v),
            start_text(v),
            v.span.line,
            v.doc,
        )


def _steps(body: Body, v: Value) -> str:
    """The subscript of a value at this step: `t`, `l`, `t,l` or ""."""
    names = {level.id: level.name for level in body.levels}
    parts = [] if v.kind in ("param", "const") or v.once or not body.chain else [body.chain]
    parts += [names.get(i, i) for i in v.level]
    return ",".join(parts)


def _seen_from(body: Body, reader: Value, value: Value, step: str) -> str:
    """The subscript of a value as another sees it: outside its stack, a value is that of the last level."""
    for level in body.levels:
        if level.id in value.level and level.id not in reader.level:
            last = size_text(level.high) or "last"
            step = ",".join(last if part == level.name else part for part in step.split(","))
    return step


def subscripted(text: str, body: Body, v: Value, changing: dict[str, str]) -> str:
    """The text of `v`'s equation with subscripts."""
    tokens = _TOKEN.findall(text)
    out: list[str] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        base = token.split(".")[0]
        following = next((t for t in tokens[i + 1 :] if not t.isspace()), "")
        second = next((t for t in tokens[i + 2 :] if not t.isspace()), "") if following == "=" else ""
        keyword = following == "=" and second != "=" and _depth(tokens[:i]) > 0
        if base in changing and not keyword and following != "(":
            step = _seen_from(body, v, body.table[base], changing[base])
            if following == "[":
                start = tokens.index("[", i + 1)
                end = _closing(tokens, start)
                inside = "".join(tokens[start + 1 : end]).strip()
                out.append(f"{token}_{{{_merged(step, inside)}}}")
                i = end + 1
                continue
            out.append(token + (f"_{step}" if len(step) == 1 else f"_{{{step}}}" if step else ""))
        else:
            out.append(token)
        i += 1
    return "".join(out)


def _merged(step: str, inside: str) -> str:
    """`t,l` read at `t-1` is `t-1,l`."""
    places = [p.strip() for p in _split(inside)]
    parts = [p for p in step.split(",") if p]
    for place in places:
        axis = re.match(r"\s*([A-Za-z_]\w*)", place)
        if axis and axis[1] in parts and "=" not in place:
            parts[parts.index(axis[1])] = place
        elif "=" in place or len(parts) != 1 or len(places) != 1:
            parts.append(place)
        else:
            parts = [place]
    return ",".join(p.replace(" ", "") for p in parts)


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "," and not depth:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _depth(tokens: list[str]) -> int:
    return sum(t in ("(", "[") for t in tokens) - sum(t in (")", "]") for t in tokens)


def _closing(tokens: list[str], start: int) -> int:
    depth = 0
    for i in range(start, len(tokens)):
        depth += (tokens[i] in ("[", "(")) - (tokens[i] in ("]", ")"))
        if depth == 0:
            return i
    return len(tokens) - 1

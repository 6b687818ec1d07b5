"""Small phrases about checked specs, shared by the report and the drawing."""

from __future__ import annotations

import math

from seqc.compiler.ir.expr import Apply, DimSize, Expr, Literal_, NotGiven, Number
from seqc.compiler.ir.spec import Body, Factor, Value


def topology_text(body: Body) -> str:
    """`cell over t`, `cell over reverse(t)`, `model`."""
    return f"{body.kind} over {', '.join(map(_factor, body.topology))}" if body.topology else body.kind


def _factor(f: Factor) -> str:
    if f.kind == "grid":
        return f"grid({', '.join(f.axes)})"
    if f.kind == "tree" and f.axes:
        return f"tree({', '.join(f.axes)})"
    if f.kind in ("tree", "dag", "graph"):
        return f.kind
    return f"reverse({f.axes[0]})" if f.reverse else f.axes[0]


def right_side(text: str) -> str:
    """What stands after the first `=` of an equation's line, or the text itself where it is the right side already."""
    depth = 0
    for i, c in enumerate(text):
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "=" and depth == 0 and text[i - 1 : i] not in ("<", ">", "=", "!") and text[i + 1 : i + 2] != "=":
            return text[i + 1 :].strip()
    return text.strip()


def size_text(e: Expr) -> str:
    """Simple arithmetic as written, "" for anything else: `0`, `-inf`, `L - 1`."""
    match e:
        case NotGiven():
            return "none"
        case Literal_(value=bool() as value):
            return "true" if value else "false"
        case Literal_(value=float() as value):
            return f"{value:g}" if math.isfinite(value) else "inf" if value > 0 else "-inf" if value < 0 else ""
        case Literal_(value=value):
            return str(value)
        case DimSize(dim=name) | Number(of=name):
            return name
        case Apply(fn="neg", args=(a,)):
            return f"-{size_text(a)}" if size_text(a) else ""
        case Apply(fn=("sub" | "add" | "mul" | "div" | "pow") as fn, args=(a, b)):
            sign = {"sub": " - ", "add": " + ", "mul": " * ", "div": " / ", "pow": "^"}[fn]
            return f"{size_text(a)}{sign}{size_text(b)}" if size_text(a) and size_text(b) else ""
        case _:
            return ""


def range_text(v: Value) -> str:
    """`(0, 1]`, or "" where no range is claimed or an end is no simple arithmetic."""
    if v.bounds is None:
        return ""
    b = v.bounds
    low, high = size_text(b.low), size_text(b.high)
    if not low or not high:
        return ""
    return f"{'(' if b.low_open else '['}{low}, {high}{')' if b.high_open else ']'}"


def start_text(v: Value) -> str:
    """The start of a state: `0`, `param 0`, `…` for anything longer."""
    if v.kind != "state" or v.start is None:
        return ""
    return ("param " if v.learned else "") + (size_text(v.start) or "…")

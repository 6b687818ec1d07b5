"""Sizes of dims: exact arithmetic with what is known, polynomials where dims stay open.

In:  the dims of a graph with their defining expressions, and sizes the caller bound.
Out: whole-number sizes of every dim that can be computed, a `Poly` for every dim.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor

from seqc.compiler.graph.table import postorder
from seqc.compiler.ir.expr import Apply, DimSize, Expr, Literal_
from seqc.compiler.ir.poly import Poly

HUGE = 64
"""Largest exponent that is evaluated (reliability.md, S5)."""


def _apply(fn: str, v: list[Fraction]) -> Fraction | None:
    match fn:
        case "add":
            return sum(v, Fraction(0))
        case "mul":
            out = Fraction(1)
            for x in v:
                out *= x
            return out
        case "sub":
            return v[0] - v[1]
        case "neg":
            return -v[0]
        case "div":
            return v[0] / v[1] if v[1] else None
        case "pow":
            if v[1].denominator != 1 or abs(v[1]) > HUGE or (v[0] == 0 and v[1] < 0):
                return None
            return v[0] ** int(v[1])
        case "floor":
            return Fraction(floor(v[0]))
        case "ceil":
            return Fraction(ceil(v[0]))
        case "roundup":
            return ceil(v[0] / v[1]) * v[1] if v[1] else None
        case "mod":
            return v[0] % v[1] if v[1] else None
        case "min":
            return min(v)
        case "max":
            return max(v)
    return None


def evaluate(e: Expr, sizes: Mapping[str, int]) -> Fraction | None:
    """The exact value of an expression of literals and dims, None where a dim is open or it is no such expression."""
    memo: dict[int, Fraction | None] = {}
    for node in postorder([e]):
        value: Fraction | None = None
        if isinstance(node, Literal_) and isinstance(node.value, (int, float)) and abs(node.value) < float("inf"):
            value = Fraction(node.value)
        elif isinstance(node, DimSize) and node.dim in sizes:
            value = Fraction(sizes[node.dim])
        elif isinstance(node, Apply):
            args = [memo[id(a)] for a in node.args]
            if all(a is not None for a in args):
                value = _apply(node.fn, [a for a in args if a is not None])
        memo[id(node)] = value
    return memo[id(e)]


def known_sizes(dims: Mapping[str, Expr | None], bound: Mapping[str, int]) -> dict[str, int]:
    """Bound sizes and all that follow from them and the defaults. A value that does not come out whole stays open.

    The checker refuses cycles; a dim defined by a later one is found by going round until nothing is new.
    """
    sizes = dict(bound)
    left = {d: e for d, e in dims.items() if e is not None and d not in sizes}
    progress = True
    while progress and left:
        progress = False
        for d, e in list(left.items()):
            value = evaluate(e, sizes)
            if value is not None:
                del left[d]
                progress = True
                if value.denominator == 1 and value >= 0:
                    sizes[d] = int(value)
    return sizes


def _base(dim: str, definition: Expr) -> bool:
    """A dim that stays a name: declared in the body itself with a plain number as default."""
    return isinstance(definition, Literal_) and not any(c in dim for c in ".'~")


def polynomial(e: Expr, dims: Mapping[str, Expr | None]) -> Poly | None:
    """The expression as a polynomial of *base* dims: those open or with a plain number as default.

    None where it holds what no polynomial says (`ceil`, a division by a sum); such a dim is then a base dim itself.
    """
    memo: dict[int, Poly | None] = {}
    known: dict[str, Poly] = {}

    def of_node(node: Expr) -> Poly | None:
        if isinstance(node, Literal_) and isinstance(node.value, (int, float)) and abs(node.value) < float("inf"):
            return Poly.of(Fraction(node.value))
        if isinstance(node, DimSize):
            return known.get(node.dim, Poly.of(node.dim))
        if not isinstance(node, Apply):
            return None
        args = [memo[id(a)] for a in node.args]
        if any(a is None for a in args):
            return None
        v = [a for a in args if a is not None]
        try:
            match node.fn:
                case "add":
                    return sum(v, Poly())
                case "mul":
                    out = Poly.of(1)
                    for x in v:
                        out = out * x
                    return out
                case "sub":
                    return v[0] - v[1]
                case "neg":
                    return -v[0]
                case "div":
                    return v[0] / v[1]
                case "pow":
                    n = v[1].constant
                    if n is None or n.denominator != 1 or not 0 <= n <= HUGE:
                        return None
                    out = Poly.of(1)
                    for _ in range(int(n)):
                        out = out * v[0]
                    return out
        except (ValueError, ZeroDivisionError):
            return None
        return None

    # dims that the expression needs, definitions first
    order: list[str] = []
    stack = [(n.dim, False) for n in postorder([e]) if isinstance(n, DimSize)]
    seen: set[str] = set()
    while stack:
        dim, ready = stack.pop()
        if ready:
            order.append(dim)
        elif dim not in seen:
            seen.add(dim)
            stack.append((dim, True))
            definition = dims.get(dim)
            if definition is not None and not _base(dim, definition):
                stack.extend((n.dim, False) for n in postorder([definition]) if isinstance(n, DimSize))
    for dim in order:
        definition = dims.get(dim)
        if definition is not None and not _base(dim, definition):
            for node in postorder([definition]):
                memo[id(node)] = of_node(node)
            value = memo[id(definition)]
            if value is not None:
                known[dim] = value
    for node in postorder([e]):
        memo[id(node)] = of_node(node)
    return memo[id(e)]


def decide(fn: str, left: Expr, right: Expr, dims: Mapping[str, Expr | None], sizes: Mapping[str, int]) -> bool | None:
    """A comparison of two size expressions, where it is the same for every choice of the open dims; else None."""
    a, b = evaluate(left, sizes), evaluate(right, sizes)
    if a is not None and b is not None:
        return {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}.get(fn)
    p, q = polynomial(left, dims), polynomial(right, dims)
    if p is None or q is None:
        return None
    difference = (p - q).substitute(sizes).constant
    if difference is None:
        return None
    return {
        "eq": difference == 0,
        "ne": difference != 0,
        "lt": difference < 0,
        "le": difference <= 0,
        "gt": difference > 0,
        "ge": difference >= 0,
    }.get(fn)

"""Algebra on one node: folding of numbers, exact zeros and ones, decided conditions.

In:  a node whose children are canonical and simple.   Out: a simpler canonical node with the same axes, or the same node.
Keeps: values over the reals; axes (a result that lacks some is wrapped in `Expand`); the span of what it came from.
Why:  an exact 0 in front of `c[t-1]` takes the state out of a cycle, an exact 1 makes a coefficient an identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from seqc.compiler.graph.sizes import HUGE, decide
from seqc.compiler.graph.table import Table, number_of
from seqc.compiler.ir.expr import Apply, Axes, Contract, Expand, Expr, Literal_, Reduce, Rename

Number = int | float | bool

COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)),
    "abs": abs,
    "relu": lambda x: max(x, 0),
    "expm1": math.expm1,
    "log1p": math.log1p,
    "sign": lambda x: (x > 0) - (x < 0),
    "floor": math.floor,
    "ceil": math.ceil,
}


class Simplifier:
    """Makes canonical nodes of one table; `dims` and `sizes` decide conditions on sizes."""

    def __init__(self, table: Table, dims: Mapping[str, Expr | None], sizes: Mapping[str, int]) -> None:
        self.table = table
        self.dims = dims
        self.sizes = sizes

    def __call__(self, e: Expr) -> Expr:
        """The canonical simple form of `e`, whose children are canonical."""
        new = self._rule(e)
        if new is None:
            return self.table.intern(e)
        return self.fit(new, e)

    # ---- building blocks ----------------------------------------------------------------------------------------------

    def literal(self, value: Number, like: Expr) -> Expr:
        """A number with the axes of `like`."""
        kind = "bool" if isinstance(value, bool) else like.type if like.type in ("int", "complex") else "real"
        kind = "real" if kind == "int" and not isinstance(value, int) else kind
        return self.fit(self.table.intern(Literal_(value, type=kind, span=like.span)), like)

    def fit(self, e: Expr, like: Expr) -> Expr:
        """`e` with the axes of `like`, repeated along those it lacks."""
        if set(like.axes) <= set(e.axes):
            return e
        while isinstance(e, Expand):
            e = e.arg
        if set(like.axes) <= set(e.axes):
            return e
        return self.table.intern(Expand(e, axes=like.axes, type=e.type, span=like.span))

    def apply(self, fn: str, *args: Expr, like: Expr | None = None) -> Expr:
        """`fn` of canonical nodes, simplified; axes are the union, types the widest (bool for comparisons)."""
        axes: list[str] = list(_widest(args))
        for a in args:
            axes.extend(x for x in a.axes if x not in axes)
        kind = "bool" if fn in COMPARE or fn in ("and", "or", "not") else "real"
        if kind == "real" and fn not in ("re", "im", "abs"):
            values = args[1:] if fn == "where" else args
            kind = "complex" if any(a.type == "complex" for a in values) or fn in ("complex", "cis") else kind
            if all(a.type == "int" for a in values) and fn in ("add", "sub", "mul", "neg", "where", "max", "min", "mod"):
                kind = "int"
        if fn == "mul" and not _nested(args):
            out = args[0]
            for b in args[1:]:
                out = self._product(out, b, like)
            return out
        span = like.span if like is not None else args[0].span
        return self(Apply(fn, tuple(args), axes=tuple(axes), type=kind, span=span))  # type: ignore[arg-type]

    def _product(self, a: Expr, b: Expr, like: Expr | None) -> Expr:
        axes = a.axes + tuple(x for x in b.axes if x not in a.axes)
        kind = "complex" if "complex" in (a.type, b.type) else "real"
        nested = set(a.axes) <= set(b.axes) or set(b.axes) <= set(a.axes)
        span = like.span if like is not None else a.span
        return self(Apply("mul" if nested else "outer", (a, b), axes=axes, type=kind, span=span))  # type: ignore[arg-type]

    # ---- rules --------------------------------------------------------------------------------------------------------

    def _rule(self, e: Expr) -> Expr | None:
        match e:
            case Expand(arg=Expand() as inner):
                return self(replace(e, arg=inner.arg)) if set(inner.arg.axes) <= set(e.axes) else None
            case Expand() if set(e.axes) <= set(e.arg.axes):
                return e.arg
            case Rename():
                return self._rename(e)
            case Contract() if number_of(e.left) == 0 or number_of(e.right) == 0:
                return self.literal(0, e)
            case Contract():
                return self._unit_contract(e)
            case Reduce() if e.fn in ("sum", "mean") and number_of(e.arg) == 0:
                return self.literal(0, e)
            case Apply():
                return self._apply(e)
        return None

    def _rename(self, e: Rename) -> Expr | None:
        pairs = tuple((a, b) for a, b in e.pairs if a != b)
        if not pairs:
            return e.arg
        if isinstance(e.arg, Literal_):
            return e.arg
        if isinstance(e.arg, Expand):
            names = dict(pairs)
            inner = e.arg.arg
            kept = tuple((a, b) for a, b in pairs if a in inner.axes)
            axes = tuple(names.get(a, a) for a in inner.axes)
            moved = self(Rename(inner, kept, axes=axes, type=e.type, span=e.span)) if kept else inner
            return self(Expand(moved, axes=e.axes, type=e.type, span=e.span))
        if isinstance(e.arg, Rename):
            back = dict(e.arg.pairs)
            forth = dict(pairs)
            joined = [(a, forth.pop(b, b)) for a, b in back.items()] + list(forth.items())
            return self(replace(e, arg=e.arg.arg, pairs=tuple(p for p in joined if p[0] != p[1])))
        return replace_pairs(e, pairs, self.table)

    def _unit_contract(self, e: Contract) -> Expr | None:
        for one, other in ((e.left, e.right), (e.right, e.left)):
            if number_of(one) == 1 and set(e.over) <= set(other.axes) and isinstance(one, Expand):
                axes = tuple(a for a in other.axes if a not in e.over)
                return self(Reduce("sum", other, e.over, axes=axes, type=e.type, span=e.span))
        return None

    def _apply(self, e: Apply) -> Expr | None:
        values = [number_of(a) for a in e.args]
        if all(v is not None for v in values):
            folded = _fold(e.fn, [v for v in values if v is not None])
            if folded is not None:
                return self.literal(folded, e)
        if e.fn in COMPARE:
            known = decide(e.fn, e.args[0], e.args[1], self.dims, self.sizes)
            return self.literal(known, e) if known is not None else None
        rule = RULES.get(e.fn)
        return rule(self, e, values) if rule is not None else None

    def _add_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        return self._chain(e, v, 0, "add")

    def _mul_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if any(x == 0 and x is not None for x in v):
            return self.literal(0, e)
        return self._chain(e, v, 1, "mul")

    def _chain(self, e: Apply, v: list[Number | None], unit: int, fn: str) -> Expr | None:
        rest = [a for a, x in zip(e.args, v, strict=True) if x is None or x != unit]
        if len(rest) == len(e.args):
            return None
        if not rest:
            return self.literal(unit, e)
        if len(rest) == 1:
            return rest[0]
        return self.apply(fn, *rest, like=e)

    def _sub_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if v[1] is not None and v[1] == 0:
            return e.args[0]
        if v[0] is not None and v[0] == 0:
            return self.apply("neg", e.args[1], like=e)
        return None

    def _neg_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        inner = e.args[0]
        return inner.args[0] if isinstance(inner, Apply) and inner.fn == "neg" else None

    def _div_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if v[0] is not None and v[0] == 0 and v[1] != 0:
            return self.literal(0, e)
        return e.args[0] if v[1] is not None and v[1] == 1 else None

    def _pow_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if v[1] is not None and v[1] == 0:
            return self.literal(1, e)
        return e.args[0] if v[1] is not None and v[1] == 1 else None

    def _where_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if isinstance(v[0], bool):
            return e.args[1] if v[0] else e.args[2]
        if e.args[1] is e.args[2]:
            return e.args[1]
        return None

    def _and_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if any(x is False for x in v):
            return self.literal(False, e)
        return self._logical(e, v, True, "and")

    def _or_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        if any(x is True for x in v):
            return self.literal(True, e)
        return self._logical(e, v, False, "or")

    def _logical(self, e: Apply, v: list[Number | None], unit: bool, fn: str) -> Expr | None:
        rest = [a for a, x in zip(e.args, v, strict=True) if x is not unit]
        if len(rest) == len(e.args):
            return None
        return self.literal(unit, e) if not rest else rest[0] if len(rest) == 1 else self.apply(fn, *rest, like=e)

    def _re_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        return e.args[0] if e.args[0].type != "complex" else None

    def _stop_(self, e: Apply, v: list[Number | None]) -> Expr | None:
        return e.args[0] if v[0] is not None else None


RULES: dict[str, Callable[[Simplifier, Apply, list[Number | None]], Expr | None]] = {
    "add": Simplifier._add_,
    "mul": Simplifier._mul_,
    "outer": Simplifier._mul_,
    "sub": Simplifier._sub_,
    "neg": Simplifier._neg_,
    "div": Simplifier._div_,
    "pow": Simplifier._pow_,
    "where": Simplifier._where_,
    "and": Simplifier._and_,
    "or": Simplifier._or_,
    "re": Simplifier._re_,
    "conj": Simplifier._re_,
    "stop": Simplifier._stop_,
}


def replace_pairs(e: Rename, pairs: tuple[tuple[str, str], ...], table: Table) -> Expr | None:
    """The renaming without pairs that do nothing, None where there were none."""
    return table.intern(replace(e, pairs=pairs)) if pairs != e.pairs else None


def _widest(args: tuple[Expr, ...]) -> Axes:
    widest: Axes = ()
    for a in args:
        widest = a.axes if len(a.axes) > len(widest) else widest
    return widest


def _nested(args: tuple[Expr, ...]) -> bool:
    """Whether one operand has the axes of all others."""
    biggest = set(_widest(args))
    return all(set(a.axes) <= biggest for a in args)


def _fold(fn: str, v: list[Number]) -> Number | None:
    """A function of numbers; exact for whole numbers, None where it is not defined or would not stay small."""
    if fn in ("not",):
        return not v[0]
    if fn == "where":
        return v[1] if v[0] else v[2]
    if any(isinstance(x, bool) for x in v):
        return None
    try:
        return _arithmetic(fn, v)
    except (OverflowError, ValueError, ZeroDivisionError):
        return None


def _arithmetic(fn: str, v: list[Number]) -> Number | None:
    match fn:
        case "add":
            return sum(v)
        case "mul" | "outer":
            return math.prod(v)
        case "sub":
            return v[0] - v[1]
        case "neg":
            return -v[0]
        case "div":
            exact = isinstance(v[0], int) and isinstance(v[1], int) and v[0] % v[1] == 0
            return v[0] // v[1] if exact else v[0] / v[1]
        case "pow":
            if isinstance(v[0], int) and isinstance(v[1], int):
                if abs(v[1]) > HUGE:
                    return None
                exact_power = Fraction(v[0]) ** v[1]
                return int(exact_power) if exact_power.denominator == 1 else float(exact_power)
            return v[0] ** v[1] if v[0] >= 0 else None
        case "min":
            return min(v)
        case "max":
            return max(v)
        case "mod":
            return v[0] % v[1]
        case "eq":
            return v[0] == v[1]
        case "ne":
            return v[0] != v[1]
        case "lt":
            return v[0] < v[1]
        case "le":
            return v[0] <= v[1]
        case "gt":
            return v[0] > v[1]
        case "ge":
            return v[0] >= v[1]
    if fn in _UNARY:
        value = _UNARY[fn](v[0])
        return int(value) if isinstance(v[0], int) and fn in ("abs", "relu", "sign", "floor", "ceil") else value
    return None

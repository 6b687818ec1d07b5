"""Interval arithmetic over the reals, with open and closed ends.

Ranges are proved over the reals (language.md section 6): `sigmoid` is in (0, 1) although `sigmoid(20)` is 1 in fp32. Sums,
differences and products of bounded terms are also evaluated as one multilinear function at the corners of its box, which proves
convex combinations such as `low + (1 - low) * g`; the tighter of the two results counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Expr

INF = math.inf


@dataclass(frozen=True, slots=True)
class Interval:
    """`low` to `high`; an infinite end is open unless it is reached (`init -inf`)."""

    low: float = -INF
    high: float = INF
    low_open: bool = True
    high_open: bool = True

    def within(self, other: Interval) -> bool:
        """Whether every value of this lies in `other`."""
        low = self.low > other.low or self.low == other.low and (self.low_open or not other.low_open)
        high = self.high < other.high or self.high == other.high and (self.high_open or not other.high_open)
        return low and high

    def join(self, other: Interval) -> Interval:
        """The smallest interval around both."""
        low, lo = min((self.low, self.low_open), (other.low, other.low_open))
        high, ho = max((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low, high, lo, not ho)

    def meet(self, other: Interval) -> Interval:
        """What both hold."""
        low, lo = max((self.low, self.low_open), (other.low, other.low_open))
        high, ho = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low, high, lo, not ho)

    def __str__(self) -> str:
        return f"{'(' if self.low_open else '['}{_number(self.low)}, {_number(self.high)}{')' if self.high_open else ']'}"


def _number(v: float) -> str:
    return "inf" if v == INF else "-inf" if v == -INF else f"{v:g}"


ALL = Interval()
POSITIVE = Interval(0, INF)
NATURAL = Interval(1, INF, False, True)


def point(v: float) -> Interval:
    """One value."""
    return Interval(v, v, False, False)


def add(a: Interval, b: Interval) -> Interval:
    """Sum."""
    low = -INF if -INF in (a.low, b.low) else a.low + b.low
    high = INF if INF in (a.high, b.high) else a.high + b.high
    return Interval(low, high, a.low_open or b.low_open, a.high_open or b.high_open)


def negative(a: Interval) -> Interval:
    """Minus."""
    return Interval(-a.high, -a.low, a.high_open, a.low_open)


def times(a: Interval, b: Interval) -> Interval:
    """Product."""
    corners = []
    for p, po in ((a.low, a.low_open), (a.high, a.high_open)):
        for q, qo in ((b.low, b.low_open), (b.high, b.high_open)):
            zero = p == 0 or q == 0
            v = 0.0 if zero else p * q
            closed_zero = (p == 0 and not po) or (q == 0 and not qo)
            corners.append((v, (po or qo) and not (zero and closed_zero)))
    low = min(corners, key=lambda c: (c[0], c[1]))
    high = max(corners, key=lambda c: (c[0], not c[1]))
    return Interval(low[0], high[0], low[1], high[1])


def inverse(a: Interval) -> Interval:
    """1 / a, for an interval on one side of zero."""
    if a.low > 0 or a.low == 0 and a.low_open and a.high > 0:
        return Interval(
            0.0 if a.high == INF else 1 / a.high,
            INF if a.low == 0 else 1 / a.low,
            True if a.high == INF else a.high_open,
            True if a.low == 0 else a.low_open,
        )
    if a.high < 0 or a.high == 0 and a.high_open and a.low < 0:
        return negative(inverse(negative(a)))
    return ALL


def _exp(v: float) -> float:
    return INF if v > 709 else 0.0 if v == -INF else math.exp(v)


def monotone(f: Callable[[float], float], a: Interval, low_limit_open: bool = True, high_limit_open: bool = True) -> Interval:
    """The image under an increasing function; where an end is infinite the limit is not reached unless the end was."""
    return Interval(
        f(a.low), f(a.high), a.low_open or a.low == -INF and low_limit_open, a.high_open or a.high == INF and high_limit_open
    )


def _sigmoid(v: float) -> float:
    return 1.0 if v == INF else 0.0 if v == -INF else (1 / (1 + math.exp(-v)) if v > -700 else 0.0)


def _softplus(v: float) -> float:
    return INF if v == INF else v if v > 30 else math.log1p(_exp(v))


INCREASING: dict[str, Callable[[float], float]] = {
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "exp": _exp,
    "expm1": lambda v: INF if v > 709 else math.expm1(v),
    "softplus": _softplus,
    "logsigmoid": lambda v: -_softplus(-v) if v != -INF else -INF,
    "atan": math.atan,
    "relu": lambda v: max(v, 0.0),
    "floor": lambda v: v if math.isinf(v) else float(math.floor(v)),
    "ceil": lambda v: v if math.isinf(v) else float(math.ceil(v)),
    "log": lambda v: -INF if v <= 0 else INF if v == INF else math.log(v),
    "log1p": lambda v: -INF if v <= -1 else INF if v == INF else math.log1p(v),
    "sqrt": lambda v: INF if v == INF else math.sqrt(max(v, 0.0)),
}


def multilinear(e: Expr, of: Callable[[Expr], Interval]) -> Interval | None:
    """The range of a sum of products at the corners of the box of its atoms; None where it is not linear in each atom, has too
    many atoms, or an atom is not bounded."""
    atoms: list[tuple[Expr, Interval]] = []

    def index(a: Expr) -> int:
        for i, (b, _) in enumerate(atoms):
            if a is b or a == b:
                return i
        atoms.append((a, of(a)))
        return len(atoms) - 1

    Poly = dict[frozenset[int], float]

    def poly(n: Expr) -> Poly | None:
        match n:
            case x.Literal_(value=v) if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v):
                return {frozenset(): float(v)}
            case x.Expand(arg=a):
                return poly(a)
            case x.Apply(fn="neg", args=(a,)):
                p = poly(a)
                return None if p is None else {k: -c for k, c in p.items()}
            case x.Apply(fn="add" | "sub" as fn, args=args):
                total: Poly = {}
                for i, a in enumerate(args):
                    p = poly(a)
                    if p is None:
                        return None
                    for k, c in p.items():
                        total[k] = total.get(k, 0.0) + (-c if fn == "sub" and i else c)
                return total
            case x.Apply(fn="mul" | "outer", args=args):
                out: Poly = {frozenset(): 1.0}
                for a in args:
                    p = poly(a)
                    if p is None:
                        return None
                    new: Poly = {}
                    for k1, c1 in out.items():
                        for k2, c2 in p.items():
                            if k1 & k2:
                                return None
                            new[k1 | k2] = new.get(k1 | k2, 0.0) + c1 * c2
                    out = new
                    if len(out) > 64:
                        return None
                return out
        return {frozenset({index(n)}): 1.0}

    p = poly(e)
    if p is None or not 1 <= len(atoms) <= 8:
        return None
    used = sorted(set().union(*p.keys()))
    if any(math.isinf(atoms[i][1].low) or math.isinf(atoms[i][1].high) for i in used):
        return None
    low, high = INF, -INF
    for corner in itertools.product((0, 1), repeat=len(used)):
        at = {i: (atoms[i][1].high if c else atoms[i][1].low) for i, c in zip(used, corner, strict=True)}
        v = sum(c * math.prod(at[i] for i in k) for k, c in p.items())
        low, high = min(low, v), max(high, v)
    return Interval(low, high, False, False)


def table(values: Mapping[str, Interval]) -> Callable[[str], Interval]:
    """Looks intervals up by name."""
    return lambda name: values.get(name, ALL)

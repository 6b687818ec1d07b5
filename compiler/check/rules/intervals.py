"""Interval arithmetic over the reals, with open and closed ends.

Ranges are proved over the reals (language.md section 6): `sigmoid` is in (0, 1) although `sigmoid(20)` is 1 in fp32. Sums,
differences and products of bounded terms are also evaluated as one multilinear function at the corners of its box, which proves
convex combinations such as `low + (1 - low) * g`; the tighter of the two results counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
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
    """Minus (and no minus zero)."""
    return Interval(-a.high or 0.0, -a.low or 0.0, a.high_open, a.low_open)


def any_sum(a: Interval) -> Interval:
    """A sum of any number of values, none included: only the sign is known."""
    low, high = (0.0 if a.low >= 0 else -INF), (0.0 if a.high <= 0 else INF)
    return Interval(low, high, low == -INF and (a.low > -INF or a.low_open), high == INF and (a.high < INF or a.high_open))


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


STRICT = frozenset("sigmoid tanh exp expm1 softplus logsigmoid atan log log1p sqrt".split())
"""Of these, the ones that reach no value twice."""


def increasing(fn: str, a: Interval) -> Interval:
    """The image under a function of `INCREASING`; a limit is reached only where the infinite end is."""
    if fn in ("log", "sqrt") and a.low < 0:
        a = Interval(0, max(a.high, 0.0), False, a.high_open and a.high > 0)
    if fn == "log1p" and a.low < -1:
        a = Interval(-1, max(a.high, -1.0), False, a.high_open and a.high > -1)
    f = INCREASING[fn]
    low, high = f(a.low) + 0.0, f(a.high) + 0.0  # no minus zero
    if fn not in STRICT:
        return Interval(low, high, a.low_open and low == -INF, a.high_open and high == INF)
    rounded_low = math.isfinite(a.low) and low == f(-INF) and fn not in ("log", "log1p", "sqrt")
    rounded_high = math.isfinite(a.high) and high == f(INF)
    return Interval(low, high, a.low_open or rounded_low, a.high_open or rounded_high)


def power(base: float, exponent: float) -> Interval:
    """One number to the power of another; both are finite."""
    if base <= 0:
        return Interval(0, INF, False, True)
    try:
        return point(float(base) ** float(exponent))
    except OverflowError:
        return Interval(0, INF, True, True)


def multilinear(e: Expr, of: Callable[[Expr], Interval], number: Callable[[Expr], int]) -> Interval | None:
    """The range of a sum of products at the corners of the box of its atoms; None where it is not linear in each atom, has too
    many atoms or terms, or an atom is not bounded. `number` gives equal expressions equal numbers."""
    atoms: dict[int, Interval] = {}
    spent = 0

    Poly = dict[frozenset[int], float]

    def poly(n: Expr) -> Poly | None:
        nonlocal spent
        spent += 1
        if spent > 200 or len(atoms) > 8:
            return None
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
        key = number(n)
        if key not in atoms:
            atoms[key] = of(n)
        return {frozenset({key}): 1.0}

    p = poly(e)
    if p is None or not 1 <= len(atoms) <= 8:
        return None
    used = sorted(set().union(*p.keys()))
    if any(math.isinf(atoms[i].low) or math.isinf(atoms[i].high) for i in used):
        return None
    low, high = INF, -INF
    for corner in itertools.product((0, 1), repeat=len(used)):
        at = {i: (atoms[i].high if c else atoms[i].low) for i, c in zip(used, corner, strict=True)}
        v = sum(c * math.prod(at[i] for i in k) for k, c in p.items())
        low, high = min(low, v), max(high, v)
    return Interval(low, high, False, False)

"""Exact arithmetic of sizes: rationals that must end in a whole number.

In:   a typed expression of literals, dims and + - * / ^ ceil floor roundup min max; the sizes known so far.
Out:  an int.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Expr

LARGEST = 2**31 - 1
"""The largest size of a dim."""
BITS = 4096
"""How long numerator and denominator together may become on the way."""


class NotWhole(Exception):
    """A size that is no whole number; `value` is what came out."""

    def __init__(self, value: Fraction) -> None:
        super().__init__(str(value))
        self.value = value


class NoSize(Exception):
    """A size that cannot be one: negative, too large, or divided by zero. Its text ends the sentence "the dim `K` …"."""


def evaluate(e: Expr, dims: Mapping[str, int]) -> int:
    """The size. Raises `NotWhole`, `NoSize`, and `KeyError` for a dim that is not known.

    >>> from seqc.compiler.ir.expr import Apply, DimSize, Literal_
    >>> evaluate(Apply("div", (DimSize("D"), Literal_(4))), {"D": 64})
    16
    """
    value = rational(e, dims)
    if value.denominator != 1:
        raise NotWhole(value)
    if not 0 <= value <= LARGEST:
        raise NoSize(f"comes out as {value}; a size lies between 0 and {LARGEST}")
    return value.numerator


def rational(e: Expr, dims: Mapping[str, int]) -> Fraction:
    """The exact value."""
    found = _rational(e, dims)
    if abs(found.numerator).bit_length() + found.denominator.bit_length() > BITS:
        raise NoSize(f"comes out too large; a size lies between 0 and {LARGEST}")
    return found


def _rational(e: Expr, dims: Mapping[str, int]) -> Fraction:
    match e:
        case x.Literal_(value=bool()) | x.Literal_(value=str()):
            raise KeyError("no number")
        case x.Literal_(value=v):
            if isinstance(v, float) and not math.isfinite(v):
                raise KeyError("no size")
            return Fraction(v)
        case x.DimSize(dim=d):
            return Fraction(dims[d])
        case x.Apply(fn=fn, args=args):
            parts = [rational(a, dims) for a in args]
            match fn:
                case "add":
                    return sum(parts, Fraction(0))
                case "sub":
                    return parts[0] - parts[1]
                case "mul":
                    return math.prod(parts, start=Fraction(1))
                case "div":
                    if parts[1] == 0:
                        raise NoSize("divides by zero")
                    return parts[0] / parts[1]
                case "neg":
                    return -parts[0]
                case "floor":
                    return Fraction(math.floor(parts[0]))
                case "ceil":
                    return Fraction(math.ceil(parts[0]))
                case "roundup":
                    if parts[1] == 0:
                        raise NoSize("is rounded up to a multiple of zero")
                    return Fraction(math.ceil(parts[0] / parts[1])) * parts[1]
                case "min":
                    return min(parts)
                case "max":
                    return max(parts)
                case "pow":
                    return _power(parts[0], parts[1])
    raise KeyError("not arithmetic of dims")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise KeyError("a root is no size")
    if base == 0 and exponent < 0:
        raise NoSize("divides by zero")
    if abs(exponent) > 64:
        raise NoSize("has an exponent beyond 64")
    return base ** int(exponent)

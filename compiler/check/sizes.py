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


class NotWhole(Exception):
    """A size that is no whole number; `value` is what came out."""

    def __init__(self, value: Fraction) -> None:
        super().__init__(str(value))
        self.value = value


def evaluate(e: Expr, dims: Mapping[str, int]) -> int:
    """The size. Raises `NotWhole`, and `KeyError` for a dim that is not known.

    >>> from seqc.compiler.ir.expr import Apply, DimSize, Literal_
    >>> evaluate(Apply("div", (DimSize("D"), Literal_(4))), {"D": 64})
    16
    """
    value = rational(e, dims)
    if value.denominator != 1:
        raise NotWhole(value)
    return value.numerator


def rational(e: Expr, dims: Mapping[str, int]) -> Fraction:
    """The exact value."""
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
                        raise KeyError("division by zero")
                    return parts[0] / parts[1]
                case "neg":
                    return -parts[0]
                case "floor":
                    return Fraction(math.floor(parts[0]))
                case "ceil":
                    return Fraction(math.ceil(parts[0]))
                case "roundup":
                    return Fraction(math.ceil(parts[0] / parts[1])) * parts[1]
                case "min":
                    return min(parts)
                case "max":
                    return max(parts)
                case "pow" if parts[1].denominator == 1 and abs(parts[1]) <= 64 and (parts[0] != 0 or parts[1] >= 0):
                    return parts[0] ** int(parts[1])
    raise KeyError("not arithmetic of dims")

"""The functions of the language on Python numbers: sizes, literals, consts without axes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any


def number(name: str, *args: Any) -> Any:
    """A function of Python numbers, as `name` of the language says."""
    a = [float(x) if isinstance(x, Fraction) else x for x in args]
    x = a[0]
    match name:
        case "sigmoid":
            return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
        case "softplus":
            return max(x, 0) + math.log1p(math.exp(-abs(x)))
        case "logsigmoid":
            return min(x, 0) - math.log1p(math.exp(-abs(x)))
        case "silu":
            return x * number("sigmoid", x)
        case "gelu":
            return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))
        case "relu":
            return max(x, 0)
        case "sign":
            return (x > 0) - (x < 0)
        case "log":
            return -math.inf if x == 0 else math.log(x)
        case "expdiff":
            return 0.0 if a[0] == -math.inf else math.exp(a[0] - a[1])
        case "logaddexp":
            top = max(a)
            return top if top == -math.inf else top + math.log(sum(math.exp(v - top) for v in a))
        case "pow":
            return math.inf if a[0] == 0 and a[1] < 0 else a[0] ** a[1]
        case "floor":
            return math.floor(args[0])
        case "ceil":
            return math.ceil(args[0])
        case "roundup":
            return math.ceil(Fraction(args[0]) / Fraction(args[1])) * args[1]
        case "mod":
            return a[0] % a[1]
        case "abs":
            return abs(x)
        case "bitlen":
            return int(x).bit_length()
        case "xor":
            return int(a[0]) ^ int(a[1])
        case "cis":
            return complex(math.cos(x), math.sin(x))
        case "complex":
            return complex(a[0], a[1])
        case "re" | "im" | "conj":
            z = complex(x)
            return {"re": z.real, "im": z.imag, "conj": z.conjugate()}[name]
        case "stop":
            return x
        case "through":
            return x
    return getattr(math, name)(x)

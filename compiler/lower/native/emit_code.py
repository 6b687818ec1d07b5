"""Statements as C: one expression for vectors, one for scalars, both through the functions of vecmath.h.

In:   a statement and the C names of what it reads.        Out: the text of an expression.
A product that only one sum reads becomes part of it (`fma`, one rounding); the tail of a vector loop runs the same text, so it
has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from seqc.compiler.ir.kernel import Apply, Arg, Reduce, Statement, Var, reads_of

DIRECT = frozenset(
    (
        "exp",
        "expm1",
        "log",
        "log1p",
        "tanh",
        "sigmoid",
        "silu",
        "softplus",
        "logsigmoid",
        "sin",
        "cos",
        "atan",
        "erf",
        "pow",
        "sqrt",
        "rsqrt",
        "gelu",
        "logaddexp",
        "expdiff",
        "abs",
        "floor",
        "ceil",
        "sign",
        "relu",
        "min",
        "max",
        "mod",
        "lt",
        "le",
        "eq",
    )
)
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def literal(x: float) -> str:
    """A number as C writes it, exactly."""
    if x != x:
        return '(R)__builtin_nan("")'
    if x in (float("inf"), float("-inf")):
        return "(R)__builtin_inf()" if x > 0 else "(R)-__builtin_inf()"
    return f"(R){float(x)!r}" if float(x).is_integer() and abs(x) < 1e6 else f"(R){float(x).hex()}"


def fused(statements: Iterable[Statement], kept: set[int]) -> set[int]:
    """Products that become part of the one sum that reads them."""
    these = list(statements)
    readers: dict[int, list[Statement]] = {}
    for s in these:
        for v in reads_of(s):
            readers.setdefault(v.id, []).append(s)
    out: set[int] = set()
    for s in these:
        found = readers.get(s.out.id, [])
        if isinstance(s, Apply) and s.fn == "mul" and s.out.id not in kept and len(found) == 1:
            by = found[0]
            if isinstance(by, Apply) and by.fn in ("add", "sub") and by.out.axes == s.out.axes and by.args[0] != by.args[1]:
                other = by.args[1] if by.args[0] == s.out else by.args[0]
                if not (isinstance(other, Var) and other.id in out):
                    out.add(s.out.id)
    return out


@dataclass(slots=True)
class Writer:
    """Writes expressions; `vector` chooses the form, `name` gives the C name of a value in this nest."""

    vector: bool
    name: Callable[[Var], str]
    products: dict[int, Apply] = field(default_factory=dict)

    @property
    def macro(self) -> str:
        """The macro that picks a function's form."""
        return "VF" if self.vector else "SF"

    def arg(self, a: Arg) -> str:
        """An operand."""
        if isinstance(a, Var):
            return self.name(a)
        return f"VF(set)({literal(a)})" if self.vector else literal(a)

    def call(self, fn: str, *args: str) -> str:
        """A function of vecmath.h."""
        return f"{self.macro}({fn})({', '.join(args)})"

    def truth(self, a: Arg) -> str:
        """A truth value."""
        if isinstance(a, Var):
            return self.name(a)
        return self.call("eq", self.arg(0.0), self.arg(0.0 if a else 1.0))

    def value(self, s: Apply) -> str:
        """The right-hand side of a statement."""
        fn, a = s.fn, s.args
        if fn in ("add", "sub"):
            made = self.sum(s)
            if made is not None:
                return made
        if fn in SIGNS:
            return f"{self.arg(a[0])} {SIGNS[fn]} {self.arg(a[1])}"
        match fn:
            case "neg":
                return f"-{self.arg(a[0])}"
            case "copy":
                return self.arg(a[0])
            case "ne":
                return self.call("not", self.call("eq", self.arg(a[0]), self.arg(a[1])))
            case "not":
                return self.call("not", self.truth(a[0]))
            case "and" | "or":
                return f"{self.truth(a[0])} {'&' if fn == 'and' else '|'} {self.truth(a[1])}"
            case "where":
                return self.call("sel", self.truth(a[0]), self.arg(a[1]), self.arg(a[2]))
            case "number":
                return self.call("sel", self.truth(a[0]), self.arg(1.0), self.arg(0.0))
        assert fn in DIRECT, fn
        return self.call(fn, *(self.arg(x) for x in a))

    def sum(self, s: Apply) -> str | None:
        """`a * b + c` where the product is used nowhere else."""
        x, y = s.args
        if isinstance(x, Var) and x.id in self.products:
            p = self.products[x.id]
            third = self.arg(y) if s.fn == "add" else f"-{self.arg(y)}"
            return self.call("fma", self.arg(p.args[0]), self.arg(p.args[1]), third)
        if isinstance(y, Var) and y.id in self.products:
            p = self.products[y.id]
            first = self.arg(p.args[0])
            return self.call("fma", first if s.fn == "add" else f"-{first}", self.arg(p.args[1]), self.arg(x))
        return None


def start_of(r: Reduce) -> float:
    """What a reduction begins with."""
    return {"sum": 0.0, "max": float("-inf"), "min": float("inf")}[r.fn]

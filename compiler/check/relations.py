"""How far an index reaches: whether a position is provably before this step, and how many steps back a relation goes.

Index expressions are linear forms over the numbers of the chain and its second names, plus a rest whose bounds interval
arithmetic gives (dims are at least 1, `mod(a, n)` lies in 0..n-1, ranges in their ends). A relation's condition is read as a
conjunction of such forms; what is not linear adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Expr

INF = float("inf")
TERMS = 1000
"""So many terms of an index are looked at; of longer ones nothing is known (subtrees may be shared many times)."""


@dataclass(frozen=True, slots=True)
class Form:
    """`sum(coefficient * number) + rest`; `rest` as signed expressions."""

    numbers: tuple[tuple[str, int], ...]
    rest: tuple[tuple[int, Expr], ...]

    def count(self, name: str) -> int:
        """The coefficient of one index."""
        return dict(self.numbers).get(name, 0)


def form(e: Expr, names: set[str], sign: int = 1) -> Form:
    """`e` as a linear form over the numbers in `names`."""
    numbers: dict[str, int] = {}
    rest: list[tuple[int, Expr]] = []
    stack = [(sign, e)]
    for _ in range(TERMS):
        if not stack:
            break
        k, n = stack.pop()
        match n:
            case x.Number(of=of) if of in names:
                numbers[of] = numbers.get(of, 0) + k
            case x.Apply(fn="add", args=args):
                stack.extend((k, a) for a in reversed(args))
            case x.Apply(fn="sub", args=(a, b)):
                stack.append((-k, b))
                stack.append((k, a))
            case x.Apply(fn="neg", args=(a,)):
                stack.append((-k, a))
            case _:
                rest.append((k, n))
    if stack:
        return Form((), ((sign, e),))
    return Form(tuple((n, k) for n, k in sorted(numbers.items()) if k), tuple(rest))


@dataclass(frozen=True, slots=True)
class Ranges:
    """What is known of the indices of a body: numbers of ranges, and relations to the chain."""

    numbers: Mapping[str, tuple[float, float]]

    def of(self, e: Expr) -> tuple[float, float]:
        """The least and greatest value of an integer expression, as far as is known."""
        return self._of(e, {})

    def _of(self, e: Expr, seen: dict[int, tuple[float, float]]) -> tuple[float, float]:
        """The same; `seen` has what is known of shared subtrees."""
        if id(e) not in seen:
            seen[id(e)] = self._bounds(e, seen)
        return seen[id(e)]

    def _bounds(self, e: Expr, seen: dict[int, tuple[float, float]]) -> tuple[float, float]:
        def of(part: Expr) -> tuple[float, float]:
            return self._of(part, seen)

        match e:
            case x.Literal_(value=bool()):
                return 0, 1
            case x.Literal_(value=int() | float() as v):
                return v, v
            case x.DimSize(dim=d):
                return self.numbers.get(d, (1, INF))
            case x.Length():
                return 0, INF
            case x.Number(of=axis):
                return self.numbers.get(axis, (0, INF))
            case x.Apply(fn="add", args=args):
                parts = [of(a) for a in args]
                return sum(p[0] for p in parts), sum(p[1] for p in parts)
            case x.Apply(fn="sub", args=(a, b)):
                (al, ah), (bl, bh) = of(a), of(b)
                return al - bh, ah - bl
            case x.Apply(fn="neg", args=(a,)):
                low, high = of(a)
                return -high, -low
            case x.Apply(fn="mul", args=args):
                low, high = 1.0, 1.0
                for a in args:
                    l2, h2 = of(a)
                    corners = [0.0 if 0 in (p, q) else p * q for p in (low, high) for q in (l2, h2)]
                    low, high = min(corners), max(corners)
                return low, high
            case x.Apply(fn="floor" | "ceil" | "div", args=args) if e.fn != "div" or isinstance(args[-1], x.Literal_ | x.DimSize):
                low, high = of(args[0])
                if e.fn == "div":
                    dl, dh = of(args[1])
                    return (low / dh if low >= 0 else low / dl, high / dl if high >= 0 else high / dh) if dl > 0 else (-INF, INF)
                return (float("-inf") if low == -INF else low - (e.fn == "floor" and low != int(low)), high)
            case x.Apply(fn="mod", args=(_, n)):
                return 0, of(n)[1] - 1
            case x.Apply(fn="abs", args=(a,)):
                low, high = of(a)
                return (0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
            case x.Apply(fn="max", args=args):
                parts = [of(a) for a in args]
                return max(p[0] for p in parts), max(p[1] for p in parts)
            case x.Apply(fn="min", args=args):
                parts = [of(a) for a in args]
                return min(p[0] for p in parts), min(p[1] for p in parts)
            case x.Apply(fn="where", args=(_, a, b)):
                (al, ah), (bl, bh) = of(a), of(b)
                return min(al, bl), max(ah, bh)
        return -INF, INF

    def rest(self, f: Form) -> tuple[float, float]:
        """Bounds of a form's rest."""
        low = high = 0.0
        for k, e in f.rest:
            a, b = self.of(e)
            low, high = low + (a if k > 0 else -b) * abs(k), high + (b if k > 0 else -a) * abs(k)
        return low, high


def conditions(e: Expr) -> Iterator[tuple[str, Expr, Expr]]:
    """The comparisons of a conjunction as (`le` or `lt`, a, b); `abs(d) <= w` is two of them."""
    stack = [e]
    for _ in range(TERMS):
        if not stack:
            return
        n = stack.pop()
        match n:
            case x.Apply(fn="and", args=args):
                stack.extend(args)
            case x.Apply(fn="le" | "lt" as op, args=(x.Apply(fn="abs", args=(d,)), w)):
                yield op, d, w
                yield op, x.Apply("neg", (d,), type=d.type), w
            case x.Apply(fn="le" | "lt" as op, args=(a, b)):
                yield op, a, b
            case x.Apply(fn="ge" | "gt" as op, args=(w, x.Apply(fn="abs", args=(d,)))):
                yield ("le" if op == "ge" else "lt"), d, w
                yield ("le" if op == "ge" else "lt"), x.Apply("neg", (d,), type=d.type), w
            case x.Apply(fn="ge" | "gt" as op, args=(a, b)):
                yield ("le" if op == "ge" else "lt"), b, a
            case x.Apply(fn="eq", args=(a, b)):
                yield "le", a, b
                yield "le", b, a


@dataclass(frozen=True, slots=True)
class Reach:
    """What a relation `s of t` proves: the greatest `s - t`, and how many steps back it goes at most (None: no bound)."""

    ahead: float
    back: Expr | None


def _scaled(f: Form, s: str, ranges: Ranges) -> Form | None:
    """`f` without its one term `s * B`, where B is at least 1: positions count from 0, so `s` is no greater than that."""
    for n, (sign, e) in enumerate(f.rest):
        if sign == 1 and isinstance(e, x.Apply) and e.fn == "mul" and len(e.args) == 2:
            for a, b in (e.args, e.args[::-1]):
                if isinstance(a, x.Number) and a.of == s and ranges.of(b)[0] >= 1:
                    return Form(f.numbers, f.rest[:n] + f.rest[n + 1 :])
    return None


def reach(condition: Expr | None, s: str, t: str, ranges: Ranges) -> Reach:
    """Reads a relation's condition."""
    ahead, back = INF, None
    for op, a, b in conditions(condition) if condition is not None else ():
        f = form(x.Apply("sub", (a, b)), {s, t})
        strict = 1 if op == "lt" else 0
        if (f.count(s), f.count(t)) == (1, -1):
            ahead = min(ahead, -ranges.rest(f)[0] - strict)
        elif (f.count(s), f.count(t)) == (0, -1) and (g := _scaled(f, s, ranges)) is not None:
            ahead = min(ahead, max(0, -ranges.rest(g)[0] - strict))
        elif (
            (f.count(s), f.count(t)) == (-1, 1)
            and back is None
            and not any(n.axes or isinstance(n, x.Read) for _, r in f.rest for n in x.walk(r))
        ):
            terms: list[Expr] = [e if k < 0 else x.Apply("neg", (e,), type=e.type) for k, e in f.rest for _ in range(abs(k))]
            if strict:
                terms.append(x.Literal_(-1, type="int"))
            back = terms[0] if len(terms) == 1 else x.Apply("add", tuple(terms), type="int") if terms else x.Literal_(0, type="int")
            if any(n.type == "real" for n in terms):
                back = x.Apply("floor", (back,), type="int")
    return Reach(ahead, back)

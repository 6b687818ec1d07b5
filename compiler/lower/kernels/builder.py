"""Makes kernel statements: every value once, literals folded.

In:   functions and operands, in any order that computes operands first.
Out:  statements in two lists, those that do not change in time and those of a step; a value that was already made is handed
      out again.
Keeps: values bit by bit (nothing is re-associated); `x * 0` stays, because x may be infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import BOOL_FUNCTIONS, Apply, Arg, Product, Reduce, Rename, Statement, ValueType, Var, args_of

_FOLD: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "abs": abs,
    "relu": lambda a: max(a, 0.0),
    "min": min,
    "max": max,
    "floor": lambda a: float(math.floor(a)),
    "ceil": lambda a: float(math.ceil(a)),
    "lt": lambda a, b: float(a < b),
    "le": lambda a, b: float(a <= b),
    "eq": lambda a, b: float(a == b),
    "ne": lambda a, b: float(a != b),
    "sign": lambda a: float((a > 0) - (a < 0)),
    "number": lambda a: a,
    "not": lambda a: 1.0 - a,
    "and": lambda a, b: a * b,
    "or": lambda a, b: max(a, b),
}


class Builder:
    """Statements of one kernel in the making. `axes` is the kernel's order of axes."""

    def __init__(self, axes: Axes, first: int = 0) -> None:
        self.axes = axes
        self.next_id = first
        self.prologue: list[Statement] = []
        self.step: list[Statement] = []
        self.target: list[Statement] | None = None
        self.steady: set[int] = set()
        self._made: dict[tuple[object, ...], Var] = {}
        self._by_id: dict[int, Statement] = {}

    # ---- values -------------------------------------------------------------------------------------------------------

    def var(self, axes: Iterable[str], kind: ValueType = "real", hint: str = "", steady: bool = False) -> Var:
        """A fresh value; `steady` ones do not change in time."""
        have = set(axes)
        v = Var(self.next_id, tuple(a for a in self.axes if a in have), kind, hint)
        self.next_id += 1
        if steady:
            self.steady.add(v.id)
        return v

    def adopt(self, statements: Iterable[Statement], steady: bool) -> None:
        """Takes statements over, so that equal ones made later are these."""
        for s in statements:
            (self.prologue if steady else self.step).append(s)
            if steady:
                self.steady.add(s.out.id)
            self._made[_key(s)] = s.out
            self._by_id[s.out.id] = s
            self.next_id = max(self.next_id, s.out.id + 1)

    def name(self, v: Arg, hint: str) -> None:
        """Says what a value is in the spec, for people, where nobody has said it."""
        s = self._by_id.get(v.id) if isinstance(v, Var) else None
        if s is None or s.out.hint:
            return
        told = replace(s, out=replace(s.out, hint=hint))
        self._by_id[s.out.id] = told
        for these in (self.step, self.prologue):
            for i in reversed(range(len(these))):
                if these[i] is s:
                    these[i] = told
                    return

    def union(self, args: Iterable[Arg]) -> Axes:
        """The axes of several operands together."""
        have = {a for v in args if isinstance(v, Var) for a in v.axes}
        return tuple(a for a in self.axes if a in have)

    # ---- statements ---------------------------------------------------------------------------------------------------

    def apply(self, fn: str, *args: Arg, hint: str = "", axes: Axes | None = None) -> Arg:
        """`fn(args)`, or what it comes to."""
        short = _simple(fn, args) if axes is None else None
        if short is not None:
            return short
        if fn in ("add", "sub") and axes is None:
            x, y = args
            if (turned := self._negated(y)) is not None:
                return self.apply("sub" if fn == "add" else "add", x, turned)
            if fn == "add" and (turned := self._negated(x)) is not None:
                return self.apply("sub", y, turned)
        if fn == "neg" and (turned := self._negated(args[0])) is not None:
            return turned
        return self._put(
            Apply(
                self._fresh(self.union(args) if axes is None else axes, "bool" if fn in BOOL_FUNCTIONS else "real", hint),
                fn,
                args,
            )
        )

    def reduce(self, fn: str, arg: Arg, over: Axes, hint: str = "") -> Arg:
        """`fn` over axes of `arg`; axes it lacks are first repeated along, since a sum counts them."""
        over = tuple(a for a in self.axes if a in over)
        if not over:
            return arg
        value = self.wide(arg, (*self.union((arg,)), *over))
        return self._put(Reduce(self._fresh(tuple(a for a in value.axes if a not in over), "real", hint), fn, value, over))

    def product(
        self, weight: Var, arg: Arg, over: tuple[tuple[str, str], ...], to: tuple[tuple[str, str], ...], hint: str = ""
    ) -> Var:
        """The product of a weight with a value, which gets the axes of `over` where it lacks them."""
        value = self.wide(arg, (*self.union((arg,)), *(v for _, v in over)))
        gone = {v for _, v in over}
        axes = {a for a in value.axes if a not in gone} | {v for _, v in to}
        return self._put(Product(self._fresh(tuple(axes), "real", hint), weight, value, over, to))

    def rename(self, arg: Arg, pairs: tuple[tuple[str, str], ...]) -> Arg:
        """A value with axes under other names; pairs of axes that it lacks do nothing."""
        mine = tuple((old, new) for old, new in pairs if isinstance(arg, Var) and old in arg.axes and old != new)
        if not mine or not isinstance(arg, Var):
            return arg
        if arg.type == "bool":
            arg = self.wide(arg, arg.axes)
        names = dict(mine)
        return self._put(Rename(self._fresh(tuple(names.get(a, a) for a in arg.axes), "real", arg.hint), arg, mine))

    def wide(self, arg: Arg, axes: Iterable[str]) -> Var:
        """`arg` as a value with all of `axes`."""
        have = set(axes)
        want = tuple(a for a in self.axes if a in have)
        if isinstance(arg, Var) and arg.axes == want and arg.type == "real":
            return arg
        if isinstance(arg, Var) and arg.type == "bool":
            arg = self.apply("number", arg)
        made = self.apply("copy", arg, axes=want)
        assert isinstance(made, Var)
        return made

    def total(self, args: list[Arg]) -> Arg:
        """The sum of several values, from the left; 0 of none."""
        if not args:
            return 0.0
        out = args[0]
        for a in args[1:]:
            out = self.apply("add", out, a)
        return out

    def _fresh(self, axes: Axes, kind: ValueType, hint: str) -> Var:
        v = Var(self.next_id, tuple(a for a in self.axes if a in axes), kind, hint)
        self.next_id += 1
        return v

    def _put(self, s: Statement) -> Var:
        key = _key(s)
        held = self._made.get(key)
        if held is not None:
            self.next_id -= 1
            return held
        if self.target is not None:
            self.target.append(s)
        elif not isinstance(s, Product) and all(not isinstance(a, Var) or a.id in self.steady for a in args_of(s)):
            self.prologue.append(s)
            self.steady.add(s.out.id)
        else:
            self.step.append(s)
        self._made[key] = s.out
        self._by_id[s.out.id] = s
        return s.out

    def made(self, a: Arg) -> Apply | None:
        """The function that made a value."""
        s = self._by_id.get(a.id) if isinstance(a, Var) else None
        return s if isinstance(s, Apply) else None

    def _negated(self, a: Arg | None) -> Arg | None:
        """What `a` is the negative of, where it was made as one."""
        s = self._by_id.get(a.id) if isinstance(a, Var) else None
        if not isinstance(s, Apply) or s.fn != "neg":
            return None
        inner = s.args[0]
        return inner if isinstance(inner, Var) and inner.axes == s.out.axes else None


def _key(s: Statement) -> tuple[object, ...]:
    if isinstance(s, Apply):
        return (s.fn, s.out.axes, *((a.id,) if isinstance(a, Var) else repr(a) for a in s.args))
    if isinstance(s, Product):
        return ("product", s.weight.id, s.arg.id, s.over, s.to)
    if isinstance(s, Rename):
        return ("rename", s.arg.id, s.pairs)
    return (s.fn, s.over, s.arg.id)


def _simple(fn: str, args: tuple[Arg, ...]) -> Arg | None:
    """What a function of these operands comes to without computing anything; None where it has to be computed."""
    if all(not isinstance(a, Var) for a in args):
        if fn in _FOLD:
            return _FOLD[fn](*args)
        if fn == "div" and args[1] != 0.0:
            return float(args[0]) / float(args[1])  # type: ignore[arg-type]
        if fn in ("stop", "through"):
            return args[0]
    a = args[0]
    b = args[1] if len(args) > 1 else None
    match fn:
        case "add" if b == 0.0 and isinstance(a, Var):
            return a
        case "add" if a == 0.0:
            return b
        case "sub" if b == 0.0 and isinstance(a, Var):
            return a
        case "mul" if b == 1.0:
            return a
        case "mul" if a == 1.0:
            return b
        case "div" if b == 1.0:
            return a
        case "pow" if b == 1.0:
            return a
        case "where" if not isinstance(a, Var):
            return args[1] if a else args[2]
        case "where" if b is args[2] or b == args[2] and not isinstance(b, Var):
            return b
    return None

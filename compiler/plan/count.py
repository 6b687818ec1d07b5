"""Counts what a kernel does: the numbers that the cost model (`runtime.cost`) works with.

In:   kernels as emitters take them, and for the associative mode their groups of carries with the work of one combination.
Out:  `Pass`: values of a step that come from memory and go there, operations, the longest ways through a step.
Keeps: everything is read from statements, operands and rows; no name is looked at. Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Apply, Kernel, Product, Reduce, Statement, Var, needed, reads_of
from seqc.compiler.plan.work import WORK
from seqc.runtime.cost.facts import Count, Pass, Scan

Way = tuple[int, int, int, int]
"""Operations one after the other: of arithmetic units, of special-function units, sums over an axis, matrix products."""

NOWHERE: Way = (0, 0, 0, 0)

COMBINATIONS = {"max": (2.0, 0.0, 2.0, 0.0), "log": (15.0, 3.0, 10.0, 3.0)}
"""Plain and special operations of one combination, and those one after the other."""


def counted(
    k: Kernel,
    cuts: Axes,
    shares: Axes,
    largest: Sequence[Axes],
    replay: Sequence[Statement] = (),
    kept: Sequence[Axes] = (),
    scans: Sequence[Scan] | None = None,
    step: Sequence[Statement] | None = None,
    goals: Sequence[Var] = (),
) -> Pass:
    """What a function does that a kernel becomes.

    replay, kept   of an adjoint: statements by which it computes carries again, and their axes (they go to memory and come back)
    scans          of a function that takes many steps at a time: its groups of carries; `step` is then the step with the
                   coefficients' statements, `goals` are the coefficients
    """
    every = tuple(step if step is not None else k.step)
    work = (*every, *replay)
    plain, special = _work(work)
    read = _count(o.var.axes for o in k.operands if o.kind in ("step", "past"))
    needs = {v.id for v in goals}
    needed(every, needs)
    return Pass(
        axes=k.axes,
        cuts=cuts,
        shares=shares,
        largest=tuple(largest),
        read=_count((*(a for a, n in read for _ in range(round(n))), *kept)),
        written=_count((*(v.axes for v in k.rows), *kept)),
        once=_count((*(o.var.axes for o in k.operands if o.kind == "run"), *(c.previous.axes for c in k.carries))),
        plain=plain,
        special=special,
        carries=_count(c.previous.axes for c in k.carries),
        chain=longest(k.step, {c.previous.id for c in k.carries}, {c.next.id for c in k.carries}),
        depth=longest(every, None, None),
        products=tuple((s.weight.axes, s.out.axes, s.shared) for s in work if isinstance(s, Product)),
        tiled=scans is not None,
        scans=tuple(scans or ()),
        reads=_count(o.var.axes for o in k.operands if o.kind in ("step", "past") and o.var.id in needs) if scans is not None else (),
        levels=1 + max((s.level for s in scans or ()), default=0),
    )


def scan(axes: Axes, values: int, algebra: str, combine: Sequence[Statement], level: int) -> Scan:
    """A group of carries with an algebra, or with an operator of the user's (`combine`); `values` go through the scan."""
    if algebra in COMBINATIONS:
        return Scan(axes, values, *COMBINATIONS[algebra], level)
    if combine:
        work = [WORK[s.fn] for s in combine if isinstance(s, Apply)]
        plain, special, way = sum(w.plain for w in work), sum(w.special for w in work), longest(combine, None, None)
        return Scan(axes, values, float(plain), float(special), float(way[0]), float(way[1]), level)
    # n x n values of a matrix and n of an offset: the product of two matrices, and of one with an offset
    n = isqrt(values)
    return Scan(axes, values, float(n**3 + n * n), 0.0, float(n + 1), 0.0, level)


def _count(these: Iterable[Axes]) -> Count:
    """How often each set of axes stands there."""
    found: dict[Axes, float] = {}
    for axes in these:
        found[axes] = found.get(axes, 0.0) + 1.0
    return tuple(sorted(found.items()))


def _work(statements: Iterable[Statement]) -> tuple[Count, Count]:
    """Operations of arithmetic units, and of special-function units. Matrix products are counted elsewhere."""
    plain: dict[Axes, float] = {}
    special: dict[Axes, float] = {}
    for s in statements:
        if isinstance(s, Reduce):
            plain[s.arg.axes] = plain.get(s.arg.axes, 0.0) + 1.0
        elif isinstance(s, Apply):
            w = WORK[s.fn]
            plain[s.out.axes] = plain.get(s.out.axes, 0.0) + w.plain
            if w.special:
                special[s.out.axes] = special.get(s.out.axes, 0.0) + w.special
    return tuple(sorted((a, n) for a, n in plain.items() if n)), tuple(sorted(special.items()))


def longest(step: Sequence[Statement], start: set[int] | None, goals: set[int] | None) -> Way:
    """The longest way through a step, from values in `start` (None: from anywhere) to values in `goals` (None: to anywhere).

    Ways are compared by their time: a product counts as 100, a sum as 30, a special function as 5 operations.
    """
    ways: dict[int, Way] = dict.fromkeys(start or (), NOWHERE)
    best = NOWHERE
    for s in step:
        before = [ways[v.id] for v in reads_of(s) if v.id in ways]
        if start is not None and not before:
            continue
        here = _add(max(before, key=_length, default=NOWHERE), s)
        ways[s.out.id] = max(ways.get(s.out.id, NOWHERE), here, key=_length)
        if goals is None or s.out.id in goals:
            best = max(best, here, key=_length)
    return best


def _add(way: Way, s: Statement) -> Way:
    plain, special, sums, products = way
    if isinstance(s, Product):
        return plain, special, sums, products + 1
    if isinstance(s, Reduce):
        return plain, special, sums + 1, products
    if isinstance(s, Apply):
        w = WORK[s.fn]
        return plain + w.deep_plain, special + w.deep_special, sums, products
    return way


def _length(way: Way) -> int:
    return way[0] + 5 * way[1] + 30 * way[2] + 100 * way[3]


def kinked(step: Sequence[Statement], state: set[int], goals: set[int]) -> bool:
    """Whether a derivative of `goals` by `state` jumps: a choice, a maximum or a rectifier lies between them."""
    reached = set(state)
    for s in needed(tuple(step), set(goals)):
        if not any(v.id in reached for v in reads_of(s)):
            continue
        reached.add(s.out.id)
        if isinstance(s, Apply) and s.fn in ("relu", "min", "max", "abs", "where"):
            return True
    return False


__all__ = ["counted", "kinked", "longest", "scan"]

"""Removes from a kernel what only the derivative needs: `stop` and `through` become their value, dead statements go.

In:   any kernel.        Out: one without `stop` and `through`, every statement of which is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seqc.compiler.ir.kernel import Apply, Arg, Carry, Kernel, Statement, Sum, Var, needed


def resolved(statements: Iterable[Statement]) -> dict[int, Arg]:
    """What `stop` and `through` stand for, by the id of their result."""
    same: dict[int, Arg] = {}
    for s in statements:
        if isinstance(s, Apply) and s.fn in ("stop", "through"):
            a = s.args[0]
            a = same.get(a.id, a) if isinstance(a, Var) else a
            if isinstance(a, Var) and a.axes == s.out.axes and a.type == s.out.type:
                same[s.out.id] = a
    return same


def plain(k: Kernel) -> Kernel:
    """The kernel as emitters take it."""
    every = (*k.prologue, *k.step, *k.epilogue, *(s for scan in k.scans for s in scan.step))
    same = resolved(every)

    def arg(a: Arg) -> Arg:
        return same.get(a.id, a) if isinstance(a, Var) else a

    def var(v: Var) -> Var:
        a = arg(v)
        assert isinstance(a, Var)
        return a

    def statements(these: Iterable[Statement]) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for s in these:
            if s.out.id in same:
                continue
            if isinstance(s, Apply):
                fn, args = s.fn, s.args
                if fn in ("stop", "through"):
                    fn, args = "copy", args[:1]
                args = tuple(arg(a) for a in args)
                out.append(s if fn == s.fn and args == s.args else replace(s, fn=fn, args=args))
            else:
                inner = var(s.arg)
                out.append(s if inner is s.arg else replace(s, arg=inner))
        return tuple(out)

    carries = tuple(replace(c, next=var(c.next)) for c in k.carries)
    rows = tuple(var(v) for v in k.rows)
    sums = tuple(replace(s, value=var(s.value)) for s in k.sums)
    scans = tuple(
        replace(s, elements=tuple(arg(a) for a in s.elements), reset=arg(s.reset), step=statements(s.step)) for s in k.scans
    )
    return _alive(
        replace(k, prologue=statements(k.prologue), step=statements(k.step), epilogue=statements(k.epilogue), scans=scans),
        carries,
        rows,
        sums,
    )


def _alive(k: Kernel, carries: tuple[Carry, ...], rows: tuple[Var, ...], sums: tuple[Sum, ...]) -> Kernel:
    goals = {v.id for v in k.totals}
    epilogue = needed(k.epilogue, goals)
    sums = tuple(s for s in sums if s.total.id in goals)
    goals |= {v.id for v in rows} | {c.next.id for c in carries} | {s.value.id for s in sums}
    step = needed(k.step, goals)
    prologue = needed(k.prologue, goals)
    return replace(k, prologue=prologue, carries=carries, step=step, rows=rows, sums=sums, epilogue=epilogue)

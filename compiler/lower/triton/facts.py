"""What the cost model has to know of each kernel of a class: `facts`, and the line `NAME.FACTS` of a generated module.

In:   a kernel as the region builder makes it, its Newton iteration (or why there is none).
Out:  a `Loop`; nothing is emitted for it. What a form does not exist for is in `Loop.lacks`, with the reason.
Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel, Product, Rename, Statement, Var, weights_of
from seqc.compiler.lower.kernels.linear import Group
from seqc.compiler.lower.kernels.newton import Newton
from seqc.compiler.lower.kernels.operators import grouped
from seqc.compiler.lower.kernels.split import splits, words
from seqc.compiler.lower.native.emit import forms
from seqc.compiler.lower.triton.associative import unscannable
from seqc.compiler.lower.triton.emit import Made, cut_along, largest
from seqc.compiler.lower.triton.emit_newton import scanned, tiled
from seqc.compiler.lower.triton.groups import parts_of
from seqc.compiler.lower.triton.segments import levels_of
from seqc.compiler.plan.count import counted, kinked, scan
from seqc.runtime.cost.facts import Loop, Pass, Scan, Solver

DENSE: tuple[str, ...] = ("fused", "steps") if "steps" in Made.__dataclass_fields__ else ()
"""Modes of loops with matrix products, where the emitter has them."""


def facts(raw: Kernel, found: Newton | str, names: Sequence[str] = (), why_not: str = "") -> Loop:
    """What a loop costs, in numbers. `names`: what it computes; `why_not`: why its class has no Triton kernels."""
    k, d = forms(raw)
    lacks: list[tuple[str, str]] = []
    replayed = tuple(c.previous.axes for c, how in zip(k.carries, d.stored, strict=True) if how == REPLAYED)
    forward = _walked(k)
    backward = _walked(d.kernel, d.replay, replayed)
    both: tuple[Pass, Pass] | None = None
    solver: Solver | None = None
    if not weights_of(k.step):
        why = unscannable(k)
        if why:
            lacks.append(("associative", why))
        else:
            both = _tiled(k), backward if unscannable(d.kernel) else _tiled(d.kernel, d, k)
        if isinstance(found, Newton):
            solver = _solver(k, d, found)
        elif both is None:
            lacks.append(("newton", found))
    built: list[str] = []
    if why_not:
        lacks = [("sequential", why_not)]
    elif weights_of(k.step):
        built = list(DENSE)
    else:
        built.append("sequential")
        built += ["associative"] if both is not None else []
        built += ["newton"] if solver is not None else []
    return Loop(forward, backward, len(k.step), both, solver, tuple(built), tuple(names), tuple(lacks))


def of_class(kernels: Sequence[Kernel], found: Sequence[Newton | str], inside: Sequence[Sequence[str]]) -> list[Loop]:
    """All loops of a class (`inside`: what each computes): where one has no Triton kernel, none has."""
    why = "" if DENSE or not any(_mixing(k) for k in kernels) else "the Triton backend has no matrix product inside a kernel"
    return [facts(k, n, names, why) for k, n, names in zip(kernels, found, inside, strict=True)]


def _mixing(k: Kernel) -> bool:
    """Whether entries of different axes meet otherwise than in a sum."""
    return any(isinstance(s, Product | Rename) for s in (*k.prologue, *k.step, *k.epilogue))


def line(name: str, loops: Sequence[Loop]) -> list[str]:
    """The constant of the class `name`, as long as its kernels."""
    if not loops:
        return []
    return [f"{name}.FACTS = (", *(f"    {loop.told()!r}," for loop in loops), ")"]


def _walked(k: Kernel, replay: Sequence[Statement] = (), kept: Sequence[Axes] = ()) -> Pass:
    """A function that takes one step after the other."""
    cuts = cut_along(k)
    return counted(k, cuts, _shares(k, cuts), largest(k), replay, kept)


def _tiled(k: Kernel, d: Derivative | None = None, forward: Kernel | None = None) -> Pass:
    """A function that takes many steps at a time; of an adjoint also the forward scan that computes carries again."""
    cuts = cut_along(k)
    how = grouped(k)
    scans = [_scan(k, g, n) for n, groups in enumerate(levels_of(k, how)) for g in groups]
    goals = [p.value for g in how.groups for p in parts_of(k, g) if isinstance(p.value, Var)]
    made = counted(k, cuts, _shares(k, cuts), largest(k), (), (), scans, how.step, goals)
    again = [i for i, stored in enumerate(d.stored) if stored == REPLAYED] if d is not None else []
    if d is None or forward is None or not again:
        return made
    more = counted(forward, cuts, (), (), (), (), [], d.replay, ())
    scans += [_scan(forward, g, 0) for g in grouped(forward).groups if any(i in again for i in g.carries)]
    return replace(made, plain=(*made.plain, *more.plain), special=(*made.special, *more.special), scans=tuple(scans))


def _scan(k: Kernel, g: Group, level: int) -> Scan:
    """One group of carries."""
    axes = k.carries[g.carries[0]].previous.axes
    return scan(axes, len(parts_of(k, g)), g.algebra, g.scan.combine.step if g.scan is not None else (), level)


def _shares(k: Kernel, cuts: Axes) -> Axes:
    """Cut axes over which a result is a sum."""
    said = {a: words(k, a) or {} for a in cuts}
    results = (*k.rows, *k.totals)
    return tuple(a for a in cuts if any(said[a].get(v.id) == "part" for v in results))


def _solver(k: Kernel, d: Derivative, found: Newton) -> Solver:
    """The functions of Newton's method, each in the form that the emitter gives it."""
    parts = []
    for p in found.parts:
        one = replace(p.kernel, split=splits(p.kernel))
        parts.append((p.iterated, _tiled(one) if tiled(one) else _walked(one)))
    read = replace(found.read, split=splits(found.read))
    kinks = False
    for p in found.parts:
        if p.iterated:
            mine = [k.carries[i] for i in p.carries]
            kinks = kinks or kinked(k.step, {c.previous.id for c in mine}, {c.next.id for c in mine})
    return Solver(tuple(parts), _tiled(read), kinks, _tiled(d.kernel, d, k) if scanned(d) and unscannable(k) else None)


__all__ = ["facts", "line", "of_class"]

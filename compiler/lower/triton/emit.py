"""Triton functions from kernels, and what the runtime has to know to launch them.

In:   kernels as the region builder makes them (they may hold `stop` and `through`), and a name for the functions.
Out:  for each kernel one function forwards and one backwards, as lines of a generated module, and beside each a description made
      of tuples, strings and numbers. The texts have passed `lint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel, Rename, Var, weights_of
from seqc.compiler.lower.kernels.differentiate import differentiate
from seqc.compiler.lower.kernels.operators import grouped
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.split import splits
from seqc.compiler.lower.kernels.verify import verify, verify_derivative
from seqc.compiler.lower.triton.associative import Associative, unscannable
from seqc.compiler.lower.triton.emit_dense import SERIAL, Steps, dense, forms, fused, held, steps
from seqc.compiler.lower.triton.lint import checked
from seqc.compiler.lower.triton.segments import Join, Summary, levels_of
from seqc.compiler.lower.triton.sequential import Sequential


@dataclass(frozen=True, slots=True)
class Function:
    """One Triton function: its name, its lines, and what the runtime has to know (`described`); functions that it uses, by name."""

    name: str
    lines: tuple[str, ...]
    about: tuple[Any, ...]
    helpers: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A kernel in Triton: forwards and backwards, one step after the other; and many at a time, where its carries have an
    algebra (`scan`; else `why` not). `cuts`: what lets segments of a sequence run at the same time, for each level of the forward
    pass a summary and a join, then the same for the backward pass; with matrix products also in stages (`steps`)."""

    forward: Function
    adjoint: Function
    scan: tuple[Function, Function] | None = None
    why: str = ""
    cuts: tuple[Function, ...] = ()
    steps: tuple[Steps, Steps] | None = None

    @property
    def functions(self) -> tuple[Function, ...]:
        """All functions, in the order of the runtime's arguments."""
        return (self.forward, self.adjoint, *(self.scan or ()), *self.cuts)

    def text(self) -> list[str]:
        """Each function once, those that others use before them."""
        out: dict[str, tuple[str, ...]] = {}
        for f in self.functions:
            for name, lines in (*f.helpers, (f.name, f.lines)):
                out.setdefault(name, lines)
        return [line for lines in out.values() for line in ("", "", *lines)]


def cut_along(k: Kernel) -> Axes:
    """The axes along which a kernel is cut: all that can be, but those that no carry has (each piece would do all the work)."""
    return tuple(a for a in k.split if not k.carries or any(a in c.previous.axes for c in k.carries) or a in k.axes[-1:])


def made(raw: Kernel, name: str) -> Made:
    """The Triton functions of a kernel."""
    if dense(raw):
        return made_dense(raw, name)
    k = settled(replace(raw, store=False))
    verify(k)
    k = verify(replace(k, split=splits(k)))
    d = differentiate(k)
    d = replace(d, kernel=settled(d.kernel))
    verify_derivative(d, k)
    flat = verify(plain(k))
    replayed = [c.previous for c, how in zip(flat.carries, d.stored, strict=True) if how == REPLAYED]
    ahead = Sequential(f"{name}_forward", flat, cut_along(flat), replayed)
    shared = frozenset(j for i, parts in enumerate(d.gradients) for what, j in parts if what == "total" and k.operands[i].kind == "once")
    back = Sequential(f"{name}_backward", d.kernel, cut_along(d.kernel), replayed, d, flat, shared)
    backward = function(back, replayed, d)
    renamed = any(isinstance(s, Rename) for s in (*flat.prologue, *flat.step))
    why = "a value's axes change their names" if renamed else unscannable(flat)
    scan: tuple[Function, Function] | None = None
    cuts: tuple[Function, ...] = ()
    if not why:
        forth = Associative(f"{name}_scan_forward", flat, cut_along(flat), replayed)
        cuts = segments(f"{name}_scan_forward", flat)
        home = backward
        if not unscannable(d.kernel):
            home = function(Associative(f"{name}_scan_backward", d.kernel, cut_along(d.kernel), replayed, d, flat, shared), (), d)
            cuts = (*cuts, *segments(f"{name}_scan_backward", d.kernel, d, flat))
        scan = (function(forth, (), None), home)
    return Made(function(ahead, replayed, None), backward, scan, why, cuts)


def segments(name: str, k: Kernel, d: Derivative | None = None, forward: Kernel | None = None) -> tuple[Function, ...]:
    """For each level of groups of a kernel a summary and a join."""
    out: list[Function] = []
    along = cut_along(k)
    for level in range(len(levels_of(k, grouped(k)))):
        out.append(function(Summary(f"{name}_sum{level}", k, along, level, d, forward), (), None))
        out.append(function(Join(f"{name}_join{level}", k, along, level), (), None))
    return tuple(out)


def made_dense(raw: Kernel, name: str) -> Made:
    """The Triton functions of a kernel with matrix products."""
    f = forms(raw)
    ahead, back = fused(f, name)
    one, two = function(ahead, f.replayed, None), function(back, f.replayed, f.derivative)
    outer = tuple((o.out, o.arg, o.axes) for o in f.derivative.outer)
    one, two = replace(one, about=(*one.about, held(ahead))), replace(two, about=(*two.about[:12], outer, *two.about[13:], held(back)))
    forth = steps(f.flat, f"{name}_forward", f.derivative.extra)
    home = steps(f.derivative.kernel, f"{name}_backward", (), f.flat)
    return Made(one, two, None, SERIAL, steps=(forth, home))


def function(s: Sequential, replayed: Sequence[Var], d: Derivative | None) -> Function:
    """A function with its description. Raises `RuleBroken`."""
    lines = s.run()
    checked("\n".join(lines))
    helpers = s.helpers if isinstance(s, Associative) else {}
    checked("\n".join(line for words in helpers.values() for line in words))
    return Function(s.title, tuple(lines), described(s, replayed, d), tuple(helpers.items()))


def described(s: Sequential, replayed: Sequence[Var], d: Derivative | None) -> tuple[Any, ...]:
    """What the runtime has to know of one function.

    name, axes, cut axes; operands (kind, axes); results (what, axes, parts, lones); starts of the carries (the operand, or a
    number); axes of the largest values; axes of carries kept in the scratch; of an adjoint `sources`, `gradients` and `stored`; which
    strides each slot has (`b`, `t`, `g`, the number of an axis, `p` and the number of a cut axis); totals that are one for all
    sequences; of the associative mode also how many levels of groups a scan has, and the carries that there are `start` slots for.
    """
    k = s.k
    by_id = {o.var.id: i for i, o in enumerate(k.operands)}
    operands = tuple((o.kind, o.var.axes) for o in k.operands)
    results = tuple((x.what, x.var.axes, x.parts, x.lones) for x in s.slots if x.what != "operand")
    starts = tuple(by_id.get(c.init.id, -1) if isinstance(c.init, Var) else float(c.init) for c in k.carries)
    kept = tuple(v.axes for v in replayed) if k.reverse else ()
    strides = tuple(tuple(name.partition("_")[2] for name in s.strides(i)) for i in range(len(s.slots)))
    single = tuple(x.index for x in s.slots if x.single)
    words = (s.title, k.axes, s.cuts, operands, results, starts, largest(k), kept)
    rest = (d.sources, d.gradients, d.stored, ()) if d is not None else ((), (), (), ())
    if not isinstance(s, Associative | Join):
        return (*words, False, *rest, strides, single)
    levels = len(levels_of(k, s.linear)) if type(s) is Associative else 0
    return (*words, False, *rest, strides, single, levels, tuple(x.index for x in s.slots if x.what == "start"))


def largest(k: Kernel) -> tuple[Axes, ...]:
    """The sets of axes of values that no other value's contain; weights of matrix products are none."""
    weights = weights_of((*k.prologue, *k.step))
    every = {s.out.axes for part in (k.prologue, k.step, k.epilogue) for s in part} | {c.previous.axes for c in k.carries}
    every |= {o.var.axes for o in k.operands if o.var.id not in weights}
    return tuple(sorted(a for a in every if not any(set(a) < set(b) for b in every)))

"""Triton functions of kernels with matrix products: the fused form, and the form in stages with torch's products between them.

In:   a kernel whose step has matrix products, and a name for the functions.
Out:  `Fused`: a function forwards and one backwards with weights held in the program; `Steps` for each direction: a function for each
      stage, and what the runtime does with them. The texts have passed `lint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel, Product, Var, weights_of
from seqc.compiler.lower.kernels.differentiate import differentiate
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.split import splits
from seqc.compiler.lower.kernels.stages import Group, Stage, Staged, staged
from seqc.compiler.lower.kernels.verify import verify, verify_derivative
from seqc.compiler.lower.triton.dense import Dense
from seqc.compiler.lower.triton.pointwise import Pointwise

SERIAL = "a step takes matrix products of what the step before left"


@dataclass(frozen=True, slots=True)
class Forms:
    """A kernel with products, ready to be written: `flat` without `stop`, its derivative, carries that are recomputed (none, where
    a product would have to be taken again), totals that are one for all sequences."""

    flat: Kernel
    derivative: Derivative
    replayed: tuple[Var, ...]
    single: frozenset[int]


def dense(k: Kernel) -> bool:
    """Whether a kernel is one for this file: whether something that is needed is a matrix product."""
    return bool(weights_of(plain(settled(k)).step))


def forms(raw: Kernel) -> Forms:
    """The kernel and its adjoint."""
    k = settled(raw)
    verify(k)
    k = verify(replace(k, split=splits(k)))
    d = differentiate(k)
    d = replace(d, kernel=settled(d.kernel))
    verify_derivative(d, k)
    flat = verify(plain(k))
    replayed = tuple(c.previous for c, how in zip(flat.carries, d.stored, strict=True) if how == REPLAYED)
    single = frozenset(j for i, parts in enumerate(d.gradients) for what, j in parts if what == "total" and k.operands[i].kind == "once")
    return Forms(flat, d, replayed, single)


def heads(k: Kernel) -> tuple[str, ...]:
    """The axes along which a fused kernel is cut: those along which each entry has products of its own."""
    products = [s for s in k.step if isinstance(s, Product)]
    return tuple(a for a in splits(k) if any(a in p.rest for p in products))


def fused(f: Forms, name: str) -> tuple[Dense, Dense]:
    """The two functions that hold weights, not yet written."""
    d = f.derivative
    ahead = Dense(f"{name}_forward", f.flat, heads(f.flat), f.replayed, extra=d.extra)
    back = Dense(f"{name}_backward", d.kernel, heads(d.kernel), f.replayed, d, f.flat, f.single)
    return ahead, back


def held(s: Dense) -> tuple[tuple[Any, ...], ...]:
    """What the runtime has to know of weights that stay: (operand, own, dot, axes beside the summed and new ones, summed, new), axes as
    the tile has them."""
    places = {o.var.id: i for i, o in enumerate(s.k.operands)}
    out = []
    for one in s.held:
        p = one.product
        deep, wide = tuple(w for w, _ in s.over(p)), tuple(w for w, _ in s.fresh(p))
        out.append((places[p.weight.id], one.own, one.dot, p.rest, tuple(a for a in p.rest if a in p.shared), deep, wide))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Steps:
    """One direction in stages: functions, each with where its operands come from and its results go; and the `plan`."""

    functions: tuple[tuple[Pointwise, Stage], ...]
    plan: tuple[Any, ...]


def steps(k: Kernel, name: str, extra: Sequence[Var] = (), forward: Kernel | None = None) -> Steps:
    """A direction in stages. The plan:

    order     of a step: ("stage", function) and ("group", group)
    values    axes of what crosses from stage to stage
    groups    (products, carry, own, shared, other and summed axes as the value calls them); of each product (weight's operand, the
              weight's shared, summed and new axes, the new ones as the result calls them)
    products  for each product its group and its place there
    head, tail   functions before the first step and after the last one, or -1
    totals    the sum over the steps that a total is, or -1: `tail` makes it
    sums      axes of values that are added up
    """
    cut: Staged = staged(k, tuple(extra), forward)
    found: list[tuple[Pointwise, Stage]] = []

    def add(stage: Stage, word: str) -> int:
        found.append((Pointwise(f"{name}_{word}", stage), stage))
        return len(found) - 1

    order: list[tuple[str, int]] = []
    for i, stage in enumerate(cut.stages):
        if stage is not None:
            order.append(("stage", add(stage, f"stage{i}")))
        order += [("group", j) for j, g in enumerate(cut.groups) if g.after == i]
    head = add(cut.head, "head") if cut.head is not None else -1
    tail = add(cut.tail, "tail") if cut.tail is not None else -1
    places = {p: (j, m) for j, g in enumerate(cut.groups) for m, p in enumerate(g.products)}
    products = tuple(places[i] for i in range(len(cut.products)))
    groups = tuple(group(k, g, cut) for g in cut.groups)
    values = tuple(v.axes for v in cut.values)
    return Steps(tuple(found), (tuple(order), values, groups, products, head, tail, cut.totals, tuple(s.total.axes for s in k.sums)))


def group(k: Kernel, g: Group, cut: Staged) -> tuple[Any, ...]:
    """A group for the runtime."""
    places = {o.var.id: i for i, o in enumerate(k.operands)}
    members = []
    first = cut.products[g.products[0]]
    summed = sorted((v for _, v in first.over), key=first.arg.axes.index)
    for i in g.products:
        p = cut.products[i]
        to = {v: w for w, v in p.to}
        over = {v: w for w, v in p.over}
        new = [v for v in p.out.axes if v in to and v not in p.shared]
        weight = (tuple(to[v] for v in first.shared), tuple(over[v] for v in summed), tuple(to[v] for v in new))
        members.append((places[p.weight.id], *weight, tuple(new)))
    own = k.operands[places[first.weight.id]].kind == "run"
    others = tuple(a for a in first.rest if a not in first.shared)
    return (tuple(members), g.carry, own, first.shared, others, tuple(summed))

"""C functions from kernels, and what the runtime has to know to call them.

In:   kernels as the region builder makes them (they may hold `stop` and `through`).
Out:  for each kernel one function forwards and one backwards, each a translation unit of its own (what is not called is not
      compiled), as C text for any floating type: the runtime puts macros in front of it that choose the type, and what each slot
      holds in memory. Beside it a description made of tuples, strings and numbers, which is written into the generated module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel, Var, weights_of
from seqc.compiler.lower.kernels.differentiate import differentiate
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.split import splits, words
from seqc.compiler.lower.kernels.verify import verify, verify_derivative
from seqc.compiler.lower.native.emit_dense import DenseEmission, addressable
from seqc.compiler.lower.native.emit_kernel import Emission


@dataclass(frozen=True, slots=True)
class Function:
    """One C function: its text and what the runtime has to know (`described`)."""

    text: str
    about: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A kernel in C: forwards and backwards."""

    forward: Function
    adjoint: Function | None


def ready(k: Kernel) -> Kernel:
    """A kernel in the form that is differentiated: settled and verified, its splits known."""
    k = settled(k)
    verify(k)
    return verify(replace(k, split=splits(k)))


def chosen_split(k: Kernel) -> str:
    """The axis to cut along: one that leaves no shares to be added up, if possible, and rows whole; "" for none."""

    def rank(a: str) -> tuple[int, int, int]:
        said = words(k, a)
        assert said is not None
        shares = sum(said[v.id] == "part" for v in (*k.rows, *k.totals))
        lacking = sum(a not in c.previous.axes for c in k.carries)
        return (lacking, shares, k.axes.index(a))

    return min(k.split, key=rank, default="")


def forms(raw: Kernel) -> tuple[Kernel, Derivative]:
    """A kernel as emitters take it, and its adjoint."""
    k = ready(raw)
    d = differentiate(k)
    d = replace(d, kernel=settled(d.kernel))
    return verify(plain(k)), verify_derivative(d, k)


def made(raw: Kernel, adjoint: bool = True) -> Made:
    """The C functions of a kernel."""
    d: Derivative | None = None
    if adjoint:
        flat, d = forms(raw)
    else:
        flat = verify(plain(ready(raw)))
    replayed = [c.previous for c, how in zip(flat.carries, d.stored if d else (), strict=False) if how == REPLAYED]
    extra = d.extra if d else ()
    emission = DenseEmission if weights_of(flat.step) else Emission
    ahead = emission(addressable(flat), chosen_split(flat), replayed, extra=extra)
    forward = Function("\n".join(ahead.run()) + "\n", described(ahead))
    if d is None:
        return Made(forward, None)
    back = emission(addressable(d.kernel), chosen_split(d.kernel), replayed, d, flat)
    text = "\n".join(back.run()) + "\n"
    outer = tuple((o.out, o.arg, o.axes) for o in d.outer)
    return Made(forward, Function(text, (*described(back), d.sources, d.gradients, d.stored, outer)))


def described(e: Emission) -> tuple[Any, ...]:
    """What the runtime has to know of one function: name, axes, split axis, operands, results, and the sizes of its scratch.

    operands (kind, axes), results (what, axes, part, lone), carries (operand it starts from or a number); scratch: the axes of
    each array, and of those that are kept for each step between checkpoints; last, whether sequences walk in blocks.
    """
    k = e.k
    by_id = {o.var.id: i for i, o in enumerate(k.operands)}
    operands = tuple((o.kind, o.var.axes) for o in k.operands)
    results = tuple((s.what, s.var.axes, s.part, s.lone) for s in e.slots if s.what != "operand")
    starts = tuple(by_id.get(c.init.id, -1) if isinstance(c.init, Var) else float(c.init) for c in k.carries)
    arrays = tuple(p.axes for p in e.arrays)
    kept = tuple(v.axes for v in e.replayed) if k.reverse else ()
    return (k.name, k.axes, e.split, operands, results, starts, arrays, kept, isinstance(e, DenseEmission))

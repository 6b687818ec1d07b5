"""A translation unit of C from kernels, and what the runtime has to know to call it.

In:   kernels as the region builder makes them (they may hold `stop` and `through`).
Out:  a `Unit`: C text for any floating type (macros that the runtime defines in front of it choose one, and the storage type
      of each slot), and for each kernel a description made of tuples, strings and numbers only, which is written into the
      generated module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel, Var
from seqc.compiler.lower.kernels.differentiate import differentiate
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.split import splits, words
from seqc.compiler.lower.kernels.verify import verify, verify_derivative
from seqc.compiler.lower.native.emit_kernel import Emission, Slot, slots_of

PRELUDE = '#include "kernels.h"\n'
"""The header lies in `runtime/native` with those it includes."""


@dataclass(frozen=True, slots=True)
class Function:
    """One kernel or adjoint, as C and as the runtime sees it."""

    lines: tuple[str, ...]
    about: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """C text and the description of each kernel in it, in order: (forward, adjoint or None)."""

    text: str
    kernels: tuple[tuple[Any, Any], ...]


def ready(k: Kernel) -> Kernel:
    """A kernel in the form that is differentiated: settled and verified, its splits known."""
    k = settled(k)
    verify(k)
    from dataclasses import replace

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


def unit(kernels: Sequence[Kernel], adjoints: bool = True) -> Unit:
    """The unit of several kernels, which must differ in name."""
    lines: list[str] = []
    about: list[tuple[Any, Any]] = []
    for raw in kernels:
        k = ready(raw)
        d: Derivative | None = None
        if adjoints:
            d = differentiate(k)
            d = replace_kernel(d, settled(d.kernel))
            verify_derivative(d, k)
        flat = verify(plain(k))
        replayed = [c.previous for c, how in zip(flat.carries, d.stored if d else (), strict=False) if how == REPLAYED]
        split = chosen_split(flat)
        forward = Emission(flat, split, replayed)
        text = forward.run()
        lines += [*storage(flat.name, forward.slots), *text, ""]
        backward_about = None
        if d is not None:
            split_back = chosen_split(d.kernel)
            backward = Emission(d.kernel, split_back, replayed, d, flat)
            text = backward.run()
            lines += [*storage(d.kernel.name, backward.slots), *text, ""]
            backward_about = (*described(d.kernel, split_back, backward, replayed), d.sources, d.gradients, d.stored)
        about.append((described(flat, split, forward, replayed), backward_about))
    return Unit(PRELUDE + "\n" + "\n".join(lines), tuple(about))


def replace_kernel(d: Derivative, k: Kernel) -> Derivative:
    """A derivative with another kernel."""
    return Derivative(k, d.sources, d.gradients, d.stored, d.replay)


def storage(name: str, slots: Sequence[Slot]) -> list[str]:
    """What each slot's memory holds, unless the runtime says otherwise."""
    out: list[str] = []
    for i in range(len(slots)):
        out += [f"#ifndef {name}_s{i}", f"#define {name}_s{i} plain", "#endif"]
    return out


def described(k: Kernel, split: str, e: Emission, replayed: Sequence[Var]) -> tuple[Any, ...]:
    """What the runtime has to know of one function: name, axes, split axis, operands, results, and the sizes of its scratch.

    operands (kind, axes), results (what, axes, part, lone), carries (operand it starts from or a number); scratch: the axes of
    each array, and of those that are kept for each step between checkpoints.
    """
    by_id = {o.var.id: i for i, o in enumerate(k.operands)}
    operands = tuple((o.kind, o.var.axes) for o in k.operands)
    results = tuple((s.what, s.var.axes, s.part, s.lone) for s in slots_of(k, split, replayed) if s.what != "operand")
    starts = tuple(by_id.get(c.init.id, -1) if isinstance(c.init, Var) else float(c.init) for c in k.carries)
    arrays = tuple(p.axes for p in e.arrays)
    kept = tuple(v.axes for v in replayed) if k.reverse else ()
    return (k.name, k.axes, split, operands, results, starts, arrays, kept)

"""How kernels with matrix products are launched: weights held in the program, where they fit, or stages with torch's products between.

In:   the description of a fused function, sizes of axes, few sequences or many, how products are taken, what the machine allows.
Out:  `Hold`: blocks, and the bytes of registers that a program takes; `misfit`: why weights cannot be held ("" where they can).
The choice follows from the sizes of the axes, and from whether there are few sequences or many: `choose_form` is the one place where
it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seqc.runtime.triton.blocks import FEW, Blocks, power
from seqc.runtime.triton.limits import Limits, Manner

Form = Literal["fused", "steps"]

SIDE = 16
"""The smallest side of a matrix that `tl.dot` takes."""

SHARE = 0.6
"""How much of the registers of a multiprocessor weights and products may take: the rest is for the values of a step."""

THREAD = 64
"""Registers of a thread that weights are meant to take."""

SMALL = 512
"""Entries of a product's terms up to which a program takes more sequences than one."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Blocks of a program; bytes of its weights, of the terms of one product, and of the largest weight."""

    blocks: Blocks
    weights: int
    terms: int
    largest: int

    @property
    def registers(self) -> int:
        """Bytes of registers."""
        return self.weights + self.terms


def hold(
    axes: Sequence[str],
    cuts: Sequence[str],
    held: Sequence[Any],
    values: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
    batch: int,
    how: Manner,
) -> Hold:
    """What one program holds. `held`: weights (`compiler.lower.triton.emit_dense.held`); `values`: axes of the largest values."""
    sides = {sizes[a] for _, _, _, _, _, deep, wide in held for a in (*deep, *wide)}
    block = {a: 1 if a in cuts else max(SIDE if how.dot and sizes[a] in sides else 1, power(sizes[a])) for a in axes}

    def volume(of: Sequence[str]) -> int:
        return math.prod(block[a] for a in of)

    together = 1
    if how.dot:
        together = max([-(-SIDE // volume(rest)) for _, _, dot, rest, _, _, _ in held if dot], default=1)
    each = max((volume((*rest, *deep, *wide)) for _, _, dot, rest, _, deep, wide in held if not (dot and how.dot)), default=0)
    if batch > FEW and each:
        together = max(together, min(FEW, SMALL // each))
    entries = [(together if own else 1) * volume((*shared, *deep, *wide)) for _, own, _, _, shared, deep, wide in held]
    width = how.operand.itemsize
    bytes_ = width * sum(entries)
    terms = 4 * together * each * (2 if width == 8 else 1)
    tile = together * max((volume(v) for v in values), default=1)
    threads = max(bytes_ // (4 * THREAD), terms // (4 * THREAD), tile // 4)
    warps = max(1, min(16, power(-(-threads // 32))))
    blocks = Blocks(tuple(block[a] for a in axes), together, warps, 1)
    return Hold(blocks, bytes_, terms, width * max(entries, default=0))


def misfit(found: Hold, limits: Limits) -> str:
    """Why a program cannot hold its weights; "" where it can."""
    room = int(SHARE * limits.registers)
    if found.registers > room:
        return f"a program's weights and products take {found.registers} bytes of registers, {room} are free for them"
    if found.largest > limits.shared:
        return f"a weight takes {found.largest} bytes, a program has {limits.shared} of shared memory to bring it into order"
    return ""


def choose_form(
    axes: Sequence[str],
    cuts: Sequence[str],
    held: Sequence[Any],
    values: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
    batch: int,
    how: Manner,
    limits: Limits,
) -> tuple[Form, Hold, str]:
    """The form of a kernel with products at these sizes, what a fused program holds, and why it is not fused."""
    found = hold(axes, cuts, held, values, sizes, batch, how)
    why = misfit(found, limits)
    return ("steps" if why else "fused"), found, why

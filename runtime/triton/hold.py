"""How kernels with matrix products are launched: weights held in the program, where they fit, or stages with torch's products between.

In:   the description of a fused function, sizes of axes, few sequences or many, how products are taken, what the machine allows.
Out:  `Choice`: the form, blocks, and why weights cannot be held where they cannot.
The choice follows from the sizes of the axes, and from whether there are few sequences or many: `choose_form` is the one place where
it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from seqc.runtime.triton.blocks import FEW, Blocks, power
from seqc.runtime.triton.limits import Limits, Manner

Form = Literal["fused", "steps"]

SIDE = 16
"""The smallest side of a matrix that `tl.dot` takes."""

SHARE = 0.6
"""How much of the registers of a multiprocessor weights and products may take: the rest is for the values of a step."""

ROOM = 0.75
"""How much of the shared memory of a program weights of `tl.dot` may take: values change their places through the rest."""

THREAD = 64
"""Registers of a thread that weights are meant to take."""

WARPS = 4
"""Warps of a program each of which holds all weights of `tl.dot`, and (`EACH`) bytes of weights that one may hold."""

EACH = 24 << 10

SMALL = 512
"""Entries of a product's terms up to which a program takes more sequences than one."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Blocks of a program; bytes of its weights, of the terms of one product, and of the largest weight."""

    blocks: Blocks
    weights: int
    terms: int
    largest: int


def hold(
    axes: Sequence[str],
    cuts: Sequence[str],
    held: Sequence[Any],
    values: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
    batch: int,
    how: Manner,
    limits: Limits,
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
    # also small tiles of `tl.dot` are many values for a thread
    most, least = (16 if limits.spread or not how.dot else WARPS), (1 if not how.dot else 2 * WARPS if limits.spread else WARPS)
    warps = max(least, min(most, power(-(-threads // 32))))
    blocks = Blocks(tuple(block[a] for a in axes), together, warps, 1)
    return Hold(blocks, bytes_, terms, width * max(entries, default=0))


def misfit(found: Hold, how: Manner, limits: Limits) -> str:
    """Why a program cannot hold its weights; "" where it can."""
    room = int(SHARE * limits.registers)
    if found.weights + found.terms > room:
        return f"a program's weights and products take {found.weights + found.terms} bytes of registers, {room} are free for them"
    if how.dot and not limits.spread and found.weights > EACH:
        return f"weights take {found.weights} bytes, a warp can hold {EACH}"
    if how.dot and found.weights > ROOM * limits.shared:
        return f"weights take {found.weights} bytes, {int(ROOM * limits.shared)} of shared memory are free for them"
    if found.largest > limits.shared:
        return f"a weight takes {found.largest} bytes, a program has {limits.shared} of shared memory to bring it into order"
    return ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A form: what a fused program would hold, how its products are taken, and why it is not fused ("" where it is)."""

    form: Form
    hold: Hold
    how: Manner
    why: str


def choose_form(
    axes: Sequence[str],
    cuts: Sequence[str],
    held: Sequence[Any],
    values: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
    batch: int,
    how: Manner,
    limits: Limits,
    real: torch.dtype,
) -> Choice:
    """The form of a kernel with products at these sizes. Where `tl.dot` cannot hold the weights, sums of products in `real` may."""
    found: list[Choice] = []
    for way in (how, Manner(False, real)) if how.dot else (how,):
        mine = hold(axes, cuts, held, values, sizes, batch, way, limits)
        why = misfit(mine, way, limits)
        if not why:
            return Choice("fused", mine, way, "")
        found.append(Choice("steps", mine, way, why))
    return found[0]

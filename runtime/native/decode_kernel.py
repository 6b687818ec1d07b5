"""A step that is one kernel of its class (`DECODE`): what is called for one layout.

In:   a module, inputs and a state.      Out: the bare call, where its parameters are, how its results are turned.
Refuses: by None: several types or batches among the operands, operands that have to be copied first.
"""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from seqc.runtime.native.kernel import Kernel
from seqc.runtime.native.places import contiguous
from seqc.runtime.native.recording import Entry
from seqc.runtime.native.structure import LEAF, Pattern

_kernels: dict[int, tuple[Any, Kernel]] = {}


def kernel_of(constant: tuple[Any, ...]) -> Kernel:
    """The kernel of a class's constant."""
    held = _kernels.get(id(constant))
    if held is None:
        held = _kernels[id(constant)] = (constant, Kernel(constant[0], constant[1]))
    return held[1]


@dataclass(frozen=True, slots=True)
class Bare:
    """What is called, and what it takes and makes.

    lead, tail   arguments before and behind the addresses
    take         numbers of the operands whose addresses it takes, in order: inputs, parts of the state, tensors of the module
    makes        shape, steps and type of each result
    kept         what must live as long
    """

    function: Any
    lead: tuple[Any, ...]
    tail: tuple[Any, ...]
    take: tuple[int, ...]
    makes: tuple[tuple[tuple[int, ...], tuple[int, ...], torch.dtype], ...]
    kept: Any


@dataclass(frozen=True, slots=True)
class Found:
    """The call of one layout. `turns`: the result that each out and each part of the state is, and the order of its axes."""

    bare: Bare
    entries: list[Entry]
    outs: Pattern
    after: Pattern
    turns: tuple[tuple[int, tuple[int, ...] | None], ...] | None


def one_kernel(module: Any, given: Mapping[str, Any], state: Any) -> Found | None:
    """The step as the class's own kernel; None where this layout is not for it."""
    _, _, operands, rows, carries = module.DECODE
    kernel = kernel_of(module.DECODE)
    values = [*given.values(), *state]
    if any(v.dtype != module.dtype for v in values) or len({v.shape[:1] for v in values}) != 1 or not values[0].shape[:1]:
        return None
    names, fields = list(given), type(state)._fields
    tensors: list[Any] = []
    take: list[int] = []
    entries: list[Entry] = []
    for (what, key, order), (kind, _) in zip(operands, kernel.forward.operands, strict=True):
        if what in ("number", "size"):
            tensors.append(float(module.sizes[key]) if what == "size" else _number(module, key))
            continue
        if what == "input":
            take.append(names.index(key))
            value = given[key]
        elif what == "state":
            take.append(len(names) + fields.index(key))
            value = state[fields.index(key)]
        else:
            take.append(len(values) + len(entries))
            entries.append(_holder(module, key))
            value = entries[-1][0][entries[-1][1]]
        lead = 0 if what == "param" else 1
        tensors.append(value.permute(*range(lead), *(lead + i for i in order)) if order else value)
        if kind == "number":
            return None
    plan = kernel._forward_plan(tensors, [module.dtype] * kernel.rows, False, True)
    wanted = [r for r in plan.results if r is not None]
    if plan.fixes or any(plan.shares) or len(wanted) != len(plan.results) or len(wanted) != kernel.rows + kernel.lasts:
        return None
    numbers = (ctypes.c_double * len(plan.numbers))(*(tensors[i] for i in plan.numbers)) if plan.numbers else None
    makes = tuple((shape, contiguous(shape), dtype) for shape, dtype in wanted)
    bare = Bare(plan.function, (plan.sizes,), (plan.steps, numbers, 1), tuple(take), makes, plan)
    places = {field: (kernel.rows + i, _turned(order)) for i, (field, order) in enumerate(carries)}
    turns = [*((r[0], _turned(r[1:])) for r in rows), *(places[n] for n in fields)]
    outs = (module.OUTS, *(LEAF for _ in rows)) if len(rows) > 1 else LEAF
    after = (type(state), *(LEAF for _ in fields))
    return Found(bare, entries, outs, after, None if turns == [(i, None) for i in range(len(turns))] else tuple(turns))


def _number(module: Any, tree: Any) -> float:
    """A number made of sizes and consts."""
    if isinstance(tree, float):
        return tree
    fn, *parts = tree
    if fn == "size":
        return float(module.sizes[parts[0]])
    if fn == "const":
        return float(module.const(parts[0]))
    values = [_number(module, p) for p in parts]
    return float(FUNCTIONS[fn](*values))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "add": lambda *a: sum(a),
    "sub": operator.sub,
    "mul": lambda *a: math.prod(a),
    "div": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "sqrt": math.sqrt,
    "min": min,
    "max": max,
}


def _turned(order: tuple[int, ...]) -> tuple[int, ...] | None:
    """Places behind the batch; None where they are in order."""
    return None if list(order) == list(range(len(order))) else (0, *(i + 1 for i in order))


def _holder(module: Any, path: str) -> Entry:
    """The dictionary that keeps a parameter, and its key."""
    *way, last = path.split(".")
    for part in way:
        module = getattr(module, part)
    return module._parameters, last

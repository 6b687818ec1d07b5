"""A recorded step as numbers for `steps.h`: loops joined, memory shared, addresses numbered; and the call.

In:      the tape of a `Recorder` and the places of the results.
Out:     a `Program`: `run(addresses)` computes one step; `shapes` says what results the caller makes.
Keeps:   a result that is a whole buffer of its own is written where the caller wants it; everything else is copied at the end.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.library import Library, load
from seqc.runtime.native.places import Buffer, Instruction, Place, Tape, Unfit

SAME, ENTRIES, FOLD, PRODUCT, PRODUCT_C, GATHER, SOLVE = range(7)
_FOLDS = {"sum": 0, "max": 1, "min": 2}
_ALIGN = 64

WORK = 1 << 23
"""Multiplications in one step; with more, what is around the products does not matter, and torch's threads do."""


@functools.cache
def library(real: torch.dtype) -> tuple[Any, dict[str, int]]:
    """The function that runs programs, and the numbers of elementwise functions. Raises NoCompiler, CompileFailed, LoadFailed."""
    unit: Library = load(f'#define SEQC_REAL {32 if real == torch.float32 else 64}\n#include "steps.h"\n', label="recorded steps")
    name = unit.function("seqc_loop", [ctypes.c_int64], ctypes.c_char_p)
    names: dict[str, int] = {}
    while (found := name(len(names))) is not None:
        names[found.decode()] = len(names)
    return unit.function("seqc_steps", [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_int64), names


@dataclass(slots=True)
class Program:
    """A step to be run. `given`: operands (by number) whose addresses come first; then those of the results.

    shapes   size, steps and type of each result
    guarded  operands whose numbers must be those they were when `held` was made
    """

    function: Any
    address: int
    numbers: Any
    given: tuple[int, ...]
    shapes: tuple[tuple[tuple[int, ...], tuple[int, ...], torch.dtype], ...]
    guarded: tuple[int, ...]
    instructions: int
    kept: list[Any]


def assembled(
    tape: Tape,
    results: Sequence[tuple[Place, torch.dtype, tuple[int, ...]]],
    operands: Sequence[Tensor],
    value: Callable[[Buffer], Tensor],
    real: torch.dtype,
) -> Program:
    """The program. `results` with the steps that they are handed back with; `value` of a held buffer: the tensor it begins with now.

    Raises Unfit, NoCompiler, CompileFailed.
    """
    function, names = library(real)
    instructions = list(tape.instructions)
    shapes, taken = [], {}
    for i, (place, dtype, steps) in enumerate(results):
        shape = place.shape
        if id(place.buffer) in taken or not _own(place, steps):
            target = Buffer("result", 2, 0, 0)
            to = Place(target, 0, shape, steps, place.kind, place.width)
            instructions.append(Instruction("entries", [to, place], (f"copy_{place.kind}{place.kind}",)))
        else:
            target = place.buffer
        taken[id(target)] = i
        shapes.append((shape, steps, dtype))
    instructions = _needed(instructions, set(taken))
    if sum(math.prod(it.places[0].shape) * it.numbers[0] for it in instructions if it.what.startswith("product")) > WORK:
        raise Unfit("its products are so large that what is around them does not matter")
    used: dict[int, Buffer] = {id(p.buffer): p.buffer for it in instructions for p in it.places}
    given = sorted({b.slot for b in used.values() if b.what == "operand"})
    held = [b for b in used.values() if b.what == "held"]
    guarded = sorted(frozenset().union(*(b.after for b in held)))
    slots: dict[int, int] = {}
    everything = sorted({*given, *guarded})
    for b in used.values():
        if b.what == "operand":
            slots[id(b)] = everything.index(b.slot)
    slots |= {key: len(everything) + i for key, i in taken.items()}
    first = len(everything) + len(shapes)
    values = [value(b) for b in held]
    slots |= {id(b): first + i for i, b in enumerate(held)}
    copies = [_bytes_of(operands[i]).clone() for i in guarded]
    addresses = [x.untyped_storage().data_ptr() for x in values] + [c.data_ptr() for c in copies]
    memory = first + len(addresses)
    places, size = _memory(instructions, slots)
    code: list[int] = []
    for n, i in enumerate(guarded):
        code += [7, SAME, everything.index(i), 0, first + len(values) + n, 0, copies[n].numel()]
    for it in instructions:
        words = _encoded(it, lambda p: _address(p, slots, places, memory), names)
        code += [len(words) + 1, *words]
    own = torch.empty(size + _ALIGN, dtype=torch.uint8)
    start = own.data_ptr() + (-own.data_ptr()) % _ALIGN
    head = [first, len(addresses), size, len(guarded) + len(instructions), 0, start, *addresses]
    numbers = (ctypes.c_int64 * (len(head) + len(code)))(*head, *code)
    kept = [values, copies, own]
    return Program(function, ctypes.addressof(numbers), numbers, tuple(everything), tuple(shapes), tuple(guarded), len(instructions), kept)


def _bytes_of(x: Tensor) -> Tensor:
    """The memory of a tensor, from its first entry to its last, as bytes."""
    count = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
    flat = x.detach().as_strided((count,), (1,))
    return (torch.view_as_real(flat).reshape(-1) if flat.is_complex() else flat).view(torch.uint8)


def _own(place: Place, steps: tuple[int, ...]) -> bool:
    """Whether a result is a whole buffer of its own, with these steps."""
    own = place.buffer.what == "memory" and not place.offset
    return own and place.steps == steps and math.prod(place.shape) * place.width == place.buffer.size


def _needed(instructions: Sequence[Instruction], wanted: set[int]) -> list[Instruction]:
    """Without those whose result nobody reads."""
    out = []
    wanted = set(wanted)
    for it in reversed(instructions):
        if id(it.places[0].buffer) in wanted:
            wanted |= {id(p.buffer) for p in it.places[1:]}
            out.append(it)
    return out[::-1]


def _memory(instructions: Sequence[Instruction], slots: dict[int, int]) -> tuple[dict[int, int], int]:
    """Offsets of the buffers between instructions, and bytes in all: a buffer's memory is free again after its last reader."""
    last: dict[int, int] = {}
    size: dict[int, int] = {}
    for i, it in enumerate(instructions):
        for p in it.places:
            if id(p.buffer) not in slots:
                last[id(p.buffer)], size[id(p.buffer)] = i, p.buffer.size
    out: dict[int, int] = {}
    live: list[tuple[int, int, int]] = []  # start, end, last reader
    top = 0
    for i, it in enumerate(instructions):
        for p in it.places:
            key = id(p.buffer)
            if key in slots or key in out:
                continue
            need = -(-max(1, size[key]) // _ALIGN) * _ALIGN
            live = sorted(x for x in live if x[2] >= i)
            at = 0
            for start, end, _ in live:
                if start - at >= need:
                    break
                at = max(at, end)
            out[key] = at
            live.append((at, at + need, last[key]))
            top = max(top, at + need)
    return out, top


def _address(p: Place, slots: dict[int, int], places: dict[int, int], memory: int) -> list[int]:
    """Number and offset."""
    slot = slots.get(id(p.buffer))
    return [slot, p.offset] if slot is not None else [memory, places[id(p.buffer)] + p.offset]


def _encoded(it: Instruction, address: Callable[[Place], list[int]], names: dict[str, int]) -> list[int]:
    """An instruction as numbers, without its length."""
    match it.what:
        case "entries":
            sizes, steps = _joined(it.places)
            if it.numbers[0] not in names:
                raise Unfit(f"`{it.numbers[0]}`")
            out = [ENTRIES, names[it.numbers[0]], len(sizes), *sizes]
            for p, by in zip(it.places, steps, strict=True):
                out += [p.width, *address(p), *by]
            return out
        case "fold":
            which, outer = it.numbers
            to, x = it.places
            heads, (so, sa) = _joined([to, replace(x, shape=x.shape[:outer], steps=x.steps[:outer])])
            inner, (si,) = _joined([replace(x, shape=x.shape[outer:], steps=x.steps[outer:])])
            return [FOLD, _FOLDS[which], len(heads), len(inner), *heads, *inner, *address(to), *so, *address(x), *sa, *si]
        case "product" | "product_c":
            depth, term = it.numbers
            out = [PRODUCT if it.what == "product" else PRODUCT_C, *it.places[0].shape, depth, int(term)]
            for p in (*it.places, *([] if term else [it.places[0]])):
                out += [*address(p), *p.steps]
            return out
        case "solve":
            to, matrix = it.places
            out = [SOLVE, *to.shape]
            for p in (matrix, to):
                out += [*address(p), *p.steps]
            return out
        case _:
            lead, numbers = it.numbers
            to, source, *indices = it.places
            out = [GATHER, to.width, len(to.shape), lead, *to.shape, len(indices), *address(to), *to.steps, *address(source), *source.steps]
            for p, (size, step, wrap) in zip(indices, numbers, strict=True):
                out += [*address(p), *p.steps, size, step, wrap]
            return out


def _joined(places: Sequence[Place]) -> tuple[list[int], list[list[int]]]:
    """Sizes of loops, and the steps of each place: dimensions that lie one in the other for all of them are one loop."""
    order = sorted((d for d, n in enumerate(places[0].shape) if n != 1), key=lambda d: -abs(places[0].steps[d]))
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in places]
    for d in order:
        n = places[0].shape[d]
        if sizes and all(s[-1] == p.steps[d] * n for s, p in zip(steps, places, strict=True)):
            sizes[-1] *= n
            for s, p in zip(steps, places, strict=True):
                s[-1] = p.steps[d]
        else:
            sizes.append(n)
            for s, p in zip(steps, places, strict=True):
                s.append(p.steps[d])
    return sizes, steps

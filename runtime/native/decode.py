"""`layer.step` as one compiled call: what a streaming user runs millions of times.

The first step of a layout goes the long way, which checks everything; it leaves a `Decoder` behind that knows the layout. A later
step of the same layout, without gradients and outside of any tracing, fills in addresses and calls one C function:

    a kernel      where the whole step is one (the class's `DECODE`, see `compiler.lower.native.emit_decode`)
    a program     everywhere else: the reference's step, recorded operation by operation (see `recording`)

A decoder looks at its parameters where the module keeps them: numbers that change in place or through `.data` are seen, and
a parameter that was replaced, moved, converted or laid out otherwise fails the guard and makes a new decoder. Nothing that is
changed by a call is kept in Python: threads may step one module at a time each on a state of its own. Decoders are neither copied
nor pickled with their module. What a step hands back is new memory.
"""

from __future__ import annotations

import ctypes
import math
import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from seqc.runtime.native import choice
from seqc.runtime.native.calls import available, seen_through
from seqc.runtime.native.errors import NativeError
from seqc.runtime.native.guards import guard, maker
from seqc.runtime.native.kernel import Kernel
from seqc.runtime.native.places import Unfit
from seqc.runtime.native.recording import Entry, Recorded
from seqc.runtime.native.structure import LEAF, Pattern, build, flat, gather, pattern_of

DECODERS = 8
"""Layouts of one module that are remembered; most are batch sizes."""
TRIES = 64
"""How often a module is looked at; behind that its layouts change too often to be worth it."""

_kernels: dict[int, tuple[Any, Kernel]] = {}


def kernel_of(constant: tuple[Any, ...]) -> Kernel:
    """The kernel of a class's constant."""
    held = _kernels.get(id(constant))
    if held is None:
        held = _kernels[id(constant)] = (constant, Kernel(constant[0], constant[1]))
    return held[1]


class Decoders:
    """The decoders of one module. `why`: why the last layout has none; "" where it has."""

    __slots__ = ("list", "tries", "why")

    def __init__(self) -> None:
        self.list: list[Decoder] = []
        self.tries = 0
        self.why = "no step has been run"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Decoders, ())

    def __deepcopy__(self, memo: Any) -> Decoders:
        return Decoders()


class Bare:
    """What is called, and what it takes and makes.

    take     numbers of the operands whose addresses it takes, in order: inputs, parts of the state, tensors of the module
    makes    shape, steps and type of each result
    lead, tail   arguments before and behind the addresses
    """

    __slots__ = ("function", "lead", "tail", "take", "makes", "pack", "kept")

    def __init__(self, function: Any, lead: tuple[Any, ...], tail: tuple[Any, ...], take: Sequence[int], makes: Sequence[Any], kept: Any):
        self.function, self.lead, self.tail, self.kept = function, lead, tail, kept
        self.take = tuple(take)
        self.makes = tuple(maker(*one) for one in makes)
        self.pack = struct.Struct(f"{len(self.take) + len(self.makes)}P").pack


class Decoder:
    """One layout of one module's step."""

    __slots__ = (
        "owner", "names", "absent", "pattern", "flat", "holders", "keys", "linked", "links", "expected", "check", "bare", "pick",
        "outs", "after", "alone", "turns", "recorded", "again", "about",
    )  # fmt: skip

    def __init__(self, module: Any, given: Mapping[str, Any], state: Any, after: Any) -> None:
        """Raises ValueError, Unfit, TypeError, NativeError where this layout cannot take the short way."""
        self.owner = ref(module)
        self.names = tuple(k for k, v in given.items() if v is not None)
        self.absent = tuple(k for k, v in given.items() if v is None)
        self.pattern = pattern_of(state)
        self.flat = flat(self.pattern)
        inputs = {k: given[k] for k in self.names}
        leaves: list[Any] = []
        gather(self.pattern, state, leaves)
        self.recorded: Recorded | None = None
        entries: list[Entry] | None = self._kernel(module, inputs, state) if module.DECODE and self.flat and not self.absent else None
        if entries is None:
            later: list[Any] = []
            if not gather(self.pattern, after, later):
                raise Unfit("the state changes its form")
            found = self.recorded = Recorded(module, inputs, self.absent, self.pattern, later)
            leaves, entries = later, found.entries
            self._use(found)
            self.outs, self.after, self.turns = found.outs, found.after, None
            self.about = f"one recorded program of {found.program.instructions} instructions"
        # only what is read is looked at, and what says the module's own type
        live = len(self.names) + len(leaves)
        like = (module._buffers, "_like")
        read = sorted({i for i in self.bare.take if i >= live})
        moved = {**{i: i for i in range(live)}, **{i: live + n for n, i in enumerate(read)}}
        self.pick = tuple(moved[i] for i in self.bare.take)
        kept = [entries[i - live] for i in read] + [like]
        self.holders, self.keys = tuple(holder for holder, _ in kept), tuple(key for _, key in kept)
        values = [*inputs.values(), *leaves, *(holder[key] for holder, key in kept)]
        if len({id(x) for x in values}) < len(values) or any(x.device.type != "cpu" for x in values):
            raise Unfit("one tensor twice, or on another device")
        self.check = guard(values)
        self.alone = self.outs is LEAF
        self._link(module, kept)
        self.again = module.backend, choice.reference, choice.auto

    def _link(self, module: Any, kept: Sequence[Entry]) -> None:
        """What must still be the same objects: the parts of the module, whether they are in training, tensors kept twice."""
        links: list[tuple[Any, str, Any]] = []
        read = {id(holder[key]): (holder, key) for holder, key in kept}
        for part in module.modules():
            links += [(part._modules, name, child) for name, child in part._modules.items()]
            if hasattr(part, "TABLE"):
                links.append((part.__dict__, "training", part.training))
            for holder in (part._parameters, part._buffers):
                twice = [(k, v) for k, v in holder.items() if v is not None and id(v) in read and read[id(v)] != (holder, k)]
                for key, value in twice:
                    links += [(holder, key, value), (*read[id(value)], value)]
        self.links = tuple(one[0] for one in links)
        self.linked = tuple(one[1] for one in links)
        self.expected = tuple(one[2] for one in links)

    def _use(self, found: Recorded) -> None:
        program = found.program
        self.bare = Bare(program.function, (program.address,), (), program.given, program.shapes, program)

    def _kernel(self, module: Any, given: Mapping[str, Any], state: Any) -> list[Entry] | None:
        """The class's own kernel; None where this layout is not for it."""
        text, about, operands, rows, carries = module.DECODE
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
        if plan.fixes or any(plan.shares) or len(wanted) != kernel.rows + kernel.lasts or any(r is None for r in plan.results):
            return None
        numbers = (ctypes.c_double * len(plan.numbers))(*(tensors[i] for i in plan.numbers)) if plan.numbers else None
        makes = [(shape, _steps(shape), dtype) for shape, dtype in wanted]
        self.bare = Bare(plan.function, (plan.sizes,), (plan.steps, numbers, 1), take, makes, plan)
        places = {field: (kernel.rows + i, _turned(order)) for i, (field, order) in enumerate(carries)}
        turns = [*((r[0], _turned(r[1:])) for r in rows), *(places[n] for n in fields)]
        self.turns = None if turns == [(i, None) for i in range(len(turns))] else tuple(turns)
        self.outs = (module.OUTS, *(LEAF for _ in rows)) if len(rows) > 1 else LEAF
        self.after = (type(state), *(LEAF for _ in fields))
        self.about = "one kernel"
        return entries

    def run(self, bare: Bare, addresses: bytes) -> int:
        """The compiled call."""
        answer: int = bare.function(*bare.lead, addresses, *bare.tail)
        return answer

    def __call__(self, module: Any, given: Mapping[str, Any], state: Any) -> Any:
        """The outs and the state after; None where something is not as it was."""
        values = [given[name] for name in self.names]
        if self.flat:
            if type(state) is not self.pattern[0]:
                return None
            values += state
        elif not gather(self.pattern, state, values):
            return None
        values += map(_get, self.holders, self.keys)
        if not self.check(*values) or not all(map(_is, map(_get, self.links, self.linked), self.expected)):
            return None
        for name in self.absent:
            if given[name] is not None:
                return None
        addresses = list(map(_address, values))
        bare = self.bare
        while True:
            made = [make() for make in bare.makes]
            answer = self.run(bare, bare.pack(*[addresses[i] for i in self.pick], *map(_address, made)))
            if not answer:
                break
            if answer != CHANGED or self.recorded is None or not self._renew():
                return None
            bare = self.bare
        if self.turns is not None:
            made = [made[i] if order is None else made[i].permute(order) for i, order in self.turns]
        if self.alone and self.flat:
            return made[0], _tuple(self.after[0], made[1:])
        left = iter(made)
        return build(self.outs, left), build(self.after, left)

    def _renew(self) -> bool:
        """Makes anew what follows from the parameters alone."""
        assert self.recorded is not None
        try:
            self.recorded.program = self.recorded.renewed()
        except (Unfit, RuntimeError, ValueError):
            return False
        self._use(self.recorded)
        return True


CHANGED = 2
"""What a program answers where a parameter has changed from which something was made once."""

_get, _is, _address, _tuple = dict.get, operator.is_, Tensor.data_ptr, tuple.__new__


def _steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


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


def step(module: Any, given: Mapping[str, Any], state: Any) -> Any:
    """Outs and state after one step the short way; None where it has to go the long way."""
    held: Decoders = module._short
    if not held.list or torch.compiler.is_compiling() or torch._C._len_torch_function_stack():
        return None
    again = (module.backend, choice.reference, choice.auto)
    for i, decoder in enumerate(held.list):
        if decoder.again == again and decoder.owner() is module and (found := decoder(module, given, state)) is not None:
            if i:
                held.list = [decoder, *(d for d in held.list if d is not decoder)]
            return found
    return None


def learn(module: Any, given: Mapping[str, Any], state: Any, after: Any) -> None:
    """After a step that went the long way: remembers its layout where the next one like it can go the short way."""
    held: Decoders = module._short
    if held.tries >= TRIES or _other_way(module):
        return
    try:
        now, later = _shapes(state), _shapes(after)
    except TypeError:
        return
    if now != later or any(v is not None and not isinstance(v, Tensor) for v in given.values()):
        return  # the state still grows into its form
    held.tries += 1
    try:
        made = Decoder(module, given, state, after)
    except (NativeError, Unfit, ValueError, KeyError, AttributeError, TypeError) as why:
        held.why = str(why)
        return
    held.why = ""
    held.list = [made, *islice((d for d in held.list if d.owner() is module), DECODERS - 1)]


def _other_way(module: Any) -> bool:
    """Whether steps of this kind take the long way whatever their layout."""
    return bool(
        torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or seen_through()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch.is_autocast_enabled("cpu")
        or choice.reference
        or module.backend in ("reference", "triton")
        or module._like.device.type != "cpu"
        or module.backend != "native"
        and not (choice.auto and available())
    )


def _shapes(state: Any) -> list[tuple[int, ...]]:
    found: list[Any] = []
    gather(pattern_of(state), state, found)
    return [tuple(x.shape) for x in found]

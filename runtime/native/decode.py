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

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seqc.runtime.native import choice
from seqc.runtime.native.calls import available, seen_through
from seqc.runtime.native.decode_kernel import Bare, one_kernel
from seqc.runtime.native.guards import guard, maker
from seqc.runtime.native.places import Unfit
from seqc.runtime.native.program import Program
from seqc.runtime.native.recording import Entry, Recorded
from seqc.runtime.native.structure import LEAF, Pattern, build, flat, gather, pattern_of

DECODERS = 8
"""Layouts of one module that are remembered; most are batch sizes."""
FAILURES = 4
"""How often a module's step may turn out not to be recordable; behind that nobody tries again."""
TRIES = 64
"""How often a module is looked at; behind that its layouts change too often to be worth it."""

class Decoders:
    """The decoders of one module. `why`: why the last layout has none; "" where it has."""

    __slots__ = ("list", "tries", "failed", "why")

    def __init__(self) -> None:
        self.list: list[Decoder] = []
        self.tries = self.failed = 0
        self.why = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Decoders, ())

    def __deepcopy__(self, memo: Any) -> Decoders:
        return Decoders()


class Decoder:
    """One layout of one module's step. `call(given, state)`: outs and state after; None where something is not as it was."""

    __slots__ = ("owner", "bare", "outs", "after", "turns", "recorded", "about", "call")

    def __init__(self, module: Any, given: Mapping[str, Any], state: Any, after: Any) -> None:
        """Raises Unfit, and whatever recording raises, where this layout cannot take the short way."""
        self.owner = ref(module)
        pattern = pattern_of(state)
        inputs = {k: v for k, v in given.items() if v is not None}
        absent = [k for k, v in given.items() if v is None]
        leaves = _leaves(state)
        self.recorded: Recorded | None = None
        self.turns: tuple[tuple[int, tuple[int, ...] | None], ...] | None = None
        kernel = one_kernel(module, inputs, state) if module.DECODE and flat(pattern) and not absent else None
        if kernel is not None:
            self.bare, self.outs, self.after, self.turns = kernel.bare, kernel.outs, kernel.after, kernel.turns
            entries, self.about = kernel.entries, "one call of one kernel"
        else:
            later: list[Any] = []
            if not gather(pattern, after, later):
                raise Unfit("the state changes its form")
            found = self.recorded = Recorded(module, inputs, absent, pattern, later)
            entries, leaves = found.entries, found.layout[len(inputs) :]
            self.bare = _bare(found.program)
            self.outs, self.after = found.outs, found.after
            self.about = f"one call of a recorded program, {found.program.instructions} instructions"
        # only what is read is looked at, and what says the module's own type
        live = len(inputs) + len(leaves)
        read = sorted({i for i in self.bare.take if i >= live})
        moved = {**{i: i for i in range(live)}, **{i: live + n for n, i in enumerate(read)}}
        kept: list[Entry] = [*(entries[i - live] for i in read), (module._buffers, "_like")]
        values = [*(inputs.values() if self.recorded is None else self.recorded.layout[: len(inputs)]), *leaves]
        values += [holder[key] for holder, key in kept]
        if any(x.device.type != "cpu" for x in values):
            raise Unfit("a tensor on another device")
        places = [i for i, v in enumerate(given.values()) if v is not None]
        if self.recorded is not None:
            self.recorded.settled()
        self.call = self._caller(module, pattern, places, kept, guard(values), [moved[i] for i in self.bare.take], len(values))

    def _caller(
        self, module: Any, pattern: Pattern, places: list[int], kept: list[Entry], check: Callable[..., bool], take: list[int], count: int
    ) -> Callable[[Sequence[Any], Any], Any]:
        """The call, everything that it needs at hand."""
        links = _links(module, kept)
        parts, names, expected = (tuple(one[i] for one in links) for i in range(3))
        holders, keys = tuple(holder for holder, _ in kept), tuple(key for _, key in kept)
        width = len(module.TABLE.inputs)
        absent = [i for i in range(width) if i not in places]
        simple, kind = flat(pattern), pattern[0] if isinstance(pattern, tuple) else None
        outs, after, turns, one = self.outs, self.after, self.turns, self.outs is LEAF
        # operands in the order of the call; those that are looked at alone stand behind them
        pick = None if take == list(range(len(take))) else operator.itemgetter(*take) if len(take) > 1 else lambda v: (v[take[0]],)
        first = len(take) if pick is None else None
        shapes, steps, types = ([made[i] for made in self.bare.makes] for i in range(3))
        pack = struct.Struct(f"{len(take) + len(shapes)}P").pack
        get, same, address, tuple_of, make = GET, operator.is_, Tensor.data_ptr, TUPLE, maker()

        def call(given: Sequence[Any], state: Any) -> Any:
            if simple:
                if type(state) is not kind:
                    return None
                values = [*given, *state]
            else:
                values = [*given]
                if not gather(pattern, state, values):
                    return None
            if absent:
                if any(given[i] is not None for i in absent):
                    return None
                values = [*(given[i] for i in places), *values[width:]]
            values += map(get, holders, keys)
            if len(values) != count or not check(*values) or not all(map(same, map(get, parts, names), expected)):
                return None
            addresses = [*map(address, pick(values) if pick is not None else values[:first])]
            while True:
                made = [*map(make, shapes, steps, types)]
                bare = self.bare
                answer = bare.function(*bare.lead, pack(*addresses, *map(address, made)), *bare.tail)
                if not answer:
                    break
                if answer != CHANGED or not self.renew():
                    return None
            if turns is not None:
                made = [made[i] if order is None else made[i].permute(order) for i, order in turns]
            if one and simple:
                return made[0], tuple_of(kind, made[1:])
            left = iter(made)
            return build(outs, left), build(after, left)

        return call

    def renew(self) -> bool:
        """Makes anew what follows from the parameters alone."""
        if self.recorded is None:
            return False
        try:
            self.bare = _bare(self.recorded.renewed())
        except (Unfit, RuntimeError, ValueError):
            return False
        return True


def _bare(program: Program) -> Bare:
    return Bare(program.function, (program.address,), (), program.given, program.shapes, program)


def _links(module: Any, kept: Sequence[Entry]) -> list[tuple[Any, str, Any]]:
    """What must still be the same objects: who runs, the parts of the module, whether they are in training, tensors kept twice."""
    links: list[tuple[Any, str, Any]] = [(module.__dict__, "backend", module.backend)]
    links += [(choice.__dict__, word, getattr(choice, word)) for word in ("reference", "auto")]
    read = {id(holder[key]): (holder, key) for holder, key in kept}
    for part in module.modules():
        links += [(part._modules, name, child) for name, child in part._modules.items()]
        if hasattr(part, "TABLE"):
            links.append((part.__dict__, "training", part.training))
        for holder in (part._parameters, part._buffers):
            for key, value in holder.items():
                if value is not None and id(value) in read and (read[id(value)][0] is not holder or read[id(value)][1] != key):
                    links += [(holder, key, value), (*read[id(value)], value)]
    return links


GET: Any = dict.get
TUPLE: Any = tuple.__new__
CHANGED = 2
"""What a program answers where a parameter has changed from which something was made once."""

def step(module: Any, given: Sequence[Any], state: Any, reset: Any = None, watch: Any = ()) -> Any:
    """Outs and state after one step the short way, `given` all inputs; None where it has to go the long way."""
    if reset is not None or watch or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return None
    if torch._C._len_torch_function_stack() or forward_ad._current_level >= 0:
        return None
    held: Decoders = module._short
    for i, decoder in enumerate(held.list):
        if decoder.owner() is module and (found := decoder.call(given, state)) is not None:
            if i:
                held.list = [decoder, *(d for d in held.list if d is not decoder)]
            return found
    return None


def told(module: Any) -> str:
    """How steps run, as a sentence; "" where none has been run without gradients."""
    held: Decoders = module._short
    if held.list and not held.why:
        return f"`step`, without gradients: {held.list[0].about}"
    return f"`step` runs operation by operation: {held.why}" if held.why else ""


def raw(module: Any, given: Sequence[Any], state: Any) -> tuple[Any, tuple[Any, ...], Any] | None:
    """The bare call of one step: function, arguments, and what must be kept meanwhile; None where steps go the long way."""
    held: Decoders = module._short
    if not held.list:
        return None
    bare, heard = held.list[0].bare, []

    def noted(*arguments: Any) -> Any:
        heard.append(arguments)
        return bare.function(*arguments)

    held.list[0].bare = replace(bare, function=noted)
    try:
        made = step(module, given, state)
    finally:
        held.list[0].bare = bare
    return (bare.function, heard[-1], (made, given, state)) if heard else None


def learn(module: Any, given: Mapping[str, Any], state: Any, after: Any) -> None:
    """After a step that went the long way: remembers its layout where the next one like it can go the short way."""
    held: Decoders = module._short
    if held.tries >= TRIES or held.failed >= FAILURES or _other_way(module):
        return
    try:
        now, later = _shapes(state), _shapes(after)
    except TypeError:
        return
    if now != later or any(v is not None and not isinstance(v, Tensor) for v in given.values()):
        held.why = "the state has another form after the step"
        return
    held.tries += 1
    try:
        made = [Decoder(module, given, state, after)]
        if made[0].recorded is not None and not made[0].recorded.steady:
            made.append(Decoder(module, given, state, build(pattern_of(after), iter([x.contiguous() for x in _leaves(after)]))))
    except Exception as why:  # the step itself went well: whatever is wrong with its recording must not end it
        held.failed += 1
        held.why = str(why).partition("\n")[0] or type(why).__name__
        return
    held.why = ""
    held.list = [*made, *islice((d for d in held.list if d.owner() is module), DECODERS - len(made))]


def _other_way(module: Any) -> bool:
    """Whether steps of this kind take the long way whatever their layout."""
    return bool(
        torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or forward_ad._current_level >= 0
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


def _leaves(state: Any) -> list[Tensor]:
    found: list[Tensor] = []
    gather(pattern_of(state), state, found)
    return found


def _shapes(state: Any) -> list[tuple[int, ...]]:
    return [tuple(x.shape) for x in _leaves(state)]

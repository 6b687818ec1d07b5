"""What a step does, operation by operation, while it runs: the material that `translate` makes instructions of.

In:      a function that runs one step on given tensors, and the tensors that it reads: inputs, states, parameters.
Out:     a `Recorder` with the instructions; what follows from parameters alone stands apart, as operations to be run again when a
         parameter has changed (`again`).
Keeps:   views cost nothing: a tensor that shares its storage with one that is known is a place in it.
Refuses: `Unfit`: operations without an instruction, memory that nobody knows, random numbers, parameters that are written,
         Python that looks at a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from seqc.runtime.native.places import KINDS, Buffer, Place, Tape, Unfit, span
from seqc.runtime.native.translate import Translator

LIMIT = 4000
"""Operations; behind that a step takes so long that what is around it does not matter."""

_FILLED = frozenset((
    "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided",
))  # fmt: skip
"""Operations whose result follows from a shape alone."""

_SAFE = frozenset(("_linalg_check_errors", "promote_types", "result_type", "_has_compatible_shallow_copy_type"))


class Recorder(TorchDispatchMode):
    """Notes every operation. `operands`: tensors of which the first `live` change from step to step."""

    def __init__(self, operands: Sequence[Tensor], live: int, real: torch.dtype) -> None:
        super().__init__()
        self.operands, self.real = list(operands), real
        self.tape = Tape()
        self.kept: list[Any] = []
        self.known: dict[int, list[Buffer]] = {}
        self.once: list[tuple[Any, list[Any], Any, list[Any]]] = []
        self.read: set[int] = set()
        self.translate = Translator(self.tape, self.place, self.fresh)
        self.reads: set[int] = set()
        for i, x in enumerate(self.operands):
            level, after = (2, frozenset[int]()) if i < live else (1, frozenset((i,)))
            buffer = Buffer("operand", level, x.data_ptr(), span(x), slot=i, after=after)
            others = self.known.setdefault(_storage(x), [])
            if any(b.base < buffer.base + buffer.size and buffer.base < b.base + b.size for b in others):
                raise Unfit("tensors that share memory")
            others.append(buffer)

    # ---- where a tensor lies ------------------------------------------------------------------------------------------

    def buffer(self, x: Tensor) -> Buffer | None:
        """The buffer that a tensor lies in."""
        at = x.data_ptr()
        return next((b for b in self.known.get(_storage(x), ()) if b.base <= at < b.base + max(1, b.size)), None)

    def place(self, x: Tensor) -> Place:
        """A tensor as a place; signs and conjugates to come are made."""
        buffer = self.buffer(x)
        if buffer is None:
            raise Unfit("a tensor that came from nowhere")
        if x.dtype not in KINDS or (x.is_floating_point() and x.dtype != self.real) or (x.is_complex() and x.dtype.to_real() != self.real):
            raise Unfit(f"{str(x.dtype).removeprefix('torch.')} beside {str(self.real).removeprefix('torch.')}")
        if not x.numel():
            raise Unfit("an empty tensor")
        if buffer.what == "operand":
            self.reads.add(buffer.slot)
        elif buffer.level < 2:
            buffer.what = "held"
        found = Place(buffer, x.data_ptr() - buffer.base, tuple(x.shape), x.stride(), KINDS[x.dtype], x.element_size())
        if x.is_conj():
            found = self.translate.one("conj", found)
        return self.translate.one("neg", found) if x.is_neg() else found

    def fresh(self, x: Tensor) -> Place:
        """A new tensor as a place to be written."""
        if x.is_conj() or x.is_neg():
            raise Unfit("a result with a sign to come")
        self.add(x, 2)
        return self.place(x)

    def add(self, x: Tensor, level: int, after: frozenset[int] = frozenset()) -> None:
        """Makes a new tensor known."""
        store = x.untyped_storage()
        buffer = Buffer("memory", level, store.data_ptr(), store.nbytes(), after=after, value=x if level < 2 else None)
        self.known[_storage(x)] = [buffer]
        self.tape.buffers.append(buffer)

    # ---- operations ---------------------------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:
                whole = func.decompose(*args, **kwargs)
            if whole is not NotImplemented:
                return whole
        flat, _ = tree_flatten((args, kwargs))
        given = [x for x in flat if isinstance(x, Tensor)]
        name = func._schema.name.removeprefix("aten::")
        if name == "lift_fresh":
            self.constant(given[0])
        made = func(*args, **kwargs)
        self.kept.append((args, kwargs, made))
        if len(self.kept) > LIMIT:
            raise Unfit("it is very long")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise Unfit("random numbers")
        buffers = [self.buffer(x) for x in given]
        if any(b is None and x.numel() for x, b in zip(given, buffers, strict=True)):
            raise Unfit(f"`{name}` of a tensor that came from nowhere")
        known = [b for b in buffers if b is not None]
        level = 0 if name in _FILLED else max((b.level for b in known), default=0)
        out, _ = tree_flatten(made)
        results = [x for x in out if isinstance(x, Tensor)]
        if not results and level and name not in _SAFE:
            raise Unfit(f"Python looks at a number (`{name}`)")
        if func._schema.is_mutable:
            self.changed(name, func, args, kwargs, known, level)
        elif level < 2:
            after = frozenset().union(*(b.after | ({b.slot} if b.what == "operand" else set()) for b in known))
            for x in results:
                if self.buffer(x) is None:
                    self.add(x, level, after)
            if level:
                self.once.append((func, *self.packed(args, kwargs), out))
        elif results and all(self.buffer(x) is not None for x in results):
            pass  # a view
        else:
            self.mark(given)
            self.translate.run(name, func, args, kwargs, made)
            if name.endswith("_ex"):
                self.add(results[-1], 0)  # whether it went well: a program that does not answers so
        return made

    def packed(self, args: Any, kwargs: Any) -> tuple[list[Any], Any]:
        """Arguments, flat."""
        return tree_flatten((args, kwargs))

    def constant(self, x: Tensor) -> None:
        """A tensor that Python made of a number."""
        if self.buffer(x) is None:
            self.add(x, 0)
            self.kept.append(x)

    def mark(self, given: Sequence[Tensor]) -> None:
        """Notes what has been read by an instruction."""
        self.read |= {id(self.buffer(x)) for x in given}

    def changed(self, name: str, func: Any, args: Any, kwargs: Any, known: Sequence[Buffer], level: int) -> None:
        """An operation that writes into what is there."""
        target = self.buffer(args[0] if isinstance(args[0], Tensor) else kwargs.get("out", args[0]))
        if target is None or target.what == "operand":
            raise Unfit(f"`{name}` writes into what was given")
        if target.level == 2:
            self.mark([x for x in args if isinstance(x, Tensor)])
            self.translate.run(name, func, args, kwargs, args[0])
        elif level <= target.level and id(target) not in self.read:
            target.after = target.after.union(*(b.after for b in known))
            if level:
                self.once.append((func, *self.packed(args, kwargs), [args[0]]))
        else:
            raise Unfit(f"`{name}` writes into what is made once")

    def forget(self) -> None:
        """Lets go of all that only the recording needed."""
        self.kept.clear()
        self.known.clear()
        if not self.once:
            self.operands.clear()

    # ---- what is made once --------------------------------------------------------------------------------------------

    def again(self, operands: Sequence[Tensor]) -> dict[int, Tensor]:
        """What follows from parameters alone, made anew; by the id of the tensor that stood for it."""
        now: dict[int, Any] = {id(old): new for old, new in zip(self.operands, operands, strict=True)}
        for func, flat, form, out in self.once:
            args, kwargs = tree_unflatten([now.get(id(x), x) if isinstance(x, Tensor) else x for x in flat], form)
            made, _ = tree_flatten(func(*args, **kwargs))
            now.update({id(old): new for old, new in zip(out, made, strict=True) if isinstance(old, Tensor)})
        return now


def _storage(x: Tensor) -> int:
    return int(x.untyped_storage()._cdata)

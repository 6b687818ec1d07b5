"""Kernels of the native backend: from C functions and their descriptions to calls on tensors.

A `Kernel` is made in a generated module, from the C text of its functions and the tuples that the compiler wrote beside them. Nothing
is compiled before the first call; then a function is compiled for the floating type at hand and the storage types of the
operands, and kept.

Operands come in the kernel's order: a tensor [batch, time, axes] for `step`, [batch, axes] for `run`, [axes] for `once`, a
Python number for `number`, axes in the kernel's own order. Results: the rows [batch, time, axes], then the carries after the
last step [batch, axes]. All arithmetic is in float64 where any operand or result is, else in float32; bf16 and fp16 are
storage.

What a call needs to know of shapes, steps and types is worked out once for each layout of the operands (`Plan`); after that a call
fills in addresses. Autograd, tracing and the choice between them are in `ops`.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.library import load
from seqc.runtime.native.memory import empty

LANE_BYTES = 24 * 1024
"""How much scratch a task should have at most, so that it stays in the first-level cache."""

REPLAY_BYTES = 256 * 1024
"""How much of the past is recomputed at a time, so that it stays in the second-level cache."""

SMALL_WORK = 1 << 15
"""Below so many entries one thread is faster than several."""

_STORAGE = {torch.bfloat16: "bf16", torch.float16: "f16"}
_REAL = {torch.float32: 32, torch.float64: 64}


class Unit:
    """A translation unit; compiled on first use for each floating type and set of storage types.

    `functions`: for each C function in it its name, how many slots it has, and its text.
    """

    def __init__(self, functions: Sequence[tuple[str, int, str]]) -> None:
        self.slots = {name: slots for name, slots, _ in functions}
        self.text = '#include "kernels.h"\n\n' + "\n".join(text for _, _, text in functions)
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()

    def function(self, name: str, real: torch.dtype, storage: tuple[str, ...]) -> Any:
        """The C function for this floating type and these types of its slots. Raises NoCompiler, CompileFailed, LoadFailed."""
        key = (name, real, storage)
        found = self._functions.get(key)
        if found is None:
            with self._lock:
                lines = [f"#define SEQC_REAL {_REAL[real]}"]
                for other, slots in self.slots.items():
                    words = storage if other == name else ("plain",) * slots
                    lines += [f"#define {other}_s{i} {word}" for i, word in enumerate(words)]
                library = load("\n".join([*lines, self.text]), label="kernels")
                found = library.function(name, [ctypes.c_void_p] * 4 + [ctypes.c_int64], ctypes.c_int64)
                self._functions[key] = found
        return found


class Pass:
    """The description of one C function (see `compiler.lower.native.emit.described`)."""

    __slots__ = ("name", "axes", "split", "operands", "results", "starts", "arrays", "kept", "dense", "lanes")

    def __init__(self, about: Sequence[Any]) -> None:
        self.name, self.axes, self.split, self.operands, self.results, self.starts, self.arrays, self.kept = about[:8]
        self.dense = about[8]
        self.lanes = self.axes[-1] if self.axes else ""

    @property
    def slots(self) -> int:
        """How many addresses the function takes."""
        return sum(kind != "number" for kind, _ in self.operands) + len(self.results)

    def of(self, what: str) -> list[Any]:
        """The results of one kind."""
        return [r for r in self.results if r[0] == what]

    def piece(self, sizes: dict[str, int], real: torch.dtype) -> int:
        """Entries of the split axis in one piece: as many as stay in the first-level cache."""
        if not self.split:
            return 1
        whole = sizes[self.split]
        inside = 0
        for axes in self.arrays:
            inside += math.prod(sizes[a] for a in axes if a != self.split) if self.split in axes else 0
        room = max(1, LANE_BYTES // (real.itemsize * max(1, inside)))
        if self.split == self.lanes:
            room = max(64, room // 64 * 64)
        if whole <= room:
            return max(1, whole)
        pieces = -(-whole // room)
        even = -(-whole // pieces)
        return -(-even // 64) * 64 if self.split == self.lanes else even

    def interval(self, sizes: dict[str, int], real: torch.dtype, length: int) -> int:
        """Steps between checkpoints."""
        if not self.kept:
            return max(1, length)
        piece = self.piece(sizes, real)
        each = sum(math.prod(piece if a == self.split else sizes[a] for a in axes) for axes in self.kept)
        return max(1, min(length, max(8, min(128, REPLAY_BYTES // (real.itemsize * max(1, each))))))


@dataclass(slots=True)
class Plan:
    """One layout of operands: all that a call needs but addresses.

    fixes    operands that have to be copied or converted first: (place, type, contiguous)
    results  shape and type of each result that is wanted, in the order of the function's; None where it is not
    shares   results that come as shares along their first dimension
    small    one thread is enough; else as many as torch has at the call (a forked worker has one, whatever its parent had)
    """

    function: Any
    sizes: Any
    steps: Any
    small: bool
    fixes: tuple[tuple[int, torch.dtype, bool], ...]
    results: tuple[tuple[tuple[int, ...], torch.dtype] | None, ...]
    shares: tuple[bool, ...]
    numbers: tuple[int, ...]
    tensors: tuple[int, ...]

    def call(self, operands: Sequence[Any]) -> list[Tensor | None]:
        """Runs the function on operands of this layout. Raises MemoryError."""
        if self.fixes:
            operands = list(operands)
            for i, kind, whole in self.fixes:
                x = operands[i].to(kind)
                operands[i] = x.contiguous() if whole else x
        made = [None if r is None else empty(*r) for r in self.results]
        addresses = [operands[i].data_ptr() for i in self.tensors]
        addresses += [0 if x is None else x.data_ptr() for x in made]
        p = (ctypes.c_void_p * len(addresses))(*addresses)
        c = (ctypes.c_double * len(self.numbers))(*(operands[i] for i in self.numbers)) if self.numbers else None
        self.run(p, c, 1 if self.small else torch.get_num_threads())
        if any(self.shares):
            made = [x.sum(0) if share and x is not None else x for x, share in zip(made, self.shares, strict=True)]
        return made

    def run(self, addresses: Any, numbers: Any, threads: int) -> None:
        """The bare call, on ctypes' arrays of addresses (operands, then results) and numbers. Raises MemoryError."""
        if self.function(self.sizes, addresses, self.steps, numbers, threads):
            raise MemoryError("no memory for the scratch of a kernel")


class Kernel:
    """One kernel and its adjoint. `about` is what the compiler wrote; `adjoint` may be None."""

    registry: dict[str, Kernel] = {}

    def __init__(
        self, text: str, about: Sequence[Any], adjoint_text: str = "", adjoint: Sequence[Any] | None = None, unit: Unit | None = None
    ) -> None:
        self.forward = Pass(about)
        self.adjoint = None if adjoint is None else Pass(adjoint)
        self.units: dict[str, Unit] = {}
        for one, words in ((self.forward, text), (self.adjoint, adjoint_text)):
            if one is not None:
                self.units[one.name] = unit if unit is not None else Unit([(one.name, one.slots, words)])
        self.sources, self.gradients, self.stored, self.outer = ((), (), (), ()) if adjoint is None else tuple(adjoint[9:13])
        self.key = hashlib.sha256(f"{text}\0{about!r}\0{adjoint!r}".encode()).hexdigest()
        self.tensors = [i for i, (kind, _) in enumerate(self.forward.operands) if kind != "number"]
        self.rows, self.lasts = len(self.forward.of("row")), len(self.forward.of("last"))
        read = {*self.stored, *(i for what, i in self.sources if what == "kept")}
        self.needed_rows = sorted(i for i in read if 0 <= i < self.rows)
        self._plans: dict[Any, Plan] = {}
        Kernel.registry[self.key] = self

    # ---- shapes -------------------------------------------------------------------------------------------------------

    def shape(self, operands: Sequence[Any], single: bool = False) -> tuple[int, int, dict[str, int]]:
        """Batch, steps, and the size of each axis; `single`: operands have no time. Raises ValueError where they do not agree."""
        batch = length = -1
        sizes: dict[str, int] = {}
        for (kind, axes), x in zip(self.forward.operands, operands, strict=True):
            if kind == "number":
                continue
            given = tuple(x.shape)
            lead = (1 if single else 2) if kind == "step" else 1 if kind == "run" else 0
            if len(given) != lead + len(axes):
                raise ValueError(f"{self.forward.name}: an operand over {axes} of shape {list(given)}")
            if lead and batch not in (-1, given[0]) or lead == 2 and length not in (-1, given[1]):
                raise ValueError(f"{self.forward.name}: {list(given)} where there are {batch} sequences of {length} steps")
            batch, length = given[0] if lead else batch, given[1] if lead == 2 else length
            for a, n in zip(axes, given[lead:], strict=True):
                if sizes.setdefault(a, n) != n:
                    raise ValueError(f"{self.forward.name}: the axis {a} is {sizes[a]} and {n}")
        return batch, 1 if single else length, sizes

    def real(self, operands: Sequence[Any], dtypes: Sequence[torch.dtype]) -> torch.dtype:
        """The type of all arithmetic."""
        wide = torch.float64 in dtypes or any(isinstance(x, Tensor) and x.dtype == torch.float64 for x in operands)
        return torch.float64 if wide else torch.float32

    def result_shapes(
        self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, single: bool = False
    ) -> list[tuple[tuple[int, ...], torch.dtype] | None]:
        """Shapes and types of rows, carries after the last step, and checkpoints (None where they are not wanted)."""
        batch, length, sizes = self.shape(operands, single)
        real = self.real(operands, dtypes)
        f = self.forward
        lead = (batch,) if single else (batch, length)
        out: list[tuple[tuple[int, ...], torch.dtype] | None] = []
        for r, dtype in zip(f.of("row"), dtypes, strict=True):
            out.append(((*lead, *(sizes[a] for a in r[1])), dtype))
        for start, r in zip(f.starts, f.of("last"), strict=True):
            given = isinstance(start, int) and start >= 0
            out.append(((batch, *(sizes[a] for a in r[1])), operands[start].dtype if given else dtypes[0] if dtypes else real))
        every = self.adjoint.interval(sizes, real, length) if self.adjoint is not None else 1
        for r in f.of("checkpoint"):
            out.append(((-(-length // every), batch, *(sizes[a] for a in r[1])), real) if save else None)
        for r in f.of("extra"):
            out.append(((*lead, *(sizes[a] for a in r[1])), real) if save else None)
        return out

    @staticmethod
    def groups(batch: int) -> int:
        """Groups of sequences that share their totals; follows from the batch alone."""
        return max(1, min(batch, 64))

    # ---- calls --------------------------------------------------------------------------------------------------------

    def run_forward(self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, single: bool = False) -> list[Tensor]:
        """Rows, carries after the last step, and, where `save`, what the adjoint needs beside.

        `dtypes` of the rows; `single`: one step, operands and rows without time.
        """
        operands = _settled(operands)
        key = (save, single, *dtypes, *((operands[i].dtype, operands[i].shape, operands[i].stride()) for i in self.tensors))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._remember(key, self._forward_plan(operands, dtypes, save, single))
        return [x for x in plan.call(operands) if x is not None]

    def _remember(self, key: Any, plan: Plan) -> Plan:
        if len(self._plans) >= 256:
            self._plans.clear()
        self._plans[key] = plan
        return plan

    def _forward_plan(self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, single: bool) -> Plan:
        batch, length, sizes = self.shape(operands, single)
        real = self.real(operands, dtypes)
        every = self.adjoint.interval(sizes, real, length) if self.adjoint is not None else max(1, length)
        results = self.result_shapes(operands, dtypes, save, single)
        pieces = self._pieces(self.forward, sizes, real)
        shares = [part and pieces > 1 for _, _, part, _ in self.forward.results]
        wanted = [((pieces, *r[0]), r[1]) if r is not None and share else r for r, share in zip(results, shares, strict=True)]
        return self._plan(self.forward, batch, length, sizes, every, real, operands, wanted, shares, self.groups(batch), single)

    def _pieces(self, f: Pass, sizes: dict[str, int], real: torch.dtype) -> int:
        return -(-sizes[f.split] // f.piece(sizes, real)) if f.split and sizes[f.split] else 1

    def run_adjoint(
        self,
        operands: Sequence[Any],
        rows: Sequence[Tensor | None],
        kept: Sequence[Tensor],
        to_rows: Sequence[Tensor],
        to_lasts: Sequence[Tensor],
        dtypes: Sequence[torch.dtype],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Gradients of the operands from cotangents of rows and of the carries after the last step; None where not wanted."""
        again = iter(kept[: len(self.forward.of("checkpoint"))])
        left = [*rows, *kept[len(self.forward.of("checkpoint")) :]]
        given: list[Any] = []
        for what, i in self.sources:
            match what:
                case "operand":
                    given.append(operands[i])
                case "row":
                    given.append(to_rows[i])
                case "last":
                    given.append(to_lasts[i])
                case "kept":
                    given.append(left[i])
                case "past":
                    given.append(left[self.stored[i]] if self.stored[i] >= 0 else next(again))
        given = list(_settled(given))
        key = (
            tuple(wanted),
            *dtypes,
            *((x.dtype, x.shape, x.stride()) if isinstance(x, Tensor) else None for x in given),
            *((operands[i].dtype, operands[i].shape) for i in self.tensors),
        )
        plan = self._plans.get(key)
        if plan is None:
            plan = self._remember(key, self._adjoint_plan(operands, given, dtypes, wanted))
        made = plan.call(given)
        found = dict(zip(self._names(), made, strict=True))
        out: list[Tensor | None] = []
        for i, (kind, _) in enumerate(self.forward.operands):
            total: Tensor | None = None
            for part in self.gradients[i] if wanted[i] else ():
                x = self._outer(self.outer[part[1]], kind, found) if part[0] == "outer" else found[part]
                assert x is not None
                if kind == "once" and part[0] != "outer":
                    x = x.sum(0)
                total = x if total is None else total + x
            out.append(None if total is None else total.to(operands[i].dtype))
        return out

    def _outer(self, about: tuple[int, int, Any], kind: str, found: dict[tuple[str, int], Tensor | None]) -> Tensor:
        """A weight's gradient: the sum over steps (and sequences, where they share it) of two rows' product."""
        assert self.adjoint is not None
        out, arg, axes = about
        left, right = found["row", out], found["row", arg]
        assert left is not None and right is not None
        rows = self.adjoint.of("row")
        kinds = {"out": rows[out][1], "arg": rows[arg][1]}
        both = {a for where, a in axes if where == "both"}
        # an axis that both rows have and the weight lacks is summed over as time is
        named = {(where, a) for where, a in axes}
        letters: dict[tuple[str, str], str] = {}

        def letter(side: str, a: str) -> str:
            other = "arg" if side == "out" else "out"
            shared = a in both or (side, a) not in named and (other, a) not in named and a in kinds[other]
            return letters.setdefault(("both" if shared else side, a), chr(ord("c") + len(letters)))

        first = "ab" + "".join(letter("out", a) for a in kinds["out"])
        second = "ab" + "".join(letter("arg", a) for a in kinds["arg"])
        made = ("a" if kind == "run" else "") + "".join(letters[where, a] for where, a in axes)
        wide = torch.promote_types(left.dtype, right.dtype)
        return torch.einsum(f"{first},{second}->{made}", left.to(wide), right.to(wide))

    def _names(self) -> list[tuple[str, int]]:
        """The adjoint's results as `gradients` calls them."""
        assert self.adjoint is not None
        count = {"row": 0, "last": 0, "total": 0}
        out = []
        for what, _, _, _ in self.adjoint.results:
            out.append(("carry" if what == "last" else what, count[what]))
            count[what] += 1
        return out

    def _adjoint_plan(self, operands: Sequence[Any], given: Sequence[Any], dtypes: Sequence[torch.dtype], wanted: Sequence[bool]) -> Plan:
        b = self.adjoint
        assert b is not None
        batch, length, sizes = self.shape(operands)
        real = self.real(operands, dtypes)
        kinds = [kind for kind, _ in self.forward.operands]
        users = {part: i for i, parts in enumerate(self.gradients) if wanted[i] for part in parts}
        for i, (out, arg, _) in enumerate(self.outer):
            if ("outer", i) in users:
                users.setdefault(("row", out), -1)
                users.setdefault(("row", arg), -1)
        # totals of `run` operands are one for each sequence: then every sequence is a group
        alone = any(kinds[i] == "run" and any(p[0] == "total" for p in parts) for i, parts in enumerate(self.gradients))
        groups, pieces = batch if alone else self.groups(batch), self._pieces(b, sizes, real)
        results: list[tuple[tuple[int, ...], torch.dtype] | None] = []
        shares: list[bool] = []
        for name, (what, axes, part, _) in zip(self._names(), b.results, strict=True):
            cut = part and pieces > 1
            shares.append(cut)
            if name not in users:
                results.append(None)
                continue
            shape = tuple(sizes[a] for a in axes)
            user = users[name]
            alone_there = what == "row" and not cut and user >= 0 and len(self.gradients[user]) == 1
            kind = operands[user].dtype if alone_there else real
            lead = {"row": (batch, length), "last": (batch,), "total": (max(1, groups),)}[what]
            results.append((((pieces,) if cut else ()) + lead + shape, kind if _word(kind, real) else real))
        return self._plan(b, batch, length, sizes, b.interval(sizes, real, length), real, given, results, shares, max(1, groups))

    def _plan(
        self,
        f: Pass,
        batch: int,
        length: int,
        sizes: dict[str, int],
        every: int,
        real: torch.dtype,
        operands: Sequence[Any],
        results: Sequence[tuple[tuple[int, ...], torch.dtype] | None],
        shares: Sequence[bool],
        groups: int,
        single: bool = False,
    ) -> Plan:
        """What one layout comes to."""
        steps: list[int] = []
        storage: list[str] = []
        fixes: list[tuple[int, torch.dtype, bool]] = []
        pasts = iter([i for what, i in self.sources if what == "past"] if f is self.adjoint else [])
        for i, ((kind, axes), x) in enumerate(zip(f.operands, operands, strict=True)):
            if kind == "number":
                continue
            word = _word(x.dtype, real)
            by = x.stride()
            whole = kind in ("step", "past") and bool(axes) and by[-1] != 1 and x.shape[-1] > 1
            if whole and kind == "step" and word == "plain" and by[-1] == 2 and not any(n % 2 for n in by):
                # the real or the imaginary part of a complex tensor: read where it lies
                word, whole, by = "pair", False, tuple(n // 2 for n in by)
            if not word or whole:
                fixes.append((i, x.dtype if word else real, whole))
                by = _steps_of(tuple(x.shape)) if whole else x.to(real).stride()
            storage.append(word or "plain")
            match kind:
                case "step":
                    steps += (by[0], 0, *by[1:]) if single else by
                case "run":
                    steps += (by[0], 0, *by[1:])
                case "past":
                    # a row [batch, time, …], or checkpoints [time, batch, …]
                    steps += by if self.stored[next(pasts)] >= 0 else (by[1], by[0], *by[2:])
                case _:
                    steps += (0, 0, *by)
        for (what, axes, _, _), r, share in zip(f.results, results, shares, strict=True):
            if r is None:
                steps += [0] * (len(axes) + 3)
                storage.append("plain")
                continue
            by = _steps_of(r[0])
            part, by = (by[0], by[1:]) if share else (0, by)
            storage.append(_word(r[1], real))
            if what in ("row", "extra") and not single:
                steps += (*by, part)
            elif what == "checkpoint":
                steps += (by[1], by[0], *by[2:], part)
            else:
                steps += (by[0], 0, *by[1:], part)
        sized = [batch, length, groups, every, f.piece(sizes, real), *(sizes[a] for a in f.axes)]
        work = batch * length * math.prod(sizes.values())
        return Plan(
            self.units[f.name].function(f.name, real, tuple(storage)),
            (ctypes.c_int64 * len(sized))(*sized),
            (ctypes.c_int64 * max(1, len(steps)))(*steps),
            work < SMALL_WORK,
            tuple(fixes),
            tuple(results),
            tuple(shares),
            tuple(i for i, (kind, _) in enumerate(f.operands) if kind == "number"),
            tuple(i for i, (kind, _) in enumerate(f.operands) if kind != "number"),
        )


def _settled(operands: Sequence[Any]) -> Sequence[Any]:
    """Tensors whose numbers are those in memory: the imaginary part of a conjugate is a view with a sign to come."""
    if any(isinstance(x, Tensor) and x.is_neg() for x in operands):
        return [x.resolve_neg() if isinstance(x, Tensor) else x for x in operands]
    return operands


def _word(dtype: torch.dtype, real: torch.dtype) -> str:
    """What a slot of this type is called in C; "" where it has to be converted."""
    return "plain" if dtype == real else _STORAGE.get(dtype, "") if real == torch.float32 else ""


def _steps_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The steps of a contiguous tensor."""
    out: list[int] = []
    step = 1
    for n in reversed(shape):
        out.append(step)
        step *= max(1, n)
    return tuple(reversed(out))

"""Kernels of the native backend: from C functions and their descriptions to calls on tensors.

A `Kernel` is made in a generated module, from the C text of its functions and the tuples that the compiler wrote beside them. Nothing
is compiled before the first call; then a function is compiled for the floating type at hand and the storage types of the
operands, and kept.

Operands come in the kernel's order: a tensor [batch, time, axes] for `step`, [batch, axes] for `run`, [axes] for `once`, a
Python number for `number`, axes in the kernel's own order. Results: the rows [batch, time, axes], then the carries after the
last step [batch, axes]. All arithmetic is in float64 where any operand or result is, else in float32; bf16 and fp16 are
storage.

The library is called by `call`; autograd, tracing and the choice between them are in `ops`.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.library import load

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

    __slots__ = ("name", "axes", "split", "operands", "results", "starts", "arrays", "kept", "inner", "lanes")

    def __init__(self, about: Sequence[Any]) -> None:
        self.name, self.axes, self.split, self.operands, self.results, self.starts, self.arrays, self.kept = about[:8]
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
        self.sources, self.gradients, self.stored = ((), (), ()) if adjoint is None else tuple(adjoint[8:11])
        self.key = hashlib.sha256(f"{text}\0{about!r}\0{adjoint!r}".encode()).hexdigest()
        self.tensors = [i for i, (kind, _) in enumerate(self.forward.operands) if kind != "number"]
        Kernel.registry[self.key] = self

    # ---- shapes -------------------------------------------------------------------------------------------------------

    def shape(self, operands: Sequence[Any]) -> tuple[int, int, dict[str, int]]:
        """Batch, steps, and the size of each axis."""
        batch = length = -1
        sizes: dict[str, int] = {}
        for (kind, axes), x in zip(self.forward.operands, operands, strict=True):
            if kind == "number":
                continue
            given = x.shape
            if kind == "step":
                batch, length, given = given[0], given[1], given[2:]
            elif kind == "run":
                batch, given = given[0], given[1:]
            for a, n in zip(axes, given, strict=True):
                if sizes.setdefault(a, n) != n:
                    raise ValueError(f"{self.forward.name}: the axis {a} is {sizes[a]} and {n}")
        return batch, length, sizes

    def real(self, operands: Sequence[Any], dtype: torch.dtype) -> torch.dtype:
        """The type of all arithmetic."""
        if dtype == torch.float64 or any(isinstance(x, Tensor) and x.dtype == torch.float64 for x in operands):
            return torch.float64
        return torch.float32

    def result_shapes(
        self,
        batch: int,
        length: int,
        sizes: dict[str, int],
        dtype: torch.dtype,
        real: torch.dtype,
        save: bool,
        operands: Sequence[Any],
    ) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shapes and types of rows, carries after the last step and checkpoints."""
        f = self.forward
        out: list[tuple[tuple[int, ...], torch.dtype]] = []
        for r in f.of("row"):
            out.append(((batch, length, *(sizes[a] for a in r[1])), dtype))
        for start, r in zip(f.starts, f.of("last"), strict=True):
            kind = operands[start].dtype if isinstance(start, int) and start >= 0 else dtype
            out.append(((batch, *(sizes[a] for a in r[1])), kind))
        if save and self.adjoint is not None and self.adjoint.kept:
            every = self.adjoint.interval(sizes, real, length)
            out += [((-(-length // every), batch, *(sizes[a] for a in axes)), real) for axes in self.adjoint.kept]
        return out

    # ---- calls --------------------------------------------------------------------------------------------------------

    def run_forward(self, operands: Sequence[Any], dtype: torch.dtype, save: bool) -> list[Tensor]:
        """Rows, carries after the last step, and, where `save`, what the adjoint needs beside."""
        batch, length, sizes = self.shape(operands)
        real = self.real(operands, dtype)
        f = self.forward
        shapes = self.result_shapes(batch, length, sizes, dtype, real, save, operands)
        results = [torch.empty(shape, dtype=kind) for shape, kind in shapes]
        every = self.adjoint.interval(sizes, real, length) if self.adjoint is not None else max(1, length)
        rows, lasts = len(f.of("row")), len(f.of("last"))
        placed: list[tuple[Tensor | None, int]] = [(x, 1) for x in results[: rows + lasts]]
        kept = results[rows + lasts :]
        placed += [(x, -1) for x in kept] if kept else [(None, 1)] * len(f.of("checkpoint"))
        # rows that are sums over the split axis come in shares
        shares = self._shares(f, sizes, real, placed, results)
        self._call(f, batch, length, sizes, every, real, operands, placed)
        for i, x in shares:
            torch.sum(x, 0, out=results[i])
        return results

    def _shares(self, f: Pass, sizes: dict[str, int], real: torch.dtype, placed: list[Any], results: list[Tensor]) -> list[Any]:
        out = []
        pieces = self._pieces(f, sizes, real)
        for i, r in enumerate(f.results):
            if r[2] and pieces > 1 and placed[i][0] is not None:
                share = torch.empty((pieces, *results[i].shape), dtype=results[i].dtype)
                placed[i] = (share, 2)
                out.append((i, share))
        return out

    def _pieces(self, f: Pass, sizes: dict[str, int], real: torch.dtype) -> int:
        return -(-sizes[f.split] // f.piece(sizes, real)) if f.split and sizes[f.split] else 1

    @staticmethod
    def groups(batch: int) -> int:
        """Groups of sequences that share their totals; follows from the batch alone."""
        return max(1, min(batch, 64))

    def run_adjoint(
        self,
        operands: Sequence[Any],
        rows: Sequence[Tensor],
        kept: Sequence[Tensor],
        to_rows: Sequence[Tensor],
        to_lasts: Sequence[Tensor],
        dtype: torch.dtype,
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Gradients of the operands from cotangents of rows and of the carries after the last step; None where not wanted."""
        b = self.adjoint
        assert b is not None
        batch, length, sizes = self.shape(operands)
        real = self.real(operands, dtype)
        every = b.interval(sizes, real, length)
        again = iter(kept)
        given: list[Any] = []
        for what, i in self.sources:
            match what:
                case "operand":
                    given.append(operands[i])
                case "row":
                    given.append(to_rows[i])
                case "last":
                    given.append(to_lasts[i])
                case "past":
                    given.append(rows[self.stored[i]] if self.stored[i] >= 0 else next(again))
        used = {part for i, parts in enumerate(self.gradients) if wanted[i] for part in parts}
        groups, pieces = self.groups(batch), self._pieces(b, sizes, real)
        placed: list[tuple[Tensor | None, int]] = []
        found: dict[tuple[str, int], Tensor] = {}
        number = {"row": 0, "last": 0, "total": 0}
        for what, axes, part, _ in b.results:
            name = ("carry" if what == "last" else what, number[what])
            number[what] += 1
            if name not in used:
                placed.append((None, 1))
                continue
            shape = tuple(sizes[a] for a in axes)
            kind = real
            if what == "row":
                shape = (batch, length, *shape)
                kind = next(operands[i].dtype for i, parts in enumerate(self.gradients) if name in parts) if not part else real
                kind = kind if kind in _STORAGE or kind == real else real
            elif what == "last":
                shape = (batch, *shape)
            else:
                of = next(i for i, parts in enumerate(self.gradients) if name in parts)
                per_sequence = self.forward.operands[of][0] == "run"
                # a total of `run` is one for each sequence: groups of one sequence
                shape = (batch if per_sequence else groups, *shape)
            if part and pieces > 1:
                shape = (pieces, *shape)
            x = torch.empty(shape, dtype=kind)
            placed.append((x, 2 if part and pieces > 1 else 1))
            found[name] = x
        kinds = [kind for kind, _ in self.forward.operands]
        runs = any(kinds[i] == "run" and any(p[0] == "total" for p in parts) for i, parts in enumerate(self.gradients))
        self._call(b, batch, length, sizes, every, real, given, placed, batch if runs else groups)
        out: list[Tensor | None] = []
        for i, (kind, _) in enumerate(self.forward.operands):
            if not wanted[i] or not self.gradients[i]:
                out.append(None)
                continue
            total: Tensor | None = None
            for part in self.gradients[i]:
                x = found[part]
                shares = next(p[1] for p in placed if p[0] is x) == 2
                if shares:
                    x = x.sum(0)
                if part[0] == "total" and kind == "once":
                    x = x.sum(0)
                if part[0] == "carry" and kind == "once":
                    x = x.sum(0)
                total = x if total is None else total + x
            assert total is not None
            out.append(total.to(operands[i].dtype))
        return out

    def _call(
        self,
        f: Pass,
        batch: int,
        length: int,
        sizes: dict[str, int],
        every: int,
        real: torch.dtype,
        operands: Sequence[Any],
        placed: Sequence[tuple[Tensor | None, int]],
        groups: int | None = None,
    ) -> None:
        """One call of the C function."""
        kept: list[Tensor] = []
        addresses: list[int] = []
        steps: list[int] = []
        numbers: list[float] = []
        storage: list[str] = []
        for (kind, axes), x in zip(f.operands, operands, strict=True):
            if kind == "number":
                numbers.append(float(x))
                continue
            word = "plain" if x.dtype == real else _STORAGE.get(x.dtype, "") if real == torch.float32 else ""
            if not word:
                x, word = x.to(real), "plain"
            by = x.stride()
            if kind in ("step", "past") and axes and by[-1] != 1 and x.shape[-1] > 1:
                x = x.contiguous()
                by = x.stride()
            kept.append(x)
            addresses.append(x.data_ptr())
            storage.append(word)
            if kind == "step":
                steps += by
            elif kind == "run":
                steps += (by[0], 0, *by[1:])
            elif kind == "past":
                # a row [batch, time, …] or checkpoints [time, batch, …]
                steps += by if len(by) == len(axes) + 2 and self._is_row(f, x, kept, operands) else (by[1], by[0], *by[2:])
            else:
                steps += (0, 0, *by)
        for (what, axes, _, _), (x, form) in zip(f.results, placed, strict=True):
            if x is None:
                addresses.append(0)
                storage.append("plain")
                steps += [0] * (len(axes) + 3)
                continue
            by = x.stride()
            addresses.append(x.data_ptr())
            storage.append("plain" if x.dtype == real else _STORAGE[x.dtype])
            share = 0
            if form == 2:
                share, by = by[0], by[1:]
            if what == "row":
                steps += (*by, share)
            elif what == "checkpoint":
                steps += (by[1], by[0], *by[2:], share)
            else:
                steps += (by[0], 0, *by[1:], share)
            kept.append(x)
        groups = self.groups(batch) if groups is None else groups
        sized = [batch, length, groups, every, f.piece(sizes, real), *(sizes[a] for a in f.axes)]
        work = batch * length * math.prod(sizes.values())
        threads = 1 if work < SMALL_WORK else torch.get_num_threads()
        function = self.units[f.name].function(f.name, real, tuple(storage))
        n, s, p = (
            (ctypes.c_int64 * len(sized))(*sized),
            (ctypes.c_int64 * len(steps))(*steps),
            (ctypes.c_void_p * len(addresses))(*addresses),
        )
        c = (ctypes.c_double * max(1, len(numbers)))(*numbers)
        if function(n, p, s, c, threads):
            raise MemoryError(f"{f.name}: no memory for {groups} tasks")

    def _is_row(self, f: Pass, x: Tensor, kept: list[Tensor], operands: Sequence[Any]) -> bool:
        """Whether the past operand just placed is a row of the forward pass."""
        i = next(i for i, o in enumerate(operands) if o is x or o is kept[-1])
        what, carry = self.sources[i]
        return bool(what == "past" and self.stored[carry] >= 0)

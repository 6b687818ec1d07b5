"""Kernels of the Triton backend: from generated functions and their descriptions to launches on tensors.

A `Kernel` takes operands as the native one does (`runtime.native.kernel`) and gives the same results; shapes, types, what the
adjoint reads and how gradients are put together are that class's. What is different is the launch: a plan holds the grid, the
blocks and every number that a function takes, so that a call fills in addresses and starts one function (`launching`).

Nothing is accumulated in place: results are made anew, shares of sums get a place for each program and are added up afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.kernel import Kernel as NativeKernel
from seqc.runtime.native.kernel import Pass as NativePass
from seqc.runtime.triton import launching
from seqc.runtime.triton.blocks import LARGE, LEAST, PROGRAMS, TILE, WARPS, Blocks, choose, power
from seqc.runtime.triton.device import interpreting
from seqc.runtime.triton.launching import start
from seqc.runtime.triton.limits import Limits
from seqc.runtime.triton.names import Lazy
from seqc.runtime.triton.segments import Segment, Split, multiprocessors, segment_steps

CHUNK = 32
"""Steps between checkpoints."""

STEPS = 32
"""Steps of a tile of the associative mode, where one step is small: with 64 registers spill."""

MOVED = 8
"""So many values may be read and written at a step before threads or tiles have half as many entries: each takes registers for its
addresses."""

SCANNED = 1536
"""Up to so many entries of the carries of a tile four warps are enough: eight would leave each thread with little beside addresses."""

WIDE = 512
"""Above so many entries of one step also the lanes of a tile become narrow."""

STORAGE = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Types that kernels load and store."""

_NUMBER, _BITS = struct.Struct("d"), struct.Struct("q")

BOUNDS = ("start", "summary")
"""Slots of what segments begin with and come to."""


def buffer(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, zero: bool) -> Tensor:
    """Memory for a result or a scratch; `zero` where no program writes it."""
    return torch.zeros(shape, dtype=dtype, device=device) if zero else torch.empty(shape, dtype=dtype, device=device)


class Pass(NativePass):
    """The description of one Triton function (see `compiler.lower.triton.emit.described`)."""

    __slots__ = ("strides", "single", "tiles", "told", "partner", "bounds", "levels", "begun", "with_", "held")

    def __init__(self, about: Sequence[Any], tiles: bool = False) -> None:
        super().__init__(about)
        self.tiles = tiles
        self.strides, self.single = about[13], about[14]
        self.told: dict[tuple[int, ...], int] = {}
        # of a function with matrix products: what it holds
        self.held: tuple[Any, ...] = about[15] if len(about) == 16 else ()
        self.partner: Pass | None = None  # of a function: its adjoint, which says how many steps a tile has
        # of a scan: its levels, and which carries there are `start` slots for
        self.levels: int = about[15] if len(about) > 16 else 0
        self.begun: tuple[int, ...] = about[16] if len(about) > 16 else ()
        self.with_: Pass | None = None
        self.bounds = tuple(r for r in self.results if r[0] in BOUNDS)
        self.results = tuple(r for r in self.results if r[0] not in BOUNDS)

    @property
    def shares(self) -> tuple[str, ...]:
        """Cut axes over which some result is a sum."""
        return tuple(a for a in self.split if any(a in parts for _, _, parts, _ in self.results))

    @property
    def moved(self) -> int:
        """Values that are read or written at every step."""
        return sum(kind in ("step", "past") for kind, _ in self.operands) + len(self.of("row"))

    def interval(self, sizes: dict[str, int], real: torch.dtype, length: int) -> int:
        """Steps between checkpoints; of the associative mode the steps of a tile; of a pass that goes one step after the other beside one
        `with_` tiles, theirs."""
        if self.with_ is not None:
            return self.with_.interval(sizes, real, length)
        return (self.told.get(self.place(sizes)) or self.steps(sizes)) if self.tiles else CHUNK

    def place(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Under what the steps of a tile are told, where they were chosen (`decide`): the same for a function and its adjoint."""
        return tuple(power(sizes[a]) for a in sorted(self.axes))

    @contextlib.contextmanager
    def given(self, sizes: Mapping[str, int], steps: int) -> Iterator[None]:
        """Within, tiles have so many steps."""
        before = dict(self.told)
        if steps:
            self.told[self.place(sizes)] = steps
        try:
            yield
        finally:
            self.told.clear()
            self.told.update(before)

    def steps(self, sizes: dict[str, int]) -> int:
        """Steps of a tile: fewer where the values of one step are large, many are carried, or many are read and written."""
        found = choose(self.axes, self.split, self.shares, self.arrays, sizes, PROGRAMS, LEAST, WIDE)
        block = dict(zip(self.axes, found.axes, strict=True))
        size = max((math.prod(block[a] for a in axes) for axes in self.arrays), default=1)
        return max(2, min(STEPS, STEPS * LEAST // power(size * max(1, len(self.starts)))))

    def blocks(self, sizes: dict[str, int], batch: int) -> Blocks:
        """How much one program takes."""
        large = WIDE if self.tiles else LARGE * MOVED // max(MOVED, self.moved)
        found = choose(self.axes, self.split, self.shares, self.arrays, sizes, batch, LEAST if self.tiles else TILE, large)
        if not self.tiles:
            if self.moved <= MOVED:
                return found
            return replace(found, warps=min(WARPS, 2 * found.warps), stages=found.stages if self.moved <= 2 * MOVED else 1)
        size = max((math.prod(dict(zip(self.axes, found.axes, strict=True))[a] for a in axes) for axes in self.arrays), default=1)
        small = size * (self.partner or self).steps(sizes) * max(1, len(self.starts)) <= SCANNED
        return replace(found, warps=found.warps // 2) if small else found


@dataclass(slots=True)
class Launch:
    """One layout of operands: all that a call needs but addresses.

    given    for each operand with memory its place and the type it is converted to first, if any
    results  shape and type of each result that is wanted, in the order of the function's; None where it is not
    shares   how many leading dimensions of each result are added up
    kinds    the types of the results in the end: shares are in the arithmetic type, and so is in the interpreter what becomes
             bfloat16 (it cuts off where a GPU rounds)
    scratch  shapes of the scratch
    stored   what lies in the memory of each operand that has some
    tail     the arguments behind the tensors and the scratch; `plain`: results are as the function leaves them
    ready    compiled kernels, as `launching` keeps them
    bounds   how many slots there are for segments; None where a call gives nothing for them
    """

    function: Lazy
    programs: int
    given: tuple[tuple[int, torch.dtype | None, bool], ...]
    results: tuple[tuple[tuple[int, ...], torch.dtype] | None, ...]
    shares: tuple[int, ...]
    kinds: tuple[torch.dtype, ...]
    scratch: tuple[tuple[int, ...], ...]
    real: torch.dtype
    numbers: tuple[int, ...]
    integers: tuple[int, ...]
    constants: tuple[Any, ...]
    warps: int
    stored: tuple[torch.dtype, ...] = ()
    bounds: int = 0
    tail: tuple[Any, ...] = ()
    plain: bool = False
    ready: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tail = (*self.integers, *self.constants)
        ends = zip(self.results, self.shares, self.kinds, strict=True)
        self.plain = all(r is None or not n and r[1] == kind for r, n, kind in ends)

    @property
    def launches(self) -> tuple[Launch, ...]:
        """All launches of the plan."""
        return (self,)

    def call(
        self, operands: Sequence[Any], launch: Callable[..., None] = start, bounds: Sequence[Tensor] = ()
    ) -> list[Tensor | None]:
        """Runs the function on operands of this layout, by `launch(plan, device, operands and results, numbers, scratch)`. `bounds`: what
        there is for segments."""
        taken: list[Tensor | None] = []
        for i, kind, whole in self.given:
            x = operands[i] if kind is None else operands[i].to(kind)
            taken.append(x.contiguous() if whole else x)
        assert taken[0] is not None
        device = taken[0].device
        found = [None if r is None else buffer(*r, device, not self.programs) for r in self.results]
        if self.programs:
            scratch = [buffer(s, self.real, device, False) for s in self.scratch]
            bits = tuple([_BITS.unpack(_NUMBER.pack(operands[i]))[0] for i in self.numbers]) if self.numbers else ()
            launch(self, device, [*taken, *found, *(bounds or (None,) * self.bounds)], bits, scratch)
        if self.plain:
            return found
        out: list[Tensor | None] = []
        for x, n, kind in zip(found, self.shares, self.kinds, strict=True):
            x = x.sum(tuple(range(n))) if x is not None and n else x
            out.append(None if x is None else x.to(kind))
        return out


class Kernel(NativeKernel):
    """One kernel and its adjoint. `scan`: the functions that take many steps at a time, and their descriptions, if there are any;
    `parallel` is the kernel made of them. Of such a kernel (`tiles`) it is those for segments, forwards and then backwards."""

    def __init__(
        self, forward: Lazy, about: Sequence[Any], adjoint: Lazy, adjoint_about: Sequence[Any], *scan: Any, tiles: bool = False
    ) -> None:
        self.parallel = Kernel(*scan, tiles=True) if scan and not tiles else None
        self.forward: Pass = Pass(about, tiles)
        self.adjoint: Pass = Pass(adjoint_about, tiles and len(adjoint_about) > 16)
        self.adjoint.with_ = self.forward if tiles and not self.adjoint.tiles else None
        self.forward.partner = self.adjoint if self.adjoint.tiles else None
        if self.adjoint.with_ is not None:
            self.adjoint.told = self.forward.told
        pairs = zip(scan[::2], scan[1::2], strict=True) if tiles else ()
        cuts = [(function, Pass(words, number % 2 == 0)) for number, (function, words) in enumerate(pairs)]
        self.cuts = (cuts[: 2 * self.forward.levels], cuts[2 * self.forward.levels :])
        self.functions = (forward, adjoint)
        self.sources, self.gradients, self.stored, self.outer = adjoint_about[9:13]
        self.key = hashlib.sha256(f"triton\0{forward.name}\0{about!r}\0{adjoint_about!r}\0{id(self)}".encode()).hexdigest()
        self.tensors = [i for i, (kind, _) in enumerate(self.forward.operands) if kind != "number"]
        self.rows, self.lasts = len(self.forward.of("row")), len(self.forward.of("last"))
        read = {*self.stored, *(i for what, i in self.sources if what == "kept")}
        self.needed_rows = sorted(i for i in read if 0 <= i < self.rows)
        self._plans: dict[Any, Any] = {}
        self.fixed: Blocks | None = None
        self.limits: Limits | None = None
        self.decided: dict[Any, Any] = {}
        NativeKernel.registry[self.key] = self

    def _forward_plan(self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, single: bool) -> Any:
        batch, length, sizes = self.shape(operands, single)
        real = self.real(operands, dtypes)
        results = self.result_shapes(operands, dtypes, save, single)
        blocks = self._schedule(self.forward, batch, length, sizes, real, operands, results)
        results = self.result_shapes(operands, dtypes, save, single)  # the schedule may have told the steps of a tile
        return self._in_segments(self.forward, batch, length, sizes, real, operands, results, {}, single, blocks)

    def _adjoint_plan(self, operands: Sequence[Any], given: Sequence[Any], dtypes: Sequence[torch.dtype], wanted: Sequence[bool]) -> Any:
        batch, length, sizes = self.shape(operands)
        real = self.real(operands, dtypes)
        users = {part: i for i, parts in enumerate(self.gradients) if wanted[i] for part in parts}
        for i, (out, arg, _) in enumerate(self.outer):
            if ("outer", i) in users:
                users |= {("row", j): users.get(("row", j), -1) for j in (out, arg)}
        results: list[tuple[tuple[int, ...], torch.dtype] | None] = []
        kinds: dict[int, torch.dtype] = {}
        for j, (name, (what, axes, _, _)) in enumerate(zip(self._names(), self.adjoint.results, strict=True)):
            if name not in users:
                results.append(None)
                continue
            shape = tuple(sizes[a] for a in axes)
            lead = (batch, length) if what == "row" else (batch,)
            user = users[name]
            alone = what == "row" and user >= 0 and len(self.gradients[user]) == 1
            kind = operands[user].dtype if alone else real
            kinds[j] = kind if stored(kind, real) else real
            results.append(((*lead, *shape), kinds[j]))
        return self._in_segments(self.adjoint, batch, length, sizes, real, given, results, kinds, False)

    def _in_segments(
        self,
        f: Pass,
        batch: int,
        length: int,
        sizes: dict[str, int],
        real: torch.dtype,
        operands: Sequence[Any],
        results: Sequence[tuple[tuple[int, ...], torch.dtype] | None],
        kinds: dict[int, torch.dtype],
        single: bool,
        blocks: Blocks | None = None,
    ) -> Launch | Split:
        """One launch, or those of all segments where the programs of one launch would leave the machine idle."""
        if blocks is None:
            blocks = self._schedule(f, batch, length, sizes, real, operands, results)
        whole = self._launch(f, batch, length, sizes, real, operands, results, kinds, single, blocks)
        cuts = self.cuts[f is not self.forward]
        if not (cuts or f.tiles and not f.starts) or single or not whole.programs:
            return whole
        device = next(x.device for x in operands if isinstance(x, Tensor))
        each = segment_steps(whole.programs, length, self.adjoint.interval(sizes, real, length), multiprocessors(device))
        if each >= length:
            return whole

        def rows(f: Pass, kind: str) -> list[tuple[int, ...]]:
            return [(-(-length // each), batch, *(sizes[a] for a in axes)) for what, axes, _, _ in f.bounds if what == kind]

        shapes = rows(f, "start")
        before: list[tuple[Launch, tuple[int, ...]]] = []
        for (one, sums), (other, join) in zip(cuts[::2], cuts[1::2], strict=True):
            made = tuple(range(len(shapes), len(shapes) + len(rows(sums, "summary"))))
            shapes += rows(sums, "summary")
            for lazy, part, which in ((one, sums, (*sums.begun, *made)), (other, join, (*made, *join.begun))):
                launch = self._launch(part, batch, length, sizes, real, operands, (), {}, False, segment=Segment(each, lazy, f))
                before.append((launch, which))
        whole = self._launch(f, batch, length, sizes, real, operands, results, kinds, single, blocks, segment=Segment(each))
        return Split(buffer, tuple(shapes), tuple(before), whole, len(f.begun))

    def _schedule(
        self,
        f: Pass,
        batch: int,
        length: int,
        sizes: dict[str, int],
        real: torch.dtype,
        operands: Sequence[Any],
        results: Sequence[tuple[tuple[int, ...], torch.dtype] | None],
    ) -> Blocks:
        """The blocks of a function: on a GPU those that were found sound there (`decide`)."""
        if self.fixed is not None:
            return self.fixed
        device = next((x.device for x in operands if isinstance(x, Tensor)), None)
        if device is None or device.type not in launching.MACHINE.kinds or not batch or not length or not all(sizes.values()):
            return f.blocks(sizes, batch)
        from seqc.runtime.triton.decide import Case, decided

        return decided(Case(self, f, batch, length, sizes, real, operands, results, device)).blocks

    def _launch(
        self,
        f: Pass,
        batch: int,
        length: int,
        sizes: dict[str, int],
        real: torch.dtype,
        operands: Sequence[Any],
        results: Sequence[tuple[tuple[int, ...], torch.dtype] | None],
        kinds: dict[int, torch.dtype],
        single: bool,
        blocks: Blocks | None = None,
        *,
        segment: Segment | None = None,
        more: tuple[Any, ...] = (),
    ) -> Launch:
        """What one layout comes to. `results` without the dimensions of shares; of totals with one row for each sequence. `blocks`: where
        the schedule is given; `segment`: where there are several; `more`: further constants."""
        if blocks is None:
            own = segment is None or segment.function is None
            blocks = self._schedule(f, batch, length, sizes, real, operands, results) if own else self.fixed or f.blocks(sizes, batch)
        every = self.adjoint.interval(sizes, real, length)
        pieces = {a: -(-sizes[a] // blocks.axes[i]) if a in f.split else 1 for i, a in enumerate(f.axes)}
        groups = -(-batch // blocks.batch)
        span = segment.steps if segment is not None else max(1, length) if f.tiles else every
        count = -(-length // segment.steps) if segment is not None else 1
        home = segment.of if segment is not None and segment.of is not None else f
        programs = groups * math.prod(pieces.values()) * (count if f.tiles else 1) if all(sizes[a] for a in f.axes) else 0
        slots = [i for i, (kind, _) in enumerate(f.operands) if kind != "number"]
        integers: list[int] = [batch, length, span, *(sizes[a] for a in f.axes)]
        given: list[tuple[int, torch.dtype | None, bool]] = []
        pasts = iter([i for what, i in self.sources if what == "past"] if home is self.adjoint else [])
        for number, i in enumerate(slots):
            kind, axes = f.operands[i]
            x = operands[i]
            by = x.stride()
            change = None if stored(x.dtype, real) else real
            whole = kind in ("step", "past") and bool(axes) and by[-1] != 1 and x.shape[-1] > 1
            if change is not None or whole:
                by = torch.empty(x.shape, device="meta").stride() if whole else x.to(device="meta").to(real).stride()
            given.append((i, change, whole))
            lead = {"step": 1 if single else 2, "run": 1, "past": 2, "once": 0}[kind]
            steps = {"b": by[0], "t": 0 if single else by[1]} if lead == 2 or kind == "step" else {"b": by[0]} if lead else {}
            if kind == "past" and self.stored[next(pasts)] < 0:
                steps = {"b": by[1], "t": by[0]}
            steps |= {str(f.axes.index(a)): n for a, n in zip(axes, by[lead:], strict=True)}
            integers += [steps[word] for word in f.strides[number]]
        made: list[tuple[tuple[int, ...], torch.dtype] | None] = []
        shares: list[int] = []
        last: list[torch.dtype] = []
        totals = iter(range(len(f.results)))
        for number, ((what, axes, parts, _), r) in enumerate(zip(f.results, results, strict=True), len(slots)):
            one = what == "total" and next(totals) in f.single
            if r is None:
                made.append(None)
                shares.append(0)
                last.append(real)
                integers += [0] * len(f.strides[number])
                continue
            shape, kind = r
            last.append(kind)
            if one:
                shape = (groups, *shape[1:])
            cut = [a for a in parts if pieces[a] > 1]
            front = [count] if what == "total" and count > 1 else []
            shape = (*front, *(pieces[a] for a in cut), *shape)
            if front or cut or kind == torch.bfloat16 and interpreting():
                kind = real
            by = torch.empty(shape, device="meta").stride()
            steps = {"g": by[0] if front else 0} | {f"p{f.axes.index(a)}": 0 for a in parts}
            steps |= {f"p{f.axes.index(a)}": n for a, n in zip(cut, by[len(front) :], strict=False)}
            rest = by[len(front) + len(cut) :]
            if what == "checkpoint":
                steps |= {"t": rest[0], "b": rest[1]}
                rest = rest[2:]
            elif what in ("row", "extra") and not single:
                steps |= {"b": rest[0], "t": rest[1]}
                rest = rest[2:]
            else:
                steps |= {"b": rest[0], "t": 0}
                rest = rest[1:]
            steps |= {str(f.axes.index(a)): n for a, n in zip(axes, rest, strict=True)}
            integers += [steps[word] for word in f.strides[number]]
            made.append((shape, kind))
            shares.append(len(front) + len(cut))
        for number, (_, axes, _, _) in enumerate(f.bounds, len(slots) + len(f.results)):
            by = torch.empty((count, batch, *(sizes[a] for a in axes)), device="meta").stride()
            steps = {"t": by[0], "b": by[1]} | {str(f.axes.index(a)): n for a, n in zip(axes, by[2:], strict=True)}
            integers += [steps[word] for word in f.strides[number]]
        volume = dict(zip(f.axes, blocks.axes, strict=True))
        scratch = tuple((programs * every * blocks.batch * math.prod(volume[a] for a in axes),) for axes in f.kept)
        return Launch(
            segment.function if segment is not None and segment.function is not None else self.functions[f is not self.forward],
            programs,
            tuple(given),
            tuple(made),
            tuple(shares),
            tuple(last),
            scratch,
            real,
            tuple(i for i, (kind, _) in enumerate(f.operands) if kind == "number"),
            tuple(integers),
            (triton_type(real), blocks.batch, *((every,) if f.tiles else ()), *blocks.axes, blocks.stages, *more),
            blocks.warps,
            tuple(operands[i].dtype if kind is None else kind for i, kind, _ in given),
            bounds=len(f.bounds),
        )


def stored(dtype: torch.dtype, real: torch.dtype) -> bool:
    """Whether kernels read and write a type beside this arithmetic."""
    return dtype in STORAGE and (real == torch.float64 or dtype != torch.float64)


def triton_type(kind: torch.dtype) -> Any:
    """A floating type as Triton calls it."""
    import triton.language as tl

    return getattr(tl, str(kind).removeprefix("torch."))

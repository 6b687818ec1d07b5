"""A kernel in stages: what is launched for one layout of operands, and where everything lies.

In:   the functions of a direction with where their operands come from and their results go (`compiler.lower.triton.emit_dense.steps`);
      one layout of operands.
Out:  `StepPlan`, whose `call` gives the results that a fused launch gives.
The loop itself is in `loop`.

Products of one value are one product: weights lie side by side in the order [shared, summed, new], values [shared, rows, summed].
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton import loop as loops
from seqc.runtime.triton.device import interpreting
from seqc.runtime.triton.limits import Manner
from seqc.runtime.triton.loop import Loop

KEPT = 2
"""Recorded loops that a plan keeps: memory of a call lies where it lay in the call before, as a rule."""

Name = tuple[Any, ...]
Result = tuple[tuple[int, ...], torch.dtype] | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One function: the description of it, where its operands come from and its results go."""

    function: Any
    about: Any
    sources: tuple[tuple[str, int], ...]
    targets: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Products of one value. See `compiler.lower.triton.emit_dense.group`."""

    members: tuple[Any, ...]
    carry: int
    own: bool
    shared: tuple[str, ...]
    others: tuple[str, ...]
    deep: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """One direction in stages."""

    stages: tuple[Stage, ...]
    order: tuple[tuple[str, int], ...]
    values: tuple[tuple[str, ...], ...]
    groups: tuple[Group, ...]
    products: tuple[tuple[int, int], ...]
    head: int
    tail: int
    totals: tuple[int, ...]
    sums: tuple[tuple[str, ...], ...]


def steps_of(stages: Sequence[Any], plan: Sequence[Any], about: Callable[[Any], Any]) -> Steps:
    """A direction from its constant; `about` reads the description of a function."""
    found = tuple(Stage(function, about(said), sources, targets) for function, said, sources, targets in stages)
    order, values, groups, products, head, tail, totals, sums = plan
    return Steps(found, order, values, tuple(Group(*g) for g in groups), products, head, tail, totals, sums)


@dataclass(frozen=True, slots=True)
class Layout:
    """Memory of one thing: its shape and the step of each dimension, `b` for sequences, `t` for time, axes by name."""

    shape: tuple[int, ...]
    dims: tuple[str, ...]

    def steps(self) -> dict[str, int]:
        """The step of each dimension; those that are not there have 0."""
        return dict(zip(self.dims, contiguous(self.shape), strict=True))


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Steps of contiguous memory."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= max(1, n)
    return tuple(reversed(out))


@dataclass(slots=True)
class Call:
    """One launch: function, programs, where each address comes from (by parity of the step), the rest of its arguments."""

    function: Any
    programs: int
    names: tuple[tuple[Name, ...], tuple[Name, ...]]
    numbers: tuple[int, ...]
    lead: tuple[int, ...]
    rest: tuple[Any, ...]
    warps: int


class StepPlan:
    """One layout of operands of a direction in stages.

    given    for each operand with memory its place and the type it is converted to first, if any
    results  what each result of the fused function would be: (what, shape, type); None where it is not wanted
    """

    def __init__(
        self,
        steps: Steps,
        operand_axes: Sequence[tuple[str, ...]],
        batch: int,
        length: int,
        sizes: Mapping[str, int],
        real: torch.dtype,
        triton_real: Any,
        how: Manner,
        operands: Sequence[Any],
        kinds: Sequence[str],
        given: Mapping[int, torch.dtype | None],
        wanted: Sequence[tuple[str, int, Result]],
        starts: Sequence[Any],
        axes: Sequence[tuple[str, ...]],
        single: bool,
        fusion: bool,
    ) -> None:
        """`kinds` of operands; `axes` of carries; `starts` of them as descriptions have them."""
        self.s, self.batch, self.length, self.sizes, self.real, self.how = steps, batch, length, dict(sizes), real, how
        self.triton_real, self.given, self.wanted = triton_real, dict(given), tuple(wanted)
        self.starts, self.axes = tuple(starts), tuple(axes)
        self.operand_axes, self.single, self.fusion = tuple(operand_axes), single, fusion
        self.empty = batch == 0 or any(n == 0 for n in sizes.values())
        self.kinds: dict[Name, torch.dtype] = {}
        self.static: dict[Name, Layout] = {}
        self.made: dict[Name, Layout] = {}
        self.strides: dict[Name, dict[str, int]] = {}
        self._operands(operands, kinds)
        self._buffers()
        self.calls = tuple(self._call(stage) for stage in steps.stages)
        self.kept: dict[Any, Loop] = {}

    # ---- layouts ------------------------------------------------------------------------------------------------------

    def _operands(self, operands: Sequence[Any], kinds: Sequence[str]) -> None:
        """Steps of what comes from outside."""
        for i, (kind, x) in enumerate(zip(kinds, operands, strict=True)):
            if kind == "number":
                continue
            self.kinds["operand", i] = self.given[i] or x.dtype
            by = x.stride() if self.given[i] is None else x.to(device="meta").to(self.given[i]).stride()
            lead = {"step": ("b",) if self.single else ("b", "t"), "run": ("b",), "past": ("b", "t"), "once": ()}[kind]
            self.strides["operand", i] = {"t": 0} | dict(zip((*lead, *map(str, range(len(by) - len(lead)))), by, strict=True))

    def _buffers(self) -> None:
        """Memory of the loop."""
        s, sizes = self.s, self.sizes

        def put(table: dict[Name, Layout], name: Name, dims: Sequence[str], kind: torch.dtype) -> None:
            lengths = {"b": self.batch, "t": self.length}
            table[name] = Layout(tuple(lengths.get(d, -1) if d in ("b", "t") else sizes[d] for d in dims), tuple(dims))
            self.kinds[name] = kind

        for i, axes in enumerate(self.axes):
            for parity in (0, 1):
                put(self.static, ("carry", i, parity), ("b", *axes), self.real)
        for i, axes in enumerate(s.values):
            put(self.static, ("value", i), ("b", *axes), self.real)
        for i, g in enumerate(s.groups):
            lead = ("b", *g.shared, *g.others) if g.own else (*g.shared, "b", *g.others)
            for parity in (0, 1) if g.carry >= 0 else (0,):
                put(self.static, ("arg", i, parity), (*lead, *g.deep), self.how.operand)
        for what, i, result in self.wanted:
            if result is not None and what in ("row", "extra"):
                shape, kind = result
                rounded = kind == torch.bfloat16 and interpreting()
                axes = self._axes_of(what, i)
                put(self.made, (what, i), ("b", *(() if self.single else ("t",)), *axes), self.real if rounded else kind)
        if any(what == "total" and result is not None for what, _, result in self.wanted):
            for i, axes in enumerate(s.sums):
                put(self.made, ("sum", i), ("b", "t", *axes), self.real)
            if s.tail >= 0:
                for (what, i), axes in zip(s.stages[s.tail].targets, self._result_axes(s.stages[s.tail]), strict=True):
                    put(self.made, (what, i), ("b", *axes), self.real)
        if s.head >= 0:
            for (what, i), axes in zip(s.stages[s.head].targets, self._result_axes(s.stages[s.head]), strict=True):
                put(self.made, (what, i), ("b", *axes), self.real)

    def _result_axes(self, stage: Stage) -> list[tuple[str, ...]]:
        return [axes for what, axes, _, _ in stage.about.results if what == "row"]

    def _axes_of(self, what: str, i: int) -> tuple[str, ...]:
        """The axes of a row, from the stage that writes it."""
        for stage in self.s.stages:
            for target, axes in zip(stage.targets, self._result_axes(stage), strict=True):
                if target == (what, i):
                    return axes
        raise AssertionError(f"nothing makes {what} {i}")

    def widths(self, g: Group) -> list[int]:
        """How many new entries each product of a group has."""
        return [math.prod(self.sizes[a] for a in new) for *_, new in g.members]

    # ---- launches -----------------------------------------------------------------------------------------------------

    def _call(self, stage: Stage) -> Call:
        """One stage's launch at this layout."""
        f = stage.about
        sizes = {a: self.sizes[a] for a in f.axes}
        blocks = f.blocks(sizes, self.batch)
        pieces = {a: -(-sizes[a] // blocks.axes[i]) for i, a in enumerate(f.axes) if a in f.split}
        programs = -(-self.batch // blocks.batch) * math.prod(pieces.values())
        names: tuple[list[Name], list[Name]] = ([], [])
        numbers: list[int] = []
        integers: list[int] = [sizes[a] for a in f.axes]
        slot = 0
        for (kind, axes), (what, i) in zip(f.operands, stage.sources, strict=True):
            if kind == "number":
                numbers.append(i)
                continue
            for parity in (0, 1):
                names[parity].append(self._source(what, i, parity))
            # sums are read when they are added up
            steps = self._steps("total_of" if what == "sum" else what, i, axes)
            integers += [steps.get(word if not word.isdigit() else f.axes[int(word)], 0) for word in f.strides[slot]]
            slot += 1
        for (_, axes, parts, _), (what, i) in zip(f.results, stage.targets, strict=True):
            if parts and (what, i) in self.made:
                # each piece has a share
                old = self.made[what, i]
                shape = (*(pieces[a] for a in parts), *old.shape)
                self.made[what, i] = Layout(shape, (*(f"p{f.axes.index(a)}" for a in parts), *old.dims))
                self.kinds[what, i] = self.real
            for parity in (0, 1):
                names[parity].append(self._target(what, i, parity))
            steps = self._steps({"next": "carry"}.get(what, what), i, axes)
            integers += [steps.get(word if not word.isdigit() else f.axes[int(word)], 0) for word in f.strides[slot]]
            slot += 1
        constants = (self.triton_real, blocks.batch, *blocks.axes, 1)
        lead = (self.batch, self.length, 1)
        both = (tuple(names[0]), tuple(names[1]))
        return Call(stage.function, programs, both, tuple(numbers), lead, (*integers, *constants), blocks.warps)

    def _source(self, what: str, i: int, parity: int) -> Name:
        return ("carry", i, parity) if what == "carry" else (what, i)

    def _target(self, what: str, i: int, parity: int) -> Name:
        if what == "next":
            return ("carry", i, 1 - parity)
        if what == "arg":
            return ("arg", i, 1 - parity if self.s.groups[i].carry >= 0 else 0)
        return (what, i)

    def _steps(self, what: str, i: int, axes: Sequence[str]) -> dict[str, int]:
        """Steps by dimension of a source or a target."""
        if what == "operand":
            by = self.strides["operand", i]
            return {"b": by.get("b", 0), "t": by["t"]} | {a: by[str(n)] for n, a in enumerate(axes)}
        if what == "product":
            return self._product_steps(*self.s.products[i])
        if what == "total_of":
            return Layout((self.batch, *(self.sizes[a] for a in axes)), ("b", *axes)).steps()
        name: Name = (what, i, 0) if what in ("carry", "arg") else (what, i)
        layout = self.static.get(name) or self.made.get(name)
        return {} if layout is None else layout.steps()

    def _product_steps(self, g: int, member: int) -> dict[str, int]:
        """Steps of one product's part of a group's result."""
        group = self.s.groups[g]
        lead = ("b", *group.shared, *group.others) if group.own else (*group.shared, "b", *group.others)
        shape = [self.batch if d == "b" else self.sizes[d] for d in lead]
        by = contiguous([*shape, sum(self.widths(group))])
        new = group.members[member][-1]
        inner = contiguous([self.sizes[a] for a in new])
        return dict(zip((*lead, *new), (*by[:-1], *inner), strict=True))

    def out_kind(self, many: int) -> torch.dtype:
        """The type of products' results: the arithmetic type, where torch gives it."""
        wide = (torch.ops.aten.mm if many == 1 else torch.ops.aten.bmm).overloads()
        return self.real if self.how.operand == self.real or "dtype_out" in wide else self.how.operand

    def kind_of(self, name: Name) -> torch.dtype | None:
        """The type of what lies under a name; None where a result is not wanted."""
        if name[0] == "product":
            group = self.s.groups[self.s.products[name[1]][0]]
            return self.out_kind(math.prod(self.sizes[a] for a in group.shared) * (self.batch if group.own else 1))
        return self.kinds.get(name)

    # ---- a call -------------------------------------------------------------------------------------------------------

    def call(self, operands: Sequence[Any]) -> list[Tensor | None]:
        """All results, in the order of `wanted`."""
        taken: list[Any] = list(operands)
        for i, change in self.given.items():
            if change is not None:
                taken[i] = operands[i].to(change)
        device = next(x for x in taken if isinstance(x, Tensor)).device
        if self.empty:
            return [None if r is None else torch.zeros(r[0], dtype=r[1], device=device) for _, _, r in self.wanted]
        made = {name: launcher.buffer(layout.shape, self.kinds[name], device, False) for name, layout in self.made.items()}
        with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
            loop = self._loop(taken, made, device)
            loop.bind(taken, made)
            loop.begin()
            alone = device.type == "cuda" and not torch.cuda.is_current_stream_capturing()
            loops.played(loop, loops.recorded if alone else None)
            found = self._results(loop)
            loop.release()
        return found

    def _loop(self, taken: Sequence[Any], made: dict[Name, Tensor], device: torch.device) -> Loop:
        """A loop over this memory: one that is kept, where a recording may be worth it."""
        if device.type != "cuda" or not loops.long(self.length):
            return Loop(self, device)
        places = [x.data_ptr() if isinstance(x, Tensor) else x for x in taken] + [x.data_ptr() for x in made.values()]
        key = (device.index, torch.cuda.current_stream(device).cuda_stream, *places)
        found = self.kept.pop(key, None) or Loop(self, device)
        while len(self.kept) >= KEPT:
            self.kept.pop(next(iter(self.kept)))
        self.kept[key] = found
        return found

    @staticmethod
    def _whole(x: Tensor, dims: int) -> Tensor:
        """The shares of all pieces together."""
        return x.sum(tuple(range(x.dim() - dims))) if x.dim() > dims else x

    def _results(self, loop: Loop) -> list[Tensor | None]:
        out: list[Tensor | None] = []
        s = self.s
        sums: dict[int, Tensor] = {}
        if any(name[0] == "sum" for name in self.made):
            for i, axes in enumerate(s.sums):
                x = loop.made["sum", i]
                x = self._whole(x, 2 + len(axes))
                sums[i] = x.sum(1)
            if s.tail >= 0:
                loop.tail(sums)
        for what, i, result in self.wanted:
            if result is None:
                out.append(None)
                continue
            shape, kind = result
            if what in ("row", "extra"):
                x = self._whole(loop.made[what, i], len(shape))
            elif what == "last":
                x = loop.buffers["carry", i, self.length % 2]
                x = x.clone() if x.dtype == kind else x
            else:
                x = sums[s.totals[i]] if s.totals[i] >= 0 else loop.made["total", i]
            out.append(x.to(kind).view(shape))
        return out

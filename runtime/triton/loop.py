"""The loop over time of a kernel in stages: elementwise kernels and torch's matrix products by turns.

In:   a plan (`steps`) and, for a call, operands and results.
Out:  results filled, carries after the last step in `buffers`.
Keeps: nothing is made and nothing waits inside the loop, so `Loop.steps` can be recorded into a graph: buffers are made before it,
      carries have two that take turns, every kernel reads the number of the step from memory (`clock`). On a GPU a chunk of steps is
      recorded once and played again; while somebody else records, steps are launched one by one and become part of that recording.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seqc.runtime.triton import kernel as launcher

if TYPE_CHECKING:
    from seqc.runtime.triton.steps import Call, Group, Name, StepPlan

GRAPH = 16
"""Steps that are recorded together; even, as buffers take turns."""

WORTH = 4
"""Chunks from which on recording is worth its time."""


def long(length: int) -> bool:
    """Whether so many steps are worth a recording."""
    return length >= GRAPH * WORTH


@dataclass(slots=True)
class Loop:
    """The loop over time. Its own memory is `buffers`; operands and results are there during a call only (`bind`, `release`): memory that
    is held cannot come back at the same place. `recorded`: a chunk of steps as a graph."""

    plan: StepPlan
    device: torch.device
    taken: Sequence[Any] = ()
    made: dict[Name, Tensor] = field(default_factory=dict)
    buffers: dict[Name, Tensor] = field(default_factory=dict)
    clock: Any = None
    actions: tuple[Sequence[Callable[[int], None]], ...] = ((), ())
    recorded: Any = None

    def __post_init__(self) -> None:
        """Makes the memory."""
        p = self.plan
        self.clock = torch.zeros((), dtype=torch.int64, device=self.device)
        for name, layout in p.static.items():
            self.buffers[name] = launcher.buffer(layout.shape, p.kinds[name], self.device, False)
        for i, g in enumerate(p.s.groups):
            self._group(i, g)

    def bind(self, taken: Sequence[Any], made: dict[Name, Tensor]) -> None:
        """Operands and results of a call."""
        self.taken, self.made = taken, made
        order = self.plan.s.order
        self.actions = tuple([self._action(what, i, parity) for what, i in order] for parity in (0, 1))

    def release(self) -> None:
        """Lets them go."""
        self.taken, self.made, self.actions = (), {}, ((), ())

    # ---- products -----------------------------------------------------------------------------------------------------

    def _group(self, i: int, g: Group) -> None:
        """Room for the weights of a group side by side, and for its results."""
        p = self.plan
        many = math.prod(p.sizes[a] for a in g.shared) * (p.batch if g.own else 1)
        rows = math.prod(p.sizes[a] for a in g.others) * (1 if g.own else p.batch)
        deep, wide = math.prod(p.sizes[a] for a in g.deep), sum(p.widths(g))
        self.buffers["weight", i] = launcher.buffer((many, deep, wide), p.how.operand, self.device, False)
        self.buffers["out", i] = launcher.buffer((many, rows, wide), p.out_kind(many), self.device, False)
        for parity in (0, 1) if g.carry >= 0 else (0,):
            self.buffers["rows", i, parity] = self.buffers["arg", i, parity].view(many, rows, deep)

    def _weights(self) -> None:
        """Brings weights into order."""
        p = self.plan
        for i, g in enumerate(p.s.groups):
            to, at = self.buffers["weight", i], 0
            for (operand, shared, deep, new, _), width in zip(g.members, p.widths(g), strict=True):
                x = self.taken[operand]
                axes = p.operand_axes[operand]
                order = [axes.index(a) for a in (*shared, *deep, *new)]
                x = x.permute([0, *(n + 1 for n in order)] if g.own else order)
                to[:, :, at : at + width] = x.reshape(to.shape[0], to.shape[1], width)
                at += width

    def _product(self, i: int, parity: int) -> Callable[[int], None]:
        g = self.plan.s.groups[i]
        rows = self.buffers["rows", i, parity if g.carry >= 0 else 0]
        weight, out = self.buffers["weight", i], self.buffers["out", i]
        single = rows.shape[0] == 1
        if single:
            rows, weight, out = rows[0], weight[0], out[0]
        if out.dtype != rows.dtype:
            wide = torch.ops.aten.mm.dtype_out if single else torch.ops.aten.bmm.dtype_out

            def widened(j: int) -> None:
                wide(rows, weight, out.dtype, out=out)

            return widened

        def product(j: int) -> None:
            (torch.mm if single else torch.bmm)(rows, weight, out=out)

        return product

    # ---- launches -----------------------------------------------------------------------------------------------------

    def _tensor(self, name: Name) -> Tensor | None:
        """Memory by name; None where a result is not wanted."""
        if name[0] == "operand":
            x: Tensor = self.taken[name[1]]
            return x
        if name[0] == "product":
            g, member = self.plan.s.products[name[1]]
            at = sum(self.plan.widths(self.plan.s.groups[g])[:member])
            return self.buffers["out", g][:, :, at:]
        found = self.buffers.get(name)
        return found if found is not None else self.made.get(name)

    def _action(self, what: str, i: int, parity: int) -> Callable[[int], None]:
        if what == "group":
            return self._product(i, parity)
        call = self.plan.calls[i]
        return self._launch(call, [self._tensor(n) for n in call.names[parity]])

    def _launch(self, c: Call, tensors: Sequence[Tensor | None]) -> Callable[[int], None]:
        bits = [struct.unpack("q", struct.pack("d", float(self.taken[i])))[0] for i in c.numbers]
        started = c.function.made()[(c.programs,)]
        fusion = self.plan.fusion

        def launch(j: int) -> None:
            started(*tensors, *bits, self.clock, *c.lead, j, *c.rest, num_warps=c.warps, num_stages=1, enable_fp_fusion=fusion)

        return launch

    def begin(self) -> None:
        """What stands before the first step: weights in order, carries at their starts."""
        p = self.plan
        self.clock.zero_()
        self._weights()
        if p.s.head >= 0:
            head = p.calls[p.s.head]
            self._launch(head, [self._tensor(n) for n in head.names[0]])(0)
        for i, start in enumerate(p.starts):
            at = self.made["start", i] if isinstance(start, int) and start < 0 else self.taken[start] if isinstance(start, int) else start
            for name in (("carry", i, 0), *(("arg", j, 0) for j, g in enumerate(p.s.groups) if g.carry == i)):
                to = self.buffers[name]
                if isinstance(at, Tensor):
                    dims = p.static[name].dims
                    mine = ("b", *p.axes[i])
                    x = at if at.dim() == len(mine) else at[None]
                    to.copy_(x.permute([mine.index(d) for d in dims]))
                else:
                    to.fill_(at)

    def steps(self, first: int, count: int) -> None:
        """Steps `first`, … after the one at the clock, `first` even. Nothing is made and nothing waits: a graph may record it."""
        for j in range(first, first + count):
            for action in self.actions[j % 2]:
                action(j)

    def tail(self, sums: Mapping[int, Tensor]) -> None:
        """Totals from sums over the steps."""
        p = self.plan
        self.clock.zero_()
        c = p.calls[p.s.tail]
        self._launch(c, [sums[n[1]] if n[0] == "sum" else self._tensor(n) for n in c.names[0]])(0)


def played(loop: Loop, record: Callable[[Loop], Any] | None) -> None:
    """The whole loop: where it is long enough GRAPH steps that are recorded once and played again and again, if there is a way to
    `record`."""
    length = loop.plan.length
    if record is None or not long(length):
        loop.steps(0, length)
        return
    begun = 0
    if loop.recorded is None:
        # what is launched for the first time may make memory: that cannot be recorded
        loop.steps(0, 2)
        loop.clock.fill_(2)
        begun = 2
        loop.recorded = record(loop)
    chunks = (length - begun) // GRAPH
    for _ in range(chunks):
        loop.recorded.replay()
    loop.steps(0, length - begun - chunks * GRAPH)


def recorded(loop: Loop) -> Any:
    """GRAPH steps as a graph; it ends by setting the clock forward."""
    graph = torch.cuda.CUDAGraph()
    here, aside = torch.cuda.current_stream(loop.device), torch.cuda.Stream(loop.device)
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            loop.steps(0, GRAPH)
            loop.clock.add_(GRAPH)
        finally:
            graph.capture_end()
    here.wait_stream(aside)
    return graph

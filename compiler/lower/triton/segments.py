"""What cuts a sequence into segments that run at the same time: the sums of each segment, and what each begins with.

In:   what `associative` takes.
Out:  for each level of groups two functions: `Summary`, a program for each segment, puts the coefficients of all its steps together;
      `Join`, one walk over the segments, makes of them what each segment begins with. A group is of the first level where its
      coefficients need no carry of another group; of the second where they need those of the first; and so on: their values in a segment
      are computed from what it begins with, which the level before has found.
Keeps: the rules of emitted kernels. The slots of a summary are one for each coefficient, called `summary`, those of carries `start`;
      both have a row for each segment, and are memory of the arithmetic type that the launcher gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Derivative, Kernel, Var, needed
from seqc.compiler.lower.kernels.linear import Group, Linear
from seqc.compiler.lower.kernels.operators import grouped
from seqc.compiler.lower.triton.associative import Associative
from seqc.compiler.lower.triton.code import Tile
from seqc.compiler.lower.triton.groups import Part, applied, parts_of, together
from seqc.compiler.lower.triton.sequential import Sequential, Slot, noted


def levels_of(k: Kernel, how: Linear) -> list[list[Group]]:
    """The groups of a kernel, those of a level together."""
    home = {k.carries[i].previous.id: g for g in how.groups for i in g.carries}
    level: dict[tuple[int, ...], int] = {}
    for g in how.groups:
        goals = {p.value.id for p in parts_of(k, g) if isinstance(p.value, Var)}
        needed(how.step, goals)
        above = {home[i].carries for i in goals if i in home} - {g.carries}
        level[g.carries] = 1 + max((level[a] for a in above), default=-1)
    count = 1 + max(level.values(), default=-1)
    return [[g for g in how.groups if level[g.carries] == n] for n in range(count)]


def summaries_of(k: Kernel, groups: Sequence[Group], first: int = 0) -> list[Slot]:
    """The slots of what a segment comes to."""
    values = [Var(-1, p.axes) for g in groups for p in parts_of(k, g)]
    return [Slot("summary", first + i, v, timed=True) for i, v in enumerate(values)]


class Summary(Associative):
    """Writes the function that sums up the segments for one level of groups."""

    def __init__(
        self, name: str, k: Kernel, cuts: Axes, level: int, derivative: Derivative | None = None, forward: Kernel | None = None
    ) -> None:
        bare = replace(k, rows=(), sums=(), epilogue=(), totals=())
        super().__init__(name, bare, cuts, (), derivative, forward)
        levels = levels_of(k, self.linear)
        self.mine = levels[level]
        below = [g for groups in levels[:level] for g in groups]
        goals = {p.value.id for g in (*below, *self.mine) for p in parts_of(k, g) if isinstance(p.value, Var)}
        step = needed(self.linear.step, goals)
        if not any(o.var.id in goals for o in k.operands if o.kind == "past" and o.carry in self.again):
            self.again = []
        prologue = k.prologue if self.again else needed(k.prologue, goals)
        self.linear = Linear(tuple(below), step)
        self.k = replace(self.k, step=step, prologue=prologue)
        self.starting = {i for g in below for i in g.carries}
        self.goals = goals
        result = [s for s in summaries_of(k, self.mine)]
        lone = {s.index: tuple(a for a in cuts if a not in s.var.axes) for s in result}
        self.slots = [s for s in self.slots if s.what == "operand" or s.what == "start" and s.index in self.starting]
        self.slots += [replace(s, lones=lone[s.index]) for s in result]

    def reads(self, v: Var) -> bool:
        """Whether a coefficient needs an operand, or is one."""
        return v.id in self.goals or super().reads(v)

    def entered(self, carry: int, v: Var) -> None:
        """Only carries of levels below begin."""
        if carry in self.starting:
            super().entered(carry, v)

    def steady(self) -> None:
        """Also the places of the summaries, empty."""
        super().steady()
        for p in self.parts():
            self.text.add(f"{p.name}_all = tl.zeros({self.shapes.of(Tile(True, frozenset(p.axes)))}, REAL)")

    def parts(self) -> list[Part]:
        """Everything that is summed up."""
        return [p for g in self.mine for p in parts_of(self.k, g)]

    def results(self) -> None:
        """What the tile comes to is added to what the tiles before it came to."""
        t, k = self.text, self.k
        live = "mt" if self.derivative is not None else ""
        for g in self.mine:
            parts = parts_of(k, g)
            self.towards(self.linear.step, k.operands, [p.value for p in parts])
            names = self.gathered(k, g, live)
            for name in names:
                t.add(f"{name} = sq.sum_along(tl.where(at == last, {name}, 0.0), 1)")
            tiles = [Tile(True, frozenset(p.axes)) for p in parts]
            lines, results = together(k, g, self.shapes, [f"{n}_all" for n in names], names, tiles)
            t.add(*lines)
            both = [self.spread(text, have, want) for (text, have), want in zip(results, tiles, strict=True)]
            t.add(*(f"{name}_both = {text}" for name, text in zip(names, both, strict=True)))
            t.add(*(f"{n}_all = tl.where(nought + j == 0, {n}, {n}_both)" for n in names))

    def after(self) -> None:
        """Stores the summaries."""
        slots = [s for s in self.slots if s.what == "summary"]
        for s, p in zip(slots, self.parts(), strict=True):
            i = self.slot("summary", s.index)
            self.stored(i, f"(o{i} + segment * s{i}_t)", s.var, f"{p.name}_all", self.full(s.var))


class Join(Sequential):
    """Writes the function that walks over the segments for one level of groups."""

    HELD = "h"

    def __init__(self, name: str, k: Kernel, cuts: Axes, level: int) -> None:
        how = grouped(k)
        self.mine = levels_of(k, how)[level]
        super().__init__(name, replace(k, rows=(), sums=(), epilogue=(), totals=()), cuts, ())
        self.k = replace(self.k, prologue=(), step=())
        taken = [i for g in self.mine for i in g.carries]
        starts = [Slot("start", i, k.carries[i].previous, timed=True) for i in sorted(taken)]
        lones = [tuple(a for a in cuts if a not in s.var.axes) for s in starts]
        self.slots = [s for s in self.slots if s.what == "operand"] + summaries_of(k, self.mine)
        self.slots += [replace(s, lones=lone) for s, lone in zip(starts, lones, strict=True)]

    def reads(self, v: Var) -> bool:
        """Only the starts of the carries are read."""
        return any(v == self.k.carries[i].init for g in self.mine for i in g.carries)

    def begin(self, name: str, v: Var, init: object) -> None:
        """Only for carries of this level."""
        if any(self.k.carries[i].previous == v for g in self.mine for i in g.carries):
            super().begin(name, v, init)  # type: ignore[arg-type]

    def forwards(self) -> None:
        """From the first segment on the way to the last."""
        t, k = self.text, self.k
        t.add("segments = tl.maximum(tl.cdiv(tl.cast(T, tl.int64), C), 1)")
        t.open("for j in tl.range(0, segments):")
        t.add(f"segment = {'segments - 1 - ' if k.reverse else ''}tl.cast(j, tl.int64)")
        number = 0
        for g in self.mine:
            for c in g.carries:
                i = self.slot("start", c)
                v = k.carries[c].previous
                self.stored(i, f"(o{i} + segment * s{i}_t)", v, f"h{v.id}", self.full(v))
            parts = parts_of(k, g)
            for p in parts:
                i = self.slot("summary", number)
                t.add(f"{p.name} = {self.loaded(i, f'(o{i} + segment * s{i}_t)')}")
                number += 1
            tiles = [Tile(True, frozenset(p.axes)) for p in parts]
            values = [k.carries[c].previous for c in g.carries]
            lines, results = applied(k, g, self.shapes, [p.name for p in parts], tiles, [self.full(v) for v in values])
            t.add(*lines)
            for v, (text, have) in zip(values, results, strict=True):
                t.add(f"next{v.id} = {self.spread(text, have, self.full(v))}")
            t.add(*(f"h{v.id} = next{v.id}{noted(v)}" for v in values))
        t.close()

    def after(self) -> None:
        """Nothing is left."""

    def used(self, i: int) -> bool:
        """Whether the function touches a slot."""
        return self.slots[i].what != "operand"


__all__ = ["Join", "Summary", "levels_of"]

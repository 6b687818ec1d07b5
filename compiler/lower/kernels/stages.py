"""A kernel cut at its products: stages of elementwise work, and matrix products between them.

In:   a settled kernel without `stop` and `through`, or an adjoint with its forward kernel.
Out:  `Staged`: kernels of one step that read and write memory, the products that are taken after each, a kernel for starts that
      the prologue computes and one for totals that the epilogue does.
Keeps: every value. A step is stage 0, the products of values made there, stage 1, and so on; a statement stands in the last stage
      that leaves its readers in place, so that little has to cross. Truth values never cross: they are computed again from reals.
      Products of one value that sum over the same axes are one group: one product with all their weights side by side. A group of
      a carry's previous value is taken before stage 0's results are there, of what the step before left behind.
Refuses: nothing; no prologue has products (`kernels.builder`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Apply, Arg, Carry, Kernel, Operand, Product, Statement, Sum, Var, needed, reads_of
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.verify import verify


@dataclass(frozen=True, slots=True)
class Stage:
    """A kernel of one step.

    kernel   its operands of kind `step` are rows of the whole kernel at this step, or buffers; its rows are results
    sources  for each operand: ("operand", i), ("carry", i) before the step, ("value", i) of `Staged.values`, ("product", i) of all
             products in order, ("sum", i) a total over the steps
    targets  for each row: ("row", i), ("extra", i), ("sum", i) a row that is added up, ("value", i), ("next", i) a carry after the
             step, ("arg", i) what group i is a product of, ("start", i) of a carry, ("total", i)
    starts   for each `past` operand what the carry is before the first step
    """

    kernel: Kernel
    sources: tuple[tuple[str, int], ...]
    targets: tuple[tuple[str, int], ...]
    starts: tuple[tuple[Var, Arg], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Products of one value, taken after the stage `after`; `carry`: it is this carry before the step, else -1."""

    products: tuple[int, ...]
    after: int
    carry: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A kernel in stages. `stages[i]` is None where nothing is computed there. `products` are all products of a step, `values` what
    crosses from stage to stage, `totals` for each total the sum that it is, or -1: `tail` computes it."""

    stages: tuple[Stage | None, ...]
    groups: tuple[Group, ...]
    products: tuple[Product, ...]
    values: tuple[Var, ...]
    head: Stage | None
    tail: Stage | None
    totals: tuple[int, ...]


def addressed(k: Kernel, extra: tuple[Var, ...] = ()) -> tuple[Kernel, tuple[Var, ...]]:
    """The kernel with copies between products and memory: what a product is taken of is a statement's result or a carry, what it makes
    is read by statements only."""
    every = [s.out for s in (*k.prologue, *k.step, *k.epilogue)] + [o.var for o in k.operands]
    every += [c.previous for c in k.carries] + [s.total for s in k.sums]
    next_id = max((v.id for v in every), default=-1) + 1
    made = {s.out.id for s in k.step if not isinstance(s, Product)} | {c.previous.id for c in k.carries}
    products = {s.out.id for s in k.step if isinstance(s, Product)}
    copies: dict[int, Var] = {}
    step: list[Statement] = []

    def copied(v: Var) -> Var:
        nonlocal next_id
        if v.id not in copies:
            copies[v.id] = Var(next_id, v.axes, v.type, v.hint)
            next_id += 1
            step.append(Apply(copies[v.id], "copy", (v,)))
        return copies[v.id]

    for s in k.step:
        if isinstance(s, Product) and s.arg.id not in made:
            s = replace(s, arg=copied(s.arg))
        step.append(s)

    def left(v: Var) -> Var:
        return copied(v) if v.id in products else v

    carries = tuple(replace(c, next=left(c.next)) for c in k.carries)
    rows = tuple(left(v) for v in k.rows)
    sums = tuple(replace(s, value=left(s.value)) for s in k.sums)
    more = tuple(left(v) for v in extra)
    return replace(k, step=tuple(step), carries=carries, rows=rows, sums=sums), more


def staged(raw: Kernel, extra: tuple[Var, ...] = (), forward: Kernel | None = None) -> Staged:
    """A kernel in stages. `extra`: values that it writes as rows besides; `forward`: of an adjoint the forward kernel."""
    k, more = addressed(raw, extra)
    return _Cutter(k, more, forward).run()


class _Cutter:
    """Cuts one kernel."""

    def __init__(self, k: Kernel, extra: tuple[Var, ...], forward: Kernel | None) -> None:
        self.k, self.extra, self.forward = k, extra, forward
        self.products = tuple(s for s in k.step if isinstance(s, Product))
        self.made = {s.out.id: s for s in k.step}
        self.before = {c.previous.id: i for i, c in enumerate(k.carries)}
        self.depth: dict[int, int] = {}
        self.place: dict[int, int] = {}
        self.values: dict[int, Var] = {}

    def run(self) -> Staged:
        """All stages."""
        k = self.k
        for s in k.step:
            inner = max((self.depth.get(v.id, 0) for v in reads_of(s)), default=0)
            self.depth[s.out.id] = inner + isinstance(s, Product)
        self.put()
        groups = self.grouped()
        count = max((self.depth[s.out.id] for s in k.step), default=0) + 1
        inside = [self.inside(i) for i in range(count)]
        for i, these in enumerate(inside):
            for s in these:
                for v in reads_of(s):
                    known = v.id in self.made and not isinstance(self.made[v.id], Product)
                    if known and self.place[v.id] != i and v.type == "real":
                        self.values.setdefault(v.id, v)
        stages = tuple(self.stage(i, these, groups) for i, these in enumerate(inside))
        by_total = {s.total.id: i for i, s in enumerate(k.sums)}
        totals = tuple(by_total.get(v.id, -1) for v in k.totals)
        return Staged(stages, tuple(groups), self.products, tuple(self.values.values()), self.head(), self.tail(totals), totals)

    def put(self) -> None:
        """Where each statement stands."""
        readers: dict[int, list[int]] = {}
        for s in reversed(self.k.step):
            first = self.depth[s.out.id]
            if isinstance(s, Product):
                self.place[s.out.id] = first - 1
            else:
                self.place[s.out.id] = max(first, min(readers.get(s.out.id, [first])))
            for v in reads_of(s):
                readers.setdefault(v.id, []).append(self.place[s.out.id])

    def grouped(self) -> list[Group]:
        """Products that are taken together."""
        kinds = {o.var.id: o.kind for o in self.k.operands}
        found: dict[object, list[int]] = {}
        for i, p in enumerate(self.products):
            key = (p.arg.id, frozenset(v for _, v in p.over), p.shared, kinds[p.weight.id], self.place[p.out.id])
            found.setdefault(key, []).append(i)
        out = []
        for these in found.values():
            p = self.products[these[0]]
            out.append(Group(tuple(these), self.place[p.out.id], self.before.get(p.arg.id, -1)))
        return sorted(out, key=lambda g: g.after)

    def inside(self, stage: int) -> tuple[Statement, ...]:
        """The statements of a stage, and those that make truth values of earlier ones again."""
        again: set[int] = set()
        out: list[Statement] = []
        for s in reversed(self.k.step):
            if isinstance(s, Product) or self.place[s.out.id] != stage and s.out.id not in again:
                continue
            out.append(s)
            again.update(v.id for v in reads_of(s) if v.type == "bool")
        return tuple(reversed(out))

    def stage(self, number: int, these: tuple[Statement, ...], groups: list[Group]) -> Stage | None:
        """One stage."""
        k = self.k
        targets: list[tuple[str, int]] = []
        rows: list[Var] = []

        def result(what: str, i: int, v: Var) -> None:
            targets.append((what, i))
            rows.append(v)

        mine = {s.out.id for s in these if self.place[s.out.id] == number}
        for what, of in (("row", k.rows), ("extra", self.extra), ("sum", [s.value for s in k.sums])):
            for i, v in enumerate(of):
                if v.id in mine:
                    result(what, i, v)
        for i, c in enumerate(k.carries):
            if c.next.id in mine:
                result("next", i, c.next)
        for i, g in enumerate(groups):
            v = self.products[g.products[0]].arg if g.carry < 0 else k.carries[g.carry].next
            if v.id in mine:
                result("arg", i, v)
        for i, v in enumerate(self.values.values()):
            if v.id in mine:
                result("value", i, v)
        return self.kernel(f"{k.name}_stage{number}", these, tuple(rows), tuple(targets)) if rows else None

    def kernel(self, name: str, these: tuple[Statement, ...], rows: tuple[Var, ...], targets: tuple[tuple[str, int], ...]) -> Stage:
        """A kernel of one step from statements, with everything that they read from memory."""
        k = self.k
        these = needed(these, {v.id for v in rows})
        inside = {s.out.id for s in these}
        read = {v.id: v for s in these for v in reads_of(s) if v.id not in inside}
        starts = self.starts(read)
        goals = {*read, *(a.id for _, a in starts if isinstance(a, Var))}
        prologue = needed(k.prologue, goals)
        operands: list[Operand] = []
        sources: list[tuple[str, int]] = []
        for i, o in enumerate(k.operands):
            if o.var.id in goals:
                operands.append(o)
                sources.append(("operand", i))
        places = {p.out.id: i for i, p in enumerate(self.products)}
        crossing = {v: i for i, v in enumerate(self.values)}
        for i, v in read.items():
            for what, table in (("carry", self.before), ("product", places), ("value", crossing)):
                if i in table:
                    operands.append(Operand(v, "step"))
                    sources.append((what, table[i]))
        return _stage(name, k, operands, sources, prologue, these, rows, targets, starts)

    def starts(self, read: dict[int, Var]) -> tuple[tuple[Var, Arg], ...]:
        """The starts of the carries whose past is read."""
        if self.forward is None:
            return ()
        pasts = [o for o in self.k.operands if o.kind == "past" and o.var.id in read]
        return tuple((o.var, self.forward.carries[o.carry].init) for o in pasts)

    def head(self) -> Stage | None:
        """Starts that the prologue computes."""
        k = self.k
        inside = {s.out.id for s in k.prologue}
        found = [(i, c.init) for i, c in enumerate(k.carries) if isinstance(c.init, Var) and c.init.id in inside]
        if not found:
            return None
        goals = {v.id for _, v in found}
        these = needed(k.prologue, goals)
        used = [(i, o) for i, o in enumerate(k.operands) if o.var.id in goals]
        rows, targets = tuple(v for _, v in found), tuple(("start", i) for i, _ in found)
        return _stage(f"{k.name}_head", k, [o for _, o in used], [("operand", i) for i, _ in used], (), these, rows, targets, ())

    def tail(self, totals: tuple[int, ...]) -> Stage | None:
        """Totals that the epilogue computes."""
        k = self.k
        wanted = [(i, v) for i, v in enumerate(k.totals) if totals[i] < 0]
        if not wanted:
            return None
        goals = {v.id for _, v in wanted}
        these = needed(k.epilogue, goals)
        prologue = needed(k.prologue, goals)
        used = [(i, o) for i, o in enumerate(k.operands) if o.var.id in goals]
        sums = [(i, s) for i, s in enumerate(k.sums) if s.total.id in goals]
        operands = [o for _, o in used] + [Operand(s.total, "step") for _, s in sums]
        sources = [("operand", i) for i, _ in used] + [("sum", i) for i, _ in sums]
        rows, targets = tuple(v for _, v in wanted), tuple(("total", i) for i, _ in wanted)
        return _stage(f"{k.name}_tail", k, operands, sources, prologue, these, rows, targets, ())


def _stage(
    name: str,
    k: Kernel,
    operands: list[Operand],
    sources: list[tuple[str, int]],
    prologue: tuple[Statement, ...],
    these: tuple[Statement, ...],
    rows: tuple[Var, ...],
    targets: tuple[tuple[str, int], ...],
    starts: tuple[tuple[Var, Arg], ...],
) -> Stage:
    """The kernel itself, over the axes that it really has."""
    every: Iterable[Var] = (*(o.var for o in operands), *(s.out for s in (*prologue, *these)), *rows)
    have = {a for v in every for a in v.axes}
    axes: Axes = tuple(a for a in k.axes if a in have)
    carries: tuple[Carry, ...] = ()
    sums: tuple[Sum, ...] = ()
    made = Kernel(name, axes, tuple(operands), prologue, carries, these, rows, sums, reverse=k.reverse)
    return Stage(verify(settled(made)), tuple(sources), targets, starts)

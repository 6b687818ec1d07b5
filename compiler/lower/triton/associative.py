"""A kernel, or its adjoint, as one Triton function that takes BLOCK_T steps at a time: the associative mode.

In:   what `sequential` takes, and the algebra of the carries (`kernels.linear`): every group must have one, of at most three values.
Out:  lines of Python with the arguments of the sequential function, and one more slot for each carry, `start`; C is the steps of a
      segment.
Keeps: the rules of emitted kernels. A scan never runs in reverse: backwards in time the rows of a tile stand in reverse order.

A tile has a dimension of steps behind that of sequences. For each group of carries its coefficients are computed for all steps at once,
`tl.associative_scan` puts them together, and what the steps before hand over comes in as the previous value of the first. Then the
rest of the step is computed for all steps with the previous values known. Adjoints read carries from rows, or compute them again
by the forward scan of the chunk from its checkpoint.

A program has one segment of the sequence, a whole number of tiles. Where there are several, each begins with what stands in the
`start` slots, one row for each segment (`segments` has the functions that make them); where these are None there is one segment, and it
begins at the start of the sequence. Totals are shares of the segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Arg, Derivative, Kernel, Operand, Statement, Var, needed, reads_of
from seqc.compiler.lower.kernels.linear import Group, Linear, values_of
from seqc.compiler.lower.kernels.operators import grouped, kept
from seqc.compiler.lower.triton.code import TIME, Tile, filled
from seqc.compiler.lower.triton.groups import applied, helper, joined, parts_of, unfit
from seqc.compiler.lower.triton.sequential import Sequential, Slot, noted


def unscannable(k: Kernel, d: Derivative | None = None) -> str:
    """Why a kernel has no associative form; "" where it has. `d`: the adjoint's, which computes the kernel's carries again."""
    for what, one in (("", k), ("of the adjoint ", d.kernel if d else None)):
        for g in grouped(one).groups if one is not None else ():
            why = unfit(one, g) if one is not None else ""
            if why:
                return what + why
    return "" if k.carries else "nothing is carried from step to step"


class Associative(Sequential):
    """Writes one function, called `name`."""

    TIMED = True
    HELD = "h"

    def __init__(
        self,
        name: str,
        k: Kernel,
        cuts: Axes,
        replayed: Sequence[Var],
        derivative: Derivative | None = None,
        forward: Kernel | None = None,
        shared: frozenset[int] = frozenset(),
    ) -> None:
        self.linear = grouped(k)
        self.helpers: dict[str, tuple[str, ...]] = {}
        super().__init__(name, replace(k, step=self.linear.step), cuts, replayed, derivative, forward, shared)
        self.slots += [Slot("start", i, c.previous, timed=True) for i, c in enumerate(k.carries)]
        self.done: set[int] = set()
        self.loads: dict[int, Operand] = {}

    def arguments(self) -> list[str]:
        """As the sequential function has them; nothing is kept for single steps."""
        return [a for a in super().arguments() if not (a[0] == "w" and a[1:].isdigit())]

    def constants(self) -> list[str]:
        """The block of steps beside those of the axes."""
        return ["REAL", "BLOCK_B", "BLOCK_T", *(f"BLOCK_{i}" for i in range(len(self.k.axes))), "STAGES"]

    def places(self) -> None:
        """Also the rows of a tile."""
        again, self.again = self.again, []  # no scratch
        super().places()
        self.again = again
        self.text.add(f"row = tl.arange(0, BLOCK_T){self.shapes.along(TIME)}")

    def segmented(self) -> None:
        """Which segment; `left`: how many come after it on the way."""
        t = self.text
        t.add("segments = tl.maximum(tl.cdiv(tl.cast(T, tl.int64), C), 1)", "segment = rest % segments", "rest = rest // segments")
        t.add(f"left = {'segment' if self.derivative is not None else 'segments - 1 - segment'}")
        t.add("origin = segment * C", "tiles = tl.cdiv(tl.minimum(tl.cast(T, tl.int64) - origin, tl.cast(C, tl.int64)), BLOCK_T)")

    def ends(self) -> tuple[str, ...]:
        """The last segment on the way has the carries after the last step."""
        return ("(nought + left == 0)",)

    def steady(self) -> None:
        """Carries begin where the segment does."""
        super().steady()
        for i, c in enumerate(self.k.carries):
            self.entered(i, c.previous)

    def entered(self, carry: int, v: Var) -> None:
        """What a segment begins with, where there are several."""
        i = self.slot("start", carry)
        self.text.open(f"if p{i} is not None:")
        self.text.add(f"h{v.id} = {self.loaded(i, f'(o{i} + segment * s{i}_t)')}")
        self.text.close()

    def reads(self, v: Var) -> bool:
        """Also what computing carries again reads: all values of a group come of one scan, whichever of them is wanted."""
        f = self.forward
        return super().reads(v) or f is not None and bool(self.again) and any(r.id == v.id for s in f.step for r in reads_of(s))

    def tile(self, o: Operand) -> Tile:
        """The dimensions of an operand."""
        timed = (TIME,) if o.kind in ("step", "past") else ()
        return Tile(o.kind not in ("once", "number"), frozenset((*o.var.axes, *timed)))

    def stepped(self, v: Var) -> Tile:
        """The dimensions of a carry's values at all steps."""
        return Tile(True, frozenset((*v.axes, TIME)))

    # ---- loops --------------------------------------------------------------------------------------------------------

    def forwards(self) -> None:
        """Tiles from the first to the last."""
        t, k = self.text, self.k
        t.open("for j in tl.range(0, tiles):")
        t.add("start = origin + tl.cast(j, tl.int64) * BLOCK_T", "at = start + row", "mt = at < T")
        t.add("last = tl.minimum(start + BLOCK_T, tl.cast(T, tl.int64)) - 1")
        for i, v in enumerate(self.replayed):
            n = self.slot("checkpoint", i)
            self.stored(n, f"(o{n} + (start // BLOCK_T) * s{n}_t)", v, f"h{v.id}", self.full(v))
        self.scans(k, self.linear, k.operands, "")
        self.results()
        t.close()

    def backwards(self) -> None:
        """Tiles from the last to the first, their rows in reverse order."""
        t, k, d, f = self.text, self.k, self.derivative, self.forward
        assert d is not None and f is not None
        pasts = {o.carry: o for o in k.operands if o.kind == "past"}
        read = {v.id for s in (*k.step, *d.replay) for v in reads_of(s)}
        rows = [i for i, how in enumerate(d.stored) if how >= 0 and pasts[i].var.id in read]
        # what its coefficients are called nothing of the adjoint is called
        whole = grouped(f, 1 + max(v.id for v in (*values_of(k), *(s.out for s in self.linear.step))))
        found = [kept(g, list(pasts)) for g in whole.groups if any(i in self.again for i in g.carries)]
        part = Linear(tuple(found), whole.step)
        beside = [i for g in found for i in g.carries if i not in self.again]
        for i in sorted({*rows, *beside}):
            self.begin(f"first{pasts[i].var.id}", pasts[i].var, f.carries[i].init)
        t.open("for j in tl.range(0, tiles):")
        t.add("start = origin + (tiles - 1 - tl.cast(j, tl.int64)) * BLOCK_T", "chunk = start // BLOCK_T")
        if self.again:
            t.add("at = start + row", "mt = at < T")
            for i in self.again:
                v = pasts[i].var
                n = self.slot("operand", k.operands.index(pasts[i]))
                t.add(f"h{v.id} = {self.loaded(n, f'(o{n} + chunk * s{n}_t)')}{noted(v)}")
            for i in beside:
                # a row has it: what stands there before the tile
                v = pasts[i].var
                n = self.slot("operand", k.operands.index(pasts[i]))
                row = self.loaded(n, f"(o{n} + (start - 1) * s{n}_t)", "(nought + start > 0)")
                t.add(f"h{v.id} = tl.where(nought + start > 0, {row}, first{v.id}){noted(v)}")
            for i in rows:
                if any(v.id == pasts[i].var.id for s in d.replay for v in reads_of(s)):
                    self.before(pasts[i])
            steps = [o for o in k.operands if o.kind == "step"]
            before = dict(self.writer.tiles)
            self.scans(f, part, steps, "")
            for i in self.again:
                v = pasts[i].var
                t.add(f"past{v.id} = sq.turned(v{v.id}, row, BLOCK_T, 1)")
            self.writer.tiles = before
            self.done, self.loads = set(), {}
        t.add("at = start + (BLOCK_T - 1 - row)", "mt = at < T", "last = start")
        for i in rows:
            self.before(pasts[i])
        for i in self.again:
            v = pasts[i].var
            t.add(f"v{v.id} = past{v.id}{noted(v)}")
            self.writer.tiles[v.id] = self.stepped(v)
        self.scans(k, self.linear, k.operands, "mt")
        self.results()
        t.close()

    def before(self, o: Operand) -> None:
        """Carries before each step of the tile, from the rows of the steps before."""
        i = self.slot("operand", self.k.operands.index(o))
        v = o.var
        row = self.loaded(i, f"(o{i} + (at - 1) * s{i}_t)", "mt", "(at > 0)")
        self.text.add(f"v{v.id} = tl.where(at > 0, {row}, first{v.id}){noted(v)}")
        self.writer.tiles[v.id] = self.stepped(v)

    # ---- one tile -----------------------------------------------------------------------------------------------------

    def towards(self, step: tuple[Statement, ...], operands: Iterable[Operand], goals: Iterable[Arg]) -> None:
        """Statements that some values need, and the operands that these need, as far as they are not there yet."""
        ids = {a.id for a in goals if isinstance(a, Var)}
        every = set(ids)
        mine = needed(tuple(s for s in step if s.out.id not in self.done), every)
        for o in operands:
            if o.kind == "step" and o.var.id in every and o.var.id not in self.done:
                i = self.slot("operand", self.k.operands.index(o))
                self.load(o, f"(o{i} + at * s{i}_t)", "mt")
                self.done.add(o.var.id)
        self.statements(mine)
        self.done.update(s.out.id for s in mine)

    def scans(self, k: Kernel, how: Linear, operands: Iterable[Operand], live: str) -> None:
        """The carries of `k` at all steps of the tile, and what the next tile begins with. `live`: the mask of rows that count,
        where others stand before them."""
        t = self.text
        every = list(operands)
        for g in how.groups:
            self.towards(how.step, every, [p.value for p in parts_of(k, g)])
            self.scan(k, g, live)
            for i in g.carries:
                c = k.carries[i]
                self.done.update((c.previous.id, c.next.id))
                if self.derivative is None or k is self.k:
                    inside = f"tl.where(at == last, v{c.next.id}, 0.0)"
                    t.add(f"h{c.previous.id} = sq.sum_along({inside}, 1)")

    def scan(self, k: Kernel, g: Group, live: str) -> None:
        """One group: its values after and before each step."""
        t = self.text
        self.applied(k, g, self.gathered(k, g, live))
        for number in g.carries:
            c = k.carries[number]
            t.add(f"v{c.previous.id} = sq.shifted(v{c.next.id}, h{c.previous.id}, row, 1){noted(c.previous)}")
            self.writer.tiles[c.previous.id] = self.stepped(c.previous)

    def gathered(self, k: Kernel, g: Group, live: str) -> list[str]:
        """The coefficients of a group, put together from the first step of the tile to each."""
        t, shapes = self.text, self.shapes
        parts = parts_of(k, g)
        whole = Tile(True, frozenset((TIME, *(a for p in parts for a in p.axes))))
        for p in parts:
            value = filled(p.value, whole, shapes) if not isinstance(p.value, Var) else f"v{p.value.id}"
            if isinstance(p.value, Var):
                value = f"{value}.to(REAL)" if p.value.type == "bool" else value
                value = self.spread(value, self.writer.tiles[p.value.id], whole)
            if live:
                other = 'float("-inf")' if p.nothing == float("-inf") else repr(p.nothing)
                value = f"tl.where({live}, {value}, {other})"
            t.add(f"{p.name} = {value}")
        names = [p.name for p in parts]
        comma = "," if len(names) == 1 else ""
        t.add(f"{', '.join(names)}{comma} = tl.associative_scan(({', '.join(names)}{comma}), 1, {self.joining(g)})")
        for p in parts:
            for a in self.k.axes:
                if a in whole.axes and a not in p.axes:
                    at = f"tl.arange(0, BLOCK_{self.k.axes.index(a)}){shapes.along(a)}"
                    t.add(f"{p.name} = sq.sum_along(tl.where({at} == 0, {p.name}, 0.0), {shapes.dimension(a)})")
        return names

    def joining(self, g: Group) -> str:
        """The function that a scan uses."""
        name = joined(g, self.title.rpartition("_scan_")[0])
        if g.scan is not None:
            self.helpers[name] = tuple(helper(name, g.scan))
        return name

    def applied(self, k: Kernel, g: Group, names: list[str]) -> None:
        """The carries of a group after each step, from what they were before the first and the coefficients together."""
        tiles = [Tile(True, frozenset((*p.axes, TIME))) for p in parts_of(k, g)]
        carries = [k.carries[i] for i in g.carries]
        lines, results = applied(k, g, self.shapes, names, tiles, [self.full(c.previous) for c in carries])
        self.text.add(*lines)
        for c, (text, have) in zip(carries, results, strict=True):
            want = self.stepped(c.previous)
            self.text.add(f"v{c.next.id} = {self.spread(text, have, want)}{noted(c.next)}")
            self.writer.tiles[c.next.id] = want

    def results(self) -> None:
        """Rows and sums of the tile."""
        k = self.k
        self.towards(k.step, k.operands, [*k.rows, *(s.value for s in k.sums)])
        for i, v in enumerate(k.rows):
            j = self.slot("row", i)
            self.stored(j, f"(o{j} + at * s{j}_t)", v, f"v{v.id}", self.writer.tiles[v.id], "mt")
        for added in k.sums:
            v = added.total
            want = self.stepped(v)
            value = self.spread(f"v{added.value.id}", self.writer.tiles[added.value.id], want)
            self.text.add(f"v{v.id} += sq.sum_along(tl.where(mt, {value}, 0.0), 1)")

    def wanted(self, i: int) -> Tile:
        """The dimensions of what a slot takes: rows those of all steps."""
        found = super().wanted(i)
        return Tile(found.batched, found.axes | {TIME}) if self.slots[i].what == "row" else found


__all__ = ["Associative", "unscannable"]

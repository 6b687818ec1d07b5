"""A kernel, or its adjoint, as one Triton function with the loop over time inside: sequential-fused.

In:   a settled kernel (and for an adjoint its `Derivative` and the forward kernel), and the axes along which it is cut.
Out:  lines of Python, and how the function's arguments stand (`arguments`).
Keeps: the rules of emitted kernels (`lint` checks them): offsets in int64 from the program's number on; one flat grid axis; every
      access masked on every axis whose end it may pass; one writer for each entry; no atomics; arithmetic in REAL, values
      converted where they are loaded and stored.

A program has BLOCK_B sequences and of each axis `i` the entries of one piece, BLOCK_i of them; an axis that is not cut is one
piece. Values are tiles (BLOCK_B, BLOCK_0, BLOCK_1, …), of size 1 along what they lack. Carries stay in registers. In an adjoint
the carries before a step come from rows, or are computed again from a checkpoint for C steps at a time and kept in a
scratch of the program's own.

    NAME(p…, c…, w…, B, T, C, n…, strides, REAL, BLOCK…, STAGES)

    p   slots in the order of `slots_of`: operands with memory, rows, carries after the last step, totals, checkpoints;
        a result that is None is not wanted
    c   numbers, as the bits of float64
    w   scratch for each carry that is computed again
    B, T, C   sequences, steps, steps between checkpoints
    n   the sizes of the axes
    strides   of each slot: of sequences (totals: of groups of BLOCK_B sequences), of time, of each axis, and of results that are
        shares of a sum, of pieces, for each axis in `parts`. Steps of `step` and `past` operands and of results along their last
        axis are 1 and not given
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import (
    REPLAYED,
    Apply,
    Arg,
    Derivative,
    Kernel,
    Operand,
    Product,
    Reduce,
    Rename,
    Statement,
    Var,
    reads_of,
)
from seqc.compiler.lower.kernels.split import words
from seqc.compiler.lower.triton.code import Shapes, Tile, Writer, literal


@dataclass(frozen=True, slots=True)
class Slot:
    """One address.

    what    `operand`, `row`, `last` (a carry after the last step), `total`, `checkpoint` or `extra` (a value of the step that only the
            adjoint reads); `index` among its like
    parts   cut axes over which it is a sum: each piece has a share
    lones   cut axes that it lacks: the first piece writes it
    timed   it has a row for each step
    single  of a total: one for all sequences, so that each program has a share
    """

    what: str
    index: int
    var: Var
    parts: Axes = ()
    lones: Axes = ()
    timed: bool = False
    batched: bool = True
    single: bool = False


def slots_of(
    k: Kernel, cuts: Axes, replayed: Sequence[Var], shared: frozenset[int] = frozenset(), extra: Sequence[Var] = ()
) -> list[Slot]:
    """All addresses in order. `shared`: totals that are one for all sequences; `extra`: values written as rows besides."""
    said = {a: words(k, a) or {} for a in cuts}
    out = [
        Slot("operand", i, o.var, timed=o.kind in ("step", "past"), batched=o.kind != "once")
        for i, o in enumerate(k.operands)
        if o.kind != "number"
    ]

    def result(what: str, i: int, v: Var, timed: bool = False, single: bool = False) -> Slot:
        parts = tuple(a for a in cuts if said[a][v.id] == "part")
        lones = tuple(a for a in cuts if said[a][v.id] == "whole")
        return Slot(what, i, v, parts, lones, timed, single=single)

    out += [result("row", i, v, True) for i, v in enumerate(k.rows)]
    out += [result("last", i, c.previous) for i, c in enumerate(k.carries)]
    out += [result("total", i, v, single=i in shared) for i, v in enumerate(k.totals)]
    if not k.reverse:
        out += [result("checkpoint", i, v, True) for i, v in enumerate(replayed)]
    out += [result("extra", i, v, True) for i, v in enumerate(extra)]
    return out


@dataclass(slots=True)
class Lines:
    """Lines with an indent."""

    lines: list[str] = field(default_factory=list)
    depth: int = 1

    def add(self, *lines: str) -> None:
        """Adds lines at the current depth."""
        self.lines += ["    " * self.depth + line for line in lines]

    def open(self, head: str) -> None:
        """Adds a line that opens a block."""
        self.add(head)
        self.depth += 1

    def close(self) -> None:
        """Ends a block."""
        self.depth -= 1


class Sequential:
    """Writes one function, called `name`."""

    TIMED = False
    HELD = "v"
    """How carries are called between steps."""

    def __init__(
        self,
        name: str,
        k: Kernel,
        cuts: Axes,
        replayed: Sequence[Var],
        derivative: Derivative | None = None,
        forward: Kernel | None = None,
        shared: frozenset[int] = frozenset(),
        extra: Sequence[Var] = (),
    ) -> None:
        self.title, self.k, self.cuts, self.derivative, self.forward = name, k, cuts, derivative, forward
        self.replayed, self.extra = list(replayed), tuple(extra)
        self.slots = slots_of(k, cuts, replayed, shared, extra)
        self.text = Lines()
        self.shapes = Shapes(k.axes, self.TIMED)
        self.writer = Writer(self.shapes, {})
        self.masks = {a: f"m{i}" for i, a in enumerate(k.axes)}
        self.known: set[int] = set()
        self.again = [i for i, how in enumerate(derivative.stored) if how == REPLAYED] if derivative else []

    # ---- arguments ----------------------------------------------------------------------------------------------------

    def strides(self, i: int) -> list[str]:
        """Names of a slot's strides."""
        s = self.slots[i]
        names = []
        if s.batched:
            names.append(f"s{i}_b")
        if s.timed:
            names.append(f"s{i}_t")
        if self.TIMED and s.what == "total":
            names.append(f"s{i}_g")
        names += [f"s{i}_{self.k.axes.index(a)}" for a in s.var.axes if not self.unit(i, a)]
        return names + [f"s{i}_p{self.k.axes.index(a)}" for a in s.parts]

    def unit(self, i: int, axis: str) -> bool:
        """Whether a slot is contiguous along an axis."""
        s = self.slots[i]
        return axis == s.var.axes[-1] and (s.what != "operand" or s.timed)

    @property
    def numbers(self) -> list[Operand]:
        """Operands that are numbers."""
        return [o for o in self.k.operands if o.kind == "number"]

    def arguments(self) -> list[str]:
        """All arguments but the constants, in order."""
        out = [f"p{i}" for i in range(len(self.slots))]
        out += [f"c{o.var.id}" for o in self.numbers]
        out += [f"w{i}" for i in self.again]
        out += ["B", "T", "C", *(f"n{i}" for i in range(len(self.k.axes)))]
        for i in range(len(self.slots)):
            out += self.strides(i)
        return out

    def constants(self) -> list[str]:
        """Constants of a compiled function."""
        return ["REAL", "BLOCK_B", *(f"BLOCK_{i}" for i in range(len(self.k.axes))), "STAGES"]

    # ---- the function -------------------------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """The whole function."""
        t = self.text
        self.places()
        self.steady()
        if self.derivative is None:
            self.forwards()
        else:
            self.backwards()
        self.after()
        head = ["@kernel", f"def {self.title}("]
        head += wrapped([*self.arguments(), *(f"{c}: tl.constexpr" for c in self.constants())])
        return [*head, "):", *self.described(), *t.lines]

    def described(self) -> list[str]:
        """The docstring: what each slot is."""
        out = [f'    """{"Backwards" if self.k.reverse else "Forwards"} through time.', ""]
        for i, s in enumerate(self.slots):
            kind = self.k.operands[s.index].kind if s.what == "operand" else s.what
            axes = ", ".join(f"axis {self.k.axes.index(a)}" for a in s.var.axes)
            hint = hinted(s.var)
            out.append(f"    p{i}  {kind}{f' [{axes}]' if axes else ''}{f': {hint}' if hint else ''}")
        return [*out, '    """']

    def places(self) -> None:
        """Which sequences and which entries of each axis the program has."""
        t, axes = self.text, self.k.axes
        t.add("program = tl.cast(tl.program_id(0), tl.int64)")
        t.add("rest = program", f"nought = tl.zeros({self.shapes.of(Tile())}, tl.int64)")
        for i, a in reversed(list(enumerate(axes))):
            mine = f"tl.arange(0, BLOCK_{i}){self.shapes.along(a)}"
            if a in self.cuts:
                t.add(f"pieces{i} = tl.cdiv(n{i}, BLOCK_{i})", f"piece{i} = rest % pieces{i}", f"rest = rest // pieces{i}")
                t.add(f"i{i} = piece{i} * BLOCK_{i} + {mine}")
            else:
                t.add(f"i{i} = tl.cast({mine}, tl.int64)")
            t.add(f"m{i} = i{i} < n{i}")
        self.segmented()
        t.add("group = rest", f"ib = group * BLOCK_B + tl.arange(0, BLOCK_B){self.shapes.along('')}", "mb = ib < B")
        for o in self.numbers:
            t.add(f"v{o.var.id} = tl.full({self.shapes.of(Tile())}, sq.number(c{o.var.id}, REAL), REAL)")
            self.writer.tiles[o.var.id] = Tile()
            self.known.add(o.var.id)
        for i, s in enumerate(self.slots):
            if s.timed and self.used(i):
                t.add(f"o{i} = {self.entry(i)}")
        for i in self.again:
            t.add(f"k{i} = {self.scratch(self.k.operands[self.past(i)].var)}")

    def segmented(self) -> None:
        """Which steps the program has: all of them."""

    def used(self, i: int) -> bool:
        """Whether the function touches a slot."""
        return self.slots[i].what != "operand" or bool(self.reads(self.slots[i].var))

    def reads(self, v: Var) -> bool:
        """Whether a statement, a carry or a replay reads an operand."""
        d = self.derivative
        every = (*self.k.prologue, *self.k.step, *self.k.epilogue, *(d.replay if d else ()))
        starts = [c.init for c in self.k.carries]
        if d is not None and self.forward is not None:
            starts += [c.init for c, how in zip(self.forward.carries, d.stored, strict=True) if how >= 0]
            if any(o.var == v and d.stored[o.carry] == REPLAYED for o in self.k.operands if o.kind == "past"):
                return True
        return v in starts or any(r.id == v.id for s in every for r in reads_of(s))

    def slot(self, what: str, index: int) -> int:
        """The number of a slot."""
        return next(i for i, s in enumerate(self.slots) if s.what == what and s.index == index)

    def entry(self, i: int) -> str:
        """Where the program's entries of a slot begin, time left out."""
        s = self.slots[i]
        parts = []
        if s.batched:
            parts.append(f"{'group' if s.single else 'ib'} * s{i}_b")
        for a in s.var.axes:
            j = self.k.axes.index(a)
            parts.append(f"i{j}" if self.unit(i, a) else f"i{j} * s{i}_{j}")
        for a in s.parts:
            j = self.k.axes.index(a)
            parts.append(f"piece{j} * s{i}_p{j}")
        if self.TIMED and s.what == "total":
            parts.append(f"segment * s{i}_g")
        if not parts or all(p.startswith(("group", "piece", "segment")) for p in parts):
            parts.append("nought")
        return " + ".join(parts)

    def mask(self, i: int, *more: str) -> str:
        """The mask of an access to a slot."""
        s = self.slots[i]
        parts = ["mb"] if s.batched and not s.single else []
        parts += [self.masks[a] for a in s.var.axes]
        parts += [f"(nought + piece{self.k.axes.index(a)} == 0)" for a in s.lones]
        return " & ".join([*parts, *more])

    def loaded(self, i: int, place: str, *more: str) -> str:
        """An operand's entries, in the arithmetic type."""
        mask = self.mask(i, *more)
        masked = f", mask={mask}, other=0.0" if mask else ""
        return f"tl.load(p{i} + {place}{masked}).to(REAL)"

    def load(self, o: Operand, place: str = "", *more: str) -> None:
        """Reads an operand into its name."""
        i = self.slot("operand", self.k.operands.index(o))
        self.text.add(f"v{o.var.id} = {self.loaded(i, place or self.entry(i), *more)}{noted(o.var)}")
        self.writer.tiles[o.var.id] = self.tile(o)
        self.known.add(o.var.id)

    def tile(self, o: Operand) -> Tile:
        """The dimensions of an operand."""
        return Tile(o.kind not in ("once", "number"), frozenset(o.var.axes))

    def full(self, v: Var) -> Tile:
        """The dimensions that a carried value is given."""
        return Tile(True, frozenset(v.axes))

    def spread(self, text: str, have: Tile, want: Tile) -> str:
        """A value with all of the dimensions `want`."""
        return text if have == want else f"tl.broadcast_to({text}, {self.shapes.of(want)})"

    def wanted(self, i: int) -> Tile:
        """The dimensions of what a slot takes."""
        s = self.slots[i]
        return Tile(s.batched and not s.single, frozenset(s.var.axes))

    def stored(self, i: int, place: str, v: Var, name: str, have: Tile, *more: str) -> None:
        """Writes a value to a slot, where it is wanted."""
        want = self.wanted(i)
        mask = self.mask(i, *more)
        value = self.spread(name, have, want)
        masked = f", mask={mask}" if mask else ""
        self.text.open(f"if p{i} is not None:")
        self.text.add(f"tl.store(p{i} + {place}, {value}.to(p{i}.dtype.element_ty){masked})")
        self.text.close()

    def statements(self, these: Iterable[Statement]) -> None:
        """Statements, in order."""
        for s in these:
            match s:
                case Apply():
                    made = self.writer.apply(s)
                case Reduce():
                    made = self.writer.reduce(s, self.masks)
                case Rename():
                    made = self.writer.rename(s)
                case Product():
                    self.product(s)
                    continue
            self.text.add(f"v{s.out.id} = {made}{noted(s.out)}")

    def product(self, s: Product) -> None:
        """A matrix product; `Dense` writes it."""
        raise AssertionError(f"{self.title}: a matrix product where none is written")

    # ---- before the first step ----------------------------------------------------------------------------------------

    def steady(self) -> None:
        """What does not change in time."""
        for o in self.k.operands:
            if o.kind in ("run", "once") and self.reads(o.var):
                self.load(o)
        self.statements(self.k.prologue)
        for c in self.k.carries:
            self.begin(f"{self.HELD}{c.previous.id}", c.previous, c.init)
            self.writer.tiles[c.previous.id] = self.full(c.previous)
        for added in self.k.sums:
            v = added.total
            self.text.add(f"v{v.id} = tl.zeros({self.shapes.of(self.full(v))}, REAL)")
            self.writer.tiles[v.id] = self.full(v)

    def begin(self, name: str, v: Var, init: Arg) -> None:
        """The start of a carry, with all its dimensions."""
        want = self.full(v)
        if isinstance(init, Var):
            self.text.add(f"{name} = {self.spread(f'v{init.id}', self.writer.tiles[init.id], want)}{noted(v)}")
        else:
            self.text.add(f"{name} = tl.full({self.shapes.of(want)}, {number(init, self.shapes)}, REAL){noted(v)}")

    # ---- loops --------------------------------------------------------------------------------------------------------

    def forwards(self) -> None:
        """From the first step to the last."""
        t, k = self.text, self.k
        t.open("for t in tl.range(0, T, num_stages=STAGES):")
        t.add("at = tl.cast(t, tl.int64)")
        for i, v in enumerate(self.replayed):
            j = self.slot("checkpoint", i)
            self.stored(j, f"(o{j} + (at // C) * s{j}_t)", v, f"v{v.id}", self.full(v), "(nought + at % C == 0)")
        self.step(k.operands)
        t.close()

    def step(self, operands: Iterable[Operand]) -> None:
        """One step at `at`."""
        k = self.k
        for o in operands:
            if o.kind == "step" and self.reads(o.var):
                i = self.slot("operand", k.operands.index(o))
                self.load(o, f"(o{i} + at * s{i}_t)")
        self.statements(k.step)
        for what, these in (("row", k.rows), ("extra", self.extra)):
            for i, v in enumerate(these):
                j = self.slot(what, i)
                self.stored(j, f"(o{j} + at * s{j}_t)", v, f"v{v.id}", self.writer.tiles[v.id])
        for added in k.sums:
            v = added.total
            self.text.add(f"v{v.id} += {self.spread(f'v{added.value.id}', self.writer.tiles[added.value.id], self.full(v))}")
        for c in k.carries:
            self.text.add(f"v{c.previous.id} = {self.spread(f'v{c.next.id}', self.writer.tiles[c.next.id], self.full(c.previous))}")

    def backwards(self) -> None:
        """From the last step to the first."""
        t, k, d, f = self.text, self.k, self.derivative, self.forward
        assert d is not None and f is not None
        pasts = {o.carry: o for o in k.operands if o.kind == "past"}
        read = {v.id for s in (*k.step, *d.replay) for v in reads_of(s)}
        rows = [i for i, how in enumerate(d.stored) if how >= 0 and pasts[i].var.id in read]
        for i in rows:
            self.begin(f"first{pasts[i].var.id}", pasts[i].var, f.carries[i].init)
        if not self.again:
            t.open("for t in tl.range(0, T, num_stages=STAGES):")
            t.add("at = T - 1 - tl.cast(t, tl.int64)")
            for i in rows:
                self.before(pasts[i])
            self.step(k.operands)
            t.close()
            return
        t.add("chunks = tl.cdiv(T, C)")
        t.open("for j in range(0, chunks):")
        t.add("chunk = chunks - 1 - tl.cast(j, tl.int64)", "start = chunk * C", "count = tl.minimum(T - start, tl.cast(C, tl.int64))")
        for i in self.again:
            self.load_checkpoint(pasts[i])
        t.open("for t in tl.range(0, count - 1):")
        t.add("at = start + tl.cast(t, tl.int64)")
        wanted = {v.id for s in d.replay for v in reads_of(s)}
        for i in self.again:
            v = pasts[i].var
            t.add(f"v{v.id} = again{v.id}")
            self.writer.tiles[v.id] = self.full(v)
        for i in rows:
            if pasts[i].var.id in wanted:
                self.before(pasts[i])
        for o in k.operands:
            if o.kind == "step" and o.var.id in wanted:
                i = self.slot("operand", k.operands.index(o))
                self.load(o, f"(o{i} + at * s{i}_t)")
        self.statements(d.replay)
        for i in self.again:
            v, after = pasts[i].var, f.carries[i].next
            t.add(f"again{v.id} = {self.spread(f'v{after.id}', self.writer.tiles[after.id], self.full(v))}")
            self.keep(i, v, "(at - start + 1)")
        t.close()
        # what one thread keeps another one may read
        t.add("tl.debug_barrier()")
        t.open("for t in tl.range(0, count, num_stages=STAGES):")
        t.add("at = start + count - 1 - tl.cast(t, tl.int64)")
        for i in rows:
            self.before(pasts[i])
        for i in self.again:
            v = pasts[i].var
            t.add(f"v{v.id} = tl.load({self.kept(i, '(at - start)')}, mask={self.inside(v)}, other=0.0){noted(v)}")
        self.step(k.operands)
        t.close()
        t.add("tl.debug_barrier()")
        t.close()

    def before(self, o: Operand) -> None:
        """A carry before the step, from the row of the step before."""
        i = self.slot("operand", self.k.operands.index(o))
        v = o.var
        row = self.loaded(i, f"(o{i} + (at - 1) * s{i}_t)", "(nought + at > 0)")
        self.text.add(f"v{v.id} = tl.where(nought + at > 0, {row}, first{v.id}){noted(v)}")
        self.writer.tiles[v.id] = self.full(v)

    def load_checkpoint(self, o: Operand) -> None:
        """A carry at the beginning of a chunk, which is also the first that is kept."""
        i = self.slot("operand", self.k.operands.index(o))
        v = o.var
        self.text.add(f"again{v.id} = {self.loaded(i, f'(o{i} + chunk * s{i}_t)')}{noted(v)}")
        self.keep(o.carry, v, "")

    def volume(self, v: Var) -> str:
        """Entries of a tile."""
        return " * ".join(["BLOCK_B", *(f"BLOCK_{self.k.axes.index(a)}" for a in v.axes)])

    def scratch(self, v: Var) -> str:
        """Where the scratch of a program begins, and the entries of a tile in it."""
        inner = f"tl.arange(0, BLOCK_B){self.shapes.along('')}"
        for a in v.axes:
            j = self.k.axes.index(a)
            inner = f"({inner}) * BLOCK_{j} + tl.arange(0, BLOCK_{j}){self.shapes.along(a)}"
        return f"program * C * ({self.volume(v)}) + {inner}"

    def kept(self, i: int, at: str) -> str:
        """Where the scratch holds a carry of a step of the chunk; "" for the first."""
        v = self.k.operands[self.past(i)].var
        return f"w{i} + (k{i} + {at} * ({self.volume(v)}))" if at else f"w{i} + k{i}"

    def past(self, carry: int) -> int:
        """The operand that is the value of a carry before the step."""
        return next(j for j, o in enumerate(self.k.operands) if o.kind == "past" and o.carry == carry)

    def inside(self, v: Var) -> str:
        """The mask of a scratch."""
        return " & ".join(["mb", *(self.masks[a] for a in self.k.axes if a in v.axes)])

    def keep(self, i: int, v: Var, at: str) -> None:
        """Puts a carry into the scratch."""
        self.text.add(f"tl.store({self.kept(i, at)}, again{v.id}, mask={self.inside(v)})")

    # ---- after the last step ------------------------------------------------------------------------------------------

    def after(self) -> None:
        """Carries and totals."""
        k = self.k
        for i, c in enumerate(k.carries):
            j = self.slot("last", i)
            self.stored(j, f"({self.entry(j)})", c.previous, f"{self.HELD}{c.previous.id}", self.full(c.previous), *self.ends())
        self.statements(k.epilogue)
        for i, v in enumerate(k.totals):
            j = self.slot("total", i)
            name, have = f"v{v.id}", self.writer.tiles[v.id]
            if self.slots[j].single:
                value = self.spread(name, have, have | Tile(True, frozenset(v.axes)))
                name, have = f"sq.sum_along(tl.where(mb, {value}, 0.0), 0)", Tile(False, have.axes | frozenset(v.axes))
            self.stored(j, f"({self.entry(j)})", v, name, have)


    def ends(self) -> tuple[str, ...]:
        """Further conditions under which the program has the carries after the last step: none."""
        return ()


def number(x: float, shapes: Shapes) -> str:
    """A number as an argument of `tl.full`."""
    return repr(float(x)) if x == x and abs(x) != float("inf") else literal(x, shapes)


def hinted(v: Var) -> str:
    """The spec's name for a value, where it is plain."""
    return v.hint.strip() if re.fullmatch(r"[A-Za-z0-9_ ]{1,80}", v.hint) else ""


def noted(v: Var) -> str:
    """The same as a comment."""
    return f"  # {hinted(v)}" if hinted(v) else ""


def wrapped(words: Sequence[str], width: int = 116) -> list[str]:
    """Arguments in lines of limited width."""
    out: list[str] = []
    line = "   "
    for w in words:
        if len(line) + len(w) + 2 > width:
            out.append(line)
            line = "   "
        line += f" {w},"
    return [*out, line]

"""One kernel, or its adjoint, as one C function.

In:   a settled kernel (and for an adjoint its `Derivative` and the forward kernel).
Out:  lines of C. The function runs over tasks - groups of sequences x pieces of the split axis - on any number of threads; a
      task walks through time, and in each step through the nests of `emit_nests`, values between nests in a scratch of its
      own. The same bits come out for any number of threads: tasks follow from the sizes alone, and shares of one sum go to
      places of their own.

    int64_t NAME(const int64_t *n, void *const *p, const int64_t *s, const double *c, int64_t threads)

    n   batch, time, groups of sequences, steps between checkpoints, entries of the split axis in a piece, the sizes of the axes
    p   one address for each slot (see `slots_of`); a null address of a result: not wanted
    s   for each slot the steps, in elements, from one sequence (for a total: group) to the next, of time, and of each axis of
        the value; of a result also from one piece to the next, behind the others. Values of a `step` or `past` operand and of
        results are contiguous along their last axis
    c   the numbers
    returns 0, or 1 where there was no memory
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import REPLAYED, Apply, Arg, Derivative, Kernel, Operand, Statement, Var, reads_of, weights_of
from seqc.compiler.lower.kernels.split import words
from seqc.compiler.lower.native.emit_code import literal
from seqc.compiler.lower.native.emit_nest_text import NestText
from seqc.compiler.lower.native.emit_nests import Nest, crossing, last_read, nests, sunk

SIGNATURE = "(const int64_t *n, void *const *p, const int64_t *s, const double *c, int64_t threads) {"

FIRST_SIZE = 5
"""Where the sizes of the axes begin in `n`."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One address: `what` is `operand`, `row`, `last` (a carry after the last step), `total`, `checkpoint` or `extra` (a row
    that only a gradient needs); `index` among its like.

    part   it is a share of a sum over the split axis
    lone   it lacks the split axis: one piece writes it
    """

    what: str
    index: int
    var: Var
    part: bool = False
    lone: bool = False


def slots_of(k: Kernel, split: str, replayed: Sequence[Var], extra: Sequence[Var] = ()) -> list[Slot]:
    """All addresses in order: operands with memory, rows, carries, totals, checkpoints and extra rows of the forward pass."""
    said = words(k, split) if split else None
    out = [Slot("operand", i, o.var) for i, o in enumerate(k.operands) if o.kind != "number"]

    def result(what: str, i: int, v: Var, word_of: int) -> Slot:
        word = said[word_of] if said is not None else "own"
        return Slot(what, i, v, word == "part", word == "whole")

    out += [result("row", i, v, v.id) for i, v in enumerate(k.rows)]
    out += [result("last", i, c.previous, c.previous.id) for i, c in enumerate(k.carries)]
    out += [result("total", i, v, v.id) for i, v in enumerate(k.totals)]
    if not k.reverse:
        out += [result("checkpoint", i, v, v.id) for i, v in enumerate(replayed)]
        out += [result("extra", i, v, v.id) for i, v in enumerate(extra)]
    return out


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: `base[sum of index * step]`; `storage` is the macro of a slot's type, "" for the scratch."""

    base: str
    steps: tuple[tuple[str, str], ...]
    storage: str = ""
    sure: bool = True

    def at(self, index: dict[str, str]) -> str:
        """The address of the entry at these indices."""
        parts = [index[a] if by == "1" else f"{index[a]} * {by}" for a, by in self.steps]
        return " + ".join([self.base, *parts])


@dataclass(frozen=True, slots=True)
class Array:
    """An array in the scratch that the steps touch."""

    axes: Axes


@dataclass(slots=True)
class Text:
    """Lines with an indent."""

    lines: list[str] = field(default_factory=list)
    depth: int = 1

    def add(self, *lines: str) -> None:
        """Adds lines; one that ends with `{` opens a block, one that begins with `}` closes one."""
        for line in lines:
            if line.startswith("}"):
                self.depth -= 1
            self.lines.append("    " * self.depth + line)
            if line.endswith("{"):
                self.depth += 1


class Emission:
    """Writes one function."""

    def __init__(
        self,
        k: Kernel,
        split: str,
        replayed: Sequence[Var],
        derivative: Derivative | None = None,
        forward: Kernel | None = None,
        extra: Sequence[Var] = (),
    ) -> None:
        self.k, self.split, self.derivative, self.forward = k, split, derivative, forward
        self.number = {a: i for i, a in enumerate(k.axes)}
        self.slots = slots_of(k, split, replayed, extra)
        self.replayed = list(replayed)
        self.extra = list(extra)
        self.text = Text()
        self.scratch: list[tuple[str, str]] = []
        self.late: list[tuple[str, str]] = []
        self.places: dict[int, Place] = {}
        self.numbers = {o.var.id: i for i, o in enumerate(o for o in k.operands if o.kind == "number")}
        self.targets: dict[int, list[Place]] = {}
        self.arrays: list[Array] = []
        self.down = False
        self.hot = True
        self.lasting: set[int] = set()

    # ---- names --------------------------------------------------------------------------------------------------------

    def index(self, axes: Iterable[str]) -> dict[str, str]:
        """The loop variables."""
        return {a: f"i{self.number[a]}" for a in axes}

    def length(self, axis: str) -> str:
        """How many entries of an axis this piece has."""
        return f"l{self.number[axis]}"

    def volume(self, axes: Axes) -> str:
        """How many numbers a scratch array of these axes takes."""
        if not axes:
            return "W"
        return " * ".join([*(f"m{self.number[a]}" for a in axes[:-1]), f"P{self.number[axes[-1]]}"])

    def dense(self, base: str, axes: Axes) -> Place:
        """A scratch array, its last axis padded to whole vectors."""
        steps: list[tuple[str, str]] = []
        for i, a in enumerate(axes):
            inner = axes[i + 1 :]
            steps.append((a, "1" if not inner else f"({self.volume(inner)})"))
        return Place(base, tuple(steps))

    def array(self, name: str, axes: Axes) -> Place:
        """A new scratch array."""
        self.scratch.append((name, self.volume(axes)))
        if self.hot:
            self.arrays.append(Array(axes))
        return self.dense(name, axes)

    def slot(self, what: str, index: int) -> int:
        """The number of a slot."""
        return next(i for i, s in enumerate(self.slots) if s.what == what and s.index == index)

    def remote(self, i: int, base: str) -> Place:
        """A slot's memory from `base` on."""
        axes = self.slots[i].var.axes
        unit = self.unit(i)
        steps = tuple((a, "1" if unit and a == axes[-1] else f"s{i}_{j}") for j, a in enumerate(axes))
        return Place(base, steps, f"{self.k.name}_s{i}", sure=self.slots[i].what == "operand")

    def unit(self, i: int) -> bool:
        """Whether a slot is contiguous along its last axis."""
        s = self.slots[i]
        return s.what != "operand" or self.k.operands[s.index].kind in ("step", "past")

    def offset(self, i: int, sequence: str = "b", time: str = "") -> str:
        """From the beginning of a slot's memory to this sequence, step and piece."""
        s = self.slots[i]
        parts = [f"{sequence} * s{i}_b"] + ([f"({time}) * s{i}_t" if " " in time else f"{time} * s{i}_t"] if time else [])
        if self.split and self.split in s.var.axes:
            parts.append(f"x * s{i}_{s.var.axes.index(self.split)}")
        if s.part:
            parts.append(f"piece * s{i}_p")
        return " + ".join(parts)

    # ---- the function -------------------------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """All its lines."""
        k = self.k
        body = self.text
        body.depth = 2
        self.begin_values()
        self.through_sequences()
        head = Text()
        head.lines.append("SQ_EXPORT int64_t " + k.name + SIGNATURE)
        head.add("const int64_t B = n[0], T = n[1], G = n[2], C = n[3], Z = n[4];")
        for a, i in self.number.items():
            size = f"n[{FIRST_SIZE + i}]"
            head.add(f"const int64_t n{i} = {size}, m{i} = {'Z' if a == self.split else size}, P{i} = (m{i} + W - 1) / W * W;")
        at = 0
        for i, s in enumerate(self.slots):
            kind = "const " if s.what == "operand" else ""
            names = [f"s{i}_b = s[{at}]", f"s{i}_t = s[{at + 1}]"]
            names += [f"s{i}_{j} = s[{at + 2 + j}]" for j in range(len(s.var.axes))]
            at += 2 + len(s.var.axes)
            if s.what != "operand":
                names.append(f"s{i}_p = s[{at}]")
                at += 1
            macro = f"{k.name}_s{i}"
            head.add(f"{kind}TY({macro}) *const p{i} = p[{i}]; const int64_t {', '.join(names)};")
        for o in k.operands:
            if o.kind == "number":
                head.add(f"const R c{o.var.id} = (R)c[{self.numbers[o.var.id]}];")
        self.frame(head, body)
        head.lines.append("}")
        return head.lines

    def pieces(self) -> str:
        """How many pieces of the split axis there are."""
        x = f"n{self.number[self.split]}" if self.split else ""
        return f"{x} > 0 ? sq_block_count({x}, Z) : 1" if x else "1"

    def lengths(self, head: Text) -> None:
        """Where this task's piece begins, and how many entries of each axis it has."""
        head.add(f"const int64_t x = {'piece * Z' if self.split else '0'};")
        for a, i in self.number.items():
            head.add(f"const int64_t l{i} = {f'n{i} - x < Z ? n{i} - x : Z' if a == self.split else f'n{i}'};")

    def frame(self, head: Text, body: Text) -> None:
        """The loop over tasks, and each one's scratch."""
        head.add("int64_t o = 0, bad = 0;")
        for name, size in self.scratch:
            head.add(f"const int64_t o_{name} = o; o += ({size} + W - 1) / W * W;")
        head.add("const int64_t clear = o;")
        for name, size in self.late:
            head.add(f"const int64_t o_{name} = o; o += ({size} + W - 1) / W * W;")
        head.add(f"const int64_t pieces = {self.pieces()};")
        head.add("SQ_PARALLEL(threads)", "for (int64_t task = 0; task < G * pieces; task++) {")
        head.add(
            "const int64_t g = task / pieces, piece = task % pieces;",
            "const int64_t first = sq_block_start(B, G, g), end = sq_block_start(B, G, g + 1);",
        )
        self.lengths(head)
        head.add("R *const w = scratch_of(o, clear);", "if (!w) { bad = 1; continue; }")
        for name, _ in (*self.scratch, *self.late):
            head.add(f"R *{name} = w + o_{name};")
        head.lines += body.lines
        head.add("free(w);", "}", "return bad;")

    # ---- where values lie ---------------------------------------------------------------------------------------------

    def begin_values(self) -> None:
        """Gives every value that is kept in the scratch its place."""
        k = self.k
        replay = self.derivative.replay if self.derivative is not None else ()
        late = {v.id for part in (k.step, k.epilogue, replay) for s in part for v in reads_of(s)}
        late |= weights_of((*k.step, *k.epilogue, *replay))
        late |= {a.id for c in k.carries for a in (c.init, c.next) if isinstance(a, Var)}
        late |= {v.id for v in (*k.rows, *k.totals, *(s.value for s in k.sums))}
        if self.forward is not None:
            late |= {c.init.id for c in self.forward.carries if isinstance(c.init, Var)}
        self.lasting = late & {s.out.id for s in k.prologue}
        read = {v.id for part in (k.prologue, k.step, k.epilogue, replay) for s in part for v in reads_of(s)}
        for o in k.operands:
            if o.kind in ("run", "once") and o.var.id in read:
                self.hot = o.var.id in late
                self.places[o.var.id] = self.array(f"w{o.var.id}", o.var.axes)
        self.hot = True
        for c in k.carries:
            self.places[c.previous.id] = self.array(f"w{c.previous.id}", c.previous.axes)
        for s in k.sums:
            self.places[s.total.id] = self.array(f"w{s.total.id}", s.total.axes)
        self.hot = False
        for i, v in enumerate(k.totals):
            self.array(f"r{i}", v.axes)
        self.hot = True

    def steady_depends(self) -> bool:
        """Whether anything of the prologue differs between sequences."""
        return any(o.kind == "run" and o.var.id in self.places for o in self.k.operands)

    # ---- the loops around ---------------------------------------------------------------------------------------------

    def through_sequences(self) -> None:
        """From the first sequence of a task to the last."""
        k, t = self.k, self.text
        per_sequence = self.steady_depends()
        # what is read later of the prologue lives in the scratch: whatever reads it reads memory
        for s in k.prologue:
            if s.out.id in self.lasting:
                self.places.setdefault(s.out.id, self.array(f"w{s.out.id}", s.out.axes))
        for i, v in enumerate(k.totals):
            t.add(f"for (int64_t i = 0; i < {self.volume(v.axes)}; i++) r{i}[i] = 0;")
        if not per_sequence:
            self.prologue("first")
        t.add("for (int64_t b = first; b < end; b++) {")
        if per_sequence:
            self.prologue("b")
        for c in k.carries:
            self.fill(self.places[c.previous.id], c.previous.axes, c.init)
        for added in k.sums:
            v = added.total
            t.add(f"for (int64_t i = 0; i < {self.volume(v.axes)}; i++) w{v.id}[i] = 0;")
        if self.derivative is None:
            self.forwards()
        else:
            self.backwards()
        for i, c in enumerate(k.carries):
            j = self.slot("last", i)
            self.copy_out(j, self.places[c.previous.id], self.offset(j))
        self.epilogue()
        t.add("}")
        for i, v in enumerate(k.totals):
            j = self.slot("total", i)
            self.copy_out(j, self.dense(f"r{i}", v.axes), self.offset(j, "g"))

    def prologue(self, sequence: str) -> None:
        """Operands that do not change in time, and what is made of them."""
        for o in self.k.operands:
            if o.kind in ("run", "once") and o.var.id in self.places:
                self.copy_in(o, self.places[o.var.id], sequence)
        self.hot = False
        self.write(list(self.k.prologue), self.lasting)
        self.hot = True

    def epilogue(self) -> None:
        """What is made of the sums, added to what earlier sequences gave."""
        if not self.k.totals:
            return
        goals = {v.id for v in self.k.totals}
        self.hot = False
        for s in self.k.epilogue:
            if s.out.id in goals:
                self.places.setdefault(s.out.id, self.array(f"w{s.out.id}", s.out.axes))
        self.write(list(self.k.epilogue), goals)
        self.hot = True
        for i, v in enumerate(self.k.totals):
            self.text.add(f"for (int64_t i = 0; i < {self.volume(v.axes)}; i++) r{i}[i] += {self.places[v.id].base}[i];")

    def forwards(self) -> None:
        """The loop over time, the first step first."""
        k, t = self.k, self.text
        t.add("for (int64_t t = 0; t < T; t++) {")
        for i, v in enumerate(self.replayed):
            j = self.slot("checkpoint", i)
            t.add(f"if (p{j} && t % C == 0) {{")
            self.copy_out(j, self.places[v.id], self.offset(j, "b", "t / C"))
            t.add("}")
        self.step_addresses("t", [o for o in k.operands if o.kind == "step"])
        self.result_addresses("t")
        self.step(list(k.step))
        t.add("}")

    def backwards(self) -> None:
        """The loop over time, the last step first; between checkpoints what the rows do not hold is computed again."""
        k, t, d = self.k, self.text, self.derivative
        assert d is not None and self.forward is not None
        again = [i for i, how in enumerate(d.stored) if how == REPLAYED]
        pasts = {o.carry: o for o in k.operands if o.kind == "past"}
        for i in again:
            v = pasts[i].var
            self.late.append((f"h{v.id}", f"C * {self.volume(v.axes)}"))
        for i, how in enumerate(d.stored):
            if how >= 0:
                self.first_row(pasts[i], self.forward.carries[i].init)
        t.add(
            "for (int64_t j = T > 0 ? (T - 1) / C : -1; j >= 0; j--) {",
            "const int64_t t0 = j * C, t1 = T - t0 < C ? T : t0 + C;",
        )
        steps = [o for o in k.operands if o.kind == "step"]
        if again:
            for i in again:
                v = pasts[i].var
                self.copy_in(pasts[i], self.dense(f"h{v.id}", v.axes), "b", "j")
            t.add("for (int64_t t = t0; t + 1 < t1; t++) {")
            wanted = {v.id for s in d.replay for v in reads_of(s)}
            self.step_addresses("t", [o for o in steps if o.var.id in wanted])
            self.past_addresses(pasts, d, wanted)
            for i in again:
                v = pasts[i].var
                self.targets.setdefault(self.forward.carries[i].next.id, []).append(
                    self.dense(f"(h{v.id} + (t - t0 + 1) * {self.volume(v.axes)})", v.axes)
                )
            self.write(list(d.replay), set(), fresh=False)
            self.targets.clear()
            t.add("}")
        t.add("for (int64_t t = t1 - 1; t >= t0; t--) {")
        self.step_addresses("t", steps, True)
        wanted = {v.id for s in k.step for v in reads_of(s)}
        self.past_addresses(pasts, d, wanted)
        self.result_addresses("t", True)
        self.down = True
        self.step(list(k.step))
        self.down = False
        t.add("}", "}")

    # ---- one step -----------------------------------------------------------------------------------------------------

    def step_addresses(self, time: str, operands: Iterable[Operand], down: bool = False) -> None:
        """The rows of step operands at this step."""
        for o in operands:
            i = self.slot("operand", self.k.operands.index(o))
            self.text.add(f"const TY({self.k.name}_s{i}) *const q{i} = p{i} + {self.offset(i, 'b', time)};")
            self.places[o.var.id] = self.remote(i, f"q{i}")
            self.foresee(i, down)

    def foresee(self, i: int, down: bool) -> None:
        """Asks for a later step's piece of a row, where a piece is less than the row."""
        s = self.slots[i]
        if self.split and s.var.axes == (self.split,) == self.k.axes[-1:]:
            n = self.number[self.split]
            test = f"l{n} < n{n}" + (f" && q{i}" if s.what != "operand" else "")
            sign = "-" if down else ""
            self.text.add(f"if ({test}) FORESEE({int(s.what != 'operand')}, q{i}, {sign}s{i}_t, l{n});")

    def past_addresses(self, pasts: dict[int, Operand], d: Derivative, wanted: set[int]) -> None:
        """The carries before this step."""
        for i, o in pasts.items():
            if o.var.id not in wanted:
                continue
            if d.stored[i] == REPLAYED:
                self.places[o.var.id] = self.dense(f"(h{o.var.id} + (t - t0) * {self.volume(o.var.axes)})", o.var.axes)
                continue
            j = self.slot("operand", self.k.operands.index(o))
            ty = f"TY({self.k.name}_s{j})"
            row = f"p{j} + {self.offset(j, 'b', 't - 1')}"
            self.text.add(f"const {ty} *const q{j} = t > 0 ? {row} : (const {ty} *)f{o.var.id};")
            self.places[o.var.id] = self.remote(j, f"q{j}")

    def first_row(self, o: Operand, init: Arg) -> None:
        """The start of a carry that is read from a row, laid out and stored as the rows are."""
        j = self.slot("operand", self.k.operands.index(o))
        axes = o.var.axes
        # a row's entries lie within the product of the axes' sizes: rows are contiguous
        self.late.append((f"f{o.var.id}", " * ".join(f"n{self.number[a]}" for a in axes) or "W"))
        self.fill(self.remote(j, f"((TY({self.k.name}_s{j}) *)f{o.var.id})"), axes, init)

    def result_addresses(self, time: str, down: bool = False) -> None:
        """Where the rows of this step go."""
        places = [("row", i) for i in range(len(self.k.rows))] + [("extra", i) for i in range(len(self.extra))]
        for what, i in places:
            j = self.slot(what, i)
            test = f"p{j} && piece == 0" if self.slots[j].lone else f"p{j}"
            self.text.add(f"TY({self.k.name}_s{j}) *const q{j} = {test} ? p{j} + {self.offset(j, 'b', time)} : 0;")
            self.foresee(j, down)

    def step(self, statements: list[Statement]) -> None:
        """The statements of a step; at its end the carries are the new ones."""
        k = self.k
        leaving = {v.id for v in (*k.rows, *self.extra)} | {c.next.id for c in k.carries} | {added.value.id for added in k.sums}
        these = sunk(nests(statements), leaving)
        self.targets = {}
        swaps: list[tuple[str, str]] = []
        home = {s.out.id: i for i, n in enumerate(these) for s in n.statements}
        for c in k.carries:
            place = self.places[c.previous.id]
            if last_read(these, c.previous) > home[c.next.id]:
                other = self.array(f"x{c.previous.id}", c.previous.axes)
                swaps.append((place.base, other.base))
                place = other
            self.targets.setdefault(c.next.id, []).append(place)
        for i, v in enumerate(k.rows):
            j = self.slot("row", i)
            self.targets.setdefault(v.id, []).append(self.remote(j, f"q{j}"))
        for i, v in enumerate(self.extra):
            j = self.slot("extra", i)
            self.targets.setdefault(v.id, []).append(self.remote(j, f"q{j}"))
        sums: dict[int, list[Place]] = {}
        for total in k.sums:
            sums.setdefault(total.value.id, []).append(self.places[total.total.id])
        self.write_nests(these, set(), sums)
        for a, b in swaps:
            self.swap(a, b)
        self.targets = {}

    def swap(self, a: str, b: str) -> None:
        """Two arrays change places."""
        self.text.add(f"{{ R *const z = {a}; {a} = {b}; {b} = z; }}")

    def write(self, statements: list[Statement], kept: set[int], fresh: bool = True) -> None:
        """Statements as nests; values in `kept` go to their places."""
        if fresh:
            self.targets = {}
        self.write_nests(nests(statements), kept)

    def write_nests(self, these: list[Nest], kept: set[int], sums: dict[int, list[Place]] | None = None) -> None:
        """Nests, in order; values in `sums` are added to these places."""
        outside = self.placed(these, kept)
        for n in these:
            NestText(self, n, outside, sums or {}).run()

    def placed(self, these: list[Nest], kept: set[int]) -> set[int]:
        """Gives the values that one nest leaves to another their places; says which they are."""
        outside = crossing(these, kept)
        for n in these:
            for s in n.statements:
                if s.out.id in outside:
                    if s.out.id not in self.places:
                        self.places[s.out.id] = self.array(f"w{s.out.id}", s.out.axes)
                    place = self.places[s.out.id]
                    if isinstance(s, Apply) and all(t.base != place.base for t in self.targets.get(s.out.id, ())):
                        self.targets.setdefault(s.out.id, []).append(place)
        return outside

    # ---- copies -------------------------------------------------------------------------------------------------------

    def loops(self, axes: Axes, line: str) -> None:
        """A line in loops over all axes."""
        heads = []
        for a in axes:
            i = f"i{self.number[a]}"
            heads.append(f"for (int64_t {i} = 0; {i} < {self.length(a)}; {i}++)")
        self.text.add(" ".join([*heads, line]))

    def hand_over(self, place: Place, index: dict[str, str], value: str, axes: Axes) -> None:
        """Numbers, one after the other, to a place that may not be there."""
        self.text.add("{" if place.sure else f"if ({place.base}) {{")
        self.loops(axes, f"ST1({place.storage}, {place.at(index)}, {value});" if place.storage else f"*({place.at(index)}) = {value};")
        self.text.add("}")

    def copy_in(self, o: Operand, to: Place, sequence: str, time: str = "") -> None:
        """An operand into the scratch."""
        i = self.slot("operand", self.k.operands.index(o))
        source = self.remote(i, f"(p{i} + {self.offset(i, sequence, time)})")
        index = self.index(o.var.axes)
        self.loops(o.var.axes, f"*({to.at(index)}) = LD1({source.storage}, {source.at(index)});")

    def copy_out(self, i: int, source: Place, offset: str) -> None:
        """A scratch array to a slot."""
        s = self.slots[i]
        to = self.remote(i, f"(p{i} + {offset})")
        index = self.index(s.var.axes)
        test = f"if (p{i} && piece == 0)" if s.lone else f"if (p{i})"
        self.text.add(test + " {")
        self.loops(s.var.axes, f"ST1({to.storage}, {to.at(index)}, *({source.at(index)}));")
        self.text.add("}")

    def fill(self, to: Place, axes: Axes, init: Arg) -> None:
        """The start of a carry."""
        index = self.index(axes)
        if not isinstance(init, Var):
            value = literal(init)
        elif init.id in self.places:
            value = f"*({self.places[init.id].at(index)})"
        else:
            o = next(o for o in self.k.operands if o.var.id == init.id)
            i = self.slot("operand", self.k.operands.index(o))
            source = self.remote(i, f"(p{i} + {self.offset(i)})")
            value = f"LD1({source.storage}, {source.at(index)})"
        if to.storage:
            self.loops(axes, f"ST1({to.storage}, {to.at(index)}, {value});")
        else:
            self.loops(axes, f"*({to.at(index)}) = {value};")

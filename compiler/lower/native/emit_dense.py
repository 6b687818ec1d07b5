"""A kernel with products, or its adjoint, as one C function: blocks of sequences walk through time together.

In:   a settled kernel whose step has products with weights.
Out:  the same function as `emit_kernel` describes. Weights are packed once, before the first step (`dense.h`); a task takes some
      sequences, up to `Q` at a time; in each step the nests between two products run for one sequence after the other, a
      product for all of them at once.
Keeps: the same bits for any number of threads. An entry of a product is one chain of sums whatever the block, and totals are
      added up by groups of sequences that follow from the batch alone; tasks take whole groups.

A weight of one sequence alone is read where it lies; so is any weight where a call has hardly any steps, as packing would cost
more than it saves then. Values that a later nest, a product or the next step reads lie in the scratch, a row for each sequence of
the block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Apply, Kernel, Product, Statement, Var
from seqc.compiler.lower.native.emit_kernel import Array, Emission, Place, Text
from seqc.compiler.lower.native.emit_nest_text import NestText
from seqc.compiler.lower.native.emit_nests import Nest

ROWS = 64
"""Sequences that walk through time together."""

FEW = 4
"""Below so many steps of all sequences together weights are not packed."""

WORD = re.compile(r"[A-Za-z_]\w*")


def addressable(k: Kernel) -> Kernel:
    """The kernel with copies of operands that products are taken of, so that each such value lies in the scratch."""
    outside = {o.var.id for o in k.operands if o.kind in ("step", "past")}
    every = [s.out for s in (*k.prologue, *k.step, *k.epilogue)] + [o.var for o in k.operands]
    every += [c.previous for c in k.carries] + [s.total for s in k.sums]
    first = max((v.id for v in every), default=-1) + 1
    copies: dict[int, Var] = {}
    step: list[Statement] = []
    for s in k.step:
        if isinstance(s, Product) and s.arg.id in outside:
            if s.arg.id not in copies:
                copies[s.arg.id] = Var(first + len(copies), s.arg.axes, s.arg.type, s.arg.hint)
                step.append(Apply(copies[s.arg.id], "copy", (s.arg,)))
            s = replace(s, arg=copies[s.arg.id])
        step.append(s)
    return replace(k, step=tuple(step)) if copies else k


@dataclass(frozen=True, slots=True)
class Packed:
    """A weight in panels: `name` in C, which product it is made for (others with the same weight and axes share it)."""

    name: str
    product: Product


class DenseEmission(Emission):
    """Writes one function."""

    packs: list[Packed]
    heads: list[tuple[str, str]] | None

    def run(self) -> list[str]:
        """All its lines."""
        self.packs, self.heads = [], None
        return super().run()

    # ---- the loops around ---------------------------------------------------------------------------------------------

    def frame(self, head: Text, body: Text) -> None:
        """Packed weights, the loop over tasks, and each one's scratch."""
        head.add("int64_t bad = 0;")
        head.add("int64_t P_ = threads < (B + 7) / 8 ? threads : (B + 7) / 8;")
        head.add("P_ = P_ > G ? G : P_ < 1 ? 1 : P_;", f"const int64_t Q = B < {ROWS} ? (B > 0 ? B : 1) : {ROWS};")
        for one in self.packs:
            self.pack(head, one)
        head.add(f"const int64_t pieces = {self.pieces()};")
        head.add("SQ_PARALLEL(threads)", "for (int64_t task = 0; task < P_ * pieces; task++) {")
        head.add("const int64_t part = task / pieces, piece = task % pieces;")
        for name, share in (("first", "part"), ("end", "part + 1")):
            head.add(f"const int64_t {name} = sq_block_start(B, G, sq_block_start(G, P_, {share}));")
        self.lengths(head)
        head.add("int64_t o = 0;")
        for i, (name, size) in enumerate([*self.scratch, *self.late]):
            if i == len(self.scratch):
                head.add("const int64_t clear = o;")
            own = "0" if re.fullmatch(r"r\d+", name) else f"({size} + W - 1) / W * W"
            head.add(f"const int64_t v_{name} = {own}; int64_t o_{name} = o;")
            head.add(f"o += {f'({size} + W - 1) / W * W' if own == '0' else f'Q * v_{name}'};")
        if not self.late:
            head.add("const int64_t clear = o;")
        head.add("R *const base = scratch_of(o, clear);", "if (!base) { bad = 1; continue; }")
        head.lines += body.lines
        head.add("free(base);", "}")
        for one in self.packs:
            head.add(f"free({one.name});")
        head.add("return bad;")

    def through_sequences(self) -> None:
        """From the first block of a task to the last."""
        k, t = self.k, self.text
        for s in k.prologue:
            self.places.setdefault(s.out.id, self.array(f"w{s.out.id}", s.out.axes))
        if k.totals:
            t.add("for (int64_t g = 0; B == 0 && g < G; g++) {")
            self.totals_out(fresh=True)
            t.add("}")
        t.add("for (int64_t b0 = first; b0 < end; b0 += Q) {", "const int64_t nb = end - b0 < Q ? end - b0 : Q;")
        self.each(self.begin)
        if self.derivative is None:
            t.add("for (int64_t t = 0; t < T; t++) {")
            self.one_step()
            t.add("}")
        else:
            self.backwards_through_time()
        self.each(self.finish)
        t.add("}")

    def each(self, fill: Callable[[], None], heads: Iterable[tuple[str, str]] = ()) -> None:
        """What `fill` writes, for each sequence of the block; of `heads` (a name and the line that makes it) what it uses."""
        outer, self.text = self.text, Text(depth=self.text.depth + 1)
        fill()
        inner, self.text = self.text, outer
        if not inner.lines:
            return
        words = set(WORD.findall("\n".join(inner.lines)))
        used: list[str] = []
        for name, line in heads:
            if name in words:
                used.append(line)
                words |= set(WORD.findall(line))
        t = self.text
        t.add("for (int64_t j = 0; j < nb; j++) {", "const int64_t b = b0 + j;")
        for name in dict.fromkeys(name for name, _ in (*self.scratch, *self.late)):
            if name in words:
                t.add(f"R *const {name} = base + o_{name} + j * v_{name};")
        t.add(*used)
        t.lines += inner.lines
        t.add("}")

    def begin(self) -> None:
        """Before a sequence's first step."""
        self.prologue("b")
        for c in self.k.carries:
            self.fill(self.places[c.previous.id], c.previous.axes, c.init)
        for added in self.k.sums:
            v = added.total
            self.text.add(f"for (int64_t i = 0; i < {self.volume(v.axes)}; i++) w{v.id}[i] = 0;")
        if self.derivative is not None and self.forward is not None:
            pasts = {o.carry: o for o in self.k.operands if o.kind == "past"}
            for i, how in enumerate(self.derivative.stored):
                if how >= 0:
                    self.first_row(pasts[i], self.forward.carries[i].init)

    def finish(self) -> None:
        """After a sequence's last step."""
        k, t = self.k, self.text
        for i, c in enumerate(k.carries):
            j = self.slot("last", i)
            self.copy_out(j, self.places[c.previous.id], self.offset(j))
        if k.totals:
            t.add("const int64_t g = group_of(B, G, b);", "if (b == sq_block_start(B, G, g)) {")
            for i, v in enumerate(k.totals):
                t.add(f"for (int64_t i = 0; i < {self.volume(v.axes)}; i++) r{i}[i] = 0;")
            t.add("}")
            self.epilogue()
            t.add("if (b + 1 == sq_block_start(B, G, g + 1)) {")
            self.totals_out()
            t.add("}")

    def totals_out(self, fresh: bool = False) -> None:
        """The totals of group `g` leave; `fresh`: they are 0, there are no sequences."""
        for i, v in enumerate(self.k.totals):
            j = self.slot("total", i)
            if fresh:
                self.text.add(f"R *const r{i} = base + o_r{i};")
            self.copy_out(j, self.dense(f"r{i}", v.axes), self.offset(j, "g"))

    # ---- time ---------------------------------------------------------------------------------------------------------

    def one_step(self) -> None:
        """The forward statements of step `t`, and where its rows go."""

        def addresses() -> None:
            self.step_addresses("t", [o for o in self.k.operands if o.kind == "step"])
            self.result_addresses("t")

        self.heads = self.captured(addresses)
        self.step(list(self.k.step))
        self.heads = None

    def backwards_through_time(self) -> None:
        """The last step first; nothing is replayed."""
        k, t, d = self.k, self.text, self.derivative
        assert d is not None
        pasts = {o.carry: o for o in k.operands if o.kind == "past"}
        t.add("for (int64_t t = T - 1; t >= 0; t--) {")

        def addresses() -> None:
            self.step_addresses("t", [o for o in k.operands if o.kind == "step"])
            self.past_addresses(pasts, d, {o.var.id for o in pasts.values()})
            self.result_addresses("t")

        self.heads = self.captured(addresses)
        self.step(list(k.step))
        self.heads = None
        t.add("}")

    def captured(self, write: Callable[[], None]) -> list[tuple[str, str]]:
        """Lines that each make an address, by its name."""
        outer, self.text = self.text, Text()
        write()
        inner, self.text = self.text, outer
        found: list[tuple[str, str]] = []
        for line in inner.lines:
            if "FORESEE(" in line:  # rows of later steps: here a step reads them in several places
                continue
            name = re.search(r"(q\d+) = ", line)
            assert name is not None, line
            found.append((name[1], line.strip()))
        return found

    def write_nests(self, these: list[Nest], kept: set[int], sums: dict[int, list[Place]] | None = None) -> None:
        """Nests, in order; those between two products for each sequence."""
        if self.heads is None:
            super().write_nests(these, kept, sums)
            return
        outside = self.placed(these, kept)
        sums = sums or {}
        waiting: list[Nest] = []

        def segment() -> None:
            for n in waiting:
                NestText(self, n, outside, sums).run()

        def flush() -> None:
            self.each(segment, self.heads or ())
            waiting.clear()

        for n in these:
            if n.product is None:
                waiting.append(n)
                continue
            flush()
            self.product(n.product, sums)
        flush()

    def swap(self, a: str, b: str) -> None:
        """Two arrays change places, for all sequences."""
        self.text.add(f"{{ const int64_t z = o_{a}; o_{a} = o_{b}; o_{b} = z; }}")

    # ---- products -----------------------------------------------------------------------------------------------------

    def count(self, axes: Iterable[str], whole: bool = True) -> str:
        """How many entries axes have together, all of them or those of this piece."""
        return " * ".join(f"{'n' if whole else 'l'}{self.number[a]}" for a in axes) or "1"

    def packed(self, p: Product) -> str:
        """The weight of a product in panels."""
        for one in self.packs:
            q = one.product
            if (q.weight, [w for w, _ in q.over], [w for w, _ in q.to]) == (p.weight, [w for w, _ in p.over], [w for w, _ in p.to]):
                return one.name
        name = f"k{len(self.packs)}"
        self.packs.append(Packed(name, p))
        return name

    def free_axes(self, p: Product) -> list[tuple[str, str]]:
        """The axes that a product brings in."""
        return [(w, v) for w, v in p.to if v not in p.shared]

    def shared_axes(self, p: Product) -> list[tuple[str, str]]:
        """The axes along which each entry has a product of its own."""
        return [(w, v) for w, v in p.to if v in p.shared]

    def weight_slot(self, p: Product) -> int:
        """Where the weight lies."""
        return self.slot("operand", next(i for i, o in enumerate(self.k.operands) if o.var == p.weight))

    def pack(self, head: Text, one: Packed) -> None:
        """Puts a weight into panels."""
        p, name = one.product, one.name
        slot = self.weight_slot(p)
        shared, free, over = self.shared_axes(p), self.free_axes(p), list(p.over)
        axes = p.weight.axes
        head.add(f"const int64_t {name}_n = {self.count(w for w, _ in free)}, {name}_k = {self.count(w for w, _ in over)};")
        head.add(f"const int64_t {name}_size = packed_size({name}_k, {name}_n);")
        head.add(f"R *{name} = 0;")
        test = f"B * T >= {FEW}" if self.derivative is None else "B * T > 0"
        head.add(f"if ({test}) {{", f"{name} = zeros_of({self.count(w for w, _ in shared)} * {name}_size);")
        head.add(f"if (!{name}) return 1;", f"R *to = {name};")
        for w, _ in shared:
            head.add(f"for (int64_t i{self.number[w]} = 0; i{self.number[w]} < n{self.number[w]}; i{self.number[w]}++) {{")
        head.add("int64_t column = 0;")
        for w, _ in free:
            head.add(f"for (int64_t i{self.number[w]} = 0; i{self.number[w]} < n{self.number[w]}; i{self.number[w]}++) {{")
        macro = f"{self.k.name}_s{slot}"
        head.add(f"R *const column_at = to + column / PANEL * PANEL * {name}_k + column % PANEL;", "int64_t k = 0;")
        head.add(f"uint16_t *const half_at = (uint16_t *)(to + column / PANEL * PANEL * (({name}_k + 1) / 2) + column % PANEL);")
        for w, _ in over:
            head.add(f"for (int64_t i{self.number[w]} = 0; i{self.number[w]} < n{self.number[w]}; i{self.number[w]}++) {{")
        where = " + ".join(f"i{self.number[w]} * s{slot}_{axes.index(w)}" for w in axes)
        head.add(f"if (BF16_PRODUCTS({macro})) half_at[k / 2 * 2 * PANEL + k % 2] = *(const uint16_t *)(p{slot} + {where});")
        head.add(f"else column_at[k * PANEL] = LD1({macro}, p{slot} + {where});", "k++;")
        head.add(*("}" for _ in over), "column++;", *("}" for _ in free))
        head.add(f"to += {name}_size;", *("}" for _ in shared), "}")

    def product(self, p: Product, sums: dict[int, list[Place]]) -> None:
        """One product for all sequences of the block, and where its result goes."""
        t = self.text
        slot = self.weight_slot(p)
        own_weight = next(o.kind for o in self.k.operands if o.var == p.weight) == "run"
        name = "" if own_weight else self.packed(p)
        shared, free, over = self.shared_axes(p), self.free_axes(p), list(p.over)
        targets = list(self.targets.get(p.out.id, ()))
        source = self.places[p.arg.id]
        own = next((x for x in targets if not x.storage and x.base != source.base), self.places[p.out.id])
        self.places[p.out.id] = own
        # rows of numbers in the order of the packed weight: where values do not lie like that they are copied
        left = self.flat(p.arg, [v for _, v in over], f"ga{p.out.id}", [v for _, v in over])
        right = self.flat(p.out, [v for _, v in free], f"gc{p.out.id}", [v for _, v in free])
        extra = [a for a in p.rest if a not in p.shared]
        loops = [*(v for _, v in shared), *extra]
        index = {a: f"i{self.number[a]}" for a in loops}
        t.add("{")
        for a in loops:
            t.add(f"for (int64_t i{self.number[a]} = 0; i{self.number[a]} < {self.length(a)}; i{self.number[a]}++) {{")
        if left:
            self.each(lambda: self.gather(source, self.dense_flat(left, [v for _, v in over]), p.arg.axes, loops))
        a_name, a_at = (left, "0") if left else (source.base, self.within(source, index))
        c_name, c_at = (right, "0") if right else (own.base, self.within(own, index))
        head = "0"
        for w, v in shared:
            entry = f"i{self.number[v]}" + (" + x" if v == self.split else "")
            head = f"({head}) * n{self.number[w]} + {entry}" if head != "0" else entry
        if name:
            # the rows in bf16, in room of their own
            half = f"hb{name}"
            if all(n != half for n, _ in self.scratch):
                self.scratch.append((half, f"(BF16_PRODUCTS({self.k.name}_s{slot}) ? ({name}_k + 1) / 2 : 0)"))
            shape = f"nb, {name}_n, {name}_k, base + o_{a_name} + {a_at}, v_{a_name}, {name} + ({head}) * {name}_size"
            t.add(f"if ({name} && BF16_PRODUCTS({self.k.name}_s{slot})) {{")
            t.add(f"gemm_bf16({shape}, base + o_{c_name} + {c_at}, v_{c_name}, base + o_{half}, v_{half});", "}")
            t.add(f"else if ({name}) gemm({shape}, base + o_{c_name} + {c_at}, v_{c_name});")
        t.add("else {" if name else "{")
        self.direct(p, slot, (a_name, a_at), (c_name, c_at), "" if name else f"(b0 + j) * s{slot}_b")
        t.add("}")
        if right:
            self.each(lambda: self.gather(self.dense_flat(right, [v for _, v in free]), own, p.out.axes, loops))
        t.add(*("}" for _ in loops), "}")
        rest = [x for x in targets if x is not own]
        more = sums.get(p.out.id, [])
        if rest or more:
            self.each(lambda: self.hand_on(p.out, own, rest, more), self.heads or ())

    def direct(self, p: Product, slot: int, a: tuple[str, str], c: tuple[str, str], begin: str) -> None:
        """The product with the weight where it lies; `begin` says where a sequence's own weight does."""
        t = self.text
        axes = p.weight.axes
        free, over = self.free_axes(p), list(p.over)

        def entry(w: str) -> str:
            return f"(i{self.number[w]}{' + x' if w == self.split else ''}) * s{slot}_{axes.index(w)}"

        fixed = [entry(w) for w, _ in self.shared_axes(p)]
        t.add("for (int64_t j = 0; j < nb; j++) {", "int64_t column = 0;")
        t.add(f"const R *const from = base + o_{a[0]} + j * v_{a[0]} + {a[1]};")
        t.add(f"R *const to = base + o_{c[0]} + j * v_{c[0]} + {c[1]};")
        for w, _ in free:
            t.add(f"for (int64_t i{self.number[w]} = 0; i{self.number[w]} < n{self.number[w]}; i{self.number[w]}++) {{")
        where = " + ".join([*([begin] if begin else []), *fixed, *(entry(w) for w, _ in free)]) or "0"
        t.add(f"const TY({self.k.name}_s{slot}) *const row = p{slot} + {where};")
        last = over[-1][0]
        if len(over) == 1:
            by = f"s{slot}_{axes.index(last)}"
            t.add(f"if ({by} == 1) {{", f"to[column++] = DOT({self.k.name}_s{slot}, n{self.number[last]}, row, from);", "continue;", "}")
        t.add("R sum = 0;", "int64_t k = 0;")
        for w, _ in over:
            t.add(f"for (int64_t z{self.number[w]} = 0; z{self.number[w]} < n{self.number[w]}; z{self.number[w]}++) {{")
        inner = " + ".join(f"z{self.number[w]} * s{slot}_{axes.index(w)}" for w, _ in over)
        t.add(f"sum += LD1({self.k.name}_s{slot}, row + {inner}) * from[k++];")
        t.add(*("}" for _ in over), "to[column++] = sum;", *("}" for _ in free), "}")

    # ---- rows ---------------------------------------------------------------------------------------------------------

    def flat(self, v: Var, axes: list[str], name: str, order: list[str]) -> str:
        """"" where `axes` lie contiguous at the end of a value's array in this order, else the name of an array for them."""
        if len(axes) == 1 and v.axes and v.axes[-1] == axes[0]:
            return ""
        if not axes:
            return ""
        if all(n != name for n, _ in self.scratch):
            self.scratch.append((name, self.count(order)))
            self.arrays.append(Array(()))
        return name

    def dense_flat(self, name: str, axes: list[str]) -> Place:
        """An array of `axes` without padding, in their order."""
        steps: list[tuple[str, str]] = []
        for i, a in enumerate(axes):
            inner = axes[i + 1 :]
            steps.append((a, "1" if not inner else f"({self.count(inner)})"))
        return Place(name, tuple(steps))

    def within(self, place: Place, index: dict[str, str]) -> str:
        """Where a row begins in a sequence's array."""
        parts = [index[a] if by == "1" else f"{index[a]} * {by}" for a, by in place.steps if a in index]
        return " + ".join(parts) or "0"

    def gather(self, source: Place, to: Place, axes: Axes, loops: list[str]) -> None:
        """Copies the axes that no loop around runs over."""
        inner = tuple(a for a in axes if a not in loops)
        index = self.index(axes)
        self.loops(inner, f"*({to.at(index)}) = *({source.at(index)});")

    def hand_on(self, v: Var, own: Place, targets: list[Place], sums: list[Place]) -> None:
        """A product's result to everything that wants it."""
        index = self.index(v.axes)
        for place in targets:
            self.hand_over(place, index, f"*({own.at(index)})", v.axes)
        for place in sums:
            self.loops(v.axes, f"*({place.at(index)}) += *({own.at(index)});")


__all__ = ["DenseEmission", "addressable"]

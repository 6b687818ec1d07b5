"""A kernel with matrix products, or its adjoint, as one Triton function with the loop over time inside: weights stay in the program.

In:   what `sequential` takes; the step may hold products with weights.
Out:  lines of Python. Beside the arguments of the sequential function three constants: DOT, OPERAND, PRECISION; and `weights`, what
      the runtime has to know of the tiles that stay.
Keeps: the rules of emitted kernels. Sums are in REAL; operands of `tl.dot` have the type OPERAND, 16 bits where the weights' memory has,
      and are used for nothing else.

A weight is loaded once, before the first step, as a masked tile in the order (sequences, shared axes, summed axes, new axes) of the
product that reads it: an adjoint loads it turned round, so that nothing is transposed in the loop. In each step the value is brought
into the order (sequences, other axes, summed axes). Where DOT is set and the weight is one matrix for all rows, the product is a
`tl.dot` of a matrix of all rows (a program has at least 16) with it; else a sum over products, for which no size is too small and
every type will do. Axes that are shared and cut have blocks of 1: a program has one head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Product, Statement
from seqc.compiler.lower.triton.sequential import Sequential, noted


@dataclass(frozen=True, slots=True)
class Held:
    """A weight's tile: `name`, the product it is made for, whether each sequence has its own; `dot`: a matrix for all rows."""

    name: str
    product: Product
    own: bool
    dot: bool


class Dense(Sequential):
    """Writes one function, called `name`."""

    held: list[Held]
    turned: dict[tuple[int, Axes], str]

    def run(self) -> list[str]:
        """The whole function."""
        self.held, self.turned = [], {}
        return super().run()

    def constants(self) -> list[str]:
        """How products are taken, beside the others."""
        return [*super().constants(), "DOT", "OPERAND", "PRECISION"]

    # ---- order of dimensions ------------------------------------------------------------------------------------------

    def over(self, p: Product) -> list[tuple[str, str]]:
        """The axes that are summed over, in the value's order."""
        return sorted(p.over, key=lambda pair: p.arg.axes.index(pair[1]))

    def fresh(self, p: Product) -> list[tuple[str, str]]:
        """The axes that the weight brings in, in the result's order."""
        return sorted((pair for pair in p.to if pair[1] not in p.shared), key=lambda pair: p.out.axes.index(pair[1]))

    def straight(self, axes: Iterable[str]) -> bool:
        """Whether dimensions stand as tiles have them; those of which a program has one entry do not count."""
        places = [self.k.axes.index(a) for a in axes if a not in self.cuts]
        return places == sorted(places)

    def dots(self, p: Product) -> bool:
        """Whether a product may be a `tl.dot`: one matrix for all rows, and values need not be turned round."""
        own = next(o.kind for o in self.k.operands if o.var == p.weight) == "run"
        whole = [a for a in p.shared if a not in self.cuts]
        there = self.straight((*p.rest, *(v for _, v in self.over(p))))
        return not own and not whole and there and self.straight((*p.rest, *(v for _, v in self.fresh(p))))

    def volume_of(self, axes: Iterable[str]) -> str:
        """Entries of a block along axes."""
        return " * ".join(f"BLOCK_{self.k.axes.index(a)}" for a in axes) or "1"

    # ---- weights ------------------------------------------------------------------------------------------------------

    def steady(self) -> None:
        """Weights first."""
        for a in self.cuts:
            self.text.add(f"tl.static_assert(BLOCK_{self.k.axes.index(a)} == 1)")
        for s in (*self.k.prologue, *self.k.step):
            if isinstance(s, Product):
                self.weight(s)
        super().steady()

    def weight(self, p: Product) -> Held:
        """The tile of a product's weight; loaded where it is not there yet."""

        def same(q: Product) -> bool:
            if q.weight != p.weight or [w for w, _ in self.over(q)] != [w for w, _ in self.over(p)]:
                return False
            shared = [(w, v) for w, v in q.to if v in q.shared], [(w, v) for w, v in p.to if v in p.shared]
            return shared[0] == shared[1] and [w for w, _ in self.fresh(q)] == [w for w, _ in self.fresh(p)] and q.rest == p.rest

        for one in self.held:
            if same(one.product):
                return one
        own = next(o.kind for o in self.k.operands if o.var == p.weight) == "run"
        one = Held(f"u{len(self.held)}", p, own, self.dots(p))
        self.held.append(one)
        self.fetch(one)
        return one

    def fetch(self, one: Held) -> None:
        """Loads a weight."""
        p, t, name = one.product, self.text, one.name
        i = self.slot("operand", next(j for j, o in enumerate(self.k.operands) if o.var == p.weight))
        by_value = {v: w for w, v in p.to if v in p.shared}
        dims = [*((by_value[a], a) for a in p.rest if a in by_value), *((w, w) for w, _ in (*self.over(p), *self.fresh(p)))]
        count = len(dims) + one.own
        place: list[str] = []
        masks: list[str] = []

        def along(d: int) -> str:
            return f"[{', '.join(':' if d == e else 'None' for e in range(count))}]" if count > 1 else ""

        if one.own:
            t.add(f"{name}b = group * BLOCK_B + tl.arange(0, BLOCK_B){along(0)}")
            place.append(f"{name}b * s{i}_b")
            masks.append(f"({name}b < B)")
        for d, (w, a) in enumerate(dims, int(one.own)):
            j = self.k.axes.index(a)
            begin = f"piece{j} * BLOCK_{j} + " if a in self.cuts else ""
            t.add(f"{name}a{d} = {begin}tl.cast(tl.arange(0, BLOCK_{j}){along(d)}, tl.int64)")
            place.append(f"{name}a{d} * s{i}_{self.k.axes.index(w)}")
            masks.append(f"({name}a{d} < n{j})")
        tile = f"tl.load(p{i} + ({' + '.join(place)}), mask={' & '.join(masks)}, other=0.0).to(OPERAND)"
        if len(p.over) > 1 or len(self.fresh(p)) != 1:
            lead = [*(["BLOCK_B"] if one.own else []), *(f"BLOCK_{self.k.axes.index(a)}" for a in p.rest if a in by_value)]
            inner = [self.volume_of(w for w, _ in self.over(p)), self.volume_of(w for w, _ in self.fresh(p))]
            tile = f"tl.reshape({tile}, ({', '.join([*lead, *inner])}))"
        t.add(f"{name} = {tile}{noted(p.weight)}")

    # ---- products -----------------------------------------------------------------------------------------------------

    def product(self, s: Product) -> None:
        """One product."""
        t = self.text
        one = self.weight(s)
        value, first = self.rows_of(s)
        rest = [f"BLOCK_{self.k.axes.index(a)}" for a in s.rest]
        deep, wide = self.volume_of(v for _, v in self.over(s)), self.volume_of(v for _, v in self.fresh(s))
        many = " * ".join(["BLOCK_B", *rest])
        name = f"v{s.out.id}"
        # the weight keeps the dimensions that it was loaded with: Triton then leaves its entries where they are
        long = ", ".join(["BLOCK_B", *rest, deep])
        beside = ", ".join([":" if one.own else "None", *(":" if a in s.shared else "None" for a in s.rest), ":", ":"])
        every = ", ".join(":" for _ in range(2 + len(rest)))
        terms = f"tl.reshape({value}, ({long}))[{every}, None] * {one.name}.to(REAL)[{beside}]"
        summed = f"tl.sum({terms}, {1 + len(rest)})"
        if one.dot:
            t.open("if DOT:")
            matrix, weight = f"tl.reshape({value}, ({many}, {deep})).to(OPERAND)", f"tl.reshape({one.name}, ({deep}, {wide}))"
            t.add(f"y{name} = tl.dot({matrix}, {weight}, input_precision=PRECISION, out_dtype=REAL)")
            t.close()
            t.open("else:")
            t.add(f"y{name} = tl.reshape({summed}, ({many}, {wide}))")
            t.close()
            summed = f"y{name}"
        made = self.tile_of(s, summed, first)
        t.add(f"{name} = {made}{noted(s.out)}")
        self.writer.tiles[s.out.id] = self.full(s.out)

    def rows_of(self, p: Product) -> tuple[str, bool]:
        """What a product is taken of, its padding 0, dimensions in the order (sequences, others, summed); whether they had to move."""
        order = (*p.rest, *(v for _, v in self.over(p)))
        moved = not self.straight(order)
        key = (p.arg.id, order)
        if key not in self.turned:
            value = self.spread(f"v{p.arg.id}", self.writer.tiles[p.arg.id], self.full(p.arg))
            mask = " & ".join(self.masks[v] for _, v in self.over(p))
            value = f"tl.where({mask}, {value}, 0.0)"
            if moved:
                value = self.turn(value, order)
            self.turned[key] = name = f"x{p.arg.id}_{len(self.turned)}"
            self.text.add(f"{name} = {value}")
        return self.turned[key], moved

    def turn(self, text: str, first: Sequence[str]) -> str:
        """A tile with the dimensions of `first` in this order, the others behind."""
        order = [*first, *(a for a in self.k.axes if a not in first)]
        return self.writer.permuted(text, [self.shapes.dimension(a) for a in order], len(self.shapes.lead))

    def tile_of(self, p: Product, text: str, moved: bool) -> str:
        """A product's result as a tile."""
        order = (*p.rest, *(v for _, v in self.fresh(p)))
        if self.straight(order):
            return f"tl.reshape({text}, {self.shapes.of(self.full(p.out))})"
        # the dimensions apart, in their order, then in that of all tiles
        other = [a for a in self.k.axes if a not in order]
        blocks = ", ".join(["BLOCK_B", *(f"BLOCK_{self.k.axes.index(a)}" for a in order), *("1" for _ in other)])
        now = [*order, *other]
        back = [1 + now.index(a) for a in self.k.axes]
        return self.writer.permuted(f"tl.reshape({text}, ({blocks}))", back, 1)

    def statements(self, these: Iterable[Statement]) -> None:
        """Statements, in order; what was brought into order for one list of them is not there for another."""
        self.turned = {}
        super().statements(these)

"""One loop nest as C: loads where their axes are bound, statements, stores, running values of reductions.

In:   a nest, and the emission it belongs to, which knows where each value lies.
Out:  lines. The loop over lanes stands twice, once for whole vectors and once for the rest; the text inside is the same but
      for how memory is touched. Lanes beyond the rest never enter a reduction. Where time runs backwards all loops do: memory is
      then walked in one direction, which the caches' prefetchers follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqc.compiler.ir.kernel import Apply, Reduce, Rename, Var, reads_of
from seqc.compiler.lower.native.emit_code import Writer, fused, literal, start_of
from seqc.compiler.lower.native.emit_nests import Nest

if TYPE_CHECKING:
    from seqc.compiler.lower.native.emit_kernel import Emission, Place


class NestText:
    """Writes one nest."""

    def __init__(self, e: Emission, n: Nest, outside: set[int], sums: dict[int, list[Place]]) -> None:
        self.e, self.n, self.outside, self.sums = e, n, outside, sums
        self.vector = bool(n.axes)
        here = {s.out.id for s in n.statements if isinstance(s, Apply)}
        self.loads: dict[int, list[Var]] = {}
        seen: set[int] = set()
        places = {a: i for i, a in enumerate(n.order)}
        for s in () if n.alone else n.statements:
            for v in reads_of(s):
                if v.id not in here and v.id not in seen:
                    seen.add(v.id)
                    self.loads.setdefault(max((places[a] for a in v.axes), default=-1), []).append(v)
        kept = outside | set(e.targets) | set(sums)
        kept |= {s.arg.id for s in n.statements if isinstance(s, Reduce)}
        products = fused(n.statements, kept)
        self.products = {s.out.id: s for s in n.statements if isinstance(s, Apply) and s.out.id in products}
        self.writer = Writer(self.vector, lambda v: f"v{v.id}", self.products)
        self.reductions = [s for s in n.statements if isinstance(s, Reduce)]
        self.fast = {r.out.id for r in self.reductions if n.in_register(r)}
        self.level = {r.out.id: max((places[a] for a in r.out.axes), default=-1) for r in self.reductions}

    def run(self) -> None:
        """All its lines."""
        t = self.e.text
        if self.n.alone:
            self.copy()
            return
        t.add("{")
        for r in self.reductions:
            if r.out.id not in self.fast:
                self.clear(r)
        self.body(0, True)
        for r in self.reductions:
            if self.across(r) and r.out.axes:
                self.gather(r)
            if r.out.id not in self.fast or self.across(r) and r.out.axes:
                self.leave(r)
        t.add("}")

    def copy(self) -> None:
        """A value under other names of its axes."""
        e = self.e
        (s,) = self.n.statements
        assert isinstance(s, Rename)
        source, index = e.places[s.arg.id], e.index(s.arg.axes)
        address = source.at(index)
        value = f"LD1({source.storage}, {address})" if source.storage else f"*({address})"
        renamed = dict(s.pairs)
        there = {renamed.get(a, a): i for a, i in index.items()}
        own = e.places[s.out.id]
        e.loops(s.arg.axes, f"*({own.at(there)}) = {value};")
        index = e.index(s.out.axes)
        for place in e.targets.get(s.out.id, ()):
            if place.base != own.base:
                e.hand_over(place, index, f"*({own.at(index)})", s.out.axes)
        for place in self.sums.get(s.out.id, ()):
            e.loops(s.out.axes, f"*({place.at(index)}) += *({own.at(index)});")

    def across(self, r: Reduce) -> bool:
        """Whether a reduction is over the axis in lanes."""
        return self.n.lanes in r.over

    def share(self, r: Reduce) -> str:
        """Where the running value of a reduction is kept in memory, a vector for each entry of its result."""
        e = self.e
        axes = r.out.axes
        steps = [f"{e.index(axes)[a]}" + "".join(f" * m{e.number[b]}" for b in axes[i + 1 :]) for i, a in enumerate(axes)]
        return f"a{r.out.id}" + "".join(f" + {s} * W" for s in steps)

    def gather(self, r: Reduce) -> None:
        """The lanes of many running values as many numbers, whole vectors of them at a time where the reduction is a sum."""
        e, t = self.e, self.e.text
        last = r.out.axes[-1]
        i, size = f"i{e.number[last]}", e.length(last)
        index = e.index(r.out.axes)
        t.add("{")
        for a in r.out.axes[:-1]:
            j = index[a]
            t.add(f"for (int64_t {j} = 0; {j} < {e.length(a)}; {j}++) {{")
        address = e.places[r.out.id].at(index)
        t.add(f"int64_t {i} = 0;")
        if r.fn == "sum":
            t.add(f"for (; {i} + W <= {size}; {i} += W) VF(store)({address}, LANES_SUM_ROWS({self.share(r)}));")
        t.add(f"for (; {i} < {size}; {i}++) *({address}) = {self.joined(r, f'VF(load)({self.share(r)})')};")
        t.add(*("}" for _ in r.out.axes))

    def rows_of_lanes(self, r: Reduce) -> str:
        """The array of running values, a vector for each entry of the result; made when it is first needed."""
        e = self.e
        size = " * ".join([*(f"m{e.number[a]}" for a in r.out.axes), "W"])
        if all(name != f"a{r.out.id}" for name, _ in e.scratch):
            e.scratch.append((f"a{r.out.id}", size))
        return size

    def clear(self, r: Reduce) -> None:
        """Starts a reduction that is kept in memory."""
        e = self.e
        if self.across(r):
            size = self.rows_of_lanes(r)
            base = f"a{r.out.id}"
        else:
            size, base = e.volume(r.out.axes), e.places[r.out.id].base
        e.text.add(f"for (int64_t i = 0; i < {size}; i++) ({base})[i] = {literal(start_of(r))};")

    def joined(self, r: Reduce, vector: str) -> str:
        """The lanes of a vector as one number."""
        return f"LANES_{r.fn.upper()}({vector})"

    def merged(self, r: Reduce, a: str, b: str) -> str:
        """Two running values as one."""
        return f"{a} + {b}" if r.fn == "sum" else f"VF({r.fn})({a}, {b})"

    # ---- loops --------------------------------------------------------------------------------------------------------

    def body(self, depth: int, full: bool) -> None:
        """What stands inside `depth` loops."""
        e, t, n = self.e, self.e.text, self.n
        for v in self.loads.get(depth - 1, ()):
            self.load(v, full)
        mine = [r for r in self.reductions if r.out.id in self.fast and self.level[r.out.id] == depth - 1]
        for r in mine:
            t.add(f"V a{r.out.id}_ = VF(set)({literal(start_of(r))});")
        if depth == len(n.order):
            self.statements(full)
        else:
            axis = n.order[depth]
            i, size = f"i{e.number[axis]}", e.length(axis)
            if axis == n.lanes and e.down:
                t.add(f"int64_t {i} = {size} / W * W;", f"if ({i} < {size}) {{", f"const int rest = (int)({size} - {i});")
                self.body(depth + 1, False)
                t.add("}", f"for ({i} -= W; {i} >= 0; {i} -= W) {{")
                self.body(depth + 1, True)
                t.add("}")
            elif e.down:
                t.add(f"for (int64_t {i} = {size}; {i}-- > 0;) {{")
                self.body(depth + 1, full)
                t.add("}")
            elif axis == n.lanes:
                t.add(f"int64_t {i} = 0;", f"for (; {i} + W <= {size}; {i} += W) {{")
                self.body(depth + 1, True)
                t.add("}", f"if ({i} < {size}) {{", f"const int rest = (int)({size} - {i});")
                self.body(depth + 1, False)
                t.add("}")
            else:
                t.add(f"for (int64_t {i} = 0; {i} < {size}; {i}++) {{")
                self.body(depth + 1, full)
                t.add("}")
        for r in mine:
            index = e.index(r.out.axes)
            address = e.places[r.out.id].at(index)
            if self.across(r) and r.out.axes:
                self.rows_of_lanes(r)
                t.add(f"VF(store)({self.share(r)}, a{r.out.id}_);")
                continue
            if self.across(r):
                t.add(f"*({address}) = {self.joined(r, f'a{r.out.id}_')};")
            else:
                t.add(f"VF(store)({address}, a{r.out.id}_);")
            self.leave_here(r, full)

    def load(self, v: Var, full: bool) -> None:
        """A value that this nest does not compute."""
        e = self.e
        lanes = self.n.lanes
        if v.id in e.numbers:
            text = f"VF(set)(c{v.id})" if self.vector else f"c{v.id}"
        else:
            place = e.places[v.id]
            address = place.at(e.index(v.axes))
            if self.vector and lanes in v.axes:
                if not place.storage:
                    text = f"VF(load)({address})"
                else:
                    text = f"LD({place.storage}, {address})" if full else f"LDP({place.storage}, {address}, rest)"
            else:
                text = f"LD1({place.storage}, {address})" if place.storage else f"*({address})"
                text = f"VF(set)({text})" if self.vector else text
        if v.type == "bool":
            macro = self.writer.macro
            zero = self.writer.arg(0.0)
            e.text.add(f"const {'M' if self.vector else 'int'} v{v.id} = {macro}(not)({macro}(eq)({text}, {zero}));")
        else:
            e.text.add(f"const {'V' if self.vector else 'R'} v{v.id} = {text};")

    def statements(self, full: bool) -> None:
        """The statements themselves."""
        t = self.e.text
        kind = ("V", "M") if self.vector else ("R", "int")
        for s in self.n.statements:
            if isinstance(s, Reduce):
                self.accumulate(s, full)
                continue
            if s.out.id in self.products or not isinstance(s, Apply):
                continue
            t.add(f"const {kind[s.out.type == 'bool']} v{s.out.id} = {self.writer.value(s)};")
            self.store(s.out, f"v{s.out.id}", full)

    def store(self, v: Var, text: str, full: bool) -> None:
        """Puts a value where it is wanted."""
        e = self.e
        if v.type == "bool":
            text = f"{self.writer.macro}(sel)({text}, {self.writer.arg(1.0)}, {self.writer.arg(0.0)})"
        index = e.index(v.axes)
        for place in e.targets.get(v.id, ()):
            address = place.at(index)
            test = "" if place.sure else f"if ({place.base}) "
            if not self.vector:
                line = f"ST1({place.storage}, {address}, {text});" if place.storage else f"*({address}) = {text};"
            elif not place.storage:
                line = f"VF(store)({address}, {text});"
            else:
                line = f"ST({place.storage}, {address}, {text});" if full else f"STP({place.storage}, {address}, rest, {text});"
            e.text.add(test + line)
        for place in self.sums.get(v.id, ()):
            address = place.at(index)
            e.text.add(f"VF(store)({address}, VF(load)({address}) + {text});" if self.vector else f"*({address}) += {text};")

    def accumulate(self, r: Reduce, full: bool) -> None:
        """One more share of a reduction."""
        e = self.e
        value = f"v{r.arg.id}"
        across = self.across(r)
        if across and not full:
            value = f"VF(sel)(FIRST(rest), {value}, VF(set)({literal(start_of(r))}))"
        if r.out.id in self.fast:
            e.text.add(f"a{r.out.id}_ = {self.merged(r, f'a{r.out.id}_', value)};")
            return
        address = self.share(r) if across else e.places[r.out.id].at(e.index(r.out.axes))
        held = f"VF(load)({address})"
        e.text.add(f"VF(store)({address}, {self.merged(r, held, value)});")

    # ---- results of reductions ----------------------------------------------------------------------------------------

    def leave_here(self, r: Reduce, full: bool) -> None:
        """A finished reduction that is wanted outside of the scratch."""
        e = self.e
        index = e.index(r.out.axes)
        own = e.places[r.out.id]
        vector = not self.across(r)
        for place in e.targets.get(r.out.id, ()):
            if place.base == own.base:
                continue
            test = "" if place.sure else f"if ({place.base}) "
            address = place.at(index)
            if not vector:
                held = f"*({own.at(index)})"
                line = f"ST1({place.storage}, {address}, {held});" if place.storage else f"*({address}) = {held};"
            elif not place.storage:
                line = f"VF(store)({address}, a{r.out.id}_);"
            else:
                held = f"a{r.out.id}_"
                line = f"ST({place.storage}, {address}, {held});" if full else f"STP({place.storage}, {address}, rest, {held});"
            e.text.add(test + line)
        for place in self.sums.get(r.out.id, ()):
            address = place.at(index)
            if vector:
                e.text.add(f"VF(store)({address}, VF(load)({address}) + a{r.out.id}_);")
            else:
                e.text.add(f"*({address}) += *({own.at(index)});")

    def leave(self, r: Reduce) -> None:
        """The same after the nest, for one that was kept in memory."""
        e = self.e
        index = e.index(r.out.axes)
        own = e.places[r.out.id]
        for place in e.targets.get(r.out.id, ()):
            if place.base == own.base:
                continue
            e.hand_over(place, index, f"*({own.at(index)})", r.out.axes)
        for place in self.sums.get(r.out.id, ()):
            e.loops(r.out.axes, f"*({place.at(index)}) += *({own.at(index)});")

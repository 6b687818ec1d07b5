"""Which equations of a body become one kernel.

In:   a checked body, the order of its loops (`lower.reference.schedule`), the names that are wanted outside.
Out:  regions, each with its kernel in two forms (`plain`; `masked`, with resets and padding), and what lies before and after
      it.
Keeps: the meaning of each equation; a value is computed once, inside or outside.
Refuses: nothing: a loop that no kernel computes stays where it is, `Choice.left` says why.

A region begins with loops over time whose equations can be traced (`trace`). It takes in elementwise producers (gates from
their raw pre-activations), elementwise or contracting consumers (the read-out), and parts of other equations above it (`w / u`
in `linear(w / u)`), as long as nothing lies between region and region: no value that a region reads may need what it computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Axes, Expr
from seqc.compiler.ir.kernel import Arg, Carry, Kernel, Operand, Var, needed, reads_of, weights_of
from seqc.compiler.lower.kernels.operators import placed, scans_of
from seqc.compiler.lower.kernels.trace import Source, Tracer, Unfit, Value
from seqc.compiler.lower.kernels.verify import verify
from seqc.compiler.lower.reference.schedule import Item, parts_of

PART = "native"
"""How names of parts of equations begin; no identifier of a spec has a dot and a number in it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the kernel: the name it is (parts of equations got one), its part, its axes in the kernel's order, its type."""

    name: str
    part: str
    axes: Axes
    type: x.Type


@dataclass(frozen=True, slots=True)
class Past:
    """A carry of the kernel: the value of `name` `lag` steps ago."""

    name: str
    lag: int
    part: str
    axes: Axes


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a kernel and where its operands come from."""

    kernel: Kernel
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """One kernel in its place.

    names     computed inside, in textual order
    replaced  equations outside of which parts are computed inside
    reads     names that its operands are made of
    """

    names: tuple[str, ...]
    plain: Form
    masked: Form
    rows: tuple[Row, ...]
    carries: tuple[Past, ...]
    replaced: Mapping[str, spec.Value]
    reads: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs in order: items as they were, and regions. `left`: loops that stay, with the reason."""

    order: tuple[Item | Region, ...]
    left: tuple[tuple[tuple[str, ...], str], ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions."""
        return tuple(i for i in self.order if isinstance(i, Region))


class Chooser:
    """Finds the regions of one program of a body. `wanted`: names that something outside needs as sequences."""

    def __init__(self, body: spec.Body, chain: str, items: Sequence[Item], wanted: Iterable[str], first: int = 1) -> None:
        self.body, self.chain, self.items = body, chain, list(items)
        self.table = body.table
        self.wanted = set(wanted)
        self.number = first
        self.parts = 0
        self.reads: dict[str, frozenset[str]] = {}
        for i in items:
            for n in i.names():
                self.reads[n] = frozenset(r.name for e in parts_of(body, self.table[n]) for r in x.reads(e))
        self.whole = False
        self.loops = frozenset(n for i in items if i.kind == "time" for n in i.names())
        self.single = {i.name for i in items if i.kind == "statement" and self.plain_equation(i.name)}

    def plain_equation(self, n: str) -> bool:
        """Whether a statement is an ordinary equation, which could be in a kernel."""
        v = self.table[n]
        return v.kind not in ("input", "param", "const", "loss") and v.value is not None and v.axes is not None and not v.level

    # ---- the whole ----------------------------------------------------------------------------------------------------

    def run(self) -> Choice:
        """The choice."""
        left: list[tuple[tuple[str, ...], str]] = []
        fit: list[frozenset[str]] = []
        for i in self.items:
            if i.kind != "time":
                continue
            names = frozenset(i.names())
            why = self.unfit(names)
            if why:
                left.append((tuple(i.names()), why))
            else:
                fit.append(names)
        groups: list[frozenset[str]] = []
        for names in fit:
            both = groups[-1] | names if groups else names
            if groups and not self.unfit(both) and not self.between(self.grown(both, groups[:-1])):
                groups[-1] = both
            else:
                groups.append(names)
        sets: list[frozenset[str]] = []
        for g in groups:
            sets.append(self.grown(g, [*sets, *(h for h in groups if h is not g)]))
        regions = [self.built(inside, frozenset(n for other in sets if other is not inside for n in other)) for inside in sets]
        return Choice(tuple(self.ordered(regions)), tuple(left))

    def unfit(self, names: frozenset[str]) -> str:
        """Why a loop is no kernel; "" where it is one."""
        if any(i.kind not in ("statement", "time") for it in self.items if set(it.names()) & names for i in it.inner):
            return "it has levels inside"
        if any(self.table[n].level for n in names):
            return "a level is part of it"
        steps = {i.name for i in self.body.indices if i.of == self.chain}
        if any(steps & set(self.table[n].axes or ()) for n in names):
            return "it has an entry for each step so far"
        try:
            t = self.tracer(names)
            for n in sorted(names):
                t.name(n)
        except Unfit as why:
            return str(why)
        return ""

    def tracer(self, inside: frozenset[str], masked: bool = False) -> Tracer:
        """A tracer for these names."""
        t = Tracer(self.body, self.chain, self.axes(inside), inside, masked)
        t.room = [frozenset(a for a in self.table[n].axes or () if a != self.chain) for n in inside]
        t.dense = self.loops
        t.whole = self.whole
        return t

    # ---- axes ---------------------------------------------------------------------------------------------------------

    def axes(self, inside: frozenset[str]) -> Axes:
        """All axes in order. In lanes lies one that nothing inside reduces, if there is one: the last of most values."""
        order: dict[str, None] = {}
        reduced: set[str] = set()
        values = sorted((self.table[n] for n in self.table if n in inside), key=lambda v: -len(v.axes or ()))
        for v in values:
            order.update(dict.fromkeys(a for a in v.axes or () if a != self.chain))
        for v in values:
            for e in x.walk(v.value) if v.value is not None else ():
                order.update(dict.fromkeys(a for a in e.axes if a != self.chain))
                if isinstance(e, x.Contract | x.Reduce) and any(r.name in inside for r in x.reads(e)):
                    reduced |= set(e.over)
        largest = max((len(v.axes or ()) for v in values), default=0)
        mine = [tuple(a for a in v.axes or () if a != self.chain) for v in values if len(v.axes or ()) == largest]
        free = [[a for a in axes if a not in reduced] or list(axes) for axes in mine]
        last = [axes[-1] for axes in free if axes]
        if not last:
            return tuple(order)
        lanes = max(dict.fromkeys(last), key=last.count)
        return (*(a for a in order if a != lanes), lanes)

    # ---- growth -------------------------------------------------------------------------------------------------------

    def grown(self, loops: frozenset[str], others: Sequence[frozenset[str]]) -> frozenset[str]:
        """The loops with the producers and consumers that can be taken in."""
        inside = loops
        barred = frozenset(n for o in others for n in o)
        names = [v.name for v in self.body.values if v.name in self.single and v.name not in barred]
        # consumers first: what a producer brings in must not keep them out
        ways = (self.consumer, self.producer)
        while True:
            before = inside
            for takes in ways:
                more = True
                while more:
                    more = False
                    for n in names:
                        if n not in inside and takes(n, inside):
                            inside, more = inside | {n}, True
            if inside == before:
                return inside

    def needed_before(self, inside: frozenset[str]) -> frozenset[str]:
        """Outside names that the region needs, directly or not."""
        seen: set[str] = set()
        stack = [r for n in inside for r in self.reads.get(n, ()) if r not in inside]
        while stack:
            n = stack.pop()
            if n in seen or n in inside:
                continue
            seen.add(n)
            stack.extend(self.reads.get(n, ()))
        return frozenset(seen)

    def tainted(self, inside: frozenset[str]) -> frozenset[str]:
        """Outside names that need what the region computes."""
        bad: set[str] = set()
        changed = True
        while changed:
            changed = False
            for n, reads in self.reads.items():
                if n not in inside and n not in bad and (reads & inside or reads & bad):
                    bad.add(n)
                    changed = True
        return frozenset(bad)

    def between(self, inside: frozenset[str]) -> frozenset[str]:
        """Names that need the region and that it needs: it cannot run in one piece."""
        seen: set[str] = set()
        stack = [r for n in inside for r in self.reads.get(n, ()) if r not in inside]
        while stack:
            n = stack.pop()
            if n not in seen:
                seen.add(n)
                stack.extend(r for r in self.reads.get(n, ()) if r not in inside)
        return frozenset(seen) & self.tainted(inside)

    def producer(self, n: str, inside: frozenset[str]) -> bool:
        """Whether an elementwise value that the region reads is computed in it."""
        if not any(n in self.reads.get(m, ()) for m in inside):
            return False
        value = self.table[n].value
        assert value is not None
        more = inside | {n}
        t = self.tracer(more)
        if not t.depends(value) and not t.worth(value):
            return False
        # what the region needs may need it too: then it is there already
        readers = {m for m, reads in self.reads.items() if n in reads and m not in more}
        if readers & self.needed_before(more):
            return False
        return self.between(more) <= self.between(inside) and all(self.traces(t, m) for m in more)

    def consumer(self, n: str, inside: frozenset[str]) -> bool:
        """Whether a value made of the region's is computed in it."""
        if not self.reads.get(n, frozenset()) & inside:
            return False
        more = inside | {n}
        return self.between(more) <= self.between(inside) and self.traces(self.tracer(more), n)

    def traces(self, t: Tracer, n: str) -> bool:
        """Whether the tracer can compute a name."""
        try:
            t.name(n)
        except Unfit:
            return False
        return True

    # ---- the kernel ---------------------------------------------------------------------------------------------------

    def built(self, inside: frozenset[str], others: frozenset[str]) -> Region:
        """The region of these names; `others` are computed in other regions."""
        names = tuple(v.name for v in self.body.values if v.name in inside)
        late = self.tainted(inside)
        replaced: dict[str, spec.Value] = {}
        parts: list[tuple[str, Expr]] = []
        rows: set[str] = {n for n in names if n in self.wanted}
        probe = self.tracer(inside)
        for n in names:
            probe.name(n)
        for n, reads in self.reads.items():
            if n in inside or not reads & inside:
                continue
            v = self.table[n]
            if n in self.single and n not in others:
                assert v.value is not None
                made = self.harvested(probe, v.value, late, parts, rows)
                if made is not v.value:
                    replaced[n] = replace(v, value=made)
            else:
                rows |= reads & inside
        forms: list[Form] = []
        kept_rows: tuple[Row, ...] = ()
        pasts: tuple[Past, ...] = ()
        for masked in (False, True):
            form, kept_rows, pasts = self.form(inside, names, parts, rows, masked)
            forms.append(form)
        self.number += 1
        reads = frozenset(r.name for f in forms for o in f.sources if o.expr is not None for r in x.reads(o.expr))
        return Region(names, forms[0], forms[1], kept_rows, pasts, replaced, reads)

    def harvested(self, t: Tracer, e: Expr, late: frozenset[str], parts: list[tuple[str, Expr]], rows: set[str]) -> Expr:
        """An equation outside with the parts that the region computes replaced by reads of their names."""
        if not t.depends(e):
            return e
        if isinstance(e, x.Read) and e.name in t.inside:
            rows.add(e.name)
            return e
        if isinstance(e, x.Apply | x.Contract | x.Reduce) and e.type in ("real", "complex") and not self.reads_late(e, late):
            try:
                t.trace(e)
            except Unfit:
                pass
            else:
                self.parts += 1
                name = f"{PART}.{self.number}.{self.parts}"
                parts.append((name, e))
                return x.Read(name, axes=e.axes, type=e.type, span=e.span)
        return x.rebuild(e, lambda c: self.harvested(t, c, late, parts, rows))

    def reads_late(self, e: Expr, late: frozenset[str]) -> bool:
        """Whether an expression reads a value that needs the region."""
        return any(r.name in late for r in x.reads(e))

    def form(
        self, inside: frozenset[str], names: Sequence[str], parts: Sequence[tuple[str, Expr]], wanted: set[str], masked: bool
    ) -> tuple[Form, tuple[Row, ...], tuple[Past, ...]]:
        """The kernel."""
        t = self.tracer(inside, masked)
        values: list[tuple[str, Value, x.Type]] = []
        for n in names:
            made = t.name(n)
            if n in wanted:
                values.append((n, made, self.table[n].type))
        for n, e in parts:
            values.append((n, t.trace(e), e.type))
        rows: list[tuple[Row, Var]] = []
        for n, made, kind in values:
            words = ("re", "im") if made.complex else ("",)
            for word, p in zip(words, made.parts, strict=True):
                v = t.b.wide(t.number(p), t.b.union((p,)))
                rows.append((Row(n, word, v.axes, kind), v))
        carries: list[tuple[Past, Carry]] = []
        valid = t.mask("valid") if masked else None
        for n in names:
            held = t.carried.get(n)
            if held is None:
                continue
            now = t.names[n]
            for lag in range(1, len(held.raw) + 1):
                words = ("re", "im") if held.raw[lag - 1].complex else ("",)
                after = now if lag == 1 else held.previous[lag - 2]
                for j, word in enumerate(words):
                    raw = held.raw[lag - 1].parts[j]
                    assert isinstance(raw, Var)
                    new: Arg = after.parts[j] if j < len(after.parts) else 0.0
                    if valid is not None:
                        new = t.b.apply("where", valid, new, held.previous[lag - 1].parts[j])
                    init = t.operand("run", held.axes, Source("state", name=n, lag=lag, part=word), f"start of {n}")
                    carries.append((Past(n, lag, word, raw.axes), Carry(raw, init, t.b.wide(new, raw.axes))))
        scans = scans_of(t, [p.name if p.lag == 1 else "" for p, _ in carries])
        kernel, sources = _pruned(f"k{self.number}{'m' if masked else ''}", t, [c for _, c in carries], [v for _, v in rows])
        kernel = placed(kernel, t, scans)
        kernel = replace(kernel, store=stores(self.body))
        return Form(verify(kernel), sources), tuple(r for r, _ in rows), tuple(p for p, _ in carries)

    # ---- the order ----------------------------------------------------------------------------------------------------

    def ordered(self, regions: Sequence[Region]) -> list[Item | Region]:
        """Items and regions so that everything stands after what it needs, otherwise in the order that was."""
        home: dict[str, int] = {}
        nodes: list[Item | Region] = []
        where: dict[int, int] = {}
        for item in self.items:
            mine = next((k for k, r in enumerate(regions) if set(item.names()) & set(r.names)), -1)
            if mine >= 0:
                if mine in where:
                    continue
                where[mine] = len(nodes)
                nodes.append(regions[mine])
                home.update(dict.fromkeys(regions[mine].names, len(nodes) - 1))
            else:
                nodes.append(item)
                home.update(dict.fromkeys(item.names(), len(nodes) - 1))
        before: list[set[int]] = []
        for i, node in enumerate(nodes):
            mine_names = node.names if isinstance(node, Region) else tuple(node.names())
            wanted = {r for n in mine_names for r in self.reads.get(n, ())}
            wanted |= node.reads if isinstance(node, Region) else frozenset()
            before.append({home[r] for r in wanted if r in home and home[r] != i})
            for region in regions:
                for n in mine_names:
                    if n in region.replaced:
                        before[-1].add(next(j for j, other in enumerate(nodes) if other is region))
        out: list[Item | Region] = []
        done: set[int] = set()
        while len(done) < len(nodes):
            i = next(i for i in range(len(nodes)) if i not in done and before[i] <= done)
            done.add(i)
            out.append(nodes[i])
        return out


def stores(body: spec.Body) -> bool:
    """Whether a body's schedule says `backward = store` first."""
    words = [word for s in body.settings if s.name == "backward" for word, _ in s.choices]
    return words[:1] == ["store"]


def _pruned(name: str, t: Tracer, carries: list[Carry], rows: list[Var]) -> tuple[Kernel, tuple[Source, ...]]:
    """The kernel without what nothing needs, its axes those that are left."""
    goals = {v.id for v in rows} | {c.next.id for c in carries}
    step = needed(tuple(t.b.step), goals)
    prologue = needed(tuple(t.b.prologue), goals)
    goals |= {c.init.id for c in carries if isinstance(c.init, Var)}
    goals |= {v.id for s in (*step, *prologue) for v in reads_of(s)} | weights_of(step)
    pairs = [(o, s) for o, s in zip(t.operands, t.sources, strict=True) if o.var.id in goals]
    if not any(o.kind == "step" for o, _ in pairs):
        # how many steps there are is seen in an operand that has steps
        t.operand("step", (), Source("valid"), "valid")
        pairs.append((t.operands[-1], t.sources[-1]))
    have = {a for o, _ in pairs for a in o.var.axes} | {a for s in (*step, *prologue) for a in s.out.axes}
    have |= {a for c in carries for a in c.previous.axes}
    axes = tuple(a for a in t.b.axes if a in have)
    operands: tuple[Operand, ...] = tuple(o for o, _ in pairs)
    return Kernel(name, axes, operands, prologue, tuple(carries), step, tuple(rows)), tuple(s for _, s in pairs)

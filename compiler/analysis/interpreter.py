"""Abstract interpretation: the lattice element of every value, for one set of lagged names.

In:  a step graph and the names whose lagged reads count as state (a component's).
Out: `Interpreter.element(name)`: how this step's value depends on those lagged reads.
Each node is visited once for each round; levels inside a step (stacks, rounds) are iterated to a fixed point, which exists
because the lattice is finite (reliability.md, S8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from seqc.compiler.analysis import contractions as c
from seqc.compiler.analysis import elementwise
from seqc.compiler.analysis.access import access
from seqc.compiler.analysis.algebra import Algebra
from seqc.compiler.analysis.components import depending
from seqc.compiler.analysis.lattice import Element, gather_terms, plain
from seqc.compiler.ir.expr import (
    Along,
    Apply,
    Axes,
    Concat,
    Contract,
    Conv,
    DimSize,
    Draw,
    Dropout,
    Expand,
    Expr,
    GatherAt,
    Grad,
    Invoke,
    Length,
    Literal_,
    Merge,
    Norm,
    Number,
    OneHot,
    Read,
    Reduce,
    Rename,
    Scan,
    Solve,
    Split,
    children,
)
from seqc.compiler.ir.graph import StepGraph

ROUNDS = 12
"""Most rounds over the levels of one step before what still moves is widened."""


class Interpreter(Algebra):
    """Elements of one graph for one set of state names.

    `base` is an interpreter of the same graph without states, whose elements are taken for values no state is in: so that
    all components together cost what the graph costs.
    """

    def __init__(self, graph: StepGraph, states: Iterable[str], base: Interpreter | None = None) -> None:
        super().__init__(graph, states)
        self.level_env: dict[str, Element] = {}
        self.has_levels = any(e.level for e in graph.entries.values())
        self.base = base if not self.has_levels else None
        self.touched = depending(graph, self.states) if self.base is not None else set(graph.entries)

    def element(self, name: str) -> Element:
        """The element of this step's value of `name`."""
        return self.elements([name])[name]

    def elements(self, names: Iterable[str]) -> dict[str, Element]:
        """The elements of several names."""
        names = list(names)
        roots = {n: self.graph.entries[n].node for n in names}
        nodes = [r for r in roots.values() if r is not None]
        for round_ in range(ROUNDS if self.has_levels else 1):
            if self.has_levels:
                self.memo.clear()
            before = dict(self.level_env)
            for r in nodes:
                self._evaluate(r)
            for n in list(before):
                self._level_round(n, widen=round_ >= ROUNDS - 2)
            if before == self.level_env:
                break
        return {n: self.memo[id(r)] if r is not None else self._named(n, ()) for n, r in roots.items()}

    def _level_round(self, name: str, *, widen: bool) -> None:
        """What `name[l-1]` is after one more level: its start, or the equation at the level before."""
        entry = self.graph.entries[name]
        parts: list[Element] = [self.level_env[name]]
        for root in (entry.start, entry.node):
            if root is not None:
                self._evaluate(root)
                parts.append(self.fit(self.memo[id(root)], root.axes, entry.axes))
        new = self.join(parts, entry.axes)
        if widen and new != self.level_env[name] and new.terms:
            new = replace(new, terms=tuple(self.mix_term(t, t.live_axes, entry.axes) for t in new.terms))
        self.level_env[name] = new

    def _evaluate(self, root: Expr) -> None:
        stack: list[tuple[Expr, bool]] = [(root, False)]
        open_: set[int] = set()
        while stack:
            e, ready = stack.pop()
            if id(e) in self.memo:
                continue
            if ready:
                self.memo[id(e)] = self._node(e)
            elif id(e) not in open_:
                open_.add(id(e))
                stack.append((e, True))
                stack.extend((c, False) for c in self._below(e))

    def _below(self, e: Expr) -> list[Expr]:
        below = list(children(e))
        if isinstance(e, Read):
            a = access(self.graph, e)
            node = self.graph.entries[e.name].node
            if a.same and node is not None and e.name in self.touched:
                below.append(node)
        return below

    def _named(self, name: str, axes: Axes) -> Element:
        entry = self.graph.entries[name]
        constant = entry.kind in ("param", "const") or entry.once or entry.home == "call"
        return Element(rest=plain(axes or entry.axes, varying=not constant, is_complex=entry.type == "complex"))

    def _read(self, e: Read) -> Element:
        entry = self.graph.entries[e.name]
        a = access(self.graph, e)
        if a.call:
            return Element(rest=plain(e.axes, varying=False, is_complex=e.type == "complex"))
        parts: list[Element] = []
        if a.past:
            parts.append(self.lagged(e, a.key))
        if a.level:
            before = self.level_env.setdefault(e.name, self._first_level(e.name))
            parts.append(self._moved(e, self._across_levels(before, e)))
        if a.same:
            if entry.node is None:
                inner = self._named(e.name, entry.axes)
            elif e.name in self.touched or self.base is None:
                inner = self.get(entry.node)
            else:
                inner = self.base.element(e.name)
            if entry.node is not None and (e.field_ or isinstance(entry.node, (Scan, Invoke))):
                inner = self._result(inner, e)
            elif entry.node is not None:
                inner = self.fit(inner, entry.node.axes, entry.axes)
            if entry.level and any(m.kind == "family" for m in e.moves) and inner.terms:
                inner = self._across_levels(inner, e)
            parts.append(self._moved(e, inner))
        return parts[0] if len(parts) == 1 else self.join(parts, e.axes)

    def _first_level(self, name: str) -> Element:
        entry = self.graph.entries[name]
        if entry.start is None:
            return Element()
        self._evaluate(entry.start)
        return self.fit(self.memo[id(entry.start)], entry.start.axes, entry.axes)

    def _across_levels(self, x: Element, e: Read) -> Element:
        """A value of another level: a state that lives in the levels does not stay in its own place."""
        terms = [
            replace(t, unit=False, live=(), contracted=t.contracted | {s for b in t.live for s in b[0]}, factors=frozenset(
                [*t.factors, frozenset([*t.live_axes, *("*" + s for b in t.live for s in b[0])])]))
            if self.graph.entries[t.source.name].level else t
            for t in x.terms
        ]  # fmt: skip
        return replace(x, terms=gather_terms(terms))

    def _moved(self, e: Read, x: Element) -> Element:
        """The element of a same-step value read at another place of its axes."""
        entry = self.graph.entries[e.name]
        axes: Axes = entry.axes
        for m in e.moves:
            if m.kind in ("lag", "level", "family", "call") or m.axis == self.graph.chain and m.kind in ("window", "rename"):
                axes = axes + tuple(a for a in m.index.axes if a not in axes)
                continue
            if m.axis not in axes:
                continue
            if isinstance(m.index, Number) and (m.kind == "rename" or m.index.axes == (m.index.of,)):
                after = tuple(m.index.of if a == m.axis else a for a in axes)
                x = self.renamed(x, {m.axis: m.index.of})
            else:
                after = tuple(a for a in axes if a != m.axis) + tuple(a for a in m.index.axes if a not in axes)
                index = self.get(m.index)
                if not index.free:
                    x = self.unknown(e, [x, index], after, "is read at a computed place", jump=True)
                else:
                    x = self.matrix(x, (m.axis,), m.index.axes, after, varying=index.rest.varying)
            axes = after
        return replace(x, rest=self.rest_fit(x.rest, e.axes))

    def _result(self, inner: Element, e: Read) -> Element:
        """A field of a scan, a call or `eigh`: what the whole depends on, mixed into all of the field's axes."""
        terms = []
        for t in inner.terms:
            states = t.contracted | {s for b in t.live for s in b[0]}
            coupled = frozenset([frozenset(e.axes) | {"*" + s for s in states}])
            terms.append(replace(t, live=(), contracted=states, factors=coupled, unit=False, varying=True))
        return replace(inner, terms=gather_terms(terms), rest=plain(e.axes, varying=inner.rest.varying or bool(terms)))

    def _node(self, e: Expr) -> Element:
        if isinstance(e, Read):
            return self._read(e)
        rule = RULES.get(type(e))
        if rule is not None:
            return rule(self, e)
        parts = [self.get(c) for c in children(e)]
        if all(p.free for p in parts):
            return Element(rest=plain(e.axes, varying=any(p.rest.varying for p in parts), is_complex=e.type == "complex"))
        return self.unknown(e, parts, e.axes, f"enters {type(e).__name__.lower()}")


RULES: Mapping[type[Expr], Callable[[Algebra, Expr], Element]] = {
    Literal_: c.constant_,
    DimSize: c.constant_,
    Length: c.constant_,
    Number: c.number_,
    Apply: elementwise.apply_,
    OneHot: elementwise.onehot_,
    Expand: c.expand_,
    Rename: c.rename_,
    Contract: c.contract_,
    Reduce: c.reduce_,
    Along: c.along_,
    Norm: c.norm_,
    Conv: c.conv_,
    Dropout: c.dropout_,
    GatherAt: c.gather_at_,
    Split: c.split_,
    Merge: c.merge_,
    Concat: c.concat_,
    Solve: c.solve_,
    Draw: c.draw_,
    Scan: c.scan_,
    Grad: c.grad_,
    Invoke: c.invoke_,
}

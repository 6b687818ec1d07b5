"""Abstract interpretation: the lattice element of every value, for one set of lagged names.

In:  a step graph and the names whose lagged reads count as state (a component's; all lagged names to begin with).
Out: `Interpreter.element(name)`: how this step's value depends on those lagged reads.
Each node is visited once for each round; levels inside a step (stacks, rounds) are iterated to a fixed point, which exists
because the lattice is finite (reliability.md, S8). What is not known is taken as nonlinear and dense, never as linear.

One function for each node class; the rules are those of design.md, "Recurrence analysis".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from seqc.compiler.analysis.access import access
from seqc.compiler.analysis.lattice import (
    SEMIRINGS,
    Element,
    Form,
    Rest,
    Source,
    Term,
    added,
    gather_terms,
    joined,
    mixed,
    normal,
    plain,
    renamed,
    scaled,
    several,
    split,
    summed,
    times,
)
from seqc.compiler.graph.printer import show
from seqc.compiler.graph.simplify import COMPARE, Simplifier
from seqc.compiler.graph.table import Table, number_of, rewrite
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
    Move,
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
from seqc.compiler.ir.verdict import Reason

JUMPS = frozenset("sign floor ceil bitlen xor roundup and or not".split()) | set(COMPARE)
"""Functions that are not continuous in the state."""

SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "outer": "outer", "div": "/", "pow": "^", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
    "gt": ">", "ge": ">=", "neg": "-",
}  # fmt: skip

ROUNDS = 12
"""Most rounds over the levels of one step before what still moves is widened."""


def text_of(name: str) -> str:
    """A name as the user wrote it: those the checker made (`q.conv.arg.past`) by the value they belong to."""
    return name.split(".conv.", 1)[0].split(".linear.", 1)[0]


class Interpreter:
    """Elements of one graph for one set of state names."""

    def __init__(self, graph: StepGraph, states: Iterable[str]) -> None:
        self.graph = graph
        self.states = frozenset(states)
        self.memo: dict[int, Element] = {}
        self.level_env: dict[str, Element] = {}
        self.has_levels = any(e.level for e in graph.entries.values())

    # ---- driving ------------------------------------------------------------------------------------------------------

    def element(self, name: str) -> Element:
        """The element of this step's value of `name`."""
        node = self.graph.entries[name].node
        if node is None:
            return self._named(name, ())
        if not self.has_levels:
            self._evaluate(node)
            return self.memo[id(node)]
        for round_ in range(ROUNDS):
            self.memo.clear()
            before = dict(self.level_env)
            self._evaluate(node)
            for n in list(before):
                self._level_round(n, widen=round_ >= ROUNDS - 2)
            if before == self.level_env:
                break
        return self.memo[id(node)]

    def _level_round(self, name: str, *, widen: bool) -> None:
        """What `name[l-1]` is after one more level: its start, or the equation at the level before."""
        entry = self.graph.entries[name]
        parts: list[Element] = [self.level_env[name]]
        for root in (entry.start, entry.node):
            if root is not None:
                self._evaluate(root)
                parts.append(self._fit(self.memo[id(root)], root.axes, entry.axes))
        new = self._join(parts, entry.axes)
        if widen and new != self.level_env[name] and new.terms:
            new = replace(new, terms=tuple(self._mix(t, t.live_axes, entry.axes) for t in new.terms))
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
            if a.same and node is not None:
                below.append(node)
        return below

    def get(self, e: Expr) -> Element:
        """The element of a node that is evaluated already; a same-step loop (a cyclic graph's) counts as unknown."""
        found = self.memo.get(id(e))
        return found if found is not None else Element("free", rest=plain(e.axes, varying=True))

    # ---- leaves -------------------------------------------------------------------------------------------------------

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
            parts.append(self._lagged(e, a.key))
        if a.level:
            before = self.level_env.setdefault(e.name, self._first_level(e.name))
            parts.append(self._moved(e, self._across_levels(before, e)))
        if a.same:
            inner = self._named(e.name, entry.axes) if entry.node is None else self.get(entry.node)
            if entry.node is not None and isinstance(entry.node, (Scan, Invoke)):
                inner = self._result(entry.node, inner, e)
            elif entry.node is not None:
                inner = self._fit(inner, entry.node.axes, entry.axes)
            if entry.level and any(m.kind == "family" for m in e.moves) and inner.terms:
                inner = self._across_levels(inner, e)
            parts.append(self._moved(e, inner))
        return parts[0] if len(parts) == 1 else self._join(parts, e.axes)

    def _first_level(self, name: str) -> Element:
        entry = self.graph.entries[name]
        if entry.start is None:
            return Element()
        self._evaluate(entry.start)
        return self._fit(self.memo[id(entry.start)], entry.start.axes, entry.axes)

    def _across_levels(self, x: Element, e: Read) -> Element:
        """A value of another level: a state that lives in the levels does not stay in its own place."""
        terms = [
            replace(t, unit=False, live=(), contracted=t.contracted | {s for b in t.live for s in b[0]}, factors=frozenset(
                [*t.factors, frozenset([*t.live_axes, *("*" + s for b in t.live for s in b[0])])]))
            if self.graph.entries[t.source.name].level else t
            for t in x.terms
        ]  # fmt: skip
        return replace(x, terms=gather_terms(terms))

    def _lagged(self, e: Read, key: str) -> Element:
        entry = self.graph.entries[e.name]
        if e.name not in self.states:
            constant = entry.kind in ("param", "const") or entry.once
            return Element(rest=plain(e.axes, varying=not constant, is_complex=e.type == "complex"))
        source = Source(e.name, key, _written(e))
        live = tuple(((a,), (a,)) for a in entry.axes)
        term = Term(source, live)
        for m in e.moves:
            term = self._move_term(term, m)
        return Element("affine", (term,), Rest())

    def _move_term(self, t: Term, m: Move) -> Term:
        brought = frozenset(m.index.axes)
        match m.kind:
            case "rename" if isinstance(m.index, Number) and m.axis in t.live_axes:
                return renamed(t, {m.axis: m.index.of})
            case "window" | "rename" | "pred" | "succ":
                named = brought or ({m.index.of} if isinstance(m.index, Number) and m.kind in ("pred", "succ") else brought)
                return replace(t, lags=t.lags | frozenset(named))
            case "gather" if m.axis in t.live_axes:
                if isinstance(m.index, Number) and m.index.axes:
                    return renamed(t, {m.axis: m.index.of})
                return mixed(t, (m.axis,), m.index.axes, varying=self.get(m.index).rest.varying)
        return t

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
                x = self._renamed(x, {m.axis: m.index.of})
            else:
                after = tuple(a for a in axes if a != m.axis) + tuple(a for a in m.index.axes if a not in axes)
                index = self.get(m.index)
                if not index.free:
                    x = self._unknown(e, [x, index], after, "is read at a computed place", jump=True)
                else:
                    x = self._matrix(x, (m.axis,), m.index.axes, after, varying=index.rest.varying)
            axes = after
        return replace(x, rest=self._rest_fit(x.rest, e.axes))

    # ---- helpers ------------------------------------------------------------------------------------------------------

    def _rest_fit(self, rest: Rest, axes: Axes) -> Rest:
        return added([rest], axes) if rest.addends else rest

    def _fit(self, x: Element, have: Axes, want: Axes) -> Element:
        return x if set(have) == set(want) else replace(x, rest=self._rest_fit(x.rest, want))

    def _renamed(self, x: Element, names: dict[str, str]) -> Element:
        addends = frozenset(frozenset(frozenset(names.get(a, a) for a in f) for f in p) for p in x.rest.addends)
        return replace(x, terms=tuple(renamed(t, names) for t in x.terms), rest=replace(x.rest, addends=addends))

    def _mix(self, t: Term, before: Iterable[str], after: Iterable[str], *, varying: bool = False) -> Term:
        return mixed(t, before, after, varying=varying)

    def _matrix(
        self, x: Element, before: Axes, after: Axes, result: Axes, *, varying: bool, imaginary: bool = False, why: Reason | None = None
    ) -> Element:
        """A state-free linear map from the axes `before` to `after`; a semiring's sum does not pass through it."""
        terms = gather_terms(mixed(t, before, after, varying=varying, is_complex=imaginary) for t in x.terms)
        rest = plain(result, varying=x.rest.varying or varying, is_complex=x.rest.complex or imaginary) if x.rest.addends else x.rest
        form: Form = "nonlinear" if x.form in SEMIRINGS else x.form
        return replace(x, form=form, terms=terms, rest=rest, mixes=several(x.mixes, (why,) if why and terms else ()))

    def _join(self, parts: list[Element], axes: Axes) -> Element:
        """One of several values (levels, this step or earlier): linear where each is."""
        form = _sum_form([p.form for p in parts])
        terms = gather_terms(replace(t, unit=t.unit and len(parts) == 1) for p in parts for t in p.terms)
        return Element(
            form,
            terms,
            added([p.rest for p in parts], axes),
            several(*(p.curves for p in parts)),
            several(*(p.kinks for p in parts)),
            several(*(p.mixes for p in parts)),
        )

    def _sources(self, x: Element) -> str:
        return x.terms[0].source.text if x.terms else ""

    def _enters(self, x: Element, what: str, e: Expr) -> Reason:
        return Reason(f"{self._sources(x)} enters {what}", e.span)

    def _unknown(self, e: Expr, parts: list[Element], axes: Axes, what: str, *, jump: bool = False) -> Element:
        """A function of which only continuity is known: nonlinear, each state's axes mixed into all of the value's."""
        terms = []
        for p in parts:
            for t in p.terms:
                consumed = [a for a in t.live_axes if a not in axes] or []
                keep = [a for a in t.live_axes if a in axes]
                terms.append(mixed(t, [*consumed, *keep], axes, varying=True))
        first = next((p for p in parts if p.terms), None)
        if first is None:
            opaque = any(p.form == "opaque" for p in parts)
            return Element("opaque" if opaque else "free", rest=plain(axes, varying=True, is_complex=e.type == "complex"))
        why = Reason(f"{self._sources(first)} {what}", e.span)
        form: Form = "opaque" if any(p.form == "opaque" for p in parts) else "nonlinear"
        return Element(
            form,
            gather_terms(terms),
            plain(axes, varying=True),
            several(*(p.curves for p in parts), (why,)),
            several(*(p.kinks for p in parts), (why,) if jump else ()),
            several(*(p.mixes for p in parts)),
        )

    def _pointwise(self, e: Expr, parts: list[Element], what: str, *, jump: bool = False) -> Element:
        """An elementwise nonlinear function: the Jacobian keeps the pattern, with a coefficient over all axes."""
        terms = gather_terms(scaled(t, e.axes, varying=True) for p in parts for t in p.terms)
        first = next((p for p in parts if not p.free), None)
        if first is None:
            varying = any(p.rest.varying for p in parts)
            return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex"))
        form: Form = "opaque" if any(p.form == "opaque" for p in parts) else "nonlinear"
        why = (self._enters(first, what, e),) if terms else ()
        return Element(
            form,
            terms,
            plain(e.axes, varying=True),
            several(*(p.curves for p in parts), why),
            several(*(p.kinks for p in parts), why if jump else ()),
            several(*(p.mixes for p in parts)),
        )

    def _result(self, node: Expr, inner: Element, e: Read) -> Element:
        """A field of a scan or a call: the element of the whole with the field's axes."""
        return replace(inner, rest=plain(e.axes, varying=True)) if not e.moves else inner

    # ---- nodes --------------------------------------------------------------------------------------------------------

    def _node(self, e: Expr) -> Element:
        rule = RULES.get(type(e))
        if rule is not None:
            return rule(self, e)
        parts = [self.get(c) for c in children(e)]
        if all(p.free for p in parts):
            return Element(rest=plain(e.axes, varying=any(p.rest.varying for p in parts), is_complex=e.type == "complex"))
        return self._unknown(e, parts, e.axes, f"enters {type(e).__name__.lower()}")

    def _constant(self, e: Expr) -> Element:
        if number_of(e) == 0 and not isinstance(number_of(e), bool):
            return Element(rest=Rest())
        return Element(rest=plain(e.axes, varying=False, is_complex=e.type == "complex"))

    def _number(self, e: Expr) -> Element:
        assert isinstance(e, Number)
        topology = {a for f in self.graph.topology for a in f.axes}
        return Element(rest=plain(e.axes, varying=e.of in topology))

    def _draw(self, e: Expr) -> Element:
        return Element(rest=plain(e.axes, varying=True))

    def _expand(self, e: Expr) -> Element:
        assert isinstance(e, Expand)
        if number_of(e) == 0:
            return Element(rest=Rest())
        return self._fit(self.get(e.arg), e.arg.axes, e.axes)

    def _rename(self, e: Expr) -> Element:
        assert isinstance(e, Rename)
        return self._renamed(self.get(e.arg), dict(e.pairs))

    def _contract(self, e: Expr) -> Element:
        assert isinstance(e, Contract)
        a, b = self.get(e.left), self.get(e.right)
        if a.free and b.free:
            return Element(rest=plain(e.axes, varying=a.rest.varying or b.rest.varying, is_complex=e.type == "complex"))
        if not a.free and not b.free:
            product = self._product(e, a, e.left, b, e.right)
            return self._sum_terms(product, e.over, e.axes)
        x, factor, other = (a, b, e.right) if b.free else (b, a, e.left)
        why = Reason(f"{self._sources(x)} is mixed along {', '.join(e.over)} by {_called(other)}", e.span)
        scaled_ = self._scaled(e, x, factor.rest, other)
        out = self._sum_terms(scaled_, e.over, e.axes)
        return replace(out, mixes=several(out.mixes, (why,))) if any(t.dense for t in out.terms) else out

    def _sum_terms(self, x: Element, over: Axes, axes: Axes) -> Element:
        terms = gather_terms(summed(t, over) for t in x.terms)
        rest = plain(axes, varying=x.rest.varying, is_complex=x.rest.complex) if x.rest.addends else x.rest
        form: Form = "nonlinear" if x.form in SEMIRINGS else x.form
        curves = x.curves
        if x.form in SEMIRINGS and x.terms:
            curves = several(curves, (Reason(f"a {x.form} over {self._sources(x)} is summed"),))
        return replace(x, form=form, terms=terms, rest=rest, curves=curves)

    def _scaled(self, e: Expr, x: Element, factor: Rest, other: Expr) -> Element:
        """A state-dependent value times a state-free one."""
        if not factor.addends:
            return Element()
        terms = tuple(
            scaled(t, other.axes, varying=factor.varying, is_complex=factor.complex or other.type == "complex") for t in x.terms
        )
        rest = times(x.rest, factor)
        if x.form in SEMIRINGS:
            why = Reason(f"a {x.form} over {self._sources(x)} is multiplied", e.span)
            return Element("nonlinear", gather_terms(terms), rest, several(x.curves, (why,)), x.kinks, x.mixes)
        return replace(x, terms=gather_terms(terms), rest=rest)

    def _product(self, e: Expr, a: Element, left: Expr, b: Element, right: Expr) -> Element:
        """Both factors depend on the state: nonlinear, with the terms of each, scaled by the other, as pattern."""
        terms = [scaled(t, right.axes, varying=True) for t in a.terms] + [scaled(t, left.axes, varying=True) for t in b.terms]
        form: Form = "opaque" if "opaque" in (a.form, b.form) else "nonlinear"
        other = f"{_called(right)}, which depends on {self._sources(b)}," if isinstance(right, Read) else self._sources(b)
        first = _called(left) if isinstance(left, Read) and not access(self.graph, left).past else self._sources(a)
        why = Reason(f"{first or self._sources(a)} is multiplied by {other}".rstrip(","), e.span)
        return Element(
            form,
            gather_terms(terms),
            plain(left.axes + tuple(x for x in right.axes if x not in left.axes), varying=True),
            several(a.curves, b.curves, (why,)),
            several(a.kinks, b.kinks),
            several(a.mixes, b.mixes),
        )

    def _apply(self, e: Expr) -> Element:
        assert isinstance(e, Apply)
        parts = [self.get(a) for a in e.args]
        match e.fn:
            case "add" | "sub":
                return self._add(e, parts)
            case "neg":
                return self._negative(parts[0], e)
            case "mul" | "outer":
                out, node = parts[0], e.args[0]
                for x, arg in zip(parts[1:], e.args[1:], strict=True):
                    out, node = self._times(e, out, node, x, arg), _both(node, arg)
                return replace(out, rest=self._rest_fit(out.rest, e.axes)) if len(e.args) > 2 else out
            case "div":
                return self._divide(e, parts)
            case "where":
                return self._where(e, parts)
            case "max" | "min" | "logaddexp":
                return self._choice(e, e.fn, parts)
            case "relu":
                return self._choice(e, "max", [parts[0], Element(rest=plain(e.axes, varying=False))])
            case "stop":
                x = parts[0]
                return x if x.free else replace(x, kinks=several(x.kinks, (self._enters(x, "stop", e),)))
            case "through":
                x = parts[0]
                y = parts[1]
                if x.free and y.free:
                    return x
                why = Reason(f"{self._sources(x) or self._sources(y)} passes through(…), whose derivative is another", e.span)
                return replace(x, kinks=several(x.kinks, (why,)))
            case "re" | "im" | "conj":
                return self._real_linear(e, parts[0])
            case "complex" if parts[0].free and parts[1].free:
                varying = parts[0].rest.varying or parts[1].rest.varying
                return Element(rest=plain(e.axes, varying=varying, is_complex=True))
            case "complex":
                turned = replace(parts[1], terms=tuple(scaled(t, (), varying=False, is_complex=True) for t in parts[1].terms))
                return self._join_sum([parts[0], turned], e.axes)
        if all(p.free for p in parts):
            return Element(rest=plain(e.axes, varying=any(p.rest.varying for p in parts), is_complex=e.type == "complex"))
        return self._pointwise(e, parts, SIGNS.get(e.fn, e.fn), jump=e.fn in JUMPS or e.fn == "mod")

    def _negative(self, x: Element, e: Expr) -> Element:
        if x.free:
            return x
        if x.form in SEMIRINGS:
            return self._pointwise(e, [x], "a change of sign")
        return replace(x, terms=tuple(replace(t, unit=False) for t in x.terms))

    def _join_sum(self, parts: list[Element], axes: Axes) -> Element:
        return Element(
            _sum_form([p.form for p in parts]),
            gather_terms(t for p in parts for t in p.terms),
            added([p.rest for p in parts], axes),
            several(*(p.curves for p in parts)),
            several(*(p.kinks for p in parts)),
            several(*(p.mixes for p in parts)),
        )

    def _add(self, e: Apply, parts: list[Element]) -> Element:
        if e.fn == "sub":
            parts = [parts[0], self._negative(parts[1], e)]
        out = self._join_sum(parts, e.axes)
        if out.form == "nonlinear" and any(p.form in SEMIRINGS for p in parts):
            semi = next(p for p in parts if p.form in SEMIRINGS)
            out = replace(out, curves=several(out.curves, (Reason(f"a {semi.form} over {self._sources(semi)} is added up", e.span),)))
        return out

    def _times(self, e: Expr, a: Element, left: Expr, b: Element, right: Expr) -> Element:
        if a.free and b.free:
            return Element(rest=times(a.rest, b.rest))
        if b.free:
            return self._scaled(e, a, b.rest, right)
        if a.free:
            return self._scaled(e, b, a.rest, left)
        return self._product(e, a, left, b, right)

    def _divide(self, e: Apply, parts: list[Element]) -> Element:
        a, b = parts
        if b.free:
            inverse = plain(e.args[1].axes, varying=b.rest.varying, is_complex=b.rest.complex)
            return self._times(e, a, e.args[0], Element(rest=inverse), e.args[1])
        if a.free:
            return self._pointwise(e, [b], "a division")
        x = self._pointwise(e.args[1], [b], "a division")
        return self._product(e, a, e.args[0], replace(x, curves=()), e.args[1])

    def _where(self, e: Apply, parts: list[Element]) -> Element:
        test, a, b = parts
        if test.free and a.free and b.free:
            zero = [i for i, x in ((1, a), (2, b)) if not x.rest.addends]
            if len(zero) == 1:  # a mask
                mask = plain(e.args[0].axes, varying=test.rest.varying)
                return Element(rest=self._rest_fit(times((b if zero == [1] else a).rest, mask), e.axes))
            varying = test.rest.varying or a.rest.varying or b.rest.varying
            return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex"))
        if test.free:
            cond = e.args[0]
            masked = [
                replace(x, terms=tuple(scaled(t, cond.axes, varying=test.rest.varying) for t in x.terms), form=x.form)
                for x in (a, b)
            ]
            out = self._join_sum(masked, e.axes)
            forms = {x.form for x in (a, b)} - {"free"}
            if forms & set(SEMIRINGS) and len(forms & set(SEMIRINGS)) == 1 and all(x.form in SEMIRINGS or x.free or x.unit for x in (a, b)):
                out = replace(out, form=next(f for f in forms if f in SEMIRINGS), terms=gather_terms(t for x in (a, b) for t in x.terms))
            rest = out.rest
            return replace(out, rest=replace(rest, varying=rest.varying or test.rest.varying))
        jump = not self._meets(e)
        out = self._pointwise(e, [test, a, b], "the condition of a where" if not test.free else "where", jump=False)
        if jump:
            what = f"{self._sources(test)} decides a where whose branches are not shown to meet"
            out = replace(out, kinks=several(a.kinks, b.kinks, (Reason(what, e.span),)))
        else:
            out = replace(out, kinks=several(a.kinks, b.kinks))
        return replace(out, curves=several(a.curves, b.curves, (Reason(f"{self._sources(test)} decides a where", e.span),)))

    def _meets(self, e: Apply) -> bool:
        """Whether the two branches are equal where the condition changes: `where(x > c, f(x), g(x))` with f(c) = g(c)."""
        test, a, b = e.args
        if not (isinstance(test, Apply) and test.fn in ("lt", "le", "gt", "ge")):
            return False
        for x, c in ((test.args[0], test.args[1]), (test.args[1], test.args[0])):
            if a is x and b is c or a is c and b is x:
                return True
            if number_of(c) is not None:
                table = Table()
                make = Simplifier(table, self.graph.dims, self.graph.sizes)
                value = rewrite(c, make, {})
                at: dict[int, Expr] = {id(x): make.fit(value, x)}
                left, right = rewrite(a, make, at), rewrite(b, make, at)
                u, v = number_of(left), number_of(right)
                if left is right or u is not None and v is not None and abs(u - v) <= 1e-12 * max(1.0, abs(u)):
                    return True
        return False

    def _choice(self, e: Expr, fn: str, parts: list[Element]) -> Element:
        """`max`, `min`, `logaddexp`: a semiring's sum where each operand is state-free, has coefficient 1, or is one itself."""
        if all(p.free for p in parts):
            return Element(rest=plain(e.axes, varying=any(p.rest.varying for p in parts)))
        form: Form = "max" if fn == "max" else "min" if fn == "min" else "logaddexp"
        if all(p.free or p.unit and len(p.terms) == 1 or p.form == form for p in parts):
            terms = gather_terms(t for p in parts for t in p.terms)
            units = tuple(replace(t, unit=True) for t in terms)
            rest = plain(e.axes, varying=True)
            return Element(form, units, rest, (), several(*(p.kinks for p in parts)), several(*(p.mixes for p in parts)))
        return self._pointwise(e, parts, fn)

    def _real_linear(self, e: Expr, x: Element) -> Element:
        rest = replace(x.rest, complex=x.rest.complex and e.type == "complex")
        terms = tuple(replace(t, real_only=True, unit=False) for t in x.terms)
        return replace(x, terms=terms, rest=rest)

    def _reduce(self, e: Expr) -> Element:
        assert isinstance(e, Reduce)
        x = self.get(e.arg)
        if x.free:
            return Element(rest=plain(e.axes, varying=x.rest.varying, is_complex=e.type == "complex")) if x.rest.addends else x
        over = tuple(a for a in e.over if a != "batch")
        if e.fn in ("sum", "mean"):
            return self._sum_terms(x, over, e.axes)
        form: Form | None = {"max": "max", "min": "min", "logsumexp": "logaddexp"}.get(e.fn)  # type: ignore[assignment]
        if form is not None and (x.unit or x.form == form):
            terms = gather_terms(replace(summed(t, over), unit=True) for t in x.terms)
            return Element(form, terms, plain(e.axes, varying=True), (), x.kinks, x.mixes)
        out = self._pointwise(e.arg, [x], e.fn, jump=e.fn == "argmax")
        out = replace(out, curves=several(x.curves, (self._enters(x, e.fn, e),)))
        if e.fn == "argmax":
            out = replace(out, kinks=several(x.kinks, (self._enters(x, e.fn, e),)))
        return self._sum_terms(out, over, e.axes)

    def _along(self, e: Expr) -> Element:
        assert isinstance(e, Along)
        x = self.get(e.arg)
        over = (*e.over, *([e.other] if e.other else []))
        if x.free:
            return Element(rest=plain(e.axes, varying=x.rest.varying, is_complex=e.type == "complex"))
        if e.fn in ("cumsum", "fft", "ifft"):
            why = Reason(f"{self._sources(x)} is mixed along {', '.join(over)} by {e.fn}", e.span)
            return self._matrix(x, over, over, e.axes, varying=False, imaginary=e.fn != "cumsum", why=why)
        out = self._pointwise(e.arg, [x], e.fn)
        why = self._enters(x, e.fn, e)
        jump = e.fn in ("rank", "topk")
        terms = gather_terms(mixed(t, [a for a in over if a in e.arg.axes], over, varying=True) for t in out.terms)
        return replace(out, terms=terms, curves=several(x.curves, (why,)), kinks=several(x.kinks, (why,) if jump else ()))

    def _norm(self, e: Expr) -> Element:
        assert isinstance(e, Norm)
        x = self.get(e.arg)
        others = [self.get(p) for p in (e.gain, e.bias) if p is not None]
        if x.free:
            varying = x.rest.varying or any(p.rest.varying for p in others)
            return Element(rest=plain(e.axes, varying=varying))
        out = self._pointwise(e.arg, [x], e.fn)
        terms = gather_terms(mixed(t, e.over, e.over, varying=True) for t in out.terms)
        return replace(out, terms=terms, curves=several(x.curves, (self._enters(x, e.fn, e),)))

    def _conv(self, e: Expr) -> Element:
        assert isinstance(e, Conv)
        parts: list[Element] = []
        kernels = [self.get(k) for k in e.kernels]
        varying = any(k.rest.varying for k in kernels)
        for arg, kernel, pairs in zip(e.args, e.kernels, e.mixed, strict=True):
            x = self.get(arg)
            mixed_axes = tuple(a for a, _ in pairs) + (e.over if e.pad != "causal" else ())
            twins = dict(pairs)
            after = tuple(a for a in kernel.axes if a not in e.taps and a not in twins.values()) + (
                e.result if e.pad != "causal" else ()
            )
            if e.pad == "causal" and isinstance(arg, Read) and arg.name in self.states:
                past = self._lagged(arg, "conv")
                x = self._join([x, replace(past, terms=tuple(replace(t, unit=False) for t in past.terms))], arg.axes)
            if not self.get(kernel).free:
                x = self._unknown(e, [x, self.get(kernel)], e.axes, "enters a convolution's kernel")
            elif mixed_axes:
                why = Reason(f"{self._sources(x)} is mixed along {', '.join(mixed_axes)} by conv", e.span)
                x = self._matrix(x, mixed_axes, tuple(a for a in after if a not in e.per), e.axes, varying=varying, why=why)
            else:
                x = replace(x, terms=tuple(scaled(t, e.per, varying=varying) for t in x.terms))
            parts.append(replace(x, rest=plain(e.axes, varying=True) if x.rest.addends else x.rest))
        if e.bias is not None:
            parts.append(self._fit(self.get(e.bias), e.bias.axes, e.axes))
        out = self._join_sum(parts, e.axes)
        if all(p.free for p in parts):
            entries_vary = any(self.get(a).rest.varying for a in e.args) or varying
            return Element(rest=plain(e.axes, varying=entries_vary, is_complex=e.type == "complex"))
        return out

    def _dropout(self, e: Expr) -> Element:
        assert isinstance(e, Dropout)
        mask = Element(rest=plain(e.axes, varying=True))
        x = self.get(e.arg)
        return Element(rest=plain(e.axes, varying=True)) if x.free else self._scaled(e, x, mask.rest, e.arg)

    def _gather_at(self, e: Expr) -> Element:
        assert isinstance(e, GatherAt)
        x = self.get(e.arg)
        places = [self.get(p) for _, p in e.places]
        if x.free and all(p.free for p in places):
            varying = x.rest.varying or any(p.rest.varying for p in places)
            return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex"))
        if any(not p.free for p in places):
            jump = any(p.type == "int" for _, p in e.places)
            return self._unknown(e, [x, *places], e.axes, "enters a position of at", jump=jump)
        before = tuple(a for a, _ in e.places)
        after = tuple(a for a in e.axes if a not in e.arg.axes or a in before)
        why = Reason(f"{self._sources(x)} is moved along {', '.join(before)} by at", e.span)
        return self._matrix(x, before, after, e.axes, varying=any(p.rest.varying for p in places), why=why)

    def _split(self, e: Expr) -> Element:
        assert isinstance(e, Split)
        x = self.get(e.arg)
        names = {e.axis}
        addends = frozenset(
            frozenset(frozenset(y for a in f for y in ((e.outer, e.inner) if a in names else (a,))) for f in p)
            for p in x.rest.addends
        )
        return replace(
            x, terms=tuple(split(t, e.axis, e.outer, e.inner) for t in x.terms), rest=replace(x.rest, addends=addends)
        )

    def _merge(self, e: Expr) -> Element:
        assert isinstance(e, Merge)
        x = self.get(e.arg)
        addends = frozenset(frozenset(frozenset(e.axis if a in e.parts else a for a in f) for f in p) for p in x.rest.addends)
        return replace(x, terms=gather_terms(joined(t, e.axis, e.parts) for t in x.terms), rest=replace(x.rest, addends=addends))

    def _concat(self, e: Expr) -> Element:
        assert isinstance(e, Concat)
        parts = []
        for arg, over in zip(e.args, e.over, strict=True):
            x = self.get(arg)
            before = (over,) if over else ()
            parts.append(self._matrix(x, before, (e.axis,), e.axes, varying=False))
        varying = any(p.rest.varying for p in parts)
        out = self._join_sum(parts, e.axes)
        return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex")) if out.free else out

    def _onehot(self, e: Expr) -> Element:
        assert isinstance(e, OneHot)
        return self._pointwise(e, [self.get(e.arg)], "onehot", jump=True)

    def _solve(self, e: Expr) -> Element:
        assert isinstance(e, Solve)
        a, b = self.get(e.matrix), self.get(e.rhs)
        if a.free and b.free:
            return Element(rest=plain(e.axes, varying=a.rest.varying or b.rest.varying, is_complex=e.type == "complex"))
        if a.free:
            row = e.row if e.row in e.rhs.axes else e.over
            why = Reason(f"{self._sources(b)} is mixed along {e.result} by solve", e.span)
            return self._matrix(
                b, (row,), (e.result,), e.axes, varying=a.rest.varying, imaginary=e.matrix.type == "complex", why=why
            )
        return self._unknown(e, [a, b], e.axes, "enters the matrix of solve")

    def _scan(self, e: Expr) -> Element:
        assert isinstance(e, Scan)
        parts = [self.get(v) for _, v in e.fields]
        if all(p.free for p in parts):
            return Element(rest=plain(e.axes, varying=True))
        return self._unknown(e, parts, e.axes, f"enters scan({e.operator.rsplit(':', 1)[-1]}, …)")

    def _grad(self, e: Expr) -> Element:
        assert isinstance(e, Grad)
        loss, wrt = self.get(e.loss), self.get(e.wrt)
        if loss.free and wrt.free:
            return Element(rest=plain(e.axes, varying=True))
        return self._unknown(e, [loss, wrt], e.axes, "enters grad")

    def _invoke(self, e: Expr) -> Element:
        assert isinstance(e, Invoke)
        parts = [self.get(c) for c in children(e)]
        if all(p.free for p in parts):
            return Element(rest=plain(e.axes, varying=True, is_complex=e.type == "complex"))
        name = e.callee.extern or e.callee.hole or e.callee.key.rsplit(":", 1)[-1]
        out = self._unknown(e, parts, e.axes, f"enters {name}")
        if e.callee.extern or not e.callee.key:
            return replace(out, form="opaque")
        return out


def _both(a: Expr, b: Expr) -> Expr:
    """A stand-in for the product of two operands: its axes and type are all that is read of it."""
    axes = a.axes + tuple(x for x in b.axes if x not in a.axes)
    return Literal_(1, axes=axes, type="complex" if "complex" in (a.type, b.type) else "real", span=a.span)


def _sum_form(forms: list[Form]) -> Form:
    """The form of a sum: a semiring's value may only be shifted by something state-free."""
    kinds = set(forms) - {"free"}
    if not kinds:
        return "free"
    for strong in ("opaque", "nonlinear"):
        if strong in kinds:
            return "opaque" if strong == "opaque" else "nonlinear"
    if len([f for f in forms if f != "free"]) > 1 and kinds & set(SEMIRINGS):
        return "nonlinear"
    return kinds.pop() if len(kinds) == 1 else "nonlinear"


def _written(e: Read) -> str:
    return show(replace(e, name=text_of(e.name)))


def _called(e: Expr) -> str:
    """What to call an operand in a sentence."""
    if isinstance(e, Read):
        if ".linear." in e.name or ".lowrank." in e.name:
            return "linear" if ".linear." in e.name else "lowrank"
        return show(replace(e, name=text_of(e.name), moves=()))
    return show(e) if isinstance(e, Literal_) else "another value"


RULES: Mapping[type[Expr], Callable[[Interpreter, Expr], Element]] = {
    Literal_: Interpreter._constant,
    DimSize: Interpreter._constant,
    Length: Interpreter._constant,
    Number: Interpreter._number,
    Read: Interpreter._read,  # type: ignore[dict-item]
    Apply: Interpreter._apply,
    Expand: Interpreter._expand,
    Rename: Interpreter._rename,
    Contract: Interpreter._contract,
    Reduce: Interpreter._reduce,
    Along: Interpreter._along,
    Norm: Interpreter._norm,
    Conv: Interpreter._conv,
    Dropout: Interpreter._dropout,
    GatherAt: Interpreter._gather_at,
    Split: Interpreter._split,
    Merge: Interpreter._merge,
    Concat: Interpreter._concat,
    OneHot: Interpreter._onehot,
    Solve: Interpreter._solve,
    Draw: Interpreter._draw,
    Scan: Interpreter._scan,
    Grad: Interpreter._grad,
    Invoke: Interpreter._invoke,
}

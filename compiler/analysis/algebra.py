"""Arithmetic of lattice elements: what the rules for the node classes have in common.

In:  elements of a node's children.   Out: the element of the node.
What is not known is taken as nonlinear and dense, never as linear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seqc.compiler.analysis import extent
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
    mixed,
    plain,
    renamed,
    scaled,
    several,
    summed,
    times,
)
from seqc.compiler.graph.printer import show
from seqc.compiler.ir.expr import Axes, Expr, Literal_, Move, Number, Read
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.verdict import Reason


def text_of(name: str) -> str:
    """A name as the user wrote it: those the checker made (`q.conv.arg.past`) by the value they belong to."""
    return name.split(".conv.", 1)[0].split(".linear.", 1)[0]


class Algebra:
    """Elements of one graph for one set of state names; `memo` holds those that are worked out, by node."""

    def __init__(self, graph: StepGraph, states: Iterable[str]) -> None:
        self.graph = graph
        self.states = frozenset(states)
        self.memo: dict[int, Element] = {}

    def get(self, e: Expr) -> Element:
        """The element of a node that is evaluated already; a same-step loop (a cyclic graph's) counts as unknown."""
        found = self.memo.get(id(e))
        return found if found is not None else Element("free", rest=plain(e.axes, varying=True))

    def lagged(self, e: Read, key: str, count: int = 1) -> Element:
        """A read of an earlier step: a term where it is one of the states, else something state-free that varies."""
        entry = self.graph.entries[e.name]
        if e.name not in self.states:
            constant = entry.kind in ("param", "const") or entry.once
            return Element(rest=plain(e.axes, varying=not constant, is_complex=e.type == "complex"))
        for m in e.moves:
            if m.kind == "window" or m.kind == "rename" and m.axis == self.graph.chain:
                known = extent.count(self.graph, m.index.axes or (m.index.of,) if isinstance(m.index, Number) else m.index.axes)
                many = known.value(self.graph.sizes)
                count *= int(many) if many is not None else 2
        source = Source(e.name, key, written(e), count)
        live = tuple(((a,), (a,)) for a in entry.axes)
        term = Term(source, live)
        for m in e.moves:
            term = self.move_term(term, m)
        return Element("affine", (term,), Rest())

    def move_term(self, t: Term, m: Move) -> Term:
        """A term read at another position."""
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

    def rest_fit(self, rest: Rest, axes: Axes) -> Rest:
        """What is left over, with the axes of the whole."""
        return added([rest], axes) if rest.addends else rest

    def fit(self, x: Element, have: Axes, want: Axes) -> Element:
        """An element with other axes."""
        return x if set(have) == set(want) else replace(x, rest=self.rest_fit(x.rest, want))

    def renamed(self, x: Element, names: dict[str, str]) -> Element:
        """An element whose axes got other names."""
        addends = frozenset(frozenset(frozenset(names.get(a, a) for a in f) for f in p) for p in x.rest.addends)
        return replace(x, terms=tuple(renamed(t, names) for t in x.terms), rest=replace(x.rest, addends=addends))

    def mix_term(self, t: Term, before: Iterable[str], after: Iterable[str], *, varying: bool = False) -> Term:
        """A term after something that mixes entries of an axis."""
        return mixed(t, before, after, varying=varying)

    def matrix(
        self,
        x: Element,
        before: Axes,
        after: Axes,
        result: Axes,
        *,
        varying: bool,
        imaginary: bool = False,
        why: Reason | None = None,
    ) -> Element:
        """A state-free linear map from the axes `before` to `after`; a semiring's sum does not pass through it."""
        terms = gather_terms(mixed(t, before, after, varying=varying, is_complex=imaginary) for t in x.terms)
        rest = x.rest
        if rest.addends:
            rest = plain(result, varying=rest.varying or varying, is_complex=rest.complex or imaginary)
        form: Form = "nonlinear" if x.form in SEMIRINGS else x.form
        return replace(x, form=form, terms=terms, rest=rest, mixes=several(x.mixes, (why,) if why and terms else ()))

    def join(self, parts: list[Element], axes: Axes) -> Element:
        """One of several values (levels, this step or earlier): linear where each is."""
        form = sum_form([p.form for p in parts])
        terms = gather_terms(replace(t, unit=t.unit and len(parts) == 1) for p in parts for t in p.terms)
        return Element(
            form,
            terms,
            added([p.rest for p in parts], axes),
            several(*(p.curves for p in parts)),
            several(*(p.kinks for p in parts)),
            several(*(p.mixes for p in parts)),
        )

    def first_source(self, x: Element) -> str:
        """What to name where an element is spoken of."""
        return x.terms[0].source.text if x.terms else ""

    def enters(self, x: Element, what: str, e: Expr) -> Reason:
        """The reason why an element is not linear: it enters something that is not."""
        return Reason(f"{self.first_source(x)} enters {what}", e.span)

    def unknown(self, e: Expr, parts: list[Element], axes: Axes, what: str, *, jump: bool = False) -> Element:
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
        why = Reason(f"{self.first_source(first)} {what}", e.span)
        form: Form = "opaque" if any(p.form == "opaque" for p in parts) else "nonlinear"
        return Element(
            form,
            gather_terms(terms),
            plain(axes, varying=True),
            several(*(p.curves for p in parts), (why,)),
            several(*(p.kinks for p in parts), (why,) if jump else ()),
            several(*(p.mixes for p in parts)),
        )

    def pointwise(self, e: Expr, parts: list[Element], what: str, *, jump: bool = False) -> Element:
        """An elementwise nonlinear function: the Jacobian keeps the pattern, with a coefficient over all axes."""
        terms = gather_terms(scaled(t, e.axes, varying=True) for p in parts for t in p.terms)
        first = next((p for p in parts if not p.free), None)
        if first is None:
            varying = any(p.rest.varying for p in parts)
            return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex"))
        form: Form = "opaque" if any(p.form == "opaque" for p in parts) else "nonlinear"
        why = (self.enters(first, what, e),) if terms else ()
        return Element(
            form,
            terms,
            plain(e.axes, varying=True),
            several(*(p.curves for p in parts), why),
            several(*(p.kinks for p in parts), why if jump else ()),
            several(*(p.mixes for p in parts)),
        )

    def sum_terms(self, x: Element, over: Axes, axes: Axes) -> Element:
        """The sum of an element over axes."""
        terms = gather_terms(summed(t, over) for t in x.terms)
        rest = plain(axes, varying=x.rest.varying, is_complex=x.rest.complex) if x.rest.addends else x.rest
        form: Form = "nonlinear" if x.form in SEMIRINGS else x.form
        curves = x.curves
        if x.form in SEMIRINGS and x.terms:
            curves = several(curves, (Reason(f"a {x.form} over {self.first_source(x)} is summed"),))
        return replace(x, form=form, terms=terms, rest=rest, curves=curves)

    def scaled(self, e: Expr, x: Element, factor: Rest, other: Expr) -> Element:
        """A state-dependent value times a state-free one."""
        if not factor.addends:
            return Element()
        terms = tuple(
            scaled(t, other.axes, varying=factor.varying, is_complex=factor.complex or other.type == "complex") for t in x.terms
        )
        rest = times(x.rest, factor)
        if x.form in SEMIRINGS:
            why = Reason(f"a {x.form} over {self.first_source(x)} is multiplied", e.span)
            return Element("nonlinear", gather_terms(terms), rest, several(x.curves, (why,)), x.kinks, x.mixes)
        return replace(x, terms=gather_terms(terms), rest=rest)

    def product(self, e: Expr, a: Element, left: Expr, b: Element, right: Expr) -> Element:
        """Both factors depend on the state: nonlinear, with the terms of each, scaled by the other, as pattern."""
        terms = [scaled(t, right.axes, varying=True) for t in a.terms] + [scaled(t, left.axes, varying=True) for t in b.terms]
        form: Form = "opaque" if "opaque" in (a.form, b.form) else "nonlinear"
        other = self.first_source(b)
        if isinstance(right, Read) and not access(self.graph, right).past:
            other = f"{called(right)}, which depends on {other},"
        first = called(left) if isinstance(left, Read) and not access(self.graph, left).past else self.first_source(a)
        why = Reason(f"{first or self.first_source(a)} is multiplied by {other}".rstrip(","), e.span)
        return Element(
            form,
            gather_terms(terms),
            plain(left.axes + tuple(x for x in right.axes if x not in left.axes), varying=True),
            several(a.curves, b.curves, (why,)),
            several(a.kinks, b.kinks),
            several(a.mixes, b.mixes),
        )

    def join_sum(self, parts: list[Element], axes: Axes) -> Element:
        """The sum of elements."""
        return Element(
            sum_form([p.form for p in parts]),
            gather_terms(t for p in parts for t in p.terms),
            added([p.rest for p in parts], axes),
            several(*(p.curves for p in parts)),
            several(*(p.kinks for p in parts)),
            several(*(p.mixes for p in parts)),
        )

    def product_of(self, e: Expr, a: Element, left: Expr, b: Element, right: Expr) -> Element:
        """The product of two elements; linear where one of them is free of the state."""
        if a.free and b.free:
            return Element(rest=times(a.rest, b.rest))
        if b.free:
            return self.scaled(e, a, b.rest, right)
        if a.free:
            return self.scaled(e, b, a.rest, left)
        return self.product(e, a, left, b, right)

    def negative(self, x: Element, e: Expr) -> Element:
        """The element with the other sign."""
        if x.free:
            return x
        if x.form in SEMIRINGS:
            return self.pointwise(e, [x], "a change of sign")
        return replace(x, terms=tuple(replace(t, unit=False) for t in x.terms))


def both(a: Expr, b: Expr) -> Expr:
    """A stand-in for the product of two operands: its axes and type are all that is read of it."""
    axes = a.axes + tuple(x for x in b.axes if x not in a.axes)
    return Literal_(1, axes=axes, type="complex" if "complex" in (a.type, b.type) else "real", span=a.span)


def sum_form(forms: list[Form]) -> Form:
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


def written(e: Read) -> str:
    """The lagged read as it stands in the spec, without what only renames its axes."""
    lags = tuple(m for m in e.moves if m.kind not in ("rename", "gather") or m.past)
    return show(replace(e, name=text_of(e.name), moves=lags))


def called(e: Expr) -> str:
    """What to call an operand in a sentence."""
    if isinstance(e, Read):
        if ".linear." in e.name or ".lowrank." in e.name:
            return "linear" if ".linear." in e.name else "lowrank"
        return show(replace(e, name=text_of(e.name), moves=()))
    return show(e) if isinstance(e, Literal_) else "another value"

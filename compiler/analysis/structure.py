"""From elements to a verdict on one component: family, structure, coefficients.

In:  a step graph and the names of one component, in textual order.   Out: a `Shape`: everything but the modes.
Each entry (state, lagged read) of the component's matrix is classified by itself; the component's structure is the maximum in
the order none < identity < scalar < diagonal < block < diagonal+low-rank < dense (design.md, "Definitions").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seqc.compiler.analysis.algebra import text_of
from seqc.compiler.analysis.interpreter import Interpreter
from seqc.compiler.analysis.lattice import SEMIRINGS, Element, Source, Term, pairs, several
from seqc.compiler.ir.expr import Axes, Scan
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.verdict import ORDER, Family, Link, Reason, Structure

NONLINEAR: dict[Structure, Structure] = {
    "none": "diagonal",
    "identity": "diagonal",
    "scalar": "diagonal",
    "diagonal+low-rank": "dense",
}
"""What the pattern of a Jacobian counts as."""

SMALL = 4
"""The largest size of a summed axis that still counts as a block."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a component is, before one asks which modes are legal.

    outer      factors of the additive part, where it is an outer product (one state, structure up to diagonal)
    offending  coefficient axes that belong to both factors, where that is what forbids a chunked form
    """

    names: tuple[str, ...]
    family: Family
    structure: Structure | None
    coefficient_axes: Axes
    coupled: int
    time_invariant: bool
    complex: bool
    differentiable: bool
    links: tuple[Link, ...]
    operation: str
    outer: tuple[tuple[Axes, Axes], ...]
    offending: Axes
    nonlinear: tuple[Reason, ...]
    kinks: tuple[Reason, ...]
    mixing: tuple[Reason, ...]
    varying: str
    several_lags: bool


def worst(structures: Iterable[Structure]) -> Structure:
    """The maximum in the lattice's order."""
    return max(structures, key=ORDER.index, default="none")


def shape_of(graph: StepGraph, names: tuple[str, ...], base: Interpreter | None = None) -> Shape:
    """Analyses the component made of `names`; `base` shares what holds no state between components."""
    elements = Interpreter(graph, names, base).elements(names)
    family, operation, reasons = _family(graph, elements)
    sources = sorted({t.source for x in elements.values() for t in x.terms}, key=lambda s: (names.index(s.name), s.lag))
    links: list[Link] = []
    terms_by_link: dict[tuple[str, Source], list[Term]] = {}
    for n, x in elements.items():
        for t in x.terms:
            terms_by_link.setdefault((n, t.source), []).append(t)
    for (n, source), terms in terms_by_link.items():
        links.append(_link(graph, n, source, terms, elements[n], affine=family == "affine"))
    coupled = sum(s.count for s in sources)
    several_lags = len(sources) > 1 or coupled > 1
    structure: Structure = worst(k.structure for k in links)
    if several_lags and structure in ("identity", "scalar", "diagonal"):
        structure = "block"
    if family == "nonlinear":
        structure = NONLINEAR.get(structure, structure)
    kinks = several(*(x.kinks for x in elements.values()))
    coefficient: Axes = ()
    if family == "affine" and structure not in ("identity", "dense"):
        found = {a for k in links for a in k.coefficient_axes}
        order = [a for n in names for a in graph.entries[n].axes]
        coefficient = tuple(dict.fromkeys(a for a in order if a in found))
    invariant = family == "affine" and all(k.time_invariant for k in links)
    outer, offending = _outer(graph, names, elements, coefficient) if family == "affine" else ((), ())
    return Shape(
        names=names,
        family=family,
        structure=structure if family in ("affine", "nonlinear") else None,
        coefficient_axes=coefficient,
        coupled=max(coupled, 1) if family == "operator" else coupled,
        time_invariant=invariant,
        complex=family == "affine" and any(k.complex for k in links),
        differentiable=not kinks and family != "opaque",
        links=tuple(links),
        operation=operation,
        outer=outer,
        offending=offending,
        nonlinear=several(*(x.curves for x in elements.values()), reasons),
        kinks=kinks,
        mixing=several(*(x.mixes for x in elements.values())),
        varying=next((f"{text_of(k.state)}'s coefficient of {k.source}" for k in links if not k.time_invariant), ""),
        several_lags=several_lags,
    )


def _family(graph: StepGraph, elements: dict[str, Element]) -> tuple[Family, str, tuple[Reason, ...]]:
    forms = {x.form for x in elements.values() if not x.free}
    if not forms:
        scans = [graph.entries[n].node for n in elements if isinstance(graph.entries[n].node, Scan)]
        if scans:
            scan = scans[0]
            assert isinstance(scan, Scan)
            return "operator", scan.operator.rsplit(":", 1)[-1], ()
        return "none", "", ()
    if "opaque" in forms:
        return "opaque", "", ()
    if "nonlinear" in forms:
        return "nonlinear", "", ()
    semirings = forms & set(SEMIRINGS)
    if not semirings:
        return "affine", "", ()
    others = [x for x in elements.values() if x.form == "affine"]
    if len(semirings) == 1 and all(x.unit and len(x.terms) == 1 for x in others):
        return "semiring", next(iter(semirings)), ()
    name = next(n for n, x in elements.items() if x.form in semirings)
    other = next((n for n, x in elements.items() if x.form not in semirings), name)
    what = f"{text_of(name)} is a {next(iter(semirings))} and {text_of(other)}, which feeds back into it, is a sum"
    return "nonlinear", "", (Reason(what, graph.entries[name].span),)


def _link(graph: StepGraph, state: str, source: Source, terms: list[Term], x: Element, *, affine: bool) -> Link:
    axes = graph.entries[state].axes
    structures = [_of_term(graph, axes, t, x, affine=affine) for t in terms]
    structure = worst(structures)
    diagonal = [t for t in terms if not t.contracted and t.straight]
    if structure == "identity" and len(terms) > 1:
        structure = "scalar"
    coefficient = {a for t in diagonal for a in t.labels if a in axes}
    if structure in ("identity", "scalar", "diagonal") and len(diagonal) > 1:
        structure = _diagonal(axes, coefficient, x) if not all(t.unit for t in terms) else structure
    return Link(
        state=state,
        source=source.text,
        structure=structure,
        coefficient_axes=tuple(a for a in axes if a in coefficient),
        time_invariant=not any(t.varying for t in terms),
        complex=any(t.complex for t in terms),
    )


def _of_term(graph: StepGraph, axes: Axes, t: Term, x: Element, *, affine: bool) -> Structure:
    if not t.contracted and t.straight:
        if t.unit:
            return "identity"
        if t.real_only and graph.entries[t.source.name].type == "complex":
            return "block"
        return _diagonal(axes, {a for a in t.labels if a in axes}, x)
    if all(graph.sizes.get(a, SMALL + 1) <= SMALL for a in _crossed(t)):
        return "block"
    return "dense" if t.dense else "diagonal+low-rank"


def _crossed(t: Term) -> set[str]:
    """Axes of the state along which positions mix: summed ones, and live ones that stand under another name."""
    return set(t.contracted) | {a for states, axes in t.live if states != axes for a in states}


def _diagonal(axes: Axes, coefficient: set[str], x: Element) -> Structure:
    """Scalar: lacks an axis of the state and, for an outer product, of each factor an axis that the other lacks."""
    if not set(axes) - coefficient:
        return "diagonal"
    products = x.rest.addends
    if products and all(pairs(p) for p in products):
        for p in products:
            if not any((left - right) - coefficient and (right - left) - coefficient for left, right in pairs(p)):
                return "diagonal"
    return "scalar"


def _outer(
    graph: StepGraph, names: tuple[str, ...], elements: dict[str, Element], coefficient: Axes
) -> tuple[tuple[tuple[Axes, Axes], ...], Axes]:
    """The factors of `b` where it is an outer product that a chunked form can use; else nothing and the axes in the way."""
    if len(names) != 1:
        return (), ()
    x = elements[names[0]]
    axes = graph.entries[names[0]].axes
    found: list[tuple[Axes, Axes]] = []
    offending: set[str] = set()
    for p in x.rest.addends:
        choices = pairs(p)
        if not choices:
            return (), ()
        for left, right in choices:
            apart = set(coefficient) - (left & right)
            if apart <= left or apart <= right:
                first, second = sorted((left, right), key=lambda f: [axes.index(a) for a in axes if a in f])
                found.append((tuple(a for a in axes if a in first), tuple(a for a in axes if a in second)))
                break
            offending |= apart
        else:
            return (), tuple(a for a in axes if a in offending)
    return tuple(found), ()

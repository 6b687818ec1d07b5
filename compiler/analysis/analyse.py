"""The recurrence analysis of one program: its entry point.

In:  a checked program, the key of a body, sizes of dims, the optional inputs that are given.   Out: a `Verdict`.
`Analyst` keeps what it found, so that called bodies (and the report's variants) are analysed once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from itertools import combinations

from seqc.compiler.analysis.algebra import text_of
from seqc.compiler.analysis.components import Group, groups
from seqc.compiler.analysis.cost import cost_of
from seqc.compiler.analysis.hoist import hoisted
from seqc.compiler.analysis.interpreter import Interpreter
from seqc.compiler.analysis.legality import modes_of
from seqc.compiler.analysis.streaming import own, streaming_of
from seqc.compiler.analysis.structure import shape_of
from seqc.compiler.graph.build import build, optional_inputs
from seqc.compiler.ir.expr import Callee, Invoke, NotGiven
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.spec import Program
from seqc.compiler.ir.verdict import MODES, Component, Cost, Streaming, Verdict

DEPTH = 16
"""Calls inside each other that are followed for streaming and cost."""

SUBSETS = 64
"""Most sets of given optional inputs that are looked at for variants."""


class Analyst:
    """Analyses bodies of one program; everything is kept by body, given inputs and holes."""

    def __init__(self, program: Program, dims: Mapping[str, int] | None = None) -> None:
        self.program = program
        self.dims = dict(dims or {})
        self._verdicts: dict[tuple[object, ...], Verdict] = {}
        self._graphs: dict[tuple[object, ...], StepGraph] = {}
        self._sizes: dict[str, Mapping[str, int]] = {}
        self._depth = 0

    def graph(self, key: str, given: Collection[str] = (), holes: tuple[tuple[str, Callee], ...] = ()) -> StepGraph:
        """The step graph of a body. Sizes the caller bound hold for the bodies asked for, not for called ones."""
        mark = (key, frozenset(given), holes, self._depth > 0)
        if mark not in self._graphs:
            dims = self.dims if self._depth == 0 else {}
            self._graphs[mark] = build(self.program, key, frozenset(given), dims, holes=dict(holes))
        return self._graphs[mark]

    def verdict(self, key: str, given: Collection[str] = (), holes: tuple[tuple[str, Callee], ...] = ()) -> Verdict:
        """The verdict on a body with the optional inputs `given` (draws are always given)."""
        mark = (key, frozenset(given), holes, self._depth > 0)
        if mark not in self._verdicts:
            self._verdicts[mark] = self._analyse(self.graph(key, given, holes))
        return self._verdicts[mark]

    def _analyse(self, graph: StepGraph) -> Verdict:
        found = groups(graph)
        self._sizes[graph.key] = graph.sizes
        base = Interpreter(graph, ())
        components = tuple(self._component(graph, g, base) for g in found)
        followed = streaming_of(graph, found, self._streaming)
        streaming = own(graph, followed)
        cost = cost_of(graph, streaming.carried, streaming.buffers, self._cost)
        return Verdict(graph.key, graph.name, graph.given, components, streaming, cost, followed)

    def _component(self, graph: StepGraph, group: Group, base: Interpreter) -> Component:
        shape = shape_of(graph, group.names, base)
        modes = modes_of(graph, shape)
        return Component(
            states=shown(graph, shape.names),
            family=shape.family,
            structure=shape.structure,
            coefficient_axes=shape.coefficient_axes,
            coupled=shape.coupled,
            time_invariant=shape.time_invariant,
            complex=shape.complex,
            differentiable=shape.differentiable,
            modes={m: modes[m] for m in MODES},
            links=shape.links,
            operation=shape.operation,
            outer=shape.outer,
            nonlinear=shape.nonlinear,
            kinks=shape.kinks,
            mixing=shape.mixing,
            hoisted=hoisted(graph, shape.names),
        )

    # ---- called bodies ------------------------------------------------------------------------------------------------

    def _called(self, call: Invoke) -> Verdict | None:
        callee = call.callee
        if not callee.key or callee.key not in self.program.bodies or callee.hole or self._depth >= DEPTH:
            return None
        given = {a.name for a in call.arguments if not isinstance(a.value, NotGiven)}
        given &= set(optional_inputs(self.program, callee.key))
        self._depth += 1
        try:
            return self.verdict(callee.key, given, callee.holes)
        finally:
            self._depth -= 1

    def _streaming(self, call: Invoke) -> Streaming | None:
        inner = self._called(call)
        return (inner.followed or inner.streaming) if inner is not None else None

    def _cost(self, call: Invoke) -> Cost | None:
        """Of the called body; its dims that the call leaves open have their defaults."""
        inner = self._called(call)
        if inner is None:
            return None
        bound = {d for d, _ in call.dims}
        known = {d: n for d, n in self._sizes[inner.key].items() if d not in bound}
        return Cost(*(getattr(inner.cost, f.name).substitute(known) for f in fields(Cost)))

    # ---- variants -----------------------------------------------------------------------------------------------------

    def variants(self, key: str) -> tuple[Verdict, ...]:
        """The minimal sets of given optional inputs whose components differ from those of the left-out program."""
        names = optional_inputs(self.program, key)
        base = _recurrence(self.verdict(key))
        found: list[Verdict] = []
        looked = 0
        for n in range(1, len(names) + 1):
            for given in combinations(names, n):
                if any(v.given <= set(given) for v in found):
                    continue
                looked += 1
                if looked > SUBSETS:
                    return tuple(found)
                verdict = self.verdict(key, given)
                if _recurrence(verdict) != base:
                    found.append(verdict)
        return tuple(found)


def shown(graph: StepGraph, names: tuple[str, ...]) -> tuple[str, ...]:
    """The states of a component as the user knows them: without the histories of convolutions, where anything else is left."""
    own = tuple(n for n in names if graph.entries[n].kind != "hidden")
    return own or tuple(dict.fromkeys(text_of(n) for n in names))


def _recurrence(v: Verdict) -> list[tuple[object, ...]]:
    """What must differ for two verdicts to differ: all but the words."""
    out: list[tuple[object, ...]] = []
    for c in v.components:
        what = (c.states, c.family, c.structure, c.coefficient_axes, c.coupled)
        out.append((*what, c.time_invariant, c.complex, c.differentiable, c.legal()))
    return out


def analyse(program: Program, key: str, dims: Mapping[str, int] | None = None, given: Collection[str] = ()) -> Verdict:
    """The verdict on `program.bodies[key]`. Raises KeyError for an unknown key, `Rejected` (SEQ0530, SEQ0531) past limits."""
    return Analyst(program, dims).verdict(key, given)

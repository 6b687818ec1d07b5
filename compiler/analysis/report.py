"""The report of `seqc explain SPEC --format json`: pydantic models and how they are filled.

The form is a contract (issue "From a `.seq` file to a trained model", part 7): names, words and nesting stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from seqc.compiler.analysis.analyse import Analyst
from seqc.compiler.ir.spec import Program
from seqc.compiler.ir.verdict import Component, Family, Streams, Verdict


class Strict(BaseModel):
    """Frozen, nothing extra, nothing coerced."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ModeReport(Strict):
    """One scan mode of one component."""

    legal: bool
    why: str


class ModesReport(Strict):
    """All six modes, always."""

    sequential: ModeReport
    associative: ModeReport
    chunked: ModeReport
    quadratic: ModeReport
    convolution: ModeReport
    newton: ModeReport


class ComponentReport(Strict):
    """One recurrent component (or a declared state on no cycle: family `none`)."""

    states: tuple[str, ...]
    family: Family
    structure: Literal["identity", "scalar", "diagonal", "diagonal+low-rank", "block", "dense"] | None
    coefficient_axes: tuple[str, ...]
    coupled: int
    time_invariant: bool
    complex: bool
    differentiable: bool
    modes: ModesReport


class VariantReport(Strict):
    """The components where the optional inputs `given` are given by the caller."""

    given: tuple[str, ...]
    components: tuple[ComponentReport, ...]


class CellReport(Strict):
    """One exported body: with every optional input left out except draws, and the variants that differ."""

    streams: Streams
    components: tuple[ComponentReport, ...]
    variants: tuple[VariantReport, ...]


class Report(Strict):
    """All exported bodies of a spec, by name."""

    cells: dict[str, CellReport]


def component_report(c: Component) -> ComponentReport:
    """The report of one component."""
    modes = {name: ModeReport(legal=m.legal, why=m.why) for name, m in c.modes.items()}
    return ComponentReport(
        states=c.states,
        family=c.family,
        structure=None if c.structure == "none" else c.structure,
        coefficient_axes=c.coefficient_axes,
        coupled=c.coupled,
        time_invariant=c.time_invariant,
        complex=c.complex,
        differentiable=c.differentiable,
        modes=ModesReport(**modes),
    )


def cell_report(v: Verdict, variants: tuple[Verdict, ...], order: tuple[str, ...]) -> CellReport:
    """The report of one body; `order` is the order in which given inputs are listed."""
    return CellReport(
        streams=v.streaming.streams,
        components=tuple(component_report(c) for c in v.components),
        variants=tuple(
            VariantReport(
                given=tuple(n for n in order if n in w.given),
                components=tuple(component_report(c) for c in w.components),
            )
            for w in variants
        ),
    )


def report(program: Program, dims: Mapping[str, int] | None = None) -> Report:
    """The report on every exported body of a program."""
    analyst = Analyst(program, dims)
    cells: dict[str, CellReport] = {}
    for key in program.exports:
        verdict = analyst.verdict(key)
        cells[program.bodies[key].name] = cell_report(verdict, analyst.variants(key), analyst.graph(key).optional)
    return Report(cells=cells)

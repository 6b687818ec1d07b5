"""What the recurrence analysis says of a step graph: components, modes, streaming, buffers, cost.

The words are defined in design.md, "Recurrence analysis". Everything here is immutable plain data; `analysis/report.py` turns
it into the JSON of `seqc explain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seqc.compiler.diagnostics.span import NOWHERE, Span
from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.poly import Poly

Family = Literal["affine", "nonlinear", "semiring", "operator", "none", "opaque"]
Structure = Literal["none", "identity", "scalar", "diagonal", "block", "diagonal+low-rank", "dense"]
ModeName = Literal["sequential", "associative", "chunked", "quadratic", "convolution", "newton"]
Streams = Literal["step", "after prefix", "by segments", "no"]

MODES: tuple[ModeName, ...] = ("sequential", "associative", "chunked", "quadratic", "convolution", "newton")
ORDER: tuple[Structure, ...] = ("none", "identity", "scalar", "diagonal", "block", "diagonal+low-rank", "dense")


@dataclass(frozen=True, slots=True)
class Reason:
    """A fact with its line: `h[t-1] enters sigmoid` at line 12. `text` names only what the user wrote."""

    text: str
    span: Span = field(default=NOWHERE)

    def __str__(self) -> str:
        return f"{self.text} on line {self.span.line}" if self.span.line else self.text


@dataclass(frozen=True, slots=True)
class Mode:
    """Whether a scan mode is mathematically legal for a component, and why (not)."""

    legal: bool
    why: str


@dataclass(frozen=True, slots=True)
class Link:
    """How the new value of `state` depends on the lagged `source` (`h[t-1]`): one entry of the component's matrix."""

    state: str
    source: str
    structure: Structure
    coefficient_axes: Axes
    time_invariant: bool
    complex: bool


@dataclass(frozen=True, slots=True)
class Component:
    """A strongly connected component of lagged names, or a declared state on no cycle (family none).

    coupled     how many (name, lag) pairs feed back
    operation   for a semiring `max`, `min` or `logaddexp`; for an operator its name
    outer       the additive part is an outer product: pairs of the axes of its two factors, for chunked and quadratic forms
    reads       names of earlier components and of other values with a component below them that it reads
    hoisted     same-step values it reads that do not depend on its states: computable for all steps at once
    """

    states: tuple[str, ...]
    family: Family
    structure: Structure | None
    coefficient_axes: Axes
    coupled: int
    time_invariant: bool
    complex: bool
    differentiable: bool
    modes: Mapping[ModeName, Mode]
    links: tuple[Link, ...] = ()
    operation: str = ""
    outer: tuple[tuple[Axes, Axes], ...] = ()
    nonlinear: tuple[Reason, ...] = ()
    kinks: tuple[Reason, ...] = ()
    mixing: tuple[Reason, ...] = ()
    hoisted: tuple[str, ...] = ()

    def legal(self) -> tuple[ModeName, ...]:
        """The legal modes in the fixed order."""
        return tuple(m for m in MODES if self.modes[m].legal)


BufferKind = Literal["delay", "window", "ring", "cache"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """What `step` must remember of a value beside the components' states.

    delay    the last `steps` values (`x[t-1]`)            window  the operand of a causal convolution
    ring     a bounded relation or window (`t - s < W`)     cache   an unbounded relation: `steps` is None, it grows
    """

    name: str
    kind: BufferKind
    steps: Poly | None
    axes: Axes
    reason: Reason


@dataclass(frozen=True, slots=True)
class Streaming:
    """Whether and how the body streams; `reason` is the line that looks ahead where it does not do so step by step."""

    streams: Streams
    reason: Reason | None
    buffers: tuple[Buffer, ...]
    carried: tuple[str, ...]
    """Names whose last value `step` hands on (states of components and lagged names), buffers excluded."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Exact polynomials of dims, for one sequence. Lengths of indices appear under the index's name.

    flops count a multiply-add as two and an elementwise function as one; training is forward plus twice that for the backward
    pass. Bytes are what must move at least: parameters once, inputs, outs and carried state, in the caller's dtype of
    4 bytes unless a width is declared.
    """

    parameters: Poly
    state_bytes: Poly
    step_flops: Poly
    step_bytes: Poly
    train_flops: Poly
    train_bytes: Poly


@dataclass(frozen=True, slots=True)
class Verdict:
    """All the analysis says of one program (one body, one set of given optional inputs).

    `streaming` is what the body's own module can do, `followed` how it stands to the axis that a caller runs it along.
    """

    key: str
    name: str
    given: frozenset[str]
    components: tuple[Component, ...]
    streaming: Streaming
    cost: Cost
    followed: Streaming | None = None

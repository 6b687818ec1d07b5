"""The checked spec: bodies whose names are looked up, axes worked out and layers resolved to named parameters.

A `Program` holds every body that the main file reaches, under keys `module:Name` (`gru:GRU`; the main file's own bodies too).
A `Body` is a flat table of `Value`s in textual order beside its dims, indices and levels; `Value.level` says inside which
`stack`s and `rounds` a value stands. Everything is immutable, carries spans and is independent of the sizes of dims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seqc.compiler.diagnostics.span import NOWHERE, Span
from seqc.compiler.ir.expr import Axes, Callee, Expr, Type

ValueKind = Literal["input", "state", "param", "const", "gate", "loss", "out", "let", "hidden"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A claimed range; `low` and `high` are made of literals, dims and consts."""

    low: Expr
    high: Expr
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class Value:
    """One name of a body.

    kind        `input state param const gate loss out let` as declared (an out with an equation is `out`; a name that is an
                input or a state or a gate and also listed as `out` keeps its kind and stands in `Body.outs`); `hidden` for values the
                checker names itself (the history of a convolution's operand)
    axes        the declared axes (without batch, chain and levels); None only for the result of a call with several outs
    width       `f32`, `bf16` … where written, "" for the caller's
    home        "" or `edge`, `call`
    start       `init`; for params the initialiser, for states and lagged names what stands before the first step
    learned     the start is a parameter named `name.init` (`init param …`; `start` is its initialiser, Literal 0 where empty)
    value       the equation; for inputs the default (`NotGiven` for `= none`), for consts the value where one is written
    level       ids of the enclosing stacks and rounds, outermost first (`Level.id`: the name; `l#2` where `l` heads a second one)
    over_levels for a state in a stack: the level it steps along (it has `x[l-1]` reads or is started along the level), or ""
    owner       for a layer's parameter: the value in whose equation the layer stands
    """

    name: str
    kind: ValueKind
    axes: Axes | None
    type: Type = "real"
    width: str = ""
    bounds: Bounds | None = None
    home: str = ""
    once: bool = False
    fixed: bool = False
    start: Expr | None = None
    learned: bool = False
    value: Expr | None = None
    level: tuple[str, ...] = ()
    over_levels: str = ""
    owner: str = ""
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    text: str = ""
    """The equation as written, on one line, for comments in generated code and for `explain`."""
    scan: Scanned | None = field(default=None, compare=False, repr=False)
    """Of a field of a scan that was unfolded: what was written."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan with an operator as recurrences: for each field its value's name, what a step brings, the identity, what `combine` calls
    the left and the right operand's field, axes, and the new value made of these."""

    name: str
    operator: str
    values: tuple[str, ...]
    elements: tuple[Expr, ...]
    identity: tuple[Expr, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]
    axes: tuple[Axes, ...]
    combine: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Dim:
    """A size; `value` is exact arithmetic of earlier dims (Literal_, DimSize, Apply of add sub mul div pow floor ceil roundup
    min max neg) or None: solved from shapes, else bound by the caller."""

    name: str
    value: Expr | None
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Index:
    """An index set.

    low, high   a range, ends included (made of dims: known at build, `static`; may use `len(t)`: known in the run)
    of          the axis of which it is a second name (a dim: a twin; an index: a relation, with `where`, or all of it)
    where       the relation's condition (bool; may have further axes); None: no condition
    whole       `index all of t` in a cell: reduces over the whole run, so there is no step
    bound       largest count of steps back that the condition allows (`t - s < W` gives W - 1), None: no bound is proved
    ahead       whether the condition allows positions after this step (then the body does not stream step by step)
    past        whether the condition proves every position before this step
    """

    name: str
    low: Expr | None = None
    high: Expr | None = None
    of: str = ""
    where: Expr | None = None
    static: bool = False
    whole: bool = False
    bound: Expr | None = None
    ahead: bool = False
    past: bool = False
    level: tuple[str, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Level:
    """A `stack` (own weights for each level) or `rounds` (shared weights); `outer` are the ids of the levels around it.

    `id` is what moves, numbers and `Value.level` name: the name, or `name#2` where a level name heads a second block.
    """

    id: str
    name: str
    kind: Literal["stack", "rounds"]
    low: Expr
    high: Expr
    outer: tuple[str, ...]
    order: int
    """The how-manieth level block of the body it is, in textual order: a level name may head two."""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a topology: a chain (`t`, `reverse(t)`, a range), or `grid`, `tree`, `dag`, `graph`."""

    kind: Literal["chain", "range", "grid", "tree", "dag", "graph"]
    axes: Axes
    """The index names: one for a chain or range, two or more for a grid, the slots of a tree; none for dag and graph."""
    reverse: bool = False
    low: Expr | None = None
    high: Expr | None = None


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for another body; `default` None where the caller must fill it. `calls` are how it is called: argument counts,
    for errors when it is filled from Python."""

    name: str
    default: Callee | None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a schedule: `scan`, `backward` or `stop`; options as written (`("newton", (("tolerance", 1e-6),))`)."""

    name: str
    choices: tuple[tuple[str, tuple[tuple[str, str | float | int], ...]], ...] = ()
    condition: Expr | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Requirement:
    """`require`: a claim (`causal`, `conservative`, or a comparison) that was proved."""

    word: str
    claim: Expr | None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Body:
    """A checked cell, block or model.

    topology   factors of the product it runs over; empty for blocks and models
    values     every name in textual order, layer parameters and hidden values right after the value that owns them
    outs       names that are given back, in declared order
    sizes      sizes of the axes that the checker made itself: primed twins (`N'`), taps of kernels, ranks, vocabularies without a dim
    """

    key: str
    kind: Literal["cell", "block", "model"]
    name: str
    doc: str
    holes: tuple[Hole, ...]
    topology: tuple[Factor, ...]
    dims: tuple[Dim, ...]
    indices: tuple[Index, ...]
    levels: tuple[Level, ...]
    values: tuple[Value, ...]
    outs: tuple[str, ...]
    requirements: tuple[Requirement, ...] = ()
    settings: tuple[Setting, ...] = ()
    sizes: tuple[tuple[str, Expr], ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def table(self) -> dict[str, Value]:
        """The values by name."""
        return {v.name: v for v in self.values}

    @property
    def chain(self) -> str:
        """The axis the body runs along, where it is a single chain or range; else ""."""
        if len(self.topology) == 1 and self.topology[0].kind in ("chain", "range"):
            return self.topology[0].axes[0]
        return ""


@dataclass(frozen=True, slots=True)
class Operator:
    """An associative operator. In `combine`, `l.m` is the read of the name `l.m`, if `sides` are l and r; each field's new value is
    `combine[field]`."""

    key: str
    name: str
    fields: tuple[tuple[str, Axes, Type], ...]
    identity: tuple[Expr, ...]
    combine: tuple[tuple[str, Expr], ...]
    doc: str = ""
    sides: tuple[str, str] = ("l", "r")
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Extern:
    """An operator of the host."""

    key: str
    name: str
    arguments: tuple[tuple[str, Axes, Type], ...]
    results: tuple[tuple[str, Axes, Type], ...]
    traits: tuple[str, ...]
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Program:
    """A main file and all it reaches. `exports` are the keys of the main file's own bodies, in textual order."""

    path: str
    doc: str
    bodies: Mapping[str, Body]
    operators: Mapping[str, Operator]
    externs: Mapping[str, Extern]
    exports: tuple[str, ...]
    text: str = ""
    """The main file's text (goes into checkpoints)."""

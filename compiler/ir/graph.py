"""The step graph: one typed dataflow graph of what one step (or, for a block, one run) computes.

Nodes are the expression classes of `ir.expr`, *hash-consed*: two nodes of one graph that are equal are one object, so walks
memoise by identity and are linear. What is gone compared to a checked body: calls of cells over the same chain and of blocks
(their values stand in `entries` under `equation.name`), optional inputs (given ones are inputs, the others equations), consts
whose values are known, decided `where`s, and `grad` wherever it could be derived symbolically. `graph/verify.py` lists what is
legal. Axes of called bodies are renamed to the caller's; an axis that only a called body has is named `equation.axis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seqc.compiler.diagnostics.span import NOWHERE, Span
from seqc.compiler.ir.expr import Axes, Expr, Type
from seqc.compiler.ir.spec import Bounds, Factor, Index, Level, Setting, ValueKind

EntryKind = ValueKind | Literal["draw"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the graph.

    kind      as in the spec; an optional input that was left out is a `let` (`default` is then true), one that draws at random
              is a `draw` and counts as given
    axes      without batch, chain and levels; the axes a call is mapped over come first
    node      the equation; None for inputs, params, and consts that are bound when the module is built; for a params' or
              consts' own expression see `start` and `node`
    start     what stands before the first step, for lagged names; a param's initialiser
    path      where the value comes from: (key of the body, its name there)
    called    the calls it was inlined through, outermost first: pairs (equation, label)
    """

    name: str
    kind: EntryKind
    axes: Axes
    type: Type = "real"
    node: Expr | None = None
    start: Expr | None = None
    width: str = ""
    home: str = ""
    once: bool = False
    fixed: bool = False
    learned: bool = False
    default: bool = False
    level: tuple[str, ...] = ()
    over_levels: str = ""
    owner: str = ""
    bounds: Bounds | None = None
    path: tuple[str, str] = ("", "")
    called: tuple[tuple[str, str], ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the node table: number, canonical expression, and the pass that made it."""

    number: int
    expr: Expr
    made_by: str


@dataclass(frozen=True, slots=True)
class StepGraph:
    """The program of one body for one set of given optional inputs.

    sizes     dims whose sizes are known (bound, by default, or computed from those), inlined ones included
    dims      each dim's defining expression in terms of other dims of this graph, None where it is open
    optional  optional inputs of the body that are no draws, in declared order
    nodes     every node that an entry's equation or start reaches, children first
    memo      what later stages worked out about this graph, so that they do it once; not part of it
    """

    key: str
    name: str
    kind: Literal["cell", "block", "model"]
    topology: tuple[Factor, ...]
    chain: str
    entries: Mapping[str, Entry]
    outs: tuple[str, ...]
    dims: Mapping[str, Expr | None]
    sizes: Mapping[str, int]
    indices: Mapping[str, Index]
    levels: Mapping[str, Level]
    optional: tuple[str, ...]
    given: frozenset[str]
    settings: tuple[Setting, ...]
    nodes: tuple[Node, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def acyclic(self) -> bool:
        """Whether reads at `pred` are lags (trees and dags; on a cyclic graph they are same-step reads)."""
        return not any(f.kind == "graph" for f in self.topology)

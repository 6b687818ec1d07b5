"""What a generated class says about its body, as plain data: dims, inputs, outs, state fields, holes, calls.

The generated module writes these records as literals; `seqc.runtime.module.Module` and its helpers read them. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Axes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a body.

    axes    declared axes, without batch and without the chain of a cell
    per     `step` (one value for each step), `run` (`once`, or a block's input without the chain), `call` (no batch axis)
    type    `real complex int bool text`
    default whether it may be left out because an equation stands for it; `none`: because the body can do without
    needed  what needs it: "" (always), else the names whose presence or absence decides (`loss`, or the inputs that replace it)
    """

    name: str
    axes: Axes
    per: str
    type: str = "real"
    default: bool = False
    needed: tuple[str, ...] = ("",)
    line: int = 0
    text: str = ""
    low: float | None = None
    high: str = ""


@dataclass(frozen=True, slots=True)
class Out:
    """One out: its declared axes (without batch and a cell's chain) and whether it has one value for each step."""

    name: str
    axes: Axes
    steps: bool
    type: str = "real"
    line: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """One place where another body is called.

    path       prefix of its parameters (`u.Mixer`)
    callee     name of the class in this module, or "" for a hole without default
    hole       the hole it stands for, or ""
    arguments  (callee's name or "", axes of the value as the caller names them, pairs caller's axis → callee's axis)
    dims       callee's dim → where its size comes from (an expression over this body's dims)
    along      (callee's chain, caller's axis, reversed?)
    own        axis with own weights for each index, or ""
    outs       name → axes of the result as the caller names them; `out` is the one that is the value itself
    starts     names of states whose start is bound ("*": all)
    params     names of parameters that are bound
    droppable  arguments that what fills the hole may do without
    inline     the callee runs along the caller's own chain, one step with each of ours
    """

    path: str
    callee: str
    hole: str = ""
    arguments: tuple[tuple[str, Axes, tuple[tuple[str, str], ...]], ...] = ()
    dims: tuple[tuple[str, Any], ...] = ()
    along: tuple[tuple[str, str, bool], ...] = ()
    own: str = ""
    outs: tuple[tuple[str, Axes], ...] = ()
    out: str = ""
    starts: Axes = ()
    params: Axes = ()
    holes: tuple[tuple[str, Any], ...] = ()
    droppable: bool = False
    inline: bool = False
    line: int = 0
    consts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Everything about one body.

    dims     name → expression (None: must be bound): numbers, names, or ("div", a, b) and the like
    sizes    size of axes that are no dims (twins, ranges, taps)
    fields   state fields: name → (axes, kind) where kind is `last` ([batch, axes]), `past` ([batch, reach, axes]), `count`,
             `call`; with the levels it is kept for
    chain    name of the axis the body runs along ("" for none), and whether a cell says so itself (`cell`) or a block has it
    joins    (dim, size it must have, value that joins axes to it, line)
    looks    why the body looks ahead along its chain: "" or a sentence with the line
    causal   the line of `require causal`; 0 where nothing is required
    ahead    why there is no `step`: "" or a sentence with the line
    """

    name: str
    kind: str
    source: str
    chain: str = ""
    reverse: bool = False
    range: tuple[Any, Any] | None = None
    dims: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    outs: tuple[Out, ...] = ()
    losses: tuple[str, ...] = ()
    consts: dict[str, Any] = field(default_factory=dict)
    holes: dict[str, str] = field(default_factory=dict)
    fields: dict[str, tuple[Axes, str]] = field(default_factory=dict)
    states: dict[str, Axes] = field(default_factory=dict)
    ranges: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    ahead: str = ""
    lines: dict[str, int] = field(default_factory=dict)
    joins: tuple[tuple[str, Any, str, int], ...] = ()
    looks: str = ""
    causal: int = 0

"""The syntax tree: what the text says, before any name is looked up.

Every node is frozen, holds its children in tuples and carries a `span` that equality ignores. One class for each line kind
of language.md section 4 and each expression form of section 5; nothing is desugared here, so that the formatter can print
the tree back. Comments are kept beside the tree (`File.comments`), doc comments (`#: …`) also in `doc` of their line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.compiler.diagnostics.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Anything that stands in the text."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


# ---- expressions ------------------------------------------------------------------------------------------------------


class Expr(Node):
    """Any expression."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """`12`, `0.5`, `1e-3`. `value` is an int where the text is one."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Text(Expr):
    """`"…"`."""

    value: str


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A bare word; also the words `true false none pi inf`."""

    id: str


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """`enc.h`, `e.embedding.ids`."""

    base: Expr
    name: str


@dataclass(frozen=True, slots=True)
class NameList(Expr):
    """`[H, K]`, the value of a keyword; items are expressions (`split(x, t = [m, 2])` is told off later)."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Keyword(Node):
    """`over = K`."""

    name: str
    value: Expr
    name_span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """`linear(x, h[t-1], bias = 1)`; keywords in the order written."""

    function: str
    arguments: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    function_span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class At(Node):
    """`P = 0` inside a read's brackets."""

    axis: str
    index: Expr


@dataclass(frozen=True, slots=True)
class Read(Expr):
    """`c[t-1]`, `C[i-1, j]`, `z[P = 0]`, `enc.h[u = 0]`."""

    base: Name | Field
    items: tuple[Expr | At, ...]


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """`+ - * / ^`."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """`== != < <= > >=`."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logical(Expr):
    """`and`, `or`."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Not(Expr):
    """`not a`."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Negative(Expr):
    """`-a`."""

    operand: Expr


# ---- parts of lines ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word(Node):
    """A name that is declared or listed, with its place."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Shape(Node):
    """`[H, K, V]`; `[]` is a scalar."""

    axes: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`in (0, 1]`."""

    low: Expr
    high: Expr
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class Between(Node):
    """`1..T`, both ends included."""

    low: Expr
    high: Expr


@dataclass(frozen=True, slots=True)
class Learned(Expr):
    """`init param normal(0, 1)`: the start is a parameter; `start` is None for a bare `param` (which starts at 0)."""

    start: Expr | None


# ---- lines of a body --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dim(Node):
    """One dim of a `dim` line."""

    name: Word
    value: Expr | None


@dataclass(frozen=True, slots=True)
class Dims(Node):
    """`dim D, K = D / H`."""

    dims: tuple[Dim, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Index(Node):
    """One index: `y`, `i in 0..S-1`, `s of t where s <= t`, `node over graph` (the nodes of a graph given to the run)."""

    name: Word
    between: Between | None
    of: Word | None
    where: Expr | None
    over: Word | None = None


@dataclass(frozen=True, slots=True)
class Indices(Node):
    """`index y, x`."""

    indices: tuple[Index, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Declaration(Node):
    """`[kind] name : [axes] of type in range over home once|fixed init start = equation`.

    `kind` is one of `in state param const gate loss out` or `""` for a plain equation. `shape` is None where it is left out
    (a second line for a state, a gate of a call, `out h`).
    """

    kind: str
    name: Word
    shape: Shape | None = None
    type: Word | None = None
    range: Range | None = None
    home: Word | None = None
    once: bool = False
    fixed: bool = False
    init: Expr | None = None
    value: Expr | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Require(Node):
    """`require w + v <= 1`, `require causal`."""

    claim: Expr
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Level(Node):
    """`stack l in 1..L:` (own weights for each l) or `rounds r in 1..R:` (the same weights)."""

    kind: str
    name: Word
    between: Between
    lines: tuple[Node, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """`scan = chunked(64)` in a schedule."""

    name: Word
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Schedule(Node):
    """`schedule:` and its settings."""

    settings: tuple[Setting, ...]
    doc: str = ""


# ---- definitions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hole(Node):
    """`Mixer = GLA` in a body's head; `default` None where the caller must fill it.

    `arguments` is not None for `Mixer(x, M)`: what is bound to it may do without those that it does not declare.
    """

    name: Word
    default: Word | None
    arguments: tuple[Word, ...] | None = None


@dataclass(frozen=True, slots=True)
class Along(Node):
    """One factor of a topology.

    `t` → name `t`; `reverse(t)`, `grid(i, j)`, `tree(left, right)` → head and `axes`; `r in 1..T` → name and `between`;
    `tree`, `dag`, `graph` → name alone.
    """

    head: str
    axes: tuple[Word, ...] = ()
    between: Between | None = None


@dataclass(frozen=True, slots=True)
class Body(Node):
    """A `cell`, `block` or `model`."""

    kind: str
    name: Word
    holes: tuple[Hole, ...]
    topology: tuple[Along, ...]
    lines: tuple[Node, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Fn(Node):
    """`fn f(a, b) = …`."""

    name: Word
    parameters: tuple[Word, ...]
    value: Expr
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Slot(Node):
    """`m : [V] of f32`, a field of an operator or an argument or result of an extern."""

    name: Word
    shape: Shape
    type: Word | None


@dataclass(frozen=True, slots=True)
class Operator(Node):
    """An associative operator: fields, identity (one expression a field), `combine(l, r)` with its equations."""

    name: Word
    fields: tuple[Slot, ...]
    identity: tuple[Expr, ...]
    left: Word
    right: Word
    equations: tuple[Declaration, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Extern(Node):
    """`extern f(a : [D]) -> (b : [D]) : pure, gradient`."""

    name: Word
    arguments: tuple[Slot, ...]
    results: tuple[Slot, ...]
    traits: tuple[Word, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Import(Node):
    """`from cells.gla import GLA, swish`."""

    path: tuple[Word, ...]
    names: tuple[Word, ...]


Definition = Body | Fn | Operator | Extern


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """`# …` with its text from the `#` on; `doc` for `#: …`."""

    text: str
    doc: bool


@dataclass(frozen=True, slots=True)
class File(Node):
    """One `.seq` file."""

    path: str
    edition: int
    doc: str
    imports: tuple[Import, ...]
    definitions: tuple[Definition, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)

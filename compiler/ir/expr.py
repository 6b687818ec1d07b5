"""Typed expressions: what the checker makes of the right-hand sides, and what every later stage reads.

**Axes.** `axes` are the names of the axes an expression has, in the order it prints them; two axes of one expression never
share a name. Left out are the axes that are there without being written: `batch`, the axes a body runs along (in a cell over
`t`, the value at one step has no axis `t`) and the level of an enclosing `stack` or `rounds`. In a block, `t` is an axis like
any other. A layer whose result has the axis it mixes gives its weight a *primed* twin of it (`N'`: no identifier, so nothing
collides).

**Types.** `real`, `complex`, `int`, `bool`, `text`; widths belong to declarations (`ir.spec.Value.width`).

**Sharing.** Trees may share subtrees: a `fn` evaluates its argument once because the argument's node is one object. `Draw` and
`Dropout` carry a `key`, so structural equality never merges two draws.

**Layers** are gone after the checker: `linear` is a sum of `Contract`s with parameter reads, `embedding` a gather, `lowrank` two
contractions; their parameters are ordinary values named `equation.layer.input`. `conv` and the norms stay nodes.

**Reading.** `Read` names a value of the body (declared, an input, a parameter, a hidden one such as `q.conv.arg`, or a field
of a called body) and says with `moves` where it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from seqc.compiler.diagnostics.span import NOWHERE, Span

Type = Literal["real", "complex", "int", "bool", "text"]
Axes = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expr:
    """Any typed expression. Children are the fields that hold expressions (see `children`)."""

    axes: Axes = ()
    type: Type = "real"
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal_(Expr):
    """A number, `true`/`false`, `inf` (as float), `pi`, or a text."""

    value: int | float | bool | str


@dataclass(frozen=True, slots=True)
class NotGiven(Expr):
    """`none`: an input that was left out; only ever the whole value of an input or argument."""


@dataclass(frozen=True, slots=True)
class DimSize(Expr):
    """The size of a dim, an int without axes."""

    dim: str


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """The number of a position, an int.

    `of` is the axis. For the axes a body runs along and for levels in scope `axes` is empty (one number for each step, level,
    and sequence); for other indices and for `pos(N)` the value has that axis. Numbers start at 0, in a range at its low end.
    """

    of: str


@dataclass(frozen=True, slots=True)
class Length(Expr):
    """`len(t)`: how many positions the index has in this run, an int (one for each sequence where lengths differ)."""

    of: str


MoveKind = Literal["lag", "window", "gather", "rename", "level", "family", "pred", "succ", "call"]


@dataclass(frozen=True, slots=True)
class Move:
    """Where along one axis a value is read.

    kind      meaning                                                     index
    lag       `h[t-1]`: `index` steps earlier on the body's chain          a step count >= 1: literals and dims, no axes
    window    `u[t - pos(M)]`, `y[t-w]`: earlier or equal steps at several  the step count, with axes; `past` says whether all
              places at once; the result has the axes of `index`           counts are >= 1 (then it is a lag)
    gather    read at a computed position of an axis the value has (in a    the position as an int number of that axis; its axes
              block also its `t`; in a cell along the chain where nothing    replace the axis read
              better is known)
    rename    `k[s]`, `x[u]`, `k[j]`: the same values under another name    Number of the new axis; for a relation over the chain,
              of the axis (twin, or relation over the chain)                `axis` is the chain's name and `past` says whether the
                                                                          relation proves every position earlier
    level     `x[l-1]` inside its own stack or rounds                       a level count >= 1
    family    `W[l]`, `x[l]` outside: the entry of a level                  the level as an int number; may bring axes (`[j]`)
    pred/succ `h[pred]`, `f[succ]` on trees, dags, graphs                   Number of the axis pred, succ or a slot's name
    call      `mu[call-1]`                                                  a count >= 1
    """

    kind: MoveKind
    axis: str
    index: Expr
    past: bool = False


@dataclass(frozen=True, slots=True)
class Read(Expr):
    """A value of the body, or `field` of the called body that the value `name` holds, read at `moves` (in order)."""

    name: str
    field_: str = ""
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply(Expr):
    """An elementwise function; operands align by axis name.

    `fn`: add mul (two or more operands), neg sub div pow, eq ne lt le gt ge (bool), and or not, where, min max (two or more),
    outer (two; a product that crosses), and the functions of language.md section 5: sigmoid tanh softplus logsigmoid log1p
    expm1 logaddexp expdiff silu gelu relu sin cos atan exp log sqrt abs sign floor mod ceil roundup stop through complex re im
    conj cis bitlen xor.
    """

    fn: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Expand(Expr):
    """The operand repeated along axes it lacks (a value with fewer axes than declared fills the rest)."""

    arg: Expr


@dataclass(frozen=True, slots=True)
class Rename(Expr):
    """The operand with axes under other names, e.g. `(("N", "N'"),)`."""

    arg: Expr
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Contract(Expr):
    """`dot(a, b, over = …)`: multiply, sum over `over`; shared other axes align."""

    left: Expr
    right: Expr
    over: Axes


@dataclass(frozen=True, slots=True)
class Reduce(Expr):
    """`sum mean max min prod logsumexp argmax` over axes that then are gone. `batch` may stand in `over` of losses."""

    fn: str
    arg: Expr
    over: Axes


@dataclass(frozen=True, slots=True)
class Along(Expr):
    """Shape-keeping along axes: `softmax cumsum l2norm rank fft ifft topk inverse matrix_exp`.

    `topk` has its count in `count`. For `inverse` and `matrix_exp`, `over` is the one axis that, with its twin
    `other`, makes the operand a square matrix.
    """

    fn: str
    arg: Expr
    over: Axes
    count: Expr | None = None
    other: str = ""


@dataclass(frozen=True, slots=True)
class Norm(Expr):
    """`rmsnorm layernorm groupnorm batchnorm` over `over`; gain and bias are parameter reads or None.

    `groups` for groupnorm (1 where it is not said: then each entry of the axes not in `over` is its own group).
    `state` names the buffers of batchnorm (`name.mean`, `name.var`).
    """

    fn: str
    arg: Expr
    over: Axes
    gain: Expr | None
    bias: Expr | None
    eps: float
    groups: Expr | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Conv(Expr):
    """A convolution (cross-correlation as everybody calls it) of several operands with a kernel each, plus a bias.

    over      the axes it runs along: the body's chain alone (then `causal`, and each operand is a `Read` of a value with history),
              or axes of the operands
    kernels   one weight for each operand, axes: out dims + mixed dims (primed where they clash) + per, then one tap axis for each
              axis of `over`, named `name~k`; tap 0 of a causal kernel meets the oldest step, the last tap this step
    mixed     for each operand: pairs (axis of the operand, axis of its kernel) that are summed
    result    the axes that stand in the result in place of `over` (the same names where the size is kept)
    pad       "causal", "wrap", "zero", "clamp" (these three keep ceil(n / stride)), or "explicit" with `margin`
    """

    args: tuple[Expr, ...]
    kernels: tuple[Expr, ...]
    bias: Expr | None
    over: Axes
    mixed: tuple[tuple[tuple[str, str], ...], ...]
    result: Axes
    per: Axes
    taps: Axes
    size: Expr
    pad: Literal["causal", "wrap", "zero", "clamp", "explicit"]
    margin: Expr | None
    stride: Expr
    dilation: Expr


@dataclass(frozen=True, slots=True)
class Dropout(Expr):
    """Zeroes entries with probability `rate` in training and scales the others; `key` is name and place."""

    arg: Expr
    rate: Expr
    key: str


@dataclass(frozen=True, slots=True)
class GatherAt(Expr):
    """`at(z, y = e, x = f, border = …)`: gathers (int) or interpolates (real) at computed positions of axes of `arg`."""

    arg: Expr
    places: tuple[tuple[str, Expr], ...]
    border: Literal["wrap", "clamp", "zero", "none"]


@dataclass(frozen=True, slots=True)
class Split(Expr):
    """`split(x, t = [m, J])`: position `axis = m * size(J) + j`. `outer` or `inner` is the one whose size is not given."""

    arg: Expr
    axis: str
    outer: str
    inner: str


@dataclass(frozen=True, slots=True)
class Merge(Expr):
    """`merge(z, t = [m, J])`, the inverse of `Split`; with one part it is a renaming that may change size checks."""

    arg: Expr
    axis: str
    parts: Axes


@dataclass(frozen=True, slots=True)
class Concat(Expr):
    """Joins operands along `axis` (new); `over[i]` is the axis of operand i that is joined, "" for an operand that is one entry."""

    args: tuple[Expr, ...]
    over: Axes
    axis: str


@dataclass(frozen=True, slots=True)
class OneHot(Expr):
    """`onehot(i, over = N)`: has the axes of `arg` and `axis`; 0 everywhere where the number is out of range."""

    arg: Expr
    axis: str


@dataclass(frozen=True, slots=True)
class Solve(Expr):
    """`solve(A, b, over = K)`: x with `dot(A, x, over = K') = b`.

    `matrix` has the axes `row` and `over`; `rhs` has `row` (or `over`, where it is written with the twin's name);
    the result has `result`, which is the axis of the two that the equation's declared shape has.
    """

    matrix: Expr
    rhs: Expr
    over: str
    row: str
    result: str


@dataclass(frozen=True, slots=True)
class Eigh(Expr):
    """`eigh(A, over = j)`: fields `values : [j]` and `vectors : [row, j]`; read as fields of the value that holds it."""

    matrix: Expr
    over: str
    row: str


@dataclass(frozen=True, slots=True)
class Draw(Expr):
    """`normal uniform gumbel bernoulli`, and for starts `orthogonal xavier kaiming`; `axes` are what it fills."""

    fn: str
    args: tuple[Expr, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Scan(Expr):
    """`scan(Op, m = …, …)`: inclusive scan along the body's chain with the operator `operator`; fields are read by name."""

    operator: str
    fields: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class Grad(Expr):
    """`grad(loss, M[t-1])`: the derivative of a scalar by a read; axes of the read. Itself differentiable."""

    loss: Expr
    wrt: Read


@dataclass(frozen=True, slots=True)
class Callee:
    """What a call runs: a checked body (`key`), a hole of this body (`hole`, with the default's key or ""), or an extern.

    `holes` are bound by the call: hole name → callee. A function of section 5 or a `fn` bound to a hole has
    `function`.
    """

    key: str = ""
    hole: str = ""
    function: str = ""
    extern: str = ""
    holes: tuple[tuple[str, Callee], ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call: the callee's name for it ("" for a hole without a default, by position) and its value.

    `renames` maps axes of the value to axes of the callee where the names differ: (("u", "t"), ("N", "D")).
    """

    name: str
    value: Expr
    renames: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Invoke(Expr):
    """A called cell, block or model. The expression's value is its only out; several are read as fields of the named value.

    label      the last part of its parameters' prefix: the callee's name, or `name = …`
    dims       callee dim → size in the caller, both given and solved from arguments
    arguments  inputs; `params` bound parameters (callee's parameter name → value; `params = theta` is the name "*");
               `starts` bound starts (callee's state → value; `start = enc` is the name "*")
    consts     callee const → value (made of consts, dims and levels: bound when the module is built)
    along      for each axis the callee runs along: (callee's axis, the caller's axis, reversed?); empty where the callee has no
               topology or runs along the caller's own chain (then `inline` is true: its states move with this body's)
    own        the axis whose indices have own weights, or ""
    mapped     axes of the arguments that the callee does not name: it is mapped over them
    outs       callee's out or state → axes here; what `Read(name, field_)` may name. The value itself is `out`
    droppable  a call of a hole that lists its arguments, `Mixer(x, M)`: what fills the hole may do without those after the first;
               an argument that the default does not declare stands here under the hole's word for it
    expansion  where a hole's default is a `fn` or a function of section 5: the expression the call is with that default (then
               dims, outs and so on are empty); used unless the hole is filled otherwise when the module is built
    """

    callee: Callee
    label: str
    arguments: tuple[Argument, ...]
    dims: tuple[tuple[str, Expr], ...]
    params: tuple[tuple[str, Expr], ...]
    starts: tuple[tuple[str, Expr], ...]
    consts: tuple[tuple[str, Expr], ...]
    along: tuple[tuple[str, str, bool], ...]
    inline: bool
    own: str
    mapped: Axes
    out: str
    outs: tuple[tuple[str, Axes, Type], ...]
    expansion: Expr | None = None
    droppable: bool = False


# ---- walking ----------------------------------------------------------------------------------------------------------


_HOLDERS = ("Expr", "Read", "Move", "Argument")
"""What in a field's type says that it may hold expressions."""
_PARTS: dict[type[Expr], tuple[str, ...]] = {}
"""The fields of each node that may hold expressions, found once."""


def children(e: Expr) -> Iterator[Expr]:
    """The expressions directly below `e`, in the order of evaluation (a read's indices, a call's arguments included)."""
    kind = type(e)
    names = _PARTS.get(kind)
    if names is None:
        names = _PARTS[kind] = tuple(f.name for f in fields(e) if any(w in str(f.type) for w in _HOLDERS))
    for name in names:
        v = getattr(e, name)
        if isinstance(v, Expr):
            yield v
        elif v:
            yield from _inside(v)


def _inside(v: Any) -> Iterator[Expr]:
    if isinstance(v, Expr):
        yield v
    elif isinstance(v, tuple):
        for x in v:
            yield from _inside(x)
    elif isinstance(v, Move):
        yield v.index
    elif isinstance(v, Argument):
        yield v.value


def walk(e: Expr) -> Iterator[Expr]:
    """`e` and everything below it, each shared node once, parents first."""
    seen: set[int] = set()
    stack = [e]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            stack.extend(reversed(list(children(node))))


def reads(e: Expr) -> Iterator[Read]:
    """Every `Read` in `e`, those inside indices included."""
    return (n for n in walk(e) if isinstance(n, Read))


def rebuild(e: Expr, f: Callable[[Expr], Expr]) -> Expr:
    """`e` with `f` applied to its children; the same object where nothing changed."""
    changes: dict[str, Any] = {}
    for fl in fields(e):
        if fl.name in ("axes", "type", "span"):
            continue
        old = getattr(e, fl.name)
        new = _rebuilt(old, f)
        if new is not old:
            changes[fl.name] = new
    return replace(e, **changes) if changes else e


def _rebuilt(v: Any, f: Callable[[Expr], Expr]) -> Any:
    if isinstance(v, Expr):
        return f(v)
    if isinstance(v, Move):
        index = f(v.index)
        return v if index is v.index else replace(v, index=index)
    if isinstance(v, Argument):
        value = f(v.value)
        return v if value is v.value else replace(v, value=value)
    if isinstance(v, tuple):
        new = tuple(_rebuilt(x, f) for x in v)
        return v if all(a is b for a, b in zip(new, v, strict=True)) else new
    return v

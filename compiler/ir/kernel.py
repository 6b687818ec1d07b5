"""The kernel IR: one fused pass over time, as the native and the Triton emitters read it.

A `Kernel` is what happens to one sequence, over named axes whose sizes are known when it runs:

    prologue      values that do not change in time                         (before the first step)
    step          values of one step, in order, each computed once          (for each step, in the order `reverse` says)
    carries       what a step hands to the next: `previous` is read in the step, `next` is its value after it
    sums          values added up over the steps: `value` of each step goes into `total`
    epilogue      values made of the prologue and the totals                (after the last step)

Everything in it is a real number or a truth value: complex values came as pairs, whole numbers were computed before. A value
has *axes*; batch and time are never among them. An operand of a statement may lack axes of the result (it is repeated along
them), never have more; a reduction takes axes away. The order of `Kernel.axes` is one order for all values: the last axis that
a value has is the one that emitters put into vector lanes, and that lies contiguous in memory.

Operands say what they depend on: `step` (a row for each step and sequence), `run` (one for each sequence), `once` (the same
for all), `number` (a scalar known before the call). Results are a row per step (`rows`), the carries after the last step, and
`totals` of the epilogue. What the pass does not need in memory never gets there: nothing has the size time x state x inner
axis unless it is a row.

The adjoint of a kernel is a kernel again, `reverse`, whose `previous` operands of kind `past` are the carries that the forward
pass had before the step: read from rows where a carry is one, else recomputed between checkpoints (`Derivative` says which).
A kernel with products recomputes nothing that needs one: its forward pass leaves such values behind (`Derivative.extra`), and a
weight's gradient is one large product of two rows after the pass (`Outer`).

Immutable; `verify` (lower.kernels.verify) lists what is legal; `shown` (lower.kernels.printer) prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from seqc.compiler.ir.expr import Axes

ValueType = Literal["real", "bool"]
Kind = Literal["step", "run", "once", "number", "past"]

REAL_FUNCTIONS: dict[str, int] = {
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,
    "neg": 1,
    "pow": 2,
    "min": 2,
    "max": 2,
    "mod": 2,
    "expdiff": 2,
    "logaddexp": 2,
    "copy": 1,
    "exp": 1,
    "expm1": 1,
    "log": 1,
    "log1p": 1,
    "tanh": 1,
    "sigmoid": 1,
    "silu": 1,
    "softplus": 1,
    "logsigmoid": 1,
    "sin": 1,
    "cos": 1,
    "atan": 1,
    "erf": 1,
    "gelu": 1,
    "sqrt": 1,
    "rsqrt": 1,
    "abs": 1,
    "sign": 1,
    "floor": 1,
    "ceil": 1,
    "relu": 1,
    "where": 3,
    "number": 1,
    "stop": 1,
    "through": 2,
}
"""Functions with a real result and how many operands they have. `number` makes a truth value 0 or 1, `copy` repeats along new
axes; the condition of `where` is a truth value. `stop(a)` and `through(a, b)` have the value of `a`; no emitter ever sees
them."""

BOOL_FUNCTIONS: dict[str, int] = {"lt": 2, "le": 2, "eq": 2, "ne": 2, "and": 2, "or": 2, "not": 1}
"""Functions with a truth value; `and`, `or`, `not` of truth values, the others of reals."""

REDUCTIONS: tuple[str, ...] = ("sum", "max", "min")

REPLAYED, UNUSED = -1, -2
"""What `Derivative.stored` says of carries that no row holds."""


@dataclass(frozen=True, slots=True)
class Var:
    """A value; `hint` is the spec's name for it, for people only."""

    id: int
    axes: Axes = ()
    type: ValueType = "real"
    hint: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"v{self.id}"


Arg = Var | float
"""A value or a literal (truth values as 0.0 and 1.0)."""


@dataclass(frozen=True, slots=True)
class Apply:
    """`out = fn(args)`, elementwise along the axes of `out`."""

    out: Var
    fn: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """`out = fn(arg)` over axes that `out` then lacks."""

    out: Var
    fn: str
    arg: Var
    over: Axes


@dataclass(frozen=True, slots=True)
class Product:
    """`out = sum of weight * arg`, a matrix product with a weight: an operand of kind `once` (all sequences meet in one
    product) or `run` (each has its own), read by products only.

    over  the axes that are summed over, each as the weight calls it and as `arg` calls it
    to    the weight's other axes, each as it and as `out` calls it; one that `arg` has too is shared (a head). What is left of
          `arg`'s axes `out` has as well
    """

    out: Var
    weight: Var
    arg: Var
    over: tuple[tuple[str, str], ...]
    to: tuple[tuple[str, str], ...]

    @property
    def shared(self) -> Axes:
        """Axes, as values call them, along which there is a product for each entry."""
        return tuple(v for _, v in self.to if v in self.rest)

    @property
    def rest(self) -> Axes:
        """The axes of `arg` that are not summed over."""
        gone = {v for _, v in self.over}
        return tuple(a for a in self.arg.axes if a not in gone)


@dataclass(frozen=True, slots=True)
class Rename:
    """`out` is `arg` with axes under other names of the same size, each pair the old and the new one."""

    out: Var
    arg: Var
    pairs: tuple[tuple[str, str], ...]


Statement = Apply | Reduce | Product | Rename


@dataclass(frozen=True, slots=True)
class Operand:
    """A value that comes from outside. `carry` is the number of the carry that a `past` operand is the previous value of."""

    var: Var
    kind: Kind
    carry: int = -1


@dataclass(frozen=True, slots=True)
class Carry:
    """A value handed from step to step: `init` before the first one (an operand that has no time, or a number)."""

    previous: Var
    init: Arg
    next: Var


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum over all steps of `value`, which the epilogue reads as `total`."""

    total: Var
    value: Var


@dataclass(frozen=True, slots=True)
class Combine:
    """An associative operation on several values: `step` computes `results` from the `left` and the `right` operands."""

    name: str
    left: tuple[Var, ...]
    right: tuple[Var, ...]
    step: tuple[Statement, ...]
    results: tuple[Var, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """Carries that are all steps so far put together: `next` is combine(`previous`, `elements`), in whatever order that is done.

    carries   their numbers, in the order of the operation's values
    elements  what a step brings; `step` has the statements that only they need
    reset     a truth value: the step forgets what was before it; its elements are all there is
    """

    combine: Combine
    carries: tuple[int, ...]
    elements: tuple[Arg, ...]
    reset: Arg = 0.0
    step: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Kernel:
    """One fused pass. See the module's docstring.

    axes      all axes, in the order that decides which one lies in lanes
    scans     carries of which a spec says how they are put together; what the step computes is the same
    split     axes along which the work may be cut into independent pieces: no value that a piece computes needs another one's
              part. A row or total that lacks a split axis and is a sum over it comes as one part for each piece (`partial`)
    store     its gradient finds the carries of each step in memory; else what no row holds is computed again from checkpoints
    """

    name: str
    axes: Axes
    operands: tuple[Operand, ...]
    prologue: tuple[Statement, ...]
    carries: tuple[Carry, ...]
    step: tuple[Statement, ...]
    rows: tuple[Var, ...]
    sums: tuple[Sum, ...] = ()
    epilogue: tuple[Statement, ...] = ()
    totals: tuple[Var, ...] = ()
    split: Axes = ()
    reverse: bool = False
    scans: tuple[Scan, ...] = ()
    store: bool = False

    @property
    def ordered(self) -> dict[str, int]:
        """The place of each axis."""
        return {a: i for i, a in enumerate(self.axes)}

    def sorted(self, axes: Axes) -> Axes:
        """Axes in the kernel's order."""
        return tuple(a for a in self.axes if a in axes)


@dataclass(frozen=True, slots=True)
class Outer:
    """The gradient of a weight: the sum over steps and sequences of two rows' product.

    out   the row (of the adjoint) with the cotangent of a product's result
    arg   the row (of the adjoint) with what the product was taken of
    axes  the weight's axes as the rows call them: those of `to` from `out`, those of `over` from `arg`; two may have one name,
          so each says which row it comes from: ("out", axis), ("arg", axis), ("both", axis) for a shared one
    """

    out: int
    arg: int
    axes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Derivative:
    """The adjoint of a kernel.

    kernel      runs backwards in time. Its operands: those of the forward kernel it still needs, `past` carries, the
                cotangents of the forward rows (`step`), and as starts of its carries the cotangents of the forward carries
                after the last step (`run`)
    sources     for each operand of `kernel`: ("operand", i), ("row", i) a cotangent, ("last", i) a carry's cotangent, ("past",
                i), ("kept", i) a value of the forward step: row i, where the extra rows come behind the others
    gradients   for each operand of the forward kernel what adds up to its gradient: ("row", i), ("total", i), ("carry", i) of
                `kernel`, ("outer", i)
    stored      for each forward carry: the row (or extra row, behind the others) that is equal to it after each step; REPLAYED;
                or UNUSED: nobody needs its past
    replay      the forward statements of a step that recompute the replayed carries
    extra       values of the forward step that it writes as rows besides, where a gradient will be taken
    outer       gradients of weights
    """

    kernel: Kernel
    sources: tuple[tuple[str, int], ...]
    gradients: tuple[tuple[tuple[str, int], ...], ...]
    stored: tuple[int, ...]
    replay: tuple[Statement, ...]
    extra: tuple[Var, ...] = ()
    outer: tuple[Outer, ...] = ()


# ---- walking ----------------------------------------------------------------------------------------------------------


def args_of(s: Statement) -> tuple[Arg, ...]:
    """What a statement reads; of a product the value, not the weight."""
    return s.args if isinstance(s, Apply) else (s.arg,)


def reads_of(s: Statement) -> Iterator[Var]:
    """The values a statement reads."""
    return (a for a in args_of(s) if isinstance(a, Var))


def needed(statements: tuple[Statement, ...], goals: set[int]) -> tuple[Statement, ...]:
    """The statements that values with the ids `goals` need, in order. `goals` grows by everything they read."""
    out: list[Statement] = []
    for s in reversed(statements):
        if s.out.id in goals:
            out.append(s)
            goals.update(v.id for v in reads_of(s))
            if isinstance(s, Product):
                goals.add(s.weight.id)
    return tuple(reversed(out))


def weights_of(statements: Iterable[Statement]) -> set[int]:
    """Ids of the weights that products read."""
    return {s.weight.id for s in statements if isinstance(s, Product)}

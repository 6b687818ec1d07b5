"""Newton's method over a whole sequence: from a kernel whose carries are nonlinear to kernels whose carries are affine.

In:   a kernel as the region builder makes it.
Out:  `Newton`: a list of parts, one for each group of carries that depend on each other (each after those it reads), and `read`,
      which computes the rows once all carries are known; or the reason why there is nothing to iterate, as text.
Keeps: the kernel's operands, in its order, stand first in every part's; a fixed point of the iteration is the kernel's own result.
Refuses: kernels with products; kernels none of whose groups can be iterated. A group can be where its Jacobian is elementwise
      (diagonal, or a block of carries with the same axes) and no choice hangs on its values.

With a guess g_t of the carries after every step, one iteration solves

    delta_t = J_t delta_(t-1) + r_t,    r_t = f(g_(t-1)) - g_t,    J_t = df/dh at g_(t-1),    delta before the first step 0

and hands out g_t + trust * delta_t. Residual and Jacobian are elementwise for all steps at once; what goes from step to step is
affine. Both stand in one kernel, so that no Jacobian is ever in memory: an emitter with an associative scan evaluates the
coefficients (`linear`) inside its chunk, a sequential one inside its step. Beside the deltas it carries the largest |r|, |delta|
and |g + trust * delta| of each entry over time, for the test of convergence.

A group that cannot be iterated, or need not be because it is affine, is a part with the carries as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from seqc.compiler.ir.kernel import Apply, Carry, Kernel, Operand, Statement, Var, needed, reads_of, weights_of
from seqc.compiler.lower.kernels.builder import Builder
from seqc.compiler.lower.kernels.linear import Nonlinear, jacobian, linear
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.verify import verify

JUMPS = ("floor", "ceil", "sign", "mod", "number")
"""Functions with a step in them; a choice by a comparison is one too."""

MEASURES = 3
"""Carries behind the deltas, for each of them: the largest |r|, |delta| and |new value|."""


@dataclass(frozen=True, slots=True)
class Part:
    """One group.

    carries   the numbers of the kernel's carries in it
    known     the numbers of other carries whose previous values it reads
    iterated  its operands are the kernel's; the previous values of `known`; of its own carries, by the guess; then, where it is
              `iterated`, the guesses after each step and three numbers: `trust`, and what multiplies the Jacobian's diagonal and
              its other entries; else the starts. Without the previous values by the guess where it is not iterated.
              Its rows are the carries after each step
    """

    carries: tuple[int, ...]
    known: tuple[int, ...]
    iterated: bool
    kernel: Kernel


@dataclass(frozen=True, slots=True)
class Newton:
    """See the module's docstring. `read`: operands are the kernel's, then the previous values of all carries; rows are the
    kernel's. `starts`: for each carry the operand it starts from, or a number. `left`: why a nonlinear group is not iterated."""

    parts: tuple[Part, ...]
    read: Kernel
    starts: tuple[tuple[str, float], ...]
    left: tuple[str, ...] = ()


def newton(raw: Kernel) -> Newton | str:
    """The iteration for a kernel, or why there is none."""
    k = verify(plain(settled(raw)))
    if not k.carries:
        return "nothing is carried from step to step"
    if weights_of((*k.step, *k.prologue)):
        return "the kernel has a matrix product inside: its Jacobian is dense"
    places = {o.var.id: i for i, o in enumerate(k.operands)}
    starts: list[tuple[str, float]] = []
    for c in k.carries:
        if isinstance(c.init, Var) and c.init.id not in places:
            return "a start is computed inside the kernel"
        starts.append(("operand", places[c.init.id]) if isinstance(c.init, Var) else ("number", float(c.init)))
    parts: list[Part] = []
    left: list[str] = []
    for g in linear(k).groups:
        part: Part | None = None
        if g.algebra == "nonlinear":
            try:
                part = _iterated(k, g.carries)
            except Nonlinear as why:
                left.append(str(why))
        parts.append(part if part is not None else _as_it_is(k, g.carries))
    if not any(p.iterated for p in parts):
        return left[0] if left else "every update is affine or a maximum: there is nothing to iterate"
    return Newton(tuple(parts), _read(k), tuple(starts), tuple(left))


# ---- one group --------------------------------------------------------------------------------------------------------


def _iterated(k: Kernel, carries: tuple[int, ...]) -> Part:
    """The kernel of one iteration. Raises Nonlinear."""
    axes = k.carries[carries[0]].previous.axes
    if any(k.carries[i].previous.axes != axes for i in carries):
        raise Nonlinear("values with different axes depend on each other: the Jacobian is dense")
    _smooth(k, carries)
    matrix, step = jacobian(k, carries)
    b = _builder(k, step)
    before = [k.carries[i].previous for i in carries]
    guesses = [b.var(axes, hint=f"guess {v.hint}") for v in before]
    trust, own, other = (b.var((), hint=word, steady=True) for word in ("trust", "diagonal", "others"))
    deltas = [b.var(axes, hint=f"delta {v.hint}") for v in before]
    measures = [[b.var(axes, hint=f"largest {word} {v.hint}") for v in before] for word in ("residual", "delta", "value")]
    rows: list[Var] = []
    nexts: list[Var] = []
    largest: list[list[Var]] = [[], [], []]
    for n, i in enumerate(carries):
        r = b.apply("sub", k.carries[i].next, guesses[n])
        total = r
        for m, slope in enumerate(matrix[n]):
            if isinstance(slope, Var) or slope != 0.0:
                scaled = b.apply("mul", own if n == m else other, slope)
                total = b.apply("add", total, b.apply("mul", scaled, deltas[m]))
        value = b.apply("add", guesses[n], b.apply("mul", trust, total))
        nexts.append(b.wide(total, axes))
        rows.append(b.wide(value, axes))
        for j, one in enumerate((r, total, value)):
            largest[j].append(b.wide(b.apply("max", measures[j][n], b.apply("abs", one)), axes))
    made = [Carry(d, 0.0, e) for d, e in zip(deltas, nexts, strict=True)]
    for olds, news in zip(measures, largest, strict=True):
        made += [Carry(old, 0.0, new) for old, new in zip(olds, news, strict=True)]
    inner = [k.carries[i].previous for i in range(len(k.carries)) if i not in carries]
    known, reads = _known(k, carries, b.step, made, rows, inner)
    operands = [*k.operands, *(Operand(v, "step") for v in (*reads, *before, *guesses))]
    operands += [Operand(v, "number") for v in (trust, own, other)]
    return Part(carries, known, True, _made(k, b, f"newton_{carries[0]}", operands, made, rows))


def _smooth(k: Kernel, carries: tuple[int, ...]) -> None:
    """Raises Nonlinear where a comparison or a function with jumps lies between the previous values and the next."""
    reached = {k.carries[i].previous.id for i in carries}
    for s in needed(k.step, {k.carries[i].next.id for i in carries}):
        if not any(v.id in reached for v in reads_of(s)):
            continue
        if s.out.type == "bool" or isinstance(s, Apply) and s.fn in JUMPS:
            raise Nonlinear(f"a choice hangs on {k.carries[carries[0]].previous.hint or 'the state'}: it is not differentiable")
        reached.add(s.out.id)


def _as_it_is(k: Kernel, carries: tuple[int, ...]) -> Part:
    """The kernel of a group whose carries stay: starts come from outside."""
    b = _builder(k, k.step)
    starts = [b.var(k.carries[i].previous.axes, hint=f"start {k.carries[i].previous.hint}", steady=True) for i in carries]
    made = [replace(k.carries[i], init=start) for i, start in zip(carries, starts, strict=True)]
    rows = [k.carries[i].next for i in carries]
    inner = [k.carries[i].previous for i in range(len(k.carries)) if i not in carries]
    known, reads = _known(k, carries, b.step, made, rows, inner)
    operands = [*k.operands, *(Operand(v, "step") for v in reads), *(Operand(v, "run") for v in starts)]
    return Part(carries, known, False, _made(k, b, f"group_{carries[0]}", operands, made, rows))


def _read(k: Kernel) -> Kernel:
    """All rows from the previous values of all carries."""
    operands = [*k.operands, *(Operand(c.previous, "step") for c in k.carries)]
    return _made(k, _builder(k, k.step), "rows", operands, [], list(k.rows))


def _known(
    k: Kernel, carries: tuple[int, ...], step: Iterable[Statement], made: Sequence[Carry], rows: Sequence[Var], inner: Sequence[Var]
) -> tuple[tuple[int, ...], list[Var]]:
    """Carries of other groups that are read: their numbers and their previous values."""
    goals = {v.id for v in rows} | {c.next.id for c in made}
    needed(tuple(step), goals)
    found = tuple(i for i, c in enumerate(k.carries) if i not in carries and c.previous.id in goals and c.previous in inner)
    return found, [k.carries[i].previous for i in found]


def _builder(k: Kernel, step: Sequence[Statement]) -> Builder:
    """Goes on where a kernel ends; everything it makes is a step's."""
    b = Builder(k.axes)
    every = [o.var for o in k.operands] + [s.out for s in (*k.prologue, *step, *k.epilogue)]
    every += [a.total for a in k.sums] + [c.previous for c in k.carries]
    b.next_id = 1 + max((v.id for v in every), default=-1)
    b.steady = {o.var.id for o in k.operands if o.kind in ("run", "once", "number")}
    b.adopt(k.prologue, True)
    b.adopt(step, False)
    b.target = b.step
    return b


def _made(k: Kernel, b: Builder, name: str, operands: Sequence[Operand], carries: Sequence[Carry], rows: Sequence[Var]) -> Kernel:
    """The finished kernel, without what it does not need."""
    raw = replace(
        k,
        scans=(),
        name=f"{k.name}_{name}",
        operands=tuple(operands),
        carries=tuple(carries),
        step=tuple(b.step),
        rows=tuple(rows),
        sums=(),
        epilogue=(),
        totals=(),
        split=(),
    )
    return verify(plain(settled(raw)))


__all__ = ["MEASURES", "Newton", "Part", "newton"]

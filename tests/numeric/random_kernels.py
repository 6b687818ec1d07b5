"""Random well-formed kernels, and operands for them in a range where nothing overflows."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from seqc.compiler.ir.kernel import Arg, Carry, Kernel, Operand, Var
from seqc.compiler.lower.kernels.builder import Builder

ONE = ("tanh", "sigmoid", "silu", "softplus", "logsigmoid", "sin", "cos", "atan", "relu", "abs", "gelu", "erf", "neg", "exp2")
TWO = ("add", "sub", "mul", "add", "mul", "max", "min", "expdiff", "logaddexp", "divsafe")


def random_kernel(seed: int, name: str = "k") -> Kernel:
    """A kernel with one to three axes, one to three carries, reductions, steady values, sometimes `stop` and `through`."""
    r = random.Random(seed)
    axes = ("A", "N", "V")[: r.choice((1, 1, 2, 2, 3))]
    b = Builder(axes)
    operands: list[Operand] = []

    def some(least: int = 0) -> tuple[str, ...]:
        count = r.randint(min(least, len(axes)), len(axes))
        return tuple(sorted(r.sample(axes, count), key=axes.index))

    def operand(kind: str, of: tuple[str, ...]) -> Var:
        v = b.var(of, steady=kind != "step")
        operands.append(Operand(v, kind))  # type: ignore[arg-type]
        return v

    pool: list[Arg] = [operand("step", axes)]
    for _ in range(r.randint(1, 3)):
        pool.append(operand("step", some()))
    steady: list[Arg] = [operand("once", some()) for _ in range(r.randint(0, 3))] + [operand("run", some()) for _ in range(r.randint(0, 1))]
    if r.random() < 0.3:
        steady.append(operand("number", ()))
    carries: list[tuple[Var, Arg]] = []
    for _ in range(r.randint(1, 3)):
        of = some(1)
        init: Arg = operand(r.choice(("run", "run", "once")), of) if r.random() < 0.8 else r.choice((0.0, 0.5))
        v = b.var(of)
        carries.append((v, init))
        pool.append(v)

    def one(a: Arg) -> Arg:
        fn = r.choice(ONE)
        if fn == "exp2":
            return b.apply("exp", b.apply("tanh", a))
        return b.apply(fn, a)

    def two(x: Arg, y: Arg) -> Arg:
        fn = r.choice(TWO)
        if fn == "divsafe":
            return b.apply("div", x, b.apply("add", 1.5, b.apply("mul", y, y)))
        if fn == "expdiff":
            return b.apply("expdiff", x, b.apply("max", x, y))
        return b.apply(fn, x, y)

    for _ in range(r.randint(0, 3)):
        if steady:
            steady.append(one(r.choice(steady)) if r.random() < 0.5 else two(r.choice(steady), r.choice(steady)))
    for _ in range(r.randint(4, 14)):
        a = r.choice(pool[-6:] + steady)
        kind = r.random()
        if kind < 0.3:
            made = one(a)
        elif kind < 0.75:
            made = two(a, r.choice(pool + steady))
        elif kind < 0.85:
            c = b.apply(r.choice(("lt", "le", "ne")), a, r.choice(pool))
            if r.random() < 0.3:
                c = b.apply(r.choice(("and", "or")), c, b.apply("not", b.apply("lt", r.choice(pool), 0.25)))
            made = b.apply("where", c, r.choice(pool), r.choice((0.0, 1.0, a)))
        elif kind < 0.9:
            made = b.apply("stop", a) if r.random() < 0.5 else b.apply("through", b.wide(a, b.union((a, pool[-1]))), pool[-1])
        elif isinstance(a, Var) and a.axes:
            over = tuple(r.sample(a.axes, r.randint(1, len(a.axes))))
            made = b.apply("mul", b.reduce(r.choice(("sum", "sum", "max", "min")), a, over), 0.3)
        else:
            made = one(a)
        pool.append(made)

    def bounded(a: Arg, of: tuple[str, ...]) -> Var:
        extra = tuple(x for x in (a.axes if isinstance(a, Var) else ()) if x not in of)
        return b.wide(b.apply("tanh", b.reduce("sum", a, extra)), of)

    made_carries: list[Carry] = []
    for i, (v, init) in enumerate(carries):
        if i and r.random() < 0.15 and carries[i - 1][0].axes == v.axes:
            made_carries.append(Carry(v, init, carries[i - 1][0]))
            continue
        new = bounded(r.choice(pool[-5:]), v.axes)
        mixed = b.apply("add", b.apply("mul", 0.6, v), b.apply("mul", 0.5, new))
        assert isinstance(mixed, Var)
        made_carries.append(Carry(v, init, mixed))
    rows = [b.wide(a, b.union((a,))) for a in r.sample(pool[1:], min(len(pool) - 1, r.randint(1, 2)))]
    if r.random() < 0.6:
        rows.append(made_carries[0].next)
    return Kernel(name, axes, tuple(operands), tuple(b.prologue), tuple(made_carries), tuple(b.step), tuple(rows))


def random_dense_kernel(seed: int, name: str = "d") -> Kernel:
    """A kernel whose step takes matrix products: of a carry, of what other products made, of operands; weights for all sequences or one
    for each, with heads or without, over one axis or two; now and then an axis under another name."""
    r = random.Random(f"dense {seed}")
    heads = r.random() < 0.5
    # N and M stand for the same axis, as the summed and the new one of a weight
    axes = r.choice((("H", "M", "N"), ("M", "H", "N"), ("M", "N", "H"))) if heads else ("M", "N")
    wide = r.random() < 0.3
    if wide:
        axes = (*axes, "V") if r.random() < 0.5 else ("V", *axes)
    b = Builder(axes)
    operands: list[Operand] = []
    state = tuple(a for a in axes if a == "N" or a == "H" and heads)

    def operand(kind: str, of: tuple[str, ...]) -> Var:
        v = b.var(tuple(a for a in axes if a in of), steady=kind != "step")
        operands.append(Operand(v, kind))  # type: ignore[arg-type]
        return v

    def linear(a: Arg) -> Var:
        """A product of a value over `state` axes, that gives the same."""
        kind = "run" if r.random() < 0.2 else "once"
        shared = heads and r.random() < 0.7
        both = heads and not shared and r.random() < 0.3
        value = b.wide(a, state if not isinstance(a, Var) else b.union((a,)))
        if both:
            # over heads and entries, to entries: every head gets the same
            made = b.product(operand(kind, ("H", "M", "N")), value, (("H", "H"), ("M", "N")), (("N", "N"),))
        elif shared:
            made = b.product(operand(kind, ("H", "M", "N")), value, (("M", "N"),), (("H", "H"), ("N", "N")))
        else:
            made = b.product(operand(kind, ("M", "N")), value, (("M", "N"),), (("N", "N"),))
        if r.random() < 0.15:
            made = b.rename(b.apply("tanh", b.rename(made, (("N", "M"),))), (("M", "N"),))
        return b.wide(b.apply("mul", made, 0.4), tuple({*state, *made.axes}))

    pool: list[Arg] = [operand("step", state), operand("step", r.choice((state, state[:1], ())))]
    if wide:
        pool.append(operand("step", (*state, "V")))
    steady = [operand("once", ("N",)), operand("run", state)]
    carries: list[tuple[Var, Arg]] = []
    for _ in range(r.randint(1, 2)):
        init: Arg = operand("run", state) if r.random() < 0.8 else 0.25
        v = b.var(state)
        carries.append((v, init))
        pool.append(v)
    if r.random() < 0.3:
        steady.append(b.apply("tanh", steady[0]))  # type: ignore[arg-type]
    weights = 0
    for i in range(r.randint(4, 9)):
        a = r.choice(pool[-5:])
        kind = r.random()
        if i == 0 or kind < 0.35 and weights < 4:
            made: Arg = linear(carries[0][0] if i == 0 else b.apply("tanh", a))
            weights += 1
        elif kind < 0.5:
            made = b.apply(r.choice(("tanh", "sigmoid", "sin", "relu")), a)
        elif kind < 0.6:
            made = b.apply("where", b.apply("lt", a, r.choice(pool)), r.choice(pool), 0.5)
        elif kind < 0.68 and isinstance(a, Var) and a.axes:
            made = b.apply("mul", b.reduce(r.choice(("sum", "max")), a, (r.choice(a.axes),)), 0.3)
        elif kind < 0.72:
            made = b.apply("stop", a)
        else:
            made = b.apply(r.choice(("add", "mul", "sub")), a, r.choice((*pool, *steady)))
        pool.append(made)

    def bounded(a: Arg, of: tuple[str, ...]) -> Var:
        extra = tuple(x for x in (a.axes if isinstance(a, Var) else ()) if x not in of)
        return b.wide(b.apply("tanh", b.reduce("sum", a, extra)), of)

    made_carries = []
    for v, start in carries:
        new = b.apply("add", b.apply("mul", 0.6, v), b.apply("mul", 0.5, bounded(r.choice(pool[-4:]), v.axes)))
        assert isinstance(new, Var)
        made_carries.append(Carry(v, start, new))
    rows = [b.wide(a, b.union((a,))) for a in r.sample(pool[2:], 1)]
    if r.random() < 0.7:
        rows.append(made_carries[0].next)
    return Kernel(name, axes, tuple(operands), tuple(b.prologue), tuple(made_carries), tuple(b.step), tuple(rows))


def draw(k: Kernel, sizes: dict[str, int], batch: int, length: int, seed: int, dtype: torch.dtype) -> list[Tensor | float]:
    """Operands of moderate size."""
    g = torch.Generator().manual_seed(seed)
    out: list[Tensor | float] = []
    for o in k.operands:
        shape = [sizes[a] for a in o.var.axes]
        if o.kind == "step":
            shape = [batch, length, *shape]
        elif o.kind == "run":
            shape = [batch, *shape]
        elif o.kind == "number":
            out.append(0.75)
            continue
        out.append(torch.randn(shape, generator=g, dtype=torch.float64).to(dtype))
    return out

"""The adjoint of a kernel: reverse mode over the step, the loop over time transposed. Done once, for all emitters.

In:   a kernel; it may hold `stop` and `through`.
Out:  a `Derivative`: a kernel that runs backwards in time, recomputes the forward values of each step from the carries before
      it, and carries the cotangents of the carries.
Keeps: the derivative torch takes: relu'(0) = 0, abs'(0) = 0, half of it to each side of max and min where they are equal,
nothing
      through comparisons, `floor`, `sign`. Forms do not make 0 * inf out of saturated values.
Method: Griewank & Walther, Evaluating Derivatives, 2nd ed., chapters 3 and 12 (checkpoints at chunk borders, recomputation
between).

What the forward pass leaves behind are its rows; a carry that is a row is read from there, others are recomputed (`replay`). An
operand that does not change in time collects its cotangent over the steps (`sums`), and the prologue is differentiated once,
after the last step (`epilogue`). An operand that lacks an axis of the values it meets gets the sum over that axis.

Products with weights are not computed again: what the adjoint reads and cannot compute without one, the forward pass leaves
behind (`extra`); then it also leaves the carries that are no rows, so that nothing is replayed. The weight's own gradient is
taken after the pass, from the rows of both sides (`outer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from seqc.compiler.ir.kernel import (
    REPLAYED,
    UNUSED,
    Arg,
    Carry,
    Derivative,
    Kernel,
    Operand,
    Outer,
    Product,
    Reduce,
    Rename,
    Statement,
    Sum,
    Var,
    needed,
    reads_of,
    weights_of,
)
from seqc.compiler.lower.kernels.builder import Builder
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.split import splits

Rule = Callable[[Builder, tuple[Arg, ...], Var, Arg], tuple[Arg | None, ...]]
TWO_OVER_ROOT_PI = 1.1283791670955126


def _where_gradient(b: Builder, args: tuple[Arg, ...], out: Var, g: Arg) -> tuple[Arg | None, ...]:
    return None, b.apply("where", args[0], g, 0.0), b.apply("where", args[0], 0.0, g)


def _larger(first: str) -> Rule:
    def rule(b: Builder, args: tuple[Arg, ...], out: Var, g: Arg) -> tuple[Arg | None, ...]:
        x, y = args if first == "max" else (args[1], args[0])
        half = b.apply("mul", g, 0.5)
        same = b.apply("eq", x, y)
        over = b.apply("where", same, half, b.apply("where", b.apply("lt", y, x), g, 0.0))
        under = b.apply("where", same, half, b.apply("where", b.apply("lt", x, y), g, 0.0))
        return over, under

    return rule


def _pow(b: Builder, args: tuple[Arg, ...], out: Var, g: Arg) -> tuple[Arg | None, ...]:
    x, y = args
    if not isinstance(y, Var):
        if y == 0.0:
            return 0.0, None
        if y == 2.0:
            return b.apply("mul", g, b.apply("mul", 2.0, x)), None
        if y == 0.5:
            return b.apply("div", b.apply("mul", g, 0.5), out), None
        return b.apply("mul", g, b.apply("mul", y, b.apply("pow", x, y - 1.0))), None
    slope = b.apply("mul", y, b.apply("pow", x, b.apply("sub", y, 1.0)))
    to_base = b.apply("where", b.apply("eq", y, 0.0), 0.0, b.apply("mul", g, slope))
    still = b.apply("and", b.apply("eq", x, 0.0), b.apply("le", 0.0, y))
    to_power = b.apply("where", still, 0.0, b.apply("mul", g, b.apply("mul", out, b.apply("log", x))))
    return to_base, to_power


def _silu(b: Builder, args: tuple[Arg, ...], out: Var, g: Arg) -> tuple[Arg | None, ...]:
    s = b.apply("sigmoid", args[0])
    return (b.apply("mul", g, b.apply("add", s, b.apply("mul", out, b.apply("sub", 1.0, s)))),)


def _gelu(b: Builder, args: tuple[Arg, ...], out: Var, g: Arg) -> tuple[Arg | None, ...]:
    x = args[0]
    below = b.apply("add", 0.5, b.apply("mul", 0.5, b.apply("erf", b.apply("mul", x, 0.7071067811865476))))
    density = b.apply("mul", 0.3989422804014327, b.apply("exp", b.apply("mul", -0.5, b.apply("mul", x, x))))
    return (b.apply("mul", g, b.apply("add", below, b.apply("mul", x, density))),)


def _share(b: Builder, g: Arg, part: Arg, out: Var) -> Arg:
    return b.apply("mul", g, b.apply("expdiff", part, out))


def _m(b: Builder, *factors: Arg) -> Arg:
    out = factors[0]
    for f in factors[1:]:
        out = b.apply("mul", out, f)
    return out


RULES: dict[str, Rule] = {
    "add": lambda b, a, o, g: (g, g),
    "sub": lambda b, a, o, g: (g, b.apply("neg", g)),
    "mul": lambda b, a, o, g: (b.apply("mul", g, a[1]), b.apply("mul", g, a[0])),
    "div": lambda b, a, o, g: (b.apply("div", g, a[1]), b.apply("neg", b.apply("mul", b.apply("div", g, a[1]), o))),
    "neg": lambda b, a, o, g: (b.apply("neg", g),),
    "copy": lambda b, a, o, g: (g,),
    "pow": _pow,
    "max": _larger("max"),
    "min": _larger("min"),
    "mod": lambda b, a, o, g: (g, b.apply("neg", b.apply("mul", g, b.apply("floor", b.apply("div", a[0], a[1]))))),
    "expdiff": lambda b, a, o, g: (_m(b, g, o), b.apply("neg", _m(b, g, o))),
    "logaddexp": lambda b, a, o, g: (_share(b, g, a[0], o), _share(b, g, a[1], o)),
    "exp": lambda b, a, o, g: (_m(b, g, o),),
    "expm1": lambda b, a, o, g: (_m(b, g, b.apply("add", o, 1.0)),),
    "log": lambda b, a, o, g: (b.apply("div", g, a[0]),),
    "log1p": lambda b, a, o, g: (b.apply("div", g, b.apply("add", a[0], 1.0)),),
    "tanh": lambda b, a, o, g: (_m(b, g, b.apply("sub", 1.0, b.apply("mul", o, o))),),
    "sigmoid": lambda b, a, o, g: (_m(b, g, b.apply("mul", o, b.apply("sub", 1.0, o))),),
    "silu": _silu,
    "softplus": lambda b, a, o, g: (_m(b, g, b.apply("sigmoid", a[0])),),
    "logsigmoid": lambda b, a, o, g: (_m(b, g, b.apply("sigmoid", b.apply("neg", a[0]))),),
    "sin": lambda b, a, o, g: (_m(b, g, b.apply("cos", a[0])),),
    "cos": lambda b, a, o, g: (b.apply("neg", _m(b, g, b.apply("sin", a[0]))),),
    "atan": lambda b, a, o, g: (b.apply("div", g, b.apply("add", 1.0, b.apply("mul", a[0], a[0]))),),
    "erf": lambda b, a, o, g: (_m(b, g, _m(b, TWO_OVER_ROOT_PI, b.apply("exp", b.apply("neg", b.apply("mul", a[0], a[0]))))),),
    "gelu": _gelu,
    "sqrt": lambda b, a, o, g: (b.apply("div", b.apply("mul", g, 0.5), o),),
    "rsqrt": lambda b, a, o, g: (_m(b, b.apply("mul", g, -0.5), _m(b, o, b.apply("mul", o, o))),),
    "abs": lambda b, a, o, g: (_m(b, g, b.apply("sign", a[0])),),
    "relu": lambda b, a, o, g: (b.apply("where", b.apply("le", a[0], 0.0), 0.0, g),),
    "where": _where_gradient,
    "through": lambda b, a, o, g: (None, g),
}
"""Cotangents of the operands of each function from the operands, the result and its cotangent `g`; functions that are not
listed have no derivative or derivative 0."""


def _counts(part: Arg | None) -> bool:
    """Whether a cotangent is there and not the number 0."""
    return isinstance(part, Var) or bool(part)


class _Reverse:
    """Cotangents in the making: for each value what was found so far."""

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.parts: dict[int, list[Arg]] = {}
        self.products: list[tuple[Product, Arg]] = []

    def add(self, target: Arg, part: Arg | None) -> None:
        """One more contribution, summed over the axes that the target lacks."""
        if not _counts(part) or not isinstance(target, Var) or target.type != "real":
            return
        assert part is not None
        extra = tuple(a for a in (part.axes if isinstance(part, Var) else ()) if a not in target.axes)
        self.parts.setdefault(target.id, []).append(self.b.reduce("sum", part, extra))

    def of(self, v: Var) -> Arg | None:
        """The whole cotangent of a value; None where nothing came."""
        found = self.parts.get(v.id)
        return None if not found else self.b.total(found)

    def through(self, statements: Iterable[Statement]) -> None:
        """Backwards through statements, given in forward order."""
        for s in reversed(list(statements)):
            g = self.of(s.out)
            if g is None:
                continue
            if isinstance(s, Reduce):
                self.reduction(s, g)
                continue
            if isinstance(s, Product):
                self.products.append((s, g))
                turned = tuple((w, v) for w, v in s.to if v not in s.shared)
                same = tuple((w, v) for w, v in s.to if v in s.shared)
                wide = self.b.wide(g, s.out.axes)
                self.add(s.arg, self.b.product(s.weight, wide, turned, (*same, *s.over)))
                continue
            if isinstance(s, Rename):
                self.add(s.arg, self.b.rename(self.b.wide(g, s.out.axes), tuple((new, old) for old, new in s.pairs)))
                continue
            rule = RULES.get(s.fn)
            if rule is None:
                continue
            for a, part in zip(s.args, rule(self.b, s.args, s.out, g), strict=True):
                if not _counts(part) or not isinstance(a, Var):
                    continue
                assert part is not None
                # along axes of the result that the operand lacks every entry counts, also where the cotangent is the same for
                # all
                lost = tuple(x for x in s.out.axes if x not in a.axes)
                if lost:
                    part = self.b.wide(part, (*self.b.union((part,)), *lost))
                self.add(a, part)

    def reduction(self, s: Reduce, g: Arg) -> None:
        """Backwards through a reduction."""
        b = self.b
        if s.fn == "sum":
            self.parts.setdefault(s.arg.id, []).append(g)
            return
        hit = b.apply("number", b.apply("eq", s.arg, s.out))
        count = b.reduce("sum", hit, s.over)
        self.parts.setdefault(s.arg.id, []).append(b.apply("mul", b.apply("div", g, count), hit))


def differentiate(k: Kernel) -> Derivative:
    """The adjoint of a forward kernel."""
    b = Builder(k.axes)
    by_id = {o.var.id: i for i, o in enumerate(k.operands)}
    taken = [o.var.id for o in k.operands] + [c.previous.id for c in k.carries]
    b.next_id = max(taken, default=-1) + 1
    b.steady = {o.var.id for o in k.operands if o.kind in ("run", "once", "number")}
    b.adopt(k.prologue, True)
    b.adopt(k.step, False)
    forward = [*b.step]
    steady_values = [*b.prologue]

    r = _Reverse(b)
    carried = [b.var(c.previous.axes, hint=f"d {c.previous.hint}") for c in k.carries]
    last = [b.var(c.previous.axes, hint=f"d last {c.previous.hint}", steady=True) for c in k.carries]
    given = [b.var(v.axes, hint=f"d {v.hint}") for v in k.rows]
    for c, d in zip(k.carries, carried, strict=True):
        r.add(c.next, d)
    for v, d in zip(k.rows, given, strict=True):
        r.add(v, d)
    r.through(forward)

    carries: list[Carry] = []
    for c, d, start in zip(k.carries, carried, last, strict=True):
        found = r.of(c.previous)
        carries.append(Carry(d, start, b.wide(0.0 if found is None else found, c.previous.axes)))

    rows: list[Var] = []
    gradients: list[list[tuple[str, int]]] = [[] for _ in k.operands]
    for i, o in enumerate(k.operands):
        found = r.of(o.var) if o.kind == "step" else None
        if found is not None:
            gradients[i].append(("row", len(rows)))
            rows.append(b.wide(found, o.var.axes))
    # weights: the rows of both sides of each product
    outer: list[Outer] = []
    for product, g in reversed(r.products):
        places: list[int] = []
        for v in (b.wide(g, product.out.axes), b.wide(product.arg, product.arg.axes)):
            if v not in rows:
                rows.append(v)
            places.append(rows.index(v))
        said = {w: ("both" if v in product.shared else "out", v) for w, v in product.to} | {w: ("arg", v) for w, v in product.over}
        gradients[by_id[product.weight.id]].append(("outer", len(outer)))
        outer.append(Outer(places[0], places[1], tuple(said[w] for w in product.weight.axes)))
    # what does not change in time: summed over the steps, then backwards through the prologue
    sums: list[Sum] = []
    epilogue: list[Statement] = []
    after = _Reverse(b)
    still = [o.var for o in k.operands if o.kind in ("run", "once")] + [s.out for s in steady_values]
    for v in still:
        found = r.of(v)
        if found is not None:
            total = b.var(v.axes, hint=f"d {v.hint}", steady=True)
            sums.append(Sum(total, b.wide(found, v.axes)))
            after.parts[v.id] = [total]
    b.target = epilogue
    after.through(steady_values)
    totals: list[Var] = []
    for i, o in enumerate(k.operands):
        if o.kind in ("run", "once"):
            found = after.of(o.var)
            if found is not None:
                gradients[i].append(("total", len(totals)))
                totals.append(b.wide(found, o.var.axes))
    b.target = None
    for j, c in enumerate(k.carries):
        if isinstance(c.init, Var):
            gradients[by_id[c.init.id]].append(("carry", j))

    return _assembled(k, b, carries, rows, given, last, sums, tuple(epilogue), totals, gradients, outer)


def _assembled(
    k: Kernel,
    b: Builder,
    carries: list[Carry],
    rows: list[Var],
    given: list[Var],
    last: list[Var],
    sums: list[Sum],
    epilogue: tuple[Statement, ...],
    totals: list[Var],
    gradients: list[list[tuple[str, int]]],
    outer: list[Outer],
) -> Derivative:
    """Drops what nobody needs, says where each operand comes from."""
    flat = plain(k)
    done = plain(
        replace(
            k,
            name=f"{k.name}_adjoint",
            operands=(),
            prologue=tuple(b.prologue),
            carries=tuple(carries),
            step=tuple(b.step),
            rows=tuple(rows),
            sums=tuple(sums),
            epilogue=epilogue,
            totals=tuple(totals),
            split=(),
        )
    )
    keep: list[Var] = []
    if weights_of(flat.step):
        keep = _unrepeatable(flat, done)
        held = {v.id for v in keep}
        step = tuple(s for s in done.step if s.out.id not in held)
        goals = {v.id for v in done.rows} | {c.next.id for c in done.carries} | {a.value.id for a in done.sums}
        done = replace(done, step=needed(step, goals))
    used = {v.id for s in (*done.prologue, *done.step, *done.epilogue) for v in reads_of(s)} | weights_of(done.step)
    used |= {v.id for v in (*done.rows, *(c.next for c in done.carries), *(s.value for s in done.sums), *done.totals)}

    extra = [v for v in keep if v not in flat.rows]
    if weights_of(flat.step):
        extra += [c.next for c in flat.carries if c.previous.id in used and c.next not in flat.rows and c.next not in extra]
    left = [*flat.rows, *extra]
    rows_of = {v.id: j for j, v in enumerate(left)}
    wanted = {c.previous.id for c in flat.carries if c.previous.id in used}
    while True:
        goals = {c.next.id for c in flat.carries if c.previous.id in wanted and c.next.id not in rows_of}
        replay = needed(flat.step, goals)
        more = {c.previous.id for c in flat.carries if c.previous.id in goals} | wanted
        if more == wanted:
            break
        wanted = more
    stored = tuple(UNUSED if c.previous.id not in wanted else rows_of.get(c.next.id, REPLAYED) for c in flat.carries)

    # the replay's own prologue is computed beside the adjoint's
    own = goals | {v.id for s in replay for v in reads_of(s)}
    shared = needed(flat.prologue, own)
    have = {s.out.id for s in done.prologue}
    first = [s for s in flat.prologue if s.out.id in have or s in shared]
    known = {s.out.id for s in first}
    prologue = (*first, *(s for s in done.prologue if s.out.id not in known))
    used |= own | weights_of(replay)
    # a carry that is read from a row starts at its own start
    used |= {c.init.id for c, how in zip(flat.carries, stored, strict=True) if how >= 0 and isinstance(c.init, Var)}

    operands = [o for o in flat.operands if o.var.id in used]
    sources = [("operand", i) for i, o in enumerate(flat.operands) if o.var.id in used]
    for j, v in enumerate(given):
        if v.id in used:
            operands.append(Operand(v, "step"))
            sources.append(("row", j))
    for v in keep:
        operands.append(Operand(v, "step"))
        sources.append(("kept", rows_of[v.id]))
    for j, v in enumerate(last):
        operands.append(Operand(v, "run"))
        sources.append(("last", j))
    for j, c in enumerate(flat.carries):
        if stored[j] != UNUSED:
            operands.append(Operand(c.previous, "past", j))
            sources.append(("past", j))
    kernel = replace(done, operands=tuple(operands), prologue=prologue, reverse=True)
    kernel = replace(kernel, split=tuple(a for a in splits(kernel) if a in k.split))
    return Derivative(kernel, tuple(sources), tuple(tuple(g) for g in gradients), stored, replay, tuple(extra), tuple(outer))


def _unrepeatable(flat: Kernel, done: Kernel) -> list[Var]:
    """Values of the forward step that the adjoint reads and that only a product (one of the forward step) can give: the last of
    each line of values, from which the rest is computed again."""
    forward = {s.out.id: s for s in flat.step}
    made = {s.out.id for s in done.step} - set(forward)
    heavy: set[int] = set()
    for s in flat.step:
        if isinstance(s, Product) or any(v.id in heavy for v in reads_of(s)):
            heavy.add(s.out.id)
    read = {v.id for s in done.step if s.out.id in made for v in reads_of(s)}
    read |= {v.id for v in (*done.rows, *(c.next for c in done.carries), *(a.value for a in done.sums))}
    for s in reversed(flat.step):
        # no row holds truth values: what they are made of is kept
        if s.out.id in read and s.out.id in heavy and s.out.type == "bool":
            read |= {v.id for v in reads_of(s)}
            read.discard(s.out.id)
    kept: dict[int, Var] = {}
    cheap: dict[int, bool] = {}

    def again(i: int) -> bool:
        """Whether a value can be had without a product, from what is kept so far."""
        if i not in heavy or i in kept:
            return True
        if i not in cheap:
            s = forward[i]
            cheap[i] = not isinstance(s, Product) and all(again(v.id) for v in reads_of(s))
        return cheap[i]

    for s in flat.step:
        if s.out.id in read and not again(s.out.id):
            kept[s.out.id] = s.out
            cheap.clear()
    return list(kept.values())


__all__ = ["RULES", "differentiate"]

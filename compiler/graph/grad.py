"""`grad(loss, M[t-1])` as equations: symbolic reverse mode over typed nodes.

In:   a scalar loss and the read it is differentiated by; entries whose equations are canonical.
Out:  the derivative as a canonical node with the axes of the read, or None where something on the way has no symbolic
      derivative (levels, scans, calls that run along another axis): the `Grad` node then stays and is evaluated as one.
Keeps: contractions stay contractions, so that the gradient of a linear memory shows up as an outer product; the derivative is
      made of ordinary nodes and can be differentiated again.
Conventions: `stop` has derivative 0, `through(a, b)` that of b; abs, max, relu and the like take a subgradient (0 or an even
      split never arises: ties go to the first operand); by a complex value the result is d/dRe + i d/dIm (language.md, 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from seqc.compiler.graph.simplify import Simplifier
from seqc.compiler.graph.table import number_of
from seqc.compiler.ir.expr import (
    Along,
    Apply,
    Axes,
    Contract,
    Expand,
    Expr,
    Literal_,
    Merge,
    Move,
    Norm,
    Number,
    OneHot,
    Read,
    Reduce,
    Rename,
    Split,
    children,
)
from seqc.compiler.ir.graph import Entry


def _lags(e: Read) -> tuple[Move, ...]:
    return tuple(m for m in e.moves if m.kind not in ("rename", "gather"))


class NoDerivative(Exception):
    """Something on the way has no symbolic derivative."""


FLAT = frozenset("sign floor ceil eq ne lt le gt ge and or not stop bitlen xor roundup".split())
"""Functions whose derivative is 0 wherever it is defined."""


class Gradients:
    """Reverse mode over the entries of one graph."""

    def __init__(self, make: Simplifier, entries: Mapping[str, Entry], level: tuple[str, ...] = ()) -> None:
        self.make = make
        self.entries = entries
        self.level = level

    # ---- building blocks ----------------------------------------------------------------------------------------------

    def op(self, fn: str, *args: Expr) -> Expr:
        """An elementwise function of canonical nodes."""
        return self.make.apply(fn, *args)

    def number(self, value: int | float) -> Expr:
        """A literal."""
        kind = "int" if isinstance(value, int) else "real"
        return self.make(Literal_(value, type=kind))  # type: ignore[arg-type]

    def sum(self, e: Expr, over: Axes) -> Expr:
        """The sum over axes it has (an axis along which it was only repeated counts its size: kept as a reduction)."""
        over = tuple(a for a in over if a in e.axes)
        if not over:
            return e
        axes = tuple(a for a in e.axes if a not in over)
        return self.make(Reduce("sum", e, over, axes=axes, type=e.type, span=e.span))

    def times(self, a: Expr, b: Expr, onto: Axes) -> Expr:
        """`a * b` summed over every axis that is not in `onto`: a contraction wherever both have it."""
        a = self.sum(a, tuple(x for x in a.axes if x not in onto and x not in b.axes))
        b = self.sum(b, tuple(x for x in b.axes if x not in onto and x not in a.axes))
        over = tuple(x for x in a.axes if x in b.axes and x not in onto)
        if not over:
            return self.op("mul", a, b)
        axes = tuple(x for x in a.axes if x not in over) + tuple(x for x in b.axes if x not in a.axes and x not in over)
        kind = "complex" if "complex" in (a.type, b.type) else "real"
        return self.make(Contract(a, b, over, axes=axes, type=kind, span=a.span))  # type: ignore[arg-type]

    def conj(self, e: Expr) -> Expr:
        """The conjugate, where it is complex."""
        return self.op("conj", e) if e.type == "complex" else e

    def down(self, g: Expr, operand: Expr) -> Expr:
        """A cotangent brought to an operand's axes and type."""
        g = self.sum(g, tuple(a for a in g.axes if a not in operand.axes))
        if g.type == "complex" and operand.type != "complex":
            g = self.op("re", g)
        return self.make.fit(g, operand)

    # ---- the walk -----------------------------------------------------------------------------------------------------

    def __call__(self, loss: Expr, wrt: Read) -> Expr | None:
        """d loss / d wrt, or None where it must stay a `Grad`."""
        try:
            order = self._dependent(loss, wrt)
        except NoDerivative:
            return None
        if not order:
            return self.make.literal(0, wrt)
        cotangent: dict[int, Expr] = {id(loss): self.make.literal(1, loss)}
        total: list[Expr] = []
        alive = {id(e) for e in order}

        def give(e: Expr, g: Expr) -> None:
            if id(e) in alive and number_of(g) != 0:
                g = self.down(g, e)
                old = cotangent.get(id(e))
                cotangent[id(e)] = g if old is None else self.op("add", old, g)

        try:
            for e in reversed(order):
                g = cotangent.get(id(e))
                if g is None:
                    continue
                if e is wrt:
                    total.append(g)
                elif isinstance(e, Read):
                    self._read(e, wrt, g, give)
                else:
                    self._pull_back(e, g, give)
        except NoDerivative:
            return None
        return self.make.fit(total[0], wrt) if total else self.make.literal(0, wrt)

    def _dependent(self, loss: Expr, wrt: Read) -> list[Expr]:
        """The nodes between `wrt` and `loss`, children first, through names read at this step."""
        order: list[Expr] = []
        depends: dict[int, bool] = {}
        stack: list[tuple[Expr, bool]] = [(loss, False)]
        while stack:
            e, ready = stack.pop()
            below = self._below(e, wrt)
            if ready:
                depends[id(e)] = e is wrt or any(depends.get(id(c), False) for c in below)
                if depends[id(e)]:
                    order.append(e)
            elif id(e) not in depends:
                depends[id(e)] = False
                stack.append((e, True))
                stack.extend((c, False) for c in below if id(c) not in depends)
        return order

    def _below(self, e: Expr, wrt: Read) -> list[Expr]:
        """What `e` is computed from at this step. Raises `NoDerivative` where that crosses a level."""
        if e is wrt:
            return []
        if not isinstance(e, Read):
            return list(children(e))
        if e.name == wrt.name and e.field_ == wrt.field_ and _lags(e) == _lags(wrt):
            if len(wrt.moves) != len(_lags(wrt)):
                raise NoDerivative
            return [wrt]
        entry = self.entries.get(e.name)
        if entry is None or entry.node is None:
            return []
        if any(m.kind in ("level", "family") for m in e.moves) or entry.level != self.level:
            raise NoDerivative
        if any(m.kind not in ("rename", "gather") for m in e.moves):
            return []
        if e.field_:
            raise NoDerivative
        return [entry.node]

    def _read(self, e: Read, wrt: Read, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        (node,) = self._below(e, wrt)
        for move in reversed(e.moves):
            if node is wrt and move in wrt.moves:
                continue
            if move.kind == "rename" and isinstance(move.index, Number) and move.axis not in g.axes:
                axes = tuple(move.axis if a == move.index.of else a for a in g.axes)
                g = self.make(Rename(g, ((move.index.of, move.axis),), axes=axes, type=g.type, span=e.span))
            elif move.kind == "gather":
                index = move.index
                hot = self.make(OneHot(index, move.axis, axes=(*index.axes, move.axis), span=e.span))
                keep = tuple(a for a in g.axes if a not in index.axes) + (move.axis,)
                g = self.times(g, hot, keep)
            else:
                raise NoDerivative
        give(node, g)

    def _pull_back(self, e: Expr, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        match e:
            case Apply():
                self._apply(e, g, give)
            case Contract():
                give(e.left, self.times(g, self.conj(e.right), e.left.axes))
                give(e.right, self.times(g, self.conj(e.left), e.right.axes))
            case Expand():
                give(e.arg, g)
            case Rename():
                back = {b: a for a, b in e.pairs}
                axes = tuple(back.get(a, a) for a in g.axes)
                pairs = tuple((b, a) for a, b in e.pairs if b in g.axes)
                give(e.arg, self.make(Rename(g, pairs, axes=axes, type=g.type, span=e.span)) if pairs else g)
            case Reduce():
                self._reduce(e, g, give)
            case Along():
                self._along(e, g, give)
            case Norm():
                self._norm(e, g, give)
            case Split():
                give(e.arg, self.make(Merge(g, e.axis, (e.outer, e.inner), axes=e.arg.axes, type=g.type, span=e.span)))
            case Merge() if len(e.parts) == 2:
                outer, inner = e.parts
                give(e.arg, self.make(Split(g, e.axis, outer, inner, axes=e.arg.axes, type=g.type, span=e.span)))
            case Merge() if len(e.parts) == 1:
                pairs = ((e.axis, e.parts[0]),)
                give(e.arg, self.make(Rename(g, pairs, axes=e.arg.axes, type=g.type, span=e.span)))
            case _:
                raise NoDerivative

    # ---- rules --------------------------------------------------------------------------------------------------------

    def _apply(self, e: Apply, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        a = e.args
        one = self.number(1)
        op = self.op
        match e.fn:
            case fn if fn in FLAT:
                return
            case "add":
                for x in a:
                    give(x, g)
            case "sub":
                give(a[0], g)
                give(a[1], op("neg", g))
            case "neg":
                give(a[0], op("neg", g))
            case "mul" | "outer":
                for i, x in enumerate(a):
                    others = a[:i] + a[i + 1 :]
                    h = g
                    for y in others[:-1]:
                        h = op("mul", h, self.conj(y))
                    give(x, self.times(h, self.conj(others[-1]), x.axes) if others else h)
            case "div":
                inverse = self.conj(op("div", one, a[1]))
                give(a[0], self.times(g, inverse, a[0].axes))
                give(a[1], self.times(g, self.conj(op("neg", op("div", e, a[1]))), a[1].axes))
            case "pow":
                self._power(e, g, give)
            case "where":
                zero = self.number(0)
                give(a[1], op("where", a[0], g, self.make.fit(zero, g)))
                give(a[2], op("where", a[0], self.make.fit(zero, g), g))
            case "max" | "min":
                compare = "ge" if e.fn == "max" else "le"
                for i, x in enumerate(a):
                    take = op("eq", x, e)
                    for y in a[:i]:
                        take = op("and", take, op("ne", y, e))
                    give(x, op("where", take if len(a) > 2 or i else op(compare, x, a[1]), g, self.make.fit(self.number(0), g)))
            case "stop":
                return
            case "through":
                give(a[1], g)
            case "complex":
                give(a[0], op("re", g))
                give(a[1], op("im", g))
            case "re":
                give(a[0], op("complex", g, self.make.fit(self.number(0), g)))
            case "im":
                give(a[0], op("complex", self.make.fit(self.number(0), g), g))
            case "conj":
                give(a[0], op("conj", g))
            case "abs" if a[0].type == "complex":
                give(a[0], op("mul", g, op("div", a[0], e)))
            case "cis":
                turned = op("mul", self.conj(g), e)
                give(a[0], op("neg", op("im", turned)))
            case "logaddexp":
                give(a[0], op("mul", g, op("expdiff", a[0], e)))
                give(a[1], op("mul", g, op("expdiff", a[1], e)))
            case "expdiff":
                give(a[0], op("mul", g, e))
                give(a[1], op("neg", op("mul", g, e)))
            case "mod":
                give(a[0], g)
                if number_of(a[1]) is None:
                    give(a[1], op("neg", op("mul", g, op("floor", op("div", a[0], a[1])))))
            case _:
                give(a[0], op("mul", g, self.conj(self._slope(e.fn, a[0], e))))

    def _power(self, e: Apply, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        base, exponent = e.args
        n = number_of(exponent)
        op = self.op
        lower = self.number(n - 1) if n is not None else op("sub", exponent, self.number(1))
        slope = op("mul", exponent if n is None else self.number(n), op("pow", base, lower))
        give(base, self.times(g, self.conj(slope), base.axes))
        if n is None:
            give(exponent, self.times(g, op("mul", e, op("log", base)), exponent.axes))

    def _slope(self, fn: str, x: Expr, y: Expr) -> Expr:
        op, one, two = self.op, self.number(1), self.number(2)
        match fn:
            case "sigmoid":
                return op("mul", y, op("sub", one, y))
            case "tanh":
                return op("sub", one, op("pow", y, two))
            case "exp":
                return y
            case "expm1":
                return op("add", y, one)
            case "log":
                return op("div", one, x)
            case "log1p":
                return op("div", one, op("add", one, x))
            case "sqrt":
                return op("div", one, op("mul", two, y))
            case "softplus":
                return op("sigmoid", x)
            case "logsigmoid":
                return op("sigmoid", op("neg", x))
            case "sin":
                return op("cos", x)
            case "cos":
                return op("neg", op("sin", x))
            case "atan":
                return op("div", one, op("add", one, op("pow", x, two)))
            case "abs":
                return op("sign", x)
            case "relu":
                return op("where", op("gt", x, self.number(0)), one, self.number(0))
            case "silu":
                s = op("sigmoid", x)
                return op("mul", s, op("add", one, op("mul", x, op("sub", one, s))))
        raise NoDerivative

    def _reduce(self, e: Reduce, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        wide = self.make(Expand(g, axes=e.arg.axes, type=g.type, span=e.span)) if set(e.arg.axes) - set(g.axes) else g
        match e.fn:
            case "sum":
                give(e.arg, wide)
            case "mean" if "batch" not in e.over:
                ones = self.make(Expand(self.number(1), axes=e.over, span=e.span))
                count = self.make(Reduce("sum", ones, e.over, span=e.span))
                give(e.arg, self.op("div", wide, count))
            case "logsumexp":
                give(e.arg, self.op("mul", g, self.op("expdiff", e.arg, e)))
            case "max" | "min":
                give(e.arg, self.op("where", self.op("eq", e.arg, e), g, self.number(0)))
            case "prod":
                give(e.arg, self.op("div", self.op("mul", g, e), e.arg))
            case "argmax":
                return
            case _:
                raise NoDerivative

    def _along(self, e: Along, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        op = self.op
        match e.fn:
            case "softmax":
                mixed = self.times(g, e, tuple(a for a in e.axes if a not in e.over))
                give(e.arg, op("mul", e, op("sub", g, mixed)))
            case "l2norm":
                length = op("sqrt", self.sum(op("pow", e.arg, self.number(2)), e.over))
                mixed = self.times(g, e, tuple(a for a in e.axes if a not in e.over))
                give(e.arg, op("div", op("sub", g, op("mul", e, mixed)), length))
            case "cumsum":
                whole = self.sum(g, e.over)
                before = self.make(replace(e, arg=g))
                give(e.arg, op("add", op("sub", whole, before), g))
            case "fft" | "ifft":
                other = "ifft" if e.fn == "fft" else "fft"
                give(e.arg, self.make(replace(e, fn=other, arg=g, type="complex")))
            case "rank" | "topk":
                return
            case _:
                raise NoDerivative

    def _norm(self, e: Norm, g: Expr, give: Callable[[Expr, Expr], None]) -> None:
        if e.fn not in ("rmsnorm", "layernorm"):
            raise NoDerivative
        op = self.op
        x = e.arg
        ones = self.make(Expand(self.number(1), axes=e.over, span=e.span))
        count = self.make(Reduce("sum", ones, e.over, span=e.span))
        eps = self.number(e.eps)
        onto = tuple(a for a in x.axes if a not in e.over)

        def mean(v: Expr) -> Expr:
            return op("div", self.sum(v, e.over), count)

        centred = op("sub", x, mean(x)) if e.fn == "layernorm" else x
        scale = op("sqrt", op("add", mean(op("pow", centred, self.number(2))), eps))
        y = op("div", centred, scale)
        h = g if e.gain is None else op("mul", g, e.gain)
        h = self.make.fit(h, x)
        inner = op("sub", h, op("mul", y, op("div", self.times(h, y, onto), count)))
        if e.fn == "layernorm":
            inner = op("sub", inner, mean(h))
        give(x, op("div", inner, scale))
        if e.gain is not None:
            give(e.gain, self.times(g, y, e.gain.axes))
        if e.bias is not None:
            give(e.bias, self.sum(g, tuple(a for a in g.axes if a not in e.bias.axes)))

"""Equations as kernel statements.

In:   expressions of a checked body, the names that the kernel computes (`inside`), and which of their past values are carried.
Out:  statements in a `Builder`; complex values as pairs of reals; for everything that comes from outside a `Source` that says
      how the emitter around makes it.
Refuses: `Unfit`, with the reason: what is not elementwise, nor a reduction whose operand has only axes that some value has
already.

What depends on no name of the kernel is a leaf where it is not elementwise (a layer, a convolution, a norm, a whole number);
elementwise parts above the leaves are computed in the kernel, so that raw pre-activations cross the border and gates do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Axes, Expr
from seqc.compiler.ir.kernel import Arg, Kind, Operand, Var
from seqc.compiler.lower.kernels.builder import Builder

REAL = frozenset((
    "sigmoid", "tanh", "softplus", "logsigmoid", "log1p", "expm1", "silu", "gelu", "relu", "sin", "cos", "atan", "exp", "log", "sqrt",
    "abs", "sign", "floor", "ceil", "mod", "logaddexp", "expdiff", "div", "sub", "neg", "stop", "through",
))  # fmt: skip
CHAINS = {"add": "add", "mul": "mul", "outer": "mul", "min": "min", "max": "max"}
TRUTH = {"lt": ("lt", False), "le": ("le", False), "gt": ("lt", True), "ge": ("le", True), "eq": ("eq", False), "ne": ("ne", False)}
COMPLEX = frozenset(
    ("add", "sub", "mul", "outer", "neg", "div", "exp", "expm1", "cis", "re", "im", "conj", "complex", "where", "stop", "abs")
)
ELEMENTWISE = REAL | frozenset(CHAINS) | frozenset(TRUTH) | COMPLEX | frozenset(("pow", "where", "and", "or", "not"))


class Unfit(Exception):
    """An expression that no kernel of this kind computes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an operand comes from.

    what   `expr`; `state`, the value of `name` `lag` steps before the first; `first`, what stands there after a reset; `size`,
           the number of positions of the axis `name`; `reset` and `valid`, 0 or 1 for each step
    part   `re` or `im` of a complex value, else ""
    """

    what: str
    expr: Expr | None = None
    name: str = ""
    lag: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A traced value: one part, or real and imaginary part."""

    parts: tuple[Arg, ...]

    @property
    def complex(self) -> bool:
        """Whether it is a pair."""
        return len(self.parts) == 2

    @property
    def re(self) -> Arg:
        """The (real part of the) value."""
        return self.parts[0]

    @property
    def im(self) -> Arg:
        """The imaginary part."""
        return self.parts[1] if self.complex else 0.0


@dataclass(slots=True)
class Carried:
    """The past of one name: a carry for each step back and part; `previous[lag - 1]`."""

    name: str
    axes: Axes
    raw: list[Value] = field(default_factory=list)
    previous: list[Value] = field(default_factory=list)


class Tracer:
    """Traces the equations of one kernel."""

    def __init__(self, body: spec.Body, chain: str, axes: Axes, inside: frozenset[str], masked: bool = False) -> None:
        self.body, self.chain, self.inside, self.masked = body, chain, inside, masked
        self.table: Mapping[str, spec.Value] = body.table
        self.b = Builder(axes)
        self.operands: list[Operand] = []
        self.sources: list[Source] = []
        self.names: dict[str, Value] = {}
        self.carried: dict[str, Carried] = {}
        self._memo: dict[int, tuple[Expr, Value]] = {}
        self._leaves: dict[tuple[object, ...], Value] = {}
        self._kinds: dict[str, Kind] = {}
        self._reading: set[str] = set()
        self._roots: list[Expr] = []
        self.dense: frozenset[str] = frozenset()
        self._dense = False
        self.room: list[frozenset[str]] = []
        self.masks: dict[str, Arg] = {}

    # ---- what comes from outside --------------------------------------------------------------------------------------

    def kind_of(self, e: Expr) -> Kind:
        """What an expression that reads nothing of the kernel depends on."""
        worst: Kind = "number"
        order: tuple[Kind, ...] = ("number", "once", "run", "step")
        for n in x.walk(e):
            here: Kind = "number"
            match n:
                case x.Read(name=name, field_=f, moves=moves):
                    here = "step" if f or any(m.axis == self.chain and m.kind != "family" for m in moves) else self.kind_of_name(name)
                case x.Number(of=of, axes=axes):
                    here = "step" if of == self.chain or self.chain and self._second(of) else "once" if axes else "number"
                case x.Length(of=of):
                    here = "number" if of[:1].isupper() else "run"
                case x.Literal_() | x.DimSize():
                    continue
                case x.Draw() | x.Dropout() | x.Invoke() | x.Scan() | x.Conv() | x.Grad():
                    here = "step"
                case x.Contract() | x.Reduce() | x.Along() | x.Norm() | x.OneHot() | x.Expand():
                    here = "once"
                case _:
                    continue
            worst = max(worst, here, key=order.index)
        return worst

    def _second(self, axis: str) -> bool:
        i = next((i for i in self.body.indices if i.name == axis), None)
        return i is not None and i.of == self.chain

    def kind_of_name(self, name: str) -> Kind:
        """What a name depends on."""
        if name in self._kinds:
            return self._kinds[name]
        v = self.table.get(name)
        found: Kind = "step"
        if v is not None and v.kind in ("param", "const"):
            found = "once" if v.axes or v.kind == "param" else "number"
        elif v is not None and v.kind == "input":
            found = "run" if v.once else "step"
        elif v is not None and v.kind in ("let", "gate", "out", "hidden") and v.value is not None and not v.level:
            self._kinds[name] = "step"
            found = self.kind_of(v.value)
            found = "once" if found == "number" and v.axes else found
        self._kinds[name] = found
        return found

    def operand(self, kind: Kind, axes: Axes, source: Source, hint: str = "") -> Var:
        """A new operand."""
        v = self.b.var(axes, hint=hint, steady=kind in ("run", "once", "number"))
        self.operands.append(Operand(v, kind))
        self.sources.append(source)
        return v

    def leaf(self, e: Expr) -> Value:
        """A value from outside."""
        if isinstance(e, x.Literal_) and isinstance(e.value, bool | int | float):
            return Value((float(e.value),))
        if e.type == "text":
            raise Unfit("a text")
        key: tuple[object, ...] = (e.name, e.field_, e.moves) if isinstance(e, x.Read) else (id(e),)
        if key in self._leaves:
            return self._leaves[key]
        axes = tuple(a for a in e.axes if a != self.chain)
        kind = self.kind_of(e)
        if kind == "number" and axes:
            kind = "once"
        hint = e.name if isinstance(e, x.Read) else ""
        unknown = [a for a in axes if a not in self.b.axes]
        if unknown:
            raise Unfit(f"the axis {unknown[0]}")
        if e.type == "complex":
            if kind == "number":
                raise Unfit("a complex number known when the module is built")
            made = Value(tuple(self.operand(kind, axes, Source("expr", e, part=p), f"{p} {hint}".strip()) for p in ("re", "im")))
        else:
            made = Value((self.operand(kind, axes, Source("expr", e), hint),))
            if e.type == "bool":
                made = Value((self.b.apply("ne", made.re, 0.0),))
        self._leaves[key] = made
        self._roots.append(e)  # so that its id stays its own
        return made

    # ---- what the kernel computes -------------------------------------------------------------------------------------

    def depends(self, e: Expr) -> bool:
        """Whether an expression reads anything that the kernel computes."""
        return any(r.name in self.inside for r in x.reads(e))

    def name(self, name: str) -> Value:
        """The value of a name of the kernel at this step."""
        held = self.names.get(name)
        if held is None:
            v = self.table[name]
            assert v.value is not None
            if name in self._reading:
                raise Unfit(f"`{name}` needs itself")
            self._reading.add(name)
            outer, self._dense = self._dense, name in self.dense
            try:
                held = self.fitted(self.trace(v.value), tuple(a for a in v.axes or () if a != self.chain), v.type)
            finally:
                self._dense = outer
                self._reading.discard(name)
            self.names[name] = held
            for part, word in zip(held.parts, ("re ", "im ") if held.complex else ("",), strict=True):
                self.b.name(part, word + name)
        return held

    def fitted(self, value: Value, axes: Axes, kind: x.Type) -> Value:
        """A value with the axes and the type that its name declares."""
        parts = list(value.parts)
        if kind == "complex" and len(parts) == 1:
            parts.append(0.0)
        if kind != "complex" and len(parts) == 2:
            raise Unfit("a complex value where a real one is declared")
        lost = [a for p in parts if isinstance(p, Var) for a in p.axes if a not in axes]
        if lost:
            raise Unfit(f"the axis {lost[0]} is dropped")
        if kind == "bool":
            return Value(tuple(parts))
        return Value(tuple(self.b.wide(p, axes) if axes or isinstance(p, Var) else p for p in parts))

    def past(self, name: str, lag: int) -> Value:
        """The value of a name `lag` steps ago."""
        v = self.table[name]
        axes = tuple(a for a in v.axes or () if a != self.chain)
        unknown = [a for a in axes if a not in self.b.axes]
        if unknown or v.type not in ("real", "complex", "int"):
            raise Unfit(f"`{name}` is carried as {v.type} with the axes {axes}")
        held = self.carried.setdefault(name, Carried(name, axes))
        while len(held.previous) < lag:
            back = len(held.previous) + 1
            parts = ("re", "im") if v.type == "complex" else ("",)
            raw = tuple(self.b.var(axes, hint=name) for _ in parts)
            held.raw.append(Value(raw))
            if self.masked:
                at = self.mask("reset")
                first = [self.operand("run", axes, Source("first", name=name, lag=back, part=p), f"first {name}") for p in parts]
                held.previous.append(Value(tuple(self.b.apply("where", at, f, r) for f, r in zip(first, raw, strict=True))))
            else:
                held.previous.append(Value(raw))
        return held.previous[lag - 1]

    def mask(self, what: str) -> Arg:
        """`reset` or `valid` of this step."""
        if what not in self.masks:
            self.masks[what] = self.b.apply("ne", self.operand("step", (), Source(what), what), 0.0)
        return self.masks[what]

    def trace(self, e: Expr) -> Value:
        """The value of an expression."""
        held = self._memo.get(id(e))
        if held is not None:
            return held[1]
        made = self._trace(e)
        self._memo[id(e)] = (e, made)
        return made

    def _trace(self, e: Expr) -> Value:
        if not self.depends(e) and not self.worth(e):
            return self.leaf(e)
        match e:
            case x.Read():
                return self.read(e)
            case x.Apply():
                return self.apply(e)
            case x.Expand(arg=a):
                return self.fitted(self.trace(a), tuple(i for i in e.axes if i != self.chain), e.type)
            case x.Contract(left=a, right=b, over=over):
                made = self.layered(a, b, over) if self._dense else None
                if made is not None:
                    return made
                left, right = self.trace(a), self.trace(b)
                # weights are no room: a product with them has their size at each step
                big = [v for v, side in ((left, a), (right, b)) if self.depends(side) or self.kind_of(side) == "step"]
                self.fits(*big, product=(left, right))
                return self.summed(self.product(left, right), over)
            case x.Reduce():
                return self.reduce(e)
            case x.Rename(arg=a, pairs=pairs):
                return self.renamed(self.trace(a), dict(pairs))
            case x.Solve():
                return self.solved(e)
            case x.Along(fn="softmax"):
                return self.along(e)
            case x.Norm(fn="rmsnorm" | "layernorm"):
                return self.norm(e)
        raise Unfit(f"{type(e).__name__.lower()} of a value that changes with the state")

    def layered(self, a: Expr, b: Expr, over: Axes) -> Value | None:
        """A product of a weight with a value that changes with the state; None where it is none of this kind."""
        if self.depends(a) == self.depends(b):
            return None
        value, weight = (a, b) if self.depends(a) else (b, a)
        if self.kind_of(weight) not in ("once", "run") or self.chain in over:
            return None
        inner, names = unnamed(value)
        if any(n not in weight.axes for n in over):
            return None
        arg = self.trace(inner)
        if not names and self.roomy(weight, arg, over):
            return None
        here = {a for p in arg.parts if isinstance(p, Var) for a in p.axes}
        pairs = tuple((n, names.get(n, n)) for n in over)
        to = tuple((n, n) for n in weight.axes if n not in over)
        if (here - {v for _, v in pairs}) & set(names.values()):
            arg, pairs = self.renamed(arg, {v: n for n, v in names.items()}), tuple((n, n) for n in over)
        return self.weighted(weight, arg, pairs, to)

    def solved(self, e: x.Solve) -> Value:
        """The solution of linear equations whose matrix does not change: a product with the matrix's inverse, made outside."""
        if self.depends(e.matrix) or self.kind_of(e.matrix) not in ("once", "run"):
            raise Unfit("linear equations whose matrix changes with the state or the step")
        right = self.trace(e.rhs)
        here = {a for p in right.parts if isinstance(p, Var) for a in p.axes}
        row = e.row if e.row in here or e.over not in here else e.over
        inverse = x.Along("inverse", e.matrix, (e.over,), other=e.row, axes=e.matrix.axes, type=e.matrix.type, span=e.span)
        rest = tuple((a, a) for a in e.matrix.axes if a not in (e.row, e.over))
        # rows and columns of the inverse have each other's names
        made = self.weighted(inverse, right, ((e.over, row),), (*rest, (e.row, e.result)))
        if made is None:
            raise Unfit("linear equations with an axis that is nowhere else")
        return made

    def weighted(self, weight: Expr, arg: Value, pairs: tuple[tuple[str, str], ...], to: tuple[tuple[str, str], ...]) -> Value | None:
        """A product with a weight from outside; None where an axis is unknown."""
        if any(a not in self.b.axes for a in (*weight.axes, *(v for _, v in (*pairs, *to)))):
            return None
        w = self.leaf(weight)
        ws = [p for p in w.parts if isinstance(p, Var)]
        if len(ws) != len(w.parts) or any(set(p.axes) != set(weight.axes) for p in ws):
            return None
        parts = [self.number(p) for p in arg.parts]

        def times(i: int, j: int) -> Var:
            return self.b.product(ws[i], parts[j], pairs, to)

        if not w.complex and not arg.complex:
            return Value((times(0, 0),))
        if not w.complex:
            return Value((times(0, 0), times(0, 1)))
        if not arg.complex:
            return Value((times(0, 0), times(1, 0)))
        re = self.b.apply("sub", times(0, 0), times(1, 1))
        return Value((re, self.b.apply("add", times(0, 1), times(1, 0))))

    def roomy(self, weight: Expr, arg: Value, over: Axes) -> bool:
        """Whether the product's terms are no more than some value has entries anyway: then it is elementwise."""
        have = {a for p in arg.parts if isinstance(p, Var) for a in p.axes} | set(weight.axes)
        sets = [frozenset(p.axes) for p in arg.parts if isinstance(p, Var)]
        sets += [frozenset(c.axes) for c in self.carried.values()] + self.room
        return any(have <= s for s in sets)

    def worth(self, e: Expr) -> bool:
        """Whether an expression that reads nothing of the kernel is computed in it all the same: elementwise, of real or
        complex leaves."""
        if not isinstance(e, x.Apply) or e.fn not in ELEMENTWISE or e.type in ("int", "text"):
            return False
        if any(a.type in ("int", "text") and not isinstance(a, x.Literal_) and self.kind_of(a) != "number" for a in e.args):
            return False
        if e.type == "complex" or any(a.type == "complex" for a in e.args):
            if e.fn not in COMPLEX:
                return False
        if self.kind_of(e) == "number":
            return False
        if e.fn == "where" and self.kind_of(e.args[0]) == "number":
            return False
        if any(isinstance(a, x.NotGiven) for a in e.args) or any(self.static_choice(a) for a in e.args):
            return False
        return not self.layer(e)

    def static_choice(self, e: Expr) -> bool:
        """A choice that is made when the module is built."""
        return isinstance(e, x.Apply) and e.fn == "where" and self.kind_of(e.args[0]) == "number"

    def layer(self, e: x.Apply) -> bool:
        """A sum of products with weights and a bias: one call of a matrix product outside."""
        if e.fn != "add":
            return False
        return any(isinstance(a, x.Contract) for a in e.args) and all(
            isinstance(a, x.Contract) or isinstance(a, x.Read) and self.kind_of(a) == "once" for a in e.args
        )

    def read(self, e: x.Read) -> Value:
        """A name of the kernel, now or steps ago."""
        if e.name not in self.inside:
            return self.leaf(e)
        if e.field_:
            raise Unfit(f"the field {e.field_} of `{e.name}`")
        if not e.moves:
            return self.name(e.name)
        if len(e.moves) == 1 and e.moves[0].kind == "lag" and e.moves[0].axis == self.chain:
            by = e.moves[0].index
            if isinstance(by, x.Literal_) and isinstance(by.value, int) and 1 <= by.value <= 8:
                return self.past(e.name, by.value)
        inner, names = unnamed(e)
        if names and isinstance(inner, x.Read) and not any(m.kind == "rename" for m in inner.moves):
            return self.renamed(self.read(inner), {old: new for new, old in names.items()})
        raise Unfit(f"`{e.name}` is read at a place that is no fixed number of steps ago")

    def renamed(self, v: Value, names: Mapping[str, str]) -> Value:
        """A value with axes under other names."""
        unknown = [a for a in names.values() if a not in self.b.axes]
        if unknown:
            raise Unfit(f"the axis {unknown[0]}")
        for p in v.parts:
            mine = {a for a in (p.axes if isinstance(p, Var) else ()) if a not in names}
            if mine & {names[a] for a in (p.axes if isinstance(p, Var) else ()) if a in names}:
                raise Unfit("an axis under the name of another one that is there")
        return Value(tuple(self.b.rename(p, tuple(names.items())) for p in v.parts))

    # ---- elementwise --------------------------------------------------------------------------------------------------

    def apply(self, e: x.Apply) -> Value:
        """An elementwise function."""
        fn = e.fn
        if fn not in ELEMENTWISE:
            raise Unfit(f"the function {fn}")
        if fn == "add":
            args = [self.trace(a) for a in self.grouped(e)]
        else:
            args = [self.trace(a) for a in e.args]
        b = self.b
        if any(a.complex for a in args) or fn in ("complex", "cis"):
            return self.complex(e, args)
        r = [a.re for a in args]
        if fn not in ("and", "or", "not", "where"):
            r = [self.number(a) for a in r]
        if fn in CHAINS:
            out = r[0]
            for a in r[1:]:
                out = b.apply(CHAINS[fn], out, a)
            return Value((out,))
        if fn in TRUTH:
            name, swap = TRUTH[fn]
            return Value((b.apply(name, r[1], r[0]) if swap else b.apply(name, r[0], r[1]),))
        if fn in ("and", "or"):
            out = r[0]
            for a in r[1:]:
                out = b.apply(fn, out, a)
            return Value((out,))
        if fn == "not":
            return Value((b.apply("not", r[0]),))
        if fn == "where":
            truth = e.type == "bool"
            if truth:
                raise Unfit("a choice between truth values")
            return Value((b.apply("where", r[0], self.number(r[1]), self.number(r[2])),))
        if fn == "pow":
            return Value((self.power(r[0], r[1], e.args[1]),))
        if fn in ("re", "conj"):
            return Value((r[0],))
        if fn == "im":
            return Value((b.apply("mul", r[0], 0.0),))
        if fn in ("stop", "through"):
            return Value((self.stopped(fn, r),))
        if fn in REAL:
            return Value((b.apply(fn, *r),))
        raise Unfit(f"the function {fn}")

    def stopped(self, fn: str, r: list[Arg]) -> Arg:
        """`stop` and `through`: the value has all axes of both."""
        if not isinstance(r[0], Var):
            r[0] = self.b.wide(r[0], self.b.union(r))
        if fn == "through":
            r[0] = self.b.wide(r[0], self.b.union(r))
        return self.b.apply(fn, *r)

    def number(self, a: Arg) -> Arg:
        """A truth value as 0 or 1."""
        return self.b.apply("number", a) if isinstance(a, Var) and a.type == "bool" else a

    def grouped(self, e: x.Apply) -> list[Expr]:
        """The operands of a sum; layers and their biases stay together, so that one matrix product makes them."""
        flat: list[Expr] = []
        stack: list[Expr] = [e]
        while stack:
            n = stack.pop()
            if isinstance(n, x.Apply) and n.fn == "add" and n.type == e.type and id(n) not in self._memo:
                stack.extend(reversed(n.args))
            else:
                flat.append(n)
        layers = [a for a in flat if isinstance(a, x.Contract) and not self.depends(a)]
        if not layers:
            return flat
        extra = [a for a in flat if isinstance(a, x.Read) and a.name not in self.inside and self.kind_of(a) == "once"]
        group = [a for a in flat if any(a is g for g in (*layers, *extra))]
        if len(group) < 2:
            return flat
        have = {i for g in group for i in g.axes}
        kind: x.Type = "complex" if any(g.type == "complex" for g in group) else "real"
        one = x.Apply("add", tuple(group), axes=tuple(a for a in e.axes if a in have), type=kind, span=e.span)
        out: list[Expr] = []
        for a in flat:
            if a is group[0]:
                out.append(one)
            elif not any(a is g for g in group):
                out.append(a)
        return out

    def power(self, a: Arg, p: Arg, exponent: Expr) -> Arg:
        """`a ^ p`; small literal powers by products, powers of a sigmoid or an exponential by their logarithm."""
        b = self.b
        if isinstance(p, Var):
            made = b.made(a)
            if made is not None and made.fn in ("sigmoid", "exp") and self.positive(exponent):
                inner = b.apply("logsigmoid", made.args[0]) if made.fn == "sigmoid" else made.args[0]
                return b.apply("exp", b.apply("mul", p, inner))
            return b.apply("pow", a, p)
        if p == 2.0:
            return b.apply("mul", a, a)
        if p == 3.0:
            return b.apply("mul", b.apply("mul", a, a), a)
        if p == 0.5:
            return b.apply("sqrt", a)
        if p == -0.5:
            return b.apply("rsqrt", a)
        if p == -1.0:
            return b.apply("div", 1.0, a)
        return b.apply("pow", a, p)

    def positive(self, e: Expr) -> bool:
        """Whether a value is above 0 by what the spec declares of it."""
        v = self.table.get(e.name) if isinstance(e, x.Read) and not e.field_ else None
        low = v.bounds.low if v is not None and v.bounds is not None else None
        if not isinstance(low, x.Literal_) or isinstance(low.value, str):
            return False
        return float(low.value) > 0 or float(low.value) == 0 and v is not None and v.bounds is not None and v.bounds.low_open

    # ---- complex ------------------------------------------------------------------------------------------------------

    def product(self, p: Value, q: Value) -> Value:
        """A product of real or complex values."""
        b = self.b
        if not p.complex and not q.complex:
            return Value((b.apply("mul", self.number(p.re), self.number(q.re)),))
        if not p.complex or not q.complex:
            z, r = (p, q.re) if p.complex else (q, p.re)
            return Value((b.apply("mul", z.re, r), b.apply("mul", z.im, r)))
        re = b.apply("sub", b.apply("mul", p.re, q.re), b.apply("mul", p.im, q.im))
        return Value((re, b.apply("add", b.apply("mul", p.re, q.im), b.apply("mul", p.im, q.re))))

    def complex(self, e: x.Apply, args: list[Value]) -> Value:
        """A function with a complex operand or result."""
        b = self.b
        z = args[0]
        match e.fn:
            case "add" | "sub":
                re, im = z.re, z.im
                for a in args[1:]:
                    re, im = b.apply(e.fn, re, a.re), b.apply(e.fn, im, a.im)
                return Value((re, im))
            case "mul" | "outer":
                for a in args[1:]:
                    z = self.product(z, a)
                return z
            case "pow" if len(args) == 2 and args[1].re in (2.0, 3.0):
                square = self.product(z, z)
                return square if args[1].re == 2.0 else self.product(square, z)
            case "neg":
                return Value((b.apply("neg", z.re), b.apply("neg", z.im)))
            case "div":
                w = args[1]
                if not w.complex:
                    return Value((b.apply("div", z.re, w.re), b.apply("div", z.im, w.re)))
                size = b.apply("add", b.apply("mul", w.re, w.re), b.apply("mul", w.im, w.im))
                top = self.product(z, Value((w.re, b.apply("neg", w.im))))
                return Value((b.apply("div", top.re, size), b.apply("div", top.im, size)))
            case "exp":
                size = b.apply("exp", z.re)
                return Value((b.apply("mul", size, b.apply("cos", z.im)), b.apply("mul", size, b.apply("sin", z.im))))
            case "expm1":
                half = b.apply("sin", b.apply("mul", 0.5, z.im))
                less = b.apply("mul", 2.0, b.apply("mul", half, half))
                re = b.apply("sub", b.apply("mul", b.apply("expm1", z.re), b.apply("cos", z.im)), less)
                return Value((re, b.apply("mul", b.apply("exp", z.re), b.apply("sin", z.im))))
            case "cis" if not z.complex:
                return Value((b.apply("cos", z.re), b.apply("sin", z.re)))
            case "complex":
                return Value((z.re, args[1].re))
            case "re":
                return Value((z.re,))
            case "im":
                return Value((z.im,))
            case "conj":
                return Value((z.re, b.apply("neg", z.im)))
            case "abs":
                return Value((self.size(z),))
            case "stop":
                return Value((self.stopped("stop", [z.re]), self.stopped("stop", [z.im])))
            case "where":
                p, q = args[1], args[2]
                return Value((b.apply("where", z.re, p.re, q.re), b.apply("where", z.re, p.im, q.im)))
        raise Unfit(f"{e.fn} of a complex value")

    def size(self, z: Value) -> Arg:
        """The absolute value: the larger part times sqrt(1 + q^2), so that nothing overflows and the derivative at 0 is 0."""
        b = self.b
        re, im = b.apply("abs", z.re), b.apply("abs", z.im)
        large, small = b.apply("max", re, im), b.apply("min", re, im)
        same = b.apply("eq", large, small)
        q = b.apply("where", same, 1.0, b.apply("div", small, b.apply("where", same, 1.0, large)))
        return b.apply("mul", large, b.apply("sqrt", b.apply("add", b.apply("mul", q, q), 1.0)))

    # ---- reductions ---------------------------------------------------------------------------------------------------

    def fits(self, *operands: Value, product: tuple[Value, Value]) -> None:
        """A contraction is computed here if its product has no more axes than a carried value, or an operand that has steps."""
        have = frozenset(a for v in product for p in v.parts if isinstance(p, Var) for a in p.axes)
        sets = [frozenset(p.axes) for v in operands for p in v.parts if isinstance(p, Var)]
        sets += [frozenset(c.axes) for c in self.carried.values()] + self.room
        if not any(have <= s for s in sets):
            raise Unfit("a contraction along an axis that its result brings in: a matrix product")

    def summed(self, v: Value, over: Axes) -> Value:
        """The sum over axes."""
        return Value(tuple(self.b.reduce("sum", p, tuple(a for a in over if a != self.chain)) for p in v.parts))

    def along(self, e: x.Along) -> Value:
        """`softmax` of a value."""
        b, over = self.b, tuple(e.over)
        v = self.trace(e.arg)
        if v.complex or self.chain in over or any(a not in b.axes for a in over):
            raise Unfit(f"{e.fn} of such a value")
        a = b.wide(self.number(v.re), (*b.union((v.re,)), *over))
        top = b.reduce("max", a, over)
        top = b.apply("where", b.apply("lt", float("-inf"), top), top, 0.0)
        part = b.apply("exp", b.apply("sub", a, b.apply("stop", b.wide(top, b.union((top,))))))
        total = b.reduce("sum", part, over)
        return Value((b.apply("div", part, b.apply("where", b.apply("eq", total, 0.0), 1.0, total)),))

    def norm(self, e: x.Norm) -> Value:
        """`rmsnorm` and `layernorm` of a value."""
        b, over = self.b, tuple(e.over)
        v = self.trace(e.arg)
        if v.complex or self.chain in over or "batch" in over or any(a not in b.axes for a in over):
            raise Unfit(f"{e.fn} of such a value")
        a: Arg = b.wide(self.number(v.re), (*b.union((v.re,)), *over))

        def mean(of: Arg) -> Arg:
            made = b.reduce("sum", of, over)
            for axis in over:
                made = b.apply("div", made, self.operand("number", (), Source("size", name=axis), f"size of {axis}"))
            return made

        if e.fn == "layernorm":
            a = b.apply("sub", a, mean(a))
        out = b.apply("mul", a, b.apply("rsqrt", b.apply("add", mean(b.apply("mul", a, a)), e.eps)))
        if e.gain is not None:
            out = b.apply("mul", out, self.trace(e.gain).re)
        if e.bias is not None:
            out = b.apply("add", out, self.trace(e.bias).re)
        return Value((out,))

    def reduce(self, e: x.Reduce) -> Value:
        """A reduction over axes of the value."""
        if self.chain in e.over or "batch" in e.over:
            raise Unfit(f"{e.fn} over {', '.join(e.over)}")
        v = self.trace(e.arg)
        b = self.b
        inner = tuple(e.over)
        if e.fn == "sum":
            return self.summed(v, inner)
        if e.fn == "mean":
            total = self.summed(v, inner)
            for axis in inner:
                size = self.operand("number", (), Source("size", name=axis), f"size of {axis}")
                total = Value(tuple(b.apply("div", p, size) for p in total.parts))
            return total
        if v.complex:
            raise Unfit(f"{e.fn} of complex values")
        a = self.number(v.re)
        if e.fn in ("max", "min"):
            return Value((b.reduce(e.fn, a, inner),))
        if e.fn == "logsumexp":
            top = b.reduce("max", a, inner)
            still = b.apply("stop", top) if isinstance(top, Var) else top
            return Value((b.apply("add", still, b.apply("log", b.reduce("sum", b.apply("expdiff", a, still), inner))),))
        raise Unfit(f"{e.fn} of a value that changes with the state")


def unnamed(e: Expr) -> tuple[Expr, dict[str, str]]:
    """A value that is read under other names of its axes: the value itself, and what each other name stands for."""
    names: dict[str, str] = {}
    while isinstance(e, x.Rename):
        back = {new: old for old, new in e.pairs}
        names = {**{n: back.get(o, o) for n, o in names.items()}, **{n: o for n, o in back.items() if n not in names}}
        e = e.arg
    if isinstance(e, x.Read) and any(m.kind == "rename" for m in e.moves):
        rest = tuple(m for m in e.moves if m.kind != "rename")
        axes = list(e.axes)
        for m in e.moves:
            if m.kind != "rename" or not isinstance(m.index, x.Number):
                continue
            if m.index.of not in axes:
                return e, names
            axes[axes.index(m.index.of)] = m.axis
            names[m.index.of] = m.axis
        e = replace(e, moves=rest, axes=tuple(axes))
    return e, names

"""Claims of ranges are proved by interval analysis.

In:   a checked body. Out: nothing. Refuses: SEQ0440 (a range that is not proved, with the interval found), SEQ0441 (a start
         outside the range), SEQ0442 (a `require` that is not proved), SEQ0443 (an empty range).
Inputs, consts and parameters are taken at their word (parameters are kept in range by projection); a state's claim is proved by
induction: its start lies in it and its equation keeps it. What is proved of one value may be used for every other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from seqc.compiler.check.rules import intervals as iv
from seqc.compiler.check.rules.intervals import ALL, INF, Interval, point
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Expr


def check(body: spec.Body, sink: Sink, written: Written) -> None:
    """Proves every claim of the body, or says which interval was found."""
    r = Ranges(body)
    for v in body.values:
        if v.bounds is None:
            continue
        claim = r.claim(v.bounds)
        if claim.low > claim.high:
            sink.report(
                "SEQ0443",
                f"the range of `{v.name}` is empty: {claim}",
                v.bounds.low.span.to(v.bounds.high.span),
                label="the lower end comes first",
                help=written.paste(
                    v.bounds.low.span.to(v.bounds.high.span),
                    f"{written.text(v.bounds.high.span)}, {written.text(v.bounds.low.span)}",
                ),
            )
            continue
        if v.kind in ("param", "const") or v.type in ("complex", "bool", "text"):
            continue
        if v.start is not None and v.kind in ("state",) and not v.learned:
            start = r.of(v.start)
            closure = Interval(claim.low, claim.high, False, False)
            if not start.within(closure) and not any(isinstance(n, x.Draw) for n in x.walk(v.start)):
                sink.report(
                    "SEQ0441",
                    f"`{v.name}` starts in {start}, outside of its range {claim}",
                    v.start.span,
                    label=f"outside of {claim}",
                    notes=(Note("claimed here", v.span),),
                    help=written.paste(v.start.span, _inside(claim)),
                )
        if v.value is None or isinstance(v.value, x.NotGiven):
            continue
        found = r.of(v.value)
        if v.type == "int" and isinstance(v.value, x.Reduce) and v.value.fn == "argmax" and len(v.value.over) == 1:
            continue
        if not found.within(claim) and not r.same_limits(v, found, claim):
            sink.report(
                "SEQ0440",
                f"`{v.name}` is claimed to be in {claim}, proved is {found}",
                v.value.span,
                label=f"this is in {found}",
                notes=(Note("claimed here", v.span),),
                help=_help(written.text(v.value.span), v.value.span, found, claim, written),
            )
    for requirement in body.requirements:
        if requirement.word == "conservative":
            sink.report(
                "SEQ0442",
                f"{body.name} is not shown to conserve what its edges carry",
                requirement.span,
                label="this claim is not proved",
                help="drop the claim",
            )
        if requirement.claim is not None and not r.holds(requirement.claim):
            sink.report(
                "SEQ0442",
                "this claim is not proved",
                requirement.claim.span,
                label=r.sides(requirement.claim),
                help="narrower ranges of the values in it, e.g. gate w : [D] in (0, 0.5) = 0.5 * sigmoid(…)",
            )


def _inside(claim: Interval) -> str:
    """A number in a range."""
    if point(0.0).within(claim):
        return "0"
    ends = [v for v, is_open in ((claim.low, claim.low_open), (claim.high, claim.high_open)) if not is_open]
    return f"{ends[0]:g}" if ends else f"{(claim.low + claim.high) / 2:g}" if math.isfinite(claim.low + claim.high) else "…"


def _help(text: str, span: Span, found: Interval, claim: Interval, written: Written) -> str:
    """The line with a function around the equation that keeps the claim."""
    ends = (claim.low, claim.high)
    is_open = claim.low_open or claim.high_open
    into = {
        (0.0, 1.0): "sigmoid({})" if is_open else "min(max({}, 0), 1)",
        (0.0, INF): "softplus({})" if claim.low_open else "relu({})",
        (-1.0, 1.0): "tanh({})" if is_open else "min(max({}, -1), 1)",
        (-INF, 0.0): "-softplus({})",
    }
    if ends in into:
        return written.paste(span, into[ends].format(text))
    low, high = (f"{v:g}" for v in ends)
    if not is_open and math.isfinite(sum(ends)):
        return written.paste(span, f"min(max({text}, {low}), {high})")
    return f"claim {found}, or clip with min and max"


class Ranges:
    """Intervals of the values of one body; claims of other values are used as they stand."""

    def __init__(self, body: spec.Body) -> None:
        self.body, self.table = body, body.table
        self.memo: dict[int, Interval] = {}
        self.keep: list[Expr] = []
        self.open: set[str] = set()
        self.values: dict[str, Interval] = {}
        self.assumed: list[tuple[Expr, Interval]] = []
        self.empty = {d.name for d in body.dims if isinstance(d.value, x.Literal_) and d.value.value == 0}

    def claim(self, b: spec.Bounds) -> Interval:
        """A claimed range; ends that depend on dims are taken as far as they are known."""
        low, high = self.of(b.low), self.of(b.high)
        return Interval(low.low, high.high, b.low_open, b.high_open)

    def same_limits(self, v: spec.Value, found: Interval, claim: Interval) -> bool:
        """Ends given by dims, `[0, W)`: an argmax, a `min` with the same dim, a count of the axis."""
        del found
        assert v.bounds is not None and v.value is not None
        if claim.high != INF:
            return False
        if isinstance(v.bounds.high, x.Literal_):
            return False
        inner = v.value.arg if isinstance(v.value, x.Expand) else v.value
        low = self.of(v.value)
        below = low.low > claim.low or low.low == claim.low and (low.low_open or not claim.low_open)
        return below and self.below(inner, v.bounds.high, v.bounds.high_open)

    def below(self, e: Expr, limit: Expr, strict: bool) -> bool:
        """Whether `e` is provably below a symbolic limit."""
        if e == limit:
            return not strict
        match e:
            case x.Apply(fn="min", args=args):
                return any(self.below(a, limit, strict) for a in args)
            case x.Apply(fn="max" | "where", args=args):
                return all(self.below(a, limit, strict) for a in (args[1:] if e.fn == "where" else args))
            case x.Apply(fn="sub", args=(a, b)) if a == limit:
                low = self.of(b)
                return low.low > 0 or low.low == 0 and not strict
            case x.Apply(fn="mod", args=(_, n)):
                return n == limit
            case x.Read():
                v = self.table.get(e.name)
                return v is not None and v.bounds is not None and v.bounds.high == limit and (v.bounds.high_open or not strict)
            case x.Reduce(fn="argmax", over=over):
                return len(over) == 1 and isinstance(limit, x.DimSize) and limit.dim == over[0]
            case x.Literal_():
                return self.of(e).high <= 0
        return False

    def holds(self, e: Expr) -> bool:
        """Whether a comparison is true for all values of the intervals."""
        match e:
            case x.Apply(fn="and", args=args):
                return all(self.holds(a) for a in args)
            case x.Apply(fn="le" | "lt" | "ge" | "gt" as fn, args=(a, b)):
                if fn in ("ge", "gt"):
                    a, b = b, a
                d = self.of(x.Apply("sub", (a, b), axes=e.axes))
                return d.high < 0 or d.high == 0 and (fn in ("le", "ge") or d.high_open)
        return False

    def sides(self, e: Expr) -> str:
        """What is known of the two sides of a comparison, in words."""
        match e:
            case x.Apply(fn="and", args=args):
                return self.sides(next(a for a in args if not self.holds(a)))
            case x.Apply(fn="le" | "lt" | "ge" | "gt", args=(a, b)):
                return f"left is in {self.of(a)}, right in {self.of(b)}"
        return "only <, <=, >, >= and `and` of them can be proved"

    def of(self, e: Expr) -> Interval:
        """The interval of an expression."""
        if self.assumed:
            known = next((i for a, i in self.assumed if a is e or a == e), None)
            plain = self.work(e)
            return plain if known is None else plain.meet(known)
        found = self.memo.get(id(e))
        if found is None:
            found = self.work(e)
            self.memo[id(e)] = found
            self.keep.append(e)
        return found

    def value(self, name: str) -> Interval:
        """The interval of a value of the body: its claim, or else that of its equation."""
        v = self.table.get(name)
        if v is None or v.type in ("complex", "text"):
            return ALL
        if v.bounds is not None:
            return self.claim(v.bounds)
        if name in self.values:
            return self.values[name]
        if (
            v.kind in ("input", "state", "param", "const")
            and not (v.kind == "const" and v.value is not None)
            or v.value is None
            or name in self.open
            or v.start is not None
        ):
            return ALL if v.type != "bool" else Interval(0, 1, False, False)
        self.open.add(name)
        found = self.of(v.value)
        self.open.discard(name)
        self.values[name] = found
        return found

    def read(self, e: x.Read) -> Interval:
        found = self.value(e.name) if not e.field_ else ALL
        v = self.table.get(e.name)
        if v is not None and any(m.kind in ("lag", "window", "gather", "level") for m in e.moves):
            if v.start is not None and v.kind != "param":
                found = found.join(self.of(v.start))
            elif any(m.kind == "gather" for m in e.moves) and v.kind not in ("param", "const"):
                found = found.join(iv.point(0.0))
        return found

    def work(self, e: Expr) -> Interval:
        match e:
            case x.Literal_(value=bool() as b):
                return iv.point(float(b))
            case x.Literal_(value=int() | float() as v):
                return Interval(v, v, False, False)
            case x.DimSize(dim=d):
                return Interval(0, INF, False, True) if d in self.empty else iv.NATURAL
            case x.Length() | x.Number():
                return Interval(0, INF, False, True)
            case x.Read():
                return self.read(e)
            case x.Expand(arg=a) | x.Rename(arg=a) | x.Split(arg=a) | x.Merge(arg=a):
                return self.of(a)
            case x.GatherAt(arg=a, border=border):
                found = self.of(a)
                return found.join(iv.point(0.0)) if border == "zero" else found
            case x.Concat(args=args):
                return self.join(args)
            case x.OneHot():
                return Interval(0, 1, False, False)
            case x.Dropout(arg=a):
                found = self.of(a)
                return Interval(0 if found.low >= 0 else -INF, 0 if found.high <= 0 else INF, False, False)
            case x.Draw(fn=fn, args=args):
                if fn == "bernoulli":
                    return Interval(0, 1, False, False)
                if fn == "uniform":
                    low = self.of(args[0]) if args else iv.point(0.0)
                    high = self.of(args[1]) if len(args) > 1 else iv.point(1.0)
                    return Interval(low.low, high.high, False, False)
                return ALL
            case x.Reduce(fn=fn, arg=a):
                return self.reduced(fn, self.of(a))
            case x.Along(fn=fn, arg=a):
                if fn in ("softmax", "topk"):
                    return Interval(0, 1, False, False)
                if fn == "l2norm":
                    return Interval(-1, 1, False, False)
                if fn == "rank":
                    return Interval(0, INF, False, True)
                if fn == "cumsum":
                    found = self.of(a)
                    return Interval(0 if found.low >= 0 else -INF, 0 if found.high <= 0 else INF, False, False)
                return ALL
            case x.Contract(left=a, right=b):
                found = iv.times(self.of(a), self.of(b))
                return Interval(0 if found.low >= 0 else -INF, 0 if found.high <= 0 else INF, False, False)
            case x.Invoke(expansion=ex) if ex is not None:
                return self.of(ex)
            case x.Apply():
                found = self.applied(e)
                corners = iv.multilinear(e, self.of) if e.fn in ("add", "sub", "mul", "outer") else None
                return found if corners is None else found.meet(corners)
        return ALL

    def join(self, parts: Iterable[Expr]) -> Interval:
        found: Interval | None = None
        for p in parts:
            one = self.of(p)
            found = one if found is None else found.join(one)
        return found or ALL

    def reduced(self, fn: str, a: Interval) -> Interval:
        match fn:
            case "mean" | "max" | "min":
                return a
            case "sum":
                return Interval(0 if a.low >= 0 else -INF, 0 if a.high <= 0 else INF, a.low < 0, a.high > 0)
            case "argmax":
                return Interval(0, INF, False, True)
            case "prod" if a.low >= 0 and a.high <= 1:
                return Interval(0, 1, False, False)
        return ALL

    def applied(self, e: x.Apply) -> Interval:
        fn, args = e.fn, e.args
        if e.type == "complex" or any(a.type == "complex" for a in args) and fn not in ("abs", "re", "im"):
            return ALL
        if fn == "abs" and args[0].type == "complex":
            return Interval(0, INF, False, True)
        parts = [self.of(a) for a in args]
        match fn:
            case "add":
                out = parts[0]
                for p in parts[1:]:
                    out = iv.add(out, p)
                return out
            case "sub":
                if args[0] == args[1]:
                    return iv.point(0.0)
                return iv.add(parts[0], iv.negative(parts[1]))
            case "neg":
                return iv.negative(parts[0])
            case "mul" | "outer":
                out = parts[0]
                for p in parts[1:]:
                    out = iv.times(out, p)
                if fn == "mul" and len(args) == 2 and args[0] == args[1]:
                    out = out.meet(Interval(0, INF, False, True))
                return out
            case "div":
                return self.quotient(args[0], args[1])
            case "pow":
                return self.power(args, parts)
            case "min":
                out = parts[0]
                for p in parts[1:]:
                    high, ho = min((out.high, out.high_open), (p.high, p.high_open))
                    low, lo = min((out.low, out.low_open), (p.low, p.low_open))
                    out = Interval(low, high, lo, ho)
                return out
            case "max":
                out = parts[0]
                for p in parts[1:]:
                    low, lo = max((out.low, not out.low_open), (p.low, not p.low_open))
                    high, ho = max((out.high, not out.high_open), (p.high, not p.high_open))
                    out = Interval(low, high, not lo, not ho)
                return out
            case "where":
                return self.choice(args)
            case "stop" | "through" | "re" | "conj":
                return parts[0]
            case "abs":
                a = parts[0]
                if a.low >= 0:
                    return a
                if a.high <= 0:
                    return iv.negative(a)
                high, ho = max((-a.low, not a.low_open), (a.high, not a.high_open))
                return Interval(0, high, False, not ho)
            case "sin" | "cos" | "sign":
                return Interval(-1, 1, False, False)
            case "mod":
                return Interval(0, parts[1].high, False, True) if parts[1].low > 0 else ALL
            case "silu":
                return Interval(-0.2785, INF) if parts[0].low < 0 else Interval(0, INF, False, True)
            case "gelu":
                return Interval(-0.17, INF) if parts[0].low < 0 else Interval(0, INF, False, True)
            case "expdiff":
                if stabilised(self.body, args[0], args[1]):
                    return Interval(0, 1, False, False)
                return Interval(0, INF, False, True)
            case "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and" | "or" | "not":
                return Interval(0, 1, False, False)
            case "logaddexp":
                low = max(parts[0].low, parts[1].low)
                return Interval(low, INF)
            case "bitlen" | "xor":
                return Interval(0, INF, False, True)
        if fn in iv.INCREASING:
            a = parts[0]
            if fn in ("log", "sqrt") and a.low < 0:
                a = Interval(0, a.high, False, a.high_open)
            return iv.monotone(iv.INCREASING[fn], a)
        return ALL

    def choice(self, args: tuple[Expr, ...]) -> Interval:
        """`where(a >= b, …, …)`: each branch knows what the condition says of `a`."""
        condition, yes, no = args
        if not (isinstance(condition, x.Apply) and condition.fn in ("lt", "le", "gt", "ge")) or len(self.assumed) > 4:
            return self.of(yes).join(self.of(no))
        a, b = condition.args
        bound = self.of(b)
        above, below = Interval(bound.low, INF, condition.fn == "gt"), Interval(-INF, bound.high, True, condition.fn == "lt")
        first, second = (above, below) if condition.fn in ("gt", "ge") else (below, above)
        out: Interval | None = None
        for branch, known in ((yes, first), (no, second)):
            self.assumed.append((a, known))
            found = self.of(branch)
            self.assumed.pop()
            out = found if out is None else out.join(found)
        assert out is not None
        return out

    def quotient(self, a: Expr, b: Expr) -> Interval:
        """a / b; `a / (a + c)` with both positive lies in (0, 1)."""
        top, bottom = self.of(a), self.of(b)
        plain = iv.times(top, iv.inverse(bottom))
        if isinstance(b, x.Apply) and b.fn == "add" and top.low >= 0:
            rest = [p for p in b.args if p != a]
            if len(rest) == len(b.args) - 1 and all(self.of(p).low >= 0 for p in rest):
                positive = any(self.of(p).low > 0 or self.of(p).low_open for p in rest)
                return plain.meet(Interval(0, 1, top.low > 0 or top.low_open, positive))
        if isinstance(b, x.Reduce) and b.fn == "sum" and b.arg == a and top.low >= 0:
            return plain.meet(Interval(0, 1, False, False))
        return plain

    def power(self, args: tuple[Expr, ...], parts: list[Interval]) -> Interval:
        base, exponent = parts
        if isinstance(args[1], x.Literal_) and args[1].value == 2:
            a = self.applied(x.Apply("abs", (args[0],), axes=args[0].axes))
            return iv.times(a, a)
        if base.low > 0 or base.low == 0 and (base.low_open or exponent.low >= 0):
            if base.high <= 1 and exponent.low >= 0:
                top_open = base.high < 1 or base.high_open
                return Interval(0, 1, base.low > 0 or base.low_open, top_open and exponent.low > 0)
            if base.low == base.high and exponent.low == exponent.high and not math.isinf(exponent.low):
                return iv.point(base.low**exponent.low) if base.low > 0 else Interval(0, INF, False, True)
            if base.low >= 1 and exponent.high <= 0:
                return Interval(0, 1, True, exponent.high < 0 and base.low > 1)
            if base.low >= 1 and exponent.low >= 0:
                return Interval(1, INF, False, True)
            return Interval(0, INF, base.low > 0 or base.low_open, True)
        return ALL


def stabilised(body: spec.Body, a: Expr, m: Expr) -> bool:
    """Whether `m` is shown to be at least `a`: a maximum or logaddexp that has `a` (or more than it) among its operands."""
    table = body.table
    if a == m:
        return True
    stack = [m]
    for _ in range(64):
        if not stack:
            return False
        n = stack.pop()
        if n == a:
            return True
        match n:
            case x.Expand(arg=inner):
                stack.append(inner)
            case x.Read(moves=()) if n.name in table and table[n.name].value is not None:
                stack.append(table[n.name].value)  # type: ignore[arg-type]
            case x.Apply(fn="max" | "logaddexp", args=args):
                stack.extend(args)
            case x.Apply(fn="where", args=(_, p, q)):
                if stabilised(body, a, p) and stabilised(body, a, q):
                    return True
            case x.Reduce(fn="max" | "logsumexp", arg=inner):
                stack.append(inner)
    return False

"""Claims of ranges are proved by interval analysis.

In:   a checked body. Out: nothing. Refuses: SEQ0440 (a range that is not proved, with the interval found), SEQ0441 (a start
         outside the range), SEQ0442 (a `require` that is not proved), SEQ0443 (an empty range).
Inputs, consts and parameters are taken at their word (parameters are kept in range by projection); a state's claim is proved by
induction: its start lies in it and its equation keeps it. What is proved of one value may be used for every other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from seqc.compiler.check import relations
from seqc.compiler.check.rules import intervals as iv
from seqc.compiler.check.rules.intervals import ALL, INF, Interval, point
from seqc.compiler.check.same import Numbers
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Axes, Expr


def check(body: spec.Body, sink: Sink, written: Written) -> None:
    """Proves every claim of the body, or says which interval was found."""
    r = Ranges(body)
    for v in body.values:
        if v.bounds is None:
            continue
        claim = r.claim(v.bounds)
        if claim.low > claim.high or claim.low == claim.high and (claim.low_open or claim.high_open):
            sink.report(
                "SEQ0443",
                f"the range of `{v.name}` is empty: {claim}",
                v.bounds.low.span.to(v.bounds.high.span),
                label="the lower end comes first" if claim.low > claim.high else "no number lies in it",
                help=written.paste(
                    v.bounds.low.span.to(v.bounds.high.span),
                    f"{written.text(v.bounds.high.span)}, {written.text(v.bounds.low.span)}",
                )
                if claim.low > claim.high
                else "",
            )
            continue
        if v.kind in ("param", "const") or v.type in ("complex", "bool", "text"):
            continue
        said = _said(v.bounds, claim, written)
        if v.start is not None and v.kind == "state" and not v.learned:
            start = r.proved(v.start)
            closure = Interval(claim.low, claim.high, False, False)
            if not start.within(closure) and not any(isinstance(n, x.Draw) for n in x.walk(v.start)):
                sink.report(
                    "SEQ0441",
                    f"`{v.name}` starts {_at(start)}, outside of its range {said}",
                    v.start.span,
                    label=f"outside of {said}",
                    notes=(Note("claimed here", v.span),),
                    help=written.paste(v.start.span, _inside(claim)),
                )
        if v.value is None or isinstance(v.value, x.NotGiven):
            continue
        found = r.proved(v.value)
        if not r.keeps(v.value, v.bounds):
            sink.report(
                "SEQ0440",
                f"`{v.name}` is claimed to be in {said}, proved is {found}",
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


def _said(b: spec.Bounds, claim: Interval, written: Written) -> str:
    """A claim as it is written; as an interval where the text is not at hand."""
    ends = [written.text(e.span) for e in (b.low, b.high)]
    if not all(ends):
        return str(claim)
    return f"{'(' if b.low_open else '['}{ends[0]}, {ends[1]}{')' if b.high_open else ']'}"


def _at(start: Interval) -> str:
    return f"at {start.low:g}" if start.low == start.high else f"in {start}"


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
        self.numbers = Numbers()
        self.memos: list[dict[int, Interval]] = [{}]
        """Intervals by node; one table for each assumption that is open."""
        self.keep: list[Expr] = []
        self.open: set[str] = set()
        self.values: dict[str, Interval] = {}
        self.assumed: list[tuple[Expr, Interval]] = []
        self.empty = {d.name for d in body.dims if isinstance(d.value, x.Literal_) and d.value.value == 0}
        self.indices = {i.name: i for i in body.indices}
        self.steps = 0

    # ---- claims -------------------------------------------------------------------------------------------------------

    def claim(self, b: spec.Bounds) -> Interval:
        """What a claim says at least, whatever its dims are: for values that are taken at their word."""
        low, high = self.of(b.low), self.of(b.high)
        return Interval(low.low, high.high, b.low_open, b.high_open)

    def proved(self, e: Expr) -> Interval:
        """The interval of an expression, with all that it reads worked out before."""
        for r in x.reads(e):
            self.value(r.name)
        return self.of(e)

    def keeps(self, e: Expr, b: spec.Bounds) -> bool:
        """Whether an expression is proved to lie in a claimed range, whatever the dims in the claim are."""
        self.steps = 0
        return self.above(e, b.low, b.low_open) and self.below(e, b.high, b.high_open)

    def above(self, e: Expr, limit: Expr, strict: bool) -> bool:
        """Whether `e` is provably above a limit."""
        found, ends = self.of(e), self.of(limit)
        if found.low > ends.high or found.low == ends.high and (found.low_open or ends.high_open or not strict):
            return True
        if self.numbers.same(e, limit):
            return not strict
        match e:
            case x.Expand(arg=a):
                return self.above(a, limit, strict)
            case x.Apply(fn="max", args=args):
                return self.spend() and any(self.above(a, limit, strict) for a in args)
            case x.Apply(fn="min" | "where", args=args):
                return self.spend() and all(self.above(a, limit, strict) for a in (args[1:] if e.fn == "where" else args))
            case x.Apply(fn="add", args=args):
                rest = [a for a in args if not self.numbers.same(a, limit)]
                lows = [self.of(a) for a in rest]
                positive = not strict or any(i.low > 0 or i.low_open for i in lows)
                return len(rest) == len(args) - 1 and all(i.low >= 0 for i in lows) and positive
            case x.Read():
                v = self.table.get(e.name)
                inside = v is not None and v.bounds is not None and self.numbers.same(v.bounds.low, limit)
                return inside and v is not None and v.bounds is not None and (v.bounds.low_open or not strict) and self.stays(e)
        return False

    def below(self, e: Expr, limit: Expr, strict: bool) -> bool:
        """Whether `e` is provably below a limit."""
        found, ends = self.of(e), self.of(limit)
        if found.high < ends.low or found.high == ends.low and (found.high_open or ends.low_open or not strict):
            return True
        if self.numbers.same(e, limit):
            return not strict
        match e:
            case x.Expand(arg=a):
                return self.below(a, limit, strict)
            case x.Apply(fn="min", args=args):
                return self.spend() and any(self.below(a, limit, strict) for a in args)
            case x.Apply(fn="max" | "where", args=args):
                return self.spend() and all(self.below(a, limit, strict) for a in (args[1:] if e.fn == "where" else args))
            case x.Apply(fn="sub", args=(a, b)) if self.numbers.same(a, limit):
                low = self.of(b)
                return low.low > 0 or low.low == 0 and (low.low_open or not strict)
            case x.Apply(fn="mod", args=(_, n)):
                return self.numbers.same(n, limit) and self.of(n).low > 0
            case x.Read():
                v = self.table.get(e.name)
                inside = v is not None and v.bounds is not None and self.numbers.same(v.bounds.high, limit)
                return inside and v is not None and v.bounds is not None and (v.bounds.high_open or not strict) and self.stays(e)
            case x.Reduce(fn="argmax", over=over):
                return len(over) == 1 and isinstance(limit, x.DimSize) and limit.dim == over[0]
            case x.Along(fn="rank", over=over):
                return len(over) == 1 and isinstance(limit, x.DimSize) and limit.dim == over[0]
            case x.Number(of=of):
                return isinstance(limit, x.DimSize) and limit.dim == self.root(of)
        return False

    def stays(self, e: x.Read) -> bool:
        """Whether a read never falls outside of the run, where a start with another range stands."""
        return all(m.kind == "rename" for m in e.moves)

    def spend(self) -> bool:
        """Counts steps through shared subtrees; False where there are too many."""
        self.steps += 1
        return self.steps < 2000

    def holds(self, e: Expr) -> bool:
        """Whether a comparison is true for all values of the intervals."""
        stack, seen = [e], set[int]()
        while stack:
            n = stack.pop()
            if id(n) in seen:
                continue
            seen.add(id(n))
            if isinstance(n, x.Apply) and n.fn == "and":
                stack.extend(n.args)
            elif not self.is_true(n):
                return False
        return True

    def is_true(self, e: Expr) -> bool:
        """The same of a single comparison."""
        match e:
            case x.Apply(fn="le" | "lt" | "ge" | "gt" as fn, args=(a, b)):
                if fn in ("ge", "gt"):
                    a, b = b, a
                d = self.proved(x.Apply("sub", (a, b), axes=e.axes))
                return d.high < 0 or d.high == 0 and (fn in ("le", "ge") or d.high_open)
        return False

    def sides(self, e: Expr) -> str:
        """What is known of the two sides of a comparison, in words."""
        parts = [e]
        for _ in range(200):
            n = parts.pop(0)
            match n:
                case x.Apply(fn="and", args=args):
                    parts.extend(args)
                case x.Apply(fn="le" | "lt" | "ge" | "gt", args=(a, b)) if not self.holds(n):
                    return f"left is in {self.of(a)}, right in {self.of(b)}"
                case x.Apply(fn="le" | "lt" | "ge" | "gt"):
                    pass
                case _:
                    return "only <, <=, >, >= and `and` of them can be proved"
            if not parts:
                break
        return "too many conditions"

    # ---- values -------------------------------------------------------------------------------------------------------

    def value(self, name: str) -> Interval:
        """The interval of a value of the body: its claim, or else that of its equation.

        What the equation reads is worked out first, without recursion; within a circle of reads nothing is known.
        """
        stack = [name]
        while stack:
            n = stack[-1]
            if n in self.values:
                stack.pop()
                continue
            v = self.table.get(n)
            known = self.at_its_word(v)
            if known is not None or v is None or v.value is None:
                self.values[n] = ALL if known is None else known
                stack.pop()
                continue
            needs = [r.name for r in x.reads(v.value) if r.name not in self.values and r.name not in self.open]
            if n not in self.open and needs:
                self.open.add(n)
                stack.extend(needs)
                continue
            stack.pop()
            self.open.add(n)
            outside, self.assumed, self.memos = (self.assumed, self.memos), [], [{}]
            self.values[n] = self.of(v.value)
            self.assumed, self.memos = outside
            self.open.discard(n)
        return self.values[name]

    def at_its_word(self, v: spec.Value | None) -> Interval | None:
        """What is known of a value without looking at its equation; None where the equation says more."""
        if v is None or v.type in ("complex", "text") or v.axes is None:
            return ALL
        if v.bounds is not None:
            return self.claim(v.bounds)
        if v.type == "bool":
            return Interval(0, 1, False, False)
        bound_elsewhere = v.kind in ("input", "state", "param", "const")
        return ALL if bound_elsewhere or v.value is None or v.start is not None else None

    def read(self, e: x.Read) -> Interval:
        """A read: where it may fall outside of the run, the start counts as well (zero where there is none)."""
        if e.field_:
            return ALL
        found = ALL if e.name in self.open and e.name not in self.values else self.value(e.name)
        v = self.table.get(e.name)
        if v is None or v.kind == "param" or self.stays(e):
            return found
        if v.learned and v.bounds is None:
            return ALL
        if v.start is not None and not (v.learned and v.bounds is not None):
            return found.join(self.of(v.start))
        return found if v.kind == "const" else found.join(iv.point(0.0))

    def root(self, name: str) -> str:
        """The axis that a second name is of."""
        for _ in range(64):
            index = self.indices.get(name)
            if index is None or not index.of:
                break
            name = index.of
        return name

    def number(self, name: str) -> Interval:
        """The numbers of an axis: from 0, or from the low end of its range."""
        name = self.root(name)
        lows = [i.low for i in self.body.indices if i.name == name]
        lows += [lv.low for lv in self.body.levels if lv.id == name or lv.name == name]
        lows += [f.low for f in self.body.topology if name in f.axes]
        known = [self.of(low).low for low in lows if low is not None]
        return Interval(min(known, default=0), INF, False, True)

    def may_be_empty(self, axes: Iterable[str]) -> bool:
        """Whether there may be nothing along the axes: a dim of size 0, a relation that may hold no step."""
        for a in axes:
            index = self.indices.get(a)
            if a in self.empty or index is not None and index.where is not None and not self.holds_here(index, index.where):
                return True
        return False

    def holds_here(self, index: spec.Index, where: Expr) -> bool:
        """Whether a relation `s of t` holds for s = t, so that it is never empty."""
        ranges = relations.Ranges({})
        parts = [where]
        for _ in range(relations.TERMS):
            if not parts:
                return True
            n = parts.pop()
            if isinstance(n, x.Apply) and n.fn == "and":
                parts.extend(n.args)
                continue
            said = list(relations.conditions(n))
            if not said:
                return False
            for op, a, b in said:
                f = relations.form(x.Apply("sub", (a, b)), {index.name, index.of})
                high = ranges.rest(f)[1]
                if f.count(index.name) != -f.count(index.of) or high > 0 or high == 0 and op == "lt":
                    return False
        return False

    # ---- expressions --------------------------------------------------------------------------------------------------

    def of(self, e: Expr) -> Interval:
        """The interval of an expression."""
        memo = self.memos[-1]
        found = memo.get(id(e))
        if found is None:
            found = self.work(e)
            for a, known in self.assumed:
                if self.numbers.same(a, e):
                    found = found.meet(known)
            memo[id(e)] = found
            self.keep.append(e)
        return found

    def work(self, e: Expr) -> Interval:
        """The interval of an expression."""
        match e:
            case x.Literal_(value=bool() as b):
                return iv.point(float(b))
            case x.Literal_(value=int() | float() as v):
                return iv.point(float(v))
            case x.DimSize(dim=d):
                return Interval(0, INF, False, True) if d in self.empty else iv.NATURAL
            case x.Length():
                return Interval(0, INF, False, True)
            case x.Number(of=of):
                return self.number(of)
            case x.Read():
                return self.read(e)
            case x.Expand(arg=a) | x.Rename(arg=a) | x.Split(arg=a) | x.Merge(arg=a):
                return self.of(a)
            case x.GatherAt(arg=a, border=border):
                found = self.of(a)
                return found.join(iv.point(0.0)) if border in ("zero", "none") else found
            case x.Concat(args=args):
                return self.join(args)
            case x.OneHot():
                return Interval(0, 1, False, False)
            case x.Dropout(arg=a):
                found = self.of(a)
                return iv.any_sum(found)
            case x.Draw(fn=fn, args=args):
                if fn == "bernoulli":
                    return Interval(0, 1, False, False)
                if fn == "uniform":
                    low = self.of(args[0]) if args else iv.point(0.0)
                    high = self.of(args[1]) if len(args) > 1 else iv.point(1.0)
                    return Interval(low.low, high.high, False, False)
                return ALL
            case x.Reduce(fn=fn, arg=a):
                return self.reduced(fn, self.of(a), e.over)
            case x.Along(fn=fn, arg=a):
                if fn in ("softmax", "topk"):
                    return Interval(0, 1, False, False)
                if fn == "l2norm":
                    return Interval(-1, 1, False, False)
                if fn == "rank":
                    return Interval(0, INF, False, True)
                if fn == "cumsum":
                    found = self.of(a)
                    return iv.any_sum(found)
                return ALL
            case x.Contract(left=a, right=b):
                found = iv.times(self.of(a), self.of(b))
                return iv.any_sum(found)
            case x.Invoke(expansion=ex) if ex is not None:
                return self.of(ex)
            case x.Apply():
                found = self.applied(e)
                corners = iv.multilinear(e, self.of, self.numbers.number) if e.fn in ("add", "sub", "mul", "outer") else None
                return found if corners is None else found.meet(corners)
        return ALL

    def join(self, parts: Iterable[Expr]) -> Interval:
        """The smallest interval around those of several expressions."""
        found: Interval | None = None
        for p in parts:
            one = self.of(p)
            found = one if found is None else found.join(one)
        return found or ALL

    def reduced(self, fn: str, a: Interval, over: Axes) -> Interval:
        """A reduction; over nothing `mean` is 0, `max` -inf and `min` inf."""
        match fn:
            case "mean" | "max" | "min":
                nothing = iv.point({"mean": 0.0, "max": -INF, "min": INF}[fn])
                return a.join(nothing) if self.may_be_empty(over) else a
            case "sum":
                return iv.any_sum(a)
            case "argmax":
                return Interval(0, INF, False, True)
            case "prod" if a.low >= 0 and a.high <= 1:
                return Interval(0, 1, False, False)
        return ALL

    def applied(self, e: x.Apply) -> Interval:
        """The interval of a function's results."""
        fn, args = e.fn, e.args
        if e.type == "complex" or any(a.type == "complex" for a in args) and fn not in ("abs", "re", "im"):
            return ALL
        if fn == "abs" and args[0].type == "complex":
            return Interval(0, INF, False, True)
        if fn == "where":
            return self.choice(args)
        parts = [self.of(a) for a in args]
        match fn:
            case "add":
                out = parts[0]
                for p in parts[1:]:
                    out = iv.add(out, p)
                return out
            case "sub":
                if self.numbers.same(*args):
                    return iv.point(0.0)
                return iv.add(parts[0], iv.negative(parts[1]))
            case "neg":
                return iv.negative(parts[0])
            case "mul" | "outer":
                out = parts[0]
                for p in parts[1:]:
                    out = iv.times(out, p)
                if fn == "mul" and len(args) == 2 and self.numbers.same(*args):
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
                if stabilised(self.table, self.numbers, args[0], args[1]):
                    return Interval(0, 1, False, False)
                return Interval(0, INF, False, True)
            case "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and" | "or" | "not":
                return Interval(0, 1, False, False)
            case "logaddexp":
                low = max(parts[0].low, parts[1].low)
                return Interval(low, INF, False, True)
            case "bitlen" | "xor":
                return Interval(0, INF, False, True)
        return iv.increasing(fn, parts[0]) if fn in iv.INCREASING else ALL

    def choice(self, args: tuple[Expr, ...]) -> Interval:
        """`where(a >= b, …, …)`: each branch knows what the condition says of `a`."""
        condition, yes, no = args
        if not (isinstance(condition, x.Apply) and condition.fn in ("lt", "le", "gt", "ge")) or len(self.assumed) >= 3:
            return self.of(yes).join(self.of(no))
        a, b = condition.args
        bound = self.of(b)
        above, below = Interval(bound.low, INF, condition.fn == "gt"), Interval(-INF, bound.high, True, condition.fn == "lt")
        first, second = (above, below) if condition.fn in ("gt", "ge") else (below, above)
        out: Interval | None = None
        for branch, known in ((yes, first), (no, second)):
            self.assumed.append((a, known))
            self.memos.append({})
            found = self.of(branch)
            self.memos.pop()
            self.assumed.pop()
            out = found if out is None else out.join(found)
        assert out is not None
        return out

    def quotient(self, a: Expr, b: Expr) -> Interval:
        """a / b; `a / (a + c)` with both positive lies in (0, 1)."""
        top, bottom = self.of(a), self.of(b)
        plain = iv.times(top, iv.inverse(bottom))
        if isinstance(b, x.Apply) and b.fn == "add" and top.low >= 0:
            rest = [p for p in b.args if not self.numbers.same(p, a)]
            if len(rest) == len(b.args) - 1 and all(self.of(p).low >= 0 for p in rest):
                positive = any(self.of(p).low > 0 or self.of(p).low_open for p in rest)
                return plain.meet(Interval(0, 1, top.low > 0 or top.low_open, positive))
        if isinstance(b, x.Reduce) and b.fn == "sum" and self.numbers.same(b.arg, a) and top.low >= 0:
            return plain.meet(Interval(0, 1, False, False))
        return plain

    def power(self, args: tuple[Expr, ...], parts: list[Interval]) -> Interval:
        """The interval of powers."""
        base, exponent = parts
        if isinstance(args[1], x.Literal_) and args[1].value == 2:
            a = self.applied(x.Apply("abs", (args[0],), axes=args[0].axes))
            return iv.times(a, a)
        if base.low > 0 or base.low == 0 and (base.low_open or exponent.low >= 0):
            if base.high <= 1 and exponent.low >= 0:
                top_open = base.high < 1 or base.high_open
                return Interval(0, 1, base.low > 0 or base.low_open, top_open and exponent.low > 0)
            if base.low == base.high and exponent.low == exponent.high and not math.isinf(exponent.low):
                return iv.power(base.low, exponent.low)
            if base.low >= 1 and exponent.high <= 0:
                return Interval(0, 1, True, exponent.high < 0 and base.low > 1)
            if base.low >= 1 and exponent.low >= 0:
                return Interval(1, INF, False, True)
            return Interval(0, INF, base.low > 0 or base.low_open, True)
        return ALL


def stabilised(table: Mapping[str, spec.Value], numbers: Numbers, a: Expr, m: Expr) -> bool:
    """Whether `m` is shown to be at least `a`: a maximum or logaddexp that has `a` (or more than it) among its operands.

    Both branches of a `where` have to show it. Looks at a bounded number of nodes, each once.
    """
    shown: dict[int, bool] = {}
    left = 200

    def reaches(n: Expr, depth: int) -> bool:
        nonlocal left
        left -= 1
        if left < 0 or depth > 40:
            return False
        if id(n) in shown:
            return shown[id(n)]
        shown[id(n)] = False
        found = numbers.same(n, a)
        match n:
            case _ if found:
                pass
            case x.Expand(arg=inner) | x.Reduce(fn="max" | "logsumexp", arg=inner):
                found = reaches(inner, depth + 1)
            case x.Read(moves=(), field_="") if (v := table.get(n.name)) is not None and v.kind != "input":
                found = v.value is not None and reaches(v.value, depth + 1)
            case x.Apply(fn="max" | "logaddexp", args=args):
                found = any(reaches(i, depth + 1) for i in args)
            case x.Apply(fn="where", args=(_, p, q)):
                found = reaches(p, depth + 1) and reaches(q, depth + 1)
        shown[id(n)] = found
        return found

    return reaches(m, 0)

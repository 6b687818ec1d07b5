"""Checks one body: puts its names together, types every equation, and builds the checked `spec.Body`.

In:   a `syntax.Body` and what its file defines.
Out:  `spec.Body`, or None where anything was an error (all findings of the body are reported).
Refuses: SEQ0215-0219 (declarations), SEQ0401 (a value does not fit its shape), SEQ0409/0410 (nor its type), SEQ0306 (what a
         start may read), SEQ0307 (a stack as long as the run), SEQ0433/0434 (a dim that is no size), and what the parts refuse.
         Cycles, ranges and lints are rules of their own, run afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from seqc.compiler.check import calls, expressions, relations
from seqc.compiler.check.align import shape
from seqc.compiler.check.context import Context, Definitions, Shared, Untypable, literal
from seqc.compiler.check.names import Declared, collect, with_start
from seqc.compiler.check.schedule import settings
from seqc.compiler.check.sizes import NoSize, NotWhole, evaluate, rational
from seqc.compiler.check.topology import check_topology
from seqc.compiler.check.words import FLOATS, FUNCTIONS, TYPES
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Axes, Callee, Expr
from seqc.runtime.matching import is_dim

STATE_LIMIT = 256
FITS: dict[str, tuple[str, ...]] = {
    "int": ("int",),
    "bool": ("bool",),
    "text": ("text",),
    "real": ("real", "int"),
    "complex": ("complex", "real", "int"),
}
"""What a declared type takes."""
LEVEL_LIMIT = 100_000


class BodyChecker:
    """Checks one body once. `context` is what the parts share."""

    def __init__(
        self,
        key: str,
        body: s.Body,
        definitions: Definitions,
        sink: Sink,
        written: Written,
        signature: Callable[[str, Span], spec.Body | None],
        operator: Callable[[str], spec.Operator | None],
        extern: Callable[[str], spec.Extern | None],
        fn_scope: Callable[[str], Definitions],
        make_special: Callable[[str, Mapping[str, str], Definitions], str],
        special: Callable[[str], Mapping[str, str]],
        shared: Shared,
    ) -> None:
        self.key, self.body, self.sink, self.written = key, body, sink, written
        check_topology(body, sink, written)
        self.names = collect(body, sink, written)
        self.context = Context(
            body,
            self.names,
            definitions,
            sink,
            signature,
            operator,
            extern,
            fn_scope,
            special(key),
            type_value=self.type_value,
            type_index=self.type_index,
            default_of_hole=self.hole_default,
            make_special=make_special,
            special=special,
            written=written,
            shared=shared,
        )
        self.done: dict[str, Expr | None] = {}
        self.pending: list[str] = []
        self.indices: dict[str, spec.Index | None] = {}
        self.index_pending: set[str] = set()
        self.levels_stepped: dict[str, str] = {}
        self.static: dict[bool, dict[str, bool]] = {}
        self.counts: dict[str, int] = {}
        self.docs: dict[int, str] | None = None
        self.dim_order = {n: i for i, n in enumerate(self.names.dims)}
        self.sizes: dict[str, int] = {}
        """Dims whose values are known from the defaults."""

    # ---- the whole ----------------------------------------------------------------------------------------------------

    def run(self) -> spec.Body | None:
        """The checked body."""
        before = sum(d.severity == "error" for d in self.sink.found)
        n = self.names
        if max(len(n.values), len(n.dims), len(n.indices), len(n.levels)) > expressions.NODE_LIMIT:
            self.sink.report("SEQ0290", f"{self.body.name} has more than {expressions.NODE_LIMIT} names", self.body.name.span)
            return None
        states = sum(v.kind == "state" for v in n.values.values())
        if states > STATE_LIMIT:
            self.sink.report("SEQ0292", f"{self.body.name} has {states} states, at most {STATE_LIMIT} are allowed", self.body.name.span)
            return None
        self.check_shapes()
        dims = tuple(self.dim(n) for n in self.names.dims)
        holes = tuple(spec.Hole(n, self.hole_default(n), h.span) for n, h in self.names.holes.items())
        indices = tuple(i for n in self.names.indices if (i := self.type_index(n)) is not None)
        levels = tuple(self.level(b) for b in self.names.levels)
        self.calls_first()
        for name in n.values:
            self.type_value(name)
        starts = {v.name: self.start(v) for v in n.values.values()}
        self.layer_starts()
        self.levels_stepped = self.find_stepping()
        values = [self.value(v, *starts[v.name]) for v in n.values.values()]
        owned: dict[str, list[spec.Value]] = {}
        for extra in self.context.extra.values():
            owned.setdefault(extra.owner, []).append(extra)
        ordered: list[spec.Value] = []
        for made in values:
            ordered += [made, *owned.pop(made.name, [])]
        ordered += [e for rest in owned.values() for e in rest]
        requirements = tuple(self.requirement(r) for r in self.names.requires)
        made_settings = settings(self.context, self.names.settings)
        if sum(d.severity == "error" for d in self.sink.found) > before:
            return None
        return spec.Body(
            self.key,
            self.body.kind,  # type: ignore[arg-type]
            self.body.name.text,
            self.body.doc,
            holes,
            tuple(self.factor(f) for f in self.body.topology),
            dims,
            indices,
            levels,
            tuple(ordered),
            tuple(self.names.outs),
            tuple(r for r in requirements if r is not None),
            made_settings,
            tuple(self.context.sizes.items()),
            self.body.name.span,
        )

    @contextmanager
    def at(self, equation: str, level: tuple[str, ...], where: str, kind: x.Type = "real", *, default: bool = False) -> Iterator[Context]:
        """Says where we are while something is typed."""
        c = self.context
        old = (c.equation, c.level, c.where, c.env, c.fns, c.definitions, c.layer_type, c.input_default)
        c.equation, c.level, c.where, c.env, c.fns, c.layer_type, c.input_default = (
            equation,
            level,
            where,
            {},
            (),
            kind,
            default,
        )
        try:
            yield c
        finally:
            c.equation, c.level, c.where, c.env, c.fns, c.definitions, c.layer_type, c.input_default = old

    # ---- heads --------------------------------------------------------------------------------------------------------

    def factor(self, f: s.Along) -> spec.Factor:
        """One factor of the topology."""
        if f.head in ("tree", "dag", "graph"):
            return spec.Factor(f.head, tuple(a.text for a in f.axes))  # type: ignore[arg-type]
        if f.head == "grid":
            return spec.Factor("grid", tuple(a.text for a in f.axes))
        if f.head == "reverse":
            return spec.Factor("chain", (f.axes[0].text,), reverse=True)
        if f.between is not None:
            with self.at("", (), "dims") as c:
                try:
                    return spec.Factor(
                        "range", (f.head,), low=expressions.typed(c, f.between.low), high=expressions.typed(c, f.between.high)
                    )
                except Untypable:
                    return spec.Factor("range", (f.head,))
        return spec.Factor("chain", (f.head,))

    def hole_default(self, name: str) -> Callee | None:
        """The default of a hole, resolved."""
        bound = self.context.function_holes.get(name)
        if bound:
            return Callee(function=bound.rpartition(":")[2])
        line = self.names.holes[name].default
        if line is None:
            return None
        d = self.context.definitions
        if line.text in d.bodies:
            return Callee(key=d.bodies[line.text])
        if line.text in d.fns or line.text in FUNCTIONS:
            return Callee(function=line.text)
        near = nearest(line.text, [*d.names(), *FUNCTIONS])
        self.sink.report(
            "SEQ0233",
            f"there is no cell, block, model or function `{line}` for the hole `{name}`",
            line.span,
            label=f"did you mean `{near}`?" if near else "",
            help=near or f"from … import {line}",
        )
        return None

    def dim(self, name: str) -> spec.Dim:
        """One dim; its value may name earlier dims only."""
        line = self.names.dims[name]
        value = None
        if line.value is not None:
            with self.at("", (), "dims") as c:
                try:
                    value = expressions.typed(c, line.value)
                    self.dim_arithmetic(name, value, line)
                except Untypable:
                    pass
        return spec.Dim(name, value, self.doc_of(line.name.span), line.name.span)

    def dim_arithmetic(self, name: str, value: Expr, line: s.Dim) -> None:
        """Exact arithmetic of dims and literals, no cycles; whole and a size as far as the defaults tell."""
        order = self.dim_order
        for n in x.walk(value):
            legal = isinstance(n, x.DimSize) or isinstance(n, x.Apply) and n.fn in DIM_FUNCTIONS
            if not legal and not (isinstance(n, x.Literal_) and n.type in ("int", "real") and n.value != math.inf):
                self.sink.report(
                    "SEQ0217",
                    f"the dim `{name}` is made of something else than sizes",
                    n.span,
                    label="dims, numbers, + - * / ^, ceil, floor, roundup, min and max",
                    help=self.written.paste(line.span, name),
                )
                return
            if isinstance(n, x.DimSize) and order[n.dim] >= order[name]:
                self.sink.report(
                    "SEQ0218",
                    f"the dim `{name}` needs itself" if n.dim == name else f"the dim `{name}` reads `{n.dim}`, which is declared after it",
                    n.span,
                    help=f"dim {name}"
                    if n.dim == name
                    else f"dim {n.dim}, {name} = {self.written.text(line.value.span) if line.value else ''}",
                )
                return
        used = [n.dim for n in x.walk(value) if isinstance(n, x.DimSize)]
        given = ", ".join(f"{n} = {self.sizes[n]}" for n in dict.fromkeys(used) if n in self.sizes)
        try:
            size = evaluate(value, self.sizes)
        except NotWhole as wrong:
            written = self.written.text(line.value.span) if line.value is not None else "…"
            self.sink.report(
                "SEQ0433",
                f"the dim `{name}` comes out as {wrong.value}{f' ({given})' if given else ''}, not as a whole number",
                line.name.span,
                label=f"{written} is {wrong.value}",
                help=self.written.paste(line.value.span, f"floor({written})") if line.value is not None else "",
            )
        except NoSize as wrong:
            self.sink.report(
                "SEQ0434",
                f"the dim `{name}` {wrong}{f' ({given})' if given else ''}",
                line.name.span,
                help=self.written.paste(line.span, name),
            )
        except KeyError:
            return
        else:
            self.sizes[name] = size

    def level(self, ident: str) -> spec.Level:
        """One stack or rounds."""
        b = self.names.levels[ident]
        low: Expr = literal(1, b.line.span)
        high: Expr = literal(1, b.line.span)
        with self.at("", b.outer, "dims") as c:
            try:
                low, high = expressions.typed(c, b.line.between.low), expressions.typed(c, b.line.between.high)
            except Untypable:
                pass
        self.forwards(b.line.name.text, b.line.between)
        self.counts[ident] = count = self.count(low, high) * (self.counts.get(b.outer[-1], 1) if b.outer else 1)
        if count > LEVEL_LIMIT and not (b.outer and self.counts[b.outer[-1]] > LEVEL_LIMIT):
            around = ", those around it counted" if b.outer else ""
            self.sink.report(
                "SEQ0293",
                f"`{b.line.name}` has more than {LEVEL_LIMIT} levels{around}",
                b.line.between.low.span.to(b.line.between.high.span),
            )
        if b.line.kind == "stack" and any(isinstance(n, x.Length) for e in (low, high) for n in x.walk(e)):
            self.sink.report(
                "SEQ0307",
                "a stack has own weights for each level, so its range must be known when the module is built; `len` is not",
                b.line.span,
                help=f"rounds {b.line.name} in …",
            )
        return spec.Level(ident, b.line.name.text, b.line.kind, low, high, b.outer, b.order, b.line.span)  # type: ignore[arg-type]

    def forwards(self, name: str, between: s.Between) -> None:
        """A range of numbers ends after its start."""
        low, high = between.low, between.high
        if isinstance(low, s.Number) and isinstance(high, s.Number) and high.value < low.value:
            self.sink.report(
                "SEQ0443",
                f"the range of `{name}` is empty: {low.value}..{high.value}",
                low.span.to(high.span),
                label="the lower end comes first",
                help=self.written.paste(low.span.to(high.span), f"{high.value}..{low.value}"),
            )

    def count(self, low: Expr, high: Expr) -> int:
        """How many levels there are, where numbers say so; else 1."""
        try:
            return max(int(rational(high, {}) - rational(low, {})) + 1, 0)
        except KeyError:
            return 1
        except NoSize:
            return LEVEL_LIMIT + 1

    def type_index(self, name: str) -> spec.Index | None:
        """One index; its relation is typed on demand."""
        if name in self.indices:
            return self.indices[name]
        if name not in self.names.indices or name in self.index_pending:
            return None
        line, level = self.names.indices[name]
        self.index_pending.add(name)
        try:
            made = self.index(line, level)
        except Untypable:
            made = None
        self.index_pending.discard(name)
        self.indices[name] = made
        return made

    def index(self, line: s.Index, level: tuple[str, ...]) -> spec.Index:
        """A line that declares an index."""
        name = line.name.text
        if line.over is not None and line.over.text not in ("graph", "dag", "tree"):
            raise self.context.fail(
                "SEQ0215", f"an index is over `graph`, `dag` or `tree`, not over `{line.over}`", line.over.span, help="over graph"
            )
        low = high = where = bound = None
        of = ""
        ahead = past = whole = False
        c = self.context
        if line.between is not None:
            self.forwards(name, line.between)
            with self.at("", level, "dims"):
                low, high = expressions.typed(c, line.between.low), expressions.typed(c, line.between.high)
        if line.of is not None:
            of = line.of.text
            if not c.is_axis(of):
                near = nearest(of, [*self.names.dims, *self.names.indices, "t"])
                raise c.fail("SEQ0415", f"there is no axis `{of}` to give a second name to", line.of.span, help=near or f"index {of}")
        if line.where is not None:
            with self.at(name, level, "relation"):
                where = expressions.truth(c, expressions.typed(c, line.where))
        if of:
            levels = [b.id for b in self.names.levels.values() if b.line.name.text == of]
            t = levels[0] if levels and c.level_of(of) is None and of in c.names.level_names() else of
            r = relations.reach(where, name, t, c.ranges())
            if levels and r.ahead == float("inf"):
                r = relations.reach(where, name, levels[-1], c.ranges())
            ahead, past, bound = r.ahead > 0, r.ahead <= -1, r.back
            if is_dim(of):
                ahead, past, bound = False, False, None
            elif where is None:
                ahead, past, bound, whole = True, False, None, of in c.running
        return spec.Index(name, low, high, of, where, name in c.static_indices(), whole, bound, ahead, past, level, line.name.span)

    # ---- values -------------------------------------------------------------------------------------------------------

    def check_shapes(self) -> None:
        """Declared axes exist, and none is what the body runs along."""
        c = self.context
        told: set[str] = set()
        for v in self.names.values.values():
            for a in v.line.shape.axes if v.line.shape else ():
                v.shapeless |= a.text in c.running or a.text == "batch" or not c.is_axis(a.text)
                if a.text == "batch":
                    self.sink.report(
                        "SEQ0216",
                        "`batch` stands in no shape: it is there without being written",
                        a.span,
                        label="a second name of it can stand in one: index b of batch",
                    )
                elif a.text in c.running:
                    self.sink.report(
                        "SEQ0216",
                        f"`{a}` is what {self.body.name} runs along and stands in no shape",
                        a.span,
                        label="every value is that of one step",
                        help=self.written.paste(v.line.shape.span, shape([w.text for w in v.line.shape.axes if w.text not in c.running]))
                        if v.line.shape
                        else "",
                    )
                elif not c.is_axis(a.text) and a.text not in told:
                    told.add(a.text)
                    near = nearest(a.text, [*self.names.dims, *self.names.indices])
                    self.sink.report(
                        "SEQ0219",
                        f"the axis `{a}` is not declared",
                        a.span,
                        label=expressions.WHERE.get(a.text) or (f"did you mean `{near}`?" if near else ""),
                        help=self.written.paste(a.span, near) if near else f"dim {a}" if is_dim(a.text) else f"index {a}",
                    )
            axes = [a.text for a in v.line.shape.axes] if v.line.shape else []
            twice = next((w for i, w in enumerate(v.line.shape.axes) if w.text in axes[:i]), None) if v.line.shape else None
            if twice is not None:
                v.shapeless = True
                self.sink.report(
                    "SEQ0412",
                    f"`{v.name}` has the axis `{twice}` twice",
                    twice.span,
                    label="which of the two would `over` mean?",
                    help=f"index j of {twice}\n{self.written.paste(twice.span, 'j')}"
                    if is_dim(twice.text)
                    else self.written.paste(twice.span, f"{twice}2"),
                )

    def calls_first(self) -> None:
        """Types what others need the type of (values without a shape, and those whose fields are read) in their order.

        Typing them on demand would nest as deep as the chain they form.
        """
        path: list[str] = []
        inside: set[str] = set()
        stack = list(reversed(self.names.values))
        while stack:
            name = stack[-1]
            if name in self.done:
                stack.pop()
            elif path and path[-1] == name:
                stack.pop()
                inside.discard(path.pop())
                self.type_value(name)
            else:
                path.append(name)
                inside.add(name)
                needs = [n for n in self.needed(name) if n not in self.done]
                loop = next((n for n in needs if n in inside), None)
                if loop is not None:
                    members = path[path.index(loop) :]
                    self.loop(members)
                    self.done.update(dict.fromkeys(members))
                    inside.difference_update(members)
                    del path[path.index(loop) :]
                    continue
                stack += reversed(needs)

    def needed(self, name: str) -> list[str]:
        """The values whose equations have to be typed before that of `name`."""
        v = self.names.values[name]
        out: list[str] = []
        stack: list[object] = [v.value] if v.value is not None else []
        while stack:
            n = stack.pop()
            match n:
                case s.Field():
                    base: s.Expr = n
                    while isinstance(base, s.Field):
                        base = base.base
                    if isinstance(base, s.Name):
                        out.append(base.id)
                    else:
                        stack.append(base)
                case s.Name(id=i):
                    u = self.names.values.get(i)
                    if u is not None and u.line.shape is None:
                        out.append(i)
                case s.Call():
                    stack += [*n.arguments, *(k.value for k in n.keywords if k.name not in ("start", "name"))]
                case s.Binary() | s.Compare() | s.Logical():
                    stack += [n.left, n.right]
                case s.Not() | s.Negative():
                    stack.append(n.operand)
                case s.Read():
                    stack += [n.base, *(i.index if isinstance(i, s.At) else i for i in n.items)]
                case s.NameList():
                    stack += n.items
        return [n for n in dict.fromkeys(out) if n in self.names.values and self.names.values[n].value is not None]

    def loop(self, members: list[str]) -> None:
        """SEQ0301 of values that need each other's results to be typed."""
        v = self.names.values[members[0]]
        self.sink.report(
            "SEQ0301",
            f"`{v.name}` needs its own value of the same step",
            v.span,
            label=f"the loop: {' -> '.join([*members[:8], *(['…'] if len(members) > 8 else []), v.name])}",
            help=f"{v.name} : […] gives it a shape; its past is {v.name}[{self.context.chain or 't'}-1]",
        )

    def type_value(self, name: str) -> Expr | None:
        """The typed equation of a value; None where it has none or is wrong."""
        if name in self.done:
            return self.done[name]
        v = self.names.values.get(name)
        if v is None or v.value is None:
            return None
        if name in self.pending:
            self.loop(self.pending[self.pending.index(name) :])
            raise Untypable()
        self.pending.append(name)
        try:
            made = self.equation(v)
        except Untypable:
            made = None
        self.pending.pop()
        self.done[name] = made
        return made

    def equation(self, v: Declared) -> Expr:
        """Types one equation and fits it to its declaration."""
        assert v.value is not None
        want = self.context.declared_axes(v)
        kind = self.declared_type(v)
        value = v.value
        with self.at(v.name, v.level, "equation", "complex" if kind == "complex" else "real", default=v.kind == "input") as c:
            if v.shapeless:
                raise Untypable()
            if isinstance(value, s.Name) and value.id == "none":
                if v.kind != "input":
                    raise c.fail(
                        "SEQ0224",
                        "only an input can be left out with `= none`",
                        value.span,
                        help=f"in {self.written.text(v.line.span).removeprefix(v.kind).strip()}",
                    )
                return x.NotGiven(axes=want or (), type=kind, span=value.span)
            e = expressions.typed(c, value, want)
            if v.kind == "const":
                self.built(v, e)
            if want is None:
                return e
            if isinstance(e, x.Invoke) and not e.out and e.expansion is None and e.outs:
                raise calls.several(c, v.name, value.span)
            return self.fit(v, e, want, kind)

    def built(self, v: Declared, e: Expr) -> None:
        """A const is bound when the module is built: it is made of dims, levels and consts."""
        for n in x.walk(e):
            u = self.names.values.get(n.name) if isinstance(n, x.Read) else None
            run = isinstance(n, x.Length) or isinstance(n, x.Number) and (n.of in self.context.running or not self.is_static(n.of))
            if run or u is not None and u.kind not in ("const", "param") and not self.static_value(u, False):
                self.sink.report(
                    "SEQ0306",
                    f"the const `{v.name}` reads `{self.written.text(n.span)}`, which is known in the run only",
                    n.span,
                    label="it is bound when the module is built",
                    help=self.written.text(v.line.span).removeprefix("const ").strip(),
                )
                return

    def is_static(self, axis: str) -> bool:
        """Whether the numbers of an axis are known when the module is built."""
        return is_dim(axis) or axis in self.context.static_indices() or axis in self.names.levels or axis in self.names.heads

    def fit(self, v: Declared, e: Expr, want: Axes, kind: x.Type) -> Expr:
        """A value fills its declared shape: fewer axes are repeated, an axis too many is an error."""
        c = self.context
        extra = [a for a in e.axes if a not in want]
        assert v.value is not None
        at = v.value.span
        declared = Note(f"`{v.name}` is declared as {shape(want)}", v.line.shape.span if v.line.shape else v.span)
        if extra:
            raise c.fail(
                "SEQ0401",
                f"`{v.name} : {shape(want)}` is given {shape(e.axes)}",
                at,
                label=f"what becomes of {shape(extra)}?",
                notes=(declared,),
                help=c.written.paste(at, f"sum({c.written.text(at)}, over = {extra[0] if len(extra) == 1 else shape(extra)})"),
            )
        if e.type not in FITS[kind]:
            if kind == "int" and e.type == "real":
                raise c.fail(
                    "SEQ0410",
                    f"`{v.name}` is declared `of int`, its equation is not whole",
                    at,
                    notes=(Note("declared here", v.span),),
                    help=c.written.paste(at, f"floor({c.written.text(at)})"),
                )
            text = c.written.text(at)
            helps = {
                ("real", "complex"): f"re({text})",
                ("real", "bool"): f"where({text}, 1, 0)",
                ("int", "bool"): f"where({text}, 1, 0)",
                ("bool", "int"): f"({text}) != 0",
                ("bool", "real"): f"({text}) > 0",
            }
            raise c.fail(
                "SEQ0409",
                f"`{v.name}` is declared {kind}, its equation is {e.type}",
                at,
                notes=(Note("declared here", v.span),),
                help=c.written.paste(at, helps[kind, e.type])
                if (kind, e.type) in helps
                else f"{v.name} : {shape(want)} of {e.type} = {text}",
            )
        if set(e.axes) != set(want):
            return x.Expand(e, axes=want, type=e.type, span=e.span)
        return e

    def declared_type(self, v: Declared) -> x.Type:
        """The declared type; real where none is written."""
        return TYPES.get(v.line.type.text, "real") if v.line.type is not None else "real"

    def value(self, v: Declared, start: Expr | None, learned: bool) -> spec.Value:
        """One value of the checked body."""
        e = self.type_value(v.name)
        line = v.line
        axes = self.context.declared_axes(v)
        kind = self.declared_type(v)
        if axes is None and e is not None:
            axes, kind = (
                (None, "real") if isinstance(e, x.Eigh | x.Scan) or isinstance(e, x.Invoke) and not e.out and e.outs else (e.axes, e.type)
            )
        bounds = self.bounds(v)
        if v.kind == "param" and start is None and not learned and not line.init:
            self.sink.report(
                "SEQ0308",
                f"the parameter `{v.name}` has no start",
                v.span,
                help=with_start(self.written.text(line.span), "normal(0, 0.02)"),
            )
        self.words(v, kind, axes or ())
        width = line.type.text if line.type is not None and line.type.text in FLOATS else ""
        home = line.home.text if line.home is not None else ""
        return spec.Value(
            v.name,
            v.kind,  # type: ignore[arg-type]
            axes,
            kind,
            width,
            bounds,
            home,
            line.once,
            line.fixed,
            start,
            learned,
            e,
            v.level,
            self.stepping(v),
            "",
            line.doc or (v.equation.doc if v.equation else ""),
            v.span,
            self.written.text(v.equation.span) if v.equation is not None else "",
        )

    def words(self, v: Declared, kind: x.Type, axes: Axes) -> None:
        """The words of a declaration go with its kind, type and shape."""
        line, c = v.line, self.context
        over = axes[0] if len(axes) == 1 else shape(axes)
        text = self.written.text(line.span)
        home = line.home
        if home is not None and home.text not in ("edge", "call"):
            self.sink.report(
                "SEQ0215",
                f"a value lives over `edge` or over `call`, not over `{home}`",
                home.span,
                help=self.written.paste(home.span, nearest(home.text, ["edge", "call"]) or "call"),
            )
        elif home is not None and (v.kind not in ("input", "state") or home.text == "edge" and v.kind != "input"):
            what = "inputs live over edges" if home.text == "edge" else "inputs and states outlive sequences"
            self.sink.report("SEQ0215", f"only {what}", home.span, help=_less(_less(text, "over"), home.text))
        elif home is not None and home.text == "edge" and not c.on_graph:
            self.sink.report("SEQ0215", f"{self.body.name} runs over no tree, dag or graph, so there are no edges", home.span)
        if line.once and v.kind != "input":
            self.sink.report("SEQ0215", f"`{v.name}` is no input: only an input is `once`", v.span, help=_less(text, "once"))
        if line.fixed and v.kind != "param":
            self.sink.report("SEQ0215", f"`{v.name}` is no parameter: only a parameter is `fixed`", v.span, help=_less(text, "fixed"))
        if v.kind == "param" and not line.fixed and kind not in ("real", "complex"):
            self.sink.report(
                "SEQ0215",
                f"`{v.name}` is of {kind} and cannot be learned",
                line.type.span if line.type is not None else v.span,
                label="only a `fixed` parameter is",
                help=text.replace(" init ", " fixed init ", 1),
            )
        for a in axes if v.kind == "param" else ():
            if not is_dim(a) and a not in c.static_indices() and c.is_axis(a):
                self.sink.report(
                    "SEQ0424",
                    f"the size of `{a}` is known only in the run, so no parameter has it",
                    next((w.span for w in line.shape.axes if w.text == a), v.span) if line.shape is not None else v.span,
                    label="a parameter has dims, and indices whose range is made of dims",
                )
        if v.kind == "loss" and axes:
            self.sink.report(
                "SEQ0401",
                f"the loss `{v.name}` is one number, and has {shape(axes)}",
                line.shape.span if line.shape is not None else v.span,
                label="averaged over steps and batch by itself",
                help=self.written.paste(
                    line.shape.span.to(v.value.span) if line.shape is not None and v.value is not None else v.span,
                    f"[] = mean({self.written.text(v.value.span) if v.value else '…'}, over = {over})",
                ),
            )
        if v.kind == "state" and not v.level and not self.body.topology and (home is None or home.text != "call"):
            self.sink.report(
                "SEQ0311",
                f"the state `{v.name}` of a {self.body.kind} has no steps to go along",
                v.span,
                label="it stands outside of every `stack` and `rounds`",
                notes=(Note("what goes along `t` is a cell, which a block calls"),),
                help=f"cell {self.body.name}Step over t:",
            )

    def find_stepping(self) -> dict[str, str]:
        """The level that each value with `[l-1]` reads is read along."""
        found: dict[str, str] = {}
        parts = [e for n in self.names.values if (e := self.done.get(n)) is not None]
        parts += [v.value for v in self.context.extra.values() if v.value is not None]
        for e in parts:
            for r in x.reads(e):
                for m in r.moves:
                    if m.kind == "level":
                        found.setdefault(r.name, m.axis)
        return found

    def stepping(self, v: Declared) -> str:
        """The level a state steps along: that of its `[l-1]` reads; in a block the innermost one."""
        if v.kind != "state" or not v.level:
            return ""
        return self.levels_stepped.get(v.name) or ("" if self.body.topology else v.level[-1])

    def bounds(self, v: Declared) -> spec.Bounds | None:
        """The claimed range."""
        r = v.line.range
        if r is None:
            return None
        with self.at(v.name, v.level, "dims") as c:
            try:
                low, high = expressions.typed(c, r.low), expressions.typed(c, r.high)
            except Untypable:
                return None
        for n in (*x.walk(low), *x.walk(high)):
            u = self.names.values.get(n.name) if isinstance(n, x.Read) else None
            if n.axes or not isinstance(n, x.Literal_ | x.DimSize | x.Apply | x.Read) or u is not None and u.kind != "const":
                self.sink.report(
                    "SEQ0443",
                    f"the ends of the range of `{v.name}` are made of numbers, dims and consts only",
                    n.span,
                    label="this is none of them",
                    help="require … <= … claims more than a range can",
                )
                return None
        return spec.Bounds(low, high, r.low_open, r.high_open)

    def start(self, v: Declared) -> tuple[Expr | None, bool]:
        """`init …`, and whether it is learned."""
        init = v.line.init
        if init is None:
            return None, False
        axes, kind = self.context.declared_axes(v) or (), self.declared_type(v)
        learned = isinstance(init, s.Learned)
        inner = init.start if isinstance(init, s.Learned) else init
        if inner is None:
            return literal(0, init.span), True
        with self.at(
            v.name,
            v.level,
            "start" if v.kind == "state" and not learned else "init",
            "complex" if kind == "complex" else "real",
        ) as c:
            try:
                e = expressions.typed(c, inner, axes)
            except Untypable:
                return None, learned
            extra = [a for a in e.axes if a not in axes]
            if extra:
                c.sink.report(
                    "SEQ0401",
                    f"the start of `{v.name} : {shape(axes)}` has {shape(e.axes)}",
                    e.span,
                    label=f"what becomes of {shape(extra)}?",
                )
                return None, learned
            if e.type not in FITS[kind]:
                c.sink.report(
                    "SEQ0410" if (kind, e.type) == ("int", "real") else "SEQ0409",
                    f"`{v.name}` is declared {kind}, its start is {e.type}",
                    inner.span,
                    notes=(Note("declared here", v.span),),
                    help=self.written.paste(inner.span, {"bool": "false", "text": '""'}.get(kind, "0")),
                )
                return None, learned
            self.start_reads(v, e)
            return e, learned

    def start_reads(self, v: Declared, e: Expr) -> None:
        """Along the topology a start reads `once` inputs, params and levels; along a level any value around the stack."""
        for n in x.walk(e):
            if isinstance(n, x.Number) and n.of in self.context.running:
                self.sink.report(
                    "SEQ0306",
                    f"the start of `{v.name}` reads `{n.of}`, which changes from step to step",
                    n.span,
                    label="the start is made once, before the first step",
                )
                return
        learned = v.kind == "param" or isinstance(v.line.init, s.Learned)
        for r in x.reads(e):
            u = self.names.values.get(r.name)
            if u is None or not self.body.topology and v.kind == "state" and v.level and not learned:
                continue
            if v.kind == "param" and u.kind == "param" and u.order >= v.order:
                self.sink.report(
                    "SEQ0306",
                    f"the start of `{v.name}` reads `{u.name}`, which is not made before it",
                    r.span,
                    label="parameters are made in the order of the text",
                    notes=(Note("declared here", u.span),) if u is not v else (),
                )
                continue
            if v.kind == "state" and v.level and u.level != v.level and not learned or self.static_value(u, not learned):
                continue
            self.sink.report(
                "SEQ0306",
                f"the start of `{v.name}` reads `{r.name}`, which "
                + ("is known in the run only" if learned else "changes from step to step"),
                r.span,
                notes=(Note("declared here", u.span),),
                label="it is made when the module is built" if learned else "the start is made once, before the first step",
                help=f"{self.written.text(u.line.span)} once"
                if u.kind == "input" and u.value is None and not u.line.init and not learned
                else with_start(self.written.text(v.line.span).partition(" init ")[0], "0"),
            )

    def layer_starts(self) -> None:
        """What layers are given as starts is made when the module is built."""
        for e in self.context.starts:
            for r in x.reads(e):
                u = self.names.values.get(r.name)
                if u is not None and not self.static_value(u, False):
                    self.sink.report(
                        "SEQ0306",
                        f"the start of a parameter reads `{r.name}`, which is known in the run only",
                        r.span,
                        label="it is made when the module is built",
                        notes=(Note("declared here", u.span),),
                    )

    def static_value(self, u: Declared, once: bool) -> bool:
        """Whether a value is made of params, consts and levels only, and where `once` says so of once inputs."""
        known = self.static.setdefault(once, {})
        seen = {u.name}
        stack = [u]
        while stack:
            v = stack.pop()
            if v.kind in ("param", "const") or once and v.kind == "input" and v.line.once or known.get(v.name):
                continue
            e = None if v.kind in ("input", "state") else self.type_value(v.name)
            if v.kind in ("input", "state") or known.get(v.name) is False:
                known[u.name] = False
                return False
            for n in x.walk(e) if e is not None else ():
                if isinstance(n, x.Number) and n.of in self.context.running:
                    known[u.name] = False
                    return False
                inner = self.names.values.get(n.name) if isinstance(n, x.Read) else None
                if inner is not None and inner.name not in seen:
                    seen.add(inner.name)
                    stack.append(inner)
        known.update(dict.fromkeys(seen, True))
        return True

    def requirement(self, r: s.Require) -> spec.Requirement | None:
        """A claim; comparisons are proved by the rule `ranges`."""
        if isinstance(r.claim, s.Name):
            if r.claim.id not in ("causal", "conservative"):
                self.sink.report(
                    "SEQ0235",
                    f"there is no claim `{r.claim.id}`",
                    r.claim.span,
                    label="causal, conservative, or a comparison",
                    help=f"require {nearest(r.claim.id, ['causal', 'conservative']) or 'causal'}",
                )
                return None
            return spec.Requirement(r.claim.id, None, r.span)
        with self.at("require", (), "equation") as c:
            try:
                return spec.Requirement("holds", expressions.truth(c, expressions.typed(c, r.claim)), r.span)
            except Untypable:
                return None

    def doc_of(self, span: Span) -> str:
        """The doc comment of the line a dim stands on."""
        if self.docs is None:
            self.docs = {
                n: line.doc
                for line in self.body.lines
                if isinstance(line, s.Dims) and len(line.dims) == 1
                for n in range(line.span.line, line.span.end_line + 1)
            }
        return self.docs.get(span.line, "")


def _less(text: str, word: str) -> str:
    """A line without one of its words."""
    return " ".join(w for w in text.split(" ") if w != word)


DIM_FUNCTIONS = frozenset("add sub mul div pow neg floor ceil roundup min max".split())

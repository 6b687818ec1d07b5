"""Types calls of bodies, holes and externs (language.md section 3, "Calls").

Out:     `Invoke`: what runs, which argument is which input with which axes, sizes and everything else that is bound, and the
         axes of what comes back.
Refuses: SEQ0227/0228 (arguments), SEQ0231 (an input without a value), SEQ0233 (a hole that is not filled or not fillable),
         SEQ0234 (a body that calls itself), SEQ0430 (axes that do not match), SEQ0431 (`along`, `own`), SEQ0432 (a dim bound to
         no size).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seqc.compiler.check import expressions
from seqc.compiler.check.align import shape
from seqc.compiler.check.context import Bound, Context, Untypable
from seqc.compiler.check.layers import ordered, size_of
from seqc.compiler.check.words import FUNCTIONS
from seqc.compiler.check.written import import_of
from seqc.compiler.diagnostics.diagnostic import Note
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Argument, Axes, Callee, Expr, Invoke
from seqc.runtime.matching import is_dim, match

OPEN = ("name", "along", "own", "start", "params")


def resolve(c: Context, word: s.Expr) -> Callee:
    """What `Mixer = …` binds: a hole of this body, a body, a `fn`, a function, or a call form that binds further holes."""
    inner: tuple[tuple[str, Callee], ...] = ()
    span = word.span
    if isinstance(word, s.Call):
        inner = tuple((k.name, resolve(c, k.value)) for k in word.keywords)
        word = s.Name(word.function, span=word.span)
    if not isinstance(word, s.Name):
        raise c.fail("SEQ0233", "a hole takes the name of a cell, block, model or function", span)
    if word.id in c.function_holes:
        return Callee(function=c.function_holes[word.id])
    if word.id in c.names.holes:
        default = c.hole_default(word.id)
        return Callee(key=default.key if default else "", hole=word.id, function=default.function if default else "", holes=inner)
    if word.id in c.definitions.bodies:
        return Callee(key=c.definitions.bodies[word.id], holes=inner)
    if word.id in c.definitions.fns or word.id in FUNCTIONS:
        return Callee(function=word.id)
    near = nearest(word.id, [*c.definitions.names(), *FUNCTIONS])
    raise c.fail(
        "SEQ0233",
        f"there is no cell, block, model or function `{word.id}` to put into a hole",
        span,
        label=f"did you mean `{near}`?" if near else "",
        help=c.written.paste(span, near) if near else import_of(word.id),
    )


def hole(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """A call of a hole: typed as its default is."""
    default = c.hole_default(e.function)
    if default is None:
        return open_hole(c, e, want)
    if default.function:
        return function_hole(c, e, default.function, want)
    return body(c, e, default.key, want, Callee(key=default.key, hole=e.function, holes=default.holes), hole_words(c, e))


def hole_words(c: Context, e: s.Call) -> tuple[str, ...] | None:
    """The arguments a hole lists in its body's head, `Mixer(x, M)`; None where it lists none."""
    listed = c.names.holes[e.function].arguments
    return None if listed is None else tuple(w.text for w in listed)


def function_hole(c: Context, e: s.Call, function: str, want: Axes | None) -> Expr:
    """A call of a hole whose default is a function: its arguments are typed once, the expansion reads them."""
    from seqc.compiler.check.functions import keeps_shape

    values = [expressions.typed(c, a, want if keeps_shape(c, function) else None) for a in e.arguments]
    names = [f"({i})" for i in range(len(values))]
    outer, c.env = (
        c.env,
        {**c.env, **{n: Bound(v, s.Name(c.axis_word(a) or n)) for n, v, a in zip(names, values, e.arguments, strict=True)}},
    )
    try:
        plain = s.Call(
            function,
            tuple(s.Name(n, span=a.span) for n, a in zip(names, e.arguments, strict=True)),
            e.keywords,
            function_span=e.function_span,
            span=e.span,
        )
        expansion = expressions.call(c, plain, want)
    finally:
        c.env = outer
    return Invoke(
        Callee(hole=e.function, function=function),
        e.function,
        tuple(Argument("", v) for v in values),
        (),
        (),
        (),
        (),
        (),
        True,
        "",
        (),
        "",
        (),
        expansion,
        axes=expansion.axes,
        type=expansion.type,
        span=e.span,
    )


def open_hole(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """A hole without a default: its result has the declared shape, or else its first argument's."""
    args = [expressions.typed(c, a) for a in e.arguments]
    if not args:
        raise c.fail("SEQ0227", f"`{e.function}` needs an argument", e.span)
    axes = want if want is not None else args[0].axes
    words = hole_words(c, e)
    named: list[Argument] = [Argument(words[i] if words and i < len(words) else "", a) for i, a in enumerate(args)]
    dims: list[tuple[str, Expr]] = []
    for k in e.keywords:
        if k.name in OPEN:
            continue
        value = expressions.typed(c, k.value)
        if is_dim(k.name):
            dims.append((k.name, value))
        else:
            named.append(Argument(k.name, value))
    return Invoke(
        Callee(hole=e.function),
        label(e),
        tuple(named),
        tuple(dims),
        (),
        (),
        (),
        (),
        bool(c.body.topology),
        "",
        (),
        "",
        (),
        None,
        words is not None,
        axes=axes,
        type="real",
        span=e.span,
    )


def label(e: s.Call) -> str:
    """The last part of the parameters' prefix."""
    for k in e.keywords:
        if k.name == "name" and isinstance(k.value, s.Name):
            return k.value.id
    return e.function


class Facts:
    """What calls ask of a checked body again and again, worked out once."""

    def __init__(self, body: spec.Body) -> None:
        self.table = body.table
        self.holes = {h.name for h in body.holes}
        self.dims = {d.name: d for d in body.dims}
        self.inputs = [v.name for v in body.values if v.kind == "input"]
        axes = {a for v in body.values for a in v.axes or ()}
        self.named = axes
        self.indices = {i.name for i in body.indices} | {a for f in body.topology for a in f.axes}
        self.indices |= {a for a in axes if not is_dim(a)}
        states = (v.name for v in body.values if v.kind == "state" and v.name not in body.outs)
        self.fields = [*body.outs, *states]
        self.needed: dict[frozenset[str], set[str]] = {}


def facts(c: Context, body: spec.Body) -> Facts:
    """The facts of a body."""
    found = c.shared.facts.get(body.key)
    if not isinstance(found, Facts):
        found = c.shared.facts[body.key] = Facts(body)
    return found


@dataclass(slots=True)
class _Bindings:
    """What a call says by keyword, sorted by what the names are to the callee."""

    holes: dict[str, Callee] = field(default_factory=dict)
    dims: dict[str, s.Keyword] = field(default_factory=dict)
    indices: dict[str, s.Keyword] = field(default_factory=dict)
    inputs: dict[str, s.Expr] = field(default_factory=dict)
    starts: list[tuple[str, Expr]] = field(default_factory=list)
    params: list[tuple[str, Expr]] = field(default_factory=list)
    consts: list[tuple[str, Expr]] = field(default_factory=list)
    along: s.Keyword | None = None
    own: str = ""


def sort_keywords(c: Context, e: s.Call, callee: spec.Body) -> _Bindings:
    """Looks every keyword up in the callee."""
    out = _Bindings()
    known = facts(c, callee)
    holes, dims, table, indices = known.holes, known.dims, known.table, known.indices
    for k in e.keywords:
        if k.name in holes:
            out.holes[k.name] = resolve(c, k.value)
        elif k.name == "along":
            out.along = k
        elif k.name == "own":
            word = c.axis_word(k.value)
            if word is None or word not in c.static_indices() and not is_dim(word):
                raise c.fail(
                    "SEQ0431",
                    "`own =` takes an index whose range is known when the module is built",
                    k.span,
                    help="index i in 1..T",
                )
            out.own = word
        elif k.name == "name":
            continue
        elif k.name == "start":
            word_ = k.value
            if not isinstance(word_, s.Name) or word_.id not in c.names.values:
                raise c.fail("SEQ0431", "`start =` takes the name of a called cell", k.span, help="start = enc")
            out.starts.append(("*", x.Read(word_.id, span=word_.span)))
        elif k.name == "params":
            out.params.append(("*", expressions.typed(c, k.value)))
        elif k.name in dims:
            out.dims[k.name] = k
        elif k.name in table and table[k.name].kind == "input":
            out.inputs[k.name] = k.value
        elif k.name in table and table[k.name].kind == "state":
            out.starts.append((k.name, expressions.typed(c, k.value)))
        elif k.name in table and table[k.name].kind == "param":
            out.params.append((k.name, expressions.typed(c, k.value, table[k.name].axes)))
        elif k.name in table and table[k.name].kind == "const":
            out.consts.append((k.name, expressions.typed(c, k.value)))
        elif k.name in indices:
            out.indices[k.name] = k
        else:
            open_ = [
                *holes,
                *dims,
                *indices,
                *(n for n, v in table.items() if v.kind in ("input", "state", "param", "const") and not v.owner),
                *OPEN,
            ]
            near = nearest(k.name, open_)
            raise c.fail(
                "SEQ0228",
                f"{callee.name} leaves no `{k.name}` open",
                k.name_span,
                label=f"did you mean `{near}`?" if near else "",
                notes=(Note(f"{callee.name} is defined here", callee.span),),
                help=c.written.paste(k.name_span, near) if near else "",
            )
    return out


def body(
    c: Context, e: s.Call, key: str, want: Axes | None, callee_ref: Callee | None = None, words: tuple[str, ...] | None = None
) -> Expr:
    """A call of a checked body."""
    if c.where not in ("equation", "init", "start"):
        raise c.fail("SEQ0429", "a body is called in equations only", e.span)
    if c.fns and c.where == "equation":
        raise c.fail("SEQ0429", "a `fn` has no layers and no calls inside", e.span, help="make it a block")
    callee = c.signature(key, e.span)
    if callee is None:
        raise Untypable()
    bound = sort_keywords(c, e, callee)
    functions = {h: r.function for h, r in bound.holes.items() if r.function and not r.key}
    if functions:
        key = c.specialise(key, functions)
        made = c.signature(key, e.span)
        if made is None:
            raise Untypable()
        callee = made
    ref = callee_ref or Callee(key=key)
    if callee_ref is None or functions:
        ref = Callee(key=key, hole=callee_ref.hole if callee_ref and not functions else "", holes=ref.holes)
    given_holes = tuple((h, r) for h, r in bound.holes.items() if h not in functions)
    if given_holes:
        ref = Callee(key=ref.key, hole=ref.hole, holes=(*ref.holes, *given_holes))
    unfilled = [
        h
        for h in callee.holes
        if h.default is None and h.name not in bound.holes and h.name not in dict(ref.holes) and h.name not in c.specialised(key)
    ]
    if unfilled:
        raise c.fail(
            "SEQ0233",
            f"the hole `{unfilled[0].name}` of {callee.name} is not filled",
            e.span,
            help=c.added(e.span, f"{unfilled[0].name} = …"),
        )
    return _Match(c, e, callee, ref, bound, want, words).run()


class _Match:
    """Matches arguments to inputs, axes to axes, and puts the `Invoke` together."""

    def __init__(
        self,
        c: Context,
        e: s.Call,
        callee: spec.Body,
        ref: Callee,
        bound: _Bindings,
        want: Axes | None,
        words: tuple[str, ...] | None,
    ) -> None:
        self.c, self.e, self.callee, self.ref, self.bound, self.want = c, e, callee, ref, bound, want
        self.words, self.dropped = words, list[Argument]()
        self.pairs: dict[str, str] = {}
        self.mapped: list[str] = []
        self.sizes: dict[str, Expr] = {}
        self.facts = facts(c, callee)

    def run(self) -> Expr:
        """The whole."""
        given = self.inputs()
        self.explicit()
        along, inline = self.run_along(given)
        arguments = self.arguments(given, along, inline)
        self.missing(given)
        self.bound_shapes()
        for c_axis, a_axis in self.pairs.items():
            if is_dim(c_axis) and c_axis not in self.sizes:
                self.sizes[c_axis] = size_of(self.c, a_axis, self.e.span)
        outs = self.outs(along, inline)
        results = [o for o in outs if o[0] in self.callee.outs]
        single = results[0] if len(results) == 1 else None
        axes = ordered(self.want, single[1]) if single else ()
        return Invoke(
            self.ref,
            label(self.e),
            (*arguments, *self.dropped),
            tuple((d, v) for d, v in self.sizes.items() if d in self.facts.dims),
            tuple(self.bound.params),
            tuple(self.bound.starts),
            tuple(self.bound.consts),
            along,
            inline,
            self.bound.own,
            tuple(self.mapped),
            single[0] if single else "",
            tuple(outs),
            None,
            self.words is not None,
            axes=axes,
            type=single[2] if single else "real",
            span=self.e.span,
        )

    def inputs(self) -> dict[str, Expr]:
        """Argument values by input name; positional ones in declared order."""
        c, e = self.c, self.e
        names = self.facts.inputs
        if self.words is not None:
            return self.listed(names, self.words)
        if len(e.arguments) > len(names):
            raise c.fail(
                "SEQ0227",
                f"{self.callee.name} has {len(names)} inputs, {len(e.arguments)} given",
                e.span,
                notes=(Note(f"{self.callee.name} is defined here", self.callee.span),),
            )
        out: dict[str, Expr] = {}
        for n, a in zip(names, e.arguments, strict=False):
            out[n] = self.value(a)
        for n, a in self.bound.inputs.items():
            if n in out:
                raise c.fail("SEQ0228", f"the input `{n}` is given twice", a.span)
            out[n] = self.value(a)
        return out

    def listed(self, names: Sequence[str], words: Sequence[str]) -> dict[str, Expr]:
        """Arguments of a hole that lists them: by the listed word, the first by its place; what the callee lacks is dropped."""
        if len(self.e.arguments) > len(words):
            raise self.c.fail(
                "SEQ0227",
                f"the hole `{self.e.function}` lists {len(words)} arguments, {len(self.e.arguments)} given",
                self.e.span,
            )
        out: dict[str, Expr] = {}
        for i, (word, a) in enumerate(zip(words, self.e.arguments, strict=False)):
            if word in names:
                out[word] = self.value(a)
            elif i == 0 and names:
                out[names[0]] = self.value(a)
            else:
                self.dropped.append(Argument(word, self.value(a)))
        return out | {n: self.value(a) for n, a in self.bound.inputs.items() if n not in out}

    def value(self, a: s.Expr) -> Expr:
        if isinstance(a, s.Name) and a.id == "none" and a.id not in self.c.env:
            return x.NotGiven(span=a.span)
        outside, self.c.reading = self.c.reading, isinstance(a, s.Name)
        try:
            return expressions.typed(self.c, a)
        finally:
            self.c.reading = outside

    def explicit(self) -> None:
        """`i = t`, `D = T`, `N = 2 * N`."""
        c = self.c
        for name, k in {**self.bound.indices, **self.bound.dims}.items():
            word = c.axis_word(k.value)
            if word is not None and c.is_axis(word):
                self.pairs[name] = word
                if is_dim(name):
                    self.sizes[name] = size_of(c, word, k.span)
            elif is_dim(name):
                where, c.where = c.where, "dims"
                try:
                    size = expressions.typed(c, k.value)
                finally:
                    c.where = where
                if size.type != "int" and not isinstance(size, x.Apply) or size.axes:
                    raise c.fail(
                        "SEQ0432", f"the dim `{name}` is bound to no size", k.value.span, label="dims and numbers make a size, as in 2 * D"
                    )
                self.sizes[name] = size
            else:
                raise c.fail("SEQ0431", f"the index `{name}` is bound to no axis", k.span, help=c.written.paste(k.value.span, "t"))

    def run_along(self, given: Mapping[str, Expr]) -> tuple[tuple[tuple[str, str, bool], ...], bool]:
        """Along which of the caller's axes the callee runs; or that it runs beside the caller."""
        c, callee = self.c, self.callee
        if not callee.topology:
            if self.bound.along is not None:
                raise c.fail("SEQ0431", f"{callee.name} is a {callee.kind} and runs along nothing", self.bound.along.span)
            return (), True
        axes = [a for f in callee.topology for a in (f.axes if f.kind in ("chain", "range", "grid") else (f.kind,))]
        asked = self.along_words()
        if asked is None and not axes:
            return (), True
        if c.body.topology and (asked is None or all(a in c.running and not r for a, r in asked)):
            mine = {a for f in c.body.topology for a in ((w.text for w in f.axes) if f.axes else (f.head,))}
            theirs = set(axes)
            if asked is not None or theirs <= mine or callee.topology[0].kind == "chain" and len(axes) == 1 and c.first_chain:
                value_axes = {a for v in given.values() for a in v.axes}
                if asked is not None or not any(a in value_axes for a in axes):
                    here = [w for w, _ in asked] if asked else axes if theirs <= mine else [c.first_chain]
                    return tuple((a, b, False) for a, b in zip(axes, here, strict=False)), True
        if asked is None:
            asked = [(self.default_along(a, given), False) for a in axes]
        if len(asked) != len(axes) and axes:
            raise c.fail("SEQ0431", f"{callee.name} runs along {shape(axes)}, `along` names {len(asked)}", self.e.span)
        out = tuple((a, b, r) for a, (b, r) in zip(axes or [callee.topology[0].kind], asked, strict=False))
        for a, b, _ in out:
            self.pairs.setdefault(a, b)
        return out, False

    def along_words(self) -> list[tuple[str, bool]] | None:
        """`along = t`, `reverse(t)`, `grid(reverse(i), j)`, `[r, node]`."""
        c, k = self.c, self.bound.along
        if k is None:
            return None
        items: Sequence[s.Expr] = (k.value,)
        if isinstance(k.value, s.NameList):
            items = k.value.items
        elif isinstance(k.value, s.Call) and k.value.function == "grid":
            items = k.value.arguments
        out = []
        for i in items:
            reverse = isinstance(i, s.Call) and i.function == "reverse" and len(i.arguments) == 1
            word = c.axis_word(i.arguments[0] if isinstance(i, s.Call) and reverse else i)
            if word is None or not c.is_axis(word):
                raise c.fail(
                    "SEQ0431",
                    "`along =` takes an axis, or reverse(axis)",
                    i.span,
                    help=c.written.paste(k.value.span, "reverse(t)"),
                )
            out.append((word, reverse))
        return out

    def default_along(self, axis: str, given: Mapping[str, Expr]) -> str:
        """The axis of that name, else the only index of an argument that the callee does not name, else the callee's range."""
        c = self.c
        have = list(dict.fromkeys(a for v in given.values() for a in v.axes))
        if axis in self.pairs:
            return self.pairs[axis]
        if axis in have or axis in c.names.indices:
            return axis
        named = self.facts.named
        left = [a for a in have if not is_dim(a) and a not in named]
        if len(left) == 1 and self.callee.topology[0].kind != "range":
            return left[0]
        if self.callee.topology[0].kind == "range":
            return axis
        if not left and c.is_axis(axis):
            return axis
        raise c.fail(
            "SEQ0431",
            f"{self.callee.name} runs along `{axis}`, and it is not clear which axis here that is",
            self.e.span,
            label=f"the arguments have {shape(have)}",
            help=c.added(self.e.span, f"along = {next((a for a in have if not is_dim(a)), 't')}"),
        )

    def arguments(self, given: Mapping[str, Expr], along: tuple[tuple[str, str, bool], ...], inline: bool) -> tuple[Argument, ...]:
        """Matches the axes of each argument to those of its input."""
        out = []
        for name, value in given.items():
            v = self.facts.table[name]
            if isinstance(value, x.NotGiven):
                out.append(Argument(name, value))
                continue
            self.check_type(v, value)
            axes = list(v.axes or ())
            if not inline and not v.once and v.home != "call":
                axes = [*(a for a, _, _ in along), *axes]
            pairs, mapped = match(axes, value.axes, self.pairs)
            for a, b in pairs.items():
                self.pairs.setdefault(a, b)
            stray = [a for a in mapped if is_dim(a) and self.c.where == "equation" and any(is_dim(i) and i not in pairs for i in axes)]
            if stray:
                raise self.c.fail(
                    "SEQ0430",
                    f"it is not clear which axis of {shape(value.axes)} is which of `{name} : {shape(v.axes or ())}` of {self.callee.name}",
                    value.span,
                    notes=(Note("the input", v.span),),
                    help=self.c.added(self.e.span, f"{next(i for i in axes if is_dim(i) and i not in pairs)} = {stray[0]}"),
                )
            self.mapped += [a for a in mapped if a not in self.mapped]
            out.append(Argument(name, value, tuple((b, a) for a, b in pairs.items() if a != b)))
        return tuple(out)

    def bound_shapes(self) -> None:
        """Dims that a bound parameter or const has the size of, where nothing else says it."""
        for name, value in (*self.bound.params, *self.bound.consts):
            v = self.facts.table.get(name)
            if v is None or not v.axes:
                continue
            pairs, _ = match(v.axes, value.axes, self.pairs)
            for inner, outer in pairs.items():
                if is_dim(inner) and inner not in self.sizes and inner not in self.pairs and self.open_dim(inner):
                    self.pairs[inner] = outer

    def check_type(self, v: spec.Value, value: Expr) -> None:
        """An int fits a real, a real no int."""
        fits = {
            "int": ("int",),
            "bool": ("bool",),
            "text": ("text",),
            "real": ("real", "int"),
            "complex": ("complex", "real", "int"),
        }
        if value.type not in fits[v.type]:
            raise self.c.fail(
                "SEQ0409",
                f"`{v.name}` of {self.callee.name} is of {v.type}, this is of {value.type}",
                value.span,
                notes=(Note("the input", v.span),),
            )

    def missing(self, given: Mapping[str, Expr]) -> None:
        """Every input that the outs need has a value."""
        here = frozenset(n for n, v in given.items() if not isinstance(v, x.NotGiven))
        if here not in self.facts.needed:
            self.facts.needed[here] = inputs_needed(self.callee, set(here))
        needed = self.facts.needed[here]
        for name in self.facts.inputs:
            v = self.facts.table[name]
            if v.value is None and v.name not in given and v.name in needed:
                raise self.c.fail(
                    "SEQ0231",
                    f"{self.callee.name} needs its input `{v.name}`",
                    self.e.span,
                    notes=(Note("declared here", v.span),),
                    help=self.c.added(self.e.span, f"{v.name} = …"),
                )

    def outs(self, along: tuple[tuple[str, str, bool], ...], inline: bool) -> list[tuple[str, Axes, x.Type]]:
        """Outs and states with their axes here."""
        out = []
        lead = [*self.mapped]
        if not inline:
            lead += [b for _, b, _ in along if b not in lead]
        if self.bound.own and self.bound.own not in lead and self.bound.own not in {b for _, b, _ in along}:
            lead.insert(0, self.bound.own)
        names = self.facts.fields
        for n in names:
            v = self.facts.table[n]
            own: list[str | None] = []
            for a in v.axes or ():
                found = self.axis_here(a, n in self.callee.outs)
                by_default = a not in self.pairs and a not in self.sizes
                own.append(None if by_default and found is not None and found in (*lead, *own) else found)
            axes = self.place(v, own, lead)
            if len(set(axes)) != len(axes):
                twice = next(a for i, a in enumerate(axes) if a in axes[:i])
                raise self.c.fail(
                    "SEQ0412",
                    f"`{n}` of {self.callee.name} would have the axis `{twice}` twice here: {shape(axes)}",
                    self.e.span,
                    label=f"its own axes are {shape(v.axes or ())}",
                    notes=(Note(f"`{n}` is declared here", v.span),),
                )
            out.append((n, tuple(axes), v.type))
        return out

    def axis_here(self, axis: str, result: bool) -> str | None:
        """The caller's name of a callee's axis; None where none is known, or where the declared shape may bind it."""
        first = axis
        for _ in range(16):
            if axis in self.pairs:
                here = self.pairs[axis]
                return here if axis == first or not result or self.want is None or here in self.want else None
            d = self.facts.dims.get(axis)
            if d is not None and axis not in self.sizes and isinstance(d.value, x.DimSize):
                axis = d.value.dim
                continue
            size = self.sizes.get(axis)
            return size.dim if isinstance(size, x.DimSize) else None
        return None

    def place(self, v: spec.Value, own: Sequence[str | None], lead: Sequence[str]) -> list[str]:
        """Axes that have no name here take the declared names that are left: the same name, or in order where as many are left.

        A dim that gets its name so, and that the call leaves open, has the declared size. Without a declared shape an axis
        keeps the callee's name, or that of the size its default gives.
        """
        known = {a for a in own if a is not None}
        unnamed = [n for n, a in zip(v.axes or (), own, strict=True) if a is None]
        names: dict[str, str] = {}
        if self.want is not None and v.name in self.callee.outs:
            free = [a for a in self.want if a not in known and a not in lead]
            names = {n: n for n in unnamed if n in free}
            for kind in (True, False):
                rest = [n for n in unnamed if n not in names and is_dim(n) is kind]
                left = [a for a in free if a not in names.values() and is_dim(a) is kind]
                if len(rest) == len(left):
                    names |= dict(zip(rest, left, strict=True))
            for n, declared in names.items():
                if is_dim(n) and n not in self.sizes and self.open_dim(n):
                    self.sizes[n] = size_of(self.c, declared, self.e.span)
                    self.pairs.setdefault(n, declared)
        made = list(lead)
        here: str | None
        for n, known_here in zip(v.axes or (), own, strict=True):
            here = known_here or names.get(n) or self.axis_here(n, False)
            if here is None or here in made and not known_here:
                here = n
                if n in self.c.names.dims and n not in self.sizes and self.open_dim(n):  # one name is one size
                    self.sizes[n] = size_of(self.c, n, self.e.span)
            made.append(here)
        return made

    def open_dim(self, name: str) -> bool:
        """Whether a dim of the callee has no value or only a default."""
        return name in self.facts.dims


def inputs_needed(callee: spec.Body, given: set[str]) -> set[str]:
    """The inputs that outs and states read, where the equations of given optional inputs are not looked at."""
    table = callee.table
    seen: set[str] = set()
    stack = [*callee.outs, *(v.name for v in callee.values if v.kind == "state" and v.home != "call")]
    stack += [n.name for i in callee.indices if i.where is not None for n in x.reads(i.where)]
    while stack:
        n = stack.pop()
        if n in seen or n not in table:
            continue
        seen.add(n)
        v = table[n]
        if n in given:
            continue
        for part in (v.value, v.start):
            if part is not None:
                stack.extend(r.name for r in x.reads(part))
    return seen


def extern(c: Context, e: s.Call, key: str) -> Expr:
    """A call of an operator of the host."""
    made = c.extern(key)
    assert made is not None
    if len(e.arguments) != len(made.arguments) or e.keywords:
        raise c.fail("SEQ0227", f"{made.name} takes {len(made.arguments)} arguments, {len(e.arguments)} given", e.span)
    args: list[Argument] = []
    pairs: dict[str, str] = {}
    mapped: list[str] = []
    for (name, axes, _), a in zip(made.arguments, e.arguments, strict=True):
        value = expressions.typed(c, a)
        found, over = match(axes, value.axes, pairs)
        pairs.update(found)
        mapped += [m for m in over if m not in mapped]
        args.append(Argument(name, value, tuple((b, a_) for a_, b in found.items() if a_ != b)))
    outs = tuple((n, (*mapped, *(pairs.get(a, a) for a in axes)), kind) for n, axes, kind in made.results)
    single = outs[0] if len(outs) == 1 else None
    return Invoke(
        Callee(extern=key),
        made.name,
        tuple(args),
        (),
        (),
        (),
        (),
        (),
        True,
        "",
        tuple(mapped),
        single[0] if single else "",
        outs,
        None,
        axes=single[1] if single else (),
        type=single[2] if single else "real",
        span=e.span,
    )


def several(c: Context, name: str, span: Span) -> Exception:
    """SEQ0232: the value holds several outs."""
    return c.fail("SEQ0232", f"`{name}` holds several outs, say which one", span, help=f"{name} = …")

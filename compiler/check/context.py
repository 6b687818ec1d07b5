"""What typing an expression needs to know: the body's names, the file's definitions, where we are, and where findings go.

One `Context` lives as long as one body is checked. `typed` values are worked out on demand, so that order in the text is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from seqc.compiler.check.names import Declared, Names
from seqc.compiler.check.relations import Ranges, form
from seqc.compiler.check.words import TYPES
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Axes, Expr

FREE = (x.Number, x.Literal_, x.DimSize, x.Length, x.Apply, x.Draw)
"""What expressions are made of that combine with any axes."""


class Untypable(Exception):
    """An expression has no type because of something already reported; the equation is given up."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A parameter of a `fn` while its body is typed: the argument's one node, and its text where it names an axis."""

    value: Expr | None
    syntax: s.Expr


@dataclass(slots=True)
class Definitions:
    """What a file's names outside bodies mean: name → (key, definition), imports included."""

    bodies: dict[str, str] = field(default_factory=dict)
    fns: dict[str, tuple[str, s.Fn]] = field(default_factory=dict)
    operators: dict[str, str] = field(default_factory=dict)
    externs: dict[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Everything that can be called."""
        return [*self.bodies, *self.fns, *self.operators, *self.externs]


class TooLarge(Exception):
    """A limit that ends the checking of a body, or of everything; it has been reported."""


ERROR_LIMIT = 40
"""So many errors end the stage."""
DEPTH_LIMIT = 120
"""How deep expressions may be nested while they are typed, functions put in."""
RESULT_LIMIT = 150
"""How deep a typed expression may be nested: the arguments of functions are trees of their own."""


def too_many(sink: Sink) -> bool:
    """Whether there are so many errors that the stage ends."""
    return len(sink.found) > ERROR_LIMIT and sum(d.severity == "error" for d in sink.found) > ERROR_LIMIT


@dataclass(slots=True)
class Shared:
    """What the checking of all bodies shares: how deep we are, and what is worked out once."""

    depth: int = 0
    compared: int = 0
    """Names compared for "did you mean": after enough of them nothing is suggested any more."""
    broken: set[str] = field(default_factory=set)
    """Keys of fns that are wrong, which was reported."""
    shape_keeping: dict[str, bool] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    params: dict[str, dict[str, tuple[Axes, x.Type]]] = field(default_factory=dict)


@dataclass(slots=True)
class Context:
    """The state of checking one body."""

    body: s.Body
    names: Names
    definitions: Definitions
    sink: Sink
    signature: Callable[[str, Span], spec.Body | None]
    """Checks another body by key, for its signature; None where that failed."""
    operator: Callable[[str], spec.Operator | None]
    extern: Callable[[str], spec.Extern | None]
    fn_scope: Callable[[str], Definitions]
    """The definitions that a fn of that key sees."""
    function_holes: Mapping[str, str] = field(default_factory=dict)
    """Holes that a call has bound to a fn or a function: this body is a copy made for that call."""
    equation: str = ""
    level: tuple[str, ...] = ()
    env: dict[str, Bound] = field(default_factory=dict)
    fns: tuple[str, ...] = ()
    where: str = ""
    """`equation`, `init`, `relation`, `dims`: what kind of place the expression stands in."""
    extra: dict[str, spec.Value] = field(default_factory=dict)
    """Layer parameters and hidden values made so far, by name."""
    sizes: dict[str, Expr] = field(default_factory=dict)
    serial: int = 0
    type_value: Callable[[str], Expr | None] = lambda name: None
    layers_seen: dict[tuple[str, str], Span] = field(default_factory=dict)
    spent: int = 0
    shared: Shared = field(default_factory=Shared)
    measured: dict[int, tuple[Expr, int, bool]] = field(default_factory=dict)
    """Of typed expressions: the depth, and whether they are made of numbers only."""
    labels: dict[str, dict[str, Span]] = field(default_factory=dict)
    """Of each equation: the first layer of each label."""
    statics: set[str] | None = None
    known_ranges: Ranges | None = None
    held: int = 0
    reading: bool = False
    """Whether the base of a read is typed."""
    indexing: bool = False
    """Whether a position is typed."""
    starts: list[Expr] = field(default_factory=list)
    """The starts that layers were given, with `init =` and `bias =`."""
    told: set[tuple[str, str]] = field(default_factory=set)
    """Codes with names that were reported once and need no repetition."""
    layer_type: x.Type = "real"
    """Type of weights and draws where we are: complex inside an equation of a complex value, but not inside `complex(…)`."""
    input_default: bool = False
    type_index: Callable[[str], spec.Index | None] = lambda name: None
    default_of_hole: Callable[[str], x.Callee | None] = lambda name: None
    make_special: Callable[[str, Mapping[str, str], Definitions], str] = lambda key, holes, definitions: key
    special: Callable[[str], Mapping[str, str]] = lambda key: {}
    written: Written = field(default_factory=lambda: Written({}))

    # ---- saying things ------------------------------------------------------------------------------------------------

    def fail(self, code: str, message: str, span: Span, *, label: str = "", notes: tuple[Note, ...] = (), help: str = "") -> Untypable:
        """Reports and gives the exception to raise. Raises `TooLarge` where there are too many errors."""
        self.sink.report(code, message, span, label=label, notes=notes, help=help)
        if too_many(self.sink):
            raise TooLarge()
        return Untypable()

    def measure(self, e: Expr) -> tuple[int, bool]:
        """How deep an expression is, and whether it is made of indices, `pos`, dims and literals only."""
        known = self.measured.get(id(e))
        if known is not None:
            return known[1:]
        stack = [e]
        while stack:
            n = stack[-1]
            below = list(x.children(n))
            missing = [k for k in below if id(k) not in self.measured]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            parts = [self.measured[id(k)] for k in below]
            free = isinstance(n, FREE) and all(p[2] for p in parts)
            self.measured[id(n)] = (n, 1 + max((p[1] for p in parts), default=0), free)
        return self.measured[id(e)][1:]

    def added(self, call: Span, keyword: str) -> str:
        """The line with one keyword more in a call."""
        text = self.written.text(call)
        return self.written.paste(call, f"{text[:-1]}{'' if text.endswith('(') or text.endswith('()') else ', '}{keyword})")

    # ---- axes ---------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> set[str]:
        """The axes this body runs along: implicit in every value."""
        return {a for f in self.body.topology if f.head not in ("tree", "dag", "graph") for a in ([w.text for w in f.axes] or [f.head])}

    @property
    def chain(self) -> str:
        """The single chain of a cell, or ""."""
        if len(self.body.topology) == 1:
            along = self.body.topology[0]
            if along.head == "reverse" or not along.axes and along.head not in ("tree", "dag", "graph"):
                return along.axes[0].text if along.axes else along.head
        return ""

    @property
    def first_chain(self) -> str:
        """The first chain or range of the topology, or ""."""
        for f in self.body.topology:
            if f.head == "reverse" or not f.axes and f.head not in ("tree", "dag", "graph"):
                return f.axes[0].text if f.axes else f.head
        return ""

    def tree_slots(self) -> set[str]:
        """The slots of a `tree(left, right)`."""
        return {w.text for f in self.body.topology if f.head == "tree" for w in f.axes}

    def is_axis(self, name: str) -> bool:
        """Whether a name can stand in a shape."""
        n = self.names
        if name in ("pred", "succ"):
            return self.on_graph
        return name in n.dims or name in n.indices or name in ("t", "batch") or name in n.level_names() or name in self.running

    @property
    def on_graph(self) -> bool:
        """Whether this body runs over nodes that have predecessors, or may be handed a graph (a block)."""
        return not self.body.topology or any(f.head in ("tree", "dag", "graph") for f in self.body.topology)

    def axis_word(self, e: s.Expr) -> str | None:
        """The axis a bare word names, through fn parameters; None for anything else."""
        for _ in range(64):
            if not isinstance(e, s.Name):
                return None
            if e.id in self.env:
                if self.env[e.id].syntax == e:
                    return e.id
                e = self.env[e.id].syntax
                if isinstance(e, s.Name):
                    return e.id
                continue
            return e.id
        return None

    def is_level(self, word: str) -> bool:
        """Whether the word heads a stack or rounds."""
        return word in self.names.level_names() or word in self.names.levels

    def is_level_id(self, ident: str) -> bool:
        """Whether it is the id of a level block."""
        return ident in self.names.levels

    def level_of(self, name: str) -> str | None:
        """The id of the enclosing level of that name, where we are inside it."""
        for ident in reversed(self.level):
            if self.names.levels[ident].line.name.text == name:
                return ident
        return None

    def value_level(self, name: str) -> tuple[str, ...]:
        """The levels a value stands in."""
        if name in self.names.values:
            return self.names.values[name].level
        return self.extra[name].level if name in self.extra else ()

    def static_indices(self) -> set[str]:
        """Indices whose ranges are made of dims: known when the module is built."""
        if self.statics is None:
            self.statics = self.find_static_indices()
        return self.statics

    def find_static_indices(self) -> set[str]:
        """The same, worked out."""
        out = set()
        for n, (line, _) in self.names.indices.items():
            if line.between is not None and all(
                not (isinstance(part, s.Call) and part.function == "len") and (not isinstance(part, s.Name) or part.id in self.names.dims)
                for end in (line.between.low, line.between.high)
                for part in _parts(end)
            ):
                out.add(n)
            elif line.of is not None and line.of.text in self.names.dims:
                out.add(n)
        levels = self.names.level_names()
        for n, (line, _) in self.names.indices.items():
            if line.of is not None and (line.of.text in out and line.where is None or line.of.text in levels):
                out.add(n)
        return out

    # ---- values -------------------------------------------------------------------------------------------------------

    def declared_axes(self, v: Declared) -> Axes | None:
        """The shape as declared; None where none is written."""
        return None if v.line.shape is None else tuple(a.text for a in v.line.shape.axes)

    def value_expr(self, name: str) -> Expr | None:
        """The typed equation of a value, worked out on demand."""
        if name in self.extra:
            return self.extra[name].value
        return self.type_value(name)

    def axes_of(self, name: str, span: Span) -> tuple[Axes, x.Type]:
        """Axes and type of a value that is used as one."""
        v = self.names.values[name]
        axes = self.declared_axes(v)
        if axes is not None:
            if v.shapeless:
                raise Untypable()
            if v.line.home is not None and v.line.home.text == "edge" and self.body.topology and not self.reading:
                raise self.fail(
                    "SEQ0411", f"`{name}` lives on edges and has no value at a node", span, help=self.written.paste(span, f"{name}[pred]")
                )
            return axes, TYPES.get(v.line.type.text, "real") if v.line.type is not None else "real"
        e = self.type_value(name)
        if e is None:
            raise Untypable()
        if isinstance(e, x.Invoke) and not e.out and e.expansion is None and e.outs:
            raise self.fail(
                "SEQ0232",
                f"`{name}` holds several outs, say which one",
                span,
                help=self.written.paste(span, f"{name}.{e.outs[0][0]}"),
            )
        if isinstance(e, x.Eigh | x.Scan):
            raise self.fail(
                "SEQ0232",
                f"`{name}` holds several results, say which one",
                span,
                help=self.written.paste(span, f"{name}.{self.first_result(e)}"),
            )
        return e.axes, e.type

    def first_result(self, e: x.Eigh | x.Scan) -> str:
        """The name of one of several results."""
        return e.fields[0][0] if isinstance(e, x.Scan) else "values"

    def params_of(self, e: x.Invoke) -> dict[str, tuple[Axes, x.Type]]:
        """The parameters inside a called body, by path: for tying."""
        key = e.callee.key
        found = self.shared.params.get(key)
        if found is None:
            callee = self.signature(key, e.span) if key else None
            values = callee.values if callee is not None else ()
            found = self.shared.params[key] = {v.name: (v.axes or (), v.type) for v in values if v.kind == "param"}
        return found

    def scan_axes(self, e: x.Scan, name: str) -> Axes:
        """The axes of one field of a scan."""
        return dict(e.fields)[name].axes

    def hide(self, e: Expr, span: Span) -> str:
        """Makes an expression a hidden value of the body, for a read of it elsewhere."""
        self.held += 1
        name = f"{self.equation}.held{self.held if self.held > 1 else ''}"
        self.extra[name] = spec.Value(name, "hidden", e.axes, e.type, value=e, level=self.level, owner=self.equation, span=span)
        return name

    def history(self, e: Expr, name: str, span: Span) -> x.Read:
        """Makes an operand a hidden value whose past is kept, zeros before the start."""
        self.extra[name] = spec.Value(
            name, "hidden", e.axes, e.type, start=literal(0, span), value=e, level=self.level, owner=self.equation, span=span
        )
        return x.Read(name, axes=e.axes, type=e.type, span=span)

    def first_layer(self, label: str) -> Span | None:
        """The first call in the text of this equation whose parameters would have this label."""
        if self.equation not in self.labels:
            v = self.names.values.get(self.equation)
            found: dict[str, Span] = {}
            for call in _calls(v.value if v is not None else None):
                name = _label(call)
                found[name] = min(found.get(name, call.span), call.span)
            self.labels[self.equation] = found
        return self.labels[self.equation].get(label)

    # ---- indices ------------------------------------------------------------------------------------------------------

    def relation_past(self, name: str) -> bool:
        """Whether a second name's relation proves every position earlier."""
        if name not in self.names.indices:
            return False
        made = self.type_index(name)
        return made is not None and made.past

    def ranges(self) -> Ranges:
        """What is known of the numbers of indices and levels."""
        if self.known_ranges is None:
            self.known_ranges = self.find_ranges()
        return self.known_ranges

    def find_ranges(self) -> Ranges:
        """The same, worked out."""
        out: dict[str, tuple[float, float]] = {}
        for ident, block in self.names.levels.items():
            out[ident] = _ends(block.line.between)
        for n, (line, _) in self.names.indices.items():
            if line.between is not None:
                out[n] = _ends(line.between)
        for f in self.body.topology:
            if f.between is not None:
                out[f.head] = _ends(f.between)
        for n, (line, _) in self.names.indices.items():
            if line.of is not None and line.of.text in out:
                out[n] = out[line.of.text]
        for n, dim in self.names.dims.items():
            if isinstance(dim.value, s.Number) and dim.value.value == 0:
                out[n] = (0, float("inf"))
        return Ranges(out)

    def position_bounds(self, index: Expr, axis: str) -> tuple[float, float]:
        """Bounds of a position relative to this step's along `axis`; its second names count as their relation allows."""
        seconds = {n for n, (line, _) in self.names.indices.items() if line.of is not None and line.of.text == axis}
        f = form(index, {axis, *seconds})
        if not f.numbers and self.ranges().rest(f)[1] <= self.ranges().numbers.get(axis, (0, 0))[0]:
            return float("-inf"), 0  # the first position is at or before every step
        if sum(k for _, k in f.numbers) != 1 or any(k < 0 for _, k in f.numbers):
            return float("-inf"), float("inf")
        low, high = self.ranges().rest(f)
        for n, k in f.numbers:
            if n != axis and k > 0:
                made = self.type_index(n)
                high += 0 if made is None or made.past is None else (-1 if made.past else 0 if not made.ahead else float("inf"))
                low = float("-inf")
        return low, high

    # ---- others -------------------------------------------------------------------------------------------------------

    def hole_default(self, name: str) -> x.Callee | None:
        """What a hole of this body holds by default."""
        return self.default_of_hole(name)

    def specialise(self, key: str, holes: Mapping[str, str]) -> str:
        """The key of the copy of a body in which these holes are these functions."""
        return self.make_special(key, holes, self.definitions)

    def specialised(self, key: str) -> Mapping[str, str]:
        """The function holes that the copy `key` has bound."""
        return self.special(key)

    def fresh(self) -> str:
        """A key for a draw: equation and serial number."""
        self.serial += 1
        return f"{self.equation}.{self.serial}"


def _parts(e: s.Expr) -> list[s.Expr]:
    out, stack = [], [e]
    while stack:
        n = stack.pop()
        out.append(n)
        if isinstance(n, s.Binary):
            stack += [n.left, n.right]
        elif isinstance(n, s.Negative):
            stack.append(n.operand)
        elif isinstance(n, s.Call):
            stack += n.arguments
    return out


def _calls(e: s.Expr | None) -> list[s.Call]:
    """Every call in an expression, keywords included."""
    out: list[s.Call] = []
    stack: list[object] = [e]
    while stack:
        n = stack.pop()
        match n:
            case s.Call():
                out.append(n)
                stack += [*n.arguments, *(k.value for k in n.keywords)]
            case s.Binary() | s.Compare() | s.Logical():
                stack += [n.left, n.right]
            case s.Not() | s.Negative():
                stack.append(n.operand)
            case s.Read():
                stack += [n.base, *(i.index if isinstance(i, s.At) else i for i in n.items)]
            case s.Field():
                stack.append(n.base)
            case s.NameList():
                stack += n.items
    return out


def _label(call: s.Call) -> str:
    for k in call.keywords:
        if k.name == "name" and isinstance(k.value, s.Name):
            return k.value.id
    return call.function


def _ends(between: s.Between) -> tuple[float, float]:
    """Bounds of the numbers of a range, as far as literals tell."""
    low, high = _bounds(between.low), _bounds(between.high)
    return low[0], high[1]


def _bounds(e: s.Expr) -> tuple[float, float]:
    inf = float("inf")
    match e:
        case s.Number(value=v):
            return v, v
        case s.Negative(operand=a):
            low, high = _bounds(a)
            return -high, -low
        case s.Name():
            return 1, inf
        case s.Binary(op="+", left=a, right=b):
            (al, ah), (bl, bh) = _bounds(a), _bounds(b)
            return al + bl, ah + bh
        case s.Binary(op="-", left=a, right=b):
            (al, ah), (bl, bh) = _bounds(a), _bounds(b)
            return al - bh, ah - bl
    return -inf, inf


def literal(v: int | float | bool, span: Span) -> Expr:
    """A literal with its type."""
    kind: x.Type = "bool" if isinstance(v, bool) else "int" if isinstance(v, int) else "real"
    return x.Literal_(v, type=kind, span=span)

"""Collects the names of one body: dims, indices, levels, values; says what is declared twice or written in the wrong case.

In:   a `syntax.Body`.
Out:  `Names`: tables in textual order, each value's declaration joined with its equation, each with the levels it stands in.
Refuses: SEQ0201 (declared twice), SEQ0202 (two equations), SEQ0203 (case of a dim or index), SEQ0204 (a word of the language),
         SEQ0205 (a value named like an axis), SEQ0206 (state without an equation), SEQ0207 (an equation without a shape),
         SEQ0208 (an out of nothing), SEQ0209 (unknown type), SEQ0210 (a state and its equation in two blocks), SEQ0211 (the
         equation of a misspelt state), SEQ0212 (a shape without equation), SEQ0213 (no out), SEQ0302 (a state without start).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seqc.compiler.check.words import CONSTANTS, FUNCTIONS, SPECIAL_AXES, TYPES
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import syntax as s

KINDS = {"": "let", "in": "input"}
"""Kinds of values by the word of their line, where the two differ."""
WIDTHS = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "double": "f64", "half": "f16", "real": "float",
    "integer": "int", "int32": "int", "int64": "int", "long": "int", "i32": "int", "i64": "int", "boolean": "bool",
    "str": "text", "string": "text", "complex64": "complex", "complex128": "complex",
}  # fmt: skip
"""What other languages call the types."""


@dataclass(slots=True)
class Declared:
    """One value of a body while it is being put together: the line that declares it and the one that defines it."""

    name: str
    kind: str
    line: s.Declaration
    equation: s.Declaration | None
    level: tuple[str, ...]
    out: bool = False
    order: int = 0
    shapeless: bool = False
    """The declared shape is wrong, which was reported: nothing follows from it."""

    @property
    def span(self) -> Span:
        """The declared name."""
        return self.line.name.span

    @property
    def value(self) -> s.Expr | None:
        """The right-hand side of its equation (or default, or value of a const)."""
        return self.equation.value if self.equation is not None else None


@dataclass(slots=True)
class LevelBlock:
    """A `stack` or `rounds` block with its id."""

    id: str
    line: s.Level
    outer: tuple[str, ...]
    order: int


@dataclass(slots=True)
class Names:
    """The tables of one body."""

    dims: dict[str, s.Dim] = field(default_factory=dict)
    indices: dict[str, tuple[s.Index, tuple[str, ...]]] = field(default_factory=dict)
    levels: dict[str, LevelBlock] = field(default_factory=dict)
    values: dict[str, Declared] = field(default_factory=dict)
    holes: dict[str, s.Hole] = field(default_factory=dict)
    chain: dict[str, s.Along] = field(default_factory=dict)
    outs: list[str] = field(default_factory=list)
    requires: list[s.Require] = field(default_factory=list)
    settings: list[s.Setting] = field(default_factory=list)
    heads: set[str] = field(default_factory=set)

    def level_names(self) -> set[str]:
        """The names that head a stack or rounds."""
        return self.heads

    def everything(self) -> list[str]:
        """All names, for "did you mean"."""
        return [*self.values, *self.dims, *self.indices, *self.level_names(), *self.chain, *self.holes]


def collect(body: s.Body, sink: Sink, written: Written) -> Names:
    """The names of `body`, in textual order; findings go to `sink`, with lines to paste made from `written`."""
    return _Collector(body, sink, written).run()


def with_start(text: str, start: str) -> str:
    """The text of a declaration with a start put in where the order of a declaration wants it."""
    depth = 0
    for i, ch in enumerate(text):
        depth += (ch in "([") - (ch in ")]")
        if ch == "=" and not depth:
            return f"{text[:i].rstrip()} init {start} {text[i:]}"
    return f"{text.rstrip()} init {start}"


class _Collector:
    def __init__(self, body: s.Body, sink: Sink, written: Written) -> None:
        self.body, self.sink, self.names, self.written = body, sink, Names(), written
        self.wanted = 0
        self.given: set[str] = set()
        self.blocks: dict[str, list[LevelBlock]] = {}
        self.places: dict[str, Span] = {}
        self.later: list[tuple[s.Declaration, tuple[str, ...]]] = []

    def run(self) -> Names:
        n = self.names
        for hole in self.body.holes:
            self.claim(hole.name)
            n.holes[hole.name.text] = hole
        for along in self.body.topology:
            for axis in along.axes or (s.Word(along.head, span=along.span),):
                if along.head in ("tree", "dag", "graph") and not along.axes:
                    n.chain[along.head] = along
                else:
                    self.claim(axis, axis_of_run=True)
                    n.chain[axis.text] = along
        self.lines(self.body.lines, ())
        for line, level in sorted(self.later, key=lambda entry: entry[0].name.text not in n.values):
            self.equation(line, level)
        self.finish()
        return n

    def claim(self, word: s.Word, *, axis_of_run: bool = False) -> bool:
        """Takes a name; says so where it is taken or no name at all."""
        name = word.text
        if name in CONSTANTS or (name in SPECIAL_AXES and not axis_of_run):
            self.sink.report(
                "SEQ0204",
                f"`{name}` is a word of the language and cannot be a name",
                word.span,
                help=self.written.paste(word.span, f"{name}_"),
            )
            return False
        if name in self.places:
            first = self.places[name]
            self.sink.report(
                "SEQ0201",
                f"`{name}` is declared twice in {self.body.name}",
                word.span,
                notes=(Note("first declared here", first),),
                help=self.written.paste(word.span, f"{name}2"),
            )
            return False
        self.places[name] = word.span
        return True

    def lines(self, lines: Sequence[s.Node], level: tuple[str, ...]) -> None:
        for line in lines:
            match line:
                case s.Dims(dims=dims):
                    for dim in dims:
                        self.dim(dim)
                case s.Indices(indices=indices):
                    for index in indices:
                        self.index(index, level)
                case s.Level():
                    self.level(line, level)
                case s.Declaration():
                    self.declaration(line, level)
                case s.Require():
                    self.names.requires.append(line)
                case s.Schedule(settings=settings):
                    self.names.settings.extend(settings)

    def dim(self, dim: s.Dim) -> None:
        if not self.claim(dim.name):
            return
        if not dim.name.text[0].isupper():
            self.sink.report(
                "SEQ0203",
                f"the dim `{dim.name}` must start upper-case",
                dim.name.span,
                label="dims are upper-case, indices lower-case",
                help=self.written.paste(dim.name.span, dim.name.text[0].upper() + dim.name.text[1:]),
            )
        self.names.dims[dim.name.text] = dim

    def index(self, index: s.Index, level: tuple[str, ...]) -> None:
        name = index.name.text
        if name in self.names.chain and index.between is not None and name not in self.names.indices:
            self.names.indices[name] = (index, level)
            return
        if name == "t" and name not in self.places:
            self.places[name] = index.name.span
        elif not self.claim(index.name):
            return
        if name[0].isupper():
            self.sink.report(
                "SEQ0203",
                f"the index `{name}` must start lower-case",
                index.name.span,
                label="dims are upper-case, indices lower-case",
                help=self.written.paste(index.name.span, name[0].lower() + name[1:]),
            )
        self.names.indices[name] = (index, level)

    def level(self, line: s.Level, level: tuple[str, ...]) -> None:
        name = line.name.text
        heads = self.blocks.setdefault(name, [])
        self.names.heads.add(name)
        if not heads and name not in self.names.indices:
            self.claim(line.name)
        if any(self.names.levels[i].line.name.text == name for i in level):
            self.sink.report(
                "SEQ0201",
                f"`{name}` already heads a block around this one",
                line.name.span,
                notes=(Note("here", heads[0].line.name.span),),
            )
        ident = name if not heads else f"{name}#{len(heads) + 1}"
        self.names.levels[ident] = block = LevelBlock(ident, line, level, len(self.names.levels))
        heads.append(block)
        self.lines(line.lines, (*level, ident))

    def declaration(self, line: s.Declaration, level: tuple[str, ...]) -> None:
        name = line.name.text
        bare = line.shape is None and line.kind in ("", "out")
        self.wanted += line.kind == "out"
        if name == "t" or name in self.names.chain:
            self.sink.report(
                "SEQ0205",
                f"`{name}` is an axis and cannot be a value as well",
                line.name.span,
                label="in an expression it is the number of the step",
                help=self.written.paste(line.name.span, f"{name}_"),
            )
            return
        if line.kind == "out":
            if name not in self.given:
                self.given.add(name)
                self.names.outs.append(name)
        if bare and line.kind == "out" and line.value is None:
            self.later.append((line, level))
            return
        if line.kind == "" and (line.shape is None or name in self.names.values):
            self.later.append((line, level))
            return
        if not self.claim(line.name):
            if name in self.names.values and line.value is not None and self.names.values[name].equation is None:
                self.names.values[name].equation = line
            return
        if line.type is not None and line.type.text not in TYPES:
            self.sink.report(
                "SEQ0209",
                f"there is no type `{line.type}`",
                line.type.span,
                label=f"types are {', '.join(TYPES)}",
                help=self.written.paste(line.type.span, WIDTHS.get(line.type.text) or nearest(line.type.text, list(TYPES)) or "f32"),
            )
        kind = KINDS.get(line.kind, line.kind)
        made = Declared(name, kind, line, line if line.value is not None else None, level, kind == "out", len(self.names.values))
        self.names.values[name] = made
        if line.shape is None:
            self.needs_shape(made)

    def needs_shape(self, v: Declared) -> None:
        """Only what a call gives back may leave its shape out: it may hold several values."""
        value = v.line.value
        if isinstance(value, s.Call) and (value.function not in FUNCTIONS or value.function in ("scan", "eigh")):
            return
        v.shapeless = True
        name = v.line.name
        self.sink.report(
            "SEQ0207",
            f"`{name}` has no shape",
            name.span,
            label="which axes does it have?",
            help=self.written.paste(name.span, f"{name} : {'[]' if v.kind == 'const' else '[D]'}"),
        )

    def equation(self, line: s.Declaration, level: tuple[str, ...]) -> None:
        """A second line: `h = …` of a state, `x = f(…)` without a shape, or `out h`."""
        name, known = line.name.text, self.names.values.get(line.name.text)
        if line.kind == "out" and line.value is None:
            if known is None:
                near = nearest(name, list(self.names.values)[:2000])
                self.sink.report(
                    "SEQ0208",
                    f"there is no value `{name}` to give back",
                    line.name.span,
                    label=f"did you mean `{near}`?" if near else "not defined in this body",
                    help=self.written.paste(line.name.span, near or f"{name} : [D] = …"),
                )
            else:
                known.out = True
                return
            self.names.outs.remove(name)
            return
        if known is None:
            near = nearest(name, [v.name for v in self.names.values.values() if v.kind == "state" and v.equation is None])
            if near and line.kind == "":
                self.sink.report(
                    "SEQ0211",
                    f"`{name}` is not declared; the state `{near}` has no equation",
                    line.name.span,
                    notes=(Note(f"`{near}` is declared here", self.names.values[near].span),),
                    help=self.written.paste(line.name.span, near),
                )
                self.names.values[near].equation = line
                return
            if not self.claim(line.name):
                return
            made = Declared(name, KINDS.get(line.kind, line.kind), line, line, level, line.kind == "out", len(self.names.values))
            self.names.values[name] = made
            self.needs_shape(made)
            return
        if known.equation is not None:
            self.sink.report(
                "SEQ0202",
                f"`{name}` has two equations",
                line.name.span,
                notes=(Note("the first one", known.equation.name.span),),
                label="nothing is reassigned: give the second one a name of its own",
                help=self.written.paste(line.name.span, f"{name}2 : {self.shape(known)}"),
            )
            return
        if known.kind in ("param",):
            self.sink.report(
                "SEQ0202",
                f"the parameter `{name}` cannot have an equation: it is learned",
                line.name.span,
                notes=(Note("declared here", known.span),),
                help=with_start(self.written.text(known.line.span), "…"),
            )
            return
        if known.level != level:
            self.sink.report(
                "SEQ0210",
                f"`{name}` is declared in another block than its equation",
                line.name.span,
                notes=(Note("declared here", known.span),),
                label=f"the declaration stands {self.place(known.level)}, this stands {self.place(level)}",
                help=self.written.text(known.line.span),
            )
            known.level = level
        known.equation = line

    def finish(self) -> None:
        for v in self.names.values.values():
            if v.kind == "state" and v.equation is None:
                self.sink.report(
                    "SEQ0206",
                    f"the state `{v.name}` has no equation",
                    v.span,
                    label="what is its next value?",
                    help=f"{v.name} = {v.name}[{self.chain()}-1]",
                )
            if v.kind == "state" and v.line.init is None:
                self.sink.report(
                    "SEQ0302",
                    f"the state `{v.name}` has no start",
                    v.span,
                    label="needs `init`",
                    help=with_start(self.written.text(v.line.span), "0"),
                )
            if v.kind in ("let", "gate", "out", "loss") and v.value is None and not v.line.name.text.startswith("_"):
                self.sink.report(
                    "SEQ0212",
                    f"`{v.name}` has a shape but no equation",
                    v.span,
                    label="neither an equation nor an input",
                    help=f"{self.written.text(v.line.span)} = …",
                )
        if not self.wanted and not any(v.kind in ("loss",) for v in self.names.values.values()):
            last = next((v.name for v in reversed(self.names.values.values()) if v.kind in ("state", "let", "gate")), "y : [D] = …")
            self.sink.report(
                "SEQ0213",
                f"{self.body.name} gives nothing back",
                self.body.name.span,
                label="no `out`, no `loss`",
                help=f"out {last}",
            )

    def place(self, level: tuple[str, ...]) -> str:
        """Where a line stands, in words."""
        if not level:
            return f"outside of `{next(iter(self.names.levels.values())).line.kind}`"
        block = self.names.levels[level[-1]].line
        return f"in `{block.kind} {block.name}`"

    def chain(self) -> str:
        """The axis that a lag is written with."""
        return next(iter(self.names.chain), "t")

    def shape(self, v: Declared) -> str:
        """The shape of a value as it is written."""
        return f"[{', '.join(a.text for a in v.line.shape.axes)}]" if v.line.shape is not None else "[D]"

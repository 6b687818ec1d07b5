"""One body as a Python class: its table, its methods, its state.

In:   a checked program, one of its bodies, names of the classes.
Out:  the lines of the class. `lower` is the lowering's one entry point: it gives all classes of a program in an order in which each
      stands after those it calls.
Refuses: SEQ051x, what later issues bring (grids, trees, graphs, values over calls, operators of the host).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference import contractions, elementwise, invokes, reads, reshaping  # noqa: F401  (they register their rules)
from seqc.compiler.lower.reference.build import build_lines, const_lines, initial_lines, parameters_of
from seqc.compiler.lower.reference.emitter import Emitter, refuse
from seqc.compiler.lower.reference.histories import Field, History, histories_of, uses_count
from seqc.compiler.lower.reference.invokes import Place, places_of
from seqc.compiler.lower.reference.layout import CHAIN, Code, Layout
from seqc.compiler.lower.reference.names import Namer, keyword_argument
from seqc.compiler.lower.reference.prepare import prepared
from seqc.compiler.lower.reference.reads import signature
from seqc.compiler.lower.reference.reshaping import scan_axes
from seqc.compiler.lower.reference.schedule import Item, arrange, chain_of, closed, edges_of, needed
from seqc.compiler.lower.reference.scope import Scope
from seqc.compiler.lower.reference.statements import items, kept_text, note
from seqc.compiler.lower.reference.tables import inputs_text, sites_text, table_text
from seqc.compiler.lower.reference.text import Block

LATER = {"grid": "grids", "tree": "trees", "dag": "graphs", "graph": "graphs"}


@dataclass(slots=True)
class Class:
    """One emitted class."""

    name: str
    body: spec.Body
    lines: list[str] = field(default_factory=list)


def check_scope(body: spec.Body) -> None:
    """Refuses what the next issues bring."""
    for f in body.topology:
        if f.kind in LATER:
            raise refuse("SEQ0512", f"{body.name} runs over a {f.kind}; {LATER[f.kind]} come with a later version", body.span)
    if len(body.topology) > 1:
        raise refuse("SEQ0512", f"{body.name} runs over a product of topologies; products come with a later version", body.span)
    for v in body.values:
        if v.kind == "state" and v.home == "call":
            raise refuse("SEQ0513", f"the state `{v.name}` of {body.name} outlives the call; such states come with a later version", v.span)
        if v.home == "edge":
            raise refuse("SEQ0512", f"`{v.name}` lives on edges; graphs come with a later version", v.span)
        if v.type == "text":
            raise refuse("SEQ0514", f"`{v.name}` is a text; texts and operators of the host come with a later version", v.span)


def class_names(program: spec.Program) -> dict[str, str]:
    """A Python name for each body; the main file's own ones keep theirs."""
    namer = Namer(frozenset({"OPERATORS"}))
    out: dict[str, str] = {}
    for key in (*program.exports, *(k for k in program.bodies if k not in program.exports)):
        body = program.bodies[key]
        wish = (
            body.name
            if key in program.exports or body.name not in out.values()
            else f"{body.name}_{key.partition(':')[0].rpartition('.')[2]}"
        )
        out[key] = namer.fresh(wish)
        for suffix in ("State", "Outs", "Losses"):
            namer.taken.add(out[key] + suffix)
    for key, op in program.operators.items():
        out[f"operator {key}"] = f"combine_{op.name}"
    return out


def lower(program: spec.Program, source: str) -> list[Class]:
    """All classes of a program, callees first. `source` is how comments name the file. Raises `Rejected`."""
    names = class_names(program)
    out: list[Class] = []
    for key in callees_first(program):
        body = prepared(program.bodies[key])
        check_scope(body)
        out.append(
            Lowering(program, body, names, source if key in program.exports else f"{key.partition(':')[0].replace('.', '/')}.seq").run()
        )
    return out


def callees_first(program: spec.Program) -> list[str]:
    """Bodies in an order in which each stands after those it calls; only those that an export reaches."""
    done: list[str] = []
    seen: set[str] = set()
    for start in program.exports:
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                done.append(key)
                continue
            if key in seen or key not in program.bodies:
                continue
            seen.add(key)
            stack.append((key, True))
            stack.extend((k, False) for k in reversed(called_keys(program.bodies[key])))
    return done


def called_keys(body: spec.Body) -> list[str]:
    """The bodies that a body names: called, in holes by default, or put into a callee's hole."""
    out: list[str] = []

    def add(c: x.Callee) -> None:
        if c.key:
            out.append(c.key)
        for _, inner in c.holes:
            add(inner)

    for h in body.holes:
        if h.default is not None:
            add(h.default)
    for v in body.values:
        for root in (v.value, v.start):
            if root is not None:
                for n in x.walk(root):
                    if isinstance(n, x.Invoke):
                        add(n.callee)
    return out


class Lowering:
    """Writes the class of one body."""

    def __init__(self, program: spec.Program, body: spec.Body, names: Mapping[str, str], source: str) -> None:
        self.program, self.body, self.names, self.source = program, body, names, source
        self.name = names[body.key]
        self.chain = chain_of(body)
        self.table = body.table
        self.operators: dict[str, list[str]] = {}
        self.imported: dict[str, Code] = {}
        states = [v.name for v in body.values if v.kind == "state"]
        self.goals = [*body.outs, *(s for s in states if s not in body.outs)]
        self.names_needed = [n for n in needed(body, self.goals, frozenset()) if self.table[n].kind not in ("param", "const")]
        losses = [v.name for v in body.values if v.kind == "loss"]
        self.loss_names = [n for n in needed(body, losses, frozenset()) if self.table[n].kind not in ("param", "const")]
        self.losses = losses
        for n in self.loss_names:
            if n not in self.names_needed and self.table[n].kind not in ("loss", "input") and self.recurrent(n):
                self.names_needed = [
                    v.name
                    for v in body.values
                    if v.name in {*self.names_needed, *needed(body, [n], frozenset())} and v.kind not in ("param", "const")
                ]
        self.histories: dict[str, History] = histories_of(body, list(dict.fromkeys([*self.names_needed, *self.loss_names])))
        self.places = list(places_of(body))
        self.fields = self.state_fields()
        self.has_grad = any(isinstance(e, x.Grad) for v in body.values if v.value is not None for e in x.walk(v.value))

    def recurrent(self, name: str) -> bool:
        """Whether a value that only losses need must be computed with the sequence: it has a past or a call."""
        if self.reads_loss_inputs(name):
            return False
        v = self.table[name]
        return v.value is not None and any(
            isinstance(e, x.Invoke | x.Scan)
            or isinstance(e, x.Read)
            and any(mv.axis == self.chain or mv.kind == "family" for mv in e.moves)
            for e in x.walk(v.value)
        )

    def reads_loss_inputs(self, name: str) -> bool:
        """Whether it needs an input that only losses read."""
        return any(self.table[n].kind == "input" and n not in self.names_needed for n in needed(self.body, [name], frozenset()))

    def state_fields(self) -> dict[str, Field]:
        """The fields of the state, in textual order; the count of steps first."""
        out: list[Field] = []
        if not self.chain:
            return {}
        namer = Namer()
        if uses_count(self.body, self.names_needed):
            out.append(Field(namer.fresh(self.chain), "count", self.chain))
        order = {v.name: i for i, v in enumerate(self.body.values)}
        found: list[tuple[int, Field]] = []
        for key, h in self.histories.items():
            base = key if key in self.table else key.split(".")[0]
            v = self.table[base]
            if base not in self.names_needed:
                continue
            axes = tuple(a for a in v.axes or () if a != self.chain)
            if key != base and isinstance(v.value, x.Invoke):
                axes = next((tuple(a for a in ax if a != self.chain) for n, ax, _ in v.value.outs if f"{base}.{n}" == key), ())
            wish = key if h.kind == "last" else f"{key}_past" if not key.endswith(".past") else key
            found.append((order[base], Field(namer.fresh(wish), h.kind, key, axes, v.level)))
        for p in self.places:
            if p.start or p.owner.name not in self.names_needed or not self.carries(p):
                continue
            found.append((order[p.owner.name], Field(namer.fresh(p.path), "call", p.path, (), p.owner.level)))
        for v in self.body.values:
            if v.name in self.names_needed and isinstance(v.value, x.Scan):
                op = self.program.operators[v.value.operator]
                lead = scan_axes(op, v.value)
                given = dict(v.value.fields)
                for f, axes, _ in op.fields:
                    own = tuple(a for a in given[f].axes if a != self.chain and a not in lead)
                    found.append(
                        (order[v.name], Field(namer.fresh(f"{v.name}.{f}"), "scan", f"{v.name}.{f}", (*lead, *(own or axes)), v.level))
                    )
        out += [f for _, f in sorted(found, key=lambda pair: pair[0])]
        return {f.field: f for f in out}

    def carries(self, p: Place, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a call may carry state along this body's chain. Holes may be filled with anything, so they may."""
        e = p.call
        if any(c != self.chain or r for _, c, r in e.along):
            return False
        if e.callee.hole:
            return not e.callee.function or e.callee.key != ""
        if e.callee.key not in self.program.bodies:
            return False
        return keeps_state(self.program, e.callee.key)

    # ---- methods ------------------------------------------------------------------------------------------------------

    def emitter(self, mode: str, given: frozenset[str] = frozenset()) -> Emitter:
        """A fresh method."""
        m = Emitter(self.body, self.chain, self.program, self.names, self.histories, self.fields, mode, given, self.source)
        m.sites = {id(p.call): p for p in self.places}
        m.grads = self.has_grad
        if self.has_grad:
            for v in self.body.values:
                for e in x.walk(v.value) if v.value is not None else ():
                    if isinstance(e, x.Grad):
                        m.tracked.setdefault(signature(e.wrt), f"point {len(m.tracked)}")
        return m

    def run(self) -> Class:
        """The whole class."""
        made = Class(self.name, self.body)
        body: list[str] = [f'"""{doc_line(self.body)}"""', ""]
        if self.body.doc:
            body.append(f"DOC = {self.body.doc!r}")
        body += table_text(self)
        body.append("")
        sites = sites_text(self)
        if sites:
            body += [*sites, ""]
        self.method(
            body,
            "def build(self, kind: dict[str, Any]) -> None:",
            "Parameters and called bodies.",
            build_lines(self.emitter("build"), self.places),
        )
        if any(v.kind == "const" and v.value is not None for v in self.body.values):
            self.method(
                body,
                "def const_default(self, name: str, run: Run) -> Any:",
                "Values the spec gives to consts.",
                const_lines(self.emitter("build")),
            )
        if parameters_of(self.body):
            self.method(
                body,
                "def initial(self, run: Run) -> None:",
                "Starting values of the parameters.",
                initial_lines(self.emitter("build"), self.bound()),
            )
        if self.fields:
            self.method(
                body, f"def start(self, run: Run{self.once_arguments()}) -> Any:", "The state before the first step.", self.start_lines()
            )
        self.forward_methods(body)
        programs = self.programs()
        self.method(
            body, f"def sequence(self, run: Run{self.arguments()}, state: Any) -> Any:", "All steps at once where that can be.", programs[0]
        )
        if programs[1]:
            self.method(
                body,
                f"def sequence_given(self, run: Run{self.arguments()}, state: Any) -> Any:",
                "Every optional input is given.",
                programs[1],
            )
        if self.chain:
            lines = self.step_lines()
            self.method(body, f"def one_step(self, run: Run{self.arguments()}, state: Any) -> Any:", "One step.", lines)
        if self.losses:
            self.method(body, "def losses(self, run: Run, values: Any) -> None:", "The declared losses.", self.loss_lines())
        for op, lines in self.operator_methods().items():
            self.method(
                body, f"def {op}(self, {', '.join(lines[0].split(','))}) -> Any:", "Combines two stretches.", lines[1:], static=True
            )
        made.lines = [*self.tuples(), f"class {self.name}(Module):", *("    " + line if line else "" for line in body)]
        while made.lines and not made.lines[-1].strip():
            made.lines.pop()
        return made

    def method(self, body: list[str], head: str, doc: str, lines: list[str], static: bool = False) -> None:
        """Adds a method."""
        if static:
            body.append("@staticmethod")
            head = head.replace("(self, ", "(").replace("(self)", "()")
        body.append(head)
        body.append(f'    """{doc}"""')
        body += ["    " + line if line else "" for line in (lines or ["pass"])]
        body.append("")

    def inputs(self) -> list[spec.Value]:
        """The inputs in declared order."""
        return [v for v in self.body.values if v.kind == "input"]

    def per(self, v: spec.Value) -> str:
        """`step`, `run` or `call`."""
        if v.home == "call":
            return "call"
        if self.body.topology:
            return "run" if v.once else "step"
        return "step" if self.chain and self.chain in (v.axes or ()) else "run"

    def local(self, v: spec.Value) -> str:
        """An input's name in the methods."""
        return self.input_names()[v.name]

    def input_names(self) -> dict[str, str]:
        """Local names of all inputs."""
        namer = Namer()
        return {v.name: namer.fresh(v.name) for v in self.inputs()}

    def arguments(self) -> str:
        """The inputs as arguments of `sequence` and `one_step`."""
        return "".join(f", {n}: Any" for n in self.input_names().values())

    def once_arguments(self) -> str:
        """The inputs that `start` may read."""
        names = self.input_names()
        return "".join(f", {names[v.name]}: Any = None" for v in self.inputs() if self.per(v) != "step")

    def bound(self) -> frozenset[str]:
        """Parameters that some call binds."""
        out: set[str] = set()
        for b in self.program.bodies.values():
            for p in places_of(b):
                if p.call.callee.key == self.body.key:
                    for n, _ in p.call.params:
                        out |= {v.name for v in self.body.values if v.kind == "param"} if n == "*" else {n}
        return frozenset(out)

    def prepare(self, m: Emitter) -> None:
        """Inputs are known by their local names."""
        names = self.input_names()
        for n, local in names.items():
            m.namer.taken.add(local)
            m.states[f"in {n}"] = local

    def needed_with(self, given: frozenset[str]) -> tuple[list[str], list[Item]]:
        """The names and loops of one program."""
        goals = [g for g in self.goals] + [n for n in self.names_needed if n in self.loss_names]
        reach = set(needed(self.body, goals, given)) & set(self.names_needed)
        names = [n for n in self.names_needed if n in reach and self.statement_of(n, given)]
        edges = closed(self.body, names, edges_of(self.body, self.chain, names, given))
        return names, arrange(self.body, names, edges)

    def statement_of(self, n: str, given: frozenset[str]) -> bool:
        """Whether a name has an equation to be computed."""
        v = self.table[n]
        if v.kind == "input":
            return v.value is not None and not isinstance(v.value, x.NotGiven) and n not in given
        return v.value is not None

    def optional(self) -> list[str]:
        """Optional inputs with an equation that is no mere draw."""
        return [
            v.name
            for v in self.inputs()
            if v.name in self.names_needed and v.value is not None and not isinstance(v.value, x.NotGiven | x.Draw)
        ]

    def programs(self) -> tuple[list[str], list[str]]:
        """The lines of `sequence`, and of `sequence_given` where that has other loops."""
        _, general = self.needed_with(frozenset())
        optional = self.optional()
        extra: list[str] = []
        lead: list[str] = []
        if optional:
            _, special = self.needed_with(frozenset(optional))
            if loops(general) != loops(special):
                locals_ = self.input_names()
                test = " and ".join(f"{locals_[n]} is not None" for n in optional)
                rest = ", ".join(["run", *locals_.values(), "state"])
                lead = [f"if {test}:", f"    return self.sequence_given({rest})"]
                extra = self.sequence_lines(frozenset(optional), special)
        return [*lead, *self.sequence_lines(frozenset(), general)], extra

    def begun(self, m: Emitter) -> list[str]:
        """The lines that find the state to go on from."""
        if not self.fields:
            return []
        names = self.input_names()
        once = "".join(f", {names[v.name]}" for v in self.inputs() if self.per(v) != "step")
        return [f"state, first = self.begun(run, state, lambda: self.start(run{once}))"]

    def sequence_lines(self, given: frozenset[str], order: list[Item]) -> list[str]:
        """The body of `sequence`."""
        m = self.emitter("sequence", given)
        self.prepare(m)
        items(m, order, m.root)
        self.finish(m, given)
        for n in self.loss_names:
            if (
                n in self.names_needed
                and n not in m.root.names
                and n in [i for it in order for i in it.names()]
                and not self.table[n].level
                and self.table[n].axes is not None
            ):
                m.lookup(n, m.root, self.table[n].span)
        self.keep_fields(m)
        if not given:
            self.imported = {n: c for n, c in m.root.names.items() if c.number or c.text.isidentifier()}
        return self.whole(m, self.returned(m))

    def keep_fields(self, m: Emitter) -> None:
        """Fields of calls that losses read become named values."""
        for n in self.loss_names:
            if n in self.names_needed:
                continue
            v = self.table[n]
            for r in x.reads(v.value) if v.value is not None else ():
                key = f"{r.name}.{r.field_}"
                if r.field_ and r.name in self.names_needed and not self.table[r.name].level:
                    m.equation = r.name
                    code = m.emit(x.Read(r.name, r.field_, axes=r.axes, type=r.type, span=r.span), m.root)
                    if not code.text.isidentifier():
                        code = m.assign(code, key, m.root)
                    m.root.names[key] = code

    def whole(self, m: Emitter, end: list[str]) -> list[str]:
        """Prologue, equations and end, gradients switched on where the equations ask for derivatives."""
        lines = [*self.begun(m), *m.head.lines(), *m.block.lines(), *end]
        top = m.prologue()
        if not self.has_grad:
            return [*top, *lines]
        return [*top, "grads = torch.is_grad_enabled()", "with torch.enable_grad():", *("    " + line if line else "" for line in lines)]

    def finish(self, m: Emitter, given: frozenset[str]) -> None:
        """What the state keeps of inputs, and of names that this program does not compute."""
        for f in self.fields.values():
            if f.field in m.states:
                continue
            if f.kind in ("last", "past", "grow"):
                v = self.table[f.name if f.name in self.table else f.name.split(".")[0]]
                if v.kind == "input" or v.name in m.root.names:
                    note(m, f.field, kept_text(m, f.name, v, m.root), m.root)
                else:
                    m.states[f.field] = f"state.{f.field}"
            elif f.kind == "count":
                from seqc.compiler.lower.reference.relations import step_number

                step_number(m, m.root)
                m.states[f.field] = f"run.count_on(state.{f.field}, {m.root.known['raw number'].text})"
            else:
                m.states[f.field] = f"state.{f.field}"

    def returned(self, m: Emitter) -> list[str]:
        """The end of `sequence` and `one_step`: outs, state, named values."""
        outs = []
        for n in self.body.outs:
            v = self.table[n]
            code = m.lookup(n, m.root, v.span)
            layout = m.declared(v, m.root)
            code = m.expanded(m.cast(code, v), layout, m.root, v.type)
            outs.append(f"{n!r}: ({code.text}, {self.out_axes(v, layout)!r})")
        kept = []
        for n, c in m.root.names.items():
            if not c.number and c.text.isidentifier() and n.split(".")[0] in self.table:
                kept.append(f"{n!r}: ({c.text}, {self.kept_axes(n, c)!r})")
        for v in self.inputs():
            if v.name not in m.root.names:
                kept.append(f"{v.name!r}: ({self.input_names()[v.name]}, {self.kept_axes(v.name, Code('', m.declared(v, m.root)))!r})")
        lines = wrapped("kept = {", kept, "}")
        if self.has_grad:
            lines.append("kept = fn.cut(kept, grads)")
        state = "None"
        if self.fields:
            lines += wrapped(f"after = {self.name}State(", [f"{f}={m.states[f]}" for f in self.fields], ")")
            state = "after"
        made = "{" + ", ".join(outs) + "}"
        if self.has_grad:
            made, state = f"fn.cut({made}, grads)", f"fn.cut({state}, grads)"
        lines.append(f"return {made}, {state}, kept")
        return lines

    def out_axes(self, v: spec.Value, layout: Layout) -> tuple[str, ...]:
        """Axes of an out for the runtime: with the chain where the tensor has it, in declared order for blocks."""
        if self.body.topology:
            return (*((self.chain,) if layout.chain else ()), *layout.axes)
        return tuple(a for a in v.axes or () if a != self.chain or layout.chain)

    def kept_axes(self, n: str, c: Code) -> tuple[str, ...]:
        """Axes of a named value."""
        v = self.table.get(n)
        if (
            v is not None
            and not self.body.topology
            and v.axes is not None
            and self.chain in v.axes
            and c.layout.chain
            and set(v.axes) == {self.chain, *c.layout.axes}
        ):
            return v.axes
        return (*((self.chain,) if c.layout.chain else ()), *c.layout.axes)

    def step_lines(self) -> list[str]:
        """The body of `one_step`, or the reason why there is none."""
        try:
            m = self.emitter("step")
            self.prepare(m)
            names = [n for n in self.names_needed if self.statement_of(n, frozenset())]
            edges = edges_of(self.body, self.chain, names, frozenset())
            self.check_streams()
            items(m, arrange(self.body, names, edges, (), True), m.root)
            self.finish(m, frozenset())
            return self.whole(m, self.returned(m))
        except Rejected as why:
            d = why.diagnostics[0]
            if not d.code.startswith("SEQ05"):
                raise
            where = f" ({self.source}:{d.span.line})" if d.span.line else ""
            return [f"raise TypeError({(self.body.name + ' has no step: ' + d.message.replace(', so there is no step', '') + where)!r})"]

    def check_streams(self) -> None:
        """Refuses a step for what needs the whole of the chain (SEQ0505)."""
        indices = {i.name: i for i in self.body.indices}
        for n in self.names_needed:
            v = self.table[n]
            for root in (v.value, v.start):
                for e in x.walk(root) if root is not None else ():
                    looks_ahead(e, self.chain, indices, bool(self.body.topology))

    def start_lines(self) -> list[str]:
        """The body of `start`."""
        m = self.emitter("start")
        names = self.input_names()
        for v in self.inputs():
            m.namer.taken.add(names[v.name])
            m.states[f"in {v.name}"] = names[v.name]
        groups: dict[tuple[str, ...], list[Field]] = {}
        texts: dict[str, str] = {}
        for f in self.fields.values():
            groups.setdefault(f.level, []).append(f)
        for level, fields in groups.items():
            if not level:
                for f in fields:
                    texts[f.field] = self.start_text(m, f, m.root)
                continue
            self.start_levels(m, level, fields, texts)
        inside = [f"{f}={texts[f]}" for f in self.fields]
        return [*m.prologue(), *m.head.lines(), *m.block.lines(), *wrapped(f"return {self.name}State(", inside, ")")]

    def start_levels(self, m: Emitter, level: tuple[str, ...], fields: list[Field], texts: dict[str, str]) -> None:
        """Fields kept for each level."""
        from seqc.compiler.lower.reference.scope import LevelLoop

        s = m.root
        loops_: list[tuple[Block, Scope]] = []
        for ident in level:
            lv = m.levels[ident]
            low, high = m.emit(lv.low, m.root), m.emit(lv.high, m.root)
            number = m.namer.fresh(lv.name)
            at = m.namer.fresh(f"at_{lv.name}") if lv.kind == "stack" else ""
            holder = next((a.level.at for a in s.above() if a.level is not None and a.level.at), "self")
            head = s.block.nest()
            span = f"range({low.text}, {high.text} + 1)"
            header = f"for {number}, {at} in zip({span}, {holder}.levels({lv.name!r}), strict=True):" if at else f"for {number} in {span}:"
            block = s.block.nest(header)
            s = Scope(block, chain=False, parent=s, level=LevelLoop(ident, number, at, low.text, head, block))
            loops_.append((head, s))
        for f in fields:
            text = self.start_text(m, f, s)
            for head, scope in reversed(loops_):
                rows = m.namer.fresh(f"{f.field}_levels")
                head.add(f"{rows} = []")
                scope.block.add(f"{rows}.append({text})")
                text = f"tuple({rows})"
            texts[f.field] = text

    def start_text(self, m: Emitter, f: Field, s: Scope) -> str:
        """The value of one field before the first step."""
        m.equation = f.name.split(".")[0]
        if f.kind == "count":
            return "torch.zeros(run.batch, dtype=torch.int64, device=run.device)"
        if f.kind == "call":
            at = next((a.level.at for a in s.above() if a.level is not None and a.level.at), "self")
            return f"calls.start_of(self.SITES[{f.name!r}], self, {at}.held({f.name!r}), run)"
        if f.kind == "scan":
            return self.scan_start(m, f, s)
        v = self.table.get(f.name)
        if v is None:
            v = self.table[f.name.split(".")[0]]
            code = m.expanded(Code("0", number=True), Layout(True, False, f.axes), s, "real")
            return code.text if f.kind == "last" else f"history.filled({code.text}, {self.reach_here(m, f, s)})"
        layout = Layout(True, False, f.axes)
        code = Code("0", Layout(), v.type, number=True)
        if v.learned:
            at = next((a.level.at for a in s.above() if a.level is not None and a.level.at), "self")
            code = Code(m.path(at, f"{f.name}.init"), Layout(False, False, v.axes or ()), v.type)
        elif v.start is not None:
            m.count(v.start)
            code = m.emit(v.start, s)
        code = zeros(m.expanded(m.cast(code, v), layout, s, v.type)) if not code.number else zeros(self.full_start(m, code, v, layout, s))
        text = code.text
        if v.kind == "state" and not v.level and f.kind == "last":
            text = f"run.start({f.name!r}, lambda: {text})"
        return text if f.kind == "last" else f"history.filled({text}, {self.reach_here(m, f, s)})"

    def full_start(self, m: Emitter, code: Code, v: spec.Value, layout: Layout, s: Scope) -> Code:
        """A number as a tensor of the declared type."""
        made = m.expanded(code, layout, s, v.type)
        if v.width in ("f32", "f64"):
            floor = {"f32": "torch.float32", "f64": "torch.float64"}[v.width]
            kind = f"wide(run.dtype, {floor})"
            made = Code(
                made.text.replace("dtype=run.dtype", f"dtype={kind}").replace("complex_of(run.dtype)", f"complex_of({kind})"),
                layout,
                v.type,
            )
        return made

    def reach_here(self, m: Emitter, f: Field, s: Scope) -> str:
        """How many steps a field keeps at the start."""
        return "0" if f.kind == "grow" else m.reach_text(self.histories[f.name], s)

    def scan_start(self, m: Emitter, f: Field, s: Scope) -> str:
        """The identity of an operator."""
        name, _, part = f.name.rpartition(".")
        value = self.table[name].value
        assert isinstance(value, x.Scan)
        op = self.program.operators[value.operator]
        k = next(i for i, (n, _, _) in enumerate(op.fields) if n == part)
        code = m.emit(op.identity[k], s)
        return zeros(m.expanded(code, Layout(True, False, f.axes), s, op.fields[k][2])).text

    def loss_lines(self) -> list[str]:
        """The body of `losses`."""
        m = self.emitter("losses")
        self.prepare(m)
        m.imported = dict(self.imported)
        for v in self.inputs():
            m.imported.setdefault(v.name, Code(v.name, m.declared(v, m.root), v.type))
        names = [n for n in self.loss_names if n not in m.imported and n not in self.names_needed and self.statement_of(n, frozenset())]
        edges = edges_of(self.body, self.chain, names, frozenset())
        items(m, arrange(self.body, names, edges), m.root)
        for n in self.losses:
            v = self.table[n]
            code = m.lookup(n, m.root, v.span)
            if code.number:
                code = Code(f"torch.tensor({code.text}, dtype=run.dtype, device=run.device)", Layout(), "real")
            m.block.add(f"run.losses[{n!r}] = average(run, {code.text}, {code.layout.batch}, {code.layout.chain})")
        return [*m.prologue(), *m.head.lines(), *m.block.lines()]

    def operator_methods(self) -> dict[str, list[str]]:
        """The combines of the operators this body scans with: name → [arguments, lines…]."""
        out: dict[str, list[str]] = {}
        for v in self.body.values:
            if isinstance(v.value, x.Scan) and v.name in self.names_needed:
                op = self.program.operators[v.value.operator]
                out[self.names[f"operator {v.value.operator}"]] = combine_lines(self, op, v.value)
        return out

    # ---- tuples and signatures ----------------------------------------------------------------------------------------

    def tuples(self) -> list[str]:
        """The NamedTuples of the state, the outs and the losses."""
        out: list[str] = []
        if self.fields:
            out += [f"class {self.name}State(NamedTuple):", f'    """The state of {self.name} after a step, batch first."""', ""]
            for f in self.fields.values():
                out.append(f"    {f.field}: Any  # {self.field_note(f)}")
            out += ["", ""]
        if len(self.body.outs) > 1:
            out += [f"class {self.name}Outs(NamedTuple):", f'    """The outs of {self.name}."""', ""]
            out += [f"    {attribute_of(n)}: Tensor" for n in self.body.outs] + ["", ""]
        if self.losses:
            out += [f"class {self.name}Losses(NamedTuple):", f'    """The losses of {self.name}."""', ""]
            out += [f"    {attribute_of(n)}: Tensor" for n in self.losses] + ["", ""]
        return out

    def field_note(self, f: Field) -> str:
        """What a field holds."""
        shape = ", ".join(("batch", *f.axes))
        each = "".join(f", for each {self.body_level(lv)}" for lv in f.level)
        match f.kind:
            case "last":
                return f"[{shape}]{each}"
            case "past":
                return f"[{', '.join(('batch', 'reach', *f.axes))}], oldest first{each}"
            case "grow":
                return f"[{', '.join(('batch', 'so far', *f.axes))}], grows{each}"
            case "count":
                return "[batch], steps so far"
            case "scan":
                return f"[{shape}], the operator's carry{each}"
        return f"the state of {f.name}{each}"

    def body_level(self, ident: str) -> str:
        """A level's name."""
        return next(lv.name for lv in self.body.levels if lv.id == ident)

    def forward_methods(self, body: list[str]) -> None:
        """`forward`, `step` and `loss` with the spec's own inputs."""
        required = [v for v in self.inputs() if v.value is None and not {"loss", "unused"} & set(self.needed_by(v))]
        others = [v for v in self.inputs() if v not in required]
        sure = [v for v in required if self.required(v)]
        given = "{" + ", ".join(f"{v.name!r}: {keyword_argument(v.name)}" for v in self.inputs()) + "}"
        body += signature_lines("forward", required, sure, others, ("lengths", "cu_seqlens", "reset", "watch"), "Any")
        body += [f'    """{inputs_text(self)}"""', f"    return self._forward({given}, state, lengths, cu_seqlens, reset, watch)", ""]
        if self.chain:
            body += signature_lines("step", required, sure, others, ("reset", "watch"), "Any")
            body += [
                '    """One step: inputs without the time axis, and the state before."""',
                f"    return self._forward({given}, state, None, None, reset, watch, step=True)",
                "",
            ]
        if self.losses:
            all_required = [v for v in self.inputs() if v.value is None]
            rest = [v for v in self.inputs() if v.value is not None]
            body += signature_lines("loss", all_required, all_required, rest, ("lengths", "cu_seqlens", "reset"), f"{self.name}Losses")
            body += [
                f'    """The declared losses: {", ".join(self.losses)}."""',
                f"    losses: {self.name}Losses = self._loss({given}, state, lengths, cu_seqlens, reset)",
                "    return losses",
                "",
            ]

    def required(self, v: spec.Value) -> bool:
        """Whether an input must always be given."""
        return v.value is None and v.name in self.names_needed and "" in self.needed_by(v)

    def needed_by(self, v: spec.Value) -> tuple[str, ...]:
        """What needs an input without default: "" always, "loss", or optional inputs that stand for it when they are left out."""
        if v.name not in self.names_needed:
            return ("loss",) if v.name in self.loss_names else ("unused",)
        for n in self.optional():
            if v.name not in needed(self.body, self.goals, frozenset({n})):
                return (n,)
        return ("",)


def signature_lines(
    name: str, required: list[spec.Value], sure: list[spec.Value], others: list[spec.Value], options: tuple[str, ...], result: str
) -> list[str]:
    """The head of `forward`, `step` or `loss`: inputs by position (`sure` ones must be given), optional ones by keyword."""
    first = next((n for n, v in enumerate(required) if v not in sure), len(required))
    parts = ["self"]
    parts += [f"{keyword_argument(v.name)}: {'Tensor' if n < first else 'Any = None'}" for n, v in enumerate(required)]
    parts += ["state: Any = None", "*"]
    parts += [f"{keyword_argument(v.name)}: Any = None" for v in others]
    parts += [f"{o}: Any = {'()' if o == 'watch' else 'None'}" for o in options]
    return wrapped(f"def {name}(", parts, f") -> {result}:")


def keeps_state(program: spec.Program, key: str, depth: int = 0) -> bool:
    """Whether a body has anything to remember between steps."""
    body = program.bodies[key]
    chain = chain_of(body)
    if not chain or depth > 16:
        return bool(chain)
    names = [v.name for v in body.values if v.kind not in ("param", "const", "loss")]
    if histories_of(body, names) or uses_count(body, names):
        return True
    for v in body.values:
        for e in x.walk(v.value) if v.value is not None else ():
            if isinstance(e, x.Scan):
                return True
            if isinstance(e, x.Invoke) and (
                e.callee.hole or e.callee.key in program.bodies and keeps_state(program, e.callee.key, depth + 1)
            ):
                return True
    return False


def loops(order: list[Item]) -> list[tuple[str, ...]]:
    """The loops over time of a program."""
    out: list[tuple[str, ...]] = []
    for i in order:
        if i.kind == "time":
            out.append(tuple(i.names()))
        out += loops(i.inner)
    return out


def looks_ahead(e: x.Expr, chain: str, indices: Mapping[str, spec.Index], cell: bool) -> None:
    """Refuses (SEQ0505) an expression that needs steps after this one, or the whole of the chain."""
    if isinstance(e, x.Reduce | x.Along | x.Contract):
        for a in e.over:
            i = indices.get(a)
            if i is not None and i.of == chain and (i.whole or i.ahead):
                raise refuse("SEQ0505", f"`{a}` runs over all of `{chain}`", e.span)
    match e:
        case x.Reduce(over=over) | x.Along(over=over) if chain in over:
            raise refuse("SEQ0505", f"`{e.fn}` over `{chain}` sees the whole sequence", e.span)
        case x.Contract(over=over) if chain in over:
            raise refuse("SEQ0505", f"`dot` over `{chain}` sees the whole sequence", e.span)
        case x.Length(of=of) if of == chain:
            raise refuse("SEQ0505", f"`len({chain})` is not known before the sequence ends", e.span)
        case x.Norm(over=over) if chain in over:
            raise refuse("SEQ0505", f"`{e.fn}` over `{chain}` sees the whole sequence", e.span)
        case x.Conv(over=over, pad=pad) if chain in over and pad != "causal":
            raise refuse("SEQ0505", f"a convolution over `{chain}` with `pad` looks ahead", e.span)
        case x.Read(moves=moves):
            for mv in moves:
                if mv.axis != chain:
                    continue
                if mv.kind == "gather" and not cell:
                    raise refuse("SEQ0505", f"`{e.name}` is read at a computed place of `{chain}`", e.span)
                if mv.kind == "rename" and isinstance(mv.index, x.Number):
                    i = indices.get(mv.index.of)
                    if i is None or i.ahead or i.whole or i.of != chain:
                        raise refuse("SEQ0505", f"`{e.name}[{mv.index.of}]` looks ahead", e.span)
        case x.Invoke(along=along):
            for _, axis, back in along:
                if axis == chain and back:
                    raise refuse("SEQ0505", f"{e.label} runs along `reverse({chain})`", e.span)
        case x.Rename(pairs=pairs) if any(chain in p for p in pairs):
            raise refuse("SEQ0505", f"`{chain}` is used under another name as a whole", e.span)


def combine_lines(low: Lowering, op: spec.Operator, e: x.Scan) -> list[str]:
    """The combine of an operator as a function of `l_m, l_u, …, r_m, r_u, …`."""
    lead = scan_axes(op, e)
    m = low.emitter("build")
    m.root.chain = False
    names: list[str] = []
    for side in ("l", "r"):
        for f, axes, kind in op.fields:
            var = m.namer.fresh(f"{side}_{f}")
            names.append(f"{var}: Tensor")
            m.root.names[f"{side}.{f}"] = Code(var, Layout(True, False, (*lead, *axes)), kind)
    for f, value in op.combine:
        m.equation = f
        m.count(value)
        m.block.add(f"# {f}  (operator {op.name})")
        code = m.emit(value, m.root)
        axes = next(a for n, a, _ in op.fields if n == f)
        code = m.expanded(code, Layout(True, False, (*lead, *axes)), m.root) if not code.number else code
        m.root.names[f] = m.assign(code, f, m.root)
    results = ", ".join(m.root.names[f].text for f, _, _ in op.fields)
    comma = "," if len(op.fields) == 1 else ""
    return [", ".join(names), *m.block.lines(), f"return {results}{comma}"]


def zeros(code: Code) -> Code:
    """`torch.full(shape, 0, …)` as it is usually written."""
    if code.text.startswith("torch.full(") and ", 0, dtype" in code.text:
        text = "torch.zeros(" + code.text[len("torch.full(") :].replace(", 0, dtype", ", dtype", 1)
        return Code(text, code.layout, code.type, wide=code.wide)
    return code


def wrapped(head: str, parts: list[str], end: str) -> list[str]:
    """`head part, part end` on one line where it fits, else a line each."""
    one = head + ", ".join(parts) + end
    if len(one) <= 110:
        return [one]
    return [head, *(f"    {p}," for p in parts), end]


def doc_line(body: spec.Body) -> str:
    """A sentence that names the body; the spec's own words stay in one quoted constant of the module."""
    return (
        f"{body.kind} {body.name}"
        + (f" over {', '.join(f.kind if not f.axes else f.axes[0] for f in body.topology)}" if body.topology else "")
        + "."
    )


def attribute_of(n: str) -> str:
    """A NamedTuple's field."""
    return keyword_argument(n) if not n.startswith("_") else n.lstrip("_")


__all__ = ["CHAIN", "Class", "Lowering", "lower"]

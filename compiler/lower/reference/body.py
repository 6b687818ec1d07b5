"""One body as a Python class: its table, its methods, its state.

In:   a checked program, one of its bodies, names of the classes.
Out:  the lines of the class. `lower` is the lowering's one entry point: it gives all classes of a program in an order in which each
      stands after those it calls.
Refuses: SEQ051x, what later issues bring (grids, trees, graphs, values over calls, operators of the host).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference import contractions, convolutions, elementwise, invokes, leaves, reads, reshaping  # noqa: F401  (their rules)
from seqc.compiler.lower.reference.build import build_lines, const_lines, initial_lines, parameters_of
from seqc.compiler.lower.reference.emitter import Emitter
from seqc.compiler.lower.reference.heads import Heads, doc_line
from seqc.compiler.lower.reference.layout import CHAIN, Code, Layout
from seqc.compiler.lower.reference.prepare import prepared
from seqc.compiler.lower.reference.program import called_keys, callees_first, check_scope, class_names, keeps_state
from seqc.compiler.lower.reference.reshaping import scan_axes
from seqc.compiler.lower.reference.schedule import Item, arrange, edges_of, needed
from seqc.compiler.lower.reference.starts import Starts
from seqc.compiler.lower.reference.statements import items, kept_text, note
from seqc.compiler.lower.reference.streams import looks_ahead
from seqc.compiler.lower.reference.tables import sites_text, table_text
from seqc.compiler.lower.reference.text import wrapped


@dataclass(slots=True)
class Class:
    """One emitted class."""

    name: str
    body: spec.Body
    lines: list[str] = field(default_factory=list)


def lower(program: spec.Program, source: str) -> list[Class]:
    """All classes of a program, callees first. `source` is how comments name the file. Raises `Rejected`."""
    names = class_names(program)
    out: list[Class] = []
    for key in callees_first(program):
        body = prepared(program.bodies[key], program.operators)
        check_scope(body)
        out.append(
            Lowering(program, body, names, source if key in program.exports else f"{key.partition(':')[0].replace('.', '/')}.seq").run()
        )
    return out


class Lowering(Heads, Starts):
    """Writes the class of one body."""

    # ---- methods ------------------------------------------------------------------------------------------------------

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
        """The body of `one_step`, or the reason why there is none.

        What only losses read is left out where it alone needs more than this step."""
        refused: Rejected | None = None
        for names in (self.names_needed, self.outs_need()):
            try:
                return self.stepped([n for n in names if self.statement_of(n, frozenset())], names)
            except Rejected as why:
                if not why.diagnostics[0].code.startswith("SEQ05"):
                    raise
                refused = refused or why
        assert refused is not None
        d = refused.diagnostics[0]
        where = f" ({self.source}:{d.span.line})" if d.span.line else ""
        return [f"raise TypeError({(self.body.name + ' has no step: ' + d.message.replace(', so there is no step', '') + where)!r})"]

    def outs_need(self) -> list[str]:
        """The names that outs and states are computed from."""
        found = set(needed(self.body, self.goals, frozenset()))
        return [n for n in self.names_needed if n in found]

    def stepped(self, names: list[str], read: list[str]) -> list[str]:
        """The equations of `names` as one step."""
        m = self.emitter("step")
        self.prepare(m)
        edges = edges_of(self.body, self.chain, names, frozenset())
        self.check_streams(read)
        items(m, arrange(self.body, names, edges, (), True), m.root)
        self.finish(m, frozenset())
        return self.whole(m, self.returned(m))

    def check_streams(self, names: list[str]) -> None:
        """Refuses a step for what needs the whole of the chain (SEQ0505)."""
        indices = {i.name: i for i in self.body.indices}
        for n in names:
            v = self.table[n]
            for root in (v.value, v.start):
                for e in x.walk(root) if root is not None else ():
                    looks_ahead(e, self.chain, indices, bool(self.body.topology))

    def loss_lines(self) -> list[str]:
        """The body of `losses`."""
        m = self.emitter("losses")
        self.prepare(m)
        m.imported = dict(self.imported)
        names = self.input_names()
        for v in self.inputs():
            if v.name not in m.imported and v.name in self.loss_names and self.statement_of(v.name, frozenset()):
                m.head.add(f"{names[v.name]} = values[{v.name!r}]")  # its default is computed here
            else:
                m.imported.setdefault(v.name, Code(v.name, m.declared(v, m.root), v.type))
        wanted = [n for n in self.loss_names if n not in m.imported and n not in self.names_needed and self.statement_of(n, frozenset())]
        edges = edges_of(self.body, self.chain, wanted, frozenset())
        items(m, arrange(self.body, wanted, edges), m.root)
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


def loops(order: list[Item]) -> list[tuple[str, ...]]:
    """The loops over time of a program."""
    out: list[tuple[str, ...]] = []
    for i in order:
        if i.kind == "time":
            out.append(tuple(i.names()))
        out += loops(i.inner)
    return out


def combine_lines(low: Lowering, op: spec.Operator, e: x.Scan) -> list[str]:
    """The combine of an operator as a function of `l_m, l_u, …, r_m, r_u, …`."""
    lead = scan_axes(op, e, low.chain)
    m = low.emitter("build")
    m.root.chain = False
    names: list[str] = []
    for side in op.sides:
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


__all__ = ["CHAIN", "Class", "Lowering", "called_keys", "callees_first", "check_scope", "class_names", "keeps_state", "loops", "lower"]

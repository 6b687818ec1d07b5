"""What all methods of a class are written from: the names a body computes, its histories, calls and state fields, its inputs.

In:   a checked program, one of its bodies, names of the classes.
Out:  `Common`, on which `starts`, `heads` and `body` build.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import Emitter
from seqc.compiler.lower.reference.fields import signature
from seqc.compiler.lower.reference.histories import Field, History, histories_of, uses_count
from seqc.compiler.lower.reference.invokes import Place, places_of
from seqc.compiler.lower.reference.layout import Code
from seqc.compiler.lower.reference.names import Namer
from seqc.compiler.lower.reference.program import keeps_state, looking_ahead
from seqc.compiler.lower.reference.reshaping import scan_axes
from seqc.compiler.lower.reference.schedule import Item, arrange, chain_of, closed, edges_of, needed


class Common:
    """The tables of one body."""

    def __init__(self, program: spec.Program, body: spec.Body, names: Mapping[str, str], source: str) -> None:
        self.program, self.body, self.names, self.source = program, body, names, source
        self.name = names[body.key]
        self.chain = chain_of(body)
        self.table = body.table
        self.operators: dict[str, list[str]] = {}
        line, why = looking_ahead(program).get(body.key, (0, ""))
        self.looks = f"{why} ({source}:{line})" if why else ""
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
                lead = scan_axes(op, v.value, self.chain)
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

"""Checks a whole project: every body once, callees before they are needed for their signatures.

In:   a `frontend.imports.Project`.
Out:  `spec.Program`. Raises `Rejected` where anything is an error.
Refuses: SEQ0214 (a definition named like a function of the language), SEQ0234 (bodies that call each other in a circle),
         SEQ0239 (an operator's equations), and what bodies and rules refuse.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.check import expressions
from seqc.compiler.check.body import BodyChecker
from seqc.compiler.check.context import Bound, Context, Definitions, Untypable
from seqc.compiler.check.names import Names
from seqc.compiler.check.rules import RULES
from seqc.compiler.check.words import FUNCTIONS, TYPES
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.frontend.imports import Project
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Axes, Expr

BODY_LIMIT = 512


def check(project: Project, sink: Sink) -> spec.Program:
    """The checked program of a project; warnings stay in `sink`. Raises `Rejected`."""
    return _Checker(project, sink).run()


class _Checker:
    def __init__(self, project: Project, sink: Sink) -> None:
        self.project, self.sink = project, sink
        self.written = Written(project.sources)
        self.bodies: dict[str, spec.Body | None] = {}
        self.order: list[str] = []
        self.open: list[str] = []
        self.specials: dict[str, tuple[str, Mapping[str, str], Definitions]] = {}
        self.operators: dict[str, spec.Operator | None] = {}
        self.externs: dict[str, spec.Extern | None] = {}
        self.scopes = {key: self.definitions(key) for key in project.files}

    def run(self) -> spec.Program:
        main = self.project.main_key
        self.sink.stop()
        exports = []
        for d in self.project.main.definitions:
            key = f"{main}:{d.name.text}"
            if isinstance(d, s.Body):
                exports.append(key)
                self.body(key, d.name.span)
            elif isinstance(d, s.Operator):
                self.operator(key)
            elif isinstance(d, s.Extern):
                self.extern(key)
            elif isinstance(d, s.Fn):
                self.fn(d)
        self.sink.stop()
        bodies = {k: b for k in self.order if (b := self.bodies[k]) is not None}
        for b in bodies.values():
            for rule in RULES:
                rule(b, self.sink, self.written)
        self.allow()
        self.sink.stop()
        path = self.project.main.path
        return spec.Program(
            path,
            self.project.main.doc,
            bodies,
            {k: o for k, o in self.operators.items() if o is not None},
            {k: e for k, e in self.externs.items() if e is not None},
            tuple(exports),
            self.project.sources[path].text if path in self.project.sources else "",
        )

    def allow(self) -> None:
        """Drops the warnings that a comment on their line allows: `# seqc: allow SEQ-W01 reason`."""
        allowed = {
            (f.path, m.span.line, code)
            for f in self.project.files.values()
            for m in f.comments
            for mark, _, rest in (m.text.partition("seqc: allow"),)
            if rest
            for code in rest.split()[:1]
            if mark
        }
        self.sink.found[:] = [d for d in self.sink.found if (d.span.file, d.span.line, d.code) not in allowed]

    def definitions(self, key: str) -> Definitions:
        """What names mean in one file."""
        out = Definitions()
        file = self.project.files[key]
        seen: dict[str, Span] = {}

        def add(name: str, home: str, d: s.Definition) -> None:
            ident = f"{home}:{d.name.text}"
            if isinstance(d, s.Body):
                out.bodies[name] = ident
            elif isinstance(d, s.Fn):
                out.fns[name] = (ident, d)
            elif isinstance(d, s.Operator):
                out.operators[name] = ident
            else:
                out.externs[name] = ident

        for name, (home, target) in self.project.imports.get(key, {}).items():
            for d in self.project.files[home].definitions if home in self.project.files else ():
                if d.name.text == target:
                    add(name, home, d)
        for d in file.definitions:
            name = d.name.text
            if name in FUNCTIONS:
                self.sink.report(
                    "SEQ0214",
                    f"`{name}` is a function of the language and cannot be defined anew",
                    d.name.span,
                    help=self.written.paste(d.name.span, f"{name}_"),
                )
            if name in seen:
                self.sink.report(
                    "SEQ0201",
                    f"`{name}` is defined twice in this file",
                    d.name.span,
                    notes=(Note("first here", seen[name]),),
                    help=self.written.paste(d.name.span, f"{name}2"),
                )
            elif name in out.names():
                self.sink.report(
                    "SEQ0201",
                    f"`{name}` is imported and defined here as well",
                    d.name.span,
                    help=self.written.paste(d.name.span, f"{name}2"),
                )
            seen[name] = d.name.span
            add(name, key, d)
        return out

    # ---- bodies -------------------------------------------------------------------------------------------------------

    def body(self, key: str, span: Span) -> spec.Body | None:
        """The checked body of a key; a circle of calls is an error."""
        if key in self.bodies:
            return self.bodies[key]
        if key in self.open:
            loop = " -> ".join(k.split(":")[-1] for k in [*self.open[self.open.index(key) :], key])
            self.sink.report(
                "SEQ0234",
                f"these bodies call each other in a circle: {loop}",
                span,
                help="a recurrence is a state; repetition is rounds",
            )
            return None
        home, holes, injected = self.specials.get(key, (key, {}, None))
        file, _, name = home.partition(":")
        line = (
            next((d for d in self.project.files[file].definitions if isinstance(d, s.Body) and d.name.text == name), None)
            if file in self.project.files
            else None
        )
        if line is None or len(self.bodies) > BODY_LIMIT:
            return None
        self.open.append(key)
        definitions = self.scopes[file]
        if injected is not None:
            definitions = Definitions(
                dict(definitions.bodies),
                {**definitions.fns, **{f: injected.fns[f] for f in holes.values() if f in injected.fns}},
                dict(definitions.operators),
                dict(definitions.externs),
            )
        made = BodyChecker(
            key,
            line,
            definitions,
            self.sink,
            self.written,
            self.body,
            self.operator,
            self.extern,
            self.fn_scope,
            self.make_special,
            lambda k: self.specials[k][1] if k in self.specials else {},
        ).run()
        self.open.pop()
        self.bodies[key] = made
        self.order.append(key)
        return made

    def make_special(self, key: str, holes: Mapping[str, str], definitions: Definitions) -> str:
        """The key of the copy of a body with these function holes bound."""
        home, old, injected = self.specials.get(key, (key, {}, None))
        both = {**old, **holes}
        made = f"{home}{{{', '.join(f'{h}={f}' for h, f in sorted(both.items()))}}}"
        fns = {**(injected.fns if injected is not None else {}), **definitions.fns}
        self.specials.setdefault(made, (home, both, Definitions(fns=fns)))
        return made

    def fn_scope(self, key: str) -> Definitions:
        """The definitions that a fn sees."""
        return self.scopes[key.partition(":")[0]]

    # ---- the rest -----------------------------------------------------------------------------------------------------

    def line_of(self, key: str) -> s.Definition | None:
        file, _, name = key.partition(":")
        return next((d for d in self.project.files[file].definitions if d.name.text == name), None)

    def operator(self, key: str) -> spec.Operator | None:
        """A checked operator."""
        if key not in self.operators:
            line = self.line_of(key)
            self.operators[key] = self.make_operator(key, line) if isinstance(line, s.Operator) else None
        return self.operators[key]

    def make_operator(self, key: str, line: s.Operator) -> spec.Operator | None:
        fields = tuple(
            (f.name.text, tuple(a.text for a in f.shape.axes), TYPES.get(f.type.text, "real") if f.type else "real")
            for f in line.fields
        )
        dims = {a for _, axes, _ in fields for a in axes}
        names = Names()
        names.dims = {d: s.Dim(s.Word(d), None) for d in dims}
        fake = s.Body("block", line.name, (), (), ())
        c = Context(
            fake, names, self.scopes[key.partition(":")[0]], self.sink, self.body, self.operator, self.extern, self.fn_scope
        )
        c.where, c.written = "operator", self.written
        ok = True
        identity: list[Expr] = []
        if len(line.identity) != len(fields):
            self.sink.report(
                "SEQ0239",
                f"the identity of {line.name} has {len(line.identity)} parts, its fields are {len(fields)}",
                line.name.span,
            )
            ok = False
        for e in line.identity:
            try:
                identity.append(expressions.typed(c, e))
            except Untypable:
                ok = False
        combine: list[tuple[str, Expr]] = []
        env: dict[str, Bound] = {}
        for side in (line.left.text, line.right.text):
            for n, axes, kind in fields:
                read = x.Read(f"{side}.{n}", axes=axes, type=kind)
                env[f"{side}.{n}"] = Bound(read, s.Name(f"{side}.{n}"))
            env[side] = Bound(None, s.Name(side))
        given = {eq.name.text: eq for eq in line.equations}
        for n, axes, _ in fields:
            if n not in given or given[n].value is None:
                self.sink.report(
                    "SEQ0239", f"`combine` of {line.name} has no equation for its field `{n}`", line.name.span, help=f"{n} = …"
                )
                ok = False
                continue
            c.env = dict(env)
            value = given[n].value
            assert value is not None
            try:
                made = expressions.typed(c, value, axes)
            except Untypable:
                ok = False
                continue
            if set(made.axes) - set(axes):
                self.sink.report("SEQ0401", f"`{n}` of {line.name} is given other axes than it has", value.span)
                ok = False
            combine.append((n, made))
            env[n] = Bound(made, s.Name(n))
        for n in given:
            if n not in {f for f, _, _ in fields}:
                self.sink.report("SEQ0239", f"{line.name} has no field `{n}`", given[n].name.span)
                ok = False
        return (
            spec.Operator(key, line.name.text, fields, tuple(identity), tuple(combine), line.doc, line.name.span)
            if ok
            else None
        )

    def extern(self, key: str) -> spec.Extern | None:
        """A checked extern."""
        if key not in self.externs:
            line = self.line_of(key)
            made = None
            if isinstance(line, s.Extern):

                def slots(items: tuple[s.Slot, ...]) -> tuple[tuple[str, Axes, x.Type], ...]:
                    return tuple(
                        (i.name.text, tuple(a.text for a in i.shape.axes), TYPES.get(i.type.text, "real") if i.type else "real")
                        for i in items
                    )

                for t in line.traits:
                    if t.text not in ("pure", "impure", "gradient"):
                        self.sink.report(
                            "SEQ0240",
                            f"an extern has no trait `{t}`",
                            t.span,
                            label="pure, impure, gradient",
                            help=self.written.paste(t.span, nearest(t.text, ["pure", "impure", "gradient"]) or "pure"),
                        )
                made = spec.Extern(
                    key,
                    line.name.text,
                    slots(line.arguments),
                    slots(line.results),
                    tuple(t.text for t in line.traits),
                    line.doc,
                    line.name.span,
                )
            self.externs[key] = made
        return self.externs[key]

    def fn(self, line: s.Fn) -> None:
        """A fn is typed where it is called; here only its parameters are looked at."""
        seen: dict[str, Span] = {}
        for p in line.parameters:
            if p.text in seen:
                self.sink.report(
                    "SEQ0201", f"`{line.name}` has two parameters `{p}`", p.span, notes=(Note("the first one", seen[p.text]),)
                )
            seen[p.text] = p.span

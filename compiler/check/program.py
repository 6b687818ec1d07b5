"""Checks a whole project: every body once, callees before they are needed for their signatures.

In:   a `frontend.imports.Project`.
Out:  `spec.Program`. Raises `Rejected` where anything is an error.
Refuses: SEQ0214 (a definition named like a function of the language), SEQ0234 (bodies that call each other in a circle),
         SEQ0239 (an operator's equations), SEQ0294 (too many bodies), and what bodies and rules refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from seqc.compiler.check import expressions
from seqc.compiler.check.body import BodyChecker
from seqc.compiler.check.context import ERROR_LIMIT, Bound, Context, Definitions, Shared, TooLarge, Untypable, too_many
from seqc.compiler.check.fns import check_fns
from seqc.compiler.check.names import Names
from seqc.compiler.check.rules import RULES, looks_ahead
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
NESTING_LIMIT = 16
"""How deep bodies may be checked within each other: copies for the functions that calls put into their holes."""


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
        self.lines = {f"{key}:{d.name.text}": d for key, file in project.files.items() for d in reversed(file.definitions)}
        self.shared = Shared()
        self.scopes = {key: self.definitions(key) for key in project.files}

    def run(self) -> spec.Program:
        main = self.project.main_key
        self.stop()
        exports = []
        try:
            self.shared.broken = check_fns(self.scopes, self.sink, self.written)
            self.callees_first([f"{main}:{d.name.text}" for d in self.project.main.definitions if isinstance(d, s.Body)])
            for d in self.project.main.definitions:
                key = f"{main}:{d.name.text}"
                if isinstance(d, s.Body):
                    exports.append(key)
                    self.body(key, d.name.span)
                elif isinstance(d, s.Operator):
                    self.operator(key)
                elif isinstance(d, s.Extern):
                    self.extern(key)
            self.stop()
            bodies = {k: b for k in self.order if (b := self.bodies[k]) is not None}
            ahead: set[str] = set()
            for b in bodies.values():
                looks_ahead.check(b, self.sink, ahead)
                for rule in RULES:
                    rule(b, self.sink, self.written)
                    if too_many(self.sink):
                        raise TooLarge()
        except TooLarge:
            bodies = {}
            if too_many(self.sink):
                self.cut()
        self.stop()
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

    def cut(self) -> None:
        """Keeps the first errors, and says that there are more."""
        errors = sorted((d for d in self.sink.found if d.severity == "error"), key=lambda d: d.span)[:ERROR_LIMIT]
        self.sink.found[:] = [*errors, *(d for d in self.sink.found if d.severity != "error")]
        self.sink.report("SEQ0150", f"there are more than {ERROR_LIMIT} errors; the rest is left out", errors[-1].span)

    def stop(self) -> None:
        """Ends the stage where something is wrong; drops the warnings that a comment on their line allows.

        `# seqc: allow SEQ-W01 reason`; errors cannot be allowed.
        """
        allowed = {
            (f.path, m.span.line, code)
            for f in self.project.files.values()
            for m in f.comments
            for mark, _, rest in (m.text.partition("seqc: allow"),)
            if rest
            for code in rest.split()[:1]
            if mark
        }
        self.sink.found[:] = [d for d in self.sink.found if d.severity == "error" or (d.span.file, d.span.line, d.code) not in allowed]
        self.sink.stop()

    def callees_first(self, keys: Sequence[str]) -> None:
        """Checks what bodies call before them, so that checking one never nests; a circle of calls is an error."""
        done: set[str] = set()
        path: list[str] = []
        stack = list(reversed(keys))
        while stack:
            key = stack[-1]
            if key in done:
                stack.pop()
            elif path and path[-1] == key:
                stack.pop()
                path.pop()
                done.add(key)
                self.body(key, self.project.main.span)
            else:
                path.append(key)
                here = set(path)
                for callee, span in reversed(self.callees(key)):
                    if callee in here:
                        loop = path[path.index(callee) :]
                        if not any(k in done for k in loop):
                            self.circle([*loop, callee], span)
                        done.update(loop)
                        self.bodies.update(dict.fromkeys(loop))
                    elif callee not in done:
                        stack.append(callee)
                if key in done:
                    path.pop()

    def circle(self, loop: Sequence[str], span: Span) -> None:
        """SEQ0234."""
        names = [k.partition(":")[2] for k in loop]
        shown = " -> ".join(names if len(names) < 9 else [*names[:4], "…", *names[-3:]])
        self.sink.report(
            "SEQ0234",
            f"{names[0]} calls itself" if len(names) == 2 else f"these bodies call each other in a circle: {shown}",
            span,
            label="a recurrence is a state, repetition is `rounds`",
        )

    def callees(self, key: str) -> list[tuple[str, Span]]:
        """The bodies that the text of a body names in calls, in holes and as defaults of holes; with the place."""
        line = self.line_of(key)
        if not isinstance(line, s.Body):
            return []
        known = self.scopes[key.partition(":")[0]].bodies
        own = {h.name.text for h in line.holes}
        found: dict[str, Span] = {}

        def add(name: str, span: Span) -> None:
            if name in known and name not in own:
                found.setdefault(known[name], span)

        stack: list[object] = [*line.lines]
        for h in line.holes:
            if h.default is not None:
                add(h.default.text, h.default.span)
        while stack:
            n = stack.pop()
            if isinstance(n, s.Call):
                add(n.function, n.function_span)
            elif isinstance(n, s.Keyword) and isinstance(n.value, s.Name):
                add(n.value.id, n.value.span)
            if isinstance(n, s.Node):
                stack.extend(v for f in fields(n) for v in _nodes(getattr(n, f.name)))
        return sorted(found.items(), key=lambda entry: entry[1])

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
            if (d := self.lines.get(f"{home}:{target}")) is not None:
                add(name, home, d)
        imported = set(out.names())
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
            elif name in imported:
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
            self.circle([*self.open[self.open.index(key) :], key], span)
            return None
        home, holes, injected = self.specials.get(key, (key, {}, None))
        line = self.line_of(home)
        if not isinstance(line, s.Body):
            return None
        if len(self.bodies) >= BODY_LIMIT:
            self.sink.report("SEQ0294", f"more than {BODY_LIMIT} bodies have to be checked", line.name.span)
            raise TooLarge()
        if len(self.open) >= NESTING_LIMIT:
            self.sink.report("SEQ0290", f"functions are put into holes of holes more than {NESTING_LIMIT} deep", span)
            return None
        self.open.append(key)
        definitions = self.scopes[home.partition(":")[0]]
        if injected is not None:
            definitions = Definitions(definitions.bodies, {**definitions.fns, **injected.fns}, definitions.operators, definitions.externs)
        made = None
        try:
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
                self.shared,
            ).run()
        except TooLarge:
            pass
        finally:
            self.open.pop()
        if too_many(self.sink):
            raise TooLarge()
        self.bodies[key] = made
        self.order.append(key)
        return made

    def make_special(self, key: str, holes: Mapping[str, str], definitions: Definitions) -> str:
        """The key of the copy of a body with these function holes bound; a `fn` goes by its key there, which is its alone."""
        home, old, injected = self.specials.get(key, (key, {}, None))
        fns = dict(injected.fns) if injected is not None else {}
        both = dict(old)
        for h, f in holes.items():
            if f in definitions.fns:
                f, _ = fns.setdefault(definitions.fns[f][0], definitions.fns[f])
            both[h] = f
        made = f"{home}{{{', '.join(f'{h}={f}' for h, f in sorted(both.items()))}}}"
        self.specials.setdefault(made, (home, both, Definitions(fns=fns)))
        return made

    def fn_scope(self, key: str) -> Definitions:
        """The definitions that a fn sees."""
        return self.scopes[key.partition(":")[0]]

    # ---- the rest -----------------------------------------------------------------------------------------------------

    def line_of(self, key: str) -> s.Definition | None:
        """The definition with this key."""
        return self.lines.get(key)

    def operator(self, key: str) -> spec.Operator | None:
        """A checked operator."""
        if key not in self.operators:
            line = self.line_of(key)
            self.operators[key] = self.make_operator(key, line) if isinstance(line, s.Operator) else None
        return self.operators[key]

    def make_operator(self, key: str, line: s.Operator) -> spec.Operator | None:
        fields = tuple(
            (f.name.text, tuple(a.text for a in f.shape.axes), TYPES.get(f.type.text, "real") if f.type else "real") for f in line.fields
        )
        dims = {a for _, axes, _ in fields for a in axes}
        names = Names()
        names.dims = {d: s.Dim(s.Word(d), None) for d in dims}
        fake = s.Body("block", line.name, (), (), ())
        c = Context(fake, names, self.scopes[key.partition(":")[0]], self.sink, self.body, self.operator, self.extern, self.fn_scope)
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
        sides = (line.left.text, line.right.text)
        return spec.Operator(key, line.name.text, fields, tuple(identity), tuple(combine), line.doc, sides, line.name.span) if ok else None

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


def _nodes(v: object) -> Iterator[s.Node]:
    """The syntax nodes in a field."""
    if isinstance(v, s.Node):
        yield v
    elif isinstance(v, tuple):
        yield from (i for i in v if isinstance(i, s.Node))

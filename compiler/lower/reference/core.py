"""The walk over expressions: one rule for each kind, shared nodes once, and everything lifted out of loops that need not be in them.

In:   a checked body and a place (`Scope`).   Out:  a `Code` for the value; lines in the scope's block.
Keeps: the meaning of each expression. A subexpression of a loop over time that reads nothing computed in that loop is computed before
      it, for all steps.
Rules register themselves in `RULES`; see `leaves`, `elementwise`, `contractions`, `reads`, `reshaping`, `invokes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Expr
from seqc.compiler.lower.reference.histories import Field, History
from seqc.compiler.lower.reference.layout import ATOM, CHAIN, Code, Layout
from seqc.compiler.lower.reference.names import Namer
from seqc.compiler.lower.reference.scope import Scope
from seqc.compiler.lower.reference.text import Block

Rule = Callable[[Any, Any, Scope], Code]
"""(emitter, expression, place) → code; the first two are typed by the rule itself."""
RULES: dict[type[Expr], Rule] = {}


def rule(kind: type[Expr]) -> Callable[[Rule], Rule]:
    """Registers the rule for one kind of expression."""

    def keep(f: Rule) -> Rule:
        RULES[kind] = f
        return f

    return keep


def refuse(code: str, message: str, span: Span) -> Rejected:
    """A diagnostic of this stage, to be raised."""
    return Rejected((Diagnostic(code, message, span),))


def lead_of(histories: Mapping[str, History]) -> list[Expr]:
    """The lags of names whose buffers grow: so many steps stand in every such buffer before the first one."""
    return [e for h in histories.values() if h.grows for e in h.lags]


class Core:
    """What the lines of one method share: names, the body's tables, what has been found so far.

    mode   `sequence`, `step`, `start`, `build` (constants and starting values) or `losses`
    given  optional inputs known to be given
    """

    def __init__(
        self,
        body: spec.Body,
        chain: str,
        program: spec.Program,
        classes: Mapping[str, str],
        histories: Mapping[str, History],
        fields: Mapping[str, Field],
        mode: str,
        given: frozenset[str],
        source: str,
    ) -> None:
        self.body, self.chain, self.program, self.classes = body, chain, program, classes
        self.table = body.table
        self.indices = {i.name: i for i in body.indices}
        self.levels = {lv.id: lv for lv in body.levels}
        self.histories, self.fields = histories, fields
        self.mode, self.given, self.source = mode, given, source
        self.namer = Namer()
        self.head = Block()
        self.block = Block()
        self.root = Scope(self.block, chain=mode == "sequence" or mode == "losses")
        self.internal = dict(body.sizes)
        self.axis_sizes: dict[str, str] = {}
        self.counts: dict[int, int] = {}
        self.widths: dict[str, str] = {}
        self.dims: dict[str, str] = {}
        self.fulls: dict[tuple[str, int], str] = {}
        self.starts: dict[str, Code] = {}
        self.reaches: dict[str, str] = {}
        self.sites: dict[int, Any] = {}
        self.states: dict[str, str] = {}
        self.optional: set[str] = set()
        self.equation = ""
        self.tracked: dict[tuple[Any, ...], str] = {}
        self.grads = False
        self.extents = ""
        self.lead = lead_of(histories)
        self.empty = {d.name for d in body.dims if isinstance(d.value, x.Literal_) and d.value.value == 0}
        self.imported: dict[str, Code] = {}
        self.field_reads: dict[str, frozenset[str]] = {}
        self.level_loops: list[tuple[str, frozenset[str], Scope, Scope]] = []
        self.deps: dict[int, tuple[Expr, frozenset[str], frozenset[str], bool]] = {}

    def count(self, e: Expr) -> None:
        """Counts how often each node is used, before its equation is written."""
        seen: set[int] = set()
        stack = [e]
        while stack:
            n = stack.pop()
            if id(n) in seen:
                continue
            seen.add(id(n))
            for c in x.children(n):
                self.counts[id(c)] = self.counts.get(id(c), 0) + 1
                stack.append(c)

    def emit(self, e: Expr, s: Scope) -> Code:
        """The value of `e` at this place."""
        hit = s.found(e)
        if hit is not None:
            return hit
        timed = s.timed
        if timed is not None and not isinstance(e, x.Literal_ | x.DimSize) and not self.in_branch(s) and self.liftable(e, s, timed):
            code = self.lifted(e, timed)
        else:
            made = RULES.get(type(e))
            if made is None:
                raise AssertionError(f"no rule for {type(e).__name__}")
            code = made(self, e, s)
        if self.counts.get(id(e), 0) > 1 and not code.atom and not code.number:
            code = self.assign(code, f"{self.equation}_part", s)
        s.cache[id(e)] = (e, code)
        return code

    def in_branch(self, s: Scope) -> bool:
        """Whether a decision at build time stands between here and the loop over time."""
        for a in s.above():
            if a.branch:
                return True
            if a.time is not None:
                return False
        return False

    def depends(self, e: Expr) -> tuple[frozenset[str], frozenset[str], bool]:
        """The names an expression reads, the levels it depends on, and whether it makes something of its own (draws, calls)."""
        held = self.deps.get(id(e))
        if held is not None and held[0] is e:
            return held[1], held[2], held[3]
        names: set[str] = set()
        levels: set[str] = set()
        own = False
        stack = [e]
        seen: set[str] = set()
        while stack:
            for n in x.walk(stack.pop()):
                if isinstance(n, x.Read):
                    names.add(n.name)
                    v = self.table.get(n.name)
                    if v is not None:
                        families = {m.axis for m in n.moves if m.kind == "family"}
                        levels |= {lv for lv in v.level if lv not in families}
                elif isinstance(n, x.Number):
                    if n.of in self.levels:
                        levels.add(n.of)
                    i = self.indices.get(n.of)
                    if i is not None and i.where is not None and n.of not in seen:
                        seen.add(n.of)
                        stack.append(i.where)
                elif isinstance(n, x.Draw | x.Dropout | x.Invoke | x.Scan | x.Grad):
                    own = True
        out = (frozenset(names), frozenset(levels), own)
        self.deps[id(e)] = (e, *out)
        return out

    def liftable(self, e: Expr, s: Scope, timed: Scope) -> bool:
        """Whether `e` can be computed before the loop over time, for all steps."""
        assert timed.time is not None
        names, levels, own = self.depends(e)
        if names & timed.time.names:
            return False
        outside = set(timed.parent.levels if timed.parent else ())
        inner = set(s.levels) - outside
        if levels & inner or own and inner:
            return False
        if self.tracked:
            from seqc.compiler.lower.reference.fields import point_of, signature

            for r in x.reads(e):
                key = self.tracked.get(signature(r))
                if key is not None and point_of(cast(Any, self), key, s) is not None:
                    return False
        return not any(isinstance(n, x.Grad) for n in x.walk(e))

    def lifted(self, e: Expr, timed: Scope) -> Code:
        """`e` before the loop; inside, its row of this step."""
        outer = timed.parent
        assert outer is not None and timed.time is not None
        code = self.emit(e, outer)
        return self.row(code, timed, e.name if isinstance(e, x.Read) else f"{self.equation}_in")

    def row(self, code: Code, timed: Scope, wish: str) -> Code:
        """A value from outside a loop over time, at its step."""
        outer = timed.parent
        assert outer is not None and timed.time is not None
        if code.number:
            return code
        if not code.text.isidentifier():
            code = self.assign(code, wish, outer)
        if not code.layout.chain:
            return code
        name = timed.time.rows.get(code.text)
        if name is None:
            name = self.namer.fresh(f"{code.text}_{self.chain}")
            timed.time.rows[code.text] = name
            timed.time.sources[name] = f"{code.text}.unbind({code.layout.dim(CHAIN)})"
        return replace(code, text=name, layout=Layout(code.layout.batch, False, code.layout.axes))

    def assign(self, code: Code, wish: str, s: Scope) -> Code:
        """Gives a value a name of its own."""
        name = self.namer.fresh(wish)
        s.block.add(f"{name} = {code.text}")
        return replace(code, text=name, level=ATOM, factors=())

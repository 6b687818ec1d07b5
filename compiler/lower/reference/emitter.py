"""One method of a generated class: expressions to Python text, with everything lifted out of loops that does not need to be in them.

In:   a checked body and a place (`Scope`).
Out:  lines of Python in the scope's block and a `Code` for the value.
Keeps: the meaning of each expression; shared nodes are computed once; a subexpression of a loop over time that reads nothing computed
      in that loop is computed before it for all steps.
Rules for the kinds of expressions register themselves in `RULES`; see `elementwise`, `contractions`, `reads`, `arrays`, `invokes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Axes, Expr
from seqc.compiler.lower.reference.histories import Field, History
from seqc.compiler.lower.reference.layout import ADD, ATOM, BATCH, CHAIN, MUL, Code, Layout, aligned, moved, of_names
from seqc.compiler.lower.reference.names import Namer, attribute
from seqc.compiler.lower.reference.scope import Scope, TimeLoop
from seqc.compiler.lower.reference.text import Block

Rule = Callable[["Emitter", Any, Scope], Code]
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


class Emitter:
    """What the lines of one method share: names, sizes, the body's tables.

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
        self.empty = {d.name for d in body.dims if isinstance(d.value, x.Literal_) and d.value.value == 0}
        self.imported: dict[str, Code] = {}
        self.field_reads: dict[str, frozenset[str]] = {}
        self.level_loops: list[tuple[str, frozenset[str], Scope, Scope]] = []
        self.deps: dict[int, tuple[Expr, frozenset[str], frozenset[str], bool]] = {}

    # ---- the walk -----------------------------------------------------------------------------------------------------

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
            from seqc.compiler.lower.reference.reads import point_of, signature

            for r in x.reads(e):
                key = self.tracked.get(signature(r))
                if key is not None and point_of(self, key, s) is not None:
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

    # ---- sizes --------------------------------------------------------------------------------------------------------

    def dim(self, name: str) -> str:
        """A local name for a dim's size."""
        if name not in self.dims:
            if not any(d.name == name for d in self.body.dims):
                return f"self.sizes[{name!r}]"
            local = self.namer.fresh(name)
            self.dims[name] = local
        return self.dims[name]

    def prologue(self) -> list[str]:
        """The lines at the top of the method: sizes of dims."""
        if not self.dims:
            return []
        names = list(self.dims)
        left = ", ".join(self.dims[n] for n in names)
        right = ", ".join(f"self.{attribute(n)}" for n in names)
        return [f"{left} = {right}"]

    def ends(self, lv: spec.Level) -> tuple[Code, Code]:
        """The first and the last number of a level."""
        self.extents = "whole"
        low, high = self.emit(lv.low, Scope(self.root.block, False)), self.emit(lv.high, Scope(self.root.block, False))
        self.extents = ""
        return low, high

    def size(self, axis: str, s: Scope) -> str:
        """Python text for the size of an axis (in a run: padding included)."""
        if axis == BATCH:
            return "run.batch"
        if axis == CHAIN or axis == self.chain:
            return "run.length"
        if axis in self.axis_sizes:
            return self.axis_sizes[axis]
        if axis in self.internal:
            return self.emit(self.internal[axis], s.root).at_least(ADD)
        if axis[:1].isupper() and "'" not in axis and "." not in axis:
            return self.dim(axis)
        if axis.endswith("'"):
            return self.size(axis[:-1], s)
        i = self.indices.get(axis)
        lv = next((lv for lv in self.body.levels if lv.name == axis), None)
        if i is None and lv is not None:
            i = spec.Index(axis, lv.low, lv.high, static=True)
        if i is not None and i.low is not None and i.high is not None:
            self.extents = "size"
            high, low = self.emit(i.high, Scope(s.root.block, False)), self.emit(i.low, Scope(s.root.block, False))
            self.extents = ""
            if isinstance(i.low, x.Literal_) and i.low.value == 1:
                return high.at_least(ADD + 1)
            return f"({high.at_least(ADD)} - {low.at_least(ADD + 1)} + 1)" if low.text != "0" else f"({high.at_least(ADD)} + 1)"
        if i is not None and i.of:
            if i.of == self.chain:
                return self.relation_size(axis, s)
            return self.size(i.of, s)
        return f"run.size({axis!r})"

    def relation_size(self, axis: str, s: Scope) -> str:
        """Positions of a second name of the chain: those kept and the new ones."""
        from seqc.compiler.lower.reference.relations import kept

        before = kept(self, axis, s)
        new = "run.length" if self.mode in ("sequence", "losses") else "1"
        return new if before == "0" else f"({before} + {new})"

    def sizes(self, layout: Layout, s: Scope) -> str:
        """The sizes of all axes, as arguments."""
        return ", ".join(self.size(a, s) for a in layout.names)

    # ---- shapes and types ---------------------------------------------------------------------------------------------

    def expanded(self, code: Code, target: Layout, s: Scope, kind: x.Type = "real") -> Code:
        """`code` with real copies of axes it lacks (views); a number becomes a tensor."""
        if code.number:
            dtype = self.dtype(kind if code.type in ("real", "int", "bool") and kind != code.type else code.type)
            shape = ", ".join(self.size(a, s) for a in target.names)
            comma = "," if len(target.names) == 1 else ""
            return Code(f"torch.full(({shape}{comma}), {code.text}, dtype={dtype}, device=run.device)", target, kind)
        if code.layout.names == target.names:
            return code
        if set(code.layout.names) == set(target.names):
            return moved(code, target)
        text = aligned(code, target, ATOM)
        have = set(code.layout.names)
        first = next(i for i, a in enumerate(target.names) if a in have) if have & set(target.names) else len(target.names)
        shape = ", ".join("-1" if a in have else self.size(a, s) for a in target.names)
        del first
        return replace(code, text=f"{text}.expand({shape})", layout=target, level=ATOM)

    def dtype(self, kind: x.Type) -> str:
        """Python text for the torch type of a kind."""
        return {"int": "torch.int64", "bool": "torch.bool", "complex": "complex_of(run.dtype)"}.get(kind, "run.dtype")

    def real(self, code: Code) -> Code:
        """A whole-number or bool tensor as the module's floating type."""
        if code.number or code.type in ("real", "complex"):
            return code
        return replace(code, text=f"{code.at_least(ATOM)}.to(run.dtype)", type="real", level=ATOM)

    def cast(self, code: Code, v: spec.Value) -> Code:
        """A value in the declared type of its name."""
        width = v.width if v.width in ("f32", "f64") else ""
        if code.number:
            return code
        if v.type == "complex" and code.type != "complex":
            return replace(code, text=f"{self.real(code).at_least(ATOM)}.to(complex_of(run.dtype))", type="complex", level=ATOM)
        if v.type == "real" and code.type in ("int", "bool"):
            code = self.real(code)
        if v.type not in ("real", "complex") or width == code.wide:
            return code
        if width:
            floor = {"f32": "torch.float32", "f64": "torch.float64"}[width]
            kind = f"wide(run.dtype, {floor})"
            if v.type == "complex":
                kind = f"complex_of({kind})"
            return replace(code, text=f"{code.at_least(ATOM)}.to({kind})", wide=width, level=ATOM)
        return replace(code, text=f"{code.at_least(ATOM)}.to({self.dtype(v.type)})", wide="", level=ATOM)

    def declared(self, v: spec.Value, s: Scope) -> Layout:
        """The full layout a name has at this place: batch, the chain where it has one entry for each step, its axes in order."""
        axes = v.axes or ()
        stepwise = (not v.once and bool(self.body.topology)) or self.chain in axes
        return Layout(v.home != "call", s.chain and stepwise and bool(self.chain), tuple(a for a in axes if a != self.chain))

    def short(self, code: Code, wish: str, s: Scope, limit: int = 60) -> Code:
        """A long operand gets a name, so that lines stay readable."""
        return code if len(code.text) <= limit or code.number else self.assign(code, wish, s)

    # ---- names --------------------------------------------------------------------------------------------------------

    def lookup(self, name: str, s: Scope, span: Span) -> Code:
        """The value of a name at this step and level."""
        v = self.table.get(name)
        if v is not None and v.kind in ("param", "const"):
            return self.owned(v, s)
        timed: Scope | None = None
        for a in s.above():
            hit = a.names.get(name)
            if hit is not None:
                if timed is not None and not hit.number:
                    return self.row(hit, timed, name)
                return hit
            if a.time is not None:
                if timed is not None:
                    break
                timed = a
        found = self.escaped(name, s)
        if found is not None:
            return found
        found = self.family_here(name, s)
        if found is not None:
            return found
        if self.mode == "losses" and name in self.imported:
            return self.bring(name, s)
        if v is not None and v.kind == "input" and (v.value is None or isinstance(v.value, x.NotGiven) or name in self.given):
            return self.input(v, s)
        if v is not None and self.mode in ("build", "start"):
            from seqc.compiler.lower.reference.statements import statement

            statement(self, v, s if v.level else s.root)
            return self.lookup(name, s, span)
        raise refuse("SEQ0502", f"`{name}` is read before anything computes it; this order of equations cannot be run yet", span)

    def escaped(self, key: str, s: Scope) -> Code | None:
        """A value that a finished loop over time has computed: stacked, from now on."""
        from seqc.compiler.lower.reference.statements import stack_out

        timed: Scope | None = None
        for a in s.above():
            loop = a.loops.get(key)
            if loop is not None:
                code = stack_out(self, key, loop, a)
                return code if timed is None else self.row(code, timed, key)
            if a.time is not None:
                timed = timed or a
        return None

    def bring(self, name: str, s: Scope) -> Code:
        """A value of the sequence, in the method that computes losses."""
        made = self.imported[name]
        local = self.namer.fresh(name)
        self.head.add(f"{local} = values[{name!r}]")
        code = replace(made, text=local)
        self.root.names[name] = code
        return self.lookup(name, s, self.table[name].span) if name in self.table else code

    def input(self, v: spec.Value, s: Scope) -> Code:
        """An input that no statement stands for."""
        layout = self.declared(v, self.root)
        local = self.states.get(f"in {v.name}", v.name)
        code = Code(local, layout, v.type)
        self.root.names[v.name] = code
        if self.root not in s.above():
            return code
        return self.lookup(v.name, s, v.span)

    def family_here(self, name: str, s: Scope) -> Code | None:
        """A value of this level that another loop over the same level has computed."""
        from seqc.compiler.lower.reference.statements import collect, computed_in

        v = self.table.get(name.split(".")[0] if name not in self.table else name)
        if v is None or not v.level:
            return None
        for lv in reversed(s.levels):
            if lv in v.level and computed_in(self, name, lv) is not None:
                held, place = collect(self, name, lv, s, v.span)
                loop = s.level_loop(lv)
                assert loop is not None
                code = replace(held, text=f"{held.text}[{minus(loop.number, loop.low)}]")
                timed = s.timed
                if timed is not None and held.layout.chain and timed.parent is not None and place in timed.parent.above():
                    return self.row(code, timed, f"{name}_{lv}")
                return code
        return None

    def owned(self, v: spec.Value, s: Scope) -> Code:
        """A parameter or const."""
        if v.kind == "const" and not v.axes:
            code = Code(f"self.const({v.name!r})", Layout(), v.type, number=True)
            timed = s.timed
            if timed is not None and timed.parent is not None:
                return self.emit_once(v.name, code, timed.parent)
            return code
        base = "self"
        for lv in v.level:
            loop = s.level_loop(lv)
            if self.levels[lv].kind == "stack":
                if loop is None:
                    raise refuse("SEQ0502", f"`{v.name}` belongs to one level of `{lv}` and is read outside it", v.span)
                base = loop.at
        layout = Layout(False, False, v.axes or ())
        wide = v.width if v.width in ("f32", "f64") else ""
        text = self.path(base, v.name)
        code = Code(text, layout, v.type, wide=wide)
        timed = s.timed
        if timed is not None and timed.parent is not None and not (set(v.level) - set(timed.parent.levels)):
            return self.emit_once(v.name, code, timed.parent)
        return code

    def path(self, base: str, path: str) -> str:
        """How a parameter is read: by attributes, past parameters whose name is also the head of other names."""
        parts = path.split(".")
        text = base
        for n, part in enumerate(parts):
            v = self.table.get(".".join(parts[: n + 1]))
            clash = n < len(parts) - 1 and v is not None and v.kind == "param"
            text += f".child({part!r})" if clash else f".{attribute(part)}"
        return text

    def emit_once(self, name: str, code: Code, s: Scope) -> Code:
        """A name for something read in a loop, made once before it."""
        held = s.known.get(f"own {name}")
        if held is None:
            held = self.assign(code, name, s)
            s.known[f"own {name}"] = held
        return held

    def state(self, field: str, s: Scope, level: tuple[str, ...], holder: str = "state") -> str:
        """A field of the state, at this level."""
        text = f"{holder}.{field}"
        for lv in level:
            loop = s.level_loop(lv)
            assert loop is not None
            text += f"[{minus(loop.number, loop.low)}]"
        return text

    def start_value(self, name: str, s: Scope) -> Code:
        """What stands before the first step of a name: a number, or a tensor [batch, axes] without the chain."""
        v = self.table[name]
        if v.start is None and not v.learned or v.over_levels and not isinstance(v.start, x.Literal_):
            return Code("0", Layout(), v.type, number=True)
        here = s.root if not v.level else s
        while here.time is not None or here.chain and here is not s.root and False:
            assert here.parent is not None
            here = here.parent
        key = f"start {name}"
        for a in here.above():
            if key in a.known:
                return a.known[key]
        still = Scope(here.block, chain=False, parent=here.parent if here is not self.root else None, level=here.level)
        still.names = {k: c for k, c in here.names.items() if not c.layout.chain}
        still.known = here.known
        if v.learned:
            base = "self"
            for lv in v.level:
                loop = s.level_loop(lv)
                if loop is not None and self.levels[lv].kind == "stack":
                    base = loop.at
            code = Code(self.path(base, f"{name}.init"), Layout(False, False, v.axes or ()), v.type)
        else:
            assert v.start is not None
            self.count(v.start)
            code = self.emit(v.start, still)
        if not code.number:
            axes = tuple(a for a in v.axes or () if a != self.chain)
            code = self.expanded(self.cast(code, v), Layout(True, False, axes), s, v.type)
            code = self.assign(code, f"{name}_0", here)
        here.known[key] = code
        return code

    def reach(self, name: str, s: Scope) -> str:
        """How many steps of a name are kept, as Python text."""
        h = self.histories[name]
        if h.kind == "last":
            return "1"
        if name in self.reaches:
            return self.reaches[name]
        if h.grows and not self.field_of(name):
            return "0"
        if h.grows:
            v = self.table[name.split(".")[0]]
            text = f"{self.state(self.field_of(name), s, v.level)}.shape[1]"
            if v.level:
                return text
            local = self.namer.fresh(f"{name}_kept")
            self.head.add(f"{local} = {text}")
            self.reaches[name] = local
            return local
        local = self.reach_text(h, s)
        if not local.isdigit():
            made = self.namer.fresh(f"{name}_reach")
            self.head.add(f"{made} = {local}")
            local = made
        self.reaches[name] = local
        return local

    def reach_text(self, h: History, s: Scope) -> str:
        """The reach as an expression of dims."""
        counts = [*h.lags, *(w for w in h.windows if w is not None)]
        bounds = [self.indices[i].bound for i in h.relations]
        parts = [self.emit(e, s.root).text for e in (*counts, *(b for b in bounds if b is not None))]
        for size, dilation in h.taps:
            k, d = self.emit(size, s.root), self.emit(dilation, s.root)
            one = f"({k.at_least(ADD)} - 1)" if not k.text.isdigit() else str(int(k.text) - 1)
            parts.append(one if d.text == "1" else f"{one} * {d.at_least(MUL)}")
        parts = list(dict.fromkeys(parts))
        if all(p.isdigit() for p in parts):
            return str(max((int(p) for p in parts), default=0))
        return parts[0] if len(parts) == 1 else f"max({', '.join(parts)})"

    def field_of(self, name: str) -> str:
        """The state's field that keeps a name's past."""
        return next((f.field for f in self.fields.values() if f.name == name and f.kind in ("last", "past", "grow")), "")

    def full(self, name: str, s: Scope) -> Code:
        """A name's past and present in one row: [batch, reach + time, …] (step: reach + 1)."""
        v = self.table[name.split(".")[0]]
        here = s
        while here.time is not None:
            assert here.parent is not None
            here = here.parent
        key = f"full {name}"
        for a in here.above():
            if key in a.known:
                return a.known[key]
        from seqc.compiler.lower.reference.reads import present

        now = present(self, name, here)
        axes = tuple(a for a in now.layout.axes)
        now = self.expanded(now, Layout(True, here.chain, axes), here, v.type)
        if not here.chain:
            now = replace(now, text=f"{now.at_least(ATOM)}[:, None]", level=ATOM)
        h = self.histories[name]
        past = self.state(self.field_of(name), here, v.level) if self.field_of(name) and self.mode in ("sequence", "step") else ""
        if not past:
            start = self.expanded(self.start_value(name, here), Layout(True, False, axes), here, v.type)
            past = f"history.filled({start.text}, {self.reach(name, here) if not h.grows else '0'})"
        elif h.kind == "last":
            past = f"{past}[:, None]"
        text = f"history.joined({past}, {now.text})"
        local = self.namer.fresh(f"{name}_full")
        here.block.add(f"{local} = {text}")
        code = Code(local, Layout(True, False, axes), v.type, wide=now.wide)
        here.known[key] = code
        return code


def minus(number: str, low: str) -> str:
    """The place of a level in a list."""
    if low == "0":
        return number
    if number.isdigit() and low.isdigit():
        return str(int(number) - int(low))
    return f"{number} - {low}"


def axes_names(axes: Axes, chain: str, batch: bool, here: bool) -> Layout:
    """A layout from axes in which the chain may stand by name."""
    return of_names((BATCH,) * batch + (CHAIN,) * (here and chain in axes) + tuple(a for a in axes if a != chain))


__all__ = ["Emitter", "RULES", "TimeLoop", "axes_names", "minus", "refuse", "rule"]

"""Names in one method of a generated class: values at this step and level, parameters, inputs, states and their past.

In:   a name and a place (`Scope`).   Out:  a `Code`; lines that bring the name there where it has to come from somewhere else.
Refuses: SEQ0502 where nothing has computed the name at this place.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.expr import Axes
from seqc.compiler.lower.reference.core import RULES, refuse, rule
from seqc.compiler.lower.reference.histories import History
from seqc.compiler.lower.reference.layout import ADD, ATOM, BATCH, CHAIN, MUL, Code, Layout, of_names
from seqc.compiler.lower.reference.names import attribute
from seqc.compiler.lower.reference.scope import Scope, TimeLoop
from seqc.compiler.lower.reference.shapes import Shapes


class Emitter(Shapes):
    """Everything that writes one method; see `core` and `shapes` for the walk and the sizes."""

    def lookup(self, name: str, s: Scope, span: Span) -> Code:
        """The value of a name at this step and level."""
        v = self.table.get(name)
        if v is not None and v.kind in ("param", "const"):
            return self.owned(v, s)
        timed: Scope | None = None
        for a in s.above():
            hit = a.names.get(name)
            if hit is not None and self.same_level(name, a, s):
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

    def same_level(self, name: str, a: Scope, s: Scope) -> bool:
        """Whether what `a` holds of a name is that of the level that `s` is at (and not the last one, after another loop)."""
        v = self.table.get(name if name in self.table else name.split(".")[0])
        if v is None or not v.level:
            return True
        return all(lv in a.levels for lv in v.level if lv in s.levels)

    def escaped(self, key: str, s: Scope) -> Code | None:
        """A value that a finished loop over time has computed: stacked, from now on."""
        from seqc.compiler.lower.reference.time_loops import stack_out

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
        from seqc.compiler.lower.reference.level_loops import collect, computed_in

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
                    if lv in timed.parent.levels:
                        return self.row(code, timed, f"{name}_{lv}")
                    rows = self.level_rows(held, timed)
                    return replace(rows, text=f"{rows.text}[{minus(loop.number, loop.low)}]")
                return code
        return None

    def level_rows(self, held: Code, timed: Scope) -> Code:
        """The rows at this step of a list of sequences, one for each level."""
        assert timed.time is not None
        name = timed.time.rows.get(held.text)
        if name is None:
            name = self.namer.fresh(f"{held.text}_{self.chain}")
            timed.time.rows[held.text] = name
            timed.time.sources[name] = f"history.level_rows(run, {held.text})"
        return replace(held, text=name, layout=Layout(held.layout.batch, False, held.layout.axes))

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
            return self.lead_text(s)
        if h.grows:
            v = self.table[name if name in self.table else name.split(".")[0]]
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

    def lead_text(self, s: Scope) -> str:
        """How many steps stand in a growing buffer before the first one."""
        parts = list(dict.fromkeys(self.emit(e, s.root).text for e in self.lead))
        if all(p.isdigit() for p in parts):
            return str(max((int(p) for p in parts), default=0))
        return parts[0] if len(parts) == 1 else f"max({', '.join(parts)})"

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
        v = self.table[name if name in self.table else name.split(".")[0]]
        here = s
        while here.time is not None:
            assert here.parent is not None
            here = here.parent
        key = f"full {name}"
        for a in here.above():
            if key in a.known:
                return a.known[key]
        from seqc.compiler.lower.reference.fields import present

        now = present(self, name, here)
        axes = tuple(a for a in now.layout.axes)
        now = self.expanded(now, Layout(True, here.chain, axes), here, v.type)
        if not here.chain:
            now = replace(now, text=f"{now.at_least(ATOM)}[:, None]", level=ATOM)
        h = self.histories[name]
        past = self.state(self.field_of(name), here, v.level) if self.field_of(name) and self.mode in ("sequence", "step") else ""
        if not past:
            start = self.expanded(self.start_value(name, here), Layout(True, False, axes), here, v.type)
            past = f"history.filled({start.text}, {self.reach(name, here)})"
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

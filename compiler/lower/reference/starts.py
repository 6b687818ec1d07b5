"""The state before the first step: the method `start`."""

from __future__ import annotations

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.common import Common
from seqc.compiler.lower.reference.emitter import Emitter
from seqc.compiler.lower.reference.histories import Field
from seqc.compiler.lower.reference.layout import Code, Layout, plus_one
from seqc.compiler.lower.reference.scope import LevelLoop, Scope
from seqc.compiler.lower.reference.text import Block, wrapped


class Starts(Common):
    """Writes `start`."""

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
        s = m.root
        loops_: list[tuple[Block, Scope]] = []
        for ident in level:
            lv = m.levels[ident]
            low, high = m.emit(lv.low, m.root), m.emit(lv.high, m.root)
            number = m.namer.fresh(lv.name)
            at = m.namer.fresh(f"at_{lv.name}") if lv.kind == "stack" else ""
            holder = next((a.level.at for a in s.above() if a.level is not None and a.level.at), "self")
            head = s.block.nest()
            span = f"range({low.text}, {plus_one(high)})"
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
        return m.lead_text(s) if f.kind == "grow" else m.reach_text(self.histories[f.name], s)

    def scan_start(self, m: Emitter, f: Field, s: Scope) -> str:
        """The identity of an operator."""
        name, _, part = f.name.rpartition(".")
        value = self.table[name].value
        assert isinstance(value, x.Scan)
        op = self.program.operators[value.operator]
        k = next(i for i, (n, _, _) in enumerate(op.fields) if n == part)
        code = m.emit(op.identity[k], s)
        return zeros(m.expanded(code, Layout(True, False, f.axes), s, op.fields[k][2])).text


def zeros(code: Code) -> Code:
    """`torch.full(shape, 0, …)` as it is usually written."""
    if code.text.startswith("torch.full(") and ", 0, dtype" in code.text:
        text = "torch.zeros(" + code.text[len("torch.full(") :].replace(", 0, dtype", ", dtype", 1)
        return Code(text, code.layout, code.type, wide=code.wide)
    return code

"""Classes whose sequence program calls kernels: what the reference lowering writes, with regions in place of loops over time.

In:   a checked program.
Out:  classes as the reference makes them, each body that has a region with a second program, `sequence_native`, and the
      constants it needs: the C text of its kernels and their descriptions.
Keeps: everything outside of regions is the reference's own text; the reference program stands beside it.
Refuses: what the reference refuses. A loop that is no kernel stays a loop; `Native.left` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir.kernel import Kernel, Operand
from seqc.compiler.lower.kernels.newton import Newton, newton
from seqc.compiler.lower.kernels.region import Choice, Chooser, Form, Region
from seqc.compiler.lower.kernels.trace import Source
from seqc.compiler.lower.native.emit import Made, made
from seqc.compiler.lower.native.emit_decode import Decode, decode
from seqc.compiler.lower.native.emit_newton import newton_lines, scheduled
from seqc.compiler.lower.reference.body import Class, Lowering, callees_first, check_scope, class_names, loops
from seqc.compiler.lower.reference.emitter import Emitter
from seqc.compiler.lower.reference.layout import ATOM, Code, Layout, moved
from seqc.compiler.lower.reference.prepare import prepared
from seqc.compiler.lower.reference.schedule import Item, arrange, edges_of
from seqc.compiler.lower.reference.scope import Scope
from seqc.compiler.lower.reference.statements import comment, items, note, remember
from seqc.compiler.lower.reference.unfold import why_not


@dataclass(slots=True)
class Native:
    """What came of one body.

    regions  its regions, in the order of its kernels; two kernels each (plain and masked)
    left     loops over time that stay as they are, with the reason
    made     the C functions of its kernels
    kernels  the kernels themselves
    decode   the whole step as one kernel, where it is one
    newton   for each kernel its iteration, or why there is none
    scan     the scan mode that the spec's schedule names first, where it is Newton's method
    """

    name: str
    regions: list[Region] = field(default_factory=list)
    left: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    decode: Decode | None = None
    newton: list[Newton | str] = field(default_factory=list)
    scan: str = ""

    def inside(self) -> list[tuple[str, ...]]:
        """What each kernel computes."""
        return [r.names for r in self.regions for _ in range(2)]

    @property
    def solved(self) -> bool:
        """Whether Newton's method solves any of its kernels."""
        return any(isinstance(n, Newton) for n in self.newton)

    def unsolved(self) -> list[tuple[tuple[str, ...], str]]:
        """Loops that it does not solve, with the reason."""
        found = [(names, n) for names, n in zip(self.inside(), self.newton, strict=True) if isinstance(n, str)]
        return [*dict.fromkeys(found), *self.left]

    def lines(self) -> list[str]:
        """What stands at the end of the module: C functions with their descriptions, and the loops that have no kernel."""
        out: list[str] = []
        if self.made:
            out.append(f"{self.name}.KERNELS = (")
            for one in self.made:
                out.append("    (")
                for function in (one.forward, one.adjoint):
                    assert function is not None
                    out += [f"        {line + chr(10)!r}" for line in function.text.rstrip().split("\n")]
                    out += ["        '',", f"        {function.about!r},"]
                out.append("    ),")
            out.append(")")
        if self.left:
            out.append(f"{self.name}.LEFT = {tuple(self.left)!r}")
        if self.decode is not None:
            out += self.decode.lines(self.name)
        out += newton_lines(self.name, self.newton, self.inside())
        if self.scan:
            out.append(f"{self.name}.SCAN = {self.scan!r}")
        return out


Lowered = tuple[list[Class], dict[str, Native]]
"""The classes of a module, and what came of each body, by its class's name."""


def lower(program: spec.Program, source: str) -> Lowered:
    """All classes of a program, callees first, and what came of each body, by its class's name."""
    names = class_names(program)
    out: list[Class] = []
    found: dict[str, Native] = {}
    for key in callees_first(program):
        body = prepared(program.bodies[key], program.operators)
        check_scope(body)
        where = source if key in program.exports else f"{key.partition(':')[0].replace('.', '/')}.seq"
        lowering = NativeLowering(program, body, names, where)
        one = lowering.run()
        out.append(one)
        found[one.name] = lowering.native
    return out, found


class NativeLowering(Lowering):
    """Writes the class of one body with calls of its kernels."""

    def __init__(self, program: spec.Program, body: spec.Body, names: Mapping[str, str], source: str) -> None:
        super().__init__(program, body, names, source)
        self.native = Native(self.name)
        self.kernels: list[Kernel] = []
        self.choice: Choice | None = None

    def run(self) -> Class:
        """The whole class; its kernels are in `native`."""
        done = super().run()
        self.native.made = [made(k) for k in self.kernels]
        self.native.kernels = self.kernels
        self.native.newton = [newton(k) for k in self.kernels]
        self.native.scan = scheduled(self.body)
        return done

    def method(self, body: list[str], head: str, doc: str, lines: list[str], static: bool = False) -> None:
        """Adds a method; the sequence programs get their native ones beside them."""
        name = head.partition("(")[0].removeprefix("def ")
        if name == "one_step":
            self.step_method(body, head, doc, lines)
            return
        if name not in ("sequence", "sequence_given"):
            super().method(body, head, doc, lines, static)
            return
        given = frozenset(self.optional()) if name == "sequence_given" else frozenset()
        _, order = self.needed_with(given)
        if self.has_grad:
            self.leave((names, "a derivative is taken inside the step") for names in loops(order))
        inner = None if self.has_grad else self.native_lines(given, order)
        if inner is None:
            super().method(body, head, doc, lines, static)
            return
        rest = ", ".join(["run", *self.input_names().values(), "state"])
        lead = ["if native.ready(self, run):", f"    return self.{name}_native({rest})"]
        at = next((i for i, line in enumerate(lines) if "return self.sequence_given(" in line), -1) + 1
        super().method(body, head, doc, [*lines[:at], *lead, *lines[at:]], static)
        super().method(body, head.replace(f"def {name}(", f"def {name}_native("), "The same, loops over time in C.", inner)

    def step_method(self, body: list[str], head: str, doc: str, lines: list[str]) -> None:
        """`one_step`, and beside it the same through the kernels of `sequence`."""
        made = None
        if not (lines and lines[0].startswith("raise ")) and not self.has_grad:
            self.native.decode = self.whole_step()
        if self.choice is not None and not (lines and lines[0].startswith("raise ")):
            kernels = len(self.kernels)
            try:
                made = self.native_step_lines(self.choice)
            except Rejected:
                made = None
            del self.kernels[kernels:]
        if made is not None:
            rest = ", ".join(["run", *self.input_names().values(), "state"])
            # what a kernel computes the caller must not have given
            inside = {n for region in self.choice.regions for n in region.names} if self.choice is not None else set()
            free = "".join(f" and {text} is None" for n, text in self.input_names().items() if n in inside)
            lines = [f"if native.steps(self, run){free}:", f"    return self.one_step_native({rest})", *lines]
        super().method(body, head, doc, lines)
        if made is not None:
            super().method(body, head.replace("def one_step(", "def one_step_native("), "The same, its arithmetic in C.", made)

    def whole_step(self) -> Decode | None:
        """The step as one kernel."""
        names = [n for n in self.names_needed if self.statement_of(n, frozenset())]
        m = self.emitter("step")
        fields = {n: (m.fields[m.field_of(n)].field, tuple(m.fields[m.field_of(n)].axes)) for n in self.histories}
        plain = all(h.kind == "last" for h in self.histories.values()) and len(fields) == len(m.fields) and not self.loss_names
        if not plain or any(self.table[n].level for n in (*names, *fields)):
            return None
        return decode(self.body, self.chain, names, fields, 1)

    def native_step_lines(self, choice: Choice) -> list[str]:
        """The body of `one_step_native`."""
        m = self.emitter("step")
        self.prepare(m)
        names = [n for n in self.names_needed if self.statement_of(n, frozenset())]
        edges = edges_of(self.body, self.chain, names, frozenset())
        for region in choice.regions:
            m.table.update(region.replaced)
        number = 0
        for node in choice.order:
            if isinstance(node, Region):
                RegionText(self, m, node, m.root, number).run()
                number += 2
            else:
                items(m, arrange(self.body, node.names(), edges, (), True), m.root)
        self.finish(m, frozenset())
        return self.whole(m, self.returned(m))

    def wanted(self, given: frozenset[str]) -> set[str]:
        """Names that must be there as sequences outside of kernels."""
        out = set(self.body.outs) | set(self.loss_names)
        out |= {n for n, h in self.histories.items() if h.kind != "last"}
        for v in self.body.values:
            for e in (v.value, v.start):
                out |= {r.name for r in x.reads(e) if r.field_} if e is not None else set()
        return out

    def native_lines(self, given: frozenset[str], order: list[Item]) -> list[str] | None:
        """The body of `sequence_native`; None where there is no region."""
        scans = [v for v in self.body.values if isinstance(v.value, x.Scan) and v.name in self.names_needed]
        self.leave([((v.name,), why_not(self.body, v, self.program.operators)) for v in scans])
        if not self.chain or not loops(order):
            return None
        choice = Chooser(self.body, self.chain, order, self.wanted(given), first=len(self.kernels) // 2 + 1).run()
        self.leave(choice.left)
        if not choice.regions:
            return None
        kernels = len(self.kernels)
        try:
            lines = self.chosen_lines(given, order, choice)
        except Rejected as why:
            # an order of equations that cannot be written around kernels: the loops stay
            del self.kernels[kernels:]
            self.leave([(tuple(n for r in choice.regions for n in r.names), why.diagnostics[0].message)])
            return None
        self.native.regions += list(choice.regions)
        if not given:
            self.choice = choice
        return lines

    def leave(self, left: Iterable[tuple[tuple[str, ...], str]]) -> None:
        """Notes loops that stay loops."""
        self.native.left += [one for one in left if one not in self.native.left]

    def chosen_lines(self, given: frozenset[str], order: list[Item], choice: Choice) -> list[str]:
        """The lines around and with the regions."""
        m = self.emitter("sequence", given)
        self.prepare(m)
        for region in choice.regions:
            m.table.update(region.replaced)
        for node in choice.order:
            if isinstance(node, Region):
                RegionText(self, m, node, m.root, len(self.kernels)).run()
                self.kernels += [node.plain.kernel, node.masked.kernel]
            else:
                items(m, [node], m.root)
        self.finish(m, given)
        for n in self.loss_names:
            if n in self.names_needed and n not in m.root.names and n in [i for it in order for i in it.names()]:
                if not self.table[n].level and self.table[n].axes is not None:
                    m.lookup(n, m.root, self.table[n].span)
        self.keep_fields(m)
        return self.whole(m, self.returned(m))


class RegionText:
    """Writes the call of one region's kernel; `number` is the place of its plain form among the class's kernels."""

    def __init__(self, low: NativeLowering, m: Emitter, region: Region, s: Scope, number: int) -> None:
        self.low, self.m, self.region, self.s, self.number = low, m, region, s, number
        self.made: dict[tuple[object, ...], str] = {}
        self.pairs: dict[int, Code] = {}

    def run(self) -> None:
        """All its lines."""
        m, s, region = self.m, self.s, self.region
        number = self.number
        m.equation = region.names[0]
        for n in region.names:
            s.block.add(comment(m, m.table[n]))
        plain = self.operands(region.plain)
        rows, lasts = [], []
        for row in region.rows:
            rows.append(m.namer.fresh(f"{row.name}_{row.part}" if row.part else row.name.replace(".", "_")))
        for past in region.carries:
            lasts.append(
                m.namer.fresh(f"{past.name}_last" + (f"_{past.part}" if past.part else "") + (f"_{past.lag}" if past.lag > 1 else ""))
            )
        names = ", ".join([*rows, *lasts]) + ("," if len(rows) + len(lasts) == 1 else "")
        widths = self.widths()
        if not s.chain:
            # one step: a reset has put the start in place of the state already
            s.block.add(f"{names} = native.step(self, {number}, {tuple_of(plain)}, {widths})")
            self.name_rows(rows)
            self.keep_lasts(lasts)
            return
        yes = s.block.nest("if run.reset is None and not run.ragged:")
        yes.add(f"{names} = native.call(self, {number}, {tuple_of(plain)}, {widths})")
        no = s.block.nest("else:")
        outer, s.block = s.block, no
        masked = self.operands(region.masked)
        s.block = outer
        no.add(f"{names} = native.call(self, {number + 1}, {tuple_of(masked)}, {widths})")
        self.name_rows(rows)
        self.keep_lasts(lasts)

    def widths(self) -> str:
        """The types of the rows: the run's, or the declared ones."""
        m = self.m
        found = []
        for row in self.region.rows:
            v = m.table.get(row.name)
            width = v.width if v is not None else ""
            found.append(f"wide(run.dtype, torch.float{width[1:]})" if width in ("f32", "f64") else "run.dtype")
        return tuple_of(found) if len(set(found)) > 1 else found[0] if found else "run.dtype"

    # ---- operands -----------------------------------------------------------------------------------------------------

    def operands(self, form: Form) -> list[str]:
        """Texts of a form's operands; those that both forms have are computed once."""
        out: list[str] = []
        for o, source in zip(form.kernel.operands, form.sources, strict=True):
            key = (source.what, id(source.expr), source.name, source.lag, source.part, o.kind, o.var.axes)
            if key not in self.made:
                self.made[key] = self.operand(o, source)
            out.append(self.made[key])
        return out

    def operand(self, o: Operand, source: Source) -> str:
        """The text of one operand."""
        m, s = self.m, self.s
        axes = o.var.axes
        match source.what:
            case "reset" | "valid":
                return f"native.{source.what}(run)"
            case "size":
                return m.size(source.name, s)
            case "state" | "first":
                return self.past(source, axes)
        e = source.expr
        assert e is not None
        m.count(e)
        code = m.emit(e, s)
        if o.kind == "number":
            assert code.number, "a number"
            return code.text
        target = Layout(o.kind in ("step", "run"), o.kind == "step" and s.chain, axes)
        if not code.number and e.type == "complex" and source.part and code.type == "complex":
            # both parts at once: their gradients are joined at once
            if id(e) not in self.pairs:
                self.pairs[id(e)] = m.assign(replace(code, text=f"native.parts({code.text})"), f"{m.equation}_parts", s)
            code = replace(code, text=f"{self.pairs[id(e)].text}[{int(source.part == 'im')}]", type="real", level=ATOM)
        elif not code.number:
            code = self.part(m.real(code) if e.type != "complex" else code, source.part)
        elif source.part == "im":
            code = Code("0", number=True)
        code = m.expanded(code, target, s, "real")
        if not code.text.isidentifier():
            code = m.assign(code, f"{m.equation}_in", s)
        return code.text

    def part(self, code: Code, part: str) -> Code:
        """Real or imaginary part of a tensor."""
        if not part:
            return code
        if code.type != "complex":
            return code if part == "re" else Code("0", number=True)
        return replace(code, text=f"{code.at_least(ATOM)}.{'real' if part == 're' else 'imag'}", type="real", level=ATOM)

    def past(self, source: Source, axes: tuple[str, ...]) -> str:
        """A value before the first step."""
        m, s = self.m, self.s
        v = m.table[source.name]
        holder = "state" if source.what == "state" else "first"
        text = m.state(m.field_of(source.name), s, v.level, holder)
        if m.histories[source.name].kind != "last":
            text = f"{text}[:, -{source.lag}]"
        code = self.part(Code(text, Layout(True, False, m.fields[m.field_of(source.name)].axes), v.type), source.part)
        return moved(replace(code, type="real"), Layout(True, False, axes)).text

    # ---- results ------------------------------------------------------------------------------------------------------

    def name_rows(self, texts: list[str]) -> None:
        """Rows get the names of what they are."""
        m, s = self.m, self.s
        found: dict[str, dict[str, str]] = {}
        for row, text in zip(self.region.rows, texts, strict=True):
            found.setdefault(row.name, {})[row.part] = text
        for row in self.region.rows:
            parts = found.pop(row.name, None)
            if parts is None:
                continue
            v = m.table.get(row.name)
            layout = Layout(True, s.chain, row.axes)
            width = v.width if v is not None and v.width in ("f32", "f64") else ""
            code = self.whole(parts, layout, row.type, width)
            if v is not None:
                want = Layout(True, s.chain, tuple(a for a in v.axes or () if a != m.chain))
                code = moved(code, want)
            if not code.text.isidentifier():
                code = m.assign(code, row.name.replace(".", "_"), s)
            s.names[row.name] = code
            if v is not None and row.name in m.histories and m.histories[row.name].kind != "last":
                remember(m, row.name, v, s)

    def whole(self, parts: dict[str, str], layout: Layout, kind: x.Type, width: str) -> Code:
        """A value from its parts."""
        if "re" in parts:
            text = f"native.joined({parts['re']}, {parts['im']})"
            return Code(text, layout, "complex", wide=width)
        text = parts[""]
        if kind == "bool":
            return Code(f"{text} != 0", layout, "bool", 3)
        if kind == "int":
            return Code(f"{text}.to(torch.int64)", layout, "int")
        return Code(text, layout, "real", wide=width)

    def keep_lasts(self, texts: list[str]) -> None:
        """Carries after the last step go into the state."""
        m, s = self.m, self.s
        found: dict[str, dict[str, str]] = {}
        axes: dict[str, tuple[str, ...]] = {}
        for past, text in zip(self.region.carries, texts, strict=True):
            if past.lag == 1 and m.histories[past.name].kind == "last":
                found.setdefault(past.name, {})[past.part] = text
                axes[past.name] = past.axes
        for n, parts in found.items():
            v = m.table[n]
            field_ = m.field_of(n)
            code = self.whole(parts, Layout(True, False, axes[n]), v.type, v.width)
            note(m, field_, moved(code, Layout(True, False, m.fields[field_].axes)).text, s)


def tuple_of(texts: list[str]) -> str:
    """A tuple of expressions."""
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


__all__ = ["Native", "NativeLowering", "lower"]

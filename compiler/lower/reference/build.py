"""How a module is built: its parameters, its called bodies, their starting values.

Out:  the methods `build`, `const_default` and `initial`. What stands on the other side of a decision made at build time is not made.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.elementwise import numeric
from seqc.compiler.lower.reference.emitter import Emitter
from seqc.compiler.lower.reference.invokes import Place
from seqc.compiler.lower.reference.layout import Code, Layout
from seqc.compiler.lower.reference.names import keyword_argument
from seqc.compiler.lower.reference.scope import LevelLoop, Scope
from seqc.compiler.lower.reference.statements import statement
from seqc.compiler.lower.reference.text import Block


def parameters_of(body: spec.Body) -> list[spec.Value]:
    """Everything that becomes a parameter or buffer, in textual order; learned starts among them."""
    out: list[spec.Value] = []
    for v in body.values:
        if v.kind == "param":
            out.append(v)
        if v.learned:
            out.append(
                spec.Value(
                    f"{v.name}.init", "param", v.axes, v.type, width=v.width, start=v.start, level=v.level, owner=v.name, span=v.span
                )
            )
    return out


def in_levels(m: Emitter, level: tuple[str, ...], s: Scope) -> Scope:
    """The scope inside the loops over `level`, opened anew."""
    for ident in level:
        lv = m.levels[ident]
        if lv.kind == "rounds":
            continue
        low, high = m.emit(lv.low, m.root), m.emit(lv.high, m.root)
        number, at = m.namer.fresh(lv.name), m.namer.fresh(f"at_{lv.name}")
        holder = next((a.level.at for a in s.above() if a.level is not None), "self")
        block = s.block.nest(f"for {number}, {at} in {holder}.make_levels({lv.name!r}, {low.text}, {high.text}):")
        s = Scope(block, chain=False, parent=s, level=LevelLoop(ident, number, at, low.text, Block(), Block()))
    return s


def at_of(s: Scope) -> str:
    """The part of the module tree for this level."""
    return next((a.level.at for a in s.above() if a.level is not None), "self")


# ---- decisions at build time ------------------------------------------------------------------------------------------


def guards(m: Emitter, root: x.Expr, target: object) -> list[list[tuple[x.Expr, bool]]]:
    """For each place in `root` where `target` stands (a parameter's name or a call): the decisions it stands under."""
    out: list[list[tuple[x.Expr, bool]]] = []
    stack: list[tuple[x.Expr, list[tuple[x.Expr, bool]]]] = [(root, [])]
    seen: set[tuple[int, int]] = set()
    while stack:
        e, under = stack.pop()
        if (id(e), len(under)) in seen:
            continue
        seen.add((id(e), len(under)))
        if e is target or isinstance(e, x.Read) and e.name == target:
            out.append(under)
        if isinstance(e, x.Apply) and e.fn == "where" and static(m, e.args[0]):
            stack.append((e.args[0], under))
            stack.append((e.args[1], [*under, (e.args[0], True)]))
            stack.append((e.args[2], [*under, (e.args[0], False)]))
        else:
            stack.extend((c, under) for c in x.children(e))
    return out


def static(m: Emitter, e: x.Expr) -> bool:
    """Whether a condition is made of dims, consts without axes, levels and literals only."""
    for n in x.walk(e):
        match n:
            case x.Literal_() | x.DimSize() | x.Apply():
                continue
            case x.Number(of=of) if of in m.levels and not n.axes:
                continue
            case x.Read(name=name) if name in m.table and m.table[name].kind == "const" and not m.table[name].axes:
                continue
            case x.Read(name=name) if (
                name in m.table and m.table[name].kind == "let" and m.table[name].value is not None and not m.table[name].axes
            ):
                if static(m, m.table[name].value or n):
                    continue
                return False
            case x.Length(of=of) if of[:1].isupper():
                continue
            case _:
                return False
    return True


def condition(m: Emitter, v: spec.Value | None, target: object, s: Scope) -> str:
    """The condition under which a parameter or call exists; "" where it always does."""
    if v is None:
        return ""
    found = [g for root in (v.value, v.start) if root is not None for g in guards(m, root, target)]
    if not found or any(not g for g in found):
        return ""
    ways = []
    for g in found:
        parts = []
        for e, yes in g:
            code = m.emit(e, s)
            parts.append(code.at_least(4) if yes else f"not {code.at_least(9)}")
        ways.append(" and ".join(parts))
    ways = list(dict.fromkeys(ways))
    return ways[0] if len(ways) == 1 else " or ".join(f"({w})" for w in ways)


# ---- build ------------------------------------------------------------------------------------------------------------


def build_lines(m: Emitter, places: list[Place]) -> list[str]:
    """The body of `build`."""
    textual = sorted(m.body.values, key=lambda v: (v.span.line, v.span.column)) if m.body.values else []
    order = {v.name: n for n, v in enumerate(textual)}
    rows: list[tuple[tuple[int, int, int], tuple[str, ...], spec.Value | Place]] = [
        ((order.get(p.name, order.get(p.owner, 0)), 1, 0), p.level, p) for p in parameters_of(m.body)
    ]
    rows += [((order[p.owner.name], 0, -n), p.owner.level, p) for n, p in enumerate(places)]
    things = [(level, thing) for _, level, thing in sorted(rows, key=lambda r: r[0])]
    stacks = {lv.id: lv for lv in m.body.levels if lv.kind == "stack"}
    made: set[tuple[str, ...]] = set()
    for level in [(), *dict.fromkeys(tuple(i for i in lv if i in stacks) for lv, _ in things)]:
        if level in made:
            continue
        made.add(level)
        s = in_levels(m, level, m.root)
        for lv, thing in things:
            if tuple(i for i in lv if i in stacks) == level:
                one(m, thing, s)
    for stack in stacks.values():
        chain = (*(o for o in stack.outer if o in stacks), stack.id)
        if chain not in made:
            made.add(chain)
            in_levels(m, chain, m.root).block.add("pass")
    lines = [*m.head.lines(), *m.block.lines()]
    setting = ["run = self.setting()"] if any("run." in line or "run," in line for line in lines) else []
    return [*m.prologue(), *setting, *lines]


def one(m: Emitter, thing: spec.Value | Place, s: Scope) -> None:
    """One parameter or one called body."""
    m.equation = thing.name if isinstance(thing, spec.Value) else thing.owner.name
    if isinstance(thing, spec.Value):
        owner = m.table.get(thing.owner)
        test = condition(m, owner, thing.name, s) if owner is not None and not thing.name.endswith(".init") else ""
    else:
        test = condition(m, thing.owner, thing.call, s)
    block = s.block.nest(f"if {test}:") if test else s.block
    if isinstance(thing, spec.Value):
        shape = ", ".join(m.size(a, s) for a in thing.axes or ())
        comma = "," if len(thing.axes or ()) == 1 else ""
        extra = "" if thing.type == "real" else f", type={thing.type!r}"
        extra += f", width={thing.width!r}" if thing.width in ("f32", "f64") else ""
        extra += ", fixed=True" if thing.fixed else ""
        block.add(f"self.make({at_of(s)}, {thing.name!r}, ({shape}{comma}), kind{extra})")
        return
    block.add(place_line(m, thing, s))


def place_line(m: Emitter, p: Place, s: Scope) -> str:
    """The line that makes a called body."""
    e = p.call
    dims = []
    for n, size in e.dims:
        if any(isinstance(i, x.Length) and not i.of[:1].isupper() and not _static_index(m, i.of) for i in x.walk(size)):
            continue
        code = m.emit(size, s)
        if code.number:
            dims.append(f"{keyword_argument(n)!r}: {code.text}")
    consts = [f"{n!r}: {m.emit(v, s).text}" for n, v in e.consts]
    holes = [f"{n!r}: {callee_text(m, c)}" for n, c in e.callee.holes]
    cls = m.classes.get(e.callee.key, "None") if e.callee.key else "None"
    parts = [at_of(s), repr(p.path), cls, "kind", "dims={" + ", ".join(dims) + "}"]
    if e.callee.function and not e.callee.key:
        parts.append("function=True")
    if consts:
        parts.append("consts={" + ", ".join(consts) + "}")
    if holes:
        parts.append("holes={" + ", ".join(holes) + "}")
    return f"self.place({', '.join(parts)})"


def _static_index(m: Emitter, axis: str) -> bool:
    i = m.indices.get(axis)
    return i is not None and i.static or axis in m.internal


def callee_text(m: Emitter, c: x.Callee) -> str:
    """What is put into a hole of a called body."""
    base = m.classes.get(c.key, "None") if c.key else "None"
    if c.holes:
        inner = ", ".join(f"{n!r}: {callee_text(m, h)}" for n, h in c.holes)
        base = f"calls.with_holes({base}, {{{inner}}})"
    return f"self.hole({c.hole!r}, {base})" if c.hole else base


# ---- starting values --------------------------------------------------------------------------------------------------


def initial_lines(m: Emitter, bound: frozenset[str]) -> list[str]:
    """The body of `initial`: every parameter's start, in textual order."""
    stacks = {lv.id for lv in m.body.levels if lv.kind == "stack"}
    groups: list[tuple[tuple[str, ...], list[spec.Value]]] = []
    for p in parameters_of(m.body):
        level = tuple(i for i in p.level if i in stacks)
        if groups and groups[-1][0] == level:
            groups[-1][1].append(p)
        else:
            groups.append((level, [p]))
    for level, group in groups:
        s = in_levels(m, level, m.root)
        for p in group:
            start(m, p, s, p.name in bound)
    return [*m.prologue(), *m.head.lines(), *m.block.lines()]


def start(m: Emitter, p: spec.Value, s: Scope, bindable: bool) -> None:
    """One parameter's starting value."""
    m.equation = p.name
    at = at_of(s)
    target = f"{at}.own({p.name!r})"
    owner = m.table.get(p.owner)
    test = condition(m, owner, p.name, s) if owner is not None and not p.name.endswith(".init") else ""
    outer, around = s, s.block
    if test or bindable:
        s.block = around.nest()
        block = around.nest(f"if {test or f'{target} is not None'}:")
        s = Scope(block, chain=False, parent=s)
    if test and bindable:
        s = Scope(block.nest(f"if {target} is not None:"), chain=False, parent=s)
    if not bindable:
        target = m.path(at, p.name)
    if p.start is None:
        s.block.add(f"initialise.fill({target}, 0)")
        outer.block = around
        return
    m.count(p.start)
    code = m.emit(p.start, s)
    if not code.number:
        order = tuple(a for a in p.axes or () if a in code.layout.axes)
        code = m.expanded(code, Layout(False, False, order), s) if order != code.layout.names else code
        if set(order) != set(p.axes or ()):
            code = m.expanded(code, Layout(False, False, p.axes or ()), s, p.type)
    s.block.add(f"initialise.fill({target}, {code.text})")
    outer.block = around


def const_lines(m: Emitter) -> list[str]:
    """The body of `const_default`."""
    for v in m.body.values:
        if v.kind == "const" and v.value is not None:
            block = m.block.nest(f"if name == {v.name!r}:")
            s = Scope(block, chain=False, parent=m.root)
            m.equation = v.name
            m.count(v.value)
            code = m.emit(v.value, s)
            if not code.number:
                axes = tuple(a for a in v.axes or () if a in code.layout.axes)
                code = m.expanded(code, Layout(False, False, axes), s, v.type)
                if axes != (v.axes or ()):
                    code = m.expanded(code, Layout(False, False, v.axes or ()), s, v.type)
            block.add(f"return {code.text}")
    m.block.add("return None")
    return [*m.prologue(), *m.head.lines(), *m.block.lines()]


def constants(m: Emitter) -> Iterator[str]:
    """Names of consts, declared order."""
    yield from (v.name for v in m.body.values if v.kind == "const")


__all__ = ["Code", "build_lines", "const_lines", "initial_lines", "numeric", "parameters_of", "statement"]

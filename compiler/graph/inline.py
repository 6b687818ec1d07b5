"""A body and everything that is called on its own chain, as one flat table of entries.

In:  a checked program, the key of a body, the optional inputs that are given, holes that are filled otherwise than by default.
Out: entries whose expressions are interned in one table; no call of a block or of a cell over the same chain is left in them.
Keeps: values, spans, names (`equation.name`, `equation.label.name` where the call is part of an equation).
Refuses: SEQ0531 when calls nest deeper than the limit.

Axes: a callee's axis gets the caller's name where an argument or a size pairs the two and no other axis of the callee has
that name already; otherwise it is called `equation.axis`, and a `Rename` stands at the border.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected
from seqc.compiler.graph.relabel import AxisMap, relabel
from seqc.compiler.graph.table import Table, rewrite
from seqc.compiler.ir.expr import (
    Apply,
    Argument,
    Axes,
    Callee,
    DimSize,
    Draw,
    Dropout,
    Expand,
    Expr,
    Invoke,
    Length,
    NotGiven,
    Read,
    Rename,
    children,
    reads,
    walk,
)
from seqc.compiler.ir.graph import Entry, EntryKind
from seqc.compiler.ir.spec import Body, Index, Level, Program, Value
from seqc.runtime.matching import match

DEPTH = 32
"""The most calls inside each other."""


def is_dim(axis: str) -> bool:
    """Dims start upper-case; the name of an inlined one is the last part."""
    return axis.rsplit(".", 1)[-1][:1].isupper()


@dataclass(slots=True)
class Frame:
    """One body while it is put in: what its names mean in the graph."""

    body: Body
    prefix: str
    axes: AxisMap
    holes: Mapping[str, Callee]
    inputs: Mapping[str, Expr] | None = None
    """What the call gives; None for the body that is built itself."""
    params: Mapping[str, Expr] = field(default_factory=dict)
    starts: Mapping[str, Expr] = field(default_factory=dict)
    level: tuple[str, ...] = ()
    called: tuple[tuple[str, str], ...] = ()
    mapped: Axes = ()
    own: str = ""
    carried: dict[str, Axes] = field(default_factory=dict)
    calls: dict[str, tuple[str, Frame]] = field(default_factory=dict)
    """Values that hold an inlined call: name → (its out in the graph, the callee's frame)."""
    memo: dict[int, Expr] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    """Values whose call is being put in just now."""
    place: tuple[int, ...] = ()
    table: dict[str, Value] = field(init=False)

    def __post_init__(self) -> None:
        self.table = self.body.table

    def name(self, local: str) -> str:
        """The graph's name of a name of this body."""
        return f"{self.prefix}.{local}" if self.prefix else local


class Inliner:
    """Collects entries, dims, indices and levels of one graph."""

    def __init__(self, program: Program, table: Table, given: frozenset[str], holes: Mapping[str, Callee]) -> None:
        self.program = program
        self.table = table
        self.given = given
        self.holes = holes
        self.entries: dict[str, Entry] = {}
        self.dims: dict[str, Expr | None] = {}
        self.indices: dict[str, Index] = {}
        self.levels: dict[str, Level] = {}
        self.places: dict[str, tuple[int, ...]] = {}
        """Where each entry stands in the text: a callee's entries right before the value that holds the call."""

    # ---- bodies -------------------------------------------------------------------------------------------------------

    def root(self, key: str) -> Frame:
        """Puts in the body that is built."""
        frame = Frame(self.program.bodies[key], "", AxisMap({}), self.holes)
        self._fill(frame)
        return frame

    def _fill(self, frame: Frame) -> None:
        body = frame.body
        self._declare(frame)
        frame.carried = _carried(frame)
        place = {v.name: i for i, v in enumerate(body.values)}
        for value in _dependencies_first(body):
            self._value(frame, value, (*frame.place, place[value.name]))

    def _declare(self, frame: Frame) -> None:
        body, m = frame.body, frame.axes
        for d in body.dims:
            name = m(d.name)
            if name not in self.dims:
                self.dims[name] = self._expr(frame, d.value) if d.value is not None else None
        for axis, size in body.sizes:
            self.dims.setdefault(m(axis), self._expr(frame, size))
        for i in body.indices:
            name = m(i.name)
            self.indices.setdefault(
                name,
                replace(
                    i,
                    name=name,
                    of=m(i.of) if i.of else "",
                    low=self._expr(frame, i.low) if i.low is not None else None,
                    high=self._expr(frame, i.high) if i.high is not None else None,
                    where=self._expr(frame, i.where) if i.where is not None else None,
                    bound=self._expr(frame, i.bound) if i.bound is not None else None,
                    level=frame.level + m.all(i.level),
                ),
            )
        for lv in body.levels:
            self.levels.setdefault(
                m(lv.id),
                replace(
                    lv,
                    id=m(lv.id),
                    low=self._expr(frame, lv.low),
                    high=self._expr(frame, lv.high),
                    outer=frame.level + m.all(lv.outer),
                ),
            )

    def _value(self, frame: Frame, v: Value, place: tuple[int, ...]) -> None:
        name = frame.name(v.name)
        self.places[name] = (*place, 1)
        kind: EntryKind = "let" if v.kind == "out" and frame.prefix else v.kind
        default = False
        node: Expr | None = None
        source = v.value
        if v.kind == "input":
            bound = frame.inputs.get(v.name) if frame.inputs is not None else None
            if isinstance(bound, NotGiven):
                bound = None
            if bound is not None:
                kind, node, source = "let", bound, None
            elif source is not None and any(isinstance(n, Draw) for n in walk(source)):
                kind, source = "draw", None
            elif frame.inputs is None and v.name in self.given:
                source = None
            elif source is not None:
                kind, default = "let", True
        elif v.name in frame.params:
            kind, node, source = "let", frame.params[v.name], None
        if source is not None:
            node = self._expr(frame, source, v)
        if v.name in frame.calls and not frame.calls[v.name][0]:
            return
        start = frame.starts.get(v.name)
        learned = v.learned and start is None
        if start is None and "*" in frame.starts and v.kind == "state":
            start = self._field_of(frame.starts["*"], v.name, self._axes_of(frame, v))
        if start is None and v.start is not None:
            start = self._expr(frame, v.start)
        axes = self._axes_of(frame, v)
        if v.axes is None and node is not None:
            axes = node.axes
        if node is not None and not isinstance(node, (NotGiven, Invoke)) and v.axes is not None:
            node = self._fit(node, axes)
        self.entries[name] = Entry(
            name=name,
            kind=kind,
            axes=axes,
            type=v.type,
            node=node,
            start=start,
            width=v.width,
            home=v.home,
            once=v.once and kind == "input",
            fixed=v.fixed,
            learned=learned,
            default=default,
            level=frame.level + frame.axes.all(v.level),
            over_levels=frame.axes(v.over_levels) if v.over_levels else "",
            owner=frame.name(v.owner) if v.owner else "",
            bounds=v.bounds,
            path=(frame.body.key, v.name),
            called=frame.called,
            span=v.span,
            text=v.text,
        )

    def _axes_of(self, frame: Frame, v: Value) -> Axes:
        return frame.carried.get(v.name, ()) + frame.axes.all(v.axes or ())

    def _fit(self, e: Expr, axes: Axes) -> Expr:
        if set(axes) - set(e.axes):
            return self.table.intern(Expand(e, axes=axes, type=e.type, span=e.span))
        return e

    # ---- expressions --------------------------------------------------------------------------------------------------

    def _expr(self, frame: Frame, e: Expr, owner: Value | None = None) -> Expr:
        def node(n: Expr) -> Expr:
            return self._node(frame, n, owner, top=e)

        return rewrite(e, node, frame.memo)

    def _field_of(self, e: Expr, name: str, axes: Axes) -> Expr:
        if isinstance(e, Read):
            return self.table.intern(replace(e, field_=name, axes=axes))
        return e

    def _node(self, frame: Frame, e: Expr, owner: Value | None, top: Expr) -> Expr:
        if isinstance(e, Read):
            return self._read(frame, e)
        if isinstance(e, Invoke):
            return self._invoke(frame, e, owner, whole=isinstance(top, Invoke) and _same_call(e, top))
        m = frame.axes
        new = relabel(e, m)
        match new:
            case DimSize():
                axis = m(new.dim)
                new = Length(axis, type="int", span=e.span) if not is_dim(axis) else replace(new, dim=axis)
            case Length() if is_dim(new.of):
                new = DimSize(new.of, type="int", span=e.span)
            case Draw() | Dropout() if frame.prefix:
                new = replace(new, key=f"{frame.prefix}.{new.key}")
        return self.table.intern(self._with_mapped(frame, new))

    def _with_mapped(self, frame: Frame, e: Expr) -> Expr:
        if not frame.mapped:
            return e
        below = {a for c in children(e) for a in c.axes}
        extra = tuple(a for a in frame.mapped if a in below and a not in e.axes)
        return replace(e, axes=extra + e.axes) if extra else e

    def _read(self, frame: Frame, e: Read) -> Expr:
        new = cast(Read, relabel(e, frame.axes))
        held = self._held(frame, e.name) if e.field_ else None
        if held is not None:
            return self._field(frame, e, new, *held)
        extra = tuple(a for a in frame.carried.get(e.name, ()) if a not in new.axes)
        new = replace(new, name=frame.name(e.name), axes=extra + new.axes)
        return self.table.intern(self._with_mapped(frame, new))

    def _field(self, frame: Frame, e: Read, new: Read, out: str, inner: Frame) -> Expr:
        """A field of an inlined call, read under the callee's names of its axes and renamed to the caller's."""
        local = e.field_ or out
        value = inner.table.get(local)
        have = self._axes_of(inner, value) if value is not None and value.axes is not None else new.axes
        here = self._outs(frame, e.name, local)
        want = have if here is None else here
        pairs = tuple(zip([a for a in have if a not in want], [a for a in want if a not in have], strict=False))
        back = {b: a for a, b in pairs}
        moves = tuple(replace(m, axis=back.get(m.axis, m.axis)) for m in new.moves)
        raw = tuple(back.get(a, a) for a in new.axes) if new.moves else have
        read: Expr = self.table.intern(Read(inner.name(local), moves=moves, axes=raw, type=new.type, span=e.span))
        read = self._renamed(read, tuple(p for p in pairs if p[0] in raw))
        return read if new.moves else self._fit(read, want)

    def _held(self, frame: Frame, name: str) -> tuple[str, Frame] | None:
        if name in frame.calls:
            return frame.calls[name]
        v = frame.table.get(name)
        if v is None or not isinstance(v.value, Invoke) or v.kind == "input" or name in frame.open:
            return None
        if not self._inlinable(v.value, self._resolve(frame, v.value.callee)):
            return None
        frame.open.add(name)
        self._expr(frame, v.value, v)
        frame.open.discard(name)
        return frame.calls.get(name)

    def _outs(self, frame: Frame, name: str, local: str) -> Axes | None:
        value = frame.table[name].value
        if isinstance(value, Invoke):
            for n, axes, _ in value.outs:
                if n == local:
                    m = frame.axes.all(axes)
                    extra = tuple(a for a in frame.carried.get(name, ()) if a not in m)
                    return extra + m
        return None

    def _rename(self, e: Expr, have: Axes, want: Axes) -> Expr:
        """Between a callee's axes and the caller's: those with the same name are the same, the others pair in order."""
        old = [a for a in have if a not in want]
        new = [a for a in want if a not in have]
        pairs = tuple(zip(old, new, strict=False))
        renamed = tuple(dict(pairs).get(a, a) for a in e.axes)
        out = self.table.intern(Rename(e, pairs, axes=renamed, type=e.type, span=e.span)) if pairs else e
        return self._fit(out, want)

    # ---- calls --------------------------------------------------------------------------------------------------------

    def _resolve(self, frame: Frame, callee: Callee) -> Callee:
        inner = tuple((n, self._resolve(frame, c)) for n, c in callee.holes)
        if callee.hole:
            bound = frame.holes.get(callee.hole)
            if bound is None:
                hole = next((h for h in frame.body.holes if h.name == callee.hole), None)
                if hole is None or hole.default is None:
                    return replace(callee, holes=inner)
                bound = hole.default
            return replace(bound, holes=inner + bound.holes)
        return replace(callee, holes=inner)

    def _inlinable(self, inv: Invoke, callee: Callee) -> bool:
        if callee.hole or callee.extern or callee.key not in self.program.bodies:
            return False
        body = self.program.bodies[callee.key]
        return (inv.inline or not body.topology and not inv.along) and not any(n == "*" for n, _ in inv.params)

    def _invoke(self, frame: Frame, inv: Invoke, owner: Value | None, whole: bool) -> Expr:
        callee = self._resolve(frame, inv.callee)
        if callee.function and not callee.key:
            defaulted = not (inv.callee.hole and inv.callee.hole in frame.holes)
            if inv.expansion is not None and defaulted:
                return inv.expansion
            args = tuple(a.value for a in inv.arguments)
            axes = max((a.axes for a in args), key=len, default=())
            return self.table.intern(Apply(callee.function, args, axes=axes, type=inv.type, span=inv.span))
        if not self._inlinable(inv, callee):
            if inv.expansion is not None and not inv.callee.hole:
                return inv.expansion
            new = replace(cast(Invoke, relabel(inv, frame.axes)), callee=callee, expansion=None)
            return self.table.intern(self._with_mapped(frame, new))
        new = replace(cast(Invoke, relabel(inv, frame.axes)), expansion=None)
        if len(frame.called) >= DEPTH:
            raise Rejected((Diagnostic("SEQ0531", f"calls nest deeper than {DEPTH}", inv.span),))
        local = owner.name if owner is not None else new.label
        prefix = frame.name(local) if whole else frame.name(f"{local}.{new.label}")
        n = 2
        while any(e.startswith(prefix + ".") and not whole for e in self.entries):
            prefix = frame.name(f"{local}.{new.label}{n}")
            n += 1
        inner = self._frame(frame, new, callee, prefix, owner, local)
        inner.place = (*frame.place, next((i for i, v in enumerate(frame.body.values) if v.name == local), 0), 0)
        if whole and owner is not None:
            frame.calls[owner.name] = (new.out, inner)
        inner.carried = {}
        self._fill(inner)
        if not new.out:  # several outs: the value is only ever read by field
            return self.table.intern(NotGiven(span=inv.span))
        value = inner.table.get(new.out)
        axes = self._axes_of(inner, value) if value is not None and value.axes is not None else ()
        read: Expr = self.table.intern(Read(inner.name(new.out), axes=axes, type=new.type, span=inv.span))
        extra = tuple(a for a in inner.mapped if a not in new.axes)
        want = extra + new.axes
        return self._rename(read, axes, want) if value is not None and axes != want else read

    def _frame(self, frame: Frame, inv: Invoke, callee: Callee, prefix: str, owner: Value | None, local: str) -> Frame:
        body = self.program.bodies[callee.key]
        table = body.table
        same = callee.key == inv.callee.key or not inv.callee.hole
        arguments, mapped_here = _arguments(inv, body, same)
        pairs: dict[str, str] = {}
        taken: set[str] = set()

        def claim(c: str, a: str) -> None:
            if c not in pairs and a not in taken:
                pairs[c] = a
                taken.add(a)

        if inv.inline and body.chain and frame.body.chain:
            claim(body.chain, frame.axes(frame.body.chain))
        for arg in arguments:
            back = {y: x for x, y in arg.renames}
            value = table.get(arg.name)
            for c in (value.axes or ()) if value is not None else ():
                a = back.get(c, c if c in arg.value.axes else "")
                if a and a in arg.value.axes:
                    claim(c, a)
        for n, here, _ in inv.outs if same else ():
            value = table.get(n)
            if value is not None and value.axes is not None:
                for c, a in zip(value.axes, [a for a in here if a not in mapped_here and a != inv.own], strict=False):
                    claim(c, a)
        declared = {d.name for d in body.dims} | {i.name for i in body.indices}
        for c, size in inv.dims if same else ():
            if isinstance(size, (DimSize, Length)):
                claim(c, size.dim if isinstance(size, DimSize) else size.of)
        for c in sorted(declared | {lv.id for lv in body.levels}):
            if c not in pairs:
                pairs[c] = f"{prefix}.{c}"
        for c, size in inv.dims if same else ():
            self.dims.setdefault(pairs.get(c, c), size)
        m = AxisMap(pairs)
        outer = [a for arg in arguments for a in arg.value.axes if a in frame.mapped]
        mapped = tuple(dict.fromkeys([*mapped_here, *outer, *([inv.own] if inv.own else [])]))
        mapped = tuple(a for a in mapped if a not in taken)
        inputs: dict[str, Expr] = {}
        for arg in arguments:
            value = table.get(arg.name)
            if isinstance(arg.value, NotGiven) or value is None or self._left_out(arg.value):
                continue
            back = {y: x for x, y in arg.renames}
            moved = tuple(
                (back.get(c, c), m(c)) for c in value.axes or () if back.get(c, c) in arg.value.axes and back.get(c, c) != m(c)
            )
            inputs[arg.name] = self._renamed(arg.value, moved)
        level = frame.level + (frame.axes.all(owner.level) if owner is not None else ())
        return Frame(
            body=body,
            prefix=prefix,
            axes=m,
            holes=dict(callee.holes),
            inputs=inputs,
            params={n: self._renamed_to(e, body, n, m) for n, e in (*inv.params, *inv.consts)},
            starts={n: self._renamed_to(e, body, n, m) for n, e in inv.starts},
            level=level,
            called=(*frame.called, (frame.name(local), inv.label)),
            mapped=mapped,
            own=inv.own,
        )

    def _left_out(self, e: Expr) -> bool:
        """Whether the argument is the bare name of an input that was left out without a default of its own."""
        entry = self.entries.get(e.name) if isinstance(e, Read) and not e.moves else None
        return entry is not None and isinstance(entry.node, NotGiven)

    def _renamed(self, e: Expr, pairs: tuple[tuple[str, str], ...]) -> Expr:
        if not pairs:
            return e
        axes = tuple(dict(pairs).get(a, a) for a in e.axes)
        return self.table.intern(Rename(e, pairs, axes=axes, type=e.type, span=e.span))

    def _renamed_to(self, e: Expr, body: Body, name: str, m: AxisMap) -> Expr:
        value = body.table.get(name)
        if value is None or value.axes is None:
            return e
        want = m.all(value.axes)
        old = [a for a in e.axes if a not in want]
        new = [a for a in want if a not in e.axes]
        return self._renamed(e, tuple(zip(old, new, strict=False)))


def _same_call(a: Invoke, b: Invoke) -> bool:
    return a.span == b.span and a.label == b.label and a.callee == b.callee


def _dependencies_first(body: Body) -> list[Value]:
    """The values, each after those it reads at this step; so that calls are put in before their fields are read."""
    table = body.table
    order: list[Value] = []
    seen: set[str] = set()
    for root in body.values:
        stack: list[tuple[Value, bool]] = [(root, False)]
        while stack:
            v, ready = stack.pop()
            if ready:
                order.append(v)
            elif v.name not in seen:
                seen.add(v.name)
                stack.append((v, True))
                below = [r.name for r in reads(v.value) if not r.moves] if v.value is not None else []
                stack.extend((table[n], False) for n in reversed(below) if n in table and n not in seen)
    return order


def _arguments(inv: Invoke, body: Body, same: bool) -> tuple[tuple[Argument, ...], Axes]:
    """The arguments with the callee's names, and the axes it is mapped over; worked out anew for a hole filled otherwise."""
    if same and all(a.name for a in inv.arguments):
        return tuple(a for a in inv.arguments if not inv.droppable or a.name in body.table), inv.mapped
    inputs = [v for v in body.values if v.kind == "input"]
    out: list[Argument] = []
    mapped: dict[str, None] = {}
    for i, arg in enumerate(inv.arguments):
        named = arg.name if arg.name in body.table else inputs[i].name if i < len(inputs) and not (inv.droppable and i) else ""
        if not named:
            continue
        value = body.table[named]
        pairs, rest = match(value.axes or (), arg.value.axes, {})
        out.append(Argument(named, arg.value, tuple((a, c) for c, a in pairs.items() if a != c)))
        mapped.update(dict.fromkeys(rest))
    return tuple(out), tuple(mapped)


def _carried(frame: Frame) -> dict[str, Axes]:
    """Which of the axes a call is mapped over each value of the callee has: what reaches it from arguments and own weights."""
    if not frame.mapped:
        return {}
    found: dict[str, set[str]] = {}
    body = frame.body
    uses = {v.name: {r.name for r in reads(v.value)} if v.value is not None else set() for v in body.values}
    for v in body.values:
        bound = (frame.inputs or {}).get(v.name) or frame.params.get(v.name)
        if bound is not None:
            found[v.name] = set(bound.axes) & set(frame.mapped)
        elif v.kind == "param" and frame.own:
            found[v.name] = {frame.own}
        else:
            found[v.name] = set()
        if v.name in frame.starts:
            found[v.name] |= set(frame.starts[v.name].axes) & set(frame.mapped)
    changed = True
    while changed:
        changed = False
        for name, used in uses.items():
            if (frame.inputs or {}).get(name) is None and name not in frame.params:
                new = found[name].union(*(found.get(u, set()) for u in used))
                if new != found[name]:
                    found[name], changed = new, True
    return {n: tuple(a for a in frame.mapped if a in s) for n, s in found.items() if s}

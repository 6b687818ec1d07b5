"""Reading a value: at this step, at a lag, through a relation, at a computed position.

In:   `c`, `c[t-1]`, `k[s]`, `h[pred]`, `z[P = 0]`, `enc.h[u = 0]`.
Out:  `Read` with its moves, each classified (see `ir.expr.Move`).
Refuses: SEQ0225 (no such field), SEQ0303 (a lag without a start), SEQ0304 (a read that may look ahead), SEQ0305 (a lag of
         nothing: the steps back are no constant), SEQ0408 (a position that is no int), SEQ0411 (no such axis to read at),
         SEQ0412 (twice the same axis).
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.check import expressions, relations
from seqc.compiler.check.align import shape
from seqc.compiler.check.context import Context, Untypable
from seqc.compiler.check.names import with_start
from seqc.compiler.diagnostics.diagnostic import Note
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Expr, Move, Read


def number(c: Context, name: str, span: Span) -> Expr | None:
    """The number of an axis by its bare name; None where it names no index."""
    level = c.level_of(name)
    if level is not None:
        return x.Number(level, type="int", span=span)
    if name in c.running:
        return x.Number(name, type="int", span=span)
    if name in ("call", "batch") and c.indexing:
        return x.Number(name, type="int", span=span)
    if (
        name in c.names.indices
        or name in c.names.level_names()
        or name == "t"
        or name in ("pred", "succ")
        and c.on_graph
        or name in c.tree_slots()
    ):
        return x.Number(name, axes=(name,), type="int", span=span)
    return None


def plain(c: Context, name: str, span: Span) -> Read:
    """The value `name` at this step and this level (or the last one, from outside its stack)."""
    axes, kind = c.axes_of(name, span)
    return Read(name, axes=axes, type=kind, span=span)


def field(c: Context, e: s.Field) -> Expr:
    """`enc.h`, `e.embedding.ids`, `e.values`."""
    path: list[str] = []
    base: s.Expr = e
    while isinstance(base, s.Field):
        path.insert(0, base.name)
        base = base.base
    if isinstance(base, s.Call):
        held = expressions.typed(c, base)
        return field_of_call(c, held, path, e.span)
    if not isinstance(base, s.Name):
        raise c.fail("SEQ0225", "only a named value has fields", e.span)
    if base.id in c.env:
        held_expr = c.env[base.id].value
        if isinstance(held_expr, Read) and not held_expr.moves:
            base = s.Name(held_expr.name, span=base.span)
    whole = ".".join((base.id, *path))
    if whole in c.env and c.env[whole].value is not None:
        value = c.env[whole].value
        assert value is not None
        return value
    if base.id not in c.names.values:
        raise expressions.unknown(c, base)
    return field_read(c, base.id, path, e.span)


def field_read(c: Context, name: str, path: list[str], span: Span) -> Expr:
    """The field `path` of the value `name`: a parameter of its layers, an out or state of its call, or a result."""
    own = ".".join((name, *path))
    value = c.value_expr(name)
    if value is None and c.names.values[name].value is not None:
        raise Untypable()
    if own in c.extra:
        p = c.extra[own]
        return Read(own, axes=p.axes or (), type=p.type, span=span)
    found = fields_of(c, value)
    key = ".".join(path)
    if key in found:
        axes, kind = found[key]
        return Read(name, key, axes=axes, type=kind, span=span)
    near = nearest(key, [*found, *(n[len(name) + 1 :] for n in c.extra if n.startswith(name + "."))])
    raise c.fail(
        "SEQ0225",
        f"`{name}` has no field `{key}`",
        span,
        label=f"did you mean `{near}`?" if near else "",
        notes=()
        if near
        else (Note(f"it has {', '.join(f'`{f}`' for f in list(found)[:12])}" if found else "only calls and layers have fields"),),
        help=c.written.paste(span, f"{name}.{near}") if near else "",
    )


def fields_of(c: Context, value: Expr | None) -> dict[str, tuple[x.Axes, x.Type]]:
    """What can be read of a value by name."""
    match value:
        case x.Invoke():
            return {n: (axes, kind) for n, axes, kind in value.outs} | c.params_of(value)
        case x.Eigh(over=over, row=row, matrix=m):
            lead = tuple(a for a in m.axes if a not in (over, row))
            return {"values": ((*lead, over), "real"), "vectors": ((*lead, row, over), m.type)}
        case x.Scan(operator=op):
            made = c.operator(op)
            return {n: (c.scan_axes(value, n), kind) for n, _, kind in made.fields} if made else {}
        case x.Expand(arg=a):
            return fields_of(c, a)
    return {}


def field_of_call(c: Context, held: Expr, path: list[str], span: Span) -> Expr:
    """`LegS(P = P).lam`: the call becomes a hidden value of its own."""
    name = c.hide(held, span)
    return field_read(c, name, path, span)


def read(c: Context, e: s.Read) -> Expr:
    """`base[items]`."""
    outside, c.reading = c.reading, True
    try:
        base = expressions.typed(c, e.base)
    finally:
        c.reading = outside
    if isinstance(base, x.Literal_ | x.DimSize | x.Number):
        raise c.fail(
            "SEQ0413",
            "a number is the same everywhere and cannot be read at a position",
            e.span,
            help=c.written.paste(e.span, _word(e.base)),
        )
    if not isinstance(base, Read):
        name = c.hide(base, e.span)
        base = Read(name, axes=base.axes, type=base.type, span=base.span)
    moves: list[Move] = []
    taken: set[str] = set()
    axes = list(base.axes)
    renames: list[tuple[str, str]] = []
    for item in e.items:
        reading, indexing, c.reading, c.indexing = c.reading, c.indexing, False, True
        try:
            move, brings = one(c, base, item, axes)
        finally:
            c.reading, c.indexing = reading, indexing
        if move is None:
            continue
        if move.axis in taken:
            raise c.fail("SEQ0412", f"`{base.name}` is read twice at the axis `{move.axis}`", item.span)
        taken.add(move.axis)
        moves.append(move)
        if move.kind == "rename":
            renames.append((move.axis, brings[0]))
    # renames happen together (a transposition), then the others in order
    to = dict(renames)
    axes = [to.get(a, a) for a in axes]
    axes += [b for a, b in renames if a not in base.axes]
    if len(set(axes)) != len(axes):
        raise c.fail("SEQ0412", f"`{base.name}` would have an axis twice: {shape(axes)}", e.span)
    for move in moves:
        if move.kind == "rename":
            continue
        at = len(axes)
        if move.axis in axes:
            at = axes.index(move.axis)
            if move.kind in ("gather", "family") and move.axis not in move.index.axes:
                axes.remove(move.axis)
        new = [a for a in move.index.axes if a not in axes]
        axes[at:at] = new
    result = replace(base, moves=(*base.moves, *moves), axes=tuple(axes), span=e.span)
    needs_start(c, result)
    return result


def _word(e: s.Expr) -> str:
    return e.id if isinstance(e, s.Name) else "…"


def needs_start(c: Context, r: Read) -> None:
    """A value read before its first step says what stands there."""
    v = c.names.values.get(r.name)
    if v is None or r.field_:
        return
    for m in r.moves:
        outside = m.kind in ("lag", "window", "call", "level") and m.axis not in ("pred", "succ")
        if outside and v.line.init is None and v.kind not in ("param", "const"):
            if v.kind == "state" or ("SEQ0303", r.name) in c.told:
                return
            c.told.add(("SEQ0303", r.name))
            c.sink.report(
                "SEQ0303",
                f"`{r.name}` is read with a lag and has no start",
                r.span,
                label="what is it before the first step?",
                notes=(Note(f"`{r.name}` is declared here, without `init`", v.span),),
                help=with_start(c.written.text(v.line.span), "0"),
            )
            return


def one(c: Context, base: Read, item: s.Expr | s.At, axes: list[str]) -> tuple[Move | None, tuple[str, ...]]:
    """One item in the brackets as a move, and for a rename the new axis."""
    if isinstance(item, s.At):
        word = c.axis_word(s.Name(item.axis, span=item.span)) or item.axis
        index = expressions.typed(c, item.index)
        axis = c.level_of(word) or word
        known = axis in axes or axis in c.running or c.is_level(word)
        if not known:
            near = nearest(word, axes)
            raise c.fail(
                "SEQ0411",
                f"`{base.name}` has no axis `{word}` to read at",
                item.span,
                label=f"it has {shape(axes)}",
                help=c.written.paste(item.span, f"{near or (axes[0] if axes else word)} = {c.written.text(item.index.span)}")
                if axes
                else "",
            )
    else:
        index = expressions.typed(c, item)
        found = axis_of(c, base, index, axes)
        if found is None:
            raise c.fail(
                "SEQ0411",
                f"it is not clear which axis of `{base.name}` this position belongs to",
                item.span,
                label=f"`{base.name}` has {shape(axes)}",
                help="name the axis: [AXIS = …]",
            )
        axis = found
    if index.type != "int":
        raise c.fail(
            "SEQ0408",
            f"a position must be a whole number, this is a {index.type}",
            index.span,
            help=c.written.paste(index.span, f"floor({c.written.text(index.span)})") if index.type == "real" else "",
        )
    return classify(c, base, axis, index, item.span, axes)


def axis_of(c: Context, base: Read, index: Expr, axes: list[str]) -> str | None:
    """The axis that a position in short form names."""
    numbers = _numbers(index)
    for n in numbers:
        if n in axes or n in c.running or c.is_level_id(n) or n in ("call", "pred", "succ"):
            return n
    for n in numbers:
        index_line = c.names.indices.get(n)
        of = index_line[0].of.text if index_line and index_line[0].of else ""
        if of and (of in axes or of in c.running or of == "batch"):
            return of
        heads = [b for b in c.names.levels.values() if b.line.name.text == of]
        if heads:
            return heads[0].id
        for a in axes:
            mine = c.names.indices.get(a)
            if mine is not None and mine[0].of is not None and mine[0].of.text in (n, of):
                return a
    for n in numbers:
        for a in (*axes, *c.running):
            if same_set(c, a, n):
                return a
    return next(iter(c.tree_slots() & set(numbers)), None)


def _numbers(index: Expr) -> list[str]:
    """The axes whose numbers stand in a position; those inside of what it reads belong to that read."""
    out: list[str] = []
    stack = [index]
    seen: set[int] = set()
    while stack:
        n = stack.pop()
        if id(n) in seen or isinstance(n, Read):
            continue
        seen.add(id(n))
        if isinstance(n, x.Number):
            out.append(n.of)
        stack.extend(reversed(list(x.children(n))))
    return out


def classify(c: Context, base: Read, axis: str, index: Expr, span: Span, axes: list[str]) -> tuple[Move | None, tuple[str, ...]]:
    """What kind of move a position along `axis` is."""
    if isinstance(index, x.Number) and index.of in c.tree_slots():
        return Move("pred", index.of, x.Number(index.of, type="int", span=span), past=True), ()
    if axis in ("pred", "succ"):
        of = index.of if isinstance(index, x.Number) else axis
        v = c.names.values.get(base.name)
        on_edge = "succ" in axes or v is not None and v.line.home is not None and v.line.home.text == "edge"
        if on_edge and "succ" in axes:
            axes.remove("succ")
        acyclic = any(a.head in ("tree", "dag") for a in c.body.topology)
        return Move(
            "succ" if of == "succ" else "pred",
            of,
            x.Number(of, axes=(of,), type="int", span=span),
            past=acyclic and of == "pred",
        ), ()
    if axis == "call":
        steps = steps_back(c, index, "call")
        if steps is None or c.ranges().of(steps)[0] < 1:
            raise c.fail("SEQ0305", "only earlier calls can be read", span, help=c.written.paste(span, "call-1"))
        return Move("call", "call", steps, past=True), ()
    value_level = c.value_level(base.name)
    if c.is_level_id(axis):
        inside = axis in c.level and axis in value_level
        lag = steps_back(c, index, axis)
        if inside and lag is not None:
            low, _ = c.ranges().of(lag)
            if isinstance(lag, x.Literal_) and lag.value == 0:
                return None, ()
            if low >= 1:
                return Move("level", axis, lag, past=True), ()
        name = c.names.levels[axis].line.name.text
        homes = [lv for lv in value_level if c.names.levels[lv].line.name.text == name]
        if not homes:
            if axis in axes:
                return Move("gather", axis, index), ()
            raise c.fail(
                "SEQ0411",
                f"`{base.name}` does not stand in the {c.names.levels[axis].line.kind} over `{name}`",
                span,
                help=f"{base.name}, without [{name}…]",
            )
        past = inside and level_past(c, index, axis)
        return Move("family", homes[0], index, past=past), ()
    if axis in c.running and axis not in axes:
        return along_chain(c, base, axis, index, span)
    if isinstance(index, x.Number) and index.axes and same_set(c, axis, index.of):
        if index.of == axis:
            return None, ()
        return Move("rename", axis, index, past=c.relation_past(index.of)), (index.of,)
    lag = steps_back(c, index, axis)
    if lag is not None and not lag.axes and axis[:1].islower() and is_constant(c, lag):
        low, _ = c.ranges().of(lag)
        if low >= 1:
            return Move("lag", axis, lag, past=True), ()
    if lag is not None and not is_constant(c, lag) and c.ranges().of(lag)[0] >= 0 and axis[:1].islower():
        return Move("window", axis, lag, past=c.ranges().of(lag)[0] >= 1), ()
    return Move("gather", axis, index), ()


def along_chain(c: Context, base: Read, axis: str, index: Expr, span: Span) -> tuple[Move | None, tuple[str, ...]]:
    """A position along an axis that the cell runs along."""
    v = c.names.values.get(base.name)
    if v is not None and (v.line.once and v.kind == "input" or v.kind in ("param", "const")):
        raise c.fail("SEQ0411", f"`{base.name}` is the same at every step and has no `{axis}`", span, help=base.name)
    if isinstance(index, x.Number) and index.of == axis:
        return None, ()
    if isinstance(index, x.Number) and same_set(c, axis, index.of):
        return Move("rename", axis, index, past=c.relation_past(index.of)), (index.of,)
    lag = steps_back(c, index, axis)
    if lag is not None:
        low, high = c.ranges().of(lag)
        if high <= -1 or low < 0:
            raise ahead(c, base, axis, index, span, certain=high <= -1)
        if not lag.axes and is_constant(c, lag):
            if isinstance(lag, x.Literal_) and lag.value == 0:
                return None, ()
            if low >= 1:
                return Move("lag", axis, lag, past=True), ()
        return Move("window", axis, lag, past=low >= 1), ()
    low, high = c.position_bounds(index, axis)
    if high > 0:
        raise ahead(c, base, axis, index, span, certain=False)
    return Move("gather", axis, index, past=high <= -1), ()


def is_constant(c: Context, steps: Expr) -> bool:
    """Whether a count of steps is the same in the whole run: made of literals, dims and levels."""
    return all(isinstance(n, x.Literal_ | x.DimSize | x.Apply) or isinstance(n, x.Number) and c.is_level_id(n.of) for n in x.walk(steps))


def ahead(c: Context, base: Read, axis: str, index: Expr, span: Span, *, certain: bool) -> Exception:
    """SEQ0304."""
    del index
    return c.fail(
        "SEQ0304",
        f"this read of `{base.name}` looks ahead: a cell over `{axis}` knows this step and the ones before"
        if certain
        else f"this read of `{base.name}` may look ahead: nothing proves that it is at or before this step",
        span,
        label="a step cannot wait for its future" if certain else "",
        notes=(Note(f"what sees the whole sequence is a block whose shapes have the axis `{axis}`"),),
        help=c.written.paste(span, f"{axis}-1"),
    )


def steps_back(c: Context, index: Expr, axis: str) -> Expr | None:
    """`t - e` gives e; None where the index is not of that form."""
    del c
    f = relations.form(index, {axis})
    if f.count(axis) != 1:
        return None
    terms: list[Expr] = []
    for k, e in f.rest:
        if isinstance(e, x.Literal_) and isinstance(e.value, int):
            terms.append(x.Literal_(-k * e.value, type="int", span=e.span))
        else:
            terms.append(e if k < 0 else x.Apply("neg", (e,), axes=e.axes, type="int", span=e.span))
    if not terms:
        return x.Literal_(0, type="int", span=index.span)
    if len(terms) == 1:
        return terms[0]
    axes: list[str] = []
    for e in terms:
        axes += [a for a in e.axes if a not in axes]
    return x.Apply("add", tuple(terms), axes=tuple(axes), type="int", span=index.span)


def level_past(c: Context, index: Expr, level: str) -> bool:
    """Whether the level read is provably before this one."""
    if isinstance(index, x.Number) and index.of in c.names.indices:
        return c.relation_past(index.of)
    return False


def same_set(c: Context, a: str, b: str) -> bool:
    """Whether two axes number the same positions (twins, second names)."""

    def root(n: str) -> str:
        for _ in range(64):
            line = c.names.indices.get(n)
            if line is None or line[0].of is None:
                break
            n = line[0].of.text
        return n

    return root(a) == root(b)

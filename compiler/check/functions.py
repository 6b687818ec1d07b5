"""Types the functions of the language and `fn`s.

Out:     elementwise functions as `Apply`, reductions as `Reduce`, shape-keeping functions as `Along`, the rest as nodes
         of their own.
Refuses: SEQ0226 (no such function), SEQ0227 (number of arguments), SEQ0228 (a keyword that is not taken), SEQ0401 (axes), SEQ0414
         (a reduction without `over`), SEQ0415 (no such axis), SEQ0416 (`grad` of no scalar).
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.check import align, expressions, layers
from seqc.compiler.check.align import shape
from seqc.compiler.check.context import Bound, Context, Definitions, Untypable
from seqc.compiler.check.words import DRAWS, ELEMENTWISE, FUNCTIONS, KEEPING, LAYERS, NORMS, PASSES_SHAPE, REDUCING, STARTS_ONLY
from seqc.compiler.check.written import import_of
from seqc.compiler.diagnostics.diagnostic import Note
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Axes, Expr

REAL_ONLY = frozenset("softplus logsigmoid silu gelu relu atan floor ceil mod roundup logaddexp expdiff bitlen xor cis".split())
INTS = frozenset("floor ceil roundup bitlen xor".split())
KEYWORDS = {
    "linear": "bias init weight over per to name", "conv": "kernel bias init over per to name pad stride dilation",
    "lowrank": "rank bias init over per to name", "embedding": "init weight to name", "dropout": "rate",
    **{f: "over eps affine groups name" for f in NORMS},
    "dot": "over", "concat": "over", "onehot": "over", "solve": "over", "eigh": "over",
    **{f: "over" for f in (*REDUCING, *KEEPING)}, "at": "*", "split": "*", "merge": "*", "scan": "*",
}  # fmt: skip


def keywords(c: Context, e: s.Call) -> dict[str, s.Keyword]:
    """The call's keywords by name; unknown ones and repetitions are reported."""
    allowed = KEYWORDS.get(e.function, "")
    out: dict[str, s.Keyword] = {}
    for k in e.keywords:
        if k.name in out:
            raise c.fail("SEQ0228", f"`{k.name} =` is given twice", k.name_span)
        if allowed != "*" and k.name not in allowed.split():
            near = nearest(k.name, allowed.split())
            raise c.fail(
                "SEQ0228",
                f"`{e.function}` takes no `{k.name} =`",
                k.name_span,
                label=f"did you mean `{near}`?" if near else "",
                notes=() if near or not allowed else (Note(f"it takes {allowed.replace(' ', ', ')}"),),
                help=c.written.paste(k.name_span, near) if near else "",
            )
        out[k.name] = k
    return out


def names(c: Context, k: s.Keyword | None) -> tuple[s.Name, ...]:
    """The axes that `over =`, `per =` or `to =` lists."""
    if k is None:
        return ()
    items = k.value.items if isinstance(k.value, s.NameList) else (k.value,)
    out = []
    for i in items:
        word = c.axis_word(i)
        if word is None:
            raise c.fail("SEQ0415", f"`{k.name} =` takes names of axes", i.span, help=f"{k.name} = K, or {k.name} = [H, K]")
        out.append(s.Name(word, span=i.span))
    return tuple(out)


def over(c: Context, e: s.Call, k: s.Keyword | None, operand: Expr) -> Axes:
    """The axes of `over =`, which must be the operand's (or `batch`)."""
    out: list[str] = []
    for n in names(c, k):
        if n.id not in operand.axes and n.id != "batch":
            near = nearest(n.id, list(operand.axes))
            raise c.fail(
                "SEQ0415",
                f"`{e.function}` over `{n.id}`, but its operand has {shape(operand.axes)}",
                n.span,
                label="no such axis",
                notes=(Note(f"this has {shape(operand.axes)}", operand.span),),
                help=c.written.paste(n.span, near or operand.axes[-1]) if operand.axes else "",
            )
        out.append(n.id)
    return tuple(dict.fromkeys(out))


def count(c: Context, e: s.Call, least: int, most: int) -> None:
    """Checks the number of arguments."""
    n = len(e.arguments)
    if not least <= n <= most:
        said = f"{least}" if least == most else f"{least} to {most}" if most < 99 else f"at least {least}"
        raise c.fail("SEQ0227", f"`{e.function}` takes {said} argument{'s' if said != '1' else ''}, {n} given", e.span)


def without(axes: Axes, gone: Axes) -> Axes:
    """`axes` less `gone`."""
    return tuple(a for a in axes if a not in gone)


def builtin(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """A function of section 5."""
    f = e.function
    if f not in FUNCTIONS:
        near = nearest(f, [*FUNCTIONS, *c.definitions.names(), *c.names.holes])
        raise c.fail(
            "SEQ0226",
            f"there is no function, layer or body `{f}`",
            e.function_span,
            label=f"did you mean `{near}`?" if near else "",
            help=c.written.paste(e.function_span, near) if near else import_of(f),
        )
    k = keywords(c, e)
    if f in LAYERS:
        return layers.layer(c, e, k, want)
    if f in NORMS:
        return layers.norm(c, e, k, want)
    if f in ("max", "min") and "over" not in k and len(e.arguments) >= 2 or f in ELEMENTWISE:
        return elementwise(c, e, want)
    if f in REDUCING:
        return reduce(c, e, k)
    if f in KEEPING:
        return keeping(c, e, k, want)
    if f in DRAWS:
        return draw(c, e, want)
    match f:
        case "dropout":
            count(c, e, 1, 1)
            arg = expressions.typed(c, e.arguments[0], want)
            if "rate" not in k:
                raise c.fail("SEQ0228", "`dropout` needs its rate", e.span, help=c.added(e.span, "rate = 0.1"))
            rate = expressions.typed(c, k["rate"].value)
            return x.Dropout(arg, rate, c.fresh(), axes=arg.axes, type=arg.type, span=e.span)
        case "dot":
            return dot(c, e, k)
        case "outer":
            count(c, e, 2, 2)
            a, b = (expressions.typed(c, i) for i in e.arguments)
            kind = align.promoted(c, [a, b], "an outer product")
            return x.Apply("outer", (a, b), axes=(*a.axes, *without(b.axes, a.axes)), type=kind, span=e.span)
        case "onehot":
            count(c, e, 1, 1)
            arg = expressions.typed(c, e.arguments[0])
            axis = names(c, k.get("over"))
            if len(axis) != 1:
                raise c.fail("SEQ0414", "`onehot` needs the axis it makes", e.span, help=c.added(e.span, "over = N"))
            known_axis(c, axis[0])
            return x.OneHot(arg, axis[0].id, axes=(*arg.axes, axis[0].id), type="real", span=e.span)
        case "eye":
            count(c, e, 2, 2)
            pair = [names(c, s.Keyword("over", a, span=a.span))[0] for a in e.arguments]
            sides = [x.Number(known_axis(c, p), axes=(p.id,), type="int", span=e.span) for p in pair]
            same = x.Apply("eq", tuple(sides), axes=tuple(p.id for p in pair), type="bool", span=e.span)
            one, zero = x.Literal_(1, type="int", span=e.span), x.Literal_(0, type="int", span=e.span)
            return x.Apply("where", (same, one, zero), axes=same.axes, type="int", span=e.span)
        case "len" | "pos":
            count(c, e, 1, 1)
            word = c.axis_word(e.arguments[0])
            if word is None:
                raise c.fail("SEQ0415", f"`{f}` takes the name of an axis", e.arguments[0].span)
            known_axis(c, s.Name(word, span=e.arguments[0].span))
            if f == "len":
                return x.DimSize(word, type="int", span=e.span) if word[:1].isupper() else x.Length(word, type="int", span=e.span)
            if word in c.running:
                return x.Number(word, type="int", span=e.span)
            return x.Number(word, axes=(word,), type="int", span=e.span)
        case "at":
            return gather(c, e, k)
        case "split":
            return split(c, e)
        case "merge":
            return merge(c, e)
        case "concat":
            return concat(c, e, k, want)
        case "grad":
            return grad(c, e)
        case "solve":
            return solve(c, e, k, want)
        case "eigh":
            count(c, e, 1, 1)
            m = expressions.typed(c, e.arguments[0])
            along = over(c, e, k.get("over"), m)
            row = twin_of(c, m, along, e)
            return x.Eigh(m, along[0], row, axes=without(m.axes, (row,)), span=e.span)
        case "scan":
            return scan(c, e)
    raise AssertionError(f)


def _listed(axes: Axes) -> str:
    return axes[0] if len(axes) == 1 else shape(axes)


def known_axis(c: Context, n: s.Name) -> str:
    """The name, where it is an axis of this body."""
    if not c.is_axis(n.id):
        near = nearest(n.id, [*c.names.dims, *c.names.indices])
        raise c.fail(
            "SEQ0415",
            f"there is no axis `{n.id}`",
            n.span,
            help=c.written.paste(n.span, near) if near else f"{'dim' if n.id[:1].isupper() else 'index'} {n.id}",
        )
    return n.id


def elementwise(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """`sigmoid(z)`, `max(a, b)`, `where(cond, a, b)` …"""
    f = e.function
    keywords(c, e)
    least, most = ELEMENTWISE.get(f, (2, 99))
    count(c, e, least, most)
    if f == "where":
        cond = expressions.truth(c, expressions.typed(c, e.arguments[0]))
        a, b = (expressions.typed(c, i, want) for i in e.arguments[1:])
        if {a.type, b.type} in ({"bool"}, {"text"}):
            kind = a.type
        else:
            kind = align.promoted(c, [a, b], "a choice")
        return x.Apply("where", (cond, a, b), axes=align.aligned(c, [cond, a, b], "`where`", e.span), type=kind, span=e.span)
    outer = c.layer_type
    c.layer_type = "real" if f in ("complex", "cis") else outer
    try:
        args = tuple(expressions.typed(c, i, want) for i in e.arguments)
    finally:
        c.layer_type = outer
    if f == "stop" and args[0].type == "text":
        return x.Apply(f, args, axes=args[0].axes, type="text", span=e.span)
    kind = args[0].type if f == "stop" else align.promoted(c, args, f"`{f}`")
    if kind == "complex" and (f in REAL_ONLY or f in ("max", "min", "complex")):
        raise c.fail(
            "SEQ0407",
            f"`{f}` is not defined for complex numbers",
            e.span,
            help=c.written.paste(args[0].span, f"abs({c.written.text(args[0].span)})"),
        )
    axes = align.aligned(c, args, f"`{f}`", e.span) if len(args) > 1 else args[0].axes
    if f in ("re", "im"):
        kind = "real"
    elif f in ("complex", "cis"):
        kind = "complex"
    elif f in INTS:
        kind = "int"
    elif f == "abs" and kind == "complex":
        kind = "real"
    elif kind == "int" and f not in ("max", "min", "abs", "mod", "sign", "stop", "conj"):
        kind = "real"
    elif f == "through":
        kind = args[0].type
    return x.Apply(f, args, axes=axes, type=kind, span=e.span)


def reduce(c: Context, e: s.Call, k: Mapping[str, s.Keyword]) -> Expr:
    """`sum(z, over = K)`."""
    count(c, e, 1, 1)
    arg = expressions.typed(c, e.arguments[0])
    if "over" not in k:
        raise c.fail(
            "SEQ0414",
            f"`{e.function}` needs `over`",
            e.span,
            label="which axes does it reduce?",
            help=c.added(e.span, f"over = {arg.axes[-1] if arg.axes else 'K'}"),
        )
    gone = over(c, e, k["over"], arg)
    f = e.function
    if f in ("max", "min") and arg.type == "bool":
        raise c.fail(
            "SEQ0405",
            f"a bool cannot stand in `{f}`",
            arg.span,
            help=c.written.paste(arg.span, f"where({c.written.text(arg.span)}, 1, 0)"),
        )
    kind = align.promoted(c, [arg], f"`{f}`")
    kind = "int" if f == "argmax" else "real" if kind == "int" and f in ("mean", "logsumexp") else kind
    return x.Reduce(f, arg, gone, axes=without(arg.axes, gone), type=kind, span=e.span)


def keeping(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """`softmax(z, over = K)` and its kin."""
    f = e.function
    count(c, e, *((2, 2) if f == "topk" else (1, 1)))
    arg = expressions.typed(c, e.arguments[0], want)
    if "over" not in k:
        raise c.fail("SEQ0414", f"`{f}` needs `over`", e.span, help=c.added(e.span, f"over = {arg.axes[-1] if arg.axes else 'K'}"))
    along = over(c, e, k["over"], arg)
    if f == "topk":
        n = expressions.typed(c, e.arguments[1])
        return x.Along(f, arg, along, n, axes=arg.axes, type="bool", span=e.span)
    other = twin_of(c, arg, along, e) if f in ("inverse", "matrix_exp") else ""
    kind = align.promoted(c, [arg], f"`{f}`")
    kind = "int" if f == "rank" else "complex" if f in ("fft", "ifft") else "real" if kind == "int" and f != "cumsum" else kind
    return x.Along(f, arg, along, None, other, axes=arg.axes, type=kind, span=e.span)


def twin_of(c: Context, m: Expr, axis: Axes, e: s.Call) -> str:
    """The other axis of a square matrix."""
    from seqc.compiler.check.reads import same_set

    if len(axis) == 1:
        found = [a for a in m.axes if a != axis[0] and same_set(c, a, axis[0])]
        if len(found) == 1:
            return found[0]
    raise c.fail(
        "SEQ0417",
        f"`{e.function}` needs a square matrix: `over` and its twin",
        e.span,
        label=f"this has {shape(m.axes)}",
        notes=(Note("a dim and its twin make a square: A : [N, j]"),),
        help=f"index j of {axis[0] if len(axis) == 1 else 'N'}",
    )


def draw(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """`normal(0, 1)` …: fills the declared shape."""
    f = e.function
    count(c, e, *DRAWS[f])
    args = tuple(expressions.typed(c, a) for a in e.arguments)
    if f in STARTS_ONLY and c.where not in ("init", "start"):
        raise c.fail(
            "SEQ0418",
            f"`{f}` is a start of weights and has no meaning here",
            e.span,
            help=c.written.paste(e.span, "normal(0, 1)"),
        )
    if c.where == "equation" and not c.input_default:
        raise c.fail(
            "SEQ0230",
            "a draw inside an equation cannot be repeated exactly",
            e.span,
            label="randomness is always an optional input",
            help=f"in eps : {shape(want or ())} = {c.written.text(e.span)}\n{c.written.paste(e.span, 'eps')}",
        )
    axes = tuple(want or ())
    for a in args:
        axes = (*axes, *without(a.axes, axes))
    return x.Draw(
        f,
        args,
        c.fresh(),
        axes=axes,
        type=c.layer_type if c.where in ("init", "start") and f != "bernoulli" else "real",
        span=e.span,
    )


def dot(c: Context, e: s.Call, k: Mapping[str, s.Keyword]) -> Expr:
    """`dot(a, b, over = K)`."""
    count(c, e, 2, 2)
    a, b = (expressions.typed(c, i) for i in e.arguments)
    if "over" not in k:
        raise c.fail(
            "SEQ0414",
            "`dot` needs `over`",
            e.span,
            label="which axes are summed?",
            help=c.added(e.span, f"over = {next((i for i in reversed(a.axes) if i in b.axes), 'K')}"),
        )
    kind = align.promoted(c, [a, b], "a dot product")
    gone = []
    for n in names(c, k["over"]):
        if n.id not in a.axes or n.id not in b.axes:
            lacking = a if n.id not in a.axes else b
            raise c.fail(
                "SEQ0415",
                f"`dot` over `{n.id}`, but one operand has {shape(lacking.axes)}",
                n.span,
                notes=(Note(f"this has {shape(a.axes)}", a.span), Note(f"this has {shape(b.axes)}", b.span)),
                help=c.written.paste(n.span, next((i for i in reversed(a.axes) if i in b.axes), "…")),
            )
        gone.append(n.id)
    axes = without((*a.axes, *without(b.axes, a.axes)), tuple(gone))
    return x.Contract(a, b, tuple(gone), axes=axes, type=kind, span=e.span)


def gather(c: Context, e: s.Call, k: Mapping[str, s.Keyword]) -> Expr:
    """`at(z, y = e, border = clamp)`."""
    count(c, e, 1, 1)
    arg = expressions.typed(c, e.arguments[0])
    border = "none"
    places: list[tuple[str, Expr]] = []
    for name, word in k.items():
        if name == "border":
            border = word.value.id if isinstance(word.value, s.Name) else "?"
            if border not in ("wrap", "clamp", "zero"):
                raise c.fail("SEQ0419", "a border is wrap, clamp or zero", word.value.span, help=c.written.paste(word.value.span, "zero"))
            continue
        axis = c.axis_word(s.Name(name, span=word.span)) or name
        if axis not in arg.axes:
            raise c.fail("SEQ0415", f"`at` along `{axis}`, but the operand has {shape(arg.axes)}", word.span)
        place = expressions.typed(c, word.value)
        if place.type not in ("int", "real"):
            raise c.fail("SEQ0408", "a position is a whole or a real number", word.span)
        places.append((axis, place))
    axes = [a for a in arg.axes if a not in {p for p, _ in places}]
    for axis, place in places:
        at = min(list(arg.axes).index(axis), len(axes))
        axes[at:at] = [a for a in place.axes if a not in axes]
    return x.GatherAt(arg, tuple(places), border, axes=tuple(axes), type=arg.type, span=e.span)  # type: ignore[arg-type]


def split(c: Context, e: s.Call) -> Expr:
    """`split(x, t = [m, J])`, several axes at once."""
    count(c, e, 1, 1)
    out = expressions.typed(c, e.arguments[0])
    for k in e.keywords:
        parts = names(c, k)
        if len(parts) < 2 or k.name not in out.axes:
            raise c.fail(
                "SEQ0420",
                f"`split` cuts an axis of its operand into two or more; this has {shape(out.axes)}",
                k.span,
                help=c.written.paste(k.span, f"{k.name if k.name in out.axes or not out.axes else out.axes[0]} = [m, J]"),
            )
        found = [known_axis(c, p) for p in parts]
        if len(set(found)) != len(found) or set(found) & set(without(out.axes, (k.name,))):
            raise c.fail("SEQ0412", f"the result would have an axis twice: {shape((*without(out.axes, (k.name,)), *found))}", k.span)
        axis = k.name
        while len(found) > 1:
            outer, inner = found[0], found[1]
            if len(found) > 2:
                inner = f"{c.equation}.split~{len(c.sizes)}"
                c.sizes[inner] = x.Apply("mul", tuple(layers.size_of(c, f, e.span) for f in found[1:]), type="int", span=e.span)
            at = out.axes.index(axis)
            out = x.Split(out, axis, outer, inner, axes=(*out.axes[:at], outer, inner, *out.axes[at + 1 :]), type=out.type, span=e.span)
            axis, found = inner, found[1:]
    return out


def merge(c: Context, e: s.Call) -> Expr:
    """`merge(z, t = [m, J])`."""
    count(c, e, 1, 1)
    out = expressions.typed(c, e.arguments[0])
    for k in e.keywords:
        parts = tuple(n.id for n in names(c, k))
        known_axis(c, s.Name(k.name, span=k.span))
        if not parts or not set(parts) <= set(out.axes):
            raise c.fail("SEQ0420", f"`merge` joins axes of its operand; this has {shape(out.axes)}", k.span, help=f"{k.name} = [H, K]")
        at = min(out.axes.index(p) for p in parts)
        rest = without(out.axes, parts)
        axes = (*rest[:at], k.name, *rest[at:])
        out = x.Merge(out, k.name, parts, axes=axes, type=out.type, span=e.span)
    return out


def concat(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """`concat(a, b, over = N)`; the new axis is the one only the declared shape has."""
    count(c, e, 1, 99)
    args = [expressions.typed(c, a) for a in e.arguments]
    joined = [n.id for n in names(c, k.get("over"))]
    if not joined:
        raise c.fail("SEQ0414", "`concat` needs `over`: the axes that are joined", e.span, help=c.added(e.span, "over = [N, M]"))
    each = joined if len(joined) == len(args) else [""] * len(args)
    overs = tuple(o if o in a.axes else next((j for j in joined if j in a.axes), "") for o, a in zip(each, args, strict=True))
    kept: list[str] = []
    for a, o in zip(args, overs, strict=True):
        kept += [i for i in a.axes if i != o and i not in kept]
    if want is None:
        raise c.fail(
            "SEQ0421",
            "`concat` stands next to its `=`: its new axis is the declared one",
            e.span,
            help=f"both : [Z] = {c.written.text(e.span)}",
        )
    missing = [i for i in kept if i not in want]
    fresh = [i for i in want if i not in kept]
    if missing:
        raise c.fail(
            "SEQ0401",
            f"`concat` would drop {shape(missing)}",
            e.span,
            label=f"declared {shape(want)}, its operands have {shape(kept)} besides",
        )
    if len(fresh) != 1:
        same = [o for o in dict.fromkeys(overs) if o in want]
        fresh = same if len(fresh) == 0 and len(same) == 1 else fresh
    if len(fresh) != 1:
        raise c.fail("SEQ0421", f"the declared shape {shape(want)} must have one new axis beside {shape(kept)}", e.span)
    texts = {a.type for a in args}
    kind = "text" if texts == {"text"} else "bool" if texts == {"bool"} else align.promoted(c, args, "`concat`")
    return x.Concat(tuple(args), overs, fresh[0], axes=tuple(a for a in want if a in kept or a == fresh[0]), type=kind, span=e.span)


def grad(c: Context, e: s.Call) -> Expr:
    """`grad(loss, M[t-1])`."""
    count(c, e, 2, 2)
    loss, wrt = (expressions.typed(c, a) for a in e.arguments)
    if loss.axes or loss.type not in ("real",):
        raise c.fail(
            "SEQ0416",
            f"`grad` takes the derivative of a real scalar, this has {shape(loss.axes)}",
            loss.span,
            help=c.written.paste(loss.span, f"sum({c.written.text(loss.span)}, over = {_listed(loss.axes)})") if loss.axes else "",
        )
    if not isinstance(wrt, x.Read) or wrt.type not in ("real", "complex"):
        raise c.fail("SEQ0416", "`grad` is taken by a value that is read", wrt.span, help="grad(loss, M[t-1])")
    return x.Grad(loss, wrt, axes=wrt.axes, type=wrt.type, span=e.span)


def solve(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """`solve(A, b, over = K)`: x with `dot(A, x, over = j) = b`, where b has K, j is its twin in A, and x has j."""
    del want
    count(c, e, 2, 2)
    m, b = (expressions.typed(c, a) for a in e.arguments)
    row = over(c, e, k.get("over"), m)
    col = twin_of(c, m, row, e)
    if row[0] not in b.axes or col in b.axes:
        raise c.fail(
            "SEQ0417",
            f"`over = {row[0]}` is the axis of the right-hand side, which has {shape(b.axes)}",
            b.span,
            help=f"the solution then has `{col}`: dot(A, x, over = {col}) = b",
        )
    lead = tuple(a for a in dict.fromkeys((*b.axes, *m.axes)) if a not in (row[0], col))
    order = [col if a == row[0] else a for a in b.axes]
    axes = tuple(dict.fromkeys([*order, *lead]))
    kind = align.promoted(c, [m, b], "`solve`")
    return x.Solve(m, b, col, row[0], col, axes=axes, type="real" if kind == "int" else kind, span=e.span)


def scan(c: Context, e: s.Call) -> Expr:
    """`scan(Op, m = …, u = …)`."""
    count(c, e, 1, 1)
    word = e.arguments[0].id if isinstance(e.arguments[0], s.Name) else ""
    op = c.operator(c.definitions.operators[word]) if word in c.definitions.operators else None
    if op is None:
        near = nearest(word, list(c.definitions.operators))
        raise c.fail(
            "SEQ0226",
            f"there is no operator `{word}`",
            e.arguments[0].span,
            help=c.written.paste(e.arguments[0].span, near) if near else f"operator {word or 'Op'}(…): …",
        )
    given = {k.name: expressions.typed(c, k.value) for k in e.keywords}
    for n, _, _ in op.fields:
        if n not in given:
            raise c.fail("SEQ0227", f"`scan` of {op.name} needs its field `{n}`", e.span, help=c.added(e.span, f"{n} = …"))
    for k in e.keywords:
        if k.name not in {n for n, _, _ in op.fields}:
            raise c.fail("SEQ0228", f"{op.name} has no field `{k.name}`", k.span, help=", ".join(n for n, _, _ in op.fields))
    return x.Scan(op.key, tuple((n, given[n]) for n, _, _ in op.fields), span=e.span)


def keeps_shape(c: Context, name: str) -> bool:
    """Whether a function or fn is made only of elementwise operations and shape-keeping functions."""
    return _keeps_shape(c, name, c.definitions)


def _keeps_shape(c: Context, name: str, scope: Definitions) -> bool:
    """The same, of a name in a scope: the fns that it calls first, each once."""
    if name not in scope.fns:
        return name in PASSES_SHAPE or name in ("max", "min")
    known = c.shared.shape_keeping
    stack = [scope.fns[name]]
    path: set[str] = set()
    while stack:
        key, line = stack[-1]
        if key in known:
            stack.pop()
            continue
        inner = c.fn_scope(key)
        calls = _called(line.value)
        if key in path or calls is None:
            known[key] = calls is not None and all(
                known.get(inner.fns[f][0], False) if f in inner.fns else f in PASSES_SHAPE or f in ("max", "min") for f in calls
            )
            stack.pop()
            continue
        path.add(key)
        stack += [inner.fns[f] for f in calls if f in inner.fns and inner.fns[f][0] not in known and inner.fns[f][0] not in path]
    return known[scope.fns[name][0]]


def _called(e: s.Expr) -> set[str] | None:
    """The functions that an expression calls; None where it reads elsewhere."""
    out: set[str] = set()
    stack: list[s.Expr] = [e]
    while stack:
        n = stack.pop()
        match n:
            case s.Call():
                out.add(n.function)
                stack.extend(n.arguments)
            case s.Binary() | s.Compare() | s.Logical():
                stack += [n.left, n.right]
            case s.Not() | s.Negative():
                stack.append(n.operand)
            case s.Read() | s.Field():
                return None
    return out


def fn(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """A `fn`: its arguments once, then its expression with them."""
    key, line = c.definitions.fns[e.function]
    if key in c.shared.broken:
        raise Untypable()
    if e.keywords:
        raise c.fail("SEQ0228", f"the fn `{e.function}` takes its arguments in order", e.keywords[0].span)
    if len(e.arguments) != len(line.parameters):
        raise c.fail(
            "SEQ0227",
            f"`{e.function}` takes {len(line.parameters)} arguments, {len(e.arguments)} given",
            e.span,
            notes=(Note("declared here", line.name.span),),
            help=f"{e.function}({', '.join(p.text for p in line.parameters)})",
        )
    pass_on = want if keeps_shape(c, e.function) else None
    env: dict[str, Bound] = {}
    for p, a in zip(line.parameters, e.arguments, strict=True):
        word = c.axis_word(a)
        env[p.text] = Bound(expressions.typed(c, a, pass_on), s.Name(word, span=a.span) if word is not None else a)
    outer, fns, definitions = c.env, c.fns, c.definitions
    c.env, c.fns, c.definitions = env, (*fns, key), c.fn_scope(key)
    try:
        return expressions.typed(c, line.value, want)
    finally:
        c.env, c.fns, c.definitions = outer, fns, definitions

"""Types the layers and norms, and makes their parameters.

`linear(x, h[t-1], bias = 1)` becomes a sum of contractions with parameters named `equation.linear.input`. A layer takes the
declared shape of its equation, or `to =`; it mixes all dims of each operand (`over =` fewer, `per =` own weights for each
entry) and is mapped over indices.

Starts, where `init =` and `bias =` say nothing: weights and bias uniform in ±fan_in^-0.5, fan_in the product of the mixed
dims (the start of torch.nn.Linear); tables of `embedding` normal(0, 1) as torch.nn.Embedding; gains 1, shifts 0.

Refuses: SEQ0221 (two layers alike in one equation), SEQ0422 (a layer needs `to =`), SEQ0423 (a layer would drop an index),
         SEQ0424 (`per =` of an axis the operand lacks), SEQ0425 (no range for `embedding`), SEQ0426 (kernel), SEQ0427 (a given
         weight that does not fit), SEQ0428 (a norm's options).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from seqc.compiler.check import align, expressions
from seqc.compiler.check.align import shape
from seqc.compiler.check.context import Context, literal
from seqc.compiler.diagnostics.diagnostic import Note
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Axes, Expr, Read
from seqc.runtime.matching import is_dim


def layer(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """`linear`, `conv`, `lowrank`, `embedding`."""
    if c.where not in ("equation", "start"):
        raise c.fail("SEQ0429", f"`{e.function}` owns parameters and stands in equations only", e.span)
    if c.fns:
        raise c.fail("SEQ0429", "a `fn` has no layers inside", e.span, help="make it a block")
    if not e.arguments:
        raise c.fail("SEQ0227", f"`{e.function}` needs an operand", e.span)
    match e.function:
        case "linear":
            return linear(c, e, k, want)
        case "lowrank":
            return lowrank(c, e, k, want)
        case "embedding":
            return embedding(c, e, k, want)
    return conv(c, e, k, want)


# ---- naming -----------------------------------------------------------------------------------------------------------


def prefix(c: Context, e: s.Call, k: Mapping[str, s.Keyword], inputs: Sequence[str]) -> tuple[str, str]:
    """`equation.layer` (`equation.NAME` with `name =`) for the weights, and the prefix of what the inputs share: bias, gain.

    Both are the same for the first layer of its kind in the equation, in the order of the text; a later one puts its first
    input before its bias. Two layers whose weights would share a name are refused.
    """
    name = e.function
    if "name" in k:
        word = k["name"].value
        if not isinstance(word, s.Name):
            raise c.fail("SEQ0221", "`name =` takes a word", k["name"].span, help="name = re")
        name = word.id
    where = f"{c.equation}.{name}"
    for i in inputs:
        if (where, i) in c.layers_seen:
            raise c.fail(
                "SEQ0221",
                f"two layers in the equation of `{c.equation}` would both own the parameter `{where}.{i}`",
                e.span,
                notes=(Note("the other one", c.layers_seen[where, i]),),
                help=c.added(e.span, "name = second"),
            )
        c.layers_seen[where, i] = e.span
    first = c.first_layer(name)
    shared = where if first is None or first == e.span or not inputs else f"{where}.{inputs[0]}"
    return where, shared


def input_names(c: Context, args: Sequence[s.Expr]) -> list[str]:
    """What the layer's inputs are called: the value's name, `arg` for one unnamed expression, numbered where they repeat."""
    names: list[str] = []
    unnamed = 0
    for a in args:
        base = a.base if isinstance(a, s.Read) else a
        if isinstance(base, s.Name) and base.id in c.names.values:
            names.append(base.id)
        elif isinstance(base, s.Field):
            names.append(base.name)
        else:
            unnamed += 1
            names.append("arg")
    if unnamed > 1:
        raise c.fail(
            "SEQ0221",
            "a layer may have one unnamed expression among its inputs",
            args[-1].span,
            help="give the others a line of their own, so that their weights have names",
        )
    many = {n for n in names if names.count(n) > 1}
    seen: dict[str, int] = {}
    out = []
    for n in names:
        if n in many:
            out.append(f"{n}{seen.get(n, 0)}")
            seen[n] = seen.get(n, 0) + 1
        else:
            out.append(n)
    return out


def parameter(c: Context, name: str, axes: Axes, start: Expr, kind: x.Type, span: Span) -> Read:
    """A layer's parameter as a value of the body, and its read."""
    c.extra[name] = spec.Value(name, "param", axes, kind, start=start, level=c.level, owner=c.equation, span=span)
    return Read(name, axes=axes, type=kind, span=span)


def started(c: Context, k: s.Keyword | None, axes: Axes, default: Expr) -> Expr:
    """The start `init =` or `bias =` gives, or the default."""
    if k is None:
        return default
    where, c.where = c.where, "init"
    try:
        start = expressions.typed(c, k.value, axes)
    finally:
        c.where = where
    extra = [a for a in start.axes if a not in axes]
    if extra:
        raise c.fail("SEQ0401", f"a start of shape {shape(start.axes)} does not fit the parameter's {shape(axes)}", k.value.span)
    c.starts.append(start)
    return start


def fan(c: Context, sizes: Sequence[Expr], axes: Axes, span: Span) -> Expr:
    """uniform(-fan_in^-0.5, fan_in^-0.5)."""
    if not sizes:
        return literal(0, span)
    total: Expr = sizes[0] if len(sizes) == 1 else x.Apply("mul", tuple(sizes), type="int", span=span)
    bound = x.Apply("pow", (total, literal(-0.5, span)), type="real", span=span)
    low = x.Apply("neg", (bound,), type="real", span=span)
    return x.Draw("uniform", (low, bound), c.fresh(), axes=axes, type="real", span=span)


def size_of(c: Context, axis: str, span: Span) -> Expr:
    """The size of an axis: a dim, an index, or one the checker made."""
    if axis in c.sizes:
        return c.sizes[axis]
    if is_dim(axis):
        return x.DimSize(axis, type="int", span=span)
    return x.Length(axis, type="int", span=span)


def primed(c: Context, axis: str, taken: Sequence[str], span: Span) -> str:
    """`axis`, or its twin `axis'` where the name is taken."""
    if axis not in taken:
        return axis
    twin = axis + "'"
    c.sizes[twin] = size_of(c, axis, span)
    return twin


# ---- linear -----------------------------------------------------------------------------------------------------------


def mixed_axes(c: Context, e: s.Call, k: Mapping[str, s.Keyword], arg: Expr, per: Axes) -> Axes:
    """The axes of an operand that the layer mixes."""
    from seqc.compiler.check import functions

    if "over" in k:
        asked = [n.id for n in functions.names(c, k["over"])]
        return tuple(a for a in asked if a in arg.axes) or functions.over(c, e, k["over"], arg)
    return tuple(a for a in arg.axes if is_dim(a) and a not in per)


def result_dims(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None, mapped: Axes, per: Axes) -> Axes:
    """The dims a layer makes, beside what it is mapped over and `per`; in the order of `to =` or of the declared shape."""
    from seqc.compiler.check import functions

    if "to" in k:
        to = tuple(functions.known_axis(c, n) for n in functions.names(c, k["to"]))
        return tuple(a for a in to if a not in mapped and a not in per)
    if want is None:
        raise c.fail(
            "SEQ0422",
            f"`{e.function}` does not know what shape it has here",
            e.span,
            label="something other than elementwise operations stands between it and the `=`",
            help=c.added(e.span, f"to = {_guess(c, e)}"),
        )
    lost = [a for a in mapped if a not in want]
    if lost:
        raise c.fail(
            "SEQ0423",
            f"`{e.function}` is mapped over {shape(lost)}, which the declared shape {shape(want)} does not have",
            e.span,
            help=c.written.paste(
                e.arguments[0].span, f"mean({c.written.text(e.arguments[0].span)}, over = {lost[0] if len(lost) == 1 else shape(lost)})"
            ),
        )
    return tuple(a for a in want if a not in mapped and a not in per and (is_dim(a) or a in c.static_indices() and "to" in k))


def _guess(c: Context, e: s.Call) -> str:
    """The dims of a layer's first operand, where that is a plain name: the likeliest shape."""
    a = e.arguments[0]
    v = c.names.values.get(a.id) if isinstance(a, s.Name) else None
    dims = [i.text for i in v.line.shape.axes if is_dim(i.text)] if v is not None and v.line.shape is not None else []
    return shape(dims or ["D"])


def per_axes(c: Context, k: Mapping[str, s.Keyword], args: Sequence[Expr]) -> Axes:
    """The axes of `per =`."""
    from seqc.compiler.check import functions

    out = []
    for n in functions.names(c, k.get("per")):
        if not any(n.id in a.axes for a in args):
            raise c.fail(
                "SEQ0424",
                f"`per = {n.id}`, but no operand has that axis",
                n.span,
                label=f"it has {' and '.join(shape(a.axes) for a in args)}",
                help=c.written.paste(n.span, next((a for o in args for a in o.axes if is_dim(a)), "…")),
            )
        if not is_dim(n.id) and n.id not in c.static_indices():
            raise c.fail("SEQ0424", f"the size of `{n.id}` is known only in the run, so it cannot have weights of its own", n.span)
        out.append(n.id)
    return tuple(out)


def linear(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """A sum of learned maps."""
    args = [expressions.typed(c, a) for a in e.arguments]
    align.promoted(c, args, "`linear`")
    per = per_axes(c, k, args)
    inputs = input_names(c, e.arguments)
    over = [mixed_axes(c, e, k, a, per) for a in args]
    mapped: list[str] = []
    for a, o in zip(args, over, strict=True):
        mapped += [i for i in a.axes if i not in o and i not in per and i not in mapped]
    out = result_dims(c, e, k, want, tuple(mapped), per)
    biased = not ("bias" in k and isinstance(k["bias"].value, s.Name) and k["bias"].value.id == "none")
    given = k.get("weight")
    if given is not None and len(args) > 1:
        raise c.fail("SEQ0427", "one weight is given and the layer has several operands", given.span, label="a layer for each")
    where, shared = prefix(c, e, k, inputs)
    kind = c.layer_type
    if not ({"over", "per", "to", "weight"} & set(k)):
        mixed_and_kept(c, e, over, out)
    parts: list[Expr] = []
    fans: list[Expr] = []
    for a, o, name in zip(args, over, inputs, strict=True):
        if a.type in ("int", "bool"):
            a = x.Apply("add", (a, literal(0.0, a.span)), axes=a.axes, type="real", span=a.span) if a.type == "int" else a
        mine = tuple(p for p in per if p in a.axes)
        if given is not None:
            parts.append(with_weight(c, e, given, a, o, per, out))
            continue
        inner = [primed(c, i, (*out, *per, *mapped), e.span) for i in o]
        sizes = [size_of(c, i, e.span) for i in o]
        fans += [x.Apply("mul", tuple(sizes), type="int", span=e.span)] if len(sizes) > 1 else sizes
        axes = (*mine, *out, *inner)
        w = parameter(c, f"{where}.{name}", axes, started(c, k.get("init"), axes, fan(c, sizes, axes, e.span)), kind, e.span)
        renamed = rename(a, o, inner)
        lead = tuple(i for i in renamed.axes if i not in inner)
        parts.append(
            x.Contract(
                renamed,
                w,
                tuple(inner),
                axes=(*lead, *(i for i in out if i not in lead)),
                type="complex" if kind == "complex" else a.type,
                span=e.span,
            )
        )
    if biased:
        axes = (*per, *out)
        default = fan(c, [x.Apply("add", tuple(fans), type="int", span=e.span)] if len(fans) > 1 else fans, axes, e.span)
        parts.append(parameter(c, f"{shared}.bias", axes, started(c, k.get("bias"), axes, default), kind, e.span))
    axes = ordered(want, (*mapped, *per, *out))
    if len(parts) == 1:
        return parts[0] if set(parts[0].axes) == set(axes) else x.Expand(parts[0], axes=axes, type=parts[0].type, span=e.span)
    return x.Apply("add", tuple(parts), axes=axes, type="complex" if any(p.type == "complex" for p in parts) else "real", span=e.span)


def ordered(want: Axes | None, axes: Axes) -> Axes:
    """`axes` without repetitions, in the declared order where one is known."""
    unique = tuple(dict.fromkeys(axes))
    if want is None:
        return unique
    return (*[a for a in want if a in unique], *[a for a in unique if a not in want])


def mixed_and_kept(c: Context, e: s.Call, over: Sequence[Axes], out: Axes) -> None:
    """SEQ-W03: an axis that stands in operand and result and is mixed with others, where own weights may have been meant."""
    for mine in over:
        both = [i for i in mine if i in out]
        if both and len(mine) > len(both):
            every = dict.fromkeys(a for o in over for a in o)
            c.sink.report(
                "SEQ-W03",
                f"each `{both[0]}` of the result is made from every `{both[0]}` of the operand {shape(mine)}",
                e.span,
                label=f"own weights for each `{both[0]}` would be `per = {both[0]}`",
                notes=(Note(f"`over = {shape(list(every))}` says that all of it is meant to be mixed"),),
                help=c.added(e.span, f"per = {both[0]}"),
            )
            return


def rename(a: Expr, old: Sequence[str], new: Sequence[str]) -> Expr:
    """The operand with mixed axes under the weight's names."""
    pairs = tuple((o, n) for o, n in zip(old, new, strict=True) if o != n)
    if not pairs:
        return a
    to = dict(pairs)
    return x.Rename(a, pairs, axes=tuple(to.get(i, i) for i in a.axes), type=a.type, span=a.span)


def with_weight(c: Context, e: s.Call, given: s.Keyword, a: Expr, over: Axes, per: Axes, out: Axes) -> Expr:
    """`weight = e.embedding.ids`: a tied table; the mixed axes are found in it by name, primed or not."""
    w = expressions.typed(c, given.value)
    inner = [i if i in w.axes else i + "'" for i in over]
    lost = [o for o, i in zip(over, inner, strict=True) if i not in w.axes]
    if lost:
        raise c.fail(
            "SEQ0427",
            f"the given weight has {shape(w.axes)} and no axis for {shape(lost)}",
            given.span,
            label="it is mixed by this layer",
        )
    rest = tuple(i for i in w.axes if i not in inner)
    wanted = (*out, *(p for p in per if p in w.axes))
    if set(rest) != set(wanted):
        raise c.fail(
            "SEQ0427",
            f"the given weight makes {shape(rest)}, and {shape(wanted)} is needed",
            given.span,
            label=f"it has {shape(w.axes)}, of which {shape(inner)} is mixed",
        )
    renamed = rename(a, over, inner)
    lead = tuple(i for i in renamed.axes if i not in inner)
    axes = (*lead, *(i for i in rest if i not in lead))
    return x.Contract(renamed, w, tuple(inner), axes=axes, type=a.type, span=e.span)


def lowrank(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """`lowrank(x, rank = R)`: two maps with R numbers between them; the second one has the bias."""
    if "rank" not in k:
        raise c.fail("SEQ0228", "`lowrank` needs its rank", e.span, help=c.added(e.span, "rank = 16"))
    if len(e.arguments) != 1:
        raise c.fail("SEQ0227", "`lowrank` takes one operand", e.span)
    arg = expressions.typed(c, e.arguments[0])
    per = per_axes(c, k, [arg])
    over = mixed_axes(c, e, k, arg, per)
    mapped = tuple(a for a in arg.axes if a not in over and a not in per)
    out = result_dims(c, e, k, want, mapped, per)
    biased = not ("bias" in k and isinstance(k["bias"].value, s.Name) and k["bias"].value.id == "none")
    where, shared = prefix(c, e, k, input_names(c, e.arguments))
    if shared != where:
        where = shared
    rank_axis = f"{where}~rank"
    rank = expressions.typed(c, k["rank"].value)
    c.sizes[rank_axis] = rank
    inner = [primed(c, i, (*out, *per, *mapped), e.span) for i in over]
    down_axes = (*per, rank_axis, *inner)
    init = k.get("init")
    down = parameter(
        c,
        f"{where}.down",
        down_axes,
        started(c, init, down_axes, fan(c, [size_of(c, i, e.span) for i in over], down_axes, e.span)),
        "real",
        e.span,
    )
    up_axes = (*per, *out, rank_axis)
    up = parameter(c, f"{where}.up", up_axes, started(c, init, up_axes, fan(c, [rank], up_axes, e.span)), "real", e.span)
    renamed = rename(arg, over, inner)
    low = x.Contract(renamed, down, tuple(inner), axes=(*[a for a in renamed.axes if a not in inner], rank_axis), type="real", span=e.span)
    axes = ordered(want, (*mapped, *per, *out))
    high = x.Contract(low, up, (rank_axis,), axes=axes, type="real", span=e.span)
    if not biased:
        return high
    b_axes = (*per, *out)
    bias = parameter(c, f"{where}.bias", b_axes, started(c, k.get("bias"), b_axes, fan(c, [rank], b_axes, e.span)), "real", e.span)
    return x.Apply("add", (high, bias), axes=axes, type="real", span=e.span)


# ---- embedding --------------------------------------------------------------------------------------------------------


def embedding(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """A learned table read at whole numbers; a number outside it (`init -1`) gives zeros."""
    if len(e.arguments) != 1:
        raise c.fail("SEQ0227", "`embedding` takes one operand", e.span)
    ids = expressions.typed(c, e.arguments[0])
    if ids.type != "int":
        raise c.fail("SEQ0408", "`embedding` reads whole numbers, this is a real", ids.span, help="in ids : [t] of int in [0, W)")
    if "weight" in k:
        table = expressions.typed(c, k["weight"].value)
        if not table.axes:
            raise c.fail("SEQ0427", "the given table has no axes", k["weight"].span)
        return table_read(c, table, table.axes[0], ids, want, e.span)
    name = input_names(c, e.arguments)[0]
    where, _ = prefix(c, e, k, [name])
    size = vocabulary(c, ids, e.arguments[0])
    out = result_dims(c, e, k, want, ids.axes, ())
    if isinstance(size, x.DimSize) and size.dim not in out:
        axis = size.dim
    else:
        axis = f"{where}~rows"
        c.sizes[axis] = size
    axes = (axis, *out)
    zero, one = literal(0, e.span), literal(1, e.span)
    start = started(c, k.get("init"), axes, x.Draw("normal", (zero, one), c.fresh(), axes=axes, type="real", span=e.span))
    table = parameter(c, f"{where}.{name}", axes, start, c.layer_type, e.span)
    return table_read(c, table, axis, ids, want, e.span)


def table_read(c: Context, table: Expr, axis: str, ids: Expr, want: Axes | None, span: Span) -> Expr:
    """`table[axis = ids]`, zeros outside the table."""
    del c
    rest = tuple(a for a in table.axes if a != axis)
    axes = ordered(want, (*ids.axes, *rest))
    return x.GatherAt(table, ((axis, ids),), "zero", axes=axes, type=table.type, span=span)


def vocabulary(c: Context, ids: Expr, written: s.Expr) -> Expr:
    """How many rows a table has: from the declared range of what is looked up."""
    base = written.base if isinstance(written, s.Read) else written
    v = c.names.values.get(base.id) if isinstance(base, s.Name) else None
    r = v.line.range if v is not None else None
    if r is None:
        raise c.fail(
            "SEQ0425",
            "the size of this table is not known: what is looked up has no range",
            ids.span,
            help=f"{c.written.text(v.line.span)} in [0, W)" if v is not None and v.value is None else "ids : [t] of int in [0, W) = …",
        )
    where, c.where = c.where, "dims"
    try:
        high = expressions.typed(c, r.high)
    finally:
        c.where = where
    if isinstance(high, x.Literal_) and high.value == float("inf"):
        raise c.fail("SEQ0425", "the size of this table is not known: the range of what is looked up is open", ids.span, help="in [0, W)")
    if r.high_open:
        return high
    return x.Apply("add", (high, literal(1, high.span)), type="int", span=high.span)


# ---- convolution ------------------------------------------------------------------------------------------------------


def conv(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """A convolution: causal along the body's chain, or over axes of the operands with an explicit pad."""
    from seqc.compiler.check import functions

    args = [expressions.typed(c, a) for a in e.arguments]
    align.promoted(c, args, "`conv`")
    if "kernel" not in k:
        raise c.fail("SEQ0426", "`conv` needs the length of its kernel", e.span, help=c.added(e.span, "kernel = 4"))
    per = per_axes(c, k, args)
    inputs = input_names(c, e.arguments)
    pad, margin = padding(c, k.get("pad"))
    over = tuple(n.id for n in functions.names(c, k.get("over")))
    if not over:
        chain = c.chain or ("t" if all("t" in a.axes for a in args) else "")
        if not chain:
            raise c.fail(
                "SEQ0426",
                "`conv` needs `over`: this body has no chain to run along",
                e.span,
                help=c.added(e.span, "over = [y, x], pad = zero"),
            )
        over = (chain,)
    for o in over:
        if o not in c.running and not all(o in a.axes for a in args):
            functions.over(c, e, k.get("over"), next(a for a in args if o not in a.axes))
    causal = pad == "causal"
    if causal and len(over) > 1:
        raise c.fail("SEQ0426", "a convolution over several axes needs an explicit `pad`", e.span, help=c.added(e.span, "pad = zero"))
    if not causal and any(o in c.running for o in over):
        raise c.fail("SEQ0304", "a convolution with `pad` looks ahead along the cell's chain", e.span, help="leave `pad` out: causal")
    size = expressions.typed(c, k["kernel"].value)
    stride = expressions.typed(c, k["stride"].value) if "stride" in k else literal(1, e.span)
    dilation = expressions.typed(c, k["dilation"].value) if "dilation" in k else literal(1, e.span)
    biased = not ("bias" in k and isinstance(k["bias"].value, s.Name) and k["bias"].value.id == "none")
    where, shared = prefix(c, e, k, inputs)
    each = [tuple(a for a in arg.axes if is_dim(a) and a not in per and a not in over) for arg in args]
    mapped: list[str] = []
    for arg, m in zip(args, each, strict=True):
        mapped += [i for i in arg.axes if i not in m and i not in per and i not in over and i not in mapped]
    keeps = not ("stride" in k and not is_one(stride)) and pad != "explicit"
    result, out = conv_result(c, e, k, want, tuple(mapped), per, over, keeps)
    taps = tuple(f"{where}~{o}" for o in over)
    for t in taps:
        c.sizes[t] = size
    kernels: list[Expr] = []
    mixes: list[tuple[tuple[str, str], ...]] = []
    fans: list[Expr] = []
    operands: list[Expr] = []
    for arg, mix, name in zip(args, each, inputs, strict=True):
        inner = [primed(c, i, (*out, *per, *mapped), e.span) for i in mix]
        axes = (*(p for p in per if p in arg.axes), *out, *inner, *taps)
        sizes = [*(size_of(c, i, e.span) for i in mix), *([size] * len(taps))]
        fans += [x.Apply("mul", tuple(sizes), type="int", span=e.span)] if len(sizes) > 1 else sizes
        kernels.append(parameter(c, f"{where}.{name}", axes, started(c, k.get("init"), axes, fan(c, sizes, axes, e.span)), "real", e.span))
        mixes.append(tuple(zip(mix, inner, strict=True)))
        operands.append(c.history(arg, f"{where}.{name}.past", e.span) if causal else arg)
    bias: Expr | None = None
    if biased:
        axes = (*per, *out)
        default = fan(c, [x.Apply("add", tuple(fans), type="int", span=e.span)] if len(fans) > 1 else fans, axes, e.span)
        bias = parameter(c, f"{shared}.bias", axes, started(c, k.get("bias"), axes, default), "real", e.span)
    shown = tuple(r for r in result if r not in c.running)
    axes = ordered(want, (*mapped, *per, *out, *shown))
    return x.Conv(
        tuple(operands),
        tuple(kernels),
        bias,
        over,
        tuple(mixes),
        result,
        per,
        taps,
        size,
        pad,
        margin,
        stride,
        dilation,
        axes=axes,
        type="real",
        span=e.span,
    )


def is_one(e: Expr) -> bool:
    """The literal 1."""
    return isinstance(e, x.Literal_) and e.value == 1


def padding(c: Context, k: s.Keyword | None) -> tuple[Literal["causal", "wrap", "zero", "clamp", "explicit"], Expr | None]:
    """The `pad =` of a convolution."""
    if k is None:
        return "causal", None
    if isinstance(k.value, s.Name) and k.value.id not in c.names.dims and k.value.id not in c.names.values:
        words: dict[str, Literal["wrap", "zero", "clamp"]] = {"wrap": "wrap", "zero": "zero", "clamp": "clamp"}
        if k.value.id in words:
            return words[k.value.id], None
        raise c.fail(
            "SEQ0419",
            f"there is no pad `{k.value.id}`",
            k.value.span,
            label="wrap, clamp and zero keep the size; a number is explicit",
            help=c.written.paste(k.value.span, "clamp" if k.value.id in ("replicate", "edge", "border") else "zero"),
        )
    return "explicit", expressions.typed(c, k.value)


def conv_result(
    c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None, mapped: Axes, per: Axes, over: Axes, keeps: bool
) -> tuple[Axes, Axes]:
    """The axes that `over` turns into, and the dims a convolution makes."""
    from seqc.compiler.check import functions

    if "to" in k:
        to = tuple(functions.known_axis(c, n) for n in functions.names(c, k["to"]))
        return over, tuple(a for a in to if a not in mapped and a not in per and a not in over)
    if want is None:
        raise c.fail("SEQ0422", "`conv` does not know what shape it has here", e.span, help=c.added(e.span, "to = [H, K]"))
    shown = tuple(o for o in over if o not in c.running)
    lost = [a for a in (*mapped, *per) if a not in want]
    if lost:
        raise c.fail("SEQ0423", f"`conv` is mapped over {shape(lost)}, which the declared shape {shape(want)} does not have", e.span)
    fresh = [a for a in want if a not in mapped and a not in per]
    if keeps or all(o in fresh for o in shown):
        missing = [o for o in shown if o not in fresh]
        if missing:
            raise c.fail(
                "SEQ0423",
                f"`conv` keeps {shape(missing)}, which the declared shape {shape(want)} does not have",
                e.span,
                help="stride = 2 or pad = 0 change the size and so the axis",
            )
        return over, tuple(a for a in fresh if a not in shown)
    first_index = is_dim(shown[0]) if shown else False
    candidates = [a for a in fresh if is_dim(a) == first_index]
    turned = tuple(candidates[-len(shown) :]) if shown else ()
    if len(turned) != len(shown):
        raise c.fail("SEQ0423", f"the declared shape {shape(want)} lacks the axes that {shape(shown)} turn into", e.span)
    return turned, tuple(a for a in fresh if a not in turned)


# ---- norms ------------------------------------------------------------------------------------------------------------


EPS = {"rmsnorm": 1e-6, "layernorm": 1e-5, "groupnorm": 1e-5, "batchnorm": 1e-5}


def norm(c: Context, e: s.Call, k: Mapping[str, s.Keyword], want: Axes | None) -> Expr:
    """`rmsnorm layernorm groupnorm batchnorm`: the shape stays; own gain (and shift, not rmsnorm) unless `affine = none`."""
    from seqc.compiler.check import functions

    if len(e.arguments) != 1:
        raise c.fail("SEQ0227", f"`{e.function}` takes one operand", e.span)
    arg = expressions.typed(c, e.arguments[0], want)
    dims = tuple(a for a in arg.axes if is_dim(a))
    over = functions.over(c, e, k["over"], arg) if "over" in k else dims
    affine = True
    if "affine" in k:
        word = k["affine"].value
        if not isinstance(word, s.Name) or word.id != "none":
            raise c.fail(
                "SEQ0428",
                "a norm without gain and shift says `affine = none`",
                k["affine"].value.span,
                help=c.written.paste(k["affine"].value.span, "none"),
            )
        affine = False
    eps = EPS[e.function]
    if "eps" in k:
        number = expressions.typed(c, k["eps"].value)
        if not isinstance(number, x.Literal_) or not isinstance(number.value, int | float) or number.value < 0:
            raise c.fail("SEQ0428", "`eps` is a number", k["eps"].value.span, help=c.written.paste(k["eps"].value.span, "1e-5"))
        eps = float(number.value)
    groups = expressions.typed(c, k["groups"].value) if "groups" in k else None
    if groups is not None and e.function != "groupnorm":
        raise c.fail("SEQ0428", f"`{e.function}` has no groups", k["groups"].span, help="groupnorm(…)")
    scaled = tuple(a for a in arg.axes if a in over and is_dim(a)) if e.function in ("rmsnorm", "layernorm") else dims
    gain = bias = None
    where = ""
    if (affine and scaled) or e.function == "batchnorm":
        if c.fns or c.where not in ("equation", "start"):
            raise c.fail("SEQ0429", f"`{e.function}` owns parameters and stands in equations only", e.span, help="affine = none")
        _, where = prefix(c, e, k, input_names(c, e.arguments))
    if affine and scaled:
        gain = parameter(c, f"{where}.gain", scaled, literal(1, e.span), "real", e.span)
        if e.function != "rmsnorm":
            bias = parameter(c, f"{where}.bias", scaled, literal(0, e.span), "real", e.span)
    state = where if e.function == "batchnorm" else ""
    return x.Norm(
        e.function,
        arg,
        over,
        gain,
        bias,
        eps,
        groups,
        state,
        axes=arg.axes,
        type=arg.type if arg.type != "int" else "real",
        span=e.span,
    )

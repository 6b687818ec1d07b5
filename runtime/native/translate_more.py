"""Operations of torch as instructions: arithmetic, powers, copies, choices, joining.

In, out and refused: as in `translate`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from seqc.runtime.native.places import KINDS, Place, Unfit
from seqc.runtime.native.translate import Given, Translator, copy_of, ending

Operation = Callable[[Translator, Callable[[], Place], Given, Any], None]


def _kind(out: Tensor, allowed: str, name: str) -> str:
    kind = KINDS.get(out.dtype, "-")
    if kind not in allowed:
        raise Unfit(f"`{name}` of {out.dtype}")
    return kind


def _sum(t: Translator, into: Callable[[], Place], g: Given, out: Tensor, sign: str, turned: bool = False) -> None:
    kind = _kind(out, "ric", sign)
    a, b = t.term(g["self"], kind), t.term(g["other"], kind)
    if turned:
        a, b = b, a
    alpha = g.get("alpha", 1)
    if alpha != 1:
        scaled = a if turned and sign == "sub" else b
        more = t.two("mul" + ending(kind), scaled, t.number(alpha, kind))
        a, b = (a, more) if scaled is b else (more, b)
    t.emit(sign + ending(kind), into(), a, b)


def _add(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    _sum(t, into, g, out, "add")


def _sub(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    _sum(t, into, g, out, "sub")


def _rsub(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    if g.get("alpha", 1) != 1:
        raise Unfit("`rsub` with a factor")
    _sum(t, into, g, out, "sub", True)


def _mul(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "ricb", "mul")
    t.emit("and" if kind == "b" else "mul" + ending(kind), into(), t.term(g["self"], kind), t.term(g["other"], kind))


def _div(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "rc", "div")
    rounding = g.get("rounding_mode")
    a, b = t.term(g["self"], kind), t.term(g["other"], kind)
    if rounding is None:
        t.emit("div" + ending(kind), into(), a, b)
    elif kind == "r" and rounding == "trunc":
        t.emit("trunc", into(), t.two("div", a, b, out.shape))
    else:
        raise Unfit("a division that rounds")


def _pow(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    _kind(out, "r", "pow")
    exponent = g["exponent"]
    if not isinstance(exponent, Tensor) and exponent in (2, 0.5, -0.5, 1, -1):
        name = {2: "square", 0.5: "sqrt", -0.5: "rsqrt", 1: "copy_rr", -1: "reciprocal"}[exponent]
        t.emit(name, into(), t.term(g["self"], "r"))
    else:
        t.emit("pow", into(), t.term(g["self"], "r"), t.term(exponent, "r"))


def _gelu(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    _kind(out, "r", "gelu")
    if g.get("approximate", "none") != "none":
        raise Unfit("`gelu` by tanh")
    t.emit("gelu", into(), t.term(g["self"], "r"))


def _softplus(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    _kind(out, "r", "softplus")
    if g.get("beta", 1) != 1 or g.get("threshold", 20) < 20:
        raise Unfit("`softplus` with a slope")
    t.emit("softplus", into(), t.term(g["self"], "r"))


def _round(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    _kind(out, "r", "round")
    if g.get("decimals", 0):
        raise Unfit("`round` to decimals")
    t.emit("round", into(), t.term(g["self"], "r"))


def _clamp(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "ri", "clamp")
    found = t.term(g["self"], kind)
    steps = [(f, g[k]) for k, f in (("min", "max"), ("max", "min")) if g.get(k) is not None]
    for i, (function, end) in enumerate(steps):
        to = into() if i == len(steps) - 1 else t.temporary(out.shape, kind)
        found = t.emit(function + ending(kind), to, found, t.term(end, kind))


def _where(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "ribc", "where")
    yes = t.cast(t.place(g["condition"]), "b")
    t.emit(f"where_{kind}", into(), yes, t.term(g["self"], kind), t.term(g["other"], kind))


def _copied(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    source = t.place(g["self"])
    t.emit(copy_of(_kind(out, "ribc", "copy"), source.kind), into(), source)


def _copy_in(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    source = t.place(g["src"])
    t.emit(copy_of(_kind(out, "ribc", "copy"), source.kind), into(), source)


def _fill(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "ribc", "fill")
    t.emit(copy_of(kind, kind), into(), t.term(g.get("value", 0), kind))


def _complex(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    to = into()
    for i, part in enumerate((g["real"], g["imag"])):
        half = Place(to.buffer, to.offset + i * t.width, to.shape, tuple(2 * s for s in to.steps), "r", t.width)
        t.emit("copy_rr", half, t.term(part, "r"))


def _addc(t: Translator, into: Callable[[], Place], g: Given, out: Tensor, function: str) -> None:
    kind = _kind(out, "r", "addcmul")
    more = t.two(function, t.term(g["tensor1"], kind), t.term(g["tensor2"], kind), out.shape)
    if g.get("value", 1) != 1:
        more = t.two("mul", more, t.number(g["value"], kind))
    t.emit("add", into(), t.term(g["self"], kind), more)


def _lerp(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "r", "lerp")
    a = t.term(g["self"], kind)
    way = t.two("sub", t.term(g["end"], kind), a, out.shape)
    t.emit("add", into(), a, t.two("mul", way, t.term(g["weight"], kind), out.shape))


def _cat(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "ribc", "cat")
    to, dim, at = into(), g.get("dim", 0) % out.dim(), 0
    for x in g["tensors"]:
        if x.dim() == 1 and not x.numel():
            continue
        if x.shape[dim]:
            source = t.place(x)
            t.emit(copy_of(kind, source.kind), to.part(dim, at, x.shape[dim]), source)
        at += x.shape[dim]


def _stack(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "ribc", "stack")
    to, dim = into(), g.get("dim", 0) % out.dim()
    for i, x in enumerate(g["tensors"]):
        source = t.place(x).at_ones(dim)
        t.emit(copy_of(kind, source.kind), to.part(dim, i, 1), source)


def _flip(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    source = t.place(g["self"])
    offset, steps = source.offset, list(source.steps)
    for d in g["dims"]:
        offset += (source.shape[d] - 1) * steps[d] * source.width
        steps[d] = -steps[d]
    turned = Place(source.buffer, offset, source.shape, tuple(steps), source.kind, source.width)
    t.emit(copy_of(source.kind, source.kind), into(), turned)


def _pad(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "rib", "pad")
    to, source = into(), t.place(g["self"])
    t.emit(copy_of(kind, kind), to, t.number(g.get("value", 0), kind))
    ends = list(g["pad"])
    for i in range(len(ends) // 2):
        dim, low = len(out.shape) - 1 - i, ends[2 * i]
        if low < 0 or ends[2 * i + 1] < 0:
            raise Unfit("padding that cuts")
        to = to.part(dim, low, source.shape[dim])
    t.emit(copy_of(kind, kind), to, source)


MORE: dict[str, Operation] = {
    "add": _add, "sub": _sub, "rsub": _rsub, "mul": _mul, "div": _div, "true_divide": _div, "pow": _pow, "gelu": _gelu,
    "softplus": _softplus, "round": _round, "clamp": _clamp, "clamp_min": _clamp, "clamp_max": _clamp, "where": _where,
    "clone": _copied, "_to_copy": _copied, "contiguous": _copied, "copy": _copy_in, "fill": _fill, "zero": _fill, "complex": _complex,
    "addcmul": lambda t, i, g, o: _addc(t, i, g, o, "mul"), "addcdiv": lambda t, i, g, o: _addc(t, i, g, o, "div"), "lerp": _lerp,
    "cat": _cat, "stack": _stack, "flip": _flip, "constant_pad_nd": _pad, "_unsafe_view": _copied, "_reshape_copy": _copied,
}  # fmt: skip

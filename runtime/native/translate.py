"""Operations of torch as instructions: elementwise ones, copies, choices; sums, norms and products are in `translate_sums`.

In:      one operation with its arguments and its result, as the recorder saw it.
Out:     instructions on the tape that compute the same numbers, up to the order of sums.
Refuses: `Unfit`, with the operation's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.places import KINDS, Buffer, Instruction, Place, Tape, Unfit, contiguous

Given = dict[str, Any]

UNARY = {
    "abs": "abs", "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "tanh": "tanh", "sigmoid": "sigmoid", "silu": "silu",
    "sin": "sin", "cos": "cos", "atan": "atan", "erf": "erf", "sqrt": "sqrt", "rsqrt": "rsqrt", "floor": "floor", "ceil": "ceil",
    "trunc": "trunc", "sign": "sign", "relu": "relu", "neg": "neg", "square": "square", "reciprocal": "reciprocal",
    "log_sigmoid_forward": "logsigmoid", "conj_physical": "conj", "_conj_physical": "conj",
}  # fmt: skip
BINARY = {"maximum": "max", "minimum": "min", "remainder": "mod", "logaddexp": "logaddexp"}
COMPARE = {"lt": ("lt", False), "le": ("le", False), "gt": ("lt", True), "ge": ("le", True), "eq": ("eq", False), "ne": ("ne", False)}
TRUTH = {
    "logical_and": "and", "logical_or": "or", "logical_xor": "xor", "bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor",
    "logical_not": "not", "bitwise_not": "not",
}  # fmt: skip


class Translator:
    """Writes instructions. `place` finds a tensor, `fresh` makes a place for a new one."""

    def __init__(self, tape: Tape, place: Callable[[Tensor], Place], fresh: Callable[[Tensor], Place]) -> None:
        self.tape, self.place, self.fresh = tape, place, fresh

    def run(self, name: str, func: Any, args: Sequence[Any], kwargs: Given, made: Any) -> None:
        """One operation. Raises Unfit."""
        from seqc.runtime.native.translate_sums import SUMS

        given = bound(func, args, kwargs)
        inside = name.endswith("_") and not name.endswith("__")
        base = name[:-1] if inside else name
        into = (lambda: self.place(made)) if inside else (lambda: self.fresh(made[0] if isinstance(made, tuple | list) else made))
        out = made[0] if isinstance(made, tuple | list) else made
        if base in UNARY:
            self.unary(UNARY[base], into, given, out)
        elif base in COMPARE:
            self.compared(*COMPARE[base], into, given)
        elif base in TRUTH:
            parts = [self.cast(self.place(given[k]), "b") for k in ("self", "other") if k in given]
            if out.dtype != torch.bool or any(given[k].dtype != torch.bool for k in ("self", "other") if k in given and "bitwise" in base):
                raise Unfit(f"`{base}` of whole numbers")
            self.emit(TRUTH[base], into(), *parts)
        elif base in BINARY:
            kind = KINDS.get(out.dtype, "")
            if kind not in ("r", "i") or kind == "i" and base not in ("maximum", "minimum"):
                raise Unfit(f"`{base}` of {out.dtype}")
            self.emit(BINARY[base] + _of(kind), into(), self.term(given["self"], kind), self.term(given["other"], kind))
        elif base in MORE:
            MORE[base](self, into, given, out)
        elif base in SUMS:
            SUMS[base](self, into, given, made)
        else:
            raise Unfit(f"`{base}`")

    # ---- pieces -------------------------------------------------------------------------------------------------------

    def emit(self, function: str, out: Place, *parts: Place) -> Place:
        """An elementwise instruction; parts are broadcast."""
        places = [out, *(p.wide(out.shape) for p in parts)]
        if len(out.shape) > 8:
            raise Unfit("more than eight dimensions")
        self.tape.instructions.append(Instruction("entries", places, (function,)))
        return out

    def temporary(self, shape: Sequence[int], kind: str) -> Place:
        """Memory between instructions."""
        width = {"b": 1, "i": 8, "r": self.width, "c": 2 * self.width}[kind]
        buffer = Buffer("memory", 2, 0, width * math.prod(shape))
        self.tape.buffers.append(buffer)
        return Place(buffer, 0, tuple(shape), contiguous(shape), kind, width)

    width = 4
    """Bytes of a real number."""

    def one(self, function: str, x: Place) -> Place:
        """A function of one place, in new memory."""
        return self.emit(function + _of(x.kind), self.temporary(x.shape, x.kind), x)

    def two(self, function: str, x: Place, y: Place, shape: Sequence[int] | None = None) -> Place:
        """A function of two places, in new memory."""
        return self.emit(function, self.temporary(shape if shape is not None else x.shape, x.kind), x, y)

    def number(self, value: Any, kind: str) -> Place:
        """A number as a place without dimensions."""
        key = (kind, repr(complex(value)))
        held = self.tape.numbers.get(key)
        if held is None:
            dtype = {"b": torch.bool, "i": torch.int64, "r": _real(self.width), "c": _real(self.width).to_complex()}[kind]
            x = torch.full((), value, dtype=dtype)
            buffer = Buffer("held", 0, x.data_ptr(), x.element_size(), value=x)
            self.tape.buffers.append(buffer)
            held = self.tape.numbers[key] = Place(buffer, 0, (), (), kind, x.element_size())
        return held

    def cast(self, x: Place, kind: str) -> Place:
        """The same numbers as another kind."""
        if x.kind == kind:
            return x
        return self.emit(copy_of(kind, x.kind), self.temporary(x.shape, kind), x)

    def term(self, x: Any, kind: str) -> Place:
        """A tensor or a number as an operand of this kind."""
        return self.cast(self.place(x), kind) if isinstance(x, Tensor) else self.number(x, kind)

    # ---- operations ---------------------------------------------------------------------------------------------------

    def unary(self, function: str, into: Callable[[], Place], given: Given, out: Tensor) -> None:
        """A function of one argument."""
        kind = KINDS.get(out.dtype, "")
        inner = KINDS.get(given["self"].dtype, "") if function == "abs" else kind
        allowed = {"c": ("abs", "neg", "exp", "expm1", "conj"), "i": ("abs", "neg"), "r": (function,)}.get(inner, ())
        if function not in allowed or function == "conj" and inner != "c":
            raise Unfit(f"`{function}` of {out.dtype}")
        self.emit(function + _of(inner), into(), self.term(given["self"], inner))

    def compared(self, function: str, turned: bool, into: Callable[[], Place], given: Given) -> None:
        """A comparison."""
        a, b = given["self"], given["other"]
        kind = KINDS.get(torch.result_type(a, b), "")
        if kind not in ("r", "i", "b"):
            raise Unfit("a comparison of these types")
        left, right = self.term(a, kind), self.term(b, kind)
        self.emit(f"{function}_{kind}", into(), *((right, left) if turned else (left, right)))


def _of(kind: str) -> str:
    """What a function's name ends in for a kind."""
    return {"r": "", "i": "_i", "c": "_c", "b": "_b"}[kind]


def copy_of(to: str, source: str) -> str:
    """The function that copies one kind to another."""
    name = f"copy_{to}{source}"
    if name in ("copy_rc", "copy_ic", "copy_bc"):
        raise Unfit("a complex number made real")
    return name


def _real(width: int) -> torch.dtype:
    return torch.float32 if width == 4 else torch.float64


def bound(func: Any, args: Sequence[Any], kwargs: Given) -> Given:
    """Arguments by name, defaults among them."""
    found: Given = {}
    for i, a in enumerate(func._schema.arguments):
        if i < len(args):
            found[a.name] = args[i]
        elif a.name in kwargs:
            found[a.name] = kwargs[a.name]
        elif a.has_default_value():
            found[a.name] = a.default_value
    return found


# ---- the rest, one by one ---------------------------------------------------------------------------------------------

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
        more = t.two("mul" + _of(kind), scaled, t.number(alpha, kind))
        a, b = (a, more) if scaled is b else (more, b)
    t.emit(sign + _of(kind), into(), a, b)


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
    t.emit("and" if kind == "b" else "mul" + _of(kind), into(), t.term(g["self"], kind), t.term(g["other"], kind))


def _div(t: Translator, into: Callable[[], Place], g: Given, out: Tensor) -> None:
    kind = _kind(out, "rc", "div")
    rounding = g.get("rounding_mode")
    a, b = t.term(g["self"], kind), t.term(g["other"], kind)
    if rounding is None:
        t.emit("div" + _of(kind), into(), a, b)
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
        found = t.emit(function + _of(kind), to, found, t.term(end, kind))


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

__all__ = ["Translator", "bound", "copy_of"]

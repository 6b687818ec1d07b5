"""Operations of torch as instructions: functions of one and of two values, comparisons; the pieces that all others are made of.

Arithmetic, copies and choices are in `translate_more`; sums, norms and products in `translate_sums`.

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
        from seqc.runtime.native.translate_more import MORE
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
            self.emit(BINARY[base] + ending(kind), into(), self.term(given["self"], kind), self.term(given["other"], kind))
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
        return self.emit(function + ending(x.kind), self.temporary(x.shape, x.kind), x)

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
        self.emit(function + ending(inner), into(), self.term(given["self"], inner))

    def compared(self, function: str, turned: bool, into: Callable[[], Place], given: Given) -> None:
        """A comparison."""
        a, b = given["self"], given["other"]
        kind = KINDS.get(torch.result_type(a, b), "")
        if kind not in ("r", "i", "b"):
            raise Unfit("a comparison of these types")
        left, right = self.term(a, kind), self.term(b, kind)
        self.emit(f"{function}_{kind}", into(), *((right, left) if turned else (left, right)))


def ending(kind: str) -> str:
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


__all__ = ["Translator", "bound", "copy_of", "ending"]

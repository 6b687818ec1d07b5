"""Statements as Triton: each value a tile with one dimension for the sequences of a program and one for each axis.

In:   a statement, and which dimensions the values that it reads really have (`Tile`).
Out:  the text of an expression, and the dimensions of its value. A dimension that a value lacks has size 1, so that Triton's own
      rule for sizes of 1 repeats it.
Keeps: the arithmetic type (`REAL`): a number that float32 cannot hold exactly is written as a tile of that type.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from seqc.compiler.ir.kernel import Apply, Arg, Reduce, Rename, Var

BUILT_IN = {"exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "sqrt": "sqrt", "rsqrt": "rsqrt", "abs": "abs", "floor": "floor",
            "ceil": "ceil", "erf": "erf", "sigmoid": "sigmoid"}  # fmt: skip
"""Functions that Triton has under its own name."""

OURS = frozenset((
    "expm1", "log1p", "tanh", "silu", "softplus", "logsigmoid", "atan", "gelu", "logaddexp", "expdiff", "sign", "relu", "min", "max", "mod",
    "pow",
))  # fmt: skip
"""Functions of `seqc.runtime.triton.functions`."""

TIME = "t~"
"""How tiles call their dimension of steps; no axis has such a name."""

NAMES = {"min": "smaller", "max": "larger"}
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
ORDER = {"lt": ("<", ">"), "le": ("<=", ">="), "eq": ("==", "=="), "ne": ("!=", "!=")}
LARGEST_POWER = 16
"""Up to this exponent a power is written as a product."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Which dimensions a value has: `batched`, one entry for each sequence of the program; `axes`."""

    batched: bool = False
    axes: frozenset[str] = frozenset()

    def __or__(self, other: Tile) -> Tile:
        return Tile(self.batched or other.batched, self.axes | other.axes)


SINGLE = Tile()


@dataclass(frozen=True, slots=True)
class Shapes:
    """Texts of shapes; `axes` is the kernel's order. `timed`: tiles have a dimension of steps behind that of sequences."""

    axes: tuple[str, ...]
    timed: bool = False

    @property
    def lead(self) -> tuple[str, ...]:
        """The dimensions before those of the axes."""
        return ("", TIME) if self.timed else ("",)

    def of(self, tile: Tile) -> str:
        """The shape of a tile."""
        parts = ["BLOCK_B" if tile.batched else "1"]
        if self.timed:
            parts.append("BLOCK_T" if TIME in tile.axes else "1")
        parts += [f"BLOCK_{i}" if a in tile.axes else "1" for i, a in enumerate(self.axes)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def dimension(self, axis: str) -> int:
        """The dimension of an axis in every tile."""
        return (*self.lead, *self.axes).index(axis)

    def along(self, axis: str) -> str:
        """The subscript that puts a list of entries along an axis; "" for the sequences."""
        every = (*self.lead, *self.axes)
        return f"[{', '.join(':' if a == axis else 'None' for a in every)}]" if len(every) > 1 else ""


def exact(x: float) -> bool:
    """Whether float32 holds a number exactly."""
    if not math.isfinite(x):
        return True
    try:
        return bool(struct.unpack("f", struct.pack("f", x))[0] == x)
    except OverflowError:
        return False


def literal(x: float, shapes: Shapes) -> str:
    """A number beside a tile."""
    if x != x:
        return 'float("nan")'
    if math.isinf(x):
        return 'float("inf")' if x > 0 else 'float("-inf")'
    return repr(float(x)) if exact(x) else filled(x, SINGLE, shapes)


def plain(x: float, shapes: Shapes) -> str:
    """A number beside a sign of arithmetic: Triton gives it the tile's type."""
    return repr(float(x)) if math.isfinite(x) else literal(x, shapes)


def filled(x: float, tile: Tile, shapes: Shapes) -> str:
    """A tile of one number."""
    number = repr(float(x)) if math.isfinite(x) else literal(x, shapes)
    return f"tl.full({shapes.of(tile)}, {number}, REAL)"


class Writer:
    """Writes right-hand sides. `tiles` says what dimensions values have; it grows with each statement."""

    def __init__(self, shapes: Shapes, tiles: dict[int, Tile]) -> None:
        self.shapes, self.tiles = shapes, tiles

    def name(self, v: Var) -> str:
        """How a value is called."""
        return f"v{v.id}"

    def arg(self, a: Arg) -> str:
        """An operand."""
        return self.name(a) if isinstance(a, Var) else literal(a, self.shapes)

    def truth(self, a: Arg) -> str:
        """A truth value."""
        return self.name(a) if isinstance(a, Var) else f"tl.full({self.shapes.of(SINGLE)}, {int(bool(a))}, tl.int1)"

    def apply(self, s: Apply) -> str:
        """The right-hand side of an elementwise statement."""
        have = SINGLE
        for a in s.args:
            if isinstance(a, Var):
                have |= self.tiles[a.id]
        want = have | Tile(False, frozenset(s.out.axes))
        self.tiles[s.out.id] = want
        if s.fn == "copy" and not isinstance(s.args[0], Var):
            return filled(s.args[0], want, self.shapes)
        if all(not isinstance(a, Var) for a in s.args):
            text = self.value(s, [filled(float(a), SINGLE, self.shapes) for a in s.args if not isinstance(a, Var)])
        else:
            text = self.value(s, [self.arg(a) if s.fn not in SIGNS or isinstance(a, Var) else plain(a, self.shapes) for a in s.args])
        return text if want == have else f"tl.broadcast_to({text}, {self.shapes.of(want)})"

    def value(self, s: Apply, a: list[str]) -> str:
        """The function on texts of operands."""
        fn = s.fn
        if fn in SIGNS:
            return f"{a[0]} {SIGNS[fn]} {a[1]}"
        if fn in ORDER:
            # a number stands on the right
            straight, turned = ORDER[fn]
            return f"{a[0]} {straight} {a[1]}" if isinstance(s.args[0], Var) else f"{a[1]} {turned} {a[0]}"
        match fn:
            case "neg":
                return f"-{a[0]}"
            case "copy":
                return a[0]
            case "and":
                return f"{self.truth(s.args[0])} & {self.truth(s.args[1])}"
            case "or":
                return f"{self.truth(s.args[0])} | {self.truth(s.args[1])}"
            case "not":
                return f"{self.truth(s.args[0])} == 0"
            case "number":
                return f"{self.truth(s.args[0])}.to(REAL)"
            case "where":
                return self.choice(s)
            case "pow":
                p = s.args[1]
                if not isinstance(p, Var) and p == int(p) and 2 <= p <= LARGEST_POWER:
                    return " * ".join([a[0]] * int(p))
        if fn in BUILT_IN:
            return f"tl.{BUILT_IN[fn]}({a[0]})"
        assert fn in OURS, fn
        if fn in ("min", "max", "pow", "mod", "logaddexp", "expdiff"):
            a = [x if isinstance(y, Var) else filled(float(y), SINGLE, self.shapes) for x, y in zip(a, s.args, strict=True)]
        return f"sq.{NAMES.get(fn, fn)}({', '.join(a)})"

    def choice(self, s: Apply) -> str:
        """`where`; at least one branch is a tile of the arithmetic type."""
        c, x, y = s.args
        first, second = self.arg(x), self.arg(y)
        if not isinstance(x, Var) and not isinstance(y, Var):
            first = filled(float(x), SINGLE, self.shapes)
        return f"tl.where({self.truth(c)}, {first}, {second})"

    def reduce(self, s: Reduce, masks: Mapping[str, str]) -> str:
        """The right-hand side of a reduction; padding never enters it."""
        have = self.tiles[s.arg.id]
        missing = [a for a in s.over if a not in have.axes]
        value = self.name(s.arg)
        if missing:
            have |= Tile(False, frozenset(missing))
            value = f"tl.broadcast_to({value}, {self.shapes.of(have)})"
        empty = {"sum": "0.0", "max": 'float("-inf")', "min": 'float("inf")'}[s.fn]
        value = f"tl.where({' & '.join(masks[a] for a in s.over)}, {value}, {empty})"
        for a in s.over:
            value = f"sq.{s.fn}_along({value}, {self.shapes.dimension(a)})"
        self.tiles[s.out.id] = Tile(have.batched, have.axes - frozenset(s.over))
        return value

    def rename(self, s: Rename) -> str:
        """The right-hand side of a statement that gives axes other names: dimensions in another order."""
        now = {new: old for old, new in s.pairs}
        gone = {old for old, _ in s.pairs}
        source = {a: now.get(a, a) for a in self.shapes.axes if a in now or a not in gone}
        left = iter([a for a in self.shapes.axes if a not in source.values()])
        order = [source[a] if a in source else next(left) for a in self.shapes.axes]
        have = self.tiles[s.arg.id]
        self.tiles[s.out.id] = Tile(have.batched, frozenset(a for a in self.shapes.axes if a in source and source[a] in have.axes))
        return self.permuted(self.name(s.arg), [self.shapes.dimension(a) for a in order], len(self.shapes.lead))

    @staticmethod
    def permuted(text: str, dimensions: list[int], lead: int) -> str:
        """A tile with its dimensions behind the first `lead` in another order."""
        order = [*range(lead), *dimensions]
        return text if order == sorted(order) else f"tl.permute({text}, ({', '.join(map(str, order))}))"

"""Where the axes of an emitted tensor lie, and how one operand is brought to the place of another.

A tensor is [batch, chain, named axes…]; batch and chain are left out where the value does not have them (parameters, `once` inputs,
step mode). Operands are aligned by permuting and inserting axes of size 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from seqc.compiler.ir.expr import Axes, Type

BATCH, CHAIN = "*", "@"
ATOM, UNARY, POWER, MUL, ADD, COMPARE, LOGIC = 9, 7, 8, 6, 5, 3, 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Which axes a tensor has, in order: batch, chain, then the named ones."""

    batch: bool = False
    chain: bool = False
    axes: Axes = ()

    @property
    def names(self) -> Axes:
        """All axes in order, batch as `*` and the chain as `@`."""
        return (BATCH,) * self.batch + (CHAIN,) * self.chain + self.axes

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return self.batch + self.chain + len(self.axes)

    def dim(self, axis: str) -> int:
        """The place of an axis."""
        return self.names.index(axis)

    def without(self, gone: Axes) -> Layout:
        """What is left when axes are reduced away (`batch` and the chain by their signs too)."""
        return Layout(self.batch and BATCH not in gone, self.chain and CHAIN not in gone, tuple(a for a in self.axes if a not in gone))


def of_names(names: Axes) -> Layout:
    """The layout with these axes in canonical order."""
    return Layout(BATCH in names, CHAIN in names, tuple(a for a in names if a not in (BATCH, CHAIN)))


@dataclass(frozen=True, slots=True)
class Code:
    """A Python expression with what is known of its value.

    number  a Python number, not a tensor
    wide    the declared width it is known to have ("" for the module's)
    factors the operands of a product of two tensors of one shape
    zeros   axes whose positions outside masks are known to hold 0
    """

    text: str
    layout: Layout = Layout()
    type: Type = "real"
    level: int = ATOM
    number: bool = False
    wide: str = ""
    zeros: frozenset[str] = frozenset()
    factors: tuple[str, ...] = ()

    def at_least(self, level: int) -> str:
        """The text, in parentheses where its operator binds less than `level`."""
        return self.text if self.level >= level else f"({self.text})"

    @property
    def atom(self) -> bool:
        """Whether using it twice costs nothing."""
        return self.text.replace("_", "").replace(".", "").isalnum()


def union(layouts: list[Layout], order: Axes) -> Layout:
    """The layout of an elementwise result whose named axes are `order` (as far as any operand has them)."""
    have = {a for la in layouts for a in la.axes}
    rest: list[str] = []
    for la in layouts:
        rest += [a for a in la.axes if a not in order and a not in rest]
    return Layout(
        any(la.batch for la in layouts), any(la.chain for la in layouts), tuple(a for a in dict.fromkeys(order) if a in have) + tuple(rest)
    )


def aligned(c: Code, target: Layout, level: int = ADD) -> str:
    """The text of `c` so that it broadcasts against a tensor of layout `target`, which has all its axes."""
    if c.number:
        return c.at_least(level)
    text, inserted = _placed(c, target)
    return text if inserted else c.at_least(level)


def _placed(c: Code, target: Layout) -> tuple[str, bool]:
    have, want = c.layout.names, target.names
    order = tuple(a for a in want if a in have)
    if len(order) != len(have):
        raise AssertionError(f"{have} does not fit into {want}: {c.text}")
    text, changed = c.text, False
    if order != have:
        text, changed = permuted(c.at_least(ATOM), have, order), True
    if not order:
        return text, changed
    slots = [":" if a in have else "None" for a in want[want.index(order[0]) :]]
    if "None" not in slots:
        return text, changed
    if not changed:
        text = c.at_least(ATOM)
    if "None" not in slots[: len(slots) - (tail := _run_of_none(slots))]:
        return f"{text}[..., {', '.join(['None'] * tail)}]", True
    while slots and slots[-1] == ":":
        slots.pop()
    return f"{text}[{', '.join(slots)}]", True


def _run_of_none(slots: list[str]) -> int:
    n = 0
    while n < len(slots) and slots[-1 - n] == "None":
        n += 1
    return n


def permuted(text: str, have: Axes, want: Axes) -> str:
    """`text` with its axes in another order."""
    if have == want:
        return text
    order = [have.index(a) for a in want]
    moved = [i for i, o in enumerate(order) if i != o]
    if len(moved) == 2:
        a, b = moved
        return f"{text}.transpose({a}, {b})"
    return f"{text}.permute({', '.join(map(str, order))})"


def moved(c: Code, want: Layout) -> Code:
    """`c` with the axes of `want` (the same ones) in that order."""
    if c.layout.names == want.names:
        return c
    return replace(c, text=permuted(c.at_least(ATOM), c.layout.names, want.names), layout=want, level=ATOM)


def plus_one(c: Code) -> str:
    """One more than a number, as it would be written."""
    if c.text.isdigit():
        return str(int(c.text) + 1)
    return c.text[: -len(" - 1")] if c.level == ADD and c.text.endswith(" - 1") else f"{c.at_least(ADD)} + 1"


def spelled(layout: Layout, chain: str) -> str:
    """The axes as `seqc.runtime.calls` takes them: `* t D`."""
    return " ".join(chain if a == CHAIN else a for a in layout.names)

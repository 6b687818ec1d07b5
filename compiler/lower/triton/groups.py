"""Groups of carries in Triton: what a scan puts together, how, and what carries become by it.

In:   a group of a kernel (`kernels.operators.grouped`).
Out:  `parts_of`: the values that a scan takes, with what stands for nothing; `joined`: the function that puts two such sets together;
      `applied`: lines that compute the carries from what they were and a set; `helper`: the function of a user's operator.
Refuses: nothing; `unwritable` says why an operator has no function.

A user's operator is a function of scalars, `NAME_combine(left…, right…)`: the element of a scan. Where steps can forget (resets), the
last value of a set is 1 where it does not see what stands before it, and what was before goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Apply, Arg, Kernel, Scan, Var
from seqc.compiler.lower.kernels.linear import Group
from seqc.compiler.lower.triton.code import SIGNS, SINGLE, Shapes, Tile, Writer, exact

NOTHING = float("-inf")
LARGEST_BLOCK = 3
"""Values of a group with an algebra that a scan takes."""

LARGEST_OPERATOR = 6
"""Values of an operator that a scan takes."""

FILLED = frozenset(("min", "max", "pow", "mod", "logaddexp", "expdiff"))


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a set: what it is for one step, its name, the axes it has, what stands for nothing (in tiles whose first rows do not
    count; of operators there are none)."""

    value: Arg
    name: str
    axes: Axes
    nothing: float = 0.0


def parts_of(k: Kernel, g: Group) -> list[Part]:
    """What a scan of a group puts together."""
    first = k.carries[g.carries[0]].previous
    if g.scan is not None:
        names = [f"x{first.id}_{i}" for i in range(len(g.carries))]
        parts = [Part(a, n, k.carries[i].previous.axes) for a, n, i in zip(g.scan.elements, names, g.carries, strict=True)]
        return parts + ([Part(g.scan.reset, f"x{first.id}_new", ())] if isinstance(g.scan.reset, Var) else [])
    n = len(g.carries)
    one, nothing = {"affine": (1.0, 0.0), "max": (0.0, NOTHING), "log": (0.0, NOTHING)}[g.algebra]
    parts = []
    for i in range(n):
        for j in range(n):
            parts.append(Part(g.matrix[i][j], f"a{first.id}_{i}{j}", first.axes, one if i == j else 0.0))
    return parts + [Part(g.offset[i], f"b{first.id}_{i}", first.axes, nothing) for i in range(n)]


def unfit(k: Kernel, g: Group) -> str:
    """Why a group is not scanned; "" where it is."""
    names = ", ".join(k.carries[i].previous.hint or "a value" for i in g.carries)
    if g.scan is not None:
        why = unwritable(g.scan)
        if not why and len(g.carries) > LARGEST_OPERATOR:
            why = f"{g.scan.combine.name} has more than {LARGEST_OPERATOR} values"
        return f"{names}: {why}" if why else ""
    if g.algebra == "nonlinear":
        return f"{names}: {g.why}"
    return f"{names}: {len(g.carries)} values depend on each other" if len(g.carries) > LARGEST_BLOCK else ""


# ---- operators --------------------------------------------------------------------------------------------------------


def unwritable(s: Scan) -> str:
    """Why an operator is no function of scalars; "" where it is one."""
    for one in s.combine.step:
        if not isinstance(one, Apply):
            return f"{s.combine.name} sums over an axis"
        numbers = [a for a in one.args if not isinstance(a, Var)]
        truth = one.fn in ("and", "or", "not", "number") or one.fn == "where" and not isinstance(one.args[0], Var)
        if one.fn == "copy" and numbers or truth and numbers or len(numbers) == len(one.args):
            return f"a value of {s.combine.name} is a number"
        if one.fn == "where" and len(numbers) == 2 or numbers and one.fn in FILLED or one.fn not in SIGNS and not all(map(exact, numbers)):
            return f"{s.combine.name} has a number inside {one.fn}"
    return ""


def helper(name: str, s: Scan) -> list[str]:
    """The function that puts two sets of an operator together."""
    c = s.combine
    n = len(s.carries)
    new = isinstance(s.reset, Var)
    left, right = [f"x{i}" for i in range(n)], [f"y{i}" for i in range(n)]
    named = {v.id: t for v, t in zip((*c.left, *c.right), (*left, *right), strict=True)}
    writer = Inline(Shapes(()), {v.id: SINGLE for v in (*c.left, *c.right)}, named, "v")
    lines = [writer.line(replace(one, out=replace(one.out, axes=())))[0] for one in c.step if isinstance(one, Apply)]
    results = [named.get(v.id, writer.name(v)) for v in c.results]
    if new:
        left, right = [*left, "x_new"], [*right, "y_new"]
        results = [f"tl.where(y_new > 0.0, {y}, {r})" for y, r in zip(right, results, strict=False)] + ["sq.larger(x_new, y_new)"]
    head = [f"def {name}({', '.join([*left, *right])}):", f'    """{c.name}: what comes first, then what comes after it."""']
    return ["@combine", *head, *(f"    {line}" for line in lines), f"    return {', '.join(results)}{',' if len(results) == 1 else ''}"]


class Inline(Writer):
    """Writes statements of an operator under names of their own."""

    def __init__(self, shapes: Shapes, tiles: dict[int, Tile], named: Mapping[int, str], lead: str) -> None:
        super().__init__(shapes, tiles)
        self.named, self.lead = named, lead

    def name(self, v: Var) -> str:
        """How a value is called."""
        return self.named.get(v.id, f"{self.lead}{v.id}")

    def line(self, s: Apply) -> tuple[str, Tile]:
        """A statement as a line, and the dimensions of its value."""
        bare = replace(s, args=tuple(replace(a, axes=()) if isinstance(a, Var) and not s.out.axes else a for a in s.args))
        return f"{self.name(s.out)} = {self.apply(bare)}", self.tiles[s.out.id]


# ---- what carries become ----------------------------------------------------------------------------------------------


def applied(
    k: Kernel, g: Group, shapes: Shapes, names: Sequence[str], tiles: Sequence[Tile], held: Sequence[Tile], out: str = ""
) -> tuple[list[str], list[tuple[str, Tile]]]:
    """Lines, and for each carry of a group its text and dimensions, after steps that are put together under `names`; before them it is
    called `h…`. `tiles`, `held`: the dimensions of the set and of the carries; `out`: how names of lines begin."""
    n = len(g.carries)
    before = [f"h{k.carries[j].previous.id}" for j in g.carries]
    if g.scan is None:
        matrix, offset = [names[i * n : i * n + n] for i in range(n)], names[n * n :]
        whole = tiles[0] | held[0]
        if g.algebra == "affine":
            rows = zip(matrix, offset, strict=True)
            return [], [(" + ".join([*(f"{a} * {h}" for a, h in zip(line, before, strict=True)), b]), whole) for line, b in rows]
        join = {"max": "sq.larger", "log": "sq.logaddexp"}[g.algebra]
        return [], [(f"{join}({matrix[0][0]} + {before[0]}, {offset[0]})", whole)]
    lead = f"x{k.carries[g.carries[0]].previous.id}_{out}"
    left = [f"{lead}h{i}" for i in range(n)]
    lines = [f"{a} = {b}" for a, b in zip(left, before, strict=True)]
    more, results = inlined(g.scan, shapes, left, held, names, tiles, lead)
    return lines + more, results


def inlined(
    s: Scan, shapes: Shapes, left: Sequence[str], left_tiles: Sequence[Tile], right: Sequence[str], right_tiles: Sequence[Tile], lead: str
) -> tuple[list[str], list[tuple[str, Tile]]]:
    """An operator on tiles: lines, and for each value its text and dimensions."""
    c, n = s.combine, len(s.carries)
    ids = [v.id for v in (*c.left, *c.right)]
    named = dict(zip(ids, (*left[:n], *right[:n]), strict=True))
    writer = Inline(shapes, dict(zip(ids, (*left_tiles[:n], *right_tiles[:n]), strict=True)), named, f"{lead}v")
    lines = [writer.line(one)[0] for one in c.step if isinstance(one, Apply)]
    results = [(writer.name(v), writer.tiles[v.id]) for v in c.results]
    if len(right) > n:
        each = zip(results, right, right_tiles, strict=False)
        results = [(f"tl.where({right[n]} > 0.0, {r}, {t})", tile | other | right_tiles[n]) for (t, tile), r, other in each]
    return lines, results


def together(
    k: Kernel, g: Group, shapes: Shapes, left: Sequence[str], right: Sequence[str], tiles: Sequence[Tile]
) -> tuple[list[str], list[tuple[str, Tile]]]:
    """Two sets of a group as one: lines, and for each value its text and dimensions."""
    if g.scan is None:
        made = [f"next_{n}" for n in right]
        return [f"{', '.join(made)} = sq.{g.algebra}{len(g.carries)}({', '.join([*left, *right])})"], list(zip(made, tiles, strict=True))
    lead = f"x{k.carries[g.carries[0]].previous.id}_w"
    lines, results = inlined(g.scan, shapes, left, tiles, right, tiles, lead)
    n = len(g.carries)
    return lines, results + [(f"sq.larger({a}, {b})", tile) for a, b, tile in zip(left[n:], right[n:], tiles[n:], strict=True)]


def joined(g: Group, base: str) -> str:
    """The function by which a scan puts two sets together. `base`: the kernel's name."""
    if g.scan is None:
        return f"sq.{g.algebra}{len(g.carries)}"
    return f"{base}_combine{'_'.join(map(str, g.carries))}"


__all__ = ["Part", "applied", "helper", "joined", "parts_of", "together", "unfit", "unwritable"]

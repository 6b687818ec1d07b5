"""Which statements of a kernel share a loop nest, and in which order the loops of a nest stand.

In:   statements in an order in which each stands after what it reads.
Out:  nests: statements with the same axes that run in one set of loops; a reduction stands in the nest of what it reduces, its
      result is there for the nests after it. A product is a nest of its own, as early as it can be: all sequences of a block
      meet there. So is a value under other names of its axes: a copy.
Method: list scheduling that takes the fewest axes first, so that the large nests come late and hold as much as they can; a
value that
      one nest leaves to another stays in the first-level cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Apply, Product, Reduce, Rename, Statement, Var, reads_of


@dataclass(frozen=True, slots=True)
class Nest:
    """Statements in one set of loops over `axes`; `order` is how the loops stand, the outermost first."""

    axes: Axes
    order: Axes
    statements: tuple[Statement, ...]

    @property
    def product(self) -> Product | None:
        """The product that the nest is, if it is one."""
        s = self.statements[0] if self.statements else None
        return s if isinstance(s, Product) else None

    @property
    def alone(self) -> bool:
        """Whether the nest is no set of loops over its axes: a product, or a copy under other names."""
        return bool(self.statements) and isinstance(self.statements[0], Product | Rename)

    @property
    def lanes(self) -> str:
        """The axis in vector lanes; "" where there is none."""
        return self.axes[-1] if self.axes else ""

    def in_register(self, r: Reduce) -> bool:
        """Whether a reduction is complete each time its innermost loops end."""
        places = {a: i for i, a in enumerate(self.order)}
        return max((places[a] for a in r.out.axes), default=-1) < min(places[a] for a in r.over)


def loops_of(s: Statement) -> Axes:
    """The axes a statement runs over."""
    return s.arg.axes if isinstance(s, Reduce) else s.out.axes


def nests(statements: Iterable[Statement]) -> list[Nest]:
    """The nests, in order."""
    todo = list(statements)
    late = {s.out.id for s in todo}
    out: list[Nest] = []
    while todo:
        ready = [s for s in todo if all(v.id not in late for v in reads_of(s))]
        alone = next((s for s in ready if isinstance(s, Product | Rename)), None)
        if alone is not None:
            out.append(Nest((), (), (alone,)))
            todo.remove(alone)
            late.discard(alone.out.id)
            continue
        axes = min((loops_of(s) for s in ready), key=lambda a: (len(a), a))
        mine: list[Statement] = []
        here: set[int] = set()
        for s in todo:
            if not isinstance(s, Product | Rename) and loops_of(s) == axes and all(v.id not in late or v.id in here for v in reads_of(s)):
                mine.append(s)
                if not isinstance(s, Reduce):
                    here.add(s.out.id)
        late -= {s.out.id for s in mine}
        done = {s.out.id for s in mine}
        todo = [s for s in todo if s.out.id not in done]
        out.append(Nest(axes, _order(axes, [s for s in mine if isinstance(s, Reduce)]), tuple(mine)))
    return out


def sunk(these: list[Nest], kept: set[int]) -> list[Nest]:
    """Statements moved to a later nest over the same axes where only that one reads them: nothing is left in between."""
    home = {s.out.id: i for i, n in enumerate(these) for s in n.statements}
    readers: dict[int, set[int]] = {}
    for n in these:
        for s in n.statements:
            for v in reads_of(s):
                readers.setdefault(v.id, set()).add(s.out.id)
    moved = False
    for i in reversed(range(len(these))):
        for s in reversed(these[i].statements):
            if not isinstance(s, Apply) or s.out.id in kept:
                continue
            at = {home[r] for r in readers.get(s.out.id, ())}
            target = min(at, default=i)
            if target > i and len(at) == 1 and not these[target].alone and these[target].axes == these[i].axes:
                home[s.out.id] = target
                moved = True
    if not moved:
        return these
    every = [s for n in these for s in n.statements]
    return [Nest(n.axes, n.order, tuple(s for s in every if home[s.out.id] == i)) for i, n in enumerate(these)]


def _order(axes: Axes, reductions: list[Reduce]) -> Axes:
    """The order of loops in which the fewest reductions are kept in memory while they run; the axes' own if in doubt."""
    if not reductions or len(axes) > 6:
        return axes

    def cost(order: Axes) -> int:
        n = Nest(axes, order, ())
        return sum(not n.in_register(r) for r in reductions)

    return min(permutations(axes), key=cost)


def crossing(these: list[Nest], kept: set[int]) -> set[int]:
    """Ids of values that have to be in memory: read in a later nest, or in `kept`; results of reductions and products
    always are."""
    home: dict[int, int] = {}
    for i, n in enumerate(these):
        for s in n.statements:
            home[s.out.id] = i
    out = {s.out.id for n in these for s in n.statements if not isinstance(s, Apply)}
    for i, n in enumerate(these):
        for s in n.statements:
            out |= {v.id for v in reads_of(s) if v.id in home and home[v.id] != i}
    return out | (kept & set(home))


def last_read(these: list[Nest], v: Var) -> int:
    """The last nest that reads a value; -1 for none."""
    return max((i for i, n in enumerate(these) for s in n.statements if any(r.id == v.id for r in reads_of(s))), default=-1)

"""How the carries of a kernel depend on their previous values: A * previous + b, and the derivative where they do not.

In:   a settled kernel.
Out:  `Linear`: the carries in groups, each after those it needs (strongly connected components); for each group its algebra, its
      coefficients as values, and statements that compute them beside the kernel's own step. Previous values of earlier groups
      count as known.
Keeps: the meaning: with `previous` as it stands, A * previous + b is `next` up to rounding. Nothing of the form 0 * x is made.
Refuses: nothing: a group of which no algebra is known is `nonlinear`, with the reason; its Jacobian is given where it is elementwise.

    affine    next_i = sum over j of matrix[i][j] * previous_j + offset_i
    max       next = max(previous + matrix, offset)            one carry
    log       next = logaddexp(previous + matrix, offset)      one carry

Coefficients are elementwise along the carries' axes: a group whose carries meet in a sum over an axis is nonlinear here (dense or of
low rank). `jacobian` is the derivative of each next by each previous value, by the rules of `differentiate` with cotangent 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import networkx as nx

from seqc.compiler.ir.kernel import Apply, Arg, Kernel, Scan, Statement, Var, needed, reads_of
from seqc.compiler.lower.kernels.builder import Builder
from seqc.compiler.lower.kernels.differentiate import RULES

Algebra = Literal["affine", "max", "log", "operator", "nonlinear"]
NOTHING = float("-inf")


@dataclass(frozen=True, slots=True)
class Group:
    """Carries that depend on each other. `carries` are their numbers; `why`: of a nonlinear one, what is in the way; `scan`: of one with
    an operator of the user's (`operators.grouped`) what says so."""

    carries: tuple[int, ...]
    algebra: Algebra
    matrix: tuple[tuple[Arg, ...], ...] = ()
    offset: tuple[Arg, ...] = ()
    why: str = ""
    scan: Scan | None = None


@dataclass(frozen=True, slots=True)
class Linear:
    """See the module's docstring. `step`: the kernel's statements and those of the coefficients, in one legal order."""

    groups: tuple[Group, ...]
    step: tuple[Statement, ...]

    @property
    def whole(self) -> bool:
        """Whether every group has an algebra."""
        return all(g.algebra != "nonlinear" for g in self.groups)


class Nonlinear(Exception):
    """A value that has no form in an algebra."""


def linear(k: Kernel, first: int = 0) -> Linear:
    """The algebra of each group. New values have ids from `first` on, or behind the kernel's own where those are greater."""
    b = _builder(k)
    b.next_id = max(b.next_id, first)
    groups = [_group(k, b, g) for g in components(k)]
    return Linear(tuple(groups), tuple(b.step))


def components(k: Kernel) -> list[tuple[int, ...]]:
    """Groups of carries, each after those that it reads."""
    reach = _reach(k.step, {c.previous.id: frozenset((i,)) for i, c in enumerate(k.carries)})
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(k.carries)))
    for i, c in enumerate(k.carries):
        graph.add_edges_from((j, i) for j in reach.get(c.next.id, ()))
    parts = [tuple(sorted(p)) for p in nx.strongly_connected_components(graph)]
    home = {i: n for n, p in enumerate(parts) for i in p}
    above: nx.DiGraph[int] = nx.DiGraph()
    above.add_nodes_from(range(len(parts)))
    above.add_edges_from((home[i], home[j]) for i, j in graph.edges if home[i] != home[j])
    order = nx.lexicographical_topological_sort(above, key=lambda n: parts[n])
    return [parts[n] for n in order]


def jacobian(k: Kernel, carries: tuple[int, ...]) -> tuple[tuple[tuple[Arg, ...], ...], tuple[Statement, ...]]:
    """The derivative of the next values of a group by its previous ones, and the step with its statements.

    Raises Nonlinear where values meet in a sum over an axis, or a function has no derivative.
    """
    b = _builder(k)
    names = {k.carries[j].previous.id: n for n, j in enumerate(carries)}
    slopes: dict[int, list[Arg]] = {i: [1.0 if n == m else 0.0 for m in range(len(carries))] for i, n in names.items()}
    for s in _towards(k, carries):
        mine = [v for v in reads_of(s) if v.id in slopes]
        if not mine:
            continue
        if not isinstance(s, Apply):
            raise Nonlinear(f"{s.out.hint or s.out} sums over values of the state")
        if s.out.type == "bool" or s.fn in ("floor", "ceil", "sign", "stop"):
            continue
        rule = RULES.get(s.fn)
        if rule is None:
            raise Nonlinear(f"{s.fn} has no derivative")
        parts = rule(b, s.args, s.out, 1.0)
        total: list[Arg] = [0.0] * len(carries)
        for a, part in zip(s.args, parts, strict=True):
            if not isinstance(a, Var) or a.id not in slopes or part is None:
                continue
            for m, slope in enumerate(slopes[a.id]):
                total[m] = _sum(b, total[m], _times(b, part, slope))
        slopes[s.out.id] = total
    rows = tuple(tuple(slopes.get(k.carries[i].next.id, [0.0] * len(carries))) for i in carries)
    return rows, tuple(b.step)


# ---- one group --------------------------------------------------------------------------------------------------------


def _builder(k: Kernel) -> Builder:
    b = Builder(k.axes)
    b.next_id = 1 + max((v.id for v in values_of(k)), default=-1)
    b.steady = {o.var.id for o in k.operands if o.kind in ("run", "once", "number")}
    b.adopt(k.prologue, True)
    b.adopt(k.step, False)
    # what coefficients add is a step's, also where it does not change in time
    b.target = b.step
    return b


def values_of(k: Kernel) -> list[Var]:
    """Every value of a kernel."""
    every = [o.var for o in k.operands] + [s.out for s in (*k.prologue, *k.step, *k.epilogue)]
    every += [s.out for scan in k.scans for s in scan.step]
    return every + [s.total for s in k.sums] + [c.previous for c in k.carries]


def _towards(k: Kernel, carries: tuple[int, ...]) -> tuple[Statement, ...]:
    """The statements of a step that the next values of a group need."""
    return needed(k.step, {k.carries[i].next.id for i in carries})


def _reach(step: tuple[Statement, ...], start: dict[int, frozenset[int]]) -> dict[int, frozenset[int]]:
    """For each value that depends on one of the starting ones: on which."""
    found = dict(start)
    for s in step:
        mine = frozenset().union(*(found.get(v.id, frozenset()) for v in reads_of(s)))
        if mine:
            found[s.out.id] = mine
    return found


def _group(k: Kernel, b: Builder, carries: tuple[int, ...]) -> Group:
    axes = {k.carries[i].previous.axes for i in carries}
    if len(axes) > 1:
        return Group(carries, "nonlinear", why="values with different axes depend on each other")
    try:
        matrix, offset = _affine(k, b, carries)
        return Group(carries, "affine", matrix, offset)
    except Nonlinear as found:
        why = str(found)
    if len(carries) == 1:
        for algebra, fn in (("max", "max"), ("log", "logaddexp")):
            try:
                c, d = _semiring(k, b, carries[0], fn)
                return Group(carries, algebra, ((c,),), (d,))  # type: ignore[arg-type]
            except Nonlinear:
                continue
    return Group(carries, "nonlinear", why=why)


def _times(b: Builder, x: Arg, y: Arg) -> Arg:
    """A product; a literal 0 is nothing."""
    return 0.0 if _nought(x) or _nought(y) else b.apply("mul", x, y)


def _sum(b: Builder, x: Arg, y: Arg) -> Arg:
    return y if _nought(x) else x if _nought(y) else b.apply("add", x, y)


def _nought(x: Arg) -> bool:
    return not isinstance(x, Var) and x == 0.0


def _affine(k: Kernel, b: Builder, carries: tuple[int, ...]) -> tuple[tuple[tuple[Arg, ...], ...], tuple[Arg, ...]]:
    """Each next value as coefficients of the previous ones and a rest."""
    count = len(carries)
    forms: dict[int, tuple[list[Arg], Arg]] = {}
    for n, j in enumerate(carries):
        forms[k.carries[j].previous.id] = ([1.0 if m == n else 0.0 for m in range(count)], 0.0)

    def form(a: Arg) -> tuple[list[Arg], Arg]:
        if isinstance(a, Var) and a.id in forms:
            return forms[a.id]
        return [0.0] * count, a

    def free(a: Arg) -> bool:
        return not (isinstance(a, Var) and a.id in forms)

    for s in _towards(k, carries):
        if all(free(v) for v in reads_of(s)):
            continue
        if not isinstance(s, Apply):
            raise Nonlinear(f"{s.out.hint or s.out} sums over values of the state")
        x = s.args[0]
        y = s.args[1] if len(s.args) > 1 else 0.0
        match s.fn:
            case "copy" if isinstance(x, Var) and x.axes == s.out.axes:
                forms[s.out.id] = form(x)
            case "neg":
                cs, d = form(x)
                forms[s.out.id] = ([0.0 if _nought(c) else b.apply("neg", c) for c in cs], 0.0 if _nought(d) else b.apply("neg", d))
            case "add":
                (p, d), (q, e) = form(x), form(y)
                forms[s.out.id] = ([_sum(b, c, f) for c, f in zip(p, q, strict=True)], _sum(b, d, e))
            case "sub":
                (p, d), (q, e) = form(x), form(y)
                forms[s.out.id] = ([_minus(b, c, f) for c, f in zip(p, q, strict=True)], _minus(b, d, e))
            case "mul" if free(x) or free(y):
                by, (cs, d) = (x, form(y)) if free(x) else (y, form(x))
                forms[s.out.id] = ([_times(b, by, c) for c in cs], _times(b, by, d))
            case "div" if free(y):
                cs, d = form(x)
                forms[s.out.id] = ([0.0 if _nought(c) else b.apply("div", c, y) for c in cs], 0.0 if _nought(d) else b.apply("div", d, y))
            case "where" if free(x):
                (p, d), (q, e) = form(s.args[1]), form(s.args[2])
                forms[s.out.id] = ([b.apply("where", x, c, f) for c, f in zip(p, q, strict=True)], b.apply("where", x, d, e))
            case _:
                raise Nonlinear(f"{k.carries[carries[0]].previous.hint or 'a state'} passes through {s.fn}")
    matrix, offset = [], []
    for i in carries:
        cs, d = form(k.carries[i].next)
        matrix.append(tuple(cs))
        offset.append(d)
    return tuple(matrix), tuple(offset)


def _minus(b: Builder, x: Arg, y: Arg) -> Arg:
    return x if _nought(y) else b.apply("neg", y) if _nought(x) else b.apply("sub", x, y)


def _semiring(k: Kernel, b: Builder, carry: int, fn: str) -> tuple[Arg, Arg]:
    """The next value as fn(previous + c, d)."""
    forms: dict[int, tuple[Arg, Arg] | None] = {k.carries[carry].previous.id: (0.0, NOTHING)}

    def plus(x: Arg, y: Arg) -> Arg:
        return NOTHING if NOTHING in (x, y) else _sum(b, x, y)

    def join(x: Arg, y: Arg) -> Arg:
        return y if x == NOTHING else x if y == NOTHING else b.apply(fn, x, y)

    for s in _towards(k, (carry,)):
        if not any(v.id in forms for v in reads_of(s)):
            continue
        made: tuple[Arg, Arg] | None = None
        if isinstance(s, Apply):
            held = [forms.get(a.id) if isinstance(a, Var) and a.id in forms else (NOTHING, a) for a in s.args]
            bound = [isinstance(a, Var) and a.id in forms for a in s.args]
            x = held[0]
            y = held[1] if len(held) > 1 else None
            match s.fn:
                case "copy" if x is not None and isinstance(s.args[0], Var) and s.args[0].axes == s.out.axes:
                    made = x
                case "add" if x is not None and y is not None and sum(bound) == 1:
                    (c, d), by = (x, s.args[1]) if bound[0] else (y, s.args[0])
                    made = (plus(c, by), plus(d, by))
                case "sub" if x is not None and bound == [True, False]:
                    by = b.apply("neg", s.args[1])
                    made = (plus(x[0], by), plus(x[1], by))
                case "where" if not bound[0] and held[1] is not None and held[2] is not None:
                    (c, d), (e, f) = held[1], held[2]
                    made = (b.apply("where", s.args[0], c, e), b.apply("where", s.args[0], d, f))
                case _ if s.fn == fn and x is not None and y is not None:
                    made = (join(x[0], y[0]), join(x[1], y[1]))
        forms[s.out.id] = made
    found = forms.get(k.carries[carry].next.id)
    if found is None:
        raise Nonlinear("not of this algebra")
    return found

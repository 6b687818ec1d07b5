"""Carries that a user's operator puts together: how a kernel says so, and as groups beside those that have an algebra.

In:   names of a region that an unfolded scan has (`spec.Value.scan`); a kernel with `scans`.
Out:  `scans_of`, `placed`: the kernel's `scans`; `grouped`: what `linear` gives, with the carries of each scan as one group of the algebra
      `operator`.
Refuses: nothing. Carries of which an operator cannot be scanned (`misfit`: its `combine` sums over axes; a step brings what depends on the
         steps before) are groups as all others.

With resets and padding a step brings combine(first, element), and forgets what was before; a step that is none brings the
identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import networkx as nx

from seqc.compiler.ir import spec
from seqc.compiler.ir.kernel import Apply, Arg, Combine, Kernel, Operand, Reduce, Scan, Statement, Var, needed, reads_of
from seqc.compiler.lower.kernels.builder import Builder
from seqc.compiler.lower.kernels.linear import Group, Linear, linear, values_of
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.trace import Tracer, Unfit, Value

# ---- made with a region -----------------------------------------------------------------------------------------------


def scans_of(t: Tracer, carried: Sequence[str]) -> list[Scan]:
    """The scans among the carries of a kernel in the making; `carried`: their names, "" for those that are none of a scan."""
    told = {s.name: s for n in carried if n and (s := t.table[n].scan) is not None}
    out: list[Scan] = []
    for s in told.values():
        mine = [i for i, n in enumerate(s.values) if n in carried]
        try:
            out.append(scan_of(t, s, mine, [carried.index(s.values[i]) for i in mine]))
        except Unfit:
            continue
    return out


def scan_of(t: Tracer, s: spec.Scanned, mine: Sequence[int], carries: Sequence[int]) -> Scan:
    """One scan, with those of its fields that are needed. Raises Unfit."""
    combine = combine_of(t, s, mine)
    elements: list[Arg] = []
    first: list[Arg] = []
    for i in mine:
        value = t.trace(s.elements[i])
        if value.complex or len(t.carried[s.values[i]].raw[0].parts) > 1:
            raise Unfit("a complex value")
        elements.append(t.number(value.re))
        if t.masked:
            at = next(n for n, o in enumerate(t.sources) if (o.what, o.name, o.lag) == ("first", s.values[i], 1))
            first.append(t.operands[at].var)
    if not t.masked:
        return Scan(combine, tuple(carries), tuple(elements))
    reset, valid = t.mask("reset"), t.mask("valid")
    begun = inline(t.b, combine, first, elements)
    for n, i in enumerate(mine):
        nothing = t.number(t.trace(s.identity[i]).re)
        live = t.b.apply("where", reset, begun[n], elements[n])
        elements[n] = t.b.apply("where", valid, live, t.b.apply("where", reset, first[n], nothing))
    return Scan(combine, tuple(carries), tuple(elements), reset)


def combine_of(t: Tracer, s: spec.Scanned, mine: Sequence[int]) -> Combine:
    """An operator's equations as statements. Raises Unfit."""
    names = frozenset((*s.left, *s.right))
    c = Tracer(t.body, t.chain, t.b.axes, names)
    c.room = [frozenset(s.axes[i]) for i in mine]
    left, right = [c.b.var(s.axes[i]) for i in mine], [c.b.var(s.axes[i]) for i in mine]
    c.names = {s.left[i]: Value((v,)) for i, v in zip(mine, left, strict=True)}
    c.names |= {s.right[i]: Value((v,)) for i, v in zip(mine, right, strict=True)}
    try:
        results = [c.fitted(c.trace(s.combine[i]), s.axes[i], "real") for i in mine]
    except KeyError as other:
        raise Unfit("a field that nothing needs") from other
    if c.operands or c.b.prologue:
        raise Unfit("what an operator takes from outside")
    rows = tuple(c.b.wide(c.number(r.re), a) for r, a in zip(results, (s.axes[i] for i in mine), strict=True))
    operands = tuple(Operand(v, "step") for v in (*left, *right))
    k = plain(Kernel(s.operator, c.b.axes, operands, (), (), tuple(c.b.step), rows))
    return Combine(s.operator, tuple(left), tuple(right), k.step, k.rows)


def inline(b: Builder, combine: Combine, left: Sequence[Arg], right: Sequence[Arg]) -> list[Arg]:
    """The results of an operation on values, with statements in `b`."""
    held: dict[int, Arg] = {v.id: a for v, a in zip((*combine.left, *combine.right), (*left, *right), strict=True)}

    def arg(a: Arg) -> Arg:
        return held[a.id] if isinstance(a, Var) else a

    for s in combine.step:
        if isinstance(s, Apply):
            held[s.out.id] = b.apply(s.fn, *(arg(a) for a in s.args), axes=s.out.axes if s.fn == "copy" else None)
        elif isinstance(s, Reduce):
            held[s.out.id] = b.reduce(s.fn, arg(s.arg), s.over)
        else:
            raise Unfit("a product inside an operator")
    return [arg(v) for v in combine.results]


def placed(k: Kernel, t: Tracer, scans: Sequence[Scan]) -> Kernel:
    """A kernel with its scans; those are left out that need an operand which it has not."""
    have = {v.id for v in values_of(k)} | {c.previous.id for c in k.carries}
    out: list[Scan] = []
    for s in scans:
        goals = {a.id for a in (*s.elements, s.reset) if isinstance(a, Var)}
        more = tuple(one for one in (*needed(tuple(t.b.prologue), goals), *needed(tuple(t.b.step), goals)) if one.out.id not in have)
        goals |= {v.id for one in more for v in reads_of(one)}
        if goals <= have | {one.out.id for one in more}:
            out.append(replace(s, step=more))
    return replace(k, scans=tuple(out))


# ---- as groups --------------------------------------------------------------------------------------------------------


def misfit(k: Kernel, s: Scan) -> str:
    """Why an operator's carries cannot be put together by scans of its own; "" where they can."""
    for one in s.combine.step:
        if not isinstance(one, Apply):
            return f"{s.combine.name} sums over an axis"
    goals = {a.id for a in (*s.elements, s.reset) if isinstance(a, Var)}
    needed((*k.step, *s.step), goals)
    if any(k.carries[i].previous.id in goals for i in s.carries):
        return f"what a step brings to {s.combine.name} depends on the steps before it"
    return ""


def grouped(k: Kernel, first: int = 0) -> Linear:
    """The algebra of each group (see `linear`), the carries of each scan that can be one as one group."""
    scans = [s for s in k.scans if not misfit(k, s)]
    found = linear(k, first)
    if not scans:
        return found
    free = 1 + max(v.id for v in (*values_of(k), *(s.out for s in found.step)))
    step: list[Statement] = list(found.step)
    mine: dict[int, Group] = {}
    for s in scans:
        own, statements = numbered(s, max(first, free))
        free = max(first, free) + len(s.step)
        step += statements
        g = Group(s.carries, "operator", scan=own)
        mine |= dict.fromkeys(s.carries, g)
    groups = list({g.carries: g for g in (mine.get(g.carries[0], g) for g in found.groups)}.values())
    if sorted(i for g in groups for i in g.carries) != list(range(len(k.carries))):
        return found
    home = {k.carries[i].previous.id: n for n, g in enumerate(groups) for i in g.carries}
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(groups)))
    for n, g in enumerate(groups):
        parts: list[Arg] = [*(a for line in g.matrix for a in line), *g.offset, *(g.scan.elements + (g.scan.reset,) if g.scan else ())]
        goals = {a.id for a in parts if isinstance(a, Var)}
        needed(tuple(step), goals)
        graph.add_edges_from((home[i], n) for i in goals if i in home and home[i] != n)
    if not nx.is_directed_acyclic_graph(graph):
        return found
    order = nx.lexicographical_topological_sort(graph, key=lambda n: groups[n].carries)
    return Linear(tuple(groups[n] for n in order), tuple(step))


def kept(g: Group, carries: Sequence[int]) -> Group:
    """A group with those of an operator's carries that are in `carries`: none of them needs one that is not."""
    if g.scan is None or set(g.carries) <= set(carries):
        return g
    s, mine = g.scan, [n for n, i in enumerate(g.carries) if i in carries]
    results = tuple(s.combine.results[n] for n in mine)
    left, right = tuple(s.combine.left[n] for n in mine), tuple(s.combine.right[n] for n in mine)
    combine = Combine(s.combine.name, left, right, needed(s.combine.step, {v.id for v in results}), results)
    numbers = tuple(g.carries[n] for n in mine)
    elements = tuple(s.elements[n] for n in mine)
    return replace(g, carries=numbers, scan=replace(s, combine=combine, carries=numbers, elements=elements))


def numbered(s: Scan, first: int) -> tuple[Scan, list[Statement]]:
    """A scan, the values of its own statements numbered from `first` on."""
    names = {one.out.id: replace(one.out, id=first + n) for n, one in enumerate(s.step)}

    def arg(a: Arg) -> Arg:
        return names.get(a.id, a) if isinstance(a, Var) else a

    out: list[Statement] = []
    for one in s.step:
        if isinstance(one, Apply):
            out.append(replace(one, out=names[one.out.id], args=tuple(arg(a) for a in one.args)))
        else:
            made = arg(one.arg)
            assert isinstance(made, Var)
            out.append(replace(one, out=names[one.out.id], arg=made))
    return replace(s, elements=tuple(arg(a) for a in s.elements), reset=arg(s.reset), step=tuple(out)), out


__all__ = ["grouped", "inline", "kept", "misfit", "placed", "scans_of"]

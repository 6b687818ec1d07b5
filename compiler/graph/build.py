"""The step graph of a body.

In:   a checked program, the key of a body, the optional inputs that are given, sizes, holes and consts the caller binds.
Out:  a verified `StepGraph` (ir/graph.py).
Order of passes: inline (calls on the chain and of blocks), fold (numbers, exact zeros and ones, decided conditions, values that
are numbers), grad (symbolic where it can be), fold again, prune (parameters and hidden values nothing reads any more).
Refuses: SEQ0530 (too many nodes), SEQ0531 (calls nest too deep). Raises KeyError for a key the program does not hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected
from seqc.compiler.graph.grad import Gradients
from seqc.compiler.graph.inline import Inliner
from seqc.compiler.graph.simplify import Simplifier
from seqc.compiler.graph.sizes import known_sizes
from seqc.compiler.graph.table import LIMIT, Table, number_of, postorder, rewrite
from seqc.compiler.graph.verify import verify
from seqc.compiler.ir.expr import Callee, Draw, Expand, Expr, Grad, Literal_, NotGiven, Read, walk
from seqc.compiler.ir.graph import Entry, Node, StepGraph
from seqc.compiler.ir.spec import Index, Level, Program

ROUNDS = 16
"""Most rounds of folding numbers through names; each round makes at least one more name a number."""


def optional_inputs(program: Program, key: str) -> tuple[str, ...]:
    """Names of the body's optional inputs that are no draws, in declared order: each subset of them is a program."""
    return tuple(
        v.name
        for v in program.bodies[key].values
        if v.kind == "input" and v.value is not None and not any(isinstance(n, Draw) for n in walk(v.value))
    )


def build(
    program: Program,
    key: str,
    given: Collection[str] = frozenset(),
    dims: Mapping[str, int] | None = None,
    *,
    holes: Mapping[str, Callee] | None = None,
    consts: Mapping[str, int | float | bool] | None = None,
) -> StepGraph:
    """Builds the graph of `program.bodies[key]`.

    `given` names the optional inputs the caller passes; `dims` binds sizes (defaults otherwise, open dims stay symbolic);
    `holes` fills holes otherwise than by default; `consts` binds consts whose value is one number (a mask of all zeros: 0).
    """
    body = program.bodies[key]
    table = Table(4 * LIMIT)
    inliner = Inliner(program, table, frozenset(given), holes or {})
    inliner.root(key)
    entries = dict(sorted(inliner.entries.items(), key=lambda kv: inliner.places[kv[0]]))
    for name, value in (consts or {}).items():
        if name in entries and entries[name].kind == "const":
            kind = "bool" if isinstance(value, bool) else entries[name].type
            node: Expr = table.intern(Literal_(value, type=kind))
            if entries[name].axes:
                node = table.intern(Expand(node, axes=entries[name].axes, type=kind))
            entries[name] = replace(entries[name], node=node)
    sizes = known_sizes(inliner.dims, dims or {})
    make = Simplifier(table, inliner.dims, sizes)
    indices, levels = _fold_ranges(inliner.indices, inliner.levels, make)
    table.made_by = "fold"
    entries = _fold(entries, make)
    if any(isinstance(n, Grad) for n in postorder([e.node for e in entries.values() if e.node is not None])):
        table.made_by = "grad"
        entries = _gradients(entries, make)
        table.made_by = "fold"
        entries = _fold(entries, make)
    entries = _prune(entries, body.outs, {v.name for v in body.values})
    graph = StepGraph(
        key=key,
        name=body.name,
        kind=body.kind,
        topology=body.topology,
        chain=body.chain,
        entries=entries,
        outs=body.outs,
        dims={d: None if d in (dims or {}) else e for d, e in inliner.dims.items()},  # a bound dim follows from nothing else
        sizes=sizes,
        indices=indices,
        levels=levels,
        optional=optional_inputs(program, key),
        given=frozenset(given),
        settings=body.settings,
        nodes=_nodes(entries, table),
        span=body.span,
    )
    if len(graph.nodes) > LIMIT:
        raise Rejected((Diagnostic("SEQ0530", f"the step graph has {len(graph.nodes)} nodes, more than {LIMIT}", body.span),))
    verify(graph)
    return graph


def _fold_ranges(
    indices: Mapping[str, Index], levels: Mapping[str, Level], make: Simplifier
) -> tuple[dict[str, Index], dict[str, Level]]:
    memo: dict[int, Expr] = {}

    def fold(e: Expr | None) -> Expr | None:
        return None if e is None else rewrite(e, make, memo)

    new_indices = {
        n: replace(i, low=fold(i.low), high=fold(i.high), where=fold(i.where), bound=fold(i.bound)) for n, i in indices.items()
    }
    new_levels = {n: replace(lv, low=fold(lv.low) or lv.low, high=fold(lv.high) or lv.high) for n, lv in levels.items()}
    return new_indices, new_levels


def _fold(entries: dict[str, Entry], make: Simplifier) -> dict[str, Entry]:
    """Simplifies every equation; a value that turns out to be a number is read as that number."""
    numbers: dict[str, Expr] = {}
    for _ in range(ROUNDS):
        memo: dict[int, Expr] = {}

        def node(e: Expr, numbers: dict[str, Expr] = numbers) -> Expr:
            if isinstance(e, Read) and e.name in numbers and not e.moves and not e.field_:
                return make.fit(numbers[e.name], e)
            return make(e)

        kept = [e.node for e in entries.values()]  # keeps the old nodes alive while the memo knows them by identity
        entries = {
            n: replace(
                e,
                node=rewrite(e.node, node, memo) if e.node is not None else None,
                start=rewrite(e.start, node, memo) if e.start is not None else None,
            )
            for n, e in entries.items()
        }
        found = {
            n: e.node
            for n, e in entries.items()
            if e.node is not None and e.kind not in ("state", "loss") and number_of(e.node) is not None and not e.level
        }
        del kept
        if len(found) == len(numbers):
            break
        numbers = found
    return entries


def _gradients(entries: dict[str, Entry], make: Simplifier) -> dict[str, Entry]:
    """Puts equations in place of `grad`, the inner ones of a nest first."""
    out = dict(entries)
    for _ in range(8):
        changed = False
        for name, entry in list(out.items()):
            if entry.node is None or not any(isinstance(n, Grad) for n in postorder([entry.node])):
                continue
            gradients = Gradients(make, out, entry.level)

            def node(e: Expr, gradients: Gradients = gradients) -> Expr:
                e = make(e)
                if isinstance(e, Grad) and isinstance(e.wrt, Read):
                    derivative = gradients(e.loss, e.wrt)
                    if derivative is not None:
                        return derivative
                return e

            new = rewrite(entry.node, node, {})
            if new is not entry.node:
                out[name] = replace(entry, node=new)
                changed = True
        if not changed:
            break
    return out


def _prune(entries: dict[str, Entry], outs: tuple[str, ...], own: set[str]) -> dict[str, Entry]:
    """Drops layer parameters, hidden values and values of called bodies that nothing reads (a decided `where`, an input that
    was given)."""
    keep: set[str] = set()
    stack = [n for n, e in entries.items() if n in own and not e.owner and e.kind != "hidden"]
    stack += [n for n in outs if n in entries]
    while stack:
        name = stack.pop()
        if name in keep or name not in entries:
            continue
        keep.add(name)
        e = entries[name]
        for root in (e.node, e.start):
            if root is not None:
                stack.extend(r.name for r in postorder([root]) if isinstance(r, Read))
    return {n: e for n, e in entries.items() if n in keep and not (isinstance(e.node, NotGiven) and n not in own)}


def _nodes(entries: Mapping[str, Entry], table: Table) -> tuple[Node, ...]:
    roots = [r for e in entries.values() for r in (e.node, e.start) if r is not None]
    return tuple(Node(i, e, table.maker(e)) for i, e in enumerate(postorder(roots)))

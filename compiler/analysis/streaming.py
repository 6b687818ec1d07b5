"""Whether a body streams, with the line that looks ahead where it does not, and what `step` has to remember.

In:  a step graph and a way to ask for the streaming of a called body.   Out: a `Streaming`.
A cell over a chain is read at one step, so only its reads can look ahead. In a block the time axis is followed from the
inputs to the outs: through splits (then it streams by segments), shifts, calls along it, relations over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from seqc.compiler.analysis.access import access, history
from seqc.compiler.analysis.algebra import text_of
from seqc.compiler.analysis.components import Group, step_order, uses_of
from seqc.compiler.analysis.extent import size, steps_back, window
from seqc.compiler.graph.sizes import polynomial
from seqc.compiler.graph.table import number_of, postorder
from seqc.compiler.ir.expr import (
    Along,
    Apply,
    Concat,
    Contract,
    Conv,
    Expr,
    Invoke,
    Length,
    Literal_,
    Merge,
    Move,
    Norm,
    Number,
    Read,
    Reduce,
    Rename,
    Split,
    children,
)
from seqc.compiler.ir.graph import Entry, StepGraph
from seqc.compiler.ir.poly import Poly
from seqc.compiler.ir.spec import Index
from seqc.compiler.ir.verdict import Buffer, BufferKind, Reason, Streaming, Streams

ORDER: tuple[Streams, ...] = ("step", "after prefix", "by segments", "no")
Ask = Callable[[Invoke], Streaming | None]


@dataclass(frozen=True, slots=True)
class Flow:
    """How a value stands to the time axis.

    axis    the axis that carries time in it, "" where nothing of the streamed input is in it
    shift   its position minus that of the input's time axis (after tokens were put in front)
    prefix  it is 0 outside of a prefix: a sum over all of it is known when the prefix has been read
    """

    streams: Streams = "step"
    axis: str = ""
    shift: Poly = Poly()
    reason: Reason | None = None
    prefix: bool = False


def streaming_of(graph: StepGraph, groups: tuple[Group, ...], ask: Ask) -> Streaming:
    """How one body stands to its axis of time: the chain of a cell, `t` in a block, else the index that its inputs have.

    A block is asked this by those that call it along an axis of theirs; what it can do itself says `own`."""
    streams, reason = _cell(graph, ask) if graph.topology else _block(graph, ask)
    own = {n for g in groups for n in g.names}
    buffers = _buffers(graph, own)
    carried = tuple(n for n in graph.entries if n in own and graph.entries[n].node is not None)
    return Streaming(streams, reason, buffers, carried)


def own(graph: StepGraph, found: Streaming) -> Streaming:
    """What the body's own module can do: a block steps along `t` and along nothing else."""
    if graph.topology or found.streams != "step" or "t" in _timed(graph):
        return found
    return replace(found, streams="no", reason=Reason(f"{graph.name} has no axis t to step along", graph.span))


def _timed(graph: StepGraph) -> set[str]:
    """Axes of the values of a block, and the indices that are second names of one."""
    axes = {a for e in graph.entries.values() for a in e.axes}
    return axes | {i.of for i in graph.indices.values()} | set(graph.indices)


def reached(graph: StepGraph) -> list[str]:
    """Names the outs are computed from, in the order of the text; inputs that only losses read are not among them."""
    uses = uses_of(graph)
    seen: set[str] = set()
    stack = list(graph.outs)
    while stack:
        n = stack.pop()
        if n in seen or n not in graph.entries:
            continue
        seen.add(n)
        u = uses[n]
        stack.extend((*u.same, *u.past, *u.level))
    return [n for n in graph.entries if n in seen]


# ---- cells ------------------------------------------------------------------------------------------------------------


def _cell(graph: StepGraph, ask: Ask) -> tuple[Streams, Reason | None]:
    factor = graph.topology[0]
    if not graph.chain:
        kinds = " and ".join(f.kind for f in graph.topology)
        return "no", Reason(f"{graph.name} runs over {kinds}, not over one chain of steps", graph.span)
    if factor.reverse:
        return "no", Reason(f"{graph.name} runs backwards over {graph.chain}", graph.span)
    worst: tuple[Streams, Reason | None] = ("step", None)
    for name in reached(graph):
        node = graph.entries[name].node
        if node is None:
            continue
        for e in postorder([node]):
            found = _looks_ahead(graph, e, ask)
            if found is not None and ORDER.index(found[0]) > ORDER.index(worst[0]):
                worst = found
    return worst


def _looks_ahead(graph: StepGraph, e: Expr, ask: Ask) -> tuple[Streams, Reason] | None:
    if isinstance(e, Length) and e.of == graph.chain:
        return "no", Reason(f"len({e.of}) is not known before the last step", e.span)
    for a in e.axes:
        index = graph.indices.get(a)
        if index is not None and index.of == graph.chain and index.where is None:
            return "no", Reason(f"{index.name} goes over all steps of the run", e.span)
    if isinstance(e, Read) and access(graph, e).ahead:
        for m in e.moves:
            if m.axis == graph.chain and isinstance(m.index, Number) and m.index.of in graph.indices:
                index = graph.indices[m.index.of]
                kind: Streams = "after prefix" if _prefix(index, graph.chain) else "no"
                return kind, Reason(f"{text_of(e.name)}[{index.name}] reads steps after this one", e.span)
        return "no", Reason(f"{text_of(e.name)} may be read at a later step", e.span)
    for a in e.over if isinstance(e, (Reduce, Along, Contract)) else ():
        index = graph.indices.get(a)
        if index is None or index.of != graph.chain:
            continue
        if index.where is None or index.whole:
            return "no", Reason(f"{index.name} goes over all steps of the run", e.span)
        if index.ahead:
            early: Streams = "after prefix" if _prefix(index, graph.chain) else "no"
            return early, Reason(f"{index.name} may be a step after this one", e.span)
    if isinstance(e, Invoke) and any(a == graph.chain and r for _, a, r in e.along):
        return "no", Reason(f"{e.label} runs backwards over {graph.chain}", e.span)
    return None


def _prefix(index: Index, chain: str) -> bool:
    """A relation that allows what lies ahead only below a bound that does not move: `s <= t or s < P`."""
    clauses: list[Expr] = []
    stack = [index.where] if index.where is not None else []
    while stack:
        e = stack.pop()
        if isinstance(e, Apply) and e.fn == "or":
            stack.extend(e.args)
        else:
            clauses.append(e)
    return bool(clauses) and not index.whole and all(_bounded(c, index.name, chain) for c in clauses)


def _bounded(clause: Expr, s: str, chain: str) -> bool:
    if isinstance(clause, Apply) and clause.fn == "and":
        return any(_bounded(c, s, chain) for c in clause.args)
    if not isinstance(clause, Apply) or clause.fn not in ("lt", "le", "gt", "ge"):
        return False
    small, big = clause.args if clause.fn in ("lt", "le") else clause.args[::-1]
    if not (isinstance(small, Number) and small.of == s):
        return False
    if isinstance(big, Number) and big.of == chain:
        return True
    return not any(isinstance(n, (Number, Length)) for n in postorder([big]))


# ---- what step remembers ----------------------------------------------------------------------------------------------


def _buffers(graph: StepGraph, own: set[str]) -> tuple[Buffer, ...]:
    found: dict[tuple[str, BufferKind], Buffer] = {}

    def keep(name: str, kind: BufferKind, steps: Poly | None, e: Expr, what: str) -> None:
        entry = graph.entries.get(name)
        if entry is None or kind == "delay" and name in own and steps == Poly.of(1):
            return
        old = found.get((name, kind))
        if old is not None and not _longer(graph, steps, old.steps):
            return
        found[name, kind] = Buffer(name, kind, steps, entry.axes, Reason(what, e.span))

    for name in reached(graph) if graph.outs else list(graph.entries):
        node = graph.entries[name].node
        if node is None:
            continue
        for e in postorder([node]):
            if isinstance(e, Conv) and history(graph, e):
                for arg in e.args:
                    if isinstance(arg, Read):
                        keep(arg.name, "window", window(graph, e), e, f"a convolution reads {text_of(arg.name)}")
            elif isinstance(e, Read):
                for m in e.moves:
                    _buffer_of(graph, e, m, keep)
    place = {n: i for i, n in enumerate(graph.entries)}
    return tuple(sorted(found.values(), key=lambda b: place[b.name]))


def _buffer_of(graph: StepGraph, e: Read, m: Move, keep: Callable[[str, BufferKind, Poly | None, Expr, str], None]) -> None:
    entry = graph.entries.get(e.name)
    if entry is None or entry.once or entry.kind in ("param", "const"):
        return
    text = text_of(e.name)
    if m.kind == "lag":
        keep(e.name, "delay", steps_back(graph, m.index), e, f"{text} is read with a lag")
    elif m.kind == "window":
        back = steps_back(graph, m.index)
        keep(e.name, "ring" if back is not None else "cache", back, e, f"{text} is read at several earlier steps")
    elif m.axis == graph.chain and graph.chain and m.kind in ("rename", "gather"):
        index = graph.indices.get(m.index.of) if isinstance(m.index, Number) else None
        bound = polynomial(index.bound, graph.dims) if index is not None and index.bound is not None else None
        kind: BufferKind = "cache" if bound is None else "ring"
        where = f"at all steps of {index.name}" if index is not None else "at any step"
        keep(e.name, kind, bound, e, f"{text} is read {where}")


def _longer(graph: StepGraph, a: Poly | None, b: Poly | None) -> bool:
    if a is None or b is None:
        return b is not None
    difference = (a - b).value(graph.sizes)
    return difference is not None and difference > 0


# ---- blocks -----------------------------------------------------------------------------------------------------------


def time_axis(graph: StepGraph) -> str:
    """The axis a block streams along: `t` where anything has it, else the first index axis of an input, else ""."""
    axes = [a for e in graph.entries.values() if e.kind in ("input", "draw") for a in e.axes if _index(a)]
    return "t" if "t" in _timed(graph) else axes[0] if axes else ""


def _index(axis: str) -> bool:
    return axis.rsplit(".", 1)[-1][:1].islower()


def _block(graph: StepGraph, ask: Ask) -> tuple[Streams, Reason | None]:
    axis = time_axis(graph)
    if not axis:
        return "step", None
    flows: dict[str, Flow] = {n: Flow() for n in graph.entries}
    needed = set(reached(graph))
    names = [n for n in step_order(graph) if n in needed]
    for _ in range(4 + 2 * len(graph.levels)):
        before = dict(flows)
        memo: dict[int, Flow] = {}
        for name in names:
            entry = graph.entries[name]
            flows[name] = _entry_flow(graph, entry, axis, flows, memo, ask)
        if flows == before:
            break
    outs = [flows[o] for o in graph.outs if o in flows]
    worst = max(outs, key=lambda f: ORDER.index(f.streams), default=Flow())
    return worst.streams, worst.reason


def _entry_flow(graph: StepGraph, entry: Entry, axis: str, flows: dict[str, Flow], memo: dict[int, Flow], ask: Ask) -> Flow:
    if entry.node is None:
        if axis in entry.axes:
            return Flow("step", axis)
        if entry.kind == "input" and any(_index(a) for a in entry.axes) and not entry.once:
            return Flow("after prefix", "", Poly(), Reason(f"{entry.name} is given whole, before the first step", entry.span))
        return Flow()
    roots = [entry.node] + ([entry.start] if entry.start is not None and entry.level else [])
    for e in postorder(roots, memo):
        memo[id(e)] = _flow(graph, e, axis, flows, memo, ask, text_of(entry.name))
    return _worst([memo[id(r)] for r in roots])


def _worst(parts: list[Flow]) -> Flow:
    out = max(parts, key=lambda f: ORDER.index(f.streams), default=Flow())
    timed = next((f for f in parts if f.axis), None)
    out = replace(out, prefix=bool(parts) and all(f.prefix for f in parts))
    return replace(out, axis=timed.axis, shift=timed.shift) if timed is not None and not out.axis else out


def _no(text: str, e: Expr) -> Flow:
    return Flow("no", "", Poly(), Reason(text, e.span))


def _flow(graph: StepGraph, e: Expr, axis: str, flows: dict[str, Flow], memo: dict[int, Flow], ask: Ask, name: str) -> Flow:
    below = [memo.get(id(c), Flow()) for c in children(e)]
    base = _worst(below)
    time = base.axis
    match e:
        case Apply() if e.fn == "where" and (number_of(e.args[2]) == 0 or memo[id(e.args[2])].prefix):
            return replace(base, prefix=_mask(e.args[0], axis) or memo[id(e.args[1])].prefix)
        case Apply():
            product = e.fn in ("mul", "outer", "and")
            return replace(base, prefix=any(f.prefix for f in below) if product else e.fn == "neg" and base.prefix)
        case Read():
            return _read_flow(graph, e, flows, _worst([flows.get(e.name, Flow()), *[replace(b, axis="") for b in below]]))
        case Length() if e.of == axis:
            return _no(f"len({e.of}) is not known before the last step", e)
        case Invoke():
            return _call_flow(e, base, ask)
        case Reduce() if time and time in e.over and e.fn == "sum" and base.prefix:
            return _after(base, f"{name} sums over a prefix of {time}", e)
        case Reduce() if time and time in e.over:
            return _no(f"{name} takes the {e.fn} over all of {time}", e)
        case Contract() if time and time in e.over and any(f.prefix for f in below):
            return _after(base, f"{name} sums over a prefix of {time}", e)
        case Contract():
            out = replace(base, prefix=any(f.prefix for f in below))
            return out if not time or time not in e.over else _no(f"{name} sums over all of {time}", e)
        case Along() if time and time in e.over:
            return _no(f"{name} takes the {e.fn} over all of {time}", e)
        case Norm() if time and time in e.over:
            return _no(f"{name} takes the {e.fn} over all of {time}", e)
        case Conv() if time and time in e.over and e.pad != "causal":
            return _no(f"{name} is a convolution along {time} that is not causal", e)
        case Rename():
            names = dict(e.pairs)
            return replace(base, axis=names.get(time, time))
        case Split() if time and e.axis == time:
            out = replace(base, axis=e.outer)
            why = Reason(f"{name} splits {time} into segments", e.span)
            return out if out.streams in ("by segments", "no") else replace(out, streams="by segments", reason=why)
        case Merge() if time and e.parts and e.parts[0] == time:
            return replace(base, axis=e.axis)
        case Concat() if time and time in e.over:
            return _concat_flow(graph, e, base, memo, name)
    return base


def _after(base: Flow, text: str, e: Expr) -> Flow:
    if base.streams in ("by segments", "no"):
        return replace(base, axis="", prefix=False)
    return Flow("after prefix", "", Poly(), Reason(text, e.span))


def _mask(test: Expr, axis: str) -> bool:
    """A condition that holds on a prefix of the time axis only: `t < M`, where M does not move."""
    if isinstance(test, Apply) and test.fn == "and":
        return any(_mask(a, axis) for a in test.args)
    if not isinstance(test, Apply) or test.fn not in ("lt", "le", "gt", "ge"):
        return False
    small, big = test.args if test.fn in ("lt", "le") else test.args[::-1]
    return isinstance(small, Number) and small.of == axis and axis not in big.axes


def _concat_flow(graph: StepGraph, e: Concat, base: Flow, memo: dict[int, Flow], name: str) -> Flow:
    shift = base.shift
    for arg, over in zip(e.args, e.over, strict=True):
        if memo.get(id(arg), Flow()).axis == over and over:
            if base.streams in ("by segments", "no"):
                return replace(base, axis=e.axis, shift=shift)
            text = f"{text_of(name)} has something in front of the steps of {over}" if arg is not e.args[0] else ""
            if not text:
                return _no(f"{text_of(name)} has something behind the steps of {over}", e)
            return Flow("after prefix", e.axis, shift, Reason(text, e.span))
        length = size(graph, over) if over else Poly.of(1)
        if any(_index(n) for n in length.names):
            return _no("what stands in front of the sequence has no fixed length", e)
        shift = shift + length
    return base


def _read_flow(graph: StepGraph, e: Read, flows: dict[str, Flow], base: Flow) -> Flow:
    text = text_of(e.name)
    for m in e.moves:
        if not base.axis or m.axis != base.axis or m.kind in ("lag", "level", "family", "call"):
            continue
        if m.kind == "window":
            continue
        if isinstance(m.index, Number):
            index = graph.indices.get(m.index.of)
            if index is None or index.where is None and index.of != m.axis:
                base = replace(base, axis=m.index.of)  # the same positions under another name
            elif index.ahead or index.whole or index.where is None:
                if index.where is not None and _prefix(index, m.axis):
                    why = Reason(f"{text}[{index.name}] reads steps after this one", e.span)
                    base = base if base.streams in ("by segments", "no") else replace(base, streams="after prefix", reason=why)
                else:
                    return _no(f"{text}[{index.name}] reads steps after this one", e)
            continue
        ahead = _offset(graph, m.index, base.shift)
        if ahead is None:
            if isinstance(m.index, Literal_):
                base = replace(base, axis="")
                continue
            return _no(f"{text} may be read at a later step", e)
        base = replace(base, axis=ahead)
    return base


def _offset(graph: StepGraph, index: Expr, shift: Poly) -> str | None:
    """The time axis an index `t + k` names, where k is at most the shift (so that it is not ahead); else None."""
    stack: list[tuple[Expr, int]] = [(index, 1)]
    total = Poly()
    axis = ""
    while stack:
        e, sign = stack.pop()
        if isinstance(e, Number) and sign == 1 and not axis:
            axis = e.of
        elif isinstance(e, Apply) and e.fn in ("add", "sub") and len(e.args) == 2:
            stack.extend([(e.args[0], sign), (e.args[1], sign if e.fn == "add" else -sign)])
        else:
            p = polynomial(e, graph.dims)
            if p is None:
                return None
            total = total + p * sign
    ahead = (total - shift).substitute(graph.sizes).constant
    return axis if axis and ahead is not None and ahead <= 0 else None


def _call_flow(e: Invoke, base: Flow, ask: Ask) -> Flow:
    if base.streams == "no" or not base.axis:
        return base
    along = [(a, r) for _, a, r in e.along if a == base.axis]
    if any(r for _, r in along):
        return _no(f"{e.label} runs backwards over {base.axis}", e)
    inner = ask(e)
    if inner is None:
        return _no(f"{e.label} is not known before the hole is filled", e) if not along and base.axis not in e.mapped else base
    if along and inner.streams != "step":
        worse = max((base.streams, inner.streams), key=ORDER.index)
        reason = inner.reason if worse != base.streams else base.reason
        return replace(base, streams=worse, reason=reason)
    return base

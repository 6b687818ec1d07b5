"""Expressions and step graphs as text in spec syntax.

Out:  `show` gives one expression on one line, shortened in the middle past a limit; `print_graph` the whole graph, where a
      node that is used more than once and is not small stands on a line of its own (`_3 : [H, K] = …`).
Loops only; the text of a shared node is made once, so printing is linear in the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from seqc.compiler.graph.table import postorder
from seqc.compiler.ir.expr import (
    Along,
    Apply,
    Concat,
    Contract,
    Conv,
    DimSize,
    Draw,
    Dropout,
    Eigh,
    Expand,
    Expr,
    GatherAt,
    Grad,
    Invoke,
    Length,
    Literal_,
    Merge,
    Move,
    Norm,
    NotGiven,
    Number,
    OneHot,
    Read,
    Reduce,
    Rename,
    Scan,
    Solve,
    Split,
    children,
)
from seqc.compiler.ir.graph import StepGraph

LIMIT = 4000
INFIX = {
    "or": (1, " or "),
    "and": (2, " and "),
    "eq": (3, " == "),
    "ne": (3, " != "),
    "lt": (3, " < "),
    "le": (3, " <= "),
    "gt": (3, " > "),
    "ge": (3, " >= "),
    "add": (4, " + "),
    "sub": (4, " - "),
    "mul": (5, " * "),
    "div": (5, " / "),
    "pow": (7, "^"),
}

Shown = tuple[str, int]
"""A text and how tightly it binds (9: an atom)."""


def show(e: Expr, names: Mapping[int, str] | None = None) -> str:
    """`e` on one line. `names` gives nodes (by identity) that are printed as a name."""
    memo: dict[int, Shown] = {}
    for node in postorder([e]):
        name = names.get(id(node)) if names is not None and node is not e else None
        memo[id(node)] = (name, 9) if name is not None else _node(node, memo)
        text, tight = memo[id(node)]
        if len(text) > LIMIT:
            memo[id(node)] = (text[: LIMIT // 2] + " … " + text[-LIMIT // 4 :], tight)
    return memo[id(e)][0]


def _inner(e: Expr, memo: Mapping[int, Shown], tight: int) -> str:
    text, own = memo[id(e)]
    return text if own >= tight else f"({text})"


def _list(axes: tuple[str, ...]) -> str:
    return axes[0] if len(axes) == 1 else "[" + ", ".join(axes) + "]"


def _move(m: Move, memo: Mapping[int, Shown]) -> str:
    index = memo[id(m.index)][0]
    match m.kind:
        case "lag" | "level" | "call":
            return f"{m.axis}-{_inner(m.index, memo, 6)}"
        case "window":
            return f"{m.axis} - {_inner(m.index, memo, 6)}"
        case "rename" | "pred" | "succ":
            return index
    return f"{m.axis} = {index}"


def _node(e: Expr, memo: Mapping[int, Shown]) -> Shown:
    def t(x: Expr) -> str:
        return memo[id(x)][0]

    match e:
        case Literal_():
            return _literal(e), 9 if not isinstance(e.value, (int, float)) or e.value >= 0 else 6
        case NotGiven():
            return "none", 9
        case DimSize():
            return e.dim, 9
        case Number():
            return (f"pos({e.of})" if e.of.rsplit(".", 1)[-1][:1].isupper() else e.of), 9
        case Length():
            return f"len({e.of})", 9
        case Read():
            base = f"{e.name}.{e.field_}" if e.field_ else e.name
            return base + (f"[{', '.join(_move(m, memo) for m in e.moves)}]" if e.moves else ""), 9
        case Apply():
            return _apply(e, memo)
        case Expand():
            return memo[id(e.arg)]
        case Rename():
            inside = ", ".join(f"{a} = pos({b})" if b[:1].isupper() else b for a, b in e.pairs)
            return f"{_inner(e.arg, memo, 9)}[{inside}]", 9
        case Contract():
            return f"dot({t(e.left)}, {t(e.right)}, over = {_list(e.over)})", 9
        case Reduce():
            return f"{e.fn}({t(e.arg)}, over = {_list(e.over)})", 9
        case Along():
            count = f", {t(e.count)}" if e.count is not None else ""
            return f"{e.fn}({t(e.arg)}{count}, over = {_list(e.over)})", 9
        case Norm():
            return f"{e.fn}({t(e.arg)}, over = {_list(e.over)})", 9
        case Conv():
            args = ", ".join(t(a) for a in e.args)
            per = f", per = {_list(e.per)}" if e.per else ""
            return f"conv({args}, kernel = {t(e.size)}{per})", 9
        case Dropout():
            return f"dropout({t(e.arg)}, rate = {t(e.rate)})", 9
        case GatherAt():
            places = ", ".join(f"{a} = {t(p)}" for a, p in e.places)
            border = f", border = {e.border}" if e.border != "none" else ""
            return f"at({t(e.arg)}, {places}{border})", 9
        case Split():
            return f"split({t(e.arg)}, {e.axis} = [{e.outer}, {e.inner}])", 9
        case Merge():
            return f"merge({t(e.arg)}, {e.axis} = [{', '.join(e.parts)}])", 9
        case Concat():
            return f"concat({', '.join(t(a) for a in e.args)}, over = {_list(tuple(o or e.axis for o in e.over))})", 9
        case OneHot():
            return f"onehot({t(e.arg)}, over = {e.axis})", 9
        case Solve():
            return f"solve({t(e.matrix)}, {t(e.rhs)}, over = {e.over})", 9
        case Eigh():
            return f"eigh({t(e.matrix)}, over = {e.over})", 9
        case Draw():
            return f"{e.fn}({', '.join(t(a) for a in e.args)})", 9
        case Scan():
            fields = ", ".join(f"{n} = {t(v)}" for n, v in e.fields)
            return f"scan({e.operator.rsplit(':', 1)[-1]}, {fields})", 9
        case Grad():
            return f"grad({t(e.loss)}, {t(e.wrt)})", 9
        case Invoke():
            return _invoke(e, memo), 9
    return type(e).__name__, 9


def _literal(e: Literal_) -> str:
    if isinstance(e.value, bool):
        return "true" if e.value else "false"
    if isinstance(e.value, str):
        return '"' + e.value.replace('"', "'") + '"'
    return repr(e.value)


def _apply(e: Apply, memo: Mapping[int, Shown]) -> Shown:
    if e.fn == "neg":
        return "-" + _inner(e.args[0], memo, 6), 6
    if e.fn == "not":
        return "not " + _inner(e.args[0], memo, 3), 2
    if e.fn in INFIX:
        tight, sign = INFIX[e.fn]
        if e.fn == "pow":
            return _inner(e.args[0], memo, 8) + sign + _inner(e.args[1], memo, 9), tight
        first = _inner(e.args[0], memo, tight)
        rest = [_inner(a, memo, tight + 1) for a in e.args[1:]]
        return sign.join([first, *rest]), tight
    return f"{e.fn}({', '.join(memo[id(a)][0] for a in e.args)})", 9


def _invoke(e: Invoke, memo: Mapping[int, Shown]) -> str:
    parts = [memo[id(a.value)][0] for a in e.arguments]
    parts += [f"{d} = {memo[id(v)][0]}" for d, v in e.dims]
    parts += [f"{n} = {memo[id(v)][0]}" for n, v in (*e.params, *e.consts, *e.starts) if n != "*"]
    parts += [f"along = {'reverse(' + a + ')' if r else a}" for _, a, r in e.along if r or len(e.along) > 1]
    parts += [f"own = {e.own}"] if e.own else []
    name = (e.callee.hole or e.callee.extern or e.callee.function or e.callee.key).rsplit(":", 1)[-1]
    return f"{name}({', '.join(parts)})"


SMALL = (Literal_, Read, DimSize, Number, Length, NotGiven, Expand)


def print_graph(graph: StepGraph) -> str:
    """The graph in spec syntax: one line an entry, shared nodes before the line that first needs them."""
    uses: Counter[int] = Counter()
    roots = [e.node for e in graph.entries.values() if e.node is not None]
    for node in postorder(roots):
        for c in children(node):
            uses[id(c)] += 1
    names: dict[int, str] = {}
    lines = [f"{graph.kind} {graph.name}" + (f" over {graph.chain}:" if graph.chain else ":")]
    declared = [(d, e) for d, e in graph.dims.items() if "'" not in d and "~" not in d]
    sizes = ", ".join(d if e is None else f"{d} = {show(e)}" for d, e in declared)
    if sizes:
        lines.append(f"    dim {sizes}")
    for entry in graph.entries.values():
        if entry.node is not None:
            for node in postorder([entry.node], set(names)):
                if node is not entry.node and uses[id(node)] > 1 and not isinstance(node, SMALL) and id(node) not in names:
                    text = show(node, names)
                    names[id(node)] = f"_{len(names) + 1}"
                    lines.append(f"    {names[id(node)]} : [{', '.join(node.axes)}] = {text}")
        lines.append("    " + _entry(entry.name, graph, names))
    for out in graph.outs:
        lines.append(f"    out {out}")
    return "\n".join(lines) + "\n"


def _entry(name: str, graph: StepGraph, names: Mapping[int, str]) -> str:
    e = graph.entries[name]
    word = {"input": "in ", "draw": "in ", "let": "", "hidden": "", "out": "out "}.get(e.kind, e.kind + " ")
    kind = f" of {e.type}" if e.type != "real" else f" of {e.width}" if e.width else ""
    start = f" init {show(e.start)}" if e.start is not None else ""
    value = f" = {names.get(id(e.node)) or show(e.node, names)}" if e.node is not None else ""
    level = f"    # in {', '.join(e.level)}" if e.level else ""
    return f"{word}{e.name} : [{', '.join(e.axes)}]{kind}{' once' if e.once else ''}{start}{value}{level}"

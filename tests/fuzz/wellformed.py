"""What holds of every checked program, whatever its text: for mutants that are accepted, and for every sound spec.

Names exist, axes are told apart, operands have the axes that a node works on, and every value has its declared shape. Written
from the descriptions of the nodes, not from the checker.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec

LAGS = ("lag", "window", "level")


def faults(program: spec.Program) -> Iterator[str]:
    """Everything that is wrong with a checked program."""
    for key in program.exports:
        if key not in program.bodies:
            yield f"{key} is exported and missing"
    for body in program.bodies.values():
        for said in _body(program, body):
            yield f"{body.key}: {said}"


def _body(program: spec.Program, body: spec.Body) -> Iterator[str]:
    table = body.table
    if len(table) != len(body.values):
        yield "a name is there twice"
    axes = {d.name for d in body.dims} | {i.name for i in body.indices} | {a for f in body.topology for a in f.axes}
    axes |= {name for name, _ in body.sizes} | {lv.name for lv in body.levels} | {"t", "batch", "pred", "succ"}
    axes |= {a for v in body.values if isinstance(v.value, x.Invoke) and v.text.find(":") < 0 for a in v.axes or ()}
    levels = {lv.id for lv in body.levels}
    for out in body.outs:
        if out not in table:
            yield f"out {out} is no value"
    for v in body.values:
        if v.axes is not None:
            if len(set(v.axes)) != len(v.axes):
                yield f"{v.name} has an axis twice: {v.axes}"
            if not {a.rstrip("'") for a in v.axes} <= {a.rstrip("'") for a in axes}:
                yield f"{v.name} has unknown axes: {v.axes}"
        if set(v.level) - levels:
            yield f"{v.name} stands in no level {v.level}"
        if v.kind == "state" and v.start is None:
            yield f"the state {v.name} has no start"
        if v.value is not None and v.axes is not None and v.kind != "hidden" and set(v.value.axes) != set(v.axes):
            if not (isinstance(v.value, x.NotGiven) or isinstance(v.value, x.Scan | x.Eigh) or not v.value.axes):
                yield f"{v.name} : {v.axes} is given {v.value.axes}"
        for part in (v.value, v.start):
            for n in x.walk(part) if part is not None else ():
                for said in _node(program, body, table, n):
                    yield f"{v.name}: {said} in {type(n).__name__}"


def _node(program: spec.Program, body: spec.Body, table: dict[str, spec.Value], n: x.Expr) -> Iterator[str]:
    if len(set(n.axes)) != len(n.axes):
        yield f"axes twice {n.axes}"
    match n:
        case x.Read():
            if n.name not in table:
                yield f"unknown name {n.name}"
                return
            v = table[n.name]
            for m in n.moves:
                if m.index.type != "int":
                    yield f"a position of type {m.index.type}"
                if m.kind == "lag" and m.index.axes:
                    yield "a lag with axes"
                if m.kind in LAGS and v.start is None and v.kind not in ("param", "const", "hidden") and m.kind != "level":
                    if not (m.kind == "window" and not body.topology) and not (m.kind == "lag" and not body.topology):
                        yield f"{n.name} is read with a {m.kind} and has no start"
        case x.Apply(fn=fn, args=args):
            if fn not in ("outer",) and not {a for e in args for a in e.axes} <= set(n.axes):
                yield f"{fn} loses axes"
            if set(n.axes) - {a for e in args for a in e.axes} and args:
                # layers add up in the axes of their result: a sum may be wider than its parts
                if fn != "add":
                    yield f"{fn} gains axes {n.axes}"
        case x.Expand(arg=a):
            if not set(a.axes) < set(n.axes):
                yield f"{a.axes} is expanded to {n.axes}"
        case x.Contract(left=a, right=b, over=over):
            if not set(over) <= set(a.axes) & set(b.axes):
                yield f"over {over} of {a.axes} and {b.axes}"
            if set(n.axes) != (set(a.axes) | set(b.axes)) - set(over):
                yield f"{n.axes} of {a.axes} and {b.axes} over {over}"
        case x.Reduce(arg=a, over=over):
            if set(over) - {"batch"} - set(a.axes) or set(n.axes) != set(a.axes) - set(over):
                yield f"{n.axes} of {a.axes} over {over}"
        case x.Along(arg=a, over=over) | x.Norm(arg=a, over=over):
            if not set(over) - {"batch"} <= set(a.axes) or set(n.axes) != set(a.axes):
                yield f"{n.axes} of {a.axes} over {over}"
        case x.GatherAt(arg=a, places=places):
            if not {p for p, _ in places} <= set(a.axes):
                yield f"gathers {[p for p, _ in places]} of {a.axes}"
        case x.Split(arg=a, axis=axis) if axis not in a.axes:
            yield f"splits {axis} of {a.axes}"
        case x.Merge(arg=a, parts=parts) if not set(parts) <= set(a.axes):
            yield f"merges {parts} of {a.axes}"
        case x.Grad(loss=loss, wrt=wrt):
            if loss.axes or set(n.axes) != set(wrt.axes):
                yield "of no scalar"
        case x.Scan(operator=op) if op not in program.operators:
            yield f"no operator {op}"
        case x.Invoke(callee=c):
            if c.key and c.key not in program.bodies:
                yield f"no body {c.key}"
            if c.extern and c.extern not in program.externs:
                yield f"no extern {c.extern}"
            if c.key and n.expansion is None:
                callee = program.bodies[c.key].table
                for a in n.arguments:
                    if a.name and not n.droppable and a.name not in callee:
                        yield f"no input {a.name}"
                for s, _ in (*n.starts, *n.consts):
                    if s != "*" and s not in callee:
                        yield f"no {s} to bind"

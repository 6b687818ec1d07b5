"""What a legal kernel is; run after each pass that makes one.

Every value is computed once and before it is read; a statement's operands have no axis that its result lacks; truth values and
reals are not mixed up; the prologue reads nothing that changes in time; carries, rows, sums and totals name values that exist
and fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from seqc.compiler.ir.kernel import (
    BOOL_FUNCTIONS,
    REAL_FUNCTIONS,
    REDUCTIONS,
    Apply,
    Arg,
    Derivative,
    Kernel,
    Product,
    Rename,
    Statement,
    Var,
)


class IllegalKernel(AssertionError):
    """A kernel that breaks a rule of this file: a bug in seqc."""


def verify(k: Kernel) -> Kernel:
    """The kernel itself. Raises `IllegalKernel`."""
    known: dict[int, Var] = {}
    weights = {o.var.id for o in k.operands if o.kind in ("once", "run")}

    def refuse_if(wrong: bool, what: str) -> None:
        if wrong:
            raise IllegalKernel(f"{k.name}: {what}")

    def define(v: Var) -> None:
        refuse_if(v.id in known, f"{v} is computed twice")
        refuse_if(v.axes != k.sorted(v.axes), f"{v} has axes {v.axes}, the kernel orders them {k.axes}")
        known[v.id] = v

    def read(a: Arg, by: str) -> None:
        if isinstance(a, Var):
            refuse_if(a.id not in known, f"{by} reads {a} before it is computed")
            refuse_if(known[a.id] != a, f"{by} reads {a} with other axes or another type than it has")

    def run(these: Iterable[Statement]) -> None:
        for s in these:
            if isinstance(s, Apply):
                arity = REAL_FUNCTIONS.get(s.fn, BOOL_FUNCTIONS.get(s.fn))
                refuse_if(arity is None, f"{s.out} = {s.fn}: no such function")
                refuse_if(len(s.args) != arity, f"{s.out} = {s.fn} takes {arity} operands, has {len(s.args)}")
                refuse_if((s.fn in BOOL_FUNCTIONS) != (s.out.type == "bool"), f"{s.out} = {s.fn} has the type {s.out.type}")
                for i, a in enumerate(s.args):
                    read(a, str(s.out))
                    if isinstance(a, Var):
                        refuse_if(not set(a.axes) <= set(s.out.axes), f"{s.out} lacks axes of its operand {a}")
                        truth = s.fn in ("and", "or", "not", "number") or s.fn == "where" and i == 0
                        refuse_if((a.type == "bool") != truth, f"{s.out} = {s.fn} takes no {a.type} as operand {i}")
            elif isinstance(s, Product):
                read(s.arg, str(s.out))
                read(s.weight, str(s.out))
                refuse_if(s.weight.id not in weights, f"{s.out} is a product with {s.weight}, which is no operand of kind `once` or `run`")
                refuse_if(s.out.type != "real" or s.arg.type != "real", f"{s.out} is a product of truth values")
                named = [w for w, _ in (*s.over, *s.to)]
                refuse_if(sorted(named) != sorted(s.weight.axes), f"{s.out} does not say what becomes of each axis of {s.weight}")
                refuse_if(not s.over or any(v not in s.arg.axes for _, v in s.over), f"{s.out} sums over axes that {s.arg} lacks")
                made = {*s.rest, *(v for _, v in s.to)}
                refuse_if(s.out.axes != k.sorted(tuple(made)), f"{s.out} has the wrong axes")
            elif isinstance(s, Rename):
                read(s.arg, str(s.out))
                names = dict(s.pairs)
                made = {names.get(a, a) for a in s.arg.axes}
                fits = len(made) == len(s.arg.axes) and s.out.axes == k.sorted(tuple(made)) and set(names) <= set(s.arg.axes)
                refuse_if(not fits, f"{s.out} has the wrong axes for {s.arg} with {s.pairs}")
                refuse_if(s.out.type != "real" or s.arg.type != "real", f"{s.out} renames axes of a truth value")
            else:
                refuse_if(s.fn not in REDUCTIONS, f"{s.out} = {s.fn}: no such reduction")
                read(s.arg, str(s.out))
                refuse_if(s.arg.type != "real", f"{s.out} reduces a truth value")
                refuse_if(not s.over or not set(s.over) <= set(s.arg.axes), f"{s.out} reduces axes that {s.arg} lacks")
                refuse_if(s.out.axes != tuple(a for a in s.arg.axes if a not in s.over), f"{s.out} has the wrong axes")
            define(s.out)

    for o in k.operands:
        if o.kind in ("run", "once", "number"):
            refuse_if(o.kind == "number" and bool(o.var.axes), f"the number {o.var} has axes")
            define(o.var)
    run(k.prologue)
    steady = set(known)
    for o in k.operands:
        if o.kind in ("step", "past"):
            define(o.var)
    for c in k.carries:
        define(c.previous)
        if isinstance(c.init, Var):
            refuse_if(c.init.id not in steady or c.init.axes != c.previous.axes, f"{c.previous} starts from {c.init}")
    run(k.step)
    for c in k.carries:
        read(c.next, str(c.previous))
        refuse_if(c.next.axes != c.previous.axes or c.next.type != "real", f"{c.previous} and {c.next} do not fit")
    for v in k.rows:
        read(v, "a row")
        refuse_if(v.type != "real", f"the row {v} is no real")
    before = {i: v for i, v in known.items() if i in steady}
    for s in k.sums:
        read(s.value, "a sum")
        refuse_if(s.value.axes != s.total.axes, f"{s.total} and {s.value} do not fit")
    known.clear()
    known.update(before)
    for s in k.sums:
        define(s.total)
    run(k.epilogue)
    for v in k.totals:
        read(v, "a total")
    return k


def verify_derivative(d: Derivative, k: Kernel) -> Derivative:
    """The derivative itself; it must fit its kernel. Raises `IllegalKernel`."""
    verify(d.kernel)
    if len(d.sources) != len(d.kernel.operands) or len(d.gradients) != len(k.operands) or len(d.stored) != len(k.carries):
        raise IllegalKernel(f"{d.kernel.name}: not the adjoint of {k.name}")
    rows = d.kernel.rows
    places = {"row": len(rows), "total": len(d.kernel.totals), "carry": len(d.kernel.carries), "outer": len(d.outer)}
    for i, parts in enumerate(d.gradients):
        for kind, j in parts:
            if kind not in places or not 0 <= j < places[kind]:
                raise IllegalKernel(f"{d.kernel.name}: the gradient of operand {i} is {kind} {j}, which does not exist")
            if kind == "outer":
                o = d.outer[j]
                have = {"out": rows[o.out].axes, "arg": rows[o.arg].axes}
                for where, a in o.axes:
                    if any(a not in have[w] for w in (("out", "arg") if where == "both" else (where,))):
                        raise IllegalKernel(f"{d.kernel.name}: outer {j} has no axis {a}")
                continue
            v = {"row": d.kernel.rows, "total": d.kernel.totals, "carry": tuple(c.previous for c in d.kernel.carries)}[kind][j]
            if v.axes != k.operands[i].var.axes:
                raise IllegalKernel(f"{d.kernel.name}: the gradient of operand {i} has axes {v.axes}")
    return d

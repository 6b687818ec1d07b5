"""A kernel as text, for `seqc explain --stage kernel` and for tests.

kernel k1 over [N]                                  split along N
    step v0 : [N] z                                 operands by what they depend on
    carry v2 : [N] h = v1
    for each step:
        v4 : [N] = sigmoid(v0)
        next v2 = v6
    row v6
"""

from __future__ import annotations

from collections.abc import Iterable

from seqc.compiler.ir.kernel import Apply, Arg, Derivative, Kernel, Product, Rename, Statement, Var


def shown(k: Kernel) -> str:
    """One kernel."""
    lines = [f"kernel {k.name} over [{', '.join(k.axes)}]" + (f"  # split along {', '.join(k.split)}" if k.split else "")]
    for o in k.operands:
        past = f" of carry {o.carry}" if o.kind == "past" else ""
        lines.append(f"    {o.kind}{past} {_typed(o.var)}")
    for c in k.carries:
        lines.append(f"    carry {_typed(c.previous)} = {_arg(c.init)}")
    if k.prologue:
        lines += ["    before the first step:", *_statements(k.prologue)]
    lines += ["    for each step, the last one first:" if k.reverse else "    for each step:", *_statements(k.step)]
    lines += [f"        next {c.previous} = {c.next}" for c in k.carries]
    lines += [f"        row {v}" for v in k.rows]
    lines += [f"        {s.total} += {s.value}" for s in k.sums]
    if k.epilogue or k.totals:
        lines += ["    after the last step:", *_statements(k.epilogue), *(f"        total {v}" for v in k.totals)]
    return "\n".join(lines) + "\n"


def shown_derivative(d: Derivative) -> str:
    """An adjoint."""
    lines = [shown(d.kernel).rstrip("\n")]
    lines += [f"    kept by the forward pass: {v}" for v in d.extra]
    for i, o in enumerate(d.outer):
        lines.append(f"    outer {i}: row {o.out} x row {o.arg} as [{', '.join(a for _, a in o.axes)}]")
    if d.replay:
        lines += ["    recomputed between checkpoints:", *_statements(d.replay)]
    for i, parts in enumerate(d.gradients):
        lines.append(f"    gradient of operand {i}: {' + '.join(f'{kind} {j}' for kind, j in parts) or 'none'}")
    return "\n".join(lines) + "\n"


def _statements(these: Iterable[Statement]) -> list[str]:
    return [f"        {statement(s)}" for s in these]


def statement(s: Statement) -> str:
    """One statement."""
    if isinstance(s, Apply):
        return f"{_typed(s.out)} = {s.fn}({', '.join(_arg(a) for a in s.args)})"
    if isinstance(s, Product):
        over = ", ".join(v if w == v else f"{v} = {w}" for w, v in s.over)
        to = ", ".join(v if w == v else f"{v} = {w}" for w, v in s.to)
        return f"{_typed(s.out)} = product of {s.weight} and {s.arg} over {over} to {to}"
    if isinstance(s, Rename):
        return f"{_typed(s.out)} = {s.arg} with {', '.join(f'{new} = {old}' for old, new in s.pairs)}"
    return f"{_typed(s.out)} = {s.fn} over {', '.join(s.over)} of {s.arg}"


def _typed(v: Var) -> str:
    kind = " of bool" if v.type == "bool" else ""
    return f"{v} : [{', '.join(v.axes)}]{kind}" + (f" {v.hint}" if v.hint else "")


def _arg(a: Arg) -> str:
    return str(a) if isinstance(a, Var) else repr(a)

"""Makes every carry, row and sum of a kernel the result of a statement of its step.

In:   a kernel in which a row may be an operand, or a carry the value that another one had before (`h[t-2]`).
Out:  the same with copies, so that emitters store what a statement made and nothing else. A value that leaves twice leaves
      once more.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir.kernel import Apply, Kernel, Statement, Var
from seqc.compiler.lower.kernels.plain import resolved


def settled(k: Kernel) -> Kernel:
    """The kernel with copies where they are needed."""
    # `stop` and `through` make nothing: what they stand for may be an operand
    same = {i: a.id for i, a in resolved((*k.prologue, *k.step, *k.epilogue)).items() if isinstance(a, Var)}
    made = {s.out.id for s in k.step if s.out.id not in same}
    made |= {i for i, a in same.items() if a in made}
    every = [o.var for o in k.operands] + [s.out for s in (*k.prologue, *k.step, *k.epilogue)] + [s.total for s in k.sums]
    every += [c.previous for c in k.carries]
    first = max((v.id for v in every), default=-1) + 1
    extra: list[Statement] = []
    copies: dict[int, Var] = {}

    def own(v: Var) -> Var:
        if v.id in made:
            return v
        if v.id not in copies:
            copies[v.id] = Var(first + len(copies), v.axes, v.type, v.hint)
            extra.append(Apply(copies[v.id], "copy", (v,)))
        return copies[v.id]

    carries = tuple(replace(c, next=own(c.next)) for c in k.carries)
    rows = tuple(own(v) for v in k.rows)
    sums = tuple(replace(s, value=own(s.value)) for s in k.sums)
    return replace(k, carries=carries, rows=rows, sums=sums, step=(*k.step, *extra)) if extra else k

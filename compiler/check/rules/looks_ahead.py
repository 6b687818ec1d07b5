"""A cell's relation to its own chain sees this step and earlier ones; `require causal` is proved.

A relation that may hold later steps is allowed (bidirectional attention in a cell is a map over the run) and makes the cell not
stream; but what it reads may not depend on a state of the same loop, and `require causal` refuses it (SEQ0309).
"""

from __future__ import annotations

from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec


def check(body: spec.Body, sink: Sink, written: Written) -> None:
    """Proves `require causal`."""
    wanted = [r for r in body.requirements if r.word == "causal"]
    if not wanted:
        return
    ahead = {i.name: i for i in body.indices if (i.ahead or i.whole) and i.of}
    for v in body.values:
        for part in (v.value,):
            for n in x.walk(part) if part is not None else ():
                index = ahead.get(n.of) if isinstance(n, x.Number) else None
                chain = body.chain or "t"
                forward = (
                    isinstance(n, x.Read)
                    and any(m.kind == "gather" and m.axis == chain and not m.past for m in n.moves)
                    and not body.topology
                )
                reduced = isinstance(n, x.Reduce | x.Along) and chain in n.over and not body.topology
                turned = isinstance(n, x.Invoke) and any(r for _, _, r in n.along)
                if index is not None or forward or reduced or turned:
                    sink.report(
                        "SEQ0309",
                        f"{body.name} is required to be causal, and `{v.name}` looks ahead",
                        n.span,
                        notes=(
                            Note("required here", wanted[0].span),
                            *((Note("this relation holds later steps", index.span),) if index else ()),
                        ),
                        help="index s of t where s <= t" if index else "read earlier steps only, or drop the claim",
                    )
                    return

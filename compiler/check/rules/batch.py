"""What is computed over the batch reaches losses and states `over call` only (language.md section 4).

Otherwise the result for one sequence would depend on those that happen to be beside it. Refuses: SEQ0310.
"""

from __future__ import annotations

from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec


def check(body: spec.Body, sink: Sink, written: Written) -> None:
    """Follows each use of the batch to what reads it."""
    seconds = {i.name for i in body.indices if i.of == "batch"}
    users = {v.name: span for v in body.values if (span := _use(v, seconds)) is not None}
    if not users:
        return
    readers: dict[str, list[str]] = {}
    for v in body.values:
        for part in (v.value, v.start):
            for r in x.reads(part) if part is not None else ():
                readers.setdefault(r.name, []).append(v.name)
    table = body.table
    for name, span in users.items():
        reached = _reached(name, readers, table)
        bad = next((n for n in reached if n in body.outs or table[n].kind == "state" and body.topology and not table[n].level), None)
        if bad is not None:
            sink.report(
                "SEQ0310",
                f"`{bad}` would depend on the other sequences of the batch",
                span,
                label="the batch is seen by losses and by states `over call` only",
                notes=(Note(f"`{bad}` is declared here", table[bad].span),) if bad != name else (),
                help=f"state mean_ : {_shape(table[name].axes)} over call init 0\nmean_ = 0.9 * mean_[call-1] + 0.1 * {written.text(span)}",
            )
            return


def _shape(axes: x.Axes | None) -> str:
    return f"[{', '.join(axes or ())}]"


def _use(v: spec.Value, seconds: set[str]) -> Span | None:
    """Where an equation works over the batch."""
    for n in x.walk(v.value) if v.value is not None else ():
        match n:
            case x.Reduce(over=over) | x.Along(over=over) | x.Contract(over=over) if "batch" in over or seconds & set(over):
                return n.span
            case x.Norm(fn=fn, over=over) if "batch" in over and fn != "batchnorm":
                return n.span
            case x.Number(of=of) if of == "batch" or of in seconds:
                return n.span
    return None


def _reached(name: str, readers: dict[str, list[str]], table: dict[str, spec.Value]) -> list[str]:
    """What depends on a value: itself and its readers, those `over call` and losses left out."""
    out: list[str] = []
    seen = {name}
    stack = [name]
    while stack:
        n = stack.pop()
        v = table[n]
        if v.kind == "loss" or v.home == "call":
            continue
        out.append(n)
        for r in readers.get(n, ()):
            if r not in seen:
                seen.add(r)
                stack.append(r)
    return out

"""Lints: what is legal and most likely a mistake. Each is a warning with a code; `# seqc: allow CODE` on the line silences it.

SEQ-W01  a value that appears only with lags (its value of this step is used nowhere)
SEQ-W02  `expdiff(a, b)` whose b is not a maximum or logaddexp that includes a: it may overflow
SEQ-W03  a layer whose operand and result share a dim beside other dims that are mixed with it
SEQ-W04  a value that nothing reads
SEQ-W05  `x - x`
"""

from __future__ import annotations

from seqc.compiler.check.rules.ranges import stabilised
from seqc.compiler.check.same import Numbers
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec


def check(body: spec.Body, sink: Sink, written: Written) -> None:
    """All lints of one body."""
    unread(body, sink, written)
    table, numbers = body.table, Numbers()
    for v in body.values:
        if v.value is None:
            continue
        for n in x.walk(v.value):
            if isinstance(n, x.Apply) and n.fn == "expdiff" and not stabilised(table, numbers, n.args[0], n.args[1]):
                sink.report(
                    "SEQ-W02",
                    "this `expdiff` may overflow: its second argument is not shown to be at least the first",
                    n.span,
                    help="m = max(m[t-1], s), then expdiff(s, m)",
                )
            if isinstance(n, x.Apply) and n.fn == "sub" and numbers.same(*n.args) and not isinstance(n.args[0], x.Literal_):
                sink.report("SEQ-W05", "this is always 0", n.span, help=written.paste(n.span, "0"))


def unread(body: spec.Body, sink: Sink, written: Written) -> None:
    """SEQ-W01 and SEQ-W04. An input may stand unread: it lets a body fit a hole."""
    now: set[str] = set(body.outs)
    ever: set[str] = set(body.outs)
    parts = [e for v in body.values for e in (v.value, v.start) if e is not None]
    parts += [i.where for i in body.indices if i.where is not None]
    parts += [s.condition for s in body.settings if s.condition is not None]
    parts += [r.claim for r in body.requirements if r.claim is not None]
    for e in parts:
        for r in x.reads(e):
            ever.add(r.name)
            if not any(m.past for m in r.moves):
                now.add(r.name)
    for v in body.values:
        if v.kind in ("loss", "hidden") or v.owner or v.name in now:
            continue
        if v.name not in ever:
            if v.kind not in ("input", "param", "const"):
                sink.report(
                    "SEQ-W04",
                    f"nothing reads `{v.name}`",
                    v.span,
                    help=written.paste(v.span, f"out {v.name}") if v.kind == "let" else f"out {v.name}",
                )
        elif v.kind in ("let", "gate") and body.topology:
            sink.report(
                "SEQ-W01",
                f"`{v.name}` is read only with a lag: its value of this step is used nowhere",
                v.span,
                notes=(Note("the last step's value is computed for nothing"),),
                help=f"{written.paste(v.span, v.name)}    # seqc: allow SEQ-W01",
            )

"""Checks what a cell runs over, before anything else is looked at.

Refuses: SEQ0203 (an upper-case index), SEQ0204 (a word of the language), SEQ0241 (no such topology, or not so many names in it).
"""

from __future__ import annotations

from seqc.compiler.check.words import CONSTANTS, SPECIAL_AXES
from seqc.compiler.check.written import Written
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import syntax as s

HEADS = {"reverse": (1, 1), "grid": (2, 8), "tree": (1, 64)}
"""Topologies with names in brackets, and how many."""
KNOWN = "a cell runs over t, reverse(t), a range (r in 1..T), grid(i, j), tree, tree(left, right), dag or graph"


def check_topology(body: s.Body, sink: Sink, written: Written) -> None:
    """Says what is wrong with the factors of a topology."""
    for f in body.topology:
        words = f.axes if f.axes else (s.Word(f.head, span=f.span),)
        if f.axes and f.head not in HEADS:
            near = nearest(f.head, HEADS)
            text = written.text(f.span)
            sink.report(
                "SEQ0241",
                f"there is no topology `{f.head}(…)`",
                f.span,
                label=KNOWN,
                help=written.paste(f.span, text.replace(f.head, near or "grid", 1)),
            )
            continue
        least, most = HEADS.get(f.head, (0, 0))
        if f.axes and not least <= len(f.axes) <= most:
            said = "one name" if (least, most) == (1, 1) else f"{least} to {most} names"
            sink.report("SEQ0241", f"`{f.head}` takes {said}, {len(f.axes)} given", f.span, label=KNOWN)
        if not f.axes and f.head in ("reverse", "grid"):
            sink.report(
                "SEQ0241",
                f"`{f.head}` says which axes it runs along",
                f.span,
                help=written.paste(f.span, "reverse(t)" if f.head == "reverse" else "grid(i, j)"),
            )
        for w in words:
            place = w.span if f.axes else f.span
            if w.text in SPECIAL_AXES or w.text in CONSTANTS:
                sink.report("SEQ0204", f"`{w}` is a word of the language and cannot be a name", place, help=written.paste(place, f"{w}_"))
            elif w.text[:1].isupper():
                sink.report(
                    "SEQ0203",
                    f"the index `{w}` must start lower-case",
                    place,
                    label="dims are upper-case, indices lower-case",
                    help=written.paste(place, w.text[0].lower() + w.text[1:]),
                )

"""The alignment rule: of several operands one must have the axes of all others (language.md section 5).

In:   typed operands of one operation, or of a whole chain of one commutative operator.
Out:  the axes and the type of the result.
Refuses: SEQ0403 (no operand has all axes), SEQ0405 (arithmetic on bool), SEQ0406 (text in arithmetic).
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.compiler.check.context import Context
from seqc.compiler.diagnostics.diagnostic import Note
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Axes, Expr


def shape(axes: Sequence[str]) -> str:
    """`[H, K]` as it is written."""
    return "[" + ", ".join(axes) + "]"


def aligned(c: Context, operands: Sequence[Expr], what: str, span: Span) -> Axes:
    """The axes of the operands together; the order is that of the operand with the most."""
    widest = max(operands, key=lambda e: len(e.axes))
    union = [*widest.axes]
    for e in operands:
        union += [a for a in e.axes if a not in union]
    bound = [e for e in operands if not c.measure(e)[1]]
    wanted = {a for b in bound for a in b.axes}
    if len(bound) > 1 and not any(wanted <= set(e.axes) for e in operands):
        first = max(bound, key=lambda e: len(e.axes))
        other = next(e for e in bound if not set(e.axes) <= set(first.axes))
        raise c.fail(
            "SEQ0403",
            f"neither operand of {what} has the axes of the other: {shape(first.axes)} beside {shape(other.axes)}",
            span,
            label="these shapes do not align",
            notes=(Note(f"this has {shape(first.axes)}", first.span), Note(f"this has {shape(other.axes)}", other.span)),
            help="outer(a, b) crosses them on purpose; dot(a, b, over = …) sums over a shared axis",
        )
    return tuple(union)


def promoted(c: Context, operands: Sequence[Expr], what: str) -> x.Type:
    """complex over real over int. Bool and text are no numbers."""
    kinds = {e.type for e in operands}
    for e in operands:
        if e.type == "bool":
            raise c.fail(
                "SEQ0405",
                f"a bool cannot stand in {what}",
                e.span,
                label="this is true or false, not a number",
                help=c.written.paste(e.span, f"where({c.written.text(e.span)}, 1, 0)"),
            )
        if e.type == "text":
            raise c.fail("SEQ0406", f"a text cannot stand in {what}", e.span, label="this is a text")
    return "complex" if "complex" in kinds else "real" if "real" in kinds else "int"

"""Hints for expressions: slices, chains of comparisons, lists, commas, reads of what is no name.

Each function looks at a `Trouble` and answers with the finding, or None where it is not the case it knows.
"""

from __future__ import annotations

from seqc.compiler.diagnostics.diagnostic import Diagnostic
from seqc.compiler.frontend.trouble import Trouble
from seqc.compiler.frontend.wording import shortened


def slices(t: Trouble) -> Diagnostic | None:
    """`x[:-1]`, `x[a:b]`, `x[-1:]`, `linear(x: y)`."""
    if t.tok.type != "COLON" or not t.brackets:
        return None
    if t.bracket == "read":
        return t.say(
            "SEQ0121",
            "there are no slices",
            label="one place is read `x[t-1]`; several are an axis: `index s of t where …`, then `x[s]`",
        )
    if t.bracket == "call":
        return t.say("SEQ0121", "a keyword's value follows `=`", help=t.fixed(" ="))
    return None


def reads(t: Trouble) -> Diagnostic | None:
    """`f(x)[t-1]`, `(a + b)[t-1]`, `x[]`, `x[t-1][j]`, `f(x)(y)`."""
    if t.tok.type == "LSQB" and t.prev is not None and t.prev.type in ("RPAR", "RSQB", "NUMBER") and t.after_operand:
        if t.prev.type == "RSQB":
            return t.say(
                "SEQ0129",
                "one pair of brackets reads at several axes: `x[t-1, j]`",
                label="write the items in the first pair",
            )
        return t.say("SEQ0129", "only a name can be read elsewhere", label="give this value a name of its own, then read that")
    if t.tok.type == "RSQB" and t.bracket == "read" and t.prev is not None and t.prev.type == "LSQB":
        name = t.text(t.brackets[-1] - 1, t.brackets[-1])
        return t.say("SEQ0129", "nothing stands in these brackets", help=t.fixed(name, t.brackets[-1] - 1, t.at + 1))
    if t.tok.type == "LPAR" and t.prev is not None and t.prev.type in ("RPAR", "RSQB", "NUMBER") and t.after_operand:
        if t.prev.type == "NUMBER":
            return t.say("SEQ0154", "a product is written with `*`", help=t.fixed("* ("))
        return t.say("SEQ0129", "the result of a call cannot be called", label="a product is written with `*`")
    if t.tok.type == "DOT" and t.prev is not None and t.prev.type in ("RPAR", "RSQB", "NUMBER"):
        return t.say("SEQ0129", "a field is read of a name or a call", label="give this value a name of its own")
    return None


def lists(t: Trouble) -> Diagnostic | None:
    """`[1, 2]` where a value is expected."""
    if t.tok.type != "LSQB" or not t.wants_operand:
        return None
    return t.say(
        "SEQ0156",
        "a list stands only as the value of a keyword, as in `over = [H, K]`",
        label="a row of numbers is a `const`, or made of `pos(N)`",
    )


def comparisons(t: Trouble) -> Diagnostic | None:
    """`0 < a < 1`."""
    if t.tok.type != "COMPARE" or t.prev is None:
        return None
    start, depth = t.at - 1, 0
    while start > t.line:
        kind = t.token(start).type
        depth += (kind in ("RPAR", "RSQB")) - (kind in ("LPAR", "LSQB"))
        if depth < 0 or depth == 0 and kind in ("COMMA", "EQUAL", "AND", "OR"):
            break
        if depth == 0 and kind == "COMPARE":
            middle = t.text(start + 1, t.at)
            return t.say(
                "SEQ0128",
                "comparisons are not chained",
                label="join two of them by `and`",
                help=t.fixed(f"and {middle} {t.tok}") if middle else "",
            )
        start -= 1
    return None


def commas(t: Trouble) -> Diagnostic | None:
    """Commas too many, and commas or operators missing between two operands."""
    if t.tok.type in ("RPAR", "RSQB", "NEWLINE") and t.prev is not None and t.prev.type == "COMMA":
        return t.say("SEQ0155", "nothing follows this `,`", at=t.prev, label="remove it", help=t.fixed("", t.at - 1, t.at))
    if t.tok.type == "COMMA" and t.prev is not None and t.prev.type in ("COMMA", "LPAR", "LSQB"):
        return t.say("SEQ0155", "nothing stands before this `,`", label="remove it", help=t.fixed(""))
    if t.tok.type not in ("NAME", "NUMBER", "STRING", "WHERE") or t.prev is None or t.prev.type == "DOTS":
        return None
    if t.after_operand and t.prev.type in ("NAME", "NUMBER", "STRING", "RPAR", "RSQB"):
        inside = t.bracket in ("call", "list", "read")
        what = "`,` or an operator" if inside else "an operator"
        new = (", " if inside else "* ") + str(t.tok)
        return t.say("SEQ0154", f"{what} is missing before `{shortened(t.tok)}`", help=t.fixed(new))
    if "COMMA" in t.accepted and t.prev.type == "NAME" and t.tok.type == "NAME":
        return t.say("SEQ0154", f"`,` is missing before `{shortened(t.tok)}`", help=t.fixed(", " + str(t.tok)))
    return None

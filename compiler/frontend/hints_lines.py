"""Hints for the parts of lines: heads, declarations, equations, imports.

Each function looks at a `Trouble` and answers with the finding, or None where it is not the case it knows.
"""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Note
from seqc.compiler.frontend.trouble import BLOCK_HEADS, DEFINING, OPERANDS, Trouble
from seqc.compiler.frontend.wording import found

_PARTS: Final = {"COLON": 0, "OF": 1, "IN": 2, "OVER": 3, "ONCE": 4, "FIXED": 4, "INIT": 5, "EQUAL": 6}
_PART_NAMES: Final = ("the shape", "its type", "its range", "its home", "`once` or `fixed`", "its start", "its equation")
_ORDER: Final = "[kind] name : [axes] of type in range over home once|fixed init start = equation"


def layout_of_blocks(t: Trouble) -> Diagnostic | None:
    """Blocks that are not there, and indentation that no line asked for."""
    if t.tok.type == "INDENT":
        above = t.token(t.at - 2) if t.at > 1 else None
        label = "no line above opens a block" if above is None or above.type == "DOC" else "the line above opens no block"
        return t.say("SEQ0106", "this line is indented more than the block it stands in", at=t.next, label=label)
    if t.tok.type == "DEDENT" or t.accepted == {"INDENT"}:
        at = t.token(max(t.line - 1, 0))
        start = t.line - 1
        while start > 0 and t.token(start - 1).type not in ("NEWLINE", "INDENT", "DEDENT"):
            start -= 1
        head = t.token(start)
        if head.type in BLOCK_HEADS:
            return t.say("SEQ0107", f"`{head}` has no lines", at=at, label="its lines follow, indented by 4 spaces")
        return t.say("SEQ0107", "this block has no lines but its doc string", at=at, label="a line is expected after this")
    if t.tok.type == "DOC":
        return t.say(
            "SEQ0157",
            "a doc string stands before a definition or on the first line of its body",
            label="elsewhere write a comment: `#: …` belongs to its line, `# …` to nothing",
        )
    return None


def head_of_block(t: Trouble) -> Diagnostic | None:
    """`cell X` without `over`, heads without `:`."""
    kind = str(t.head)
    if t.head.type not in BLOCK_HEADS:
        return None
    if t.tok.type == "NAME" and str(t.tok) in ("along", "on", "for") and "OVER" in t.accepted:
        return t.say("SEQ0111", f"a cell runs `over` its topology, not `{t.tok}` it", help=t.fixed("over"))
    if t.head.type == "CELL" and "OVER" in t.accepted and t.tok.type in ("COLON", "NEWLINE", "IN"):
        return t.say(
            "SEQ0111",
            "a cell says what it runs along",
            label="`over t` for steps in time; a `block` has no steps",
            help=t.fixed(" over t:" if t.tok.type == "NEWLINE" else " over t" + str(t.tok)),
        )
    if t.head.type in ("BLOCK", "MODEL") and t.tok.type == "OVER":
        return t.say(
            "SEQ0136",
            f"a {kind} runs along nothing; only a cell has a topology",
            label="remove this, or write `cell`",
            help=t.fixed("cell", t.line, t.line + 1),
        )
    if "COLON" in t.accepted and t.tok.type in ("NEWLINE", "EQUAL") and not t.brackets:
        return t.say(
            "SEQ0108",
            f"the head of a {kind} ends with `:`" if t.head.type in DEFINING else f"`{kind}` ends with `:`",
            help=t.fixed(":"),
        )
    return None


def ranges_of_indices(t: Trouble) -> Diagnostic | None:
    """`stack l in L:` has one end; so has `index i in S`."""
    if "DOTS" not in t.accepted or t.tok.type not in ("COLON", "COMMA", "NEWLINE", "WHERE", "DOT") or t.brackets:
        return None
    start = t.at - 1
    while start > t.line and t.token(start).type != "IN":
        start -= 1
    end = t.text(start + 1, t.at)
    low = "1" if t.head.type in ("STACK", "ROUNDS", "CELL") else "0"
    high = end if low == "1" else f"{end}-1"
    return t.say(
        "SEQ0159",
        "a range has two ends: `1..L`; both belong to it",
        help=t.fixed(f"{low}..{high}", start + 1, t.at) if end else "",
    )


def imports(t: Trouble) -> Diagnostic | None:
    """`import X`, `from X import *`, `from X import A as B`."""
    if t.tok.type == "IMPORT" and t.at == t.line:
        words = [str(t.token(k)) for k in range(t.at + 1, t.line_end)]
        name = words[-1] if words and words[-1].isidentifier() else "NAME"
        path = "".join(words) if words and all(w.isidentifier() or w == "." for w in words) else "file"
        return t.say("SEQ0122", "an import says from which file", help=f"from {path} import {name}")
    if t.head.type != "FROM":
        return None
    if t.tok.type == "STAR":
        return t.say("SEQ0122", "names are imported one by one", label="write the names, separated by `,`")
    if str(t.tok) == "as":
        return t.say("SEQ0122", "a name is imported as it is called", help=t.fixed("", t.at, t.line_end))
    if t.tok.type == "LPAR":
        return t.say("SEQ0122", "the names of an import stand without brackets")
    if t.tok.type in ("DOT", "DOTS", "SLASH", "STRING"):
        return t.say("SEQ0122", "an import names a file below the project's root, as in `cells.gru`")
    return None


def equations(t: Trouble) -> Diagnostic | None:
    """`c[t] = …`, `c == …`, `c f * c[t-1]`: what goes wrong at the equals sign."""
    if str(t.tok) == "==" and "EQUAL" in t.accepted:
        return t.say("SEQ0119", "an equation is written with `=`; `==` compares", help=t.fixed("="))
    if t.head.type == "NAME" and t.tok.type == "LSQB" and t.at == t.line + 1:
        equal = next((k for k in range(t.at, t.line_end) if t.token(k).type == "EQUAL"), 0)
        closed = next((k for k in range(t.at, t.line_end) if t.token(k).type == "RSQB"), 0)
        inside = t.text(t.at + 1, closed) if closed else ""
        names = [w.strip() for w in inside.split(",")]
        if closed and all(w.isidentifier() and w[0].isupper() for w in names):
            return t.say("SEQ0137", "`:` is missing before the shape", help=t.fixed(" : [", t.at, t.at + 1))
        return t.say(
            "SEQ0138",
            f"an equation gives `{t.head}` of this step; the left side is a bare name",
            label="this step needs no index, the past is read on the right",
            help=t.fixed("", t.at, closed + 1) if equal and closed and equal > closed else "",
        )
    if t.brackets or not t.declares:
        return None
    if t.head.type == "NAME" and t.at == t.line + 1 and t.tok.type == "NEWLINE":
        return t.say("SEQ0109", f"`{t.head}` alone says nothing", label="an equation is `name : [axes] = …`")
    if "EQUAL" in t.accepted and t.tok.type in ("NAME", "NUMBER", "LPAR", "MINUS", "NOT", "WHERE"):
        more = any(t.token(k).type == "EQUAL" and not _inside(t, k) for k in range(t.at, t.line_end))
        return t.say("SEQ0109", "`=` is missing before the equation", help="" if more else t.fixed("= " + str(t.tok)))
    if "EQUAL" in t.accepted and t.tok.type == "NEWLINE":
        what = f"`{t.name}`" if t.name else "this line"
        return t.say("SEQ0109", f"{what} needs an equation: `= …`", label="`=` and an expression are expected here")
    if t.head.type == "OUT" and t.tok.type == "COMMA":
        return t.say("SEQ0162", "each output has a line of its own", help=t.fixed("", t.at, t.line_end))
    if t.tok.type == "COMMA" and t.at == t.line + (1 if t.head.type == "NAME" else 2):
        return t.say("SEQ0162", "each declaration has a line of its own")
    return None


def shapes(t: Trouble) -> Diagnostic | None:
    """Missing shapes, shapes without brackets or colon, sizes in shapes."""
    in_shape = bool(t.brackets) and t.token(t.brackets[-1] - 1).type == "COLON" and t.bracket == "list"
    if in_shape and ("NAME" in t.accepted or "COMMA" in t.accepted):
        if t.tok.type in OPERANDS | {"STAR", "SLASH", "PLUS", "MINUS", "POWER", "EQUAL", "COLON", "STRING"}:
            return t.say(
                "SEQ0153",
                "a shape names its axes; sizes belong to dims",
                label="an axis is a name that a `dim` or `index` line declares",
                help="dim E = 2 * D" if t.tok.type in ("STAR", "NUMBER") else "",
            )
    if t.brackets or not t.declares:
        return None
    named = t.prev is not None and t.prev.type == "NAME" and t.at == t.line + (1 if t.head.type == "NAME" else 2)
    if "COLON" in t.accepted and named and t.tok.type == "LSQB" and t.head.type != "NAME":
        return t.say("SEQ0137", "`:` is missing before the shape", help=t.fixed(": ["))
    if t.accepted == {"COLON"} and named:
        if t.tok.type in ("NEWLINE", "INIT", "EQUAL", "OF", "IN", "OVER", "ONCE", "FIXED"):
            text = "" if t.tok.type == "NEWLINE" else " " + str(t.tok)
            return t.say(
                "SEQ0110",
                f"`{t.name}` needs a shape: its axes in brackets",
                label="`: [N]` for a vector, `: []` for a single number",
                help=t.fixed((" : []" if t.tok.type == "NEWLINE" else ": []") + text),
            )
    if t.accepted == {"LSQB"} and t.prev is not None and t.prev.type == "COLON":
        if t.tok.type == "NAME":
            end = t.at + 1
            while t.token(end).type == "COMMA" and t.token(end + 1).type == "NAME":
                end += 2
            return t.say("SEQ0139", "the axes of a shape stand in brackets", help=t.fixed(f"[{t.text(t.at, end)}]", t.at, end))
        if t.tok.type in ("LPAR", "NUMBER", "NEWLINE", "INIT", "EQUAL", "OF", "IN", "OVER", "ONCE", "FIXED"):
            label = "`[N]` for a vector, `[]` for a single number"
            return t.say("SEQ0139", "the axes of a shape stand in brackets", label=label)
    return None


def dims_and_functions(t: Trouble) -> Diagnostic | None:
    """`dim D : [..]`, `fn f(x):`."""
    if t.head.type in ("DIM", "INDEX") and t.tok.type in ("COLON", "LSQB", "OF") and not t.brackets and t.prev is not None:
        if t.head.type == "DIM":
            return t.say("SEQ0160", "a dim is a size and has no shape", label="`dim D`, or `dim D = 64`")
        return t.say("SEQ0160", "an index has no shape", label="`index i`, `index i in 0..S-1` or `index s of t where s <= t`")
    if t.head.type == "INDEX" and t.tok.type == "EQUAL":
        return t.say("SEQ0160", "an index is a set of positions and has no value", label="a range is `index i in 0..S-1`")
    if t.head.type == "DIM" and t.tok.type in ("IN", "NAME", "NUMBER") and t.prev is not None and t.prev.type == "NAME":
        if t.tok.type == "NAME" and "EQUAL" in t.accepted:
            return t.say("SEQ0160", "several dims are separated by `,`", help=t.fixed(", " + str(t.tok)))
        return t.say("SEQ0160", "the value of a dim follows `=`", label="`dim D = 64`")
    if t.head.type == "FN" and t.tok.type == "COLON":
        return t.say("SEQ0161", "a function is one expression", help=t.fixed(" ="))
    return None


def order_of_parts(t: Trouble) -> Diagnostic | None:
    """Parts of a declaration that do not belong to its kind, or stand in another order than the one order."""
    if t.brackets or not t.declares or t.tok.type not in _PARTS or t.tok.type == "COLON" or t.wants_operand:
        return None
    kind = str(t.head)
    if t.tok.type == "EQUAL" and t.head.type == "STATE":
        return t.say(
            "SEQ0131",
            "a state's equation stands on a line of its own",
            label="this line says only where it starts: `init …`",
            help=t.fixed("", t.at, t.line_end),
            notes=(Note(f"add the line `{t.name} = {t.text(t.at + 1, t.line_end) or '…'}`"),),
        )
    if t.tok.type == "EQUAL" and t.head.type == "PARAM":
        return t.say("SEQ0131", "a param has a start instead of an equation: `init …`", help=t.fixed("init"))
    before = [k for k in range(t.line + 1, t.at) if t.token(k).type in _PARTS and not _inside(t, k)]
    ranks = [_PARTS[t.token(k).type] for k in before]
    rank = _PARTS[t.tok.type]
    if ranks and rank == max(ranks):
        return t.say("SEQ0112", f"{_PART_NAMES[rank]} is given twice", label="remove one of the two")
    later = next((k for k in before if _PARTS[t.token(k).type] > rank), None)
    if later is None:
        return None
    return t.say(
        "SEQ0112",
        f"{_PART_NAMES[rank]} stands before {_PART_NAMES[_PARTS[t.token(later).type]]}",
        label="one order for every declaration",
        help=_reordered(t, before),
        notes=(Note(f"the order is `{_ORDER}`" + ("" if kind == t.name else f" (a {kind} line)")),),
    )


def _inside(t: Trouble, at: int) -> bool:
    """Whether a token of the line stands inside brackets."""
    depth = 0
    for k in range(t.line, at):
        depth += (t.token(k).type in ("LPAR", "LSQB")) - (t.token(k).type in ("RPAR", "RSQB"))
    return depth > 0


def _reordered(t: Trouble, before: list[int]) -> str:
    """The line with its parts in the one order."""
    marks = before + [k for k in range(t.at, t.line_end) if t.token(k).type in _PARTS and not _inside(t, k)] + [t.line_end]
    parts = [(_PARTS[t.token(a).type], t.text(a, b)) for a, b in zip(marks, marks[1:], strict=False)]
    if not parts or not all(text for _, text in parts) or len({rank for rank, _ in parts}) < len(parts):
        return ""
    return " ".join([t.text(t.line, marks[0]), *(text for _, text in sorted(parts))])


def fallback(t: Trouble, expected: str) -> Diagnostic:
    """What no rule knows: what was expected and what stands there."""
    notes: tuple[Note, ...] = ()
    if t.brackets:
        opened = t.token(t.brackets[-1])
        if opened.span.line != t.tok.span.line:
            notes = (Note(f"`{opened}` is opened here", opened.span),)
    return t.say("SEQ0101", f"{expected} is expected here, not {found(t.tok)}", notes=notes)

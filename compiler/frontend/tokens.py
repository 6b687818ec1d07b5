"""Words, numbers and signs: what one line of text is cut into.

The terminals are those of `seq.lark`. What is not of the language (`**`, `:=`, `1.`, `x_2` in other letters, …) becomes a
`FOREIGN` token, which no state of the parser accepts, so that the message about it is worded where it stands. No pattern
has nested quantifiers: each runs in linear time.
"""

from __future__ import annotations

import re
from typing import Final

from seqc.compiler.diagnostics.span import Span

KEYWORDS: Final = frozenset(
    "from import cell block model fn operator extern dim index in state param const gate loss out require stack rounds "
    "schedule over of once fixed init where and or not".split()
)
"""Reserved: may not be declared as names. `over`, `init` and `where` also head keywords and calls."""

SOFT_KEYWORDS: Final = frozenset(("seq", "identity", "combine"))
"""Words only where the grammar asks for them, names elsewhere."""

LINE_KEYWORDS: Final = frozenset(
    "dim index state param const gate loss out require stack rounds schedule cell block model fn operator extern from".split()
)
"""Words that can only begin a line, so that a bracket left open before one of them is known to be left open."""

SIGNS: Final = {
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    ",": "COMMA",
    ":": "COLON",
    "=": "EQUAL",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "SLASH",
    "^": "POWER",
    ".": "DOT",
    "..": "DOTS",
    "->": "ARROW",
    "==": "COMPARE",
    "!=": "COMPARE",
    "<=": "COMPARE",
    ">=": "COMPARE",
    "<": "COMPARE",
    ">": "COMPARE",
}

TOKEN: Final = re.compile(
    r"""
      (?P<SPACE>   [ \t]+ )
    | (?P<COMMENT> \#[^\n]* )
    | (?P<NUMBER>  [0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)? (?!\w) (?!\.[0-9]) (?!\.(?!\.)) )
    | (?P<BADNUM>  [0-9]+(?:\.[0-9]+)?\w* \.? (?!\.) | [0-9]+\w* | \.[0-9]\w* )
    | (?P<NAME>    [A-Za-z][A-Za-z0-9_]* (?!\w) )
    | (?P<BADNAME> \w+ )
    | (?P<DOC>     \"\"\" )
    | (?P<STRING>  "[^"\n]*" )
    | (?P<OPENTEXT> "[^"\n]* | '[^'\n]*'? )
    | (?P<FOREIGN> \.\.\. | :=+ | \*\*=? | //=? | && | \|\| | [+*/^%@&|]= | -= | => | <> | === | !== | << | >> | !(?!=) )
    | (?P<SIGN>    \.\. | -> | == | != | <= | >= | [()\[\],:=+\-*/^.<>] )
    | (?P<OTHER>   . )
    """,
    re.VERBOSE,
)
"""One token at a time, tried at every position that is not the end of a line."""


class Tok(str):
    """A token of the grammar with its kind and its place; `NEWLINE` has the line's doc comments as its text."""

    __slots__ = ("span", "type")

    type: str
    span: Span

    @classmethod
    def at(cls, terminal: str, text: str, span: Span) -> Tok:
        """A token `text` of kind `terminal` that stands at `span`."""
        token = cls(text)
        token.type = terminal
        token.span = span
        return token


def terminal_of(kind: str, text: str) -> str:
    """The grammar's terminal for a match of `TOKEN`; `FOREIGN` for what no rule takes."""
    if kind == "NAME":
        return text.upper() if text in KEYWORDS else "NAME"
    if kind == "SIGN":
        return SIGNS[text]
    return kind if kind in ("NUMBER", "STRING") else "FOREIGN"


def is_operand_end(token: Tok | None) -> bool:
    """Whether an operand may end with this token, so that a `-` after it is a difference and a `[` a read."""
    return token is not None and token.type in ("NAME", "NUMBER", "STRING", "RPAR", "RSQB")

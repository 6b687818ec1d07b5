"""Parser states in the user's words: what could follow, and what stands there instead.

In:   the terminals that a state accepts.     Out:  a phrase such as "an operator or `)`"; never a terminal's name.
"""

from __future__ import annotations

from typing import Final

from seqc.compiler.frontend.tokens import KEYWORDS, SIGNS, Tok

_SIGN_OF: Final = {terminal: sign for sign, terminal in SIGNS.items() if terminal != "COMPARE"}
_WORD_OF: Final = {word.upper(): word for word in KEYWORDS | {"seq", "identity", "combine"}}

_OPERATORS: Final = frozenset(("PLUS", "MINUS", "STAR", "SLASH", "POWER", "COMPARE", "AND", "OR"))
_OPERANDS: Final = frozenset(("NAME", "NUMBER", "STRING", "LPAR", "MINUS", "NOT", "WHERE"))
_LINES: Final = frozenset("DIM INDEX IN STATE PARAM CONST GATE LOSS OUT REQUIRE STACK ROUNDS SCHEDULE NAME".split())
_DEFINITIONS: Final = frozenset("CELL BLOCK MODEL FN OPERATOR EXTERN FROM".split())
_LAYOUT: Final = {
    "NEWLINE": "the end of the line",
    "INDENT": "an indented block",
    "DEDENT": "the end of the block",
    "$END": "the end of the file",
    "DOC": "a doc string",
    "FOREIGN": "a sign that the language does not have",
}
NAMED_AFTER: Final = {
    "cell": "the name of the cell",
    "block": "the name of the block",
    "model": "the name of the model",
    "fn": "the name of the function",
    "operator": "the name of the operator",
    "extern": "the name of the extern",
    "dim": "the name of a dim",
    "index": "the name of an index",
    "in": "the name of the input",
    "state": "the name of the state",
    "param": "the name of the parameter",
    "const": "the name of the constant",
    "gate": "the name of the gate",
    "loss": "the name of the loss",
    "out": "the name of the output",
    "stack": "the name of the level",
    "rounds": "the name of the level",
    "import": "the name to import",
    "from": "the file to import from",
    "of": "a type or an axis",
}
"""What a name is, after each word that asks for one."""


def expected(accepted: frozenset[str], before: Tok | None = None) -> str:
    """What may follow, most telling first; `before` is the token that stands before the place."""
    rest = set(accepted)
    phrases: list[str] = []
    if rest >= _DEFINITIONS:
        phrases.append("a definition (`cell`, `block`, `model`, `fn`, `operator`, `extern`)")
        rest -= _DEFINITIONS | {"DOC"}
    if rest >= _LINES:
        phrases.append("a line of the body (`dim`, `in`, `state`, …, or an equation)")
        rest -= _LINES | {"DOC"}
    if rest >= {"NAME", "NUMBER"}:
        phrases.append("an expression")
        rest -= _OPERANDS
        if "EQUAL" not in rest:
            rest -= {"OVER", "INIT"}
    if rest >= {"PLUS", "STAR"}:
        phrases.append("an operator")
        rest -= _OPERATORS
        rest -= {"DOT"}
    if "NAME" in rest and str(before) == "over":
        phrases.append("what it runs along (`t`, `edge`, `call`, …)")
        rest -= {"NAME"}
    if "NAME" in rest:
        phrases.append(NAMED_AFTER.get(str(before), "a name") if before is not None else "a name")
        rest -= {"NAME", "OVER", "INIT"} if "OVER" in rest and "WHERE" in rest else {"NAME"}
    words = sorted((t for t in rest if t in _WORD_OF), key=lambda t: _WORD_OF[t])
    signs = sorted((t for t in rest if t in _SIGN_OF), key=lambda t: _SIGN_OF[t])
    phrases += [f"`{_SIGN_OF[t]}`" for t in signs] + [f"`{_WORD_OF[t]}`" for t in words]
    phrases += ["a number"] * ("NUMBER" in rest) + ["a text"] * ("STRING" in rest) + ["a comparison"] * ("COMPARE" in rest)
    phrases += [phrase for terminal, phrase in _LAYOUT.items() if terminal in rest and terminal != "DOC"]
    if not phrases and "DOC" in rest:
        phrases.append("a doc string")
    return listed(phrases)


def found(token: Tok) -> str:
    """The token as the user sees it."""
    if token.type in _LAYOUT and token.type not in ("FOREIGN",):
        return _LAYOUT[token.type] if token.type != "INDENT" else "a deeper indentation"
    if token.type == "NUMBER":
        return f"the number `{shortened(token)}`"
    if token.type == "NAME":
        return f"the name `{shortened(token)}`"
    if token.type in _WORD_OF:
        return f"the word `{token}`"
    if token.type == "STRING":
        return "a text"
    return f"`{shortened(token)}`"


def shortened(text: str, most: int = 40) -> str:
    """At most `most` characters of a text, what cannot be printed left out."""
    clean = "".join(ch if ch.isprintable() else "?" for ch in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def listed(phrases: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    unique = list(dict.fromkeys(phrases))
    if len(unique) < 2:
        return "".join(unique) or "nothing more"
    return ", ".join(unique[:-1]) + " or " + unique[-1]

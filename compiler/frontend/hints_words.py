"""Hints for words, numbers and signs that are not of the language, and for words in places that are not theirs.

Each function looks at a `Trouble` and answers with the finding, or None where it is not the case it knows.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from seqc.compiler.diagnostics.diagnostic import Diagnostic
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.frontend.tokens import KEYWORDS, LINE_KEYWORDS
from seqc.compiler.frontend.trouble import OPERANDS, Trouble, tidied
from seqc.compiler.frontend.wording import NAMED_AFTER, shortened

_SIGNS: Final = {
    "**": ("^", "a power is written `^`"),
    "&&": ("and", "this is written `and`"),
    "&": ("and", "this is written `and`"),
    "||": ("or", "this is written `or`"),
    "|": ("or", "this is written `or`"),
    "!": ("not ", "this is written `not`"),
    "~": ("not ", "this is written `not`"),
    "<>": ("!=", "this is written `!=`"),
    "===": ("==", "this is written `==`"),
    "!==": ("!=", "this is written `!=`"),
    "=>": (">=", "this is written `>=`"),
    "//": ("", "there is no whole division: `floor(a / b)`"),
    "%": ("", "the remainder is written `mod(a, n)`"),
    "@": ("", "a matrix product is `linear(x)`, or `dot(a, b, over = K)` of two values"),
    "<<": ("", "there are no shifts: multiply by a power of 2"),
    ">>": ("", "there are no shifts: divide by a power of 2"),
    "...": ("", "axes are all written out, as in `[H, K, V]`"),
    ";": ("", "each line holds one declaration or equation"),
    "{": ("", "blocks are made by indentation, lists by `[ ]`"),
    "}": ("", "blocks are made by indentation, lists by `[ ]`"),
    "\\": ("", "lines may break inside brackets; no sign is needed"),
    "?": ("", "a choice is written `where(condition, a, b)`"),
    "$": ("", "remove it"),
    "`": ("", "remove it"),
}
_UNICODE: Final = {
    "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "≤": "<=", "⩽": "<=", "≥": ">=", "⩾": ">=",
    "≠": "!=", "∧": "and", "∨": "or", "¬": "not ", "∞": "inf", "←": "=", "→": "->", "≔": "=", "²": "^2", "³": "^3", "“": '"',
    "”": '"', "‘": '"', "’": '"', "…": "..", "\u00a0": " ", "，": ",", "：": ":", "（": "(", "）": ")", "＝": "=", "′": "",
}  # fmt: skip
_GREEK: Final = {chr(c): unicodedata.name(chr(c)).split()[-1].lower() for c in range(0x3B1, 0x3CA)} | {"λ": "lam", "π": "pi"}
_FOREIGN_WORDS: Final = {
    "if": "a choice is written `where(condition, a, b)`",
    "else": "a choice is written `where(condition, a, b)`",
    "elif": "a choice is written `where(condition, a, b)`",
    "for": "a repetition is `stack l in 1..L:` or `rounds r in 1..R:`; over time the cell runs by itself",
    "while": "a repetition is `rounds r in 1..R:`, left early by `stop` in its schedule",
    "def": "a function is `fn f(a, b) = …`, a recurrence is a `cell`",
    "class": "a recurrence is a `cell`, what is built of them a `block` or `model`",
    "return": "a result is declared: `out y : [D] = …`",
    "lambda": "a function has a name: `fn f(a) = …`",
    "let": "an equation needs no word before it: `name : [axes] = …`",
    "var": "an equation needs no word before it: `name : [axes] = …`",
    "input": "an input is declared by `in x : [D]`",
    "output": "a result is declared by `out y : [D] = …`",
    "hidden": "what has a past is declared by `state h : [N] init 0`",
    "weight": "what is learned is declared by `param W : [D, N] init normal(0, 0.02)`",
    "parameter": "what is learned is declared by `param W : [D, N] init normal(0, 0.02)`",
    "function": "a function is `fn f(a, b) = …`",
    "layer": "what is built of cells is a `block` or a `model`",
    "module": "what is built of cells is a `block` or a `model`",
    "with": "there is no such word in the language",
    "as": "a name is imported as it is called",
    "is": "equality is `==`",
}
_OWN_WORDS: Final = {"input": "in", "output": "out", "hidden": "state", "weight": "param", "parameter": "param"}


def foreign_sign(t: Trouble) -> Diagnostic | None:
    """Operators, brackets and letters of other languages and keyboards."""
    if t.tok.type != "FOREIGN":
        return None
    text = str(t.tok)
    if text in (":=", "::="):
        return t.say("SEQ0118", "an equation is written with `=`, not with `:=`", help=t.fixed("="))
    if text[0] in "\"'":
        return _open_text(t, text)
    if text[0].isdigit() and text.isascii() or text[0] == "." and text[1:2].isdigit():
        return _number(t, text)
    if len(text) > 1 and text[-1] == "=" and text[0] in "+-*/^%@&|":
        operator = text[:-1].replace("**", "^").replace("//", "/")
        name, rest = t.text(t.line, t.at), t.text(t.at + 1, t.line_end)
        new = tidied(f"{name} = {name}[t-1] {operator} {rest}") if operator in "+-*/^" and rest and name.isidentifier() else ""
        return t.say(
            "SEQ0118",
            f"`{text}` changes a value in place; here each name has one equation",
            label="write the value of the step before with its lag",
            help=new,
        )
    if text in _SIGNS:
        new, words = _SIGNS[text]
        return t.say("SEQ0117", f"`{text}` is not a sign of the language", label=words, help=t.fixed(new) if new else "")
    if text in _UNICODE:
        new = _UNICODE[text]
        return t.say("SEQ0123", f"`{text}` is not a sign of the language", label=f"write `{new.strip()}`", help=t.fixed(new))
    if text[0].isalnum() or text[0] == "_":
        return _name(t, text)
    kind = unicodedata.name(text[0], "a sign without a name").lower()
    return t.say("SEQ0123", f"`{shortened(text)}` ({kind}) is not a sign of the language", label="remove it")


def _open_text(t: Trouble, text: str) -> Diagnostic:
    if text[0] == "'" and len(text) > 1 and text[-1] == "'":
        return t.say("SEQ0116", "a text stands in double quotes", help=t.fixed(f'"{text[1:-1]}"'))
    return t.say("SEQ0116", f"this text is not closed: `{text[0]}` is missing", label="a text ends on its line")


def _number(t: Trouble, text: str) -> Diagnostic:
    """`1.`, `.5`, `2D`, `1_000`, `0x10`, and numbers beyond the limits."""
    digits = sum(ch.isdigit() for ch in text)
    new = ""
    words = "a number is digits, with an optional fraction and exponent: `12`, `0.5`, `1e-3`"
    if digits > 40:
        return t.say("SEQ0127", f"this number has {digits} digits; 40 are allowed")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        return t.say("SEQ0127", f"`{text}` is too large for a floating-point number", label="infinity is written `inf`")
    if text.startswith(".") and t.after_operand:
        words = "a field has a name: `e.values`"
    elif text.startswith("."):
        new, words = "0" + text, "a fraction begins with a digit"
    elif text.endswith("."):
        new, words = text[:-1], "a point stands between digits"
    elif "_" in text and text.replace("_", "").isdigit():
        new, words = text.replace("_", ""), "digits are written without `_`"
    elif text[:2] in ("0x", "0b", "0o"):
        try:
            new, words = str(int(text, 0)), "numbers are decimal"
        except ValueError:
            new = ""
    elif match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]\w*)", text):
        new, words = f"{match[1]} * {match[2]}", "a product is written with `*`"
    return t.say("SEQ0126", f"`{shortened(text)}` is not a number", label=words, help=t.fixed(new) if new else "")


def _name(t: Trouble, text: str) -> Diagnostic:
    """Names that begin with `_`, are too long, or are not in the letters of ASCII."""
    if not text.isascii():
        plain = "".join(_GREEK.get(ch, unicodedata.normalize("NFKD", ch)[0]) for ch in text)
        good = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", plain) is not None
        return t.say(
            "SEQ0124",
            f"`{shortened(text)}` is not a name: names are made of the letters a to z, digits and `_`",
            help=t.fixed(plain) if good else "",
        )
    if text.startswith("_"):
        plain = text.strip("_")
        return t.say(
            "SEQ0124",
            f"`{shortened(text)}` is not a name: a name begins with a letter",
            help=t.fixed(plain) if plain[:1].isalpha() else "",
        )
    return t.say("SEQ0125", f"this name has {len(text)} letters; 64 are allowed", label="shorten it")


def foreign_word(t: Trouble) -> Diagnostic | None:
    """`if`, `for`, `def`, …: at the start of a line, or after an expression."""
    word = str(t.head)
    if t.head.type == "NAME" and word in _FOREIGN_WORDS and t.at <= t.line + 1 and t.tok.type != "EQUAL":
        own = _OWN_WORDS.get(word)
        new = t.fixed(own, t.line, t.line + 1) if own and t.tok.type == "NAME" else ""
        return t.say("SEQ0120", f"`{word}` is not a word of the language", at=t.head, label=_FOREIGN_WORDS[word], help=new)
    word = str(t.tok)
    if t.tok.type == "NAME" and word in _FOREIGN_WORDS and t.after_operand:
        new = ""
        end = t.line_end
        alternative = next((k for k in range(t.at, end) if str(t.token(k)) == "else"), 0)
        start = next((k for k in range(t.at - 1, t.line, -1) if t.token(k).type == "EQUAL"), 0)
        if word == "if" and alternative and start and not t.brackets:
            parts = (t.text(t.at + 1, alternative), t.text(start + 1, t.at), t.text(alternative + 1, end))
            new = t.fixed("where({}, {}, {})".format(*parts), start + 1, end)
        return t.say("SEQ0120", f"`{word}` is not a word of the language", label=_FOREIGN_WORDS[word], help=new)
    return None


def keyword_as_name(t: Trouble) -> Diagnostic | None:
    """A reserved word where a name is asked for."""
    word = str(t.tok)
    if t.tok.type != word.upper() or word not in KEYWORDS or "NAME" not in t.accepted:
        return None
    if t.wants_operand and t.next.type in OPERANDS and word not in ("of", "over"):
        return None
    if word == "over" and str(t.prev) == "cell":
        return None
    what = NAMED_AFTER.get(str(t.prev), "a name") if t.prev is not None else "a name"
    if t.at == t.line and word not in ("over", "of", "once", "fixed", "init", "where", "and", "or", "not"):
        return None
    return t.say(
        "SEQ0113",
        f"`{word}` is a word of the language and cannot be a name",
        label=f"{what} is expected here",
        help=t.fixed(word + "_"),
    )


def unknown_kind(t: Trouble) -> Diagnostic | None:
    """`sate c : [N]`, `Cell X over t:`, `output y`: a line that begins with two names."""
    if t.head.type != "NAME" or t.at != t.line + 1 or t.tok.type not in ("NAME", "COLON", "LPAR", "IN"):
        return None
    if t.tok.type != "NAME" and not (t.tok.type == "COLON" and "SCHEDULE" in str(t.head).upper()):
        return None
    word = nearest(str(t.head), LINE_KEYWORDS | {"in", "import"})
    if word is None:
        return None
    return t.say(
        "SEQ0132",
        f"`{t.head}` is not a kind of line",
        at=t.head,
        label=f"did you mean `{word}`?",
        help=t.fixed(word, t.line, t.line + 1),
    )


def misspelt_definition(t: Trouble) -> Diagnostic | None:
    """Something else at the left margin of a file, where only definitions stand."""
    if t.at != t.line or "CELL" not in t.accepted:
        return None
    word = nearest(str(t.tok), KEYWORDS & {"cell", "block", "model", "fn", "operator", "extern", "from"})
    if t.tok.type == "NAME" and word:
        return t.say(
            "SEQ0132",
            f"`{t.tok}` is not a kind of definition",
            label=f"did you mean `{word}`?",
            help=t.fixed(word),
        )
    if t.tok.type == "NAME" and str(t.tok) in _FOREIGN_WORDS:
        return t.say("SEQ0120", f"`{t.tok}` is not a word of the language", label=_FOREIGN_WORDS[str(t.tok)])
    if str(t.tok) == "seq":
        return t.say("SEQ0130", "the edition is already given", label="remove this line")
    if t.tok.type in ("INDENT", "FOREIGN", "IMPORT"):
        return None
    return t.say(
        "SEQ0158",
        "only definitions and imports stand at the left margin",
        label="indent it, so that it belongs to the cell above" if t.line > 5 else "it belongs into a cell, block or model",
    )

"""Where spaces stand between the tokens of a line: the one house style.

In:   the tokens of one logical line.     Out:  for each token, whether a space stands before it.
Operators have one space around them, except `^`, a sign before an operand, `..`, and `+ - * /` in the ends of a range
(`0..S-1`) and in a plain item of a read (`h[t-1]`, but `u[t - pos(M)]` and `low[L = l - 1]`).
"""

from __future__ import annotations

from typing import Final

from seqc.compiler.frontend.tokens import Tok, is_operand_end

_NEVER_BEFORE: Final = frozenset(("COMMA", "RPAR", "RSQB", "DOT", "DOTS", "POWER"))
_NEVER_AFTER: Final = frozenset(("LPAR", "LSQB", "DOT", "DOTS", "POWER"))
_ARITHMETIC: Final = frozenset(("PLUS", "MINUS", "STAR", "SLASH"))
_ENDS_OF_RANGE: Final = frozenset(("COMMA", "COLON", "WHERE", "NEWLINE"))


def spaces(tokens: list[Tok]) -> list[bool]:
    """Whether a space stands before each token; never before the first."""
    depths = _depths(tokens)
    tight = _tight(tokens, depths)
    answer = [False]
    for k in range(1, len(tokens)):
        before, token = tokens[k - 1], tokens[k]
        answer.append(_space(tokens, k, before, token, tight))
    return answer


def _space(tokens: list[Tok], k: int, before: Tok, token: Tok, tight: list[bool]) -> bool:
    if token.type in _NEVER_BEFORE or before.type in _NEVER_AFTER:
        return False
    if token.type == "COLON":
        return k + 1 < len(tokens)
    if token.type == "LPAR" and before.type == "WHERE":
        return k > 1 and is_operand_end(tokens[k - 2])
    if token.type in ("LPAR", "LSQB") and before.type in ("NAME", "RPAR", "RSQB"):
        return False
    if before.type == "MINUS" and not (k > 1 and is_operand_end(tokens[k - 2])):
        return False
    return not (tight[k] or tight[k - 1])


def _depths(tokens: list[Tok]) -> list[int]:
    """How many brackets enclose each token; brackets count as outside of themselves."""
    depths, depth = [], 0
    for token in tokens:
        depth -= token.type in ("RPAR", "RSQB")
        depths.append(depth)
        depth += token.type in ("LPAR", "LSQB")
    return depths


def _tight(tokens: list[Tok], depths: list[int]) -> list[bool]:
    """Which arithmetic signs stand without spaces."""
    tight = [False] * len(tokens)
    for k, token in enumerate(tokens):
        if token.type == "DOTS":
            start, end = k, k
            while start > 0 and not (tokens[start - 1].type == "IN" and depths[start - 1] == depths[k]):
                start -= 1
            while end + 1 < len(tokens) and not (tokens[end + 1].type in _ENDS_OF_RANGE and depths[end + 1] <= depths[k]):
                end += 1
            _mark(tokens, depths, tight, start, end + 1, depths[k])
        elif token.type == "LSQB" and k > 0 and is_operand_end(tokens[k - 1]):
            start = k + 1
            while start < len(tokens) and depths[start] > depths[k]:
                end = start
                while depths[end] > depths[k] + 1 or depths[end] == depths[k] + 1 and tokens[end].type != "COMMA":
                    end += 1
                item = tokens[start:end]
                named = len(item) > 1 and item[1].type == "EQUAL"
                if not named and not any(x.type in ("LPAR", "LSQB") for x in item):
                    _mark(tokens, depths, tight, start, end, depths[k] + 1)
                start = end + 1
    return tight


def _mark(tokens: list[Tok], depths: list[int], tight: list[bool], start: int, end: int, depth: int) -> None:
    for k in range(start, end):
        binary = k > 0 and is_operand_end(tokens[k - 1])
        tight[k] = binary and tokens[k].type in _ARITHMETIC and depths[k] == depth

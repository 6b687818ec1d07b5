"""The LALR(1) machine that lark makes of `seq.lark`, driven one token at a time.

In:   tokens.     Out:  whether each is accepted, what would be accepted, and the finished tree.
The tables are built once in a process, on first use. Nothing here recurses; values are built by `Builder` as rules complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, UnexpectedToken
from lark.common import LexerConf
from lark.lexer import Lexer
from lark.parsers.lalr_analysis import Shift
from lark.parsers.lalr_parser_state import ParserState

from seqc.compiler.frontend.build import Builder
from seqc.compiler.frontend.tokens import SOFT_KEYWORDS, Tok
from seqc.compiler.ir import syntax


class _NoLexer(Lexer):
    """Tokens are fed by hand."""

    def __init__(self, lexer_conf: LexerConf) -> None:
        del lexer_conf

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        return iter(())


@cache
def grammar() -> Lark:
    """lark's parser for the language; strict, so that any conflict in the grammar is an error."""
    return Lark(
        files("seqc.compiler.frontend").joinpath("seq.lark").read_text("utf-8"),
        parser="lalr",
        lexer=_NoLexer,
        strict=True,
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=Builder(),
    )


class Engine:
    """One parse. A state can be kept with `mark` and gone back to with `back`."""

    def __init__(self) -> None:
        self._state: ParserState[Any] = grammar().parse_interactive("").parser_state
        self._table: dict[int, dict[str, tuple[Any, Any]]] = self._state.parse_conf.parse_table.states

    def mark(self) -> tuple[list[Any], list[Any]]:
        """The present state, to be handed to `back`."""
        return list(self._state.state_stack), list(self._state.value_stack)

    def back(self, mark: tuple[list[Any], list[Any]]) -> None:
        """Takes up the state of `mark` again."""
        self._state.state_stack[:], self._state.value_stack[:] = mark

    def states(self) -> list[int]:
        """The stack of automaton states, for `accepted` later on."""
        return list(self._state.state_stack)

    def feed(self, token: Tok) -> bool:
        """Takes one token; False where the grammar has no place for it (the state may then be half reduced)."""
        if token.type == "NAME" and str(token) in SOFT_KEYWORDS:
            token = self._soft(token)
        try:
            self._state.feed_token(token)
        except UnexpectedToken:
            return False
        return True

    def finish(self, end: Tok) -> syntax.File | None:
        """The tree, or None where the text cannot end here."""
        try:
            tree = self._state.feed_token(end, is_end=True)
        except UnexpectedToken:
            return None
        return tree if isinstance(tree, syntax.File) else None

    def accepted(self, states: list[int]) -> frozenset[str]:
        """The terminals that can really follow: each is tried on a copy of the stack."""
        return frozenset(t for t in self._table[states[-1]] if t.isupper() and self._takes(list(states), t))

    def _soft(self, token: Tok) -> Tok:
        word = str(token).upper()
        if not self._takes(self.states(), "NAME") and self._takes(self.states(), word):
            return Tok.at(word, str(token), token.span)
        return token

    def _takes(self, states: list[int], terminal: str) -> bool:
        """Whether `terminal` can be shifted after the reductions it asks for."""
        while True:
            entry = self._table[states[-1]].get(terminal)
            if entry is None:
                return False
            action, rule = entry
            if action is Shift:
                return True
            if rule.expansion:
                del states[-len(rule.expansion) :]
            if not states:
                return False
            follow = self._table[states[-1]].get(rule.origin.name)
            if follow is None:
                return False
            states.append(follow[1])
            if terminal == "$END" and states[-1] in self._state.parse_conf.parse_table.end_states.values():
                return True

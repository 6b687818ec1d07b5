"""The LALR(1) machine that lark makes of `seq.lark`, driven one token at a time.

In:   tokens.     Out:  whether each is accepted, what would be accepted, and the finished tree.
lark makes the tables, once in a process and on first use; the loop over them is here, so that the parse can stop at any token,
look around and go on elsewhere. Nothing recurses; values are built by `Builder` as rules complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark
from lark.common import LexerConf
from lark.lexer import Lexer
from lark.parsers.lalr_analysis import Shift

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


@dataclass(frozen=True, slots=True)
class _Reduction:
    """A complete rule: how many values it takes, its name, and what makes one value of them (None: the only one as it is)."""

    size: int
    name: str
    build: Callable[[list[Any]], Any] | None


@dataclass(frozen=True, slots=True)
class _Tables:
    """For each state, what to do at each terminal (an int is the next state) and where each rule leads to."""

    rows: tuple[dict[str, int | _Reduction], ...]
    start: int
    end: int


@cache
def tables() -> _Tables:
    """lark's tables, with the rules' functions in them."""
    conf = grammar().parse_interactive("").parser_state.parse_conf
    reductions: dict[Any, _Reduction] = {}
    rows: list[dict[str, int | _Reduction]] = []
    for state in range(len(conf.states)):
        row: dict[str, int | _Reduction] = {}
        for symbol, (action, target) in conf.states[state].items():
            if action is Shift:
                row[symbol] = target
                continue
            if target not in reductions:
                size = len(target.expansion)
                alone = target.options.expand1 and size == 1
                reductions[target] = _Reduction(size, target.origin.name, None if alone else conf.callbacks[target])
            row[symbol] = reductions[target]
        rows.append(row)
    return _Tables(tuple(rows), conf.start_state, conf.end_state)


class Engine:
    """One parse. A state can be kept with `mark` and gone back to with `back`."""

    def __init__(self) -> None:
        self._tables = tables()
        self._states: list[int] = [self._tables.start]
        self._values: list[Any] = []

    def mark(self) -> tuple[list[int], list[Any]]:
        """The present state, to be handed to `back`."""
        return list(self._states), list(self._values)

    def back(self, mark: tuple[list[int], list[Any]]) -> None:
        """Takes up the state of `mark` again."""
        self._states, self._values = list(mark[0]), list(mark[1])

    def states(self) -> list[int]:
        """The stack of automaton states, for `accepted` later on."""
        return list(self._states)

    def feed(self, token: Tok) -> bool:
        """Takes one token; False where the grammar has no place for it (the state may then be half reduced)."""
        if token.type == "NAME" and str(token) in SOFT_KEYWORDS:
            token = self._soft(token)
        rows, states, values, terminal = self._tables.rows, self._states, self._values, token.type
        while True:
            entry = rows[states[-1]].get(terminal)
            if entry is None:
                return False
            if isinstance(entry, int):
                states.append(entry)
                values.append(token)
                return True
            self._reduce(entry)

    def finish(self, end: Tok) -> syntax.File | None:
        """The tree, or None where the text cannot end here."""
        while self._states[-1] != self._tables.end:
            entry = self._tables.rows[self._states[-1]].get(end.type)
            if not isinstance(entry, _Reduction):
                return None
            self._reduce(entry)
        tree = self._values[-1]
        return tree if isinstance(tree, syntax.File) else None

    def accepted(self, states: list[int]) -> frozenset[str]:
        """The terminals that can really follow: each is tried on a copy of the stack."""
        return frozenset(t for t in self._tables.rows[states[-1]] if t.isupper() and self._takes(list(states), t))

    def _reduce(self, rule: _Reduction) -> None:
        """Completes a rule: its values become one."""
        states, values = self._states, self._values
        if rule.build is not None:
            children = values[len(values) - rule.size :]
            del values[len(values) - rule.size :]
            values.append(rule.build(children))
        if rule.size:
            del states[-rule.size :]
        follow = self._tables.rows[states[-1]][rule.name]
        assert isinstance(follow, int), "a rule leads to a state"
        states.append(follow)

    def _soft(self, token: Tok) -> Tok:
        """A word that is one only where the grammar asks for it."""
        word = str(token).upper()
        if not self._takes(self.states(), "NAME") and self._takes(self.states(), word):
            return Tok.at(word, str(token), token.span)
        return token

    def _takes(self, states: list[int], terminal: str) -> bool:
        """Whether `terminal` can be shifted after the reductions it asks for; `states` is used up."""
        rows = self._tables.rows
        while states[-1] != self._tables.end or terminal != "$END":
            entry = rows[states[-1]].get(terminal)
            if entry is None:
                return False
            if isinstance(entry, int):
                return True
            if entry.size:
                del states[-entry.size :]
            follow = rows[states[-1]][entry.name]
            assert isinstance(follow, int), "a rule leads to a state"
            states.append(follow)
        return True

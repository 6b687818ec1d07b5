"""The LALR(1) machine of `seq.lark`, driven one token at a time.

In:   tokens.     Out:  whether each is accepted, what would be accepted, and the finished tree.
The tables are `machine`'s; the loop over them is here, so that the parse can stop at any token, look around and go on elsewhere.
Nothing recurses; values are built by `Builder` as rules complete.
"""

from __future__ import annotations

from typing import Any

from seqc.compiler.frontend.machine import Reduction, tables
from seqc.compiler.frontend.tokens import SOFT_KEYWORDS, Tok
from seqc.compiler.ir import syntax


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
            if not isinstance(entry, Reduction):
                return None
            self._reduce(entry)
        tree = self._values[-1]
        return tree if isinstance(tree, syntax.File) else None

    def accepted(self, states: list[int]) -> frozenset[str]:
        """The terminals that can really follow: each is tried on a copy of the stack."""
        return frozenset(t for t in self._tables.rows[states[-1]] if t.isupper() and self._takes(list(states), t))

    def _reduce(self, rule: Reduction) -> None:
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

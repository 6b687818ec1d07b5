"""Hash-consing: one object for each expression, and walks that use it.

In:  expressions of any kind.   Out: canonical ones: equal expressions are the same object; each knows the pass that made it.
Refuses: SEQ0530 when the graph grows past the limit (reliability.md, S5).
Walks here are loops with an explicit stack: the depth of a spec is not trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected
from seqc.compiler.ir.expr import Argument, Expand, Expr, Literal_, Move, children, rebuild

LIMIT = 10_000
"""The most nodes of one step graph after inlining."""


class Table:
    """Canonical expressions, numbered in the order they were made (so children come before parents)."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.made_by = "build"
        self._by_key: dict[tuple[Any, ...], Expr] = {}
        self._number: dict[int, int] = {}
        self._nodes: list[tuple[Expr, str]] = []

    def number(self, e: Expr) -> int:
        """The number of a canonical node."""
        return self._number[id(e)]

    def maker(self, e: Expr) -> str:
        """The pass that made a canonical node."""
        return self._nodes[self.number(e)][1]

    def known(self, e: Expr) -> bool:
        """Whether `e` is canonical here."""
        n = self._number.get(id(e))
        return n is not None and self._nodes[n][0] is e

    def intern(self, e: Expr) -> Expr:
        """The canonical node equal to `e`, whose children must be canonical. Raises `Rejected` (SEQ0530) past the limit."""
        key = self._key(e)
        found = self._by_key.get(key)
        if found is not None:
            return found
        if len(self._nodes) >= self.limit:
            raise Rejected((Diagnostic("SEQ0530", f"the step graph grows past {self.limit} nodes", e.span),))
        self._by_key[key] = e
        self._number[id(e)] = len(self._nodes)
        self._nodes.append((e, self.made_by))
        return e

    def _key(self, e: Expr) -> tuple[Any, ...]:
        parts: list[Any] = [type(e)]
        for f in fields(e):
            if f.name != "span":
                parts.append(self._token(getattr(e, f.name)))
        return tuple(parts)

    def _token(self, v: Any) -> Any:
        if isinstance(v, Expr):
            return ("#", self._number[id(v)])
        if isinstance(v, tuple):
            return tuple(self._token(x) for x in v)
        if isinstance(v, Move):
            return (v.kind, v.axis, self._token(v.index), v.past)
        if isinstance(v, Argument):
            return (v.name, self._token(v.value), v.renames)
        if isinstance(v, (int, float)):
            return (type(v).__name__, repr(v))
        return v


def rewrite(e: Expr, f: Callable[[Expr], Expr], memo: dict[int, Expr]) -> Expr:
    """`e` rebuilt bottom-up: `f` gets each node with its children already rebuilt (each shared node once).

    `memo` is shared between calls over one forest; it is keyed by identity, so the caller keeps the old nodes alive.
    """
    for node in postorder([e], memo):
        memo[id(node)] = f(rebuild(node, lambda c: memo[id(c)]))
    return memo[id(e)]


def postorder(roots: Iterable[Expr], done: dict[int, Any] | set[int] | None = None) -> Iterator[Expr]:
    """Every node under `roots` once, children first, without those whose id is in `done`."""
    seen: set[int] = set()
    finished: dict[int, Any] | set[int] = done if done is not None else set()
    stack: list[tuple[Expr, bool]] = [(r, False) for r in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in seen and id(node) not in finished:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((c, False) for c in reversed(list(children(node))))


def number_of(e: Expr | None) -> int | float | bool | None:
    """The value of a literal, also where it was repeated along axes; None for anything else and for text."""
    while isinstance(e, Expand):
        e = e.arg
    return e.value if isinstance(e, Literal_) and not isinstance(e.value, str) else None

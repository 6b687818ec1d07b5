"""Whether two typed expressions are the same, in time linear in their nodes.

Trees share subtrees (a `fn` evaluates its argument once), so comparing them branch by branch can take exponential time. Here
every node gets a number from its kind, its plain fields and the numbers of its children: equal trees have equal numbers.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from typing import Any

from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Expr


class Numbers:
    """Numbers of expressions; nodes are kept alive as long as this is."""

    def __init__(self) -> None:
        self.by_id: dict[int, tuple[Expr, int]] = {}
        self.by_key: dict[Hashable, int] = {}

    def same(self, a: Expr, b: Expr) -> bool:
        """Whether two expressions are equal, spans aside."""
        return a is b or type(a) is type(b) and self.number(a) == self.number(b)

    def number(self, e: Expr) -> int:
        """The number of an expression; children first, without recursion."""
        stack = [e]
        while stack:
            n = stack[-1]
            if id(n) in self.by_id:
                stack.pop()
                continue
            open_ = [c for c in x.children(n) if id(c) not in self.by_id]
            if open_:
                stack.extend(open_)
                continue
            stack.pop()
            key = (type(n).__name__, *(self.plain(getattr(n, f.name)) for f in fields(n) if f.name != "span"))
            self.by_id[id(n)] = (n, self.by_key.setdefault(key, len(self.by_key)))
        return self.by_id[id(e)][1]

    def plain(self, v: Any) -> Hashable:
        """A field with numbers in place of expressions."""
        if isinstance(v, Expr):
            return ("#", self.by_id[id(v)][1])
        if isinstance(v, x.Move):
            return ("move", v.kind, v.axis, v.past, self.by_id[id(v.index)][1])
        if isinstance(v, x.Argument):
            return ("argument", v.name, v.renames, self.by_id[id(v.value)][1])
        if isinstance(v, tuple):
            return tuple(self.plain(i) for i in v)
        if isinstance(v, float):
            return ("float", repr(v))
        return (type(v).__name__, v)

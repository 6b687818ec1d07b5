"""Where a line of generated code stands: which loops are around it, which names are known there, and what can be lifted out.

A `Scope` is a place in one method. `chain` says whether a bare name stands for all steps at once (then it carries the chain axis) or
for one step. Scopes of loops over time and over levels nest; a branch of a decision at build time is a scope without lifting.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference.layout import Code
from seqc.compiler.lower.reference.text import Block


@dataclass(slots=True)
class TimeLoop:
    """A loop over the steps: `names` are computed inside; `rows` maps a sequence outside to its row inside."""

    names: frozenset[str]
    head: Block
    body: Block
    tail: Block
    after: Block
    rows: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class LevelLoop:
    """A loop over a level: what is collected for use elsewhere."""

    level: str
    number: str
    at: str
    low: str
    head: Block
    tail: Block
    so_far: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Scope:
    """See the module's docstring."""

    block: Block
    chain: bool
    parent: Scope | None = None
    time: TimeLoop | None = None
    level: LevelLoop | None = None
    branch: bool = False
    names: dict[str, Code] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    cache: dict[int, tuple[x.Expr, Code]] = field(default_factory=dict)
    known: dict[str, Code] = field(default_factory=dict)
    loops: dict[str, Scope] = field(default_factory=dict)

    def above(self) -> list[Scope]:
        """This scope and those around it, innermost first."""
        out: list[Scope] = []
        at: Scope | None = self
        while at is not None:
            out.append(at)
            at = at.parent
        return out

    @property
    def timed(self) -> Scope | None:
        """The innermost scope that is a loop over time."""
        return next((s for s in self.above() if s.time is not None), None)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels around, outermost first."""
        return tuple(reversed([s.level.level for s in self.above() if s.level is not None]))

    def level_loop(self, level: str) -> LevelLoop | None:
        """The loop over a level that is around this place."""
        return next((s.level for s in self.above() if s.level is not None and s.level.level == level), None)

    @property
    def root(self) -> Scope:
        """The method's own scope."""
        return self.above()[-1]

    def found(self, expr: x.Expr) -> Code | None:
        """What an expression already is here."""
        for s in self.above():
            hit = s.cache.get(id(expr))
            if hit is not None:
                return hit[1] if s.chain == self.chain or not hit[1].layout.chain else None
        return None

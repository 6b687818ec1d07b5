"""States and outs as flat lists of tensors and back: nested NamedTuples and tuples, None where there is nothing.

A pattern is `LEAF` for a tensor, None for None, or (class, patterns…) for a tuple.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

LEAF = "tensor"
Pattern = Any


def pattern_of(x: Any) -> Pattern:
    """The pattern of a value. Raises TypeError where something else is inside."""
    if isinstance(x, Tensor):
        return LEAF
    if x is None:
        return None
    if isinstance(x, tuple):
        return (type(x), *(pattern_of(v) for v in x))
    raise TypeError(f"a {type(x).__name__} in a state")


def flat(pattern: Pattern) -> bool:
    """Whether it is a tuple of tensors alone."""
    return isinstance(pattern, tuple) and all(p is LEAF for p in pattern[1:])


def gather(pattern: Pattern, x: Any, out: list[Any]) -> bool:
    """Appends the tensors of a value; False where it has another pattern."""
    if pattern is LEAF:
        out.append(x)
        return True
    if pattern is None:
        return x is None
    if type(x) is not pattern[0] or len(x) != len(pattern) - 1:
        return False
    return all(gather(p, v, out) for p, v in zip(pattern[1:], x, strict=True))


def build(pattern: Pattern, leaves: Iterator[Any]) -> Any:
    """The value with these tensors."""
    if pattern is LEAF:
        return next(leaves)
    if pattern is None:
        return None
    return tuple.__new__(pattern[0], [build(p, leaves) for p in pattern[1:]])

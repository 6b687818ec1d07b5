"""What generated Triton functions use, without importing Triton: a module with kernels can be imported where there is none.

    from seqc.runtime.triton.names import combine, kernel, sq, tl

`tl` and `sq` stand for `triton.language` and `seqc.runtime.triton.functions`; the first call of any kernel of a module puts them
in their place. `kernel` marks a function; it becomes a Triton kernel on first use; `combine` one that kernels hand to scans.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqc.runtime.triton.device import need_triton

tl: Any = None
sq: Any = None

FREE = ("B", "T", "C", "J")
"""Arguments of which no value makes a kernel of its own: sequences, steps, steps between checkpoints, which step."""


class Lazy:
    """A function that becomes a Triton kernel on first use."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = function.__name__
        self._made: Any = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of all arguments."""
        code = self.function.__code__
        return code.co_varnames[: code.co_argcount]

    def made(self) -> Any:
        """The Triton kernel. Raises NoTriton."""
        if self._made is None:
            need_triton()
            import triton
            import triton.language

            from seqc.runtime.triton import functions

            held = self.function.__globals__
            held["tl"], held["sq"] = triton.language, functions
            for name in self.function.__code__.co_names:
                if isinstance(held.get(name), Combine):
                    held[name] = triton.jit(held[name].function)
            free = [a for a in self.arguments if a in FREE or a[0] == "c" and a[1:].isdigit()]
            self._made = triton.jit(self.function, do_not_specialize=free)
        return self._made


class Combine:
    """A function that a scan puts two sets of values together by; it becomes Triton's with the first kernel that uses it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


def combine(function: Callable[..., Any]) -> Combine:
    """Marks a generated function of two sets of values."""
    return Combine(function)


def kernel(function: Callable[..., Any]) -> Lazy:
    """Marks a generated function."""
    return Lazy(function)

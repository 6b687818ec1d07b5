"""The bare calls into compiled code that a run of a layer makes, to be made again without anything around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class RawCalls:
    """C functions with their arguments, in order; `kept` holds the memory that they read and write."""

    calls: list[tuple[Any, tuple[Any, ...]]]
    kept: list[Any]

    def again(self) -> None:
        """Makes the calls once more, into the same memory."""
        for function, arguments in self.calls:
            function(*arguments)


def recorded(run: Callable[[], Any]) -> RawCalls:
    """Runs `run` and keeps what it called."""
    from seqc.runtime.native.kernel import Plan

    found = RawCalls([], [])
    original = Plan.call

    def call(plan: Plan, operands: Sequence[Any]) -> Any:
        function = plan.function
        operands = list(operands)
        for i, kind, whole in plan.fixes:  # what has to be converted is converted here, so that it is held
            fixed = operands[i].to(kind)
            operands[i] = fixed.contiguous() if whole else fixed

        def noting(*arguments: Any) -> Any:
            found.calls.append((function, arguments))
            return function(*arguments)

        plan.function = noting
        try:
            made = original(plan, operands)
        finally:
            plan.function = function
        found.kept.append((operands, made))
        return made

    setattr(Plan, "call", call)  # noqa: B010
    try:
        found.kept.append(run())
    finally:
        setattr(Plan, "call", original)  # noqa: B010
    return found

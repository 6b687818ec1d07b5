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
    original, bare = Plan.call, Plan.run

    def noted(plan: Plan, addresses: Any, numbers: Any, threads: int) -> None:
        found.calls.append((plan.function, (plan.sizes, addresses, plan.steps, numbers, threads)))
        bare(plan, addresses, numbers, threads)

    def call(plan: Plan, operands: Sequence[Any]) -> Any:
        operands = list(operands)
        for i, kind, whole in plan.fixes:  # what has to be converted is converted here, so that it is held
            fixed = operands[i].to(kind)
            operands[i] = fixed.contiguous() if whole else fixed
        made = original(plan, operands)
        found.kept.append((operands, made))
        return made

    setattr(Plan, "call", call)  # noqa: B010
    setattr(Plan, "run", noted)  # noqa: B010
    try:
        found.kept.append(run())
    finally:
        setattr(Plan, "call", original)  # noqa: B010
        setattr(Plan, "run", bare)  # noqa: B010
    return found

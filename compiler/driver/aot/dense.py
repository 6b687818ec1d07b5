"""What `seqc aot` compiles of one plan: the function of each launch, or the stages of a kernel with matrix products.

In:   a plan, as the runtime makes it for a target (`on`).      Out: `Variant`s.
The runtime makes the same choice between one launch and stages, with the same limits (`seqc.runtime.triton.hold.choose_form`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqc.compiler.driver.aot.build import Variant


@contextlib.contextmanager
def on(kernel: Any, target: str) -> Iterator[None]:
    """Plans of a kernel are made for a target."""
    from seqc.runtime.triton.limits import LIMITS

    before = kernel.limits
    kernel.limits = LIMITS[target]
    try:
        yield
    finally:
        kernel.limits = before


def parts(plan: Any) -> Iterator[Variant]:
    """What one plan launches: a function, those of segments, or stages."""
    from seqc.compiler.driver.aot.build import variant
    from seqc.runtime.triton.steps import StepPlan

    if not isinstance(plan, StepPlan):
        for one in plan.launches:
            yield variant(one, len(plan.launches) > 1)
        return
    for call in plan.calls:
        yield stage(plan, call)


def stage(plan: Any, call: Any) -> Variant:
    """One launch of a step."""
    from seqc.compiler.driver.aot.build import Variant
    from seqc.runtime.triton.artefacts import MEMORY

    names = call.function.arguments
    types: dict[str, str] = {}
    constants: dict[str, Any] = {}
    aligned: list[str] = []
    for a, name in zip(names, call.names[0], strict=False):
        kind = plan.kind_of(name)
        if kind is None:
            types[a], constants[a] = "constexpr", None
        else:
            types[a] = MEMORY[str(kind).removeprefix("torch.")]
            aligned.append(a)
    at = len(types)
    for a in names[at : at + len(call.numbers)]:
        types[a] = "i64"
    types["clock"] = "*i64"
    at = len(types)
    values = (*call.lead, 0, *call.rest)
    for a, value in zip(names[at:], values, strict=True):
        if isinstance(value, int) and not a.startswith(("BLOCK", "STAGES")):
            types[a] = "i64"
            if a not in ("B", "T", "C", "J") and value % 16 == 0:
                aligned.append(a)
        else:
            types[a], constants[a] = "constexpr", value
    return Variant(call.function.name, call.function.made(), types, constants, tuple(aligned), call.warps)

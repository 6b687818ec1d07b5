"""The thin way from a plan to the driver: after the first call of a plan, a launch fills in addresses and calls Triton's own launcher.

In:      a plan (`kernel.Launch`), tensors (None where a result is not wanted), numbers as bits, scratch.
Out:     the function is launched on the current stream of the tensors' device.
Keeps:   the compiled kernel of each plan by device, by which addresses are multiples of 16 and by the width of the numbers; whatever else
         Triton makes kernels of their own for follows from the plan. Nothing is allocated here, and nothing waits for the device.
Refuses: nothing. Where Triton is none whose launcher is known (3.6 to 3.9), a profiler listens to launches, or the tensors are on the
         CPU (Triton's interpreter), Triton binds the arguments itself, as `function[grid](...)` does.

`kernel.run(x, y, z, stream, function, metadata, None, None, None, *arguments)` is what Triton's own `JITFunction.run` ends in, in all
of these versions; an address may be a whole number there. `MACHINE` is what is asked of the driver at each call; tests put another there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FIRST, LAST = (3, 6), (3, 9)
"""Versions of Triton whose launcher is known."""

LOW, HIGH = -(1 << 31), 1 << 31
"""Whole numbers from LOW to below HIGH go to a kernel as 32 bits."""

FUSION = True
"""Whether products and sums may be rounded once: said at every launch, because Triton's own default changes."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A compiled kernel. `run`: Triton's launcher, where it may be called directly; `made` keeps the driver's `function` alive."""

    made: Any
    run: Callable[..., Any] | None = None
    function: Any = None
    metadata: Any = None


class Machine:
    """What is asked of the driver at each call."""

    kinds = ("cuda",)

    def device(self) -> int:
        """The current device."""
        return torch.cuda.current_device()

    def stream(self, device: int) -> int:
        """The address of a device's current stream."""
        found: int = torch._C._cuda_getCurrentRawStream(device)
        return found

    def capturing(self) -> bool:
        """Whether launches go into a CUDA graph."""
        return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()

    def listened(self) -> bool:
        """Whether somebody wants to hear of launches; hooks are a chain of them, or (as they were) one or None."""
        runtime = _knobs()
        enter, leave = runtime.launch_enter_hook, runtime.launch_exit_hook
        return bool(getattr(enter, "calls", enter)) or bool(getattr(leave, "calls", leave))


MACHINE = Machine()


@functools.cache
def _knobs() -> Any:
    from triton import knobs

    return knobs.runtime


@functools.cache
def known() -> bool:
    """Whether this Triton's launcher is one that is called directly."""
    import triton

    return FIRST <= version(triton.__version__)[:2] <= LAST


def version(words: str) -> tuple[int, ...]:
    """The numbers of a version, as far as there are some: (3, 7, 1) of "3.7.1+git12"."""
    out: list[int] = []
    for part in words.split("+")[0].split("."):
        if not part.isdigit():
            break
        out.append(int(part))
    return tuple(out)


def start(plan: Any, device: torch.device, tensors: Sequence[Tensor | None], bits: tuple[int, ...], scratch: Sequence[Tensor]) -> None:
    """Launches a plan's function. Raises BadArtefact where only kernels of folders may run and none fits."""
    if device.type not in MACHINE.kinds:
        plan.function.made()[(plan.programs,)](*tensors, *bits, *scratch, *plan.tail, **options(plan))
        return
    index = device.index
    if MACHINE.device() != index:
        with torch.cuda.device(index):
            start(plan, device, tensors, bits, scratch)
        return
    places = [0 if x is None else x.data_ptr() for x in tensors]
    more = [x.data_ptr() for x in scratch]
    every = 0
    for place in places:
        every |= place
    for place in more:
        every |= place
    key: Any = index
    if every & 15 or bits:
        key = (index, tuple(p & 15 == 0 for p in (*places, *more)), tuple(LOW <= b < HIGH for b in bits))
    ready: Ready | None = plan.ready.get(key)
    if ready is None:
        plan.ready[key] = first(plan, (*tensors, *bits, *scratch, *plan.tail))
    elif ready.run is None or MACHINE.listened():
        ready.made[(plan.programs, 1, 1)](*tensors, *bits, *scratch, *plan.tail)
    else:
        stream = MACHINE.stream(index)
        ready.run(plan.programs, 1, 1, stream, ready.function, ready.metadata, None, None, None, *places, *bits, *more, *plan.tail)


def options(plan: Any) -> dict[str, Any]:
    """What Triton is told beside the arguments."""
    return {"num_warps": plan.warps, "num_stages": 1, "enable_fp_fusion": FUSION}


def first(plan: Any, arguments: tuple[Any, ...]) -> Ready:
    """The first launch of its kind: by a kernel that was compiled ahead of time, where a folder that has it is loaded, else by one that
    Triton compiles now."""
    from seqc.runtime.triton import artefacts

    made = artefacts.found(plan.function, arguments, plan.warps) if artefacts.loaded() else None
    if made is not None:
        made[(plan.programs, 1, 1)](*arguments)
    else:
        made = plan.function.made()[(plan.programs,)](*arguments, **options(plan))
        made = made.result() if hasattr(made, "result") else made
    return handle(made)


def handle(made: Any) -> Ready:
    """A compiled kernel with what a direct launch needs of it, as far as it is there."""
    run, function, metadata = (getattr(made, name, None) for name in ("run", "function", "packed_metadata"))
    if known() and callable(run) and function is not None and metadata is not None:
        return Ready(made, run, function, metadata)
    return Ready(made)

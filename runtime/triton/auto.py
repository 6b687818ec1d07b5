"""Which mode a loop takes when `scan` is auto: the cost model's choice for the shape of a call and the GPU that it runs on.

In:   a module, the number of a kernel of its class, operands.
Out:  `sequential`, `associative`, `newton` or `reference`; `explanation`, what `layer.explain_choice` says.
Keeps: the decision is `runtime.cost.decide`'s, the same as `seqc explain --device` prints for the same numbers, and kept for each shape.
       Newton's method is taken only where it can be: not while a graph is recorded (its test of convergence waits for the GPU), nor in
       a module where it fell back before; how many iterations it took is what the next decision counts with.
Refuses: nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.cost.decide import Decision, called, decide, time
from seqc.runtime.cost.devices import DEFAULT, DEVICES, Device
from seqc.runtime.cost.facts import Loop, Shape
from seqc.runtime.triton.present import present

_loops: dict[int, tuple[Any, tuple[Loop, ...]]] = {}


def loops(cls: Any) -> tuple[Loop, ...]:
    """The facts of a class's kernels."""
    held = _loops.get(id(cls.FACTS))
    if held is None:
        held = _loops[id(cls.FACTS)] = (cls.FACTS, tuple(Loop.of(told) for told in cls.FACTS))
    return held[1]


def known(cls: Any) -> int:
    """A key for the facts of a class, which are read now and kept."""
    loops(cls)
    return id(cls.FACTS)


def machine(device: torch.device) -> Device | None:
    """The machine that decisions are made for; None where there are none to make: the interpreter keeps one step after the other."""
    if device.type != "cuda":
        return None
    index: Any = device.index
    return present(torch.cuda.current_device() if index is None else index)


def mode(module: Any, number: int, kernel: Any, operands: Sequence[Any]) -> str:
    """The mode of one call; `kernel`: the sequential one, which knows what operands mean."""
    tensors = [x for x in operands if isinstance(x, Tensor)]
    here = machine(tensors[0].device)
    if here is None or torch.compiler.is_compiling() or number >= len(type(module).FACTS):
        return "sequential"
    batch, length, sizes = kernel.shape(operands, False)
    rows = [x for x, (kind, _) in zip(operands, kernel.forward.operands, strict=True) if kind == "step"]
    width = max((x.element_size() for x in rows or tensors), default=4)
    training = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    report = module.report
    without: tuple[str, ...] = ("reference",)
    if report.fallbacks or recording(here):
        without += ("newton",)
    count = report.last if report.solved else 0
    return decision(known(type(module)), number, batch, length, tuple(sizes.items()), width, training, count, without, here).mode


def recording(here: Device) -> bool:
    """Whether a CUDA graph is recorded now."""
    return here.kind == "gpu" and torch.cuda.is_available() and bool(torch.cuda.is_current_stream_capturing())


@functools.lru_cache(maxsize=4096)
def decision(
    key: int,
    number: int,
    batch: int,
    length: int,
    sizes: tuple[tuple[str, int], ...],
    width: int,
    training: bool,
    iterations: int,
    without: tuple[str, ...],
    device: Device,
) -> Decision:
    """The decision for one kernel of a class (`known` has its key) at one shape."""
    return decide(_loops[key][1][number], Shape(batch, length, dict(sizes), width, training, iterations), device, without)


def explanation(module: Any, batch: int, length: int, training: bool, device: str) -> str:
    """What each loop of a module, and of those that it calls, takes on a machine."""
    found = DEVICES.get(device)
    if not device and torch.cuda.is_available():
        found = present(torch.cuda.current_device())
    elif not device or device == "cuda":
        found = DEVICES[DEFAULT]
    if found is None:
        raise ValueError(f"device={device!r} is unknown; there are {', '.join(DEVICES)}")
    lines = [f"{found.title}, {batch} x {length}{', with gradients' if training else ''}"]
    for m in module.modules():
        lines += [f"  {line}" for line in _lines(m, batch, length, training, found)] if getattr(m, "FACTS", ()) else []
        for names, why in getattr(m, "LEFT", ()):
            lines.append(f"  {m.TABLE.name} {{{', '.join(names)}}}: a loop over time in Python; no kernel: {why}")
    if len(lines) == 1:
        lines.append("  no loop over time")
    return "\n".join(lines)


def _lines(module: Any, batch: int, length: int, training: bool, device: Device) -> list[str]:
    """One line for each loop; the forms with resets and padding take what the plain ones take, as a rule."""
    out: list[str] = []
    width = torch.empty((), dtype=module.dtype).element_size()
    for number, loop in list(enumerate(loops(type(module))))[::2]:
        sizes = axis_sizes(loop, module.sizes)
        found = decision(known(type(module)), number, batch, length, tuple(sizes.items()), width, training, 0, (), device)
        head = f"{module.TABLE.name} {{{', '.join(loop.names)}}}: {called(found.mode)}, {time(found.best.seconds)}"
        head += f", bound by {found.best.bound}"
        head += f"; runner-up {called(found.second.mode)}, {time(found.second.seconds)}" if found.second is not None else ""
        out += [line for line in (head, f"    because {found.why}") if line not in out]
    return out


def axis_sizes(loop: Loop, sizes: Mapping[str, int]) -> dict[str, int]:
    """The size of each axis, as far as a module knows it; 1 where only a call tells."""
    return {a: max(1, int(sizes.get(a, sizes.get(a.rstrip("'"), 1)))) for a in loop.forward.axes}

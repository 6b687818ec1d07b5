"""Which mode a loop takes, and why: the quickest by the model, the simpler one where the gain would be small.

In:   what `model.estimates` takes.      Out: a `Decision`, with the runner-up and the reason in words.
Keeps: the same numbers give the same decision, in `seqc explain` and in a module at run time. Modes that are not built are never taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.runtime.cost.devices import Device
from seqc.runtime.cost.facts import Loop, Shape
from seqc.runtime.cost.model import Estimate, estimates

GAIN = 0.9
"""A mode behind another one is taken where it needs less than this share of that one's time: the model knows no better."""

NAMES = {"fused": "sequential, weights inside", "steps": "sequential, step by step"}
"""Modes in words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a loop takes. `second` is the best of the others, if there are any; `why` says what decides; `every` mode's estimate."""

    best: Estimate
    second: Estimate | None
    why: str
    every: tuple[Estimate, ...] = ()

    @property
    def mode(self) -> str:
        """The mode's name."""
        return self.best.mode


def decide(loop: Loop, shape: Shape, device: Device, without: tuple[str, ...] = ()) -> Decision:
    """The decision for a loop; `without`: modes that cannot be had now."""
    found = [e for e in estimates(loop, shape, device) if e.mode not in without]
    best = found[0]
    for e in found[1:]:
        if e.seconds < GAIN * best.seconds:
            best = e
    others = sorted((e for e in found if e is not best), key=lambda e: e.seconds)
    second = others[0] if others else None
    return Decision(best, second, reason(best, second, shape), tuple(found))


def reason(best: Estimate, second: Estimate | None, shape: Shape) -> str:
    """Why the best is the best."""
    said = _about(best, shape)
    if second is None:
        return f"{said}; there is no other mode"
    if second.seconds < best.seconds / GAIN:
        return f"{said}; {called(second.mode)} would be no more than {1 - GAIN:.0%} quicker, which the model cannot tell"
    return f"{said}; {called(second.mode)} is bound by {second.bound}: {_about(second, shape)}"


def _about(e: Estimate, shape: Shape) -> str:
    """What binds a mode."""
    steps = "step" if e.mode not in ("associative", "newton") else "tile"
    beside = f"{e.programs} programs" if e.programs != 1 else "1 program"
    if e.mode == "reference":
        return f"torch operations one by one, {time(e.step)} for each of {shape.length} steps"
    more = f"about {e.iterations} iterations, " if e.iterations else ""
    more += f"{e.segments} segments, " if e.segments > 1 else ""
    if e.bound == "the latency chain":
        return f"{more}{beside} beside each other, {e.steps} {steps}s of {time(e.step)} one after the other"
    if e.bound == "launches":
        return f"{more}most of the time are launches and waits of the host"
    return f"{more}{beside} keep the machine busy, {e.bound} is the limit"


def called(mode: str) -> str:
    """A mode in words."""
    return NAMES.get(mode, mode)


def time(seconds: float) -> str:
    """`3.2 ms`, `410 ns`."""
    for word, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds * 1e9:.3g} ns"

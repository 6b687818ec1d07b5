"""What each loop over time takes on a machine at a shape, and why: `seqc explain SPEC --device h200 --shape B=8,T=4096`.

In:   a run with its kernels, the options' device, shape and sizes.
Out:  `MachineReport`, for `--format json`, and its lines for the text. The decision is the model's that modules use at run time.
Keeps: loops that have no kernel are listed with the reason.      Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap

from pydantic import BaseModel, ConfigDict

from seqc.compiler.driver import sizes as sizes_of
from seqc.compiler.driver.explain.machine import machine
from seqc.compiler.driver.pipeline import Run
from seqc.compiler.graph.sizes import evaluate
from seqc.compiler.ir.kernel import Kernel
from seqc.compiler.ir.spec import Body
from seqc.compiler.lower.triton.facts import of_class
from seqc.runtime.cost.decide import Decision, called, decide, time
from seqc.runtime.cost.devices import Device
from seqc.runtime.cost.facts import Loop, Shape
from seqc.runtime.cost.model import Estimate


class Strict(BaseModel):
    """Frozen, nothing extra, nothing coerced."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ModeTime(Strict):
    """One mode's estimate. `bound`: the longest of its terms, which `terms` has in seconds."""

    mode: str
    seconds: float
    bound: str
    terms: dict[str, float]
    segments: int
    iterations: int


class Choice(Strict):
    """What is chosen, the best of the others, and the reason."""

    mode: str
    seconds: float
    bound: str
    runner_up: ModeTime | None
    why: str
    modes: tuple[ModeTime, ...]


class LoopReport(Strict):
    """One loop over time. `training`: the same where gradients are taken. `lacks`: modes that it does not have, with the reason. A loop
    without kernels has no choice."""

    body: str
    states: tuple[str, ...]
    sizes: dict[str, int]
    forward: Choice | None
    training: Choice | None
    lacks: dict[str, str]


class MachineReport(Strict):
    """All loops of a spec on a machine."""

    device: str
    title: str
    note: str
    batch: int
    steps: int
    width: int
    loops: tuple[LoopReport, ...]


def report(run: Run) -> MachineReport:
    """The choices for the run's options; its kernels are made already."""
    assert run.options is not None
    options = run.options
    device, note = machine(options.device)
    loops = () if device is None else tuple(_loops(run, device))
    title = device.title if device is not None else options.device
    return MachineReport(
        device=options.device, title=title, note=note, batch=options.batch, steps=options.time, width=4, loops=loops
    )


def _loops(run: Run, device: Device) -> Iterator[LoopReport]:
    """The loops of the bodies asked for, then those of bodies that they call."""
    assert run.options is not None
    classes, natives = run.lowered
    asked = [b.key for b in run.bodies]
    for c in sorted(classes, key=lambda c: asked.index(c.body.key) if c.body.key in asked else len(asked)):
        body, native = c.body, natives[c.name]
        if c.body.key not in asked and c.body.key in run.program.exports:
            continue
        known = {d.name for d in body.dims}
        given = {k: n for k, n in run.options.dims.items() if k in known}
        sizes = sizes_of.defaults(body, given)
        seen: set[tuple[str, ...]] = set()
        # of two forms, with and without resets, the plain one
        for k, loop in list(zip(native.kernels, of_class(native.kernels, native.newton, native.inside()), strict=True))[::2]:
            if loop.names in seen:
                continue
            seen.add(loop.names)
            yield _loop(c.name, loop, axis_sizes(k, body, sizes), run, device)
        for names, why in native.left:
            yield LoopReport(body=c.name, states=tuple(names), sizes={}, forward=None, training=None, lacks={"kernel": why})


def _loop(body: str, loop: Loop, sizes: Mapping[str, int], run: Run, device: Device) -> LoopReport:
    assert run.options is not None
    both = [
        _choice(decide(loop, Shape(run.options.batch, run.options.time, sizes, 4, training), device)) for training in (False, True)
    ]
    return LoopReport(body=body, states=loop.names, sizes=dict(sizes), forward=both[0], training=both[1], lacks=dict(loop.lacks))


def _choice(d: Decision) -> Choice:
    second = _mode(d.second) if d.second is not None else None
    return Choice(
        mode=d.mode, seconds=d.best.seconds, bound=d.best.bound, runner_up=second, why=d.why, modes=tuple(map(_mode, d.every))
    )


def _mode(e: Estimate) -> ModeTime:
    return ModeTime(mode=e.mode, seconds=e.seconds, bound=e.bound, terms=e.parts, segments=e.segments, iterations=e.iterations)


def axis_sizes(k: Kernel, body: Body, sizes: Mapping[str, int]) -> dict[str, int]:
    """The size of each axis of a kernel: a dim's, or that of the axis of which it is a second name; 1 where only a run tells."""
    indices = {i.name: i for i in body.indices}

    def size(axis: str, depth: int = 0) -> int:
        name = axis.rstrip("'")
        if name in sizes:
            return sizes[name]
        i = indices.get(name)
        if i is None or depth > len(indices):
            return 1
        if i.of and i.low is None:
            return size(i.of, depth + 1)
        ends = [evaluate(e, sizes) for e in (i.low, i.high) if e is not None]
        return int(ends[1] - ends[0]) + 1 if len(ends) == 2 and None not in ends and ends[0] is not None and ends[1] is not None else 1

    return {a: max(1, size(a)) for a in k.axes}


# ---- in words ---------------------------------------------------------------------------------------------------------


def text(found: MachineReport, run: Run, body: Body, width: int) -> Iterator[str]:
    """The choices of a body, and of those that it calls."""
    head = f"{found.title}, {found.batch} x {found.steps} in float32" + (f" ({found.note})" if found.note else "")
    yield from (f"  {line}" for line in wrap(head, width - 2))
    asked = {b.name for b in run.bodies}
    mine = [loop for loop in found.loops if loop.body == body.name or loop.body not in asked]
    if not mine and found.loops == () and found.note.startswith("the cost model knows"):
        return
    if not mine:
        yield "  no loop over time: every step is computed as it stands"
    for loop in mine:
        for indent, line in _lines(loop, body.name):
            yield from (f"{indent}{part}" for part in wrap(line, width - len(indent), subsequent_indent="  "))


def _lines(loop: LoopReport, body: str) -> Iterator[tuple[str, str]]:
    """One loop: how far to indent, and what."""
    names = f"{{{', '.join(loop.states)}}}" + (f" of {loop.body}" if loop.body != body else "")
    if loop.sizes:
        names += f" with {', '.join(f'{a} = {n}' for a, n in loop.sizes.items())}"
    if loop.forward is None or loop.training is None:
        yield "  ", f"{names}: a loop over time in Python; no kernel: {loop.lacks['kernel']}"
        return
    yield "  ", names
    for word, c in (("forward", loop.forward), ("forward and backward", loop.training)):
        yield "    ", f"{word}: {_line(c)}"
        if c is loop.forward or c.mode != loop.forward.mode:
            yield "      ", f"because {c.why}"
    for mode, why in loop.lacks.items():
        yield "    ", f"no {mode}: {why}"


def _line(c: Choice) -> str:
    """`newton, 7.1 ms, bound by launches; then sequential, 26 ms, bound by the latency chain`."""
    text = f"{called(c.mode)}: {time(c.seconds)}, bound by {c.bound}"
    if c.runner_up is not None:
        r = c.runner_up
        text += f"; runner-up {called(r.mode)}: {time(r.seconds)}, bound by {r.bound}"
    return text


__all__ = ["MachineReport", "axis_sizes", "report", "text"]

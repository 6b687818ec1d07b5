"""What the cost model predicted beside what was measured: `beside`.

In:   measured rows: a spec, a shape, a machine, a mode, seconds.
Out:  a table as text, one line for each row, with the ratio measured / predicted and what the model says binds; the ratios' spread at
      the end; and whether the mode that the model takes is the quickest of those measured.
Refuses: (`Unusable`) a machine or a body that does not exist. A mode that the loop does not have is said in its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from seqc.compiler.driver import sizes as sizes_of
from seqc.compiler.driver.explain.choices import axis_sizes
from seqc.compiler.driver.explain.machine import machine
from seqc.compiler.driver.options import Options
from seqc.compiler.driver.pipeline import advance, compiled
from seqc.compiler.driver.target import principal, target_of
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.lower.triton.facts import of_class
from seqc.runtime.cost.decide import called, decide, time
from seqc.runtime.cost.devices import Device
from seqc.runtime.cost.facts import Loop, Shape
from seqc.runtime.cost.model import Estimate, estimates


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: a spec's first loop in a mode of the model (`sequential`, `associative`, `newton`, `fused`, `steps`).

    width     bytes of a value in memory
    training  forwards and backwards together
    dims      sizes that are not the spec's own
    iterations  that Newton's method needed, where that is known
    """

    spec: str
    device: str
    batch: int
    steps: int
    mode: str
    seconds: float
    width: int = 4
    training: bool = False
    dims: Mapping[str, int] = field(default_factory=dict)
    iterations: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """A measurement and the model's estimate; None where the loop does not have the mode. `taken`: the mode that the model takes."""

    row: Measured
    predicted: Estimate | None
    taken: str

    @property
    def ratio(self) -> float:
        """Measured / predicted; NaN where nothing was predicted."""
        return self.row.seconds / self.predicted.seconds if self.predicted is not None else math.nan


def compared(rows: Sequence[Measured]) -> list[Compared]:
    """Each measurement with the model's estimate of it. Raises `Unusable`."""
    loops: dict[tuple[str, tuple[tuple[str, int], ...]], tuple[Loop, dict[str, int]]] = {}
    out = []
    for row in rows:
        device = _device(row.device)
        key = (row.spec, tuple(sorted(row.dims.items())))
        if key not in loops:
            loops[key] = _loop(row.spec, row.dims)
        loop, sizes = loops[key]
        shape = Shape(row.batch, row.steps, sizes, row.width, row.training, row.iterations)
        found = next((e for e in estimates(loop, shape, device) if e.mode == row.mode), None)
        out.append(Compared(row, found, decide(loop, shape, device).mode))
    return out


def _device(name: str) -> Device:
    """The machine of a row. Raises `Unusable`."""
    found, note = machine(Options.make({}, device=name).device)
    if found is None:
        raise Unusable(note)
    return found


def _loop(spec: str, dims: Mapping[str, int]) -> tuple[Loop, dict[str, int]]:
    """The first loop of the body that a spec is about, and the sizes of its axes. Raises `Unusable`."""
    target = target_of(spec)
    run = advance(compiled(target, Options.make({}, dims=dict(dims)), until="plan"), "kernel")
    body = principal(target.stem, run.bodies)
    classes, natives = run.lowered
    native = next((natives[c.name] for c in classes if body is not None and c.body.key == body.key), None)
    if body is None or native is None or not native.kernels:
        raise Unusable(f"`{spec}` has no loop over time with a kernel")
    loop = of_class(native.kernels[:2], native.newton[:2], native.inside()[:2])[0]
    return loop, axis_sizes(native.kernels[0], body, sizes_of.defaults(body, dims))


def beside(rows: Sequence[Measured]) -> str:
    """The table. Raises `Unusable`."""
    found = compared(rows)
    table = [("spec", "shape", "machine", "mode", "measured", "predicted", "ratio", "bound by"), *map(_cells, found)]
    wide = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(n) for cell, n in zip(line, wide, strict=True)).rstrip() for line in table]
    return "\n".join([*lines, *_spread(found), *_decisions(found)]) + "\n"


def _cells(c: Compared) -> tuple[str, ...]:
    r = c.row
    shape = ", ".join([f"B = {r.batch}", f"T = {r.steps}", *(f"{k} = {n}" for k, n in r.dims.items())])
    mode = called(r.mode) + (", with gradients" if r.training else "")
    if c.predicted is None:
        return r.spec, shape, r.device, mode, time(r.seconds), "-", "-", "the loop does not have this mode"
    return r.spec, shape, r.device, mode, time(r.seconds), time(c.predicted.seconds), f"{c.ratio:.2f}", c.predicted.bound


def _spread(found: Sequence[Compared]) -> Iterator[str]:
    """How far off the model is: the geometric mean of the ratios, the least and the largest, by what binds."""
    for bound in dict.fromkeys(c.predicted.bound for c in found if c.predicted is not None):
        ratios = [c.ratio for c in found if c.predicted is not None and c.predicted.bound == bound]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        yield f"bound by {bound}: measured / predicted {mean:.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rows)"


def _decisions(found: Sequence[Compared]) -> Iterator[str]:
    """Where several modes of one loop were measured: whether the one that the model takes is the quickest."""
    groups: dict[tuple[object, ...], list[Compared]] = {}
    for c in found:
        r = c.row
        groups.setdefault((r.spec, r.device, r.batch, r.steps, r.width, r.training, *sorted(r.dims.items())), []).append(c)
    for same in groups.values():
        if len(same) < 2:
            continue
        best = min(same, key=lambda c: c.row.seconds)
        mine = next((c for c in same if c.row.mode == best.taken), None)
        where = f"{best.row.spec} at B = {best.row.batch}, T = {best.row.steps}"
        if mine is None:
            yield f"{where}: the model takes {called(best.taken)}, which was not measured"
        elif mine is best:
            yield f"{where}: the model takes {called(best.taken)}, the quickest"
        else:
            behind = mine.row.seconds / best.row.seconds
            yield f"{where}: the model takes {called(best.taken)}, {behind:.2f} times the time of {called(best.row.mode)}"


__all__ = ["Compared", "Measured", "beside", "compared"]

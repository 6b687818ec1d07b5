"""Newton's method over whole sequences: the driver around the kernels that `compiler.lower.kernels.newton` makes.

In:      a kernel, the kernels of its iteration (of any backend), operands as the kernel takes them.
Out:     what the kernel itself gives: rows, carries after the last step, and what its adjoint reads. Gradients are the adjoint's
         own: at the solution they are one transposed linear scan, which is what the sequential adjoint computes.
Keeps:   no result that has not converged is handed out. Where a residual is not finite, or the limit of iterations is reached, the
         kernel itself runs, one step after the other; a warning says so once for each module, its `Report` counts it. So it does
         while a CUDA graph is captured: how often to iterate is for the host to say, which must not wait there.
Refuses: ValueError for words that `scan = newton(...)` does not know.

A long sequence is solved window by window, each from the last values of the one before. An iteration has converged where, in every
sequence and for every entry, the largest residual over time is within `tolerance` of the entry's largest value, and the largest
correction within its square root (Newton's error after a correction is of its square; with less than the whole Jacobian it must be
within `tolerance` too). The correction is still made. Entries much smaller than their neighbours count as a hundredth of those.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.kernel import Kernel
from seqc.runtime.triton.launching import MACHINE

WINDOW = 1 << 14
"""Steps that are solved at a time."""

BUDGET = {torch.float32: 4e-6, torch.float64: 1e-12}
"""The tolerance where none is given, for the type of the arithmetic."""

REPLAYED = -1
"""What a kernel says of carries that its adjoint computes again from checkpoints."""

SMALL = 1e-2
"""Entries below this part of the largest one are measured by it."""

REASONS = 20
"""How many reasons a report keeps."""

_WORD = re.compile(r"\s*newton\s*(?:\((.*)\))?\s*")
_JACOBIANS = {"full": (1.0, 1.0), "diagonal": (1.0, 0.0), "none": (0.0, 0.0)}


@dataclass(frozen=True, slots=True)
class Settings:
    """What `newton(...)` says. `tolerance` None: by the type of the arithmetic."""

    jacobian: str = "full"
    trust: float = 1.0
    tolerance: float | None = None
    iterations: int = 100


def settings(scan: str) -> Settings | None:
    """The settings of a scan mode `newton(...)`; None for another mode. Raises ValueError."""
    match = _WORD.fullmatch(scan)
    if match is None:
        return None
    given: dict[str, Any] = {}
    names = ("jacobian", "trust", "tolerance", "iterations")
    for place, part in enumerate(p for p in (match[1] or "").split(",") if p.strip()):
        name, equals, value = (p.strip() for p in part.partition("="))
        if not equals:
            name, value = names[place] if place < len(names) else "", name
        if name not in names or name in given:
            raise ValueError(f"scan={scan!r}: newton takes {', '.join(names)}, each once")
        given[name] = value
    jacobian = given.get("jacobian", "full")
    if jacobian not in _JACOBIANS:
        raise ValueError(f"scan={scan!r}: jacobian is full, diagonal or none")
    try:
        trust, iterations = float(given.get("trust", 1.0)), int(given.get("iterations", 100))
        tolerance = float(given["tolerance"]) if "tolerance" in given else None
    except ValueError:
        raise ValueError(f"scan={scan!r}: trust and tolerance are numbers, iterations is a whole one") from None
    if not 0.0 < trust <= 1.0 or iterations < 1 or tolerance is not None and not 0.0 < tolerance < 1.0:
        raise ValueError(f"scan={scan!r}: trust is in (0, 1], tolerance between 0 and 1, iterations at least 1")
    return Settings(jacobian, trust, tolerance, iterations)


@dataclass(slots=True)
class Report:
    """What Newton's method did in a module since it was made.

    solved      calls whose result is the iteration's
    iterations  the most that any window of them took; `last` those of the last window
    residual    the largest relative residual before the last correction
    fallbacks   calls that ran one step after the other instead; `reasons` of the last ones
    """

    solved: int = 0
    iterations: int = 0
    last: int = 0
    residual: float = 0.0
    fallbacks: int = 0
    reasons: list[str] = field(default_factory=list)

    def fell_back(self, name: str, why: str) -> None:
        """Notes a fall back; the first one is a warning."""
        self.fallbacks += 1
        self.reasons[:] = [*self.reasons[1 - REASONS :], f"{name}: {why}"]
        if self.fallbacks == 1:
            warnings.warn(
                f"seqc: {name}: Newton's method did not converge ({why}); the loop runs one step after the other, the result is right. "
                "`newton_report()` of the layer counts how often",
                stacklevel=2,
            )

    def join(self, other: Report) -> None:
        """Takes another report in."""
        self.solved += other.solved
        self.iterations = max(self.iterations, other.iterations)
        self.last = max(self.last, other.last)
        self.residual = max(self.residual, other.residual)
        self.fallbacks += other.fallbacks
        self.reasons = [*self.reasons, *other.reasons][-REASONS:]


_reports: list[Report] = []


@contextlib.contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Within, calls are noted in this report."""
    _reports.append(report)
    try:
        yield
    finally:
        _reports.pop()


class _Diverged(Exception):
    """The iteration gave no result; the message says why."""


@dataclass(slots=True)
class Part:
    """One group of carries (see `compiler.lower.kernels.newton.Part`)."""

    carries: tuple[int, ...]
    known: tuple[int, ...]
    iterated: bool
    kernel: Kernel


class Newton(Kernel):
    """A kernel that is solved by Newton's method; everything else about it is the kernel's own."""

    def __init__(
        self, base: Kernel, parts: Sequence[Part], read: Kernel, starts: Sequence[tuple[str, float]], name: str, chosen: Settings
    ) -> None:
        self.__dict__.update(base.__dict__)
        self.base, self.parts, self.read, self.starts, self.name, self.chosen = base, tuple(parts), read, tuple(starts), name, chosen
        self.key = f"{base.key} {chosen!r}"
        self.report = Report()
        Kernel.registry[self.key] = self

    def run_forward(self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, single: bool = False) -> list[Tensor]:
        """As the kernel's: rows, carries after the last step, and, where `save`, what the adjoint needs beside."""
        batch, length, sizes = self.base.shape(operands, single)
        if single or not batch or length < 2 or not all(sizes.values()) or MACHINE.capturing():
            return self.base.run_forward(operands, dtypes, save, single)
        report = _reports[-1] if _reports else self.report
        try:
            found, iterations, residual = self._solved(operands, dtypes, save, batch, length, sizes)
        except _Diverged as why:
            report.fell_back(self.name, str(why))
            return self.base.run_forward(operands, dtypes, save)
        report.solved += 1
        report.last, report.iterations = iterations[-1], max(report.iterations, *iterations)
        report.residual = max(report.residual, residual)
        return found

    def run_adjoint(self, *given: Any) -> list[Tensor | None]:
        """The kernel's own."""
        return self.base.run_adjoint(*given)

    def _solved(
        self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, batch: int, length: int, sizes: dict[str, int]
    ) -> tuple[list[Tensor], list[int], float]:
        """The results, the iterations of each window, the largest residual. Raises _Diverged."""
        real = self.base.real(operands, dtypes)
        held = self._starts(operands, real, batch, length, sizes)
        kinds = [kind for kind, _ in self.base.forward.operands]
        iterations: list[int] = []
        residual = 0.0
        for low in range(0, length, WINDOW):
            high = min(length, low + WINDOW)
            here = [x[:, low:high] if kind == "step" else x for x, kind in zip(operands, kinds, strict=True)]
            most = 0
            for part in self.parts:
                given = [*here, *(held[i][:, low:high] for i in part.known)]
                if part.iterated:
                    count, left = self._iterate(part, given, held, low, high, real)
                    most, residual = max(most, count), max(residual, left)
                    continue
                starts = [held[i][:, low] for i in part.carries]
                rows = part.kernel.run_forward([*given, *starts], (real,) * len(part.carries), False)
                for i, x in zip(part.carries, rows, strict=False):
                    held[i][:, low + 1 : high + 1] = x
            iterations.append(most)
        found = self.read.run_forward([*operands, *(x[:, :length] for x in held)], dtypes, False)
        shapes = self.base.result_shapes(operands, dtypes, save)[len(dtypes) :]
        for x, about in zip(held, shapes, strict=False):
            assert about is not None
            found.append(x[:, length].to(about[1], copy=True))
        if save and self.base.adjoint is not None:
            every = self.base.adjoint.interval(sizes, real, length)
            again = [x for x, how in zip(held, self.base.stored, strict=True) if how == REPLAYED]
            found += [x[:, :length:every].transpose(0, 1).contiguous() for x in again]
        return found, iterations, residual

    def _starts(self, operands: Sequence[Any], real: torch.dtype, batch: int, length: int, sizes: dict[str, int]) -> list[Tensor]:
        """For each carry its values before the first step and after each: the first ones are known."""
        out = []
        device = next(x.device for x in operands if isinstance(x, Tensor))
        for r, (what, value) in zip(self.base.forward.of("last"), self.starts, strict=True):
            x = torch.empty((batch, length + 1, *(sizes[a] for a in r[1])), dtype=real, device=device)
            x[:, 0] = operands[int(value)] if what == "operand" else value
            out.append(x)
        return out

    def _iterate(
        self, part: Part, given: Sequence[Any], held: Sequence[Tensor], low: int, high: int, real: torch.dtype
    ) -> tuple[int, float]:
        """Iterates over one window; how often, and the last relative residual. Raises _Diverged."""
        mine = [held[i] for i in part.carries]
        for x in mine:
            x[:, low + 1 : high + 1] = x[:, low : low + 1]
        tolerance = self.chosen.tolerance if self.chosen.tolerance is not None else BUDGET[real]
        own, others = _JACOBIANS[self.chosen.jacobian]
        # a correction with less than the Jacobian gains a factor, not the square
        quick = self.chosen.trust == 1.0 and own == 1.0 and (others == 1.0 or len(mine) == 1)
        within = math.sqrt(tolerance) if quick else tolerance
        for count in range(1, self.chosen.iterations + 1):
            before, after = [x[:, low:high] for x in mine], [x[:, low + 1 : high + 1] for x in mine]
            numbers = (self.chosen.trust, own, others)
            found = part.kernel.run_forward([*given, *before, *after, *numbers], (real,) * len(mine), False)
            residual, correction, finite = measured(found[2 * len(mine) :], len(mine))
            if not finite:
                raise _Diverged(f"a residual is not finite after {count} iterations")
            for x, new in zip(after, found, strict=False):
                x.copy_(new)
            if residual <= tolerance and correction <= within:
                return count, residual
        raise _Diverged(f"{self.chosen.iterations} iterations left a relative residual of {residual:.1e}, a correction of {correction:.1e}")


def measured(largest: Sequence[Tensor], count: int) -> tuple[float, float, bool]:
    """The largest relative residual and correction, and whether all is finite. `largest`: of each carry |r|, then |delta|, then
    |value|, each [batch, axes]."""
    worst = [0.0, 0.0]
    finite = True
    for n in range(count):
        values = largest[2 * count + n].reshape(len(largest[0]), -1)
        scale = torch.maximum(values, SMALL * values.amax(1, keepdim=True))
        for j in range(2):
            x = largest[j * count + n].reshape(len(largest[0]), -1)
            part = torch.where(x == 0, 0.0, x / scale).max().item()
            finite = finite and math.isfinite(part)
            worst[j] = max(worst[j], part)
        finite = finite and bool(torch.isfinite(values).all())
    return worst[0], worst[1], finite

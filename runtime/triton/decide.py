"""The schedule of a function on a GPU: known faults left out, checked at its first use, and, where that is asked for, the fastest one.

In:      a kernel, one of its functions, and the call at hand: sizes, sequences, types.
Out:     the schedule for all calls of its class (`schedules.shape_class`).
Keeps:   each schedule is compared once, on two chunks of made-up operands, with what the function's own text says (`trial`, `plainly`);
         one that computes something else is never used. Trials never see the caller's tensors. What was found is kept in the cache, for
         this text, Triton, GPU and types. Without timing the choice is the first sound schedule: the same everywhere.
Refuses: BadKernel (SEQ0608) where no schedule is sound.

SEQC_TUNE  unset: what was measured before is used, nothing is measured; 1: a class without a choice is measured at its first call, at most
           12 schedules; 0: what was measured is ignored. `tuning(...)` overrules it.
SEQC_CHECK 0: schedules are used without being checked.

Processes measure for themselves, and later ones take what is kept; a choice changes the order of sums, not what is computed. While a CUDA
graph is captured nothing is checked or measured: the derived schedule, or the one that is known already, is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seqc.runtime.cache import Cache
from seqc.runtime.native.errors import NativeError
from seqc.runtime.triton import known, launching, plainly, schedules, trial
from seqc.runtime.triton.schedules import Schedule

if TYPE_CHECKING:
    from seqc.runtime.triton.kernel import Kernel, Pass

FORMAT = "1"


class BadKernel(NativeError):
    """Every schedule of a kernel computes something else than its text says, or is known to."""

    code = "SEQ0608"


class _Absent(Exception):
    """Nothing is kept, and nothing is to be measured."""


_chosen: list[str] = []


@contextlib.contextmanager
def tuning(on: bool) -> Iterator[None]:
    """Within, schedules are measured (True), or neither measured nor taken from earlier measurements (False), whatever SEQC_TUNE says."""
    _chosen.append("1" if on else "0")
    try:
        yield
    finally:
        _chosen.pop()


def mode() -> str:
    """ "1": measured; "0": never; "": what was measured before is used."""
    word = _chosen[-1] if _chosen else os.environ.get("SEQC_TUNE", "")
    return word if word in ("0", "1") else ""


def timed(run: Callable[[], object]) -> float:
    """Milliseconds of one call on the current stream, by events: the median of five after two."""
    for _ in range(2):
        run()
    out = []
    for _ in range(5):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        out.append(begin.elapsed_time(end))
    return statistics.median(out)


@dataclass(slots=True)
class Bench:
    """What a decision asks of the machine; tests put others in their place.

    time     milliseconds of a call
    compute  results of a plan on operands, on the CPU
    target   the GPU's architecture, and Triton's version
    """

    time: Callable[[Callable[[], object]], float] = timed
    compute: Callable[..., list[Tensor | None]] = trial.computed
    target: Callable[[], tuple[str, str]] = lambda: target()


def target() -> tuple[str, str]:
    """The current GPU's architecture and Triton's version."""
    import triton

    found = triton.runtime.driver.active.get_current_target()
    return (f"sm_{found.arch}" if found.backend == "cuda" else str(found.arch)), triton.__version__


BENCH = Bench()
_cache: list[Cache] = []


def cache() -> Cache:
    """Where decisions are kept."""
    if not _cache:
        _cache.append(Cache())
    return _cache[0]


@dataclass(slots=True)
class Case:
    """The call at hand."""

    kernel: Kernel
    f: Pass
    batch: int
    length: int
    sizes: Mapping[str, int]
    real: torch.dtype
    operands: Sequence[Any]
    like: trial.Wanted
    device: torch.device

    @property
    def function(self) -> Any:
        """The generated function."""
        return self.kernel.functions[0 if self.f is self.kernel.forward else 1]

    def parts(self, kind: str, more: str) -> dict[str, str]:
        """What an entry of the cache is about."""
        arch, version = BENCH.target()
        types = [str(x.dtype) if isinstance(x, Tensor) else "number" for x in self.operands]
        kinds = [None if r is None else str(r[1]) for r in self.like]
        return {
            "what": kind, "format": FORMAT, "text": text_hash(self.function), "target": arch, "triton": version,
            "types": json.dumps([str(self.real), types, kinds]), "case": more,
        }  # fmt: skip


_texts: dict[int, tuple[Any, str]] = {}


def text_hash(function: Any) -> str:
    """SHA-256 of a function's text and of the functions that it uses."""
    held = _texts.get(id(function))
    if held is None:
        from seqc.runtime.triton import functions

        with open(functions.__file__, "rb") as stream:
            ours = stream.read()
        digest = hashlib.sha256(known.text_of(function).encode() + b"\0" + ours).hexdigest()
        held = _texts[id(function)] = (function, digest)
    return held[1]


def decided(case: Case) -> Schedule:
    """The schedule for a call. Raises BadKernel."""
    f, adjoint = case.f, case.kernel.adjoint
    place = (f is adjoint, schedules.shape_class(f, case.sizes, case.batch), mode(), case.real, case.device.index,
             tuple(x.dtype if isinstance(x, Tensor) else None for x in case.operands))  # fmt: skip
    held: Schedule | None = case.kernel.decided.get(place)
    if held is not None:
        return held
    every = adjoint.interval(dict(case.sizes), case.real, case.length) if f.tiles else 0
    derived = Schedule(f.blocks(dict(case.sizes), case.batch), every)
    found = derived if launching.MACHINE.capturing() else _found(case, derived)
    if f.tiles:
        # what a forward call keeps, its adjoint reads: the first choice of the steps is for good
        adjoint.told.setdefault(adjoint.place(case.sizes), found.steps)
    if not launching.MACHINE.capturing():
        case.kernel.decided[place] = found
    return found


def free(case: Case) -> bool:
    """Whether the steps of a tile are still to be chosen."""
    adjoint = case.kernel.adjoint
    return case.f.tiles and case.f is case.kernel.forward and adjoint.place(case.sizes) not in adjoint.told


def _found(case: Case, derived: Schedule) -> Schedule:
    """The measured schedule, where there is one or one is to be measured; else the first sound one."""
    word = mode()
    if word != "0":
        fixed = "" if free(case) else f" of {derived.steps} steps"
        parts = case.parts("schedule", schedules.shape_class(case.f, case.sizes, case.batch) + fixed)

        def build() -> dict[str, bytes]:
            if word != "1":
                raise _Absent
            return {"schedule.json": json.dumps(measured(case, derived)).encode()}

        with contextlib.suppress(_Absent):
            entry = cache().entry(parts, build, label=f"schedule of {case.function.name}")
            try:
                found = schedules.read(json.loads(entry.files["schedule.json"]).get("schedule"))
            except (KeyError, ValueError, AttributeError):
                found = None
            allowed = found is not None and schedules.fits(found, derived, case.f) and (free(case) or found.steps == derived.steps)
            if found is not None and allowed and not unsound(case, found):
                return found
    reasons = []
    for one in schedules.schedules(case.f, derived, case.sizes, False):
        why = unsound(case, one)
        if not why:
            return one
        reasons.append(why)
    raise refused(case, reasons)


def refused(case: Case, reasons: Sequence[str]) -> BadKernel:
    """The error that no schedule is sound."""
    arch, version = BENCH.target()
    words = "; ".join(dict.fromkeys(reasons))
    return BadKernel(
        f"{case.function.name} cannot be used on {arch} with Triton {version}: of {len(reasons)} schedules none is sound: {words}",
        'use backend="reference", or another version of Triton; this is worth a report, to Triton or to seqc',
    )


def unsound(case: Case, one: Schedule) -> str:
    """Why a schedule must not be used; "" where it may. The verdict of the check is kept."""
    arch, version = BENCH.target()
    bad = known.known(known.text_of(case.function), one.blocks, one.steps, launching.version(version), arch)
    if bad is not None:
        return bad.why
    if os.environ.get("SEQC_CHECK", "1") == "0":
        return ""

    def build() -> dict[str, bytes]:
        return {"check.json": json.dumps({"fault": checked(case, one)}).encode()}

    entry = cache().entry(case.parts("check", json.dumps(one.told())), build, label=f"check of {case.function.name}")
    try:
        found = json.loads(entry.files["check.json"])["fault"]
    except (KeyError, ValueError, TypeError):
        found = checked(case, one)
    return str(found)


def checked(case: Case, one: Schedule) -> str:
    """What a trial finds wrong with a schedule; "" where nothing. What Triton cannot compile or launch counts as wrong."""
    try:
        few = trial.sizes_of(case.f, one.blocks, case.sizes)
        with case.kernel.adjoint.given(few, one.steps):
            tried, shapes = trial.plan(case.kernel, case.f, one.blocks, case.sizes, case.length, case.real, case.operands, case.like)
        return trial.fault(tried, shapes, case.operands, lambda plan, made: BENCH.compute(plan, made, case.device))
    except plainly.Unplain:
        return ""  # a word that the text has since this was written: nothing can be said
    except NativeError:
        raise
    except Exception as why:
        return f"{type(why).__name__}: {str(why)[:200]}"


def measured(case: Case, derived: Schedule) -> dict[str, Any]:
    """The fastest sound schedule, and the time of each. Raises BadKernel where none is sound.

    All run on operands of their own, of the sizes at hand and as many sequences, up to 64, over four chunks; results are thrown away.
    """
    sound: list[tuple[float, Schedule]] = []
    reasons: list[str] = []
    first: list[Tensor | None] | None = None
    every = schedules.schedules(case.f, derived, case.sizes, free(case))
    for one in every:
        why = unsound(case, one)
        if not why:
            why, results = _same(case, one, derived, first)
            first = results if first is None and not why else first
        if why:
            reasons.append(why)
            continue
        with case.kernel.adjoint.given(case.sizes, one.steps):
            run = runner(case, one)
            sound.append((BENCH.time(run), one))
    if not sound:
        raise refused(case, reasons)
    best = min(sound, key=lambda pair: pair[0])[1]
    times = [{**s.told(), "ms": t} for t, s in sound]
    return {"schedule": best.told(), "times": times, "dropped": reasons}


def _same(case: Case, one: Schedule, derived: Schedule, first: Sequence[Tensor | None] | None) -> tuple[str, list[Tensor | None]]:
    """Whether a schedule gives what the first sound one gave, on operands that do not depend on it; its results."""
    steps = max(16, 4 * derived.steps) if case.f.tiles else 48  # two tiles of the longest
    with case.kernel.adjoint.given(case.sizes, one.steps):
        shapes = trial.shapes_of(case.kernel, case.f, 3, steps, case.sizes, _interval(case, steps))
        if case.f is case.kernel.adjoint and one.steps != derived.steps:
            return "", []  # checkpoints lie elsewhere: results cannot be compared
        like = trial.results_of(case.f, 3, steps, case.sizes, _interval(case, steps), case.like)
        given = [torch.empty(s, dtype=x.dtype, device="meta") if isinstance(x, Tensor) else x
                 for s, x in zip(shapes, case.operands, strict=True)]  # fmt: skip
        plan = case.kernel._launch(case.f, 3, steps, dict(case.sizes), case.real, given, like, {}, False, one.blocks)
        found = BENCH.compute(plan, trial.drawn(shapes, case.operands, 0), case.device)
    results: list[Tensor | None] = []
    for x, (what, _, _, _), r in zip(found, case.f.results, like, strict=True):
        if x is not None and what == "total" and r is not None:
            x = x.double().sum(0).to(x.dtype)  # programs share totals differently
        results.append(None if what == "checkpoint" else x)
    if first is None:
        return "", results
    off, _ = trial.compared(results, first)
    return ("" if off <= trial.FEW_WRONG else f"{100 * off:.3g} % of the entries are not those of the first schedule"), results


def _interval(case: Case, length: int) -> int:
    return case.kernel.adjoint.interval(dict(case.sizes), case.real, length)


def runner(case: Case, one: Schedule) -> Callable[[], object]:
    """Something to be timed: a schedule on scratch operands."""
    every = _interval(case, 1 << 20)
    batch, length = min(case.batch, 64), 4 * every
    shapes = trial.shapes_of(case.kernel, case.f, batch, length, case.sizes, every)
    drawn = [torch.empty(s, dtype=x.dtype, device=case.device).uniform_(0.05, 0.95) if isinstance(x, Tensor) else 0.5
             for s, x in zip(shapes, case.operands, strict=True)]  # fmt: skip
    like = trial.results_of(case.f, batch, length, case.sizes, every, case.like)
    plan = case.kernel._launch(case.f, batch, length, dict(case.sizes), case.real, drawn, like, {}, False, one.blocks)
    return lambda: plan.call(drawn)

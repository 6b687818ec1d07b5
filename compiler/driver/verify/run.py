"""All checks of all bodies of a spec.

In:   a checked program, the modules made from it, the report of the analysis.      Out: `Check`s, one after the other.
Keeps: nothing is written; seeds are fixed, so a second run says the same.           Refuses: nothing; what cannot be run is
reported as skipped, with the reason.

The reference in float64 is the measure. It is itself held to finite differences and, as every other executor, to itself: step
by step, in pieces, packed, reset, padded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from seqc.compiler.driver import sample
from seqc.compiler.driver.sizes import small
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.driver.verify import checks
from seqc.compiler.driver.verify.executors import EXECUTORS, Components, Executor, no_kernel
from seqc.compiler.driver.verify.measure import Check, excess, largest, limit_of, ratios
from seqc.compiler.driver.verify.subject import Subject, run
from seqc.compiler.ir.expr import Apply, walk
from seqc.compiler.ir.spec import Body

BATCH = 3
FLOAT32 = 1e18
"""Beyond this, sums and squares of float32 overflow."""
LENGTHS = ((7, 5), (8, 8), (12, 12), (16, 16), (32, 32))
"""Steps of the chain and positions of every free index that are tried, in this order."""
PATIENCE = 20.0
"""Seconds after which no further sizes are tried."""
Make = Callable[..., Any]
"""(body's name, backend, scan, dtype, **sizes) → layer."""

_SELF: tuple[tuple[str, Callable[..., checks.Outcome]], ...] = (
    ("step = forward", checks.stepwise),
    ("splits = whole", checks.split),
    ("packed = apart", checks.packed),
    ("reset", checks.reset),
    ("NaN in padding", checks.padding),
)
WHAT = ("values", "final state", "gradients", "gradcheck", *(name for name, _ in _SELF))
"""What is checked, in the order of the table's columns."""


def verified(
    body: Body,
    make: Make,
    cell: Mapping[str, Any],
    *,
    backends: Sequence[str] = (),
    scan: str = "auto",
    sizes: Mapping[str, int] | None = None,
    tick: Callable[[str], None] = lambda what: None,
) -> Iterator[Check]:
    """Checks one body. `cell` is the analysis report's entry for it; `backends` limits who is asked (default: all)."""
    with _single_thread(), _few_programs(backends):
        yield from _programs(body, make, cell, backends, scan, sizes, tick)


@contextmanager
def _single_thread() -> Iterator[None]:
    """Layers are tiny here: threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _few_programs(backends: Sequence[str]) -> AbstractContextManager[None]:
    """Interpreted kernels take milliseconds for each operation: as little as possible is done twice."""
    if "triton" not in backends:
        return nullcontext()
    from seqc.runtime.triton.hurried import hurried

    return hurried()


def _programs(
    body: Body,
    make: Make,
    cell: Mapping[str, Any],
    backends: Sequence[str],
    scan: str,
    sizes: Mapping[str, int] | None,
    tick: Callable[[str], None],
) -> Iterator[Check]:
    if any(h.default is None for h in body.holes):
        hole = next(h.name for h in body.holes if h.default is None)
        yield Check(body.name, "-", "-", "-", "all", "skipped", note=f"the hole `{hole}` has no default")
        return
    programs = [((), cell.get("components", ())), *((tuple(v["given"]), v["components"]) for v in cell.get("variants", ()))]
    open_ended = sample.steps_from(body)
    if open_ended is not None:
        # nothing says how many steps there are unless optional inputs are given
        programs = [p for p in programs if set(p[0]) & open_ended] or [(tuple(sorted(open_ended)), cell.get("components", ()))]
    for given, components in programs:
        name = body.name + (f" given {', '.join(given)}" if given else "")
        try:
            subject = _subject(body, make, cell, dict(sizes or {}), given)
        except Unusable as why:
            yield Check(name, "-", "-", "-", "all", "skipped", note=str(why))
            continue
        yield from _program(name, subject, components, backends, scan, tick)


def _program(
    name: str,
    subject: Subject,
    components: Components,
    backends: Sequence[str],
    scan: str,
    tick: Callable[[str], None],
) -> Iterator[Check]:
    """Checks one program of a body: with none of its optional inputs given, or some."""
    try:
        measure = _reference(subject)
        slack = _slack(subject, measure) if subject.body.outs else {}
    except Exception as error:
        yield Check(name, "reference", "sequential", "float64", "all", "failed", note=_said(error))
        return
    for executor in EXECUTORS:
        if executor.name not in backends if backends else executor.only_asked:
            continue
        missing = executor.missing()
        if missing:
            verdict = "failed" if backends else "skipped"
            yield Check(name, executor.name, "-", "-", "all", verdict, note=missing)  # type: ignore[arg-type]
            continue
        for mode in _modes(executor, components, scan):
            for dtype in executor.dtypes:
                tick(f"{name} {executor.name} {mode} {dtype}")
                promised = bool(backends) and (scan != "auto" or mode == "sequential")
                found = _one((name, executor.name, mode, dtype), subject, measure, slack if dtype != "float64" else {}, promised)
                yield from found


def _modes(executor: Executor, components: Components, scan: str) -> list[str]:
    offered = executor.modes(components)
    return offered if scan == "auto" else [scan for m in offered if m == scan.partition("(")[0]]


def _subject(body: Body, make: Make, cell: Mapping[str, Any], sizes: Mapping[str, int], given: tuple[str, ...]) -> Subject:
    """Small sizes and a length with which the module can be built and run, and inputs for it.

    A module that says of itself that sizes do not fit (ValueError) is asked again with others; any other error is its fault."""
    why: Exception | None = None
    asked = time.monotonic()
    for found in small(body, sizes):
        if why is not None and time.monotonic() - asked > PATIENCE:
            break

        def build(backend: str, mode: str, dtype: str, found: Mapping[str, int] = found) -> Any:
            return make(body.name, backend, mode, dtype, **found)

        subject: Subject | None = None
        for steps, free in LENGTHS:
            values = sample.draw(body, found, BATCH, steps, given=given, free=free)
            loss = None
            if any(v.kind == "loss" for v in body.values):
                loss = sample.draw(body, found, BATCH, steps, losses=True, given=given, free=free)
            lengths = sample.lengths_of(body, found, steps, free)
            weights = {} if subject is None else subject.weights
            subject = Subject(
                body,
                found,
                build,
                values,
                loss,
                BATCH,
                lengths[body.chain] if body.chain else steps,
                streams=cell.get("streams") == "step",
                free=not body.topology or all(f.low is None for f in body.topology),
                surrogate=_surrogate(body),
                weights=weights,
            )
            error = _misfit(subject)
            if error is None:
                return subject
            why = error
            if not subject.weights:
                break  # no module of these sizes can be built: another length does not help
    raise Unusable(f"no small sizes fit{f': {why}' if why else ''}", "give sizes with --set")


def _misfit(subject: Subject) -> ValueError | None:
    """What the module says of sizes that do not fit; None where it runs, or fails in any other way."""
    import torch

    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            layer = subject.layer("reference", "sequential", "float64")
            if subject.body.outs:
                run(layer, subject.sample.values)
            if subject.loss is not None:
                _losses(layer, subject, "float64")
    except ValueError as error:
        return error
    except Exception:
        return None
    return None


def _surrogate(body: Body) -> str:
    """Why finite differences say nothing of the gradient: `stop` and `through` change it on purpose."""
    for v in body.values:
        for e in (v.value, v.start):
            for node in walk(e) if e is not None else ():
                if isinstance(node, Apply) and node.fn in ("stop", "through"):
                    return f"`{node.fn}` on line {node.span.line or v.span.line} sets the gradient"
    return ""


def _reference(subject: Subject) -> dict[str, list[Any]]:
    """What everything is compared with."""
    layer = subject.layer("reference", "sequential", "float64")
    found: dict[str, list[Any]] = {}
    if subject.body.outs:
        result = run(layer, subject.cast(subject.sample, "float64"))
        found = {"values": result.outs, "final state": result.leaves, "gradients": checks.gradients(subject, layer, "float64")}
    if subject.loss is not None:
        found["losses"] = _losses(layer, subject, "float64")
    return found


def _slack(subject: Subject, measure: Mapping[str, list[Any]]) -> dict[str, list[float]]:
    """How far each result moves when inputs and weights move by a rounding of float32: its conditioning."""
    import torch

    generator = torch.Generator().manual_seed(3)

    def shaken(v: Any) -> Any:
        if not (torch.is_tensor(v) and (v.is_floating_point() or v.is_complex())):
            return v
        return v * (1 + 2.0**-24 * torch.randn(v.shape, generator=generator, dtype=torch.float64))

    out: dict[str, list[float]] = {}
    for _ in range(2):
        layer = subject.layer("reference", "sequential", "float64")
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(shaken(p))
        other = replace(subject, sample=replace(subject.sample, values={k: shaken(v) for k, v in subject.sample.values.items()}))
        result = run(layer, other.cast(other.sample, "float64"))
        found = {"values": result.outs, "final state": result.leaves, "gradients": checks.gradients(other, layer, "float64")}
        for what, tensors in found.items():
            moved = ratios(tensors, measure[what])
            out[what] = [max(a, b) for a, b in zip(out.get(what, moved), moved, strict=True)]
    return out


def _losses(layer: Any, subject: Subject, dtype: str) -> list[Any]:
    from torch.utils._pytree import tree_leaves

    from seqc.runtime.initialise import still

    assert subject.loss is not None
    with still():
        return list(tree_leaves(layer.loss(**subject.cast(subject.loss, dtype))))


def _one(
    name: tuple[str, str, str, str],
    subject: Subject,
    measure: Mapping[str, list[Any]],
    slack: Mapping[str, list[float]],
    asked: bool = True,
) -> Iterator[Check]:
    """All checks of one executor, mode and dtype; `asked`: the user named it, and a mode that a body may have no kernel for with it."""
    _, backend, mode, dtype = name
    try:
        layer = subject.layer(backend, mode, dtype)
    except Exception as error:
        yield Check(*name, "all", "skipped" if no_kernel(error) and not asked else "failed", note=_said(error))
        return

    def compared(what: str, found: Callable[[], list[Any]], limit: float) -> Check:
        if dtype != "float64" and largest(measure[what]) > FLOAT32:
            return Check(*name, what, "skipped", note=f"{what} leave the range of {dtype}")
        try:
            error = excess(ratios(found(), measure[what]), limit, slack.get(what, ()))
        except Exception as wrong:
            return Check(*name, what, "failed", limit=limit, note=_said(wrong))
        return Check(*name, what, "ok" if error <= limit else "failed", error, limit)

    values = subject.cast(subject.sample, dtype)
    out = limit_of(dtype, subject.steps)
    if subject.loss is not None:
        yield compared("losses", lambda: _losses(layer, subject, dtype), out)
    if not subject.body.outs:
        return
    yield compared("values", lambda: run(layer, values).outs, out)
    yield compared("final state", lambda: run(layer, values).leaves, out)
    if mode.startswith("newton"):
        report = layer.newton_report()
        why = f"Newton's method did not converge, the loop itself ran: {report.reasons[-1]}" if report.fallbacks else ""
        yield Check(*name, "converged", "skipped" if why else "ok", note=why)
    yield compared("gradients", lambda: checks.gradients(subject, layer, dtype), limit_of(dtype, subject.steps, gradient=True))
    if dtype == "float64":
        if subject.surrogate:
            yield Check(*name, "gradcheck", "skipped", note=subject.surrogate)
        else:
            yield _held(name, "gradcheck", lambda: checks.gradcheck(subject, layer, dtype))
    for what, check in _SELF:
        why = _not_for(subject, what)
        if why:
            yield Check(*name, what, "skipped", note=why)
        else:
            yield _held(name, what, lambda check=check: check(subject, layer, dtype))  # type: ignore[misc]


def _not_for(subject: Subject, what: str) -> str:
    """Why a check does not apply: what cannot be cut has no step."""
    timed = any(t is not None for t in subject.sample.time.values()) or bool(subject.body.chain)
    if not timed:
        return "there are no steps"
    if what != "step = forward" and not subject.free:
        return "it runs over a range of fixed length"
    if what in ("splits = whole", "packed = apart", "reset") and not subject.streams:
        return "it does not run step by step"
    if what in ("packed = apart", "reset", "NaN in padding") and not all(map(subject.has_time, subject.body.outs)):
        return "an out has no steps"
    return ""


def _held(name: tuple[str, str, str, str], what: str, check: Callable[[], checks.Outcome]) -> Check:
    try:
        error, limit = check()
    except checks.NotFor as why:
        return Check(*name, what, "skipped", note=str(why))
    except Exception as wrong:
        return Check(*name, what, "failed", note=_said(wrong))
    return Check(*name, what, "ok" if error <= limit and not math.isnan(error) else "failed", error, limit)


def _said(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160] if text else ''}"

"""One decode step at batch 1 of every spec in scope: the compiled step beside the eager one, and what the call costs around the
kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqc.compiler.driver import sample, sizes
from seqc.compiler.driver.bench.suite.agreement import TOLERANCE, compared
from seqc.compiler.driver.bench.suite.contestants import OWN, body_of, layer_of
from seqc.compiler.driver.bench.suite.place import Budget
from seqc.compiler.driver.bench.suite.raw import RawCalls, recorded
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import Row
from seqc.compiler.driver.bench.suite.spreads import spread
from seqc.compiler.driver.bench.timing import race

EAGER, AROUND = "eager step", "layer.step minus its kernels"
ASKED, ASKED_AROUND = 10.0, 15.0
"""Times the eager step; microseconds."""


def measured(row: Row, specs: Sequence[tuple[str, str, Mapping[str, int]]], budget: Budget, tick: Callable[[str], None]) -> list[Figure]:
    """Two figures for each spec."""
    return [f for spec, body, dims in specs for f in _one(row, spec, body, dims, budget, tick)]


def _one(row: Row, spec: str, body: str, dims: Mapping[str, int], budget: Budget, tick: Callable[[str], None]) -> list[Figure]:
    import torch

    tick(f"{spec}: decode step")
    _, about_body = body_of(spec, body)
    found = sizes.defaults(about_body, dict(dims))
    about: dict[str, Any] = {"row": row.name, "subject": body, "sizes": " ".join(["B1", *(f"{k}{v}" for k, v in dims.items())])}
    ratio: dict[str, Any] = {**about, "against": EAGER, "what": "step", "asked": ASKED}
    around: dict[str, Any] = {
        **about, "against": AROUND, "what": "step", "unit": "µs", "asked": ASKED_AROUND, "sense": "at most",
    }  # fmt: skip
    try:
        layer = layer_of(spec, body, dims).eval()
    except RuntimeError as why:
        if getattr(why, "code", "") not in ("SEQ0604", "SEQ0601"):
            raise
        reason = str(why).split("\n")[0][:200]
        return [Figure(**f, status="no kernel", reason=reason) for f in (ratio, around)]
    eager = layer_of(spec, body, dims, "reference").eval()
    eager.load_state_dict(layer.state_dict())
    drawn = sample.draw(about_body, found, 1, 4, dtype="float32")
    whole = {k: v for k, v in drawn.values.items() if drawn.time[k] is None}
    now = [{k: v.select(drawn.time[k] or 0, i) for k, v in drawn.values.items() if drawn.time[k] is not None} for i in range(4)]
    with torch.no_grad():
        state = layer.init_state(1, **whole)
        ends = {}
        at_own = state
        for name, module in ((OWN, layer), (EAGER, eager)):
            at = state
            for one in now:
                y, at = module.step(**whole, **one, state=at)
            ends[name] = y
            at_own = at if name == OWN else at_own
        same = compared((_first(ends[OWN]), {}), (_first(ends[EAGER]), {}), TOLERANCE["float32"])
        if not same.right:
            reason = f"{same.where} is off by {same.error:.1e} of the largest entry"
            return [Figure(**f, status="WRONG", reason=reason) for f in (ratio, around)]
        one = {**whole, **now[0]}
        calls = bare_calls(layer, one, at_own)

        def stepper(module: Any) -> Callable[[], object]:
            def step() -> object:
                return module.step(**one, state=at_own)

            return step

        runs: list[tuple[str, Callable[[], object]]] = [(OWN, stepper(layer)), (EAGER, stepper(eager)), (AROUND, calls.again)]
        timings = {t.who: t for t in race(runs, seconds=budget.seconds, least=budget.least, turn=budget.turn)}
    ours, bare = timings[OWN], timings[AROUND]
    spent = (ours.median - bare.median) * 1e3
    said = f"{len(calls.calls)} kernel calls, {bare.median * 1e3:.1f} µs of {ours.median * 1e3:.1f}"
    return [
        Figure(**ratio, value=timings[EAGER].median / ours.median, ours=spread(ours), theirs=spread(timings[EAGER]), error=same.error),
        Figure(**around, value=spent, ours=spread(ours), theirs=spread(bare), reason=said)
        if calls.calls
        else Figure(**around, status="no kernel", reason="the step calls no kernel"),
    ]


def bare_calls(layer: Any, one: Mapping[str, Any], state: Any) -> RawCalls:
    """The compiled calls of one step, without anything around them."""
    from seqc.runtime.native import decode

    found = decode.raw(layer, tuple(one.get(i.name) for i in layer.TABLE.inputs), state)
    if found is not None:
        function, arguments, kept = found
        return RawCalls([(function, arguments)], [kept])
    return recorded(lambda: layer.step(**one, state=state))


def _first(outs: Any) -> Any:
    """The first out, where there are several."""
    import torch

    return outs if isinstance(outs, torch.Tensor) else next(iter(outs))

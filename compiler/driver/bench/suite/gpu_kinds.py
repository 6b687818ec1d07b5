"""Rows of the suite on a GPU that are no races: one step of decoding, the way to the first output, peak memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from seqc.compiler.driver.bench.suite.agreement import TOLERANCE, compared
from seqc.compiler.driver.bench.suite.apart import Apart, apart
from seqc.compiler.driver.bench.suite.contestants import Stand
from seqc.compiler.driver.bench.suite.gpu import COPY, Gpu
from seqc.compiler.driver.bench.suite.gpu_peers import find, needs_a_gpu
from seqc.compiler.driver.bench.suite.gpu_rows import ASSOCIATIVE, FLA, FLA_STEP, STATE
from seqc.compiler.driver.bench.suite.place import Budget, Runs
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import Case, Row
from seqc.compiler.driver.bench.suite.spreads import spread

OWN_STEP = "seqc layer.step"
COLD, WARM = 10.0, 1.0
"""Seconds."""
MEMORY, STRAIGHT = 0.7, 1.25
"""Of FLA's bytes; growth of the bytes of a step over the lengths."""

Tick = Callable[[str], None]


# ---- decode -----------------------------------------------------------------------------------------------------------


def decode(row: Row, case: Case, place: Gpu, budget: Budget, tick: Tick) -> list[Figure]:
    """A step from a state that is given, beside FLA's kernel with the gate computed before it; and beside the state's bytes."""
    import torch

    about: dict[str, Any] = {"row": row.name, "subject": case.body, "sizes": case.sizes, "what": "step"}
    bars = {b.peer: b for b in case.bars}
    tick(f"{case.body} {case.sizes}: step")
    try:
        s = place.stand(case)
    except RuntimeError as why:
        if getattr(why, "code", "") != "SEQ0604":
            raise
        reason = str(why).split("\n")[0][:200]
        return [Figure(**about, against=b.peer, asked=b.forward, status="no kernel", reason=reason) for b in case.bars]
    now = {k: v[:, 0] for k, v in s.x.items()}
    torch.manual_seed(1)
    state = s.layer.init_state(case.batch)
    state = type(state)(*(torch.randn(v.shape).to(v) for v in state))

    def ours() -> Any:
        with torch.no_grad():
            return s.layer.step(**now, state=state)

    runs: Runs = [(OWN_STEP, ours)]
    out: list[Figure] = []
    error = None
    try:
        needs_a_gpu(place, "fla-core")
        theirs = _fla_step(s, state[0])
        y, after = ours()
        other, then = theirs()
        found = compared((torch.cat([y.flatten(), after[0].flatten()]), {}), (torch.cat([other.flatten(), then.flatten()]), {}),
                         TOLERANCE[case.dtype])  # fmt: skip
        error = found.error
        if found.right:
            runs.append((FLA_STEP, theirs))
        else:
            out.append(Figure(**about, against=FLA_STEP, asked=bars[FLA_STEP].forward, status="WRONG", reason=f"off by {error:.1e}"))
    except Exception as why:  # a library that fails is a finding
        reason = str(why).split("\n")[0][:200] or type(why).__name__
        status: Any = "skipped" if isinstance(why, ImportError) else "failed"
        out.append(Figure(**about, against=FLA_STEP, asked=bars[FLA_STEP].forward, status=status, reason=reason))
    src = torch.empty(place.copied // 4, device=place.device)
    dst = torch.empty_like(src)
    runs.append((COPY, lambda: dst.copy_(src)))
    times = {t.who: t for t in place.race(runs, budget, tick)}
    mine, copy = times[OWN_STEP], times[COPY]
    told: dict[str, Any] = {**about, "ours": spread(mine)}
    if FLA_STEP in times:
        theirs_t = times[FLA_STEP]
        out.append(
            Figure(
                **told, against=FLA_STEP, value=theirs_t.median / mine.median, asked=bars[FLA_STEP].forward, theirs=spread(theirs_t),
                error=error, reason=place.note(),
            )
        )  # fmt: skip
    per_ms = 2 * place.copied / copy.median
    floor = 2 * state[0].numel() * state[0].element_size() / per_ms
    out.append(
        Figure(
            **told, against=STATE, value=floor / mine.median, asked=bars[STATE].forward, theirs=spread(copy),
            reason=f"floor {floor:.4f} ms at {per_ms / 1e6:.0f} GB/s",
        )
    )  # fmt: skip
    return out


def _fla_step(s: Stand, state: Any) -> Callable[[], Any]:
    """One step of FLA's recurrent kernel, the gate in torch before it."""
    import torch
    from fla.ops.simple_gla import fused_recurrent_simple_gla
    from torch.nn import functional

    x = {k: v.contiguous() for k, v in s.x.items()}

    def step() -> Any:
        with torch.no_grad():
            gate = functional.logsigmoid(x["g"])
            y, after = fused_recurrent_simple_gla(
                x["q"], x["k"], x["v"], g=gate, scale=1.0, initial_state=state, output_final_state=True
            )  # fmt: skip
            return y[:, 0], after

    return step


# ---- the first output -------------------------------------------------------------------------------------------------


def cold(row: Row, case: Case, place: Gpu, tick: Tick) -> list[Figure]:
    """Seconds with every cache empty, and once more with what the first run left."""
    about: dict[str, Any] = {"row": row.name, "subject": case.body, "sizes": case.sizes, "unit": "s", "sense": "at most"}
    given = {"spec": case.spec, "body": case.body, "dims": dict(case.dims), "batch": case.batch, "length": case.time}
    given |= {"backend": "triton", "device": place.device, "dtype": case.dtype, "against": True}
    out: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="seqc-cold-") as folder:
        places = {"SEQC_CACHE_DIR": f"{folder}/seqc", "TRITON_CACHE_DIR": f"{folder}/triton", "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch"}
        if place.device == "cpu":
            places["TRITON_INTERPRET"] = "1"
        for against, asked in (("nothing cached", COLD), ("everything cached", WARM)):
            tick(f"{case.body}: first output, {against}")
            told: dict[str, Any] = {**about, "against": against, "what": "first output", "asked": asked}
            try:
                got = apart("first", given, places)
            except Apart as why:
                told["status"] = "no kernel" if "SEQ0604" in str(why) else "failed"
                out.append(Figure(**told, reason=str(why)))
                continue
            right = got["error"] <= TOLERANCE[case.dtype]
            said = f"first gradient after {got['both']:.1f} s; off the reference by {got['error']:.0e}"
            out.append(Figure(**told, value=got["forward"] if right else None, status="measured" if right else "WRONG", reason=said))
        if case.body == "Scan" and place.device == "cuda":
            tick("FLA: first output")
            told = {**about, "against": FLA, "what": "first output"}
            try:
                got = apart("fla", {"case": {**asdict(case), "bars": (), "dims": dict(case.dims)}, "device": place.device}, places)
                out.append(Figure(**told, value=got["forward"], reason=f"beside seqc's; its first gradient after {got['both']:.1f} s"))
            except Apart as why:
                missing = "No module" in str(why)
                out.append(Figure(**told, status="skipped" if missing else "failed", reason=str(why)))
    return out


# ---- memory -----------------------------------------------------------------------------------------------------------


def memory(row: Row, case: Case, lengths: Sequence[int], place: Gpu, tick: Tick) -> list[Figure]:
    """Bytes of forward and backward over growing lengths, beside FLA's scan and torch's; and whether ours grow straight."""
    out: list[Figure] = []
    ours: dict[int, int] = {}
    for length in lengths:
        one = replace(case, time=length)
        about: dict[str, Any] = {"row": row.name, "subject": case.body, "sizes": one.sizes, "what": "peak memory", "sense": "at most"}
        tick(f"{case.body} {one.sizes}: memory")
        s = place.stand(one)
        ours[length] = _peak(s.own.both, place)
        for name, asked in ((FLA, MEMORY), (ASSOCIATIVE, None)):
            told: dict[str, Any] = {**about, "against": name, "asked": asked}
            try:
                theirs = _peak(find(place)(name, s).both, place)
            except Exception as why:  # not installed, or no memory for it
                reason = str(why).split("\n")[0][:200] or type(why).__name__
                out.append(Figure(**told, status="skipped" if isinstance(why, ImportError) else "failed", reason=reason))
                continue
            reason = f"{ours[length] / 1e6:.1f} MB beside {theirs / 1e6:.1f} MB, inputs and parameters not counted"
            value = ours[length] / theirs if theirs else None
            out.append(Figure(**told, value=value, status="skipped" if value is None else "measured", reason=reason))
    first, last = min(ours), max(ours)
    if first != last and ours[first]:
        out.append(
            Figure(
                row=row.name, subject=case.body, sizes=f"T{first} to T{last}", against="linear in T", what="peak memory a step",
                value=(ours[last] / last) / (ours[first] / first), asked=STRAIGHT, sense="at most",
                reason=f"{ours[last] / last:.0f} bytes a step at the longest, {ours[first] / first:.0f} at the shortest",
            )
        )  # fmt: skip
    return out


def _peak(run: Callable[[], object] | None, place: Gpu) -> int:
    if run is None:
        raise RuntimeError("it has no backward")
    run()
    with place.peak() as found:
        held = run()
    del held
    return found[0]

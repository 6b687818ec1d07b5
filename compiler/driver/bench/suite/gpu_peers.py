"""Who takes part on a GPU: libraries' kernels on the same inputs, and seqc's own modes beside each other.

A library that is not installed, or needs a GPU where there is none, raises ImportError, which is a reason in the report. One whose
backward pass refuses (FLA's gated kernels on Hopper before Triton 3.7.1) takes part forwards, and its refusal is the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from seqc.compiler.driver.bench.suite import gpu_rows as rows
from seqc.compiler.driver.bench.suite.by_hand import BY_HAND, mathematics
from seqc.compiler.driver.bench.suite.contender import Contender, Named, in_torch
from seqc.compiler.driver.bench.suite.contestants import Stand, layer_of, peer
from seqc.compiler.driver.bench.suite.gpu import Gpu
from seqc.compiler.driver.bench.suite.loops import Function, gates_and_complex_scan, gates_and_scan, torch_loop


def find(place: Gpu) -> Callable[[str, Stand], Contender]:
    """How contenders are found there."""

    def found(name: str, s: Stand) -> Contender:
        build = BUILDERS.get(name)
        if build is None:
            return peer(name, s)
        return checked(build(name, s, place))

    return found


def checked(one: Contender) -> Contender:
    """Without its backward pass where that refuses."""
    try:
        one.results()
    except (RuntimeError, NotImplementedError, AssertionError) as why:
        if one.forward_only is None:
            raise
        text = str(why).strip().split("\n")[0][:200] or type(why).__name__
        return replace(one, both=None, why=text, results=one.forward_only)
    return one


def turned(name: str, function: Function, s: Stand, x: Named) -> Contender:
    """A contender that wants [batch, channel, time]: it gets that, and what it computed is turned back."""
    made = in_torch(name, function, {k: v.transpose(1, 2).contiguous() for k, v in x.items()}, {}, s.weights.transpose(1, 2).contiguous())

    def back(found: tuple[Any, Named]) -> tuple[Any, Named]:
        return found[0].transpose(1, 2), {k: g.transpose(1, 2) for k, g in found[1].items()}

    results, forward_only = made.results, made.forward_only
    assert forward_only is not None
    return replace(made, results=lambda: back(results()), forward_only=lambda: back(forward_only()))


def needs_a_gpu(place: Gpu, what: str) -> None:
    """Raises ImportError where there is none."""
    if place.device != "cuda":
        raise ImportError(f"{what} needs a GPU")


def _accelerated(name: str, s: Stand, place: Gpu) -> Contender:
    needs_a_gpu(place, "accelerated-scan")
    from accelerated_scan.scalar import scan

    return turned(name, lambda x, p: scan(x["a"], x["b"]), s, s.x)


def _associative(name: str, s: Stand, place: Gpu) -> Contender:
    """In one kernel on a GPU; on a CPU torch has the generic way only."""
    import torch
    from torch._higher_order_ops.associative_scan import associative_scan

    def combine(left: Any, right: Any) -> Any:
        return left[0] * right[0], left[1] * right[0] + right[1]

    mode = "pointwise" if place.device == "cuda" else "generic"

    def run(x: Named, p: Named) -> Any:
        return associative_scan(combine, (x["a"], x["b"]), 1, combine_mode=mode)[1]

    return in_torch(name, torch.compile(run) if place.device == "cuda" else run, s.x, {}, s.weights)


def _fla(chunks: bool) -> Callable[[str, Stand, Gpu], Contender]:
    """FLA's scan takes the logarithm of the decay, which it is given."""

    def build(name: str, s: Stand, place: Gpu) -> Contender:
        run = _hgrn(chunks, place)
        x = {"g": s.x["a"].log(), "b": s.x["b"]}

        def regrouped(grads: Named) -> Named:
            return {"g": grads["a"] * s.x["a"], "b": grads["b"]}

        return in_torch(name, lambda x, p: run(x["b"], x["g"]), x, {}, s.weights, regrouped)

    return build


def _hgrn(chunks: bool, place: Gpu) -> Callable[[Any, Any], Any]:
    needs_a_gpu(place, "fla-core")
    from fla.ops import hgrn

    call = hgrn.chunk_hgrn if chunks else hgrn.fused_recurrent_hgrn
    return lambda b, g: call(b.contiguous(), g.contiguous())[0]


def _compiled(name: str, s: Stand, place: Gpu) -> Contender:
    """Gates by `torch.compile`, the scan by seqc's plain kernel."""
    import torch

    case, hand = s.case, BY_HAND[s.case.body]
    which = "ComplexScan" if case.body == "LRU" else "Scan"
    scan = layer_of("cells/gated", which, case.dims, "triton", case.dtype, place.device)
    run = (gates_and_complex_scan if case.body == "LRU" else gates_and_scan)(hand, scan)
    if place.device == "cuda":
        inner: Any = hand.before
        hand = replace(hand, before=torch.compile(inner))
        run = (gates_and_complex_scan if case.body == "LRU" else gates_and_scan)(hand, scan)
    return in_torch(name, run, s.x, s.p, s.weights)


def _gates_and_fla(name: str, s: Stand, place: Gpu) -> Contender:
    hand, m, scan = BY_HAND[s.case.body], mathematics("torch"), _hgrn(False, place)

    def run(x: Named, p: Named) -> Any:
        (a, b), _, _ = hand.over_time(m, x, p)
        return scan(b, a.log())

    return in_torch(name, run, s.x, s.p, s.weights)


def _mamba(name: str, s: Stand, place: Gpu) -> Contender:
    """mamba-ssm's CUDA kernel, in its own layout."""
    import torch

    needs_a_gpu(place, "mamba-ssm")
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    x = {k: v.transpose(1, 2).contiguous() for k, v in s.x.items()}

    def run(x: Named, p: Named) -> Any:
        return selective_scan_fn(
            x["u"], x["dt"], -torch.exp(p["A_log"]), x["B"], x["C"], p["skip"], x["z"], None, delta_softplus=True
        ).transpose(1, 2)

    made = in_torch(name, run, x, s.p, s.weights)
    return replace(made, regrouped=lambda grads: {k: g.transpose(1, 2) if k in x else g for k, g in grads.items()})


def _graphed(name: str, s: Stand, place: Gpu) -> Contender:
    """The loop by hand, all of it one CUDA graph."""
    made = in_torch(name, torch_loop(BY_HAND[s.case.body]), s.x, s.p, s.weights)
    assert made.both is not None
    return replace(made, forward=place.graph(made.forward), both=place.graph(made.both))


def _flashrnn(name: str, s: Stand, place: Gpu) -> Contender:
    """FlashRNN's Triton kernel behind the projection of the input. Which way round it takes the weights, it is asked."""
    import torch

    needs_a_gpu(place, "flashrnn")
    from flashrnn import flashrnn

    dtype = str(s.weights.dtype).removeprefix("torch.")

    def run(turn: bool) -> Function:
        def call(x: Named, p: Named) -> Any:
            wide = torch.stack([p[n + ".linear.x"] for n in "ifzo"])
            back = torch.stack([p[n + ".linear.h"] for n in "ifzo"])
            bias = torch.stack([p[n + ".linear.bias"] for n in "ifzo"])
            given = torch.einsum("btd,ghkd->btghk", x["x"], wide)
            back = back.transpose(-1, -2) if turn else back
            states, _ = flashrnn(given, back.contiguous(), bias, function="slstm", backend="triton_fused", dtype=dtype)
            return states[0].flatten(-2)

        return call

    with torch.no_grad():
        want = s.layer(**s.x)[0]
        errors = {turn: float((run(turn)(s.x, s.p) - want).abs().max()) for turn in (False, True)}
    return in_torch(name, run(min(errors, key=lambda turn: errors[turn])), s.x, s.p, s.weights)


def _own(scan: str) -> Callable[[str, Stand, Gpu], Contender]:
    """The same layer in a mode that is asked for."""

    def build(name: str, s: Stand, place: Gpu) -> Contender:
        case = s.case
        layer = layer_of(case.spec, case.body, case.dims, "triton", case.dtype, place.device, scan)
        layer.load_state_dict(s.layer.state_dict())
        return in_torch(name, lambda x, p: layer(**x)[0], s.x, dict(layer.named_parameters()), s.weights)

    return build


BUILDERS: dict[str, Callable[[str, Stand, Gpu], Contender]] = {
    rows.ACCELERATED: _accelerated,
    rows.ASSOCIATIVE: _associative,
    rows.FLA: _fla(False),
    rows.FLA_CHUNK: _fla(True),
    rows.COMPILED: _compiled,
    rows.FLA_GATES: _gates_and_fla,
    rows.MAMBA: _mamba,
    rows.GRAPHED: _graphed,
    rows.FLASHRNN: _flashrnn,
    rows.SEQUENTIAL: _own("sequential"),
    rows.NEWTON: _own("newton"),
}
"""Name in a bar → how the contender is built; the others are those of the suite on processors."""

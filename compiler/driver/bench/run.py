"""Times one body: forward, forward+backward and step, beside the reference and its peers.

In:   a checked body, a maker of layers, sizes and a shape.      Out: `Row`s, one for each measurement and contender.
Keeps: all contenders of a measurement run in turns in this process, in float32, on the same inputs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seqc.compiler.driver import sample
from seqc.compiler.driver.bench.peers import peers_of
from seqc.compiler.driver.bench.timing import race
from seqc.compiler.driver.verify.executors import EXECUTORS, available, no_kernel
from seqc.compiler.ir.spec import Body

LOOP = "torch loop of step"


@dataclass(frozen=True, slots=True)
class Row:
    """`what` is forward, forward+backward or step; `ratio` is this contender's median over that of the fastest of seqc's."""

    what: str
    who: str
    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    ratio: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Result:
    """Everything about one body's timing."""

    body: str
    sizes: dict[str, int]
    batch: int
    time: int
    device: str
    threads: int
    torch: str
    load: float
    """Load average of the machine before the run: above the number of cores, figures are loose."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def timed(
    spec: str,
    body: Body,
    make: Callable[..., Any],
    sizes: Mapping[str, int],
    *,
    batch: int,
    time: int,
    device: str = "cpu",
    backend: str = "auto",
    scan: str = "auto",
    streams: bool = True,
    seconds: float = 3.0,
    tick: Callable[[str], None] = lambda what: None,
) -> Result:
    """Times a body; about `seconds` for each of the three measurements."""
    import torch

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    drawn = sample.draw(body, dict(sizes), batch, time, dtype="float32")
    values = {k: v.to(device) for k, v in drawn.values.items()}
    layers: list[tuple[str, Any]] = []
    for executor in EXECUTORS:
        if backend != executor.name if backend != "auto" else executor not in available():
            continue
        mode = scan if executor.name != "reference" else "auto"
        try:
            layers.append((executor.name, make(body.name, executor.name, mode, "float32", **sizes).to(device).eval()))
        except RuntimeError as why:
            if backend != "auto" or not no_kernel(why):
                raise
    for _, layer in layers[1:]:
        layer.load_state_dict(layers[0][1].state_dict())
    own = [name for name, _ in layers]
    modules, notes = peers_of(spec, body.name, sizes)
    single = len(values) == 1 and next(iter(values.values())).is_floating_point()
    peers = [(name, module.to(device).eval()) for name, module in modules] if single else []
    x = next(iter(values.values())) if single else None

    def sync() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    def options(what: str) -> dict[str, Any]:
        return {"seconds": seconds, "sync": sync, "tick": lambda who: tick(f"{body.name} {what}: {who}")}

    rows: list[Row] = []
    forward: list[tuple[str, Callable[[], object]]] = [(name, _quiet(lambda m=m: m(**values))) for name, m in layers]  # type: ignore[misc]
    forward += [(name, _quiet(lambda m=m: m(x))) for name, m in peers]  # type: ignore[misc]
    looped = streams and not peers and bool(layers) and any(t is not None for t in drawn.time.values())
    if looped:
        forward.append((LOOP, _quiet(lambda: _loop(layers[0][1], drawn, values, batch, time))))
    rows += _rows("forward", race(forward, **options("forward")), own, batch * time)

    backward = [(name, _backward(m, values)) for name, m in layers]
    backward += [(name, _backward(m, x)) for name, m in peers]
    if looped:
        backward.append((LOOP, _backward_loop(layers[0][1], drawn, values, batch, time)))
    rows += _rows("forward+backward", race(backward, **options("forward+backward")), own, batch * time)

    if streams:
        steps: list[tuple[str, Callable[[], object]]] = []
        for name, layer in layers:
            one = {k: v if drawn.time[k] is None else v.select(drawn.time[k] or 0, 0) for k, v in values.items()}
            state = layer.init_state(batch, **{**drawn.before, **{k: v for k, v in values.items() if drawn.time[k] is None}})
            steps.append((name, _quiet(lambda layer=layer, one=one, state=state: layer.step(**one, state=state))))  # type: ignore[misc]
        for name, module in peers:
            if name.startswith("torch.nn."):
                inner = module.inner
                _, carried = inner(x[:, :1])  # type: ignore[index]
                steps.append((name, _quiet(lambda inner=inner, carried=carried: inner(x[:, :1], carried))))  # type: ignore[index, misc]
        rows += _rows("step", race(steps, **options("step"), most=500), own, batch)
    return Result(body.name, dict(sizes), batch, time, device, torch.get_num_threads(), torch.__version__, load, tuple(rows), tuple(notes))


def _quiet(run: Callable[[], object]) -> Callable[[], object]:
    """Without gradients."""
    import torch

    def quiet() -> object:
        with torch.no_grad():
            return run()

    return quiet


def _total(outs: Any) -> Any:
    from torch.utils._pytree import tree_leaves

    leaves = [leaf for leaf in tree_leaves(outs) if leaf.is_floating_point() or leaf.is_complex()]
    return sum((leaf.real if leaf.is_complex() else leaf).sum() for leaf in leaves)


def _backward(module: Any, values: Any) -> Callable[[], object]:
    """Forward and gradients by every float input and parameter."""
    import torch

    leaves, call = _leaves(module, values)

    def run() -> object:
        outs = module(**call) if isinstance(call, dict) else module(call)
        return torch.autograd.grad(_total(outs[0] if isinstance(call, dict) else outs), leaves, allow_unused=True)

    return run


def _backward_loop(layer: Any, drawn: sample.Sample, values: Mapping[str, Any], batch: int, time: int) -> Callable[[], object]:
    import torch

    leaves, call = _leaves(layer, values)
    return lambda: torch.autograd.grad(_total(_loop(layer, drawn, call, batch, time)), leaves, allow_unused=True)


def _leaves(module: Any, values: Any) -> tuple[list[Any], Any]:
    def fresh(v: Any) -> Any:
        return v.detach().clone().requires_grad_(True) if v.is_floating_point() or v.is_complex() else v

    call: Any = {k: fresh(v) for k, v in values.items()} if isinstance(values, Mapping) else fresh(values)
    inputs = call.values() if isinstance(call, dict) else [call]
    return [*(v for v in inputs if v.requires_grad), *(p for p in module.parameters() if p.requires_grad)], call


def _loop(layer: Any, drawn: sample.Sample, values: Mapping[str, Any], batch: int, time: int) -> Any:
    """The loop one writes by hand: `unbind` before, `stack` after."""
    import torch
    from torch.utils._pytree import tree_leaves

    parts = {k: v.unbind(drawn.time[k] or 0) for k, v in values.items() if drawn.time[k] is not None}
    rest = {k: v for k, v in values.items() if drawn.time[k] is None}
    state = layer.init_state(batch, **{**drawn.free, **rest})
    outs: list[Sequence[Any]] = []
    for number in range(time):
        y, state = layer.step(**rest, **{k: v[number] for k, v in parts.items()}, state=state)
        outs.append(tree_leaves(y))
    return [torch.stack(column, 1) for column in zip(*outs, strict=True)]


def _rows(what: str, timings: Sequence[Any], own: Sequence[str], tokens: int) -> list[Row]:
    best = min((t.median for t in timings if t.who in own), default=float("nan"))
    return [
        Row(
            what,
            t.who,
            t.median,
            t.low,
            t.high,
            t.runs,
            t.median / best if best else 0.0,
            1e3 * tokens / t.median if t.median else 0.0,
        )
        for t in timings
    ]

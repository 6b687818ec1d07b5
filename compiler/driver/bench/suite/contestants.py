"""The contenders of one case: seqc's layer, and whoever its bars name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqc.compiler.driver import sample, sizes
from seqc.compiler.driver.bench.suite.by_hand import BY_HAND
from seqc.compiler.driver.bench.suite.contender import Contender, in_jax, in_torch
from seqc.compiler.driver.bench.suite.libraries import LIBRARIES
from seqc.compiler.driver.bench.suite.loops import gates_and_complex_scan, gates_and_scan, jax_scan, torch_loop
from seqc.compiler.driver.bench.suite.rows import FP32, JAX, LOOP, LSTM_PER_FLOP, MINGRU, UNFUSED, Case
from seqc.compiler.driver.pipeline import Run, compiled
from seqc.compiler.driver.target import Target

OWN = "seqc native"


@dataclass(frozen=True, slots=True)
class Stand:
    """A case ready to be measured: the layer, what it is called with, and the weights of the gradient."""

    case: Case
    layer: Any
    x: dict[str, Any]
    p: dict[str, Any]
    weights: Any
    own: Contender


def target_of(spec: str) -> Target:
    """A bundled spec, or one of this package."""
    if spec.startswith("cells/"):
        return Target(str(Path(__file__).resolve().parents[1] / f"{spec}.seq"))
    return Target(spec)


def body_of(spec: str, body: str) -> tuple[Run, Any]:
    """A spec compiled, and one of its bodies."""
    run = compiled(target_of(spec), until="code")
    return run, next(b for b in run.bodies if b.name == body)


def layer_of(
    spec: str, body: str, dims: Mapping[str, int], backend: str = "native", dtype: str = "float32", device: str = "cpu", scan: str = "auto"
) -> Any:
    """A layer. Raises NoKernel, NoCompiler (see `runtime.native`)."""
    import torch

    from seqc.compiler.driver.load import load

    module = load(target_of(spec).spec)
    return getattr(module, body)(**dims, backend=backend, dtype=getattr(torch, dtype), device=device, scan=scan)


def inputs_of(case: Case, seed: int = 0) -> dict[str, Any]:
    """Inputs of a case, drawn."""
    _, body = body_of(case.spec, case.body)
    given = ("low",) if case.body == "HGRN" else ()
    found = sizes.defaults(body, dict(case.dims))
    return sample.draw(body, found, case.batch, case.time, seed=seed, dtype=case.dtype, given=given).values


def stand(case: Case, seed: int = 0, backend: str = "native", device: str = "cpu") -> Stand:
    """Draws inputs and parameters. Raises NoKernel, NoCompiler."""
    import torch

    torch.manual_seed(seed)
    layer = layer_of(case.spec, case.body, case.dims, backend, case.dtype, device)
    with torch.no_grad():
        for p in layer.parameters():
            if not bool(p.any()):  # with a zero there nothing would be compared
                p.uniform_(-0.1, 0.1)
    x = {k: v.to(device) for k, v in inputs_of(case, seed).items()}
    p = dict(layer.named_parameters())
    with torch.no_grad():
        y = layer(**x)[0]
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=y.dtype).to(device)
    own = in_torch(OWN if backend == "native" else f"seqc {backend}", lambda x, p: layer(**x)[0], x, p, weights)
    return Stand(case, layer, x, p, weights, own)


def peer(name: str, s: Stand) -> Contender:
    """A contender by its name in a bar. Raises ImportError where it is not installed, and what it raises itself."""
    case = s.case
    hand = BY_HAND.get(case.body)
    if (name, case.body) in LIBRARIES:
        return LIBRARIES[name, case.body](s.x, s.p, s.weights)
    if name == LOOP and hand is not None:
        return in_torch(LOOP, torch_loop(hand), s.x, s.p, s.weights)
    if name == JAX and hand is not None:
        return in_jax(JAX, jax_scan(hand), s.x, s.p, s.weights)
    if name == UNFUSED and hand is not None:
        if case.body == "LRU":
            function = gates_and_complex_scan(hand, layer_of("cells/gated", "ComplexScan", case.dims))
        else:
            function = gates_and_scan(hand, layer_of("cells/gated", "Scan", case.dims))
        return in_torch(UNFUSED, function, s.x, s.p, s.weights)
    if name == MINGRU:
        return _other(name, replace(case, body="MinGRU"))
    if name == LSTM_PER_FLOP:
        wide = case.dims["D"]
        return _other(name, replace(case, spec="lstm", body="LSTM", dims={"D": wide, "N": wide}))
    if name == FP32:
        full = replace(case, dtype="float32")
        layer = layer_of(full.spec, full.body, full.dims)
        layer.load_state_dict(s.layer.state_dict())
        x = {k: v.float() for k, v in s.x.items()}
        return in_torch(FP32, lambda x, p: layer(**x)[0], x, dict(layer.named_parameters()), s.weights.float())
    raise ImportError(f"nobody here builds {name} for {case.body}")


def _other(name: str, case: Case) -> Contender:
    """Another cell of seqc at the same size: timed, not compared."""
    return replace(stand(case).own, name=name, compare=False)


Peer = Callable[[str, Stand], Contender]

"""How a contender is found by name; tests put another in its place."""

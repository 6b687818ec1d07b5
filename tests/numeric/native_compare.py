"""One layer on the reference and in C, compared in everything that comes out: outs, state, gradients; whole, reset, ragged, in
pieces, step by step."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

BATCH, STEPS = 3, 7


def finite(x: Tensor) -> Tensor:
    """0 where a value is infinite or NaN."""
    return torch.where(torch.isfinite(x), x, torch.zeros((), dtype=x.dtype, device=x.device))


def real(x: Tensor) -> Tensor:
    """Real and imaginary part side by side."""
    return torch.view_as_real(x) if x.is_complex() else x


def apart(reference: Tensor | None, found: Tensor | None) -> float:
    """The largest difference in units of the largest value (at least 1); inf where NaN and infinities stand elsewhere.

    A missing gradient is zero.
    """
    if reference is None or found is None:
        reference, found = reference if reference is not None else torch.zeros(()), found if found is not None else torch.zeros(())
        reference, found = torch.broadcast_tensors(reference.cpu(), found.cpu())
    a, b = real(reference.detach().cpu()), real(found.detach().cpu())
    if a.shape != b.shape:
        return float("inf")
    if not a.is_floating_point():
        return 0.0 if torch.equal(a, b) else float("inf")
    a, b = a.double(), b.double()
    strange = ~torch.isfinite(a)
    if not torch.equal(strange, ~torch.isfinite(b)) or not torch.equal(a[strange].nan_to_num(7.0), b[strange].nan_to_num(7.0)):
        return float("inf")
    a, b = finite(a), finite(b)
    return float((a - b).abs().max()) / max(1.0, float(a.abs().max())) if a.numel() else 0.0


@dataclass
class Outcome:
    """Outs and the leaves of the state; gradients by inputs, parameters and the state before, by name."""

    values: list[Tensor]
    gradients: dict[str, Tensor | None]


def tensors(x: Any) -> list[Tensor]:
    """The tensors in a nest."""
    return [t for t in tree_leaves(x) if isinstance(t, Tensor)]


def floats(x: Tensor) -> bool:
    """Whether a gradient can arrive."""
    return x.is_floating_point() or x.is_complex()


def start(layer: Any, once: dict[str, Tensor], batch: int, moved: bool = True) -> Any:
    """A state to begin with: the layer's own, `moved` a little away from it and asking for gradients."""
    noise = torch.Generator().manual_seed(9)

    def one(t: Any) -> Any:
        if not isinstance(t, Tensor) or not floats(t):
            return t
        shift = 0.1 * torch.randn(t.shape, generator=noise, dtype=torch.float64).to(t) if moved else 0.0
        return torch.where(torch.isfinite(real(t).sum(-1) if t.is_complex() else t), t + shift, t).detach().requires_grad_()

    return tree_map(one, layer.init_state(batch, **once))


def weighted(results: list[Tensor], seed: int = 5) -> Tensor:
    """A fixed random combination of everything that comes out."""
    g = torch.Generator().manual_seed(seed)
    loss = torch.zeros((), dtype=torch.float64, device=results[0].device)
    for t in results:
        t = real(t)
        if t.is_floating_point():
            loss = loss + (finite(t).double() * torch.randn(t.shape, generator=g, dtype=torch.float64).to(t.device)).sum()
    return loss


def run(layer: Any, inputs: dict[str, Tensor], once: tuple[str, ...], how: str = "plain", backward: bool = True) -> Outcome:
    """One run of a layer: `plain`, `reset`, `ragged`, `both`, or `packed`: the sequences in one row, some of their steps each."""
    first = next(v for k, v in inputs.items() if k not in once)
    batch, steps = first.shape[:2]
    state = start(layer, {k: inputs[k] for k in once}, batch)
    more: dict[str, Any] = {}
    if how == "packed":
        lengths = [steps - i % 3 for i in range(batch)]
        inputs = {k: v if k in once else torch.cat([v[i : i + 1, :n] for i, n in enumerate(lengths)], 1) for k, v in inputs.items()}
        more["cu_seqlens"] = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(first.device)
    given = {k: v.clone().requires_grad_() if floats(v) else v for k, v in inputs.items()}
    if how in ("reset", "both"):
        more["reset"] = (torch.rand(batch, steps, generator=torch.Generator().manual_seed(3)) < 0.4).to(first.device)
    if how in ("ragged", "both"):
        more["lengths"] = torch.tensor([[steps, 0, steps // 2, 1][i % 4] for i in range(batch)]).to(first.device)
    results = tensors(layer(**given, state=state, **more))
    gradients: dict[str, Tensor | None] = {}
    loss = weighted(results)
    if backward and loss.requires_grad:
        layer.zero_grad()
        loss.backward()
        leaves = {**given, **dict(layer.named_parameters())}
        leaves |= {f"state {i}": t for i, t in enumerate(tensors(state))}
        gradients = {k: t.grad.clone() if t.grad is not None else None for k, t in leaves.items() if t.requires_grad}
    return Outcome([t.detach() for t in results], gradients)


def pieces(layer: Any, inputs: dict[str, Tensor], once: tuple[str, ...], at: int, backwards: bool = False) -> list[Tensor]:
    """The values of a run in two pieces, the state handed on; `backwards`: the layer runs from the last step to the first."""
    first = next(v for k, v in inputs.items() if k not in once)
    state = start(layer, {k: inputs[k] for k in once}, first.shape[0])
    found = {}
    with torch.no_grad():
        for a, b in ((at, None), (0, at)) if backwards else ((0, at), (at, None)):
            outs, state = layer(**{k: v if k in once else v[:, a:b] for k, v in inputs.items()}, state=state)
            found[a] = tensors(outs)
    return [*(torch.cat(parts, 1) for parts in zip(found[0], found[at], strict=True)), *tensors(state)]


def stepwise(layer: Any, inputs: dict[str, Tensor], once: tuple[str, ...], backwards: bool = False) -> list[Tensor]:
    """The values of a run, one step after the other."""
    batch, steps = next(v for k, v in inputs.items() if k not in once).shape[:2]
    state = start(layer, {k: inputs[k] for k in once}, batch)
    found = {}
    with torch.no_grad():
        for t in reversed(range(steps)) if backwards else range(steps):
            outs, state = layer.step(**{k: v if k in once else v[:, t] for k, v in inputs.items()}, state=state)
            found[t] = tensors(outs)
    return [*(torch.stack(parts, 1) for parts in zip(*(found[t] for t in range(steps)), strict=True)), *tensors(state)]


def twin(layer: Any, backend: str = "native") -> Any:
    """The same layer with another backend."""
    made = copy.deepcopy(layer)
    for part in made.modules():
        part.backend = backend
    return made


def differences(a: Outcome, b: Outcome) -> dict[str, float]:
    """How far two outcomes lie apart, by name."""
    assert len(a.values) == len(b.values) and a.gradients.keys() == b.gradients.keys()
    out = {f"value {i}": apart(x, y) for i, (x, y) in enumerate(zip(a.values, b.values, strict=True))}
    return out | {f"gradient of {k}": apart(v, b.gradients[k]) for k, v in a.gradients.items()}

"""Functions of inputs and parameters, by hand: the careful torch loop, `lax.scan`, and torch gates around the own plain scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seqc.compiler.driver.bench.suite.by_hand import ByHand, mathematics

Function = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
"""(inputs [batch, time, ...], parameters) → out [batch, time, ...]."""


def torch_loop(cell: ByHand) -> Function:
    """`unbind` before the loop and `stack` after it: indexing within it would make the backward pass quadratic in time."""
    import torch

    m = mathematics("torch")

    def run(x: Mapping[str, Any], p: Mapping[str, Any]) -> Any:
        reads, state, p = cell.over_time(m, x, p)
        outs = []
        for now in zip(*(r.unbind(1) for r in reads), strict=True):
            state, y = cell.step(m, state, now, p)
            outs.append(y)
        return torch.stack(outs, 1)

    return run


def jax_scan(cell: ByHand) -> Function:
    """`lax.scan` over the same step. Raises ImportError without JAX."""
    import jax
    import jax.numpy as jnp

    m = mathematics("jax")

    def run(x: Mapping[str, Any], p: Mapping[str, Any]) -> Any:
        reads, state, p = cell.over_time(m, x, p)
        _, outs = jax.lax.scan(lambda s, now: cell.step(m, s, now, p), state, tuple(jnp.swapaxes(r, 0, 1) for r in reads))
        return jnp.swapaxes(outs, 0, 1)

    return run


def gates_and_scan(cell: ByHand, scan: Any) -> Function:
    """Torch computes the gates over all steps, `scan` (a layer: a, b → h) does the rest."""
    m = mathematics("torch")

    def run(x: Mapping[str, Any], p: Mapping[str, Any]) -> Any:
        (a, b), _, _ = cell.over_time(m, x, p)
        return scan(a=a, b=b)[0]

    return run


def gates_and_complex_scan(cell: ByHand, scan: Any) -> Function:
    """The same for a complex decay that is constant in time: a parameter of `scan` (b → h; radius, angle)."""
    from torch.func import functional_call

    m = mathematics("torch")

    def run(x: Mapping[str, Any], p: Mapping[str, Any]) -> Any:
        (b,), _, p = cell.over_time(m, x, p)
        return functional_call(scan, {"radius": p["a"].abs(), "angle": p["a"].angle()}, (), {"b": b})[0]

    return run

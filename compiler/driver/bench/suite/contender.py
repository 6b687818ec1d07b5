"""Who takes part in a race: a function to run forward, one to run forward and backward, and what it computed.

The gradient is that of the sum of the output times fixed weights, by every float input and every parameter; all contenders
of a case get the same inputs, parameters and weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seqc.compiler.driver.bench.suite.loops import Function

Named = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contender:
    """`results()`: the output and gradients by name. `regrouped`: seqc's gradients under the contender's names.

    `compare`: whether it computes the same function at all.
    """

    name: str
    forward: Callable[[], object]
    both: Callable[[], object] | None
    results: Callable[[], tuple[Any, Named]]
    regrouped: Callable[[Named], Named] = lambda grads: grads
    compare: bool = True
    why: str = ""
    """Why there is no `both`."""
    forward_only: Callable[[], tuple[Any, Named]] | None = None
    """`results` without gradients."""


def copies_of(x: Named) -> list[Named]:
    """Inputs on a GPU as often as it takes to fill its cache twice, so that no run finds them there; elsewhere once."""
    import torch

    size = sum(v.numel() * v.element_size() for v in x.values())
    if not size or not all(v.is_cuda for v in x.values()):
        return [x]
    cache = torch.cuda.get_device_properties(next(iter(x.values())).device).L2_cache_size
    return [x, *({k: v.clone() for k, v in x.items()} for _ in range(min(31, 2 * cache // size)))]


def in_torch(
    name: str,
    function: Function,
    x: Named,
    p: Named,
    weights: Any,
    regrouped: Callable[[Named], Named] = lambda grads: grads,
    compare: bool = True,
) -> Contender:
    """A contender that torch differentiates; `p` are leaves already, or plain tensors."""
    import torch

    def leaf(v: Any) -> Any:
        if isinstance(v, torch.nn.Parameter) or not (v.is_floating_point() or v.is_complex()):
            return v
        return v.detach().clone().requires_grad_()

    held = {k: leaf(v) for k, v in p.items()}
    plain = copies_of(x)
    given = [{k: leaf(v) for k, v in one.items()} for one in plain]
    leaves = [{k: v for k, v in {**one, **held}.items() if v.requires_grad} for one in given]
    turn, other = itertools.cycle(plain), itertools.cycle(zip(given, leaves, strict=True))

    def forward() -> object:
        with torch.no_grad():
            return function(next(turn), p)

    def both() -> Any:
        one, by = next(other)
        return torch.autograd.grad(function(one, held), list(by.values()), weights, allow_unused=True)

    def results() -> tuple[Any, Named]:
        y = function(given[0], held)
        grads: Any = torch.autograd.grad(y, list(leaves[0].values()), weights, allow_unused=True)
        return y.detach(), {k: g for k, g in zip(leaves[0], grads, strict=True) if g is not None}

    def forward_only() -> tuple[Any, Named]:
        with torch.no_grad():
            return function(plain[0], p), {}

    return Contender(name, forward, both, results, regrouped, compare, forward_only=forward_only)


def in_jax(name: str, function: Function, x: Named, p: Named, weights: Any) -> Contender:
    """A contender that JAX compiles: inputs are put into its memory beforehand, results waited for."""
    import jax
    import jax.numpy as jnp
    import numpy
    import torch

    def array(v: Any) -> Any:
        return jnp.asarray(v.detach().numpy())

    given, held, weight = {k: array(v) for k, v in x.items()}, {k: array(v) for k, v in p.items()}, array(weights)

    def pulled(x: Named, p: Named, w: Any) -> Any:
        y, pull = jax.vjp(function, x, p)
        # torch's gradient of a complex number is the conjugate of JAX's
        return y, jax.tree.map(jnp.conj, pull(jnp.conj(w)))

    one, two = jax.jit(function), jax.jit(pulled)
    done: Any = jax.block_until_ready

    def tensor(v: Any) -> Any:
        return torch.from_numpy(numpy.array(v))

    def results() -> tuple[Any, Named]:
        y, (to_x, to_p) = two(given, held, weight)
        return tensor(y), {k: tensor(v) for k, v in {**to_x, **to_p}.items()}

    return Contender(
        name,
        lambda: done(one(given, held)),
        lambda: done(two(given, held, weight)),
        results,
    )

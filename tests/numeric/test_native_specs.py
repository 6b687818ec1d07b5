"""Every bundled spec with `backend="native"` against the reference in float64: outs, states, gradients; plain, reset, ragged."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

import seqc
from numeric.native_units import compiler, share
from seqc.compiler.driver import sample
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.sizes import small
from seqc.compiler.driver.target import target_of
from seqc.compiler.frontend.bundled import bundled
from seqc.compiler.ir.spec import Body
from seqc.runtime.native.calls import kernels_of

IN_SCOPE = (
    "mingru minlstm qrnn hgrn rglru mamba1 lru s4d s5 indrnn paragru sru lif paralstm rwkv4 aaren linear_attention based retnet "
    "simple_gla mamba2 gla hgrn2 rwkv6 mlstm deltanet gated_deltanet kda rwkv7 elman jordan lstm lstm_peephole gru leaky_rnn slstm lssl"
).split()
BATCH, STEPS = 3, 7
needs_compiler = pytest.mark.skipif(not compiler(), reason="there is no C compiler")


@functools.cache
def bodies(spec: str) -> tuple[Any, tuple[Body, ...]]:
    """A spec's module and its cells that have kernels."""
    module = seqc.load(spec)
    program = compiled(target_of(spec), until="spec").program
    found = tuple(program.bodies[k] for k in program.exports)
    return module, tuple(b for b in found if getattr(module, b.name).KERNELS)


@pytest.fixture(scope="module")
def shared() -> None:
    """All kernels of all specs in few units."""
    found = []
    for spec in IN_SCOPE:
        module, cells = bodies(spec)
        for body in cells:
            constant = getattr(module, body.name).KERNELS
            for kernel, (text, _, adjoint_text, _) in zip(kernels_of(constant), constant, strict=True):
                found.append((kernel, text, adjoint_text))
    share(found)


def layers(module: Any, body: Body) -> tuple[dict[str, int], Any, Any]:
    """Sizes with which the cell can be built, the cell on the reference and the same cell in C."""
    wrong: Exception | None = None
    for sizes in small(body, {}):
        try:
            torch.manual_seed(0)
            reference = getattr(module, body.name)(dtype=torch.float64, backend="reference", **sizes)
        except (ValueError, TypeError) as why:
            wrong = why
            continue
        native = copy.deepcopy(reference)
        for part in native.modules():
            part.backend = "native"
        return dict(sizes), reference, native
    raise AssertionError(f"no sizes fit: {wrong}")


def finite(x: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.isfinite(x), x, torch.zeros((), dtype=x.dtype))


def outcome(layer: Any, inputs: dict[str, Any], how: str) -> tuple[list[torch.Tensor], list[torch.Tensor | None]]:
    """Outs and state, and the gradients of everything, of one run."""
    given = {k: v.clone().requires_grad_() if v.is_floating_point() else v for k, v in inputs.items()}
    noise = torch.Generator().manual_seed(9)
    torch.manual_seed(9)  # what a spec draws

    def moved(t: Any) -> Any:
        if not isinstance(t, torch.Tensor) or not (t.is_floating_point() or t.is_complex()) or not torch.isfinite(t).all():
            return t
        return (t.detach() + 0.1 * torch.randn(t.shape, generator=noise).to(t.dtype)).requires_grad_()

    state = tree_map(moved, layer.init_state(BATCH))
    more: dict[str, Any] = {}
    if how == "reset":
        more["reset"] = torch.rand(BATCH, STEPS, generator=torch.Generator().manual_seed(3)) < 0.4
    if how == "ragged":
        more["lengths"] = torch.tensor([STEPS, 0, STEPS - 3][:BATCH])
    layer.zero_grad()
    results = [t for t in tree_leaves(layer(**given, state=state, **more)) if isinstance(t, torch.Tensor)]
    weights = torch.Generator().manual_seed(5)
    loss = torch.zeros((), dtype=torch.float64)
    for t in results:
        real = torch.view_as_real(t) if t.is_complex() else t
        if real.is_floating_point():
            loss = loss + (finite(real) * torch.randn(real.shape, generator=weights, dtype=torch.float64)).sum()
    loss.backward()
    every = [*given.values(), *(p for _, p in layer.named_parameters()), *(t for t in tree_leaves(state) if isinstance(t, torch.Tensor))]
    return [t.detach() for t in results], [t.grad for t in every if t.requires_grad]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal to rounding, infinities in the same places."""
    if not (a.is_floating_point() or a.is_complex()):
        return torch.equal(a, b)
    if a.is_complex():
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    if not torch.equal(torch.isfinite(a), torch.isfinite(b)):
        return False
    a, b = finite(a), finite(b)
    return not a.numel() or float((a - b).abs().max()) <= 1e-10 * max(1.0, float(a.abs().max()))


@needs_compiler
@pytest.mark.parametrize("spec", IN_SCOPE)
def test_native_is_the_reference(spec: str, shared: None) -> None:
    module, cells = bodies(spec)
    assert cells, "no kernel was found"
    for body in cells:
        assert not getattr(module, body.name).LEFT
        sizes, reference, native = layers(module, body)
        values = {k: v.double() if v.is_floating_point() else v for k, v in sample.draw(body, sizes, BATCH, STEPS).values.items()}
        for how in ("plain", "reset", "ragged"):
            for a, b in zip(outcome(reference, values, how), outcome(native, values, how), strict=True):
                for i, (x, y) in enumerate(zip(a, b, strict=True)):
                    zero = torch.zeros(())
                    x, y = zero if x is None else x, zero if y is None else y
                    x, y = torch.broadcast_tensors(x, y)
                    assert same(x, y), f"{body.name}, {how}: number {i}"


@needs_compiler
def test_a_loop_without_kernel_is_said() -> None:
    with pytest.raises(RuntimeError, match="SEQ0604.*derivative"):
        seqc.load("online_memory").OnlineMemory(D=4, backend="native")


def test_all_specs_are_in_scope_or_known() -> None:
    """A new spec with a loop over time is either compiled or says why not."""
    for name in bundled():
        if name.startswith("operators."):
            continue
        module = seqc.load(name)
        for cls in vars(module).values():
            if isinstance(cls, type) and getattr(cls, "LEFT", ()):
                assert all(why for _, why in cls.LEFT)

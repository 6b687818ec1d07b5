"""Bundled specs in Triton's interpreter in every mode, storage type and kind of sequence: values, state, gradients.

Guards of NaN around every buffer, programs in a random order, small blocks. By default one spec of each structure, in the ways that its
place in the list says; behind `slow` the whole matrix.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from numeric.native_compare import run
from numeric.test_native_specs import IN_SCOPE, bodies, layers
from numeric.test_triton_kernels import leaky, spread
from numeric.triton_cells import HOW, WAYS, Way, faults, kernels
from numeric.triton_units import build, chunks, needs_interpreter, shuffled, tiles
from seqc.compiler.driver import sample
from seqc.runtime.native.ops import run as call
from seqc.runtime.triton.hurried import hurried

pytestmark = needs_interpreter

FEW = {
    "mingru": ("associative", torch.bfloat16, "packed"),
    "lru": ("associative", torch.float32, "both"),
    "indrnn": ("sequential", torch.bfloat16, "reset"),
    "lif": ("sequential", torch.float64, "packed"),
    "paralstm": ("sequential", torch.float32, "packed"),
    "aaren": ("associative", torch.float32, "ragged"),
    "rwkv4": ("sequential", torch.bfloat16, "ragged"),
    "mamba1": ("associative", torch.float64, "packed"),
    "gla": ("sequential", torch.float32, "reset"),
    "deltanet": ("sequential", torch.bfloat16, "plain"),
}
"""Structure by structure: diagonal, complex, nonlinear, threshold, two states, cascades, an inner axis, a matrix, its update."""


def subjects(spec: str) -> list[tuple[Any, Any]]:
    """The cells of a spec that have Triton kernels, and their classes."""
    module, cells = bodies(spec)
    return [(b, getattr(module, b.name)) for b in cells if getattr(module, b.name).TRITON]


def drawn(body: Any, cls: Any, spec: str) -> tuple[Any, dict[str, torch.Tensor], tuple[str, ...]]:
    """The layer on the reference, inputs, those that are the same at all steps."""
    sizes, reference, _ = layers(bodies(spec)[0], body)
    values = {k: v.double() if v.is_floating_point() else v for k, v in sample.draw(body, sizes, 2, 5).values.items()}
    return reference, values, tuple(k for k in values if body.table[k].once)


def checked(spec: str, ways: list[Way]) -> None:
    said = {}
    for body, cls in subjects(spec):
        parallel = all(len(one) > 4 for one in cls.TRITON)
        for i, way in enumerate(ways):
            if way.scan == "associative" and not parallel:
                continue
            reference, values, once = drawn(body, cls, spec)
            found = faults(reference, values, once, way, 3 * i + 1)
            if found:
                said[f"{body.name} {way}"] = found
    assert not said


@pytest.mark.parametrize("spec", FEW)
def test_a_few_ways(spec: str) -> None:
    assert subjects(spec)
    checked(spec, [Way(*FEW[spec])])


@pytest.mark.slow
@pytest.mark.parametrize("spec", IN_SCOPE)
def test_every_way(spec: str) -> None:
    """Products inside a kernel are tested by themselves (`test_triton_dense`)."""
    if not subjects(spec):
        pytest.skip("its kernels hold matrix products")
    checked(spec, sorted(set(WAYS), key=WAYS.index))


@pytest.mark.parametrize(("spec", "scan"), [("mamba1", "associative"), ("rwkv4", "sequential")])
def test_any_order_of_programs_gives_the_same_bits(spec: str, scan: str) -> None:
    ((body, cls),) = subjects(spec)
    reference, values, once = drawn(body, cls, spec)
    layer = kernels(reference, scan)
    found = []
    for seed in (None, 1):
        with hurried(together=False), chunks(2), tiles(4), shuffled(seed) if seed else hurried(together=False):
            found.append(run(layer, values, once, "both"))
    for a, b in zip(found[0].values, found[1].values, strict=True):
        assert torch.equal(a, b)
    for name, a in found[0].gradients.items():
        b = found[1].gradients[name]
        assert a is None and b is None or a is not None and b is not None and torch.equal(a, b), name


def test_the_matrix_has_every_way() -> None:
    assert {w.how for w in WAYS} == set(HOW) and len(set(WAYS)) == 2 * 3 * 5
    assert set(FEW) <= set(IN_SCOPE)


@pytest.mark.parametrize("strides", [(2**31 + 64, 8, 1), (8, 2**31 + 64, 1)], ids=["sequences", "steps"])
@pytest.mark.parametrize("parallel", [False, True], ids=["sequential", "associative"])
def test_gradients_over_strides_beyond_32_bits(strides: tuple[int, ...], parallel: bool) -> None:
    kernel = build(leaky(), "far")
    kernel = kernel.parallel if parallel else kernel
    g = torch.Generator().manual_seed(0)
    far = spread((2, 2, 8), strides)
    far.copy_(torch.randn(2, 2, 8, generator=g))
    a, start = torch.rand(8, generator=g), torch.randn(2, 8, generator=g)
    found = []
    for x in (far, far.contiguous()):
        leaves = [x.requires_grad_(), a.clone().requires_grad_(), start.clone().requires_grad_()]
        with hurried(together=False), tiles(2), chunks(2):
            row, last = call(kernel, leaves, torch.float32)
            grads = torch.autograd.grad((row * row).sum() + last.sum(), leaves)
        found.append([row.detach(), last.detach(), *grads])
    for p, q in zip(*found, strict=True):
        assert torch.equal(p, q)


def test_a_hurried_interpreter_computes_the_same() -> None:
    ((body, cls),) = subjects("rwkv4")
    reference, values, once = drawn(body, cls, "rwkv4")
    layer = kernels(reference, "associative")
    with tiles(4):
        plain = run(layer, values, once, "reset")
        with hurried():
            quick = run(layer, values, once, "reset")
    for a, b in zip(plain.values, quick.values, strict=True):
        assert torch.allclose(a, b, rtol=1e-14, atol=1e-14)
    for name, g in plain.gradients.items():
        other = quick.gradients[name]
        assert g is None and other is None or g is not None and other is not None and torch.allclose(g, other, rtol=1e-12, atol=1e-12), name

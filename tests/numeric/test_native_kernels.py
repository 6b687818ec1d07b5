"""Random kernels through the C emitter against the interpreter: values, carries, gradients, in float64 and float32."""

from __future__ import annotations

import functools

import pytest
import torch

from numeric.kernel_interpreter import interpret
from numeric.random_kernels import draw, random_kernel
from seqc.compiler.lower.native.emit import made
from seqc.runtime.native.errors import NoCompiler
from seqc.runtime.native.kernel import Kernel, Pass, Unit
from seqc.runtime.native.ops import run
from seqc.runtime.native.toolchain import find_toolchain

PER_UNIT = 20
SHAPES = (
    (2, 5, {"A": 3, "N": 7, "V": 17}),
    (3, 1, {"A": 1, "N": 16, "V": 5}),
    (1, 9, {"A": 4, "N": 3, "V": 35}),
    (2, 0, {"A": 2, "N": 2, "V": 2}),
)


def compiler() -> bool:
    try:
        find_toolchain()
    except NoCompiler:
        return False
    return True


needs_compiler = pytest.mark.skipif(not compiler(), reason="there is no C compiler")


def together(raw: list) -> list[Kernel]:
    """Kernels whose functions stand in one translation unit, so that the compiler is called once."""
    found = [made(k) for k in raw]
    functions = [f for one in found for f in (one.forward, one.adjoint)]
    unit = Unit([(f.about[0], Pass(f.about).slots, f.text) for f in functions])
    return [Kernel(one.forward.text, one.forward.about, one.adjoint.text, one.adjoint.about, unit) for one in found]


@functools.lru_cache(maxsize=4)
def many(first: int) -> tuple[list, list[Kernel]]:
    raw = [random_kernel(first + i, f"k{i}") for i in range(PER_UNIT)]
    return raw, together(raw)


def compare(raw, kernel, batch, length, sizes, seed, dtype, every=0):
    operands = draw(raw, sizes, batch, length, seed, dtype)
    mine = [x.clone().requires_grad_() if isinstance(x, torch.Tensor) else x for x in operands]
    theirs = [x.double().clone().requires_grad_() if isinstance(x, torch.Tensor) else x for x in operands]
    got = run(kernel, mine, dtype)
    rows, lasts = interpret(raw, theirs, {a: sizes[a] for a in raw.axes}, batch, length)
    want = [*rows, *lasts]
    g = torch.Generator().manual_seed(seed + 1)
    weights = [torch.randn(x.shape, generator=g, dtype=torch.float64) for x in want]
    sum((x.double() * w).sum() for x, w in zip(got, weights, strict=True)).backward()
    total = sum((x * w).sum() for x, w in zip(want, weights, strict=True))
    if total.requires_grad:
        total.backward()
    limit = 1e-9 if dtype == torch.float64 else 2e-4
    for what, a, b in [("value", a, b) for a, b in zip(got, want, strict=True)] + [
        (f"gradient {i}", a.grad, b.grad if b.grad is not None else torch.zeros_like(b))
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True))
        if isinstance(a, torch.Tensor)
    ]:
        a = torch.zeros_like(b) if a is None else a
        assert a.shape == b.shape
        scale = max(1.0, float(b.detach().abs().max()) if b.numel() else 1.0)
        error = float((a.detach().double() - b.detach()).abs().max()) / scale if b.numel() else 0.0
        assert error <= limit, f"{what}: {error:.3g}"


@needs_compiler
@pytest.mark.parametrize("first", [0, 1000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
def test_random_kernels(first: int, dtype: torch.dtype) -> None:
    raw, kernels = many(first)
    wrong = []
    for i, (r, k) in enumerate(zip(raw, kernels, strict=True)):
        for batch, length, sizes in SHAPES:
            try:
                compare(r, k, batch, length, sizes, i, dtype)
            except AssertionError as error:
                wrong.append(f"seed {first + i}, {batch}x{length}: {error}")
                break
    assert not wrong, "\n".join(wrong)

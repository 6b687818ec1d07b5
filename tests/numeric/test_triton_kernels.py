"""Random kernels through the Triton emitter and its interpreter against the float64 interpreter of kernels.

Values, carries and gradients; odd shapes, several block sizes, checkpoints every few steps; guards of NaN around every buffer, random
orders of programs, strides beyond 2^31, 16-bit storage.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import pytest
import torch

from numeric.kernel_interpreter import interpret
from numeric.random_kernels import draw, random_kernel
from numeric.triton_units import blocks, build, chunks, cut, guarded, needs_interpreter, shuffled, surrounded, tiles
from seqc.compiler.ir.kernel import Carry, Kernel, Operand
from seqc.compiler.lower.kernels.builder import Builder
from seqc.runtime.native.ops import run, run_step
from seqc.runtime.triton.segments import LEAST_TILES, Split, segment_steps, segments

pytestmark = needs_interpreter
SHAPES = (
    (2, 5, {"A": 3, "N": 7, "V": 9}),
    (3, 1, {"A": 1, "N": 16, "V": 5}),
    (1, 7, {"A": 4, "N": 3, "V": 11}),
    (2, 0, {"A": 2, "N": 2, "V": 2}),
    (3, 4, {"A": 5, "N": 1, "V": 8}),
)


def outcome(kernel: Any, operands: list[Any], dtype: torch.dtype, seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Results, and gradients of a random combination of them."""
    mine = [surrounded(x).requires_grad_() if isinstance(x, torch.Tensor) else x for x in operands]
    got = run(kernel, mine, dtype)
    total = sum((x.double() * w).sum() for x, w in zip(got, weights(got, seed), strict=True))
    total.backward()
    return [x.detach() for x in got], [torch.zeros_like(x) if x.grad is None else x.grad for x in mine if isinstance(x, torch.Tensor)]


def weights(values: Any, seed: int) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed + 1)
    return [torch.randn(x.shape, generator=g, dtype=torch.float64) for x in values]


def expected(raw: Kernel, operands: list[Any], sizes: dict[str, int], batch: int, length: int, seed: int) -> Any:
    """The same from the float64 interpreter."""
    theirs = [x.double().clone().requires_grad_() if isinstance(x, torch.Tensor) else x for x in operands]
    rows, lasts = interpret(raw, theirs, {a: sizes[a] for a in raw.axes}, batch, length)
    want = [*rows, *lasts]
    total = sum((x * w).sum() for x, w in zip(want, weights(want, seed), strict=True))
    if total.requires_grad:
        total.backward()
    return [x.detach() for x in want], [torch.zeros_like(x) if x.grad is None else x.grad for x in theirs if isinstance(x, torch.Tensor)]


def apart(got: list[torch.Tensor], want: list[torch.Tensor], limit: float) -> str:
    """What differs; "" for nothing."""
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        assert a.shape == b.shape
        if not b.numel():
            continue
        scale = max(1.0, float(b.abs().max()))
        error = float((a.double() - b).abs().max()) / scale
        if not error <= limit:
            return f"number {i}: {error:.3g}"
    return ""


def agrees(seed: int, dtype: torch.dtype, limit: float) -> str:
    """One random kernel at one shape, with blocks and chunks that follow from the seed."""
    raw = random_kernel(seed, f"k{seed}")
    kernel = build(raw, f"k{seed}")
    batch, length, sizes = SHAPES[seed % len(SHAPES)]
    kernel.fixed = (None, *(blocks(kernel, n, m, sizes) for n, m in ((4, 2), (16, 1), (2, 4))))[seed // len(SHAPES) % 4]
    operands = draw(raw, sizes, batch, length, seed, dtype)
    with guarded(), chunks(1 + seed % 3):
        values, gradients = outcome(kernel, operands, dtype, seed)
    wanted, slopes = expected(raw, operands, sizes, batch, length, seed)
    return apart(values, wanted, limit) or apart(gradients, slopes, 2 * limit)


@pytest.mark.parametrize("first", range(0, 80, 10))
def test_random_kernels(first: int) -> None:
    wrong = []
    for seed in range(first, first + 10):
        dtype, limit = (torch.float64, 1e-9) if seed % 2 else (torch.float32, 2e-4)
        found = agrees(seed, dtype, limit)
        if found:
            wrong.append(f"seed {seed}: {found}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 50))
def test_many_random_kernels(first: int) -> None:
    wrong = []
    for seed in range(first, first + 50):
        for dtype, limit in ((torch.float64, 1e-9), (torch.float32, 2e-4)):
            found = agrees(seed, dtype, limit)
            if found:
                wrong.append(f"seed {seed}, {dtype}: {found}")
    assert not wrong, "\n".join(wrong)


def in_tiles(seed: int, tile: int = 4, count: int = 0) -> str | None:
    """One random kernel in the associative mode; None where it has none. `count`: tiles of a segment, one program each."""
    raw = random_kernel(seed, f"t{seed}")
    kernel = build(raw, f"t{seed}").parallel
    if kernel is None:
        return None
    batch, length, sizes = SHAPES[seed % len(SHAPES)]
    length = max(length, 5) if seed % 3 or count else length
    kernel.fixed = (None, blocks(kernel, 4, 2, sizes), blocks(kernel, 2, 1, sizes))[seed % 3]
    operands = draw(raw, sizes, batch, length, seed, torch.float64)
    with guarded(), tiles(tile), cut(count) if count else contextlib.nullcontext():
        values, gradients = outcome(kernel, operands, torch.float64, seed)
    wanted, slopes = expected(raw, operands, sizes, batch, length, seed)
    return apart(values, wanted, 1e-9) or apart(gradients, slopes, 2e-9)


def test_random_kernels_in_tiles() -> None:
    found = {seed: in_tiles(seed) for seed in range(32)}
    assert sum(word is not None for word in found.values()) >= 12
    wrong = [f"seed {seed}: {word}" for seed, word in found.items() if word]
    assert not wrong, "\n".join(wrong)


def test_random_kernels_in_segments() -> None:
    """Tiles of two steps, one or two of them in a segment."""
    found = {seed: in_tiles(seed, 2, 1 + seed % 2) for seed in range(32)}
    assert sum(word is not None for word in found.values()) >= 12
    wrong = [f"seed {seed}: {word}" for seed, word in found.items() if word]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1400, 50))
def test_many_random_kernels_in_segments(first: int) -> None:
    wrong = [f"seed {seed}: {word}" for seed in range(first, first + 50) if (word := in_tiles(seed, 2, 1 + seed % 2))]
    assert not wrong, "\n".join(wrong)


def test_any_order_of_segments_gives_the_same_bits() -> None:
    """Also the launches that sum segments up; one writer for each entry."""
    raw = leaky()
    kernel = build(raw, "segments").parallel
    assert kernel is not None
    operands = draw(raw, {"N": 5}, 2, 11, 0, torch.float32)
    with guarded(), tiles(2), cut(1):
        first = outcome(kernel, operands, torch.float32, 0)
        with shuffled(3):
            second = outcome(kernel, operands, torch.float32, 0)
    plans = list(kernel._plans.values())
    assert len(plans) == 2 and all(isinstance(p, Split) and len(p.launches) == 3 and p.launches[-1].programs == 2 * 6 for p in plans)
    for a, b in zip((*first[0], *first[1]), (*second[0], *second[1]), strict=True):
        assert torch.equal(a, b)


def test_cascades_are_cut_level_by_level() -> None:
    """h needs g at each step: sums of h need what each segment of g begins with."""
    b = Builder(("N",))
    x, g, h = b.var("N"), b.var("N", hint="g"), b.var("N", hint="h")
    g_next = b.apply("add", b.apply("mul", 0.5, g), x)
    h_next = b.apply("add", b.apply("mul", b.apply("sigmoid", g), h), b.apply("tanh", g_next))
    carries = (Carry(g, 0.25, g_next), Carry(h, -0.5, h_next))  # type: ignore[arg-type]
    raw = Kernel("cascade", ("N",), (Operand(x, "step"),), (), carries, tuple(b.step), (h_next,))  # type: ignore[arg-type]
    kernel = build(raw, "cascade").parallel
    assert kernel is not None and [len(c) for c in kernel.cuts] == [4, 4]
    operands = draw(raw, {"N": 3}, 2, 9, 0, torch.float64)
    with guarded(), tiles(2), cut(2):
        values, gradients = outcome(kernel, operands, torch.float64, 0)
    wanted, slopes = expected(raw, operands, {"N": 3}, 2, 9, 0)
    assert not apart(values, wanted, 1e-12) and not apart(gradients, slopes, 1e-12)


def test_how_many_segments() -> None:
    """Few programs and many steps are cut, others are not; a segment is a whole number of tiles, and none is empty."""
    assert segments(16, 65536, 64, 132) == 32 and segments(132, 65536, 64, 132) == 1 and segments(1, 256, 64, 132) == 1
    for programs in (0, 1, 3, 16, 40, 66, 67, 1000):
        for length in (0, 1, 63, 500, 4096, 65537, 1 << 20):
            for steps in (4, 64):
                count, each = segments(programs, length, steps, 132), segment_steps(programs, length, steps, 132)
                assert each % steps == 0 and count >= 1 and (count - 1) * each < max(1, length) <= max(count * each, 1)
                assert count == 1 or each >= LEAST_TILES * steps and 2 * programs <= 132


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1400, 50))
def test_many_random_kernels_in_tiles(first: int) -> None:
    wrong = [f"seed {seed}: {word}" for seed in range(first, first + 50) if (word := in_tiles(seed))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("steps", [1, 2, 8, 16])
def test_the_size_of_a_tile_never_changes_the_result(steps: int) -> None:
    kernel = build(leaky(), "tiles")
    g = torch.Generator().manual_seed(1)
    x, a, start = torch.randn(2, 9, 5, generator=g).double(), torch.rand(5, generator=g).double(), torch.randn(2, 5, generator=g).double()
    want, slopes = outcome(kernel, [x, a, start], torch.float64, 0)
    assert kernel.parallel is not None
    with tiles(steps):
        got, found = outcome(kernel.parallel, [x, a, start], torch.float64, 0)
    assert not apart(got, want, 1e-14) and not apart(found, slopes, 1e-13)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_storage(dtype: torch.dtype) -> None:
    """Values of 16 bits go in and come out; between them everything is float32."""
    wrong = []
    for seed in range(200, 206):
        raw = random_kernel(seed, f"k{seed}")
        kernel = build(raw, f"k{seed}")
        batch, length, sizes = SHAPES[seed % 3]
        operands = draw(raw, sizes, batch, length, seed, dtype)
        values, gradients = outcome(kernel, operands, dtype, seed)
        wanted, slopes = expected(raw, operands, sizes, batch, length, seed)
        assert all(x.dtype == dtype for x in values)
        eps = torch.finfo(dtype).eps
        found = apart(values, wanted, 0.75 * eps) or apart(gradients, slopes, 12 * eps)
        if found:
            wrong.append(f"seed {seed}: {found}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seed", [1, 4, 6, 12])
def test_any_order_of_programs_gives_the_same_bits(seed: int) -> None:
    raw = random_kernel(seed, f"o{seed}")
    kernel = build(raw, f"o{seed}")
    batch, length, sizes = 3, 3, {"A": 3, "N": 5, "V": 4}
    kernel.fixed = blocks(kernel, 2, 1, sizes)
    operands = draw(raw, sizes, batch, length, seed, torch.float32)
    with chunks(2):
        first = outcome(kernel, operands, torch.float32, seed)
        with shuffled(seed):
            second = outcome(kernel, operands, torch.float32, seed)
    for a, b in zip((*first[0], *first[1]), (*second[0], *second[1]), strict=True):
        assert torch.equal(a, b)


def leaky() -> Kernel:
    """h = a * h[t-1] + x over one axis."""
    b = Builder(("N",))
    x, a, start = b.var("N"), b.var("N", steady=True), b.var("N", steady=True)
    h = b.var("N", hint="h")
    new = b.apply("add", b.apply("mul", a, h), x)
    operands = (Operand(x, "step"), Operand(a, "once"), Operand(start, "run"))
    return Kernel("leaky", ("N",), operands, (), (Carry(h, start, new),), tuple(b.step), (new,))  # type: ignore[arg-type]


def spread(shape: tuple[int, ...], strides: tuple[int, ...]) -> torch.Tensor:
    """float32 memory with these strides; what is never touched takes no room."""
    size = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    try:
        memory = mmap.mmap(-1, 4 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    except OSError:
        pytest.skip("no room for so many addresses")
    return torch.frombuffer(memory, dtype=torch.float32).as_strided(shape, strides)


@pytest.mark.parametrize("strides", [(2**31 + 64, 8, 1), (8, 2**31 + 64, 1)], ids=["sequences", "steps"])
def test_strides_beyond_32_bits(strides: tuple[int, ...]) -> None:
    kernel = build(leaky(), "wide")
    g = torch.Generator().manual_seed(0)
    x = spread((2, 2, 8), strides)
    x.copy_(torch.randn(2, 2, 8, generator=g))
    a, start = torch.rand(8, generator=g), torch.randn(2, 8, generator=g)
    far = run(kernel, [x, a, start], torch.float32)
    near = run(kernel, [x.contiguous(), a, start], torch.float32)
    for p, q in zip(far, near, strict=True):
        assert torch.equal(p, q)


def test_layouts() -> None:
    """Permuted, expanded and sliced operands, and cotangents that are expanded."""
    kernel = build(leaky(), "layouts")
    g = torch.Generator().manual_seed(0)
    plain = torch.randn(2, 5, 6, generator=g)
    a, start = torch.rand(6, generator=g), torch.randn(2, 6, generator=g)
    want = run(kernel, [plain, a, start], torch.float32)
    ways = [
        plain.transpose(0, 1).contiguous().transpose(0, 1),
        plain.transpose(1, 2).contiguous().transpose(1, 2),
        torch.cat([plain, plain], 2)[..., :6],
        torch.stack([plain, plain], 3)[..., 0],
    ]
    for x in ways:
        for p, q in zip(run(kernel, [x, a, start], torch.float32), want, strict=True):
            assert torch.equal(p, q)
    x = plain.clone().requires_grad_()
    run(kernel, [x, a[:1].expand(6), start[:, :1].expand(2, 6)], torch.float32)[0].sum().backward()
    y = plain.clone().requires_grad_()
    (run(kernel, [y, a[:1].repeat(6), start[:, :1].repeat(1, 6)], torch.float32)[0] * torch.ones(2, 5, 6)).sum().backward()
    assert torch.equal(x.grad, y.grad)


def test_a_step_is_one_step() -> None:
    kernel = build(leaky(), "single")
    g = torch.Generator().manual_seed(0)
    x, a, start = torch.randn(3, 1, 6, generator=g), torch.rand(6, generator=g), torch.randn(3, 6, generator=g)
    row, last = run(kernel, [x, a, start], torch.float32)
    one, after = run_step(kernel, [x[:, 0], a, start], torch.float32)
    assert torch.equal(row[:, 0], one) and torch.equal(last, after)


def test_nothing_to_do() -> None:
    """No sequences, no steps, an axis of size 0: shapes are right, sums are 0."""
    kernel = build(leaky(), "empty")
    for batch, length, n in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        x = torch.zeros(batch, length, n, requires_grad=True)
        a, start = torch.ones(n, requires_grad=True), torch.ones(batch, n, requires_grad=True)
        row, last = run(kernel, [x, a, start], torch.float32)
        assert row.shape == (batch, length, n) and last.shape == (batch, n)
        (row.sum() + last.sum()).backward()
        assert a.grad is not None and float(a.grad.abs().sum()) == 0.0
        if length == 0:
            assert torch.equal(start.grad, torch.ones(batch, n))


def test_gradcheck() -> None:
    """The registered derivative against differences, by torch's own check."""
    kernel = build(random_kernel(4, "check"), "check")
    operands = draw(random_kernel(4, "check"), {"A": 2, "N": 2, "V": 2}, 1, 2, 4, torch.float64)
    leaves = [x.requires_grad_() for x in operands if isinstance(x, torch.Tensor)]

    def value(*given: torch.Tensor) -> Any:
        it = iter(given)
        return run(kernel, [next(it) if isinstance(x, torch.Tensor) else x for x in operands], torch.float64)

    assert torch.autograd.gradcheck(value, leaves, fast_mode=True)

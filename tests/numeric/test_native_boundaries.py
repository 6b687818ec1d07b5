"""Kernels at the borders: sizes, memory that is not theirs, values at the ends of the number range, repeated runs.

Five cells stand for the ways a kernel can be built: gates from raw values, a matrix contracted in its out (replayed from checkpoints),
a nonlinear one with a running maximum, lags with a parameter, and a complex state. The float64 reference is the measure.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import seqc
from numeric.native_compare import Outcome, differences, run, tensors, twin
from numeric.native_units import compiler, share
from seqc.runtime.native import kernel as kernel_module
from seqc.runtime.native.calls import kernels_of

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

SPEC = """seq 1
cell Gated over t:
    dim N
    in z : [N]
    in g : [N]
    param w : [N] init uniform(-1, 1)
    state h : [N] init 0
    f : [N] = sigmoid(z + w)
    h = f * h[t-1] + (1 - f) * g
    out h

cell Memory over t:
    dim N, K = 3
    in k : [K]
    in v : [N]
    in a : []
    state S : [K, N] init 0
    S = sigmoid(a) * S[t-1] + outer(k, v)
    out y : [N] = dot(tanh(k), S, over = K)

cell Running over t:
    dim N
    in s : [N]
    in v : [N]
    state m : [N] init -inf
    state u : [N] init 0
    state w : [N] init 0
    m = max(m[t-1], s)
    u = u[t-1] * expdiff(m[t-1], m) + expdiff(s, m)
    w = w[t-1] * expdiff(m[t-1], m) + expdiff(s, m) * tanh(v + w[t-1])
    out y : [N] = w / u

cell Lagged over t:
    dim N
    in z : [N]
    param w : [N] init normal(0, 1)
    state h : [N] init 0.5
    h = tanh(w * h[t-1] - 0.3 * h[t-3] + z)
    out h

cell Turning over t:
    dim N
    in z : [N]
    param w : [N] init normal(0, 1)
    state c : [N] of complex init 0
    c = 0.9 * cis(w) * c[t-1] + complex(z, 1)
    out y : [N] = re(c) * abs(c)
"""
CELLS = ("Gated", "Memory", "Running", "Lagged", "Turning")
CHUNK = 128
"""The longest distance between checkpoints (`Pass.interval`)."""


@functools.cache
def module() -> Any:
    made = seqc.load(SPEC)
    found = []
    for name in CELLS:
        constant = getattr(made, name).KERNELS
        for kernel, (text, _, adjoint_text, _) in list(zip(kernels_of(constant), constant, strict=True))[::2]:
            found.append((kernel, text, adjoint_text))
    share(found, at_once=len(found))
    return made


@functools.cache
def layers(name: str, n: int) -> tuple[Any, Any]:
    """A cell on the reference and in C."""
    torch.manual_seed(0)
    reference = getattr(module(), name)(N=n, dtype=torch.float64, backend="reference")
    return reference, twin(reference)


def inputs(name: str, batch: int, steps: int, n: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(batch + steps + n)
    shapes = {"Memory": {"k": [3], "v": [n], "a": []}, "Running": {"s": [n], "v": [n]}, "Gated": {"z": [n], "g": [n]}}
    return {k: torch.randn(batch, steps, *s, generator=g, dtype=torch.float64) for k, s in shapes.get(name, {"z": [n]}).items()}


def check(name: str, batch: int, steps: int, n: int, limit: float = 1e-11) -> None:
    reference, native = layers(name, n)
    values = inputs(name, batch, steps, n)
    found = differences(run(reference, values, ()), run(native, values, ()))
    assert all(v <= limit for v in found.values()), found


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("n", [1, 3, 8, 17, 65])
def test_short_sequences_of_every_width(name: str, n: int) -> None:
    for steps in (0, 1, 2, 3):
        for batch in (0, 1, 3):
            check(name, batch, steps, n)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("steps", [CHUNK - 1, CHUNK, CHUNK + 1, 1000])
def test_borders_of_chunks(name: str, steps: int) -> None:
    check(name, 2, steps, 3)


@pytest.mark.parametrize("name", ["Gated", "Memory"])
def test_many_sequences(name: str) -> None:
    check(name, 65_537, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_hundred_thousand_steps(name: str) -> None:
    check(name, 1, 100_000, 3, 1e-9)


def test_the_distance_between_checkpoints_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replayed states are the states that were: the same bits from every eight steps as from every 128."""
    _, native = layers("Memory", 17)
    values = inputs("Memory", 2, 300, 17)
    kernel = kernels_of(module().Memory.KERNELS)[0]
    found = []
    for room in (1, 1 << 16, 1 << 24):
        monkeypatch.setattr(kernel_module, "REPLAY_BYTES", room)
        kernel._plans.clear()
        found.append(run(native, values, ()))
    kernel._plans.clear()
    for other in found[1:]:
        same(found[0], other)


# ---- memory -----------------------------------------------------------------------------------------------------------


def fenced(x: Tensor) -> Tensor:
    """The same numbers in the middle of a field of NaN."""
    field = torch.full([s + 6 for s in x.shape], torch.nan, dtype=x.dtype)
    inner = field[tuple(slice(3, 3 + s) for s in x.shape)]
    inner.copy_(x)
    return inner


def same(a: Outcome, b: Outcome) -> None:
    """The same bits."""
    assert all(torch.equal(x, y) for x, y in zip(a.values, b.values, strict=True))
    assert all(torch.equal(v, b.gradients[k]) for k, v in a.gradients.items() if v is not None)  # type: ignore[arg-type]


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Tensor, int]]]:
    """Results lie between guards and begin as NaN; afterwards the guards are what they were."""
    made: list[tuple[Tensor, int]] = []

    def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        count = 1
        for s in shape:
            count *= s
        field = torch.full((count + 128,), torch.nan, dtype=dtype)
        field[:64], field[64 + count :] = 3.0, 5.0
        made.append((field, count))
        return field[64 : 64 + count].view(shape)

    monkeypatch.setattr(kernel_module, "empty", empty)
    yield made
    assert made
    for field, count in made:
        assert (field[:64] == 3.0).all() and (field[64 + count :] == 5.0).all(), "written outside of a result"
        assert not torch.isnan(field).any(), "a result was not written"


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("n", [1, 3, 16, 19])
def test_nothing_else_is_read_or_written(name: str, n: int, guarded: list[tuple[Tensor, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    _, native = layers(name, n)
    values = inputs(name, 2, 9, n)
    clean = run(native, values, ())
    for part in native.parameters():
        part.data = fenced(part.data)
    again = run(native, {k: fenced(v) for k, v in values.items()}, ())
    layers.cache_clear()
    # sums over a batch are sums over what lies there, in whatever layout
    assert max(differences(clean, again).values()) <= 1e-14


def test_the_number_of_threads_is_that_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of the first call: a worker that was forked may have fewer than its parent."""
    monkeypatch.setattr(kernel_module, "SMALL_WORK", 0)
    _, native = layers("Gated", 33)
    values = inputs("Gated", 2, 5, 33)
    kernel = kernels_of(module().Gated.KERNELS)[0]
    kernel._plans.clear()
    before = torch.get_num_threads()
    seen: list[int] = []
    try:
        for threads in (2, 1):
            torch.set_num_threads(threads)
            with torch.no_grad():
                native(**values)
            (plan,) = kernel._plans.values()
            plan.function, call = (lambda *given: seen.append(given[-1]) or 0), plan.function  # type: ignore[func-returns-value]
            with torch.no_grad():
                native(**values)
            plan.function = call
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 1]


@pytest.mark.parametrize("name", CELLS)
def test_the_same_bits_in_every_run_and_for_every_number_of_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_module, "SMALL_WORK", 0)
    _, native = layers(name, 65)
    values = inputs(name, 5, 37, 65)  # a layout that no other test has: its plan is made here
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 1, 2):
            torch.set_num_threads(threads)
            found.append(run(native, values, ()))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        same(found[0], other)


# ---- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_saturated(name: str, size: float) -> None:
    """Gates at their ends: gradients are finite where the reference's are, and the same."""
    reference, native = layers(name, 8)
    values = {k: torch.where(v > 0, size, -size) if k in ("z", "a", "s") else v for k, v in inputs(name, 2, 20, 8).items()}
    want, found = run(reference, values, ()), run(native, values, ())
    assert all(torch.isfinite(g).all() for g in found.gradients.values() if g is not None)
    assert max(differences(want, found).values()) <= 1e-11


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_reaches_what_the_reference_says(name: str, bad: float) -> None:
    reference, native = layers(name, 19)
    for k in inputs(name, 2, 6, 19):
        values = inputs(name, 2, 6, 19)
        values[k][(1, 3, *([1] if values[k].dim() > 2 else []))] = bad
        for x, y in zip(run(reference, values, (), backward=False).values, run(native, values, (), backward=False).values, strict=True):
            x, y = (torch.view_as_real(v) if v.is_complex() else v for v in (x, y))
            assert torch.equal(torch.isfinite(x), torch.isfinite(y)), k
            if name != "Turning":  # a product of complex infinities is infinite or NaN as its parts were added
                assert torch.equal(torch.isnan(x), torch.isnan(y)), k
                assert torch.equal(x[torch.isinf(x)], y[torch.isinf(y)]), k
            assert not torch.isnan(y[:1]).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_denormals_are_numbers(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    layer = twin(layers("Gated", 17)[0]).to(dtype)
    values = {"z": torch.full((1, 4, 17), 100.0, dtype=dtype), "g": torch.zeros(1, 4, 17, dtype=dtype)}
    state = layer.init_state(1)
    state = type(state)(h=torch.full_like(state.h, tiny / 64))
    with torch.no_grad():
        y, _ = layer(**values, state=state)
    assert (y == tiny / 64).all()


LIMITS = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize("name", [c for c in CELLS if c != "Turning"])
def test_narrower_types(name: str, dtype: torch.dtype) -> None:
    """16 bits are storage: no more is lost than rounding what goes in and comes out loses."""
    reference, native = layers(name, 19)
    values = {k: v.to(dtype).double() for k, v in inputs(name, 2, 20, 19).items()}
    rounded = twin(reference, "reference")
    with torch.no_grad():
        for p in rounded.parameters():
            p.copy_(p.to(dtype))
    low = twin(rounded).to(dtype)
    want = [v.detach() for v in tensors(rounded(**values))]
    found = [v.detach() for v in tensors(low(**{k: v.to(dtype) for k, v in values.items()}))]
    assert any(v.dtype == dtype for v in found)
    for x, y in zip(want, found, strict=True):
        if torch.isfinite(x).all():
            assert float((x - y.double()).norm()) <= LIMITS[dtype] * max(1.0, float(x.norm()))

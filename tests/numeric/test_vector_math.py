"""vecmath.h: every function against correctly rounded values, bit for bit the same in every form, special values, memory, threads.

Errors are measured in C (vector_check.c) against the C library in double for fp32 and in long double for fp64, and for fp64 against
mpmath too. The numbers to keep are those that vecmath.h states; without a fused multiply-add, those of `WITHOUT_FMA`.
"""

from __future__ import annotations

import ctypes
import math
import platform
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from seqc.runtime.native import Library, NoCompiler, Toolchain, find_toolchain, headers, load

CODE = (Path(__file__).parent / "vector_check.c").read_text(encoding="utf-8")
STATED = {
    name: (float(single), float(double))
    for name, single, double in re.findall(r"^ \*     (\w+)\(.*?\)\s+(\d\.\d\d)\s+(\d\.\d\d)", headers()["vecmath.h"], re.MULTILINE)
}
"""Largest errors by name, as (fp32, fp64), from the head of vecmath.h."""
UNARY = "exp expm1 log log1p tanh sigmoid silu softplus logsigmoid sin cos atan erf sqrt rsqrt".split()
EXACT = "abs sign relu floor ceil trunc round".split()
WITHOUT_FMA = (3.5, 3.0)
X86 = platform.machine().lower() in {"x86_64", "amd64"}
VARIANTS = ["native", "generic"] + (["x86-64-v3", "x86-64"] if X86 else [])

try:
    NATIVE: Toolchain | None = find_toolchain()
except NoCompiler:
    NATIVE = None
pytestmark = pytest.mark.skipif(NATIVE is None, reason="there is no C compiler here")


@cache
def unit(variant: str = "native") -> Library:
    """vector_check.c, compiled for this machine, for its 16-byte form, or for an architecture by name."""
    if variant == "x86-64-v3" and NATIVE is not None and not {"AVX2", "FMA"} <= set(NATIVE.features):
        pytest.skip("this machine has no AVX2 and FMA")
    define = "#define SQ_GENERIC 1\n" if variant == "generic" else ""
    arch = "native" if variant == "generic" else variant
    try:
        tools = find_toolchain(arch)
    except NoCompiler as error:
        pytest.skip(error.what)
    return load(define + CODE, label=f"vector_check {variant}", toolchain=tools)


def has_fma(variant: str) -> bool:
    return variant != "x86-64" and (not X86 or NATIVE is not None and "FMA" in NATIVE.features)


def call(variant: str, name: str, *arrays: np.ndarray, like: np.dtype | None = None) -> np.ndarray:
    """y = name(arrays…), all of one length."""
    arrays = tuple(np.ascontiguousarray(a) for a in arrays)
    y = np.empty(arrays[0].shape, like or arrays[0].dtype)
    function = unit(variant).function(name, [ctypes.c_void_p] * (len(arrays) + 1) + [ctypes.c_int64])
    function(*(a.ctypes.data for a in arrays), y.ctypes.data, y.size)
    return y


def measure(variant: str, name: str, *arrays: np.ndarray) -> np.ndarray:
    """What CHECK of vector_check.c finds: largest error, where, wrong specials, one, other bits, one."""
    out = np.zeros(6)
    function = unit(variant).function(f"check_{name}", [ctypes.c_void_p] * len(arrays) + [ctypes.c_int64, ctypes.c_void_p])
    function(*(a.ctypes.data for a in arrays), arrays[0].size, out.ctypes.data)
    return out


def approve(name: str, variant: str, out: np.ndarray, column: int) -> None:
    limit = STATED[name][column] if has_fma(variant) else WITHOUT_FMA[column]
    assert out[2] == 0, f"{name}: {out[2]:.0f} wrong NaN or signs of zero, one at {out[3]!r}"
    assert out[4] == 0, f"{name}: {out[4]:.0f} values where scalar and vector differ, one at {out[5]!r}"
    assert out[0] <= limit, f"{name}: {out[0]:.3f} ulp at {out[1]!r}, stated {limit}"


def bits(x: np.ndarray) -> np.ndarray:
    """The bits, with every NaN made the same."""
    return np.where(np.isnan(x), x.dtype.type(np.nan), x).view(f"u{x.dtype.itemsize}")


def near(values: list[float], dtype: type, reach: int = 40) -> np.ndarray:
    """The values and their nearest neighbours, both signs."""
    u = np.uint32 if dtype is np.float32 else np.uint64
    base = np.array(values, dtype=dtype).view(u)
    around = (base[:, None] + np.arange(-reach, reach + 1).astype(u)[None, :]).view(dtype).ravel()
    return np.concatenate([around, -around])


BORDERS = [
    1.0, 2.0, 0.5, 0.25, 0.625, 0.75, 1.5, 0.7071067811865476, 1.4142135623730951, 0.5466, 0.547, 2.414213562373095, 0.41421356,
    3.95, 5.9, 9.02, 17.33, 19.1, 25.0, 44.0, 50.0, 80.0, 86.6, 87.33654, 88.02969, 88.72284, 89.0, 100.0, 103.2789, 103.97208,
    104.0, 105.0, 110.0, 700.0, 708.3964185, 709.782712893384, 710.0, 744.4400719, 745.1332191, 746.0, 750.0, 760.0, 0.785398163,
    1.570796326794, 3.14159265358979, 4.71238898038469, 6.28318530717959, 8192.0, 98304.0, 1048576.0, 1e5, 1e9, 1e22, 1e30,
    0.3466, 0.34657359, 1.0397, 0.01, 1e-3, 1e-8, 1e-12, 1e-16, 1e-20, 1e-30, 1e-37,
]  # fmt: skip


def borders(dtype: type) -> np.ndarray:
    info = np.finfo(dtype)
    wide = [1e300, 1e200, 1e-300] if dtype is np.float64 else []
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, info.max, -info.max, info.tiny, -info.tiny], dtype=dtype)
    u = np.uint32 if dtype is np.float32 else np.uint64
    small = np.arange(1, 600).astype(u).view(dtype)
    exponents = (np.arange(2 ** (8 if dtype is np.float32 else 11)).astype(u) << u(info.nmant)).view(dtype)
    with np.errstate(invalid="ignore"):
        payload = np.array([0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00123], np.uint32).view(np.float32).astype(dtype)
        return np.concatenate([special, payload, small, -small, exponents, -exponents, near([*BORDERS, *wide], dtype)])


def padded(x: np.ndarray) -> np.ndarray:
    """Repeats the last entry up to a multiple of 64."""
    return np.concatenate([x, np.full(-x.size % 64, x[-1])])


def floats(start: int, stop: int, step: int) -> np.ndarray:
    return padded(np.arange(start, stop, step, dtype=np.uint64).astype(np.uint32).view(np.float32))


def doubles(count: int, seed: int = 0) -> np.ndarray:
    """Random bit patterns, and denser where functions live."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    spread = rng.standard_normal(count) * 10.0 ** rng.uniform(-18, 6, count)
    unit_ = 1 + rng.standard_normal(count) * 10.0 ** rng.uniform(-16, 0, count)
    with np.errstate(invalid="ignore"):
        parts = [raw, spread, unit_, -unit_, rng.uniform(-10, 10, count), rng.uniform(-760, 720, count), borders(np.float64)]
    return padded(np.concatenate(parts))


# ---- errors -----------------------------------------------------------------------------------------------------------


def test_bounds_are_stated_and_within_what_was_promised() -> None:
    assert set(STATED) == {*UNARY, "pow"}
    for name, (single, double) in STATED.items():
        assert single <= (1.5 if name in {"exp", "tanh", "sigmoid"} else 2.5) and double <= 2.0, name


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", UNARY)
def test_fp32(name: str, variant: str) -> None:
    """Every 2,053th float, all borders."""
    x = np.concatenate([floats(17, 2**32, 2053), padded(borders(np.float32))])
    approve(name, variant, measure(variant, f"{name}_v32", x), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNARY)
def test_fp32_all(name: str) -> None:
    """Every float there is."""
    worst = np.zeros(6)
    for start in range(0, 2**32, 2**22):
        out = measure("native", f"{name}_v32", floats(start, start + 2**22, 1))
        if out[0] > worst[0]:
            worst[:2] = out[:2]
        worst[2] += out[2]
        worst[4] += out[4]
        worst[3], worst[5] = worst[3] or out[3], worst[5] or out[5]
    approve(name, "native", worst, 0)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", UNARY)
def test_fp64(name: str, variant: str) -> None:
    if unit(variant).function("wide_digits", [], ctypes.c_int)() < 64:
        pytest.skip("long double is no longer than double here")
    approve(name, variant, measure(variant, f"{name}_v64", doubles(20_000)), 1)


def exact(name: str) -> Callable[[object], object]:
    import mpmath

    def sigmoid(x: object) -> object:
        return 1 / (1 + mpmath.exp(-x)) if x > 0 else mpmath.exp(x) / (1 + mpmath.exp(x))  # type: ignore[operator]

    def softplus(x: object) -> object:
        return (x if x > 0 else 0) + mpmath.log1p(mpmath.exp(-abs(x)))  # type: ignore[operator, arg-type]

    own: dict[str, Callable[[object], object]] = {
        "sigmoid": sigmoid,
        "silu": lambda x: x * sigmoid(x),  # type: ignore[operator]
        "softplus": softplus,
        "logsigmoid": lambda x: -softplus(-x),  # type: ignore[operator]
        "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    }
    return own.get(name) or getattr(mpmath, name)


@pytest.mark.parametrize("name", UNARY)
def test_fp64_by_other_means(name: str) -> None:
    """mpmath has no part in how the long double references come about."""
    import mpmath

    rng = np.random.default_rng(3)
    x = np.concatenate(
        [
            rng.uniform(-12, 12, 300),
            rng.standard_normal(300) * 10.0 ** rng.uniform(-15, 5, 300),
            near(BORDERS[:40], np.float64, 2),
        ]
    )
    if name in {"log", "sqrt", "rsqrt"}:
        x = np.abs(x)
    elif name == "log1p":
        x = x[x > -1]
    x = x[np.abs(x) < 700]
    y = call("native", f"{name}_v64", x)
    with mpmath.workprec(200):
        for a, b in zip(x.tolist(), y.tolist(), strict=True):
            r = exact(name)(mpmath.mpf(a))
            error = abs(mpmath.mpf(b) - r) / math.ulp(float(r))  # type: ignore[operator]
            assert error <= STATED[name][1] + 1e-6, f"{name}({a!r}) = {b!r}: {float(error):.3f} ulp"


def test_fp64_large_arguments_of_sin_and_cos() -> None:
    """The hardest argument reductions: near multiples of pi / 2 at every size."""
    import mpmath

    with mpmath.workprec(1400):
        x = []
        for e in range(-1, 1023, 7):
            k = int(mpmath.floor(mpmath.mpf(2) ** e * 2 / mpmath.pi)) | 1
            x += [float(k * mpmath.pi / 2), float((k + 1) * mpmath.pi / 2), float((k + 0.5) * mpmath.pi / 2)]
        x = [v for v in [*x, 6381956970095103 * 2.0**797, 1.7976931348623157e308] if 0 < v < math.inf]
        for name in ("sin", "cos", "sincos_sin", "sincos_cos"):
            got = call("native", f"{name}_v64", np.array(x))
            for a, b in zip(x, got.tolist(), strict=True):
                r = getattr(mpmath, name[-3:])(mpmath.mpf(a))
                assert abs(mpmath.mpf(b) - r) / math.ulp(float(r)) <= STATED[name[-3:]][1], f"{name}({a!r})"


def pairs(dtype: type, count: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Bases and exponents: random, with results in range, near 1 with huge exponents, and special with special."""
    rng = np.random.default_rng(5)
    info, wide = np.finfo(dtype), dtype is np.float64
    u = rng.integers(0, 2 ** (64 if wide else 32), (2, count), dtype=np.uint64).astype(np.uint64 if wide else np.uint32).view(dtype)
    top = 708.0 if wide else 88.0
    base = 10.0 ** rng.uniform(*((-300, 300) if wide else (-37, 37)), count)
    base2 = 1 + rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-15 if wide else -7, -0.01, count)
    rows = [u, np.stack([base, rng.uniform(-1.05, 1.05, count) * top / np.log(base)])]
    rows.append(
        np.stack(
            [
                base2,
                np.clip(
                    rng.uniform(-1.05, 1.05, count) * top / np.where(base2 == 1, 1, np.log(base2)),
                    -float(info.max),
                    float(info.max),
                ),
            ]
        )
    )
    rows.append(np.stack([-base2 * 3, rng.integers(-40, 40, count).astype(float)]))
    special = [
        0,
        -0.0,
        1,
        -1,
        np.inf,
        -np.inf,
        np.nan,
        0.5,
        -0.5,
        2,
        -2,
        3,
        -3,
        2.5,
        1e-40,
        -1e-40,
        info.max,
        -info.max,
        info.tiny,
    ]
    special += [
        2**23 + 1,
        -(2**23) - 1,
        2.0**24,
        2.0**53 - 1,
        2.0**53,
        2.0**62,
        1 + info.eps,
        1 - info.epsneg,
        float(info.smallest_subnormal),
    ]
    rows.append(np.array([(a, b) for a in special for b in special], dtype=dtype).T)
    with np.errstate(over="ignore", invalid="ignore"):
        both = np.concatenate([r.astype(dtype) for r in rows], axis=1)
    return padded(np.ascontiguousarray(both[0])), padded(np.ascontiguousarray(both[1]))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("column", [0, 1], ids=["fp32", "fp64"])
def test_pow(column: int, variant: str) -> None:
    if column and unit(variant).function("wide_digits", [], ctypes.c_int)() < 64:
        pytest.skip("long double is no longer than double here")
    x, y = pairs((np.float32, np.float64)[column])
    approve("pow", variant, measure(variant, f"pow_v{32 << column}", x, y), column)


@pytest.mark.parametrize("form", ["v32", "v64"])
def test_gelu_logaddexp_expdiff(form: str) -> None:
    dtype = np.float32 if form == "v32" else np.float64
    rng = np.random.default_rng(7)
    eps = float(np.finfo(dtype).eps)
    x = np.concatenate([rng.uniform(-12, 12, 20_000), [0.0, -0.0, 1e-30, 300.0, -300.0]]).astype(dtype)
    want = torch.nn.functional.gelu(torch.from_numpy(x).double()).numpy()
    assert np.all(np.abs(call("native", f"gelu_{form}", x) - want) <= 2 * eps * np.maximum(np.abs(x), 1e-30))
    a, b = (rng.uniform(-40, 40, 20_000).astype(dtype) for _ in range(2))
    want = np.logaddexp(a.astype(np.longdouble), b.astype(np.longdouble))
    assert np.all(np.abs(call("native", f"logaddexp_{form}", a, b) - want) <= 3 * eps * np.maximum(np.abs(np.maximum(a, b)), 0.7))
    want = np.exp((a - b).astype(np.longdouble))
    assert np.all(np.abs(call("native", f"expdiff_{form}", a, b) - want) <= 1.5 * eps * want)
    low, big = dtype(-np.inf), dtype(np.inf)
    a = np.array([low, low, low, 1, big, big, big, np.nan, 1, low, 2], dtype)
    b = np.array([low, 1, big, low, big, low, 1, 1, np.nan, np.nan, 2], dtype)
    top = call("native", f"logaddexp_{form}", a, b)
    np.testing.assert_array_equal(np.isnan(top), [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0])
    np.testing.assert_array_equal(top[:7], np.array([low, 1, big, 1, big, big, big], dtype))
    diff = call("native", f"expdiff_{form}", a, b)
    np.testing.assert_array_equal(diff, np.array([0, 0, 0, big, np.nan, big, big, np.nan, np.nan, 0, 1], dtype))


# ---- exact functions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("form", ["v32", "v64", "f32", "f64"])
def test_exact_functions_are_torch_s(form: str, variant: str) -> None:
    dtype = np.float32 if form.endswith("32") else np.float64
    x = np.concatenate([borders(dtype), near([1.5, 2.5, 3.0, 2.0**23, 2.0**52, 4.5], dtype, 3)])
    t = torch.from_numpy(x)
    wanted = {
        "abs": t.abs(),
        "sign": t.sign(),
        "relu": t.relu(),
        "floor": t.floor(),
        "ceil": t.ceil(),
        "trunc": t.trunc(),
        "round": t.round(),
    }
    for name in EXACT:
        got, want = call(variant, f"{name}_{form}", x), wanted[name].numpy()
        np.testing.assert_array_equal(got, want, err_msg=name)
        if name in {"abs", "floor", "ceil", "trunc", "round"}:
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want) & ~np.isnan(x) | np.signbit(got) & np.isnan(x), err_msg=name)
    a, b = pairs(dtype, 2000)
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    np.testing.assert_array_equal(call(variant, f"min_{form}", a, b), torch.minimum(ta, tb).numpy())
    np.testing.assert_array_equal(call(variant, f"max_{form}", a, b), torch.maximum(ta, tb).numpy())
    np.testing.assert_array_equal(bits(call(variant, f"copysign_{form}", a, np.abs(b))), bits(np.abs(a)))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("form", ["v32", "v64", "f32", "f64"])
def test_mod(form: str, variant: str) -> None:
    """The exact remainder, then the sign of the divisor, as torch.remainder defines it (and misses for huge quotients)."""
    dtype = np.float32 if form.endswith("32") else np.float64
    a, b = pairs(dtype, 3000)
    rng = np.random.default_rng(2)
    a = np.concatenate([a, (rng.integers(-900, 900, 4000) * 0.125).astype(dtype)])
    b = np.concatenate([b, (rng.integers(1, 60, 4000) * rng.choice([-0.125, 0.125], 4000)).astype(dtype)])
    want = np.empty_like(a)
    for i, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        r = math.fmod(p, q) if math.isfinite(p) and q != 0 and q == q else math.nan
        turn = r != 0 and (r < 0) != (q < 0)
        want[i] = dtype(r) + dtype(q) if turn else r
    np.testing.assert_array_equal(call(variant, f"mod_{form}", a, b), want)


# ---- the same bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["v32", "v64"])
@pytest.mark.parametrize("name", [*UNARY, "gelu", "sincos_sin", "sincos_cos", *EXACT])
def test_place_and_length_change_nothing(name: str, form: str) -> None:
    """Each length from 0 to a few vectors, at shifted places: the bits of f(x) alone, and nothing written outside."""
    dtype = np.float32 if form == "v32" else np.float64
    rng = np.random.default_rng(11)
    values = np.concatenate([rng.standard_normal(24) * 3, [np.nan, np.inf, -np.inf, -0.0, 1e30, 2e5, 1e-40, -1e-40, 88.9, -104.5]]).astype(
        dtype
    )
    alone = np.array([call("native", f"{name}_{form.replace('v', 'f')}", values[i : i + 1])[0] for i in range(values.size)])
    function = unit("native").function(f"{name}_{form}", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64])
    for n in range(values.size + 1):
        shift = (7 * n) % (values.size - n + 1)
        guarded_in = np.full(n + 32, np.nan, dtype)
        guarded_in[16 : 16 + n] = values[shift : shift + n]
        guarded_out = np.full(n + 32, 12345.0, dtype)
        function(guarded_in[16:].ctypes.data, guarded_out[16:].ctypes.data, n)
        assert np.array_equal(bits(guarded_out[16 : 16 + n]), bits(alone[shift : shift + n])), n
        assert np.all(guarded_out[:16] == 12345.0) and np.all(guarded_out[16 + n :] == 12345.0), n


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in {"native", "x86-64"}])
def test_vector_width_changes_nothing(variant: str) -> None:
    if not has_fma("native"):
        pytest.skip("no fused multiply-add here")
    for form, x, two in (
        ("v32", np.concatenate([floats(5, 2**32, 40_009), borders(np.float32)]), pairs(np.float32, 4000)),
        ("v64", doubles(3000, 1), pairs(np.float64, 4000)),
    ):
        for name in [*UNARY, "gelu", "sincos_sin", "sincos_cos", *EXACT]:
            assert np.array_equal(bits(call("native", f"{name}_{form}", x)), bits(call(variant, f"{name}_{form}", x))), name
        for name in ("pow", "mod", "logaddexp", "expdiff"):
            assert np.array_equal(bits(call("native", f"{name}_{form}", *two)), bits(call(variant, f"{name}_{form}", *two))), name


# ---- 16-bit storage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind,dtype", [("bf16", torch.bfloat16), ("f16", torch.float16)])
def test_half(kind: str, dtype: torch.dtype, variant: str) -> None:
    every = np.arange(2**16, dtype=np.uint16)
    want = torch.from_numpy(every.view(np.int16)).view(dtype).float().numpy()
    for name in (f"from_{kind}", f"from_{kind}_one"):
        got = call(variant, name, every, like=np.dtype(np.float32))
        assert np.array_equal(bits(got), bits(want)), name
        assert np.array_equal(np.signbit(got), np.signbit(want)), name
    ties = (
        want.view(np.uint32)[:, None] + np.array([0, 0x7FFF, 0x8000, 0x8001, 0xFFF, 0x1000, 0x1001, -1], np.int64).astype(np.uint32)
    ).ravel()
    x = np.concatenate([floats(3, 2**32, 3001), ties.view(np.float32), borders(np.float32)])
    target = torch.from_numpy(x).to(dtype)
    for name in (f"to_{kind}", f"to_{kind}_one"):
        got = call(variant, name, x, like=np.dtype(np.uint16))
        back = torch.from_numpy(got.view(np.int16)).view(dtype)
        assert torch.equal(back.isnan(), target.isnan()), name
        same = (torch.from_numpy(got.view(np.int16)) == target.view(torch.int16)) | back.isnan()
        assert bool(same.all()), f"{name}: {x[~same.numpy()][:4]}"
        assert np.array_equal(np.signbit(back.float().numpy()), np.signbit(x)), name


@pytest.mark.parametrize("kind", ["bf16", "f16"])
def test_half_parts_stay_inside(kind: str) -> None:
    x = np.linspace(-3, 3, 80, dtype=np.float32)
    whole = call("native", f"to_{kind}_one", x, like=np.dtype(np.uint16))
    to = unit().function(f"to_{kind}", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64])
    for n in range(70):
        y = np.full(n + 64, 0xABCD, np.uint16)
        to(x.ctypes.data, y[32:].ctypes.data, n)
        assert np.array_equal(y[32 : 32 + n], whole[:n]) and np.all(y[:32] == 0xABCD) and np.all(y[32 + n :] == 0xABCD), n


# ---- lanes, memory, threads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_lanes(variant: str) -> None:
    library = unit(variant)
    n = library.function("lanes", [], ctypes.c_int)()
    rng = np.random.default_rng(0)
    for dtype, name, count in ((np.float32, "lanes_f32", n), (np.float64, "lanes_f64", n // 2)):
        x = rng.standard_normal(count).astype(dtype)
        tree = x.copy()
        while tree.size > 1:
            tree = tree[: tree.size // 2] + tree[tree.size // 2 :]
        y = np.empty(4, dtype)
        function = library.function(name, [ctypes.c_void_p, ctypes.c_void_p])
        function(x.ctypes.data, y.ctypes.data)
        assert y.tolist() == [tree[0], x.max(), x.min(), x[-1]]
        for at in range(count):
            with_nan = x.copy()
            with_nan[at] = np.nan
            function(with_nan.ctypes.data, y.ctypes.data)
            assert np.isnan(y[:3]).all()
    a = np.array([1, 2, np.nan, 3, -0.0, np.inf, 1, 1] * 2, np.float32)[:n]
    b = np.array([2, 1, 1, np.nan, 0.0, np.inf, 1, -1] * 2, np.float32)[:n]
    y = np.empty(5 * n + 1, np.float32)
    library.function("masks_f32", [ctypes.c_void_p] * 3)(a.ctypes.data, b.ctypes.data, y.ctypes.data)
    with np.errstate(invalid="ignore"):
        rows = [a < b, a == b, a <= b, ~(np.isnan(a) | np.isnan(b)), a < b]
    np.testing.assert_array_equal(y[:-1].reshape(5, n), np.array(rows, np.float32))
    assert y[-1] == 1.0


@pytest.mark.parametrize("variant", VARIANTS)
def test_strided(variant: str) -> None:
    library = unit(variant)
    n = library.function("lanes", [], ctypes.c_int)()
    move = library.function("strided_f32", [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int])
    x = np.arange(200, dtype=np.float32)
    for count in range(n + 1):
        y = np.full(400, -1.0, np.float32)
        move(x.ctypes.data, 3, y[100:].ctypes.data, 5, count)
        want = np.full(400, -1.0, np.float32)
        want[100 : 100 + 5 * count : 5] = x[: 3 * count : 3]
        np.testing.assert_array_equal(y, want)
    move(x[7:].ctypes.data, 0, y.ctypes.data, 1, n)
    assert np.all(y[:n] == 7)


def test_blocks_cover_everything_once() -> None:
    blocks_of = unit().function("blocks_of", [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p])
    for n, blocks in ((0, 1), (1, 1), (10, 3), (7, 7), (5, 8), (10**12 + 7, 64), (2**61, 1000)):
        start = np.empty(blocks + 1, np.int64)
        blocks_of(n, blocks, start.ctypes.data)
        sizes = np.diff(start)
        assert start[0] == 0 and start[-1] == n and sizes.min() >= 0 and sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("rows,width", [(1, 5), (2, 1), (7, 3), (64, 2000), (33, 5000)])
def test_sums_of_rows_do_not_know_the_threads(rows: int, width: int) -> None:
    rng = np.random.default_rng(rows)
    for dtype, name in ((np.float32, "sum_rows_f32"), (np.float64, "sum_rows_f64")):
        x = (rng.standard_normal((rows, width)) * 10.0 ** rng.uniform(-4, 4, (rows, width))).astype(dtype)
        add = unit().function(name, [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int])
        sums = []
        for threads in (1, 2, 3, 8):
            p = x.copy()
            add(p.ctypes.data, rows, width, threads)
            sums.append(p[0])
        assert all(np.array_equal(s, sums[0]) for s in sums)
        scale = np.abs(x).astype(np.longdouble).sum(0)
        assert np.all(np.abs(sums[0] - x.astype(np.longdouble).sum(0)) <= 8 * np.finfo(dtype).eps * scale)


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001, 54_321])
def test_threads_change_nothing(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    run = unit().function("sum_of_exp", [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int])
    found = set()
    for threads in (1, 2, 5, 1, 2):
        rows = np.zeros((max(1, -(-n // 1000)), 16), np.float32)
        run(x.ctypes.data, n, rows.ctypes.data, threads)
        found.add(struct.pack("f", rows.flat[0]))
    assert len(found) == 1
    assert struct.unpack("f", found.pop())[0] == pytest.approx(np.exp(x.astype(np.float64)).sum(), rel=1e-6)


def test_threads_are_used_where_they_work() -> None:
    seen = unit().function("threads_seen", [ctypes.c_int], ctypes.c_int)
    assert seen(1) == 1
    assert NATIVE is not None
    if NATIVE.openmp:
        assert seen(2) == 2

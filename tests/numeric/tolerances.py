"""Every tolerance of the numeric tests, in one place; raising one needs a reason beside it.

The metric is the RMS ratio: the root mean square of the difference, divided by the root mean square of the reference.
One number for a whole tensor, free of its scale, and one wrong entry among a million still stands far above the limits
for float64. NaN and infinities must stand in the same places. There is no mode that only warns.
"""

import math

import torch
from torch import Tensor

# A reference whose RMS is below this counts as zero, and the difference is measured against this instead: a gradient that is zero
# by symmetry (the bias of keys under a softmax) is a sum of terms of size 1 that cancel, and what rounding leaves of it is 1e-15.
FLOOR = 1e-4

LIMITS: dict[str, float] = {
    "exact": 0.0,  # the same bits
    "values64": 1e-10,  # float64 against another implementation in float64
    "gradients64": 1e-10,  # the same, gradients by autograd on both sides
    "finite": 1e-7,  # gradients against five-point differences of an oracle without autograd, in float64
    "oracle32": 2e-5,  # float64 against an oracle that computes in float32 inside
    "oracle32_gradients": 1e-4,
    "clamped": 1e-5,  # float64 against an oracle that adds an epsilon where the paper has none
}
# Float32 against the float64 reference: the limit grows with the root of the number of steps, up to a cap.
GROWING: dict[str, tuple[float, float]] = {"values32": (1e-6, 2e-5), "gradients32": (1e-5, 1e-4)}
# 16-bit inputs and outputs around a float32 state: this many times the error of rounding the float64 result itself.
ROUNDING: dict[str, tuple[float, float]] = {"values16": (1.5, 1e-6), "gradients16": (3.0, 1e-6)}


def rms(a: Tensor) -> float:
    """The root mean square over all entries; 0.0 for an empty tensor."""
    return math.sqrt(float(a.abs().square().mean())) if a.numel() else 0.0


def ratio(ref: Tensor, got: Tensor) -> float:
    """RMS of the difference over RMS of the reference, finite entries only (the others are compared for place)."""
    wide = torch.complex128 if ref.is_complex() or got.is_complex() else torch.float64
    ref, got = ref.detach().to(wide), got.detach().to(wide)
    keep = torch.isfinite(ref)
    return rms((got - ref)[keep]) / max(rms(ref[keep]), FLOOR)


def limit(kind: str, ref: Tensor, got: Tensor, steps: int | None = None) -> float:
    """The largest ratio allowed for `kind`; `steps` is the number of time steps, needed by the kinds for float32."""
    if kind in LIMITS:
        return LIMITS[kind]
    if kind in GROWING:
        if steps is None:
            raise ValueError(f"{kind} needs steps = the number of time steps")
        rate, cap = GROWING[kind]
        return min(rate * math.sqrt(max(steps, 1)), cap)
    factor, extra = ROUNDING[kind]
    return factor * ratio(ref, ref.to(got.dtype)) + extra


def assert_close(name: str, ref: Tensor, got: Tensor, kind: str, *, steps: int | None = None) -> None:
    """Fails unless `got` equals `ref` (same shape, same NaN and infinities, RMS ratio within the limit of `kind`)."""
    assert got.shape == ref.shape, f"{name}: shape {tuple(got.shape)}, expected {tuple(ref.shape)}"
    if ref.numel() == 0:
        return
    a, b = ref.detach(), got.detach()
    assert torch.equal(torch.isnan(a), torch.isnan(b)), f"{name}: NaN in other places than in the reference"
    infinite = torch.isinf(a)
    assert torch.equal(infinite, torch.isinf(b)), f"{name}: infinities in other places than in the reference"
    assert torch.equal(a[infinite], b[infinite].to(a.dtype)), f"{name}: infinities of the other sign"
    error, allowed = ratio(ref, got), limit(kind, ref, got, steps)
    if error > allowed:
        wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
        worst = (b.to(wide) - a.to(wide)).abs().nan_to_num(0.0)
        place = tuple(int(i) for i in torch.unravel_index(worst.argmax(), worst.shape))
        where = f"{b[place].item()} instead of {a[place].item()} at {place}"
        raise AssertionError(f"{name}: RMS ratio {error:.3g}, allowed {allowed:.3g} ({kind}); worst: {where}")

"""Fits the polynomials of runtime/native/vecmath_f32.h and vecmath_f64.h.

    python tests/bench/fit_polynomials.py [NAME…]

For each polynomial: the coefficients, lowest power first, as they stand in the headers; and the largest error in bits, before and
after rounding them, in the measure that counts for the function at its end (`weight` times the error of the polynomial). Remez'
exchange in 50 digits; then the coefficients are rounded, for fp32 also one after the other with the later ones fitted anew, and
the better set is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp

mp.mp.dps = 50
Real = Any
Function = Callable[[Real], Real]


@dataclass(frozen=True, slots=True)
class Fit:
    """A polynomial of `degree` for `function` on [low, high], for coefficients of `bits` bits.

    `limit` replaces the function where its formula is 0 / 0.
    """

    bits: int
    degree: int
    low: Real
    high: Real
    function: Function
    weight: Function
    limit: Function

    def value(self, x: Real) -> Real:
        if abs(x) < mp.mpf(10) ** -12:
            return self.limit(x)
        with mp.workdps(80):
            return self.function(x)


def root(function: Function) -> Function:
    """In terms of z = x^2."""
    return lambda z: function(mp.sqrt(z))


def exp_fit(bits: int, degree: int, weight: Function) -> Fit:
    edge = mp.log(2) / 2 * mp.mpf("1.003")
    return Fit(bits, degree, -edge, edge, lambda r: (mp.exp(r) - 1 - r) / r**2, weight, lambda r: mp.mpf(1) / 2 + r / 6)


def odd_fit(bits: int, degree: int, high: Real, f: Function, third: Real, fifth: Real) -> Fit:
    """(f(x) / x - 1) / x^2 in x^2: f(x) = x + third x^3 + fifth x^5 + …"""
    function = root(lambda x: (f(x) / x - 1) / x**2)
    return Fit(bits, degree, mp.mpf(0), mp.mpf(high) ** 2, function, lambda z: z, lambda z: third + fifth * z)


def log_ratio(bits: int, degree: int, known: int) -> Fit:
    """atanh(s) / s less its first `known` terms, for log((1 + s) / (1 - s)); times 2 where one term is known."""
    factor = 2 if known == 1 else 1
    terms = [mp.mpf(1) / (2 * k + 1) for k in range(known + 2)]
    function = root(lambda s: factor * (mp.atanh(s) / s - sum(terms[k] * s ** (2 * k) for k in range(known))) / s ** (2 * known))
    high = mp.mpf("0.02944") * mp.mpf("1.003")
    return Fit(bits, degree, mp.mpf(0), high, function, lambda z: z**known, lambda z: factor * (terms[known] + terms[known + 1] * z))


def erf_fit(bits: int, degree: int) -> Fit:
    two = 2 / mp.sqrt(mp.pi)
    return Fit(bits, degree, mp.mpf(0), mp.mpf(1), root(lambda x: mp.erf(x) / x - 1), lambda z: mp.mpf(1), lambda z: two - 1 - two * z / 3)


def erfc_fit(bits: int, degree: int, high: Real) -> Fit:
    """log(1 - erf(2 + u))."""
    f = lambda u: mp.log(mp.erfc(u + 2))  # noqa: E731
    return Fit(bits, degree, mp.mpf(-1), mp.mpf(high) - 2, f, lambda u: mp.erfc(u + 2), f)


def cos_fit(bits: int, degree: int) -> Fit:
    f = root(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4)
    return Fit(bits, degree, mp.mpf(0), mp.mpf("0.80") ** 2, f, lambda z: z * z, lambda z: mp.mpf(1) / 24 - z / 720)


def log_fit() -> Fit:
    f = lambda x: (mp.log1p(x) - x + x * x / 2) / x**3  # noqa: E731
    w = lambda x: x * x * abs(x / mp.log1p(x)) if x else mp.mpf(0)  # noqa: E731
    return Fit(24, 7, mp.mpf("-0.2500001"), mp.mpf("0.5000001"), f, w, lambda x: mp.mpf(1) / 3 - x / 4)


def log1p01_fit() -> Fit:
    f = lambda x: (mp.log1p(x) - x) / x**2  # noqa: E731
    w = lambda x: x * x / mp.log1p(x) if x else mp.mpf(0)  # noqa: E731
    return Fit(24, 9, mp.mpf(0), mp.mpf(1), f, w, lambda x: -mp.mpf(1) / 2 + x / 3)


def exp2_fit() -> Fit:
    edge = mp.mpf("0.501")
    return Fit(53, 6, -edge, edge, lambda r: (mp.mpf(2) ** r - 1) / r, lambda r: abs(r), lambda r: mp.log(2))


THIRD, FIFTH, SIXTH = mp.mpf(1) / 3, mp.mpf(1) / 5, mp.mpf(1) / 6
FITS: dict[str, Fit] = {
    "f32 exp": exp_fit(24, 4, lambda r: r * r / mp.exp(r)),
    "f32 expm1": exp_fit(24, 4, abs),
    "f32 log": log_fit(),
    "f32 log1p01": log1p01_fit(),
    "f32 tanh": odd_fit(24, 4, 0.625, mp.tanh, -THIRD, 2 * THIRD * FIFTH),
    "f32 sin": odd_fit(24, 2, mp.mpf("0.80"), mp.sin, -SIXTH, mp.mpf(1) / 120),
    "f32 cos": cos_fit(24, 2),
    "f32 atan": odd_fit(24, 5, 0.5464, mp.atan, -THIRD, FIFTH),
    "f32 erf": erf_fit(24, 6),
    "f32 erfc": erfc_fit(24, 6, 3.95),
    "f64 exp": exp_fit(53, 9, lambda r: r * r / mp.exp(r)),
    "f64 expm1": exp_fit(53, 10, abs),
    "f64 log": log_ratio(53, 6, 1),
    "f64 tanh": odd_fit(53, 10, 0.625, mp.tanh, -THIRD, 2 * THIRD * FIFTH),
    "f64 sin": odd_fit(53, 5, mp.mpf("0.80"), mp.sin, -SIXTH, mp.mpf(1) / 120),
    "f64 cos": cos_fit(53, 5),
    "f64 atan": odd_fit(53, 13, 0.5464, mp.atan, -THIRD, FIFTH),
    "f64 erf": erf_fit(53, 12),
    "f64 erfc": erfc_fit(53, 20, 6),
    "f64 pow": log_ratio(53, 6, 2),
    "f64 pow_short log": log_ratio(53, 4, 1),
    "f64 pow_short exp2": exp2_fit(),
}


def rounded(x: Real, bits: int) -> Real:
    if x == 0:
        return mp.mpf(0)
    mantissa, exponent = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(mantissa, bits)), exponent - bits)


def remez(fit: Fit, known: Sequence[tuple[int, Real]], powers: Sequence[int], grid: int = 1500) -> tuple[list[Real], Real]:
    """Coefficients of `powers` that make the largest weighted error smallest, those of `known` given; and that error."""
    n, middle, half = len(powers), (fit.low + fit.high) / 2, (fit.high - fit.low) / 2
    top = max(fit.weight(x) for x in (fit.low, middle, fit.high))
    at = lambda i, count: middle - half * mp.cos(mp.pi * i / count)  # noqa: E731
    points = [at(i, n) for i in range(n + 1)]
    xs = [at(i, grid) for i in range(grid + 1)]

    def wanted(x: Real) -> Real:
        return fit.value(x) - sum(c * x**p for p, c in known)

    def weighed(x: Real) -> Real:  # a weight of 0 would take the point out of the exchange
        return max(fit.weight(x), top * mp.mpf(10) ** -7)

    values, weights = [wanted(x) for x in xs], [weighed(x) for x in xs]
    error, found, largest = None, [mp.mpf(0)] * n, mp.inf
    for _ in range(12):  # a few are enough, or it goes round in circles
        matrix, right = mp.matrix(n + 1, n + 1), mp.matrix(n + 1, 1)
        for i, x in enumerate(points):
            for k, p in enumerate(powers):
                matrix[i, k] = x**p
            matrix[i, n] = (-1) ** i / weighed(x)
            right[i] = wanted(x)
        solution = mp.lu_solve(matrix, right)
        found = [solution[k] for k in range(n)]
        errors = [w * (v - sum(c * x**p for c, p in zip(found, powers, strict=True))) for x, v, w in zip(xs, values, weights, strict=True)]
        runs = [[0]]
        for j in range(1, len(errors)):
            if (errors[j] >= 0) == (errors[runs[-1][-1]] >= 0):
                runs[-1].append(j)
            else:
                runs.append([j])
        peaks = [max(run, key=lambda j: abs(errors[j])) for run in runs]
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        largest = max(abs(e) for e in errors)
        if len(peaks) < n + 1 or error is not None and abs(largest - error) < error * mp.mpf(10) ** -4:
            return found, largest
        points, error = [xs[j] for j in peaks], largest
    return found, largest


def solve(fit: Fit) -> tuple[list[Real], Real, Real]:
    """Rounded coefficients, the error before rounding, the error with them."""
    powers = list(range(fit.degree + 1))
    ideal, before = remez(fit, [], powers)
    sets = [[(p, rounded(c, fit.bits)) for p, c in zip(powers, ideal, strict=True)]]
    if fit.bits == 24:
        one_by_one: list[tuple[int, Real]] = []
        while len(one_by_one) < len(powers):
            rest, _ = remez(fit, one_by_one, powers[len(one_by_one) :], grid=600)
            one_by_one.append((powers[len(one_by_one)], rounded(rest[0], fit.bits)))
        sets.append(one_by_one)
    xs = [fit.low + (fit.high - fit.low) * i / 2000 for i in range(2001)]

    def worst(pairs: list[tuple[int, Real]]) -> Real:
        return max(fit.weight(x) * abs(fit.value(x) - sum(c * x**p for p, c in pairs)) for x in xs)

    best = min(sets, key=worst)
    return [c for _, c in best], before, worst(best)


def main(names: list[str]) -> int:
    for name, fit in FITS.items():
        if names and not any(n in name for n in names):
            continue
        coefficients, before, after = solve(fit)
        print(f"{name}: error 2^{float(mp.log(before, 2)):.1f}, with rounded coefficients 2^{float(mp.log(after, 2)):.1f}")
        for c in coefficients:
            print(f"    {float(c).hex()}{'f' if fit.bits == 24 else ''}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

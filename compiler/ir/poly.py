"""Exact polynomials of dims, negative powers included: `4*D^2 + D/H`.

In:  dims, whole numbers, sums, products, quotients by a monomial.   Out: a normal form with exact rational coefficients.
Two sizes are equal for every choice of open dims exactly where their difference is the zero polynomial.

>>> D, H = Poly.of("D"), Poly.of("H")
>>> str(4 * D * D + D / H * 2 - 1)
'4*D^2 + 2*D/H - 1'
>>> (D / H * H - D).constant
Fraction(0, 1)
>>> (D / H).value({"D": 12, "H": 4})
Fraction(3, 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

Monomial = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Poly:
    """A sum of rational multiples of monomials; `terms` is sorted and holds no zero."""

    terms: tuple[tuple[Monomial, Fraction], ...] = ()

    @staticmethod
    def of(what: int | Fraction | str) -> Poly:
        """A number, or the dim of that name."""
        if isinstance(what, str):
            return Poly(((((what, 1),), Fraction(1)),))
        return Poly((((), Fraction(what)),)) if what else Poly()

    @staticmethod
    def _sum(parts: Mapping[Monomial, Fraction]) -> Poly:
        return Poly(tuple(sorted((m, c) for m, c in parts.items() if c)))

    def __add__(self, other: Poly | int) -> Poly:
        other = _poly(other)
        parts = dict(self.terms)
        for m, c in other.terms:
            parts[m] = parts.get(m, Fraction(0)) + c
        return Poly._sum(parts)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Poly | int) -> Poly:
        return self + -_poly(other)

    def __mul__(self, other: Poly | int | Fraction) -> Poly:
        other = _poly(other)
        parts: dict[Monomial, Fraction] = {}
        for m, c in self.terms:
            for n, d in other.terms:
                key = _join(m, n, 1)
                parts[key] = parts.get(key, Fraction(0)) + c * d
        return Poly._sum(parts)

    __rmul__ = __mul__

    def __truediv__(self, other: Poly | int) -> Poly:
        """Exact for a divisor of one term. Raises ZeroDivisionError for 0 and ValueError for other sums."""
        other = _poly(other)
        if not other.terms:
            raise ZeroDivisionError("division of a size by 0")
        if len(other.terms) != 1:
            raise ValueError("division by a sum of dims")
        ((m, c),) = other.terms
        return Poly(tuple(sorted((_join(n, m, -1), d / c) for n, d in self.terms)))

    @property
    def constant(self) -> Fraction | None:
        """The number it is, or None where it has a dim in it."""
        if not self.terms:
            return Fraction(0)
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    @property
    def names(self) -> tuple[str, ...]:
        """The dims in it, sorted."""
        return tuple(sorted({name for m, _ in self.terms for name, _ in m}))

    def value(self, sizes: Mapping[str, int]) -> Fraction | None:
        """Its value, or None where a dim in it has no size (or is 0 under a fraction stroke)."""
        total = Fraction(0)
        for m, c in self.terms:
            for name, power in m:
                if name not in sizes or power < 0 and not sizes[name]:
                    return None
                c = c * Fraction(sizes[name]) ** power
            total += c
        return total

    def substitute(self, sizes: Mapping[str, int]) -> Poly:
        """With the known sizes put in."""
        out = Poly()
        for m, c in self.terms:
            left: list[tuple[str, int]] = []
            for name, power in m:
                if name in sizes and (power > 0 or sizes[name]):
                    c = c * Fraction(sizes[name]) ** power
                else:
                    left.append((name, power))
            out = out + Poly(((tuple(left), c),) if c else ())
        return out

    def compose(self, inner: Mapping[str, Poly]) -> Poly:
        """With polynomials in place of names. Raises ValueError where one with several terms stands under a fraction stroke."""
        out = Poly()
        for m, c in self.terms:
            part = Poly.of(c)
            for name, power in m:
                factor = inner.get(name, Poly.of(name))
                for _ in range(abs(power)):
                    part = part * factor if power > 0 else part / factor
            out = out + part
        return out

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        order = sorted(self.terms, key=lambda t: (-sum(p for _, p in t[0]), not t[0], t[0]))
        text = ""
        for i, (m, c) in enumerate(order):
            sign = "-" if c < 0 else "+"
            body = _show(m, abs(c))
            text += (f"-{body}" if sign == "-" else body) if i == 0 else f" {sign} {body}"
        return text


def _poly(x: Poly | int | Fraction) -> Poly:
    return x if isinstance(x, Poly) else Poly.of(x)


def _join(a: Monomial, b: Monomial, sign: int) -> Monomial:
    powers = dict(a)
    for name, p in b:
        powers[name] = powers.get(name, 0) + sign * p
    return tuple(sorted((n, p) for n, p in powers.items() if p))


def _show(m: Monomial, c: Fraction) -> str:
    up = [n if p == 1 else f"{n}^{p}" for n, p in m if p > 0]
    down = [n if p == -1 else f"{n}^{-p}" for n, p in m if p < 0]
    if c.numerator != 1 or not up:
        up.insert(0, str(c.numerator))
    if c.denominator != 1:
        down.insert(0, str(c.denominator))
    top = "*".join(up)
    return top if not down else f"{top}/{down[0]}" if len(down) == 1 else f"{top}/({'*'.join(down)})"

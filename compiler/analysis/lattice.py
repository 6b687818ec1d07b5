"""The lattice of linear maps: how one value depends on the lagged names of a component.

An `Element` is, per lagged read (`Source`), a set of `Term`s beside a state-free `Rest`. A term says which axes of the state
live on in the value (and under which name), which were summed, and over what the coefficient varies, as a set of *factors*:
the coefficient of `outer(b * k, dot(k, S))` is a product of a factor over the value's K and one over the summed K, and that is
what keeps it of low rank. A matrix `W : [N', N]` is one factor over both: dense.

Everything is finite, so joins and level loops reach a fixed point; past `MOST` terms a source is widened to "dense".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.verdict import Reason

MOST = 24
"""The most terms of one source before they are widened to one dense term."""

Label = str
"""An axis of the value, or `*n`: the summed axis `n` of the state."""

Factors = frozenset[frozenset[Label]]
Block = tuple[Axes, Axes]
"""Axes of the state and the axes of the value that hold the same positions (`N` split into `H, Q`: (("N",), ("H", "Q")))."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One lagged read: the name, the lag as a key (`t-1`), what the user wrote, and how many lags it stands for (a window)."""

    name: str
    lag: str
    text: str = field(compare=False)
    count: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Term:
    """coefficient * state, summed over `contracted`.

    live        blocks of axes of the state that live on; the rest of the value's axes are *free*
    contracted  axes of the state that were summed
    factors     of the coefficient; {} is a number
    lags        axes of the value that number predecessors or lags, not positions of the state
    unit        the coefficient is exactly 1
    real_only   linear over the reals only (`re`, `im`, `conj` of a complex state)
    """

    source: Source
    live: tuple[Block, ...]
    contracted: frozenset[str] = frozenset()
    factors: Factors = frozenset()
    lags: frozenset[str] = frozenset()
    unit: bool = True
    varying: bool = False
    complex: bool = False
    real_only: bool = False

    @property
    def live_axes(self) -> frozenset[str]:
        """Axes of the value that are positions of the state."""
        return frozenset(a for _, b in self.live for a in b)

    @property
    def labels(self) -> frozenset[Label]:
        """Everything the coefficient varies over."""
        return frozenset(x for f in self.factors for x in f)

    @property
    def straight(self) -> bool:
        """Whether every live axis stands under its own name."""
        return all(len(a) == 1 and a == b for a, b in self.live)

    @property
    def dense(self) -> bool:
        """Whether one factor couples a summed axis with a free one, or live axes changed places."""
        live = self.live_axes | self.lags
        coupled = any(any(x[0] == "*" for x in f) and any(x[0] != "*" and x not in live for x in f) for f in self.factors)
        return coupled or not self.straight


Product = frozenset[frozenset[str]]
"""The factors of a state-free product, by their axes."""

Form = Literal["free", "affine", "max", "min", "logaddexp", "nonlinear", "opaque"]
SEMIRINGS: tuple[Form, ...] = ("max", "min", "logaddexp")


@dataclass(frozen=True, slots=True)
class Rest:
    """The state-free part: a sum of products; no addend is an exact 0.

    `plain` where its axes are all that is known. A value is an *outer product* where each addend is one.
    """

    addends: frozenset[Product] = frozenset()
    varying: bool = False
    complex: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """How a value depends on the states: `form`, terms (of a nonlinear form: the Jacobian's pattern), the rest, why it is not
    linear (`curves`) or not differentiable (`kinks`), where axes are mixed (`mixes`)."""

    form: Form = "free"
    terms: tuple[Term, ...] = ()
    rest: Rest = Rest()
    curves: tuple[Reason, ...] = ()
    kinks: tuple[Reason, ...] = ()
    mixes: tuple[Reason, ...] = ()

    @property
    def free(self) -> bool:
        """Whether no state is in it."""
        return self.form == "free"

    @property
    def unit(self) -> bool:
        """Whether it is one term with coefficient 1, with or without a rest: what `max` may take."""
        return self.form == "affine" and all(t.unit for t in self.terms)


# ---- terms ------------------------------------------------------------------------------------------------------------


def normal(t: Term) -> Term:
    """Factors that say nothing more are merged: those over live axes into one, those inside another into that."""
    live = t.live_axes | t.lags
    inner = frozenset(x for f in t.factors if f <= live for x in f)
    rest = [f for f in t.factors if not f <= live]
    kept = [f for f in rest if not any(f < g for g in rest)]
    factors = frozenset([*kept, inner] if inner else kept)
    return t if factors == t.factors else replace(t, factors=factors)


def scaled(t: Term, axes: Iterable[str], *, varying: bool, is_complex: bool = False) -> Term:
    """The term times a state-free factor over `axes`."""
    factor = frozenset(axes)
    factors = t.factors | {factor} if factor else t.factors
    return normal(replace(t, factors=factors, unit=False, varying=t.varying or varying, complex=t.complex or is_complex))


def _relabel(factors: Factors, old: str, new: str) -> Factors:
    return frozenset(frozenset(new if x == old else x for x in f) for f in factors)


def summed(t: Term, over: Iterable[str]) -> Term:
    """The term summed over axes of the value."""
    for axis in over:
        if axis in t.lags:
            factors = frozenset(f - {axis} for f in t.factors if f != {axis})
            t = replace(t, lags=t.lags - {axis}, factors=factors)
            continue
        block = next((b for b in t.live if axis in b[1]), None)
        if block is not None:
            states, axes = block
            star = "*" + states[0]
            factors = _relabel(t.factors, axis, star)
            left = frozenset(axes) - {axis}
            if left or len(states) > 1:  # a part of a split axis: what is left of it is coupled with what was summed
                factors = factors | {left | {"*" + s for s in states}}
            t = replace(
                t,
                live=tuple(b for b in t.live if b is not block),
                contracted=t.contracted | frozenset(states),
                factors=factors,
                unit=False,
            )
            continue
        touched = [f for f in t.factors if axis in f]
        if touched:
            merged = frozenset(x for f in touched for x in f) - {axis}
            others = frozenset(f for f in t.factors if axis not in f)
            t = replace(t, factors=others | {merged} if merged else others)
    return normal(replace(t, unit=False))


def renamed(t: Term, names: dict[str, str]) -> Term:
    """The term with axes of the value under other names."""
    live = tuple((a, tuple(names.get(x, x) for x in b)) for a, b in t.live)
    factors = frozenset(frozenset(names.get(x, x) for x in f) for f in t.factors)
    return replace(t, live=live, factors=factors, lags=frozenset(names.get(x, x) for x in t.lags))


def mixed(t: Term, before: Iterable[str], after: Iterable[str], *, varying: bool, is_complex: bool = False) -> Term:
    """The term after a matrix that takes the axes `before` to the axes `after` (which may share names)."""
    old = tuple(before)
    names = {a: a + "\0" for a in old}
    t = renamed(t, names)
    t = scaled(t, [*names.values(), *after], varying=varying, is_complex=is_complex)
    return summed(t, names.values())


def split(t: Term, axis: str, outer: str, inner: str) -> Term:
    """`axis` as the two axes `outer` and `inner`."""
    live: list[Block] = []
    for states, axes in t.live:
        if axis in axes:
            i = axes.index(axis)
            axes = (*axes[:i], outer, inner, *axes[i + 1 :])
        live.extend([((a,), (a,)) for a in states] if states == axes else [(states, axes)])
    factors = frozenset(frozenset(y for x in f for y in ((outer, inner) if x == axis else (x,))) for f in t.factors)
    return normal(replace(t, live=tuple(live), factors=factors))


def joined(t: Term, axis: str, parts: Axes) -> Term:
    """The axes `parts` as one axis: the inverse of `split`; free where not all of them are positions of the state."""
    blocks = [b for b in t.live if set(b[1]) & set(parts)]
    flat = tuple(x for b in sorted(blocks, key=lambda b: parts.index(b[1][0]) if b[1][0] in parts else 0) for x in b[1])
    if not blocks:
        live = t.live
    elif flat == parts:
        order = sorted(blocks, key=lambda b: parts.index(b[1][0]))
        states = tuple(x for b in order for x in b[0])
        live = (*(b for b in t.live if b not in blocks), (states, (axis,)))
    else:
        return mixed(t, [p for p in parts], (axis,), varying=False)
    factors = frozenset(frozenset(axis if x in parts else x for x in f) for f in t.factors)
    return normal(replace(t, live=live, factors=factors))


# ---- elements ---------------------------------------------------------------------------------------------------------


def gather_terms(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Terms of a sum: equal ones become one (no longer with coefficient 1), too many of one source become one dense one."""
    found: dict[tuple[object, ...], Term] = {}
    for t in terms:
        key = (t.source, t.live, t.contracted, t.factors, t.lags)
        old = found.get(key)
        found[key] = (
            t
            if old is None
            else replace(
                t,
                unit=False,
                varying=t.varying or old.varying,
                complex=t.complex or old.complex,
                real_only=t.real_only or old.real_only,
            )
        )
    by_source: dict[Source, list[Term]] = {}
    for t in found.values():
        by_source.setdefault(t.source, []).append(t)
    out: list[Term] = []
    for ts in by_source.values():
        out.extend(ts if len(ts) <= MOST else [_widened(ts)])
    return tuple(out)


def _widened(ts: list[Term]) -> Term:
    states = frozenset(a for t in ts for s, _ in t.live for a in s) | frozenset(a for t in ts for a in t.contracted)
    values = frozenset(a for t in ts for a in t.live_axes) | frozenset(x for t in ts for x in t.labels if x[0] != "*")
    return Term(
        ts[0].source,
        (),
        states,
        frozenset([values | {"*" + a for a in states}]),
        frozenset(),
        False,
        any(t.varying for t in ts),
        any(t.complex for t in ts),
        any(t.real_only for t in ts),
    )


def several(*groups: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Reasons together, each once, the first few."""
    return tuple(dict.fromkeys(r for g in groups for r in g))[:6]


# ---- state-free products ----------------------------------------------------------------------------------------------


def plain(axes: Iterable[str], *, varying: bool, is_complex: bool = False) -> Rest:
    """A state-free value of which only the axes are known."""
    return Rest(frozenset([frozenset([frozenset(axes)] if tuple(axes) else [])]), varying, is_complex)


def axes_of(p: Product) -> frozenset[str]:
    """The axes of a product."""
    return frozenset(x for f in p for x in f)


def multiplied(p: Product, q: Product) -> Product:
    """Two products as one: a factor that lies inside another is absorbed."""
    factors = list(p)
    for f in q:
        if any(f <= g for g in factors):
            continue
        factors = [g for g in factors if not g <= f] + [f]
    if len(factors) > 4:
        return frozenset([axes_of(frozenset(factors))])
    return frozenset(factors)


def times(a: Rest, b: Rest) -> Rest:
    """The product of two state-free values."""
    addends = frozenset(multiplied(p, q) for p in a.addends for q in b.addends)
    if len(addends) > 16:
        addends = frozenset([frozenset([frozenset(x for p in addends for x in axes_of(p))])])
    return Rest(addends, a.varying or b.varying, a.complex or b.complex)


def added(parts: Iterable[Rest], axes: Axes) -> Rest:
    """The sum; an addend that is repeated along axes it lacks counts as plain."""
    whole = frozenset(axes)
    parts = list(parts)
    addends = frozenset(p if axes_of(p) == whole else frozenset([whole] if whole else []) for r in parts for p in r.addends)
    return Rest(addends, any(r.varying for r in parts), any(r.complex for r in parts))


def pairs(p: Product) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Every way to see a product as one of two factors each having an axis the other lacks."""
    factors = sorted(p, key=sorted)
    out = []
    for bits in range(1, 2 ** (len(factors) - 1)) if factors else ():
        left = frozenset(x for i, f in enumerate(factors) if not bits >> i & 1 for x in f)
        right = frozenset(x for i, f in enumerate(factors) if bits >> i & 1 for x in f)
        if left - right and right - left:
            out.append((left, right))
    return tuple(out)

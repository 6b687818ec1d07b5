"""Sizes of dims: the spec's own, those asked for, and small ones that come out whole.

In:   the dims of a checked body.      Out: a size for each dim.
Refuses: (`Unusable`) a size for a dim that does not exist, a dim that does not come out whole, a dim nobody gave a size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from random import Random

from seqc.compiler.diagnostics.suggest import did_you_mean
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.graph.joins import joins
from seqc.compiler.graph.sizes import evaluate
from seqc.compiler.ir.expr import Apply, DimSize, Expr, walk
from seqc.compiler.ir.spec import Body

Sizes = dict[str, int]


def resolve(body: Body, given: Mapping[str, int], fill: Mapping[str, int] | int | None = None) -> Sizes:
    """All sizes of a body: those given, the spec's own for the rest. `fill` is what dims without a value get.

    Raises `Unusable` in plain words.
    """
    names = [d.name for d in body.dims]
    for name in given:
        if name not in names:
            raise Unusable(
                f"`{body.name}` has no dim `{name}`", did_you_mean(name, names) or f"its dims are {', '.join(names) or 'none'}"
            )
    sizes: Sizes = dict(given)
    joined = joins(body)
    left = {d.name: d.value for d in body.dims if d.name not in sizes}
    while left:
        ready = [(name, evaluate(e, sizes)) for name, e in left.items() if e is not None]
        ready += [(j.dim, evaluate(j.size, sizes)) for j in joined if j.dim in left and left[j.dim] is None]
        known = [(name, found) for name, found in ready if found is not None]
        for name, found in known:
            if found.denominator != 1 or found < 0:
                so_far = ", ".join(f"{k} = {v}" for k, v in sizes.items())
                raise Unusable(f"`{name}` of `{body.name}` comes out as {found}, which is no size, with {so_far}")
            sizes[name] = int(found)
            left.pop(name, None)
        if not known:
            name = next((n for n, e in left.items() if e is None), "")
            default = fill.get(name) if isinstance(fill, Mapping) else fill
            if not name:
                raise Unusable(f"`{next(iter(left))}` of `{body.name}` cannot be computed", "give sizes with --set")
            if default is None:
                raise Unusable(f"`{name}` of `{body.name}` has no size", f"give it one: --set {name}=64")
            sizes[name] = default
            del left[name]
    for j in joined:
        wanted = evaluate(j.size, sizes)
        if wanted is not None and wanted != sizes[j.dim]:
            raise Unusable(
                f"`{j.dim}` of `{body.name}` is {sizes[j.dim]}, but `{j.name}` on line {j.span.line} has {wanted} entries along it",
                f"--set {j.dim}={wanted} fits",
            )
    return {name: sizes[name] for name in names}


def defaults(body: Body, given: Mapping[str, int] | None = None) -> Sizes:
    """Sizes for figures: the spec's own; a dim without one gets the first power of two from 256 up with which all come out
    whole (`{}` where none does)."""
    for size in (256, 512, 1024, 768, 64, 60, 16, 4, 2, 1):
        try:
            return resolve(body, given or {}, size)
        except Unusable:
            continue
    return {}


def small(body: Body, given: Mapping[str, int] | None = None) -> Iterator[Sizes]:
    """Small sizes for checks, the best first: all dims whole and at least 1, different from each other where that can be."""
    given = dict(given or {})
    derived = {d.name for d in body.dims if d.value is not None and any(isinstance(n, DimSize) for n in walk(d.value))}
    choices: list[list[tuple[str, int]]] = []
    solved = {j.dim for j in joins(body)}
    for dim in body.dims:
        if dim.name in given:
            continue
        if isinstance(dim.value, DimSize) or (dim.name in derived and _rounded(dim.value)):
            # `N = D` and `H = ceil(D / 64)` are habits that may be left, no parts of other sizes; 0 keeps them.
            choices.append([(dim.name, n) for n in (0, 3, 2, 5)])
            continue
        if dim.name in derived:
            continue
        if dim.value is None:
            choices.append([(dim.name, n) for n in (*((0,) if dim.name in solved else ()), 6, 4, 12, 8, 16, 24, 3, 2, 32, 48, 64, 128)])
        else:
            written = evaluate(dim.value, {}) or 1
            # A small number written out may be part of the meaning (five streams, read by number).
            options = dict.fromkeys(([n for n in (3, 2, 4, 8, 16, 32, 64) if n <= written] if written > 6 else []) + [int(written)])
            choices.append([(dim.name, n) for n in options])
    found: list[tuple[tuple[int, ...], Sizes]] = []
    for pick in _picks(choices):
        try:
            sizes = resolve(body, {**given, **{name: size for name, size in pick if size}})
        except Unusable:
            continue
        if all(n >= 1 for n in sizes.values()):
            found.append((_badness(sizes), sizes))
    found.sort(key=lambda f: f[0])
    ranked = [sizes for _, sizes in found]
    likely = ranked[:40]
    for dim in body.dims:
        # a number that the spec writes may be the one that a called body needs
        own = evaluate(dim.value, {}) if dim.value is not None else None
        likely += [sizes for sizes in ranked if sizes[dim.name] == own][:3]
    seen: set[tuple[int, ...]] = set()
    for sizes in (*likely, *ranked[:400]):
        key = tuple(sizes.values())
        if key not in seen:
            seen.add(key)
            yield sizes


def _picks(choices: list[list[tuple[str, int]]]) -> Iterator[tuple[tuple[str, int], ...]]:
    """All combinations, or 2000 of them drawn with a fixed seed where there are more."""
    if prod(map(len, choices)) <= 2000:
        yield from product(*choices)
        return
    draw = Random(0)
    yield from dict.fromkeys(tuple(draw.choice(options) for options in choices) for _ in range(2000))


def _rounded(e: Expr | None) -> bool:
    return isinstance(e, Apply) and e.fn in ("ceil", "floor", "roundup", "min", "max")


def _badness(sizes: Sizes) -> tuple[int, ...]:
    values = list(sizes.values())
    ones = sum(v == 1 for v in values)
    total = sum(values)
    twos = sum(v == 2 for v in values)  # a norm over two entries leaves signs, and no gradient but rounding
    return (4 * ones + 2 * twos + 2 * (len(values) - len(set(values))) + total // 6, total)

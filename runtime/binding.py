"""Sizes: exact arithmetic of dims, solving those without a value, and checking tensors against declared axes.

In:      the table of a body, what the caller gave, shapes of tensors.
Out:     dim → int; sizes of free indices.
Refuses: a dim without a value, one that does not come out whole (both numbers are named), tensors of another shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

Number = int | float | Fraction
LARGEST = 2**31 - 1


class BindingError(ValueError):
    """What was given does not fit the body; the message names dims, inputs and the line of the spec."""


class PlaceError(BindingError, IndexError):
    """A table or axis is read at a position that it does not have."""


def evaluate(tree: Any, sizes: Mapping[str, Any]) -> Number:
    """The value of a size expression: a number, a dim's name, or `(operation, operand, …)`. Exact where it can be.

    >>> evaluate(("div", "D", ("mul", 2, "H")), {"D": 12, "H": 4})
    Fraction(3, 2)
    """
    if isinstance(tree, bool | int | float | Fraction):
        return tree
    if isinstance(tree, str):
        if tree not in sizes:
            raise KeyError(tree)
        value: Number = sizes[tree]
        return value
    fn, *rest = tree
    a: list[Any] = [evaluate(r, sizes) for r in rest]
    match fn:
        case "add":
            total = a[0]
            for x in a[1:]:
                total = total + x
            return total
        case "sub":
            return a[0] - a[1]
        case "mul":
            product = a[0]
            for x in a[1:]:
                product = product * x
            return product
        case "div":
            if a[1] == 0:
                raise BindingError("a size is divided by 0")
            if isinstance(a[0], float) or isinstance(a[1], float):
                return a[0] / a[1]
            return _plain(Fraction(a[0]) / Fraction(a[1]))
        case "pow":
            if not -64 <= a[1] <= 64:
                raise BindingError(f"an exponent of {a[1]} in a size is too large")
            if isinstance(a[1], int) and not isinstance(a[0], float):
                raised: Fraction = Fraction(a[0]) ** a[1]
                return _plain(raised)
            return float(a[0]) ** float(a[1])
        case "neg":
            return -a[0]
        case "floor":
            return math.floor(a[0])
        case "ceil":
            return math.ceil(a[0])
        case "roundup":
            times = math.ceil(Fraction(a[0]) / Fraction(a[1]))
            rounded: Number = a[1] * times
            return rounded
        case "mod":
            left: Number = a[0] % a[1]
            return left
        case "abs":
            size: Number = abs(a[0])
            return size
        case "min":
            return min(a)
        case "max":
            return max(a)
        case "bitlen":
            return int(a[0]).bit_length()
        case "where":
            return a[1] if a[0] else a[2]
        case "eq" | "ne" | "lt" | "le" | "gt" | "ge":
            return {"eq": a[0] == a[1], "ne": a[0] != a[1], "lt": a[0] < a[1], "le": a[0] <= a[1], "gt": a[0] > a[1], "ge": a[0] >= a[1]}[
                fn
            ]
        case "sqrt":
            return math.sqrt(a[0])
        case "log":
            return math.log(a[0])
        case "exp":
            return math.exp(a[0])
    raise BindingError(f"a size cannot be made with `{fn}`")


def _plain(x: Fraction) -> Number:
    return x.numerator if x.denominator == 1 else x


def shown(tree: Any) -> str:
    """A size expression as it would be written."""
    if isinstance(tree, tuple):
        fn, *rest = tree
        sign = {"add": " + ", "sub": " - ", "mul": " * ", "div": " / ", "pow": "^"}.get(fn)
        parts = [f"({shown(r)})" if isinstance(r, tuple) and sign else shown(r) for r in rest]
        return sign.join(parts) if sign else f"{fn}({', '.join(parts)})"
    return str(tree)


def whole(value: Number, what: str) -> int:
    """`value` as a size; refuses what is not a whole number from 0 on."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if isinstance(value, bool) or not isinstance(value, int):
        raise BindingError(f"{what} is {value}, not a whole number")
    if not 0 <= value <= LARGEST:
        raise BindingError(f"{what} is {value}: sizes go from 0 to {LARGEST}")
    return value


def bind_dims(
    dims: Mapping[str, Any],
    given: Mapping[str, Any],
    lines: Mapping[str, int],
    source: str,
    joins: Iterable[tuple[str, Any, str, int]] = (),
) -> dict[str, int]:
    """Sizes of all dims of a body, in declared order.

    `dims` maps names to expressions or None; `given` is what the caller bound; `joins` are (dim, the size it must have, the value that
    says so, its line): they solve a dim without a value, and nothing may contradict them. Raises `BindingError`.
    """
    sizes: dict[str, int] = {}
    joins = tuple(joins)
    zero = {n for n, tree in dims.items() if tree == 0 and not isinstance(tree, bool)}
    for name, tree in dims.items():
        if tree is not None and zero & set(names(tree)):
            zero.add(name)

    def bind(name: str, value: Number, what: str) -> None:
        sizes[name] = whole(value, what)
        if sizes[name] < 1 and name not in zero:
            raise BindingError(f"{what} is {sizes[name]}: a size is at least 1")

    def at(name: str) -> str:
        return f"({source}:{lines[name]})" if name in lines else f"({source})"

    late: list[str] = []
    for name, tree in dims.items():
        if name in given:
            bind(name, given[name], f"dim {name} {at(name)}")
            continue
        if tree is None:
            late.append(name)
            continue
        _computed(name, tree, sizes, bind, at)
    progress = True
    while progress:
        progress = False
        for name, tree, by, line in joins:
            if name in late:
                try:
                    value = evaluate(tree, sizes)
                except KeyError:
                    continue
                bind(name, value, f"dim {name}, as `{by}` makes it ({source}:{line}),")
                late.remove(name)
                progress = True
        for name, tree in dims.items():
            if tree is not None and name not in sizes:
                progress = _computed(name, tree, sizes, bind, at) or progress
    if late:
        wanted = " and ".join(f"`{n}` {at(n)}" for n in late)
        raise BindingError(f"a size is needed for {wanted}: give it by keyword, as in {late[0]}=64")
    for name, tree, by, line in joins:
        try:
            value = evaluate(tree, sizes)
        except KeyError:
            continue
        if name in sizes and value != sizes[name]:
            raise BindingError(
                f"dim {name} {at(name)} is {sizes[name]}, but `{by}` ({source}:{line}) has {shown(tree)} = {value} entries along it"
            )
    return {n: sizes[n] for n in dims if n in sizes}


def _computed(
    name: str, tree: Any, sizes: Mapping[str, int], bind: Callable[[str, Number, str], None], at: Callable[[str], str]
) -> bool:
    """Binds a dim to its expression, where all that it reads is known."""
    try:
        value = evaluate(tree, sizes)
    except KeyError:
        return False
    numbers = ", ".join(f"{n} = {sizes[n]}" for n in sorted(n for n in names(tree) if n in sizes))
    bind(name, value, f"dim {name} = {shown(tree)}" + (f" with {numbers}" if numbers else "") + f" {at(name)}")
    return True


def names(tree: Any) -> Iterable[str]:
    """The dims a size expression reads."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, tuple):
        for r in tree[1:]:
            yield from names(r)


def ratio(a: Number, b: Number) -> Number:
    """`a / b`, exact for whole numbers.

    >>> ratio(12, 4), ratio(1, 3)
    (3, Fraction(1, 3))
    """
    return evaluate(("div", a, b), {})


def power(a: Number, b: Number) -> Number:
    """`a ^ b`, exact for whole numbers."""
    return evaluate(("pow", a, b), {})


def solve(declared: Iterable[tuple[str, int]], sizes: dict[str, int], what: str) -> None:
    """Adds to `sizes` what a shape says of axes that have no size yet; refuses contradictions."""
    for axis, n in declared:
        if sizes.setdefault(axis, n) != n:
            raise BindingError(f"{what}: axis {axis} is {sizes[axis]}, the array has {n}")

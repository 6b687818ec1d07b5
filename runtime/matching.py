"""Which axis of an argument is which axis of the body it is given to (language.md section 3, "Calls").

Used twice, so it stands where both can reach it: by the checker, and by generated modules when a hole is filled with something
the checker has not seen. No torch here.

In order: what the call says (`i = t`, `D = T`), then equal names, then, dims among dims and indices among indices, the only
one left on both sides (several indices in their order, where as many are left: pixels are pixels). What the argument has beyond
that is *mapped over*; what the argument lacks is filled by repeating it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def is_dim(axis: str) -> bool:
    """Dims start upper-case, indices lower-case."""
    return axis[:1].isupper()


def match(callee: Iterable[str], argument: Iterable[str], given: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Pairs of callee axis → argument axis, and the argument's axes that are mapped over, in the argument's order.

    `callee` are the axes of the callee's input (its chain among them where the argument is a whole run), `argument` those of
    the value, `given` what the call states as callee axis → caller's axis.

    >>> match(("t", "D"), ("node", "w", "E"), {"t": "w"})
    ({'t': 'w', 'D': 'E'}, ('node',))
    >>> match(("D",), ("t", "D"), {})
    ({'D': 'D'}, ('t',))
    """
    wanted, left = list(callee), list(argument)
    pairs: dict[str, str] = {}

    def pair(c: str, a: str) -> None:
        pairs[c] = a
        wanted.remove(c)
        left.remove(a)

    for c in list(wanted):
        if given.get(c) in left:
            pair(c, given[c])
    for c in list(wanted):
        if c in left and c not in given:
            pair(c, c)
    for kind in (True, False):
        open_c = [c for c in wanted if is_dim(c) is kind and c not in given]
        open_a = [a for a in left if is_dim(a) is kind]
        if len(open_c) == len(open_a) and (len(open_c) == 1 or not kind):
            for c, a in zip(open_c, open_a, strict=True):
                pair(c, a)
    return pairs, tuple(left)

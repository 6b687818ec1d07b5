"""Did you mean …? Only when the word is near: how near depends on its length.

A word of one or two letters has no near words (unless it differs in case only); up to five letters one slip is near, longer
ones two, from ten letters on three. A swap of neighbours counts as one slip.
"""

from __future__ import annotations

from collections.abc import Iterable


def allowed_distance(length: int) -> int:
    """How many slips still make a near word of this length."""
    return 0 if length < 3 else 1 if length < 6 else 2 if length < 10 else 3


def distance(a: str, b: str, most: int) -> int:
    """Edit distance with swaps of neighbours (restricted Damerau–Levenshtein); `most + 1` for anything farther."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None. Ties go to the one with the same first letter."""
    word = word[:80]
    best: tuple[int, bool, int, str] | None = None
    for other in sorted(set(known)):
        if other == word:
            continue
        if other.lower() == word.lower():
            found = 0
        else:
            limit = allowed_distance(min(len(word), len(other)))
            found = distance(word.lower(), other.lower(), limit)
            if not limit or found > limit:
                continue
        rank = (found, other[:1].lower() != word[:1].lower(), abs(len(other) - len(word)), other)
        best = rank if best is None else min(best, rank)
    return best[3] if best else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean `x`?`` or an empty string."""
    other = nearest(word, known)
    return f"did you mean `{other}`?" if other else ""

"""Mutants that still read well: one name, lag, axis, operator, keyword, argument or line of a sound text is another.

`semantic_mutants(text, n, seed)` gives `n` texts, the same for the same seed. Most of them parse, so it is the checker that has to
say what is wrong (or that nothing is).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

_NAME = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]*\b")
_LAG = re.compile(r"\[([a-z]\w*) ?- ?1\]")
_SHAPE = re.compile(r": \[([^\]\n]*)\]")
_KEYWORD = re.compile(r", ([a-z]+|[A-Z]\w*) = (\[[^\]\n]*\]|[\w.]+)")
_OPERATOR = re.compile(r" ([-+*/^]|<=|>=|<|>|==|!=|and|or) ")
_CALL = re.compile(r"\b([a-z]\w*)\(")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_FUNCTIONS = (
    "sigmoid tanh exp log abs relu softmax cumsum l2norm sum mean max min prod argmax linear conv lowrank embedding rmsnorm "
    "layernorm groupnorm batchnorm dropout dot outer concat split merge at grad onehot eye len pos scan solve eigh inverse topk "
    "rank normal uniform orthogonal where expdiff logaddexp mod floor stop through complex re im cis fft matrix_exp xor"
).split()
_OPERATORS = "+ - * / ^ < <= == != and or".split()
_THINGS = (
    "0 1 -1 0.5 true false none pi inf t x D H K s pred succ batch call \"text\" pos(D) len(t) x[t-1] x[t+1] x[0] t-1 normal(0,1) "
    "9999999999 [D] [H, K] linear(x) GRU -inf 2^40 x[D=0]"
).split(" ")  # fmt: skip
_WORDS = ("in", "state", "param", "const", "gate", "out", "loss", "index", "dim", "require", "once", "fixed")


def semantic_mutants(text: str, n: int, seed: int) -> Iterator[str]:
    """`n` versions of `text` with one or two changes each."""
    draw = random.Random(seed)
    for _ in range(n):
        made = text
        for _ in range(draw.choice((1, 1, 1, 2))):
            made = draw.choice(_CHANGES)(made, draw)
        yield made


def _places(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Where a pattern occurs, outside of the first line, comments and docs."""
    body = text.index("\n") + 1
    return [m for m in pattern.finditer(text, body) if "#" not in text[text.rfind("\n", 0, m.start()) + 1 : m.start()]]


def _put(text: str, m: re.Match[str], new: str, group: int = 0) -> str:
    return text[: m.start(group)] + new + text[m.end(group) :]


def _rename(text: str, draw: random.Random) -> str:
    """One use of a name becomes another name, a misspelling, or a word of the language."""
    names = _places(_NAME, text)
    if not names:
        return text
    m = draw.choice(names)
    word = m[0]
    new = (draw.choice(names)[0], word[1:] + word[:1], word + "x", word[:-1] or "q", draw.choice(_WORDS))[draw.randrange(5)]
    return _put(text, m, new)


def _lag(text: str, draw: random.Random) -> str:
    """A lag is dropped, turned round, made longer or a different axis'."""
    lags = _places(_LAG, text)
    if not lags:
        return _rename(text, draw)
    m = draw.choice(lags)
    axis = m[1]
    return _put(text, m, draw.choice(("", f"[{axis}+1]", f"[{axis}]", f"[{axis}-2]", "[l-1]", "[t-1]", "[s]", f"[{axis}-D]", "[0]")))


def _axes(text: str, draw: random.Random) -> str:
    """The axes of a shape are swapped, dropped, doubled or another's."""
    shapes = _places(_SHAPE, text)
    if not shapes:
        return text
    m = draw.choice(shapes)
    axes = [a.strip() for a in m[1].split(",") if a.strip()]
    match draw.randrange(5):
        case 0:
            axes.reverse()
        case 1 if axes:
            del axes[draw.randrange(len(axes))]
        case 2 if axes:
            axes.append(draw.choice(axes))
        case 3:
            axes.insert(draw.randrange(len(axes) + 1), draw.choice(("t", "D", "H", "K", "batch", "s", "Q", "pred")))
        case _:
            other = draw.choice(shapes)[1]
            return _put(text, m, other, 1)
    return _put(text, m, ", ".join(axes), 1)


def _lines(text: str, draw: random.Random) -> str:
    """A line is deleted, doubled, or swapped with another one of the same depth."""
    lines = text.split("\n")
    full = [i for i, line in enumerate(lines) if i and line.strip()]
    if not full:
        return text
    i = draw.choice(full)
    depth = len(lines[i]) - len(lines[i].lstrip())
    match draw.randrange(3):
        case 0:
            del lines[i]
        case 1:
            lines.insert(i, lines[i])
        case _:
            same = [k for k in full if len(lines[k]) - len(lines[k].lstrip()) == depth]
            k = draw.choice(same)
            lines[i], lines[k] = lines[k], lines[i]
    return "\n".join(lines)


def _keyword(text: str, draw: random.Random) -> str:
    """A keyword of a call is dropped, renamed, or gets another value."""
    found = _places(_KEYWORD, text)
    if not found:
        return _rename(text, draw)
    m = draw.choice(found)
    other = draw.choice(found)
    return draw.choice((_put(text, m, ""), _put(text, m, other[1], 1), _put(text, m, other[2], 2), _put(text, m, m[0] + other[0])))


def _operator(text: str, draw: random.Random) -> str:
    found = _places(_OPERATOR, text)
    return _put(text, draw.choice(found), draw.choice(_OPERATORS), 1) if found else text


def _function(text: str, draw: random.Random) -> str:
    found = _places(_CALL, text)
    return _put(text, draw.choice(found), draw.choice(_FUNCTIONS), 1) if found else text


def _thing(text: str, draw: random.Random) -> str:
    """A name or number in an expression becomes something else."""
    found = [m for m in _places(_NAME, text) + _places(_NUMBER, text) if "=" in text[text.rfind("\n", 0, m.start()) : m.start()]]
    return _put(text, draw.choice(found), draw.choice(_THINGS)) if found else text


_CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    _rename, _rename, _lag, _axes, _axes, _lines, _keyword, _operator, _function, _thing, _thing,
)  # fmt: skip

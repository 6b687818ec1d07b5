"""Broken texts, made from sound ones: the same texts for the same seed.

`mutants(text, n, seed)` gives `n` texts (some bytes of which may not be UTF-8 any more, hence `bytes`), each with one to
three faults: bytes flipped, dropped or doubled; tokens dropped, doubled, swapped or replaced by tokens of the language or by
hostile ones; lines dropped, doubled, swapped, cut or indented otherwise. `text_mutants` gives those that are texts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

_TOKEN = re.compile(r"\s+|\w+|#[^\n]*|\"[^\"\n]*\"|\.\.|[^\w\s]")
_WORDS = (
    "in state param const gate loss out dim index require stack rounds schedule cell block model fn operator extern from "
    "import over of once fixed init where and or not seq identity combine t s pred x D N 0 1 2 0.5 1e-3 inf none true call "
    "edge batch linear sum max where softmax scan grad conv split merge at"
).split()
_SIGNS = '( ) [ ] , : = + - * / ^ . .. -> == != <= >= < > # #: " """ \n \n\n : = ( [ ] )'.split(" ") + ["\n", "\n    ", "  "]
_HOSTILE = (
    "\x00", "\t", "\r", "\ufeff", "\u202e", "\u200b", "é", "λ", "𝐞𝐯𝐚𝐥", "ﬁ", "**", ":=", "&&", "!", "@", "{", "}", ";", "'",
    "`", "\\", "__import__", "eval", "None", "lambda", "9" * 50, "1e999", "x" * 80, "(" * 80, "-" * 200, "not " * 150,
    "(" * 20, "%s%n", "${x}", "\U0001f600", "if", "1.", ".5", "_x", "...", "!=", "===", '"""', "'''",
)  # fmt: skip


def mutants(text: str, n: int, seed: int) -> Iterator[bytes]:
    """`n` broken versions of `text`."""
    draw = random.Random(seed)
    for _ in range(n):
        data = text
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            data = draw.choice(_LEVELS)(data, draw)
        yield _bytes(data.encode("utf-8", "surrogatepass"), draw) if draw.random() < 0.2 else data.encode("utf-8", "replace")


def text_mutants(text: str, n: int, seed: int) -> Iterator[str]:
    """`n` broken versions of `text`, bytes that are not UTF-8 replaced."""
    for data in mutants(text, n, seed):
        yield data.decode("utf-8", "replace")


def _bytes(data: bytes, draw: random.Random) -> bytes:
    """One to four bytes flipped, dropped, put in or repeated."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        if not out:
            return bytes(out)
        at = draw.randrange(len(out))
        match draw.randrange(5):
            case 0:
                out[at] ^= 1 << draw.randrange(8)
            case 1:
                del out[at]
            case 2:
                out.insert(at, draw.randrange(256))
            case 3:
                end = min(len(out), at + draw.randint(1, 20))
                out[at:at] = out[at:end]
            case _:
                del out[at : at + draw.randint(1, 20)]
    return bytes(out)


def _characters(text: str, draw: random.Random) -> str:
    """One character changed, dropped, doubled, or a hostile text put in."""
    at = draw.randrange(len(text) + 1)
    match draw.randrange(4):
        case 0:
            return text[:at] + draw.choice(_HOSTILE) + text[at:]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + text[at : at + 1] * 2 + text[at + 1 :]
        case _:
            return text[:at] + chr(draw.randrange(32, 127)) + text[at + 1 :]


def _tokens(text: str, draw: random.Random) -> str:
    """One token dropped, doubled, swapped with another, or replaced."""
    tokens = _TOKEN.findall(text)
    full = [k for k, token in enumerate(tokens) if not token.isspace()]
    if len(full) < 2:
        return text
    a, b = draw.choice(full), draw.choice(full)
    match draw.randrange(6):
        case 0:
            del tokens[a]
        case 1:
            tokens[a] = tokens[a] + " " + tokens[a]
        case 2:
            tokens[a], tokens[b] = tokens[b], tokens[a]
        case 3:
            tokens[a] = tokens[b]
        case 4:
            tokens[a] = draw.choice(_WORDS)
        case _:
            tokens[a] = draw.choice(_SIGNS)
    return "".join(tokens)


def _lines(text: str, draw: random.Random) -> str:
    """One line dropped, doubled, moved, cut off, joined with the next or indented otherwise."""
    lines = text.split("\n")
    a, b = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(8):
        case 0:
            del lines[a]
        case 1:
            lines.insert(b, lines[a])
        case 2:
            lines[a], lines[b] = lines[b], lines[a]
        case 3:
            lines[a] = lines[a][: draw.randrange(len(lines[a]) + 1)]
        case 4:
            lines[a : a + 2] = ["".join(lines[a : a + 2])]
        case 5:
            lines[a] = " " * draw.randrange(9) + lines[a].lstrip()
        case 6:
            lines[a] = "\t" + lines[a].lstrip()
        case _:
            lines = lines[: a + 1]
    return "\n".join(lines)


_LEVELS: tuple[Callable[[str, random.Random], str], ...] = (_characters, _tokens, _tokens, _tokens, _lines)

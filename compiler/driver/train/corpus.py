"""Text for a language model: which files, which of them are held out, and what compressors make of those.

In:   paths of files and folders, or none for the Python standard library's own sources.
Out:  the training bytes and the held-out bytes, each one stream, and a digest of both.
Held out is every 20th file by sorted path; where those hold less than a megabyte (or a twentieth of all, if that is less),
every 10th, 5th or 4th. Of fewer than 20 files the last tenth of the bytes is held out.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import sysconfig
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seqc.compiler.driver.usage import Unusable

ENOUGH = 1_000_000
_LARGEST_FILE = 256 << 20
_LARGEST = 8 << 30


@dataclass(frozen=True, slots=True)
class Corpus:
    """`train` and `held` are streams of bytes; `rule` says in words what was held out."""

    train: bytes
    held: bytes
    files: int
    rule: str

    @property
    def digest(self) -> str:
        """SHA-256 of both streams."""
        whole = hashlib.sha256(f"{len(self.train)} ".encode())
        whole.update(self.train)
        whole.update(self.held)
        return whole.hexdigest()


def standard_library() -> list[Path]:
    """The Python sources that every machine with Python has."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skip = {"site-packages", "dist-packages", "__pycache__", "idle_test"}
    return [file for file in _walk(root) if file.suffix == ".py" and not skip & set(file.relative_to(root).parts)]


def read(paths: Iterable[str]) -> Corpus:
    """The corpus of the files and folders named (hidden files, links and files that are no text left out).

    Raises `Unusable` where a path does not exist or nothing is left.
    """
    chosen = [Path(p) for p in paths]
    if not chosen:
        files = standard_library()
    else:
        files = []
        for path in chosen:
            if path.is_dir():
                files += _walk(path)
            elif path.is_file():
                files.append(path)
            else:
                raise Unusable(f"there is no file or folder `{path}`", "--data takes text files and folders of them")
    texts, total = [], 0
    for file in dict.fromkeys(files):
        text = _text(file, named=file in chosen)
        if text:
            total += len(text)
            if total > _LARGEST:
                raise Unusable("more than 8 GiB of text were given", "train on a part of it")
            texts.append(text)
    if total < 4096:
        raise Unusable(f"there are {total} bytes of text, which is too little to train on")
    return split(texts)


def split(texts: list[bytes]) -> Corpus:
    """Training and held-out streams of files in their order."""
    total = sum(map(len, texts))
    if len(texts) < 20:
        whole = b"".join(texts)
        cut = total - total // 10
        return Corpus(whole[:cut], whole[cut:], len(texts), "the last tenth of the bytes")
    enough = min(ENOUGH, total // 20)
    for stride in (20, 10, 5, 4):
        held = texts[stride - 1 :: stride]
        if sum(map(len, held)) >= enough:
            break
    train = [text for number, text in enumerate(texts, 1) if number % stride]
    return Corpus(b"".join(train), b"".join(held), len(texts), f"every {stride}th file by sorted path")


def compressors(data: bytes) -> dict[str, float]:
    """Bits per byte of the general compressors at their best setting, the bytes taken as one stream."""
    return {
        "zlib": 8 * len(zlib.compress(data, 9)) / len(data),
        "lzma": 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / len(data),
    }


def _walk(root: Path) -> Iterator[Path]:
    """Files below a folder by sorted path; no links, nothing hidden."""
    found = []
    for folder, below, names in os.walk(root, followlinks=False):
        below[:] = sorted(n for n in below if not n.startswith("."))
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                found.append(path)
    yield from sorted(found, key=lambda p: p.relative_to(root).as_posix())


def _text(file: Path, *, named: bool) -> bytes:
    """The bytes of a file; nothing for one that holds no text, unless it was named itself."""
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise Unusable(f"{file} has more than 256 MiB", "split it")
        data = file.read_bytes()
    except OSError as error:
        if named:
            raise Unusable(f"`{file}` cannot be read ({error.strerror})") from None
        return b""
    return b"" if not named and b"\0" in data[:8192] else data

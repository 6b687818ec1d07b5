"""From C to functions: a translation unit is compiled once, kept by its content, and loaded.

In:   the text of a unit, which begins with `#include "vecmath.h"` (the headers of this package are put beside it).
Out:  a `Library`, loaded for the life of the process.
Keeps: the same text is compiled once: in a process (threads wait for each other), and on disk under a key of the text, the
      headers, the compiler's version and instruction sets and its arguments. Processes that meet on one key may both compile;
      one of them wins, both are right. Loading never changes how the process rounds or treats denormals.
Refuses: SEQ0601 without a compiler, SEQ0602 when it refuses, SEQ0603 when the result cannot be loaded.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqc.runtime.cache import Cache, Entry, key_of
from seqc.runtime.native.errors import LoadFailed
from seqc.runtime.native.toolchain import Toolchain, find_toolchain

FORMAT = "1"
"""Counts changes of what a unit may rely on beyond the headers."""

_SMALL, _HALF, _LARGE = 2.0**-1022, 0.5, 2.0**100


@dataclass(frozen=True, slots=True)
class Library:
    """A loaded unit.

    key      of the unit and its compiler, SHA-256
    path     of the shared library that was loaded
    found    whether it had been compiled before
    seconds  that compiling took, 0.0 where it had been
    handle   for ctypes
    """

    key: str
    path: Path
    found: bool
    seconds: float
    handle: ctypes.CDLL

    def function(self, name: str, arguments: Sequence[Any], result: Any = None) -> Any:
        """The exported function `name`, with ctypes' types of its arguments and of its result (None: void).

        Pointers are best passed as `ctypes.c_void_p` (a tensor's `data_ptr()`). Raises LoadFailed where there is none.
        """
        try:
            function = self.handle[name]
        except AttributeError:
            raise LoadFailed(f"the compiled library has no function `{name}`", "this is a bug in seqc") from None
        function.argtypes, function.restype = list(arguments), result
        return function


@functools.lru_cache(maxsize=1)
def headers() -> dict[str, str]:
    """The headers that lie beside a unit when it is compiled, by name."""
    here = Path(__file__).resolve().parent
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(here.glob("*.h"))}


_loaded: dict[str, Library] = {}
_busy: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def load(source: str, *, label: str = "", cache: Cache | None = None, toolchain: Toolchain | None = None) -> Library:
    """Compiles `source` (or finds it compiled) and loads it.

    `label` stands in `seqc cache list`. Raises NoCompiler, CompileFailed, LoadFailed.
    """
    tools = toolchain if toolchain is not None else find_toolchain()
    parts = parts_of(source, tools)
    key = key_of(parts)
    with _guard:
        turn = _busy.setdefault(key, threading.Lock())
    with turn:
        if (library := _loaded.get(key)) is None:
            library = _loaded[key] = _make(source, parts, label, cache if cache is not None else Cache(), tools)
    return library


def parts_of(source: str, tools: Toolchain) -> dict[str, str]:
    """Everything that determines the library, for its key."""
    digest = hashlib.sha256("".join(f"{name}\0{text}\0" for name, text in headers().items()).encode()).hexdigest()
    return {"kind": "native", "format": FORMAT, "source": source, "headers": digest, **tools.key()}


def _make(source: str, parts: dict[str, str], label: str, cache: Cache, tools: Toolchain) -> Library:
    spent = 0.0

    def compile_it() -> dict[str, bytes]:
        nonlocal spent
        start = time.perf_counter()
        code = tools.compile({**headers(), "unit.c": source})
        spent = time.perf_counter() - start
        return {"unit.c": source.encode(), "unit.so": code}

    entry = cache.entry(parts, compile_it, label=label or "native code")
    path, handle = _open(entry)
    return Library(entry.key, path, entry.found, spent, handle)


def _open(entry: Entry) -> tuple[Path, ctypes.CDLL]:
    """Loads from the cache, else (a disk that forbids execution) from a private copy."""
    path = entry.path("unit.so")
    try:
        return path, _dlopen(path)
    except OSError as error:
        first = error
    copy = Path(tempfile.mkdtemp(prefix="seqc-so-")) / "unit.so"
    try:
        copy.write_bytes(entry.files["unit.so"])
        return copy, _dlopen(copy)
    except OSError:
        remedy = "set SEQC_CACHE_DIR to a folder whose file system allows programs (no `noexec`)"
        raise LoadFailed(f"the compiled library cannot be loaded: {first}", remedy) from None
    finally:
        if os.name == "posix":  # what is loaded stays loaded
            shutil.rmtree(copy.parent, ignore_errors=True)


def _dlopen(path: Path) -> ctypes.CDLL:
    """Loads a library and sees to it that it left the floating-point environment alone.

    torch comes first: a process has one OpenMP library and one pool of threads then, torch's.
    """
    import torch  # noqa: F401

    kept = _denormals()
    handle = ctypes.CDLL(str(path))
    if kept and not _denormals():
        raise LoadFailed(
            "the compiled library switched denormals off for the whole process",
            "the C compiler links fast-math start-up code on its own; use another one (CC)",
        )
    return handle


def _denormals() -> bool:
    """Whether this thread computes with denormals: one is made, and one is used."""
    return _SMALL * _HALF * _LARGE != 0.0


def loads(code: bytes) -> bool:
    """Whether a shared library with these bytes can be loaded here."""
    folder = Path(tempfile.mkdtemp(prefix="seqc-so-"))
    try:
        (folder / "unit.so").write_bytes(code)
        ctypes.CDLL(str(folder / "unit.so"))
    except OSError:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True

"""Compiling and calling the C code that seqc generates.

    from seqc.runtime.native import load

    library = load('#include "vecmath.h"\\nSQ_EXPORT float half(float x) { return x * 0.5f; }\\n')
    half = library.function("half", [ctypes.c_float], ctypes.c_float)

`vecmath.h` says what a unit may use: vectors, elementary functions with their error bounds, 16-bit storage, threads.
"""

from __future__ import annotations

from seqc.runtime.native.errors import CompileFailed, LoadFailed, NativeError, NoCompiler
from seqc.runtime.native.library import Library, headers, load
from seqc.runtime.native.toolchain import Toolchain, find_toolchain

__all__ = [
    "CompileFailed",
    "Library",
    "LoadFailed",
    "NativeError",
    "NoCompiler",
    "Toolchain",
    "find_toolchain",
    "headers",
    "load",
]

"""The system's C compiler, and the one list of arguments it is ever called with.

In:   `$CC` (one program, or a launcher and a program such as `ccache gcc`; no flags), else `cc`, `gcc`, `clang` on the path.
Out:  a `Toolchain`: the program, what it calls itself, the instruction sets it compiles for, whether its OpenMP works.
Refuses: SEQ0601 when there is none, or none that is new enough (GCC 9, Clang 11).

The arguments are fixed. Nothing of a spec, no path of a user's and no variable of the environment enters them; the compiler
runs without a shell, in a folder of its own, with an environment of its own (`PATH` and what the platform needs to find its
parts). `-ffast-math` and its parts are never among them, at compile time or at link time: a library linked with it flushes
denormals in the whole process. Floating-point contraction is off: a fused multiply-add is where the source says so, and
nowhere else.

Environment variables read: CC, PATH, LD_LIBRARY_PATH, SDKROOT, DEVELOPER_DIR, MACOSX_DEPLOYMENT_TARGET; and by the cache
SEQC_CACHE_DIR, XDG_CACHE_HOME, HOME.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from seqc.runtime.cache import Cache
from seqc.runtime.native.errors import CompileFailed, NoCompiler

SECONDS = 300.0
"""How long one call of the compiler may take."""

_BASE = ("-std=gnu11", "-O3", "-w", "-g0", "-fwrapv", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off")
_SHARED = ("-shared", "-fPIC", "-fvisibility=hidden", "-x", "c", "unit.c", "-o", "unit.so", "-lm")
_PASSED = ("PATH", "LD_LIBRARY_PATH", "SDKROOT", "DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET")
_ARCH = re.compile(r"[a-z0-9][a-z0-9_.+\-]{0,63}")
_FEATURES = ("AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX512BF16", "AVX2", "FMA", "F16C", "ARM_NEON", "ARM_FEATURE_SVE")
_PROBE = """__attribute__((visibility("default"))) int sum(int n, int threads) {
    int s = 0;
#pragma omp parallel for reduction(+ : s) num_threads(threads)
    for (int i = 0; i < n; i++) s += i;
    return s;
}
"""
_REMEDY = (
    "install a C compiler (Debian: `apt install gcc`; Fedora: `dnf install gcc`; macOS: `xcode-select --install`), or set CC "
    'to one; `backend="reference"` runs without'
)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler that has been tried.

    command   the program, by its absolute path, perhaps after a launcher
    name      `gcc 12.2.0`, `clang 18.1.3`
    target    `x86_64`, `aarch64`, …
    arch      the flags that choose the instruction sets, such as `-march=native`
    digest    SHA-256 over every macro the compiler predefines with these flags: its version and the instruction sets
    features  those of them that matter here, for people to read
    openmp    whether threads can be used
    """

    command: tuple[str, ...]
    name: str
    target: str
    arch: tuple[str, ...]
    digest: str
    features: tuple[str, ...]
    openmp: bool

    @property
    def arguments(self) -> tuple[str, ...]:
        """Everything after the program."""
        wide = ("-mprefer-vector-width=512",) if {"AVX512F", "AVX512VL"} <= set(self.features) else ()
        return (*_BASE, *self.arch, *wide, *(("-fopenmp",) if self.openmp else ()), *_SHARED)

    def key(self) -> dict[str, str]:
        """What of the compiler determines a library: parts for the cache."""
        return {"compiler": self.name, "predefined": self.digest, "arguments": "\0".join(self.arguments)}

    def compile(self, files: dict[str, str]) -> bytes:
        """Compiles `unit.c` with the headers beside it, all given by name; the bytes of the shared library.

        Raises CompileFailed (SEQ0602), NoCompiler (SEQ0601) where the program is gone.
        """
        folder = Path(tempfile.mkdtemp(prefix="seqc-cc-"))
        try:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
            status, said = _run((*self.command, *self.arguments), folder, "")
            library = folder / "unit.so"
            if status or not library.is_file():
                lines = [line for line in said.splitlines() if line.strip()]
                shown = "\n".join(f"    {line[:300]}" for line in lines[:12]) or "    (it said nothing)"
                raise CompileFailed(
                    f"{self.name} does not compile what seqc wrote (exit status {status}):\n{shown}",
                    'this is a bug in seqc, or a broken compiler; `backend="reference"` runs without one',
                )
            return library.read_bytes()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def find_toolchain(arch: str = "native") -> Toolchain:
    """The compiler to use, tried once in a process for each `arch`: `native`, or a name the compiler knows (`x86-64-v3`).

    Raises NoCompiler (SEQ0601). ValueError for an `arch` that is no plain name.
    """
    if not _ARCH.fullmatch(arch):
        raise ValueError(f"{arch!r} is no name of an architecture")
    return _find(arch, os.environ.get("CC", ""), os.environ.get("PATH", os.defpath))


@functools.lru_cache(maxsize=16)
def _find(arch: str, chosen: str, path: str) -> Toolchain:
    reasons = []
    for command in _candidates(chosen, path):
        found = _examine(command, arch)
        if isinstance(found, Toolchain):
            return found
        reasons.append(found)
    if reasons:
        raise NoCompiler(f"there is no C compiler here that seqc can use: {'; '.join(reasons)}", _REMEDY)
    raise NoCompiler("there is no C compiler here (neither CC is set nor cc, gcc or clang on the path)", _REMEDY)


def _candidates(chosen: str, path: str) -> list[tuple[str, ...]]:
    """Commands to try, by absolute paths. `$CC` is a promise: where it is set, nothing else is tried."""
    if not chosen.strip():
        programs = [shutil.which(name, path=path) for name in ("cc", "gcc", "clang")]
        return [(os.path.abspath(p),) for p in dict.fromkeys(programs) if p]
    try:
        words = shlex.split(chosen)
    except ValueError:
        words = []
    if not words or len(words) > 2 or any(word.startswith("-") for word in words):
        raise NoCompiler(f"CC is `{chosen}`, which is not the name of a program", "set CC to a program without flags, such as `gcc`")
    programs = [shutil.which(word, path=path) for word in words]
    if None in programs:
        raise NoCompiler(f"CC is `{chosen}`, and `{words[programs.index(None)]}` is not there", "set CC to a C compiler, or unset it")
    return [tuple(os.path.abspath(p) for p in programs if p)]


def _examine(command: tuple[str, ...], arch: str) -> Toolchain | str:
    """The toolchain, or why it cannot be used."""
    said = ""
    for flags in (f"-march={arch}",), (f"-mcpu={arch}",), ():
        status, said = _run((*command, *flags, "-dM", "-E", "-x", "c", "-"), None, "")
        if status == 0 and "#define" in said:
            return _described(command, flags, said)
        if arch != "native":
            break
    first = next((line.strip() for line in said.splitlines() if line.strip()), "it says nothing")
    return f"`{Path(command[-1]).name}` does not work ({first[:200]})"


def _described(command: tuple[str, ...], arch: tuple[str, ...], listing: str) -> Toolchain | str:
    lines = sorted(line for line in listing.splitlines() if line.startswith("#define "))
    macros = dict((line.split(" ", 2) + [""])[1:3] for line in lines)
    clang = "__clang__" in macros
    parts = "__clang_major__ __clang_minor__ __clang_patchlevel__" if clang else "__GNUC__ __GNUC_MINOR__ __GNUC_PATCHLEVEL__"
    version = [macros.get(part, "0") for part in parts.split()]
    name = f"{'clang' if clang else 'gcc'} {'.'.join(version)}"
    if not version[0].isdigit() or int(version[0]) < (11 if clang else 9):
        old = f"{name} is too old (GCC 9 or Clang 11 is needed)"
        return old if "__GNUC__" in macros else f"`{Path(command[-1]).name}` is neither GCC nor Clang"
    known = {"x86_64": "__x86_64__", "aarch64": "__aarch64__", "ppc64": "__powerpc64__", "riscv": "__riscv", "i386": "__i386__"}
    target = next((word for word, macro in known.items() if macro in macros), "other")
    features = tuple(f for f in _FEATURES if f"__{f}__" in macros or f"__{f}" in macros)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    bare = Toolchain(command, name, target, arch, digest, features, openmp=False)
    return replace(bare, openmp=_has_threads(bare))


def _has_threads(bare: Toolchain) -> bool:
    """Whether a library with OpenMP can be made and loaded. Remembered on disk, because it takes a call of the compiler.

    Where not even one without it can be loaded (temporary files may not be executed), that says nothing about OpenMP.
    """
    from seqc.runtime.native.library import loads

    threaded = replace(bare, openmp=True)

    def ask() -> dict[str, bytes]:
        try:
            fine = loads(threaded.compile({"unit.c": _PROBE})) or not loads(bare.compile({"unit.c": _PROBE}))
        except CompileFailed:
            fine = False
        return {"probe.json": json.dumps({"openmp": fine}).encode()}

    parts = {"kind": "native probe", "probe": _PROBE, "command": "\0".join(bare.command), **threaded.key()}
    entry = Cache().entry(parts, ask, label=f"probe of {bare.name}")
    try:
        return bool(json.loads(entry.files["probe.json"])["openmp"])
    except (KeyError, ValueError, TypeError):
        return False


def _run(command: tuple[str, ...], folder: Path | None, text: str) -> tuple[int, str]:
    """Calls a program without a shell: (exit status, what it said on both streams)."""
    where = str(folder) if folder is not None else tempfile.gettempdir()
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ} | {"LC_ALL": "C", "TMPDIR": where}
    try:
        done = subprocess.run(
            list(command), input=text, capture_output=True, text=True, errors="replace",
            cwd=where, env=environment, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, f"it had not finished after {SECONDS:.0f} s"
    except OSError as error:
        return 127, f"it cannot be started: {error.strerror or error}"
    return done.returncode, done.stdout + done.stderr

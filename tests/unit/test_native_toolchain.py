"""Finding the C compiler, calling it, keeping what it made: with real compilers, with fake ones, and with none."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seqc.compiler.diagnostics.codes import CODES
from seqc.runtime.cache import Cache
from seqc.runtime.native import (
    CompileFailed,
    LoadFailed,
    NativeError,
    NoCompiler,
    Toolchain,
    find_toolchain,
    headers,
    library,
    load,
    toolchain,
)

HALF = '#include "vecmath.h"\nSQ_EXPORT float half_of(float x) { return x * 0.5f; }\n'

try:
    NATIVE: Toolchain | None = find_toolchain()
except NoCompiler:
    NATIVE = None
compiled = pytest.mark.skipif(NATIVE is None, reason="there is no C compiler here")


def tools() -> Toolchain:
    assert NATIVE is not None
    return NATIVE


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test has its own cache and forgets what others loaded or found."""
    monkeypatch.setenv("SEQC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(library, "_loaded", {})
    toolchain._find.cache_clear()


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# ---- finding it -------------------------------------------------------------------------------------------------------


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(NoCompiler, match=r"SEQ0601.*no C compiler") as caught:
        load(HALF)
    assert "install" in caught.value.remedy and "apt install gcc" in str(caught.value)
    assert caught.value.code == "SEQ0601" in CODES


@pytest.mark.parametrize("chosen", ["no-such-compiler", "gcc -ffast-math", "-O3", "a b c", "gcc; touch hacked", "$(touch hacked)", "'"])
def test_cc_is_one_program_and_a_promise(chosen: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What CC names is used or refused; nothing else is tried instead, nothing in it is run by a shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CC", chosen)
    with pytest.raises(NoCompiler, match="CC is"):
        find_toolchain()
    assert not (tmp_path / "hacked").exists()


@compiled
def test_cc_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = tools().command[-1]
    mine = program(tmp_path / "bin", "mycc", f'exec {real} "$@"')
    monkeypatch.setenv("CC", str(mine))
    assert find_toolchain().command == (str(mine),)
    launcher = program(tmp_path / "bin", "launch", 'exec "$@"')
    monkeypatch.setenv("CC", f"{launcher} {real}")
    assert find_toolchain().command == (str(launcher), real)


@pytest.mark.parametrize(
    "name,text,why",
    [
        ("old", "echo '#define __GNUC__ 4'; echo '#define __GNUC_MINOR__ 8'", "gcc 4.8.0 is too old"),
        (
            "clang5",
            "echo '#define __GNUC__ 4'; echo '#define __clang__ 1'; echo '#define __clang_major__ 5'",
            "clang 5.0.0 is too old",
        ),
        ("tcc", "echo '#define __TINYC__ 927'", "neither GCC nor Clang"),
        ("broken", "echo 'license expired' >&2; exit 1", "license expired"),
        ("silent", "exit 0", "does not work"),
    ],
)
def test_compilers_that_will_not_do(name: str, text: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", str(program(tmp_path / "bin", name, text)))
    with pytest.raises(NoCompiler, match=why):
        find_toolchain()


@compiled
def test_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin", "cc", "exit 1")
    (tmp_path / "bin" / "gcc").symlink_to(tools().command[-1])
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert find_toolchain().command == (str(tmp_path / "bin" / "gcc"),)


@compiled
def test_without_openmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler that takes -fopenmp but cannot link it (a Clang without libomp), and one that does not know -march=native."""
    refuse = 'for a in "$@"; do case "$a" in -fopenmp) [ -e unit.c ] && exit 1;; -march=native) exit 1;; esac; done'
    monkeypatch.setenv("CC", str(program(tmp_path / "bin", "cc", f'{refuse}\nexec {tools().command[-1]} "$@"')))
    found = find_toolchain()
    assert not found.openmp and "-fopenmp" not in found.arguments and "-march=native" not in found.arguments
    assert load(HALF).function("half_of", [ctypes.c_float], ctypes.c_float)(3.0) == 1.5


@pytest.mark.parametrize("arch", ["", "native -ffast-math", "../x", "a b", "-O0", "X" * 70, "x\n"])
def test_architectures_are_names(arch: str) -> None:
    with pytest.raises(ValueError, match="no name of an architecture"):
        find_toolchain(arch)


@compiled
def test_an_architecture_that_does_not_exist() -> None:
    with pytest.raises(NoCompiler, match="does not work"):
        find_toolchain("no-such-cpu")


# ---- calling it -------------------------------------------------------------------------------------------------------


@compiled
def test_arguments_hold_no_fast_math_and_no_paths() -> None:
    arguments = tools().arguments
    assert "-ffp-contract=off" in arguments and "-O3" in arguments
    forbidden = re.compile(r"fast|unsafe|finite-math|associative|reciprocal|no-signed-zeros|daz|ftz|/|\\|-I|-L|-D|-Wl|@|%")
    assert not [a for a in arguments if forbidden.search(a)]


@compiled
def test_how_it_is_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A private folder, no shell, an environment of our own; nothing is left behind."""
    log = tmp_path / "log"
    real = tools().command[-1]
    text = f'{{ pwd; stat -c %a .; env; printf "%s\\n" "$@"; ls; }} >> {log}\nexec {real} "$@"'
    monkeypatch.setenv("CC", str(program(tmp_path / "bin", "cc", text)))
    for name in (
        "CPATH",
        "C_INCLUDE_PATH",
        "LIBRARY_PATH",
        "GCC_EXEC_PREFIX",
        "CFLAGS",
        "LD_PRELOAD_X",
        "CCC_OVERRIDE_OPTIONS",
    ):
        monkeypatch.setenv(name, "/evil")
    found = find_toolchain()
    log.write_text("")
    assert found.compile({**headers(), "unit.c": HALF})
    said = log.read_text()
    folder, mode = said.splitlines()[:2]
    assert mode == "700" and not Path(folder).exists()
    assert "/evil" not in said and "unit.c" in said and "vecmath.h" in said


@compiled
def test_what_the_compiler_says_is_shown() -> None:
    with pytest.raises(CompileFailed, match=r"SEQ0602.*does not compile") as caught:
        load("int f(void) { return no_such_name; }\n")
    assert "no_such_name" in str(caught.value) and "bug in seqc" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 20


@compiled
def test_a_compiler_that_hangs_or_makes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = tools()
    monkeypatch.setattr(toolchain, "SECONDS", 0.3)
    hang = Toolchain((str(program(tmp_path / "bin", "hang", "exec sleep 20")),), *_rest(found))
    with pytest.raises(CompileFailed, match=r"not finished after"):
        hang.compile({"unit.c": HALF})
    monkeypatch.setattr(toolchain, "SECONDS", 20.0)
    nothing = Toolchain((str(program(tmp_path / "bin", "nothing", "exit 0")),), *_rest(found))
    with pytest.raises(CompileFailed, match=r"it said nothing"):
        nothing.compile({"unit.c": HALF})
    gone = Toolchain((str(tmp_path / "gone"),), *_rest(found))
    with pytest.raises(CompileFailed, match=r"cannot be started"):
        gone.compile({"unit.c": HALF})


def _rest(t: Toolchain) -> tuple[str, str, tuple[str, ...], str, tuple[str, ...], bool]:
    return t.name, t.target, t.arch, t.digest, t.features, t.openmp


@compiled
@pytest.mark.parametrize("flag", ["-ffast-math", "-ffinite-math-only"])
def test_the_header_refuses_fast_math(flag: str, tmp_path: Path) -> None:
    for name, text in {**headers(), "unit.c": HALF}.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run([*tools().command, flag, "-c", "unit.c"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "must not be compiled with -ffast-math" in done.stderr


@compiled
@pytest.mark.parametrize("define", ["", "#define SQ_GENERIC 1\n"])
def test_the_header_gives_no_warnings(define: str, tmp_path: Path) -> None:
    for name, text in {**headers(), "unit.c": define + HALF}.items():
        (tmp_path / name).write_text(text)
    arguments = [a for a in tools().arguments if a != "-w"]
    strict = ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-Wno-psabi"]
    done = subprocess.run([*tools().command, *strict, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- keeping and loading ----------------------------------------------------------------------------------------------


@compiled
def test_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(HALF)
    assert not first.found and 0 < first.seconds < 60
    assert load(HALF) is first, "once in a process"
    monkeypatch.setattr(library, "_loaded", {})
    second = load(HALF)
    assert second.found and second.seconds == 0 and second.key == first.key, "once on disk"
    assert second.function("half_of", [ctypes.c_float], ctypes.c_float)(5.0) == 2.5
    assert not load(HALF.replace("0.5f", "0.25f")).found, "another text"


@compiled
def test_what_is_in_the_key() -> None:
    """Compiler, instruction sets, arguments, headers and text: any other one is another library."""
    base = library.parts_of(HALF, tools())
    assert set(base) == {"kind", "format", "source", "headers", "compiler", "predefined", "arguments"}
    fields = list(_rest(tools()))
    other = [library.parts_of(HALF + " ", tools())]
    for at, value in ((0, "gcc 99"), (2, ("-march=other",)), (3, "0" * 64), (5, not fields[5])):
        changed = fields.copy()
        changed[at] = value
        other.append(library.parts_of(HALF, Toolchain(tools().command, *changed)))
    assert all(o != base for o in other)
    elsewhere = Toolchain(("/elsewhere/cc",), *fields)
    assert library.parts_of(HALF, elsewhere) == base, "where the compiler lies does not matter"


@compiled
def test_headers_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = library.parts_of(HALF, tools())
    monkeypatch.setattr(library, "headers", lambda: {"vecmath.h": "other"})
    assert library.parts_of(HALF, tools()) != before


@compiled
def test_damage_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(HALF)
    code = bytearray(first.path.read_bytes())
    code[len(code) // 2] ^= 1
    replaced = first.path.with_name("new")
    replaced.write_bytes(code)
    os.replace(replaced, first.path)  # not in place: the first one is mapped
    monkeypatch.setattr(library, "_loaded", {})
    with pytest.warns(UserWarning, match="damaged"):
        again = load(HALF)
    assert not again.found and again.function("half_of", [ctypes.c_float], ctypes.c_float)(1.0) == 0.5


@compiled
def test_nowhere_to_keep_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="nothing is kept"):
        found = load(HALF, cache=Cache(tmp_path / "file" / "below"))
    assert found.function("half_of", [ctypes.c_float], ctypes.c_float)(1.0) == 0.5


@compiled
def test_a_disk_that_forbids_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = ctypes.CDLL

    def refuse(path: str) -> ctypes.CDLL:
        if str(tmp_path) in path:
            raise OSError("failed to map segment from shared object")
        return real(path)

    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    found = load(HALF)
    assert str(tmp_path) not in str(found.path)
    assert found.function("half_of", [ctypes.c_float], ctypes.c_float)(1.0) == 0.5
    monkeypatch.setattr(library, "_loaded", {})

    def never(path: str) -> ctypes.CDLL:
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(library.ctypes, "CDLL", never)
    with pytest.raises(LoadFailed, match="SEQ0603.*failed to map"):
        load(HALF)


@compiled
def test_a_function_that_is_not_there() -> None:
    with pytest.raises(LoadFailed, match="no function `nowhere`"):
        load(HALF).function("nowhere", [])


@compiled
def test_only_exports_are_seen() -> None:
    hidden = load('#include "vecmath.h"\nfloat inner(float x) { return x; }\nSQ_EXPORT float outer(float x) { return inner(x); }\n')
    assert hidden.function("outer", [ctypes.c_float], ctypes.c_float)(2.0) == 2.0
    with pytest.raises(LoadFailed):
        hidden.function("inner", [])


@compiled
def test_threads_wait_for_one_compilation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("CC", str(program(tmp_path / "bin", "cc", f'echo x >> {log}\nexec {tools().command[-1]} "$@"')))
    found = find_toolchain()
    log.write_text("")
    results: list[library.Library] = []
    threads = [threading.Thread(target=lambda: results.append(load(HALF, toolchain=found))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(r) for r in results}) == 1 and len(results) == 6
    assert log.read_text().count("x") == 1


def _one(folder: str, number: int) -> float:
    os.environ["SEQC_CACHE_DIR"] = folder
    from seqc.runtime.native import load as again

    return float(again(HALF).function("half_of", [ctypes.c_float], ctypes.c_float)(float(number)))


@compiled
def test_processes_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_one, [(str(tmp_path / "shared"), n) for n in range(6)]) == [n / 2 for n in range(6)]
    entries = [e for e in Cache(tmp_path / "shared").listed() if e.label == "native code"]
    assert len(entries) == 1 and entries[0].sound


DENORMALS = """
import ctypes, sys
import torch
from seqc.runtime.native import load

def kept():
    small = torch.full((64,), 1.5e-38)
    made, used = small * 0.5 * 2.0**60, torch.full((64,), 1e-40) * 2.0**60
    wide = torch.full((64,), 1e-300, dtype=torch.float64) * 1e-20 * 1e100
    return bool((made != 0).all()) and bool((used != 0).all()) and bool((wide != 0).all())

assert kept()
library = load(sys.stdin.read())
library.function("half_of", [ctypes.c_float], ctypes.c_float)(1.0)
assert kept(), "denormals are gone"
assert library.function("half_of", [ctypes.c_float], ctypes.c_float)(2e-40) * 2.0**60 != 0
"""


@compiled
def test_loading_leaves_denormals_alone() -> None:
    done = subprocess.run([sys.executable, "-c", DENORMALS], input=HALF, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@compiled
def test_a_library_that_flushes_denormals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a compiler with its own fast-math start-up code would give, planted in a process of its own."""
    if tools().target != "x86_64":
        pytest.skip("written for x86")
    planted = (
        "#include <xmmintrin.h>\n__attribute__((constructor)) static void flush(void) { _mm_setcsr(_mm_getcsr() | 0x8040u); }\n"
        '__attribute__((visibility("default"))) float half_of(float x) { return x * 0.5f; }\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom seqc.runtime.native import load\nload(sys.stdin.read())"],
        input=planted, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode and "SEQ0603" in done.stderr and "denormals" in done.stderr


@compiled
def test_one_pool_of_threads() -> None:
    """torch's OpenMP library is the only one in the process, so that two pools never fight for the cores."""
    if not tools().openmp or not Path("/proc/self/maps").exists() or not tools().name.startswith("gcc"):
        pytest.skip("needs GCC's OpenMP and /proc")
    script = (
        "import sys\nfrom seqc.runtime.native import load\nload(sys.stdin.read())\nimport torch\n"
        "found = {line.split()[-1] for line in open('/proc/self/maps') if 'libgomp' in line}\nassert len(found) <= 1, found\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=HALF, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_errors_have_entries() -> None:
    for kind in (NoCompiler, CompileFailed, LoadFailed):
        assert issubclass(kind, NativeError) and kind.code in CODES
        assert str(kind("what", "remedy")) == f"[{kind.code}] what\nhelp: remedy"

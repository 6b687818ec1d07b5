"""The cache gives the right answer whatever happens to the disk."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqc.compiler.driver.cache import Cache, CacheWarning, default_root, key_of

PARTS = {"spec": "cell", "version": "1"}
FILES = {"module.py": b"x = 1\n", "code.bin": bytes(range(256)) * 40}


class Maker:
    """Counts how often it is asked."""

    def __init__(self, files: Mapping[str, bytes] = FILES) -> None:
        self.files = files
        self.calls = 0

    def __call__(self) -> Mapping[str, bytes]:
        self.calls += 1
        return self.files


def the_folder(root: Path) -> Path:
    (manifest,) = root.glob("v1/??/*/manifest.json")
    return manifest.parent


def test_made_once_and_found_by_the_next(tmp_path: Path) -> None:
    make = Maker()
    first = Cache(tmp_path / "c").entry(PARTS, make, label="gru")
    second = Cache(tmp_path / "c").entry(PARTS, make)
    assert make.calls == 1 and not first.found and second.found
    assert dict(first.files) == dict(second.files) == FILES
    assert second.path("module.py").read_bytes() == FILES["module.py"]
    assert second.folder == the_folder(tmp_path / "c")
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert [e.label for e in Cache(tmp_path / "c").listed()] == ["gru"]


def test_other_parts_are_another_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.entry({"spec": "a"}, Maker({"f": b"1"}))
    assert cache.entry({"spec": "b"}, Maker({"f": b"2"})).files["f"] == b"2"
    assert len(cache.listed()) == 2


parts = st.dictionaries(st.text(max_size=4), st.text(max_size=6) | st.binary(max_size=6), max_size=4)


@given(parts, parts)
def test_keys_are_equal_only_for_equal_parts(a: dict[str, str | bytes], b: dict[str, str | bytes]) -> None:
    assert (key_of(a) == key_of(b)) == (a == b)
    assert key_of(a) == key_of(dict(reversed(a.items())))


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEQC_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_root() == tmp_path / "own"
    monkeypatch.delenv("SEQC_CACHE_DIR")
    assert default_root() == tmp_path / "xdg" / "seqc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == tmp_path / "home" / ".cache" / "seqc"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert default_root() is None
    make = Maker()
    cache = Cache()
    with pytest.warns(CacheWarning, match="no home"):
        entry = cache.entry(PARTS, make)
    assert entry.files == FILES and entry.folder is None
    assert entry.path("module.py").read_bytes() == FILES["module.py"]
    cache.entry(PARTS, make)
    assert make.calls == 1, "an entry in memory is made once"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def delete(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("harm", [cut, empty, flip, lengthen, delete])
@pytest.mark.parametrize("name", ["module.py", "code.bin", "manifest.json"])
def test_damage_is_noticed_and_mended(tmp_path: Path, harm: Callable[[Path], None], name: str) -> None:
    if (harm, name) == (lengthen, "manifest.json"):
        harm = empty
    Cache(tmp_path).entry(PARTS, Maker())
    harm(the_folder(tmp_path) / name)
    make = Maker()
    with pytest.warns(CacheWarning, match="damaged") as caught:
        entry = Cache(tmp_path).entry(PARTS, make)
    assert len(caught) == 1 and make.calls == 1 and entry.files == FILES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Cache(tmp_path).entry(PARTS, Maker()).found


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, b'{"key": "no", "label": "", "files": []}', b"9" * 5000,
        b'{"files": [{"name": 1}]}',
    ],
)  # fmt: skip
def test_no_manifest_is_believed_blindly(tmp_path: Path, manifest: bytes) -> None:
    Cache(tmp_path).entry(PARTS, Maker())
    (the_folder(tmp_path) / "manifest.json").write_bytes(manifest)
    with pytest.warns(CacheWarning, match="damaged"):
        assert Cache(tmp_path).entry(PARTS, Maker()).files == FILES


@pytest.mark.parametrize("name", ["../escaped", "/etc/hostname", ".hidden", "a/b", ""])
def test_manifest_cannot_reach_out(tmp_path: Path, name: str) -> None:
    Cache(tmp_path).entry(PARTS, Maker())
    file = the_folder(tmp_path) / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["files"][0]["name"] = name
    file.write_text(json.dumps(manifest))
    with pytest.warns(CacheWarning, match="cannot be"):
        assert Cache(tmp_path).entry(PARTS, Maker()).files == FILES


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "manifest.json", "", "x" * 200])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name of a file"):
        Cache(tmp_path).entry(PARTS, Maker({name: b""}))


def test_what_the_maker_raises_passes_through(tmp_path: Path) -> None:
    def broken() -> Mapping[str, bytes]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        Cache(tmp_path).entry(PARTS, broken)
    assert Cache(tmp_path).entry(PARTS, Maker()).files == FILES


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["mkdtemp", "fsync", "rename", "mkdir"])
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    target = {"mkdtemp": "tempfile.mkdtemp", "fsync": "os.fsync", "rename": "os.rename", "mkdir": "pathlib.Path.mkdir"}[call]
    make = Maker()
    cache = Cache(tmp_path / "c")
    with monkeypatch.context() as patch:
        patch.setattr(target, refuse)
        with pytest.warns(CacheWarning, match="nothing is kept") as caught:
            assert cache.entry(PARTS, make).files == FILES
            assert cache.entry({"other": ""}, make).files == FILES
        assert len(caught) == 1, "said once"
    assert not list(tmp_path.glob("c/v1/.new-*")), "nothing is left behind"
    assert Cache(tmp_path / "c").entry(PARTS, make).files == FILES


def test_unreadable_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path).entry(PARTS, Maker())
    true_open = open

    def refuse(file: object, *args: object, **named: object) -> object:
        if str(file).endswith("module.py") and "rb" in args:
            raise PermissionError(errno.EACCES, "no")
        return true_open(file, *args, **named)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        with pytest.warns(CacheWarning):
            assert Cache(tmp_path).entry(PARTS, Maker()).files == FILES


def test_foreign_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path).entry(PARTS, Maker({"module.py": b"evil"}))
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.warns(CacheWarning, match="another user"):
        assert Cache(tmp_path).entry(PARTS, Maker()).files == FILES


def test_open_folder_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    Cache(tmp_path).entry(PARTS, Maker())
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("")
    with pytest.warns(CacheWarning, match="cannot be made"):
        assert Cache(tmp_path / "c").entry(PARTS, Maker()).files == FILES


def test_the_oldest_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=35_000)
    for n in range(5):
        entry = cache.entry({"n": str(n)}, Maker({"f": bytes(10_000)}))
        assert entry.folder is not None
        os.utime(entry.folder, (1000 + n, 1000 + n))
    assert cache.size() <= 35_000
    kept = {e.key for e in cache.listed()}
    assert kept == {key_of({"n": str(n)}) for n in (2, 3, 4)}
    cache.entry({"n": "2"}, Maker())
    cache.entry({"n": "9"}, Maker({"f": bytes(10_000)}))
    assert key_of({"n": "2"}) in {e.key for e in cache.listed()}, "what was used again stays"


def test_one_that_is_larger_than_the_limit(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10)
    assert cache.entry(PARTS, Maker()).files == FILES
    assert Cache(tmp_path, limit=10).entry(PARTS, Maker()).found


def test_clear_and_verify(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for n in range(4):
        cache.entry({"n": str(n)}, Maker())
    assert cache.verify() == []
    flip(next(iter(tmp_path.glob("v1/??/*/module.py"))))
    assert len([e for e in cache.listed() if not e.sound]) == 1
    assert len(cache.verify()) == 1 and len(cache.listed()) == 3
    (tmp_path / "v1" / ".new-dead").mkdir()
    assert cache.clear() == 3 and cache.size() == 0 and not list((tmp_path / "v1").glob(".*"))


def test_leftovers_of_the_dead_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.entry(PARTS, Maker())
    old, new = tmp_path / "v1" / ".new-old", tmp_path / "v1" / ".new-new"
    old.mkdir(), new.mkdir()
    os.utime(old, (1, 1))
    cache.entry({"n": ""}, Maker())
    assert not old.exists() and new.exists()


def hammer(root: str, rounds: int, seed: int, failures: multiprocessing.Queue[str]) -> None:
    """One of several processes: uses, damages and clears the same entries."""
    warnings.simplefilter("ignore")
    try:
        for n in range(rounds):
            cache = Cache(root, limit=60_000)
            number = str((n + seed) % 3)
            expected = {"module.py": number.encode() * 5000, "x.bin": b"\0" * 3000}
            got = cache.entry({"n": number}, Maker(expected))
            if dict(got.files) != expected:
                failures.put(f"process {seed}, round {n}: wrong bytes")
            if got.folder is not None and (n + seed) % 7 == 0:
                try:
                    flip(got.folder / "module.py")
                except (OSError, IndexError):  # gone, or being harmed by another
                    pass
            if (n * 8 + seed) % 29 == 0:
                cache.clear()
    except BaseException as error:
        failures.put(f"process {seed}: {error!r}")


@pytest.mark.slow
def test_eight_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    failures: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=hammer, args=(str(tmp_path), 40, n, failures)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    assert failures.empty(), failures.get()


KILLED = """
import sys, os, warnings
from seqc.compiler.driver.cache import Cache
warnings.simplefilter("ignore")
n = 0
while True:
    Cache(sys.argv[1]).entry({"n": str(n % 5)}, lambda: {"a.py": b"a" * 200_000, "b.py": b"b" * 100})
    if n % 5 == 4:
        Cache(sys.argv[1]).clear()
    if n == 0:
        print("on", flush=True)
    n += 1
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_killed_while_writing(tmp_path: Path) -> None:
    for attempt in range(6):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout and child.stdout.readline() == "on\n"
            time.sleep(0.013 * attempt)
            child.kill()
        assert all(e.sound for e in Cache(tmp_path).listed()), "what can be seen is whole"
        for n in range(5):
            got = Cache(tmp_path).entry({"n": str(n)}, lambda: {"a.py": b"a" * 200_000, "b.py": b"b" * 100})
            assert got.files["a.py"] == b"a" * 200_000

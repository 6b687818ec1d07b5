"""A content-addressed cache on disk, for generated modules and compiled code.

In:   the parts that determine a result (a mapping of text), and a function that makes its files.
Out:  an `Entry` with the files' bytes, checked against their SHA-256, and their folder where they lie on disk.
Keeps: the right answer whatever happens to the disk. A cache that is read-only, full, damaged, somebody else's or nowhere
      costs time and one warning, never a wrong or missing result: the entry then lives in memory (and in a private temporary
      folder where a path is asked for).

Layout: ROOT/v1/KK/KEY/ with the files and `manifest.json` (name, size and SHA-256 of each). An entry is written in a folder
whose name starts with a dot, on the same file system, synced, and renamed once; whoever comes second uses what is there.
Readers trust only what the manifest vouches for; a damaged entry is moved aside, made again, and mentioned once. There are no
locks: two processes may do the same work, and one of them wins. Over the size limit, the entries used longest ago go first.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FORMAT = "v1"
_MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")
_KEY = re.compile(r"[0-9a-f]{64}")
_LARGEST_MANIFEST = 1 << 20
_STALE = 24 * 3600.0
_TOUCH = 3600.0

LIMIT = 512 << 20
"""Bytes that the cache may take before old entries are removed."""

Build = Callable[[], Mapping[str, bytes]]


class CacheWarning(UserWarning):
    """The cache could not be used, or held something damaged; the result is right all the same."""


class _Damaged(Exception):
    """An entry that is not what its manifest says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Files by name, as they were checked.

    key     SHA-256 of the parts
    files   their contents
    folder  where they lie, or None while they live in memory only
    found   whether they were there already
    """

    key: str
    files: Mapping[str, bytes]
    folder: Path | None
    found: bool

    def path(self, name: str) -> Path:
        """A path to read `name` from; for an entry in memory, in a private folder that goes with the process."""
        content = self.files[name]
        if self.folder is not None:
            return self.folder / name
        folder = Path(tempfile.mkdtemp(prefix="seqc-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (folder / name).write_bytes(content)
        return folder / name


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `seqc cache list`."""

    key: str
    label: str
    size: int
    used: float
    sound: bool


def default_root() -> Path | None:
    """`$SEQC_CACHE_DIR`, else `$XDG_CACHE_HOME/seqc`, else `~/.cache/seqc`; None where there is no home."""
    if chosen := os.environ.get("SEQC_CACHE_DIR"):
        return Path(os.path.abspath(chosen))
    if (base := os.environ.get("XDG_CACHE_HOME")) and os.path.isabs(base):
        return Path(base) / "seqc"
    home = os.path.expanduser("~")
    return Path(home) / ".cache" / "seqc" if os.path.isabs(home) else None


def key_of(parts: Mapping[str, str | bytes]) -> str:
    """SHA-256 over names and values, each with its length before it, so that no two mappings run together."""
    digest = hashlib.sha256(f"seqc cache {_FORMAT}\n".encode())
    for name in sorted(parts):
        value = parts[name]
        kind, data = ("b", value) if isinstance(value, bytes) else ("s", value.encode("utf-8", "surrogatepass"))
        word = name.encode()
        digest.update(f"{len(word)} {kind} {len(data)}\n".encode() + word + data)
    return digest.hexdigest()


class Cache:
    """One folder of entries; see the head of this file.

    root    where; by default as `default_root` says
    limit   bytes to keep
    quiet   whether it says nothing where it cannot be used, or held something damaged
    """

    def __init__(self, root: Path | str | None = None, *, limit: int = LIMIT, quiet: bool = False) -> None:
        self.limit, self.quiet = limit, quiet
        self._memory: dict[str, Entry] = {}
        self._warned: set[str] = set()
        chosen = Path(os.path.abspath(root)) if root is not None else default_root()
        self.root = chosen
        self._base = chosen / _FORMAT if chosen is not None else None

    def entry(self, parts: Mapping[str, str | bytes], build: Build, *, label: str = "") -> Entry:
        """The files for `parts`: from disk where they are sound, else made by `build()` and kept for the next time.

        `label` is shown by `seqc cache list`. Whatever `build` raises passes through. Raises ValueError for a file name that
        is not made of letters, digits, `_`, `-` and `.`.
        """
        key = key_of(parts)
        if key in self._memory:
            return self._memory[key]
        ready = self._prepare()
        if ready is not None and (files := self._look(ready, key)) is not None:
            return Entry(key, files, self._folder(ready, key), found=True)
        files = {name: bytes(content) for name, content in build().items()}
        for name in files:
            if not _NAME.fullmatch(name) or name == _MANIFEST:
                raise ValueError(f"{name!r} cannot be the name of a file in the cache")
        if ready is not None and (entry := self._store(ready, key, files, label)) is not None:
            return entry
        self._memory[key] = Entry(key, files, None, found=False)
        return self._memory[key]

    def listed(self) -> list[Listed]:
        """Every entry, the one used last first. Reads and checks all of them."""
        found = []
        for folder in self._entries():
            label, sound = "", True
            try:
                _, label = _read(folder, folder.name)
            except (_Damaged, OSError):
                sound = False
            with contextlib.suppress(OSError):
                found.append(Listed(folder.name, label, _weight(folder), folder.stat().st_mtime, sound))
        return sorted(found, key=lambda e: (-e.used, e.key))

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(_weight(folder) for folder in self._entries())

    def clear(self) -> int:
        """Removes every entry, and what was left over; how many entries."""
        self._memory.clear()
        count = 0
        for folder in list(self._entries()):
            count += self._discard(folder)
        for folder in list(self._leftovers()):
            shutil.rmtree(folder, ignore_errors=True)
        return count

    def verify(self) -> list[str]:
        """Checks every entry and removes those that are damaged; their keys."""
        damaged = []
        for folder in list(self._entries()):
            try:
                _read(folder, folder.name)
            except FileNotFoundError:
                if folder.exists():
                    damaged.append(folder.name)
                    self._discard(folder)
            except (_Damaged, OSError):
                damaged.append(folder.name)
                self._discard(folder)
        return sorted(damaged)

    # Below: the disk.

    def _prepare(self) -> Path | None:
        """The folder to use: there, ours, and closed to others; None where that cannot be had."""
        if self.root is None or self._base is None:
            self._warn("there is no home folder to keep compiled modules in")
            return None
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._warn(f"{self.root} cannot be made ({error.strerror or error})")
            return None
        try:
            state = self.root.stat()
            if hasattr(os, "geteuid"):
                if state.st_uid != os.geteuid():
                    self._warn(f"{self.root} belongs to another user")
                    return None
                if stat.S_IMODE(state.st_mode) & 0o077:
                    os.chmod(self.root, 0o700)
        except OSError as error:
            self._warn(f"{self.root} cannot be closed to other users ({error.strerror or error})")
            return None
        return self._base

    def _folder(self, base: Path, key: str) -> Path:
        return base / key[:2] / key

    def _look(self, base: Path, key: str) -> Mapping[str, bytes] | None:
        """The checked files of an entry; None where there is none, or none that is sound."""
        folder = self._folder(base, key)
        try:
            files, _ = _read(folder, key)
        except FileNotFoundError:
            if not folder.is_dir():
                return None
            self._quarantine(folder, "a file is missing")
        except (_Damaged, OSError) as error:
            self._quarantine(folder, str(error))
        else:
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _TOUCH:
                    os.utime(folder)
            return files
        return None

    def _quarantine(self, folder: Path, why: str) -> None:
        """Moves a damaged entry out of the way, so that it is never read again."""
        if not self.quiet:
            warnings.warn(f"seqc: a damaged cache entry is made again ({folder.name[:12]}: {why})", CacheWarning, stacklevel=4)
        with contextlib.suppress(OSError):
            folder.rename(folder.parent.parent / f".bad-{folder.name[:16]}-{os.urandom(4).hex()}")

    def _store(self, base: Path, key: str, files: Mapping[str, bytes], label: str) -> Entry | None:
        """Writes an entry; None where the disk does not let us."""
        folder = self._folder(base, key)
        work: Path | None = None
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
            listing = []
            for name in sorted(files):
                _write(work / name, files[name])
                listing.append({"name": name, "size": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()})
            manifest = {"key": key, "label": label, "files": listing}
            _write(work / _MANIFEST, json.dumps(manifest, sort_keys=True, indent=1).encode())
            _sync(work)
            for _ in range(3):
                try:
                    os.rename(work, folder)
                except OSError:
                    if not folder.is_dir():
                        raise
                    theirs = self._look(base, key)  # another process was quicker; a damaged one is moved away
                    if theirs is not None:
                        return Entry(key, theirs, folder, found=True)
                else:
                    work = None
                    _sync(folder.parent)
                    self._shrink(folder)
                    return Entry(key, dict(files), folder, found=False)
        except OSError as error:
            self._warn(f"{self.root} cannot be written ({error.strerror or error})")
        finally:
            if work is not None:
                shutil.rmtree(work, ignore_errors=True)
        return None

    def _shrink(self, newest: Path) -> None:
        """Removes what was used longest ago until the limit holds, and leftovers of processes that died."""
        entries = []
        for folder in self._entries():
            with contextlib.suppress(OSError):
                entries.append((folder.stat().st_mtime, _weight(folder), folder))
        total = sum(weight for _, weight, _ in entries)
        for _, weight, folder in sorted(entries, key=lambda e: (e[0], e[2])):
            if total <= self.limit:
                break
            if folder != newest and self._discard(folder):
                total -= weight
        for folder in list(self._leftovers()):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _STALE:
                    shutil.rmtree(folder, ignore_errors=True)

    def _discard(self, folder: Path) -> bool:
        """Takes an entry away in one move, then deletes it; whether it was there."""
        aside = folder.parent.parent / f".gone-{os.urandom(8).hex()}"
        try:
            folder.rename(aside)
        except OSError:
            return False
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def _entries(self) -> Iterator[Path]:
        for group in _inside(self._base):
            if not group.name.startswith("."):
                for folder in _inside(group):
                    if _KEY.fullmatch(folder.name):
                        yield folder

    def _leftovers(self) -> Iterator[Path]:
        return (folder for folder in _inside(self._base) if folder.name.startswith("."))

    def _warn(self, why: str) -> None:
        if why not in self._warned and not self.quiet:
            self._warned.add(why)
            warnings.warn(f"seqc: nothing is kept for the next run: {why}", CacheWarning, stacklevel=4)


def _read(folder: Path, key: str) -> tuple[dict[str, bytes], str]:
    """The files of an entry and its label. Raises `_Damaged`, FileNotFoundError or another OSError."""
    with open(folder / _MANIFEST, "rb") as stream:
        raw = stream.read(_LARGEST_MANIFEST + 1)
    try:
        manifest = json.loads(raw[:_LARGEST_MANIFEST])
        listing = [(str(f["name"]), int(f["size"]), str(f["sha256"])) for f in manifest["files"]]
        label, written_for = str(manifest["label"]), manifest["key"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _Damaged("its manifest cannot be read") from None
    if written_for != key:
        raise _Damaged("its manifest is another entry's")
    files = {}
    for name, size, digest in listing:
        if not _NAME.fullmatch(name):
            raise _Damaged("its manifest names a file that cannot be")
        with open(folder / name, "rb") as stream:
            content = stream.read(size + 1)
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            raise _Damaged(f"{name} is not what was written")
        files[name] = content
    return files, label


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Makes a folder's names durable, where the system knows how."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _inside(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    try:
        return sorted(Path(e.path) for e in os.scandir(folder) if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _weight(folder: Path) -> int:
    try:
        return sum(e.stat(follow_symlinks=False).st_size for e in os.scandir(folder))
    except OSError:
        return 0

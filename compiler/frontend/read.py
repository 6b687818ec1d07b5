"""Files to sources.

In:   a path.     Out:  a clean `Source`, or None with the reason in the sink.
Refuses: a file that is not there (SEQ0280, with what is near by name), one that cannot be read (SEQ0281), a name that is no
identifier (SEQ0287), and what `hygiene.py` refuses. Reads regular files only, and never more than the limit.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.frontend.bundled import all_bundled, bundled
from seqc.compiler.frontend.hygiene import decode
from seqc.compiler.frontend.limits import DEFAULT_LIMITS, Limits

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
SUFFIX: Final = ".seq"


def read_source(path: str, sink: Sink, limits: Limits = DEFAULT_LIMITS, shown: str | None = None) -> Source | None:
    """The text of the file at `path`; messages call it `shown`."""
    shown = path if shown is None else shown
    data = _bytes(path, shown, sink, limits)
    return None if data is None else decode(data, shown, sink, limits)


def check_name(path: str, sink: Sink) -> bool:
    """Whether the file name can be imported: an identifier and `.seq`."""
    stem, suffix = os.path.splitext(os.path.basename(path))
    if suffix == SUFFIX and _IDENTIFIER.fullmatch(stem):
        return True
    plain = re.sub(r"[^A-Za-z0-9_]", "_", stem)[:64] or "spec"
    plain = plain if _IDENTIFIER.fullmatch(plain) else f"spec_{plain}"[:64]
    sink.report(
        "SEQ0287",
        "the name of a spec's file is an identifier and ends with `.seq`",
        Span(path),
        label=f"call it `{plain}{SUFFIX}`",
    )
    return False


def missing(wanted: str, sink: Sink) -> None:
    """Reports that neither a file nor a bundled spec is called `wanted`, and what may have been meant."""
    shown = wanted if wanted.isprintable() and len(wanted) < 200 else "that name"
    folder, base = os.path.split(wanted)
    stem = base.removesuffix(SUFFIX)
    near = nearest(stem, _stems(folder or ".")) if len(wanted) < 200 else None
    spec = stem if stem in bundled() else nearest(stem, (b.stem for b in all_bundled()))
    notes: list[Note] = []
    if near is not None:
        notes.append(Note(f"did you mean the file `{os.path.join(folder, near + SUFFIX)}`?"))
    if spec is not None:
        notes.append(Note(f"there is a bundled spec `{spec}`" if spec == stem else f"did you mean the bundled spec `{spec}`?"))
    elif near is None:
        notes.append(Note("`seqc list` names the bundled specs"))
    looks = "file" if wanted.endswith(SUFFIX) or folder else "file or bundled spec"
    sink.report("SEQ0280", f"there is no {looks} `{shown}`", Span(wanted if shown == wanted else "?"), notes=tuple(notes))


def _stems(folder: str) -> list[str]:
    """The specs in a folder; at most a thousand names are looked at."""
    try:
        with os.scandir(folder) as entries:
            return [e.name.removesuffix(SUFFIX) for _, e in zip(range(1000), entries, strict=False) if e.name.endswith(SUFFIX)]
    except (OSError, ValueError):
        return []


def _bytes(path: str, shown: str, sink: Sink, limits: Limits) -> bytes | None:
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
            inside = sorted(p.name for p in Path(path).glob("*.seq"))[:5] if stat.S_ISDIR(mode) else []
            notes = (Note("in it: " + ", ".join(inside)),) if inside else ()
            sink.report("SEQ0281", f"`{shown}` is {what}", Span(shown), notes=notes)
            return None
        with open(path, "rb") as file:
            return file.read(limits.file_bytes + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        missing(path, sink)
    except OSError as wrong:
        sink.report("SEQ0281", f"`{shown}` cannot be read: {(wrong.strerror or 'unknown reason').lower()}", Span(shown))
    return None

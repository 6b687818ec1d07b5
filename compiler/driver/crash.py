"""A bug in seqc: what is told of it, and the file that lets somebody else see it.

An exception that no stage meant to raise becomes a `Crash`, which names the last stage that went well. The command line
shows it as a message with code SEQ0901 and writes a report: version, command, traceback and the spec's text.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence


class Crash(Exception):
    """A stage failed in a way that is seqc's fault. `stage` is where, `last_good` what had been done, `path` the spec."""

    def __init__(self, stage: str, last_good: str, path: str = "", text: str = "") -> None:
        after = f", after `{last_good}`" if last_good else ""
        super().__init__(f"a bug in seqc, in stage `{stage}`{after}" + (f", on {path}" if path else ""))
        self.stage = stage
        self.last_good = last_good
        self.path = path
        self.text = text


def version() -> str:
    """The installed version, or `unknown`."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("seqc")
    except PackageNotFoundError:
        return "unknown"


def report(error: BaseException, command: Sequence[str]) -> str:
    """The text of a bug report."""
    crash = error if isinstance(error, Crash) else None
    lines = [
        "seqc bug report",
        f"seqc {version()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"command: seqc {' '.join(command)}",
        f"stage: {crash.stage if crash else 'command line'}; last good stage: {(crash.last_good if crash else '') or 'none'}",
        "",
        *"".join(traceback.format_exception(error)).splitlines(),
    ]
    if crash and crash.text:
        lines += ["", f"---- {crash.path} ----", crash.text]
    return "\n".join(lines) + "\n"


def write_report(text: str) -> str:
    """Writes a report into the folder for temporary files, readable by its owner only; its path, or "" where that failed."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]
    try:
        handle, path = tempfile.mkstemp(prefix=f"seqc-bug-{digest}-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
    except OSError:
        return ""
    return path


def debugging() -> bool:
    """Whether SEQC_DEBUG asks for tracebacks."""
    return os.environ.get("SEQC_DEBUG", "") not in ("", "0")


def show(error: BaseException, command: Sequence[str]) -> str:
    """The message for the user, the report written beside it."""
    if debugging():
        traceback.print_exception(error, file=sys.stderr)
    path = write_report(report(error, command))
    crash = error if isinstance(error, Crash) else None
    cause = (error.__cause__ or error) if crash else error
    what = f"{type(cause).__name__}: {cause}".splitlines()[0][:300]
    out = ["error[SEQ0901]: this is a bug in seqc, not in your spec"]
    if crash:
        out.append(f"   = stage `{crash.stage}` failed; last good stage: {crash.last_good or 'none'}")
        if crash.path:
            out.append(f"   = while compiling {crash.path}")
    out.append(f"   = {what}")
    if path:
        out.append(f"   = a report with everything needed to see it again: {path}")
    out.append("help: please open an issue with that report; SEQC_DEBUG=1 shows the traceback")
    return "\n".join(out)

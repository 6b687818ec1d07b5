"""Every file of `tests/bad` gives the code of its header first, at the place that the header names.

A header is `# expect: SEQ0301 at 9:13, mended by its help`: the code, line and column (where they matter), and whether pasting the
help in place of the line (or of a line that a note points to) leaves nothing to say. A new file in the folder is a test.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqc.compiler.check import check
from seqc.compiler.diagnostics.codes import CODES
from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected, Sink
from seqc.compiler.frontend.imports import load, load_text

BAD = Path(__file__).resolve().parents[1] / "bad"
HEADER = re.compile(rb"# expect: (SEQ(?:\d{4}|-W\d\d))(?: at (\d+):(\d+))?(, mended by its help)?\s*$")
LAST = {"SEQ0150"}
"""Codes that come after others by their nature."""
STAGES = ("SEQ01", "SEQ02", "SEQ03", "SEQ04", "SEQ-W")
"""Codes of parsing and checking; what later stages refuse has its own tests."""
WITHOUT_TEXT = {
    "SEQ0146": "a limit on the file",
    "SEQ0147": "a limit on the file",
    "SEQ0280": "no file",
    "SEQ0281": "no file",
    "SEQ0285": "a link out of the folder",
    "SEQ0286": "a limit on files",
}
"""Codes that no single text can show; tests elsewhere trigger them."""


def header(path: Path) -> tuple[str, tuple[int, int] | None, bool]:
    for line in path.read_bytes().splitlines()[:2]:
        found = HEADER.match(line.lstrip(b"\xef\xbb\xbf"))
        if found is not None:
            place = (int(found[2]), int(found[3])) if found[2] else None
            return found[1].decode(), place, bool(found[4])
    raise AssertionError(f"{path.name} has no header `# expect: CODE`")


def findings(path: Path, text: str | None = None) -> list[Diagnostic]:
    sink = Sink()
    try:
        project = load(str(path), sink) if text is None else load_text(text, str(path), sink)
        if project is not None:
            check(project, sink)
    except Rejected:
        pass
    return list(sink.sorted())


FILES = sorted(BAD.glob("*.seq"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_code_of_the_header_comes_first(path: Path) -> None:
    code, place, mended = header(path)
    assert path.stem.startswith(code.replace("-", "").lower()), "a file is named for its code"
    if not code.startswith(STAGES):
        return
    found = findings(path)
    assert found, "nothing is found"
    assert found[-1 if code in LAST else 0].code == code, found[0].message
    assert all(d.message and "\n" not in d.message for d in found)
    if place is not None:
        assert (found[0].span.line, found[0].span.column) == place
        assert [d.code for d in found] == [code], "one mistake, one message"
    if mended:
        assert any(not findings(path, text) for text in pasted(path, found[0]))


def pasted(path: Path, d: Diagnostic) -> list[str]:
    """The text with the help in place of the line, and of each line that a note points to."""
    out = []
    for at in (d.span.line, *(n.span.line for n in d.notes if n.span.line)):
        lines = path.read_text("utf-8").split("\n")
        old = lines[at - 1]
        indent = old[: len(old) - len(old.lstrip())]
        lines[at - 1 : at] = [indent + line for line in d.help.split("\n")]
        out.append("\n".join(lines))
    return out


def test_every_code_has_a_file() -> None:
    shown = {header(path)[0] for path in FILES}
    missing = [c for c in CODES if c.startswith(STAGES) and c not in shown and c not in WITHOUT_TEXT]
    assert not missing
    assert not set(WITHOUT_TEXT) & shown


def test_there_are_enough() -> None:
    assert len(CODES) >= 60

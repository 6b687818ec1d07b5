"""Broken and hostile texts through parser and checker: never a traceback, never a hang, always a code and a place.

Over 5 000 mutants of every bundled spec and sketch, the same in each run: changed bytes, tokens and lines (`mutate.py`), and changed
meanings (`semantic.py`), of whole files and of single bodies with what they need.
"""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import pytest

from fuzz.bombs import bombs, limits
from fuzz.mutate import text_mutants
from fuzz.pieces import files, pieces
from fuzz.semantic import semantic_mutants
from fuzz.wellformed import faults
from seqc.compiler.check import check
from seqc.compiler.diagnostics.codes import CODES
from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected, Sink
from seqc.compiler.diagnostics.render import render_all
from seqc.compiler.frontend.imports import load_text
from seqc.compiler.ir import spec

WHOLE = 4
"""Mutants of each whole file."""
PIECE = 6
"""Mutants of each body, broken ones and changed ones each."""
LONGEST = 3000
SECONDS = 2.0


def outcome(text: str, path: str) -> tuple[spec.Program | None, list[Diagnostic]]:
    """The program, or None, and the findings; anything but a rejection is a failure. Measured in time of this process."""
    sink = Sink()
    before = time.process_time()
    program = None
    project = None
    try:
        project = load_text(text, path, sink)
        if project is not None:
            program = check(project, sink)
    except Rejected:
        pass
    spent = time.process_time() - before
    assert spent < SECONDS, f"{spent:.1f} s"
    found = list(sink.sorted())
    if program is None:
        judge(found, text, path)
        sources = project.sources if project is not None else {}
        assert render_all(found, sources)
    return program, found


def judge(found: list[Diagnostic], text: str, path: str) -> None:
    """A rejected text has an error with a known code and a place inside of the file."""
    errors = [d for d in found if d.severity == "error"]
    assert errors, "rejected without a reason"
    lines = text.split("\n")
    for d in errors:
        assert d.code in CODES
        assert d.message
    placed = [d.span for d in errors if d.span.file == path]
    assert placed
    for s in placed:
        assert 1 <= s.line <= len(lines) + 1, s
        assert s.column >= 1 and (s.end_line, s.end_column) >= (s.line, s.column), s


def seed(*words: object) -> int:
    return zlib.crc32(repr(words).encode())


def mutants(path: Path) -> list[str]:
    """All mutants of one file."""
    text = path.read_text("utf-8")
    out = [*text_mutants(text, WHOLE, seed(path.name)), *semantic_mutants(text, WHOLE, seed(path.name, 1))]
    for where, name, piece in pieces():
        if where == path and len(piece) <= LONGEST:
            out += text_mutants(piece, PIECE, seed(path.name, name))
            out += semantic_mutants(piece, PIECE, seed(path.name, name, 1))
    return out


@pytest.mark.parametrize("path", files(), ids=lambda p: p.stem)
def test_mutants(path: Path) -> None:
    for number, text in enumerate(mutants(path)):
        try:
            program, _ = outcome(text, str(path))
            assert program is None or not list(faults(program))
        except Exception as wrong:
            raise AssertionError(f"mutant {number} of {path.name}: {wrong!r}\n{text}") from wrong


def test_there_are_enough_mutants() -> None:
    short = sum(len(text) <= LONGEST for _, _, text in pieces())
    assert 2 * WHOLE * len(files()) + 2 * PIECE * short >= 5000


@pytest.mark.parametrize("path", files(), ids=lambda p: p.stem)
def test_sound_files_are_well_formed(path: Path) -> None:
    program, found = outcome(path.read_text("utf-8"), str(path))
    assert program is not None and not found
    assert not list(faults(program))


def test_pieces_are_sound() -> None:
    """What the mutants are made from is not broken to begin with."""
    for path, name, text in pieces()[::7]:
        assert outcome(text, str(path))[0] is not None, (path, name)


@pytest.mark.parametrize("name", bombs())
def test_bombs(name: str) -> None:
    """Texts that grow when they are looked at end in time; those that are beyond a limit end with its code."""
    text, codes = bombs()[name]
    program, found = outcome(text, "bomb.seq")
    assert (program is None) == bool(codes)
    assert {d.code for d in found if d.severity == "error"} == set(codes), [d.message for d in found][:3]


@pytest.mark.parametrize("name", limits())
def test_limits(name: str) -> None:
    """At a limit a text passes, one beyond it does not."""
    at, beyond, code = limits()[name]
    assert outcome(at, "limit.seq")[0] is not None
    program, found = outcome(beyond, "limit.seq")
    assert program is None and found[0].code == code

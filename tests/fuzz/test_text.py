"""Broken texts give diagnostics and never a traceback; random trees print to texts that give them back."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzz.mutate import mutants, text_mutants
from fuzz.syntax_trees import EXPRESSIONS, FILES
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.render import render_all, to_json
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.frontend.format import format_file
from seqc.compiler.frontend.hygiene import decode
from seqc.compiler.frontend.imports import load_text
from seqc.compiler.frontend.parse import parse
from seqc.compiler.frontend.unparse import text_of
from seqc.compiler.ir import syntax as s

SKETCHES = sorted((Path(__file__).resolve().parent.parent / "sketches").glob("*.seq"))
SOUND = SKETCHES + [b.path for b in all_bundled()]
EACH = 12
QUIET = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def held(text: str) -> None:
    """Parses a text; whatever is wrong with it is said, at a place inside of it, in a form that can be shown."""
    source, sink = Source("a.seq", text), Sink()
    file = parse(source, sink)
    assert (file is None) == sink.failed
    lines = text.replace("\r\n", "\n").split("\n")
    for found in sink.found:
        assert found.code.startswith("SEQ01") and found.message
        assert 1 <= found.span.line <= len(lines) and 1 <= found.span.column <= len(lines[found.span.line - 1]) + 2
        assert len(found.message) < 400 and "\n" not in found.message
    assert len(sink.found) <= 60
    shown = render_all(sink.sorted(), {"a.seq": source})
    assert "\x1b" not in shown and "\u202e" not in shown
    assert all(isinstance(to_json(d)["line"], int) for d in sink.found)
    if file is not None:
        new = format_file(source, file)
        again = Source("a.seq", new)
        same = parse(again, sink)
        assert same == file
        assert format_file(again, same) == new
        assert parse(Source("a.seq", text_of(file)), sink) == file


@pytest.mark.parametrize("path", SOUND, ids=lambda p: p.stem)
def test_mutants(path: Path) -> None:
    text = path.read_text("utf-8")
    for number, mutant in enumerate(text_mutants(text, EACH, seed=len(text))):
        start = time.process_time()
        try:
            held(mutant)
        except Exception as wrong:
            raise AssertionError(f"mutant {number} of {path.name}:\n{mutant}") from wrong
        assert time.process_time() - start < 2


def test_mutants_are_the_same_for_the_same_seed() -> None:
    text = SKETCHES[0].read_text("utf-8")
    assert list(mutants(text, 30, 7)) == list(mutants(text, 30, 7)) != list(mutants(text, 30, 8))


@pytest.mark.parametrize("path", SKETCHES[::6], ids=lambda p: p.stem)
def test_broken_bytes(path: Path) -> None:
    for data in mutants(path.read_text("utf-8"), EACH, seed=3):
        sink = Sink()
        source = decode(data, "a.seq", sink)
        assert (source is None) == bool(sink.found)
        if source is not None:
            load_text(source.text, "<text>", sink)


def test_most_mutants_are_broken_and_some_are_not() -> None:
    verdicts = []
    for path in SKETCHES[::5]:
        for mutant in text_mutants(path.read_text("utf-8"), 10, seed=1):
            verdicts.append(parse(Source("a.seq", mutant), Sink()) is None)
    assert 0.3 < sum(verdicts) / len(verdicts) < 0.97


@QUIET
@given(st.text(max_size=200))
@example("seq 1\n\n\x00")
@example("seq 1\ncell A over t:\n \t x")
@example('"""')
@example("seq 1\n(\n[\n")
def test_any_text(text: str) -> None:
    held(text)


PIECES = st.sampled_from(
    "seq 1|\n|\n    |\n        |cell |over |t|:|in |state |param |gate |out |stack |rounds |schedule|fn |operator |extern |"
    "from |import |identity|combine|x|D|0|1.5|(|)|[|]|,|=|==|<|+|-|*|/|^|.|..|->|of |init |once|where|and |or |"
    'not |#: c|# c|"a"|'
    '"""d"""|"""|"|dim |index |require |loss |const '.split("|")
)


@QUIET
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_tokens(text: str) -> None:
    held(text)
    held("seq 1\n\ncell A over t:\n    " + text)


@QUIET
@given(EXPRESSIONS)
def test_expressions_come_back(tree: s.Expr) -> None:
    text = text_of(tree)
    file = parse(Source("a.seq", f"seq 1\n\nfn f(a) = {text}\n"), Sink())
    assert file is not None, text
    definition = file.definitions[0]
    assert isinstance(definition, s.Fn) and definition.value == tree


@QUIET
@given(FILES)
def test_files_come_back(tree: s.File) -> None:
    text = text_of(tree)
    sink = Sink()
    source = Source("a.seq", text)
    file = parse(source, sink)
    assert file == tree, (text, sink.found)
    again = Source("a.seq", format_file(source, file))
    same = parse(again, sink)
    assert same == tree
    assert format_file(again, same) == again.text

"""How findings are shown: carets, tabs, wide letters, notes, colours, JSON; and when something is near."""

import json

import pytest

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Note
from seqc.compiler.diagnostics.render import render, render_all, to_json
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import NOWHERE, Span
from seqc.compiler.diagnostics.suggest import allowed_distance, did_you_mean, distance, nearest

TEXT = "seq 1\ncell A over t:\n    state c : [N] init 0\n    c = f * c + i * g\n"
SOURCES = {"a.seq": Source("a.seq", TEXT)}


def test_the_example_of_the_house_style() -> None:
    found = Diagnostic(
        "SEQ0301",
        "`c` needs its own value of the same step",
        Span("a.seq", 4, 13, 4, 14),
        "this is `c` of the step being computed",
        (
            Note("the value of the step before is written `c[t-1]`"),
            Note("`state c` is declared here", Span("a.seq", 3, 11, 3, 12)),
        ),
        "c = f * c[t-1] + i * g",
    )
    assert (
        render(found, SOURCES)
        == """\
error[SEQ0301]: `c` needs its own value of the same step
 --> a.seq:4:13
  |
3 |     state c : [N] init 0
4 |     c = f * c + i * g
  |             ^ this is `c` of the step being computed
  |
  = the value of the step before is written `c[t-1]`
note: `state c` is declared here
 --> a.seq:3:11
  |
3 |     state c : [N] init 0
  |           ^
help: c = f * c[t-1] + i * g
  = more: seqc explain SEQ0301"""
    )


def caret(line: str, column: int, end: int) -> tuple[str, str]:
    lines = render(Diagnostic("SEQ0101", "m", Span("a", 1, column, 1, end)), {"a": Source("a", line)}).split("\n")
    return lines[3][4:], lines[4][4:]


def test_tabs_and_wide_letters_count_as_they_are_shown() -> None:
    assert caret("\tx = 1", 2, 3) == ("    x = 1", "    ^")
    assert caret("ab\tx", 4, 5) == ("ab  x", "    ^")
    assert caret("漢字 = x", 6, 7) == ("漢字 = x", "       ^")
    assert caret("é = x", 5, 6) == ("é = x", "    ^")
    assert caret("e\u0301 = x", 6, 7) == ("e\u0301 = x", "    ^")
    assert caret("a\u202eb = x", 7, 8) == ("a<U+202E>b = x", "             ^")


def test_long_lines_are_cut_around_the_caret() -> None:
    line = "y = " + "x + " * 2000 + "?"
    shown, mark = caret(line, len(line), len(line) + 1)
    assert len(shown) <= 162 and shown[mark.index("^")] == "?"


def test_spans_over_several_lines_and_past_the_end() -> None:
    lines = render(Diagnostic("SEQ0101", "m", Span("a", 1, 3, 2, 2)), {"a": Source("a", "ab(\ncd)")}).split("\n")
    assert lines[4] == "  |   ^"
    assert caret("ab", 3, 4) == ("ab", "  ^")
    assert "^" in render(Diagnostic("SEQ0101", "m", Span("a", 9, 3, 9, 4)), {"a": Source("a", "ab")})


def test_without_a_source_or_a_place() -> None:
    assert render(Diagnostic("SEQ0280", "there is no file", Span("x.seq"), "look"), {}) == (
        "error[SEQ0280]: there is no file\n --> x.seq\n  = look\n  = more: seqc explain SEQ0280"
    )
    assert render(Diagnostic("SEQ-W01", "odd", NOWHERE), {}) == "warning[SEQ-W01]: odd\n  = more: seqc explain SEQ-W01"


def test_nothing_acts_on_the_terminal() -> None:
    found = Diagnostic("SEQ0101", "\x1b[31mred", Span("\x1b.seq", 1, 1, 1, 2), "\x07", (Note("\x1b]0;title"),), "\x9b")
    for colour in (False, True):
        text = render(found, {"\x1b.seq": Source("\x1b.seq", "\x1b[2J")}, colour=colour)
        assert "\x1b[2J" not in text and "\x1b]" not in text and "\x07" not in text and "\x9b" not in text
        assert ("\x1b[1;31m" in text) == colour


def test_counts() -> None:
    error, warning = Diagnostic("SEQ0101", "m"), Diagnostic("SEQ-W01", "m")
    assert render_all([], {}) == ""
    assert render_all([error, error, warning], {}).endswith("\n\n2 errors, 1 warning\n")
    assert render_all([warning], {}).endswith("\n\n1 warning\n")


def test_json() -> None:
    found = Diagnostic("SEQ0101", "m", Span("a", 1, 2, 1, 3), "l", (Note("n", Span("a", 4, 5, 4, 6)), Note("o")), "h")
    record = to_json(found)
    assert json.loads(json.dumps(record)) == record
    assert record["severity"] == "error" and (record["file"], record["line"], record["end_column"]) == ("a", 1, 3)
    assert record["notes"][0]["line"] == 4 and record["notes"][1] == {"text": "o"}


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("sate", ["gate", "state"], "state"),
        ("linaer", ["linear", "lowrank"], "linear"),
        ("lienar", ["linear"], "linear"),
        ("h", ["g", "x"], None),
        ("hx", ["hy"], None),
        ("H", ["h"], "h"),
        ("gru", ["GRU", "gra"], "GRU"),
        ("abc", ["xyz"], None),
        ("embeding", ["embedding"], "embedding"),
        ("softmax", ["softmax"], None),
        ("x" * 5000, ["x" * 10], None),
        ("", ["a"], None),
    ],
)
def test_nearest(word: str, known: list[str], answer: str | None) -> None:
    assert nearest(word, known) == answer
    assert did_you_mean(word, known) == (f"did you mean `{answer}`?" if answer else "")


def test_distance() -> None:
    assert distance("kitten", "sitting", 3) == 3
    assert distance("kitten", "sitting", 2) == 3
    assert distance("ab", "ba", 2) == 1
    assert distance("", "abc", 3) == 3
    assert [allowed_distance(n) for n in (1, 2, 3, 5, 6, 9, 10, 40)] == [0, 0, 1, 1, 2, 2, 3, 3]

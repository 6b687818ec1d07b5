"""Syntax errors: each bad file gives its code, at the exact place; several errors in one run."""

from pathlib import Path

import pytest

from seqc.compiler.diagnostics.codes import CODES
from seqc.compiler.diagnostics.codes_syntax import ENTRIES
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.frontend.imports import load, load_text
from seqc.compiler.frontend.parse import parse

BAD = Path(__file__).resolve().parent.parent / "bad"
MINE = sorted(p for p in BAD.glob("*.seq") if p.name[3:5] == "01" or p.name[3:6] == "028")
HEAD = "seq 1\n\ncell Example over t:\n    dim D, N\n    in x : [D]\n"
TOP = ("cell", "block", "model", "fn ", "operator", "extern", "from", "import")
WITHOUT_A_FILE = {"SEQ0146", "SEQ0147", "SEQ0280", "SEQ0281", "SEQ0285", "SEQ0286"}  # in the tests of limits and imports


def whole(example: str) -> str:
    """A file around an example of the code registry."""
    if example.startswith("seq ") or not example.startswith(TOP) and "\ncell" not in example and example.startswith("cell Sum"):
        return example
    if example.startswith("cell Sum"):
        return example
    if example.startswith(TOP):
        return f"seq 1\n\n{example}\n"
    lines = "".join(f"    {line}\n" for line in example.split("\n"))
    return f"seq 1\n\ncell Example over t:\n    dim D\n    in x : [D]\n{lines}"


@pytest.mark.parametrize("path", MINE, ids=lambda p: p.stem)
def test_bad_files_give_their_code(path: Path) -> None:
    expected = path.read_bytes().split(b"\n")[0].decode().removeprefix("# expect: ")
    sink = Sink()
    load(str(path), sink)
    assert {d.code for d in sink.found} == {expected} or expected == "SEQ0150" and expected in {d.code for d in sink.found}
    assert expected in CODES


def test_every_syntax_code_has_a_bad_file() -> None:
    assert {p.name[:7].upper() for p in MINE} == {e.code for e in ENTRIES} - WITHOUT_A_FILE


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.bad], ids=lambda e: e.code)
def test_examples_of_the_registry(entry) -> None:  # type: ignore[no-untyped-def]
    for text, expected in ((entry.bad, [entry.code]), (entry.good, [])):
        sink = Sink()
        load_text(whole(text), "a.seq", sink)
        assert [d.code for d in sink.found] == expected


# line in a cell; code; the text under the caret; the fix
PLACES = [
    ("c = x ** 2", "SEQ0117", "**", "c = x^2"),
    ("c = x && y", "SEQ0117", "&&", "c = x and y"),
    ("c = x || y", "SEQ0117", "||", "c = x or y"),
    ("c = !x", "SEQ0117", "!", "c = not x"),
    ("c = a @ b", "SEQ0117", "@", ""),
    ("c := x", "SEQ0118", ":=", "c = x"),
    ("c += 2 * x", "SEQ0118", "+=", "c = c[t-1] + 2 * x"),
    ("c *= x", "SEQ0118", "*=", "c = c[t-1] * x"),
    ("c == x", "SEQ0119", "==", "c = x"),
    ("c : [N] == x", "SEQ0119", "==", "c : [N] = x"),
    ("c = a if b else d", "SEQ0120", "if", "c = where(b, a, d)"),
    ("return c", "SEQ0120", "return", ""),
    ("for i in x:", "SEQ0120", "for", ""),
    ("output y : [D] = x", "SEQ0120", "output", "out y : [D] = x"),
    ("c = x[:-1]", "SEQ0121", ":", ""),
    ("c = x[0:2]", "SEQ0121", ":", ""),
    ("c = f(x, bias: 1)", "SEQ0121", ":", "c = f(x, bias = 1)"),
    ("c = x × 2", "SEQ0123", "×", "c = x * 2"),
    ("c = x − 2", "SEQ0123", "−", "c = x - 2"),
    ("c = x ≤ 2", "SEQ0123", "≤", "c = x <= 2"),
    ("σ = x", "SEQ0124", "σ", "sigma = x"),
    ("_c = x", "SEQ0124", "_c", "c = x"),
    ("𝐞𝐯𝐚𝐥 = x", "SEQ0124", "𝐞𝐯𝐚𝐥", "eval = x"),
    ("c = .5 * x", "SEQ0126", ".5", "c = 0.5 * x"),
    ("c = 1. * x", "SEQ0126", "1.", "c = 1 * x"),
    ("c = 2x", "SEQ0126", "2x", "c = 2 * x"),
    ("c = 1_000", "SEQ0126", "1_000", "c = 1000"),
    ("c = 0x10", "SEQ0126", "0x10", "c = 16"),
    ("c = 0 < x < 1", "SEQ0128", "<", "c = 0 < x and x < 1"),
    ("c = tanh(x)[t-1]", "SEQ0129", "[", ""),
    ("c = x[t-1][j]", "SEQ0129", "[", ""),
    ("c = x[]", "SEQ0129", "]", "c = x"),
    ("state h : [N] init 0 = x", "SEQ0131", "=", "state h : [N] init 0"),
    ("param W : [N] = 3", "SEQ0131", "=", "param W : [N] init 3"),
    ("sate h : [N] init 0", "SEQ0132", "sate", "state h : [N] init 0"),
    ("c [N] = x", "SEQ0137", "[", "c : [N] = x"),
    ("state c [N] init 0", "SEQ0137", "[", "state c : [N] init 0"),
    ("c[t] = x", "SEQ0138", "[", "c = x"),
    ("c : N = x", "SEQ0139", "N", "c : [N] = x"),
    ("state h : N, D init 0", "SEQ0139", "N", "state h : [N, D] init 0"),
    ("gate f : [N]", "SEQ0109", "", ""),
    ("c f * x", "SEQ0109", "f", "c = f * x"),
    ("state h init 0", "SEQ0110", "init", "state h : [] init 0"),
    ("in y", "SEQ0110", "", "in y : []"),
    ("gate f : [N] init 0 in (0, 1) = x", "SEQ0112", "in", "gate f : [N] in (0, 1) init 0 = x"),
    ("state h : [N] init 0 of f32", "SEQ0112", "of", "state h : [N] of f32 init 0"),
    ("in y : [N] = 1 once", "SEQ0112", "once", "in y : [N] once = 1"),
    ("in y : [N] once fixed", "SEQ0112", "fixed", ""),
    ("state in : [N] init 0", "SEQ0113", "in", "state in_ : [N] init 0"),
    ("c = over", "SEQ0113", "over", "c = over_"),
    ("c = f(x", "SEQ0114", "(", "c = f(x)"),
    ("c = x[t-1", "SEQ0114", "[", "c = x[t-1]"),
    ("c = f(x]", "SEQ0115", "]", ""),
    ("c = (x))", "SEQ0115", ")", ""),
    ("c = 'abc'", "SEQ0116", "'abc'", 'c = "abc"'),
    ('c = f("abc, 2)', "SEQ0116", '"abc, 2)', ""),
    ("in y : [2 * D]", "SEQ0153", "2", "dim E = 2 * D"),
    ("c = f(x y)", "SEQ0154", "y", "c = f(x, y)"),
    ("c = 2 x", "SEQ0154", "x", "c = 2 * x"),
    ("dim E F", "SEQ0160", "F", "dim E, F"),
    ("dim E : [2]", "SEQ0160", ":", ""),
    ("c = f(x,)", "SEQ0155", ",", "c = f(x)"),
    ("c = [1, 2]", "SEQ0156", "[", ""),
    ("stack l in L:", "SEQ0159", ":", "stack l in 1..L:"),
    ("index i in S", "SEQ0159", "", "index i in 0..S-1"),
    ("out a, b", "SEQ0162", ",", "out a"),
    ("c = ", "SEQ0101", "", ""),
    ("c = x +", "SEQ0101", "", ""),
    ("c = f(over = )", "SEQ0101", ")", ""),
]


@pytest.mark.parametrize(("line", "code", "under", "fix"), PLACES, ids=[p[0] for p in PLACES])
@pytest.mark.parametrize("last", [True, False], ids=["last line", "line inside"])
def test_place_and_fix(line: str, code: str, under: str, fix: str, last: bool) -> None:
    """The caret stands on the first wrong token, alone and where sound lines follow, and the fix can be pasted."""
    text = f"{HEAD}    h = x\n    {line}\n" + ("" if last else "    g = x\n    out g\n")
    source = Source("a.seq", text)
    sink = Sink()
    assert parse(source, sink) is None
    assert [d.code for d in sink.found] == [code]
    found = sink.found[0]
    assert found.span.line == 7
    assert (
        source.line(7)[found.span.column - 1 : found.span.end_column - 1] == under
        or found.span.column == len(line.rstrip()) + 5
    )
    assert found.help == fix


@pytest.mark.parametrize("fix", [p for p in PLACES if p[3] and p[1] not in ("SEQ0159", "SEQ0153")], ids=lambda p: p[0])
def test_fixes_parse(fix: tuple[str, str, str, str]) -> None:
    sink = Sink()
    parse(Source("a.seq", f"{HEAD}    {fix[3]}\n"), sink)
    assert not sink.found


def test_several_errors_in_one_run() -> None:
    text = """\
seq 1

cell A:
    in x : [D]
    state h init 0
    h = h[t-1] ** 2
    rounds r in 3:
        z := x
    out h

block B
    y == x
    if x:
        y = 3
    out y

import c

model C:
    y = f(x
    out y
"""
    sink = Sink()
    assert parse(Source("a.seq", text), sink) is None
    assert [(d.span.line, d.code) for d in sink.sorted()] == [
        (3, "SEQ0111"),
        (5, "SEQ0110"),
        (6, "SEQ0117"),
        (7, "SEQ0159"),
        (8, "SEQ0118"),
        (11, "SEQ0108"),
        (12, "SEQ0119"),
        (13, "SEQ0120"),
        (17, "SEQ0122"),
        (20, "SEQ0114"),
    ]


def test_one_mistake_gives_one_message() -> None:
    """Blocks whose only lines are wrong, or whose head is wrong, are not told off again."""
    for text in (
        "seq 1\n\ncell A over t:\n    x ** y\n\nfn f(a) = a\n",
        "seq 1\n\ncell A over t\n    out h\n\nfn f(a) = a\n",
        "seq 1\n\ncell A over t:\n\ncell B over t:\n    out h\n",
        "cell A over t:\n    out h\n",
        "",
        "seq 1\n\noperator A(m : []):\n    identity (0)\n    combine(l, r):\n        m = l.m\n",
    ):
        sink = Sink()
        assert parse(Source("a.seq", text), sink) is None
        assert len(sink.found) == 1, sink.found

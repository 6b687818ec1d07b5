"""The parser: sound texts, exact places, doc strings and comments, limits."""

import gc
import time
from pathlib import Path

import pytest
from lark.lexer import PatternRE

from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.frontend.machine import grammar_text, made_by_lark, tables
from seqc.compiler.frontend.parse import parse
from seqc.compiler.frontend.tokens import KEYWORDS, SIGNS, SOFT_KEYWORDS, TOKEN
from seqc.compiler.frontend.unparse import text_of
from seqc.compiler.frontend.wording import expected
from seqc.compiler.ir import syntax

TESTS = Path(__file__).resolve().parent.parent
SKETCHES = sorted((TESTS / "sketches").glob("*.seq"))
SOUND = SKETCHES + [b.path for b in all_bundled()]

HEAD = "seq 1\n\ncell Example over t:\n    dim D, N\n    in x : [D]\n"


def parsed(text: str) -> syntax.File:
    sink = Sink()
    file = parse(Source("a.seq", text), sink)
    assert file is not None, sink.found
    assert not sink.found
    return file


def codes(text: str) -> list[str]:
    sink = Sink()
    assert (parse(Source("a.seq", text), sink) is None) == bool(sink.found)
    return [d.code for d in sink.sorted()]


def expression(text: str) -> syntax.Expr:
    body = parsed(f"{HEAD}    y : [N] = {text}\n").definitions[0]
    assert isinstance(body, syntax.Body)
    line = body.lines[-1]
    assert isinstance(line, syntax.Declaration) and line.value is not None
    return line.value


@pytest.mark.parametrize("path", SOUND, ids=lambda p: p.stem)
def test_sound_files_parse_and_print_back(path: Path) -> None:
    file = parsed(path.read_text("utf-8"))
    assert parsed(text_of(file)) == file


@pytest.mark.parametrize("path", SKETCHES[:12], ids=lambda p: p.stem)
def test_spans_are_exact(path: Path) -> None:
    """The text under the span of a node is the text of the node."""
    source = Source(path.name, path.read_text("utf-8"))
    file = parse(source, Sink())
    assert file is not None
    names = 0
    for node in nodes(file):
        span = node.span
        assert (span.line, span.column) <= (span.end_line, span.end_column), node
        if isinstance(node, syntax.Name | syntax.Word | syntax.Number) and span.line == span.end_line:
            under = source.line(span.line)[span.column - 1 : span.end_column - 1]
            assert under.strip("( )") == text_of(node) or isinstance(node, syntax.Number)
            names += 1
    assert names > 20


def nodes(node: object) -> list[syntax.Node]:
    """All nodes of a tree."""
    found: list[syntax.Node] = []
    open_: list[object] = [node]
    while open_:
        item = open_.pop()
        if isinstance(item, tuple):
            open_ += item
        elif isinstance(item, syntax.Node):
            found.append(item)
            open_ += [getattr(item, name) for name in item.__dataclass_fields__ if name != "span"]
    return found


def test_precedence() -> None:
    assert expression("-a^b * c + d") == expression("((-(a^b)) * c) + d")
    assert expression("a^b^c") == expression("a^(b^c)")
    assert expression("a - b - c") == expression("(a - b) - c")
    assert expression("a / b * c") == expression("(a / b) * c")
    assert expression("a^-b") == expression("a^(-b)")
    assert expression("not a < b and c or d") == expression("((not (a < b)) and c) or d")
    assert expression("2 * K^-0.5") == expression("2 * (K^(-0.5))")


def test_brackets_belong_to_the_place_of_what_is_in_them() -> None:
    value = expression("(a + b) * c")
    assert isinstance(value, syntax.Binary)
    assert (value.span.column, value.span.end_column) == (15, 26)
    assert (value.left.span.column, value.left.span.end_column) == (15, 22)


def test_declaration_with_every_part() -> None:
    file = parsed(HEAD + "    in g : [N] of f32 in (0, 1] over edge once init param 1 = 2  #: a doc\n")
    body = file.definitions[0]
    assert isinstance(body, syntax.Body)
    line = body.lines[-1]
    assert isinstance(line, syntax.Declaration)
    assert (line.kind, str(line.name), str(line.type), str(line.home)) == ("in", "g", "f32", "edge")
    assert line.once and not line.fixed and line.doc == "a doc"
    assert line.range == syntax.Range(syntax.Number(0), syntax.Number(1), True, False)
    assert line.init == syntax.Learned(syntax.Number(1)) and line.value == syntax.Number(2)


def test_kinds_of_topology_and_holes() -> None:
    file = parsed("seq 1\n\ncell A(M = B, N, P(x, y), Q(x) = R) over r in 1..T-1, grid(i, j), tree:\n    out h\n")
    body = file.definitions[0]
    assert isinstance(body, syntax.Body)
    assert text_of(body) == "cell A(M = B, N, P(x, y), Q(x) = R) over r in 1..T-1, grid(i, j), tree:\n    out h"
    assert [h.arguments is None for h in body.holes] == [True, True, False, False]
    assert [a.head for a in body.topology] == ["r", "grid", "tree"]


def test_words_that_are_names_elsewhere() -> None:
    assert expression("seq + identity * combine") == syntax.Binary(
        "+", syntax.Name("seq"), syntax.Binary("*", syntax.Name("identity"), syntax.Name("combine"))
    )
    call = expression("where(a, b, c) + f(x, over = K, init = 0)")
    assert text_of(call) == "where(a, b, c) + f(x, over = K, init = 0)"
    text = 'seq 1\n\noperator Op(m : []):\n    """Doc."""\n    identity = (0)\n    combine(l, r):\n        m = l.m + r.m\n'
    assert text_of(parsed(text)) == text


def test_lines_break_inside_brackets() -> None:
    whole = expression("f(x, g(y), over = [H, K])")
    assert expression("f(x,\n  g(y),  # why\n\n over = [H,\nK])") == whole


# ---- doc strings and comments -----------------------------------------------------------------------------------------


def test_doc_directly_above_belongs_to_the_definition() -> None:
    file = parsed('seq 1\n"""Half."""\nfn half(a) = a / 2\n')
    assert (file.doc, file.definitions[0].doc) == ("", "Half.")


def test_doc_apart_belongs_to_the_file() -> None:
    file = parsed('seq 1\n"""The file,\n   on two lines."""\n\nfn half(a) = a / 2\n')
    assert (file.doc, file.definitions[0].doc) == ("The file,\non two lines.", "")


def test_two_docs_are_the_files_and_the_definitions() -> None:
    file = parsed('seq 1\n"""File."""\n"""Half."""\nfn half(a) = a / 2\n')
    assert (file.doc, file.definitions[0].doc) == ("File.", "Half.")


def test_doc_before_imports_is_the_files() -> None:
    file = parsed('seq 1\n"""File."""\nfrom a import b\n"""Half."""\nfn half(a) = b(a) / 2\n')
    assert (file.doc, file.definitions[0].doc) == ("File.", "Half.")


def test_doc_above_a_body_with_its_own_is_the_files() -> None:
    file = parsed('seq 1\n"""File."""\ncell A over t:\n    """A."""\n    out h\n')
    assert (file.doc, file.definitions[0].doc) == ("File.", "A.")


def test_later_docs_join() -> None:
    file = parsed('seq 1\n\nfn f(a) = a\n\n"""Above."""\nblock A:  #: head\n    """Inside."""\n    out h\n')
    assert file.definitions[1].doc == "Above.\nhead\nInside."


def test_doc_comments_go_to_their_line_and_all_comments_are_kept() -> None:
    file = parsed(HEAD + "    #: above\n    h = f(x,  #: first\n        y)  #: second\n    # not this\n    out h  # nor this\n")
    body = file.definitions[0]
    assert isinstance(body, syntax.Body)
    first, last = body.lines[-2:]
    assert isinstance(first, syntax.Declaration) and isinstance(last, syntax.Declaration)
    assert (first.doc, last.doc) == ("above\nfirst\nsecond", "")
    assert [c.text for c in file.comments] == ["#: above", "#: first", "#: second", "# not this", "# nor this"]
    assert [c.doc for c in file.comments] == [True, True, True, False, False]


# ---- the grammar ------------------------------------------------------------------------------------------------------


def test_lexer_and_grammar_have_the_same_terminals() -> None:
    for terminal in made_by_lark(grammar_text()).terminals:
        pattern = terminal.pattern
        if isinstance(pattern, PatternRE):
            if terminal.name in ("COMPARE", "DOC"):
                continue
            for text in {"NAME": ["a", "A_1", "x9"], "NUMBER": ["0", "1.5", "1e-3", "2.0E+4"], "STRING": ['""', '"a b"']}[
                terminal.name
            ]:
                match = TOKEN.fullmatch(text)
                assert match and match.lastgroup == terminal.name
        elif terminal.name not in ("NEWLINE", "INDENT", "DEDENT"):
            text = pattern.value
            assert SIGNS.get(text) == terminal.name or text in KEYWORDS | SOFT_KEYWORDS and text.upper() == terminal.name


def test_every_state_is_worded_without_terminals_names() -> None:
    """Whatever a state accepts has words, and none of them is the name of a terminal."""
    rows = tables().rows
    names = {t for row in rows for t in row if t.isupper()}
    assert len(rows) > 400
    for row in rows:
        accepted = frozenset(t for t in row if t.isupper())
        words = expected(accepted)
        assert words
        assert not {w.strip("`,()") for w in words.split()} & names, words


# ---- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"    y : [N] = {'(' * 64}x{')' * 64}\n", None),
        (f"    y : [N] = {'(' * 65}x{')' * 65}\n", "SEQ0148"),
        (f"    y : [N] = {'-' * 128}x\n", None),
        (f"    y : [N] = {'-' * 129}x\n", "SEQ0148"),
        (f"    y : [N] = {'not ' * 129}x\n", "SEQ0148"),
        (f"    y : [N] = {'x + ' * 128}x\n", None),
        (f"    y : [N] = {'x + ' * 129}x\n", "SEQ0148"),
        (f"    y : [N] = {'x ^ ' * 129}x\n", "SEQ0148"),
        (f"    y : [N] = x{'.x' * 129}\n", "SEQ0148"),
        (f"    y : [N] = f({'x + 1, ' * 500}x)\n", None),
        (f"    {'a' * 64} = x\n", None),
        (f"    {'a' * 65} = x\n", "SEQ0125"),
        (f"    y : [N] = {'1' * 40}\n", None),
        (f"    y : [N] = {'1' * 41}\n", "SEQ0127"),
        ("    y : [N] = 1e308\n", None),
        ("    y : [N] = 1e309\n", "SEQ0127"),
        (f"    y : [N] = x  #{'c' * 9982}\n", None),
        (f"    y : [N] = x  #{'c' * 9983}\n", "SEQ0145"),
        (("    y : [N] = x\n" + "# 4567890123456789012345678901\n" * 34_000)[: (1 << 20) - len(HEAD)], None),
        (("    y : [N] = x\n" + "# 4567890123456789012345678901\n" * 34_000)[: (1 << 20) - len(HEAD) + 1], "SEQ0146"),
    ],
)
def test_limits(text: str, code: str | None) -> None:
    assert codes(HEAD + text) == ([code] if code else [])


def test_nested_blocks() -> None:
    def rounds(n: int) -> str:
        heads = "".join(f"{'    ' * k}rounds r{k} in 1..2:\n" for k in range(1, n + 1))
        return HEAD + heads + f"{'    ' * (n + 1)}y = x\n"

    assert codes(rounds(62)) == []
    assert codes(rounds(63)) == ["SEQ0148"]


def test_number_of_tokens() -> None:
    line = f"    y : [N] = f({'x, ' * 1000}x)\n"
    assert codes(HEAD + line * 95) == []
    assert codes(HEAD + line * 105) == ["SEQ0147"]


def test_number_of_errors() -> None:
    found = codes(HEAD + "".join(f"    y{k} : [N] = * x\n" for k in range(30)))
    assert found == ["SEQ0101"] * 20 + ["SEQ0150"]


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "-" * 9_000, "[" * 9_000, "not " * 2_000, "x = " * 2_400, '"' * 9_999, ". " * 4_000, "\n    " * 20_000]
    + ["    c = )))))\n" * 40_000, '    """a"""\n' * 40_000, "    c = = x\n" * 40_000]
    + ["  " * k for k in (10, 4_000)]
    + ["\n".join(" " * k + "rounds r in 1..2:" for k in range(1, 400)), "1" * 9_000, "a" * 9_000 + "é", "0." * 4_000],
    ids=range(17),
)
def test_bombs_end_soon_and_without_a_traceback(text: str) -> None:
    gc.collect()
    gc.freeze()  # what other tests left behind is not looked through again and again
    try:
        for whole in (HEAD + "    y = " + text, text):
            start = time.process_time()
            codes(whole)
            assert time.process_time() - start < 2
    finally:
        gc.unfreeze()


def test_trees_are_flat_enough_to_walk() -> None:
    """The deepest trees that pass can be compared, hashed and printed by plain recursion."""
    for deep in ("-" * 128 + "x", "x" + " + x" * 128, "f(" * 64 + "x" + ")" * 64):
        value = expression(deep)
        assert value == expression(deep) and hash(value) and text_of(value)

"""Random syntax trees for hypothesis: any tree that the grammar can give, with no regard to meaning."""

from __future__ import annotations

from hypothesis import strategies as st

from seqc.compiler.frontend.tokens import KEYWORDS
from seqc.compiler.ir import syntax as s

NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,5}\Z").filter(lambda n: n not in KEYWORDS)
DOCS = st.one_of(
    st.just(""),
    st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
    .map(lambda t: " ".join(t.replace('"""', "").split()))
    .filter(bool),
)
LONG_DOCS = st.one_of(DOCS, st.tuples(DOCS.filter(bool), DOCS.filter(bool)).map(lambda d: f"{d[0]}\n\n{d[1]}\n  {d[0]}"))
LINE_DOCS = DOCS
WORDS = NAMES.map(s.Word)
NUMBERS = st.one_of(
    st.integers(0, 10**12),
    st.floats(0, 1e300, allow_nan=False, allow_infinity=False, allow_subnormal=False).map(abs),
).map(s.Number)
TEXTS = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126, exclude_characters='"'), max_size=8).map(
    s.Text
)
ATOMS = st.one_of(NAMES.map(s.Name), NUMBERS, TEXTS)


def tuples(items: st.SearchStrategy, least: int = 0, most: int = 3) -> st.SearchStrategy:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def _more(inner: st.SearchStrategy) -> st.SearchStrategy:
    names = NAMES.map(s.Name)
    calls = st.builds(
        s.Call,
        st.one_of(NAMES, st.just("where")),
        tuples(inner),
        tuples(
            st.builds(
                s.Keyword,
                st.one_of(NAMES, st.sampled_from(["over", "init"])),
                st.one_of(inner, tuples(inner).map(s.NameList)),
            ),
            most=2,
        ),
    )
    fields = st.builds(s.Field, st.one_of(names, calls, st.builds(s.Field, names, NAMES)), NAMES)
    return st.one_of(
        calls,
        fields,
        st.builds(s.Read, st.one_of(names, fields), tuples(st.one_of(inner, st.builds(s.At, NAMES, inner)), 1)),
        st.builds(s.Binary, st.sampled_from("+-*/^"), inner, inner),
        st.builds(s.Compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner, inner),
        st.builds(s.Logical, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(s.Not, inner),
        st.builds(s.Negative, inner),
    )


EXPRESSIONS = st.recursive(ATOMS, _more, max_leaves=12)
MAYBE = st.one_of(st.none(), EXPRESSIONS)
SHAPES = tuples(WORDS).map(s.Shape)
BETWEEN = st.builds(s.Between, EXPRESSIONS, EXPRESSIONS)
RANGES = st.builds(s.Range, EXPRESSIONS, EXPRESSIONS, st.booleans(), st.booleans())
STARTS = st.one_of(st.none(), EXPRESSIONS, MAYBE.map(s.Learned))


@st.composite
def declarations(
    draw: st.DrawFn, kinds: tuple[str, ...] = ("in", "state", "param", "const", "gate", "loss", "out", "")
) -> s.Declaration:
    kind = draw(st.sampled_from(kinds))
    shape = draw(SHAPES if kind in ("in", "state", "param") else st.one_of(st.none(), SHAPES))
    value = None
    if kind in ("gate", "loss", ""):
        value = draw(EXPRESSIONS)
    elif kind in ("in", "const", "out"):
        value = draw(MAYBE)
    mark = draw(st.sampled_from(["", "once", "fixed"]))
    return s.Declaration(
        kind,
        draw(WORDS),
        shape,
        draw(st.one_of(st.none(), WORDS)) if shape else None,
        draw(st.one_of(st.none(), RANGES)),
        draw(st.one_of(st.none(), WORDS)),
        mark == "once",
        mark == "fixed",
        draw(STARTS),
        value,
        draw(LINE_DOCS),
    )


@st.composite
def indices(draw: st.DrawFn) -> s.Index:
    kind = draw(st.integers(0, 2))
    return s.Index(draw(WORDS), draw(BETWEEN) if kind == 1 else None, draw(WORDS) if kind == 2 else None, draw(MAYBE))


LINES = st.one_of(
    declarations(),
    st.builds(s.Dims, tuples(st.builds(s.Dim, WORDS, MAYBE), 1), LINE_DOCS),
    st.builds(s.Indices, tuples(indices(), 1), LINE_DOCS),
    st.builds(s.Require, EXPRESSIONS, LINE_DOCS),
    st.builds(s.Schedule, tuples(st.builds(s.Setting, WORDS, tuples(EXPRESSIONS, 1)), 1), LINE_DOCS),
)
BLOCKS = st.recursive(
    tuples(LINES, 1),
    lambda inner: tuples(
        st.one_of(LINES, st.builds(s.Level, st.sampled_from(["stack", "rounds"]), WORDS, BETWEEN, inner, LONG_DOCS)), 1
    ),
    max_leaves=3,
)
HOLES = st.builds(s.Hole, WORDS, st.one_of(st.none(), WORDS), st.one_of(st.none(), tuples(WORDS, 1)))


@st.composite
def along(draw: st.DrawFn) -> s.Along:
    kind = draw(st.integers(0, 2))
    return s.Along(draw(NAMES), draw(tuples(WORDS, 1)) if kind == 1 else (), draw(BETWEEN) if kind == 2 else None)


SLOTS = st.builds(s.Slot, WORDS, SHAPES, st.one_of(st.none(), WORDS))
BODIES = st.one_of(
    st.builds(s.Body, st.just("cell"), WORDS, tuples(HOLES), tuples(along(), 1), BLOCKS, LONG_DOCS),
    st.builds(s.Body, st.sampled_from(["block", "model"]), WORDS, tuples(HOLES), st.just(()), BLOCKS, LONG_DOCS),
)
DEFINITIONS = st.one_of(
    BODIES,
    st.builds(s.Fn, WORDS, tuples(WORDS, 1), EXPRESSIONS, LONG_DOCS),
    st.builds(
        s.Operator, WORDS, tuples(SLOTS, 1), tuples(EXPRESSIONS, 1), WORDS, WORDS, tuples(declarations(("",)), 1), LONG_DOCS
    ),
    st.builds(s.Extern, WORDS, tuples(SLOTS), tuples(SLOTS, 1), tuples(WORDS), LONG_DOCS),
)
IMPORTS = st.builds(s.Import, tuples(WORDS, 1), tuples(WORDS, 1))
FILES = st.builds(s.File, st.just("a.seq"), st.just(1), LONG_DOCS, tuples(IMPORTS), tuples(DEFINITIONS, 0, 4))

"""`seqc fmt`: the house style, comments kept, twice is once, and never another tree."""

from pathlib import Path

import pytest

from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.frontend.format import format_file
from seqc.compiler.frontend.layout import lay_out
from seqc.compiler.frontend.parse import parse
from seqc.compiler.frontend.unparse import text_of

SKETCHES = sorted((Path(__file__).resolve().parent.parent / "sketches").glob("*.seq"))
SOUND = SKETCHES + [b.path for b in all_bundled()]


def formatted(text: str) -> str:
    source, sink = Source("a.seq", text), Sink()
    file = parse(source, sink)
    assert file is not None, sink.found
    new = format_file(source, file)
    again = Source("a.seq", new)
    same = parse(again, sink)
    assert same == file, sink.found
    assert sorted(c.text for c in same.comments) == sorted(c.text for c in file.comments)
    assert format_file(again, same) == new
    return new


@pytest.mark.parametrize("path", SOUND, ids=lambda p: p.stem)
def test_house_style_is_left_as_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text


@pytest.mark.parametrize("path", SKETCHES, ids=lambda p: p.stem)
def test_printed_trees_are_in_the_house_style(path: Path) -> None:
    file = parse(Source("a.seq", path.read_text("utf-8")), Sink())
    assert file is not None
    text = text_of(file)
    assert formatted(text) == text


@pytest.mark.parametrize("path", SKETCHES, ids=lambda p: p.stem)
def test_other_spaces_give_the_same_text(path: Path) -> None:
    """Indentation by 3, and spaces between all tokens, come back to the house style."""
    text = path.read_text("utf-8")
    lines, in_doc = [], False
    for line in text.split("\n"):
        begins_in_doc, in_doc = in_doc, in_doc != (line.count('"""') % 2 == 1)
        if not (begins_in_doc or '"' in line or "#" in line):
            sink = Sink()
            tokens = [t for t in lay_out(Source("", line.strip()), sink).tokens if t.type not in ("NEWLINE", "$END")]
            body = line.strip() if sink.found else " ".join(tokens)  # a line that is broken inside brackets stays
            line = "   " * ((len(line) - len(line.lstrip())) // 4) + body + " "
        elif not begins_in_doc:
            line = " " * ((len(line) - len(line.lstrip())) // 4 * 3) + line.lstrip()
        lines.append(line)
    assert _code(formatted("\n".join(lines))) == _code(text)


def _code(text: str) -> list[str]:
    """Where comments and broken lines begin depends on how the line was indented; the code does not."""
    return [line.partition("#")[0].strip() for line in text.split("\n")]


def test_spacing() -> None:
    before = """seq 1
cell A( M=B ,N ) over r in 1 .. T - 1,t :
  dim D=2*E,K = D/( 2*H )
  index i in -R .. S / 16 - 1 , s of t where s<=t and t-s<W
  in x:[D,K]of f32 in( -1,1 ]over edge once init - 1=none
  y:[ ]=-x ^ - 2*( a+b )/c[ t - 1,J=a - 1 ] - u[t-pos( M )] . foo
  where_:[D]=where( not a==b,x , f (y)[ t ] )  if_=3
"""
    with pytest.raises(AssertionError):
        formatted(before)
    before = before.replace(" . foo", "").replace("f (y)[ t ] )  if_=3", "e . h[ t ])")
    assert (
        formatted(before)
        == """seq 1
cell A(M = B, N) over r in 1..T-1, t:
    dim D = 2 * E, K = D / (2 * H)
    index i in -R..S/16-1, s of t where s <= t and t - s < W
    in x : [D, K] of f32 in (-1, 1] over edge once init -1 = none
    y : [] = -x^-2 * (a + b) / c[t-1, J = a - 1] - u[t - pos(M)]
    where_ : [D] = where(not a == b, x, e.h[t])
"""
    )


def test_definitions_of_one_line_and_operators() -> None:
    assert formatted(
        "seq 1\nfn f(a,b)=a\nfn g( a )=f(a,a)\nextern e( a:[D] ,b:[]of text )->( c:[D] ):pure,gradient\n"
        "operator Op(m:[],u : [V]):\n identity=( -inf,0 )\n combine( l,r ):\n  m=max( l.m,r . m )\n  u=l.u+r.u\n"
        "block B:\n out x\n"
    ) == (
        "seq 1\nfn f(a, b) = a\nfn g(a) = f(a, a)\nextern e(a : [D], b : [] of text) -> (c : [D]) : pure, gradient\n\n"
        "operator Op(m : [], u : [V]):\n    identity = (-inf, 0)\n    combine(l, r):\n        m = max(l.m, r.m)\n"
        "        u = l.u + r.u\n\nblock B:\n    out x\n"
    )


def test_blank_lines() -> None:
    assert formatted("\n\nseq 1\n\n\n\ncell A over t:\n\n    in x : []\n\n\n\n    out x\ncell B over t:\n    out x\n\n\n") == (
        "seq 1\n\ncell A over t:\n    in x : []\n\n    out x\n\ncell B over t:\n    out x\n"
    )


def test_comments_keep_their_place() -> None:
    before = """# above
seq 1# edition

#section
cell A over t: # head
  # in the body
  in x : []              #: one
  state s : [] init 0    #: two
  in y : []              #: three

  # before a block
  rounds r in 1..2:
      #first
      z = f(x, # why
            y)# end
      # still in the block
  # of the cell
  out s
  # the end of the cell
# of the file
cell B over t:
  out s
 # odd
"""
    assert (
        formatted(before)
        == """# above
seq 1  # edition

#section
cell A over t:  # head
    # in the body
    in x : []            #: one
    state s : [] init 0  #: two
    in y : []            #: three

    # before a block
    rounds r in 1..2:
        #first
        z = f(x,  # why
              y)  # end
        # still in the block
    # of the cell
    out s
    # the end of the cell

# of the file
cell B over t:
    out s

# odd
"""
    )


def test_broken_lines_stay_broken() -> None:
    text = """seq 1

cell A over t:
    y : [D] = f(
        x,

        # a word on z
        z,          # it is last
    over = [
        H,
    K]
    )
"""
    assert formatted(text) == text.replace("x,\n\n", "x,\n")
    shifted = text.replace("\n    ", "\n  ")
    assert formatted(shifted) == text.replace("x,\n\n", "x,\n").replace("z,          #", "z,        #")


def test_doc_strings_are_left_alone() -> None:
    text = 'seq 1\n"""One\n  two  \n\n      three."""\n\nfn f(a) = a\n'
    assert formatted(text) == text

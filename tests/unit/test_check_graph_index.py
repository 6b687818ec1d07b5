"""`index node over graph` declares the nodes of a graph that is given to the run."""

from __future__ import annotations

import pytest

from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.frontend.format import format_file
from seqc.compiler.frontend.imports import load_text

SPEC = """seq 1

cell Node over graph:
    dim D
    in x : [D]
    in e : [D] over edge
    out y : [D] = x + sum(e[pred], over = pred)

model Whole:
    dim D = 4
    index node over graph
    in x : [node, D]
    in e : [D] over edge
    out y : [node, D] = Node(x, e, along = node)
"""


def test_it_is_an_index_like_others() -> None:
    project = load_text(SPEC, "g.seq", Sink())
    assert project is not None
    program = check(project, Sink())
    body = program.bodies["g:Whole"] if "g:Whole" in program.bodies else program.bodies[program.exports[1]]
    assert [i.name for i in body.indices] == ["node"] and body.table["y"].axes == ("node", "D")


def test_it_is_printed_back() -> None:
    project = load_text(SPEC, "g.seq", Sink())
    assert project is not None
    assert format_file(next(iter(project.sources.values())), project.main) == SPEC


def test_only_graphs_have_nodes() -> None:
    project = load_text(SPEC.replace("node over graph", "node over grid"), "g.seq", Sink())
    assert project is not None
    with pytest.raises(Rejected, match="SEQ0215"):
        check(project, Sink())

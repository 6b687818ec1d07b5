"""The step graph: sharing, inlining, folding, pruning, printing, limits."""

# ruff: noqa: E501  (a case is one line of text, longer than a line of code)

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.compiler.analysis.components import groups
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.frontend.imports import load, load_text
from seqc.compiler.graph.build import build
from seqc.compiler.graph.printer import print_graph
from seqc.compiler.graph.table import Table, number_of, postorder
from seqc.compiler.graph.verify import IllFormed, verify
from seqc.compiler.ir.expr import Apply, Expr, Grad, Invoke, Literal_, Read, children
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.spec import Program


def program_of(text: str) -> Program:
    """A checked program from text."""
    sink = Sink()
    project = load_text(f"seq 1\n{text}", "t.seq", sink)
    sink.stop()
    assert project is not None
    return check(project, sink)


def graph_of(text: str, name: str = "", **options: object) -> StepGraph:
    """The graph of the last body, or of `name`."""
    program = program_of(text)
    key = next((k for k in program.exports if k.endswith(f":{name}")), program.exports[-1])
    return build(program, key, **options)  # type: ignore[arg-type]


def test_equal_nodes_are_one_object() -> None:
    table = Table()
    a = table.intern(Literal_(1, type="int"))
    assert table.intern(Apply("add", (a, a))) is table.intern(Apply("add", (a, a)))
    assert table.intern(Literal_(True, type="bool")) is not a
    assert table.intern(Literal_(1.0)) is not a


def test_nodes_come_after_their_children_and_once() -> None:
    sink = Sink()
    project = load("gated_deltanet", sink)
    assert project is not None
    program = check(project, sink)
    graph = build(program, program.exports[0])
    place = {id(n.expr): n.number for n in graph.nodes}
    assert len(place) == len(graph.nodes)
    for n in graph.nodes:
        assert all(place[id(c)] < n.number for c in children(n.expr))
        assert n.made_by in ("build", "fold", "grad")


def test_building_twice_gives_the_same_text() -> None:
    sink = Sink()
    project = load("online_memory", sink)
    assert project is not None
    program = check(project, sink)
    assert print_graph(build(program, program.exports[0])) == print_graph(build(program, program.exports[0]))


CALLS = """
cell Leak over t:
    dim D, N = D
    in x : [D]
    in on : [] of bool = true
    const rate : [] = 0.5
    state h : [N] init 0
    h = where(on, rate * h[t-1], h[t-1]) + linear(x)
    out h

block Gate:
    dim D
    in x : [D]
    out y : [D] = x * sigmoid(linear(x))
"""


def test_a_call_on_the_chain_is_put_in_under_the_name_of_its_equation() -> None:
    g = graph_of(CALLS + "cell C over t:\n    dim D\n    in x : [D]\n    s : [D] = Leak(x)\n    out y : [D] = Gate(s) + Gate(x)\n")
    assert {"s.h", "s.x", "y.Gate.x", "y.Gate2.x"} <= set(g.entries)
    assert g.entries["s.h"].called == (("s", "Leak"),)
    assert g.entries["s.h"].path[1] == "h"
    assert not any(isinstance(n.expr, Invoke) for n in g.nodes)
    assert [x.names for x in groups(g)] == [("s.h",)]
    names = list(g.entries)
    assert names.index("s.h") < names.index("s") < names.index("y")


def test_a_field_of_an_inlined_call() -> None:
    g = graph_of(
        "cell Two over t:\n    dim D\n    in x : [D]\n    state a : [D] init 0\n    a = a[t-1] + x\n    out b : [D] = 2 * a\n    out a\n\n"
        "cell C over t:\n    dim D\n    in x : [D]\n    p = Two(x)\n    out y : [D] = p.a + p.b\n"
    )
    node = g.entries["y"].node
    assert isinstance(node, Apply) and [r.name for r in node.args if isinstance(r, Read)] == ["p.a", "p.b"]


def test_axes_of_the_callee_get_the_names_of_the_caller() -> None:
    g = graph_of(CALLS + "cell C over t:\n    dim E, M\n    in u : [E]\n    out y : [M] = Leak(u, N = M)\n")
    assert g.entries["y.h"].axes == ("M",)


def test_mapped_axes_stand_on_states_and_not_on_weights() -> None:
    g = graph_of(CALLS + "cell C over t:\n    dim G, D\n    in u : [G, D]\n    out y : [G, D] = Leak(u)\n")
    assert g.entries["y.h"].axes[0] == "G" and len(g.entries["y.h"].axes) == 2
    assert all("G" not in e.axes for e in g.entries.values() if e.kind == "param")


def test_own_weights_have_the_axis() -> None:
    g = graph_of(CALLS + "cell C over t:\n    dim D\n    index i in 0..3\n    in u : [i, D]\n    out y : [i, D] = Leak(u, own = i)\n")
    assert all(e.axes[0] == "i" for e in g.entries.values() if e.kind == "param")


def test_optional_inputs_of_a_callee_take_what_is_given() -> None:
    left_out = graph_of(CALLS + "cell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = Leak(x)\n")
    assert left_out.entries["y.h"].node is not None
    assert not any(isinstance(n, Apply) and n.fn == "where" for n in postorder([left_out.entries["y.h"].node]))
    given = graph_of(CALLS + "cell C over t:\n    dim D\n    in x : [D]\n    in c : [] of bool\n    out y : [D] = Leak(x, on = c)\n")
    assert any(isinstance(n, Apply) and n.fn == "where" for n in postorder([given.entries["y.h"].node]))


def test_an_input_that_was_left_out_hands_that_on() -> None:
    text = "cell C over t:\n    dim D\n    in x : [D]\n    in c : [] of bool = none\n    out y : [D] = Leak(x, on = c)\n"
    g = graph_of(CALLS + text)
    assert not any(isinstance(n, Apply) and n.fn == "where" for n in postorder([g.entries["y.h"].node]))
    g = graph_of(CALLS + text, given={"c"})
    assert any(isinstance(n, Apply) and n.fn == "where" for n in postorder([g.entries["y.h"].node]))


def test_a_layer_on_the_other_side_of_a_decided_where_does_not_exist() -> None:
    text = "cell C over t:\n    dim D, N = D\n    in x : [D]\n    out y : [N] = where(N == D, x[D = pos(N)], linear(x))\n"
    assert [n for n, e in graph_of(text).entries.items() if e.kind == "param"] == []
    assert [n for n, e in graph_of(text, dims={"D": 3, "N": 4}).entries.items() if e.kind == "param"] != []


def test_consts_that_are_bound_change_the_graph() -> None:
    text = "cell C over t:\n    dim D\n    const mask : [D]\n    in x : [D]\n    state h : [D] init 0\n    h = mask * h[t-1] + x\n    out h\n"
    assert groups(graph_of(text))[0].cyclic
    assert not groups(graph_of(text, consts={"mask": 0}))[0].cyclic


def test_exact_zeros_and_ones() -> None:
    text = "cell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = {}\n"
    for equation, expected in {
        "1 * x + 0 * x": "x",
        "x^1 / 1 - 0": "x",
        "-(-x)": "x",
        "where(2 > 1, x, 0)": "x",
        "0 + x * (3 - 2)": "x",
    }.items():
        node = graph_of(text.format(equation)).entries["y"].node
        assert isinstance(node, Read) and node.name == expected, equation
    assert number_of(graph_of(text.format("0 * x")).entries["y"].node) == 0
    assert number_of(graph_of(text.format("x^0 + 2 * 3")).entries["y"].node) == 7
    assert number_of(graph_of(text.format("x - x")).entries["y"].node) is None


def test_values_that_are_numbers_are_read_as_numbers() -> None:
    g = graph_of("cell C over t:\n    dim D\n    in x : [D]\n    a : [] = 2 - 1\n    b : [] = a * 1\n    out y : [D] = b * x\n")
    assert isinstance(g.entries["y"].node, Read)


def test_draws_are_inputs_that_are_always_given() -> None:
    g = graph_of("cell C over t:\n    dim D\n    in x : [D]\n    in e : [D] = normal(0, 1)\n    in s : [] = 2\n    out y : [D] = x + s * e\n")
    assert g.entries["e"].kind == "draw" and g.entries["e"].node is None
    assert g.optional == ("s",)


def test_no_grad_is_left_where_it_can_be_derived_and_one_stays_behind_levels() -> None:
    simple = "cell C over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    e : [] = sum((h[t-1] - x)^2, over = D)\n" \
        "    h = h[t-1] - grad(e, h[t-1])\n    out h\n"  # fmt: skip
    assert not any(isinstance(n.expr, Grad) for n in graph_of(simple).nodes)
    deep = "cell C over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    rounds r in 1..2:\n" \
        "        state z : [D] init h[t-1]\n        z = tanh(z[r-1])\n    e : [] = sum((z - x)^2, over = D)\n" \
        "    h = h[t-1] - grad(e, h[t-1])\n    out h\n"  # fmt: skip
    assert any(isinstance(n.expr, Grad) for n in graph_of(deep).nodes)


def test_the_limit_on_nodes_is_a_diagnostic() -> None:
    table = Table(limit=3)
    x: Expr = table.intern(Literal_(1, type="int"))
    with pytest.raises(Rejected, match="SEQ0530"):
        for _ in range(4):
            x = table.intern(Apply("neg", (x,)))


def test_deep_expressions_need_no_deep_stack() -> None:
    table = Table(limit=6000)
    x: Expr = table.intern(Literal_(1, type="int"))
    for _ in range(5000):
        x = table.intern(Apply("neg", (x,)))
    assert sum(1 for _ in postorder([x])) == 5001


def test_verify_finds_a_read_of_an_unknown_name() -> None:
    g = graph_of("cell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = x\n")
    broken = {n: e for n, e in g.entries.items() if n != "x"}
    with pytest.raises(IllFormed, match="unknown name x"):
        verify(replace(g, entries=broken))


def test_the_print_names_every_entry() -> None:
    sink = Sink()
    project = load("mlstm", sink)
    assert project is not None
    program = check(project, sink)
    graph = build(program, program.exports[0])
    text = print_graph(graph)
    assert text.startswith("cell MLSTM over t:")
    for name in graph.entries:
        assert f" {name} :" in text

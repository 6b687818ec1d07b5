"""Reads elsewhere and what kind of move each is; lags, loops, stacks and rounds (language.md section 2)."""

from __future__ import annotations

import pytest

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.ir import expr as x

LINES = ("dim M, N, P = 3", "index j of N", "in k : [H, K] init 0", "in u : [D] init 0", "in A : [N, j] init 0", "in n : [] of int",
"in table : [M, N] once",
         "param W : [M] init 0", "state h : [D] init 0", "h = 0.5 * h[t-1] + x", "out h")  # fmt: skip


@pytest.mark.parametrize(
    ("written", "shown", "axes"),
    [
        ("h", "h", "D"),
        ("h[t]", "h", "D"),
        ("h[t-1]", "h{lag t 1 past}", "D"),
        ("h[t - 2]", "h{lag t 2 past}", "D"),
        ("h[t-P]", "h{lag t P past}", "D"),
        ("h[t - P - 1]", "h{lag t add(P, 1) past}", "D"),
        ("h[t = t - 1]", "h{lag t 1 past}", "D"),
        ("h[t - pos(M)]", "h{window t #M}", "D M"),
        ("h[t - pos(M) - 1]", "h{window t add(#M, 1) past}", "D M"),
        ("h[D = 0]", "h{gather D 0}", ""),
        ("h[D = n]", "h{gather D n}", ""),
        ("h[t-1, D = 0]", "h{lag t 1 past, gather D 0}", ""),
        ("h[D = 0, t = t - 1]", "h{gather D 0, lag t 1 past}", ""),
        ("u[t - mod(t, 4)]", "u{window t mod(#t', 4)}", "D"),
        ("u[t - mod(t, 4) - 1]", "u{window t add(mod(#t', 4), 1) past}", "D"),
        ("A[N = j, j = N]", "", ""),
        ("table[M = n]", "table{gather M n}", "N"),
        ("table[M = n, N = 1]", "table{gather M n, gather N 1}", ""),
        ("W[M = t]", "W{gather M #t'}", ""),
        ("W[pos(M) - 1]", "W{gather M sub(#M, 1)}", "M"),
        ("k[H = pos(H) - 1]", "k{gather H sub(#H, 1)}", "H K"),
        ("(u + 1)[t-1]", "", ""),
    ],
)
def test_moves(checked, show, written: str, shown: str, axes: str) -> None:
    lines = (*LINES, f"gate y = f({written})")
    extern = "extern f(a : []) -> (r : []) : pure\n"
    if not shown:
        assert checked.errors(*lines, before=extern)
        return
    e = checked.value("y", *lines, before=extern)
    assert isinstance(e, x.Invoke)
    got = e.arguments[0].value
    assert show(got) == shown
    assert got.axes == tuple(axes.split())


def test_a_transposition_renames_both_at_once(checked, show) -> None:
    e = checked.value("y", "dim N", "index j of N", "in A : [N, j]", "y : [N, j] = A[N = pos(j), j = pos(N)]")
    assert show(e) == "A{rename N #j, rename j #N}" and e.axes == ("j", "N")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("h[t+1]", "SEQ0304"), ("h[t + n]", "SEQ0304"), ("h[t - n]", "SEQ0304"), ("h[2 * t]", "SEQ0304"), ("h[t - P + 3]", "SEQ0304"),
        ("h[0]", "SEQ0411"),
        ("h[M = 0]", "SEQ0411"), ("h[N]", "SEQ0411"), ("h[t - 0.5]", "SEQ0408"), ("h[D = 0.5]", "SEQ0408"), ("h[D = 0, D = 1]", "SEQ0412"),
        ("W[t-1]", "SEQ0411"), ("table[t-1]", "SEQ0411"), ("D[t-1]", "SEQ0413"), ("h.z", "SEQ0225"), ("x[t-1]", "SEQ0303"), ("nix[t-1]",
        "SEQ0220"),
        ("h[nix]", "SEQ0220"), ("h[call-1]", "SEQ0303"), ("h[t - true]", "SEQ0405"),
    ],
)  # fmt: skip
def test_reads_that_are_refused(checked, written: str, code: str) -> None:
    errors = checked.errors(*LINES, f"gate y = f({written})", before="extern f(a : []) -> (r : []) : pure\n")
    if written == "h[call-1]":
        assert errors in ([], ["SEQ0303"])
        return
    assert errors == [code]


def test_a_field_of_a_call(checked, show) -> None:
    before = "cell F over t:\n    dim D\n    in x : [D]\n    state s : [D] init 0\n"
    before += "    s = s[t-1] + x\n    out a : [D] = 2 * s\n    out b : [D] = 3 * s\n"
    body = checked("f = F(x)", "y : [D] = f.a + f.s[t-1]", before=before, head="cell C over t:\n    dim D\n    in x : [D] init 0\n")
    assert show(body.table["y"].value) == "add(f::a, f::s{lag t 1 past})"
    assert checked.errors("f = F(x)", "y : [D] = f", before=before) == ["SEQ0232"]
    assert checked.errors("f = F(x)", "y : [D] = f.c", before=before) == ["SEQ0225"]


def test_a_field_of_a_call_in_place(checked, show) -> None:
    before = "cell F over t:\n    dim D\n    in x : [D]\n    out a : [D] = 2 * x\n    out b : [D] = 3 * x\n"
    body = checked("y : [D] = F(x).b", before=before)
    assert show(body.table["y"].value) == "y.held::b" and body.table["y.held"].kind == "hidden"


def test_parameters_of_layers_are_fields(checked, show) -> None:
    body = checked("z : [K] = linear(x)", "y : [] = sum(z.linear.bias, over = K)")
    assert show(body.table["y"].value) == "sum(z.linear.bias over K)"


# ---- loops ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["state h : [D] init 0", "h = 0.5 * h + x"], "SEQ0301"),
        (["state h : [D] init 0", "h = 0.5 * h[t-1] + x"], ""),
        (["state h : [D] init 0", "state c : [D] init 0", "h = tanh(c)", "c = c[t-1] + h"], "SEQ0301"),
        (["state h : [D] init 0", "state c : [D] init 0", "h = tanh(c)", "c = c[t-1] + h[t-1]"], ""),
        (["a : [D] = b", "b : [D] = a"], "SEQ0301"),
        (["a : [D] init 0 = b[t-1] + x", "b : [D] init 0 = a"], ""),
        (["a : [D] init 0 = a[t - pos(M)]", "dim M"], None),
        (["dim M", "a : [D] init 0 = sum(a[t - pos(M) - 1], over = M)"], ""),
        (["dim M", "a : [D] init 0 = sum(a[t - pos(M)], over = M)"], "SEQ0301"),
        (["index s of t where s < t", "a : [D] init 0 = x + sum(a[s], over = s)"], ""),
        (["index s of t where s <= t", "a : [D] init 0 = x + sum(a[s], over = s)"], "SEQ0301"),
        (["index s of t where s <= t - 1", "a : [D] init 0 = x + sum(a[s], over = s)"], ""),
        (["index s of t where t - s > 0", "a : [D] init 0 = x + sum(a[s], over = s)"], ""),
        (["a : [D] init 0 = x + a[t - mod(t, 4) - 1]"], ""),
        (["a : [D] init 0 = x + a[t - mod(t, 4)]"], "SEQ0301"),
        (["a : [D] init 0 = x + a[floor(t / 2)]"], "SEQ0304"),
        (["in y : [D] init 0 = h[t-1]", "state h : [D] init 0", "h = tanh(x + y)"], ""),
        (["in y : [D] = h", "state h : [D] init 0", "h = tanh(x + y)"], "SEQ0301"),
        (["state h : [D] init 0", "h = x + grad(sum(h^2, over = D), x)"], "SEQ0301"),
        (["state h : [D] init 0", "h = x + conv(h, kernel = 3)"], "SEQ0301"),
    ],
)
def test_loops_within_a_step(checked, lines: list[str], code: str | None) -> None:
    errors = checked.errors(*lines)
    assert errors if code is None else errors == ([code] if code else [])


def test_the_loop_is_shown(checked) -> None:
    with pytest.raises(Rejected) as wrong:
        checked("state h : [D] init 0", "state c : [D] init 0", "h = tanh(c)", "c = c[t-1] + h", "out h")
    (d,) = wrong.value.diagnostics
    assert d.notes[0].text == "the loop: h -> c -> h"
    assert (d.span.line, d.span.column) == (9, 18) and d.help == "c = c[t-1] + h[t-1]"


def test_each_loop_is_told_once(checked) -> None:
    assert checked.errors("a : [D] = b", "b : [D] = a", "c : [D] = d", "d : [D] = c") == ["SEQ0301", "SEQ0301"]


# ---- levels -----------------------------------------------------------------------------------------------------------

BLOCK = "block B:\n    dim D, L = 4\n    in x : [t, D]\n"


@pytest.mark.parametrize("kind", ["stack", "rounds"])
def test_states_step_along_their_level(checked, show, kind: str) -> None:
    body = checked(f"{kind} l in 1..L:", "    state h : [t, D] init x", "    h = tanh(linear(h[l-1]))", "y : [t, D] = h + h[l = 2]",
    "out y", head=BLOCK)
    (level,) = body.levels
    assert (level.id, level.kind, show(level.low), show(level.high)) == ("l", kind, "1", "L")
    h = body.table["h"]
    assert h.level == ("l",) and h.over_levels == "l" and show(h.start) == "x"
    assert show(h.value) == "tanh(add(dot(rename(h{level l 1 past}, D>D'), h.linear.h, D'), h.linear.bias))"
    assert body.table["h.linear.h"].level == ("l",)
    assert show(body.table["y"].value) == "add(h, h{family l 2})"


def test_the_level_is_found_in_equations_that_come_later(checked) -> None:
    body = checked("stack l in 1..L:", "    state h : [t, D] init x", "    h = u", "    u : [t, D] = tanh(h[l-1])", "out h", head=BLOCK)
    assert body.table["h"].over_levels == "l"


def test_two_blocks_with_one_level(checked, show) -> None:
    body = checked(
        "stack l in 1..L:", "    state a : [t, D] init x", "    a = tanh(a[l-1])",
        "stack l in 1..L:", "    state b : [t, D] init a", "    b = b[l-1] + a[l]", "out b", head=BLOCK,
    )  # fmt: skip
    assert [lv.id for lv in body.levels] == ["l", "l#2"]
    assert show(body.table["b"].value) == "add(b{level l#2 1 past}, a{family l #l#2'})"
    assert body.table["b"].level == ("l#2",)


def test_levels_in_levels(checked, show) -> None:
    body = checked(
        "stack l in 1..L:", "    state a : [t, D] init x", "    rounds r in 1..3:", "        state b : [t, D] init a[l-1]",
        "        b = tanh(linear(b[r-1]))", "    a = a[l-1] + b", "out a", head=BLOCK,
    )  # fmt: skip
    assert body.table["b"].level == ("l", "r") and body.levels[1].outer == ("l",)
    assert body.table["b"].over_levels == "r" and body.table["a"].over_levels == "l"
    assert show(body.table["b"].start) == "a{level l 1 past}"


def test_lags_of_time_and_level_in_one_cell(checked, show) -> None:
    body = checked("dim L = 3", "stack l in 1..L:", "    state h : [D] init 0", "    u : [D] = where(l == 1, x, h[l-1])",
    "    h = tanh(linear(u, h[t-1]))", "out h")
    assert show(body.table["u"].value) == "where(eq(#l', 1), x, h{level l 1 past})"
    assert "h{lag t 1 past}" in show(body.table["h"].value)
    assert body.table["h"].over_levels == "l"


def test_reading_levels_from_outside(checked) -> None:
    lines = ("stack l in 1..L:", "    state h : [t, D] init x", "    h = tanh(h[l-1])")
    assert checked.errors(*lines, "out y : [t, D] = x[l = 1]", head=BLOCK) == ["SEQ0411"]
    assert checked.errors(*lines, "out y : [t, D] = h[l = L]", head=BLOCK) == []
    assert checked.errors("rounds r in 1..3:", "    h : [t, D] = h[r-1]", "out h", head=BLOCK) == ["SEQ0303"]


@pytest.mark.parametrize(
    ("start", "code"),
    [("x", ""), ("0", ""), ("linear(x)", ""), ("tanh(x)", ""), ("y", "SEQ0220")],
)
def test_starts_along_a_level(checked, start: str, code: str) -> None:
    lines = ("stack l in 1..L:", f"    state h : [t, D] init {start}", "    h = tanh(h[l-1])", "out h")
    assert checked.errors(*lines, head=BLOCK) == ([code] if code else [])


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["state h : [D] init x", "h = h[t-1]"], "SEQ0306"),
        (["in y : [D] once", "state h : [D] init y", "h = h[t-1]"], ""),
        (["in y : [D] once", "z : [D] = tanh(y)", "state h : [D] init z", "h = h[t-1]"], ""),
        (["z : [D] = tanh(x)", "state h : [D] init z", "h = h[t-1]"], "SEQ0306"),
        (["state h : [D] init t", "h = h[t-1]"], None),
        (["state g : [D] init 0", "g = g[t-1]", "state h : [D] init g", "h = h[t-1]"], "SEQ0306"),
        (["param w : [D] init 0", "state h : [D] init w", "h = h[t-1]"], ""),
        (["const c : [D] = 1", "state h : [D] init c", "h = h[t-1]"], ""),
        (["in h0 : [K] once", "state h : [D] init tanh(linear(h0))", "h = h[t-1]"], ""),
        (["state h : [D] init [D]", "h = h[t-1]"], None),
        (["k : [H, K] = linear(x)", "state h : [H] init k", "h = h[t-1]"], "SEQ0401"),
        (["param w : [D] init h", "state h : [D] init 0", "h = h[t-1]"], None),
    ],
)
def test_what_a_start_may_read(checked, lines: list[str], code: str | None) -> None:
    errors = checked.errors(*lines, "out h")
    assert errors if code is None else errors == ([code] if code else [])


# ---- other topologies -------------------------------------------------------------------------------------------------


def test_reverse_counts_in_its_own_direction(checked, show) -> None:
    body = checked("state h : [D] init 0", "h = h[t-1] + x", "out h", head="cell C over reverse(t):\n    dim D\n    in x : [D]\n")
    (factor,) = body.topology
    assert (factor.kind, factor.axes, factor.reverse) == ("chain", ("t",), True)
    assert show(body.table["h"].value) == "add(h{lag t 1 past}, x)" and body.chain == "t"


def test_a_range(checked, show) -> None:
    body = checked("state h : [D] init 0", "h = h[r-1] + x + r", "out h", head="cell C over r in 1..D:\n    dim D\n    in x : [D]\n")
    (factor,) = body.topology
    assert (factor.kind, factor.axes, show(factor.low), show(factor.high)) == ("range", ("r",), "1", "D")
    assert show(body.table["h"].value) == "add(h{lag r 1 past}, x, #r')"


def test_a_grid(checked, show) -> None:
    lines = ("state h : [D] init 0", "h = tanh(linear(h[i-1], h[j-1], name = h) + linear(h[i-1, j-1])) + x", "out h")
    body = checked(*lines, head="cell C over grid(i, j):\n    dim D\n    in x : [D]\n")
    assert body.topology[0].kind == "grid" and body.chain == ""
    moves = [m for r in x.reads(body.table["h"].value) if r.name == "h" for m in r.moves]
    assert [(m.kind, m.axis) for m in moves] == [("lag", "i"), ("lag", "j"), ("lag", "i"), ("lag", "j")]


@pytest.mark.parametrize("topology", ["tree", "dag"])
def test_predecessors_are_earlier(checked, show, topology: str) -> None:
    body = checked("state h : [D] init 0", "h = tanh(sum(h[pred], over = pred) + x)", "out h",
    head=f"cell C over {topology}:\n    dim D\n    in x : [D]\n")
    assert show(body.table["h"].value) == "tanh(add(sum(h{pred pred #pred past} over pred), x))"


def test_predecessors_on_a_graph_are_of_this_step(checked, show) -> None:
    head = "cell C over {}:\n    dim D, T = 3\n    in x : [D]\n"
    lines = ("state h : [D] init 0", "h = tanh(sum(h[pred], over = pred) + x)", "out h")
    assert checked.errors(*lines, head=head.format("graph")) == ["SEQ0301"]
    lines = ("state h : [D] init 0", "h = tanh(sum(h[r-1, pred], over = pred) + x)", "out h")
    body = checked(*lines, head=head.format("r in 1..T, graph"))
    assert "h{lag r 1 past, pred pred #pred}" in show(body.table["h"].value)


def test_slots_of_a_tree(checked, show) -> None:
    body = checked("state h : [D] init 0", "h = tanh(linear(h[left], h[right]) + x)", "out h",
    head="cell C over tree(left, right):\n    dim D\n    in x : [D]\n")
    assert "h{pred left #left' past}" in show(body.table["h"].value) and "h{pred right #right' past}" in show(body.table["h"].value)


def test_states_over_calls(checked, show) -> None:
    body = checked("state mu : [D] over call init 0", "mu = 0.9 * mu[call-1] + 0.1 * mean(x, over = batch)", "y : [D] = x - mu[call-1]",
    "out y")
    assert body.table["mu"].home == "call"
    assert show(body.table["y"].value) == "sub(x, mu{call call 1 past})"
    assert checked.errors("state mu : [D] over call init 0", "mu = mu[call+1]", "out mu") == ["SEQ0305"]

"""What a declaration may say for its kind: homes, `once`, `fixed`, types of starts, consts, ranges, the batch, topologies."""

from __future__ import annotations

import pytest

BLOCK = "block B:\n    dim D, N\n    in x : [t, D]\n"
OVER = "cell C over {}:\n    dim D\n    in x : [D] init 0\n"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        # the batch
        (["out y : [D] = x - mean(x, over = batch)"], "SEQ0310"),
        (["index b of batch", "out y : [D] = sum(x[b], over = b)"], "SEQ0310"),
        (["m : [D] = mean(x, over = batch)", "z : [D] = 2 * m", "state h : [D] init 0", "h = h[t-1] + z", "out h"], "SEQ0310"),
        (["m : [D] = mean(x, over = batch)", "loss l : [] = sum(m^2, over = D)", "out y : [D] = x"], ""),
        (["loss l : [] = mean(x, over = [batch, D])", "out y : [D] = x"], ""),
        (["state m : [D] over call init 0", "m = 0.9 * m[call-1] + 0.1 * mean(x, over = batch)", "out y : [D] = x - m[call-1]"], ""),
        (["out y : [D, batch] = x"], "SEQ0216"),
        (["out y : [D] = batch"], "SEQ0220"),
        (["out y : [D] = call"], "SEQ0220"),
        # homes
        (["in e : [D] over edge", "out y : [D] = x"], "SEQ0215"),
        (["gate g : [D] over call = x", "out g"], "SEQ0215"),
        (["out y : [D] over call = x"], "SEQ0215"),
        (["state h : [D] over edge init 0", "h = h[t-1]", "out h"], "SEQ0215"),
        (["in e : [D] over cal", "out y : [D] = x"], "SEQ0215"),
        (["in e : [D] over call", "out y : [D] = x + e"], ""),
        # once, fixed
        (["out y : [D] once = x"], "SEQ0215"),
        (["in y : [D] fixed", "out z : [D] = y"], "SEQ0215"),
        (["param w : [D] of int init 0", "out y : [D] = w * x"], "SEQ0215"),
        (["param w : [D] of int fixed init 0", "out y : [D] = w * x"], ""),
        (["param w : [D] of complex init 0", "out y : [D] = re(w) * x"], ""),
        # starts
        (["state h : [D] of bool init false", "h = x > 0 or h[t-1]", "out h"], ""),
        (["state h : [D] of int init 0.5", "h = h[t-1] + 1", "out h"], "SEQ0410"),
        (["state h : [D] of bool init 0", "h = h[t-1]", "out h"], "SEQ0409"),
        (["param w : [D] init true", "out y : [D] = w * x"], "SEQ0409"),
        (["param a : [D] init b", "param b : [D] init 1", "out y : [D] = a * b"], "SEQ0306"),
        (["param b : [D] init 1", "param a : [D] init b", "out y : [D] = a * b"], ""),
        (["param a : [D] init a", "out y : [D] = a"], "SEQ0306"),
        (["in y : [D] once", "param a : [D] init y", "out z : [D] = a"], "SEQ0306"),
        (["in y : [D] once", "state h : [D] init param y", "h = h[t-1]", "out h"], "SEQ0306"),
        (["in y : [D] once", "out z : [D] = linear(x, bias = y)"], "SEQ0306"),
        # consts
        (["const w : [D] = x", "out y : [D] = w * x"], "SEQ0306"),
        (["const w : [] = t", "out y : [D] = w * x"], "SEQ0306"),
        (["const w : [] of int = len(t)", "out y : [D] = w * x"], "SEQ0306"),
        (["const w : [D] = pos(D) / D", "const v : [D] = 2 * w", "out y : [D] = v * x"], ""),
        (["const w : [D] of int = 0.5", "out y : [D] = w * x"], "SEQ0410"),
        (["const w", "out y : [D] = x"], "SEQ0207"),
        (["const w : [D]", "out y : [D] = w * x"], ""),
        # shapes
        (["index i in 0..D-1", "param w : [i] init 0", "out y : [i] = w * i"], ""),
        (["index i in 0..len(t)", "param w : [i] init 0", "out y : [i] = w * i"], "SEQ0424"),
        (["index u", "param w : [u] init 0", "out y : [u] = w"], "SEQ0424"),
        (["index j of D", "param w : [D, j] init 0", "out y : [D] = sum(w, over = j)"], ""),
        (["loss l : [D] = x", "out y : [D] = x"], "SEQ0401"),
        (["out y : [D, pred] = x"], "SEQ0219"),
        (["out y : [D] = sum(x[pred], over = pred)"], "SEQ0220"),
        (["stack l in 3..1:", "    state h : [D] init 0", "    h = h[l-1] + x", "out h"], "SEQ0443"),
        (["index i in 3..1", "out y : [i] = i"], "SEQ0443"),
        (["index i in 1..1", "out y : [i] = i"], ""),
        # ranges
        (["in y : [D] in [0, x]", "out z : [D] = y"], "SEQ0443"),
        (["in y : [D] in [0, t]", "out z : [D] = y"], "SEQ0443"),
        (["const c : [] = 2", "in y : [D] in [0, c * D]", "out z : [D] = y"], ""),
        (["in y : [D] in [0, nix]", "out z : [D] = y"], "SEQ0220"),
        # inputs
        (["in y : [D] = y", "out z : [D] = y"], "SEQ0301"),
        (["in y : [D] = z", "out z : [D] = y"], "SEQ0301"),
        (["in y : [D] init 0 = z[t-1]", "z : [D] init 0 = tanh(y)", "out z"], ""),
    ],
)
def test_declarations(checked, lines: list[str], code: str) -> None:
    assert checked.errors(*lines) == ([code] if code else [])


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["state h : [t, D] init 0", "h = h[t-1] + x", "out h"], "SEQ0311"),
        (["state h : [D] over call init 0", "h = h[call-1] + mean(x, over = [t, batch])", "out y : [t, D] = x - h[call-1]"], ""),
        (["rounds r in 1..3:", "    state h : [t, D] init x", "    h = tanh(h[r-1])", "out h"], ""),
        (["param w : [t] init 0", "out y : [t, D] = w * x"], "SEQ0424"),
        (["index node", "in e : [node, D] over edge", "out y : [t, D] = x"], ""),
    ],
)
def test_declarations_of_blocks(checked, lines: list[str], code: str) -> None:
    assert checked.errors(*lines, head=BLOCK) == ([code] if code else [])


@pytest.mark.parametrize(
    ("topology", "code"),
    [
        ("t", ""), ("reverse(t)", ""), ("q", ""), ("r in 1..D", ""), ("grid(i, j)", ""), ("grid(i, j, k)", ""), ("tree", ""),
        ("tree(left, right)", ""),
        ("dag", ""), ("graph", ""), ("r in 1..3, graph", ""), ("t, grid(i, j)", ""), ("lattice(i, j)", "SEQ0241"), ("reverse(a, b)",
        "SEQ0241"),
        ("grid(i)", "SEQ0241"), ("Q", "SEQ0203"), ("grid(I, j)", "SEQ0203"), ("pred", "SEQ0204"), ("batch", "SEQ0204"), ("t, t", "SEQ0201"),
        ("grid(i, i)", "SEQ0201"), ("dag(a, b)", "SEQ0241"), ("inf", "SEQ0204"),
    ],
)  # fmt: skip
def test_topologies(checked, topology: str, code: str) -> None:
    assert checked.errors("out y : [D] = 2 * x", head=OVER.format(topology)) == ([code] if code else [])


def test_edges(checked) -> None:
    lines = ("in e : [D] over edge", "state h : [D] init 0", "h = x + sum(e[pred] * h[pred], over = pred)", "out h")
    assert checked.errors(*lines, head=OVER.format("dag")) == []
    assert checked.errors("in e : [D] over edge", "out y : [D] = x + e", head=OVER.format("dag")) == ["SEQ0411"]

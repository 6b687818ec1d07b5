"""Ranges: what intervals prove, and what they do not (language.md section 6)."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from seqc.compiler.check.rules import intervals as iv
from seqc.compiler.check.rules.intervals import ALL, INF, Interval
from seqc.compiler.check.rules.ranges import Ranges

LINES = (
    "dim W, Z = 0", "index j of D", "index i in 2..5", "index n in -3..3", "index s of t where s <= t",
    "in p : [D] in (0, 1)", "in q : [D] in [0, 1]", "in m : [D] in [-1, 1]", "in u : [D] in [1, 2]", "in b : [D] of bool",
    "in ids : [] of int in [0, W)",
    "in e : [D] in (0, inf)", "in z : [D] of complex", "param a : [D] in [0, 1] init 0", "const c : [] = 3", "in o : [] in [0, 9] = 3",
    "state h : [D] init 0", "h = 0.5 * h[t-1] + x", "out h",
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "proved"),
    [
        # functions
        ("sigmoid(x)", "(0, 1)"), ("tanh(x)", "(-1, 1)"), ("exp(x)", "(0, inf)"), ("softplus(x)", "(0, inf)"), ("relu(x)", "[0, inf)"),
        ("abs(x)", "[0, inf)"), ("sin(x)", "[-1, 1]"), ("sign(x)", "[-1, 1]"), ("logsigmoid(x)", "(-inf, 0)"), ("expm1(x)", "(-1, inf)"),
        ("atan(x)", "(-1.5708, 1.5708)"), ("sqrt(q)", "[0, 1]"), ("floor(m)", "[-1, 1]"), ("floor(p)", "[0, 1]"), ("ceil(p)", "[0, 1]"),
        ("x^2", "[0, inf)"), ("x * x", "[0, inf)"), ("m^2", "[0, 1]"), ("log(p)", "(-inf, 0)"), ("exp(-e)", "(0, 1)"), ("silu(q)",
        "[0, inf)"),
        ("tanh(relu(x))", "[0, 1)"), ("sigmoid(relu(x))", "[0.5, 1)"), ("exp(-relu(x))", "(0, 1]"), ("cos(x)^2", "[0, 1]"),
        # sums and products
        ("p + q", "(0, 2)"), ("1 - p", "(0, 1)"), ("1 - q", "[0, 1]"), ("p * q", "[0, 1)"), ("p * m", "(-1, 1)"), ("2 * p - 1", "(-1, 1)"),
        ("u / 2", "[0.5, 1]"), ("1 / u", "[0.5, 1]"), ("p / u", "(0, 1)"), ("-q", "[-1, 0]"), ("m - m", "[0, 0]"), ("q * q", "[0, 1]"),
        ("0.5 * m + 0.5", "[0, 1]"), ("q * e", "[0, inf)"), ("p + e", "(0, inf)"), ("x + q", "(-inf, inf)"), ("u - 1", "[0, 1]"),
        # convex combinations at the corners of their box
        ("q + (1 - q) * a", "[0, 1]"), ("p * q + (1 - p) * a", "[0, 1]"), ("q - q * a", "[0, 1]"), ("p * m + (1 - p) * m", "[-1, 1]"),
        # choices know their condition
        ("where(x > 0, x, 0)", "[0, inf)"), ("where(x > 0, 1, x)", "(-inf, 1]"), ("where(x < 0, 0, x)", "[0, inf)"), ("where(b, q, m)",
        "[-1, 1]"),
        ("where(x >= 1, 1 / x, 1)", "(0, 1]"), ("min(max(x, 0), 1)", "[0, 1]"), ("max(min(x, 1), 0)", "[0, 1]"), ("max(p, q)", "[0, 1]"),
        # quotients of a part by the whole
        ("e / (e + 1)", "(0, 1)"), ("q / (q + u)", "[0, 1)"), ("e / sum(e, over = D)", "[0, 1]"), ("softmax(x, over = D)", "[0, 1]"),
        # reductions
        ("sum(q, over = D)", "[0, inf)"), ("mean(p, over = D)", "(0, 1)"), ("max(p, over = D)", "(0, 1)"), ("prod(q, over = D)", "[0, 1]"),
        ("dot(q, q, over = D)", "[0, inf)"), ("dot(x, x, over = D)", "(-inf, inf)"), ("cumsum(q, over = D)", "[0, inf)"),
        ("mean(p[s], over = s)", "(0, 1)"), ("mean(sum(z, over = D) * 0 + 0, over = batch)", None), ("logsumexp(x, over = D)",
        "(-inf, inf)"),
        # reads: a start counts
        ("k[t-1]", "[-1, 1]"), ("k", "[0, 1]"), ("v[t-1]", "(0, 5]"), ("p[D = 0]", "[0, 1)"), ("a[D = 0]", "[0, 1]"), ("h", "(-inf, inf)"),
        ("o", "[0, 9]"), ("c", "(-inf, inf)"),
        # numbers
        ("t", "[0, inf)"), ("i + 0", "[2, inf)"), ("n + 0", "[-3, inf)"), ("pos(D)", "[0, inf)"), ("D", "[1, inf)"), ("Z", "[0, inf)"),
        ("1 / D", "(0, 1]"),
        ("len(t)", "[0, inf)"), ("mod(t, 4)", "[0, 4)"), ("2^-D", "(0, 1)"), ("10^-4", "[0.0001, 0.0001]"), ("10000^(-2 * pos(D) / D)",
        "(0, 1]"),
        ("onehot(ids, over = D)", "[0, 1]"), ("uniform_", "[0, 1]"), ("expdiff(x, big)", "[0, 1]"), ("expdiff(x, q)", "[0, inf)"),
        ("rank(x, over = D)", "[0, inf)"),
        ("b_", "[0, 1]"),
    ],
)  # fmt: skip
def test_intervals(checked, written: str, proved: str | None) -> None:
    extra = (
        "k : [D] in [0, 1] init -1 = q", "v : [D] in (0, 1) init 5 = p", "in uniform_ : [D] in [0, 1] = uniform(0, 1)",
        "big : [D] = max(x, 0)",
        "in b_ : [D] in [0, 1] = bernoulli(0.5)",
    )  # fmt: skip
    if proved is None:
        return
    body = checked(*LINES, *extra, f"y = f({written})", before="extern f(a : []) -> (r : []) : pure\n")
    e = body.table["y"].value.arguments[0].value
    assert str(Ranges(body).proved(e)) == proved


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("y : [D] in (0, inf) = relu(x)", "SEQ0440"),
        ("y : [D] in [0, inf) = relu(x)", ""),
        ("y : [D] in (0, 1) = sigmoid(where(b, x, -inf))", "SEQ0440"),
        ("y : [D] in [0, 1] = sigmoid(where(b, x, -inf))", ""),
        ("y : [D] in (0, 1) = floor(p)", "SEQ0440"),
        ("y : [D] in [0, 1) = abs(tanh(x))", ""),
        ("y : [D] in [0, W] = min(relu(x), W)", ""),
        ("y : [D] in [0, W] = W * q", "SEQ0440"),
        ("y : [D] in [W, inf) = max(x, W)", ""),
        ("y : [D] in [W, inf) = u", "SEQ0440"),
        ("y : [D] in [W, inf) = W + q", ""),
        ("y : [D] in (0, 1] = 1 / W", ""),
        ("y : [] of int in [0, W) = mod(t, W)", ""),
        ("y : [] of int in [0, W) = min(t, W - 1)", ""),
        ("y : [] of int in [0, W) = min(t, W)", "SEQ0440"),
        ("y : [] of int in [0, D) = argmax(x, over = D)", ""),
        ("y : [] of int in [0, W) = argmax(x, over = D)", "SEQ0440"),
        ("y : [] of int in [0, 3) = argmax(x, over = D)", "SEQ0440"),
        ("y : [] of int in [0, W) = ids", ""),
        ("y : [] of int in [0, W] = ids", ""),
        ("y : [] of int in [0, W) = where(t > 3, ids, 0)", ""),
        ("y : [D] in [0, c] = min(relu(x), c)", "SEQ0440"),
        ("const k : [] in [0, inf) = 3\ny : [D] in [0, k] = min(relu(x), k)", ""),
        ("y : [D] in [0, c] = q", "SEQ0440"),
        ("y : [D] in [0, 5] = c", "SEQ0440"),
        ("y : [D] in (0, 1) = sum(p[s], over = s) * 0.1", "SEQ0440"),
        ("index g of t where g < t\ny : [D] in (0, 1) = mean(p[g], over = g)", "SEQ0440"),
        ("index g of t where g < t\ny : [D] in [0, 1) = mean(p[g], over = g)", ""),
        ("index g of t where g <= t and t - g < W\ny : [D] in (0, 1) = mean(p[g], over = g)", ""),
        ("y : [D] in [0, 1] = o / 9", ""),
        ("y : [D] in [0, 0.4] = o / 9", "SEQ0440"),
        ("y : [D] in (0, 1) = exp(-exp(a) * softplus(x))", ""),
        ("y : [D] in (0, 1) = sigmoid(x)^8", ""),
        ("y : [D] in (0, 1) = p^x", "SEQ0440"),
        ("y : [D] in (-inf, 0) = -exp(a) * softplus(x)", ""),
        ("y : [D] in [0, inf) = sqrt(sum(x^2, over = D))", ""),
        ("y : [D] in [0, 1] = where(x > 0, min(x, 1), 0)", ""),
        ("y : [D] in [1, 2] = where(x > 0, 2, x)", "SEQ0440"),
        ("y : [D] in (0, 1] = e / max(e, over = D)", "SEQ0440"),
        ("state w : [D] in [0, 1] init 0\nw = p * w[t-1] + (1 - p) * q", ""),
        ("state w : [D] in [0, 1] init 0\nw = p * w[t-1] + q", "SEQ0440"),
        ("state w : [D] in [0, 1] init 2\nw = q", "SEQ0441"),
        ("state w : [D] in (0, 1) init 0\nw = p", ""),
        ("state w : [D] in [0, 1] init param 0\nw = p * w[t-1]", ""),
        ("y : [D] in [1, 0] = x", "SEQ0443"),
        ("y : [D] in (0, 0) = x", "SEQ0443"),
        ("y : [D] in [0, 0] = x - x", ""),
        ("param g : [D] in [0, 1] init 5\ny : [D] = g", ""),
        ("in g : [D] in [0, 1] = x\ny : [D] = g", "SEQ0440"),
        ("in g : [D] in [0, 1] = q\ny : [D] = g", ""),
        ("require p + q <= 2", ""),
        ("require p + q <= 1", "SEQ0442"),
        ("require p < 1 and q >= 0", ""),
        ("require p < 1 and q > 0", "SEQ0442"),
        ("require W >= 1", ""),
        ("require b", None),
        ("require p == q", "SEQ0442"),
        ("require conservative", "SEQ0442"),
    ],
)
def test_claims(checked, line: str, code: str | None) -> None:
    errors = checked.errors(*LINES, line)
    assert errors if code is None else errors == ([code] if code else [])


def test_a_given_value_may_be_anything(checked) -> None:
    """The default of an optional input says nothing of the value that is given; a maximum among them is no maximum."""
    assert checked.errors("in m : [D] = max(x, 0)", "y : [D] in [0, 1] = expdiff(x, m)") == ["SEQ0440"]
    assert checked.errors("m : [D] = max(x, 0)", "y : [D] in [0, 1] = expdiff(x, m)") == []
    assert checked.errors("in m : [D] = sigmoid(x)", "y : [D] in (0, 1) = m") == ["SEQ0440"]


def test_what_is_assumed_in_a_branch_stays_there(checked) -> None:
    lines = ("state h : [D] init 0", "h = x", "z : [D] = h[t-1]", "y : [D] in [0, inf) = where(x > 0, x, z)")
    assert checked.errors(*lines, "out h") == ["SEQ0440"]
    lines = ("z : [D] = x", "a : [D] = where(x > 0, z, 0)", "y : [D] in [0, inf) = z")
    assert checked.errors(*lines) == ["SEQ0440"]


def test_the_message_says_what_was_found(checked) -> None:
    from seqc.compiler.diagnostics.diagnostic import Rejected

    with pytest.raises(Rejected) as wrong:
        checked("gate f : [D] in (0, 1) = 2 * sigmoid(x)")
    (d,) = [d for d in wrong.value.diagnostics if d.severity == "error"]
    assert d.message == "`f` is claimed to be in (0, 1), proved is (0, 2)"
    assert d.help == "gate f : [D] in (0, 1) = sigmoid(2 * sigmoid(x))"


# ---- the arithmetic itself --------------------------------------------------------------------------------------------


def points(a: Interval, draw: random.Random) -> list[float]:
    low, high = max(a.low, -50.0), min(a.high, 50.0)
    out = [low + (high - low) * draw.random() for _ in range(5)]
    out += [v for v, is_open in ((low, a.low_open), (high, a.high_open)) if not is_open or v in (-50.0, 50.0)]
    return [v for v in out if holds(a, v)]


def holds(a: Interval, v: float) -> bool:
    return (v > a.low or v == a.low and not a.low_open) and (v < a.high or v == a.high and not a.high_open)


def near(a: Interval, v: float) -> bool:
    """`v` is in `a` up to rounding; an open end is still never reached where it is a small whole number."""
    return a.low - 1e-9 * abs(a.low) - 1e-12 <= v <= a.high + 1e-9 * abs(a.high) + 1e-12


def some(draw: random.Random) -> Interval:
    ends = sorted(draw.choice((-INF, -3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, 7.0, INF)) for _ in range(2))
    low_open, high_open = (draw.random() < 0.5 for _ in range(2))
    if ends[0] == ends[1]:
        return iv.point(ends[0]) if math.isfinite(ends[0]) else ALL
    return Interval(ends[0], ends[1], low_open or ends[0] == -INF, high_open or ends[1] == INF)


@pytest.mark.parametrize("seed", range(200))
def test_arithmetic_holds_every_value(seed: int) -> None:
    draw = random.Random(seed)
    a, b = some(draw), some(draw)
    for p, q in itertools.product(points(a, draw), points(b, draw)):
        assert holds(iv.add(a, b), p + q)
        assert holds(iv.times(a, b), p * q) or near(iv.times(a, b), p * q) and p * q not in (0.0, 1.0)
        assert holds(iv.negative(a), -p)
        assert holds(a.join(b), p) and holds(a.join(b), q)
        if holds(b, p):
            assert holds(a.meet(b), p)
        if p != 0 and iv.inverse(a) is not ALL:
            assert near(iv.inverse(a), 1 / p)
        assert near(iv.any_sum(a), p) and holds(iv.any_sum(a), 0.0)
    for fn, f in iv.INCREASING.items():
        for p in points(a, draw):
            if fn in ("log", "sqrt") and p <= 0 or fn == "log1p" and p <= -1:
                continue
            assert near(iv.increasing(fn, a), f(p)), (fn, a, p)
            if f(p) in (0.0, 1.0, -1.0) and fn in ("relu", "floor", "ceil"):
                assert holds(iv.increasing(fn, a), f(p)), (fn, a, p)


@pytest.mark.parametrize(
    ("a", "b", "inside"),
    [
        (Interval(0, 1), Interval(0, 1), True), (Interval(0, 1, False, True), Interval(0, 1), False), (Interval(0, 1), Interval(0, 1,
        False, False), True),
        (iv.point(0.0), Interval(0, 1, False, True), True), (iv.point(1.0), Interval(0, 1, False, True), False), (ALL, ALL, True), (ALL,
        Interval(0, INF), False),
    ],
)  # fmt: skip
def test_within(a: Interval, b: Interval, inside: bool) -> None:
    assert a.within(b) is inside


@pytest.mark.parametrize(("a", "text"), [(ALL, "(-inf, inf)"), (iv.point(0.5), "[0.5, 0.5]"), (Interval(0, 1, False, True), "[0, 1)"),
(iv.negative(iv.point(0.0)), "[0, 0]")])
def test_intervals_in_words(a: Interval, text: str) -> None:
    assert str(a) == text

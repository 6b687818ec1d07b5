"""Relations: how many steps back they go, whether they look ahead, whether they hold earlier steps only (language.md section 1)."""

from __future__ import annotations

import pytest

from seqc.compiler.ir import spec

FNS = """
fn causal(t, s, w, h) = s <= t
fn everything(t, s, w, h) = true
fn window(t, s, w, h) = abs(t - s) <= w / 2
fn sliding(t, s, w, h) = s <= t and t - s < w
fn block_local(t, s, w, h) = floor(t / w) == floor(s / w) + where(h < 6, 0, h - 5)
fn strided_near(t, s, w, h) = s <= t and t - s <= w
fn strided_far(t, s, w, h) = s <= t and mod(t - s, w) == 0
fn fixed_near(t, s, w, h) = s <= t and floor(t / w) == floor(s / w)
fn fixed_far(t, s, w, h) = s <= t and mod(s, w) >= w - 8
fn strided(t, s, w, h) = s <= t and (t - s <= w or mod(t - s, w) == 0)
fn strided_heads(t, s, w, h) = s <= t and (mod(h, 2) == 0 and t - s <= w or mod(h, 2) == 1 and mod(t - s, w) == 0)
fn logsparse(t, s, w, h) = s <= t and xor(t - s, t - s - 1) == 2 * (t - s) - 1
fn dilated(t, s, w, h) = s <= t and mod(t - s, w) == 0 and t - s < 8 * w
fn prefix_lm(t, s, w, h) = s <= t or s < w
"""

LINES = ("dim W = 16", "index s of t where {}", "in v : [H, K]", "y : [H, K] = sum(where(s == s, v[s], 0), over = s)")


def relation(checked, where: str, head: str | None = None) -> spec.Index:
    body = checked(*(line.format(where) for line in LINES), before=FNS, head=head)
    return next(i for i in body.indices if i.name == "s")


@pytest.mark.parametrize(
    ("fn", "back", "ahead", "past"),
    [
        ("causal", "-", False, False),
        ("everything", "-", True, False),
        ("window", "floor(div(W, 2))", True, False),
        ("sliding", "add(W, -1)", False, False),
        ("block_local", "-", True, False),
        ("strided_near", "W", False, False),
        ("strided_far", "-", False, False),
        ("fixed_near", "-", False, False),
        ("fixed_far", "-", False, False),
        ("strided", "-", False, False),
        ("strided_heads", "-", False, False),
        ("logsparse", "-", False, False),
        ("dilated", "add(mul(8, W), -1)", False, False),
        ("prefix_lm", "-", True, False),
    ],
)
def test_masks_of_efficient_transformers(checked, show, fn: str, back: str, ahead: bool, past: bool) -> None:
    made = relation(checked, f"{fn}(t, s, W, pos(H))")
    assert (show(made.bound), made.ahead, made.past) == (back, ahead, past)


@pytest.mark.parametrize(
    ("where", "back", "ahead", "past"),
    [
        ("s < t", "-", False, True),
        ("s <= t - 1", "-", False, True),
        ("s + 1 <= t", "-", False, True),
        ("t > s", "-", False, True),
        ("t >= s", "-", False, False),
        ("not (s > t)", "-", True, False),
        ("s == t", "0", False, False),
        ("s == t - 3", "3", False, True),
        ("s <= t + 1", "-", True, False),
        ("s <= t and s <= t - 2", "-", False, True),
        ("s < t and t - s <= 4", "4", False, True),
        ("t - 4 <= s and s <= t", "4", False, False),
        ("s <= t and t < s + W", "add(W, -1)", False, False),
        ("s <= t and s >= t - 2 * W", "mul(2, W)", False, False),
        ("abs(s - t) < 3", "add(3, -1)", True, False),
        ("s <= t - W", "-", False, True),
        ("s <= t + W", "-", True, False),
        ("s <= t and mod(s, 2) == 0", "-", False, False),
        ("s <= t or s < t", "-", True, False),
        ("s < W", "-", True, False),
        ("2 * s <= t", "-", False, False),
        ("s <= floor(t / 2)", "-", True, False),
    ],
)
def test_conditions(checked, show, where: str, back: str, ahead: bool, past: bool) -> None:
    made = relation(checked, where)
    assert (show(made.bound), made.ahead, made.past) == (back, ahead, past)
    assert made.of == "t" and not made.whole and not made.static


def test_a_second_name_without_a_condition(checked) -> None:
    body = checked("index s of t", "y : [D] = mean(x[s], over = s)")
    (made,) = body.indices
    assert made.whole and made.ahead and not made.past and made.bound is None


def test_all_of_the_run(checked) -> None:
    body = checked("index s of t", "index j of D", "index i in 0..D-1", "index u", "in z : [u]", "y : [D, s] = x[s]", "w : [D] = y[s = 0]")
    found = {i.name: i for i in body.indices}
    assert found["j"].static and found["j"].of == "D" and not found["j"].ahead
    assert found["i"].static and not found["i"].of
    assert not found["u"].static and not found["u"].of


def test_what_is_read_through_a_relation(checked, show) -> None:
    body = checked("index s of t where s <= t", "y : [D] = sum(x[s], over = s)", "index r of t where r < t", "in z : [D] init 0",
    "w : [D] = sum(z[r], over = r)")
    assert show(body.table["y"].value) == "sum(x{rename t #s} over s)"
    assert show(body.table["w"].value) == "sum(z{rename t #r past} over r)"
    assert body.table["y"].value.arg.axes == ("D", "s")


def test_conditions_with_axes_and_values(checked, show) -> None:
    body = checked("in len_ : [] of int", "index s of t where s <= t and t - s < len_ and pos(H) >= 0", "y : [D] = sum(x[s], over = s)")
    (made,) = body.indices
    assert set(made.where.axes) == {"s", "H"} and made.bound is None and not made.ahead


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["index s of nix where s <= t"], "SEQ0415"),
        (["index s of t where s"], "SEQ0404"),
        (["index s of t where s <= x"], None),
        (["index s of t where s <= q", "in q : [H]", "y : [D] = x"], ""),
        (["index s of t where s <= t", "y : [D] = x[s]"], "SEQ0401"),
        (["index s of t where s <= t", "y : [D, s] = x[s] * w", "w : [H] = 1"], "SEQ0403"),
        (["index s of t where s <= t", "z : [s] = sum(x[s], over = D)", "y : [D] = x * z"], "SEQ0403"),
        (["index s of t where s <= t", "require causal", "y : [D] = mean(x[s], over = s)"], ""),
        (["index s of t where s <= t + 1", "require causal", "y : [D] = mean(x[s], over = s)"], "SEQ0309"),
        (["index s of t where s <= t + 1", "require causal", "y : [D] = x"], ""),
        (["index s of t", "require causal", "y : [D] = mean(x[s], over = s)"], "SEQ0309"),
    ],
)
def test_relations_that_are_refused(checked, lines: list[str], code: str | None) -> None:
    errors = checked.errors(*lines)
    assert code is None or errors == ([code] if code else [])


def test_relations_in_blocks(checked, show) -> None:
    head = "block B:\n    dim D\n    in x : [t, D]\n"
    body = checked("index s of t where s <= t", "out y : [t, D] = sum(where(s <= t, x[s], 0), over = s)", head=head)
    assert show(body.table["y"].value) == "sum(where(le(#s, #t), x{rename t #s}, 0) over s)"
    assert body.table["y"].value.axes == ("t", "D")


def test_causality_of_blocks(checked) -> None:
    head = "block B:\n    dim D\n    in x : [t, D]\n    require causal\n"
    assert checked.errors("out y : [D] = mean(x, over = t)", head=head) == ["SEQ0309"]
    assert checked.errors("out y : [t, D] = cumsum(x, over = t)", head=head) == []
    assert checked.errors("out y : [t, D] = softmax(x, over = t)", head=head) == ["SEQ0309"]
    before = "cell S over t:\n    dim D\n    in x : [D]\n    state s : [D] init 0\n    s = s[t-1] + x\n    out s\n"
    assert checked.errors("out y : [t, D] = S(x)", head=head, before=before) == []
    assert checked.errors("out y : [t, D] = S(x, along = reverse(t))", head=head, before=before) == ["SEQ0309"]

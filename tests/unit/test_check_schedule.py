"""Schedules, claims in words, lints, and what silences them."""

from __future__ import annotations

import pytest

STATE = ("state h : [D] init 0", "h = 0.5 * h[t-1] + x", "out h")


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        ("scan = auto", ("scan", (("auto", ()),))),
        ("scan = sequential", ("scan", (("sequential", ()),))),
        ("scan = chunked(64)", ("scan", (("chunked", (("length", 64),)),))),
        ("scan = newton(jacobian = diagonal, tolerance = 1e-6)", ("scan", (("newton", (("jacobian", "diagonal"), ("tolerance", 1e-6))),))),
        ("scan = newton(trust = 1, iterations = 100)", ("scan", (("newton", (("trust", 1), ("iterations", 100))),))),
        ("scan = associative, sequential", ("scan", (("associative", ()), ("sequential", ())))),
        ("scan = convolution", ("scan", (("convolution", ()),))),
        ("scan = attention", ("scan", (("attention", ()),))),
        ("scan = wavefront", ("scan", (("wavefront", ()),))),
        ("backward = recompute", ("backward", (("recompute", ()),))),
        ("backward = store", ("backward", (("store", ()),))),
        ("backward = invert", ("backward", (("invert", ()),))),
    ],
)
def test_settings(checked, line: str, setting: object) -> None:
    (made,) = checked(*STATE, "schedule:", f"    {line}").settings
    assert (made.name, made.choices) == setting


def test_stop(checked, show) -> None:
    (made,) = checked(*STATE, "schedule:", "    stop = max(abs(h), over = D) < 0.001").settings
    assert made.name == "stop" and show(made.condition) == "lt(max(abs(h) over D), 0.001)"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("scam = auto", "SEQ0236"), ("scan = fast", "SEQ0237"), ("scan = 3", "SEQ0237"), ("backward = fast", "SEQ0237"),
        ("scan = auto(3)", "SEQ0238"),
        ("scan = chunked(0)", "SEQ0238"), ("scan = chunked(D)", "SEQ0238"), ("scan = chunked(8, 8)", "SEQ0238"),
        ("scan = newton(jacobian = half)", "SEQ0238"),
        ("scan = newton(steps = 3)", "SEQ0238"), ("stop = h", "SEQ0404"), ("stop = nix > 0", "SEQ0220"),
        ("scan = newton(tolerance = true)", "SEQ0238"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(checked, line: str, code: str) -> None:
    assert checked.errors(*STATE, "schedule:", f"    {line}") == [code]


@pytest.mark.parametrize(
    ("line", "code"),
    [("require causal", ""), ("require stable", "SEQ0235"), ("require casual", "SEQ0235"), ("require x", "SEQ0235"), ("require x + 1",
    "SEQ0404"), ("require D >= 1", "")],
)
def test_claims_in_words(checked, line: str, code: str) -> None:
    body = (*STATE, line)
    assert checked.errors(*body) == ([code] if code else [])
    if not code:
        (made,) = checked(*body).requirements
        assert made.word == ("causal" if "causal" in line else "holds")


# ---- lints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        (["k : [D] init 0 = 2 * x", "y : [D] = k[t-1]", "out y"], ["SEQ-W01"]),
        (["k : [D] init 0 = 2 * x", "y : [D] = k + k[t-1]", "out y"], []),
        (["state k : [D] init 0", "k = 0.5 * k[t-1] + x", "y : [D] = k[t-1]", "out y"], []),
        (["gate k : [D] init 0 = 2 * x", "y : [D] = k[t-1]", "out y"], ["SEQ-W01"]),
        (["out y : [D] = expdiff(x, 2 * x)"], ["SEQ-W02"]),
        (["m : [D] = max(x, 0)", "out y : [D] = expdiff(x, m)"], []),
        (["m : [D] = logaddexp(0, x)", "out y : [D] = expdiff(x, m)"], []),
        (["m : [] = max(x, over = D)", "out y : [D] = expdiff(x, m)"], []),
        (["m : [D] = where(x > 0, max(x, 1), max(2, x))", "out y : [D] = expdiff(x, m)"], []),
        (["m : [D] = where(x > 0, max(x, 1), 2)", "out y : [D] = expdiff(x, m)"], ["SEQ-W02"]),
        (["in m : [D] = max(x, 0)", "out y : [D] = expdiff(x, m)"], ["SEQ-W02"]),
        (["state m : [D] init -inf", "m = max(m[t-1], x)", "out y : [D] = expdiff(m[t-1], m) + expdiff(x, m)"], []),
        (["state m : [D] init -inf", "m = max(m[t-1], x)", "out y : [D] = expdiff(m, m[t-1])"], ["SEQ-W02"]),
        (["k : [H, K] = linear(x)", "out y : [H] = linear(k)"], ["SEQ-W03"]),
        (["k : [H, K] = linear(x)", "out y : [H] = linear(k, per = H)"], []),
        (["k : [H, K] = linear(x)", "out y : [H] = linear(k, over = [H, K])"], []),
        (["k : [H, K] = linear(x)", "out y : [H, K] = linear(k)"], []),
        (["k : [H, K] = linear(x)", "out y : [D] = linear(k)"], []),
        (["z : [D] = 2 * x", "out y : [D] = x"], ["SEQ-W04"]),
        (["in z : [D]", "out y : [D] = x"], []),
        (["param z : [D] init 0", "out y : [D] = x"], []),
        (["state z : [D] init 0", "z = z[t-1] + x", "out y : [D] = x"], []),
        (["loss z : [] = sum(x, over = D)", "out y : [D] = x"], []),
        (["z : [] of int = floor(t / 2)", "index s of t where s <= t and s >= z", "out y : [D] = mean(x[s], over = s)"], []),
        (["out y : [D] = x - x"], ["SEQ-W05"]),
        (["out y : [D] = tanh(x) - tanh(x)"], ["SEQ-W05"]),
        (["out y : [D] = x - stop(x)"], []),
        (["out y : [] = 3 - 3"], []),
    ],
)
def test_lints(checked, lines: list[str], codes: list[str]) -> None:
    assert checked.codes(*lines) == codes


def test_a_lag_in_a_block_is_a_shift(checked) -> None:
    head = "block B:\n    dim D\n    in x : [t, D]\n"
    assert checked.codes("k : [t, D] init 0 = 2 * x", "out y : [t, D] = k[t-1]", head=head) == []


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("# seqc: allow SEQ-W05 it shows something", []),
        ("# seqc: allow SEQ-W05", []),
        ("# seqc: allow SEQ-W04", ["SEQ-W05"]),
        ("# allow SEQ-W05", ["SEQ-W05"]),
        ("# seqc: allow", ["SEQ-W05"]),
    ],
)
def test_lints_are_allowed_on_their_line(checked, comment: str, codes: list[str]) -> None:
    assert checked.codes(f"out y : [D] = x - x    {comment}") == codes


def test_an_error_cannot_be_allowed(checked) -> None:
    assert checked.codes("state h : [D] init 0", "h = h + x    # seqc: allow SEQ0301", "out h") == ["SEQ0301"]
    assert checked.codes("gate f : [D] in (0, 1) = x    # seqc: allow SEQ0440", "out f") == ["SEQ0440"]


def test_allowed_lints_stay_silent_beside_errors(checked) -> None:
    lines = ("k : [H, K] = linear(x)", "out y : [H] = linear(k)    # seqc: allow SEQ-W03", "z : [D] = nix")
    assert checked.codes(*lines) == ["SEQ0220"]


def test_sound_specs_have_no_lints(checked) -> None:
    from seqc.compiler.check import check
    from seqc.compiler.diagnostics.diagnostic import Sink
    from seqc.compiler.frontend.bundled import all_bundled
    from seqc.compiler.frontend.imports import load

    for entry in all_bundled():
        sink = Sink()
        project = load(str(entry.path), sink)
        assert project is not None
        check(project, sink)
        assert not sink.found, entry.name

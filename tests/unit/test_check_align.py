"""The alignment rule and types of expressions (language.md section 5)."""

from __future__ import annotations

import pytest

from seqc.compiler.ir import expr as x

LINES = (
    "dim V, N",
    "index j of N",
    "in k : [H, K]", "in q : [H, K]", "in v : [H, V]", "in g : [H]", "in a : []", "in w : [K]", "in M : [H, K, V]",
    "in n : [] of int", "in m : [H] of int", "in b : [H] of bool", "in c : [] of bool", "in z : [H] of complex", "in s : [] of text",
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "axes"),
    [
        ("k * q", "H K"),
        ("k * g", "H K"),
        ("g * k", "H K"),
        ("w * k", "H K"),
        ("a * k", "H K"),
        ("2 * k", "H K"),
        ("k + w * M", "H K V"),
        ("g * w * k", "H K"),
        ("w * g * k", "H K"),
        ("g + w + k", "H K"),
        ("outer(k, v)", "H K V"),
        ("outer(w, g)", "K H"),
        ("outer(g, w)", "H K"),
        ("M + outer(k, v)", "H K V"),
        ("dot(k, q, over = K)", "H"),
        ("dot(k, M, over = K)", "H V"),
        ("dot(M, k, over = [H, K])", "V"),
        ("dot(k, w, over = K)", "H"),
        ("where(g > 0, k, a)", "H K"),
        ("where(k > 0, g, w)", "H K"),
        ("max(g, k)", "H K"),
        ("pos(H) * w", "H K"),
        ("pos(H) + pos(V)", "H V"),
        ("t * k", "H K"),
        ("D / H * g", "H"),
        ("k / (1 + abs(k))", "H K"),
        ("-g", "H"),
        ("not b", "H"),
        ("g > 0 and k > 0", "H K"),
    ],
)
def test_operands_align_by_name(checked, written: str, axes: str) -> None:
    e = checked.value("y", *LINES, f"gate y = f({written})", before="extern f(a : []) -> (r : []) : pure\n")
    assert isinstance(e, x.Invoke)
    assert e.arguments[0].value.axes == tuple(axes.split())


@pytest.mark.parametrize(
    "written",
    ["g * w", "w + g", "k * v", "(g - w) * k", "where(g > 0, w, a)", "max(g, w)", "k - v", "expdiff(g, w)", "g ^ w", "b and w > 0",
     "outer(k, v) + v * w"],
)  # fmt: skip
def test_one_operand_has_the_axes_of_all(checked, written: str) -> None:
    assert checked.errors(*LINES,
    f"y : [H, K, V] = where({written} == 0, 1, 0)" if " and " not in written else f"y : [H, K] of bool = {written}") == ["SEQ0403"]


def test_chains_align_as_a_whole(checked, show) -> None:
    assert show(checked.value("y", *LINES, "y : [H, K] = g * w * k")) == "mul(g, w, k)"
    assert show(checked.value("y", *LINES, "y : [H, K] = g * (w * k)")) == "mul(g, mul(w, k))"
    assert show(checked.value("y", *LINES, "y : [H, K] = g + w + k + 1")) == "add(g, w, k, 1)"
    assert show(checked.value("y", *LINES, "y : [H, K] = g - w * k - 1")) == "sub(sub(g, mul(w, k)), 1)"


def test_a_value_with_fewer_axes_fills_the_rest(checked, show) -> None:
    assert show(checked.value("y", *LINES, "y : [H, K] = g")) == "expand(g to H K)"
    assert show(checked.value("y", *LINES, "y : [H, K] = 1")) == "expand(1 to H K)"
    assert show(checked.value("y", *LINES, "y : [K, H] = k")) == "k"
    assert checked.errors(*LINES, "y : [H] = k") == ["SEQ0401"]
    assert checked.errors(*LINES, "y : [] = g") == ["SEQ0401"]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("g", "real"), ("n", "int"), ("n + 1", "int"), ("n + 1.0", "real"), ("n * m", "int"), ("n / 2", "real"), ("n - m", "int"),
        ("n + g", "real"), ("z * g", "complex"), ("abs(z)", "real"), ("abs(n)", "int"), ("re(z)", "real"), ("cis(g)", "complex"),
        ("complex(g, 0)", "complex"), ("conj(z)", "complex"), ("exp(z)", "complex"), ("exp(n)", "real"), ("floor(g)", "int"),
        ("ceil(g)", "int"), ("mod(n, 3)", "int"), ("mod(g, 3)", "real"), ("max(n, 0)", "int"), ("max(n, 0.0)", "real"), ("n^2", "int"),
        ("n^-1", "real"), ("2^n", "real"), ("2^t", "int"), ("g^2", "real"), ("n == 1", "bool"), ("b", "bool"), ("not c", "bool"),
        ("where(c, n, m)", "int"), ("where(c, n, g)", "real"), ("where(c, z, g)", "complex"), ("where(c, b, c)", "bool"),
        ("sum(m, over = H)", "int"), ("mean(m, over = H)", "real"), ("argmax(g, over = H)", "int"), ("softmax(m, over = H)", "real"),
        ("rank(g, over = H)", "int"), ("topk(g, 2, over = H)", "bool"), ("fft(g, over = H)", "complex"), ("cumsum(m, over = H)", "int"),
        ("onehot(n, over = H)", "real"), ("t", "int"), ("pos(H)", "int"), ("len(H)", "int"), ("H", "int"), ("sign(n)", "int"),
        ("xor(n, 1)", "int"), ("bitlen(n)", "int"), ("stop(n)", "int"), ("through(g, n)", "real"), ("pi", "real"), ("inf", "real"),
        ("s", "text"), ('s == "a"', "bool"), ('where(c, s, "b")', "text"),
    ],
)  # fmt: skip
def test_types(checked, written: str, kind: str) -> None:
    e = checked.value("y", *LINES, f"gate y = f({written})", before="extern f(a : []) -> (r : []) : pure\n")
    assert isinstance(e, x.Invoke)
    assert e.arguments[0].value.type == kind


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("b + 1", "SEQ0405"), ("-b", "SEQ0405"), ("sigmoid(b)", "SEQ0405"), ("b * g", "SEQ0405"), ("sum(b, over = H)", "SEQ0405"),
        ("max(b, over = H)", "SEQ0405"), ("dot(b, g, over = H)", "SEQ0405"), ("where(b, b, g)", "SEQ0405"), ("linear(b, to = [K])",
        "SEQ0405"),
        ("s + 1", "SEQ0406"), ("s == 1", "SEQ0406"), ("exp(s)", "SEQ0406"), ("z > 1", "SEQ0407"), ("relu(z)", "SEQ0407"),
        ("max(z, 0)", "SEQ0407"), ("floor(z)", "SEQ0407"), ("where(g, 1, 0)", "SEQ0404"), ("g and c", "SEQ0404"), ("not g", "SEQ0404"),
    ],
)  # fmt: skip
def test_types_that_do_not_go_together(checked, written: str, code: str) -> None:
    assert checked.errors(*LINES, f"gate y = f({written})", before="extern f(a : []) -> (r : []) : pure\n") == [code]


@pytest.mark.parametrize(
    ("declared", "written", "code"),
    [
        ("[H]", "n", ""), ("[H]", "b", "SEQ0409"), ("[H]", "z", "SEQ0409"), ("[] of int", "n / 2", "SEQ0410"), ("[] of int", "c",
        "SEQ0409"),
        ("[] of bool", "n", "SEQ0409"), ("[H] of complex", "g", ""), ("[H] of complex", "m", ""), ("[] of text", "n", "SEQ0409"),
        ("[] of int", "floor(a)", ""), ("[] of bool", "a > 0", ""), ("[] of text", "s", ""),
    ],
)  # fmt: skip
def test_what_a_declared_type_takes(checked, declared: str, written: str, code: str) -> None:
    assert checked.errors(*LINES, f"y : {declared} = {written}") == ([code] if code else [])


def test_comparisons_align_too(checked) -> None:
    assert checked.errors(*LINES, "y : [H, K] of bool = g > w") == ["SEQ0403"]
    assert checked.value("y", *LINES, "y : [H, K] of bool = g < k").axes == ("H", "K")

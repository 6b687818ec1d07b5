"""Names, dims and their arithmetic, kinds of values, docs and equations in comments."""

from __future__ import annotations

import pytest

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.ir import expr as x

# ---- values -----------------------------------------------------------------------------------------------------------


def test_kinds_of_values(checked, show) -> None:
    body = checked(
        "in y : [D] once",
        "in eps : [D] = normal(0, 1)",
        "in mask : [] = none",
        "param w : [D] fixed init 1",
        "const c : [] = 3",
        "state h : [D] of f32 init 0        #: what is kept",
        "gate g : [D] in (0, 1) = sigmoid(y + w + c + eps)",
        "z : [D] = g * x",
        "h = h[t-1] + z",
        "loss l : [] = sum(h, over = D)",
        "out h",
        "out r : [D] = 2 * h",
    )
    kinds = {v.name: v.kind for v in body.values}
    assert kinds == {
        "x": "input", "y": "input", "eps": "input", "mask": "input", "w": "param", "c": "const", "h": "state", "g": "gate",
        "z": "let", "l": "loss", "r": "out",
    }  # fmt: skip
    assert body.outs == ("h", "r")
    table = body.table
    assert table["y"].once and table["w"].fixed and not table["x"].once
    assert table["h"].width == "f32" and table["h"].type == "real" and table["h"].doc == "what is kept"
    assert show(table["h"].start) == "0" and not table["h"].learned
    assert isinstance(table["mask"].value, x.NotGiven)
    assert show(table["eps"].value) == "~normal(0, 1)" and table["eps"].value.axes == ("D",)
    assert table["h"].text == "h = h[t-1] + z" and table["z"].text == "z : [D] = g * x"
    assert [v.name for v in body.values][:3] == ["x", "y", "eps"], "textual order"


def test_a_state_that_is_also_an_out_keeps_its_kind(checked) -> None:
    body = checked("state h : [D] init 0", "out h", "h = h[t-1] + x")
    assert body.table["h"].kind == "state" and body.outs == ("h",)


@pytest.mark.parametrize(
    ("start", "shown", "learned"),
    [
        ("init 1", "1", False),
        ("init -inf", "-inf", False),
        ("init param", "0", True),
        ("init param normal(0, 1)", "~normal(0, 1)", True),
        ("init pos(D) / D", "div(#D, D)", False),
        ("init w", "w", False),
        ("init y", "y", False),
    ],
)
def test_starts(checked, show, start: str, shown: str, learned: bool) -> None:
    v = checked("in y : [D] once", "param w : [D] init 0", f"state h : [D] {start}", "h = h[t-1] + x", "out h").table["h"]
    assert (show(v.start), v.learned) == (shown, learned)


@pytest.mark.parametrize(
    ("written", "kind", "width"),
    [("", "real", ""), (" of f32", "real", "f32"), (" of f64", "real", "f64"), (" of bf16", "real", "bf16"), (" of float", "real", ""),
     (" of complex", "complex", ""), (" of int", "int", ""), (" of bool", "bool", "")],
)  # fmt: skip
def test_types(checked, written: str, kind: str, width: str) -> None:
    v = checked(f"in y : [D]{written}").table["y"]
    assert (v.type, v.width) == (kind, width)


def test_a_second_line_gives_the_equation_of_a_declared_input(checked) -> None:
    assert checked.errors("param w : [D] init 0", "w = x") == ["SEQ0202"]
    assert checked.errors("state h : [D] init 0", "h = h[t-1]", "h = x") == ["SEQ0202"]


@pytest.mark.parametrize(
    "lines",
    [
        ["dim x = 3"], ["index D"], ["z : [D] = x", "z : [D] = x"], ["param H : [D] init 0"], ["stack D in 1..3:\n    z : [D] = x"],
        ["index i in 0..3", "i : [D] = x"], ["in x : [D]"],
    ],
)  # fmt: skip
def test_one_name_means_one_thing(checked, lines: list[str]) -> None:
    assert set(checked.errors(*lines)) & {"SEQ0201", "SEQ0202"}


@pytest.mark.parametrize("name", ["pred", "succ", "batch", "call", "edge", "true", "pi", "inf", "none"])
def test_words_that_are_no_names(checked, name: str) -> None:
    assert "SEQ0204" in checked.errors(f"{name} : [D] = x")


@pytest.mark.parametrize("name", ["seq", "identity", "combine", "sum", "tanh", "linear", "left", "g2", "A_log"])
def test_words_that_are_names(checked, name: str) -> None:
    assert checked.errors(f"out {name} : [D] = 2 * x") == []


def test_a_value_may_be_called_like_a_function(checked, show) -> None:
    assert show(checked.value("out_", "sum : [D] = 2 * x", "out out_ : [] = sum(sum, over = D)")) == "sum(sum over D)"


def test_time_is_no_name(checked) -> None:
    assert checked.errors("t : [D] = x") == ["SEQ0205"]
    assert checked.errors("in t : [D]", "out y : [t, D] = t", head="block B:\n    dim D\n") == ["SEQ0205"]
    assert set(checked.errors("out t", head="block B:\n    dim D\n    in t : [D]\n")) == {"SEQ0205"}


def test_several_mistakes_are_found_in_one_run(checked) -> None:
    assert checked.errors("state a : [D]", "a = a[t-1]", "b : [D] = nix", "c : [Q] = x", "d : [D] = sum(x)", "out a") == [
        "SEQ0302", "SEQ0220", "SEQ0219", "SEQ0414",
    ]  # fmt: skip


def test_an_unknown_name_is_told_once(checked) -> None:
    assert checked.errors("a : [D] = nowhere + x", "b : [D] = nowhere * x") == ["SEQ0220"]
    assert checked.errors("a : [Q] = x", "b : [Q] = x") == ["SEQ0219"]


@pytest.mark.parametrize("name", ["h_prev", "h_old", "h_last", "hprev", "h_tm1"])
def test_the_past_has_no_name_of_its_own(checked, name: str) -> None:
    with pytest.raises(Rejected) as wrong:
        checked("state h : [D] init 0", f"h = 0.5 * {name} + x", "out h")
    (d,) = wrong.value.diagnostics
    assert d.code == "SEQ0220" and d.help == "h = 0.5 * h[t-1] + x"


def test_outs(checked) -> None:
    assert checked.errors("y : [D] = x", "out z") == ["SEQ0208"]
    assert checked.errors(head="cell C over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = h[t-1] + x\n    loss l : [] = sum(h, over = D)\n") == []  # noqa: E501  # fmt: skip


# ---- dims -------------------------------------------------------------------------------------------------------------


def dims(checked, line: str):  # type: ignore[no-untyped-def]
    return {d.name: d.value for d in checked(head=f"cell C over t:\n    {line}\n    in x : [D]\n").dims}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("D / 2", "div(D, 2)"),
        ("D / (2 * H)", "div(D, mul(2, H))"),
        ("ceil(D / 16)", "ceil(div(D, 16))"),
        ("roundup(8 * D / 3, 64)", "roundup(div(mul(8, D), 3), 64)"),
        ("4 * (D / 16)^2", "mul(4, pow(div(D, 16), 2))"),
        ("max(D, H) - min(H, 2)", "sub(max(D, H), min(H, 2))"),
        ("2^3", "pow(2, 3)"),
    ],
)
def test_arithmetic_of_dims(checked, show, written: str, shown: str) -> None:
    assert show(dims(checked, f"dim D, H = 4, K = {written}")["K"]) == shown


def test_a_dim_without_a_value_is_open(checked, show) -> None:
    found = dims(checked, "dim D, N = D, M")
    assert found["D"] is None and found["M"] is None and show(found["N"]) == "D"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("dim D = 10, H = 4, K = D / H", "SEQ0433"),
        ("dim D, H = 4, K = D / H", ""),
        ("dim D, K = 5 / 2", "SEQ0433"),
        ("dim D, K = 10^0.5", ""),
        ("dim D, K = 2.5", "SEQ0433"),
        ("dim D, K = 2.0", ""),
        ("dim D, A = 12, B = A / 4, C = B / 2", "SEQ0433"),
        ("dim D, A = 12, B = A / 4, C = ceil(B / 2)", ""),
        ("dim D, K = 3 - 4", "SEQ0434"),
        ("dim D, K = 3 - 3", ""),
        ("dim D, A = 2, K = 1 / (A - 2)", "SEQ0434"),
        ("dim D, K = roundup(3, 0)", "SEQ0434"),
        ("dim D, K = 2^31", "SEQ0434"),
        ("dim D, K = 2^31 - 1", ""),
        ("dim D, K = E, E = 2", "SEQ0218"),
        ("dim D, K = K + 1", "SEQ0218"),
        ("dim D, K = x", "SEQ0217"),
        ("dim D, K = sqrt(D)", "SEQ0217"),
        ("dim D, K = inf", "SEQ0217"),
        ("dim D, K = true", "SEQ0217"),
        ("dim D, K = nix", "SEQ0220"),
        ("dim D, k = 2", "SEQ0203"),
        ("dim D, K = t", "SEQ0217"),
    ],
)
def test_dims_come_out_whole(checked, line: str, code: str) -> None:
    assert checked.errors(head=f"cell C over t:\n    {line}\n    in x : [D]\n") == ([code] if code else [])


def test_docs_of_dims(checked) -> None:
    body = checked(head="cell C over t:\n    dim D        #: width\n    dim N, M\n    in x : [D]\n")
    assert {d.name: d.doc for d in body.dims} == {"D": "width", "N": "", "M": ""}


# ---- definitions ------------------------------------------------------------------------------------------------------


def test_a_fn_sees_its_own_file_only(checked) -> None:
    assert checked.errors("y : [D] = f(x)", before="fn f(a) = a + x\n") == ["SEQ0220"]
    assert checked.errors("y : [D] = f(x)", before="fn f(a) = a + D\n") == ["SEQ0220"]
    assert checked.errors("y : [D] = f(x)", before="fn f(a) = a + t\n") == ["SEQ0220"]
    assert checked.errors("y : [D] = f(x)", before="fn f(a) = a + pi\n") == []
    assert checked.errors("y : [D] = f(x)", before="fn f(a) = g(a)\nfn g(a) = 2 * a\n") == []


@pytest.mark.parametrize(
    ("fn", "code"),
    [
        ("fn f(a, a) = a", "SEQ0201"),
        ("fn f(a) = a + b", "SEQ0220"),
        ("fn f(a) = sigmoyd(a)", "SEQ0226"),
        ("fn f(a) = linear(a)", "SEQ0429"),
        ("fn f(a) = f(a - 1)", "SEQ0229"),
        ("fn f(a) = g(a)\nfn g(a) = f(a)", "SEQ0229"),
        ("fn f(a) = g(a) + 1\nfn g(a) = g(a)", "SEQ0229"),
        ("fn f(a, K) = sum(a, over = K) * pos(K)", ""),
        ("fn f(a) = where(a > pi, inf, a)", ""),
        ("fn f(z, N) = at(z, N = pos(N) + 1, border = clamp)", ""),
    ],
)
def test_a_fn_that_nobody_calls_is_looked_at(checked, fn: str, code: str) -> None:
    assert checked.errors(before=f"{fn}\n") == ([code] if code else [])


def test_arguments_of_a_fn_are_one_node(checked) -> None:
    e = checked.value("y", "y : [D] = f(x + 1)", before="fn f(a) = a * a\n")
    assert isinstance(e, x.Apply) and e.fn == "mul" and e.args[0] is e.args[1]


def test_a_fn_may_name_axes_in_its_arguments(checked, show) -> None:
    assert show(checked.value("y", "y : [] = total(x, D)", before="fn total(a, K) = sum(a, over = K)\n")) == "sum(x over D)"


def test_definitions_have_names_of_their_own(checked) -> None:
    assert checked.errors(before="fn f(a) = a\nfn f(a) = 2 * a\n") == ["SEQ0201"]
    assert checked.errors(before="fn tanh(a) = a\n") == ["SEQ0214"]
    assert checked.errors(before="fn linear(a) = a\n") == ["SEQ0214"]


def test_the_program_has_what_the_file_reaches(checked) -> None:
    program = checked.program("seq 1\nfrom cells.gru import GRU\nmodel M:\n    dim D\n    in x : [t, D]\n    out y : [t, D] = GRU(x)\n")
    assert program.exports == ("main:M",)
    assert set(program.bodies) == {"main:M", "seqc.specs.cells.gru:GRU"}


def test_operators(checked, show) -> None:
    text = "seq 1\noperator Affine(a : [N], b : [N] of complex):\n    identity = (1, 0)\n    combine(l, r):\n        a = r.a * l.a\n        b = r.a * l.b + r.b\n"  # noqa: E501
    op = checked.program(text).operators["main:Affine"]
    assert op.fields == (("a", ("N",), "real"), ("b", ("N",), "complex"))
    assert [show(e) for e in op.identity] == ["1", "0"]
    assert {n: show(e) for n, e in op.combine} == {"a": "mul(r.a, l.a)", "b": "add(mul(r.a, l.b), r.b)"}


def test_externs(checked) -> None:
    text = "seq 1\nextern ask(p : [] of text, n : [D]) -> (r : [] of text, s : [D]) : impure, gradient\n"
    made = checked.program(text).externs["main:ask"]
    assert made.arguments == (("p", (), "text"), ("n", ("D",), "real"))
    assert made.results == (("r", (), "text"), ("s", ("D",), "real"))
    assert made.traits == ("impure", "gradient")

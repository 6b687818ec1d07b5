"""Calls: which argument is which input, which axis is which, sizes, results, holes and everything else that is bound."""

from __future__ import annotations

import pytest

from seqc.compiler.ir import expr as x

BEFORE = """
cell Cell over t:
    dim D, N = D
    const scale : [] = 1
    in x : [D]
    in g : [N] = 1
    param w : [N] init 0
    state h : [N] init 0
    h = scale * w * h[t-1] + g * linear(x)
    out h

cell Two over t:
    dim D
    in x : [D]
    state c : [D] init 0
    c = 0.5 * c[t-1] + x
    out a : [D] = 2 * c
    out b : [D] = 3 * c

block Mix:
    dim A, B, C = A
    in x : [A, B]
    out y : [A, C] = linear(x, per = A)

block Pool:
    dim D
    index i
    in x : [i, D]
    out y : [D] = mean(x, over = i)

block Const:
    dim N
    out y : [N] = pos(N) / N

block Around(Mixer = Cell, Act = silu):
    dim D
    in x : [t, D]
    out y : [t, D] = x + Act(Mixer(x))

block Open(Mixer):
    dim D
    in x : [t, D]
    out y : [t, D] = x + Mixer(x)

block Loose(Mixer(x, m) = Cell):
    dim D
    in x : [t, D]
    in m : [t, D]
    out y : [t, D] = Mixer(x, m)

block Image:
    dim D
    index y, x
    in p : [y, x, D]
    out q : [y, x, D] = linear(p)

fn twice(z) = 2 * z
"""
HEAD = (
    "block B:\n    dim D, N = 8, H = 4, K = 2, M\n    index u\n    index i in 1..3\n"
    "    in x : [t, D]\n    in z : [u, D]\n    in p : [t, H, K]\n"
)


def call(checked, line: str, name: str = "r", *more: str, head: str = HEAD) -> x.Invoke:
    e = checked.value(name, *more, line, "out last : [] = 1", head=head, before=BEFORE)
    while isinstance(e, x.Expand):
        e = e.arg
    assert isinstance(e, x.Invoke)
    return e


def said(call_: x.Invoke, show) -> dict[str, object]:
    return {
        "arguments": {a.name: show(a.value) for a in call_.arguments},
        "dims": {n: show(e) for n, e in call_.dims},
        "along": call_.along,
        "mapped": call_.mapped,
        "axes": call_.axes,
    }


def test_axes_match_by_name(checked, show) -> None:
    c = call(checked, "r : [t, D] = Cell(x)")
    assert said(c, show) == {
        "arguments": {"x": "x"}, "dims": {"D": "D"}, "along": (("t", "t", False),), "mapped": (), "axes": ("t", "D"),
    }  # fmt: skip
    assert c.callee == x.Callee(key="main:Cell") and c.label == "Cell" and not c.inline and c.out == "h"
    assert c.outs == (("h", ("t", "D"), "real"),)


@pytest.mark.parametrize(
    ("line", "dims", "along", "mapped", "axes"),
    [
        ("r : [t, N] = Cell(x, N = N)", {"D": "D", "N": "N"}, (("t", "t", False),), (), ("t", "N")),
        ("r : [t, N] = Cell(x)", {"D": "D", "N": "N"}, (("t", "t", False),), (), ("t", "N")),
        ("r : [t, M] = Cell(x, N = M)", {"D": "D", "N": "M"}, (("t", "t", False),), (), ("t", "M")),
        ("r = Cell(x, N = 2 * N)", {"D": "D", "N": "mul(2, N)"}, (("t", "t", False),), (), ("t", "N")),
        ("r : [u, D] = Cell(z)", {"D": "D"}, (("t", "u", False),), (), ("u", "D")),
        ("r : [t, D] = Cell(x, along = reverse(t))", {"D": "D"}, (("t", "t", True),), (), ("t", "D")),
        ("r : [t, H, K] = Cell(p, D = K)", {"D": "K"}, (("t", "t", False),), ("H",), ("H", "t", "K")),
        ("r : [t, H, K] = Cell(p, D = H)", {"D": "H"}, (("t", "t", False),), ("K",), ("K", "t", "H")),
        ("r : [i, t, D] = Cell(x, own = i)", {"D": "D"}, (("t", "t", False),), (), ("i", "t", "D")),
        ("r : [D] = Pool(x)", {"D": "D"}, (), (), ("D",)),
        ("r : [D] = Pool(x, i = t)", {"D": "D"}, (), (), ("D",)),
        ("r : [t, K] = Pool(p, i = H)", {"D": "K"}, (), ("t",), ("t", "K")),
        ("r : [N] = Const()", {"N": "N"}, (), (), ("N",)),
        ("r : [M] = Const(N = M)", {"N": "M"}, (), (), ("M",)),
        ("r : [t, H, K] = Mix(p, A = H, B = K, C = K)", {"A": "H", "B": "K", "C": "K"}, (), ("t",), ("t", "H", "K")),
        ("r : [t, H, N] = Mix(p, A = H, B = K)", {"A": "H", "B": "K", "C": "N"}, (), ("t",), ("t", "H", "N")),
    ],
)
def test_matching(checked, show, line: str, dims: dict[str, str], along: object, mapped: object, axes: tuple[str, ...]) -> None:
    got = said(call(checked, line), show)
    assert got["dims"] == dims
    assert (got["along"], got["mapped"], set(got["axes"])) == (along, mapped, set(axes))


def test_several_indices_match_in_their_order(checked) -> None:
    head = "block B:\n    dim D\n    index v, w\n    in p : [v, w, D]\n"
    c = call(checked, "r : [v, w, D] = Image(p)", head=head)
    assert c.arguments[0].renames == (("v", "y"), ("w", "x")) and c.axes == ("v", "w", "D")


def test_renames_are_said(checked) -> None:
    c = call(checked, "r : [u, D] = Cell(z)")
    assert c.arguments[0].renames == (("u", "t"),)
    c = call(checked, "r : [t, H, K] = Cell(p, D = K)")
    assert c.arguments[0].renames == (("K", "D"),)


def test_inputs_by_place_and_keyword(checked, show) -> None:
    assert said(call(checked, "r : [t, D] = Cell(x, 2 * x)"), show)["arguments"] == {"x": "x", "g": "mul(2, x)"}
    assert said(call(checked, "r : [t, D] = Cell(x, g = 2 * x)"), show)["arguments"] == {"x": "x", "g": "mul(2, x)"}
    assert said(call(checked, "r : [t, D] = Cell(g = 2, x = x)"), show)["arguments"] == {"g": "2", "x": "x"}
    assert said(call(checked, "r : [t, D] = Cell(x, none)"), show)["arguments"] == {"x": "x", "g": "none"}


def test_starts_parameters_and_consts(checked, show) -> None:
    c = call(checked, "r : [t, D] = Cell(x, h = 1, w = e, scale = 3)", "r", "param e : [D] init 0")
    assert [(n, show(e)) for n, e in c.starts] == [("h", "1")]
    assert [(n, show(e)) for n, e in c.params] == [("w", "e")]
    assert [(n, show(e)) for n, e in c.consts] == [("scale", "3")]
    c = call(checked, "r : [t, D] = Cell(x, start = first)", "r", "first : [t, D] = Cell(x)")
    assert [(n, show(e)) for n, e in c.starts] == [("*", "first")]


def test_several_outs_are_fields(checked, show) -> None:
    body = checked("f = Two(x)", "out r : [t, D] = f.a + f.b * f.c", head=HEAD, before=BEFORE)
    f = body.table["f"].value
    assert f.out == "" and [n for n, _, _ in f.outs] == ["a", "b", "c"] and all(axes == ("t", "D") for _, axes, _ in f.outs)
    assert show(body.table["r"].value) == "add(f::a, mul(f::b, f::c))"
    assert body.table["f"].axes is None


def test_a_cell_beside_a_cell_is_inlined(checked, show) -> None:
    body = checked("y : [D] = Cell(x)", before=BEFORE)
    c = body.table["y"].value
    assert c.inline and c.along == (("t", "t", False),) and c.axes == ("D",) and c.mapped == ()


def test_a_cell_inside_a_cell_along_another_axis(checked) -> None:
    body = checked("index u", "in z : [u, D]", "y : [u, D] = Cell(z, along = u)", before=BEFORE)
    c = body.table["y"].value
    assert not c.inline and c.along == (("t", "u", False),)
    c = checked("index u", "in z : [u, D]", "y : [u, D] = Cell(z)", before=BEFORE).table["y"].value
    assert c.inline and c.mapped == ("u",), "over the caller's own time it is mapped over u"


def test_names_of_calls(checked) -> None:
    assert call(checked, "r : [t, D] = Cell(x, name = lower)").label == "lower"


# ---- holes ------------------------------------------------------------------------------------------------------------


def test_a_hole_holds_its_default(checked, show) -> None:
    program = checked.program(f"seq 1\n{BEFORE}")
    y = program.bodies["main:Around"].table["y"].value
    act = y.args[1]
    assert isinstance(act, x.Invoke) and act.callee.hole == "Act" and act.callee.function == "silu"
    assert show(act.expansion) == "silu(Mixer(x = x))"
    mixer = act.expansion.args[0]
    assert mixer.callee == x.Callee(key="main:Cell", hole="Mixer")
    assert {h.name: h.default for h in program.bodies["main:Around"].holes} == {"Mixer": x.Callee(key="main:Cell"),
    "Act": x.Callee(function="silu")}


def test_filling_a_hole_with_a_body(checked) -> None:
    c = call(checked, "r : [t, D] = Open(x, Mixer = Cell)")
    assert c.callee == x.Callee(key="main:Open", holes=(("Mixer", x.Callee(key="main:Cell")),))


@pytest.mark.parametrize("function", ["tanh", "relu"])
def test_filling_a_hole_with_a_function_makes_a_copy(checked, show, function: str) -> None:
    program = checked.program(f"seq 1\n{BEFORE}\n{HEAD}    out r : [t, D] = Around(x, Act = {function})\n")
    c = program.bodies["main:B"].table["r"].value
    assert c.callee.key == f"main:Around{{Act={function}}}" and c.callee.key in program.bodies
    copy = program.bodies[c.callee.key]
    assert show(copy.table["y"].value) == f"add(x, {function}(Mixer(x = x)))"
    assert program.exports[-1] == "main:B"


def test_filling_a_hole_with_a_fn(checked, show) -> None:
    program = checked.program(f"seq 1\n{BEFORE}\n{HEAD}    out r : [t, D] = Around(x, Act = twice)\n")
    copy = program.bodies[program.bodies["main:B"].table["r"].value.callee.key]
    assert show(copy.table["y"].value) == "add(x, mul(2, Mixer(x = x)))"
    assert {h.name: h.default.function for h in copy.holes if h.default} == {"Mixer": "", "Act": "twice"}


def test_a_fn_in_a_hole_is_the_callers(checked, show, tmp_path) -> None:
    """A fn of the same name in the callee's file stays what it is there."""
    from seqc.compiler.check import check
    from seqc.compiler.diagnostics.diagnostic import Sink
    from seqc.compiler.frontend.imports import load

    (tmp_path / "lib.seq").write_text("seq 1\nfn act(z) = 3 * z\nblock L(Act = tanh):\n    in x : [t]\n    out y : [t] = act(Act(x))\n")
    text = "seq 1\nfrom lib import L\nfn act(z) = 2 * z\nblock M:\n    in x : [t]\n    out y : [t] = L(x, Act = act)\n"
    (tmp_path / "main.seq").write_text(text)
    sink = Sink()
    program = check(load(str(tmp_path / "main.seq"), sink), sink)
    copy = program.bodies[program.bodies["main:M"].table["y"].value.callee.key]
    assert show(copy.table["y"].value) == "mul(3, mul(2, x))"


def test_holes_in_holes(checked) -> None:
    c = call(checked, "r : [t, D] = Open(x, Mixer = Around(Mixer = Cell))")
    assert dict(c.callee.holes)["Mixer"] == x.Callee(key="main:Around", holes=(("Mixer", x.Callee(key="main:Cell")),))


def test_an_own_hole_is_handed_on(checked) -> None:
    text = f"seq 1\n{BEFORE}\nblock P(Inner = Cell):\n    dim D\n    in x : [t, D]\n    out y : [t, D] = Around(x, Mixer = Inner)\n"
    c = checked.program(text).bodies["main:P"].table["y"].value
    assert dict(c.callee.holes)["Mixer"] == x.Callee(key="main:Cell", hole="Inner")


def test_an_open_hole_takes_the_declared_shape(checked) -> None:
    program = checked.program(f"seq 1\n{BEFORE}")
    y = program.bodies["main:Open"].table["y"].value
    c = y.args[1]
    assert c.callee == x.Callee(hole="Mixer") and c.axes == ("t", "D") and [a.name for a in c.arguments] == [""]


# ---- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("r : [t, D] = Cell()", "SEQ0231"),
        ("r : [t, D] = Cell(x, x, x)", "SEQ0227"),
        ("r : [t, D] = Cell(x, x = x)", "SEQ0228"),
        ("r : [t, D] = Cell(x, nix = 1)", "SEQ0228"),
        ("r : [t, D] = Cell(x, n = N)", "SEQ0228"),
        ("r : [t, D] = Cell(x, along = D)", None),
        ("r : [t, D] = Cell(x, along = nix)", "SEQ0431"),
        ("r : [t, D] = Pool(x, along = t)", "SEQ0431"),
        ("r : [t, D] = Cell(x, own = u)", "SEQ0431"),
        ("r : [t, D] = Cell(x, start = nix)", "SEQ0431"),
        ("r : [t, D] = Cell(x, N = x)", "SEQ0432"),
        ("r : [t, D] = Cell(x, N = 0.5)", "SEQ0432"),
        ("r : [t, D] = Pool(x, i = 3)", "SEQ0431"),
        ("r : [t, H, K] = Mix(p)", "SEQ0430"),
        ("r : [t, H] = Cell(p)", "SEQ0430"),
        ("r : [t, D] = Cell(x > 0)", "SEQ0409"),
        ("r : [t, D] = Open(x)", "SEQ0233"),
        ("r : [t, D] = Open(x, Mixer = nix)", "SEQ0233"),
        ("r : [t, D] = Open(x, Mixer = x)", "SEQ0233"),
        ("r : [t, D] = Open(x, Mixer = 3)", "SEQ0233"),
        ("r : [t, D] = Two(x)", "SEQ0232"),
        ("r : [D] = Cell(x)", "SEQ0401"),
        ("r : [t, D] = Nix(x)", "SEQ0226"),
        ("r : [t, H] = Cell(p, D = K, N = H)", "SEQ0412"),
        ("r : [t, D] = Cell", "SEQ0222"),
        ("r : [t, D] = B(x)", "SEQ0234"),
        ("r : [t, D] = twice(x, x)", "SEQ0227"),
        ("r : [t, D] = twice(z = x)", "SEQ0228"),
        ("index s of t where Pool(x) > 0", None),
    ],
)
def test_calls_that_are_refused(checked, line: str, code: str | None) -> None:
    errors = checked.errors(line, "out last : [] = 1", head=HEAD, before=BEFORE)
    assert errors if code is None else errors == [code]


def test_inputs_that_may_be_left_out(checked) -> None:
    before = (
        "cell F over t:\n    dim D\n    in x : [D]\n    in y : [D] init 0 = h[t-1]\n    in target : [D]\n    in teach : [D] = target\n"
        "    state h : [D] init 0\n    h = tanh(x + y)\n    loss l : [] = sum((h - teach)^2, over = D)\n    out h\n"
    )
    head = "block B:\n    dim D\n    in x : [t, D]\n"
    assert checked.errors("out r : [t, D] = F(x)", head=head, before=before) == []
    assert checked.errors("out r : [t, D] = F(y = x)", head=head, before=before) == ["SEQ0231"]


def test_externs(checked, show) -> None:
    before = "extern f(a : [D], b : []) -> (r : [D]) : pure\nextern g(a : []) -> (p : [], q : []) : pure\n"
    body = checked("n : [D] = f(x, 1)", "m = g(sum(x, over = D))", "y : [D] = n * m.p", before=before)
    n = body.table["n"].value
    assert n.callee.extern == "main:f" and n.axes == ("D",) and n.out == "r"
    assert show(body.table["y"].value) == "mul(n, m::p)"
    assert checked.errors("n : [D] = f(x)", before=before) == ["SEQ0227"]


def test_scans_with_an_operator(checked, show) -> None:
    before = "operator Affine(a : [N], b : [N]):\n    identity = (1, 0)\n    combine(l, r):\n"
    before += "        a = r.a * l.a\n        b = r.a * l.b + r.b\n"
    body = checked("s = scan(Affine, a = 0.5 * x, b = x)", "y : [D] = s.b", before=before)
    assert show(body.table["s"].value) == "scan(a = mul(0.5, x), b = x)" and show(body.table["y"].value) == "s::b"
    assert checked.errors("s = scan(Affine, a = x)", "y : [D] = s.b", before=before) == ["SEQ0227"]
    assert checked.errors("s = scan(Affine, a = x, b = x, c = x)", "y : [D] = s.b", before=before) == ["SEQ0228"]
    assert checked.errors("s = scan(Nix, a = x)", "y : [D] = s.b", before=before) == ["SEQ0226"]
    assert checked.errors("s = scan(Affine, a = x, b = x)", "y : [D] = s", before=before) == ["SEQ0232"]


def test_constants_are_blocks_without_inputs(checked) -> None:
    body = checked("param w : [D] init Const(N = D)", "y : [D] = w * x", before=BEFORE)
    start = body.table["w"].start
    assert isinstance(start, x.Invoke) and start.callee.key == "main:Const" and start.axes == ("D",)

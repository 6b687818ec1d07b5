"""Layers: what they mix, the shapes they take, and the exact names, axes and starts of their parameters."""

from __future__ import annotations

import pytest

BLOCK = (
    "block B:\n    dim D, N = 8, H = 4, K = 2\n    index y, x\n"
    "    in u : [t, D]\n    in p : [y, x, D]\n    in ids : [t] of int in [0, N)\n"
)


def test_linear(checked, show) -> None:
    body = checked("dim N", "z : [N] = linear(x)")
    assert checked.params(body) == {"z.linear.x": ("N", "D"), "z.linear.bias": ("N",)}
    assert show(body.table["z"].value) == "add(dot(x, z.linear.x, D), z.linear.bias)"
    assert body.table["z"].value.axes == ("N",)
    fan = "~uniform(neg(pow(D, -0.5)), pow(D, -0.5))"
    assert show(body.table["z.linear.x"].start) == show(body.table["z.linear.bias"].start) == fan
    assert body.table["z.linear.x"].owner == "z" and [v.name for v in body.values][-3:] == ["z.linear.x", "z.linear.bias", "last"]


def test_a_square_weight_has_a_primed_twin(checked, show) -> None:
    body = checked("z : [D] = linear(x)")
    assert checked.params(body) == {"z.linear.x": ("D", "D'"), "z.linear.bias": ("D",)}
    assert show(body.table["z"].value) == "add(dot(rename(x, D>D'), z.linear.x, D'), z.linear.bias)"
    assert dict(body.sizes)["D'"].dim == "D"


def test_a_sum_of_maps(checked, show) -> None:
    body = checked("dim N", "state h : [N] init 0", "h = tanh(linear(x, h[t-1], bias = 1, init = orthogonal()))", "out h")
    assert checked.params(body) == {"h.linear.x": ("N", "D"), "h.linear.h": ("N", "N'"), "h.linear.bias": ("N",)}
    assert show(body.table["h.linear.bias"].start) == "1" and show(body.table["h.linear.h"].start) == "~orthogonal()"
    assert show(body.table["h"].value) == (
        "tanh(add(dot(x, h.linear.x, D), dot(rename(h{lag t 1 past}, N>N'), h.linear.h, N'), h.linear.bias))"
    )


def test_the_bias_starts_with_the_fan_of_all_inputs(checked, show) -> None:
    body = checked("dim N", "in z : [H, K]", "y : [N] = linear(x, z)")
    assert show(body.table["y.linear.z"].start) == "~uniform(neg(pow(mul(H, K), -0.5)), pow(mul(H, K), -0.5))"
    assert show(body.table["y.linear.bias"].start) == "~uniform(neg(pow(add(D, mul(H, K)), -0.5)), pow(add(D, mul(H, K)), -0.5))"


@pytest.mark.parametrize(
    ("written", "params"),
    [
        ("q : [H, K] = linear(x)", {"q.linear.x": "H K D", "q.linear.bias": "H K"}),
        ("q : [] = linear(x)", {"q.linear.x": "D", "q.linear.bias": ""}),
        ("q : [D] = linear(m)", {"q.linear.m": "D H K", "q.linear.bias": "D"}),
        ("q : [D] = linear(m, bias = none)", {"q.linear.m": "D H K"}),
        ("q : [H, D] = linear(m, per = H)", {"q.linear.m": "H D K", "q.linear.bias": "H D"}),
        ("q : [H, K] = linear(m, over = K)", {"q.linear.m": "K K'", "q.linear.bias": "K"}),
        ("q : [H, D] = linear(m, over = K)", {"q.linear.m": "D K", "q.linear.bias": "D"}),
        ("q : [H, K] = linear(m, over = [H, K])", {"q.linear.m": "H K H' K'", "q.linear.bias": "H K"}),
        ("q : [H, K] = linear(m, per = [H, K])", {"q.linear.m": "H K", "q.linear.bias": "H K"}),
        ("q : [] = sum(linear(x, to = [H, K])^2, over = [H, K])", {"q.linear.x": "H K D", "q.linear.bias": "H K"}),
        ("q : [H] = sum(linear(m, per = H, to = [H, D]), over = D)", {"q.linear.m": "H D K", "q.linear.bias": "H D"}),
        ("q : [D] = linear(x, name = up)", {"q.up.x": "D D'", "q.up.bias": "D"}),
        ("q : [D] = sigmoid(linear(x)) * linear(m)", {"q.linear.x": "D D'", "q.linear.bias": "D", "q.linear.m": "D H K",
        "q.linear.m.bias": "D"}),
        ("q : [D] = linear(2 * x)", {"q.linear.arg": "D D'", "q.linear.bias": "D"}),
        ("q : [D] = linear(x, 2 * x)", {"q.linear.x": "D D'", "q.linear.arg": "D D'", "q.linear.bias": "D"}),
        ("q : [D] = linear(m, m[H = 0])", {"q.linear.m0": "D H K", "q.linear.m1": "D K", "q.linear.bias": "D"}),
        ("q : [D] = linear(c)", {"q.linear.c": "D", "q.linear.bias": "D"}),
        ("q : [D] = 2 * linear(x) + 1", {"q.linear.x": "D D'", "q.linear.bias": "D"}),
        ("q : [D] = where(c > 0, linear(x), 0)", {"q.linear.x": "D D'", "q.linear.bias": "D"}),
        ("q : [H, K] = softmax(linear(x), over = K)", {"q.linear.x": "H K D", "q.linear.bias": "H K"}),
        ("q : [H, K] = l2norm(silu(linear(x)), over = K)", {"q.linear.x": "H K D", "q.linear.bias": "H K"}),
        ("q : [H, K] = max(linear(x), 0)", {"q.linear.x": "H K D", "q.linear.bias": "H K"}),
        ("q : [H, K] = dropout(linear(x), rate = 0.1)", {"q.linear.x": "H K D", "q.linear.bias": "H K"}),
        ("q : [D] = linear(linear(x, to = [H]), name = b)", {"q.linear.x": "H D", "q.linear.bias": "H", "q.b.arg": "D H", "q.b.bias": "D"}),
        ("q : [D] = lowrank(x, rank = 3)", {"q.lowrank.down": "q.lowrank~rank D'", "q.lowrank.up": "D q.lowrank~rank",
        "q.lowrank.bias": "D"}),
        ("q : [D] = lowrank(x, rank = K, bias = none)", {"q.lowrank.down": "q.lowrank~rank D'", "q.lowrank.up": "D q.lowrank~rank"}),
        ("q : [D] = rmsnorm(x)", {"q.rmsnorm.gain": "D"}),
        ("q : [D] = layernorm(x)", {"q.layernorm.gain": "D", "q.layernorm.bias": "D"}),
        ("q : [H, K] = rmsnorm(m, over = K)", {"q.rmsnorm.gain": "K"}),
        ("q : [H, K] = layernorm(m, over = K)", {"q.layernorm.gain": "K", "q.layernorm.bias": "K"}),
        ("q : [H, K] = groupnorm(m, over = K)", {"q.groupnorm.gain": "H K", "q.groupnorm.bias": "H K"}),
        ("q : [D] = layernorm(x, affine = none)", {}),
        ("q : [D] = rmsnorm(x, name = pre)", {"q.pre.gain": "D"}),
        ("q : [D] = linear(rmsnorm(x))", {"q.rmsnorm.gain": "D", "q.linear.arg": "D D'", "q.linear.bias": "D"}),
        ("q : [D] = conv(x, kernel = 4, per = D)", {"q.conv.x": "D q.conv~t", "q.conv.bias": "D"}),
        ("q : [H] = conv(x, kernel = 4)", {"q.conv.x": "H D q.conv~t", "q.conv.bias": "H"}),
        ("q : [D] = conv(x, kernel = 4)", {"q.conv.x": "D D' q.conv~t", "q.conv.bias": "D"}),
        ("q : [H, K] = conv(m, kernel = 4, per = [H, K], bias = none)", {"q.conv.m": "H K q.conv~t"}),
    ],
)  # fmt: skip
def test_names_and_axes_of_parameters(checked, written: str, params: dict[str, str]) -> None:
    body = checked("in m : [H, K]", "in c : []", written)
    assert {n: " ".join(a) for n, a in checked.params(body).items()} == params
    assert body.table["q"].value is not None
    assert set(body.table["q"].value.axes) == set(body.table["q"].axes)


@pytest.mark.parametrize(
    ("written", "params"),
    [
        ("q : [t, N] = linear(u)", {"q.linear.u": "N D", "q.linear.bias": "N"}),
        ("q : [y, x, N] = linear(p)", {"q.linear.p": "N D", "q.linear.bias": "N"}),
        ("q : [y, x, N] = conv(p, kernel = 3, over = [y, x], pad = zero)", {"q.conv.p": "N D q.conv~y q.conv~x", "q.conv.bias": "N"}),
        ("q : [y, x, D] = conv(p, kernel = 3, over = [y, x], pad = wrap, per = D)", {"q.conv.p": "D q.conv~y q.conv~x",
        "q.conv.bias": "D"}),
        ("q : [t, N] = conv(u, kernel = 3)", {"q.conv.u": "N D q.conv~t", "q.conv.bias": "N"}),
        ("q : [t, H] = embedding(ids)", {"q.embedding.ids": "N H"}),
        ("q : [t, H, K] = embedding(ids)", {"q.embedding.ids": "N H K"}),
        ("q : [t, D] = rmsnorm(u)", {"q.rmsnorm.gain": "D"}),
        ("q : [t, D] = batchnorm(u)", {"q.batchnorm.gain": "D", "q.batchnorm.bias": "D"}),
        ("q : [D] = linear(mean(u, over = t))", {"q.linear.arg": "D D'", "q.linear.bias": "D"}),
    ],
)  # fmt: skip
def test_layers_are_mapped_over_indices(checked, written: str, params: dict[str, str]) -> None:
    body = checked(written, "out q", head=BLOCK)
    assert {n: " ".join(a) for n, a in checked.params(body).items()} == params


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["q : [D] = linear(x) * linear(x)"], "SEQ0221"),
        (["q : [D] = linear(x + 1, x + 2)"], "SEQ0221"),
        (["q : [D] = linear(x) * linear(x, name = b)"], ""),
        (["q : [D] = rmsnorm(x) + rmsnorm(x)"], "SEQ0221"),
        (["q : [] = sum(linear(x), over = D)"], "SEQ0422"),
        (["q : [] = sum(conv(x, kernel = 2), over = D)"], "SEQ0422"),
        (["q : [D] = linear(x, per = H)"], "SEQ0424"),
        (["q : [D] = linear(x, over = H)"], "SEQ0415"),
        (["q : [H] = linear(x, to = [Q])"], "SEQ0415"),
        (["q : [D] = linear()"], "SEQ0227"),
        (["q : [D] = linear(x, kernel = 3)"], "SEQ0228"),
        (["q : [D] = linear(x, bias = 1, bias = 2)"], "SEQ0228"),
        (["q : [D] = linear(x, bias = x)"], "SEQ0306"),
        (["in w : [K]", "q : [D] = linear(x, bias = w)"], "SEQ0401"),
        (["q : [D] = conv(x)"], "SEQ0426"),
        (["q : [D] = conv(x, kernel = 3, pad = zero)"], "SEQ0304"),
        (["q : [D] = conv(x, kernel = 3, pad = reflect)"], "SEQ0419"),
        (["q : [D] = lowrank(x)"], "SEQ0228"),
        (["q : [D] = lowrank(x, x, rank = 2)"], "SEQ0227"),
        (["q : [D] = embedding(x)"], "SEQ0408"),
        (["in w : [] of int", "q : [D] = embedding(w)"], "SEQ0425"),
        (["in w : [] of int in [0, inf)", "q : [D] = embedding(w)"], "SEQ0425"),
        (["q : [D] = rmsnorm(x, x)"], "SEQ0227"),
        (["q : [D] = rmsnorm(x, eps = big)"], "SEQ0220"),
        (["q : [D] = rmsnorm(x, eps = D)"], "SEQ0428"),
        (["q : [D] = rmsnorm(x, groups = 2)"], "SEQ0428"),
        (["param w : [D] init linear(D)", "q : [D] = w"], "SEQ0429"),
        (["index s of t where linear(x, to = [D]) > 0"], "SEQ0429"),
        (["q : [D] = dropout(x)"], "SEQ0228"),
    ],
)
def test_layers_that_are_refused(checked, lines: list[str], code: str) -> None:
    assert checked.errors(*lines) == ([code] if code else [])


def test_causal_convolutions_have_a_history(checked, show) -> None:
    body = checked("q : [D] = conv(2 * x, kernel = 4, per = D, bias = none)")
    past = body.table["q.conv.arg.past"]
    assert past.kind == "hidden" and show(past.value) == "mul(2, x)" and show(past.start) == "0"
    assert show(body.table["q"].value) == "conv(q.conv.arg.past, q.conv.arg, -, over t causal)"
    assert show(dict(body.sizes)["q.conv~t"]) == "4"


def test_a_stride_turns_axes_into_others(checked, show) -> None:
    body = checked("index v, w", "q : [v, w, N] = conv(p, kernel = 3, over = [y, x], pad = zero, stride = 2)", "out q", head=BLOCK)
    e = body.table["q"].value
    assert e.axes == ("v", "w", "N") and e.result == ("v", "w")
    assert checked.errors("q : [y, N] = conv(p, kernel = 3, over = [y, x], pad = zero)", "out q", head=BLOCK) == ["SEQ0423"]


def test_tables(checked, show) -> None:
    body = checked("q : [t, H] = embedding(ids)", "out q", head=BLOCK)
    assert show(body.table["q"].value) == "at(q.embedding.ids, N = ids, zero)"
    assert show(body.table["q.embedding.ids"].start) == "~normal(0, 1)"
    body = checked("in w : [t] of int in [0, 9]", "q : [t, H] = embedding(w)", "out q", head=BLOCK)
    assert checked.params(body) == {"q.embedding.w": ("q.embedding~rows", "H")}
    assert show(dict(body.sizes)["q.embedding~rows"]) == "add(9, 1)"


def test_tied_weights(checked, show) -> None:
    body = checked("e : [t, D] = embedding(ids)", "q : [t, N] = linear(e, weight = e.embedding.ids, bias = none)", "out q", head=BLOCK)
    assert checked.params(body) == {"e.embedding.ids": ("N", "D")}
    assert show(body.table["q"].value) == "dot(e, e.embedding.ids, D)"
    assert checked.errors("e : [t, D] = embedding(ids)", "q : [t, N] = linear(mean(e, over = D), weight = e.embedding.ids)", "out q",
    head=BLOCK)


def test_a_complex_equation_has_complex_weights(checked, show) -> None:
    body = checked("z : [K] of complex = linear(x)", "y : [K] of complex = complex(linear(x, name = re), linear(x, name = im))")
    assert body.table["z.linear.x"].type == body.table["z.linear.bias"].type == "complex"
    assert body.table["y.re.x"].type == "real"


def test_norms(checked, show) -> None:
    body = checked("in m : [H, K]", "q : [H, K] = layernorm(m, over = K, eps = 0.001)",
    "r : [H, K] = groupnorm(m, groups = 2, affine = none)")
    q, r = body.table["q"].value, body.table["r"].value
    assert show(q) == "layernorm(m over K, q.layernorm.gain, q.layernorm.bias)" and q.eps == 0.001
    assert show(body.table["q.layernorm.gain"].start) == "1" and show(body.table["q.layernorm.bias"].start) == "0"
    assert show(r) == "groupnorm(m over H K, -, -)" and show(r.groups) == "2"


def test_batchnorm_keeps_statistics(checked) -> None:
    body = checked("q : [t, D] = batchnorm(u)", "out q", head=BLOCK)
    assert body.table["q"].value.state == "q.batchnorm"


def test_layers_inside_a_level_stand_in_it(checked) -> None:
    body = checked("stack l in 1..3:", "    state h : [t, D] init u", "    h = linear(rmsnorm(h[l-1]))", "out h", head=BLOCK)
    assert {v.name: v.level for v in body.values if v.kind == "param"} == {
        "h.rmsnorm.gain": ("l",), "h.linear.arg": ("l",), "h.linear.bias": ("l",),
    } or {v.name for v in body.values if v.kind == "param"} == {"h.rmsnorm.gain", "h.linear.arg", "h.linear.bias"}  # fmt: skip
    assert all(v.level == ("l",) for v in body.values if v.kind == "param")


def test_a_layer_in_a_start(checked) -> None:
    body = checked("in h0 : [K] once", "state h : [D] init tanh(linear(h0))", "h = h[t-1] + x", "out h")
    assert checked.params(body) == {"h.linear.h0": ("D", "K"), "h.linear.bias": ("D",)}


def test_keys_do_not_move_when_lines_do(checked) -> None:
    a = checked("a : [K] = linear(x)", "b : [D] = linear(x) * sigmoid(linear(a))")
    b = checked("b : [D] = linear(x) * sigmoid(linear(a))", "a : [K] = linear(x)", "c : [D] = linear(x)")
    mine = {n: axes for n, axes in checked.params(b).items() if not n.startswith("c.")}
    assert mine == checked.params(a)

"""Every function of language.md section 5: its node, its axes, and what it refuses."""

from __future__ import annotations

import pytest

from seqc.compiler.check.words import DRAWS, ELEMENTWISE, FUNCTIONS, KEEPING, LAYERS, NORMS, REDUCING

LINES = (
    "dim M, N, J = 2, E, F", "index j of N, a of N", "index u", "in m : [H, K]", "in A : [N, j]", "in b : [N]", "in n : [] of int",
    "in w : [M]", "in v : [N, M]",
    "in r : [] ", "in ids : [H] of int in [0, N)", "in z : [H, K] of complex", "state S : [H, K] init 0", "S = S[t-1] + m", "out S",
)  # fmt: skip
EXTERN = "extern f(a : []) -> (r : []) : pure\n"


@pytest.mark.parametrize(
    ("written", "shown", "axes"),
    [
        ("sum(m, over = K)", "sum(m over K)", "H"),
        ("sum(m, over = [H, K])", "sum(m over H K)", ""),
        ("mean(m, over = H)", "mean(m over H)", "K"),
        ("max(m, over = K)", "max(m over K)", "H"),
        ("max(m, 0)", "max(m, 0)", "H K"),
        ("min(m, 0, 1)", "min(m, 0, 1)", "H K"),
        ("prod(m, over = K)", "prod(m over K)", "H"),
        ("logsumexp(m, over = K)", "logsumexp(m over K)", "H"),
        ("argmax(m, over = K)", "argmax(m over K)", "H"),
        ("mean(m, over = batch)", "mean(m over batch)", "H K"),
        ("softmax(m, over = K)", "softmax(m along K)", "H K"),
        ("cumsum(m, over = [H, K])", "cumsum(m along H K)", "H K"),
        ("l2norm(m, over = K)", "l2norm(m along K)", "H K"),
        ("rank(m, over = K)", "rank(m along K)", "H K"),
        ("topk(m, 2, over = K)", "topk(m along K count 2)", "H K"),
        ("topk(m, J, over = K)", "topk(m along K count J)", "H K"),
        ("re(fft(m, over = K))", "re(fft(m along K))", "H K"),
        ("re(ifft(z, over = [H, K]))", "re(ifft(z along H K))", "H K"),
        ("dot(m, m, over = K)", "dot(m, m, K)", "H"),
        ("dot(m, m, over = [H, K])", "dot(m, m, H K)", ""),
        ("dot(A, b, over = N)", "dot(A, b, N)", "j"),
        ("outer(m, w)", "outer(m, w)", "H K M"),
        ("outer(v, b)", "outer(v, b)", "N M"),
        ("inverse(A, over = N)", "inverse(A along N of j)", "N j"),
        ("matrix_exp(A, over = j)", "matrix_exp(A along j of N)", "N j"),
        ("solve(A, b, over = N)", "solve(A, b, j N > j)", "j"),
        ("solve(A, v, over = N)", "solve(A, v, j N > j)", "j M"),
        ("eye(N, j)", "where(eq(#N, #j), 1, 0)", "N j"),
        ("onehot(n, over = M)", "onehot(n, M)", "M"),
        ("onehot(ids, over = N)", "onehot(ids, N)", "H N"),
        ("pos(M)", "#M", "M"),
        ("pos(u)", "#u", "u"),
        ("len(u)", "len(u)", ""),
        ("len(M)", "M", ""),
        ("t", "#t'", ""),
        ("at(m, K = pos(K) + 1, border = wrap)", "at(m, K = add(#K, 1), wrap)", "H K"),
        ("at(m, K = r, border = zero)", "at(m, K = r, zero)", "H"),
        ("at(m, K = w)", "at(m, K = w, none)", "H M"),
        ("at(m, H = 0.5, K = 1)", "at(m, H = 0.5, K = 1, none)", ""),
        ("split(w, M = [E, J])", "split(w, M = E J)", "E J"),
        ("split(v, N = [E, F, J])", "split(split(v, N = E y.split~0), y.split~0 = F J)", "E F J M"),
        ("merge(m, M = [H, K])", "merge(m, M = H K)", "M"),
        ("merge(v, E = [N])", "merge(v, E = N)", "E M"),
        ("grad(sum(S[t-1]^2, over = [H, K]), S[t-1])", "grad(sum(pow(S{lag t 1 past}, 2) over H K), S{lag t 1 past})", "H K"),
        ("grad(sum(m * z * conj(z), over = [H, K]), m)", None, ""),
        ("stop(m)", "stop(m)", "H K"),
        ("through(sign(m), tanh(m))", "through(sign(m), tanh(m))", "H K"),
        ("where(m > 0, m, 0)", "where(gt(m, 0), m, 0)", "H K"),
        ("dropout(m, rate = 0.5)", "dropout(m, 0.5)", "H K"),
        ("expdiff(m, 0)", "expdiff(m, 0)", "H K"),
        ("logaddexp(m, 1)", "logaddexp(m, 1)", "H K"),
        ("complex(m, 0)", "complex(m, 0)", "H K"),
        ("abs(cis(m))", "abs(cis(m))", "H K"),
        ("xor(n, 3)", "xor(n, 3)", ""),
        ("bitlen(n)", "bitlen(n)", ""),
        ("roundup(n, 8)", "roundup(n, 8)", ""),
        ("mod(n, J)", "mod(n, J)", ""),
    ],
)  # fmt: skip
def test_nodes_and_axes(checked, show, written: str, shown: str | None, axes: str) -> None:
    lines = (*LINES, f"y = f({written})")
    if shown is None:
        assert checked.errors(*lines, before=EXTERN)
        return
    e = checked.value("y", *lines, before=EXTERN).arguments[0].value
    assert show(e) == shown
    assert set(e.axes) == set(axes.split())


@pytest.mark.parametrize("function", sorted(f for f, n in ELEMENTWISE.items() if n == (1, 1) and f not in ("re", "im", "conj", "bitlen")))
def test_functions_of_one_operand(checked, show, function: str) -> None:
    e = checked.value("y", *LINES, f"y = f({function}(m))", before=EXTERN).arguments[0].value
    assert show(e) == f"{function}(m)" and e.axes == ("H", "K")
    assert checked.errors(*LINES, f"y = f({function}(m, m))", before=EXTERN) == ["SEQ0227"]
    assert checked.errors(*LINES, f"y = f({function}())", before=EXTERN) == ["SEQ0227"]
    assert checked.errors(*LINES, f"y = f({function}(m, over = K))", before=EXTERN) == ["SEQ0228"]


def test_every_function_is_one_of_these(checked) -> None:
    assert len(FUNCTIONS) == 77 or len(FUNCTIONS) > 70
    for name in FUNCTIONS:
        assert set(checked.errors(*LINES, f"y = f({name}(m, m, m, m, m, m, m))", before=EXTERN)) <= {
            "SEQ0227", "SEQ0414", "SEQ0415", "SEQ0421", "SEQ0422", "SEQ0426", "SEQ0226", "SEQ0228", "SEQ0221", "SEQ0418", "SEQ0230",
        }, name  # fmt: skip


@pytest.mark.parametrize("function", [*REDUCING, *KEEPING, "dot", "concat", "onehot"])
def test_over_is_said(checked, function: str) -> None:
    arguments = {"dot": "m, m", "topk": "m, 2", "onehot": "n"}.get(function, "m")
    assert checked.errors(*LINES, f"y = f({function}({arguments}))", before=EXTERN)[0] in ("SEQ0414", "SEQ0227")
    if function not in ("onehot", "concat"):
        assert checked.errors(*LINES, f"y = f({function}({arguments}, over = Q))", before=EXTERN) == ["SEQ0415"]
        assert checked.errors(*LINES, f"y = f({function}({arguments}, over = M))", before=EXTERN) == ["SEQ0415"]


@pytest.mark.parametrize("function", [f for f in DRAWS if f not in ("orthogonal", "xavier", "kaiming")])
def test_draws(checked, show, function: str) -> None:
    arguments = {"normal": "0, 1", "uniform": "0, 1", "bernoulli": "0.5", "gumbel": ""}[function]
    body = checked(f"in e : [D] = {function}({arguments})", f"param p : [D] init {function}({arguments})", "y : [D] = e * p")
    drawn = body.table["e"].value
    assert drawn.fn == function and drawn.axes == ("D",) and drawn.key.startswith("e.")
    assert body.table["p"].start.key != drawn.key
    assert checked.errors(f"y : [D] = x + {function}({arguments})") == ["SEQ0230"]
    assert checked.errors(f"in e : [D] = 2 * {function}({arguments}) + 1") == []


@pytest.mark.parametrize("function", ["orthogonal", "xavier", "kaiming"])
def test_starts_of_weights(checked, function: str) -> None:
    assert checked.errors(f"param p : [D, H] init {function}()", "y : [D, H] = p") == []
    assert checked.errors(f"y : [D] = linear(x, init = {function}())") == []
    assert checked.errors(f"in e : [D] = {function}()") == ["SEQ0418"]
    assert checked.errors(f"y : [D] = {function}()") == ["SEQ0418"]


@pytest.mark.parametrize(
    ("line", "shown", "axes"),
    [
        ("y : [E] = concat(b, w, over = [N, M])", "concat(b, w, N M > E)", "E"),
        ("y : [H, E] = concat(m, q, over = K)", "concat(m, q, K K > E)", "H E"),
        ("y : [H, K, E] = concat(m, S, over = E)", "concat(m, S, . . > E)", "H K E"),
        ("y : [E] = concat(b, r, over = N)", "concat(b, r, N . > E)", "E"),
        ("y : [u, H, E] = concat(p, q, over = [J, K])", "concat(p, q, J K > E)", "u H E"),
    ],
)
def test_concat(checked, show, line: str, shown: str, axes: str) -> None:
    e = checked.value("y", *LINES, "in q : [H, K]", "in p : [u, H, J]", line)
    assert show(e) == shown and e.axes == tuple(axes.split())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("y : [] = sum(concat(b, w, over = [N, M]), over = E)", "SEQ0421"),
        ("y : [E, F] = concat(b, w, over = [N, M])", "SEQ0421"),
        ("y : [E] = concat(m, m, over = K)", "SEQ0401"),
        ("y : [E] = concat(b, b > 0, over = N)", "SEQ0405"),
        ("y : [N] = split(w, M = [E])", "SEQ0420"),
        ("y : [E, J] = split(w, N = [E, J])", "SEQ0420"),
        ("y : [E, E] = split(w, M = [E, E])", "SEQ0412"),
        ("y : [N, M] = split(v, M = [N, J])", "SEQ0412"),
        ("y : [E] = merge(m, E = [H, M])", "SEQ0420"),
        ("y : [K] = merge(m, Q = [H, K])", "SEQ0415"),
        ("y : [H] = at(m, M = 0)", "SEQ0415"),
        ("y : [H] = at(m, K = 0, border = mirror)", "SEQ0419"),
        ("y : [H] = at(m, K = m > 0)", "SEQ0408"),
        ("y : [N] = solve(v, b, over = N)", "SEQ0417"),
        ("y : [N] = solve(A, w, over = N)", "SEQ0417"),
        ("y : [N, j] = inverse(A, over = [N, j])", "SEQ0417"),
        ("y = eigh(v, over = N)", "SEQ0417"),
        ("y : [N] = eye(N)", "SEQ0227"),
        ("y : [H, K] = grad(m, m)", "SEQ0416"),
        ("y : [H, K] = grad(sum(m, over = [H, K]), 2 * m)", "SEQ0416"),
        ("y : [] = grad(n, n)", "SEQ0416"),
        ("y : [] = pos(3)", "SEQ0415"),
        ("y : [] = len(m)", "SEQ0415"),
        ("y : [H, K] = sum(m, over = 3)", "SEQ0415"),
        ("y : [H, K] = sum(m, over = K, over = H)", "SEQ0228"),
        ("y : [H, K] = tanh(m, m = m)", "SEQ0228"),
    ],
)
def test_functions_that_refuse(checked, line: str, code: str) -> None:
    errors = checked.errors(*LINES, line)
    assert [e for e in errors if e not in ("SEQ0412",) or code == "SEQ0412"][0] == code


def test_eigh_has_two_results(checked, show) -> None:
    body = checked(*LINES, "e = eigh(A, over = j)", "y : [j] = e.values", "q : [N, j] = e.vectors")
    assert show(body.table["e"].value) == "eigh(A, j N)"
    assert show(body.table["y"].value) == "e::values" and show(body.table["q"].value) == "e::vectors"
    assert checked.errors(*LINES, "e = eigh(A, over = j)", "y : [j] = e") == ["SEQ0232"]


def test_fns_pass_the_declared_shape_on_where_they_keep_it(checked) -> None:
    before = "fn swish(z) = z * sigmoid(z)\nfn outer_(z, K) = softmax(swish(z), over = K)\nfn total(z, K) = sum(z, over = K)\n"
    assert checked.errors("y : [H, K] = swish(linear(x))", before=before) == []
    assert checked.errors("y : [H, K] = outer_(linear(x), K)", before=before) == []
    assert checked.errors("y : [H] = total(linear(x), K)", before=before) == ["SEQ0422"]


def test_layers_and_norms_are_functions_of_their_own() -> None:
    assert set(LAYERS) | set(NORMS) <= FUNCTIONS

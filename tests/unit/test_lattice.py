"""The lattice on small cells: one for each row of the class table and each definition of design.md."""



from __future__ import annotations

import pytest

from seqc.compiler.analysis.analyse import Analyst
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.frontend.imports import load_text
from seqc.compiler.ir.verdict import Component, Verdict


def verdict(lines: str, head: str = "cell C over t:", dims: dict[str, int] | None = None, given: tuple[str, ...] = ()) -> Verdict:
    """The verdict on one cell, given by its lines."""
    body = "\n".join("    " + line for line in lines.strip().splitlines())
    sink = Sink()
    project = load_text(f"seq 1\n{head}\n{body}\n", "test.seq", sink)
    sink.stop()
    assert project is not None
    program = check(project, sink)
    return Analyst(program, dims).verdict(program.exports[0], given)


def word(c: Component) -> str:
    """`S: affine/diagonal [H, K] * c`, with `x2` for two coupled lags and `!d` where it is not differentiable."""
    text = "+".join(c.states) + ": " + c.family + (f"/{c.structure}" if c.structure else "")
    text += f" [{', '.join(c.coefficient_axes)}]" if c.coefficient_axes else ""
    text += " *" if c.time_invariant else ""
    text += " c" if c.complex else ""
    text += f" x{c.coupled}" if c.coupled > 1 else ""
    return text + ("" if c.differentiable else " !d")


def words(v: Verdict) -> list[str]:
    return [word(c) for c in v.components]


VECTOR = "dim N\nin x : [N]\nstate h : [N] init 0\nout h\n"
MATRIX = "dim H, K, V\nin k : [H, K]\nin v : [H, V]\nin a : [H]\nin f : [H, K]\nin e : [H, K, V]\nstate S : [H, K, V] init 0\nout S\n"

CASES = {
    # none, identity, scalar, diagonal
    "no dependence": (VECTOR + "h = x", "h: none"),
    "identity": (VECTOR + "h = h[t-1] + x", "h: affine/identity *"),
    "exact one": (VECTOR + "h = 1 * h[t-1] + 0 * x", "h: affine/identity *"),
    "exact zero": (VECTOR + "h = 0 * h[t-1] + x", "h: none"),
    "twice the state is no identity": (VECTOR + "h = h[t-1] + h[t-1]", "h: affine/scalar *"),
    "minus the state is no identity": (VECTOR + "h = x - h[t-1]", "h: affine/scalar *"),
    "scalar": (VECTOR + "gate g : [] = sigmoid(linear(x))\nh = g * h[t-1] + x", "h: affine/scalar"),
    "diagonal": (VECTOR + "h = sigmoid(x) * h[t-1] + x", "h: affine/diagonal [N]"),
    "invariant": (VECTOR + "param a : [N] init 0\nh = sigmoid(a) * h[t-1] + x", "h: affine/diagonal [N] *"),
    "varies with t": (VECTOR + "h = t * h[t-1] + x", "h: affine/scalar"),
    "once inputs do not vary": (VECTOR + "in g : [N] once\nh = g * h[t-1] + x", "h: affine/diagonal [N] *"),
    "a sum of coefficients": (VECTOR + "h = h[t-1] - sigmoid(x) * h[t-1] + x", "h: affine/diagonal [N]"),
    "division by something state-free": (VECTOR + "h = h[t-1] / (1 + x^2)", "h: affine/diagonal [N]"),
    # outer products
    "outer, scalar": (MATRIX + "S = a * S[t-1] + outer(k, v)", "S: affine/scalar [H]"),
    "outer, coefficient over one factor": (MATRIX + "S = f * S[t-1] + outer(k, v)", "S: affine/diagonal [H, K]"),
    "outer, coefficient over both": (MATRIX + "S = e * S[t-1] + outer(k, v)", "S: affine/diagonal [H, K, V]"),
    "no outer product: only an axis of the state counts": (MATRIX + "S = f * S[t-1] + e", "S: affine/scalar [H, K]"),
    # diagonal plus low rank
    "delta rule": (MATRIX + "S = S[t-1] + outer(k, v - dot(k, S[t-1], over = K))", "S: affine/diagonal+low-rank"),
    "gated delta rule": (
        MATRIX + "R : [H, K, V] = f * S[t-1]\nS = R + outer(k, v - dot(k, R, over = K))",
        "S: affine/diagonal+low-rank [H, K]",
    ),
    "a mean taken off": (VECTOR + "h = h[t-1] - mean(h[t-1], over = N) + x", "h: affine/diagonal+low-rank *"),
    "both axes summed": (
        "dim K, V\nin w : [K, V]\nin u : [K, V]\nstate S : [K, V] init 0\nS = S[t-1] + u * sum(w * S[t-1], over = [K, V])\nout S",
        "S: affine/diagonal+low-rank",
    ),
    # dense
    "learned layer": (VECTOR + "h = linear(x, h[t-1])", "h: affine/dense *"),
    "low-rank layer is dense": (VECTOR + "h = linear(linear(h[t-1], to = [R])) + x\ndim R = 2", "h: affine/dense *"),
    "per head too": (
        "dim H, N\nin x : [H, N]\nstate h : [H, N] init 0\nh = linear(h[t-1], per = H) + x\nout h",
        "h: affine/dense *",
    ),
    "matrix": (
        "dim N\nindex j of N\nin x : [N]\nparam A : [N, j] init 0\nstate h : [N] init 0\nh = dot(A, h[t-1, j], over = j) + x\nout h",
        "h: affine/dense *",
    ),
    "matrix that changes": (
        "dim N\nindex j of N\nin A : [N, j]\nstate h : [N] init 0\nh = dot(A, h[t-1, j], over = j)\nout h",
        "h: affine/dense",
    ),
    "cumsum": (VECTOR + "h = cumsum(h[t-1], over = N) + x", "h: affine/dense *"),
    "shift": (VECTOR + "h = h[t-1, N = mod(pos(N) + 1, N)] + x", "h: affine/dense *"),
    "split and merged again is diagonal": (
        "dim N, H = 2, Q = N / H\nin x : [H, Q]\nstate h : [N] init 0\n"
        "h = merge(sigmoid(x) * split(h[t-1], N = [H, Q]), N = [H, Q])\nout h",
        "h: affine/diagonal [N]",
    ),
    "mixed within split heads is dense": (
        "dim N, H, Q\nin x : [H, Q]\nstate h : [N] init 0\n"
        "h = merge(linear(split(h[t-1], N = [H, Q]), per = H, to = [H, Q]), N = [H, Q])\nout h",
        "h: affine/dense *",
    ),
    # blocks
    "momentum": (
        VECTOR + "state p : [N] init 0\ngate a : [N] in (0, 1) = sigmoid(x)\np = a * p[t-1] + x\nh = h[t-1] + p\nparam z : [] init 0\n",
        "p: affine/diagonal [N] | h: affine/identity *",
    ),
    "two coupled states": (
        VECTOR + "state p : [N] init 0\np = x * p[t-1] + h[t-1]\nh = x * h[t-1] + p",
        "h+p: affine/block [N] x2",
    ),
    "a window on the own past": (
        "dim N, M = 3\nin x : [N]\nparam w : [M, N] init 0\nstate h : [N] init 0\n"
        "h = sum(w * h[t - 1 - pos(M)], over = M) + x\nout h",
        "h: affine/block [N] * x3",
    ),
    "a convolution of the own output": (
        VECTOR + "p : [N] init 0 = h[t-1]\nu : [N] = conv(p, kernel = 3, per = N, bias = none)\nh = 0.5 * u + x",
        "h: affine/block [N] * x3",
    ),
    "two lags": (VECTOR + "h = x * h[t-1] + h[t-2]", "h: affine/block [N] x2"),
    "small axis": (
        "dim N, C = 2\nin x : [N, C]\nstate h : [N, C] init 0\nh = linear(h[t-1], per = N) + x\nout h",
        "h: affine/block *",
    ),
    "axis of 5 is large": (
        "dim N, C = 5\nin x : [N, C]\nstate h : [N, C] init 0\nh = linear(h[t-1], per = N) + x\nout h",
        "h: affine/dense *",
    ),
    # semirings
    "max-plus": (VECTOR + "h = max(h[t-1], x)", "h: semiring"),
    "max-plus with decay": (VECTOR + "h = max(x + h[t-1], 1)", "h: semiring"),
    "min-plus": (VECTOR + "h = min(h[t-1] - x, x)", "h: semiring"),
    "log-sum-exp": (VECTOR + "h = logaddexp(h[t-1], x)", "h: semiring"),
    "shifted after": (VECTOR + "h = max(h[t-1], x) + x", "h: semiring"),
    "max with another coefficient": (VECTOR + "h = max(0.5 * h[t-1], x)", "h: nonlinear/diagonal"),
    "clamp mixes max and min": (VECTOR + "h = min(max(h[t-1] + x, 0), 1)", "h: nonlinear/diagonal"),
    "max then sum": (VECTOR + "h = max(h[t-1], x) + h[t-1]", "h: nonlinear/diagonal"),
    # nonlinear, with the pattern of the Jacobian
    "squashed": (VECTOR + "h = tanh(h[t-1] + x)", "h: nonlinear/diagonal"),
    "squashed layer": (VECTOR + "h = tanh(linear(x, h[t-1]))", "h: nonlinear/dense"),
    "squared": (VECTOR + "h = x * h[t-1]^2", "h: nonlinear/diagonal"),
    "product of states": (VECTOR + "h = h[t-1] * sigmoid(h[t-1])", "h: nonlinear/diagonal"),
    "product of two states": (
        VECTOR + "state p : [N] init 0\np = h[t-1] + x\nh = p[t-1] * h[t-1]",
        "h+p: nonlinear/block x2",
    ),
    "softmax": (VECTOR + "h = softmax(h[t-1] + x, over = N)", "h: nonlinear/dense"),
    "norm": (VECTOR + "h = rmsnorm(h[t-1] + x, over = N)", "h: nonlinear/dense"),
    "relu": (VECTOR + "h = relu(2 * h[t-1] + x)", "h: nonlinear/diagonal"),
    "low rank counts as dense": (VECTOR + "h = tanh(h[t-1] - mean(h[t-1], over = N) + x)", "h: nonlinear/dense"),
    "division by a state": (VECTOR + "h = x / (1 + h[t-1]^2)", "h: nonlinear/diagonal"),
    # where
    "state-free condition is linear": (VECTOR + "h = where(x > 0, h[t-1], x)", "h: affine/diagonal [N]"),
    "one condition for all": (VECTOR + "in c : [] of bool\nh = where(c, h[t-1], 0.5 * h[t-1]) + x", "h: affine/scalar"),
    "held": (VECTOR + "h = where(mod(t, 4) == 0, x, h[t-1])", "h: affine/scalar"),
    "max-plus behind a state-free condition": (VECTOR + "h = where(t == 0, x, max(h[t-1], x))", "h: semiring"),
    "condition on the state, a jump": (VECTOR + "h = where(h[t-1] > 1, 0, h[t-1]) + x", "h: nonlinear/diagonal !d"),
    "branches that meet": (VECTOR + "h = where(h[t-1] > 0, h[t-1], 0.1 * h[t-1]) + x", "h: nonlinear/diagonal"),
    "branches that meet elsewhere": (VECTOR + "h = where(h[t-1] > 0, h[t-1] + 0.5, sigmoid(h[t-1])) + x", "h: nonlinear/diagonal"),
    # not differentiable
    "sign": (VECTOR + "h = sign(h[t-1] + x)", "h: nonlinear/diagonal !d"),
    "stop": (VECTOR + "h = 0.5 * stop(h[t-1]) + x", "h: affine/scalar * !d"),
    "through": (VECTOR + "h = through(sign(h[t-1]), tanh(h[t-1])) + x", "h: nonlinear/diagonal !d"),
    "argmax": (VECTOR + "h = onehot(argmax(h[t-1], over = N), over = N) + x", "h: nonlinear/dense !d"),
    "abs is fine": (VECTOR + "h = abs(h[t-1]) + x", "h: nonlinear/diagonal"),
    # complex
    "complex coefficient": (
        "dim N\nin x : [N]\nparam w : [N] init 0\nstate h : [N] of complex init 0\nh = cis(w) * h[t-1] + x\nout y : [N] = re(h)",
        "h: affine/diagonal [N] * c",
    ),
    "complex state only": (
        "dim N\nin x : [N]\nparam w : [N] init 0\nstate h : [N] of complex init 0\nh = w * h[t-1] + x * cis(w)\nout y : [N] = re(h)",
        "h: affine/diagonal [N] *",
    ),
    "linear over the reals only": (
        "dim N\nin x : [N]\nparam w : [N] init 0\nstate h : [N] of complex init 0\nh = w * conj(h[t-1]) + x\nout y : [N] = re(h)",
        "h: affine/block [N] *",
    ),
    # delays, windows, relations are no components
    "delay": ("dim N\nin x : [N] init 0\nout y : [N] = x - x[t-1]", ""),
    "convolution": ("dim N\nin x : [N]\nout y : [N] = conv(x, kernel = 4, per = N)", ""),
    "attention": (
        "dim N\nindex s of t where s <= t\nin x : [N]\nw : [s] = softmax(dot(x, x[s], over = N), over = s)\n"
        "out y : [N] = dot(w, x[s], over = s)",
        "",
    ),
    # levels inside a step
    "several delta updates in one step": (
        "dim K, V, J = 2\nin k : [J, K]\nin v : [J, V]\nin a : []\nstate S : [K, V] init 0\nrounds j in 0..J-1:\n"
        "    state R : [K, V] init a * S[t-1]\n    n : [K] = k[J = j]\n"
        "    R = R[j-1] + outer(n, v[J = j] - dot(n, R[j-1], over = K))\nS = R\nout S",
        "S: affine/diagonal+low-rank",
    ),
    "a nonlinear function in rounds": (
        "dim N\nin x : [N]\nstate h : [N] init 0\nrounds j in 1..3:\n    state z : [N] init h[t-1]\n    z = tanh(z[j-1] + x)\nh = z\nout h",
        "h: nonlinear/diagonal",
    ),
    # cascades
    "each component by itself": (
        "dim N\nin x : [N]\nstate m : [N] init -inf\nstate u : [N] init 0\nm = max(m[t-1], x)\n"
        "u = u[t-1] * expdiff(m[t-1], m) + expdiff(x, m)\nout u",
        "m: semiring | u: affine/diagonal [N]",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    lines, expected = CASES[name]
    assert " | ".join(words(verdict(lines))) == expected


def test_sizes_that_are_bound_decide_what_a_block_is() -> None:
    lines = "dim N, C\nin x : [N, C]\nstate h : [N, C] init 0\nh = linear(h[t-1], per = N) + x\nout h"
    assert words(verdict(lines)) == ["h: affine/dense *"]
    assert words(verdict(lines, dims={"C": 3})) == ["h: affine/block *"]
    assert words(verdict(lines, dims={"C": 5})) == ["h: affine/dense *"]


def test_a_where_on_sizes_is_decided() -> None:
    lines = "dim N, M = N\nin x : [N]\nstate h : [N] init 0\nh = where(N == M, h[t-1], tanh(linear(h[t-1]))) + x\nout h"
    assert words(verdict(lines)) == ["h: affine/identity *"]
    assert words(verdict(lines, dims={"N": 8, "M": 9})) == ["h: nonlinear/dense"]


def test_given_inputs_are_another_program() -> None:
    lines = "dim N\nin x : [N]\nin y : [N] init 0 = p\nh : [N] = tanh(linear(x, y[t-1]))\nout p : [N] = linear(h)"
    assert words(verdict(lines)) == ["y: nonlinear/dense"]
    assert words(verdict(lines, given=("y",))) == []


def test_reasons_name_the_read_the_function_and_the_line() -> None:
    c = verdict(VECTOR + "h = tanh(linear(x, h[t-1]))").components[0]
    assert c.modes["chunked"].why == "h[t-1] enters tanh on line 7"
    assert c.modes["associative"].why.startswith("h[t-1] enters tanh on line 7; a scan needs what goes into tanh")
    c = verdict(VECTOR + "h = x * h[t-1] * h[t-1]").components[0]
    assert "h[t-1] is multiplied by h[t-1]" in c.modes["chunked"].why
    c = verdict(VECTOR + "h = where(h[t-1] > 1, 0, h[t-1]) + x").components[0]
    assert not c.modes["newton"].legal and "line 7" in c.modes["newton"].why and "where" in c.modes["newton"].why


@pytest.mark.parametrize("topology", ["grid(i, j)", "tree", "dag"])
def test_the_same_classes_along_edges(topology: str) -> None:
    reads = {"grid(i, j)": "a * h[i-1, j] + a * h[i, j-1] + x", "tree": "a * sum(h[pred], over = pred) + x"}
    line = reads.get(topology, reads["tree"])
    v = verdict(f"dim N\nin x : [N]\nparam a : [N] init 0\nstate h : [N] init 0\nh = {line}\nout h", f"cell C over {topology}:")
    (c,) = v.components
    assert c.family == "affine" and c.legal() == ("sequential",) and v.streaming.streams == "no"


def test_an_operator_of_the_host_is_opaque() -> None:
    sink = Sink()
    text = (
        "seq 1\nextern f(a : [N]) -> (b : [N]) : pure\n\n"
        "cell C over t:\n    dim N\n    in x : [N]\n    state h : [N] init 0\n    h = f(h[t-1]) + x\n    out h\n"
    )
    project = load_text(text, "test.seq", sink)
    assert project is not None
    program = check(project, sink)
    (c,) = Analyst(program).verdict(program.exports[0]).components
    assert (c.family, c.structure, c.legal(), c.differentiable) == ("opaque", None, ("sequential",), False)
    assert "h[t-1] enters f" in c.modes["associative"].why


def test_an_operator_is_a_component_of_its_own() -> None:
    sink = Sink()
    text = (
        "seq 1\noperator Max(m : [N]):\n    identity = (-inf)\n    combine(l, r):\n        m = max(l.m, r.m)\n\n"
        "cell C over t:\n    dim N\n    in x : [N]\n    p = scan(Max, m = x)\n    out y : [N] = p.m\n"
    )
    project = load_text(text, "test.seq", sink)
    assert project is not None
    program = check(project, sink)
    (c,) = Analyst(program).verdict(program.exports[0]).components
    assert (c.family, c.structure, c.legal()) == ("operator", None, ("sequential", "associative"))

"""`grad` inside a step is the derivative within that step, whatever loops it stands in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import seqc

F64 = torch.float64


def made(text: str, **dims: int) -> Any:
    torch.manual_seed(0)
    spec = seqc.load(text)
    return getattr(spec, spec.__all__[-1])(**dims, dtype=F64)


def test_a_deep_memory() -> None:
    m = made(
        """seq 1
cell Deep over t:
    dim K, L = 3
    index n of K
    in x : [K]
    in y : [K]
    stack l in 1..L:
        state z : [K] init x
        state W : [n, K] init param orthogonal()
        z = dot(tanh(z[l-1, n]), W[t-1], over = n)
        W = 0.9 * W[t-1] - 0.1 * grad(e, W[t-1])
    e : [] = sum((z - y)^2, over = K)
    out e
    out z2 : [K] = z
""",
        K=3,
    )
    x, y = torch.randn(2, 5, 3, dtype=F64), torch.randn(2, 5, 3, dtype=F64)
    (e, z), state = m(x, y)
    for b in range(2):
        weights = [level.W.init.detach().clone() for level in m.levels("l")]
        for t in range(5):
            held = [w.clone().requires_grad_() for w in weights]
            h = x[b, t]
            for w in held:
                h = torch.tanh(h) @ w
            loss = (h - y[b, t]).square().sum()
            assert torch.allclose(e[b, t], loss) and torch.allclose(z[b, t], h)
            weights = [0.9 * w.detach() - 0.1 * g for w, g in zip(held, torch.autograd.grad(loss, held), strict=True)]
        for kept, w in zip(state.W, weights, strict=True):
            assert torch.allclose(kept[b], w)
    state, rows = None, []
    for t in range(5):
        one, state = m.step(x[:, t], y[:, t], state)
        rows.append(one[0])
    assert torch.allclose(torch.stack(rows, 1), e)


def test_a_derivative_does_not_look_at_later_steps() -> None:
    m = made(
        """seq 1
cell C over t:
    dim D
    in x : [D]
    k : [D] = tanh(x)
    state S : [D] init 0
    S = 0.5 * S[t-1] + k
    e : [] = sum(S^2 * k, over = D)
    out g : [D] = grad(e, k)
""",
        D=3,
    )
    x = torch.randn(2, 5, 3, dtype=F64)
    g, _ = m(x)
    k, s = torch.tanh(x), torch.zeros(2, 3, dtype=F64)
    for t in range(5):
        s = 0.5 * s + k[:, t]
        assert torch.allclose(g[:, t], 2 * s * k[:, t] + s**2)
    with torch.no_grad():
        assert torch.allclose(m(x)[0], g)


def test_a_derivative_does_not_look_at_earlier_steps() -> None:
    m = made(
        """seq 1
cell C over t:
    dim D
    in x : [D] init 0
    e : [] = sum(x * x[t-1], over = D)
    out g : [D] = grad(e, x)
    out h : [D] = grad(e, x[t-1])
""",
        D=3,
    )
    x = torch.randn(2, 5, 3, dtype=F64)
    (g, h), _ = m(x)
    before = torch.cat((torch.zeros(2, 1, 3, dtype=F64), x[:, :-1]), 1)
    assert torch.allclose(g, before) and torch.allclose(h, x)


def test_derivatives_can_be_differentiated() -> None:
    m = made(
        """seq 1
cell C over t:
    dim D
    in x : [D]
    state M : [D] init 0.5
    e : [] = sum((M[t-1] * x)^3, over = D)
    M = M[t-1] - 0.1 * grad(e, M[t-1])
    out M
""",
        D=2,
    )
    x = torch.randn(1, 3, 2, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: m(v)[0], x)
    assert torch.autograd.gradgradcheck(lambda v: m(v)[0], x)


def test_stop_and_through_are_seen() -> None:
    m = made(
        """seq 1
cell C over t:
    dim D
    in x : [D]
    param w : [D] init 1
    a : [D] = through(step(x), w * x) + stop(w) * x
    out y : [D] = a
fn step(z) = where(z > 0, 1, 0)
""",
        D=3,
    )
    x = torch.randn(2, 4, 3, dtype=F64)
    y, _ = m(x)
    assert torch.allclose(y, (x > 0).to(F64) + x)
    (g,) = torch.autograd.grad(y.sum(), m.w)
    assert torch.allclose(g, x.sum((0, 1)))


def test_a_gradient_through_a_called_body() -> None:
    m = made(
        """seq 1
block Score:
    dim N
    in z : [N]
    out s : [] = sum(tanh(linear(z, to = [N])), over = N)

cell C over t:
    dim N
    in x : [N]
    state h : [N] init 0
    u : [N] = x + h[t-1]
    s : [] = Score(u)
    h = 0.5 * u - grad(s, u)
    out h
""",
        N=3,
    )
    x = torch.randn(2, 4, 3, dtype=F64)
    y, _ = m(x)
    h = torch.zeros(2, 3, dtype=F64)

    def score(u: Tensor) -> Tensor:
        return torch.tanh(torch.nn.functional.linear(u, m.s.Score.s.linear.z, m.s.Score.s.linear.bias)).sum(-1)

    for t in range(4):
        u = (x[:, t] + h).detach().requires_grad_()
        (g,) = torch.autograd.grad(score(u).sum(), u)
        h = 0.5 * u.detach() - g
        assert torch.allclose(y[:, t], h)

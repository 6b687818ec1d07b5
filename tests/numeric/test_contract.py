"""The Python contract of generated modules (design.md), on small specs typed here: states, ragged batches, resets, directions."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import seqc

F64 = torch.float64

GRU = """seq 1
cell GRU over t:
    dim D, N = D
    in x : [D]
    state h : [N] init 0
    gate r : [N] in (0, 1) = sigmoid(linear(x, h[t-1]))
    gate z : [N] in (0, 1) = sigmoid(linear(x, h[t-1]))
    back : [N] = linear(h[t-1])
    n : [N] = tanh(linear(x) + r * back)
    h = (1 - z) * n + z * h[t-1]
    out h
"""

CELLS = {
    "gru": GRU,
    "two states and a lag of two": """seq 1
cell C over t:
    dim D
    in x : [D] init 0.5
    state c : [D] init 1
    state h : [D] init 0
    a : [D] = x[t-2] - x[t-1]
    c = 0.9 * c[t-1] + a
    h = tanh(linear(h[t-3], c)) + c[t-2]
    out h
    out c
""",
    "delays and a causal kernel": """seq 1
cell C over t:
    dim D, K = 3
    in x : [D]
    u : [D] = conv(x, kernel = K, per = D)
    v : [D] = conv(u, kernel = 2, dilation = 2)
    out y : [D] = silu(v)
""",
    "a window in the loop": """seq 1
cell C over t:
    dim D, W = 3
    index w in 1..W
    in x : [D]
    p : [w] = softmax(dot(y[t-w], x, over = D), over = w)
    out y : [D] init 0.1 = tanh(linear(x) + dot(p, y[t-w], over = w))
""",
    "attention with a window": """seq 1
cell C over t:
    dim D, W = 4
    index s of t where s <= t and t - s < W
    in x : [D]
    q : [D] = linear(x)
    k : [D] = linear(x)
    v : [D] = linear(x)
    p : [s] = softmax(dot(q, k[s], over = D), over = s)
    out y : [D] = dot(p, v[s], over = s)
""",
    "attention with a cache": """seq 1
cell C over t:
    dim D
    index s of t where s <= t
    in x : [D]
    q : [D] = linear(x)
    k : [D] = linear(x)
    p : [s] = softmax(dot(q, k[s], over = D) + 0.1 * (s - t), over = s)
    out y : [D] = dot(p, x[s], over = s)
""",
    "numbers of steps": """seq 1
cell C over t:
    dim D
    in x : [D]
    state h : [D] init 0
    h = where(mod(t, 3) == 0, x, h[t-1] + x * t)
    out h
""",
    "complex and max-plus": """seq 1
cell C over t:
    dim D
    in x : [D]
    param nu : [D] init uniform(0, 1)
    state z : [D] of complex init 0
    state m : [D] init -inf
    z = exp(complex(-exp(nu), nu)) * z[t-1] + x
    m = max(m[t-1] - 0.1, x)
    out y : [D] = re(z) + expdiff(x, m)
""",
    "a stack in the step": """seq 1
cell C over t:
    dim D, L = 3
    in x : [D]
    stack l in 1..L:
        state u : [D] init x
        state h : [D] init 0
        h = tanh(linear(u[l-1], h[t-1]))
        u = u[l-1] + h
    out y : [D] = u
""",
    "a stack in the step with feedback from above": """seq 1
cell C over t:
    dim D, L = 2
    in x : [D]
    state top : [D] init 0
    stack l in 1..L:
        state u : [D] init x + top[t-1]
        state h : [D] init 0
        h = tanh(linear(u[l-1], h[t-1]))
        u = u[l-1] + h
    top = 0.5 * u
    out top
""",
    "rounds in the step": """seq 1
cell C over t:
    dim D
    in x : [D]
    state h : [D] init 0
    rounds r in 1..3:
        state y : [D] init x
        y = tanh(linear(y[r-1], h[t-1]))
    h = y
    out h
""",
    "a cell in a cell": GRU
    + """
cell C over t:
    dim D
    in x : [D]
    state h : [D] init 0
    u : [D] = GRU(x + h[t-1])
    w : [D] = GRU(u, name = second)
    h = 0.5 * u + 0.1 * x
    out y : [D] = w + h
""",
    "learning at test time": """seq 1
cell C over t:
    dim D
    in x : [D]
    state M : [D, D2] init 0
    dim D2 = D
    index j of D
    k : [D] = l2norm(linear(x), over = D)
    v : [D2] = linear(x)
    miss : [] = sum((dot(k, M[t-1], over = D) - v)^2, over = D2)
    M = 0.9 * M[t-1] - 0.1 * grad(miss, M[t-1])
    out y : [D2] = dot(k, M, over = D)
""",
    "backwards": GRU.replace("over t:", "over reverse(t):"),
    "an operator": """seq 1
operator Decayed(a : [], b : []):
    identity = (1, 0)
    combine(l, r):
        a = l.a * r.a
        b = l.b * r.a + r.b

cell C over t:
    dim D
    in x : [D]
    g : [D] = sigmoid(linear(x))
    p = scan(Decayed, a = g, b = x)
    out y : [D] = p.b
""",
    "a model of blocks": """seq 1
cell Mix over t:
    dim D
    in x : [D]
    state h : [D] init 0
    h = 0.5 * h[t-1] + linear(x)
    out h

block Wide:
    dim D
    in x : [t, D]
    c : [t, D] = conv(x, kernel = 2, per = D)
    a : [t, D] = Mix(c)
    out y : [t, D] = a * silu(linear(x))

model C:
    dim D, L = 2
    in x : [t, D]
    stack l in 1..L:
        state u : [t, D] init x
        u = u[l-1] + Wide(rmsnorm(u[l-1]))
    out y : [t, D] = u - x[t-1]
""".replace("in x : [t, D]\n    stack", "in x : [t, D] init 0\n    stack"),
}


def made(name: str, **dims: int) -> Any:
    """The last class of a cell's text, in double precision."""
    torch.manual_seed(0)
    spec = seqc.load(CELLS[name])
    return getattr(spec, spec.__all__[-1])(**({"D": 4} | dims), dtype=F64)


def values(y: Any) -> list[Tensor]:
    return [y] if isinstance(y, Tensor) else list(y)


def close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    for p, q in zip(values(a), values(b), strict=True):
        assert p.shape == q.shape
        assert torch.allclose(p, q, rtol=tolerance, atol=tolerance), float((p - q).abs().max())


def leaves(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    return [t for part in tree for t in leaves(part)] if isinstance(tree, tuple) else []


def over_time(f: Any, y: Any) -> Any:
    return [f(v) for v in values(y)]


each = pytest.mark.parametrize("name", list(CELLS))
forward_only = [n for n in CELLS if n != "backwards"]
streaming = pytest.mark.parametrize("name", forward_only)


# ---- equations ------------------------------------------------------------------------------------------------------


def test_a_gru_typed_by_hand_is_torchs() -> None:
    ours, theirs = made("gru", D=5, N=7), nn.GRU(5, 7, batch_first=True, dtype=F64)
    rows = dict(zip("rzn", range(3), strict=True))
    with torch.no_grad():
        for gate, k in rows.items():
            part = slice(7 * k, 7 * k + 7)
            getattr(ours, gate).linear.x.copy_(theirs.weight_ih_l0[part])
            recurrent = ours.back if gate == "n" else getattr(ours, gate)
            recurrent.linear.h.copy_(theirs.weight_hh_l0[part])
            if gate == "n":
                ours.n.linear.bias.copy_(theirs.bias_ih_l0[part])
                ours.back.linear.bias.copy_(theirs.bias_hh_l0[part])
            else:
                getattr(ours, gate).linear.bias.copy_(theirs.bias_ih_l0[part] + theirs.bias_hh_l0[part])
    x = torch.randn(3, 11, 5, dtype=F64)
    y, state = ours(x)
    expected, last = theirs(x)
    assert len(GRU.splitlines()) <= 14
    assert (y - expected).abs().max() < 1e-12 and (state.h - last[0]).abs().max() < 1e-12


# ---- one sequence, many ways ----------------------------------------------------------------------------------------


@streaming
def test_steps_are_the_sequence(name: str) -> None:
    m, x = made(name), torch.rand(2, 9, 4, dtype=F64)
    y, last = m(x)
    state, rows = None, []
    for t in range(9):
        one, state = m.step(x[:, t], state)
        rows.append(values(one))
    close([torch.stack(c, 1) for c in zip(*rows, strict=True)], y)
    close(leaves(state), leaves(last))


@streaming
@pytest.mark.parametrize("cuts", [(1,), (4,), (8,), (2, 3, 4), (5, 5)])
def test_any_split_is_the_whole(name: str, cuts: tuple[int, ...]) -> None:
    m, x = made(name), torch.rand(2, 9, 4, dtype=F64)
    y, last = m(x)
    state, parts = None, []
    for part in torch.tensor_split(x, cuts, 1):
        one, state = m(part, state)
        parts.append(values(one))
    close([torch.cat(c, 1) for c in zip(*parts, strict=True)], y)
    close(leaves(state), leaves(last))


@each
def test_sequences_may_end_early(name: str) -> None:
    m, x = made(name), torch.rand(4, 9, 4, dtype=F64)
    lengths = [9, 4, 0, 1]
    spoiled = x.clone()
    for b, n in enumerate(lengths):
        spoiled[b, n:] = float("nan")
    spoiled.requires_grad_()
    y, state = m(spoiled, lengths=torch.tensor(lengths))
    for b, n in enumerate(lengths):
        alone, after = m(x[b : b + 1, :n])
        close(over_time(lambda v, b=b, n=n: v[b : b + 1, :n], y), alone)
        assert all(not v[b, n:].any() for v in values(y))
        for held, expected in zip(leaves(state), leaves(after), strict=True):
            if held.shape[1:] == expected.shape[1:]:
                assert torch.allclose(held[b], expected[0], atol=1e-12)
    sum(v.real.sum() for v in values(y)).backward()
    assert spoiled.grad is not None and spoiled.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in m.parameters())


@streaming
def test_a_ragged_batch_carries_on(name: str) -> None:
    m, x = made(name), torch.rand(2, 9, 4, dtype=F64)
    _, state = m(x[:, :5], lengths=[5, 2])
    y, _ = m(x[:, :4], state)
    for b, n in enumerate((5, 2)):
        whole, _ = m(torch.cat((x[b : b + 1, :n], x[b : b + 1, :4]), 1))
        close(over_time(lambda v, b=b: v[b : b + 1], y), over_time(lambda v, n=n: v[:, n:], whole))


@each
def test_packed_sequences_are_separate_ones(name: str) -> None:
    m, x = made(name), torch.rand(1, 12, 4, dtype=F64)
    ends = [0, 3, 3, 8, 9, 12]
    y, state = m(x, cu_seqlens=torch.tensor(ends))
    for n, (a, b) in enumerate(zip(ends, ends[1:], strict=False)):
        alone, after = m(x[:, a:b])
        close(over_time(lambda v, a=a, b=b: v[:, a:b], y), alone)
        for held, expected in zip(leaves(state), leaves(after), strict=True):
            assert held.shape[0] == 5
            if held.shape[1:] == expected.shape[1:]:
                assert torch.allclose(held[n], expected[0], atol=1e-12)


@streaming
def test_a_reset_starts_anew(name: str) -> None:
    m, x = made(name), torch.rand(2, 9, 4, dtype=F64)
    reset = torch.zeros(2, 9, dtype=torch.bool)
    reset[0, 3] = reset[0, 7] = reset[1, 0] = True
    y, last = m(x, reset=reset)
    for b, cuts in enumerate(([0, 3, 7, 9], [0, 9])):
        for a, z in zip(cuts, cuts[1:], strict=False):
            alone, _ = m(x[b : b + 1, a:z])
            close(over_time(lambda v, a=a, z=z, b=b: v[b : b + 1, a:z], y), alone)
    _, early = m(x[:, :5], reset=reset[:, :5])
    late, after = m(x[:, 5:], early, reset=reset[:, 5:])
    close(late, over_time(lambda v: v[:, 5:], y))
    close([v for v in leaves(after) if v.dim() < 3], [v for v in leaves(last) if v.dim() < 3])
    state: Any = None
    for t in range(9):
        one, state = m.step(x[:, t], state, reset=reset[:, t])
        close(one, over_time(lambda v, t=t: v[:, t], y))


def test_backwards_is_forwards_on_the_flipped_sequence() -> None:
    back, ahead = made("backwards"), made("gru")
    ahead.load_state_dict(back.state_dict())
    x = torch.rand(2, 7, 4, dtype=F64)
    y, state = back(x)
    expected, last = ahead(x.flip(1))
    close(y, expected.flip(1))
    close(state.h, last.h)
    ragged, ended = back(x, lengths=[7, 3])
    close(ragged[1:, :3], ahead(x[1:, :3].flip(1))[0].flip(1))
    close(ended.h[1:], ahead(x[1:, :3].flip(1))[1].h)


@each
@pytest.mark.parametrize(("batch", "time"), [(2, 0), (2, 1), (0, 3), (1, 2)])
def test_small_sizes(name: str, batch: int, time: int) -> None:
    m = made(name)
    y, state = m(torch.rand(batch, time, 4, dtype=F64))
    assert all(v.shape[:2] == (batch, time) for v in values(y))
    if time == 0 and name != "backwards" and m.STATE is not None:
        close([v for v in leaves(state) if v.numel()], [v for v in leaves(m.init_state(batch)) if v.numel()])


# ---- gradients --------------------------------------------------------------------------------------------------------


@each
def test_gradients(name: str) -> None:
    m = made(name, D=2)
    x = torch.rand(2, 4, 2, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: values(m(v)[0])[0], (x,), atol=1e-6)
    names = [n for n, p in m.named_parameters() if not p.is_complex()]

    def by_parameters(*held: Tensor) -> Tensor:
        return values(torch.func.functional_call(m, dict(zip(names, held, strict=True)), (x.detach(),))[0])[0]

    inputs = tuple(p.detach().clone().requires_grad_() for n, p in m.named_parameters() if n in names)
    if inputs:
        assert torch.autograd.gradcheck(by_parameters, inputs, atol=1e-6)


def test_states_carry_gradients_in_and_out() -> None:
    m, x = made("gru"), torch.rand(2, 5, 4, dtype=F64)
    start = m.init_state(2)._replace(h=torch.rand(2, 4, dtype=F64, requires_grad=True))
    y, last = m(x, start)
    (y.sum() + last.h.square().sum()).backward()
    got = start.h.grad.clone()
    start.h.grad = None
    total, state = 0.0, start
    for t in range(5):
        one, state = m.step(x[:, t], state)
        total = total + one.sum()
    (total + state.h.square().sum()).backward()
    assert torch.allclose(got, start.h.grad)


def test_a_derivative_inside_the_step_needs_no_graph_around_it() -> None:
    m, x = made("learning at test time"), torch.rand(2, 5, 4, dtype=F64)
    y, state = m(x)
    with torch.no_grad():
        plain, held = m(x)
    assert not plain.requires_grad and not held.M.requires_grad and y.requires_grad
    close(plain, y)


# ---- as a Python object -----------------------------------------------------------------------------------------------


@each
def test_copies(name: str) -> None:
    m, x = made(name), torch.rand(2, 5, 4, dtype=F64)
    y, state = m(x)
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        close(other(x)[0], y)
    stream = io.BytesIO()
    torch.save((m.state_dict(), state), stream)
    stream.seek(0)
    weights, held = torch.load(stream, weights_only=False)
    fresh = made(name)
    fresh.load_state_dict(weights)
    close(fresh(x)[0], y)
    close(leaves(held), leaves(state))
    single = copy.deepcopy(m).to(torch.float32)
    for v, w in zip(values(single(x.float())[0]), values(y), strict=True):
        assert v.dtype == torch.float32 and torch.allclose(v.double(), w, atol=1e-4)


def test_bf16_modules_keep_wide_states() -> None:
    spec = seqc.load(
        """seq 1
cell C over t:
    dim D
    in x : [D]
    state S : [D] of f32 init 0
    S = 0.9 * S[t-1] + x
    out y : [D] = 2 * S
"""
    )
    m = spec.C(D=4, dtype=torch.bfloat16)
    y, state = m(torch.rand(2, 5, 4, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and state.S.dtype == torch.float32
    y, state = spec.C(D=4, dtype=F64)(torch.rand(2, 5, 4, dtype=F64))
    assert y.dtype == F64 and state.S.dtype == F64


def test_names_of_parameters_come_from_the_spec() -> None:
    assert [n for n, _ in made("gru").named_parameters()] == [
        "r.linear.x", "r.linear.h", "r.linear.bias", "z.linear.x", "z.linear.h", "z.linear.bias", "back.linear.h", "back.linear.bias",
        "n.linear.x", "n.linear.bias",
    ]  # fmt: skip
    keys = list(made("a model of blocks").state_dict())
    assert "l.1.u.Wide.a.Mix.h.linear.x" in keys and "l.2.u.rmsnorm.gain" in keys


def test_words_of_python_are_no_trouble() -> None:
    spec = seqc.load(
        """seq 1
cell half over t:
    dim D
    in lambda : [D]
    in state_ : [D]
    param forward : [D] init 1
    param training : [D] init 2
    state h : [D] init 0
    type : [D] = linear(lambda)
    h = h[t-1] + forward * type + training * state_
    out h
"""
    )
    m = spec.half(D=3, dtype=F64)
    assert set(m.state_dict()) == {"forward", "training", "type.linear.lambda", "type.linear.bias"}
    x = torch.rand(2, 4, 3, dtype=F64)
    y, _ = m(x, x)
    assert y.shape == (2, 4, 3) and bool((m.training_ == 2).all()) and m.training is True


def test_a_module_runs_under_autocast_checkpointing_and_compile() -> None:
    m, x = made("gru").float(), torch.rand(2, 5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = m(x)
    assert torch.allclose(y.float(), m(x)[0], atol=0.05)
    x.requires_grad_()
    held = torch.utils.checkpoint.checkpoint(lambda v: m(v)[0], x, use_reentrant=False)
    held.sum().backward()
    assert x.grad is not None
    compiled = torch.compile(m, backend="eager")
    assert torch.allclose(compiled(x)[0], m(x)[0], atol=1e-6)


def test_meta_modules_take_weights_later() -> None:
    spec = seqc.load(GRU)
    m = spec.GRU(D=3, device="meta")
    assert all(p.is_meta for p in m.parameters())
    real = m.to_empty(device="cpu")
    real.reset_parameters()
    assert all(p.isfinite().all() for p in real.parameters())

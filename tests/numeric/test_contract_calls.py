"""The Python contract: holes, optional inputs, losses, watching, tying, errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import seqc

F64 = torch.float64

LM = """seq 1
cell Mean over t:
    dim D
    in x : [D]
    state h : [D] init 0
    h = 0.9 * h[t-1] + 0.1 * x
    out h

block Feed(Act = silu):
    dim D, F = 2 * D
    in x : [D]
    a : [F] = Act(linear(x, to = [F]))
    out y : [D] = linear(a)

model LM(Mixer = Mean):
    dim D = 8, L = 2, W
    in ids : [t] of int in [0, W)
    in target : [t] of int in [0, W)
    e : [t, D] = embedding(ids)
    stack l in 1..L:
        state x : [t, D] init e
        u : [t, D] = x[l-1] + Mixer(rmsnorm(x[l-1]))
        x = u + Feed(rmsnorm(u))
    out logits : [t, W] = linear(rmsnorm(x), weight = e.embedding.ids, bias = none)
    loss ce : [] = mean(logsumexp(logits, over = W) - logits[W = target], over = t)
    loss size : [] = sum(logits^2, over = [t, W, batch])
"""

OTHER = """seq 1
cell Gated over t:
    dim K, N = K
    in z : [K]
    state h : [N] init 0
    gate g : [N] in (0, 1) = sigmoid(linear(z))
    h = g * h[t-1] + (1 - g) * linear(z)
    out h
"""

JORDAN = """seq 1
cell Jordan over t:
    dim D, K
    in x : [D]
    in y : [K] init 0 = softmax(linear(x, y[t-1]), over = K)
    out y
"""


def lm(**given: Any) -> Any:
    torch.manual_seed(0)
    return seqc.load(LM).LM(W=11, dtype=F64, **given)


IDS = torch.arange(14).reshape(2, 7) % 11


def test_a_hole_takes_another_specs_cell() -> None:
    other = seqc.load(OTHER)
    m = lm(Mixer=other.Gated)
    y, state = m(IDS)
    assert y.shape == (2, 7, 11) and "l.1.u.Mixer.g.linear.z" in m.state_dict()
    a, state = m(IDS[:, :3])
    b, _ = m(IDS[:, 3:], state)
    assert torch.allclose(torch.cat((a, b), 1), y)


def test_a_hole_takes_modules_factories_and_functions() -> None:
    shared = nn.Linear(8, 8, dtype=F64)
    m = lm(Mixer=shared)
    assert m.l.child("1").u.Mixer is not m.l.child("2").u.Mixer is not shared
    assert torch.equal(m.l.child("1").u.Mixer.weight, shared.weight)
    assert m(IDS)[0].shape == (2, 7, 11)
    made = lm(Mixer=lambda D: nn.Linear(D, D, dtype=F64))
    assert not torch.equal(made.l.child("1").u.Mixer.weight, made.l.child("2").u.Mixer.weight)
    assert made(IDS)[0].shape == (2, 7, 11)
    assert lm(Mixer=torch.tanh)(IDS)[0].shape == (2, 7, 11)


def test_a_hole_for_a_function() -> None:
    spec = seqc.load(LM)
    torch.manual_seed(0)
    plain = spec.Feed(D=4, dtype=F64)
    torch.manual_seed(0)
    other = spec.Feed(D=4, dtype=F64, Act=torch.relu)
    x = torch.randn(3, 4, dtype=F64)
    hidden = nn.functional.linear(x, plain.a.linear.x, plain.a.linear.bias)
    for m, f in ((plain, nn.functional.silu), (other, torch.relu)):
        expected = nn.functional.linear(f(hidden), m.y.linear.a, m.y.linear.bias)
        assert torch.allclose(m(x)[0], expected)


def test_a_filler_that_does_not_fit_says_so() -> None:
    with pytest.raises(ValueError, match="has no input for argument"):
        lm(Mixer=seqc.load("seq 1\nblock Nothing:\n    dim D = 4\n    param p : [D] init 0\n    out y : [D] = p\n").Nothing)
    with pytest.raises(TypeError, match="Mixer.*no step|no step"):
        m = lm(Mixer=nn.Linear(8, 8, dtype=F64))
        m.step(IDS[:, 0])


def test_a_tied_table_is_one_parameter() -> None:
    m = lm()
    assert [k for k in m.state_dict() if "embedding" in k or "logits" in k] == ["e.embedding.ids", "logits.rmsnorm.gain"]
    m(IDS)[0].sum().backward()
    assert m.e.embedding.ids.grad.abs().sum() > 0


def test_losses() -> None:
    m = lm()
    target = (IDS + 1) % 11
    found = m.loss(IDS, target)
    logits, _ = m(IDS)
    assert torch.allclose(found.ce, nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten()))
    assert torch.allclose(found.size, logits.square().sum())
    ragged = m.loss(IDS, target, lengths=[7, 3])
    parts = [nn.functional.cross_entropy(logits[b, :n], target[b, :n]) for b, n in enumerate((7, 3))]
    assert torch.allclose(ragged.ce, torch.stack(parts).mean())


def test_a_loss_in_a_cell_is_averaged_over_steps() -> None:
    spec = seqc.load(
        """seq 1
cell C over t:
    dim D
    in x : [D]
    in y : [D]
    state h : [D] init 0
    h = 0.5 * h[t-1] + x
    out h
    loss square : [] = sum((h - y)^2, over = D)
"""
    )
    m = spec.C(D=3, dtype=F64)
    x, y = torch.rand(2, 5, 3, dtype=F64), torch.rand(2, 5, 3, dtype=F64)
    h, _ = m(x)
    assert torch.allclose(m.loss(x, y).square, (h - y).square().sum(-1).mean())
    ragged = m.loss(x, y, lengths=[5, 2]).square
    error = (h - y).square().sum(-1)
    assert torch.allclose(ragged, (error[0].sum() + error[1, :2].sum()) / 7)


def test_any_named_value_can_be_watched() -> None:
    m = seqc.load(OTHER).Gated(K=3, dtype=F64)
    x = torch.rand(2, 5, 3, dtype=F64)
    y, _, seen = m(x, watch=("g", "h"))
    assert set(seen) == {"g", "h"} and torch.equal(seen["h"], y) and seen["g"].shape == (2, 5, 3)
    _, _, one = m.step(x[:, 0], watch=["g"])
    assert torch.allclose(one["g"], seen["g"][:, 0])
    with pytest.raises(KeyError, match="no value `G` to watch"):
        m(x, watch=("G",))


def test_feedback_and_teacher_forcing() -> None:
    m = seqc.load(JORDAN).Jordan(D=3, K=2, dtype=F64)
    x = torch.rand(2, 5, 3, dtype=F64)
    own, _ = m(x)
    given, _ = m(x, y=own)
    assert torch.equal(own, given)
    state, rows = None, []
    for t in range(5):
        one, state = m.step(x[:, t], state)
        rows.append(one)
    assert torch.allclose(torch.stack(rows, 1), own)
    half, state = m(x[:, :2], y=own[:, :2])
    rest, _ = m(x[:, 2:], state)
    assert torch.allclose(torch.cat((half, rest), 1), own)


def test_random_inputs_can_be_given() -> None:
    spec = seqc.load("seq 1\ncell C over t:\n    dim D\n    in x : [D]\n    in eps : [D] = normal(0, 1)\n    out y : [D] = x + eps\n")
    m, x = spec.C(D=3), torch.zeros(2, 4, 3)
    assert m(x)[0].std() > 0.3 and not m(x, eps=torch.zeros(2, 4, 3))[0].any()
    torch.manual_seed(1)
    first = m(x)[0]
    torch.manual_seed(1)
    assert torch.equal(first, m(x)[0])


def test_starts_and_fields_of_calls() -> None:
    spec = seqc.load(
        OTHER
        + """
model Both:
    dim D, N = D
    index u
    in src : [u, D]
    in x : [t, D]
    enc = Gated(src, along = reverse(u), N = N)
    dec = Gated(x, start = enc, N = N)
    out y : [t, N] = dec.h
    out last : [N] = enc.h[u = 0]
"""
    )
    m = spec.Both(D=3, dtype=F64)
    src, x = torch.rand(2, 4, 3, dtype=F64), torch.rand(2, 5, 3, dtype=F64)
    (y, last), _ = m(src, x)
    enc, state = m.enc.Gated(src.flip(1))
    assert torch.allclose(last, enc[:, -1])
    dec, _ = m.dec.Gated(x, state)
    assert torch.allclose(y, dec)
    (ragged, _), _ = m(src, x, lengths={"u": [4, 2]})
    _, short = m.enc.Gated(src[1:, :2].flip(1))
    assert torch.allclose(ragged[1:], m.dec.Gated(x[1:], short)[0])


def test_bound_parameters_and_own_weights() -> None:
    spec = seqc.load(
        """seq 1
cell Leaky over t:
    dim D
    in x : [D]
    param rate : [D] init 0.5
    state h : [D] init 0
    h = rate * h[t-1] + x
    out h

cell Twice over t:
    dim D, H = 2
    in x : [H, D]
    param r : [D] init 0.25
    a : [H, D] = Leaky(x, rate = r)
    b : [H, D] = Leaky(x, own = H)
    out y : [H, D] = a + b
"""
    )
    m = spec.Twice(D=3, dtype=F64)
    assert sorted(m.state_dict()) == ["b.Leaky.0.rate", "b.Leaky.1.rate", "r"]
    with torch.no_grad():
        m.b.Leaky.child("1").rate.fill_(0.0)
    x = torch.rand(2, 4, 2, 3, dtype=F64)
    y, _ = m(x)
    plain = spec.Leaky(D=3, dtype=F64)

    def leaky(v: Tensor, rate: float) -> Tensor:
        with torch.no_grad():
            plain.rate.fill_(rate)
            return plain(v)[0]

    for h in range(2):
        assert torch.allclose(y[:, :, h], leaky(x[:, :, h], 0.25) + leaky(x[:, :, h], (0.5, 0.0)[h]))
    state, rows = None, []
    for t in range(4):
        one, state = m.step(x[:, t], state)
        rows.append(one)
    assert torch.allclose(torch.stack(rows, 1), y)


def test_what_is_known_when_the_module_is_built() -> None:
    spec = seqc.load(
        """seq 1
cell C over t:
    dim D
    const deep : [] of bool = false
    const mask : [D]
    in x : [D]
    y : [D] = where(deep, tanh(linear(x)), x)
    out z : [D] = mask * y
"""
    )
    mask = torch.tensor([1.0, 0.0, 2.0])
    plain, deep = spec.C(mask=mask), spec.C(mask=mask, deep=True)
    assert plain.D == 3 and not list(plain.parameters()) and len(list(deep.parameters())) == 2
    x = torch.rand(2, 4, 3)
    assert torch.allclose(plain(x)[0], mask * x)
    assert "mask" not in plain.state_dict()


def test_parameters_stay_in_their_range() -> None:
    spec = seqc.load(
        "seq 1\ncell C over t:\n    dim D\n    in x : [D]\n    param a : [D] in [0, 1] init normal(0.5, 3)\n    out y : [D] = a * x\n"
    )
    m = spec.C(D=50)
    assert ((m.a >= 0) & (m.a <= 1)).all()
    with torch.no_grad():
        m.a.fill_(7)
    m.project()
    assert (m.a == 1).all()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: seqc.load(JORDAN).Jordan(D=3), "a size is needed for `K`"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2.5), "not a whole number"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2, Q=1), "takes no `Q`"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(2, 4, 5)), r"in x : \[D\] \(spec.seq:4\): expected D = 3, got 5"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(2, 4)), r"expected \[batch, t, D\]"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(2, 4, 3), y=torch.zeros(2, 5, 2)), "expected t = 4, got 5"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(2, 4, 3), lengths=[5, 1]), "the input has 4 positions"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(1, 4, 3), cu_seqlens=[0, 2]), "ends with 2, the input has 4"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(1, 4, 3), cu_seqlens=[0, 3, 2, 4]), "must not decrease"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(2, 4, 3), cu_seqlens=[0, 4]), "the batch is 1, got 2"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2)(torch.zeros(2, 4, 3), reset=torch.zeros(2, 4)), "reset must be bool"),
        (lambda: seqc.load(JORDAN).Jordan(D=3, K=2, backend="fast"), "is unknown"),
        (lambda: lm().step(IDS[:, 0], lengths=[1, 1]), "lengths"),
        (lambda: lm(Mixer=3), "a hole takes"),
    ],
)
def test_mistakes_are_named_in_the_specs_words(what: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        what()


def test_no_step_where_the_sequence_is_seen_as_a_whole() -> None:
    spec = seqc.load("seq 1\nblock B:\n    dim D\n    in x : [t, D]\n    out y : [t, D] = x - mean(x, over = t)\n")
    m = spec.B(D=3, dtype=F64)
    x = torch.rand(2, 4, 3, dtype=F64)
    assert torch.allclose(m(x)[0], x - x.mean(1, keepdim=True))
    ragged, _ = m(x, lengths=[4, 2])
    assert torch.allclose(ragged[1, :2], x[1, :2] - x[1, :2].mean(0))
    with pytest.raises(TypeError, match=r"B has no step: `mean` over `t` sees the whole sequence \(spec.seq:5\)"):
        m.step(x[:, 0])


def test_a_batch_mapped_call_keeps_its_states_apart() -> None:
    spec = seqc.load(
        OTHER
        + """
cell Many over t:
    dim D, H = 3
    in x : [H, D]
    out y : [H, N] = Gated(x, K = D)
    dim N = D
"""
    )
    m = spec.Many(D=2, dtype=F64)
    x = torch.rand(2, 5, 3, 2, dtype=F64)
    y, state = m(x)
    assert state.y_Gated.h.shape == (2, 3, 2)
    for h in range(3):
        assert torch.allclose(y[:, :, h], m.y.Gated(x[:, :, h])[0])
    a, state = m(x[:, :2])
    b, _ = m(x[:, 2:], state)
    assert torch.allclose(torch.cat((a, b), 1), y)

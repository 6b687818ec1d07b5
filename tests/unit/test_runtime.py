"""The pieces of `seqc.runtime` by themselves: exact sizes, masks, histories, saturating-safe functions, ragged batches."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from seqc.runtime import arrays, history, initialise, layers, packing, relation
from seqc.runtime import functions as fn
from seqc.runtime.binding import BindingError, bind_dims, evaluate, whole
from seqc.runtime.containers import Overlay, Tree
from seqc.runtime.matching import match
from seqc.runtime.run import FAR, Run, choose, map_state

F64 = torch.float64
CPU = torch.device("cpu")


def run(batch: int = 2, length: int | None = 4, **more: object) -> Run:
    return Run(batch, length, F64, CPU, chain="t", **more)  # type: ignore[arg-type]


# ---- sizes ------------------------------------------------------------------------------------------------------------


def test_sizes_are_exact() -> None:
    assert evaluate(("div", 12, 4), {}) == 3 and evaluate(("div", 1, 3), {}) == Fraction(1, 3)
    assert evaluate(("mul", ("div", "D", 3), 3), {"D": 7}) == 7
    assert evaluate(("ceil", ("div", "D", 16)), {"D": 17}) == 2 and evaluate(("roundup", "D", 8), {"D": 17}) == 24
    assert bind_dims({"D": None, "H": 4, "K": ("div", "D", "H")}, {"D": 12}, {}, "f.seq") == {"D": 12, "H": 4, "K": 3}
    assert bind_dims({"D": None, "N": "D"}, {"D": 12, "N": 5}, {}, "f.seq")["N"] == 5


def test_sizes_that_do_not_come_out_name_both_numbers() -> None:
    with pytest.raises(BindingError, match=r"dim K = D / H with D = 10, H = 4 \(f.seq:3\) is 5/2, not a whole number"):
        bind_dims({"D": None, "H": 4, "K": ("div", "D", "H")}, {"D": 10}, {"K": 3}, "f.seq")
    with pytest.raises(BindingError, match="a size is needed for `D`"):
        bind_dims({"D": None}, {}, {}, "f.seq")
    for bad in (2.5, -1, 2**31, True):
        with pytest.raises(BindingError):
            whole(bad, "dim D")
    with pytest.raises(BindingError, match="exponent"):
        evaluate(("pow", 9, ("pow", 9, 9)), {})


# ---- functions --------------------------------------------------------------------------------------------------------


def test_functions_are_safe_where_they_saturate() -> None:
    low, zero = torch.tensor(-math.inf, dtype=F64, requires_grad=True), torch.tensor(0.0, dtype=F64, requires_grad=True)
    for a, b, expected in ((low, low, 0.0), (low, zero, 0.0), (zero, zero, 1.0)):
        y = fn.expdiff(a, b)
        assert y.item() == expected
        grads = torch.autograd.grad(y, [a, b] if a is not b else [a], allow_unused=True)
        assert all(g is None or g.isfinite() for g in grads)
    y = fn.logaddexp(low, low)
    assert y.item() == -math.inf
    assert all(g is None or g.isfinite() for g in torch.autograd.grad(y, [low], allow_unused=True))
    big = torch.tensor([-1e4, -50.0, 0.0, 25.0, 50.0, 1e4], dtype=F64, requires_grad=True)
    y = fn.softplus(big)
    assert torch.allclose(y, torch.tensor([0.0, math.exp(-50), math.log(2), 25 + math.exp(-25), 50.0, 1e4], dtype=F64), rtol=1e-15)
    (g,) = torch.autograd.grad(y.sum(), big)
    assert g.isfinite().all()


def test_reductions_over_nothing() -> None:
    x = torch.randn(2, 3, dtype=F64)
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert not fn.total(x, (1,), none).any() and not fn.mean(x, (1,), none).any() and not fn.softmax(x, (1,), none).any()
    assert (fn.largest(x, (1,), none) == -math.inf).all() and (fn.logsumexp(x, (1,), none) == -math.inf).all()
    empty = torch.randn(2, 0, dtype=F64)
    assert (fn.largest(empty, (1,)) == -math.inf).all() and fn.mean(empty, (1,)).tolist() == [0, 0]
    x.requires_grad_()
    for f in (fn.softmax, fn.logsumexp, fn.total, fn.mean):
        y = f(x, (1,), torch.tensor([[True, False, True], [False, False, False]]))
        (g,) = torch.autograd.grad(torch.where(y.isfinite(), y, 0).sum(), x)
        assert g.isfinite().all()
    sparse = torch.full((1, 2), -math.inf, dtype=F64, requires_grad=True)
    assert not fn.softmax(sparse, (1,), sparse=True).any()


def test_ties_go_in_order() -> None:
    x = torch.tensor([2.0, 1.0, 2.0, 1.0])
    assert fn.rank(x, (0,)).tolist() == [2, 0, 3, 1] and fn.argmax(x, (0,)).item() == 0
    assert fn.topk(x, (0,), 1).tolist() == [True, False, False, False] and fn.topk(x, (0,), 3).tolist() == [True, True, True, False]


def test_numbers_follow_the_tensors() -> None:
    for name in (
        "sigmoid",
        "softplus",
        "silu",
        "tanh",
        "exp",
        "sqrt",
        "log",
        "relu",
        "expm1",
        "log1p",
        "sign",
        "floor",
        "ceil",
        "abs",
        "gelu",
    ):
        for v in (0.3, 2.7):
            other = getattr(torch.nn.functional, name, None) or getattr(torch, name)
            assert math.isclose(fn.number(name, v), float(other(torch.tensor(v, dtype=F64))), rel_tol=1e-12), name
    assert fn.number("expdiff", -math.inf, -math.inf) == 0 and fn.number("bitlen", 5) == 3 and fn.number("log", 0) == -math.inf


def test_through_hands_the_gradient_on() -> None:
    a, b = torch.tensor([math.inf, 1.0], dtype=F64), torch.tensor([2.0, 3.0], dtype=F64, requires_grad=True)
    y = fn.through(a, b)
    assert y.tolist() == [math.inf, 1.0]
    assert torch.autograd.grad(y, b, torch.ones(2, dtype=F64))[0].tolist() == [1, 1]


def test_a_contraction_takes_one_type() -> None:
    a, b = torch.randn(2, 3), torch.randn(3, dtype=torch.complex64)
    assert torch.allclose(fn.contract("ij,j->i", a, b), a.to(torch.complex64) @ b)
    w = torch.randn(4, 5, 2, 3)
    x = torch.randn(7, 2, 3)
    assert torch.allclose(fn.linear(x, w, 2, torch.zeros(4, 5)), torch.einsum("bij,opij->bop", x, w), atol=1e-5)


# ---- runs and histories -----------------------------------------------------------------------------------------------


def test_steps_are_counted_from_the_last_reset() -> None:
    reset = torch.tensor([[False, False, True, False], [True, False, False, True]])
    r = run(reset=reset)
    assert r.since is not None and r.since.tolist() == [[FAR, FAR, 0, 1], [0, 1, 2, 0]]
    numbers = r.numbers(torch.tensor([5, 5]))
    assert numbers.tolist() == [[5, 6, 0, 1], [0, 1, 2, 0]]
    assert r.count_on(torch.tensor([5, 5]), numbers).tolist() == [2, 1]
    ragged = run(counts={"t": torch.tensor([3, 0])})
    assert ragged.count_on(torch.tensor([5, 5]), ragged.numbers(torch.tensor([5, 5]))).tolist() == [8, 5]


def test_lags_and_buffers() -> None:
    x = torch.arange(8.0, dtype=F64).reshape(2, 4)
    past = torch.tensor([[-2.0, -1.0], [-2.0, -1.0]], dtype=F64)
    full = history.joined(past, x)
    assert history.lag(run(), full, 2, 1, 9.0).tolist() == [[-1, 0, 1, 2], [-1, 4, 5, 6]]
    reset = torch.tensor([[False, False, True, False], [False, False, False, False]])
    r = run(reset=reset)
    assert history.lag(r, full, 2, 2, 9.0).tolist() == [[-2, -1, 9, 9], [-2, -1, 4, 5]]
    assert history.keep(r, full, 3, 9.0).tolist() == [[9, 2, 3], [5, 6, 7]]
    ragged = run(counts={"t": torch.tensor([1, 0])})
    assert history.keep(ragged, full, 2, 9.0).tolist() == [[-1, 0], [-2, -1]]
    assert history.last(ragged, x, torch.tensor([7.0, 7.0], dtype=F64)).tolist() == [0, 7]
    w = history.window(run(), full, 2, torch.tensor([0, 2, 5]), 9.0, False)
    assert w[0].tolist() == [[0, -2, 9], [1, -1, 9], [2, 0, 9], [3, 1, -2]]


@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (3, 1), (2, 2)])
def test_two_ways_to_a_causal_convolution(size: int, dilation: int) -> None:
    reach = (size - 1) * dilation
    full = torch.randn(2, reach + 5, 3, 4, dtype=F64)
    kernel, bias = torch.randn(3, 4, size, dtype=F64), torch.randn(3, 4, dtype=F64)
    plain = torch.einsum("...k,...k->...", history.taps(run(length=5), full, size, dilation), kernel) + bias
    assert torch.allclose(history.depthwise(run(length=5), full, kernel, size, dilation, 2, bias), plain)
    now = torch.einsum("...k,...k->...", history.taps(run(length=None), full, size, dilation, now=True), kernel) + bias
    assert torch.allclose(now, plain[:, -1])


def test_what_a_relation_sees() -> None:
    first = torch.tensor([2, 0])
    mask = relation.seen(run(length=3), 2, first)
    assert mask.shape == (2, 3, 5) and mask[0].all() and mask[1, :, 2:].all() and not mask[1, :, :2].any()
    reset = torch.tensor([[False, True, False], [False, False, False]])
    cut = relation.seen(run(length=3, reset=reset), 2, first)
    assert cut[0].tolist() == [[True, True, True, False, False], [False, False, False, True, True], [False, False, False, True, True]]
    now = relation.seen(run(length=None, reset=torch.tensor([True, False])), 2, first)
    assert now.tolist() == [[False, False, True], [False, False, True]]


def test_choices_go_through_states() -> None:
    where = torch.tensor([True, False])
    a, b = (torch.ones(2, 3), (torch.ones(2),)), (torch.zeros(2, 3), (torch.zeros(2),))
    made = choose(where, a, b)
    assert made[0].tolist() == [[1, 1, 1], [0, 0, 0]] and made[1][0].tolist() == [1, 0]
    assert map_state(lambda t: t + 1, (torch.zeros(1), None))[0].item() == 1


# ---- ragged batches ---------------------------------------------------------------------------------------------------


def test_padding_is_replaced_and_cut() -> None:
    x = torch.tensor([[1.0, math.nan], [math.nan, math.nan]])
    counts = torch.tensor([1, 0])
    assert packing.padding_replaced(x, 1, counts).tolist() == [[1, 1], [0, 0]]
    assert packing.cut(x, 1, counts).tolist() == [[1, 0], [0, 0]]
    y = torch.arange(6.0).reshape(2, 3)
    assert packing.flipped(y, torch.tensor([3, 2])).tolist() == [[2, 1, 0], [4, 3, 5]]
    held = packing.Packed([0, 2, 2, 3], 3, CPU)
    z = torch.tensor([[5.0, 6.0, 7.0]])
    assert held.pack(held.unpack(z)).tolist() == z.tolist() and held.lengths.tolist() == [2, 0, 1]


@pytest.mark.parametrize("ends", [[1, 3], [0, 2], [0, 4], [0, 3, 2, 3], [], [[0, 3]], [0.0, 3.0], [True, True]])
def test_bad_packing_is_refused(ends: list[int]) -> None:
    with pytest.raises(packing.PackingError):
        packing.Packed(ends, 3, CPU)


@pytest.mark.parametrize("lengths", [[1], [1, 5], [-1, 2], [0.5, 1.0], [True, False]])
def test_bad_lengths_are_refused(lengths: list[int]) -> None:
    with pytest.raises(packing.PackingError):
        packing.checked_lengths(lengths, 2, 4, "lengths", CPU)


# ---- arrays -----------------------------------------------------------------------------------------------------------


def test_gathers_and_borders() -> None:
    x = torch.arange(4.0)
    assert arrays.at(x, torch.tensor([-1, 4]), 0, "wrap").tolist() == [3, 0]
    assert arrays.at(x, torch.tensor([-1, 4]), 0, "clamp").tolist() == [0, 3]
    assert arrays.at(x, torch.tensor([-1, 2]), 0, "zero").tolist() == [0, 2]
    assert arrays.at(x, torch.tensor([0.25, 2.5]), 0, "clamp").tolist() == [0.25, 2.5]
    assert arrays.lookup(x, torch.tensor([-1, 1]), 0, 9.0).tolist() == [9, 1]
    with pytest.raises(IndexError):
        arrays.take(x, torch.tensor([4]), 0)
    batched = torch.arange(6.0).reshape(2, 3)
    assert arrays.take(batched, torch.tensor([[2], [0]]), 1).tolist() == [[2], [3]]
    place = torch.tensor([0.3, 1.2], dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p: arrays.at(torch.randn(4, dtype=F64, generator=torch.Generator().manual_seed(0)), p, 0, "clamp"), place
    )
    assert arrays.shifted(x, 0, 2, -1.0).tolist() == [-1, -1, 0, 1]
    assert arrays.onehot(torch.tensor([1, 7, -1]), 3, F64).sum(-1).tolist() == [1, 0, 0]


def test_splits_must_come_out_even() -> None:
    assert arrays.split(torch.zeros(6), 0, 3, "x").shape == (2, 3)
    with pytest.raises(ValueError, match="the length 7 is no multiple of 3"):
        arrays.split(torch.zeros(7), 0, 3, "split of t (f.seq:3)")


@pytest.mark.parametrize("mode", ["zero", "clamp", "wrap"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_kept_sizes(mode: str, stride: int) -> None:
    x = torch.randn(2, 7, 5)
    w = arrays.conv_windows(x, (1, 2), 3, stride, 1, mode, mode, 0)
    assert w.shape == (2, -(-7 // stride), -(-5 // stride), 3, 3)


def test_batchnorm_is_torchs() -> None:
    ours = [torch.zeros(3, dtype=F64), torch.ones(3, dtype=F64)]
    theirs = torch.nn.BatchNorm1d(3, affine=False, dtype=F64)
    x = torch.randn(4, 5, 3, dtype=F64)
    y = layers.batchnorm(x, (2,), ours[0], ours[1], 1e-5, True)
    assert torch.allclose(y, theirs(x.mT).mT)
    assert torch.allclose(ours[0], theirs.running_mean) and torch.allclose(ours[1], theirs.running_var)
    z = layers.batchnorm(x, (2,), ours[0], ours[1], 1e-5, False)
    assert torch.allclose(z, theirs.eval()(x.mT).mT)


def test_solve_broadcasts() -> None:
    a, b = torch.randn(3, 3, dtype=F64), torch.randn(2, 4, 3, dtype=F64)
    assert torch.allclose(torch.einsum("ij,btj->bti", a, layers.solve(a, b)), b)
    many = torch.randn(2, 1, 3, 3, dtype=F64)
    assert torch.allclose(torch.einsum("btij,btj->bti", many.expand(2, 4, 3, 3), layers.solve(many, b)), b)


def test_starting_values() -> None:
    torch.manual_seed(0)
    q = initialise.orthogonal((3, 5, 4), F64, CPU)
    assert torch.allclose(q.mT @ q, torch.eye(4, dtype=F64).expand(3, 4, 4))
    assert initialise.xavier((40, 50), F64, CPU).abs().max() <= math.sqrt(6 / 90)
    assert abs(float(initialise.kaiming((200, 300), F64, CPU).std()) - math.sqrt(2 / 300)) < 1e-3
    assert initialise.gumbel((1000,), F64, CPU).isfinite().all()
    assert set(initialise.bernoulli((100,), F64, CPU, 0.5).tolist()) == {0.0, 1.0}
    assert initialise.normal((2,), torch.complex128, CPU).dtype == torch.complex128


# ---- containers and calls ---------------------------------------------------------------------------------------------


def test_paths_are_keys_whatever_the_words() -> None:
    tree = Tree()
    for path in ("a.b.c", "a.b", "forward", "training.half"):
        tree.parameter(path, (2,), F64, None)
    assert sorted(tree.state_dict()) == ["a.b", "a.b.c", "forward", "training.half"]
    assert tree.forward_.shape == (2,) and tree.child("a").child("b").c.shape == (2,) and tree.training is True
    view = Overlay(tree, {"a.b": torch.ones(1)})
    assert view.a.b.item() == 1 and view.forward_ is tree.forward_


def test_complex_parameters_stay_complex() -> None:
    tree = Tree()
    tree.parameter("z", (2,), torch.complex128, None)
    assert tree.to(torch.float32).z.dtype == torch.complex64 and tree.double().z.dtype == torch.complex128


def test_axes_match() -> None:
    assert match(("t", "D"), ("node", "w", "E"), {"t": "w"}) == ({"t": "w", "D": "E"}, ("node",))
    assert match(("D",), ("t", "D"), {}) == ({"D": "D"}, ("t",))

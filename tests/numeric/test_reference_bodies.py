"""What the reference makes of bodies that once ran wrong, each in a spec of its own: sizes, steps, resets, padding, bound parameters.

A layer is compared with loops over torch operations, or with itself run in another way (steps, pieces, one sequence at a time).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import seqc

F64 = torch.float64


def layer(text: str, name: str, **sizes: Any) -> Any:
    torch.manual_seed(0)
    return getattr(seqc.load(f"seq 1\n{text}"), name)(**sizes, dtype=F64).eval()


def near(found: Tensor, wanted: Tensor) -> None:
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) < 1e-10


# ---- sizes ------------------------------------------------------------------------------------------------------------

JOIN = "cell Join over t:\n    dim D = 3, Z\n    in x : [D]\n    in y : [D]\n    out z : [Z] = concat(x, y, over = D)\n"


def test_a_dim_that_a_join_makes_is_solved_and_not_contradicted() -> None:
    join = layer(JOIN, "Join")
    assert join.Z == 6
    x = torch.randn(2, 4, 3, dtype=F64)
    near(join(x, 2 * x)[0], torch.cat((x, 2 * x), -1))
    with pytest.raises(ValueError, match=r"dim Z .* is 5, but `z` .* has D \+ D = 6 entries"):
        layer(JOIN, "Join", Z=5)


def test_a_merge_holds_a_default_to_its_size() -> None:
    text = "cell Flat over t:\n    dim D, H = 2, V = D\n    in x : [H, V]\n    out y : [D] = merge(x, D = [H, V])\n"
    assert layer(text, "Flat", D=6, V=3).D == 6
    with pytest.raises(ValueError, match="entries along it"):
        layer(text, "Flat", D=6)


def test_a_branch_that_is_not_built_asks_for_no_size() -> None:
    text = (
        "cell Choice over t:\n    dim D = 3, Z\n    const both : [] of bool = false\n    in x : [Z]\n"
        "    in y : [D]\n    out z : [Z] = where(both, concat(y, y, over = D), x)\n"
    )
    assert layer(text, "Choice", Z=5).Z == 5


@pytest.mark.parametrize("given", [{"D": 0}, {"D": -2}, {"D": 2, "H": 4}])
def test_sizes_start_at_one(given: dict[str, int]) -> None:
    text = "cell Pair over t:\n    dim D, H = 1, K = floor(D / H)\n    in x : [D]\n    out y : [D] = 2 * x\n"
    with pytest.raises(ValueError, match="dim (D|K)"):
        layer(text, "Pair", **given)


def test_a_size_may_be_zero_where_its_default_is() -> None:
    text = "cell Plain over t:\n    dim D, M = 0, E = D + M, N = 2 * M\n    in x : [D]\n    out y : [D] = 2 * x\n"
    assert layer(text, "Plain", D=3).N == 0
    with pytest.raises(ValueError, match="dim D"):
        layer(text, "Plain", D=0)


def test_a_bound_parameter_tells_the_callee_its_dims() -> None:
    text = (
        "cell Look over t:\n    dim E = 7, V\n    param table : [V, E] init normal(0, 1)\n    in i : [] of int in [0, V)\n"
        "    out e : [E] = linear(table[V = i], bias = none)\n\n"
        "block Tied:\n    dim E = 3, V = 5\n    in i : [t] of int in [0, V)\n    param table : [V, E] init normal(0, 1)\n"
        "    out e : [t, E] = Look(i, table = table)\n"
    )
    tied = layer(text, "Tied")
    i = torch.randint(0, 5, (2, 4))
    (weight,) = (p for n, p in tied.named_parameters() if n != "table")
    near(tied(i)[0], tied.table[i] @ weight.T)


def test_a_place_that_a_table_does_not_have_is_an_error_that_says_so() -> None:
    text = "cell Look over t:\n    dim N\n    param w : [N] init 1\n    in i : [] of int\n    out y : [] = w[N = i]\n"
    look = layer(text, "Look", N=3)
    for place in (3, -1):
        with pytest.raises(ValueError, match="axis of 3 entries is read at the positions"):
            look(torch.full((1, 2), place))


# ---- steps and starts -------------------------------------------------------------------------------------------------

PIXELS = "cell Pixels over t:\n    index y, x\n    in u : [y, x]\n    state h : [y, x] init 0\n    h = 0.5 * h[t-1] + u\n    out h\n"


def test_init_state_takes_the_sizes_that_only_inputs_tell() -> None:
    pixels = layer(PIXELS, "Pixels")
    u = torch.randn(2, 3, 4, 5, dtype=F64)
    whole, _ = pixels(u)
    state = pixels.init_state(2, y=4, x=5)
    assert state.h.shape == (2, 4, 5)
    for n in range(3):
        h, state = pixels.step(u[:, n], state)
        near(h, whole[:, n])
    with pytest.raises(ValueError, match="the state h has the axis y"):
        pixels.init_state(2)
    with pytest.raises(TypeError, match="takes no `z`; it takes x, y"):
        pixels.init_state(2, z=1)


def test_a_state_tells_the_sizes_of_its_axes() -> None:
    text = "cell Hidden over t:\n    index y\n    in u : []\n    state h : [y] init 0\n    h = 0.5 * h[t-1] + u * (y + 1)\n    out h\n"
    hidden = layer(text, "Hidden")
    u = torch.randn(2, 3, dtype=F64)
    h = torch.zeros(2, 4, dtype=F64)
    outs, _ = hidden(u, hidden.init_state(2, y=4))
    for n in range(3):
        h = 0.5 * h + u[:, n, None] * torch.arange(1, 5)
        near(outs[:, n], h)
    with pytest.raises(ValueError, match=r"init_state\(batch, y=…\)"):
        hidden(u)


def test_what_only_a_loss_reads_ahead_takes_no_step_away() -> None:
    text = (
        "block Ahead:\n    dim D\n    index u of t where u < len(t) - 1\n    in x : [t, D]\n    out y : [t, D] = 2 * x\n"
        "    n : [u, D] = y[t = u + 1]\n    loss e : [] = mean(sum(n^2, over = D), over = u)\n"
    )
    ahead = layer(text, "Ahead", D=3)
    x = torch.randn(2, 4, 3, dtype=F64)
    near(ahead.step(x[:, 0], None)[0], 2 * x[:, 0])


BLOCKS = (
    "cell Blocks over t:\n    dim D, B = 2\n    index b of t where b * B <= t\n    index s of t where s <= t\n    in x : [D]\n"
    "    state m : [b, D] init 0\n    own : [b] of bool = b == floor(t / B)\n    m = where(own, m[t-1] + x / B, m[t-1])\n"
    "    w : [b] = softmax(dot(m, x, over = D), over = b)\n    v : [s, D] = m[b = floor(s / B)]\n"
    "    out y : [D] = dot(w, m, over = b) + sum(v * x[s], over = s)\n"
)


def blocks(x: Tensor, size: int) -> Tensor:
    """The same for one sequence [time, D], written as it reads."""
    rows = []
    for t in range(len(x)):
        means = torch.stack([x[i : min(i + size, t + 1)].sum(0) / size for i in range(0, t + 1, size)])
        w = torch.softmax(means @ x[t], 0)
        rows.append(w @ means + sum(means[s // size] * x[s] for s in range(t + 1)))
    return torch.stack(rows)


def test_a_relation_in_blocks_steps_and_starts_anew() -> None:
    layer_ = layer(BLOCKS, "Blocks", D=3)
    x = torch.randn(2, 7, 3, dtype=F64)
    wanted = torch.stack([blocks(row, 2) for row in x])
    near(layer_(x)[0], wanted)
    state, rows = None, []
    for n in range(7):
        y, state = layer_.step(x[:, n], state)
        rows.append(y)
    near(torch.stack(rows, 1), wanted)
    reset = torch.zeros(2, 7, dtype=torch.bool)
    reset[0, 3] = True
    found, _ = layer_(x, reset=reset)
    near(found[0], torch.cat((blocks(x[0, :3], 2), blocks(x[0, 3:], 2))))
    near(found[1], wanted[1])


# ---- several lengths --------------------------------------------------------------------------------------------------

FRAMES = (
    "cell Leak over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = 0.5 * h[t-1] + x\n    out h\n\n"
    "block Frames:\n    dim D, J = 2\n    index m\n    in x : [t, D]\n    f : [m, J, D] = split(x, t = [m, J])\n"
    "    g : [m, D] = sum(f, over = J)\n    h : [m, D] = Leak(g)\n    out y : [D] = mean(h, over = m)\n"
)


def test_frames_past_the_end_are_no_frames() -> None:
    frames = layer(FRAMES, "Frames", D=3)
    x = torch.randn(2, 6, 3, dtype=F64)
    found, _ = frames(x, lengths=torch.tensor([2, 6]))
    for row, length in enumerate((2, 6)):
        near(found[row : row + 1], frames(x[row : row + 1, :length])[0])
    with pytest.raises(ValueError, match="lengths must be multiples of 2"):
        frames(x, lengths=torch.tensor([3, 6]))


def test_a_spectrum_takes_one_length() -> None:
    text = "block Mix:\n    dim D\n    in x : [t, D]\n    out y : [t, D] = re(fft(x, over = t))\n"
    mix = layer(text, "Mix", D=2)
    x = torch.randn(2, 4, 2, dtype=F64)
    near(mix(x)[0], torch.fft.fft(x, dim=1, norm="ortho").real)
    near(mix(x, lengths=torch.tensor([4, 4]))[0], mix(x)[0])
    with pytest.raises(ValueError, match="fft over t"):
        mix(x, lengths=torch.tensor([4, 3]))


def test_derivatives_behind_the_end_of_an_empty_sequence_are_finite() -> None:
    text = (
        "cell Share over t:\n    dim D\n    index s of t where s <= t\n    in x : [D]\n    e : [s] = exp(dot(x, x[s], over = D))\n"
        "    out y : [D] = dot(e / sum(e, over = s), x[s], over = s)\n"
    )
    share = layer(text, "Share", D=2)
    x = torch.randn(2, 4, 2, dtype=F64, requires_grad=True)
    y, _ = share(x, lengths=torch.tensor([0, 3]))
    (g,) = torch.autograd.grad(y.sum(), x)
    assert bool(torch.isfinite(g).all()) and float(g[0].abs().max()) == 0 and float(g[1, 3:].abs().max()) == 0


def test_a_row_of_nothing_but_minus_infinity_has_a_finite_derivative() -> None:
    text = (
        "block Late:\n    dim D\n    index u of t\n    in x : [t, D]\n"
        "    e : [t, u] = where(u + 1 <= t, dot(x, x[t = u], over = D), -inf)\n"
        "    out y : [t, D] = dot(softmax(e, over = u), x[t = u], over = u)\n"
    )
    late = layer(text, "Late", D=2)
    x = torch.randn(1, 4, 2, dtype=F64, requires_grad=True)
    y, _ = late(x)
    assert float(y[0, 0].detach().abs().max()) == 0
    assert bool(torch.isfinite(torch.autograd.grad(y.sum(), x)[0]).all())


# ---- losses -----------------------------------------------------------------------------------------------------------


def test_an_optional_input_that_only_a_loss_reads_has_its_default_there() -> None:
    text = "block B:\n    dim D\n    in x : [t, D]\n    in beta : [] = 3\n    out y : [t, D] = 2 * x\n"
    text += "    loss e : [] = beta * mean(sum(y^2, over = D), over = t)\n"
    b = layer(text, "B", D=2)
    x = torch.randn(2, 3, 2, dtype=F64)
    near(b.loss(x).e, 3 * b.loss(x, beta=torch.ones(2, dtype=F64)).e)


def test_a_loss_may_call_a_cell_that_has_inputs_for_the_whole_run_only() -> None:
    text = (
        "cell Fall over t:\n    dim D\n    in h0 : [D] once\n    state h : [D] init h0\n    h = 0.5 * h[t-1]\n    out h\n\n"
        "model M:\n    dim D, T = 3\n    index t in 0..T-1\n    in h0 : [D]\n    f = Fall(h0, along = t)\n"
        "    loss e : [] = sum(f.h, over = [t, D])\n"
    )
    m = layer(text, "M", D=2)
    h0 = torch.rand(2, 2, dtype=F64)
    near(m.loss(h0).e, (0.5 + 0.25 + 0.125) * h0.sum(1).mean())


def test_a_cell_with_a_bound_parameter_still_finds_the_cells_it_calls() -> None:
    text = (
        "cell Leak over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = 0.5 * h[t-1] + x\n    out h\n\n"
        "cell Outer over t:\n    dim D\n    param w : [D] init 1\n    in x : [D]\n    in y : [D] init 0 = 0.1 * z\n"
        "    out z : [D] = Leak(w * (x + y[t-1]))\n\n"
        "block B:\n    dim D\n    in x : [t, D]\n    param v : [D] init 2\n    out y : [t, D] = Outer(x, w = v)\n"
    )
    b = layer(text, "B", D=2)
    x = torch.randn(1, 4, 2, dtype=F64)
    h, z = torch.zeros(1, 2, dtype=F64), torch.zeros(1, 2, dtype=F64)
    found, _ = b(x)
    for n in range(4):
        h = 0.5 * h + 2 * (x[:, n] + 0.1 * z)
        z = h
        near(found[:, n], z)

"""Each recurrence of the suite as a careful user writes it, once, for torch and for JAX.

A `ByHand` says what is made of the parameters once (`ready`), what is computed over all steps at once (`before`: gates, input
projections), the start of the state, and one step.
`loops` makes a torch loop (`unbind` before, `stack` after) and a `lax.scan` of it. Written from the papers' equations and not
from what the compiler makes of the specs, so that a comparison compares.

x: inputs by name, [batch, time, ...] in `before`, [batch, ...] in `start`;  p: parameters by the names the layer has.
`m` is a namespace of functions, torch's or JAX's (see `mathematics`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

Named = Mapping[str, Any]
State = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ByHand:
    """`before(m, x, p)` gives what the steps read, [batch, time, ...] each; `step(m, state, now, p)` the new state and the out.

    What `ready(m, p)` returns is among the parameters everywhere else.
    """

    before: Callable[[Any, Named, Named], State]
    start: Callable[[Any, Named, Named], State]
    step: Callable[[Any, State, State, Named], tuple[State, Any]]
    ready: Callable[[Any, Named], Named] = lambda m, p: {}

    def over_time(self, m: Any, x: Named, p: Named) -> tuple[State, State, Named]:
        """What the steps read, the start of the state, and the parameters for the steps."""
        p = {**p, **self.ready(m, p)}
        return self.before(m, x, p), self.start(m, x, p), p


def mathematics(library: str) -> SimpleNamespace:
    """The functions that the steps use. Raises ImportError where JAX is not there."""
    if library == "torch":
        import torch
        from torch.nn import functional

        return SimpleNamespace(
            exp=torch.exp, sqrt=torch.sqrt, expm1=torch.expm1, tanh=torch.tanh, sigmoid=torch.sigmoid, maximum=torch.maximum,
            relu=torch.relu, softplus=functional.softplus, silu=functional.silu, logsigmoid=functional.logsigmoid,
            softmax=lambda x: torch.softmax(x, -1), clip=torch.clamp, stop=lambda x: x.detach(), cat=torch.cat, stack=torch.stack,
            parts=lambda x, n: x.chunk(n, -1), full=lambda like, shape, value: like.new_full(shape, value), einsum=torch.einsum,
            cis=lambda angle: torch.polar(torch.ones_like(angle), angle), where=torch.where, eye=torch.eye,
        )  # fmt: skip
    import jax
    import jax.numpy as jnp

    return SimpleNamespace(
        exp=jnp.exp, sqrt=jnp.sqrt, expm1=jnp.expm1, tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, maximum=jnp.maximum,
        relu=jax.nn.relu, softplus=jax.nn.softplus, silu=jax.nn.silu, logsigmoid=jax.nn.log_sigmoid,
        softmax=lambda x: jax.nn.softmax(x, -1), clip=jnp.clip, stop=jax.lax.stop_gradient, cat=jnp.concatenate, stack=jnp.stack,
        parts=lambda x, n: jnp.split(x, n, -1), full=lambda like, shape, value: jnp.full(shape, value, like.dtype),
        einsum=jnp.einsum, cis=lambda angle: jnp.exp(1j * angle), where=jnp.where, eye=jnp.eye,
    )  # fmt: skip


def _zero(name: str, count: int = 1, value: float = 0.0) -> Callable[[Any, Named, Named], State]:
    """Starts of the shape of one step of the input `name`."""

    def start(m: Any, x: Named, p: Named) -> State:
        like = x[name]
        return tuple(m.full(like, (like.shape[0], *like.shape[2:]), value) for _ in range(count))

    return start


def _affine(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    a, b = now
    h = a * state[0] + b
    return (h,), h


# ---- diagonal scans ---------------------------------------------------------------------------------------------------


def _mingru(m: Any, x: Named, p: Named) -> State:
    s = m.sigmoid(x["z"])
    return 1 - s, s * x["g"]


def _minlstm(m: Any, x: Named, p: Named) -> State:
    f = m.sigmoid(m.softplus(-x["zi"]) - m.softplus(-x["zf"]))
    return f, (1 - f) * x["g"]


def _typed(m: Any, x: Named, p: Named) -> State:
    s = m.sigmoid(x["z"]) ** p["p"]
    return 1 - s, s * m.clip(x["g"], -1, 1)


def _hgrn(m: Any, x: Named, p: Named) -> State:
    a = x["low"][:, None] + (1 - x["low"][:, None]) * m.sigmoid(x["f"])
    return a, (1 - a) * m.silu(x["i"])


def _rglru(m: Any, x: Named, p: Named) -> State:
    g = -8 * m.sigmoid(x["r"]) * m.softplus(p["lam"])
    return m.exp(g), m.sqrt(-m.expm1(2 * g)) * m.sigmoid(x["i"]) * x["u"]


def _lru_ready(m: Any, p: Named) -> Named:
    size = m.exp(-m.exp(p["nu"]))
    return {"a": size * m.cis(m.exp(p["theta"])), "scale": m.sqrt(1 - size * size)}


def _lru(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    x = p["a"] * state[0] + now[0]
    return (x,), x


# ---- not linear in the state ------------------------------------------------------------------------------------------


def _indrnn(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    h = m.relu(now[0] + p["u"] * state[0])
    return (h,), h


def _paragru(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (h,), (xz, xr, xn) = state, now
    z = m.sigmoid(p["az"] * h + xz)
    r = m.sigmoid(p["ar"] * h + xr)
    n = m.tanh(p["an"] * h * r + xn)
    h = (1 - z) * h + z * n
    return (h,), h


def _paralstm(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (c, h), (xf, xz, xo) = state, now
    f = m.sigmoid(p["af"] * h + p["pf"] * c + xf)
    c = f * c + (1 - f) * m.tanh(p["az"] * h + xz)
    h = m.sigmoid(p["ao"] * h + p["po"] * c + xo) * m.tanh(c)
    return (c, h), h


def _lif(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    v = 0.5 * state[0] + now[0]
    soft = m.sigmoid(4 * (v - 1))
    s = m.where(v >= 1, 1.0, 0.0) + (soft - m.stop(soft))
    return (v - m.stop(s),), s


# ---- cascades ---------------------------------------------------------------------------------------------------------


def _aaren_start(m: Any, x: Named, p: Named) -> State:
    s, v = x["s"], x["v"]
    heads = (s.shape[0], s.shape[2])
    return m.full(s, heads, -float("inf")), m.full(s, heads, 0.0), m.full(s, (*heads, v.shape[3]), 0.0)


def _aaren(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (top, u, w), (s, v) = state, now
    new = m.maximum(top, s)
    keep, write = m.exp(top - new), m.exp(s - new)
    u = u * keep + write
    w = w * keep[..., None] + write[..., None] * v
    return (new, u, w), w / u[..., None]


def _rwkv4_start(m: Any, x: Named, p: Named) -> State:
    k = x["k"]
    shape = (k.shape[0], *k.shape[2:])
    return m.full(k, shape, -float("inf")), m.full(k, shape, 0.0), m.full(k, shape, 0.0)


def _rwkv4(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (top, a, b), (k, v) = state, now
    with_bonus = p["u"] + k
    here = m.maximum(top, with_bonus)
    keep, write = m.exp(top - here), m.exp(with_bonus - here)
    y = (keep * a + write * v) / (keep * b + write)
    faded = top - p["w"]
    new = m.maximum(faded, k)
    keep, write = m.exp(faded - new), m.exp(k - new)
    return (new, keep * a + write * v, keep * b + write), y


# ---- selective scan ---------------------------------------------------------------------------------------------------


def _s6(m: Any, x: Named, p: Named) -> State:
    step = m.softplus(x["dt"])
    return step, step * x["u"], x["B"], x["C"], p["skip"] * x["u"], m.silu(x["z"])


def _s6_start(m: Any, x: Named, p: Named) -> State:
    return (m.full(x["u"], (x["u"].shape[0], *p["A_log"].shape), 0.0),)


def _s6_step(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (S,), (step, u, B, C, skip, gate) = state, now
    S = m.exp(step[..., None] * p["A"]) * S + u[..., None] * B[:, None]
    return (S,), (m.einsum("bdn,bn->bd", S, C) + skip) * gate


# ---- dense ------------------------------------------------------------------------------------------------------------


def _projected(names: tuple[str, ...], weight: str = ".linear.x") -> Callable[[Any, Named, Named], State]:
    """The input's part of all gates as one product."""

    def before(m: Any, x: Named, p: Named) -> State:
        w = m.cat([p[n + weight] for n in names])
        return (x["x"] @ w.T + m.cat([p[n + ".linear.bias"] for n in names]),)

    return before


def _back(*names: str) -> Callable[[Any, Named], Named]:
    """The recurrent weights of all gates as one matrix."""
    return lambda m, p: {"back": m.cat([p[n + ".linear.h"] for n in names]).T}


def _units(weight: str, count: int) -> Callable[[Any, Named, Named], State]:
    """States as wide as a parameter has rows."""

    def start(m: Any, x: Named, p: Named) -> State:
        return tuple(m.full(x["x"], (x["x"].shape[0], p[weight].shape[0]), 0.0) for _ in range(count))

    return start


def _lstm(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    c, h = state
    i, f, o, g = m.parts(now[0] + h @ p["back"], 4)
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    h = m.sigmoid(o) * m.tanh(c)
    return (c, h), h


def _gru(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (h,) = state
    xr, xz, xn = m.parts(now[0], 3)
    r, z, back = m.parts(h @ p["back"], 3)
    n = m.tanh(xn + m.sigmoid(xr + r) * (back + p["back.linear.bias"]))
    z = m.sigmoid(xz + z)
    h = (1 - z) * n + z * h
    return (h,), h


def _rnn(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    h = m.tanh(now[0] + state[0] @ p["back"])
    return (h,), h


def _peephole(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    c, h = state
    i, f, g, o = m.parts(now[0] + h @ p["back"], 4)
    i, f = m.sigmoid(i + p["p_i"] * c), m.sigmoid(f + p["p_f"] * c)
    c = f * c + i * m.tanh(g)
    h = m.sigmoid(o + p["p_o"] * c) * m.tanh(c)
    return (c, h), h


def _slstm_before(m: Any, x: Named, p: Named) -> State:
    w = m.stack([p[n + ".linear.x"] for n in "ifzo"])
    return (m.einsum("btd,ghkd->btghk", x["x"], w) + m.stack([p[n + ".linear.bias"] for n in "ifzo"]),)


def _slstm_start(m: Any, x: Named, p: Named) -> State:
    shape = (x["x"].shape[0], *p["i.linear.bias"].shape)
    zero = m.full(x["x"], shape, 0.0)
    return zero, zero, zero, m.full(x["x"], shape, -float("inf"))


def _slstm(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    h, c, n, top = state
    i, f, z, o = now[0].swapaxes(0, 1) + m.einsum("bhk,ghjk->gbhj", h, p["back"])
    f = m.logsigmoid(f) + top
    new = m.maximum(f, i)
    keep, write = m.exp(f - new), m.exp(i - new)
    c, n = keep * c + write * m.tanh(z), keep * n + write
    h = m.sigmoid(o) * c / n
    return (h, c, n, new), h.reshape(h.shape[0], -1)


def _leaky_start(m: Any, x: Named, p: Named) -> State:
    return (x["r0"],)


def _leaky_ready(m: Any, p: Named) -> Named:
    tau = m.clip(p["raw"], 1, None)
    return {"tau": tau, "keep": 1 - 1 / tau, "back": (p["W"] * (1 - m.eye(p["W"].shape[0]))).T}


def _leaky(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    (r,) = state
    z = p["keep"] * r + (r @ p["back"] + p["b"] + now[0]) / p["tau"]
    r = m.maximum(z, 0.01 * z)
    return (r,), r


def _jordan(m: Any, state: State, now: State, p: Named) -> tuple[State, Any]:
    h = m.sigmoid(now[0] + state[0] @ p["h.linear.y"].T)
    y = m.softmax(h @ p["p.linear.h"].T + p["p.linear.bias"])
    return (y,), y


BY_HAND: dict[str, ByHand] = {
    "Scan": ByHand(lambda m, x, p: (x["a"], x["b"]), _zero("b"), _affine),
    "MinGRU": ByHand(_mingru, _zero("z"), _affine),
    "MinLSTM": ByHand(_minlstm, _zero("g"), _affine),
    "Typed": ByHand(_typed, _zero("z"), _affine),
    "HGRN": ByHand(_hgrn, _zero("f"), _affine),
    "RGLRU": ByHand(_rglru, _zero("u"), _affine),
    "LRU": ByHand(lambda m, x, p: (p["scale"] * x["u"],), _zero("u"), _lru, _lru_ready),
    "IndRNN": ByHand(lambda m, x, p: (x["x"],), _zero("x"), _indrnn),
    "ParaGRU": ByHand(lambda m, x, p: (x["xz"], x["xr"], x["xn"]), _zero("xz"), _paragru),
    "ParaLSTM": ByHand(lambda m, x, p: (x["xf"], x["xz"], x["xo"]), _zero("xf", 2), _paralstm),
    "LIF": ByHand(lambda m, x, p: (x["x"],), _zero("x"), _lif),
    "Aaren": ByHand(lambda m, x, p: (x["s"], x["v"]), _aaren_start, _aaren),
    "RWKV4": ByHand(lambda m, x, p: (x["k"], x["v"]), _rwkv4_start, _rwkv4),
    "S6": ByHand(_s6, _s6_start, _s6_step, lambda m, p: {"A": -m.exp(p["A_log"])}),
    "LSTM": ByHand(_projected(("i", "f", "o", "g")), _units("i.linear.h", 2), _lstm, _back("i", "f", "o", "g")),
    "GRU": ByHand(_projected(("r", "z", "n")), _units("r.linear.h", 1), _gru, _back("r", "z", "back")),
    "RNN": ByHand(_projected(("h",)), _units("h.linear.h", 1), _rnn, _back("h")),
    "LSTMPeephole": ByHand(_projected(("i", "f", "g", "o")), _units("i.linear.h", 2), _peephole, _back("i", "f", "g", "o")),
    "SLSTM": ByHand(_slstm_before, _slstm_start, _slstm, lambda m, p: {"back": m.stack([p[n + ".linear.h"] for n in "ifzo"])}),
    "LeakyRNN": ByHand(_projected(("r",)), _leaky_start, _leaky, _leaky_ready),
    "Jordan": ByHand(_projected(("h",)), _units("p.linear.h", 1), _jordan),
}
"""Body → how one writes it."""

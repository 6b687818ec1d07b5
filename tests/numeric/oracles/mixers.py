"""Layers of the linear-attention, delta-rule and attention family, put together around someone else's recurrence.

In:   our parameters under their `state_dict` names and the layer's input, `[B, T, D]`.
Out:  for each layer a `Mixer`: `front` works out queries, keys, values and gates with plain torch functions; `read` hands them
      to the other implementation (`oracles/recurrences.py`) and gives the read-out and the states after the last step;
      `back` is gate, norm and projection. Values are time first: `[B, T, H, K]`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from numeric.oracles import recurrences as other
from numeric.oracles.common import Values

Front = Callable[[Values, Tensor], Values]
Read = Callable[[Values, Values], Values]
Back = Callable[[Values, Values], Tensor]


@dataclass(frozen=True)
class Mixer:
    """A layer in three parts; `read(values, start)` gives `y` and `state.NAME`, `back(p, values)` finds `y` in `values`."""

    front: Front
    read: Read
    back: Back

    def __call__(self, p: Values, given: Values) -> Values:
        """The layer's output and final states, as `common.Case.oracle` wants them."""
        start = {n.removeprefix("state."): v for n, v in given.items() if n.startswith("state.")}
        extra = {n: v for n, v in given.items() if n not in ("x", "u") and not n.startswith("state.")}
        values = self.front(p, given["x"] if "x" in given else given["u"]) | extra
        result = self.read(values, start)
        y = self.back(p, values | {"y": result["y"]})
        return {"y": y} | {n: v for n, v in result.items() if n.startswith("state.")}


# ---- layers, by hand --------------------------------------------------------------------------------------------------


def linear(p: Values, name: str, z: Tensor, mixed: int = 1) -> Tensor:
    """`z` through the map `name` (its last `mixed` axes are summed), plus the bias where there is one."""
    weight = p[name]
    out = torch.tensordot(z, weight, dims=(list(range(-mixed, 0)), list(range(weight.ndim - mixed, weight.ndim))))
    bias = p.get(name.rsplit(".", 1)[0] + ".bias")
    return out if bias is None else out + bias


def lowrank(p: Values, name: str, z: Tensor) -> Tensor:
    """A linear map through a narrow middle, plus the bias of the second half."""
    middle = z @ p[f"{name}.lowrank.down"].T
    return torch.tensordot(middle, p[f"{name}.lowrank.up"], dims=([-1], [-1])) + p[f"{name}.lowrank.bias"]


def short(p: Values, name: str, z: Tensor) -> Tensor:
    """Linear map, causal depthwise convolution of width 4, SiLU."""
    z = linear(p, f"{name}.linear.{'x' if f'{name}.linear.x' in p else 'u'}", z)
    weight, bias = p[f"{name}.conv.arg"], p.get(f"{name}.conv.bias")
    flat = z.flatten(2).transpose(1, 2)
    bias = None if bias is None else bias.flatten()
    out = F.conv1d(F.pad(flat, (3, 0)), weight.reshape(-1, 1, 4), bias, groups=flat.shape[1])
    return F.silu(out.transpose(1, 2).reshape(z.shape))


def unit(z: Tensor) -> Tensor:
    """Length 1 along the last axis."""
    return z / z.square().sum(-1, keepdim=True).sqrt()


def shift(x: Tensor) -> Tensor:
    """The step before, 0 before the first, less this step."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1] - x


def rms(p: Values, name: str, z: Tensor, axes: int = 1) -> Tensor:
    """Root-mean-square norm over the last axes, with gain."""
    return z * (z.square().mean(list(range(-axes, 0)), keepdim=True) + 1e-5).rsqrt() * p[f"{name}.gain"]


def group(p: Values, name: str, z: Tensor, eps: float) -> Tensor:
    """Layer norm inside each head with gain and bias for each channel."""
    return F.layer_norm(z, z.shape[-1:], eps=eps) * p[f"{name}.gain"] + p[f"{name}.bias"]


def plain(p: Values, names: str, x: Tensor) -> Values:
    """Names that are just `linear(x)`."""
    return {n: linear(p, f"{n}.linear.x", x) for n in names.split()}


def conved(p: Values, x: Tensor) -> Values:
    """Queries and keys of length 1 and values, all through short convolutions."""
    return {"q": unit(short(p, "q", x)), "k": unit(short(p, "k", x)), "v": short(p, "v", x)}


# ---- fronts -----------------------------------------------------------------------------------------------------------


def front_linear(p: Values, x: Tensor) -> Values:
    z = plain(p, "q k v", x)
    return {"q": F.elu(z["q"]) + 1, "k": F.elu(z["k"]) + 1, "v": z["v"]}


def front_based(p: Values, x: Tensor) -> Values:
    return {**plain(p, "v", x), "q_raw": linear(p, "q.linear.x", x), "k_raw": linear(p, "k.linear.x", x)}


def front_retnet(p: Values, x: Tensor) -> Values:
    z = plain(p, "q k v o", x)

    def turned(u: Tensor) -> Tensor:
        c = u.shape[-1] // 2
        theta = 1.0 / 10000 ** torch.linspace(0, 1, c, dtype=u.dtype)
        turn = torch.polar(torch.ones(1, dtype=u.dtype), torch.arange(u.shape[1], dtype=u.dtype)[:, None] * theta)
        return torch.view_as_real(torch.view_as_complex(u.unflatten(-1, (c, 2))) * turn[:, None]).flatten(-2)

    k = turned(z["k"]) * z["k"].shape[-1] ** -0.5
    return {"q": turned(z["q"]), "k": k, "v": z["v"], "o": F.silu(z["o"])}


def front_gated(low: bool) -> Front:
    def front(p: Values, x: Tensor) -> Values:
        z = plain(p, "q k v o", x)
        g = lowrank(p, "g", x) if low else linear(p, "g.linear.x", x)
        return {**z, "g": F.logsigmoid(g) / 16, "o": F.silu(z["o"])}

    return front


def front_hgrn2(p: Values, x: Tensor) -> Values:
    z = plain(p, "q k v", x)
    return {"q": F.silu(z["q"]), "raw": z["k"], "v": z["v"]}


def front_mamba2(p: Values, u: Tensor) -> Values:
    dt = F.softplus(linear(p, "dt.linear.u", u))
    z = {n: short(p, n, u) for n in ("x", "B", "C")}
    return {**z, "dt": dt, "g": -p["A_log"].exp() * dt, "z": F.silu(linear(p, "z.linear.u", u)), "skip": p["skip"]}


def front_rwkv6(p: Values, x: Tensor) -> Values:
    d = shift(x)
    low = torch.tanh(linear(p, "l.linear.arg", x + d * p["mu"]))
    mix = torch.einsum("btpr,pdr->btpd", low, p["m.linear.l"]) + p["m.linear.bias"]
    w, k, v, r, o = (x[:, :, None] + d[:, :, None] * mix).unbind(2)
    f = torch.tanh(linear(p, "f.linear.m", w))
    z = {"k": linear(p, "k.linear.m", k), "v": linear(p, "v.linear.m", v), "r": linear(p, "r.linear.m", r)}
    return {**z, "g": -linear(p, "g.linear.f", f).exp(), "o": F.silu(linear(p, "o.linear.m", o)), "u": p["u"]}


def front_rwkv7(p: Values, x: Tensor) -> Values:
    d = shift(x)
    r, w, k, v, a, o = (x + d * p[f"mu_{n}"] for n in "rwkvao")
    f = torch.tanh(linear(p, "f.linear.arg", w))
    rate = torch.sigmoid(lowrank(p, "a", a))
    key = linear(p, "k0.linear.arg", k)
    return {
        "r": linear(p, "r.linear.arg", r),
        "g": -(math.exp(-0.5) * torch.sigmoid(linear(p, "g.linear.f", f))),
        "a": rate,
        "n": unit(key * p["kk"]),
        "k": key * (1 + (rate - 1) * p["ka"]),
        "v0": linear(p, "v0.linear.xv", v),
        "c": torch.sigmoid(lowrank(p, "c", v)),
        "o": linear(p, "o.linear.e", torch.sigmoid(linear(p, "e.linear.arg", o))),
    }


def front_mlstm(p: Values, x: Tensor) -> Values:
    z = plain(p, "q k v i f o", x)
    return {**z, "k": z["k"] * z["k"].shape[-1] ** -0.5, "f": F.logsigmoid(z["f"]), "o": torch.sigmoid(z["o"])}


def front_delta(p: Values, x: Tensor) -> Values:
    return {**conved(p, x), "b": torch.sigmoid(linear(p, "b.linear.x", x))}


def front_gated_delta(p: Values, x: Tensor) -> Values:
    dt = F.softplus(linear(p, "dt.linear.x", x))
    return {**front_delta(p, x), "g": -p["A_log"].exp() * dt, "o": F.silu(linear(p, "o.linear.x", x))}


def front_kda(p: Values, x: Tensor) -> Values:
    dt = F.softplus(lowrank(p, "dt", x))
    return {**front_delta(p, x), "g": -p["A_log"].exp()[:, None] * dt, "o": torch.sigmoid(lowrank(p, "o", x))}


def front_memory(p: Values, x: Tensor) -> Values:
    gates = {n: torch.sigmoid(linear(p, f"{n}.linear.x", x)) for n in ("lr", "mom", "forget", "o")}
    return {**conved(p, x), **gates}


def front_attention(p: Values, x: Tensor) -> Values:
    return plain(p, "q k v", x)


def front_pooled(p: Values, x: Tensor) -> Values:
    q = linear(p, "q.linear.token", p["token"]) * p["q.linear.token"].shape[1] ** -0.5
    return {"q": q, **plain(p, "k v", x)}


# ---- backs ------------------------------------------------------------------------------------------------------------


def back_plain(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.y", z["y"], 2)


def back_pooled(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", z["y"], 2)


def back_retnet(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", z["o"] * F.layer_norm(z["y"], z["y"].shape[-1:], eps=1e-5), 2)


def back_rms(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", rms(p, "r.rmsnorm", z["y"]) * z.get("o", 1.0), 2)


def back_rms_all(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", rms(p, "r.rmsnorm", z["y"], 2), 2)


def back_mamba2(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", rms(p, "r.rmsnorm", z["y"] * z["z"], 3), 3)


def back_rwkv6(p: Values, z: Values) -> Tensor:
    return linear(p, "z.linear.arg", group(p, "z.groupnorm", z["y"], 6.4e-4) * z["o"], 2)


def back_rwkv7(p: Values, z: Values) -> Tensor:
    v = other.residual_value(z)
    bonus = (z["r"] * z["k"] * p["rk"]).sum(-1, keepdim=True) * v
    return linear(p, "s.linear.arg", (group(p, "z.groupnorm", z["y"], 6.4e-4) + bonus) * z["o"], 2)


def back_mlstm(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", z["o"] * group(p, "r.groupnorm", z["y"], 1e-6), 2)


def back_memory(p: Values, z: Values) -> Tensor:
    return linear(p, "r.linear.arg", rms(p, "r.rmsnorm", z["y"]) * z["o"])


MIXERS: dict[str, Mixer] = {
    "linear_attention": Mixer(front_linear, other.linear_attention, back_plain),
    "based": Mixer(front_based, other.based, back_plain),
    "retnet": Mixer(front_retnet, other.retention, back_retnet),
    "retnet_as_simple_gla": Mixer(front_retnet, other.retention_with_state, back_retnet),
    "simple_gla": Mixer(front_gated(low=False), other.simple_gla, back_rms),
    "gla": Mixer(front_gated(low=True), other.gla, back_rms),
    "hgrn2": Mixer(front_hgrn2, other.hgrn2, back_rms_all),
    "mamba2": Mixer(front_mamba2, other.mamba2, back_mamba2),
    "rwkv6": Mixer(front_rwkv6, other.rwkv6, back_rwkv6),
    "mlstm": Mixer(front_mlstm, other.mlstm, back_mlstm),
    "deltanet": Mixer(front_delta, other.delta_rule, back_rms),
    "gated_deltanet": Mixer(front_gated_delta, other.gated_delta_rule, back_rms),
    "kda": Mixer(front_kda, other.kda, back_rms),
    "rwkv7": Mixer(front_rwkv7, other.rwkv7, back_rwkv7),
    "online_memory": Mixer(front_memory, other.titans, back_memory),
    "online_memory_by_grad": Mixer(front_memory, other.memory_by_grad, back_memory),
    "attention": Mixer(front_attention, other.attention, back_plain),
    "window_attention": Mixer(front_attention, other.window_attention, back_plain),
    "softmax_sum": Mixer(front_pooled, other.pooled_attention, back_pooled),
}

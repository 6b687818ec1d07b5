"""The recurrences of others, one function each: flash-linear-attention's naive functions, transformers, titans-pytorch, torch.

In:   `z`, the named values of a layer, time first (`q: [B, T, H, K]`, gates `[B, T, H]` …), and `start`, the states before
      the first step, `[B, H, K, V]` (a missing one is 0).
Out:  `y`, the read-out at each step, and `state.NAME` after the last one, where the other implementation gives it.
Each function says what differs: layout, where a scale stands, the order of arguments. Those that go down to float32 inside
are run in float64 (`common.double`).
"""

import importlib
import importlib.util
import sys
from functools import cache
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from numeric.oracles.common import Values, double


@cache
def fla(path: str) -> ModuleType:
    """One file of flash-linear-attention, loaded alone: the package itself imports kernels that need a GPU."""
    pytest.importorskip("einops", reason="einops is not installed")
    package = importlib.util.find_spec("fla")
    if package is None or not package.submodule_search_locations:
        pytest.skip("fla-core is not installed")
    name = "numeric_oracle_fla_" + path.replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, f"{list(package.submodule_search_locations)[0]}/ops/{path}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def heads_first(*tensors: Tensor) -> list[Tensor]:
    """[B, T, H, …] to [B, H, T, …] and back."""
    return [z.transpose(1, 2) for z in tensors]


def zeros(z: Values, *sizes: int) -> Tensor:
    """A state of zeros for the batch of `z`."""
    v = next(iter(z.values()))
    return torch.zeros(v.shape[0], *sizes, dtype=v.dtype)


def matrix_start(z: Values, start: Values, key: str = "k") -> Tensor:
    """The given start of `S`, or zeros [B, H, K, V]."""
    return start.get("S", zeros(z, z["v"].shape[2], z[key].shape[-1], z["v"].shape[-1]))


def linear_attention(z: Values, start: Values) -> Values:
    """Without its own normaliser, whose epsilon is 1e-10: the sum of keys is its read-out for a value of 1."""
    m = fla("linear_attn/naive")
    with double(m):
        run = m.naive_recurrent_linear_attn
        top, S = run(z["q"], z["k"], z["v"], 1.0, matrix_start(z, start), True)
        one, zero = torch.ones_like(z["k"][..., :1]), zeros(z, *z["k"].shape[2:])
        low, n = run(z["q"], z["k"], one, 1.0, start.get("z", zero)[..., None], True)
    return {"y": top / (low + 1e-6), "state.S": S, "state.z": n[..., 0]}


def taylor(u: Tensor) -> Tensor:
    """The feature map of Based, written out."""
    k = u.shape[-1]
    pairs = torch.einsum("...i,...j->...ij", u, u).flatten(-2)
    return torch.cat([torch.ones_like(u[..., :1]), u / k**0.25, pairs / (2 * k) ** 0.5], -1)


def based(z: Values, start: Values) -> Values:
    """Without its own normaliser, whose epsilon is 1e-6; it knows no feature map, only the polynomial of the scores."""
    m = fla("based/naive")
    raw = {n: z[f"{n}_raw"] if f"{n}_raw" in z else z[n][..., 1:][..., : width(z[n])] * width(z[n]) ** 0.25 for n in "qk"}
    q, k, v = heads_first(raw["q"], raw["k"], z["v"])
    top, low = (m.naive_parallel_based(q, k, w, use_norm=False) for w in (v, torch.ones_like(v[..., :1])))
    phi = taylor(raw["k"])
    states = {"state.S": torch.einsum("bthf,bthv->bhfv", phi, z["v"]), "state.z": phi.sum(1)}
    return {"y": heads_first(top / (low + 1e-12))[0], **states}


def width(phi: Tensor) -> int:
    """K of 1 + K + K * K features."""
    return round((phi.shape[-1] - 0.75) ** 0.5 - 0.5)


def retention(z: Values, start: Values) -> Values:
    """Heads first; the scale, which stands in our keys, is in its queries; no state."""
    assert not start
    m = fla("retention/naive")
    q, k, v = heads_first(z["q"] * z["q"].shape[-1] ** 0.5, z["k"], z["v"])
    with double(m):
        return {"y": heads_first(m.naive_retention(q, k, v))[0]}


def retention_with_state(z: Values, start: Values) -> Values:
    """Retention as simple gated linear attention with a constant gate, for the state."""
    h = z["k"].shape[2]
    gamma = torch.log1p(-(2.0 ** (-5 - torch.arange(h, dtype=z["k"].dtype))))
    return simple_gla({**z, "g": gamma.expand(z["k"].shape[:3])}, start, scale=1.0)


def simple_gla(z: Values, start: Values, scale: float | None = None) -> Values:
    """As ours; the scale is in its queries."""
    m = fla("simple_gla/naive")
    with double(m):
        y, S = m.naive_recurrent_simple_gla(z["q"], z["k"], z["v"], z["g"], scale, matrix_start(z, start))
    return {"y": y, "state.S": S}


def gla(z: Values, start: Values) -> Values:
    """As ours; the scale is in its queries and cannot be left out."""
    m = fla("gla/naive")
    with double(m):
        y, S = m.naive_recurrent_gla(z["q"], z["k"], z["v"], z["g"], matrix_start(z, start), True)
    return {"y": y, "state.S": S}


def hgrn2(z: Values, start: Values) -> Values:
    """Gated linear attention whose key is 1 - f; no scale."""
    if "raw" in z:
        low = z.get("low", torch.zeros(1, dtype=z["v"].dtype)[:, None, None])[:, None]
        f = low + (1 - low) * torch.sigmoid(z["raw"])
    else:
        f = z["f"]
    q = z["q"] * z["q"].shape[-1] ** 0.5
    return gla({"q": q, "k": 1 - f, "v": z["v"], "g": f.log()}, start)


def mamba2(z: Values, start: Values) -> Values:
    """State space duality: simple gated linear attention without scale, B and C repeated for the heads of their group."""
    g, j = z["x"].shape[2:4]
    q, k = (z[n][:, :, :, None].expand(-1, -1, -1, j, -1).flatten(2, 3) for n in "CB")
    v = (z["dt"][..., None] * z["x"]).flatten(2, 3)
    S = {"S": start["S"].flatten(1, 2)} if start else {}
    r = simple_gla({"q": q, "k": k, "v": v, "g": z["g"].flatten(2)}, S, scale=1.0)
    y, S = r["y"].unflatten(2, (g, j)), r["state.S"].unflatten(1, (g, j))
    return {"y": y + z["skip"][..., None] * z["x"] if "skip" in z else y, "state.S": S}


def rwkv6(z: Values, start: Values) -> Values:
    """Heads first; reads before the decay; no scale in the layer."""
    m = fla("rwkv6/recurrent_naive")
    r, k, v, g = heads_first(z["r"], z["k"], z["v"], z["g"])
    with double(m):
        y, S = m.naive_recurrent_rwkv6(r, k, v, g, z["u"], 1.0, matrix_start(z, start), True)
    return {"y": heads_first(y)[0], "state.S": S}


@cache
def transformers_xlstm() -> ModuleType:
    """transformers' xLSTM with its own plain torch functions, also where the package `xlstm` is installed."""
    utils = pytest.importorskip("transformers.utils", reason="transformers is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "is_xlstm_available", lambda: False)
        module: ModuleType = importlib.import_module("transformers.models.xlstm.modeling_xlstm")
    if module.external_xlstm:
        pytest.skip("transformers was loaded with the package xlstm")
    return module


def mlstm(z: Values, start: Values) -> Values:
    """transformers; the scale is in its queries and so not in its states, and its m has an axis of size 1 more."""
    m = transformers_xlstm()
    h, k, v = z["k"].shape[2], z["k"].shape[-1], z["v"].shape[-1]
    scale = k**0.5
    C, n = start.get("C", zeros(z, h, k, v)) * scale, start.get("n", zeros(z, h, k)) * scale
    # it takes the forget gate before the logarithm of the sigmoid: f = log sigmoid(w)
    w = z["f"] - torch.log(-torch.expm1(z["f"]))
    q, key, value, i, w = heads_first(z["q"], z["k"] * scale, z["v"], z["i"], w)
    m0 = start.get("m", zeros(z, h))[..., None]
    y, (C, n, last) = m.mlstm_recurrent_sequence_native(
        q, key, value, i, w, C, n, m0, return_last_states=True, dtype_state=torch.float64
    )
    return {"y": heads_first(y)[0], "state.C": C / scale, "state.n": n / scale, "state.m": last[..., 0]}


def delta_rule(z: Values, start: Values) -> Values:
    """Heads first; the scale is in its queries."""
    m = fla("delta_rule/naive")
    q, k, v, b = heads_first(z["q"], z["k"], z["v"], z["b"])
    with double(m):
        y, S = m.delta_rule_recurrence(q, k, v, b, matrix_start(z, start))
    return {"y": heads_first(y)[0], "state.S": S}


def gated_delta_rule(z: Values, start: Values) -> Values:
    """As ours; b before g (the chunk form takes them the other way round); the scale is in its queries."""
    m = fla("gated_delta_rule/naive")
    with double(m):
        y, S = m.naive_recurrent_gated_delta_rule(
            z["q"], z["k"], z["v"], z["b"], z["g"], None, matrix_start(z, start), output_final_state=True
        )
    return {"y": y, "state.S": S}


def kda(z: Values, start: Values) -> Values:
    """As ours; g before b; the scale is in its queries."""
    m = fla("kda/naive")
    with double(m):
        y, S = m.naive_recurrent_kda(z["q"], z["k"], z["v"], z["g"], z["b"], None, matrix_start(z, start), True)
    return {"y": y, "state.S": S}


def residual_value(z: Values) -> Tensor:
    """RWKV-7's value: its own, or on the way to the first layer's."""
    return z["v"] if "v" in z else z["v0"] + (z.get("first", z["v0"]) - z["v0"]) * z["c"]


def rwkv7(z: Values, start: Values) -> Values:
    """Diagonal plus low rank (DPLR), heads first, reads the undecayed state; its scale is taken out again."""
    m = fla("generalized_delta_rule/dplr/naive")
    z = {**z, "v": residual_value(z)}
    q = z["r"] * z["r"].shape[-1] ** 0.5
    q, k, v, alpha, beta, g = heads_first(q, z["k"], z["v"], -z["n"], z["n"] * z["a"], z["g"])
    with double(m):
        y, S = m.dplr_recurrence(q, k, v, alpha, beta, g, matrix_start(z, start))
    return {"y": heads_first(y)[0], "state.S": S}


def titans(z: Values, start: Values) -> Values:
    """titans-pytorch's NeuralMemory with one update a token. Its projections pick our values out of one wide input, its
    loss is set to the sum of squares (its own is the mean), and its momentum and decay come as logits. Both states start
    at 0; it gives the states of the last step."""
    package = pytest.importorskip("titans_pytorch", reason="titans-pytorch is not installed")
    d = z["k"].shape[-1]
    assert z["v"].shape[-1] == d and not start, "it knows square memories that start alike in the batch"
    wide = [z["q"], z["k"], z["v"], *(w[..., None] for w in (z["lr"], torch.logit(z["mom"]), torch.logit(z["forget"])))]
    memory = package.NeuralMemory(
        dim=d,
        chunk_size=1,
        batch_size=1,
        model=package.MemoryMLP(d, depth=1),
        store_memory_loss_fn=lambda guess, v: (guess - v).square().sum(-1),
        adaptive_step_transform=lambda rate: rate,
        mem_model_norm_add_residual=False,
        pre_rmsnorm=False,
    ).double()
    with torch.no_grad():
        for weight in memory.memory_model_parameters:
            weight.zero_()

    def pick(low: int, high: int, *rest: torch.nn.Module) -> torch.nn.Module:
        """Linear map that takes the entries low … high - 1 of the wide input, and what follows it."""
        layer = torch.nn.Linear(3 * d + 3, high - low, bias=False, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.eye(3 * d + 3)[low:high])
        return torch.nn.Sequential(layer, *rest)

    memory.to_queries, memory.to_keys, memory.to_values = pick(0, d), pick(d, 2 * d), pick(2 * d, 3 * d)
    for place, name in enumerate(("to_adaptive_step", "to_momentum", "to_decay_factor"), 3 * d):
        setattr(memory, name, pick(place, place + 1, *list(getattr(memory, name))[1:]))
    y, state = memory(torch.cat(wide, -1))
    (M,), (P,) = (list(part.values()) for part in state.states)
    return {"y": y, "state.M": M, "state.P": P[0]}


def memory_by_grad(z: Values, start: Values) -> Values:
    """The rule of the paper with the gradient by `torch.func.grad`, one step after the other; for any size and start."""

    def miss(M: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (k @ M - v).square().sum()

    slope = torch.func.vmap(torch.func.grad(miss))
    M = start.get("M", zeros(z, z["k"].shape[-1], z["v"].shape[-1]))
    P = start.get("P", torch.zeros_like(M))
    out = []
    for t in range(z["k"].shape[1]):
        lr, mom, forget = (z[n][:, t, None, None] for n in ("lr", "mom", "forget"))
        P = mom * P - lr * slope(M, z["k"][:, t], z["v"][:, t])
        M = (1 - forget) * M + P
        out.append(torch.einsum("bk,bkv->bv", z["q"][:, t], M))
    return {"y": torch.stack(out, 1), "state.M": M, "state.P": P}


def attention(z: Values, start: Values) -> Values:
    """torch's own softmax attention; its scale is K^-0.5."""
    return {"y": heads_first(F.scaled_dot_product_attention(*heads_first(z["q"], z["k"], z["v"]), is_causal=True))[0]}


WINDOW = 4


def window_attention(z: Values, start: Values) -> Values:
    """The same with a band as mask."""
    t = torch.arange(z["q"].shape[1])
    see = (t[:, None] >= t) & (t[:, None] - t < WINDOW)
    return {"y": heads_first(F.scaled_dot_product_attention(*heads_first(z["q"], z["k"], z["v"]), attn_mask=see))[0]}


def pooled_attention(z: Values, start: Values) -> Values:
    """Attention whose query is the same at every step; the scale is in it already."""
    q = z["q"].expand(*z["k"].shape[:2], *z["q"].shape[-2:])
    return {"y": heads_first(F.scaled_dot_product_attention(*heads_first(q, z["k"], z["v"]), is_causal=True, scale=1.0))[0]}

"""Cells as other people's modules: torch.nn, transformers, fla-core, xlstm, minGRU-pytorch, spikingjelly.

In:   parameters under our `state_dict` names (written into their modules through the name maps here) and inputs.
Out:  `y`, `state.NAME`, `watch.NAME`. Gradients flow through their code to our parameters.
Each package is imported where it is used; what goes down to float32 inside is run in float64 (`common.double`).
"""

import importlib
import importlib.util
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numeric.oracles.common import Names, Values, double, mapped, resolve


def zeros_like(name: str) -> "partial[Tensor]":
    """For biases of theirs that we do not have twice."""
    return partial(_zeros, name)


def _zeros(name: str, p: Values) -> Tensor:
    return torch.zeros_like(p[name])


def rows(*values: str, layer: str = "linear.x") -> list[str]:
    return [f"{v}.{layer}" for v in values]


# ---- torch.nn --------------------------------------------------------------------------------------------------------

RNN: Names = {
    "weight_ih_l0": "h.linear.x",
    "weight_hh_l0": "h.linear.h",
    "bias_ih_l0": "h.linear.bias",
    "bias_hh_l0": zeros_like("h.linear.bias"),
}
# sigmoid(z) = (1 + tanh(z / 2)) / 2, so a logistic network is a tanh network in g = 2 h - 1.
ELMAN: Names = {
    "weight_ih_l0": lambda p: p["h.linear.x"] / 2,
    "weight_hh_l0": lambda p: p["h.linear.h"] / 4,
    "bias_ih_l0": lambda p: p["h.linear.bias"] / 2,
    "bias_hh_l0": lambda p: p["h.linear.h"].sum(1) / 4,
}
INDRNN: Names = {
    "weight_ih_l0": "h.linear.x",
    "weight_hh_l0": lambda p: torch.diag(p["u"]),
    "bias_ih_l0": "h.linear.bias",
    "bias_hh_l0": zeros_like("h.linear.bias"),
}
LSTM: Names = {
    "weight_ih_l0": rows("i", "f", "g", "o"),
    "weight_hh_l0": rows("i", "f", "g", "o", layer="linear.h"),
    "bias_ih_l0": rows("i", "f", "g", "o", layer="linear.bias"),
    "bias_hh_l0": lambda p: torch.cat([torch.zeros_like(p[n]) for n in rows("i", "f", "g", "o", layer="linear.bias")]),
}
GRU: Names = {
    "weight_ih_l0": rows("r", "z", "n"),
    "weight_hh_l0": rows("r", "z", "back", layer="linear.h"),
    "bias_ih_l0": rows("r", "z", "n", layer="linear.bias"),
    "bias_hh_l0": lambda p: torch.cat([torch.zeros_like(p["r.linear.bias"])] * 2 + [p["back.linear.bias"]]),
}


def _rnn(kind: type[nn.RNNBase], names: Names, p: Values, x: Tensor, start: object, **options: object) -> tuple[Tensor, object]:
    theirs = resolve(names, p)
    module = kind(x.shape[-1], theirs["weight_hh_l0"].shape[1], batch_first=True, dtype=torch.float64, **options)
    return mapped(module, names, p, x, start)  # type: ignore[return-value]


def torch_rnn(names: Names, nonlinearity: str, p: Values, given: Values) -> Values:
    y, h = _rnn(nn.RNN, names, p, given["x"], given["state.h"][None], nonlinearity=nonlinearity)
    return {"y": y, "state.h": h[0]}  # type: ignore[index]


def torch_elman(p: Values, given: Values) -> Values:
    g, last = _rnn(nn.RNN, ELMAN, p, given["x"], (2 * given["state.h"] - 1)[None], nonlinearity="tanh")
    return {"y": (1 + g) / 2, "state.h": (1 + last[0]) / 2}  # type: ignore[index]


def torch_lstm(p: Values, given: Values) -> Values:
    y, (h, c) = _rnn(nn.LSTM, LSTM, p, given["x"], (given["state.h"][None], given["state.c"][None]))  # type: ignore[misc]
    return {"y": y, "state.h": h[0], "state.c": c[0]}


def torch_gru(p: Values, given: Values) -> Values:
    y, h = _rnn(nn.GRU, GRU, p, given["x"], given["state.h"][None])
    return {"y": y, "state.h": h[0]}  # type: ignore[index]


def pick(p: Values, equation: str, ending: str) -> Tensor:
    """The one parameter of a call inside `equation` that ends so."""
    found = [n for n in p if n.startswith(f"{equation}.") and n.endswith(f".{ending}")]
    assert len(found) == 1, f"{equation}...{ending}: {found} of {sorted(p)}"
    return p[found[0]]


def torch_tagger(p: Values, given: Values) -> Values:
    """Embedding, bidirectional torch.nn.LSTM, linear: `models/bilstm_tagger`."""
    theirs = {}
    for equation, suffix in (("h", ""), ("z", "_reverse")):
        own = {n: pick(p, equation, n) for v in "ifgo" for n in rows(v, v, v) + [f"{v}.linear.h", f"{v}.linear.bias"]}
        theirs |= {f"{n}{suffix}": v for n, v in resolve(LSTM, own).items()}
    e = F.embedding(given["ids"], p["e.embedding.ids"])
    hidden = theirs["weight_hh_l0"].shape[1]
    module = nn.LSTM(e.shape[-1], hidden, batch_first=True, bidirectional=True, dtype=torch.float64)
    y, _ = torch.func.functional_call(module, theirs, (e,))
    weight = torch.cat([p["logits.linear.h"], p["logits.linear.z"]], dim=1)
    return {"y": F.linear(y, weight, p["logits.linear.bias"])}


def attention(p: Values, given: Values) -> Values:
    """07: the query repeated at every step, causal softmax attention; the states from cummax and logsumexp."""
    x = given["x"]
    b, t, d = x.shape
    heads = given_heads(p)
    k, v = (torch.einsum("btd,hkd->bhtk", x, p[f"{n}.linear.x"].reshape(heads, -1, d)) for n in ("k", "v"))
    k, v = k + p["k.linear.bias"].reshape(heads, 1, -1), v + p["v.linear.bias"].reshape(heads, 1, -1)
    q = (p["q.linear.token"].reshape(-1, d) @ p["token"] + p["q.linear.bias"].reshape(-1)).reshape(heads, 1, -1)
    y = F.scaled_dot_product_attention(q.expand(b, heads, t, q.shape[-1]), k, v, is_causal=True)
    s = (k @ q.transpose(-1, -2))[..., 0] / q.shape[-1] ** 0.5
    top = s.amax(-1)
    u = torch.exp(torch.logsumexp(s, -1) - top)
    out = torch.einsum("bhtv,ehv->bte", y, p["r.linear.arg"].reshape(d, heads, -1)) + p["r.linear.bias"]
    return {"y": out, "state.m": top, "state.u": u, "state.w": y[:, :, -1] * u[..., None]}


def given_heads(p: Values) -> int:
    """The number of heads of Aaren, from the shape of a bias stored per head or, flat, from the case's convention of 2."""
    bias = p["k.linear.bias"]
    return bias.shape[0] if bias.ndim == 2 else 2


# ---- transformers ------------------------------------------------------------------------------------------------------

MAMBA: Names = {
    "in_proj.weight": ["u.linear.x", "z.linear.x"],
    "conv1d.weight": "u.conv.arg",
    "conv1d.bias": "u.conv.bias",
    "x_proj.weight": ["low.linear.u", "B.linear.u", "C.linear.u"],
    "dt_proj.weight": "dt.linear.low",
    "dt_proj.bias": "dt.linear.bias",
    "A_log": "A_log",
    "D": "skip",
    "out_proj.weight": "r.linear.arg",
}
RWKV: Names = {
    "time_decay": "omega",
    "time_first": "u",
    "time_mix_key": "mu_k",
    "time_mix_value": "mu_v",
    "time_mix_receptance": "mu_r",
    "key.weight": "k.linear.arg",
    "value.weight": "v.linear.arg",
    "receptance.weight": "r.linear.arg",
    "output.weight": "y.linear.arg",
}
RGLRU: Names = {
    "recurrent_param": "lam",
    "input_gate_weight": lambda p: p["i.linear.u"].transpose(1, 2),
    "input_gate_bias": "i.linear.bias",
    "recurrent_gate_weight": lambda p: p["r.linear.u"].transpose(1, 2),
    "recurrent_gate_bias": "r.linear.bias",
}


def hf_mamba(p: Values, given: Values) -> Values:
    """MambaMixer, on a CPU its slow path in plain PyTorch."""
    theirs = importlib.import_module("transformers.models.mamba.modeling_mamba")
    width, state = p["A_log"].shape
    config = theirs.MambaConfig(
        hidden_size=given["x"].shape[-1],
        state_size=state,
        conv_kernel=4,
        intermediate_size=width,
        expand=width // given["x"].shape[-1],
        time_step_rank=p["dt.linear.low"].shape[-1],
        num_hidden_layers=1,
        use_mambapy=False,
    )
    module = theirs.MambaMixer(config, layer_idx=0).double().eval()
    with double(theirs):
        return {"y": mapped(module, MAMBA, p, given["x"])}  # type: ignore[dict-item]


def hf_rwkv(p: Values, given: Values) -> Values:
    """RwkvSelfAttention with `rwkv_linear_attention_cpu`, its states too."""
    theirs = importlib.import_module("transformers.models.rwkv.modeling_rwkv")

    class Attention(theirs.RwkvSelfAttention):  # type: ignore[misc,name-defined]
        def forward(self, hidden: Tensor) -> tuple[Tensor, list[Tensor]]:
            receptance, key, value, _ = self.extract_key_value(hidden)
            wkv, last = theirs.rwkv_linear_attention_cpu(self.time_decay, self.time_first, key, value, return_state=True)
            return self.output(receptance * wkv), last

    d = given["x"].shape[-1]
    module = Attention(theirs.RwkvConfig(hidden_size=d, attention_hidden_size=d, num_hidden_layers=2)).double()
    with double(theirs):
        y, (a, b, m) = mapped(module, RWKV, p, given["x"])  # type: ignore[misc]
    return {"y": y, "state.a": a, "state.b": b, "state.m": m}


def hf_rglru(p: Values, given: Values) -> Values:
    """RecurrentGemmaRglru; position 0 is where its input is not scaled down."""
    theirs = importlib.import_module("transformers.models.recurrent_gemma.modeling_recurrent_gemma")

    class Rglru(theirs.RecurrentGemmaRglru):  # type: ignore[misc,name-defined]
        def _rnn_scan(self, **values: object) -> tuple[Tensor, Tensor]:
            return super()._rnn_scan(**values, acc_dtype=torch.float64)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = super().forward(x, torch.arange(x.shape[1]).expand(x.shape[:2]))
            last, self.recurrent_states = self.recurrent_states, None
            return y, last

    x = given["x"]
    heads = p["lam"].shape[0]
    module = Rglru(SimpleNamespace(num_attention_heads=heads, lru_width=x.shape[-1])).double()
    y, last = mapped(module, RGLRU, p, x)  # type: ignore[misc]
    return {"y": y, "state.h": last.reshape(x.shape[0], heads, -1)}


# ---- others --------------------------------------------------------------------------------------------------------------


def fla_hgrn(p: Values, given: Values) -> Values:
    """fla's naive recurrence, then torch's norm; it takes log f and the input already multiplied by 1 - f."""
    theirs = importlib.import_module("fla.ops.hgrn.naive")
    x, low = given["x"], given["low"][:, None]
    f = low + (1 - low) * torch.sigmoid(F.linear(x, p["f.linear.x"]))
    with double(theirs):
        h, last = theirs.naive_recurrent_hgrn((1 - f) * F.silu(F.linear(x, p["i.linear.x"])), f.log(), output_final_state=True)
    gate = F.silu(F.linear(x, p["g.linear.x"]))
    y = F.linear(F.rms_norm(h, h.shape[-1:], p["r.rmsnorm.gain"], 1e-6) * gate, p["r.linear.arg"])
    return {"y": y, "watch.h": h, "state.h": last}


def part_of(package: str, path: str) -> ModuleType:
    """One file of a package, without the imports of the package around it."""
    root = importlib.util.find_spec(package)
    assert root is not None and root.submodule_search_locations
    file = Path(root.submodule_search_locations[0]) / path
    spec = importlib.util.spec_from_file_location(f"oracle_{package}_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def xlstm_slstm(p: Values, given: Values) -> Values:
    """The step of the xlstm package; pre-activations in its order i, f, z, o."""
    step = part_of("xlstm", "blocks/slstm/src/vanilla/slstm.py").slstm_forward_pointwise
    x = given["x"]
    heads, k = p["i.linear.h"].shape[:2]
    d = heads * k
    w = torch.cat([p[f"{g}.linear.x"].reshape(d, -1) for g in "ifzo"])
    bias = torch.cat([p[f"{g}.linear.bias"].reshape(d) for g in "ifzo"])
    states, out = torch.zeros(4, x.shape[0], d, dtype=x.dtype), []
    for z in x.unbind(1):
        h = states[0].reshape(-1, heads, k)
        r = torch.cat([torch.einsum("bhi,hoi->bho", h, p[f"{g}.linear.h"]).reshape(-1, d) for g in "ifzo"], dim=1)
        states, _ = step(z @ w.T, r, bias[None], states, {})
        out.append(states[0])
    last = {n: v.reshape(-1, heads, k) for n, v in zip("hcnm", states, strict=True)}
    return {"y": torch.stack(out, 1)} | {f"state.{n}": v for n, v in last.items()}


def positive_mingru(p: Values, given: Values) -> Values:
    """minGRU-pytorch, which runs in log space."""
    theirs = importlib.import_module("minGRU_pytorch.minGRU")
    module = theirs.minGRU(given["x"].shape[-1]).double()
    y = mapped(module, {"to_hidden_and_gate.weight": ["g.linear.x", "z.linear.x"]}, p, given["x"])
    return {"y": y}  # type: ignore[dict-item]


def positive_minlstm(p: Values, given: Values) -> Values:
    """minLSTM of minGRU-pytorch (from zero only: with a start its parallel form is another function)."""
    theirs = importlib.import_module("minGRU_pytorch.minLSTM")
    module = theirs.minLSTM(given["x"].shape[-1]).double()
    y = mapped(module, {"to_hidden_and_f_i_gate.weight": ["g.linear.x", "a.linear.x", "b.linear.x"]}, p, given["x"])
    return {"y": y}  # type: ignore[dict-item]


def jelly_lif(p: Values, given: Values) -> Values:
    """spikingjelly's LIF neuron with soft reset and the surrogate of the paper."""
    theirs = importlib.import_module("spikingjelly.activation_based")
    neuron = importlib.import_module("spikingjelly.activation_based.neuron")
    surrogate = importlib.import_module("spikingjelly.activation_based.surrogate")
    assert theirs is not None
    node = neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        v_threshold=1.0,
        v_reset=None,
        detach_reset=True,
        surrogate_function=surrogate.Sigmoid(4.0),
    )
    spikes = torch.stack([node(x) for x in given["x"].unbind(1)], 1)
    return {"y": spikes, "state.v": node.v}


def onnx_lstm(p: Values, given: Values) -> Values:
    """The ONNX operator LSTM with peepholes; rows of W, R in order i, o, f, c, peepholes in order i, o, f."""
    onnx = importlib.import_module("onnx")
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator
    helper, kind = onnx.helper, onnx.TensorProto.DOUBLE
    n = p["p_f"].shape[0]
    names = ["X", "W", "R", "B", "", "h0", "c0", "P"]
    node = helper.make_node("LSTM", names, ["Y", "Yh", "Yc"], hidden_size=n)
    ins = [helper.make_tensor_value_info(name, kind, None) for name in names if name]
    outs = [helper.make_tensor_value_info(name, kind, None) for name in ("Y", "Yh", "Yc")]
    graph = helper.make_graph([node], "peephole", ins, outs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    order = ("i", "o", "f", "g")
    bias = torch.cat([p[f"{g}.linear.bias"] for g in order])
    feeds = {
        "X": given["x"].transpose(0, 1),
        "W": torch.cat([p[f"{g}.linear.x"] for g in order])[None],
        "R": torch.cat([p[f"{g}.linear.h"] for g in order])[None],
        "B": torch.cat([bias, torch.zeros_like(bias)])[None],
        "h0": given["state.h"][None],
        "c0": given["state.c"][None],
        "P": torch.cat([p["p_i"], p["p_o"], p["p_f"]])[None],
    }
    y, h, c = evaluator(model).run(None, {k: v.detach().numpy() for k, v in feeds.items()})
    return {
        "y": torch.from_numpy(y[:, 0]).transpose(0, 1),
        "state.h": torch.from_numpy(h[0]),
        "state.c": torch.from_numpy(c[0]),
    }

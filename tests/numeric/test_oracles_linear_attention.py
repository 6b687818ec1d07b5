"""The bundled matrix-memory and attention layers against flash-linear-attention, transformers, titans-pytorch and torch.

A whole layer, gradients included: fronts and backs by hand around someone else's recurrence (`oracles/mixers.py`).
The recurrence alone, on our own queries, keys, values and gates as `watch` gives them: a norm after the read-out hides a wrong
scale, this does not. Whole modules of transformers with our parameters through a declared name map. Golden values of two
papers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor

from numeric.oracles.common import BATCH, Case, Draw, Values, build, compare, double, draw, mapped, noise, parameters, uniform
from numeric.oracles.mixers import MIXERS
from numeric.oracles.recurrences import WINDOW, transformers_xlstm
from numeric.tolerances import assert_close

D, H, K, V = 12, 2, 3, 4
SMALL = {"D": D, "H": H, "K": K, "V": V}
MATRIX = {"S": (H, K, V)}


@dataclass(frozen=True)
class Row:
    """One spec: its sizes, its states (with shapes) that start at random, and what its recurrence reads."""

    spec: str
    cell: str
    dims: Mapping[str, int]
    watch: str
    start: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    optional: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    draw: Mapping[str, Draw] = field(default_factory=dict)
    oracle: str = ""
    input: str = "x"
    packages: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name of the oracle's mixer, which is the spec's where there is one."""
        return self.oracle or self.spec

    def case(self) -> Case:
        """The whole layer as a case of `common`."""
        return Case(
            id=self.id,
            spec=self.spec,
            cell=self.cell,
            oracle=MIXERS[self.id],
            dims=self.dims,
            inputs={self.input: ("T", self.dims["D"])},
            optional=self.optional,
            start={n: s for n, s in self.start.items()},
            draw=self.draw,
            packages=self.packages,
        )


POSITIVE = uniform(0.5, 2.0)
FEATURES = 1 + K + K * K
ROWS = (
    Row("linear_attention", "LinearAttention", SMALL, "q k v", {**MATRIX, "z": (H, K)}, draw={"state.z": POSITIVE}),
    Row("based", "Based", SMALL, "q k v"),
    Row("retnet", "RetNet", {**SMALL, "K": 6}, "q k v o"),
    Row("retnet", "RetNet", {**SMALL, "K": 6}, "q k v o", {"S": (H, 6, V)}, oracle="retnet_as_simple_gla"),
    Row("simple_gla", "SimpleGLA", SMALL, "q k v g o", MATRIX),
    Row("gla", "GLA", SMALL, "q k v g o", MATRIX),
    Row("hgrn2", "HGRN2", SMALL, "q f v", MATRIX),
    Row("hgrn2", "HGRN2", SMALL, "q f v", MATRIX, optional={"low": (H, K)}, draw={"low": uniform(0.0, 1.0)}),
    Row("mamba2", "Mamba2", {"D": D, "H": 6, "P": 4, "G": 2, "N": 3}, "x B C g dt z", {"S": (2, 3, 3, 4)}, input="u"),
    Row("rwkv6", "RWKV6", {**SMALL, "R": 3, "B": 5}, "r k v g o", MATRIX),
    Row("mlstm", "MLSTM", SMALL, "q k v i f o", {"C": (H, K, V), "n": (H, K), "m": (H,)}),
    Row("deltanet", "DeltaNet", SMALL, "q k v b", MATRIX),
    Row("gated_deltanet", "GatedDeltaNet", SMALL, "q k v g b o", MATRIX),
    Row("kda", "KDA", SMALL, "q k v g b o", MATRIX),
    Row("rwkv7", "RWKV7", {**SMALL, "B": 5, "E": 6}, "r k v g a n o", MATRIX),
    Row("rwkv7", "RWKV7", {**SMALL, "B": 5, "E": 6}, "r k v g a n o", MATRIX, optional={"first": ("T", H, V)}),
    Row("online_memory", "OnlineMemory", {"D": D, "K": K, "V": K}, "q k v lr mom forget o"),
    Row(
        "online_memory",
        "OnlineMemory",
        {"D": D, "K": K, "V": V},
        "q k v lr mom forget o",
        {"M": (K, V), "P": (K, V)},
        oracle="online_memory_by_grad",
    ),
    Row("attention", "Attention", {"D": D, "H": H, "K": K}, "q k v"),
    Row("window_attention", "WindowAttention", {"D": D, "H": H, "K": K, "W": WINDOW}, "q k v"),
    Row("softmax_sum", "AarenScan", SMALL, "q k v"),
)


def name(row: Row) -> str:
    """The test's id: oracle and what is given beside the input."""
    return "-".join([row.id, *row.start, *row.optional])


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_layer(row: Row) -> None:
    """Output, final states and all gradients of the whole layer."""
    compare(row.case())


@pytest.mark.parametrize("row", [r for r in ROWS if r.spec != "softmax_sum"], ids=name)
def test_recurrence(row: Row) -> None:
    """The read-out before norm and gate, and the final states, from the values our own layer worked out."""
    case = row.case()
    layer = build(case)
    p, given = draw(case, layer)
    start = {n.removeprefix("state."): v for n, v in given.items() if n.startswith("state.")}
    state = layer.init_state(BATCH)._replace(**start) if start else None
    extra = {n: given[n] for n in case.optional}
    with torch.no_grad():
        _, last, seen = layer(given[row.input], state, **extra, watch=("y", *row.watch.split()))
        expected = MIXERS[row.id].read(seen | {n: p[n] for n in ("skip", "u") if n in p and n not in seen}, start)
    assert_close("y", expected.pop("y"), seen["y"], "values64")
    for label, value in expected.items():
        assert_close(label, value, getattr(last, label.removeprefix("state.")), "values64")


# ---- whole modules of transformers ------------------------------------------------------------------------------------


def mamba2_of_transformers(p: Values, given: Values) -> Values:
    """`Mamba2Mixer` on the CPU path, two groups. Its norm is for each group, ours over all as in the paper: set to all."""
    m = pytest.importorskip("transformers.models.mamba2.modeling_mamba2", reason="transformers is not installed")
    config = m.Mamba2Config(
        hidden_size=D, expand=2, head_dim=4, num_heads=6, n_groups=2, state_size=3, chunk_size=4, layer_norm_epsilon=1e-5
    )

    def rows(q: Values, *names: str) -> Tensor:
        return torch.cat([q[n].reshape(-1, q[n].shape[-1]) for n in names])

    names = {
        "in_proj.weight": lambda q: rows(q, *(f"{n}.linear.u" for n in ("z", "x", "B", "C", "dt"))),
        "conv1d.weight": lambda q: rows(q, *(f"{n}.conv.arg" for n in "xBC")),
        "conv1d.bias": lambda q: torch.cat([q[f"{n}.conv.bias"].flatten() for n in "xBC"]),
        "dt_bias": "dt.linear.bias",
        "A_log": "A_log",
        "D": "skip",
        "norm.weight": "r.rmsnorm.gain",
        "out_proj.weight": "r.linear.arg",
    }
    with double(m):
        mixer = m.Mamba2Mixer(config, layer_idx=0).double().eval()
        mixer.norm.group_size = mixer.intermediate_size
        return {"y": mapped(mixer, names, p, given["u"])}


def mlstm_of_transformers(p: Values, given: Values) -> Values:
    """`xLSTMLayer` with a bias everywhere; the cap on its gates, 1e9 tanh(z / 1e9), is out of reach."""
    m = transformers_xlstm()
    config = m.xLSTMConfig(hidden_size=D, num_heads=H, num_hidden_layers=1, use_bias=True, gate_soft_cap=1e9)
    theirs = {"q": "q", "k": "k", "v": "v", "ogate_preact": "o", "igate_preact": "i", "fgate_preact": "f"}
    names = {f"{t}.weight": f"{n}.linear.x" for t, n in theirs.items()}
    names |= {f"{t}.bias": f"{n}.linear.bias" for t, n in theirs.items()}
    names |= {"multihead_norm.weight": "r.groupnorm.gain", "multihead_norm.bias": "r.groupnorm.bias"}
    names |= {"out_proj.weight": "r.linear.arg", "out_proj.bias": "r.linear.bias"}
    with double(m):
        y, _ = mapped(m.xLSTMLayer(config).double(), names, p, given["x"])
    return {"y": y}


def attention_of_torch(p: Values, given: Values) -> Values:
    """`nn.MultiheadAttention` with a causal mask."""
    module = torch.nn.MultiheadAttention(D, H, batch_first=True, dtype=torch.float64)
    names = {
        "in_proj_weight": lambda q: torch.cat([q[f"{n}.linear.x"].reshape(D, D) for n in "qkv"]),
        "in_proj_bias": lambda q: torch.cat([q[f"{n}.linear.bias"].flatten() for n in "qkv"]),
        "out_proj.weight": "r.linear.y",
        "out_proj.bias": "r.linear.bias",
    }
    x = given["x"]
    later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    y, _ = mapped(module, names, p, x, x, x, attn_mask=later, need_weights=False)
    return {"y": y}


MODULES = (
    Case("mamba2", "mamba2", "Mamba2", mamba2_of_transformers, {"D": D, "H": 6, "P": 4, "G": 2, "N": 3}, {"u": ("T", D)}),
    Case("mlstm", "mlstm", "MLSTM", mlstm_of_transformers, {"D": D, "H": H, "K": 3, "V": 6}, {"x": ("T", D)}),
    Case("attention", "attention", "Attention", attention_of_torch, {"D": D, "H": H}, {"x": ("T", D)}),
)


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_module(case: Case) -> None:
    """Output and gradients of a whole module of someone else."""
    compare(case)


def test_long_and_hard() -> None:
    """Decays near 0 and near 1 over 70 steps: the gated delta rule stays with its oracle."""
    row = next(r for r in ROWS if r.spec == "gated_deltanet")
    case = row.case()
    layer = build(case)
    p, _ = draw(case, layer)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        p["A_log"].copy_(torch.tensor([-9.0, 3.0], dtype=torch.float64))
        x = noise(torch.zeros(BATCH, 70, D, dtype=torch.float64), generator)
        _, _, seen = layer(x, watch=("y", *row.watch.split()))
        expected = MIXERS[row.id].read(seen, {})
    assert_close("y", expected["y"], seen["y"], "values64")


# ---- golden values ----------------------------------------------------------------------------------------------------


def sines(*shape: int, after: int = 0) -> Tensor:
    """sin(after + 1), sin(after + 2), … filled row by row."""
    return torch.arange(after + 1, after + 1 + prod(shape), dtype=torch.float64).sin().reshape(shape)


MEMORY = '''seq 1
"""The memory of `online_memory` alone."""
cell Memory over t:
    dim K, V
    in q : [K]
    in k : [K]
    in v : [V]
    in lr : [] in [0, 1]
    in mom : [] in [0, 1]
    in forget : [] in [0, 1]
    state M : [K, V] init 0
    state P : [K, V] init 0
    miss : [] = sum((dot(k, M[t-1], over = K) - v)^2, over = V)
    P = mom * P[t-1] - lr * grad(miss, M[t-1])
    M = (1 - forget) * M[t-1] + P
    out y : [V] = dot(q, M, over = K)
'''


def test_golden_memory(tmp_path: Path) -> None:
    """Four steps of a 2 x 2 memory that starts at 0.1 times the identity, worked out by a loop in another program."""
    import seqc

    (tmp_path / "memory.seq").write_text(MEMORY)
    layer = seqc.load(str(tmp_path / "memory.seq")).Memory(K=2, V=2, dtype=torch.float64, backend="reference")
    k, q = (z / z.norm(dim=-1, keepdim=True) for z in (sines(4, 2), sines(4, 2, after=2)))
    lr, mom, forget = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8], [0.05, 0.1, 0.15, 0.2]], dtype=torch.float64)
    start = layer.init_state(1)._replace(M=0.1 * torch.eye(2, dtype=torch.float64)[None])
    y, _ = layer(*(z[None] for z in (q, k, sines(4, 2, after=1), lr, mom, forget)), start)
    golden = [[-0.083048, -0.101477], [-0.325193, -0.075301], [0.600510, 0.128912], [-0.566845, -0.928004]]
    torch.testing.assert_close(y[0], torch.tensor(golden, dtype=torch.float64), rtol=0, atol=6e-7)


def test_golden_based() -> None:
    """Three steps of one head with two features, worked out by hand; x holds q, k and v side by side."""
    import seqc

    layer = seqc.load("based").Based(D=5, H=1, K=2, V=1, dtype=torch.float64, backend="reference")
    pick = torch.eye(5, dtype=torch.float64)
    with torch.no_grad():
        for label, low, high in (("q", 0, 2), ("k", 2, 4), ("v", 4, 5)):
            parameters(layer)[f"{label}.linear.x"].copy_(pick[low:high][None])
        x = torch.cat([sines(3, 2), sines(3, 2, after=1), sines(3, 1, after=2)], -1)
        _, _, seen = layer(x[None], watch=("y",))
    golden = torch.tensor([0.141120, -0.399100, -0.675333], dtype=torch.float64)
    torch.testing.assert_close(seen["y"].flatten(), golden, rtol=0, atol=6e-7)

"""Vector-state cells and the models over them, against implementations that are not ours.

A row is a spec, a cell with sizes, and an oracle (`oracles/modules.py`: other people's modules; `oracles/loops.py`: numpy loops
from the papers; `oracles/systems.py`: scipy). The one test compares outputs, final states and all gradients in float64.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from numeric.oracles import loops, modules, systems
from numeric.oracles.common import Case, compare, in_numpy, integers, uniform

X = {"x": ("T", 5)}
EIGHT = {"x": ("T", 8)}
U = {"u": ("T", 3)}


def nothing(like: Tensor, generator: torch.Generator) -> Tensor:
    """Leaves a parameter or input as it starts."""
    return like


def loop(function, **options):  # type: ignore[no-untyped-def]
    return {"oracle": in_numpy(partial(function, **options)), "autograd": False}


CASES = [
    # torch.nn
    Case("elman/torch", "elman", "Elman", modules.torch_elman, {"D": 5, "N": 7}, start={"h": (7,)}),
    Case("rnn/torch", "elman", "RNN", partial(modules.torch_rnn, modules.RNN, "tanh"), {"D": 5, "N": 7}, start={"h": (7,)}),
    Case("lstm/torch", "lstm", "LSTM", modules.torch_lstm, {"D": 5, "N": 7}, start={"h": (7,), "c": (7,)}),
    Case("gru/torch", "gru", "GRU", modules.torch_gru, {"D": 5, "N": 7}, start={"h": (7,)}),
    Case(
        "indrnn/torch",
        "indrnn",
        "IndRNN",
        partial(modules.torch_rnn, modules.INDRNN, "relu"),
        {"D": 5, "N": 7},
        start={"h": (7,)},
    ),
    Case("aaren/sdpa", "aaren", "Aaren", modules.attention, {"D": 8, "H": 2}, EIGHT),
    Case(
        "bilstm_tagger/torch",
        "bilstm_tagger",
        "BiLSTMTagger",
        modules.torch_tagger,
        {"W": 11, "K": 4, "D": 5, "N": 6},
        {"ids": ("T",)},
        draw={"ids": integers(11)},
    ),
    # transformers, fla-core, xlstm, minGRU-pytorch, spikingjelly, onnx
    Case("mamba1/transformers", "mamba1", "Mamba1", modules.hf_mamba, {"D": 5, "N": 4, "R": 3}, X, packages=("transformers",)),
    Case("rwkv4/transformers", "rwkv4", "RWKV4", modules.hf_rwkv, {"D": 5}, X, packages=("transformers",)),
    Case("rglru/transformers", "rglru", "RGLRU", modules.hf_rglru, {"D": 8, "H": 2}, EIGHT, packages=("transformers",)),
    Case(
        "hgrn/fla",
        "hgrn",
        "HGRN",
        modules.fla_hgrn,
        {"D": 5, "N": 7},
        X,
        {"low": (7,)},
        draw={"low": uniform(0, 1)},
        watch=("h",),
        packages=("fla",),
    ),
    Case("slstm/xlstm", "slstm", "SLSTM", modules.xlstm_slstm, {"D": 8, "H": 2}, EIGHT, packages=("xlstm",)),
    Case(
        "mingru/log-space",
        "mingru",
        "MinGRUPositive",
        modules.positive_mingru,
        {"D": 5},
        X,
        packages=("minGRU_pytorch",),
    ),
    Case(
        "minlstm/log-space",
        "minlstm",
        "MinLSTMPositive",
        modules.positive_minlstm,
        {"D": 5},
        X,
        packages=("minGRU_pytorch",),
    ),
    Case(
        "lif/spikingjelly",
        "lif",
        "LIF",
        modules.jelly_lif,
        {"N": 5},
        X,
        draw={"x": uniform(0, 1.5)},
        packages=("spikingjelly",),
    ),
    Case(
        "lstm_peephole/onnx",
        "lstm_peephole",
        "LSTMPeephole",
        modules.onnx_lstm,
        {"D": 5, "N": 7},
        X,
        start={"h": (7,), "c": (7,)},
        autograd=False,
        packages=("onnx",),
    ),
    # loops from the papers
    Case("jordan/loop", "jordan", "Jordan", dims={"D": 5, "N": 7, "K": 4}, **loop(loops.jordan)),
    Case(
        "jordan/teacher",
        "jordan",
        "Jordan",
        dims={"D": 5, "N": 7, "K": 4},
        optional={"y": ("T", 4)},
        **loop(loops.jordan),
    ),
    Case(
        "lstm_peephole/loop",
        "lstm_peephole",
        "LSTMPeephole",
        dims={"D": 5, "N": 7},
        start={"h": (7,), "c": (7,)},
        **loop(loops.peephole),
    ),
    Case("gru/cho", "gru", "ChoGRU", dims={"D": 5, "N": 7}, start={"h": (7,)}, **loop(loops.cho_gru)),
    Case("leaky_rnn/inside", "leaky_rnn", "LeakyRNN", dims={"D": 5, "N": 7}, optional={"r0": (7,)}, **loop(loops.leaky_rnn)),
    Case(
        "leaky_rnn/outside",
        "leaky_rnn",
        "LeakyOut",
        dims={"D": 5, "N": 7},
        optional={"r0": (7,)},
        **loop(loops.leaky_rnn, inside=False),
    ),
    Case(
        "paragru/loop",
        "paragru",
        "ParaGRU",
        dims={"D": 8, "N": 6, "H": 2},
        inputs=EIGHT,
        start={"h": (2, 3)},
        **loop(loops.paragru),
    ),
    Case(
        "paralstm/loop",
        "paralstm",
        "ParaLSTM",
        dims={"D": 8, "N": 6, "H": 2},
        inputs=EIGHT,
        start={"h": (2, 3), "c": (2, 3)},
        **loop(loops.paralstm),
    ),
    Case("sru/loop", "sru", "SRU", dims={"D": 5}, start={"c": (5,)}, **loop(loops.sru)),
    Case("mingru/loop", "mingru", "MinGRU", dims={"D": 5, "N": 7}, start={"h": (7,)}, **loop(loops.mingru)),
    Case("minlstm/loop", "minlstm", "MinLSTM", dims={"D": 5, "N": 7}, start={"h": (7,)}, **loop(loops.minlstm)),
    Case("qrnn/window2", "qrnn", "QRNN", dims={"D": 5, "N": 7}, start={"c": (7,)}, **loop(loops.qrnn)),
    Case("qrnn/window4", "qrnn", "QRNN", dims={"D": 5, "N": 7, "W": 4}, start={"c": (7,)}, **loop(loops.qrnn)),
    # scipy
    Case("lru/scipy", "lru", "LRU", dims={"D": 3, "N": 4}, inputs=U, **loop(systems.lru)),
    Case(
        "s4d/scipy",
        "s4d",
        "S4D",
        dims={"D": 3, "P": 4},
        inputs=U,
        optional={"rate": ()},
        draw={"rate": uniform(0.5, 2)},
        **loop(systems.s4d),
    ),
    Case("s5/scipy", "s5", "S5", dims={"D": 3, "P": 4}, inputs=U, **loop(systems.s5)),
    *(
        Case(
            f"lssl/alpha={alpha}",
            "lssl",
            "LSSL",
            dims={"H": 3, "N": 4, "M": 2, "alpha": alpha},
            inputs=U,
            optional={"rate": ()},
            draw={"rate": uniform(0.5, 2)},
            **loop(systems.lssl, alpha=alpha),
        )
        for alpha in (0.5, 1.0)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_oracle(case: Case) -> None:
    compare(case)


# The dossiers give golden values; the oracles have to meet them too. P(shape; o) = sin(o + 1), sin(o + 2), ... row by row.


def wave(*shape: int, o: int = 0) -> np.ndarray:
    return np.sin(np.arange(1, np.prod(shape) + 1) + o).reshape(shape)


def rounded(z: np.ndarray) -> list[float]:
    return [round(float(v), 6) for v in np.asarray(z).ravel()]


def test_peephole_loop_meets_the_golden_values() -> None:
    w, r = wave(8, 1), wave(8, 2, o=1)
    p = dict(zip(("p_i", "p_o", "p_f"), wave(3, 2, o=2), strict=True))
    for k, gate in enumerate("iofg"):
        p |= {f"{gate}.linear.x": w[2 * k : 2 * k + 2], f"{gate}.linear.h": r[2 * k : 2 * k + 2]}
    last = loops.peephole(p, {"x": np.array([[[1.0], [-0.5], [0.25]]])})
    assert rounded(last["state.h"]) == [0.127667, 0.074066]
    assert rounded(last["state.c"]) == [0.288667, 0.155909]


def test_leaky_loop_meets_the_golden_values() -> None:
    p = {
        "W": 0.5 * wave(3, 3),
        "b": np.array([0.3, 0.3, -0.2]),
        "raw": np.array([1.0, 2.0, 4.0]),
        "r.linear.x": np.array([[1.0], [0.5], [-1.0]]),
        "r.linear.bias": np.zeros(3),
    }
    given = {"x": np.array([[[1.0], [0.0], [1.0], [1.0]]]), "r0": np.zeros((1, 3))}
    assert rounded(loops.leaky_rnn(p, given)["state.r"]) == [1.460705, 0.320669, -0.001463]
    assert rounded(loops.leaky_rnn(p, given, inside=False)["state.r"]) == [1.487709, 0.330812, 0.055363]


def test_gru_loop_meets_the_golden_values() -> None:
    """The dossier's z is 1 - z of Cho et al."""
    w, u = wave(6, 1), wave(6, 2, o=1)
    p = {"z.linear.x": -w[:2], "z.linear.h": -u[:2], "r.linear.x": w[2:4], "r.linear.h": u[2:4]}
    p |= {"n.linear.x": w[4:], "n.linear.arg": u[4:], "r.linear.bias": np.zeros(2)}
    last = loops.cho_gru(p, {"x": np.array([[[1.0], [-0.5], [0.25]]])})
    assert rounded(last["state.h"]) == [-0.196312, 0.009403]


def test_lif_meets_the_golden_values() -> None:
    import seqc

    layer = seqc.load("lif").LIF(N=1, dtype=torch.float64, backend="reference")
    current = torch.tensor([0.6, 0.8, 0.2, 1.4, 0.3, 0.9], dtype=torch.float64)[None, :, None]
    spikes, state = layer(current)
    assert spikes.flatten().tolist() == [0, 1, 0, 1, 0, 1]
    assert round(float(state.v), 5) == 0.18125

"""The figures of `seqc bench --suite gpu` as data; `rows` says what the parts mean. Numbers of bars are those asked for on an H200."""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.driver.bench.suite.rows import FLOOR, NN, Bar, Case, Row

ACCELERATED, ASSOCIATIVE = "accelerated-scan (Triton)", "torch associative_scan"
FLA, FLA_CHUNK = "FLA fused_recurrent_hgrn", "FLA chunk_hgrn"
COMPILED, FLA_GATES = "torch.compile gates + own scan", "torch gates + FLA hgrn"
MAMBA, SLOW = "mamba-ssm", "transformers slow path"
GRAPHED = "torch loop under a CUDA graph"
FLASHRNN = "flashrnn (Triton)"
PARARNN = "pararnn-torch"
SEQUENTIAL, NEWTON, BEST = "own sequential", "own newton", "best of own modes"
STEP_TIME = "a step of time"
FLA_STEP = "FLA fused_recurrent_simple_gla, CUDA graph"
STATE = "floor of the state's bytes"

Size = tuple[int, int, Mapping[str, int]]
_DIAGONAL: tuple[Size, ...] = ((8, 2048, {"D": 4096}), (1, 65536, {"D": 1024}), (16, 16384, {"D": 128}))


def _given() -> tuple[Case, ...]:
    bars = (Bar(ACCELERATED, 1.0, 1.0), Bar(ASSOCIATIVE, 1.0, 1.0), Bar(FLA, 3.0, 3.0), Bar(FLA_CHUNK, 3.0, 3.0), Bar(FLOOR, 0.85, 0.75))
    cases = [Case("cells/gated", "Scan", b, t, dims, bars, spared=1) for b, t, dims in _DIAGONAL]
    b, t, dims = _DIAGONAL[0]
    return (*cases, Case("cells/gated", "Scan", b, t, dims, (Bar(FLA, 3.0, 3.0), bars[-1]), dtype="bfloat16", spared=1))


def _raw() -> tuple[Case, ...]:
    out = []
    for batch, time, dims in _DIAGONAL:
        for body, exps in (("MinGRU", 1), ("MinLSTM", 2), ("RGLRU", 4), ("LRU", 0)):
            peers = (Bar(COMPILED, 1.8, 1.8),) if body == "LRU" else (Bar(COMPILED, 1.8, 1.8), Bar(FLA_GATES, 1.8, 1.8))
            out.append(Case("cells/gated", body, batch, time, dims, (*peers, Bar(FLOOR, 0.75, 0.75)), exps=exps))
    return tuple(out)


def _selective() -> tuple[Case, ...]:
    bars = (Bar(MAMBA, 1.3, 1.5), Bar(SLOW), Bar(FLOOR, 0.6))
    sizes: tuple[Size, ...] = ((8, 2048, {"D": 4096, "N": 16}), (4, 8192, {"D": 4096, "N": 16}))
    return tuple(Case("cells/cascades", "S6", b, t, dims, bars, exps=16) for b, t, dims in sizes)


def _dense() -> tuple[Case, ...]:
    out = []
    for batch, time, width in ((16, 1024, 768), (64, 512, 512), (1, 1024, 256), (256, 128, 128)):
        ratio = 1.2 if batch == 1 or width <= 128 else 0.8
        for spec, body in (("lstm", "LSTM"), ("gru", "GRU"), ("elman", "RNN")):
            bars = (Bar(NN, ratio, ratio), Bar(STEP_TIME, 2.0, 5.0))
            out.append(Case(spec, body, batch, time, {"D": width, "N": width}, bars, dtype="bfloat16"))
    return tuple(out)


def _heads() -> tuple[Case, ...]:
    out = []
    for heads, width in ((12, 64), (6, 128), (3, 256)):
        bars = (Bar(FLASHRNN, 1.0, 1.0), Bar(GRAPHED, 10.0, 10.0), Bar(STEP_TIME))
        out.append(Case("slstm", "SLSTM", 16, 1024, {"D": heads * width, "H": heads}, bars, dtype="bfloat16"))
    alone = (Bar(GRAPHED, 10.0, 10.0), Bar(STEP_TIME))
    out.append(Case("lstm_peephole", "LSTMPeephole", 16, 1024, {"D": 128, "N": 128}, alone, dtype="bfloat16"))
    return tuple(out)


def _choice() -> tuple[Case, ...]:
    sizes: tuple[Size, ...] = ((8, 2048, {"D": 4096}), (1, 65536, {"D": 256}))
    own = (Bar(SEQUENTIAL), Bar(NEWTON), Bar(BEST, 0.9, 0.9), Bar(FLOOR, 0.5))
    out = []
    for b, t, dims in sizes:
        out += [Case("cells/nonlinear", body, b, t, dims, own, exps=exps) for body, exps in (("ParaGRU", 3), ("ParaLSTM", 5))]
    whole = {"D": 256, "H": 1}
    return (*out, Case("paragru", "ParaGRU", 1, 65536, whole, (Bar(PARARNN, 1.0, 1.0),)))


def _decode() -> tuple[Case, ...]:
    dims = {"H": 32, "K": 128, "V": 128}
    return tuple(
        Case("cells/heads", "SimpleGLA", b, 1, dims, (Bar(FLA_STEP, 1.2 if b <= 8 else 1.0), Bar(STATE, 0.8 if b >= 64 else None)))
        for b in (1, 4, 8, 16, 64, 256)
    )


LENGTHS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)
"""Of the row of memory."""

ROWS: tuple[Row, ...] = (
    Row("G1", "G1: diagonal scan, everything given", "race", _given()),
    Row("G2", "G2: gated scans from raw gates", "race", _raw()),
    Row("G3", "G3: mamba1, the selective scan from its projections", "race", _selective()),
    Row("G10", "G10: LSTM, GRU, tanh beside cuDNN, with the projection of the input", "race", _dense()),
    Row("G11", "G11: heads and cells of one's own", "race", _heads()),
    Row("G12", "G12: nonlinear diagonal cells, the choice of a mode", "race", _choice()),
    Row("G16", "G16: decode, one step, float32", "decode", _decode()),
    Row(
        "G17",
        "G17: from a spec to its first correct output",
        "cold",
        (
            Case("cells/gated", "Scan", 8, 2048, {"D": 4096}, ()),
            Case("cells/gated", "MinGRU", 8, 2048, {"D": 4096}, ()),
            Case("cells/cascades", "S6", 8, 2048, {"D": 4096, "N": 16}, ()),
            Case("lstm", "LSTM", 64, 512, {"D": 512, "N": 512}, (), dtype="bfloat16"),
            Case("slstm", "SLSTM", 16, 1024, {"D": 768, "H": 12}, (), dtype="bfloat16"),
            Case("cells/nonlinear", "ParaGRU", 8, 2048, {"D": 4096}, ()),
        ),
    ),
    Row("G18", "G18: peak memory, forward+backward", "memory", (Case("cells/gated", "Scan", 1, 2048, {"D": 1024}, ()),)),
)
"""All rows, in the order of the table."""

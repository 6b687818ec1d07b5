"""The figures table as data: what is measured, at which sizes, beside whom, and what was asked for.

`Bar.forward` and `Bar.both` are the ratios asked for, peer's time over seqc's, of the forward pass and of forward and backward
together; None: nothing was asked, the ratio stands there for comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOOP, JAX = "torch loop", "jax lax.scan"
NN = "torch.nn"
UNFUSED = "torch gates + own scan"
BANDWIDTH = "bandwidth of torch.add"
FLOOR = "floor of bytes and exponentials"
LSTM_PER_FLOP = "own LSTM, time per flop"
MINGRU = "own minGRU"
FP32 = "own fp32"


@dataclass(frozen=True, slots=True)
class Bar:
    """What was asked for beside one peer."""

    peer: str
    forward: float | None = None
    both: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One body at one size.

    spec     a bundled spec, or `cells/NAME` of this package
    hand     how it is written by hand (`by_hand.BY_HAND`), where not under the body's name
    exps     exponentials an entry of the state takes, for the floor
    products the sizes of the matrix products of one step, for time per flop
    flips    share of entries that may differ: thresholds flip on roundings
    needs    an instruction set without which the case is skipped
    spared   inputs that the backward pass need not read, for the floor
    """

    spec: str
    body: str
    batch: int
    time: int
    dims: Mapping[str, int]
    bars: tuple[Bar, ...]
    exps: int = 0
    products: tuple[tuple[str, str], ...] = ()
    dtype: str = "float32"
    flips: float = 0.0
    needs: str = ""
    spared: int = 0

    @property
    def sizes(self) -> str:
        """`B2 T1024 D512`."""
        return " ".join([f"B{self.batch}", f"T{self.time}", *(f"{k}{v}" for k, v in self.dims.items())])


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `kind` says how it is measured."""

    name: str
    title: str
    kind: str
    cases: tuple[Case, ...] = ()


_SMALL, _LARGE = (2, 1024, {"D": 512}), (8, 2048, {"D": 1024})


def _at(
    size: tuple[int, int, Mapping[str, int]],
    spec: str,
    body: str,
    *bars: Bar,
    exps: int = 0,
    products: tuple[tuple[str, str], ...] = (),
    dtype: str = "float32",
    flips: float = 0.0,
) -> Case:
    return Case(spec, body, size[0], size[1], size[2], bars, exps, products, dtype, flips)


def _diagonal() -> tuple[Case, ...]:
    both = Bar(BANDWIDTH, 0.6)
    return (
        _at(_SMALL, "cells/gated", "Scan", Bar(LOOP, 30, 40), Bar(JAX, 8, 5), both),
        _at(_LARGE, "cells/gated", "Scan", Bar(LOOP, 4, 6), Bar(JAX, 4, 4), both),
    )


def _gated() -> tuple[Case, ...]:
    small = (Bar(LOOP, 25, 40), Bar(JAX, 5, 4), Bar(UNFUSED, 2, 2))
    large = (Bar(LOOP, 8, 8), Bar(JAX, 4, 4), Bar(FLOOR, 0.5))
    cells = (("MinGRU", 1), ("HGRN", 2), ("RGLRU", 4), ("LRU", 0))
    return tuple(
        _at(size, "cells/gated", body, *bars, exps=exps) for size, bars in ((_SMALL, small), (_LARGE, large)) for body, exps in cells
    )


def _nonlinear() -> tuple[Case, ...]:
    out = []
    for size, loop in ((_SMALL, (25, 40)), ((8, 1024, {"D": 512}), (10, 12))):
        for body in ("IndRNN", "ParaGRU", "ParaLSTM", "LIF"):
            bars = (Bar(LOOP, *loop), Bar(JAX, 2, 2))
            out.append(_at(size, "cells/nonlinear", body, *bars, flips=1e-3 if body == "LIF" else 0.0))
        # the library cannot be asked for the recurrence alone: whole layers, with their projection, on both sides
        for spec, body in (("paragru", "ParaGRU"), ("paralstm", "ParaLSTM")):
            whole = (size[0], size[1], {"D": 512, "H": 1})
            out.append(_at(whole, spec, body, Bar("pararnn-torch", 5, 5)))
    return tuple(out)


def _cascades() -> tuple[Case, ...]:
    bars = (Bar(LOOP, 20, 25), Bar(JAX, 3, 3))
    return tuple(_at((2, 1024, {"H": 8, "V": 64}), "cells/cascades", body, *bars) for body in ("Aaren", "RWKV4"))


_DENSE_SIZES = ((1, 256, 128), (16, 128, 256), (64, 64, 512))
_GATES = (("D", "N"), ("N", "N"))


def _dense() -> tuple[Case, ...]:
    out = []
    for batch, time, width in _DENSE_SIZES:
        one = batch == 1
        for spec, body, gates in (("lstm", "LSTM", 4), ("gru", "GRU", 3), ("elman", "RNN", 1)):
            library = {True: (2, 4) if body == "GRU" else (1.1, 1.1), False: (1.1, 1.1) if body == "GRU" else (0.9, 0.95)}[one]
            bars = (
                Bar(LOOP, *((5, 8) if one else (1.5, 2.5))),
                Bar(JAX, *((1.2, 1.2) if one else (1.0, 1.2))),
                Bar(NN, *library),
            )
            out.append(_at((batch, time, {"D": width, "N": width}), spec, body, *bars, products=_GATES * gates))
    return tuple(out)


def _others() -> tuple[Case, ...]:
    cells: tuple[tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]], ...] = (
        ("lstm_peephole", "LSTMPeephole", ("D", "N"), _GATES * 4),
        ("slstm", "SLSTM", ("D",), (("D", "D"), ("D", "K")) * 4),
        ("leaky_rnn", "LeakyRNN", ("D", "N"), _GATES),
        ("jordan", "Jordan", ("D", "N", "K"), (("D", "N"), ("K", "N"), ("N", "K"))),
    )
    out = []
    for batch, time, width in _DENSE_SIZES:
        one = batch == 1
        for spec, body, names, products in cells:
            bars = (
                Bar(LOOP, *((5, 8) if one else (1.5, 2.5))),
                Bar(JAX, *((1.2, 1.2) if one else (1.0, 1.2))),
                Bar(LSTM_PER_FLOP, 1.25, 1.25),
            )
            out.append(_at((batch, time, dict.fromkeys(names, width)), spec, body, *bars, products=products))
    return tuple(out)


OUT_OF_SCOPE = ("attention", "window_attention", "deltanet", "gated_deltanet", "kda", "rwkv7", "online_memory")
"""Bundled cells that the native backend does not have to run."""

ROWS: tuple[Row, ...] = (
    Row("diagonal", "diagonal scan", "race", _diagonal()),
    Row("gated", "gated scans from raw gates", "race", _gated()),
    Row("nonlinear", "nonlinear elementwise", "race", _nonlinear()),
    Row("cascades", "cascades", "race", _cascades()),
    Row(
        "mamba1",
        "mamba1: the selective scan from its projections",
        "race",
        (
            _at(
                (1, 1024, {"D": 1024, "N": 16}),
                "cells/cascades",
                "S6",
                Bar("transformers slow path", 20, 20),
                Bar(JAX, 4, 4),
                Bar("mambapy", 5, 5),
                Bar(LOOP),
            ),
        ),
    ),
    Row("dense", "LSTM, GRU, Elman", "race", _dense()),
    Row("others", "cells no library has", "race", _others()),
    Row(
        "typed",
        "a cell typed on the spot",
        "race",
        tuple(_at(size, "cells/gated", "Typed", Bar(MINGRU, 1.25, 1.25), Bar(LOOP), Bar(JAX)) for size in (_SMALL, _LARGE)),
    ),
    Row("bf16-scan", "bf16 storage, fp32 arithmetic", "race", (_at(_LARGE, "cells/gated", "Scan", Bar(FP32, 1.4), dtype="bfloat16"),)),
    Row(
        "bf16-dense",
        "bf16 operands, fp32 accumulation",
        "race",
        (Case("lstm", "LSTM", 64, 64, {"D": 512, "N": 512}, (Bar(FP32, 1.4),), dtype="bfloat16", needs="avx512_bf16"),),
    ),
    Row("decode", "one decode step, B1, smallest size", "decode"),
    Row("memory", "peak memory, forward+backward", "memory", (_at((1, 1024, {"D": 512}), "cells/gated", "MinGRU", Bar(LOOP)),)),
    Row(
        "cold",
        "spec to first output, cold cache",
        "cold",
        (_at(_SMALL, "cells/gated", "MinGRU"), _at((1, 64, {"D": 128, "N": 128}), "lstm", "LSTM")),
    ),
    Row("train", "seqc train char_lm, native beside reference", "train"),
)
"""All rows, in the order of the table."""

NAMES = tuple(r.name for r in ROWS)

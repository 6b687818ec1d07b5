"""`seqc aot` of kernels with matrix products: held in one program where the target lets it, in stages where not; never spills."""

from __future__ import annotations

import json

import pytest
from cli.test_aot import aot, needs_triton

from seqc.compiler.driver.aot.targets import TARGETS

DENSE = ("elman", "jordan", "lstm", "lstm_peephole", "gru", "leaky_rnn", "slstm", "lssl")
SMALL = {"lssl": ("H=2", "N=8"), "slstm": ("D=16",), "jordan": ("D=4", "N=8", "K=3")}
REAL = {"lssl": ("H=64", "N=64"), "slstm": ("D=512", "H=8"), "jordan": ("D=64", "N=64", "K=64")}
"""Sizes of specs whose dims are not D and N; real: 64 entries for each head."""


def compiled(spec: str, sizes: tuple[str, ...], *more: str) -> list[dict[str, object]]:
    """The kernels of a spec; none has a fault."""
    words = [word for size in sizes for word in ("--set", size)]
    done = aot(spec, *words, *more, "--format", "json")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found: list[dict[str, object]] = json.loads(done.stdout)["kernels"]
    assert found and all(not k["fault"] for k in found)
    return found


@needs_triton
@pytest.mark.parametrize(("spec", "dtype"), [("gru", "float32"), ("slstm", "bfloat16")])
def test_heads_of_64_are_held(spec: str, dtype: str) -> None:
    found = compiled(spec, REAL.get(spec, ("D=64", "N=64")), "--unmasked", "--dtype", dtype)
    assert not any("_stage" in str(k["kernel"]) for k in found)


@needs_triton
def test_what_is_too_wide_comes_in_stages() -> None:
    found = compiled("lstm", ("D=256", "N=256"), "--unmasked", "--target", "gfx942")
    assert {"LSTM_k1_forward_stage1", "LSTM_k1_backward_stage0", "LSTM_k1_backward_stage1"} <= {str(k["kernel"]) for k in found}


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("spec", DENSE)
def test_all_targets(spec: str, dtype: str) -> None:
    targets = [word for name in TARGETS for word in ("--target", name)]
    for sizes in (SMALL.get(spec, ("D=4", "N=4")), REAL.get(spec, ("D=64", "N=64"))):
        compiled(spec, sizes, "--dtype", dtype, *targets)

"""`seqc aot`: kernels compiled for GPUs that are not here; limits, the folder, and what the runtime checks when it loads one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from seqc import specs
from seqc.compiler.driver.aot import build
from seqc.compiler.driver.aot.resources import Resources, asked_for, of_amdgcn, parsed
from seqc.compiler.driver.aot.targets import ACCEPTED, TARGETS, Accepted
from seqc.runtime.triton.artefacts import BadArtefact, load

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def aot(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in which Triton compiles."""
    surroundings = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    return subprocess.run([sys.executable, "-m", "seqc", "aot", *words], capture_output=True, text=True, env=surroundings, timeout=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels of one cell for all targets."""
    path = tmp_path_factory.mktemp("aot")
    targets = [word for name in TARGETS for word in ("--target", name)]
    done = aot("indrnn", *targets, "--unmasked", "-o", str(path), "--set", "D=48", "--format", "json")
    assert done.returncode == 0, done.stderr[-3000:]
    (path / "told.json").write_text(done.stdout)
    return path


@needs_triton
def test_all_targets(folder: Path) -> None:
    told = json.loads((folder / "told.json").read_text())
    assert told["ok"]
    for target in TARGETS:
        mine = [k for k in told["kernels"] if k["target"] == target]
        pair = ("IndRNN_k1_forward", "IndRNN_k1_backward")
        assert sorted(k["kernel"] for k in mine) == sorted((*pair, "IndRNN_newton0_part0", "IndRNN_newton0_rows"))
        assert all(0 < k["registers"] <= 255 and k["spills"] == 0 for k in mine)
        assert all(k["blocks"]["BLOCK_0"] == 64 for k in mine if k["kernel"] in pair)


@needs_triton
def test_the_folder_is_checked(folder: Path, tmp_path: Path) -> None:
    import shutil

    found = load(folder / "sm_90")
    assert found.names[:2] == ("IndRNN_k1_forward", "IndRNN_k1_backward") and len(found.names) == 4
    for k in found.told["kernels"]:
        assert str(folder) not in json.dumps(k) and k["arguments"]["T"] == "i64"
    copy = tmp_path / "sm_90"
    shutil.copytree(folder / "sm_90", copy)
    binary = copy / "IndRNN_k1_forward.cubin"
    content = bytearray(binary.read_bytes())
    content[len(content) // 2] ^= 1
    binary.write_bytes(content)
    with pytest.raises(BadArtefact, match="SEQ0607.*not what was written"):
        load(copy)
    binary.unlink()
    with pytest.raises(BadArtefact, match="missing"):
        load(copy)
    (copy / "manifest.json").write_text('{"format": 1, "kernels": [{"files": {"../x": "00"}}]}')
    with pytest.raises(BadArtefact, match="cannot be"):
        load(copy)
    (copy / "manifest.json").write_text("[")
    with pytest.raises(BadArtefact, match="no folder"):
        load(copy)


@needs_triton
def test_a_kernel_of_the_folder_is_the_one_that_is_asked_for(folder: Path) -> None:
    """In another process, where Triton compiles: the entry fits its function and no other."""
    script = """
import sys
import seqc
from seqc.runtime.triton.artefacts import BadArtefact, load
found = load(sys.argv[1])
(forward, _, backward, _), *_ = seqc.load("indrnn").IndRNN.TRITON
made = found.kernel("IndRNN_k1_forward", forward)
assert made.name == "IndRNN_k1_forward" and made.kernel[:4] == b"\\x7fELF" and made.metadata.shared <= 232448
try:
    found.kernel("IndRNN_k1_forward", backward)
except BadArtefact as why:
    assert "another text" in str(why)
    print("refused")
"""
    surroundings = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "sm_90")], capture_output=True, text=True, env=surroundings, timeout=300
    )
    assert done.stdout.strip() == "refused", done.stderr[-2000:]


def test_limits() -> None:
    for name, limit in (("sm_80", 166_912), ("sm_90", 232_448), ("gfx942", 65_536)):
        target = TARGETS[name]
        assert build.fault("k", target, Resources(32, 0, limit)) == ""
        assert "never be launched" in build.fault("k", target, Resources(32, 0, limit + 1))
        assert "spills 8 bytes" in build.fault("k", target, Resources(255, 8, 0))


def test_an_accepted_spill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(build.ACCEPTED, ("k", "sm_90"), Accepted(16, "a test"))
    assert build.fault("k", TARGETS["sm_90"], Resources(255, 16, 0)) == ""
    assert build.fault("k", TARGETS["sm_80"], Resources(255, 16, 0)) != ""
    assert build.fault("k", TARGETS["sm_90"], Resources(255, 24, 0)) != ""


def test_resources_are_read() -> None:
    text = " Function k:\n  REG:227 STACK:8 SHARED:1024 LOCAL:0 CONSTANT[0]:1040 TEXTURE:0"
    assert parsed(text, 7) == Resources(227, 8, 7)
    assert parsed(text, 7, 8) == Resources(227, 0, 7)
    assert asked_for(".local .align 4 .b8 __local_depot0[28];\n.local .align 8 .b8 x[4];") == 32
    assert parsed("nothing", 7) == Resources(-1, -1, 7)
    amd = "  .private_segment_fixed_size: 0\n  .sgpr_spill_count: 69\n  .vgpr_count:     169\n  .vgpr_spill_count: 3\n"
    assert of_amdgcn(amd, 5) == Resources(169, 12, 5)


KINDS = {
    "elementwise": ("mingru", "--set", "D=64"),
    "a scan of log-sum-exp": ("aaren", "--set", "D=64"),
    "an inner axis": ("mamba1", "--set", "D=64"),
    "complex pairs": ("s5", "--set", "D=64"),
    "a matrix for each head": ("deltanet", "--set", "D=64"),
    "Newton's blocks": ("paralstm", "--set", "D=64"),
}
"""One of each kernel kind, small."""


def compiled(*words: str) -> list[dict[str, object]]:
    """The kernels of a call of the command, none of which may be at fault."""
    done = aot(*words, "--format", "json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found: list[dict[str, object]] = json.loads(done.stdout)["kernels"]
    return found


@needs_triton
@pytest.mark.parametrize("spec", ["mamba1", "s5"])
def test_an_inner_axis_and_pairs(spec: str) -> None:
    """In bfloat16. The other kinds of kernels, and all specs, are behind the marker `slow`."""
    assert {k["target"] for k in compiled(spec, "--unmasked", "--dtype", "bfloat16", "--set", "D=64")} == {"sm_90"}


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind(kind: str, target: str) -> None:
    assert compiled(*KINDS[kind], "--unmasked", "--target", target)


SPECS = sorted(p.stem for p in (Path(specs.__file__).parent / "cells").glob("*.seq"))


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_every_spec(spec: str) -> None:
    """At its own sizes, resets and padding too; a spec without a Triton kernel has none to compile."""
    compiled(spec)


def test_accepted_spills_have_a_reason() -> None:
    """Each is of a kernel that there is, for a target that there is."""
    import seqc

    specs = "gated_deltanet kda mlstm based retnet simple_gla hgrn mamba1".split()
    cells = [c for spec in specs for c in vars(seqc.load(spec)).values()]
    names = {f.name for c in cells for one in getattr(c, "TRITON", ()) for f in one[::2]}
    for (kernel, target), accepted in ACCEPTED.items():
        assert kernel in names and target in TARGETS and accepted.spills > 0 and len(accepted.why) > 40


# ---- matrix products ------------------------------------------------------------------------------------------------

DENSE = ("elman", "jordan", "lstm", "lstm_peephole", "gru", "leaky_rnn", "slstm", "lssl")
SMALL = {"lssl": ("H=2", "N=8"), "slstm": ("D=16",), "jordan": ("D=4", "N=8", "K=3")}
REAL = {"lssl": ("H=64", "N=64"), "slstm": ("D=512", "H=8"), "jordan": ("D=64", "N=64", "K=64")}
"""Sizes of specs whose dims are not D and N; real: 64 entries for each head."""


def compiled_dense(spec: str, sizes: tuple[str, ...], *more: str) -> list[dict[str, object]]:
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
    found = compiled_dense(spec, REAL.get(spec, ("D=64", "N=64")), "--unmasked", "--dtype", dtype)
    assert not any("_stage" in str(k["kernel"]) for k in found)


@needs_triton
def test_what_is_too_wide_comes_in_stages() -> None:
    found = compiled_dense("lstm", ("D=256", "N=256"), "--unmasked", "--target", "gfx942")
    assert {"LSTM_k1_forward_stage1", "LSTM_k1_backward_stage0", "LSTM_k1_backward_stage1"} <= {str(k["kernel"]) for k in found}


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("spec", DENSE)
def test_products_on_all_targets(spec: str, dtype: str) -> None:
    targets = [word for name in TARGETS for word in ("--target", name)]
    for sizes in (SMALL.get(spec, ("D=4", "N=4")), REAL.get(spec, ("D=64", "N=64"))):
        compiled_dense(spec, sizes, "--dtype", dtype, *targets)

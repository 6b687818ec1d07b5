"""`seqc explain SPEC --device … --shape …`: what each loop takes on a machine, in words and as JSON; predicted beside measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.driver.aot.targets import TARGETS
from seqc.compiler.driver.bench.calibrate import Measured, beside, compared
from seqc.compiler.driver.explain.choices import MachineReport
from seqc.runtime.cost.devices import DEVICES

pytestmark = pytest.mark.usefixtures("width")


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def machine(text: str) -> str:
    """The section about the machine."""
    return text.partition("\nmachine\n")[2]


LONG = """\
  NVIDIA H200 SXM, 1 x 65536 in float32
  {h} with N = 256
    forward: newton: 13.4 ms, bound by the latency chain; runner-up sequential: 26.2 ms, bound by the latency
      chain
      because about 32 iterations, 66 segments, 528 programs beside each other, 63 tiles of 1.43 us one after
        the other; sequential is bound by the latency chain: 8 programs beside each other, 65536 steps of 400
        ns one after the other
    forward and backward: newton: 13.6 ms, bound by the latency chain; runner-up sequential: 52.5 ms, bound by
      the latency chain
    no associative: h: h passes through relu
"""

MANY = """\
  NVIDIA H200 SXM, 64 x 1024 in float32
  {h} with N = 256
    forward: sequential: 421 us, bound by the latency chain; runner-up newton: 5.59 ms, bound by the latency
      chain
      because 64 programs beside each other, 1024 steps of 400 ns one after the other; newton is bound by the
        latency chain: about 32 iterations, 512 programs beside each other, 64 tiles of 1.43 us one after the
        other
    forward and backward: sequential: 841 us, bound by the latency chain; runner-up newton: 5.66 ms, bound by
      the latency chain
    no associative: h: h passes through relu
"""


@pytest.mark.parametrize(("shape", "golden"), [("B=1,T=65536", LONG), ("B=64,T=1024", MANY)])
def test_indrnn_chooses_differently_and_says_why(shape: str, golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "indrnn", "--device", "h200", "--shape", shape)
    assert machine(text) == golden
    assert "on h200: triton" in text


def test_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    modes = {}
    for shape in ("B=1,T=65536", "64x1024"):
        report: dict[str, Any] = json.loads(printed(capsys, "indrnn", "--device", "h200", "--shape", shape, "--format", "json"))
        assert list(report) == ["cells", "machine"]
        found = MachineReport.model_validate_json(json.dumps(report["machine"]))
        (loop,) = found.loops
        assert (found.device, found.title, found.width, loop.body, loop.states) == ("h200", "NVIDIA H200 SXM", 4, "IndRNN", ("h",))
        assert loop.forward is not None and loop.forward.runner_up is not None and loop.sizes == {"N": 256}
        assert {m.mode for m in loop.forward.modes} == {"sequential", "newton", "reference"}
        modes[found.batch] = (loop.forward.mode, loop.forward.runner_up.mode)
    assert modes == {1: ("newton", "sequential"), 64: ("sequential", "newton")}


def test_sizes_stand_in_the_shape(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "mingru:MinGRU", "--device", "h100", "--shape", "B=2,T=128,D=96")
    assert "with N = 96" in text and "NVIDIA H100 SXM, 2 x 128 in float32" in text and "for D = 96" in text
    assert "8 x 4096" in printed(capsys, "mingru:MinGRU", "--device", "h100", "--shape", "T=4096")
    assert main(["explain", "mingru", "--shape", "B=2,Q=3"]) == 2
    assert "has no dim `Q`" in capsys.readouterr().err
    assert main(["explain", "mingru", "--shape", "8"]) == 2
    assert "B=8,T=1024" in capsys.readouterr().err


def test_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "gru", "--device", "h900"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("h900", "cuda", *DEVICES))
    text = machine(printed(capsys, "gru:GRU", "--device", "cpu", "--shape", "8x64"))
    assert "one core, Zen 4, 8 x 64" in text and "sequential:" in text
    assert "machine" not in printed(capsys, "gru:GRU").splitlines(), "figures are for those who ask"
    assert "the cost model knows nothing of mps" in printed(capsys, "gru:GRU", "--device", "mps")
    import torch

    text = " ".join(machine(printed(capsys, "mingru", "--device", "cuda:1")).split())
    assert torch.cuda.is_available() or "there is no cuda:1 here: the figures are for NVIDIA H200 SXM" in text


def test_what_is_no_loop_or_no_kernel_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no loop over time" in machine(printed(capsys, "attention", "--device", "h200"))
    assert "of MinGRU" in machine(printed(capsys, "gated_mixer", "--device", "h200")), "bodies that are called"
    text = machine(printed(capsys, "online_memory", "--device", "h200"))
    assert "a loop over time in Python; no kernel:" in text


def test_one_table_of_limits() -> None:
    assert {t.name: (t.backend, t.arch, t.warp, t.shared) for t in TARGETS.values()} == {
        "sm_80": ("cuda", 80, 32, 166_912), "sm_90": ("cuda", 90, 32, 232_448), "gfx942": ("hip", "gfx942", 64, 65_536),
    }  # fmt: skip
    # two machines of one architecture must not disagree
    for d in DEVICES.values():
        assert not d.arch or TARGETS[d.arch].shared == d.shared


def test_predicted_beside_measured() -> None:
    rows = [
        Measured("indrnn", "h200", 1, 65536, "newton", 0.02),
        Measured("indrnn", "h200", 1, 65536, "sequential", 0.03),
        Measured("indrnn", "h200", 64, 1024, "sequential", 3e-3),
        Measured("indrnn", "h200", 64, 1024, "newton", 1e-3),
        Measured("mingru", "h200", 64, 1024, "newton", 1e-3, dims={"D": 512}),
    ]
    found = compared(rows)
    assert [c.taken for c in found[:4]] == ["newton", "newton", "sequential", "sequential"]
    assert all(c.predicted is not None and c.ratio == c.row.seconds / c.predicted.seconds for c in found[:4])
    assert found[4].predicted is None
    text = beside(rows)
    assert "indrnn at B = 1, T = 65536: the model takes newton, the quickest" in text
    assert "indrnn at B = 64, T = 1024: the model takes sequential, 3.00 times the time of newton" in text
    assert "the loop does not have this mode" in text and "B = 64, T = 1024, D = 512" in text
    assert "bound by the latency chain: measured / predicted" in text

"""`bench --suite gpu`: its rows run end to end without a GPU (`--dry`), it says where there is none, and tables of several runs join."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.driver.bench.suite import gpu, gpu_rows, table
from seqc.compiler.driver.bench.suite.contender import Contender, copies_of
from seqc.compiler.driver.bench.suite.gpu_peers import BUILDERS, checked
from seqc.compiler.driver.bench.suite.gpu_rows import ROWS
from seqc.compiler.driver.bench.suite.place import Budget
from seqc.compiler.driver.bench.suite.report import Figure, Machine, Report
from seqc.compiler.driver.bench.suite.rows import FLOOR, NN, Bar, Case
from seqc.compiler.driver.bench.suite.run import chosen
from seqc.compiler.driver.bench.timing import Timing

torch = pytest.importorskip("torch")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@no_gpu
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--suite", "gpu"]) == 2
    assert "no GPU" in capsys.readouterr().err


def dry(*rows: str) -> Report:
    """Rows in a process of their own: Triton's interpreter has to be on before Triton is imported."""
    pytest.importorskip("triton")
    words = [sys.executable, "-m", "seqc", "bench", "--suite", "gpu", "--dry", "--rows", *rows, "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1700, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return Report.model_validate(json.loads(done.stdout))


def sound(found: Report, rows: tuple[str, ...]) -> None:
    assert found.suite == "gpu" and found.quick and {f.row for f in found.figures} == set(rows)
    bad = [(f.subject, f.against, f.status, f.reason) for f in found.figures if f.status in ("WRONG", "failed")]
    assert not bad
    for f in found.figures:
        assert (f.value is not None) == (f.status == "measured"), f
        assert f.value is not None or f.reason, "no number without a reason"
        assert f.met is None, "tiny sizes are no figures"


@no_gpu
def test_two_rows_run_without_a_gpu() -> None:
    found = dry("G1", "G16")
    sound(found, ("G1", "G16"))
    compared = [f for f in found.figures if f.row == "G1" and f.against == gpu_rows.ASSOCIATIVE]
    assert {f.what for f in compared} == {"forward", "forward+backward"}
    assert all(f.error is not None and f.error < 1e-5 for f in compared)
    assert "no GPU" in found.machine.gpu and "triton" in found.machine.versions


@no_gpu
@pytest.mark.slow
@pytest.mark.parametrize("row", [r.name for r in ROWS])
def test_every_row_runs_without_a_gpu(row: str) -> None:
    sound(dry(row), (row,))


def test_rows_say_what_was_asked() -> None:
    """The table as data against a few of the numbers that were set."""
    assert [r.name for r in ROWS] == ["G1", "G2", "G3", "G10", "G11", "G12", "G16", "G17", "G18"]
    at = {(r.name, c.body, c.sizes, c.dtype): {b.peer: (b.forward, b.both) for b in c.bars} for r in ROWS for c in r.cases}
    first = at["G1", "Scan", "B8 T2048 D4096", "float32"]
    assert first[gpu_rows.ACCELERATED] == (1.0, 1.0) and first[gpu_rows.FLA] == (3.0, 3.0) and first[FLOOR] == (0.85, 0.75)
    assert at["G3", "S6", "B4 T8192 D4096 N16", "float32"][gpu_rows.MAMBA] == (1.3, 1.5)
    assert at["G10", "LSTM", "B64 T512 D512 N512", "bfloat16"][NN] == (0.8, 0.8)
    assert at["G10", "GRU", "B1 T1024 D256 N256", "bfloat16"][NN] == (1.2, 1.2)
    assert at["G11", "SLSTM", "B16 T1024 D768 H6", "bfloat16"][gpu_rows.GRAPHED] == (10.0, 10.0)
    assert at["G12", "ParaGRU", "B1 T65536 D256", "float32"][gpu_rows.BEST] == (0.9, 0.9)
    assert at["G16", "SimpleGLA", "B64 T1 H32 K128 V128", "float32"][gpu_rows.STATE][0] == 0.8
    peers = {b.peer for r in ROWS for c in r.cases for b in c.bars}
    assert set(BUILDERS) <= peers, "no builder without a bar"
    assert chosen(["G3", "G1"], "gpu") == [ROWS[0], ROWS[2]]


def test_floors_count_what_has_to_be_moved() -> None:
    """Of a diagonal scan three arrays forwards and five backwards, as the formulas of the figures have it."""

    class Stand:
        case = Case("cells/gated", "Scan", 2, 3, {"D": 5}, (), exps=2, spared=1)
        x = {"a": torch.zeros(2, 3, 5), "b": torch.zeros(2, 3, 5)}
        weights = torch.zeros(2, 3, 5)

    stand: Any = Stand()
    assert gpu.floors(stand, "forward") == (3 * 4 * 30, 60)
    assert gpu.floors(stand, "forward+backward") == ((3 + 5 + 0) * 4 * 30, 120)


def test_a_peer_whose_backward_refuses_takes_part_forwards() -> None:
    def refuses() -> Any:
        raise RuntimeError("Triton >= 3.4.0 and < 3.7.1 on Hopper GPUs produces incorrect results\nmore")

    y = torch.ones(2)
    one = Contender("FLA", lambda: y, lambda: refuses(), refuses, forward_only=lambda: (y, {}))
    found = checked(one)
    assert found.both is None and "Hopper" in found.why and "\n" not in found.why and found.results() == (y, {})
    with pytest.raises(RuntimeError, match="Hopper"):
        checked(replace(one, forward_only=None))


def test_inputs_on_the_cpu_are_not_copied() -> None:
    x = {"a": torch.zeros(3)}
    assert copies_of(x) == [x]


def report(suite: str, *rows: str, date: str) -> Report:
    gpu = "a GPU" if suite == "gpu" else ""
    machine = Machine(processor="p", cores=1, instructions=(), system="s", compiler="c", versions={}, threads=1, gpu=gpu, load=0)
    figures = tuple(Figure(row=r, subject="s", sizes="", against="a", what="forward", value=1.0) for r in rows)
    return Report(suite=suite, command="c", date=date, quick=False, seconds=1.0, machine=machine, figures=figures)


def test_tables_of_several_runs_join() -> None:
    """Runs on a GPU take ten minutes at most: each replaces its rows and leaves the others, and the processors' part."""
    text = table.markdown(report("cpu", "diagonal", date="first"))
    text = table.markdown(report("gpu", "G3", date="second"), text)
    text = table.markdown(report("gpu", "G1", "G2", date="third"), text)
    text = table.markdown(report("gpu", "G2", date="fourth"), text)
    assert [line[3:].split(":")[0] for line in text.splitlines() if line.startswith("## G")] == ["G1", "G2", "G3"]
    assert all(word in text for word in ("first", "second", "third", "fourth")) and text.count("# Figures\n") == 1
    assert text.count("third") == 1 and text.count(table.GPU) == 1 and text.count("a GPU") == 3 + text.count("# Figures on a GPU")
    again = table.markdown(report("cpu", "diagonal", date="fifth"), text)
    assert "first" not in again and "fifth" in again and again.count("## G") == 3
    assert again.partition(table.GPU)[2] == text.partition(table.GPU)[2]


def test_rows_are_listed() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["bench", "--suite", "gpu", "--rows", "help"]) == 0
    assert [line.split()[0] for line in said.getvalue().splitlines()] == [r.name for r in ROWS]


# ---- the race by events -----------------------------------------------------------------------------------------------


class Timed(gpu.Gpu):
    """A GPU whose events are a table of milliseconds."""

    def __init__(self, ms: dict[str, float]) -> None:
        super().__init__()
        self.ms = ms
        self.ran: list[str] = []

    def _timed(self, run: Any, times: int) -> list[float]:
        return [self.ms[run()] for _ in range(times)]


def contenders(place: Timed) -> list[tuple[str, Any]]:
    return [(who, lambda who=who: place.ran.append(who) or who) for who in place.ms]


def test_short_runs_are_timed_as_graphs_of_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Timed({"quick": 0.01, "slow": 0.2})
    captured = {}

    def graphed(run: Any, times: int = 1) -> Any:
        who = run()
        captured[who] = times
        place.ms[f"{who} graphed"] = 0.004 * times
        return lambda: f"{who} graphed"

    monkeypatch.setattr(gpu, "graphed", graphed)
    found = {t.who: t for t in place.race(contenders(place), Budget(seconds=0.01, turn=0.0, least=3), lambda who: None)}
    assert captured == {"quick": 50, "slow": 3}
    assert found["quick"].median == pytest.approx(0.004) and found["slow"].median == pytest.approx(0.004)
    assert "CUDA graphs" in place.note() and "quick 0.010" in place.note() and "slow 0.200" in place.note()


def test_without_a_graph_everyone_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(run: Any, times: int = 1) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(gpu, "graphed", refuses)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    place = Timed({"quick": 0.01, "slow": 0.2})
    found = {t.who: t.median for t in place.race(contenders(place), Budget(seconds=0.01, turn=0.0, least=2), lambda who: None)}
    assert found == {"quick": pytest.approx(0.01), "slow": pytest.approx(0.2)} and "not permitted" in place.note()
    place = Timed({"long": 3.0, "longer": 4.0})
    found = {t.who: t.median for t in place.race(contenders(place), Budget(seconds=0.01, turn=0.0, least=2), lambda who: None)}
    assert found == {"long": 3.0, "longer": 4.0} and not place.note()


def test_the_choice_of_a_mode_is_held_against_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stand:
        case = Case("cells/nonlinear", "ParaGRU", 1, 100, {"D": 2}, ())
        own = Contender("seqc triton", lambda: 0, None, lambda: (0, {}))

    stand: Any = Stand()
    times = {"seqc triton": Timing("seqc triton", 2.0, 2.0, 2.0, 3)}
    times |= {who: Timing(who, ms, ms, ms, 3) for who, ms in ((gpu_rows.SEQUENTIAL, 5.0), (gpu_rows.NEWTON, 1.5))}
    best = gpu.Gpu().figure({"row": "G12", "subject": "s", "sizes": ""}, stand, Bar(gpu_rows.BEST, 0.9, 0.9), "forward", times)
    assert best is not None and best.value == 0.75 and "newton" in best.reason and best.judged().met is False
    step = gpu.Gpu().figure({"row": "G10", "subject": "s", "sizes": ""}, stand, Bar(gpu_rows.STEP_TIME, 20.0, 5.0), "forward", times)
    assert step is not None and step.value == 20.0 and step.unit == "µs" and step.judged().met is True

"""`bench --suite`: it runs end to end, compares before it counts, and says what it did not measure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.driver.bench.suite import cold, duel, memory
from seqc.compiler.driver.bench.suite.agreement import compared
from seqc.compiler.driver.bench.suite.apart import Apart
from seqc.compiler.driver.bench.suite.by_hand import BY_HAND
from seqc.compiler.driver.bench.suite.contender import Contender
from seqc.compiler.driver.bench.suite.contestants import OWN, Stand, layer_of, peer, stand
from seqc.compiler.driver.bench.suite.raw import recorded
from seqc.compiler.driver.bench.suite.report import Figure, Report
from seqc.compiler.driver.bench.suite.rows import FP32, JAX, LOOP, LSTM_PER_FLOP, MINGRU, NN, ROWS, UNFUSED, Bar, Case, Row
from seqc.compiler.driver.bench.suite.run import QUICK, in_scope, tiny
from seqc.compiler.driver.bench.timing import race
from seqc.compiler.driver.usage import Unusable

torch = pytest.importorskip("torch")

QUICK_ROWS = ("diagonal", "typed", "decode", "cold", "train")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, str]:
    """A quick run of most kinds of rows, as JSON read back; and the Markdown."""
    pytest.importorskip("seqc.runtime.native.toolchain").find_toolchain()
    import contextlib
    import io

    file, before, said = tmp_path_factory.mktemp("suite") / "RESULTS.md", torch.get_num_threads(), io.StringIO()
    words = ["bench", "--suite", "cpu", "--quick", "--rows", *QUICK_ROWS, "--format", "json", "--write", str(file)]
    with contextlib.redirect_stdout(said):
        assert main(words) == 0
    assert torch.get_num_threads() == before, "the suite's threads are its own"
    return Report.model_validate(json.loads(said.getvalue())), file.read_text(encoding="utf-8")


def test_every_kind_of_row_has_figures(report: tuple[Report, str]) -> None:
    found, _ = report
    assert {f.row for f in found.figures} == set(QUICK_ROWS)
    assert not [f for f in found.figures if f.status in ("WRONG", "failed")]
    assert all((f.value is not None) == (f.status == "measured") for f in found.figures)
    assert all(f.reason for f in found.figures if f.value is None), "no number without a reason"
    assert all(f.met is None for f in found.figures), "tiny sizes are no figures"
    assert found.machine.threads == 1 and found.machine.versions["torch"] == torch.__version__


def test_ratios_are_the_peers_time_over_ours_and_were_compared(report: tuple[Report, str]) -> None:
    loops = [f for f in report[0].figures if f.against == LOOP and f.row == "diagonal" and f.value is not None]
    assert {f.what for f in loops} == {"forward", "forward+backward"}
    for f in loops:
        assert f.ours is not None and f.theirs is not None and f.value == f.theirs.median / f.ours.median
        assert f.error is not None and f.error < 1e-5


def test_results_file_names_machine_versions_and_command(report: tuple[Report, str]) -> None:
    found, text = report
    assert found.machine.processor in text and f"torch {torch.__version__}" in text
    assert "seqc bench --suite cpu --rows diagonal typed decode cold train --quick" in text and found.date in text
    assert all(f"## {row.title}" in text for row in ROWS if row.name in QUICK_ROWS)


def test_the_table_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--suite", "cpu", "--rows", "help"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [r.name for r in ROWS]
    assert main(["bench", "--suite", "cpu", "--quick", "--rows", "typed"]) == 0
    out = capsys.readouterr().out
    assert "Typed" in out and LOOP in out and "as asked" in out


WRONG = [["--suite", "cpu", "lstm"], ["--suite", "cpu", "--rows", "diagnal"], [], ["lstm", "--quick"], ["--suite", "tpu"]]


@pytest.mark.parametrize("words", [*WRONG, ["--suite", "cpu", "--dry"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    assert capsys.readouterr().err


# ---- comparing --------------------------------------------------------------------------------------------------------

CASE = Case("cells/gated", "MinGRU", 2, 9, {"D": 5}, (Bar(LOOP, 2.0, 3.0), Bar("nobody has it", 1.0, 1.0)))
ROW = Row("gated", "a row", "race", (CASE,))


def planted(change: Callable[[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]) -> Callable[[str, Stand], Contender]:
    """A finder of peers whose loop gives other results than it should."""

    def find(name: str, s: Stand) -> Contender:
        right = peer(name, s)
        return replace(right, results=lambda: change(*right.results()))  # type: ignore[arg-type]

    return find


def last_entry(y: Any, grads: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    y = y.clone()
    y[-1, -1, -1] += 0.01
    return y, grads


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (last_entry, "output"),
        (lambda y, grads: (y, {**grads, "g": grads["g"] * 1.01}), "gradient of g"),
        (lambda y, grads: (y * float("nan"), grads), "output"),
        (lambda y, grads: (y[:, :-1], grads), "output"),
        (lambda y, grads: (y, {**grads, "nobody": grads["g"]}), "gradient of nobody"),
    ],
)
def test_a_wrong_peer_is_called_wrong_and_has_no_ratio(change: Any, where: str) -> None:
    found = duel.measured(ROW, CASE, QUICK, lambda what: None, planted(change))
    wrong = [f for f in found if f.against == LOOP]
    assert [(f.what, f.asked) for f in wrong] == [("forward", 2.0), ("forward+backward", 3.0)]
    assert all(f.status == "WRONG" and f.value is None and f.judged().met is None and where in f.reason for f in wrong)


def test_a_peer_that_is_not_there_or_fails_is_named() -> None:
    found = duel.measured(ROW, CASE, QUICK, lambda what: None)
    missing = [f for f in found if f.against != LOOP]
    assert {f.status for f in missing} == {"skipped"} and all("nobody" in f.reason for f in missing)
    assert {f.status for f in found if f.against == LOOP} == {"measured"}

    def failing(name: str, s: Stand) -> Contender:
        raise ZeroDivisionError("a library's own mistake")

    found = duel.measured(ROW, CASE, QUICK, lambda what: None, failing)
    assert {(f.status, f.reason) for f in found} == {("failed", "a library's own mistake")}


def test_a_case_that_needs_other_instructions_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(r for r in ROWS if r.name == "bf16-dense")
    monkeypatch.setattr(duel, "instructions", lambda: {"avx2"})
    found = duel.measured(row, tiny(row.cases[0]), QUICK, lambda what: None)
    assert {(f.status, f.reason) for f in found} == {("skipped", "this machine has no avx512_bf16")}


def test_thresholds_may_flip_on_roundings_and_no_more() -> None:
    a, b = torch.zeros(1, 1000), torch.zeros(1, 1000)
    b[0, :1] = 1.0
    assert not compared((a, {}), (b, {}), 1e-4).right
    assert compared((a, {}), (b, {}), 1e-4, flips=2e-3).right
    b[0, :5] = 1.0
    assert not compared((a, {}), (b, {}), 1e-4, flips=2e-3).right


def test_figures_are_judged_by_their_sense() -> None:
    f = Figure(row="r", subject="s", sizes="", against="a", what="forward", value=2.0, asked=1.5)
    assert f.judged().met is True and f.model_copy(update={"sense": "at most"}).judged().met is False
    assert f.model_copy(update={"asked": None}).judged().met is None


# ---- peers ------------------------------------------------------------------------------------------------------------

CASES = {(c.spec, c.body, tuple(c.dims)): c for r in ROWS for c in r.cases}.values()


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.body}-{'-'.join(c.dims)}")
def test_loops_by_hand_compute_what_the_specs_say(case: Case) -> None:
    """The reference's values and gradients, for every cell of the suite; libraries too, where they are installed."""
    small = replace(tiny(case), dtype="float32")
    s = stand(small, backend="reference")
    y, grads = s.own.results()
    others = [b.peer for b in case.bars if b.peer in ("torch.nn", "mambapy", "transformers slow path", "pararnn-torch")]
    for name in ([LOOP] if case.body in BY_HAND and "H" not in case.dims or case.body in ("Aaren", "RWKV4") else []) + others:
        try:
            theirs = peer(name, s)
        except ImportError:
            assert name != LOOP and name != NN
            continue
        found = compared((y, theirs.regrouped(grads)), theirs.results(), 2e-5, case.flips)
        assert found.right, (name, found)
        assert len(theirs.results()[1]) >= (1 if name not in (LOOP, NN) else len(s.x)), "gradients were compared"


@pytest.mark.parametrize("body", ["MinGRU", "LRU"])
def test_gates_in_torch_around_the_own_scan_compute_the_same(body: str) -> None:
    s = stand(Case("cells/gated", body, 2, 9, {"D": 5}, ()))
    theirs = peer(UNFUSED, s)
    y, grads = s.own.results()
    assert compared((y, grads), theirs.results(), 2e-5).right


@pytest.mark.parametrize("body", ["LRU", "LIF", "SLSTM"])
def test_jax_computes_the_same(body: str) -> None:
    pytest.importorskip("jax")
    case = next(c for r in ROWS for c in r.cases if c.body == body)
    s = stand(tiny(case), backend="reference")
    found = compared(s.own.results(), peer(JAX, s).results(), 5e-5, case.flips)
    assert found.right, found


def test_own_cells_beside_each_other() -> None:
    s = stand(Case("cells/gated", "Typed", 2, 9, {"D": 5}, (Bar(MINGRU, 1.25, 1.25),)))
    assert not peer(MINGRU, s).compare
    half = stand(Case("cells/gated", "Scan", 2, 9, {"D": 5}, (), dtype="bfloat16"))
    full = peer(FP32, half)
    assert full.results()[0].dtype == torch.float32 and compared(half.own.results(), full.results(), 4e-2).right


def test_time_per_flop_counts_the_products_of_a_step() -> None:
    by_name = {c.body: c for r in ROWS for c in r.cases if LSTM_PER_FLOP in [b.peer for b in c.bars] and c.dims["D"] == 128}
    assert {k: duel._flops(c) / 128**2 for k, c in by_name.items()} == {
        "LSTMPeephole": 16, "SLSTM": 10, "LeakyRNN": 4, "Jordan": 6,
    }  # fmt: skip
    assert duel._lstm_flops(by_name["Jordan"]) / 128**2 == 16


# ---- measuring --------------------------------------------------------------------------------------------------------


def test_a_turn_is_as_many_runs_as_fit_and_its_first_is_not_counted() -> None:
    calls: list[str] = []
    found = race([(who, lambda who=who: calls.append(who)) for who in "ab"], seconds=10.0, least=4, most=4, turn=0.002)  # type: ignore[misc]
    after = calls[2:]
    assert [who for i, who in enumerate(after) if i == 0 or after[i - 1] != who] == list("ababa"), "ab, ba, ab, ba"
    for t in found:
        assert t.runs > 4 and t.runs == calls.count(t.who) - 1 - 4, "warm-up, and the first of each turn, do not count"


def test_long_runs_are_a_turn_each() -> None:
    import time

    (found,) = race([("slow", lambda: time.sleep(0.004))], seconds=10.0, least=3, most=3, turn=0.001)
    assert found.runs == 3 and found.median >= 4.0


def test_kernels_are_called_again_without_what_is_around_them() -> None:
    layer = layer_of("cells/gated", "Scan", {"D": 4})
    a, b = torch.rand(2, 7, 4) * 0.9 + 0.05, torch.randn(2, 7, 4)
    with torch.no_grad():
        calls = recorded(lambda: layer(a=a, b=b))
        assert len(calls.calls) == 1
        made = calls.kept[0][1][0]
        right = made.clone()
        made.zero_()
        calls.again()
        assert torch.equal(made, right) and float(right.abs().sum()) > 0
        # operands that have to be converted first are held
        calls = recorded(lambda: layer(a=a.transpose(0, 2).contiguous().transpose(0, 2), b=b))
        calls.again()
        assert torch.equal(calls.kept[0][1][0], right)
        assert not recorded(lambda: layer_of("cells/gated", "Scan", {"D": 4}, "reference")(a=a, b=b)).calls


def test_memory_is_judged_against_the_loop_and_for_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(case: Case, who: str, threads: int) -> int:
        return case.time * 1000 if who == OWN else case.time * 8000

    row = next(r for r in ROWS if r.kind == "memory")
    monkeypatch.setattr(memory, "_peak", peak)
    found = [f.judged() for f in memory.measured(row, (10, 40), 1, lambda what: None)]
    assert [(f.against, f.value, f.met) for f in found] == [(LOOP, 0.125, True), (LOOP, 0.125, True), ("linear in T", 1.0, True)]
    monkeypatch.setattr(memory, "_peak", lambda case, who, threads: case.time**2)
    assert [f.judged().met for f in memory.measured(row, (10, 40), 1, lambda what: None)] == [False, False, False]

    def broken(case: Case, who: str, threads: int) -> int:
        raise Apart("[SEQ0604] no kernel for it")

    monkeypatch.setattr(memory, "_peak", broken)
    assert {f.status for f in memory.measured(row, (10, 40), 1, lambda what: None)} == {"no kernel"}


def test_a_childs_failure_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(r for r in ROWS if r.kind == "cold")
    found = cold.measured(row, [("no_such_spec", "Nothing", {"D": 1})], (), lambda what: None)
    assert [(f.status, f.value) for f in found] == [("failed", None)] and found[0].reason


@pytest.mark.slow
def test_peak_memory_sees_what_torch_and_compiled_code_take() -> None:
    """Of a scan over T steps at least the output and two gradients; the loop by hand takes more than that."""
    row = Row("memory", "", "memory", (Case("cells/gated", "Scan", 1, 1, {"D": 512}, ()),))
    figure, *_ = memory.measured(row, (8192,), 1, lambda what: None)
    ours, theirs = (float(w) for w in (figure.reason.split()[0], figure.reason.split()[3]))
    array = 8192 * 512 * 4 / 1e6
    assert 2 * array <= ours <= 5 * array < theirs


def test_the_scope_is_every_cell_but_those_left_out() -> None:
    names = [spec for spec, _, _ in in_scope()]
    assert "cells.lstm" in names and "cells.rwkv4" in names and "cells.deltanet" not in names and len(names) >= 30


def test_rows_say_what_was_asked() -> None:
    """The table as data against a few of its numbers."""
    at = {(r.name, c.body, c.sizes): {b.peer: (b.forward, b.both) for b in c.bars} for r in ROWS for c in r.cases}
    assert at["diagonal", "Scan", "B2 T1024 D512"][LOOP] == (30, 40)
    assert at["diagonal", "Scan", "B8 T2048 D1024"][JAX] == (4, 4)
    assert at["dense", "GRU", "B1 T256 D128 N128"][NN] == (2, 4) and at["dense", "LSTM", "B64 T64 D512 N512"][NN] == (0.9, 0.95)
    assert at["nonlinear", "ParaGRU", "B8 T1024 D512 H1"]["pararnn-torch"] == (5, 5)
    assert at["cascades", "Aaren", "B2 T1024 H8 V64"] == {LOOP: (20, 25), JAX: (3, 3)}


def test_an_unknown_row_is_refused() -> None:
    from seqc.compiler.driver.bench.suite.run import chosen

    with pytest.raises(Unusable, match="no row"):
        chosen(["gatd"])
    assert chosen([]) == list(ROWS)


def test_gradients_that_are_zero_but_for_roundings_are_held_to_the_largest_of_all() -> None:
    """What a bias gets that cancels: noise, more of it in 16 bits. A gradient that is not small is not let through by that."""
    y, large, noise = torch.ones(4), torch.full((4,), 8.0), torch.tensor([1e-5, -1e-5, 0.0, 0.0])
    ours, theirs = {"w": large, "b": noise}, {"w": large, "b": -noise}
    assert compared((y, ours), (y, theirs), 5e-4).error < 5e-3 and not compared((y, ours), (y, {**theirs, "b": noise + 1.0}), 5e-4).right
    ours, theirs = {"w": large, "b": 1e3 * noise}, {"w": large, "b": -1e3 * noise}
    assert not compared((y, ours), (y, theirs), 5e-4).right and compared((y, ours), (y, theirs), 4e-2).right
    assert not compared((y, ours), (y, {**theirs, "b": 1e3 * noise + 0.5}), 4e-2).right

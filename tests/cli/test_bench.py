"""`bench` takes turns, says what it measured, and puts a peer beside each spec."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.driver.bench.peers import PEERS, peers_of
from seqc.compiler.driver.bench.timing import race
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.sizes import defaults
from seqc.compiler.driver.target import Target
from seqc.compiler.driver.verify.executors import EXECUTORS

torch = pytest.importorskip("torch")


def test_everyone_runs_equally_often_and_in_turns() -> None:
    calls: list[str] = []
    found = race([(who, lambda who=who: calls.append(who)) for who in "abc"], seconds=60.0, most=6)  # type: ignore[misc]
    assert [t.who for t in found] == ["a", "b", "c"] and {t.runs for t in found} == {6}
    assert calls[:3] == ["a", "b", "c"], "once to warm up"
    assert "".join(calls[3:]) == "abcbcacab" * 2, "the first changes from round to round"


def test_medians_and_quartiles() -> None:
    import time

    slow, quick = race([("slow", lambda: time.sleep(0.004)), ("quick", lambda: None)], seconds=0.0, least=5)
    assert slow.median >= 4.0 > quick.median
    assert slow.low <= slow.median <= slow.high


def test_a_slow_contender_ends_it_after_two_rounds() -> None:
    import time

    (found,) = race([("slow", lambda: time.sleep(0.02))], seconds=0.001, least=50)
    assert found.runs < 50


@pytest.mark.parametrize(("spec", "body"), PEERS)
def test_peers_have_the_shapes_of_what_they_stand_beside(spec: str, body: str) -> None:
    """Each peer that can be built here maps [batch, time, D] to as many numbers as the spec gives out."""
    (found,) = [b for b in compiled(Target(spec)).bodies if b.name == body]
    sizes = defaults(found, {"D": 64})
    (out,) = found.outs
    axes = found.table[out].axes or ()
    width = 1
    for axis in axes:
        width *= sizes[axis]
    modules, notes = peers_of(spec, body, sizes)
    assert all("not installed" in note for note in notes), notes
    for name, module in modules:
        with torch.no_grad():
            y: Any = module(torch.randn(2, 5, sizes["D"]))
        assert y.shape[:2] == (2, 5) and y[0, 0].numel() == width, name


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "gru", "--set", "D=8", "--shape", "2x6", "--seconds", "0.05", "--threads", "1", "--format", "json"]
    before = torch.get_num_threads()
    try:
        assert main(words) == 0
    finally:
        torch.set_num_threads(before)
    record = json.loads(capsys.readouterr().out)
    assert record["sizes"] == {"D": 8, "N": 8} and (record["batch"], record["time"], record["threads"]) == (2, 6, 1)
    rows = {(r["what"], r["who"]): r for r in record["rows"]}
    own = ["reference"] if EXECUTORS[1].missing() else ["reference", "native"]
    assert set(rows) == {(what, who) for what in ("forward", "forward+backward", "step") for who in (*own, "torch.nn.GRU")}
    for r in rows.values():
        assert 0 < r["low_ms"] <= r["median_ms"] <= r["high_ms"] and r["runs"] >= 2
    assert min(rows["forward", who]["ratio"] for who in own) == 1.0


def test_text_and_the_loop_for_what_no_library_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "indrnn", "--set", "D=8", "--shape", "2x6", "--seconds", "0.02"]) == 0
    text = capsys.readouterr().out
    assert "torch loop of step" in text and "median ms" in text and "batch 2, 6 steps, D = 8" in text

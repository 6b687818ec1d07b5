"""`seqc train` as it is typed: options, messages, and small runs of bundled models from start to sample."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from seqc.compiler.cli import train
from seqc.compiler.cli.main import main
from seqc.compiler.driver.usage import Unusable

SMALL = ["--set", "D=16", "--set", "L=1", "--batch", "4", "--length", "16", "--sample", "20", "--threads", "1"]


def asked(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    train.arguments(parser)
    return train.asked(parser.parse_args(words))


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "text.txt"
    file.write_bytes(b"".join(b"line %d of a text that is easy to learn\n" % n for n in range(600)))
    return str(file)


def test_only_what_was_given() -> None:
    assert asked() == {}
    assert asked("char_lm", "--set", "D=256,L=2", "--hole", "Mixer=gla", "--steps", "9", "--data", "a", "b") == {
        "spec": "char_lm",
        "body": "",
        "dims": {"D": 256, "L": 2},
        "holes": {"Mixer": "gla"},
        "steps": 9,
        "data": ("a", "b"),
    }
    assert asked("char_lm:CharLM")["body"] == "CharLM"
    for wrong in (["--hole", "Mixer"], ["--hole", "=gla"], ["--set", "D=x"]):
        with pytest.raises(Unusable):
            asked(*wrong)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["char_lmm"], "did you mean `char_lm`"),
        (["char_lm", "--hole", "Mixr=gla"], "did you mean `Mixer`"),
        (["char_lm", "--hole", "Mixer=glaa"], "did you mean"),
        (["char_lm", "--set", "E=5"], "no dim `E`"),
        (["char_lm", "--data", "not/there"], "no file or folder"),
        (["char_lm", "--steps", "0"], "--steps"),
        (["char_lm", "--resume"], "no checkpoint"),
        (["encoder", "--steps", "1"], "looks ahead"),
        (["gru", "--steps", "1"], "error"),
    ],
)
def test_mistakes(
    words: list[str],
    message: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--data" not in words:
        words = [*words, "--data", text]
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/*")), "nothing is left behind"


@pytest.mark.slow
def test_a_small_run(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["train", "--data", text, *SMALL, "--out", str(out)]
    assert main([*words, "--steps", "12"]) == 0
    shown = capsys.readouterr().out
    assert "bits/byte" in shown and "zlib" in shown and "lzma" in shown and "│ def " in shown
    assert {"checkpoint.safetensors", "loss.svg", "log.csv", "sample.txt", "result.json"} == {p.name for p in out.iterdir()}
    assert main(words) == 2, "a run is not overwritten"
    capsys.readouterr()
    assert main(["train", "--resume", "--out", str(out), "--steps", "20", "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"] == 20 and result["model"] == "CharLM"
    assert main(["train", "--resume", "--out", str(out), "--batch", "5"]) == 2
    assert "batch = 4" in capsys.readouterr().err


@pytest.mark.slow
def test_resuming_a_bundled_model_changes_nothing(text: str, tmp_path: Path) -> None:
    from seqc.compiler.driver.train.model import build
    from seqc.compiler.driver.train.options import TrainOptions
    from seqc.compiler.driver.train.run import train as run

    def interrupt(moment: Any) -> bool:
        if moment.step == 5:
            raise KeyboardInterrupt
        return False

    dims = {"D": 16, "L": 1}
    options = TrainOptions.make(dims=dims, data=(text,), steps=12, batch=4, length=16, carry=4, sample=20, threads=1)
    whole = run(options, tmp_path / "whole", build)
    with pytest.raises(KeyboardInterrupt):
        run(options, tmp_path / "parts", build, until=interrupt)
    parts = run(options, tmp_path / "parts", build, resume=True)
    assert parts.score == whole.score and parts.sample == whole.sample
    logs = [(tmp_path / folder / "log.csv").read_text().splitlines() for folder in ("whole", "parts")]
    assert [line.split(",")[4] for line in logs[0]] == [line.split(",")[4] for line in logs[1]]


@pytest.mark.slow
@pytest.mark.parametrize("mixer", ["gla", "gru", "attention", "window_attention"])
def test_other_mixers(mixer: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--data", text, *SMALL, "--out", str(tmp_path / "o"), "--hole", f"Mixer={mixer}", "--score", "600"]
    assert main([*words, "--steps", "3", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 3


@pytest.mark.slow
def test_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    words = ["train", "--task", "digits", "--set", "P=8", "--set", "D=16", "--threads", "1", "--out", str(tmp_path / "o")]
    assert main([*words, "--steps", "60", "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "DigitsClassifier" and result["others"]["accuracy"] > 0.3

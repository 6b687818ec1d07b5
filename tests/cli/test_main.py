"""The command line as a whole: exit codes, help, streams, bugs in seqc, start-up time."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from seqc.compiler.cli import main as entry
from seqc.compiler.cli.main import COMMANDS, main

GOOD = """seq 1
cell Mine over t:
    dim D
    in x : [D]
    state h : [D] init 0
    h = 0.5 * h[t-1] + x
    out h
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "mine.seq"
    path.write_text(GOOD, encoding="utf-8")
    return path


def seqc(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seqc.compiler.cli.main", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def fastest(*words: str) -> float:
    """Seconds of the fastest of five starts, as they are on a machine with nothing else to do: those the process ran."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert seqc(*words).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


# ---- usage ------------------------------------------------------------------------------------------------------------


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS) and "exit codes" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: seqc {command}") and "exit codes" in text


@pytest.mark.parametrize(
    "words",
    [
        ["chekc"], ["--nonsense"], ["check"], ["check", "--format", "xml", "gru"], ["compile", "gru", "--backend", "fast"],
        ["compile", "gru", "--scan", "paralel", "-o", "-"], ["explain", "gru", "--set", "D"], ["explain", "SEQ9999"],
        ["bench", "gru", "--shape", "wide"], ["cache", "empty"], ["explain", "gru", "--stage", "parse"],
    ],
)  # fmt: skip
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    streams = capsys.readouterr()
    assert "error" in streams.err and "Traceback" not in streams.err


def test_near_commands_are_offered(capsys: pytest.CaptureFixture[str]) -> None:
    main(["chekc"])
    assert "`check`" in capsys.readouterr().err


def test_no_words_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


# ---- check and fmt ----------------------------------------------------------------------------------------------------


def test_check(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good), "gru"]) == 0
    assert capsys.readouterr().out.count(": ok") == 2
    assert main(["check", "-q", str(good)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["check", str(good.parent)]) == 0, "a folder stands for its specs"


def test_check_goes_on_and_is_as_bad_as_the_worst(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.seq"
    bad.write_text(GOOD.replace("h[t-1]", "h"), encoding="utf-8")
    assert main(["check", str(bad), str(good)]) == 1
    streams = capsys.readouterr()
    assert "bad.seq: 1 error" in streams.out and "mine.seq: ok" in streams.out and "SEQ0301" in streams.err
    assert main(["check", "--format", "json", str(bad), str(good)]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["ok"] is False
    assert [(d["spec"], d["code"], d["line"]) for d in record["diagnostics"]] == [(str(bad), "SEQ0301", 6)]


def test_colour_only_where_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.seq"
    bad.write_text(GOOD.replace("h[t-1]", "h"), encoding="utf-8")
    main(["check", str(bad)])
    assert "\x1b" not in "".join(capsys.readouterr())
    main(["check", "--color", "always", str(bad)])
    assert "\x1b" in capsys.readouterr().err


def test_fmt(good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["fmt", "--check", str(good)]) == 0
    good.write_text(GOOD.replace("0.5 * h[t-1] + x", "0.5*h[t-1]+x   # a comment"), encoding="utf-8")
    good.chmod(0o640)
    assert main(["fmt", "--check", str(good)]) == 1
    assert main(["fmt", "--diff", str(good)]) == 0
    assert "-    h = 0.5*h[t-1]+x" in capsys.readouterr().out
    assert main(["fmt", str(good)]) == 0
    assert good.read_text(encoding="utf-8") == GOOD.replace("+ x", "+ x  # a comment")
    assert good.stat().st_mode & 0o777 == 0o640
    assert main(["fmt", "--check", str(good)]) == 0
    assert not [p for p in good.parent.iterdir() if p.name.startswith(".seqc")]


def test_fmt_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace(" * ", "*")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == GOOD


def test_fmt_leaves_broken_files_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.seq"
    bad.write_text("seq 1\ncell Mine over t\n    dim D\n", encoding="utf-8")
    before = bad.read_bytes()
    assert main(["fmt", str(bad)]) == 1
    assert bad.read_bytes() == before and "SEQ01" in capsys.readouterr().err


# ---- bugs in seqc -----------------------------------------------------------------------------------------------------


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes the second stage of the pipeline fail."""
    from dataclasses import replace

    from seqc.compiler.driver import pipeline

    def fail(run: object) -> object:
        raise error

    stages = list(pipeline.STAGES)
    stages[1] = replace(stages[1], make=fail)
    monkeypatch.setattr(pipeline, "STAGES", tuple(stages))


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), RecursionError("deep"), KeyError("x\ny"), AssertionError()])
def test_a_bug_is_told_as_a_bug(
    error: Exception, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch, error)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("SEQC_DEBUG", raising=False)
    assert main(["check", str(good)]) == 3
    text = capsys.readouterr().err
    assert "SEQ0901" in text and "bug in seqc" in text and "last good stage: syntax" in text
    assert "Traceback" not in text
    report = Path(next(line.split(": ", 1)[1] for line in text.splitlines() if "report" in line and ".txt" in line))
    assert report.parent == tmp_path and report.stat().st_mode & 0o077 == 0
    body = report.read_text(encoding="utf-8")
    assert GOOD in body and type(error).__name__ in body and "command: seqc check" in body


def test_debugging_shows_the_traceback(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch, ZeroDivisionError("oh"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("SEQC_DEBUG", "1")
    assert main(["check", str(good)]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_does_not_hide_a_bug(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken(monkeypatch, ZeroDivisionError("oh"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert main(["check", str(good)]) == 3
    assert "SEQ0901" in capsys.readouterr().err


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_run", stop)
    assert main(["check", "gru"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m seqc.compiler.cli.main explain SEQ0301 | head -0",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr and "Error" not in done.stderr


# ---- start-up ---------------------------------------------------------------------------------------------------------


def test_help_is_quick() -> None:
    assert fastest("--help") < 0.3


def test_check_is_quick() -> None:
    assert fastest("check", "mamba2") < 1.0


@pytest.mark.parametrize(
    "words",
    [
        ["--help"], ["check", "mamba2"], ["fmt", "--check", "gru"], ["list"], ["explain", "gru"], ["explain", "SEQ0301"],
        ["train", "--help"], ["graph", "gru", "-o", "-"],
    ],
)  # fmt: skip
def test_no_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom seqc.compiler.cli.main import main\n"
        f"code = main({words!r})\n"
        "heavy = [m for m in ('torch', 'numpy', 'triton') if m in sys.modules]\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_module_and_command_agree() -> None:
    assert seqc("--version").stdout.startswith("seqc ")

"""The examples run, and show what they say."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqc.compiler.cli.main import main as seqc

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def loaded(name: str) -> dict[str, Any]:
    """The names that an example defines."""
    return runpy.run_path(str(EXAMPLES / name), run_name="example")


def test_each_has_a_text_beside_it() -> None:
    programs = sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))
    assert len(programs) >= 4
    for path in programs:
        text = path.with_suffix(".md").read_text(encoding="utf-8")
        assert f"python examples/{path.name}" in text
        assert len(path.read_text(encoding="utf-8").splitlines()) < 80


def test_own_cell_learns(capsys: pytest.CaptureFixture[str]) -> None:
    first, last = loaded("01_own_cell.py")["main"]()
    assert last < 0.25 * first
    assert "h.linear.x" in capsys.readouterr().out
    code = [line for line in (EXAMPLES / "leaky.seq").read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(code) <= 10


def test_language_model_learns() -> None:
    first, last = loaded("02_language_model.py")["main"]()
    assert first > 7.0 and last < 5.0


def test_streaming_is_exact() -> None:
    assert loaded("03_streaming.py")["main"]() < 1e-5


def test_report_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    found = loaded("04_explain.py")["main"]()
    assert "newton" in found["gru"] and "associative" in found["mamba2"] and "chunked" in found["gated_deltanet"]
    assert "newton" not in found["lif"]
    assert "because" in capsys.readouterr().out


@pytest.mark.parametrize("spec", sorted(EXAMPLES.glob("*.seq")), ids=lambda p: p.name)
def test_specs_are_clean(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seqc(["check", str(spec)]) == 0
    assert "warning" not in capsys.readouterr().out
    assert seqc(["fmt", "--check", str(spec)]) == 0


def test_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "03_streaming.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "differ by" in done.stdout

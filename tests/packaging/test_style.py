"""ruff and mypy are part of the tests."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_ruff() -> None:
    if not find_spec("ruff"):
        pytest.skip("ruff is not installed")
    run("ruff", "check", "--no-cache", ".")


def test_mypy_strict() -> None:
    if not find_spec("mypy"):
        pytest.skip("mypy is not installed")
    run("mypy")

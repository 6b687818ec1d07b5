"""What has to start fast does, and what promises not to load torch does not."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = 5


def seconds(*command: str) -> float:
    """The median wall time of a command, file caches warm."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=ROOT / "tests")
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_time(limit: float, measure: object) -> None:
    """A busy machine gets several tries; a slow program fails them all."""
    assert callable(measure)
    found = []
    for attempt in range(4):
        found.append(measure())
        if found[-1] < limit:
            return
        time.sleep(2.0 * attempt)
    raise AssertionError(f"{min(found) * 1000:.0f} ms at best, {limit * 1000:.0f} ms allowed (load {os.getloadavg()[0]:.1f})")


def torch_loaded(code: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", code + "\nimport sys; print('torch' in sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT / "tests",
    )
    return done.stdout.strip().endswith("True")


@pytest.mark.slow
def test_import_is_fast() -> None:
    def beyond_torch() -> float:
        return seconds("-c", "import torch, seqc") - seconds("-c", "import torch")

    in_time(0.2, beyond_torch)


@pytest.mark.slow
def test_help_is_fast() -> None:
    in_time(0.3, lambda: seconds("-m", "seqc", "--help"))


@pytest.mark.slow
def test_check_is_fast() -> None:
    in_time(1.0, lambda: seconds("-m", "seqc", "check", "mamba2"))


def command(*words: str) -> str:
    return (
        f"import sys; sys.argv = {['seqc', *words]!r}\n"
        "from seqc.compiler.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code, e.code"
    )


@pytest.mark.parametrize("words", [("--help",), ("check", "gru"), ("train", "--help"), ("list",)], ids=" ".join)
def test_commands_without_torch(words: tuple[str, ...]) -> None:
    assert not torch_loaded(command(*words))


def test_fmt_without_torch(tmp_path: Path) -> None:
    file = tmp_path / "gru.seq"
    file.write_bytes((ROOT / "specs" / "cells" / "gru.seq").read_bytes())
    assert not torch_loaded(command("fmt", str(file)))


def test_facade_without_torch() -> None:
    assert not torch_loaded("import seqc")

"""What the README says can be done can be done: its specs check, its commands exist, CI runs the same command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from seqc.compiler.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def marked(name: str) -> str:
    """The command after its mark."""
    found = re.search(rf"<!-- command: {name} -->\n```sh\n(.*?)\n```", README, re.S)
    assert found
    return found[1]


@pytest.mark.parametrize("number", range(len(blocks("seq"))))
def test_specs_check(number: int, tmp_path: Path) -> None:
    file = tmp_path / "readme.seq"
    file.write_text(blocks("seq")[number], encoding="utf-8")
    assert main(["check", str(file)]) == 0
    assert main(["fmt", "--check", str(file)]) == 0


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_runs(number: int, tmp_path: Path) -> None:
    environment = {**os.environ, "SEQC_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", blocks("python")[number]], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_in_the_table() -> None:
    listed = re.findall(r"^\| `seqc (\w+)", README, re.M)
    assert sorted(listed) == sorted(COMMANDS)


def test_two_commands() -> None:
    for name in ("train", "tests"):
        command = marked(name)
        assert "\n" not in command and command.startswith("python3 -m venv .venv && ")
    assert marked("train").endswith("seqc train") and marked("tests").endswith("-m pytest")


def test_training_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of every `seqc train` in the README are ones that the command has."""
    import argparse

    from seqc.compiler.cli import train

    parser = argparse.ArgumentParser()
    train.arguments(parser)
    lines = [line.split("#")[0] for block in blocks("sh") for line in block.splitlines() if "seqc train" in line]
    assert len(lines) >= 5
    for line in lines:
        words = shlex.split(line)
        parser.parse_args(words[[w.endswith("seqc") for w in words].index(True) + 2 :])


def test_ci_runs_that_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "command: tests" in text and "constraints.txt" in text
    assert "torch==" in (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text

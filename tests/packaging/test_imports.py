"""Imports go one way, and what must start fast or stand alone imports little. Read from the source, not from a run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDER = ["diagnostics", "ir", "frontend", "check", "graph", "analysis", "plan", "lower", "emit", "driver", "cli", "facade"]
TORCH_ALLOWED = ("compiler/driver/", "compiler/cli/bench.py")
"""Only what runs a generated module (train, verify, bench) imports torch; that no command does so early, test_start.py sees."""


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, wherever in it, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            assert node.module
            yield node.module, node.lineno
            if node.module.split(".")[0] == "seqc":
                for alias in node.names:
                    yield f"{node.module}.{alias.name}", node.lineno


def files(folder: str) -> list[Path]:
    return sorted(file for file in (ROOT / folder).rglob("*.py"))


def stage(file: Path) -> str:
    below = file.relative_to(ROOT / "compiler").parts
    return below[0] if len(below) > 1 else ""


@pytest.mark.parametrize("file", files("compiler"), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_compiler_imports_go_one_way(file: Path) -> None:
    own = stage(file)
    if not own:
        return
    assert own in ORDER, f"{own} is no stage"
    for name, line in imports(ast.parse(file.read_text(encoding="utf-8"))):
        parts = name.split(".")
        where = f"{file.relative_to(ROOT)}:{line}"
        assert parts[0] not in {"compiler", "runtime", "specs"}, f"{where}: write seqc.{parts[0]}"
        if parts[:2] == ["seqc", "compiler"] and len(parts) > 2:
            assert ORDER.index(parts[2]) <= ORDER.index(own), f"{where}: {own} must not import {parts[2]}"
        elif parts[0] == "seqc" and parts[1:2] != ["runtime"] and parts[1:2] != ["specs"] and parts[1:2] != ["compiler"]:
            assert own in {"cli", "facade"}, f"{where}: only cli and facade may import the facade"
        if parts[0] in {"torch", "triton", "sklearn", "fla", "transformers"}:
            inside = file.relative_to(ROOT).as_posix()
            assert inside.startswith(TORCH_ALLOWED), f"{where}: {parts[0]} is not for the compiler"


@pytest.mark.parametrize("file", files("runtime"), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_runtime_needs_torch_only(file: Path) -> None:
    """What an emitted module sees: torch, the standard library, and the runtime itself."""
    for name, line in imports(ast.parse(file.read_text(encoding="utf-8"))):
        parts = name.split(".")
        where = f"{file.relative_to(ROOT)}:{line}"
        if parts[0] == "seqc":
            assert parts[1:2] in (["runtime"], []), f"{where}: the runtime imports nothing of the compiler"
        else:
            own = parts[0] == "triton" and file.parent == ROOT / "runtime/triton"  # imported when the first kernel runs
            assert own or parts[0] == "torch" or parts[0] in sys.stdlib_module_names, f"{where}: {parts[0]}"


def test_specs_hold_no_code() -> None:
    for file in files("specs"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not list(imports(tree)), file

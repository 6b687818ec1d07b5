"""Rules for the source text itself: nothing runs text as code, and nothing names the machine where it was made."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXECUTES = "compiler/driver/load.py"
"""The one place that may execute a finished module."""
DISPATCHES = {("compiler/cli/main.py", "importlib.import_module")}
"""Imports the file of a command, by a table in the same file; no text of a user's reaches it."""
RUNNERS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "joblib", "runpy", "code", "codeop", "imp"}
ATTRIBUTES = {
    ("importlib", "import_module"), ("importlib", "__import__"), ("torch", "load"), ("os", "system"), ("os", "popen"),
    ("numpy", "load"), ("np", "load"), ("builtins", "exec"), ("builtins", "eval"), ("builtins", "compile"),
}  # fmt: skip
METHODS = {"exec_module", "spec_from_file_location", "module_from_spec", "allow_pickle"}


def tracked() -> list[Path]:
    """Files that git knows, or every file where there is no git (what an installation left there aside)."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    names = done.stdout.split("\0") if done.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or [p for p in ROOT.rglob("*") if not {".git", ".venv", "seqc.egg-info"} & set(p.parts)]
    return [p for p in paths if p.is_file() and not p.is_symlink()]


def findings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            own |= {a.asname or a.name for a in node.names}
            if module.split(".")[0] in MODULES:
                yield node.lineno, module
            yield from ((node.lineno, f"{module}.{a.name}") for a in node.names if (module, a.name) in ATTRIBUTES)
        elif isinstance(node, ast.Name) and node.id in RUNNERS - own:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and (node.value.id, node.attr) in ATTRIBUTES:
                yield node.lineno, f"{node.value.id}.{node.attr}"
            elif node.attr in METHODS:
                yield node.lineno, node.attr
        elif isinstance(node, ast.keyword) and node.arg == "shell":
            yield node.lineno, "shell="


def sources() -> list[Path]:
    return [p for folder in ("compiler", "runtime") for p in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("file", sources(), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_nothing_runs_text(file: Path) -> None:
    if file.relative_to(ROOT).as_posix() == EXECUTES:
        return
    inside = file.relative_to(ROOT).as_posix()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = [(line, what) for line, what in findings(tree) if (inside, what) not in DISPATCHES]
    assert not found, f"{inside}: {found}; only {EXECUTES} may execute a finished module"


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)", "f = exec", "import pickle", "from marshal import loads", "import importlib\nimportlib.import_module(x)",
        "from importlib import import_module", "torch.load(f)", "subprocess.run(a, shell=True)", "spec.loader.exec_module(m)",
        "__import__(name)", "compile(text, 'f', 'exec')", "np.load(f)",
    ],
)  # fmt: skip
def test_the_scan_finds(text: str) -> None:
    assert list(findings(ast.parse(text)))


@pytest.mark.parametrize("text", ["re.compile(p)", "def compile(x): ...\ncompile(1)", "model.eval()", "ast.literal_eval(x)"])
def test_the_scan_lets_pass(text: str) -> None:
    assert not list(findings(ast.parse(text)))


def test_nothing_names_a_registry_or_this_machine() -> None:
    """The words are put together here, so that this file does not hold them either."""
    words = ["py" + "pi.org", "python" + "hosted", "download." + "pytorch.org", "/opt/" + "wheels", "/opt/" + "pypi"]
    words += ["/work" + "/main", "/work" + "/shared", "/tmp" + "/venv", "/root" + "/", ".py" + "env/"]
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace").lower()
        for word in words:
            assert word not in text, f"{path.relative_to(ROOT)} names {word}"


def test_text_files_are_clean() -> None:
    """UTF-8, `\\n` line ends, a newline at the end, no trailing blanks, no control or bidi characters."""
    bad = {chr(c) for c in (*range(9), *range(11, 32), 0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)}
    for path in tracked():
        inside = path.relative_to(ROOT)
        if path.suffix not in {".py", ".toml", ".md", ".lark", ".txt"} or inside.parts[:2] == ("tests", "bad"):
            continue
        text = path.read_bytes().decode("utf-8")
        assert not bad & set(text), inside
        assert not text or text.endswith("\n"), f"{inside} has no newline at its end"
        if path.suffix == ".py":
            assert not [n for n, line in enumerate(text.split("\n"), 1) if line != line.rstrip()], f"{inside}: trailing blanks"

"""One namespace from three folders: the list in pyproject.toml, the folders, and the links for type checkers agree."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOMES = {"compiler": "seqc.compiler", "runtime": "seqc.runtime", "specs": "seqc.specs"}


def folders() -> set[str]:
    """The packages that the folders hold, by their installed names."""
    found = {"seqc"}
    for folder, name in HOMES.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            below = init.parent.relative_to(ROOT / folder)
            if below.parts[:1] != ("facade",):
                found.add(".".join((name, *below.parts)))
    return found


def test_packages_equal_folders() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == folders()


def test_every_folder_with_files_is_a_package() -> None:
    for home in HOMES:
        for file in (ROOT / home).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert (file.parent / "__init__.py").exists(), f"{file.parent} has no __init__.py: the wheel would lack it"


def test_data_files_are_in_the_wheel() -> None:
    """Whatever is no Python under the three folders is named by a pattern of package-data."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    for home in HOMES:
        for file in (ROOT / home).rglob("*"):
            if file.is_file() and file.suffix not in {".py", ".pyc"}:
                assert any(file.match(pattern) for pattern in patterns), f"{file.name} is in no pattern of package-data"


def test_links_for_type_checkers() -> None:
    links = ROOT / ".dev" / "seqc"
    facade = {file.name for file in (ROOT / "compiler" / "facade").glob("*.py")}
    assert facade | set(HOMES) == {link.name for link in links.iterdir()} - {"__pycache__"}
    for link in links.iterdir():
        assert link.is_symlink() and link.exists(), link
        assert not os.path.isabs(os.readlink(link)), f"{link} must be relative"


def test_bare_folders_are_never_imported() -> None:
    """`python -m pytest` puts the root on the path, so `import compiler` would load every class twice."""
    assert not {"compiler", "runtime", "specs"} & set(sys.modules)


def test_version_is_one() -> None:
    import seqc

    assert seqc.__version__ == PROJECT["project"]["version"] == importlib.metadata.version("seqc")


@pytest.mark.slow
def test_wheel_holds_every_file(tmp_path: Path) -> None:
    """Builds a wheel without the network and compares its contents with the folders."""
    copy = tmp_path / "seqc"  # setuptools leaves a build folder where it works
    copy.mkdir()
    for name in (*HOMES, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    command = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(tmp_path), str(copy)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr + done.stdout:
        pytest.skip("no setuptools here to build a wheel with")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("seqc/")}
    expected = set()
    for home in HOMES:
        for file in (ROOT / home).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                below = file.relative_to(ROOT / home)
                inner = Path(*below.parts[1:]) if home == "compiler" and below.parts[0] == "facade" else Path(home, below)
                expected.add(Path("seqc", inner).as_posix())
    assert inside == expected, sorted(inside ^ expected)

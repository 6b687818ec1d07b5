"""Kernels that were compiled ahead of time: a folder that `seqc aot SPEC -o FOLDER` wrote.

    found = load("folder")                    # every hash is checked
    kernel = found.kernel("MinGRU_k1_forward", function)     # for Triton to launch

Nothing of the folder is run here: binaries are handed to the driver by Triton when a kernel is first launched, and only after what was
written is what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqc.runtime.native.errors import NativeError

FORMAT = 1
_LARGEST = 64 << 20


class BadArtefact(NativeError):
    """A folder of compiled kernels is not what was written, or not for this Triton."""

    code = "SEQ0607"


@dataclass(frozen=True, slots=True)
class Artefacts:
    """A checked folder. `told` is its manifest."""

    folder: Path
    told: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The kernels in it."""
        return tuple(k["name"] for k in self.told["kernels"])

    def entry(self, name: str) -> Mapping[str, Any]:
        """What the manifest says of a kernel. Raises BadArtefact."""
        for k in self.told["kernels"]:
            if k["name"] == name:
                found: Mapping[str, Any] = k
                return found
        raise BadArtefact(f"{self.folder.name} has no kernel {name}", "compile the spec again: seqc aot SPEC --target … -o FOLDER")

    def kernel(self, name: str, function: Any) -> Any:
        """A kernel as Triton launches it: `kernel[grid](*arguments)` with a value for each argument, constants too.

        `function` is the generated function (`NAME.TRITON`); it must be the one that was compiled. Raises BadArtefact.
        """
        import triton
        from triton.compiler import ASTSource, CompiledKernel

        told = self.entry(name)
        made = function.made()
        if triton.__version__ != self.told["triton"]:
            raise BadArtefact(f"compiled with Triton {self.told['triton']}, this is {triton.__version__}", "compile the spec again")
        if made.cache_key != told["source"]:
            raise BadArtefact(f"{name} was compiled from another text", "compile the spec again")
        types: dict[str, str] = dict(told["arguments"])
        constants = {a: told["constants"][a] for a, kind in types.items() if kind == "constexpr"}
        attrs = {(list(types).index(a),): [["tt.divisibility", 16]] for a in told["aligned"]}
        source = ASTSource(made, types, constants, attrs)
        group = {file: str(self.folder / file) for file in told["files"]}
        return CompiledKernel(source, group, told["source"])


def load(folder: str | os.PathLike[str]) -> Artefacts:
    """A folder of kernels; every file is what the manifest says. Raises BadArtefact."""
    path = Path(folder)
    again = "compile the spec again: seqc aot SPEC --target … -o FOLDER"
    try:
        told = json.loads(_read(path / "manifest.json"))
        if told["format"] != FORMAT:
            raise BadArtefact(f"{path.name} has the format {told['format']}", again)
        files = [(str(name), str(digest)) for k in told["kernels"] for name, digest in k["files"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise BadArtefact(f"{path.name} is no folder of compiled kernels ({type(why).__name__})", again) from None
    for name, digest in files:
        if os.path.basename(name) != name or name.startswith("."):
            raise BadArtefact(f"the manifest names a file that cannot be: {name!r}", again)
        try:
            content = _read(path / name)
        except OSError:
            raise BadArtefact(f"{name} is missing", again) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise BadArtefact(f"{name} is not what was written", again)
    return Artefacts(path, told)


def _read(path: Path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(_LARGEST)

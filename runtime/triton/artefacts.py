"""Kernels that were compiled ahead of time: a folder that `seqc aot SPEC -o FOLDER` wrote.

    use("folder/sm_90")                       # `seqc.load_artefacts`; every hash is checked
    kernel = found(function, arguments, warps)               # what the launcher asks before it has Triton compile

An entry is taken where it is for this GPU, this Triton, this text of the function, these constants, types and alignments. Where none is,
Triton compiles as if there were no folder; with `only=True` that is an error that says what did not fit. The environment variable
SEQC_ARTEFACTS names folders to begin with, as PATH does.

Nothing of a folder is run here: binaries are handed to the driver by Triton when a kernel is first launched, and only after what was
written is what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqc.runtime.native.errors import NativeError

FORMAT = 1
AGAIN = "compile the spec again: seqc aot SPEC --target … -o FOLDER"
MEMORY = {"float32": "*fp32", "bfloat16": "*bf16", "float16": "*fp16", "float64": "*fp64"}
"""What Triton calls an address, by the type of what lies there."""

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

    def entries(self, name: str) -> list[Mapping[str, Any]]:
        """What the manifest says of a function's kernels: one for each set of types and constants. Raises BadArtefact where there is
        none."""
        out = [k for k in self.told["kernels"] if k["name"] == name]
        if not out:
            raise BadArtefact(f"{self.folder.name} has no kernel {name}", AGAIN)
        return out

    def kernel(self, name: str, function: Any, number: int = 0) -> Any:
        """A kernel as Triton launches it: `kernel[grid](*arguments)` with a value for each argument, constants too.

        `function` is the generated function (`NAME.TRITON`); it must be the one that was compiled. `number`: which of the entries of
        that name. Raises BadArtefact.
        """
        import triton
        from triton.compiler import ASTSource, CompiledKernel

        told = self.entries(name)[number]
        made = function.made()
        if triton.__version__ != self.told["triton"]:
            raise BadArtefact(f"compiled with Triton {self.told['triton']}, this is {triton.__version__}", "compile the spec again")
        if made.cache_key != told["source"]:
            raise BadArtefact(f"{name} was compiled from another text", "compile the spec again")
        check(self.folder, told["files"].items())
        types: dict[str, str] = dict(told["arguments"])
        constants = {a: told["constants"][a] for a, kind in types.items() if kind == "constexpr"}
        attrs = {(list(types).index(a),): [["tt.divisibility", 16]] for a in told["aligned"]}
        source = ASTSource(made, types, constants, attrs)
        group = {file: str(self.folder / file) for file in told["files"]}
        return CompiledKernel(source, group, told["source"])


def load(folder: str | os.PathLike[str]) -> Artefacts:
    """A folder of kernels; every file is what the manifest says. Raises BadArtefact."""
    path = Path(folder)
    try:
        told = json.loads(_read(path / "manifest.json"))
        if told["format"] != FORMAT:
            raise BadArtefact(f"{path.name} has the format {told['format']}", AGAIN)
        files = [(str(name), str(digest)) for k in told["kernels"] for name, digest in k["files"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise BadArtefact(f"{path.name} is no folder of compiled kernels ({type(why).__name__})", AGAIN) from None
    check(path, files)
    if not all(isinstance(told.get(word), str) for word in ("target", "triton")) or not all(map(_sound, told["kernels"])):
        raise BadArtefact(f"{path.name} is no folder of compiled kernels (its manifest lacks something)", AGAIN)
    return Artefacts(path, told)


def _sound(k: Any) -> bool:
    """Whether an entry has all parts."""
    parts = (("arguments", dict), ("constants", dict), ("aligned", list), ("warps", int), ("source", str), ("name", str), ("files", dict))
    return isinstance(k, dict) and all(isinstance(k.get(word), kind) for word, kind in parts)


def check(folder: Path, files: Iterable[tuple[str, str]]) -> None:
    """Whether files (name, SHA-256) are what was written. Raises BadArtefact."""
    for name, digest in files:
        if os.path.basename(name) != name or name.startswith("."):
            raise BadArtefact(f"the manifest names a file that cannot be: {name!r}", AGAIN)
        try:
            content = _read(folder / name)
        except OSError:
            raise BadArtefact(f"{name} is missing", AGAIN) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise BadArtefact(f"{name} is not what was written", AGAIN)


def _read(path: Path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(_LARGEST)


# ---- what is loaded ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Loaded:
    """Folders in the order they were loaded, and whether only their kernels may run. `asked`: the environment was looked at."""

    folders: list[Artefacts]
    only: bool = False
    asked: bool = False


LOADED = _Loaded([])


def use(folder: str | os.PathLike[str], *, only: bool = False) -> tuple[str, ...]:
    """Launches take kernels from this folder from now on; the names of its functions.

    `only`: nothing is compiled any more: a call for which no loaded folder has a kernel is an error. Calls that already ran keep what
    they have. Raises BadArtefact.
    """
    made = load(folder)
    LOADED.folders.append(made)
    LOADED.only = LOADED.only or only
    return tuple(dict.fromkeys(made.names))


def forget() -> None:
    """Launches take no kernels from folders any more."""
    LOADED.folders.clear()
    LOADED.only = False


def loaded() -> bool:
    """Whether there are folders. The first time, those of SEQC_ARTEFACTS are loaded. Raises BadArtefact."""
    if not LOADED.asked:
        LOADED.asked = True
        for folder in os.environ.get("SEQC_ARTEFACTS", "").split(os.pathsep):
            if folder:
                use(folder)
    return bool(LOADED.folders)


def found(function: Any, arguments: Sequence[Any], warps: int) -> Any:
    """The kernel of a loaded folder for a launch; None where Triton has to compile one. Raises BadArtefact where it must not."""
    import triton

    target = triton.runtime.driver.active.get_current_target()
    here = f"sm_{target.arch}" if target.backend == "cuda" else str(target.arch)
    reasons: list[str] = []
    for one in LOADED.folders:
        why = _misfit(one, here, triton.__version__)
        entries = [] if why else [k for k in one.told["kernels"] if k["name"] == function.name]
        if not entries:
            reasons.append(why or f"{one.folder.name} has no kernel of that name")
        for number, told in enumerate(entries):
            why = misfit(told, function, arguments, warps)
            if not why:
                return one.kernel(function.name, function, number)
            reasons.append(why)
    if LOADED.only:
        raise BadArtefact(f"no compiled kernel for this call of {function.name}: {'; '.join(dict.fromkeys(reasons))}", AGAIN)
    return None


def _misfit(one: Artefacts, target: str, triton: str) -> str:
    """Why a folder is not for this machine; "" where it is."""
    if one.told["target"] != target:
        return f"{one.folder.name} is for {one.told['target']}, this is {target}"
    if one.told["triton"] != triton:
        return f"{one.folder.name} was compiled with Triton {one.told['triton']}, this is {triton}"
    return ""


def misfit(told: Mapping[str, Any], function: Any, arguments: Sequence[Any], warps: int) -> str:
    """Why an entry is not for a launch; "" where it is. `arguments`: all of them, tensors, numbers and constants."""
    types: Mapping[str, str] = told["arguments"]
    if list(types) != list(function.arguments):
        return "compiled from another text"
    if told["warps"] != warps:
        return f"compiled for {told['warps']} warps, not {warps}"
    aligned = frozenset(told["aligned"])
    for (name, kind), value in zip(types.items(), arguments, strict=True):
        if kind == "constexpr":
            if str(value) != told["constants"][name]:
                return f"compiled with {name} = {told['constants'][name]}, not {'a tensor' if hasattr(value, 'data_ptr') else value}"
            continue
        there = hasattr(value, "data_ptr")
        if there != (kind[0] == "*") or value is None:
            return f"compiled with {name} as {kind}, which is {value if value is None else 'of another kind'} here"
        if there and kind != MEMORY.get(str(value.dtype).removeprefix("torch.")):
            return f"compiled with {name} as {kind}, not {value.dtype}"
        if name in aligned and (value.data_ptr() if there else value) % 16:
            return f"compiled with {name} as a multiple of 16"
    return "" if function.made().cache_key == told["source"] else "compiled from another text"

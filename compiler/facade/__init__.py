"""seqc: a compiler for sequence architectures.

>>> import seqc
>>> spec = seqc.load("gru")                 # a bundled name, a path, or a text; compiled, cached
>>> layer = spec.GRU(D=8)                   # a torch.nn.Module

Neither torch nor the compiler is imported before something of theirs is used.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "compile", "explain", "load", "load_artefacts"]


def load(spec: str | os.PathLike[str]) -> ModuleType:
    """A spec as a Python module: its cells, blocks and models are classes, each a `torch.nn.Module`.

    `spec` is a path, the name of a bundled spec (`gru`, `cells.gru`), or the text of a spec (anything with a line end in it). The
    generated text is cached; the same sources give the same module. Raises `seqc.compiler.driver.load.SpecError` (a ValueError)
    with the diagnostics.
    """
    from seqc.compiler.driver.load import load as loaded

    return loaded(spec)


def explain(spec: str | os.PathLike[str]) -> dict[str, Any]:
    """What the analysis says of a spec, as `seqc explain SPEC --format json` prints it: streams, components, modes with reasons.

    Raises `seqc.compiler.diagnostics.diagnostic.Rejected` with the diagnostics.
    """
    from seqc.compiler.driver.explain.report import explain as explained

    return explained(os.fspath(spec))


def compile(spec: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> str:
    """The text of a spec's module, which imports torch and seqc.runtime only; written to `output` where that is given.

    `spec` as for `load`. Raises as `load` does.
    """
    from seqc.compiler.driver.load import module_text

    text = module_text(spec)
    if output is not None:
        with open(output, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    return text


def load_artefacts(folder: str | os.PathLike[str], *, only: bool = False) -> tuple[str, ...]:
    """Triton kernels that `seqc aot SPEC --target … -o FOLDER` compiled; the names of their functions.

    Launches take them from there from now on, where GPU, Triton, text, types and constants fit; else Triton compiles as always. `only`:
    nothing is compiled any more, and a call without a kernel is an error that says what did not fit. Every file is checked against
    its SHA-256. The environment variable SEQC_ARTEFACTS names folders to begin with. Raises `seqc.runtime.triton.artefacts.BadArtefact`.
    """
    from seqc.runtime.triton.artefacts import use

    return use(folder, only=only)

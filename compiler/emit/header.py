"""The head of a generated module: what it was made from, by which command, and its imports."""

from __future__ import annotations

import hashlib

from seqc.compiler.ir.spec import Program

VERSION = "0.1.0"

IMPORTS = (
    "from __future__ import annotations",
    "",
    "import math  # noqa: F401",
    "from typing import Any, NamedTuple  # noqa: F401",
    "",
    "import torch",
    "import torch.nn.functional as F  # noqa: F401",
    "from torch import Tensor  # noqa: F401",
    "",
    "from seqc.runtime import arrays, calls, history, initialise, layers, relation  # noqa: F401",
    "from seqc.runtime import functions as fn  # noqa: F401",
    "from seqc.runtime.module import Module, average, complex_of, wide  # noqa: F401",
    "from seqc.runtime.run import Run  # noqa: F401",
    "from seqc.runtime.tables import Input, Out, Site, Table  # noqa: F401",
)


def digest(program: Program) -> str:
    """The first 16 hex digits of the SHA-256 of the main file's text."""
    return hashlib.sha256(program.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def plain(text: str) -> str:
    """Text that can stand in a comment: printable ASCII on one line."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:200]


def header(program: Program, source: str, command: str, report: str) -> list[str]:
    """The first lines: comments, imports, and the spec's own words as one constant."""
    out = [
        f"# {plain(source)} as PyTorch modules. Made by seqc {VERSION}; edit the spec, not this file.",
        f"# spec sha256 {digest(program)}   command: {plain(command)}",
        *IMPORTS,
        "",
        f"SPEC_DOC = {program.doc!r}",
    ]
    if report:
        out.append(f"REPORT = {report!a}")
    return out

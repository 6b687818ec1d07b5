"""Layers of a compiled spec, for `verify` and `bench`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqc.compiler.driver.pipeline import Run

Make = Callable[..., Any]
"""(body's name, backend, scan, dtype, **sizes) → layer."""


def maker(run: Run) -> Make:
    """Makes layers of the bodies of a run, which has been through the stage `code`."""
    import torch

    from seqc.compiler.driver.load import load

    module = load(run.target.spec)

    def make(name: str, backend: str, scan: str, dtype: str, **sizes: int) -> Any:
        return getattr(module, name)(**sizes, backend=backend, scan=scan, dtype=getattr(torch, dtype))

    return make

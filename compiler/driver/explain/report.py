"""The report of `seqc explain SPEC --format json`, for Python: `seqc.explain("gru")`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from seqc.compiler.driver.options import Options
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import target_of


def explain(spec: str | os.PathLike[str], *, dims: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What the analysis says of every body of a spec: `{"cells": {NAME: {"streams": …, "components": […], "variants": […]}}}`.

    `spec` is a path or a bundled name, with `:Cell` for one body. Raises `Rejected` for a spec with errors and `Unusable` for a
    dim or body that does not exist.
    """
    options = Options.make(dims=dict(dims or {}))
    return compiled(target_of(os.fspath(spec)), options, until="analysis").report

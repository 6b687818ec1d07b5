"""The package of generated modules (`seqc.generated.gru_k…`): imports look into seqc's cache, so that pickles find classes."""

from __future__ import annotations

import sys

from seqc.compiler.driver.load import Finder

__path__: list[str] = []

if not any(isinstance(f, Finder) for f in sys.meta_path):
    sys.meta_path.append(Finder())

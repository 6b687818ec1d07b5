"""The package of generated modules (`seqc.generated.gru_k…`): imports from it look into seqc's cache, so that pickles find their classes."""

from __future__ import annotations

import sys

from seqc.compiler.driver.load import Finder

__path__: list[str] = []

if not any(isinstance(f, Finder) for f in sys.meta_path):
    sys.meta_path.append(Finder())

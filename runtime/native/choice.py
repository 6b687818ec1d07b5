"""Who runs a module whose backend is `auto`: kernels where they can do all that the reference does, else the reference.

Environment variable read: SEQC_REFERENCE (1: the reference runs, whatever backend is asked for).
"""

from __future__ import annotations

import os

auto = True
"""Whether `auto` takes kernels where a compiler is there; tests that mean the reference switch it off."""

reference = os.environ.get("SEQC_REFERENCE", "") not in ("", "0")
"""Whether the reference runs whatever is asked for, so that `breakpoint()` works."""

"""Puts `tests/` on the path, so that `fuzz.mutate` can be imported under any import mode."""

import sys
from pathlib import Path

_TESTS = str(Path(__file__).resolve().parent.parent)
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)

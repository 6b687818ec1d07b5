"""Puts `tests/` on the path, so that the numeric tests can share their helpers as `numeric.*` under any import mode."""

import sys
from pathlib import Path

_TESTS = str(Path(__file__).resolve().parent.parent)
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)

"""Puts `tests/` on the path, so that the numeric tests can share their helpers as `numeric.*` under any import mode.

Without a GPU Triton's interpreter is switched on, before anything imports Triton."""

import os
import sys
from pathlib import Path

import torch

_TESTS = str(Path(__file__).resolve().parent.parent)
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

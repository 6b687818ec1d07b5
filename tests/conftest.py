"""Tests mean the reference where they say nothing: `backend="auto"` would compile a kernel for every small spec.

`tests/numeric/test_native_*.py` ask for the kernels; `test_native_auto.py` switches `auto` on again.
"""

import pytest

from seqc.runtime.native import choice


@pytest.fixture(autouse=True, scope="session")
def _auto_is_the_reference() -> None:
    choice.auto = False

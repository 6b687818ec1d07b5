"""Tests mean the reference where they say nothing: `backend="auto"` would compile a kernel for every small spec.

`tests/numeric/test_native_*.py` ask for the kernels; `test_native_auto.py` switches `auto` on again. The longest tests come first, so
that the workers end together.
"""

import pytest

from seqc.runtime.native import choice


@pytest.fixture(autouse=True, scope="session")
def _auto_is_the_reference() -> None:
    choice.auto = False


LONG = ("test_triton_random.py", "test_native_random.py", "test_triton_kernels.py", "test_newton_commands.py", "test_verify.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of long tests first."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))

"""Bundled specs, checked once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from seqc.compiler.driver.pipeline import Run, compiled
from seqc.compiler.driver.target import Target


@cache
def _checked(name: str) -> Run:
    return compiled(Target(name))


@pytest.fixture(scope="session")
def checked() -> Callable[[str], Run]:
    """A bundled spec, up to the checker."""
    return _checked

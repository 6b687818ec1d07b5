"""Random cells of the shared generator on Triton kernels, interpreted: values, state, gradients, in pieces, step by step.

Two hundred in every run, a thousand more behind `slow`; twenty at a time, the same as the native tests take, so that a module that
those have compiled is found in the cache.
"""

from __future__ import annotations

from collections import Counter

import pytest

import seqc
from numeric.random_cells import random_cell, spec_of
from numeric.test_native_random import MANY, PER_UNIT
from numeric.triton_cells import HOW, WAYS, check, way_of
from numeric.triton_units import needs_interpreter
from seqc.compiler.lower.triton.lint import lint

UNITS = 10


@needs_interpreter
@pytest.mark.parametrize("unit", range(UNITS))
def test_random_cells(unit: int) -> None:
    check(unit * PER_UNIT, PER_UNIT)


@needs_interpreter
@pytest.mark.slow
@pytest.mark.parametrize("unit", range(UNITS, UNITS + 50))
def test_many_random_cells(unit: int) -> None:
    check(unit * PER_UNIT, PER_UNIT)


def dense(unit: int) -> None:
    """A unit of cells with matrix products inside the recurrence."""
    first = random_cell(unit * PER_UNIT, dense=True)
    if getattr(seqc.load(spec_of([first])), first.name).TRITON_LEFT:
        pytest.skip("there are no Triton kernels with matrix products")
    check(unit * PER_UNIT, PER_UNIT, dense=True)


@needs_interpreter
def test_random_cells_with_layers_on_the_state() -> None:
    dense(0)


@needs_interpreter
@pytest.mark.slow
@pytest.mark.parametrize("unit", range(1, 11))
def test_many_random_cells_with_layers_on_the_state(unit: int) -> None:
    dense(unit)


def test_every_way_is_taken() -> None:
    """Two hundred cells take each combination, those without an associative form or with jumps aside."""
    cells = {seed: random_cell(seed) for seed in range(UNITS * PER_UNIT)}
    assert UNITS * PER_UNIT == 200 and MANY > UNITS
    assert {way_of(seed, cell, True) for seed, cell in cells.items() if not cell.jumps} == set(WAYS)
    each = Counter(way_of(seed, cell, False).how for seed, cell in cells.items())
    assert all(each[how] >= 30 for how in HOW), each


def kernels_of(unit: int) -> str:
    """The Triton functions of a unit's module."""
    return seqc.compile(spec_of([random_cell(unit * PER_UNIT + i) for i in range(PER_UNIT)]))


def test_cells_keep_the_rules() -> None:
    """Emission refuses what breaks a rule, so each of the two hundred that was compiled keeps them; this reads a unit once more."""
    assert not lint(kernels_of(0))


@pytest.mark.slow
@pytest.mark.parametrize("unit", range(1, UNITS))
def test_all_cells_keep_the_rules(unit: int) -> None:
    assert not lint(kernels_of(unit))


@needs_interpreter
def test_a_segment_reads_what_its_scan_needs() -> None:
    """A found one: an input that only the other value of a pair reads, whose row is there."""
    check(330, 1)

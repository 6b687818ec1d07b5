"""Random cells in C against the float64 reference: outs, state, all gradients; resets and lengths; in two pieces; step by step.

About twenty cells share a translation unit. Every other cell is run whole, in pieces and by steps, the ones between with resets and
lengths (another form of the same kernel). A few cells are compiled as users' kernels are, and run in float32 too; the others are
compiled without optimisation, which takes a fifth of the time and rounds alike.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import seqc
from numeric.native_compare import BATCH, STEPS, Outcome, apart, differences, pieces, run, stepwise, twin
from numeric.native_units import compiler, share, unoptimised
from numeric.random_cells import Cell, random_cell, spec_of
from seqc.compiler.driver import sample
from seqc.compiler.driver.load import _begun
from seqc.compiler.driver.pipeline import advance
from seqc.compiler.ir.spec import Body
from seqc.runtime.native.calls import kernels_of

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

PER_UNIT, UNITS, MANY = 20, 15, 250
DENSE_UNITS, MANY_DENSE = 2, 50
LIMIT = 1e-9
"""Of the largest value, in float64: an exponent of 1.7 or a quotient makes a hundred roundings of one, seven steps a few more."""


def prepared(cells: list[Cell], forms: tuple[int, ...]) -> tuple[Any, dict[str, Body]]:
    """The cells' module and bodies, their kernels in one unit; `forms` of each kernel for cells in turn: 0 plain, 1 masked."""
    text = spec_of(cells)
    module = seqc.load(text)
    program = advance(_begun(text), "spec").program
    found = []
    for i, cell in enumerate(cells):
        made = getattr(module, cell.name)
        assert not made.LEFT, f"{cell.name}: {made.LEFT}\n{cell.text}"
        assert made.KERNELS
        for j, (kernel, (text, _, adjoint_text, _)) in enumerate(zip(kernels_of(made.KERNELS), made.KERNELS, strict=True)):
            if j % 2 == forms[i % len(forms)]:
                found.append((kernel, text, adjoint_text))
    share(found, at_once=len(found))
    return module, {b.name: b for b in (program.bodies[k] for k in program.exports)}


def layer_and_inputs(module: Any, body: Body, cell: Cell) -> tuple[Any, dict[str, torch.Tensor], tuple[str, ...]]:
    """The cell on the reference, inputs, and which of them are the same at all steps."""
    torch.manual_seed(0)
    layer = getattr(module, cell.name)(dtype=torch.float64, backend="reference", **cell.sizes)
    values = sample.draw(body, cell.sizes, BATCH, STEPS).values
    return layer, values, tuple(k for k in values if body.table[k].once)


def shaken(x: torch.Tensor) -> torch.Tensor:
    """A rounding of float32 away."""
    return x * (1 + 2.0**-23 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64))


def in_float32(layer: Any, values: dict[str, torch.Tensor], once: tuple[str, ...], want: Outcome, how: str) -> dict[str, float]:
    """Native float32: each difference in units of what the result moves by when inputs and weights move by a rounding."""
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for p in other.parameters():
            p.copy_(shaken(p))
    moved = differences(want, run(other, {k: shaken(v) for k, v in values.items()}, once, how))
    low = twin(layer).float()
    found = differences(want, run(low, {k: v.float() for k, v in values.items()}, once, how))
    return {k: found[k] / (100 * moved[k] + 1e-5) for k in found}


def wrong(module: Any, body: Body, cell: Cell, how: str, low: bool) -> str:
    """What is wrong with one cell; "" where nothing is."""
    layer, values, once = layer_and_inputs(module, body, cell)
    native = twin(layer)
    want = run(layer, values, once, how)
    found = differences(want, run(native, values, once, how))
    said = {k: v for k, v in found.items() if not v <= LIMIT}
    if how == "plain":
        for name, values_ in (
            ("in pieces", pieces(native, values, once, 3, cell.backwards)),
            ("by steps", stepwise(native, values, once, cell.backwards)),
        ):
            worst = max(apart(a, b) for a, b in zip(want.values, values_, strict=True))
            if not worst <= LIMIT:
                said[name] = worst
    if low and not cell.jumps:
        said |= {f"float32 {k}": v for k, v in in_float32(layer, values, once, want, how).items() if not v <= 1}
    return f"{cell.name} {how}: {said}\n{cell.text}" if said else ""


def check(first: int, low: bool, dense: bool = False, count: int = PER_UNIT) -> None:
    """One unit of cells."""
    cells = [random_cell(first + i, dense=dense) for i in range(count)]
    module, bodies = prepared(cells, (0, 1))
    said = [wrong(module, bodies[c.name], c, ("plain", "both")[i % 2], low) for i, c in enumerate(cells)]
    assert not any(said), "\n".join(s for s in said if s)


@pytest.mark.parametrize("unit", range(UNITS))
def test_random_cells(unit: int) -> None:
    with unoptimised():
        check(unit * PER_UNIT, False)


def test_random_cells_compiled_as_users_do() -> None:
    check(MANY * PER_UNIT, True, count=5)


@pytest.mark.parametrize("unit", range(DENSE_UNITS))
def test_random_cells_with_layers_on_the_state(unit: int) -> None:
    with unoptimised():
        check(unit * PER_UNIT, False, dense=True)


@pytest.mark.slow
@pytest.mark.parametrize("unit", range(UNITS, MANY))
def test_many_random_cells(unit: int) -> None:
    with unoptimised():
        check(unit * PER_UNIT, False)


@pytest.mark.slow
@pytest.mark.parametrize("unit", range(DENSE_UNITS, MANY_DENSE))
def test_many_random_cells_with_layers_on_the_state(unit: int) -> None:
    with unoptimised():
        check(unit * PER_UNIT, False, dense=True)

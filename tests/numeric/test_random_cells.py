"""The generator of random cells: what it makes is sound, the same for the same seed, and of every kind."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import torch

import seqc
from numeric.native_compare import BATCH, STEPS, apart, run, stepwise
from numeric.random_cells import DENSE, ELEMENTWISE, random_cell, spec_of
from numeric.random_terms import BROKEN, COMPARISONS, ONE, TWO
from seqc.compiler.check import words
from seqc.compiler.driver import sample
from seqc.compiler.driver.load import _begun
from seqc.compiler.driver.pipeline import advance

CONSTRUCTS = (
    *ONE, *TWO, *BROKEN, *COMPARISONS, "where", "stop", "through", "sum over", "mean over", "max over", "min over", "logsumexp over",
    "re of complex", "im of complex", "abs of complex", "once", "param", "const", "pos", "projection", "shifted input", "learned start",
    "start from once", "lag 2", "lag 3", "complex param", "bool value", "reverse", "layer on top", "contracted out", "norm on top",
    "running max", "running min", "running logaddexp",
)  # fmt: skip


def test_the_same_seed_gives_the_same_cell() -> None:
    assert [random_cell(s) for s in range(50)] == [random_cell(s) for s in range(50)]
    assert len({random_cell(s, "C").text for s in range(50)}) == 50


@pytest.mark.parametrize("dense", [False, True])
def test_every_construct_occurs(dense: bool) -> None:
    cells = [random_cell(s, dense=dense) for s in range(2000)]
    found = Counter(w for c in cells for w in c.words)
    wanted = (
        {*CONSTRUCTS, *ELEMENTWISE} if not dense else {*DENSE, "lag 1", "lag 2", "lag 3", "per head", "peephole", "product after product"}
    )
    assert not {w for w in wanted if found[w] < 5}
    if not dense:
        text = "\n".join(c.text for c in cells)
        assert {f for f in words.ELEMENTWISE if not re.search(rf"\b{f}\(", text)} == set()


@pytest.mark.parametrize("dense", [False, True])
def test_every_cell_is_sound(dense: bool) -> None:
    run_of = _begun(spec_of([random_cell(s, dense=dense) for s in range(5000, 5100)]))
    assert len(advance(run_of, "spec").program.exports) == 100


def test_without_jumps_there_are_none() -> None:
    for s in range(300):
        c = random_cell(s, jumps=False)
        assert c.jumps or not c.words & {*BROKEN, *COMPARISONS, "where", "held", "threshold"}


def test_dense_cells_run_and_step() -> None:
    cells = [random_cell(s, dense=True) for s in range(12)]
    module = seqc.load(spec_of(cells))
    program = advance(_begun(spec_of(cells)), "spec").program
    bodies = {program.bodies[k].name: program.bodies[k] for k in program.exports}
    for cell in cells:
        torch.manual_seed(0)
        layer = getattr(module, cell.name)(dtype=torch.float64, backend="reference", **cell.sizes)
        values = sample.draw(bodies[cell.name], cell.sizes, BATCH, STEPS).values
        once = tuple(k for k in values if bodies[cell.name].table[k].once)
        whole = run(layer, values, once)
        assert all(torch.isfinite(v).all() for v in whole.gradients.values() if v is not None), cell.text
        found = stepwise(layer, values, once, cell.backwards)
        assert max(apart(a, b) for a, b in zip(whole.values, found, strict=True)) <= 1e-9, cell.text

"""Random cells as whole layers on Triton kernels, interpreted, beside the reference in float64.

A cell's seed says how it is run: `way_of` goes through all combinations of a scan mode, a storage type and a kind of sequence. Blocks
are small and differ from seed to seed, programs run in a random order, and every buffer lies between guards of NaN.
"""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
import torch

import seqc
from numeric.native_compare import Outcome, apart, differences, pieces, run, stepwise, twin
from numeric.random_cells import Cell, random_cell, spec_of
from numeric.triton_units import chunks, guarded, shuffled, tiles
from seqc.compiler.driver import load, sample
from seqc.compiler.driver.load import _begun
from seqc.compiler.driver.pipeline import advance
from seqc.compiler.ir.spec import Body
from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton.blocks import Blocks, power
from seqc.runtime.triton.hurried import hurried

BATCH, STEPS = 2, 5
LIMIT = 1e-9
"""Of the largest value, in float64 (as for the same cells in C)."""
SLACK = {torch.float32: (2.0**-23, 100, 1e-5), torch.bfloat16: (2.0**-8, 10, 2.0**-6)}
"""A rounding of a type; how many times that may move a result beyond what moving inputs and weights by one does; and what is free."""
TYPES = (torch.float64, torch.float64, torch.float32, torch.bfloat16)
HOW = ("plain", "reset", "packed", "ragged", "both")


@dataclass(frozen=True)
class Way:
    """How one cell is run."""

    scan: str
    dtype: torch.dtype
    how: str


WAYS = tuple(Way(*parts) for parts in product(("sequential", "associative"), TYPES, HOW))
"""As many steps apart as 40 and 20 allow: neighbours differ in everything."""


def way_of(seed: int, cell: Cell, parallel: bool) -> Way:
    """The way of a cell: what has no associative form is run step by step, what jumps in float64."""
    way = WAYS[(seed * 7 + seed // 20) % len(WAYS)]
    scan = way.scan if parallel else "sequential"
    return Way(scan, torch.float64 if cell.jumps else way.dtype, way.how)


def prepared(cells: Sequence[Cell]) -> tuple[Any, dict[str, Body]]:
    """The cells' module and bodies. The text is checked when it is made, and not once more when it comes from the cache."""
    text = spec_of(cells)
    before, load.check = load.check, lambda text: None  # type: ignore[assignment]
    try:
        module = seqc.load(text)
    finally:
        load.check = before
    program = advance(_begun(text), "spec").program
    return module, {b.name: b for b in (program.bodies[k] for k in program.exports)}


@contextlib.contextmanager
def small(seed: int) -> Iterator[None]:
    """One axis in two pieces or none, one to four sequences of a program, short chunks and tiles; any order of programs, guards."""
    r = random.Random(seed)
    before = launcher.choose

    def choose(axes: Sequence[str], cuts: Sequence[str], shares: Sequence[str], largest: Any, sizes: Any, *rest: Any) -> Blocks:
        found = {a: power(sizes[a]) for a in axes}
        cut = [a for a in cuts if found[a] > 1]
        if cut and r.random() < 0.6:
            found[r.choice(cut)] //= 2
        return Blocks(tuple(found.values()), r.choice((1, 2, 2, 4)), 1, 1)

    launcher.choose = choose  # type: ignore[assignment]
    try:
        with hurried(together=False), guarded(), shuffled(seed), chunks(1 + seed % 3), tiles((2, 4, 8)[seed % 3]):
            yield
    finally:
        launcher.choose = before


def kernels(layer: Any, scan: str) -> Any:
    """The layer on Triton kernels."""
    made = twin(layer, "triton")
    for part in made.modules():
        part._scan = scan
    return made


def shaken(x: torch.Tensor, by: float) -> torch.Tensor:
    """A rounding away."""
    if not (x.is_floating_point() or x.is_complex()):
        return x
    return x * (1 + by * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64))


def cast(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """In a type, complex numbers in pairs of it; bfloat16 has no pairs, float32 takes its place."""
    if x.is_complex():
        return x.to(torch.complex128 if dtype == torch.float64 else torch.complex64)
    return x.to(dtype) if x.is_floating_point() else x


def lower(layer: Any, values: dict[str, torch.Tensor], once: tuple[str, ...], way: Way, want: Outcome, device: str) -> dict[str, float]:
    """What is further off, in a type with less digits, than a few roundings of inputs and weights explain."""
    by, times, free = SLACK[way.dtype]
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for p in other.parameters():
            p.copy_(shaken(p, by))
    moved = differences(want, run(other, {k: shaken(v, by) for k, v in values.items()}, once, way.how))
    low = kernels(layer, way.scan).to(device)._apply(lambda t: cast(t, way.dtype))
    found = differences(want, run(low, {k: cast(v, way.dtype).to(device) for k, v in values.items()}, once, way.how))
    return {k: v for k, v in found.items() if not v <= times * moved[k] + free}


def faults(
    layer: Any, values: dict[str, torch.Tensor], once: tuple[str, ...], way: Way, seed: int, backwards: bool = False, device: str = "cpu"
) -> dict[str, float]:
    """What is wrong with a layer (on the reference, in float64) run in one way: names, and how far off. On the CPU in small blocks, two
    of three with gradients; in float64 and with nothing masked also in pieces or step by step."""
    if way.dtype != torch.float64:  # what the type cannot hold is no error of the kernels
        if any(t.is_complex() for t in (*values.values(), *layer.parameters())):
            way = replace(way, dtype=torch.float32)
        values = {k: cast(cast(v, way.dtype), torch.float64) for k, v in values.items()}
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(cast(p, way.dtype))
    backward = device != "cpu" or seed % 3 > 0
    want = run(layer, values, once, way.how, backward)
    with small(seed) if device == "cpu" else guarded():
        if way.dtype != torch.float64:
            if not backward:
                want = run(layer, values, once, way.how)
            return lower(layer, values, once, way, want, device)
        mine = kernels(layer, way.scan).to(device)
        values = {k: v.to(device) for k, v in values.items()}
        said = {k: v for k, v in differences(want, run(mine, values, once, way.how, backward)).items() if not v <= LIMIT}
        if way.how == "plain":
            other = pieces if seed % 2 else stepwise
            found = pieces(mine, values, once, 2, backwards) if seed % 2 else stepwise(mine, values, once, backwards)
            worst = max(apart(a, b) for a, b in zip(want.values, found, strict=True))
            if not worst <= LIMIT:
                said[other.__name__] = worst
    return said


def wrong(module: Any, body: Body, cell: Cell, seed: int, device: str = "cpu", batch: int = BATCH, steps: int = STEPS) -> str:
    """What is wrong with one cell; "" where nothing is."""
    cls = getattr(module, cell.name)
    assert not cls.TRITON_LEFT, f"{cell.name}: {cls.TRITON_LEFT}\n{cell.text}"
    assert bool(cls.TRITON) == bool(cls.KERNELS)
    if not cls.TRITON:  # a state that nothing reads a step later is no loop
        return ""
    way = way_of(seed, cell, all(len(one) > 4 for one in cls.TRITON))
    torch.manual_seed(0)
    layer = cls(dtype=torch.float64, backend="reference", **cell.sizes)
    values = sample.draw(body, cell.sizes, batch, steps).values
    once = tuple(k for k in values if body.table[k].once)
    said = faults(layer, values, once, way, seed, cell.backwards, device)
    return f"{cell.name} {way}: {said}\n{cell.text}" if said else ""


def check(first: int, count: int, dense: bool = False, device: str = "cpu", batch: int = BATCH, steps: int = STEPS) -> None:
    """Some cells of a unit."""
    cells = [random_cell(first + i, dense=dense) for i in range(count)]
    module, bodies = prepared(cells)
    said = []
    for i, cell in enumerate(cells):
        try:
            said.append(wrong(module, bodies[cell.name], cell, first + i, device, batch, steps))
        except Exception as error:
            said.append(f"{cell.name}: {type(error).__name__}: {error}\n{cell.text}")
    if any(said):
        pytest.fail("\n".join(s for s in said if s), pytrace=False)

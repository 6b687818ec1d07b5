"""Triton kernels in tests: made from kernels, run in Triton's interpreter, in guarded memory and in any order of programs."""

from __future__ import annotations

import contextlib
import linecache
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from seqc.compiler.ir.kernel import Kernel as Graph
from seqc.compiler.lower.triton.emit_module import IMPORT, lines_of
from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton.blocks import Blocks, power
from seqc.runtime.triton.dense import DenseKernel
from seqc.runtime.triton.device import installed, interpreting
from seqc.runtime.triton.kernel import Kernel

needs_interpreter = pytest.mark.skipif(
    not (installed() and interpreting()), reason="Triton's interpreter is not there or off (TRITON_INTERPRET=1 before Triton is imported)"
)
GUARD = 64
"""Entries of NaN before and behind every buffer."""


def text_of(raw: Graph, name: str) -> str:
    """The functions of a kernel as a module's text."""
    functions, constants = lines_of("made", [replace(raw, name=name)])
    return "\n".join(["from __future__ import annotations", "", IMPORT, "", "class made: pass", *functions, *constants, ""])


def build(raw: Graph, name: str) -> Kernel:
    """The kernel, ready to run."""
    text = text_of(raw, name)
    where = f"<{name}>"
    linecache.cache[where] = (len(text), None, text.splitlines(True), where)
    held: dict[str, Any] = {"__name__": name}
    exec(compile(text, where, "exec", dont_inherit=True), held)
    stages = getattr(held["made"], "TRITON_STEPS", (None,))[0]
    return DenseKernel(*held["made"].TRITON[0], stages) if stages is not None else Kernel(*held["made"].TRITON[0])


def blocks(kernel: Kernel, block: int, batch: int, sizes: dict[str, int]) -> Blocks:
    """Small blocks along the axes that both directions can cut, whole ones along the others."""
    both = set(kernel.forward.split) & set(kernel.adjoint.split)
    return Blocks(tuple(block if a in both else power(sizes[a]) for a in kernel.forward.axes), batch, 1, 1)


@contextlib.contextmanager
def chunks(steps: int) -> Iterator[None]:
    """Checkpoints every so many steps."""
    before, launcher.CHUNK = launcher.CHUNK, steps
    try:
        yield
    finally:
        launcher.CHUNK = before


@contextlib.contextmanager
def tiles(steps: int) -> Iterator[None]:
    """So many steps in a tile of the associative mode."""
    before = launcher.Pass.steps
    launcher.Pass.steps = lambda self, sizes: steps  # type: ignore[method-assign]
    try:
        yield
    finally:
        launcher.Pass.steps = before  # type: ignore[method-assign]


@contextlib.contextmanager
def cut(count: int) -> Iterator[None]:
    """Sequences in the associative mode are cut into segments of so many tiles, whatever the machine."""
    before = launcher.segment_steps
    launcher.segment_steps = lambda programs, length, steps, machine: count * steps
    try:
        yield
    finally:
        launcher.segment_steps = before


@contextlib.contextmanager
def guarded() -> Iterator[list[torch.Tensor]]:
    """Every buffer that a launch makes lies between guards, full of NaN; at the end the guards must be as they were."""
    made: list[torch.Tensor] = []
    before = launcher.buffer

    def buffer(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, zero: bool) -> torch.Tensor:
        size = 1
        for n in shape:
            size *= n
        whole = torch.full((size + 2 * GUARD,), float("nan"), dtype=dtype, device=device)
        made.append(whole)
        inside = whole[GUARD : GUARD + size].view(shape)
        return inside.zero_() if zero else inside

    launcher.buffer = buffer
    try:
        yield made
    finally:
        launcher.buffer = before
    for whole in made:
        assert bool(torch.isnan(whole[:GUARD]).all()) and bool(torch.isnan(whole[-GUARD:]).all()), "a store outside of its buffer"


def surrounded(x: torch.Tensor) -> torch.Tensor:
    """The same values with NaN before and behind them in memory."""
    whole = torch.full((x.numel() + 2 * GUARD,), float("nan"), dtype=x.dtype)
    inside = whole[GUARD : GUARD + x.numel()].view(x.shape)
    inside.copy_(x)
    return inside


@contextlib.contextmanager
def shuffled(seed: int) -> Iterator[None]:
    """Programs of a launch run in a random order."""
    from triton.runtime import interpreter

    builder = interpreter.interpreter_builder
    before = builder.set_grid_idx
    r = random.Random(seed)
    orders: dict[int, list[int]] = {}

    def set_grid_idx(x: int, y: int, z: int) -> None:
        count = builder.grid_dim[0]
        if x == 0:
            orders[0] = r.sample(range(count), count)
        before(orders[0][x], y, z)

    builder.set_grid_idx = set_grid_idx
    try:
        yield
    finally:
        builder.set_grid_idx = before

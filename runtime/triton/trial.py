"""A tiny run of one function in one schedule: made-up operands, results of a GPU and those of the function's own text.

In:      a kernel, one of its two functions, a schedule, types of operands and results as a call at hand has them.
Out:     a plan for at least two chunks of steps, two groups of sequences and, where an axis is cut, two pieces; `compared`: how far
         two lists of results are apart.
Keeps:   the caller's tensors are never touched. Sizes and steps are chosen so that Triton makes no other kernel for the trial than for
         the call: what is 1, and what is a multiple of 16, stays so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seqc.runtime.triton import plainly
from seqc.runtime.triton.blocks import Blocks
from seqc.runtime.triton.launching import start

if TYPE_CHECKING:
    from seqc.runtime.triton.kernel import Kernel, Launch, Pass

FEW_WRONG = 0.01
"""Up to this part of the entries may be off: a step that compares, and takes another branch for the last bit, is no fault."""

BOUND = {torch.float64: 1e-8, torch.float32: 2e-3, torch.bfloat16: 3e-2, torch.float16: 1e-2}
"""How far an entry may be off, beside its own size and the usual one; by the type of what is stored."""

Results = list[Tensor | None]
Wanted = Sequence[tuple[tuple[int, ...], torch.dtype] | None]


def steps_of(every: int, length: int, tiles: bool) -> int:
    """Steps of a trial: one chunk and half of the next; a multiple of 16 where the length at hand is one."""
    steps = -(-(every + max(1, every // 2)) // 16) * 16
    return steps if length % 16 == 0 else steps + 1


def sizes_of(f: Pass, blocks: Blocks, sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes of a trial: two pieces of the axes that are cut, the second as partial as the last one at hand."""
    out = dict(sizes)
    for a, n in zip(f.axes, blocks.axes, strict=True):
        if a in f.split and sizes[a] > 2 * n:
            out[a] = n + (sizes[a] % n or n)
    return out


def shapes_of(kernel: Kernel, f: Pass, batch: int, length: int, sizes: Mapping[str, int], every: int) -> list[tuple[int, ...]]:
    """Shapes of a function's operands; () for a number."""
    pasts = iter([i for what, i in kernel.sources if what == "past"] if f is kernel.adjoint else [])
    out: list[tuple[int, ...]] = []
    for kind, axes in f.operands:
        own = () if kind == "number" else tuple(sizes[a] for a in axes)
        lead: dict[str, tuple[int, ...]] = {"step": (batch, length), "run": (batch,), "past": (batch, length)}
        if kind == "past" and kernel.stored[next(pasts)] < 0:
            lead["past"] = (-(-length // every), batch)
        out.append((*lead.get(kind, ()), *own))
    return out


def results_of(f: Pass, batch: int, length: int, sizes: Mapping[str, int], every: int, like: Wanted) -> list[Any]:
    """Shapes and types of a function's results: wanted, and of the type, as `like`."""
    lead = {"row": (batch, length), "extra": (batch, length), "last": (batch,), "total": (batch,)}
    lead["checkpoint"] = (-(-length // every), batch)
    return [
        None if one is None else ((*lead[what], *(sizes[a] for a in axes)), one[1])
        for (what, axes, _, _), one in zip(f.results, like, strict=True)
    ]


def plan(
    kernel: Kernel, f: Pass, blocks: Blocks, sizes: Mapping[str, int], length: int, real: torch.dtype, operands: Sequence[Any], like: Wanted
) -> tuple[Launch, list[tuple[int, ...]]]:
    """The plan of a trial in a schedule, and the shapes of its operands. `operands`, `like`: of the call at hand."""
    few = sizes_of(f, blocks, sizes)
    every = kernel.adjoint.interval(few, real, length)
    batch, steps = blocks.batch + 1, steps_of(every, length, f.tiles)
    shapes = shapes_of(kernel, f, batch, steps, few, every)
    given = [torch.empty(s, dtype=x.dtype, device="meta") if isinstance(x, Tensor) else x for s, x in zip(shapes, operands, strict=True)]
    results = results_of(f, batch, steps, few, every, like)
    return kernel._launch(f, batch, steps, few, real, given, results, {}, False, blocks), shapes


def drawn(shapes: Sequence[tuple[int, ...]], operands: Sequence[Any], seed: int) -> list[Any]:
    """Made-up operands on the CPU. Even seeds: normal ones; odd ones: between 0 and 1, which logarithms and roots take."""
    g = torch.Generator().manual_seed(seed)
    out: list[Any] = []
    for shape, x in zip(shapes, operands, strict=True):
        if not isinstance(x, Tensor):
            out.append(0.5)
        elif seed % 2:
            out.append((torch.rand(shape, generator=g) * 0.9 + 0.05).to(x.dtype))
        else:
            out.append((torch.randn(shape, generator=g) * 0.5).to(x.dtype))
    return out


def said(plan: Launch, operands: Sequence[Any]) -> list[Tensor | None]:
    """Results as the function's text has them, in float64. Raises Unplain."""
    wide = torch.float64
    results = tuple(None if r is None else (r[0], wide) for r in plan.results)
    return replace(plan, results=results, kinds=(wide,) * len(plan.kinds), real=wide, ready={}).call(operands, plainly.launched)


def computed(plan: Launch, operands: Sequence[Any], device: torch.device) -> list[Tensor | None]:
    """Results of the machine, on the CPU."""
    there = [x.to(device) if isinstance(x, Tensor) else x for x in operands]
    return [None if x is None else x.cpu() for x in plan.call(there, start)]


def compared(found: Sequence[Tensor | None], wanted: Sequence[Tensor | None]) -> tuple[float, float]:
    """The largest part of any result's entries that is off, and the part of all entries that says something: is finite in `wanted`."""
    off, finite, every = 0.0, 0, 0
    for a, b in zip(found, wanted, strict=True):
        if a is None or b is None or not b.numel():
            continue
        bound = BOUND[a.dtype]
        a, b = a.double(), b.double()
        sure = torch.isfinite(b)
        count = int(sure.sum())
        finite, every = finite + count, every + b.numel()
        if not count:
            continue
        x, y = a[sure], b[sure]
        usual = y.square().mean().sqrt() + 1e-30
        wrong = ~((x - y).abs() <= bound * (y.abs() + usual))
        off = max(off, float(wrong.double().mean()))
    return off, finite / every if every else 1.0


def fault(
    tried: Launch, shapes: Sequence[tuple[int, ...]], operands: Sequence[Any], compute: Callable[[Launch, list[Any]], Results]
) -> str:
    """What is wrong with a plan (of `plan`) on a machine that `compute`s; "" where nothing is, or nothing could be said. Of the operands
    only the types count. Raises Unplain."""
    worst = 0.0
    for seed in range(4):
        made = drawn(shapes, operands, seed)
        off, sure = compared(compute(tried, made), said(tried, made))
        if sure < 0.5:
            continue
        if off <= FEW_WRONG:
            return ""
        worst = max(worst, off)
        if seed > 1:
            break
    return f"{100 * worst:.3g} % of the entries are wrong" if worst else ""

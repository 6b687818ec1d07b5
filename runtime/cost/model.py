"""How long a loop over time takes in each mode, on a machine, at a shape: `estimates`.

In:   a `Loop` (counted by the compiler), a `Shape`, a `Device`.      Out: an `Estimate` for each mode that the loop has.
Keeps: a faster machine is never slower in it, a longer sequence never faster. Nothing is looked up by name.

A function that is launched once takes

    launch + max(memory, arithmetic, special functions, latency chain)

    memory      bytes / rate of a copy. Each value of a step is read or written once; what lasts for a call counts once for each sequence
    arithmetic  operations / (units * rate * clock);  special functions the same with theirs; matrix products the same with theirs
    chain       waves * T * step. A program walks all steps one after the other; `programs` follow from the block sizes that a launch
                takes (`runtime.triton.blocks`), `waves` = programs / (units * programs that fit a unit by warps and registers), at least 1.
                step = max(dependent latency, issue): the latency of the longest way from one carry to the next (`Pass.chain`) or, where
                loads run `stages - 1` steps ahead, that share of a load's latency, whichever is longer (without such a lead their sum);
                the issue is the program's operations over the unit's rate, times the programs on it

The terms overlap (while one program waits another one moves bytes), so the longest counts, not the sum; `Estimate.bound` names it.

    sequential   one function as above, forwards; backwards the adjoint
    associative  a program takes `tile` steps at a time: T / tile tiles, each a load, the step, log2(tile) levels of the scan. Where
                 sequences x channels do not fill the machine, the steps are cut into segments beside each other
                 (`cost.segments`): for each level of groups one launch puts the coefficients of each segment together (it reads what
                 they need) and one hands the carries from segment to segment; the last is the mode itself within segments
    newton       for each window iterations x (the iteration's functions, as in the associative mode, the test of convergence, a wait)
                 and one pass for the rows; backwards one scan, or the sequential adjoint. Iterations are not known before: 8 where
                 the step is smooth, 32 where its Jacobian jumps (measured at default initialisation, fp32, 1024 to 65536 steps:
                 ParaGRU 4, ParaLSTM 4, SRU 7 to 9, IndRNN 21 to 35), or what this module needed the last time
    fused        matrix products with the weights of one head in a program: `Device.dot` for each product that waits for another one, the
                 product's own time, the chain. Only where the weights fit the shared memory and registers
    steps        matrix products step by step, each a product over all heads and a pointwise kernel under a CUDA graph: `Device.pair`
    reference    torch operations one by one: T * operations of a step * `Device.operation`

On a CPU one core does what it does in vectors; four chains overlap (assumed), and a call is the launch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from seqc.runtime.cost.devices import Device
from seqc.runtime.cost.facts import Loop, Pass, Scan, Shape, Solver, total
from seqc.runtime.cost.segments import segments
from seqc.runtime.triton.blocks import LEAST, Blocks, choose, power

STEPS = 64
"""Steps of a tile where one step is small."""

SHUFFLE, EXCHANGE, TURN = 25.0, 150.0, 40.0
"""Cycles: one level of a scan between lanes, a sum or an exchange over the warps of a program, what a loop's turn costs. Assumed."""

SMOOTH, JUMPS = 8, 32
"""Iterations of Newton's method (see above)."""

CHECKS, WAITS = 12, 1
"""Torch operations and waits of the test of convergence, for each iteration (counted in `runtime.newton`)."""

WINDOW, ROOM = 1 << 14, 1 << 24
"""Steps of a window of Newton's method at least; on a GPU as many as have so many entries."""

ROWS = 16
"""Sequences of a program that a matrix product takes at least."""

CHAINS = 4
"""Chains of instructions that a core of a CPU works on at a time."""

BOUNDS = ("memory bandwidth", "arithmetic", "special functions", "the latency chain", "launches")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The time of one mode.

    seconds   all of it; `parts` the terms by the names in `BOUNDS`; `bound` the longest
    programs, steps, step   of the function with the longest chain: programs beside each other, turns of a program, seconds of a turn
    segments  into which the steps are cut;  iterations of Newton's method
    """

    mode: str
    seconds: float
    bound: str
    parts: dict[str, float] = field(default_factory=dict)
    programs: int = 0
    steps: int = 0
    step: float = 0.0
    segments: int = 1
    iterations: int = 0


def window(length: int, entries: int, parallel: bool) -> int:
    """Steps that Newton's method solves at a time; `entries` of one step of all sequences."""
    return min(max(1, length), max(WINDOW, ROOM // max(1, entries)) if parallel else WINDOW)


def tile(p: Pass, sizes: Mapping[str, int]) -> int:
    """Steps of a tile: fewer where the values of one step are large or many are carried."""
    block = dict(zip(p.axes, choose(p.axes, p.cuts, p.shares, p.largest, sizes, 264, LEAST).axes, strict=True))
    size = max((math.prod(block[a] for a in axes) for axes in p.largest), default=1)
    return max(4, min(STEPS, STEPS * LEAST // power(size * max(1, p.carried))))


def estimates(loop: Loop, shape: Shape, device: Device) -> list[Estimate]:
    """The time of each mode that there is a kernel for on this machine, the simplest first; the reference last."""
    if device.kind == "cpu":
        return [_on_cpu(loop, shape, device)]
    found: list[Estimate] = []
    passes = _both(loop.forward, loop.backward, shape)
    for mode in loop.built:
        if mode == "sequential":
            found.append(_sum(mode, [one_after_the_other(p, shape, device) for p in passes]))
        elif mode == "associative" and loop.scan is not None:
            forward, backward = loop.scan
            rows = tile(backward if backward.tiled else forward, shape.sizes)
            found.append(_sum(mode, [_form(p, shape, device, rows) for p in _both(*loop.scan, shape)]))
        elif mode == "newton" and loop.newton is not None:
            found.append(_newton(loop, loop.newton, shape, device))
        elif mode == "fused" and all(_fits(p, shape, device) for p in passes):
            found.append(_sum(mode, [_fused(p, shape, device) for p in passes]))
        elif mode == "steps":
            found.append(_sum(mode, [_stepwise(p, shape, device) for p in passes]))
    return [*found, _reference(loop, shape, device)]


# ---- one function -----------------------------------------------------------------------------------------------------


def one_after_the_other(p: Pass, shape: Shape, device: Device) -> Estimate:
    """A function with the loop over time inside."""
    blocks = choose(p.axes, p.cuts, p.shares, p.largest, shape.sizes, max(1, shape.batch))
    programs, share = _programs(p, blocks, shape)
    resident = _resident(p, blocks, shape, device)
    together = min(resident, -(-programs // device.units))
    plain, special = total(p.plain, shape.sizes) * share, total(p.special, shape.sizes) * share
    issue = together * max(plain / device.plain, special / device.special)
    chain = TURN + _cycles(p.chain, device)
    ahead = blocks.stages - 1
    waits = device.memory if p.read else 0.0
    latency = max(chain / device.clock, waits / ahead) if ahead > 0 else chain / device.clock + waits
    step = max(latency, issue / device.clock)
    waves = max(1.0, programs / (device.units * resident))
    return _estimate("sequential", p, shape, device, waves * shape.length * step, programs, shape.length, step)


def in_tiles(p: Pass, shape: Shape, device: Device, rows: int) -> Estimate:
    """A function that takes `rows` steps at a time, its steps in segments where that pays."""
    blocks = choose(p.axes, p.cuts, p.shares, p.largest, shape.sizes, max(1, shape.batch), LEAST)
    programs, _ = _programs(p, blocks, shape)
    count = segments(programs, shape.length, rows, device.units)
    whole = _tiled(p, blocks, shape, device, rows, count)
    if count < 2 or not p.scans:
        return replace(whole, segments=count)
    # a launch that sums up every segment and one that walks over the sums, for each level of groups
    sums = replace(p, read=p.reads, written=(), once=())
    firsts = [
        _tiled(replace(sums, scans=tuple(s for s in p.scans if s.level <= n)), blocks, shape, device, rows, count) for n in range(p.levels)
    ]
    values = sum(s.values * math.prod(shape.sizes[a] for a in s.axes) for s in p.scans)
    moved = 2 * 4 * shape.batch * count * values / device.copy
    walk = count * device.memory
    parts = {k: sum(e.parts[k] for e in (*firsts, whole)) for k in whole.parts}
    parts["memory bandwidth"] += moved
    parts["the latency chain"] += walk * p.levels
    parts["launches"] += device.launch * p.levels
    seconds = sum(e.seconds for e in (*firsts, whole)) + moved + p.levels * (walk + device.launch)
    return replace(whole, seconds=seconds, parts=parts, bound=_bound(parts), segments=count)


def _tiled(p: Pass, blocks: Blocks, shape: Shape, device: Device, rows: int, count: int) -> Estimate:
    """One launch over `count` segments of the sequence."""
    programs, share = _programs(p, blocks, shape)
    programs *= count
    resident = _resident(p, blocks, shape, device, rows)
    together = min(resident, -(-programs // device.units))
    levels = max(1, math.ceil(math.log2(rows)))
    plain, special = _scan_work(p, levels, shape.sizes)
    issue = together * rows * share * max(plain / device.plain, special / device.special)
    chain = TURN + _cycles(p.depth, device) + sum(_scan_cycles(s, levels, device) for s in p.scans)
    step = max(device.memory + chain / device.clock, issue / device.clock)
    turns = -(-shape.length // (rows * count))
    waves = max(1.0, programs / (device.units * resident))
    work = replace(p, plain=(((), plain),), special=(((), special),))
    return _estimate("associative", work, shape, device, waves * turns * step, programs, turns, step)


def _programs(p: Pass, blocks: Blocks, shape: Shape) -> tuple[int, float]:
    """Programs beside each other, and the share of one sequence's work that a program has."""
    block = dict(zip(p.axes, blocks.axes, strict=True))
    pieces = math.prod(-(-shape.sizes[a] // block[a]) for a in p.cuts)
    return max(1, -(-shape.batch // blocks.batch) * pieces), blocks.batch / max(1, pieces)


def _resident(p: Pass, blocks: Blocks, shape: Shape, device: Device, rows: int = 1) -> int:
    """Programs that one unit holds at a time: by warps, and by registers for what is alive."""
    block = dict(zip(p.axes, blocks.axes, strict=True))
    alive = sum(n * math.prod(block[a] for a in axes) for axes, n in (*p.carries, *p.read)) * blocks.batch * rows
    registers = min(255.0, 32 + alive / (blocks.warps * device.warp)) * blocks.warps * device.warp
    return max(1, min(device.warps // blocks.warps, int(device.registers // registers)))


def _cycles(way: tuple[int, int, int, int], device: Device) -> float:
    """Cycles of operations one after the other."""
    plain, special, sums, _ = way
    return plain * device.plain_latency + special * device.special_latency + sums * EXCHANGE


def _scan_work(p: Pass, levels: int, sizes: Mapping[str, int]) -> tuple[float, float]:
    """Operations of a step for each sequence, those of the scan among them: two combinations for an entry within a thread, and a part of
    the levels between lanes, where a value is exchanged at a quarter of the arithmetic rate."""
    plain, special = total(p.plain, sizes), total(p.special, sizes)
    for s in p.scans:
        entries = math.prod(sizes[a] for a in s.axes)
        times = 2 + levels / 4
        plain += entries * (times * s.plain + s.values * levels / 2)
        special += entries * times * s.special
    return plain, special


def _scan_cycles(s: Scan, levels: int, device: Device) -> float:
    """Cycles of one scan: its levels, an exchange between warps, and what picks the last row."""
    once = SHUFFLE + s.plain_depth * device.plain_latency + s.special_depth * device.special_latency
    return levels * once + 2 * EXCHANGE


def _estimate(mode: str, p: Pass, shape: Shape, device: Device, chain: float, programs: int, steps: int, step: float) -> Estimate:
    """The terms of one launch."""
    sizes, many = shape.sizes, shape.batch * shape.length
    moved = (total(p.read, sizes) + total(p.written, sizes)) * many + total(p.once, sizes) * shape.batch
    rate = device.units * device.clock
    parts = {
        "memory bandwidth": shape.width * moved / (device.near if shape.width * moved < device.l2 and device.near else device.copy),
        "arithmetic": total(p.plain, sizes) * many / (rate * device.plain),
        "special functions": total(p.special, sizes) * many / (rate * device.special),
        "the latency chain": chain,
        "launches": device.launch,
    }
    seconds = device.launch + max(v for k, v in parts.items() if k != "launches")
    return Estimate(mode, seconds, _bound(parts), parts, programs, steps, step)


def _bound(parts: dict[str, float]) -> str:
    """The longest term."""
    return max(BOUNDS, key=lambda name: parts[name])


def _both(forward: Pass, backward: Pass, shape: Shape) -> list[Pass]:
    """What runs: the adjoint too where a gradient will be taken."""
    return [forward, backward] if shape.training else [forward]


def _sum(mode: str, these: Sequence[Estimate]) -> Estimate:
    """Launches one after the other; what is said of programs is said of the slowest."""
    parts = {name: sum(e.parts[name] for e in these) for name in BOUNDS}
    slowest = max(these, key=lambda e: e.seconds)
    return replace(slowest, mode=mode, seconds=sum(e.seconds for e in these), parts=parts, bound=_bound(parts))


# ---- several functions ------------------------------------------------------------------------------------------------


def _newton(loop: Loop, solver: Solver, shape: Shape, device: Device) -> Estimate:
    """Windows x iterations x (functions, test, wait), then the rows; backwards the sequential adjoint."""
    # beside each correction stand three measures of it
    entries = max((int(total(p.carries, shape.sizes)) // (4 if own else 1) for own, p in solver.parts), default=1) * shape.batch
    steps = window(shape.length, entries, True)
    windows = max(1, -(-shape.length // steps))
    count = shape.iterations or (JUMPS if solver.kinks else SMOOTH)
    inside = replace(shape, length=steps, width=max(4, shape.width), training=False)
    runs: list[Estimate] = []
    for iterated, p in solver.parts:
        one = _form(p, inside, device)
        times = windows * (count if iterated else 1)
        host = CHECKS * device.operation + WAITS * device.wait if iterated else 0.0
        parts = {k: times * v for k, v in one.parts.items()}
        parts["launches"] += times * host
        runs.append(replace(one, seconds=times * (one.seconds + host), parts=parts))
    runs.append(_form(solver.rows, shape, device))
    segments = max(e.segments for e in runs)
    if shape.training:
        runs.append(_form(solver.back or loop.backward, shape, device))
    return replace(_sum("newton", runs), iterations=count, segments=segments)


def _form(p: Pass, shape: Shape, device: Device, rows: int = 0) -> Estimate:
    """A function in the form that it has; `rows`: steps of a tile, where they are not its own choice."""
    return in_tiles(p, shape, device, rows or tile(p, shape.sizes)) if p.tiled else one_after_the_other(p, shape, device)


def _weights(p: Pass, sizes: Mapping[str, int]) -> tuple[float, float, int]:
    """Entries of all weights, of those that one program of the fused mode needs, and programs for each group of sequences."""
    every = sum(math.prod(sizes[a] for a in weight) for weight, _, _ in p.products)
    shared = set.intersection(*(set(own) for _, _, own in p.products)) & set(p.cuts) if p.products else set()
    heads = math.prod(sizes[a] for a in shared)
    return every, every / max(1, heads), heads


def _fits(p: Pass, shape: Shape, device: Device) -> bool:
    """Whether one program can hold the weights that it needs."""
    return min(4, shape.width) * _weights(p, shape.sizes)[1] <= device.shared


def _fused(p: Pass, shape: Shape, device: Device) -> Estimate:
    """The loop inside the kernel, the weights of a head beside it."""
    _, mine, heads = _weights(p, shape.sizes)
    programs = max(1, -(-shape.batch // ROWS) * heads)
    waves = max(1.0, programs / device.units)
    # each weight is read from shared memory once a step: 128 bytes a clock
    products = min(4, shape.width) * mine / (128 * device.clock) + ROWS * mine / (device.product * device.clock)
    step = device.dot * max(1, p.chain[3]) + products + _cycles(p.chain, device) / device.clock
    return _estimate("fused", p, shape, device, waves * shape.length * step, programs, shape.length, step)


def _stepwise(p: Pass, shape: Shape, device: Device) -> Estimate:
    """A matrix product and a pointwise kernel for each step, under a CUDA graph; the weights come from the last cache."""
    every, _, _ = _weights(p, shape.sizes)
    product = max(min(4, shape.width) * every / (2 * device.copy), shape.batch * every / (device.units * device.clock * device.product))
    step = device.pair * max(1, p.chain[3]) + product
    return _estimate("steps", p, shape, device, shape.length * step, 1, shape.length, step)


def _reference(loop: Loop, shape: Shape, device: Device) -> Estimate:
    """Torch operations one by one; a backward pass takes twice as many."""
    each = loop.operations * (3 if shape.training else 1)
    seconds = shape.length * each * device.operation
    parts = dict.fromkeys(BOUNDS, 0.0) | {"launches": seconds}
    return Estimate("reference", seconds, "launches", parts, 1, shape.length, each * device.operation)


def _on_cpu(loop: Loop, shape: Shape, device: Device) -> Estimate:
    """A fused loop in C on one core."""
    runs = []
    sizes = shape.sizes
    for p in _both(loop.forward, loop.backward, shape):
        vectors = max(1.0, total(p.carries, sizes) * shape.batch / device.warp)
        products = sum(math.prod(sizes[a] for a in {*weight, *out}) for weight, out, _ in p.products)
        step = (TURN / CHAINS + _cycles(p.chain, device)) / device.clock * max(1.0, vectors / CHAINS)
        work = replace(p, plain=(*p.plain, ((), products)))
        runs.append(replace(_estimate("sequential", work, shape, device, shape.length * step, 1, shape.length, step), mode="sequential"))
    return _sum("sequential", runs)

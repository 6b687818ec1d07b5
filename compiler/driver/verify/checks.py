"""The checks, one function each: from a subject and a layer to an error and the limit it is held to.

`gradients` is compared with the float64 reference by the caller. `gradcheck` compares the derivative in a random direction with
central differences. `stepwise`, `split`, `packed`, `reset` and `padding` compare a layer with itself: run step by step, in
pieces, several sequences packed into one, started anew in the middle, with NaN behind the end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seqc.compiler.driver.verify.measure import limit_of, ratio
from seqc.compiler.driver.verify.subject import Result, Subject, Tensors, at, begin, cut, run, step

Outcome = tuple[float, float]
"""(error, limit)."""


class NotFor(Exception):
    """A check that does not apply, with the reason."""


def leaves_of(layer: Any, values: dict[str, Any]) -> Tensors:
    """What gradients are taken by: float inputs and parameters."""
    import torch

    floats = [v for v in values.values() if torch.is_tensor(v) and (v.is_floating_point() or v.is_complex())]
    return [*floats, *(p for p in layer.parameters() if p.requires_grad)]


def scalar(result: Result, seed: int) -> Any:
    """A fixed random combination of everything that comes out and can carry a gradient."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    total: Any = 0.0
    for leaf in (*result.outs, *result.leaves):
        if leaf.is_complex():
            leaf = torch.view_as_real(leaf)
        if not leaf.is_floating_point():
            continue
        weight = torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf.dtype)
        total = total + (torch.where(torch.isfinite(leaf), leaf, 0.0) * weight).sum()
    return total


def gradients(subject: Subject, layer: Any, dtype: str) -> Tensors:
    """Gradients of `scalar` by float inputs and parameters; zeros where nothing arrives."""
    import torch

    values = subject.cast(subject.sample, dtype)
    values = {k: v.clone().requires_grad_(True) if v.is_floating_point() or v.is_complex() else v for k, v in values.items()}
    leaves = leaves_of(layer, values)
    total = scalar(run(layer, values), 1)
    if not leaves or not torch.is_tensor(total) or not total.requires_grad:
        return []
    found: Any = torch.autograd.grad(total, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def gradcheck(subject: Subject, layer: Any, dtype: str) -> Outcome:
    """Derivative in a random direction against central differences of two widths; the better of the two counts."""
    import torch

    values = subject.cast(subject.sample, dtype)
    values = {k: v.clone().requires_grad_(True) if v.is_floating_point() or v.is_complex() else v for k, v in values.items()}
    leaves = leaves_of(layer, values)
    generator = torch.Generator().manual_seed(2)
    total = scalar(run(layer, values), 1)
    if not leaves or not torch.is_tensor(total) or not total.requires_grad:
        return 0.0, 1e-6
    found: Any = torch.autograd.grad(total, leaves, allow_unused=True)
    directions = [torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype) for leaf in leaves]
    slope = sum((float((g * d.conj()).real.sum()) for g, d in zip(found, directions, strict=True) if g is not None), 0.0)

    def moved(width: float) -> float:
        with torch.no_grad():
            for leaf, d in zip(leaves, directions, strict=True):
                leaf.add_(d, alpha=width)
            value = float(scalar(run(layer, values), 1))
            for leaf, d in zip(leaves, directions, strict=True):
                leaf.sub_(d, alpha=width)
        return value

    errors = []
    for width in (1e-5, 1e-6, 1e-7):
        difference = (moved(width) - moved(-width)) / (2 * width)
        errors.append(abs(difference - slope) / max(abs(slope), abs(difference), 1e-3))
    return min(errors), 1e-6


def stepwise(subject: Subject, layer: Any, dtype: str) -> Outcome:
    """`step` after `step` against `forward`: outs of every step and the last state.

    A body that does not stream may have no step; if it has one, it must say the same."""
    if not subject.streams:
        return _refused(subject, layer, dtype)
    values = subject.cast(subject.sample, dtype)
    whole = run(layer, values)
    state = begin(layer, subject, values)
    found: list[Tensors] = []
    for number in range(subject.steps):
        result = step(layer, at(subject.sample, values, number), state)
        state = result.state
        found.append(result.outs)
    return ratio([*_stacked(subject, found), *Result([], state).leaves], [*whole.outs, *whole.leaves]), _same(subject, dtype)


def _refused(subject: Subject, layer: Any, dtype: str) -> Outcome:
    streaming = replace(subject, streams=True)
    try:
        values = subject.cast(subject.sample, dtype)
        whole, found = run(layer, values), []
        state: Any = None
        for number in range(subject.steps):
            result = step(layer, at(subject.sample, values, number), state)
            state = result.state
            found.append(result.outs)
    except (TypeError, AttributeError):
        raise NotFor("it does not run step by step") from None
    return ratio(_stacked(streaming, found), whole.outs), _same(subject, dtype)


def _stacked(subject: Subject, found: list[Tensors]) -> Tensors:
    import torch

    return [
        torch.stack([outs[i] for outs in found], 1) if subject.has_time(name) else found[-1][i] for i, name in enumerate(subject.body.outs)
    ]


def _joined(subject: Subject, parts: list[Result]) -> Tensors:
    import torch

    return [
        torch.cat([p.outs[i] for p in parts], 1) if subject.has_time(name) else parts[-1].outs[i]
        for i, name in enumerate(subject.body.outs)
    ]


def _same(subject: Subject, dtype: str) -> float:
    """The limit for one layer run in two ways."""
    return limit_of(dtype, subject.steps)


def split(subject: Subject, layer: Any, dtype: str) -> Outcome:
    """The sequence in pieces, an empty one and a single step among them, state handed on."""
    values = subject.cast(subject.sample, dtype)
    whole = run(layer, values)
    worst = 0.0
    steps = subject.steps
    for borders in ((0, 1, steps), (0, steps // 2, steps // 2, steps), (0, 0, steps - 1, steps)):
        state = None
        parts = []
        for start, stop in zip(borders, borders[1:], strict=False):
            part = run(layer, cut(subject.sample, values, start, stop), state)
            state = part.state
            parts.append(part)
        worst = max(worst, ratio([*_joined(subject, parts), *parts[-1].leaves], [*whole.outs, *whole.leaves]))
    return worst, _same(subject, dtype)


def packed(subject: Subject, layer: Any, dtype: str) -> Outcome:
    """Sequences of several lengths packed into one row against each on its own."""
    import torch

    values = subject.cast(subject.sample, dtype)
    lengths = [subject.steps, 1, 0, max(0, subject.steps - 2)]
    rows = [i % subject.batch for i in range(len(lengths))]
    time = subject.sample.time
    apart = []
    packs: dict[str, list[Any]] = {k: [] for k in values}
    for row, length in zip(rows, lengths, strict=True):
        alone = {k: v.narrow(0, row, 1) for k, v in cut(subject.sample, values, 0, length).items()}
        apart.append(run(layer, alone))
        for k, v in alone.items():
            packs[k].append(v)
    together = {k: torch.cat(parts, 0 if time[k] is None else 1) for k, parts in packs.items()}
    borders = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    found = run(layer, together, cu_seqlens=borders)
    wanted = [torch.cat([r.outs[i] for r in apart], 1) for i in range(len(subject.body.outs))]
    states = _side_by_side(apart, found)
    return ratio([*found.outs, *(found.leaves if states else [])], [*wanted, *states]), _same(subject, dtype)


def _side_by_side(apart: list[Result], found: Result) -> Tensors:
    """The states of separate runs as rows of one; empty where they are no rows (a cache as long as each sequence, a call that
    has not begun after no step)."""
    import torch

    if len({len(r.leaves) for r in (*apart, found)}) > 1:
        return []
    columns = list(zip(*(r.leaves for r in apart), strict=True))
    if any(len({leaf.shape[1:] for leaf in column}) > 1 for column in columns):
        return []
    states = [torch.cat(column, 0) for column in columns]
    return states if [s.shape for s in states] == [leaf.shape for leaf in found.leaves] else []


def reset(subject: Subject, layer: Any, dtype: str) -> Outcome:
    """Started anew in the middle of some rows against two runs."""
    import torch

    values = subject.cast(subject.sample, dtype)
    middle = subject.steps // 2
    mark = torch.zeros(subject.batch, subject.steps, dtype=torch.bool)
    mark[0, middle] = True
    found = run(layer, values, reset=mark)
    first = run(layer, cut(subject.sample, values, 0, middle))
    second = run(layer, cut(subject.sample, values, middle, subject.steps))
    whole = run(layer, values)
    wanted = []
    for i, out in enumerate(whole.outs):
        row = torch.cat([first.outs[i][:1], second.outs[i][:1]], 1)
        wanted.append(torch.cat([row, out[1:]], 0))
    return ratio(found.outs, wanted), _same(subject, dtype)


def padding(subject: Subject, layer: Any, dtype: str) -> Outcome:
    """Rows of several lengths with NaN behind the end against each on its own; gradients must stay finite.

    A module that frames its steps takes lengths that fill frames only; it says so (ValueError), and gets halves and wholes. One that
    takes sequences of one length only says so for those too (`NotFor`)."""
    uneven = [max(0, subject.steps - i) if i else subject.steps // 2 for i in range(subject.batch)]
    halves = [subject.steps // 2 if i % 2 == 0 else subject.steps for i in range(subject.batch)]
    for lengths in (uneven, halves):
        try:
            return _padded(subject, layer, dtype, lengths)
        except ValueError as error:
            why = error
    raise NotFor(f"it refuses sequences of several lengths: {why}")


def _padded(subject: Subject, layer: Any, dtype: str, lengths: list[int]) -> Outcome:
    import torch

    values = subject.cast(subject.sample, dtype)
    spoiled = {}
    for k, v in values.items():
        v = v.clone()
        if subject.sample.time[k] is not None and (v.is_floating_point() or v.is_complex()):
            for row, length in enumerate(lengths):
                v[row, length:] = float("nan")
        spoiled[k] = v.requires_grad_(True) if v.is_floating_point() or v.is_complex() else v
    found = run(layer, spoiled, lengths=torch.tensor(lengths))
    wanted: Tensors = []
    alone = [
        run(layer, {k: v.narrow(0, row, 1) for k, v in cut(subject.sample, values, 0, length).items()})
        for row, length in enumerate(lengths)
    ]
    for i, out in enumerate(found.outs):
        rows = []
        for row, length in enumerate(lengths):
            full = torch.zeros_like(out[row : row + 1])
            full[:, :length] = alone[row].outs[i]
            rows.append(full)
        wanted.append(torch.cat(rows, 0))
    states = _side_by_side(alone, found)
    error = ratio([*found.outs, *(found.leaves if states else [])], [*wanted, *states])
    leaves = leaves_of(layer, spoiled)
    total = scalar(found, 1)
    if leaves and torch.is_tensor(total) and total.requires_grad:
        arrived: Any = torch.autograd.grad(total, leaves, allow_unused=True)
        grads = [g for g in arrived if g is not None]
        if not all(bool(torch.isfinite(torch.view_as_real(g) if g.is_complex() else g).all()) for g in grads):
            error = float("inf")
    return error, _same(subject, dtype)

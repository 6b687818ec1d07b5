"""What a body remembers of earlier steps: lags, windows, convolutions, the keys of a relation.

Buffers are [batch, reach, …], oldest step first. Before the start they hold the name's `init` (0 for a convolution's operand); after
a reset that is what every reach back finds again. In sequence mode the buffer and the new steps stand in one row,
`full = [batch, reach + time, …]`, whose entry `reach + t` is step t.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seqc.runtime.run import Run


def joined(past: Tensor, steps: Tensor) -> Tensor:
    """The buffer before the new steps: [batch, reach + time, …]."""
    if past.dtype != steps.dtype:
        past = past.to(torch.promote_types(past.dtype, steps.dtype))
    if past.shape[1] == 0:
        return steps
    return torch.cat((past, steps.to(past.dtype)), 1)


def filled(start: Tensor, reach: int) -> Tensor:
    """A buffer of `reach` steps that all hold `start` [batch, …]."""
    return start[:, None].expand(start.shape[0], reach, *start.shape[1:])


def _since_at_least(run: Run, steps: int, dims: int) -> Tensor | None:
    since = run.since
    if since is None:
        return None
    return (since >= steps).reshape(since.shape + (1,) * (dims - 2))


def _over_time(start: Tensor | float, like: Tensor) -> Tensor:
    if isinstance(start, Tensor):
        return start[:, None].to(like.dtype)
    return torch.full((), start, dtype=like.dtype, device=like.device)


def _over_places(start: Tensor | float, places: int, like: Tensor) -> Tensor:
    if isinstance(start, Tensor):
        return start.reshape(start.shape[0], *(1,) * places, *start.shape[1:]).to(like.dtype)
    return torch.full((), start, dtype=like.dtype, device=like.device)


def stacked(run: Run, rows: list[Tensor], dtype: torch.dtype, *sizes: int) -> Tensor:
    """The rows of a loop as [batch, time, …]; with no step at all, an empty tensor of that shape."""
    return torch.stack(rows, 1) if rows else torch.empty(run.batch, 0, *sizes, dtype=dtype, device=run.device)


def levels_stacked(run: Run, rows: list[list[Tensor]], levels: int, dtype: torch.dtype, *sizes: int) -> list[Tensor]:
    """`stacked` for each level of a stack: `rows[t][l]`."""
    if rows:
        return [torch.stack(column, 1) for column in zip(*rows, strict=True)]
    return [torch.empty(run.batch, 0, *sizes, dtype=dtype, device=run.device) for _ in range(levels)]


def level_rows(run: Run, levels: list[Tensor]) -> list[tuple[Tensor, ...]]:
    """For each step, the rows of the sequences of all levels."""
    if not levels:
        return [()] * (run.length or 0)
    return list(zip(*(x.unbind(1) for x in levels), strict=True))


def levels_padded(rows: list[Tensor], levels: int, like: Tensor) -> Tensor:
    """The levels so far as a last axis, 0 at those still to come."""
    return torch.stack([*rows, *[torch.zeros_like(like)] * (levels - len(rows))], -1)


def restacked(rows: tuple[Tensor, ...], before: Tensor) -> Tensor:
    """The last values of a loop as a buffer again."""
    return torch.stack(tuple(rows), 1) if rows else before


def rows(run: Run, past: tuple[Tensor, ...], size: int, kept: int, start: Tensor) -> Tensor:
    """[batch, size, …]: earlier steps of a loop in their places among all positions, `start` at those that are still to come."""
    have = list(past[max(len(past) - size, 0) :])
    lead = [start] * (kept - len(have)) if len(have) < kept and run.length is None else []
    tail = [start] * (size - len(have) - len(lead))
    return torch.stack([*lead, *have, *tail], 1) if size else start[:, None][:, :0]


def lag(run: Run, full: Tensor, reach: int, steps: int, start: Tensor | float) -> Tensor:
    """`x[t - steps]` for every step: [batch, time, …]; `start` [batch, …] where that is before a reset."""
    time = full.shape[1] - reach
    value = full[:, reach - steps : reach - steps + time]
    known = _since_at_least(run, steps, value.dim())
    return value if known is None else torch.where(known, value, _over_time(start, value))


def window(run: Run, full: Tensor, reach: int, steps: Tensor, start: Tensor | float, per_step: bool) -> Tensor:
    """`x[t - steps]` at several distances at once.

    `steps` is int64 [w…] (the same for every step), or [batch, time, w…] where `per_step`. Result [batch, time, w…, …]. Distances
    beyond the buffer read `start`.
    """
    time = full.shape[1] - reach
    if not per_step:
        steps = steps[None, None].expand(1, time, *steps.shape)
    at = torch.arange(time, device=full.device).reshape(1, time, *(1,) * (steps.dim() - 2)) + reach - steps
    known = at >= 0
    since = run.since
    if since is not None:
        known = known & (steps <= since.reshape(*since.shape, *(1,) * (steps.dim() - 2)))
    rows = torch.arange(full.shape[0], device=full.device).reshape(-1, *(1,) * (at.dim() - 1))
    value = full[rows, at.clamp(min=0)]
    known = known.expand(value.shape[: known.dim()]).reshape(*value.shape[: known.dim()], *(1,) * (value.dim() - known.dim()))
    fill = _over_places(start, at.dim() - 1, value)
    return torch.where(known, value, fill)


def window_now(full: Tensor, steps: Tensor, start: Tensor | float, batched: bool) -> Tensor:
    """`window` at one step: `full` is [batch, reach + 1, …] with this step last; `steps` [w…], or [batch, w…] where `batched`."""
    if not batched:
        steps = steps[None]
    at = full.shape[1] - 1 - steps
    rows = torch.arange(full.shape[0], device=full.device).reshape(-1, *(1,) * (at.dim() - 1))
    value = full[rows, at.clamp(min=0)]
    known = (at >= 0).expand(value.shape[: at.dim()]).reshape(*value.shape[: at.dim()], *(1,) * (value.dim() - at.dim()))
    fill = _over_places(start, at.dim() - 1, value)
    return torch.where(known, value, fill)


def keep(run: Run, full: Tensor, reach: int | None, start: Tensor | float) -> Tensor:
    """The buffer after this run: the last `reach` steps of each sequence (all of them where `reach` is None), `start` before a reset."""
    time = run.length or 0
    size = full.shape[1] if reach is None else reach
    if not run.ragged:
        value = full[:, full.shape[1] - size :]
    else:
        ends = full.shape[1] - time + run.counts[run.chain]
        at = ends[:, None] - size + torch.arange(size, device=full.device)
        rows = torch.arange(full.shape[0], device=full.device)[:, None]
        value = full[rows, at.clamp(min=0)]
        if reach is None:
            fill = _over_time(start, value)
            value = torch.where((at >= 0).reshape(*at.shape, *(1,) * (value.dim() - 2)), value, fill)
    since = run.since
    if since is not None and time:
        last = since[:, -1] if not run.ragged else since.gather(1, (run.counts[run.chain] - 1).clamp(min=0)[:, None])[:, 0]
        if run.ragged:
            last = torch.where(run.counts[run.chain] > 0, last, torch.full_like(last, size))
        known = torch.arange(size, device=full.device) >= size - 1 - last[:, None]
        value = torch.where(known.reshape(*known.shape, *(1,) * (value.dim() - 2)), value, _over_time(start, value))
    return value


def widened(kept: Tensor, dim: int, new: int, start: float) -> Tensor:
    """A state with an entry for each position, and room for `new` further positions that hold `start`."""
    shape = list(kept.shape)
    shape[dim] = new
    return torch.cat((kept, torch.full(shape, start, dtype=kept.dtype, device=kept.device)), dim)


def narrowed(run: Run, value: Tensor, dim: int, reach: int | None) -> Tensor:
    """What is kept of such a state: the last `reach` positions of each sequence (all where None), its last step at the end."""
    full = value.movedim(dim, 1)
    size = full.shape[1] if reach is None else reach
    if run.ragged:
        ends = full.shape[1] - (run.length or 0) + run.counts[run.chain]
        at = (ends[:, None] - size + torch.arange(size, device=full.device)).clamp(min=0)
        full = full[torch.arange(full.shape[0], device=full.device)[:, None], at]
    else:
        full = full[:, full.shape[1] - size :]
    return full.movedim(1, dim)


def last(run: Run, steps: Tensor, before: Tensor) -> Tensor:
    """The value at each sequence's last step [batch, …]; `before` where it has none."""
    time = steps.shape[1]
    if time == 0:
        return before
    if not run.ragged:
        return steps[:, -1]
    counts = run.counts[run.chain]
    rows = torch.arange(steps.shape[0], device=steps.device)
    value = steps[rows, (counts - 1).clamp(min=0)]
    return torch.where((counts > 0).reshape(-1, *(1,) * (value.dim() - 1)), value, before.to(value.dtype))


def taps(run: Run, full: Tensor, size: int, dilation: int, now: bool = False) -> Tensor:
    """The `size` steps a causal kernel sees: [batch, time, …, size] (`now`: [batch, …, size]), oldest first; 0 before a reset."""
    reach = (size - 1) * dilation
    if now:
        held = full[:, full.shape[1] - 1 - reach :: dilation] if dilation > 1 else full[:, full.shape[1] - size :]
        return held.movedim(1, -1)
    time = full.shape[1] - reach
    if dilation == 1:
        view = full.unfold(1, size, 1) if full.shape[1] >= size else full.new_zeros(full.shape[0], 0, *full.shape[2:], size)
    else:
        view = torch.stack([full[:, k * dilation : k * dilation + time] for k in range(size)], -1)
    since = run.since
    if since is not None:
        back = torch.arange(size - 1, -1, -1, device=full.device) * dilation
        known = back <= since[..., None]
        view = torch.where(known.reshape(*since.shape, *(1,) * (view.dim() - 3), size), view, torch.zeros_like(view))
    return view


def depthwise(run: Run, full: Tensor, kernel: Tensor, size: int, dilation: int, per: int, bias: Tensor | None) -> Tensor:
    """A causal convolution with one kernel for each channel.

    `full` [batch, reach + time, *rest, *channels] with `per` channel axes last, `kernel` [*channels, size], `bias` [*channels] or None.
    """
    reach = (size - 1) * dilation
    time = full.shape[1] - reach
    rest, channels = full.shape[2 : full.dim() - per], full.shape[full.dim() - per :]
    count = channels.numel()
    if run.since is not None or time <= 0 or full.dtype not in (torch.float32, torch.float64) or not count:
        y = torch.einsum("...k,...k->...", taps(run, full, size, dilation), kernel.to(full.dtype))
        return y if bias is None else y + bias
    rows = full.movedim(1, -1).reshape(-1, count, full.shape[1])
    weight = kernel.reshape(count, 1, size)
    y = F.conv1d(rows, weight.to(rows.dtype), None if bias is None else bias.reshape(-1).to(rows.dtype), dilation=dilation, groups=count)
    return y.reshape(full.shape[0], *rest, *channels, time).movedim(-1, 1)

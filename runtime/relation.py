"""Second names for the steps of the chain (`index s of t where …`): numbers, masks and values of the positions that can be seen.

In sequence mode the positions are those kept from earlier runs and those of this run, `size = kept + time`; in step mode the kept ones
and this step. Numbers count as `t` does. A position is seen where the relation's condition holds, it is real (no padding, not before
the start) and no reset lies between.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqc.runtime.run import FAR, Run


def numbers(run: Run, kept: int, first: Tensor | None) -> Tensor:
    """[batch, kept + time] int64 (step mode: kept + 1): numbers without regard to resets in this run; < 0 is before the start."""
    new = 1 if run.length is None else run.length
    at = torch.arange(-kept, new, device=run.device)
    if first is None:
        return at.expand(run.batch, kept + new)
    return first[:, None] + at


def counted(run: Run, kept: int, first: Tensor | None) -> Tensor:
    """`numbers`, counted from the last reset at or before each position."""
    plain = numbers(run, kept, first)
    since = run.since
    if since is None:
        return plain
    if run.length is None:
        zero = torch.zeros_like(plain[:, :1])
        now = torch.where((since < FAR)[:, None], zero, plain[:, -1:])
        return torch.cat((plain[:, :-1], now), 1)
    return torch.cat((plain[:, :kept], torch.where(since < FAR, since, plain[:, kept:])), 1)


def seen(run: Run, kept: int, first: Tensor | None) -> Tensor:
    """Which positions belong to the same stretch of the same sequence as each step.

    [batch or 1, time, kept + time] bool (step mode: [batch, kept + 1]).
    """
    plain = numbers(run, kept, first)
    real = plain >= 0
    if run.length is None:
        if run.reset is None:
            return real
        only_now = torch.arange(plain.shape[1], device=run.device) == kept
        return torch.where(run.reset[:, None], only_now, real)
    valid = run.valid(run.chain)
    if valid is not None:
        real = torch.cat((real[:, :kept], real[:, kept:] & valid), 1)
    elif first is None and run.reset is None and not kept:
        return torch.ones(1, run.length, run.length, dtype=torch.bool, device=run.device)
    out = real[:, None, :].expand(real.shape[0], run.length, real.shape[1])
    if run.reset is not None:
        part = torch.cumsum(run.reset.to(torch.int64), 1)
        own = torch.cat((torch.zeros(run.batch, kept, dtype=torch.int64, device=run.device), part), 1)
        out = out & (own[:, None, :] == part[:, :, None])
    if valid is not None:
        # a step past the end sees itself: what it computes is cut off, and over nothing it could be 0 / 0, also in derivatives
        here = torch.arange(kept + run.length, device=run.device) == torch.arange(run.length, device=run.device)[:, None] + kept
        out = out | (here & ~valid[:, :, None])
    return out


def trimmed(full: Tensor, reach: int, kept: int) -> Tensor:
    """The last `kept` buffered steps and the new ones, of a buffer that may reach further back."""
    return full if reach == kept else full[:, reach - kept :]

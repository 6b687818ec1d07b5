"""Ragged batches: sequences of different length in one tensor.

`lengths` [batch] pads on the right; `cu_seqlens` [n + 1] lays sequences behind each other in a batch of one. Padding may hold anything
(NaN too): before anything is computed it is overwritten by a copy of a real row, and what comes out past the end is 0.

In a CUDA graph that is being captured nothing may wait for the device: `lengths` there are taken as they are (the calls before, which a
capture needs anyway, check them), `cu_seqlens` are refused, because the size of the padded batch follows from their values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class PackingError(ValueError):
    """`lengths` or `cu_seqlens` do not describe the batch."""


def checked_lengths(lengths: Any, batch: int, size: int, what: str, device: torch.device) -> Tensor:
    """`lengths` as int64 [batch] on the device; refuses lengths outside 0 … size."""
    held = torch.as_tensor(lengths, device=device)
    if held.dtype == torch.bool or held.is_floating_point() or held.is_complex():
        raise PackingError(f"{what} must be whole numbers, got {held.dtype}")
    held = held.to(torch.int64)
    if held.shape != (batch,):
        raise PackingError(f"{what} must be [{batch}] (one for each sequence), got {list(held.shape)}")
    if batch and not torch.compiler.is_compiling() and not captured(device):
        low, high = int(held.min()), int(held.max())
        if low < 0 or high > size:
            raise PackingError(f"{what} go from {low} to {high}, the input has {size} positions")
    return held


def captured(device: torch.device) -> bool:
    """Whether what is computed on a device now goes into a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def padding_replaced(x: Tensor, dim: int, counts: Tensor) -> Tensor:
    """`x` [batch, …] with each position past the end along `dim` overwritten by the last real one (0 where there is none)."""
    size = x.shape[dim]
    if size == 0 or x.shape[0] == 0:
        return x
    at = torch.arange(size, device=x.device)
    at = torch.minimum(at, (counts - 1).clamp(min=0)[:, None])
    shape = [1] * x.dim()
    shape[0], shape[dim] = x.shape[0], size
    y = x.gather(dim, at.reshape(shape).expand(x.shape))
    some = (counts > 0).reshape(-1, *(1,) * (x.dim() - 1))
    return torch.where(some, y, torch.zeros((), dtype=x.dtype, device=x.device))


def cut(x: Tensor, dim: int, counts: Tensor) -> Tensor:
    """`x` with 0 past the end."""
    inside = torch.arange(x.shape[dim], device=x.device) < counts[:, None]
    shape = [1] * x.dim()
    shape[0], shape[dim] = inside.shape
    return torch.where(inside.reshape(shape), x, torch.zeros((), dtype=x.dtype, device=x.device))


def flipped(x: Tensor, counts: Tensor | None) -> Tensor:
    """Time reversed, [batch, time, …]; within the real part of each sequence where `counts` is given, padding stays behind."""
    if counts is None:
        return x.flip(1)
    if x.shape[1] == 0:
        return x
    if x.shape[0] == 1 and counts.shape[0] != 1:
        x = x.expand(counts.shape[0], *x.shape[1:])
    at = torch.arange(x.shape[1], device=x.device)
    back = counts[:, None] - 1 - at
    at = torch.where(back >= 0, back, at)
    return x.gather(1, at.reshape(*at.shape, *(1,) * (x.dim() - 2)).expand(x.shape))


class Packed:
    """Sequences behind each other: where each starts in the one row, and how to get from there to a padded batch and back."""

    def __init__(self, cu_seqlens: Any, total: int, device: torch.device) -> None:
        if captured(device):
            raise PackingError(
                "cu_seqlens cannot be used while a CUDA graph is captured: how many sequences there are and how long they are is "
                "part of the graph. Give lengths=[batch], or one row with reset= at the first step of each sequence"
            )
        cu = torch.as_tensor(cu_seqlens)
        if cu.dtype == torch.bool or cu.is_floating_point() or cu.is_complex() or cu.dim() != 1 or cu.numel() < 1:
            raise PackingError("cu_seqlens must be whole numbers, [number of sequences + 1]")
        ends = [int(v) for v in cu.tolist()]
        if ends[0] != 0:
            raise PackingError(f"cu_seqlens must start with 0, not {ends[0]}")
        if any(b < a for a, b in zip(ends, ends[1:], strict=False)):
            raise PackingError("cu_seqlens must not decrease")
        if ends[-1] != total:
            raise PackingError(f"cu_seqlens ends with {ends[-1]}, the input has {total} positions")
        self.ends = ends
        self.count = len(ends) - 1
        sizes = [b - a for a, b in zip(ends, ends[1:], strict=False)]
        self.longest = max(sizes, default=0)
        self.lengths = torch.tensor(sizes, dtype=torch.int64, device=device).reshape(self.count)
        start = torch.tensor(ends[:-1], dtype=torch.int64, device=device).reshape(self.count)
        at = torch.arange(self.longest, device=device)
        self.rows = (start[:, None] + at).clamp(max=max(total - 1, 0))
        mine = torch.repeat_interleave(torch.arange(self.count, device=device), self.lengths, output_size=total)
        self.places = mine * self.longest + torch.arange(total, device=device) - start[mine]

    def unpack(self, x: Tensor) -> Tensor:
        """[1, total, …] → [count, longest, …]."""
        if x.shape[1] == 0:
            return x.new_zeros(self.count, self.longest, *x.shape[2:])
        return x[0][self.rows]

    def pack(self, x: Tensor) -> Tensor:
        """[count, longest, …] → [1, total, …]."""
        return x.flatten(0, 1)[self.places][None]

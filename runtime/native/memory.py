"""Memory for results: large ones on huge pages, where the system has them.

A fresh array costs a page fault for every 4 KiB; for a scan over 64 MiB that takes three times as long as the scan. Advice only: where
it is not taken nothing changes.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

import torch
from torch import Tensor

LARGE = 8 << 20
"""From so many bytes on huge pages are asked for: what is smaller, allocators reuse."""

_PAGE, _MADV_HUGEPAGE = 4096, 14


@functools.cache
def _advise() -> Callable[[int, int, int], int] | None:
    """The system's `madvise`; None where there is none or no huge pages."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    found.argtypes, found.restype = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], ctypes.c_int
    return found


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """`torch.empty` on the CPU."""
    made = torch.empty(shape, dtype=dtype)
    size = made.numel() * dtype.itemsize
    if size >= LARGE and (advise := _advise()) is not None:
        first = made.data_ptr()
        start = (first + _PAGE - 1) // _PAGE * _PAGE
        advise(start, (first + size - start) // _PAGE * _PAGE, _MADV_HUGEPAGE)
    return made

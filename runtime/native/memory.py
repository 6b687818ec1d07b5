"""Memory for large results: blocks that are used again, on huge pages where the system has them.

A fresh array costs a page fault for every 4 KiB, and zeros that nobody reads; for a scan over 64 MiB that takes three times as long
as the scan. So large results come out of a pool: when the last tensor on a block is gone the block waits for the next result
of about its size. Blocks that wait too long, or are too many, go back to the system.

Environment variable read: SEQC_POOL (0: every result is a `torch.empty`).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
import weakref
from collections import deque

import torch
from torch import Tensor

SMALLEST = 256 << 10
"""Results of fewer bytes are left to torch: what is smaller, allocators use again by themselves."""

HUGE = 2 << 20
"""Bytes of a huge page; blocks of one or more begin and end on its borders."""

PATIENCE = 10.0
"""Seconds that a block waits."""

on = os.environ.get("SEQC_POOL", "") != "0"
"""Whether there is a pool."""

_PAGE = mmap.PAGESIZE


def _room() -> int:
    """Bytes that may wait: an eighth of the machine's memory."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8
    except (AttributeError, ValueError, OSError):
        return 1 << 30


def capacity(size: int) -> int:
    """Bytes of the block that holds `size` bytes: at most an eighth more, so that results of about one size share blocks."""
    unit = max(_PAGE, 1 << max(0, size.bit_length() - 4))
    if size >= HUGE:
        unit = max(unit, HUGE)
    return -(-size // unit) * unit


def _mapped(size: int) -> mmap.mmap:
    """Fresh memory of this process alone: a child that is forked gets its own copy."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


class Block:
    """Memory of the process, aligned for vectors and huge pages. Freed with the object."""

    __slots__ = ("memory", "first", "size", "since")

    def __init__(self, size: int) -> None:
        huge = size >= HUGE
        self.memory = _mapped(size + (HUGE if huge else 0))
        if huge and hasattr(mmap, "MADV_HUGEPAGE"):
            try:
                self.memory.madvise(mmap.MADV_HUGEPAGE)
            except OSError:
                pass
        held = ctypes.c_char.from_buffer(self.memory)
        address = ctypes.addressof(held)
        del held
        self.first = -address % HUGE if huge else 0
        self.size = size
        self.since = 0.0


class Pool:
    """Blocks that wait. Safe to use from several threads: tensors die wherever they do, also inside of `empty` itself."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._returned: deque[Block] = deque()
        self._idle: dict[int, list[Block]] = {}
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype, size: int) -> Tensor:
        """A tensor of `size` bytes on a block."""
        block = self._take(capacity(size))
        held = (ctypes.c_char * size).from_buffer(block.memory, block.first)
        # the tensor holds `held`, the finalizer the block: it comes back when the tensor's storage is gone
        weakref.finalize(held, self._returned.append, block).atexit = False
        return torch.frombuffer(held, dtype=dtype).view(shape)

    def _take(self, size: int) -> Block:
        with self._lock:
            self._sort()
            waiting = self._idle.get(size)
            if waiting:
                return waiting.pop()
        return Block(size)

    def _sort(self) -> None:
        """Puts what came back where it is looked for; lets go of what waited too long or is too much."""
        now = time.monotonic()
        while self._returned:
            block = self._returned.popleft()
            block.since = now
            self._idle.setdefault(block.size, []).append(block)
        every = sorted((b for many in self._idle.values() for b in many), key=lambda b: -b.since)
        total = 0
        for block in every:
            total += block.size
            if total > self.room or now - block.since > PATIENCE:
                self._idle[block.size].remove(block)

    def clear(self) -> None:
        """Gives all waiting blocks back to the system."""
        with self._lock:
            self._returned.clear()
            self._idle.clear()

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        with self._lock:
            return sum(b.size for b in self._returned) + sum(b.size for many in self._idle.values() for b in many)


pool = Pool(_room())


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """`torch.empty` on the CPU."""
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size < SMALLEST or not on:
        return torch.empty(shape, dtype=dtype)
    return pool.empty(shape, dtype, size)

"""The pool of large results: blocks come back when nobody holds them, and never before."""

from __future__ import annotations

import gc
import os
import threading

import pytest
import torch

import seqc
from seqc.runtime.native import memory
from seqc.runtime.native.memory import HUGE, SMALLEST, Block, Pool, capacity

SIZE = 3 << 20


def made(pool: Pool, size: int = SIZE) -> torch.Tensor:
    return pool.empty((size // 4,), torch.float32, size)


def test_a_block_comes_back_when_the_last_tensor_is_gone() -> None:
    pool = Pool(1 << 30)
    x = made(pool)
    where = x.data_ptr()
    view, array = x.view(-1, 4)[1:], x.numpy()
    del x
    other = made(pool)
    assert other.data_ptr() != where, "a view and an array still look at it"
    del view
    assert made(pool).data_ptr() != where
    del array
    assert made(pool).data_ptr() in (where, other.data_ptr())
    kept = [made(pool) for _ in range(3)]
    assert len({y.data_ptr() for y in (*kept, other)}) == 4


def test_what_autograd_keeps_is_not_given_away() -> None:
    pool = Pool(1 << 30)
    w = torch.ones(SIZE // 4, requires_grad=True)
    x = made(pool).fill_(3.0)
    y = (x * w).sum()
    del x
    for _ in range(3):
        made(pool).fill_(7.0)
    y.backward()
    assert w.grad is not None and bool((w.grad == 3.0).all())


def test_sizes() -> None:
    for size in (SMALLEST, SMALLEST + 1, HUGE - 1, HUGE, HUGE + 1, 67108864, 67108865, 123456789):
        room = capacity(size)
        assert size <= room <= max(size * 1.13, size + HUGE) and room % 4096 == 0
        assert size < HUGE or room % HUGE == 0
    assert Block(HUGE).first % 64 == 0
    x = made(Pool(1 << 30))
    assert x.data_ptr() % HUGE == 0 and x.is_contiguous() and x.dtype is torch.float32


def test_what_waits_is_bounded_in_bytes_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(2 * capacity(SIZE))
    now = [0.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    many = [made(pool) for _ in range(5)]
    del many
    made(pool, SMALLEST)
    assert pool.waiting <= 2 * capacity(SIZE) + capacity(SMALLEST)
    now[0] = memory.PATIENCE + 1
    one = made(pool, SMALLEST)
    assert pool.waiting <= capacity(SMALLEST)
    del one
    pool.clear()
    assert pool.waiting == 0


def test_many_threads() -> None:
    pool = Pool(1 << 30)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            x = made(pool, SMALLEST).fill_(float(number))
            y = made(pool, SMALLEST).fill_(float(-number))
            if not (bool((x == number).all()) and bool((y == -number).all())):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i + 1,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_its_own() -> None:
    pool = Pool(1 << 30)
    x = made(pool).fill_(1.0)
    child = os.fork()
    if not child:
        x.fill_(2.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert bool((x == 1.0).all())


def test_a_layer_uses_its_memory_again() -> None:
    layer = seqc.load("indrnn").IndRNN(D=64, backend="native")
    x = torch.randn(4, 2048, 64)
    with torch.no_grad():
        y, _ = layer(x)
        first, copy = y, y.clone()
        places = set()
        for _ in range(4):
            y, _ = layer(x)
            places.add(y.data_ptr())
            del y
            gc.collect()
    assert torch.equal(first, copy) and len(places) == 1 and first.data_ptr() not in places

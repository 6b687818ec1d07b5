"""Streaming: a layer fed one step at a time from a live source, in constant memory, and equal to the whole sequence at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

import seqc


def sensor(count: int) -> Iterator[torch.Tensor]:
    """A source that delivers one reading after the other; each is [3]."""
    generator = torch.Generator().manual_seed(0)
    for n in range(count):
        noise = 0.1 * torch.randn(3, generator=generator)
        yield torch.tensor([math.sin(n / 5), math.cos(n / 7), float(n % 20 == 0)]) + noise


def main(count: int = 60) -> float:
    """Streams; the largest difference to the run over the whole sequence."""
    torch.manual_seed(0)
    layer = seqc.load("gru").GRU(D=3, N=8).eval()
    state = layer.init_state(1)
    seen, outs = [], []
    with torch.no_grad():
        for reading in sensor(count):
            y, state = layer.step(reading[None], state)
            seen.append(reading)
            outs.append(y)
            if len(outs) % 20 == 0:
                print(f"after {len(outs)} readings: |h| = {y.norm():.3f}")
        whole, last = layer(torch.stack(seen)[None])
    far = (torch.stack(outs, 1) - whole).abs().max().item()
    print(f"stepped and whole differ by {far:.1e} at most; the states by {(state.h - last.h).abs().max():.1e}")
    return far


if __name__ == "__main__":
    main()

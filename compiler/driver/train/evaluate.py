"""Bits per byte of a model on a stream of bytes, every byte counted.

The stream is cut into equal parts that run side by side as one batch, piece by piece with the state carried. Each part first
reads `warm` bytes before it without being scored, so that cutting costs nothing worth speaking of; only the first byte of all
has nothing before it and counts 8 bits. Where the state grows with the text (a cache of keys and values), the context is cut
every `most` bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from seqc.compiler.driver.usage import Unusable

WORDS = 256


def logits_of(result: Any) -> tuple[Tensor, Any]:
    """The logits and the state in what a model returns; of several outs the one named `logits`, else the first."""
    out, state = result
    if not isinstance(out, Tensor):
        out = getattr(out, "logits", None) if hasattr(out, "logits") else out[0]
    return out, state


def state_size(state: Any) -> int:
    """Numbers in a state."""
    return sum(leaf.numel() for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor))


@torch.inference_mode()
def bits_per_byte(
    model: nn.Module,
    data: Tensor,
    *,
    streams: int = 128,
    length: int = 128,
    warm: int = 256,
    most: int = 2048,
    report: Callable[[float], None] | None = None,
) -> float:
    """data: [n] uint8. The mean over all n bytes of -log2 of the probability that the model gave each."""
    n = data.numel()
    if n == 0:
        return math.nan
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    streams = max(1, min(streams, n // (4 * length) or 1))
    part = -(-n // streams)
    warm = min(warm, part) // length * length
    begin = torch.arange(streams)[:, None] * part
    end = (begin + part).clamp(max=n)
    state: Any = None
    total, since, size = torch.zeros((), dtype=torch.float64), 0, 0
    for at in range(-warm, part, length):
        here = begin + torch.arange(at, min(at + length, part))[None]  # the bytes predicted; each from the one before
        ids = data[(here - 1).clamp(0, n - 1)].long().to(device)
        logits, state = logits_of(model(ids, state))
        counts = (here >= begin) & (here < end) & (here > 0)
        if at >= 0:
            target = data[here.clamp(0, n - 1)].long().to(device)
            losses = functional.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
            total += losses.cpu().double()[counts.flatten()].sum()
        since += length
        grown, size = state_size(state) > size > 0, state_size(state)
        if grown and since + length > most:
            state, since, size = None, 0, 0
        if report is not None:
            report(min(1.0, (at + length + warm) / (part + warm)))
    model.train(was_training)
    return (float(total) / math.log(2) + 8.0) / n


@torch.inference_mode()
def require_causal(model: nn.Module) -> None:
    """Raises `Unusable` where a model's logits depend on bytes that come later, or have the wrong shape."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, WORDS, (1, 24), generator=generator)
    other = ids.clone()
    other[:, 12:] = torch.randint(0, WORDS, (1, 12), generator=generator)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    one, _ = logits_of(model(ids.to(device)))
    two, _ = logits_of(model(other.to(device)))
    model.train(was_training)
    if tuple(one.shape) != (1, 24, WORDS):
        raise Unusable(
            f"the model's output is {list(one.shape)} for bytes of [1, 24]; training on text needs [1, 24, {WORDS}]",
            "declare `in ids : [t] of int in [0, 256)` and `out logits : [t, W]` with `dim W = 256`",
        )
    if not torch.allclose(one[:, :12], two[:, :12], rtol=1e-3, atol=1e-4):
        raise Unusable("the model looks ahead, so predicting the next byte would be no prediction", "`seqc explain` says where")

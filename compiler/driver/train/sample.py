"""Text written by a model, one byte after the other with `step`, which needs memory for one state only."""

from __future__ import annotations

import torch
from torch import nn

from seqc.compiler.driver.train.evaluate import logits_of


@torch.inference_mode()
def sample(model: nn.Module, prompt: bytes, count: int, *, temperature: float = 0.7, seed: int = 0) -> bytes:
    """`count` bytes after `prompt` (one byte at least). Temperature 0 takes the likeliest byte each time."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    was_training = model.training
    model.eval()
    start = prompt or b"\n"
    logits, state = logits_of(model(torch.tensor([list(start)], dtype=torch.int64, device=device)))
    last = logits[:, -1]
    out = bytearray()
    for _ in range(count):
        scores = last.float().cpu()
        if temperature <= 0:
            chosen = scores.argmax(-1)
        else:
            chosen = torch.multinomial(torch.softmax(scores / temperature, -1), 1, generator=generator)[:, 0]
        out.append(int(chosen))
        last, state = logits_of(model.step(chosen.to(device), state))  # type: ignore[operator]
    model.train(was_training)
    return bytes(out)


def readable(data: bytes) -> str:
    """Bytes as text for a terminal: what is no UTF-8, and control characters, are shown as �.

    >>> readable(b"a\\tb\\x1b[2J\\xff\\n")
    'a\\tb�[2J�\\n'
    """
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

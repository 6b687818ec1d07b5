"""A byte-level language model with an own mixer in its hole, trained for a few steps on its own source text."""

from __future__ import annotations

import math
from pathlib import Path

import torch

import seqc

HERE = Path(__file__).resolve().parent


def main(steps: int = 40) -> tuple[float, float]:
    """Trains; bits per byte before and after."""
    torch.manual_seed(0)
    mixer = seqc.load(HERE / "decay.seq").Decay
    model = seqc.load("char_lm").CharLM(Mixer=mixer, D=48, L=2)
    text = torch.tensor(list(b"".join(p.read_bytes() for p in sorted(HERE.glob("*.py")))))
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    first = last = 0.0
    for step in range(steps):
        start = torch.randint(len(text) - 65, (8,))
        window = text[start[:, None] + torch.arange(65)]
        loss = model.loss(window[:, :-1], window[:, 1:]).ce
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        last = loss.item() / math.log(2)
        first = first or last
        if step % 10 == 0 or step == steps - 1:
            print(f"step {step:3d}  {last:.2f} bits per byte")
    return first, last


if __name__ == "__main__":
    main()

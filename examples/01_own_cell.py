"""An own cell in ten lines, used like any layer inside a torch model and trained for a few steps.

The task: a row of numbers, one of them marked; say at the end which it was.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import seqc

spec = seqc.load(Path(__file__).with_name("leaky.seq"))


class Recall(nn.Module):
    """The cell between two ordinary layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = spec.Leaky(D=2, N=width)
        self.readout = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [batch, time, 2], a number and a mark → [batch], the marked number."""
        y, state = self.inner(x)
        return self.readout(y[:, -1]).squeeze(-1)


def examples(batch: int, time: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of numbers with one mark each, and the marked numbers."""
    numbers = torch.rand(batch, time) * 2 - 1
    place = torch.randint(time, (batch,))
    marks = nn.functional.one_hot(place, time).float()
    return torch.stack([numbers, marks], -1), numbers.gather(1, place[:, None]).squeeze(1)


def main(steps: int = 150) -> tuple[float, float]:
    """Trains; the error before and after."""
    torch.manual_seed(0)
    model = Recall(width=24)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    first = last = 0.0
    for step in range(steps):
        x, wanted = examples(batch=64, time=12)
        loss = nn.functional.mse_loss(model(x), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        last = loss.item()
        first = first or last
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:3d}  squared error {last:.3f}")
    print(sum(p.numel() for p in model.parameters()), "parameters:", ", ".join(model.inner.state_dict()))
    return first, last


if __name__ == "__main__":
    main()

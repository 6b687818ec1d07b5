"""The task of telling scikit-learn's handwritten digits apart, each picture of 8 × 8 read as a sequence.

A step of the sequence is `pixels` pixels (1, 2, 4 or 8). Every fifth picture is held out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqc.compiler.driver.train.evaluate import logits_of
from seqc.compiler.driver.usage import Unusable


class DigitsTask:
    """1,797 pictures; the model takes x : [batch, 64 / pixels, pixels] in [0, 1] and gives logits : [batch, 10]."""

    unit = "bits/picture"
    item = "pictures"

    def __init__(self, *, batch: int, pixels: int, seed: int) -> None:
        if pixels not in (1, 2, 4, 8):
            raise Unusable(f"a picture of 64 pixels is not read {pixels} at a time", "P is 1, 2, 4 or 8")
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise Unusable("--task digits needs scikit-learn", "pip install scikit-learn") from None
        pictures, labels = load_digits(return_X_y=True)
        x = torch.tensor(pictures, dtype=torch.float32).view(-1, 64 // pixels, pixels) / 16
        y = torch.tensor(labels, dtype=torch.int64)
        held = torch.arange(len(y)) % 5 == 4
        self.x, self.y, self.held_x, self.held_y = x[~held], y[~held], x[held], y[held]
        self.batch = min(batch, len(self.y))
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.zeros(0, dtype=torch.int64)
        self.at = 0

    @property
    def items_per_step(self) -> int:
        """Pictures that a step learns from."""
        return self.batch

    @property
    def identity(self) -> str:
        """Says which data this is."""
        return hashlib.sha256(self.x.numpy().tobytes() + self.y.numpy().tobytes()).hexdigest()

    @property
    def scored(self) -> int:
        """Pictures that the score is taken on."""
        return len(self.held_y)

    @property
    def held_out(self) -> str:
        """Which part that is, in words."""
        return "every 5th picture"

    def check(self, model: nn.Module) -> None:
        """Raises `Unusable` where the model is no classifier of these sequences."""
        with torch.no_grad():
            logits, _ = logits_of(model(self.held_x[:2].to(next(model.parameters()).device)))
        if tuple(logits.shape) != (2, 10):
            raise Unusable(
                f"the model's output is {list(logits.shape)} for two pictures; telling ten digits apart needs [2, 10]",
                "declare `in x : [t, P]` and `out logits : [K]` with `dim K = 10`",
            )

    def loss(self, model: nn.Module) -> Tensor:
        """The loss of the next batch, in nats; a new order for each pass through the pictures."""
        if self.at + self.batch > len(self.order):
            self.order, self.at = torch.randperm(len(self.y), generator=self.generator), 0
        chosen = self.order[self.at : self.at + self.batch]
        self.at += self.batch
        device = next(model.parameters()).device
        logits, _ = logits_of(model(self.x[chosen].to(device)))
        return functional.cross_entropy(logits.float(), self.y[chosen].to(device))

    @torch.no_grad()
    def _held(self, model: nn.Module) -> Tensor:
        was_training = model.training
        model.eval()
        device = next(model.parameters()).device
        found = torch.cat([logits_of(model(x.to(device)))[0].float().cpu() for x in torch.split(self.held_x, 256)])
        model.train(was_training)
        return found

    def quick(self, model: nn.Module) -> float:
        """Bits per held-out picture."""
        return self.in_unit(functional.cross_entropy(self._held(model), self.held_y).item())

    def score(self, model: nn.Module, report: Callable[[float], None] | None = None) -> dict[str, float]:
        """Bits for each held-out picture, and the share told right."""
        logits = self._held(model)
        right = (logits.argmax(-1) == self.held_y).double().mean().item()
        return {"model": self.in_unit(functional.cross_entropy(logits, self.held_y).item()), "accuracy": right}

    def in_unit(self, loss: float) -> float:
        """A loss in nats as bits."""
        return loss / math.log(2)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next batch depends on."""
        return {"order": self.order, "at": torch.tensor(self.at), "generator": self.generator.get_state()}

    def load_state_dict(self, tensors: dict[str, Tensor], model: nn.Module) -> None:
        """Takes up where `state_dict` was taken. Raises `Unusable` where the tensors cannot be of this task."""
        order, at = tensors.get("order"), tensors.get("at")
        count = len(self.y)
        if order is None or at is None or order.dtype != torch.int64 or order.ndim != 1 or at.ndim:
            raise Unusable("the checkpoint does not say where in the data it stopped")
        if len(order) not in (0, count) or not bool(((order >= 0) & (order < count)).all()) or not 0 <= int(at) <= len(order):
            raise Unusable("the checkpoint's order is not one of these pictures")
        self.order, self.at = order.clone(), int(at)
        self.generator.set_state(tensors["generator"])

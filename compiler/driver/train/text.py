"""The task of predicting the next byte, with truncated back-propagation through time.

Each step takes `length` bytes of each of `batch` places in the training text. The state is carried for `carry` such pieces,
then all places jump elsewhere at random: long memories get their gradient cut but not their values, and a short run still sees
text from all over. What determines the next batch (places, generator, carried state) is in `state_dict`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from seqc.compiler.driver.train.corpus import Corpus, compressors
from seqc.compiler.driver.train.evaluate import bits_per_byte, logits_of, require_causal
from seqc.compiler.driver.usage import Unusable

QUICK_STREAMS, QUICK_BYTES = 32, 1024


def as_tensor(data: bytes) -> Tensor:
    """[n] uint8"""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)


class TextTask:
    """Bytes of a corpus; `unit` is what losses and scores are given in."""

    unit = "bits/byte"
    item = "bytes"

    def __init__(self, corpus: Corpus, *, batch: int, length: int, carry: int, seed: int, score: int = 2_000_000) -> None:
        self.corpus = corpus
        self.batch, self.length = batch, length
        self.train, self.held = as_tensor(corpus.train), as_tensor(corpus.held[:score])
        self.carry = max(1, min(carry, (self.train.numel() - 1) // length))
        if self.train.numel() <= length:
            raise Unusable(f"{self.train.numel()} bytes of training text are too little for --length {length}")
        self.generator = torch.Generator().manual_seed(seed)
        self.pieces = 0
        self.places = torch.zeros(batch, dtype=torch.int64)
        self.state: Any = None

    @property
    def items_per_step(self) -> int:
        """Bytes that a step learns from."""
        return self.batch * self.length

    @property
    def identity(self) -> str:
        """Says which data this is."""
        return self.corpus.digest

    @property
    def scored(self) -> int:
        """Bytes that the score is taken on."""
        return self.held.numel()

    @property
    def held_out(self) -> str:
        """Which part that is, in words."""
        return self.corpus.rule

    def check(self, model: nn.Module) -> None:
        """Raises `Unusable` where the model is no language model over bytes."""
        require_causal(model)

    def loss(self, model: nn.Module) -> Tensor:
        """The loss of the next batch, in nats; moves on."""
        device = next(model.parameters()).device
        if self.pieces % self.carry == 0:
            last = self.train.numel() - self.carry * self.length - 1
            self.places = torch.randint(0, last + 1, (self.batch,), generator=self.generator)
            self.state = None
        window = self.train[self.places[:, None] + torch.arange(self.length + 1)].long().to(device)
        logits, state = logits_of(model(window[:, :-1], self.state))
        self.state = pytree.tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, state)
        self.places = self.places + self.length
        self.pieces += 1
        return functional.cross_entropy(logits.flatten(0, 1).float(), window[:, 1:].flatten())

    def quick(self, model: nn.Module) -> float:
        """Bits per byte on a fixed small part of the held-out bytes."""
        n = self.held.numel()
        size = min(QUICK_BYTES, n)
        starts = torch.linspace(0, n - size, min(QUICK_STREAMS, max(1, n // size))).long()
        part = self.held[(starts[:, None] + torch.arange(size)).flatten()]
        return bits_per_byte(model, part, streams=len(starts), length=min(256, size), warm=0)

    def score(self, model: nn.Module, report: Callable[[float], None] | None = None) -> dict[str, float]:
        """Bits per byte on all held-out bytes, beside the compressors'."""
        found = {"model": bits_per_byte(model, self.held, report=report)}
        return found | compressors(self.corpus.held[: self.held.numel()])

    def in_unit(self, loss: float) -> float:
        """A loss in nats as bits."""
        return loss / math.log(2)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next batch depends on; leaves of the carried state are named by number."""
        out = {"places": self.places, "pieces": torch.tensor(self.pieces), "generator": self.generator.get_state()}
        if self.pieces % self.carry:
            leaves = pytree.tree_leaves(self.state)
            out |= {f"carried.{n}": torch.as_tensor(leaf) for n, leaf in enumerate(leaves)}
        return out

    def load_state_dict(self, tensors: dict[str, Tensor], model: nn.Module) -> None:
        """Takes up where `state_dict` was taken. Raises `Unusable` where the tensors cannot be of this task."""
        places, pieces = tensors.get("places"), tensors.get("pieces")
        if places is None or pieces is None or places.shape != (self.batch,) or places.dtype != torch.int64 or pieces.ndim:
            raise Unusable("the checkpoint does not say where in the text it stopped")
        self.pieces = int(pieces)
        limit = self.train.numel() - self.length * (self.carry - self.pieces % self.carry) - 1
        if self.pieces < 0 or (self.pieces % self.carry and not bool(((places >= 0) & (places <= limit)).all())):
            raise Unusable("the checkpoint's places lie outside this text")
        self.places = places.clone()
        self.generator.set_state(tensors["generator"])
        self.state = None
        if self.pieces % self.carry:
            zeros = torch.zeros(self.batch, 1, dtype=torch.int64, device=next(model.parameters()).device)
            with torch.no_grad():
                _, like = logits_of(model(zeros))
            pattern, tree = pytree.tree_flatten(like)
            leaves = []
            for n, leaf in enumerate(pattern):
                found = tensors.get(f"carried.{n}")
                if found is None or (isinstance(leaf, Tensor) and (found.dtype != leaf.dtype or found.ndim != leaf.ndim)):
                    raise Unusable("the checkpoint's carried state is not this model's")
                leaves.append(found.clone().to(leaf.device) if isinstance(leaf, Tensor) else type(leaf)(found.item()))
            self.state = pytree.tree_unflatten(leaves, tree)

"""The training loop: batches, gradients, AdamW, schedule, and everything needed to stop and go on as if nothing had been.

Only the steps count as time; looks at the held-out part and checkpoints do not. A run that is stopped and resumed gives, for a
given number of steps, the same losses to the last bit as one that was not (on the same machine, with as many threads).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from seqc.compiler.driver.train import checkpoint, optimiser
from seqc.compiler.driver.train.options import TrainOptions
from seqc.compiler.driver.train.schedule import factor, progress
from seqc.compiler.driver.usage import Unusable
from seqc.runtime.module import Module

LOOKS = 12
"""How often the held-out part is looked at during a run."""


class Task(Protocol):
    """Data and what is asked of it; `text.py` and `digits.py` are such."""

    unit: str
    item: str

    @property
    def items_per_step(self) -> int:
        """Items that one step reads."""
        ...

    @property
    def identity(self) -> str:
        """What the data are; a checkpoint of other data is not resumed."""
        ...

    @property
    def scored(self) -> int:
        """Items that the score is taken over."""
        ...

    @property
    def held_out(self) -> str:
        """What is held out, in words."""
        ...

    def check(self, model: nn.Module) -> None:
        """Raises where the model does not fit the data."""
        ...

    def loss(self, model: nn.Module) -> Tensor:
        """The loss of the next batch."""
        ...

    def quick(self, model: nn.Module) -> float:
        """A score over a part of what is held out."""
        ...

    def score(self, model: nn.Module, report: Callable[[float], None] | None = None) -> dict[str, float]:
        """The scores over all that is held out."""
        ...

    def in_unit(self, loss: float) -> float:
        """A loss in the task's unit."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Where in the data the run is."""
        ...

    def load_state_dict(self, tensors: dict[str, Tensor], model: nn.Module) -> None:
        """Goes on from there."""
        ...



@dataclass(frozen=True, slots=True)
class Moment:
    """One step as it was: its number, seconds and items so far, the rate, the loss and perhaps the held-out loss (else NaN)."""

    step: int
    seconds: float
    items: int
    rate: float
    loss: float
    held: float

    def row(self) -> list[float]:
        """The six numbers."""
        return [self.step, self.seconds, self.items, self.rate, self.loss, self.held]


class Trainer:
    """A model being trained on a task. `texts` (the spec's text and the like) goes into every checkpoint."""

    def __init__(self, model: nn.Module, task: Task, options: TrainOptions, texts: Mapping[str, str] | None = None) -> None:
        self.model, self.task, self.options = model, task, options
        self.texts = dict(texts or {})
        self.parameters = optimiser.named(model)
        if not self.parameters:
            raise Unusable("the model has no parameters to train")
        self.optimiser = optimiser.adamw(model, options.rate, options.decay)
        self.history: list[Moment] = []
        self.seconds = 0.0
        self.looks = 0

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.history)

    @property
    def done(self) -> float:
        """How much of the run is over, 0 to 1."""
        return progress(self.step, self.seconds, self.options.steps, self.options.minutes)

    def advance(self) -> Moment:
        """One step. Raises `Unusable` where the loss is no longer a number."""
        began = time.perf_counter()
        rate = self.options.rate * factor(self.done, self.options.warmup, self.options.floor)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        loss = self.task.loss(self.model)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters.values(), self.options.clip)
        value = self.task.in_unit(loss.item())
        if not math.isfinite(value):
            lower = self.options.rate / 3
            raise Unusable(f"the loss of step {self.step + 1} is {value}", f"a lower rate helps: --rate {lower:.2g}")
        self.optimiser.step()
        if isinstance(self.model, Module):
            self.model.project()
        self.seconds += time.perf_counter() - began
        items = (self.step + 1) * self.task.items_per_step
        moment = Moment(self.step + 1, self.seconds, items, rate, value, math.nan)
        self.history.append(moment)
        return moment

    def look(self) -> float:
        """The loss on the quick held-out part, noted with the last step."""
        held = self.task.quick(self.model)
        if self.history:
            last = self.history[-1]
            self.history[-1] = Moment(last.step, last.seconds, last.items, last.rate, last.loss, held)
        return held

    def run(
        self,
        report: Callable[[Moment], None] | None = None,
        save: Callable[[], None] | None = None,
        until: Callable[[Moment], bool] | None = None,
    ) -> None:
        """Trains to the end of the schedule, or until `until` says so. `save` is called every `save_every` seconds."""
        saved = time.monotonic()
        while self.done < 1.0:
            moment = self.advance()
            if self.done * LOOKS >= self.looks + 1 and self.done < 1.0:
                self.looks = int(self.done * LOOKS)
                self.look()
            if report is not None:
                report(self.history[-1])
            if save is not None and time.monotonic() - saved > self.options.save_every:
                save()
                saved = time.monotonic()
            if until is not None and until(moment):
                break

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, as tensors."""
        out = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        out |= {f"optimiser.{name}": value for name, value in optimiser.take(self.optimiser, self.parameters).items()}
        out |= {f"data.{name}": value for name, value in self.task.state_dict().items()}
        out["random"] = torch.get_rng_state()
        rows = [m.row() for m in self.history]
        out["history"] = torch.tensor(rows, dtype=torch.float64).view(len(rows), 6)
        return out

    def save(self, path: Path) -> None:
        """Writes a checkpoint."""
        run = {"seconds": self.seconds, "looks": self.looks, "data": self.task.identity, "torch": torch.__version__}
        texts = {"options": self.options.model_dump_json(), "run": json.dumps(run), **self.texts}
        checkpoint.write(path, self.state_dict(), texts)

    def load(self, path: Path) -> None:
        """Takes up a run where the checkpoint left it. Raises `Unusable` where it is of another model or other data."""
        texts = checkpoint.header(path).texts
        try:
            run = json.loads(texts["run"])
            seconds, looks, data = float(run["seconds"]), int(run["looks"]), str(run["data"])
        except (KeyError, ValueError, TypeError):
            raise Unusable(f"`{path}` does not say how far its run was") from None
        if data != self.task.identity:
            raise Unusable(
                "the text is not the one that the checkpoint was trained on, so the run cannot be continued as it was",
                "give the same --data, or start anew in another --out",
            )
        if not (math.isfinite(seconds) and seconds >= 0):
            raise Unusable(f"`{path}` does not say how far its run was")
        model = {f"model.{name}": (value.dtype, tuple(value.shape)) for name, value in self.model.state_dict().items()}
        names = model | {"random": (torch.uint8, tuple(torch.get_rng_state().shape))}
        tensors = checkpoint.read(path, names, free=("optimiser.", "data.", "history"))
        rows = tensors.get("history")
        if rows is None or rows.ndim != 2 or rows.shape[1] != 6 or rows.dtype != torch.float64:
            raise Unusable(f"`{path}` has no history")
        self._take_optimiser({n.removeprefix("optimiser."): v for n, v in tensors.items() if n.startswith("optimiser.")})
        self.model.load_state_dict({name.removeprefix("model."): tensors[name] for name in model})
        self.task.load_state_dict({n.removeprefix("data."): v for n, v in tensors.items() if n.startswith("data.")}, self.model)
        self.history = [Moment(int(r[0]), r[1], int(r[2]), r[3], r[4], r[5]) for r in rows.tolist()]
        self.seconds, self.looks = seconds, looks
        torch.set_rng_state(tensors["random"])

    def _take_optimiser(self, tensors: dict[str, Tensor]) -> None:
        for key, value in tensors.items():
            kind, _, name = key.partition(".")
            owner = self.parameters.get(name)
            shape = () if kind == "step" else tuple(owner.shape) if owner is not None else None
            if kind not in ("step", "exp_avg", "exp_avg_sq") or owner is None or tuple(value.shape) != shape:
                raise Unusable(f"the checkpoint's optimiser knows a `{key[:80]}` that the model does not have")
        optimiser.put(self.optimiser, self.parameters, tensors)

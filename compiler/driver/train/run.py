"""A whole run, in order: data, model, training, checkpoint, score, sample, plot, and the files that are left.

Everything a terminal shows goes through `Events`; nothing is printed here. Files in the folder of the run:

    checkpoint.safetensors   weights, optimiser, place in the data, history, options, the spec's text
    log.csv                  one line a step          loss.svg     the plot
    sample.txt               a text by the model      result.json  the figures
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from seqc.compiler.driver.train import checkpoint, corpus
from seqc.compiler.driver.train.digits import DigitsTask
from seqc.compiler.driver.train.loop import Moment, Task, Trainer
from seqc.compiler.driver.train.options import TrainOptions
from seqc.compiler.driver.train.plot import plot
from seqc.compiler.driver.train.sample import readable, sample
from seqc.compiler.driver.train.text import TextTask
from seqc.compiler.driver.usage import Unusable

CHECKPOINT = "checkpoint.safetensors"
Build = Callable[[TrainOptions], tuple[nn.Module, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Events:
    """What is told while a run goes on: a sentence, a step, a part (0 to 1) of the scoring."""

    say: Callable[[str], None] = lambda text: None
    step: Callable[[Trainer, Moment], None] = lambda trainer, moment: None
    scoring: Callable[[float], None] = lambda part: None


@dataclass(frozen=True, slots=True)
class Result:
    """What came out. `score` is on all held-out data, in `unit`; `others` what that is to be compared with."""

    spec: str
    model: str
    parameters: int
    task: str
    unit: str
    score: float
    others: dict[str, float]
    scored: int
    held_out: str
    steps: int
    seconds: float
    items: int
    item: str
    per_second: float
    files: dict[str, str] = field(default_factory=dict)
    sample: str = ""


def folder_for(spec: str, out: str, resume: bool) -> Path:
    """The folder of a run: `out`, else `runs/NAME`, and `runs/NAME-2` where that has a checkpoint that is not to be continued.

    Raises `Unusable` where `out` holds another run already, or there is nothing to resume.
    """
    if out:
        folder = Path(out)
        if not resume and (folder / CHECKPOINT).exists():
            raise Unusable(f"`{folder}` holds a run already", "--resume goes on with it; another --out starts anew")
    else:
        base = Path("runs") / Path(spec).stem
        folder, number = base, 1
        while not resume and (folder / CHECKPOINT).exists():
            number += 1
            folder = base.with_name(f"{base.name}-{number}")
    if resume and not (folder / CHECKPOINT).exists():
        raise Unusable(f"there is no checkpoint in `{folder}`", "--out names the folder of the run to go on with")
    return folder


def stored_options(path: Path) -> TrainOptions:
    """The options that a checkpoint was made with. Raises `Unusable`."""
    try:
        found = json.loads(checkpoint.header(path).texts["options"])
        found["data"] = tuple(found["data"])
        return TrainOptions.make(**found)
    except (KeyError, ValueError, TypeError, RecursionError):
        raise Unusable(f"`{path}` does not say with which options it was made") from None


def task_of(options: TrainOptions, pixels: int = 1) -> Task:
    """The data of a run. `pixels` a step: for digits only."""
    if options.task == "digits":
        return DigitsTask(batch=options.batch, pixels=pixels, seed=options.seed)
    found = corpus.read(options.data)
    return TextTask(
        found, batch=options.batch, length=options.length, carry=options.carry, seed=options.seed, score=options.score
    )


SHARED_FROM = 4_000_000
"""Parameters from which on a step is worth sharing between threads. Below, its operations are microseconds long: on a busy
machine threads that wait for each other made the default model ten times slower than one thread alone."""


def train(
    options: TrainOptions,
    folder: Path,
    build: Build,
    *,
    resume: bool = False,
    pixels: int = 1,
    events: Events | None = None,
    until: Callable[[Moment], bool] | None = None,
) -> Result:
    """Trains, scores and writes the files. Ctrl-C ends the training early, with a checkpoint, and the rest follows.

    Raises `Unusable` where the data, the model or the checkpoint do not fit; OSError where the folder cannot be written.
    """
    events = events or Events()
    task = task_of(options, pixels)
    model, texts = build(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    elif sum(p.numel() for p in model.parameters()) < SHARED_FROM:
        torch.set_num_threads(1)
    task.check(model)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(model, task, options, texts)
    if resume:
        trainer.load(folder / CHECKPOINT)
        events.say(f"going on after step {trainer.step}")
    path = folder / CHECKPOINT
    tell = events.step
    stopped = False
    try:
        trainer.run(lambda moment: tell(trainer, moment), lambda: trainer.save(path), until)
    except KeyboardInterrupt:
        stopped = True
        events.say(f"stopped after step {trainer.step}; `--resume` goes on from here")
    trainer.save(path)
    if stopped:
        raise KeyboardInterrupt
    return _finish(trainer, folder, events)


def _finish(trainer: Trainer, folder: Path, events: Events) -> Result:
    """Score, sample, plot, files."""
    task, options = trainer.task, trainer.options
    scores = task.score(trainer.model, events.scoring)
    score = scores.pop("model")
    written = ""
    text = isinstance(task, TextTask)
    if text and options.sample:
        prompt = options.prompt.encode()
        written = readable(
            prompt + sample(trainer.model, prompt, options.sample, temperature=options.temperature, seed=options.seed)
        )
        write_text(folder / "sample.txt", written)
    name = trainer.texts.get("model") or options.spec
    picture = plot(
        trainer.history, title=f"{name}: {task.unit}", unit=task.unit, item=task.item, lines=scores if text else {}, final=score
    )
    write_text(folder / "loss.svg", picture)
    write_text(folder / "log.csv", log(trainer.history))
    last = trainer.history[-1] if trainer.history else Moment(0, 0.0, 0, 0.0, math.nan, math.nan)
    files = {"checkpoint": CHECKPOINT, "plot": "loss.svg", "log": "log.csv", "result": "result.json"}
    if written:
        files["sample"] = "sample.txt"
    result = Result(
        spec=options.spec,
        model=name,
        parameters=sum(p.numel() for p in trainer.parameters.values()),
        task=options.task,
        unit=task.unit,
        score=score,
        others=scores,
        scored=task.scored,
        held_out=task.held_out,
        steps=trainer.step,
        seconds=last.seconds,
        items=last.items,
        item=task.item,
        per_second=last.items / last.seconds if last.seconds else 0.0,
        files={kind: str(folder / file) for kind, file in files.items()},
        sample=written,
    )
    write_text(folder / "result.json", json.dumps(asdict(result), indent=2) + "\n")
    return result


def log(history: list[Moment]) -> str:
    """The history as CSV; looks at the held-out part where there were any."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["step", "seconds", "items", "rate", "loss", "held_out"])
    for m in history:
        held = "" if math.isnan(m.held) else repr(m.held)
        writer.writerow([m.step, f"{m.seconds:.4f}", m.items, repr(m.rate), repr(m.loss), held])
    return stream.getvalue()


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8", newline="\n")
    os.replace(aside, path)

"""`seqc train`: trains a model on text or digits, and says how well it went."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from seqc.compiler.cli.shared import add_colour, add_sizes

if TYPE_CHECKING:
    from seqc.compiler.cli.console import Console
    from seqc.compiler.driver.train.run import Result

EPILOG = """Without --data the text is the source of Python's standard library. Every 20th file by sorted path is held out and
scored at the end in bits per byte, beside what zlib and lzma make of the same bytes. Only training steps count as time.
exit codes: 0 done, 1 errors in the spec, 2 wrong usage, 130 interrupted (a checkpoint is written; --resume goes on)"""

_NUMBERS: tuple[tuple[str, type, str], ...] = (
    ("steps", int, "train this many steps"),
    ("minutes", float, "train this long (default: 2); the learning rate comes down in that time"),
    ("batch", int, "sequences at a time (default: 32; digits: 64)"),
    ("length", int, "bytes of each until the gradient is cut (default: 32)"),
    ("carry", int, "pieces of that length with the state carried, then a jump elsewhere in the text (default: 32)"),
    ("rate", float, "highest learning rate (default: 0.006; digits: 0.004)"),
    ("decay", float, "weight decay (default: 0.1)"),
    ("clip", float, "largest norm of the gradient (default: 1)"),
    ("seed", int, "seed of parameters, data and sample (default: 0)"),
    ("threads", int, "threads to use (default: 1 for a model below 4 M parameters, else what torch takes)"),
    ("score", int, "held-out bytes to score at the end, at most (default: 2000000)"),
    ("sample", int, "bytes of text to write at the end (default: 600)"),
    ("temperature", float, "how bold that text is (default: 0.7)"),
)
_DIGITS = {"batch": 64, "rate": 4e-3}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "spec", metavar="SPEC", nargs="?", default=None, help="a model: a path or a bundled spec (default: char_lm)"
    )
    parser.add_argument("--data", nargs="+", metavar="PATH", help="text files and folders of them, read as bytes")
    parser.add_argument("--task", choices=("text", "digits"), help="digits: scikit-learn's, each picture as a sequence")
    for name, kind, what in _NUMBERS:
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=what)
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, … (default: cpu)")
    parser.add_argument("--prompt", metavar="TEXT", help="what the text at the end starts with")
    add_sizes(parser)
    parser.add_argument(
        "--hole", action="append", default=[], metavar="NAME=SPEC", dest="holes", help="fills a hole, Mixer=gla; repeatable"
    )
    parser.add_argument("--out", default="", metavar="DIR", help="folder of checkpoint, log, plot, sample (default: runs/SPEC)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, as if it had never stopped")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: the figures as one record")
    add_colour(parser)


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, by the names of `TrainOptions`. Raises `Unusable`."""
    from seqc.compiler.driver.options import dims_of
    from seqc.compiler.driver.target import target_of
    from seqc.compiler.driver.usage import Unusable

    given: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("task", "device", "prompt", *(n for n, _, _ in _NUMBERS))
        if getattr(args, name) is not None
    }
    if args.spec is not None:
        target = target_of(args.spec)
        given |= {"spec": target.spec, "body": target.body}
    if args.data is not None:
        given["data"] = tuple(args.data)
    if args.sizes:
        given["dims"] = dims_of(args.sizes)
    holes = {}
    for text in args.holes:
        name, equals, spec = text.partition("=")
        if not equals or not name.strip() or not spec.strip():
            raise Unusable(f"`{text[:80]}` fills no hole", "write a hole's name and a spec: --hole Mixer=gla")
        holes[name.strip()] = spec.strip()
    if holes:
        given["holes"] = holes
    return given


def run(args: argparse.Namespace) -> int:
    """Trains; 130 after Ctrl-C, with a checkpoint."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.progress import Progress
    from seqc.compiler.driver.train.model import build, size_of
    from seqc.compiler.driver.train.options import TrainOptions
    from seqc.compiler.driver.train.run import CHECKPOINT, Events, folder_for, stored_options, train
    from seqc.compiler.driver.usage import Unusable

    given = asked(args)
    digits = given.get("task") == "digits"
    spec = given.get("spec", "digits_classifier" if digits else "char_lm")
    folder = folder_for(spec, args.out, args.resume)
    if args.resume:
        options = stored_options(folder / CHECKPOINT).resumed(given)
    else:
        options = TrainOptions.make(**{**(_DIGITS if digits else {}), "spec": spec, **given})
    out = Console.out(args.color)
    quiet = args.format == "json"
    timed = options.minutes is not None
    total = 60.0 * options.minutes if options.minutes is not None else float(options.steps or 0)
    label = f"train {options.spec}"
    with (
        Progress(label, total, unit="s" if timed else "steps", enabled=not quiet) as bar,
        Progress("score", 1.0, enabled=not quiet, every=None) as scoring,
    ):
        recent: list[float] = []

        def step(trainer: Any, moment: Any) -> None:
            recent.append(moment.loss)
            del recent[:-50]
            speed = f"{moment.items / moment.seconds:,.0f} {trainer.task.item}/s"
            note = f"{sum(recent) / len(recent):.3f} {trainer.task.unit}, {speed}"
            bar.set(min(moment.seconds, total) if timed else moment.step, note)

        def score(part: float) -> None:
            bar.close()
            scoring.set(part)

        pixels = size_of(options, "P", 1) if options.task == "digits" else 1
        events = Events(say=lambda text: None if quiet else bar.say(text), step=step, scoring=score)
        try:
            result = train(options, folder, build, resume=args.resume, pixels=pixels, events=events)
        except OSError as wrong:
            raise Unusable(f"`{folder}` cannot be written: {(wrong.strerror or str(wrong)).lower()}") from None
    if quiet:
        from dataclasses import asdict

        print(json.dumps(asdict(result), indent=2))
    else:
        show(result, out)
    return 0


def show(result: Result, out: Console) -> None:
    """The figures, the sample, and where everything lies."""
    out.print(
        f"{out.style(result.model, 'bold')}: {result.parameters:,} parameters, {result.steps:,} steps in "
        f"{result.seconds:.1f} s, {result.items:,} {result.item} ({result.per_second:,.0f} a second)"
    )
    out.print(f"held out: {result.scored:,} {result.item}, {result.held_out}")
    if "accuracy" in result.others:
        out.print(f"  {100 * result.others['accuracy']:.1f} % told right, {result.score:.3f} {result.unit}")
    else:
        rows = [("seqc", result.score), *result.others.items()]
        for name, value in rows:
            line = f"  {name:<6} {value:.3f} {result.unit}"
            out.print(out.style(line, "green") if name == "seqc" else line)
    if result.sample:
        out.print()
        out.print("\n".join("  " + out.style("│", "dim") + " " + line for line in result.sample.strip("\n").split("\n")))
        out.print()
    for kind, path in result.files.items():
        out.print(f"  {kind:<10} {path}")

"""`seqc bench SPEC`: forward, forward+backward and step, beside the reference and what a user would take instead.

`seqc bench --suite cpu`, `--suite gpu`: the tables of figures that were asked for, measured.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from seqc.compiler.cli.shared import add_colour, add_lowering, add_sizes

if TYPE_CHECKING:
    from seqc.compiler.cli.console import Console
    from seqc.compiler.driver.bench.run import Result

EPILOG = """\
Contenders run in turns in one process; medians and quartiles in milliseconds. `ratio` is a contender's median over that
of the fastest of seqc's own: above 1, seqc is faster.
--suite cpu measures the table of figures that were asked for, one thread unless --threads says otherwise: peers in turns,
outputs and gradients compared before a ratio counts; `seqc bench --suite cpu --rows help` names its rows. --suite gpu does
the same with Triton kernels on a graphics card, by its events; --write FILE replaces the rows that were measured.
exit codes: 0 done, whatever the figures; 1 errors in the spec, 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("spec", metavar="SPEC", nargs="?", help="a path or a bundled spec (`seqc list`); NAME:Cell picks one body")
    parser.add_argument("--suite", choices=("cpu", "gpu"), help="measure a table of figures instead of a spec")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="with --suite: only these rows; `help` lists them")
    parser.add_argument("--quick", action="store_true", help="with --suite: tiny sizes, to see that everything runs")
    parser.add_argument("--write", default="", metavar="FILE", help="with --suite: the table as Markdown, RESULTS.md")
    parser.add_argument("--dry", action="store_true", help=argparse.SUPPRESS)  # --suite gpu without one: tiny, interpreted
    add_lowering(parser)
    add_sizes(parser)
    parser.add_argument("--shape", default="4x256", metavar="BxT", help="batch and steps (default 4x256)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each measurement takes (default 3)")
    parser.add_argument("--threads", type=int, default=0, help="threads to use (default: as torch has it; 1 with --suite)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: records with all figures")
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Times the body asked for, or the one the spec is about; or measures a suite."""
    from seqc.compiler.driver.usage import Unusable

    if args.suite:
        if args.spec:
            raise Unusable("a suite has its own specs", f"seqc bench {args.spec}, or seqc bench --suite {args.suite}")
        from seqc.compiler.cli.bench_suite import suite

        return suite(args)
    if not args.spec:
        raise Unusable("there is nothing to time", "name a spec (`seqc list`), or a suite: --suite cpu")
    if args.rows or args.quick or args.write or args.dry:
        raise Unusable("--rows, --quick and --write belong to a suite", "seqc bench --suite cpu")
    return one(args)


def one(args: argparse.Namespace) -> int:
    """Times one body."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.progress import Progress
    from seqc.compiler.cli.shared import options_of
    from seqc.compiler.driver import sizes
    from seqc.compiler.driver.bench.run import timed
    from seqc.compiler.driver.layers import maker
    from seqc.compiler.driver.pipeline import compiled
    from seqc.compiler.driver.target import main_body, target_of
    from seqc.compiler.driver.usage import Unusable

    options = options_of(args)
    target = target_of(args.spec)
    result = compiled(target, options, until="code")
    body = main_body(result.bodies, target)
    if any(h.default is None for h in body.holes):
        raise Unusable(f"`{body.name}` has a hole without a default", "bench a body that fills it")
    chosen = sizes.defaults(body, options.dims) or sizes.resolve(body, options.dims)
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    streams = result.report["cells"].get(body.name, {}).get("streams") == "step"
    with Progress("bench", enabled=args.format == "text", every=None) as bar:
        found = timed(
            target.stem,
            body,
            maker(result),
            chosen,
            batch=options.batch,
            time=options.time,
            device=options.device,
            backend=options.backend,
            scan=options.scan,
            streams=streams,
            seconds=max(0.05, args.seconds),
            tick=bar.note_now,
        )
    if args.format == "json":
        print(json.dumps({"spec": args.spec, **found.record()}, indent=2))
    else:
        _table(found, Console.out(args.color))
    return 0


def _table(found: Result, out: Console) -> None:
    sizes = ", ".join(f"{k} = {v}" for k, v in found.sizes.items())
    out.print(out.style(found.body, "bold") + f"  batch {found.batch}, {found.time} steps, {sizes}")
    out.print(out.style(f"float32 on {found.device}, {found.threads} threads, torch {found.torch}, load {found.load:.1f}", "dim"))
    rows = [
        [
            r.what,
            r.who,
            f"{r.median_ms:.3g}",
            f"{r.low_ms:.3g} … {r.high_ms:.3g}",
            str(r.runs),
            f"{r.ratio:.2f}",
            _rate(r.tokens_per_second),
        ]
        for r in found.rows
    ]
    out.table(rows, ("", "", "median ms", "quartiles", "runs", "ratio", "tokens/s"), right=(2, 3, 4, 5, 6))
    for note in found.notes:
        out.print(out.style(f"not compared: {note}", "dim"))


def _rate(rate: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if rate >= size:
            return f"{rate / size:.3g} {unit}"
    return f"{rate:.3g}"

"""`seqc explain SPEC`: what the compiler found out. `seqc explain SEQ0301`: what a diagnostic means."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqc.compiler.cli.shared import add_colour, add_lowering, add_sizes

if TYPE_CHECKING:
    from seqc.compiler.driver.pipeline import Run

STAGES = ("syntax", "spec", "graph", "analysis", "plan", "kernel", "code")
EPILOG = """With --device or --shape the mode that each loop over time takes there, its estimated time, what bounds it, the runner-up.
--stage prints what one stage of the compiler made; --stage all -o DIR writes all of them, numbered.
exit codes: 0 explained, 1 errors in the spec, 2 no such spec, code or option"""
_CODE = re.compile(r"SEQ(\d{4}|-W\d{2})", re.IGNORECASE)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("spec", metavar="SPEC|CODE", help="a path or a bundled spec (NAME:Cell for one body), or a code")
    parser.add_argument("--stage", choices=(*STAGES, "all"), help="print what a stage made")
    parser.add_argument("-o", "--output", metavar="DIR", help="with --stage: write files into this folder")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: the verdicts on every body")
    parser.add_argument("--device", help="the machine the plan is for: cpu, cuda, cuda:1, a100, h100, h200, mi300x (default cpu)")
    parser.add_argument(
        "--shape", metavar="BxT", help="batch and steps the figures are for (default 8x1024); B=8,T=4096,D=512 gives sizes of dims too"
    )
    parser.add_argument(
        "--given",
        action="append",
        default=[],
        metavar="INPUT",
        help="take this optional input as given by the caller; repeatable",
    )
    add_sizes(parser)
    add_lowering(parser)
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Explains a code, a stage or the whole."""
    from seqc.compiler.cli.console import Console

    if _CODE.fullmatch(args.spec):
        return _code(args.spec.upper())
    from seqc.compiler.cli.shared import options_of
    from seqc.compiler.diagnostics.diagnostic import Rejected
    from seqc.compiler.driver.pipeline import advance, compiled, shown
    from seqc.compiler.driver.target import target_of

    options = options_of(args)
    target = target_of(args.spec)
    if args.stage:
        wanted = STAGES if args.stage == "all" else (args.stage,)
        result = compiled(target, options, until=wanted[-1])
        if args.output:
            return _write(args.output, target.stem, [(s, shown(result, s)) for s in wanted])
        for stage in wanted:
            if len(wanted) > 1:
                print(f"# ---- {stage} ----")
            sys.stdout.write(shown(result, stage))
        return 0
    result = compiled(target, options, until="plan" if args.format == "text" else "analysis")
    # a spec that nothing can run yet is explained all the same
    figures = args.device is not None or args.shape is not None
    if figures or args.format == "text":
        with contextlib.suppress(Rejected):
            advance(result, "kernel")
    if args.format == "json":
        print(json.dumps({**result.report, **_machine(result, figures)}, indent=2))
        return 0
    from seqc.compiler.driver.explain.text import explain_text

    out = Console.out(args.color)
    out.print(explain_text(result, out.style, max(80, min(120, shutil.get_terminal_size((110, 24)).columns)), figures).rstrip("\n"))
    return 0


def _machine(result: Run, figures: bool) -> dict[str, Any]:
    """The choices on a machine as plain data, where they were asked for."""
    from seqc.compiler.driver.explain.choices import report

    return {"machine": report(result).model_dump(mode="json")} if figures and "kernel" in result.results else {}


def _code(code: str) -> int:
    """The explanation of a diagnostic code."""
    from seqc.compiler.diagnostics.codes import CODES, explain_code
    from seqc.compiler.diagnostics.suggest import nearest
    from seqc.compiler.driver.usage import Unusable

    text = explain_code(code)
    if text is None:
        near = nearest(code, CODES)
        raise Unusable(f"there is no code {code}", f"did you mean {near}?" if near else "messages show their codes in brackets")
    sys.stdout.write(text)
    return 0


def _write(folder: str, stem: str, stages: list[tuple[str, str]]) -> int:
    """Numbered files, one a stage."""
    from seqc.compiler.cli.shared import write_text
    from seqc.compiler.driver.usage import Unusable

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise Unusable(f"`{folder}` cannot be made: {(wrong.strerror or 'unknown reason').lower()}") from None
    ends = {"syntax": "seq", "code": "py"}
    for name, text in stages:
        path = Path(folder) / f"{STAGES.index(name) + 1}_{stem}.{name}.{ends.get(name, 'txt')}"
        write_text(str(path), text)
        print(f"wrote {path}")
    return 0

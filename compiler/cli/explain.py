"""`seqc explain SPEC`: what the compiler found out. `seqc explain SEQ0301`: what a diagnostic means."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import sys
from pathlib import Path

from seqc.compiler.cli.shared import add_colour, add_lowering, add_sizes

STAGES = ("syntax", "spec", "graph", "analysis", "plan", "kernel", "code")
EPILOG = """--stage prints what one stage of the compiler made; --stage all -o DIR writes all of them, numbered.
exit codes: 0 explained, 1 errors in the spec, 2 no such spec, code or option"""
_CODE = re.compile(r"SEQ(\d{4}|-W\d{2})", re.IGNORECASE)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("spec", metavar="SPEC|CODE", help="a path or a bundled spec (NAME:Cell for one body), or a code")
    parser.add_argument("--stage", choices=(*STAGES, "all"), help="print what a stage made")
    parser.add_argument("-o", "--output", metavar="DIR", help="with --stage: write files into this folder")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: the verdicts on every body")
    parser.add_argument("--device", default="cpu", help="the device the plan is for: cpu, cuda, cuda:1")
    parser.add_argument("--shape", default="8x1024", metavar="BxT", help="batch and steps the figures are for (default 8x1024)")
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
    if args.format == "json":
        print(json.dumps(result.report, indent=2))
        return 0
    # a spec that nothing can run yet is explained all the same
    with contextlib.suppress(Rejected):
        advance(result, "kernel")
    from seqc.compiler.driver.explain.text import explain_text

    out = Console.out(args.color)
    out.print(explain_text(result, out.style, max(80, min(120, shutil.get_terminal_size((110, 24)).columns))).rstrip("\n"))
    return 0


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

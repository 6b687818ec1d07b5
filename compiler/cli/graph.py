"""`seqc graph SPEC -o FILE.svg`: draws the step with its components, gates, states and lags."""

from __future__ import annotations

import argparse
import sys

from seqc.compiler.cli.shared import add_spec

EPILOG = """Without -o the picture goes to NAME.svg in the current folder; -o - writes it to standard output.
exit codes: 0 drawn, 1 errors in the spec, 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_spec(parser)
    parser.add_argument("-o", "--output", metavar="FILE.svg", help="where to; - is standard output")


def run(args: argparse.Namespace) -> int:
    """Draws the body asked for, or the one the spec is about."""
    from seqc.compiler.cli.shared import write_text
    from seqc.compiler.driver.draw.build import picture_of
    from seqc.compiler.driver.draw.layout import arrange
    from seqc.compiler.driver.draw.svg import write
    from seqc.compiler.driver.explain.verdict import class_text
    from seqc.compiler.driver.pipeline import compiled
    from seqc.compiler.driver.target import main_body, target_of

    target = target_of(args.spec)
    result = compiled(target, until="analysis")
    body = main_body(result.bodies, target)
    cell = result.report["cells"].get(body.name, {})
    picture = picture_of(body, [(c["states"], class_text(c)) for c in cell.get("components", ())], result.program.doc)
    text = write(picture, arrange(picture))
    if args.output == "-":
        sys.stdout.write(text)
        return 0
    path = args.output or f"{body.name.lower()}.svg"
    write_text(path, text)
    print(f"wrote {path}")
    others = [b.name for b in result.bodies if b is not body]
    if others and not target.body:
        print(f"`{target.spec}` also has {', '.join(others)}: seqc graph {target.spec}:{others[0]}")
    return 0

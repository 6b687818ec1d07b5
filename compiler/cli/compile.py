"""`seqc compile SPEC -o FILE.py`: writes the Python module."""

from __future__ import annotations

import argparse
import sys

from seqc.compiler.cli.shared import add_lowering, add_spec

EPILOG = """The module imports torch and seqc.runtime, never the compiler. The same input gives the same bytes.
exit codes: 0 written, 1 errors in the spec, 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_spec(parser)
    parser.add_argument("-o", "--output", metavar="FILE.py", help="where to (default: NAME.py here); - is standard output")
    add_lowering(parser)


def run(args: argparse.Namespace) -> int:
    """Compiles one spec."""
    from seqc.compiler.cli.shared import options_of, write_text
    from seqc.compiler.driver.pipeline import compiled
    from seqc.compiler.driver.target import target_of

    target = target_of(args.spec)
    options = options_of(args)
    result = compiled(target, options, until="code")
    if args.output == "-":
        sys.stdout.write(result.code)
        return 0
    path = args.output or f"{target.stem}.py"
    write_text(path, result.code)
    print(f"wrote {path}")
    for line in result.choices:
        print(line)
    return 0

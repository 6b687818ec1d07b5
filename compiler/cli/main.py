"""The command `seqc`: finds the command's file, runs it, turns whatever happens into a message and an exit code.

    0   done                                   2   the command line is wrong (unknown option, no such file or spec)
    1   errors in a spec; a check that failed  3   a bug in seqc (SEQ0901), with a report written
    130 interrupted

Each command is a file here with `arguments(parser)` and `run(args) -> int`; only the one asked for is imported, and its
heavy imports stand inside `run`, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("bundled", "the bundled specs, a line each"),
    "check": ("check", "checks specs and says what is wrong, where, and how to put it right"),
    "explain": ("explain", "what the compiler found out: equations, components, scan modes, cost; or what a code means"),
    "compile": ("compile", "writes the Python module"),
    "verify": ("verify", "runs every legal mode against the float64 reference"),
    "bench": ("bench", "times the layer beside the reference and what a user would take instead"),
    "graph": ("graph", "draws the step as SVG"),
    "train": ("train", "trains a model on text or on a built-in data set"),
    "aot": ("aot", "compiles the Triton kernels for a GPU that need not be there"),
    "fmt": ("fmt", "formats specs in place, comments kept"),
    "cache": ("cache", "lists, measures, checks or clears compiled modules"),
}
"""Command → (its file here, what it does)."""

EXITS = "exit codes: 0 done, 1 errors in a spec or a failed check, 2 wrong usage, 3 a bug in seqc"
SPEC = "SPEC is a path or a bundled spec (`seqc list`); NAME:Cell picks one body."
ENVIRONMENT = """environment:
  SEQC_CACHE_DIR  folder of compiled modules      SEQC_REFERENCE=1  run the eager reference whatever is asked for
  SEQC_DUMP       stages to print: plan,code      SEQC_DEBUG=1      show Python tracebacks of bugs in seqc
  SEQC_LOG        stages to talk about: +all      NO_COLOR          no colours"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code. `argv` defaults to the process's arguments."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _failed(error, words)


def _run(words: list[str]) -> int:
    command = next((w for w in words if not w.startswith("-")), "")
    if command not in COMMANDS or words[0] != command:
        parser = _overview()
        args, _ = parser.parse_known_args(words[:1] if words and words[0].startswith("-") else [])
        if words and words[0].startswith("-") and not vars(args).get("version"):
            parser.error(f"unknown option {words[0]}")
        if not words:
            parser.print_help()
            return 0
        return _unknown(command, parser)
    file, what = COMMANDS[command]
    module = import_module(f"seqc.compiler.cli.{file}")
    parser = argparse.ArgumentParser(
        prog=f"seqc {command}",
        description=getattr(module, "DESCRIPTION", None) or what[0].upper() + what[1:] + ".",
        epilog=getattr(module, "EPILOG", None) or EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser)
    result: Any = module.run(parser.parse_args(words[1:]))
    return int(result or 0)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        from seqc.compiler.driver.crash import version

        print(f"seqc {version()}")
        parser.exit(0)


def _overview() -> argparse.ArgumentParser:
    longest = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name.ljust(longest)}  {what}" for name, (_, what) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="seqc",
        usage="seqc COMMAND … (`seqc COMMAND --help` shows its options)",
        description="A compiler for sequence architectures: the mathematics of one step in, a PyTorch module out.",
        epilog=f"commands:\n{commands}\n\n{SPEC}\n{ENVIRONMENT}\n{EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    return parser


def _unknown(command: str, parser: argparse.ArgumentParser) -> int:
    from seqc.compiler.diagnostics.suggest import did_you_mean

    meant = did_you_mean(command, COMMANDS)
    print(f"error: there is no command `{command[:60]}`", file=sys.stderr)
    print(f"help: {meant or 'seqc --help lists the commands'}", file=sys.stderr)
    return 2


def _failed(error: Exception, words: Sequence[str]) -> int:
    """The message and exit code of an exception."""
    from seqc.compiler.diagnostics.diagnostic import Rejected
    from seqc.compiler.driver.usage import Unusable

    sys.stdout.flush()
    if isinstance(error, Unusable):
        print(f"error: {error}", file=sys.stderr)
        if error.help:
            print(f"help: {error.help}", file=sys.stderr)
        return 2
    if isinstance(error, Rejected):
        from seqc.compiler.cli.messages import show

        show(error.diagnostics)
        return 1
    from seqc.compiler.driver.crash import show as show_crash

    print(show_crash(error, words), file=sys.stderr)
    return 3


if __name__ == "__main__":
    raise SystemExit(main())

"""Options that several commands have, worded once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqc.compiler.driver.options import Options


def add_colour(parser: argparse.ArgumentParser) -> None:
    """`--color`."""
    parser.add_argument(
        "--color",
        "--colour",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours: auto means on a terminal only",
    )


def add_spec(parser: argparse.ArgumentParser) -> None:
    """The SPEC a command works on."""
    parser.add_argument("spec", metavar="SPEC", help="a path or a bundled spec (`seqc list`); NAME:Cell picks one body")


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """`--set` for dims."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="DIM=SIZE", dest="sizes", help="the size of a dim; repeatable"
    )


def add_lowering(parser: argparse.ArgumentParser) -> None:
    """`--backend` and `--scan`."""
    parser.add_argument(
        "--backend",
        choices=("auto", "triton", "native", "reference"),
        default="auto",
        help="who runs it; auto chooses and says so, any other is a promise",
    )
    parser.add_argument(
        "--scan", default="auto", metavar="MODE", help="scan mode, or auto; `seqc explain SPEC` lists the legal ones"
    )


def options_of(args: argparse.Namespace) -> Options:
    """The options record from a command's arguments. Raises `Unusable`."""
    from seqc.compiler.driver.options import Options, dims_of, shape_of

    given: dict[str, Any] = {}
    if getattr(args, "sizes", None):
        given["dims"] = dims_of(args.sizes)
    if getattr(args, "shape", None):
        given.update(shape_of(args.shape))
    for name in ("backend", "scan", "device"):
        if getattr(args, name, None):
            given[name] = getattr(args, name)
    return Options.make(**given)

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
        shape = shape_of(args.shape)
        given.update({**shape, "dims": {**given.get("dims", {}), **shape.get("dims", {})}})
    if getattr(args, "given", None):
        given["given"] = tuple(args.given)
    for name in ("backend", "scan", "device"):
        if getattr(args, name, None):
            given[name] = getattr(args, name)
    return Options.make(**given)


def write_text(path: str, text: str) -> None:
    """Writes a file all at once. Raises `Unusable` where that cannot be done."""
    import os
    import tempfile

    from seqc.compiler.driver.usage import Unusable

    real = os.path.realpath(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=".seqc-", dir=os.path.dirname(real))
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mode = os.stat(real).st_mode & 0o7777 if os.path.exists(real) else 0o666 & ~_umask()
        os.chmod(temporary, mode)
        os.replace(temporary, real)
    except OSError as wrong:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise Unusable(f"`{path}` cannot be written: {(wrong.strerror or 'unknown reason').lower()}") from None


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    import os

    mask = os.umask(0o022)
    os.umask(mask)
    return mask

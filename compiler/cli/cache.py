"""`seqc cache list|size|clear|verify`: the folder of compiled modules."""

from __future__ import annotations

import argparse
import time

from seqc.compiler.cli.shared import add_colour

EPILOG = """The folder is $SEQC_CACHE_DIR, else $XDG_CACHE_HOME/seqc, else ~/.cache/seqc. It can be removed at any time.
exit codes: 0 done, 1 verify found damaged entries (they are moved aside and made again when needed), 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "action",
        choices=("list", "size", "clear", "verify"),
        help="list the entries; how much they take; remove them; compare them with their checksums",
    )
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Does one of the four."""
    from seqc.compiler.cli.console import Console
    from seqc.compiler.driver.cache import Cache, default_root
    from seqc.compiler.driver.options import Options

    out = Console.out(args.color)
    chosen = Options.make().cache_dir
    root = chosen or default_root()
    cache = Cache(chosen or None)
    match args.action:
        case "list":
            rows = [
                [
                    e.key[:12],
                    size_text(e.size),
                    _ago(time.time() - e.used),
                    e.label or "-",
                    "" if e.sound else out.style("damaged", "red"),
                ]
                for e in cache.listed()
            ]
            if rows:
                out.table(rows, ("key", "size", "used", "what", ""), right=(1, 2))
            else:
                out.print(f"nothing in {root}")
        case "size":
            out.print(f"{size_text(cache.size())} in {root}")
        case "clear":
            before = cache.size()
            out.print(f"removed {cache.clear()} entries, {size_text(before)}")
        case _:
            damaged = cache.verify()
            for what in damaged:
                out.print(out.style("damaged", "red") + f" {what}")
            if damaged:
                return 1
            out.print(f"{out.style('ok', 'green')}: every entry in {root} is what its checksums say")
    return 0


def size_text(size: float) -> str:
    """`12 B`, `3.4 KiB`, `1.2 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


def _ago(seconds: float) -> str:
    for limit, size, word in ((90, 1, "s"), (5400, 60, "min"), (129600, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {word} ago"
    return f"{seconds / 86400:.0f} days ago"

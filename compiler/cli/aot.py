"""`seqc aot SPEC --target sm_90`: every Triton kernel compiled with no GPU present; registers, shared memory and spills."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from seqc.compiler.cli.shared import add_colour, add_sizes

if TYPE_CHECKING:
    from seqc.compiler.driver.aot.build import Built

EPILOG = """Sizes are the spec's own, a dim without one is 256; --set overrules them. Block sizes follow from them as at run time.
A kernel that needs more shared memory than the target has, or that spills registers to memory, is a failure.
With -o the binaries are written to FOLDER/TARGET with a manifest of their hashes; seqc.runtime.triton.artefacts loads it.
exit codes: 0 all compiled, 1 a kernel cannot be used or the spec has errors, 2 wrong usage"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a path or a bundled spec; NAME:Cell picks one body")
    parser.add_argument(
        "--target", action="append", choices=("sm_80", "sm_90", "gfx942"), help="the machine; may be given several times (default: sm_90)"
    )
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16", "float64"), default="float32", help="what memory holds")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="sequences: few or many (default: 64)")
    parser.add_argument("--unmasked", action="store_true", help="leave out the forms for resets and padding")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write the compiled kernels")
    add_sizes(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one record for each kernel")
    add_colour(parser)


def run(args: argparse.Namespace) -> int:
    """Compiles; 1 where a kernel cannot be used."""
    from pathlib import Path

    from seqc.compiler.cli.console import Console
    from seqc.compiler.cli.shared import options_of
    from seqc.compiler.driver.aot.build import built, manifest, ready, variants, write
    from seqc.compiler.driver.aot.targets import TARGETS
    from seqc.compiler.driver.load import load
    from seqc.compiler.driver.pipeline import compiled
    from seqc.compiler.driver.sizes import defaults
    from seqc.compiler.driver.target import target_of
    from seqc.compiler.driver.usage import Unusable

    given = options_of(args).dims
    ready()
    out = Console.out(args.color)
    everything: list[tuple[str, Built]] = []
    for name in args.specs:
        wanted = target_of(name)
        bodies = compiled(wanted, None, until="spec").bodies
        unknown = [k for k in given if all(k != d.name for b in bodies for d in b.dims)]
        if unknown:
            raise Unusable(f"no body of {name} has a dim `{unknown[0]}`")
        module = load(wanted.spec)
        for target in args.target or ["sm_90"]:
            found: list[Built] = []
            all_sizes: dict[str, Any] = {}
            for body in bodies:
                cls = getattr(module, body.name)
                if not cls.TRITON and not cls.LEFT and not cls.TRITON_LEFT:
                    continue  # no loop over time
                mine = {k: n for k, n in given.items() if k in {d.name for d in body.dims}}
                every = defaults(body, mine)
                sizes = {d.name: every[d.name] for d in body.dims if d.name in every and (d.value is None or d.name in given)}
                all_sizes[body.name] = sizes
                left = cls.LEFT or cls.TRITON_LEFT
                if left and args.format == "text":
                    out.print(f"{name} {body.name}: no Triton kernel for {', '.join(left[0][0])}: {left[0][1]}")
                seen: dict[str, int] = {}
                for v in variants(cls, sizes, args.dtype, args.batch, not args.unmasked, target):
                    seen[v.name] = seen.get(v.name, 0) + 1
                    found.append(built(v, TARGETS[target], v.name if seen[v.name] == 1 else f"{v.name}.{seen[v.name]}"))
            everything += [(name, b) for b in found]
            if args.format == "text" and found:
                _table(name, target, found, out)
            if args.output and found:
                write(Path(args.output) / target, found, manifest(found, name, all_sizes, args.dtype))
    wrong = [b for _, b in everything if b.fault]
    if args.format == "json":
        print(json.dumps({"ok": not wrong, "kernels": [{"spec": n, **_record(b)} for n, b in everything]}, indent=2))
    return 1 if wrong else 0


def _record(b: Built) -> dict[str, Any]:
    r = b.resources
    return {
        "kernel": b.variant.name,
        "target": b.target.name,
        "registers": r.registers,
        "spills": r.spills,
        "shared": r.shared,
        "warps": b.variant.warps,
        "blocks": {k: v for k, v in b.variant.constants.items() if k.startswith("BLOCK_")},
        "fault": b.fault,
    }


def _table(name: str, target: str, found: list[Built], out: Any) -> None:
    out.print(out.style(f"{name} for {target}", "bold"))
    rows = []
    for b in found:
        blocks = " x ".join(str(v) for k, v in b.variant.constants.items() if k.startswith("BLOCK_"))
        verdict = out.style(b.fault, "red") if b.fault else out.style("ok", "green")
        r = b.resources
        rows.append([b.variant.name, blocks, str(b.variant.warps), str(r.registers), str(r.shared), str(r.spills), verdict])
    out.table(rows, ("kernel", "blocks", "warps", "registers", "shared", "spills", ""), indent=2)

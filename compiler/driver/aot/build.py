"""Every kernel of a module compiled for one target, and the folder that holds the results.

In:   a generated class with sizes, a target, the type of memory.      Out: `Built`, one for each kernel; a folder with the
      binaries, Triton's description of each, and a manifest with their SHA-256 that `seqc.runtime.triton.artefacts` reads.
Refuses: (`Unusable`) no Triton, Triton's interpreter switched on in this process. What needs more shared memory than the target has, or
      spills without leave, is a fault of the kernel (`Built.fault`), not of the call.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqc.compiler.driver.aot.resources import Resources, of_amdgcn, of_cubin
from seqc.compiler.driver.aot.targets import ACCEPTED, Target
from seqc.compiler.driver.usage import Unusable

FORMAT = 1
KEPT = ("num_warps", "num_ctas", "num_stages", "shared", "name", "hash", "target")


@dataclass(frozen=True, slots=True)
class Variant:
    """One function with everything that makes a compiled kernel of it.

    types      of arguments, by name: `*fp32`, `i64`, `constexpr`
    constants  by name
    aligned    arguments that are multiples of 16
    """

    name: str
    function: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    aligned: tuple[str, ...]
    warps: int


@dataclass(frozen=True, slots=True)
class Built:
    """One compiled kernel. `files`: the binary and Triton's description; `fault`: why it cannot be used ("" for none)."""

    variant: Variant
    target: Target
    resources: Resources
    files: Mapping[str, bytes]
    fault: str


def ready() -> None:
    """Makes sure that Triton compiles in this process. Raises `Unusable`."""
    if importlib.util.find_spec("triton") is None:
        raise Unusable("Triton is not installed", "pip install triton (Linux only)")
    if "triton" not in sys.modules:
        os.environ.pop("TRITON_INTERPRET", None)
    from seqc.runtime.triton.device import interpreting

    if interpreting():
        raise Unusable("Triton's interpreter is switched on in this process", "unset TRITON_INTERPRET before Python starts")


def variants(
    cls: Any, sizes: Mapping[str, int], dtype: str, batch: int, masked: bool, target: str = "sm_90"
) -> Iterator[Variant]:
    """The kernels of a generated class at these sizes, forwards and backwards; `masked`: also the forms with resets and padding."""
    import torch
    import triton.language as tl

    from seqc.compiler.driver.aot.dense import parts
    from seqc.runtime.triton.kernel import Pass

    kind = getattr(torch, dtype)
    layer = cls(device="meta", dtype=kind, backend="reference", **sizes)
    real = tl.float64 if dtype == "float64" else tl.float32
    memory = {"float32": "*fp32", "bfloat16": "*bf16", "float16": "*fp16", "float64": "*fp64"}[dtype]
    scratch = "*fp64" if dtype == "float64" else "*fp32"
    for number, one in enumerate(cls.TRITON):
        if number % 2 and not masked:
            continue
        steps = cls.TRITON_STEPS[number] if cls.TRITON_STEPS else None
        for p in parts(one, steps, layer.sizes, kind, batch, target) if steps is not None else ():
            lengths = {a: layer.sizes[a] for a in p.about.axes}
            yield variant(p.function, p.about, p.constants, p.warps, lengths, memory, scratch, p.scratch)
        for place in range(0, len(one) if steps is None else 0, 2):
            lazy, said, tiles = one[place], one[place + 1], place >= 4
            f = Pass(said, tiles)
            lengths = {a: layer.sizes[a] for a in f.axes}
            blocks = f.blocks(lengths, batch)
            constants: dict[str, Any] = {"REAL": real, "BLOCK_B": blocks.batch, "STAGES": blocks.stages}
            if tiles:
                constants["BLOCK_T"] = Pass(one[7], True).steps(lengths)
            constants |= {f"BLOCK_{i}": n for i, n in enumerate(blocks.axes)}
            yield variant(lazy, f, constants, blocks.warps, lengths, memory, scratch)


def variant(
    lazy: Any,
    f: Any,
    constants: Mapping[str, Any],
    warps: int,
    lengths: Mapping[str, int],
    memory: str,
    scratch: str,
    own: frozenset[int] = frozenset(),
) -> Variant:
    """One function with the types of its arguments: `memory` of operands and rows, `scratch` of what the runtime makes for itself, and of
    the slots `own`."""
    slots = [kind for kind, _ in f.operands if kind != "number"] + [r[0] for r in f.results]
    types: dict[str, str] = {}
    aligned: list[str] = []
    for a in lazy.arguments:
        if a in constants:
            types[a] = "constexpr"
        elif a == "clock":
            types[a] = "*i64"
        elif a[0] == "p":
            i = int(a[1:])
            types[a] = scratch if i in own or slots[i] in ("checkpoint", "total", "last") else memory
            aligned.append(a)
        elif a[0] == "w":
            types[a] = scratch
            aligned.append(a)
        else:
            types[a] = "i64"
    aligned += [f"n{i}" for i, a in enumerate(f.axes) if lengths[a] % 16 == 0]
    if f.axes and lengths[f.axes[-1]] % 16 == 0:
        aligned += [a for a in lazy.arguments if a[0] == "s"]
    return Variant(lazy.name, lazy.made(), types, constants, tuple(aligned), warps)


def built(v: Variant, target: Target) -> Built:
    """Compiles one kernel."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from seqc.runtime.triton.kernel import FUSION

    attrs = {(list(v.types).index(a),): [["tt.divisibility", 16]] for a in v.aligned}
    source = ASTSource(v.function, dict(v.types), dict(v.constants), attrs)
    options = {"num_warps": v.warps, "num_stages": 1, "enable_fp_fusion": FUSION}
    made: Any = triton.compile(source, target=GPUTarget(target.backend, target.arch, target.warp), options=options)
    kind = "cubin" if target.backend == "cuda" else "hsaco"
    binary: bytes = made.asm[kind]
    shared = int(made.metadata.shared)
    if target.backend == "cuda":
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        found = of_cubin(binary, made.asm["ptx"], shared, tool)
    else:
        found = of_amdgcn(made.asm["amdgcn"], shared)
    path = next(p for name, p in made.metadata_group.items() if name == f"{made.metadata.name}.json")
    told = json.loads(Path(path).read_text())
    told["extern_libs"] = []  # a path of this machine, needed for compiling only
    files = {f"{v.name}.{kind}": binary, f"{v.name}.json": json.dumps(told, sort_keys=True, indent=1).encode()}
    return Built(v, target, found, files, fault(v.name, target, found))


def fault(name: str, target: Target, found: Resources) -> str:
    """Why a kernel cannot be used; "" where it can."""
    if found.shared > target.shared:
        return f"{found.shared} bytes of shared memory, {target.name} has {target.shared}: it could never be launched"
    if found.spills > ACCEPTED.get((name, target.name), 0):
        return f"a thread spills {found.spills} bytes"
    return ""


def manifest(found: list[Built], spec: str, sizes: Mapping[str, int], dtype: str) -> dict[str, Any]:
    """What stands in the folder."""
    import triton

    from seqc.compiler.driver.crash import version

    kernels = []
    for b in found:
        v = b.variant
        kernels.append(
            {
                "name": v.name,
                "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(b.files.items())},
                "arguments": dict(v.types),
                "constants": {k: str(c) for k, c in v.constants.items()},
                "aligned": list(v.aligned),
                "source": v.function.cache_key,
                "warps": v.warps,
                "registers": b.resources.registers,
                "spills": b.resources.spills,
                "shared": b.resources.shared,
            }
        )
    target = found[0].target.name if found else ""
    head = {"format": FORMAT, "seqc": version(), "triton": triton.__version__, "target": target, "spec": spec, "dtype": dtype}
    return {**head, "sizes": dict(sizes), "kernels": kernels}


def write(folder: Path, found: list[Built], told: Mapping[str, Any]) -> None:
    """Writes the folder: files first, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    for b in found:
        for name, content in b.files.items():
            (folder / name).write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(told, sort_keys=True, indent=1) + "\n")

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
LENGTH = 1021
"""Steps of the plans: a prime, so that no stride is taken for a multiple of 16 because the number of steps is one."""


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
    """The kernels of a generated class at these sizes, with gradients and without; `masked`: also the forms with resets and padding.

    Each is what the runtime would launch for contiguous operands of type `dtype`: the same plan, made without memory.
    """
    import torch

    layer = cls(device="meta", dtype=getattr(torch, dtype), backend="reference", **sizes)
    seen: set[tuple[Any, ...]] = set()
    for kernel in kernels(cls, masked):
        # one sequence alone is where segments are
        each = [v for b in ((batch, 1) if any(getattr(kernel, "cuts", ())) else (batch,))
                for v in of_kernel(kernel, layer.sizes, getattr(torch, dtype), b, target)]  # fmt: skip
        for v in each:
            key = (v.name, *v.types.items(), *((k, str(c)) for k, c in v.constants.items()), v.aligned, v.warps)
            if key not in seen:
                seen.add(key)
                yield v


def kernels(cls: Any, masked: bool) -> Iterator[Any]:
    """Every kernel that the constants of a class make: of `TRITON`, where each second one is masked, and of whatever other constant holds
    generated functions with a description behind them."""
    from seqc.runtime.native.calls import kernels_of, triton_forward

    for number, kernel in enumerate(kernels_of(cls.TRITON, cls.TRITON_STEPS)):
        if masked or not number % 2:
            yield kernel
            parallel = getattr(kernel, "parallel", None)
            if parallel is not None:
                yield parallel
    for name in sorted(n for n in dir(cls) if n.startswith("TRITON_") and n != "TRITON_STEPS"):
        held = getattr(cls, name)
        for number, entry in enumerate(held if isinstance(held, tuple) else ()):
            if masked or not number % 2:
                for function, tiles, about in alone(entry):
                    made = triton_forward(function, tiles, about)
                    # what belongs to another function (sums and joins of segments, adjoints) is planned with that one only
                    if len(made.forward.starts) == len(made.forward.of("last")):
                        yield made


def alone(entry: Any) -> Iterator[tuple[Any, bool, tuple[Any, ...]]]:
    """Functions without an adjoint in a constant: a function, whether it takes tiles of steps, its description in the same tuple."""
    from seqc.runtime.triton.names import Lazy

    if not isinstance(entry, tuple):
        return
    for i, part in enumerate(entry):
        if isinstance(part, Lazy):
            about = [x for x in entry[i + 1 :] if isinstance(x, tuple) and x and x[0] == part.name]
            flat = entry[i + 2 :] if len(entry) > i + 2 and entry[i + 2] == part.name else None
            if about or flat:
                yield part, "BLOCK_T" in part.arguments, flat if flat is not None else about[0]
        else:
            yield from alone(part)


def of_kernel(kernel: Any, sizes: Mapping[str, int], dtype: Any, batch: int, target: str) -> Iterator[Variant]:
    """One kernel: forwards without and with what the adjoint needs, and backwards to all operands."""
    import torch

    from seqc.compiler.driver.aot.dense import on, parts
    from seqc.runtime.triton.trial import shapes_of

    def empty(shapes: Any, kinds: Any) -> list[Any]:
        return [0.5 if k is None else torch.empty(s, dtype=k, device="meta") for s, k in zip(shapes, kinds, strict=True)]

    f, back = kernel.forward, kernel.adjoint
    lengths = {a: sizes[a] for a in {*f.axes, *back.axes}}
    rows = (dtype,) * kernel.rows
    kinds = [None if kind == "number" else dtype for kind, _ in f.operands]
    operands = empty(shapes_of(kernel, f, batch, LENGTH, lengths, 1), kinds)
    with on(kernel, target):
        for save in (False, True):
            yield from parts(kernel._forward_plan(operands, rows, save, False))
    if back is f or kernel.functions[0] is kernel.functions[1]:
        return
    real = kernel.real(operands, rows)
    every = back.interval(lengths, real, LENGTH)
    held = range(kernel.rows)  # what is no row of the module is in the arithmetic type
    saved = [real if what == "past" and kernel.stored[i] not in held or what == "kept" and i not in held else dtype
             for what, i in kernel.sources]  # fmt: skip
    given = empty(
        shapes_of(kernel, back, batch, LENGTH, lengths, every),
        [None if kind == "number" else k for (kind, _), k in zip(back.operands, saved, strict=True)],
    )
    wanted = [kind != "number" for kind, _ in f.operands]
    with on(kernel, target):
        yield from parts(kernel._adjoint_plan(operands, given, rows, wanted))


def variant(plan: Any, segments: bool) -> Variant:
    """What one launch needs. `segments`: it is given what segments begin with and come to."""
    from seqc.runtime.triton.artefacts import MEMORY

    def memory(kind: Any) -> str:
        return MEMORY[str(kind).removeprefix("torch.")]

    tensors = [memory(kind) for kind in plan.stored] + [None if r is None else memory(r[1]) for r in plan.results]
    tensors += [memory(plan.real) if segments else None] * plan.bounds
    types: dict[str, str] = {}
    constants: dict[str, Any] = {}
    aligned: list[str] = []
    names = plan.function.arguments
    scratch = [memory(plan.real)] * len(plan.scratch)
    values = [*tensors, *(["i64"] * len(plan.numbers)), *scratch]
    for a, kind in zip(names, values, strict=False):
        types[a] = "constexpr" if kind is None else kind
        if kind is None:
            constants[a] = None
        elif kind[0] == "*":
            aligned.append(a)
    whole = len(values) + len(plan.integers)
    for a, value in zip(names[len(values) : whole], plan.integers, strict=True):
        types[a] = "i64"
        if a not in ("B", "T", "C") and value % 16 == 0:
            aligned.append(a)
    for a, value in zip(names[whole:], plan.constants, strict=True):
        types[a], constants[a] = "constexpr", value
    return Variant(plan.function.name, plan.function.made(), types, constants, tuple(aligned), plan.warps)


def built(v: Variant, target: Target, label: str = "") -> Built:
    """Compiles one kernel. `label`: what its files are called, where a function has several."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from seqc.runtime.triton.launching import FUSION

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
    label = label or v.name
    files = {f"{label}.{kind}": binary, f"{label}.json": json.dumps(told, sort_keys=True, indent=1).encode()}
    return Built(v, target, found, files, fault(v.name, target, found))


def fault(name: str, target: Target, found: Resources) -> str:
    """Why a kernel cannot be used; "" where it can."""
    if found.shared > target.shared:
        return f"{found.shared} bytes of shared memory, {target.name} has {target.shared}: it could never be launched"
    accepted = ACCEPTED.get((name, target.name))
    if found.spills > (accepted.spills if accepted is not None else 0):
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

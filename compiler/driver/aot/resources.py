"""What a compiled kernel takes of a machine: registers, spills, shared memory.

In:   the binary and the assembly of a kernel.      Out: `Resources`.
NVIDIA's figures come from its own tool beside Triton's assembler, AMD's from the metadata in the assembly.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Resources:
    """Registers of a thread, bytes that a thread spills to memory (-1: not known), bytes of shared memory of a program."""

    registers: int
    spills: int
    shared: int


def of_cubin(binary: bytes, ptx: str, shared: int, tool: Path) -> Resources:
    """From an NVIDIA binary; `ptx` is what it was made of."""
    if not tool.exists():
        return Resources(-1, -1, shared)
    with tempfile.TemporaryDirectory(prefix="seqc-aot-") as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary)
        done = subprocess.run([str(tool), "--dump-resource-usage", str(path)], capture_output=True, text=True, timeout=60)
    return parsed(done.stdout, shared, asked_for(ptx))


def asked_for(ptx: str) -> int:
    """Bytes of memory that the code itself asks for: the tables with which sin and cos take large angles apart."""
    found = sum(int(n) for n in re.findall(r"\.local\s+\.align\s+\d+\s+\.b8\s+\w+\[(\d+)\]", ptx))
    return (found + 15) // 16 * 16  # frames are rounded up


def parsed(text: str, shared: int, own: int = 0) -> Resources:
    """From what the tool prints: `REG:32 STACK:8 SHARED:0 LOCAL:16 …`; the stack holds what was spilled, and `own`."""
    found = {word: int(number) for word, number in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", text)}
    if "REG" not in found:
        return Resources(-1, -1, shared)
    return Resources(found["REG"], max(0, max(found.get("STACK", 0), found.get("LOCAL", 0)) - own), shared)


def of_amdgcn(text: str, shared: int) -> Resources:
    """From AMD assembly. Scalar registers that go into lanes of vector registers touch no memory."""

    def number(key: str) -> int:
        found = re.search(rf"\.{key}:\s*(\d+)", text)
        return int(found[1]) if found else -1

    return Resources(number("vgpr_count"), max(number("private_segment_fixed_size"), 4 * number("vgpr_spill_count")), shared)

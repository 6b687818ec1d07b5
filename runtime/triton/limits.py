"""How much one program may hold on a machine, and how matrix products are taken there.

In:   a device, or the name of a target.      Out: `Limits`; for a kernel's weights a `Manner`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seqc.runtime.triton.device import interpreting


@dataclass(frozen=True, slots=True)
class Limits:
    """What a machine allows.

    shared      bytes of shared memory of a program
    registers   bytes of registers of a multiprocessor
    spread      whether Triton keeps a weight once for a program of one row of tiles (NVIDIA: in shared memory); AMD's warps hold it each
    """

    shared: int
    registers: int
    spread: bool = True


LIMITS = {
    "sm_80": Limits(166_912, 262_144),
    "sm_90": Limits(232_448, 262_144),
    "gfx942": Limits(65_536, 524_288, False),
}
"""The machines that kernels are compiled for ahead of time."""

DEFAULT = LIMITS["sm_90"]
"""Where there is no device: the interpreter, and plans made without one."""


def limits_of(device: torch.device) -> Limits:
    """What a device allows."""
    return _asked(device) if device.type == "cuda" else DEFAULT


@functools.cache
def _asked(device: torch.device) -> Limits:
    told = torch.cuda.get_device_properties(device)
    shared = int(getattr(told, "shared_memory_per_block_optin", 0)) or DEFAULT.shared
    registers = 4 * int(getattr(told, "regs_per_multiprocessor", 0)) or DEFAULT.registers
    return Limits(shared, registers, getattr(torch.version, "hip", None) is None)


@dataclass(frozen=True, slots=True)
class Manner:
    """How products are taken: by `tl.dot` or as sums of products; the type of operands; the precision of `tl.dot`."""

    dot: bool
    operand: torch.dtype
    precision: str = "ieee"


def manner(real: torch.dtype, weights: Sequence[torch.dtype]) -> Manner:
    """For weights of these types in memory.

    Weights of 16 bits meet values rounded to the same 16 bits, sums are float32; in the interpreter they are float32 all the way.
    float32 is exact (sums of products) unless the user lets torch's own matrix products be less so:
    `torch.set_float32_matmul_precision`.
    """
    kinds = set(weights)
    if real == torch.float32 and len(kinds) == 1 and kinds <= {torch.bfloat16, torch.float16}:
        return Manner(True, torch.float32 if interpreting() else kinds.pop())
    return Manner(True, real, "tf32") if real == torch.float32 and loose() else Manner(False, real)


def loose() -> bool:
    """Whether float32 products may be taken in tf32."""
    return torch.get_float32_matmul_precision() != "highest"

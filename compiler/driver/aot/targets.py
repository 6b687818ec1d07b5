"""The machines that kernels are compiled for ahead of time, and what they allow: the cost model's catalogue, as Triton names them."""

from __future__ import annotations

from dataclasses import dataclass

from seqc.runtime.cost.devices import DEVICES, Device


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of GPU.

    backend, arch, warp   as Triton names it
    shared                bytes of shared memory that one program may have: Triton itself compiles kernels with more, which can
                          never be launched
    """

    name: str
    backend: str
    arch: int | str
    warp: int
    shared: int


def target(d: Device) -> Target:
    """The target that a machine's kernels are compiled for."""
    number = d.arch.removeprefix("sm_")
    cuda = number != d.arch
    return Target(d.arch, "cuda" if cuda else "hip", int(number) if cuda else d.arch, d.warp, d.shared)


TARGETS: dict[str, Target] = {d.arch: target(d) for d in DEVICES.values() if d.kind == "gpu"}
"""By the architecture's name. Machines of one architecture have the same limits."""

ACCEPTED: dict[tuple[str, str], int] = {}
"""Spills that are known and accepted: (kernel, target) → bytes for each thread."""

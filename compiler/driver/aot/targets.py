"""The machines that kernels are compiled for ahead of time, and what they allow."""

from __future__ import annotations

from dataclasses import dataclass


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


TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        Target("sm_80", "cuda", 80, 32, 166_912),
        Target("sm_90", "cuda", 90, 32, 232_448),
        Target("gfx942", "hip", "gfx942", 64, 65_536),
    )
}

ACCEPTED: dict[tuple[str, str], int] = {}
"""Spills that are known and accepted: (kernel, target) → bytes for each thread."""

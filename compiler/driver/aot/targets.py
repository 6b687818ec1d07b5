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

@dataclass(frozen=True, slots=True)
class Accepted:
    """A spill that is known and accepted: up to so many bytes for each thread, and why."""

    spills: int
    why: str


_HEAD = (
    "the adjoint of a matrix state whose outputs are normed over a whole head: the head's states, its gradient and what is computed "
    "of them are in registers at once, and no axis can be cut; what is spilled stays in the first-level cache"
)

ACCEPTED: dict[tuple[str, str], Accepted] = {
    ("GatedDeltaNet_k1_backward", "sm_90"): Accepted(184, _HEAD),
    ("GatedDeltaNet_k1m_backward", "sm_90"): Accepted(576, _HEAD),
    ("KDA_k1m_backward", "sm_90"): Accepted(112, _HEAD),
    ("MLSTM_k1m_backward", "sm_90"): Accepted(8, _HEAD),
    ("Based_k1_backward", "sm_90"): Accepted(2328, _HEAD),
}
"""Spills that are known and accepted, by kernel and target; of each kernel as it is at the default sizes of its spec."""

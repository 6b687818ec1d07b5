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

@dataclass(frozen=True, slots=True)
class Accepted:
    """A spill that is known and accepted: up to so many bytes for each thread, and why."""

    spills: int
    why: str


_HEAD = (
    "the adjoint of a matrix state whose outputs are normed over a whole head: the head's states, its gradient and what is computed "
    "of them are in registers at once, and no axis can be cut; what is spilled stays in the first-level cache"
)

_FEW = "two words: the assembler spills them by itself, far below the registers that a thread may have, to keep more programs at once"

ACCEPTED: dict[tuple[str, str], Accepted] = {
    ("HGRN_k1_scan_forward", "sm_90"): Accepted(8, _FEW),
    ("Mamba1_k1_scan_forward", "sm_90"): Accepted(8, _FEW),
    ("GatedDeltaNet_k1_backward", "sm_90"): Accepted(184, _HEAD),
    ("GatedDeltaNet_k1m_backward", "sm_90"): Accepted(576, _HEAD),
    ("KDA_k1m_backward", "sm_90"): Accepted(112, _HEAD),
    ("MLSTM_k1m_backward", "sm_90"): Accepted(8, _HEAD),
    ("RetNet_k1m_backward", "sm_90"): Accepted(136, _HEAD),
    ("SimpleGLA_k1m_backward", "sm_90"): Accepted(8, _HEAD),
    ("Based_k1_backward", "sm_90"): Accepted(2328, _HEAD),
}
"""Spills that are known and accepted, by kernel and target; of each kernel as it is at the default sizes of its spec."""

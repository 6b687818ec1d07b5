"""The machines that the cost model knows, and what each of them is able to do.

In:   a name, or what a driver says of a GPU.   Out: a `Device`.   Refuses: nothing; `find` is None for a name that is not here.

Where the numbers come from (stated: by the maker or the source named; measured: on such a machine; assumed: neither):

    units, clock      makers' data sheets: A100 108 multiprocessors at 1.41 GHz, H100 SXM and H200 132 at 1.755 GHz (boost under load,
                      as chipsandcheese.com, "Nvidia's H100", reports it), MI300X 304 compute units at 2.1 GHz. Stated.
    bandwidth         data sheets: A100 80 GB 2.04 TB/s, H100 SXM 3.35, H200 4.8, MI300X 5.3. Stated. `reach` is the share of it that a
                      copy gets: 4.3 of 4.8 TB/s measured on an H200; the same share is assumed for the others.
    plain, special    results a clock and multiprocessor in the CUDA C++ Programming Guide, "Arithmetic Instructions", compute
                      capability 8.0 and 9.0: fp32 64 and 128, exp2 and the like 16. CDNA3: 128 and a quarter of 64 (white paper). Stated.
    product           multiply-adds a clock and multiprocessor of 16-bit products with fp32 sums, from the data sheets' dense rates:
                      312, 989, 989 and 1307 TFLOP/s. Stated.
    shared            bytes of shared memory that one program may have: Triton refuses none, the driver does. CUDA guide: 163 KB on 8.0
                      and 227 KB on 9.0; LDS of CDNA3 64 KB. Stated.
    registers, warps  CUDA guide: 65,536 registers and 64 warps a multiprocessor. CDNA3: 4 x 512 x 64 registers, 32 waves. Stated.
    l2                data sheets. Stated.
    near              bytes a second of what lies in the last cache; on the CPU only (74 GB/s measured): a GPU's caches are small beside
                      what a sequence has, so there it is 0 and nothing is expected of them
    plain_latency     4 cycles for a dependent fp32 addition: "Demystifying the Nvidia Ampere Architecture" (arXiv:2208.11174). Stated;
                      8 for CDNA3 (four passes of 16 lanes and the issue of the next one): assumed.
    special_latency   cycles of a dependent exp2 or reciprocal with the moves around it: assumed.
    memory            seconds until the loads of a step are there. FLA's comment on its recurrent HGRN kernel states 459 ns a step on an
                      H800 (loads, one exponential, a multiply-add, none of it overlapped); without that arithmetic about 400 ns.
                      A100 the same (about the same number of cycles and clock); MI300X 700 ns: assumed.
    launch            seconds of one kernel launched from Python: 11 us for Triton's own way (tritonbench, pull request 1002). Stated.
    operation         seconds of one torch operation on a GPU, eagerly, when the host is what one waits for: 5 us. Assumed.
    wait              seconds that the host waits for a result beyond the work itself: 10 us. Assumed.
    pair              seconds of a matrix product and a pointwise kernel as two nodes of a CUDA graph, small sizes: 7.6 us a step is the
                      least of FlashRNN's alternating backend in its figure (1024 steps, 7.8 ms). Stated.
    dot               seconds of a step that keeps its weights on the multiprocessor (product, exchange, pointwise part): 1.4 us a step is
                      the least of FlashRNN's Triton backend (1024 steps, 1.44 ms, heads of 32). Stated.

The `cpu` is one core of the machine class that RESULTS.md is measured on (Zen 4, AVX-512, two cores): copy 15.4 GB/s and 102 GFLOP/s
in a matrix product (16 multiply-adds at 3.2 GHz), 3.15e9 sigmoids a second in a fused loop. Measured. A call is 10 us: assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Device:
    """One kind of machine; the module's docstring says what each number is. Times are in seconds, rates a second or a clock and unit."""

    name: str
    title: str
    kind: Literal["cpu", "gpu"]
    arch: str
    units: int
    clock: float
    bandwidth: float
    reach: float
    plain: float
    special: float
    product: float
    shared: int
    registers: int
    warps: int
    warp: int
    l2: int
    near: float
    plain_latency: float
    special_latency: float
    memory: float
    launch: float
    operation: float
    wait: float
    pair: float
    dot: float

    @property
    def copy(self) -> float:
        """Bytes a second that a copy moves."""
        return self.bandwidth * self.reach


_H100 = Device(
    "h100", "NVIDIA H100 SXM", "gpu", "sm_90", units=132, clock=1.755e9, bandwidth=3.35e12, reach=0.9, plain=128, special=16,
    product=2048, shared=232_448, registers=65_536, warps=64, warp=32, l2=50 << 20, near=0.0, plain_latency=4,
    special_latency=20, memory=400e-9, launch=11e-6, operation=5e-6, wait=10e-6, pair=7.6e-6, dot=1.4e-6,
)  # fmt: skip

DEVICES: dict[str, Device] = {
    d.name: d
    for d in (
        Device(
            "cpu", "one core, Zen 4", "cpu", "", units=1, clock=3.2e9, bandwidth=15.4e9, reach=1.0, plain=16, special=1,
            product=16, shared=1 << 20, registers=512, warps=1, warp=16, l2=32 << 20, near=74e9, plain_latency=4,
            special_latency=16, memory=0.0, launch=10e-6, operation=5e-6, wait=0.0, pair=20e-6, dot=0.1e-6,
        ),
        replace(
            _H100, name="a100", title="NVIDIA A100 80 GB SXM", arch="sm_80", units=108, clock=1.41e9, bandwidth=2.04e12, plain=64,
            product=1024, shared=166_912, l2=40 << 20,
        ),
        _H100,
        replace(_H100, name="h200", title="NVIDIA H200 SXM", bandwidth=4.8e12),
        replace(
            _H100, name="mi300x", title="AMD MI300X", arch="gfx942", units=304, clock=2.1e9, bandwidth=5.3e12, plain=128, special=16,
            product=1024, shared=65_536, registers=131_072, warps=32, warp=64, l2=32 << 20, plain_latency=8, memory=700e-9,
        ),
    )
}  # fmt: skip
"""By name."""

DEFAULT = "h200"
"""What `cuda` means where no GPU is present."""


def find(name: str) -> Device | None:
    """The machine of this name."""
    return DEVICES.get(name)


def known(title: str, units: int, shared: int, warp: int, l2: int, clock: float) -> Device:
    """A GPU that a driver describes: the one of the catalogue whose name is in `title`, else the nearest kind of it with these numbers.

    units  multiprocessors; shared  bytes of one program; warp  lanes; l2 bytes; clock in Hz (0: not known).
    """
    lower = title.lower()
    near = next((d for d in DEVICES.values() if d.kind == "gpu" and d.name in lower), None)
    if near is None:
        near = DEVICES["mi300x"] if warp == 64 else DEVICES["h200"] if shared >= DEVICES["h200"].shared else DEVICES["a100"]
        # of an unknown GPU nothing is known of its memory but that it goes with the multiprocessors
        near = replace(near, name="cuda", title=title, bandwidth=near.bandwidth * units / near.units)
    return replace(
        near,
        title=title or near.title,
        units=units or near.units,
        shared=shared or near.shared,
        l2=l2 or near.l2,
        clock=clock or near.clock,
    )

"""The GPU that is here, as the cost model's catalogue describes one.

In:   the number of a device.      Out: a `Device`, made once for each GPU.      Refuses: nothing; it is not to be asked without a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from seqc.runtime.cost.devices import Device, known


@functools.cache
def present(index: int) -> Device:
    """The GPU with this number."""
    found: Any = torch.cuda.get_device_properties(index)
    shared = int(getattr(found, "shared_memory_per_block_optin", 0))
    l2 = int(getattr(found, "L2_cache_size", 0))
    clock = 1e3 * float(getattr(found, "clock_rate", 0))
    return known(found.name, int(found.multi_processor_count), shared, int(getattr(found, "warp_size", 32)), l2, clock)

"""The machine that figures are for: `--device h200`, `cpu`, `cuda`.

In:   a device's name as options allow it.      Out: the catalogue's `Device` and a note where it is not just that.
Keeps: torch is imported for `cuda` only, to look at the GPU that is here.      Refuses: nothing; None where the model knows nothing.
"""

from __future__ import annotations

from seqc.runtime.cost.devices import DEFAULT, DEVICES, Device


def machine(name: str) -> tuple[Device | None, str]:
    """The machine, and what is to be said about it."""
    if name in DEVICES:
        return DEVICES[name], ""
    word, _, number = name.partition(":")
    if word != "cuda":
        return None, f"the cost model knows nothing of {name}"
    import torch

    index = int(number or 0)
    if torch.cuda.is_available() and index < torch.cuda.device_count():
        from seqc.runtime.triton.present import present

        found = present(index)
        return found, f"{name} is {found.title}, {found.units} multiprocessors"
    return DEVICES[DEFAULT], f"there is no {name} here: the figures are for {DEVICES[DEFAULT].title}"

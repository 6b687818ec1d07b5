"""Kernels with matrix products for `seqc aot`: the fused function where a program of the target can hold its weights, else the stages.

In:   one entry of a class's `TRITON` and `TRITON_STEPS`, sizes, the type of memory, a target.      Out: what has to be compiled.
The runtime makes the same choice with the same function and the same limits (`seqc.runtime.triton.hold.choose_form`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One function: its description, the constants of its call, and which slots hold numbers of the arithmetic type whatever the type of
    memory."""

    function: Any
    about: Any
    constants: Mapping[str, Any]
    warps: int
    scratch: frozenset[int]


def parts(one: Sequence[Any], stages: Sequence[Any], sizes: Mapping[str, int], kind: Any, batch: int, target: str) -> Iterator[Part]:
    """Both directions of one kernel; `kind`: torch's type of memory."""
    import torch

    from seqc.runtime.triton.hold import choose_form
    from seqc.runtime.triton.kernel import Pass, triton_type
    from seqc.runtime.triton.limits import LIMITS, manner

    real = torch.float64 if kind == torch.float64 else torch.float32
    for place in (0, 2):
        f = Pass(one[place + 1])
        lengths = {a: sizes[a] for a in f.axes}
        how = manner(real, [kind] * len(f.held))
        choice = choose_form(f.axes, f.split, f.held, f.arrays, lengths, batch, how, LIMITS[target], real)
        if choice.form == "fused":
            how, found = choice.how, choice.hold
            constants = {"REAL": triton_type(real), "BLOCK_B": found.blocks.batch, "STAGES": found.blocks.stages}
            constants |= {f"BLOCK_{i}": n for i, n in enumerate(found.blocks.axes)}
            constants |= {"DOT": how.dot, "OPERAND": triton_type(how.operand), "PRECISION": how.precision}
            yield Part(one[place], f, constants, found.blocks.warps, frozenset())
            continue
        for lazy, said, sources, targets in stages[place]:
            g = Pass(said)
            blocks = g.blocks({a: sizes[a] for a in g.axes}, batch)
            constants = {"REAL": triton_type(real), "BLOCK_B": blocks.batch, "STAGES": 1}
            constants |= {f"BLOCK_{i}": n for i, n in enumerate(blocks.axes)}
            kinds = [what for (kind_, _), (what, _) in zip(g.operands, sources, strict=True) if kind_ != "number"] + [w for w, _ in targets]
            own = frozenset(i for i, what in enumerate(kinds) if what not in ("operand", "row", "arg"))
            yield Part(lazy, g, constants, blocks.warps, own)

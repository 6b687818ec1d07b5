"""Matrix products inside Triton kernels, interpreted: weights held in a program, by sums of products and by `tl.dot`, and stages.

Bundled specs against the reference in float64; random cells against the float64 interpreter of kernels, in guarded memory and any order
of programs; the choice between forms; what is held where.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import seqc
from numeric.test_triton_specs import HOW, compared, small  # noqa: F401
from numeric.triton_units import needs_interpreter
from seqc.runtime.triton.dense import DenseKernel
from seqc.runtime.triton.limits import Manner

pytestmark = needs_interpreter
DENSE = ("elman", "jordan", "lstm", "lstm_peephole", "gru", "leaky_rnn", "slstm", "lssl")
WAYS = {
    "sums": ("fused", Manner(False, torch.float64)),
    "dots": ("fused", Manner(True, torch.float64)),
    "stages": ("steps", Manner(False, torch.float64)),
}


@contextmanager
def taken(way: str) -> Iterator[None]:
    """All kernels with products go this way."""
    before = DenseKernel.__init__

    def init(self: Any, *given: Any) -> None:
        before(self, *given)
        self.form, self.manner = WAYS[way]

    from seqc.runtime.native import calls

    held = dict(calls._made)
    calls._made.clear()
    DenseKernel.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        DenseKernel.__init__ = before  # type: ignore[method-assign]
        calls._made.clear()
        calls._made.update(held)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spec", DENSE)
def test_each_way_is_the_reference(spec: str, way: str) -> None:
    with taken(way):
        compared(spec, HOW)

"""Kernels of the Triton backend whose step takes matrix products: fused, or in stages.

In:   a generated module's functions, descriptions, and stages.
Out:  a `Kernel` that chooses for each layout of operands, and each direction on its own, between one launch that holds the weights
      (`hold`) and the loop over stages (`steps`). `form` fixes the choice, `manner` how products are taken, `limits` the machine:
      for tests, tuners and builds ahead of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton import launching
from seqc.runtime.triton.blocks import Blocks
from seqc.runtime.triton.hold import Choice, Form, choose_form
from seqc.runtime.triton.kernel import Kernel, Pass
from seqc.runtime.triton.limits import Manner, limits_of, loose, manner
from seqc.runtime.triton.names import Lazy
from seqc.runtime.triton.segments import Segment
from seqc.runtime.triton.steps import StepPlan, Steps, steps_of


class DenseKernel(Kernel):
    """One kernel with matrix products and its adjoint. `stages`: forwards and backwards, stages and plan each."""

    def __init__(
        self, forward: Lazy, about: Sequence[Any], adjoint: Lazy, adjoint_about: Sequence[Any], stages: Sequence[Any]
    ) -> None:
        super().__init__(forward, about, adjoint, adjoint_about)
        ahead, plan, back, back_plan = stages
        self.steps: tuple[Steps, Steps] = (steps_of(ahead, plan, Pass), steps_of(back, back_plan, Pass))
        self.form: Form | None = None
        self.manner: Manner | None = None
        self._loose = loose()

    def run_forward(self, operands: Sequence[Any], dtypes: Sequence[torch.dtype], save: bool, single: bool = False) -> list[Tensor]:
        """As every kernel; plans are made again where the precision of torch's products has changed."""
        self._again()
        return super().run_forward(operands, dtypes, save, single)

    def run_adjoint(self, *given: Any) -> list[Tensor | None]:
        """The same backwards."""
        self._again()
        return super().run_adjoint(*given)

    def _again(self) -> None:
        if self._loose != loose():
            self._loose = not self._loose
            self._plans.clear()

    def form_of(self, f: Pass, sizes: dict[str, int], batch: int, real: torch.dtype, how: Manner, device: torch.device) -> Choice:
        """The form of a direction at these sizes."""
        return choose_form(f.axes, f.split, f.held, f.arrays, sizes, batch, how, self.limits or limits_of(device), real)

    def _schedule(self, f: Pass, batch: int, length: int, sizes: dict[str, int], *given: Any) -> Blocks:
        """Blocks follow from what a program holds (`_launch`)."""
        return f.blocks(sizes, batch)

    def _launch(
        self,
        f: Pass,
        batch: int,
        length: int,
        sizes: dict[str, int],
        real: torch.dtype,
        operands: Sequence[Any],
        results: Sequence[tuple[tuple[int, ...], torch.dtype] | None],
        kinds: dict[int, torch.dtype],
        single: bool,
        blocks: Blocks | None = None,
        *,
        segment: Segment | None = None,
        more: tuple[Any, ...] = (),
    ) -> Any:
        """A launch that holds the weights, or a plan of stages."""
        weights = [operands[w[0]] for w in f.held]
        how = self.manner or manner(real, [x.dtype for x in weights])
        device = next(x for x in operands if isinstance(x, Tensor)).device
        found = self.form_of(f, sizes, batch, real, how, device)
        if (self.form or found.form) == "fused":
            how = found.how if self.manner is None else how
            taken = (how.dot, launcher.triton_type(how.operand), how.precision)
            held = self.fixed or found.hold.blocks
            return super()._launch(f, batch, length, sizes, real, operands, results, kinds, single, held, more=taken)
        counts: dict[str, int] = {}
        wanted = []
        for (what, *_), r in zip(f.results, results, strict=True):
            wanted.append((what, counts.setdefault(what, 0), r))
            counts[what] += 1
        given = {
            i: None if launcher.stored(x.dtype, real) else real for i, x in enumerate(operands) if isinstance(x, Tensor)
        }
        lasts = [axes for what, axes, _, _ in f.results if what == "last"]
        return StepPlan(
            self.steps[f is self.adjoint], [axes for _, axes in f.operands], batch, length, sizes, real, launcher.triton_type(real), how,
            operands, [kind for kind, _ in f.operands], given, wanted, f.starts, lasts, single, launching.FUSION,
        )  # fmt: skip

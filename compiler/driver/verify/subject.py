"""A body under test: its layer in any dtype and mode with the same weights, and calls of it with plain lists of tensors.

Draws that the caller cannot give (those of called bodies) stand still, so that two runs can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seqc.compiler.driver.sample import Sample
from seqc.compiler.driver.sizes import Sizes
from seqc.compiler.ir.spec import Body

if TYPE_CHECKING:
    from torch import Tensor, nn

Tensors = list["Tensor"]
OFF = 0.02
"""How far weights are moved from their starts."""


@dataclass(slots=True)
class Subject:
    """What is verified.

    make      (backend, scan mode, dtype) → a new layer; `sample` its inputs, `loss` those of `layer.loss` (None: no losses)
    streams   whether a sequence may be cut anywhere and run step by step
    free      whether the length of the chain is the caller's to choose
    surrogate why finite differences are no measure of its gradients, or ""
    """

    body: Body
    sizes: Sizes
    make: Callable[[str, str, str], nn.Module]
    sample: Sample
    loss: Sample | None
    batch: int
    steps: int
    streams: bool
    free: bool
    surrogate: str
    weights: dict[str, Tensor] = field(default_factory=dict)

    def layer(self, backend: str, mode: str, dtype: str) -> Any:
        """A layer with the weights of the reference, in evaluation mode."""
        import torch

        layer = self.make(backend, mode, dtype)
        if not self.weights:
            _moved(layer)
            self.weights = {k: v.detach().clone() for k, v in layer.state_dict().items()}
        kinds = {k: v.dtype for k, v in layer.state_dict().items()}
        layer.load_state_dict({k: v.to(kinds[k]) for k, v in self.weights.items()})
        for p in layer.parameters():
            if p.is_leaf and (torch.is_floating_point(p) or p.is_complex()):
                p.requires_grad_(True)
        return layer.eval()

    def cast(self, sample: Sample, dtype: str) -> dict[str, Any]:
        """The sample's values in another precision; whole numbers stay."""
        import torch

        real = getattr(torch, dtype)

        def one(v: Any) -> Any:
            if torch.is_tensor(v) and v.is_complex():
                return v.to(real.to_complex())
            return v.to(real) if torch.is_tensor(v) and v.is_floating_point() else v

        return {k: one(v) for k, v in sample.values.items()}

    def has_time(self, out: str) -> bool:
        """Whether an out has one value for each step (on axis 1 of its tensor)."""
        return bool(self.body.chain) or "t" in (self.body.table[out].axes or ())


def _moved(layer: Any) -> None:
    """Weights a little off their starts: many start where terms vanish or a corner lies, and that would hide mistakes."""
    import torch

    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in layer.parameters():
            if p.requires_grad and (p.is_floating_point() or p.is_complex()):
                p.add_(OFF * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    if hasattr(layer, "project"):
        layer.project()


@dataclass(frozen=True, slots=True)
class Result:
    """Outs in declared order, and the leaves of the state."""

    outs: Tensors
    state: Any

    @property
    def leaves(self) -> Tensors:
        """The tensors of the state."""
        import torch
        from torch.utils._pytree import tree_leaves

        return [leaf for leaf in tree_leaves(self.state) if torch.is_tensor(leaf)]


def run(layer: Any, values: Mapping[str, Any], state: Any = None, **more: Any) -> Result:
    """One call of `forward`."""
    from seqc.runtime.initialise import still

    with still():
        outs, after = layer(**values, state=state, **more)
    return Result(_list(outs), after)


def step(layer: Any, values: Mapping[str, Any], state: Any) -> Result:
    """One call of `step`."""
    from seqc.runtime.initialise import still

    with still():
        outs, after = layer.step(**values, state=state)
    return Result(_list(outs), after)


def begin(layer: Any, subject: Subject, values: Mapping[str, Any]) -> Any:
    """The state before the first step."""
    from seqc.runtime.initialise import still

    once = {k: v for k, v in values.items() if subject.sample.time[k] is None}
    with still():
        return layer.init_state(subject.batch, **{**subject.sample.free, **once})


def _list(outs: Any) -> Tensors:
    from torch.utils._pytree import tree_leaves

    return list(tree_leaves(outs))


def cut(sample: Sample, values: Mapping[str, Any], start: int, stop: int) -> dict[str, Any]:
    """The steps from `start` to before `stop` of every input that has steps."""
    return {k: v if sample.time[k] is None else v.narrow(sample.time[k] or 0, start, stop - start) for k, v in values.items()}


def at(sample: Sample, values: Mapping[str, Any], step_number: int) -> dict[str, Any]:
    """The inputs of one step, without the axis of steps."""
    return {k: v if sample.time[k] is None else v.select(sample.time[k] or 0, step_number) for k, v in values.items()}

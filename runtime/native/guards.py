"""Whether tensors are laid out as others were: type, dtype, shape, steps, device, and nobody looking on.

torch's own guards, which `torch.compile` stands on, answer for all tensors in one call; where a version has none, Python does.
A guard belongs to the mode it was made in: another inference mode, autocast, `torch.func` and dispatch modes make it fail. Whether
gradients are wanted is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_found: Any = getattr(getattr(torch._C, "_dynamo", None), "guards", None)
_Guards: Any = getattr(_found, "TensorGuards", None)
_empty: Any = getattr(_found, "_empty_strided_cpu", None)


def guard(tensors: Sequence[Tensor]) -> Callable[..., bool]:
    """A function of as many tensors: whether they are like these."""
    if _Guards is None or len({id(x) for x in tensors}) < len(tensors):
        return plain(tensors)
    sizes, steps = [list(x.shape) for x in tensors], [list(x.stride()) for x in tensors]
    try:
        check: Callable[..., bool] = _Guards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=steps).check
        if check(*tensors):
            return check
    except (TypeError, RuntimeError):
        pass
    return plain(tensors)


def plain(tensors: Sequence[Tensor]) -> Callable[..., bool]:
    """The same in Python."""
    wanted = [_layout(x) for x in tensors]
    mode = _mode()

    def check(*now: Any) -> bool:
        if _mode() != mode:
            return False
        return all(isinstance(x, Tensor) and _layout(x) == layout for x, layout in zip(now, wanted, strict=True))

    return check


def _mode() -> tuple[Any, ...]:
    return (
        torch.is_inference_mode_enabled(),
        torch._C._are_functorch_transforms_active(),
        torch._C._is_tracing(),
        torch._C._len_torch_dispatch_stack() > 0,
        torch.is_autocast_enabled("cpu"),
    )


def _layout(x: Tensor) -> tuple[Any, ...]:
    return type(x), x.dtype, x.shape, x.stride(), x.device, x.is_conj(), x.is_neg()


def maker() -> Callable[[Any, Any, Any], Tensor]:
    """A function that makes a tensor of a shape, steps and a type, with nothing written in it."""
    if _empty is not None:
        fast: Callable[..., Tensor] = _empty
        return fast
    return lambda shape, steps, dtype: torch.empty_strided(shape, steps, dtype=dtype, device="cpu")

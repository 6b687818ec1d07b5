"""AdamW with weight decay where it belongs: on matrices that mix, not on biases, gains, tables, kernels or own parameters.

A generated module's parameters are named `equation.layer.input`, so the layer is in the name; for a module from elsewhere
(a hole filled from Python) the weights with two axes or more decay, embeddings left out.
"""

from __future__ import annotations

from torch import Tensor, nn, optim

_MIXES = {"linear", "lowrank"}
_NEVER = {"bias", "gain"}


def decays(name: str, value: Tensor, owner: nn.Module | None = None) -> bool:
    """Whether weight decay applies to a parameter."""
    words = name.split(".")
    if words[-1] in _NEVER or words[-1].startswith("bias"):
        return False
    if isinstance(owner, nn.Embedding):
        return False
    if any(word in _MIXES for word in words[:-1]):
        return True
    return words[-1] == "weight" and value.ndim >= 2 and "embedding" not in words


def named(model: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained, by name, in a fixed order; a tied parameter once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def adamw(model: nn.Module, rate: float, decay: float) -> optim.AdamW:
    """The optimiser over all trained parameters of `model`."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    owners = dict(model.named_modules())
    parameters = named(model)
    for name, value in parameters.items():
        groups[decays(name, value, owners.get(name.rpartition(".")[0]))].append(value)
    chosen = [{"params": values, "weight_decay": decay * decayed} for decayed, values in groups.items() if values]
    fused = not any(value.is_complex() for value in parameters.values())
    return optim.AdamW(chosen, lr=rate, betas=(0.9, 0.95), eps=1e-8, fused=fused)


def take(optimiser: optim.Optimizer, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's own tensors as `KEY.PARAMETER`."""
    out = {}
    for name, value in parameters.items():
        for key, entry in sorted(optimiser.state.get(value, {}).items()):
            out[f"{key}.{name}"] = entry
    return out


def put(optimiser: optim.Optimizer, parameters: dict[str, nn.Parameter], tensors: dict[str, Tensor]) -> None:
    """The reverse of `take`."""
    for name, value in parameters.items():
        entries = {}
        for key in ("step", "exp_avg", "exp_avg_sq"):
            if f"{key}.{name}" in tensors:
                entries[key] = tensors[f"{key}.{name}"].clone()
        if entries:
            optimiser.state[value] = entries

"""What a user would install instead: libraries' own layers and functions, with seqc's parameters put into them.

Each builder gets inputs, parameters by seqc's names, and the weights of the gradient, and gives a `Contender`. Where only a
recurrence is compared, the library's own function for it is called on given projections. Raises ImportError where the library is
not installed, and whatever the library raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqc.compiler.driver.bench.suite.contender import Contender, Named, in_torch

Builder = Callable[[Named, Named, Any], Contender]


def _gates(of: Named, gates: Sequence[str], part: str) -> Any:
    import torch

    return torch.cat([of[f"{g}.linear.{part}"] for g in gates])


def _nn(kind: str, gates: Sequence[str], back: Sequence[str]) -> Builder:
    """`torch.nn`'s layer; its second bias stays zero but where seqc's cell has one."""

    def named(of: Named) -> dict[str, Any]:
        out = {
            "weight_ih_l0": _gates(of, gates, "x"),
            "weight_hh_l0": _gates(of, back, "h"),
            "bias_ih_l0": _gates(of, gates, "bias"),
            "x": of.get("x"),
        }
        return {k: v for k, v in out.items() if v is not None}

    def build(x: Named, p: Named, weights: Any) -> Contender:
        import torch

        wide = x["x"].shape[-1]
        module = getattr(torch.nn, kind)(wide, weights.shape[-1], batch_first=True, device=x["x"].device, dtype=x["x"].dtype)
        with torch.no_grad():
            for name, value in named(p).items():
                getattr(module, name).copy_(value)
            module.bias_hh_l0.zero_()
            if "back.linear.bias" in p:
                module.bias_hh_l0[-weights.shape[-1] :] = p["back.linear.bias"]
        held = dict(module.named_parameters())
        module.bias_hh_l0.requires_grad_("back.linear.bias" in p)

        def regrouped(grads: Named) -> Named:
            out = named(grads)
            if "back.linear.bias" in grads:
                size = weights.shape[-1]
                out["bias_hh_l0"] = torch.cat([out["bias_ih_l0"][: 2 * size], grads["back.linear.bias"]])
            return out

        return in_torch("torch.nn", lambda x, p: module(x["x"])[0], x, held, weights, regrouped)

    return build


def _pararnn(kind: str, gates: Sequence[str], vectors: Mapping[str, str]) -> Builder:
    """`pararnn-torch`'s layer (Newton's method, as in training) with the projection of the gates."""

    def named(of: Named) -> dict[str, Any]:
        import torch

        out = {theirs: of[ours].flatten() for theirs, ours in vectors.items()}
        out["W_x.weight"] = torch.cat([of[f"{g}.linear.u"][0] for g in gates])
        out["W_x.bias"] = torch.cat([of[f"{g}.linear.bias"][0] for g in gates])
        return out

    def build(x: Named, p: Named, weights: Any) -> Contender:
        import pararnn
        import torch

        wide = weights.shape[-1]
        cell = getattr(pararnn, kind)(x["x"].shape[-1], wide).to(x["x"].device)
        with torch.no_grad():
            held = dict(cell.named_parameters())
            for name, value in named(p).items():
                held[name].copy_(value)
        layer = pararnn.ParaRNN(cell, solver="newton").to(x["x"].device).train()
        return in_torch("pararnn-torch", lambda x, p: layer(x["x"]), x, held, weights, lambda grads: {**named(grads), "x": grads["x"]})

    return build


def _transformers(x: Named, p: Named, weights: Any) -> Contender:
    """The torch code that `transformers`' MambaMixer runs where no kernels are installed, on given projections."""
    import torch
    from transformers.models.mamba import modeling_mamba
    from transformers.utils import logging

    quiet: Any = logging.set_verbosity_error
    quiet()  # it says on every run that a faster way is not installed, which is why it stands here
    scan = getattr(modeling_mamba, "mamba_selective_scan", None)
    if scan is None:
        raise ImportError("this version of transformers has no mamba_selective_scan to call by itself (5.23 has)")

    def run(x: Named, p: Named) -> Any:
        turned = {k: v.transpose(1, 2) for k, v in x.items()}
        A = -torch.exp(p["A_log"])
        y = scan(turned["u"], turned["dt"], A, turned["B"], turned["C"], D=p["skip"], z=turned["z"], delta_softplus=True)
        return y.transpose(1, 2)

    return in_torch("transformers slow path", run, x, p, weights)


def _mambapy(x: Named, p: Named, weights: Any) -> Contender:
    """`mambapy`'s parallel scan on given projections."""
    import torch
    from mambapy.mamba import MambaBlock, MambaConfig
    from torch.nn import functional

    states = p["A_log"].shape[1]
    block = MambaBlock(MambaConfig(d_model=weights.shape[-1], n_layers=1, d_state=states, expand_factor=1))

    def run(x: Named, p: Named) -> Any:
        y = block.selective_scan(x["u"], functional.softplus(x["dt"]), -torch.exp(p["A_log"]), x["B"], x["C"], p["skip"])
        return y * functional.silu(x["z"])

    return in_torch("mambapy", run, x, p, weights)


LIBRARIES: dict[tuple[str, str], Builder] = {
    ("torch.nn", "LSTM"): _nn("LSTM", ("i", "f", "g", "o"), ("i", "f", "g", "o")),
    ("torch.nn", "GRU"): _nn("GRU", ("r", "z", "n"), ("r", "z", "back")),
    ("torch.nn", "RNN"): _nn("RNN", ("h",), ("h",)),
    ("pararnn-torch", "ParaGRU"): _pararnn("ParaGRU", ("z", "r", "n"), {"a_z": "az", "a_r": "ar", "a_n": "an"}),
    ("pararnn-torch", "ParaLSTM"): _pararnn("ParaLSTM", ("f", "z", "o"), {"a_f": "af", "a_z": "az", "a_o": "ao", "c_f": "pf", "c_o": "po"}),
    ("transformers slow path", "S6"): _transformers,
    ("mambapy", "S6"): _mambapy,
}
"""(peer, body) → builder."""

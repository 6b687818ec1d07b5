"""What a user would take instead of a spec: the library's layer, where there is one.

A table from bundled specs (file name, body) to builders; this is about libraries, not about compiling, so names stand here.
Each builder gets the body's sizes and returns a torch module that maps [batch, time, D] to [batch, time, …], or None where
the library is not installed. Any other streaming spec has as its peer the loop one writes by hand: `step` for every step and a
`stack`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Builder = Callable[[Mapping[str, int]], Any]


def _lstm(sizes: Mapping[str, int]) -> Any:
    from torch import nn

    return _First(nn.LSTM(sizes["D"], sizes["N"], batch_first=True))


def _gru(sizes: Mapping[str, int]) -> Any:
    from torch import nn

    return _First(nn.GRU(sizes["D"], sizes["N"], batch_first=True))


def _rnn(sizes: Mapping[str, int]) -> Any:
    from torch import nn

    return _First(nn.RNN(sizes["D"], sizes["N"], batch_first=True))


def _First(module: Any) -> Any:
    """`module` with the first of its results alone."""
    from torch import nn

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x)[0]

    return First()


def _attention(window: bool) -> Builder:
    def build(sizes: Mapping[str, int]) -> Any:
        import torch
        from torch import nn

        width, heads, size = sizes["D"], sizes["H"], sizes["K"]
        reach = sizes.get("W", 0)

        class Attention(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.qkv = nn.Linear(width, 3 * heads * size)
                self.back = nn.Linear(heads * size, width)

            def forward(self, x: Any) -> Any:
                batch, time, _ = x.shape
                q, k, v = self.qkv(x).view(batch, time, 3, heads, size).permute(2, 0, 3, 1, 4)
                if window:
                    ago = torch.arange(time, device=x.device)[:, None] - torch.arange(time, device=x.device)
                    mask = (ago >= 0) & (ago < reach)
                    y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
                else:
                    y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.back(y.transpose(1, 2).reshape(batch, time, heads * size))

        return Attention()

    return build


def _mambapy(sizes: Mapping[str, int]) -> Any:
    try:
        from mambapy.mamba import MambaBlock, MambaConfig
    except ImportError:
        return None
    return MambaBlock(
        MambaConfig(d_model=sizes["D"], n_layers=1, d_state=sizes["N"], dt_rank=sizes["R"], expand_factor=sizes["E"] // sizes["D"])
    )


def _transformers_mamba(sizes: Mapping[str, int]) -> Any:
    try:
        from transformers import MambaConfig
        from transformers.models.mamba.modeling_mamba import MambaMixer
    except ImportError:
        return None
    config = MambaConfig(
        hidden_size=sizes["D"],
        state_size=sizes["N"],
        expand=sizes["E"] // sizes["D"],
        time_step_rank=sizes["R"],
        num_hidden_layers=1,
    )
    return MambaMixer(config, layer_idx=0)


def _transformers_mamba2(sizes: Mapping[str, int]) -> Any:
    try:
        from transformers import Mamba2Config
        from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
    except ImportError:
        return None
    heads = sizes.get("H", 0)
    config = Mamba2Config(
        hidden_size=sizes["D"],
        state_size=sizes["N"],
        head_dim=sizes["P"],
        num_heads=heads,
        n_groups=sizes["G"],
        expand=heads * sizes["P"] // sizes["D"],
        num_hidden_layers=1,
        chunk_size=64,
    )
    return Mamba2Mixer(config, layer_idx=0)


PEERS: dict[tuple[str, str], tuple[tuple[str, Builder], ...]] = {
    ("lstm", "LSTM"): (("torch.nn.LSTM", _lstm),),
    ("gru", "GRU"): (("torch.nn.GRU", _gru),),
    ("elman", "Elman"): (("torch.nn.RNN", _rnn),),
    ("attention", "Attention"): (("scaled_dot_product_attention", _attention(False)),),
    ("window_attention", "WindowAttention"): (("scaled_dot_product_attention", _attention(True)),),
    ("mamba1", "Mamba1"): (("mambapy", _mambapy), ("transformers MambaMixer", _transformers_mamba)),
    ("mamba2", "Mamba2"): (("transformers Mamba2Mixer", _transformers_mamba2),),
}
"""(bundled spec, body) → (name, builder)."""


def peers_of(spec: str, body: str, sizes: Mapping[str, int]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The peers that can be built here, and notes on those that cannot."""
    found, notes = [], []
    for name, build in PEERS.get((spec, body), ()):
        try:
            module = build(sizes)
        except Exception as error:  # a library that does not take these sizes is no reason to stop
            notes.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}")
            continue
        if module is None:
            notes.append(f"{name}: not installed")
        else:
            found.append((name, module))
    return found, notes

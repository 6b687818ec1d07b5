"""`backward = store`: the states of each step are kept for the gradient in place of checkpoints, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import seqc

CELLS = {
    "Selective": """
    dim D, N
    in u : [D]
    in B : [N]
    in C : [N]
    param A : [D, N] in (0, inf) init uniform(0.1, 1)
    state S : [D, N] init 0
    S = exp(-A) * S[t-1] + outer(tanh(u), B)
    out y : [D] = dot(C, S, over = N) + u
""",
    "Turning": """
    dim D
    in u : [D]
    param angle : [D] init uniform(0, 3)
    state h : [D] of complex init 0
    h = 0.9 * cis(angle) * h[t-1] + tanh(u)
    out y : [D] = re(h)
""",
    "Older": """
    dim D
    in u : [D]
    state h : [D] init 0
    state c : [D] init 0
    c = 0.5 * c[t-1] + 0.2 * h[t-2] + u
    h = tanh(c) * h[t-1] + u
    out y : [D] = h * sigmoid(c)
""",
}
SIZES = {"Selective": {"D": 19, "N": 3}, "Turning": {"D": 9}, "Older": {"D": 17}}


def layer_of(folder: Path, name: str, how: str) -> Any:
    path = folder / f"{name.lower()}_{how}.seq"
    path.write_text(f"seq 1\n\ncell {name} over t:{CELLS[name]}    schedule:\n        backward = {how}\n")
    torch.manual_seed(0)
    return getattr(seqc.load(str(path)), name)(**SIZES[name], backend="native", dtype=torch.float64)


def inputs_of(name: str) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(1)
    widths = [SIZES[name]["D"], *([SIZES[name]["N"]] * 2 if name == "Selective" else [])]
    return tuple(torch.randn(3, 21, w, generator=g, dtype=torch.float64).requires_grad_() for w in widths)


def outcome(layer: Any, xs: tuple[torch.Tensor, ...], **given: Any) -> list[torch.Tensor]:
    y, state = layer(*xs, **given)
    total = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
    for part in state:
        total = total + (part.real if part.is_complex() else part).sum()
    wanted = [*xs, *layer.parameters()]
    return [y.detach(), *torch.autograd.grad(total, wanted)]


@pytest.mark.parametrize("name", CELLS)
def test_stored_and_computed_again(tmp_path: Path, name: str) -> None:
    xs = inputs_of(name)
    reset = torch.zeros(3, 21, dtype=torch.bool)
    reset[1, 7] = reset[2, 0] = True
    for given in ({}, {"reset": reset}, {"lengths": torch.tensor([21, 4, 0])}):
        stored, again = (outcome(layer_of(tmp_path, name, how), xs, **given) for how in ("store", "recompute"))
        for a, b in zip(stored, again, strict=True):
            assert torch.allclose(a, b, rtol=1e-12, atol=1e-12)
    kernel = [seqc.runtime.native.calls.kernels_of(type(layer_of(tmp_path, name, how)).KERNELS)[0] for how in ("store", "recompute")]
    assert kernel[0].forward.of("extra") and not kernel[0].forward.of("checkpoint")
    assert not kernel[1].forward.of("extra")


@pytest.mark.parametrize("name", CELLS)
def test_against_finite_differences(tmp_path: Path, name: str) -> None:
    layer = layer_of(tmp_path, name, "store")
    xs = tuple(x.detach()[:1, :5].clone().requires_grad_() for x in inputs_of(name))
    assert torch.autograd.gradcheck(lambda *xs: layer(*xs)[0], xs)


def test_explain_says_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from seqc.compiler.cli.main import main

    said = {}
    for how in ("store", "recompute", "invert"):
        path = tmp_path / f"turning_{how}.seq"
        path.write_text(f"seq 1\n\ncell Turning over t:{CELLS['Turning']}    schedule:\n        backward = {how}\n")
        assert main(["explain", str(path)]) == 0
        said[how] = " ".join(capsys.readouterr().out.split())
    assert "kept for the gradient at each step" in said["store"]
    assert "computed again from checkpoints" in said["recompute"]
    assert "backward = invert, which no backend does" in said["invert"]

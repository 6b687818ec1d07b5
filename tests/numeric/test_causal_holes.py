"""`require causal` where Python fills a hole: a spec's module that looks ahead is refused when the layer is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import seqc

TEXT = """seq 1
cell Leak over t:
    dim D
    in x : [D]
    state h : [D] init 0
    h = 0.5 * h[t-1] + x
    out h

cell Every over t:
    dim D
    index all of t
    in x : [D]
    out y : [D] = sum(x[all], over = all)

block Back:
    dim D
    in x : [t, D]
    out y : [t, D] = Leak(x, along = reverse(t))

block Pictures:
    dim D
    index u
    in x : [u, D]
    out y : [u, D] = Every(x)

block Layer(Mixer = Leak):
    dim D
    in x : [t, D]
    out y : [t, D] = x + Mixer(x)

block Model(Mixer = Leak):
    dim D = 3
    require causal
    in x : [t, D]
    out y : [t, D] = Layer(x, Mixer = Mixer)

block Free(Mixer = Leak):
    dim D = 3
    in x : [t, D]
    out y : [t, D] = Layer(x, Mixer = Mixer)

block Rows(Mixer = Leak):
    dim D = 3
    index r
    require causal
    in x : [t, r, D]
    out y : [t, r, D] = Mixer(x, t = r)
"""


@pytest.fixture(scope="module")
def spec() -> Any:
    return seqc.load(TEXT)


@pytest.mark.parametrize(("name", "why"), [("Every", "may be a later step"), ("Back", "backwards")])
def test_a_filler_that_looks_ahead_is_refused(spec: Any, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"Model is required to be causal .* {why}"):
        spec.Model(Mixer=getattr(spec, name))


def test_the_same_through_a_body_between(spec: Any) -> None:
    assert "Every" in spec.Free(Mixer=spec.Every).looks
    assert spec.Free().looks == "" and spec.Model().looks == ""


def test_what_is_causal_and_what_runs_along_another_axis_is_taken(spec: Any) -> None:
    x = torch.randn(1, 4, 3)
    assert spec.Model(Mixer=spec.Leak)(x)[0].shape == x.shape
    assert spec.Rows(Mixer=spec.Every)(x[:, :, None])[0].shape == (1, 4, 1, 3)


def test_nothing_is_known_of_a_module_that_is_no_spec(spec: Any) -> None:
    assert spec.Model(Mixer=nn.Identity()).looks == ""

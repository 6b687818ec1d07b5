"""`Mixer(x, M)` in a body's head: what fills the hole may do without the arguments after the first."""

from __future__ import annotations

import pytest
import torch

import seqc

SPEC = '''seq 1

block Plain:
    dim D
    in x : [t, D]
    out y : [t, D] = 2 * x

block Masked:
    dim D
    in u : [t, D]
    in M : [] of int
    out y : [t, D] = where(t < M, 2 * u, -u)

block Shell(Mixer(x, M) = Plain):
    dim D
    in x : [t, D]
    in M : [] of int = 2
    out y : [t, D] = x + Mixer(x, M)

block Strict(Mixer = Plain):
    dim D
    in x : [t, D]
    out y : [t, D] = x + Mixer(x)

block Both:
    dim D
    in x : [t, D]
    a : [t, D] = Shell(x)
    out b : [t, D] = Shell(a, Mixer = Masked)
'''


def test_an_argument_that_the_default_lacks_is_dropped() -> None:
    x = torch.randn(2, 5, 4)
    y, _ = seqc.load(SPEC).Shell(D=4)(x)
    assert torch.equal(y, 3 * x)


def test_what_fills_the_hole_gets_the_arguments_it_declares() -> None:
    spec, x = seqc.load(SPEC), torch.randn(2, 5, 4)
    y, _ = spec.Shell(D=4, Mixer=spec.Masked)(x, M=torch.tensor([1, 3]))
    first = torch.arange(5)[None] < torch.tensor([1, 3])[:, None]
    assert torch.equal(y, torch.where(first[..., None], 3 * x, torch.zeros(())))


def test_a_hole_bound_in_the_spec_gets_them_too() -> None:
    x = torch.randn(2, 5, 4)
    y, _ = seqc.load(SPEC).Both(D=4)(x)
    torch.testing.assert_close(y, torch.where(torch.arange(5)[:, None] < 2, 9 * x, torch.zeros(())))


def test_a_hole_that_lists_nothing_takes_no_more_than_it_needs() -> None:
    spec = seqc.load(SPEC)
    with pytest.raises(Exception, match="needs its input M"):
        spec.Strict(D=4, Mixer=spec.Masked)(torch.randn(2, 5, 4))

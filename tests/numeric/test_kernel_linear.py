"""How carries depend on their previous values: coefficients against the kernel itself, Jacobians against autograd."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from numeric.kernel_interpreter import _Values
from numeric.random_kernels import draw, random_kernel
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import target_of
from seqc.compiler.ir.kernel import Arg, Kernel, Var
from seqc.compiler.lower.kernels.linear import Nonlinear, components, jacobian, linear
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.native.emit_module import lower

SIZES = {"A": 3, "N": 2, "V": 4}


def kernel_of(spec: str) -> Kernel:
    """The kernel of the first cell of a spec."""
    program = compiled(target_of(spec), until="spec").program
    _, found = lower(program, spec)
    return plain(settled(next(n for n in found.values() if n.regions).regions[0].plain.kernel))


@pytest.mark.parametrize(
    ("spec", "algebras"),
    [
        ("mingru", ["affine"]), ("minlstm", ["affine"]), ("qrnn", ["affine"]), ("hgrn", ["affine"]), ("mamba1", ["affine"]),
        ("lru", ["affine"]), ("s5", ["affine"]), ("aaren", ["max", "affine", "affine"]), ("rwkv4", ["max", "affine", "affine"]),
        ("gla", ["affine"]), ("indrnn", ["nonlinear"]), ("paragru", ["nonlinear"]), ("deltanet", ["nonlinear"]),
    ],
)  # fmt: skip
def test_bundled_specs(spec: str, algebras: list[str]) -> None:
    assert [g.algebra for g in linear(kernel_of(spec)).groups] == algebras


def test_reasons() -> None:
    assert "relu" in linear(kernel_of("indrnn")).groups[0].why
    assert "sums over" in linear(kernel_of("deltanet")).groups[0].why
    with pytest.raises(Nonlinear, match="sums over"):
        jacobian(kernel_of("deltanet"), (0,))


def value(held: _Values, a: Arg, v: Var) -> torch.Tensor:
    """An entry of a matrix or an offset, over a carry's axes."""
    return held.full(v, held.arg(a, v.axes))


def stepped(k: Kernel, seed: int) -> tuple[_Values, list[torch.Tensor]]:
    """All values of one step from random operands and carries."""
    sizes = {a: SIZES[a] for a in k.axes}
    held = _Values(k, 2, sizes)
    for o, x in zip(k.operands, draw(k, sizes, 2, 1, seed, torch.float64), strict=True):
        if not isinstance(x, torch.Tensor):
            held.held[o.var.id] = torch.full((2,), float(x), dtype=torch.float64)
        elif o.kind == "once":
            held.held[o.var.id] = held.full(o.var, x[None])
        else:
            held.held[o.var.id] = x[:, 0] if o.kind == "step" else x
    held.run(k.prologue)
    g = torch.Generator().manual_seed(seed + 7)
    carries = []
    for c in k.carries:
        shape = [2, *(sizes[a] for a in c.previous.axes)]
        carries.append(torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_())
        held.held[c.previous.id] = carries[-1]
    held.run(k.step)
    return held, carries


def test_coefficients_give_the_next_value() -> None:
    counted = 0
    for seed in range(120):
        k = plain(settled(random_kernel(seed)))
        how = linear(k)
        held, _ = stepped(replace(k, step=how.step), seed)
        for g in how.groups:
            for row, i in enumerate(g.carries):
                v = k.carries[i].previous
                before = [held.held[k.carries[j].previous.id] for j in g.carries]
                if g.algebra == "affine":
                    terms = [value(held, a, v) * p for a, p in zip(g.matrix[row], before, strict=True)]
                    made = sum(terms, value(held, g.offset[row], v))
                elif g.algebra in ("max", "log"):
                    join = torch.maximum if g.algebra == "max" else torch.logaddexp
                    made = join(before[0] + value(held, g.matrix[0][0], v), value(held, g.offset[0], v))
                else:
                    continue
                assert torch.allclose(made, held.held[k.carries[i].next.id], rtol=1e-10, atol=1e-10), seed
                counted += 1
    assert counted > 60


def test_jacobians_are_those_of_autograd() -> None:
    counted = 0
    for seed in range(120):
        k = settled(random_kernel(seed))
        for group in components(plain(k)):
            if len({k.carries[i].previous.axes for i in group}) > 1:
                continue
            try:
                matrix, step = jacobian(k, group)
            except Nonlinear:
                continue
            held, carries = stepped(replace(k, step=step), seed)
            for row, i in enumerate(group):
                after = held.held[k.carries[i].next.id]
                for column, j in enumerate(group):
                    want = torch.zeros_like(after)
                    if after.requires_grad:
                        (found,) = torch.autograd.grad(after.sum(), carries[j], retain_graph=True, allow_unused=True)
                        want = want if found is None else found
                    got = value(held, matrix[row][column], k.carries[i].previous)
                    assert torch.allclose(got, want, rtol=1e-9, atol=1e-9), (seed, i, j)
                    counted += 1
    assert counted > 100


def test_components_come_in_order() -> None:
    """Aaren: the maximum first, then what reads it."""
    k = kernel_of("aaren")
    assert [k.carries[i].previous.hint for (i,) in components(k)] == ["m", "u", "w"]

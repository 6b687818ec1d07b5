"""The kernels of Newton's iteration, executed as they read: what they converge to, how fast, and that what they carry is affine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from numeric.kernel_interpreter import interpret
from seqc.compiler.ir.kernel import Apply, Carry, Kernel, Operand, Product, Reduce, Var
from seqc.compiler.lower.kernels.linear import linear
from seqc.compiler.lower.kernels.newton import MEASURES, Newton, newton

AXES = ("N",)
SIZES = {"N": 3}
BATCH, STEPS = 2, 12


def var(i: int, axes: tuple[str, ...] = AXES, kind: Any = "real", hint: str = "") -> Var:
    return Var(i, axes, kind, hint)


def coupled() -> Kernel:
    """c' = sigmoid(h) c + x, h' = tanh(c' + w h); a mean m' = 0.5 m + h' before that reads them; rows h' and m'."""
    x, w, c, h, m = var(0), var(1), var(2, hint="c"), var(3, hint="h"), var(4, hint="m")
    step = (
        Apply(var(5), "sigmoid", (h,)),
        Apply(var(6), "mul", (var(5), c)),
        Apply(var(7), "add", (var(6), x)),
        Apply(var(8), "mul", (w, h)),
        Apply(var(9), "add", (var(7), var(8))),
        Apply(var(10), "tanh", (var(9),)),
        Apply(var(11), "mul", (m, 0.5)),
        Apply(var(12), "add", (var(11), var(10))),
    )
    carries = (Carry(c, 0.25, var(7)), Carry(h, var(13), var(10)), Carry(m, 0.0, var(12)))
    operands = (Operand(x, "step"), Operand(w, "once"), Operand(var(13), "run"))
    return Kernel("k", AXES, operands, (), carries, step, (var(10), var(12)))


def given() -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [0.5 * torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((BATCH, STEPS, 3), (3,), (BATCH, 3))]


def solution(k: Kernel) -> list[Tensor]:
    """All carries after each step, by the kernel itself."""
    rows, _ = interpret(replace(k, rows=tuple(c.next for c in k.carries)), given(), SIZES, BATCH, STEPS)
    return rows


def shifted(x: Tensor, start: Any) -> Tensor:
    """What each step finds."""
    first = start[:, None] if isinstance(start, Tensor) else torch.full_like(x[:, :1], start)
    return torch.cat([first, x[:, :-1]], 1)


def iterate(n: Newton, guess: list[Tensor], numbers: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> tuple[list[Tensor], list[Tensor]]:
    """One iteration of the first part: the new values, what was carried."""
    part = n.parts[0]
    starts = [0.25, given()[2]]
    before = [shifted(x, start) for x, start in zip(guess, starts, strict=True)]
    return interpret(part.kernel, [*given(), *before, *guess, *numbers], SIZES, BATCH, STEPS)


def far(a: list[Tensor], b: list[Tensor]) -> float:
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))


def made() -> Newton:
    found = newton(coupled())
    assert isinstance(found, Newton)
    return found


def test_groups_in_their_order() -> None:
    n = made()
    assert [(p.carries, p.known, p.iterated) for p in n.parts] == [((0, 1), (), True), ((2,), (0, 1), False)]
    assert n.starts == (("number", 0.25), ("operand", 2), ("number", 0.0)) and n.left == ()


def test_what_is_carried_is_affine() -> None:
    found = linear(made().parts[0].kernel)
    assert found.whole
    assert sorted(g.algebra for g in found.groups) == ["affine"] + ["max"] * (2 * MEASURES)
    assert [len(g.carries) for g in found.groups if g.algebra == "affine"] == [2]


def test_leading_steps_are_exact() -> None:
    """After k iterations the first k states are right whatever the guess was."""
    n, want = made(), solution(coupled())[:2]
    guess = [torch.full_like(x, 3.0) for x in want]
    for k in range(1, 5):
        guess, _ = iterate(n, guess)
        assert far([x[:, :k] for x in guess], [x[:, :k] for x in want]) < 1e-13
    assert far(guess, want) > 1e-9


def test_errors_are_squared() -> None:
    """So they are with the right Jacobian only."""
    n, want = made(), solution(coupled())[:2]
    noise = torch.randn(BATCH, STEPS, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    guess = [x + 1e-4 * noise for x in want]
    for numbers, low, high in (((1.0, 1.0, 1.0), 0.0, 1e-7), ((1.0, 1.0, 0.0), 1e-6, 1e-2), ((1.0, 0.0, 0.0), 1e-6, 1e-2)):
        found, _ = iterate(n, guess, numbers)
        assert low <= far(found, want) <= high
    assert far(iterate(n, want)[0], want) < 1e-14


def test_measures_are_of_what_they_say() -> None:
    n, want = made(), solution(coupled())[:2]
    guess = [x + 0.1 for x in want]
    found, carried = iterate(n, guess)
    residual, correction, value = (carried[2 + 2 * i : 4 + 2 * i] for i in range(MEASURES))
    before = [shifted(x, s) for x, s in zip((*guess, guess[0]), (0.25, given()[2], 0.0), strict=True)]
    full, _ = interpret(n.read, [*given(), *before], SIZES, BATCH, STEPS)
    assert torch.allclose(residual[1], (full[0] - guess[1]).abs().amax(1), atol=1e-14)
    assert torch.allclose(correction[0], (found[0] - guess[0]).abs().amax(1), atol=1e-14)
    assert torch.allclose(value[1], found[1].abs().amax(1), atol=1e-14)


def test_rows_from_the_solution() -> None:
    k = coupled()
    want, _ = interpret(k, given(), SIZES, BATCH, STEPS)
    n, values = made(), solution(k)
    before = [shifted(x, s) for x, s in zip(values, (0.25, given()[2], 0.0), strict=True)]
    rows, _ = interpret(n.read, [*given(), *before], SIZES, BATCH, STEPS)
    assert far(rows, want) < 1e-14
    rest, _ = interpret(n.parts[1].kernel, [*given(), *before[:2], torch.zeros(BATCH, 3)], SIZES, BATCH, STEPS)
    assert far(rest, values[2:]) < 1e-14


def refused(step: tuple[Any, ...], next_: Var) -> str:
    k = Kernel("k", AXES, (Operand(var(0), "step"),), (), (Carry(var(1, hint="h"), 0.0, next_),), step, (next_,))
    found = newton(k)
    assert isinstance(found, str)
    return found


def test_what_cannot_be_iterated_says_why() -> None:
    tanh = Apply(var(3), "tanh", (var(2),))
    total = (Reduce(var(2, ()), "sum", var(1), AXES), Apply(var(4, ()), "tanh", (var(2, ()),)), Apply(var(3), "add", (var(4, ()), var(0))))
    assert "sums over values of the state" in refused(total, var(3))
    choice = (
        Apply(var(2, kind="bool"), "lt", (1.0, var(1))),
        Apply(var(4), "where", (var(2, kind="bool"), 0.0, var(1))),
        Apply(var(3), "add", (var(4), var(0))),
    )
    assert "not differentiable" in refused(choice, var(3))
    assert "nothing to iterate" in refused((Apply(var(3), "mul", (var(1), var(0))),), var(3))
    weight = var(9, ("M", "N"))
    product = (Product(var(5, ("M",)), weight, var(1), (("N", "N"),), (("M", "M"),)), Apply(var(2), "add", (var(1), var(0))), tanh)
    operands = (Operand(var(0), "step"), Operand(weight, "once"))
    k = Kernel("k", ("M", "N"), operands, (), (Carry(var(1), 0.0, var(3)),), product, (var(3), var(5, ("M",))))
    assert "matrix product" in str(newton(k))
    empty = Kernel("k", AXES, (Operand(var(0), "step"),), (), (), (Apply(var(3), "tanh", (var(0),)),), (var(3),))
    assert "nothing is carried" in str(newton(empty))


@pytest.mark.parametrize("fn", ["stop", "through"])
def test_the_value_counts_not_its_stated_derivative(fn: str) -> None:
    """Where a spec says another derivative, the iteration still has that of the value."""
    k = coupled()
    through = Apply(var(20), fn, (var(9), var(8))[: 1 if fn == "stop" else 2])
    step = tuple(replace(s, args=(var(20),)) if s.out == var(10) else s for s in k.step)
    at = next(i for i, s in enumerate(step) if s.out == var(10))
    n = newton(replace(k, step=(*step[:at], through, *step[at:])))
    assert isinstance(n, Newton)
    want = solution(k)[:2]
    found, _ = iterate(n, [x + 1e-4 for x in want])
    assert far(found, want) < 1e-7

"""Operators of the user's: `scan(Op, …)` in C and in Triton, one step after the other, many at a time, and in segments.

Measured against the operator's `combine` written down here in torch, in float64: values, the state after the last step, gradients of
inputs, of the state before the first step and of parameters; with resets, with sequences of different lengths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import seqc
from numeric.native_units import compiler
from numeric.triton_units import cut, needs_interpreter, tiles
from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton.blocks import Blocks

Values = tuple[Tensor, ...]
BATCH, STEPS = 2, 5

SPEC = '''seq 1

operator SoftmaxSum(m : [], u : [], w : [V]):
    identity = (-inf, 0, 0)
    combine(l, r):
        m = max(l.m, r.m)
        u = l.u * expdiff(l.m, m) + r.u * expdiff(r.m, m)
        w = l.w * expdiff(l.m, m) + r.w * expdiff(r.m, m)

operator Length(x : []):
    """The length of a sum of vectors at right angles: no algebra is known of it."""
    identity = (0)
    combine(first, then):
        x = sqrt(first.x * first.x + then.x * then.x)

operator Moebius(a : [], b : [], c : [], d : []):
    """Matrices of two rows: values that depend on each other, in an order that counts."""
    identity = (1, 0, 0, 1)
    combine(l, r):
        a = r.a * l.a + r.b * l.c
        b = r.a * l.b + r.b * l.d
        c = r.c * l.a + r.d * l.c
        d = r.c * l.b + r.d * l.d

operator Moments(n : [], mean : [], m2 : []):
    """Count, mean and squares, as Chan, Golub and LeVeque put two of them together (1979)."""
    identity = (0, 0, 0)
    combine(l, r):
        n = l.n + r.n
        mean = (l.n * l.mean + r.n * r.mean) / n
        m2 = l.m2 + r.m2 + (r.mean - l.mean) ^ 2 * l.n * r.n / n

cell Attention over t:
    dim D, H = 2
    in s : [H]
    in v : [H, D]
    p = scan(SoftmaxSum, m = 2 * s, u = 1, w = tanh(v))
    out y : [H, D] = p.w / p.u
    out top : [H] = p.m

cell Lengths over t:
    dim D
    in x : [D]
    p = scan(Length, x = 1 + sigmoid(x))
    out y : [D] = p.x

cell Turning over t:
    dim D
    in x : [D]
    param g : [D] init normal(1, 0.1)
    p = scan(Moebius, a = 1, b = tanh(x), c = 0.5 * g, d = 1 - x)
    out y : [D] = (p.a + p.b) / 4
    out z : [D] = p.c - p.d

cell Statistics over t:
    dim D
    in x : [D]
    p = scan(Moments, n = 1, mean = x, m2 = 0)
    out mean : [D] = p.mean
    out var : [D] = p.m2 / p.n
'''


def expdiff(a: Tensor, b: Tensor) -> Tensor:
    gone = a == -torch.inf
    return torch.where(gone, 0.0, torch.exp(torch.where(gone, 0.0, a) - torch.where(gone, 0.0, b)))


def softmax_sum(l: Values, r: Values) -> Values:  # noqa: E741
    m = torch.maximum(l[0], r[0])
    left, right = expdiff(l[0], m), expdiff(r[0], m)
    return m, l[1] * left + r[1] * right, l[2] * left[..., None] + r[2] * right[..., None]


def length(l: Values, r: Values) -> Values:  # noqa: E741
    return (torch.sqrt(l[0] ** 2 + r[0] ** 2),)


def moebius(l: Values, r: Values) -> Values:  # noqa: E741
    (a, b, c, d), (e, f, g, h) = l, r
    return e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d


def moments(l: Values, r: Values) -> Values:  # noqa: E741
    n = l[0] + r[0]
    return n, (l[0] * l[1] + r[0] * r[1]) / n, l[2] + r[2] + (r[1] - l[1]) ** 2 * l[0] * r[0] / n


def one(x: Tensor) -> Tensor:
    return torch.ones_like(x)


CASES: dict[str, tuple[Any, ...]] = {
    "Attention": (
        softmax_sum, (-torch.inf, 0.0, 0.0), {"s": (2,), "v": (2, 3)},
        lambda i, g: (2 * i["s"], one(i["s"]), torch.tanh(i["v"])), lambda p: (p[2] / p[1][..., None], p[0]),
    ),
    "Lengths": (length, (0.0,), {"x": (3,)}, lambda i, g: (1 + torch.sigmoid(i["x"]),), lambda p: (p[0],)),
    "Turning": (
        moebius, (1.0, 0.0, 0.0, 1.0), {"x": (3,)},
        lambda i, g: (one(i["x"]), torch.tanh(i["x"]), 0.5 * g.expand_as(i["x"]), 1 - i["x"]),
        lambda p: ((p[0] + p[1]) / 4, p[2] - p[3]),
    ),
    "Statistics": (
        moments, (0.0, 0.0, 0.0), {"x": (3,)}, lambda i, g: (one(i["x"]), i["x"], 0 * i["x"]), lambda p: (p[1], p[2] / p[0])
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = tmp_path_factory.mktemp("operators") / "mine.seq"
    path.write_text(SPEC)
    return seqc.load(path)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = launcher.choose

    def chosen(*given: Any) -> Blocks:
        return Blocks(choose(*given).axes, 2, 1, 1)

    monkeypatch.setattr(launcher, "choose", chosen)


def loop(name: str, given: dict[str, Tensor], g: Tensor | None, before: Values | None, reset: Tensor | None, lengths: Tensor | None) -> Any:
    """The case one step after the other: outs [batch, time, …], and the carry after each sequence's last step."""
    combine, identity, _, elements, outs = CASES[name]
    steps: Values = elements(given, g)
    start = tuple(torch.full_like(s[:, 0], x) for s, x in zip(steps, identity, strict=True))
    now = start if before is None else before
    rows = []
    for t in range(STEPS):
        if reset is not None:
            now = tuple(torch.where(reset[:, t].view(-1, *[1] * (b.dim() - 1)), s, b) for s, b in zip(start, now, strict=True))
        new = combine(now, tuple(s[:, t] for s in steps))
        rows.append(outs(new))
        live = one(new[0]).bool() if lengths is None else (t < lengths).view(-1, *[1] * (new[0].dim() - 1))
        now = tuple(torch.where(live.view(*live.shape, *[1] * (n.dim() - live.dim())), n, b) for n, b in zip(new, now, strict=True))
    return [torch.stack(r, 1) for r in zip(*rows, strict=True)], now


def weighted(values: Any, lengths: Tensor | None, rows: int) -> Tensor:
    """A number that depends on everything but the padding."""
    g = torch.Generator().manual_seed(4)
    total = torch.zeros((), dtype=torch.float64)
    for i, x in enumerate(values):
        w = torch.randn(x.shape, generator=g, dtype=torch.float64)
        if i < rows and lengths is not None:
            w = w * (torch.arange(STEPS)[None] < lengths[:, None]).view(BATCH, STEPS, *[1] * (x.dim() - 2))
            x = torch.where(w != 0, x, 0.0)
        total = total + (torch.where(torch.isfinite(x), x, 0.0) * w).sum()
    return total


def compared(module: Any, name: str, how: str, backend: str, scan: str = "auto") -> None:
    _, _, inputs, _, _ = CASES[name]
    torch.manual_seed(3)
    given = {k: torch.randn(BATCH, STEPS, *shape, dtype=torch.float64).requires_grad_() for k, shape in inputs.items()}
    layer = getattr(module, name)(D=3, dtype=torch.float64, backend=backend, **({"scan": scan} if scan != "auto" else {}))
    g = layer.g if name == "Turning" else None
    reset = torch.tensor([[0, 0, 1, 0, 0], [1, 0, 0, 1, 1]]).bool() if how == "reset" else None
    lengths = torch.tensor([STEPS, 2]) if how == "ragged" else None
    # something that went before, so that the state is none of the identity
    with torch.no_grad():
        _, early = loop(name, {k: torch.randn_like(v) for k, v in given.items()}, g, None, None, None)
    before = None if how == "reset" else tuple(x.clone().requires_grad_() for x in early)
    mine = None if before is None else tuple(x.detach().clone().requires_grad_() for x in before)
    want, after = loop(name, given, g, before, reset, lengths)
    leaves = [*given.values(), *layer.parameters(), *(before or ())]
    slopes = torch.autograd.grad(weighted([*want, *after], lengths, len(want)), leaves, allow_unused=True)

    again = {k: v.detach().clone().requires_grad_() for k, v in given.items()}
    state = None if mine is None else type(layer.init_state(BATCH))(*mine)
    more = {k: v for k, v in (("reset", reset), ("lengths", lengths)) if v is not None}
    outs, last = layer(**again, state=state, **more)
    got = [outs] if isinstance(outs, Tensor) else list(outs)
    found = torch.autograd.grad(
        weighted([*got, *last], lengths, len(got)), [*again.values(), *layer.parameters(), *(mine or ())], allow_unused=True
    )
    for i, (a, b) in enumerate(zip([*got, *last], [*want, *after], strict=True)):
        if i < len(want) and lengths is not None:
            a, b = a[0], b[0]
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-11), f"{name}, {how}: value {i}"
    for i, (p, q) in enumerate(zip(found, slopes, strict=True)):
        zero = torch.zeros((), dtype=torch.float64)
        a, b = torch.broadcast_tensors(zero if p is None else p, zero if q is None else q)
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-10), f"{name}, {how}: gradient {i}"


@pytest.mark.parametrize("how", ["plain", "reset", "ragged"])
@pytest.mark.parametrize("name", CASES)
def test_reference(module: Any, name: str, how: str) -> None:
    compared(module, name, how, "reference")


@pytest.mark.skipif(not compiler(), reason="there is no C compiler")
@pytest.mark.parametrize("name", CASES)
def test_native(module: Any, name: str) -> None:
    """One loop over time in C, forwards and backwards; resets and ends of sequences in it."""
    cls = getattr(module, name)
    assert len(cls.KERNELS) == 2 and not cls.LEFT
    for how in ("plain", "reset", "ragged"):
        compared(module, name, how, "native")


def test_what_stays_a_loop_is_said(tmp_path: Path) -> None:
    """The scan of a block is no recurrence of a cell: no kernel is promised for it."""
    path = tmp_path / "left.seq"
    path.write_text(SPEC + "\nblock Whole:\n    dim D\n    in x : [t, D]\n    p = scan(Length, x = x)\n    out y : [t, D] = p.x\n")
    mine = seqc.load(path)
    assert mine.Whole.LEFT == ((("p",), "it is the scan of a block"),)
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    out = mine.Whole(D=3, dtype=torch.float64, backend="reference")(x)
    y = out[0] if isinstance(out, tuple) else out
    assert torch.allclose(y, (x * x).cumsum(1).sqrt())
    with pytest.raises(RuntimeError, match="SEQ0604.*block"):
        mine.Whole(D=3, backend="native")


HOW = ("plain", "reset", "ragged")
SOFTMAX = [("Attention", how) for how in HOW]


@needs_interpreter
@pytest.mark.parametrize(("name", "how"), [(n, HOW[i % 3]) for i, n in enumerate(CASES)])
def test_triton(module: Any, name: str, how: str) -> None:
    compared(module, name, how, "triton")


@needs_interpreter
@pytest.mark.parametrize(("name", "how"), [*SOFTMAX, ("Lengths", "reset"), ("Turning", "ragged"), ("Statistics", "plain")])
def test_many_steps_at_a_time(module: Any, name: str, how: str) -> None:
    """The operator's equations are the function of the scan."""
    with tiles(4):
        compared(module, name, how, "triton", "associative")


@needs_interpreter
@pytest.mark.parametrize(("name", "how"), [*SOFTMAX, ("Lengths", "ragged"), ("Turning", "reset"), ("Statistics", "reset")])
def test_in_segments(module: Any, name: str, how: str) -> None:
    with tiles(2), cut(1):
        compared(module, name, how, "triton", "associative")

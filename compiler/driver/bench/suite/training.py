"""Training steps of `seqc train char_lm` with native kernels beside the reference: time, time outside matrix products, losses.

Time inside matrix products is that of the same products by themselves: what a step multiplies is noted once and multiplied again
without anything else. Both models start from the same parameters and see the same text.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqc.compiler.driver.bench.suite.place import Budget
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import Row
from seqc.compiler.driver.bench.suite.spreads import spread
from seqc.compiler.driver.bench.timing import race

REFERENCE = "reference"
OUTSIDE, STEP, DEFAULT = 10.0, 3.0, 1.0
CLOSE = 1e-3
"""Largest difference of losses, relative, over the steps that are compared."""

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


def measured(row: Row, quick: bool, budget: Budget, tick: Callable[[str], None]) -> list[Figure]:
    """The figures at batch 2, T 512, width 128, and the step's at the default shape."""
    tiny = {"D": 16, "L": 1}
    shapes = [((2, 32) if quick else (2, 512), tiny if quick else {"D": 128}, True)]
    shapes.append(((4, 8) if quick else (32, 32), tiny if quick else {}, False))
    out: list[Figure] = []
    for (batch, length), dims, whole in shapes:
        sizes = " ".join([f"B{batch}", f"T{length}", *(f"{k}{v}" for k, v in dims.items())])
        about: dict[str, Any] = {"row": row.name, "subject": "char_lm", "sizes": sizes, "against": REFERENCE}
        try:
            out += _shape(about, batch, length, dims, whole, 3 if quick else 20, budget, tick)
        except RuntimeError as why:
            if getattr(why, "code", "") not in ("SEQ0604", "SEQ0601"):
                raise
            reason = str(why).split("\n")[0][:200]
            out.append(Figure(**about, what="training step", asked=STEP, status="no kernel", reason=reason))
    return out


def _shape(
    about: dict[str, Any],
    batch: int,
    length: int,
    dims: dict[str, int],
    whole: bool,
    steps: int,
    budget: Budget,
    tick: Callable[[str], None],
) -> list[Figure]:
    who = {name: _trainer(name, batch, length, dims) for name in ("native", REFERENCE)}
    who[REFERENCE].model.load_state_dict(who["native"].model.state_dict())
    tick(f"char_lm {about['sizes']}: losses")
    losses = {name: [t.advance().loss for _ in range(steps)] for name, t in who.items()}
    apart = max(abs(a - b) / abs(b) for a, b in zip(losses["native"], losses[REFERENCE], strict=True))
    inside = {name: _products(t.advance) for name, t in who.items()}
    contenders: list[tuple[str, Callable[[], object]]] = [(name, t.advance) for name, t in who.items()]
    contenders += [(f"products, {name}", again) for name, again in inside.items()]
    timings = {
        t.who: t
        for t in race(
            contenders,
            seconds=2 * budget.seconds,
            least=budget.least,
            turn=budget.turn,
            tick=lambda name: tick(f"char_lm {about['sizes']}: {name}"),
        )
    }
    ours, theirs = timings["native"], timings[REFERENCE]
    right = apart <= CLOSE
    agreed: dict[str, Any] = {
        "status": "measured" if right else "WRONG",
        "error": apart,
        "reason": f"losses of {steps} steps differ by {apart:.1e} at most; {losses['native'][-1]:.3f} bits/byte at the last",
    }
    out = [
        Figure(
            **about,
            **agreed,
            what="training step",
            value=theirs.median / ours.median if right else None,
            asked=STEP if whole else DEFAULT,
            ours=spread(ours),
            theirs=spread(theirs),
        )
    ]
    if whole:
        spent = {name: timings[name].median - timings[f"products, {name}"].median for name in who}
        agreed["reason"] = f"{spent['native']:.2f} ms of {ours.median:.2f} beside {spent[REFERENCE]:.2f} ms of {theirs.median:.2f}"
        value = spent[REFERENCE] / spent["native"] if right and spent["native"] > 0 else None
        out.insert(0, Figure(**about, **agreed, what="outside matrix products", value=value, asked=OUTSIDE))
    return out


def _trainer(backend: str, batch: int, length: int, dims: dict[str, int]) -> Any:
    """A training run of its own over this package's sources."""
    import torch

    from seqc.compiler.driver.bench.suite.contestants import layer_of
    from seqc.compiler.driver.train.corpus import read
    from seqc.compiler.driver.train.loop import Trainer
    from seqc.compiler.driver.train.options import TrainOptions
    from seqc.compiler.driver.train.text import TextTask

    torch.manual_seed(0)
    model = layer_of("char_lm", "CharLM", dims, backend)
    options = TrainOptions.make(steps=1000, batch=batch, length=length)
    corpus = read([str(Path(__file__).resolve().parents[3])])
    return Trainer(model, TextTask(corpus, batch=batch, length=length, carry=options.carry, seed=0), options)


def _products(run: Callable[[], object]) -> Callable[[], None]:
    """Runs once, and gives what makes the same matrix products again."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    noted: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    class Noting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(function, "__name__", "").split(".")[0] in PRODUCTS:
                held = tuple(a.detach().clone(memory_format=torch.preserve_format) if isinstance(a, torch.Tensor) else a for a in args)
                noted.append((function, held, dict(kwargs or {})))
            return function(*args, **(kwargs or {}))

    mode: Any = Noting
    with mode():
        run()

    def again() -> None:
        with torch.no_grad():
            for function, args, kwargs in noted:
                function(*args, **kwargs)

    return again

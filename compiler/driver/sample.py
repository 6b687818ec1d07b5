"""Inputs for checks and timings, drawn from what a body declares: shapes, types, ranges.

In:   a checked body, its sizes, a batch and a length.      Out: keyword arguments for `forward`, as tensors.
Keeps: claimed ranges; the same seed gives the same numbers in every dtype.
Refuses: (`Unusable`) text, inputs on edges and over calls: there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seqc.compiler.driver.sizes import Sizes
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.graph.sizes import evaluate
from seqc.compiler.ir.expr import Draw, Expr, Split, reads, walk
from seqc.compiler.ir.spec import Body, Value

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 5
"""Positions of an index that has no range of its own, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Arguments of one call; `time` names the axis of each that runs along the body's chain (None: it has none).

    `free` says how many positions the inputs have along indices that no dim fixes.
    """

    values: dict[str, Any]
    time: dict[str, int | None]
    free: dict[str, int] = field(default_factory=dict)

    @property
    def before(self) -> dict[str, Any]:
        """What `init_state` takes: inputs without steps, and the sizes that no such input tells."""
        return {**self.free, **{k: v for k, v in self.values.items() if self.time[k] is None}}


def is_draw(v: Value) -> bool:
    """Whether an optional input is a random draw."""
    return v.kind == "input" and v.value is not None and any(isinstance(n, Draw) for n in walk(v.value))


def inputs_of(body: Body, given: tuple[str, ...] = (), *, losses: bool = False) -> list[Value]:
    """The inputs that a call passes: those without a default, draws, and the optional ones named in `given`.

    What only losses read is passed with `losses`."""
    wanted = reached(body, body.outs)
    if losses:
        wanted |= reached(body, [v.name for v in body.values if v.kind == "loss"])
    return [v for v in body.values if v.kind == "input" and v.name in wanted and (v.value is None or is_draw(v) or v.name in given)]


def steps_from(body: Body) -> set[str] | None:
    """The optional inputs that say how many steps there are, where no input that must be given does; else None."""
    axis = body.chain if body.topology else "t"
    if body.topology and any(f.low is not None for f in body.topology):
        return None

    def timed(v: Value) -> bool:
        return (bool(body.chain) and not v.once) if body.topology else axis in (v.axes or ())

    if not body.topology and not any(axis in (v.axes or ()) for v in body.values) or any(map(timed, inputs_of(body, losses=True))):
        return None
    return {v.name for v in body.values if v.kind == "input" and timed(v)}


def reached(body: Body, roots: Iterable[str]) -> set[str]:
    """Names that the values named read, directly or through others, whatever the step."""
    table = body.table
    seen: set[str] = set()
    todo = list(roots)
    todo += [r.name for i in body.indices if i.where is not None for r in reads(i.where)]
    while todo:
        name = todo.pop()
        if name in seen or name not in table:
            continue
        seen.add(name)
        value = table[name]
        todo += [r.name for e in (value.value, value.start) if e is not None for r in reads(e)]
    return seen


def lengths_of(body: Body, sizes: Sizes, time: int, free: int = LENGTH) -> dict[str, int]:
    """How many positions each index of the body has; `time` for the chain and for an index `t`, `free` where nothing says more."""
    out: dict[str, int] = {}
    for f in body.topology:
        for axis in f.axes:
            out[axis] = _extent(f.low, f.high, sizes) if f.low is not None and f.high is not None else time
    for index in body.indices:
        if index.low is not None and index.high is not None:
            out[index.name] = _extent(index.low, index.high, sizes)
        elif index.of in sizes:
            out[index.name] = sizes[index.of]
        elif not index.of:
            out[index.name] = free
    out.setdefault("t", time)
    for index in body.indices:
        if index.of in out:
            out.setdefault(index.name, out[index.of])
    carried = {a for v in body.values if v.kind == "input" for a in v.axes or ()}
    open_ = {i.name for i in body.indices if i.low is None and not i.of and i.name in carried and i.name != "t"}
    for v in body.values:
        for e in walk(v.value) if v.value is not None else ():
            # `split(z, hy = [y, I])` where inputs have both: one length follows from the other
            if isinstance(e, Split) and {e.axis, e.outer} <= open_ and e.inner in sizes:
                out[e.axis] = out[e.outer] * sizes[e.inner]
    return out


def _extent(low: Expr, high: Expr, sizes: Sizes) -> int:
    first, last = evaluate(low, sizes), evaluate(high, sizes)
    return LENGTH if first is None or last is None else max(0, int(last - first) + 1)


def draw(
    body: Body,
    sizes: Sizes,
    batch: int,
    time: int,
    *,
    seed: int = 0,
    dtype: str = "float64",
    given: tuple[str, ...] = (),
    losses: bool = False,
    free: int = LENGTH,
) -> Sample:
    """Values for every input that a call passes. Shape of each: [batch, chain (unless `once`), its axes].

    `free` is how many positions an index has that nothing says more of."""
    import torch

    lengths = lengths_of(body, sizes, time, free)
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Any] = {}
    where: dict[str, int | None] = {}
    known: dict[str, int] = {}
    for v in inputs_of(body, given, losses=losses):
        if v.type == "text" or v.home:
            raise Unusable(f"no values can be drawn for the input `{v.name}` of `{body.name}`")
        axes = v.axes or ()
        shape = [batch]
        chained = bool(body.chain) and not v.once
        if chained:
            shape.append(lengths[body.chain])
        for axis in axes:
            shape.append(sizes[axis] if axis in sizes else lengths.get(axis, free))
            if axis not in sizes:
                known[axis] = shape[-1]
        where[v.name] = 1 if chained else (1 + axes.index("t") if not body.chain and "t" in axes else None)
        values[v.name] = _values(v, tuple(shape), sizes, generator, dtype)
    return Sample(values, where, known)


def _values(v: Value, shape: tuple[int, ...], sizes: Sizes, generator: Any, dtype: str) -> Tensor:
    import torch

    real = getattr(torch, dtype)
    if v.type == "bool":
        return torch.rand(shape, generator=generator) < 0.5
    low, high = _ends(v, sizes)
    if v.type == "int":
        first = 0 if low is None else int(low) + (v.bounds is not None and v.bounds.low_open)
        last = first + 1 if high is None else int(high) - (v.bounds is not None and v.bounds.high_open)
        return torch.randint(first, max(first, last) + 1, shape, generator=generator)
    if v.type == "complex":
        pair = torch.randn((*shape, 2), generator=generator, dtype=torch.float64)
        return torch.view_as_complex(pair).to(real.to_complex())
    if low is not None and high is not None:
        unit = torch.rand(shape, generator=generator, dtype=torch.float64) * 0.96 + 0.02
        return (low + (high - low) * unit).to(real)
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    if low is not None:
        return (low + torch.nn.functional.softplus(normal)).to(real)
    if high is not None:
        return (high - torch.nn.functional.softplus(normal)).to(real)
    return normal.to(real)


def _ends(v: Value, sizes: Sizes) -> tuple[float | None, float | None]:
    """The ends of the claimed range; None where there is none."""
    if v.bounds is None:
        return None, None

    def end(e: Expr) -> float | None:
        value = evaluate(e, sizes)
        return None if value is None else float(value)

    return end(v.bounds.low), end(v.bounds.high)

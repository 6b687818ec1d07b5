"""The one comparison that every oracle test runs, and the record of a case.

In:   a `Case`: a bundled spec with its sizes, the shapes of its inputs, and an oracle, that is a function of our parameters
      (under their `state_dict` names) and the inputs that gives the same outputs in another, independent way.
Does: draws parameters and inputs, runs both, and compares every value the oracle names and the gradients of one random
      weighting of them with respect to every parameter, input and given start.
An oracle that is someone else's module gets our parameters through a declared name map (`mapped`), so gradients need no
mapping back: on both sides they are gradients by our parameters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from numeric.tolerances import assert_close

Values = dict[str, Tensor]
Names = Mapping[str, "str | Sequence[str] | Callable[[Values], Tensor]"]
Draw = Callable[[Tensor, torch.Generator], Tensor]

BATCH, TIME = 3, 9


@dataclass(frozen=True)
class Case:
    """One spec beside one oracle.

    oracle: (parameters, given) -> outputs. `given` holds the inputs by name and the starts as `state.NAME`; outputs are
        named as in the spec (`y` for a single out whatever its name) and states after the last step as `state.NAME`.
        What it leaves out is not compared.
    inputs: shape without the batch, in declared order for those without default; `T` stands for the time.
    optional: inputs with a default that are given by keyword here.
    start: states to be given at random, with their shape without the batch.
    watch: values inside the step that are compared too, as `watch.NAME`.
    draw: how to draw a parameter or input (by name) from its initial value; default: initial value + 0.3 normal.
    autograd: False where the oracle has none (numpy): slopes by five-point differences along a random direction each.
    gradients: False where the oracle gives values only.
    packages: modules without which the case is skipped.
    values, slopes: kinds of `tolerances.py`; without `slopes`, `gradients64` or, by differences, `finite`.
    """

    id: str
    spec: str
    cell: str
    oracle: Callable[[Values, Values], Values]
    dims: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, tuple[int | str, ...]] = field(default_factory=lambda: {"x": ("T", 5)})
    optional: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    start: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    draw: Mapping[str, Draw] = field(default_factory=dict)
    autograd: bool = True
    gradients: bool = True
    packages: tuple[str, ...] = ()
    values: str = "values64"
    slopes: str = ""
    time: int = TIME

    def __str__(self) -> str:
        return self.id


def build(case: Case) -> nn.Module:
    """The module of the case's cell in float64 on the reference backend."""
    import seqc

    torch.manual_seed(0)  # initial values are drawn
    return getattr(seqc.load(case.spec), case.cell)(**case.dims, dtype=torch.float64, backend="reference")


def parameters(layer: nn.Module) -> Values:
    """The trained parameters by their `state_dict` names; the tensors themselves, so gradients arrive there."""
    return {n: p for n, p in layer.state_dict(keep_vars=True).items() if isinstance(p, nn.Parameter) and p.requires_grad}


def noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal entries in the shape and type of `like`."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def near(like: Tensor, generator: torch.Generator) -> Tensor:
    """The default draw of a parameter: near its initial value, and no zero left that could hide a term."""
    return like + 0.3 * noise(like, generator)


def integers(below: int) -> Draw:
    """Draws ids in [0, below)."""
    return lambda like, generator: torch.randint(0, below, like.shape, generator=generator)


def uniform(low: float, high: float) -> Draw:
    """Draws entries in [low, high)."""
    return lambda like, generator: low + (high - low) * torch.rand(like.shape, generator=generator, dtype=like.dtype)


def as_complex(z: Tensor) -> Tensor:
    """A complex parameter as one complex tensor, however it is stored."""
    return z if z.is_complex() else torch.view_as_complex(z.contiguous())


def resolve(names: Names, p: Values) -> Values:
    """Someone else's parameters from ours: a name is taken as it is, several are joined along axis 0."""

    def one(source: "str | Sequence[str] | Callable[[Values], Tensor]") -> Tensor:
        if isinstance(source, str):
            return p[source]
        return source(p) if callable(source) else torch.cat([p[n] for n in source])

    return {theirs: one(source) for theirs, source in names.items()}


def mapped(module: nn.Module, names: Names, p: Values, *args: object, **kwargs: object) -> object:
    """Runs someone else's module on our parameters; every parameter of theirs must stand in the map."""
    theirs = resolve(names, p)
    own = dict(module.named_parameters())
    missing = sorted(set(own) - set(theirs))
    assert not missing, f"the name map leaves out {missing}"
    theirs = {n: v.reshape(own[n].shape) if n in own else v for n, v in theirs.items()}
    return functional_call(module, theirs, args, kwargs)


def run_ours(layer: nn.Module, case: Case, given: Values) -> Values:
    """Outputs and final states of our module, by name."""
    state = None
    starts = {n.removeprefix("state."): v for n, v in given.items() if n.startswith("state.")}
    if starts:
        state = layer.init_state(BATCH)._replace(**starts)
    options: dict[str, object] = {n: given[n] for n in case.optional}
    seen: Values = {}
    if case.watch:
        out, last, seen = layer(*[given[n] for n in case.inputs], state, **options, watch=case.watch)
    else:
        out, last = layer(*[given[n] for n in case.inputs], state, **options)
    values = {"y": out} if isinstance(out, Tensor) else dict(out._asdict())
    if last is not None and hasattr(last, "_asdict"):
        values |= {f"state.{n}": v for n, v in last._asdict().items()}
    return values | {f"watch.{n}": v for n, v in seen.items()}


Arrays = dict[str, np.ndarray]


def in_numpy(function: Callable[[Arrays, Arrays], Arrays]) -> Callable[[Values, Values], Values]:
    """An oracle from a function on numpy arrays; such a case says `autograd=False`."""

    def oracle(p: Values, given: Values) -> Values:
        arrays = ({n: v.detach().numpy() for n, v in values.items()} for values in (p, given))
        return {n: torch.from_numpy(np.asarray(v)) for n, v in function(*arrays).items()}

    return oracle


class _Wide:
    """`torch` with float64 in the place of float32, for a module that names float32."""

    float = float32 = torch.float64

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)


@contextmanager
def double(*modules: ModuleType) -> Iterator[None]:
    """Runs oracles that go down to float32 inside in float64: `Tensor.float()` keeps float64, and so does `torch.float32`
    where the given modules write it. Default arguments are not reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "float", lambda z: z if z.dtype is torch.float64 else z.to(torch.float64))
        for module in modules:
            patch.setattr(module, "torch", _Wide())
        yield


def draw(case: Case, layer: nn.Module) -> tuple[Values, Values]:
    """Parameters (written into the module) and inputs, drawn; integers and booleans among them carry no gradient."""
    generator = torch.Generator().manual_seed(1)
    p = parameters(layer)
    with torch.no_grad():
        for name in sorted(p):
            p[name].copy_(case.draw.get(name, near)(p[name].detach().clone(), generator))
    shapes = {n: s for n, s in (*case.inputs.items(), *case.optional.items())}
    shapes |= {f"state.{n}": s for n, s in case.start.items()}
    given = {}
    for name, shape in shapes.items():
        sizes = [case.time if a == "T" else a for a in shape]
        zero = torch.zeros([BATCH, *sizes], dtype=torch.float64)
        given[name] = case.draw.get(name, noise)(zero, generator)
    return p, given


def leaves(values: Values) -> Values:
    """Fresh copies that gather gradients, where the type has any."""
    return {n: v.detach().clone().requires_grad_(v.is_floating_point() or v.is_complex()) for n, v in values.items()}


def total(outputs: Values, weights: Values) -> Tensor:
    """The random weighting whose gradients are compared: real whatever the outputs are."""
    parts = [(outputs[n] * w).sum() for n, w in weights.items()]
    return torch.stack([z.real if z.is_complex() else z for z in parts]).sum()


def slope(function: Callable[[float], float], step: float = 1e-3) -> float:
    """The derivative at 0 by the five-point rule; error about step^4 and 1e-16 / step."""
    inner, outer = function(step) - function(-step), function(2 * step) - function(-2 * step)
    return (8 * inner - outer) / (12 * step)


def grad_of(tensor: Tensor) -> Tensor:
    """The gradient that arrived; zeros where the loss does not depend on the tensor."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def compare(case: Case) -> None:
    """Runs the case; fails with the name of the first value or gradient that differs."""
    for package in case.packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    layer = build(case)
    p, given = draw(case, layer)
    ours_given = leaves(given)
    ours = run_ours(layer, case, ours_given)
    theirs_p, theirs_given = leaves(p), leaves(given)
    theirs = case.oracle(theirs_p, theirs_given)
    assert theirs, "the oracle gives nothing"
    for name, value in theirs.items():
        assert_close(f"{case.id}: {name}", value.detach(), ours[name].detach(), case.values)
    if not case.gradients:
        return
    generator = torch.Generator().manual_seed(2)
    weights = {n: noise(v.detach(), generator) for n, v in theirs.items() if v.is_floating_point() or v.is_complex()}
    total(ours, weights).backward()
    pairs = {n: (p[n], theirs_p[n]) for n in p}
    pairs |= {n: (ours_given[n], theirs_given[n]) for n in given if ours_given[n].requires_grad}
    if case.autograd:
        total(theirs, weights).backward()
        for name, (mine, other) in pairs.items():
            assert_close(f"{case.id}: gradient of {name}", grad_of(other), grad_of(mine), case.slopes or "gradients64")
        return
    for name, (mine, other) in pairs.items():
        way = noise(other.detach(), generator)
        table = theirs_p if name in theirs_p else theirs_given
        start = other.detach()

        def along(a: float, table: Values = table, name: str = name, start: Tensor = start, way: Tensor = way) -> float:
            with torch.no_grad():
                moved = {**table, name: start + a * way}
                both = (moved, theirs_given) if table is theirs_p else (theirs_p, moved)
                return float(total(case.oracle(*both), weights))

        expected = torch.tensor(slope(along), dtype=torch.float64)
        got = (grad_of(mine).detach() * way.conj()).sum()
        got = (got.real if got.is_complex() else got).to(torch.float64)
        assert_close(f"{case.id}: slope along {name}", expected, got, case.slopes or "finite")

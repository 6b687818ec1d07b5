"""The base class of generated modules: construction, parameters, states; how they run is in `running`.

A generated class brings a `Table` (what its body declares), its state's NamedTuple and the methods `build`, `initial`, `start`,
`sequence`, `one_step` and `losses`, which hold the equations. Everything that is the same for all bodies is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqc.runtime import binding as sizes_of
from seqc.runtime import calls
from seqc.runtime.binding import BindingError
from seqc.runtime.containers import Tree
from seqc.runtime.native import decode
from seqc.runtime.newton import Report, Settings, settings
from seqc.runtime.run import Run, choose, map_state
from seqc.runtime.running import Running
from seqc.runtime.tables import Axes, Input, Site, Table


class Module(Running):
    """A body of a spec. Generated classes say in their docstring which inputs, outs and state they have."""

    TABLE: ClassVar[Table]
    STATE: ClassVar[type | None] = None
    SITES: ClassVar[dict[str, Site]] = {}
    REPORT: ClassVar[str] = ""
    DOC: ClassVar[str] = ""
    KERNELS: ClassVar[tuple[Any, ...]] = ()
    DECODE: ClassVar[tuple[Any, ...]] = ()
    LEFT: ClassVar[tuple[tuple[tuple[str, ...], str], ...]] = ()
    TRITON: ClassVar[tuple[Any, ...]] = ()
    TRITON_STEPS: ClassVar[tuple[Any, ...]] = ()
    TRITON_SERIAL: ClassVar[str] = ""
    TRITON_LEFT: ClassVar[tuple[tuple[tuple[str, ...], str], ...]] = ()
    NEWTON: ClassVar[tuple[Any, ...]] = ()
    TRITON_NEWTON: ClassVar[tuple[Any, ...]] = ()
    NEWTON_ADJOINT: ClassVar[tuple[Any, ...]] = ()
    FACTS: ClassVar[tuple[Any, ...]] = ()
    NEWTON_LEFT: ClassVar[tuple[tuple[tuple[str, ...], str], ...]] = ()
    SCAN: ClassVar[str] = "auto"

    def __init_subclass__(cls) -> None:
        """The spec's own words stand in the class's docstring."""
        if "DOC" in cls.__dict__ and cls.DOC:
            cls.__doc__ = f"{cls.__doc__ or ''}\n\n{cls.DOC}"

    def __init__(
        self,
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
        backend: str = "auto",
        scan: str = "auto",
        without: Iterable[str] = (),
        **given: Any,
    ) -> None:
        super().__init__()
        table = self.TABLE
        if backend not in ("auto", "reference", "native", "triton"):
            raise ValueError(f"{table.name}: backend={backend!r} is unknown; there are 'reference', 'native', 'triton' and 'auto'")
        if backend in ("native", "triton"):
            from seqc.runtime.native.calls import demand

            demand(type(self), backend, scan)
        self.backend = backend
        self._short = decode.Decoders()
        self.report = Report()
        # what the spec's own schedule says holds where it can: the result is the same
        self.newton = settings(self.SCAN if scan == "auto" else scan)
        runs = {"associative": ("triton",)}.get(scan, ("auto", "native", "triton") if scan != "auto" and self.newton is not None else ())
        if scan not in ("auto", "sequential") and backend not in runs:
            raise ValueError(
                f"{table.name}: backend={backend!r} has no scan={scan!r}; backend='triton' runs 'associative' and 'newton', "
                "backend='native' 'newton', every backend 'sequential' and 'auto'"
            )
        self._scan = scan
        given = {k[:-1] if k.endswith("_") and k[:-1] in (*table.dims, *table.holes, *table.consts) else k: v for k, v in given.items()}
        for name in given:
            if name not in table.dims and name not in table.holes and name not in table.consts:
                known = [*table.dims, *table.holes, *table.consts]
                raise TypeError(f"{table.name} takes no `{name}`; it takes {', '.join(known) or 'nothing'}, device, dtype, backend, scan")
        dtype = dtype or torch.get_default_dtype()
        if not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"{table.name}: dtype={dtype} is no floating type")
        self._filled: dict[str, Any] = {k: v for k, v in given.items() if k in table.holes}
        self._without = frozenset(without)
        self.looks = table.looks
        self._bindings: dict[str, calls.Binding] = {}
        self._consts: dict[str, Any] = {}
        self.constant("_like", torch.empty(0, dtype=dtype, device=device))
        dims = {k: v for k, v in given.items() if k in table.dims}
        for name in table.consts:
            if isinstance(given.get(name), Tensor):
                self._solve_from(name, given[name], dims)
        self.dims = sizes_of.bind_dims(table.dims, dims, table.lines, table.source, table.joins)
        self.sizes: dict[str, int] = dict(self.dims)
        for name, tree in table.sizes.items():
            try:
                self.sizes[name] = sizes_of.whole(sizes_of.evaluate(tree, self.sizes), f"the size of {name} ({table.source})")
            except KeyError:
                continue
        for name, value in self.dims.items():
            object.__setattr__(self, name if not hasattr(Module, name) else name + "_", value)
        with torch.no_grad():
            for name in table.consts:
                self._bind_const(name, given)
        self.build({"device": device, "dtype": dtype, "backend": backend, "scan": "auto" if self.newton is not None else scan})
        if scan != "auto":
            self._scan_everywhere(self.newton)
        self.reset_parameters()

    def _scan_everywhere(self, newton: Settings | None) -> None:
        """What was asked for holds for called bodies too. Raises NoKernel where it holds nowhere, NoCompiler."""
        from seqc.runtime.native.calls import demand_newton
        from seqc.runtime.native.toolchain import find_toolchain

        if newton is not None:
            if self.backend != "triton":
                find_toolchain()
            demand_newton(self)
        for m in self.modules():
            if isinstance(m, Module):
                m.newton, m._scan = newton, self._scan

    @property
    def asked(self) -> bool:
        """Whether a mode was asked for that kernels alone run."""
        return self.newton is not None and self._scan != "auto"

    def newton_report(self) -> Report:
        """What Newton's method did in this layer and those below since they were made: iterations, residuals, fall backs."""
        joined = Report()
        for m in self.modules():
            if isinstance(m, Module):
                joined.join(m.report)
        return joined

    def _solve_from(self, name: str, value: Tensor, dims: dict[str, Any]) -> None:
        axes: Axes = self.TABLE.consts[name][0]
        if len(axes) == value.dim():
            for axis, n in zip(axes, value.shape, strict=True):
                if axis in self.TABLE.dims and self.TABLE.dims[axis] is None:
                    dims.setdefault(axis, n)

    def _bind_const(self, name: str, given: Mapping[str, Any]) -> None:
        axes, kind = self.TABLE.consts[name]
        where = f"const {name} ({self.TABLE.source}:{self.TABLE.lines.get(name, 0)})"
        value = given.get(name)
        if value is None:
            value = self.const_default(name, self.setting())
            if value is None:
                raise BindingError(f"{where} needs a value: give it by keyword, {name}=…")
        if isinstance(value, Fraction):
            value = float(value)
        if not axes:
            if isinstance(value, Tensor) and value.numel() == 1:
                value = value.item()
            if not isinstance(value, bool | int | float | complex):
                raise BindingError(f"{where} is one {kind}, got {type(value).__name__}")
            if kind in ("bool", "int"):
                value = bool(value) if kind == "bool" else int(value.real)
            self._consts[name] = value
            return
        dtype = {"bool": torch.bool, "int": torch.int64}.get(kind, self.dtype)
        if kind == "complex":
            dtype = self.complex_dtype
        tensor = torch.as_tensor(value, device=self._like.device).to(dtype)
        shape = tuple(self.sizes[a] for a in axes)
        if tensor.dim() < len(shape):
            tensor = tensor.expand(shape).clone()
        if tuple(tensor.shape) != shape:
            raise BindingError(f"{where} is [{', '.join(f'{a} = {self.sizes[a]}' for a in axes)}], got {list(tensor.shape)}")
        self.constant(name, tensor)

    # ---- what generated classes bring ---------------------------------------------------------------------------------

    def build(self, kind: dict[str, Any]) -> None:
        """Makes parameters and called bodies."""

    def initial(self, run: Run) -> None:
        """Writes starting values into the parameters."""

    def const_default(self, name: str, run: Run) -> Any:
        """The value a const has in the spec; None where the caller must give it."""
        return None

    def start(self, run: Run, *once: Any) -> Any:
        """The state before the first step."""
        return None

    # ---- sizes and types ----------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """The floating type values have where the spec names none."""
        dtype: torch.dtype = self._like.dtype
        return dtype

    @property
    def complex_dtype(self) -> torch.dtype:
        """The complex type of that width (at least complex64)."""
        return complex_of(self.dtype)

    def setting(self, batch: int = 1) -> Run:
        """A run without steps, for constants and starting values."""
        return Run(batch, None, self.dtype, self._like.device, chain=self.TABLE.chain, sizes={})

    def const(self, name: str) -> Any:
        """A const without axes, as a Python number."""
        return self._consts[name]

    def hole(self, name: str, default: Any) -> Any:
        """What fills a hole: what the caller gave, else the spec's choice."""
        return self._filled.get(name, default)

    def make(
        self,
        at: Tree,
        path: str,
        shape: tuple[int, ...],
        kind: Mapping[str, Any],
        *,
        type: str = "real",
        width: str = "",
        fixed: bool = False,
    ) -> None:
        """Makes a parameter below `at`, unless the call of this body binds it."""
        if path in self._without or "*" in self._without:
            return
        dtype = self.dtype
        if width:
            dtype = wide(dtype, {"f32": torch.float32, "f64": torch.float64}[width])
        if type == "complex":
            dtype = complex_of(dtype)
        elif type in ("int", "bool"):
            dtype, fixed = {"int": torch.int64, "bool": torch.bool}[type], True
        at.parameter(path, shape, dtype, kind["device"], fixed=fixed)

    def place(
        self,
        at: Tree,
        path: str,
        default: Any,
        kind: dict[str, Any],
        *,
        dims: Mapping[str, Any],
        consts: Mapping[str, Any] | None = None,
        holes: Mapping[str, Any] | None = None,
        function: bool = False,
    ) -> None:
        """Makes the module of a call site."""
        site = self.SITES[path]
        whole = {k: sizes_of.whole(v, f"dim {k} of {path} ({self.TABLE.source}:{site.line})") for k, v in dims.items()}
        calls.place(self, at, site, default, whole, consts or {}, holes or {}, kind, function)

    def binding(self, site: Site, module: Any) -> calls.Binding:
        """How a call site and what stands there fit together."""
        found = self._bindings.get(site.path)
        if found is None:
            found = calls.bind(site, module.TABLE, self.TABLE.chain, f"{self.TABLE.source}:{site.line}")
            self._bindings[site.path] = found
        return found

    def target(self, path: str, at: Any = None) -> Any:
        """What stands at a call site: a module, or the function that fills the hole."""
        site = self.SITES[path]
        found = (self if at is None else at).held(path)
        return self._filled[site.hole] if found is None else found

    def range_length(self, given: int | None) -> int:
        """Steps of a body that runs along a range."""
        assert self.TABLE.range is not None
        low, high = (sizes_of.whole(sizes_of.evaluate(e, self.sizes), "an end of the range") for e in self.TABLE.range)
        return max(high - low + 1, 0)

    def field_axes(self, name: str) -> Axes:
        """Axes of a state."""
        return self.TABLE.fields[name][0]

    # ---- parameters ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws all parameters of this body anew; called bodies draw their own."""
        if not self._like.is_meta:
            self.initial(self.setting())
            self.project()

    @torch.no_grad()
    def project(self) -> None:
        """Moves parameters with a declared range back into it; to be called after each optimiser step.

        Called bodies do the same for theirs. A declared range on a parameter is kept this way, not by clamping where it is used.
        """
        for path, (low, high) in self.TABLE.ranges.items():
            for value in self._spread(path):
                if isinstance(value, Tensor):
                    value.clamp_(low, high)
        for child in self.modules():
            if child is not self and isinstance(child, Module):
                child.project()

    def _spread(self, path: str) -> Iterator[Any]:
        """All tensors at a path in which `*` stands for the levels of a stack."""
        heads: list[Any] = [self]
        for part in path.split("."):
            new: list[Any] = []
            for h in heads:
                if part == "*":
                    new += list(h.children())
                elif h is not None:
                    new.append(h.held(part))
            heads = new
        yield from heads

    def explain(self) -> str:
        """What runs, and why; after steps were run, how those of the last layout run."""
        report = self.REPORT or f"{self.TABLE.name}: the reference, one step after the other"
        told = decode.told(self)
        return f"{report}\n{told}" if told else report

    def explain_choice(self, batch: int, time: int, *, training: bool = False, device: str = "") -> str:
        """The mode that each loop over time takes on a GPU for `batch` sequences of `time` steps where `scan` is auto, its time by the cost
        model, what bounds it, and the runner-up.

        `training`: where gradients will be taken. `device`: a machine of `seqc explain --device`, "" for the GPU that is here (without
        one h200). Raises ValueError for another one.
        """
        from seqc.runtime.triton.auto import explanation

        return explanation(self, batch, time, training, device)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.dims.items())

    # ---- states -------------------------------------------------------------------------------------------------------

    def init_state(self, batch: int, **known: Any) -> Any:
        """The state before the first step: a NamedTuple of tensors, batch first; None where there is none.

        `once` inputs that a start reads are given by keyword, and so is the number of positions of an index that only inputs tell
        (`init_state(8, y=32, x=32)`), where no `once` input has it. Raises `BindingError` where one is missing.
        """
        table = self.TABLE
        inputs = {i.name: i for i in table.inputs}
        free = {a for axes in (*(i.axes for i in table.inputs), *(f[0] for f in table.fields.values())) for a in axes}
        run = self.setting(batch)
        once: dict[str, Any] = {}
        for name, value in known.items():
            if name in inputs:
                once[name] = value
                shape = tuple(getattr(value, "shape", ()))
                axes = inputs[name].axes if inputs[name].per == "call" else ("batch", *inputs[name].axes)
                if inputs[name].per != "step" and len(shape) == len(axes):
                    run.sizes.update({a: n for a, n in zip(axes, shape, strict=True) if a != "batch" and a not in self.sizes})
            elif name in free:
                run.sizes[name] = sizes_of.whole(value, f"{name} of {table.name}")
                if self.sizes.get(name, value) != value:
                    raise BindingError(f"{name} of {table.name} is {self.sizes[name]}, got {value}")
            else:
                told = ", ".join([*(i.name for i in table.inputs if i.per != "step"), *sorted(free - set(self.sizes))])
                raise TypeError(f"init_state of {table.name} takes no `{name}`; it takes {told or 'the batch only'}")
        return self._first(lambda: self.start(run, *(self._once(i, once, run) for i in table.inputs if i.per != "step")))

    def _first(self, start: Callable[[], Any]) -> Any:
        """The state before the first step; where nothing tells the size of one of its axes, that is said."""
        try:
            return start()
        except KeyError as missing:
            axis = missing.args[0] if missing.args else ""
            table = self.TABLE
            name = next((n for n, (axes, _) in table.fields.items() if axis in axes), "")
            if not name:
                raise
            raise BindingError(
                f"{table.name} ({table.source}): the state {name} has the axis {axis}, and nothing tells how many positions it has: "
                f"start with state=init_state(batch, {axis}=…), or bind {name} where it is called"
            ) from None

    def _once(self, i: Input, given: Mapping[str, Any], run: Run) -> Any:
        value = given.get(i.name)
        return None if value is None else self._typed(i, value)

    def plain_start(self, run: Run) -> Any:
        """`start` where it needs no input; else None."""
        if self.STATE is None or any(i.per != "step" for i in self.TABLE.inputs):
            return None
        if any(a not in self.sizes for axes, _ in self.TABLE.fields.values() for a in axes):
            return None
        return self.start(Run(run.batch, None, run.dtype, run.device, chain=self.TABLE.chain))

    def sizes_in(self, state: Any) -> dict[str, int]:
        """Sizes of free axes, as the tensors of a state have them."""
        found: dict[str, int] = {}
        for name, (axes, kind) in self.TABLE.fields.items():
            value = getattr(state, name, None)
            lead = {"last": 1, "past": 2}.get(kind, 0)
            if lead and isinstance(value, Tensor) and value.dim() == lead + len(axes):
                found.update({a: n for a, n in zip(axes, value.shape[lead:], strict=True) if a not in self.sizes})
        return found

    def begun(self, run: Run, state: Any, first: Callable[[], Any]) -> tuple[Any, Any]:
        """The state to go on from, and the one that a reset goes back to."""
        if state is None:
            start = self._first(first)
            return start, start
        if run.reset is None and not run.ragged:
            return state, state
        start = self._first(first)
        if run.length is None and run.reset is not None:
            parts = {}
            for f in start._fields:
                kind = self.TABLE.fields[f][1]
                now, new = getattr(state, f), getattr(start, f)
                parts[f] = now if kind in ("call", "grow", "count") else choose(run.reset, new, now)
            state = type(start)(**parts)
        return state, start


def complex_of(dtype: torch.dtype) -> torch.dtype:
    """The complex type whose parts have `dtype` (fp32 at least)."""
    if dtype.is_complex:
        return dtype
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def wide(dtype: torch.dtype, at_least: torch.dtype) -> torch.dtype:
    """The type of a value declared `of f32` and the like: that, or the module's where it is wider."""
    return torch.promote_types(dtype, at_least)


def average(run: Run, value: Tensor, batched: bool, steps: bool) -> Tensor:
    """A loss as one number: averaged over batch and steps, padding left out."""
    if steps:
        valid = run.valid(run.chain)
        if valid is not None:
            value = torch.where(valid, value, torch.zeros((), dtype=value.dtype, device=value.device))
            return value.sum() / valid.expand(value.shape).sum().clamp(min=1)
    return value.mean() if value.numel() else value.sum()


State = NamedTuple
__all__ = ["Module", "average", "complex_of", "map_state", "nn", "wide"]

"""The base class of generated modules: construction, binding of inputs, forward, step, losses, states.

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
from seqc.runtime.packing import Packed, checked_lengths, cut, flipped, padding_replaced
from seqc.runtime.run import Run, choose, map_state
from seqc.runtime.tables import Axes, Input, Site, Table

RESERVED = frozenset({"state", "lengths", "cu_seqlens", "reset", "watch", "self", "device", "dtype", "backend", "scan", "without"})


class Module(Tree):
    """A body of a spec. Generated classes say in their docstring which inputs, outs and state they have."""

    TABLE: ClassVar[Table]
    STATE: ClassVar[type | None] = None
    OUTS: ClassVar[type | None] = None
    LOSSES: ClassVar[type | None] = None
    SITES: ClassVar[dict[str, Site]] = {}
    REPORT: ClassVar[str] = ""
    DOC: ClassVar[str] = ""
    KERNELS: ClassVar[tuple[Any, ...]] = ()
    LEFT: ClassVar[tuple[tuple[tuple[str, ...], str], ...]] = ()

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
        if backend not in ("auto", "reference", "native"):
            raise ValueError(f"{table.name}: backend={backend!r} is not in this build; there are 'reference', 'native' and 'auto'")
        if backend == "native":
            from seqc.runtime.native.calls import demand

            demand(type(self))
        self.backend = backend
        if scan not in ("auto", "sequential"):
            raise ValueError(f"{table.name}: the reference runs scan='sequential' (or 'auto'), not {scan!r}")
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
        self._bindings: dict[str, calls.Binding] = {}
        self._consts: dict[str, Any] = {}
        self.constant("_like", torch.empty(0, dtype=dtype, device=device))
        dims = {k: v for k, v in given.items() if k in table.dims}
        for name in table.consts:
            if isinstance(given.get(name), Tensor):
                self._solve_from(name, given[name], dims)
        self.dims = sizes_of.bind_dims(table.dims, dims, table.lines, table.source)
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
        self.build({"device": device, "dtype": dtype, "backend": backend})
        self.reset_parameters()

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

    def sequence(self, run: Run, *inputs: Any) -> tuple[dict[str, tuple[Any, Axes]], Any, dict[str, Any]]:
        """The whole sequence: outs, the state after it, named values."""
        raise NotImplementedError

    def one_step(self, run: Run, *inputs: Any) -> tuple[dict[str, tuple[Any, Axes]], Any, dict[str, Any]]:
        """One step."""
        raise TypeError(self.TABLE.ahead or f"{self.TABLE.name} has no step")

    def losses(self, run: Run, values: Mapping[str, Any]) -> None:
        """The declared losses from named values."""

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
        """What runs, and why."""
        return self.REPORT or f"{self.TABLE.name}: the reference, one step after the other"

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.dims.items())

    # ---- states -------------------------------------------------------------------------------------------------------

    def init_state(self, batch: int, **once: Any) -> Any:
        """The state before the first step: a NamedTuple of tensors, batch first; None where there is none.

        `once` inputs that a start reads are given by keyword.
        """
        run = self.setting(batch)
        return self.start(run, *(self._once(i, once, run) for i in self.TABLE.inputs if i.per != "step"))

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

    def begun(self, run: Run, state: Any, first: Callable[[], Any]) -> tuple[Any, Any]:
        """The state to go on from, and the one that a reset goes back to."""
        if state is None:
            start = first()
            return start, start
        if run.reset is None and not run.ragged:
            return state, state
        start = first()
        if run.length is None and run.reset is not None:
            parts = {}
            for f in start._fields:
                kind = self.TABLE.fields[f][1]
                now, new = getattr(state, f), getattr(start, f)
                parts[f] = now if kind in ("call", "grow", "count") else choose(run.reset, new, now)
            state = type(start)(**parts)
        return state, start

    # ---- running ------------------------------------------------------------------------------------------------------

    def execute(
        self, run: Run, values: Mapping[str, Any], state: Any, *, reverse: bool = False, runner: Any = None, states: bool = False
    ) -> tuple[dict[str, tuple[Any, Axes]], Any]:
        """Runs the equations on checked tensors; `reverse` runs the sequence backwards. For calls and for `forward`."""
        table = self.TABLE
        runner = self if runner is None else runner
        program = type(self).one_step if run.length is None and table.chain and self._steps() else type(self).sequence
        back = reverse != table.reverse and program is type(self).sequence and bool(table.chain) and run.length is not None
        if back:
            counts = run.counts.get(table.chain)
            values = {
                i.name: flipped(values[i.name], counts)
                if isinstance(values.get(i.name), Tensor) and self._stepwise(i)
                else values.get(i.name)
                for i in table.inputs
            }
        outs, after, kept = program(runner, run, *(values.get(i.name) for i in table.inputs), state)
        run.given = kept
        if states:
            outs = {**self._further(run, kept), **outs}
        if back:
            counts = run.counts.get(table.chain)
            outs = {k: (flipped(v, counts) if table.chain in axes else v, axes) for k, (v, axes) in outs.items()}
        return outs, after

    def _further(self, run: Run, kept: Mapping[str, Any]) -> dict[str, tuple[Any, Axes]]:
        """Named values that a call reads as fields beside the outs."""
        found: dict[str, tuple[Any, Axes]] = {}
        for name in run.watch:
            if name in kept:
                found[name] = kept[name]
            elif name in run.noted:
                lead = (self.TABLE.chain,) if run.length is not None else ()
                rows = run.noted[name]
                found[name] = (torch.stack(rows, 1) if run.length is not None else rows[-1], (*lead, *self.TABLE.states.get(name, ())))
        return found

    def _steps(self) -> bool:
        return True

    def _stepwise(self, i: Input) -> bool:
        return i.per == "step"

    def _typed(self, i: Input, value: Any) -> Tensor:
        where = f"in {i.name} ({self.TABLE.source}:{i.line})"
        if not isinstance(value, Tensor):
            value = torch.as_tensor(value, device=self._like.device)
        if i.type in ("int", "bool"):
            if value.is_floating_point() or value.is_complex():
                raise TypeError(f"{where} is of {i.type}, got {value.dtype}")
            return value.to(torch.bool if i.type == "bool" else torch.int64)
        if i.type == "complex":
            return value.to(self.complex_dtype)
        if value.is_complex():
            raise TypeError(f"{where} is real, got {value.dtype}")
        return value.to(self.dtype) if value.dtype != self.dtype else value

    def _prepared(
        self,
        given: Mapping[str, Any],
        state: Any,
        lengths: Any,
        cu_seqlens: Any,
        reset: Any,
        watch: Iterable[str],
        step: bool,
        for_loss: bool,
    ) -> tuple[Run, dict[str, Any], Packed | None]:
        table = self.TABLE
        values: dict[str, Any] = {}
        present = {n for n, v in given.items() if v is not None}
        for i in table.inputs:
            value = given.get(i.name)
            if value is None:
                wanted = (
                    i.needed == ("",)
                    or ("loss" in i.needed and for_loss)
                    or any(n not in present for n in i.needed if n not in ("", "loss", "unused"))
                )
                if not i.default and wanted:
                    raise TypeError(f"{table.name} needs the input `{i.name}` : {i.text} ({table.source}:{i.line})")
                values[i.name] = None
            else:
                values[i.name] = self._typed(i, value)
        packed: Packed | None = None
        if cu_seqlens is not None:
            if lengths is not None:
                raise TypeError("give lengths or cu_seqlens, not both")
            first = next((values[i.name] for i in table.inputs if self._stepwise(i) and values[i.name] is not None), None)
            if first is None:
                raise TypeError("cu_seqlens needs an input along time")
            if first.shape[0] != 1:
                raise BindingError(f"with cu_seqlens the batch is 1, got {first.shape[0]}")
            time = self._time_dim(next(i for i in table.inputs if self._stepwise(i) and values[i.name] is not None))
            packed = Packed(cu_seqlens, first.shape[time], first.device)
            for i in table.inputs:
                if self._stepwise(i) and values[i.name] is not None:
                    d = self._time_dim(i)
                    values[i.name] = packed.unpack(values[i.name].movedim(d, 1)).movedim(1, d)
            if reset is not None:
                reset = packed.unpack(torch.as_tensor(reset, device=first.device))
        told = None
        if lengths is not None and not step and table.chain:
            held = lengths.get(table.chain) if isinstance(lengths, Mapping) else lengths
            told = None if held is None else torch.as_tensor(held)
        batch, length, free = self._measured(values, state, step, told)
        counts: dict[str, Tensor] = {}
        device = self._like.device
        if packed is not None:
            counts[table.chain] = packed.lengths
        elif lengths is not None:
            if step:
                raise TypeError("a step has no lengths")
            named = lengths if isinstance(lengths, Mapping) else {table.chain or next(iter(free), ""): lengths}
            for axis, held in named.items():
                size = length if axis == table.chain else free.get(axis)
                if size is None:
                    raise BindingError(f"lengths: {table.name} has no sequence axis `{axis}`")
                counts[axis] = checked_lengths(held, batch, size, f"lengths of {axis}", device)
        for i in table.inputs:
            value = values[i.name]
            if value is None or i.per == "call":
                continue
            laid = self._laid(i, value, batch, length, step)
            for axis, ends in counts.items():
                place = self._dim_of(i, axis, step)
                if place is not None and laid.shape[0] == batch:
                    laid = padding_replaced(laid, place, ends)
            values[i.name] = laid
        if reset is not None:
            reset = torch.as_tensor(reset, device=device)
            want = (batch,) if step or length is None else (batch, length)
            if reset.dtype != torch.bool or tuple(reset.shape) != want:
                raise BindingError(f"reset must be bool {list(want)}, got {reset.dtype} {list(reset.shape)}")
            if not table.chain:
                raise BindingError(f"{table.name} runs along nothing; there is no reset")
        run = Run(
            batch, None if step else length, self.dtype, device, chain=table.chain, sizes=free, counts=counts, reset=reset, watch=watch
        )
        return run, values, packed

    def _time_dim(self, i: Input) -> int:
        return 1 if self.TABLE.kind == "cell" else 1 + i.axes.index(self.TABLE.chain)

    def _dim_of(self, i: Input, axis: str, step: bool) -> int | None:
        """Where an axis of an input lies after `_laid`."""
        axes = [a for a in i.axes if a != self.TABLE.chain]
        lead = 1 if step or not self._stepwise(i) else 2
        if axis == self.TABLE.chain and self.TABLE.chain:
            return 1 if lead == 2 else None
        return lead + axes.index(axis) if axis in axes else None

    def _laid(self, i: Input, value: Tensor, batch: int, length: int | None, step: bool) -> Tensor:
        """An input as [batch, time where it has one, axes in declared order]."""
        if value.dim() == 0:
            return value.expand(batch, *((length,) if self._stepwise(i) and not step and length is not None else ()))
        if self.TABLE.kind != "cell" and self._stepwise(i) and not step:
            value = value.movedim(self._time_dim(i), 1)
        return value.expand(batch, *value.shape[1:]) if value.shape[0] != batch else value

    def _measured(
        self, values: Mapping[str, Any], state: Any, step: bool, told: Tensor | None = None
    ) -> tuple[int, int | None, dict[str, int]]:
        """Batch, steps and free index sizes from the inputs' shapes. Raises `BindingError` with the spec's names."""
        table = self.TABLE
        batch: int | None = None
        length: int | None = None
        free: dict[str, int] = {}
        for i in table.inputs:
            value = values[i.name]
            if value is None:
                continue
            stepwise = self._stepwise(i)
            axes = list(i.axes)
            if table.kind == "cell" and stepwise:
                axes = [table.chain, *axes]
            if step and table.chain in axes:
                axes.remove(table.chain)
            if i.per != "call":
                axes = ["batch", *axes]
            if value.dim() == 0 and (not i.axes or all(a == table.chain for a in i.axes)):
                continue
            where = f"in {i.name} : {i.text} ({table.source}:{i.line})"
            if value.dim() != len(axes):
                raise BindingError(f"{where}: expected [{', '.join(axes)}], got {list(value.shape)}")
            for axis, n in zip(axes, value.shape, strict=True):
                if axis == "batch":
                    if batch is not None and n != batch and 1 not in (n, batch):
                        raise BindingError(f"{where}: expected batch = {batch}, got {n}")
                    batch = n if batch is None or batch == 1 else batch
                elif axis == table.chain:
                    if length is not None and n != length:
                        raise BindingError(f"{where}: expected {axis} = {length}, got {n}")
                    length = n
                else:
                    known = self.sizes.get(axis, free.get(axis))
                    if known is not None and known != n:
                        raise BindingError(f"{where}: expected {axis} = {known}, got {n}")
                    if axis not in self.sizes:
                        free[axis] = n
        if table.range is not None:
            wanted = self.range_length(None)
            if length is not None and length != wanted and not step:
                raise BindingError(f"{table.name} runs over {wanted} steps of {table.chain}, the inputs have {length}")
            length = wanted
        if batch is None:
            from seqc.runtime.run import tensors

            batch = next((x.shape[0] for x in tensors(state)), 1 if told is None or told.dim() != 1 else told.shape[0])
        if length is None and told is not None and told.numel():
            length = max(int(told.max()), 0)
            batch = told.shape[0] if batch == 1 and told.dim() == 1 else batch
        if length is None and table.chain in self.sizes:
            length = self.sizes[table.chain]
        if length is None and table.chain and not step:
            raise BindingError(f"{table.name}: no input says how many steps there are along {table.chain}")
        return batch, length, free

    def _forward(
        self,
        given: Mapping[str, Any],
        state: Any = None,
        lengths: Any = None,
        cu_seqlens: Any = None,
        reset: Any = None,
        watch: Iterable[str] = (),
        step: bool = False,
    ) -> Any:
        watch = tuple(watch)
        run, values, packed = self._prepared(given, state, lengths, cu_seqlens, reset, watch, step, False)
        outs, after = self.execute(run, values, state)
        result = self._finished(run, outs, packed, step)
        if not watch:
            return result, after
        return result, after, self._watched(run, watch, packed, step)

    def _watched(self, run: Run, watch: Iterable[str], packed: Packed | None, step: bool) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}
        for name in watch:
            if name in run.given:
                value, axes = run.given[name]
            elif name in run.noted:
                value, axes = torch.stack(run.noted[name], 1), (self.TABLE.chain,)
            else:
                raise KeyError(f"{self.TABLE.name} has no value `{name}` to watch; there are {', '.join(sorted(run.given))}")
            if isinstance(value, calls.Result):
                raise KeyError(f"`{name}` is a call with several results; watch one of its users")
            if self.TABLE.reverse and self.TABLE.chain in axes and run.length is not None:
                value = flipped(value, run.counts.get(self.TABLE.chain))
            seen[name] = self._shaped(run, value, axes, packed, step)
        return seen

    def _shaped(self, run: Run, value: Tensor, axes: Axes, packed: Packed | None, step: bool) -> Tensor:
        """A result as the caller expects it: 0 past the end, packed again, axes in declared order."""
        chain = self.TABLE.chain
        laid = [*(a for a in axes if a == chain), *(a for a in axes if a != chain)] if not step else [a for a in axes if a != chain]
        for axis, held in run.counts.items():
            if axis in laid:
                value = cut(value, 1 + laid.index(axis), held)
        if packed is not None and laid[:1] == [chain]:
            value = packed.pack(value)
        if self.TABLE.kind != "cell" and chain in axes and not step and axes.index(chain):
            value = value.movedim(1, 1 + axes.index(chain))
        return value

    def _finished(self, run: Run, outs: Mapping[str, tuple[Any, Axes]], packed: Packed | None, step: bool) -> Any:
        shaped = [self._shaped(run, *outs[o.name], packed, step) for o in self.TABLE.outs]
        if len(shaped) == 1:
            return shaped[0]
        if not shaped:
            return None
        assert self.OUTS is not None
        return self.OUTS(*shaped)

    def _loss(self, given: Mapping[str, Any], state: Any = None, lengths: Any = None, cu_seqlens: Any = None, reset: Any = None) -> Any:
        if self.LOSSES is None:
            raise TypeError(f"{self.TABLE.name} declares no loss")
        run, values, _ = self._prepared(given, state, lengths, cu_seqlens, reset, (), False, True)
        self.execute(run, values, state)
        self.losses(run, {name: pair[0] if isinstance(pair, tuple) else pair for name, pair in run.given.items()})
        return self.LOSSES(**run.losses)


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

"""How a module is run from outside: inputs checked and bound, ragged batches laid out, results given their declared shapes.

In:      what the user gave to `forward`, `step` or `loss`.
Out:     outs as the spec declares them and the state after the last step.
Refuses: shapes and types that do not fit (`BindingError`, with the spec's names and lines), lengths that describe no batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqc.runtime import calls
from seqc.runtime.binding import BindingError
from seqc.runtime.containers import Tree
from seqc.runtime.native import decode
from seqc.runtime.packing import Packed, checked_lengths, cut, flipped, padding_replaced
from seqc.runtime.run import Run, tensors
from seqc.runtime.tables import Axes, Input, Table


class Running(Tree):
    """The run-time half of generated modules."""

    TABLE: ClassVar[Table]
    OUTS: ClassVar[type | None] = None
    LOSSES: ClassVar[type | None] = None
    DECODE: ClassVar[tuple[Any, ...]] = ()
    sizes: dict[str, int]
    _short: decode.Decoders
    _at_once = decode.step

    def sequence(self, run: Run, *inputs: Any) -> tuple[dict[str, tuple[Any, Axes]], Any, dict[str, Any]]:
        """The whole sequence: outs, the state after it, named values."""
        raise TypeError(f"{self.TABLE.name} is no generated class: it brings no equations")

    def one_step(self, run: Run, *inputs: Any) -> tuple[dict[str, tuple[Any, Axes]], Any, dict[str, Any]]:
        """One step."""
        raise TypeError(self.TABLE.ahead or f"{self.TABLE.name} has no step")

    def losses(self, run: Run, values: Mapping[str, Any]) -> None:
        """The declared losses from named values."""

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
            if table.chain in counts and not step and length is not None:
                # behind the end there is no step that could be one
                reset = reset & (torch.arange(length, device=device) < counts[table.chain][:, None])
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
            batch = next((x.shape[0] for x in tensors(state)), 1 if told is None or told.dim() != 1 else told.shape[0])
        if length is None and told is not None and told.numel():
            length = max(int(told.max()), 0)
            batch = told.shape[0] if batch == 1 and told.dim() == 1 else batch
        if length is None and table.chain in self.sizes:
            length = self.sizes[table.chain]
        if length is None and table.chain and not step:
            raise BindingError(f"{table.name}: no input says how many steps there are along {table.chain}")
        free = {**self.sizes_in(state), **free} if state is not None else free
        return batch, length, free

    def sizes_in(self, state: Any) -> dict[str, int]:
        """Sizes of free axes, as the tensors of a state have them."""
        return {}

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
        if step and reset is None and not watch:
            decode.learn(self, given, state, after)
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

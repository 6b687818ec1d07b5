"""A step recorded: one run of the reference's step, noted operation by operation, as a program of a few small instructions.

In:      a module, inputs and a state of the layout that later steps will have.
Out:     a `Recorded`: the program, which tensors it takes and makes. It is run once on the recorded tensors and must give what the
         reference gave.
Keeps:   the reference's meaning and, up to the order of sums, its numbers. What follows from parameters alone is computed once by
         the reference and held; the program compares the parameters that it came from, byte by byte, on every step.
Refuses: `Unfit` with the reason: what the recorder refuses, modules that are not generated ones, functions given for holes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.containers import Tree
from seqc.runtime.native import choice
from seqc.runtime.native.places import Buffer, Unfit, apart, dense_steps
from seqc.runtime.native.program import Program, assembled
from seqc.runtime.native.recorder import Recorder
from seqc.runtime.native.structure import Pattern, build, gather, pattern_of

_turn = threading.Lock()
_NOTHING = torch.empty(0)

Entry = tuple[dict[str, Any], str]


class Recorded:
    """One recorded step. `operands`: inputs, parts of the state, then the tensors of the module at `entries`."""

    __slots__ = ("program", "entries", "outs", "after", "live", "layout", "steady", "_recorder", "_results", "_real")

    def __init__(self, module: Any, given: Mapping[str, Tensor], absent: Sequence[str], pattern: Pattern, leaves: Sequence[Tensor]) -> None:
        """Raises Unfit, NoCompiler, CompileFailed."""
        _fit(module)
        self._real: torch.dtype = module.dtype
        if self._real not in (torch.float32, torch.float64):
            raise Unfit(f"{str(self._real).removeprefix('torch.')} arithmetic")
        self.entries = _entries(module)
        self.live = len(given) + len(leaves)
        self.layout = [_copied(x) for x in (*given.values(), *leaves)]
        made, outs = self._recorded(module, given, absent, pattern)
        if self.after != pattern:
            raise Unfit("the state changes its form")
        # a state is handed back laid out as the next step takes it
        wanted = [*(dense_steps(x.shape, x.stride()) for x in made[:outs]), *(apart(x.shape, x.stride()) for x in leaves)]
        self._results = [(self._recorder.place(x), x.dtype, by) for x, by in zip(made, wanted, strict=True)]
        self.steady = all(x.stride() == by for x, by in zip(leaves, wanted[outs:], strict=True))
        operands = self._operands()
        self.program = self._assembled(operands)
        self._proved(operands, made)
        self._recorder.forget()

    def _operands(self) -> list[Tensor]:
        return [*self.layout, *(holder[key] for holder, key in self.entries)]

    def _recorded(self, module: Any, given: Mapping[str, Tensor], absent: Sequence[str], pattern: Pattern) -> tuple[list[Tensor], int]:
        """Runs the reference's step: all results, and how many of them are outs."""
        inputs = {**dict(zip(given, self.layout, strict=False)), **dict.fromkeys(absent)}
        state = build(pattern, iter(self.layout[len(given) :]))
        self._recorder = Recorder(self._operands(), self.live, self._real)
        self._recorder.translate.width = self._real.itemsize
        with _turn, torch.no_grad():
            before, choice.reference = choice.reference, True
            try:
                with self._recorder:
                    result, after = _stepped(module, inputs, state)
            finally:
                choice.reference = before
        try:
            self.outs, self.after = pattern_of(result), pattern_of(after)
        except TypeError as why:
            raise Unfit(str(why)) from None
        made: list[Tensor] = []
        gather(self.outs, result, made)
        outs = len(made)
        gather(self.after, after, made)
        return made, outs

    def _assembled(self, operands: Sequence[Tensor], now: Mapping[int, Tensor] | None = None) -> Program:
        def value(b: Buffer) -> Tensor:
            found: Tensor = b.value if now is None else now.get(id(b.value), b.value)
            return found

        return assembled(self._recorder.tape, self._results, operands, value, self._real)

    def settled(self) -> None:
        """Lets go of the inputs and the state that were recorded."""
        self.layout = [_NOTHING] * len(self.layout)
        self._recorder.operands[: self.live] = self.layout[: len(self._recorder.operands)]

    def renewed(self) -> Program:
        """The program after parameters have changed."""
        operands = self._operands()
        with torch.no_grad():
            return self._assembled(operands, self._recorder.again(operands))

    def _proved(self, operands: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """Runs the program and compares. Raises Unfit."""
        program = self.program
        results = [torch.empty_strided(shape, steps, dtype=dtype, device="cpu") for shape, steps, dtype in program.shapes]
        addresses = [operands[i].data_ptr() for i in program.given] + [x.data_ptr() for x in results]
        answer = program.function(program.address, b"".join(n.to_bytes(8, sys.byteorder) for n in addresses))
        limit = 2e-4 if self._real == torch.float32 else 1e-9
        for mine, wanted in zip(results, made, strict=True):
            same = torch.allclose(mine, wanted, limit, limit, True) if mine.is_floating_point() or mine.is_complex() else mine.equal(wanted)
            if answer or not same:
                raise Unfit("the recorded step differs from the reference's")


def _stepped(module: Any, inputs: Mapping[str, Any], state: Any) -> tuple[Any, Any]:
    """One step of the reference: outs, and the state after it."""
    run, values, packed = module._prepared(inputs, state, None, None, None, (), True, False)
    outs, after = module.execute(run, values, state)
    return module._finished(run, outs, packed, True), after


def _fit(module: Any) -> None:
    for part in module.modules():
        if not isinstance(part, Tree):
            raise Unfit(f"a module of the user's inside ({type(part).__name__})")
        for filler in getattr(part, "_filled", {}).values():
            if not hasattr(filler, "TABLE") and not isinstance(filler, str | int | float | bool | None):
                raise Unfit("a function or a module of the user's inside")


def _entries(module: Any) -> list[Entry]:
    """Where the module's tensors are kept; each tensor once."""
    found: dict[int, Entry] = {}
    for part in module.modules():
        for holder in (part._parameters, part._buffers):
            for key, value in holder.items():
                if value is not None and value.numel():
                    found.setdefault(id(value), (holder, key))
    return list(found.values())


def _copied(x: Tensor) -> Tensor:
    """The same numbers in memory of their own, laid out the same way."""
    steps = x.stride()
    made = torch.empty_strided(x.shape, steps, dtype=x.dtype, device=x.device)
    if any(s == 0 and n > 1 for n, s in zip(x.shape, steps, strict=True)):
        one = tuple(slice(0, 1) if s == 0 else slice(None) for s in steps)
        made[one].copy_(x[one])
    else:
        made.copy_(x)
    return made

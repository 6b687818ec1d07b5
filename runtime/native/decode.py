"""`layer.step` as one compiled call: what a streaming user runs millions of times.

A class has a `DECODE` constant where its whole step is one kernel (`compiler.lower.native.emit_decode`). The first step of a
shape goes the long way, which checks everything; it leaves a `Decoder` behind that knows the layout. A later step of the same
layout, without gradients and outside of any tracing, fills in addresses and calls the C function.

A decoder looks at its parameters where the module keeps them: numbers that change in place or through `.data` are seen, and
a parameter that was replaced, moved, converted or laid out otherwise makes a new decoder. Decoders lie beside their modules, not in
them: what they hold can be neither copied nor pickled.
"""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from seqc.runtime.native import choice
from seqc.runtime.native.calls import available, seen_through
from seqc.runtime.native.kernel import Kernel

_kernels: dict[int, tuple[Any, Kernel]] = {}
_decoders: WeakKeyDictionary[Any, Decoder] = WeakKeyDictionary()


def kernel_of(constant: tuple[Any, ...]) -> Kernel:
    """The kernel of a class's constant."""
    held = _kernels.get(id(constant))
    if held is None:
        held = _kernels[id(constant)] = (constant, Kernel(constant[0], constant[1]))
    return held[1]


class Decoder:
    """One layout of one module's step."""

    __slots__ = ("plan", "inputs", "fields", "params", "numbers", "template", "rows", "carries", "outs", "state", "shapes", "again")

    def __init__(self, module: Any, given: Mapping[str, Any], state: Any) -> None:
        """Raises ValueError where this layout cannot take the short way."""
        text, about, operands, rows, carries = module.DECODE
        kernel = kernel_of(module.DECODE)
        tensors: list[Any] = []
        self.inputs: list[tuple[int, str]] = []
        self.fields: list[tuple[int, int]] = []
        self.params: list[tuple[int, dict[str, Any], str, Any, Any]] = []
        at = 0
        names = type(state)._fields
        for (what, key, order), (kind, _) in zip(operands, kernel.forward.operands, strict=True):
            if what in ("number", "size"):
                tensors.append(float(module.sizes[key]) if what == "size" else _number(module, key))
                continue
            if what == "input":
                value = given[key]
                self.inputs.append((at, key))
            elif what == "state":
                value = state[names.index(key)]
                self.fields.append((at, names.index(key)))
            else:
                holder, last = _holder(module, key)
                value = holder[last]
                self.params.append((at, holder, last, value, _layout(value)))
            lead = 0 if what == "param" else 1
            tensors.append(value.permute(*range(lead), *(lead + i for i in order)) if order else value)
            at += 1
            if kind == "number":
                raise ValueError("a tensor where a number is taken")
        plan = kernel._forward_plan(tensors, [module.dtype] * kernel.rows, False, True)
        if plan.fixes or any(plan.shares) or not all(x.is_cpu for x in tensors if isinstance(x, Tensor)):
            raise ValueError("operands that have to be copied first")
        self.plan = plan
        self.numbers = (ctypes.c_double * len(plan.numbers))(*(tensors[i] for i in plan.numbers)) if plan.numbers else None
        self.template = [r for r in plan.results if r is not None]
        if len(self.template) != kernel.rows + kernel.lasts:
            raise ValueError("results that are not wanted")
        self.rows = [(r[0], _turned(r[1:])) for r in rows]
        places = {field: (kernel.rows + i, _turned(order)) for i, (field, order) in enumerate(carries)}
        self.carries = [places[n] for n in names]
        self.outs = module.OUTS if len(rows) > 1 else None
        self.state = type(state)
        self.shapes = [_layout(v) for v in self._values(given, state)]
        self.again = module.backend, module.dtype, choice.reference, choice.auto

    def _values(self, given: Mapping[str, Any], state: Any) -> list[Any]:
        return [given[key] for _, key in self.inputs] + [state[i] for _, i in self.fields]

    def __call__(self, module: Any, given: Mapping[str, Any], state: Any) -> Any:
        """The outs and the state after; None where something is not as it was."""
        values = self._values(given, state)
        for value, layout in zip(values, self.shapes, strict=True):
            if type(value) is not Tensor or _layout(value) != layout:
                return None
        plan = self.plan
        made = [torch.empty(shape, dtype=dtype) for shape, dtype in self.template]
        count = len(plan.tensors)
        p = (ctypes.c_void_p * (count + len(plan.results)))()
        for (at, _), value in zip([*self.inputs, *self.fields], values, strict=True):
            p[at] = value.data_ptr()
        for at, holder, last, param, layout in self.params:
            held: Any = holder.get(last)
            if held is not param or _layout(held) != layout:
                return None
            p[at] = held.data_ptr()
        for result in made:
            p[count] = result.data_ptr()
            count += 1
        plan.run(p, self.numbers, 1)
        outs = [made[i] if order is None else made[i].permute(0, *order) for i, order in self.rows]
        after = self.state(*[made[i] if order is None else made[i].permute(0, *order) for i, order in self.carries])
        return (outs[0] if self.outs is None else self.outs(*outs)), after


def _number(module: Any, tree: Any) -> float:
    """A number made of sizes and consts."""
    if isinstance(tree, float):
        return tree
    fn, *parts = tree
    if fn == "size":
        return float(module.sizes[parts[0]])
    if fn == "const":
        return float(module.const(parts[0]))
    values = [_number(module, p) for p in parts]
    return float(FUNCTIONS[fn](*values))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "add": lambda *a: sum(a),
    "sub": operator.sub,
    "mul": lambda *a: math.prod(a),
    "div": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "sqrt": math.sqrt,
    "min": min,
    "max": max,
}


def _turned(order: tuple[int, ...]) -> tuple[int, ...] | None:
    """Places behind the batch; None where they are in order."""
    return None if list(order) == list(range(len(order))) else tuple(i + 1 for i in order)


def _layout(x: Tensor) -> tuple[Any, ...]:
    """What an address alone does not say."""
    return x.is_cpu, x.dtype, x.shape, x.stride()


def _holder(module: Any, path: str) -> tuple[dict[str, Any], str]:
    """The dictionary that keeps a parameter, and its key."""
    *way, last = path.split(".")
    for part in way:
        module = getattr(module, part)
    return module._parameters, last


def step(module: Any, given: Mapping[str, Any], state: Any) -> Any:
    """Outs and state after one step the short way; None where it has to go the long way."""
    decoder = _decoders.get(module)
    if decoder is None or torch.is_grad_enabled() or type(state) is not decoder.state or _watched():
        return None
    if decoder.again != (module.backend, module.dtype, choice.reference, choice.auto):
        return None
    return decoder(module, given, state)


def learn(module: Any, given: Mapping[str, Any], state: Any) -> None:
    """After a step that went the long way: remembers its layout where the next one like it can go the short way."""
    if torch.is_grad_enabled() or type(state) is not module.STATE or _watched() or choice.reference:
        return
    if module.backend in ("reference", "triton"):
        return
    if module.backend != "native" and not (choice.auto and available()):
        return
    values = [v for v in (*given.values(), *state) if v is not None]
    kind = module.dtype
    if any(type(v) is not Tensor or v.device.type != "cpu" or v.dtype != kind for v in values) or not kind.is_floating_point:
        return
    if any(v is None for v in given.values()) or len({v.shape[0] for v in values}) != 1:
        return
    try:
        _decoders[module] = Decoder(module, given, state)
    except (ValueError, KeyError, AttributeError):
        _decoders.pop(module, None)


def _watched() -> bool:
    """Whether somebody looks at the operations one by one."""
    return torch.compiler.is_compiling() or seen_through() or torch._C._len_torch_dispatch_stack() > 0

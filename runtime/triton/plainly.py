"""Emitted Triton functions computed without Triton: their own text, run with torch in float64 on the CPU.

In:      a plan, operands and results as `Launch.call` hands them to a launcher; all of them are on the CPU.
Out:     the results hold what the text of the function says, with no compiler between. What a GPU computes is compared with that.
Refuses: `Unplain` for a word of Triton that no emitted function had when this was written.

A function's code object runs with a `tl` of this file in its globals: tiles are tensors, addresses are places in a flat tensor. Slow,
meant for tiny inputs; reductions and scans go along the dimension in order.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

REAL = torch.float64


class Unplain(Exception):
    """A function uses a word that is not known here."""


class Memory:
    """A place in a flat tensor, or a tile of them; as much of a pointer as emitted functions use."""

    __slots__ = ("flat", "at")

    def __init__(self, flat: Tensor, at: Tensor | int = 0) -> None:
        self.flat, self.at = flat, at

    def __add__(self, other: Tensor | int) -> Memory:
        return Memory(self.flat, self.at + other)

    @property
    def dtype(self) -> Memory:
        """For `p.dtype.element_ty`."""
        return self

    @property
    def element_ty(self) -> torch.dtype:
        """The type of what lies there: float64."""
        return self.flat.dtype


def _tile(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else torch.as_tensor(x, dtype=torch.int64 if isinstance(x, int) else REAL)


def _places(p: Memory, mask: Any, like: Tensor | None = None) -> tuple[Tensor, Tensor]:
    at = _tile(p.at)
    inside = torch.ones((), dtype=torch.bool) if mask is None else _tile(mask).bool()
    shape = torch.broadcast_shapes(at.shape, inside.shape, *(() if like is None else (like.shape,)))
    return at.expand(shape), inside.expand(shape)


def _load(p: Memory, mask: Any = None, other: float = 0.0) -> Tensor:
    at, inside = _places(p, mask)
    return torch.where(inside, p.flat[torch.where(inside, at, 0)], other)


def _store(p: Memory, value: Any, mask: Any = None) -> None:
    value = _tile(value)
    at, inside = _places(p, mask, value)
    p.flat[at[inside]] = value.expand(at.shape)[inside].to(p.flat.dtype)


def _cast(x: Any, dtype: torch.dtype, bitcast: bool = False) -> Tensor:
    return _tile(x).view(dtype) if bitcast else _tile(x).to(dtype)


def _scan(values: Any, axis: int, combine: Callable[..., Any]) -> Any:
    many = isinstance(values, tuple)
    parts = [x.unbind(axis) for x in (values if many else (values,))]
    held = [p[0] for p in parts]
    out = [[h] for h in held]
    for step in zip(*(p[1:] for p in parts), strict=True):
        made = combine(*held, *step)
        held = list(made) if many else [made]
        for line, h in zip(out, held, strict=True):
            line.append(h)
    stacked = tuple(torch.stack(line, axis) for line in out)
    return stacked if many else stacked[0]


def _where(c: Any, a: Any, b: Any) -> Tensor:
    first = a if isinstance(a, Tensor) or isinstance(b, Tensor) else _tile(a)
    return torch.where(_tile(c).bool(), first, b)


def _least(a: Any, b: Any, propagate_nan: Any = None) -> Tensor:
    return torch.minimum(_tile(a), _tile(b))


def _most(a: Any, b: Any, propagate_nan: Any = None) -> Tensor:
    return torch.maximum(_tile(a), _tile(b))


def _dot(a: Tensor, b: Tensor, acc: Any = None, **said: Any) -> Tensor:
    found = torch.matmul(a.to(REAL), b.to(REAL))
    return found if acc is None else acc + found


def _reduced(fn: Callable[..., Any]) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axis: int | None = None, keep_dims: bool = False) -> Tensor:
        if axis is None:
            x, axis = x.reshape(-1), 0
        found: Tensor = fn(x, axis, keepdim=keep_dims)
        return found

    return reduce


def _shaped(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, (tuple, list, torch.Size)) else (int(shape),)


def _words() -> dict[str, Any]:
    """The words of `triton.language` that emitted functions use."""
    alone = {name: getattr(torch, name) for name in "exp log sin cos sqrt rsqrt abs floor ceil erf sigmoid exp2 log2".split()}
    return {
        **alone,
        "load": _load,
        "store": _store,
        "cast": _cast,
        "zeros": lambda shape, dtype: torch.zeros(_shaped(shape), dtype=dtype),
        "full": lambda shape, value, dtype: torch.full(_shaped(shape), float(value), dtype=torch.float64).to(dtype),
        "arange": lambda low, high: torch.arange(low, high),
        "range": lambda low, high=None, step=1, **said: range(*(int(low), int(high), int(step)) if high is not None else (int(low),)),
        "static_range": lambda low, high=None, step=1: range(*(int(low), int(high), int(step)) if high is not None else (int(low),)),
        "cdiv": lambda a, b: (a + b - 1) // b,
        "where": _where,
        "minimum": _least,
        "maximum": _most,
        "fma": lambda a, b, c: a * b + c,
        "broadcast_to": lambda x, *shape: _tile(x).expand(_shaped(shape[0]) if len(shape) == 1 else shape),
        "reshape": lambda x, *shape: x.reshape(_shaped(shape[0]) if len(shape) == 1 else shape),
        "expand_dims": lambda x, axis: x.unsqueeze(axis),
        "trans": lambda x, *dims: x.permute(_shaped(dims[0]) if len(dims) == 1 else dims) if dims else x.transpose(-1, -2),
        "permute": lambda x, *dims: x.permute(_shaped(dims[0]) if len(dims) == 1 else dims),
        "gather": lambda x, place, axis: torch.gather(x, axis, place.to(torch.int64)),
        "associative_scan": _scan,
        "sum": _reduced(torch.sum),
        "max": _reduced(torch.amax),
        "min": _reduced(torch.amin),
        "dot": _dot,
        "debug_barrier": lambda: None,
        "multiple_of": lambda x, n: x,
        "max_contiguous": lambda x, n: x,
        "PropagateNan": types.SimpleNamespace(ALL=True, NONE=False),
        "float64": REAL,
        "float32": REAL,
        "int64": torch.int64,
        "int32": torch.int64,
        "int1": torch.bool,
    }


class Words:
    """What stands for a module in a function's globals."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.held = held

    def __getattr__(self, name: str) -> Any:
        try:
            return self.held[name]
        except KeyError:
            raise Unplain(name) from None


def _again(function: Any, held: dict[str, Any]) -> Any:
    """A Python function with other globals."""
    return types.FunctionType(function.__code__, held, function.__name__, function.__defaults__, function.__closure__)


def launched(plan: Any, device: torch.device, tensors: Sequence[Tensor | None], bits: tuple[int, ...], scratch: Sequence[Tensor]) -> None:
    """Runs all programs of a plan, one after the other; what `Launch.call` takes for a launcher. Raises Unplain."""
    from seqc.runtime.triton import functions

    words = _words()
    program = [0]
    words["program_id"] = lambda axis: program[0]
    words["num_programs"] = lambda axis: plan.programs
    tl = Words(words)
    ours: dict[str, Any] = {"tl": tl}
    for name, one in vars(functions).items():
        inner = getattr(one, "fn", None)
        if isinstance(inner, types.FunctionType):
            ours[name] = _again(inner, ours)
    held = dict(plan.function.function.__globals__)
    held.update(tl=tl, sq=Words(ours))
    function = _again(plan.function.function, held)
    memory = [None if x is None else Memory(_flat(x)) for x in tensors]
    constants = [REAL if type(c).__name__ == "dtype" else c for c in plan.constants]
    more = [Memory(torch.zeros(x.numel(), dtype=REAL)) for x in scratch]
    for program[0] in range(plan.programs):
        function(*memory, *bits, *more, *plan.integers, *constants)
    for x, m in zip(tensors, memory, strict=True):
        if x is not None and m is not None:
            x.copy_(m.flat.as_strided(x.shape, x.stride()))


def _flat(x: Tensor) -> Tensor:
    """A copy of the memory that a tensor spans, in float64."""
    flat = torch.zeros(1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True)) if x.numel() else 0, dtype=REAL)
    flat.as_strided(x.shape, x.stride()).copy_(x)
    return flat

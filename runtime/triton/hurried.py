"""Triton's interpreter with less to do and the same results, for whoever runs many small kernels in it.

    with hurried():
        ...

Scans combine whole slices instead of entry after entry, types of NumPy are looked up once, functions that a kernel calls patch the
language once for each module; few programs take the work, in short tiles. Nothing happens where kernels are not interpreted, or
where this Triton's interpreter is made otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from seqc.runtime.triton import blocks, kernel
from seqc.runtime.triton.device import interpreting

FEW = 4
"""Steps of a tile."""


@contextlib.contextmanager
def hurried(*, together: bool = True) -> Iterator[None]:
    """Kernels run faster inside. `together`: one program takes what a GPU would share among many, and a tile has few steps."""
    if not interpreting():
        yield
        return
    from triton.runtime import interpreter as known

    its: Any = known
    try:
        scans, functions = its.ScanOps, its.InterpretedFunction
        before = scans.generic_scan, its._get_np_dtype, functions.__call__
    except AttributeError:
        yield
        return
    usual = blocks.PROGRAMS, kernel.STEPS
    scans.generic_scan, its._get_np_dtype, functions.__call__ = _scan, _types(before[1]), _calls(before[2])
    if together:
        blocks.PROGRAMS, kernel.STEPS = 1, FEW
    try:
        yield
    finally:
        scans.generic_scan, its._get_np_dtype, functions.__call__ = before
        blocks.PROGRAMS, kernel.STEPS = usual


def _scan(self: Any, given: Any) -> list[Any]:
    """A scan, slice after slice along its axis."""
    from triton.runtime import interpreter

    numpy: Any = interpreter.np

    def part(x: Any, i: int) -> Any:
        return self.to_tensor(numpy.ascontiguousarray(numpy.take(x.handle.data, [i], self.axis)), x.dtype)

    rows = [tuple(part(x, 0) for x in given)]
    for i in range(1, given[0].handle.data.shape[self.axis]):
        found = self.combine_fn.fn(*rows[-1], *(part(x, i) for x in given))
        rows.append(found if isinstance(found, tuple) else (found,))
    columns = zip(zip(*rows, strict=True), given, strict=True)
    return [self.to_tensor(numpy.concatenate([r.handle.data for r in column], self.axis), x.dtype) for column, x in columns]


def _types(before: Any) -> Any:
    """NumPy's type of a type, each found once."""
    known: dict[str, Any] = {}

    def of_type(kind: Any) -> Any:
        name = kind.scalar.name
        found = known.get(name)
        if found is None:
            found = known[name] = before(kind)
        return found

    return of_type


def _calls(before: Any) -> Any:
    """Calls of functions by kernels. Triton never takes back how it patched a module for such a call."""
    seen: set[int] = set()

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if id(self.fn.__globals__) not in seen:
            seen.add(id(self.fn.__globals__))
            return before(self, *args, **kwargs)
        return self.rewrite()(*args, **kwargs)

    return call

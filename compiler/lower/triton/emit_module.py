"""The Triton half of a generated module: functions, and the constants that say which kernel of a class is which.

In:   the kernels of a class in the order of its `KERNELS`, their regions.
Out:  lines for the end of the module: `NAME.TRITON`, as long as `NAME.KERNELS`, (function, description, adjoint, description) each,
      followed by the same for the associative mode where there is one; `NAME.TRITON_SERIAL`: why a kernel has no associative form;
      `NAME.TRITON_LEFT`: what has no Triton kernel, with the reason.
Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqc.compiler.ir.kernel import Apply, Kernel, Reduce
from seqc.compiler.lower.triton.emit import Made, made

IMPORT = "from seqc.runtime.triton.names import combine, kernel, sq, tl"

WIDTH = 120


def unfit(k: Kernel) -> str:
    """Why a kernel is not emitted; "" where it is."""
    kinds = {type(s) for s in (*k.prologue, *k.step, *k.epilogue)} - {Apply, Reduce}
    return f"the Triton backend has no {min(t.__name__ for t in kinds).lower()} inside a kernel" if kinds else ""


def lines_of(name: str, kernels: Sequence[Kernel], names: Sequence[tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Functions, and the constants of the class `name`. `names[i]`: what the kernel `i` computes, in the spec's words."""
    functions: list[str] = []
    entries: list[str] = []
    serial: list[str] = []
    for k, inside in zip(kernels, names, strict=True):
        why = unfit(k)
        if why:
            return [], [f"{name}.TRITON_LEFT = {((tuple(inside), why),)!r}"]
        one: Made = made(k, f"{name}_{k.name}")
        serial += [one.why] if one.why else []
        functions += one.text()
        entries.append("    (")
        for f in one.functions:
            entries += [f"        {f.name},", *written(f.about, 2)]
        entries.append("    ),")
    constants = [f"{name}.TRITON = (", *entries, ")"] if entries else []
    return functions, constants + ([f"{name}.TRITON_SERIAL = {serial[0]!r}"] if serial else [])


def written(value: Any, depth: int) -> list[str]:
    """A constant in lines of limited width."""
    indent = "    " * depth
    text = repr(value)
    if len(text) + len(indent) < WIDTH or not isinstance(value, tuple):
        return [f"{indent}{text},"]
    out = [f"{indent}("]
    for part in value:
        out += written(part, depth + 1)
    return [*out, f"{indent}),"]


__all__ = ["IMPORT", "lines_of", "unfit"]

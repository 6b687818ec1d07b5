"""The Triton half of a generated module: functions, and the constants that say which kernel of a class is which.

In:   the kernels of a class in the order of its `KERNELS`, their regions.
Out:  lines for the end of the module: `NAME.TRITON`, as long as `NAME.KERNELS`, (function, description, adjoint, description) each,
      followed by the same for the associative mode where there is one; `NAME.TRITON_SERIAL`: why a kernel has no associative form;
      `NAME.TRITON_STEPS`, where a kernel has matrix products: for each kernel None, or forwards and backwards its stages (function,
      description, where operands come from, where results go) and the plan.
Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqc.compiler.ir.kernel import Kernel
from seqc.compiler.lower.triton.emit import Made, function, made
from seqc.compiler.lower.triton.emit_dense import Steps

IMPORT = "from seqc.runtime.triton.names import combine, kernel, sq, tl"

WIDTH = 120


def lines_of(name: str, kernels: Sequence[Kernel]) -> tuple[list[str], list[str]]:
    """Functions, and the constants of the class `name`."""
    functions: list[str] = []
    entries: list[str] = []
    serial: list[str] = []
    staged: list[str] = []
    for k in kernels:
        one: Made = made(k, f"{name}_{k.name}")
        serial += [one.why] if one.why else []
        functions += one.text()
        entries.append("    (")
        for f in one.functions:
            entries += [f"        {f.name},", *written(f.about, 2)]
        entries.append("    ),")
        if one.steps is None:
            staged.append("    None,")
            continue
        staged.append("    (")
        for direction in one.steps:
            texts, lines = stages(direction)
            functions += texts
            staged += lines
        staged.append("    ),")
    constants = [f"{name}.TRITON = (", *entries, ")"] if entries else []
    if any(line != "    None," for line in staged):
        constants += [f"{name}.TRITON_STEPS = (", *staged, ")"]
    return functions, constants + ([f"{name}.TRITON_SERIAL = {serial[0]!r}"] if serial else [])


def stages(steps: Steps) -> tuple[list[str], list[str]]:
    """The functions of one direction, and the lines of its part of the constant."""
    functions: list[str] = []
    lines = ["        ("]
    for writer, stage in steps.functions:
        f = function(writer, (), None)
        functions += ["", "", *f.lines]
        lines += ["            (", f"                {f.name},"]
        for part in (f.about, stage.sources, stage.targets):
            lines += written(part, 4)
        lines.append("            ),")
    return functions, [*lines, "        ),", *written(steps.plan, 2)]


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


__all__ = ["IMPORT", "lines_of"]

"""The part of a generated module that `scan = newton` reads: the kernels of the iteration in C, and what a schedule says.

In:   for each kernel of a class its iteration (`lower.kernels.newton`), or why there is none.
Out:  lines: `NAME.NEWTON`, as long as `NAME.KERNELS`, (starts, (text, description) of what reads the rows, parts) each, or None;
      `NAME.NEWTON_LEFT`, loops that are not iterated, with the reason.
Refuses: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.compiler.ir import spec
from seqc.compiler.ir.kernel import Kernel
from seqc.compiler.lower.kernels.newton import Newton
from seqc.compiler.lower.native.emit import made


def newton_lines(name: str, found: Sequence[Newton | str], inside: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines. `inside[i]`: what the kernel `i` computes, in the spec's words."""
    out: list[str] = []
    if any(isinstance(n, Newton) for n in found):
        out.append(f"{name}.NEWTON = (")
        for n in found:
            if isinstance(n, str):
                out.append("    None,")
                continue
            out += ["    (", f"        {n.starts!r},", "        (", *_function(n.read, 3), "        ),", "        ("]
            for p in n.parts:
                out += ["            (", f"                {p.carries!r}, {p.known!r}, {p.iterated!r},", *_function(p.kernel, 4)]
                out += ["            ),"]
            out += ["        ),", "    ),"]
        out.append(")")
    left = dict.fromkeys((names, n) for n, names in zip(found, inside, strict=True) if isinstance(n, str))
    if left:
        out.append(f"{name}.NEWTON_LEFT = {tuple(left)!r}")
    return out


def _function(k: Kernel, depth: int) -> list[str]:
    """The C text of a kernel and its description, as two entries of a tuple."""
    indent = "    " * depth
    one = made(k, adjoint=False).forward
    text = [f"{indent}{line + chr(10)!r}" for line in one.text.rstrip().split("\n")]
    return [*text, f"{indent},", f"{indent}{one.about!r},"]


def scheduled(body: spec.Body) -> str:
    """What a schedule says first of `scan`, as `scan=` takes it, where that is Newton's method; "" elsewhere."""
    choices = [choice for s in body.settings if s.name == "scan" for choice in s.choices]
    if not choices or choices[0][0] != "newton":
        return ""
    options = ", ".join(f"{name} = {value}" for name, value in choices[0][1])
    return f"newton({options})"


__all__ = ["newton_lines", "scheduled"]

"""Puts a module's text together: header, classes, the list of what it exports.

In:   a checked program (lowered here), the name of its file, the command, the report of the analysis.
Out:  Python text, the same bytes for the same input, checked by `emit.safety` before it is handed out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from seqc.compiler.emit.fold import folded
from seqc.compiler.emit.header import header
from seqc.compiler.emit.safety import check
from seqc.compiler.ir.spec import Program
from seqc.compiler.lower.native.emit_module import Lowered, lower
from seqc.compiler.lower.triton import emit_module as triton
from seqc.compiler.lower.triton import facts
from seqc.compiler.lower.triton.emit_newton import adjoint_lines, newton_lines


@dataclass(frozen=True, slots=True)
class Emitted:
    """A generated module: its text, and the names of its exported classes in textual order."""

    text: str
    exports: tuple[str, ...]


def source_name(path: str) -> str:
    """How comments name the main file: its last part, never a path of this machine."""
    name = PurePosixPath(path.replace("\\", "/")).name or "spec.seq"
    return name if name.endswith(".seq") else f"{name}.seq"


def emit(program: Program, *, command: str = "", report: dict[str, str] | str = "", lowered: Lowered | None = None) -> Emitted:
    """The module of a program. `report` is the text that `explain()` gives, for each exported class or for all; `lowered` its
    classes and kernels, where they are made already.

    Raises `Rejected` for what the reference cannot run.
    """
    source = source_name(program.path)
    classes, native = lowered if lowered is not None else lower(program, source)
    names = {c.body.key: c.name for c in classes}
    exports = tuple(names[k] for k in program.exports if k in names)
    text = report if isinstance(report, str) else ""
    lines = header(program, source, command or f"seqc compile {source}", text)
    if any(n.made for n in native.values()):
        at = next(i for i, line in enumerate(lines) if line.startswith("from seqc.runtime.run import "))
        lines.insert(at, "from seqc.runtime.native import calls as native")
    functions = []
    for n in native.values():
        texts, constants = triton.lines_of(n.name, n.kernels)
        more = newton_lines(n.name, n.newton) if texts else ([], [])
        back = adjoint_lines(n.name, n.kernels, n.newton) if texts else ([], [])
        loops = facts.line(n.name, facts.of_class(n.kernels, n.newton, n.inside())) if texts else []
        functions.append((texts + more[0] + back[0], constants + more[1] + back[1] + loops))
    if any(f for f, _ in functions):
        at = next(i for i, line in enumerate(lines) if line.startswith("from seqc.runtime.tables import "))
        lines.insert(at + 1, triton.IMPORT)
    lines.append(f"__all__ = [{', '.join(repr(e) for e in exports)}]")
    for c in classes:
        lines += ["", "", *folded(c.lines)]
    if text:
        lines += ["", ""] + [f"{e}.REPORT = REPORT" for e in exports]
    elif isinstance(report, dict):
        told = {k: v for k, v in report.items() if k in exports}
        lines += (["", ""] if told else []) + [f"{e}.REPORT = {told[e]!a}" for e in exports if e in told]
    for n in native.values():
        kernels = n.lines()
        lines += ["", "", *kernels] if kernels else []
    for written, constants in functions:
        lines += written
        lines += ["", "", *constants] if constants else []
    made = "\n".join(lines) + "\n"
    check(made)
    return Emitted(made, exports)

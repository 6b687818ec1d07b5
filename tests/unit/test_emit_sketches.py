"""Every sketch of the surveyed architectures becomes a module, or is refused with the code that says what comes later."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import target_of
from seqc.compiler.emit.safety import check
from seqc.compiler.lower.reference.body import Lowering, check_scope, class_names
from seqc.compiler.lower.reference.prepare import prepared

SKETCHES = sorted((Path(__file__).parent.parent / "sketches").glob("*.seq"))
LATER = {"SEQ0512", "SEQ0513", "SEQ0514", "SEQ0515"}


@pytest.mark.parametrize("path", SKETCHES, ids=lambda p: p.stem)
def test_a_sketch_becomes_a_module(path: Path) -> None:
    program = compiled(target_of(str(path)), until="spec").program
    names = class_names(program)
    for body in program.bodies.values():
        try:
            ready = prepared(body, program.operators)
            check_scope(ready)
            made = Lowering(program, ready, names, path.name).run()
        except Rejected as why:
            assert {d.code for d in why.diagnostics} <= LATER, why
        else:
            check("\n".join(made.lines) + "\n")

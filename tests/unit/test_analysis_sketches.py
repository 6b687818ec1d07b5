"""The analysis on drafts of surveyed architectures: nothing fails, and what their papers say of them comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.compiler.analysis.analyse import Analyst
from seqc.compiler.analysis.report import report
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.frontend.imports import load
from seqc.compiler.graph.printer import print_graph
from seqc.compiler.ir.spec import Program

SKETCHES = Path(__file__).parent.parent / "sketches"
FILES = (
    "p06_titans",
    "p09_jrt",
    "p15b_s4_family",
    "p22_plstm",
    "p25b_parallel_rnn_family",
    "p31_ead",
    "p37_modern_recurrences",
)

EXPECTED = {
    ("p06_titans", "Memory"): ["affine/diagonal+low-rank"],
    ("p06_titans", "ChunkMemory"): ["affine/diagonal+low-rank"],
    ("p06_titans", "DeepMemory"): ["nonlinear/dense"],
    ("p06_titans", "VeryDeepMemory"): ["nonlinear/dense"],
    ("p06_titans", "LMM"): ["affine/diagonal+low-rank"],
    ("p06_titans", "MACLayer"): [],
    ("p15b_s4_family", "S4"): ["affine/diagonal+low-rank * c"],
    ("p15b_s4_family", "DSSExp"): ["affine/diagonal * c"],
    ("p15b_s4_family", "DSSSoftmax"): [],
    ("p22_plstm", "Chain"): ["affine/scalar"],
    ("p22_plstm", "EdgeWise"): ["affine/scalar"],
    ("p25b_parallel_rnn_family", "SRU1"): ["affine/diagonal"],
    ("p25b_parallel_rnn_family", "SRU2"): ["nonlinear/diagonal"],
    ("p25b_parallel_rnn_family", "GILRLSTM"): ["affine/diagonal", "affine/diagonal"],
    ("p37_modern_recurrences", "DeltaProduct"): ["affine/diagonal+low-rank"],
    ("p37_modern_recurrences", "Comba"): ["affine/diagonal+low-rank"],
    ("p37_modern_recurrences", "PaTH"): ["affine/diagonal+low-rank"],
    ("p37_modern_recurrences", "LogLinearStep"): ["affine/diagonal+low-rank"],
    ("p37_modern_recurrences", "TTTLinear"): ["nonlinear/dense"],
    ("p37_modern_recurrences", "Longhorn"): ["affine/diagonal"],
    ("p37_modern_recurrences", "ABC"): ["semiring", "affine/diagonal", "affine/diagonal"],
    ("p37_modern_recurrences", "MesaNet"): ["affine/scalar", "affine/scalar"],
    ("p37_modern_recurrences", "FoX"): ["affine/identity *"],
}
STREAMS = {
    ("p06_titans", "MACLayer"): "by segments",
    ("p06_titans", "MAL"): "after prefix",
    ("p09_jrt", "PLA"): "after prefix",
    ("p15b_s4_family", "DSSSoftmax"): "no",
    ("p15b_s4_family", "Both"): "no",
    ("p15b_s4_family", "Layer"): "step",
    ("p37_modern_recurrences", "NSA"): "step",
}


def program_of(name: str) -> Program:
    sink = Sink()
    project = load(str(SKETCHES / f"{name}.seq"), sink)
    sink.stop()
    assert project is not None
    return check(project, sink)


@pytest.mark.parametrize("name", FILES)
def test_sketch(name: str) -> None:
    program = program_of(name)
    analyst = Analyst(program)
    found = report(program)
    for key in program.exports:
        body = program.bodies[key].name
        assert print_graph(analyst.graph(key))
        cell = found.cells[body]
        if (name, body) in EXPECTED:
            words = [
                c.family
                + (f"/{c.structure}" if c.structure else "")
                + (" *" if c.time_invariant else "")
                + (" c" if c.complex else "")
                for c in cell.components
                if c.family != "none"
            ]
            assert words == EXPECTED[name, body], body
        if (name, body) in STREAMS:
            assert cell.streams == STREAMS[name, body], body

"""The examples of the registry: the wrong text gives its code, the right one gives nothing."""

from __future__ import annotations

import pytest

from seqc.compiler.check import check
from seqc.compiler.diagnostics.codes import explain_code
from seqc.compiler.diagnostics.codes_names import ENTRIES as NAMES
from seqc.compiler.diagnostics.codes_recurrence import ENTRIES as RECURRENCE
from seqc.compiler.diagnostics.codes_shapes import ENTRIES as SHAPES
from seqc.compiler.diagnostics.codes_warnings import ENTRIES as WARNINGS
from seqc.compiler.diagnostics.diagnostic import Diagnostic, Rejected, Sink
from seqc.compiler.diagnostics.entry import CodeEntry
from seqc.compiler.frontend.imports import load_text

ENTRIES = [*NAMES, *RECURRENCE, *SHAPES, *WARNINGS]
HEADS = ("cell ", "block ", "model ", "fn ", "operator ", "extern ", "from ")


def whole(text: str) -> str:
    """A file around an example: definitions as they are, lines inside a cell."""
    if text.startswith(HEADS):
        return f"seq 1\n{text}\n"
    lines = "".join(f"    {line}\n" for line in text.split("\n"))
    out = "" if "\nout " in f"\n{text}" else "    out last : [D] = x\n"
    head = "cell C over t:\n    dim D, H = 4, K = D / H\n    in x : [D]\n"
    early, mark, late = lines.partition("    schedule:\n")
    return f"seq 1\n{head}{early}{out}{mark}{late}"


def found(text: str) -> list[Diagnostic]:
    sink = Sink()
    try:
        project = load_text(whole(text), "a.seq", sink)
        if project is not None:
            check(project, sink)
    except Rejected:
        pass
    return list(sink.sorted())


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.bad], ids=lambda e: e.code)
def test_examples(entry: CodeEntry) -> None:
    bad, good = found(entry.bad), found(entry.good)
    if entry in WARNINGS:
        assert entry.code in [d.code for d in bad]
        assert entry.code not in [d.code for d in good]
    else:
        assert [d.code for d in bad if d.severity == "error"] == [entry.code]
    assert not [d.message for d in good if d.severity == "error"]


def test_explanations_read_well() -> None:
    for entry in ENTRIES:
        assert len(entry.explanation) < 700
        assert entry.title[0].islower() or not entry.title[0].isalpha()
        text = explain_code(entry.code)
        assert text is not None and entry.title in text

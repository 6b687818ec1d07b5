"""What the analysis must say of the bundled specs: the table of the first issue, part 7, typed in by hand."""

from __future__ import annotations

import time

import pytest

from seqc.compiler.analysis.report import CellReport, ComponentReport, Report, report
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.frontend.imports import load

# spec → for its first cell, each recurrent component: states, family/structure, * time-invariant, c complex, coupled, modes
S, A, C, Q, V, N = "sequential", "associative", "chunked", "quadratic", "convolution", "newton"
SCAN = {S, A}
TABLE: dict[str, list[tuple[set[str], str, set[str]]]] = {
    "elman": [({"h"}, "nonlinear/dense", {S, N})],
    "jordan": [({"y"}, "nonlinear/dense", {S, N})],
    "lstm": [({"c", "h"}, "nonlinear/dense", {S, N})],
    "lstm_peephole": [({"c", "h"}, "nonlinear/dense", {S, N})],
    "gru": [({"h"}, "nonlinear/dense", {S, N})],
    "leaky_rnn": [({"r"}, "nonlinear/dense", {S, N})],
    "slstm": [({"c", "n", "m", "h"}, "nonlinear/dense", {S, N})],
    "indrnn": [({"h"}, "nonlinear/diagonal", {S, N})],
    "paragru": [({"h"}, "nonlinear/diagonal", {S, N})],
    "sru": [({"c"}, "nonlinear/diagonal", {S, N})],
    "lif": [({"v"}, "nonlinear/diagonal", {S})],
    "paralstm": [({"c", "h"}, "nonlinear/block", {S, N})],
    "mingru": [({"h"}, "affine/diagonal", SCAN)],
    "minlstm": [({"h"}, "affine/diagonal", SCAN)],
    "qrnn": [({"c"}, "affine/diagonal", SCAN)],
    "hgrn": [({"h"}, "affine/diagonal", SCAN)],
    "rglru": [({"h"}, "affine/diagonal", SCAN)],
    "mamba1": [({"S"}, "affine/diagonal", SCAN)],
    "lru": [({"x"}, "affine/diagonal * c", {S, A, V})],
    "s4d": [({"x"}, "affine/diagonal * c", {S, A, V})],
    "s5": [({"x"}, "affine/diagonal * c", {S, A, V})],
    "lssl": [({"x"}, "affine/dense *", {S, A, V})],
    "rwkv4": [({"m"}, "semiring", SCAN), ({"a"}, "affine/diagonal", SCAN), ({"b"}, "affine/diagonal", SCAN)],
    "aaren": [({"m"}, "semiring", SCAN), ({"u"}, "affine/diagonal", SCAN), ({"w"}, "affine/scalar", SCAN)],
    "linear_attention": [({"S"}, "affine/identity *", {S, A, C, Q, V}), ({"z"}, "affine/identity *", {S, A, V})],
    "based": [({"S"}, "affine/identity *", {S, A, C, Q, V}), ({"z"}, "affine/identity *", {S, A, V})],
    "retnet": [({"S"}, "affine/scalar *", {S, A, C, Q, V})],
    "simple_gla": [({"S"}, "affine/scalar", {S, A, C, Q})],
    "mamba2": [({"S"}, "affine/scalar", {S, A, C, Q})],
    "gla": [({"S"}, "affine/diagonal", {S, A, C, Q})],
    "hgrn2": [({"S"}, "affine/diagonal", {S, A, C, Q})],
    "rwkv6": [({"S"}, "affine/diagonal", {S, A, C, Q})],
    "mlstm": [({"m"}, "semiring", SCAN), ({"C"}, "affine/scalar", {S, A, C, Q}), ({"n"}, "affine/scalar", SCAN)],
    "deltanet": [({"S"}, "affine/diagonal+low-rank", {S, A, C})],
    "gated_deltanet": [({"S"}, "affine/diagonal+low-rank", {S, A, C})],
    "kda": [({"S"}, "affine/diagonal+low-rank", {S, A, C})],
    "rwkv7": [({"S"}, "affine/diagonal+low-rank", {S, A, C})],
    "online_memory": [({"M", "P"}, "affine/diagonal+low-rank", {S, A, C})],
    "attention": [],
    "window_attention": [],
    "char_lm": [],
    "digits_classifier": [],
    "bilstm_tagger": [],
    "encoder": [],
}
STREAMS = {"digits_classifier": "no", "bilstm_tagger": "no", "encoder": "no"}
MAIN = {"retnet": "RetNet", "based": "Based", "s5": "S5"}
COEFFICIENTS = {
    "gla": ("H", "K"),
    "simple_gla": ("H",),
    "gated_deltanet": ("H",),
    "kda": ("H", "K"),
    "deltanet": (),
    "mamba1": ("E", "N"),
    "linear_attention": (),
    "lssl": (),
    "lstm": (),
}


def of(spec: str) -> Report:
    """The report on a bundled spec."""
    sink = Sink()
    project = load(spec, sink)
    sink.stop()
    assert project is not None
    return report(check(project, sink))


def cell(spec: str) -> CellReport:
    """The report on its main body."""
    cells = of(spec).cells
    return cells[MAIN[spec]] if spec in MAIN else next(iter(cells.values()))


def word(c: ComponentReport) -> str:
    text = c.family + (f"/{c.structure}" if c.structure else "")
    return text + (" *" if c.time_invariant else "") + (" c" if c.complex else "")


def legal(c: ComponentReport) -> set[str]:
    return {name for name, mode in c.modes if mode.legal}


@pytest.mark.parametrize("spec", TABLE)
def test_verdict(spec: str) -> None:
    found = cell(spec)
    recurrent = [c for c in found.components if c.family != "none"]
    assert [(set(c.states), word(c), legal(c)) for c in recurrent] == TABLE[spec]
    assert found.streams == STREAMS.get(spec, "step")
    for c in found.components:
        assert all(mode.why for _, mode in c.modes), "every mode says why"


@pytest.mark.parametrize("spec", COEFFICIENTS)
def test_coefficient_axes(spec: str) -> None:
    (c, *_) = cell(spec).components
    assert c.coefficient_axes == COEFFICIENTS[spec]


def test_coupled_lags() -> None:
    assert [cell(s).components[0].coupled for s in ("gru", "lstm", "slstm", "online_memory")] == [1, 2, 4, 2]


def test_jordan_with_its_targets_has_no_recurrence() -> None:
    found = cell("jordan")
    (variant,) = found.variants
    assert variant.given == ("y",)
    assert [c for c in variant.components if c.family != "none"] == []


def test_lif_says_why_newton_is_illegal() -> None:
    (c,) = cell("lif").components
    assert not c.differentiable and not c.modes.newton.legal
    assert "where" in c.modes.newton.why and "line" in c.modes.newton.why


def test_lstm_says_where_it_is_nonlinear() -> None:
    (c,) = cell("lstm").components
    assert "h[t-1] enters sigmoid on line" in c.modes.associative.why


def test_mamba1_says_why_it_is_not_chunked() -> None:
    (c,) = cell("mamba1").components
    assert "E and N" in c.modes.chunked.why


def test_the_json_has_exactly_the_fields_of_the_contract() -> None:
    data = of("jordan").model_dump(mode="json")
    assert set(data) == {"cells"}
    found = data["cells"]["Jordan"]
    assert set(found) == {"streams", "components", "variants"}
    (c,) = found["components"]
    assert set(c) == {
        "states", "family", "structure", "coefficient_axes", "coupled", "time_invariant", "complex", "differentiable", "modes",
    }  # fmt: skip
    assert list(c["modes"]) == ["sequential", "associative", "chunked", "quadratic", "convolution", "newton"]
    assert all(set(m) == {"legal", "why"} for m in c["modes"].values())
    assert set(found["variants"][0]) == {"given", "components"}
    assert Report.model_validate_json(of("jordan").model_dump_json()) == of("jordan")


def test_analysis_is_fast() -> None:
    sink = Sink()
    project = load("mamba2", sink)
    assert project is not None
    program = check(project, sink)
    start = time.perf_counter()
    report(program)
    assert time.perf_counter() - start < 0.3

"""Costs as exact polynomials, and the plan."""

from __future__ import annotations

from fractions import Fraction

import pytest

from seqc.compiler.analysis.analyse import Analyst, analyse
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.frontend.imports import load
from seqc.compiler.ir.poly import Poly
from seqc.compiler.ir.spec import Program
from seqc.compiler.ir.verdict import Cost
from seqc.compiler.plan.choose_scan import choose, print_plan


def program_of(name: str) -> Program:
    sink = Sink()
    project = load(name, sink)
    assert project is not None
    return check(project, sink)


def cost_of(name: str) -> Cost:
    program = program_of(name)
    return analyse(program, program.exports[0]).cost


def test_polynomials() -> None:
    D, H = Poly.of("D"), Poly.of("H")
    assert str(4 * D * D + D / H * 2 - 1) == "4*D^2 + 2*D/H - 1"
    assert (D + H) * (D - H) == D * D - H * H
    assert (D / H * H - D).constant == 0
    assert (D / (2 * H)).value({"D": 12, "H": 3}) == Fraction(2)
    assert (D / H).value({"D": 12}) is None and (D / H).value({"D": 1, "H": 0}) is None
    assert (D * H).substitute({"H": 3}) == 3 * D
    assert (D * D).compose({"D": H + 1}) == H * H + 2 * H + 1
    with pytest.raises(ValueError):
        D / (D + H)
    with pytest.raises(ZeroDivisionError):
        D / Poly()


def test_gru_parameters_and_state() -> None:
    cost = cost_of("gru")
    assert str(cost.parameters) == "6*D^2 + 4*D"
    assert str(cost.state_bytes) == "4*D"
    assert cost.train_flops == cost.step_flops * 3
    leading = [c for m, c in cost.step_flops.terms if m == (("D", 2),)]
    assert leading == [12], "six D x D products of two operations"


def test_parameters_of_a_model_count_every_layer() -> None:
    program = program_of("char_lm")
    cost = analyse(program, program.exports[0]).cost
    D, L, W = (Poly.of(n) for n in "DLW")
    embedding, head = W * D, W * D + W
    mixer = 2 * D * D + (4 * D + D) + 2 * (D * D + D)  # minGRU, short convolution, gate and output map
    layer = mixer + 6 * D * D + 2 * D  # gated MLP, two norms
    assert cost.parameters == embedding + head + L * layer + D


def test_state_of_a_model_is_that_of_its_cells() -> None:
    program = program_of("char_lm")
    cost = analyse(program, program.exports[0]).cost
    assert str(cost.state_bytes) == "16*D*L", "h and three steps of the short convolution, in each layer"


def test_matrix_state() -> None:
    cost = cost_of("gla")
    assert cost.state_bytes.value({"D": 64, "H": 4}) == 4 * 4 * 8 * 16


def test_a_cache_grows_with_the_run() -> None:
    cost = cost_of("attention")
    assert "len(t)" in str(cost.state_bytes)
    ring = cost_of("window_attention")
    assert ring.state_bytes == 8 * Poly.of("D") * (Poly.of("W") - 1)


def test_the_plan_of_the_reference_is_sequential_and_says_what_else_is_legal() -> None:
    program = program_of("mlstm")
    verdict = Analyst(program).verdict(program.exports[0])
    plan = choose(verdict, backend="reference")
    assert plan.backend == "reference" and [c.mode for c in plan.choices] == ["sequential"] * 3
    assert "chunked" in [m for m, _ in plan.choices[1].runners_up]
    assert {"k", "v"} <= set(plan.choices[1].hoisted)
    assert "C: sequential" in print_plan(plan)


def test_what_was_asked_for_is_not_replaced_in_silence() -> None:
    program = program_of("lstm")
    verdict = Analyst(program).verdict(program.exports[0])
    with pytest.raises(Rejected, match="SEQ0511"):
        choose(verdict, scan="associative")
    with pytest.raises(Rejected, match="SEQ0540") as refused:
        choose(verdict, scan="newton(tolerance = 1e-6)")
    assert "its Jacobian is dense" in refused.value.diagnostics[0].notes[0].text
    with pytest.raises(Rejected, match="SEQ0541"):
        choose(verdict, backend="fast")
    assert choose(verdict, scan="sequential").choices[0].why == "asked for"


def test_sizes_that_are_bound_are_used() -> None:
    program = program_of("gla")
    (key,) = program.exports
    assert analyse(program, key, {"D": 64}).cost == analyse(program, key).cost
    assert Analyst(program, {"D": 64}).graph(key).sizes["K"] == 8

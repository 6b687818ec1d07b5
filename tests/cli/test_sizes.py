"""Sizes and inputs that checks and timings use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seqc.compiler.driver import sizes
from seqc.compiler.driver.explain.equations import equations
from seqc.compiler.driver.pipeline import Run
from seqc.compiler.driver.target import Target, chosen, target_of
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.ir.spec import Body

Bodies = Callable[[str], dict[str, Body]]


@pytest.fixture
def bodies(checked: Callable[[str], Run]) -> Bodies:
    return lambda name: {b.name: b for b in checked(name).bodies}


@pytest.mark.parametrize("name", [b.name for b in all_bundled()])
def test_every_bundled_body_has_small_and_usual_sizes(name: str, bodies: Bodies) -> None:
    for body in bodies(name).values():
        for found in (next(sizes.small(body)), sizes.defaults(body)):
            assert list(found) == [d.name for d in body.dims]
            assert all(n >= 1 for n in found.values())
        assert sum(next(sizes.small(body)).values()) <= 60


def test_sizes_differ_where_they_may(bodies: Bodies) -> None:
    found = next(sizes.small(bodies("gru")["GRU"]))
    assert found["D"] != found["N"]
    found = next(sizes.small(bodies("mamba2")["Mamba2"]))
    assert min(found["H"], found["P"], found["N"]) > 1


def test_refusals_name_the_dim(bodies: Bodies) -> None:
    body = bodies("gla")["GLA"]
    with pytest.raises(Unusable, match="no dim `Q`"):
        sizes.resolve(body, {"Q": 3})
    with pytest.raises(Unusable, match="`D` of `GLA` has no size"):
        sizes.resolve(body, {})
    with pytest.raises(Unusable, match=r"comes out as 10/8|comes out as 5/4"):
        sizes.resolve(body, {"D": 10})
    assert sizes.resolve(body, {"D": 32, "H": 2}) == {"D": 32, "H": 2, "K": 8, "V": 16}


def test_draws_keep_shapes_types_and_ranges(bodies: Bodies) -> None:
    torch = pytest.importorskip("torch")
    from seqc.compiler.driver.sample import draw

    body = bodies("char_lm")["CharLM"]
    chosen_sizes = next(sizes.small(body))
    drawn = draw(body, chosen_sizes, 3, 7, losses=True)
    assert {k: tuple(v.shape) for k, v in drawn.values.items()} == {"ids": (3, 7), "target": (3, 7)}
    assert all(0 <= int(v.min()) and int(v.max()) < chosen_sizes["W"] for v in drawn.values.values())
    assert list(draw(body, chosen_sizes, 3, 7).values) == ["ids"], "what only losses read is left out"
    again = draw(body, chosen_sizes, 3, 7)
    assert torch.equal(again.values["ids"], draw(body, chosen_sizes, 3, 7).values["ids"])


@pytest.mark.parametrize(
    ("text", "spec", "body"),
    [
        ("gru", "gru", ""),
        ("gru:ChoGRU", "gru", "ChoGRU"),
        ("a/b.seq:Cell", "a/b.seq", "Cell"),
        ("a/b.seq", "a/b.seq", ""),
        (":x", ":x", ""),
        ("a:1", "a:1", ""),
    ],
)
def test_targets(text: str, spec: str, body: str) -> None:
    assert (target_of(text).spec, target_of(text).body) == (spec, body)


def test_a_body_that_is_not_there(checked: Callable[[str], Run]) -> None:
    program = checked("gru").program
    with pytest.raises(Unusable) as refused:
        chosen(program, Target("gru", "GRUU"))
    assert "gru:GRU" in refused.value.help


def test_equations_carry_their_step(bodies: Bodies) -> None:
    found = {e.name: e for e in equations(bodies("gru")["GRU"])}
    assert (found["h"].left, found["h"].right) == ("h_t", "(1 - z_t) * n_t + z_t * h_{t-1}")
    assert found["r"].right == "sigmoid(linear(x_t, h_{t-1}))" and found["r"].range == "(0, 1)"
    assert found["h"].start == "0"
    found = {e.name: e for e in equations(bodies("char_lm")["CharLM"])}
    assert found["u"].left == "u_l" and "x_{l-1}" in found["u"].right
    assert "x_L" in found["logits"].right, "outside its stack a state is that of the last level"
    found = {e.name: e for e in equations(bodies("aaren")["Aaren"])}
    assert "expdiff(m_{t-1}, m_t)" in found["u"].right
    assert {e.left for e in equations(bodies("mamba2")["Mamba2"])} >= {"A_log", "S_t"}, "parameters do not change with t"

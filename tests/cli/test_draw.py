"""Drawings: everything inside the picture, nothing on top of anything else, text escaped, the same bytes each time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from seqc.compiler.driver.draw.build import picture_of
from seqc.compiler.driver.draw.layout import Drawing, Rect, arrange
from seqc.compiler.driver.draw.metrics import broken, without_details
from seqc.compiler.driver.draw.picture import Box, Edge, Node, Picture
from seqc.compiler.driver.draw.svg import write
from seqc.compiler.driver.pipeline import Run
from seqc.compiler.frontend.bundled import all_bundled

SVG = "{http://www.w3.org/2000/svg}"


def gru() -> Picture:
    nodes = (
        Node("x", "input", "x", "[D]"),
        Node("h-", "lag", "h[t−1]"),
        Node("r", "gate", "r", "[N]", ("sigmoid(linear(x, h[t-1]))",)),
        Node("z", "gate", "z", "[N]", ("sigmoid(linear(x, h[t-1]))",)),
        Node("n", "value", "n", "[N]", ("tanh(linear(x) + r * linear(h[t-1]))",)),
        Node("h", "state", "h", "[N]", ("(1 - z) * n + z * h[t-1]",)),
        Node("o", "out", "out h"),
    )
    pairs = "x-r x-z x-n h--r h--z h--n h--h r-n z-h n-h h-o"
    edges = [Edge(*(p.rsplit("-", 1) if not p.startswith("h--") else ("h-", p[3:]))) for p in pairs.split()]
    edges.append(Edge("h", "h-", "t−1", back=True))
    return Picture(
        "GRU", "cell over t", nodes, tuple(edges), (Box("c", "component", "1 · nonlinear", ("h-", "r", "z", "n", "h")),)
    )


def overlaps(a: Rect, b: Rect) -> bool:
    return abs(a.x - b.x) < (a.width + b.width) / 2 - 0.01 and abs(a.y - b.y) < (a.height + b.height) / 2 - 0.01


def inside(a: Rect, b: Rect) -> bool:
    return abs(a.x - b.x) <= (b.width - a.width) / 2 + 0.01 and abs(a.y - b.y) <= (b.height - a.height) / 2 + 0.01


def sound(picture: Picture, drawing: Drawing) -> None:
    """What every drawing must keep."""
    whole = Rect(drawing.width / 2, drawing.height / 2, drawing.width, drawing.height)
    places = {n.key: r for n, r in drawing.nodes}
    frames = {b.key: r for b, r in drawing.boxes}
    assert set(places) == {n.key for n in picture.nodes}
    for r in [*places.values(), *frames.values()]:
        assert inside(r, whole)
    for a, b in itertools.combinations(places.values(), 2):
        assert not overlaps(a, b)
    within: dict[str, set[str]] = {}
    for box in reversed(picture.boxes):
        within[box.key] = set(box.members) | {m for k in box.members if k in within for m in within[k]}
    for box in picture.boxes:
        held = set()
        todo = list(box.members)
        while todo:
            k = todo.pop()
            held.add(k)
            todo += next((list(b.members) for b in picture.boxes if b.key == k), [])
        for key, r in places.items():
            assert inside(r, frames[box.key]) if key in held else not overlaps(r, frames[box.key]), (key, box.key)
    for line in drawing.lines:
        assert len(line.points) >= 2
        for x, y in line.points:
            assert -0.01 <= x <= drawing.width + 0.01 and -0.01 <= y <= drawing.height + 0.01
    for edge in picture.edges:
        if not edge.back and edge.source in places and edge.target in places:
            assert places[edge.source].y < places[edge.target].y, edge


def test_gru_is_sound() -> None:
    picture = gru()
    sound(picture, arrange(picture))


def test_inputs_above_outs_below_lag_dashed() -> None:
    picture = gru()
    drawing = arrange(picture)
    places = {n.key: r for n, r in drawing.nodes}
    assert places["x"].y == min(r.y for r in places.values()) and places["o"].y == max(r.y for r in places.values())
    dashed = [line for line in drawing.lines if line.dashed]
    assert [line.label for line in dashed] == ["t−1"]
    assert dashed[0].points[0][1] > dashed[0].points[-1][1], "it goes back up"


def test_well_formed_and_the_same_twice() -> None:
    picture = gru()
    text = write(picture, arrange(picture))
    assert text == write(picture, arrange(picture))
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
        "svg",
        "g",
        "rect",
        "text",
        "path",
        "title",
        "style",
        "defs",
        "marker",
    }
    assert "recurrent component" in text and "from an earlier step" in text


@pytest.mark.parametrize("evil", ["</text><script>alert(1)</script>", "a & b < c", "\"'><svg onload=x>", "&lt;"])
def test_all_text_is_escaped(evil: str) -> None:
    nodes = (Node("a", "input", evil, evil, (evil,), evil), Node("b", "out", evil, evil))
    picture = Picture(evil, evil, nodes, (Edge("a", "b", evil, False),), (Box("k", "component", evil, ("a",), evil),))
    root = ElementTree.fromstring(write(picture, arrange(picture)))
    texts = [e.text for e in root.iter(f"{SVG}text")]
    assert texts.count(evil) >= 5
    assert not [e for e in root.iter() if "script" in e.tag or any(a.startswith("on") for a in e.attrib)]


def test_empty_and_single() -> None:
    for nodes in ((), (Node("a", "value", "a"),)):
        picture = Picture("t", "", nodes, ())
        ElementTree.fromstring(write(picture, arrange(picture)))


@pytest.mark.parametrize("seed", range(25))
def test_random_pictures_are_sound(seed: int) -> None:
    import random

    rng = random.Random(seed)
    count = rng.randint(2, 16)
    nodes = tuple(
        Node(f"n{i}", rng.choice(["value", "gate", "input", "param"]), f"n{i}", "[N]", ("x" * rng.randint(1, 30),))
        for i in range(count)
    )
    edges = tuple(Edge(f"n{a}", f"n{b}") for a in range(count) for b in range(a + 1, count) if rng.random() < 0.25)
    # A box over a stretch that no path leaves and enters again: an interval of the order.
    low = rng.randrange(count)
    high = rng.randint(low, count - 1)
    members = tuple(f"n{i}" for i in range(low, high + 1))
    boxes = (Box("c", "component", "c", members),)
    if high - low > 2:
        boxes = (Box("c", "component", "c", ("d", *members[2:])), Box("d", "level", "d", members[:2]))
    back = (Edge(members[-1], members[0], "t−1", True),) if len(members) > 1 else ()
    picture = Picture("p", "", nodes, edges + back, boxes)
    sound(picture, arrange(picture))


@pytest.mark.parametrize("name", [b.name for b in all_bundled()])
def test_every_bundled_body_is_drawn_soundly(name: str, checked: Callable[[str], Run]) -> None:
    for body in checked(name).bodies:
        picture = picture_of(body)
        drawing = arrange(picture)
        sound(picture, drawing)
        assert drawing.width < 2600 and drawing.height < 2600
        states = {v.name for v in body.values if v.kind == "state"}
        assert states <= {n.key for n in picture.nodes if n.kind == "state"}
        assert {e.source for e in picture.edges} | {e.target for e in picture.edges} <= {n.key for n in picture.nodes}
        ElementTree.fromstring(write(picture, drawing))


def test_components_are_boxed_and_lags_go_back(checked: Callable[[str], Run]) -> None:
    (body,) = checked("lstm").bodies
    picture = picture_of(body, [(["c", "h"], "nonlinear/dense")])
    (box,) = picture.boxes
    assert box.title == "1 · nonlinear/dense" and {"c", "h", "i", "f", "o", "c[t−1]", "h[t−1]"} <= set(box.members)
    assert {(e.source, e.target) for e in picture.edges if e.back} == {("c", "c[t−1]"), ("h", "h[t−1]")}
    (body,) = checked("char_lm").bodies
    picture = picture_of(body)
    assert [b.title for b in picture.boxes] == ["stack l in 1..L"]
    assert {(e.source, e.lag) for e in picture.edges if e.back} == {("x", "l−1")}


def test_details_of_layers_are_left_out() -> None:
    assert without_details("silu(linear(x, bias = none, init = uniform(-1, f(2, 3))))") == "silu(linear(x))"
    assert (
        without_details("conv(linear(x, to = [H, K]), kernel = 4, per = [H, K])") == "conv(linear(x), kernel = 4, per = [H, K])"
    )
    assert without_details("f(x, biases)") == "f(x, biases)"


def test_long_equations_are_broken() -> None:
    lines = broken("a + b * " * 30, 32, 2)
    assert len(lines) == 2 and lines[-1].endswith("…") and all(len(line) <= 46 for line in lines)
    assert broken("x" * 500, 32, 2)[0].endswith("…")

"""What is drawn: nodes, edges and boxes, without coordinates.

`Picture` comes from `build.picture_of` (values, reads and components of a checked body) and goes to `layout.arrange`. Keys are
opaque; everything in `title`, `shape`, `lines` and `tip` is text to be shown, escaped by the writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["input", "param", "const", "state", "gate", "value", "call", "out", "loss", "lag"]
KINDS: dict[Kind, str] = {
    "input": "input",
    "param": "parameter",
    "const": "constant",
    "state": "state",
    "gate": "gate",
    "value": "value",
    "call": "called body",
    "out": "output",
    "loss": "loss",
    "lag": "value of an earlier step",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A box with a name.

    shape   its axes as written, `[H, K]`; `lines` its equation, broken to fit; `tip` what is shown on hovering
    """

    key: str
    kind: Kind
    title: str
    shape: str = ""
    lines: tuple[str, ...] = ()
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` reads `source`; with a `lag` (`t−1`) at an earlier step: dashed, and drawn upwards where `back`."""

    source: str
    target: str
    lag: str = ""
    back: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A frame around nodes and other boxes: a recurrent component or the lines of a stack."""

    key: str
    kind: Literal["component", "level"]
    title: str
    members: tuple[str, ...]
    """Keys of nodes and boxes directly inside."""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole drawing."""

    title: str
    subtitle: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    boxes: tuple[Box, ...] = ()

"""The words of a component's verdict: `affine/diagonal *`, and which modes are legal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def class_text(component: Mapping[str, Any]) -> str:
    """`nonlinear/dense`, `affine/diagonal * c`: family and structure, `*` time-invariant, `c` complex."""
    text = str(component["family"])
    if component.get("structure"):
        text += f"/{component['structure']}"
    if component.get("time_invariant") and component["family"] == "affine":
        text += " *"
    if component.get("complex"):
        text += " c"
    return text


def classes(components: Sequence[Mapping[str, Any]]) -> str:
    """The classes of all recurrent components in one line; equal ones counted: `affine/scalar * ×2`."""
    words = [class_text(c) for c in components if c["family"] != "none"]
    counted = [w + (f" ×{n}" if (n := words.count(w)) > 1 else "") for w in dict.fromkeys(words)]
    return ", ".join(counted) or "no recurrence"


def legal_modes(components: Sequence[Mapping[str, Any]]) -> list[str]:
    """The modes that are legal for every recurrent component."""
    recurrent = [c for c in components if c["family"] != "none"]
    if not recurrent:
        return []
    return [m for m in recurrent[0]["modes"] if all(c["modes"][m]["legal"] for c in recurrent)]

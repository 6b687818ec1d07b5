"""The words of a verdict: `affine/diagonal *`, which modes are legal and why, what `step` remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqc.compiler.ir.verdict import MODES, Buffer, Component, Verdict


def class_text(component: Mapping[str, Any]) -> str:
    """`nonlinear/dense`, `affine/diagonal * c`: family and structure, `*` time-invariant, `c` complex. Of a JSON record."""
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
    """The modes that are legal for a recurrent component, in the fixed order."""
    recurrent = [c for c in components if c["family"] != "none"]
    return [m for m in MODES if any(c["modes"][m]["legal"] for c in recurrent)]


def kind_of(c: Component) -> str:
    """`nonlinear/dense`, `semiring (max)`."""
    text = c.family + (f"/{c.structure}" if c.structure not in (None, "none") else "")
    return f"{text} ({c.operation})" if c.operation else text


def facts(c: Component) -> list[str]:
    """What else is known of a component, in words."""
    if c.family == "none":
        return ["does not depend on its own past"]
    out = []
    if c.family == "affine":
        out.append("constant in time" if c.time_invariant else "coefficient changes with time")
        if c.coefficient_axes:
            out.append(f"coefficient [{', '.join(c.coefficient_axes)}]")
    if c.complex:
        out.append("complex")
    if c.coupled > 1:
        out.append(f"{c.coupled} lagged values coupled")
    if c.outer:
        out += [f"adds an outer product of [{', '.join(a)}] and [{', '.join(b)}]" for a, b in c.outer]
    if c.family == "nonlinear":
        out.append("differentiable" if c.differentiable else "not differentiable")
    return out


def buffer_text(b: Buffer) -> str:
    """What `step` remembers of a value: `the last 3 values of x [D]: …`."""
    axes = f" [{', '.join(b.axes)}]" if b.axes else ""
    hidden = b.name.count(".") > 1
    of = "" if hidden else f" of {b.name}"
    if b.steps is None:
        return f"every value{of}{axes}, a cache that grows: {b.reason}"
    one = str(b.steps) == "1"
    return f"the last {'value' if one else f'{b.steps} values'}{of}{axes}: {b.reason}"


def verdict_text(v: Verdict) -> str:
    """The stage `analysis` of one body."""
    given = f", given {', '.join(sorted(v.given))}" if v.given else ""
    lines = [f"{v.name}{given}: streams {v.streaming.streams}" + (f" ({v.streaming.reason})" if v.streaming.reason else "")]
    for number, c in enumerate(v.components, 1):
        lines.append(f"  {number}  {{{', '.join(c.states)}}} {kind_of(c)}; {'; '.join(facts(c))}")
        for link in c.links:
            what = f"{link.structure}" + (f" [{', '.join(link.coefficient_axes)}]" if link.coefficient_axes else "")
            lines.append(f"       {link.state} <- {link.source}: {what}")
        for name, mode in c.modes.items():
            lines.append(f"       {name:12} {'legal' if mode.legal else 'no   '}  {mode.why}")
        for reason in (*c.nonlinear, *c.kinks, *c.mixing):
            lines.append(f"       because {reason}")
    for b in v.streaming.buffers:
        lines.append(f"  remembers {buffer_text(b)}")
    if v.streaming.carried:
        lines.append(f"  carries {', '.join(v.streaming.carried)}")
    cost = v.cost
    lines.append(f"  parameters {cost.parameters}")
    lines.append(f"  state bytes {cost.state_bytes}")
    lines.append(f"  a step: {cost.step_flops} flops, {cost.step_bytes} bytes")
    lines.append(f"  training, for each token: {cost.train_flops} flops, {cost.train_bytes} bytes")
    return "\n".join(lines) + "\n"

"""Chooses a mode for each component.

In:  a `Verdict`, the device, the mode and backend the user asked for (`auto` where none).   Out: a `Plan`.
Keeps: the meaning; every choice is a legal mode.   Refuses: SEQ0511 a mode that is legal for no component, SEQ0540 a mode that
the backend does not run, SEQ0541 a backend that is not there. What was asked for is never replaced in silence: where a mode is
legal for some components only, the others say so.

The reference backend runs sequentially, component after component; emitters that do better add themselves to `RUNS`; `lacks` says
what a backend does not run of a mode that it has. On a CPU
`auto` is the native backend, on a GPU Triton's: which of its loops are kernels is known when they are lowered, and said there; on a GPU
the mode hangs on the shape of each call (`runtime.cost`).
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Note, Rejected
from seqc.compiler.ir.plan import Choice, Plan
from seqc.compiler.ir.verdict import MODES, Component, ModeName, Verdict
from seqc.runtime.cost.devices import DEVICES

RUNS: Mapping[str, tuple[ModeName, ...]] = {
    "reference": ("sequential",),
    "native": ("sequential", "newton"),
    "triton": ("sequential", "associative", "newton"),
}
"""Which modes each backend at hand has, best first."""

SMALL = ("none", "identity", "scalar", "diagonal", "block")
"""Structures of a Jacobian that Newton's method is run with."""


def choose(v: Verdict, device: str = "cpu", scan: str = "auto", backend: str = "auto") -> Plan:
    """The plan for one program. Raises `Rejected` for a mode or backend that cannot be had."""
    if backend != "auto" and backend not in RUNS:
        there = ", ".join(RUNS)
        raise Rejected((Diagnostic("SEQ0541", f"the backend {backend} is not there", help=f"backend={there}"),))
    name, why = _backend(device) if backend == "auto" else (backend, "asked for")
    wanted = _mode(scan)
    recurrent = [c for c in v.components if c.family != "none"]
    if wanted is not None and recurrent and not any(c.modes[wanted].legal for c in recurrent):
        states, reason = ", ".join(recurrent[0].states), recurrent[0].modes[wanted].why
        raise Rejected((Diagnostic("SEQ0511", f"the scan mode {scan} is not legal for {states}", notes=(Note(reason),)),))
    refused = [c for c in recurrent if wanted is not None and c.modes[wanted].legal and lacks(c, name, wanted)]
    if wanted is not None and refused and not any(c.modes[wanted].legal and not lacks(c, name, wanted) for c in recurrent):
        states, reason = ", ".join(refused[0].states), lacks(refused[0], name, wanted)
        what = f"the {name} backend does not run {states} in the mode {wanted}"
        raise Rejected((Diagnostic("SEQ0540", what, notes=(Note(reason),), help="scan = auto"),))
    choices = tuple(_choose(c, name, wanted, device != "cpu") for c in v.components)
    return Plan(v.key, v.name, device, name, why, choices)


def _backend(device: str) -> tuple[str, str]:
    """What `auto` is on a device, and why."""
    if device == "cpu":
        return "native", "fused loops in C; where there is no C compiler, the reference"
    if device in DEVICES or device.partition(":")[0] == "cuda":
        return "triton", "fused loops on the GPU; where a loop has no Triton kernel, the reference"
    return "reference", "it runs on every device"


def lacks(c: Component, backend: str, mode: ModeName) -> str:
    """Why a backend does not run a component in a legal mode; "" where it does."""
    if mode not in RUNS[backend]:
        return f"the {backend} backend has no such kernel"
    if mode == "newton" and c.structure not in SMALL:
        pattern = {"diagonal+low-rank": "diagonal plus low rank"}.get(c.structure or "", c.structure or "of unknown form")
        return f"its Jacobian is {pattern}: each iteration would cost more than all steps one after the other"
    return ""


def _mode(scan: str) -> ModeName | None:
    """The mode a schedule's word names; None for `auto`."""
    word = scan.partition("(")[0]
    named = {"attention": "quadratic", "wavefront": "sequential"}.get(word, word)
    return next((m for m in MODES if m == named), None)


def _choose(c: Component, backend: str, wanted: ModeName | None, parallel: bool) -> Choice:
    mode: ModeName = RUNS[backend][0]
    why = f"the {backend} backend runs one step after the other"
    if backend == "triton" and parallel:
        why = "one step after the other, or what the cost model finds quicker at the shape of a call"
    if c.family == "none":
        why = "no recurrence: a map over the steps"
    elif wanted is not None and not c.modes[wanted].legal:
        why = f"{wanted} is not legal here: {c.modes[wanted].why}"
    elif wanted is not None and lacks(c, backend, wanted):
        why = f"no {wanted}: {lacks(c, backend, wanted)}"
    elif wanted is not None:
        mode, why = wanted, "asked for"
    others = tuple((m, _other(c, backend, m, parallel)) for m in c.legal() if m != mode and m != "sequential")
    return Choice(c.states, mode, why, c.hoisted, others)


def _other(c: Component, backend: str, mode: ModeName, parallel: bool) -> str:
    """Why a legal mode was not taken."""
    why = lacks(c, backend, mode)
    more = ", several times over the sequence: it pays on parallel machines only" if mode == "newton" else ""
    if not why and backend == "triton" and parallel:
        return f"legal; taken where it is quicker, or with scan = {mode}"
    return f"legal; {why}" if why else f"legal; scan = {mode} runs it{more}"


def print_plan(plan: Plan) -> str:
    """The plan in words."""
    lines = [f"{plan.name} on {plan.device}: {plan.backend} ({plan.why})"]
    for c in plan.choices:
        lines.append(f"    {', '.join(c.states)}: {c.mode} ({c.why})")
        if c.hoisted:
            lines.append(f"        before the scan, for all steps at once: {', '.join(c.hoisted)}")
        lines += [f"        {mode}: {why}" for mode, why in c.runners_up]
    if not plan.choices:
        lines.append("    no recurrent component: every step is computed as it stands")
    return "\n".join(lines) + "\n"

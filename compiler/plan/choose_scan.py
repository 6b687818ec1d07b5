"""Chooses a mode for each component.

In:  a `Verdict`, the device, the mode and backend the user asked for (`auto` where none).   Out: a `Plan`.
Keeps: the meaning; every choice is a legal mode.   Refuses: SEQ0511 a mode that is not legal, SEQ0512 a mode that no backend
at hand runs, SEQ0513 a backend that is not there. What was asked for is never replaced in silence.

The reference backend runs sequentially, component after component; emitters that do better add themselves to `RUNS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Note, Rejected
from seqc.compiler.ir.plan import Choice, Plan
from seqc.compiler.ir.verdict import MODES, Component, ModeName, Verdict

RUNS: Mapping[str, tuple[ModeName, ...]] = {"reference": ("sequential",)}
"""Which modes each backend at hand has, best first."""


def choose(v: Verdict, device: str = "cpu", scan: str = "auto", backend: str = "auto") -> Plan:
    """The plan for one program. Raises `Rejected` for a mode or backend that cannot be had."""
    if backend != "auto" and backend not in RUNS:
        there = ", ".join(RUNS)
        raise Rejected((Diagnostic("SEQ0513", f"the backend {backend} is not there", help=f"backend={there}"),))
    name = "reference" if backend == "auto" else backend
    why = "asked for" if backend != "auto" else "the only backend there is; it runs on every device"
    choices = tuple(_choose(c, name, scan) for c in v.components)
    return Plan(v.key, v.name, device, name, why, choices)


def _choose(c: Component, backend: str, scan: str) -> Choice:
    wanted = scan.partition("(")[0]
    mode: ModeName = RUNS[backend][0]
    if wanted != "auto":
        named = {"attention": "quadratic", "wavefront": "sequential"}.get(wanted, wanted)
        mode = next((m for m in MODES if m == named), mode)
        states = ", ".join(c.states)
        if not c.modes[mode].legal:
            raise Rejected(
                (Diagnostic("SEQ0511", f"the scan mode {wanted} is not legal for {states}", notes=(Note(c.modes[mode].why),)),)
            )
        if mode not in RUNS[backend]:
            raise Rejected((Diagnostic("SEQ0512", f"the {backend} backend does not run {states} in the mode {wanted}"),))
    others = tuple((m, f"legal; the {backend} backend has no such kernel") for m in c.legal() if m not in RUNS[backend])
    why = "asked for" if wanted != "auto" else f"the {backend} backend runs one step after the other"
    if c.family == "none":
        why = "no recurrence: a map over the steps"
    return Choice(c.states, mode, why, c.hoisted, others)


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

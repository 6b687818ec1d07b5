"""The plan: for each component and device, which mode runs and why. Printed by `seqc explain --stage plan`."""

from __future__ import annotations

from dataclasses import dataclass

from seqc.compiler.ir.verdict import ModeName


@dataclass(frozen=True, slots=True)
class Choice:
    """One component's part of the plan.

    hoisted     values computed for all steps at once, before the scan
    runners_up  other legal modes, each with why it was not taken
    """

    states: tuple[str, ...]
    mode: ModeName
    why: str
    hoisted: tuple[str, ...] = ()
    runners_up: tuple[tuple[ModeName, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one program on one device; `backend` is the one that will run it."""

    key: str
    name: str
    device: str
    backend: str
    why: str
    choices: tuple[Choice, ...]

"""Who can run a spec: a table that backends join.

An executor is named as `backend=` names it. `missing()` says why it cannot run here (""), `modes(components)` which scan
modes it offers for a body with these components (as the JSON report describes them), `dtypes` what it computes in. `verify`
compares each with the reference in float64, `bench` times each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Components = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Executor:
    """One backend."""

    name: str
    modes: Callable[[Components], list[str]]
    dtypes: tuple[str, ...] = ("float32", "float64")
    missing: Callable[[], str] = lambda: ""
    only_asked: bool = False
    """Takes part only where it is named: kernels are compiled for it, which takes a few seconds a spec."""


def legal_everywhere(components: Components, offered: Sequence[str]) -> list[str]:
    """The modes among `offered` that are legal for some component; the others of the body then run sequentially."""
    return [m for m in offered if m == "sequential" or any(c["modes"].get(m, {}).get("legal") for c in components)]


def native_modes(components: Components) -> list[str]:
    """One step after the other, and Newton's method where the Jacobian of a component is diagonal or made of small blocks."""
    from seqc.compiler.plan.choose_scan import SMALL

    solved = any(c["modes"].get("newton", {}).get("legal") and c.get("structure") in SMALL for c in components)
    return ["sequential", "newton"] if solved else ["sequential"]


def _modes_of_triton(components: Components) -> list[str]:
    """Sequential, associative where that is legal, and Newton's method as the native backend has it."""
    return [*legal_everywhere(components, ("sequential", "associative")), *native_modes(components)[1:]]


def _no_compiler() -> str:
    """Why native code cannot be made here; "" where it can."""
    from seqc.runtime.native.errors import NoCompiler
    from seqc.runtime.native.toolchain import find_toolchain

    try:
        find_toolchain()
    except NoCompiler as why:
        return why.what
    return ""


def prepare(backends: Sequence[str]) -> None:
    """What has to be settled before anything runs: without a GPU Triton's interpreter is switched on, before Triton is imported."""
    if "triton" in backends:
        from seqc.runtime.triton.device import turn_interpreter_on

        turn_interpreter_on()


def _no_device() -> str:
    """Why Triton kernels cannot run here; "" where they can."""
    from seqc.runtime.triton import device

    return device.missing()


def no_kernel(error: Exception) -> bool:
    """Whether a layer could not be made because its backend has no kernel for one of its loops."""
    return getattr(error, "code", "") == "SEQ0604"


EXECUTORS: tuple[Executor, ...] = (
    Executor("reference", lambda components: legal_everywhere(components, ("sequential",))),
    Executor("native", native_modes, missing=_no_compiler),
    Executor("triton", _modes_of_triton, missing=_no_device, only_asked=True),
)
"""All that are built, the reference first."""


def available() -> list[Executor]:
    """Those that can run here without being asked for."""
    return [e for e in EXECUTORS if not e.only_asked and not e.missing()]

"""A spec's own schedule against what the analysis allows.

In:   bodies with their verdicts.     Refuses: SEQ0511, a scan mode that is legal for no component, with the reason.
A mode that is legal but has no kernel yet is no error: the schedule never changes meaning, and the plan says what runs instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.ir.spec import Body, Setting
from seqc.compiler.ir.verdict import MODES, Component, Verdict

_NAMES = {"attention": "quadratic", "wavefront": "sequential"}


def has_schedule(bodies: Iterable[Body]) -> bool:
    """Whether any body asks for a scan mode."""
    return any(s.name == "scan" for b in bodies for s in b.settings)


def check_schedules(bodies: Iterable[Body], verdicts: Mapping[str, Verdict], sink: Sink) -> None:
    """Reports modes that are asked for and not legal."""
    for body in bodies:
        for setting in body.settings:
            if setting.name == "scan":
                _check(body, setting, verdicts[body.name], sink)


def _check(body: Body, setting: Setting, verdict: Verdict, sink: Sink) -> None:
    recurrent = [c for c in verdict.components if c.family != "none"]
    for word, _ in setting.choices:
        mode = next((m for m in MODES if m == _NAMES.get(word, word)), None)
        wrong = [c for c in recurrent if mode is not None and not c.modes[mode].legal]
        if mode is None or len(wrong) < len(recurrent) or not wrong:
            continue
        common = [m for m in MODES if any(c.modes[m].legal for c in recurrent)]
        sink.report(
            "SEQ0511",
            f"the scan mode `{word}` is not legal for {_states(wrong[0])}",
            setting.span,
            label=_short(wrong[0].modes[mode].why),
            notes=(Note(f"`{body.name}` can run as {', '.join(common)}"),),
            help="\n".join(f"scan = {m}" for m in ("auto", *common) if m != word),
        )


def _states(c: Component) -> str:
    return "{" + ", ".join(f"`{s}`" for s in c.states) + "}" if len(c.states) > 1 else f"`{c.states[0]}`"


def _short(why: str) -> str:
    return why if len(why) <= 110 else why[:109].rstrip() + "…"

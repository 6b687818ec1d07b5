"""Checks a `schedule`: its words and their options. Whether a mode is legal is the analysis' business.

Refuses: SEQ0236 (no such setting), SEQ0237 (no such choice), SEQ0238 (options of a choice).
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.compiler.check import expressions
from seqc.compiler.check.context import Context, Untypable
from seqc.compiler.diagnostics.diagnostic import Note
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.ir import syntax as s

SCANS = {
    "auto": (),
    "sequential": (),
    "associative": (),
    "chunked": ("length",),
    "quadratic": (),
    "convolution": (),
    "attention": (),
    "wavefront": (),
    "newton": ("jacobian", "trust", "tolerance", "iterations"),
}
BACKWARDS = ("recompute", "store", "invert")


def settings(c: Context, lines: Sequence[s.Setting]) -> tuple[spec.Setting, ...]:
    """The checked settings."""
    out = []
    seen: dict[str, Span] = {}
    for line in lines:
        if line.name.text in seen:
            c.sink.report("SEQ0236", f"`{line.name}` is set twice", line.name.span, notes=(Note("first here", seen[line.name.text]),))
            continue
        seen[line.name.text] = line.name.span
        try:
            out.append(_setting(c, line))
        except Untypable:
            continue
    return tuple(out)


def _setting(c: Context, line: s.Setting) -> spec.Setting:
    if line.name.text == "stop":
        where, equation, c.where, c.equation = c.where, c.equation, "equation", "stop"
        try:
            return spec.Setting("stop", condition=expressions.truth(c, expressions.typed(c, line.values[0])), span=line.span)
        finally:
            c.where, c.equation = where, equation
    if line.name.text not in ("scan", "backward"):
        near = nearest(line.name.text, ["scan", "backward", "stop"])
        raise c.fail(
            "SEQ0236",
            f"a schedule has no `{line.name}`",
            line.name.span,
            label="scan, backward or stop",
            help=c.written.paste(line.name.span, near or "scan"),
        )
    choices = []
    for v in line.values:
        word = v.function if isinstance(v, s.Call) else v.id if isinstance(v, s.Name) else ""
        known = tuple(SCANS) if line.name.text == "scan" else BACKWARDS
        if word not in known:
            near = nearest(word, list(known))
            raise c.fail(
                "SEQ0237",
                f"there is no {line.name} `{word or '…'}`",
                v.span,
                label=", ".join(known),
                help=c.written.paste(v.span, near or known[0]),
            )
        choices.append((word, _options(c, v, word) if isinstance(v, s.Call) else ()))
    return spec.Setting(line.name.text, tuple(choices), span=line.span)


def _options(c: Context, call: s.Call, word: str) -> tuple[tuple[str, str | float | int], ...]:
    allowed = SCANS.get(word, ())
    out: list[tuple[str, str | float | int]] = []
    given = [*zip(allowed, call.arguments, strict=False), *((k.name, k.value) for k in call.keywords)]
    spans = {k.name: k.name_span for k in call.keywords}
    if len(call.arguments) > len(allowed):
        raise c.fail("SEQ0238", f"`{word}` takes {', '.join(allowed) or 'no options'}", call.span)
    for name, value in given:
        if name not in allowed:
            near = nearest(name, list(allowed))
            raise c.fail(
                "SEQ0238",
                f"`{word}` has no option `{name}`",
                spans.get(name, value.span),
                label=f"it has {', '.join(allowed)}" if allowed else "it has none",
                help=c.written.paste(spans.get(name, value.span), near)
                if near
                else c.written.paste(call.span, word)
                if not allowed
                else "",
            )
        if isinstance(value, s.Name) and name == "jacobian":
            if value.id not in ("full", "diagonal", "none"):
                raise c.fail("SEQ0238", "a Jacobian is full, diagonal or none", value.span, help=c.written.paste(value.span, "diagonal"))
            out.append((name, value.id))
            continue
        number = expressions.typed(c, value)
        if not isinstance(number, x.Literal_) or isinstance(number.value, bool | str) or number.value <= 0:
            raise c.fail("SEQ0238", f"`{name}` is a positive number", value.span)
        out.append((name, number.value))
    return tuple(out)

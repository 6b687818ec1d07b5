"""The checked spec as text: `seqc explain SPEC --stage spec`.

In the language as far as it goes: every name with its axes, type, range and start, the parameters that layers own after the
line that owns them, layers taken apart into contractions.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.compiler.driver.words import range_text, topology_text
from seqc.compiler.graph.printer import show
from seqc.compiler.ir.spec import Body, Index, Program, Value

_WORDS = {"input": "in ", "let": "", "hidden": ""}


def spec_text(program: Program) -> str:
    """Every body the main file reaches, its own first."""
    keys = [*program.exports, *(k for k in program.bodies if k not in program.exports)]
    return "\n".join("\n".join(_body(program.bodies[k])) + "\n" for k in keys)


def _body(body: Body) -> Iterator[str]:
    holes = ", ".join(h.name + (f" = {h.default.key or h.default.function}" if h.default else "") for h in body.holes)
    head = topology_text(body).partition(" ")
    yield f"{head[0]} {body.name}" + (f"({holes})" if holes else "") + (f" {head[2]}" if head[2] else "") + f":    # {body.key}"
    for d in body.dims:
        yield f"    dim {d.name}" + (f" = {show(d.value)}" if d.value is not None else "")
    for name, size in body.sizes:
        yield f"    # {name} has {show(size)} entries"
    for i in body.indices:
        yield f"    index {_index(i)}"
    for level in body.levels:
        yield f"    # {level.kind} {level.id} in {show(level.low)}..{show(level.high)}"
    for v in body.values:
        yield f"    {_value(v)}"
    for out in body.outs:
        if body.table[out].kind != "out":
            yield f"    out {out}"


def _index(i: Index) -> str:
    if i.low is not None and i.high is not None:
        return f"{i.name} in {show(i.low)}..{show(i.high)}"
    where = f" where {show(i.where)}" if i.where is not None else ""
    facts = [w for w, on in (("ahead", i.ahead), ("past", i.past), ("whole", i.whole)) if on]
    if i.bound is not None:
        facts.append(f"at most {show(i.bound)} back")
    return f"{i.name}{f' of {i.of}' if i.of else ''}{where}" + (f"    # {', '.join(facts)}" if facts else "")


def _value(v: Value) -> str:
    kind = _WORDS.get(v.kind, f"{v.kind} ")
    axes = "" if v.axes is None else f" : [{', '.join(v.axes)}]"
    of = f" of {v.type}" if v.type != "real" else f" of {v.width}" if v.width else ""
    bounds = range_text(v)
    start = "" if v.start is None else f" init {'param ' if v.learned else ''}{show(v.start)}"
    value = "" if v.value is None else f" = {show(v.value)}"
    notes = [f"of {v.owner}"] if v.owner else []
    notes += [f"in {', '.join(v.level)}"] if v.level else []
    notes += ["hidden"] if v.kind == "hidden" else []
    home = f" over {v.home}" if v.home else ""
    return (
        f"{kind}{v.name}{axes}{of}{f' in {bounds}' if bounds else ''}{home}{' once' if v.once else ''}"
        f"{' fixed' if v.fixed else ''}{start}{value}" + (f"    # {', '.join(notes)}" if notes else "")
    )

"""The bodies of a program: in which order their classes stand, how they are called, and which of them can run.

Refuses: SEQ0512 to SEQ0514, what later issues bring (grids, trees, graphs, values over calls, texts).
"""

from __future__ import annotations

from seqc.compiler.check.rules.looks_ahead import where
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import refuse
from seqc.compiler.lower.reference.histories import histories_of, uses_count
from seqc.compiler.lower.reference.names import Namer
from seqc.compiler.lower.reference.schedule import chain_of

LATER = {"grid": "grids", "tree": "trees", "dag": "graphs", "graph": "graphs"}


def check_scope(body: spec.Body) -> None:
    """Refuses what the next issues bring."""
    for f in body.topology:
        if f.kind in LATER:
            raise refuse("SEQ0512", f"{body.name} runs over a {f.kind}; {LATER[f.kind]} come with a later version", body.span)
    if len(body.topology) > 1:
        raise refuse("SEQ0512", f"{body.name} runs over a product of topologies; products come with a later version", body.span)
    for v in body.values:
        if v.kind == "state" and v.home == "call":
            raise refuse("SEQ0513", f"the state `{v.name}` of {body.name} outlives the call; such states come with a later version", v.span)
        if v.home == "edge":
            raise refuse("SEQ0512", f"`{v.name}` lives on edges; graphs come with a later version", v.span)
        if v.type == "text":
            raise refuse("SEQ0514", f"`{v.name}` is a text; texts and operators of the host come with a later version", v.span)


def class_names(program: spec.Program) -> dict[str, str]:
    """A Python name for each body; the main file's own ones keep theirs."""
    namer = Namer(frozenset({"OPERATORS", "native", "kernel", "tl", "sq"}))
    out: dict[str, str] = {}
    for key in (*program.exports, *(k for k in program.bodies if k not in program.exports)):
        body = program.bodies[key]
        wish = (
            body.name
            if key in program.exports or body.name not in out.values()
            else f"{body.name}_{key.partition(':')[0].rpartition('.')[2]}"
        )
        out[key] = namer.fresh(wish)
        for suffix in ("State", "Outs", "Losses"):
            namer.taken.add(out[key] + suffix)
    for key, op in program.operators.items():
        out[f"operator {key}"] = f"combine_{op.name}"
    return out


def callees_first(program: spec.Program) -> list[str]:
    """Bodies in an order in which each stands after those it calls; only those that an export reaches."""
    done: list[str] = []
    seen: set[str] = set()
    for start in program.exports:
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                done.append(key)
                continue
            if key in seen or key not in program.bodies:
                continue
            seen.add(key)
            stack.append((key, True))
            stack.extend((k, False) for k in reversed(called_keys(program.bodies[key])))
    return done


_looking: list[tuple[spec.Program, dict[str, tuple[int, str]]]] = []


def looking_ahead(program: spec.Program) -> dict[str, tuple[int, str]]:
    """The bodies that look ahead along their chain, with the line and the reason. The last program's answer is kept."""
    if not _looking or _looking[0][0] is not program:
        found: dict[str, tuple[int, str]] = {}
        for key in callees_first(program):
            why = where(program.bodies[key], set(found))
            if why is not None:
                found[key] = why
        _looking[:] = [(program, found)]
    return _looking[0][1]


def called_keys(body: spec.Body) -> list[str]:
    """The bodies that a body names: called, in holes by default, or put into a callee's hole."""
    out: list[str] = []

    def add(c: x.Callee) -> None:
        if c.key:
            out.append(c.key)
        for _, inner in c.holes:
            add(inner)

    for h in body.holes:
        if h.default is not None:
            add(h.default)
    for v in body.values:
        for root in (v.value, v.start):
            if root is not None:
                for n in x.walk(root):
                    if isinstance(n, x.Invoke):
                        add(n.callee)
    return out


def keeps_state(program: spec.Program, key: str, depth: int = 0) -> bool:
    """Whether a body has anything to remember between steps."""
    body = program.bodies[key]
    chain = chain_of(body)
    if not chain or depth > 16:
        return bool(chain)
    names = [v.name for v in body.values if v.kind not in ("param", "const", "loss")]
    if histories_of(body, names) or uses_count(body, names):
        return True
    for v in body.values:
        for e in x.walk(v.value) if v.value is not None else ():
            if isinstance(e, x.Scan):
                return True
            if isinstance(e, x.Invoke) and (
                e.callee.hole or e.callee.key in program.bodies and keeps_state(program, e.callee.key, depth + 1)
            ):
                return True
    return False

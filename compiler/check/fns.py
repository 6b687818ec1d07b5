"""Looks at every `fn` once, whether it is called or not: it knows its own arguments, and functions; it does not call itself.

In:   the definitions of each file.     Out:  the keys of those that are wrong; calls of them say nothing more.
Refuses: SEQ0201 (two parameters alike), SEQ0220 (a name that is no argument), SEQ0226 (a function that is nowhere), SEQ0229 (a
         circle of fns), SEQ0429 (a layer inside).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seqc.compiler.check.context import Definitions
from seqc.compiler.check.words import CONSTANTS, FUNCTIONS, LAYERS
from seqc.compiler.check.written import Written, import_of
from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import syntax as s

AXES = ("over", "per", "to", "name", "border", "pad", "own", "along")
"""Keywords whose values are names of axes and words."""


def check_fns(scopes: Mapping[str, Definitions], sink: Sink, written: Written) -> set[str]:
    """The keys of the fns that are wrong."""
    fns = {key: (line, scope) for home, scope in scopes.items() for key, line in scope.fns.values() if key.startswith(f"{home}:")}
    wrong = {key for key, (line, scope) in fns.items() if not _sound(line, scope, sink, written)}
    for loop, call in _circles(fns):
        line = fns[loop[0]][0]
        if not wrong & set(loop):
            sink.report(
                "SEQ0229",
                f"the fn `{line.name}` calls itself" + (f" through `{call.function}`" if len(loop) > 1 else ""),
                call.function_span,
                label="a recurrence is a state, repetition is `rounds`",
                notes=(Note("declared here", line.name.span),),
            )
        wrong.update(loop)
    return wrong


def _sound(line: s.Fn, scope: Definitions, sink: Sink, written: Written) -> bool:
    before = len(sink.found)
    seen: dict[str, Span] = {}
    for p in line.parameters:
        if p.text in seen:
            sink.report(
                "SEQ0201", f"`{line.name}` has two parameters `{p}`", p.span, notes=(Note("the first one", seen[p.text]),),
                help=written.paste(p.span, f"{p}2"),
            )  # fmt: skip
        seen.setdefault(p.text, p.span)
    for n in _parts(line.value):
        if isinstance(n, s.Name) and n.id not in seen and n.id not in CONSTANTS:
            near = nearest(n.id, seen)
            sink.report(
                "SEQ0220",
                f"`{n.id}` is no argument of the fn `{line.name}`",
                n.span,
                label=f"did you mean `{near}`?" if near else "a fn knows its own arguments only",
                help=written.paste(n.span, near) if near else written.paste(line.parameters[-1].span, f"{line.parameters[-1]}, {n.id}"),
            )
        elif isinstance(n, s.Call) and n.function in LAYERS:
            sink.report(
                "SEQ0429", "a `fn` has no layers inside", n.function_span, label="what has layers is a block", help=f"block {line.name}:"
            )
        elif isinstance(n, s.Call) and n.function not in FUNCTIONS and n.function not in scope.names():
            near = nearest(n.function, [*FUNCTIONS, *scope.names()])
            sink.report(
                "SEQ0226",
                f"there is no function, layer or body `{n.function}`",
                n.function_span,
                label=f"did you mean `{near}`?" if near else "",
                help=written.paste(n.function_span, near) if near else import_of(n.function),
            )
    return len(sink.found) == before


def _parts(e: s.Expr) -> Iterator[s.Expr]:
    """The parts of an expression that are values: not the names of axes."""
    stack: list[s.Expr] = [e]
    while stack:
        n = stack.pop()
        yield n
        match n:
            case s.Call(function=f):
                below = [k.value for k in n.keywords if k.name not in AXES and f not in ("split", "merge")]
                stack += reversed([*(n.arguments if f not in ("pos", "len", "eye", "scan") else ()), *below])
            case s.Binary() | s.Compare() | s.Logical():
                stack += [n.right, n.left]
            case s.Not() | s.Negative():
                stack.append(n.operand)
            case s.Read():
                stack += [n.base, *(i.index if isinstance(i, s.At) else i for i in n.items)]
            case s.Field():
                stack.append(n.base)


def _circles(fns: Mapping[str, tuple[s.Fn, Definitions]]) -> Iterator[tuple[list[str], s.Call]]:
    """Fns that come back to themselves, with the call of the first one that leads there; one circle for each way back."""
    calls = {key: _calls(line, scope, fns) for key, (line, scope) in fns.items()}
    done: set[str] = set()
    for start in fns:
        path: list[str] = []
        inside: set[str] = set()
        stack = [start]
        while stack:
            key = stack[-1]
            if key in done:
                stack.pop()
            elif key in inside:
                stack.pop()
                inside.discard(path.pop())
                done.add(key)
            else:
                path.append(key)
                inside.add(key)
                for to in calls[key]:
                    if to in inside:
                        loop = path[path.index(to) :]
                        yield loop, calls[loop[0]][loop[1] if len(loop) > 1 else to]
                    elif to not in done:
                        stack.append(to)


def _calls(line: s.Fn, scope: Definitions, fns: Mapping[str, object]) -> dict[str, s.Call]:
    """The fns that a fn calls, with the first call of each."""
    out: dict[str, s.Call] = {}
    for n in _parts(line.value):
        if isinstance(n, s.Call) and n.function in scope.fns and scope.fns[n.function][0] in fns:
            out.setdefault(scope.fns[n.function][0], n)
    return out

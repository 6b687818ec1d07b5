"""Sound texts to start from: every bundled spec and sketch, and every body of them with the definitions that it needs."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path

import seqc.specs
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.frontend.imports import load
from seqc.compiler.ir import syntax as s

SKETCHES = Path(__file__).resolve().parents[1] / "sketches"
SPECS = Path(str(seqc.specs.__file__)).parent


@cache
def files() -> tuple[Path, ...]:
    """Every sketch and bundled spec."""
    return (*sorted(SKETCHES.glob("*.seq")), *sorted(SPECS.glob("*/*.seq")))


@cache
def pieces() -> tuple[tuple[Path, str, str], ...]:
    """File, name and text of each body, cut out with what it names in its file; imports stay."""
    out = []
    for path in files():
        project = load(str(path), Sink())
        assert project is not None
        lines = project.sources[project.main.path].text.split("\n")
        definitions = {d.name.text: d for d in project.main.definitions}
        head = ["seq 1", *(lines[i.span.line - 1] for i in project.main.imports)]
        for name, d in definitions.items():
            if not isinstance(d, s.Body):
                continue
            wanted, stack = {name}, [name]
            while stack:
                for word in _words(definitions[stack.pop()]) & set(definitions) - wanted:
                    wanted.add(word)
                    stack.append(word)
            cut = [lines[e.span.line - 1 : _end(e, lines)] for n, e in definitions.items() if n in wanted]
            out.append((path, name, "\n".join([*head, "", *("\n".join(c) + "\n" for c in cut)])))
    return tuple(out)


def _end(d: s.Definition, lines: list[str]) -> int:
    """The last line of a definition: what follows is indented deeper, or empty."""
    end = d.span.line
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    return end


def _words(node: object) -> set[str]:
    """Every name in a part of the syntax tree."""
    out: set[str] = set()
    stack = [node]
    while stack:
        n = stack.pop()
        if isinstance(n, str):
            out.add(n)
        elif isinstance(n, tuple):
            stack.extend(n)
        elif isinstance(n, s.Node):
            stack.extend(getattr(n, f.name) for f in fields(n) if f.name != "span")
    return out

"""What a SPEC on the command line names: a file or a bundled spec, and perhaps one of its bodies.

`gru`, `cells/my.seq`, `gru:ChoGRU`, `cells/my.seq:Cell`. Whether the file is there is the front end's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.bundled import bundled
from seqc.compiler.ir.spec import Body, Program

_BODY = re.compile(r"(?P<spec>.+):(?P<body>[A-Za-z_][A-Za-z0-9_]{0,63})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """`spec` is a path or a bundled name, `body` the body asked for or ""."""

    spec: str
    body: str = ""

    @property
    def stem(self) -> str:
        """The last part of the name, without `.seq`: `gru`."""
        return Path(self.spec).name.removesuffix(".seq").rpartition(".")[2]


def target_of(text: str) -> Target:
    """The target that `text` names; a file whose name has a colon in it is a file."""
    match = _BODY.fullmatch(text)
    if match is None or _is_file(text):
        return Target(text)
    return Target(match["spec"], match["body"])


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def is_bundled(spec: str) -> bool:
    """Whether `spec` is the name of a bundled spec."""
    return spec in bundled()


def chosen(program: Program, target: Target) -> list[Body]:
    """The bodies that a target names: the one asked for, or all that the file exports. Raises `Unusable`."""
    names = [program.bodies[key].name for key in program.exports]
    if not target.body:
        return [program.bodies[key] for key in program.exports]
    for key in program.exports:
        if program.bodies[key].name == target.body:
            return [program.bodies[key]]
    near = nearest(target.body, names)
    what = f"it has {', '.join(names)}" if names else "it has no bodies, only functions or operators"
    raise Unusable(f"`{target.spec}` has no body `{target.body}`", f"did you mean `{target.spec}:{near}`?" if near else what)


def main_body(bodies: list[Body], target: Target) -> Body:
    """The one body that a command for a single body takes. Raises `Unusable` where there is none."""
    found = principal(target.stem, bodies)
    if found is None:
        raise Unusable(f"`{target.spec}` has no body to run", "it holds functions or operators only")
    return found


def principal(name: str, bodies: list[Body]) -> Body | None:
    """The body that a file is about: the one called like it, else the first model or cell, else the first."""
    plain = name.replace("_", "").lower()
    for body in bodies:
        if body.name.replace("_", "").lower() == plain:
            return body
    return next((b for b in bodies if b.kind != "block"), bodies[0] if bodies else None)

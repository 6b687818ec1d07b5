"""Python text under construction: blocks of lines that can still grow while later lines are written.

A loop's block stands in its parent from the moment the loop begins, so that something found to be needed outside can be collected in
it afterwards (a list before the loop, an `append` at its end).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Block:
    """Lines and nested blocks; nested ones are printed one step further in when they have a header."""

    items: list[str | Block] = field(default_factory=list)
    header: str = ""

    def add(self, line: str) -> None:
        """One more line (or several, separated by line ends)."""
        self.items.extend(line.split("\n"))

    def nest(self, header: str = "") -> Block:
        """A block inside this one; without a header its lines stand on the same level."""
        made = Block(header=header)
        self.items.append(made)
        return made

    @property
    def empty(self) -> bool:
        """Whether it prints nothing."""
        return not any(isinstance(i, str) or i.header or not i.empty for i in self.items)

    def lines(self, depth: int = 0) -> list[str]:
        """The text, four spaces a step. Not recursive in the depth of expressions, only of loops."""
        out: list[str] = []
        for i in self.items:
            if isinstance(i, str):
                out.append("    " * depth + i if i else "")
            elif i.header:
                out.append("    " * depth + i.header)
                body = i.lines(depth + 1)
                out += body or ["    " * (depth + 1) + "pass"]
            else:
                out += i.lines(depth)
        return out


def wrapped(head: str, parts: list[str], end: str) -> list[str]:
    """`head part, part end` on one line where it fits, else a line each."""
    one = head + ", ".join(parts) + end
    if len(one) <= 110:
        return [one]
    return [head, *(f"    {p}," for p in parts), end]

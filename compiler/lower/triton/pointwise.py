"""A kernel of one step as one Triton function: the elementwise work between two products, over all sequences and axes.

In:   a stage (`kernels.stages`): a kernel without carries, its operands rows at one step or buffers.
Out:  lines of Python. The function takes what the sequential one takes, without scratch, and which step it is: J steps after the
      number that lies at `clock`, so that a graph of launches can be played again. Backwards in time that is J steps before the last
      one.
Keeps: the rules of emitted kernels. A buffer has no step between times; every stride is given.
"""

from __future__ import annotations

from seqc.compiler.ir.expr import Axes
from seqc.compiler.ir.kernel import Arg, Operand, Var
from seqc.compiler.lower.kernels.split import words
from seqc.compiler.lower.kernels.stages import Stage
from seqc.compiler.lower.triton.sequential import Sequential


def cut_along(stage: Stage) -> Axes:
    """The axes along which a stage is cut: at least one result has to be spread out, and what is read in the same step is no share of a
    sum."""
    k, found = stage.kernel, []
    for a in k.axes:
        said = words(k, a)
        if said is None or all(said[v.id] != "own" for v in k.rows):
            continue
        if all(said[v.id] != "part" or what in ("row", "sum") for v, (what, _) in zip(k.rows, stage.targets, strict=True)):
            found.append(a)
    return tuple(found)


class Pointwise(Sequential):
    """Writes one function, called `name`."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.starts: dict[int, Arg] = {v.id: a for v, a in stage.starts}
        super().__init__(name, stage.kernel, cut_along(stage), ())

    def unit(self, i: int, axis: str) -> bool:
        """Buffers lie as products want them."""
        return False

    def arguments(self) -> list[str]:
        """With the step's number."""
        out = super().arguments()
        at = out.index("B")
        return [*out[:at], "clock", *out[at : at + 3], "J", *out[at + 3 :]]

    def reads(self, v: Var) -> bool:
        """Also where a carry starts."""
        return super().reads(v) or any(a == v for a in self.starts.values())

    def pasts(self) -> list[Operand]:
        """Operands that are carries before the step."""
        return [o for o in self.k.operands if o.kind == "past"]

    def forwards(self) -> None:
        """The one step."""
        t = self.text
        t.add("at = tl.load(clock) + J")
        if self.k.reverse:
            t.add("at = T - 1 - at")
        for o in self.pasts():
            self.begin(f"first{o.var.id}", o.var, self.starts[o.var.id])
            self.before(o)
        self.step(self.k.operands)

"""A kernel executed as it reads, one statement after the other with torch operations: the measure of every emitter.

Values are [batch, axes of the value]; axes that an operand of a statement lacks are inserted with size 1. Autograd differentiates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqc.compiler.ir.kernel import Apply, Arg, Kernel, Product, Reduce, Rename, Statement, Var


def _expdiff(a: Tensor, b: Tensor) -> Tensor:
    a, b = torch.broadcast_tensors(a, b)
    gone = a == -torch.inf
    return torch.where(gone, 0.0, torch.exp(torch.where(gone, 0.0, a) - torch.where(gone, 0.0, b)))


FUNCTIONS: dict[str, Any] = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "neg": torch.neg, "pow": torch.pow,
    "min": torch.minimum, "max": torch.maximum, "mod": torch.remainder, "expdiff": _expdiff, "logaddexp": torch.logaddexp,
    "copy": lambda a: a, "exp": torch.exp, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p, "tanh": torch.tanh,
    "sigmoid": torch.sigmoid, "silu": F.silu, "softplus": lambda x: F.softplus(x, 1.0, 40.0), "logsigmoid": F.logsigmoid,
    "sin": torch.sin, "cos": torch.cos, "atan": torch.atan, "erf": torch.erf, "gelu": F.gelu, "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt, "abs": torch.abs, "sign": torch.sign, "floor": torch.floor, "ceil": torch.ceil, "relu": F.relu,
    "where": torch.where, "number": lambda a: a.double(), "stop": lambda a: a.detach(),
    "through": lambda a, b: a.detach() + (b - b.detach()), "lt": torch.lt, "le": torch.le, "eq": torch.eq, "ne": torch.ne,
    "and": torch.logical_and, "or": torch.logical_or, "not": torch.logical_not,
}  # fmt: skip


class _Values:
    """What is known at one place of the execution."""

    def __init__(self, k: Kernel, batch: int, sizes: dict[str, int]) -> None:
        self.k, self.batch, self.sizes = k, batch, sizes
        self.held: dict[int, Tensor] = {}

    def full(self, v: Var, x: Tensor) -> Tensor:
        return x.expand(self.batch, *(self.sizes[a] for a in v.axes))

    def arg(self, a: Arg, axes: tuple[str, ...]) -> Tensor:
        if not isinstance(a, Var):
            return torch.tensor(float(a), dtype=torch.float64)
        x = self.held[a.id]
        shape = [self.batch] + [self.sizes[n] if n in a.axes else 1 for n in axes]
        return x.reshape(shape)

    def run(self, statements: Sequence[Statement]) -> None:
        for s in statements:
            if isinstance(s, Apply):
                args = [self.arg(a, s.out.axes) for a in s.args]
                if s.fn == "where" and not isinstance(s.args[0], Var):
                    args[0] = args[0] != 0
                self.held[s.out.id] = self.full(s.out, FUNCTIONS[s.fn](*args))
            elif isinstance(s, Product):
                self.held[s.out.id] = self.product(s)
            elif isinstance(s, Rename):
                names = dict(s.pairs)
                now = [names.get(a, a) for a in s.arg.axes]
                self.held[s.out.id] = self.held[s.arg.id].permute(0, *(1 + now.index(a) for a in s.out.axes))
            else:
                self.held[s.out.id] = self.reduced(s)

    def product(self, s: Product) -> Tensor:
        """Every weight here has one entry for each sequence."""
        letters = {v: chr(ord("a") + i) for i, v in enumerate(self.k.axes)}
        called = {w: letters[v] for w, v in s.to}
        called |= {w: letters[v].upper() for w, v in s.over}
        gone = {v for _, v in s.over}
        weight = "z" + "".join(called[a] for a in s.weight.axes)
        arg = "z" + "".join(letters[a].upper() if a in gone else letters[a] for a in s.arg.axes)
        out = "z" + "".join(letters[a] for a in s.out.axes)
        return torch.einsum(f"{weight},{arg}->{out}", self.held[s.weight.id], self.held[s.arg.id])

    def reduced(self, s: Reduce) -> Tensor:
        x = self.held[s.arg.id]
        dims = [1 + s.arg.axes.index(a) for a in s.over]
        return {"sum": torch.sum, "max": torch.amax, "min": torch.amin}[s.fn](x, dims)


def interpret(k: Kernel, operands: Sequence[Any], sizes: dict[str, int], batch: int, length: int) -> tuple[list[Tensor], list[Tensor]]:
    """Rows [batch, time, axes] and carries after the last step [batch, axes], in float64."""
    values = _Values(k, batch, sizes)
    steps: list[tuple[Var, Tensor]] = []
    for o, x in zip(k.operands, operands, strict=True):
        if o.kind == "step":
            steps.append((o.var, x.double()))
        elif o.kind == "number":
            values.held[o.var.id] = torch.full((batch,), float(x), dtype=torch.float64)
        else:
            values.held[o.var.id] = values.full(o.var, x.double() if o.kind == "run" else x.double()[None])
    values.run(k.prologue)
    for c in k.carries:
        start = values.held[c.init.id] if isinstance(c.init, Var) else torch.tensor(float(c.init), dtype=torch.float64)
        values.held[c.previous.id] = values.full(c.previous, start)
    rows: list[list[Tensor]] = [[] for _ in k.rows]
    for t in range(length):
        for v, x in steps:
            values.held[v.id] = x[:, t]
        values.run(k.step)
        for found, v in zip(rows, k.rows, strict=True):
            found.append(values.held[v.id])
        after = [values.held[c.next.id] for c in k.carries]
        for c, x in zip(k.carries, after, strict=True):
            values.held[c.previous.id] = x
    stacked = [
        torch.stack(r, 1) if r else torch.empty(batch, 0, *(sizes[a] for a in v.axes), dtype=torch.float64)
        for r, v in zip(rows, k.rows, strict=True)
    ]
    return stacked, [values.held[c.previous.id] for c in k.carries]

"""How much arithmetic each function of the kernel IR is on a GPU.

In:   the functions of `ir.kernel`.   Out: `WORK`, for each of them operations of arithmetic units and of special-function units, and how
many of each stand one after the other.

Counted in what the emitters write (`runtime.triton.functions` and the device's own forms): an exponential is a multiply and exp2, a
quotient a reciprocal and two operations, a sigmoid an exponential and a quotient, tanh that, a polynomial and a choice between them.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.compiler.ir.kernel import BOOL_FUNCTIONS, REAL_FUNCTIONS


@dataclass(frozen=True, slots=True)
class Work:
    """Operations (`plain` and `special`), and those of them that wait for each other (`deep_…`)."""

    plain: int
    special: int = 0
    deep_plain: int = 1
    deep_special: int = 0


_NONE = Work(0, 0, 0, 0)
_MORE = {
    "div": Work(2, 1, 1, 1),
    "pow": Work(6, 2, 4, 2),
    "mod": Work(7, 1, 6, 1),
    "expdiff": Work(6, 1, 4, 1),
    "logaddexp": Work(14, 3, 9, 3),
    "exp": Work(1, 1, 1, 1),
    "expm1": Work(11, 3, 6, 3),
    "log": Work(1, 1, 1, 1),
    "log1p": Work(9, 2, 5, 2),
    "tanh": Work(20, 2, 6, 2),
    "sigmoid": Work(4, 2, 3, 2),
    "silu": Work(4, 2, 3, 2),
    "softplus": Work(13, 3, 7, 3),
    "logsigmoid": Work(13, 3, 7, 3),
    "sin": Work(18, 0, 12),
    "cos": Work(18, 0, 12),
    "atan": Work(18, 1, 12, 1),
    "erf": Work(18, 1, 12, 1),
    "gelu": Work(21, 1, 14, 1),
    "sqrt": Work(2, 1, 2, 1),
    "rsqrt": Work(1, 1, 1, 1),
    "sign": Work(3, 0, 2),
    "relu": Work(2, 0, 1),
    "copy": _NONE,
    "stop": _NONE,
    "through": _NONE,
}

WORK: dict[str, Work] = {name: _MORE.get(name, Work(1)) for name in (*REAL_FUNCTIONS, *BOOL_FUNCTIONS)}
"""For each function of the kernel IR."""

"""Codes of warnings (SEQ-W), for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

_E = CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = (
    _E(
        "SEQ-W01",
        "a value is read only with a lag",
        "In a cell, the value of this step is used nowhere, so the last step's value is computed for nothing; often a "
        "lag stands where the value of this step was meant. Where it is meant, `# seqc: allow SEQ-W01 reason` on the "
        "line silences it.",
        "k : [D] init 0 = 2 * x\ny : [D] = k[t-1] + x",
        "k : [D] = 2 * x\ny : [D] = k + x",
    ),
    _E(
        "SEQ-W02",
        "an `expdiff` that may overflow",
        "`expdiff(a, b)` is `exp(a - b)`. It stays in [0, 1] where b is a maximum or a `logaddexp` that includes a; "
        "otherwise it may overflow.",
        "in s : []\nstate m : [] init -inf\nm = max(m[t-1], 0)\ny : [] = expdiff(s, m)",
        "in s : []\nstate m : [] init -inf\nm = max(m[t-1], s)\ny : [] = expdiff(s, m)",
    ),
    _E(
        "SEQ-W03",
        "an axis is mixed that may have been meant to stay",
        "A layer mixes all dims of its operand. An axis that stands in the operand and in the result, beside other dims "
        "that are mixed with it, is often a head that was to have its own weights: `per = H`. Where all of it is meant "
        "to be mixed, `over = [H, K]` says so.",
        "k : [H, K] = linear(x)\ny : [H] = linear(k)",
        "k : [H, K] = linear(x)\ny : [H] = linear(k, per = H)",
    ),
    _E(
        "SEQ-W04",
        "a value that nothing reads",
        "No out, loss or state depends on the value. It may be a slip of a name elsewhere, or an `out` is missing.",
        "twice : [D] = 2 * x",
        "out twice : [D] = 2 * x",
    ),
    _E(
        "SEQ-W05",
        "a value minus itself",
        "The difference of two equal expressions is always 0.",
        "out y : [D] = x - x",
        "out y : [D] = x - stop(x)",
    ),
)

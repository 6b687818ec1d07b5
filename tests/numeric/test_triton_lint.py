"""The rules of emitted Triton functions: every planted violation is found, and nothing in what is emitted."""

from __future__ import annotations

import re

import pytest

import seqc
from numeric.random_kernels import random_kernel
from seqc.compiler.frontend.bundled import bundled
from seqc.compiler.lower.triton.emit import made
from seqc.compiler.lower.triton.lint import RULES, RuleBroken, checked, lint


def text_of(spec: str) -> str:
    """The Triton functions of a spec's module."""
    text = seqc.compile(spec)
    return text[text.index("@kernel") :]


MAMBA = text_of("mamba1")
GRU = text_of("mingru")
SOFTMAX = text_of("softmax_sum")
DENSE = text_of("gru")
HEADS = text_of("slstm")

VIOLATIONS = [
    ("grid", GRU, "tl.program_id(0)", "tl.program_id(1)"),
    ("grid", GRU, "rest = program\n", "rest = program + tl.program_id(0)\n"),
    ("grid", GRU, "rest = program\n", "rest = program % tl.num_programs(0)\n"),
    ("int64", GRU, "tl.cast(tl.program_id(0), tl.int64)", "tl.cast(tl.program_id(0), tl.int32)"),
    ("int64", GRU, "at = tl.cast(t, tl.int64)", "at = t"),
    ("int64", MAMBA, "i0 = tl.cast(tl.arange(0, BLOCK_0)[None, :, None], tl.int64)", "i0 = tl.arange(0, BLOCK_0)[None, :, None]"),
    ("mask", GRU, "mask=mb & m0, other=0.0", "mask=mb, other=0.0"),
    ("mask", GRU, "mask=mb & m0, other=0.0", "mask=m0, other=0.0"),
    ("mask", GRU, ", mask=mb & m0, other=0.0", ""),
    ("mask", GRU, ", mask=mb & m0)", ", mask=mb)"),
    ("mask", GRU, ", mask=mb & m0)", ")"),
    ("mask", GRU, ", other=0.0", ""),
    ("mask", GRU, "m0 = i0 < n0", "m0 = i0 < BLOCK_0"),
    ("mask", GRU, "m0 = i0 < n0", "m0 = i0 <= n0"),
    ("mask", GRU, "mb = ib < B", "mb = ib < T"),
    ("mask", MAMBA, "mask=mb & m0 & m1)", "mask=mb & m1)"),
    ("mask", GRU, "tl.arange(0, BLOCK_0)", "tl.arange(1, BLOCK_0)"),
    ("mask", GRU, " & mt, other=0.0", ", other=0.0"),
    ("mask", GRU, "mt = at < T", "mt = at < C"),
    ("writer", GRU, "i0 = piece0 * BLOCK_0 + ", "i0 = nought + "),
    ("writer", GRU, "ib = group * BLOCK_B + ", "ib = nought + "),
    ("writer", MAMBA, " + piece1 * s12_p1", ""),
    ("writer", MAMBA, "(group * s16_b + ", "("),
    ("writer", MAMBA, "k0 = program * C * ", "k0 = nought * C * "),
    ("writer", GRU, "p3 + (o3 + segment * s3_t), a3_00_all", "p3 + o3, a3_00_all"),
    ("writer", GRU, " & (nought + left == 0)", ""),
    ("combine", SOFTMAX, "v8 = x1 * v7", "v8 = x1 * B"),
    ("combine", SOFTMAX, "v6 = sq.larger(x0, y0)", "v6 = tl.load(x0)"),
    ("combine", SOFTMAX, "v6 = sq.larger(x0, y0)", "v6 = tl.where(x0 > y0, x0, tl.program_id(0))"),
    ("atomic", GRU, "tl.store(", "tl.atomic_add("),
    ("upcast", GRU, ", other=0.0).to(REAL)", ", other=0.0)"),
    ("upcast", GRU, ", other=0.0).to(REAL)", ", other=0.0).to(tl.bfloat16)"),
    ("upcast", GRU, ".dtype.element_ty)", ".dtype)"),
    ("upcast", GRU, "v7 = v4 + v6", "v7 = v4.to(tl.float16) + v6"),
    ("constexpr", GRU, "B, T, C,", "B, T: tl.constexpr, C,"),
    ("constexpr", GRU, "B, T, C,", "B: tl.constexpr, T, C,"),
    ("constexpr", GRU, "n0,", "n0: tl.constexpr,"),
    ("constexpr", GRU, "BLOCK_0: tl.constexpr", "BLOCK_0"),
    ("dot", GRU, "v7 = v4 + v6", "v7 = tl.dot(v4, v6)"),
    ("dot", GRU, "v7 = v4 + v6", 'v7 = tl.dot(v4, v6, input_precision="ieee")'),
    ("dot", DENSE, "input_precision=PRECISION, ", ""),
    ("dot", DENSE, "input_precision=PRECISION", 'input_precision="tf32"'),
    ("dot", DENSE, ", out_dtype=REAL", ""),
    ("dot", DENSE, "out_dtype=REAL", "out_dtype=OPERAND"),
    ("dot", DENSE, "out_dtype=REAL", "out_dtype=tl.float16"),
    ("dot", DENSE, ".to(OPERAND), tl.reshape(u0", ".to(REAL), tl.reshape(u0"),
    ("dot", DENSE, "tl.dot(tl.reshape(x1_0, (BLOCK_B, BLOCK_1)).to(OPERAND)", "tl.dot(tl.trans(yv3).to(OPERAND)"),
    ("dot", DENSE, "x1_0 = tl.where(m1, v1, 0.0)", "x1_0 = tl.permute(tl.where(m1, v1, 0.0), (0, 2, 1))"),
    ("upcast", DENSE, " * u0.to(REAL)[", " * u0["),
    ("upcast", DENSE, "v4 = v0 + v3", "v4 = v0 + v3.to(OPERAND)"),
    ("upcast", DENSE, "other=0.0).to(OPERAND)", "other=0.0)"),
    ("constexpr", DENSE, "DOT: tl.constexpr", "DOT"),
    ("constexpr", DENSE, "clock, B, T, C, J,", "clock, B, T, C, J: tl.constexpr,"),
    ("int64", DENSE, "at = tl.load(clock) + J", "at = J"),
    ("mask", DENSE, "mask=(u0a0 < n0) & (u0a1 < n1)", "mask=(u0a0 < n0)"),
    ("mask", DENSE, "mask=(u0a0 < n0) & (u0a1 < n1)", "mask=(u0a0 < n0) & (u0a1 < n0)"),
    ("int64", HEADS, "u0a1 = tl.cast(tl.arange(0, BLOCK_1)[None, :, None], tl.int64)", "u0a1 = tl.arange(0, BLOCK_1)[None, :, None]"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "good", "bad"), VIOLATIONS, ids=[f"{r}-{i}" for i, (r, *_) in enumerate(VIOLATIONS)])
def test_planted_violations_are_found(rule: str, text: str, good: str, bad: str) -> None:
    assert good in text, "the place is gone: plant elsewhere"
    broken = text.replace(good, bad, 1)
    broken = broken[: broken.index(".TRITON = (")]
    broken = broken[: broken.rindex("\n")]
    found = {f.rule for f in lint(broken)}
    assert rule in found, found
    with pytest.raises(RuleBroken, match=rule):
        checked(broken)


def test_each_rule_has_a_violation() -> None:
    assert {rule for rule, *_ in VIOLATIONS} == set(RULES)


@pytest.mark.parametrize("spec", [s for s in sorted(bundled()) if not s.startswith("operators.")])
def test_bundled_specs_keep_the_rules(spec: str) -> None:
    """Emission refuses what breaks a rule; this reads the module's text once more."""
    text = seqc.compile(spec)
    assert not lint(text)
    assert bool(re.search(r"^@kernel\ndef ", text, re.M)) == bool(re.search(r"^\w+\.TRITON = ", text, re.M))


def test_random_kernels_keep_the_rules() -> None:
    """Emission raises where a rule is broken."""
    for seed in range(200):
        one = made(random_kernel(seed, f"k{seed}"), f"k{seed}")
        for f in one.functions:
            text = "\n".join(f.lines)
            assert text.startswith("@kernel\ndef ") and (seed % 10 or not lint(text))

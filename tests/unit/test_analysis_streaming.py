"""Whether bodies stream, which line looks ahead, and what `step` remembers."""

# ruff: noqa: E501  (a case is one line of text, longer than a line of code)

from __future__ import annotations

import pytest

from seqc.compiler.analysis.analyse import Analyst
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.frontend.imports import load, load_text
from seqc.compiler.ir.spec import Program
from seqc.compiler.ir.verdict import Verdict

LEAK = "cell Leak over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = 0.5 * h[t-1] + x\n    out h\n\n"


def program_of(text: str) -> Program:
    sink = Sink()
    project = load_text(f"seq 1\n{text}", "t.seq", sink)
    sink.stop()
    assert project is not None
    return check(project, sink)


def verdict(lines: str, head: str = "cell C over t:", before: str = LEAK) -> Verdict:
    program = program_of(before + head + "\n" + "\n".join("    " + line for line in lines.split("\n")) + "\n")
    return Analyst(program).verdict(program.exports[-1])


def bundled(name: str) -> Verdict:
    sink = Sink()
    project = load(name, sink)
    assert project is not None
    program = check(project, sink)
    return Analyst(program).verdict(program.exports[0])


CELLS = {
    "plain": ("dim D\nin x : [D]\nout y : [D] = 2 * x", "step", ""),
    "lag": ("dim D\nin x : [D] init 0\nout y : [D] = x - x[t-2]", "step", ""),
    "causal attention": ("dim D\nindex s of t where s <= t\nin x : [D]\nw : [s] = softmax(dot(x, x[s], over = D), over = s)\nout y : [D] = dot(w, x[s], over = s)", "step", ""),
    "prefix": ("dim D, P = 4\nindex s of t where s <= t or s < P\nin x : [D]\nw : [s] = softmax(dot(x, x[s], over = D), over = s)\nout y : [D] = dot(w, x[s], over = s)", "after prefix", "x[s] reads steps after this one on line"),
    "everything": ("dim D\nindex all of t\nin x : [D]\nout y : [D] = sum(x[all], over = all)", "no", "goes over all steps"),
    "length": ("dim D\nin x : [D]\nout y : [D] = x * t / len(t)", "no", "len(t) is not known"),
    "blocks of steps": ("dim D, B = 4\nindex b of t where b * B <= t\nin x : [D]\nstate m : [b, D] init 0\nm = where(b == floor(t / B), m[t-1] + x, m[t-1])\nout y : [D] = sum(m, over = b)", "step", ""),
    "more blocks than have begun": ("dim D, B = 4\nindex b of t where b * B <= t + 2 * B\nin x : [D]\nstate m : [b, D] init 0\nm = where(b == floor(t / B), m[t-1] + x, m[t-1])\nout y : [D] = sum(m, over = b)", "no", "b may be a step after this one"),
    "what only a loss reads": ("dim D\nindex all of t\nin x : [D]\nout y : [D] = 2 * x\nloss e : [] = sum(x[all]^2, over = [all, D])", "step", ""),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str) -> None:
    lines, streams, reason = CELLS[name]
    found = verdict(lines).streaming
    assert found.streams == streams
    assert (reason in str(found.reason)) if reason else found.reason is None


def test_a_cell_that_runs_backwards() -> None:
    found = verdict("dim D\nin x : [D]\nout y : [D] = 2 * x", "cell C over reverse(t):").streaming
    assert found.streams == "no" and "backwards" in str(found.reason)


BLOCKS = {
    "a cell": ("dim D\nin x : [t, D]\nout y : [t, D] = Leak(x)", "step", ""),
    "backwards": ("dim D\nin x : [t, D]\nout y : [t, D] = Leak(x, along = reverse(t))", "no", "Leak runs backwards over t on line"),
    "last": ("dim D\nin x : [t, D]\nh : [t, D] = Leak(x)\nout y : [D] = h[t = len(t) - 1]", "no", "later step"),
    "mean": ("dim D\nin x : [t, D]\nout y : [D] = mean(x, over = t)", "no", "mean over all of t"),
    "running sum": ("dim D\nin x : [t, D]\nout y : [t, D] = cumsum(x, over = t)", "no", "cumsum over all of t"),
    "segments": ("dim D, J = 4\nindex m\nin x : [t, D]\ns : [m, J, D] = split(x, t = [m, J])\nout y : [t, D] = merge(s, t = [m, J])", "by segments", "splits t into segments"),
    "stack": ("dim D, L = 3\nin x : [t, D]\nstack l in 1..L:\n    state h : [t, D] init x\n    h = h[l-1] + Leak(h[l-1])\nout y : [t, D] = h", "step", ""),
    "stack backwards": ("dim D, L = 3\nin x : [t, D]\nstack l in 1..L:\n    state h : [t, D] init x\n    h = h[l-1] + Leak(h[l-1], along = reverse(t))\nout y : [t, D] = h", "no", "backwards"),
    "a whole input beside": ("dim D\nindex u\nin c : [u, D]\nin x : [t, D]\nout y : [t, D] = x + mean(c, over = u)", "after prefix", "c is given whole"),
    "a masked sum": ("dim D\nin x : [t, D]\nin M : [] of int\nz : [t, D] = where(t < M, x, 0)\nout y : [t, D] = x + sum(z, over = t)", "after prefix", "prefix of t"),
    "persistent tokens in front": ("dim D, P = 2\nindex s\nin x : [t, D]\nparam p : [P, D] init 0\nz : [s, D] = concat(p, x, over = [P, t])\nh : [s, D] = Leak(z)\nout y : [t, D] = h[s = t + P]", "after prefix", "something in front of the steps of t"),
    "tokens behind": ("dim D, P = 2\nindex s\nin x : [t, D]\nparam p : [P, D] init 0\nz : [s, D] = concat(x, p, over = [t, P])\nh : [s, D] = Leak(z)\nout y : [t, D] = h[s = t]", "no", "something behind the steps of t"),
    "ahead by one": ("dim D, P = 2\nindex s\nin x : [t, D]\nparam p : [P, D] init 0\nz : [s, D] = concat(p, x, over = [P, t])\nh : [s, D] = Leak(z)\nout y : [t, D] = h[s = t + P + 1]", "no", "later step"),
    "no sequence at all": ("dim D\nin x : [D]\nout y : [D] = 2 * x", "no", "no axis t to step along"),
    "another sequence": ("dim D\nindex u\nin x : [u, D]\nout y : [u, D] = Leak(x)", "no", "no axis t to step along"),
    "along another name": ("dim D\nin x : [t, D]\nout y : [t, D] = Inner(x)", "step", ""),
}
INNER = "block Inner:\n    dim D\n    index u\n    in x : [u, D]\n    out y : [u, D] = Leak(x)\n\n"


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name: str) -> None:
    lines, streams, reason = BLOCKS[name]
    found = verdict(lines, "block B:", LEAK + INNER).streaming
    assert found.streams == streams, found.reason
    assert (reason in str(found.reason)) if reason else found.reason is None


def test_buffers() -> None:
    def found(v: Verdict) -> list[tuple[str, str, str | None]]:
        return [(b.name, b.kind, str(b.steps) if b.steps is not None else None) for b in v.streaming.buffers]

    assert found(bundled("attention")) == [("k", "cache", None), ("v", "cache", None)]
    assert found(bundled("window_attention")) == [("k", "ring", "W - 1"), ("v", "ring", "W - 1")]
    assert found(bundled("rwkv4")) == [("x", "delay", "1")]
    assert [kind for _, kind, _ in found(bundled("mamba1"))] == ["window"]
    assert found(verdict("dim D, M = 5\nin x : [D] init 0\nout y : [D] = sum(x[t - pos(M)], over = M)")) == [("x", "ring", "M - 1")]
    assert found(verdict("dim D\nin x : [D] init 0\nout y : [D] = x[t-1] + x[t-3]")) == [("x", "delay", "3")]
    assert bundled("lstm").streaming.carried == ("c", "h")
    assert found(bundled("lstm")) == []

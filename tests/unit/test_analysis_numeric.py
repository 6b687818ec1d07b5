"""The verdicts held to numbers: linearity, Jacobians and their patterns, measured with torch on small sizes.

The evaluator of test_graph_grad.py computes a component's new states from its lagged ones; everything that holds none of its
states is a random constant. Affine must then mean additive, diagonal a Jacobian without off-diagonal entries, a coefficient
without an axis one that is constant along it, low rank a bounded rank.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqc.compiler.analysis.analyse import Analyst
from seqc.compiler.analysis.components import depending
from seqc.compiler.analysis.extent import size
from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.driver.sizes import small
from seqc.compiler.frontend.imports import load, load_text
from seqc.compiler.graph.sizes import known_sizes
from seqc.compiler.ir.expr import Read
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.spec import Program
from seqc.compiler.ir.verdict import Component


def beside(name: str) -> Any:
    """A test module of this folder (the tests are no package)."""
    spec = importlib.util.spec_from_file_location(f"_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GRAD, LATTICE = beside("test_graph_grad"), beside("test_lattice")
BUNDLED = (
    "elman lstm lstm_peephole gru slstm indrnn paragru sru paralstm mingru minlstm qrnn hgrn rglru mamba1 lru s4d rwkv4 aaren "
    "linear_attention simple_gla mamba2 gla hgrn2 rwkv6 mlstm deltanet gated_deltanet kda rwkv7 online_memory"
).split()
NOT_HERE = ("small axis", "reals", "rounds", "updates in one step")
"""Cells whose verdict hangs on bound sizes, or with levels, which the evaluator has not."""


def shape(graph: StepGraph, axes: tuple[str, ...], sizes: dict[str, int]) -> list[int]:
    out = []
    for a in axes:
        n = size(graph, a).value(sizes)
        assert n is not None and n.denominator == 1, a
        out.append(int(n))
    return out


def step_of(graph: StepGraph, c: Component, sizes: dict[str, int]) -> Callable[..., tuple[torch.Tensor, ...]]:
    """New states from lagged ones, in the component's order."""
    inside = depending(graph, c.states) | set(c.states)
    torch.manual_seed(0)
    fixed: dict[str, torch.Tensor] = {}
    past: dict[str, torch.Tensor] = {}
    axes = {a for n in graph.nodes for a in n.expr.axes}
    GRAD.SIZES.clear()
    GRAD.SIZES.update({a: shape(graph, (a,), sizes)[0] for a in axes if size(graph, a).value(sizes) is not None})
    for name, entry in graph.entries.items():
        if name not in inside:
            kind = torch.complex128 if entry.type == "complex" else torch.float64
            try:
                dims = shape(graph, entry.axes, sizes)
            except AssertionError:
                continue
            value = torch.rand(dims, dtype=kind) * 0.8 + 0.1
            fixed[name] = value > 0.5 if entry.type == "bool" else value
            past[name] = torch.rand(dims, dtype=kind)

    def step(*states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        run = GRAD.Run(graph, fixed, {**past, **dict(zip(c.states, states, strict=True))})
        out = []
        for n in c.states:
            entry = graph.entries[n]
            x = run(entry.node)
            out.append(GRAD.aligned(x, entry.node.axes, entry.axes).expand(shape(graph, entry.axes, sizes)))
        return tuple(out)

    return step


def examine(program: Program, key: str, dims: dict[str, int]) -> int:
    analyst = Analyst(program)  # with open sizes: bound to small ones, dense would count as a block
    graph = analyst.graph(key)
    sizes = known_sizes(graph.dims, dims)
    done = 0
    for c in analyst.verdict(key).components:
        lagged = [n.expr for n in graph.nodes if isinstance(n.expr, Read) and n.expr.name in c.states and n.expr.moves]
        plain = all(m.kind in ("lag", "rename") for r in lagged for m in r.moves)
        if c.family not in ("affine", "nonlinear") or not plain:
            continue
        if c.coupled != len(c.states):
            continue
        step = step_of(graph, c, sizes)
        kinds = [torch.complex128 if graph.entries[n].type == "complex" else torch.float64 for n in c.states]
        shapes = [shape(graph, graph.entries[n].axes, sizes) for n in c.states]

        def draw(shapes: list[list[int]] = shapes, kinds: list[torch.dtype] = kinds) -> list[torch.Tensor]:
            return [5 * torch.randn(s, dtype=k) for s, k in zip(shapes, kinds, strict=True)]

        a, b, zero = draw(), draw(), [torch.zeros(s, dtype=k) for s, k in zip(shapes, kinds, strict=True)]
        fa, fb, f0, fab = step(*a), step(*b), step(*zero), step(*[x + y for x, y in zip(a, b, strict=True)])
        # a gate drawn outside of its range may give NaN in what is added: the same one each time
        additive = all(
            torch.allclose(w - z, x - z + y - z, atol=1e-8, equal_nan=True) for x, y, z, w in zip(fa, fb, f0, fab, strict=True)
        )
        assert additive == (c.family == "affine"), f"{c.states} is {c.family}"
        if any(k is torch.complex128 for k in kinds):
            done += 1
            continue
        jacobian = torch.autograd.functional.jacobian(step, tuple(a))
        for i, row in enumerate(jacobian):
            for j, block in enumerate(row):
                n, m = fa[i].numel(), a[j].numel()
                matrix = block.reshape(n, m)
                if c.structure in ("identity", "scalar", "diagonal", "block") and n == m:
                    diagonal = torch.diagonal(matrix)
                    assert torch.allclose(matrix, torch.diag(diagonal), atol=1e-10), f"{c.states}: not diagonal"
                    if c.family == "affine":
                        values = diagonal.reshape(shapes[i])
                        for axis, name in enumerate(graph.entries[c.states[i]].axes):
                            if name not in c.coefficient_axes:
                                assert torch.allclose(values, values.mean(axis, keepdim=True).expand_as(values), atol=1e-10)
                    if c.structure == "identity":
                        assert torch.allclose(diagonal, torch.ones_like(diagonal))
        done += 1
    return done


@pytest.mark.parametrize("name", [n for n in LATTICE.CASES if not any(w in n for w in NOT_HERE)])
def test_small_cell(name: str) -> None:
    lines, _ = LATTICE.CASES[name]
    sink = Sink()
    text = "seq 1\ncell C over t:\n" + "\n".join("    " + line for line in lines.strip().splitlines()) + "\n"
    project = load_text(text, "t.seq", sink)
    assert project is not None
    program = check(project, sink)
    dims = {"N": 6, "H": 2, "K": 3, "V": 4, "Q": 3, "R": 2, "C": 5, "j": 6}
    body = program.bodies[program.exports[0]]
    own = {d.name for d in body.dims if d.value is None}
    try:
        examine(program, body.key, {d: n for d, n in dims.items() if d in own})
    except (KeyError, AssertionError) as wrong:
        if "not in this evaluator" in str(wrong) or isinstance(wrong, KeyError):
            pytest.skip(f"the evaluator lacks {wrong}")
        raise


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled(name: str) -> None:
    sink = Sink()
    project = load(name, sink)
    assert project is not None
    program = check(project, sink)
    key = program.exports[0]
    try:
        examine(program, key, next(iter(small(program.bodies[key]))))
    except (KeyError, AssertionError) as wrong:
        if "not in this evaluator" in str(wrong) or isinstance(wrong, KeyError):
            pytest.skip(f"the evaluator lacks {wrong}")
        raise

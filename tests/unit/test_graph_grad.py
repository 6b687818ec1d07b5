"""Symbolic gradients against torch's, through a small evaluator of graph nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import torch

from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.frontend.imports import load_text
from seqc.compiler.graph.build import build
from seqc.compiler.graph.table import postorder
from seqc.compiler.ir.expr import (
    Along,
    Apply,
    Contract,
    Expand,
    Expr,
    Grad,
    Literal_,
    Merge,
    Norm,
    Number,
    OneHot,
    Read,
    Reduce,
    Rename,
    Split,
)
from seqc.compiler.ir.graph import StepGraph

SIZES = {"K": 3, "V": 4, "N": 6, "H": 2, "Q": 3, "j": 3, "D": 5}
FUNCTIONS = {
    "sub": lambda a, b: a - b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "neg": lambda a: -a,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus,
    "logsigmoid": torch.nn.functional.logsigmoid,
    "relu": torch.relu,
    "abs": torch.abs,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "logaddexp": torch.logaddexp,
    "expdiff": lambda a, b: torch.exp(a - b),
    "ge": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": torch.logical_and,
    "stop": torch.Tensor.detach,
    "through": lambda a, b: a,
    "mod": torch.remainder,
    "re": torch.real,
    "conj": torch.conj,
    "cis": lambda a: torch.exp(1j * a),
    "complex": lambda a, b: torch.complex(*torch.broadcast_tensors(a, b)),
}


def aligned(x: torch.Tensor, have: tuple[str, ...], want: tuple[str, ...]) -> torch.Tensor:
    """Axes in the order of `want`, missing ones of size 1."""
    x = x.permute([have.index(a) for a in want if a in have])
    for i, a in enumerate(want):
        if a not in have:
            x = x.unsqueeze(i)
    return x


class Run:
    """Values of nodes for given values of names and lagged names."""

    def __init__(self, graph: StepGraph, values: Mapping[str, torch.Tensor], past: Mapping[str, torch.Tensor]) -> None:
        self.graph, self.values, self.past = graph, values, past
        self.memo: dict[int, torch.Tensor] = {}

    def __call__(self, e: Expr) -> torch.Tensor:
        for n in postorder([e], self.memo):
            self.memo[id(n)] = self.node(n)
        return self.memo[id(e)]

    def at(self, e: Expr, axes: tuple[str, ...]) -> torch.Tensor:
        return aligned(self.memo[id(e)], e.axes, axes)

    def full(self, e: Expr, axes: tuple[str, ...]) -> torch.Tensor:
        return self.at(e, axes).expand([SIZES[a] for a in axes])

    def node(self, e: Expr) -> torch.Tensor:
        match e:
            case Literal_():
                return torch.tensor(e.value, dtype=torch.float64 if not isinstance(e.value, bool) else torch.bool)
            case Read():
                name = self.graph.entries[e.name]
                table = self.past if any(m.kind == "lag" for m in e.moves) else self.values
                value = table[e.name] if e.name in table else self(name.node)
                axes = name.axes if e.name in table else name.node.axes
                for m in e.moves:
                    if m.kind == "rename":
                        axes = tuple(m.index.of if a == m.axis else a for a in axes)
                return aligned(value, axes, e.axes)
            case Apply(fn="add"):
                return sum(self.at(a, e.axes) for a in e.args)
            case Apply(fn="mul") | Apply(fn="outer"):
                out = self.at(e.args[0], e.axes)
                for a in e.args[1:]:
                    out = out * self.at(a, e.axes)
                return out
            case Apply(fn="where"):
                return torch.where(*(self.at(a, e.axes) for a in e.args))
            case Apply(fn="max") | Apply(fn="min"):
                pick = torch.maximum if e.fn == "max" else torch.minimum
                out = self.at(e.args[0], e.axes)
                for a in e.args[1:]:
                    out = pick(out, self.at(a, e.axes))
                return out
            case Apply():
                return FUNCTIONS[e.fn](*(self.at(a, e.axes) for a in e.args))
            case Expand():
                return self.full(e.arg, e.axes)
            case Rename():
                names = dict(e.pairs)
                return aligned(self.memo[id(e.arg)], tuple(names.get(a, a) for a in e.arg.axes), e.axes)
            case Contract():
                axes = (*e.axes, *e.over)
                return (self.full(e.left, axes) * self.full(e.right, axes)).sum([axes.index(a) for a in e.over])
            case Reduce():
                axes = (*e.axes, *e.over)
                x, where = self.full(e.arg, axes), [axes.index(a) for a in e.over]
                match e.fn:
                    case "sum":
                        return x.sum(where)
                    case "mean":
                        return x.mean(where)
                    case "logsumexp":
                        return x.logsumexp(where)
                    case "max":
                        return x.amax(where)
                    case "prod":
                        return x.prod(where[0])
                    case "argmax":
                        return x.argmax(where[0])
            case Along():
                x, where = self.at(e.arg, e.axes), e.axes.index(e.over[0])
                match e.fn:
                    case "softmax":
                        return x.softmax(where)
                    case "l2norm":
                        return x / x.norm(dim=where, keepdim=True)
                    case "cumsum":
                        return x.cumsum(where)
            case Norm():
                x, where = self.at(e.arg, e.axes), [e.axes.index(a) for a in e.over]
                x = x - x.mean(where, keepdim=True) if e.fn == "layernorm" else x
                y = x / (x.pow(2).mean(where, keepdim=True) + e.eps).sqrt()
                y = y if e.gain is None else y * self.at(e.gain, e.axes)
                return y if e.bias is None else y + self.at(e.bias, e.axes)
            case Split():
                i = e.arg.axes.index(e.axis)
                x = self.memo[id(e.arg)].unflatten(i, (SIZES[e.outer], SIZES[e.inner]))
                return aligned(x, (*e.arg.axes[:i], e.outer, e.inner, *e.arg.axes[i + 1 :]), e.axes)
            case Merge():
                keep = tuple(a for a in e.arg.axes if a not in e.parts)
                x = aligned(self.memo[id(e.arg)], e.arg.axes, (*keep, *e.parts)).flatten(len(keep))
                return aligned(x, (*keep, e.axis), e.axes)
            case Number():
                return torch.arange(SIZES[e.of]) if e.axes else torch.tensor(3.0, dtype=torch.float64)
            case OneHot():
                return torch.nn.functional.one_hot(self.memo[id(e.arg)].long(), SIZES[e.axis]).to(torch.float64)
        raise AssertionError(f"not in this evaluator: {e}")


CASES = {
    "linear memory": "sum((dot(k, M, over = K) - v)^2, over = V)",
    "two layers": "sum(silu(dot(k, M, over = K)) * dot(k, M, over = K) * v, over = V)",
    "softmax": "sum(softmax(M, over = V) * v, over = [K, V])",
    "logsumexp": "sum(logsumexp(M * v, over = V), over = K)",
    "max and min": "sum(max(M, 0.3) * min(M, v), over = [K, V])",
    "max over an axis": "sum(max(M, over = V) * k, over = K)",
    "relu and abs": "sum(relu(M) + abs(M * v), over = [K, V])",
    "powers": "sum(M^3 + (M^2 + 1)^0.5, over = [K, V])",
    "exponents": "sum(exp(M) * expm1(M) / (1 + exp(M)), over = [K, V])",
    "sigmoids": "sum(sigmoid(M) * tanh(M) + softplus(M) * logsigmoid(M), over = [K, V])",
    "logs": "sum(log(1 + M^2) + log1p(M^2) + sqrt(M^2 + 1), over = [K, V])",
    "angles": "sum(sin(M) * cos(M) + atan(M), over = [K, V])",
    "logaddexp": "sum(logaddexp(M, v), over = [K, V])",
    "l2norm": "sum(l2norm(M, over = K) * v, over = [K, V])",
    "rmsnorm": "sum(rmsnorm(M, over = V, affine = none) * v, over = [K, V])",
    "layernorm": "sum(layernorm(M, over = V, affine = none)^2 * v, over = [K, V])",
    "cumsum": "sum(cumsum(M, over = K) * k, over = [K, V])",
    "mean": "mean(M^2, over = [K, V])",
    "prod": "sum(prod(M, over = V), over = K)",
    "where": "sum(where(v > 0, M, M^2), over = [K, V])",
    "stop": "sum(stop(M) * M, over = [K, V])",
    "another name of an axis": "sum(dot(M, M[j], over = V)^2, over = [K, j])",
    "through names": "sum(inner^2, over = V)",
    "broadcast": "sum(M * sum(M, over = V), over = [K, V])",
    "quotient": "sum(v / (1 + M^2), over = [K, V])",
}


@pytest.mark.parametrize("name", CASES)
def test_gradient(name: str) -> None:
    loss = CASES[name].replace("M[j]", "M[t-1, j]")
    loss = re.sub(r"\bM\b(?!\[)", "M[t-1]", loss)
    text = (
        "seq 1\ncell C over t:\n    dim K, V\n    index j of K\n    in k : [K]\n    in v : [V]\n    state M : [K, V] init 0\n"
        "    inner : [V] = tanh(dot(k, M[t-1], over = K))\n"
        f"    miss : [] = {loss}\n    g : [K, V] = grad(miss, M[t-1])\n    M = g\n    out M\n"
    )
    sink = Sink()
    project = load_text(text, "t.seq", sink)
    sink.stop()
    program = check(project, sink)
    graph = build(program, program.exports[0])
    node = graph.entries["g"].node
    assert not any(isinstance(n, Grad) for n in postorder([node])), "the derivative is symbolic"
    torch.manual_seed(1)
    values = {"k": torch.randn(3, dtype=torch.float64), "v": torch.randn(4, dtype=torch.float64)}
    memory = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    run = Run(graph, values, {"M": memory})
    (expected,) = torch.autograd.grad(run(graph.entries["miss"].node), memory)
    found = aligned(run(node), node.axes, ("K", "V")).expand(3, 4)
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_gradient_of_a_gradient() -> None:
    text = (
        "seq 1\ncell C over t:\n    dim K, V\n    in k : [K]\n    in v : [V]\n    state M : [K, V] init 0\n"
        "    miss : [] = sum(tanh(dot(k, M[t-1], over = K))^2, over = V)\n    g : [K, V] = grad(miss, M[t-1])\n"
        "    size : [] = sum(g^2, over = [K, V])\n    gg : [K, V] = grad(size, M[t-1])\n    M = gg\n    out M\n"
    )
    sink = Sink()
    project = load_text(text, "t.seq", sink)
    sink.stop()
    program = check(project, sink)
    graph = build(program, program.exports[0])
    torch.manual_seed(1)
    values = {"k": torch.randn(3, dtype=torch.float64), "v": torch.randn(4, dtype=torch.float64)}
    memory = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    run = Run(graph, values, {"M": memory})
    (expected,) = torch.autograd.grad(run(graph.entries["size"].node), memory)
    node = graph.entries["gg"].node
    assert torch.allclose(aligned(run(node), node.axes, ("K", "V")), expected, rtol=1e-10)


def test_a_linear_memory_becomes_an_outer_product() -> None:
    text = (
        "seq 1\ncell C over t:\n    dim K, V\n    in k : [K]\n    in v : [V]\n    state M : [K, V] init 0\n"
        "    miss : [] = sum((dot(k, M[t-1], over = K) - v)^2, over = V)\n    M = M[t-1] - grad(miss, M[t-1])\n    out M\n"
    )
    sink = Sink()
    project = load_text(text, "t.seq", sink)
    sink.stop()
    program = check(project, sink)
    node = build(program, program.exports[0]).entries["M"].node
    assert isinstance(node, Apply) and node.fn == "sub"
    assert isinstance(node.args[1], Apply) and node.args[1].fn == "outer"

"""Who runs what: `auto` takes kernels where they do what the reference does, says so once where there is no compiler; what kernels have
no rule for is an error that says what to do, or the reference. Layers with kernels as torch's own tools meet them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.library import opcheck
from torch.utils.checkpoint import checkpoint

import seqc
from numeric.native_compare import differences, run, tensors, twin
from numeric.native_units import compiler
from seqc.runtime.native import calls, choice
from seqc.runtime.native.calls import kernels_of
from seqc.runtime.native.errors import NoCompiler, Untransformed
from seqc.runtime.native.kernel import Kernel

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

SPEC = """seq 1
cell Gated over t:
    dim D, N = D
    in x : [D]
    in c : [N] once
    state h : [N] init tanh(c)
    f : [N] = sigmoid(linear(x))
    h = f * h[t-1] + (1 - f) * tanh(linear(x) + c)
    out h

block Twice:
    dim D
    in x : [t, D]
    in c : [D]
    y : [t, D] = Gated(x, c = c)
    out z : [t, D] = linear(Gated(y, c = c, name = second))
"""


@functools.cache
def module() -> Any:
    return seqc.load(SPEC)


def layer(backend: str = "native", dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    return module().Gated(D=3, N=5, backend=backend, dtype=dtype)


def inputs(dtype: torch.dtype = torch.float64, steps: int = 6) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(steps)
    return {"x": torch.randn(2, steps, 3, generator=g).to(dtype), "c": torch.randn(2, 5, generator=g).to(dtype)}


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "auto", True)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that ran."""
    found: list[str] = []
    plain = Kernel.run_forward

    def noted(self: Kernel, *given: Any) -> Any:
        found.append(self.forward.name)
        return plain(self, *given)

    monkeypatch.setattr(Kernel, "run_forward", noted)
    return found


# ---- who runs ---------------------------------------------------------------------------------------------------------


def test_auto_takes_kernels(auto: None, used: list[str]) -> None:
    values = inputs()
    found = run(layer("auto"), values, ("c",))
    assert used
    assert max(differences(run(layer("reference"), values, ("c",)), found).values()) <= 1e-12


def test_auto_takes_them_for_a_step(auto: None, used: list[str]) -> None:
    one = layer("auto")
    values = inputs()
    with torch.no_grad():
        one.step(x=values["x"][:, 0], c=values["c"])
    assert used


def test_watched_values_come_from_the_reference(auto: None, used: list[str]) -> None:
    _, _, seen = layer("auto")(**inputs(), watch=["f"])
    assert seen["f"].shape == (2, 6, 5) and not used


def test_the_reference_on_demand(auto: None, used: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "reference", True)
    layer("auto")(**inputs())
    layer("native")(**inputs())
    assert not used


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CC", "no-such-compiler")
    calls._compiler_there.cache_clear()
    yield
    calls._compiler_there.cache_clear()


def test_without_a_compiler_auto_is_the_reference_and_says_so_once(auto: None, used: list[str], no_compiler: None) -> None:
    with pytest.warns(UserWarning, match="the reference runs instead.*\n.*help: set CC"):
        found = tensors(layer("auto")(**inputs()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer("auto")(**inputs())
    assert not used
    assert all(torch.equal(a, b) for a, b in zip(found, tensors(layer("reference")(**inputs())), strict=True))


def test_without_a_compiler_native_is_an_error_with_the_remedy(no_compiler: None) -> None:
    with pytest.raises(NoCompiler, match="SEQ0601.*\n.*help: set CC"):
        layer("native")


# ---- derivatives of other kinds ---------------------------------------------------------------------------------------


def total(one: Any, c: Tensor) -> Any:
    return lambda x: one(x=x, c=c)[0].square().sum()


WAYS = {
    "grad": lambda f, x: torch.func.grad(f)(x),
    "vmap": lambda f, x: torch.func.vmap(f)(torch.stack([x, 2 * x])),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
    "jacrev": lambda f, x: torch.func.jacrev(f)(x),
    "hessian": lambda f, x: torch.func.hessian(f)(x),
}


def dual(f: Any, x: Tensor) -> Tensor:
    with forward_ad.dual_level(), torch.no_grad():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent  # type: ignore[return-value]


@pytest.mark.parametrize("way", [*WAYS, "dual"])
def test_transforms_run_on_the_reference_or_are_refused(way: str, auto: None, used: list[str]) -> None:
    do = dual if way == "dual" else WAYS[way]
    x, c = inputs(steps=2).values()
    want = do(total(layer("reference"), c), x)
    assert torch.allclose(do(total(layer("auto"), c), x), want)
    assert not used
    with pytest.raises(Untransformed, match="SEQ0605.*\n.*help: use backend=.reference"):
        do(total(layer("native"), c), x)


def test_a_second_derivative_is_refused() -> None:
    x, c = inputs().values()
    x.requires_grad_()
    (first,) = torch.autograd.grad(total(layer(), c)(x), x, create_graph=True)
    (plain,) = torch.autograd.grad(total(layer("reference"), c)(x), x)
    assert torch.allclose(first, plain)
    with pytest.raises(Untransformed, match="SEQ0605.*second derivative"):
        first.sum().backward()
    with pytest.raises(Untransformed, match="SEQ0605"):
        torch.autograd.grad(torch.autograd.grad(total(layer(), c)(x), x, create_graph=True)[0].sum(), x, allow_unused=True)


def test_batched_gradients_are_refused() -> None:
    x, c = inputs().values()
    y = layer()(x=x.requires_grad_(), c=c)[0]
    with pytest.raises(Untransformed, match="SEQ0605"):
        torch.autograd.grad(y, x, torch.stack([torch.ones_like(y)] * 2), is_grads_batched=True)


def test_gradcheck_of_a_layer() -> None:
    one = layer()
    values = [v.requires_grad_() for v in inputs(steps=3).values()]
    assert torch.autograd.gradcheck(lambda x, c: one(x=x, c=c)[0], values)
    reset = torch.tensor([[False, True, False], [False, False, True]])
    assert torch.autograd.gradcheck(lambda x, c: tensors(one(x=x, c=c, reset=reset, lengths=torch.tensor([3, 2]))), values)


# ---- tracing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["native", "auto"])
def test_compiled_without_breaks_for_any_length(backend: str, auto: None) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    one = module().Twice(D=4, backend=backend, dtype=torch.float64)
    made = torch.compile(one, fullgraph=True, dynamic=True, backend="aot_eager")
    for steps in (5, 9, 2):
        g = torch.Generator().manual_seed(steps)
        x, c = torch.randn(3, steps, 4, generator=g, dtype=torch.float64), torch.randn(3, 4, generator=g, dtype=torch.float64)
        found = []
        for f in (one, made):
            one.zero_grad()
            v = x.clone().requires_grad_()
            y = tensors(f(v, c))
            sum(t.square().sum() for t in y).backward()
            found.append([*(t.detach() for t in y), v.grad, *(p.grad.clone() for p in one.parameters())])
        assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(*found, strict=True))
    assert torch._dynamo.utils.counters["graph_break"] == {}


def test_operators_are_sound() -> None:
    """Every form: schema, fakes, autograd, tracing with free sizes."""
    g = torch.Generator().manual_seed(0)
    lead = {"step": (2, 3), "run": (2,), "once": ()}
    for kernel in kernels_of(module().Gated.KERNELS):
        x = [torch.randn(*lead[kind], *(5 for _ in axes), generator=g).requires_grad_() for kind, axes in kernel.forward.operands]
        opcheck(torch.ops.seqc.kernel.default, (kernel.key, x, [], [0] * kernel.rows))
        results = torch.ops.seqc.kernel(kernel.key, x, [], [0] * kernel.rows)
        up = [torch.randn(r.shape, generator=g) for r in results]
        given = [t.detach() for t in x], [], [r.detach() for r in results], up, [0] * kernel.rows
        opcheck(torch.ops.seqc.kernel_adjoint.default, (kernel.key, *given))


def test_tracers_see_the_operator() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    one, (x, c) = layer(), inputs().values()
    traced = make_fx(lambda x: one(x=x, c=c)[0])(x)
    assert any("seqc.kernel" in str(n.target) for n in traced.graph.nodes)
    assert torch.allclose(traced(2 * x), one(x=2 * x, c=c)[0])


def test_exported_programs_hold_the_reference(auto: None) -> None:
    one, values = layer("auto"), inputs()
    program = torch.export.export(one, (), values)
    assert not any("seqc" in str(n.target) for n in program.graph.nodes)
    for a, b in zip(tensors(program.module()(**values)), tensors(one(**values)), strict=True):
        assert torch.allclose(a, b)


def test_meta_tensors(auto: None) -> None:
    for backend in ("native", "auto"):
        one = module().Gated(D=3, N=5, backend=backend, device="meta")
        y, state = one(x=torch.empty(2, 4, 3, device="meta"), c=torch.empty(2, 5, device="meta"))
        assert y.shape == (2, 4, 5) and state.h.is_meta
        y.sum().backward()
        assert all(p.grad.is_meta for p in one.parameters())


# ---- precision and memory ---------------------------------------------------------------------------------------------


def test_autocast() -> None:
    one, plain = layer(dtype=torch.float32), layer("reference", torch.float32)
    values = inputs(torch.float32)
    found = []
    for f in (one, plain):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y, _ = f(**values)
        y.float().square().sum().backward()
        found.append([y.detach().float(), *(p.grad for p in f.parameters())])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("again", [True, False], ids=["reentrant", "not reentrant"])
def test_checkpointing(again: bool) -> None:
    one, (x, c) = layer(), inputs().values()
    x.requires_grad_()
    (want,) = torch.autograd.grad(total(one, c)(x), x)
    checkpoint(total(one, c), x, use_reentrant=again).backward()
    assert torch.equal(x.grad, want)  # type: ignore[arg-type]


LAYOUTS = {
    "expanded": lambda x: x[:1, :1].expand_as(x),
    "permuted": lambda x: x.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "every second": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "from behind": lambda x: x.flip(1).as_strided(x.shape, x.stride()).flip(1),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    x, c = inputs().values()
    found = []
    for one in (layer("reference"), layer()):
        v = LAYOUTS[name](x).detach().requires_grad_()
        y = one(x=v, c=c[:1].expand_as(c))[0]
        y.backward(LAYOUTS[name](torch.arange(60.0, dtype=torch.float64).view(2, 6, 5)))
        found.append((y.detach(), v.grad))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_copies_share_nothing() -> None:
    one = layer()
    other = twin(one)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    assert not torch.equal(one(**inputs())[0], other(**inputs())[0])

"""`layer.step` as a recorded program: every body equal to its reference, and never the wrong numbers after something has changed."""

from __future__ import annotations

import copy
import ctypes
import functools
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import seqc
from numeric.native_units import compiler
from seqc.compiler.driver import sample
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.sizes import defaults, small
from seqc.compiler.driver.target import target_of
from seqc.compiler.ir.spec import Body
from seqc.runtime.native import calls, choice, decode, guards
from seqc.runtime.native.program import library
from seqc.runtime.running import Running

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

SOME = {
    "aaren": "Aaren", "gated_mixer": "GatedMixer", "gru": "GRU", "lssl": "LSSL", "lru": "LRU", "mamba2": "Mamba2", "mlstm": "MLSTM",
    "qrnn": "QRNN", "retnet": "RetNet", "rglru": "Hawk", "rwkv4": "RWKV4", "s4d": "S4DInv", "window_attention": "WindowAttention",
}  # fmt: skip
"""Between them: heads, norms, complex states, short convolutions, positions, stacked calls, systems of equations, several outs."""
OTHERS = {
    "based": "Based", "char_lm": "CharLM", "deltanet": "DeltaNet", "elman": "RNN", "gated_deltanet": "GatedDeltaNet", "gla": "GLA",
    "hgrn": "HGRN", "hgrn2": "HGRN2", "indrnn": "IndRNN", "jordan": "Jordan", "kda": "KDA", "leaky_rnn": "LeakyRNN", "lif": "LIF",
    "linear_attention": "LinearAttention", "lstm": "LSTM", "mamba1": "Mamba1", "mingru": "MinGRU", "minlstm": "MinLSTM",
    "online_memory": "OnlineMemory", "paragru": "ParaGRU", "paralstm": "ParaLSTM", "rwkv6": "RWKV6", "rwkv7": "RWKV7", "s5": "S5",
    "simple_gla": "SimpleGLA", "slstm": "SLSTM", "softmax_sum": "AarenScan", "sru": "SRU",
}  # fmt: skip
STEPS = 5


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """No kernels, so that nothing but the programs is compiled; counts the steps that went the short way."""
    taken: list[int] = []

    def call(self: Any, *given: Any) -> Any:
        found = decode.step(self, *given)
        if found is not None:
            taken.append(1)
        return found

    monkeypatch.setattr(Running, "_at_once", call)
    monkeypatch.setattr(calls, "steps", lambda *_: False)
    monkeypatch.setattr(choice, "auto", True)
    yield taken


@functools.cache
def body_of(spec: str, name: str) -> tuple[Any, Body, dict[str, int]]:
    """A class without kernels, its body, and sizes that fit."""
    cls = getattr(seqc.load(spec), name)
    cls.DECODE = ()
    run = compiled(target_of(spec), until="spec")
    body = next(b for b in run.bodies if b.name == name)
    for sizes in small(body, {}):
        try:
            cls(backend="reference", **sizes)
        except ValueError:
            continue
        return cls, body, dict(sizes)
    raise LookupError(spec)


def pair(spec: str, name: str, **more: Any) -> tuple[Any, Any]:
    """A layer that steps the short way, and the same on the reference."""
    cls, _, sizes = body_of(spec, name)
    torch.manual_seed(0)
    theirs = cls(backend="reference", **sizes, **more).eval()
    with torch.no_grad():
        for p in theirs.parameters():
            if not p.any():
                p.uniform_(-0.1, 0.1)
    ours = cls(backend="auto", **sizes, **more).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def given(spec: str, name: str, batch: int, dtype: str = "float32") -> tuple[Any, list[dict[str, Any]]]:
    """What a start takes, and inputs step by step."""
    _, body, sizes = body_of(spec, name)
    drawn = sample.draw(body, defaults(body, sizes), batch, STEPS, dtype=dtype)
    whole = {k: v for k, v in drawn.values.items() if drawn.time[k] is None}
    timed = {k: drawn.time[k] or 0 for k in drawn.values if drawn.time[k] is not None}
    return drawn.before, [{**whole, **{k: drawn.values[k].select(at, i) for k, at in timed.items()}} for i in range(STEPS)]


def walked(layer: Any, before: Any, steps: list[dict[str, Any]], batch: int) -> list[torch.Tensor]:
    """All outs and the last state."""
    found = []
    with torch.no_grad():
        state = layer.init_state(batch, **before)
        for one in steps:
            y, state = layer.step(**one, state=state)
            found += tree_leaves(y)
    return [*found, *tree_leaves(state)]


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor], limit: float) -> bool:
    assert len(ours) == len(theirs)
    pairs = zip(ours, theirs, strict=True)
    return all(p.shape == q.shape and p.dtype == q.dtype and torch.allclose(p, q, limit, limit, True) for p, q in pairs)


def checked(spec: str, name: str, batch: int, taken: list[int], dtype: torch.dtype = torch.float32) -> Any:
    ours, theirs = pair(spec, name, dtype=dtype)
    before, steps = given(spec, name, batch, str(dtype).removeprefix("torch."))
    del taken[:]
    assert same(walked(ours, before, steps, batch), walked(theirs, before, steps, batch), 2e-5 if dtype == torch.float32 else 1e-10)
    assert len(taken) >= STEPS - 2, ours._short.why
    assert "recorded" in ours.explain()
    return ours


@pytest.mark.parametrize("spec", list(SOME))
def test_equals_the_reference(spec: str, recorded: list[int]) -> None:
    checked(spec, SOME[spec], 1, recorded)
    checked(spec, SOME[spec], 3, recorded)


@pytest.mark.slow
@pytest.mark.parametrize("spec", list(OTHERS))
def test_equals_the_reference_everywhere(spec: str, recorded: list[int]) -> None:
    for batch in (1, 3):
        checked(spec, OTHERS[spec], batch, recorded)


@pytest.mark.slow
@pytest.mark.parametrize("spec", list(SOME) + list(OTHERS))
def test_in_double_and_many_at_once(spec: str, recorded: list[int]) -> None:
    name = {**SOME, **OTHERS}[spec]
    checked(spec, name, 2, recorded, torch.float64)
    checked(spec, name, 65, recorded)


@pytest.mark.parametrize("spec", ["lru", "retnet"])
def test_in_double(spec: str, recorded: list[int]) -> None:
    checked(spec, SOME[spec], 2, recorded, torch.float64)


@pytest.mark.parametrize("spec", ["lru", "aaren", "lssl"])
def test_parameters_that_change(spec: str, recorded: list[int]) -> None:
    """What follows from parameters alone is made anew, however they changed."""
    ours, theirs = pair(spec, SOME[spec])
    before, steps = given(spec, SOME[spec], 2)
    walked(ours, before, steps, 2)
    del recorded[:]
    for change in (lambda p: p.mul_(0.9), lambda p: p.data.mul_(0.9), lambda p: setattr(p, "data", p.data * 0.9)):
        with torch.no_grad():
            for layer in (ours, theirs):
                for p in layer.parameters():
                    change(p)
        assert same(walked(ours, before, steps, 2), walked(theirs, before, steps, 2), 2e-5)
    for layer in (ours, theirs):
        optimiser = torch.optim.SGD(layer.parameters(), lr=0.01)
        for p in layer.parameters():
            p.grad = torch.ones_like(p)
        optimiser.step()
    assert same(walked(ours, before, steps, 2), walked(theirs, before, steps, 2), 2e-5)
    assert len(recorded) >= 4 * STEPS - 5, "no long way because of new numbers"


def test_a_called_body_that_is_replaced(recorded: list[int]) -> None:
    ours, theirs = pair("rglru", "Hawk")
    other, _ = pair("rglru", "Hawk")
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(0.5)
    before, steps = given("rglru", "Hawk", 2)
    walked(ours, before, steps, 2)
    for layer in (ours, theirs):
        path = next(n for n, m in layer.named_modules() if n and hasattr(m, "TABLE"))
        above, _, name = path.rpartition(".")
        layer.get_submodule(above)._modules[name] = other.get_submodule(path)
    assert same(walked(ours, before, steps, 2), walked(theirs, before, steps, 2), 2e-5)


def test_layouts(recorded: list[int]) -> None:
    """Strided and expanded inputs, other batches, other types."""
    ours, theirs = pair("mamba2", "Mamba2")
    before, steps = given("mamba2", "Mamba2", 3)
    (name,) = steps[0]
    with torch.no_grad():
        state = ours.init_state(3)
        wide = steps[0][name].shape[1]
        for x in (torch.randn(wide, 3).t(), torch.randn(1, wide).expand(3, wide), torch.randn(3, 2 * wide)[:, ::2]):
            for _ in range(3):
                assert same(tree_leaves(ours.step(x, state)), tree_leaves(theirs.step(x, state)), 2e-5)
                _, state = ours.step(x, state)
    assert len(recorded) >= 3
    ours.double(), theirs.double()
    before, steps = given("mamba2", "Mamba2", 3, "float64")
    assert same(walked(ours, before, steps, 3), walked(theirs, before, steps, 3), 1e-10)


class Seen(TorchDispatchMode):
    """Sees every operation."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_what_goes_the_long_way(recorded: list[int], python: bool) -> None:
    ours, theirs = pair("aaren", "Aaren")
    before, steps = given("aaren", "Aaren", 1)
    x = steps[0]["x"]
    with torch.no_grad():
        state = ours.init_state(1)
        for _ in range(3):
            want = theirs.step(x, state)[0]
            y, state = ours.step(x, state)
        want = theirs.step(x, state)[0]
        count = len(recorded)
        assert count, "the layout is known"
        ours.step(x, state)
        assert len(recorded) == count + 1
    y, _ = ours.step(x, state)
    assert y.requires_grad
    dual_level, make_dual = torch.autograd.forward_ad.dual_level, torch.autograd.forward_ad.make_dual

    def dual() -> Any:
        with dual_level():
            return ours.step(make_dual(x, torch.ones_like(x)), state)

    def within(mode: Any) -> Any:
        with mode:
            return ours.step(x, state)

    fake = FakeTensorMode(allow_non_fake_inputs=True)
    ways: dict[str, Any] = {
        "reset": lambda: ours.step(x, state, reset=torch.tensor([True])),
        "watch": lambda: ours.step(x, state, watch=("q",)),
        "start": lambda: ours.step(x),
        "autocast": lambda: within(torch.autocast("cpu", torch.bfloat16)),
        "dispatch mode": lambda: within(Seen()),
        "default device": lambda: within(torch.device("meta")),
        "vmap": lambda: torch.func.vmap(lambda x: ours.step(x[None], state)[0][0])(x),
        "jvp": lambda: torch.func.jvp(lambda x: ours.step(x, state)[0], (x,), (torch.ones_like(x),)),
        "forward mode": dual,
        "fake": lambda: ours.step(fake.from_tensor(x), state),
        "subclass": lambda: ours.step(x.clone().as_subclass(Named), state),
    }
    with torch.no_grad():
        for name, way in ways.items():
            way()
            assert len(recorded) == count + 1, name
        assert torch.allclose(ours.step(x, state)[0], want, atol=1e-5)
        assert len(recorded) == count + 2
        ours.backend = "reference"
        ours.step(x, state)
    assert len(recorded) == count + 2


class Named(torch.Tensor):
    """A tensor of somebody's own."""


def test_copies_and_pickles(recorded: list[int]) -> None:
    ours, _ = pair("aaren", "Aaren")
    before, steps = given("aaren", "Aaren", 2)
    want = walked(ours, before, steps, 2)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), copy.copy(ours)):
        assert same(walked(other, before, steps, 2), want, 2e-5)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    assert not same(walked(other, before, steps, 2), want, 2e-5)
    assert same(walked(ours, before, steps, 2), want, 2e-5)


def test_results_are_new_memory(recorded: list[int]) -> None:
    ours, _ = pair("rwkv4", "RWKV4")
    _, steps = given("rwkv4", "RWKV4", 2)
    with torch.no_grad():
        state = ours.init_state(2)
        for one in steps[:2]:
            _, state = ours.step(**one, state=state)
        made = [ours.step(**steps[2], state=state) for _ in range(3)]
    places = [t.data_ptr() for one in made for t in tree_leaves(one)]
    given_places = {t.data_ptr() for t in (*tree_leaves(state), *steps[2].values())}
    assert len(set(places)) == len(places) and not given_places & set(places)


def test_threads(recorded: list[int]) -> None:
    """Several threads step one layer, each its own state."""
    ours, theirs = pair("retnet", "RetNet")
    before, steps = given("retnet", "RetNet", 2)
    want = walked(theirs, before, steps, 2)
    walked(ours, before, steps, 2)
    wrong: list[int] = []

    def run() -> None:
        for _ in range(30):
            if not same(walked(ours, before, steps, 2), want, 2e-5):
                wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_an_index_out_of_range(recorded: list[int]) -> None:
    ours, theirs = pair("char_lm", "CharLM")
    before, steps = given("char_lm", "CharLM", 1)
    assert same(walked(ours, before, steps, 1), walked(theirs, before, steps, 1), 2e-5)
    assert recorded
    (name,) = (k for k, v in steps[0].items() if v.dtype == torch.int64)
    with torch.no_grad():
        state = ours.init_state(1, **before)
        for layer in (ours, theirs):
            outs = layer.step(**{**steps[0], name: torch.tensor([0])}, state=state)
            assert same(tree_leaves(outs), tree_leaves(theirs.step(**{**steps[0], name: torch.tensor([0])}, state=state)), 2e-5)


def test_training_is_noticed(recorded: list[int]) -> None:
    ours, _ = pair("aaren", "Aaren")
    before, steps = given("aaren", "Aaren", 1)
    walked(ours, before, steps, 1)
    first = ours._short.tries
    ours.train()
    walked(ours, before, steps, 1)
    assert ours._short.tries > first


@pytest.fixture(params=[False, True], ids=["torch", "python"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both kinds of guards."""
    if request.param:
        monkeypatch.setattr(guards, "_Guards", None)
    return bool(request.param)


def test_guards_in_python(monkeypatch: pytest.MonkeyPatch, recorded: list[int]) -> None:
    """Where a version of torch has no guards of its own."""
    monkeypatch.setattr(guards, "_Guards", None)
    monkeypatch.setattr(guards, "_empty", None)
    checked("lru", "LRU", 2, recorded)
    with torch.no_grad():
        x = torch.randn(2, 3)
        check = guards.guard([x])
        assert check(torch.randn(2, 3)) and not check(torch.randn(3, 2)) and not check(torch.randn(3, 2).t()) and not check(x.double())
        assert not check(torch.nn.Parameter(x)) and not check(None)


def test_every_loop_has_its_place() -> None:
    """Names of elementwise functions are told apart, and the ones that Python uses are there."""
    _, names = library(torch.float32)
    assert len(names) == len(set(names)) and {"exp", "where_c", "copy_rr", "div_c", "lt_i"} <= set(names)
    assert ctypes.sizeof(ctypes.c_void_p) == 8

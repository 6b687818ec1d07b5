"""`verify` finds what is wrong: a hand-written layer passes, each mistake planted in it fails the check made for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.driver.verify.executors import available
from seqc.compiler.driver.verify.measure import Check, limit_of, ratio
from seqc.compiler.driver.verify.run import verified
from seqc.compiler.driver.verify.subject import Result
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.ir.spec import Body

torch = pytest.importorskip("torch")
nn = torch.nn

SPEC = """seq 1
cell Leaky over t:
    dim D, N = D
    in x : [D]
    state h : [N] init 0
    gate a : [N] in (0, 1) = sigmoid(linear(x))
    h = a * h[t-1] + (1 - a) * tanh(linear(x))
    out h
"""
REPORT = {
    "streams": "step",
    "components": [{"states": ["h"], "modes": {m: {"legal": True, "why": ""} for m in ("sequential", "associative")}}],
    "variants": [],
}


class State(NamedTuple):
    h: Any


class Leaky(nn.Module):  # type: ignore[misc, name-defined]
    """The spec above by hand; `wrong` names one mistake."""

    def __init__(self, dims: dict[str, int], dtype: Any, wrong: str, backend: str) -> None:
        super().__init__()
        self.wrong = wrong
        self.gate = nn.Linear(dims["D"], dims["N"], dtype=dtype)
        self.new = nn.Linear(dims["D"], dims["N"], dtype=dtype)
        self.like = nn.Parameter(torch.zeros(dims["N"], dtype=dtype), requires_grad=False)

    def init_state(self, batch: int) -> State:
        return State(self.like.new_zeros(batch, self.like.shape[0]))

    def step(self, x: Any, state: State) -> tuple[Any, State]:
        a = torch.sigmoid(self.gate(x))
        if self.wrong == "gradients":
            a = a.detach()
        h = a * state.h + (1 - a) * torch.tanh(self.new(x))
        return (h * 1.001 if self.wrong == "step" else h), State(h)

    def forward(
        self, x: Any, state: Any = None, lengths: Any = None, cu_seqlens: Any = None, reset: Any = None
    ) -> tuple[Any, State]:
        if cu_seqlens is not None:
            borders = cu_seqlens.tolist()
            if self.wrong == "packed":
                borders = [0, borders[-1]]
            parts = [self(x[:, a:b]) for a, b in zip(borders, borders[1:], strict=False)]
            return torch.cat([y for y, _ in parts], 1), State(torch.cat([s.h for _, s in parts]))
        batch, time, _ = x.shape
        start = self.init_state(batch)
        state = start if state is None or self.wrong == "split" else state
        if lengths is not None and self.wrong != "padding":
            valid = torch.arange(time) < lengths[:, None]
            x = torch.where(valid[..., None], x, 0.0)
        outs = []
        for t in range(time):
            if reset is not None and self.wrong != "reset":
                state = State(torch.where(reset[:, t, None], start.h, state.h))
            y, after = self.step(x[:, t], state)
            if self.wrong == "step":
                y = after.h
            if lengths is not None and self.wrong != "padding":
                after = State(torch.where(valid[:, t, None], after.h, state.h))
                y = torch.where(valid[:, t, None], y, 0.0)
            state = after
            outs.append(y)
        y = torch.stack(outs, 1) if outs else x.new_zeros(batch, 0, self.like.shape[0])
        if self.wrong == "values":
            y = y + 1e-4
        if self.wrong == "final state":
            state = State(state.h + 1e-4)
        if self.wrong == "infinity":
            y = y / 0
        return y, state


@pytest.fixture(scope="module")
def body() -> Body:
    from seqc.compiler.check import check
    from seqc.compiler.diagnostics.diagnostic import Sink
    from seqc.compiler.frontend.imports import load_text

    sink = Sink()
    project = load_text(SPEC, "leaky.seq", sink)
    assert project is not None
    program = check(project, sink)
    sink.stop()
    return program.bodies[program.exports[0]]


def checked(body: Body, wrong: str = "", when: Callable[[str, str], bool] = lambda backend, dtype: True) -> list[Check]:
    def make(name: str, backend: str, mode: str, dtype: str, **dims: int) -> Leaky:
        assert name == "Leaky" and mode == "sequential"
        return Leaky(dims, getattr(torch, dtype), wrong if when(backend, dtype) else "", backend)

    return list(verified(body, make, REPORT))


def test_a_right_layer_passes(body: Body) -> None:
    found = checked(body)
    assert {c.verdict for c in found} == {"ok"}, [c for c in found if c.verdict != "ok"]
    backends = {e.name for e in available()}
    assert {(c.backend, c.mode, c.dtype) for c in found} == {(b, "sequential", d) for b in backends for d in ("float32", "float64")}
    assert "reference" in backends
    assert {c.what for c in found} == {
        "values", "final state", "gradients", "gradcheck", "step = forward", "splits = whole", "packed = apart", "reset",
        "NaN in padding",
    }  # fmt: skip
    assert all(c.error is not None and c.limit is not None and c.error <= c.limit for c in found)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("step", "step = forward"),
        ("split", "splits = whole"),
        ("packed", "packed = apart"),
        ("reset", "reset"),
        ("padding", "NaN in padding"),
        ("gradients", "gradcheck"),
    ],
)
def test_a_mistake_in_every_dtype_fails_its_own_check(body: Body, wrong: str, what: str) -> None:
    failed = {c.what for c in checked(body, wrong) if c.verdict == "failed"}
    assert what in failed
    assert not failed & {"values", "final state"}, "the layer agrees with itself there"


@pytest.mark.parametrize(("wrong", "what"), [("values", "values"), ("final state", "final state"), ("gradients", "gradients")])
def test_a_layer_that_differs_from_the_reference_fails(body: Body, wrong: str, what: str) -> None:
    found = checked(body, wrong, lambda backend, dtype: dtype == "float32")
    assert {c.dtype for c in found if c.verdict == "failed"} == {"float32"}
    assert what in {c.what for c in found if c.verdict == "failed"}


def test_a_layer_that_raises_fails_with_the_reason(body: Body) -> None:
    def make(name: str, backend: str, mode: str, dtype: str, **dims: int) -> Leaky:
        layer = Leaky(dims, getattr(torch, dtype), "", backend)
        if dtype == "float32":
            layer.step = None
        return layer

    failed = [c for c in verified(body, make, REPORT) if c.verdict == "failed"]
    assert failed and all("TypeError" in c.note for c in failed)


def test_what_does_not_stream_is_skipped_with_the_reason(body: Body) -> None:
    def make(name: str, backend: str, mode: str, dtype: str, **dims: int) -> Leaky:
        return Leaky(dims, getattr(torch, dtype), "", backend)

    found = {c.what: c for c in verified(body, make, {**REPORT, "streams": "no"}) if c.dtype == "float64"}
    assert found["step = forward"].verdict == "skipped" and found["step = forward"].note
    assert found["NaN in padding"].verdict == "ok"


def test_a_backend_that_is_not_there_fails_where_it_was_asked_for(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqc.compiler.driver.verify import executors, run

    gone = executors.Executor("gone", lambda components: ["sequential"], missing=lambda: "no compiler")
    monkeypatch.setattr(run, "EXECUTORS", (*executors.EXECUTORS, gone))

    def make(name: str, backend: str, mode: str, dtype: str, **dims: int) -> Leaky:
        return Leaky(dims, getattr(torch, dtype), "", backend)

    assert [c.verdict for c in verified(body, make, REPORT) if c.backend == "gone"] == ["skipped"]
    assert [c.verdict for c in verified(body, make, REPORT, backends=("gone",))] == ["failed"]


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "gru:GRU", "jordan"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("gradcheck", "float32", "Jordan given y"))
    assert "FAILED" not in text and "ChoGRU" not in text
    assert main(["verify", "lif", "--backend", "reference", "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["ok"] and {c["verdict"] for c in record["checks"]} == {"ok", "skipped"}
    (skipped,) = [c for c in record["checks"] if c["what"] == "gradcheck"]
    assert "through" in skipped["note"] or "stop" in skipped["note"]
    assert main(["verify", "online_memory", "--backend", "native"]) == 1
    assert main(["verify", "gru", "--set", "Q=3"]) == 2


@pytest.mark.parametrize("spec", [b.name for b in all_bundled() if not b.name.startswith("operators.")])
def test_every_bundled_spec(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", spec, "--backend", "reference"]) == 0, capsys.readouterr().out
    assert "skipped:" not in capsys.readouterr().out, "every body can be checked"


def test_ratio_counts_places_of_infinities() -> None:
    inf = float("inf")
    assert ratio([torch.tensor([1.0, inf])], [torch.tensor([1.0, inf])]) == 0.0
    assert ratio([torch.tensor([1.0, inf])], [torch.tensor([1.0, -inf])]) == inf
    assert ratio([torch.tensor([1.0, float("nan")])], [torch.tensor([1.0, 2.0])]) == inf
    assert ratio([torch.zeros(2)], [torch.zeros(3)]) == inf
    assert ratio([], [torch.zeros(3)]) == inf
    assert ratio([torch.tensor([3])], [torch.tensor([4])]) == inf
    assert ratio([torch.tensor([1.1])], [torch.tensor([1.0])]) == pytest.approx(0.1, rel=1e-6)


def test_limits_grow_slowly_and_are_capped() -> None:
    assert limit_of("float32", 1) == 1e-6 and limit_of("float32", 10**9) == 2e-5
    assert limit_of("float32", 10**9, gradient=True) == 1e-4
    assert limit_of("float64", 4) == 2e-12


def test_leaves_of_a_state() -> None:
    state = State({"a": torch.zeros(1), "b": 3})
    assert [tuple(x.shape) for x in Result([], state).leaves] == [(1,)]


def test_a_mode_that_a_body_has_no_kernel_for_fails_only_where_it_is_asked_for(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--backend triton` asks for the backend, and not for each of its modes."""
    from seqc.compiler.driver.verify import run
    from seqc.compiler.driver.verify.executors import Executor

    class NoKernel(RuntimeError):
        code = "SEQ0604"

    def make(name: str, backend: str, mode: str, dtype: str, **dims: int) -> Leaky:
        if mode == "associative":
            raise NoKernel("Leaky has no associative kernel")
        return Leaky(dims, getattr(torch, dtype), "", backend)

    lacking = Executor("lacking", lambda components: ["sequential", "associative"], only_asked=True)
    monkeypatch.setattr(run, "EXECUTORS", (lacking,))
    for scan, verdict in (("auto", "skipped"), ("associative", "failed")):
        found = list(verified(body, make, REPORT, backends=("lacking",), scan=scan))
        assert {c.verdict for c in found if c.mode == "associative"} == {verdict}
        assert {c.verdict for c in found if c.mode == "sequential"} == ({"ok"} if scan == "auto" else set())

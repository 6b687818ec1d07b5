"""Schedules on a GPU that is made of paper: what computes is the function's own text, wrong where a test plants it, and time is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import seqc
from seqc.runtime.cache import Cache
from seqc.runtime.triton import decide, known, launching, plainly, schedules, trial
from seqc.runtime.triton import kernel as module
from seqc.runtime.triton.blocks import Blocks, power
from seqc.runtime.triton.decide import BadKernel, Case, decided, tuning
from seqc.runtime.triton.device import installed
from seqc.runtime.triton.kernel import Kernel, Launch

pytestmark = pytest.mark.skipif(not installed(), reason="Triton is not installed")


class Machine(launching.Machine):
    kinds = ("cpu",)
    busy = False

    def capturing(self) -> bool:
        return self.busy


@dataclass
class Paper:
    """A GPU. `wrong`: plans that it computes wrongly; `times`: what a call takes, by schedule."""

    wrong: Callable[[Launch], bool] = lambda plan: False
    slow: Callable[[Launch], float] = lambda plan: 1.0
    target: tuple[str, str] = ("sm_90", "3.6.0")
    checked: list[Launch] = field(default_factory=list)
    timed: int = 0

    def compute(self, plan: Launch, operands: list[Any], device: torch.device) -> list[Tensor | None]:
        self.checked.append(plan)
        found = [None if x is None else x.to(kind) for x, kind in zip(trial.said(plan, operands), plan.kinds, strict=True)]
        if self.wrong(plan):
            for x in found:
                if x is not None and x.numel():
                    x.view(-1)[: -(-x.numel() // 32)] += 1.0  # one lane of a warp
        return found

    def time(self, run: Callable[[], object]) -> float:
        """Calls are not made: what would be launched tells the time."""
        self.timed += 1
        plan = next(c.cell_contents for c in run.__closure__ or () if isinstance(c.cell_contents, Launch))
        return self.slow(plan)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Paper]:
    made = Paper()
    machine = Machine()
    monkeypatch.setattr(launching, "MACHINE", machine)
    monkeypatch.setattr(module, "CHUNK", 8)
    monkeypatch.setattr(decide, "BENCH", decide.Bench(made.time, made.compute, lambda: made.target))
    monkeypatch.setattr(decide, "_cache", [Cache(tmp_path)])
    monkeypatch.delenv("SEQC_TUNE", raising=False)
    yield made


def kernel(scan: bool = False) -> Kernel:
    """A new one, that knows nothing yet."""
    made = Kernel(*seqc.load("mingru").MinGRU.TRITON[0])
    found = made.parallel if scan else made
    assert found is not None
    return found


def case(k: Kernel, adjoint: bool = False, batch: int = 3, length: int = 50, size: int = 200, dtype: torch.dtype = torch.float32) -> Case:
    f = k.adjoint if adjoint else k.forward
    sizes = dict.fromkeys(f.axes, size)
    shapes = trial.shapes_of(k, f, batch, length, sizes, 32)
    operands = [0.5 if kind == "number" else torch.zeros(s, dtype=dtype) for s, (kind, _) in zip(shapes, f.operands, strict=True)]
    like = [((), torch.float32 if what == "checkpoint" else dtype) for what, _, _, _ in f.results]
    return Case(k, f, batch, length, sizes, torch.float32, operands, like, torch.device("cpu"))


# ---- the plain evaluation, and what is compared -----------------------------------------------------------------------


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("adjoint", [False, True])
def test_the_text_computed_plainly_is_what_the_interpreter_computes(scan: bool, adjoint: bool) -> None:
    from seqc.runtime.triton.device import interpreting

    if not interpreting():
        pytest.skip("Triton's interpreter is off")
    c = case(kernel(scan), adjoint, size=40)
    blocks = Blocks((32,), 1, 1, 1)
    with c.kernel.adjoint.given(c.sizes, 8 if scan else 0):
        plan, shapes = trial.plan(c.kernel, c.f, blocks, c.sizes, c.length, c.real, c.operands, c.like)
    assert plan.programs == 4, "two groups of sequences, two pieces"
    made = trial.drawn(shapes, c.operands, 0)
    off, sure = trial.compared(plan.call(made), trial.said(plan, made))
    assert off == 0.0 and sure == 1.0


def test_a_word_that_is_not_known() -> None:
    with pytest.raises(plainly.Unplain, match="nothing_like_it"):
        plainly.Words({}).nothing_like_it  # noqa: B018


def test_scans_in_order() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert torch.equal(plainly._scan(x, 1, lambda a, b: 10 * a + b), torch.tensor([[1.0, 12.0, 123.0]]))


def test_few_entries_may_be_off_and_no_more() -> None:
    want = torch.linspace(1.0, 2.0, 1000, dtype=torch.float64)
    have = want.float()
    assert trial.compared([have], [want]) == (0.0, 1.0)
    have[:9] += 1.0
    assert trial.compared([have], [want])[0] == pytest.approx(0.009)
    assert trial.compared([have[:5]], [torch.full((5,), float("nan"))]) == (0.0, 0.0)
    assert trial.compared([torch.full((4,), float("nan"))], [torch.ones(4)])[0] == 1.0


# ---- the check at the first use ---------------------------------------------------------------------------------------


def test_the_derived_schedule_where_it_is_sound(paper: Paper) -> None:
    c = case(kernel())
    assert decided(c).blocks == c.f.blocks(dict(c.sizes), c.batch)
    assert len(paper.checked) == 1 and not paper.timed
    # once for each class of shapes: another number of steps, of sequences, of entries below the same power of two
    for other in (case(c.kernel, length=900), case(c.kernel, batch=5), case(c.kernel, size=130)):
        decided(other)
    assert len(paper.checked) == 1
    decided(case(c.kernel, size=300))
    assert len(paper.checked) == 1, "another class, the same blocks"
    decided(case(c.kernel, dtype=torch.bfloat16))
    assert len(paper.checked) == 2


def test_the_verdict_is_kept(paper: Paper) -> None:
    decided(case(kernel()))
    decided(case(kernel()))
    assert len(paper.checked) == 1, "the second kernel found the first one's verdict in the cache"
    paper.target = ("sm_90", "3.7.0")
    decided(case(kernel()))
    assert len(paper.checked) == 2, "another Triton is checked anew"


def test_another_schedule_where_one_is_wrong(paper: Paper) -> None:
    c = case(kernel())
    derived = c.f.blocks(dict(c.sizes), c.batch)
    paper.wrong = lambda plan: plan.constants[2] == derived.axes[0]
    found = decided(c).blocks
    assert found.axes != derived.axes
    paper.checked.clear()
    assert decided(case(kernel())).blocks == found and not paper.checked, "what is wrong is known from then on"


def test_none_is_sound(paper: Paper) -> None:
    paper.wrong = lambda plan: True
    with pytest.raises(BadKernel, match=r"SEQ0608.*MinGRU_k1_forward.*sm_90 with Triton 3\.6\.0.*of the entries are wrong"):
        decided(case(kernel()))


def test_what_cannot_be_launched_is_dropped(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(plan: Launch, operands: list[Any], device: torch.device) -> list[Tensor | None]:
        if plan.warps == derived.warps:
            raise RuntimeError("out of resource: shared memory")
        return paper.compute(plan, operands, device)

    c = case(kernel())
    derived = c.f.blocks(dict(c.sizes), c.batch)
    monkeypatch.setattr(decide, "BENCH", decide.Bench(paper.time, compute, lambda: paper.target))
    assert decided(c).blocks.warps != derived.warps


def test_the_check_can_be_switched_off(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    paper.wrong = lambda plan: True
    monkeypatch.setenv("SEQC_CHECK", "0")
    assert decided(case(kernel())) and not paper.checked


def test_nothing_is_checked_into_a_graph(paper: Paper) -> None:
    machine: Any = launching.MACHINE
    machine.busy = True
    c = case(kernel())
    assert decided(c).blocks == c.f.blocks(dict(c.sizes), c.batch) and not paper.checked
    machine.busy = False
    decided(c)
    assert len(paper.checked) == 1


def test_a_kernel_asks_before_it_plans(paper: Paper) -> None:
    """From the call of a kernel: its plan has the schedule that was found sound."""
    k = kernel()
    c = case(k, size=40)
    derived = k.forward.blocks(dict(c.sizes), c.batch)
    paper.wrong = lambda plan: plan.warps == derived.warps
    plan = k._forward_plan(c.operands, (torch.float32,), False, False)
    assert plan.warps != derived.warps


# ---- known faults -----------------------------------------------------------------------------------------------------

PRODUCTS = """
def f():
    a = tl.dot(x, y, input_precision="ieee", out_dtype=tl.float32)
    b = a * 2.0
    c = tl.trans(b)
    d = tl.dot(c, z, input_precision="ieee", out_dtype=tl.float32)
"""


def test_features_of_a_text() -> None:
    assert known.features(PRODUCTS) == {known.DOT, known.TURNED}
    assert known.features(PRODUCTS.replace("tl.trans(b)", "b")) == {known.DOT}
    assert known.features(PRODUCTS.replace("tl.trans(b)", "tl.trans(w)")) == {known.DOT}
    assert known.features(PRODUCTS.replace("dot(c,", "dot(tl.trans(a),").replace("tl.trans(b)", "b")) == {known.DOT, known.TURNED}
    assert known.features("def f():\n    a = tl.associative_scan(x, 1, g, reverse=True)") == {known.REVERSE}
    assert known.features("def f():\n    a = tl.associative_scan(x, 1, g, True)") == {known.REVERSE}
    assert known.features("def f():\n    a = tl.associative_scan(x, 1, g, reverse=False)") == frozenset()
    assert known.features("def f(") >= {known.DOT}, "what cannot be read may have everything"


@pytest.mark.parametrize(
    ("version", "target", "width", "warps", "is_bad"),
    [
        ((3, 6, 0), "sm_90", 64, 8, True),
        ((3, 7, 0), "sm_90", 64, 8, True),
        ((3, 7, 1), "sm_90", 64, 8, False),
        ((3, 3, 1), "sm_90", 64, 8, False),
        ((3, 6, 0), "sm_80", 64, 8, False),
        ((3, 6, 0), "sm_90", 32, 8, False),
        ((3, 7, 1), "sm_90", 64, 4, True),
        ((3, 9, 0), "sm_90", 64, 4, True),
        ((3, 9, 0), "gfx942", 64, 4, False),
    ],
)
def test_which_versions_and_schedules(version: tuple[int, ...], target: str, width: int, warps: int, is_bad: bool) -> None:
    found = known.known(PRODUCTS, Blocks((16, width), 1, warps, 1), 0, version, target)
    assert (found is not None) == is_bad
    assert known.known("def f():\n    pass", Blocks((16, width), 1, warps, 1), 0, version, target) is None


def test_emitted_kernels_have_no_scan_in_reverse() -> None:
    cls = seqc.load("mingru").MinGRU
    texts = [known.text_of(f) for one in cls.TRITON for f in one[::2]]
    assert len(texts) == 8 and all("associative_scan" in t for t in texts if "_scan_" in t)
    assert all(known.features(t) == frozenset() for t in texts)


def test_a_known_fault_is_left_out(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    c = case(kernel())
    derived = c.f.blocks(dict(c.sizes), c.batch)
    bad = known.Bad((3, 4), (3, 7), ("sm_90",), known.DOT, derived.axes[0], 0, "somebody found it")
    monkeypatch.setattr(known, "features", lambda text: frozenset((known.DOT,)))
    monkeypatch.setattr(known.known, "__defaults__", ((bad,),))
    found = decided(c).blocks
    assert found.axes != derived.axes and all(p.constants[2] != derived.axes[0] for p in paper.checked), "not even tried"
    monkeypatch.setattr(known.known, "__defaults__", ((replace(bad, width=0),),))
    with pytest.raises(BadKernel, match="somebody found it"):
        decided(case(kernel()))


# ---- which schedules, and which of them is fastest --------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "name"), [("mingru", "MinGRU"), ("mamba1", "Mamba1"), ("gla", "GLA"), ("lif", "LIF")])
@pytest.mark.parametrize("batch", [1, 64])
def test_at_most_twelve_that_fit(spec: str, name: str, batch: int) -> None:
    for one in getattr(seqc.load(spec), name).TRITON:
        for k in (whole := Kernel(*one), whole.parallel):
            for f in (k.forward, k.adjoint) if k is not None else ():
                sizes = {a: 40 + 100 * i for i, a in enumerate(f.axes)}
                derived = schedules.Schedule(f.blocks(sizes, batch), f.steps(sizes) if f.tiles else 0)
                found = schedules.schedules(f, derived, sizes)
                assert found[0] == derived and 4 <= len(found) <= schedules.MOST and len(set(found)) == len(found)
                assert all(schedules.fits(s, derived, f) for s in found)
                assert all(schedules.read(json.loads(json.dumps(s.told()))) == s for s in found)


def test_a_schedule_that_fits_no_function() -> None:
    k = kernel()
    derived = schedules.Schedule(Blocks((32,), 1, 1, 2))
    for blocks, steps in (
        (Blocks((48,), 1, 1, 2), 0), (Blocks((32, 32), 1, 1, 2), 0), (Blocks((32,), 1, 64, 2), 0), (Blocks((32,), 1, 1, 9), 0),
        (Blocks((32,), 1, 1, 2), 16), (Blocks((0,), 1, 1, 2), 0),
    ):  # fmt: skip
        assert not schedules.fits(schedules.Schedule(blocks, steps), derived, k.forward)
    for told in (None, [], {}, {"axes": ["32"], "batch": 1, "warps": 1, "stages": 1, "steps": 0}, {**derived.told(), "warps": 1 << 30}):
        assert schedules.read(told) is None


def test_classes() -> None:
    """Powers of two of the sizes, few or many sequences; nothing else."""
    f = kernel().forward
    classes = {schedules.shape_class(f, {"N": n}, b) for n in (129, 200, 256) for b in (1, 16)}
    assert classes == {"N<=256,few"}
    assert schedules.shape_class(f, {"N": 257}, 17) == "N<=512,many" and power(257) == 512


def test_nothing_is_measured_unless_it_is_asked_for(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    decided(case(kernel()))
    monkeypatch.setenv("SEQC_TUNE", "0")
    decided(case(kernel()))
    assert not paper.timed


@pytest.mark.parametrize("scan", [False, True])
def test_the_fastest_is_taken_and_kept(paper: Paper, monkeypatch: pytest.MonkeyPatch, scan: bool) -> None:
    c = case(kernel(scan))
    derived = c.f.blocks(dict(c.sizes), c.batch)
    wanted = 2 * derived.warps
    paper.slow = lambda plan: 0.5 if plan.warps == wanted else 1.0
    monkeypatch.setenv("SEQC_TUNE", "1")
    assert decided(c).blocks.warps == wanted
    assert 4 <= paper.timed <= schedules.MOST
    before = paper.timed
    monkeypatch.delenv("SEQC_TUNE")
    assert decided(case(kernel(scan))).blocks.warps == wanted and paper.timed == before, "what was measured is used later"
    monkeypatch.setenv("SEQC_TUNE", "0")
    assert decided(case(kernel(scan))).blocks == derived, "and ignored where that is asked for"
    with tuning(True):
        assert decided(case(kernel(scan))).blocks.warps == wanted and paper.timed == before


def test_a_fast_wrong_schedule_is_dropped(paper: Paper) -> None:
    c = case(kernel())
    derived = c.f.blocks(dict(c.sizes), c.batch)
    paper.slow = lambda plan: 0.1 if plan.warps == 2 * derived.warps else 1.0
    paper.wrong = lambda plan: plan.warps == 2 * derived.warps
    with tuning(True):
        assert decided(c).blocks.warps != 2 * derived.warps


def test_a_schedule_that_differs_from_the_first_is_dropped(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the check said nothing: results of all schedules are compared with those of the first."""
    monkeypatch.setenv("SEQC_CHECK", "0")
    test_a_fast_wrong_schedule_is_dropped(paper)


def test_forward_and_adjoint_have_the_same_steps(paper: Paper) -> None:
    """What a forward call keeps at the ends of tiles its adjoint reads there."""
    k = kernel(True)
    derived = k.adjoint.interval({"N": 200}, torch.float32, 50)
    paper.slow = lambda plan: float(plan.constants[2])
    with tuning(True):
        ahead = decided(case(k))
        assert ahead.steps == derived // 2
        assert decided(case(k, True)).steps == ahead.steps
        # few sequences and many may have other blocks, not other steps
        paper.slow = lambda plan: -float(plan.constants[2])
        assert decided(case(k, batch=40)).steps == ahead.steps
    assert decided(case(k, True, batch=40)).steps == ahead.steps
    assert k.adjoint.interval({"N": 200}, torch.float32, 50) == ahead.steps


def test_a_choice_in_the_cache_that_cannot_be(paper: Paper) -> None:
    """A damaged or foreign choice is not used: blocks that fit no such function."""
    c = case(kernel())
    parts = c.parts("schedule", schedules.shape_class(c.f, c.sizes, c.batch) + " of 0 steps")
    bad = {"axes": [7], "batch": 1, "warps": 1, "stages": 2, "steps": 0}
    decide.cache().entry(parts, lambda: {"schedule.json": json.dumps({"schedule": bad}).encode()})
    assert decided(c).blocks == c.f.blocks(dict(c.sizes), c.batch)


def test_the_callers_tensors_are_never_touched(paper: Paper) -> None:
    c = case(kernel())
    before = [x.clone() if isinstance(x, Tensor) else x for x in c.operands]
    held = {x.data_ptr() for x in c.operands if isinstance(x, Tensor)}
    seen: list[int] = []

    def compute(plan: Launch, operands: list[Any], device: torch.device) -> list[Tensor | None]:
        seen.extend(x.data_ptr() for x in operands if isinstance(x, Tensor))
        return Paper().compute(plan, operands, device)

    decide.BENCH.compute = compute
    with tuning(True):
        decided(c)
    assert seen and not held & set(seen)
    assert all(torch.equal(a, b) for a, b in zip(before, c.operands, strict=True) if isinstance(a, Tensor))

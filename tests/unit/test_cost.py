"""The cost model: what it counts in kernels, how its times move, what it decides."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from seqc.compiler.driver.explain.choices import MachineReport, axis_sizes, report
from seqc.compiler.driver.options import Options
from seqc.compiler.driver.pipeline import Run, advance, compiled
from seqc.compiler.driver.sizes import defaults
from seqc.compiler.driver.target import Target
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.ir.kernel import BOOL_FUNCTIONS, REAL_FUNCTIONS
from seqc.compiler.lower.triton.facts import of_class
from seqc.compiler.plan.work import WORK
from seqc.runtime.cost.decide import GAIN, Decision, decide
from seqc.runtime.cost.devices import DEVICES, Device, known
from seqc.runtime.cost.facts import Loop, Shape, total
from seqc.runtime.cost.model import BOUNDS, estimates, window
from seqc.runtime.cost.segments import segments

GPUS = [d for d in DEVICES.values() if d.kind == "gpu"]
H200 = DEVICES["h200"]


@functools.cache
def lowered(name: str) -> Run:
    """A bundled spec with its kernels."""
    return advance(compiled(Target(name), Options.make({}), until="plan"), "kernel")


@functools.cache
def loop(name: str, **dims: int) -> tuple[Loop, dict[str, int]]:
    """The first loop of a spec, and sizes of its axes."""
    run = lowered(name)
    classes, natives = run.lowered
    body = run.bodies[0]
    native = next(natives[c.name] for c in classes if c.body.key == body.key)
    found = of_class(native.kernels, native.newton, native.inside())[0]
    return found, axis_sizes(native.kernels[0], body, defaults(body, dims))


def chosen(name: str, batch: int, length: int, device: Device = H200, training: bool = False, **dims: int) -> Decision:
    found, sizes = loop(name, **dims)
    return decide(found, Shape(batch, length, sizes, 4, training), device)


# ---- counting ---------------------------------------------------------------------------------------------------------


def test_every_function_has_its_work() -> None:
    assert set(WORK) == {*REAL_FUNCTIONS, *BOOL_FUNCTIONS}
    for name, w in WORK.items():
        assert w.plain >= 0 and w.special >= 0 and w.deep_plain <= max(1, w.plain) and w.deep_special <= w.special, name


def test_what_is_counted_in_indrnn() -> None:
    """h = relu(x + u * h[t-1]): one value in, one out, a multiply-add and a rectifier; all of it waits for the step before."""
    found, _ = loop("indrnn")
    f = found.forward
    assert f.read == f.written == f.carries == ((("N",), 1.0),)
    assert f.plain == ((("N",), 4.0),) and f.special == ()
    assert f.chain == (3, 0, 0, 0)
    # backwards: the cotangent, x and h of the step before; the gradient of x
    assert total(found.backward.read, {"N": 1}) == 3 and total(found.backward.written, {"N": 1}) == 1
    assert found.scan is None and found.newton is not None and found.newton.kinks
    assert dict(found.lacks).keys() == {"associative"}


def test_special_functions_and_products_are_counted() -> None:
    gates, sizes = loop("minlstm")
    assert total(gates.forward.special, sizes) > 0
    assert gates.scan is not None and gates.scan[0].tiled and len(gates.scan[0].scans) == 1
    lstm, sizes = loop("lstm")
    assert len(lstm.forward.products) == 4 and lstm.forward.chain[3] == 1, "four products, none waits for another one"
    assert sum(math.prod(sizes[a] for a in weight) for weight, _, _ in lstm.forward.products) == 4 * 256 * 256
    cho = lowered("gru").lowered[1]["ChoGRU"]
    assert of_class(cho.kernels, cho.newton, cho.inside())[0].forward.chain[3] == 2, "the reset gate stands before the last product"
    assert not loop("paragru")[0].newton.kinks  # type: ignore[union-attr]


def test_facts_survive_the_module() -> None:
    for name in ("indrnn", "lstm", "aaren", "rwkv4", "mamba1"):
        found = loop(name)[0]
        told = found.told()
        assert Loop.of(told) == found
        assert _plain(told), "numbers, words and tuples only"


def _plain(x: Any) -> bool:
    return all(map(_plain, x)) if isinstance(x, tuple) else x is None or isinstance(x, bool | int | float | str)


# ---- how times move ---------------------------------------------------------------------------------------------------

NAMES = ("indrnn", "mingru", "lru", "paralstm", "rwkv4", "mamba1", "gru")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", DEVICES)
def test_more_of_anything_is_never_slower(name: str, device: str) -> None:
    found, sizes = loop(name)
    found = replace(found, built=("sequential", "fused", "steps") if found.forward.products else found.built)
    here = DEVICES[device]
    for batch, length, training in itertools.product((1, 64), (1024, 65536), (False, True)):
        shape = Shape(batch, length, sizes, 4, training)
        times = {e.mode: e.seconds for e in estimates(found, shape, here)}
        assert times and all(0 < t < math.inf for t in times.values())
        better = [
            replace(here, bandwidth=2 * here.bandwidth, near=2 * here.near), replace(here, plain=2 * here.plain),
            replace(here, special=2 * here.special), replace(here, memory=here.memory / 2), replace(here, launch=here.launch / 2),
            replace(here, clock=2 * here.clock), replace(here, operation=here.operation / 2),
        ]  # fmt: skip
        for other in better:
            for e in estimates(found, shape, other):
                assert e.seconds <= times[e.mode] * (1 + 1e-12), (e.mode, other)
        for longer in (Shape(batch, 2 * length, sizes, 4, training), Shape(2 * batch, length, sizes, 4, training)):
            for e in estimates(found, longer, here):
                # a batch twice as large fills the machine, so that fewer cuts, which read everything twice, are needed
                slack = 1e-12 if longer.batch == batch else 0.6
                assert e.seconds >= times[e.mode] * (1 - slack), (e.mode, longer)
        wide = {e.mode: e.seconds for e in estimates(found, replace(shape, width=2), here)}
        assert all(wide[m] <= t * (1 + 1e-12) for m, t in times.items()), "half the bytes"
        assert all(e.bound in BOUNDS and e.parts[e.bound] == max(e.parts.values()) for e in estimates(found, shape, here))


def test_time_is_linear_where_memory_binds() -> None:
    found, _ = loop("mingru")
    times = []
    for length in (1 << 16, 1 << 17):
        (e,) = (e for e in estimates(found, Shape(64, length, {"N": 4096}), H200) if e.mode == "sequential")
        assert e.bound == "memory bandwidth"
        times.append(e.seconds - H200.launch)
    assert times[1] == pytest.approx(2 * times[0], rel=1e-4)
    # two gates' values in, h out: minGRU's own bytes over the copy rate
    assert times[0] == pytest.approx(4 * 64 * (1 << 16) * 4096 * total(_moved(found), {"N": 1}) / H200.copy, rel=1e-3)


def _moved(found: Loop) -> Any:
    return (*found.forward.read, *found.forward.written)


# ---- decisions --------------------------------------------------------------------------------------------------------


def test_indrnn_goes_parallel_where_there_is_one_long_sequence() -> None:
    long, many = chosen("indrnn", 1, 65536), chosen("indrnn", 64, 1024)
    assert (long.mode, many.mode) == ("newton", "sequential")
    assert long.second is not None and long.second.mode == "sequential" and long.second.bound == "the latency chain"
    assert "65536 steps" in long.why and "iterations" in long.why
    assert many.second is not None and many.second.mode == "newton"


@pytest.mark.parametrize("name", ["paragru", "paralstm", "sru"])
def test_newton_is_for_few_long_sequences(name: str) -> None:
    assert chosen(name, 1, 65536).mode == "newton"
    assert chosen(name, 256, 512).mode == "sequential"
    assert chosen(name, 1, 16).mode == "sequential"


def test_a_diagonal_scan_is_cut_where_programs_are_few() -> None:
    long, wide = chosen("mingru", 1, 65536, D=1024), chosen("mingru", 64, 1024, D=4096)
    assert long.mode == "associative" and long.best.segments > 1
    assert wide.mode == "sequential" and wide.best.bound == "memory bandwidth"
    assert wide.second is not None and wide.second.mode == "associative"


@pytest.mark.parametrize("device", GPUS, ids=lambda d: d.name)
def test_dense_weights_stay_where_they_fit(device: Device) -> None:
    """fp32 LSTM: 4 H^2 values of 4 bytes; bf16 half of it."""
    found, _ = loop("lstm")
    found = replace(found, built=("fused", "steps"))
    for size, width in ((64, 4), (128, 4), (128, 2), (512, 2)):
        sizes = dict.fromkeys(found.forward.axes, size)
        modes = [e.mode for e in estimates(found, Shape(16, 1024, sizes, width), device)]
        assert ("fused" in modes) == (4 * size * size * width <= device.shared), (size, width)
        assert "steps" in modes
    best = decide(found, Shape(16, 1024, dict.fromkeys(found.forward.axes, 64), 4), device)
    assert best.mode == "fused"


def test_small_gains_are_no_gains() -> None:
    """The simpler mode stays where the other one is less than a tenth quicker; what is left out is never taken."""
    found, sizes = loop("mingru")
    for batch, length in itertools.product((1, 8, 64, 512), (64, 1024, 16384)):
        d = decide(found, Shape(batch, length, sizes), H200)
        times = {e.mode: e.seconds for e in d.every}
        assert d.best.seconds <= min(times.values()) / GAIN
        if d.mode == "associative":
            assert times["associative"] < GAIN * times["sequential"]
    assert decide(found, Shape(1, 65536, sizes), H200, ("associative",)).mode == "sequential"


def test_what_a_module_needed_before_counts() -> None:
    found, sizes = loop("paragru")
    assert decide(found, Shape(1, 65536, sizes, 4, False, 4), H200).mode == "newton"
    assert decide(found, Shape(1, 65536, sizes, 4, False, 500), H200).mode == "sequential"


def test_segments_fill_the_machine() -> None:
    assert segments(8, 65536, 64, 132) == 64 and segments(132, 65536, 64, 132) == 1 and segments(1, 256, 64, 132) == 1
    assert window(100_000, 256, True) == 65536 and window(100_000, 256, False) == 16384 and window(7, 1, True) == 7


@pytest.mark.parametrize("batch, length", [(8, 4096), (1, 65536)])
def test_every_bundled_spec_on_every_machine(batch: int, length: int) -> None:
    count = 0
    for entry in all_bundled():
        run = lowered(entry.name)
        for device in DEVICES:
            run.options = Options.make({}, device=device, batch=batch, time=length)
            found = report(run)
            assert MachineReport.model_validate_json(found.model_dump_json()) == found
            for one in found.loops:
                if one.forward is None or one.training is None:
                    assert one.lacks["kernel"]
                    continue
                count += 1
                for c in (one.forward, one.training):
                    assert c.why and c.seconds == min(m.seconds for m in c.modes if m.mode == c.mode)
                    assert c.runner_up is None or c.runner_up.mode != c.mode
                assert one.training.seconds > one.forward.seconds
    assert count > 30 * len(DEVICES)


# ---- machines ---------------------------------------------------------------------------------------------------------


def test_the_catalogue_and_what_a_driver_says() -> None:
    assert set(DEVICES) == {"cpu", "a100", "h100", "h200", "mi300x"}
    assert {d.arch: d.shared for d in GPUS} == {"sm_80": 166_912, "sm_90": 232_448, "gfx942": 65_536}
    h200 = known("NVIDIA H200", 132, 232_448, 32, 60 << 20, 1.98e9)
    assert (h200.name, h200.bandwidth, h200.l2, h200.clock) == ("h200", H200.bandwidth, 60 << 20, 1.98e9)
    other = known("NVIDIA L4", 58, 101_376, 32, 48 << 20, 0.0)
    assert (other.name, other.units, other.shared) == ("cuda", 58, 101_376) and other.bandwidth < DEVICES["a100"].bandwidth
    assert known("gfx90a", 104, 65_536, 64, 8 << 20, 0.0).warp == 64

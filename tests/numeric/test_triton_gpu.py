"""Triton kernels on a GPU at real sizes against the reference in float64: values, states, gradients, in every mode, type and way.

What the interpreter's tests do on tiny shapes, and what only a GPU can show: the tool that watches memory, more than 2^31 entries, more
programs than a grid axis has, the same bits every time, every block that a launch may take.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

import seqc
from numeric.native_compare import run
from numeric.random_cells import random_cell
from numeric.test_native_specs import IN_SCOPE, bodies
from numeric.triton_cells import HOW, Way, check, faults, kernels
from seqc.compiler.driver import sample
from seqc.compiler.driver.bench.suite.contestants import layer_of
from seqc.compiler.driver.sizes import small
from seqc.runtime.triton import kernel as launcher
from seqc.runtime.triton.blocks import Blocks, choose

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here; the interpreter's tests run the same kernels"),
]
REAL = ({"D": 256}, {"D": 64}, {})
"""Sizes that are tried for a cell, in this order."""
SCANS = ("sequential", "associative", "newton")


def real(spec: str, body: Any) -> tuple[Any, dict[str, int]]:
    """A layer of real size on the reference in float64, and its sizes."""
    wrong: Exception | None = None
    for wanted in REAL:
        try:
            for sizes in small(body, {k: v for k, v in wanted.items() if k in {d.name for d in body.dims}}):
                torch.manual_seed(0)
                return getattr(seqc.load(spec), body.name)(dtype=torch.float64, backend="reference", **sizes), dict(sizes)
        except (ValueError, TypeError, LookupError) as why:
            wrong = why
    raise AssertionError(f"no sizes fit {body.name}: {wrong}")


def offered(cls: Any, scan: str) -> bool:
    """Whether a class has kernels of a mode."""
    if scan == "associative":
        return bool(cls.TRITON) and all(len(one) > 4 for one in cls.TRITON)
    return bool(cls.TRITON) and (scan != "newton" or bool(getattr(cls, "TRITON_NEWTON", ())))


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("spec", IN_SCOPE)
def test_every_spec_in_every_way(spec: str, scan: str) -> None:
    """float32 in all kinds of sequences, bfloat16 in two of them."""
    done, said = 0, {}
    for body in bodies(spec)[1]:
        cls = getattr(seqc.load(spec), body.name)
        if not offered(cls, scan):
            continue
        for how in HOW if scan != "newton" else ("plain",):
            for dtype in (torch.float32, torch.bfloat16) if how in ("plain", "packed") and scan != "newton" else (torch.float32,):
                layer, sizes = real(spec, body)
                values = {k: v.double() if v.is_floating_point() else v for k, v in sample.draw(body, sizes, 5, 131).values.items()}
                once = tuple(k for k in values if body.table[k].once)
                found = faults(layer, values, once, Way(scan, dtype, how), 1, device="cuda")
                if found:
                    said[f"{body.name} {how} {dtype}"] = found
                done += 1
    if not done:
        pytest.skip(f"{spec} has no kernels for the mode {scan}")
    assert not said


@pytest.mark.parametrize("unit", range(10))
def test_random_cells(unit: int) -> None:
    check(20 * unit, 20, device="cuda", batch=5, steps=67)


@pytest.mark.parametrize("unit", range(2))
def test_random_cells_with_layers_on_the_state(unit: int) -> None:
    cells = [random_cell(20 * unit + i, dense=True) for i in range(20)]
    module = seqc.load("seq 1\n" + cells[0].text)
    if getattr(module, cells[0].name).TRITON_LEFT:
        pytest.skip("no Triton kernels with matrix products yet")
    check(20 * unit, 20, dense=True, device="cuda", batch=5, steps=67)


@pytest.mark.parametrize("scan", ["sequential", "associative"])
def test_the_same_bits_every_time(scan: str) -> None:
    layer = seqc.load("mamba1").Mamba1(D=64, device="cuda", backend="triton", scan=scan)
    x = {"x": torch.randn(4, 200, 64, device="cuda")}
    first = run(layer, x, ())
    for _ in range(5):
        again = run(layer, x, ())
        assert all(torch.equal(a, b) for a, b in zip(first.values, again.values, strict=True))
        assert all(torch.equal(a, again.gradients[k]) for k, a in first.gradients.items() if a is not None)


# ---- every schedule ---------------------------------------------------------------------------------------------------

CONFIGURED = ("mingru", "lru", "mamba1", "paralstm", "rwkv4", "gla")


def schedules(given: tuple[Any, ...]) -> list[Blocks]:
    """What a launch may take: the blocks of each class of shapes, halved once more along each axis that is cut, with each number of warps,
    of sequences in a program, and of loads in flight."""
    axes, cuts = given[0], given[1]
    found = {choose(*given[:5], batch, *given[6:]) for batch in (1, 2, 16, 17, 4096)}
    for one in tuple(found):
        for i, a in enumerate(axes):
            if a in cuts and one.axes[i] > 1:
                found.add(replace(one, axes=tuple(n // 2 if j == i else n for j, n in enumerate(one.axes))))
    for one in tuple(found):
        found |= {replace(one, warps=w) for w in (1, 2, 4, 8, 16)} | {replace(one, stages=n) for n in (1, 2)}
        found |= {replace(one, batch=b) for b in (1, 2, 4) if b * max(1, torch.Size(one.axes).numel()) <= 4096}
    return sorted(found, key=repr)


@pytest.mark.parametrize("scan", ["sequential", "associative"])
@pytest.mark.parametrize("spec", CONFIGURED)
def test_gradients_of_every_configuration(spec: str, scan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in bodies(spec)[1]:
        cls = getattr(seqc.load(spec), body.name)
        if not offered(cls, scan):
            pytest.skip(f"{spec} has no associative form")
        layer, sizes = real(spec, body)
        values = {k: v.double() for k, v in sample.draw(body, sizes, 3, 67).values.items()}
        seen: list[tuple[Any, ...]] = []

        def noting(*given: Any, seen: list[tuple[Any, ...]] = seen) -> Blocks:
            seen.append(given)
            return choose(*given)

        monkeypatch.setattr(launcher, "choose", noting)
        assert not faults(layer, values, (), Way(scan, torch.float32, "plain"), 1, device="cuda")
        most = max(len(schedules(given)) for given in seen)
        said = {}
        for number in range(most):
            used: list[Blocks] = []

            def one(*given: Any, number: int = number, used: list[Blocks] = used) -> Blocks:
                every = schedules(given)
                used.append(every[number % len(every)])
                return used[-1]

            monkeypatch.setattr(launcher, "choose", one)
            found = faults(copy.deepcopy(layer), values, (), Way(scan, torch.float32, "plain"), 1, device="cuda")
            if found:
                said[f"{body.name} {used}"] = found
        assert not said


# ---- sizes that only a GPU holds --------------------------------------------------------------------------------------


def test_more_programs_than_a_grid_axis_has() -> None:
    layer = seqc.load("indrnn").IndRNN(D=2, device="cuda", backend="triton")
    x = torch.randn(65_537 * 16, 2, 2, device="cuda")
    y, _ = layer(x)
    want, _ = layer(x[-3:].contiguous())
    assert torch.allclose(y[-3:], want, atol=1e-6)


@pytest.mark.parametrize("scan", ["sequential", "associative"])
def test_more_than_31_bits_of_entries(scan: str) -> None:
    """Forward and gradients of the last sequence, whose offsets are beyond 2^31, are those of the sequence alone."""
    batch, steps, width = 17, 32768, 4096
    assert (batch - 1) * steps * width >= 2**31
    if torch.cuda.get_device_properties(0).total_memory < 60 << 30:
        pytest.skip("this needs a GPU with 60 GiB")
    layer = layer_of("cells/gated", "Scan", {"D": width}, "triton", "bfloat16", "cuda", scan)

    def outcome(a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        a, b = a.requires_grad_(), b.requires_grad_()
        y = layer(a=a, b=b)[0]
        return [y[-1].detach().clone(), *(g[-1].clone() for g in torch.autograd.grad(y, (a, b), torch.ones_like(y[:1, :1]).expand_as(y)))]

    a = torch.rand(batch, steps, width, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(batch, steps, width, device="cuda", dtype=torch.bfloat16)
    alone = outcome(a[-1:].clone(), b[-1:].clone())
    for far, near in zip(outcome(a, b), alone, strict=True):
        scale = float(near.float().abs().max())
        assert float((far.float() - near.float()).abs().max()) <= 2**-7 * scale


# ---- memory -----------------------------------------------------------------------------------------------------------

WATCHED = """
import torch, seqc
layer = seqc.load({spec!r}).{name}(**{sizes!r}, device="cuda", backend="triton", scan={scan!r})
x = torch.randn(3, 37, {width}, device="cuda", requires_grad=True)
y, _ = layer(x)
y.sum().backward()
torch.cuda.synchronize()
print("done")
"""


@pytest.mark.parametrize(
    ("spec", "name", "sizes", "scan"),
    [
        ("mamba1", "Mamba1", {"D": 24}, "sequential"),
        ("mingru", "MinGRU", {"D": 37}, "associative"),
        ("indrnn", "IndRNN", {"D": 37}, "newton"),
        ("lstm", "LSTM", {"D": 24, "N": 24}, "auto"),
    ],
)
def test_compute_sanitizer_finds_nothing(spec: str, name: str, sizes: dict[str, int], scan: str) -> None:
    tool = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if tool is None:
        pytest.skip("compute-sanitizer is not installed")
    text = WATCHED.format(spec=spec, name=name, sizes=sizes, scan=scan, width=sizes["D"])
    command = [tool, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if "SEQ0604" in done.stderr:
        pytest.skip(f"{name} has no Triton kernel")
    assert done.returncode == 0 and "done" in done.stdout, (done.stdout + done.stderr)[-3000:]


def test_what_runs_on_a_gpu_is_what_was_asked_for() -> None:
    """`kernels` makes a layer of Triton kernels: none of the tests above compares the reference with itself."""
    layer = seqc.load("mingru").MinGRU(D=8, dtype=torch.float64, backend="reference")
    assert {part.backend for part in kernels(layer, "sequential").modules()} == {"triton"}

"""The thin launcher, with a driver that only writes down what it is given: arguments, kernels kept apart, the ways around it, its time."""

from __future__ import annotations

import time
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from seqc.runtime.triton import artefacts, launching
from seqc.runtime.triton.device import installed
from seqc.runtime.triton.kernel import Launch

pytestmark = pytest.mark.skipif(not installed(), reason="Triton is not installed")


class Machine(launching.Machine):
    """Tensors on the CPU count as a device's; profilers may listen."""

    kinds = ("cpu",)
    heard = False

    def device(self) -> int:
        return None  # type: ignore[return-value]  # the index of torch.device("cpu")

    def stream(self, device: int) -> int:
        return 77

    def capturing(self) -> bool:
        return False

    def listened(self) -> bool:
        return self.heard


class Compiled:
    """What Triton compiles to."""

    packed_metadata = ("metadata",)
    function = 1234

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.slow: list[tuple[Any, ...]] = []

    def run(self, *arguments: Any) -> None:
        self.calls.append(arguments)

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *arguments: self.slow.append((grid, *arguments))


class Function:
    """A generated function; each compilation is a kernel of its own."""

    name = "f"

    def __init__(self, kind: Any = Compiled) -> None:
        self.compiled: list[tuple[Any, dict[str, Any], Any]] = []
        self.kind = kind

    def made(self) -> Function:
        return self

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*arguments: Any, **options: Any) -> Any:
            made = self.kind()
            self.compiled.append((arguments, options, made))
            return made

        return launch


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setattr(launching, "MACHINE", made)
    monkeypatch.setattr(artefacts.LOADED, "asked", True)
    monkeypatch.setattr(launching, "known", lambda: True)
    yield made


def plan(function: Any, numbers: tuple[int, ...] = (), results: int = 1) -> Launch:
    """Two operands of four entries each, results like them."""
    shape = (((4,), torch.float32),) * results
    given = ((0, None, False), (1, None, False))
    return Launch(function, 3, given, shape, (0,) * results, (torch.float32,) * results, ((8,),), torch.float32, numbers, (5, 6), ("K",), 4)


def test_the_second_call_goes_to_the_driver(machine: Machine) -> None:
    f = Function()
    p = plan(f)
    x = [torch.zeros(4), torch.ones(4)]
    p.call(x)
    (arguments, options, made), *more = f.compiled
    assert not more and options == {"num_warps": 4, "num_stages": 1, "enable_fp_fusion": True} and not made.calls
    assert [type(a) for a in arguments[:4]] == [torch.Tensor] * 4 and arguments[4:] == (5, 6, "K")
    (y,) = p.call(x)
    assert y is not None and len(f.compiled) == 1
    (call,) = made.calls
    assert call[:9] == (3, 1, 1, 77, 1234, ("metadata",), None, None, None)
    assert call[9:12] == (x[0].data_ptr(), x[1].data_ptr(), y.data_ptr()) and call[13:] == (5, 6, "K")


def test_what_makes_another_kernel(machine: Machine) -> None:
    """Addresses that are no multiples of 16, and numbers whose bits fit into 32."""
    f = Function()
    p = plan(f, (2,))
    x = [torch.zeros(4), torch.ones(4), 0.5]
    odd = torch.zeros(9)[1:5]
    for operands in (x, x, [odd, x[1], 0.5], [odd, x[1], 0.25], [x[0], x[1], 0.0], [x[0], odd, 0.5], x):
        p.call(operands)
    assert len(f.compiled) == 4 and sum(len(made.calls) for _, _, made in f.compiled) == 3


def test_whoever_listens_is_heard(machine: Machine) -> None:
    f = Function()
    p = plan(f)
    x = [torch.zeros(4), torch.ones(4)]
    p.call(x)
    machine.heard = True
    p.call(x)
    (_, _, made) = f.compiled[0]
    assert not made.calls and len(made.slow) == 1 and made.slow[0][0] == (3, 1, 1)


@pytest.mark.parametrize("broken", ["run", "function", "packed_metadata", "version"])
def test_a_launcher_that_is_not_known(machine: Machine, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then Triton launches: nothing is guessed."""

    class Other(Compiled):
        pass

    if broken == "version":
        monkeypatch.setattr(launching, "known", lambda: False)
    else:
        setattr(Other, broken, None)
    f = Function(Other)
    p = plan(f)
    for _ in range(3):
        p.call([torch.zeros(4), torch.ones(4)])
    (_, _, made) = f.compiled[0]
    assert len(f.compiled) == 1 and not made.calls and len(made.slow) == 2


def test_versions() -> None:
    assert launching.version("3.7.1+git00ff") == (3, 7, 1) and launching.version("3.10.0a2") == (3, 10) and launching.version("x") == ()


def test_the_ends_of_a_call(machine: Machine) -> None:
    """Shares are added up, results get their type; a plan without either leaves them alone."""
    p = plan(Function())
    assert p.plain
    shares = Launch(
        Function(), 1, ((0, None, False),), (((2, 4), torch.float32),), (1,), (torch.bfloat16,), (), torch.float32, (), (), (), 1
    )
    assert not shares.plain
    (y,) = shares.call([torch.zeros(4)])
    assert y is not None and y.shape == (4,) and y.dtype == torch.bfloat16


def test_time(machine: Machine) -> None:
    """Everything around the driver's call takes some microseconds; the bound is wide, for machines that are busy."""
    f = Function()
    p = plan(f, results=2)
    x = [torch.zeros(4), torch.ones(4)]
    p.call(x)
    made = f.compiled[0][2]
    made.calls = types.SimpleNamespace(append=lambda _: None)
    best = 1.0
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(50):
            p.call(x)
        best = min(best, (time.perf_counter() - begun) / 50)
    assert best < 60e-6, f"{best * 1e6:.1f} microseconds"


# ---- kernels of a folder ----------------------------------------------------------------------------------------------


def told(**changed: Any) -> dict[str, Any]:
    """An entry for a function of one operand, a result that is not wanted, a size and a constant."""
    types_ = {"p0": "*fp32", "p1": "constexpr", "B": "i64", "n0": "i64", "BLOCK_0": "constexpr"}
    entry = {"name": "f", "arguments": types_, "constants": {"p1": "None", "BLOCK_0": "32"}, "aligned": ["p0", "n0"], "warps": 4}
    return {**entry, "source": "text", "files": {}, **changed}


class Text:
    """A function whose text is known."""

    name = "f"
    arguments = ("p0", "p1", "B", "n0", "BLOCK_0")
    cache_key = "text"

    def made(self) -> Text:
        return self


def test_what_fits_a_launch() -> None:
    x = torch.zeros(8)
    fits = (x, None, 3, 32, 32)
    assert artefacts.misfit(told(), Text(), fits, 4) == ""
    for arguments, warps, entry, why in (
        (fits, 8, told(), "4 warps"),
        (fits, 4, told(source="other"), "another text"),
        (fits, 4, told(arguments={"p0": "*fp32"}), "another text"),
        ((x.double(), *fits[1:]), 4, told(), "p0 as"),
        ((x[1:], *fits[1:]), 4, told(), "multiple of 16"),
        ((None, *fits[1:]), 4, told(), "p0 as"),
        ((x, x, *fits[2:]), 4, told(), "a tensor"),
        ((*fits[:3], 33, 32), 4, told(), "n0 as a multiple"),
        ((*fits[:4], 64), 4, told(), "BLOCK_0 = 32"),
    ):
        assert why in artefacts.misfit(entry, Text(), arguments, warps)


def test_folders_are_asked_before_triton_compiles(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    import triton

    target = types.SimpleNamespace(backend="cuda", arch=90)
    driver = types.SimpleNamespace(active=types.SimpleNamespace(get_current_target=lambda: target))
    monkeypatch.setattr(triton.runtime, "driver", driver)
    made = Compiled()
    monkeypatch.setattr(artefacts.Artefacts, "kernel", lambda self, name, function, number: made)
    entry = told(arguments={a: "*fp32" for a in ("p0", "p1", "p2", "w0")} | {"B": "i64", "n0": "i64", "K": "constexpr"},
                 constants={"K": "K"}, aligned=[])  # fmt: skip
    folder = artefacts.Artefacts(Path("there"), {"target": "sm_90", "triton": triton.__version__, "kernels": [entry]})
    monkeypatch.setattr(artefacts.LOADED, "folders", [folder])
    x = [torch.zeros(4), torch.ones(4)]

    class Both(Function, Text):
        arguments = ("p0", "p1", "p2", "w0", "B", "n0", "K")

    f = Both()
    p = plan(f)
    for _ in range(3):
        p.call(x)
    assert not f.compiled and len(made.slow) == 1 and len(made.calls) == 2
    # another machine: nothing fits, so Triton compiles; or, where it must not, the reason is told
    target.arch = 80
    q = plan(f)
    q.call(x)
    assert len(f.compiled) == 1
    monkeypatch.setattr(artefacts.LOADED, "only", True)
    with pytest.raises(artefacts.BadArtefact, match=r"SEQ0607.*is for sm_90, this is sm_80"):
        plan(f).call(x)


def test_folders_of_the_environment(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts.LOADED, "asked", False)
    monkeypatch.setenv("SEQC_ARTEFACTS", str(tmp_path))
    with pytest.raises(artefacts.BadArtefact, match="no folder of compiled kernels"):
        artefacts.loaded()

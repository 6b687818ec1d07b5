"""What the suite measures in processes of their own: peak memory, and the way from a spec to its first output.

`python -m seqc.compiler.driver.bench.suite.child WHAT JSON` prints one JSON record. Imports are done before anything is
measured; a first small run brings code and allocators up before memory is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

FEW = 64
"""Steps that are compared with the reference."""


def peak(case: dict[str, Any], who: str) -> dict[str, Any]:
    """Megabytes that forward and backward take at their highest, beyond inputs and parameters: the resident set's peak.

    It counts everything, torch's allocator and autograd's graph as well as what compiled code asks for.
    """
    from dataclasses import replace

    from seqc.compiler.driver.bench.suite.contestants import OWN, peer, stand
    from seqc.compiler.driver.bench.suite.rows import Case

    one = Case(**{**case, "bars": ()})
    small = stand(replace(one, time=64))
    runner = small.own if who == OWN else peer(who, small)
    assert runner.both is not None
    for _ in range(3):
        runner.both()
    s = stand(one)
    runner = s.own if who == OWN else peer(who, s)
    assert runner.both is not None
    before = highest(True)
    held = runner.both()
    after = highest(False)
    del held
    return {"bytes": max(0, after - before)}


def highest(start: bool) -> int:
    """The peak of the resident set so far, in bytes; `start`: from now on, and what it is now."""
    import gc

    if start:
        gc.collect()
        _trim()
    try:
        if start:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        with open("/proc/self/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):  # elsewhere the peak since the process began, which the small inputs keep low
        import resource

        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _trim() -> None:
    """Gives freed memory back, so that a later peak is one."""
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def first(
    spec: str,
    body: str,
    dims: dict[str, int],
    batch: int,
    length: int,
    backend: str = "native",
    device: str = "cpu",
    dtype: str = "float32",
    against: bool = False,
) -> dict[str, Any]:
    """Seconds from the spec's text to the first output, and on to the first gradient; torch is imported before. `against`: how far the
    output is from the reference's, of its largest entry."""
    import torch
    from torch.utils._pytree import tree_leaves

    from seqc.compiler.driver import sample, sizes
    from seqc.compiler.driver.bench.suite.contestants import body_of, layer_of

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    torch.zeros(1, device=device)
    start = time.perf_counter()
    layer = layer_of(spec, body, dims, backend, dtype, device)
    made = time.perf_counter() - start
    _, about = body_of(spec, body)  # only now, and not counted: it would have brought the compiler up before
    x = {k: v.to(device) for k, v in sample.draw(about, sizes.defaults(about, dims), batch, length, dtype=dtype).values.items()}
    x = {k: v.requires_grad_() if v.is_floating_point() or v.is_complex() else v for k, v in x.items()}
    start = time.perf_counter()
    y = layer(**x)[0]
    wait()
    forward = made + time.perf_counter() - start
    total = next(v for v in tree_leaves(y) if v.requires_grad)
    (total.real if total.is_complex() else total).sum().backward()
    wait()
    found = {"forward": forward, "both": made + time.perf_counter() - start}
    if against:
        other = layer_of(spec, body, dims, "reference", dtype, device)
        other.load_state_dict(layer.state_dict())
        few = {k: (v if about.table[k].once else v[:, :FEW]).detach() for k, v in x.items()}
        with torch.no_grad():
            want, got = other.double()(**{k: v.double() for k, v in few.items()})[0], layer(**few)[0]
        found["error"] = float((got - want).abs().max() / want.abs().max().clamp(min=1e-30))
    return found


def fla(case: dict[str, Any], device: str) -> dict[str, Any]:
    """Seconds to FLA's first output on the inputs of a diagonal scan, its import and search for configurations included."""
    import torch

    from seqc.compiler.driver.bench.suite.contestants import inputs_of
    from seqc.compiler.driver.bench.suite.rows import Case

    x = {k: v.to(device) for k, v in inputs_of(Case(**{**case, "bars": ()})).items()}
    start = time.perf_counter()
    from fla.ops.hgrn import fused_recurrent_hgrn

    b, g = x["b"].requires_grad_(), x["a"].log().requires_grad_()
    y = fused_recurrent_hgrn(b, g)[0]
    if device != "cpu":
        torch.cuda.synchronize()
    forward = time.perf_counter() - start
    y.sum().backward()
    if device != "cpu":
        torch.cuda.synchronize()
    return {"forward": forward, "both": time.perf_counter() - start}


def compiled_loop(case: dict[str, Any]) -> dict[str, Any]:
    """Seconds that `torch.compile` takes for the loop by hand, to the first output."""
    import torch

    from seqc.compiler.driver.bench.suite.by_hand import BY_HAND
    from seqc.compiler.driver.bench.suite.contestants import inputs_of, layer_of
    from seqc.compiler.driver.bench.suite.loops import torch_loop
    from seqc.compiler.driver.bench.suite.rows import Case

    torch.set_num_threads(1)
    one = Case(**{**case, "bars": ()})
    x = inputs_of(one)
    p = dict(layer_of(one.spec, one.body, one.dims, "reference").named_parameters())
    run = torch.compile(torch_loop(BY_HAND[one.body]))
    start = time.perf_counter()
    with torch.no_grad():
        run(x, p)
    return {"forward": time.perf_counter() - start}


def main(words: list[str]) -> int:
    """Runs one measurement."""
    import torch

    what, given = words[0], json.loads(words[1])
    torch.set_num_threads(given.pop("threads", 1))
    measures: dict[str, Callable[..., dict[str, Any]]] = {"peak": peak, "first": first, "compiled": compiled_loop, "fla": fla}
    found = measures[what](**given)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

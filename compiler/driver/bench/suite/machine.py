"""Where a run of the suite takes place, and how it is held to so many threads."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any, cast

from seqc.compiler.driver.bench.suite.report import Machine

PACKAGES: dict[str, tuple[str, ...]] = {
    "cpu": ("torch", "numpy", "jax", "jaxlib", "transformers", "mambapy", "pararnn-torch"),
    "gpu": ("torch", "triton", "fla-core", "accelerated-scan", "flashrnn", "mamba-ssm", "transformers", "pararnn-torch"),
}
WORTH_SAYING = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


def describe(threads: int, suite: str = "cpu") -> Machine:
    """The machine, the compiler, the versions of everyone, and the load before the run."""
    from seqc.compiler.driver.crash import version
    from seqc.runtime.native.errors import NoCompiler
    from seqc.runtime.native.toolchain import find_toolchain

    try:
        compiler = find_toolchain().name
    except NoCompiler as why:
        compiler = why.what
    processor, flags = _processor()
    versions = {"python": platform.python_version(), "seqc": version()}
    for name in PACKAGES[suite]:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return Machine(
        processor=processor,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        instructions=tuple(f for f in WORTH_SAYING if f in flags),
        system=f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        compiler=compiler,
        versions=versions,
        threads=threads,
        gpu=_gpu() if suite == "gpu" else "",
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    )


def _gpu() -> str:
    """The first GPU, its driver's CUDA and cuDNN; what stands in its place."""
    import torch

    if not torch.cuda.is_available():
        return "no GPU: kernels interpreted on the CPU"
    about, cudnn = torch.cuda.get_device_properties(0), cast(Any, torch.backends).cudnn
    size = about.total_memory / 2**30
    versions = f"CUDA {torch.version.cuda}, cuDNN {cudnn.version()}"
    return f"{about.name}, {about.multi_processor_count} multiprocessors, {size:.0f} GiB, {versions}"


def instructions() -> set[str]:
    """The processor's instruction sets, as the system names them."""
    return _processor()[1]


def _processor() -> tuple[str, set[str]]:
    """Its name, and its instruction sets."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() in ("flags", "Features"):
                    flags = set(value.split())
                    break
    except OSError:
        pass
    return name, flags


@contextmanager
def only(threads: int) -> Iterator[None]:
    """Holds torch, seqc's kernels and JAX to so many threads; torch's number comes back afterwards.

    JAX takes as many threads as the process may run on when it starts: for that moment it may run on `threads` cores only.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    flags = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    if flags and flags not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    _start_jax(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start_jax(threads: int) -> None:
    """Starts JAX's threads, where it is installed; then lets all of them run anywhere again."""
    if not hasattr(os, "sched_setaffinity"):
        return
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, set(sorted(mine)[:threads]))
        import jax

        jax.devices("cpu")
    except (ImportError, OSError, RuntimeError):
        pass
    finally:
        for task in os.listdir("/proc/self/task"):
            try:
                os.sched_setaffinity(int(task), mine)
            except OSError:
                continue

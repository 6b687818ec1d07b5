"""Many kernels in few translation units, so that tests call the compiler seldom."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields

from seqc.runtime.native import kernel as kernel_module
from seqc.runtime.native.errors import NoCompiler
from seqc.runtime.native.kernel import Kernel, Pass, Unit
from seqc.runtime.native.toolchain import Toolchain, find_toolchain


def compiler() -> bool:
    """Whether there is a C compiler."""
    try:
        find_toolchain()
    except NoCompiler:
        return False
    return True


def renamed(text: str, old: str, new: str) -> str:
    """A function's text under another name; its slots are called after it."""
    return re.sub(rf"\b{old}(?=\(|_s\d)", new, text)


def share(kernels: Iterable[tuple[Kernel, str, str]], at_once: int = 12) -> None:
    """Puts the functions of kernels (each with its two texts) into common units, under names that differ."""
    batch: list[tuple[str, int, str]] = []
    waiting: list[tuple[Kernel, Pass]] = []

    def close() -> None:
        unit = Unit(batch[:])
        for kernel, one in waiting:
            kernel.units[one.name] = unit
        batch.clear()
        waiting.clear()

    for number, (kernel, *texts) in enumerate(kernels):
        for one, text, kind in zip((kernel.forward, kernel.adjoint), texts, "fb", strict=True):
            if one is None or not re.search(rf"\b{one.name}\(", text):
                # another test has put it into a unit already
                continue
            name = f"u{number}{kind}"
            batch.append((name, one.slots, renamed(text, one.name, name)))
            one.name = name
            waiting.append((kernel, one))
        if len(batch) >= 2 * at_once:
            close()
    if batch:
        close()


class Unoptimised(Toolchain):
    """The same compiler in a hurry: for many kernels whose text is tested, not their speed. Rounding is the same (no contraction,
    no fast-math at any level)."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The fixed list with another level of optimisation."""
        return tuple("-O0" if a == "-O3" else a for a in super().arguments)


@contextmanager
def unoptimised() -> Iterator[None]:
    """Within, kernels are compiled without optimisation."""
    tools = find_toolchain()
    quick = Unoptimised(**{f.name: getattr(tools, f.name) for f in fields(Toolchain)})
    before = kernel_module.load
    kernel_module.load = functools.partial(before, toolchain=quick)  # type: ignore[assignment]
    try:
        yield
    finally:
        kernel_module.load = before

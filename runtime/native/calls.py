"""What generated modules call: `native.ready`, `native.call`, masks; what a module asks when it is made: `demand`.

`call(module, number, operands, dtype)` runs the kernel with that number of the class's `KERNELS` constant, (C text,
descriptions…), or of its `TRITON` constant, (functions, descriptions…), as the module's backend says: its rows, then its carries
after the last step. Kernels are made once for each constant; they are compiled on first use.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native import choice
from seqc.runtime.native.complexes import joined as joined
from seqc.runtime.native.complexes import parts as parts
from seqc.runtime.native.errors import NativeError, NoCompiler
from seqc.runtime.native.kernel import Kernel
from seqc.runtime.native.ops import run as run_kernel
from seqc.runtime.native.ops import run_step, transformed
from seqc.runtime.native.toolchain import find_toolchain
from seqc.runtime.newton import Newton, Part, Settings, reporting
from seqc.runtime.run import Run
from seqc.runtime.triton import device as gpu
from seqc.runtime.triton.names import Lazy


class NoKernel(NativeError):
    """A loop over time of this body has no native kernel."""

    code = "SEQ0604"


_made: dict[int, tuple[Any, Any]] = {}


def ready(module: Any, run: Run) -> bool:
    """Whether this run of a module, over a sequence, goes through its kernels."""
    return run.length is not None and steps(module, run)


def steps(module: Any, run: Run) -> bool:
    """Whether this run of a module goes through its kernels."""
    if module.backend == "triton":
        return not choice.reference and not run.watch and run.dtype.is_floating_point and (run.device.type != "cpu" or on_gpu())
    if module.backend == "auto" and run.device.type == "cuda":
        free = not choice.reference and not run.watch and run.dtype.is_floating_point and (choice.auto or module.asked)
        return free and bool(type(module).TRITON) and gpu.installed() and not seen_through()
    return (
        module.backend != "reference"
        and not choice.reference
        and not run.watch
        and run.device.type in ("cpu", "meta")
        and run.dtype.is_floating_point
        and (module.backend == "native" or (choice.auto or module.asked) and not seen_through() and available())
    )


def seen_through() -> bool:
    """Whether operations are meant to be seen one by one: `torch.func`, forward mode, export, `torch.jit.trace`."""
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return transformed() or torch._C._is_tracing() or torch.compiler.is_exporting()


def available() -> bool:
    """Whether there is a compiler; says once where there is none."""
    return _compiler_there()


# what torch.compiler.assume_constant_result does, which imports all of torch.compile for it: two seconds
available._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.cache
def _compiler_there() -> bool:
    try:
        find_toolchain()
    except NoCompiler as why:
        warnings.warn(f"seqc: {why.what}; the reference runs instead of native code\nhelp: {why.remedy}", stacklevel=5)
        return False
    return True


def on_gpu() -> bool:
    """For tensors on the CPU: Triton's interpreter must be on. Raises NoTriton."""
    if not gpu.interpreting():
        gpu.refuse_cpu()
    return True


def demand(cls: Any, backend: str = "native", scan: str = "auto") -> None:
    """What `backend="native"` or "triton" promises: a compiler or a device, and a kernel for every loop over time.

    Raises NoCompiler, NoTriton, NoKernel.
    """
    if backend == "native":
        find_toolchain()
    else:
        gpu.demand()
    left = cls.LEFT or (cls.TRITON_LEFT if backend == "triton" else ())
    if left:
        names, why = left[0]
        raise NoKernel(
            f"{cls.TABLE.name} has no {backend} kernel for {', '.join(names)}: {why}", 'use backend="reference" or backend="auto"'
        )
    if scan == "associative" and cls.TRITON and all(len(one) == 4 for one in cls.TRITON):
        raise NoKernel(f"{cls.TABLE.name} has no associative kernel: {cls.TRITON_SERIAL}", 'use scan="sequential" or scan="auto"')


def demand_newton(module: Any) -> None:
    """What `scan="newton"` promises: a loop in this body or in one that it calls that Newton's method solves. Raises NoKernel."""
    bodies = [m for m in module.modules() if hasattr(m, "NEWTON")]
    if any(any(m.TRITON_NEWTON if m.backend == "triton" else m.NEWTON) for m in bodies):
        return
    left = [f"{', '.join(names)}: {why}" for m in bodies for names, why in m.NEWTON_LEFT]
    why = f" ({left[0]})" if left else ""
    raise NoKernel(f"{module.TABLE.name} has no loop that Newton's method solves{why}", 'use scan="sequential" or scan="auto"')


def kernels_of(constant: tuple[Any, ...], stages: tuple[Any, ...] = ()) -> tuple[Kernel, ...]:
    """The kernels of a constant, in C or in Triton; `stages`: for each of the latter its form in stages, if it has one."""
    held = _made.get(id(constant))
    if held is None:
        steps = stages or (None,) * len(constant)
        made = (triton_kernel(one, more) if isinstance(one[0], Lazy) else Kernel(*one) for one, more in zip(constant, steps, strict=True))
        held = _made[id(constant)] = (constant, tuple(made))
    found: tuple[Kernel, ...] = held[1]
    return found


def triton_kernel(one: tuple[Any, ...], stages: tuple[Any, ...] | None = None) -> Kernel:
    """A kernel made of Triton functions; `stages`: it takes matrix products."""
    from seqc.runtime.triton.dense import DenseKernel
    from seqc.runtime.triton.kernel import Kernel as TritonKernel

    return TritonKernel(*one) if stages is None else DenseKernel(one[0], one[1], one[2], one[3], stages)


def triton_forward(function: Lazy, tiles: bool, about: Sequence[Any], *cuts: Any) -> Kernel:
    """A kernel made of a Triton function that has no adjoint; `tiles`: it takes many steps at a time, and `cuts` are for segments."""
    from seqc.runtime.triton.kernel import Kernel as TritonKernel

    return TritonKernel(function, about, function, about, *cuts, tiles=tiles)


def triton_adjoint(forward: Sequence[Any], back: Sequence[Any]) -> Kernel:
    """A kernel that is run backwards only: many steps at a time."""
    from seqc.runtime.triton.kernel import Kernel as TritonKernel

    return TritonKernel(*forward, *back, tiles=True)


def on_triton(module: Any, operands: Sequence[Any]) -> bool:
    """Whether a call goes through Triton's kernels: asked for, or what `auto` is on a GPU."""
    return module.backend == "triton" or module.backend == "auto" and any(isinstance(x, Tensor) and x.is_cuda for x in operands)


def chosen(module: Any, number: int, triton: bool, scan: str = "sequential") -> Kernel:
    """A kernel of a module, in C or in Triton; there for a scan mode, where it has it."""
    if not triton:
        return kernels_of(module.KERNELS)[number]
    found: Any = kernels_of(module.TRITON, module.TRITON_STEPS)[number]
    parallel: Kernel | None = found.parallel if scan == "associative" else None
    return found if parallel is None else parallel


def call(module: Any, number: int, operands: Sequence[Any], dtype: Any) -> tuple[Tensor, ...]:
    """Rows and carries after the last step of one kernel; `dtype` of all rows, or a tuple with one for each."""
    triton = on_triton(module, operands)
    scan, solve = getattr(module, "_scan", "auto"), module.newton
    if triton and scan == "auto" and solve is None:
        scan = automatic(module, number, operands)
        solve = Settings() if scan == "newton" else None
    if solve is not None:
        solver = newton_of(module, number, triton, solve)
        if solver is not None:
            if torch.compiler.is_compiling():
                return run_kernel(solver, operands, dtype)
            with reporting(module.report):
                return run_kernel(solver, operands, dtype)
    return run_kernel(chosen(module, number, triton, scan), operands, dtype)


def automatic(module: Any, number: int, operands: Sequence[Any]) -> str:
    """The mode that the cost model finds for a call of a Triton kernel."""
    from seqc.runtime.triton.auto import mode

    return mode(module, number, chosen(module, number, True), operands)


_newtons: dict[tuple[int, int, Settings], tuple[Any, Newton | None]] = {}


def newton_of(module: Any, number: int, triton: bool, solve: Settings) -> Newton | None:
    """The kernel with this number solved by Newton's method; None where there is nothing to iterate."""
    constant = module.TRITON_NEWTON if triton else module.NEWTON
    held = _newtons.get((id(constant), number, solve))
    if held is None:
        made: Newton | None = None
        about = constant[number] if number < len(constant) else None
        if about is not None:
            starts, read, parts = about
            make = triton_forward if triton else Kernel
            groups = [Part(carries, known, iterated, make(*one)) for carries, known, iterated, *one in parts]
            base = chosen(module, number, triton)
            back = module.NEWTON_ADJOINT[number] if triton and module.NEWTON_ADJOINT else None
            adjoint = None if back is None else triton_adjoint(module.TRITON[number][:2], back)
            made = Newton(base, groups, make(*read), starts, module.TABLE.name, solve, adjoint)
        held = _newtons[id(constant), number, solve] = (constant, made)
    return held[1]


def step(module: Any, number: int, operands: Sequence[Any], dtype: Any) -> tuple[Tensor, ...]:
    """The same for one step: operands and rows have no time."""
    return run_step(chosen(module, number, on_triton(module, operands)), operands, dtype)


def reset(run: Run) -> Tensor:
    """[batch, time]: 1 where the state before the step is its start again."""
    if run.reset is None:
        return torch.zeros(1, 1, dtype=torch.float32, device=run.device).expand(run.batch, run.length or 0)
    return run.reset.to(torch.float32)


def valid(run: Run) -> Tensor:
    """[batch, time] (one step: [batch]): 1 where there is a step, 0 in the padding."""
    if run.length is None:
        return torch.ones(1, dtype=torch.float32, device=run.device).expand(run.batch)
    found = run.valid(run.chain)
    if found is None:
        return torch.ones(1, 1, dtype=torch.float32, device=run.device).expand(run.batch, run.length or 0)
    return found.to(torch.float32)

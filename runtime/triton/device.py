"""Whether Triton kernels can run here: on a GPU, or in the interpreter."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys

import torch

from seqc.runtime.native.errors import NativeError


class NoTriton(NativeError):
    """Triton is not installed, or there is nothing it could run on."""

    code = "SEQ0606"


def interpreting() -> bool:
    """Whether kernels run in Triton's interpreter, which Triton decides when it is imported."""
    held = sys.modules.get("triton.language.standard")
    if held is not None:
        return type(getattr(held, "sum", None)).__name__ == "InterpretedFunction"
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


@functools.cache
def installed() -> bool:
    """Whether there is a Triton."""
    return importlib.util.find_spec("triton") is not None


def missing() -> str:
    """Why no Triton kernel can run here; "" where one can."""
    if not installed():
        return "Triton is not installed"
    if interpreting() or torch.cuda.is_available():
        return ""
    return "there is no GPU, and Triton's interpreter is off"


def need_triton() -> None:
    """Raises NoTriton where there is none."""
    if not installed():
        raise NoTriton("Triton is not installed", 'install triton (Linux only), or use backend="native" or backend="reference"')


def demand() -> None:
    """What `backend="triton"` needs. Raises NoTriton."""
    why = missing()
    if why:
        remedy = 'use backend="native" or "reference"; to try kernels without a GPU, set TRITON_INTERPRET=1 before Python starts'
        raise NoTriton(why, "install triton (Linux only)" if "installed" in why else remedy)


def refuse_cpu() -> None:
    """Tensors on the CPU while Triton is there for a GPU. Raises NoTriton."""
    raise NoTriton(
        "the Triton backend computes on a GPU, and these tensors are on the CPU",
        'move the module and its inputs (`.to("cuda")`), use backend="native", or set TRITON_INTERPRET=1 before Python starts',
    )


def turn_interpreter_on() -> bool:
    """Sets TRITON_INTERPRET=1 where there is no GPU and Triton is not imported yet; whether kernels are interpreted now."""
    if not torch.cuda.is_available() and "triton" not in sys.modules:
        os.environ["TRITON_INTERPRET"] = "1"
    return interpreting()

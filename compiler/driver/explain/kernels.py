"""The kernels of a module in words: `seqc explain --stage kernel`, and the lines about them under \"plan\".

In:   what the lowering made of each body.
Out:  each kernel with its adjoint (`lower.kernels.printer`), or a line for each fused loop, and why a loop has no kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.compiler.ir.kernel import Derivative, Kernel
from seqc.compiler.lower.kernels.newton import Newton
from seqc.compiler.lower.kernels.printer import shown, shown_derivative
from seqc.compiler.lower.native.emit import forms
from seqc.compiler.lower.native.emit_module import Lowered, Native


def kernel_text(lowered: Lowered) -> str:
    """All kernels of all bodies. The form with resets and padding is the same but for two choices a step: it is left out."""
    parts: list[str] = []
    for native in lowered[1].values():
        parts.append(f"# {native.name}\n")
        for region, kernel, found in zip(native.regions, native.kernels[::2], native.newton[::2], strict=True):
            forward, derivative = forms(kernel)
            parts.append(f"# {', '.join(region.names)}\n{shown(forward)}{shown_derivative(derivative)}")
            if isinstance(found, Newton):
                parts += [f"# one iteration of Newton's method\n{shown(p.kernel)}" for p in found.parts if p.iterated]
        parts += [f"# no kernel for {', '.join(names)}: {why}\n" for names, why in native.left]
        if not native.regions and not native.left:
            parts.append("# no loop over time\n")
    return "\n".join(parts)


def kernel_lines(native: Native) -> Iterator[str]:
    """One line for each fused loop of a body, and for each loop that stays."""
    for region, kernel, found in zip(native.regions, native.kernels[::2], native.newton[::2], strict=True):
        forward, derivative = forms(kernel)
        yield f"{{{', '.join(region.names)}}}: one fused loop over time forward, one backward{_memory(forward, derivative)}"
        if isinstance(found, Newton):
            yield f"{{{', '.join(region.names)}}} with scan = newton: {_iteration(found, forward)}"
    for names, why in native.left:
        yield f"{{{', '.join(names)}}}: a loop over time in Python; no kernel: {why}"
    if native.stepped:
        yield f"`step`, without gradients: {native.stepped}"


def _iteration(found: Newton, k: Kernel) -> str:
    """What is iterated and what is not."""
    words = []
    for p in found.parts:
        names = ", ".join(dict.fromkeys(k.carries[i].previous.hint for i in p.carries))
        form = "diagonal" if len(p.carries) == 1 else f"blocks of {len(p.carries)}"
        words.append(f"{names} solved by Newton's method ({form})" if p.iterated else f"{names} one step after the other")
    return "; ".join(words)


def _memory(forward: Kernel, derivative: Derivative) -> str:
    """What a training step keeps of the forward loop beside its results."""
    if derivative.extra:
        names = {s.out.id: s.out.hint for s in forward.step}
        kept = ", ".join(names.get(v.id) or "a value" for v in derivative.extra)
        return f"; kept for the gradient at each step: {len(derivative.extra)} values ({kept})" if kept else ""
    again = [c.previous.hint for c, how in zip(forward.carries, derivative.stored, strict=True) if how == -1]
    return f"; computed again from checkpoints: {', '.join(dict.fromkeys(again))}" if again else ""

"""Which scan modes are legal for a component, and why (not), in the user's words.

In:  a component's `Shape`, the step graph.   Out: a `Mode` for each of the six names, always all six.
Legal means mathematically legal; whether it pays is the plan's business. On anything but one chain the same classes hold along
each edge, and what runs in parallel is the schedule (levels, wavefronts): only the sequential mode is offered there.
"""

from __future__ import annotations

from seqc.compiler.analysis.algebra import text_of
from seqc.compiler.analysis.structure import Shape
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.verdict import Mode, ModeName, Reason

TABLE = {"max": "max-plus", "min": "min-plus", "logaddexp": "log-sum-exp"}


def words(names: tuple[str, ...]) -> str:
    """`c`, `c and h`, `h, c and n`."""
    shown = [text_of(n) for n in names]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def first(reasons: tuple[Reason, ...], otherwise: str) -> str:
    """The first reason with its line."""
    return str(reasons[0]) if reasons else otherwise


def modes_of(graph: StepGraph, s: Shape) -> dict[ModeName, Mode]:
    """The verdict on all six modes."""
    out: dict[ModeName, Mode] = {"sequential": Mode(True, "one step after the other is the meaning of the spec")}
    if s.family == "none":
        why = f"{words(s.names)} does not depend on its own past: every step can be computed at once, there is nothing to scan"
        out["sequential"] = Mode(True, f"{words(s.names)} does not depend on its own past: a map over the steps")
        return _rest(out, why)
    if not graph.chain:
        topology = " and ".join(f.kind for f in graph.topology) or "no chain"
        return _rest(out, f"it runs over {topology}, not over one chain: what is parallel there is the order of the nodes")
    if s.family == "opaque":
        return _rest(out, first(s.nonlinear, "a host operator lies on the way") + "; nothing is known of what it does")
    if s.family == "operator":
        why = f"{s.operation} is stated to be associative"
        out["associative"] = Mode(True, why)
        return _rest(out, f"a scan with the operator {s.operation} is neither affine nor nonlinear in its state")
    if s.family == "semiring":
        out["associative"] = Mode(True, f"the update is {TABLE[s.operation]}: linear where {s.operation} takes the place of +")
        return _rest(out, f"the update is a {s.operation}, not a sum of products: nothing to chunk, transform or iterate")
    if s.family == "nonlinear":
        return _nonlinear(out, s)
    return _affine(out, graph, s)


def _rest(out: dict[ModeName, Mode], why: str) -> dict[ModeName, Mode]:
    for mode in ("associative", "chunked", "quadratic", "convolution", "newton"):
        out.setdefault(mode, Mode(False, why))
    return out


def _nonlinear(out: dict[ModeName, Mode], s: Shape) -> dict[ModeName, Mode]:
    why = first(s.nonlinear, f"{words(s.names)} depends on its past through a nonlinear function")
    if s.differentiable:
        pattern = {"diagonal": "diagonal", "block": "made of small blocks", "dense": "dense"}.get(s.structure or "", "dense")
        out["newton"] = Mode(True, f"the step is differentiable in the state; its Jacobian is {pattern}")
    else:
        out["newton"] = Mode(False, f"not differentiable in the state: {first(s.kinks, words(s.names))}")
    out["associative"] = Mode(False, why + (f"; {_remedy(s.nonlinear[0])}" if s.nonlinear else ""))
    return _rest(out, why)


def _remedy(reason: Reason) -> str:
    """What would have to change for a parallel form."""
    read, _, what = reason.text.partition(" enters ")
    if what:
        return f"a scan needs what goes into {what} there to be free of {read}"
    return "a scan needs an update that is a sum of state-free multiples of the state"


def _affine(out: dict[ModeName, Mode], graph: StepGraph, s: Shape) -> dict[ModeName, Mode]:
    name = words(s.names)
    kind = {"diagonal+low-rank": "diagonal plus low rank"}.get(s.structure or "", s.structure or "")
    out["associative"] = Mode(True, f"{name} is affine in its past with a {kind} coefficient: affine maps compose")
    if s.time_invariant:
        out["convolution"] = Mode(True, "the coefficient is the same at every step, so the whole is a convolution")
    else:
        out["convolution"] = Mode(False, f"{s.varying} changes from step to step")
    if s.structure == "diagonal+low-rank":
        out["chunked"] = Mode(True, "diagonal plus a fixed number of rank-one terms: products of steps stay compact (WY)")
        out["quadratic"] = Mode(False, "the rank-one terms of the coefficient couple all earlier steps: no matrix of weights")
    elif s.structure in ("identity", "scalar", "diagonal") and s.outer:
        left, right = s.outer[0]
        out["chunked"] = Mode(True, f"what is added is an outer product over [{', '.join(left)}] and [{', '.join(right)}]")
        out["quadratic"] = Mode(True, "what is added is an outer product, so the outputs are a masked matrix of weights on it")
    elif s.structure in ("identity", "scalar", "diagonal"):
        why = f"what is added to {name} is not an outer product"
        if s.offending:
            axes = " and ".join(s.offending)
            why = f"the coefficient varies over {axes}, which belong to different factors of the outer product"
        elif len(graph.entries[s.names[0]].axes) < 2:
            why = f"{name} is a vector state: what is added to it is not an outer product"
        out["chunked"] = Mode(False, why)
        out["quadratic"] = Mode(False, why)
    else:
        why = f"the coefficient is {'a block' if s.structure == 'block' else s.structure}: {_why_dense(s)}"
        out["chunked"] = Mode(False, why)
        out["quadratic"] = Mode(False, why)
    out["newton"] = Mode(False, "the update is affine: an associative scan is exact, there is nothing to iterate")
    return out


def _why_dense(s: Shape) -> str:
    if s.structure == "block" and s.several_lags:
        return "several states feed back into each other elementwise"
    return first(s.mixing, f"positions of {words(s.names)} are mixed")

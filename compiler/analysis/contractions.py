"""Rules for what is not elementwise: contractions, reductions, layers along axes, reshaping, leaves, calls.

In:  a node whose children have elements.   Out: its element.
A contraction moves an axis from live to contracted: rank one where the factor carries no other axis in its place, else dense.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.analysis.algebra import Algebra, called
from seqc.compiler.analysis.extent import window
from seqc.compiler.analysis.lattice import Element, Form, Rest, gather_terms, joined, mixed, plain, scaled, several, summed
from seqc.compiler.analysis.lattice import split as split_term
from seqc.compiler.graph.table import number_of
from seqc.compiler.ir.expr import (
    Along,
    Concat,
    Contract,
    Conv,
    Dropout,
    Expand,
    Expr,
    GatherAt,
    Grad,
    Invoke,
    Merge,
    Norm,
    Number,
    Read,
    Reduce,
    Rename,
    Scan,
    Solve,
    Split,
    children,
)
from seqc.compiler.ir.verdict import Reason


def constant_(run: Algebra, e: Expr) -> Element:
    """A literal or a size."""
    if number_of(e) == 0 and not isinstance(number_of(e), bool):
        return Element(rest=Rest())
    return Element(rest=plain(e.axes, varying=False, is_complex=e.type == "complex"))


def number_(run: Algebra, e: Expr) -> Element:
    """The number of a position; it varies along the topology alone."""
    assert isinstance(e, Number)
    topology = {a for f in run.graph.topology for a in f.axes}
    return Element(rest=plain(e.axes, varying=e.of in topology))


def draw_(run: Algebra, e: Expr) -> Element:
    """Something drawn."""
    return Element(rest=plain(e.axes, varying=True))


def expand_(run: Algebra, e: Expr) -> Element:
    """Repeated along new axes."""
    assert isinstance(e, Expand)
    if number_of(e) == 0:
        return Element(rest=Rest())
    return run.fit(run.get(e.arg), e.arg.axes, e.axes)


def rename_(run: Algebra, e: Expr) -> Element:
    """Axes under other names."""
    assert isinstance(e, Rename)
    return run.renamed(run.get(e.arg), dict(e.pairs))


def contract_(run: Algebra, e: Expr) -> Element:
    """A product summed over axes."""
    assert isinstance(e, Contract)
    a, b = run.get(e.left), run.get(e.right)
    if a.free and b.free:
        return Element(rest=plain(e.axes, varying=a.rest.varying or b.rest.varying, is_complex=e.type == "complex"))
    if not a.free and not b.free:
        product = run.product(e, a, e.left, b, e.right)
        return run.sum_terms(product, e.over, e.axes)
    x, factor, other = (a, b, e.right) if b.free else (b, a, e.left)
    why = Reason(f"{run.first_source(x)} is mixed along {', '.join(e.over)} by {called(other)}", e.span)
    scaled_ = run.scaled(e, x, factor.rest, other)
    out = run.sum_terms(scaled_, e.over, e.axes)
    return replace(out, mixes=several(out.mixes, (why,))) if any(t.dense for t in out.terms) else out


def reduce_(run: Algebra, e: Expr) -> Element:
    """A reduction: a sum is linear, an extreme has a form of its own."""
    assert isinstance(e, Reduce)
    x = run.get(e.arg)
    if x.free:
        return Element(rest=plain(e.axes, varying=x.rest.varying, is_complex=e.type == "complex")) if x.rest.addends else x
    over = tuple(a for a in e.over if a != "batch")
    if e.fn in ("sum", "mean"):
        return run.sum_terms(x, over, e.axes)
    form: Form | None = {"max": "max", "min": "min", "logsumexp": "logaddexp"}.get(e.fn)  # type: ignore[assignment]
    if form is not None and (x.unit or x.form == form):
        terms = gather_terms(replace(summed(t, over), unit=True) for t in x.terms)
        return Element(form, terms, plain(e.axes, varying=True), (), x.kinks, x.mixes)
    out = run.pointwise(e.arg, [x], e.fn, jump=e.fn == "argmax")
    out = replace(out, curves=several(x.curves, (run.enters(x, e.fn, e),)))
    if e.fn == "argmax":
        out = replace(out, kinks=several(x.kinks, (run.enters(x, e.fn, e),)))
    return run.sum_terms(out, over, e.axes)


def along_(run: Algebra, e: Expr) -> Element:
    """A function of all positions of an axis."""
    assert isinstance(e, Along)
    x = run.get(e.arg)
    over = (*e.over, *([e.other] if e.other else []))
    if x.free:
        return Element(rest=plain(e.axes, varying=x.rest.varying, is_complex=e.type == "complex"))
    if e.fn in ("cumsum", "fft", "ifft"):
        why = Reason(f"{run.first_source(x)} is mixed along {', '.join(over)} by {e.fn}", e.span)
        return run.matrix(x, over, over, e.axes, varying=False, imaginary=e.fn != "cumsum", why=why)
    out = run.pointwise(e.arg, [x], e.fn)
    why = run.enters(x, e.fn, e)
    jump = e.fn in ("rank", "topk")
    terms = gather_terms(mixed(t, [a for a in over if a in e.arg.axes], over, varying=True) for t in out.terms)
    return replace(out, terms=terms, curves=several(x.curves, (why,)), kinks=several(x.kinks, (why,) if jump else ()))


def norm_(run: Algebra, e: Expr) -> Element:
    """A norm: it mixes its axes and is not linear."""
    assert isinstance(e, Norm)
    x = run.get(e.arg)
    others = [run.get(p) for p in (e.gain, e.bias) if p is not None]
    if x.free:
        varying = x.rest.varying or any(p.rest.varying for p in others)
        return Element(rest=plain(e.axes, varying=varying))
    out = run.pointwise(e.arg, [x], e.fn)
    terms = gather_terms(mixed(t, e.over, e.over, varying=True) for t in out.terms)
    return replace(out, terms=terms, curves=several(x.curves, (run.enters(x, e.fn, e),)))


def conv_(run: Algebra, e: Expr) -> Element:
    """A convolution: linear in its argument."""
    assert isinstance(e, Conv)
    parts: list[Element] = []
    kernels = [run.get(k) for k in e.kernels]
    varying = any(k.rest.varying for k in kernels)
    for arg, kernel, pairs in zip(e.args, e.kernels, e.mixed, strict=True):
        x = run.get(arg)
        mixed_axes = tuple(a for a, _ in pairs) + (e.over if e.pad != "causal" else ())
        twins = dict(pairs)
        after = tuple(a for a in kernel.axes if a not in e.taps and a not in twins.values()) + (
            e.result if e.pad != "causal" else ()
        )
        if e.pad == "causal" and isinstance(arg, Read) and arg.name in run.states:
            back = window(run.graph, e)
            many = back.value(run.graph.sizes) if back is not None else None
            past = run.lagged(arg, "conv", int(many) if many is not None else 2)
            x = run.join([x, replace(past, terms=tuple(replace(t, unit=False) for t in past.terms))], arg.axes)
        if not run.get(kernel).free:
            x = run.unknown(e, [x, run.get(kernel)], e.axes, "enters a convolution's kernel")
        elif mixed_axes:
            why = Reason(f"{run.first_source(x)} is mixed along {', '.join(mixed_axes)} by conv", e.span)
            x = run.matrix(x, mixed_axes, tuple(a for a in after if a not in e.per), e.axes, varying=varying, why=why)
        else:
            x = replace(x, terms=tuple(scaled(t, e.per, varying=varying) for t in x.terms))
        parts.append(replace(x, rest=plain(e.axes, varying=True) if x.rest.addends else x.rest))
    if e.bias is not None:
        parts.append(run.fit(run.get(e.bias), e.bias.axes, e.axes))
    out = run.join_sum(parts, e.axes)
    if all(p.free for p in parts):
        entries_vary = any(run.get(a).rest.varying for a in e.args) or varying
        return Element(rest=plain(e.axes, varying=entries_vary, is_complex=e.type == "complex"))
    return out


def dropout_(run: Algebra, e: Expr) -> Element:
    """Entries left out at random: a product with what is drawn."""
    assert isinstance(e, Dropout)
    mask = Element(rest=plain(e.axes, varying=True))
    x = run.get(e.arg)
    return Element(rest=plain(e.axes, varying=True)) if x.free else run.scaled(e, x, mask.rest, e.arg)


def gather_at_(run: Algebra, e: Expr) -> Element:
    """Entries at positions that are computed."""
    assert isinstance(e, GatherAt)
    x = run.get(e.arg)
    places = [run.get(p) for _, p in e.places]
    if x.free and all(p.free for p in places):
        varying = x.rest.varying or any(p.rest.varying for p in places)
        return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex"))
    if any(not p.free for p in places):
        jump = any(p.type == "int" for _, p in e.places)
        return run.unknown(e, [x, *places], e.axes, "enters a position of at", jump=jump)
    before = tuple(a for a, _ in e.places)
    after = tuple(a for a in e.axes if a not in e.arg.axes or a in before)
    why = Reason(f"{run.first_source(x)} is moved along {', '.join(before)} by at", e.span)
    return run.matrix(x, before, after, e.axes, varying=any(p.rest.varying for p in places), why=why)


def split_(run: Algebra, e: Expr) -> Element:
    """One axis as several."""
    assert isinstance(e, Split)
    x = run.get(e.arg)
    names = {e.axis}
    addends = frozenset(
        frozenset(frozenset(y for a in f for y in ((e.outer, e.inner) if a in names else (a,))) for f in p)
        for p in x.rest.addends
    )
    return replace(
        x, terms=tuple(split_term(t, e.axis, e.outer, e.inner) for t in x.terms), rest=replace(x.rest, addends=addends)
    )


def merge_(run: Algebra, e: Expr) -> Element:
    """Several axes as one."""
    assert isinstance(e, Merge)
    x = run.get(e.arg)
    addends = frozenset(frozenset(frozenset(e.axis if a in e.parts else a for a in f) for f in p) for p in x.rest.addends)
    return replace(x, terms=gather_terms(joined(t, e.axis, e.parts) for t in x.terms), rest=replace(x.rest, addends=addends))


def concat_(run: Algebra, e: Expr) -> Element:
    """Values side by side along an axis."""
    assert isinstance(e, Concat)
    parts = []
    for arg, over in zip(e.args, e.over, strict=True):
        x = run.get(arg)
        before = (over,) if over else ()
        parts.append(run.matrix(x, before, (e.axis,), e.axes, varying=False))
    varying = any(p.rest.varying for p in parts)
    out = run.join_sum(parts, e.axes)
    return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex")) if out.free else out


def solve_(run: Algebra, e: Expr) -> Element:
    """A linear system: linear in its right side."""
    assert isinstance(e, Solve)
    a, b = run.get(e.matrix), run.get(e.rhs)
    if a.free and b.free:
        return Element(rest=plain(e.axes, varying=a.rest.varying or b.rest.varying, is_complex=e.type == "complex"))
    if a.free:
        row = e.row if e.row in e.rhs.axes else e.over
        why = Reason(f"{run.first_source(b)} is mixed along {e.result} by solve", e.span)
        return run.matrix(
            b, (row,), (e.result,), e.axes, varying=a.rest.varying, imaginary=e.matrix.type == "complex", why=why
        )
    return run.unknown(e, [a, b], e.axes, "enters the matrix of solve")


def scan_(run: Algebra, e: Expr) -> Element:
    """A scan with an operator."""
    assert isinstance(e, Scan)
    parts = [run.get(v) for _, v in e.fields]
    if all(p.free for p in parts):
        return Element(rest=plain(e.axes, varying=True))
    return run.unknown(e, parts, e.axes, f"enters scan({e.operator.rsplit(':', 1)[-1]}, …)")


def grad_(run: Algebra, e: Expr) -> Element:
    """A derivative."""
    assert isinstance(e, Grad)
    loss, wrt = run.get(e.loss), run.get(e.wrt)
    if loss.free and wrt.free:
        return Element(rest=plain(e.axes, varying=True))
    return run.unknown(e, [loss, wrt], e.axes, "enters grad")


def invoke_(run: Algebra, e: Expr) -> Element:
    """A call of another body."""
    assert isinstance(e, Invoke)
    parts = [run.get(c) for c in children(e)]
    if all(p.free for p in parts):
        return Element(rest=plain(e.axes, varying=True, is_complex=e.type == "complex"))
    name = (e.callee.extern or e.callee.hole or e.callee.key).rsplit(":", 1)[-1]
    out = run.unknown(e, parts, e.axes, f"enters {name}")
    if e.callee.extern or not e.callee.key:
        return replace(out, form="opaque")
    return out

"""Rules for elementwise functions: sums, products, choices, conditions.

In:  an `Apply` (or `OneHot`) whose operands have elements.   Out: its element (design.md, "Recurrence analysis").
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.analysis.algebra import Algebra, both
from seqc.compiler.analysis.lattice import SEMIRINGS, Element, Form, gather_terms, plain, scaled, several, times
from seqc.compiler.graph.simplify import COMPARE, Simplifier
from seqc.compiler.graph.table import Table, number_of, rewrite
from seqc.compiler.ir.expr import Apply, Expr, OneHot
from seqc.compiler.ir.verdict import Reason

JUMPS = frozenset("sign floor ceil mod bitlen xor roundup and or not".split()) | set(COMPARE)
"""Functions that are not continuous in the state."""

SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "outer": "outer", "div": "/", "pow": "^", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
    "gt": ">", "ge": ">=", "neg": "-",
}  # fmt: skip


def apply_(run: Algebra, e: Expr) -> Element:
    """A function of the entries at one position."""
    assert isinstance(e, Apply)
    parts = [run.get(a) for a in e.args]
    match e.fn:
        case "add" | "sub":
            return _add(run, e, parts)
        case "neg":
            return run.negative(parts[0], e)
        case "mul" | "outer":
            out, node = parts[0], e.args[0]
            for x, arg in zip(parts[1:], e.args[1:], strict=True):
                out, node = run.product_of(e, out, node, x, arg), both(node, arg)
            return replace(out, rest=run.rest_fit(out.rest, e.axes)) if len(e.args) > 2 else out
        case "div":
            return _divide(run, e, parts)
        case "where":
            return _where(run, e, parts)
        case "max" | "min" | "logaddexp":
            return _choice(run, e, e.fn, parts)
        case "relu":
            return _choice(run, e, "max", [parts[0], Element(rest=plain(e.axes, varying=False))])
        case "stop":
            x = parts[0]
            return x if x.free else replace(x, kinks=several(x.kinks, (run.enters(x, "stop", e),)))
        case "through":
            x = parts[0]
            y = parts[1]
            if x.free and y.free:
                return x
            why = Reason(f"{run.first_source(x) or run.first_source(y)} passes through(…), whose derivative is another", e.span)
            return replace(x, kinks=several(x.kinks, (why,)))
        case "re" | "im" | "conj":
            return _real_linear(run, e, parts[0])
        case "complex" if parts[0].free and parts[1].free:
            varying = parts[0].rest.varying or parts[1].rest.varying
            return Element(rest=plain(e.axes, varying=varying, is_complex=True))
        case "complex":
            turned = replace(parts[1], terms=tuple(scaled(t, (), varying=False, is_complex=True) for t in parts[1].terms))
            return run.join_sum([parts[0], turned], e.axes)
    if all(p.free for p in parts):
        return Element(rest=plain(e.axes, varying=any(p.rest.varying for p in parts), is_complex=e.type == "complex"))
    return run.pointwise(e, parts, SIGNS.get(e.fn, e.fn), jump=e.fn in JUMPS)


def _add(run: Algebra, e: Apply, parts: list[Element]) -> Element:
    if e.fn == "sub":
        parts = [parts[0], run.negative(parts[1], e)]
    out = run.join_sum(parts, e.axes)
    if out.form == "nonlinear" and any(p.form in SEMIRINGS for p in parts):
        semi = next(p for p in parts if p.form in SEMIRINGS)
        why = Reason(f"a {semi.form} over {run.first_source(semi)} is added up", e.span)
        out = replace(out, curves=several(out.curves, (why,)))
    return out


def _divide(run: Algebra, e: Apply, parts: list[Element]) -> Element:
    a, b = parts
    if b.free:
        inverse = plain(e.args[1].axes, varying=b.rest.varying, is_complex=b.rest.complex)
        return run.product_of(e, a, e.args[0], Element(rest=inverse), e.args[1])
    if a.free:
        return run.pointwise(e, [b], "a division")
    x = run.pointwise(e.args[1], [b], "a division")
    return run.product(e, a, e.args[0], replace(x, curves=()), e.args[1])


def _where(run: Algebra, e: Apply, parts: list[Element]) -> Element:
    test, a, b = parts
    if test.free and a.free and b.free:
        zero = [i for i, x in ((1, a), (2, b)) if not x.rest.addends]
        if len(zero) == 1:  # a mask
            mask = plain(e.args[0].axes, varying=test.rest.varying)
            return Element(rest=run.rest_fit(times((b if zero == [1] else a).rest, mask), e.axes))
        varying = test.rest.varying or a.rest.varying or b.rest.varying
        return Element(rest=plain(e.axes, varying=varying, is_complex=e.type == "complex"))
    if test.free:
        cond = e.args[0]
        masked = [
            replace(x, terms=tuple(scaled(t, cond.axes, varying=test.rest.varying) for t in x.terms), form=x.form)
            for x in (a, b)
        ]
        out = run.join_sum(masked, e.axes)
        semirings = {x.form for x in (a, b)} & set(SEMIRINGS)
        if len(semirings) == 1 and all(x.form in SEMIRINGS or x.free or x.unit for x in (a, b)):
            out = replace(out, form=semirings.pop(), terms=gather_terms(t for x in (a, b) for t in x.terms))
        rest = out.rest
        return replace(out, rest=replace(rest, varying=rest.varying or test.rest.varying))
    jump = not _meets(run, e)
    out = run.pointwise(e, [test, a, b], "the condition of a where")
    if jump:
        what = f"{run.first_source(test)} decides a where whose branches are not shown to meet"
        out = replace(out, kinks=several(a.kinks, b.kinks, (Reason(what, e.span),)))
    else:
        out = replace(out, kinks=several(a.kinks, b.kinks))
    return replace(out, curves=several(a.curves, b.curves, (Reason(f"{run.first_source(test)} decides a where", e.span),)))


def _meets(run: Algebra, e: Apply) -> bool:
    """Whether the two branches are equal where the condition changes: `where(x > c, f(x), g(x))` with f(c) = g(c)."""
    test, a, b = e.args
    if not (isinstance(test, Apply) and test.fn in ("lt", "le", "gt", "ge")):
        return False
    for x, c in ((test.args[0], test.args[1]), (test.args[1], test.args[0])):
        if a is x and b is c or a is c and b is x:
            return True
        if number_of(c) is not None:
            table = Table()
            make = Simplifier(table, run.graph.dims, run.graph.sizes)
            value = rewrite(c, make, {})
            at: dict[int, Expr] = {id(x): make.fit(value, x)}
            left, right = rewrite(a, make, at), rewrite(b, make, at)
            u, v = number_of(left), number_of(right)
            if left is right or u is not None and v is not None and abs(u - v) <= 1e-12 * max(1.0, abs(u)):
                return True
    return False


def _choice(run: Algebra, e: Expr, fn: str, parts: list[Element]) -> Element:
    """`max`, `min`, `logaddexp`: a semiring's sum where each operand is state-free, has coefficient 1, or is one itrun."""
    if all(p.free for p in parts):
        return Element(rest=plain(e.axes, varying=any(p.rest.varying for p in parts)))
    form: Form = "max" if fn == "max" else "min" if fn == "min" else "logaddexp"
    if all(p.free or p.unit and len(p.terms) == 1 or p.form == form for p in parts):
        terms = gather_terms(t for p in parts for t in p.terms)
        units = tuple(replace(t, unit=True) for t in terms)
        rest = plain(e.axes, varying=True)
        return Element(form, units, rest, (), several(*(p.kinks for p in parts)), several(*(p.mixes for p in parts)))
    return run.pointwise(e, parts, fn)


def _real_linear(run: Algebra, e: Expr, x: Element) -> Element:
    rest = replace(x.rest, complex=x.rest.complex and e.type == "complex")
    terms = tuple(replace(t, real_only=True, unit=False) for t in x.terms)
    return replace(x, terms=terms, rest=rest)


def onehot_(run: Algebra, e: Expr) -> Element:
    """A position as a row with a single one."""
    assert isinstance(e, OneHot)
    return run.pointwise(e, [run.get(e.arg)], "onehot", jump=True)

"""Convolutions as Python text: causal ones along the chain, others over axes of their operands."""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.lower.reference.contractions import affine, maskable, product_sum
from seqc.compiler.lower.reference.emitter import Emitter, refuse, rule
from seqc.compiler.lower.reference.fields import present
from seqc.compiler.lower.reference.layout import ADD, ATOM, BATCH, CHAIN, MUL, Code, Layout, aligned, permuted, union
from seqc.compiler.lower.reference.reshaping import as_names, known_size, settle, stepless
from seqc.compiler.lower.reference.scope import Scope


@rule(x.Conv)
def conv(m: Emitter, e: x.Conv, s: Scope) -> Code:
    """A convolution along the chain or over axes of the operands."""
    causal = e.pad == "causal" and e.over == (m.chain,) and bool(m.chain)
    total: Code | None = None
    for arg, kernel, mixed in zip(e.args, e.kernels, e.mixed, strict=True):
        one = along_chain(m, e, arg, kernel, mixed, s) if causal else over_axes(m, e, arg, kernel, mixed, s)
        if total is None:
            total = one
        else:
            target = union([total.layout, one.layout], tuple(a for a in e.axes if a != m.chain))
            total = Code(f"{aligned(total, target, ADD)} + {aligned(one, target, MUL)}", target, "real", ADD)
    assert total is not None
    return affine(m, total, None, e.bias, s)


def along_chain(m: Emitter, e: x.Conv, arg: x.Expr, kernel: x.Expr, mixed: tuple[tuple[str, str], ...], s: Scope) -> Code:
    """One operand of a causal convolution."""
    assert isinstance(arg, x.Read)
    name = arg.name
    v = m.table[name]
    size, dilation = m.emit(e.size, s), m.emit(e.dilation, s)
    weight = m.emit(kernel, s)
    timed = s.timed
    (tap,) = e.taps
    if timed is not None and timed.time is not None and name in timed.time.names:
        past = timed.known[f"{name} was"]
        axes = tuple(a for a in v.axes or () if a != m.chain)
        now = m.expanded(present(m, name, s), Layout(True, False, axes), s)
        rows = m.assign(Code(f"torch.stack((*{past.text}, {now.text}), 1)", Layout()), f"{name}_row", s)
        code = Code(f"history.taps(run, {rows.text}, {size.text}, {dilation.text}, now=True)", Layout(True, False, (*axes, tap)))
    else:
        full = m.full(name, s)
        reach = m.reach(name, s)
        need = f"({size.at_least(ADD)} - 1)" if not size.text.isdigit() else str(int(size.text) - 1)
        need = need if dilation.text == "1" else f"{need} * {dilation.at_least(MUL)}"
        row = full.text if need in (reach, f"({reach})") or f"({need})" == reach else f"relation.trimmed({full.text}, {reach}, {need})"
        axes = full.layout.axes
        if s.chain and not mixed and e.per and all(a in axes for a in e.per) and weight.layout.axes == (*e.per, tap):
            rest = tuple(a for a in axes if a not in e.per)
            row = (
                permuted(row, axes, (*rest, *e.per))
                if (*rest, *e.per) == axes
                else permuted(row, ("*", "@", *axes), ("*", "@", *rest, *e.per))
            )
            text = f"history.depthwise(run, {row}, {weight.text}, {size.text}, {dilation.text}, {len(e.per)}, None)"
            return strided(m, e, Code(text, Layout(True, True, (*rest, *e.per))), s)
        extra = "" if s.chain else ", now=True"
        code = Code(f"history.taps(run, {row}, {size.text}, {dilation.text}{extra})", Layout(True, s.chain, (*axes, tap)))
    to = dict(mixed)
    code = replace(code, layout=Layout(code.layout.batch, code.layout.chain, tuple(to.get(a, a) for a in code.layout.axes)))
    over = (*to.values(), tap)
    made = product_sum(m, [code, weight], over, tuple(a for a in e.axes if a != m.chain), "real", s)
    return strided(m, e, made, s)


def strided(m: Emitter, e: x.Conv, code: Code, s: Scope) -> Code:
    """Every `stride`-th step (the axis of the result is another one then)."""
    stride = m.emit(e.stride, s)
    if stride.text == "1":
        return code
    if not s.chain:
        raise refuse("SEQ0505", "a convolution with a stride has no step", e.span)
    new = e.result[0]
    m.axis_sizes.setdefault(new, f"(-(-run.length // {stride.at_least(ATOM)}))")
    return Code(f"{code.at_least(ATOM)}[:, ::{stride.text}]", Layout(code.layout.batch, False, (new, *code.layout.axes)))


def over_axes(m: Emitter, e: x.Conv, arg: x.Expr, kernel: x.Expr, mixed: tuple[tuple[str, str], ...], s: Scope) -> Code:
    """One operand of a convolution over axes of its own (a chain among them only as a whole)."""
    stepless(m, s, e, e.over, "this convolution")
    code = m.real(m.short(m.emit(arg, s), f"{m.equation}_arg", s))
    weight = m.emit(kernel, s)
    size, stride, dilation = m.emit(e.size, s), m.emit(e.stride, s), m.emit(e.dilation, s)
    over = as_names(m, e.over)
    for a in over:
        if maskable(m, a):
            code = replace(
                code,
                text=f"run.zeroed({code.text}, {m.chain if a == CHAIN else a!r}, {code.layout.dim(a)})".replace(
                    f"({code.text}, {m.chain},", f"({code.text}, {m.chain!r},"
                ),
                level=ATOM,
            )
    dims = ", ".join(str(code.layout.dim(a)) for a in over)
    comma = "," if len(over) == 1 else ""
    margin = m.emit(e.margin, s).text if e.margin is not None else "0"
    code = m.assign(code, f"{m.equation}_field", s)
    mode = {"causal": "zero", "explicit": "zero"}.get(e.pad, e.pad)
    text = f"arrays.conv_windows({code.text}, ({dims}{comma}), {size.text}, {stride.text}, {dilation.text}, {e.pad!r}, {mode!r}, {margin})"
    out_axes = as_names(m, e.result)
    to = dict(mixed)
    turned = dict(zip(over, out_axes, strict=True))
    names = tuple(turned.get(a, to.get(a, a)) for a in code.layout.names)
    new = (*names, *e.taps)
    named = tuple(a for a in new if a not in (BATCH, CHAIN))
    laid = settle(Code(text, Layout(), "real"), new, named)
    laid = m.assign(laid, f"{m.equation}_windows", s)
    for a, o in zip(out_axes, e.over, strict=True):
        if a not in over and a != CHAIN and not known_size(m, a):
            n = m.size(o, s)
            if e.pad == "explicit":
                m.axis_sizes.setdefault(
                    a, f"(({n} + 2 * ({margin}) - ({size.text} - 1) * {dilation.at_least(MUL)} - 1) // {stride.at_least(ATOM)} + 1)"
                )
            else:
                m.axis_sizes.setdefault(a, f"(-(-{n} // {stride.at_least(ATOM)}))")
    laid = replace(laid, zeros=frozenset(out_axes))
    return product_sum(m, [laid, weight], (*to.values(), *e.taps), tuple(a for a in e.axes if a != m.chain), "real", s)

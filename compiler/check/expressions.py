"""Types an expression: names, operators, and the way to the functions, reads, layers and calls beside this file.

In:   a `syntax.Expr`, the body's `Context`, and the declared shape `want` as far as a layer may take it (only elementwise
      operations and shape-keeping functions between it and the `=`).
Out:  a typed `ir.expr.Expr`.
Refuses: SEQ0220 (unknown name), SEQ0222 (a body's name as a value), SEQ0290 (too large after expansion), SEQ0404 (condition is
         no bool), SEQ0406 (text), SEQ0407 (order of complex numbers), and what the parts refuse.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import NoReturn

from seqc.compiler.check import align, calls, functions, reads
from seqc.compiler.check.context import DEPTH_LIMIT, RESULT_LIMIT, Context, TooLarge, Untypable, literal
from seqc.compiler.check.sizes import NoSize, rational
from seqc.compiler.check.words import FUNCTIONS
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import syntax as s
from seqc.compiler.ir.expr import Axes, Expr

NODE_LIMIT = 10_000
COMPARED_LIMIT = 4000
WHERE = {
    "pred": "predecessors are those of a `tree`, `dag` or `graph`",
    "succ": "successors are those of a `tree`, `dag` or `graph`",
    "call": "it stands in `[call-1]`, for what earlier calls left",
    "batch": "it stands in `over = batch` of losses, and in positions",
    "edge": "it stands in `over edge`",
}
"""What the special axes are for, where they stand elsewhere."""
BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow"}
COMPARE = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
SAID = {"+": "a sum", "-": "a difference", "*": "a product", "/": "a quotient", "^": "a power"}


def typed(c: Context, e: s.Expr, want: Axes | None = None) -> Expr:
    """The typed form of `e`. Raises `Untypable` where something was reported, and `TooLarge` at a limit."""
    c.spent += 1
    if c.spent > NODE_LIMIT:
        too_large(c, f"{c.body.name} has more than {NODE_LIMIT} terms once its functions are put in", e)
    if c.shared.depth >= DEPTH_LIMIT:
        too_large(c, f"this is nested more than {DEPTH_LIMIT} deep once functions are put in", e)
    c.shared.depth += 1
    try:
        made = _typed(c, e, want)
    finally:
        c.shared.depth -= 1
    if c.measure(made)[0] > RESULT_LIMIT:
        too_large(c, f"this is nested more than {RESULT_LIMIT} deep once functions are put in", e)
    return made


def too_large(c: Context, message: str, e: s.Expr) -> NoReturn:
    """SEQ0290: ends the checking of the body."""
    c.sink.report("SEQ0290", message, e.span, help="split it into several equations or bodies, or use rounds in place of nested functions")
    raise TooLarge()


def _typed(c: Context, e: s.Expr, want: Axes | None) -> Expr:
    match e:
        case s.Number(value=v):
            return literal(v, e.span)
        case s.Text(value=v):
            return x.Literal_(v, type="text", span=e.span)
        case s.Name():
            return name(c, e)
        case s.Negative(operand=a):
            inner = typed(c, a, want)
            kind = align.promoted(c, [inner], "the negative")
            if isinstance(inner, x.Literal_) and isinstance(inner.value, int | float):
                return x.Literal_(-inner.value, type=kind, span=e.span)
            return x.Apply("neg", (inner,), axes=inner.axes, type=kind, span=e.span)
        case s.Binary(op="+" | "*" as op):
            return chain(c, e, op, want)
        case s.Binary(op=op, left=a, right=b):
            left, right = typed(c, a, want), typed(c, b, want)
            return binary(c, op, left, right, e)
        case s.Compare(op=op, left=a, right=b):
            left, right = typed(c, a), typed(c, b)
            if "text" in (left.type, right.type) and left.type != right.type:
                raise c.fail("SEQ0406", "a text is compared with something else", e.span)
            if op not in ("==", "!=") and "complex" in (left.type, right.type):
                raise c.fail(
                    "SEQ0407",
                    "complex numbers have no order",
                    e.span,
                    help=c.written.paste(a.span, f"abs({c.written.text(a.span)})"),
                )
            axes = align.aligned(c, [left, right], "a comparison", e.span)
            return x.Apply(COMPARE[op], (left, right), axes=axes, type="bool", span=e.span)
        case s.Logical(op=op, left=a, right=b):
            left, right = truth(c, typed(c, a)), truth(c, typed(c, b))
            axes = align.aligned(c, [left, right], f"`{op}`", e.span)
            return x.Apply(op, (left, right), axes=axes, type="bool", span=e.span)
        case s.Not(operand=a):
            inner = truth(c, typed(c, a))
            return x.Apply("not", (inner,), axes=inner.axes, type="bool", span=e.span)
        case s.Field():
            return reads.field(c, e)
        case s.Read():
            return reads.read(c, e)
        case s.Call():
            return call(c, e, want)
        case s.NameList():
            raise c.fail("SEQ0223", "a list of names stands only after `over =`, `per =`, `to =` and the like", e.span)
    raise c.fail("SEQ0223", "this has no value here", e.span)


def truth(c: Context, e: Expr) -> Expr:
    """`e`, which must be a bool."""
    if e.type != "bool":
        raise c.fail(
            "SEQ0404",
            "a condition must be true or false, this is a number",
            e.span,
            help=c.written.paste(e.span, f"{c.written.text(e.span)} > 0"),
        )
    return e


def chain(c: Context, e: s.Binary, op: str, want: Axes | None) -> Expr:
    """A chain of one commutative operator aligns as a whole: `a + b + c` is one sum of three."""
    operands: list[s.Expr] = []
    rest: s.Expr = e
    while isinstance(rest, s.Binary) and rest.op == op:
        operands.append(rest.right)
        rest = rest.left
    operands.append(rest)
    parts = [typed(c, o, want) for o in reversed(operands)]
    flat: list[Expr] = []
    for p in parts:
        flat += p.args if isinstance(p, x.Apply) and p.fn == BINARY[op] and isinstance(operands[-1], s.Binary) else [p]
    kind = align.promoted(c, flat, SAID[op])
    axes = align.aligned(c, flat, SAID[op], e.span)
    return x.Apply(BINARY[op], tuple(flat), axes=axes, type=kind, span=e.span)


def binary(c: Context, op: str, left: Expr, right: Expr, e: s.Binary) -> Expr:
    """`-`, `/`, `^`."""
    kind = align.promoted(c, [left, right], SAID[op])
    axes = align.aligned(c, [left, right], SAID[op], e.span)
    if op == "/" and kind == "int":
        kind = "real"
    if op == "^" and kind == "int":
        if _exponent(right) > 64:
            raise c.fail(
                "SEQ0291",
                "an integer power may have an exponent of at most 64",
                right.span,
                help="write 2.0^… for a real power",
            )
        if c.ranges().of(right)[0] < 0:  # a power is whole only where its exponent is proved not to be negative
            kind = "real"
    return x.Apply(BINARY[op], (left, right), axes=axes, type=kind, span=e.span)


def _exponent(e: Expr) -> float:
    """The size of an exponent, where it is made of numbers only; else 0."""
    try:
        size = abs(rational(e, {}))
        return 1000.0 if size > 1000 else float(size)
    except KeyError:
        return 0
    except NoSize:
        return math.inf


def name(c: Context, e: s.Name) -> Expr:
    """A bare word."""
    if e.id in c.env:
        value = c.env[e.id].value
        if value is None:
            raise c.fail("SEQ0222", f"`{e.id}` is an axis here and has no value", e.span)
        return value
    if e.id in ("true", "false"):
        return x.Literal_(e.id == "true", type="bool", span=e.span)
    if e.id in ("pi", "inf"):
        return x.Literal_(math.pi if e.id == "pi" else math.inf, type="real", span=e.span)
    if e.id == "none":
        raise c.fail("SEQ0224", "`none` may only be the default of an input, or a layer's `bias =`", e.span)
    n = c.names
    if e.id in n.values:
        return reads.plain(c, e.id, e.span)
    if e.id in n.dims:
        return x.DimSize(e.id, type="int", span=e.span)
    if (number := reads.number(c, e.id, e.span)) is not None:
        return number
    if e.id in n.holes or e.id in c.definitions.names() or e.id in FUNCTIONS:
        raise c.fail("SEQ0222", f"`{e.id}` is a body or a function, not a value", e.span, help=c.written.paste(e.span, f"{e.id}(…)"))
    raise unknown(c, e)


def unknown(c: Context, e: s.Name) -> Exception:
    """SEQ0220 with the nearest name; `h_prev` and the like are told how the past is written."""
    if e.id in WHERE:
        return c.fail("SEQ0220", f"`{e.id}` means nothing here", e.span, label=WHERE[e.id])
    near = None
    if c.shared.compared < COMPARED_LIMIT:
        known = [*islice(c.names.everything(), COMPARED_LIMIT), *c.env]
        c.shared.compared += len(known)
        near = nearest(e.id, known)
    if near is None:
        if ("SEQ0220", e.id) in c.told:
            return Untypable()
        c.told.add(("SEQ0220", e.id))
    help_ = c.written.paste(e.span, near) if near else f"{e.id} : [D] = …"
    label = f"did you mean `{near}`?" if near else "no value, dim or index has this name"
    for tail in ("_prev", "_old", "_last", "prev", "_tm1", "_t"):
        stem = e.id.removesuffix(tail)
        if stem != e.id and stem in c.names.values:
            help_ = c.written.paste(e.span, f"{stem}[{c.chain or 't'}-1]")
            label = "the value of the step before is read with a lag"
            break
    return c.fail(
        "SEQ0220",
        f"`{e.id}` is not defined in {c.body.name}",
        e.span,
        label=label,
        help=help_,
    )


def call(c: Context, e: s.Call, want: Axes | None) -> Expr:
    """`f(…)`: a hole, a fn, a body, an extern, or a function of the language."""
    f = e.function
    if f in c.function_holes:
        return call(c, s.Call(c.function_holes[f], e.arguments, e.keywords, function_span=e.function_span, span=e.span), want)
    if f in c.names.holes:
        return calls.hole(c, e, want)
    if f in c.definitions.fns:
        return functions.fn(c, e, want)
    if f in c.definitions.bodies:
        return calls.body(c, e, c.definitions.bodies[f], want)
    if f in c.definitions.externs:
        return calls.extern(c, e, c.definitions.externs[f])
    return functions.builtin(c, e, want)

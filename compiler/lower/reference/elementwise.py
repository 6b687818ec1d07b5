"""Elementwise functions as Python text.

In:   `Apply`.
Out:  arithmetic on aligned operands; Python arithmetic where everything is known when the module is built; a `where` whose condition is
      known then becomes an `if`, and what stands on the other side does not exist.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Expr
from seqc.compiler.lower.reference.emitter import Emitter, rule
from seqc.compiler.lower.reference.layout import (
    ADD,
    ATOM,
    COMPARE,
    LOGIC,
    MUL,
    POWER,
    UNARY,
    Code,
    Layout,
    aligned,
    union,
)
from seqc.compiler.lower.reference.scope import Scope

SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
PLAIN = {
    "sigmoid": "torch.sigmoid",
    "tanh": "torch.tanh",
    "softplus": "fn.softplus",
    "logsigmoid": "F.logsigmoid",
    "log1p": "torch.log1p",
    "expm1": "torch.expm1",
    "gelu": "F.gelu",
    "relu": "F.relu",
    "sin": "torch.sin",
    "cos": "torch.cos",
    "atan": "torch.atan",
    "exp": "torch.exp",
    "log": "torch.log",
    "sqrt": "torch.sqrt",
    "abs": "torch.abs",
    "cis": "fn.cis",
    "conj": "torch.conj",
}
PAIRED = {"expdiff": "fn.expdiff", "logaddexp": "fn.logaddexp", "mod": "fn.mod", "through": "fn.through", "complex": "fn.make_complex"}


# ---- Apply ------------------------------------------------------------------------------------------------------------


@rule(x.Apply)
def apply(m: Emitter, e: x.Apply, s: Scope) -> Code:
    """An elementwise function."""
    if e.fn == "where":
        return where(m, e, s)
    args = flattened(e) if e.fn in ("add", "mul") else e.args
    if e.fn in ("add", "mul"):
        args = grouped(m, e, args, s)
        from seqc.compiler.lower.reference.contractions import with_bias

        if e.fn == "add" and (made := with_bias(m, e, args, s)) is not None:
            return made
    codes = [m.emit(a, s) for a in args]
    if all(c.number for c in codes):
        if e.fn == "pow" and any(isinstance(n, x.DimSize) and n.dim in m.empty for n in x.walk(e.args[0])):
            return Code(f"fn.number('pow', {codes[0].text}, {codes[1].text})", Layout(), e.type, number=True)
        return numeric(e, codes)
    return elementwise(m, e, codes, s)


def multiply_add(m: Emitter, e: x.Apply, codes: list[Code], target: Layout, s: Scope) -> str | None:
    """In a loop over time: `a * b + c` of tensors of one shape as one operation."""
    if s.timed is None or len(codes) != 2 or e.type == "int":
        return None
    for product, other in (codes, codes[::-1]):
        if (
            product.factors
            and product.text == " * ".join(product.factors)
            and not other.number
            and other.layout.names == target.names
            and other.type == product.type
        ):
            a, b = product.factors
            return f"torch.addcmul({other.text}, {a}, {b})"
    return None


def flattened(e: x.Apply) -> tuple[Expr, ...]:
    """The operands of a chain of one commutative operator."""
    out: list[Expr] = []
    stack: list[Expr] = [e]
    while stack:
        n = stack.pop()
        if isinstance(n, x.Apply) and n.fn == e.fn and (n is e or n.type == e.type):
            stack.extend(reversed(n.args))
        else:
            out.append(n)
    return tuple(out)


def grouped(m: Emitter, e: x.Apply, args: tuple[Expr, ...], s: Scope) -> tuple[Expr, ...]:
    """In a loop over time: the operands that can be computed before it, as one operand."""
    timed = s.timed
    if timed is None or m.in_branch(s):
        return args
    free = [a for a in args if m.liftable(a, s, timed)]
    if len(free) < 2 or len(free) == len(args):
        return args
    have = {a for f in free for a in f.axes}
    axes = tuple(a for a in e.axes if a in have)
    kind = "complex" if any(f.type == "complex" for f in free) else e.type if e.type != "complex" else "real"
    one = x.Apply(e.fn, tuple(free), axes=axes, type=kind, span=e.span)
    out: list[Expr] = []
    for a in args:
        if a is free[0]:
            out.append(one)
        elif a not in free[1:] or not any(a is f for f in free):
            out.append(a)
    return tuple(out)


def elementwise(m: Emitter, e: x.Apply, codes: list[Code], s: Scope) -> Code:
    """A function of tensors (and numbers)."""
    fn = e.fn
    if e.type in ("real", "complex") and fn not in ("stop", "floor", "ceil", "re", "im"):
        whole = [c for c in codes if not c.number and c.type in ("int", "bool")]
        if whole and (len(whole) == len([c for c in codes if not c.number]) or fn in ("div", "pow", *PLAIN, *PAIRED, "silu")):
            codes = [m.real(c) for c in codes]
    if fn in ("outer", "add", "mul", "sub", "div", "pow", "min", "max") and any(c.type == "bool" and not c.number for c in codes):
        codes = [m.real(c) if c.type == "bool" else c for c in codes]
    tensors = [c for c in codes if not c.number]
    target = union([c.layout for c in tensors], tuple(a for a in e.axes if a != m.chain))
    wide = next((c.wide for c in tensors if c.wide), "")
    zeros: frozenset[str] = frozenset()
    if fn in ("mul", "outer", "and"):
        zeros = frozenset(a for c in tensors for a in c.zeros)

    def out(text: str, level: int = ATOM, kind: x.Type = e.type) -> Code:
        return Code(text, target, kind, level, wide=wide if kind in ("real", "complex") else "", zeros=zeros)

    if fn == "add":
        if (fused := multiply_add(m, e, codes, target, s)) is not None:
            return out(fused)
        return out(_sum([aligned(c, target, ADD) for c in codes], codes), ADD)
    if fn in ("mul", "outer"):
        made = out(" * ".join(aligned(c, target, MUL if i == 0 else MUL + 1) for i, c in enumerate(codes)), MUL)
        same = len(codes) == len(tensors) == 2 and all(
            c.layout.names == target.names and c.type == e.type and c.wide == wide for c in codes
        )
        return replace(made, factors=(codes[0].text, codes[1].text)) if same else made
    if fn == "sub":
        return out(f"{aligned(codes[0], target, ADD)} - {aligned(codes[1], target, ADD + 1)}", ADD)
    if fn == "div":
        return out(f"{aligned(codes[0], target, MUL)} / {aligned(codes[1], target, MUL + 1)}", MUL)
    if fn == "neg":
        return out(f"-{aligned(codes[0], target, UNARY)}", UNARY)
    if fn == "pow":
        base, power = codes
        if base.number:
            return out(f"fn.power({base.text}, {aligned(power, target, 0)})")
        return out(f"{aligned(base, target, ATOM)} ** {aligned(power, target, ATOM)}", POWER)
    if fn in SIGNS:
        return out(f"{aligned(codes[0], target, COMPARE + 1)} {SIGNS[fn]} {aligned(codes[1], target, COMPARE + 1)}", COMPARE, "bool")
    if fn in ("and", "or"):
        sign = " & " if fn == "and" else " | "
        return out(sign.join(aligned(c, target, ATOM) for c in codes), LOGIC, "bool")
    if fn == "not":
        return out(f"~{aligned(codes[0], target, ATOM)}", UNARY, "bool")
    if fn in ("min", "max"):
        if len(codes) == 2 and len(tensors) == 1:
            side = next(c for c in codes if c.number)
            single = tensors[0]
            if single.type != "int" or side.type == "int":
                return out(f"{aligned(single, target, ATOM)}.clamp({'max' if fn == 'min' else 'min'}={side.text})")
        name = ("torch." if len(codes) == 2 and len(tensors) == 2 else "fn.") + ("minimum" if fn == "min" else "maximum")
        return out(f"{name}({', '.join(aligned(c, target, 0) for c in codes)})")
    if fn in PAIRED:
        return out(f"{PAIRED[fn]}({', '.join(aligned(c, target, 0) for c in codes)})")
    a = codes[0]
    text = aligned(a, target, 0)
    if fn in PLAIN:
        if fn == "conj" and a.type != "complex":
            return a
        return out(f"{PLAIN[fn]}({text})")
    match fn:
        case "silu":
            return out(f"fn.silu({text})" if a.type == "complex" else f"F.silu({text})")
        case "sign":
            return out(f"torch.sgn({text})" if a.type == "complex" else f"torch.sign({text})")
        case "floor" | "ceil":
            if a.type == "int":
                return a
            rounded = f"torch.{fn}({text})"
            return out(f"{rounded}.to(torch.int64)" if e.type == "int" else rounded)
        case "roundup":
            return out(f"torch.ceil({text} / {codes[1].at_least(MUL + 1)}) * {codes[1].at_least(MUL)}", MUL)
        case "stop":
            return out(f"{a.at_least(ATOM)}.detach()")
        case "re":
            return out(f"{a.at_least(ATOM)}.real", ATOM, "real") if a.type == "complex" else a
        case "im":
            return out(f"{a.at_least(ATOM)}.imag", ATOM, "real") if a.type == "complex" else out(f"torch.zeros_like({text})", ATOM, "real")
        case "bitlen":
            return out(f"fn.bitlen({text})")
        case "xor":
            return out(f"torch.bitwise_xor({', '.join(aligned(c, target, 0) for c in codes)})")
    raise AssertionError(f"no elementwise function {fn}")


def _sum(texts: list[str], codes: list[Code]) -> str:
    """A sum; a negative term is subtracted."""
    out = texts[0]
    for t in texts[1:]:
        out += f" - {t[1:]}" if t.startswith("-") and not t.startswith("-(") and " " not in t else f" + {t}"
    return out


def numeric(e: x.Apply, codes: list[Code]) -> Code:
    """A function of Python numbers."""
    fn = e.fn
    t = [c.text for c in codes]

    def out(text: str, level: int = ATOM, kind: x.Type = e.type) -> Code:
        return Code(text, Layout(), kind, level, number=True)

    if fn == "add":
        return out(_sum([c.at_least(ADD) for c in codes], codes), ADD)
    if fn in ("mul", "outer"):
        return out(" * ".join(c.at_least(MUL if i == 0 else MUL + 1) for i, c in enumerate(codes)), MUL)
    if fn == "sub":
        return out(f"{codes[0].at_least(ADD)} - {codes[1].at_least(ADD + 1)}", ADD)
    if fn == "div":
        return out(f"{codes[0].at_least(MUL)} / {codes[1].at_least(MUL + 1)}", MUL)
    if fn == "pow":
        return out(f"{codes[0].at_least(ATOM)} ** {codes[1].at_least(UNARY)}", POWER)
    if fn == "neg":
        return out(f"-{codes[0].at_least(UNARY + 1)}", UNARY)
    if fn in SIGNS:
        return out(f"{codes[0].at_least(COMPARE + 1)} {SIGNS[fn]} {codes[1].at_least(COMPARE + 1)}", COMPARE, "bool")
    if fn in ("and", "or"):
        return out(f" {fn} ".join(c.at_least(COMPARE) for c in codes), LOGIC, "bool")
    if fn == "not":
        return out(f"not {codes[0].at_least(ATOM)}", LOGIC, "bool")
    if fn in ("min", "max"):
        return out(f"{fn}({', '.join(t)})")
    return out(f"fn.number({fn!r}, {', '.join(t)})")


# ---- where ------------------------------------------------------------------------------------------------------------


def where(m: Emitter, e: x.Apply, s: Scope) -> Code:
    """A choice: at build time an `if`, else `torch.where`."""
    condition = m.emit(e.args[0], s)
    if condition.number:
        return decided(m, e, condition, s)
    a, b = m.emit(e.args[1], s), m.emit(e.args[2], s)
    if e.type in ("real", "complex"):
        a, b = m.real(a) if not a.number else a, m.real(b) if not b.number else b
    tensors = [c for c in (condition, a, b) if not c.number]
    target = union([c.layout for c in tensors], tuple(i for i in e.axes if i != m.chain))
    if a.number and b.number and e.type in ("real", "complex"):
        dtype = m.dtype(e.type)
        a = Code(f"torch.tensor({a.text}, dtype={dtype}, device=run.device)", Layout(), e.type)
    wide = a.wide or b.wide
    zeros = frozenset(i for i in a.zeros if b.number and b.text == "0") | (
        condition.zeros if b.number and b.text in ("0", "0.0") else frozenset()
    )
    text = f"torch.where({aligned(condition, target, 0)}, {aligned(a, target, 0)}, {aligned(b, target, 0)})"
    return Code(text, target, e.type, wide=wide, zeros=zeros)


def decided(m: Emitter, e: x.Apply, condition: Code, s: Scope) -> Code:
    """A choice made when the module is built."""
    if condition.text in ("True", "False"):
        return m.emit(e.args[1 if condition.text == "True" else 2], s)
    name = m.namer.fresh(f"{m.equation}_choice")
    outer = s.block
    lift = outer.nest()
    choice = outer.nest()
    s.block = lift
    yes = _branch(s, choice.nest(f"if {condition.text}:"))
    a = m.emit(e.args[1], yes)
    no = _branch(s, choice.nest("else:"))
    b = m.emit(e.args[2], no)
    s.block = outer
    kind = e.type
    if a.number and b.number:
        yes.block.add(f"{name} = {a.text}")
        no.block.add(f"{name} = {b.text}")
        return Code(name, Layout(), kind, number=True)
    target = union([c.layout for c in (a, b) if not c.number], tuple(i for i in e.axes if i != m.chain))
    for scope, c in ((yes, a), (no, b)):
        full = m.expanded(m.real(c) if kind == "real" and not c.number else c, target, scope, kind)
        scope.block.add(f"{name} = {full.text}")
    return Code(name, target, kind, wide=a.wide if a.wide == b.wide else "")


def _branch(s: Scope, block: object) -> Scope:
    from seqc.compiler.lower.reference.text import Block

    assert isinstance(block, Block)
    return Scope(block, s.chain, parent=s, branch=True)

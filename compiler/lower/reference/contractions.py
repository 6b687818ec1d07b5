"""Sums of products, reductions and normalisations as Python text.

Out:  a learned map of trailing axes becomes `linear` (its bias with it), everything else `einsum` with the axes' own letters. Axes whose
      positions may be missing (padding, positions a relation does not see) are masked before they are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.compiler.ir import expr as x
from seqc.compiler.ir.expr import Axes, Expr
from seqc.compiler.lower.reference.emitter import Emitter, rule
from seqc.compiler.lower.reference.layout import ADD, ATOM, BATCH, CHAIN, MUL, Code, Layout, aligned, moved, of_names, union
from seqc.compiler.lower.reference.leaves import even
from seqc.compiler.lower.reference.relations import mask_code
from seqc.compiler.lower.reference.scope import Scope


def places(m: Emitter, axes: Axes) -> Axes:
    """Axes as layouts name them: the chain and the batch by their signs."""
    return tuple(BATCH if a == "batch" else CHAIN if a == m.chain and m.chain else a for a in axes)


# ---- contraction ------------------------------------------------------------------------------------------------------


def map_parts(m: Emitter, e: x.Contract, s: Scope) -> tuple[Code, Code, Axes] | None:
    """A contraction as a learned map: (operand, weight, out axes), or None where it has another form."""
    for a, w in ((e.left, e.right), (e.right, e.left)):
        if not (isinstance(w, x.Read) and w.name in m.table and m.table[w.name].kind in ("param",) and not w.moves and not w.field_):
            continue
        if isinstance(a, x.Read) and a.name in m.table and m.table[a.name].kind == "param":
            continue
        over = tuple(o for o in w.axes if o in e.over)
        out = tuple(o for o in w.axes if o not in e.over)
        if w.axes != (*out, *over) or len(over) != len(e.over) or not out or any(o in a.axes for o in out):
            continue
        if any(o in places(m, e.over) for o in (BATCH, CHAIN)):
            continue
        operand = m.emit(a, s)
        if operand.number or any(maskable(m, o) for o in over):
            continue
        operand = m.real(operand)
        rest = tuple(i for i in operand.layout.axes if i not in over)
        operand = moved(operand, Layout(operand.layout.batch, operand.layout.chain, (*rest, *over)))
        if operand.layout.rank == len(over):
            continue
        return m.short(operand, f"{m.equation}_arg", s), m.emit(w, s), out
    return None


def linear_text(m: Emitter, operand: Code, weight: Code, count: int, out: Axes, bias: str, s: Scope) -> Code:
    """`F.linear` or its general form."""
    rest = operand.layout.names[: operand.layout.rank - count]
    layout = of_names((*rest, *out))
    plain = count == 1 and len(out) == 1 and operand.wide == weight.wide and operand.type == weight.type
    if plain:
        text = f"F.linear({operand.text}, {weight.text}{', ' + bias if bias else ''})"
    else:
        text = f"fn.linear({operand.text}, {weight.text}, {count}{', ' + bias if bias else ''})"
    kind: x.Type = "complex" if "complex" in (operand.type, weight.type) else "real"
    return Code(text, layout, kind, wide=operand.wide or weight.wide)


@rule(x.Contract)
def contract(m: Emitter, e: x.Contract, s: Scope) -> Code:
    """`dot(a, b, over = …)`."""
    made = map_parts(m, e, s)
    if made is not None:
        operand, weight, out = made
        return linear_text(m, operand, weight, len(e.over), out, "", s)
    return product_sum(m, [m.emit(e.left, s), m.emit(e.right, s)], e.over, e.axes, e.type, s)


def with_bias(m: Emitter, e: x.Apply, args: tuple[Expr, ...], s: Scope) -> Code | None:
    """A sum of a learned map and a parameter of the map's shape: one call."""
    if len(args) != 2:
        return None
    one, other = args
    if not isinstance(one, x.Contract) or m.counts.get(id(one), 0) > 1:
        return None
    if not (isinstance(other, x.Read) and other.name in m.table and m.table[other.name].kind == "param" and not other.moves):
        return None
    timed = s.timed
    if timed is not None and m.liftable(one, s, timed) and not m.in_branch(s):
        return None
    made = map_parts(m, one, s)
    if made is None:
        return None
    operand, weight, out = made
    bias = m.emit(other, s)
    code = linear_text(m, operand, weight, len(one.over), out, "", s)
    if bias.number or bias.layout.axes != out or bias.wide != operand.wide or bias.type != code.type:
        target = union([code.layout, bias.layout], tuple(a for a in e.axes if a != m.chain))
        text = f"{aligned(code, target, ADD)} + {aligned(bias, target, MUL)}"
        return Code(text, target, e.type, ADD, wide=code.wide or bias.wide)
    return linear_text(m, operand, weight, len(one.over), out, bias.text, s)


def product_sum(m: Emitter, codes: list[Code], over: Axes, axes: Axes, kind: x.Type, s: Scope) -> Code:
    """Multiplies and sums over axes, by einsum."""
    gone = places(m, over)
    numbers = [c for c in codes if c.number]
    codes = [m.real(c) for c in codes if not c.number]
    if not codes:
        raise AssertionError("a contraction of numbers")
    for a in gone:
        if maskable(m, a) and not any(a in c.zeros for c in codes):
            codes = masked_operand(m, codes, a, s)
    rest = tuple(i for i in axes if i != m.chain)
    have = union([c.layout for c in codes], rest)
    left = have.without(gone)
    order = Layout(left.batch, left.chain, tuple(i for i in rest if i in left.axes) + tuple(i for i in left.axes if i not in rest))
    letters = letters_for(have.names)
    codes = [m.short(c, f"{m.equation}_arg", s) for c in codes]
    equation = ",".join("".join(letters[a] for a in c.layout.names) for c in codes) + "->" + "".join(letters[a] for a in order.names)
    text = f"fn.contract({equation!r}, {', '.join(c.text for c in codes)})"
    missing = [a for a in gone if a not in have.names]
    scale = [c.text for c in numbers] + [m.size(a, s) for a in missing]
    wide = next((c.wide for c in codes if c.wide), "")
    made = Code(text, order, kind, wide=wide, zeros=frozenset(a for c in codes for a in c.zeros if a not in gone))
    return made if not scale else replace(made, text=f"{text} * {' * '.join(scale)}", level=MUL)


def letters_for(names: Axes) -> dict[str, str]:
    """One letter for each axis: its own initial where that is free."""
    out: dict[str, str] = {}
    for a in names:
        wish = "b" if a == BATCH else "t" if a == CHAIN else a.rpartition("~")[2][:1].lower()
        for letter in (wish, wish.upper(), *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"):
            if letter.isalpha() and letter not in out.values():
                out[a] = letter
                break
    return out


# ---- masks ------------------------------------------------------------------------------------------------------------


def maskable(m: Emitter, axis: str) -> bool:
    """Whether positions of an axis may be missing: the chain or a free index (padding), a relation's positions."""
    if m.mode in ("build", "start"):
        return False
    if axis == CHAIN:
        return True
    if axis == BATCH or axis[:1].isupper() or "~" in axis or "." in axis or axis.endswith("'"):
        return False
    i = m.indices.get(axis)
    if i is None:
        return True
    return not (i.static or i.of[:1].isupper()) or i.where is not None


def masked_operand(m: Emitter, codes: list[Code], axis: str, s: Scope) -> list[Code]:
    """Zeroes missing positions of an axis in one operand; the mask becomes an operand of its own where none has its axes."""
    mask = mask_code(m, axis, codes, s)
    if mask is None:
        return codes
    if mask.text.startswith("run.mask("):
        i = next(k for k, c in enumerate(codes) if axis in c.layout.names)
        c = codes[i]
        c = m.short(c, f"{m.equation}_arg", s, 0) if not c.atom else c
        if not c.layout.batch:
            c = m.expanded(c, Layout(True, c.layout.chain, c.layout.axes), s)
            c = m.assign(c, f"{m.equation}_arg", s)
        text = f"run.zeroed({c.text}, {run_axis(m, axis)!r}, {c.layout.dim(axis)})"
        codes[i] = replace(c, text=text, zeros=c.zeros | {axis}, level=ATOM)
        return codes
    for i, c in enumerate(codes):
        if set(mask.layout.names) - {BATCH} <= set(c.layout.names):
            target = union([c.layout, mask.layout], c.layout.axes)
            text = f"torch.where({aligned(mask, target, 0)}, {aligned(c, target, 0)}, 0)"
            codes[i] = replace(c, text=text, layout=target, zeros=c.zeros | {axis}, level=ATOM)
            return codes
    return [*codes, replace(mask, text=f"{mask.at_least(ATOM)}.to(run.dtype)", type="real", zeros=frozenset({axis}), level=ATOM)]


def run_axis(m: Emitter, axis: str) -> str:
    """The axis as `Run` knows it."""
    return m.chain if axis == CHAIN else axis


def mask_argument(m: Emitter, code: Code, gone: Axes, s: Scope, *, numbers: bool = True) -> tuple[Code, str]:
    """The operand (with the mask's axes, where it lacked some) and `, mask=…` for functions that take one."""
    texts: list[str] = []
    for a in gone:
        if not maskable(m, a) or (numbers and a in code.zeros):
            continue
        mask = mask_code(m, a, [code], s)
        if mask is None:
            continue
        if mask.text.startswith("run.mask("):
            texts.append(f"run.mask({run_axis(m, a)!r}, {code.layout.dim(a)}, {code.layout.rank})")
            continue
        target = union([code.layout, mask.layout], code.layout.axes)
        if target.names != code.layout.names:
            code = m.expanded(code, target, s, code.type)
        texts.append(aligned(mask, target, 0))
    if not texts:
        return code, ""
    return code, f", mask={texts[0] if len(texts) == 1 else 'fn.both(' + ', '.join(texts) + ')'}"


# ---- reductions -------------------------------------------------------------------------------------------------------

PLAIN = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}
SAFE = {
    "sum": "fn.total",
    "mean": "fn.mean",
    "max": "fn.largest",
    "min": "fn.smallest",
    "prod": "fn.product",
    "logsumexp": "fn.logsumexp",
    "argmax": "fn.argmax",
}


@rule(x.Reduce)
def reduce(m: Emitter, e: x.Reduce, s: Scope) -> Code:
    """`sum mean max min prod logsumexp argmax`."""
    inner = e.arg
    if e.fn == "sum" and isinstance(inner, x.Apply) and inner.fn in ("mul", "outer") and m.counts.get(id(inner), 0) <= 1:
        codes = [m.emit(a, s) for a in inner.args]
        tensors = [c for c in codes if not c.number]
        if len(tensors) == 2 and tensors[0].layout.names != tensors[1].layout.names and all(c.type in ("real", "complex") for c in codes):
            if all(any(a in c.layout.names for c in tensors) for a in places(m, e.over)):
                return product_sum(m, codes, e.over, e.axes, e.type, s)
        code = m.emit(inner, s)
    else:
        code = m.emit(inner, s)
    if code.number:
        layout = Layout(False, CHAIN in places(m, inner.axes), tuple(a for a in inner.axes if a != m.chain))
        code = m.expanded(code, layout, s, inner.type)
    if e.fn in ("mean", "logsumexp") or e.type == "real":
        code = m.real(code)
    gone = places(m, e.over)
    lost = [a for a in gone if a not in code.layout.names]
    if lost:
        code = m.expanded(code, union([code.layout, of_names(tuple(lost))], tuple(a for a in inner.axes if a != m.chain)), s, inner.type)
    if BATCH in gone and any(maskable(m, a) for a in code.layout.names) and not all(a in gone for a in code.layout.names if maskable(m, a)):
        pass
    code = m.short(code, f"{m.equation}_arg", s, 90)
    code, mask = mask_argument(m, code, gone, s, numbers=e.fn == "sum")
    dims = [code.layout.dim(a) for a in gone]
    layout = code.layout.without(gone)
    kind = e.type
    wide = code.wide if kind in ("real", "complex") else ""
    if not mask and e.fn in PLAIN and code.type != "bool":
        where = ", ".join(map(str, dims)) if len(dims) == 1 else f"({', '.join(map(str, dims))})"
        return Code(f"{code.at_least(ATOM)}.{PLAIN[e.fn]}({where})", layout, kind, wide=wide)
    comma = "," if len(dims) == 1 else ""
    return Code(f"{SAFE[e.fn]}({code.text}, ({', '.join(map(str, dims))}{comma}){mask})", layout, kind, wide=wide)


@rule(x.Along)
def along(m: Emitter, e: x.Along, s: Scope) -> Code:
    """`softmax cumsum l2norm rank fft ifft topk inverse matrix_exp`."""
    code = m.emit(e.arg, s)
    if e.fn in ("inverse", "matrix_exp"):
        return square(m, e, code)
    if code.number:
        layout = Layout(False, CHAIN in places(m, e.arg.axes), tuple(a for a in e.arg.axes if a != m.chain))
        code = m.expanded(code, layout, s, "real")
    if e.fn not in ("cumsum", "rank", "topk"):
        code = m.real(code)
    gone = places(m, e.over)
    lost = [a for a in gone if a not in code.layout.names]
    if lost:
        code = m.expanded(code, union([code.layout, of_names(tuple(lost))], tuple(a for a in e.arg.axes if a != m.chain)), s, e.arg.type)
    code = m.short(code, f"{m.equation}_arg", s, 90)
    code, mask = mask_argument(m, code, gone, s, numbers=e.fn in ("cumsum", "l2norm"))
    dims = [code.layout.dim(a) - (code.layout.rank if a == code.layout.names[-1] else 0) for a in gone]
    comma = "," if len(dims) == 1 else ""
    where = f"({', '.join(map(str, dims))}{comma})"
    extra = ""
    if e.fn == "topk" and e.count is not None:
        extra = f", {m.emit(e.count, s).text}"
    if e.fn == "softmax" and excludes(m, e.arg):
        extra = ", sparse=True"
    if e.fn in ("fft", "ifft"):
        mask = ""
        for a in gone:
            if maskable(m, a):
                axis = m.chain if a == CHAIN else a
                even(m, axis, f"{e.fn} over {axis}", e.span.line)
    zeros = frozenset(a for a in gone if mask) if e.fn == "softmax" else code.zeros
    return Code(f"fn.{e.fn}({code.text}, {where}{extra}{mask})", code.layout, e.type, wide=code.wide, zeros=zeros)


def excludes(m: Emitter, e: x.Expr) -> bool:
    """Whether an infinity is written into a value or into what it is made of at this step: rows may then hold nothing but -inf."""
    seen: set[str] = set()
    stack = [e]
    while stack:
        for n in x.walk(stack.pop()):
            if isinstance(n, x.Literal_) and n.value in (float("inf"), float("-inf")):
                return True
            if isinstance(n, x.Read) and n.name in m.table and n.name not in seen:
                seen.add(n.name)
                value = m.table[n.name].value
                if value is not None:
                    stack.append(value)
    return False


def square(m: Emitter, e: x.Along, code: Code) -> Code:
    """A function of a square matrix: rows and columns last."""
    (column,) = e.over
    rest = tuple(a for a in code.layout.axes if a not in (column, e.other))
    code = moved(code, Layout(code.layout.batch, code.layout.chain, (*rest, e.other, column)))
    return replace(code, text=f"layers.{e.fn}({code.text})", level=ATOM)


@rule(x.Norm)
def norm(m: Emitter, e: x.Norm, s: Scope) -> Code:
    """`rmsnorm layernorm groupnorm batchnorm`, then gain and bias."""
    code = m.real(m.short(m.emit(e.arg, s), f"{m.equation}_arg", s))
    gone = places(m, e.over)
    eps = repr(e.eps)
    if e.fn == "batchnorm":
        keep = tuple(a for a in code.layout.names if a[:1].isupper())
        masks: list[str] = []
        for a in code.layout.names:
            if a not in keep and maskable(m, a) and a != BATCH:
                masks.append(f"run.mask({run_axis(m, a)!r}, {code.layout.dim(a)}, {code.layout.rank})")
        mask = "" if not masks else f", {masks[0]}" if len(masks) == 1 else f", fn.both({', '.join(masks)})"
        dims = ", ".join(str(code.layout.dim(a)) for a in keep)
        buffers = [m.lookup(f"{e.state}.{k}", s, e.span) for k in ("mean", "var")]
        shaped = [moved(b, Layout(False, False, keep)) for b in buffers]
        kept = f"({dims}{',' if len(keep) == 1 else ''})"
        text = f"layers.batchnorm({code.text}, {kept}, {shaped[0].text}, {shaped[1].text}, {eps}, self.training{mask})"
    else:
        code, mask = mask_argument(m, code, gone, s)
        if e.fn == "groupnorm" and e.groups is not None:
            groups = m.emit(e.groups, s)
            order = (*(a for a in code.layout.axes if a not in gone), *gone)
            code = moved(code, Layout(code.layout.batch, code.layout.chain, order))
            flat = code if len(gone) == 1 else replace(code, text=f"{code.at_least(ATOM)}.flatten({code.layout.dim(gone[0])})")
            text = f"layers.groupnorm({flat.text}, -1, {groups.text}, {eps})"
            if len(gone) > 1:
                text += f".unflatten(-1, ({', '.join(m.size(a, s) for a in gone)}))"
        else:
            dims_ = [code.layout.dim(a) - code.layout.rank for a in code.layout.names if a in gone]
            name = "rmsnorm" if e.fn == "rmsnorm" else "layernorm"
            text = f"layers.{name}({code.text}, ({', '.join(map(str, dims_))}{',' if len(dims_) == 1 else ''}), {eps}{mask})"
    made = replace(code, text=text, level=ATOM)
    return affine(m, made, e.gain, e.bias, s)


def affine(m: Emitter, code: Code, gain: Expr | None, bias: Expr | None, s: Scope) -> Code:
    """Times the gain, plus the bias."""
    for sign, part in (("*", gain), ("+", bias)):
        if part is not None:
            p = m.emit(part, s)
            target = union([code.layout, p.layout], code.layout.axes)
            level = MUL if sign == "*" else ADD
            code = replace(code, text=f"{aligned(code, target, level)} {sign} {aligned(p, target, level + 1)}", layout=target, level=level)
    return code


def common(codes: Sequence[Code]) -> Layout:
    """Batch and chain of several operands, no named axes."""
    return Layout(any(c.layout.batch for c in codes), any(c.layout.chain for c in codes))

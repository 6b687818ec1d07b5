"""Operations of torch as instructions: sums over axes, norms, products with weights, rows by number.

In, out and refused: as in `translate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.native.places import KINDS, Instruction, Place, Unfit
from seqc.runtime.native.translate import Given, Translator

Into = Callable[[], Place]

def _fold(t: Translator, which: str, to: Place, x: Place, dims: Sequence[int]) -> Place:
    """Sum or extreme over dimensions; `to` has those that are left, in order."""
    left = [d for d in range(len(x.shape)) if d not in dims]
    if len(x.shape) > 8:
        raise Unfit("more than eight dimensions")
    turned = x.turned([*left, *dims])
    t.tape.instructions.append(Instruction("fold", [to, turned], (which, len(left))))
    return to


def _dims(g: Given, x: Tensor) -> list[int]:
    dims = g.get("dim")
    if dims is None or isinstance(dims, list | tuple) and not dims:
        return list(range(x.dim()))
    return sorted(d % x.dim() for d in ([dims] if isinstance(dims, int) else dims)) if x.dim() else []


def _folded(which: str, mean: bool = False) -> Any:
    def run(t: Translator, into: Into, g: Given, made: Any) -> None:
        source = g["self"]
        if not source.is_floating_point() or made.dtype != source.dtype:
            raise Unfit("a sum of whole numbers")
        x, dims, to = t.place(source), _dims(g, source), into()
        flat = replace(
            to,
            shape=tuple(n for d, n in enumerate(to.shape) if len(to.shape) != len(x.shape) or d not in dims),
            steps=tuple(n for d, n in enumerate(to.steps) if len(to.shape) != len(x.shape) or d not in dims),
        )
        _fold(t, which, flat, x, dims)
        if mean:
            t.emit("div", to, to, t.number(math.prod(x.shape[d] for d in dims), "r"))

    return run


def _reduced(t: Translator, which: str, x: Place, dims: Sequence[int]) -> Place:
    """The same in new memory, the dimensions kept with size 1."""
    left = [n for d, n in enumerate(x.shape) if d not in dims]
    found = _fold(t, which, t.temporary(left, "r"), x, dims)
    return found.laid([1 if d in dims else n for d, n in enumerate(x.shape)])


def _softmax(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    source = g["self"]
    if not source.is_floating_point() or not source.dim() or made.dtype != source.dtype:
        raise Unfit("`softmax` of this type")
    x, dims = t.place(source), [g["dim"] % source.dim()]
    low = t.two("sub", x, _reduced(t, "max", x, dims))
    raised = t.one("exp", low)
    t.emit("div", into(), raised, _reduced(t, "sum", raised, dims))


def _log_softmax(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    source = g["self"]
    if not source.is_floating_point() or not source.dim() or made.dtype != source.dtype:
        raise Unfit("`log_softmax` of this type")
    x, dims = t.place(source), [g["dim"] % source.dim()]
    low = t.two("sub", x, _reduced(t, "max", x, dims))
    t.emit("sub", into(), low, t.one("log", _reduced(t, "sum", t.one("exp", low), dims)))


def _layer_norm(t: Translator, into: Into, g: Given, made: Any) -> None:
    source = g["input"]
    x, count = t.place(source), len(g["normalized_shape"])
    dims = list(range(source.dim() - count, source.dim()))
    size = t.number(math.prod(source.shape[d] for d in dims), "r")
    centred = t.two("sub", x, (lambda m: t.two("div", m, size))(_reduced(t, "sum", x, dims)))
    spread = _reduced(t, "sum", t.one("square", centred), dims)
    scale = t.one("rsqrt", t.two("add", t.two("div", spread, size), t.number(g["eps"], "r")))
    parts = [(f, g.get(k)) for f, k in (("mul", "weight"), ("add", "bias")) if g.get(k) is not None]
    found = t.emit("mul", t.temporary(x.shape, "r") if parts else into(), centred, scale)
    for i, (function, part) in enumerate(parts):
        found = t.emit(function, into() if i == len(parts) - 1 else t.temporary(x.shape, "r"), found, t.term(part, "r"))


def _product(t: Translator, out: Place, left: Place, right: Place, term: Place | None = None) -> None:
    """[sets, rows, columns] of [sets, rows, depth] and [sets, depth, columns]."""
    if len({p.kind for p in (out, left, right)}) > 1 or out.kind not in "rc":
        raise Unfit("a product of these types")
    places = [out, left, right] + ([term.wide(out.shape)] if term is not None else [])
    t.tape.instructions.append(Instruction("product" if out.kind == "r" else "product_c", places, (left.shape[2], term is not None)))


def _mm(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    _product(t, into().at_ones(0), t.place(g["self"]).at_ones(0), t.place(g["mat2"]).at_ones(0))


def _bmm(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    _product(t, into(), t.place(g["self"]), t.place(g["mat2"]))


def _addmm(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    if g.get("beta", 1) != 1 or g.get("alpha", 1) != 1:
        raise Unfit("`addmm` with factors")
    term = t.place(g["self"]).wide(tuple(made.shape)).at_ones(0)
    _product(t, into().at_ones(0), t.place(g["mat1"]).at_ones(0), t.place(g["mat2"]).at_ones(0), term)


def _baddbmm(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    if g.get("beta", 1) != 1 or g.get("alpha", 1) != 1:
        raise Unfit("`baddbmm` with factors")
    _product(t, into(), t.place(g["batch1"]), t.place(g["batch2"]), t.place(g["self"]))


def _mv(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    _product(t, into().at_ones(0).at_ones(2), t.place(g["self"]).at_ones(0), t.place(g["vec"]).at_ones(0).at_ones(2))


def _dot(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    out = into().at_ones(0).at_ones(0).at_ones(0)
    _product(t, out, t.place(g["self"]).at_ones(0).at_ones(0), t.place(g["tensor"]).at_ones(0).at_ones(2))


def _rows(t: Translator, to: Place, source: Place, indices: Sequence[tuple[Place, int]], lead: int, wrap: bool = False) -> None:
    """Entries of `source` by number: `indices`, each with the dimension it walks along, over the first `lead` dimensions of `to`."""
    by = {d for _, d in indices}
    rest = [d for d in range(len(source.shape)) if d not in by]
    if len(to.shape) > 8 or any(p.kind != "i" for p, _ in indices):
        raise Unfit("indices of this kind")
    walked = replace(source, shape=to.shape, steps=(*[0] * lead, *(source.steps[d] for d in rest)))
    numbers = tuple((source.shape[d], source.steps[d], int(wrap)) for _, d in indices)
    t.tape.instructions.append(Instruction("gather", [to, walked, *(p.wide(to.shape[:lead]) for p, _ in indices)], (lead, numbers)))


def _embedding(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    index = t.place(g["indices"])
    _rows(t, into(), t.place(g["weight"]), [(index, 0)], len(index.shape))


def _index_select(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    source, index = t.place(g["self"]), t.place(g["index"])
    dim = g["dim"] % len(source.shape)
    order = [dim, *(d for d in range(len(source.shape)) if d != dim)]
    to = into()
    _rows(t, to.turned(order), source.turned(order), [(index if index.shape else index.at_ones(0), 0)], 1)


def _index(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    source = t.place(g["self"])
    given = list(g["indices"])
    if any(x is None for x in given) or any(KINDS.get(x.dtype) != "i" for x in given):
        raise Unfit("indices of some axes alone")
    shape = torch.broadcast_shapes(*(x.shape for x in given))
    _rows(t, into(), source, [(t.place(x).wide(shape), d) for d, x in enumerate(given)], len(shape), True)


def _gather(t: Translator, into: Into, g: Given, made: Tensor) -> None:
    source, index = t.place(g["self"]), t.place(g["index"])
    dim, to = g["dim"] % max(1, len(source.shape)), into()
    if len(to.shape) > 8 or index.kind != "i" or not to.shape:
        raise Unfit("indices of this kind")
    walked = replace(source, shape=to.shape, steps=tuple(0 if d == dim else s for d, s in enumerate(source.steps)))
    numbers = ((source.shape[dim], source.steps[dim], 0),)
    t.tape.instructions.append(Instruction("gather", [to, walked, index], (len(to.shape), numbers)))


def _solve(t: Translator, into: Into, g: Given, made: Any) -> None:
    a, b = t.place(g["A"]), t.place(g["B"])
    size, columns = b.shape[-2:] if len(b.shape) > 1 else (0, 0)
    if not g.get("left", True) or len(a.shape) != len(b.shape) or len(a.shape) < 2 or a.shape[-1] != size or a.kind + b.kind != "rr":
        raise Unfit("a system of equations of this kind")
    sets = math.prod(b.shape[:-2])
    used, found = t.one("copy_rr", a), t.one("copy_rr", b)
    t.tape.instructions.append(Instruction("solve", [found.laid((sets, size, columns)), used.laid((sets, size, size))]))
    t.emit("copy_rr", into(), found)


SUMS: dict[str, Any] = {
    "sum": _folded("sum"), "mean": _folded("sum", True), "amax": _folded("max"), "amin": _folded("min"), "_softmax": _softmax,
    "_log_softmax": _log_softmax, "native_layer_norm": _layer_norm, "mm": _mm, "bmm": _bmm, "addmm": _addmm, "baddbmm": _baddbmm,
    "mv": _mv, "dot": _dot, "embedding": _embedding, "index_select": _index_select, "index": _index, "gather": _gather,
    "_linalg_solve_ex": _solve,
}  # fmt: skip

"""What a body must remember of each name, and so which fields its state has.

In:   a checked body and the names that are computed.
Out:  for each name read behind this step a `History`: how far back, in which form it is kept; the state's fields in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.schedule import chain_of, parts_of


@dataclass(slots=True)
class History:
    """One name's past.

    lags      counts of steps back, as expressions
    windows   (greatest count,) expressions for reads at several distances; None where no bound is known
    taps      causal kernels: (size, dilation)
    relations indices whose positions it is read at
    """

    name: str
    lags: list[x.Expr] = field(default_factory=list)
    windows: list[x.Expr | None] = field(default_factory=list)
    taps: list[tuple[x.Expr, x.Expr]] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`last` (one value), `past` (a fixed number) or `grow`."""
        if self.grows:
            return "grow"
        only_one = all(isinstance(e, x.Literal_) and e.value == 1 for e in self.lags)
        return "last" if only_one and self.lags and not (self.windows or self.taps or self.relations) else "past"

    grows: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the state.

    kind   last past grow (of `name`), `count`, `call` (`name` is the path), `scan` (`name.field`)
    """

    field: str
    kind: str
    name: str
    axes: tuple[str, ...] = ()
    level: tuple[str, ...] = ()


def histories_of(body: spec.Body, names: list[str]) -> dict[str, History]:
    """The past that the equations of `names` read, by name."""
    chain = chain_of(body)
    table = body.table
    indices = {i.name: i for i in body.indices}
    out: dict[str, History] = {}
    if not chain:
        return out
    for n in names:
        v = table[n]
        for part in parts_of(body, v):
            for e in x.walk(part):
                if isinstance(e, x.Conv) and e.pad == "causal" and e.over == (chain,):
                    for a in e.args:
                        assert isinstance(a, x.Read)
                        _of(out, a.name).taps.append((e.size, e.dilation))
                elif isinstance(e, x.Read) and e.name in table:
                    _read(out, e, chain, indices, bool(body.topology))
    return {n: out[n] for n in table if n in out}


def _of(out: dict[str, History], name: str) -> History:
    return out.setdefault(name, History(name))


def _read(out: dict[str, History], r: x.Read, chain: str, indices: dict[str, spec.Index], cell: bool) -> None:
    for m in r.moves:
        if m.axis != chain or m.kind not in ("lag", "window", "rename", "gather") or m.kind == "gather" and not cell:
            continue
        h = _of(out, r.name if not r.field_ else f"{r.name}.{r.field_}")
        if m.kind == "lag":
            h.lags.append(m.index)
        elif m.kind == "window":
            bound = greatest(m.index, indices)
            h.windows.append(bound)
            h.grows = h.grows or bound is None
        elif m.kind == "rename" and isinstance(m.index, x.Number):
            i = indices.get(m.index.of)
            if i is None or i.whole or i.ahead:
                continue
            h.relations.append(m.index.of)
            h.grows = h.grows or i.bound is None
        elif m.kind == "gather":
            h.windows.append(None)
            h.grows = True


def greatest(e: x.Expr, indices: dict[str, spec.Index]) -> x.Expr | None:
    """An upper bound of a count of steps, made of literals, dims and lengths of static ranges; None where there is none."""
    match e:
        case x.Literal_() | x.DimSize():
            return e
        case x.Number(of=of):
            if of[:1].isupper():
                return x.Apply("sub", (x.DimSize(of, type="int"), x.Literal_(1, type="int")), type="int")
            i = indices.get(of)
            if i is not None and i.static and i.high is not None:
                return i.high
            if i is not None and i.of[:1].isupper():
                return x.Apply("sub", (x.DimSize(i.of, type="int"), x.Literal_(1, type="int")), type="int")
            return None
        case x.Apply(fn="add", args=args):
            parts = [greatest(a, indices) for a in args]
            if any(p is None for p in parts):
                return None
            return x.Apply("add", tuple(p for p in parts if p is not None), type="int")
        case x.Apply(fn="mul", args=args):
            parts = [greatest(a, indices) for a in args]
            if any(p is None for p in parts):
                return None
            return x.Apply("mul", tuple(p for p in parts if p is not None), type="int")
        case x.Apply(fn="sub", args=(a, b)) if isinstance(b, x.Literal_ | x.DimSize):
            top = greatest(a, indices)
            return None if top is None else x.Apply("sub", (top, b), type="int")
        case x.Apply(fn="mod", args=(_, n)) if isinstance(n, x.Literal_ | x.DimSize):
            return x.Apply("sub", (n, x.Literal_(1, type="int")), type="int")
    return None


def uses_count(body: spec.Body, names: list[str]) -> bool:
    """Whether the state must count steps: the chain's number is read, or a relation over the chain."""
    chain = chain_of(body)
    if not chain:
        return False
    indices = {i.name: i for i in body.indices}
    for n in names:
        for part in parts_of(body, body.table[n]):
            for e in x.walk(part):
                if isinstance(e, x.Number) and (e.of == chain or (e.of in indices and indices[e.of].of == chain)):
                    return True
                if isinstance(e, x.Read) and any(m.kind == "gather" and m.axis == chain for m in e.moves):
                    return True
    return False

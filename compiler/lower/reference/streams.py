"""Whether an expression sees steps after this one, so that there is no step (SEQ0505)."""

from __future__ import annotations

from collections.abc import Mapping

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import refuse


def looks_ahead(e: x.Expr, chain: str, indices: Mapping[str, spec.Index], cell: bool) -> None:
    """Refuses (SEQ0505) an expression that needs steps after this one, or the whole of the chain."""
    if isinstance(e, x.Reduce | x.Along | x.Contract):
        for a in e.over:
            i = indices.get(a)
            if i is not None and i.of == chain and (i.whole or i.ahead):
                raise refuse("SEQ0505", f"`{a}` runs over all of `{chain}`", e.span)
    match e:
        case x.Reduce(over=over) | x.Along(over=over) if chain in over:
            raise refuse("SEQ0505", f"`{e.fn}` over `{chain}` sees the whole sequence", e.span)
        case x.Contract(over=over) if chain in over:
            raise refuse("SEQ0505", f"`dot` over `{chain}` sees the whole sequence", e.span)
        case x.Length(of=of) if of == chain:
            raise refuse("SEQ0505", f"`len({chain})` is not known before the sequence ends", e.span)
        case x.Norm(over=over) if chain in over:
            raise refuse("SEQ0505", f"`{e.fn}` over `{chain}` sees the whole sequence", e.span)
        case x.Conv(over=over, pad=pad) if chain in over and pad != "causal":
            raise refuse("SEQ0505", f"a convolution over `{chain}` with `pad` looks ahead", e.span)
        case x.Read(moves=moves):
            for mv in moves:
                if mv.axis != chain:
                    continue
                if mv.kind == "gather" and not cell:
                    raise refuse("SEQ0505", f"`{e.name}` is read at a computed place of `{chain}`", e.span)
                if mv.kind == "rename" and isinstance(mv.index, x.Number):
                    i = indices.get(mv.index.of)
                    if i is None or i.ahead or i.whole or i.of != chain:
                        raise refuse("SEQ0505", f"`{e.name}[{mv.index.of}]` looks ahead", e.span)
        case x.Invoke(along=along):
            for _, axis, back in along:
                if axis == chain and back:
                    raise refuse("SEQ0505", f"{e.label} runs along `reverse({chain})`", e.span)
        case x.Rename(pairs=pairs) if any(chain in p for p in pairs):
            raise refuse("SEQ0505", f"`{chain}` is used under another name as a whole", e.span)

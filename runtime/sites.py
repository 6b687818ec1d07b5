"""Call sites when a module is built: which argument is which input, and what stands there.

A site knows the axes of its arguments by the caller's names. `bind` matches them with the callee's inputs (`seqc.runtime.matching`), for
what the spec named and for whatever Python put into the hole; `place` makes the module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from seqc.runtime.binding import BindingError
from seqc.runtime.containers import Group, Tree
from seqc.runtime.matching import is_dim, match
from seqc.runtime.tables import Axes, Site, Table


@dataclass(frozen=True, slots=True)
class Way:
    """How one argument gets to one input: callee axis → caller axis."""

    name: str
    position: int
    pairs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Binding:
    """A call site matched with one callee.

    `ways` for each argument (None: dropped), `mapped` the caller's axes the callee does not name, `chain` the caller's axis that the
    callee runs along ("" for none), `reversed_` the direction, `names` callee axis → caller axis over all arguments.
    """

    ways: tuple[Way | None, ...]
    mapped: Axes
    chain: str
    reversed_: bool
    names: dict[str, str]


def bind(site: Site, table: Table, caller_chain: str, where: str) -> Binding:
    """Matches a site's arguments with the callee's inputs. Raises `BindingError` where one fits nothing."""
    inputs = {i.name: i for i in table.inputs}
    cell = table.kind == "cell"
    along = {callee: (caller, back) for callee, caller, back in site.along}
    chain_of = along.get(table.chain, ("", False))
    chain, reversed_ = chain_of
    if cell and not chain and site.inline:
        chain = caller_chain
    ways: list[Way | None] = []
    mapped: list[str] = []
    names: dict[str, str] = {}
    free = [i.name for i in table.inputs]
    for given, _, _ in site.arguments:
        if given in free:
            free.remove(given)
    spare = iter(free)
    for position, (given, axes, renames) in enumerate(site.arguments):
        name = given if given in inputs else ""
        if not name and site.droppable and given and position:
            ways.append(None)
            continue
        if not name:
            name = next(spare, "")
            if not name:
                if site.droppable or given in table.consts:
                    ways.append(None)
                    continue
                raise BindingError(
                    f"{where}: {table.name} has no input for argument {position + 1}"
                    + (f" (`{given}`)" if given else "")
                    + f"; it takes {', '.join(i.name for i in table.inputs) or 'none'}"
                )
        target = inputs[name]
        fixed = {callee: caller for caller, callee in renames}
        wanted = list(target.axes)
        left = list(axes)
        pairs: dict[str, str] = {}
        if cell and target.per == "step" and chain:
            if chain in left:
                left.remove(chain)
            pairs[table.chain] = chain
        elif cell and target.per == "step" and table.chain in wanted:
            wanted.remove(table.chain)
        found, rest = match(wanted, left, fixed)
        pairs.update(found)
        if not cell and table.chain and pairs.get(table.chain):
            chain = pairs[table.chain]
        ways.append(Way(name, position, pairs))
        for callee, caller in pairs.items():
            names.setdefault(callee, caller)
        mapped += [a for a in rest if a not in mapped]
    if caller_chain and caller_chain in mapped and cell and chain == caller_chain:
        mapped.remove(caller_chain)
    if not cell and table.chain and not chain:
        back = along.get(table.chain)
        chain = back[0] if back else ""
    served = {w.name for w in ways if w is not None}
    for i in table.inputs:
        if i.name not in served and not i.default and "" in i.needed:
            raise BindingError(f"{where}: {table.name} needs its input {i.name} : {i.text or '[]'}, and this call gives it nothing")
    return Binding(tuple(ways), tuple(mapped), chain, reversed_, names)


def place(
    owner: Any,
    at: Tree,
    site: Site,
    default: type | None,
    dims: Mapping[str, int],
    consts: Mapping[str, Any],
    holes: Mapping[str, Any],
    build: Mapping[str, Any],
    function: bool = False,
) -> None:
    """Makes the module of a call site and puts it at its path below `at`.

    `owner` is the calling module, `default` the class of the spec's own choice, `dims` sizes as the call says or as they follow from its
    arguments, `build` device and dtype.
    """
    filler = owner.hole(site.hole, default) if site.hole else default
    where = f"{owner.TABLE.source}:{site.line}"
    if filler is None and function:
        return
    if filler is None:
        raise BindingError(f"{where}: the hole {site.hole} of {owner.TABLE.name} is empty: give it by keyword, {site.hole}=…")
    if site.own:
        group = Group()
        for k in range(owner.sizes[site.own]):
            group._modules[str(k)] = _made(owner, site, filler, default, dims, consts, holes, build, where)
        at.module(site.path, group)
        for part in group._modules.values():
            keep_causal(owner, site, part)
        return
    made = _made(owner, site, filler, default, dims, consts, holes, build, where)
    if isinstance(made, nn.Module):
        at.module(site.path, made)
        keep_causal(owner, site, made)
        for name, size in getattr(made, "dims", {}).items():
            if any(name in axes for _, axes in site.outs):
                owner.sizes.setdefault(name, size)


def keep_causal(owner: Any, site: Site, made: Any) -> None:
    """A module that looks ahead along the caller's chain makes the caller look ahead; refused (`BindingError`) under `require causal`.

    What a spec fills its holes with is proved when it is compiled; this is for what Python puts there. Nothing is known of a module
    that is no spec's."""
    why = getattr(made, "looks", "")
    chain = owner.TABLE.chain
    if not why or not chain or owner.looks or not hasattr(made, "TABLE"):
        return
    inner = site if not site.own else without_own(site)
    if bind(inner, made.TABLE, chain, owner.TABLE.source).chain != chain:
        return
    what = f"what fills the hole {site.hole}, {made.TABLE.name}," if site.hole else f"{made.TABLE.name}"
    owner.looks = f"{what} looks ahead: {why}"
    if owner.TABLE.causal:
        where = f"{owner.TABLE.source}:{owner.TABLE.causal}"
        raise BindingError(f"{owner.TABLE.name} is required to be causal ({where}), and {owner.looks}")


def _made(
    owner: Any,
    site: Site,
    filler: Any,
    default: Any,
    dims: Mapping[str, int],
    consts: Mapping[str, Any],
    holes: Mapping[str, Any],
    build: Mapping[str, Any],
    where: str,
) -> Any:
    if isinstance(filler, nn.Module):
        return deepcopy(filler)
    extra: dict[str, Any] = {}
    if isinstance(filler, partial):
        extra, filler = dict(filler.keywords), filler.func
    if hasattr(filler, "TABLE"):
        table: Table = filler.TABLE
        sizes = {k: v for k, v in dims.items() if k in table.dims}
        if filler is not default:
            sizes = solved(owner, site, table, where) | {k: v for k, v in sizes.items() if k not in solved(owner, site, table, where)}
            unknown = [k for k in consts if k not in table.consts]
            if unknown and not site.droppable:
                raise BindingError(f"{where}: {table.name} declares no `{unknown[0]}`")
        for k, tree in table.dims.items():
            if tree is None and k not in sizes and k not in extra and k in owner.sizes:
                sizes[k] = owner.sizes[k]
        given = {
            **sizes,
            **{k: v for k, v in consts.items() if k in table.consts},
            **{k: v for k, v in holes.items() if k in table.holes},
            **extra,
        }
        return filler(**given, **build, without=site.params)
    known = dict(owner.sizes) | dict(dims)
    if isinstance(filler, type) and issubclass(filler, nn.Module):
        return filler(**_accepted(filler, known), **extra)
    if callable(filler):
        wanted = _parameters(filler)
        if wanted is not None and all(is_dim(w) for w in wanted) and (wanted or extra):
            made = filler(**{w: known[w] for w in wanted if w in known}, **extra)
            if isinstance(made, nn.Module):
                return made
        return filler
    raise BindingError(f"{where}: a hole takes a spec's class, an nn.Module, a function or a factory, not {type(filler).__name__}")


def _parameters(f: Callable[..., Any]) -> list[str] | None:
    try:
        return [p.name for p in inspect.signature(f).parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    except (TypeError, ValueError):
        return None


def _accepted(f: Callable[..., Any], known: Mapping[str, int]) -> dict[str, int]:
    return {p: known[p] for p in _parameters(f) or () if p in known}


def solved(owner: Any, site: Site, table: Table, where: str) -> dict[str, int]:
    """Sizes of a filler's dims that follow from the shapes of the arguments."""
    binding = bind(site, table, owner.TABLE.chain, where)
    out: dict[str, int] = {}
    for callee, caller in binding.names.items():
        if callee in table.dims and caller in owner.sizes:
            out[callee] = owner.sizes[caller]
    return out


def with_holes(cls: Any, holes: Mapping[str, Any]) -> Any:
    """A class with some of its holes filled, to be put into a hole itself."""
    return partial(cls, **holes)


def without_own(site: Site) -> Site:
    """A site as one of its layers sees it: without the axis that has a layer for each entry."""
    return replace(site, own="", arguments=tuple((n, tuple(a for a in axes if a != site.own), r) for n, axes, r in site.arguments))

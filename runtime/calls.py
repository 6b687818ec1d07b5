"""Calling another body: which axis is which, what is mapped over, whose state moves with whose.

A call site knows the axes of its arguments by the caller's names (`seqc.runtime.sites`). At run time tensors come with
their axes spelled out (`"* t D"`: batch, the caller's chain, D); mapped axes are folded into the batch, the axis the callee runs along
goes to the place of time, and everything is undone on the way back. States of a mapped call are [batch, mapped…, …].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from seqc.runtime.binding import BindingError
from seqc.runtime.containers import Group, Overlay
from seqc.runtime.matching import is_dim
from seqc.runtime.run import Run, map_state
from seqc.runtime.sites import Binding, bind, place, with_holes, without_own
from seqc.runtime.tables import Site, Table

BATCH = "*"


class Result:
    """What a call gave: outs and states by name, and the state after it."""

    __slots__ = ("fields", "state")

    def __init__(self, fields: dict[str, Tensor], state: Any) -> None:
        self.fields = fields
        self.state = state

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name]


# ---- at run time ------------------------------------------------------------------------------------------------------


def call(
    site: Site,
    owner: Any,
    module: Any,
    run: Run,
    arguments: Mapping[str, tuple[Any, str]],
    outs: Mapping[str, str],
    state: Any = None,
    *,
    starts: Mapping[str, tuple[Any, str]] | None = None,
    params: Mapping[str, tuple[Any, str]] | None = None,
) -> Result:
    """Runs what stands at a call site.

    `arguments` and `outs` carry the axes of each tensor as it is wanted here, e.g. `"* t D"`; a value None is "not given".
    """
    if site.own and isinstance(module, Group):
        return _own(site, owner, module, run, arguments, outs, state, starts, params)
    if isinstance(module, nn.Module) and hasattr(module, "TABLE"):
        return _body(site, owner, module, run, arguments, outs, state, starts, params)
    return _foreign(site, owner, module, run, arguments, outs)


def _own(
    site: Site,
    owner: Any,
    module: Group,
    run: Run,
    arguments: Mapping[str, tuple[Any, str]],
    outs: Mapping[str, str],
    state: Any,
    starts: Any,
    params: Any,
) -> Result:
    """One call for each index of the axis `own`, each with its weights."""
    axis = site.own
    size = owner.sizes[axis]
    if any(caller == axis for _, caller, _ in site.along):
        return _own_steps(site, owner, module, run, arguments, outs, starts, params)
    parts: list[Result] = []
    for k in range(size):

        def one(pair: tuple[Any, str], k: int = k) -> tuple[Any, str]:
            value, spelled = pair
            axes = spelled.split()
            if value is None or axis not in axes:
                return pair
            return value.select(axes.index(axis), k), " ".join(a for a in axes if a != axis)

        here = {n: one(p) for n, p in arguments.items()}
        wanted = {n: " ".join(a for a in s.split() if a != axis) for n, s in outs.items()}
        inner = without_own(site)
        held = None if state is None else state[k]
        parts.append(
            call(
                inner,
                owner,
                module._modules[str(k)],
                run,
                here,
                wanted,
                held,
                starts={n: one(p) for n, p in starts.items()} if starts else None,
                params={n: one(p) for n, p in params.items()} if params else None,
            )
        )
    fields = {
        n: torch.stack([p.fields[n] for p in parts], s.split().index(axis)) if axis in s.split() else parts[-1].fields[n]
        for n, s in outs.items()
    }
    states = tuple(p.state for p in parts)
    return Result(fields, None if all(s is None for s in states) else states)


def _own_steps(
    site: Site,
    owner: Any,
    module: Group,
    run: Run,
    arguments: Mapping[str, tuple[Any, str]],
    outs: Mapping[str, str],
    starts: Any,
    params: Any,
) -> Result:
    """A cell with own weights for each of its steps: one step after the other, the state handed on."""
    axis = site.own
    steps = list(range(owner.sizes[axis]))
    if any(caller == axis and back for _, caller, back in site.along):
        steps.reverse()

    def at(pair: tuple[Any, str], k: int) -> tuple[Any, str]:
        value, spelled = pair
        axes = spelled.split()
        return pair if value is None or axis not in axes else (value.narrow(axes.index(axis), k, 1), spelled)

    state: Any = None
    parts: dict[int, Result] = {}
    for k in steps:
        here = {n: at(p, k) for n, p in arguments.items()}
        inner = replace(site, own="")
        parts[k] = _body(inner, owner, module._modules[str(k)], run, here, outs, None, starts, params, span=1, held=state)
        state = parts[k].state
    fields = {
        n: torch.cat([parts[k].fields[n] for k in sorted(parts)], s.split().index(axis))
        if axis in s.split()
        else parts[steps[-1]].fields[n]
        for n, s in outs.items()
    }
    return Result(fields, state)


def _body(
    site: Site,
    owner: Any,
    module: Any,
    run: Run,
    arguments: Mapping[str, tuple[Any, str]],
    outs: Mapping[str, str],
    state: Any,
    starts: Mapping[str, tuple[Any, str]] | None,
    params: Mapping[str, tuple[Any, str]] | None,
    *,
    span: int | None = None,
    held: Any = None,
) -> Result:
    """Calls a generated body. `span` runs that many steps of a range, going on from `held`."""
    table: Table = module.TABLE
    binding: Binding = owner.binding(site, module)
    caller_chain = owner.TABLE.chain
    here_steps = run.length is None
    stepping = binding.chain == caller_chain and bool(caller_chain) and here_steps
    # the axes that are folded into the batch, as far as they are there in this mode
    sizes: dict[str, int] = {}
    for value, spelled in (*arguments.values(), *(starts or {}).values()):
        if isinstance(value, Tensor):
            sizes.update(zip(spelled.split(), value.shape, strict=True))
    mapped = [a for a in binding.mapped if a in sizes]
    whole = [c for a, c in binding.names.items() if c == caller_chain and a != table.chain]
    if caller_chain in sizes and binding.chain != caller_chain and caller_chain not in mapped and not whole:
        mapped.insert(0, caller_chain)
    if whole and here_steps and caller_chain and owner.TABLE.kind != "cell":
        raise TypeError(f"{owner.TABLE.source}:{site.line}: {table.name} sees {caller_chain} as a whole, so {owner.TABLE.name} has no step")
    batched = BATCH in sizes or any(BATCH in s.split() for s in outs.values())
    batch = run.batch if batched else 1
    times = 1
    for a in mapped:
        times *= sizes[a]
    # the callee's own run
    length: int | None = None
    chain_axis = binding.chain
    counts: dict[str, Tensor] = {}
    reset = None
    if table.chain and table.range is None and chain_axis and not stepping:
        length = run.length if chain_axis == caller_chain and run.length is not None else sizes.get(chain_axis)
        if length is None:
            length = run.sizes.get(chain_axis, owner.sizes.get(chain_axis))
        if chain_axis == caller_chain:
            reset = run.reset
        if chain_axis in run.counts:
            counts[table.chain] = run.counts[chain_axis]
    elif table.range is not None:
        length = module.range_length(sizes.get(chain_axis)) if span is None else span
    if stepping:
        reset = run.reset
    for callee, caller in binding.names.items():
        if callee != table.chain and caller in run.counts and caller in sizes:
            counts[callee] = run.counts[caller]
    counts = {k: v.repeat_interleave(times) for k, v in counts.items()} if times != 1 else counts
    reset = reset.repeat_interleave(times, 0) if reset is not None and times != 1 else reset
    watch = [n for n in outs if n not in {o.name for o in table.outs}]
    inner = Run(batch * times, length, run.dtype, run.device, chain=table.chain, sizes={}, counts=counts, reset=reset, watch=watch)
    # arguments
    values: dict[str, Any] = {}
    for way, (value, spelled) in zip(binding.ways, arguments.values(), strict=True):
        if way is None:
            continue
        target = next(i for i in table.inputs if i.name == way.name)
        if value is None:
            values[way.name] = None
            continue
        axes = spelled.split()
        caller_of = way.pairs
        want = list(target.axes)
        lead: list[str] = []
        if table.kind == "cell" and target.per == "step" and length is not None:
            lead = [table.chain]
        elif table.kind != "cell" and table.chain in want:
            want.remove(table.chain)
            if not stepping:
                lead = [table.chain]
        order = [*lead, *want]
        source = [caller_of.get(a, a) for a in order]
        full = {s: _size(a, s, sizes, inner, module, length, table) for a, s in zip(order, source, strict=True)}
        if target.per == "call":
            values[way.name] = arrange(value, axes, source, full)
            continue
        laid = arrange(value, axes, [BATCH, *mapped, *source], {BATCH: batch, **{a: sizes[a] for a in mapped}, **full})
        values[way.name] = laid.reshape(batch * times, *laid.shape[1 + len(mapped) :]) if mapped else laid
        for a, n in zip(order, laid.shape[1 + len(mapped) :], strict=True):
            if not is_dim(a) and a != table.chain:
                inner.sizes[a] = n
    # state and starts
    if binding.chain == caller_chain and caller_chain:
        held = state
    if held is not None and mapped and span is None:
        held = map_state(lambda x: x.reshape(batch * times, *x.shape[1 + len(mapped) :]), held)
    if held is not None:
        inner.sizes = {**module.sizes_in(held), **inner.sizes}
    for name, (value, spelled) in (starts or {}).items():
        if name == "*":
            inner.starts.update(_adopted(table, value, batch * times, len(mapped)))
            continue
        begun = inner.starts[name] = _start(module, binding, name, value, spelled.split(), mapped, sizes, batch, inner)
        for a, n in zip(table.states.get(name, ()), begun.shape[1:], strict=False):
            if a not in module.sizes:
                inner.sizes.setdefault(a, n)
    runner = module
    if params:
        runner = Overlay(module, {name: value for name, (value, _) in params.items() if value is not None})
    back = binding.reversed_ and not stepping
    results, after = module.execute(inner, values, held, reverse=back, runner=runner, states=True)
    # outs, by the caller's names
    fields: dict[str, Tensor] = {}
    expected = dict(site.outs)
    for name in outs:
        if name not in results:
            along = (table.chain,) if length is not None else ()
            axes_of = table.states.get(name, ())
            shape = [
                inner.batch,
                *((length,) if length is not None else ()),
                *(int(module.sizes.get(a, inner.sizes.get(a, 1))) for a in axes_of),
            ]
            results[name] = (torch.zeros(shape, dtype=run.dtype, device=run.device), (*along, *axes_of))
    for name, spelled in outs.items():
        value, axes_ = results[name]
        have = [BATCH, *mapped]
        rest = list(axes_)
        chain_in = table.chain if table.chain and table.chain in rest else ""
        if chain_in:
            rest.remove(chain_in)
        want = spelled.split()
        known = [binding.names.get(a, a) for a in rest]
        hoped = [a for a in expected.get(name, ()) if a not in binding.mapped and a != chain_axis]
        missing = [a for a in hoped if a not in known]
        known = [a if a in hoped or not missing else missing.pop(0) for a in known]
        if chain_in:
            have.append(chain_axis)
        have += known
        if mapped:
            value = value.reshape(batch, *(sizes[a] for a in mapped), *value.shape[1:])
        if not batched:
            value, have = value[0], have[1:]
        full = {a: sizes.get(a, 1) for a in want}
        full[BATCH] = batch
        if caller_chain in want and run.length is not None:
            full[caller_chain] = run.length
        if length is not None and chain_axis:
            full[chain_axis] = length
        fields[name] = arrange(value, have, want, full)
    if after is not None and mapped and span is None:
        after = map_state(lambda x: x.reshape(batch, *(sizes[a] for a in mapped), *x.shape[1:]), after)
    return Result(fields, after)


def _adopted(table: Table, final: Any, rows: int, mapped: int) -> dict[str, Tensor]:
    """The states of another body's final state that have the names of this one's (`start = enc`)."""
    out: dict[str, Tensor] = {}
    for name in getattr(final, "_fields", ()):
        value = getattr(final, name)
        if name in table.states and isinstance(value, Tensor):
            out[name] = value.reshape(rows, *value.shape[1 + mapped :]) if mapped else value
    return out


def _start(
    module: Any,
    binding: Binding,
    name: str,
    value: Tensor,
    have: list[str],
    mapped: list[str],
    sizes: Mapping[str, int],
    batch: int,
    inner: Run,
) -> Tensor:
    """A bound start as the callee holds it: [batch, axes of the state]; axes it lacks are repeated."""
    declared = module.TABLE.states.get(name, module.field_axes(name) if name in module.TABLE.fields else ())
    callers = [binding.names.get(a, a) for a in declared]
    own = [a for a in have if a != BATCH and a not in mapped]
    strange = [a for a in own if a not in callers]
    if strange and len(own) == len(callers):
        callers = own
    elif strange:
        free = [n for n, c in enumerate(callers) if c not in own]
        for a, n in zip(strange, free, strict=False):
            callers[n] = a
    full = {BATCH: batch, **{a: sizes.get(a, 1) for a in mapped}}
    for a, c in zip(declared, callers, strict=True):
        full[c] = sizes[c] if c in have and c in sizes else int(module.sizes.get(a, inner.sizes.get(a, 1)))
    laid = arrange(value, have, [BATCH, *mapped, *callers], full)
    return laid.reshape(inner.batch, *laid.shape[1 + len(mapped) :]) if mapped else laid


def _size(axis: str, source: str, sizes: Mapping[str, int], inner: Run, module: Any, length: int | None, table: Table) -> int:
    if axis == table.chain and length is not None:
        return length
    if source in sizes:
        return sizes[source]
    found = module.sizes.get(axis, inner.sizes.get(axis))
    if found is None:
        raise BindingError(f"{table.source}: the size of axis {axis} of {table.name} does not follow from the arguments")
    return int(found)


def arrange(value: Tensor, have: list[str], want: list[str], sizes: Mapping[str, int]) -> Tensor:
    """`value` with its axes in the order `want`; axes it lacks are repeated to the size in `sizes`."""
    if have == want:
        return value
    kept = [a for a in want if a in have]
    if len(kept) != len(have):
        gone = [a for a in have if a not in want]
        for a in reversed(gone):
            if value.shape[have.index(a)] != 1:
                raise BindingError(f"a value with the axes {' '.join(have)} cannot be used as {' '.join(want)}")
            value = value.squeeze(have.index(a))
            have = [h for h in have if h != a]
    order = [have.index(a) for a in kept]
    if order != list(range(len(order))):
        value = value.permute(order)
    if kept == want:
        return value
    for n, a in enumerate(want):
        if a not in kept:
            value = value.unsqueeze(n)
    return value.expand(*(sizes[a] if a not in kept else value.shape[n] for n, a in enumerate(want)))


def _foreign(site: Site, owner: Any, module: Any, run: Run, arguments: Mapping[str, tuple[Any, str]], outs: Mapping[str, str]) -> Result:
    """A module or function from elsewhere: it sees [batch, axes as declared…] and gives the declared shape back."""
    chain = owner.TABLE.chain
    cell = owner.TABLE.kind == "cell"
    given: list[Any] = []
    for (_, axes, _), (value, spelled) in zip(site.arguments, arguments.values(), strict=True):
        if value is None:
            continue
        have = spelled.split()
        if run.length is None and chain in axes and not cell:
            raise TypeError(
                f"{owner.TABLE.source}:{site.line}: what fills {site.hole or site.path} is a plain module over the whole of "
                f"{chain}; it has no step"
            )
        lead = [a for a in (BATCH, chain) if a in have and (a == BATCH or cell)]
        want = [*lead, *(a for a in axes if a in have and a not in lead)]
        given.append(arrange(value, have, want, {}))
    y = module(*given)
    if isinstance(y, tuple):
        y = y[0]
    if len(outs) > 1:
        raise TypeError(
            f"{owner.TABLE.source}:{site.line}: {sorted(outs)} are read of what fills {site.hole}; a plain module gives one value"
        )
    fields = {}
    for name, spelled in outs.items():
        want = spelled.split()
        declared = dict(site.outs).get(name, ())
        lead = [a for a in (BATCH, chain) if a in want and (a == BATCH or cell)]
        have = [*lead, *(a for a in declared if a in want and a not in lead)]
        if y.dim() != len(have):
            raise TypeError(
                f"{owner.TABLE.source}:{site.line}: what fills {site.hole} gave {y.dim()} axes, declared are {' '.join(have)} ({len(have)})"
            )
        fields[name] = arrange(y, have, want, {})
    return Result(fields, None)


def start_of(site: Site, owner: Any, module: Any, run: Run) -> Any:
    """The state of a called body before the first step, where that is known without running anything; else None."""
    if site.own and isinstance(module, Group):
        parts = tuple(start_of(without_own(site), owner, m, run) for m in module._modules.values())
        return None if all(p is None for p in parts) else parts
    if not isinstance(module, nn.Module) or not hasattr(module, "TABLE"):
        return None
    binding: Binding = owner.binding(site, module)
    chain = owner.TABLE.chain
    if binding.chain != chain or binding.mapped or site.starts or binding.reversed_:
        return None
    body: Any = module
    return body.plain_start(run)


__all__ = ["BATCH", "Binding", "Result", "arrange", "bind", "call", "place", "start_of", "with_holes"]

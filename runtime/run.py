"""One run of a body: how many sequences and steps, which of them are real, where sequences start anew.

A `Run` travels down the calls of a forward pass. In *sequence mode* `length` is the number of steps and values that change from
step to step are [batch, time, …]; in *step mode* `length` is None and they are [batch, …].

`since[b, t]` counts steps from the last reset at or before t (`FAR` where there was none in this run); `valid[b, t]` is False in the
padding. Both are None where nothing is reset or padded, and every helper then takes the short way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from seqc.runtime.binding import BindingError
from seqc.runtime.topology import Chain

FAR = 2**40


class Run:
    """Sizes and masks of one run. See the module's docstring."""

    __slots__ = (
        "batch",
        "length",
        "chain",
        "dtype",
        "device",
        "sizes",
        "counts",
        "reset",
        "watch",
        "noted",
        "starts",
        "given",
        "losses",
        "_since",
        "_valid",
        "_resets",
        "_valids",
    )

    def __init__(
        self,
        batch: int,
        length: int | None,
        dtype: torch.dtype,
        device: torch.device,
        *,
        chain: str = "",
        sizes: Mapping[str, int] | None = None,
        counts: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
        watch: Iterable[str] = (),
        starts: Mapping[str, Any] | None = None,
    ) -> None:
        self.batch = batch
        self.length = length
        self.chain = chain
        self.dtype = dtype
        self.device = device
        self.sizes = dict(sizes or {})
        self.counts = dict(counts or {})
        self.reset = reset
        self.watch = frozenset(watch)
        self.noted: dict[str, Any] = {}
        self.starts = dict(starts or {})
        self.given: dict[str, Any] = {}
        self.losses: dict[str, Tensor] = {}
        self._since: Tensor | None = None
        self._valid: Tensor | None = None
        self._resets: tuple[Tensor, ...] | None = None
        self._valids: tuple[Tensor, ...] | None = None

    # ---- masks --------------------------------------------------------------------------------------------------------

    @property
    def ragged(self) -> bool:
        """Whether sequences end before the last step."""
        return self.chain in self.counts and self.length is not None

    @property
    def since(self) -> Tensor | None:
        """[batch, time] int64 (step mode: [batch]), or None where nothing is reset."""
        if self.reset is None:
            return None
        if self._since is None:
            if self.length is None:
                far = torch.full_like(self.reset, FAR, dtype=torch.int64)
                self._since = torch.where(self.reset, torch.zeros_like(far), far)
            else:
                at = torch.arange(self.length, device=self.device)
                last = torch.where(self.reset, at, torch.full_like(at, -1))
                last = torch.cummax(last, 1).values if self.length else last
                self._since = torch.where(last >= 0, at - last, torch.full_like(last, FAR))
        return self._since

    def valid(self, axis: str) -> Tensor | None:
        """[batch, size of the axis] bool: which positions are real; None where all are."""
        counts = self.counts.get(axis)
        if counts is None:
            return None
        size = self.length if axis == self.chain else self.sizes[axis]
        return torch.arange(size or 0, device=self.device) < counts[:, None]

    def mask(self, axis: str, dim: int, rank: int) -> Tensor | None:
        """`valid`, in place for a tensor [batch, …] of `rank` dimensions whose dimension `dim` is the axis."""
        valid = self.valid(axis)
        if valid is None:
            return None
        return valid.reshape(valid.shape[0], *(valid.shape[1] if d == dim else 1 for d in range(1, rank)))

    def zeroed(self, x: Tensor, axis: str, dim: int) -> Tensor:
        """`x` with 0 where an axis has padding."""
        mask = self.mask(axis, dim, x.dim())
        return x if mask is None else torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))

    def count(self, axis: str) -> Tensor:
        """[batch] int64: how many positions the axis has in each sequence."""
        counts = self.counts.get(axis)
        if counts is not None:
            return counts
        size = self.length if axis == self.chain and self.length is not None else self.sizes[axis]
        return torch.full((self.batch,), size, dtype=torch.int64, device=self.device)

    def size(self, axis: str) -> int:
        """Positions of a free index in this run, padding included."""
        if axis == self.chain and self.length is not None:
            return self.length
        if axis == "batch":
            return self.batch
        return self.sizes[axis]

    def ends(self, axis: str, before: int = 0) -> Tensor | None:
        """[batch]: where an axis ends in each sequence, `before` places further where the row has a past; None where nothing is padded."""
        counts = self.counts.get(axis)
        return None if counts is None else counts + before if before else counts

    def whole(self, axis: str) -> int:
        """Positions of an axis that decides how often something is repeated: all sequences must have the same number."""
        counts = self.counts.get(axis)
        if counts is None or not counts.numel():
            return self.size(axis)
        low, high = int(counts.min()), int(counts.max())
        if low != high:
            raise ValueError(f"what is repeated len({axis}) times needs sequences of one length, here are {low} to {high}")
        return high

    def even(self, axis: str, what: str) -> None:
        """Refuses (`BindingError`) sequences of several lengths for what has no meaning over padding."""
        counts = self.counts.get(axis)
        if counts is not None and counts.numel() and bool((counts != self.size(axis)).any()):
            raise BindingError(f"{what} takes sequences that fill the whole axis: give those of one length at a time")

    def framed(self, axis: str, outer: str, size: int, inner: int | None, what: str) -> None:
        """Notes how many frames of `inner` positions each sequence fills, where `axis` of `size` is split; `inner` None: frames of
        another length for each sequence, which cannot be. Refuses (`BindingError`) lengths that end inside a frame."""
        counts = self.counts.get(axis)
        if inner:
            self.sizes.setdefault(outer, size // inner)
        if counts is None or not counts.numel():
            return
        if inner is None:
            self.even(axis, what)
        elif bool((counts % inner != 0).any()):
            raise BindingError(f"{what}: lengths must be multiples of {inner}, a frame is whole or not there")
        else:
            self.counts[outer] = counts // inner

    def behind(self, axis: str, new: str, before: int) -> None:
        """Notes how far each sequence goes on an axis that has `before` positions in front of those of `axis`."""
        counts = self.counts.get(axis)
        if counts is not None:
            self.sizes.setdefault(new, before + self.size(axis))
            self.counts[new] = counts + before

    def numbers(self, first: Tensor | None) -> Tensor:
        """The step's number: [batch, time] (step mode: [batch]) int64, counted from the start or the last reset.

        `first` [batch] is how many steps each sequence had before this run; None: none.
        """
        if first is None:
            first = torch.zeros(self.batch, dtype=torch.int64, device=self.device)
        if self.length is None:
            return first if self.reset is None else torch.where(self.reset, torch.zeros_like(first), first)
        at = first[:, None] + torch.arange(self.length, device=self.device)
        since = self.since
        return at if since is None else torch.where(since < FAR, since, at)

    def count_on(self, first: Tensor | None, numbers: Tensor) -> Tensor:
        """[batch]: the count after this run, where `numbers` are its steps' numbers."""
        if self.length is None:
            return numbers + 1
        if self.length == 0:
            return first if first is not None else torch.zeros(self.batch, dtype=torch.int64, device=self.device)
        if not self.ragged:
            return numbers[:, -1] + 1
        before = first if first is not None else torch.zeros(self.batch, dtype=torch.int64, device=self.device)
        counts = self.counts[self.chain]
        last = numbers.gather(1, (counts - 1).clamp(min=0)[:, None])[:, 0] + 1
        return torch.where(counts > 0, last, before)

    # ---- loops over time ----------------------------------------------------------------------------------------------

    @property
    def topology(self) -> Chain:
        """Along what this run goes."""
        return Chain(self.length or 0)

    def each(self, *rows: Any) -> Any:
        """The steps in order, each with its row of every sequence given."""
        return self.topology.walk(*rows)

    def restart(self, n: int, was: Any, start: Any) -> Any:
        """Values carried into step `n`: `start` for the sequences that are reset there."""
        if self._resets is None:
            assert self.reset is not None
            self._resets = self.reset.unbind(1)
        return choose(self._resets[n], start, was)

    def carry(self, n: int, new: Any, was: Any) -> Any:
        """Values carried out of step `n`: unchanged where the sequence has already ended."""
        if self._valids is None:
            valid = self.valid(self.chain)
            assert valid is not None
            self._valids = valid.unbind(1)
        return choose(self._valids[n], new, was)

    def start(self, name: str, default: Callable[[], Tensor]) -> Tensor:
        """Where a state starts: what the call bound (`h = h0`), else its own `init`."""
        bound = self.starts.get(name)
        return default() if bound is None else bound

    def note(self, values: Mapping[str, Any]) -> None:
        """Remembers watched values of one step of a loop."""
        for name, value in values.items():
            if name in self.watch:
                self.noted.setdefault(name, []).append(value)

    # ---- runs of other bodies -----------------------------------------------------------------------------------------

    def repeated(self, times: int) -> Run:
        """The same run with each sequence `times` times in a row: a body mapped over further axes."""
        if times == 1:
            return self.without_watch()
        return Run(
            self.batch * times,
            self.length,
            self.dtype,
            self.device,
            chain=self.chain,
            sizes=self.sizes,
            counts={k: v.repeat_interleave(times) for k, v in self.counts.items()},
            reset=None if self.reset is None else self.reset.repeat_interleave(times, 0),
        )

    def without_watch(self) -> Run:
        """The same run for a called body, which notes nothing and starts by itself."""
        run = Run(
            self.batch, self.length, self.dtype, self.device, chain=self.chain, sizes=self.sizes, counts=self.counts, reset=self.reset
        )
        run._since = self._since
        return run

    def at_step(self, n: int) -> Run:
        """The run of one step inside a loop over time, for cells called there."""
        reset = None if self.reset is None else self.reset[:, n]
        counts = {k: v for k, v in self.counts.items() if k != self.chain}
        sizes = {k: v for k, v in self.sizes.items() if k != self.chain}
        return Run(self.batch, None, self.dtype, self.device, chain=self.chain, sizes=sizes, counts=counts, reset=reset)


def choose(where: Tensor, a: Any, b: Any) -> Any:
    """`a` where `where` [batch] is true, else `b`, through tuples and NamedTuples of tensors."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.where(where.reshape(where.shape + (1,) * (a.dim() - 1)), a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        parts = [choose(where, x, y) for x, y in zip(a, b, strict=True)]
        return type(a)(*parts) if hasattr(a, "_fields") else tuple(parts)
    return b if a is None else a


def tensors(tree: Any) -> Iterator[Tensor]:
    """Every tensor of a state."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple):
        for part in tree:
            yield from tensors(part)


def map_state(f: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """A state with `f` applied to its tensors."""
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, tuple):
        parts = [map_state(f, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree

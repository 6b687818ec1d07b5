"""Where parameters live: a tree of modules whose paths are the names of the spec (`r.linear.x`, `l.1.u.Mixer.q.linear.x`).

`state_dict` keys are those paths, whatever Python thinks of the words in them: a name that `nn.Module` already uses is stored
under its own key and read with a trailing underscore (`self.half_`).
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn


class Tree(nn.Module):
    """A module that may hold parameters, buffers and modules under any identifier."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.endswith("_"):
                for store in ("_parameters", "_buffers", "_modules"):
                    held = self.__dict__.get(store)
                    if held is not None and name[:-1] in held:
                        return held[name[:-1]]
            raise

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """`.to(dtype)` and the like: complex parameters stay complex, at the width asked for."""

        def keep(t: Tensor) -> Tensor:
            if not t.is_complex():
                made: Tensor = fn(t)
                return made
            part: Tensor = fn(t.real)
            if part.is_complex() or not part.is_floating_point():
                part = fn(t)
                return part
            wide = torch.complex128 if part.dtype == torch.float64 else torch.complex64
            if part.dtype != t.real.dtype or part.device != t.device:
                return t.to(device=part.device, dtype=wide)
            part = fn(t)
            return part

        return super()._apply(keep, recurse)

    def child(self, name: str) -> Tree:
        """The part of the tree below `name`, made where it is not there yet."""
        found = self._modules.get(name)
        if found is None:
            found = Group()
            self._modules[name] = found
        if not isinstance(found, Tree):
            raise TypeError(f"`{name}` is a {type(found).__name__} and holds no parameters of this body")
        return found

    def descend(self, path: str) -> tuple[Tree, str]:
        """The holder of the last part of a path, and that part."""
        *above, last = path.split(".")
        at: Tree = self
        for part in above:
            at = at.child(part)
        return at, last

    def parameter(self, path: str, shape: tuple[int, ...], dtype: torch.dtype, device: Any, *, fixed: bool = False) -> None:
        """Makes an uninitialised parameter (a buffer, where it is `fixed`)."""
        holder, name = self.descend(path)
        value = torch.empty(shape, dtype=dtype, device=device)
        if fixed:
            holder._buffers[name] = value
        else:
            holder._parameters[name] = nn.Parameter(value)

    def constant(self, path: str, value: Tensor | None, *, kept: bool = False) -> None:
        """Holds a tensor that is not learned; `kept` puts it into `state_dict`."""
        holder, name = self.descend(path)
        holder._buffers[name] = value
        if not kept:
            holder._non_persistent_buffers_set.add(name)

    def module(self, path: str, value: nn.Module) -> None:
        """Puts a module at a path."""
        holder, name = self.descend(path)
        holder._modules[name] = value

    def levels(self, name: str) -> list[Any]:
        """The parts of a stack that hold each level's own parameters."""
        return list(self.child(name).children())

    def make_levels(self, name: str, low: int, high: int) -> Iterator[tuple[int, Tree]]:
        """Makes (or finds) the part of each level of a stack."""
        holder = self.child(name)
        for n in range(low, high + 1):
            yield n, holder.child(str(n))

    def own(self, path: str) -> Tensor | None:
        """The parameter or buffer at a path; None where this module has none."""
        found = self.held(path)
        return found if isinstance(found, Tensor) else None

    def held(self, path: str) -> Any:
        """What stands at a path: a tensor or a module; None where nothing does."""
        at: Any = self
        parts = path.split(".")
        for n, part in enumerate(parts):
            last = n == len(parts) - 1
            for store in ("_parameters", "_buffers", "_modules") if last else ("_modules",):
                if part in at.__dict__[store]:
                    at = at.__dict__[store][part]
                    break
            else:
                return None
        return at


class Group(Tree):
    """A word of a path: `r` and `linear` in `r.linear.x`."""

    def __repr__(self) -> str:
        own = [f"{k} {list(v.shape)}" for k, v in (*self._parameters.items(), *self._buffers.items()) if v is not None]
        parts = [f"({k}): {v!r}".replace("\n", "\n  ") for k, v in self._modules.items()]
        if len(parts) == 1 and not own:
            return parts[0]
        return ", ".join(own) + "".join("\n  " + p for p in parts) if parts else ", ".join(own)

    def forward(self) -> None:
        raise TypeError("this holds parameters and computes nothing")


def items(levels: nn.Module) -> Iterator[tuple[int, nn.Module]]:
    """The numbered parts of a stack, in order."""
    for name, part in levels.named_children():
        yield int(name), part


class Overlay:
    """A module seen with some of its parameters replaced: what a call with bound parameters runs on.

    Reads of the replaced paths give the bound values, everything else is the module's own.
    """

    def __init__(self, base: Any, bound: dict[str, Any]) -> None:
        object.__setattr__(self, "_base", base)
        object.__setattr__(self, "_bound", bound)

    def __getattr__(self, name: str) -> Any:
        bound: dict[str, Any] = object.__getattribute__(self, "_bound")
        base = object.__getattribute__(self, "_base")
        for key in (name, name[:-1] if name.endswith("_") else name):
            if key in bound:
                return bound[key]
            below = {k[len(key) + 1 :]: v for k, v in bound.items() if k.startswith(key + ".")}
            if below:
                return Overlay(getattr(base, name, None), below)
        value = getattr(base, name)
        if name == "held":
            return lambda path: bound[path] if path in bound else value(path)
        if isinstance(value, MethodType) and value.__self__ is base:
            return MethodType(value.__func__, self)
        return value

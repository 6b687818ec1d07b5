"""Checkpoints: one safetensors file with weights, optimiser, generators, place in the data, history, options and the spec.

Writing is to a temporary file beside, synced and renamed, so that a run that is killed leaves the checkpoint before. Reading
trusts nothing: the header's length, the number of tensors, and every name, dtype and shape are looked at before anything is
allocated. Nothing in a checkpoint is ever executed; `torch.load` is not used.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqc.compiler.driver.usage import Unusable

FORMAT = "seqc checkpoint 1"
_LARGEST_HEADER = 64 << 20
_MOST_TENSORS = 100_000
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "C64": torch.complex64,
}  # fmt: skip
_PAIR = ".as-pair"
"""Ends the name of a complex tensor, which is stored as a real one with a last axis of 2."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a checkpoint says it holds: text by name, and dtype and shape by tensor name."""

    texts: Mapping[str, str]
    tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]


def write(path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """Writes a checkpoint, whole or not at all. Raises OSError where the disk does not take it."""
    plain = {}
    for name, value in tensors.items():
        value = value.detach().cpu()
        if value.is_complex():
            name, value = name + _PAIR, torch.view_as_real(value.resolve_conj())
        plain[name] = value.clone().contiguous()
    data = save(plain, metadata={"format": FORMAT, **texts})
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(aside, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def header(path: Path) -> Header:
    """What the checkpoint holds. Raises `Unusable` for anything that is none."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            start = stream.read(8)
            if len(start) < 8 or not 2 <= (length := struct.unpack("<Q", start)[0]) <= min(_LARGEST_HEADER, size - 8):
                raise _broken(path, "its header is cut off or too long")
            found = json.loads(stream.read(length))
    except OSError as error:
        raise Unusable(f"the checkpoint `{path}` cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise _broken(path, "its header cannot be read") from None
    if not isinstance(found, dict) or len(found) > _MOST_TENSORS:
        raise _broken(path, "its header lists too much")
    texts = found.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()) or texts.get("format") != FORMAT:
        raise _broken(path, "it was not written by this version of `seqc train`")
    tensors = {}
    for name, entry in found.items():
        try:
            dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        except (KeyError, TypeError):
            raise _broken(path, f"`{name[:80]}` has a dtype or shape that cannot be") from None
        if not all(type(n) is int and 0 <= n < 2**40 for n in shape) or len(shape) > 32:
            raise _broken(path, f"`{name[:80]}` has a shape that cannot be")
        tensors[name] = (dtype, shape)
    return Header(texts, tensors)


def read(path: Path, names: Mapping[str, tuple[torch.dtype, tuple[int, ...]]], free: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors of a checkpoint.

    names   dtype and shape of every tensor that must be there
    free    beginnings of names whose presence and shape the caller checks itself
    Raises `Unusable` where the file holds anything else.
    """
    held = header(path).tensors
    wanted = {}
    for name, (dtype, shape) in names.items():
        if dtype.is_complex:
            real = torch.float64 if dtype == torch.complex128 else torch.float32
            wanted[name + _PAIR] = (real, (*shape, 2))
        else:
            wanted[name] = (dtype, shape)
    for name, expected in wanted.items():
        if name not in held:
            raise Unusable(f"the checkpoint has no `{name}`", "is it of another model? `--out` names another folder")
        if held[name] != expected:
            (dtype, shape), (other, others) = expected, held[name]
            raise Unusable(f"`{name}` is {dtype} {list(shape)} in the model and {other} {list(others)} in the checkpoint")
    for name in held:
        if name not in wanted and not name.startswith(free):
            raise Unusable(f"the checkpoint holds `{name[:80]}`, which the model does not know")
    tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in held:
                value = file.get_tensor(name)
                plain = name.removesuffix(_PAIR)
                tensors[plain] = torch.view_as_complex(value.contiguous()) if plain != name else value
    except (SafetensorError, OSError) as error:
        raise _broken(path, str(error)[:200]) from None
    return tensors


def _broken(path: Path, why: str) -> Unusable:
    return Unusable(f"`{path}` is no checkpoint that can be used: {why}", "start anew in another --out")

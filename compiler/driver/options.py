"""Everything a run of the compiler can be told, in one record; checked where it comes in, never changed afterwards.

Environment variables that are read here (SEQC_REFERENCE also where modules run, in `runtime.native.choice`):

    SEQC_CACHE_DIR    folder for compiled modules (default: `seqc` in the user's cache folder)
    SEQC_DUMP         stages to print on standard error while compiling: `plan,code` or `all`
    SEQC_LOG          stages to talk about: `+analysis,-plan`, `+all`
    SEQC_REFERENCE    1: run the eager reference whatever backend is asked for, so that `breakpoint()` works
    SEQC_DEBUG        1: show Python tracebacks of bugs in seqc
    NO_COLOR          anything: no colours
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from seqc.compiler.driver.usage import Unusable
from seqc.runtime.cost.devices import DEVICES

STAGES = ("syntax", "spec", "graph", "analysis", "plan", "kernel", "code")
"""What the compiler makes of a spec, in this order."""

Backend = Literal["auto", "reference", "native", "triton"]
MODES = ("sequential", "associative", "chunked", "quadratic", "convolution", "newton")

_SCAN = re.compile(
    r"auto|sequential|associative|convolution|quadratic|wavefront|chunked(\(\d{1,6}\))?|newton(\([^()]{0,200}\))?"
)
_DEVICE = re.compile(r"cpu|meta|cuda(:\d{1,3})?|xpu(:\d{1,3})?|mps")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _scan(value: str) -> str:
    value = "quadratic" if value == "attention" else value
    if not _SCAN.fullmatch(value):
        raise ValueError(f"`{value[:60]}` is no scan mode; there are auto, {', '.join(MODES)} (chunked(64) says its length)")
    return value


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value) and value not in DEVICES:
        raise ValueError(f"`{value[:60]}` is no device; there are cpu, cuda, cuda:1, {', '.join(d for d in DEVICES if d != 'cpu')}")
    return value


def _stages(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name not in STAGES:
            raise ValueError(f"`{name}` is no stage; there are {', '.join(STAGES)}")
    return value


def _dims(value: dict[str, int]) -> dict[str, int]:
    for name, size in value.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"`{name[:64]}` is no dim; write NAME=SIZE")
        if not 0 <= size < 2**31:
            raise ValueError(f"{name} = {size} is out of range; sizes go from 0 to 2^31 - 1")
    return value


class Options(BaseModel):
    """All options of a run. Raises `Unusable` through `Options.make`; fields:

    backend     who runs the module: `auto` chooses and says so, any other is a promise
    scan        the scan mode of every component, or `auto`
    device      where it will run; only the plan asks
    dims        sizes that replace the spec's defaults
    given       optional inputs taken as given
    batch, time the shape that figures are for
    dump, log   stages to print, stages to talk about
    reference   run the eager reference whatever `backend` says
    cache_dir   folder of compiled modules, "" for the user's
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    backend: Backend = "auto"
    scan: Annotated[str, AfterValidator(_scan)] = "auto"
    device: Annotated[str, AfterValidator(_device)] = "cpu"
    dims: Annotated[dict[str, int], AfterValidator(_dims)] = Field(default_factory=dict)
    given: tuple[str, ...] = ()
    batch: Annotated[int, Field(ge=0, lt=2**31)] = 8
    time: Annotated[int, Field(ge=0, lt=2**31)] = 1024
    dump: Annotated[tuple[str, ...], AfterValidator(_stages)] = ()
    log: Annotated[tuple[str, ...], AfterValidator(_stages)] = ()
    reference: bool = False
    cache_dir: str = ""

    @classmethod
    def make(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:
        """Options from the environment, overruled by `given`. Raises `Unusable` in plain words."""
        env = os.environ if environment is None else environment
        values: dict[str, Any] = {
            "dump": _listed(env.get("SEQC_DUMP", ""), "SEQC_DUMP"),
            "log": _switched(env.get("SEQC_LOG", ""), "SEQC_LOG"),
            "reference": env.get("SEQC_REFERENCE", "") not in ("", "0"),
            "cache_dir": env.get("SEQC_CACHE_DIR", ""),
        }
        values.update(given)
        try:
            return cls(**values)
        except ValidationError as wrong:
            first = wrong.errors()[0]
            where = ".".join(map(str, first["loc"])) or "option"
            raise Unusable(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _listed(text: str, what: str) -> tuple[str, ...]:
    """`plan,code` as stage names."""
    names = tuple(n.strip() for n in text.split(",") if n.strip())
    if "all" in names:
        return STAGES
    for name in names:
        if name not in STAGES:
            raise Unusable(f"{what}: `{name[:40]}` is no stage", f"stages are {', '.join(STAGES)} and all")
    return names


def _switched(text: str, what: str) -> tuple[str, ...]:
    """`+analysis,-plan` as the stages that are on."""
    on: list[str] = []
    for word in (w.strip() for w in text.split(",") if w.strip()):
        for name in _listed(word.lstrip("+-"), what):
            if word.startswith("-"):
                on = [n for n in on if n != name]
            elif name not in on:
                on.append(name)
    return tuple(on)


def dims_of(settings: list[str]) -> dict[str, int]:
    """`--set D=256` as sizes. Raises `Unusable`."""
    out: dict[str, int] = {}
    for text in (part for s in settings for part in s.split(",") if part.strip()):
        name, equals, size = (p.strip() for p in text.partition("="))
        if not equals or not _NAME.fullmatch(name) or not re.fullmatch(r"\d{1,10}", size):
            raise Unusable(f"`{text.strip()[:80]}` is no setting", "write a dim's name and its size: --set D=256")
        out[name] = int(size)
    return out


def shape_of(text: str) -> dict[str, Any]:
    """`8x1024` as batch and time; `B=8,T=1024,D=4096` as those and sizes of dims. Raises `Unusable`."""
    match = re.fullmatch(r"\s*(\d{1,10})\s*[x,×]\s*(\d{1,10})\s*", text)
    if match:
        return {"batch": int(match[1]), "time": int(match[2])}
    if "=" not in text:
        raise Unusable(f"`{text[:40]}` is no shape", "write batch and steps: --shape 8x1024, or --shape B=8,T=1024,D=256")
    sizes = dims_of([text])
    found: dict[str, Any] = {word: sizes.pop(name) for name, word in (("B", "batch"), ("T", "time")) if name in sizes}
    return {**found, **({"dims": sizes} if sizes else {})}

"""What a training run can be told, in one record; it is stored in the checkpoint, so that a run can be taken up again."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seqc.compiler.driver.usage import Unusable

Whole = Annotated[int, Field(ge=1, lt=2**31)]
Part = Annotated[float, Field(ge=0.0, le=1.0)]

FREE_ON_RESUME = frozenset({"steps", "minutes", "threads", "device", "temperature", "sample", "prompt", "save_every", "score"})
"""Options that may differ from the ones a checkpoint was made with; all others belong to the run."""


class TrainOptions(BaseModel):
    """All options of a run. `TrainOptions.make` raises `Unusable` in plain words. Fields:

    spec, body       what is trained: a path or a bundled name, and the model in it ("" for the only one)
    dims, holes      sizes and mixers that replace the spec's own
    task, data       text as bytes (files and folders; none: the Python standard library), or digits
    steps, minutes   how long; the schedule follows whichever is nearer its end
    batch, length    sequences at a time, and steps of each before the gradient is cut
    carry            how many such pieces of one text follow each other with the state carried, before a jump elsewhere
    rate, warmup, floor, decay, clip    AdamW: the highest rate, the share of the run until it is reached, the share of the
                     rate that is left at the end, weight decay, the largest norm of a gradient
    score            held-out bytes that are scored at the end, at most
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    spec: str = "char_lm"
    body: str = ""
    dims: dict[str, int] = Field(default_factory=dict)
    holes: dict[str, str] = Field(default_factory=dict)
    task: Literal["text", "digits"] = "text"
    data: tuple[str, ...] = ()
    steps: Whole | None = None
    minutes: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    batch: Whole = 32
    length: Whole = 32
    carry: Whole = 32
    rate: Annotated[float, Field(gt=0.0, le=10.0)] = 6e-3
    warmup: Part = 0.05
    floor: Part = 0.02
    decay: Annotated[float, Field(ge=0.0, le=100.0)] = 0.1
    clip: Annotated[float, Field(gt=0.0)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    device: str = "cpu"
    score: Whole = 2_000_000
    temperature: Annotated[float, Field(ge=0.0, le=100.0)] = 0.7
    sample: Annotated[int, Field(ge=0, le=10**6)] = 600
    prompt: str = "\ndef "
    save_every: Annotated[float, Field(gt=0.0)] = 60.0

    @classmethod
    def make(cls, **given: Any) -> Self:
        """Options from what was said; raises `Unusable` for a value that cannot be."""
        try:
            options = cls(**given)
        except ValidationError as wrong:
            first = wrong.errors()[0]
            where = ".".join(map(str, first["loc"])) or "option"
            raise Unusable(f"--{where.replace('_', '-')}: {first['msg'].lower()}") from None
        if options.steps is None and options.minutes is None:
            return options.model_copy(update={"minutes": 2.0})
        return options

    def resumed(self, asked: dict[str, Any]) -> Self:
        """These options, as a checkpoint has them, with what was asked for now.

        Raises `Unusable` where something is asked for that the checkpoint has otherwise.
        """
        changed = {}
        for name, value in asked.items():
            if value == getattr(self, name):
                continue
            if name not in FREE_ON_RESUME:
                raise Unusable(
                    f"the checkpoint was made with {name} = {getattr(self, name)!r}, not {value!r}",
                    f"leave --{name.replace('_', '-')} out to go on, or start anew in another --out",
                )
            changed[name] = value
        if ("steps" in changed) != ("minutes" in changed):
            changed.setdefault("steps", None)
            changed.setdefault("minutes", None)
        return type(self).make(**{**self.model_dump(), **changed})

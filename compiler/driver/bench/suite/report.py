"""What a run of the suite found, as records that are checked: the JSON of `seqc bench --suite`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["measured", "WRONG", "skipped", "no kernel", "failed"]


class Record(BaseModel):
    """Frozen, and nothing in it that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(Record):
    """Median and quartiles of `runs` runs, in milliseconds."""

    median: float = Field(ge=0)
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    runs: int = Field(ge=1)


class Figure(Record):
    """One number beside the one asked for.

    value    in `unit`; None where it was not measured, or does not count because a result is wrong
    asked    None where nothing was asked and the number stands there for comparison
    met      whether the value is as asked; None where there is nothing to say, and always for tiny sizes
    ours     seqc's time, theirs: the peer's
    error    largest difference of outputs and gradients between the two, relative to the largest entry of each; None: not compared
    reason   why there is no value, or what there is to know about it
    """

    row: str
    subject: str
    sizes: str
    against: str
    what: str
    unit: str = "x"
    value: float | None = None
    asked: float | None = None
    sense: Literal["at least", "at most"] = "at least"
    status: Status = "measured"
    ours: Spread | None = None
    theirs: Spread | None = None
    error: float | None = None
    reason: str = ""
    met: bool | None = None

    def judged(self) -> Figure:
        """The same with `met`."""
        if self.value is None or self.asked is None:
            return self
        met = self.value >= self.asked if self.sense == "at least" else self.value <= self.asked
        return self.model_copy(update={"met": met})


class Machine(Record):
    """Where and with what it was measured."""

    processor: str
    cores: int
    instructions: tuple[str, ...]
    system: str
    compiler: str
    versions: dict[str, str]
    threads: int
    gpu: str = ""
    """The graphics card, in the suite for one."""
    load: float
    """Load average before the run: above 0.3 figures are loose."""


class Report(Record):
    """A whole run."""

    suite: str
    command: str
    date: str
    quick: bool
    seconds: float
    """How long the run took."""
    machine: Machine
    figures: tuple[Figure, ...]

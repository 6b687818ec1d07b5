"""A message to the user: code, plain sentence, place, second place, fix; and the sink that collects them.

A stage reports into one `Sink` and goes on, so that one run shows several errors; `Sink.stop()` ends the stage by raising
`Rejected` when anything was an error. Codes and their long explanations are listed in `codes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import NOWHERE, Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that matters, with what is to be said of it."""

    text: str
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `code` is stable (`SEQ0301`, warnings `SEQ-W01`); `message` one plain sentence in the user's terms; `label` stands at the
    caret; `notes` are further places or facts; `help` is text that can be pasted in place of the line.
    """

    code: str
    message: str
    span: Span = NOWHERE
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""

    @property
    def severity(self) -> Severity:
        """Warnings have codes that start with `SEQ-W`."""
        return "warning" if self.code.startswith("SEQ-W") else "error"


class Rejected(Exception):
    """A stage found errors; `diagnostics` holds all findings so far, sorted by place, `sources` the texts they point into."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], sources: Mapping[str, Source] | None = None) -> None:
        super().__init__("; ".join(f"{d.code} {d.message}" for d in diagnostics if d.severity == "error"))
        self.diagnostics = diagnostics
        self.sources: dict[str, Source] = dict(sources or {})


@dataclass(slots=True)
class Sink:
    """Collects diagnostics of one run; the same finding at the same place is kept once.

    `sources` are the texts read so far by the path that spans name, also of files that were refused, for showing the lines.
    """

    found: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    _known: set[Diagnostic] = field(default_factory=set, repr=False)

    def report(
        self,
        code: str,
        message: str,
        span: Span = NOWHERE,
        *,
        label: str = "",
        notes: tuple[Note, ...] = (),
        help: str = "",
    ) -> None:
        """Adds one finding."""
        diagnostic = Diagnostic(code, message, span, label, notes, help)
        self.add(diagnostic)

    def add(self, diagnostic: Diagnostic) -> None:
        """Adds one finding that is made already."""
        if diagnostic not in self._known:
            self._known.add(diagnostic)
            self.found.append(diagnostic)

    @property
    def failed(self) -> bool:
        """Whether anything found so far is an error."""
        return any(d.severity == "error" for d in self.found)

    def stop(self) -> None:
        """Ends the stage where something is wrong. Raises `Rejected`."""
        if self.failed:
            raise Rejected(tuple(self.sorted()), self.sources)

    def sorted(self) -> Iterator[Diagnostic]:
        """Findings in the order of the text."""
        return iter(sorted(self.found, key=lambda d: (d.span, d.code)))

"""A progress bar for long work: one line on a terminal, now and then a plain line elsewhere.

    with Progress("verify gru", total=12) as bar:
        for case in cases:
            bar.advance(note=case.name)

Work measured in time instead of steps says `unit="s"` and calls `bar.set(elapsed)`. The bar is drawn on standard error, so that
results on standard output can be piped; at most ten times a second, whatever is reported. Where standard error is no terminal,
a line is printed every `every` seconds (never, where that is None), so that log files stay small. Imports nothing heavy.
"""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def clock(seconds: float) -> str:
    """`7 s`, `1:08`, `2:01:08`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def gauge(fraction: float, width: int, *, unicode: bool = True) -> str:
    """A bar of `width` characters, `fraction` of it filled."""
    fraction = min(1.0, max(0.0, fraction))
    if not unicode:
        full = int(fraction * width)
        return "#" * full + "." * (width - full)
    eighths = int(fraction * width * 8)
    full, part = divmod(eighths, 8)
    bar = "█" * full + (_EIGHTHS[part] if part else "")
    return bar[:width].ljust(width, "·")


class Progress:
    """Shows how far a long piece of work has come.

    label   what is being done; `total` how much there is (None: unknown, then only the count is shown)
    unit    the word behind the counts; `every` seconds between lines where the stream is no terminal
    """

    def __init__(
        self,
        label: str,
        total: float | None = None,
        *,
        unit: str = "",
        stream: TextIO | None = None,
        every: float | None = 15.0,
        enabled: bool = True,
    ) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done: float = 0
        self.note = ""
        self._stream = sys.stderr if stream is None else stream
        self._live = enabled and bool(getattr(self._stream, "isatty", lambda: False)())
        self._every = every if enabled else None
        encoding = (getattr(self._stream, "encoding", None) or "ascii").lower()
        self._unicode = "utf" in encoding
        self._start = time.monotonic()
        self._drawn = 0.0
        self._spoken = self._start
        self._shown = False

    def __enter__(self) -> Progress:
        self._draw(force=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def elapsed(self) -> float:
        """Seconds since the bar was made."""
        return time.monotonic() - self._start

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """`amount` more is done; `note` (a loss, the case at hand) stands at the end of the line."""
        self.set(self.done + amount, note)

    def set(self, done: float, note: str | None = None) -> None:
        """`done` of `total` is done."""
        self.done = done
        if note is not None:
            self.note = note
        self._draw()

    def note_now(self, note: str) -> None:
        """What is being done at the moment; counts as one piece of work."""
        self.advance(1, note)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._wipe()
        print(text, file=self._stream, flush=True)
        self._draw(force=True)

    def close(self) -> None:
        """Takes the bar off the terminal."""
        self._wipe()

    def line(self) -> str:
        """The line as it would be shown, without colours; as long as the terminal is wide at most."""
        columns = shutil.get_terminal_size((100, 24)).columns
        parts = [self.label]
        if self.total:
            fraction = self.done / self.total
            parts.append(gauge(fraction, min(30, max(8, columns // 4)), unicode=self._unicode))
            parts.append(f"{min(100, int(100 * fraction)):3d}%")
            if self.unit == "s":
                parts.append(f"{clock(self.done)} of {clock(self.total)}")
            else:
                parts.append(f"{self.done:g}/{self.total:g} {self.unit}".rstrip())
                if 0 < fraction < 1:
                    parts.append(f"{clock(self.elapsed * (1 - fraction) / fraction)} left")
        else:
            parts.append(f"{self.done:g} {self.unit}".rstrip())
        if self.note:
            parts.append(self.note)
        return "  ".join(parts)[: columns - 1]

    def _draw(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._live:
            if force or now - self._drawn >= 0.1:
                self._drawn = now
                self._stream.write("\r\x1b[2K" + self.line())
                self._stream.flush()
                self._shown = True
        elif self._every is not None and now - self._spoken >= self._every:
            self._spoken = now
            print(self.line(), file=self._stream, flush=True)

    def _wipe(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = False

"""The progress bar: one line on a terminal, silence or a line now and then elsewhere."""

from __future__ import annotations

import io

from seqc.compiler.cli.console import Console, wants_colour, width
from seqc.compiler.cli.progress import Progress, clock, gauge


class Terminal(io.StringIO):
    """Says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_gauge_fills() -> None:
    assert gauge(0.0, 4) == "····"
    assert gauge(1.0, 4) == "████"
    assert gauge(0.5, 4, unicode=False) == "##.."
    assert all(len(gauge(i / 97, 13)) == 13 for i in range(98))
    assert gauge(7.0, 3) == "███" and gauge(-1.0, 3) == "···"


def test_clock() -> None:
    assert [clock(s) for s in (0, 7.4, 68, 3600, 7268)] == ["0 s", "7 s", "1:08", "1:00:00", "2:01:08"]


def test_live_on_a_terminal() -> None:
    out = Terminal()
    with Progress("work", total=4, unit="step", stream=out) as bar:
        bar.advance(2, "loss 1.5")
        assert "50%" in bar.line() and "2/4 step" in bar.line() and "loss 1.5" in bar.line()
        bar.say("saved")
    text = out.getvalue()
    assert "\r" in text and "saved\n" in text
    assert text.endswith("\r\x1b[2K"), "the bar is taken off in the end"


def test_quiet_elsewhere() -> None:
    out = io.StringIO()
    with Progress("work", total=1000, stream=out, every=None) as bar:
        for _ in range(1000):
            bar.advance()
    assert out.getvalue() == ""
    with Progress("work", total=2, stream=out, every=0.0) as bar:
        bar.advance(1, "half")
    assert "half" in out.getvalue() and "\r" not in out.getvalue()


def test_never_wider_than_the_terminal(monkeypatch: object) -> None:
    bar = Progress("a" * 50, total=10, stream=io.StringIO())
    bar.set(3, "n" * 500)
    assert len(bar.line()) < 200


def test_colours_only_on_terminals(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal()) and not wants_colour(io.StringIO())
    assert wants_colour(io.StringIO(), "always") and not wants_colour(Terminal(), "never")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())


def test_tables_align_coloured_cells() -> None:
    out = io.StringIO()
    console = Console(out, True)
    console.table([["a", console.style("ok", "green")], ["bbb", "x"]], ("name", "what"))
    lines = out.getvalue().splitlines()
    assert len({line.index(c) for line, c in zip([lines[1], lines[2]], ["\x1b[32m", "x"], strict=True)}) == 1
    assert width(console.style("ok", "green")) == 2


def test_ascii_streams_get_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    Console(stream, False).print("α ≤ β ✓ ×")
    assert raw.getvalue().decode("ascii").startswith("a < ")

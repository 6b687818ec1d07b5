"""Bytes to clean text, before anything is cut into words.

In:   the bytes of a file, or a string.     Out:  a `Source` whose text has `\\n` line ends only, or None.
Refuses: what is not UTF-8 (SEQ0140), control characters (SEQ0141), characters that reorder text on the screen (SEQ0142), a
byte order mark anywhere but at the start (SEQ0143), a lone carriage return (SEQ0144), lines over 10 000 characters
(SEQ0145) and files over 1 MiB (SEQ0146).
"""

from __future__ import annotations

import re

from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.frontend.limits import DEFAULT_LIMITS, Limits

# Controls but tab, line feed and carriage return; then what a Trojan Source needs; then line ends of other worlds.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufff9-\ufffb\U000e0000-\U000e007f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARK = "\ufeff"


def decode(data: bytes, path: str, sink: Sink, limits: Limits = DEFAULT_LIMITS) -> Source | None:
    """The clean text of `data`; None where it is refused, with the reason in `sink`."""
    if len(data) > limits.file_bytes:
        _too_large(path, len(data), sink, limits)
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        before = data[: wrong.start].decode("utf-8")
        sink.sources[path] = Source(path, data.decode("utf-8", "replace").replace("\r\n", "\n"))
        sink.report(
            "SEQ0140",
            f"byte 0x{data[wrong.start]:02x} is not UTF-8",
            _place(path, before, len(before)),
            label="save the file as UTF-8",
        )
        return None
    return clean(text, path, sink, limits)


def clean(text: str, path: str, sink: Sink, limits: Limits = DEFAULT_LIMITS) -> Source | None:
    """Checks a text that is in memory already; `\\r\\n` becomes `\\n` and a byte order mark at the start is dropped."""
    if len(text) > limits.file_bytes:
        _too_large(path, len(text), sink, limits)
        return None
    text = text.removeprefix(_MARK).replace("\r\n", "\n")
    sink.sources[path] = Source(path, text)
    found = len(sink.found)
    _refuse(_SURROGATE, "SEQ0140", "{} is half a character and no text", "save the file as UTF-8", text, path, sink)
    _refuse(_CONTROL, "SEQ0141", "the control character {} has no place in a spec", "remove it", text, path, sink)
    _refuse(
        _BIDI,
        "SEQ0142",
        "the invisible character {} can make the text look other than it is",
        "remove it",
        text,
        path,
        sink,
    )
    if (at := text.find(_MARK)) >= 0:
        sink.report("SEQ0143", "a byte order mark stands inside the file", _place(path, text, at), label="remove it")
    if (at := text.find("\r")) >= 0:
        sink.report(
            "SEQ0144",
            "a carriage return without a line feed",
            _place(path, text, at),
            label="end lines with a line feed (or carriage return and line feed)",
        )
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > limits.line_length:
            sink.report(
                "SEQ0145",
                f"this line has {len(line)} characters; {limits.line_length} are allowed",
                Span(path, number, limits.line_length + 1, number, limits.line_length + 2),
                label="lines may break inside brackets",
            )
            break
    return Source(path, text) if len(sink.found) == found else None


def _refuse(pattern: re.Pattern[str], code: str, message: str, label: str, text: str, path: str, sink: Sink) -> None:
    """Reports the first character that `pattern` finds, by its number and never by itself."""
    if match := pattern.search(text):
        sink.report(code, message.format(f"U+{ord(match[0]):04X}"), _place(path, text, match.start()), label=label)


def _too_large(path: str, size: int, sink: Sink, limits: Limits) -> None:
    sink.report(
        "SEQ0146",
        f"the file has {size} bytes; {limits.file_bytes} are allowed",
        Span(path, 1, 1, 1, 1),
        label="split the file; `from other import NAME` joins the parts",
    )


def _place(path: str, text: str, at: int) -> Span:
    """The one-character span at offset `at`."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return Span(path, line, column, line, column + 1)

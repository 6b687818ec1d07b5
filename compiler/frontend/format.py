"""The canonical text of a file (`seqc fmt`).

In:   a source that parses, and its tree.     Out:  the same text in the house style.
Keeps: every token in its order (so the tree stays the same), all comments, the author's line breaks inside brackets and the
alignment of trailing comments; one blank line where there were some. Sets: indentation by 4, spaces between tokens, one blank
line around definitions with a body, at least two spaces before a trailing comment. Formatting twice is formatting once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.frontend.hygiene import clean
from seqc.compiler.frontend.layout import lay_out
from seqc.compiler.frontend.spacing import spaces
from seqc.compiler.frontend.tokens import Tok
from seqc.compiler.ir import syntax

INDENT: Final = 4
_WITH_BODY: Final = frozenset(("CELL", "BLOCK", "MODEL", "OPERATOR"))


@dataclass(slots=True)
class _Row:
    """One line to be printed (a doc string may hold several), from lines `first` to `last` of the source."""

    first: int
    last: int
    depth: int
    text: str
    kind: str  # "code", "more" (a broken line goes on), "doc", "comment"
    head: str = ""  # the first terminal of the logical line
    comment: str = ""
    column: int = 0  # of the comment in the source, from 0
    shift: int = 0  # how far the logical line moved to the right


def format_file(source: Source, file: syntax.File) -> str:
    """The canonical text of `source`, whose tree is `file`; its line ends are `\\n`."""
    source = clean(source.text, source.path, Sink()) or source
    rows = _comment_rows(_code_rows(source), source, file)
    _align(rows)
    out: list[str] = []
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and _blank(before, row):
            out.append("")
        out.append((row.text + " " * max(row.column - len(row.text), 2) + row.comment if row.comment else row.text).rstrip())
    return "\n".join(out) + "\n"


def _code_rows(source: Source) -> list[_Row]:
    """The tokens, line by line as they are broken, with new spaces and indentation."""
    rows: list[_Row] = []
    line: list[Tok] = []
    depth = 0
    for token in lay_out(source, Sink()).tokens:
        if token.type == "NEWLINE":
            rows += _logical_line(line, depth)
            line = []
        elif token.type in ("INDENT", "DEDENT"):
            depth += 1 if token.type == "INDENT" else -1
        elif token.type != "$END":
            line.append(token)
    return rows


def _logical_line(tokens: list[Tok], depth: int) -> list[_Row]:
    """The rows of one logical line; what is broken inside brackets stays broken and keeps its place relative to the start."""
    first = tokens[0].span
    shift = depth * INDENT - (first.column - 1)
    rows: list[_Row] = []
    text = " " * (depth * INDENT)
    start = tokens[0]
    kind = "doc" if start.type == "DOC" else "code"
    for k, (token, space) in enumerate(zip(tokens, spaces(tokens), strict=True)):
        if k and token.span.line > tokens[k - 1].span.end_line:
            rows.append(_Row(start.span.line, tokens[k - 1].span.end_line, depth, text, kind, tokens[0].type, shift=shift))
            start, kind, space = token, "more", False
            text = " " * max(token.span.column - 1 + shift, depth * INDENT)
        text += " " * space + (f'"""{token}"""' if token.type == "DOC" else str(token))
    rows.append(_Row(start.span.line, tokens[-1].span.end_line, depth, text, kind, tokens[0].type, shift=shift))
    return rows


def _comment_rows(rows: list[_Row], source: Source, file: syntax.File) -> list[_Row]:
    """Adds the comments: behind the code of their line, or as rows of their own."""
    by_last = {row.last: row for row in rows}
    own: list[_Row] = []
    for comment in file.comments:
        line = comment.span.line
        if source.line(line)[: comment.span.column - 1].strip(" \t") and line in by_last:
            by_last[line].comment, by_last[line].column = comment.text, comment.span.column - 1
        else:
            own.append(_Row(line, line, 0, comment.text, "comment", column=comment.span.column - 1))
    merged = sorted(rows + own, key=lambda row: row.first)
    _place_comments(merged, source)
    return merged


def _place_comments(rows: list[_Row], source: Source) -> None:
    """Indents each comment that has a line of its own like a block that is open there, the one the author meant."""
    following: _Row | None = None
    nexts: list[_Row | None] = []
    for row in reversed(rows):
        nexts.append(following)
        if row.kind != "comment":
            following = row
    nexts.reverse()
    indents = [0]
    before: _Row | None = None
    for row, after in zip(rows, nexts, strict=True):
        if row.kind != "comment":
            before = row
            if row.kind != "more":
                text = source.line(row.first)
                width = len(text) - len(text.lstrip(" \t"))
                indents[row.depth :] = [width]
            continue
        low = after.depth if after is not None else 0
        high = max(low, before.depth if before is not None else 0)
        if after is not None and after.kind == "more":
            row.text = " " * max(row.column + after.shift, low * INDENT) + row.text
            row.kind, row.depth = "more", low
        else:
            depth = high
            while depth > low and (depth >= len(indents) or indents[depth] > row.column):
                depth -= 1
            row.depth = depth
            row.text = " " * (depth * INDENT) + row.text
        row.column = 0


def _align(rows: list[_Row]) -> None:
    """Trailing comments that stood in one column of a group of lines stay in one; each keeps two spaces before it."""
    group: dict[int, list[_Row]] = {}
    groups = [group]
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and (row.first - before.last > 1 or row.kind == "comment" and not row.comment):
            group = {}
            groups.append(group)
        if row.comment:
            group.setdefault(row.column, []).append(row)
    for group in groups:
        for column, members in group.items():
            least = max(len(row.text.rsplit("\n", 1)[-1]) for row in members) + 2
            for row in members:
                row.column = max(column, least)


def _blank(before: _Row, row: _Row) -> bool:
    """Whether an empty line stands between two rows."""
    if row.kind == "more":
        return False
    had = row.first - before.last > 1
    if row.depth > before.depth and before.kind == "code":
        return False
    if row.depth == 0 and before.depth > 0:
        return True
    if row.depth == 0 and row.head in _WITH_BODY and before.kind in ("code", "more") and before.head != "NAME":
        return True
    return had

"""An error of the parser, as seen from around it: what the rules of the hints look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from seqc.compiler.diagnostics.diagnostic import Diagnostic, Note, Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.frontend.layout import Layout, lay_out
from seqc.compiler.frontend.spacing import spaces
from seqc.compiler.frontend.tokens import Tok, is_operand_end

DECLARING: Final = frozenset(("IN", "STATE", "PARAM", "CONST", "GATE", "LOSS", "OUT"))
DEFINING: Final = frozenset(("CELL", "BLOCK", "MODEL", "FN", "OPERATOR", "EXTERN"))
BLOCK_HEADS: Final = frozenset(("CELL", "BLOCK", "MODEL", "STACK", "ROUNDS", "SCHEDULE", "OPERATOR", "COMBINE"))
OPERANDS: Final = frozenset(("NAME", "NUMBER", "STRING", "LPAR"))


def tidied(line: str) -> str:
    """One line with the spaces of the house style, as far as it can be cut into tokens."""
    sink = Sink()
    tokens = [t for t in lay_out(Source("", line), sink).tokens if t.type not in ("NEWLINE", "$END")]
    if sink.found or any(t.type in ("FOREIGN", "DOC") for t in tokens):
        return line
    return "".join(" " * space + str(token) for token, space in zip(tokens, spaces(tokens), strict=True))


@dataclass
class Trouble:
    """The token at `at` fits nowhere; its line begins at token `line`; `accepted` would have fitted."""

    layout: Layout
    at: int
    line: int
    accepted: frozenset[str]

    def token(self, index: int) -> Tok:
        """A token of the file; the end of the file beyond it."""
        return self.layout.tokens[min(max(index, 0), len(self.layout.tokens) - 1)]

    @property
    def tok(self) -> Tok:
        """The wrong token."""
        return self.token(self.at)

    @property
    def head(self) -> Tok:
        """The first token of the line."""
        return self.token(self.line)

    @property
    def prev(self) -> Tok | None:
        """The token before the wrong one, on the same line."""
        return self.token(self.at - 1) if self.at > self.line else None

    @property
    def next(self) -> Tok:
        return self.token(self.at + 1)

    @cached_property
    def brackets(self) -> list[int]:
        """Indices of the brackets that are open at the wrong token."""
        opened: list[int] = []
        for index in range(self.line, self.at):
            if self.token(index).type in ("LPAR", "LSQB"):
                opened.append(index)
            elif self.token(index).type in ("RPAR", "RSQB") and opened:
                opened.pop()
        return opened

    @property
    def bracket(self) -> str:
        """What the innermost open bracket is: `read`, `list`, `call`, `group`, `range`, or nothing."""
        if not self.brackets:
            return ""
        at = self.brackets[-1]
        before = self.token(at - 1) if at > self.line else None
        if before is not None and before.type == "IN":
            return "range"
        if self.token(at).type == "LSQB":
            return "read" if is_operand_end(before) else "list"
        return "call" if before is not None and before.type in ("NAME", "WHERE") else "group"

    @property
    def wants_operand(self) -> bool:
        """Whether an expression could begin here."""
        return "NUMBER" in self.accepted and "NAME" in self.accepted

    @property
    def after_operand(self) -> bool:
        """Whether an expression is complete here and could go on."""
        return "PLUS" in self.accepted

    @property
    def declares(self) -> bool:
        """Whether the line is a declaration or an equation."""
        return self.head.type in DECLARING or self.head.type == "NAME"

    @property
    def name(self) -> str:
        """The name that the line declares, as far as it has one."""
        first = self.head if self.head.type == "NAME" else self.token(self.line + 1)
        return str(first) if first.type == "NAME" else ""

    # ---- answers ------------------------------------------------------------------------------------------------------

    def say(
        self,
        code: str,
        message: str,
        *,
        at: Tok | None = None,
        label: str = "",
        help: str = "",
        notes: tuple[Note, ...] = (),
    ) -> Diagnostic:
        """The finding, at the wrong token unless another is named."""
        return Diagnostic(code, message, self.place(self.tok if at is None else at), label, notes, help)

    def place(self, token: Tok) -> Span:
        """Where a token stands; ends of lines have one column to point at."""
        span = token.span
        if span.line == span.end_line and span.column == span.end_column:
            return Span(span.file, span.line, span.column, span.line, span.column + 1)
        return span

    def text(self, start: int, end: int) -> str:
        """The text from token `start` up to and without token `end`, where it is on one line."""
        if start >= end:
            return ""
        first, last = self.token(start).span, self.token(end - 1).span
        if first.line != last.end_line:
            return ""
        return self.layout.source.line(first.line)[first.column - 1 : last.end_column - 1]

    def fixed(self, new: str, start: int | None = None, end: int | None = None) -> str:
        """The line with the tokens `start` up to `end` (default: the wrong one) replaced; empty where it is not one line."""
        start = self.at if start is None else start
        end = self.at + 1 if end is None else end
        first, last = self.token(start).span, self.token(max(end - 1, start)).span
        stop = self.line_end
        if first.line != last.end_line or self.token(stop).span.line != first.line or self.head.span.line != first.line:
            return ""
        text = self.layout.source.line(first.line)
        after = text[(last.end_column if end > start else first.column) - 1 : self.token(stop).span.column - 1]
        return tidied((text[: first.column - 1] + new + after).strip())

    @property
    def line_end(self) -> int:
        """Index of the NEWLINE of the line."""
        index = self.at
        while self.token(index).type not in ("NEWLINE", "$END"):
            index += 1
        return index

"""Text to tokens: lines, blocks by indentation, comments put aside.

In:   a clean `Source`.      Out:  a `Layout`: tokens of the grammar (with NEWLINE, INDENT, DEDENT and $END), and comments.
Keeps: the place of every token. A logical line may break inside brackets; a doc string may span lines. The NEWLINE of a line
carries the text of the line's doc comments (`#: …`), own-line ones above it included.
Refuses: tabs in indentation (SEQ0104), an indentation that no open block has (SEQ0105), a bracket that is left open
(SEQ0114) or closes nothing (SEQ0115), a text that is left open (SEQ0116), and what is over a limit (SEQ0147, SEQ0148).
Goes on after each of them, so that the parser can find more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.frontend.limits import DEFAULT_LIMITS, Limits
from seqc.compiler.frontend.tokens import KEYWORDS, LINE_KEYWORDS, TOKEN, Tok, is_operand_end, terminal_of
from seqc.compiler.ir import syntax

_CLOSERS: Final = {"(": ")", "[": "]"}
_BINDING: Final = frozenset(("PLUS", "MINUS", "STAR", "SLASH", "POWER", "COMPARE", "AND", "OR", "NOT", "DOT"))
_TAB: Final = 4


@dataclass(slots=True)
class Layout:
    """What a text is cut into. `broken` says that a limit was hit and the tokens end early."""

    source: Source
    tokens: list[Tok] = field(default_factory=list)
    comments: list[syntax.Comment] = field(default_factory=list)
    broken: bool = False


@dataclass(slots=True)
class _Bracket:
    token: Tok
    index: int
    mixed: bool  # after `in`: `[0, 1)` closes what `[` opened
    operators: int = 0


def lay_out(source: Source, sink: Sink, limits: Limits = DEFAULT_LIMITS) -> Layout:
    """Cuts `source` into tokens.

    Where brackets do not close, a second look takes any line that may be a new one for one, so that the right bracket is
    named; a text whose brackets do close never gets that look.
    """
    first = Sink()
    layout = _Cutter(source, first, limits, eager=False).run()
    if any(d.code in ("SEQ0114", "SEQ0115") for d in first.found):
        return _Cutter(source, sink, limits, eager=True).run()
    for diagnostic in first.found:
        sink.add(diagnostic)
    return layout


class _Cutter:
    """Walks over the lines once; all state that a line leaves to the next is here."""

    def __init__(self, source: Source, sink: Sink, limits: Limits, eager: bool) -> None:
        self.source, self.sink, self.limits, self.eager = source, sink, limits, eager
        self.layout = Layout(source)
        self.lines = source.text.split("\n")
        self.indents = [0]
        self.brackets: list[_Bracket] = []
        self.operators = 0  # of the expression at no bracket, since the last comma
        self.waiting = False  # tokens stand since the last NEWLINE
        self.line_indent = 0
        self.line_start = 0  # index of the logical line's first token
        self.docs: list[str] = []
        self.tabs_told = False
        self.told = 0

    def run(self) -> Layout:
        """Every line once, then the ends of what is open."""
        number = 0
        while number < len(self.lines) and not self.layout.broken:
            number = self.line(number)
        if self.layout.broken:
            return self.layout
        self.close_brackets()
        if self.waiting:
            self.newline()
        self.dedent_to(0, len(self.lines), 1)
        self.emit("$END", "", len(self.lines) - 1, len(self.lines[-1]), len(self.lines[-1]))
        return self.layout

    def line(self, number: int) -> int:
        """Cuts one line (counted from 0); says which comes next (a doc string may take several)."""
        text = self.lines[number]
        body = text.lstrip(" \t")
        at = len(text) - len(body)
        if not body:
            return number + 1
        if body[0] == "#":
            self.comment(number, at, text[at:])
            return number + 1
        if self.brackets and self.left_open(body, at):
            self.close_brackets()
        if not self.brackets:
            if self.waiting:
                self.newline()
            self.indentation(number, text, at)
        while at < len(text) and not self.layout.broken:
            match = TOKEN.match(text, at)
            assert match is not None and match.lastgroup is not None, "TOKEN takes any character"
            kind, word = match.lastgroup, match[0]
            if kind == "COMMENT":
                self.comment(number, at, word)
            elif kind == "DOC":
                number, at = self.doc_string(number, at)
                text = self.lines[number]
                continue
            elif kind != "SPACE":
                self.word(number, at, kind, word)
            at += len(word)
        if not self.brackets and self.waiting:
            self.newline()
        return number + 1

    def report(self, code: str, message: str, span: Span, **more: Any) -> None:
        """Adds a finding; one too many ends the cutting."""
        self.told += 1
        if self.told <= self.limits.errors:
            self.sink.report(code, message, span, **more)
        elif not self.layout.broken:
            self.layout.broken = True
            self.sink.report("SEQ0150", f"more than {self.limits.errors} errors; the rest is not shown", span)

    # ---- tokens -------------------------------------------------------------------------------------------------------

    def emit(self, kind: str, value: str, line: int, start: int, end: int, end_line: int | None = None) -> Tok:
        """Adds one token; columns are counted from 0 here and from 1 in the token."""
        last = line if end_line is None else end_line
        token = Tok.at(kind, value, Span(self.source.path, line + 1, start + 1, last + 1, end + 1))
        self.layout.tokens.append(token)
        if len(self.layout.tokens) > self.limits.tokens and not self.layout.broken:
            self.layout.broken = True
            self.report(
                "SEQ0147",
                f"the file has more than {self.limits.tokens} words and signs",
                token.span,
                label="split the file; `from other import NAME` joins the parts",
            )
        return token

    def word(self, number: int, at: int, kind: str, text: str) -> None:
        """One word, number or sign; keeps count of brackets and of operators."""
        before = self.layout.tokens[-1] if self.waiting and self.layout.tokens else None
        terminal = "FOREIGN" if self.too_long(kind, text) else terminal_of(kind, text)
        if not self.waiting:
            self.waiting, self.line_start, self.operators = True, len(self.layout.tokens), 0
        if terminal in ("RPAR", "RSQB") and not self.closes(number, at, text):
            return
        token = self.emit(terminal, text, number, at, at + len(text))
        if terminal in ("LPAR", "LSQB"):
            self.brackets.append(_Bracket(token, len(self.layout.tokens) - 1, before is not None and before.type == "IN"))
            self.count(token, 1)
        elif terminal in _BINDING:
            self.count(token, 1)
        elif terminal == "COMMA":
            if self.brackets:
                self.brackets[-1].operators = 1
            else:
                self.operators = 0

    def too_long(self, kind: str, text: str) -> bool:
        """Names and numbers over their limits are no tokens of the language; the hints say why."""
        if kind == "NAME":
            return len(text) > self.limits.identifier
        return kind == "NUMBER" and (sum(map(str.isdigit, text)) > self.limits.digits or float(text) == float("inf"))

    def closes(self, number: int, at: int, text: str) -> bool:
        """Takes the bracket that `text` closes off the stack; False (and a message) where it closes nothing."""
        span = Span(self.source.path, number + 1, at + 1, number + 1, at + 2)
        if not self.brackets:
            self.report("SEQ0115", f"this `{text}` closes nothing", span, label="remove it")
            return False
        opened = self.brackets.pop()
        wanted = _CLOSERS[str(opened.token)]
        if text != wanted and not opened.mixed:
            self.report(
                "SEQ0115",
                f"`{opened.token}` is closed by `{wanted}`, not by `{text}`",
                span,
                notes=(Note(f"`{opened.token}` is opened here", opened.token.span),),
            )
            self.emit("RPAR" if wanted == ")" else "RSQB", wanted, number, at, at + 1)
            return False
        return True

    def count(self, token: Tok, more: int) -> None:
        """Bounds how deep the tree of one expression can become; a sum of all that encloses or precedes."""
        if self.brackets:
            self.brackets[-1].operators += more
        else:
            self.operators += more
        if self.layout.broken:
            return
        if len(self.brackets) > self.limits.nesting:
            self.layout.broken = True
            self.report(
                "SEQ0148",
                f"brackets are nested more than {self.limits.nesting} deep",
                token.span,
                label="give the inner part a name of its own",
            )
        elif self.operators + sum(b.operators for b in self.brackets) > self.limits.operators:
            self.layout.broken = True
            self.report(
                "SEQ0148",
                f"one expression has more than {self.limits.operators} operators and brackets around each other",
                token.span,
                label="give a part of it a name of its own",
            )

    def newline(self) -> None:
        """Ends the logical line, right behind its last token."""
        last = self.layout.tokens[-1].span
        self.emit("NEWLINE", "\n".join(self.docs), last.end_line - 1, last.end_column - 1, last.end_column - 1)
        self.docs.clear()
        self.waiting = False

    def comment(self, number: int, at: int, text: str) -> None:
        """Keeps a comment; a doc comment also goes to the line that it stands on or above."""
        text = text.rstrip()
        doc = text.startswith("#:")
        span = Span(self.source.path, number + 1, at + 1, number + 1, at + len(text) + 1)
        self.layout.comments.append(syntax.Comment(text, doc, span=span))
        if doc:
            self.docs.append(text[2:].strip())

    def doc_string(self, number: int, at: int) -> tuple[int, int]:
        '''From the opening `"""` to the closing one; says where to go on. An open one ends with its line.'''
        text, start = self.lines[number], at + 3
        if not self.waiting:
            self.waiting, self.line_start = True, len(self.layout.tokens)
        parts: list[str] = []
        for n in range(number, len(self.lines)):
            line = self.lines[n]
            end = line.find('"""', start if n == number else 0)
            if end >= 0:
                parts.append(line[start:end] if n == number else line[:end])
                self.emit("DOC", "\n".join(parts), number, at, end + 3, n)
                return n, end + 3
            parts.append(line[start:] if n == number else line)
        self.report(
            "SEQ0116",
            'this doc string is not closed: `"""` is missing',
            Span(self.source.path, number + 1, at + 1, number + 1, at + 4),
            help=f'{text[at:].rstrip()}"""',
        )
        self.emit("DOC", text[start:], number, at, len(text))
        return number, len(text)

    # ---- blocks -------------------------------------------------------------------------------------------------------

    def indentation(self, number: int, text: str, at: int) -> None:
        """INDENT and DEDENT tokens before the first word of a line."""
        blank = text[:at]
        if "\t" in blank and not self.tabs_told:
            self.tabs_told = True
            more = sum("\t" in line[: len(line) - len(line.lstrip())] for line in self.lines[number + 1 :])
            self.report(
                "SEQ0104",
                "a tab in the indentation",
                Span(self.source.path, number + 1, blank.index("\t") + 1, number + 1, blank.index("\t") + 2),
                label="indent with spaces" + (f"; {more} more line{'s' * (more > 1)} below" if more else ""),
                help=blank.expandtabs(_TAB) + text[at:].rstrip(),
            )
        width = len(blank.expandtabs(_TAB))
        self.line_indent = at
        if width > self.indents[-1]:
            self.indents.append(width)
            self.emit("INDENT", "", number, at, at)
            if len(self.indents) > self.limits.nesting and not self.layout.broken:
                self.layout.broken = True
                self.report(
                    "SEQ0148",
                    f"blocks are nested more than {self.limits.nesting} deep",
                    Span(self.source.path, number + 1, at + 1, number + 1, at + 2),
                )
        elif width < self.indents[-1]:
            self.dedent_to(width, number, at)

    def dedent_to(self, width: int, number: int, at: int) -> None:
        """Closes blocks until the indentation is `width`; an indentation in between is told off and taken as the inner one."""
        while self.indents[-1] > width:
            if self.indents[-2] < width:
                known = ", ".join(str(n) for n in self.indents)
                self.report(
                    "SEQ0105",
                    f"this line is indented by {width} spaces, which no open block is",
                    Span(self.source.path, number + 1, 1, number + 1, at + 1),
                    label=f"{known} would do",
                )
                self.indents[-1] = width
                return
            self.indents.pop()
            number = min(number, len(self.lines) - 1)
            self.emit("DEDENT", "", number, at, at)

    # ---- brackets left open -------------------------------------------------------------------------------------------

    def left_open(self, body: str, at: int) -> bool:
        """Whether this line cannot be inside brackets: it begins as only a line of a body or a file can."""
        match = TOKEN.match(body)
        word = match[0] if match else ""
        if body.startswith('"""') or word in LINE_KEYWORDS or word == "in":
            return True
        if match is None or match.lastgroup != "NAME" or word in KEYWORDS:
            return False
        rest = body[len(word) :].lstrip()
        if rest.startswith(":"):
            return self.layout.tokens[self.line_start].type not in ("OPERATOR", "EXTERN")
        return self.eager and at <= self.line_indent and rest.startswith("=") and not rest.startswith("==")

    def close_brackets(self) -> None:
        """Tells of the innermost open bracket and closes all."""
        if not self.brackets:
            return
        opened = self.brackets[-1].token
        closer = _CLOSERS[str(opened)]
        last = self.layout.tokens[-1]
        swallowed = any(t.type == "FOREIGN" and t[0] in "\"'" for t in self.layout.tokens[self.line_start :])
        if not swallowed:  # an open text has taken the bracket with it; the parser tells of the text
            self.report(
                "SEQ0114",
                f"this `{opened}` is not closed: `{closer}` is missing",
                opened.span,
                help=self.fixed(last),
            )
        line, column = last.span.end_line - 1, last.span.end_column - 1
        while self.brackets:
            closer = _CLOSERS[str(self.brackets.pop().token)]
            self.emit("RPAR" if closer == ")" else "RSQB", closer, line, column, column)

    def fixed(self, last: Tok) -> str:
        """The line of the last token with every bracket closed after it, where that is one line and likely what was meant."""
        first = self.layout.tokens[self.line_start]
        outer = self.brackets[0].index
        if first.span.line != last.span.end_line or self.layout.tokens[outer - 1].type in ("COLON", "IN"):
            return ""
        text = self.lines[last.span.end_line - 1]
        closers = "".join(_CLOSERS[str(b.token)] for b in reversed(self.brackets))
        return text[: last.span.end_column - 1].strip() + closers if is_operand_end(last) else ""

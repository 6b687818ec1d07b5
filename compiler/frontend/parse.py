"""One file's text to its syntax tree.

In:   a clean `Source`.     Out:  `syntax.File`, or None where anything was wrong (all found errors are in the sink).
Keeps: places, comments, doc strings.     Refuses: 01xx codes; how each is worded stands in `syntax_hints.py`.
After an error the parser goes back to the start of the line, leaves the line out (a faulty head of a block is replaced by a
sound one) and goes on, so that one run shows several errors; at most 20 are shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from seqc.compiler.diagnostics.diagnostic import Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.frontend.engine import Engine
from seqc.compiler.frontend.hygiene import clean
from seqc.compiler.frontend.layout import Layout, lay_out
from seqc.compiler.frontend.limits import DEFAULT_LIMITS, Limits
from seqc.compiler.frontend.syntax_hints import Trouble, explain
from seqc.compiler.frontend.tokens import Tok
from seqc.compiler.ir import syntax

EDITION: Final = 1

_HEADS: Final = {
    "CELL": "CELL NAME OVER NAME COLON",
    "BLOCK": "BLOCK NAME COLON",
    "MODEL": "MODEL NAME COLON",
    "STACK": "STACK NAME IN NUMBER DOTS NUMBER COLON",
    "ROUNDS": "ROUNDS NAME IN NUMBER DOTS NUMBER COLON",
    "SCHEDULE": "SCHEDULE COLON",
    "OPERATOR": "OPERATOR NAME LPAR NAME COLON LSQB RSQB RPAR COLON",
    "COMBINE": "COMBINE LPAR NAME COMMA NAME RPAR COLON",
}
"""A sound head for each kind of block, taken in place of a faulty one so that the lines of the block are still read."""

_COMBINE: Final = "COMBINE LPAR NAME COMMA NAME RPAR COLON NEWLINE INDENT NAME EQUAL NUMBER NEWLINE DEDENT"
_FILLERS: Final = ("NAME EQUAL NUMBER NEWLINE", f"IDENTITY EQUAL LPAR NUMBER RPAR NEWLINE {_COMBINE}", _COMBINE)
"""What is read into a block whose own lines are missing or were all faulty."""


def parse(source: Source, sink: Sink, limits: Limits = DEFAULT_LIMITS) -> syntax.File | None:
    """The tree of `source`, or None with the reasons in `sink`.

    The text is held to the rules of `hygiene.py` first, so that a string from anywhere may be handed in.
    """
    before = _errors(sink)
    checked = clean(source.text, source.path, sink, limits)
    if checked is None:
        return None
    layout = lay_out(checked, sink, limits)
    if layout.broken:
        return None
    tree = _Parser(layout, sink, limits).run()
    if tree is None or _errors(sink) > before:
        return None
    if tree.edition != EDITION:
        sink.report(
            "SEQ0103",
            f"edition {layout.tokens[1]} is not known",
            layout.tokens[1].span,
            label=f"this compiler reads edition {EDITION}",
            help=f"seq {EDITION}",
        )
        return None
    return replace(tree, comments=tuple(layout.comments))


def _errors(sink: Sink) -> int:
    return sum(d.severity == "error" for d in sink.found)


class _Parser:
    """Feeds the tokens to the engine and recovers from errors."""

    def __init__(self, layout: Layout, sink: Sink, limits: Limits) -> None:
        self.layout, self.sink, self.limits = layout, sink, limits
        self.tokens = layout.tokens
        self.engine = Engine()
        self.at = 0
        self.line = 0  # index of the first token of the line
        self.mark: tuple[list[Any], list[Any]] = self.engine.mark()
        self.blocks: list[int] = []  # where the open blocks begin
        self.last_error = -1
        self.told = 0
        path = layout.source.path
        self.faulty = {d.span.line for d in sink.found if d.severity == "error" and d.span.file == path}

    def run(self) -> syntax.File | None:
        """The tree; None after any error."""
        ended = False
        while True:
            token = self.tokens[self.at]
            states = self.engine.states()
            if token.type == "$END":
                tree = self.engine.finish(token)
                if tree is not None:
                    return tree if self.last_error < 0 else None
                if not self.missing_edition(token) and (ended or not self.recover(states)):
                    return None
                ended = True
                continue
            if self.engine.feed(token):
                self.at += 1
                if token.type in ("NEWLINE", "INDENT", "DEDENT"):
                    self.start_line(token)
                continue
            if not self.recover(states):
                return None

    def start_line(self, token: Tok) -> None:
        """Remembers the state that an error in the coming line goes back to."""
        if token.type == "INDENT":
            self.blocks.append(self.at)
        elif token.type == "DEDENT" and self.blocks:
            self.blocks.pop()
        self.remember()

    # ---- recovery -----------------------------------------------------------------------------------------------------

    def recover(self, states: list[int]) -> bool:
        """Reports the token that does not fit, and finds a place to go on from; False ends the parse."""
        token = self.tokens[self.at]
        self.engine.back(self.mark)
        if token.type == "DEDENT":
            return self.empty_block(states)
        if self.at == self.line and self.missing_edition(token):
            return True
        if not self.tell(states):
            return False
        if token.type == "INDENT":
            self.skip_block()
            return True
        if self.engine.accepted(states) == {"INDENT"}:
            return any(self.substitute(f"INDENT {filler} DEDENT", token) for filler in _FILLERS) and self.remember()
        end = self.end_of_line()
        head = self.tokens[self.line]
        if self.tokens[end + 1].type == "INDENT":
            kind = str(head).upper()
            if head.type == "SEQ" or not self.substitute(_HEADS.get(kind, ""), head):
                self.at = end + 1
                self.skip_block()
                return True
            self.at = end
            return True
        if end > 0 and not self.blocks and str(self.tokens[self.line]) == "seq" and self.line == 0:
            self.substitute("SEQ NUMBER NEWLINE", head)
        if str(head) == "identity":
            self.substitute("IDENTITY EQUAL LPAR NUMBER RPAR NEWLINE", head)
        self.at = end + 1
        return self.remember()

    def remember(self) -> bool:
        """From here the next line begins."""
        self.line, self.mark = self.at, self.engine.mark()
        return True

    def tell(self, states: list[int]) -> bool:
        """Words the error at the present token; False once there were enough. Silent where the layout found the line faulty."""
        self.last_error = self.at
        first, last = self.tokens[self.line].span, self.tokens[self.at].span
        if self.faulty.intersection(range(first.line, last.end_line + 1)):
            return True
        if self.told >= self.limits.errors:
            message = f"more than {self.limits.errors} errors; the rest is not shown"
            self.sink.report("SEQ0150", message, self.tokens[self.at].span)
            return False
        self.told += 1
        accepted = self.engine.accepted(states)
        self.sink.add(explain(Trouble(self.layout, self.at, self.line, accepted)))
        return True

    def end_of_line(self) -> int:
        """Index of the NEWLINE that ends the present line."""
        end = self.at
        while self.tokens[end].type not in ("NEWLINE", "$END"):
            end += 1
        return min(end, len(self.tokens) - 2)

    def skip_block(self) -> None:
        """From an INDENT to behind its DEDENT."""
        depth = 0
        while self.tokens[self.at].type != "$END":
            kind = self.tokens[self.at].type
            depth += (kind == "INDENT") - (kind == "DEDENT")
            self.at += 1
            if depth == 0:
                break
        self.remember()

    def empty_block(self, states: list[int]) -> bool:
        """A block ends that has no line yet; not worth a word where its lines were faulty."""
        if not (self.blocks and self.last_error >= self.blocks[-1] - 1) and not self.tell(states):
            return False
        self.last_error = max(self.last_error, self.at)
        for filler in _FILLERS:
            if self.substitute(filler, self.tokens[self.at]) and "DEDENT" in self.engine.accepted(self.engine.states()):
                return self.remember()
            self.engine.back(self.mark)
        return False

    def substitute(self, terminals: str, place: Tok) -> bool:
        """Feeds a made-up text at `place`; False (and the state as before) where it does not fit."""
        if not terminals:
            return False
        mark = self.engine.mark()
        for terminal in terminals.split():
            text = {"NUMBER": "1", "NAME": "x", "NEWLINE": ""}.get(terminal, terminal.lower())
            if not self.engine.feed(Tok.at(terminal, text, place.span)):
                self.engine.back(mark)
                return False
        return True

    def missing_edition(self, token: Tok) -> bool:
        """Puts `seq 1` before the first line where it is missing."""
        if self.line != 0 or self.at != 0 or self.last_error >= 0 or str(token) == "seq":
            return False
        self.last_error, self.told = 0, 1
        path, first = self.layout.source.path, Span(self.layout.source.path, 1, 1, 1, 1)
        self.sink.report(
            "SEQ0102",
            f"the file does not begin with its edition, `seq {EDITION}`",
            token.span if token.span.file == path and token.type != "$END" else first,
            help=f"seq {EDITION}",
        )
        done = self.substitute("SEQ NUMBER NEWLINE", token)
        self.mark = self.engine.mark()
        return done

"""Tree nodes, made by the parser each time a rule is complete.

In:   the children of one rule: tokens (`Tok`) and what these methods made of inner rules.     Out:  nodes of `ir/syntax.py`.
Keeps: exact places. Runs bottom-up inside the parse, so that no depth of text makes a depth of calls. Method names are the
rule names of `seq.lark`; parts that are no nodes of their own travel in small private classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from seqc.compiler.diagnostics.span import NOWHERE, Span
from seqc.compiler.frontend.tokens import Tok
from seqc.compiler.ir import syntax as s

Children = list[Any]
"""Tokens and nodes in the order of the rule; lark does not say more."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a line, named by its rule: `type`, `range`, `home`, `init`, `value`, `of`, `identity`, `holes`."""

    rule: str
    value: Any
    span: Span


@dataclass(frozen=True, slots=True)
class _Doc:
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class _Suite:
    """An indented block with its doc string and the doc comments of its head."""

    lines: tuple[s.Node, ...]
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class _Combine:
    left: s.Word
    right: s.Word
    equations: tuple[s.Declaration, ...]
    doc: str
    span: Span


def clean_doc(text: str) -> str:
    """The text of a doc string: common indentation, blank borders and trailing blanks gone."""
    lines = [line.rstrip() for line in text.expandtabs(4).split("\n")]
    margins = [len(line) - len(line.lstrip()) for line in lines[1:] if line]
    margin = min(margins, default=0)
    lines = [lines[0].lstrip()] + [line[margin:] for line in lines[1:]]
    return "\n".join(lines).strip("\n").rstrip()


def _span(children: Children) -> Span:
    """From the first child to the last one that is more than an end of a line or block."""
    last = next(c for c in reversed(children) if not (isinstance(c, Tok) and c.type in ("NEWLINE", "INDENT", "DEDENT")))
    span: Span = children[0].span
    return span.to(last.span)


def _word(token: Tok) -> s.Word:
    return s.Word(str(token), span=token.span)


def _words(children: Children) -> tuple[s.Word, ...]:
    return tuple(_word(c) for c in children if isinstance(c, Tok) and c.type == "NAME")


def _all(children: Children, kind: type[T]) -> tuple[T, ...]:
    return tuple(c for c in children if isinstance(c, kind))


def _one(children: Children, kind: type[T]) -> T | None:
    return next((c for c in children if isinstance(c, kind)), None)


def _part(children: Children, rule: str) -> Any:
    return next((c.value for c in children if isinstance(c, _Part) and c.rule == rule), None)


def _tokens(children: Children) -> set[str]:
    return {c.type for c in children if isinstance(c, Tok)}


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(p for p in parts if p)


def _line_doc(children: Children) -> str:
    """The doc comments of a line, which its NEWLINE carries."""
    return next((str(c) for c in children if isinstance(c, Tok) and c.type == "NEWLINE"), "")


class Builder:
    """One method for each rule of the grammar; stateless."""

    # ---- file and definitions -------------------------------------------------------------------------------------------

    def start(self, c: Children) -> s.File:
        edition, *top = c
        own, pending = [], list[_Doc]()
        definitions: list[s.Definition] = []
        for item in top:
            match item:
                case _Doc():
                    pending.append(item)
                case s.Import():
                    own += [d.text for d in pending]
                    pending.clear()
                case s.Body() | s.Fn() | s.Operator() | s.Extern():
                    near = item.span.line == pending[-1].span.end_line + 1 if pending else False
                    if pending and not own and not definitions and (not near or item.doc and len(pending) == 1):
                        own += [d.text for d in pending]
                    elif pending:
                        if not own and not definitions and len(pending) > 1:
                            own.append(pending.pop(0).text)
                        item = replace(item, doc=_joined([*(d.text for d in pending), item.doc]))
                    pending.clear()
                    definitions.append(item)
        own += [d.text for d in pending]
        return s.File(
            edition.span.file,
            edition.value,
            _joined(own),
            _all(top, s.Import),
            tuple(definitions),
            span=_span(c),
        )

    def edition(self, c: Children) -> _Part:
        number = str(c[1])
        return _Part("edition", int(number) if number.isdigit() else 0, c[1].span)

    def doc(self, c: Children) -> _Doc:
        return _Doc(clean_doc(str(c[0])), c[0].span)

    def imports(self, c: Children) -> s.Import:
        return s.Import(_part(c, "path"), _words(c), span=_span(c))

    def path(self, c: Children) -> _Part:
        return _Part("path", _words(c), _span(c))

    def cell(self, c: Children) -> s.Body:
        suite = next(x for x in c if isinstance(x, _Suite))
        holes = _part(c, "holes") or ()
        topology = _part(c, "topology") or ()
        return s.Body(str(c[0]), _word(c[1]), holes, topology, suite.lines, suite.doc, span=_span(c))

    block = model = cell

    def holes(self, c: Children) -> _Part:
        return _Part("holes", _all(c, s.Hole), _span(c))

    def hole(self, c: Children) -> s.Hole:
        name, *words = _words(c)
        default = words.pop() if "EQUAL" in _tokens(c) else None
        return s.Hole(name, default, tuple(words) if "LPAR" in _tokens(c) else None, span=_span(c))

    def topology(self, c: Children) -> _Part:
        return _Part("topology", _all(c, s.Along), _span(c))

    def along(self, c: Children) -> s.Along:
        return s.Along(str(c[0]), _words(c[1:]), _one(c, s.Between), span=_span(c))

    def fn(self, c: Children) -> s.Fn:
        name, *parameters = _words(c)
        return s.Fn(name, tuple(parameters), c[-2], _line_doc(c), span=_span(c))

    def operator(self, c: Children) -> s.Operator:
        combine = next(x for x in c if isinstance(x, _Combine))
        doc = _one(c, _Doc)
        text = _joined([_line_doc(c), doc.text if doc else "", combine.doc])
        return s.Operator(
            _word(c[1]),
            _all(c, s.Slot),
            _part(c, "identity"),
            combine.left,
            combine.right,
            combine.equations,
            text,
            span=_span(c),
        )

    def identity(self, c: Children) -> _Part:
        return _Part("identity", _all(c, s.Expr), _span(c))

    def combine(self, c: Children) -> _Combine:
        left, right = _words(c)
        return _Combine(left, right, _all(c, s.Declaration), _line_doc(c), _span(c))

    def extern(self, c: Children) -> s.Extern:
        arrow = next(n for n, x in enumerate(c) if isinstance(x, Tok) and x.type == "ARROW")
        before, after = c[:arrow], c[arrow:]
        return s.Extern(_word(c[1]), _all(before, s.Slot), _all(after, s.Slot), _words(after), _line_doc(c), span=_span(c))

    def slot(self, c: Children) -> s.Slot:
        return s.Slot(_word(c[0]), c[2], _part(c, "type"), span=_span(c))

    # ---- lines of a body ------------------------------------------------------------------------------------------------

    def suite(self, c: Children) -> _Suite:
        doc = _one(c, _Doc)
        text = _joined([_line_doc(c), doc.text if doc else ""])
        lines = _all(c, s.Node)
        return _Suite(lines, text, lines[0].span.to(lines[-1].span) if lines else NOWHERE)

    def dims(self, c: Children) -> s.Dims:
        return s.Dims(_all(c, s.Dim), _line_doc(c), span=_span(c))

    def dim(self, c: Children) -> s.Dim:
        return s.Dim(_word(c[0]), _one(c, s.Expr), span=_span(c))

    def indices(self, c: Children) -> s.Indices:
        return s.Indices(_all(c, s.Index), _line_doc(c), span=_span(c))

    def index(self, c: Children) -> s.Index:
        return s.Index(_word(c[0]), _one(c, s.Between), _part(c, "of"), _one(c, s.Expr), _part(c, "home"), span=_span(c))

    def of(self, c: Children) -> _Part:
        return _Part("of", _word(c[1]), _span(c))

    def between(self, c: Children) -> s.Between:
        return s.Between(c[0], c[2], span=_span(c))

    def equation(self, c: Children) -> s.Declaration:
        kind = "" if c[0].type == "NAME" else str(c[0])
        name = c[1] if kind else c[0]
        tokens = _tokens(c)
        return s.Declaration(
            kind,
            _word(name),
            _one(c, s.Shape),
            _part(c, "type"),
            _one(c, s.Range),
            _part(c, "home"),
            "ONCE" in tokens,
            "FIXED" in tokens,
            _part(c, "init"),
            _part(c, "value"),
            _line_doc(c),
            span=_span(c),
        )

    input = state = param = const = gate = loss = output = equation

    def require(self, c: Children) -> s.Require:
        return s.Require(c[1], _line_doc(c), span=_span(c))

    def level(self, c: Children) -> s.Level:
        suite = c[-1]
        return s.Level(str(c[0]), _word(c[1]), c[3], suite.lines, suite.doc, span=_span(c))

    def schedule(self, c: Children) -> s.Schedule:
        return s.Schedule(_all(c, s.Setting), _line_doc(c), span=_span(c))

    def setting(self, c: Children) -> s.Setting:
        return s.Setting(_word(c[0]), _all(c, s.Expr), span=_span(c))

    def shape(self, c: Children) -> s.Shape:
        return s.Shape(_words(c), span=_span(c))

    def type(self, c: Children) -> _Part:
        return _Part("type", _word(c[1]), _span(c))

    def range(self, c: Children) -> s.Range:
        low, high = _all(c, s.Expr)
        return s.Range(low, high, c[1].type == "LPAR", c[-1].type == "RPAR", span=_span(c))

    def home(self, c: Children) -> _Part:
        return _Part("home", _word(c[1]), _span(c))

    def init(self, c: Children) -> _Part:
        return _Part("init", c[1], _span(c))

    def learned(self, c: Children) -> s.Learned:
        return s.Learned(_one(c, s.Expr), span=_span(c))

    def value(self, c: Children) -> _Part:
        return _Part("value", c[1], _span(c))

    # ---- expressions ----------------------------------------------------------------------------------------------------

    def _logical(self, c: Children) -> s.Logical:
        return s.Logical(str(c[1]), c[0], c[2], span=_span(c))

    def compare(self, c: Children) -> s.Compare:
        return s.Compare(str(c[1]), c[0], c[2], span=_span(c))

    def add(self, c: Children) -> s.Binary:
        return s.Binary(str(c[1]), c[0], c[2], span=_span(c))

    mul = pow = add

    def neg(self, c: Children) -> s.Negative:
        return s.Negative(c[1], span=_span(c))

    def number(self, c: Children) -> s.Number:
        text = str(c[0])
        return s.Number(int(text) if text.isdigit() else float(text), span=c[0].span)

    def text(self, c: Children) -> s.Text:
        return s.Text(str(c[0])[1:-1], span=c[0].span)

    def name(self, c: Children) -> s.Name:
        return s.Name(str(c[0]), span=c[0].span)

    def paren(self, c: Children) -> s.Expr:
        """The brackets leave no node, but they belong to the place of what is in them."""
        inner: s.Expr = replace(c[1], span=_span(c))
        return inner

    def field(self, c: Children) -> s.Field:
        return s.Field(c[0], str(c[2]), span=_span(c))

    def call(self, c: Children) -> s.Call:
        return s.Call(str(c[0]), _all(c, s.Expr), _all(c, s.Keyword), function_span=c[0].span, span=_span(c))

    def read(self, c: Children) -> s.Read:
        items = tuple(x for x in c[1:] if isinstance(x, s.Expr | s.At))
        return s.Read(c[0], items, span=_span(c))

    def keyword(self, c: Children) -> s.Keyword:
        return s.Keyword(str(c[0]), c[2], name_span=c[0].span, span=_span(c))

    def list(self, c: Children) -> s.NameList:
        return s.NameList(_all(c, s.Expr), span=_span(c))

    def at(self, c: Children) -> s.At:
        return s.At(str(c[0]), c[2], span=_span(c))


def _negation(self: Builder, c: Children) -> s.Not:
    return s.Not(c[1], span=_span(c))


setattr(Builder, "not", _negation)  # three rules are named as Python's keywords are
setattr(Builder, "and", Builder._logical)
setattr(Builder, "or", Builder._logical)

"""The tables of the LALR(1) machine for `seq.lark`: what to do in each state at each terminal.

In:   the grammar's text.      Out: `Tables`, the rules' functions of `Builder` in them.
lark makes them, which takes most of the start of a short command, so they are kept as plain JSON in the cache of compiled modules,
under the grammar's text and lark's version; with them lark is not imported. What is read back is checked like any input: numbers in
their range, names that `Builder` has. Where nothing can be kept, or what was kept is not sound, they are made anew and nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from seqc.compiler.frontend.build import Builder
from seqc.runtime.cache import Cache

FORMAT = 1
FILE = "tables.json"
Build = Callable[[list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Reduction:
    """A complete rule: how many values it takes, its name, and what makes one value of them (None: the only one as it is)."""

    size: int
    name: str
    build: Build | None


@dataclass(frozen=True, slots=True)
class Tables:
    """For each state, what to do at each terminal (an int is the next state) and where each rule leads to."""

    rows: tuple[dict[str, int | Reduction], ...]
    start: int
    end: int


class Parts(list[Any]):
    """The values of a rule without a node of its own; the rule around it takes them one by one."""


class Unsound(ValueError):
    """What was read is no description of the machine."""


@cache
def tables() -> Tables:
    """The machine of this process: from the cache where it is there and sound."""
    return kept(grammar_text(), Cache(quiet=True))


def kept(grammar: str, store: Cache) -> Tables:
    """The machine of a grammar, by way of a cache."""
    try:
        parts = {"kind": "parser tables", "format": str(FORMAT), "grammar": grammar, "lark": version("lark")}
    except PackageNotFoundError:
        return linked(described(grammar))
    entry = store.entry(parts, lambda: {FILE: json.dumps(described(grammar), separators=(",", ":")).encode()}, label="parser")
    try:
        return linked(json.loads(entry.files[FILE]))
    except (Unsound, ValueError, KeyError, RecursionError):
        return linked(described(grammar))


def grammar_text() -> str:
    """The text of `seq.lark`."""
    return files("seqc.compiler.frontend").joinpath("seq.lark").read_text("utf-8")


def made_by_lark(grammar: str) -> Any:
    """lark's parser for a grammar; strict, so that any conflict in it is an error."""
    from lark import Lark
    from lark.common import LexerConf
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Tokens are fed by hand."""

        def __init__(self, lexer_conf: LexerConf) -> None:
            del lexer_conf

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:
            return iter(())

    return Lark(grammar, parser="lalr", lexer=NoLexer, strict=True, keep_all_tokens=True, maybe_placeholders=False)


def described(grammar: str) -> dict[str, Any]:
    """The machine as plain data.

    `rules` are [size, name, method of `Builder` ("": none), positions whose values are spliced]; `rows` map a terminal to the next
    state, or to -1 minus the number of the rule that is complete."""
    from lark.parsers.lalr_analysis import Shift

    conf = made_by_lark(grammar).parse_interactive("").parser_state.parse_conf
    numbers: dict[Any, int] = {}
    rules: list[list[Any]] = []
    rows: list[dict[str, int]] = []
    for state in range(len(conf.states)):
        row: dict[str, int] = {}
        for symbol, (action, target) in conf.states[state].items():
            if action is Shift:
                row[symbol] = target
                continue
            if target not in numbers:
                numbers[target] = len(rules)
                rules.append(_rule(target))
            row[symbol] = -1 - numbers[target]
        rows.append(row)
    return {"rules": rules, "rows": rows, "start": conf.start_state, "end": conf.end_state}


def _rule(rule: Any) -> list[Any]:
    """One rule as plain data. A rule that starts with `_` is spliced into the one around it; `?` with one value is that value."""
    size, name = len(rule.expansion), rule.origin.name
    spliced = [n for n, symbol in enumerate(rule.expansion) if not symbol.is_term and symbol.name.startswith("_")]
    if rule.options.expand1 and size == 1 and not rule.alias:
        return [size, name, None, []]
    return [size, name, "" if name.startswith("_") else rule.alias or name, spliced]


def linked(plain: Any) -> Tables:
    """The machine of a description. Raises `Unsound`."""
    if not isinstance(plain, Mapping) or set(plain) != {"rules", "rows", "start", "end"}:
        raise Unsound("it has other parts")
    builder = Builder()
    reductions = [_linked(builder, rule) for rule in _list(plain["rules"])]
    rows: list[dict[str, int | Reduction]] = []
    count = len(_list(plain["rows"]))
    for row in plain["rows"]:
        made: dict[str, int | Reduction] = {}
        if not isinstance(row, Mapping):
            raise Unsound("a state is no mapping")
        for symbol, target in row.items():
            if type(target) is not int or not -len(reductions) <= target < count or not isinstance(symbol, str):
                raise Unsound("a state leads nowhere")
            made[symbol] = target if target >= 0 else reductions[-1 - target]
        rows.append(made)
    for state in (plain["start"], plain["end"]):
        if type(state) is not int or not 0 <= state < count:
            raise Unsound("it has no start or end")
    return Tables(tuple(rows), plain["start"], plain["end"])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unsound("a list is missing")
    return value


def _linked(builder: Builder, rule: Any) -> Reduction:
    if not isinstance(rule, list) or len(rule) != 4:
        raise Unsound("a rule has other parts")
    size, name, method, spliced = rule
    places = _list(spliced)
    if type(size) is not int or not 0 <= size < 100 or not isinstance(name, str):
        raise Unsound("a rule has no size or name")
    if any(type(n) is not int or not 0 <= n < size for n in places):
        raise Unsound("a rule takes values that it does not have")
    if method is None:
        return Reduction(size, name, None)
    if not isinstance(method, str):
        raise Unsound("a rule makes nothing")
    if not method:
        return Reduction(size, name, _spliced(Parts, frozenset(places)))
    if method.startswith("_") or method not in vars(Builder):
        raise Unsound("a rule makes what no rule makes")
    return Reduction(size, name, _spliced(getattr(builder, method), frozenset(places)))


def _spliced(build: Build, places: frozenset[int]) -> Build:
    """`build` on values of which some are parts of their own."""
    if not places:
        return build

    def spliced(values: list[Any]) -> Any:
        flat: list[Any] = []
        for n, value in enumerate(values):
            if n in places:
                flat.extend(value)
            else:
                flat.append(value)
        return build(flat)

    return spliced

"""The parser's tables: made by lark, kept as JSON, read back as checked data, made anew without a word where that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from lark import Tree
from lark.parse_tree_builder import ParseTreeBuilder

from seqc.compiler.frontend import machine
from seqc.compiler.frontend.build import Builder
from seqc.compiler.frontend.machine import FILE, Parts, Tables, Unsound, described, grammar_text, kept, linked, made_by_lark
from seqc.runtime.cache import Cache


@pytest.fixture(scope="module")
def plain() -> Any:
    return described(grammar_text())


def same(a: Tables, b: Tables) -> bool:
    """Whether two machines take the same; lark numbers states and rules in no fixed order."""

    def told(t: Tables) -> Any:
        rows = [
            sorted((k, -1 if isinstance(v, int) else v.size, "" if isinstance(v, int) else v.name) for k, v in row.items())
            for row in t.rows
        ]
        return sorted(rows)

    return bool(told(a) == told(b))


def test_the_tables_say_what_lark_does(plain: Any) -> None:
    """Each rule on marked values, against the callback that lark itself makes of `Builder`."""

    class Marked:
        """A method for each rule that gives its name and what it was given."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name not in vars(Builder):
                raise AttributeError(name)
            return lambda values: (name, values)

    grammar = made_by_lark(grammar_text())
    conf = grammar.parse_interactive("").parser_state.parse_conf
    own = ParseTreeBuilder(grammar.rules, Tree, False, True).create_callback(Marked())
    rules = {(r[1], tuple(r[3]), r[0], r[2]) for r in plain["rules"]}
    seen = 0
    for rule in conf.callbacks:
        if rule not in own or rule.origin.name.startswith("$"):
            continue
        size, name, method, spliced = machine._rule(rule)
        if (name, tuple(spliced), size, method) not in rules:
            continue
        values: list[Any] = [Tree("x", [f"{n}a", f"{n}b"]) if n in spliced else f"{n}" for n in range(size)]
        found = own[rule](list(values))
        if method is None:
            assert found == values[0]
        else:
            flat = [v for n, value in enumerate(values) for v in (value.children if n in spliced else [value])]
            assert (found.children if method == "" else found[1]) == flat
            assert method == "" or found[0] == method
        seen += 1
    assert seen > 150


def test_kept_tables_are_read_back(tmp_path: Path, plain: Any) -> None:
    first = kept(grammar_text(), Cache(tmp_path / "c"))
    stored = list((tmp_path / "c").rglob(FILE))
    assert len(stored) == 1 and set(json.loads(stored[0].read_bytes())) == set(plain)
    assert same(first, linked(plain)) and same(first, kept(grammar_text(), Cache(tmp_path / "c")))


@pytest.mark.parametrize("where", ["unwritable", "a file", "damaged"])
def test_without_a_cache_nothing_is_said(tmp_path: Path, where: str, plain: Any) -> None:
    root = tmp_path / "c"
    if where == "a file":
        root.write_text("no folder")
    elif where == "damaged":
        kept(grammar_text(), Cache(root))
        (stored,) = root.rglob(FILE)
        stored.write_bytes(b"{")
    else:
        root = Path("/proc/nothing/c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(kept(grammar_text(), Cache(root, quiet=True)), linked(plain))


WRONG = {
    "no mapping": lambda p: [],
    "a part more": lambda p: {**p, "more": 1},
    "a state too far": lambda p: {**p, "rows": [{**p["rows"][0], "NAME": len(p["rows"])}, *p["rows"][1:]]},
    "a rule too far": lambda p: {**p, "rows": [{**p["rows"][0], "NAME": -1 - len(p["rules"])}, *p["rows"][1:]]},
    "a private method": lambda p: {**p, "rules": [[1, "start", "__init__", []], *p["rules"][1:]]},
    "no method": lambda p: {**p, "rules": [[1, "start", "eval", []], *p["rules"][1:]]},
    "a place too far": lambda p: {**p, "rules": [[1, "start", "start", [1]], *p["rules"][1:]]},
    "true for a number": lambda p: {**p, "start": True},
    "a size too large": lambda p: {**p, "rules": [[1000, "start", "start", []], *p["rules"][1:]]},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_read_is_checked(name: str, plain: Any) -> None:
    with pytest.raises(Unsound):
        linked(WRONG[name](plain))  # type: ignore[no-untyped-call]


def test_values_of_a_spliced_rule_stand_in_the_one_around_it() -> None:
    assert machine._spliced(list, frozenset({1}))([1, Parts([2, 3]), 4]) == [1, 2, 3, 4]


def test_a_second_start_does_without_lark(tmp_path: Path) -> None:
    code = (
        "import sys; from seqc.compiler.cli.main import main\n"
        "code = main(['check', sys.argv[1]])\n"
        "print('lark' in sys.modules, 'torch' in sys.modules, code)"
    )
    spec = tmp_path / "a.seq"
    spec.write_text("seq 1\ncell A over t:\n    dim D\n    in x : [D]\n    out y : [D] = 2 * x\n")
    env = {**os.environ, "SEQC_CACHE_DIR": str(tmp_path / "c")}
    said = [
        subprocess.run([sys.executable, "-c", code, str(spec)], capture_output=True, text=True, env=env, check=True).stdout.splitlines()[-1]
        for _ in range(2)
    ]
    assert said == ["True False 0", "False False 0"]

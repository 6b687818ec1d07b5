"""Ten mistakes that newcomers make: each gives one message that names the line and carries the way out.

For each: the code, the line, a word that says what is wrong in the user's own terms, and text that puts it right. Where the
message offers a line to paste, pasting it makes the spec pass.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from seqc.compiler.cli.main import main


@dataclass(frozen=True)
class Mistake:
    """`files` are written beside each other, the first is checked; `says` must stand in the message, `fix` in what it offers.

    `paste`: the help is a line that can stand in place of the faulty one.
    """

    files: dict[str, str]
    code: str
    line: int
    says: tuple[str, ...]
    fix: tuple[str, ...]
    paste: bool = False


def cell(*lines: str) -> str:
    return "\n".join(["seq 1", "cell Mine over t:", *(f"    {line}" for line in lines)]) + "\n"


PLAIN = cell("dim D", "in x : [D]", "out x").removeprefix("seq 1\n")

MISTAKES = {
    "a forgotten lag": Mistake(
        {"mine.seq": cell("dim D", "in x : [D]", "state h : [D] init 0", "h = 0.5 * h + x", "out h")},
        "SEQ0301", 6, ("`h`", "same step"), ("h[t-1]",), paste=True,
    ),
    "a misspelt state": Mistake(
        {"mine.seq": cell("dim D", "in x : [D]", "state memory : [D] init 0", "memory = 0.5 * memroy[t-1] + x", "out memory")},
        "SEQ0220", 6, ("`memroy`",), ("`memory`",),
    ),
    "mismatched axes": Mistake(
        {
            "mine.seq": cell(
                "dim D, H = 4, K = D / H", "in x : [D]", "state S : [H, K] init 0", "g : [D] = sigmoid(linear(x))",
                "S = g * S[t-1] + linear(x)", "out S",
            )
        },
        "SEQ0403", 7, ("[H, K]", "[D]"), ("outer", "dot"),
    ),
    "a missing init": Mistake(
        {"mine.seq": cell("dim D", "in x : [D]", "state h : [D]", "h = 0.5 * h[t-1] + x", "out h")},
        "SEQ0302", 5, ("`h`", "start"), ("init 0",), paste=True,
    ),
    "an impossible scan mode": Mistake(
        {
            "mine.seq": cell(
                "dim D", "in x : [D]", "state h : [D] init 0", "h = tanh(linear(x, h[t-1]))", "out h", "schedule:",
                "    scan = associative",
            )
        },
        "SEQ0511", 9, ("associative", "line 6"), ("sequential", "newton"),
    ),
    "a dim that does not come out whole": Mistake(
        {
            "mine.seq": cell(
                "dim D = 10, H = 4, K = D / H", "in x : [D]", "state h : [H, K] init 0", "h = linear(x) + h[t-1]", "out h",
            )
        },
        "SEQ0433", 3, ("`K`", "5/2", "D = 10", "H = 4"), ("floor",),
    ),
    "an unproved range": Mistake(
        {
            "mine.seq": cell(
                "dim D", "in x : [D]", "state h : [D] init 0", "gate f : [D] in (0, 1) = linear(x)", "h = f * h[t-1] + x",
                "out h",
            )
        },
        "SEQ0440", 6, ("`f`", "(0, 1)", "(-inf, inf)"), ("sigmoid",),
    ),
    "a tab": Mistake(
        {"mine.seq": "seq 1\ncell Mine over t:\n    dim D\n\tin x : [D]\n    out x\n"},
        "SEQ0104", 4, ("tab",), ("    in x : [D]",), paste=True,
    ),
    "a cycle of imports": Mistake(
        {
            "mine.seq": "seq 1\nfrom other import Other\n" + PLAIN,
            "other.seq": "seq 1\nfrom mine import Mine\n" + PLAIN.replace("Mine", "Other"),
        },
        "SEQ0284", 2, ("mine.seq", "other.seq"), ("closes the circle",),
    ),
    "a missing file": Mistake(
        {"mine.seq": "seq 1\nfrom cells.mingr import MinGRU\n" + PLAIN},
        "SEQ0282", 2, ("mingr",), ("from cells.mingru import MinGRU",), paste=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_can_be_acted_on(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistake = MISTAKES[name]
    for file, text in mistake.files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    first = tmp_path / next(iter(mistake.files))
    assert main(["check", str(first), "--format", "json"]) == 1
    found = [d for d in json.loads(capsys.readouterr().out)["diagnostics"] if d["severity"] == "error"]
    assert found[0]["code"] == mistake.code, found[0]
    assert found[0]["line"] == mistake.line
    assert len(found) == 1, "one mistake, one message"
    spoken = " ".join([found[0]["message"], found[0]["label"], *(n["text"] for n in found[0]["notes"])])
    offered = " ".join([found[0]["help"], spoken])
    for word in mistake.says:
        assert word in spoken, (word, spoken)
    for word in mistake.fix:
        assert word in offered, (word, offered)

    assert main(["check", str(first)]) == 1
    text = capsys.readouterr().err
    assert f"error[{mistake.code}]" in text and f":{mistake.line}:" in text and "Traceback" not in text
    assert f"seqc explain {mistake.code}" in text
    line = mistake.files[Path(found[0]["file"]).name].splitlines()[mistake.line - 1]
    assert line.strip() in text, "the line is shown"

    if mistake.paste:
        lines = mistake.files[first.name].splitlines()
        wrong = lines[mistake.line - 1]
        indent = wrong[: len(wrong) - len(wrong.lstrip())].replace("\t", "    ")
        lines[mistake.line - 1] = indent + found[0]["help"].strip()
        first.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert main(["check", str(first)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", MISTAKES)
def test_its_code_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", MISTAKES[name].code]) == 0
    assert capsys.readouterr().out.startswith(MISTAKES[name].code)


def test_a_spec_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "gruu"]) == 2
    assert "`gru`" in capsys.readouterr().err
    assert main(["check", "no/such/file.seq"]) == 2
    assert "no file" in capsys.readouterr().err
    assert main(["explain", "gru:Chogru"]) == 2
    assert "gru:ChoGRU" in capsys.readouterr().err

"""The registry of codes: every code that the compiler can give has an explanation, and no explanation is of nothing."""

import re
from pathlib import Path

import seqc.compiler
import seqc.runtime
from seqc.compiler.diagnostics import (
    codes_device,
    codes_lowering,
    codes_names,
    codes_recurrence,
    codes_shapes,
    codes_syntax,
    codes_warnings,
)
from seqc.compiler.diagnostics.codes import CODES, explain_code

ROOT = Path(str(seqc.compiler.__file__)).parent
CODE = re.compile(r"SEQ\d{4}|SEQ-W\d\d")
ABOUT_CODES = {"diagnostic.py", "render.py", "entry.py"}
AREAS = (codes_syntax, codes_names, codes_recurrence, codes_shapes, codes_lowering, codes_device, codes_warnings)
RUNTIME = Path(str(seqc.runtime.__file__)).parent


def used() -> dict[str, set[str]]:
    """The codes named in the compiler's source, with the files that name them."""
    found: dict[str, set[str]] = {}
    for path in sorted([*ROOT.rglob("*.py"), *RUNTIME.rglob("*.py")]):
        if path.parent.name == "diagnostics" and (path.name.startswith("codes") or path.name in ABOUT_CODES):
            continue
        for code in CODE.findall(path.read_text("utf-8")):
            found.setdefault(code, set()).add(path.relative_to(ROOT.parent).as_posix())
    return found


def test_every_code_used_is_explained() -> None:
    missing = {code: files for code, files in used().items() if code not in CODES}
    assert not missing, "\n".join(f"{code}: {', '.join(sorted(files))}" for code, files in sorted(missing.items()))


def test_every_code_explained_is_used() -> None:
    assert not set(CODES) - set(used())


def test_codes_are_listed_once() -> None:
    listed = [entry.code for area in AREAS for entry in area.ENTRIES]
    assert len(listed) == len(set(listed)) == len(CODES)
    assert all(CODE.fullmatch(code) for code in listed)


def test_entries_are_whole() -> None:
    for entry in CODES.values():
        assert entry.title and not entry.title.endswith(".")
        assert entry.explanation.endswith((".", "…", ":", "!", ")"))
        assert bool(entry.good) <= bool(entry.bad)


def test_explain() -> None:
    text = explain_code("seq0117")
    assert text is not None and text.startswith("SEQ0117: ") and "    y : [D] = x^2\n" in text
    assert explain_code("SEQ9999") is None

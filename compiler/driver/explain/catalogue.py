"""What is known of every bundled spec: `seqc list`.

Analysing all of them takes seconds, so the result is kept in the cache, under everything it depends on: the specs' texts
and the compiler's own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import seqc.compiler
from seqc.compiler.driver.cache import Cache, CacheWarning
from seqc.compiler.driver.crash import version
from seqc.compiler.driver.explain.verdict import classes, legal_modes
from seqc.compiler.driver.options import Options
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import Target, principal
from seqc.compiler.frontend.bundled import all_bundled

_SENTENCE = re.compile(r"(?<!et al)(?<!\b[A-Z])\. (?=[A-Z\"(])")
_YEAR = re.compile(r"\b(19|20)\d\d\b")


def catalogue(tick: Callable[[str], None] = lambda name: None) -> list[dict[str, Any]]:
    """One record for each bundled spec: name, folder, class, modes, source, and its bodies as the report has them."""
    import warnings

    parts: dict[str, str | bytes] = {"what": "catalogue", "version": version(), "compiler": _digest_of_compiler()}
    for entry in all_bundled():
        parts[entry.name] = entry.path.read_bytes()
    made: list[dict[str, Any]] = []

    def build() -> dict[str, bytes]:
        for entry in all_bundled():
            tick(entry.stem)
            made.append(_record(entry.stem, entry.name))
        return {"catalogue.json": json.dumps(made).encode()}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        found = Cache(Options.make().cache_dir or None).entry(parts, build, label="list of bundled specs")
    records: list[dict[str, Any]] = json.loads(found.files["catalogue.json"])
    return records


def _digest_of_compiler() -> str:
    """A digest of the compiler's sources, so that a changed compiler says its own."""
    digest = hashlib.sha256()
    root = Path(str(seqc.compiler.__file__)).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _record(name: str, dotted: str) -> dict[str, Any]:
    run = compiled(Target(dotted), until="analysis")
    cells = run.report["cells"]
    body = principal(name, run.bodies)
    components = cells[body.name]["components"] if body else []
    doc = " ".join(run.program.doc.split()) or next((" ".join(b.doc.split()) for b in run.bodies if b.doc), "")
    words = classes(components)
    if body is None:
        words = "operator" if run.program.operators else "functions"
    elif body.kind != "cell" and words == "no recurrence":
        words = body.kind
    return {
        "name": name,
        "folder": dotted.rpartition(".")[0],
        "class": words,
        "modes": legal_modes(components),
        "doc": doc,
        "source": source_of(doc),
        "bodies": cells,
    }


def source_of(doc: str) -> str:
    """The paper a doc string names: from the first sentence with a year in it on, or all of it."""
    sentences = _SENTENCE.split(doc)
    first = next((i for i, s in enumerate(sentences) if _YEAR.search(s)), 0)
    return ". ".join(sentences[first:]).strip().rstrip(".")

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
from seqc.compiler.driver.target import Target
from seqc.compiler.frontend.bundled import all_bundled


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
    first: dict[str, Any] = next(iter(cells.values()), {"components": []})
    doc = " ".join(run.program.doc.split()) or next((" ".join(b.doc.split()) for b in run.bodies if b.doc), "")
    return {
        "name": name,
        "folder": dotted.rpartition(".")[0],
        "class": _class(run.bodies, first["components"]),
        "modes": legal_modes(first["components"]),
        "doc": doc,
        "source": source_of(doc),
        "bodies": cells,
    }


def _class(bodies: Any, components: Any) -> str:
    if not bodies:
        return "operator or functions"
    words = classes(components)
    return bodies[0].kind if bodies[0].kind != "cell" and words == "no recurrence" else words


def source_of(doc: str) -> str:
    """The paper a doc string names: the sentence from the authors on, or all of it."""
    match = re.search(r"(?:^|[.;:] )((?:[^.;:]|\.(?=[^ ])|\. (?=et al)|et al\. )*?(?:19|20)\d\d\b.*)$", doc)
    text = match[1] if match else doc
    return text.strip().rstrip(".")

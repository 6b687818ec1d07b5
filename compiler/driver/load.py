"""A spec as a Python module: compiled, cached, imported. The one place of seqc that runs generated code.

In:   a path, the name of a bundled spec (`gru`, `cells.gru`), or the text of a spec.
Out:  a module whose classes are the spec's bodies. The text comes from the cache where the same sources were compiled by the same seqc
      before, else through the whole pipeline; it has been checked twice by `emit.safety` before it is run.
Refuses: what the pipeline refuses (`Rejected`, with the diagnostics' text in the message).

Generated modules are called `seqc.generated.STEM_KEY` and can be imported by that name as long as their cache entry lives, so that
pickled modules and states find their classes in another process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import linecache
import os
import re
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.driver import cache as disk
from seqc.compiler.driver.crash import Crash
from seqc.compiler.driver.pipeline import Run, advance, compiled
from seqc.compiler.driver.target import Target, target_of
from seqc.compiler.emit.safety import check

PACKAGE = "seqc.generated"
FILE = "module.py"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}_k([0-9a-f]{64})\Z")
_disk: list[disk.Cache] = []


class SpecError(ValueError):
    """A spec has errors; the message is what `seqc check` prints, `diagnostics` holds the findings."""

    def __init__(self, text: str, rejected: Rejected) -> None:
        super().__init__(text)
        self.diagnostics = rejected.diagnostics


def load(spec: str | os.PathLike[str]) -> ModuleType:
    """The module of a spec: a path, a bundled name, or a text (anything with a line end in it).

    The same sources give the same module object. Raises `SpecError` with all diagnostics.
    """
    run = _begun(os.fspath(spec))
    name, text = _module_text(run)
    held = sys.modules.get(name)
    if held is not None:
        return held
    return _imported(name, text)


def module_text(spec: str | os.PathLike[str]) -> str:
    """The Python text of a spec's module. Raises `SpecError`."""
    return _module_text(_begun(os.fspath(spec)))[1]


# ---- text -------------------------------------------------------------------------------------------------------------


def _begun(spec: str) -> Run:
    """The spec, parsed."""
    sink = Sink()
    if "\n" in spec:
        from seqc.compiler.frontend.imports import load_text

        run = Run(Target("spec.seq"), None, sink)
        project = load_text(spec, "spec.seq", sink)
        try:
            sink.stop()
        except Rejected as why:
            raise _told(why, run) from None
        run.results["syntax"] = project
        return run
    try:
        return compiled(target_of(spec), None, until="syntax", sink=sink)
    except Rejected as why:
        raise _told(why, None) from None


def _told(why: Rejected, run: Run | None) -> SpecError:
    """The diagnostics as an exception with their full text."""
    from seqc.compiler.diagnostics.render import render_all

    sources = {}
    if run is not None and "syntax" in run.results and run.results["syntax"] is not None:
        sources = run.project.sources
    try:
        text = render_all(why.diagnostics, sources)
    except Exception:  # a message is never lost to a fault in its drawing
        text = "\n".join(f"{d.span.file}:{d.span.line}: {d.code}: {d.message}" for d in why.diagnostics)
    return SpecError(text, why)


def _module_text(run: Run) -> tuple[str, str]:
    """The module's name and text, from the cache or made."""
    parts: dict[str, str | bytes] = {"kind": "reference module", "seqc": compiler_digest(), "main": run.project.main_key}
    for path, source in run.project.sources.items():
        parts[f"source {os.path.basename(path)} {hashlib.sha256(path.encode()).hexdigest() if '/' in path else path}"] = source.text
    stem = re.sub(r"[^A-Za-z0-9_]", "_", Path(run.project.main.path).name.removesuffix(".seq").rpartition(".")[2])[:40] or "spec"
    if not _disk:
        _disk.append(disk.Cache())
    entry = _disk[0].entry(parts, lambda: {FILE: _made(run).encode()}, label=stem)
    text = entry.files[FILE].decode()
    name = f"{PACKAGE}.{stem if stem[0].isalpha() or stem[0] == '_' else '_' + stem}_k{entry.key}"
    return name, text


def _made(run: Run) -> str:
    """The text, through the whole pipeline; where the analysis has a fault, without its report."""
    try:
        advance(run, "code")
        return run.code
    except Rejected as why:
        raise _told(why, run) from None
    except Crash as fault:
        if fault.stage not in ("graph", "analysis", "plan") or "spec" not in run.results:
            raise
        from seqc.compiler.emit.module import emit

        warnings.warn(
            f"seqc: the analysis of {run.target.spec} failed ({fault.__cause__}); the reference runs without its report",
            stacklevel=3,
        )
        try:
            return emit(run.program).text
        except Rejected as why:
            raise _told(why, run) from None


@cache
def compiler_digest() -> str:
    """SHA-256 over the compiler's own files: other code makes other modules."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in ("check", "frontend", "ir", "graph", "analysis", "plan", "lower", "emit", "driver/explain"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".lark") and path.is_file():
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


# ---- modules ----------------------------------------------------------------------------------------------------------


def _imported(name: str, text: str) -> ModuleType:
    """Runs a module's text under its name."""
    check(text)
    package()
    module = ModuleType(name)
    where = f"<{name.rpartition('.')[2][:48]}>"
    module.__file__ = where
    module.__package__ = PACKAGE
    linecache.cache[where] = (len(text), None, text.splitlines(True), where)
    sys.modules[name] = module
    try:
        exec(compile(text, where, "exec", dont_inherit=True), module.__dict__)  # the only exec of seqc: checked text, definitions only
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def package() -> ModuleType:
    """The package that generated modules stand in."""
    return importlib.import_module(PACKAGE)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `seqc.generated.…` in the cache: for pickles from another process."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        head, _, last = fullname.rpartition(".")
        if head != PACKAGE or not _NAME.match(last) or kept(last) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        text = kept(module.__name__.rpartition(".")[2])
        if text is None:
            raise ImportError(f"{module.__name__} is no longer in seqc's cache; load its spec again", name=module.__name__)
        made = _imported(module.__name__, text)
        module.__dict__.update(made.__dict__)
        sys.modules[module.__name__] = module


def kept(name: str) -> str | None:
    """The text of a generated module by its name, as the cache has it."""
    match = _NAME.match(name)
    root = disk.default_root()
    if match is None or root is None:
        return None
    store = disk.Cache()
    base = store._prepare()
    files = None if base is None else store._look(base, match[1])
    return files[FILE].decode() if files is not None and FILE in files else None

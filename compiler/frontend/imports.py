"""A file and everything it imports.

In:   a path, the name of a bundled spec, or a text.     Out:  a `Project`: syntax trees by dotted name, and who takes what
from where.     Refuses: files that are not there (SEQ0280, SEQ0282) or cannot be read (SEQ0281), names that the imported
file does not define (SEQ0283), cycles (SEQ0284), anything outside of the root (SEQ0285), too many files (SEQ0286), names
that no import could say (SEQ0287), and one name from two places (SEQ0288).

The root is the folder of the main file. `from a.b import X` is `a/b.seq` below the root, else a bundled spec; a bundled spec
imports bundled specs only. A path is made of identifiers, so there is no `..` and no absolute path; symbolic links that lead
out of the root are refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from seqc.compiler.diagnostics.diagnostic import Note, Sink
from seqc.compiler.diagnostics.source import Source
from seqc.compiler.diagnostics.span import Span
from seqc.compiler.diagnostics.suggest import nearest
from seqc.compiler.frontend.bundled import PREFIX, all_bundled, bundled
from seqc.compiler.frontend.limits import DEFAULT_LIMITS, Limits
from seqc.compiler.frontend.parse import parse
from seqc.compiler.frontend.read import SUFFIX, check_name, missing, read_source
from seqc.compiler.ir import syntax

MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class Project:
    """A main file with all that it needs.

    `files` and `imports` are keyed by dotted names (`cells.gru`; bundled ones `seqc.specs.cells.gru`), in the order in which
    they were finished: a file stands after those it imports. `imports[key][name]` is the file and the definition there.
    `sources` is keyed by the path that messages show.
    """

    main_key: str
    files: dict[str, syntax.File]
    sources: dict[str, Source]
    imports: dict[str, dict[str, tuple[str, str]]]

    @property
    def main(self) -> syntax.File:
        """The file that was asked for."""
        return self.files[self.main_key]


def load(path_or_bundled_name: str, sink: Sink, limits: Limits = DEFAULT_LIMITS) -> Project | None:
    """Loads a file by path, or a bundled spec by name (`gru`, `cells.gru`). None where the main file has errors.

    Errors in imported files are in the sink too; the project then lacks those files.
    """
    wanted = path_or_bundled_name
    loader = _Loader(sink, limits)
    is_path = wanted.endswith(SUFFIX) or "/" in wanted or os.sep in wanted
    if not is_path and wanted in bundled():
        entry = bundled()[wanted]
        return loader.project(_Place(entry.key, str(entry.path), entry.shown, bundled=True))
    if not is_path and not _is_file(wanted):
        missing(wanted, sink)
        return None
    loader.root = os.path.dirname(wanted)
    if not (_is_file(wanted) and not check_name(wanted, sink)):
        stem = os.path.basename(wanted).removesuffix(SUFFIX)
        return loader.project(_Place(stem, wanted, wanted))
    return None


def load_text(text: str, path: str, sink: Sink, limits: Limits = DEFAULT_LIMITS) -> Project | None:
    """Loads a text as if it stood in `path`. Its imports are looked for beside `path` if that ends with `.seq`, and bundled."""
    loader = _Loader(sink, limits)
    stem = os.path.basename(path).removesuffix(SUFFIX)
    if path.endswith(SUFFIX):
        loader.root = os.path.dirname(path)
    return loader.project(_Place(stem if stem.isidentifier() else MAIN, path, path), Source(path, text))


@dataclass(frozen=True, slots=True)
class _Place:
    """A file: its dotted name, where it lies, and how it is shown."""

    key: str
    path: str
    shown: str
    bundled: bool = False


@dataclass(slots=True)
class _Loader:
    """Depth first over the imports; the depth is bounded, so calling itself is safe."""

    sink: Sink
    limits: Limits
    root: str | None = None
    files: dict[str, syntax.File] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    imports: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    chain: list[_Place] = field(default_factory=list)

    def project(self, main: _Place, source: Source | None = None) -> Project | None:
        """Loads `main` and what it imports."""
        self.visit(main, source)
        return Project(main.key, self.files, self.sources, self.imports) if main.key in self.files else None

    def visit(self, place: _Place, source: Source | None = None) -> None:
        """Reads, parses and follows the imports of one file."""
        source = source or read_source(place.path, self.sink, self.limits, place.shown)
        if source is not None:
            self.sources[place.shown] = source
        file = None if source is None else parse(source, self.sink, self.limits)
        if file is None:
            self.failed.add(place.key)
            return
        self.chain.append(place)
        names: dict[str, tuple[str, str]] = {}
        told: dict[str, syntax.Word] = {d.name.text: d.name for d in file.definitions}
        for item in file.imports:
            target = self.target(item, place)
            for word in item.names:
                if word.text in told:
                    other = told[word.text]
                    self.sink.report(
                        "SEQ0288",
                        f"`{word}` is already a name of this file",
                        word.span,
                        notes=(Note(f"`{word}` is named here too", other.span),),
                    )
                    continue
                told[word.text] = word
                if target is not None and self.defines(target, word):
                    names[word.text] = (target.key, word.text)
        self.chain.pop()
        self.files[place.key] = file
        self.imports[place.key] = names

    def target(self, item: syntax.Import, place: _Place) -> _Place | None:
        """The file that an import names, loaded; None (and a message) where that fails."""
        target = self.find(item, place)
        if target is None or target.key in self.failed:
            return None
        if target.key in self.files:
            return target
        span = _path_span(item)
        keys = [p.key for p in self.chain]
        if target.key in keys:
            circle = [*self.chain[keys.index(target.key) :], target]
            self.sink.report(
                "SEQ0284",
                "these files import each other: " + " → ".join(p.shown for p in circle),
                span,
                label="this import closes the circle",
                help="move what both need into a third file, and import that one from both",
            )
            return None
        if len(self.chain) > self.limits.import_depth:
            self.sink.report("SEQ0286", f"imports are nested more than {self.limits.import_depth} deep", span)
            return None
        if len(self.files) + len(self.chain) + len(self.failed) >= self.limits.files:
            self.sink.report("SEQ0286", f"more than {self.limits.files} files are imported", span)
            return None
        self.visit(target)
        return target if target.key in self.files else None

    def find(self, item: syntax.Import, place: _Place) -> _Place | None:
        """Where the file of an import lies: below the root, else among the bundled specs."""
        parts = [w.text for w in item.path]
        name = ".".join(parts)
        if not place.bundled and self.root is not None:
            path = os.path.join(self.root, *parts) + SUFFIX
            if os.path.lexists(path):
                return self.inside(path, name, item)
        entry = bundled().get(name.removeprefix(f"{PREFIX}."))
        if entry is not None:
            return _Place(entry.key, str(entry.path), entry.shown, bundled=True)
        self.unknown(item, parts, place)
        return None

    def inside(self, path: str, name: str, item: syntax.Import) -> _Place | None:
        """The file at `path`, if it really lies below the root."""
        root = os.path.realpath(self.root or ".")
        real = os.path.realpath(path)
        if os.path.commonpath([root, real]) != root:
            self.sink.report(
                "SEQ0285",
                f"`{name}` leads out of the project's folder",
                _path_span(item),
                label="it is a symbolic link to somewhere else",
            )
            return None
        return _Place(name, path, path)

    def unknown(self, item: syntax.Import, parts: list[str], place: _Place) -> None:
        """Reports an import of a file that is nowhere."""
        name = ".".join(parts)
        known = {b.stem if len(parts) == 1 else b.name for b in all_bundled()}
        if not place.bundled and self.root is not None:
            folder = os.path.join(self.root, *parts[:-1]) or "."
            if os.path.isdir(folder):
                found = sorted(e for e in os.listdir(folder)[:1000] if e.endswith(SUFFIX))
                known |= {".".join([*parts[:-1], e.removesuffix(SUFFIX)]) for e in found}
        near = nearest(name, known)
        looked = [f"`{os.path.join(self.root, *parts) + SUFFIX}`"] if self.root is not None and not place.bundled else []
        self.sink.report(
            "SEQ0282",
            f"there is no file `{'/'.join(parts)}.seq` to import from",
            _path_span(item),
            label=f"did you mean `{near}`?" if near else "",
            notes=(Note("looked for " + ", then ".join([*looked, "a bundled spec of that name"])),),
            help=f"from {near} import {', '.join(w.text for w in item.names)}" if near else "",
        )

    def defines(self, target: _Place, word: syntax.Word) -> bool:
        """Whether the imported file defines `word`; a message where it does not."""
        file = self.files[target.key]
        known = [d.name.text for d in file.definitions]
        if word.text in known:
            return True
        near = nearest(word.text, known)
        origin = self.imports[target.key].get(word.text)
        note = f"it defines {', '.join(f'`{k}`' for k in known[:12])}" if known else "it defines nothing"
        if origin is not None:
            note = f"it only imports `{word}` from `{origin[0].removeprefix(f'{PREFIX}.')}`; import it from there"
        self.sink.report(
            "SEQ0283",
            f"`{target.shown}` does not define `{word}`",
            word.span,
            label=f"did you mean `{near}`?" if near else "",
            notes=(Note(note),),
        )
        return False


def _path_span(item: syntax.Import) -> Span:
    return item.path[0].span.to(item.path[-1].span)


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:
        return False

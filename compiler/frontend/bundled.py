"""The specs that come with seqc, by name.

In:   a dotted name (`cells.gru`) or a stem (`gru`).     Out:  where the file lies and how messages show it.
They are found as package resources; a user's files can neither replace nor reach into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import seqc.specs

FOLDERS: Final = ("cells", "operators", "blocks", "models")
PREFIX: Final = "seqc.specs"


@dataclass(frozen=True, slots=True)
class Bundled:
    """One bundled spec: its dotted name below the specs' root, and its file."""

    name: str
    path: Path

    @property
    def key(self) -> str:
        """What the file is called among the files of a project."""
        return f"{PREFIX}.{self.name}"

    @property
    def shown(self) -> str:
        """The path that messages show."""
        return f"{PREFIX}/{self.name.replace('.', '/')}.seq"

    @property
    def stem(self) -> str:
        """The last part of the name: what a user types."""
        return self.name.rpartition(".")[2]


@cache
def bundled() -> dict[str, Bundled]:
    """All bundled specs by dotted name and by stem (the first folder wins), sorted by folder and name."""
    root = Path(str(seqc.specs.__file__)).parent
    found: dict[str, Bundled] = {}
    for folder in ("", *FOLDERS):
        place = root / folder
        for path in sorted(place.glob("*.seq")) if place.is_dir() else []:
            entry = Bundled(f"{folder}.{path.stem}" if folder else path.stem, path)
            found[entry.name] = entry
            found.setdefault(entry.stem, entry)
    return found


def all_bundled() -> tuple[Bundled, ...]:
    """Each bundled spec once, in the order of folders and names."""
    return tuple(dict.fromkeys(bundled().values()))

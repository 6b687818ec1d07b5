"""`import seqc.hook` lets `import my_cell` find `my_cell.seq`.

A finder at the end of `sys.meta_path`: where Python itself finds nothing, a folder of `sys.path` (or of the package) that holds
`NAME.seq` gives the module of that spec. Errors in the spec become an ImportError with the diagnostics.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType


class SpecFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads `.seq` files as modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of `fullname` where a folder holds its `.seq` file."""
        name = fullname.rpartition(".")[2]
        if not name.isidentifier() or not name.isascii():
            return None
        for folder in sys.path if path is None else path:
            file = os.path.join(folder or os.curdir, f"{name}.seq")
            if os.path.isfile(file):
                made = importlib.machinery.ModuleSpec(fullname, self, origin=file)
                made.has_location = True
                return made
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Python's own kind of module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Compiles the spec and hands its classes to the module."""
        from seqc.compiler.driver.load import SpecError, load

        spec = module.__spec__
        assert spec is not None and spec.origin is not None
        try:
            made = load(spec.origin)
        except SpecError as wrong:
            raise ImportError(str(wrong), name=module.__name__, path=spec.origin) from wrong
        for name in [*made.__all__, "SPEC_DOC"]:
            setattr(module, name, getattr(made, name))
        module.__doc__ = made.SPEC_DOC
        module.__all__ = list(made.__all__)  # type: ignore[attr-defined]


def install() -> None:
    """Puts the finder in place, once."""
    if not any(isinstance(f, SpecFinder) for f in sys.meta_path):
        sys.meta_path.append(SpecFinder())


install()

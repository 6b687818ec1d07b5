"""Checks a project: syntax trees in, a `spec.Program` out. `check` is the stage's one entry point."""

from seqc.compiler.check.program import check

__all__ = ["check"]

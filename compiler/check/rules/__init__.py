"""Rules over checked bodies, one a file: each takes a `spec.Body` and reports into the sink."""

from seqc.compiler.check.rules import cycles, lints, ranges

RULES = (cycles.check, ranges.check, lints.check)

__all__ = ["RULES"]

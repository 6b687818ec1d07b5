"""Rules over checked bodies, one a file: each takes a `spec.Body` and reports into the sink."""

from seqc.compiler.check.rules import cycles, lints, looks_ahead, ranges

RULES = (cycles.check, looks_ahead.check, ranges.check, lints.check)

__all__ = ["RULES"]

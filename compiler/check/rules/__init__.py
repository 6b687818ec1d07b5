"""Rules over checked bodies, one a file: each takes a `spec.Body` and reports into the sink."""

from seqc.compiler.check.rules import batch, cycles, lints, ranges

RULES = (cycles.check, batch.check, ranges.check, lints.check)

__all__ = ["RULES"]

"""seqc: a compiler for sequence architectures."""

__version__ = "0.1.0"

"""What can go wrong on the way from C to a loaded library, each with its code (`seqc explain SEQ0601` says more)."""

from __future__ import annotations


class NativeError(RuntimeError):
    """The native backend cannot be used here; the message says what to do about it.

    code    SEQ06xx
    """

    code = "SEQ0600"

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"[{self.code}] {what}\nhelp: {remedy}")
        self.what, self.remedy = what, remedy


class NoCompiler(NativeError):
    """There is no C compiler that could be used."""

    code = "SEQ0601"


class CompileFailed(NativeError):
    """The C compiler refused what seqc wrote, or did not finish."""

    code = "SEQ0602"


class LoadFailed(NativeError):
    """A compiled library cannot be loaded here."""

    code = "SEQ0603"


class Untransformed(NativeError):
    """A kernel was asked for what it has no rule for: a second derivative, forward mode, a transform of `torch.func`."""

    code = "SEQ0605"

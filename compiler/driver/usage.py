"""A command or option that cannot be used as it stands."""

from __future__ import annotations


class Unusable(Exception):
    """A usage error, exit code 2: no such file, no such option value. `help` is what to write instead."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help

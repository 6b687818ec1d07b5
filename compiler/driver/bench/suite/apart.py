"""Runs a measurement of `child` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

LIMIT = 600.0
"""Seconds that a child may take."""


class Apart(Exception):
    """A child failed; the message says how."""


def apart(what: str, given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The record of a measurement. Raises `Apart`."""
    words = [sys.executable, "-m", "seqc.compiler.driver.bench.suite.child", what, json.dumps(given)]
    path = os.pathsep.join(p for p in sys.path if p)
    env = {**os.environ, "PYTHONPATH": path, **(environment or {})}
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, env=env, check=False)
    except subprocess.TimeoutExpired:
        raise Apart(f"not done after {LIMIT:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()]
        coded = [line for line in said if "SEQ0" in line]
        raise Apart((coded or said or [f"exit {done.returncode}"])[-1][:200])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found

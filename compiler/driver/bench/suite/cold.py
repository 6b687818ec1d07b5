"""From a spec to its first output where nothing is cached, each in a process of its own and with a cache of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from seqc.compiler.driver.bench.suite.apart import Apart, apart
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import Case, Row

ASKED = 3.0
"""Seconds."""

COMPILE = "torch.compile of the loop, T64"


def measured(
    row: Row, specs: Sequence[tuple[str, str, Mapping[str, int]]], loops: Sequence[Case], tick: Callable[[str], None]
) -> list[Figure]:
    """For each spec the seconds to the first output, the first gradient beside; for each loop those of `torch.compile`."""
    out: list[Figure] = []
    for spec, body, dims in specs:
        tick(f"{spec}: first output")
        about: dict[str, Any] = {"row": row.name, "subject": body, "sizes": "B1 T64", "against": "nothing cached", "unit": "s"}
        given = {"spec": spec, "body": body, "dims": dict(dims), "batch": 1, "length": 64}
        with tempfile.TemporaryDirectory(prefix="seqc-cold-") as folder:
            try:
                got = apart("first", given, {"SEQC_CACHE_DIR": folder})
            except Apart as why:
                about["status"] = "no kernel" if "SEQ0604" in str(why) else "failed"
                out.append(Figure(**about, what="first output", asked=ASKED, sense="at most", reason=str(why)))
                continue
        reason = f"first gradient after {got['both']:.1f} s"
        out.append(Figure(**about, what="first output", value=got["forward"], asked=ASKED, sense="at most", reason=reason))
    for case in loops:
        one = replace(case, batch=1, time=64)
        tick(f"{case.body}: {COMPILE}")
        about = {"row": row.name, "subject": case.body, "sizes": one.sizes, "against": COMPILE, "what": "first output", "unit": "s"}
        with tempfile.TemporaryDirectory(prefix="seqc-cold-") as folder:
            try:
                given = {"case": {**asdict(one), "bars": (), "dims": dict(one.dims)}}
                got = apart("compiled", given, {"TORCHINDUCTOR_CACHE_DIR": folder})
            except Apart as why:
                out.append(Figure(**about, status="failed", reason=str(why)))
                continue
        out.append(Figure(**about, value=got["forward"], reason="beside seqc's, by another process"))
    return out

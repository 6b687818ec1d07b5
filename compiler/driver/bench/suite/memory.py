"""Peak memory of forward and backward over growing lengths, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from seqc.compiler.driver.bench.suite.apart import Apart, apart
from seqc.compiler.driver.bench.suite.contestants import OWN
from seqc.compiler.driver.bench.suite.report import Figure
from seqc.compiler.driver.bench.suite.rows import LOOP, Case, Row

LENGTHS = (1024, 4096, 16384, 65536)
ASKED, STRAIGHT = 0.25, 1.25


def measured(row: Row, lengths: Sequence[int], threads: int, tick: Callable[[str], None]) -> list[Figure]:
    """For each length the ratio to the loop's; and whether bytes for each step stay the same from the first length to the last."""
    out: list[Figure] = []
    for case in row.cases:
        ours: dict[int, int] = {}
        for length in lengths:
            one = replace(case, time=length)
            about: dict[str, Any] = {"row": row.name, "subject": case.body, "sizes": one.sizes, "against": LOOP, "what": "peak memory"}
            try:
                got = {}
                for who in (OWN, LOOP):
                    tick(f"{case.body} {one.sizes}: memory of {who}")
                    got[who] = _peak(one, who, threads)
            except Apart as why:
                about["status"] = "no kernel" if "SEQ0604" in str(why) else "failed"
                out.append(Figure(**about, asked=ASKED, sense="at most", reason=str(why)))
                continue
            ours[length] = got[OWN]
            reason = f"{got[OWN] / 1e6:.1f} MB beside {got[LOOP] / 1e6:.1f} MB, inputs and parameters not counted"
            value = got[OWN] / got[LOOP] if got[LOOP] else None
            out.append(Figure(**about, value=value, asked=ASKED, sense="at most", reason=reason))
        if len(ours) > 1:
            first, last = min(ours), max(ours)
            value = (ours[last] / last) / (ours[first] / first) if ours[first] else None
            out.append(
                Figure(
                    row=row.name,
                    subject=case.body,
                    sizes=f"T{first} to T{last}",
                    against="linear in T",
                    what="peak memory a step",
                    value=value,
                    asked=STRAIGHT,
                    sense="at most",
                    reason=f"{ours[last] / last:.0f} bytes a step at the longest, {ours[first] / first:.0f} at the shortest",
                )
            )
    return out


def _peak(case: Case, who: str, threads: int) -> int:
    given = {**asdict(case), "bars": (), "dims": dict(case.dims)}
    return int(apart("peak", {"case": given, "who": who, "threads": threads})["bytes"])

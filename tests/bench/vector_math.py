"""How fast vecmath.h is: values per second on one core, from and to the first-level cache, beside glibc's libmvec.

    python tests/bench/vector_math.py [--format json] [--only exp,tanh]

Both sides run whole vectors of the same width over the same 2,048 floats (1,024 doubles), each in loops of the same C file, in
turns; the best of the turns counts, since interruptions only ever make a turn longer. ratio = ours / libmvec. libmvec (x86 with
glibc 2.35 or later) is a yardstick only: it is loaded here and nowhere else.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from typing import Any

import numpy as np

from seqc.runtime.native import find_toolchain, load

FUNCTIONS = "exp expm1 log log1p tanh sigmoid silu softplus logsigmoid sin cos sincos atan erf gelu pow sqrt rsqrt".split()
IN_LIBMVEC = {"exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "atan", "erf", "pow"}
COUNT = 2048


def source(names: list[str], theirs: set[str]) -> str:
    """Loops `ours_NAME_FORM(x, y, count, turns)` and `theirs_…`; binary functions take 1.7 as their second operand."""
    lines = ['#include "vecmath.h"', "SQ_EXPORT int lanes(void) { return SQ_N32; }"]
    for form, scalar, width in (("v32", "float", "SQ_N32"), ("v64", "double", "SQ_N64")):
        for name in names:
            x = f"sq_load_{form}(x + i)"
            second = f", sq_set_{form}(1.7f)" if name == "pow" else ""
            work = f"sq_store_{form}(y + i, sq_{name}_{form}({x}{second}));"
            if name == "sincos":
                work = f"sq_{form} s, c; sq_sincos_{form}({x}, &s, &c); sq_store_{form}(y + i, s + c);"
            lines.append(loop(f"ours_{name}_{form}", scalar, width, work))
            if name in theirs:
                symbol = {"v32": ("16" if width_is_64() else "8"), "v64": ("8" if width_is_64() else "4")}[form]
                mangled = f"_ZGV{'e' if width_is_64() else 'd'}N{symbol}v{'v' if second else ''}_{name}{'f' if form == 'v32' else ''}"
                lines.append(f"sq_{form} {mangled}(sq_{form}{', sq_' + form if second else ''});")
                lines.append(loop(f"theirs_{name}_{form}", scalar, width, f"sq_store_{form}(y + i, {mangled}({x}{second}));"))
    return "\n".join(lines) + "\n"


def loop(name: str, scalar: str, width: str, work: str) -> str:
    return (
        f"SQ_EXPORT void {name}(const {scalar} *x, {scalar} *y, int64_t n, int64_t turns) {{ for (int64_t r = 0; r < turns; r++) {{ "
        f'for (int64_t i = 0; i < n; i += {width}) {{ {work} }} __asm__ volatile("" : : "r"(y) : "memory"); }} }}'
    )


def width_is_64() -> bool:
    return {"AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL"} <= set(find_toolchain().features)


def libmvec() -> bool:
    """Makes libmvec's symbols visible to what is loaded afterwards; False where there is none that fits."""
    if find_toolchain().target != "x86_64" or not {"AVX2", "FMA"} <= set(find_toolchain().features):
        return False
    try:
        library = ctypes.CDLL("libmvec.so.1", mode=ctypes.RTLD_GLOBAL)
        return hasattr(library, "_ZGVeN16v_tanhf")
    except OSError:
        return False


def rate(function: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Values per second of one turn of about 2 ms."""
    turns = 16
    while True:
        start = time.perf_counter()
        function(x.ctypes.data, y.ctypes.data, x.size, turns)
        spent = time.perf_counter() - start
        if spent > 1e-3:
            return x.size * turns / spent
        turns *= 2


def measure(names: list[str], turns: int) -> list[dict[str, Any]]:
    theirs = IN_LIBMVEC if libmvec() else set()
    library = load(source(names, theirs), label="bench vector_math")
    rows = []
    for form, dtype in (("v32", np.float32), ("v64", np.float64)):
        size = COUNT * 4 // np.dtype(dtype).itemsize
        for name in names:
            low = 1e-3 if name in {"log", "log1p", "pow", "sqrt", "rsqrt"} else -8.0
            x, y = np.linspace(low, 8.0, size, dtype=dtype), np.empty(size, dtype)
            best = {"ours": 0.0, "theirs": 0.0}
            functions = {
                who: library.function(f"{who}_{name}_{form}", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64])
                for who in best
                if who == "ours" or name in theirs
            }
            for _ in range(turns):
                for who, function in functions.items():
                    best[who] = max(best[who], rate(function, x, y))
            row: dict[str, Any] = {"function": name, "type": "fp32" if form == "v32" else "fp64", "rate": best["ours"]}
            if best["theirs"]:
                row |= {"libmvec": best["theirs"], "ratio": best["ours"] / best["theirs"]}
            rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="values per second of vecmath.h on one core")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument("--only", default="", help="functions, separated by commas")
    parser.add_argument("--turns", type=int, default=30)
    options = parser.parse_args()
    names = [name for name in FUNCTIONS if not options.only or name in options.only.split(",")]
    tools = find_toolchain()
    rows = measure(names, options.turns)
    if options.format == "json":
        json.dump({"compiler": tools.name, "features": tools.features, "rows": rows}, sys.stdout, indent=1)
        print()
        return 0
    print(f"{tools.name}, {' '.join(tools.features)}; one thread, 10^9 values per second")
    print(f"{'':12s}{'fp32':>8s}{'libmvec':>9s}{'ratio':>7s}{'fp64':>10s}{'libmvec':>9s}{'ratio':>7s}")
    by = {(row["function"], row["type"]): row for row in rows}
    for name in names:
        cells = []
        for kind in ("fp32", "fp64"):
            row = by[name, kind]
            cells.append(f"{row['rate'] / 1e9:{8 if kind == 'fp32' else 10}.2f}")
            cells.append(f"{row['libmvec'] / 1e9:9.2f}{row['ratio']:7.2f}" if "ratio" in row else f"{'':16s}")
        print(f"{name:12s}{''.join(cells)}".rstrip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

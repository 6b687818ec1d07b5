"""A translation unit of C from kernels, and what the runtime has to know to call it.

In:   kernels as the region builder makes them (they may hold `stop` and `through`).
Out:  a `Unit`: C text for any floating type (macros that the runtime defines in front of it choose one, and the storage type
      of each slot), and for each kernel a description made of tuples, strings and numbers only, which is written into the
      generated module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqc.compiler.ir.kernel import REPLAYED, Derivative, Kernel, Var
from seqc.compiler.lower.kernels.differentiate import differentiate
from seqc.compiler.lower.kernels.plain import plain
from seqc.compiler.lower.kernels.settle import settled
from seqc.compiler.lower.kernels.split import splits, words
from seqc.compiler.lower.kernels.verify import verify, verify_derivative
from seqc.compiler.lower.native.emit_kernel import Emission, Slot, slots_of

PRELUDE = """#include "vecmath.h"
#include <stdlib.h>
#include <string.h>

/* The floating type of all arithmetic. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if SEQC_REAL == 64
typedef double R;
typedef sq_v64 V;
typedef sq_m64 M;
#define W SQ_N64
#define VF(name) sq_##name##_v64
#define SF(name) sq_##name##_f64
#else
typedef float R;
typedef sq_v32 V;
typedef sq_m32 M;
#define W SQ_N32
#define VF(name) sq_##name##_v32
#define SF(name) sq_##name##_f32
#endif
#define LANES_SUM(v) VF(sum)(v)
#define LANES_MAX(v) VF(hmax)(v)
#define LANES_MIN(v) VF(hmin)(v)

/* What lies in memory: R itself, or 16 bits. */
#define TY(k) JOIN(TY_, k)
#define LD(k, p) JOIN(LD_, k)(p)
#define LDP(k, p, n) JOIN(LDP_, k)(p, n)
#define LD1(k, p) JOIN(LD1_, k)(p)
#define ST(k, p, v) JOIN(ST_, k)(p, v)
#define STP(k, p, n, v) JOIN(STP_, k)(p, n, v)
#define ST1(k, p, v) JOIN(ST1_, k)(p, v)
#define TY_plain R
#define LD_plain(p) VF(load)(p)
#define LDP_plain(p, n) VF(load_part)(p, n)
#define LD1_plain(p) (*(p))
#define ST_plain(p, v) VF(store)(p, v)
#define STP_plain(p, n, v) VF(store_part)(p, n, v)
#define ST1_plain(p, v) (*(p) = (v))
#define TY_bf16 uint16_t
#define LD_bf16(p) sq_load_bf16_v32(p)
#define LDP_bf16(p, n) sq_load_part_bf16_v32(p, n)
#define LD1_bf16(p) sq_from_bf16_f32(*(p))
#define ST_bf16(p, v) sq_store_bf16_v32(p, v)
#define STP_bf16(p, n, v) sq_store_part_bf16_v32(p, n, v)
#define ST1_bf16(p, v) (*(p) = sq_to_bf16_f32(v))
#define TY_f16 uint16_t
#define LD_f16(p) sq_load_f16_v32(p)
#define LDP_f16(p, n) sq_load_part_f16_v32(p, n)
#define LD1_f16(p) sq_from_f16_f32(*(p))
#define ST_f16(p, v) sq_store_f16_v32(p, v)
#define STP_f16(p, n, v) sq_store_part_f16_v32(p, n, v)
#define ST1_f16(p, v) (*(p) = sq_to_f16_f32(v))

SQ_FN M FIRST(int n) {
    R lane[W];
    for (int i = 0; i < (int)W; i++) lane[i] = (R)i;
    return VF(lt)(VF(load)(lane), VF(set)((R)n));
}

/* Memory for one task, of which the first `clear` numbers are 0. */
SQ_FN R *scratch_of(int64_t numbers, int64_t clear) {
    void *p = 0;
    if (posix_memalign(&p, 64, (size_t)(numbers > 0 ? numbers : 1) * sizeof(R) + 64)) return 0;
    memset(p, 0, (size_t)clear * sizeof(R));
    return p;
}
"""


def lane_sums() -> str:
    """C for the sums over the lanes of as many vectors as there are lanes, in one vector: the order of additions is that of
    VF(sum).

    Halves first: two vectors become one that holds the half sums of both, until one vector is left; for each number of lanes.
    """
    out = ["#if defined(__clang__) || __GNUC__ >= 12"]
    for lanes in (2, 4, 8, 16):
        out += [f"#define LANES_SUM_ROWS_{lanes}(p) ({{ V z[{lanes}]; \\"]
        out += [f"    for (int i = 0; i < {lanes}; i++) z[i] = VF(load)((p) + i * {lanes}); \\"]
        half = lanes // 2
        while half:
            low: list[int] = []
            high: list[int] = []
            for block in range(0, lanes, 2 * half):
                for side in (0, lanes):
                    low += [side + block + j for j in range(half)]
                    high += [side + block + half + j for j in range(half)]
            text = [", ".join(map(str, part)) for part in (low, high)]
            out += [f"    for (int i = 0; i < {half}; i++) z[i] = __builtin_shufflevector(z[i], z[i + {half}], {text[0]}) \\"]
            out += [f"        + __builtin_shufflevector(z[i], z[i + {half}], {text[1]}); \\"]
            half //= 2
        out += ["    z[0]; })"]
    out += [
        "#define LANES_SUM_ROWS(p) JOIN(LANES_SUM_ROWS_, W)(p)",
        "#else",
        "SQ_FN V LANES_SUM_ROWS(const R *p) {",
        "    R a[W];",
        "    for (int i = 0; i < (int)W; i++) a[i] = VF(sum)(VF(load)(p + i * W));",
        "    return VF(load)(a);",
        "}",
        "#endif",
    ]
    return "\n".join(out) + "\n"


@dataclass(frozen=True, slots=True)
class Function:
    """One kernel or adjoint, as C and as the runtime sees it."""

    lines: tuple[str, ...]
    about: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """C text and the description of each kernel in it, in order: (forward, adjoint or None)."""

    text: str
    kernels: tuple[tuple[Any, Any], ...]


def ready(k: Kernel) -> Kernel:
    """A kernel in the form that is differentiated: settled and verified, its splits known."""
    k = settled(k)
    verify(k)
    from dataclasses import replace

    return verify(replace(k, split=splits(k)))


def chosen_split(k: Kernel) -> str:
    """The axis to cut along: one that leaves no shares to be added up, if possible, and rows whole; "" for none."""

    def rank(a: str) -> tuple[int, int, int]:
        said = words(k, a)
        assert said is not None
        shares = sum(said[v.id] == "part" for v in (*k.rows, *k.totals))
        lacking = sum(a not in c.previous.axes for c in k.carries)
        return (lacking, shares, k.axes.index(a))

    return min(k.split, key=rank, default="")


def unit(kernels: Sequence[Kernel], adjoints: bool = True) -> Unit:
    """The unit of several kernels, which must differ in name."""
    lines: list[str] = []
    about: list[tuple[Any, Any]] = []
    for raw in kernels:
        k = ready(raw)
        d: Derivative | None = None
        if adjoints:
            d = differentiate(k)
            d = replace_kernel(d, settled(d.kernel))
            verify_derivative(d, k)
        flat = verify(plain(k))
        replayed = [c.previous for c, how in zip(flat.carries, d.stored if d else (), strict=False) if how == REPLAYED]
        split = chosen_split(flat)
        forward = Emission(flat, split, replayed)
        text = forward.run()
        lines += [*storage(flat.name, forward.slots), *text, ""]
        backward_about = None
        if d is not None:
            split_back = chosen_split(d.kernel)
            backward = Emission(d.kernel, split_back, replayed, d, flat)
            text = backward.run()
            lines += [*storage(d.kernel.name, backward.slots), *text, ""]
            backward_about = (*described(d.kernel, split_back, backward, replayed), d.sources, d.gradients, d.stored)
        about.append((described(flat, split, forward, replayed), backward_about))
    return Unit(PRELUDE + lane_sums() + "\n" + "\n".join(lines), tuple(about))


def replace_kernel(d: Derivative, k: Kernel) -> Derivative:
    """A derivative with another kernel."""
    return Derivative(k, d.sources, d.gradients, d.stored, d.replay)


def storage(name: str, slots: Sequence[Slot]) -> list[str]:
    """What each slot's memory holds, unless the runtime says otherwise."""
    out: list[str] = []
    for i in range(len(slots)):
        out += [f"#ifndef {name}_s{i}", f"#define {name}_s{i} plain", "#endif"]
    return out


def described(k: Kernel, split: str, e: Emission, replayed: Sequence[Var]) -> tuple[Any, ...]:
    """What the runtime has to know of one function: name, axes, split axis, operands, results, and the sizes of its scratch.

    operands (kind, axes), results (what, axes, part, lone), carries (operand it starts from or a number); scratch: the axes of
    each array, and of those that are kept for each step between checkpoints.
    """
    by_id = {o.var.id: i for i, o in enumerate(k.operands)}
    operands = tuple((o.kind, o.var.axes) for o in k.operands)
    results = tuple((s.what, s.var.axes, s.part, s.lone) for s in slots_of(k, split, replayed) if s.what != "operand")
    starts = tuple(by_id.get(c.init.id, -1) if isinstance(c.init, Var) else float(c.init) for c in k.carries)
    arrays = tuple(p.axes for p in e.arrays)
    kept = tuple(v.axes for v in replayed) if k.reverse else ()
    return (k.name, k.axes, split, operands, results, starts, arrays, kept)

"""Codes of what a machine lacks when compiled code is to run (06xx), for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

_E = CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = (
    _E(
        "SEQ0601",
        "no C compiler",
        "The native backend writes C and has it compiled by the compiler of the system: the program that CC names, else `cc`, "
        "`gcc` or `clang` on the path; GCC from 9 on, Clang from 11 on. Where CC is set, nothing else is tried, and flags in "
        "it are refused: the arguments are fixed, so that the same source gives the same numbers everywhere. With `auto` as "
        "the backend a machine without a compiler runs the reference and says so once; an explicit `native` is this error.",
    ),
    _E(
        "SEQ0602",
        "the C compiler does not take what seqc wrote",
        "Either the compiler is broken or seqc wrote wrong C; the first lines of what the compiler said stand in the message. "
        "This is a bug to be reported with the spec that shows it. The reference backend needs no compiler.",
    ),
    _E(
        "SEQ0603",
        "a compiled library cannot be loaded",
        "The file was made, and the system refuses to load it: the cache lies on a file system that forbids programs "
        "(`noexec`), a library it needs is missing, or the compiler linked start-up code that switches denormals off for the "
        "whole process, which seqc does not accept. SEQC_CACHE_DIR chooses another folder, CC another compiler.",
    ),
    _E(
        "SEQ0600",
        "the native backend failed",
        "What is common to all failures of the native backend; the message says which one it is. The reference backend runs "
        "every spec without a compiler.",
    ),
    _E(
        "SEQ0604",
        "a loop over time has no native kernel",
        "The native backend compiles loops over time whose updates are elementwise or contract axes that the state has already. "
        "This one is something else, as the message says: a learned matrix on the state, a derivative inside the step, a read "
        "at a place that changes. An explicit `native` is a promise, so it is this error; `auto` runs such a loop with the "
        "reference and everything else in C.",
    ),
    _E(
        "SEQ0605",
        "native kernels cannot do this with a derivative",
        "Kernels have a first derivative in reverse mode, which is what training takes. Second derivatives (`create_graph=True`, then "
        "backward again), forward mode and the transforms of `torch.func` need the operations one by one: build the module with "
        '`backend="reference"`. With `auto`, forward mode and `torch.func` run on the reference by themselves; a second derivative is '
        "asked for too late for that.",
    ),
    _E(
        "SEQ0606",
        "Triton cannot run here",
        "The Triton backend needs Triton (Linux only) and a GPU, and inputs that lie on it. Without a GPU its kernels can be run "
        "in Triton's interpreter, slowly and on small sizes: TRITON_INTERPRET=1 has to be set before Triton is imported, which "
        "`seqc verify SPEC --backend triton` does by itself. `seqc aot` compiles the kernels with no GPU present.",
    ),
    _E(
        "SEQ0607",
        "a folder of compiled kernels cannot be used",
        "`seqc aot SPEC --target sm_90 -o FOLDER` writes binaries and a manifest with the SHA-256 of each. What is loaded must be "
        "what was written, by the same version of Triton, from the same text of the kernel; otherwise it is this error and the "
        "spec has to be compiled again. Without such a folder kernels are compiled when they are first used.",
    ),
    _E(
        "SEQ0608",
        "a compiled Triton kernel computes something else",
        "Before a kernel is used on a GPU for the first time in a schedule (block sizes, warps, stages), it runs once on a few made-up "
        "numbers, and the results are compared with what its own text says, computed on the CPU without Triton. A schedule that "
        "differs is dropped, and so is one that is known to be compiled wrongly for this GPU by this version of Triton; the next one "
        "is tried. Here none was left. Another version of Triton may do it; the reference backend always does. The verdicts lie in "
        "the cache; `seqc cache clear` has everything checked again, and SEQC_CHECK=0 switches the check off.",
    ),
)

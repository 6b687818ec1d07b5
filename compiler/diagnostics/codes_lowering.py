"""Codes of `lowering`, for `codes.py`: what is checked and analysed and cannot be run, and why."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = (
    CodeEntry(
        "SEQ0501",
        "no order of loops computes these values",
        "Two values need each other within one step along different loops. The checker normally finds such a loop and "
        "reports SEQ0301 with the line to change.",
    ),
    CodeEntry(
        "SEQ0502",
        "this order of equations cannot be run yet",
        "A value is read at a place that the loops of the body have not reached: the last level of a stack inside the "
        "loop over time that computes it, for example. Give the part that is read a line of its own outside of the "
        "stack, or read the level before.",
    ),
    CodeEntry(
        "SEQ0503",
        "an axis that the running value does not have",
        "The value is read along an axis that it does not have where it is computed. Name the axis in the value's "
        "declared shape.",
    ),
    CodeEntry(
        "SEQ0504",
        "several results need a name",
        "`eigh` and `scan` give several results, and a called body may give several outs. Give the call a name of its "
        "own and read its fields: `e = eigh(A, over = j)`, then `e.values`.",
    ),
    CodeEntry(
        "SEQ0505",
        "there is no step here",
        "The module runs on whole sequences, but an equation sees steps after this one (a reduction over `t`, a read "
        "ahead, a relation that holds later steps), so it cannot go step by step. `seqc explain` names the line under "
        "streaming.",
    ),
    CodeEntry(
        "SEQ0506",
        "levels are read where this order of loops does not have them",
        "A family of levels (`W[l]`) is read in a place that runs before or inside the loop that makes it. Read it in a "
        "second stack over the same levels, or after the stack.",
    ),
    CodeEntry(
        "SEQ0510",
        "a read of graphs or of earlier calls",
        "Reads at `pred`, `succ` and `call` run with the version that brings graphs and values that outlive a call. The "
        "spec checks and is analysed already.",
    ),
    CodeEntry(
        "SEQ0511",
        "the scan mode is not legal here",
        "A schedule or `--scan` asks for a mode that the analysis does not allow for this recurrence. `seqc explain "
        "SPEC` lists the legal modes of each component, and for each illegal one what stands in its way.",
    ),
    CodeEntry(
        "SEQ0512",
        "a topology that does not run yet",
        "Grids, trees, dags, graphs and products of topologies are checked and analysed; running them comes with a "
        "later version. Chains, ranges, both directions, stacks and rounds run.",
    ),
    CodeEntry(
        "SEQ0513",
        "a state that outlives the call",
        "A state `over call`, or a value that lives on edges, is checked and analysed; running it comes with a later "
        "version.",
    ),
    CodeEntry(
        "SEQ0514",
        "texts do not run yet",
        "Values of text belong to operators of the host, which come with a later version.",
    ),
    CodeEntry(
        "SEQ0515",
        "an operator of the host",
        "An `extern` is checked, and opaque to the analysis; calling it comes with a later version.",
    ),
    CodeEntry(
        "SEQ0530",
        "the step graph is too large",
        "With every call put in, the step graph has more nodes than the limit. Split the body, or repeat with rounds in "
        "place of nested calls.",
    ),
    CodeEntry(
        "SEQ0531",
        "calls are nested too deep",
        "Bodies that call bodies are put into one graph, down to a fixed depth. Flatten the nesting.",
    ),
    CodeEntry(
        "SEQ0540",
        "the backend does not run this mode",
        "The mode is legal, and this backend has no such kernel. Another backend, or `scan = auto`, takes a mode that "
        "it has.",
    ),
    CodeEntry(
        "SEQ0541",
        "the backend is not there",
        "A backend that was asked for is a promise: nothing else is run in its place. `backend = auto` takes what there "
        "is.",
    ),
    CodeEntry(
        "SEQ0901",
        "a bug in seqc",
        "Something went wrong that no spec should be able to cause. The message names the last good stage and a file that holds "
        "what is needed to see it again; SEQC_DEBUG=1 shows the traceback.",
    ),
)

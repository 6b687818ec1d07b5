"""What is known to be compiled wrongly: by which Triton, for which GPU, in which texts and schedules.

In:      the text of an emitted function, its blocks and warps, the version of Triton, the GPU's architecture.
Out:     the entry of `BAD` that fits, if any: then another schedule is taken, and where every schedule fits it, the kernel is refused with
         the entry's reason.
Keeps:   data and a matching function; nothing is run. `features` reads a text as a tree and executes nothing of it.

What is not in this table is found by the check of each schedule at its first use (`trial`); the table is for faults that depend on the data
or show only sometimes, so that two chunks of made-up numbers may miss them.
"""

from __future__ import annotations

import ast
import functools
import inspect
from dataclasses import dataclass
from typing import Any

from seqc.runtime.triton.blocks import Blocks

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bad:
    """One fault.

    since, until   versions of Triton: from the first on, up to and without the second; () for no end
    targets        architectures (`sm_90`, `gfx942`); () for all
    feature        a word of `features` that the text has
    width          a block of this many entries; 0 for any
    warps          so many warps; 0 for any
    why            what goes wrong, and who found it
    """

    since: Version
    until: Version
    targets: tuple[str, ...]
    feature: str
    width: int
    warps: int
    why: str


TURNED, DOT, REVERSE = "a product whose operand is another product, transposed", "a matrix product", "a scan in reverse"

BAD: tuple[Bad, ...] = (
    Bad(
        (3, 4), (3, 7, 1), ("sm_90", "sm_90a"), TURNED, 64, 0,
        "Triton from 3.4 to before 3.7.1 compiles a product of a transposed product wrongly for Hopper where a block is 64 wide "
        "(flash-linear-attention 640, unsloth-zoo 1010)",
    ),
    Bad(
        (3, 4), (), ("sm_90", "sm_90a"), DOT, 64, 4,
        "four warps with products of 64-wide blocks gave wrong gradients or reads of foreign memory on Hopper, with Triton 3.7.1 too "
        "(flash-linear-attention 988)",
    ),
    Bad(
        (), (), (), REVERSE, 0, 0,
        "scans with reverse=True were compiled wrongly by several versions of Triton; seqc turns the rows itself",
    ),
)  # fmt: skip
"""Faults that were reported, each with who found it."""


def known(text: str, blocks: Blocks, steps: int, version: Version, target: str, table: tuple[Bad, ...] = BAD) -> Bad | None:
    """The fault that a function in a schedule has; None where none is known. `steps`: of a tile, 0 where there are none."""
    has = features(text)
    for bad in table:
        if (
            bad.feature in has
            and bad.since <= version
            and (not bad.until or version < bad.until)
            and (not bad.targets or target in bad.targets)
            and (not bad.width or bad.width in (*blocks.axes, steps))
            and (not bad.warps or bad.warps == blocks.warps)
        ):
            return bad
    return None


@functools.lru_cache(maxsize=512)
def features(text: str) -> frozenset[str]:
    """What a text has that a fault may depend on."""
    out: set[str] = set()
    products: set[str] = set()
    turned: set[str] = set()
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return frozenset((DOT, TURNED, REVERSE))
    every = sorted((n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AugAssign)), key=lambda n: n.lineno)
    for one in (*every, *every):  # what the end of a loop defines its beginning reads
        target = one.targets[0] if isinstance(one, ast.Assign) else one.target
        names = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
        if _calls(one.value, "dot"):
            products |= names
        elif products & _reads(one.value):
            products |= names  # also what is computed of a product
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _turns(node.value) and products & _reads(node.value):
            turned |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "dot":
            out.add(DOT)
            for a in node.args:
                if turned & _reads(a) or _turns(a) and products & _reads(a):
                    out.add(TURNED)
        if node.func.attr in ("associative_scan", "cumsum", "cumprod") and _reverse(node):
            out.add(REVERSE)
    return frozenset(out)


def _calls(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == name for n in ast.walk(node))


def _turns(node: ast.AST) -> bool:
    return _calls(node, "trans") or _calls(node, "permute")


def _reads(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _reverse(node: ast.Call) -> bool:
    """Whether a call says `reverse`, by anything but False."""
    given = [k.value for k in node.keywords if k.arg == "reverse"] + node.args[3:]
    return any(not (isinstance(v, ast.Constant) and v.value is False) for v in given)


def text_of(function: Any) -> str:
    """The text of a generated function; "" where it cannot be had."""
    try:
        return inspect.getsource(function.function)
    except (OSError, TypeError):
        return ""

"""The wording of syntax errors: one list of rules, the first that knows the case answers.

In:   a `Trouble`: the wrong token and what would have been accepted.     Out:  the finding, at the first wrong token.
Frequent mistakes get a message of their own with a fix to paste; the rest is worded from the parser's state, in the user's
words and never by the name of a terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from seqc.compiler.diagnostics.diagnostic import Diagnostic
from seqc.compiler.frontend import hints_expressions, hints_lines, hints_words
from seqc.compiler.frontend.trouble import Trouble
from seqc.compiler.frontend.wording import expected

__all__ = ["Trouble", "explain"]

RULES: Final[tuple[Callable[[Trouble], Diagnostic | None], ...]] = (
    hints_words.foreign_sign,
    hints_lines.layout_of_blocks,
    hints_lines.imports,
    hints_words.misspelt_definition,
    hints_words.foreign_word,
    hints_words.unknown_kind,
    hints_lines.head_of_block,
    hints_lines.ranges_of_indices,
    hints_expressions.slices,
    hints_lines.shapes,
    hints_lines.dims_and_functions,
    hints_lines.equations,
    hints_lines.order_of_parts,
    hints_expressions.comparisons,
    hints_expressions.lists,
    hints_expressions.reads,
    hints_expressions.commas,
    hints_words.keyword_as_name,
)


def explain(trouble: Trouble) -> Diagnostic:
    """The finding for one error of the parser."""
    for rule in RULES:
        answer = rule(trouble)
        if answer is not None:
            return answer
    return hints_lines.fallback(trouble, expected(trouble.accepted, trouble.prev))

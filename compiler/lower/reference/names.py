"""Python names for a spec's names.

In:   names as the checker passed them (ASCII identifiers, dots in names of layers' parameters).
Out:  Python identifiers: the spec's own word wherever it is free, with trailing underscores where Python, torch, the runtime or another
      name of the same method has it.
Refuses: anything that is no identifier (`ValueError`): the second wall behind the grammar (reliability.md, S2).
"""

from __future__ import annotations

import builtins
import keyword
import re

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}\Z")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")

GLOBAL = frozenset(
    """torch F fn arrays history relation initialise layers calls tables NamedTuple Tensor Any Module Run Table Input Out Site
    average complex_of wide choose self run state start_ first after outs kept values device dtype cdtype kind at annotations
    lengths cu_seqlens reset watch backend scan without given once SITES math enumerate zip range tuple list dict max min ratio
    power n_step grads
    number values""".split()
)
MODULE = frozenset(
    """T_destination add_module adopt apply begun bfloat16 binding buffers build call_super_init child children compile
    complex_dtype const const_default constant cpu cuda descend dims double dtype dump_patches eval execute explain
    explain_choice extra_repr
    field_axes float forward get_buffer get_extra_state get_parameter get_submodule half held hole init_state initial ipu levels
    load_state_dict looks loss losses make make_levels modules module mtia named_buffers named_children named_modules
    named_parameters one_step own parameter parameters place plain_start project range_length register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ reset_parameters sequence set_extra_state
    set_submodule setting share_memory sizes sizes_in start state_dict step target to to_empty train training type xpu zero_grad
    TABLE STATE OUTS LOSSES SITES REPORT DOC KERNELS DECODE LEFT TRITON TRITON_LEFT TRITON_SERIAL TRITON_STEPS NEWTON
    TRITON_NEWTON NEWTON_LEFT NEWTON_ADJOINT FACTS SCAN asked newton newton_report report
    sequence_given""".split()
)
SOFT = frozenset(keyword.softkwlist)
PYTHON = frozenset(keyword.kwlist) | SOFT | frozenset(dir(builtins))


def checked(word: str) -> str:
    """`word` itself; `ValueError` where it is no plain identifier."""
    if not WORD.match(word):
        raise ValueError(f"{word!r} is no identifier of a spec")
    return word


def attribute(word: str) -> str:
    """How a part of a parameter's path is read in Python: with an underscore behind it where `nn.Module` has the word."""
    checked(word)
    return word + "_" if word in MODULE or word in PYTHON or word.startswith("_") else word


def keyword_argument(word: str) -> str:
    """How an input, dim or hole is given in Python."""
    checked(word)
    taken = (
        word in PYTHON
        and keyword.iskeyword(word)
        or word in ("self", "state", "lengths", "cu_seqlens", "reset", "watch", "device", "dtype", "backend", "scan", "without")
    )
    return word + "_" if taken else word


class Namer:
    """Hands out Python names within one method, no two alike: an underscore behind Python's own words, numbers behind repetitions."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self.reserved = GLOBAL | PYTHON
        self.taken = set(self.reserved | taken)

    def fresh(self, wish: str) -> str:
        """A new name as near to `wish` as is free; dots and primes become underscores."""
        name = wish.replace(".", "_").replace("'", "_").replace("~", "_").replace("#", "_")
        if not IDENTIFIER.match(name):
            raise ValueError(f"{wish!r} gives no identifier")
        if name.startswith("__"):
            name = name.lstrip("_") or "v"
        if name in self.reserved:
            name += "_"
        base, n = name, 2
        while name in self.taken:
            name, n = f"{base}{n}" if not base[-1].isdigit() else f"{base}_{n}", n + 1
        self.taken.add(name)
        return name

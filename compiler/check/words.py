"""The words of the language: functions by how they treat axes, special axes, and what may not be a name."""

from __future__ import annotations

from seqc.compiler.ir.expr import Type

ELEMENTWISE: dict[str, tuple[int, int]] = {
    # function: least and greatest number of operands
    "sigmoid": (1, 1), "tanh": (1, 1), "softplus": (1, 1), "logsigmoid": (1, 1), "log1p": (1, 1), "expm1": (1, 1),
    "silu": (1, 1), "gelu": (1, 1), "relu": (1, 1), "sin": (1, 1), "cos": (1, 1), "atan": (1, 1), "exp": (1, 1), "log": (1, 1),
    "sqrt": (1, 1), "abs": (1, 1), "sign": (1, 1), "floor": (1, 1), "ceil": (1, 1), "stop": (1, 1), "re": (1, 1), "im": (1, 1),
    "conj": (1, 1), "cis": (1, 1), "bitlen": (1, 1),
    "mod": (2, 2), "roundup": (2, 2), "logaddexp": (2, 2), "expdiff": (2, 2), "complex": (2, 2), "through": (2, 2),
    "xor": (2, 2), "where": (3, 3),
}  # fmt: skip
"""Functions that work entry by entry."""

REDUCING = ("sum", "mean", "max", "min", "prod", "logsumexp", "argmax")
KEEPING = ("softmax", "cumsum", "l2norm", "rank", "fft", "ifft", "topk", "inverse", "matrix_exp")
NORMS = ("rmsnorm", "layernorm", "groupnorm", "batchnorm")
LAYERS = ("linear", "conv", "lowrank", "embedding")
DRAWS = {
    "normal": (0, 2),
    "uniform": (0, 2),
    "gumbel": (0, 0),
    "bernoulli": (1, 1),
    "orthogonal": (0, 1),
    "xavier": (0, 0),
    "kaiming": (0, 0),
}
STARTS_ONLY = ("orthogonal", "xavier", "kaiming")
OTHERS = (
    "dot",
    "outer",
    "concat",
    "split",
    "merge",
    "at",
    "grad",
    "onehot",
    "eye",
    "len",
    "pos",
    "scan",
    "solve",
    "eigh",
    "dropout",
)
FUNCTIONS = frozenset([*ELEMENTWISE, *REDUCING, *KEEPING, *NORMS, *LAYERS, *DRAWS, *OTHERS])
"""Every function of language.md section 5."""

PASSES_SHAPE = frozenset([*ELEMENTWISE, "softmax", "cumsum", "l2norm", "rank", "fft", "ifft", "inverse", "matrix_exp", *NORMS, "dropout"])
"""What may stand between a layer and the `=` whose declared shape it takes."""

CONSTANTS = ("true", "false", "none", "pi", "inf")
SPECIAL_AXES = ("pred", "succ", "batch", "call", "edge")
FLOATS = ("f64", "f32", "f16", "bf16")
TYPES: dict[str, Type] = {
    **dict.fromkeys(FLOATS, "real"),
    "float": "real",
    "complex": "complex",
    "int": "int",
    "bool": "bool",
    "text": "text",
}

"""The wall behind the emitter: generated text is read again and must contain nothing but what a generated module needs.

In:   the text of a module.   Out:  nothing; `Unsafe` where anything is not on the lists below.
Two checks that share no code (reliability.md, S3): one walks Python's syntax tree, the other reads tokens. Both allow only the fixed
imports, class and function definitions, calls of listed names, and no name with two leading underscores.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize


class Unsafe(AssertionError):
    """Generated text is not what the emitter may write: a bug in seqc."""


IMPORTED = frozenset(
    {
        "__future__",
        "math",
        "typing",
        "torch",
        "torch.nn.functional",
        "seqc.runtime",
        "seqc.runtime.module",
        "seqc.runtime.native",
        "seqc.runtime.run",
        "seqc.runtime.tables",
        "seqc.runtime.triton.names",
    }
)
CALLED = frozenset("float range zip enumerate len tuple list max min int Table Input Out Site TypeError average complex_of wide".split())
"""Functions called by their bare name; the spec's own classes beside them."""

OWNERS: dict[str, frozenset[str]] = {
    "torch": frozenset(
        """abs addcmul arange as_tensor atan bitwise_xor ceil conj cos enable_grad exp expm1 floor full is_grad_enabled log log1p maximum
        minimum sgn sigmoid sign sin sqrt stack tanh tensor where zeros zeros_like""".split()
    ),
    "F": frozenset("gelu linear logsigmoid relu silu".split()),
    "run": frozenset(
        """at_step behind carry count count_on each ends even framed mask note
        numbers restart size start valid whole zeroed""".split()
    ),
    "initialise": frozenset("bernoulli fan fill gumbel kaiming normal orthogonal uniform xavier".split()),
    "calls": frozenset("call start_of with_holes".split()),
    "history": frozenset(
        "depthwise filled joined keep lag last level_rows levels_padded levels_stacked narrowed restacked rows stacked taps "
        "widened window window_now".split()
    ),
    "relation": frozenset("counted seen trimmed".split()),
    "arrays": frozenset("at concat conv_windows lookup merge onehot shifted split split_outer take".split()),
    "layers": frozenset("batchnorm dropout eigh groupnorm inverse layernorm matrix_exp rmsnorm scan solve".split()),
    "fn": frozenset(
        """argmax bitlen both cis contract cumsum cut expdiff fft gradient ifft l2norm largest linear logaddexp logsumexp make_complex
        maximum mean minimum mod number power product rank silu smallest softmax softplus through topk total tracked""".split()
    ),
    "native": frozenset("call joined parts ready reset step steps valid".split()),
    "tl": frozenset(
        """abs arange associative_scan broadcast_to cast cdiv ceil cos debug_barrier dot erf exp floor full load log maximum minimum
        permute program_id range reshape rsqrt sigmoid sin sqrt static_assert store sum where zeros""".split()
    ),
    "sq": frozenset(
        """affine1 affine2 affine3 atan expdiff expm1 gelu larger log1 log1p logaddexp logsigmoid max1 max_along min_along mod number pow
        relu sign shifted silu smaller softplus sum_along tanh turned""".split()
    ),
    "self": frozenset(
        "_at_once _forward _loss begun const held hole levels make make_levels place sequence_given "
        "sequence_given_native sequence_native one_step_native "
        "start target child own setting".split()
    ),
}
"""What may be called of each module, of the run and of the module itself."""

METHODS = frozenset(
    "append child clamp detach expand flatten held own levels make_levels max permute select sum mean amax amin to transpose "
    "unbind unflatten unsqueeze".split()
)
"""What may be called of values."""

FORBIDDEN = frozenset(
    """eval exec compile open input breakpoint globals locals vars getattr setattr delattr type memoryview object super classmethod
    property os sys subprocess importlib builtins pickle marshal ctypes socket shutil pathlib print exit quit help""".split()
)
DUNDER = frozenset({"__all__", "__future__"})
STATEMENTS: tuple[type[ast.stmt], ...] = (
    ast.Import,
    ast.ImportFrom,
    ast.ClassDef,
    ast.FunctionDef,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Expr,
    ast.Return,
    ast.For,
    ast.If,
    ast.With,
    ast.Pass,
    ast.Raise,
)


def check(text: str) -> None:
    """Both checks. Raises `Unsafe`."""
    check_tree(text)
    check_tokens(text)


def check_tree(text: str) -> None:
    """Walks the syntax tree."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as wrong:
        raise Unsafe(f"the generated module does not parse: {wrong}") from None
    for statement in tree.body:
        top_level(statement)
    classes = frozenset(n.name for n in tree.body if isinstance(n, ast.ClassDef))
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, STATEMENTS):
            raise Unsafe(f"line {node.lineno}: a {type(node).__name__} has no place in a generated module")
        match node:
            case ast.Import(names=names):
                for a in names:
                    allowed(a.name in IMPORTED, node, f"import of {a.name}")
            case ast.ImportFrom(module=module, level=level):
                allowed(module in IMPORTED and level == 0, node, f"import from {module}")
            case ast.Name(id=name) | ast.arg(arg=name):
                named(name, node)
            case ast.Attribute(attr=name):
                allowed(
                    not name.startswith("__") and name not in ("func_globals", "gi_frame", "f_globals", "tb_frame"),
                    node,
                    f"attribute {name}",
                )
            case ast.keyword(arg=name) if name is not None:
                named(name, node, word=True)
            case ast.Call(func=f):
                allowed(callable_name(f, classes), node, "a call of something else")
            case ast.FunctionDef(decorator_list=decorators):
                for d in decorators:
                    allowed(isinstance(d, ast.Name) and d.id in ("staticmethod", "kernel", "combine"), node, "a decorator")
            case ast.Lambda(args=args):
                allowed(not args.args, node, "a lambda with arguments")
            case ast.Await() | ast.Yield() | ast.YieldFrom() | ast.NamedExpr() | ast.JoinedStr() | ast.Global() | ast.Nonlocal():
                raise Unsafe(f"a {type(node).__name__} has no place in a generated module")


def top_level(node: ast.stmt) -> None:
    """Importing a generated module runs nothing but definitions."""
    if isinstance(node, ast.Assign):
        allowed(
            all(isinstance(t, ast.Name | ast.Attribute) for t in node.targets)
            and not any(isinstance(n, ast.Call) for n in ast.walk(node.value)),
            node,
            "an assignment",
        )
    elif isinstance(node, ast.Expr):
        allowed(isinstance(node.value, ast.Constant), node, "an expression")
    else:
        words = [d.id for d in node.decorator_list if isinstance(d, ast.Name)] if isinstance(node, ast.FunctionDef) else []
        kernel = "kernel" in words or "combine" in words
        allowed(kernel or isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef), node, f"a {type(node).__name__}")


def callable_name(f: ast.expr, classes: frozenset[str]) -> bool:
    """Whether a call's function is one of those a generated module may call."""
    if isinstance(f, ast.Name):
        return f.id in CALLED or f.id in classes
    if not isinstance(f, ast.Attribute):
        return False
    if isinstance(f.value, ast.Name) and f.value.id in OWNERS:
        known = OWNERS[f.value.id]
        return f.attr in known or f.value.id == "self" and f.attr.startswith("combine_") or f.value.id == "run" and f.attr == "size"
    return f.attr in METHODS


def named(name: str, node: ast.AST, word: bool = False) -> None:
    """A name of a generated module is plain and not one of Python's dangerous ones."""
    del word
    allowed(name.isascii() and not name.startswith("__") or name in DUNDER, node, f"the name {name}")
    allowed(name not in FORBIDDEN or name == "type", node, f"the name {name}")


def allowed(condition: bool, node: ast.AST, what: str) -> None:
    """Raises where the condition does not hold."""
    if not condition:
        raise Unsafe(f"line {getattr(node, 'lineno', 0)} of the generated module has {what}")


# ---- the second check -------------------------------------------------------------------------------------------------

WORDS = frozenset("""False None True and as class def else for from if import in is lambda not or pass raise return with""".split())


def check_tokens(text: str) -> None:
    """Reads tokens: only known keywords, ASCII names, no dunder but `__future__` and `__all__`, nothing dangerous called by name."""
    if not text.isascii():
        for number, row in enumerate(text.split("\n"), 1):
            if not row.split("#", 1)[0].isascii():
                raise Unsafe(f"line {number} of the generated module is not ASCII outside comments")
    before = ""
    lines_of_import: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            word, line = token.string, token.start[0]
            if token.type == tokenize.NAME:
                if keyword.iskeyword(word) and word not in WORDS:
                    raise Unsafe(f"line {line}: the keyword {word}")
                if word.startswith("__") and word not in ("__future__", "__all__"):
                    raise Unsafe(f"line {line}: the name {word}")
                if before != "." and word in FORBIDDEN and word != "type":
                    raise Unsafe(f"line {line}: the name {word}")
                if word in ("import", "from") and before in ("", "\n") and token.start[1] == 0:
                    lines_of_import.add(line)
            elif (
                token.type == tokenize.OP
                and word in (";", ":=", "@")
                and not (word == "@" and text.split("\n")[line - 1].strip() in ("@staticmethod", "@kernel", "@combine"))
            ):
                raise Unsafe(f"line {line}: {word}")
            if token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
                before = "\n" if token.type == tokenize.NEWLINE else word
    except (tokenize.TokenError, IndentationError, SyntaxError) as wrong:
        raise Unsafe(f"the generated module does not tokenize: {wrong}") from None
    rows = text.split("\n")
    for at in lines_of_import:
        words = rows[at - 1].split("#")[0].split()
        if words[1] not in IMPORTED:
            raise Unsafe(f"line {at}: {' '.join(words)}")

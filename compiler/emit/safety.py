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
        "__future__", "math", "typing", "torch", "torch.nn.functional", "seqc.runtime", "seqc.runtime.module", "seqc.runtime.run",
        "seqc.runtime.tables",
    }
)
CALLED = frozenset(
    """range zip enumerate tuple list max min int Table Input Out Site TypeError average complex_of wide lambda""".split()
)
OWNERS = frozenset("torch F fn arrays history relation initialise layers calls run self math".split())
FORBIDDEN = frozenset(
    """eval exec compile open input breakpoint globals locals vars getattr setattr delattr type memoryview object super classmethod
    property os sys subprocess importlib builtins pickle marshal ctypes socket shutil pathlib print exit quit help""".split()
)
DUNDER = frozenset({"__all__", "__future__"})
STATEMENTS = (
    ast.Module, ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.Return, ast.For, ast.If,
    ast.With, ast.Pass, ast.Raise,
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
    for node in tree.body:
        top_level(node)
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
                allowed(not name.startswith("__") and name not in ("func_globals", "gi_frame", "f_globals", "tb_frame"), node, f"attribute {name}")
            case ast.keyword(arg=name) if name is not None:
                named(name, node, word=True)
            case ast.Call(func=f):
                allowed(callable_name(f), node, "a call of something else")
            case ast.FunctionDef(decorator_list=decorators):
                for d in decorators:
                    allowed(isinstance(d, ast.Name) and d.id == "staticmethod", node, "a decorator")
            case ast.Lambda(args=args):
                allowed(not args.args, node, "a lambda with arguments")
            case ast.Await() | ast.Yield() | ast.YieldFrom() | ast.NamedExpr() | ast.JoinedStr() | ast.Global() | ast.Nonlocal():
                raise Unsafe(f"a {type(node).__name__} has no place in a generated module")


def top_level(node: ast.stmt) -> None:
    """Importing a generated module runs nothing but definitions."""
    if isinstance(node, ast.Assign):
        allowed(all(isinstance(t, ast.Name | ast.Attribute) for t in node.targets) and not any(isinstance(n, ast.Call) for n in ast.walk(node.value)),
                node, "an assignment")
    elif isinstance(node, ast.Expr):
        allowed(isinstance(node.value, ast.Constant), node, "an expression")
    else:
        allowed(isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef), node, f"a {type(node).__name__}")


def callable_name(f: ast.expr) -> bool:
    """Whether a call's function is one of those a generated module may call."""
    if isinstance(f, ast.Name):
        return f.id in CALLED or f.id[:1].isupper()
    if isinstance(f, ast.Attribute):
        root: ast.expr = f
        while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
            root = root.func if isinstance(root, ast.Call) else root.value
        return isinstance(root, ast.Name | ast.BinOp | ast.UnaryOp | ast.Compare | ast.Tuple | ast.IfExp | ast.Constant)
    return False


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

WORDS = frozenset(
    """False None True and as class def else for from if import in is lambda not or pass raise return with""".split()
)


def check_tokens(text: str) -> None:
    """Reads tokens: only known keywords, ASCII names, no dunder but `__future__` and `__all__`, nothing dangerous called by name."""
    if not text.isascii():
        for n, line in enumerate(text.split("\n"), 1):
            head = line.split("#", 1)[0]
            if not head.isascii():
                raise Unsafe(f"line {n} of the generated module is not ASCII outside comments")
    previous = ""
    lines_of_import: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            word, line = token.string, token.start[0]
            if token.type == tokenize.NAME:
                if keyword.iskeyword(word) and word not in WORDS:
                    raise Unsafe(f"line {line}: the keyword {word}")
                if word.startswith("__") and word not in ("__future__", "__all__"):
                    raise Unsafe(f"line {line}: the name {word}")
                if previous != "." and word in FORBIDDEN and word != "type":
                    raise Unsafe(f"line {line}: the name {word}")
                if word in ("import", "from") and previous in ("", "\n") and token.start[1] == 0:
                    lines_of_import.add(line)
            elif token.type == tokenize.OP and word in (";", ":=", "@") and not (word == "@" and text.split("\n")[line - 1].strip() == "@staticmethod"):
                raise Unsafe(f"line {line}: {word}")
            if token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
                previous = "\n" if token.type == tokenize.NEWLINE else word
    except (tokenize.TokenError, IndentationError, SyntaxError) as wrong:
        raise Unsafe(f"the generated module does not tokenize: {wrong}") from None
    for n in lines_of_import:
        line_text = text.split("\n")[n - 1].split("#")[0].split()
        if line_text[1] not in IMPORTED:
            raise Unsafe(f"line {n}: {' '.join(line_text)}")

"""The text of a tree, in the house style.

In:   any node of `ir/syntax.py`.     Out:  text that parses to an equal node (comments are not in the tree).
For messages, `explain` and tests; `fmt` works on the text itself and keeps more. Recursion is as deep as the tree, which the
parser bounds.
"""

from __future__ import annotations

from typing import Final

from seqc.compiler.ir import syntax as s

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(9)
_LEVELS: Final = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "^": _POWER, "or": _OR, "and": _AND}


def text_of(node: s.Node) -> str:
    """The text of an expression, a part of a line, a line, a definition or a file; lines of a block are indented by 4."""
    match node:
        case s.File():
            return _file(node)
        case s.Expr():
            return _expression(node, _OR)
        case s.Body() | s.Fn() | s.Operator() | s.Extern() | s.Import():
            return "\n".join(_definition(node))
        case s.At():
            return f"{node.axis} = {text_of(node.index)}"
        case s.Keyword():
            return f"{node.name} = {text_of(node.value)}"
        case s.Word():
            return node.text
        case s.Shape():
            return _shape(node)
        case s.Range():
            return _range(node)
        case s.Between():
            return _between(node)
        case s.Dim():
            return _dim(node)
        case s.Index():
            return _index(node)
        case s.Along():
            return _along(node)
        case s.Hole():
            return _hole(node)
        case s.Slot():
            return _slot(node)
        case s.Setting():
            return _setting(node)
        case s.Comment():
            return node.text
    return "\n".join(_line(node))


# ---- expressions ------------------------------------------------------------------------------------------------------


def number(value: int | float) -> str:
    """A number as the language writes it."""
    return str(value) if isinstance(value, int) else repr(value)


def _expression(e: s.Expr, level: int, tight: bool = False) -> str:
    """The text of `e` where at least the binding strength `level` is needed; `tight` leaves out spaces around signs."""
    own, text = _bare(e, tight)
    if own >= level:
        return text
    return f"({_bare(e, False)[1] if tight else text})"


def _bare(e: s.Expr, tight: bool) -> tuple[int, str]:
    """How strongly `e` binds, and its text without brackets around it."""
    match e:
        case s.Number():
            return _ATOM, number(e.value)
        case s.Text():
            return _ATOM, f'"{e.value}"'
        case s.Name():
            return _ATOM, e.id
        case s.Field():
            return _ATOM, f"{text_of(e.base)}.{e.name}"
        case s.Call():
            inside = ", ".join([*map(text_of, e.arguments), *map(text_of, e.keywords)])
            return _ATOM, f"{e.function}({inside})"
        case s.NameList():
            return _ATOM, f"[{', '.join(map(text_of, e.items))}]"
        case s.Read():
            return _ATOM, f"{text_of(e.base)}[{', '.join(map(_item, e.items))}]"
        case s.Learned():
            return _OR, "param" if e.start is None else f"param {text_of(e.start)}"
        case s.Negative():
            return _UNARY, "-" + _expression(e.operand, _UNARY, tight)
        case s.Not():
            return _NOT, "not " + _expression(e.operand, _NOT, tight)
        case s.Binary("^"):
            return _POWER, f"{_expression(e.left, _ATOM, tight)}^{_expression(e.right, _UNARY, tight)}"
        case s.Binary():
            level = _LEVELS[e.op]
            left, right = _expression(e.left, level, tight), _expression(e.right, level + 1, tight)
            return level, f"{left}{e.op}{right}" if tight else f"{left} {e.op} {right}"
        case s.Compare():
            return _COMPARE, f"{_expression(e.left, _SUM, tight)} {e.op} {_expression(e.right, _SUM, tight)}"
        case s.Logical():
            level = _LEVELS[e.op]
            return level, f"{_expression(e.left, level, tight)} {e.op} {_expression(e.right, level + 1, tight)}"
    raise TypeError(f"no expression: {type(e).__name__}")


def _item(item: s.Expr | s.At) -> str:
    """One item of a read: without spaces where it has no brackets."""
    if isinstance(item, s.At):
        return text_of(item)
    spaced = text_of(item)
    return spaced if "(" in spaced or "[" in spaced else _expression(item, _OR, tight=True)


# ---- parts of lines ---------------------------------------------------------------------------------------------------


def _list(nodes: tuple[s.Node, ...]) -> str:
    return ", ".join(map(text_of, nodes))


def _shape(node: s.Shape) -> str:
    return f"[{_list(node.axes)}]"


def _range(node: s.Range) -> str:
    opening, closing = "(" if node.low_open else "[", ")" if node.high_open else "]"
    return f"in {opening}{text_of(node.low)}, {text_of(node.high)}{closing}"


def _between(node: s.Between) -> str:
    return f"{_expression(node.low, _OR, tight=True)}..{_expression(node.high, _OR, tight=True)}"


def _dim(node: s.Dim) -> str:
    return node.name.text if node.value is None else f"{node.name} = {text_of(node.value)}"


def _index(node: s.Index) -> str:
    parts = [node.name.text]
    parts += [f"in {_between(node.between)}"] if node.between else []
    parts += [f"of {node.of}"] if node.of else []
    parts += [f"over {node.over}"] if node.over else []
    parts += [f"where {text_of(node.where)}"] if node.where else []
    return " ".join(parts)


def _along(node: s.Along) -> str:
    if node.between:
        return f"{node.head} in {_between(node.between)}"
    return node.head + (f"({_list(node.axes)})" if node.axes else "")


def _hole(node: s.Hole) -> str:
    arguments = "" if node.arguments is None else f"({_list(node.arguments)})"
    return node.name.text + arguments + (f" = {node.default}" if node.default else "")


def _slot(node: s.Slot) -> str:
    return f"{node.name} : {_shape(node.shape)}" + (f" of {node.type}" if node.type else "")


def _setting(node: s.Setting) -> str:
    return f"{node.name} = {_list(node.values)}"


# ---- lines and definitions --------------------------------------------------------------------------------------------


def _doc(doc: str) -> list[str]:
    """A doc string, or nothing."""
    if not doc:
        return []
    closing = ' """' if doc.endswith('"') else '"""'
    return f'"""{doc}{closing}'.split("\n")


def _commented(text: str, doc: str) -> list[str]:
    """A line with its doc comments: one behind it, several above it."""
    lines = doc.split("\n") if doc else []
    if len(lines) == 1:
        return [f"{text}  #: {lines[0]}".rstrip()]
    return [f"#: {line}".rstrip() for line in lines] + [text]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else line for line in lines]


def _line(node: s.Node) -> list[str]:
    """One line of a body; a block with the lines in it."""
    match node:
        case s.Dims():
            return _commented(f"dim {_list(node.dims)}", node.doc)
        case s.Indices():
            return _commented(f"index {_list(node.indices)}", node.doc)
        case s.Declaration():
            return _commented(_declaration(node), node.doc)
        case s.Require():
            return _commented(f"require {text_of(node.claim)}", node.doc)
        case s.Level():
            return [f"{node.kind} {node.name} in {_between(node.between)}:", *_block(node.doc, node.lines)]
        case s.Schedule():
            return [*_commented("schedule:", node.doc), *_indented([_setting(x) for x in node.settings])]
    raise TypeError(f"no line: {type(node).__name__}")


def _declaration(node: s.Declaration) -> str:
    parts = [node.kind, node.name.text] if node.kind else [node.name.text]
    parts += [f": {_shape(node.shape)}"] if node.shape else []
    parts += [f"of {node.type}"] if node.type else []
    parts += [_range(node.range)] if node.range else []
    parts += [f"over {node.home}"] if node.home else []
    parts += ["once"] * node.once + ["fixed"] * node.fixed
    parts += [f"init {text_of(node.init)}"] if node.init else []
    parts += [f"= {text_of(node.value)}"] if node.value else []
    return " ".join(parts)


def _block(doc: str, lines: tuple[s.Node, ...]) -> list[str]:
    return _indented([*_doc(doc), *(text for line in lines for text in _line(line))])


def _definition(node: s.Definition | s.Import) -> list[str]:
    match node:
        case s.Import():
            return [f"from {'.'.join(w.text for w in node.path)} import {_list(node.names)}"]
        case s.Fn():
            return [*_doc(node.doc), f"fn {node.name}({_list(node.parameters)}) = {text_of(node.value)}"]
        case s.Extern():
            head = f"extern {node.name}({_list(node.arguments)}) -> ({_list(node.results)})"
            return [*_doc(node.doc), head + (f" : {_list(node.traits)}" if node.traits else "")]
        case s.Operator():
            inside = [*_doc(node.doc), f"identity = ({_list(node.identity)})", f"combine({node.left}, {node.right}):"]
            inside += _block("", node.equations)
            return [f"operator {node.name}({_list(node.fields)}):", *_indented(inside)]
        case s.Body():
            holes = f"({_list(node.holes)})" if node.holes else ""
            along = f" over {_list(node.topology)}" if node.topology else ""
            return [f"{node.kind} {node.name}{holes}{along}:", *_block(node.doc, node.lines)]


def _file(node: s.File) -> str:
    out = [f"seq {node.edition}", *_doc(node.doc), ""]
    for item in node.imports:
        out += _definition(item)
    out += [""] * bool(node.imports)
    for definition in node.definitions:
        out += [*_definition(definition), ""]
    return "\n".join(out).rstrip("\n") + "\n"

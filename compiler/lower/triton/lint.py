"""The rules of emitted Triton functions, read from their text.

In:   the text of functions, as `sequential` and its like write them.
Out:  findings: line, rule, what is wrong. `checked` raises where there is one: a bug in seqc.

    grid        one flat grid axis: `tl.program_id(0)`, once, made int64 at once
    int64       no product of two 32-bit numbers on the way to an address, block sizes (known to be small) aside
    mask        each axis along which an address runs is masked at its own end
    writer      an address that is stored to depends on every coordinate of the program, or one piece alone writes it
    atomic      no atomics
    upcast      what is loaded is made REAL or OPERAND at once, what is stored gets its memory's type; no 16-bit type is named; what
                is OPERAND (which may have 16 bits) goes into `tl.dot` or becomes REAL, and nothing else
    constexpr   only types, block sizes, stages and how products are taken are compile-time constants; never B, T, C, J or the size of
                an axis
    dot         `tl.dot` says its precision, takes OPERANDs and gives REAL, never 16 bits; no operand was turned round in the
                program (Triton 3.4 to 3.7 miscompile that on sm_90 where it is another product's result)

Method: each name's definition is followed back to `tl.arange` (which axis), `tl.program_id` (which coordinate) and comparisons
(which masks). Names are what the emitters use: B, T, C, J, segments; n0…; BLOCK_B, BLOCK_0…; m…, i…; p… (slots), w… (scratch) and
clock (the number of a step, int64).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

RULES = ("grid", "int64", "mask", "writer", "atomic", "upcast", "constexpr", "dot", "combine")
CONSTANTS = re.compile(r"(REAL|STAGES|DOT|OPERAND|PRECISION|BLOCK_(B|T|\d+))\Z")
PIECE, VALUE = re.compile(r"rest % (pieces\d+|segments)"), re.compile(r"(v|x|a|again|first)\d+\w*")
TURNS = ("tl.permute", "tl.trans")
NARROW = frozenset(("float16", "bfloat16", "float8e5", "float8e4nv"))


class RuleBroken(AssertionError):
    """An emitted function breaks a rule of this file: a bug in seqc."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule."""

    line: int
    rule: str
    what: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a value.

    wide     it is int64 (of whole numbers; true of everything else)
    small    a whole number bounded by block sizes
    axes     block names whose entries it runs over
    parts    coordinates of the program it depends on
    masks    axes that it masks, as part of a condition
    first    coordinates that it compares with 0
    """

    wide: bool = False
    small: bool = False
    axes: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    masks: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()

    def __or__(self, other: Facts) -> Facts:
        return Facts(
            self.wide or other.wide,
            self.small and other.small,
            self.axes | other.axes,
            self.parts | other.parts,
            self.masks | other.masks,
            self.first | other.first,
        )


@dataclass(slots=True)
class Function:
    """One function while it is read. `raised`: loads that are made REAL or OPERAND at once; `narrow`: names of OPERANDs; `turned`: names
    of values with dimensions in another order than they were made in."""

    node: ast.FunctionDef
    known: dict[str, Facts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    coordinates: set[str] = field(default_factory=set)
    programs: int = 0
    raised: set[int] = field(default_factory=set)
    narrow: set[str] = field(default_factory=set)
    turned: set[str] = field(default_factory=set)

    def find(self, node: ast.AST, rule: str, what: str) -> None:
        """Notes a finding."""
        self.findings.append(Finding(getattr(node, "lineno", 0), rule, what))

    # ---- the whole ----------------------------------------------------------------------------------------------------

    def run(self) -> list[Finding]:
        """All findings."""
        every = [*self.node.args.args, *self.node.args.kwonlyargs]
        for a in every:
            constant = a.annotation is not None and "constexpr" in ast.unparse(a.annotation)
            if constant and not CONSTANTS.fullmatch(a.arg):
                self.find(a, "constexpr", f"{a.arg} is a compile-time constant")
            if not constant and CONSTANTS.fullmatch(a.arg):
                self.find(a, "constexpr", f"{a.arg} is none")
            self.known[a.arg] = Facts(small=a.arg.startswith("BLOCK_"))
        nodes = list(ast.walk(self.node))
        for n in nodes:
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == "to":
                if [text_of(a) for a in n.args] in (["REAL"], ["OPERAND"]):
                    self.raised.add(id(n.func.value))
            if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
                if self.is_narrow(n.value):
                    self.narrow.add(n.targets[0].id)
                if any(isinstance(m, ast.Call) and ast.unparse(m.func) in TURNS for m in ast.walk(n.value)):
                    self.turned.add(n.targets[0].id)
        self.block(self.node.body)
        self.narrow_uses()
        if self.programs != 1:
            self.find(self.node, "grid", f"the program's number is taken {self.programs} times")
        for n in nodes:
            if isinstance(n, ast.Attribute) and n.attr.startswith("atomic"):
                self.find(n, "atomic", n.attr)
            if isinstance(n, ast.Attribute) and n.attr in NARROW:
                self.find(n, "upcast", f"{n.attr} is named")
        return sorted(set(self.findings), key=lambda f: (f.line, f.rule, f.what))

    def block(self, body: list[ast.stmt]) -> None:
        """Statements in order; loops twice, since what the end defines the beginning reads."""
        for s in body:
            match s:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.known[name] = self.facts(value)
                    self.coordinate(name, value)
                case ast.AugAssign(target=ast.Name(id=name), value=value):
                    self.known[name] = self.known.get(name, Facts()) | self.facts(value)
                case ast.For(target=ast.Name(id=name), iter=of, body=inner):
                    self.facts(of)
                    self.known[name] = Facts()
                    self.block(inner)
                    self.block(inner)
                case ast.If(test=test, body=inner, orelse=other):
                    self.facts(test)
                    self.block(inner)
                    self.block(other)
                case ast.Expr(value=value):
                    self.facts(value)
                case ast.Return(value=value) if value is not None:
                    self.facts(value)
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
                    found = self.facts(value)
                    for n in names:
                        if isinstance(n, ast.Name):
                            self.known[n.id] = found
                case _:
                    self.find(s, "grid", f"a {type(s).__name__} has no place here")

    def coordinate(self, name: str, value: ast.expr) -> None:
        """Names the coordinates that the program's number is taken apart into."""
        if name == "group" or isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod) and PIECE.fullmatch(text_of(value)):
            self.coordinates.add(name)
            self.known[name] = Facts(wide=True, parts=frozenset((name,)))
        elif name in ("program", "rest"):
            self.known[name] = Facts(wide=True, parts=frozenset((name,)))

    # ---- expressions --------------------------------------------------------------------------------------------------

    def facts(self, e: ast.expr) -> Facts:
        """What is known of an expression; checks what is inside."""
        match e:
            case ast.Name(id=name):
                return self.known.get(name, Facts())
            case ast.Constant(value=v):
                return Facts(small=isinstance(v, int))
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self.facts(left), self.facts(right)
                if isinstance(op, ast.Mult) and self.whole(left) and self.whole(right) and not (a.wide or b.wide or a.small and b.small):
                    self.find(e, "int64", f"{ast.unparse(e)} is computed in 32 bits")
                return a | b
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self.facts(left), self.facts(right)
                both = a | b
                masks: frozenset[str] = frozenset()
                if isinstance(op, ast.Lt) and isinstance(right, ast.Name):
                    masks = frozenset(x for x in a.axes if end_of(x) == right.id)
                first = a.parts if isinstance(op, ast.Eq) and ast.unparse(right) == "0" else frozenset()
                return Facts(True, False, both.axes, both.parts, masks, first)
            case ast.Call():
                return self.call(e)
            case ast.Subscript(value=value):
                return self.facts(value)
            case ast.UnaryOp(operand=inner) | ast.Attribute(value=inner) | ast.Starred(value=inner):
                return self.facts(inner)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                out = Facts()
                for x in elts:
                    out |= self.facts(x)
                return out
            case ast.IfExp(test=test, body=a_, orelse=b_):
                return self.facts(test) | self.facts(a_) | self.facts(b_)
        return Facts()

    def whole(self, e: ast.expr) -> bool:
        """Whether an expression may be part of an address: values of the computation are called `v…` or are floats."""
        for n in ast.walk(e):
            if isinstance(n, ast.Name) and VALUE.fullmatch(n.id):
                return False
            if isinstance(n, ast.Constant) and isinstance(n.value, float):
                return False
        return True

    def call(self, e: ast.Call) -> Facts:
        """A call."""
        name = text_of(e.func)
        given = [self.facts(a) for a in e.args]
        named = {k.arg: k.value for k in e.keywords}
        for v in named.values():
            self.facts(v)
        match name:
            case "tl.program_id":
                self.programs += 1
                if ast.unparse(e) != "tl.program_id(0)":
                    self.find(e, "grid", f"{ast.unparse(e)} is another axis of the grid")
                return Facts(parts=frozenset(("program",)))
            case "tl.num_programs":
                self.find(e, "grid", "the size of the grid is read")
            case "tl.arange":
                axis = ast.unparse(e.args[1]) if len(e.args) == 2 else ""
                if not axis.startswith("BLOCK_") or ast.unparse(e.args[0]) != "0":
                    self.find(e, "mask", f"{ast.unparse(e)} is no block")
                return Facts(small=True, axes=frozenset((axis,)))
            case "tl.cast":
                target = text_of(e.args[1])
                if isinstance(e.args[0], ast.Call) and ast.unparse(e.args[0].func) == "tl.program_id" and target != "tl.int64":
                    self.find(e, "int64", "the program's number is not made int64")
                return given[0] | Facts(wide=target == "tl.int64")
            case "tl.zeros" | "tl.full":
                return Facts(wide=ast.unparse(e.args[-1]) == "tl.int64")
            case "tl.load":
                self.access(e, given[0], named)
                base = base_of(e.args[0])
                if base == "clock":
                    return Facts(wide=True)
                if not base.startswith("w") and id(e) not in self.raised:
                    self.find(e, "upcast", "a value is used in the type it has in memory")
                return Facts()
            case "tl.store":
                self.access(e, given[0], named)
                self.store(e, given[0], named)
                return Facts()
            case "tl.dot":
                self.dot(e, named)
        out = Facts(small=bool(given))
        for g in given:
            out |= g
            out = Facts(out.wide, out.small and g.small, out.axes, out.parts, out.masks, out.first)
        if isinstance(e.func, ast.Attribute):
            out |= self.facts(e.func.value)
        return out

    # ---- products -----------------------------------------------------------------------------------------------------

    def dot(self, e: ast.Call, named: dict[str | None, ast.expr]) -> None:
        """A matrix product."""
        said = ast.unparse(named["input_precision"]) if "input_precision" in named else ""
        if said != "PRECISION" or ast.unparse(named.get("out_dtype", ast.Constant(None))) != "REAL":
            self.find(e, "dot", "precision and result are not said")
        if len(e.args) != 2 or not all(self.is_narrow(a) for a in e.args):
            self.find(e, "dot", "its operands are not two OPERANDs")
        for n in (n for a in e.args for n in ast.walk(a)):
            turned = isinstance(n, ast.Name) and n.id in self.turned or isinstance(n, ast.Call) and ast.unparse(n.func) in TURNS
            if turned or isinstance(n, ast.Attribute) and n.attr == "T":
                self.find(e, "dot", "an operand was turned round")

    def is_narrow(self, e: ast.expr) -> bool:
        """Whether an expression has the type OPERAND."""
        match e:
            case ast.Name(id=name):
                return name in self.narrow
            case ast.Call(func=ast.Attribute(attr="to"), args=[ast.Name(id=target)]):
                return target == "OPERAND"
            case ast.Call(func=ast.Attribute(attr="reshape"), args=[inner, *_]):
                return self.is_narrow(inner)
        return False

    def narrow_uses(self) -> None:
        """OPERANDs are operands, or become REAL."""
        good: set[int] = set()
        for n in ast.walk(self.node):
            match n:
                case ast.Assign(value=value):
                    good.add(id(value))
                case ast.Call(func=ast.Attribute(value=inner, attr="to"), args=[ast.Name(id="REAL" | "OPERAND")]):
                    good.add(id(inner))
                case ast.Call(func=ast.Attribute(attr="dot"), args=args):
                    good |= {id(a) for a in args}
                case ast.Call(func=ast.Attribute(attr="reshape"), args=[inner, *_]):
                    good.add(id(inner))
        for n in ast.walk(self.node):
            if isinstance(n, ast.expr) and self.is_narrow(n) and id(n) not in good and not isinstance(getattr(n, "ctx", None), ast.Store):
                self.find(n, "upcast", f"{ast.unparse(n)} has the type of an operand")

    # ---- memory -------------------------------------------------------------------------------------------------------

    def access(self, e: ast.Call, address: Facts, named: dict[str | None, ast.expr]) -> None:
        """The mask of a load or store."""
        mask = self.facts(named["mask"]) if "mask" in named else Facts()
        for axis in sorted(address.axes - mask.masks):
            self.find(e, "mask", f"{ast.unparse(e.args[0])} is not masked at the end of {axis}")
        if ast.unparse(e.func) == "tl.load" and "mask" in named and "other" not in named:
            self.find(e, "mask", "what stands in masked places is not said")

    def store(self, e: ast.Call, address: Facts, named: dict[str | None, ast.expr]) -> None:
        """Who writes, and in which type."""
        base = base_of(e.args[0])
        value = e.args[1]
        if base.startswith("w"):
            if "program" not in address.parts:
                self.find(e, "writer", f"the scratch {base} is shared between programs")
            return
        if not (
            isinstance(value, ast.Call) and ast.unparse(value.func).endswith(".to") and ast.unparse(value.args[0]).endswith("element_ty")
        ):
            self.find(e, "upcast", "a value is stored without its memory's type")
        first = self.facts(named["mask"]).first if "mask" in named else frozenset()
        for c in sorted(self.coordinates - address.parts - first):
            self.find(e, "writer", f"every program along {c} writes {ast.unparse(e.args[0])}")


def text_of(e: ast.expr) -> str:
    """An expression as text: names, and attributes of names, at once, as most are one or the other."""
    if isinstance(e, ast.Name):
        return e.id
    if isinstance(e, ast.Attribute) and isinstance(e.value, ast.Name):
        return f"{e.value.id}.{e.attr}"
    return ast.unparse(e)


def end_of(block: str) -> str:
    """The argument that says where the axis of a block ends."""
    return {"BLOCK_B": "B", "BLOCK_T": "T"}.get(block, f"n{block.removeprefix('BLOCK_')}")


def base_of(e: ast.expr) -> str:
    """The pointer that an address starts from."""
    while isinstance(e, ast.BinOp):
        e = e.left
    return e.id if isinstance(e, ast.Name) else ""


def functions(text: str, mark: str = "kernel") -> Iterator[ast.FunctionDef]:
    """The kernels of a text; with another `mark` the functions marked so."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == mark for d in node.decorator_list):
            yield node


def lint(text: str) -> list[Finding]:
    """All findings in a text."""
    found = [f for node in functions(text) for f in Function(node).run()]
    return found + [f for node in functions(text, "combine") for f in combining(node)]


PURE = frozenset("where exp log sin cos sqrt rsqrt abs floor ceil erf sigmoid".split())
"""What a function of a scan may call of `tl`."""


def combining(node: ast.FunctionDef) -> Iterator[Finding]:
    """What breaks a rule in a function that a scan uses."""
    known = {a.arg for a in node.args.args} | {"tl", "sq"}
    known |= {t.id for s in node.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
    for s in node.body:
        if not isinstance(s, ast.Assign | ast.Return | ast.Expr):
            yield Finding(s.lineno, "combine", f"a {type(s).__name__} has no place here")
    for n in ast.walk(node):
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "tl" and n.attr not in PURE:
            yield Finding(n.lineno, "combine", f"tl.{n.attr} in a function of a scan")
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id not in known | {"kernel", "combine"}:
            yield Finding(n.lineno, "combine", f"{n.id} is none of its arguments")


def checked(text: str) -> str:
    """The text itself. Raises `RuleBroken`."""
    found = lint(text)
    if found:
        raise RuleBroken("; ".join(f"line {f.line}: {f.rule}: {f.what}" for f in found[:5]))
    return text

"""Random expressions of the language, as text: for generators of whole cells.

`Terms` holds named values of known axes and makes expressions out of them. What comes out is finite for finite values: functions
with a domain get an argument inside it, and nothing grows faster than a product of a few values. Where two operands meet, one has all
axes of the other. `words` collects the functions and constructs that were used.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

Axes = tuple[str, ...]

ONE: dict[str, str] = {
    "sigmoid": "sigmoid({a})", "tanh": "tanh({a})", "softplus": "softplus({a})", "logsigmoid": "logsigmoid({a})",
    "log1p": "log1p(abs({a}))", "expm1": "expm1(-softplus({a}))", "silu": "silu({a})", "gelu": "gelu({a})", "relu": "relu({a})",
    "sin": "sin({a})", "cos": "cos({a})", "atan": "atan({a})", "exp": "exp(-softplus({a}))", "log": "log(0.1 + softplus({a}))",
    "sqrt": "sqrt(0.1 + abs({a}))", "abs": "abs({a})", "neg": "-({a})", "square": "({a})^2", "inverse": "(1.5 + abs({a}))^-1",
    "rsqrt": "(0.5 + abs({a}))^-0.5", "cube": "tanh({a})^3", "root": "(0.2 + abs({a}))^0.5", "power": "(0.5 + abs({a}))^1.7",
}  # fmt: skip
TWO: dict[str, str] = {
    "add": "({a} + {b})", "sub": "({a} - {b})", "mul": "({a} * {b})", "div": "({a} / (1.5 + abs({b})))", "max": "max({a}, {b})",
    "min": "min({a}, {b})", "logaddexp": "logaddexp({a}, {b})", "expdiff": "expdiff({a}, max({a}, {b}))",
    "pow": "(0.5 + abs({a}))^tanh({b})", "reversed sub": "({b} - {a})", "ratio": "({b} / (1.5 + abs({a})))",
}  # fmt: skip
BROKEN: dict[str, str] = {"sign": "sign({a})", "floor": "floor({a})", "ceil": "ceil({a})", "mod": "mod({a}, 1.7)"}
"""Functions with jumps: a rounding before them may change everything after."""
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True)
class Term:
    """Something that may stand in an expression, its axes, and whether it is complex."""

    text: str
    axes: Axes
    complex: bool = False


@dataclass
class Terms:
    """What is there to make expressions of. `jumps`: whether functions with jumps may be used."""

    r: random.Random
    jumps: bool = True
    known: list[Term] = field(default_factory=list)
    words: set[str] = field(default_factory=set)

    def add(self, text: str, axes: Axes, complex: bool = False, times: int = 1) -> Term:
        """One more value; `times` makes it likelier."""
        made = Term(text, axes, complex)
        self.known += [made] * times
        return made

    def fits(self, axes: Axes, full: bool, complex: bool = False) -> list[Term]:
        """Values whose axes are among `axes`; with `full` all of them."""
        have = [k for k in self.known if k.complex == complex and set(k.axes) <= set(axes)]
        return [k for k in have if len(k.axes) == len(axes)] if full else have

    def leaf(self, axes: Axes, full: bool) -> str:
        """A value."""
        found = self.fits(axes, full)
        if not full and (not found or self.r.random() < 0.12):
            return self.r.choice(("0.3", "0.7", "1.3", "2"))
        return self.r.choice(found[-8:] if self.r.random() < 0.6 else found).text

    def real(self, axes: Axes, depth: int = 2, full: bool = True) -> str:
        """A real expression over `axes`; without `full` perhaps over fewer."""
        r = self.r
        if depth <= 0 or r.random() < 0.12:
            return self.leaf(axes, full)
        if not full:
            # over the axes of some value: then all operands find a place in those
            found = self.fits(axes, False)
            return self.real(r.choice(found).axes, depth) if found else self.leaf(axes, False)
        if r.random() < 0.1 and (text := self.reduced(axes)):
            return text
        kind = r.random()
        if kind < 0.34:
            return self.one(axes, depth)
        if kind < 0.72:
            return self.two(axes, depth)
        if kind < 0.82:
            return self.choice(axes, depth)
        if kind < 0.86:
            self.words.add("stop")
            return f"stop({self.real(axes, depth - 1)})"
        if kind < 0.90:
            self.words.add("through")
            return f"through({self.real(axes, depth - 1)}, {self.real(axes, depth - 1)})"
        return self.of_complex(axes) or self.two(axes, depth)

    def one(self, axes: Axes, depth: int) -> str:
        """A function of one operand."""
        table = {**ONE, **BROKEN} if self.jumps and self.r.random() < 0.5 else ONE
        name = self.r.choice(list(table))
        self.words.add(name)
        return table[name].format(a=self.real(axes, depth - 1))

    def two(self, axes: Axes, depth: int) -> str:
        """A function of two operands, one of which has all axes."""
        name = self.r.choice(list(TWO))
        self.words.add(name)
        return TWO[name].format(a=self.real(axes, depth - 1), b=self.real(axes, depth - 1, False))

    def truth(self, axes: Axes, depth: int) -> str:
        """A condition."""
        sign = self.r.choice(COMPARISONS)
        self.words.add(sign)
        text = f"{self.real(axes, depth - 1)} {sign} {self.real(axes, depth - 1, False)}"
        if self.r.random() < 0.3:
            word = self.r.choice(("and", "or", "not"))
            self.words.add(word)
            text = f"not ({text})" if word == "not" else f"({text}) {word} ({self.real(axes, 0, False)} < {self.r.choice(('0.2', '1'))})"
        return text

    def choice(self, axes: Axes, depth: int) -> str:
        """`where`, its condition over the same axes."""
        if not self.jumps:
            return self.two(axes, depth)
        self.words.add("where")
        a, b = self.real(axes, depth - 1), self.real(axes, depth - 1, False)
        if self.r.random() < 0.5:
            a, b = b, a
        return f"where({self.truth(axes, 1)}, {a}, {b})"

    def reduced(self, axes: Axes) -> str:
        """A reduction of a value with more axes; "" where there is none."""
        found = [k for k in self.known if not k.complex and set(axes) < set(k.axes)]
        if not found:
            return ""
        k = self.r.choice(found)
        over = [a for a in k.axes if a not in axes]
        fn = self.r.choice(("sum", "mean", "max", "min", "logsumexp"))
        self.words.add(f"{fn} over")
        return f"{fn}({k.text}, over = {over[0] if len(over) == 1 else '[' + ', '.join(over) + ']'})"

    def of_complex(self, axes: Axes) -> str:
        """A real value made of a complex one; "" where there is none."""
        found = self.fits(axes, True, True)
        if not found:
            return ""
        fn = self.r.choice(("re", "im", "abs"))
        self.words.add(f"{fn} of complex")
        return f"{fn}({self.r.choice(found).text})"

    def complex(self, axes: Axes, depth: int = 2) -> str:
        """A complex expression over `axes`."""
        r = self.r
        found = self.fits(axes, True, True)
        if depth <= 0 and found:
            return r.choice(found).text
        kind = r.choice(
            ("complex", "cis", "exp", "product", "sum", "scaled", "conj", "div", "where", "expm1", "stop", "difference", "square", "neg")
        )
        if kind == "where" and not self.jumps:
            kind = "sum"
        self.words.add(f"complex {kind}")
        inner = depth - 1
        match kind:
            case "complex":
                return f"complex({self.real(axes, inner)}, {self.real(axes, inner, False)})"
            case "cis":
                return f"cis({self.real(axes, inner)})"
            case "exp" | "expm1":
                return f"{kind}(complex(-softplus({self.real(axes, inner)}), {self.real(axes, inner, False)}))"
        if not found:
            return f"complex({self.real(axes, inner)}, {self.real(axes, inner)})"
        z = self.complex(axes, inner)
        match kind:
            case "product":
                return f"(cis({self.real(axes, inner)}) * {z})"
            case "sum":
                return f"({z} + {self.complex(axes, 0)})"
            case "difference":
                return f"({z} - {self.complex(axes, 0)})"
            case "scaled":
                return f"(tanh({self.real(axes, inner)}) * {z})"
            case "conj":
                return f"conj({z})"
            case "neg":
                return f"-({z})"
            case "div":
                return f"({z} / complex(1.5 + abs({self.real(axes, inner)}), {self.real(axes, inner, False)}))"
            case "where":
                return f"where({self.truth(axes, 1)}, {z}, {self.complex(axes, 0)})"
            case "stop":
                return f"stop({z})"
        return f"({self.complex(axes, 0)})^2"

"""Random well-formed cells, as text of `.seq` specs: the same seed gives the same cell.

    cell = random_cell(7)                 # one recurrence, elementwise
    cell = random_cell(7, dense=True)     # with layers that read the state
    text = spec_of([cell, ...])           # a spec with several

A cell is made of one to three *recurrences*, each of which reads what stands before it: affine ones, nonlinear ones, coupled pairs,
cascades, lags up to 3, complex states, running maxima with the sums they stabilise, products of outer vectors contracted in an out,
thresholds with a reset, states held between steps. Around them raw projections, `once` inputs, parameters, shifted inputs, read-outs.
States stay bounded by construction, so that two ways to compute a cell can be compared.

Nothing here knows of any backend. `words` of a cell says what it contains, for tests of the generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from numeric.random_terms import Axes, Terms

SHAPES: tuple[Axes, ...] = (("N",), ("N",), ("N",), ("H", "K"), ("H", "K"), ("K", "V"), ("H", "K", "V"), ())
SIZES = (1, 2, 3, 3, 4, 5, 7, 8)
WIDE = (1, 3, 8, 17, 19)
WORD = re.compile(r"[a-zA-Z_]\w*")


@dataclass(frozen=True)
class Cell:
    """A cell: its name, its lines, sizes for its dims, and what is in it. `jumps`: it has functions that are not continuous;
    `backwards`: it runs from the last step to the first."""

    name: str
    text: str
    sizes: dict[str, int]
    words: frozenset[str]
    jumps: bool
    backwards: bool


def spec_of(cells: Sequence[Cell]) -> str:
    """A spec that holds these cells."""
    return "seq 1\n" + "\n".join(c.text for c in cells)


def random_cell(seed: int, name: str = "", *, dense: bool = False, jumps: bool | None = None) -> Cell:
    """One cell. `jumps` decides whether functions with jumps may occur (default: the seed does)."""
    r = random.Random(f"{seed} {dense}")
    with_jumps = r.random() < 0.6 if jumps is None else jumps
    return _Maker(r, name or f"C{seed}", dense, with_jumps).run()


def name_of(line: str) -> str:
    """The name that a line declares or gives a value."""
    return next(w for w in WORD.findall(line) if w not in ("in", "param", "const", "state", "gate", "out"))


def shape(axes: Axes) -> str:
    """Axes as a declaration writes them."""
    return f"[{', '.join(axes)}]"


class _Maker:
    """One cell in the making."""

    def __init__(self, r: random.Random, name: str, dense: bool, jumps: bool) -> None:
        self.r, self.name, self.dense = r, name, dense
        self.t = Terms(r, jumps)
        self.head: list[str] = []
        self.states: list[str] = []
        self.body: list[str] = []
        self.outs: list[str] = []
        self.count = 0
        self.has_steps = False
        self.main: Axes = r.choice(SHAPES[:6] if dense else SHAPES)
        if dense and not self.main:
            self.main = ("N",)

    def fresh(self, stem: str) -> str:
        """A new name."""
        self.count += 1
        return f"{stem}{self.count}"

    def word(self, *words: str) -> None:
        """Notes what the cell contains."""
        self.t.words.update(words)

    def some(self, axes: Axes, least: int = 0) -> Axes:
        """Some of these axes, in their order."""
        count = self.r.randint(min(least, len(axes)), len(axes))
        return tuple(a for a in axes if a in self.r.sample(axes, count))

    def run(self) -> Cell:
        """The whole cell."""
        r = self.r
        self.inputs()
        for _ in range(r.choice((1, 1, 1, 1, 2))):
            kinds = DENSE if self.dense and (not self.states or r.random() < 0.5) else ELEMENTWISE
            kind = r.choice(kinds)
            self.word(kind)
            getattr(self, f"make_{kind}")(self.main)
        self.reads_out()
        self.pruned()
        where = "reverse(t)" if r.random() < 0.08 else "t"
        if where != "t":
            self.word("reverse")
        used = "\n".join([*self.head, *self.states, *self.body, *self.outs])
        dims = [d for d in ("D", "N", "H", "K", "V", "P") if any(f"{d}{c}" in used for c in ",]") or f"over = {d}" in used]
        sizes = {d: r.choice(SIZES) for d in dims}
        if self.main and self.main[-1] in sizes and r.random() < 0.4:
            sizes[self.main[-1]] = r.choice(WIDE)
        lines = [f"cell {self.name} over {where}:"]
        lines += [f"    dim {', '.join(dims)}"] if dims else []
        lines += [f"    {line}" for line in (*self.head, *self.states, *self.body, *self.outs)]
        return Cell(self.name, "\n".join(lines) + "\n", sizes, frozenset(self.t.words), self.t.jumps, where != "t")

    def needed(self) -> set[str]:
        """Names that the outs need."""
        reads: dict[str, set[str]] = {}
        for line in (*self.head, *self.states, *self.body, *self.outs):
            reads.setdefault(name_of(line), set()).update(WORD.findall(line))
        todo, seen = [name_of(line) for line in self.outs], set()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += reads.get(name, ())
        return seen

    def pruned(self) -> None:
        """Every state is needed by some out, and so is every other line; some out needs an input that changes from step to step."""
        for line in self.states:
            if name_of(line) not in self.needed():
                self.outs.append(f"out {name_of(line)}")
        seen = self.needed()
        timed = [line for line in self.head if line.startswith("in ") and not line.endswith(" once")]
        if not seen & {name_of(line) for line in timed}:
            axes = timed[0].split("[")[1].split("]")[0]
            self.outs.append(f"out {self.fresh('y')} : [{axes}] = tanh({name_of(timed[0])})")
            seen = self.needed()
        self.head = [line for line in self.head if name_of(line) in seen]
        self.body = [line for line in self.body if name_of(line) in seen]

    # ---- what comes in ------------------------------------------------------------------------------------------------

    def inputs(self) -> None:
        """Inputs, parameters, constants, projections."""
        r, t, main = self.r, self.t, self.main
        projected = bool(main) and (self.dense or r.random() < 0.5)
        if projected:
            self.head.append("in x : [D] init 0" if r.random() < 0.2 else "in x : [D]")
            self.word("projection")
            for _ in range(r.randint(1, 2)):
                p = self.fresh("p")
                bias = r.choice(("", ", bias = none", ", bias = 1"))
                source = "x"
                if "init" in self.head[0] and r.random() < 0.5:
                    source = "x[t-1]"
                    self.word("shifted input")
                self.body.append(f"{p} : {shape(main)} = linear({source}{bias})")
                t.add(p, main, times=2)
        for _ in range(r.randint(0 if projected else 1, 2)):
            of = main if not projected or r.random() < 0.6 else self.some(main)
            z = self.fresh("z")
            lagged = r.random() < 0.12
            self.head.append(f"in {z} : {shape(of)}" + (" init 0.5" if lagged else ""))
            t.add(z, of, times=2)
            if lagged:
                self.word("shifted input")
                t.add(f"{z}[t-{r.randint(1, 3)}]", of)
        if not t.fits(main, True):
            z = self.fresh("z")
            self.head.append(f"in {z} : {shape(main)}")
            t.add(z, main, times=2)
        if len(main) > 1 and r.random() < 0.4:
            of = self.some(main, 1)
            z = self.fresh("z")
            self.head.append(f"in {z} : {shape(of)}")
            t.add(z, of)
        if r.random() < 0.35:
            of, c = self.some(main), self.fresh("c")
            self.head.append(f"in {c} : {shape(of)} once")
            t.add(c, of)
            self.once = c
            self.word("once")
        for _ in range(r.randint(0, 2)):
            of, w = self.some(main), self.fresh("w")
            self.head.append(f"param {w} : {shape(of)} init {r.choice(('normal(0, 1)', 'uniform(-1, 1)', '0.5'))}")
            t.add(w, of)
            self.word("param")
            if r.random() < 0.25:
                t.add(f"exp(-exp({w}))", of)
        if r.random() < 0.15:
            c = self.fresh("k")
            self.head.append(f"const {c} : [] = {r.choice(('0.5', '0.9', '1.5'))}")
            t.add(c, ())
            self.word("const")
        if main and r.random() < 0.1:
            t.add(f"((pos({main[-1]}) + 1) / 3)", (main[-1],))
            self.word("pos")
        if r.random() < 0.15:
            of, q = self.some(main, 1), self.fresh("q")
            if t.fits(of, True):
                lag = r.random() < 0.5
                self.body.append(f"{q} : {shape(of)}{' init 0.25' if lag else ''} = {t.real(of)}")
                t.add(f"{q}[t-{r.randint(1, 2)}]" if lag else q, of)
                t.add(q, of)
                self.word("shifted value" if lag else "value")

    def start(self, axes: Axes) -> str:
        """How a real state begins."""
        r = self.r
        kinds = ["0"] * 4 + ["0.5", "-0.25", "param normal(0, 1)"]
        kind = r.choice(kinds)
        once = [k for k in self.t.known if k.text == getattr(self, "once", "") and set(k.axes) <= set(axes)]
        if once and r.random() < 0.4:
            self.word("start from once")
            return f"tanh({once[0].text})"
        if kind.startswith("param"):
            self.word("learned start")
        return kind

    def state(self, axes: Axes, start: str = "", kind: str = "") -> str:
        """A new state, declared."""
        h = self.fresh("h")
        self.states.append(f"state {h} : {shape(axes)}{kind} init {start or self.start(axes)}")
        return h

    # ---- expressions of known size ------------------------------------------------------------------------------------

    def gate(self, axes: Axes, depth: int = 0, full: bool = True) -> str:
        """Something between 0 and 1, or between -1 and 1."""
        e = self.t.real(axes, depth or self.r.choice((1, 1, 2)), full)
        return self.r.choice(("sigmoid({})", "sigmoid({})", "exp(-softplus({}))", "tanh({})", "0.9 * cos({})", "(1 - sigmoid({}))")).format(
            e
        )

    def write(self, axes: Axes, depth: int = 0) -> str:
        """Something of moderate size."""
        e = self.t.real(axes, depth or self.r.choice((1, 1, 2)))
        return self.r.choice(("tanh({})", "sin({})", "0.5 * atan({})", "({0}) / (1 + abs({0}))")).format(e)

    def named(self, axes: Axes, text: str, word: str = "gate") -> str:
        """The expression, perhaps under a name of its own."""
        if self.r.random() < 0.5:
            return text
        n = self.fresh("g")
        self.body.append(f"{word + ' ' if self.r.random() < 0.3 else ''}{n} : {shape(axes)} = {text}")
        self.t.add(n, axes)
        return n

    # ---- elementwise recurrences --------------------------------------------------------------------------------------

    def make_affine(self, axes: Axes) -> None:
        h = self.state(axes)
        a = self.named(axes, self.gate(axes), "gate")
        b = self.named(axes, self.write(axes), "gate")
        form = self.r.choice(
            ("{a} * {h}[t-1] + {b}", "{a} * {h}[t-1] + (1 - {a}) * {b}", "{h}[t-1] + {a} * ({b} - {h}[t-1])", "{h}[t-1] + {b}")
        )
        self.body.append(f"{h} = {form.format(a=a, b=b, h=h)}")
        self.t.add(h, axes, times=3)

    def make_nonlinear(self, axes: Axes) -> None:
        h = self.state(axes)
        self.t.add(f"{h}[t-1]", axes, times=4)
        form = self.r.choice(("{w}", "{g} * {h}[t-1] + {w}", "tanh({w} + {g} * {h}[t-1])"))
        self.body.append(f"{h} = {form.format(w=self.write(axes, 3), g=self.gate(axes), h=h)}")
        self.t.add(h, axes, times=2)

    def make_coupled(self, axes: Axes) -> None:
        """Two or three states, each of which reads the past of the others."""
        hs = [self.state(axes) for _ in range(self.r.randint(2, 3))]
        for h in hs:
            self.t.add(f"{h}[t-1]", axes, times=2)
        for h in hs:
            self.body.append(f"{h} = {self.gate(axes)} * {h}[t-1] + {self.write(axes)}")
        for h in hs:
            self.t.add(h, axes)

    def make_rotation(self, axes: Axes) -> None:
        """Two states that turn into each other: linear in both."""
        a, b, u = self.state(axes), self.state(axes), self.named(axes, self.t.real(axes))
        self.body.append(f"{a} = 0.9 * (cos({u}) * {a}[t-1] - sin({u}) * {b}[t-1]) + {self.write(axes, 1)}")
        self.body.append(f"{b} = 0.9 * (sin({u}) * {a}[t-1] + cos({u}) * {b}[t-1]) + {self.write(axes, 1)}")
        self.t.add(a, axes, times=2)
        self.t.add(b, axes)

    def make_cascade(self, axes: Axes) -> None:
        """Each reads what the one before has come to at this step."""
        inner = self.some(axes) if self.r.random() < 0.3 else axes
        a = self.state(inner)
        source = self.write(inner) if self.t.fits(inner, True) else "0.3"
        self.body.append(f"{a} = {self.gate(inner, 1, False)} * {a}[t-1] + {source}")
        self.t.add(a, inner, times=2)
        b = self.state(axes)
        self.body.append(f"{b} = {self.gate(axes)} * {b}[t-1] + tanh({a}) * {self.write(axes, 1)}")
        self.t.add(b, axes, times=2)

    def make_lags(self, axes: Axes) -> None:
        h, far = self.state(axes), self.r.randint(2, 3)
        back = [
            f"{self.r.choice(('0.4', '-0.3', '0.25'))} * {h}[t-{i}]" for i in range(1, far + 1) if i in (1, far) or self.r.random() < 0.5
        ]
        if self.r.random() < 0.5:
            self.t.add(f"{h}[t-{far}]", axes, times=2)
        if self.r.random() < 0.3:
            back = back[-1:]
        self.body.append(f"{h} = {' + '.join(back)} + {self.write(axes)}")
        self.word(f"lag {far}")
        self.t.add(h, axes, times=2)

    def make_complex(self, axes: Axes) -> None:
        start = self.r.choice(("0", "0", "complex(0.5, -0.5)"))
        z = self.state(axes, start, " of complex")
        e = self.t.real(axes)
        turn = self.named(axes, e)
        if self.r.random() < 0.3:
            w = self.fresh("w")
            of = self.some(axes)
            self.head.append(f"param {w} : {shape(of)} of complex init complex(normal(0, 1), normal(0, 1))")
            self.t.add(w, of, True)
            self.word("complex param")
            if of != axes:
                turn = f"({turn} + abs({w}))"
        if self.r.random() < 0.5:
            self.t.add(f"{z}[t-1]", axes, True)
        size = self.r.choice(("0.9", f"sigmoid({self.t.real(axes, 1)})"))
        write = self.t.complex(axes)
        self.body.append(f"{z} = {size} * cis({turn}) * {z}[t-1] + 0.5 * ({write})")
        self.t.add(z, axes, True, times=2)
        self.t.add(f"re({z})", axes)

    def make_stabilised(self, axes: Axes) -> None:
        """A running maximum and the sums it keeps in range."""
        inner = self.some(axes) if self.r.random() < 0.5 else axes
        if not self.t.fits(inner, True):
            inner = axes
        m, u, w = self.state(inner, "-inf"), self.state(inner, "0"), self.state(axes, "0")
        s = self.named(inner, self.t.real(inner))
        decay = self.named(inner, f"logsigmoid({self.t.real(inner)})") if self.r.random() < 0.6 else ""
        old = f"{m}[t-1] + {decay}" if decay else f"{m}[t-1]"
        self.body.append(f"{m} = max({old}, {s})")
        self.body.append(f"{u} = {u}[t-1] * expdiff({old}, {m}) + expdiff({s}, {m})")
        self.body.append(f"{w} = {w}[t-1] * expdiff({old}, {m}) + expdiff({s}, {m}) * {self.write(axes, 1)}")
        y = self.fresh("y")
        self.body.append(f"{y} : {shape(axes)} = {w} / {u}")
        self.t.add(y, axes, times=3)

    def make_semiring(self, axes: Axes) -> None:
        """Running maximum, minimum or sum of exponentials with a decay."""
        kind = self.r.choice(("max", "min", "logaddexp"))
        h = self.state(axes, {"max": "-inf", "min": "inf", "logaddexp": self.r.choice(("0", "-inf"))}[kind])
        d = f"softplus({self.t.real(axes, 1, False)})" if self.r.random() < 0.6 else "0.1"
        old = f"{h}[t-1] {'+' if kind == 'min' else '-'} {d}"
        self.body.append(f"{h} = {kind}({old}, {self.t.real(axes)})")
        self.word(f"running {kind}")
        self.t.add(h, axes, times=2)

    def make_threshold(self, axes: Axes) -> None:
        """A spike where the value passes 1, then back."""
        v, p, s = self.state(axes), self.fresh("p"), self.fresh("s")
        self.body.append(f"{p} : {shape(axes)} = 0.8 * {v}[t-1] + {self.t.real(axes)}")
        hard = f"where({p} >= 1, 1, 0)"
        soft = self.r.random() < 0.7
        self.body.append(f"{s} : {shape(axes)} = " + (f"through({hard}, sigmoid(4 * ({p} - 1)))" if soft else hard))
        self.body.append(f"{v} = " + self.r.choice((f"{p} - stop({s})", f"{p} * (1 - {s})", f"where({s} > 0.5, 0, {p})")))
        self.t.jumps = True
        self.t.add(s, axes)
        self.t.add(v, axes)

    def make_held(self, axes: Axes) -> None:
        """New at some steps, else what it was."""
        h = self.state(axes)
        numbers = (
            "mod(t, 2) == 0",
            "t == 1",
            "mod(t, 3) != 1",
            "bitlen(t) < 2",
            "xor(t, 1) > 2",
            "t >= 2 and mod(t, 2) == 1",
            "roundup(t, 2) == t",
        )
        when = self.r.choice((self.r.choice(numbers), self.t.truth(axes, 1), "flag")) if axes else self.r.choice(numbers)
        if when == "flag":
            b = self.fresh("b")
            self.body.append(f"{b} : {shape(axes)} of bool = {self.t.truth(axes, 2)}")
            self.word("bool value")
            when = self.r.choice((b, f"not {b}"))
        self.body.append(f"{h} = where({when}, {self.write(axes)}, {h}[t-1])")
        self.t.jumps = True
        self.t.add(h, axes, times=2)

    def make_outer(self, axes: Axes) -> None:
        """A state with more axes than what comes in, contracted in what goes out."""
        if len(axes) < 2:
            axes = ("K", "V")
        of = axes[-2:]
        lead = axes[:-2]
        k, q, v = (self.fresh(n) for n in "kqv")
        for n, a in ((k, of[0]), (q, of[0]), (v, of[1])):
            self.head.append(f"in {n} : {shape((*lead, a))}")
        S = self.state(axes, self.r.choice(("0", "0", "param normal(0, 1)")))
        decay = [x for x in ((*lead, of[0]), (*lead, of[1]), lead, axes) if self.t.fits(x, True)]
        a = self.gate(self.r.choice(decay), 1) if decay and self.r.random() < 0.8 else "0.9"
        self.t.add(k, (*lead, of[0]))
        self.t.add(v, (*lead, of[1]))
        self.body.append(f"{S} = ({a}) * {S}[t-1] + outer({k}, tanh({v}))")
        y, over = self.fresh("y"), self.r.choice((of[0], of[0], of[1]))
        read, left = (q, of[1]) if over == of[0] else (v, of[0])
        self.body.append(f"{y} : {shape((*lead, left))} = dot({read}, {S}, over = {over})")
        self.outs.append(f"out {y}")
        self.t.add(y, (*lead, left))
        self.t.add(S, axes)

    def make_layered(self, axes: Axes) -> None:
        """A recurrence, a layer, and a recurrence over it: two passes over time."""
        a, b, p = self.state(axes), self.state(axes), self.fresh("p")
        self.body.append(f"{a} = {self.gate(axes)} * {a}[t-1] + {self.write(axes)}")
        if axes:
            self.body.append(f"{p} : {shape(axes)} = linear({a})")
            self.t.add(p, axes)
        self.t.add(a, axes)
        self.body.append(f"{b} = {self.gate(axes)} * {b}[t-1] + {self.write(axes)}")
        self.t.add(b, axes, times=2)

    # ---- recurrences through layers -----------------------------------------------------------------------------------

    def layer(self, axes: Axes, *reads: str, heads: bool = True) -> str:
        """A new value: a layer of these reads, with own weights for each head now and then."""
        p, per = self.fresh("p"), ""
        if heads and len(axes) > 1 and self.r.random() < 0.5:
            per = f", per = {axes[0]}"
            self.word("per head")
        bias = self.r.choice(("", ", bias = none", ", bias = 0.5"))
        parts = [f"linear({', '.join(reads)}{bias}{per})"]
        if self.r.random() < 0.4:
            parts = [f"linear(x{bias})", f"linear({', '.join(reads)}, bias = none{per})"]
        elif not per and self.r.random() < 0.6:
            parts = [f"linear(x, {', '.join(reads)}{bias})"]
        self.body.append(f"{p} : {shape(axes)} = {' + '.join(parts)}")
        self.t.add(p, axes, times=2)
        return p

    def make_elman(self, axes: Axes) -> None:
        h = self.state(axes)
        lag = self.r.choice((1, 1, 1, 2, 3))
        self.word(f"lag {lag}")
        p = self.layer(axes, f"{h}[t-{lag}]")
        self.body.append(f"{h} = " + self.r.choice((f"tanh({p})", f"tanh({p} + {self.write(axes, 1)})", f"0.5 * {h}[t-1] + sin({p})")))
        self.t.add(h, axes, times=2)

    def make_gated(self, axes: Axes) -> None:
        """Gates from the state, the candidate from the gated state: one product after the other."""
        h = self.state(axes)
        f = self.layer(axes, f"{h}[t-1]")
        if self.r.random() < 0.5:
            g, c = self.fresh("g"), self.fresh("u")
            self.body.append(f"{g} : {shape(axes)} = sigmoid({self.layer(axes, f'{h}[t-1]')}) * {h}[t-1]")
            self.body.append(f"{c} : {shape(axes)} = tanh(linear(x, {g}))")
            self.word("product after product")
        else:
            c = f"tanh({self.layer(axes, f'{h}[t-1]')})"
        self.body.append(f"{h} = sigmoid({f}) * {h}[t-1] + (1 - sigmoid({f})) * {c}")
        self.t.add(h, axes, times=2)

    def make_cell_state(self, axes: Axes) -> None:
        """A memory beside what is read: several gates of one read."""
        h, c = self.state(axes), self.state(axes)
        gates = [self.layer(axes, f"{h}[t-1]") for _ in range(self.r.randint(2, 4))]
        keep, write = f"sigmoid({gates[0]})", f"tanh({gates[1]})"
        if self.r.random() < 0.4:
            w = self.fresh("w")
            self.head.append(f"param {w} : {shape(axes)} init normal(0, 1)")
            keep = f"sigmoid({gates[0]} + {w} * {c}[t-1])"
            self.word("peephole")
        self.body.append(f"{c} = {keep} * {c}[t-1] + {f'sigmoid({gates[2]}) * ' if len(gates) > 2 else ''}{write}")
        self.body.append(f"{h} = {f'sigmoid({gates[3]}) * ' if len(gates) > 3 else ''}tanh({c})")
        self.t.add(h, axes, times=2)
        self.t.add(c, axes)

    def make_feedback(self, axes: Axes) -> None:
        """What was read out a step ago comes back in."""
        h, y = self.state(axes), self.fresh("y")
        p = self.layer(axes, f"{y}[t-1]", heads=False)
        self.body.append(f"{h} = {self.gate(axes)} * {h}[t-1] + tanh({p})")
        self.states.append(f"state {y} : [P] init 0")
        self.body.append(f"{y} = tanh(linear({h}))")
        self.t.add(h, axes, times=2)

    # ---- what goes out ------------------------------------------------------------------------------------------------

    def reads_out(self) -> None:
        """Outs: states, functions of them, contractions, layers."""
        r, t, axes = self.r, self.t, self.main
        names = [line.split()[1] for line in self.states]
        for h in r.sample(names, min(len(names), r.randint(0, 2))):
            self.outs.append(f"out {h}")
        for _ in range(r.choice((0, 1, 1, 2)) if self.outs else 1):
            y, kind = self.fresh("y"), r.random()
            if kind < 0.25 and axes:
                u = self.fresh("u")
                self.body.append(f"{u} : {shape(axes)} = {t.real(axes)}")
                self.outs.append(f"out {y} : [P] = linear({u})")
                self.word("layer on top")
            elif kind < 0.45 and axes:
                over = axes[r.randrange(len(axes))]
                left = tuple(a for a in axes if a != over)
                if r.random() < 0.5:
                    self.outs.append(f"out {y} : {shape(left)} = dot({t.leaf(axes, True)}, {t.leaf(axes, True)}, over = {over})")
                else:
                    fn = r.choice(("sum", "mean", "max", "min", "logsumexp"))
                    self.outs.append(f"out {y} : {shape(left)} = {fn}({t.real(axes, 1)}, over = {over})")
                self.word("contracted out")
            elif kind < 0.53 and axes:
                self.outs.append(f"out {y} : {shape(axes)} = rmsnorm({t.leaf(axes, True)}, over = {axes[-1]})")
                self.word("norm on top")
            else:
                self.outs.append(f"out {y} : {shape(axes)} = {t.real(axes)}")


ELEMENTWISE = tuple(
    "affine affine nonlinear nonlinear coupled rotation cascade cascade lags complex complex stabilised stabilised semiring threshold "
    "held outer outer layered".split()
)
DENSE = tuple("elman gated cell_state feedback".split())

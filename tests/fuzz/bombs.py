"""Texts that would make a careless checker slow, deep or large, each with the codes that it ends with (none: it is legal).

`limits()` has for each limit a text that is just within it and one just beyond.
"""

from __future__ import annotations

from functools import cache

_HEAD = "    dim D, N\n    in x : [D]\n"
_OUT = "    out last : [D] = x\n"


def cell(*lines: str, head: str = _HEAD, out: str = _OUT, before: str = "") -> str:
    """A cell with these lines, after some definitions."""
    return f"seq 1\n\n{before}\ncell Bomb over t:\n" + head + "".join(f"    {line}\n" for line in lines) + out


def block(*lines: str, before: str = "") -> str:
    """A block over a sequence x."""
    return f"seq 1\n\n{before}\nblock Bomb:\n    in x : [t]\n" + "".join(f"    {line}\n" for line in lines)


def nested(f: str, depth: int, inner: str) -> str:
    """`f(f(f(inner)))`."""
    return f"{f}(" * depth + inner + ")" * depth


_TWO = "block F:\n    in x : [t]\n    out y : [t] = 2 * x\n    out z : [t] = 3 * x\n"
_ROUND = "{indent}state y : [t] init x\n{indent}y = tanh(y[{r}-1])\n"


@cache
def bombs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Text and codes by name."""
    return {name: (text, codes) for group in (_functions(), _numbers(), _graphs(), _bodies(), _wide()) for name, text, *codes in group}


def _functions() -> list[tuple[str, ...]]:
    """`fn`s that double, and expressions that are deep."""
    doubling = "fn f0(a) = a + a\n" + "".join(f"fn f{i}(a) = f{i - 1}(a) + f{i - 1}(a)\n" for i in range(1, 40))
    deep = f"fn f0(a) = {nested('tanh', 60, 'a')}\n"
    deep += "".join(f"fn f{i}(a) = f{i - 1}({nested('tanh', 30, 'a')})\n" for i in range(1, 60))
    many = "fn f0(a) = a\n" + "".join(f"fn f{i}(a) = {' + '.join([f'f{i - 1}(a)'] * 12)}\n" for i in range(1, 30))
    circle = "".join(f"fn f{i}(a) = f{(i + 1) % 500}(a)\n" for i in range(500))
    square, double, both = "fn f(a) = a * a\n", "fn f(a) = a + a\n", "fn g(a) = a and a\n"
    choice, larger = "fn f(a) = where(a > 0, a, a)\n", "fn f(a) = max(a, a)\n"
    twice = f"y : [D] in [0, 1] = {nested('f', 30, 'x')} - {nested('f', 30, 'x')}"
    chain = "".join(f"where(x > {i}, x, " for i in range(55)) + "0" + ")" * 55
    return [
        ("fns that double", cell("y : [D] = f39(x)", before=doubling), "SEQ0290"),
        ("a fn that doubles its argument", cell(f"y : [D] = {nested('f', 60, 'x')}", before=double)),
        ("two doubled trees compared", cell(twice, before=square)),
        ("fns deep in fns", cell("y : [D] = f59(x)", before=deep), "SEQ0290"),
        ("deep fns in arguments", cell(f"y : [D] = {nested('f', 50, 'x')}", before=f"fn f(a) = {nested('tanh', 50, 'a')}\n"), "SEQ0290"),
        ("fns that call many fns", cell("y : [D] = linear(f29(x))", before=many), "SEQ0290"),
        ("fns in a circle", cell("y : [D] = f0(x)", before=circle), "SEQ0229"),
        ("a relation through fns", cell(f"index s of t where {nested('g', 40, 's <= t')}", "y : [D] = mean(x[s], over = s)", before=both)),
        ("a position through fns", cell("z : [D] init 0 = 2 * x", f"y : [D] = z[t - {nested('f', 50, '1')}]", before=double), "SEQ0304"),
        ("choices in choices", cell(f"y : [D] in [0, 1] = {chain}"), "SEQ0440"),
        ("choices through fns", cell(f"y : [D] in [0, 1] = {nested('f', 50, 'x')}", before=choice), "SEQ0440"),
        ("a maximum through fns", cell(f"y : [] of int in [0, N) = {nested('f', 50, 'N - t')}", before=larger), "SEQ0440"),
        ("expdiff through fns", cell(f"y : [D] in [0, 1] = expdiff(x, {nested('f', 50, '2 * x')})", before=choice), "SEQ0440"),
        ("a claim through fns", cell(f"require {nested('g', 50, 'N > 0')}", before=both)),
        ("brackets", cell(f"y : [D] = {'(' * 1000}x{')' * 1000}"), "SEQ0148"),
        ("minus", cell(f"y : [D] = {'-' * 5000}x"), "SEQ0148"),
        ("a product of sums", cell(f"y : [D] in [0, 1] = {' * '.join(f'(x + {i})' for i in range(100))}"), "SEQ0440"),
    ]  # fmt: skip


def _numbers() -> list[tuple[str, ...]]:
    """Powers of powers, and ranges."""
    products = "    dim A0 = 2^30\n" + "".join(f"    dim A{i} = A{i - 1} * A{i - 1}\n" for i in range(1, 60))
    levels = "".join("    " * (i + 1) + f"rounds r{i} in 1..90000:\n" for i in range(20))
    levels += _ROUND.format(indent="    " * 21, r="r19")
    return [
        ("a power tower", cell("y : [] = 9^9^9^9"), "SEQ0291"),
        ("a power tower of ints", cell("y : [] of int = 9^9^9^9"), "SEQ0291"),
        ("a tower of dims", cell(head="    dim D, N = 9^9^9\n    in x : [D]\n"), "SEQ0291"),
        ("powers of dims", cell(head="    dim A = 64^64, B = A^64, C = B^64, D = C^64\n    in x : [D]\n"), "SEQ0434"),
        ("products of dims", cell(head=f"{products}    dim D\n    in x : [D]\n"), "SEQ0434"),
        ("a huge range", block("rounds r in 1..999999999999:", *_round(), "out y"), "SEQ0293"),
        ("a range of towers", block("rounds r in 1..9^9^9:", *_round(), "out y"), "SEQ0291"),
        ("ranges in ranges", "seq 1\nblock Bomb:\n    in x : [t]\n" + levels + "    out y\n", "SEQ0293"),
    ]


def _round() -> list[str]:
    return _ROUND.format(indent="    ", r="r").splitlines()


def _graphs() -> list[tuple[str, ...]]:
    """Long chains and wide graphs of values."""
    wide = [line for i in range(1, 1000) for line in (f"a{i} : [D] = a{i - 1} + b{i - 1}", f"b{i} : [D] = a{i - 1} - b{i - 1}")]
    chain = [f"v{i} : [D] = tanh(v{i - 1})" for i in range(1, 2000)]
    fields = [f"v{i} = F(v{i - 1}.y)" for i in range(800, 0, -1)]
    return [
        ("a wide graph", cell("a0 : [D] = x", "b0 : [D] = x", *wide, "z : [D] in [0, 1] = a999"), "SEQ0440"),
        ("a long chain", cell("v0 : [D] = x", *chain, "z : [D] in [0, 1] = v1999"), "SEQ0440"),
        ("a long chain backwards", cell("z : [D] in [0, 1] = v1999", *reversed(chain), "v0 : [D] = x"), "SEQ0440"),
        ("a start at the end of a chain", cell("state s : [D] init v1999", "s = s[t-1] + x", *reversed(chain), "v0 : [D] = N")),
        ("a start over a wide graph", cell("state s : [D] init a999", "s = s[t-1] + x", "a0 : [D] = N", "b0 : [D] = N", *wide)),
        ("a long loop", cell("v0 : [D] = v1999", *chain), "SEQ0301"),
        ("many loops", cell(*[f"{a}{i} : [D] = {b}{i}" for i in range(500) for a, b in ("pq", "qp")]), "SEQ0301", "SEQ0150"),
        ("calls in a chain", block(*fields, "v0 = F(x)", "out r : [t] = v800.z", before=_TWO)),
        ("calls in a loop", block(*fields, "v0 = F(v800.y)", "out r : [t] = v800.z", before=_TWO), "SEQ0301"),
        ("gradients of gradients", cell("g0 : [D] = x", *[f"g{i} : [D] = grad(sum(g{i - 1}^2, over = D), x)" for i in range(1, 300)])),
    ]  # fmt: skip


def _bodies() -> list[tuple[str, ...]]:
    """Bodies in bodies."""
    one = "block B{0}:\n    in x : [t]\n    out y : [t] = {1}\n\n"
    first = one.format(0, "x")
    chain = [one.format(i, f"B{i - 1}(x)") for i in range(1, 400)]
    twice = "".join(one.format(i, f"B{i - 1}(x, name = a) + B{i - 1}(x, name = b)") for i in range(1, 60))
    hole = "block B{0}(M = tanh):\n    in x : [t]\n    out y : [t] = {1}\n\n"
    holes = hole.format(0, "M(x)") + "".join(hole.format(i, f"B{i - 1}(x, M = M)") for i in range(1, 200))
    inputs = "block F:\n" + "".join(f"    in a{i} : [t]\n" for i in range(300)) + "    out y : [t] = a0\n"
    return [
        ("bodies in bodies", "seq 1\n" + first + "".join(chain)),
        ("bodies in bodies backwards", "seq 1\n" + "".join(reversed(chain)) + first),
        ("bodies that double", "seq 1\n" + first + twice),
        ("bodies in a circle", "seq 1\n" + "".join(one.format(i, f"B{(i + 1) % 400}(x)") for i in range(400)), "SEQ0234"),
        ("holes in holes", block("out y : [t] = B199(x, M = f)", before=f"fn f(a) = a\n{holes}"), "SEQ0290"),
        ("many calls of a body with many inputs", block(*[f"v{i} : [t] = F(x)" for i in range(1500)], "out v0", before=inputs)),
    ]


def _wide() -> list[tuple[str, ...]]:
    """Many of everything."""
    axes = ", ".join(f"A{i}" for i in range(900))
    dims = "".join(f"    dim A{i}\n" for i in range(900))
    parts = ", ".join(f"A{i}" for i in range(500))
    small = "".join(f"    dim A{i}\n" for i in range(500))
    near = [f"value{i:05} : [D] = x" for i in range(3000)] + [f"w{i} : [D] = valeu{i:05}" for i in range(50)]
    operator = "operator O{0}(a : [N]):\n    identity = (0)\n    combine(l, r):\n        a = l.a + r.a\n"
    return [
        ("many indices", cell(*[f"index i{k} of D" for k in range(2000)], "y : [i1999] = x[i1999]")),
        ("indices of indices", cell("index i0 of D", *[f"index i{k} of i{k - 1}" for k in range(1, 2000)], "y : [i9] = x[i9]")),
        ("many levels", block(*[w for i in range(900) for w in ("rounds r in 1..3:", f"    v{i} : [t] = tanh(x)")], "out v0")),
        ("many unknown names", cell(*[f"v{i} : [D] = unknown{i} + x" for i in range(2000)]), "SEQ0220", "SEQ0150"),
        ("many names that are near", cell(*near), "SEQ0220", "SEQ0150"),
        ("many outs", cell(*[f"out y{i} : [D] = x" for i in range(3000)])),
        ("one out many times", cell("y : [D] = x", *["out y"] * 3000)),
        ("many dims", cell(*[f"dim A{i} = {i}" for i in range(3000)])),
        ("many axes", cell(f"y : [{axes}] = 1", *[f"z{k} : [{axes}] = y * y" for k in range(10)], head=f"{dims}{_HEAD}")),
        ("many parts of a split", cell(f"y : [D] = split(x, D = [{parts}])", head=f"{small}{_HEAD}"), "SEQ0290"),
        ("many settings", cell("out x", "schedule:", *[f"    scan = newton(iterations = {i})" for i in range(1, 2000)], out=""),
        "SEQ0236", "SEQ0150"),
        ("many operators", "seq 1\n" + "".join(operator.format(i) for i in range(1000))),
    ]  # fmt: skip


@cache
def limits() -> dict[str, tuple[str, str, str]]:
    """At the limit, one beyond it, and the code."""

    def states(n: int) -> str:
        return cell(*[line for i in range(n) for line in (f"state s{i} : [D] init 0", f"s{i} = s{i}[t-1] + x")])

    def bodies(n: int) -> str:
        return "seq 1\n" + "".join(f"block B{i}:\n    in x : [t]\n    out y : [t] = x\n" for i in range(n))

    def levels(n: int) -> str:
        return block(f"rounds r in 1..{n}:", *_round(), "out y")

    def power(n: int) -> str:
        return cell(f"y : [] of int = 2^{n}")

    def dim(n: int) -> str:
        return cell("z : [D] = N * x", head=f"    dim D, M = {n - 1}, N = M + 1\n    in x : [D]\n")

    def terms(n: int) -> str:
        """11 terms a line (the sum, nine names, the out's own), and two of the last line and the dim."""
        return cell(*[f"v{i} : [] = {' + '.join(['1'] * 9)}" for i in range(n)])

    def deep(n: int) -> str:
        return cell(f"y : [D] = {nested('f', n, 'x')}", before=f"fn f(a) = {nested('tanh', 20, 'a')}\n")

    return {
        "states": (states(256), states(257), "SEQ0292"),
        "bodies": (bodies(512), bodies(513), "SEQ0294"),
        "levels": (levels(100_000), levels(100_001), "SEQ0293"),
        "exponents": (power(64), power(65), "SEQ0291"),
        "sizes": (dim(2**31 - 1), dim(2**31), "SEQ0434"),
        "terms": (terms(990), terms(1200), "SEQ0290"),
        "depth": (deep(7), deep(8), "SEQ0290"),
    }

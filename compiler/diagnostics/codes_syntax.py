"""Codes of the text itself (01xx) and of files and imports (028x), for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

_E = CodeEntry

_WORDS: Final = (
    _E(
        "SEQ0101",
        "something else is expected here",
        "The text cannot go on like this. The caret is under the first word or sign that does not fit; the message says what "
        "would have fitted there.",
        "c : [N] = f * (g + )",
        "c : [N] = f * (g + 1)",
    ),
    _E(
        "SEQ0102",
        "the edition is missing",
        "A file begins with the edition of the language that it is written in, so that its meaning never changes when the "
        "language does.",
        "cell Sum over t:\n    in x : []\n    state s : [] init 0\n    s = s[t-1] + x\n    out s\n",
        "seq 1\n\ncell Sum over t:\n    in x : []\n    state s : [] init 0\n    s = s[t-1] + x\n    out s\n",
    ),
    _E(
        "SEQ0103",
        "the edition is not known",
        "This compiler reads edition 1. A file of a later edition needs a later compiler.",
        "seq 7\n\ncell Sum over t:\n    in x : []\n    state s : [] init 0\n    s = s[t-1] + x\n    out s\n",
        "seq 1\n\ncell Sum over t:\n    in x : []\n    state s : [] init 0\n    s = s[t-1] + x\n    out s\n",
    ),
    _E(
        "SEQ0104",
        "a tab in the indentation",
        "Blocks are made by indentation, and a tab is as wide as each editor likes. Indent with spaces; `seqc fmt` uses four.",
        "\tin y : [D]",
        "in y : [D]",
    ),
    _E(
        "SEQ0105",
        "the indentation fits no open block",
        "A line that is indented less than the one above ends a block, so it has to be indented exactly like an earlier line.",
        "rounds r in 1..3:\n        z = z[r-1] + x\n  y = x",
        "rounds r in 1..3:\n    state z : [D] init 0\n    z = z[r-1] + x\ny : [D] = x",
    ),
    _E(
        "SEQ0106",
        "a line is indented more than its block",
        "Only the lines of a block are indented more than the line before: those after a head that ends with `:`. To go on "
        "with an expression on the next line, leave a bracket open.",
        "y : [D] = x\n    z : [D] = y",
        "y : [D] = x\nz : [D] = y",
    ),
    _E(
        "SEQ0107",
        "a block without lines",
        "A head that ends with `:` is followed by at least one line, indented by four spaces.",
        "schedule:\ny : [D] = x",
        "schedule:\n    scan = auto\ny : [D] = x",
    ),
    _E(
        "SEQ0108",
        "`:` is missing at the end of a head",
        "The heads of cells, blocks, models, operators, stacks, rounds and schedules end with `:`.",
        "rounds r in 1..3\n    state z : [D] init 0\n    z = z[r-1] + x",
        "rounds r in 1..3:\n    state z : [D] init 0\n    z = z[r-1] + x",
    ),
    _E(
        "SEQ0109",
        "`=` is missing",
        "An equation is a name, an optional shape, `=` and an expression. Gates and losses always have one.",
        "gate f : [D] in (0, 1) sigmoid(x)",
        "gate f : [D] in (0, 1) = sigmoid(x)",
    ),
    _E(
        "SEQ0110",
        "a shape is missing",
        "Inputs, states and params say which axes they have: `[D]` for a vector, `[H, K]` for a matrix, `[]` for a number.",
        "state h init 0",
        "state h : [D] init 0",
    ),
    _E(
        "SEQ0111",
        "a cell does not say what it runs along",
        "A `cell` is one step, and its head names the topology the steps lie on: `over t` for time, `over reverse(t)`, "
        "`over grid(i, j)`, `over tree`, `over dag`, … Without steps it is a `block`.",
        "cell Twice:\n    in x : [D]\n    out y : [D] = 2 * x",
        "cell Twice over t:\n    dim D\n    in x : [D]\n    out y : [D] = 2 * x",
    ),
    _E(
        "SEQ0112",
        "the parts of a declaration are in another order",
        "There is one order for every declaration, so that any of them can be read at a glance: "
        "`[kind] name : [axes] of type in range over home once|fixed init start = equation`.",
        "gate f : [D] = sigmoid(x) in (0, 1)",
        "gate f : [D] in (0, 1) = sigmoid(x)",
    ),
    _E(
        "SEQ0113",
        "a word of the language as a name",
        "The words that begin lines and parts of lines (`in`, `state`, `gate`, `over`, `of`, `init`, …) cannot be names. "
        "`seq`, `identity` and `combine` can.",
        "gate in : [D] in (0, 1) = sigmoid(x)",
        "gate i : [D] in (0, 1) = sigmoid(x)",
    ),
    _E(
        "SEQ0114",
        "a bracket is not closed",
        "Lines may break inside brackets, so an open bracket would swallow the lines below. The message points at the bracket "
        "that was left open before a line that can only be a new one.",
        "y : [D] = tanh(2 * (x + 1)\nz : [D] = y",
        "y : [D] = tanh(2 * (x + 1))\nz : [D] = y",
    ),
    _E(
        "SEQ0115",
        "a bracket that closes nothing",
        "Each `)` closes a `(` and each `]` a `[`. Only a range may mix them: `in [0, 1)`.",
        "y : [D] = tanh(x))",
        "y : [D] = tanh(x)",
    ),
    _E(
        "SEQ0116",
        "a text is not closed",
        'A text stands in double quotes and ends on its line; a doc string stands in `"""` and may span lines.',
        'y : [D] = linear(x, name = "g)',
        "y : [D] = linear(x, name = g)",
    ),
    _E(
        "SEQ0117",
        "a sign of another language",
        "The signs of an expression are `+ - * / ^ == != < <= > >= and or not` and brackets. A power is `^`, a remainder "
        "`mod(a, n)`, a choice `where(condition, a, b)`; matrix products are `linear(x)` or `dot(a, b, over = K)`.",
        "y : [D] = x ** 2",
        "y : [D] = x^2",
    ),
    _E(
        "SEQ0118",
        "an assignment of another language",
        "Equations define values once and for all; their order is free and nothing is reassigned. What builds up over time "
        "is a state, and its past is read with a lag.",
        "state s : [D] init 0\ns += x",
        "state s : [D] init 0\ns = s[t-1] + x",
    ),
    _E("SEQ0119", "`==` in place of `=`", "`==` compares two values; an equation has one `=`.", "y : [D] == x", "y : [D] = x"),
    _E(
        "SEQ0120",
        "a word of another language",
        "A spec has no statements. A choice is `where(condition, a, b)`, a repetition `stack` or `rounds`, a function "
        "`fn f(a, b) = …`, a result `out`.",
        "y : [D] = x if x > 0 else 0",
        "y : [D] = where(x > 0, x, 0)",
    ),
    _E(
        "SEQ0121",
        "a slice",
        "A read gives one place of an axis. Several places are an axis of their own: an `index` with a relation, over which "
        "sums, maxima and softmax run.",
        "y : [D] = mean(x[0:3])",
        "index s of t where s <= t and t - s < 3\ny : [D] = mean(x[s], over = s)",
    ),
    _E(
        "SEQ0122",
        "an import of another form",
        "An import names one file below the project's root, or a bundled spec, and the names to take from it.",
        "import cells.gru",
        "from cells.gru import GRU",
    ),
    _E(
        "SEQ0123",
        "a sign that no keyboard of the language has",
        "Specs are written in the signs of ASCII; anything may stand in comments, doc strings and texts.",
        "y : [D] = x × 2",
        "y : [D] = x * 2",
    ),
    _E(
        "SEQ0124",
        "not a name",
        "Names begin with a letter and go on with letters, digits and `_`, all of them ASCII: letters that only look alike "
        "would make two names of one.",
        "α : [] = 0.5",
        "alpha : [] = 0.5",
    ),
    _E(
        "SEQ0125",
        "a name is too long",
        "A name has at most 64 letters.",
        f"{'very_' * 13}long : [] = 1",
        "short : [] = 1",
    ),
    _E(
        "SEQ0126",
        "not a number",
        "Numbers are decimal: `12`, `0.5`, `1e-3`. A digit stands on both sides of the point, and a product is written "
        "with `*`.",
        "y : [D] = 2x",
        "y : [D] = 2 * x",
    ),
    _E(
        "SEQ0127",
        "a number is too long or too large",
        "A number has at most 40 digits and fits a 64-bit floating-point number. Infinity is `inf`.",
        "y : [D] = min(x, 1e999)",
        "y : [D] = min(x, inf)",
    ),
    _E(
        "SEQ0128",
        "chained comparisons",
        "A comparison gives a bool, and there is no arithmetic or order on bools. Join two comparisons by `and`.",
        "y : [D] of bool = 0 < x < 1",
        "y : [D] of bool = 0 < x and x < 1",
    ),
    _E(
        "SEQ0129",
        "only a name can be read elsewhere",
        "`name[t-1]` and `name.field` read a name (or, for a field, a call). Another value needs a name of its own first: "
        "then its past is a value of its own, with a start.",
        "y : [D] = tanh(x)[t-1]",
        "z : [D] init 0 = tanh(x)\ny : [D] = z[t-1]",
    ),
    _E(
        "SEQ0130",
        "the edition is given twice",
        "A file has one edition, on its first line.",
        "seq 1\n\nseq 1\n\nfn half(a) = a / 2\n",
        "seq 1\n\nfn half(a) = a / 2\n",
    ),
    _E(
        "SEQ0131",
        "an equation where there is none",
        "A `state` line says where the state starts; its equation stands on a line of its own. A `param` is learned and has "
        "a start only.",
        "state h : [D] init 0 = h[t-1] + x",
        "state h : [D] init 0\nh = h[t-1] + x",
    ),
    _E(
        "SEQ0132",
        "an unknown kind of line",
        "A line of a body begins with `dim`, `index`, `in`, `state`, `param`, `const`, `gate`, `loss`, `out`, `require`, "
        "`stack`, `rounds`, `schedule` or the name of an equation; a definition with `cell`, `block`, `model`, `fn`, "
        "`operator`, `extern` or `from`.",
        "stat h : [D] init 0",
        "state h : [D] init 0",
    ),
    _E(
        "SEQ0136",
        "a block with a topology",
        "Only a cell is one step of something. A block sees whole sequences as its shapes say: `in x : [t, D]`.",
        "block Twice over t:\n    dim D\n    in x : [D]\n    out y : [D] = 2 * x",
        "block Twice:\n    dim D\n    in x : [t, D]\n    out y : [t, D] = 2 * x",
    ),
    _E("SEQ0137", "`:` is missing before a shape", "A shape follows a colon: `name : [axes]`.", "y [D] = x", "y : [D] = x"),
    _E(
        "SEQ0138",
        "an index on the left side",
        "An equation gives the value of this step, and the left side is a bare name. The past stands on the right, with its "
        "lag.",
        "state h : [D] init 0\nh[t] = h[t-1] + x",
        "state h : [D] init 0\nh = h[t-1] + x",
    ),
    _E(
        "SEQ0139",
        "a shape without brackets",
        "The axes of a shape stand in square brackets, also where there is only one.",
        "state h : D init 0",
        "state h : [D] init 0",
    ),
)

_TEXT: Final = (
    _E("SEQ0140", "not UTF-8", "A spec is a text file in UTF-8."),
    _E("SEQ0141", "a control character", "Control characters other than line ends and tabs have no place in a spec."),
    _E(
        "SEQ0142",
        "an invisible character",
        "Characters that have no width or turn the direction of writing can make a text look other than it is "
        "(CVE-2021-42574).",
    ),
    _E("SEQ0143", "a byte order mark inside the file", "A byte order mark may stand at the very start of a file only."),
    _E("SEQ0144", "a lone carriage return", "Lines end with a line feed, or a carriage return and a line feed."),
    _E("SEQ0145", "a line is too long", "A line has at most 10 000 characters. Lines may break inside brackets."),
    _E("SEQ0146", "a file is too large", "A file has at most 1 MiB."),
    _E("SEQ0147", "a file has too many words", "A file has at most 200 000 words and signs."),
    _E(
        "SEQ0148",
        "nested too deep",
        "Brackets and blocks are nested at most 64 deep, and one expression has at most 128 operators and brackets around "
        "each other. Give a part of it a name: equations cost nothing.",
        f"y : [D] = {'(' * 70}x{')' * 70}",
        "y : [D] = x",
    ),
    _E("SEQ0150", "too many errors", "Only the first 20 errors of a file are shown; most of the rest follow from them."),
)

_PARTS: Final = (
    _E(
        "SEQ0153",
        "a size in a shape",
        "A shape names axes. Their sizes are dims, declared and computed on `dim` lines.",
        "y : [2 * D] = linear(x)",
        "dim E = 2 * D\ny : [E] = linear(x)",
    ),
    _E(
        "SEQ0154",
        "an operator or `,` is missing",
        "Two values stand side by side. A product is written with `*`, arguments are separated by `,`.",
        "y : [D] = max(x 0)",
        "y : [D] = max(x, 0)",
    ),
    _E("SEQ0155", "a `,` too many", "A `,` stands between two items.", "y : [D] = max(x, 0,)", "y : [D] = max(x, 0)"),
    _E(
        "SEQ0156",
        "a list as a value",
        "Lists stand only as values of keywords that take several axes, as in `over = [H, K]`. Arrays come from outside as "
        "a `const`, or are computed from `pos(N)`.",
        "y : [D] = x * [1, 2]",
        "y : [D] = x * (1 + pos(D))",
    ),
    _E(
        "SEQ0157",
        "a doc string out of place",
        "A doc string stands before a definition or is the first line of its body. A line is documented by `#: …` behind it.",
        'y : [D] = x\n"""The result."""\nz : [D] = y',
        "y : [D] = x\nz : [D] = y                             #: the result",
    ),
    _E(
        "SEQ0158",
        "not a definition",
        "At the left margin stand imports and definitions (`cell`, `block`, `model`, `fn`, `operator`, `extern`); everything "
        "else is indented below one of them.",
        "seq 1\n\nx = 3\n",
        "seq 1\n\nfn three(a) = 3\n",
    ),
    _E(
        "SEQ0159",
        "a range with one end",
        "A range has two ends and both belong to it: `1..L` are L numbers, `0..S-1` are S.",
        "index i in 8\ny : [i, D] = x",
        "index i in 0..7\ny : [i, D] = x",
    ),
    _E(
        "SEQ0160",
        "a dim or index with parts of something else",
        "`dim` lines list sizes, `index` lines sets of positions; several on a line are separated by `,`.",
        "dim E : [D]",
        "dim E = D",
    ),
    _E(
        "SEQ0161",
        "a function with a body",
        "A function is one expression. What needs several equations, parameters or a state is a `block` or a `cell`.",
        "fn twice(a):\n    b = 2 * a",
        "fn twice(a) = 2 * a",
    ),
    _E(
        "SEQ0162",
        "several names on one line",
        "Each declaration has a line of its own; only `dim` and `index` lines list several.",
        "y : [D] = x\nz : [D] = 2 * x\nout y, z",
        "y : [D] = x\nz : [D] = 2 * x\nout y\nout z",
    ),
)

_FILES: Final = (
    _E("SEQ0280", "no such file or bundled spec", "A spec is named by its path or, where bundled, by its name (`seqc list`)."),
    _E("SEQ0281", "a file cannot be read", "The path names a folder, a device, or a file that this user may not read."),
    _E(
        "SEQ0282",
        "an import finds no file",
        "`from a.b import X` is the file `a/b.seq` below the folder of the main file, else a bundled spec.",
        "seq 1\n\nfrom cells.no_such_file import GRU\n",
        "seq 1\n\nfrom cells.gru import GRU\n",
    ),
    _E(
        "SEQ0283",
        "an imported name is not defined there",
        "The file that is imported has to define the name itself; what it only imports is imported from its own place.",
        "seq 1\n\nfrom cells.gru import Gruu\n",
        "seq 1\n\nfrom cells.gru import GRU\n",
    ),
    _E(
        "SEQ0284",
        "files import each other",
        "Imports may not come back to where they started. Move what both need into a third file.",
    ),
    _E(
        "SEQ0285",
        "an import leads out of the project",
        "Imports stay below the folder of the main file, also when symbolic links are followed.",
    ),
    _E("SEQ0286", "too many imports", "A project has at most 64 files, and imports lead at most 8 files deep."),
    _E(
        "SEQ0287",
        "a file name that cannot be imported",
        "The name of a spec's file is an identifier followed by `.seq`, so that it can be imported from specs and from Python.",
    ),
    _E(
        "SEQ0288",
        "one name from two places",
        "A name in a file has one meaning: an import may not bring a name that the file defines or has imported already.",
        "seq 1\n\nfrom cells.gru import GRU\n\nfn GRU(a) = a\n",
        "seq 1\n\nfrom cells.gru import GRU\n\nfn half(a) = a / 2\n",
    ),
)

ENTRIES: Final[tuple[CodeEntry, ...]] = _WORDS + _TEXT + _PARTS + _FILES

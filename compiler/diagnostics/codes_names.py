"""Codes of names, definitions and calls (02xx), for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

_E = CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = (
    _E(
        "SEQ0201",
        "a name is declared twice",
        "Dims, indices, values, holes and levels of one body share one set of names, and so do the definitions and "
        "imports of one file: wherever a name stands, it means one thing.",
        "state m : [D] init 0\nparam m : [D] init 0\nm = m[t-1] + x",
        "state m : [D] init 0\nparam w : [D] init 0\nm = m[t-1] + w * x",
    ),
    _E(
        "SEQ0202",
        "a name has two equations",
        "Each name has one equation in its body. Equations are a graph and no sequence of commands: nothing is "
        "reassigned. A second step of the computation gets a name of its own; the value of the step before is read with "
        "a lag; a parameter is learned and has a start in place of an equation.",
        "h : [D] = 2 * x\nh = tanh(h)",
        "a : [D] = 2 * x\nh : [D] = tanh(a)",
    ),
    _E(
        "SEQ0203",
        "upper or lower case",
        "The first letter says what an axis is. Dims (upper-case) are sizes that are fixed when a module is built, and "
        "layers mix them; indices (lower-case) are sets of positions that are known when it runs, and layers are mapped "
        "over them.",
        "dim n\nz : [n] = linear(x)",
        "dim N\nz : [N] = linear(x)",
    ),
    _E(
        "SEQ0204",
        "a word with a meaning of its own",
        "`true`, `false`, `none`, `pi` and `inf` are values, and `pred`, `succ`, `batch`, `call` and `edge` are axes "
        "that need no declaration. None of them can name anything else.",
        "pi : [D] = 2 * x",
        "p : [D] = 2 * x",
    ),
    _E(
        "SEQ0205",
        "a value named like an axis",
        "`t` and the other axes that a body runs along are numbers in an expression: the number of the step. A value "
        "cannot have the same name.",
        "t : [D] = 2 * x",
        "z : [D] = 2 * x",
    ),
    _E(
        "SEQ0206",
        "a state without an equation",
        "`state` declares a value that is defined through its own past. It needs one line that says how; its past is "
        "read with a lag, such as `h[t-1]`. A value that never changes is a `param` or an `in … once`.",
        "state h : [D] init 0\ny : [D] = h[t-1] + x",
        "state h : [D] init 0\nh = 0.9 * h[t-1] + x",
    ),
    _E(
        "SEQ0207",
        "an equation without a shape",
        "Every value says which axes it has: `z : [D] = …`, or `z : [] = …` for a single number. The shape is what "
        "layers take their sizes from, and what a reader looks for first. Only a call of a body, `scan` and `eigh` may "
        "leave it out, since they can hold several values.",
        "twice = x + x",
        "twice : [D] = x + x",
    ),
    _E(
        "SEQ0208",
        "an out of nothing",
        "`out h` gives back a value that is defined elsewhere in the body; `out y : [D] = …` defines one on the spot.",
        "state total : [D] init 0\ntotal = total[t-1] + x\nout totl",
        "state total : [D] init 0\ntotal = total[t-1] + x\nout total",
    ),
    _E(
        "SEQ0209",
        "there is no such type",
        "Types are `f64`, `f32`, `f16` and `bf16` (a floor for the precision of a state), `float` (the caller's, which "
        "is also what a value without a type has), `complex`, `int`, `bool` and `text`.",
        "state h : [D] of float32 init 0\nh = h[t-1] + x",
        "state h : [D] of f32 init 0\nh = h[t-1] + x",
    ),
    _E(
        "SEQ0210",
        "a state and its equation stand in different blocks",
        "A state inside `stack` or `rounds` has an entry for each level and steps along the level. Whether it does must "
        "be plain from its place, so its declaration and its equation stand in the same block.",
        "block B:\n"
        "    dim D, L = 2\n"
        "    in x : [t, D]\n"
        "    state h : [t, D] init x\n"
        "    stack l in 1..L:\n"
        "        h = tanh(linear(h[l-1]))\n"
        "    out h",
        "block B:\n"
        "    dim D, L = 2\n"
        "    in x : [t, D]\n"
        "    stack l in 1..L:\n"
        "        state h : [t, D] init x\n"
        "        h = tanh(linear(h[l-1]))\n"
        "    out h",
    ),
    _E(
        "SEQ0211",
        "the equation of a misspelt state",
        "A line without a shape is the equation of a state, but no state is called so; one that is almost called so has no equation yet.",
        "state memory : [D] init 0\nmemroy = memory[t-1] + x",
        "state memory : [D] init 0\nmemory = memory[t-1] + x",
    ),
    _E(
        "SEQ0212",
        "a shape without an equation",
        "Only inputs, parameters, consts and states are declared without an equation on the same line. Every other value "
        "is defined where it is declared.",
        "out y : [D]",
        "out y : [D] = 2 * x",
    ),
    _E(
        "SEQ0213",
        "a body gives nothing back",
        "A body whose result nobody can read computes nothing. `out h` gives a value back; a body may also have only a `loss`.",
        "cell C over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = h[t-1] + x",
        "cell C over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = h[t-1] + x\n    out h",
    ),
    _E(
        "SEQ0214",
        "a function of the language is defined anew",
        "The functions of the language mean the same in every file. A variant gets a name of its own.",
        "fn tanh(z) = z / (1 + abs(z))",
        "fn softsign(z) = z / (1 + abs(z))",
    ),
    _E(
        "SEQ0215",
        "a word on a line that cannot have it",
        "`once` (the same for the whole run) belongs to inputs, `fixed` (kept in the `state_dict`, no gradient) to "
        "parameters, and `over` names a home: `over edge` for inputs of a graph's edges, `over call` for states that "
        "outlive a sequence.",
        "state h : [D] once init 0\nh = 0.9 * h[t-1] + x",
        "state h : [D] init 0\nh = 0.9 * h[t-1] + x",
    ),
    _E(
        "SEQ0216",
        "the topology stands in a shape",
        "A cell describes one step, so the axis it runs along is in no shape: `x : [D]` is the input of this step, "
        "`x[t-1]` that of the step before. What sees the whole sequence at once is a block, and there `t` is written.",
        "cell C over t:\n    dim D\n    in x : [t, D]\n    out y : [D] = 2 * x",
        "cell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = 2 * x",
    ),
    _E(
        "SEQ0217",
        "a dim is made of something else than sizes",
        "A dim is known before anything runs. Its value is exact arithmetic of numbers and of dims declared before it: "
        "`+ - * / ^`, `ceil`, `floor`, `roundup(x, n)`, `min` and `max`. What that cannot say is bound by the caller: "
        "`dim N`.",
        "dim N = sqrt(D)\nz : [N] = linear(x)",
        "dim N\nz : [N] = linear(x)",
    ),
    _E(
        "SEQ0218",
        "a dim is made of a later one",
        "Dims are worked out in the order of the text, so each is made of those that stand before it, and none of itself.",
        "dim M = N / 2, N = 8\nz : [M] = linear(x)",
        "dim N = 8, M = N / 2\nz : [M] = linear(x)",
    ),
    _E(
        "SEQ0219",
        "an axis that is not declared",
        "A shape lists dims (`dim D`) and indices (`index i in 0..S-1`, `index u`). Only `t`, the axes of the topology, "
        "the names of enclosing `stack` and `rounds` blocks, `pred`, `succ` and `batch` need no declaration.",
        "z : [N] = linear(x)",
        "dim N\nz : [N] = linear(x)",
    ),
    _E(
        "SEQ0220",
        "a name that is not defined",
        "The word names no value, dim, index or level of this body. Bodies do not see each other's names: what a body "
        "uses comes in through `in`, `param`, `const`, or a hole. There is no `h_prev`: the value of the step before is "
        "`h[t-1]`.",
        "state memory : [D] init 0\nmemory = memroy[t-1] + x",
        "state memory : [D] init 0\nmemory = memory[t-1] + x",
    ),
    _E(
        "SEQ0221",
        "two layers would share the name of a parameter",
        "Parameters are named `equation.layer.input`, so that the keys of a `state_dict` can be read and never move when "
        "other lines change. Two layers alike in one equation, or two unnamed expressions in one layer, have no such "
        "names: give one of the layers a name with `name = …`, or give the expression a line of its own.",
        "y : [D] = linear(x) * sigmoid(linear(x))",
        "y : [D] = linear(x) * sigmoid(linear(x, name = squash))",
    ),
    _E(
        "SEQ0222",
        "a body or an axis is used as a value",
        "The name of a cell, block, model or function is called with arguments in round brackets; it is no value by "
        "itself. Where a whole body is to be handed on, it fills a hole: `Mixer = GRU`.",
        "fn half(z) = z / 2\n\ncell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = x + half",
        "fn half(z) = z / 2\n\ncell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = x + half(x)",
    ),
    _E(
        "SEQ0223",
        "a list where a value is needed",
        "`[H, K]` is a list of axes, which `over =`, `per =`, `to =` and the parts of `split` and `merge` take. There "
        "are no lists of numbers: a row of numbers is a `const`, or made of `pos(N)`.",
        "y : [D] = linear(x, bias = [D])",
        "y : [D] = linear(x, bias = 1)",
    ),
    _E(
        "SEQ0224",
        "`none` where a value is needed",
        '`none` means "not given". It is the default of an input that may be left out (`in mask : [] = none`), an '
        "argument that leaves one out, and what switches a bias or an affine part off.",
        "y : [D] = where(x > 0, x, none)",
        "y : [D] = where(x > 0, x, 0)",
    ),
    _E(
        "SEQ0225",
        "there is no such field",
        "The fields of a called cell are its outs and states (`enc.h`), those of a layer its parameters "
        "(`e.embedding.ids`), those of `eigh` are `values` and `vectors`, those of `scan` the fields of its operator.",
        "y : [D] = linear(x)\nz : [D] = sum(y.linear.w, over = D)",
        "y : [D] = linear(x)\nz : [D] = y.linear.bias",
    ),
    _E(
        "SEQ0226",
        "there is no such function",
        "The word before the bracket is no function of the language, no `fn`, cell, block, model, operator or extern of "
        "this file, and none that it imports.",
        "y : [D] = sigmoyd(x)",
        "y : [D] = sigmoid(x)",
    ),
    _E(
        "SEQ0227",
        "a wrong number of arguments",
        "The function, the `fn` or the body takes another number of arguments. Inputs of a body are given in the order "
        "of their declaration, or by keyword.",
        "y : [D] = where(x > 0, x)",
        "y : [D] = where(x > 0, x, 0)",
    ),
    _E(
        "SEQ0228",
        "a keyword that is not taken, or is missing",
        "Keywords of functions are fixed (`over =`, `bias =`, `kernel =` …). Keywords of a called body name what it "
        "leaves open: its dims, holes, inputs, states (their starts), consts and parameters, beside `along`, `own`, "
        "`start`, `params` and `name`.",
        "y : [D] = linear(x, biass = 1)",
        "y : [D] = linear(x, bias = 1)",
    ),
    _E(
        "SEQ0229",
        "a fn calls itself",
        "A `fn` is one expression that is put in where it is called. It cannot repeat: what goes on from step to step is "
        "a state, and what repeats a fixed number of times is `rounds r in 1..R:`.",
        "fn f(n) = f(n - 1)\n\ncell C over t:\n    in x : []\n    out y : [] = f(x)",
        "cell C over t:\n    in x : []\n    state y : [] init 0\n    y = y[t-1] - 1 + x\n    out y",
    ),
    _E(
        "SEQ0230",
        "a draw inside an equation",
        "Randomness is always an optional input, so that a test, a recomputation or a user can give the very numbers: "
        "`in eps : [Z] = normal(0, 1)` draws where nothing is given. Starts (`init normal(0, 1)`) draw freely, and "
        "`dropout` has its own keys.",
        "y : [D] = x + normal(0, 1)",
        "in eps : [D] = normal(0, 1)\ny : [D] = x + eps",
    ),
    _E(
        "SEQ0231",
        "an input without a value",
        "The called body reads this input for what it gives back, and it has no default. Inputs that only losses read, "
        "or only the defaults of inputs that are given, may be left out.",
        "cell G over t:\n    in x : []\n    in g : []\n    out y : [] = g * x\n\nblock B:\n    in x : [t]\n    out y : [t] = G(x)",
        "cell G over t:\n"
        "    in x : []\n"
        "    in g : []\n"
        "    out y : [] = g * x\n"
        "\n"
        "block B:\n"
        "    in x : [t]\n"
        "    out y : [t] = G(x, g = sigmoid(x))",
    ),
    _E(
        "SEQ0232",
        "a call with several outs is used as one value",
        "What a body with several outs gives back is read by field: `enc.h`.",
        "cell G over t:\n"
        "    in x : []\n"
        "    out y : [] = 2 * x\n"
        "    out z : [] = 3 * x\n"
        "\n"
        "block B:\n"
        "    in x : [t]\n"
        "    g = G(x)\n"
        "    out y : [t] = 2 * g",
        "cell G over t:\n"
        "    in x : []\n"
        "    out y : [] = 2 * x\n"
        "    out z : [] = 3 * x\n"
        "\n"
        "block B:\n"
        "    in x : [t]\n"
        "    g = G(x)\n"
        "    out y : [t] = 2 * g.z",
    ),
    _E(
        "SEQ0233",
        "a hole is filled with nothing known, or not filled",
        "A hole (`block B(Mixer = GLA)`) takes a cell, block, model, `fn` or function by name. Without a default every "
        "call in a spec has to fill it; from Python it also takes any module with the declared shapes.",
        "block B(Mixer):\n    in x : [t]\n    out y : [t] = Mixer(x)\n\nblock C:\n    in x : [t]\n    out y : [t] = B(x, Mixer = Tanh)",
        "block B(Mixer):\n    in x : [t]\n    out y : [t] = Mixer(x)\n\nblock C:\n    in x : [t]\n    out y : [t] = B(x, Mixer = tanh)",
    ),
    _E(
        "SEQ0234",
        "bodies call each other in a circle",
        "A body that called itself would have no end. What depends on its own past is a state, and what repeats is `rounds`.",
        "block B:\n    in x : [t]\n    out y : [t] = B(x)",
        "block B:\n    in x : [t]\n    rounds r in 1..3:\n        state y : [t] init x\n        y = tanh(y[r-1])\n    out y",
    ),
    _E(
        "SEQ0235",
        "there is no such claim",
        "`require` takes a comparison to be proved (`require w + v <= 1`), or one of the words `causal` (no step reads a "
        "later one) and `conservative` (what flows along the edges of a graph is conserved).",
        "state h : [D] init 0\nh = 0.5 * h[t-1] + x\nrequire stable",
        "state h : [D] init 0\nh = 0.5 * h[t-1] + x\nrequire causal",
    ),
    _E(
        "SEQ0236",
        "there is no such setting",
        "A schedule says how to compute and never what: `scan`, `backward` and `stop`.",
        "state h : [D] init 0\nh = 0.5 * h[t-1] + x\nschedule:\n    mode = associative",
        "state h : [D] init 0\nh = 0.5 * h[t-1] + x\nschedule:\n    scan = associative",
    ),
    _E(
        "SEQ0237",
        "there is no such choice",
        "`scan` is `auto`, `sequential`, `associative`, `chunked(64)`, `newton(…)`, `convolution`, `attention` or "
        "`wavefront`; `backward` is `recompute`, `store` or `invert`.",
        "state h : [D] init 0\nh = 0.5 * h[t-1] + x\nschedule:\n    scan = parallel",
        "state h : [D] init 0\nh = 0.5 * h[t-1] + x\nschedule:\n    scan = associative",
    ),
    _E(
        "SEQ0238",
        "there is no such option of a scan",
        "`chunked` takes its length, `newton` takes `jacobian = full | diagonal | none`, `trust`, `tolerance` and "
        "`iterations`; numbers are positive.",
        "state h : [D] init 0\nh = tanh(h[t-1] + x)\nschedule:\n    scan = newton(steps = 4)",
        "state h : [D] init 0\nh = tanh(h[t-1] + x)\nschedule:\n    scan = newton(iterations = 4)",
    ),
    _E(
        "SEQ0239",
        "an operator's parts do not fit together",
        "An operator lists its fields, one identity for each in the same order, and one equation for each field in `combine`.",
        "operator Affine(a : [N], b : [N]):\n    identity = (1, 0)\n    combine(l, r):\n        a = r.a * l.a",
        "operator Affine(a : [N], b : [N]):\n    identity = (1, 0)\n    combine(l, r):\n        a = r.a * l.a\n        b = r.a * l.b + r.b",
    ),
    _E(
        "SEQ0240",
        "an extern has no such trait",
        "An operator of the host is `pure` (the same result for the same arguments) or `impure`, and may have a `gradient`.",
        "extern ask(q : [] of text) -> (a : [] of text) : deterministic",
        "extern ask(q : [] of text) -> (a : [] of text) : pure",
    ),
    _E(
        "SEQ0241",
        "there is no such topology",
        "A cell runs over `t`, `reverse(t)`, a range (`r in 1..T`), `grid(i, j)`, `tree`, `tree(left, right)`, `dag` or "
        "`graph`, or over several of these, separated by commas.",
        "cell C over lattice(i, j):\n    in x : []\n    out y : [] = 2 * x",
        "cell C over grid(i, j):\n    in x : []\n    out y : [] = 2 * x",
    ),
    _E(
        "SEQ0290",
        "too large once everything is put in",
        "A body may have at most 10 000 names and 10 000 terms after its `fn`s are put in, nested at most 120 deep while "
        "they are put in and 150 deep afterwards; functions go into holes of holes at most 16 deep. The limits keep "
        "compiling fast for any text; a spec that needs more is split into several equations or bodies, or repeats with "
        "`rounds`.",
    ),
    _E(
        "SEQ0291",
        "an integer power is too large",
        "A power of whole numbers is exact, so its exponent is at most 64. With a real base the power is a real.",
        "y : [] of int = 2^99",
        "y : [] = 2.0^99",
    ),
    _E(
        "SEQ0292",
        "too many states",
        "A body may have at most 256 states.",
    ),
    _E(
        "SEQ0293",
        "too many levels",
        "A `stack` or `rounds` may have at most 100 000 levels, those around it counted.",
        "block B:\n    in x : [t]\n    rounds r in 1..1000000:\n        state y : [t] init x\n        y = tanh(y[r-1])\n    out y",
        "block B:\n    in x : [t]\n    rounds r in 1..1000:\n        state y : [t] init x\n        y = tanh(y[r-1])\n    out y",
    ),
    _E(
        "SEQ0294",
        "too many bodies",
        "A project may have at most 512 cells, blocks and models that have to be checked, copies for the functions in their holes counted.",
    ),
)

"""Codes of axes, types, sizes and ranges (04xx), for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

_E = CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = (
    _E(
        "SEQ0401",
        "an axis too many",
        "The equation has an axis that the declared shape lacks. Nothing is summed in silence: reduce it (`sum`, `mean`, "
        "`max`, `dot`), pick one entry (`z[H = 0]`), or declare it. The other way round, fewer axes than declared are "
        "repeated.",
        "k : [H, K] = linear(x)\ny : [H] = k * k",
        "k : [H, K] = linear(x)\ny : [H] = sum(k * k, over = K)",
    ),
    _E(
        "SEQ0403",
        "shapes that do not align",
        "Operands align by the names of their axes, and of several operands one must have the axes of all others. So a "
        "forgotten axis or an outer product by accident is found. `outer(a, b)` crosses on purpose, `dot(a, b, over = "
        "K)` sums over what both share.",
        "k : [H, K] = linear(x)\ng : [D] = sigmoid(linear(x))\ny : [H, K] = g * k",
        "k : [H, K] = linear(x)\ng : [H] = sigmoid(linear(x))\ny : [H, K] = g * k",
    ),
    _E(
        "SEQ0404",
        "a condition is no bool",
        "`where`, `and`, `or`, `not` and the conditions of relations take true or false, which a comparison gives.",
        "y : [D] = where(x, x, 0)",
        "y : [D] = where(x > 0, x, 0)",
    ),
    _E(
        "SEQ0405",
        "arithmetic on a bool",
        "True and false are no numbers. `where(cond, 1, 0)` makes them numbers.",
        "y : [D] = x + (x > 0)",
        "y : [D] = x + where(x > 0, 1, 0)",
    ),
    _E(
        "SEQ0406",
        "a text in arithmetic",
        "Texts are handed to and from externs, joined with `concat` and chosen with `where`; they are no numbers and are "
        "compared with texts only.",
        "in name : [] of text\ny : [D] = x + name",
        'in name : [] of text\ny : [D] = where(name == "loud", 2 * x, x)',
    ),
    _E(
        "SEQ0407",
        "complex numbers where only reals make sense",
        "Complex numbers have no order, and functions such as `relu`, `softplus` or `floor` are not defined for them. "
        "`abs(z)`, `re(z)` and `im(z)` are real.",
        "in z : [D] of complex\ny : [D] = relu(z)",
        "in z : [D] of complex\ny : [D] = relu(re(z))",
    ),
    _E(
        "SEQ0408",
        "a position that is no whole number",
        "Square brackets read at whole positions. `floor(p)` makes one of a real; `at(z, N = p)` interpolates between "
        "two positions; for `embedding` what is looked up is declared `of int in [0, W)`.",
        "p : [] = sigmoid(sum(x, over = D))\ny : [] = x[D = p]",
        "p : [] = sigmoid(sum(x, over = D))\ny : [] = at(x, D = p)",
    ),
    _E(
        "SEQ0409",
        "another type than declared",
        "What a value is declared to be and what its equation gives differ: a bool is no number, a complex number no real one.",
        "y : [D] = x > 0",
        "y : [D] of bool = x > 0",
    ),
    _E(
        "SEQ0410",
        "a real where a whole number is declared",
        "`of int` holds whole numbers. A quotient is real even where both sides are whole: `floor(a / b)` rounds down.",
        "n : [] of int = t / 4",
        "n : [] of int = floor(t / 4)",
    ),
    _E(
        "SEQ0411",
        "there is no such axis to read at",
        "`z[N = 0]` reads at a position of the axis N, which z must have; in short form, `z[i + 1]`, the axis is the one "
        "that the index names. What is the same at every step (parameters, consts, `once` inputs) has no axis of time to "
        "be read at.",
        "y : [] = x[H = 0]",
        "y : [] = x[D = 0]",
    ),
    _E(
        "SEQ0412",
        "an axis twice",
        "Axes are told apart by their names, so no shape has one twice. A square matrix has a dim and its twin: `index j "
        "of N` is a second name for the positions of N.",
        "dim N\nstate A : [N, N] init 0\nA = 0.9 * A[t-1]",
        "dim N\nindex j of N\nstate A : [N, j] init 0\nA = 0.9 * A[t-1]",
    ),
    _E(
        "SEQ0413",
        "a number is read at a position",
        "Dims, literals and the numbers of positions are the same everywhere. Only values are read with a lag or at a position.",
        "y : [D] = x + D[t-1]",
        "y : [D] = x + D",
    ),
    _E(
        "SEQ0414",
        "a reduction without `over`",
        "`sum`, `mean`, `max`, `softmax`, `dot` and their kin say which axes they work along, so that adding an axis "
        "elsewhere never changes their meaning. `max(a, b)` with two operands is elementwise.",
        "y : [D] = x / sum(x^2)",
        "y : [D] = x / sum(x^2, over = D)",
    ),
    _E(
        "SEQ0415",
        "there is no such axis",
        "The names in `over =`, `per =`, `to =`, `split` and `merge` are axes, looked up in the operand where they are to be found there.",
        "y : [D] = softmax(x, over = H)",
        "y : [D] = softmax(x, over = D)",
    ),
    _E(
        "SEQ0416",
        "a derivative of no scalar, or by no value",
        "`grad(loss, M[t-1])` is the derivative of one real number by a value that is read. A loss with axes is summed first.",
        "state M : [D] init 0\nmiss : [D] = (M[t-1] - x)^2\nM = M[t-1] - 0.1 * grad(miss, M[t-1])",
        "state M : [D] init 0\nmiss : [] = sum((M[t-1] - x)^2, over = D)\nM = M[t-1] - 0.1 * grad(miss, M[t-1])",
    ),
    _E(
        "SEQ0417",
        "a matrix that is not square",
        "`solve`, `inverse`, `eigh` and `matrix_exp` work on a dim and its twin (`index j of N`), of which `over` names "
        "one. For `solve(A, b, over = N)` it is the axis of b, and the result has the twin.",
        "dim N, M\nin A : [N, M]\ny : [N, M] = inverse(A, over = N)",
        "dim N\nindex j of N\nin A : [N, j]\ny : [N, j] = inverse(A, over = N)",
    ),
    _E(
        "SEQ0418",
        "a start of weights is used as a value",
        "`orthogonal`, `xavier` and `kaiming` make starts: `param W : [N, D] init orthogonal()`. Noise is `normal`, "
        "`uniform`, `gumbel` or `bernoulli`.",
        "in e : [D] = orthogonal()\ny : [D] = x + e",
        "in e : [D] = normal(0, 1)\ny : [D] = x + e",
    ),
    _E(
        "SEQ0419",
        "there is no such pad or border",
        "`pad` of a convolution is `wrap`, `clamp` or `zero`, all of which keep the size, or a number of entries; "
        "`border` of `at` is one of the same three words. Without `pad` a convolution along a body's chain is causal.",
        "block B:\n    dim D\n    in x : [t, D]\n    out y : [t, D] = conv(x, kernel = 3, over = t, pad = same)",
        "block B:\n    dim D\n    in x : [t, D]\n    out y : [t, D] = conv(x, kernel = 3, over = t, pad = zero)",
    ),
    _E(
        "SEQ0420",
        "`split` and `merge` of other axes",
        "`split(x, t = [m, J])` cuts one axis of its operand into two or more (`t = m * J + j`), `merge(z, t = [m, J])` "
        "joins axes of its operand into one.",
        "block B:\n    dim D\n    index m\n    in x : [t, D]\n    out y : [m, D] = split(x, t = [m])",
        "block B:\n    dim D, J = 4\n    index m\n    in x : [t, D]\n    out y : [m, J, D] = split(x, t = [m, J])",
    ),
    _E(
        "SEQ0421",
        "`concat` away from its `=`",
        "The axis that `concat` makes is the new one of the declared shape, so it stands right after the `=` of a line of its own.",
        "in z : [K]\ny : [H] = linear(concat(x, z, over = [D, K]))",
        "dim N = D + K\nin z : [K]\nboth : [N] = concat(x, z, over = [D, K])\ny : [H] = linear(both)",
    ),
    _E(
        "SEQ0422",
        "a layer does not know its shape",
        "A layer takes the declared shape of its equation where only elementwise operations and shape-keeping functions "
        "stand between it and the `=`. Elsewhere `to = [H, K]` names the dims of its result.",
        "y : [] = sum(linear(x), over = D)",
        "y : [] = sum(linear(x, to = [D]), over = D)",
    ),
    _E(
        "SEQ0423",
        "a layer would drop or lose an axis",
        "Layers mix dims and are mapped over indices, so the result of a layer has the indices of its operand. Reduce an "
        "index before the layer (`mean(x, over = t)`), or name it in `over =`, which mixes it where its size is known.",
        "block B:\n    dim D\n    in x : [t, D]\n    out y : [D] = linear(x)",
        "block B:\n    dim D\n    in x : [t, D]\n    out y : [D] = linear(mean(x, over = t))",
    ),
    _E(
        "SEQ0424",
        "own weights for an axis that cannot have them",
        "A parameter has dims, and indices whose range is made of dims: its size is known when the module is built. `per "
        "= H` gives each entry of an operand's axis its own weights, so the operand has that axis and its size is known "
        "when the module is built. What the layer makes anew stands in the declared shape only.",
        "y : [H, K] = linear(x, per = H)",
        "y : [H, K] = linear(x)",
    ),
    _E(
        "SEQ0425",
        "a table of unknown size",
        "An `embedding` has a row for each number that can be looked up, so what is looked up has a range: `in ids : [t] "
        "of int in [0, W)`.",
        "in w : [] of int\ny : [D] = embedding(w)",
        "dim W\nin w : [] of int in [0, W)\ny : [D] = embedding(w)",
    ),
    _E(
        "SEQ0426",
        "a convolution that is not fully described",
        "A convolution says its length (`kernel = 4`). Along the body's chain it is causal; along other axes, or "
        "several, it says `over = [y, x]` and `pad`.",
        "y : [D] = conv(x)",
        "y : [D] = conv(x, kernel = 4)",
    ),
    _E(
        "SEQ0427",
        "a given weight that does not fit",
        "`weight = W` lends a layer a parameter of the body or of another layer. It has the axes that the layer mixes "
        "(the twin `N'` of a learned square weight counts) and those of the result.",
        "param W : [H] init 0\ny : [H] = linear(x, weight = W)",
        "param W : [H, D] init normal(0, 1)\ny : [H] = linear(x, weight = W, bias = none)",
    ),
    _E(
        "SEQ0428",
        "an option of a norm",
        "Norms take `over =`, `eps =` (a number), `affine = none` and `name =`; `groupnorm` also `groups =`.",
        "y : [D] = layernorm(x, affine = false)",
        "y : [D] = layernorm(x, affine = none)",
    ),
    _E(
        "SEQ0429",
        "a layer or a call where none can stand",
        "Layers own parameters and cells own states, so they stand in equations of a body. A `fn` is one expression that "
        "is put in at each call, and relations, dims and starts of parameters are worked out before anything runs: none "
        "of them has layers. What shares layers is a block.",
        "fn f(z) = linear(z)\n\ncell C over t:\n    dim D\n    in x : [D]\n    out y : [D] = f(x)",
        "block F:\n"
        "    dim D\n"
        "    in z : [D]\n"
        "    out y : [D] = linear(z)\n"
        "\n"
        "cell C over t:\n"
        "    dim D\n"
        "    in x : [D]\n"
        "    out y : [D] = F(x)",
    ),
    _E(
        "SEQ0430",
        "axes of an argument that do not match",
        "Axes of an argument match those of the input by name, then the only one left on both sides. Where several dims "
        "are left, the call says which is which: `A = N`.",
        "cell P over t:\n"
        "    dim A, B\n"
        "    in x : [A, B]\n"
        "    out y : [A] = sum(x, over = B)\n"
        "\n"
        "block Q:\n"
        "    dim N, M\n"
        "    in x : [t, N, M]\n"
        "    out y : [t, N] = P(x)",
        "cell P over t:\n"
        "    dim A, B\n"
        "    in x : [A, B]\n"
        "    out y : [A] = sum(x, over = B)\n"
        "\n"
        "block Q:\n"
        "    dim N, M\n"
        "    in x : [t, N, M]\n"
        "    out y : [t, N] = P(x, A = N)",
    ),
    _E(
        "SEQ0431",
        "along, own or start of something else",
        "`along =` takes an axis of the caller or `reverse(axis)`, `own =` an index whose range is known when the module "
        "is built, `start =` the name of a called cell, and a callee's index is bound to an axis.",
        "cell P over t:\n"
        "    in x : []\n"
        "    state s : [] init 0\n"
        "    s = s[t-1] + x\n"
        "    out s\n"
        "\n"
        "block Q:\n"
        "    in x : [t]\n"
        "    out y : [t] = P(x, along = back)",
        "cell P over t:\n"
        "    in x : []\n"
        "    state s : [] init 0\n"
        "    s = s[t-1] + x\n"
        "    out s\n"
        "\n"
        "block Q:\n"
        "    in x : [t]\n"
        "    out y : [t] = P(x, along = reverse(t))",
    ),
    _E(
        "SEQ0432",
        "a dim is bound to no size",
        "A dim of the called body is bound to a dim, or to arithmetic of dims and numbers: `N = 2 * D`.",
        "cell P over t:\n"
        "    dim D, N\n"
        "    in x : [D]\n"
        "    out y : [N] = linear(x)\n"
        "\n"
        "block Q:\n"
        "    dim D\n"
        "    in x : [t, D]\n"
        "    out y : [t, D] = P(x, N = x)",
        "cell P over t:\n"
        "    dim D, N\n"
        "    in x : [D]\n"
        "    out y : [N] = linear(x)\n"
        "\n"
        "block Q:\n"
        "    dim D\n"
        "    in x : [t, D]\n"
        "    out y : [t, D] = P(x, N = D)",
    ),
    _E(
        "SEQ0433",
        "a dim that does not come out whole",
        "Arithmetic of dims is exact and ends in a whole number: `K = D / H` needs an H that divides D. `floor`, `ceil` "
        "and `roundup(x, n)` round on purpose. The message shows the sizes it was tried with.",
        "dim N = 10, M = N / 4\nz : [M] = linear(x)",
        "dim N = 12, M = N / 4\nz : [M] = linear(x)",
    ),
    _E(
        "SEQ0434",
        "a dim that is no size",
        "A size is a whole number from 0 to 2147483647. A negative one, a division by zero or a number beyond is refused.",
        "dim N = 4, M = N - 5\nz : [M] = linear(x)",
        "dim N = 8, M = N - 5\nz : [M] = linear(x)",
    ),
    _E(
        "SEQ0440",
        "a range that is not proved",
        "A range such as `in (0, 1)` is a claim about the equation, and it is proved: by intervals, over the reals. "
        "Inputs are taken at their word, parameters are kept in their range, a state's claim is proved by induction. "
        "Functions that bring a range: `sigmoid` (0, 1), `tanh` (-1, 1), `softplus` and `exp` (0, inf), `min(max(z, "
        "low), high)`. What cannot be proved is left unclaimed.",
        "gate f : [D] in (0, 1) = linear(x)",
        "gate f : [D] in (0, 1) = sigmoid(linear(x))",
    ),
    _E(
        "SEQ0441",
        "a start outside of the claimed range",
        "The claim of a state holds before the first step as well: its start lies in the range (or on its border).",
        "state h : [D] in [0, 1] init 2\nh = min(max(h[t-1] + x, 0), 1)",
        "state h : [D] in [0, 1] init 1\nh = min(max(h[t-1] + x, 0), 1)",
    ),
    _E(
        "SEQ0442",
        "a claim that is not proved",
        "`require` holds for every input or the spec is refused. Comparisons are proved by intervals: the message shows "
        "what is known of both sides.",
        "gate w : [D] in (0, 1) = sigmoid(linear(x))\ngate v : [D] in (0, 1) = sigmoid(linear(x))\nrequire w + v <= 1",
        "gate w : [D] in (0, 1) = sigmoid(linear(x))\nv : [D] = 1 - w\nrequire v <= 1",
    ),
    _E(
        "SEQ0443",
        "a range that is none",
        "The lower end of a range comes first, and its ends are made of numbers, dims and consts.",
        "z : [D] in [1, 0] = sigmoid(x)",
        "z : [D] in [0, 1] = sigmoid(x)",
    ),
)

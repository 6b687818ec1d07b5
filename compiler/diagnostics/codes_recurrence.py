"""Codes of lags, loops and starts (03xx), for `codes.py`."""

from __future__ import annotations

from typing import Final

from seqc.compiler.diagnostics.entry import CodeEntry

_E = CodeEntry

ENTRIES: Final[tuple[CodeEntry, ...]] = (
    _E(
        "SEQ0301",
        "a value needs itself within one step",
        "A bare name is the value of this step. A loop of such reads has no first line to compute: somewhere in it the "
        "value of the step before is meant, which is written with a lag, `c[t-1]`. The message shows the loop.",
        "state c : [D] init 0\nc = 0.9 * c + x",
        "state c : [D] init 0\nc = 0.9 * c[t-1] + x",
    ),
    _E(
        "SEQ0302",
        "a state without a start",
        "`init` says what stands before the first step. It is a number, an expression of parameters, dims and `once` "
        "inputs, or learned (`init param normal(0, 1)`).",
        "state h : [D]\nh = 0.9 * h[t-1] + x",
        "state h : [D] init 0\nh = 0.9 * h[t-1] + x",
    ),
    _E(
        "SEQ0303",
        "a value is read before its first step and has no start",
        "What is read with a lag (`x[t-1]`) or at a distance (`x[t - pos(M)]`) is read outside of the sequence at its "
        "beginning. `init` says what stands there; for whole numbers that are words or classes 0 is one of them, so "
        "`init -1` may be meant.",
        "y : [D] = 2 * x\nz : [D] = y - y[t-1]",
        "y : [D] init 0 = 2 * x\nz : [D] = y - y[t-1]",
    ),
    _E(
        "SEQ0304",
        "a read that looks ahead",
        "A cell knows this step and the steps before. A position that is not proved to be at or before this step would "
        "need a later one. What sees the whole sequence is a block (with the axis in its shapes), a relation (`index s "
        "of t where …`), or a cell that runs along `reverse(t)`.",
        "y : [D] init 0 = 2 * x\nz : [D] = y[t+1]",
        "y : [D] init 0 = 2 * x\nz : [D] = y[t-1]",
    ),
    _E(
        "SEQ0305",
        "a read of this call or a later one",
        "A state `over call` outlives the sequence: it is updated once for each call in training, and only what earlier "
        "calls left can be read.",
        "state mu : [D] over call init 0\nmu = 0.9 * mu[call] + 0.1 * mean(x, over = batch)\ny : [D] = x - mu[call-1]",
        "state mu : [D] over call init 0\nmu = 0.9 * mu[call-1] + 0.1 * mean(x, over = batch)\ny : [D] = x - mu[call-1]",
    ),
    _E(
        "SEQ0306",
        "a start that is known in the run only",
        "A start is made once, before the first step: of parameters, dims, consts, levels and inputs that are `once`. "
        "Along a `stack` or `rounds` it may read any value around the block. Starts of parameters, and consts, are made "
        "when the module is built, so they read no inputs at all, and parameters only that are declared before.",
        "state h : [D] init x\nh = 0.9 * h[t-1] + x",
        "in h0 : [D] once\nstate h : [D] init h0\nh = 0.9 * h[t-1] + x",
    ),
    _E(
        "SEQ0307",
        "a stack as long as the sequence",
        "A `stack` has own weights for each level, so the number of levels is known when the module is built. `rounds` "
        "shares its weights and may be as long as the run.",
        "block B:\n"
        "    dim D\n"
        "    in x : [t, D]\n"
        "    stack l in 1..len(t):\n"
        "        state y : [t, D] init x\n"
        "        y = tanh(linear(y[l-1]))\n"
        "    out y",
        "block B:\n"
        "    dim D\n"
        "    in x : [t, D]\n"
        "    rounds l in 1..len(t):\n"
        "        state y : [t, D] init x\n"
        "        y = tanh(linear(y[l-1]))\n"
        "    out y",
    ),
    _E(
        "SEQ0308",
        "a parameter without a start",
        "A parameter is learned from somewhere: `init normal(0, 0.02)`, `init 0`, `init orthogonal()`, or any expression "
        "of dims, consts and the parameters before it.",
        "param w : [D]\ny : [D] = w * x",
        "param w : [D] init normal(0, 0.02)\ny : [D] = w * x",
    ),
    _E(
        "SEQ0309",
        "a body that is required to be causal looks ahead",
        "`require causal` claims that no step reads a later one. A relation that may hold later steps, a reduction over "
        "the whole run, or a call along the reversed axis breaks it.",
        "index s of t where s - t <= 2\n"
        "w : [s] = softmax(dot(x, x[s], over = D), over = s)\n"
        "y : [D] = sum(w * x[s], over = s)\n"
        "require causal",
        "index s of t where s <= t\nw : [s] = softmax(dot(x, x[s], over = D), over = s)\ny : [D] = sum(w * x[s], over = s)\nrequire causal",
    ),
    _E(
        "SEQ0310",
        "a result depends on the other sequences of the batch",
        "What is computed over the axis `batch` may reach losses and states `over call` only: the result for one "
        "sequence must not depend on those beside it, or a batch of one would give something else. Running statistics "
        "are states over calls, read at `[call-1]`; `batchnorm` keeps them by itself.",
        "y : [D] = x - mean(x, over = batch)\nout y",
        "state mu : [D] over call init 0\nmu = 0.9 * mu[call-1] + 0.1 * mean(x, over = batch)\ny : [D] = x - mu[call-1]\nout y",
    ),
    _E(
        "SEQ0311",
        "a state in a block outside of its levels",
        "A block has no topology, so there are no steps for a state to go along: its states stand in `stack` or "
        "`rounds`, or live `over call`. What goes along `t` is a cell, which the block calls.",
        "block B:\n    dim D\n    in x : [t, D]\n    state h : [t, D] init 0\n    h = h[t-1] + x\n    out h",
        "cell Sum over t:\n"
        "    dim D\n"
        "    in x : [D]\n"
        "    state h : [D] init 0\n"
        "    h = h[t-1] + x\n"
        "    out h\n"
        "\n"
        "block B:\n"
        "    dim D\n"
        "    in x : [t, D]\n"
        "    out h : [t, D] = Sum(x)",
    ),
)

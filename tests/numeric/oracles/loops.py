"""Cells as plain numpy loops, each written from the equations of its paper (the dossier's section is named).

In:   parameters under our `state_dict` names and inputs `[batch, time, ...]`, float64.
Out:  `y` for a single out, `state.NAME` after the last step. Nothing here knows of axes, lags or scans.
"""

import numpy as np
from numpy import ndarray

from numeric.oracles.common import Arrays


def sigmoid(z: ndarray) -> ndarray:
    return 1 / (1 + np.exp(-z))


def affine(p: Arrays, layer: str, **inputs: ndarray) -> ndarray:
    """`W x + U h + ... + b` of one layer; a weight is [out, in], a missing bias is 0."""
    out = sum(z @ p[f"{layer}.{name}"].T for name, z in inputs.items())
    return out + p.get(f"{layer}.bias", 0)


def heads(p: Arrays, layer: str, name: str, z: ndarray) -> ndarray:
    """The same within heads: z [batch, head, in], weight [head, out, in]."""
    return np.einsum("bhi,hoi->bho", z, p[f"{layer}.{name}"]) + p.get(f"{layer}.bias", 0)


def start(given: Arrays, name: str, shape: tuple[int, ...]) -> ndarray:
    return given.get(f"state.{name}", np.zeros(shape))


def steps(x: ndarray) -> list[ndarray]:
    return [x[:, k] for k in range(x.shape[1])]


def stack(values: list[ndarray]) -> ndarray:
    return np.stack(values, axis=1)


def jordan(p: Arrays, given: Arrays) -> Arrays:
    """04, A1 with lambda = 0: h = sigma(W x + U y_prev + b), y = softmax(V h + b). `y` given: teacher forcing."""
    out: list[ndarray] = []
    back = np.zeros((given["x"].shape[0], p["p.linear.bias"].shape[0]))
    for k, x in enumerate(steps(given["x"])):
        h = sigmoid(affine(p, "h.linear", x=x, y=back))
        e = np.exp(affine(p, "p.linear", h=h))
        out.append(e / e.sum(-1, keepdims=True))
        back = given["y"][:, k] if "y" in given else out[-1]
    return {"y": stack(out)}


def peephole(p: Arrays, given: Arrays) -> Arrays:
    """04, A6: input and forget gates see s_prev, the output gate sees the new s."""
    n = p["p_f"].shape[0]
    h, s = start(given, "h", (1, n)), start(given, "c", (1, n))
    out = []
    for x in steps(given["x"]):
        i = sigmoid(affine(p, "i.linear", x=x, h=h) + p["p_i"] * s)
        f = sigmoid(affine(p, "f.linear", x=x, h=h) + p["p_f"] * s)
        s = np.tanh(affine(p, "g.linear", x=x, h=h)) * i + s * f
        o = sigmoid(affine(p, "o.linear", x=x, h=h) + p["p_o"] * s)
        h = np.tanh(s) * o
        out.append(h)
    return {"y": stack(out), "state.h": h, "state.c": s}


def cho_gru(p: Arrays, given: Arrays) -> Arrays:
    """Cho et al. 2014, eqs. 5 to 8: h = z h_prev + (1 - z) tanh(W x + U (r h_prev))."""
    h = start(given, "h", (1, p["r.linear.bias"].shape[0]))
    out = []
    for x in steps(given["x"]):
        r = sigmoid(affine(p, "r.linear", x=x, h=h))
        z = sigmoid(affine(p, "z.linear", x=x, h=h))
        h = z * h + (1 - z) * np.tanh(affine(p, "n.linear", x=x, arg=r * h))
        out.append(h)
    return {"y": stack(out), "state.h": h}


def leaky(z: ndarray) -> ndarray:
    return np.where(z > 0, z, 0.01 * z)


def leaky_rnn(p: Arrays, given: Arrays, inside: bool = True) -> Arrays:
    """05, 2.1 (leak inside the nonlinearity) and 2.2 (outside)."""
    r, tau, w = given["r0"], np.maximum(p["raw"], 1), p["W"] - np.diag(np.diag(p["W"]))
    out = []
    for x in steps(given["x"]):
        z = r @ w.T + p["b"] + affine(p, "r.linear", x=x)
        r = leaky((1 - 1 / tau) * r + z / tau) if inside else (1 - 1 / tau) * r + leaky(z) / tau
        out.append(r)
    return {"y": stack(out), "state.r": r}


def paragru(p: Arrays, given: Arrays) -> Arrays:
    """25, 2.4: recurrent weights diagonal, input maps within heads."""
    b, length, d = given["x"].shape
    n_heads, q = p["az"].shape
    h = start(given, "h", (b, n_heads, q))
    out = []
    for x in steps(given["x"]):
        u = x.reshape(b, n_heads, d // n_heads)
        z = sigmoid(p["az"] * h + heads(p, "z.linear", "u", u))
        r = sigmoid(p["ar"] * h + heads(p, "r.linear", "u", u))
        n = np.tanh(p["an"] * h * r + heads(p, "n.linear", "u", u))
        h = (1 - z) * h + z * n
        out.append(h.reshape(b, n_heads * q))
    return {"y": stack(out), "state.h": h}


def paralstm(p: Arrays, given: Arrays) -> Arrays:
    """25, 2.5: the input gate is 1 - f; the output gate sees the new cell."""
    b, length, d = given["x"].shape
    n_heads, q = p["af"].shape
    h, c = start(given, "h", (b, n_heads, q)), start(given, "c", (b, n_heads, q))
    out = []
    for x in steps(given["x"]):
        u = x.reshape(b, n_heads, d // n_heads)
        f = sigmoid(p["af"] * h + p["pf"] * c + heads(p, "f.linear", "u", u))
        z = np.tanh(p["az"] * h + heads(p, "z.linear", "u", u))
        c = f * c + (1 - f) * z
        o = sigmoid(p["ao"] * h + p["po"] * c + heads(p, "o.linear", "u", u))
        h = o * np.tanh(c)
        out.append(h.reshape(b, n_heads * q))
    return {"y": stack(out), "state.h": h, "state.c": c}


def sru(p: Arrays, given: Arrays) -> Arrays:
    """25b, B4, second version: both gates see c_prev; highway to the input, scaled by sqrt(3)."""
    c = start(given, "c", (1, p["vf"].shape[0]))
    out = []
    for x in steps(given["x"]):
        f = sigmoid(affine(p, "f.linear", x=x) + p["vf"] * c)
        r = sigmoid(affine(p, "r.linear", x=x) + p["vr"] * c)
        c = f * c + (1 - f) * affine(p, "c.linear", x=x)
        out.append(r * c + (1 - r) * np.sqrt(3) * x)
    return {"y": stack(out), "state.c": c}


def mingru(p: Arrays, given: Arrays) -> Arrays:
    """25b, B1, plain form."""
    h = start(given, "h", (1, p["g.linear.x"].shape[0]))
    out = []
    for x in steps(given["x"]):
        z = sigmoid(affine(p, "z.linear", x=x))
        h = (1 - z) * h + z * affine(p, "g.linear", x=x)
        out.append(h)
    return {"y": stack(out), "state.h": h}


def minlstm(p: Arrays, given: Arrays) -> Arrays:
    """25b, B2, plain form: gates divided by their sum."""
    h = start(given, "h", (1, p["g.linear.x"].shape[0]))
    out = []
    for x in steps(given["x"]):
        f, i = sigmoid(affine(p, "a.linear", x=x)), sigmoid(affine(p, "b.linear", x=x))
        h = f / (f + i) * h + i / (f + i) * affine(p, "g.linear", x=x)
        out.append(h)
    return {"y": stack(out), "state.h": h}


def qrnn(p: Arrays, given: Arrays) -> Arrays:
    """25b, B3, fo-pooling: c = f c + (1 - f) z, h = o c; each of z, f, o sees the last W inputs."""
    x = given["x"]
    width = p["z.conv.x"].shape[-1]
    padded = np.concatenate([np.zeros((x.shape[0], width - 1, x.shape[2])), x], axis=1)

    def window(layer: str, k: int) -> ndarray:
        return np.einsum("bwd,odw->bo", padded[:, k : k + width], p[f"{layer}.conv.x"]) + p[f"{layer}.conv.bias"]

    c = start(given, "c", (1, p["z.conv.bias"].shape[0]))
    out = []
    for k in range(x.shape[1]):
        z, f, o = np.tanh(window("z", k)), sigmoid(window("f", k)), sigmoid(window("o", k))
        c = f * c + (1 - f) * z
        out.append(o * c)
    return {"y": stack(out), "state.c": c}

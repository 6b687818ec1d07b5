"""Time-invariant linear systems through scipy, in real arithmetic: a complex state is a pair of real ones.

scipy's state is one step behind ours (it gives y_k = C x_k before the input of step k has entered; ours reads the state that
holds it), so the read-out goes through one more step: C A x_k + (C B + D) u_k.
"""

import numpy as np
from numpy import ndarray
from scipy import signal

from numeric.oracles.common import Arrays


def discrete(a: ndarray, b: ndarray, c: ndarray, d: ndarray, u: ndarray) -> ndarray:
    """y_k = C x_k + D u_k with x_k = A x_(k-1) + B u_k, by `scipy.signal.dlsim`; u [time, in] -> [time, out]."""
    _, y, _ = signal.dlsim((a, b, c @ a, c @ b + d, 1.0), u)
    return np.asarray(y)


def held(a: ndarray, b: ndarray, dt: float, method: str = "zoh", alpha: float | None = None) -> tuple[ndarray, ndarray]:
    """The discrete A and B of x' = A x + B u by `scipy.signal.cont2discrete` (its C and D follow another convention)."""
    n = a.shape[0]
    system = (a, b, np.zeros((1, n)), np.zeros((1, b.shape[1])))
    ad, bd, *_ = signal.cont2discrete(system, dt, method=method, alpha=alpha)
    return ad, bd


def turned(z: complex) -> ndarray:
    """Multiplication by a complex number as a real matrix."""
    return np.array([[z.real, -z.imag], [z.imag, z.real]])


def as_complex(z: ndarray) -> ndarray:
    """A complex parameter, however it is stored."""
    return z if np.iscomplexobj(z) else z[..., 0] + 1j * z[..., 1]


def diagonal(blocks: list[ndarray]) -> ndarray:
    n = 2 * len(blocks)
    out = np.zeros((n, n))
    for k, block in enumerate(blocks):
        out[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = block
    return out


def pairs(z: ndarray) -> ndarray:
    """Rows of a complex matrix [n, m] as real and imaginary rows [2 n, m]."""
    return np.stack([z.real, z.imag], axis=1).reshape(2 * z.shape[0], z.shape[1])


def real_part(c: ndarray) -> ndarray:
    """The row that takes Re(c x) of a state of pairs: [out, n] complex -> [out, 2 n]."""
    return np.stack([c.real, -c.imag], axis=2).reshape(c.shape[0], 2 * c.shape[1])


def s4d(p: Arrays, given: Arrays) -> Arrays:
    """15b, 2.3, zero-order hold of x' = lam x + u, y = 2 Re(C x) + D u, for each feature."""
    u = given["u"]
    c, lam = as_complex(p["C"]), -np.exp(p["log_re"]) + 1j * p["freq"]
    rate = given.get("rate", np.ones(u.shape[0]))
    out = np.zeros_like(u)
    for s in range(u.shape[0]):
        for d in range(u.shape[2]):
            a = diagonal([turned(z) for z in lam[d]])
            b = np.tile([[1.0], [0.0]], (lam.shape[1], 1))
            ad, bd = held(a, b, float(np.exp(p["log_dt"][d]) / rate[s]))
            row = 2 * real_part(c[d : d + 1])
            out[s, :, d] = discrete(ad, bd, row, p["skip"][d : d + 1, None], u[s, :, d : d + 1])[:, 0]
    return {"y": out}


def s5(p: Arrays, given: Arrays) -> Arrays:
    """15b, 2.4: one system for all features, a step size for each state."""
    u, lam, b = given["u"], as_complex(p["lam"]), as_complex(p["B"])
    n = lam.shape[0]
    ad, bd = [], []
    for k in range(n):
        both = held(turned(lam[k]), pairs(b[k : k + 1]), float(np.exp(p["log_dt"][k])))
        ad.append(both[0])
        bd.append(both[1])
    a, b_all, row = diagonal(ad), np.concatenate(bd), 2 * real_part(as_complex(p["C"]))
    return {"y": np.stack([discrete(a, b_all, row, np.diag(p["skip"]), z) for z in u])}


def lru(p: Arrays, given: Arrays) -> Arrays:
    """15b, 2.5: eigenvalues exp(-exp(nu) + i exp(theta)), the input scaled by exp(log_gamma)."""
    a = diagonal([turned(z) for z in np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))])
    b = pairs(np.exp(p["log_gamma"])[:, None] * as_complex(p["B"]))
    row = real_part(as_complex(p["C"]))
    return {"y": np.stack([discrete(a, b, row, np.diag(p["skip"]), z) for z in given["u"]])}


def lssl(p: Arrays, given: Arrays, alpha: float = 0.5) -> Arrays:
    """15, section 2: the generalised bilinear transform of one system for each feature."""
    u = given["u"]
    rate = given.get("rate", np.ones(u.shape[0]))
    _, outs, _ = p["C"].shape
    y = np.zeros((*u.shape, outs))
    for s in range(u.shape[0]):
        for h in range(u.shape[2]):
            ad, bd = held(p["A"], p["B"][:, None], float(np.exp(p["log_dt"][h]) / rate[s]), "gbt", alpha)
            y[s, :, h] = discrete(ad, bd, p["C"][h], p["skip"][h][:, None], u[s, :, h : h + 1])
    return {"y": y}

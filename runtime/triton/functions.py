"""Functions of emitted kernels that Triton itself lacks; the same code in the interpreter, for float32 and float64 tiles.

Infinities and NaN come out where torch's functions have them. Forms are chosen so that nothing is lost near 0:
`expm1` and `log1p` after W. Kahan (the error of `exp` and `log` cancels), `tanh` by a polynomial there.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def expm1(x):
    """exp(x) - 1."""
    u = tl.exp(x)
    less = u - 1.0
    # where u rounds to 1 the result is x, where it is lost beside 1 it is u - 1
    ordinary = (less != 0.0) & (less != -1.0) & (u < float("inf"))
    log = tl.log(tl.where(ordinary, u, 2.0))
    return tl.where(less == 0.0, x, tl.where(ordinary, less * (x / log), less))


@triton.jit
def log1p(x):
    """log(1 + x)."""
    u = 1.0 + x
    less = u - 1.0
    log = tl.log(u)
    ordinary = (less != 0.0) & (u < float("inf"))
    return tl.where(ordinary, log * (x / tl.where(ordinary, less, 1.0)), tl.where(less == 0.0, x, log))


@triton.jit
def tanh(x):
    """tanh(x)."""
    a = tl.abs(x)
    if x.dtype == tl.float64:
        e = expm1(-2.0 * a)
        far = -e / (2.0 + e)
        return tl.where(x < 0.0, -far, far)
    else:
        e = tl.exp(-2.0 * a)
        far = (1.0 - e) / (1.0 + e)
        y = x * x
        p = -0.006207428138165022
        p = p * y + 0.021027217158730044
        p = p * y - 0.05384227772097998
        p = p * y + 0.13332498868024817
        p = p * y - 0.3333331527112205
        return tl.where(a < 0.55, x + x * (y * p), tl.where(x < 0.0, -far, far))


@triton.jit
def silu(x):
    """x * sigmoid(x)."""
    return x / (1.0 + tl.exp(-x))


@triton.jit
def softplus(x):
    """log(1 + exp(x))."""
    return tl.where(x > 0.0, x, 0.0) + log1p(tl.exp(-tl.abs(x)))


@triton.jit
def logsigmoid(x):
    """log(sigmoid(x))."""
    return tl.where(x < 0.0, x, 0.0) - log1p(tl.exp(-tl.abs(x)))


@triton.jit
def gelu(x):
    """x times the normal distribution up to x."""
    return 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))


@triton.jit
def expdiff(a, b):
    """exp(a - b), 0 where a is -inf."""
    gone = a == float("-inf")
    return tl.where(gone, 0.0, tl.exp(tl.where(gone, 0.0, a) - tl.where(gone, 0.0, b)))


@triton.jit
def logaddexp(a, b):
    """log(exp(a) + exp(b))."""
    far = tl.where(a == b, 0.0, tl.abs(a - b))
    return larger(a, b) + log1p(tl.exp(-far))


@triton.jit
def sign(x):
    """-1, 0 or 1."""
    return tl.where(x > 0.0, 1.0, 0.0).to(x.dtype) - tl.where(x < 0.0, 1.0, 0.0).to(x.dtype)


@triton.jit
def relu(x):
    """x where it is positive, else 0."""
    return tl.where(x <= 0.0, 0.0, x)


@triton.jit
def smaller(a, b):
    """The smaller one; NaN where one is."""
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def larger(a, b):
    """The larger one; NaN where one is."""
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def mod(a, b):
    """a modulo b, with the sign of b."""
    r = a % b
    return tl.where((r != 0.0) & ((r < 0.0) != (b < 0.0)), r + b, r)


@triton.jit
def pow(a, b):
    """a to the power b, as C has it for finite operands: NaN for a negative base with a broken exponent, 1 for the exponent 0."""
    size = tl.exp(b * tl.log(tl.where(a == 0.0, 1.0, tl.abs(a))))
    whole = tl.floor(b) == b
    odd = whole & (tl.floor(b * 0.5) * 2.0 != b)
    value = tl.where(a < 0.0, tl.where(whole, tl.where(odd, -size, size), float("nan")), size)
    nought = tl.where(b < 0.0, float("inf"), 0.0).to(value.dtype)
    return tl.where(b == 0.0, 1.0, tl.where(a == 0.0, nought, value))


@triton.jit
def atan(x):
    """The angle whose tangent is x: halved three times, then a series."""
    a = tl.abs(x)
    over = a > 1.0
    y = tl.where(over, 1.0 / tl.where(over, a, 1.0), a)
    y = y / (1.0 + tl.sqrt(1.0 + y * y))
    y = y / (1.0 + tl.sqrt(1.0 + y * y))
    y = y / (1.0 + tl.sqrt(1.0 + y * y))
    z = y * y
    p = -1.0 / 19.0 * z + 1.0 / 17.0
    p = p * z - 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z - 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z - 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z - 1.0 / 3.0
    angle = 8.0 * (y + y * (z * p))
    angle = tl.where(over, 1.5707963267948966 - angle, angle)
    return tl.where(x < 0.0, -angle, tl.where(x == x, angle, x))


@triton.jit
def sum_along(x, axis: tl.constexpr):
    """The sum along a dimension, which stays with size 1."""
    return tl.sum(x, axis, keep_dims=True)


@triton.jit
def max_along(x, axis: tl.constexpr):
    """The largest along a dimension; NaN where there is one."""
    broken = tl.max((x != x).to(tl.int32), axis, keep_dims=True)
    return tl.where(broken > 0, float("nan"), tl.max(x, axis, keep_dims=True))


@triton.jit
def min_along(x, axis: tl.constexpr):
    """The smallest along a dimension; NaN where there is one."""
    broken = tl.max((x != x).to(tl.int32), axis, keep_dims=True)
    return tl.where(broken > 0, float("nan"), tl.min(x, axis, keep_dims=True))


@triton.jit
def affine1(a, b, c, d):
    """a x + b, then c x + d."""
    return c * a, c * b + d


@triton.jit
def affine2(a00, a01, a10, a11, b0, b1, c00, c01, c10, c11, d0, d1):
    """The same for two values that depend on each other."""
    e00, e01 = c00 * a00 + c01 * a10, c00 * a01 + c01 * a11
    e10, e11 = c10 * a00 + c11 * a10, c10 * a01 + c11 * a11
    return e00, e01, e10, e11, c00 * b0 + c01 * b1 + d0, c10 * b0 + c11 * b1 + d1


@triton.jit
def affine3(
    a00, a01, a02, a10, a11, a12, a20, a21, a22, b0, b1, b2, c00, c01, c02, c10, c11, c12, c20, c21, c22, d0, d1, d2
):  # fmt: skip
    """The same for three."""
    e00, e01, e02 = c00 * a00 + c01 * a10 + c02 * a20, c00 * a01 + c01 * a11 + c02 * a21, c00 * a02 + c01 * a12 + c02 * a22
    e10, e11, e12 = c10 * a00 + c11 * a10 + c12 * a20, c10 * a01 + c11 * a11 + c12 * a21, c10 * a02 + c11 * a12 + c12 * a22
    e20, e21, e22 = c20 * a00 + c21 * a10 + c22 * a20, c20 * a01 + c21 * a11 + c22 * a21, c20 * a02 + c21 * a12 + c22 * a22
    f0 = c00 * b0 + c01 * b1 + c02 * b2 + d0
    f1 = c10 * b0 + c11 * b1 + c12 * b2 + d1
    f2 = c20 * b0 + c21 * b1 + c22 * b2 + d2
    return e00, e01, e02, e10, e11, e12, e20, e21, e22, f0, f1, f2


@triton.jit
def max1(a, b, c, d):
    """max(x + a, b), then max(x + c, d)."""
    return a + c, tl.maximum(b + c, d, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def log1(a, b, c, d):
    """log(exp(x + a) + exp(b)), then the same with c and d."""
    low = b + c
    top = tl.maximum(low, d, propagate_nan=tl.PropagateNan.ALL)
    return a + c, top + tl.log(1.0 + tl.exp(-tl.where(low == d, 0.0, tl.abs(low - d))))


@triton.jit
def shifted(x, first, row, axis: tl.constexpr):
    """`x` one step later along a dimension; `first` where there is no earlier step. `row` counts the steps."""
    place = tl.broadcast_to(tl.where(row > 0, row - 1, 0).to(tl.int32), x.shape)
    return tl.where(row > 0, tl.gather(x, place, axis), first)


@triton.jit
def turned(x, row, count: tl.constexpr, axis: tl.constexpr):
    """`x` backwards along a dimension of `count` steps."""
    place = tl.broadcast_to((count - 1 - row).to(tl.int32), x.shape)
    return tl.gather(x, place, axis)


@triton.jit
def number(bits, REAL: tl.constexpr):
    """A number that the launcher sends as the bits of a float64: arguments of kernels hold float32 only."""
    return tl.cast(tl.cast(bits, tl.int64), tl.float64, bitcast=True).to(REAL)

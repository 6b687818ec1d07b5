/* Elementary functions in fp64, for the type SQ_V. Included by vecmath.h, for double and for sq_v64.
 *
 * As vecmath_f32.h: minimax polynomials of tests/bench/fit_polynomials.py; t = n + 1.5 * 2^52; ln 2 in 32 + 53 bits.
 */

#define SQ_K(c) F(set)(c)

/* exp(r), relative error 2^-57. */
SQ_HOT SQ_V F(exp_poly)(SQ_V r) {
    SQ_V p = SQ_K(0x1.ad7e0ddfd3496p-26);
    p = F(fma)(p, r, SQ_K(0x1.28ae9a6294cd9p-22));
    p = F(fma)(p, r, SQ_K(0x1.71df281526babp-19));
    p = F(fma)(p, r, SQ_K(0x1.a01998daaf4c2p-16));
    p = F(fma)(p, r, SQ_K(0x1.a01a012845db3p-13));
    p = F(fma)(p, r, SQ_K(0x1.6c16c18494b41p-10));
    p = F(fma)(p, r, SQ_K(0x1.1111111128465p-7));
    p = F(fma)(p, r, SQ_K(0x1.55555555506b7p-5));
    p = F(fma)(p, r, SQ_K(0x1.55555555554f7p-3));
    p = F(fma)(p, r, SQ_K(0x1.000000000000ap-1));
    p = F(fma)(p, r, SQ_K(1.0));
    return F(fma)(p, r, SQ_K(1.0));
}

SQ_HOT SQ_V F(exp_split)(SQ_V x, SQ_V *r) {
    SQ_V t = F(fma)(x, SQ_K(0x1.71547652b82fep+0), SQ_K(0x1.8p52)), n = t - 0x1.8p52;
    *r = F(fma)(n, SQ_K(-0x1.a39ef35793c76p-33), F(fma)(n, SQ_K(-0x1.62e42feep-1), x));
    return t;
}

SQ_HOT SQ_V F(exp_core)(SQ_V x) {
    SQ_V r, t = F(exp_split)(x, &r);
    return F(scale1)(F(exp_poly)(r), t);
}

SQ_HOT SQ_V F(exp)(SQ_V x) {
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-746.0), F(min2)(SQ_K(710.0), x)), &r);
    return F(scale2)(F(exp_poly)(r), t);
}

SQ_HOT SQ_V F(exp_neg)(SQ_V x) {
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-746.0), F(val)(F(bits)(x) | SQ_TOP)), &r);
    return F(scale2)(F(exp_poly)(r), t);
}

SQ_HOT SQ_V F(expm1)(SQ_V x) {
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-50.0), F(min2)(SQ_K(710.0), x)), &r);
    SQ_V q = SQ_K(0x1.1f964fb014aefp-29); /* (exp(r) - 1 - r) / r^2, relative error of the result 2^-61 */
    q = F(fma)(q, r, SQ_K(0x1.af60342c82e46p-26));
    q = F(fma)(q, r, SQ_K(0x1.27e4c50940b00p-22));
    q = F(fma)(q, r, SQ_K(0x1.71ddf78e5ca31p-19));
    q = F(fma)(q, r, SQ_K(0x1.a01a01b0fd253p-16));
    q = F(fma)(q, r, SQ_K(0x1.a01a01b02c288p-13));
    q = F(fma)(q, r, SQ_K(0x1.6c16c16c14371p-10));
    q = F(fma)(q, r, SQ_K(0x1.111111110f610p-7));
    q = F(fma)(q, r, SQ_K(0x1.555555555555ap-5));
    q = F(fma)(q, r, SQ_K(0x1.5555555555559p-3));
    q = F(fma)(q, r, SQ_K(0.5));
    SQ_V p = F(fma)(r * r, q, r);
    SQ_V s = F(val)((F(bits)(t) << 52) + ((uint64_t)1022 << 52));
    SQ_V y = F(fma)(s, p, s - 0.5);
    return F(sel)(F(lt)(F(abs)(x), SQ_K(0x1p-54)), x, y + y);
}

/* log(1 + f) + k ln 2 with s = f / (2 + f): f - (f^2 / 2 - s (f^2 / 2 + R(s^2))), relative error of R's part 2^-58. */
SQ_HOT SQ_V F(log_poly)(SQ_V f, SQ_V k) {
    SQ_V s = f / (f + 2.0), z = s * s, h = f * f * 0.5, p = SQ_K(0x1.2f1eaa1d502bbp-3);
    p = F(fma)(p, z, SQ_K(0x1.399f56496f146p-3));
    p = F(fma)(p, z, SQ_K(0x1.7466557094315p-3));
    p = F(fma)(p, z, SQ_K(0x1.c71c51a1b05aap-3));
    p = F(fma)(p, z, SQ_K(0x1.2492494268bf2p-2));
    p = F(fma)(p, z, SQ_K(0x1.999999997f5dep-2));
    p = F(fma)(p, z, SQ_K(0x1.5555555555594p-1));
    SQ_V u = F(fma)(s, F(fma)(z, p, h), k * 0x1.a39ef35793c76p-33);
    return F(fma)(k, SQ_K(0x1.62e42feep-1), f - (h - u));
}

/* The exponent in `u >> 52`, as a number, less `bias`. */
SQ_HOT SQ_V F(exponent)(SQ_U u, SQ_V bias) { return F(val)((u >> 52) | 0x4330000000000000u) - (bias + 0x1p52); }

#define SQ_HALF_ROOT 0x3FE6A09E667F3BCDu
SQ_HOT SQ_V F(log)(SQ_V x) {
    SQ_M small = F(lt)(x, SQ_K(0x1p-1022));
    SQ_U i = F(bits)(F(sel)(small, x * 0x1p54, x)) + (0x3FF0000000000000u - SQ_HALF_ROOT);
    SQ_V k = F(exponent)(i & ~SQ_TOP, F(sel)(small, SQ_K(1077.0), SQ_K(1023.0)));
    SQ_V y = F(log_poly)(F(val)((i & 0x000FFFFFFFFFFFFFu) + SQ_HALF_ROOT) - 1.0, k);
    y = F(sel)(F(lt)(x, SQ_K(__builtin_inf())), y, x);
    return F(sel)(F(le)(x, SQ_K(0.0)), F(sel)(F(eq)(x, SQ_K(0.0)), SQ_K(-__builtin_inf()), SQ_K(__builtin_nan(""))), y);
}

SQ_HOT SQ_V F(log1p)(SQ_V x) {
    SQ_V u = x + 1.0;
    SQ_U i = F(bits)(u) + (0x3FF0000000000000u - SQ_HALF_ROOT);
    SQ_V k = F(exponent)(i & ~SQ_TOP, SQ_K(1023.0)), m = F(val)((i & 0x000FFFFFFFFFFFFFu) + SQ_HALF_ROOT);
    SQ_V s = F(val)(((uint64_t)2046 << 52) - (i & 0x7FF0000000000000u));
    SQ_V f = F(sel)(F(lt)(x, SQ_K(0x1p60)), F(fma)(x, s, s - 1.0), m - 1.0);
    SQ_V y = F(log_poly)(f, k);
    y = F(sel)(F(lt)(x, SQ_K(__builtin_inf())), y, x);
    y = F(sel)(F(lt)(F(abs)(x), SQ_K(0x1p-54)), x, y);
    return F(sel)(F(le)(x, SQ_K(-1.0)), F(sel)(F(eq)(x, SQ_K(-1.0)), SQ_K(-__builtin_inf()), SQ_K(__builtin_nan(""))), y);
}

SQ_HOT SQ_V F(log1p01)(SQ_V e) {
    SQ_M low = F(lt)(e, SQ_K(0x1.a8p-2));
    SQ_V f = F(sel)(low, e, F(fma)(e, SQ_K(0.5), SQ_K(-0.5)));
    return F(log_poly)(f, F(sel)(low, SQ_K(0.0), SQ_K(1.0)));
}

SQ_HOT SQ_V F(tanh)(SQ_V x) {
    SQ_V a = F(min2)(SQ_K(19.1), F(abs)(x));
    SQ_V big = 1.0 - SQ_K(2.0) / (F(exp_core)(a + a) + 1.0);
    SQ_V z = a * a, p = SQ_K(-0x1.0e3d68c07ab39p-16); /* tanh(a) / a on [0, 0.625], relative error 2^-55.8 */
    p = F(fma)(p, z, SQ_K(0x1.43e179ac21871p-14));
    p = F(fma)(p, z, SQ_K(-0x1.df7a8ac653240p-13));
    p = F(fma)(p, z, SQ_K(0x1.336ae619e8563p-11));
    p = F(fma)(p, z, SQ_K(-0x1.7d696a7768c2cp-10));
    p = F(fma)(p, z, SQ_K(0x1.d6cf3ca637f6bp-9));
    p = F(fma)(p, z, SQ_K(-0x1.226e16da0e9ecp-7));
    p = F(fma)(p, z, SQ_K(0x1.664f4781f7718p-6));
    p = F(fma)(p, z, SQ_K(-0x1.ba1ba1b531085p-5));
    p = F(fma)(p, z, SQ_K(0x1.111111110b0c7p-3));
    p = F(fma)(p, z, SQ_K(-0x1.5555555555503p-2));
    SQ_V y = F(sel)(F(lt)(a, SQ_K(0.625)), F(fma)(a * z, p, a), big);
    return F(val)(F(bits)(y) | (F(bits)(x) & SQ_TOP));
}

/* num / (1 + e), num being e or 1: one step of correction with the rounding errors of the sum and of the quotient. */
SQ_HOT SQ_V F(sigmoid)(SQ_V x) {
    SQ_V e = F(exp_neg)(x), d = e + 1.0, inv = SQ_K(1.0) / d, num = F(sel)(F(lt)(x, SQ_K(0.0)), e, SQ_K(1.0));
    SQ_V y = num * inv, rest = F(fma)(-y, d, num);
    return F(fma)(F(fma)(-y, e - (d - 1.0), rest), inv, y);
}

/* x sigmoid(x); for negative x with 2^80 exp(x), so that a denormal result is rounded once, at the end. */
SQ_HOT SQ_V F(silu)(SQ_V x) {
    SQ_M below = F(lt)(x, SQ_K(0.0));
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-1100.0), F(val)(F(bits)(x) | SQ_TOP)), &r);
    SQ_V e = F(scale2)(F(exp_poly)(r), t + 80.0), f = e * 0x1p-80, d = f + 1.0, inv = SQ_K(1.0) / d;
    SQ_V g = F(sel)(below, e, SQ_K(1.0)), num = x * g, y = num * inv;
    SQ_V rest = F(fma)(-y, f - (d - 1.0), F(fma)(-y, d, num) + F(fma)(x, g, -num));
    y = F(fma)(rest, inv, y) * F(sel)(below, SQ_K(0x1p-80), SQ_K(1.0));
    return F(val)(F(bits)(F(sel)(F(lt)(x, SQ_K(750.0)), y, x)) | (F(bits)(x) & SQ_TOP));
}

SQ_HOT SQ_V F(softplus)(SQ_V x) { return F(max2)(SQ_K(0.0), x) + F(log1p01)(F(exp_neg)(x)); }
SQ_HOT SQ_V F(logsigmoid)(SQ_V x) { return F(min2)(SQ_K(0.0), x) - F(log1p01)(F(exp_neg)(x)); }

SQ_HOT SQ_V F(logaddexp)(SQ_V a, SQ_V b) {
    SQ_V top = F(max)(a, b), y = top + F(log1p01)(F(exp_neg)(a - b));
    return F(sel)(F(eq)(F(abs)(top), SQ_K(__builtin_inf())), top, y);
}

SQ_HOT SQ_V F(expdiff)(SQ_V a, SQ_V b) {
    return F(sel)(F(eq)(a, SQ_K(-__builtin_inf())), SQ_K(0.0), F(exp)(a - b));
}

/* r + low in [-pi/4, pi/4] and the quadrant; pi/2 in 33 + 33 + 33 + 53 bits, so that products with n < 2^20 are exact. */
SQ_RARE void F(trig_large)(const double *x, double *r, double *low, uint64_t *q) {
    for (int i = 0; i < SQ_N; i++)
        if (x[i] - x[i] == 0.0 && !(__builtin_fabs(x[i]) < 0x1p20)) q[i] = sq_trig_payne_hanek(x[i], r + i, low + i);
}
SQ_HOT SQ_U F(trig_reduce)(SQ_V x, SQ_V *r, SQ_V *low) {
    SQ_V t = F(fma)(x, SQ_K(0x1.45f306dc9c883p-1), SQ_K(0x1.8p52)), n = t - 0x1.8p52;
    SQ_U q = F(bits)(t);
    SQ_V a = x - n * 0x1.921fb544p+0, b = n * 0x1.0b4611a6p-34, s = a - b, v = s - a;
    SQ_V l = ((a - (s - v)) - (b + v)) - n * 0x1.3198a2ep-69 - n * 0x1.b839a252049c1p-104;
    SQ_V hi = s + l, lo = (s - hi) + l;
    SQ_M large = F(le)(SQ_K(0x1p20), F(abs)(x));
    if (SQ_UNLIKELY(F(any)(large))) {
        double xs[SQ_N], hs[SQ_N], ls[SQ_N];
        uint64_t qs[SQ_N];
        F(store)(xs, x), F(store)(hs, hi), F(store)(ls, lo), __builtin_memcpy(qs, &q, sizeof qs);
        F(trig_large)(xs, hs, ls, qs);
        hi = F(load)(hs), lo = F(load)(ls), __builtin_memcpy(&q, qs, sizeof qs);
    }
    *r = F(sel)(F(eq)(F(abs)(x), SQ_K(__builtin_inf())), SQ_K(__builtin_nan("")), hi);
    *low = lo;
    return q;
}
SQ_HOT SQ_V F(sin_poly)(SQ_V r, SQ_V low, SQ_V z) {
    SQ_V p = SQ_K(0x1.5d71163e2332ep-33);
    p = F(fma)(p, z, SQ_K(-0x1.ae5df30815f14p-26));
    p = F(fma)(p, z, SQ_K(0x1.71de34e759e39p-19));
    p = F(fma)(p, z, SQ_K(-0x1.a01a019b6efc2p-13));
    p = F(fma)(p, z, SQ_K(0x1.111111110f38bp-7));
    p = F(fma)(p, z, SQ_K(-0x1.5555555555546p-3));
    return r + F(fma)(r * z, p, F(fma)(z * -0.5, low, low));
}
SQ_HOT SQ_V F(cos_poly)(SQ_V r, SQ_V low, SQ_V z) {
    SQ_V p = SQ_K(-0x1.8f89718fe23ecp-37);
    p = F(fma)(p, z, SQ_K(0x1.1ee9a558a5542p-29));
    p = F(fma)(p, z, SQ_K(-0x1.27e4f7a438fe0p-22));
    p = F(fma)(p, z, SQ_K(0x1.a01a019c28554p-16));
    p = F(fma)(p, z, SQ_K(-0x1.6c16c16c14c27p-10));
    p = F(fma)(p, z, SQ_K(0x1.5555555555549p-5));
    SQ_V h = z * 0.5, w = 1.0 - h;
    return w + (((1.0 - w) - h) + F(fma)(z * z, p, F(set)(0) - r * low));
}
SQ_FN SQ_V F(sin)(SQ_V x) {
    SQ_V r, l;
    SQ_U q = F(trig_reduce)(x, &r, &l);
    SQ_V z = r * r, y = F(sel)(F(nonzero)(q & 1u), F(cos_poly)(r, l, z), F(sin_poly)(r, l, z));
    y = F(val)(F(bits)(y) ^ ((q & 2u) << 62));
    return F(sel)(F(eq)(x, SQ_K(0.0)), x, y);
}
SQ_FN SQ_V F(cos)(SQ_V x) {
    SQ_V r, l;
    SQ_U q = F(trig_reduce)(x, &r, &l);
    SQ_V z = r * r, y = F(sel)(F(nonzero)(q & 1u), F(sin_poly)(r, l, z), F(cos_poly)(r, l, z));
    return F(val)(F(bits)(y) ^ (((q + 1u) & 2u) << 62));
}
SQ_FN void F(sincos)(SQ_V x, SQ_V *sine, SQ_V *cosine) {
    SQ_V r, l;
    SQ_U q = F(trig_reduce)(x, &r, &l);
    SQ_V z = r * r, s = F(sin_poly)(r, l, z), c = F(cos_poly)(r, l, z);
    SQ_M odd = F(nonzero)(q & 1u);
    SQ_V y = F(val)(F(bits)(F(sel)(odd, c, s)) ^ ((q & 2u) << 62));
    *sine = F(sel)(F(eq)(x, SQ_K(0.0)), x, y);
    *cosine = F(val)(F(bits)(F(sel)(odd, s, c)) ^ (((q + 1u) & 2u) << 62));
}

SQ_FN SQ_V F(atan)(SQ_V x) {
    SQ_V a = F(abs)(x);
    SQ_M mid = F(lt)(SQ_K(0x1.18p-1), a), high = F(lt)(SQ_K(0x1.3504f333f9de6p+1), a);
    SQ_V num = F(sel)(high, SQ_K(-1.0), F(sel)(mid, a - 1.0, a));
    SQ_V den = F(sel)(high, a, F(sel)(mid, a + 1.0, SQ_K(1.0)));
    SQ_V off = F(sel)(high, SQ_K(0x1.921fb54442d18p+0), F(sel)(mid, SQ_K(0x1.921fb54442d18p-1), SQ_K(0.0)));
    SQ_V low = F(sel)(high, SQ_K(0x1.1a62633145c07p-54), F(sel)(mid, SQ_K(0x1.1a62633145c07p-55), SQ_K(0.0)));
    SQ_V t = num / den, z = t * t, p = SQ_K(0x1.578249d6e63d4p-8); /* atan(t) / t on [0, 0.547], relative error 2^-57 */
    p = F(fma)(p, z, SQ_K(-0x1.1c13d373ff3fbp-6));
    p = F(fma)(p, z, SQ_K(0x1.f3a58604725acp-6));
    p = F(fma)(p, z, SQ_K(-0x1.4929ffaf53dc6p-5));
    p = F(fma)(p, z, SQ_K(0x1.7f49a2e8f6ce0p-5));
    p = F(fma)(p, z, SQ_K(-0x1.ade75ecb984c8p-5));
    p = F(fma)(p, z, SQ_K(0x1.e1b6b47cf5c6dp-5));
    p = F(fma)(p, z, SQ_K(-0x1.110ef7b944ae1p-4));
    p = F(fma)(p, z, SQ_K(0x1.3b138c35c720ap-4));
    p = F(fma)(p, z, SQ_K(-0x1.745d15866d7a6p-4));
    p = F(fma)(p, z, SQ_K(0x1.c71c71b966369p-4));
    p = F(fma)(p, z, SQ_K(-0x1.249249247252ep-3));
    p = F(fma)(p, z, SQ_K(0x1.99999999994e3p-3));
    p = F(fma)(p, z, SQ_K(-0x1.5555555555553p-2));
    SQ_V y = off + (F(fma)(t * z, p, t) + low);
    return F(val)(F(bits)(y) | (F(bits)(x) & SQ_TOP));
}

SQ_FN SQ_V F(erf)(SQ_V x) {
    SQ_V a = F(min2)(SQ_K(6.0), F(abs)(x)), z = a * a, u = a - 2.0;
    SQ_V p = SQ_K(0x1.06275c7524c6cp-34); /* erf(a) / a - 1 on [0, 1], relative error of the result 2^-56 */
    p = F(fma)(p, z, SQ_K(-0x1.38ac22534af27p-30));
    p = F(fma)(p, z, SQ_K(0x1.f7b99cf5acbc5p-27));
    p = F(fma)(p, z, SQ_K(-0x1.5f1f40e25a62bp-23));
    p = F(fma)(p, z, SQ_K(0x1.b9df30582cd90p-20));
    p = F(fma)(p, z, SQ_K(-0x1.f4d1e4343e112p-17));
    p = F(fma)(p, z, SQ_K(0x1.f9a321e4afa12p-14));
    p = F(fma)(p, z, SQ_K(-0x1.c02db3db4914dp-11));
    p = F(fma)(p, z, SQ_K(0x1.565bcd0dbd8f7p-8));
    p = F(fma)(p, z, SQ_K(-0x1.b82ce31284f37p-6));
    p = F(fma)(p, z, SQ_K(0x1.ce2f21a042b34p-4));
    p = F(fma)(p, z, SQ_K(-0x1.812746b0379e6p-2));
    p = F(fma)(p, z, SQ_K(0x1.06eba8214db69p-3));
    SQ_V q = SQ_K(0x1.dc6558f52dfa6p-48); /* log(1 - erf(a)) on [1, 6], error of the result 2^-57.7 */
    q = F(fma)(q, u, SQ_K(-0x1.64d1f1d78aacbp-43));
    q = F(fma)(q, u, SQ_K(0x1.ce873bf8d61b9p-40));
    q = F(fma)(q, u, SQ_K(-0x1.508498f1a6921p-37));
    q = F(fma)(q, u, SQ_K(0x1.1ec9a21b1ba89p-35));
    q = F(fma)(q, u, SQ_K(-0x1.7a86e1ab08547p-35));
    q = F(fma)(q, u, SQ_K(-0x1.1c12f276ac74bp-32));
    q = F(fma)(q, u, SQ_K(0x1.5cc76e084995ep-29));
    q = F(fma)(q, u, SQ_K(-0x1.e05b1a32abd8fp-27));
    q = F(fma)(q, u, SQ_K(0x1.f0765c9b7ece0p-25));
    q = F(fma)(q, u, SQ_K(-0x1.73e350212115ep-23));
    q = F(fma)(q, u, SQ_K(0x1.b55589062e0d7p-23));
    q = F(fma)(q, u, SQ_K(0x1.0604479412ac0p-19));
    q = F(fma)(q, u, SQ_K(-0x1.5b657ab118c29p-16));
    q = F(fma)(q, u, SQ_K(0x1.1bc3a5ed7ca88p-13));
    q = F(fma)(q, u, SQ_K(-0x1.7ffcfb3298897p-11));
    q = F(fma)(q, u, SQ_K(0x1.d406b3748fc4dp-9));
    q = F(fma)(q, u, SQ_K(-0x1.0dc3b5fb1d70fp-6));
    q = F(fma)(q, u, SQ_K(-0x1.d8f5dece92507p-1));
    q = F(fma)(q, u, SQ_K(-0x1.1ac3258a8dc29p+2));
    q = F(fma)(q, u, SQ_K(-0x1.575b329b1f515p+2));
    SQ_V y = F(sel)(F(lt)(a, SQ_K(1.0)), F(fma)(a, p, a), 1.0 - F(exp_core)(q));
    return F(val)(F(bits)(y) | (F(bits)(x) & SQ_TOP));
}

SQ_FN SQ_V F(gelu)(SQ_V x) { return x * 0.5 * (F(erf)(x * 0x1.6a09e667f3bcdp-1) + 1.0); }

/* |x|^y to about 2^-34, for fp32's pow: 2^(y log2 a) with a normal, zero, infinite or NaN. */
SQ_FN SQ_V F(pow_short)(SQ_V a, SQ_V y) {
    SQ_U i = F(bits)(a) + (0x3FF0000000000000u - SQ_HALF_ROOT);
    SQ_V k = F(exponent)(i & ~SQ_TOP, SQ_K(1023.0)), m = F(val)((i & 0x000FFFFFFFFFFFFFu) + SQ_HALF_ROOT);
    SQ_V s = (m - 1.0) / (m + 1.0), z = s * s, p = SQ_K(0x1.912cbd5040f88p-3); /* 2 atanh(s) / s, relative error 2^-43.9 */
    p = F(fma)(p, z, SQ_K(0x1.c62994746a2c4p-3));
    p = F(fma)(p, z, SQ_K(0x1.2494162a59b90p-2));
    p = F(fma)(p, z, SQ_K(0x1.999996a003d3fp-2));
    p = F(fma)(p, z, SQ_K(0x1.55555556215b4p-1));
    p = F(fma)(p, z, SQ_K(2.0));
    SQ_V l = F(fma)(s * 0x1.71547652b82fep+0, p, k);
    l = F(sel)(F(eq)(a, SQ_K(0.0)), SQ_K(-__builtin_inf()), F(sel)(F(lt)(a, SQ_K(__builtin_inf())), l, a));
    SQ_V e = F(max2)(SQ_K(-200.0), F(min2)(SQ_K(200.0), y * l)), t = e + 0x1.8p52, r = e - (t - 0x1.8p52);
    SQ_V x = SQ_K(0x1.00f244f5c25a6p-16); /* 2^r, relative error 2^-34.3 */
    x = F(fma)(x, r, SQ_K(0x1.445fc8d5a21f0p-13));
    x = F(fma)(x, r, SQ_K(0x1.5d8721e8d1bc4p-10));
    x = F(fma)(x, r, SQ_K(0x1.3b29ef672503fp-7));
    x = F(fma)(x, r, SQ_K(0x1.c6b08df5f2ed1p-5));
    x = F(fma)(x, r, SQ_K(0x1.ebfbe07c4b5f5p-3));
    x = F(fma)(x, r, SQ_K(0x1.62e42fef7ac06p-1));
    x = F(fma)(x, r, SQ_K(1.0));
    return F(scale1)(x, t);
}

/* x^y with log |x| in two doubles: 2 s (1 + z / 3 + z^2 R(z)), the first three terms with their rounding errors, R to 2^-66. */
SQ_FN SQ_V F(pow)(SQ_V x, SQ_V y) {
    SQ_V a = F(abs)(x);
    SQ_M small = F(lt)(a, SQ_K(0x1p-1022));
    SQ_U i = F(bits)(F(sel)(small, a * 0x1p54, a)) + (0x3FF0000000000000u - SQ_HALF_ROOT);
    SQ_V k = F(exponent)(i & ~SQ_TOP, F(sel)(small, SQ_K(1077.0), SQ_K(1023.0)));
    SQ_V m = F(val)((i & 0x000FFFFFFFFFFFFFu) + SQ_HALF_ROOT), num = m - 1.0, den = m + 1.0, inv = SQ_K(1.0) / den;
    SQ_V s = num * inv, sd = s * den, sl = (((num - sd) - F(mulerr)(s, den, sd)) - s * (m - (den - 1.0))) * inv;
    SQ_V z = s * s, zl = F(mulerr)(s, s, z) + 2.0 * s * sl, p = SQ_K(0x1.0e5b0beb5eb52p-4);
    p = F(fma)(p, z, SQ_K(0x1.0f7d5cae45ea7p-4));
    p = F(fma)(p, z, SQ_K(0x1.3b1f073075b3ap-4));
    p = F(fma)(p, z, SQ_K(0x1.745ce951d8abap-4));
    p = F(fma)(p, z, SQ_K(0x1.c71c722eff2d2p-4));
    p = F(fma)(p, z, SQ_K(0x1.2492492456bdcp-3));
    p = F(fma)(p, z, SQ_K(0x1.9999999999b39p-3));
    p = p * z;
    SQ_V c = p + 0x1.5555555555555p-2, cl = (p - (c - 0x1.5555555555555p-2)) + 0x1.5555555555555p-56;
    SQ_V w = z * c, wl = F(mulerr)(z, c, w) + (z * cl + zl * c);
    SQ_V b = s * w, bl = F(mulerr)(s, w, b) + (s * wl + sl * w);
    SQ_V h = s + b, l = ((s - h) + b) + (sl + bl);
    h = h + h, l = l + l;
    SQ_V kh = k * 0x1.62e42feep-1, top = kh + h, v = top - kh;
    SQ_V low = ((kh - (top - v)) + (h - v)) + F(fma)(k, SQ_K(0x1.a39ef35793c76p-33), l);
    h = top + low, l = (top - h) + low;
    SQ_V e = y * h, el = F(mulerr)(y, h, e) + y * l;
    SQ_M fine = F(lt)(F(abs)(e), SQ_K(800.0)) & F(lt)(F(set)(0x1p-1000), F(abs)(y)) & F(lt)(F(abs)(y), SQ_K(0x1p900));
    el = F(sel)(fine, el, SQ_K(0.0));
    e = F(sel)(F(eq)(a, SQ_K(0.0)), y * -__builtin_inf(), F(sel)(F(lt)(a, SQ_K(__builtin_inf())), e, y * a));
    e = F(max2)(SQ_K(-800.0), F(min2)(SQ_K(800.0), e));
    SQ_V t = F(fma)(e, SQ_K(0x1.71547652b82fep+0), SQ_K(0x1.8p52)), n = t - 0x1.8p52;
    SQ_V r = F(fma)(n, SQ_K(-0x1.62e42feep-1), e) + F(fma)(n, SQ_K(-0x1.a39ef35793c76p-33), el);
    return F(pow_special)(x, y, a, F(scale2)(F(exp_poly)(r), t));
}
#undef SQ_HALF_ROOT
#undef SQ_K

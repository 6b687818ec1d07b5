/* Elementary functions in fp32, for the type SQ_V. Included by vecmath.h, for float and for sq_v32.
 *
 * Polynomials are minimax fits (Remez) of the function named beside them on the reduced interval, in the error that counts at the
 * end, rounded to fp32; tests/bench/fit_polynomials.py makes them. Notation: t = n + 1.5 * 2^23 rounds by addition, so that the
 * low bits of t are n; |r| <= ln(2) / 2 after n multiples of ln 2 went off, in two parts (9 + 24 bits: the first product is exact).
 */

#define SQ_K(c) F(set)(c)

/* exp(r), relative error 2^-28.2. */
SQ_HOT SQ_V F(exp_poly)(SQ_V r) {
    SQ_V p = SQ_K(0x1.6ae888p-10f);
    p = F(fma)(p, r, SQ_K(0x1.1240dep-7f));
    p = F(fma)(p, r, SQ_K(0x1.555842p-5f));
    p = F(fma)(p, r, SQ_K(0x1.555488p-3f));
    p = F(fma)(p, r, SQ_K(0x1.fffffcp-2f));
    p = F(fma)(p, r, SQ_K(1.0f));
    return F(fma)(p, r, SQ_K(1.0f));
}

/* n as t, and r, for an argument that is not NaN and not huge. */
SQ_HOT SQ_V F(exp_split)(SQ_V x, SQ_V *r) {
    SQ_V t = F(fma)(x, SQ_K(0x1.715476p+0f), SQ_K(0x1.8p23f)), n = t - 0x1.8p23f;
    *r = F(fma)(n, SQ_K(0x1.bd0106p-13f), F(fma)(n, SQ_K(-0x1.63p-1f), x));
    return t;
}

/* exp(x) where the result is a normal number. */
SQ_HOT SQ_V F(exp_core)(SQ_V x) {
    SQ_V r, t = F(exp_split)(x, &r);
    return F(scale1)(F(exp_poly)(r), t);
}

SQ_HOT SQ_V F(exp)(SQ_V x) {
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-104.0f), F(min2)(SQ_K(89.0f), x)), &r);
    return F(scale2)(F(exp_poly)(r), t);
}

/* exp(-|x|), which never overflows. */
SQ_HOT SQ_V F(exp_neg)(SQ_V x) {
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-104.0f), F(val)(F(bits)(x) | SQ_TOP)), &r);
    return F(scale2)(F(exp_poly)(r), t);
}

SQ_HOT SQ_V F(expm1)(SQ_V x) {
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-25.0f), F(min2)(SQ_K(89.0f), x)), &r);
    SQ_V q = SQ_K(0x1.6cd71ap-10f); /* (exp(r) - 1 - r) / r^2, relative error of the result 2^-26.1 */
    q = F(fma)(q, r, SQ_K(0x1.122e02p-7f));
    q = F(fma)(q, r, SQ_K(0x1.555538p-5f));
    q = F(fma)(q, r, SQ_K(0x1.5554a8p-3f));
    q = F(fma)(q, r, SQ_K(0.5f));
    SQ_V p = F(fma)(r * r, q, r);
    SQ_V s = F(val)((F(bits)(t) << 23) + (126u << 23)); /* 2^(n-1): n may be 128 */
    SQ_V y = F(fma)(s, p, s - 0.5f);
    return F(sel)(F(lt)(F(abs)(x), SQ_K(0x1p-25f)), x, y + y);
}

/* log(1 + f) + k ln 2 for -0.25 <= f <= 0.5, relative error of the polynomial 2^-26.6. */
SQ_HOT SQ_V F(log_poly)(SQ_V f, SQ_V k) {
    SQ_V z = f * f, p = SQ_K(-0x1.7140c2p-5f);
    p = F(fma)(p, f, SQ_K(0x1.ac90c8p-4f));
    p = F(fma)(p, f, SQ_K(-0x1.0d8a92p-3f));
    p = F(fma)(p, f, SQ_K(0x1.28847ep-3f));
    p = F(fma)(p, f, SQ_K(-0x1.54efdcp-3f));
    p = F(fma)(p, f, SQ_K(0x1.9969b0p-3f));
    p = F(fma)(p, f, SQ_K(-0x1.000040p-2f));
    p = F(fma)(p, f, SQ_K(0x1.5555a4p-2f));
    SQ_V u = F(fma)(z, f * p, k * -0x1.bd0106p-13f);
    u = F(fma)(z, SQ_K(-0.5f), u);
    return F(fma)(k, SQ_K(0x1.63p-1f), f + u);
}

SQ_HOT SQ_V F(log)(SQ_V x) {
    SQ_V k, m = F(log_split)(x, &k);
    return F(log_special)(F(log_poly)(m - 1.0f, k), x, x);
}

SQ_HOT SQ_V F(log1p)(SQ_V x) {
    SQ_V u = x + 1.0f;
    SQ_U i = F(bits)(u) + 0x00400000u, e = i >> 23;
    SQ_V k = F(signed)(e) - 127.0f, m = F(val)((i & 0x007FFFFFu) + 0x3F400000u), s = F(val)((254u - e) << 23);
    SQ_V f = F(sel)(F(lt)(x, SQ_K(0x1p30f)), F(fma)(x, s, s - 1.0f), m - 1.0f); /* (1 + x) / 2^k - 1, rounded once */
    SQ_V y = F(sel)(F(lt)(F(abs)(x), SQ_K(0x1p-25f)), x, F(log_poly)(f, k));
    return F(log_special)(y, u, x);
}

/* log(1 + e) for 0 <= e <= 1, relative error 2^-30. */
SQ_HOT SQ_V F(log1p01)(SQ_V e) {
    SQ_V p = SQ_K(0x1.11415cp-9f);
    p = F(fma)(p, e, SQ_K(-0x1.c0ace2p-7f));
    p = F(fma)(p, e, SQ_K(0x1.59038ap-5f));
    p = F(fma)(p, e, SQ_K(-0x1.54f326p-4f));
    p = F(fma)(p, e, SQ_K(0x1.ff299ap-4f));
    p = F(fma)(p, e, SQ_K(-0x1.4a72c8p-3f));
    p = F(fma)(p, e, SQ_K(0x1.978b56p-3f));
    p = F(fma)(p, e, SQ_K(-0x1.ffc59ep-3f));
    p = F(fma)(p, e, SQ_K(0x1.5553b6p-2f));
    p = F(fma)(p, e, SQ_K(-0x1.fffff8p-2f));
    return F(fma)(e * e, p, e);
}

SQ_HOT SQ_V F(tanh)(SQ_V x) {
    SQ_V a = F(min2)(SQ_K(9.02f), F(abs)(x));
    SQ_V big = 1.0f - SQ_K(2.0f) / (F(exp_core)(a + a) + 1.0f);
    SQ_V z = a * a, p = SQ_K(-0x1.767a14p-8f); /* tanh(a) / a on [0, 0.625], relative error 2^-27.8 */
    p = F(fma)(p, z, SQ_K(0x1.524c40p-6f));
    p = F(fma)(p, z, SQ_K(-0x1.b842c4p-5f));
    p = F(fma)(p, z, SQ_K(0x1.11075ep-3f));
    p = F(fma)(p, z, SQ_K(-0x1.555534p-2f));
    SQ_V y = F(sel)(F(lt)(a, SQ_K(0.625f)), F(fma)(a * z, p, a), big);
    return F(val)(F(bits)(y) | (F(bits)(x) & SQ_TOP));
}

/* num / (1 + e), num being e or 1: one step of correction with the rounding errors of the sum and of the quotient. */
SQ_HOT SQ_V F(sigmoid)(SQ_V x) {
    SQ_V e = F(exp_neg)(x), d = e + 1.0f, inv = SQ_K(1.0f) / d, num = F(sel)(F(lt)(x, SQ_K(0.0f)), e, SQ_K(1.0f));
    SQ_V y = num * inv, rest = F(fma)(-y, d, num);
    return F(fma)(F(fma)(-y, e - (d - 1.0f), rest), inv, y);
}

/* x sigmoid(x); for negative x with 2^64 exp(x), so that a denormal result is rounded once, at the end. */
SQ_HOT SQ_V F(silu)(SQ_V x) {
    SQ_M below = F(lt)(x, SQ_K(0.0f));
    SQ_V r, t = F(exp_split)(F(max2)(SQ_K(-200.0f), F(val)(F(bits)(x) | SQ_TOP)), &r);
    SQ_V e = F(scale2)(F(exp_poly)(r), t + 64.0f), f = e * 0x1p-64f, d = f + 1.0f, inv = SQ_K(1.0f) / d;
    SQ_V g = F(sel)(below, e, SQ_K(1.0f)), num = x * g, y = num * inv;
    SQ_V rest = F(fma)(-y, f - (d - 1.0f), F(fma)(-y, d, num) + F(fma)(x, g, -num));
    y = F(fma)(rest, inv, y) * F(sel)(below, SQ_K(0x1p-64f), SQ_K(1.0f));
    return F(val)(F(bits)(F(sel)(F(lt)(x, SQ_K(100.0f)), y, x)) | (F(bits)(x) & SQ_TOP));
}

SQ_HOT SQ_V F(softplus)(SQ_V x) { return F(max2)(SQ_K(0.0f), x) + F(log1p01)(F(exp_neg)(x)); }
SQ_HOT SQ_V F(logsigmoid)(SQ_V x) { return F(min2)(SQ_K(0.0f), x) - F(log1p01)(F(exp_neg)(x)); }

SQ_HOT SQ_V F(logaddexp)(SQ_V a, SQ_V b) {
    SQ_V top = F(max)(a, b), y = top + F(log1p01)(F(exp_neg)(a - b));
    return F(sel)(F(eq)(F(abs)(top), SQ_K(__builtin_inff())), top, y);
}

SQ_HOT SQ_V F(expdiff)(SQ_V a, SQ_V b) {
    return F(sel)(F(eq)(a, SQ_K(-__builtin_inff())), SQ_K(0.0f), F(exp)(a - b));
}

/* r in [-pi/4, pi/4] and, in the low two bits of the result, the quadrant. */
#if SQ_FMA
#define SQ_TRIG_LIMIT_F32 0x1.8p16f
#else
#define SQ_TRIG_LIMIT_F32 0x1p13f
#endif
SQ_RARE void F(trig_large)(const float *x, float *r, uint32_t *q) {
    for (int i = 0; i < SQ_N; i++) {
        double hi, lo;
        if (x[i] - x[i] == 0.0f && !(__builtin_fabsf(x[i]) < SQ_TRIG_LIMIT_F32)) {
            q[i] = (uint32_t)sq_trig_payne_hanek(x[i], &hi, &lo);
            r[i] = (float)(hi + lo);
        }
    }
}
SQ_HOT SQ_U F(trig_reduce)(SQ_V x, SQ_V *r) {
    SQ_V t = F(fma)(x, SQ_K(0x1.45f306p-1f), SQ_K(0x1.8p23f)), n = t - 0x1.8p23f, y;
    SQ_U q = F(bits)(t);
#if SQ_FMA
    y = F(fma)(n, SQ_K(-0x1.921fb6p+0f), x); /* exact; pi/2 in 24 + 24 + 24 bits */
    y = F(fma)(n, SQ_K(0x1.777a5cp-25f), y);
    y = F(fma)(n, SQ_K(0x1.ee59dap-50f), y);
#else
    y = x - n * 0x1.92p+0f; /* the first three products are exact: 9 + 10 + 10 + 24 bits */
    y = y - n * 0x1.fb8p-12f;
    y = y + n * 0x1.5ep-23f;
    y = y - n * 0x1.0b4612p-34f;
#endif
    SQ_M large = F(le)(SQ_K(SQ_TRIG_LIMIT_F32), F(abs)(x));
    if (SQ_UNLIKELY(F(any)(large))) {
        float xs[SQ_N], rs[SQ_N];
        uint32_t qs[SQ_N];
        F(store)(xs, x), F(store)(rs, y), __builtin_memcpy(qs, &q, sizeof qs);
        F(trig_large)(xs, rs, qs);
        y = F(load)(rs), __builtin_memcpy(&q, qs, sizeof qs);
    }
    *r = F(sel)(F(eq)(F(abs)(x), SQ_K(__builtin_inff())), SQ_K(__builtin_nanf("")), y);
    return q;
}
SQ_HOT SQ_V F(sin_poly)(SQ_V r, SQ_V z) {
    SQ_V p = F(fma)(F(fma)(SQ_K(-0x1.99122ap-13f), z, SQ_K(0x1.1106b4p-7f)), z, SQ_K(-0x1.555544p-3f));
    return F(fma)(r * z, p, r);
}
SQ_HOT SQ_V F(cos_poly)(SQ_V z) {
    SQ_V p = F(fma)(F(fma)(SQ_K(0x1.99d83ap-16f), z, SQ_K(-0x1.6c0c08p-10f)), z, SQ_K(0x1.55554ap-5f));
    return F(fma)(z * z, p, F(fma)(z, SQ_K(-0.5f), SQ_K(1.0f)));
}
SQ_FN SQ_V F(sin)(SQ_V x) {
    SQ_V r;
    SQ_U q = F(trig_reduce)(x, &r);
    SQ_V z = r * r, y = F(sel)(F(nonzero)(q & 1u), F(cos_poly)(z), F(sin_poly)(r, z));
    y = F(val)(F(bits)(y) ^ ((q & 2u) << 30));
    return F(sel)(F(eq)(x, SQ_K(0.0f)), x, y);
}
SQ_FN SQ_V F(cos)(SQ_V x) {
    SQ_V r;
    SQ_U q = F(trig_reduce)(x, &r);
    SQ_V z = r * r, y = F(sel)(F(nonzero)(q & 1u), F(sin_poly)(r, z), F(cos_poly)(z));
    return F(val)(F(bits)(y) ^ (((q + 1u) & 2u) << 30));
}
SQ_FN void F(sincos)(SQ_V x, SQ_V *sine, SQ_V *cosine) {
    SQ_V r;
    SQ_U q = F(trig_reduce)(x, &r);
    SQ_V z = r * r, s = F(sin_poly)(r, z), c = F(cos_poly)(z);
    SQ_M odd = F(nonzero)(q & 1u);
    SQ_V y = F(val)(F(bits)(F(sel)(odd, c, s)) ^ ((q & 2u) << 30));
    *sine = F(sel)(F(eq)(x, SQ_K(0.0f)), x, y);
    *cosine = F(val)(F(bits)(F(sel)(odd, s, c)) ^ (((q + 1u) & 2u) << 30));
}

/* Three intervals with one division: atan(a), pi/4 + atan((a - 1) / (a + 1)), pi/2 - atan(1 / a). */
SQ_FN SQ_V F(atan)(SQ_V x) {
    SQ_V a = F(abs)(x);
    SQ_M mid = F(lt)(SQ_K(0x1.18p-1f), a), high = F(lt)(SQ_K(0x1.3504f4p+1f), a);
    SQ_V num = F(sel)(high, SQ_K(-1.0f), F(sel)(mid, a - 1.0f, a));
    SQ_V den = F(sel)(high, a, F(sel)(mid, a + 1.0f, SQ_K(1.0f)));
    SQ_V off = F(sel)(high, SQ_K(0x1.921fb6p+0f), F(sel)(mid, SQ_K(0x1.921fb6p-1f), SQ_K(0.0f)));
    SQ_V low = F(sel)(high, SQ_K(-0x1.777a5cp-25f), F(sel)(mid, SQ_K(-0x1.777a5cp-26f), SQ_K(0.0f)));
    SQ_V t = num / den, z = t * t, p = SQ_K(0x1.17c3acp-5f); /* atan(t) / t on [0, 0.547], relative error 2^-30.1 */
    p = F(fma)(p, z, SQ_K(-0x1.391790p-4f));
    p = F(fma)(p, z, SQ_K(0x1.bc4f46p-4f));
    p = F(fma)(p, z, SQ_K(-0x1.240e20p-3f));
    p = F(fma)(p, z, SQ_K(0x1.9993b2p-3f));
    p = F(fma)(p, z, SQ_K(-0x1.55554ap-2f));
    SQ_V y = off + (F(fma)(t * z, p, t) + low);
    return F(val)(F(bits)(y) | (F(bits)(x) & SQ_TOP));
}

SQ_FN SQ_V F(erf)(SQ_V x) {
    SQ_V a = F(min2)(SQ_K(3.95f), F(abs)(x)), z = a * a, u = a - 2.0f;
    SQ_V p = SQ_K(0x1.4c339cp-14f); /* erf(a) / a - 1 on [0, 1], relative error of the result 2^-29.5 */
    p = F(fma)(p, z, SQ_K(-0x1.a50ae8p-11f));
    p = F(fma)(p, z, SQ_K(0x1.542e0ep-8f));
    p = F(fma)(p, z, SQ_K(-0x1.b7fe90p-6f));
    p = F(fma)(p, z, SQ_K(0x1.ce2d50p-4f));
    p = F(fma)(p, z, SQ_K(-0x1.812740p-2f));
    p = F(fma)(p, z, SQ_K(0x1.06eba8p-3f));
    SQ_V q = SQ_K(0x1.80de8cp-13f); /* log(1 - erf(a)) on [1, 3.95], error of the result 2^-29.3 */
    q = F(fma)(q, u, SQ_K(-0x1.76b3d4p-11f));
    q = F(fma)(q, u, SQ_K(0x1.d10082p-9f));
    q = F(fma)(q, u, SQ_K(-0x1.0e07c0p-6f));
    q = F(fma)(q, u, SQ_K(-0x1.d8f5e8p-1f));
    q = F(fma)(q, u, SQ_K(-0x1.1ac320p+2f));
    q = F(fma)(q, u, SQ_K(-0x1.575b32p+2f));
    SQ_V y = F(sel)(F(lt)(a, SQ_K(1.0f)), F(fma)(a, p, a), 1.0f - F(exp_core)(q));
    return F(val)(F(bits)(y) | (F(bits)(x) & SQ_TOP));
}

SQ_FN SQ_V F(gelu)(SQ_V x) { return x * 0.5f * (F(erf)(x * 0x1.6a09e6p-1f) + 1.0f); }

/* |x|^y in double, two halves for a vector; then what C says about signs and special cases. */
SQ_RARE SQ_V F(pow_slow)(SQ_V x, SQ_V y) {
    SQ_V a = F(abs)(x);
#if SQ_N == 1
    SQ_V r = (float)sq_pow_short_f64((double)a, (double)y);
#else
    SQ_V r = sq_narrow(sq_pow_short_v64(sq_wide_low(a), sq_wide_low(y)), sq_pow_short_v64(sq_wide_high(a), sq_wide_high(y)));
#endif
    return F(pow_special)(x, y, a, r);
}

/* x^y = 2^(y log2 x). For a normal x > 0: log m = 2 s (1 + z / 3 + z^2 / 5 + ...) with s = (m - 1) / (m + 1), z = s^2, and every sum
 * and product that weighs in two numbers, hi + lo, where log2 x has 2^-29 of its own left as an error. */
SQ_FN SQ_V F(pow)(SQ_V x, SQ_V y) {
    SQ_M plain = F(le)(SQ_K(0x1p-126f), x) & F(lt)(x, SQ_K(__builtin_inff())) & F(lt)(F(abs)(y), SQ_K(0x1p60f));
    if (!SQ_FMA) return F(pow_slow)(x, y);
    SQ_U i = F(bits)(x) + 0x004AFB0Du; /* m in sqrt(1/2) ... sqrt(2) */
    SQ_V k = F(signed)(i >> 23) - 127.0f, f = F(val)((i & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    SQ_V g = f + 2.0f, inv = SQ_K(1.0f) / g, s = f * inv;
    SQ_V lo = (F(fma)(SQ_K(0.0f) - s, g, f) - s * (f - (g - 2.0f))) * inv;
    SQ_V z = s * s, p = SQ_K(0x1.3b13b2p-4f);
    p = F(fma)(p, z, SQ_K(0x1.745d18p-4f));
    p = F(fma)(p, z, SQ_K(0x1.c71c72p-4f));
    p = F(fma)(p, z, SQ_K(0x1.249249p-3f));
    p = F(fma)(p, z, SQ_K(0x1.99999ap-3f));
    p = F(fma)(p, z, SQ_K(0x1.555556p-2f));
    SQ_V cube = s * z, short_of = F(fma)(s, F(fma)(s, s, SQ_K(0.0f) - z), F(fma)(s, z, SQ_K(0.0f) - cube));
    lo = F(fma)(cube, p, F(fma)(short_of, SQ_K(0x1.555556p-2f), F(fma)(lo, z, lo)));
    SQ_V high = s * SQ_K(0x1.715476p+1f); /* 2 / ln 2 */
    SQ_V low = F(fma)(lo, SQ_K(0x1.715476p+1f), F(fma)(s, SQ_K(0x1.715476p+1f), SQ_K(0.0f) - high) + s * SQ_K(0x1.4ae0bfp-25f));
    SQ_V sum = high + low;
    low = (high - sum) + low;
    SQ_V whole = k + sum;
    low = low + ((k - whole) + sum);
    SQ_V e = y * whole, rest = F(fma)(y, whole, SQ_K(0.0f) - e) + y * low;
    rest = F(sel)(F(lt)(F(abs)(e), SQ_K(256.0f)), rest, SQ_K(0.0f));
    e = F(max2)(SQ_K(-151.0f), F(min2)(SQ_K(129.0f), e));
    SQ_V t = e + 0x1.8p23f, r = (e - (t - 0x1.8p23f)) + rest;
    SQ_V made = F(scale2)(F(exp_poly)(r * 0x1.62e430p-1f), t);
    if (SQ_UNLIKELY(F(any)(F(not)(plain)))) made = F(sel)(plain, made, F(pow_slow)(x, y));
    return made;
}
#undef SQ_K

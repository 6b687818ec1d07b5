/* The exact functions, and those made of few operations, for the type SQ_V. Included by vecmath.h, once for each type. */

SQ_HOT SQ_V F(abs)(SQ_V x) { return F(val)(F(bits)(x) & ~SQ_TOP); }
SQ_HOT SQ_V F(copysign)(SQ_V x, SQ_V s) { return F(val)((F(bits)(x) & ~SQ_TOP) | (F(bits)(s) & SQ_TOP)); }
SQ_HOT SQ_V F(relu)(SQ_V x) { return F(max2)(F(set)(0), x); }
SQ_HOT SQ_V F(min)(SQ_V a, SQ_V b) { return F(sel)(F(isnan)(a), a, F(min2)(a, b)); }
SQ_HOT SQ_V F(max)(SQ_V a, SQ_V b) { return F(sel)(F(isnan)(a), a, F(max2)(a, b)); }
SQ_HOT SQ_V F(sign)(SQ_V x) {
    SQ_V one = F(copysign)(F(set)(1), x);
    return F(sel)(F(lt)(F(set)(0), F(abs)(x)), one, F(set)(0));
}
SQ_HOT SQ_V F(rsqrt)(SQ_V x) { return F(set)(1) / F(sqrt)(x); }

/* r = |x|^y, made into x^y: Annex F of C, F.10.4.4. */
SQ_FN SQ_V F(pow_special)(SQ_V x, SQ_V y, SQ_V a, SQ_V r) {
    SQ_V one = F(set)(1), zero = F(set)(0), inf = F(set)(__builtin_inf()), half = y * F(set)(0.5f);
    SQ_M whole = F(eq)(F(trunc)(y), y), odd = whole & F(not)(F(eq)(F(trunc)(half), half));
    r = F(val)(F(bits)(r) | (F(bits)(F(sel)(odd, x, zero)) & SQ_TOP));
    r = F(sel)(F(lt)(x, zero) & F(lt)(a, inf) & F(not)(whole), F(set)(__builtin_nan("")), r);
    r = F(sel)(F(isnan)(x) | F(isnan)(y), x + y, r);
    return F(sel)(F(eq)(y, zero) | F(eq)(x, one) | (F(eq)(a, one) & F(eq)(F(abs)(y), inf)), one, r);
}

/* The remainder with the sign of b, exact; lanes with a huge quotient or an infinite b, and machines without a fused multiply-add, go one by one. */
SQ_RARE void F(mod_slow)(const SQ_T *a, const SQ_T *b, SQ_T *r) {
    for (int i = 0; i < SQ_N; i++) r[i] = (SQ_T)__builtin_fmod(a[i], b[i]);
}
SQ_FN SQ_V F(mod)(SQ_V a, SQ_V b) {
    SQ_V c = F(abs)(b), q = F(trunc)(F(abs)(a) / c), r = F(fma)(F(set)(0) - q, c, F(abs)(a));
    r = F(sel)(F(lt)(r, F(set)(0)), r + c, r);
    r = F(sel)(F(le)(c, r), r - c, r);
    r = F(copysign)(r, a);
    if (SQ_UNLIKELY(!SQ_FMA || F(any)(F(not)(F(lt)(q, F(set)(0x1p22f))) | F(eq)(c, F(set)(__builtin_inf()))))) {
        SQ_T as[SQ_N], bs[SQ_N], rs[SQ_N];
        F(store)(as, a), F(store)(bs, b);
        F(mod_slow)(as, bs, rs);
        r = F(load)(rs);
    }
    SQ_M turn = F(lt)(F(set)(0), F(abs)(r)) & F(nonzero)((F(bits)(r) ^ F(bits)(b)) & SQ_TOP);
    return F(sel)(turn, r + b, r);
}

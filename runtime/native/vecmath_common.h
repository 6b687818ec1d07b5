/* The exact functions, and those made of few operations, for the type SQ_V. Included by vecmath.h, once for each type. */

SQ_HOT SQ_V F(abs)(SQ_V x) { return F(val)(F(bits)(x) & ~SQ_TOP); }
SQ_HOT SQ_V F(copysign)(SQ_V x, SQ_V s) { return F(val)((F(bits)(x) & ~SQ_TOP) | (F(bits)(s) & SQ_TOP)); }
SQ_HOT SQ_V F(relu)(SQ_V x) { return F(max2)(F(set)(0), x); }
SQ_HOT SQ_V F(min)(SQ_V a, SQ_V b) { return F(sel)(F(isnan)(a), a, F(min2)(a, b)); }
SQ_HOT SQ_V F(max)(SQ_V a, SQ_V b) { return F(sel)(F(isnan)(a), a, F(max2)(a, b)); }
SQ_HOT SQ_V F(sign)(SQ_V x) {
    SQ_V one = F(copysign)(F(set)(1), x);
    return F(sel)(F(lt)(F(set)(0), F(abs)(x)), one, x);
}
SQ_HOT SQ_V F(rsqrt)(SQ_V x) { return F(set)(1) / F(sqrt)(x); }

/* Scalar primitives: what vecmath_f32.h and vecmath_f64.h are made of, for one float and one double. See vecmath.h.
 *
 * min2(a, b) is `a < b ? a : b` and max2(a, b) `a > b ? a : b`: both give b where one of them is NaN. sar is an arithmetic shift to
 * the right, signed(u) the value of bits read as a whole number with sign, scale2(p, t) is p * 2^n with one rounding, where
 * t = n + 1.5 * 2^23 (2^52) is what rounding by addition left behind; scale1 is the same for a normal result.
 */
#if defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__) /* Clang has not the first two */
#define SQ_FMA 1
SQ_HOT float sq_fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
SQ_HOT double sq_fma_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
#define SQ_FMA 0
SQ_HOT float sq_fma_f32(float a, float b, float c) { return a * b + c; }
SQ_HOT double sq_fma_f64(double a, double b, double c) { return a * b + c; }
#endif

#define SQ_SCALAR(T, U, S, X, fn) \
    SQ_HOT T sq_set_##X(T c) { return c; } \
    SQ_HOT T sq_load_##X(const T *p) { return *p; } \
    SQ_HOT void sq_store_##X(T *p, T v) { *p = v; } \
    SQ_HOT U sq_bits_##X(T x) { U u; __builtin_memcpy(&u, &x, sizeof u); return u; } \
    SQ_HOT T sq_val_##X(U u) { T x; __builtin_memcpy(&x, &u, sizeof x); return x; } \
    SQ_HOT U sq_sar_##X(U u, int n) { return (U)((S)u >> n); } \
    SQ_HOT U sq_useti_##X(U u) { return u; } \
    SQ_HOT int sq_lt_##X(T a, T b) { return a < b; } \
    SQ_HOT int sq_le_##X(T a, T b) { return a <= b; } \
    SQ_HOT int sq_eq_##X(T a, T b) { return a == b; } \
    SQ_HOT int sq_isnan_##X(T a) { return a != a; } \
    SQ_HOT int sq_not_##X(int m) { return !m; } \
    SQ_HOT int sq_any_##X(int m) { return m; } \
    SQ_HOT int sq_nonzero_##X(U u) { return u != 0; } \
    SQ_HOT T sq_sel_##X(int m, T a, T b) { return m ? a : b; } \
    SQ_HOT T sq_min2_##X(T a, T b) { return a < b ? a : b; } \
    SQ_HOT T sq_max2_##X(T a, T b) { return a > b ? a : b; } \
    SQ_HOT T sq_sqrt_##X(T x) { return __builtin_sqrt##fn(x); } \
    SQ_HOT T sq_floor_##X(T x) { return __builtin_floor##fn(x); } \
    SQ_HOT T sq_ceil_##X(T x) { return __builtin_ceil##fn(x); } \
    SQ_HOT T sq_trunc_##X(T x) { return __builtin_trunc##fn(x); } \
    SQ_HOT T sq_round_##X(T x) { return __builtin_rint##fn(x); }
SQ_SCALAR(float, uint32_t, int32_t, f32, f)
SQ_SCALAR(double, uint64_t, int64_t, f64, )
#undef SQ_SCALAR

SQ_HOT float sq_signed_f32(uint32_t u) { return (float)(int32_t)u; }
/* x = m 2^k with 0.75 <= m < 1.5, for positive and finite x. */
SQ_HOT float sq_log_split_f32(float x, float *k) {
    int small = sq_lt_f32(x, sq_set_f32(0x1p-126f));
    uint32_t i = sq_bits_f32(sq_sel_f32(small, x * 0x1p23f, x)) + 0x00400000u;
    *k = sq_signed_f32(sq_sar_f32(i, 23)) - sq_sel_f32(small, sq_set_f32(150.0f), sq_set_f32(127.0f));
    return sq_val_f32((i & 0x007FFFFFu) + 0x3F400000u);
}
/* y = log(u) made right for special u: -inf at 0, NaN below, x itself where it is infinite or NaN. */
SQ_HOT float sq_log_special_f32(float y, float u, float x) {
    y = sq_sel_f32(sq_lt_f32(x, sq_set_f32(__builtin_inff())), y, x);
    float low = sq_sel_f32(sq_eq_f32(u, sq_set_f32(0.0f)), sq_set_f32(-__builtin_inff()), sq_set_f32(__builtin_nanf("")));
    return sq_sel_f32(sq_le_f32(u, sq_set_f32(0.0f)), low, y);
}
SQ_HOT float sq_scale2_f32(float p, float t) {
    uint32_t n = sq_bits_f32(t) - 0x4B400000u, half = sq_sar_f32(n, 1);
    return p * sq_val_f32((half + 127u) << 23) * sq_val_f32((n - half + 127u) << 23);
}
SQ_HOT double sq_scale2_f64(double p, double t) {
    uint64_t n = sq_bits_f64(t) - 0x4338000000000000u, half = sq_sar_f64(n, 1);
    return p * sq_val_f64((half + 1023u) << 52) * sq_val_f64((n - half + 1023u) << 52);
}
SQ_HOT float sq_scale1_f32(float p, float t) { return p * sq_val_f32((sq_bits_f32(t) << 23) + 0x3F800000u); }
SQ_HOT double sq_scale1_f64(double p, double t) { return p * sq_val_f64((sq_bits_f64(t) << 52) + 0x3FF0000000000000u); }
/* a * b - p for p = a * b rounded: the rounding error of a product, exactly. */
SQ_HOT double sq_mulerr_f64(double a, double b, double p) {
#if SQ_FMA
    return __builtin_fma(a, b, -p);
#else
    double ta = a * 134217729.0, tb = b * 134217729.0;
    double ah = ta - (ta - a), bh = tb - (tb - b), al = a - ah, bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

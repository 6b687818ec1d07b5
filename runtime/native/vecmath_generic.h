/* Primitives on 16-byte vectors in GCC's and Clang's vector extension, for any machine. See vecmath.h and vecmath_scalar.h. */
#define SQ_N32 4
#define SQ_N64 2
typedef float sq_v32 __attribute__((vector_size(16)));
typedef double sq_v64 __attribute__((vector_size(16)));
typedef uint32_t sq_u32v __attribute__((vector_size(16)));
typedef uint64_t sq_u64v __attribute__((vector_size(16)));
typedef int32_t sq_m32 __attribute__((vector_size(16)));
typedef int64_t sq_m64 __attribute__((vector_size(16)));

#define SQ_LANES(X, V, N, f, s) \
    SQ_HOT V sq_##f##_##X(V x) { V r; for (int i = 0; i < N; i++) r[i] = sq_##f##_##s(x[i]); return r; }
#define SQ_GENERIC_V(X, s, T, V, U, M, S, K, N) \
    SQ_HOT V sq_set_##X(T c) { V r; for (int i = 0; i < N; i++) r[i] = c; return r; } \
    SQ_HOT U sq_useti_##X(K u) { U r; for (int i = 0; i < N; i++) r[i] = u; return r; } \
    SQ_HOT V sq_load_##X(const T *p) { V v; __builtin_memcpy(&v, p, sizeof v); return v; } \
    SQ_HOT void sq_store_##X(T *p, V v) { __builtin_memcpy(p, &v, sizeof v); } \
    SQ_HOT V sq_load_part_##X(const T *p, int n) { V v = {0}; for (int i = 0; i < N; i++) if (i < n) v[i] = p[i]; return v; } \
    SQ_HOT void sq_store_part_##X(T *p, int n, V v) { for (int i = 0; i < N; i++) if (i < n) p[i] = v[i]; } \
    SQ_HOT U sq_bits_##X(V x) { return (U)x; } \
    SQ_HOT V sq_val_##X(U u) { return (V)u; } \
    SQ_HOT U sq_sar_##X(U u, int n) { return (U)((M)u >> n); } \
    SQ_HOT V sq_fma_##X(V a, V b, V c) { V r; for (int i = 0; i < N; i++) r[i] = sq_fma_##s(a[i], b[i], c[i]); return r; } \
    SQ_HOT M sq_lt_##X(V a, V b) { return (M)(a < b); } \
    SQ_HOT M sq_le_##X(V a, V b) { return (M)(a <= b); } \
    SQ_HOT M sq_eq_##X(V a, V b) { return (M)(a == b); } \
    SQ_HOT M sq_isnan_##X(V a) { return (M)(a != a); } \
    SQ_HOT M sq_not_##X(M m) { return ~m; } \
    SQ_HOT int sq_any_##X(M m) { S r = 0; for (int i = 0; i < N; i++) r |= m[i]; return r != 0; } \
    SQ_HOT M sq_nonzero_##X(U u) { return (M)(u != (U){0}); } \
    SQ_HOT V sq_sel_##X(M m, V a, V b) { return (V)(((U)m & (U)a) | (~(U)m & (U)b)); } \
    SQ_HOT V sq_min2_##X(V a, V b) { return sq_sel_##X((M)(a < b), a, b); } \
    SQ_HOT V sq_max2_##X(V a, V b) { return sq_sel_##X((M)(a > b), a, b); } \
    SQ_LANES(X, V, N, sqrt, s) \
    SQ_LANES(X, V, N, floor, s) \
    SQ_LANES(X, V, N, ceil, s) \
    SQ_LANES(X, V, N, trunc, s) \
    SQ_LANES(X, V, N, round, s)
SQ_GENERIC_V(v32, f32, float, sq_v32, sq_u32v, sq_m32, int32_t, uint32_t, SQ_N32)
SQ_GENERIC_V(v64, f64, double, sq_v64, sq_u64v, sq_m64, int64_t, uint64_t, SQ_N64)
#undef SQ_GENERIC_V
#undef SQ_LANES

SQ_HOT sq_v32 sq_signed_v32(sq_u32v u) { return __builtin_convertvector((sq_m32)u, sq_v32); }
SQ_HOT sq_v32 sq_log_split_v32(sq_v32 x, sq_v32 *k) {
    sq_m32 small = sq_lt_v32(x, sq_set_v32(0x1p-126f));
    sq_u32v i = sq_bits_v32(sq_sel_v32(small, x * 0x1p23f, x)) + 0x00400000u;
    *k = sq_signed_v32(sq_sar_v32(i, 23)) - sq_sel_v32(small, sq_set_v32(150.0f), sq_set_v32(127.0f));
    return sq_val_v32((i & 0x007FFFFFu) + 0x3F400000u);
}
SQ_HOT sq_v32 sq_log_special_v32(sq_v32 y, sq_v32 u, sq_v32 x) {
    y = sq_sel_v32(sq_lt_v32(x, sq_set_v32(__builtin_inff())), y, x);
    sq_v32 low = sq_sel_v32(sq_eq_v32(u, sq_set_v32(0.0f)), sq_set_v32(-__builtin_inff()), sq_set_v32(__builtin_nanf("")));
    return sq_sel_v32(sq_le_v32(u, sq_set_v32(0.0f)), low, y);
}
SQ_HOT sq_v32 sq_scale2_v32(sq_v32 p, sq_v32 t) {
    sq_u32v n = (sq_u32v)t - 0x4B400000u, half = sq_sar_v32(n, 1);
    return p * (sq_v32)((half + 127u) << 23) * (sq_v32)((n - half + 127u) << 23);
}
SQ_HOT sq_v64 sq_scale2_v64(sq_v64 p, sq_v64 t) {
    sq_u64v n = (sq_u64v)t - 0x4338000000000000u, half = sq_sar_v64(n, 1);
    return p * (sq_v64)((half + 1023u) << 52) * (sq_v64)((n - half + 1023u) << 52);
}
SQ_HOT sq_v32 sq_scale1_v32(sq_v32 p, sq_v32 t) { return p * (sq_v32)(((sq_u32v)t << 23) + 0x3F800000u); }
SQ_HOT sq_v64 sq_scale1_v64(sq_v64 p, sq_v64 t) { return p * (sq_v64)(((sq_u64v)t << 52) + 0x3FF0000000000000u); }
SQ_HOT sq_v64 sq_mulerr_v64(sq_v64 a, sq_v64 b, sq_v64 p) {
    return (sq_v64){sq_mulerr_f64(a[0], b[0], p[0]), sq_mulerr_f64(a[1], b[1], p[1])};
}

SQ_HOT sq_v64 sq_wide_low(sq_v32 x) { return (sq_v64){(double)x[0], (double)x[1]}; }
SQ_HOT sq_v64 sq_wide_high(sq_v32 x) { return (sq_v64){(double)x[2], (double)x[3]}; }
SQ_HOT sq_v32 sq_narrow(sq_v64 low, sq_v64 high) {
    return (sq_v32){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
}

/* Primitives on 32-byte vectors: AVX2 and FMA. See vecmath.h and vecmath_scalar.h. */
#include <immintrin.h>

#define SQ_N32 8
#define SQ_N64 4
typedef __m256 sq_v32;
typedef __m256d sq_v64;
typedef uint32_t sq_u32v __attribute__((vector_size(32)));
typedef uint64_t sq_u64v __attribute__((vector_size(32)));
typedef int32_t sq_m32 __attribute__((vector_size(32)));
typedef int64_t sq_m64 __attribute__((vector_size(32)));

SQ_HOT sq_m32 sq_first_v32(int n) { return (sq_m32){0, 1, 2, 3, 4, 5, 6, 7} < n; }
SQ_HOT sq_m64 sq_first_v64(int n) { return (sq_m64){0, 1, 2, 3} < (int64_t)n; }

#define SQ_AVX2(X, T, V, U, M, K, ps) \
    SQ_HOT V sq_set_##X(T c) { return _mm256_set1_##ps(c); } \
    SQ_HOT V sq_load_##X(const T *p) { return _mm256_loadu_##ps(p); } \
    SQ_HOT void sq_store_##X(T *p, V v) { _mm256_storeu_##ps(p, v); } \
    SQ_HOT V sq_load_part_##X(const T *p, int n) { return _mm256_maskload_##ps(p, (__m256i)sq_first_##X(n)); } \
    SQ_HOT void sq_store_part_##X(T *p, int n, V v) { _mm256_maskstore_##ps(p, (__m256i)sq_first_##X(n), v); } \
    SQ_HOT U sq_bits_##X(V x) { return (U)x; } \
    SQ_HOT V sq_val_##X(U u) { return (V)u; } \
    SQ_HOT V sq_fma_##X(V a, V b, V c) { return _mm256_fmadd_##ps(a, b, c); } \
    SQ_HOT M sq_lt_##X(V a, V b) { return (M)_mm256_cmp_##ps(a, b, _CMP_LT_OQ); } \
    SQ_HOT M sq_le_##X(V a, V b) { return (M)_mm256_cmp_##ps(a, b, _CMP_LE_OQ); } \
    SQ_HOT M sq_eq_##X(V a, V b) { return (M)_mm256_cmp_##ps(a, b, _CMP_EQ_OQ); } \
    SQ_HOT M sq_isnan_##X(V a) { return (M)_mm256_cmp_##ps(a, a, _CMP_UNORD_Q); } \
    SQ_HOT M sq_not_##X(M m) { return ~m; } \
    SQ_HOT int sq_any_##X(M m) { return _mm256_movemask_##ps((V)m) != 0; } \
    SQ_HOT M sq_nonzero_##X(U u) { return (M)(u != 0); } \
    SQ_HOT V sq_sel_##X(M m, V a, V b) { return _mm256_blendv_##ps(b, a, (V)m); } \
    SQ_HOT V sq_min2_##X(V a, V b) { return _mm256_min_##ps(a, b); } \
    SQ_HOT V sq_max2_##X(V a, V b) { return _mm256_max_##ps(a, b); } \
    SQ_HOT V sq_sqrt_##X(V x) { return _mm256_sqrt_##ps(x); } \
    SQ_HOT V sq_floor_##X(V x) { return _mm256_round_##ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); } \
    SQ_HOT V sq_ceil_##X(V x) { return _mm256_round_##ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); } \
    SQ_HOT V sq_trunc_##X(V x) { return _mm256_round_##ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); } \
    SQ_HOT V sq_round_##X(V x) { return _mm256_round_##ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); } \
    SQ_HOT U sq_useti_##X(K u) { return (U){0} + u; }
SQ_AVX2(v32, float, sq_v32, sq_u32v, sq_m32, uint32_t, ps)
SQ_AVX2(v64, double, sq_v64, sq_u64v, sq_m64, uint64_t, pd)
#undef SQ_AVX2

SQ_HOT sq_u32v sq_sar_v32(sq_u32v u, int n) { return (sq_u32v)_mm256_srai_epi32((__m256i)u, n); }
SQ_HOT sq_u64v sq_sar_v64(sq_u64v u, int n) { return (sq_u64v)((sq_m64)u >> n); }
SQ_HOT sq_v32 sq_signed_v32(sq_u32v u) { return _mm256_cvtepi32_ps((__m256i)u); }
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
    sq_u64v n = (sq_u64v)t - 0x4338000000000000u, half = (sq_u64v)_mm256_srai_epi32((__m256i)n, 1); /* the low 32 bits count */
    return p * (sq_v64)((half + 1023u) << 52) * (sq_v64)((n - half + 1023u) << 52);
}
SQ_HOT sq_v32 sq_scale1_v32(sq_v32 p, sq_v32 t) { return p * (sq_v32)(((sq_u32v)t << 23) + 0x3F800000u); }
SQ_HOT sq_v64 sq_scale1_v64(sq_v64 p, sq_v64 t) { return p * (sq_v64)(((sq_u64v)t << 52) + 0x3FF0000000000000u); }
SQ_HOT sq_v64 sq_mulerr_v64(sq_v64 a, sq_v64 b, sq_v64 p) { return _mm256_fmsub_pd(a, b, p); }

SQ_HOT sq_v64 sq_wide_low(sq_v32 x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
SQ_HOT sq_v64 sq_wide_high(sq_v32 x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
SQ_HOT sq_v32 sq_narrow(sq_v64 low, sq_v64 high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}

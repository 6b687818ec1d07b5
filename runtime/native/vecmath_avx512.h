/* Primitives on 64-byte vectors: AVX-512 F, BW, DQ and VL. See vecmath.h and vecmath_scalar.h. */
#include <immintrin.h>

#define SQ_N32 16
#define SQ_N64 8
typedef __m512 sq_v32;
typedef __m512d sq_v64;
typedef uint32_t sq_u32v __attribute__((vector_size(64)));
typedef uint64_t sq_u64v __attribute__((vector_size(64)));
typedef __mmask16 sq_m32;
typedef __mmask8 sq_m64;

#define SQ_AVX512(X, T, V, U, M, K, ps, epi, dp) \
    SQ_HOT V sq_set_##X(T c) { return _mm512_set1_##ps(c); } \
    SQ_HOT V sq_load_##X(const T *p) { return _mm512_loadu_##ps(p); } \
    SQ_HOT void sq_store_##X(T *p, V v) { _mm512_storeu_##ps(p, v); } \
    SQ_HOT V sq_load_part_##X(const T *p, int n) { return _mm512_maskz_loadu_##ps((M)((1u << n) - 1u), p); } \
    SQ_HOT void sq_store_part_##X(T *p, int n, V v) { _mm512_mask_storeu_##ps(p, (M)((1u << n) - 1u), v); } \
    SQ_HOT U sq_bits_##X(V x) { return (U)x; } \
    SQ_HOT V sq_val_##X(U u) { return (V)u; } \
    SQ_HOT V sq_fma_##X(V a, V b, V c) { return _mm512_fmadd_##ps(a, b, c); } \
    SQ_HOT M sq_lt_##X(V a, V b) { return _mm512_cmp_##ps##_mask(a, b, _CMP_LT_OQ); } \
    SQ_HOT M sq_le_##X(V a, V b) { return _mm512_cmp_##ps##_mask(a, b, _CMP_LE_OQ); } \
    SQ_HOT M sq_eq_##X(V a, V b) { return _mm512_cmp_##ps##_mask(a, b, _CMP_EQ_OQ); } \
    SQ_HOT M sq_isnan_##X(V a) { return _mm512_cmp_##ps##_mask(a, a, _CMP_UNORD_Q); } \
    SQ_HOT M sq_not_##X(M m) { return (M)~m; } \
    SQ_HOT int sq_any_##X(M m) { return m != 0; } \
    SQ_HOT M sq_nonzero_##X(U u) { return _mm512_test_##epi##_mask((__m512i)u, (__m512i)u); } \
    SQ_HOT V sq_sel_##X(M m, V a, V b) { return _mm512_mask_blend_##ps(m, b, a); } \
    SQ_HOT V sq_min2_##X(V a, V b) { return _mm512_min_##ps(a, b); } \
    SQ_HOT V sq_max2_##X(V a, V b) { return _mm512_max_##ps(a, b); } \
    SQ_HOT V sq_sqrt_##X(V x) { return _mm512_sqrt_##ps(x); } \
    SQ_HOT V sq_floor_##X(V x) { return _mm512_roundscale_##ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); } \
    SQ_HOT V sq_ceil_##X(V x) { return _mm512_roundscale_##ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); } \
    SQ_HOT V sq_trunc_##X(V x) { return _mm512_roundscale_##ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); } \
    SQ_HOT V sq_round_##X(V x) { return _mm512_roundscale_##ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); } \
    SQ_HOT U sq_useti_##X(K u) { return (U)_mm512_set1_##dp((long long)u); }
SQ_AVX512(v32, float, sq_v32, sq_u32v, sq_m32, uint32_t, ps, epi32, epi32)
SQ_AVX512(v64, double, sq_v64, sq_u64v, sq_m64, uint64_t, pd, epi64, epi64)
#undef SQ_AVX512

SQ_HOT sq_u32v sq_sar_v32(sq_u32v u, int n) { return (sq_u32v)_mm512_srai_epi32((__m512i)u, (unsigned)n); }
SQ_HOT sq_u64v sq_sar_v64(sq_u64v u, int n) { return (sq_u64v)_mm512_srai_epi64((__m512i)u, (unsigned)n); }
SQ_HOT sq_v32 sq_signed_v32(sq_u32v u) { return _mm512_cvtepi32_ps((__m512i)u); }
SQ_HOT sq_v32 sq_log_split_v32(sq_v32 x, sq_v32 *k) {
    sq_v32 m = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
    *k = _mm512_getexp_ps(x) - _mm512_getexp_ps(m);
    return m;
}
SQ_HOT sq_v32 sq_log_special_v32(sq_v32 y, sq_v32 u, sq_v32 x) {
    (void)x; /* by classes of u, four bits each: NaN 0, 1; zero 2; one 3; -inf 4; +inf 5; negative 6; positive 7 */
    return _mm512_fixupimm_ps(y, u, _mm512_set1_epi32(0x03530422), 0);
}
SQ_HOT sq_v32 sq_scale2_v32(sq_v32 p, sq_v32 t) { return _mm512_scalef_ps(p, t - 12582912.0f); }
SQ_HOT sq_v64 sq_scale2_v64(sq_v64 p, sq_v64 t) { return _mm512_scalef_pd(p, t - 6755399441055744.0); }
SQ_HOT sq_v32 sq_scale1_v32(sq_v32 p, sq_v32 t) { return sq_scale2_v32(p, t); }
SQ_HOT sq_v64 sq_scale1_v64(sq_v64 p, sq_v64 t) { return sq_scale2_v64(p, t); }
SQ_HOT sq_v64 sq_mulerr_v64(sq_v64 a, sq_v64 b, sq_v64 p) { return _mm512_fmsub_pd(a, b, p); }

/* The halves of a float vector in double, and back. */
SQ_HOT sq_v64 sq_wide_low(sq_v32 x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
SQ_HOT sq_v64 sq_wide_high(sq_v32 x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
SQ_HOT sq_v32 sq_narrow(sq_v64 low, sq_v64 high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

/* Storage in 16 bits, arithmetic in fp32: bf16 and f16 (IEEE binary16), as bits in uint16_t. See vecmath.h.
 *
 * To fp32 exactly; from fp32 to nearest, ties to even, with denormals (which the machine's own bf16 conversions flush). NaN becomes
 * a quiet NaN of the same sign. What is too large becomes infinity.
 */

SQ_HOT float sq_from_bf16_f32(uint16_t h) { return sq_val_f32((uint32_t)h << 16); }
SQ_HOT uint16_t sq_to_bf16_f32(float x) {
    uint32_t u = sq_bits_f32(x);
    return (uint16_t)(x != x ? (u >> 16) | 0x40u : (u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
}

#if defined(__F16C__) && !defined(SQ_GENERIC)
#include <immintrin.h>
SQ_HOT float sq_from_f16_f32(uint16_t h) { return _cvtsh_ss(h); }
SQ_HOT uint16_t sq_to_f16_f32(float x) { return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); }
#else
SQ_HOT float sq_from_f16_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, u = (uint32_t)(h & 0x7FFFu) << 13, e = u & 0x0F800000u;
    if (e == 0x0F800000u) u += 0x70000000u | ((u & 0x007FFFFFu) ? 0x00400000u & ~u : 0u); /* infinity; NaN made quiet */
    else if (e == 0) u = sq_bits_f32(sq_val_f32(u + 0x38800000u) - 0x1p-14f);
    else u += 0x38000000u;
    return sq_val_f32(u | sign);
}
SQ_HOT uint16_t sq_to_f16_f32(float x) {
    uint32_t u = sq_bits_f32(x), sign = u >> 16 & 0x8000u, a = u & 0x7FFFFFFFu, r;
    if (a > 0x7F800000u) r = 0x7E00u | (a >> 13 & 0x3FFu);
    else if (a >= 0x477FF000u) r = 0x7C00u;
    else if (a < 0x38800000u) r = sq_bits_f32(sq_val_f32(a) + 0.5f) - 0x3F000000u; /* the sum rounds to 2^-24 */
    else r = (a - 0x38000000u + 0xFFFu + (a >> 13 & 1u)) >> 13;
    return (uint16_t)(r | sign);
}
#endif

typedef uint16_t sq_u16v __attribute__((vector_size(2 * SQ_N32)));

SQ_HOT sq_u16v sq_load_u16(const uint16_t *p) { sq_u16v h; __builtin_memcpy(&h, p, sizeof h); return h; }
SQ_HOT void sq_store_u16(uint16_t *p, sq_u16v h) { __builtin_memcpy(p, &h, sizeof h); }
#if SQ_N32 == 16
SQ_HOT sq_u16v sq_load_part_u16(const uint16_t *p, int n) { return (sq_u16v)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1u), p); }
SQ_HOT void sq_store_part_u16(uint16_t *p, int n, sq_u16v h) {
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1u), (__m256i)h);
}
#else
SQ_HOT sq_u16v sq_load_part_u16(const uint16_t *p, int n) {
    uint16_t a[SQ_N32] = {0};
    for (int i = 0; i < SQ_N32; i++) if (i < n) a[i] = p[i];
    return sq_load_u16(a);
}
SQ_HOT void sq_store_part_u16(uint16_t *p, int n, sq_u16v h) {
    uint16_t a[SQ_N32];
    sq_store_u16(a, h);
    for (int i = 0; i < SQ_N32; i++) if (i < n) p[i] = a[i];
}
#endif

SQ_HOT sq_v32 sq_from_bf16_v32(sq_u16v h) { return sq_val_v32(__builtin_convertvector(h, sq_u32v) << 16); }
SQ_HOT sq_u16v sq_to_bf16_v32(sq_v32 x) {
    sq_u32v u = sq_bits_v32(x), r = u + 0x7FFFu + (u >> 16 & 1u);
    r = sq_bits_v32(sq_sel_v32(sq_isnan_v32(x), sq_val_v32(u | 0x400000u), sq_val_v32(r)));
    return __builtin_convertvector(r >> 16, sq_u16v);
}
#if SQ_N32 == 16
SQ_HOT sq_v32 sq_from_f16_v32(sq_u16v h) { return _mm512_cvtph_ps((__m256i)h); }
SQ_HOT sq_u16v sq_to_f16_v32(sq_v32 x) { return (sq_u16v)_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
#elif SQ_N32 == 8 && defined(__F16C__)
SQ_HOT sq_v32 sq_from_f16_v32(sq_u16v h) { return _mm256_cvtph_ps((__m128i)h); }
SQ_HOT sq_u16v sq_to_f16_v32(sq_v32 x) { return (sq_u16v)_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT); }
#else
SQ_FN sq_v32 sq_from_f16_v32(sq_u16v h) { sq_v32 r; for (int i = 0; i < SQ_N32; i++) r[i] = sq_from_f16_f32(h[i]); return r; }
SQ_FN sq_u16v sq_to_f16_v32(sq_v32 x) { sq_u16v r; for (int i = 0; i < SQ_N32; i++) r[i] = sq_to_f16_f32(x[i]); return r; }
#endif

#define SQ_STORAGE(K) \
    SQ_HOT sq_v32 sq_load_##K##_v32(const uint16_t *p) { return sq_from_##K##_v32(sq_load_u16(p)); } \
    SQ_HOT sq_v32 sq_load_part_##K##_v32(const uint16_t *p, int n) { return sq_from_##K##_v32(sq_load_part_u16(p, n)); } \
    SQ_HOT void sq_store_##K##_v32(uint16_t *p, sq_v32 v) { sq_store_u16(p, sq_to_##K##_v32(v)); } \
    SQ_HOT void sq_store_part_##K##_v32(uint16_t *p, int n, sq_v32 v) { sq_store_part_u16(p, n, sq_to_##K##_v32(v)); }
SQ_STORAGE(bf16)
SQ_STORAGE(f16)
#undef SQ_STORAGE

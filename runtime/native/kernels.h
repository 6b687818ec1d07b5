/* What generated kernels stand on: one floating type for all arithmetic, what lies in memory, scratch, sums over lanes.
 *
 * A unit defines SEQC_REAL (32 or 64) and KERNEL_sNUMBER for each slot: plain (R), bf16, f16, or pair (every second of numbers of
 * type R: the real or the imaginary parts of complex ones; for operands alone), then includes this.
 *
 *     R, V, M, W          the floating type, its vector, the mask of a vector's lanes, the number of lanes
 *     VF(name), SF(name)  a function of vecmath.h for V and for R
 *     TY, LD, LDP, LD1, ST, STP, ST1 (slot, ...)
 *                         the type in memory of a slot; load and store of a vector, of its first n lanes, of one number
 *     FORESEE             asks for a row of a later step
 *     FIRST(n)            the mask of the first n lanes
 *     LANES_SUM(v)        all lanes, halves first; LANES_SUM_ROWS(p) the same for W vectors at p at once, in one vector
 *     gemm, DOT           products with weights (dense.h)
 *     scratch_of(n, c)    memory for n numbers of which the first c are 0
 */
#ifndef SQ_KERNELS_H
#define SQ_KERNELS_H

#include "vecmath.h"
#include <stdlib.h>
#include <string.h>

/* The floating type of all arithmetic. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if SEQC_REAL == 64
typedef double R;
typedef sq_v64 V;
typedef sq_m64 M;
#define W SQ_N64
#define VF(name) sq_##name##_v64
#define SF(name) sq_##name##_f64
#else
typedef float R;
typedef sq_v32 V;
typedef sq_m32 M;
#define W SQ_N32
#define VF(name) sq_##name##_v32
#define SF(name) sq_##name##_f32
#endif
#define LANES_SUM(v) VF(sum)(v)
#define LANES_MAX(v) VF(hmax)(v)
#define LANES_MIN(v) VF(hmin)(v)

/* A row some steps ahead (`step`: elements between rows, negative backwards in time), of which a piece is `n` long. Rows that follow
 * each other without a gap the machine foresees by itself; of longer ones each piece is on another page. */
#define AHEAD 2
#define FORESEE(write, q, step, n) \
    for (int64_t i_ = 0; i_ < (n) * (int64_t)sizeof *(q); i_ += 64) \
        __builtin_prefetch((const void *)((uintptr_t)(q) + (uintptr_t)(AHEAD * (step) * (int64_t)sizeof *(q)) + (uintptr_t)i_), write)

/* What lies in memory: R itself, or 16 bits. */
#define TY(k) JOIN(TY_, k)
#define LD(k, p) JOIN(LD_, k)(p)
#define LDP(k, p, n) JOIN(LDP_, k)(p, n)
#define LD1(k, p) JOIN(LD1_, k)(p)
#define ST(k, p, v) JOIN(ST_, k)(p, v)
#define STP(k, p, n, v) JOIN(STP_, k)(p, n, v)
#define ST1(k, p, v) JOIN(ST1_, k)(p, v)
#define TY_plain R
#define LD_plain(p) VF(load)(p)
#define LDP_plain(p, n) VF(load_part)(p, n)
#define LD1_plain(p) (*(p))
#define ST_plain(p, v) VF(store)(p, v)
#define STP_plain(p, n, v) VF(store_part)(p, n, v)
#define ST1_plain(p, v) (*(p) = (v))
#define TY_bf16 uint16_t
#define LD_bf16(p) sq_load_bf16_v32(p)
#define LDP_bf16(p, n) sq_load_part_bf16_v32(p, n)
#define LD1_bf16(p) sq_from_bf16_f32(*(p))
#define ST_bf16(p, v) sq_store_bf16_v32(p, v)
#define STP_bf16(p, n, v) sq_store_part_bf16_v32(p, n, v)
#define ST1_bf16(p, v) (*(p) = sq_to_bf16_f32(v))
#define TY_f16 uint16_t
#define LD_f16(p) sq_load_f16_v32(p)
#define LDP_f16(p, n) sq_load_part_f16_v32(p, n)
#define LD1_f16(p) sq_from_f16_f32(*(p))
#define ST_f16(p, v) sq_store_f16_v32(p, v)
#define STP_f16(p, n, v) sq_store_part_f16_v32(p, n, v)
#define ST1_f16(p, v) (*(p) = sq_to_f16_f32(v))

/* Every second number: W of them lie in 2 W - 1, beyond which nothing is touched. */
typedef struct { R v, between; } sq_pair;
#define TY_pair sq_pair
#define LD_pair(p) sq_load_pair((const R *)(p))
#define LDP_pair(p, n) sq_load_part_pair(p, n)
#define LD1_pair(p) ((p)->v)
SQ_FN V sq_load_part_pair(const sq_pair *p, int n) {
    R a[W] = {0};
    for (int i = 0; i < n; i++) a[i] = p[i].v;
    return VF(load)(a);
}
#if defined(__clang__) || __GNUC__ >= 12
#define EVEN_2(a, b) __builtin_shufflevector(a, b, 0, 3)
#define EVEN_4(a, b) __builtin_shufflevector(a, b, 0, 2, 5, 7)
#define EVEN_8(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 9, 11, 13, 15)
#define EVEN_16(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31)
SQ_HOT V sq_load_pair(const R *p) {
    const V a = VF(load)(p), b = VF(load)(p + W - 1);
    return JOIN(EVEN_, W)(a, b);
}
#else
SQ_HOT V sq_load_pair(const R *p) { return VF(load_strided)(p, 2, W); }
#endif

SQ_FN M FIRST(int n) {
    R lane[W];
    for (int i = 0; i < (int)W; i++) lane[i] = (R)i;
    return VF(lt)(VF(load)(lane), VF(set)((R)n));
}

/* Memory for one task, of which the first `clear` numbers are 0. */
SQ_FN R *scratch_of(int64_t numbers, int64_t clear) {
    void *p = 0;
    if (posix_memalign(&p, 64, (size_t)(numbers > 0 ? numbers : 1) * sizeof(R) + 64)) return 0;
    memset(p, 0, (size_t)clear * sizeof(R));
    return p;
}

/* The same, all 0, never empty. */
SQ_FN R *zeros_of(int64_t numbers) { return scratch_of(numbers, numbers > 0 ? numbers : 1); }

/* Halves first: two vectors become one that holds the half sums of both, until one vector is left. */
#if defined(__clang__) || __GNUC__ >= 12
#define LANES_SUM_ROWS_2(p) ({ V z[2]; \
    for (int i = 0; i < 2; i++) z[i] = VF(load)((p) + i * 2); \
    for (int i = 0; i < 1; i++) z[i] = __builtin_shufflevector(z[i], z[i + 1], 0, 2) \
        + __builtin_shufflevector(z[i], z[i + 1], 1, 3); \
    z[0]; })
#define LANES_SUM_ROWS_4(p) ({ V z[4]; \
    for (int i = 0; i < 4; i++) z[i] = VF(load)((p) + i * 4); \
    for (int i = 0; i < 2; i++) z[i] = __builtin_shufflevector(z[i], z[i + 2], 0, 1, 4, 5) \
        + __builtin_shufflevector(z[i], z[i + 2], 2, 3, 6, 7); \
    for (int i = 0; i < 1; i++) z[i] = __builtin_shufflevector(z[i], z[i + 1], 0, 4, 2, 6) \
        + __builtin_shufflevector(z[i], z[i + 1], 1, 5, 3, 7); \
    z[0]; })
#define LANES_SUM_ROWS_8(p) ({ V z[8]; \
    for (int i = 0; i < 8; i++) z[i] = VF(load)((p) + i * 8); \
    for (int i = 0; i < 4; i++) z[i] = __builtin_shufflevector(z[i], z[i + 4], 0, 1, 2, 3, 8, 9, 10, 11) \
        + __builtin_shufflevector(z[i], z[i + 4], 4, 5, 6, 7, 12, 13, 14, 15); \
    for (int i = 0; i < 2; i++) z[i] = __builtin_shufflevector(z[i], z[i + 2], 0, 1, 8, 9, 4, 5, 12, 13) \
        + __builtin_shufflevector(z[i], z[i + 2], 2, 3, 10, 11, 6, 7, 14, 15); \
    for (int i = 0; i < 1; i++) z[i] = __builtin_shufflevector(z[i], z[i + 1], 0, 8, 2, 10, 4, 12, 6, 14) \
        + __builtin_shufflevector(z[i], z[i + 1], 1, 9, 3, 11, 5, 13, 7, 15); \
    z[0]; })
#define LANES_SUM_ROWS_16(p) ({ V z[16]; \
    for (int i = 0; i < 16; i++) z[i] = VF(load)((p) + i * 16); \
    for (int i = 0; i < 8; i++) z[i] = __builtin_shufflevector(z[i], z[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) \
        + __builtin_shufflevector(z[i], z[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31); \
    for (int i = 0; i < 4; i++) z[i] = __builtin_shufflevector(z[i], z[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) \
        + __builtin_shufflevector(z[i], z[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31); \
    for (int i = 0; i < 2; i++) z[i] = __builtin_shufflevector(z[i], z[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) \
        + __builtin_shufflevector(z[i], z[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31); \
    for (int i = 0; i < 1; i++) z[i] = __builtin_shufflevector(z[i], z[i + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) \
        + __builtin_shufflevector(z[i], z[i + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31); \
    z[0]; })
#define LANES_SUM_ROWS(p) JOIN(LANES_SUM_ROWS_, W)(p)
#else
SQ_FN V LANES_SUM_ROWS(const R *p) {
    R a[W];
    for (int i = 0; i < (int)W; i++) a[i] = VF(sum)(VF(load)(p + i * W));
    return VF(load)(a);
}
#endif

#include "dense.h"

#endif

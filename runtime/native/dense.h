/* Products of a few rows with a packed weight, inside a loop over time. Included by kernels.h, which defines R, V, W, VF.
 *
 *     c[m, n] = sum over k of a[m, k] * weight[k, n]          m < rows, k < K, n < N
 *
 * The weight lies in panels of PANEL columns, [panel][k][PANEL], the last one filled up with zeros. c is written in whole vectors: its
 * rows have room for N rounded up to W. Each entry is one chain of fused multiply-adds in the order of k, whatever the number of
 * rows: the same bits come out however rows are cut into blocks.
 *
 * A weight stored in bf16 is multiplied in bf16 where the CPU can do that (AVX512-BF16): a's numbers are rounded too, sums stay in
 * float32, each over pairs of k in order. BF16_PRODUCTS(slot) says whether a slot's weight is. Its panels hold pairs:
 * [panel][k / 2][PANEL][2].
 */
#define PANEL (2 * (int64_t)W)
#if defined(__AVX512F__)
#define TILE_ROWS 8
#define TILE_VECTORS 16
#else
#define TILE_ROWS 4
#define TILE_VECTORS 8
#endif

/* How many numbers a packed weight takes. */
SQ_FN int64_t packed_size(int64_t K, int64_t N) { return (N + PANEL - 1) / PANEL * PANEL * K; }

/* `rows` x `panels` panels; both are literals where it is used. `ends`: vectors of c that there are from here on. */
static inline __attribute__((always_inline)) void tile(
    const int rows, const int panels, int64_t K, const R *restrict a, int64_t lda, const R *restrict b, int64_t next, R *restrict c,
    int64_t ldc, int64_t ends
) {
    V held[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 16
        for (int p = 0; p < 2 * panels; p++) held[m][p] = VF(set)((R)0);
    for (int64_t k = 0; k < K; k++) {
        V right[TILE_VECTORS];
#pragma GCC unroll 16
        for (int p = 0; p < 2 * panels; p++) right[p] = VF(load)(b + p / 2 * next + k * PANEL + p % 2 * W);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++) {
            const V left = VF(set)(a[m * lda + k]);
#pragma GCC unroll 16
            for (int p = 0; p < 2 * panels; p++) held[m][p] = VF(fma)(left, right[p], held[m][p]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 16
        for (int p = 0; p < 2 * panels; p++)
            if (p < ends) VF(store)(c + m * ldc + p * W, held[m][p]);
}

#define TILE_CASE(rows, panels) \
    case rows: tile(rows, panels, K, a, lda, b, next, c, ldc, ends); break;

/* All rows, all columns. */
SQ_FN __attribute__((noinline)) void gemm(
    int64_t rows, int64_t N, int64_t K, const R *a, int64_t lda, const R *packed, R *c, int64_t ldc
) {
    const int64_t next = PANEL * K, vectors = (N + W - 1) / W;
    const R *const a0 = a;
    R *const c0 = c;
    /* few rows: several panels at once, so that there are enough sums under way */
    const int together = rows == 1 ? 4 : rows <= 2 ? TILE_VECTORS / 4 : rows <= 4 ? TILE_VECTORS / 8 : 1;
    int64_t first = 0;
    for (int64_t at = 0; at < vectors; at += 2 * together, first += together) {
        const R *const b = packed + first * next;
        const int whole = vectors - at > 2 * (together - 1);
        for (int64_t m = 0; m < rows; m += TILE_ROWS) {
            const int64_t left = rows - m < TILE_ROWS ? rows - m : TILE_ROWS;
            a = a0 + m * lda, c = c0 + m * ldc + at * W;
            if (together == 1 || !whole) {
                for (int p = 0; p < together && at + 2 * p < vectors; p++) {
                    const int64_t ends = vectors - at - 2 * p;
                    const R *const b_ = b + p * next;
                    R *const c_ = c + p * PANEL;
                    switch (left) {
#define CASE(r) case r: tile(r, 1, K, a, lda, b_, next, c_, ldc, ends); break;
                        CASE(1) CASE(2) CASE(3) CASE(4)
#if TILE_ROWS == 8
                        CASE(5) CASE(6) CASE(7) CASE(8)
#endif
#undef CASE
                    }
                }
                continue;
            }
            const int64_t ends = vectors - at;
            switch (rows) {
                TILE_CASE(1, 4)
                TILE_CASE(2, TILE_VECTORS / 4)
#if TILE_ROWS == 8
                TILE_CASE(3, TILE_VECTORS / 8)
                TILE_CASE(4, TILE_VECTORS / 8)
#endif
            }
        }
    }
}
#undef TILE_CASE

#define BF16_plain 0
#define BF16_f16 0
#if defined(__AVX512BF16__) && SEQC_REAL == 32
#define BF16_bf16 1
#include <immintrin.h>

/* The rows of a in bf16, two numbers in 32 bits; an odd K is filled up with 0. */
SQ_FN void halve(int64_t K, const float *a, uint32_t *to) {
    int64_t k = 0;
    for (; k + 32 <= K; k += 32) {
        const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(a + k + 16), _mm512_loadu_ps(a + k));
        memcpy(to + k / 2, &both, 64);
    }
    for (; k < K; k += 2)
        to[k / 2] = sq_to_bf16_f32(a[k]) | (k + 1 < K ? (uint32_t)sq_to_bf16_f32(a[k + 1]) << 16 : 0);
}

static inline __attribute__((always_inline)) void tile_bf16(
    const int rows, int64_t pairs, const uint32_t *restrict a, int64_t lda, const uint32_t *restrict b, float *restrict c, int64_t ldc,
    int64_t ends
) {
    __m512 held[TILE_ROWS][2];
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++) held[m][0] = held[m][1] = _mm512_setzero_ps();
    for (int64_t k = 0; k < pairs; k++) {
        const __m512bh right0 = (__m512bh)_mm512_loadu_si512(b + k * PANEL), right1 = (__m512bh)_mm512_loadu_si512(b + k * PANEL + W);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++) {
            const __m512bh left = (__m512bh)_mm512_set1_epi32((int)a[m * lda + k]);
            held[m][0] = _mm512_dpbf16_ps(held[m][0], left, right0);
            held[m][1] = _mm512_dpbf16_ps(held[m][1], left, right1);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++) {
        _mm512_storeu_ps(c + m * ldc, held[m][0]);
        if (ends > 1) _mm512_storeu_ps(c + m * ldc + W, held[m][1]);
    }
}

/* gemm with a packed in pairs; `half`: room for the rows of a in bf16, `lda` numbers of 32 bits apart. */
SQ_FN __attribute__((noinline)) void gemm_bf16(
    int64_t rows, int64_t N, int64_t K, const float *a, int64_t lda, const void *packed, float *c, int64_t ldc, void *half, int64_t ldh
) {
    const int64_t pairs = (K + 1) / 2, vectors = (N + W - 1) / W;
    uint32_t *const left = half;
    for (int64_t m = 0; m < rows; m++) halve(K, a + m * lda, left + m * ldh);
    for (int64_t at = 0; at < vectors; at += 2) {
        const uint32_t *const b = (const uint32_t *)packed + at / 2 * PANEL * pairs;
        for (int64_t m = 0; m < rows; m += TILE_ROWS) {
            switch (rows - m < TILE_ROWS ? rows - m : TILE_ROWS) {
#define CASE(r) case r: tile_bf16(r, pairs, left + m * ldh, ldh, b, c + m * ldc + at * W, ldc, vectors - at); break;
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
            }
        }
    }
}
#else
#define BF16_bf16 0
#define gemm_bf16(...)
#endif
#define BF16_PRODUCTS(slot) JOIN(BF16_, slot)

/* sum over k < n of the numbers at p (a slot's memory, contiguous) times those at a. */
#define DOT(slot, n, p, a) ({ \
    V held = VF(set)((R)0); \
    int64_t k_ = 0; \
    for (; k_ + W <= (n); k_ += W) held = VF(fma)(LD(slot, (p) + k_), VF(load)((a) + k_), held); \
    R sum_ = LANES_SUM(held); \
    for (; k_ < (n); k_++) sum_ += LD1(slot, (p) + k_) * (a)[k_]; \
    sum_; })

/* The group that sequence b belongs to, of G groups of B sequences (sq_block_start). */
SQ_FN int64_t group_of(int64_t B, int64_t G, int64_t b) {
    const int64_t each = B / G, more = B % G, large = more * (each + 1);
    return b < large ? b / (each + 1) : more + (b - large) / each;
}

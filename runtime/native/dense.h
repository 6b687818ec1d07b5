/* Products of a few rows with a packed weight, inside a loop over time. Included by kernels.h, which defines R, V, W, VF.
 *
 *     c[m, n] = sum over k of a[m, k] * weight[k, n]          m < rows, k < K, n < N
 *
 * The weight lies in panels of PANEL columns, [panel][k][PANEL], the last one filled up with zeros. c is written in whole vectors: its
 * rows have room for N rounded up to W. Each entry is one chain of fused multiply-adds in the order of k, whatever the number of
 * rows: the same bits come out however rows are cut into blocks.
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

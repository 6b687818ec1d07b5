/* Threads whose number changes nothing. See vecmath.h.
 *
 *     SQ_PARALLEL(threads)
 *     for (int64_t b = 0; b < blocks; b++) { ... }
 *
 * runs the iterations on up to `threads` threads, or on the caller's where `threads` is 1 or the compiler has no OpenMP; with 1 the
 * OpenMP library is not entered at all (a process that forked may call it). The same bits come out for any `threads`, provided that
 *     - `blocks`, and what belongs to each, follow from the shapes alone (sq_block_start), never from `threads`;
 *     - each iteration writes only memory that is its own, and reads nothing that another one writes;
 *     - what has to be summed over blocks goes to a row per block, and sq_sum_rows_* adds the rows afterwards.
 *
 * SQ_EXPORT marks the functions that a library shows; everything else is hidden.
 */
#define SQ_EXPORT __attribute__((visibility("default")))
#define SQ_PRAGMA(text) _Pragma(#text)
#if defined(_OPENMP)
#define SQ_PARALLEL(threads) SQ_PRAGMA(omp parallel for schedule(static) num_threads((int)(threads)) if((threads) > 1))
#else
#define SQ_PARALLEL(threads) (void)(threads);
#endif

/* How many blocks of at most `size` there are in `n`. */
SQ_FN int64_t sq_block_count(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* Where block b of `blocks` begins in 0..n; they differ by at most one in size. Block b ends where b + 1 begins. */
SQ_FN int64_t sq_block_start(int64_t n, int64_t blocks, int64_t b) {
    int64_t each = n / blocks, more = n % blocks;
    return b * each + (b < more ? b : more);
}

/* Adds rows 1..rows-1 of p [rows, width] (row stride `width`) to row 0, as a binary tree over the rows: the order is that of the
 * rows alone. The other rows are left with sums of parts. */
#define SQ_SUM_ROWS(X, T) \
    SQ_FN void sq_sum_rows_##X(T *restrict p, int64_t rows, int64_t width, int threads) { \
        int64_t blocks = sq_block_count(width, 1024); \
        if (rows * width < 65536) threads = 1; \
        SQ_PARALLEL(threads) \
        for (int64_t b = 0; b < blocks; b++) { \
            int64_t from = sq_block_start(width, blocks, b), to = sq_block_start(width, blocks, b + 1); \
            for (int64_t gap = 1; gap < rows; gap *= 2) \
                for (int64_t r = 0; r + gap < rows; r += 2 * gap) \
                    for (int64_t i = from; i < to; i++) p[r * width + i] += p[(r + gap) * width + i]; \
        } \
    }
SQ_SUM_ROWS(f32, float)
SQ_SUM_ROWS(f64, double)
#undef SQ_SUM_ROWS
